/*
 * move_extents.c - see move_extents.h.
 */
#include "backend/cpu/move_extents.h"
#include "backend/cpu/product.h"
#include <string.h>

/* ---- Inputs ---- */

static const lathe_buffer *input(const lathe_call *call, size_t slot)
{
    uint16_t n;
    return lt_root_operand(call->problem, slot, &n) ? &call->in[n] : NULL;
}

/* Whole numbers of an input, at most `room`; -1: it is absent, -2: it is no such list. */
static int numbers(const lathe_call *call, size_t slot, int64_t *values, int room)
{
    uint16_t n;
    const lathe_operand *o = lt_root_operand(call->problem, slot, &n);
    if (!o) {
        return -1;
    }
    const lathe_buffer *b = &call->in[n];
    if (b->rank != 1 || b->dims[0] > room) {
        return -2;
    }
    for (int i = 0; i < b->dims[0]; i++) {
        values[i] = lt_load_i64(o->dtype, b->data, i);
    }
    return (int)b->dims[0];
}

/* The axes that input `slot` names, or the first `count`. */
static bool axes_of(const lathe_call *call, size_t slot, int rank, int count, int64_t *axes)
{
    int n = numbers(call, slot, axes, LATHE_MAX_RANK);
    for (int i = 0; i < count; i++) {
        axes[i] = n == -1 ? i : axes[i] + (axes[i] < 0 ? rank : 0);
        if (n != -1 && n != count) {
            return false;
        }
        if (axes[i] < 0 || axes[i] >= rank) {
            return false;
        }
    }
    return n == -1 || n == count;
}

/* ---- Operators ---- */

static bool concat(const lathe_call *call, int64_t *dims)
{
    const lathe_problem *p = call->problem;
    const lathe_buffer *first = input(call, 0);
    int64_t axis = lt_attr_i(p->attrs, p->n_attrs, "axis", 0);
    axis += axis < 0 ? first->rank : 0;
    if (axis < 0 || axis >= first->rank || first->rank != call->out[0].rank) {
        return false;
    }
    memcpy(dims, first->dims, (size_t)first->rank * sizeof *dims);
    for (size_t i = 1; i < p->n_root_in; i++) {
        const lathe_buffer *x = input(call, i);
        if (x->rank != first->rank || !lt_i64_add(dims[axis], x->dims[axis], &dims[axis])) {
            return false;
        }
    }
    return true;
}

static int64_t clamped(int64_t x, int64_t low, int64_t high)
{
    return x < low ? low : x > high ? high : x;
}

/* Elements from start by step up to end of an axis of d elements. */
static int64_t slice_length(int64_t start, int64_t end, int64_t step, int64_t d)
{
    start += start < 0 ? d : 0;
    end += end < 0 ? d : 0;
    if (step > 0) {
        start = clamped(start, 0, d);
        end = clamped(end, 0, d);
        return end > start ? (end - start - 1) / step + 1 : 0;
    }
    start = clamped(start, 0, d - 1);
    end = clamped(end, -1, d - 1);
    return d > 0 && start > end ? (int64_t)(((uint64_t)(start - end) - 1) / (0 - (uint64_t)step)) + 1 : 0;
}

static bool slice(const lathe_call *call, int64_t *dims)
{
    const lathe_buffer *x = input(call, 0);
    int64_t starts[LATHE_MAX_RANK], ends[LATHE_MAX_RANK], axes[LATHE_MAX_RANK], steps[LATHE_MAX_RANK];
    int n = numbers(call, 1, starts, x->rank), n_steps = numbers(call, 4, steps, LATHE_MAX_RANK);
    if (n < 0 || numbers(call, 2, ends, LATHE_MAX_RANK) != n || (n_steps != -1 && n_steps != n) || x->rank != call->out[0].rank ||
        !axes_of(call, 3, x->rank, n, axes)) {
        return false;
    }
    memcpy(dims, x->dims, (size_t)x->rank * sizeof *dims);
    for (int i = 0; i < n; i++) {
        int64_t step = n_steps < 0 ? 1 : steps[i];
        if (step == 0) {
            return false;
        }
        dims[axes[i]] = slice_length(starts[i], ends[i], step, x->dims[axes[i]]);
    }
    return true;
}

static bool pad(const lathe_call *call, int64_t *dims)
{
    const lathe_buffer *x = input(call, 0);
    int64_t pads[2 * LATHE_MAX_RANK], axes[LATHE_MAX_RANK];
    int n = numbers(call, 1, pads, 2 * x->rank);
    if (n < 0 || n % 2 != 0 || x->rank != call->out[0].rank || !axes_of(call, 3, x->rank, n / 2, axes)) {
        return false;
    }
    memcpy(dims, x->dims, (size_t)x->rank * sizeof *dims);
    for (int i = 0; i < n / 2; i++) {
        int64_t *d = &dims[axes[i]];
        if (!lt_i64_add(*d, pads[i], d) || !lt_i64_add(*d, pads[i + n / 2], d)) {
            return false;
        }
    }
    return true;
}

static bool expand(const lathe_call *call, int64_t *dims)
{
    const lathe_buffer *x = input(call, 0);
    int rank = call->out[0].rank, n = numbers(call, 1, dims, LATHE_MAX_RANK), more = rank - n;
    if (n < 0 || more < 0 || x->rank > rank || (n < rank && x->rank < rank)) {
        return false;
    }
    memmove(dims + more, dims, (size_t)n * sizeof *dims);
    for (int i = 0; i < rank; i++) {
        int64_t d = i < rank - x->rank ? 1 : x->dims[i - (rank - x->rank)], wanted = i < more ? 1 : dims[i];
        dims[i] = wanted == 1 ? d : wanted;
        if (d != 1 && dims[i] != d) {
            return false;
        }
    }
    return true;
}

static bool tile(const lathe_call *call, int64_t *dims)
{
    const lathe_buffer *x = input(call, 0);
    int n = numbers(call, 1, dims, LATHE_MAX_RANK);
    for (int i = 0; i < n && n == x->rank; i++) {
        if (dims[i] < 0 || !lt_i64_mul(dims[i], x->dims[i], &dims[i])) {
            return false;
        }
    }
    return n == x->rank && n == call->out[0].rank;
}

static const struct {
    const char *op;
    bool (*extents)(const lathe_call *call, int64_t *dims);
} sized[] = { { "Concat", concat }, { "Slice", slice }, { "Pad", pad }, { "Expand", expand }, { "Tile", tile } };

bool lt_move_sized(const char *op)
{
    for (size_t i = 0; i < LT_COUNT(sized); i++) {
        if (strcmp(sized[i].op, op) == 0) {
            return true;
        }
    }
    return false;
}

bool lt_move_extents(const lathe_call *call, int64_t *dims)
{
    for (size_t i = 0; i < LT_COUNT(sized); i++) {
        if (strcmp(sized[i].op, call->problem->op) == 0) {
            return sized[i].extents(call, dims);
        }
    }
    return false;
}
