/*
 * choose.c - the static choice (level 0): drafts, model, units. Called by api; times nothing.
 */
#include "tune/tune_internal.h"

lathe_status lt_tune_choose(const lt_graph *graph, const lt_tune_options *options, lt_arena *arena, lt_choice *out, lathe_diag *diag)
{
    lt_tuner t = {.graph = graph, .options = options, .arena = arena, .diag = diag};
    *out = (lt_choice){.arena = arena};
    LT_TRY(lt_make_drafts(&t));
    uint32_t *states = LT_ARENA_ARRAY(arena, uint32_t, t.drafts.count + 1);
    if (!states) {
        return LT_OOM(diag);
    }
    LT_TRY(lt_choose_states(&t, states, out));
    LT_TRY(lt_emit(&t, states, out));
    lt_tune_say(options->debug, out);
    return LATHE_OK;
}
