/*
 * shape_of.c - Shape and Size: extents as values. They read no elements, and their contents are known wherever the
 * rank is.
 */
#include "ops/move.h"

/* The axes [begin, end) that Shape's attributes select of `rank`. */
static void select_axes(const lathe_attr *attrs, size_t n_attrs, int rank, int *begin, int *end)
{
    int64_t bounds[2] = { lt_attr_i(attrs, n_attrs, "start", 0), lt_attr_i(attrs, n_attrs, "end", rank) };
    for (int k = 0; k < 2; k++) {
        if (bounds[k] < 0) {
            bounds[k] += rank;
        }
        bounds[k] = bounds[k] < 0 ? 0 : bounds[k] > rank ? rank : bounds[k];
    }
    *begin = (int)bounds[0];
    *end = (int)(bounds[1] < bounds[0] ? bounds[0] : bounds[1]);
}

static lathe_status infer_shape(lt_infer *c)
{
    const lt_type *x = c->in[0];
    int begin, end;
    if (x->rank < 0) {
        lt_dim length;
        LT_TRY(lt_infer_fresh(c, lt_dim_const(0), lt_dim_const(LATHE_MAX_RANK), &length));
        return lt_infer_out(c, 0, LATHE_DTYPE_I64, 1, &length);
    }
    select_axes(c->attrs, c->n_attrs, x->rank, &begin, &end);
    lt_dim length = lt_dim_const(end - begin);
    LT_TRY(lt_infer_out(c, 0, LATHE_DTYPE_I64, 1, &length));
    return lt_infer_set_contents(c, 0, x->dims + begin, end - begin);
}

static lathe_status eval_shape(lt_eval *c)
{
    const lt_tensor *x = lt_in(c, 0);
    lt_tensor *y = lt_out(c, 0);
    int begin, end;
    if (y == NULL) {
        return LATHE_OK;
    }
    select_axes(c->attrs, c->n_attrs, x->rank, &begin, &end);
    lt_copy_bytes(y->data, x->dims + begin, (size_t)(end - begin) * sizeof(int64_t));
    return LATHE_OK;
}

static lathe_status infer_size(lt_infer *c)
{
    const lt_type *x = c->in[0];
    lt_dim size;
    LT_TRY(lt_infer_out(c, 0, LATHE_DTYPE_I64, 0, NULL));
    if (x->rank < 0) {
        return LATHE_OK;
    }
    LT_TRY(lt_dims_product(c, x->dims, 0, x->rank, &size));
    return lt_infer_set_contents(c, 0, &size, 1);
}

static lathe_status eval_size(lt_eval *c)
{
    lt_tensor *y = lt_out(c, 0);
    if (y != NULL) {
        lt_store_i64(LATHE_DTYPE_I64, y->data, 0, lt_tensor_count(lt_in(c, 0)));
    }
    return LATHE_OK;
}

static const lt_attr_spec attrs_shape[] = { { "start", LATHE_ATTR_INT, false },
                                            { "end", LATHE_ATTR_INT, false },
                                            { 0 } };

static const char *const samples_shape[] = {
    "f32[2,3,5] x = rand(1) | y = Shape (x)",
    "f32[2,3,5] x = rand(1) | y = Shape <start = -2, end = 9> (x)",
    "f32[2,3,5] x = rand(1) | y = Shape <start = 2, end = 1> (x)",
    "i8[] x = {1} | y = Shape (x)",
    NULL,
};
static const char *const samples_size[] = {
    "f32[2,3,5] x = rand(1) | y = Size (x)",
    "f32[2,0,5] x = rand(1) | y = Size (x)",
    "i8[] x = {1} | y = Size (x)",
    NULL,
};

LT_OPS(shape_of) = {
    {
        .name = "Shape",
        .since = 25,
        .traits = LT_OP_SHAPE,
        .sig = "(T data) -> (i64 shape); T: all",
        .attrs = attrs_shape,
        .infer = infer_shape,
        .eval = eval_shape,
        .samples = samples_shape,
    },
    {
        .name = "Size",
        .since = 25,
        .traits = LT_OP_SHAPE,
        .sig = "(T data) -> (i64 size); T: all",
        .infer = infer_size,
        .eval = eval_size,
        .samples = samples_size,
    },
    { 0 },
};
