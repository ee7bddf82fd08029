/*
 * conv_shape.c - reads a convolution's numbers. Used by the conv_*.c drivers.
 */
#include "backend/cpu/conv_shape.h"
#include <string.h>

int64_t lt_conv_groups(const lathe_problem *problem)
{
    return lt_attr_i(problem->attrs, problem->n_attrs, "group", 1);
}

bool lt_conv_pointwise(const lt_conv *c)
{
    for (int i = 0; i < 3; i++) {
        if (c->kernel[i] != 1 || c->stride[i] != 1 || c->begin[i] != 0 || c->in[i] != c->out[i]) {
            return false;
        }
    }
    return true;
}

int lt_conv_fits(const lathe_problem *problem, const lathe_operand *x, const lathe_operand *w, lathe_fit *fit)
{
    if (x->rank != w->rank || x->rank < 3 || x->rank > 5) {
        return lt_no(fit, "rank %d, from 3 to 5 are possible", x->rank);
    }
    for (size_t i = 0; i < problem->n_out; i++) {
        if (problem->out[i].rank != x->rank) {
            return lt_no(fit, "output %zu has rank %d", i, problem->out[i].rank);
        }
    }
    return lt_conv_groups(problem) >= 1 ? 1 : lt_no(fit, "no group");
}

lathe_status lt_conv_read(const lathe_problem *problem, const lathe_buffer *x, const lathe_buffer *w, const lathe_buffer *y, lt_conv *out, lathe_diag *diag)
{
    lt_window win;
    int n = x->rank - 2;
    if (n < 1 || n > 3 || w->rank != x->rank || y->rank != x->rank) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, problem->op, NULL, "operands of ranks %d, %d, %d", x->rank, w->rank, y->rank);
    }
    LT_TRY(lt_window_read(problem->attrs, problem->n_attrs, n, &w->dims[2], &x->dims[2], &win, problem->op, diag));
    *out = (lt_conv){.batch = x->dims[0], .channels = x->dims[1], .filters = w->dims[0], .groups = lt_conv_groups(problem), .pixels = 1, .taps = 1, .plane = 1};
    for (int i = 0; i < 3; i++) {
        int k = i - (3 - n);
        out->in[i] = k < 0 ? 1 : x->dims[k + 2];
        out->out[i] = k < 0 ? 1 : y->dims[k + 2];
        out->kernel[i] = k < 0 ? 1 : win.kernel[k];
        out->stride[i] = k < 0 ? 1 : win.stride[k];
        out->dilation[i] = k < 0 ? 1 : win.dilation[k];
        out->begin[i] = k < 0 ? 0 : win.begin[k];
        out->pixels *= out->out[i];
        out->taps *= out->kernel[i];
        out->plane *= out->in[i];
        bool same = k < 0 || win.kernel[k] == w->dims[k + 2];
        if (!same || out->stride[i] < 1 || out->dilation[i] < 1 || out->stride[i] > INT32_MAX || out->dilation[i] > INT32_MAX ||
            out->begin[i] > INT32_MAX || out->begin[i] < -INT32_MAX) {
            return LT_FAIL(diag, LATHE_BAD_SHAPE, problem->op, NULL, "spatial axis %d has no possible window", k);
        }
    }
    int64_t g = out->groups;
    if (y->dims[0] != out->batch || y->dims[1] != out->filters || out->channels % g != 0 || out->filters % g != 0 || out->channels / g != w->dims[1]) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, problem->op, NULL, "%lld channels, %lld filters and %lld groups do not go together", (long long)out->channels,
                       (long long)out->filters, (long long)g);
    }
    return LATHE_OK;
}
