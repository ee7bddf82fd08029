/*
 * depth_to_space.c - DepthToSpace and SpaceToDepth: blocks of the image exchanged with channels. Both are one
 * transposed copy of six axes.
 */
#include "ops/move.h"

static lathe_status read_block(lt_infer *c, int64_t *block)
{
    *block = lt_attr_i(c->attrs, c->n_attrs, "blocksize", 0);
    if (*block < 1 || *block > INT32_MAX) {
        return lt_infer_fail(c, "blocksize %lld is out of range", (long long)*block);
    }
    if (lt_infer_known_rank(c, 0) && c->in[0]->rank != 4) {
        return lt_infer_fail(c, "the input must be a tensor of rank 4, not %d", c->in[0]->rank);
    }
    return LATHE_OK;
}

/* d / by, which must be exact where d is known. */
static lathe_status divide(lt_infer *c, lt_dim d, int64_t by, const char *what, lt_dim *out)
{
    if (lt_dim_is_const(d) && d.k % by != 0) {
        return lt_infer_fail(c, "%s %lld is no multiple of %lld", what, (long long)d.k, (long long)by);
    }
    return lt_dim_make(c->dims, LT_DIM_FLOORDIV, d, lt_dim_const(by), out, c->diag);
}

static lathe_status infer_depth_to_space(lt_infer *c)
{
    int64_t block;
    LT_TRY(read_block(c, &block));
    if (!lt_attr_is(c->attrs, c->n_attrs, "mode", "DCR", "DCR") &&
        !lt_attr_is(c->attrs, c->n_attrs, "mode", "CRD", "DCR")) {
        return lt_infer_fail(c, "mode must be DCR or CRD");
    }
    if (!lt_infer_known_rank(c, 0)) {
        return lt_infer_out(c, 0, c->in[0]->dtype, -1, NULL);
    }
    const lt_dim *x = c->in[0]->dims, by = lt_dim_const(block);
    lt_dim dims[4] = { x[0] };
    LT_TRY(divide(c, x[1], block * block, "the number of channels", &dims[1]));
    LT_TRY(lt_dim_mul(c->dims, x[2], by, &dims[2], c->diag));
    LT_TRY(lt_dim_mul(c->dims, x[3], by, &dims[3], c->diag));
    return lt_infer_out(c, 0, c->in[0]->dtype, 4, dims);
}

static lathe_status infer_space_to_depth(lt_infer *c)
{
    int64_t block;
    LT_TRY(read_block(c, &block));
    if (!lt_infer_known_rank(c, 0)) {
        return lt_infer_out(c, 0, c->in[0]->dtype, -1, NULL);
    }
    const lt_dim *x = c->in[0]->dims;
    lt_dim dims[4] = { x[0] };
    LT_TRY(lt_dim_mul(c->dims, x[1], lt_dim_const(block * block), &dims[1], c->diag));
    LT_TRY(divide(c, x[2], block, "the height", &dims[2]));
    LT_TRY(divide(c, x[3], block, "the width", &dims[3]));
    return lt_infer_out(c, 0, c->in[0]->dtype, 4, dims);
}

/*
 * The deep side has channels (block row, block column, channel) when `blocks_first` (DCR, SpaceToDepth), else
 * (channel, block row, block column). The wide side is [n, channel, h, block row, w, block column].
 */
static void exchange(const lt_tensor *deep, int64_t block, bool blocks_first, bool to_wide, const char *src, char *dst)
{
    int64_t h = deep->dims[2], w = deep->dims[3], channels = deep->dims[1] / (block * block);
    int64_t plane = h * w, row = w * block;
    int64_t step_c = blocks_first ? plane : plane * block * block;
    int64_t step_b = blocks_first ? plane * channels : plane;
    const int64_t dims[6] = { deep->dims[0], channels, h, block, w, block };
    const int64_t deep_steps[6] = { plane * deep->dims[1], step_c, w, step_b * block, 1, step_b };
    const int64_t wide_steps[6] = { plane * deep->dims[1], plane * block * block, row * block, row, block, 1 };
    lt_box box = { 0 };
    for (int k = 0; k < 6; k++) {
        lt_box_axis(&box, dims[k], to_wide ? deep_steps[k] : wide_steps[k], to_wide ? wide_steps[k] : deep_steps[k]);
    }
    lt_box_copy(&box, lt_elem_bytes(deep->dtype), src, dst);
}

static lathe_status eval_depth_to_space(lt_eval *c)
{
    const lt_tensor *x = lt_in(c, 0);
    lt_tensor *y = lt_out(c, 0);
    bool blocks_first = lt_attr_is(c->attrs, c->n_attrs, "mode", "DCR", "DCR");
    if (y == NULL || lt_tensor_count(y) == 0) {
        return LATHE_OK;
    }
    exchange(x, lt_attr_i(c->attrs, c->n_attrs, "blocksize", 1), blocks_first, true, x->data, y->data);
    return lt_own_strings(c, y);
}

static lathe_status eval_space_to_depth(lt_eval *c)
{
    const lt_tensor *x = lt_in(c, 0);
    lt_tensor *y = lt_out(c, 0);
    if (y == NULL || lt_tensor_count(y) == 0) {
        return LATHE_OK;
    }
    exchange(y, lt_attr_i(c->attrs, c->n_attrs, "blocksize", 1), true, false, x->data, y->data);
    return lt_own_strings(c, y);
}

static const lt_attr_spec attrs_depth_to_space[] = { { "blocksize", LATHE_ATTR_INT, true },
                                                     { "mode", LATHE_ATTR_STRING, false },
                                                     { 0 } };
static const lt_attr_spec attrs_space_to_depth[] = { { "blocksize", LATHE_ATTR_INT, true }, { 0 } };

static const char *const samples_depth_to_space[] = {
    "f32[1,8,2,3] x = rand(1) | y = DepthToSpace <blocksize = 2> (x)",
    "f32[2,9,3,1] x = rand(1) | y = DepthToSpace <blocksize = 3, mode = \"CRD\"> (x)",
    "f32[1,4,1,5] x = rand(1) | y = DepthToSpace <blocksize = 1, mode = \"CRD\"> (x)",
    NULL,
};
static const char *const samples_space_to_depth[] = {
    "f32[1,2,4,6] x = rand(1) | y = SpaceToDepth <blocksize = 2> (x)",
    "f32[2,1,3,9] x = rand(1) | y = SpaceToDepth <blocksize = 3> (x)",
    NULL,
};

LT_OPS(depth_to_space) = {
    {
        .name = "DepthToSpace",
        .since = 13,
        .sig = "(T input) -> (T output); T: " LT_PLAIN,
        .attrs = attrs_depth_to_space,
        .infer = infer_depth_to_space,
        .eval = eval_depth_to_space,
        .samples = samples_depth_to_space,
    },
    {
        .name = "SpaceToDepth",
        .since = 13,
        .sig = "(T input) -> (T output); T: " LT_PLAIN,
        .attrs = attrs_space_to_depth,
        .infer = infer_space_to_depth,
        .eval = eval_space_to_depth,
        .samples = samples_space_to_depth,
    },
    { 0 },
};
