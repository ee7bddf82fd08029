/*
 * reformat.c - values brought from one format to another within host memory: the problem, the tactic that does it, what it costs. Used by model.c, which
 * weighs reformats, and emit.c, which places them.
 */
#include "tune/trial.h"

/* The cheapest tactic that fits. */
static lathe_status best_tactic(lt_tuner *t, const char *name, lt_reformat_way *way)
{
    const lathe_tactic *tactic;
    for (size_t i = 0; (tactic = lt_tactic_at(i)); i++) {
        lathe_fit answer;
        if (tactic->device != way->operands[0].format.space || !lt_source_on(t->options->sources, tactic) || !lt_tactic_lists(tactic, "Reformat", "lathe")) {
            continue;
        }
        bool fits = lt_tactic_ask(tactic, 0, way->problem, t->options->features, t->arena, &answer);
        if (!answer.in) {
            return LT_OOM(t->diag);
        }
        if (fits && (!way->candidate.tactic || answer.cost < way->candidate.cost_ns)) {
            way->fit = answer;
            way->candidate = (lt_candidate){.tactic = tactic, .fits = true, .why = "", .estimate_ns = answer.cost, .cost_ns = answer.cost, .factor = 1};
        }
    }
    if (!way->candidate.tactic) {
        return LT_FAIL(t->diag, LATHE_INTERNAL, name, "this is a bug in Lathe: please report it", "no tactic reformats '%s'", name);
    }
    return LATHE_OK;
}

lathe_status lt_reformat_find(lt_tuner *t, const lt_value *value, const lathe_format *from, const lathe_format *to, lt_reformat_way **out)
{
    lt_reformat_way *way = LT_ARENA_NEW(t->arena, lt_reformat_way);
    lathe_problem *p = LT_ARENA_NEW(t->arena, lathe_problem);
    if (!way || !p) {
        return LT_OOM(t->diag);
    }
    LT_TRY(lt_fill_operand(t, value, &way->operands[0]));
    way->operands[0].flags = 0;
    way->operands[1] = way->operands[0];
    way->operands[0].format = *from;
    way->operands[1].format = *to;
    *p = (lathe_problem){.struct_size = sizeof *p, .op = "Reformat", .domain = "lathe", .version = 1, .in = &way->operands[0], .n_in = 1,
                         .out = &way->operands[1], .n_out = 1, .n_root_in = 1, .n_root_out = 1, .root_in = way->root};
    way->problem = p;
    *out = way;
    return best_tactic(t, value->name, way);
}

static lathe_status time_way(lt_tuner *t, const lt_value *value, lt_reformat_way *way, const char *text)
{
    const lt_candidate *state = &way->candidate;
    lt_draft d = {.kind = LT_UNIT_STEP, .problem = way->problem, .in = &value->id, .out = &value->id, .n_in = 1, .n_out = 1, .fits = &way->fit,
                  .states = &state, .n_states = 1, .candidates = state, .n_candidates = 1};
    const char *why;
    return lt_trial_possible(t, &d, &why) ? lt_time_single(t, &d, text) : LATHE_OK;
}

/* A record keeps the times of reformats, so that what is made from it has the same bytes. */
static double recorded(const lt_tuner *t, const lathe_problem *problem, double guess)
{
    const lt_record_entry *e = lt_record_find(t->options->record, t->options->part, lt_problem_hash(problem), 0);
    return e ? e->ns : guess;
}

double lt_time_reformat(lt_tuner *t, const lt_value *value, const lathe_format *from, const lathe_format *to, double guess)
{
    lt_reformat_way *way;
    const char *text;
    uint64_t at;
    if (t->options->record && lt_reformat_find(t, value, from, to, &way) == LATHE_OK) {
        return recorded(t, way->problem, guess);
    }
    if (!t->clock || value->type.cls != LT_TENSOR || lt_reformat_find(t, value, from, to, &way) != LATHE_OK ||
        lt_problem_line(t, way->problem, &text) != LATHE_OK) {
        return guess;
    }
    if (lt_map_get(&t->reformats, text, &at)) {
        return t->reformat_ns[at];
    }
    if (t->settled) {
        return guess;
    }
    if (time_way(t, value, way, text) != LATHE_OK || !lt_arena_grow(t->arena, (void **)&t->reformat_ns, &t->cap_reformats, t->n_reformats + 1, sizeof(double)) ||
        !lt_map_put(&t->reformats, text, t->n_reformats)) {
        return guess;
    }
    double ns = way->candidate.time.samples > 0 ? way->candidate.time.median : guess;
    t->reformat_ns[t->n_reformats++] = ns;
    return ns;
}
