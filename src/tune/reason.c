/*
 * reason.c - why a step is computed as it is, in one sentence: forced, the fastest, one of equals, or the best together with its neighbours' formats. Used
 * by emit.c when somebody will read it; it decides nothing.
 */
#include "tune/tune_internal.h"

static const char *us(lt_tuner *t, double ns)
{
    char text[LT_FMT_MAX];
    lt_fmt_us(ns, text);
    return lt_arena_printf(t->arena, "%s", text);
}

static const char *name_of(const lt_draft *d, uint32_t state)
{
    return d->states[state]->tactic ? d->states[state]->tactic->name : "a view";
}

static bool allowed(const lt_draft *d, uint32_t state)
{
    return d->fits[state].cost < LT_PBQP_INF;
}

/* ---- Reformats around a step ---- */

static bool same_value(lt_value_id a, lt_value_id b)
{
    return !lt_value_none(a) && lt_value_same(a, b);
}

/* The format that the chosen producer of a value gives it; plain for inputs and constants. */
static lathe_format made_as(const lt_tuner *t, const uint32_t *states, lt_value_id id)
{
    for (uint32_t i = 0; i < t->drafts.count; i++) {
        const lt_draft *d = &t->drafts.items[i];
        for (uint32_t k = 0; k < d->n_out; k++) {
            if (same_value(d->out[k], id)) {
                return lt_draft_out(d, states[i], k, t);
            }
        }
    }
    return lt_plain_format(t, lt_value_get(t->graph, id), LATHE_SPACE_HOST);
}

/* What the chosen readers of output `k` pay to read it in this format. */
static double paid_by_readers(lt_tuner *t, const uint32_t *states, lt_value_id id, const lathe_format *made)
{
    double cost = 0;
    const lt_value *v = lt_value_get(t->graph, id);
    for (uint32_t i = 0; i < t->drafts.count; i++) {
        const lt_draft *d = &t->drafts.items[i];
        for (uint32_t k = 0; k < d->n_in; k++) {
            if (same_value(d->in[k], id) && !(d->kind == LT_UNIT_STEP && d->fits[states[i]].pack[k])) {
                lathe_format wanted = lt_draft_in(d, states[i], k, t);
                cost += lt_reformat_cost(t, v, made, &wanted);
            }
        }
    }
    if (v->n_region_outputs > 0) {
        lathe_format plain = lt_plain_format(t, v, LATHE_SPACE_HOST);
        cost += lt_reformat_cost(t, v, made, &plain);
    }
    return cost;
}

/* A state with the reformats that it needs where the neighbours stay as they are. */
static double with_reformats(lt_tuner *t, const uint32_t *states, const lt_draft *d, uint32_t state)
{
    double cost = d->fits[state].cost;
    for (uint32_t k = 0; k < d->n_in; k++) {
        if (!lt_value_none(d->in[k]) && !d->fits[state].pack[k]) {
            lathe_format made = made_as(t, states, d->in[k]), wanted = lt_draft_in(d, state, k, t);
            cost += lt_reformat_cost(t, lt_value_get(t->graph, d->in[k]), &made, &wanted);
        }
    }
    for (uint32_t k = 0; k < d->n_out; k++) {
        lathe_format made = lt_draft_out(d, state, k, t);
        cost += lt_value_none(d->out[k]) ? 0 : paid_by_readers(t, states, d->out[k], &made);
    }
    return cost;
}

static const char *because_of_formats(lt_tuner *t, const uint32_t *states, const lt_draft *d, uint32_t state, uint32_t cheapest)
{
    double here = with_reformats(t, states, d, state), there = with_reformats(t, states, d, cheapest);
    const char *alone = us(t, d->fits[cheapest].cost), *a = us(t, here), *b = us(t, there);
    if (!alone || !a || !b) {
        return NULL;
    }
    if (there > here) {
        return lt_arena_printf(t->arena, "with the reformats around it: %s; %s takes %s by itself, but %s with the reformats that it would need", a,
                               name_of(d, cheapest), alone, b);
    }
    return lt_arena_printf(t->arena, "for the formats of the steps around it, which were chosen together; %s takes %s by itself", name_of(d, cheapest), alone);
}

/* ---- Times ---- */

static uint32_t fastest(const lt_draft *d, uint32_t *timed)
{
    uint32_t best = UINT32_MAX;
    *timed = 0;
    for (uint32_t s = 0; s < d->n_states; s++) {
        const lathe_timing *time = &d->states[s]->time;
        if (time->samples > 0 && d->states[s]->fits && allowed(d, s)) {
            ++*timed;
            best = best == UINT32_MAX || time->median < d->states[best]->time.median ? s : best;
        }
    }
    return best;
}

static const char *by_time(lt_tuner *t, const lt_draft *d, uint32_t state)
{
    uint32_t timed, best = fastest(d, &timed);
    if (best == state) {
        return timed == 1 ? "the only one that was timed: the others' estimates are far behind, or they are ruled out"
                          : lt_arena_printf(t->arena, "the fastest of %u that were timed", timed);
    }
    const char *text = best == UINT32_MAX ? NULL : us(t, d->states[best]->time.median);
    if (!text) {
        return best == UINT32_MAX ? "the least estimate" : NULL;
    }
    bool close = lt_indistinct(d->states[state], d->states[best]);
    return lt_arena_printf(t->arena, close ? "%s took %s, which is within 2 %% or overlapping intervals: the better estimate stands"
                                           : "%s took %s, but counts for more here: it would store a constant a second time",
                           name_of(d, best), text);
}

static const char *by_estimate(lt_tuner *t)
{
    return t->options->level == 0 ? "the least estimate; nothing is timed at level 0"
           : t->options->absent   ? "the least estimate; the processor is not here, and no time is known"
                                  : "the least estimate; it could not be timed by itself, or the time was up";
}

/* ---- What was asked for ---- */

static const char *forced(lt_tuner *t, const lt_draft *d, uint32_t left)
{
    lt_tactic_rule_kind aim = lt_tactic_rules_aim(t, d);
    uint32_t fit = 0;
    for (uint32_t s = 0; s < d->n_states; s++) {
        fit += d->states[s]->fits;
    }
    if (t->options->record) {
        return lt_arena_printf(t->arena, "the record %s says so", t->options->record->file);
    }
    if (aim != LT_TACTIC_RULE_FASTEST) {
        return aim == LT_TACTIC_RULE_SLOWEST ? "a rule asks for the slowest" : "a rule asks for the least scratch";
    }
    if (left == 1) {
        return fit == 1 ? "the only one that can" : "the selector left no other";
    }
    return "";
}

static const char *reason(lt_tuner *t, const uint32_t *states, uint32_t number)
{
    const lt_draft *d = &t->drafts.items[number];
    uint32_t state = states[number], cheapest = state, left = 0;
    for (uint32_t s = 0; s < d->n_states; s++) {
        left += allowed(d, s);
        cheapest = d->fits[s].cost < d->fits[cheapest].cost ? s : cheapest;
    }
    const char *text = forced(t, d, left);
    if (!text || text[0]) {
        return text;
    }
    if (d->fits[cheapest].cost < d->fits[state].cost * (1 - 1e-6)) {
        return because_of_formats(t, states, d, state, cheapest);
    }
    return d->states[state]->time.samples > 0 ? by_time(t, d, state) : by_estimate(t);
}

const char *lt_reason_of(lt_tuner *t, const uint32_t *states, uint32_t number)
{
    t->settled = true;
    const char *text = reason(t, states, number);
    t->settled = false;
    return text;
}
