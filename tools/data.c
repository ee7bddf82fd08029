/*
 * data.c - reads and writes data files by their ending: npy, npz, pb, png; reads json. The formats themselves are one file each.
 */
#include "data.h"
#include <string.h>

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

bool data_is_npz(const char *path)
{
    return ends_with(path, ".npz");
}

bool data_name_known(const char *path)
{
    return ends_with(path, ".npy") || ends_with(path, ".npz") || ends_with(path, ".pb") || ends_with(path, ".png");
}

lathe_status data_add(data_set *set, lt_arena *arena, const char *name, const lathe_tensor *tensor, lathe_diag *diag)
{
    if (!lt_arena_grow(arena, (void **)&set->items, &set->capacity, set->count + 1, sizeof *set->items)) {
        return LT_OOM(diag);
    }
    data_item *item = &set->items[set->count];
    item->name = lt_arena_str(arena, name);
    item->tensor = *tensor;
    item->tensor.struct_size = sizeof item->tensor;
    set->count++;
    return item->name ? LATHE_OK : LT_OOM(diag);
}

lathe_status data_add_any(data_set *set, lt_arena *arena, const char *name, const lt_any *any, lathe_diag *diag)
{
    LT_TRY(data_add(set, arena, name, &any->tensor, diag));
    set->items[set->count - 1].any = any->cls == LT_TENSOR ? NULL : any;
    return LATHE_OK;
}

/* ---- Reading ---- */

static lathe_status read_npz(const lt_file *file, const char *path, const char *entry, lt_arena *arena, data_set *out,
                             lathe_diag *diag)
{
    zip_entry *entries;
    size_t count;
    char only[300];
    snprintf(only, sizeof only, "%s%s", entry ? entry : "", entry && ends_with(entry, ".npy") ? "" : ".npy");
    LT_TRY(zip_read(file->data, file->size, path, entry ? only : NULL, arena, &entries, &count, diag));
    for (size_t i = 0; i < count; i++) {
        lathe_tensor tensor;
        char *name = lt_arena_str(arena, entries[i].name);
        if (!name) {
            return LT_OOM(diag);
        }
        if (ends_with(name, ".npy")) {
            name[strlen(name) - 4] = '\0';
        }
        LT_TRY(npy_read(entries[i].data, entries[i].size, name, arena, &tensor, diag));
        LT_TRY(data_add(out, arena, name, &tensor, diag));
    }
    return out->count > 0 ? LATHE_OK
                          : LT_FAIL(diag, LATHE_INVALID_ARGUMENT, path, "lathe inspect lists the entries",
                                    "there is no entry '%s'", only);
}

/* Pictures: 1xCxHxW (or CxHxW), floats 0..1, integers 0..255. */
static lathe_status read_picture(const char *path, const data_wish *wish, lt_arena *arena, data_set *out,
                                 lathe_diag *diag)
{
    static const data_wish usual = { .dtype = LATHE_DTYPE_F32, .rank = 4, .dims = { 1, 3, -1, -1 } };
    const data_wish *w = wish ? wish : &usual;
    int rank = w->rank, at = rank - 3;
    if (rank < 3 || rank > 4 || (w->dims[at] != 3 && w->dims[at] != 1 && w->dims[at] != -1)) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, path, "pictures suit shapes such as 1x3xHxW and 1x1xHxW",
                       "a picture does not suit this input");
    }
    int channels = w->dims[at] == 1 ? 1 : 3;
    unsigned char *pixels;
    int64_t height, width;
    LT_TRY(png_read_file(path, channels, arena, &pixels, &height, &width, diag));
    int64_t dims[4] = { 1, channels, height, width };
    lathe_tensor tensor;
    LT_TRY(lt_tensor_alloc(arena, &tensor, w->dtype, rank, dims + 4 - rank, path, diag));
    bool real = lt_dtype_is_float(w->dtype);
    if (!real && !lt_dtype_is_integer(w->dtype)) {
        return LT_FAIL(diag, LATHE_UNSUPPORTED, path, NULL, "a picture cannot become %s", lathe_dtype_name(w->dtype));
    }
    int64_t plane = height * width;
    for (int64_t i = 0; i < plane * channels; i++) {
        unsigned char v = pixels[i % plane * channels + i / plane];
        if (real) {
            lt_store_f64(w->dtype, tensor.data, i, (double)((float)v / 255.0f));
        } else {
            lt_store_i64(w->dtype, tensor.data, i, v);
        }
    }
    return data_add(out, arena, "", &tensor, diag);
}

static lathe_status read_pb(const lt_file *file, const char *path, const data_wish *wish, lt_arena *arena,
                            data_set *out, lathe_diag *diag)
{
    lt_type type = { .cls = wish ? wish->cls : LT_TENSOR };
    lt_any *value = LT_ARENA_NEW(arena, lt_any);
    if (!value) {
        return LT_OOM(diag);
    }
    LT_TRY(lt_onnx_read_value(file->data, file->size, &type, arena, value, path, diag));
    return data_add_any(out, arena, "", value, diag);
}

static lathe_status read_json(const lt_file *file, const char *path, const data_wish *wish, lt_arena *arena,
                              data_set *out, lathe_diag *diag)
{
    lt_any *value = LT_ARENA_NEW(arena, lt_any);
    if (!value) {
        return LT_OOM(diag);
    }
    LT_TRY(json_read(file->data, file->size, path, wish, arena, value, diag));
    return data_add_any(out, arena, "", value, diag);
}

static lathe_status read_npy(const lt_file *file, const char *path, lt_arena *arena, data_set *out, lathe_diag *diag)
{
    lathe_tensor tensor;
    LT_TRY(npy_read(file->data, file->size, path, arena, &tensor, diag));
    return data_add(out, arena, "", &tensor, diag);
}

lathe_status data_read(const char *path, const data_wish *wish, lt_arena *arena, data_set *out, lathe_diag *diag)
{
    const char *entry = NULL, *colon = strstr(path, ".npz:");
    if (colon) {
        entry = colon + 5;
        path = lt_arena_strn(arena, path, (size_t)(colon + 4 - path));
    }
    if (!path) {
        return LT_OOM(diag);
    }
    *out = (data_set){ 0 };
    if (ends_with(path, ".png")) {
        return read_picture(path, wish, arena, out, diag);
    }
    if (!data_name_known(path) && !ends_with(path, ".json")) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, path, "known endings: .npy .npz .pb .json .png",
                       "the kind of this data file is unknown");
    }
    lt_file file;
    LT_TRY(lt_file_read(&file, path, NULL, diag));
    lathe_status status = ends_with(path, ".npy")    ? read_npy(&file, path, arena, out, diag)
                          : ends_with(path, ".pb")   ? read_pb(&file, path, wish, arena, out, diag)
                          : ends_with(path, ".json") ? read_json(&file, path, wish, arena, out, diag)
                                                     : read_npz(&file, path, entry, arena, out, diag);
    lt_file_close(&file);
    return status;
}

/* ---- Writing ---- */

static lathe_status write_picture(const char *path, const lathe_tensor *tensor, lathe_diag *diag)
{
    int at = tensor->rank - 3;
    bool fits = (at == 0 || (at == 1 && tensor->dims[0] == 1)) && (tensor->dims[at] == 1 || tensor->dims[at] == 3);
    bool real = lt_dtype_is_float(tensor->dtype);
    if (!fits || (!real && tensor->dtype != LATHE_DTYPE_U8)) {
        char text[160];
        lt_tensor_describe(tensor, text, sizeof text);
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, path, "write .npy instead",
                       "%s is no picture: 1x3xHxW or 1x1xHxW of floats in 0..1 or of u8 is one", text);
    }
    int64_t channels = tensor->dims[at], height = tensor->dims[at + 1], width = tensor->dims[at + 2],
            plane = height * width;
    unsigned char *pixels = lt_alloc_array(NULL, (size_t)(plane * channels) + 1, 1, 64);
    if (!pixels) {
        return LT_OOM(diag);
    }
    for (int64_t i = 0; i < plane * channels; i++) {
        double x = real ? lt_load_f64(tensor->dtype, tensor->data, i) * 255.0 + 0.5
                        : (double)lt_load_i64(tensor->dtype, tensor->data, i);
        pixels[i % plane * channels + i / plane] = (unsigned char)(x > 255 ? 255 : x > 0 ? x : 0); /* NaN gives 0 */
    }
    lathe_status status = png_write_file(path, (int)channels, pixels, height, width, diag);
    lt_release(NULL, pixels, (size_t)(plane * channels) + 1, 64);
    return status;
}

static lathe_status add_npy(zip_writer *zip, const char *name, const lathe_tensor *tensor, const char *path,
                            lathe_diag *diag)
{
    lt_buf npy;
    lt_buf_init(&npy, NULL);
    lathe_status status = npy_write(tensor, &npy, path, diag);
    if (status == LATHE_OK) {
        zip_add(zip, name, npy.data, npy.length);
    }
    lt_buf_free(&npy);
    return status;
}

static lathe_status add_sequence(zip_writer *zip, const data_item *item, const char *path, lathe_diag *diag)
{
    for (size_t i = 0; i < item->any->count; i++) {
        char name[300];
        snprintf(name, sizeof name, "%.250s.%zu.npy", item->name, i);
        if (item->any->cls != LT_SEQUENCE || item->any->items[i].cls != LT_TENSOR) {
            return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, path, "write .pb instead",
                           "'%s' is no sequence of tensors: .npz cannot hold it", item->name);
        }
        LT_TRY(add_npy(zip, name, &item->any->items[i].tensor, path, diag));
    }
    return LATHE_OK;
}

static lathe_status encode_npz(const data_item *items, size_t count, lt_buf *out, const char *path, lathe_diag *diag)
{
    zip_writer zip;
    lathe_status status = LATHE_OK;
    zip_begin(&zip, out);
    for (size_t i = 0; status == LATHE_OK && i < count; i++) {
        char name[300];
        snprintf(name, sizeof name, "%.250s.npy", items[i].name);
        status = items[i].any ? add_sequence(&zip, &items[i], path, diag)
                              : add_npy(&zip, name, &items[i].tensor, path, diag);
    }
    zip_finish(&zip);
    return status;
}

lathe_status data_write(const char *path, const data_item *items, size_t count, lathe_diag *diag)
{
    if (!data_name_known(path)) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, path, "known endings: .npy .npz .pb .png",
                       "the kind of this data file is unknown");
    }
    if (count != 1 && !data_is_npz(path)) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, path, "write .npz, which holds several",
                       "the file can hold one tensor only");
    }
    if (items[0].any && !data_is_npz(path) && !ends_with(path, ".pb")) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, path, "write .pb, or .npz for a sequence of tensors",
                       "'%s' is no tensor", items[0].name);
    }
    if (ends_with(path, ".png")) {
        return write_picture(path, &items[0].tensor, diag);
    }
    lt_buf out;
    lt_buf_init(&out, NULL);
    lathe_status status = data_is_npz(path)        ? encode_npz(items, count, &out, path, diag)
                          : items[0].any           ? lt_onnx_write_value(items[0].any, items[0].name, &out, diag)
                          : ends_with(path, ".pb") ? lt_onnx_write_tensor(&items[0].tensor, items[0].name, &out, diag)
                                                   : npy_write(&items[0].tensor, &out, path, diag);
    status = status == LATHE_OK && out.failed ? LT_OOM(diag) : status;
    status = status == LATHE_OK ? lt_file_write(path, out.data, out.length, diag) : status;
    lt_buf_free(&out);
    return status;
}
