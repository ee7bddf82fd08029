/*
 * onnx_tensor.c - TensorProto in all its encodings: raw bytes, typed fields, narrow types in int32_data, strings,
 * external files.
 *
 * Elements stay in the mapped file where they lie there in one run. Called by the importer and the reader of .pb files.
 * It must not know graphs.
 */
#include <string.h>

#include "onnx/onnx_internal.h"

typedef struct element_view {
    lt_tensor tensor;
    lt_source *source; /* whose bytes tensor.data points to; NULL: the arena's or the caller's */
    bool borrowed;     /* tensor.data points to bytes that the reader does not own */
    bool missing;      /* there are dims and no data at all */
} element_view;

/* The field of TensorProto that holds elements of this type; how many entries an element takes there. */
typedef enum typed_field { IN_FLOATS, IN_DOUBLES, IN_INT32, IN_INT64, IN_UINT64, IN_STRINGS } typed_field;

static typed_field field_of(lathe_dtype dtype)
{
    switch (dtype) {
    case LATHE_DTYPE_F32:
    case LATHE_DTYPE_C64:
        return IN_FLOATS;
    case LATHE_DTYPE_F64:
    case LATHE_DTYPE_C128:
        return IN_DOUBLES;
    case LATHE_DTYPE_I64:
        return IN_INT64;
    case LATHE_DTYPE_U32:
    case LATHE_DTYPE_U64:
        return IN_UINT64;
    case LATHE_DTYPE_STRING:
        return IN_STRINGS;
    default:
        return IN_INT32;
    }
}

static size_t field_count(const lt_pb_tensor *pb, typed_field field)
{
    switch (field) {
    case IN_FLOATS:
        return pb->float_data.count;
    case IN_DOUBLES:
        return pb->double_data.count;
    case IN_INT32:
        return pb->int32_data.count;
    case IN_INT64:
        return pb->int64_data.count;
    case IN_UINT64:
        return pb->uint64_data.count;
    default:
        return pb->string_data.count;
    }
}

/* At most one place may hold data, and only the one that belongs to the type. */
static lathe_status check_places(const lt_pb_tensor *pb, lathe_dtype dtype, const char *where, lathe_diag *diag)
{
    static const char *const names[] = { "float_data", "double_data", "int32_data",
                                         "int64_data", "uint64_data", "string_data" };
    int places = pb->raw_data.length > 0;
    bool external = pb->data_location == 1;
    if (pb->data_location != 0 && !external) {
        return LT_FAIL(diag, LATHE_BAD_MODEL, where, NULL, "data_location %lld does not exist",
                       (long long)pb->data_location);
    }
    for (int field = IN_FLOATS; field <= IN_STRINGS; field++) {
        if (field_count(pb, (typed_field)field) == 0) {
            continue;
        }
        places++;
        if (field != (int)field_of(dtype)) {
            return LT_FAIL(diag, LATHE_BAD_MODEL, where, "the file is damaged or was written by a broken exporter: raw_data holds every type",
                           "elements of type %s cannot lie in %s",
                           lathe_dtype_name(dtype), names[field]);
        }
    }
    if (places + external > 1) {
        return LT_FAIL(diag, LATHE_BAD_MODEL, where, NULL, "the tensor has data in more than one place");
    }
    if (dtype == LATHE_DTYPE_STRING && (external || pb->raw_data.length > 0)) {
        return LT_FAIL(diag, LATHE_BAD_MODEL, where, NULL, "strings must lie in string_data");
    }
    if (pb->segment != NULL) {
        return LT_FAIL(diag, LATHE_UNSUPPORTED, where, "join the segments in the exporter",
                       "the tensor is stored in segments");
    }
    return LATHE_OK;
}

static lathe_status wrong_size(const lt_tensor *tensor, size_t have, const char *unit, const char *where,
                               lathe_diag *diag)
{
    char type[128];
    lt_tensor_describe(tensor, type, sizeof type);
    return LT_FAIL(diag, LATHE_BAD_MODEL, where, "the file is damaged or was written by a broken exporter",
                   "data of the wrong size: %s needs %zu bytes, there are %zu %s", type, tensor->bytes, have, unit);
}

/* ---- Typed fields ---- */

/* Values of int32_data in an element type of 8 or 16 bits, packed sub-byte elements, or i32. */
static lathe_status copy_int32(const lt_pb_tensor *pb, lt_tensor *tensor, const char *where, lathe_diag *diag)
{
    unsigned bits = lathe_dtype_bits(tensor->dtype);
    unsigned width = bits < 8 ? 1 : bits / 8;
    bool is_signed = bits >= 8 && lt_dtype_get(tensor->dtype)->kind == LT_KIND_SIGNED;
    int64_t high = is_signed ? (int64_t)(1ull << (bits - 1)) - 1 : (int64_t)(1ull << (8 * width)) - 1;
    int64_t low = is_signed ? -high - 1 : 0;
    unsigned char *to = tensor->data;
    if (tensor->dtype == LATHE_DTYPE_BOOL) {
        high = 1;
    }
    for (size_t i = 0; i < pb->int32_data.count; i++) {
        int64_t value = pb->int32_data.at[i];
        if (value < low || value > high) {
            return LT_FAIL(diag, LATHE_BAD_MODEL, where, NULL,
                           "int32_data[%zu] is %lld, which does not fit an element of type %s", i, (long long)value,
                           lathe_dtype_name(tensor->dtype));
        }
        memcpy(to + i * width, &value, width); /* the low bytes */
    }
    return LATHE_OK;
}

static lathe_status copy_uint64(const lt_pb_tensor *pb, lt_tensor *tensor, const char *where, lathe_diag *diag)
{
    size_t width = tensor->dtype == LATHE_DTYPE_U32 ? 4 : 8;
    for (size_t i = 0; i < pb->uint64_data.count; i++) {
        uint64_t value = (uint64_t)pb->uint64_data.at[i];
        if (width == 4 && value > UINT32_MAX) {
            return LT_FAIL(diag, LATHE_BAD_MODEL, where, NULL,
                           "uint64_data[%zu] is %llu, which does not fit an element of type u32", i,
                           (unsigned long long)value);
        }
        memcpy((char *)tensor->data + i * width, &value, width);
    }
    return LATHE_OK;
}

/* Bytes that `entries` of the typed field stand for; false on overflow. */
static bool field_bytes(lathe_dtype dtype, size_t entries, size_t *bytes)
{
    unsigned bits = lathe_dtype_bits(dtype);
    size_t width = dtype == LATHE_DTYPE_STRING ? sizeof(lt_string) : bits < 8 ? 1 : bits / 8;
    if (dtype == LATHE_DTYPE_C64 || dtype == LATHE_DTYPE_C128) {
        width /= 2; /* real and imaginary parts are entries of their own */
    }
    return lt_size_mul(entries, width, bytes);
}

static lathe_status read_typed(lt_tensor_reader *reader, const lt_pb_tensor *pb, const char *where, element_view *view,
                               lathe_diag *diag)
{
    lt_tensor *tensor = &view->tensor;
    typed_field field = field_of(tensor->dtype);
    size_t entries = field_count(pb, field), bytes;
    if (!field_bytes(tensor->dtype, entries, &bytes) || bytes != tensor->bytes) {
        return wrong_size(tensor, entries, "entries in its typed field", where, diag);
    }
    if (field == IN_FLOATS || field == IN_DOUBLES) {
        tensor->data = (void *)(uintptr_t)(field == IN_FLOATS ? pb->float_data.at : pb->double_data.at);
        view->source = reader->source;
        view->borrowed = true;
        return LATHE_OK;
    }
    if (field == IN_INT64 || field == IN_STRINGS) { /* already as they must be, in the arena */
        tensor->data =
            (void *)(uintptr_t)(field == IN_INT64 ? (const void *)pb->int64_data.at : (const void *)pb->string_data.at);
        return LATHE_OK;
    }
    tensor->data = lt_arena_alloc(reader->arena, tensor->bytes, 16);
    if (tensor->data == NULL) {
        return LT_OOM(diag);
    }
    return field == IN_UINT64 ? copy_uint64(pb, tensor, where, diag) : copy_int32(pb, tensor, where, diag);
}

/* ---- External data ---- */

static lathe_status read_number(lathe_bytes text, const char *key, const char *where, int64_t *out, lathe_diag *diag)
{
    if (!lt_parse_i64(text.data, text.length, out) || *out < 0) {
        return LT_FAIL(diag, LATHE_BAD_MODEL, where, "export the model anew", "external data: %s is '%.*s', which is no size", key,
                       (int)(text.length < 64 ? text.length : 64), text.length > 0 ? text.data : "");
    }
    return LATHE_OK;
}

static lathe_status open_external(lt_tensor_reader *reader, lathe_bytes location, const char *where, lt_source **out,
                                  lathe_diag *diag)
{
    bool bad;
    for (size_t i = 0; i < reader->n_externals; i++) {
        if (lt_pb_same(reader->externals[i].location, location)) {
            *out = reader->externals[i].source;
            return LATHE_OK;
        }
    }
    const char *name = lt_pb_str(reader->arena, location, &bad);
    if (name == NULL || name[0] == '\0') {
        return bad || name != NULL ? LT_FAIL(diag, LATHE_BAD_MODEL, where, "export the model anew",
                                             "external data: the location is empty or holds a NUL byte")
                                   : LT_OOM(diag);
    }
    if (reader->folder == NULL) {
        return LT_FAIL(diag, LATHE_BAD_MODEL, where, "load the model from its file, beside its data",
                       "the tensor lies in the external file '%s', but "
                       "the model was read from memory without a folder",
                       name);
    }
    void *externals = reader->externals;
    if (!lt_arena_grow(reader->arena, &externals, &reader->cap_externals, reader->n_externals + 1,
                       sizeof(lt_external))) {
        return LT_OOM(diag);
    }
    reader->externals = externals;
    lathe_status status = lt_source_map_below(reader->allocator, reader->folder, name, out, diag);
    if (status != LATHE_OK) {
        return LT_FAIL(diag, status, where, "external data must lie in the model's folder or below it",
                       "cannot read the external file '%s'", name);
    }
    reader->externals[reader->n_externals++] = (lt_external){ location, *out };
    reader->budget += (*out)->file.size;
    return LATHE_OK;
}

static lathe_status read_external(lt_tensor_reader *reader, const lt_pb_tensor *pb, const char *where,
                                  element_view *view, lathe_diag *diag)
{
    lathe_bytes location = { "", 0 };
    int64_t offset = 0, length = -1;
    lt_source *source;
    for (size_t i = 0; i < pb->external_data.count; i++) {
        const lt_pb_entry *entry = &pb->external_data.at[i];
        if (lt_pb_is(entry->key, "location")) {
            location = entry->value;
        } else if (lt_pb_is(entry->key, "offset")) {
            LT_TRY(read_number(entry->value, "offset", where, &offset, diag));
        } else if (lt_pb_is(entry->key, "length")) {
            LT_TRY(read_number(entry->value, "length", where, &length, diag));
        }
    }
    LT_TRY(open_external(reader, location, where, &source, diag));
    size_t size = source->file.size, need = view->tensor.bytes;
    if (length >= 0 && (uint64_t)length != need) {
        return wrong_size(&view->tensor, (size_t)length, "bytes of external data", where, diag);
    }
    if ((uint64_t)offset > size || need > size - (size_t)offset) {
        return LT_FAIL(diag, LATHE_BAD_MODEL, where, "the data file is cut short or belongs to another model",
                       "external data: bytes %lld to %lld + %zu lie beyond the end of '%.*s' (%zu bytes)",
                       (long long)offset, (long long)offset, need, (int)(location.length < 128 ? location.length : 128),
                       location.data, size);
    }
    view->tensor.data = need > 0 ? (void *)(uintptr_t)(source->file.data + offset) : NULL;
    view->source = source;
    view->borrowed = true;
    return LATHE_OK;
}

/* ---- All together ---- */

static lathe_status read_shape(const lt_pb_tensor *pb, const char *where, lt_tensor *tensor, lathe_diag *diag)
{
    *tensor = (lt_tensor){ .struct_size = sizeof *tensor };
    if (pb->data_type <= LATHE_DTYPE_UNDEFINED || pb->data_type >= LATHE_DTYPE_COUNT) {
        return LT_FAIL(diag, pb->data_type >= LATHE_DTYPE_COUNT ? LATHE_UNSUPPORTED : LATHE_BAD_MODEL, where, "the file is damaged, or was written for an ONNX newer than this version knows",
                       "the tensor's element type is %lld, which is none that this build knows",
                       (long long)pb->data_type);
    }
    if (pb->dims.count > LATHE_MAX_RANK) {
        return LT_FAIL(diag, LATHE_UNSUPPORTED, where, "merge axes: no operator needs so many", "the tensor has %zu dims; at most %d are supported",
                       pb->dims.count, LATHE_MAX_RANK);
    }
    return lt_tensor_shape(tensor, (lathe_dtype)pb->data_type, (int)pb->dims.count, pb->dims.at, where, diag);
}

static lathe_status check_bools(const lt_tensor *tensor, const char *where, lathe_diag *diag)
{
    const unsigned char *data = tensor->data;
    for (size_t i = 0; tensor->dtype == LATHE_DTYPE_BOOL && i < tensor->bytes; i++) {
        if (data[i] > 1) {
            return LT_FAIL(diag, LATHE_BAD_MODEL, where, "bools are 0 and 1: the file is damaged or was written by a broken exporter",
                           "element %zu of a bool tensor is %u", i, data[i]);
        }
    }
    return LATHE_OK;
}

static lathe_status read_view(lt_tensor_reader *reader, const lt_pb_tensor *pb, const char *where, element_view *view,
                              lathe_diag *diag)
{
    *view = (element_view){ .source = NULL };
    LT_TRY(read_shape(pb, where, &view->tensor, diag));
    lt_tensor *tensor = &view->tensor;
    LT_TRY(check_places(pb, tensor->dtype, where, diag));
    if (pb->data_location == 1) {
        LT_TRY(read_external(reader, pb, where, view, diag));
    } else if (field_count(pb, field_of(tensor->dtype)) > 0) {
        LT_TRY(read_typed(reader, pb, where, view, diag));
    } else if (pb->raw_data.length > 0) {
        if (pb->raw_data.length != tensor->bytes) {
            return wrong_size(tensor, pb->raw_data.length, "bytes of raw_data", where, diag);
        }
        tensor->data = (void *)(uintptr_t)pb->raw_data.data;
        view->source = reader->source;
        view->borrowed = true;
    } else {
        view->missing = tensor->bytes > 0;
    }
    return view->missing || tensor->bytes == 0 ? LATHE_OK : check_bools(tensor, where, diag);
}

static size_t natural_align(lathe_dtype dtype)
{
    unsigned bits = lathe_dtype_bits(dtype);
    if (dtype == LATHE_DTYPE_C64 || dtype == LATHE_DTYPE_C128) {
        bits /= 2;
    }
    return bits < 16 ? 1 : bits / 8;
}

static lathe_status no_data(const lt_tensor *tensor, const char *where, lathe_diag *diag)
{
    char type[128];
    lt_tensor_describe(tensor, type, sizeof type);
    return LT_FAIL(diag, LATHE_BAD_MODEL, where, "the weights were stripped: fill them in first",
                   "the tensor is %s but has no data", type);
}

lathe_status lt_tensor_spend(lt_tensor_reader *reader, size_t bytes, const char *where, lathe_diag *diag)
{
    if (bytes > reader->budget) {
        return LT_FAIL(diag, LATHE_BAD_MODEL, where, "the file is damaged or was made to exhaust memory; store constants in full, once each",
                       "the model's constants unfold to more than 16 times its size and %d bytes", LT_IMPORT_SLACK);
    }
    reader->budget -= bytes;
    return LATHE_OK;
}

/* The bytes of all strings; the elements themselves are in the arena already. */
static lathe_status copy_strings(lt_tensor_reader *reader, lt_tensor *tensor, lathe_diag *diag)
{
    lt_string *strings = tensor->data;
    for (size_t i = 0; i < tensor->bytes / sizeof *strings; i++) {
        strings[i].data = lt_arena_strn(reader->arena, strings[i].length > 0 ? strings[i].data : "", strings[i].length);
        if (strings[i].data == NULL) {
            return LT_OOM(diag);
        }
    }
    return LATHE_OK;
}

lathe_status lt_tensor_read(lt_tensor_reader *reader, const lt_pb_tensor *pb, const char *where, lt_tensor *out,
                            lathe_diag *diag)
{
    element_view view;
    LT_TRY(read_view(reader, pb, where, &view, diag));
    if (view.missing) {
        return no_data(&view.tensor, where, diag);
    }
    LT_TRY(lt_tensor_spend(reader, view.tensor.bytes, where, diag)); /* whoever keeps it copies it */
    bool aligned = ((uintptr_t)view.tensor.data & (natural_align(view.tensor.dtype) - 1)) == 0;
    if (view.borrowed && view.tensor.bytes > 0 && (!aligned || reader->copy)) {
        view.tensor.data = lt_arena_copy(reader->arena, view.tensor.data, view.tensor.bytes, 64);
        if (view.tensor.data == NULL) {
            return LT_OOM(diag);
        }
    }
    *out = view.tensor;
    return reader->copy && out->dtype == LATHE_DTYPE_STRING ? copy_strings(reader, out, diag) : LATHE_OK;
}

static void release_source(void *owner)
{
    lt_source_release(owner);
}

static lathe_status find_stats(lt_tensor_reader *reader, const char *name, const char **out, lathe_diag *diag)
{
    const char *key = lt_arena_printf(reader->arena, "fill:%s", name);
    *out = NULL;
    if (key == NULL) {
        return LT_OOM(diag);
    }
    for (size_t i = 0; reader->model != NULL && i < reader->model->metadata_props.count; i++) {
        const lt_pb_entry *entry = &reader->model->metadata_props.at[i];
        bool bad;
        if (lt_pb_is(entry->key, key)) {
            *out = lt_pb_str(reader->arena, entry->value, &bad);
            return LATHE_OK;
        }
    }
    return LATHE_OK;
}

static lathe_status fill_blob(lt_tensor_reader *reader, const lt_pb_tensor *pb, const char *where, lt_tensor *tensor,
                              lt_blob **out, lathe_diag *diag)
{
    const lt_import_options *options = reader->options;
    const char *stats;
    bool bad;
    const char *name = lt_pb_str(reader->arena, pb->name, &bad);
    if (options == NULL || options->fill == NULL || name == NULL || tensor->dtype == LATHE_DTYPE_STRING) {
        return no_data(tensor, where, diag);
    }
    LT_TRY(find_stats(reader, name, &stats, diag));
    LT_TRY(lt_blob_make(reader->allocator, tensor->dtype, tensor->rank, tensor->dims, out, &tensor->data, diag));
    lathe_status status = options->fill(options->fill_user, name, stats, tensor, diag);
    if (status != LATHE_OK) {
        lt_blob_release(*out);
        *out = NULL;
    }
    return status;
}

lathe_status lt_tensor_blob(lt_tensor_reader *reader, const lt_pb_tensor *pb, const char *where, lt_blob **out,
                            lathe_diag *diag)
{
    element_view view;
    LT_TRY(read_view(reader, pb, where, &view, diag));
    if (view.missing) {
        return fill_blob(reader, pb, where, &view.tensor, out, diag);
    }
    bool aligned = ((uintptr_t)view.tensor.data & (natural_align(view.tensor.dtype) - 1)) == 0;
    if (view.source == NULL || !aligned || view.tensor.bytes == 0) {
        LT_TRY(lt_tensor_spend(reader, view.tensor.bytes, where, diag));
        return lt_blob_copy(reader->allocator, &view.tensor, out, diag);
    }
    atomic_fetch_add_explicit(&view.source->references, 1, memory_order_relaxed);
    lathe_status status = lt_blob_wrap(reader->allocator, &view.tensor, view.source, release_source, out, diag);
    if (status != LATHE_OK) {
        lt_source_release(view.source);
    }
    return status;
}

void lt_tensor_reader_close(lt_tensor_reader *reader)
{
    for (size_t i = 0; i < reader->n_externals; i++) {
        lt_source_release(reader->externals[i].source);
    }
    lt_source_release(reader->source);
    reader->n_externals = 0;
    reader->source = NULL;
}
