/*
 * settle.c - see settle.h.
 */
#include "backend/cpu/settle.h"
#include <string.h>

lathe_status lt_settle_check(const lathe_call *call, size_t o, int rank, const int64_t *dims, lathe_diag *diag)
{
    const lathe_problem *p = call->problem;
    const lathe_buffer *y = &call->out[o];
    bool bounded = p->out[o].flags & LATHE_OPERAND_BOUNDED;
    if (y->rank != rank) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, p->op, NULL, "output %zu has rank %d, planned was %d", o, rank, y->rank);
    }
    for (int d = 0; d < rank; d++) {
        if (dims[d] < 0 || (bounded ? dims[d] > y->dims[d] : dims[d] != y->dims[d])) {
            return LT_FAIL(diag, LATHE_BAD_SHAPE, p->op, NULL, "output %zu has extent %lld on axis %d, planned was %s%lld", o,
                           (long long)dims[d], d, bounded ? "at most " : "", (long long)y->dims[d]);
        }
    }
    return LATHE_OK;
}

void lt_settle(const lathe_gang *gang, const lathe_call *call, size_t o, const int64_t *dims)
{
    if (!(call->problem->out[o].flags & LATHE_OPERAND_BOUNDED)) {
        return;
    }
    gang->barrier(gang);
    if (gang->index == 0 && call->out[o].rank > 0) {
        memcpy(call->out[o].dims, dims, (size_t)call->out[o].rank * sizeof *dims);
    }
}
