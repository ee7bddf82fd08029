/*
 * choose.c - the choice: drafts, their times (above level 0), the model, units. Called by api.
 */
#include "tune/tune_internal.h"

const char *lt_draft_label(const lt_tuner *t, const lt_draft *d)
{
    const lt_node *n = lt_node_get(t->graph, d->nodes[0]);
    return n->label && n->label[0] ? n->label : n->op->name;
}

lathe_status lt_problem_line(lt_tuner *t, const lathe_problem *problem, const char **out)
{
    lt_buf text;
    lt_buf_init(&text, t->arena->allocator);
    lathe_status status = lt_problem_print(problem, &text, t->diag);
    *out = status == LATHE_OK ? lt_arena_strn(t->arena, lt_buf_str(&text), text.length) : NULL;
    lt_buf_free(&text);
    return status != LATHE_OK ? status : *out ? LATHE_OK : LT_OOM(t->diag);
}

/* Before groups and pieces are settled: what lost is told of too. */
static lathe_status keep_tried(const lt_tuner *t, lt_choice *out)
{
    lt_tried *all = LT_ARENA_ARRAY(t->arena, lt_tried, t->drafts.count + 1);
    if (!all) {
        return LT_OOM(t->diag);
    }
    for (size_t i = 0; i < t->drafts.count; i++) {
        const lt_draft *d = &t->drafts.items[i];
        if (d->kind == LT_UNIT_STEP) {
            all[out->n_tried++] = (lt_tried){lt_problem_hash(d->problem), d->candidates, d->n_candidates};
        }
    }
    out->tried = all;
    return LATHE_OK;
}

static lathe_status choose(lt_tuner *t, lt_choice *out)
{
    LT_TRY(lt_make_drafts(t));
    LT_TRY(t->options->level > 0 ? lt_time_drafts(t) : lt_tell_needs(t, 0));
    LT_TRY(t->options->keep_candidates && t->options->level > 0 ? keep_tried(t, out) : LATHE_OK);
    LT_TRY(lt_settle_pieces(t));
    LT_TRY(t->options->record ? lt_record_replay(t) : lt_select(t));
    uint32_t *states = LT_ARENA_ARRAY(t->arena, uint32_t, t->drafts.count + 1);
    if (!states) {
        return LT_OOM(t->diag);
    }
    LT_TRY(lt_choose_states(t, states, out));
    LT_TRY(lt_emit(t, states, out));
    lt_tune_say(t->options->debug, out);
    return LATHE_OK;
}

lathe_status lt_tune_choose(const lt_graph *graph, const lt_tune_options *options, lt_arena *arena, lt_choice *out, lathe_diag *diag)
{
    lt_tune_counts uncounted = {0};
    lt_tuner t = {.graph = graph, .options = options, .arena = arena, .diag = diag, .counts = options->counts ? options->counts : &uncounted};
    *out = (lt_choice){.arena = arena};
    lt_map_init(&t.reformats, arena->allocator);
    lathe_status status = choose(&t, out);
    lt_map_free(&t.reformats);
    return status;
}
