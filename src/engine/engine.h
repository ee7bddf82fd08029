/*
 * engine.h - the plan as data: the decoded model of an engine file, its writer, its checked reader, its dumper. The one header of src/engine.
 *
 * plan/ fills a lt_plan and writes it; rt/ reads one and runs it; api and study look inside. It knows names of tactics and ops, but none of their code.
 * Byte tables, what is hashed and what is refused: docs/engine.md.
 *
 * The reader validates every index, count, enum and size of every table against the others, so that rt can trust a lt_plan as it trusts its own data.
 * Memory safety never relies on a checksum.
 */
#ifndef LT_ENGINE_H
#define LT_ENGINE_H

#include "base/base.h"
#include <lathe/problem.h>

#define LT_PLAN_NONE 0xffffffffu /* "no index" in every table */
#define LT_PLAN_VERSION 1

/* ---- Shape program: numbers computed from input extents, real extents and host elements, in order ---- */

typedef enum lt_expr_kind {
    LT_EXPR_CONST,      /* k */
    LT_EXPR_INPUT_DIM,  /* extent `a` (axis) of network input `b` */
    LT_EXPR_VALUE_DIM,  /* real extent of axis `a` of program value `b`, known after the step that makes it */
    LT_EXPR_VALUE_ELEM, /* element `a` of host value `b` (integer) */
    LT_EXPR_OP          /* lt_dim_op `op` over expressions a, b, c (all earlier) */
} lt_expr_kind;

typedef struct lt_plan_expr {
    uint8_t kind, op;
    uint32_t a, b, c;
    int64_t k;
} lt_plan_expr;

/* ---- Weights ---- */

typedef struct lt_plan_blob {
    uint64_t key;        /* recipe hash: names the unpacked contents (lt_hash64 of dtype, dims, bytes for raw ones) */
    const char *name;    /* of the value in the graph ("" for blobs shared by several) */
    const char *pack;    /* "" = raw */
    uint32_t pack_version;
    int64_t param[4];
    lathe_dtype dtype;   /* logical type and shape, before packing */
    int rank;
    int64_t dims[LATHE_MAX_RANK];
    uint64_t offset;     /* in the weight section, 64-byte aligned */
    uint64_t bytes;      /* as stored */
    uint32_t flags;      /* LT_BLOB_* */
} lt_plan_blob;
enum { LT_BLOB_INITIALIZER = 1u /* a named initializer of the model, raw: source for refit and re-tuning */, LT_BLOB_STRINGS = 2u };

/* ---- Values of a program ---- */

typedef enum lt_storage {
    LT_STORE_ARENA,   /* planned: offset per bucket in the arena of its space */
    LT_STORE_INPUT,   /* network input number `index`; the caller's memory when it is host and plain */
    LT_STORE_OUTPUT,  /* network output number `index` */
    LT_STORE_BLOB,    /* weights */
    LT_STORE_ALIAS,   /* the storage of value `index` (a view; same bytes, other dims, or branch/loop results; a part when a cut says so) */
    LT_STORE_MANAGED  /* host handle on the context's heap */
} lt_storage;

typedef struct lt_plan_value {
    const char *name;      /* of the graph value; several program values may share it (copies in other formats or spaces) */
    lt_value_class cls;
    lathe_dtype dtype;
    int rank;              /* -1: unknown until run (managed only) */
    uint32_t dims[LATHE_MAX_RANK]; /* expression numbers */
    lathe_format format;
    lt_storage storage;
    uint32_t index;
    uint8_t bounded;       /* arena at its upper bound, real extents set by the step that writes it */
    uint32_t first, last;  /* live range in instruction numbers (happens-before order), for planning new shapes */
    uint32_t bound[LATHE_MAX_RANK]; /* bounded: expression numbers of the upper extents; otherwise equal to dims */
} lt_plan_value;

/* Value `value`, an alias, is the part of the value that it shows which begins at `start` along one stored axis. */
typedef enum lt_cut_kind {
    LT_CUT_MADE = 1, /* steps write the parts; all of them together are the whole, which nothing else writes. They stand side by side, in order */
    LT_CUT_SEEN = 2, /* the whole is written, the part read */
    LT_CUT_GROWN = 3 /* the end of a cache (lt_plan_cache): a step writes it; what lies before it is there from earlier runs */
} lt_cut_kind;

typedef struct lt_plan_cut {
    uint32_t value;
    uint8_t kind;
    uint8_t axis;   /* place in the order of the format. Parts whose formats are dense have extents of 1 on all axes before it */
    uint32_t start; /* expression number */
} lt_plan_cut;

/* ---- Steps and instructions ---- */

typedef struct lt_plan_step {
    const char *name;      /* readable: "conv1 + bn1 + relu" */
    const char *class_name; /* for tables: "convolution", "matmul", "pointwise", "reformat", "reference", ... */
    const char *tactic;
    uint32_t tactic_version, config;
    const char *problem;   /* canonical text */
    const uint32_t *in, *out; /* value numbers; LT_PLAN_NONE for absent ones */
    uint32_t n_in, n_out;
    uint64_t scratch;      /* bytes at the bucket's upper corner, for the threads planned */
    uint8_t serial;
    const uint32_t *origins; /* ONNX nodes */
    uint32_t n_origins;
    double cost_ns;        /* estimate or measurement at build time */
} lt_plan_step;

typedef enum lt_opcode {
    LT_I_STEP,     /* a: step */
    LT_I_COPY,     /* a: source value, b: destination value (same format and extents; spaces may differ). A managed b shares a's elements */
    LT_I_SHAPE,    /* a: first expression, b: count: evaluate now */
    LT_I_IF,       /* a: condition value (host bool), b: instructions of the then part, c: of the else part; they follow, then part first */
    LT_I_LOOP,     /* a: loop number, b: instructions of the body, which follow */
    LT_I_CALL,     /* a: program number (a function body that several places share) */
    LT_I_RECORD,   /* a: event */
    LT_I_WAIT,     /* a: event */
    LT_I_HOSTSYNC  /* wait on the host until this lane is empty */
} lt_opcode;

/* Lanes: 0 is the cpu; others name a device queue. */
typedef struct lt_plan_lane {
    lathe_space space;
    int32_t ordinal;  /* device number */
    int32_t queue;    /* backend lane: 0.. compute, -1 copy-in, -2 copy-out */
} lt_plan_lane;

typedef struct lt_plan_instr {
    lt_opcode op;
    uint32_t lane, a, b, c;
} lt_plan_instr;

typedef struct lt_plan_loop {
    uint32_t trip, cond;            /* host values or LT_PLAN_NONE (no limit / always true) */
    uint32_t iteration, cond_in;    /* body values that get the counter and condition, or LT_PLAN_NONE */
    uint32_t cond_out;              /* body value that says "go on", or LT_PLAN_NONE */
    uint32_t n_carried;             /* init[i] -> body_in[i]; after an iteration body_out[i] becomes body_in[i]; at the end result[i] */
    const uint32_t *init, *body_in, *body_out, *result;
    uint32_t n_scan;                /* per-iteration values concatenated on axis 0 (managed results) */
    const uint32_t *scan_out, *scan_result;
} lt_plan_loop;

/* ---- Program ---- */

/* How a program keeps a cache of the plan. */
typedef enum lt_cache_way {
    LT_CACHE_GROWN = 1,   /* the input is the first rows of the output's storage; one part (LT_CUT_GROWN) is written behind them */
    LT_CACHE_UPDATED = 2, /* the output is an alias of the input, whose storage a step takes over */
    LT_CACHE_SWAPPED = 3  /* two dense storages: the output of one run is the input of the next one */
} lt_cache_way;

typedef struct lt_plan_way {
    uint8_t way;
    const char *note;     /* copies that it takes all the same, and why; "": none */
} lt_plan_way;

typedef struct lt_plan_range { /* of one expression (a symbol bound from an input extent) in a bucket */
    uint32_t expr;
    int64_t lo, opt, hi;
} lt_plan_range;

typedef struct lt_plan_program {
    uint32_t profile;
    const lt_plan_expr *exprs;
    uint32_t n_exprs;
    uint32_t bind_exprs;             /* the first so many depend on input extents alone: evaluated at bind */
    const lt_plan_value *values;
    uint32_t n_values;
    const lt_plan_cut *cuts;
    uint32_t n_cuts;
    const lt_plan_step *steps;
    uint32_t n_steps;
    const lt_plan_instr *instrs;
    uint32_t n_instrs;
    const lt_plan_loop *loops;
    uint32_t n_loops;
    const lt_plan_lane *lanes;
    uint32_t n_lanes;
    uint32_t n_events;
    const uint32_t *inputs, *outputs; /* value numbers of the network's inputs and outputs (host, plain) */
    uint32_t n_inputs, n_outputs;
    const lt_plan_way *ways;         /* one for each cache of the plan; none in the init function */
    uint32_t n_ways;
    const lt_plan_range *ranges;     /* the bucket; shapes outside are still runnable: offsets are then planned at bind */
    uint32_t n_ranges;
    uint64_t arena[3];               /* bytes per lathe_space at the upper corner; 0 when unbounded */
    const uint64_t *offsets;         /* n_values: arena offset of each ARENA value; UINT64_MAX when the bucket has no upper bound */
    uint64_t scratch_offset[3];      /* one scratch area per space, sized by the largest step */
    uint64_t scratch_bytes[3];
    uint8_t async;                   /* 0: some step needs the host to read device data; async_step names it */
    const char *async_step;
} lt_plan_program;

/* ---- The plan ---- */

typedef struct lt_plan_io {
    const char *name;
    lt_value_class cls;
    lathe_dtype dtype;
    int rank;
    const char *dims[LATHE_MAX_RANK]; /* text: "3", "N", "2*height" */
    int64_t fixed[LATHE_MAX_RANK];    /* -1 when symbolic */
    uint8_t host;                     /* a host input used as a shape */
} lt_plan_io;

/* Input or output number `io` (outputs behind inputs) is a container: kinds from the outside in, down to tensors of this type. */
enum { LT_PLAN_NESTING = 8 };
typedef struct lt_plan_kind {
    uint32_t io;
    uint8_t depth;                    /* containers around the tensors: 1 .. LT_PLAN_NESTING - 1 */
    lt_value_class cls[LT_PLAN_NESTING]; /* cls[depth] is LT_TENSOR */
    lathe_dtype key[LT_PLAN_NESTING]; /* of maps: the type of their keys, LATHE_DTYPE_UNDEFINED: any */
    lathe_dtype dtype;                /* LATHE_DTYPE_UNDEFINED: any */
    int rank;                         /* -1: each has its own */
    const char *dims[LATHE_MAX_RANK];
    int64_t fixed[LATHE_MAX_RANK];
} lt_plan_kind;

typedef struct lt_plan_profile_input { /* min/opt/max of every input of a profile */
    int64_t min[LATHE_MAX_RANK], opt[LATHE_MAX_RANK], max[LATHE_MAX_RANK];
} lt_plan_profile_input;

typedef struct lt_plan_variant {
    const char *device;        /* "cpu", "twin", "cuda" */
    const char *const *features; /* names that the machine must have ("avx2", ...) */
    uint32_t n_features;
    uint32_t threads;
    const char *sources;       /* names and versions of the tactic sources */
    const uint32_t *programs;  /* program numbers, one or more per profile */
    uint32_t n_programs;
} lt_plan_variant;

typedef struct lt_plan_init { /* result of the init function that became a blob */
    uint32_t value;            /* of the init program */
    uint32_t blob;
} lt_plan_init;

typedef struct lt_plan_assumption {
    const char *initializer, *pass;
    uint8_t kind;              /* lt_assume_kind of the graph */
    double number;
    uint64_t hash;
} lt_plan_assumption;

/* An extent that the model leaves open and the builder was told: refused when inputs are bound otherwise. */
typedef struct lt_plan_equal {
    const char *text;          /* as given: "past=seq"; several by ", " */
    const char *dim;           /* what the model calls it */
    uint32_t input, axis;
} lt_plan_equal;

/* What output `output` is after a run, input `input` is in the next one. The context keeps it, in storage for `capacity` on logical axis `axis`. */
typedef struct lt_plan_cache {
    uint32_t input, output, axis;
    int64_t capacity;
} lt_plan_cache;

typedef struct lt_plan_origin { const char *label, *op, *domain, *path; uint8_t fate; const char *pass; } lt_plan_origin;
typedef struct lt_plan_refusal { const char *value, *from, *to, *reason; } lt_plan_refusal;

typedef struct lt_plan {
    uint32_t version;
    const char *lathe_version, *model_name, *options; /* options: the canonical command-line form */
    const char *graph;               /* text IR above lower-for-target, constants as blob(hash) of raw or invertible blobs */
    const lt_plan_io *inputs, *outputs;
    uint32_t n_inputs, n_outputs;
    const lt_plan_kind *kinds;       /* one for each input and output that is no tensor, in order */
    uint32_t n_kinds;
    const lt_plan_profile_input *profiles; /* n_profiles * n_inputs */
    uint32_t n_profiles;
    const lt_plan_blob *blobs;
    uint32_t n_blobs;
    const lt_plan_program *programs;
    uint32_t n_programs;
    uint32_t init_program;           /* LT_PLAN_NONE: nothing is computed from weights */
    const lt_plan_init *init;
    uint32_t n_init;
    const lt_plan_assumption *assumptions;
    uint32_t n_assumptions;
    const lt_plan_equal *equals;
    uint32_t n_equals;
    const lt_plan_cache *caches;
    uint32_t n_caches;
    const lt_plan_variant *variants;
    uint32_t n_variants;
    const lt_plan_origin *origins;
    uint32_t n_origins;
    const lt_plan_refusal *refusals;
    uint32_t n_refusals;
    uint8_t retunable;               /* each weight raw or invertibly packed */
    const unsigned char *weights;    /* section in memory (mapped); NULL while writing */
    uint64_t weight_bytes;
} lt_plan;

/* ---- Writing ---- */

/* Calls fn(arg, i) for each i below n, perhaps on several threads at once; returns when all have returned. */
typedef void (*lt_parallel_for)(void *user, uint32_t n, void (*fn)(void *arg, uint32_t i), void *arg);
/* data(user, blob, dst) fills the stored bytes of one blob (dst zeroed, blob->bytes). Called once per blob, on any thread of `parallel`, where diag is NULL. */
typedef lathe_status (*lt_blob_source)(void *user, const lt_plan *plan, uint32_t blob, void *dst, lathe_diag *diag);
/* Sets offsets of blobs and the weight section's size (blobs is the caller's writable array behind plan->blobs). */
lathe_status lt_plan_layout(lt_plan *plan, lt_plan_blob *blobs, lathe_diag *diag);
/* The whole file as bytes. Deterministic. parallel may spread the blobs over threads; NULL: in order, by the caller. */
lathe_status lt_plan_encode(const lt_plan *plan, lt_blob_source data, void *user, lt_parallel_for parallel, void *parallel_user, lt_buf *out, lathe_diag *diag);

/* ---- Reading ---- */

enum {
    LT_PLAN_VERIFY_FULL = 1u, /* also the whole-file SHA-256 in the trailer */
    LT_PLAN_NO_CRC = 2u       /* no checksums at all; only for tests: never from the API */
};
/*
 * Checks magic, version, section table, SHA-256 of everything but weights, CRC-32C of the weight chunks (parallel(user, n, fn, arg) may spread the
 * chunks over threads; NULL: serial), zero padding, then decodes and validates all tables. The plan's strings and weights point into data, which must outlive it.
 */
lathe_status lt_plan_decode(const void *data, size_t size, uint32_t flags, lt_parallel_for parallel, void *user, lt_arena *arena, lt_plan **out, lathe_diag *diag);
/* NULL: the input or output is a tensor. */
const lt_plan_kind *lt_plan_kind_of(const lt_plan *plan, uint32_t io);
void lt_plan_kind_print(const lt_plan_kind *kind, lt_buf *out); /* as the text IR writes types: opt(seq(f32[?,3])) */
/* The cache that a program keeps in this way behind the value, its input or (output) its output; LT_PLAN_NONE. */
uint32_t lt_cache_behind(const lt_plan *plan, const lt_plan_program *p, uint32_t value, bool output, lt_cache_way way);
/* True when the bytes begin like a plan. */
bool lt_plan_sniff(const void *data, size_t size);
/* The SHA-256 over the whole file, as its trailer holds it: names these bytes. false: no plan. */
bool lt_plan_fingerprint(const void *data, size_t size, unsigned char out[32]);
/* Recomputes every checksum of an encoded plan in place (fuzzing, tests). */
lathe_status lt_plan_reseal(void *data, size_t size, lathe_diag *diag);
/* A readable page of everything but weights. */
void lt_plan_dump(const lt_plan *plan, lt_buf *out);

/* ---- Variants (engine_variant.c) ---- */

/* The bits of the features that a variant needs; false: one of them is not known to this build. */
bool lt_plan_variant_features(const lt_plan_variant *v, uint64_t *features);
/* The first feature that is missing; NULL: none. */
const char *lt_plan_variant_lacks(const lt_plan_variant *v, uint64_t features);
/* For the same device, level of features and number of threads: one of them is enough. */
bool lt_plan_variants_alike(const lt_plan_variant *a, const lt_plan_variant *b);
/* The variant for a machine with these features and threads; LT_PLAN_NONE: none. device NULL: that of the first that fits. barred: for each variant, may be NULL. */
uint32_t lt_plan_pick(const lt_plan *plan, const char *device, uint64_t features, int threads, const bool *barred);

/* ---- Offsets: shared by plan (at build) and rt (for shapes outside every bucket) ---- */

typedef struct lt_live {
    uint64_t bytes;        /* 0: takes no space */
    uint32_t first, last;  /* inclusive instruction numbers */
    uint64_t offset;       /* result */
} lt_live;
/* Greedy in several orders, then a bounded search; 64-byte aligned, deterministic. lower_bound (may be NULL) gets the largest sum of live bytes at one instruction.
   scratch: n * 8 bytes or NULL to allocate from the arena. */
lathe_status lt_offsets_assign(lt_live *items, uint32_t n, lt_arena *arena, uint64_t *total, uint64_t *lower_bound, lathe_diag *diag);

#endif
