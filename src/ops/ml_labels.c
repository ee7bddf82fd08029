/*
 * ml_labels.c - one value for another: LabelEncoder, CategoryMapper, OneHotEncoder.
 */
#include "ops/ml.h"

#include <math.h>

/* ---- Keys ---- */

/* A list of keys or values: an attribute with a list, or a tensor. */
typedef struct list {
    lathe_dtype dtype;
    int64_t count;
    const void *data;
} list;

static list list_of_attr(const lathe_attr *attr)
{
    list l = { .count = (int64_t)attr->count };
    switch (attr->kind) {
    case LATHE_ATTR_TENSOR:
        return (list){ .dtype = attr->tensors->dtype,
                       .count = lt_tensor_count(attr->tensors),
                       .data = attr->tensors->data };
    case LATHE_ATTR_STRINGS:
        l.dtype = LATHE_DTYPE_STRING;
        l.data = attr->strings;
        break;
    case LATHE_ATTR_INTS:
        l.dtype = LATHE_DTYPE_I64;
        l.data = attr->ints;
        break;
    default:
        l.dtype = LATHE_DTYPE_F32;
        l.data = attr->floats;
        break;
    }
    return l;
}

/* A map from keys to their places. Keys that are numbers are kept as 64 bits that are equal where the numbers are: one NaN, one zero. */
typedef struct keys {
    lt_map map;
    list list;
    uint64_t *bits;
} keys;

static uint64_t bits_of(lathe_dtype dtype, const void *data, int64_t i)
{
    if (!lt_dtype_is_float(dtype)) {
        return (uint64_t)lt_load_i64(dtype, data, i);
    }
    double v = lt_load_f64(dtype, data, i);
    v = isnan(v) ? (double)NAN : v == 0 ? 0.0 : v;
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits;
}

static const void *key_at(const void *data, lathe_dtype dtype, int64_t i, uint64_t *bits, size_t *length)
{
    if (dtype == LATHE_DTYPE_STRING) {
        const lt_string *text = (const lt_string *)data + i;
        *length = text->length;
        return text->length > 0 ? text->data : "";
    }
    *bits = bits_of(dtype, data, i);
    *length = sizeof *bits;
    return bits;
}

/* Of keys that are equal the last one counts. */
static lathe_status keys_fill(lt_eval *c, keys *k, list from)
{
    k->list = from;
    k->bits = lt_eval_scratch(c, from.count, sizeof *k->bits);
    if (k->bits == NULL) {
        return LATHE_OUT_OF_MEMORY;
    }
    for (int64_t i = 0; i < from.count; i++) {
        size_t length;
        const void *key = key_at(from.data, from.dtype, i, &k->bits[i], &length);
        if (!lt_map_put_bytes(&k->map, key, length, (uint64_t)i)) {
            return LT_OOM(c->diag);
        }
    }
    return LATHE_OK;
}

/* The place of element i of x among the keys; -1: it is none of them. */
static int64_t keys_find(const keys *k, const lt_tensor *x, int64_t i)
{
    uint64_t bits, place;
    size_t length;
    const void *key = key_at(x->data, x->dtype, i, &bits, &length);
    return lt_map_get_bytes(&k->map, key, length, &place) ? (int64_t)place : -1;
}

/* Runs an evaluation with an empty map, which is freed whatever happens. */
static lathe_status with_keys(lt_eval *c, lathe_status (*run)(lt_eval *c, keys *k))
{
    keys k = { 0 };
    if (lt_out(c, 0) == NULL) {
        return LATHE_OK;
    }
    lt_map_init(&k.map, c->scratch->allocator);
    lathe_status status = run(c, &k);
    lt_map_free(&k.map);
    return status;
}

/* ---- LabelEncoder ---- */

typedef struct encoder {
    list keys, values, otherwise; /* otherwise: one element */
} encoder;

/* The one attribute of four that is given. */
static lathe_status read_one(const lathe_attr *attrs, size_t n, const char *const names[4], const char *where,
                             list *out, lathe_diag *diag)
{
    const lathe_attr *found = NULL;
    for (int i = 0; i < 4; i++) {
        const lathe_attr *attr = lt_attr_find(attrs, n, names[i]);
        bool given = attr != NULL && (attr->kind == LATHE_ATTR_TENSOR || attr->count > 0);
        if (given && found != NULL) {
            return LT_FAIL(diag, LATHE_BAD_MODEL, where, "leave one of them out",
                           "LabelEncoder: both %s and %s are given", found->name, attr->name);
        }
        found = given ? attr : found;
    }
    if (found == NULL) {
        return LT_FAIL(diag, LATHE_BAD_MODEL, where, "set one of them", "LabelEncoder: none of %s, %s, %s, %s is given",
                       names[0], names[1], names[2], names[3]);
    }
    *out = list_of_attr(found);
    if (out->dtype != LATHE_DTYPE_STRING && out->dtype != LATHE_DTYPE_F32 && out->dtype != LATHE_DTYPE_F64 &&
        out->dtype != LATHE_DTYPE_I64 && out->dtype != LATHE_DTYPE_I32 && out->dtype != LATHE_DTYPE_I16) {
        return LT_FAIL(diag, LATHE_UNSUPPORTED, where, "store it as one of string, i64, i32, i16, f32, f64",
                       "LabelEncoder: %s holds elements of type %s", found->name, lathe_dtype_name(out->dtype));
    }
    return LATHE_OK;
}

/* What stands for everything else: an attribute, or what the specification says. */
static lathe_status read_default(const lathe_attr *attrs, size_t n, const char *where, encoder *e, lathe_diag *diag)
{
    static const lt_string unused = { .data = "_Unused", .length = 7 };
    static const int64_t minus_one = -1; /* all of its bytes are the same: it serves for shorter integers */
    static const float f32_zero = -0.0f;
    static const double f64_zero = -0.0;
    const lathe_attr *whole = lt_attr_find(attrs, n, "default_tensor"), *one = NULL;
    lathe_dtype dtype = e->values.dtype;
    e->otherwise = (list){ .dtype = dtype, .count = 1 };
    if (whole != NULL) {
        e->otherwise = list_of_attr(whole);
        return e->otherwise.dtype == dtype && e->otherwise.count == 1
                   ? LATHE_OK
                   : LT_FAIL(diag, LATHE_BAD_MODEL, where, "store one element of the type of the values",
                             "LabelEncoder: default_tensor has %lld elements of type %s", (long long)e->otherwise.count,
                             lathe_dtype_name(e->otherwise.dtype));
    }
    switch (dtype) {
    case LATHE_DTYPE_STRING:
        one = lt_attr_find(attrs, n, "default_string");
        e->otherwise.data = one != NULL ? &one->s : &unused;
        break;
    case LATHE_DTYPE_F32:
        one = lt_attr_find(attrs, n, "default_float");
        e->otherwise.data = one != NULL ? &one->f : &f32_zero;
        break;
    case LATHE_DTYPE_F64:
        e->otherwise.data = &f64_zero;
        break;
    case LATHE_DTYPE_I64:
        one = lt_attr_find(attrs, n, "default_int64");
        e->otherwise.data = one != NULL ? &one->i : &minus_one;
        break;
    default:
        e->otherwise.data = &minus_one;
        break;
    }
    return LATHE_OK;
}

static lathe_status read_encoder(const lathe_attr *attrs, size_t n, lathe_dtype input, const char *where, encoder *e,
                                 lathe_diag *diag)
{
    static const char *const key_names[] = { "keys_tensor", "keys_strings", "keys_int64s", "keys_floats" };
    static const char *const value_names[] = { "values_tensor", "values_strings", "values_int64s", "values_floats" };
    LT_TRY(read_one(attrs, n, key_names, where, &e->keys, diag));
    LT_TRY(read_one(attrs, n, value_names, where, &e->values, diag));
    if (e->keys.count != e->values.count) {
        return LT_FAIL(diag, LATHE_BAD_MODEL, where, "give each key its value",
                       "LabelEncoder: there are %lld keys and %lld values", (long long)e->keys.count,
                       (long long)e->values.count);
    }
    if (e->keys.dtype != input) {
        return LT_FAIL(diag, LATHE_BAD_MODEL, where, "give keys of the input's type",
                       "LabelEncoder: the input holds %s, the keys are %s", lathe_dtype_name(input),
                       lathe_dtype_name(e->keys.dtype));
    }
    return read_default(attrs, n, where, e, diag);
}

static lathe_status infer_encoder(lt_infer *c)
{
    encoder e;
    LT_TRY(read_encoder(c->attrs, c->n_attrs, c->in[0]->dtype, c->where, &e, c->diag));
    return lt_infer_out(c, 0, e.values.dtype, c->in[0]->rank, c->in[0]->dims);
}

/* The lists as tensors, for lt_eval_element. */
static lt_tensor tensor_of(const list *l)
{
    return (lt_tensor){ .struct_size = sizeof(lt_tensor), .dtype = l->dtype, .data = (void *)(uintptr_t)l->data };
}

static lathe_status encode(lt_eval *c, keys *k)
{
    const lt_tensor *x = lt_in(c, 0);
    encoder e;
    LT_TRY(read_encoder(c->attrs, c->n_attrs, x->dtype, c->where, &e, c->diag));
    LT_TRY(keys_fill(c, k, e.keys));
    lt_tensor values = tensor_of(&e.values), otherwise = tensor_of(&e.otherwise);
    for (int64_t i = 0; i < lt_tensor_count(x); i++) {
        int64_t place = keys_find(k, x, i);
        LT_TRY(lt_eval_element(c, lt_out(c, 0), i, place >= 0 ? &values : &otherwise, place >= 0 ? place : 0));
    }
    return LATHE_OK;
}

static lathe_status eval_encoder(lt_eval *c)
{
    return with_keys(c, encode);
}

/* ---- CategoryMapper ---- */

static lathe_status read_mapper(const lathe_attr *attrs, size_t n, const char *where, list *ints, list *strings,
                                lathe_diag *diag)
{
    const lathe_attr *i = lt_ml_list(attrs, n, "cats_int64s"), *s = lt_ml_list(attrs, n, "cats_strings");
    if (i == NULL || s == NULL || i->count != s->count) {
        return lt_ml_refuse(where, diag, "CategoryMapper",
                            "cats_int64s and cats_strings must be there, with as many elements");
    }
    *ints = list_of_attr(i);
    *strings = list_of_attr(s);
    return LATHE_OK;
}

static lathe_status infer_mapper(lt_infer *c)
{
    list ints, strings;
    LT_TRY(read_mapper(c->attrs, c->n_attrs, c->where, &ints, &strings, c->diag));
    bool text = c->in[0]->dtype == LATHE_DTYPE_STRING;
    return lt_infer_out(c, 0, text ? LATHE_DTYPE_I64 : LATHE_DTYPE_STRING, c->in[0]->rank, c->in[0]->dims);
}

static lathe_status map_categories(lt_eval *c, keys *k)
{
    const lt_tensor *x = lt_in(c, 0);
    lt_tensor *y = lt_out(c, 0);
    const lathe_attr *other = lt_attr_find(c->attrs, c->n_attrs, "default_string");
    bool text = x->dtype == LATHE_DTYPE_STRING;
    list ints, strings;
    LT_TRY(read_mapper(c->attrs, c->n_attrs, c->where, &ints, &strings, c->diag));
    LT_TRY(keys_fill(c, k, text ? strings : ints));
    for (int64_t i = 0; i < lt_tensor_count(x); i++) {
        int64_t place = keys_find(k, x, i);
        if (text) {
            int64_t v =
                place >= 0 ? ((const int64_t *)ints.data)[place] : lt_attr_i(c->attrs, c->n_attrs, "default_int64", -1);
            lt_store_i64(LATHE_DTYPE_I64, y->data, i, v);
        } else {
            lt_string v = place >= 0      ? ((const lt_string *)strings.data)[place]
                          : other != NULL ? other->s
                                          : (lt_string){ .data = "_Unused", .length = 7 };
            LT_TRY(lt_eval_string(c, v.data, v.length, (lt_string *)y->data + i));
        }
    }
    return LATHE_OK;
}

static lathe_status eval_mapper(lt_eval *c)
{
    return with_keys(c, map_categories);
}

/* ---- OneHotEncoder ---- */

/* Numbers are looked for as integers. */
static lathe_status read_categories(const lathe_attr *attrs, size_t n, lathe_dtype input, const char *where, list *out,
                                    lathe_diag *diag)
{
    const lathe_attr *i = lt_ml_list(attrs, n, "cats_int64s"), *s = lt_ml_list(attrs, n, "cats_strings");
    if ((i == NULL) == (s == NULL) || (s != NULL) != (input == LATHE_DTYPE_STRING)) {
        return lt_ml_refuse(where, diag, "OneHotEncoder",
                            "one of cats_int64s and cats_strings must be given, that which has the input's type");
    }
    *out = list_of_attr(i != NULL ? i : s);
    return LATHE_OK;
}

static lathe_status infer_one_hot(lt_infer *c)
{
    const lt_type *x = c->in[0];
    lt_dim dims[LATHE_MAX_RANK];
    list categories = { 0 };
    LT_TRY(read_categories(c->attrs, c->n_attrs, x->dtype, c->where, &categories, c->diag));
    if (x->rank < 0 || x->rank == LATHE_MAX_RANK) {
        return lt_infer_out(c, 0, LATHE_DTYPE_F32, x->rank < 0 ? -1 : x->rank + 1, dims);
    }
    for (int k = 0; k < x->rank; k++) {
        dims[k] = x->dims[k];
    }
    dims[x->rank] = lt_dim_const(categories.count);
    return lt_infer_out(c, 0, LATHE_DTYPE_F32, x->rank + 1, dims);
}

/* The category of element i; fractions of numbers are cut off. */
static int64_t category_of(const keys *k, const lt_tensor *x, int64_t i)
{
    if (x->dtype == LATHE_DTYPE_STRING) {
        return keys_find(k, x, i);
    }
    double v = lt_dtype_is_float(x->dtype) ? lt_load_f64(x->dtype, x->data, i) : 0;
    if (!(fabs(v) < 9e18)) {
        return -1; /* NaN, infinities, what no integer is */
    }
    uint64_t bits = (uint64_t)lt_load_i64(x->dtype, x->data, i), place;
    return lt_map_get_bytes(&k->map, &bits, sizeof bits, &place) ? (int64_t)place : -1;
}

static lathe_status encode_one_hot(lt_eval *c, keys *k)
{
    const lt_tensor *x = lt_in(c, 0);
    float *y = lt_out(c, 0)->data;
    bool zeros = lt_attr_i(c->attrs, c->n_attrs, "zeros", 1) != 0;
    list categories = { 0 };
    LT_TRY(read_categories(c->attrs, c->n_attrs, x->dtype, c->where, &categories, c->diag));
    LT_TRY(keys_fill(c, k, categories));
    for (int64_t i = 0; i < lt_tensor_count(x); i++) {
        int64_t place = category_of(k, x, i);
        if (place < 0 && !zeros) {
            return lt_eval_fail(c, "element %lld of the input is no category, and zeros = 0 asks for one",
                                (long long)i);
        }
        for (int64_t j = 0; j < categories.count; j++) {
            y[i * categories.count + j] = j == place ? 1 : 0;
        }
    }
    return LATHE_OK;
}

static lathe_status eval_one_hot(lt_eval *c)
{
    return with_keys(c, encode_one_hot);
}

static const lt_attr_spec attrs_encoder[] = {
    { "default_float", LATHE_ATTR_FLOAT, false },
    { "default_int64", LATHE_ATTR_INT, false },
    { "default_string", LATHE_ATTR_STRING, false },
    { "default_tensor", LATHE_ATTR_TENSOR, false },
    { "keys_floats", LATHE_ATTR_FLOATS, false },
    { "keys_int64s", LATHE_ATTR_INTS, false },
    { "keys_strings", LATHE_ATTR_STRINGS, false },
    { "keys_tensor", LATHE_ATTR_TENSOR, false },
    { "values_floats", LATHE_ATTR_FLOATS, false },
    { "values_int64s", LATHE_ATTR_INTS, false },
    { "values_strings", LATHE_ATTR_STRINGS, false },
    { "values_tensor", LATHE_ATTR_TENSOR, false },
    { 0 },
};
static const lt_attr_spec attrs_mapper[] = {
    { "cats_int64s", LATHE_ATTR_INTS, false },
    { "cats_strings", LATHE_ATTR_STRINGS, false },
    { "default_int64", LATHE_ATTR_INT, false },
    { "default_string", LATHE_ATTR_STRING, false },
    { 0 },
};
static const lt_attr_spec attrs_one_hot[] = {
    { "cats_int64s", LATHE_ATTR_INTS, false },
    { "cats_strings", LATHE_ATTR_STRINGS, false },
    { "zeros", LATHE_ATTR_INT, false },
    { 0 },
};

static const char *const samples_encoder[] = {
    "string[4] x = {\"a\", \"b\", \"zz\", \"\"} | y = ai.onnx.ml.LabelEncoder <keys_strings = [\"a\", \"b\", \"\"], "
    "values_int64s = [5, 6, 7]> (x)",
    "string[2,1] x = {\"a\", \"q\"} | y = ai.onnx.ml.LabelEncoder <keys_strings = [\"a\", \"b\"], values_floats = "
    "[0.5, 1.5], default_float = 9.0> (x)",
    "i64[3] x = {1, 2, 3} | y = ai.onnx.ml.LabelEncoder <keys_int64s = [1, 2], values_strings = [\"one\", \"two\"], "
    "default_string = \"?\"> (x)",
    "i64[3] x = {1, 2, 3} | y = ai.onnx.ml.LabelEncoder <keys_int64s = [1, 2], values_floats = [1.0, 2.0]> (x)",
    "f32[4] x = {1.0, nan, -0.0, 2.0} | y = ai.onnx.ml.LabelEncoder <keys_floats = [1.0, nan, 0.0], values_int64s = "
    "[1, 2, 3], default_int64 = 8> (x)",
    "f32[2] x = {1.0, 5.0} | y = ai.onnx.ml.LabelEncoder <keys_floats = [1.0, 2.0], values_strings = [\"one\", "
    "\"two\"]> (x)",
    "i64[2] x = {1, 2} | y = ai.onnx.ml.LabelEncoder <keys_int64s = [1, 2], values_int64s = [-5, 7]> (x)",
    "string[3] x = {\"a\", \"b\", \"c\"} | y = ai.onnx.ml.LabelEncoder <keys_tensor = string[2] {\"a\", \"b\"}, "
    "values_tensor = i16[2] {-300, 7}, "
    "default_tensor = i16[1] {42}> (x)",
    "f64[3] x = {0.5, nan, 4.0} | y = ai.onnx.ml.LabelEncoder <keys_tensor = f64[2] {0.5, nan}, values_tensor = "
    "string[2] {\"h\", \"n\"}, "
    "default_tensor = string[1] {\"d\"}> (x)",
    "i32[2] x = {4, 5} | y = ai.onnx.ml.LabelEncoder <keys_tensor = i32[2] {4, 6}, values_tensor = f64[2] {1.5, 2.5}, "
    "default_tensor = f64[1] {0.25}> (x)",
    "i64[0] x = {} | y = ai.onnx.ml.LabelEncoder <keys_int64s = [1], values_int64s = [2]> (x)",
    NULL,
};
static const char *const samples_mapper[] = {
    "string[3] x = {\"a\", \"b\", \"c\"} | y = ai.onnx.ml.CategoryMapper <cats_strings = [\"a\", \"b\"], cats_int64s = "
    "[3, 4]> (x)",
    "string[1,2] x = {\"a\", \"c\"} | y = ai.onnx.ml.CategoryMapper <cats_strings = [\"a\", \"b\"], cats_int64s = [3, "
    "4], default_int64 = 9> (x)",
    "i64[3] x = {3, 4, 5} | y = ai.onnx.ml.CategoryMapper <cats_strings = [\"a\", \"b\"], cats_int64s = [3, 4]> (x)",
    "i64[2] x = {3, 5} | y = ai.onnx.ml.CategoryMapper <cats_strings = [\"a\", \"b\"], cats_int64s = [3, 4], "
    "default_string = \"other\"> (x)",
    "i64[0] x = {} | y = ai.onnx.ml.CategoryMapper <cats_strings = [\"a\"], cats_int64s = [3]> (x)",
    NULL,
};
static const char *const samples_one_hot[] = {
    "i64[3] x = {1, 7, 3} | y = ai.onnx.ml.OneHotEncoder <cats_int64s = [3, 1]> (x)",
    "string[2,2] x = {\"a\", \"b\", \"c\", \"a\"} | y = ai.onnx.ml.OneHotEncoder <cats_strings = [\"a\", \"b\"]> (x)",
    "f32[2] x = {1.0, 2.0} | y = ai.onnx.ml.OneHotEncoder <cats_int64s = [1, 2], zeros = 0> (x)",
    "f32[3] x = {1.5, -0.5, 9.0} | y = ai.onnx.ml.OneHotEncoder <cats_int64s = [1, 0]> (x)",
    "f64[2] x = {4.0, 2.0} | y = ai.onnx.ml.OneHotEncoder <cats_int64s = [2]> (x)",
    "i32[2] x = {4, 2} | y = ai.onnx.ml.OneHotEncoder <cats_int64s = [2, 4]> (x)",
    "i64[0] x = {} | y = ai.onnx.ml.OneHotEncoder <cats_int64s = [2, 4]> (x)",
    NULL,
};

LT_OPS(ml_labels) = {
    {
        .name = "LabelEncoder",
        .domain = LT_ML_DOMAIN,
        .since = 4,
        .sig = "(T1 X) -> (T2 Y); T1: string i64 f32 i32 i16 f64, T2: string i64 f32 i32 i16 f64",
        .attrs = attrs_encoder,
        .infer = infer_encoder,
        .eval = eval_encoder,
        .samples = samples_encoder,
    },
    {
        .name = "CategoryMapper",
        .domain = LT_ML_DOMAIN,
        .since = 1,
        .sig = "(T1 X) -> (T2 Y); T1: string i64, T2: string i64",
        .attrs = attrs_mapper,
        .infer = infer_mapper,
        .eval = eval_mapper,
        .samples = samples_mapper,
    },
    {
        .name = "OneHotEncoder",
        .domain = LT_ML_DOMAIN,
        .since = 1,
        .sig = "(T X) -> (f32 Y); T: string i64 i32 f32 f64",
        .attrs = attrs_one_hot,
        .infer = infer_one_hot,
        .eval = eval_one_hot,
        .samples = samples_one_hot,
    },
    { 0 },
};
