/*
 * eval.c - lt_op_eval: the one way to compute an operator by its reference. Check, infer with the real inputs, make the
 * outputs whose shapes are known, call op->eval. Used by constant folding, fallback steps, tests. Plus what eval
 * functions share: integer inputs, strings, copies.
 */
#include "ops/ops.h"

#include <stdarg.h>
#include <string.h>

lathe_status lt_eval_fail(lt_eval *c, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return LT_FAIL(c->diag, LATHE_BAD_SHAPE, c->where, "look at the values that go in, the model's own or the ones given for this run",
                   "%s: %s", c->op->name, text);
}

static void tensor_type(const lt_tensor *tensor, lt_type *out)
{
    *out = (lt_type){ .cls = LT_TENSOR, .dtype = tensor->dtype, .rank = tensor->rank };
    for (int i = 0; i < tensor->rank; i++) {
        out->dims[i] = lt_dim_const(tensor->dims[i]);
    }
}

/*
 * The type of a value. A container's element type is that of its first item, ranks and extents left open; an empty
 * container may tell its element's dtype in `tensor.dtype`.
 */
static lathe_status type_of(lt_eval *c, const lt_any *value, lt_type *out)
{
    for (int depth = 0; depth < LT_MAX_DEPTH; depth++) {
        if (value->cls == LT_TENSOR) {
            tensor_type(&value->tensor, out);
            if (depth > 0) {
                out->rank = -1;
            }
            return LATHE_OK;
        }
        const lt_any *inner = value->cls == LT_MAP ? (value->count > 1 ? &value->items[1] : NULL)
                                                   : (value->count > 0 ? value->items : NULL);
        *out = (lt_type){ .cls = value->cls,
                          .rank = -1,
                          .dtype = value->cls == LT_MAP && inner != NULL ? value->items[0].tensor.dtype
                                                                         : LATHE_DTYPE_UNDEFINED };
        if (inner == NULL && value->tensor.dtype == LATHE_DTYPE_UNDEFINED) {
            return LATHE_OK;
        }
        lt_type *elem = LT_ARENA_NEW(c->scratch, lt_type);
        if (elem == NULL) {
            return LT_OOM(c->diag);
        }
        out->elem = elem;
        if (inner == NULL) {
            *elem = (lt_type){ .cls = LT_TENSOR, .dtype = value->tensor.dtype, .rank = -1 };
            return LATHE_OK;
        }
        out = elem;
        value = inner;
    }
    return LT_FAIL(c->diag, LATHE_BAD_MODEL, c->where, NULL, "a value is nested deeper than %d", LT_MAX_DEPTH);
}

/* Fills the inference call from the evaluation call; arrays live in scratch. */
static lathe_status prepare(lt_eval *c, lt_infer *infer)
{
    size_t n_in = (size_t)(c->n_in > 0 ? c->n_in : 1), n_out = (size_t)(c->n_out > 0 ? c->n_out : 1);
    lt_type *types = LT_ARENA_ARRAY(c->scratch, lt_type, n_in);
    const lt_type **in = LT_ARENA_ARRAY(c->scratch, const lt_type *, n_in);
    const lt_tensor **values = LT_ARENA_ARRAY(c->scratch, const lt_tensor *, n_in);
    lt_type *out = LT_ARENA_ARRAY(c->scratch, lt_type, n_out);
    if (types == NULL || in == NULL || values == NULL || out == NULL) {
        return LT_OOM(c->diag);
    }
    for (int i = 0; i < c->n_in; i++) {
        if (c->in[i] == NULL) {
            continue;
        }
        LT_TRY(type_of(c, c->in[i], &types[i]));
        in[i] = &types[i];
        values[i] = c->in[i]->cls == LT_TENSOR ? &c->in[i]->tensor : NULL;
    }
    *infer = (lt_infer){
        .op = c->op,
        .attrs = c->attrs,
        .n_attrs = c->n_attrs,
        .where = c->where,
        .n_in = c->n_in,
        .in = in,
        .values = values,
        .n_out = c->n_out,
        .out = out,
        .diag = c->diag,
    };
    return LATHE_OK;
}

/* Makes output i when inference knows its shape; a negative extent stands for one that only the evaluation can tell. */
static lathe_status make_known(lt_eval *c, int i, const lt_type *type)
{
    int64_t dims[LATHE_MAX_RANK];
    if (type->cls == LT_TENSOR && type->dtype == LATHE_DTYPE_UNDEFINED) {
        return LATHE_OK; /* nothing is known: the caller may have said what it expects */
    }
    c->out[i]->cls = type->cls;
    if (type->cls != LT_TENSOR) {
        c->out[i]->items = NULL;
        c->out[i]->count = 0;
        c->out[i]->tensor = (lt_tensor){ .struct_size = sizeof(lt_tensor),
                                         .dtype = type->elem != NULL ? type->elem->dtype : LATHE_DTYPE_UNDEFINED };
        return LATHE_OK;
    }
    if (type->rank < 0) {
        return LATHE_OK;
    }
    for (int k = 0; k < type->rank; k++) {
        LT_CHECK(c->diag, lt_dim_is_const(type->dims[k]), c->where);
        if (type->dims[k].k < 0) {
            return LATHE_OK;
        }
        dims[k] = type->dims[k].k;
    }
    return c->make(c, i, type->dtype, type->rank, dims);
}

lathe_status lt_op_eval(lt_eval *c)
{
    lt_infer infer;
    LT_CHECK(c->diag, c->op != NULL && c->make != NULL && c->scratch != NULL, c->where);
    if (c->op->eval == NULL) {
        return LT_FAIL(c->diag, LATHE_UNSUPPORTED, c->where, NULL, "%s has no reference evaluation", c->op->name);
    }
    LT_TRY(prepare(c, &infer));
    LT_TRY(lt_op_infer(&infer));
    for (int i = 0; i < c->n_out; i++) {
        if (c->out[i] != NULL) {
            LT_TRY(make_known(c, i, &infer.out[i]));
        }
    }
    return c->op->eval(c);
}

lathe_status lt_eval_ints(lt_eval *c, int i, const int64_t **out, int64_t *count)
{
    const lt_tensor *tensor = lt_in(c, i);
    *out = NULL;
    *count = 0;
    if (tensor == NULL) {
        return LATHE_OK;
    }
    if (!lt_dtype_is_integer(tensor->dtype) && tensor->dtype != LATHE_DTYPE_BOOL) {
        return lt_eval_fail(c, "input %d must hold integers", i);
    }
    int64_t n = lt_tensor_count(tensor);
    int64_t *ints = LT_ARENA_ARRAY(c->scratch, int64_t, (size_t)(n > 0 ? n : 1));
    if (ints == NULL) {
        return LT_OOM(c->diag);
    }
    for (int64_t k = 0; k < n; k++) {
        ints[k] = lt_load_i64(tensor->dtype, tensor->data, k);
    }
    *out = ints;
    *count = n;
    return LATHE_OK;
}

lathe_status lt_eval_string(lt_eval *c, const char *data, size_t length, lt_string *out)
{
    char *copy = NULL;
    if (length > 0) {
        copy = c->keep != NULL ? c->keep(c, length, 1) : NULL;
        if (copy == NULL) {
            return LT_OOM(c->diag);
        }
        memcpy(copy, data, length);
    }
    *out = (lt_string){ .data = copy, .length = length };
    return LATHE_OK;
}

lathe_status lt_eval_element(lt_eval *c, lt_tensor *to, int64_t to_index, const lt_tensor *from, int64_t from_index)
{
    if (from->dtype == LATHE_DTYPE_STRING) {
        const lt_string *s = (const lt_string *)from->data + from_index;
        return lt_eval_string(c, s->data, s->length, (lt_string *)to->data + to_index);
    }
    lt_tensor_put(to, to_index, from, from_index);
    return LATHE_OK;
}

lathe_status lt_eval_copy(lt_eval *c, lt_tensor *to, int64_t to_index, const lt_tensor *from, int64_t from_index,
                          int64_t count)
{
    unsigned bits = lathe_dtype_bits(from->dtype);
    if (count <= 0) {
        return LATHE_OK;
    }
    if (bits >= 8) {
        size_t size = bits / 8;
        memcpy((char *)to->data + (size_t)to_index * size, (const char *)from->data + (size_t)from_index * size,
               (size_t)count * size);
        return LATHE_OK;
    }
    for (int64_t i = 0; i < count; i++) {
        LT_TRY(lt_eval_element(c, to, to_index + i, from, from_index + i));
    }
    return LATHE_OK;
}
