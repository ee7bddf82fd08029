/*
 * lathe/runtime.h - load a plan, make contexts, bind inputs and outputs, run. Needs liblathe_rt only.
 *
 *     lathe_engine *engine; lathe_context *context;
 *     lathe_engine_load(NULL, "net.plan", NULL, &engine, diag);
 *     lathe_context_create(engine, NULL, &context, diag);
 *     lathe_context_set_input(context, "x", &x, diag);
 *     lathe_context_run(context, diag);
 *     lathe_context_output(context, "y", &y, diag);
 *
 * Threads: a runtime and an engine are shared freely between threads; a context belongs to one thread at a time. Two contexts of one engine run at once.
 * Lifetime: destroy contexts before their engine, engines before their runtime. Destroy functions accept NULL.
 */
#ifndef LATHE_RUNTIME_H
#define LATHE_RUNTIME_H

#include <lathe/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Runtime: thread pool, log, allocator. NULL stands for the process default (made on first use, never destroyed). ---- */

typedef struct lathe_runtime lathe_runtime;

typedef struct lathe_runtime_options {
    size_t struct_size;
    const lathe_allocator *allocator; /* NULL: malloc. Copied. */
    int threads;                      /* of the pool, callers included; 0: affinity and cgroup quota */
    lathe_log_fn log;                 /* NULL: silent. Called from the thread that works. */
    void *log_user;
    int read_environment;             /* 1: heed the variables of `lathe help environment`; 0: ignore them all */
    const char *debug;                /* what to log, as in LATHE_DEBUG, which serves when this is NULL: "rt=2,filter=conv*" */
} lathe_runtime_options;

/* options may be NULL for defaults. */
LATHE_API lathe_status lathe_runtime_create(const lathe_runtime_options *options, lathe_runtime **out, lathe_diag *diag);
LATHE_API void lathe_runtime_destroy(lathe_runtime *runtime);
LATHE_API int lathe_runtime_threads(const lathe_runtime *runtime);
/*
 * Adds an event of the caller's to the trace that LATHE_TRACE asks for (read_environment), beside the steps of all runs; the file is written when the
 * runtime is destroyed. Times in nanoseconds of CLOCK_MONOTONIC. Nothing without a trace. Any thread.
 */
LATHE_API void lathe_runtime_trace(lathe_runtime *runtime, const char *category, const char *name, int64_t start_ns, int64_t end_ns);

/* ---- Engine: an immutable, loaded plan ---- */

typedef struct lathe_engine lathe_engine;

typedef struct lathe_load_options {
    size_t struct_size;
    int verify_full;  /* 1: also the SHA-256 over the whole file */
    int copy;         /* 1: read the file into memory instead of mapping it (it may then be overwritten) */
    const char *device; /* NULL: the plan's own; else "cpu", "twin": choose among its variants */
} lathe_load_options;

/*
 * A plan may hold variants for several machines. Taken is, of those for the device whose processor features are here (and allowed by LATHE_MAX_ISA), one with
 * the most features; among these the one for the most threads that are not above the runtime's, else the one for the fewest; then the first.
 * LATHE_BAD_PLAN: damaged or foreign; LATHE_NEEDS_RETUNE: no variant for this machine (builder.h has lathe_plan_retune and lathe_engine_open).
 */
LATHE_API lathe_status lathe_engine_load(lathe_runtime *runtime, const char *path, const lathe_load_options *options, lathe_engine **out, lathe_diag *diag);
/* data must stay unchanged for the engine's life unless options->copy. */
LATHE_API lathe_status lathe_engine_load_memory(lathe_runtime *runtime, const void *data, size_t size, const lathe_load_options *options,
                                                lathe_engine **out, lathe_diag *diag);
LATHE_API void lathe_engine_destroy(lathe_engine *engine);

/* What a value is: a tensor, or a container of values. The numbers are part of the ABI. */
typedef enum lathe_kind {
    LATHE_KIND_TENSOR = 0,
    LATHE_KIND_SEQUENCE = 1, /* any number of values of one type */
    LATHE_KIND_OPTIONAL = 2, /* one value or none */
    LATHE_KIND_MAP = 3       /* keys, and a value for each; of equal keys the last one counts */
} lathe_kind;
#define LATHE_MAX_NESTING 8

/* Inputs first (0 .. n_inputs-1), then outputs, in the model's order. */
typedef struct lathe_io {
    size_t struct_size;
    const char *name;
    int is_output;
    int is_host;                        /* a host input whose contents are used as a shape */
    int is_tensor;                      /* 0: sequence, optional or map, whose innermost tensors the next four fields describe */
    lathe_dtype dtype;                  /* LATHE_DTYPE_UNDEFINED: tensors of a container of any type */
    int rank;                           /* -1: known only after a run; in containers: each tensor has its own */
    int64_t dims[LATHE_MAX_RANK];       /* -1: symbolic; in containers: each tensor has its own */
    const char *symbols[LATHE_MAX_RANK]; /* expression text of symbolic dims: "N", "2*height"; NULL for fixed ones */
    lathe_kind kinds[LATHE_MAX_NESTING]; /* its own, that of its items, and so on down to LATHE_KIND_TENSOR: {OPTIONAL, SEQUENCE, TENSOR} */
    lathe_dtype keys[LATHE_MAX_NESTING]; /* where kinds[i] is LATHE_KIND_MAP: the type of its keys, integers or strings */
} lathe_io;
LATHE_API size_t lathe_engine_inputs(const lathe_engine *engine);
LATHE_API size_t lathe_engine_outputs(const lathe_engine *engine);
LATHE_API lathe_status lathe_engine_io(const lathe_engine *engine, size_t index, lathe_io *io, lathe_diag *diag);
LATHE_API lathe_status lathe_engine_io_find(const lathe_engine *engine, const char *name, lathe_io *io, lathe_diag *diag);

/* Profiles: the shape ranges that the plan was made for. Shapes outside every profile still run, unplanned (slower to bind). */
LATHE_API size_t lathe_engine_profiles(const lathe_engine *engine);
/* Each of min, opt, max (may be NULL) gets the input's rank entries. */
LATHE_API lathe_status lathe_engine_profile(const lathe_engine *engine, size_t profile, const char *input, int64_t *min, int64_t *opt, int64_t *max, lathe_diag *diag);

typedef struct lathe_engine_info {
    size_t struct_size;
    const char *model_name, *device, *lathe_version;
    uint64_t plan_bytes, weight_bytes;
    uint64_t arena_bytes;   /* of the largest bucket with an upper bound */
    uint32_t steps, threads;
    int async;              /* 0: a run waits on the host inside; async_step names the step */
    const char *async_step;
    int retunable;
    int refittable;         /* some initializers can be replaced */
    uint32_t variant, variants; /* the one that was taken, counted from 0 (lathe inspect lists them); how many the plan has */
} lathe_engine_info;
LATHE_API lathe_status lathe_engine_get_info(const lathe_engine *engine, lathe_engine_info *info, lathe_diag *diag);

/*
 * Refit: new values for named initializers. Re-runs the touched part of the init function, checks the assumptions that the builder recorded, and gives a
 * new engine that shares everything else; the old one stays valid. Refused by name when an initializer was not kept (--refit) or an assumption breaks.
 */
LATHE_API lathe_status lathe_engine_refit(const lathe_engine *engine, const char *const *names, const lathe_tensor *tensors, size_t count,
                                          lathe_engine **out, lathe_diag *diag);
/* Names of initializers that refit can replace, in order; NULL past the end. */
LATHE_API const char *lathe_engine_refit_name(const lathe_engine *engine, size_t index);

/* ---- Context: activations and shape state of one stream of runs ---- */

typedef struct lathe_context lathe_context;

typedef struct lathe_context_options {
    size_t struct_size;
    const lathe_allocator *allocator; /* NULL: the runtime's */
    int threads;                      /* 0: as planned, at most the runtime's */
    uint64_t seed;                    /* of random operators */
} lathe_context_options;

LATHE_API lathe_status lathe_context_create(const lathe_engine *engine, const lathe_context_options *options, lathe_context **out, lathe_diag *diag);
LATHE_API void lathe_context_destroy(lathe_context *context);

/*
 * Binds a tensor input by name (lathe_context_set_input_any for all kinds): dtype must match; dims are checked against the model. The data are read during each run and stay the caller's. Any element
 * alignment. Binding new dims re-runs the shape program only.
 */
LATHE_API lathe_status lathe_context_set_input(lathe_context *context, const char *name, const lathe_tensor *tensor, lathe_diag *diag);
/* Gives memory for a tensor output (NULL data: back to the context's own). Runs fail with LATHE_BAD_SHAPE when bytes is too small for the real extents. */
LATHE_API lathe_status lathe_context_set_output(lathe_context *context, const char *name, void *data, size_t bytes, lathe_diag *diag);
/* Profile to plan with; -1 (default): the first that holds the shapes. */
LATHE_API lathe_status lathe_context_set_profile(lathe_context *context, int profile, lathe_diag *diag);

/* LATHE_OK when everything is bound; LATHE_NOT_READY otherwise, with one record for each missing input. */
LATHE_API lathe_status lathe_context_ready(lathe_context *context, lathe_diag *diag);
/* Shape of an output for the bound inputs, before a run where that can be known; dims -1 where it cannot. */
LATHE_API lathe_status lathe_context_output_shape(lathe_context *context, const char *name, int *rank, int64_t *dims, lathe_diag *diag);
/* Runs once, blocking. In a steady state (same shapes, planned values) it allocates nothing. */
LATHE_API lathe_status lathe_context_run(lathe_context *context, lathe_diag *diag);
/*
 * Like lathe_context_run, and calls visit for the result of every step as soon as it is there, in the order of execution: names are those of the
 * network's values that survived optimization; data are plain host tensors, valid during the call. A status other than LATHE_OK ends the run with it.
 * Slow: for finding the first value that differs.
 */
typedef lathe_status (*lathe_visit_fn)(void *user, const char *name, const lathe_tensor *tensor, lathe_diag *diag);
LATHE_API lathe_status lathe_context_run_visit(lathe_context *context, lathe_visit_fn visit, void *user, lathe_diag *diag);
/* The result after a run: a view, valid until the next run or binding. Tensors only (lathe_context_output_any for all kinds). */
LATHE_API lathe_status lathe_context_output(lathe_context *context, const char *name, lathe_tensor *tensor, lathe_diag *diag);

/* ---- Values that are no tensors: sequences and optionals, of tensors or of each other, and maps ---- */

/*
 * A value of any kind as a tree. Those that lathe_any_create makes are the caller's: they hold copies of what is put into them, and can be filled, bound
 * and changed again. Those behind `const` are parts of others or results of a run: they are read only. An empty sequence fits every sequence input.
 *
 *     lathe_any_create(NULL, LATHE_KIND_SEQUENCE, &list, diag);
 *     lathe_any_put(list, 0, &first, diag);
 *     lathe_any_put(list, 1, &second, diag);
 *     lathe_context_set_input_any(context, "x", list, diag);
 *     lathe_context_run(context, diag);
 *     lathe_context_output_any(context, "y", &result, diag);
 *     for (size_t i = 0; i < lathe_any_count(result); i++) {
 *         lathe_any_tensor(lathe_any_at(result, i), &item, diag);
 *     }
 *
 * A map is two items, both tensors: item 0 its keys, a vector; item 1 the values, a row for each key in that order (a vector where values are numbers).
 * They may be put in any order of keys and are held against each other when the map is bound; an empty map may have no items at all.
 *
 * Threads: one at a time while it is changed; any number may read, and any number of contexts may have it bound.
 */
typedef struct lathe_any lathe_any;

/* An empty sequence, optional or map. allocator (NULL: malloc) must outlive it. */
LATHE_API lathe_status lathe_any_create(const lathe_allocator *allocator, lathe_kind kind, lathe_any **out, lathe_diag *diag);
/* Of those that lathe_any_create made. A context that has it bound must not run any more. */
LATHE_API void lathe_any_destroy(lathe_any *any);
/*
 * Item `index` becomes a copy of the tensor: one that is there is replaced (without an allocation where type and size stay), index == count adds one. An
 * optional has index 0 only, a map 0 (keys) and 1 (values). lathe_any_put_any does the same with a copy of a whole value. After a failure nothing has changed.
 */
LATHE_API lathe_status lathe_any_put(lathe_any *any, size_t index, const lathe_tensor *tensor, lathe_diag *diag);
LATHE_API lathe_status lathe_any_put_any(lathe_any *any, size_t index, const lathe_any *item, lathe_diag *diag);
/* Takes all items away: an empty sequence or map, an optional without a value. */
LATHE_API void lathe_any_clear(lathe_any *any);

LATHE_API lathe_kind lathe_any_kind(const lathe_any *any);
/* Items of a sequence; 1 or 0 for an optional with and without a value; 2 for a map (keys, values), or 0 for one that is empty; 0 for a tensor. */
LATHE_API size_t lathe_any_count(const lathe_any *any);
/* An item, valid until the value that it is part of changes; NULL past the end. */
LATHE_API const lathe_any *lathe_any_at(const lathe_any *any, size_t index);
/* A view of the elements, valid as long as the value. LATHE_INVALID_ARGUMENT when it is no tensor (or NULL: there was no such item). */
LATHE_API lathe_status lathe_any_tensor(const lathe_any *any, lathe_tensor *tensor, lathe_diag *diag);

/*
 * Binds an input of any kind (a tensor value also binds a tensor input). The value stays the caller's and is read during each run: it may change between
 * runs, and is checked again by each. Kinds, element types, ranks and fixed extents must be those that lathe_engine_io tells.
 */
LATHE_API lathe_status lathe_context_set_input_any(lathe_context *context, const char *name, const lathe_any *any, lathe_diag *diag);
/*
 * The result after a run, of any kind: valid until the next run or binding. Items may show the memory of inputs. Containers are made anew by each run, on
 * memory that the context keeps; they have no buffers of the caller's.
 */
LATHE_API lathe_status lathe_context_output_any(lathe_context *context, const char *name, const lathe_any **any, lathe_diag *diag);

/* ---- Caches: what an output was in one run, an input is in the next one (lathe_build_options.caches) ---- */

/*
 * A plan may pair inputs with outputs: keys and values of a decoder, the state of a recurrent network. The context keeps what such a pair holds, in storage
 * for `capacity` along one axis, and its length, 0 at first. Such inputs are not bound, and a run appends to them: networks that join what was there with
 * something new (Concat) write the new rows alone, into their place, those that write into a given place (TensorScatter) do so without a copy, and all others
 * write the whole anew. Results are bit for bit those of feeding outputs back by hand. A run that would exceed the capacity fails with LATHE_OVERFLOW before
 * anything is computed; after any failure length and content are what they were before the run, except those of TensorScatter.
 *
 *     for (;;) {
 *         lathe_context_set_input(context, "ids", &token, diag);
 *         lathe_context_run(context, diag);                       the caches are one row longer
 *         lathe_context_output(context, "logits", &logits, diag);
 *     }
 *     lathe_context_cache_truncate(context, NULL, 12, diag);      speculation failed: back to 12 rows
 *     lathe_context_cache_reset(context, NULL, diag);             the next text
 *
 * Other extents than the one that grows are fixed by the model or those of other inputs; they may change while a cache is empty. lathe_context_set_input of a
 * paired input copies the tensor's content into the cache, once. lathe_context_output of a paired output gives a copy of what is there now, which is slow;
 * lathe_context_set_output refuses it. Caches belong to their context: one thread at a time, contexts do not see each other's.
 */
typedef struct lathe_cache_info {
    size_t struct_size;
    const char *input, *output;
    int axis;
    int64_t capacity;
    const char *way;  /* "appended in place", "updated in place" or "written anew", in the first of the plan's programs */
    const char *note; /* copies that it takes all the same, and why; "" when there are none */
} lathe_cache_info;
LATHE_API size_t lathe_engine_caches(const lathe_engine *engine);
LATHE_API lathe_status lathe_engine_cache(const lathe_engine *engine, size_t index, lathe_cache_info *info, lathe_diag *diag);
/* name: of the input or of the output. The length of those whose input and output have one shape (states, TensorScatter) is always the capacity. */
LATHE_API lathe_status lathe_context_cache_length(const lathe_context *context, const char *name, int64_t *length, lathe_diag *diag);
/* Forgets what lies behind `length`, which must not be above the present one. name NULL: all caches that have a length, or none after a failure. */
LATHE_API lathe_status lathe_context_cache_truncate(lathe_context *context, const char *name, int64_t length, lathe_diag *diag);
/* Length 0; states become zeros. name NULL: all. Keeps the memory. */
LATHE_API lathe_status lathe_context_cache_reset(lathe_context *context, const char *name, lathe_diag *diag);
/*
 * The caller's memory as the cache's storage, row-major with the capacity as the extent of the axis, 64-byte aligned where speed matters; it must live until
 * the context goes or has other storage. length: how much of it is filled already (the capacity, for those without a length). Its size is checked by the next
 * run. data NULL: back to the context's own, empty. LATHE_UNSUPPORTED, by the run, for caches that are written anew.
 */
LATHE_API lathe_status lathe_context_cache_storage(lathe_context *context, const char *name, void *data, size_t bytes, int64_t length, lathe_diag *diag);

/* Per-step profile: while on, each run adds the times of its steps. */
typedef struct lathe_step_profile {
    size_t struct_size;
    const char *name, *class_name, *tactic, *problem;
    uint64_t calls;
    double total_ms, min_ms;
} lathe_step_profile;
LATHE_API lathe_status lathe_context_profile(lathe_context *context, int on, lathe_diag *diag);
LATHE_API size_t lathe_context_steps(const lathe_context *context); /* of the program that the bound shapes use */
LATHE_API lathe_status lathe_context_step(const lathe_context *context, size_t index, lathe_step_profile *profile, lathe_diag *diag);

/* Bytes held by the context: arena, scratch, own outputs, caches. */
LATHE_API uint64_t lathe_context_bytes(const lathe_context *context);

#ifdef __cplusplus
}
#endif

#endif
