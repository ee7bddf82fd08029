/*
 * constant.c - operators that make values out of attributes and shapes: Constant, ConstantOfShape, EyeLike. Found
 * through the registry.
 */
#include "ops/move.h"

#include <string.h>

/* ---- Constant ---- */

/* The one attribute that holds the value; NULL when there is none or more than one. */
static const lathe_attr *value_of(const lathe_attr *attrs, size_t n_attrs)
{
    return n_attrs == 1 ? &attrs[0] : NULL;
}

/*
 * The value as a tensor; numbers that sit in the attribute itself are viewed. false when the attribute is none
 * of those.
 */
static bool as_tensor(const lathe_attr *attr, lt_tensor *out)
{
    *out = (lt_tensor){ .struct_size = sizeof *out, .rank = 0 };
    switch (attr->kind) {
    case LATHE_ATTR_TENSOR:
        *out = attr->tensors[0];
        return true;
    case LATHE_ATTR_FLOAT:
        out->dtype = LATHE_DTYPE_F32;
        out->data = (void *)&attr->f;
        return true;
    case LATHE_ATTR_INT:
        out->dtype = LATHE_DTYPE_I64;
        out->data = (void *)&attr->i;
        return true;
    case LATHE_ATTR_STRING:
        out->dtype = LATHE_DTYPE_STRING;
        out->data = (void *)&attr->s;
        return true;
    case LATHE_ATTR_FLOATS:
        out->dtype = LATHE_DTYPE_F32;
        out->data = (void *)attr->floats;
        break;
    case LATHE_ATTR_INTS:
        out->dtype = LATHE_DTYPE_I64;
        out->data = (void *)attr->ints;
        break;
    case LATHE_ATTR_STRINGS:
        out->dtype = LATHE_DTYPE_STRING;
        out->data = (void *)attr->strings;
        break;
    default:
        return false;
    }
    out->rank = 1;
    out->dims[0] = (int64_t)attr->count;
    return true;
}

/* Contents of a small integer tensor. */
static lathe_status set_tensor_contents(lt_infer *c, const lt_tensor *tensor)
{
    lt_dim v[LT_CONTENTS_MAX];
    if (!(lt_dtype_is_integer(tensor->dtype) || tensor->dtype == LATHE_DTYPE_BOOL) || tensor->rank > 1 ||
        lt_tensor_count(tensor) > LT_CONTENTS_MAX) {
        return LATHE_OK;
    }
    int64_t count = lt_tensor_count(tensor);
    for (int64_t i = 0; i < count; i++) {
        v[i] = lt_dim_const(lt_load_i64(tensor->dtype, tensor->data, i));
        if (tensor->dtype == LATHE_DTYPE_U64 && v[i].k < 0) {
            return LATHE_OK;
        }
    }
    return lt_infer_set_contents(c, 0, v, count);
}

static lathe_status infer_constant(lt_infer *c)
{
    const lathe_attr *attr = value_of(c->attrs, c->n_attrs);
    lt_tensor value;
    lt_dim dims[LATHE_MAX_RANK];
    if (attr == NULL || !as_tensor(attr, &value)) {
        return lt_infer_fail(c, "exactly one value attribute is needed");
    }
    for (int i = 0; i < value.rank; i++) {
        dims[i] = lt_dim_const(value.dims[i]);
    }
    LT_TRY(lt_infer_out(c, 0, value.dtype, value.rank, dims));
    return set_tensor_contents(c, &value);
}

static lathe_status eval_constant(lt_eval *c)
{
    lt_tensor value;
    LT_CHECK(c->diag, as_tensor(value_of(c->attrs, c->n_attrs), &value), c->where);
    return lt_out(c, 0) == NULL ? LATHE_OK : lt_eval_copy(c, lt_out(c, 0), 0, &value, 0, lt_tensor_count(&value));
}

/* ---- ConstantOfShape ---- */

/* The fill value; NULL stands for an f32 zero. */
static const lt_tensor *fill_value(const lathe_attr *attrs, size_t n_attrs)
{
    const lathe_attr *attr = lt_attr_find(attrs, n_attrs, "value");
    return attr != NULL && attr->kind == LATHE_ATTR_TENSOR ? &attr->tensors[0] : NULL;
}

/* Contents when the result is small and integer: the value, repeated. */
static lathe_status set_fill_contents(lt_infer *c, const lt_tensor *value)
{
    lt_dim v[LT_CONTENTS_MAX];
    const lt_type *out = &c->out[0];
    lt_dim n = out->rank == 1 ? out->dims[0] : lt_dim_const(1);
    bool integral = value != NULL && (lt_dtype_is_integer(value->dtype) || value->dtype == LATHE_DTYPE_BOOL);
    if (!integral || out->rank < 0 || out->rank > 1 || !lt_dim_is_const(n) || n.k < 0 || n.k > LT_CONTENTS_MAX) {
        return LATHE_OK;
    }
    int64_t k = lt_load_i64(value->dtype, value->data, 0);
    for (int64_t i = 0; i < n.k; i++) {
        v[i] = lt_dim_const(k);
    }
    return value->dtype == LATHE_DTYPE_U64 && k < 0 ? LATHE_OK : lt_infer_set_contents(c, 0, v, n.k);
}

static lathe_status infer_fill(lt_infer *c)
{
    const lt_tensor *value = fill_value(c->attrs, c->n_attrs);
    lathe_dtype dtype = value != NULL ? value->dtype : LATHE_DTYPE_F32;
    lt_dim dims[LT_CONTENTS_MAX];
    int64_t rank = -1, length = -1;
    if (value != NULL && lt_tensor_count(value) != 1) {
        return lt_infer_fail(c, "attribute 'value' must hold one element");
    }
    LT_TRY(lt_infer_ints(c, 0, dims, &rank));
    LT_TRY(lt_move_length(c, 0, &length));
    if (rank < 0 && length > LATHE_MAX_RANK) {
        return lt_infer_fail(c, "rank %lld is too large", (long long)length);
    }
    for (int64_t i = 0; i < rank; i++) {
        if (lt_dim_is_const(dims[i]) && dims[i].k < 0) {
            return lt_infer_fail(c, "extent %lld is negative", (long long)dims[i].k);
        }
    }
    for (int64_t i = 0; rank < 0 && i < length; i++) {
        LT_TRY(lt_infer_fresh(c, lt_dim_const(0), lt_dim_const(INT64_MAX), &dims[i]));
    }
    LT_TRY(lt_infer_out(c, 0, dtype, (int)(rank >= 0 ? rank : length), dims));
    return set_fill_contents(c, value);
}

static lathe_status eval_fill(lt_eval *c)
{
    const lt_tensor *value = fill_value(c->attrs, c->n_attrs);
    lt_tensor *out = lt_out(c, 0);
    if (out == NULL) {
        return LATHE_OK;
    }
    int64_t count = lt_tensor_count(out);
    for (int64_t i = 0; i < count; i++) {
        if (value != NULL) {
            LT_TRY(lt_eval_element(c, out, i, value, 0));
        } else {
            lt_store_f64(LATHE_DTYPE_F32, out->data, i, 0.0);
        }
    }
    return LATHE_OK;
}

/* ---- EyeLike ---- */

static lathe_status infer_eye(lt_infer *c)
{
    int64_t dtype = lt_attr_i(c->attrs, c->n_attrs, "dtype", c->in[0]->dtype);
    if (c->in[0]->rank >= 0 && c->in[0]->rank != 2) {
        return lt_infer_fail(c, "the input has rank %d instead of 2", c->in[0]->rank);
    }
    lt_dtype_kind kind = dtype > 0 && dtype < LATHE_DTYPE_COUNT ? lt_dtype_get((lathe_dtype)dtype)->kind : LT_KIND_NONE;
    if (kind == LT_KIND_NONE || kind == LT_KIND_STRING || kind == LT_KIND_COMPLEX) {
        return lt_infer_fail(c, "attribute 'dtype' is %lld", (long long)dtype);
    }
    return lt_infer_out(c, 0, (lathe_dtype)dtype, c->in[0]->rank, c->in[0]->dims);
}

static lathe_status eval_eye(lt_eval *c)
{
    lt_tensor *out = lt_out(c, 0);
    int64_t k = lt_attr_i(c->attrs, c->n_attrs, "k", 0);
    if (out == NULL) {
        return LATHE_OK;
    }
    for (int64_t row = 0; row < out->dims[0]; row++) {
        for (int64_t col = 0; col < out->dims[1]; col++) {
            /* col - row lies in (-2^63, 2^63), so that no k overflows */
            lt_store_f64(out->dtype, out->data, row * out->dims[1] + col, col - row == k ? 1.0 : 0.0);
        }
    }
    return LATHE_OK;
}

static const char *const constant_samples[] = {
    "| y = Constant <value_float = 2.5> ()",
    "| y = Constant <value_ints = [1, 2, 3]> ()",
    "| y = Constant <value_int = -4> ()",
    "| y = Constant <value_floats = [1.5, -2.0]> ()",
    NULL,
};

static const char *const fill_samples[] = {
    "i64[3] s = {2, 3, 4} | y = ConstantOfShape (s)",
    "i64[2] s = {2, 3} | y = ConstantOfShape <value = i64[1] {7}> (s)",
    "i64[0] s = {} | y = ConstantOfShape <value = f32[1] {0.5}> (s)",
    "i64[2] s = {0, 3} | y = ConstantOfShape <value = bool[1] {1}> (s)",
    NULL,
};

static const char *const eye_samples[] = {
    "f32[3,4] x = rand(1) | y = EyeLike (x)",
    "i32[4,3] x = rand(1) | y = EyeLike <k = 1, dtype = 1> (x)",
    "f64[3,3] x = rand(1) | y = EyeLike <k = -2> (x)",
    NULL,
};

static const lt_attr_spec constant_attrs[] = {
    { "value", LATHE_ATTR_TENSOR, false },          { "value_float", LATHE_ATTR_FLOAT, false },
    { "value_floats", LATHE_ATTR_FLOATS, false },   { "value_int", LATHE_ATTR_INT, false },
    { "value_ints", LATHE_ATTR_INTS, false },       { "value_string", LATHE_ATTR_STRING, false },
    { "value_strings", LATHE_ATTR_STRINGS, false }, { NULL, LATHE_ATTR_NONE, false },
};

static const lt_attr_spec fill_attrs[] = { { "value", LATHE_ATTR_TENSOR, false }, { NULL, LATHE_ATTR_NONE, false } };

static const lt_attr_spec eye_attrs[] = {
    { "dtype", LATHE_ATTR_INT, false },
    { "k", LATHE_ATTR_INT, false },
    { NULL, LATHE_ATTR_NONE, false },
};

LT_OPS(constant) = {
    { .name = "Constant",
      .domain = "",
      .since = 25,
      .sig = "() -> (T output); T: all",
      .attrs = constant_attrs,
      .infer = infer_constant,
      .eval = eval_constant,
      .samples = constant_samples },
    { .name = "ConstantOfShape",
      .domain = "",
      .since = 25,
      .host_inputs = 1,
      .sig = "(i64 input) -> (T2 output); T2: all",
      .attrs = fill_attrs,
      .infer = infer_fill,
      .eval = eval_fill,
      .samples = fill_samples },
    { .name = "EyeLike",
      .domain = "",
      .since = 22,
      .traits = LT_OP_SHAPE,
      .sig = "(T1 input) -> (T2 output); T1: numeric bool, T2: numeric bool",
      .attrs = eye_attrs,
      .infer = infer_eye,
      .eval = eval_eye,
      .samples = eye_samples },
    { .name = NULL },
};
