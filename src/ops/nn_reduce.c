/*
 * nn_reduce.c - walks over one axis and over sets of axes, for reductions and normalizations.
 */
#include "ops/move.h"
#include "ops/nn.h"

lathe_status lt_nn_rows(lt_eval *c, int axis, lt_nn_row each, void *user)
{
    const lt_tensor *x = lt_in(c, 0);
    lt_tensor *y = lt_out(c, 0);
    if (lt_tensor_count(x) == 0) {
        return LATHE_OK;
    }
    lt_axis_span span = lt_span(x->rank, x->dims, axis);
    double *row = lt_nn_scratch(c, span.extent);
    if (row == NULL) {
        return LT_OOM(c->diag);
    }
    for (int64_t o = 0; o < span.outer; o++) {
        for (int64_t i = 0; i < span.inner; i++) {
            int64_t first = o * span.extent * span.inner + i;
            lt_nn_read(x, first, span.inner, span.extent, row);
            each(user, row, span.extent);
            lt_nn_write_step(y, first, span.inner, span.extent, row);
        }
    }
    return LATHE_OK;
}

lathe_status lt_nn_reduction_make(lt_eval *c, const lt_tensor *x, const bool *over, lt_nn_reduction *out)
{
    int64_t strides[LATHE_MAX_RANK], dims[LATHE_MAX_RANK], steps[LATHE_MAX_RANK], coords[LATHE_MAX_RANK] = { 0 };
    int n = 0;
    *out = (lt_nn_reduction){ 0 };
    lt_tensor_strides(x->rank, x->dims, strides);
    for (int d = 0; d < x->rank; d++) {
        if (over[d]) {
            dims[n] = x->dims[d];
            steps[n++] = strides[d];
        } else {
            out->kept[out->n_kept] = x->dims[d];
            out->step[out->n_kept++] = strides[d];
        }
    }
    if (!lt_dims_count(dims, n, &out->size) || !lt_dims_count(out->kept, out->n_kept, &out->results)) {
        return LT_FAIL(c->diag, LATHE_OVERFLOW, c->where, NULL, "%s: the number of elements overflows", c->op->name);
    }
    if (lt_tensor_count(x) == 0) {
        out->size = out->size > 0 ? 0 : out->size; /* nothing is read; there may still be results */
    }
    out->offsets = LT_ARENA_ARRAY(c->scratch, int64_t, (size_t)(out->size > 0 ? out->size : 1));
    if (out->offsets == NULL) {
        return LT_OOM(c->diag);
    }
    for (int64_t i = 0; i < out->size; i++) {
        for (int d = 0; d < n; d++) {
            out->offsets[i] += coords[d] * steps[d];
        }
        (void)lt_next_coords(n, dims, coords);
    }
    return LATHE_OK;
}

int64_t lt_nn_reduction_first(const lt_nn_reduction *r, int64_t index)
{
    int64_t first = 0;
    for (int d = r->n_kept - 1; d >= 0; d--) {
        first += index % r->kept[d] * r->step[d];
        index /= r->kept[d];
    }
    return first;
}

void lt_nn_reduction_read(const lt_nn_reduction *r, const lt_tensor *x, int64_t index, double *out)
{
    int64_t first = lt_nn_reduction_first(r, index);
    for (int64_t i = 0; i < r->size; i++) {
        out[i] = lt_load_f64(x->dtype, x->data, first + r->offsets[i]);
    }
}
