/*
 * needs.c - what timing and writing will need in memory, worked out from the drafts before anything is timed: constants, what steps hold at one time, the
 * largest trial. Used by choose.c and jobs.c; what to do about it is the caller's business (options->foresee).
 */
#include "tune/tune_internal.h"

static bool opt_dims(const lathe_operand *o, int64_t *dims)
{
    for (int i = 0; i < o->rank; i++) {
        dims[i] = o->dims[i].opt;
    }
    return o->rank >= 0 && !(o->flags & LATHE_OPERAND_ABSENT);
}

/* At the opt extents; 0 for what has no size of its own. */
static uint64_t operand_bytes(const lathe_operand *o, const lathe_format *format)
{
    int64_t dims[LATHE_MAX_RANK];
    size_t bytes;
    return opt_dims(o, dims) && lt_format_bytes(format, o->rank, dims, &bytes) ? bytes : 0;
}

static uint64_t plain_bytes(const lathe_operand *o)
{
    lathe_format plain = lt_format_plain(o->dtype, o->rank < 0 ? 0 : o->rank, LATHE_SPACE_HOST);
    return operand_bytes(o, &plain);
}

/* ---- One trial ---- */

static uint64_t input_bytes(const lt_tuner *t, const lt_draft *d, uint32_t state, uint32_t i)
{
    const lathe_fit *fit = &d->fits[state];
    const lathe_operand *o = &d->problem->in[i];
    const lt_value *v = lt_value_get(t->graph, d->in[i]);
    size_t bytes;
    if (fit->pack[i]) {
        return v && v->blob && lt_pack_bytes(fit->pack[i], lt_blob_tensor(v->blob), fit->pack_param[i], &bytes) ? bytes : 0;
    }
    return operand_bytes(o, &fit->in[i]) * (o->flags & LATHE_OPERAND_CONSTANT ? 1 : 2); /* and what is written into it again before each shot */
}

/* An entry's own copies, and its results once more in plain form for the comparison. */
static uint64_t entry_bytes(const lt_tuner *t, const lt_draft *d, uint32_t state)
{
    uint64_t bytes = d->states[state]->scratch;
    for (uint32_t i = 0; i < d->n_in; i++) {
        bytes += input_bytes(t, d, state, i);
    }
    for (uint32_t i = 0; i < d->n_out; i++) {
        const lathe_operand *o = &d->problem->out[i];
        bytes += operand_bytes(o, &d->fits[state].out[i]) + (lt_format_is_plain(&d->fits[state].out[i]) ? 0 : plain_bytes(o));
    }
    return bytes;
}

enum { ARENA_REST = 16 << 20 }; /* what may be left over of an arena's last chunk */

uint64_t lt_trial_needs(const lt_tuner *t, const lt_draft *d, const uint32_t *states, uint32_t n)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < d->n_in; i++) {
        const lt_value *v = lt_value_get(t->graph, d->in[i]);
        bytes += v && v->blob ? 0 : plain_bytes(&d->problem->in[i]);
    }
    for (uint32_t i = 0; i < n; i++) {
        bytes += entry_bytes(t, d, states[i]);
    }
    return bytes + (bytes < ARENA_REST ? bytes : ARENA_REST);
}

/* ---- All steps ---- */

typedef struct span { /* of a value, in drafts */
    uint64_t bytes;
    uint32_t first, last;
} span;

typedef struct spans {
    span *items;
    size_t n, capacity;
    lt_imap of;
} spans;

static bool note(lt_tuner *t, spans *s, lt_value_id id, const lathe_operand *o, uint32_t at)
{
    uint64_t k;
    if (!lt_imap_get(&s->of, id.index, &k)) {
        k = s->n;
        if (!lt_arena_grow(t->arena, (void **)&s->items, &s->capacity, s->n + 1, sizeof *s->items) || !lt_imap_put(&s->of, id.index, k)) {
            return false;
        }
        s->items[s->n++] = (span){plain_bytes(o), at, at};
    }
    s->items[k].last = at;
    return true;
}

/* What drafts read and write, constants apart; pieces stand beside their group and are left out. */
static bool collect(lt_tuner *t, spans *s)
{
    bool fine = true;
    for (uint32_t i = 0; i < t->drafts.count && fine; i++) {
        const lt_draft *d = &t->drafts.items[i];
        for (uint32_t k = 0; d->problem && !d->piece && k < d->n_in && fine; k++) {
            const lt_value *v = lt_value_get(t->graph, d->in[k]);
            fine = !v || lt_value_is_constant(v) || note(t, s, d->in[k], &d->problem->in[k], i);
        }
        for (uint32_t k = 0; d->problem && !d->piece && k < d->n_out && fine; k++) {
            fine = lt_value_none(d->out[k]) || note(t, s, d->out[k], &d->problem->out[k], i);
        }
    }
    return fine;
}

/* The largest sum at one draft: by what begins and what ends there. */
static bool most_alive(lt_tuner *t, const spans *s, uint64_t *most)
{
    uint64_t *begin = LT_ARENA_ARRAY(t->arena, uint64_t, t->drafts.count + 2), *end = LT_ARENA_ARRAY(t->arena, uint64_t, t->drafts.count + 2), alive = 0;
    *most = 0;
    for (size_t i = 0; begin && end && i < s->n; i++) {
        begin[s->items[i].first] += s->items[i].bytes;
        end[s->items[i].last] += s->items[i].bytes;
    }
    for (size_t i = 0; begin && end && i < t->drafts.count; i++) {
        alive += begin[i];
        *most = alive > *most ? alive : *most;
        alive -= end[i];
    }
    return begin && end;
}

/* ---- The plan ---- */

static uint32_t best_estimate(const lt_draft *d)
{
    uint32_t best = 0;
    for (uint32_t s = 1; s < d->n_states; s++) {
        best = d->states[s]->estimate_ns < d->states[best]->estimate_ns ? s : best;
    }
    return best;
}

/* A constant as it will be stored: packed, and raw too where the pack cannot be undone. */
static uint64_t stored_bytes(const lt_draft *d, uint32_t i, const lt_blob *blob)
{
    const lathe_fit *fit = d->kind == LT_UNIT_STEP && d->n_states > 0 ? &d->fits[best_estimate(d)] : NULL;
    const lathe_pack *pack = fit && fit->pack[i] ? lt_pack_find(fit->pack[i]) : NULL;
    const lathe_tensor *raw = lt_blob_tensor(blob);
    size_t bytes;
    if (!pack || !lt_pack_bytes(fit->pack[i], raw, fit->pack_param[i], &bytes)) {
        return raw->bytes;
    }
    return bytes + (pack->unpack ? 0 : raw->bytes);
}

/* Of all constants that steps read, each once: as they are, or as a plan will hold them. */
static uint64_t constant_bytes(const lt_tuner *t, bool stored)
{
    uint64_t bytes = 0, before;
    lt_imap seen;
    lt_imap_init(&seen, t->arena->allocator);
    for (size_t i = 0; i < t->drafts.count; i++) {
        const lt_draft *d = &t->drafts.items[i];
        for (uint32_t k = 0; !d->piece && k < d->n_in; k++) { /* a piece reads what its group reads */
            const lt_value *v = lt_value_get(t->graph, d->in[k]);
            if (v && v->blob && !lt_imap_get(&seen, d->in[k].index, &before) && lt_imap_put(&seen, d->in[k].index, 1)) {
                bytes += stored ? stored_bytes(d, k, v->blob) : lt_blob_tensor(v->blob)->bytes;
            }
        }
    }
    lt_imap_free(&seen);
    return bytes;
}

uint64_t lt_weight_bytes(const lt_tuner *t)
{
    return constant_bytes(t, false);
}

lathe_status lt_tell_needs(lt_tuner *t, uint64_t largest_trial)
{
    lt_tune_needs needs = {.weight_bytes = constant_bytes(t, true), .largest_trial = largest_trial, .timed = t->options->level > 0};
    spans s = {0};
    t->trial_limit = UINT64_MAX;
    if (!t->options->foresee) {
        return LATHE_OK;
    }
    lt_imap_init(&s.of, t->arena->allocator);
    bool fine = collect(t, &s) && most_alive(t, &s, &needs.live_bytes);
    lt_imap_free(&s.of);
    return fine ? t->options->foresee(t->options->foresee_user, &needs, &t->trial_limit, t->diag) : LT_OOM(t->diag);
}
