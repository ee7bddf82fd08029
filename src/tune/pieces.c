/*
 * pieces.c - groups against their pieces: whether a fusion that the passes allowed is worth it here. Used by choose.c after timing or replay.
 *
 * units.c puts a group's pieces (root and pointwise rest, as steps of their own) behind the group; here one of the two goes. The decision is a function of
 * the group's problem alone, so that equal groups are decided alike.
 */
#include "tune/tune_internal.h"

#include <math.h>

#define WORTH_IT 0.98

/* The fastest that was timed; samples 0: none was. */
static lathe_timing best_time(const lt_draft *d)
{
    lathe_timing best = {0};
    for (uint32_t s = 0; s < d->n_states; s++) {
        const lathe_timing *t = &d->states[s]->time;
        best = t->samples > 0 && (best.samples == 0 || t->median < best.median) ? *t : best;
    }
    return best;
}

static const char *verdict(lt_tuner *t, uint32_t pieces, double whole, double apart)
{
    double a = floor(whole / 100 + 0.5) * 100, b = floor(apart / 100 + 0.5) * 100; /* as they are printed, so that the difference is theirs */
    char one[LT_FMT_MAX], many[LT_FMT_MAX], more[LT_FMT_MAX];
    lt_fmt_us(a, one);
    lt_fmt_us(b, many);
    lt_fmt_us(fabs(b - a), more);
    return lt_arena_printf(t->arena, "as one step %s, in %u pieces %s (%c%s)", one, pieces, many, b >= a ? '+' : '-', more);
}

/*
 * Keep the group (true) or its pieces? The pieces must be faster beyond doubt, even at the slow ends of their intervals: a step less is also a pass over
 * memory less for the neighbours, and the two were not timed in turn.
 */
static lathe_status keep_whole(lt_tuner *t, size_t whole, size_t end, bool *keep)
{
    lt_draft *d = &t->drafts.items[whole];
    lathe_timing one = best_time(d), apart = {.samples = 1};
    for (size_t i = whole + 1; i < end; i++) {
        lathe_timing piece = best_time(&t->drafts.items[i]);
        apart.median += piece.median;
        apart.high += piece.high;
        apart.samples = piece.samples > 0 ? apart.samples : 0;
    }
    *keep = true;
    if (one.samples == 0 || apart.samples == 0) {
        return LATHE_OK;
    }
    *keep = apart.high >= one.low || apart.median >= WORTH_IT * one.median;
    d->note = verdict(t, (uint32_t)(end - whole - 1), one.median, apart.median);
    for (size_t i = whole + 1; i < end; i++) {
        t->drafts.items[i].note = d->note;
    }
    return d->note ? LATHE_OK : LT_OOM(t->diag);
}

lathe_status lt_settle_pieces(lt_tuner *t)
{
    size_t kept = 0, end;
    for (size_t i = 0; i < t->drafts.count; i = end) {
        bool whole = true;
        for (end = i + 1; end < t->drafts.count && t->drafts.items[end].piece; end++) {
        }
        if (end > i + 1) {
            if (t->options->record) {
                whole = lt_record_find(t->options->record, t->options->part, lt_problem_hash(t->drafts.items[i].problem), 0) != NULL;
            } else {
                LT_TRY(keep_whole(t, i, end, &whole));
            }
        }
        for (size_t k = whole ? i : i + 1; k < (whole ? i + 1 : end); k++) {
            t->drafts.items[kept] = t->drafts.items[k];
            t->drafts.items[kept].apart |= !whole;
            t->drafts.items[kept++].piece = false;
        }
    }
    t->drafts.count = kept;
    return LATHE_OK;
}
