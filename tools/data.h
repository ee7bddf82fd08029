/*
 * data.h - values in files: npy, npz, ONNX .pb, JSON, PNG; tar archives for the conformance runner. Used by the verbs; knows no engine.
 */
#ifndef LATHE_TOOLS_DATA_H
#define LATHE_TOOLS_DATA_H

#include "study/study.h"
#include <lathe/runtime.h>

typedef struct data_item {
    const char *name; /* "" in files that hold one tensor without a name */
    lathe_tensor tensor;
    const lt_any *any; /* a sequence, optional or map; NULL: the tensor */
} data_item;

typedef struct data_set {
    data_item *items;
    size_t count, capacity;
} data_set;

/* What the input is that a file is for. NULL for a picture: f32[1,3,H,W]. */
typedef struct data_wish {
    lathe_dtype dtype;
    int rank;
    int64_t dims[LATHE_MAX_RANK]; /* -1: any */
    lt_value_class cls;           /* of what a .pb file holds: the bytes do not say */
    const lathe_kind *kinds;      /* as in lathe_io, what a .json file means; NULL: a tensor */
    const lathe_dtype *keys;
} data_wish;

/* Reads everything in a file, or the named entry of FILE.npz:ENTRY. Everything lives in the arena. */
lathe_status data_read(const char *path, const data_wish *wish, lt_arena *arena, data_set *out, lathe_diag *diag);
/* The format is that of the name's ending; names matter for npz only (and one tensor elsewhere). Sequences: .pb, or of tensors .npz with NAME.0 ... */
lathe_status data_write(const char *path, const data_item *items, size_t count, lathe_diag *diag);
bool data_is_npz(const char *path);
bool data_name_known(const char *path); /* an ending that data_write knows */
lathe_status data_add_any(data_set *set, lt_arena *arena, const char *name, const lt_any *any, lathe_diag *diag);
lathe_status data_add(data_set *set, lt_arena *arena, const char *name, const lathe_tensor *tensor, lathe_diag *diag);

/* ---- one file each ---- */
lathe_status npy_read(const void *data, size_t size, const char *what, lt_arena *arena, lathe_tensor *out,
                      lathe_diag *diag);
/* wish NULL: a tensor, of the type that its first element has. */
lathe_status json_read(const void *data, size_t size, const char *what, const data_wish *wish, lt_arena *arena, lt_any *out, lathe_diag *diag);
lathe_status npy_write(const lathe_tensor *tensor, lt_buf *out, const char *what, lathe_diag *diag);

typedef struct zip_entry {
    const char *name;
    const unsigned char *data; /* unpacked, in the arena (or in the file when it was stored) */
    size_t size;
} zip_entry;
/* Every entry of a zip archive; `only` (may be NULL) limits it to one name. */
lathe_status zip_read(const void *data, size_t size, const char *what, const char *only, lt_arena *arena,
                      zip_entry **out, size_t *count, lathe_diag *diag);
/* Adds a stored entry to an archive under construction; zip_finish writes the directory. */
typedef struct zip_writer {
    lt_buf *out;
    lt_buf directory;
    uint32_t count;
} zip_writer;
void zip_begin(zip_writer *zip, lt_buf *out);
void zip_add(zip_writer *zip, const char *name, const void *data, size_t size);
void zip_finish(zip_writer *zip);

/* Raw deflate data to exactly dst_size bytes. LATHE_UNSUPPORTED without zlib. */
lathe_status deflate_read(const void *src, size_t src_size, void *dst, size_t dst_size, const char *what,
                          lathe_diag *diag);
uint32_t crc32_of(const void *data, size_t size);

/* Pictures as 8-bit rows; channels 1 or 3. LATHE_UNSUPPORTED without libpng. */
lathe_status png_read_file(const char *path, int channels, lt_arena *arena, unsigned char **pixels, int64_t *height,
                           int64_t *width, lathe_diag *diag);
lathe_status png_write_file(const char *path, int channels, const unsigned char *pixels, int64_t height, int64_t width,
                            lathe_diag *diag);

/* Unpacks a zstd frame into memory from malloc'd arena. LATHE_UNSUPPORTED without libzstd. */
lathe_status zstd_read(const void *src, size_t size, const char *what, lt_arena *arena, unsigned char **out,
                       size_t *out_size, lathe_diag *diag);

/* An optional library: each is seen by one file, which says here whether the build has it. */
typedef struct data_library {
    const char *name;
    bool there;
    const char *advice; /* when it is not */
} data_library;
extern const data_library library_png, library_zlib, library_zstd;

typedef struct tar_entry {
    const char *path;
    const unsigned char *data; /* into the archive */
    size_t size;
} tar_entry;
/* Regular files of a tar archive (ustar, GNU long names, pax paths). */
lathe_status tar_read(const void *data, size_t size, const char *what, lt_arena *arena, tar_entry **out, size_t *count,
                      lathe_diag *diag);

#endif
