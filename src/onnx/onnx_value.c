/*
 * onnx_value.c - values in .pb files: TensorProto, SequenceProto, MapProto, OptionalProto. Called by the conformance
 * runner and the command.
 */
#include <string.h>

#include "onnx/export.h"
#include "onnx/onnx_internal.h"

typedef struct value_reader {
    lt_tensor_reader tensors;
    const char *what;
    lathe_diag *diag;
} value_reader;

static lathe_status read_tensor(value_reader *r, const lt_pb_tensor *pb, lt_any *out)
{
    out->cls = LT_TENSOR;
    return lt_tensor_read(&r->tensors, pb, r->what, &out->tensor, r->diag);
}

static lathe_status make_items(value_reader *r, lt_any *out, lt_value_class cls, size_t count)
{
    out->cls = cls;
    out->count = count;
    out->items = LT_ARENA_ARRAY(r->tensors.arena, lt_any, count);
    return out->items != NULL ? LATHE_OK : LT_OOM(r->diag);
}

static lathe_status refuse_sparse(value_reader *r)
{
    return LT_FAIL(r->diag, LATHE_UNSUPPORTED, r->what, NULL, "the value holds a sparse tensor");
}

static lathe_status read_sequence(value_reader *r, const lt_pb_sequence *pb, lt_any *out);
static lathe_status read_optional(value_reader *r, const lt_pb_optional *pb, lt_any *out);

/* Integers or strings, one for each value. */
static lathe_status read_keys(value_reader *r, const lt_pb_map *pb, lt_tensor *out)
{
    bool strings = pb->key_type == LATHE_DTYPE_STRING;
    lathe_dtype dtype = (lathe_dtype)pb->key_type;
    int64_t count = (int64_t)(strings ? pb->string_keys.count : pb->keys.count);
    if (!strings && !lt_dtype_is_integer(dtype)) {
        return LT_FAIL(r->diag, LATHE_BAD_MODEL, r->what, NULL, "a map has keys of type %lld", (long long)pb->key_type);
    }
    LT_TRY(lt_tensor_alloc(r->tensors.arena, out, dtype, 1, &count, r->what, r->diag));
    for (int64_t i = 0; i < count; i++) {
        if (strings) {
            lathe_bytes key = pb->string_keys.at[i];
            const char *text = lt_arena_strn(r->tensors.arena, key.length > 0 ? key.data : "", key.length);
            if (text == NULL) {
                return LT_OOM(r->diag);
            }
            ((lt_string *)out->data)[i] = (lt_string){ text, key.length };
        } else {
            lt_store_i64(dtype, out->data, i, pb->keys.at[i]);
        }
    }
    return LATHE_OK;
}

/* The values of a map are a sequence of tensors of one type and shape: they are stacked. */
static lathe_status stack_values(value_reader *r, const lt_any *values, lt_tensor *out)
{
    int64_t dims[LATHE_MAX_RANK] = { (int64_t)values->count };
    if (values->count == 0) {
        return lt_tensor_alloc(r->tensors.arena, out, LATHE_DTYPE_F32, 1, dims, r->what, r->diag);
    }
    const lt_tensor *first = &values->items[0].tensor;
    bool fits =
        values->items[0].cls == LT_TENSOR && first->rank < LATHE_MAX_RANK && lathe_dtype_bits(first->dtype) % 8 == 0;
    for (size_t i = 1; fits && i < values->count; i++) {
        const lt_any *item = &values->items[i];
        fits = item->cls == LT_TENSOR && item->tensor.dtype == first->dtype && item->tensor.rank == first->rank &&
               memcmp(item->tensor.dims, first->dims, sizeof first->dims) == 0;
    }
    if (!fits) {
        return LT_FAIL(r->diag, LATHE_UNSUPPORTED, r->what, NULL,
                       "the values of a map are not tensors of one type and shape");
    }
    memcpy(dims + 1, first->dims, (size_t)first->rank * sizeof *dims);
    LT_TRY(lt_tensor_alloc(r->tensors.arena, out, first->dtype, first->rank + 1, dims, r->what, r->diag));
    for (size_t i = 0; i < values->count && first->bytes > 0; i++) {
        memcpy((char *)out->data + i * first->bytes, values->items[i].tensor.data, first->bytes);
    }
    return LATHE_OK;
}

static lathe_status read_map(value_reader *r, const lt_pb_map *pb, lt_any *out)
{
    lt_any values = { .cls = LT_SEQUENCE };
    LT_TRY(make_items(r, out, LT_MAP, 2));
    LT_TRY(read_keys(r, pb, &out->items[0].tensor));
    if (pb->values != NULL) {
        LT_TRY(read_sequence(r, pb->values, &values));
    }
    if (out->items[0].tensor.dims[0] == 0 && values.count == 0) {
        out->count = 0; /* nothing says of what type its values would be */
        return LATHE_OK;
    }
    LT_TRY(stack_values(r, &values, &out->items[1].tensor));
    if (lt_tensor_count(&out->items[0].tensor) != out->items[1].tensor.dims[0]) {
        return LT_FAIL(r->diag, LATHE_BAD_MODEL, r->what, NULL, "a map has %lld keys and %lld values",
                       (long long)lt_tensor_count(&out->items[0].tensor), (long long)out->items[1].tensor.dims[0]);
    }
    return LATHE_OK;
}

static lathe_status read_sequence(value_reader *r, const lt_pb_sequence *pb, lt_any *out)
{
    const size_t counts[5] = { pb->tensor_values.count, pb->sparse_tensor_values.count, pb->sequence_values.count,
                               pb->map_values.count, pb->optional_values.count };
    const lt_pb_optional *optionals = pb->optional_values.at;
    size_t kinds = 0, count = 0;
    for (size_t i = 0; i < LT_COUNT(counts); i++) {
        kinds += counts[i] > 0;
        count += counts[i];
    }
    if (kinds > 1) {
        return LT_FAIL(r->diag, LATHE_BAD_MODEL, r->what, NULL, "a sequence holds values of several classes");
    }
    if (counts[1] > 0) {
        return refuse_sparse(r);
    }
    LT_TRY(make_items(r, out, LT_SEQUENCE, count));
    for (size_t i = 0; i < count; i++) {
        lt_any *item = &out->items[i];
        LT_TRY(counts[0] > 0   ? read_tensor(r, &pb->tensor_values.at[i], item)
               : counts[2] > 0 ? read_sequence(r, &pb->sequence_values.at[i], item)
               : counts[3] > 0 ? read_map(r, &pb->map_values.at[i], item)
                               : read_optional(r, &optionals[i], item));
    }
    return LATHE_OK;
}

static lathe_status read_optional(value_reader *r, const lt_pb_optional *pb, lt_any *out)
{
    bool given =
        pb->tensor_value != NULL || pb->sequence_value != NULL || pb->map_value != NULL || pb->optional_value != NULL;
    if (pb->sparse_tensor_value != NULL) {
        return refuse_sparse(r);
    }
    LT_TRY(make_items(r, out, LT_OPTIONAL, given));
    return pb->tensor_value != NULL     ? read_tensor(r, pb->tensor_value, out->items)
           : pb->sequence_value != NULL ? read_sequence(r, pb->sequence_value, out->items)
           : pb->map_value != NULL      ? read_map(r, pb->map_value, out->items)
           : pb->optional_value != NULL ? read_optional(r, pb->optional_value, out->items)
                                        : LATHE_OK;
}

lathe_status lt_onnx_read_value(const void *data, size_t size, const lt_type *type, lt_arena *arena, lt_any *out,
                                const char *what, lathe_diag *diag)
{
    value_reader r = { .tensors = { .arena = arena, .copy = true, .budget = UINT64_MAX },
                       .what = what != NULL ? what : "value",
                       .diag = diag };
    lt_value_class cls = type != NULL ? type->cls : LT_TENSOR;
    union {
        lt_pb_tensor tensor;
        lt_pb_sequence sequence;
        lt_pb_optional optional;
        lt_pb_map map;
    } pb;
    *out = (lt_any){ .cls = cls };
    switch (cls) {
    case LT_SEQUENCE:
        LT_TRY(lt_pb_decode(&lt_pb_sequence_message, data, size, arena, &pb.sequence, r.what, diag));
        return read_sequence(&r, &pb.sequence, out);
    case LT_OPTIONAL:
        LT_TRY(lt_pb_decode(&lt_pb_optional_message, data, size, arena, &pb.optional, r.what, diag));
        return read_optional(&r, &pb.optional, out);
    case LT_MAP:
        LT_TRY(lt_pb_decode(&lt_pb_map_message, data, size, arena, &pb.map, r.what, diag));
        return read_map(&r, &pb.map, out);
    default:
        LT_TRY(lt_pb_decode(&lt_pb_tensor_message, data, size, arena, &pb.tensor, r.what, diag));
        return read_tensor(&r, &pb.tensor, out);
    }
}

lathe_status lt_onnx_write_tensor(const lt_tensor *tensor, const char *name, lt_buf *out, lathe_diag *diag)
{
    lt_put_tensor(out, tensor, name);
    return out->failed ? LT_OOM(diag) : LATHE_OK;
}

/* elem_type of SequenceProto and OptionalProto, and the field of such items in both. */
static const struct {
    int64_t elem_type;
    uint32_t field;
} places[] = { [LT_TENSOR] = { 1, 3 }, [LT_SEQUENCE] = { 3, 5 }, [LT_OPTIONAL] = { 5, 7 }, [LT_MAP] = { 4, 6 } };

/* The values are a sequence of tensors: row i of the values goes with key i. */
static lathe_status put_rows(const lt_tensor *values, lt_buf *out, lathe_diag *diag)
{
    lt_tensor row;
    LT_TRY(lt_tensor_shape(&row, values->dtype, values->rank - 1, values->dims + 1, "value of a map", diag));
    lt_wire_put_int(out, 2, 1);
    for (int64_t i = 0; i < values->dims[0]; i++) {
        row.data = (char *)values->data + (size_t)i * row.bytes;
        size_t mark = lt_wire_begin(out, 3);
        lt_put_tensor(out, &row, NULL);
        lt_wire_end(out, mark);
    }
    return LATHE_OK;
}

static lathe_status put_map(const lt_any *map, const char *name, lt_buf *out, lathe_diag *diag)
{
    const lt_tensor *keys = map->count == 2 ? &map->items[0].tensor : NULL, *values = keys ? &map->items[1].tensor : NULL;
    bool good = map->count == 0;
    if (keys != NULL && map->items[0].cls == LT_TENSOR && map->items[1].cls == LT_TENSOR && keys->rank == 1 && values->rank > 0) {
        good = values->dims[0] == keys->dims[0] && lathe_dtype_bits(values->dtype) % 8 == 0 &&
               (keys->dtype == LATHE_DTYPE_STRING || lt_dtype_is_integer(keys->dtype));
    }
    if (!good) {
        return LT_FAIL(diag, LATHE_UNSUPPORTED, name, NULL, "a map has keys or values that a file cannot hold");
    }
    if (name != NULL && name[0] != '\0') {
        lt_wire_put_str(out, 1, name);
    }
    lt_wire_put_int(out, 2, keys != NULL ? (int64_t)keys->dtype : LATHE_DTYPE_I64);
    for (int64_t i = 0; keys != NULL && i < keys->dims[0]; i++) {
        if (keys->dtype == LATHE_DTYPE_STRING) {
            const lt_string *key = (const lt_string *)keys->data + i;
            lt_wire_put_bytes(out, 4, key->data, key->length);
        } else {
            lt_wire_put_int(out, 3, lt_load_i64(keys->dtype, keys->data, i));
        }
    }
    size_t mark = lt_wire_begin(out, 5);
    if (values != NULL) {
        LT_TRY(put_rows(values, out, diag));
    }
    lt_wire_end(out, mark);
    return LATHE_OK;
}

static lathe_status put_value(const lt_any *value, const char *name, int depth, lt_buf *out, lathe_diag *diag)
{
    if (value->cls == LT_TENSOR) {
        lt_put_tensor(out, &value->tensor, name);
        return LATHE_OK;
    }
    if (value->cls == LT_MAP) {
        return put_map(value, name, out, diag);
    }
    if (depth > LT_MAX_DEPTH) {
        return LT_FAIL(diag, LATHE_UNSUPPORTED, name, NULL, "values nested too deeply cannot be written");
    }
    if (name != NULL && name[0] != '\0') {
        lt_wire_put_str(out, 1, name);
    }
    lt_wire_put_int(out, 2, value->count > 0 ? places[value->items[0].cls].elem_type : 0);
    for (size_t i = 0; i < value->count; i++) {
        const lt_any *item = &value->items[i];
        size_t mark = lt_wire_begin(out, places[item->cls].field);
        LT_TRY(put_value(item, NULL, depth + 1, out, diag));
        lt_wire_end(out, mark);
    }
    return LATHE_OK;
}

lathe_status lt_onnx_write_value(const lt_any *value, const char *name, lt_buf *out, lathe_diag *diag)
{
    LT_TRY(put_value(value, name, 0, out, diag));
    return out->failed ? LT_OOM(diag) : LATHE_OK;
}
