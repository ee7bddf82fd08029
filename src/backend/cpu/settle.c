/*
 * settle.c - see settle.h.
 */
#include "backend/cpu/settle.h"
#include "backend/cpu/product.h"
#include <string.h>

/* Types and contents of the root's inputs, as inference wants them. */
typedef struct inputs {
    lt_type types[LT_SETTLE_INPUTS];
    const lt_type *type[LT_SETTLE_INPUTS];
    lt_tensor tensors[LT_SETTLE_INPUTS];
    const lt_tensor *value[LT_SETTLE_INPUTS];
} inputs;

static lathe_status read_input(const lathe_call *call, size_t slot, inputs *in, lathe_diag *diag)
{
    uint16_t n;
    const lathe_operand *o = lt_root_operand(call->problem, slot, &n);
    const lathe_buffer *b = o ? &call->in[n] : NULL;
    lt_tensor *t = &in->tensors[slot];
    lt_type *type = &in->types[slot];
    in->type[slot] = o ? type : NULL;
    in->value[slot] = o ? t : NULL;
    if (!o) {
        return LATHE_OK;
    }
    LT_TRY(lt_tensor_shape(t, o->dtype, b->rank, b->dims, call->problem->op, diag));
    t->data = b->data;
    type->cls = LT_TENSOR;
    type->dtype = o->dtype;
    type->rank = b->rank;
    type->elem = NULL;
    for (int d = 0; d < b->rank; d++) {
        type->dims[d] = lt_dim_const(b->dims[d]);
    }
    return LATHE_OK;
}

lathe_status lt_settle_extents(const lathe_call *call, int64_t *dims, int *rank, lathe_diag *diag)
{
    const lathe_problem *p = call->problem;
    inputs in; /* not cleared: what is not read is never looked at */
    lt_type out;
    lt_infer infer = {.op = lt_op_find(p->domain, p->op), .attrs = p->attrs, .n_attrs = p->n_attrs, .where = p->op, .n_in = (int)p->n_root_in, .in = in.type,
                      .values = in.value, .n_out = 1, .out = &out, .diag = diag};
    LT_CHECK(diag, infer.op && p->n_root_in <= LT_SETTLE_INPUTS, p->op);
    for (size_t i = 0; i < p->n_root_in; i++) {
        LT_TRY(read_input(call, i, &in, diag));
    }
    LT_TRY(lt_op_infer(&infer));
    *rank = out.rank;
    for (int d = 0; d < out.rank; d++) {
        LT_CHECK(diag, lt_dim_is_const(out.dims[d]) && out.dims[d].k >= 0, p->op);
        dims[d] = out.dims[d].k;
    }
    LT_CHECK(diag, out.rank >= 0, p->op);
    return LATHE_OK;
}

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
