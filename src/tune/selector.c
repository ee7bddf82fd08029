/*
 * selector.c - who else has a say between timing and choice: aims of the rules file, the caller's selector. Used by choose.c.
 *
 * Candidates that are ruled out here cost too much to be taken; one per step always stays.
 */
#include "tune/tune_internal.h"

static size_t least_scratch(const lt_draft *d)
{
    size_t least = SIZE_MAX;
    for (uint32_t s = 0; s < d->n_states; s++) {
        const lt_candidate *c = d->states[s];
        least = c->fits && c->scratch < least ? c->scratch : least;
    }
    return least;
}

static double slowest(const lt_draft *d)
{
    double most = 0;
    bool timed = false;
    for (uint32_t s = 0; s < d->n_states; s++) {
        timed |= d->states[s]->time.samples > 0;
    }
    for (uint32_t s = 0; s < d->n_states; s++) {
        const lt_candidate *c = d->states[s];
        if (c->fits && c->tactic && (!timed || c->time.samples > 0) && d->fits[s].cost < LT_PBQP_INF) {
            most = d->fits[s].cost > most ? d->fits[s].cost : most;
        }
    }
    return most;
}

static void aim(lt_tuner *t, lt_draft *d)
{
    lt_tactic_rule_kind kind = lt_tactic_rules_aim(t, d);
    double most = kind == LT_TACTIC_RULE_SLOWEST ? slowest(d) : 0;
    size_t least = kind == LT_TACTIC_RULE_LEAST_SCRATCH ? least_scratch(d) : 0;
    for (uint32_t s = 0; s < d->n_states && kind != LT_TACTIC_RULE_FASTEST; s++) {
        bool out = kind == LT_TACTIC_RULE_SLOWEST ? most > 0 && d->fits[s].cost < most : d->states[s]->scratch > least;
        d->fits[s].cost = out ? LT_PBQP_INF : d->fits[s].cost;
    }
}

/* ---- The caller's selector ---- */

static void describe(const lt_draft *d, uint32_t state, lathe_selection *out)
{
    const lt_candidate *c = d->states[state];
    const lathe_fit *fit = &d->fits[state];
    *out = (lathe_selection){.struct_size = sizeof *out, .tactic = c->tactic ? c->tactic->name : "view", .version = c->tactic ? c->tactic->version : 1,
                             .config = c->tactic ? c->config : state, .cost_ns = c->cost_ns, .time = c->time, .scratch = c->scratch, .in = fit->in, .out = fit->out,
                             .n_in = d->n_in, .n_out = d->n_out};
}

static lathe_status ask_selector(lt_tuner *t, lt_draft *d, uint32_t number)
{
    lathe_selection *list = LT_ARENA_ARRAY(t->arena, lathe_selection, d->n_states);
    unsigned char *keep = LT_ARENA_ARRAY(t->arena, unsigned char, d->n_states);
    lathe_selection_step step = {.struct_size = sizeof step, .name = lt_draft_label(t, d), .op = d->problem->op,
                                 .problem = d->problem, .ordinal = number, .part = t->options->part};
    uint32_t kept = 0;
    if (!list || !keep) {
        return LT_OOM(t->diag);
    }
    for (uint32_t s = 0; s < d->n_states; s++) {
        describe(d, s, &list[s]);
        keep[s] = d->states[s]->fits;
    }
    if (t->options->select(t->options->select_user, &step, list, d->n_states, keep) != 0) {
        return LT_FAIL(t->diag, LATHE_CANCELLED, step.name, NULL, "the selector asked to stop");
    }
    for (uint32_t s = 0; s < d->n_states; s++) {
        d->fits[s].cost = keep[s] ? d->fits[s].cost : LT_PBQP_INF;
        kept += keep[s] != 0;
    }
    if (kept == 0) {
        return LT_FAIL(t->diag, LATHE_INVALID_ARGUMENT, step.name, "let it keep one", "the selector kept none of %u candidates", d->n_states);
    }
    return LATHE_OK;
}

lathe_status lt_select(lt_tuner *t)
{
    for (uint32_t i = 0; i < t->drafts.count; i++) {
        lt_draft *d = &t->drafts.items[i];
        if (d->kind != LT_UNIT_STEP) {
            continue;
        }
        aim(t, d);
        LT_TRY(t->options->select ? ask_selector(t, d, i) : LATHE_OK);
    }
    return LATHE_OK;
}
