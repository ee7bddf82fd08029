/*
 * lathe/base.h - what every other public header stands on: status codes, diagnostics, data types, the allocator.
 *
 * Threads: a lathe_diag belongs to one thread at a time; everything else here is a pure function.
 * Ownership: strings returned from here are static unless a comment says otherwise.
 */
#ifndef LATHE_BASE_H
#define LATHE_BASE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define LATHE_VERSION_MAJOR 0
#define LATHE_VERSION_MINOR 1
#define LATHE_VERSION_PATCH 0
#define LATHE_VERSION_STRING "0.1.0"

#if defined(__GNUC__)
#define LATHE_API __attribute__((visibility("default")))
#else
#define LATHE_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* The version of the library that is loaded, which may differ from LATHE_VERSION_STRING of the headers compiled with. */
LATHE_API const char *lathe_version(void);

/* Every function that can fail returns one of these. The values are part of the ABI. */
typedef enum lathe_status {
    LATHE_OK = 0,
    LATHE_INVALID_ARGUMENT = 1, /* the caller broke a rule that the header states */
    LATHE_OUT_OF_MEMORY = 2,
    LATHE_IO = 3,             /* the operating system refused; the record holds its reason */
    LATHE_BAD_MODEL = 4,      /* the model is damaged or breaks ONNX's rules */
    LATHE_UNSUPPORTED = 5,    /* a valid request that this build cannot serve; the record names it */
    LATHE_BAD_PLAN = 6,       /* the plan is damaged, foreign or of another version */
    LATHE_BAD_SHAPE = 7,      /* shapes or values at run time that the model or the profile does not allow */
    LATHE_NOT_READY = 8,      /* inputs or shapes are missing; the record names them */
    LATHE_NEEDS_RETUNE = 9,   /* the plan is fine but holds no variant for this machine */
    LATHE_OVERFLOW = 10,      /* a size or a dimension does not fit its type */
    LATHE_CANCELLED = 11,     /* a callback asked to stop */
    LATHE_INTERNAL = 12       /* a broken promise inside Lathe: please report it */
} lathe_status;

/* "bad-model" and the like; "unknown-status" for other numbers. */
LATHE_API const char *lathe_status_name(lathe_status status);

/*
 * Diagnostics. A lathe_diag collects records of what went wrong. It keeps the first LATHE_DIAG_MAX records and counts the rest.
 * Passing NULL for a lathe_diag is always allowed; the status is then all there is.
 */
#define LATHE_DIAG_MAX 4096

typedef struct lathe_diag lathe_diag;

typedef struct lathe_diag_record {
    size_t struct_size;   /* set by the caller to sizeof(lathe_diag_record) before lathe_diag_at */
    lathe_status status;
    const char *file;     /* C source file and line that reported it */
    int line;
    const char *where;    /* place in the model: "model.onnx: node 'conv1' (Conv)"; "" when there is none */
    const char *text;     /* what is wrong */
    const char *advice;   /* what to do about it; "" when there is nothing to say */
} lathe_diag_record;

struct lathe_allocator;

/* NULL when out of memory. allocator may be NULL (malloc). */
LATHE_API lathe_diag *lathe_diag_create(const struct lathe_allocator *allocator);
LATHE_API void lathe_diag_destroy(lathe_diag *diag);
LATHE_API void lathe_diag_clear(lathe_diag *diag);
/* Records kept, and records reported in all. */
LATHE_API size_t lathe_diag_count(const lathe_diag *diag);
LATHE_API size_t lathe_diag_total(const lathe_diag *diag);
/* Fills *record; strings live until the diag is cleared or destroyed. LATHE_INVALID_ARGUMENT when index is out of range. */
LATHE_API lathe_status lathe_diag_at(const lathe_diag *diag, size_t index, lathe_diag_record *record);
/* Writes every record as "error[bad-model]: where: text" and "  advice: ...", and the number of those dropped. */
LATHE_API void lathe_diag_print(const lathe_diag *diag, FILE *stream);

/*
 * The allocator that every create function takes (NULL: malloc). align is a power of two; size is never 0.
 * release gets the size and align of the matching alloc. Both must be callable from any thread.
 */
typedef struct lathe_allocator {
    size_t struct_size;
    void *user;
    void *(*alloc)(void *user, size_t size, size_t align);
    void (*release)(void *user, void *ptr, size_t size, size_t align);
} lathe_allocator;

/* Element types. The numbers are those of ONNX's TensorProto.DataType. */
typedef enum lathe_dtype {
    LATHE_DTYPE_UNDEFINED = 0,
    LATHE_DTYPE_F32 = 1,
    LATHE_DTYPE_U8 = 2,
    LATHE_DTYPE_I8 = 3,
    LATHE_DTYPE_U16 = 4,
    LATHE_DTYPE_I16 = 5,
    LATHE_DTYPE_I32 = 6,
    LATHE_DTYPE_I64 = 7,
    LATHE_DTYPE_STRING = 8,
    LATHE_DTYPE_BOOL = 9,
    LATHE_DTYPE_F16 = 10,
    LATHE_DTYPE_F64 = 11,
    LATHE_DTYPE_U32 = 12,
    LATHE_DTYPE_U64 = 13,
    LATHE_DTYPE_C64 = 14,
    LATHE_DTYPE_C128 = 15,
    LATHE_DTYPE_BF16 = 16,
    LATHE_DTYPE_F8E4M3FN = 17,
    LATHE_DTYPE_F8E4M3FNUZ = 18,
    LATHE_DTYPE_F8E5M2 = 19,
    LATHE_DTYPE_F8E5M2FNUZ = 20,
    LATHE_DTYPE_U4 = 21,
    LATHE_DTYPE_I4 = 22,
    LATHE_DTYPE_F4E2M1 = 23,
    LATHE_DTYPE_F8E8M0 = 24,
    LATHE_DTYPE_U2 = 25,
    LATHE_DTYPE_I2 = 26,
    LATHE_DTYPE_COUNT = 27
} lathe_dtype;

/* "f32", "i4", "bf16", "string", ...: the spelling of the text IR. NULL for a number that is no type. */
LATHE_API const char *lathe_dtype_name(lathe_dtype dtype);
/* LATHE_DTYPE_UNDEFINED when the name is unknown. */
LATHE_API lathe_dtype lathe_dtype_from_name(const char *name);
/* Bits of one element as stored; 0 for strings and for numbers that are no type. */
LATHE_API unsigned lathe_dtype_bits(lathe_dtype dtype);

/* Tensors have at most this many dimensions. */
#define LATHE_MAX_RANK 16

/*
 * A dense tensor in host memory, row-major. A view: whoever made `data` keeps it, for as long as the function that takes the tensor says.
 * String tensors hold lathe_bytes elements. Sub-byte types are packed as ONNX does (element 0 in the low bits of byte 0).
 */
typedef struct lathe_tensor {
    size_t struct_size;
    lathe_dtype dtype;
    int rank;
    int64_t dims[LATHE_MAX_RANK];
    void *data;   /* may be NULL when there are no elements */
    size_t bytes; /* size of data; checked against dtype and dims wherever a tensor comes in */
} lathe_tensor;

/* Bytes with a length: an element of a string tensor, or a string attribute. Not NUL-terminated in general. */
typedef struct lathe_bytes {
    const char *data;
    size_t length;
} lathe_bytes;

/* Severity of a message to the log callback. */
typedef enum lathe_log_level {
    LATHE_LOG_ERROR = 0,
    LATHE_LOG_WARNING = 1,
    LATHE_LOG_INFO = 2,
    LATHE_LOG_DEBUG = 3
} lathe_log_level;

typedef void (*lathe_log_fn)(void *user, lathe_log_level level, const char *message);

#ifdef __cplusplus
}
#endif

#endif
