/*
 * tensor_scatter.c - TensorScatter: new entries written into a key/value cache at a place per batch element.
 */
#include "ops/move.h"

static lathe_status infer_tensor_scatter(lt_infer *c)
{
    const lt_type *past = c->in[0], *update = c->in[1];
    lt_dim ignored;
    int axis;
    int64_t length;
    if (!lt_attr_is(c->attrs, c->n_attrs, "mode", "linear", "linear") &&
        !lt_attr_is(c->attrs, c->n_attrs, "mode", "circular", "linear")) {
        return lt_infer_fail(c, "mode must be linear or circular");
    }
    LT_TRY(lt_infer_same(c, 0, 0));
    if (past->rank < 0) {
        return LATHE_OK;
    }
    LT_TRY(lt_infer_axis(c, lt_attr_i(c->attrs, c->n_attrs, "axis", -2), past->rank, &axis));
    if (axis == 0) {
        return lt_infer_fail(c, "the axis must not be that of the batch");
    }
    if (update->rank >= 0 && update->rank != past->rank) {
        return lt_infer_fail(c, "past_cache has rank %d, update %d", past->rank, update->rank);
    }
    for (int k = 0; k < past->rank && update->rank >= 0; k++) {
        if (k != axis) {
            LT_TRY(lt_move_equal(c, past->dims[k], update->dims[k], "extents of past_cache and update", &ignored));
        } else if (lt_dim_is_const(past->dims[k]) && lt_dim_is_const(update->dims[k]) &&
                   update->dims[k].k > past->dims[k].k) {
            return lt_infer_fail(c, "%lld entries do not fit a cache of %lld", (long long)update->dims[k].k,
                                 (long long)past->dims[k].k);
        }
    }
    LT_TRY(lt_move_length(c, 2, &length));
    if (length >= 0 && lt_dim_is_const(past->dims[0]) && length != past->dims[0].k) {
        return lt_infer_fail(c, "%lld write_indices for a batch of %lld", (long long)length,
                             (long long)past->dims[0].k);
    }
    return LATHE_OK;
}

/* First entry to write for every batch element, checked. */
static lathe_status read_places(lt_eval *c, bool circular, int64_t batch, int64_t extent, int64_t steps,
                                const int64_t **places)
{
    int64_t count;
    LT_TRY(lt_eval_ints(c, 2, places, &count));
    for (int64_t b = 0; b < count; b++) {
        int64_t at = (*places)[b];
        if (at < 0 || (circular ? at >= extent : at > extent - steps)) {
            return lt_eval_fail(c, "write index %lld of batch element %lld is out of range", (long long)at,
                                (long long)b);
        }
    }
    LT_CHECK(c->diag, *places == NULL || count == batch, c->where);
    return LATHE_OK;
}

static lathe_status eval_tensor_scatter(lt_eval *c)
{
    const lt_tensor *past = lt_in(c, 0), *update = lt_in(c, 1);
    lt_tensor *y = lt_out(c, 0);
    int axis = lt_eval_axis(c, "axis", -2, past->rank);
    bool circular = lt_attr_is(c->attrs, c->n_attrs, "mode", "circular", "linear");
    lt_axis_span span = lt_span(past->rank, past->dims, axis);
    int64_t steps = update->dims[axis];
    const int64_t *places;
    lt_raw old, new, out;
    if (y == NULL) {
        return LATHE_OK;
    }
    LT_TRY(read_places(c, circular, past->dims[0], span.extent, steps, &places));
    LT_TRY(lt_raw_in(c, past, &old));
    LT_TRY(lt_raw_in(c, update, &new));
    LT_TRY(lt_raw_out(c, y, &out));
    lt_copy_bytes(out.data, old.data, (size_t)lt_tensor_count(past) * old.elem);
    size_t row = (size_t)span.inner * old.elem;
    int64_t rows = span.outer > 0 ? span.outer / past->dims[0] : 0;
    for (int64_t o = 0; o < span.outer && row > 0; o++) {
        int64_t first = places != NULL ? places[o / rows] : 0;
        for (int64_t t = 0; t < steps; t++) {
            int64_t at = (first + t) % span.extent;
            lt_copy_bytes(out.data + (size_t)(o * span.extent + at) * row, new.data + (size_t)(o * steps + t) * row,
                          row);
        }
    }
    return lt_raw_done(c, y, &out);
}

static const lt_attr_spec attrs_tensor_scatter[] = { { "axis", LATHE_ATTR_INT, false },
                                                     { "mode", LATHE_ATTR_STRING, false },
                                                     { 0 } };

static const char *const samples_tensor_scatter[] = {
    "f32[2,1,5,3] p = rand(1), f32[2,1,2,3] u = rand(2), i64[2] w = {1, 3} | y = TensorScatter (p, u, w)",
    "f32[2,4,3] p = rand(1), f32[2,2,3] u = rand(2), i64[2] w = {3, 0} | y = TensorScatter <axis = 1, mode = "
    "\"circular\"> (p, u, w)",
    "f16[1,4,2] p = rand(1), f16[1,3,2] u = rand(2) | y = TensorScatter (p, u)",
    NULL,
};

LT_OPS(tensor_scatter) = {
    {
        .name = "TensorScatter",
        .since = 24,
        .sig = "(T past_cache, T update, i64? write_indices) -> (T present_cache); T: all",
        .attrs = attrs_tensor_scatter,
        .infer = infer_tensor_scatter,
        .eval = eval_tensor_scatter,
        .samples = samples_tensor_scatter,
    },
    { 0 },
};
