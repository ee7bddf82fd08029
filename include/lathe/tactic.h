/*
 * lathe/tactic.h - a tactic: one way to compute a problem on one kind of device. Built-in tactics and plugins use this header alike.
 *
 * A tactic is data plus functions without state. It never starts threads, never allocates, never keeps pointers past a call. Those of a source that is
 * somebody else's library may keep the library's objects for a step, made by prepare.
 */
#ifndef LATHE_TACTIC_H
#define LATHE_TACTIC_H

#include <lathe/problem.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Threads of one run, together in a parallel region: every one of `count` threads calls run() with its own index. What a thread does must be a pure
 * function of (problem, index, count), and bits must not depend on count. count == 1 is always legal. barrier(gang) waits for all; it is a no-op for one.
 */
typedef struct lathe_gang {
    int index, count;
    void (*barrier)(const struct lathe_gang *gang);
    void *pool; /* of whoever made the gang */
} lathe_gang;

/* Splits 0..total into count parts of near equal size, cut at multiples of grain; part `index` is [*begin, *end). */
LATHE_API void lathe_gang_split(const lathe_gang *gang, int64_t total, int64_t grain, int64_t *begin, int64_t *end);

/*
 * One operand at run time. Data of I/O operands are aligned to their elements only; data from the arena and packs to 64 bytes. dims are the real logical
 * extents; a step with bounded or managed outputs writes those of its outputs (they come in as the upper bound), every other step leaves them alone.
 */
typedef struct lathe_buffer {
    void *data;
    int rank;
    int64_t *dims;
    int64_t pitch; /* bytes from row to row where the operand's format is strided, a multiple of its element; 0: dense */
    void *handle;  /* managed operands: host value (internal); else NULL */
} lathe_buffer;

typedef struct lathe_call {
    size_t struct_size;
    const lathe_problem *problem;
    uint32_t config;             /* as given to fits */
    const lathe_buffer *in;      /* one for each input operand; packed ones hold the pack */
    lathe_buffer *out;
    void *scratch;               /* scratch_bytes(...) bytes, 64-byte aligned, shared by the gang, contents undefined */
    void *stream;                /* the device's queue; NULL on the CPU */
    void *host;                  /* internal services for managed outputs */
    void *state;                 /* what prepare made; NULL for tactics without it */
} lathe_call;

/* The answer to "does it fit". The caller zeroes it and sets the pointers; a tactic fills what differs from the defaults. */
#define LATHE_WHY_MAX 192
typedef struct lathe_fit {
    size_t struct_size;
    char why[LATHE_WHY_MAX];   /* when it does not fit: the reason in one phrase, no full stop */
    lathe_format *in;          /* formats wanted for each input, preset to plain row-major of its dtype in the device's space */
    lathe_format *out;
    const char **pack;         /* for each input: NULL, or the pack row wanted for this constant, e.g. "gemm.b" */
    int64_t (*pack_param)[4];  /* parameters of the pack */
    int8_t *in_place;          /* for each output: input whose storage it may take over, or -1 (preset) */
    uint16_t absorbed;         /* instructions of the epilogue that this tactic does, counted from the root; preset to all */
    double cost;               /* estimated nanoseconds at the opt shape on one thread; used when nothing is timed */
    uint32_t serial;           /* 1: only thread 0 works */
    /*
     * Bit i: input or output i may have rows that lie apart, cut before its last stored axis (format.strided == rank - 1), in any combination; the tactic then
     * goes by the operand's pitch, touches nothing between the rows, and computes the same bits. An operand that the tactic wants packed has no bit. Preset 0.
     */
    uint64_t pitched_in, pitched_out;
    uint32_t any_cut;          /* 1: the bits hold for a cut before any stored axis but the first */
} lathe_fit;

typedef struct lathe_tactic {
    size_t struct_size;
    const char *name;     /* "gemm.f32.avx2.6x16" */
    uint32_t version;     /* bumped on any change of bits or packing */
    const char *summary;  /* one line for `lathe tactics` */
    const char *ops;      /* root operators, separated by spaces; "-" for pure pointwise programs; "*" for any */
    lathe_space device;
    uint64_t cpu_features; /* bits needed, by lt_cpu_feature; 0 for the baseline */
    uint32_t configs;      /* number of configurations to ask about, at least 1 */
    /* 1 and *fit filled, or 0 and fit->why. Must hold over the whole range of the problem's extents. */
    int (*fits)(const lathe_problem *problem, uint32_t config, lathe_fit *fit);
    /* Bytes of scratch at these extents (of all operands, inputs first); NULL for none. Monotone in every extent. threads: size of the gang. */
    size_t (*scratch_bytes)(const lathe_problem *problem, uint32_t config, const lathe_buffer *in, const lathe_buffer *out, int threads);
    lathe_status (*run)(const lathe_gang *gang, const lathe_call *call, lathe_diag *diag);
    const char *source;    /* row of the table of sources; NULL: "lathe" */
    /*
     * For libraries whose kernels are objects: makes what run() needs at these extents, before the run and whenever extents changed; may allocate. *state
     * is NULL or what an earlier call made for the same step, and is kept when it still suits. threads: size of the gang. Operands have no data yet.
     * Both are NULL for tactics without state.
     */
    lathe_status (*prepare)(const lathe_problem *problem, uint32_t config, const lathe_buffer *in, const lathe_buffer *out, int threads, void **state,
                            lathe_diag *diag);
    void (*forget)(void *state); /* NULL does nothing */
} lathe_tactic;

/* The built-in tactics, in table order; NULL past the end. For listings and tests. */
LATHE_API const lathe_tactic *lathe_tactic_at(size_t index);

/* A source of tactics: Lathe's own kernels, or somebody's library that is opened by name where it is installed. */
typedef struct lathe_source {
    size_t struct_size;      /* set by the caller */
    const char *name;        /* "onednn" */
    const char *summary;
    int external;            /* 1: a library; off unless asked for */
    int there;               /* 1: can be used */
    char version[32];        /* where it is there */
    char why[LATHE_WHY_MAX]; /* else: what is missing, in one phrase */
} lathe_source;

/* The sources of this build, in table order; 0 past the end. Opens the library to see whether it is there. */
LATHE_API int lathe_source_at(size_t index, lathe_source *out);

/* A row of the table of packs: how a constant is rearranged for a tactic. pack and unpack are pure; unpack is NULL when it cannot be undone. */
typedef struct lathe_pack {
    const char *name;
    uint32_t version;
    const char *summary;
    /* Packed size; 0 when the tensor does not suit. */
    size_t (*bytes)(const lathe_tensor *source, const int64_t param[4]);
    /* dst is 64-byte aligned and zeroed. */
    void (*pack)(void *dst, const lathe_tensor *source, const int64_t param[4]);
    /* Writes the original elements to dst->data (dst->dims, dtype set). */
    void (*unpack)(lathe_tensor *dst, const void *packed, const int64_t param[4]);
} lathe_pack;

#ifdef __cplusplus
}
#endif

#endif
