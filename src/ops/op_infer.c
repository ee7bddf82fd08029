/*
 * op_infer.c - lt_op_infer and the helpers that infer functions share: output types, broadcasting, axes, integer
 * inputs. Used by the graph, the importer, passes and lt_op_eval (then without a table of dims: everything is
 * constant). Knows nothing of single operators.
 */
#include "ops/ops.h"

#include <stdarg.h>
#include <string.h>

lathe_status lt_op_infer(lt_infer *c)
{
    LT_CHECK(c->diag, c->op != NULL && c->op->infer != NULL, c->where);
    lathe_status status = lt_op_check(c->op, c->attrs, c->n_attrs, c->in, c->n_in, c->n_out, c->where, c->diag);
    c->broken = status != LATHE_OK;
    LT_TRY(status);
    for (int i = 0; i < c->n_out; i++) {
        c->out[i] = (lt_type){ .cls = LT_TENSOR, .rank = -1 };
        if (c->out_contents != NULL) {
            c->out_contents[i] = (lt_contents){ 0 };
        }
    }
    status = c->op->infer(c);
    if (status == LATHE_OVERFLOW) { /* arithmetic of extents knows no place */
        return LT_FAIL(c->diag, status, c->where, "look at the sizes that go in: the result would be too large for any machine",
                       "%s: an extent of the result does not fit 64 bits", c->op->name);
    }
    return status;
}

lathe_status lt_infer_fail(lt_infer *c, const char *format, ...)
{
    char text[512], advice[160];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    snprintf(advice, sizeof advice, "`lathe ops %s` shows what it takes, with samples that are right", c->op->name);
    return LT_FAIL(c->diag, LATHE_BAD_MODEL, c->where, advice, "%s: %s", c->op->name, text);
}

bool lt_infer_known_rank(const lt_infer *c, int i)
{
    return i >= 0 && i < c->n_in && c->in[i] != NULL && c->in[i]->cls == LT_TENSOR && c->in[i]->rank >= 0;
}

lathe_status lt_infer_out(lt_infer *c, int i, lathe_dtype dtype, int rank, const lt_dim *dims)
{
    if (rank > LATHE_MAX_RANK) {
        return LT_FAIL(c->diag, LATHE_UNSUPPORTED, c->where, "merge axes with a Reshape", "%s: output %d has rank %d; at most %d is possible",
                       c->op->name, i, rank, LATHE_MAX_RANK);
    }
    if (i >= c->n_out) {
        return LATHE_OK; /* nobody asked for this optional output */
    }
    lt_type *out = &c->out[i];
    *out = (lt_type){ .cls = LT_TENSOR, .dtype = dtype, .rank = rank < 0 ? -1 : rank };
    for (int k = 0; k < rank; k++) {
        out->dims[k] = dims[k];
    }
    return LATHE_OK;
}

lathe_status lt_infer_same(lt_infer *c, int i, int from)
{
    LT_CHECK(c->diag, from >= 0 && from < c->n_in && c->in[from] != NULL, c->where);
    if (i < c->n_out) {
        c->out[i] = *c->in[from];
    }
    return LATHE_OK;
}

lathe_status lt_infer_fresh(lt_infer *c, lt_dim lo, lt_dim hi, lt_dim *out)
{
    if (c->dims == NULL) {
        *out = lt_dim_const(-1);
        return LATHE_OK;
    }
    return lt_dim_fresh(c->dims, lo, hi, out, c->diag);
}

void lt_infer_meet(lt_infer *c, lt_dim a, lt_dim b)
{
    if (c->met != NULL && !lt_dim_same(a, b) && !lt_dim_proves_eq(c->dims, a, b)) {
        c->met(c, a, b);
    }
}

/* One pair of extents. */
lathe_status lt_broadcast_dim(lt_infer *c, lt_dim a, lt_dim b, lt_dim *out)
{
    if (lt_dim_same(a, b) || lt_dim_is(b, 1)) {
        *out = a;
        return LATHE_OK;
    }
    if (lt_dim_is(a, 1)) {
        *out = b;
        return LATHE_OK;
    }
    if (lt_dim_is_const(a) && lt_dim_is_const(b)) {
        return lt_infer_fail(c, "extents %lld and %lld do not broadcast", (long long)a.k, (long long)b.k);
    }
    if (lt_dim_proves_eq(c->dims, a, b)) {
        *out = a;
        return LATHE_OK;
    }
    lt_infer_meet(c, a, b);
    return lt_dim_make(c->dims, LT_DIM_BCAST, a, b, out, c->diag);
}

lathe_status lt_broadcast_dims(lt_infer *c, const lt_type *a, const lt_type *b, int *rank, lt_dim *dims)
{
    if (a->rank < 0 || b->rank < 0) {
        *rank = -1;
        return LATHE_OK;
    }
    lt_dim joint[LATHE_MAX_RANK];
    int n = a->rank > b->rank ? a->rank : b->rank;
    for (int i = 0; i < n; i++) {
        int ia = i - (n - a->rank), ib = i - (n - b->rank);
        if (ia < 0 || ib < 0) {
            joint[i] = ia < 0 ? b->dims[ib] : a->dims[ia];
        } else {
            LT_TRY(lt_broadcast_dim(c, a->dims[ia], b->dims[ib], &joint[i]));
        }
    }
    *rank = n;
    for (int i = 0; i < n; i++) {
        dims[i] = joint[i];
    }
    return LATHE_OK;
}

lathe_status lt_infer_broadcast(lt_infer *c)
{
    return lt_infer_broadcast_as(c, LATHE_DTYPE_UNDEFINED);
}

lathe_status lt_infer_broadcast_as(lt_infer *c, lathe_dtype dtype)
{
    lt_type joint = { .cls = LT_TENSOR, .rank = 0 };
    bool first = true;
    for (int i = 0; i < c->n_in; i++) {
        if (c->in[i] == NULL) {
            continue;
        }
        LT_CHECK(c->diag, c->in[i]->cls == LT_TENSOR, c->where);
        if (first) {
            joint = *c->in[i];
        } else {
            LT_TRY(lt_broadcast_dims(c, &joint, c->in[i], &joint.rank, joint.dims));
        }
        first = false;
    }
    LT_TRY(lt_infer_out(c, 0, dtype != LATHE_DTYPE_UNDEFINED ? dtype : joint.dtype, joint.rank, joint.dims));
    return lt_infer_pw_contents(c);
}

lathe_status lt_infer_axis(lt_infer *c, int64_t axis, int rank, int *out)
{
    if (axis < -(int64_t)rank || axis >= rank) {
        return lt_infer_fail(c, "axis %lld is out of range for rank %d", (long long)axis, rank);
    }
    *out = (int)(axis < 0 ? axis + rank : axis);
    return LATHE_OK;
}

static bool holds_integers(lathe_dtype dtype)
{
    return dtype == LATHE_DTYPE_BOOL || lt_dtype_is_integer(dtype);
}

/* Copies the elements of a small integer tensor; false when it is not one. */
static bool ints_of_tensor(const lt_tensor *tensor, lt_dim *buffer, int64_t *count)
{
    if (!holds_integers(tensor->dtype) || tensor->rank > 1) {
        return false;
    }
    int64_t n = lt_tensor_count(tensor);
    if (n > LT_CONTENTS_MAX) {
        return false;
    }
    for (int64_t i = 0; i < n; i++) {
        int64_t k = lt_load_i64(tensor->dtype, tensor->data, i);
        if (tensor->dtype == LATHE_DTYPE_U64 && k < 0) {
            return false;
        }
        buffer[i] = lt_dim_const(k);
    }
    *count = n;
    return true;
}

lathe_status lt_infer_ints(lt_infer *c, int i, lt_dim *buffer, int64_t *count)
{
    *count = -1;
    if (i < 0 || i >= c->n_in || c->in[i] == NULL) {
        return LATHE_OK;
    }
    if (c->values != NULL && c->values[i] != NULL && ints_of_tensor(c->values[i], buffer, count)) {
        return LATHE_OK;
    }
    const lt_contents *contents = c->contents != NULL ? c->contents[i] : NULL;
    if (contents != NULL && contents->v != NULL && contents->count >= 0 && contents->count <= LT_CONTENTS_MAX) {
        for (int64_t k = 0; k < contents->count; k++) {
            buffer[k] = contents->v[k];
        }
        *count = contents->count;
    }
    return LATHE_OK;
}

lathe_status lt_infer_set_contents(lt_infer *c, int i, const lt_dim *v, int64_t count)
{
    if (c->out_contents == NULL || c->arena == NULL || i >= c->n_out || count < 0 || count > LT_CONTENTS_MAX) {
        return LATHE_OK;
    }
    lt_dim *copy = LT_ARENA_ARRAY(c->arena, lt_dim, (size_t)(count > 0 ? count : 1));
    if (copy == NULL) {
        return LT_OOM(c->diag);
    }
    for (int64_t k = 0; k < count; k++) {
        copy[k] = v[k];
    }
    c->out_contents[i] = (lt_contents){ .count = count, .v = copy };
    return LATHE_OK;
}

lathe_status lt_infer_axes(lt_infer *c, const char *attr, int input, int rank, int *axes, int *count)
{
    lt_dim from_input[LT_CONTENTS_MAX];
    int64_t n = 0;
    size_t given = 0;
    const int64_t *ints = attr != NULL ? lt_attr_ints(c->attrs, c->n_attrs, attr, &given) : NULL;
    *count = 0;
    if (ints == NULL) {
        if (input < 0 || input >= c->n_in || c->in[input] == NULL) {
            return LATHE_OK;
        }
        LT_TRY(lt_infer_ints(c, input, from_input, &n));
    } else {
        n = given > LATHE_MAX_RANK ? LATHE_MAX_RANK + 1 : (int64_t)given;
    }
    if (n < 0) {
        *count = -1;
        return LATHE_OK;
    }
    if (n > rank) {
        return lt_infer_fail(c, "more axes than the rank %d has", rank);
    }
    bool seen[LATHE_MAX_RANK] = { false };
    for (int i = 0; i < (int)n; i++) {
        if (ints == NULL && !lt_dim_is_const(from_input[i])) {
            *count = -1;
            return LATHE_OK;
        }
        LT_TRY(lt_infer_axis(c, ints != NULL ? ints[i] : from_input[i].k, rank, &axes[i]));
        if (seen[axes[i]]) {
            return lt_infer_fail(c, "axis %d is given twice", axes[i]);
        }
        seen[axes[i]] = true;
    }
    *count = (int)n;
    return LATHE_OK;
}

lathe_status lt_dims_product(lt_infer *c, const lt_dim *dims, int begin, int end, lt_dim *out)
{
    lt_dim product = lt_dim_const(1);
    for (int i = begin; i < end; i++) {
        LT_TRY(lt_dim_mul(c->dims, product, dims[i], &product, c->diag));
    }
    *out = product;
    return LATHE_OK;
}
