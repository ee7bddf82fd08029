/*
 * nonzero_scan.c - tactic nonzero.scan: NonZero of plain tensors of whole numbers, truth values and floats. Each thread counts in its part of the elements,
 * then writes behind those in front of it: first the places as numbers, then the coordinates that these stand for.
 */
#include "backend/cpu/product.h"
#include "backend/cpu/settle.h"
#include <string.h>

/* Bits of an element that make it other than zero: all, but for the sign of floats. 0: a type that is not taken. */
static uint64_t mask_of(lathe_dtype dtype)
{
    unsigned bits = lathe_dtype_bits(dtype);
    uint64_t all = bits < 64 ? (UINT64_C(1) << bits) - 1 : UINT64_MAX;
    if (lt_lane_of(dtype) == LT_LANE_NONE) {
        return 0;
    }
    return lt_dtype_is_float(dtype) ? all >> 1 : all;
}

static int fits(const lathe_problem *p, uint32_t config, lathe_fit *fit)
{
    const lathe_operand *x = lt_root_operand(p, 0, NULL);
    (void)config;
    if (p->n_instrs > 0 || p->n_out != 1 || !x || x->rank < 0 || (x->flags & LATHE_OPERAND_MANAGED)) {
        return lt_no(fit, "part of a group, or an input of unknown rank");
    }
    if (mask_of(x->dtype) == 0) {
        return lt_no(fit, "elements of type %s", lathe_dtype_name(x->dtype));
    }
    if ((p->out[0].flags & (LATHE_OPERAND_MANAGED | LATHE_OPERAND_ABSENT)) || p->out[0].rank != 2 ||
        p->out[0].dtype != LATHE_DTYPE_I64) {
        return lt_no(fit, "the output has no upper bound");
    }
    fit->cost = 150 + lt_operand_elements(x) * (1.5 + (x->rank > 1 ? 2.0 : 0) * x->rank);
    return 1;
}

static inline bool is_set(const char *x, int64_t i, size_t size, uint64_t mask)
{
    uint64_t bits = 0;
    memcpy(&bits, x + i * (int64_t)size, size); /* the low bytes: everything here is little-endian */
    return (bits & mask) != 0;
}

static inline int64_t count_sized(const char *x, int64_t begin, int64_t end, size_t size, uint64_t mask)
{
    int64_t n = 0;
    for (int64_t i = begin; i < end; i++) {
        n += is_set(x, i, size, mask);
    }
    return n;
}

static inline void list_sized(const char *x, int64_t begin, int64_t count, size_t size, uint64_t mask, int64_t *to)
{
    int64_t at = 0;
    for (int64_t i = begin; at < count; i++) { /* without branches: a place that turns out unset is written over */
        to[at] = i;
        at += is_set(x, i, size, mask);
    }
}

static int64_t count_set(const char *x, int64_t begin, int64_t end, size_t size, uint64_t mask)
{
    switch (size) {
    case 1:
        return count_sized(x, begin, end, 1, 0xff);
    case 2:
        return count_sized(x, begin, end, 2, mask);
    case 4:
        return count_sized(x, begin, end, 4, mask);
    default:
        return count_sized(x, begin, end, 8, mask);
    }
}

/* Places of the next `count` elements that are set, the first not before `begin`. */
static void list_set(const char *x, int64_t begin, int64_t count, size_t size, uint64_t mask, int64_t *to)
{
    switch (size) {
    case 1:
        list_sized(x, begin, count, 1, 0xff, to);
        break;
    case 2:
        list_sized(x, begin, count, 2, mask, to);
        break;
    case 4:
        list_sized(x, begin, count, 4, mask, to);
        break;
    default:
        list_sized(x, begin, count, 8, mask, to);
        break;
    }
}

/* The last row of y holds places, in ascending order; each gives way to its coordinates. */
static void spread(const lathe_buffer *x, int64_t *y, int64_t total, int64_t first, int64_t end)
{
    int last = x->rank - 1;
    int64_t extent = x->dims[last], row = -1;
    for (int64_t j = first; j < end; j++) {
        int64_t place = y[last * total + j];
        if (row < 0 || place - row >= extent) { /* else the same coordinates but for the last */
            int64_t left = place / extent;
            row = left * extent;
            for (int k = last; k-- > 0; left /= x->dims[k]) {
                y[k * total + j] = left % x->dims[k];
            }
        } else {
            for (int k = last; k-- > 0;) {
                y[k * total + j] = y[k * total + j - 1];
            }
        }
        y[last * total + j] = place - row;
    }
}

static size_t scratch_bytes(const lathe_problem *p, uint32_t config, const lathe_buffer *in, const lathe_buffer *out, int threads)
{
    (void)p, (void)config, (void)in, (void)out;
    return lt_settle_piece((size_t)threads * sizeof(int64_t));
}

static lathe_status run(const lathe_gang *gang, const lathe_call *call, lathe_diag *diag)
{
    const lathe_problem *p = call->problem;
    uint16_t nx;
    lathe_dtype dtype = lt_root_operand(p, 0, &nx)->dtype;
    const lathe_buffer *x = &call->in[nx];
    size_t size = lathe_dtype_bits(dtype) / 8;
    int64_t elements, begin, end, *counts = call->scratch, before = 0, total = 0;
    if (!lt_extents_sane(x->rank, x->dims) || !lt_dims_count(x->dims, x->rank, &elements)) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, p->op, NULL, "the input has impossible extents");
    }
    lathe_gang_split(gang, elements, 64, &begin, &end);
    counts[gang->index] = count_set(x->data, begin, end, size, mask_of(dtype));
    gang->barrier(gang);
    for (int t = 0; t < gang->count; t++) {
        before += t < gang->index ? counts[t] : 0;
        total += counts[t];
    }
    const int64_t dims[2] = { x->rank, total };
    int64_t mine = counts[gang->index], *y = call->out[0].data;
    LT_TRY(lt_settle_check(call, 0, 2, dims, diag));
    if (x->rank > 0) {
        list_set(x->data, begin, mine, size, mask_of(dtype), y + (x->rank - 1) * total + before);
    }
    if (x->rank > 1) {
        spread(x, y, total, before, before + mine);
    }
    lt_settle(gang, call, 0, dims);
    return LATHE_OK;
}

LT_TACTICS(nonzero_scan) = {
    { .struct_size = sizeof(lathe_tactic),
      .name = "nonzero.scan",
      .version = 1,
      .summary = "NonZero by counting, then listing",
      .ops = "NonZero",
      .device = LATHE_SPACE_HOST,
      .configs = 1,
      .fits = fits,
      .scratch_bytes = scratch_bytes,
      .run = run },
    { .name = NULL },
};
