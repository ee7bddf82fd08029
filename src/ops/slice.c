/*
 * slice.c - Slice: a box with steps cut out of a tensor. Extents are exact for symbolic dims as well, as expressions
 * of min, max and ceil-div.
 */
#include "ops/move.h"

/* ---- Numbers ---- */

static int64_t clamp(int64_t value, int64_t low, int64_t high)
{
    return value < low ? low : value > high ? high : value;
}

/* First element and number of elements along an axis of extent d. step is not 0. */
static void cut(int64_t d, int64_t start, int64_t end, int64_t step, int64_t *first, int64_t *count)
{
    *first = 0;
    *count = 0;
    if (d == 0) {
        return;
    }
    start = start < 0 ? start + d : start;
    end = end < 0 ? end + d : end;
    if (step > 0) {
        start = clamp(start, 0, d);
        end = clamp(end, 0, d);
        *count = end > start ? (end - start - 1) / step + 1 : 0;
    } else {
        /* A step beyond the extent counts like the extent; this keeps -step in range. */
        int64_t stride = step < -d ? d : -step;
        start = clamp(start, 0, d - 1);
        end = clamp(end, -1, d - 1);
        *count = start > end ? (start - end - 1) / stride + 1 : 0;
    }
    *first = start;
}

/* ---- Symbols ---- */

/* -1 below zero, 1 not below, 0 unknown. */
static int sign_of(const lt_infer *c, lt_dim d)
{
    int64_t lo = d.k, hi = d.k;
    if (!lt_dim_is_const(d)) {
        lt_dim_bounds(c->dims, d, &lo, &hi);
    }
    return lo >= 0 ? 1 : hi < 0 ? -1 : 0;
}

/* value + d for negative values. */
static lathe_status wrap(lt_infer *c, lt_dim value, lt_dim d, lt_dim *out)
{
    int sign = sign_of(c, value);
    lt_dim shifted, negative;
    if (sign > 0) {
        *out = value;
        return LATHE_OK;
    }
    LT_TRY(lt_dim_add(c->dims, value, d, &shifted, c->diag));
    if (sign < 0) {
        *out = shifted;
        return LATHE_OK;
    }
    LT_TRY(lt_dim_make(c->dims, LT_DIM_LT, value, lt_dim_const(0), &negative, c->diag));
    return lt_dim_select(c->dims, negative, shifted, value, out, c->diag);
}

/* max(0, ceil((to - from) / step)), step > 0. */
static lathe_status steps_between(lt_infer *c, lt_dim from, lt_dim to, int64_t step, lt_dim *out)
{
    lt_dim length;
    LT_TRY(lt_dim_sub(c->dims, to, from, &length, c->diag));
    if (!lt_dim_proves_le(c->dims, from, to)) {
        LT_TRY(lt_move_max(c, length, lt_dim_const(0), &length));
    }
    return lt_dim_make(c->dims, LT_DIM_CEILDIV, length, lt_dim_const(step), out, c->diag);
}

/* Constants from here on mean "to the very end": exporters write INT32_MAX as often as INT64_MAX. */
#define FAR_END   INT32_MAX
#define FAR_START (-(int64_t)INT32_MAX)

static bool is_far_end(const lt_infer *c, lt_dim end, lt_dim d)
{
    return lt_dim_same(end, d) || (lt_dim_is_const(end) && end.k >= FAR_END) ||
           (sign_of(c, end) > 0 && lt_dim_proves_le(c->dims, d, end));
}

static lathe_status cut_forward(lt_infer *c, lt_dim d, lt_dim start, lt_dim end, int64_t step, lt_dim *out)
{
    lt_dim from, to;
    bool whole = is_far_end(c, end, d);
    if (lt_dim_is_const(start) && start.k <= FAR_START) {
        start = lt_dim_const(0);
    }
    if (whole && lt_dim_is_const(start) && start.k < 0) {
        /* The last -start elements, or all. */
        LT_TRY(lt_move_min(c, lt_dim_const(-start.k), d, &to));
        return lt_dim_make(c->dims, LT_DIM_CEILDIV, to, lt_dim_const(step), out, c->diag);
    }
    if (lt_dim_is_const(end) && end.k <= FAR_START) {
        *out = lt_dim_const(0);
        return LATHE_OK;
    }
    LT_TRY(wrap(c, start, d, &from));
    if (sign_of(c, start) <= 0) {
        LT_TRY(lt_move_max(c, from, lt_dim_const(0), &from));
    }
    if (whole) {
        to = d;
    } else {
        LT_TRY(wrap(c, end, d, &to));
        if (sign_of(c, end) >= 0) {
            LT_TRY(lt_move_min(c, to, d, &to));
        }
    }
    /* `from` above d and `to` below 0 need no clamping: the number of steps is 0 then. */
    return steps_between(c, from, to, step, out);
}

static lathe_status cut_backward(lt_infer *c, lt_dim d, lt_dim start, lt_dim end, int64_t stride, lt_dim *out)
{
    lt_dim from, to, last;
    LT_TRY(lt_dim_add(c->dims, d, lt_dim_const(-1), &last, c->diag));
    if (lt_dim_is(start, -1) || (lt_dim_is_const(start) && start.k >= FAR_END)) {
        from = last;
    } else {
        LT_TRY(wrap(c, start, d, &from));
        if (sign_of(c, start) <= 0) {
            LT_TRY(lt_move_max(c, from, lt_dim_const(0), &from));
        }
        LT_TRY(lt_move_min(c, from, last, &from));
    }
    if (lt_dim_is_const(end) && end.k <= FAR_START) {
        to = lt_dim_const(-1);
    } else {
        LT_TRY(wrap(c, end, d, &to));
        LT_TRY(lt_move_max(c, to, lt_dim_const(-1), &to));
    }
    return steps_between(c, to, from, stride, out);
}

/* Extent of one axis after the cut. */
static lathe_status cut_dim(lt_infer *c, lt_dim d, lt_dim start, lt_dim end, lt_dim step, lt_dim *out)
{
    if (lt_dim_is(step, 0)) {
        return lt_infer_fail(c, "a step is 0");
    }
    if (!lt_dim_is_const(step)) {
        return lt_infer_fresh(c, lt_dim_const(0), d, out);
    }
    if (lt_dim_is_const(d) && lt_dim_is_const(start) && lt_dim_is_const(end)) {
        int64_t first, count;
        cut(d.k, start.k, end.k, step.k, &first, &count);
        *out = lt_dim_const(count);
        return LATHE_OK;
    }
    if (step.k > 0) {
        return cut_forward(c, d, start, end, step.k, out);
    }
    return cut_backward(c, d, start, end, step.k == INT64_MIN ? INT64_MAX : -step.k, out);
}

/* ---- Slice ---- */

/* What the inputs say of one node; count -1: unknown. */
typedef struct cuts {
    lt_dim start[LT_CONTENTS_MAX], end[LT_CONTENTS_MAX], step[LT_CONTENTS_MAX];
    int64_t n_start, n_end, n_step;
    int axes[LATHE_MAX_RANK], n_axes;
} cuts;

static lathe_status read_cuts(lt_infer *c, int rank, cuts *cut)
{
    int64_t length = -1;
    for (int i = 1; i < 5; i++) {
        int64_t n;
        LT_TRY(lt_move_length(c, i, &n));
        if (n >= 0 && length >= 0 && n != length) {
            return lt_infer_fail(c, "starts, ends, axes and steps have different lengths, %lld and %lld",
                                 (long long)length, (long long)n);
        }
        length = n >= 0 ? n : length;
    }
    if (length > rank) {
        return lt_infer_fail(c, "%lld starts for a tensor of rank %d", (long long)length, rank);
    }
    LT_TRY(lt_infer_ints(c, 1, cut->start, &cut->n_start));
    LT_TRY(lt_infer_ints(c, 2, cut->end, &cut->n_end));
    LT_TRY(lt_infer_ints(c, 4, cut->step, &cut->n_step));
    LT_TRY(lt_infer_axes(c, NULL, 3, rank, cut->axes, &cut->n_axes));
    if (c->n_in <= 3 || c->in[3] == NULL) {
        cut->n_axes = length >= 0 ? (int)length : -1;
        for (int k = 0; k < cut->n_axes; k++) {
            cut->axes[k] = k;
        }
    }
    if (c->n_in <= 4 || c->in[4] == NULL) {
        cut->n_step = length;
        for (int64_t k = 0; k < length; k++) {
            cut->step[k] = lt_dim_const(1);
        }
    }
    return LATHE_OK;
}

/* Contents of a vector cut by constants. */
static lathe_status put_cut(lt_infer *c, const cuts *by)
{
    lt_dim v[LT_CONTENTS_MAX], all[LT_CONTENTS_MAX];
    int64_t count, first, n;
    LT_TRY(lt_move_contents(c, 0, v, &count));
    if (c->in[0]->rank != 1 || count < 0 || by->n_axes < 0 || by->n_start < 0 || by->n_end < 0 || by->n_step < 0) {
        return LATHE_OK;
    }
    if (by->n_axes == 0) {
        return lt_infer_set_contents(c, 0, v, count);
    }
    if (!lt_dim_is_const(by->start[0]) || !lt_dim_is_const(by->end[0]) || !lt_dim_is_const(by->step[0])) {
        return LATHE_OK;
    }
    cut(count, by->start[0].k, by->end[0].k, by->step[0].k, &first, &n);
    for (int64_t k = 0; k < n; k++) {
        all[k] = v[k == 0 ? first : first + k * by->step[0].k];
    }
    return lt_infer_set_contents(c, 0, all, n);
}

static lathe_status infer_slice(lt_infer *c)
{
    const lt_type *x = c->in[0];
    lt_dim dims[LATHE_MAX_RANK];
    cuts by;
    if (x->rank < 0) {
        return lt_infer_out(c, 0, x->dtype, -1, NULL);
    }
    LT_TRY(read_cuts(c, x->rank, &by));
    for (int k = 0; k < x->rank; k++) {
        dims[k] = x->dims[k];
        if (by.n_axes < 0) {
            LT_TRY(lt_infer_fresh(c, lt_dim_const(0), x->dims[k], &dims[k]));
        }
    }
    for (int i = 0; i < by.n_axes; i++) {
        int k = by.axes[i];
        if (by.n_start < 0 || by.n_end < 0 || by.n_step < 0) {
            LT_TRY(lt_infer_fresh(c, lt_dim_const(0), x->dims[k], &dims[k]));
        } else {
            LT_TRY(cut_dim(c, x->dims[k], by.start[i], by.end[i], by.step[i], &dims[k]));
        }
    }
    LT_TRY(lt_infer_out(c, 0, x->dtype, x->rank, dims));
    return put_cut(c, &by);
}

static lathe_status eval_slice(lt_eval *c)
{
    const lt_tensor *x = lt_in(c, 0);
    lt_tensor *y = lt_out(c, 0);
    const int64_t *start, *end, *axes, *step;
    int64_t n, n_end, n_axes, n_step, count;
    int64_t src[LATHE_MAX_RANK], dst[LATHE_MAX_RANK], first[LATHE_MAX_RANK] = { 0 }, by[LATHE_MAX_RANK], base = 0;
    if (y == NULL || lt_tensor_count(y) == 0) {
        return LATHE_OK;
    }
    LT_TRY(lt_eval_ints(c, 1, &start, &n));
    LT_TRY(lt_eval_ints(c, 2, &end, &n_end));
    LT_TRY(lt_eval_ints(c, 3, &axes, &n_axes));
    LT_TRY(lt_eval_ints(c, 4, &step, &n_step));
    for (int k = 0; k < x->rank; k++) {
        by[k] = 1;
    }
    for (int64_t i = 0; i < n; i++) {
        int64_t k = axes == NULL ? i : axes[i] < 0 ? axes[i] + x->rank : axes[i];
        by[k] = step != NULL ? step[i] : 1;
        cut(x->dims[k], start[i], end[i], by[k], &first[k], &count);
        by[k] = count > 1 ? by[k] : 1; /* a step that is never taken may be larger than memory */
    }
    lt_box box = { 0 };
    lt_tensor_strides(x->rank, x->dims, src);
    lt_tensor_strides(y->rank, y->dims, dst);
    for (int k = 0; k < y->rank; k++) {
        base += first[k] * src[k];
        lt_box_axis(&box, y->dims[k], by[k] * src[k], dst[k]);
    }
    size_t elem = lt_elem_bytes(x->dtype);
    lt_box_copy(&box, elem, (const char *)x->data + base * (int64_t)elem, y->data);
    return lt_own_strings(c, y);
}

static const char *const samples_slice[] = {
    "f32[5,7] x = rand(1), i64[2] s = {1, 0}, i64[2] e = {4, 6} | y = Slice (x, s, e)",
    "f32[5,7] x = rand(1), i64[1] s = {-1}, i64[1] e = {-100}, i64[1] a = {-1}, i64[1] t = {-2} | y = Slice (x, s, e, "
    "a, t)",
    "i32[3,9] x = iota, i32[1] s = {2}, i32[1] e = {1000}, i32[1] a = {1}, i32[1] t = {3} | y = Slice (x, s, e, a, t)",
    "f64[4] x = rand(1), i64[1] s = {3}, i64[1] e = {1} | y = Slice (x, s, e)",
    "u8[2,3,5] x = iota, i64[2] s = {0, -3}, i64[2] e = {1, -1}, i64[2] a = {0, -1} | y = Slice (x, s, e, a)",
    NULL,
};

LT_OPS(slice) = {
    {
        .name = "Slice",
        .since = 13,
        .host_inputs = 1u << 1 | 1u << 2 | 1u << 3 | 1u << 4,
        .sig = "(T data, I starts, I ends, I? axes, I? steps) -> (T output); T: " LT_PLAIN ", I: i32 i64",
        .infer = infer_slice,
        .eval = eval_slice,
        .samples = samples_slice,
    },
    { 0 },
};
