/*
 * ml_maps.c - between tensors and maps: ZipMap, CastMap, DictVectorizer.
 */
#include <stdlib.h>
#include <string.h>

#include "ops/container.h"
#include "ops/ml.h"

/* A map from keys of this type to f32; lives forever. */
static const lt_type *float_map(lathe_dtype key)
{
    static const lt_type number = { .cls = LT_TENSOR, .dtype = LATHE_DTYPE_F32, .rank = -1 };
    static const lt_type by_int = { .cls = LT_MAP, .dtype = LATHE_DTYPE_I64, .rank = -1, .elem = &number };
    static const lt_type by_string = { .cls = LT_MAP, .dtype = LATHE_DTYPE_STRING, .rank = -1, .elem = &number };
    return key == LATHE_DTYPE_STRING ? &by_string : &by_int;
}

/* ---- ZipMap: a map for each row ---- */

static lathe_status infer_zip(lt_infer *c)
{
    lt_ml_labels labels;
    lt_dim rows, features;
    bool known;
    LT_TRY(lt_ml_labels_read(c->attrs, c->n_attrs, "classlabels_int64s", "classlabels_strings", c->where, &labels,
                             c->diag));
    LT_TRY(lt_ml_rows(c, &rows, &features, &known));
    if (known && lt_dim_is_const(features) && features.k >= 0 && (uint64_t)features.k != labels.count) {
        return lt_infer_fail(c, "the input has %lld columns, there are %zu keys", (long long)features.k, labels.count);
    }
    return lt_infer_container(c, 0, LT_SEQUENCE, float_map(labels.dtype));
}

static lathe_status zip_row(lt_eval *c, const lt_ml_labels *labels, const lt_ml_matrix *m, int64_t row, lt_any *to)
{
    int64_t count = (int64_t)labels->count;
    *to = (lt_any){ .cls = LT_MAP, .items = lt_take_items(c, NULL, 2), .count = 2 };
    if (to->items == NULL) {
        return LATHE_OUT_OF_MEMORY;
    }
    LT_TRY(lt_keep_tensor(c, &to->items[0], labels->dtype, 1, &count));
    LT_TRY(lt_keep_tensor(c, &to->items[1], LATHE_DTYPE_F32, 1, &count));
    for (int64_t k = 0; k < count; k++) {
        LT_TRY(lt_ml_label_put(c, labels, (size_t)k, &to->items[0].tensor, k));
        lt_store_f64(LATHE_DTYPE_F32, to->items[1].tensor.data, k, lt_ml_at(m, row, k));
    }
    return LATHE_OK;
}

static lathe_status eval_zip(lt_eval *c)
{
    lt_ml_matrix m = lt_ml_matrix_of(lt_in(c, 0));
    lt_ml_labels labels;
    lt_any *items;
    LT_TRY(lt_ml_labels_read(c->attrs, c->n_attrs, "classlabels_int64s", "classlabels_strings", c->where, &labels,
                             c->diag));
    if (m.features != (int64_t)labels.count) {
        return lt_eval_fail(c, "the input has %lld columns, there are %zu keys", (long long)m.features, labels.count);
    }
    LT_TRY(lt_make_items(c, 0, LT_SEQUENCE, LATHE_DTYPE_UNDEFINED, (size_t)m.rows, &items));
    for (int64_t row = 0; items != NULL && row < m.rows; row++) {
        LT_TRY(zip_row(c, &labels, &m, row, &items[row]));
    }
    return LATHE_OK;
}

/* ---- Reading a map ---- */

typedef struct entries {
    const lt_tensor *keys, *values;
    int64_t count;
} entries;

static lathe_status open_map(lt_eval *c, lathe_dtype key, entries *out)
{
    const lt_any *map = c->in[0];
    *out = (entries){ 0 };
    if (map->count < 2) {
        return LATHE_OK; /* an empty map may have nothing */
    }
    *out = (entries){ .keys = &map->items[0].tensor,
                      .values = &map->items[1].tensor,
                      .count = lt_tensor_count(&map->items[0].tensor) };
    if (out->count > 0 && out->keys->dtype != key) {
        return lt_eval_fail(c, "the keys of the map are %s, not %s", lathe_dtype_name(out->keys->dtype),
                            lathe_dtype_name(key));
    }
    return lt_tensor_count(out->values) == out->count
               ? LATHE_OK
               : lt_eval_fail(c, "the map has %lld keys and %lld values", (long long)out->count,
                              (long long)lt_tensor_count(out->values));
}

/* ---- CastMap: the values in the order of their keys, or each at the place that its key says ---- */

static lathe_status read_cast(const lathe_attr *attrs, size_t n, const char *where, lathe_dtype *to, bool *sparse,
                              int64_t *length, lathe_diag *diag)
{
    *to = lt_attr_is(attrs, n, "cast_to", "TO_FLOAT", "TO_FLOAT")    ? LATHE_DTYPE_F32
          : lt_attr_is(attrs, n, "cast_to", "TO_STRING", "TO_FLOAT") ? LATHE_DTYPE_STRING
          : lt_attr_is(attrs, n, "cast_to", "TO_INT64", "TO_FLOAT")  ? LATHE_DTYPE_I64
                                                                     : LATHE_DTYPE_UNDEFINED;
    *sparse = lt_attr_is(attrs, n, "map_form", "SPARSE", "DENSE");
    *length = lt_attr_i(attrs, n, "max_map", 1);
    if (*to == LATHE_DTYPE_UNDEFINED || (!*sparse && !lt_attr_is(attrs, n, "map_form", "DENSE", "DENSE")) ||
        (*sparse && *length < 1)) {
        return lt_ml_refuse(
            where, diag, "CastMap",
            "cast_to is TO_FLOAT, TO_STRING or TO_INT64, map_form DENSE or SPARSE, and max_map is positive");
    }
    return LATHE_OK;
}

static lathe_status infer_cast(lt_infer *c)
{
    const lt_type *x = c->in[0];
    lt_dim dims[2] = { lt_dim_const(1) };
    lathe_dtype to;
    bool sparse;
    int64_t length;
    LT_TRY(read_cast(c->attrs, c->n_attrs, c->where, &to, &sparse, &length, c->diag));
    if (x->elem != NULL && x->dtype != LATHE_DTYPE_I64 && x->dtype != LATHE_DTYPE_UNDEFINED) {
        return lt_infer_fail(c, "the keys of the map must be i64");
    }
    dims[1] = lt_dim_const(length);
    if (!sparse) {
        LT_TRY(lt_infer_fresh(c, lt_dim_const(0), lt_dim_const(INT64_MAX), &dims[1]));
    }
    return lt_infer_out(c, 0, to, 2, dims);
}

static lathe_status put_cast(lt_eval *c, const lt_tensor *from, int64_t i, int64_t to)
{
    lt_tensor *y = lt_out(c, 0);
    if (from->dtype == y->dtype) {
        return lt_eval_element(c, y, to, from, i);
    }
    if (from->dtype == LATHE_DTYPE_STRING) {
        return lt_number_from_text(c, (const lt_string *)from->data + i, to);
    }
    if (y->dtype == LATHE_DTYPE_STRING) {
        return lt_text_from_number(c, from, i, to);
    }
    lt_store_i64(y->dtype, y->data, to, lt_load_i64(from->dtype, from->data, i));
    return LATHE_OK;
}

static int by_key(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    return x[0] != y[0] ? (x[0] < y[0] ? -1 : 1) : (x[1] < y[1] ? -1 : x[1] > y[1]);
}

static lathe_status cast_dense(lt_eval *c, const entries *map)
{
    int64_t(*order)[2] = lt_eval_scratch(c, map->count, sizeof *order), dims[2] = { 1, 0 };
    if (order == NULL) {
        return LATHE_OUT_OF_MEMORY;
    }
    for (int64_t i = 0; i < map->count; i++) {
        order[i][0] = lt_load_i64(LATHE_DTYPE_I64, map->keys->data, i);
        order[i][1] = i;
    }
    qsort(order, (size_t)map->count, sizeof *order, by_key);
    for (int64_t i = 0; i < map->count; i++) { /* of equal keys the last one counts */
        dims[1] -= dims[1] > 0 && order[dims[1] - 1][0] == order[i][0];
        order[dims[1]][0] = order[i][0];
        order[dims[1]++][1] = order[i][1];
    }
    LT_TRY(c->make(c, 0, c->out[0]->tensor.dtype, 2, dims));
    for (int64_t i = 0; i < dims[1]; i++) {
        LT_TRY(put_cast(c, map->values, order[i][1], i));
    }
    return LATHE_OK;
}

static lathe_status cast_sparse(lt_eval *c, const entries *map, int64_t length)
{
    lt_tensor *y = lt_out(c, 0);
    memset(y->data, 0, y->bytes); /* of texts: empty ones */
    for (int64_t i = 0; i < map->count; i++) {
        int64_t key = lt_load_i64(LATHE_DTYPE_I64, map->keys->data, i);
        if (key < 0 || key >= length) {
            return lt_eval_fail(c, "the map has the key %lld; with map_form = SPARSE it must be below max_map, %lld",
                                (long long)key, (long long)length);
        }
        LT_TRY(put_cast(c, map->values, i, key));
    }
    return LATHE_OK;
}

static lathe_status eval_cast(lt_eval *c)
{
    entries map;
    lathe_dtype to;
    bool sparse;
    int64_t length;
    if (lt_out(c, 0) == NULL) {
        return LATHE_OK;
    }
    LT_TRY(read_cast(c->attrs, c->n_attrs, c->where, &to, &sparse, &length, c->diag));
    LT_TRY(open_map(c, LATHE_DTYPE_I64, &map));
    if (sparse) {
        return cast_sparse(c, &map, length);
    }
    c->out[0]->tensor.dtype = to;
    return cast_dense(c, &map);
}

/*
 * ---- DictVectorizer: the values at the places of their keys in a vocabulary ----
 *
 * The specification wants all keys to be in the vocabulary. Those that are not are passed over: classifiers are made to
 * meet words that they were not trained with, and other implementations do the same.
 */

static lathe_status infer_dict(lt_infer *c)
{
    const lt_type *x = c->in[0];
    lt_ml_labels words;
    LT_TRY(lt_ml_labels_read(c->attrs, c->n_attrs, "int64_vocabulary", "string_vocabulary", c->where, &words, c->diag));
    if (x->elem != NULL && x->dtype != words.dtype && x->dtype != LATHE_DTYPE_UNDEFINED) {
        return lt_infer_fail(c, "the map has keys of another type than the vocabulary");
    }
    lt_dim count = lt_dim_const((int64_t)words.count);
    return lt_infer_out(c, 0, x->elem != NULL ? x->elem->dtype : LATHE_DTYPE_UNDEFINED, x->elem != NULL ? 1 : -1,
                        &count);
}

static const void *word_at(const lt_ml_labels *words, size_t i, size_t *length)
{
    bool text = words->dtype == LATHE_DTYPE_STRING;
    *length = text ? words->list->strings[i].length : sizeof(int64_t);
    return !text ? (const void *)&words->list->ints[i] : *length > 0 ? words->list->strings[i].data : "";
}

/* The element type of the result; an empty map may say it in its own tensor. */
static lathe_dtype dtype_of(const lt_eval *c, const entries *map)
{
    return map->values != NULL                                ? map->values->dtype
           : c->in[0]->tensor.dtype != LATHE_DTYPE_UNDEFINED ? c->in[0]->tensor.dtype
                                                              : c->out[0]->tensor.dtype;
}

static lathe_status note_keys(lt_eval *c, const entries *map, lt_map *places)
{
    for (int64_t i = 0; i < map->count; i++) { /* of equal keys the last one counts */
        const lt_string *text = map->keys->dtype == LATHE_DTYPE_STRING ? (const lt_string *)map->keys->data + i : NULL;
        const void *key = text == NULL        ? (const void *)((const char *)map->keys->data + (size_t)i * sizeof(int64_t))
                          : text->length > 0 ? text->data
                                             : "";
        if (!lt_map_put_bytes(places, key, text == NULL ? sizeof(int64_t) : text->length, (uint64_t)i)) {
            return LT_OOM(c->diag);
        }
    }
    return LATHE_OK;
}

static lathe_status place_values(lt_eval *c, const lt_ml_labels *words, const entries *map, lt_map *places)
{
    lt_tensor *y = lt_out(c, 0);
    memset(y->data, 0, y->bytes); /* of texts: empty ones */
    LT_TRY(note_keys(c, map, places));
    for (size_t i = 0; i < words->count; i++) {
        size_t length;
        uint64_t entry;
        const void *word = word_at(words, i, &length);
        if (lt_map_get_bytes(places, word, length, &entry)) {
            LT_TRY(lt_eval_element(c, y, (int64_t)i, map->values, (int64_t)entry));
        }
    }
    return LATHE_OK;
}

static lathe_status eval_dict(lt_eval *c)
{
    lt_ml_labels words;
    entries map;
    lt_map places;
    if (lt_out(c, 0) == NULL) {
        return LATHE_OK;
    }
    LT_TRY(lt_ml_labels_read(c->attrs, c->n_attrs, "int64_vocabulary", "string_vocabulary", c->where, &words, c->diag));
    LT_TRY(open_map(c, words.dtype, &map));
    if (dtype_of(c, &map) == LATHE_DTYPE_UNDEFINED) {
        return lt_eval_fail(c, "the map is empty, and nothing says of what type its values would be");
    }
    int64_t count = (int64_t)words.count;
    LT_TRY(c->make(c, 0, dtype_of(c, &map), 1, &count));
    lt_map_init(&places, c->scratch->allocator);
    lathe_status status = place_values(c, &words, &map, &places);
    lt_map_free(&places);
    return status;
}

static const lt_attr_spec attrs_zip[] = {
    { "classlabels_int64s", LATHE_ATTR_INTS, false },
    { "classlabels_strings", LATHE_ATTR_STRINGS, false },
    { 0 },
};
static const lt_attr_spec attrs_cast[] = {
    { "cast_to", LATHE_ATTR_STRING, false },
    { "map_form", LATHE_ATTR_STRING, false },
    { "max_map", LATHE_ATTR_INT, false },
    { 0 },
};
static const lt_attr_spec attrs_dict[] = {
    { "int64_vocabulary", LATHE_ATTR_INTS, false },
    { "string_vocabulary", LATHE_ATTR_STRINGS, false },
    { 0 },
};

static const char *const samples_zip[] = {
    "f32[2,3] x = iota | y = ai.onnx.ml.ZipMap <classlabels_int64s = [-2, 5, 7]> (x)",
    "f32[2] x = {0.25, 0.75} | y = ai.onnx.ml.ZipMap <classlabels_strings = [\"no\", \"yes\"]> (x)",
    "f32[0,2] x = {} | y = ai.onnx.ml.ZipMap <classlabels_strings = [\"no\", \"yes\"]> (x)",
    NULL,
};
#define MAP                                                                                                            \
    "f32[1,3] x = {2.5, -1.0, 3.75}, i64[] p = {0} | s = ai.onnx.ml.ZipMap <classlabels_int64s = [5, 0, 2]> (x); m = " \
    "SequenceAt (s, p); "
static const char *const samples_cast[] = {
    MAP "y = ai.onnx.ml.CastMap (m)",
    MAP "y = ai.onnx.ml.CastMap <cast_to = \"TO_INT64\"> (m)",
    MAP "y = ai.onnx.ml.CastMap <cast_to = \"TO_STRING\"> (m)",
    MAP "y = ai.onnx.ml.CastMap <map_form = \"SPARSE\", max_map = 7> (m)",
    MAP "y = ai.onnx.ml.CastMap <map_form = \"SPARSE\", max_map = 6, cast_to = \"TO_INT64\"> (m)",
    MAP "y = ai.onnx.ml.CastMap <map_form = \"SPARSE\", max_map = 6, cast_to = \"TO_STRING\"> (m)",
    NULL,
};
static const char *const samples_dict[] = {
    MAP "y = ai.onnx.ml.DictVectorizer <int64_vocabulary = [0, 1, 2, 5]> (m)",
    "f32[1,2] x = {2.5, -1.0}, i64[] p = {0} | s = ai.onnx.ml.ZipMap <classlabels_strings = [\"b\", \"a\"]> (x); m = "
    "SequenceAt (s, p); "
    "y = ai.onnx.ml.DictVectorizer <string_vocabulary = [\"a\", \"b\", \"c\"]> (m)",
    NULL,
};

LT_OPS(ml_maps) = {
    {
        .name = "ZipMap",
        .domain = LT_ML_DOMAIN,
        .since = 1,
        .sig = "(f32 X) -> (seq Z)",
        .attrs = attrs_zip,
        .infer = infer_zip,
        .eval = eval_zip,
        .samples = samples_zip,
    },
    {
        .name = "CastMap",
        .domain = LT_ML_DOMAIN,
        .since = 1,
        .traits = LT_OP_DYNAMIC,
        .sig = "(map X) -> (T2 Y); T2: string f32 i64",
        .attrs = attrs_cast,
        .infer = infer_cast,
        .eval = eval_cast,
        .samples = samples_cast,
    },
    {
        .name = "DictVectorizer",
        .domain = LT_ML_DOMAIN,
        .since = 1,
        .sig = "(map X) -> (T2 Y); T2: i64 f32 f64 string",
        .attrs = attrs_dict,
        .infer = infer_dict,
        .eval = eval_dict,
        .samples = samples_dict,
    },
    { 0 },
};
