/*
 * tune_log.c - the topic tune of LATHE_DEBUG: what was chosen (1: in all, 2: each step, 3: its problem) and from what (4: each candidate). Called at
 * the end of a choice; candidates that do not fit are there only when they were kept.
 */
#include "tune/tune_internal.h"

static void say_unit(const lt_debug *debug, const lt_unit *u, uint32_t number)
{
    lt_debug_say(debug, LT_TOPIC_TUNE, 2, u->name, "step %u %s (%s): %s config %u, %.1f us", number, u->name, u->class_name ? u->class_name : "",
                 u->tactic ? u->tactic->name : "no tactic", u->config, u->cost_ns / 1e3);
    if (u->problem_text) {
        lt_debug_say(debug, LT_TOPIC_TUNE, 3, u->name, "step %u solves %s", number, u->problem_text);
    }
    for (uint32_t i = 0; i < u->n_candidates; i++) {
        const lt_candidate *c = &u->candidates[i];
        const char *tactic = c->tactic ? c->tactic->name : "a view"; /* of a Transpose */
        if (c->fits) {
            lt_debug_say(debug, LT_TOPIC_TUNE, 4, u->name, "step %u candidate %s config %u: %.1f us", number, tactic, c->config, c->cost_ns / 1e3);
        } else {
            lt_debug_say(debug, LT_TOPIC_TUNE, 4, u->name, "step %u candidate %s config %u: no, %s", number, tactic, c->config, c->why);
        }
    }
}

void lt_tune_say(const lt_debug *debug, const lt_choice *choice)
{
    if (!lt_debug_on(debug, LT_TOPIC_TUNE, 1, NULL)) {
        return;
    }
    lt_debug_say(debug, LT_TOPIC_TUNE, 1, NULL, choice->exact ? "%u steps, %.1f us, the best there is under these costs" : "%u steps, %.1f us, found by a heuristic: the best takes %.1f us or more",
                 choice->n_units, choice->cost_ns / 1e3, choice->lower_bound_ns / 1e3);
    for (uint32_t i = 0; i < choice->n_units; i++) {
        say_unit(debug, &choice->units[i], i);
    }
}
