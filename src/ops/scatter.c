/*
 * scatter.c - ScatterND, ScatterElements, TensorScatter: a copy of a tensor with some elements replaced by, or
 * reduced with, updates. Updates apply in row-major order of the indices. A wrong index is an error, never a write
 * outside.
 */
#include "ops/move.h"

#include <math.h>

/* ---- Reductions ---- */

typedef enum reduction { REDUCE_NONE, REDUCE_ADD, REDUCE_MUL, REDUCE_MAX, REDUCE_MIN, REDUCE_BAD } reduction;

static reduction read_reduction(const lathe_attr *attrs, size_t n_attrs)
{
    static const char *const names[] = { "none", "add", "mul", "max", "min" };
    for (int k = 0; k < REDUCE_BAD; k++) {
        if (lt_attr_is(attrs, n_attrs, "reduction", names[k], "none")) {
            return (reduction)k;
        }
    }
    return REDUCE_BAD;
}

/* Refuses reductions that the element type does not have. */
static lathe_status check_reduction(lt_infer *c, lathe_dtype dtype)
{
    reduction how = read_reduction(c->attrs, c->n_attrs);
    lt_dtype_kind kind = lt_dtype_get(dtype)->kind;
    if (how == REDUCE_BAD) {
        return lt_infer_fail(c, "reduction must be none, add, mul, max or min");
    }
    if (how != REDUCE_NONE && (kind == LT_KIND_STRING || (kind == LT_KIND_COMPLEX && how >= REDUCE_MAX))) {
        return lt_infer_fail(c, "the reduction has no meaning for elements of type %s", lathe_dtype_name(dtype));
    }
    return LATHE_OK;
}

static double reduce_f64(reduction how, double a, double b)
{
    switch (how) {
    case REDUCE_ADD:
        return a + b;
    case REDUCE_MUL:
        return a * b;
    case REDUCE_MAX: /* NaN wins, as in Max */
        return a != a || a >= b ? a : b;
    case REDUCE_MIN:
        return a != a || a <= b ? a : b;
    default:
        return b;
    }
}

static int64_t reduce_i64(reduction how, bool is_unsigned, int64_t a, int64_t b)
{
    uint64_t x = (uint64_t)a, y = (uint64_t)b;
    bool less = is_unsigned ? x < y : a < b;
    switch (how) {
    case REDUCE_ADD:
        return (int64_t)(x + y);
    case REDUCE_MUL:
        return (int64_t)(x * y);
    case REDUCE_MAX:
        return less ? b : a;
    case REDUCE_MIN:
        return less ? a : b;
    default:
        return b;
    }
}

static void reduce_complex(reduction how, const lt_tensor *y, int64_t at, const lt_tensor *updates, int64_t from)
{
    double a[2], b[2];
    lt_load_complex(y->dtype, y->data, at, a);
    lt_load_complex(y->dtype, updates->data, from, b);
    double sum[2] = { a[0] + b[0], a[1] + b[1] };
    double product[2] = { a[0] * b[0] - a[1] * b[1], a[0] * b[1] + a[1] * b[0] };
    lt_store_complex(y->dtype, y->data, at, how == REDUCE_ADD ? sum : product);
}

/* n elements at y[at] reduced with updates[from]. */
static void reduce_run(reduction how, const lt_tensor *y, int64_t at, const lt_tensor *updates, int64_t from, int64_t n)
{
    const lt_dtype_info *info = lt_dtype_get(y->dtype);
    for (int64_t k = 0; k < n; k++, at++, from++) {
        if (info->kind == LT_KIND_COMPLEX) {
            reduce_complex(how, y, at, updates, from);
        } else if (info->kind == LT_KIND_FLOAT) {
            double b = lt_load_f64(y->dtype, updates->data, from);
            lt_store_f64(y->dtype, y->data, at, reduce_f64(how, lt_load_f64(y->dtype, y->data, at), b));
        } else if (info->kind == LT_KIND_BOOL) {
            bool a = lt_load_i64(y->dtype, y->data, at) != 0, b = lt_load_i64(y->dtype, updates->data, from) != 0;
            bool either = how == REDUCE_ADD || how == REDUCE_MAX;
            lt_store_i64(y->dtype, y->data, at, either ? a || b : a && b);
        } else {
            int64_t b = lt_load_i64(y->dtype, updates->data, from);
            int64_t a = lt_load_i64(y->dtype, y->data, at);
            lt_store_i64(y->dtype, y->data, at, reduce_i64(how, info->kind == LT_KIND_UNSIGNED, a, b));
        }
    }
}

/* n elements of updates go to y[at]. */
static void put_run(reduction how, const lt_tensor *y, int64_t at, const lt_tensor *updates, int64_t from, int64_t n)
{
    if (how != REDUCE_NONE) {
        reduce_run(how, y, at, updates, from, n);
        return;
    }
    size_t elem = lt_elem_bytes(y->dtype);
    lt_copy_bytes((char *)y->data + (size_t)at * elem, (const char *)updates->data + (size_t)from * elem,
                  (size_t)n * elem);
}

/* ---- ScatterND ---- */

/* Contents of a small vector with elements replaced. */
static lathe_status put_scattered(lt_infer *c)
{
    lt_dim v[LT_CONTENTS_MAX], with[LT_CONTENTS_MAX];
    int64_t count, n;
    const lt_tensor *at = c->values != NULL ? c->values[1] : NULL;
    reduction how = read_reduction(c->attrs, c->n_attrs);
    if (c->in[0]->rank != 1 || at == NULL || how > REDUCE_ADD) {
        return LATHE_OK;
    }
    LT_TRY(lt_move_contents(c, 0, v, &count));
    LT_TRY(lt_move_contents(c, 2, with, &n));
    if (count < 0 || n != lt_tensor_count(at)) {
        return LATHE_OK;
    }
    for (int64_t k = 0; k < n; k++) {
        int64_t index;
        if (!lt_wrap_index(lt_load_i64(at->dtype, at->data, k), count, &index)) {
            return lt_infer_fail(c, "index number %lld is out of range for %lld elements", (long long)k,
                                 (long long)count);
        }
        if (how == REDUCE_ADD) {
            LT_TRY(lt_dim_add(c->dims, v[index], with[k], &with[k], c->diag));
        }
        v[index] = with[k];
    }
    return lt_infer_set_contents(c, 0, v, count);
}

static lathe_status infer_scatter_nd(lt_infer *c)
{
    const lt_type *x = c->in[0], *indices = c->in[1], *updates = c->in[2];
    lt_dim ignored;
    LT_TRY(check_reduction(c, x->dtype));
    LT_TRY(lt_infer_same(c, 0, 0));
    if (x->rank < 0 || indices->rank < 0) {
        return LATHE_OK;
    }
    if (x->rank < 1 || indices->rank < 1) {
        return lt_infer_fail(c, "data and indices must have at least one axis");
    }
    lt_dim depth = indices->dims[indices->rank - 1];
    if (lt_dim_is_const(depth) && (depth.k < 1 || depth.k > x->rank)) {
        return lt_infer_fail(c, "index vectors of length %lld do not fit data of rank %d", (long long)depth.k, x->rank);
    }
    if (lt_dim_is_const(depth) && updates->rank >= 0) {
        int outer = indices->rank - 1, inner = x->rank - (int)depth.k;
        if (updates->rank != outer + inner) {
            return lt_infer_fail(c, "updates have rank %d instead of %d", updates->rank, outer + inner);
        }
        for (int k = 0; k < updates->rank; k++) {
            lt_dim expected = k < outer ? indices->dims[k] : x->dims[k - outer + (int)depth.k];
            LT_TRY(lt_move_equal(c, updates->dims[k], expected, "extents of updates", &ignored));
        }
    }
    return put_scattered(c);
}

static lathe_status eval_scatter_nd(lt_eval *c)
{
    const lt_tensor *x = lt_in(c, 0), *indices = lt_in(c, 1), *updates = lt_in(c, 2);
    lt_tensor *y = lt_out(c, 0);
    int64_t strides[LATHE_MAX_RANK], depth = indices->dims[indices->rank - 1], inner = 1, index;
    if (y == NULL) {
        return LATHE_OK;
    }
    lt_copy_bytes(y->data, x->data, x->bytes);
    lt_tensor_strides(x->rank, x->dims, strides);
    for (int k = (int)depth; k < x->rank; k++) {
        inner *= x->dims[k];
    }
    int64_t tuples = lt_tensor_count(indices) / depth;
    for (int64_t t = 0; t < tuples; t++) {
        int64_t at = 0;
        for (int64_t i = 0; i < depth; i++) {
            int64_t given = lt_load_i64(indices->dtype, indices->data, t * depth + i);
            if (!lt_wrap_index(given, x->dims[i], &index)) {
                return lt_eval_fail(c, "index %lld of tuple %lld is out of range for axis %lld of extent %lld",
                                    (long long)given, (long long)t, (long long)i, (long long)x->dims[i]);
            }
            at += index * strides[i];
        }
        put_run(read_reduction(c->attrs, c->n_attrs), y, at, updates, t * inner, inner);
    }
    return lt_own_strings(c, y);
}

/* ---- ScatterElements ---- */

static lathe_status infer_scatter_elements(lt_infer *c)
{
    const lt_type *x = c->in[0], *indices = c->in[1], *updates = c->in[2];
    lt_dim ignored;
    int axis;
    LT_TRY(check_reduction(c, x->dtype));
    LT_TRY(lt_infer_same(c, 0, 0));
    if (x->rank < 0) {
        return LATHE_OK;
    }
    LT_TRY(lt_infer_axis(c, lt_attr_i(c->attrs, c->n_attrs, "axis", 0), x->rank, &axis));
    if ((indices->rank >= 0 && indices->rank != x->rank) || (updates->rank >= 0 && updates->rank != x->rank)) {
        return lt_infer_fail(c, "data, indices and updates must have the same rank");
    }
    for (int k = 0; k < x->rank && indices->rank >= 0; k++) {
        if (updates->rank >= 0) {
            LT_TRY(lt_move_equal(c, indices->dims[k], updates->dims[k], "extents of indices and updates", &ignored));
        }
        bool known = lt_dim_is_const(x->dims[k]) && lt_dim_is_const(indices->dims[k]);
        if (k != axis && known && indices->dims[k].k > x->dims[k].k) {
            return lt_infer_fail(c, "indices have extent %lld on axis %d, data only %lld",
                                 (long long)indices->dims[k].k, k, (long long)x->dims[k].k);
        }
    }
    return x->rank == 1 ? put_scattered(c) : LATHE_OK;
}

static lathe_status eval_scatter_elements(lt_eval *c)
{
    const lt_tensor *x = lt_in(c, 0), *indices = lt_in(c, 1), *updates = lt_in(c, 2);
    lt_tensor *y = lt_out(c, 0);
    int64_t strides[LATHE_MAX_RANK], coords[LATHE_MAX_RANK] = { 0 }, k = 0, index;
    int axis = lt_eval_axis(c, "axis", 0, x->rank);
    reduction how = read_reduction(c->attrs, c->n_attrs);
    if (y == NULL) {
        return LATHE_OK;
    }
    lt_copy_bytes(y->data, x->data, x->bytes);
    lt_tensor_strides(x->rank, x->dims, strides);
    if (lt_tensor_count(indices) > 0) {
        do {
            int64_t given = lt_load_i64(indices->dtype, indices->data, k), at = 0;
            if (!lt_wrap_index(given, x->dims[axis], &index)) {
                return lt_eval_fail(c, "index %lld (number %lld) is out of range for an extent of %lld",
                                    (long long)given, (long long)k, (long long)x->dims[axis]);
            }
            for (int i = 0; i < x->rank; i++) {
                at += (i == axis ? index : coords[i]) * strides[i];
            }
            put_run(how, y, at, updates, k++, 1);
        } while (lt_next_coords(x->rank, indices->dims, coords));
    }
    return lt_own_strings(c, y);
}

static const lt_attr_spec attrs_scatter_nd[] = { { "reduction", LATHE_ATTR_STRING, false }, { 0 } };
static const lt_attr_spec attrs_scatter_elements[] = { { "axis", LATHE_ATTR_INT, false },
                                                       { "reduction", LATHE_ATTR_STRING, false },
                                                       { 0 } };

static const char *const samples_scatter_nd[] = {
    "f32[8] x = rand(1), i64[3,1] i = {4, -5, 1}, f32[3] u = rand(2) | y = ScatterND (x, i, u)",
    "f32[3,2,2] x = rand(1), i64[2,1] i = {0, 0}, f32[2,2,2] u = rand(2) | y = ScatterND <reduction = \"add\"> (x, i, "
    "u)",
    "i32[2,3] x = {1, 2, 3, 4, 5, 6}, i64[3,2] i = {0, 1, 1, 2, 0, 1}, i32[3] u = {7, 2, 3} | y = ScatterND <reduction "
    "= \"mul\"> (x, i, u)",
    "f64[4] x = rand(1), i64[2,1] i = {3, 3}, f64[2] u = rand(2) | y = ScatterND <reduction = \"max\"> (x, i, u)",
    "f16[4] x = rand(1), i64[0,1] i = iota, f16[0] u = rand(2) | y = ScatterND <reduction = \"min\"> (x, i, u)",
    NULL,
};
static const char *const samples_scatter_elements[] = {
    "f32[3,3] x = rand(1), i64[2,3] i = {1, 0, 2, 0, 2, 1}, f32[2,3] u = rand(2) | y = ScatterElements (x, i, u)",
    "f32[1,5] x = rand(1), i32[1,2] i = {1, -1}, f32[1,2] u = rand(2) | y = ScatterElements <axis = 1> (x, i, u)",
    "i64[1,5] x = iota, i64[1,3] i = {1, 1, 3}, i64[1,3] u = {10, 20, 30} | y = ScatterElements <axis = -1, reduction "
    "= \"add\"> (x, i, u)",
    NULL,
};

LT_OPS(scatter) = {
    {
        .name = "ScatterND",
        .since = 18,
        .sig = "(T data, i64 indices, T updates) -> (T output); T: " LT_PLAIN,
        .attrs = attrs_scatter_nd,
        .infer = infer_scatter_nd,
        .eval = eval_scatter_nd,
        .samples = samples_scatter_nd,
    },
    {
        .name = "ScatterElements",
        .since = 18,
        .sig = "(T data, I indices, T updates) -> (T output); T: " LT_PLAIN ", I: i32 i64",
        .attrs = attrs_scatter_elements,
        .infer = infer_scatter_elements,
        .eval = eval_scatter_elements,
        .samples = samples_scatter_elements,
    },
    { 0 },
};
