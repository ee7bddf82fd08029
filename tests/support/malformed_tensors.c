/*
 * malformed_tensors.c - breaks initializers: data, element types, shapes, elements; and external data.
 */
#define _POSIX_C_SOURCE 200809L
#include "support/malformed_internal.h"

#include <sys/stat.h>
#include <unistd.h>

static pb_tree *initializer(maker *m, size_t i)
{
    return pb_open(m->graph, GRAPH_INITIALIZER, i);
}

static lathe_dtype type_of(pb_tree *tensor)
{
    return (lathe_dtype)pb_int(tensor, TENSOR_TYPE, 0);
}

static void set_dims(pb_tree *tensor, size_t rank, const int64_t *dims)
{
    pb_clear(tensor, TENSOR_DIM);
    for (size_t i = 0; i < rank; i++) {
        pb_add_int(tensor, TENSOR_DIM, dims[i]);
    }
}

/* The operator must find the fault, not the declared types of the outputs. */
static void forget_outputs(maker *m)
{
    for (size_t i = 0; i < pb_count(m->graph, GRAPH_OUTPUT); i++) {
        pb_clear(pb_open(m->graph, GRAPH_OUTPUT, i), 2);
    }
}

/* Zeros, or empty strings, for this type and shape; false: too many. */
static bool fill(pb_tree *tensor, lathe_dtype dtype, size_t rank, const int64_t *dims)
{
    static const unsigned char zeros[1 << 16];
    size_t count = 1;
    for (size_t i = 0; i < rank; i++) {
        count *= (size_t)dims[i];
    }
    if (count * 16 > sizeof zeros) {
        return false;
    }
    set_dims(tensor, rank, dims);
    pb_set_int(tensor, TENSOR_TYPE, dtype);
    pb_clear(tensor, TENSOR_RAW);
    pb_clear(tensor, TENSOR_STRING);
    if (dtype != LATHE_DTYPE_STRING) {
        pb_add_bytes(tensor, TENSOR_RAW, zeros, (count * (size_t)lathe_dtype_bits(dtype) + 7) / 8);
    }
    for (size_t i = 0; dtype == LATHE_DTYPE_STRING && i < count; i++) {
        pb_add_str(tensor, TENSOR_STRING, "");
    }
    return true;
}

static size_t dims_of(pb_tree *tensor, int64_t *dims)
{
    size_t rank = pb_count(tensor, TENSOR_DIM);
    for (size_t i = 0; i < rank; i++) {
        dims[i] = (int64_t)pb_get(tensor, TENSOR_DIM, i)->varint;
    }
    return rank;
}

/* ---- Data that do not fit their shape ---- */

static void break_size(maker *m, size_t i)
{
    pb_item *raw;
    if (malformed_open(m) && (raw = pb_get(initializer(m, i), TENSOR_RAW, 0)) != NULL && raw->size > 0) {
        raw->size--;
        malformed_emit(m, "tensor data", CERTAIN, pb_text(initializer(m, i), TENSOR_NAME, 0), "initializer %zu is one byte short", i);
    }
    if (malformed_open(m) && (raw = pb_get(initializer(m, i), TENSOR_RAW, 0)) != NULL && raw->size > 0) {
        raw->size = 0;
        malformed_emit(m, "tensor data", CERTAIN, pb_text(initializer(m, i), TENSOR_NAME, 0), "initializer %zu is empty", i);
    }
    if (malformed_open(m)) {
        pb_add_int(initializer(m, i), TENSOR_DIM, 1000003);
        malformed_emit(m, "tensor data", pb_count(initializer(m, i), TENSOR_STRING) + (pb_get(initializer(m, i), TENSOR_RAW, 0) != NULL) > 0 ? CERTAIN : 0,
                       pb_text(initializer(m, i), TENSOR_NAME, 0), "initializer %zu lacks most of its data", i);
    }
}

static void break_extents(maker *m, size_t i)
{
    static const int64_t shapes[][4] = { { -1, 1, 1, 1 }, { INT64_MIN, 1, 1, 1 }, { INT64_MAX, 1, 1, 1 }, { (int64_t)1 << 32, (int64_t)1 << 32, 1, 1 },
                                         { (int64_t)1 << 62, 4, 1, 1 }, { 3037000500, 3037000500, 2, 1 }, { (int64_t)1 << 40, 1, 1, 1 } };
    for (size_t k = 0; k < LT_COUNT(shapes); k++) {
        if (malformed_open(m)) {
            set_dims(initializer(m, i), 4, shapes[k]);
            malformed_emit(m, "tensor extents", CERTAIN, pb_text(initializer(m, i), TENSOR_NAME, 0), "initializer %zu has extents %lld, %lld, ...", i,
                           (long long)shapes[k][0], (long long)shapes[k][1]);
        }
    }
    if (malformed_open(m)) {
        pb_tree *tensor = initializer(m, i);
        for (int k = 0; k < 40; k++) {
            pb_add_int(tensor, TENSOR_DIM, 1);
        }
        malformed_emit(m, "tensor extents", CERTAIN, pb_text(tensor, TENSOR_NAME, 0), "initializer %zu has 40 axes more", i);
    }
}

/* ---- Tensors that the operator does not take ---- */

static void break_type(maker *m, size_t i)
{
    static const lathe_dtype types[] = { LATHE_DTYPE_STRING, LATHE_DTYPE_C64, LATHE_DTYPE_BOOL, LATHE_DTYPE_F32, LATHE_DTYPE_I64, LATHE_DTYPE_U8, LATHE_DTYPE_F8E5M2 };
    int64_t dims[LATHE_MAX_RANK];
    for (size_t k = 0; k < LT_COUNT(types); k++) {
        if (malformed_open(m) && type_of(initializer(m, i)) != types[k]) {
            size_t rank = dims_of(initializer(m, i), dims);
            if (fill(initializer(m, i), types[k], rank, dims)) {
                forget_outputs(m);
                malformed_emit(m, "input type", 0, NULL, "initializer %zu of type %s", i, lathe_dtype_name(types[k]));
            }
        }
    }
    if (malformed_open(m)) {
        pb_set_int(initializer(m, i), TENSOR_TYPE, 77);
        malformed_emit(m, "input type", CERTAIN, pb_text(initializer(m, i), TENSOR_NAME, 0), "initializer %zu of type 77", i);
    }
}

static void try_shape(maker *m, size_t i, const char *what, size_t rank, const int64_t *dims)
{
    if (rank <= LATHE_MAX_RANK && fill(initializer(m, i), type_of(initializer(m, i)), rank, dims)) {
        forget_outputs(m);
        malformed_emit(m, "input shape", 0, NULL, "initializer %zu %s", i, what);
    }
}

static void break_shape(maker *m, size_t i)
{
    static const struct {
        const char *what;
        size_t rank;
        int64_t dims[9];
    } shapes[] = { { "is a scalar", 0, { 0 } }, { "is [7]", 1, { 7 } }, { "is [2,3,5,7]", 4, { 2, 3, 5, 7 } },
                   { "has nine axes", 9, { 1, 1, 1, 2, 1, 1, 1, 1, 3 } }, { "is [0]", 1, { 0 } }, { "is [1,1]", 2, { 1, 1 } } };
    int64_t dims[LATHE_MAX_RANK + 1];
    for (size_t k = 0; k < LT_COUNT(shapes); k++) {
        if (malformed_open(m)) {
            try_shape(m, i, shapes[k].what, shapes[k].rank, shapes[k].dims);
        }
    }
    if (malformed_open(m)) {
        size_t rank = dims_of(initializer(m, i), dims);
        if (rank > 0) {
            dims[0]++;
            try_shape(m, i, "is one longer on its first axis", rank, dims);
        }
    }
    if (malformed_open(m)) {
        size_t rank = dims_of(initializer(m, i), dims);
        if (rank > 0) {
            dims[rank - 1]++;
            try_shape(m, i, "is one longer on its last axis", rank, dims);
        }
    }
    if (malformed_open(m)) {
        size_t rank = dims_of(initializer(m, i), dims);
        dims[rank] = 2;
        try_shape(m, i, "has an axis more", rank + 1, dims);
    }
}

/* Every element of an integer input is one number; known at the build, or only at the run. */
static void break_elements(maker *m, size_t i)
{
    static const int64_t values[] = { INT64_MIN, INT64_MAX, -1000003, 1000003, -1, 0, (int64_t)1 << 40 };
    for (size_t k = 0; k < 2 * LT_COUNT(values); k++) {
        pb_item *raw;
        if (strcmp(m->op->name, "Loop") == 0 && values[k / 2] > 255) {
            continue; /* many iterations are no fault; the bombs have those that need more and more memory */
        }
        if (!malformed_open(m) || (raw = pb_get(initializer(m, i), TENSOR_RAW, 0)) == NULL || !lt_dtype_is_integer(type_of(initializer(m, i)))) {
            continue;
        }
        unsigned char *data = lt_arena_copy(&m->arena, raw->data, raw->size + 1, 16);
        size_t bytes = (size_t)lathe_dtype_bits(type_of(initializer(m, i))) / 8;
        for (size_t at = 0; bytes > 0 && at + bytes <= raw->size; at += bytes) {
            memcpy(data + at, &values[k / 2], bytes);
        }
        raw->data = data;
        malformed_emit(m, k % 2 ? "elements at run" : "elements", k % 2 ? AT_RUN : 0, NULL, "all elements of initializer %zu are %lld", i, (long long)values[k / 2]);
    }
}

void malformed_tensors(maker *m)
{
    size_t count = malformed_open_always(m) ? pb_count(m->graph, GRAPH_INITIALIZER) : 0;
    for (size_t i = 0; i < count && i < 8; i++) {
        if (m->sample == 0) {
            break_size(m, i);
            break_extents(m, i);
        }
        break_type(m, i);
        break_shape(m, i);
        break_elements(m, i);
    }
}

/* ---- External data ---- */

static const struct {
    const char *what, *location, *offset, *length;
} externals[] = {
    { "a folder above", "../data.bin", "0", NULL },
    { "a folder above, the long way", "sub/../../data.bin", "0", NULL },
    { "an absolute path", "/etc/passwd", "0", NULL },
    { "a link out of the folder", "link_out.bin", "0", NULL },
    { "a folder that is a link out", "link_folder/passwd", "0", NULL },
    { "a link to itself", "link_loop.bin", "0", NULL },
    { "a pipe", "pipe.bin", "0", NULL },
    { "a folder", "sub", "0", NULL },
    { "a device", "link_zero.bin", "0", NULL },
    { "no such file", "nowhere.bin", "0", NULL },
    { "no name", "", "0", NULL },
    { "a name with a backslash", "..\\data.bin", "0", NULL },
    { "an offset past the end", "data.bin", "4096", NULL },
    { "an offset at the end", "data.bin", "64", NULL },
    { "an offset past 2^63", "data.bin", "9223372036854775808", NULL },
    { "an offset past 2^64", "data.bin", "18446744073709551617", NULL },
    { "a negative offset", "data.bin", "-4", NULL },
    { "an offset that is no number", "data.bin", "4x", NULL },
    { "a hexadecimal offset", "data.bin", "0x10", NULL },
    { "a length past the end", "data.bin", "0", "4096" },
    { "offset and length that overflow", "data.bin", "8", "18446744073709551612" },
    { "a negative length", "data.bin", "0", "-1" },
    { "another length than its shape", "data.bin", "0", "1" },
    { "an empty file", "empty.bin", "0", NULL },
};

static void add_entry(pb_tree *tensor, const char *key, const char *value)
{
    pb_tree *entry = pb_add_tree(tensor, TENSOR_EXTERNAL);
    pb_add_str(entry, 1, key);
    pb_add_str(entry, 2, value);
}

static void make_file(const char *folder, const char *name, size_t size)
{
    static const char bytes[64];
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    (void)lt_file_write(path, bytes, size, NULL);
}

static void make_link(const char *folder, const char *name, const char *target)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    (void)unlink(path);
    (void)!symlink(target, path);
}

/* Once: all models share them. */
static void make_files(const char *folder)
{
    char path[1024];
    make_file(folder, "data.bin", 64);
    make_file(folder, "empty.bin", 0);
    make_link(folder, "link_out.bin", "/etc/passwd");
    make_link(folder, "link_folder", "/etc");
    make_link(folder, "link_loop.bin", "link_loop.bin");
    make_link(folder, "link_zero.bin", "/dev/zero");
    snprintf(path, sizeof path, "%s/sub", folder);
    (void)mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/pipe.bin", folder);
    (void)mkfifo(path, 0600);
}

void malformed_external(maker *m)
{
    if (m->options->folder == NULL) {
        return;
    }
    make_files(m->options->folder);
    for (size_t k = 0; k < LT_COUNT(externals); k++) {
        if (malformed_draw(m, 4) != 0 || !malformed_open(m)) {
            continue;
        }
        pb_tree *tensor = initializer(m, 0);
        const pb_item *raw = pb_get(tensor, TENSOR_RAW, 0);
        if (raw == NULL || raw->size < 2) {
            continue;
        }
        pb_clear(tensor, TENSOR_RAW);
        pb_add_int(tensor, TENSOR_LOCATION, 1);
        add_entry(tensor, "location", externals[k].location);
        add_entry(tensor, "offset", externals[k].offset);
        if (externals[k].length != NULL) {
            add_entry(tensor, "length", externals[k].length);
        }
        malformed_emit(m, "external data", CERTAIN | FOLDER, pb_text(tensor, TENSOR_NAME, 0), "initializer 0 lies in %s", externals[k].what);
    }
}
