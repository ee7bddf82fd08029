/*
 * conv_more.c - what the convolutions on top of the batch-reduce product share.
 */
#include "backend/cpu/conv_more.h"
#include "backend/cpu/product.h"

int lt_more_weights(const lathe_problem *problem, lathe_fit *fit)
{
    uint16_t nx, nw;
    const lathe_operand *x = lt_root_operand(problem, 0, &nx);
    (void)lt_root_operand(problem, 1, &nw);
    if (nx == nw || (x->flags & (LATHE_OPERAND_CONSTANT | LATHE_OPERAND_HOST))) {
        return lt_no(fit, "the activations are a constant");
    }
    return lt_root_packable(problem, 1) ? 1 : lt_no(fit, "the weights are no constant of their own");
}

lathe_status lt_more_bias(const lathe_call *call, size_t slot, int64_t filters, const float **bias, lathe_diag *diag)
{
    uint16_t number;
    *bias = NULL;
    if (!lt_root_operand(call->problem, slot, &number)) {
        return LATHE_OK;
    }
    const lathe_buffer *b = &call->in[number];
    *bias = b->data;
    return b->rank == 1 && b->dims[0] == filters ? LATHE_OK
                                                 : LT_FAIL(diag, LATHE_BAD_SHAPE, call->problem->op, NULL,
                                                           "the bias has not one element for each filter");
}

static int64_t part(int64_t total, int64_t index, int64_t count)
{
    return total / count * index + total % count * index / count;
}

lt_share lt_more_share(const lathe_gang *gang, int64_t rows, int64_t cols, double row_cost, double col_cost)
{
    int best = 1;
    double least = 0;
    for (int r = 1; r <= gang->count; r++) { /* threads of a column of pieces */
        int64_t c = gang->count / r, tall = (rows + r - 1) / r, wide = (cols + c - 1) / c;
        double cost = (double)tall * row_cost + (double)wide * col_cost + (double)tall * (double)wide;
        if (r == 1 || cost < least) {
            best = r;
            least = cost;
        }
    }
    int64_t c = gang->count / best, i = gang->index % best, j = gang->index / best;
    if (j >= c) {
        return (lt_share){ 0, 0, 0, 0 };
    }
    return (lt_share){ part(rows, i, best), part(rows, i + 1, best), part(cols, j, c), part(cols, j + 1, c) };
}
