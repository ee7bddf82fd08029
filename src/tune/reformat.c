/*
 * reformat.c - values brought from one format to another within host memory: the problem, the tactic that does it, what it costs. Used by model.c, which
 * weighs reformats, and emit.c, which places them.
 */
#include "tune/trial.h"

void lt_reformat_ask(lt_reformat_problem *out, const lathe_operand *like, const lathe_format *from, const lathe_format *to)
{
    *out = (lt_reformat_problem){.operands = {*like, *like}};
    for (int i = 0; i < 2; i++) {
        out->operands[i].flags = 0;
        out->operands[i].format = i ? *to : *from;
    }
    out->problem = (lathe_problem){.struct_size = sizeof out->problem, .op = "Reformat", .domain = "lathe", .version = 1, .in = &out->operands[0], .n_in = 1,
                                   .out = &out->operands[1], .n_out = 1, .n_root_in = 1, .n_root_out = 1, .root_in = out->root};
}

/* The cheapest tactic that fits. */
lathe_status lt_reformat_find(lt_tuner *t, const lt_value *value, const lathe_format *from, const lathe_format *to, lt_reformat_way **out)
{
    lt_reformat_way *way = LT_ARENA_NEW(t->arena, lt_reformat_way);
    const lathe_tactic *tactic;
    lathe_operand like;
    if (!way) {
        return LT_OOM(t->diag);
    }
    LT_TRY(lt_fill_operand(t, value, &like));
    lt_reformat_ask(&way->asked, &like, from, to);
    for (size_t i = 0; (tactic = lt_tactic_at(i)); i++) {
        lathe_fit answer;
        if (tactic->device != from->space || !lt_source_on(t->options->sources, tactic) || !lt_tactic_lists(tactic, "Reformat", "lathe")) {
            continue;
        }
        bool fits = lt_tactic_ask(tactic, 0, &way->asked.problem, t->options->features, t->arena, &answer);
        if (!answer.in) {
            return LT_OOM(t->diag);
        }
        if (fits && (!way->candidate.tactic || answer.cost < way->candidate.cost_ns)) {
            way->fit = answer;
            way->candidate = (lt_candidate){.tactic = tactic, .fits = true, .why = "", .estimate_ns = answer.cost, .cost_ns = answer.cost, .factor = 1};
        }
    }
    *out = way;
    return LATHE_OK;
}

static lathe_status time_way(lt_tuner *t, const lt_value *value, lt_reformat_way *way, const char *text)
{
    const lt_candidate *state = &way->candidate;
    lt_draft d = {.kind = LT_UNIT_STEP, .problem = &way->asked.problem, .in = &value->id, .out = &value->id, .n_in = 1, .n_out = 1, .fits = &way->fit,
                  .states = &state, .n_states = 1, .candidates = state, .n_candidates = 1};
    const char *why;
    return lt_trial_possible(t, &d, &why) ? lt_time_single(t, &d, value->name, text) : LATHE_OK;
}

/* A record keeps the times of reformats, so that what is made from it has the same bytes. */
static double recorded(const lt_tuner *t, const lathe_problem *problem, double guess)
{
    const lt_record_entry *e = lt_record_find(t->options->record, t->options->part, lt_problem_hash(problem), 0);
    return e ? e->ns : guess;
}

/* From the tuner's own table; else from the cache or the clock, and into the table. Once the choice is made nothing more is timed. */
static lathe_status measure(lt_tuner *t, const lt_value *value, lt_reformat_way *way, double guess, double *ns)
{
    const char *text;
    uint64_t at;
    LT_TRY(lt_problem_line(t, &way->asked.problem, &text));
    if (lt_map_get(&t->reformats, text, &at)) {
        *ns = t->reformat_ns[at];
        return LATHE_OK;
    }
    if (t->settled) {
        return LATHE_OK;
    }
    LT_TRY(time_way(t, value, way, text));
    *ns = way->candidate.time.samples > 0 ? way->candidate.time.median : guess;
    if (!lt_arena_grow(t->arena, (void **)&t->reformat_ns, &t->cap_reformats, t->n_reformats + 1, sizeof(double)) ||
        !lt_map_put(&t->reformats, text, t->n_reformats)) {
        return LT_OOM(t->diag);
    }
    t->reformat_ns[t->n_reformats++] = *ns;
    return LATHE_OK;
}

double lt_time_reformat(lt_tuner *t, const lt_value *value, const lathe_format *from, const lathe_format *to, double guess)
{
    lt_reformat_way *way;
    double ns = guess;
    bool timed = t->clock && value->type.cls == LT_TENSOR;
    if (t->failed != LATHE_OK || !(t->options->record || timed)) {
        return guess;
    }
    t->failed = lt_reformat_find(t, value, from, to, &way);
    if (t->failed == LATHE_OK && !way->candidate.tactic) {
        return LT_PBQP_INF;
    }
    if (t->failed == LATHE_OK && t->options->record) {
        return recorded(t, &way->asked.problem, guess);
    }
    t->failed = t->failed == LATHE_OK ? measure(t, value, way, guess, &ns) : t->failed;
    return ns;
}
