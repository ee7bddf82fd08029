/*
 * quantize_util.c - what passes ask about scales and zero points. Used by those that move QuantizeLinear and DequantizeLinear; they are inside an edit or
 * begin one when the answer is yes.
 */
#include "passes/passes_internal.h"

bool lt_positive_number(lt_pass_call *c, const lt_value *scale, lathe_status *status)
{
    double number;
    *status = LATHE_OK;
    if (scale == NULL || !lt_value_is_constant(scale) || !lt_peek_scalar(scale, &number) || !(number > 0)) {
        return false;
    }
    *status = lt_graph_assume(c->graph, scale->id, scale->kind == LT_VALUE_INPUT ? LT_ASSUME_SIGN : LT_ASSUME_BYTES, 1,
                              c->diag);
    return *status == LATHE_OK;
}

bool lt_same_number(lt_pass_call *c, const lt_value *a, const lt_value *b, lathe_status *status)
{
    double x, y;
    *status = LATHE_OK;
    if (a == NULL || b == NULL || a == b) {
        return a == b;
    }
    if (a->type.dtype != b->type.dtype || !lt_value_is_constant(a) || !lt_value_is_constant(b) ||
        !lt_peek_scalar(a, &x) || !lt_peek_scalar(b, &y) || x != y) {
        return false;
    }
    *status = lt_graph_assume(c->graph, a->id, LT_ASSUME_BYTES, 0, c->diag);
    *status = *status == LATHE_OK ? lt_graph_assume(c->graph, b->id, LT_ASSUME_BYTES, 0, c->diag) : *status;
    return *status == LATHE_OK;
}
