/*
 * rt_internal.h - structures shared by the files of src/rt.
 *
 * engine: a decoded plan with its tactics resolved for this machine. context: what changes from run to run. A context keeps one lt_state for each program
 * (profile x bucket) that it has used, so that going back to earlier shapes allocates nothing.
 */
#ifndef LT_RT_INTERNAL_H
#define LT_RT_INTERNAL_H

#include "rt/rt.h"
#include <stdatomic.h>

struct lathe_runtime {
    lathe_allocator allocator;
    bool own_allocator;   /* false: malloc */
    lt_pool *pool;
    int threads;
    lathe_log_fn log;
    void *log_user;
    lt_debug debug;        /* topic rt */
    uint64_t features;
    lt_trace *trace;       /* NULL: nobody asked */
    const char *trace_path;
};

/* bind.c: what was assumed of this axis of an input, or of the dimension that it shares with another one; NULL: nothing. */
const lt_plan_equal *lt_plan_equal_of(const lt_plan *plan, uint32_t input, uint32_t axis);

/* A step of a plan with everything looked up. */
typedef struct lt_ready_step {
    const lt_plan_step *plan;
    const lathe_tactic *tactic;
    const lathe_problem *problem;
    lathe_space space;
    bool late;            /* some operand has extents that only a run knows */
    bool managed;         /* some output has no extents before the run: gets its own heap */
    const char *random;   /* of random operators: the name that their numbers go by; else NULL */
    const int8_t *in_place; /* per output: the input whose storage the tactic lets it take over, or -1 */
} lt_ready_step;

typedef struct lt_ready_program {
    const lt_plan_program *plan;
    lt_ready_step *steps;
    uint32_t *cut_of;     /* per value: number + 1 of its cut; 0: no part */
    bool host_shapes;     /* bind reads contents of host inputs: shapes are worked out on every run */
} lt_ready_program;

typedef struct lt_weight { /* a blob's bytes as the steps see them */
    const void *data;
    lt_any any;           /* for managed readers (strings) */
} lt_weight;

struct lathe_engine {
    lathe_runtime *runtime;
    const lathe_allocator *allocator;
    _Atomic uint32_t references; /* the user's, each context's, each refitted child's */
    lathe_engine *parent;  /* of a refitted engine: owner of the file and the decoded plan */
    lt_file file;
    bool own_file;
    uint64_t plan_bytes;
    lt_arena arena;
    const lt_plan *plan;
    const lt_plan_variant *variant;
    lt_ready_program *programs; /* of the variant, in its order */
    lt_weight *weights;         /* one per blob */
};

/* A value of a program in a context. */
typedef struct lt_cell {
    void *data;           /* host pointer, or device address cast to one; NULL while managed or unbound */
    int64_t dims[LATHE_MAX_RANK];
    uint64_t bytes;       /* of its elements */
    uint64_t span;        /* from data to its last element: more than bytes where rows lie apart */
    int64_t pitch;        /* bytes from row to row of a part; 0: dense */
    int rank;
    lt_any any;           /* managed values */
} lt_cell;

/* Evaluations of a random step in the run that is going on: bodies of loops draw anew each time. */
typedef struct lt_drawn {
    uint64_t run, count;
} lt_drawn;

typedef struct lt_timing {
    uint64_t calls;
    int64_t total_ns, min_ns;
} lt_timing;

/* One open device of a context: every lane of a program names one. */
typedef struct lt_open_device {
    const lt_backend *backend;
    int ordinal;
    lt_device *device;
} lt_open_device;

typedef struct lt_state {
    const lt_ready_program *program;
    lt_arena memory;       /* all tables below */
    int64_t *exprs;
    lt_cell *cells;
    lathe_buffer *buffers; /* operands of the steps, one row after another */
    uint32_t *first_buffer; /* of each step */
    void **prepared;       /* per step: what its tactic's prepare made for these extents */
    bool *alone;           /* per step: too short at these extents to be shared among threads */
    lt_arena *heaps;       /* one per step for managed outputs, then three per loop: carried values by turns, scan results */
    lt_timing *timings;
    lt_drawn *drawn;       /* per step */
    lt_live *live;         /* for shapes outside every bucket */
    uint32_t *events;      /* lane that recorded each event; LT_PLAN_NONE */
    void *arena[3];        /* per space: host pointer or device address */
    uint64_t arena_bytes[3];
    void *scratch[3];
    uint64_t scratch_bytes[3];
    uint64_t generation;   /* of the bindings that the shapes were worked out for */
} lt_state;

typedef struct lt_binding {
    lathe_tensor tensor;   /* inputs: what is bound; outputs: the caller's memory */
    const lt_any *any;     /* inputs that are containers: the caller's value; outputs: after a run */
    lt_any view;           /* outputs that are tensors: what `any` shows then */
    bool bound;
    void *own;             /* outputs: memory of the context's */
    uint64_t own_bytes;
    lathe_tensor result;   /* outputs: after a run */
} lt_binding;

/* A cache of the plan (lt_plan_cache) in a context. */
typedef struct lt_kept {
    const lt_plan_cache *plan;
    bool whole;             /* the input is as long as the output: all of the capacity counts, there is no length */
    int rank;
    size_t element;         /* bytes */
    uint32_t from_input[LATHE_MAX_RANK], from_axis[LATHE_MAX_RANK]; /* where an open extent comes from; input LT_PLAN_NONE: it is fixed */
    int64_t dims[LATHE_MAX_RANK];  /* of what is there; on the axis: the length, or the capacity where it is whole */
    bool shaped;            /* data has room for the capacity at these extents */
    bool used;              /* whole ones: something was written */
    bool dense;             /* rows follow each other; else they are as far apart as the capacity wants */
    void *data;             /* what the input is */
    void *other;            /* where the output goes when the two change places after a run; NULL: not needed so far */
    uint64_t bytes;         /* of data, and of other */
    bool lent;              /* data is the caller's */
} lt_kept;

struct lathe_context {
    lathe_engine *engine;
    const lathe_allocator *allocator;
    int threads;
    uint64_t seed;
    uint64_t run;          /* runs so far: advances random operators */
    int profile;           /* asked for; -1 any */
    lt_binding *inputs, *outputs;
    lt_kept *caches;       /* one for each of the plan */
    uint64_t generation;   /* goes up with each binding that changes extents */
    lt_state **states;     /* one per program of the variant; NULL until used */
    lt_state *current;     /* of the last bind; NULL before */
    lt_open_device *devices;
    uint32_t n_devices;
    lt_arena scratch;      /* of reference steps */
    lt_arena copies;       /* conversions for visits */
    bool profiling;
    lathe_visit_fn visit;
    void *visit_user;
    bool ran;
};

/* engine_load.c */
void lt_engine_retain(lathe_engine *engine);
lathe_status lt_engine_prepare(lathe_engine *engine, lathe_diag *diag); /* resolves programs of engine->variant, fills weights that are NULL */
lathe_status lt_weight_strings(lathe_engine *engine, const lt_plan_blob *blob, const void *data, lt_weight *out, lathe_diag *diag);

/* state.c */
lathe_status lt_state_get(lathe_context *context, uint32_t program, lt_state **out, lathe_diag *diag);
void lt_state_destroy(lathe_context *context, lt_state *state);
lathe_status lt_state_reserve(lathe_context *context, lt_state *state, int space, uint64_t arena, uint64_t scratch, lathe_diag *diag);
lt_open_device *lt_context_device(lathe_context *context, lathe_space space, int ordinal);

/* bind.c: chooses the program, evaluates the shape program, places every value */
lathe_status lt_context_bind(lathe_context *context, lathe_diag *diag);
lathe_status lt_eval_exprs(const lt_plan_program *program, uint32_t first, uint32_t count, lt_state *state, lathe_diag *diag);
lathe_status lt_set_extents(lt_state *state, uint32_t value, lathe_diag *diag); /* extents of a value from its expressions */
lathe_status lt_place_value(lathe_context *context, lt_state *state, uint32_t value, lathe_diag *diag);

lathe_status lt_prepare_step(lathe_context *context, lt_state *state, uint32_t step, lathe_diag *diag); /* at the extents of its operands */

/*
 * rt_cache.c. make: after the bindings. before: extents and data of cached inputs, before a program is chosen. suit: the layout that the program wants. check:
 * against the capacity, when extents are known. after: a run that went well.
 */
lathe_status lt_caches_make(lathe_context *context, lathe_diag *diag);
void lt_caches_destroy(lathe_context *context);
lathe_status lt_caches_before(lathe_context *context, lathe_diag *diag);
lathe_status lt_caches_suit(lathe_context *context, const lt_plan_program *program, lathe_diag *diag);
lathe_status lt_caches_check(const lathe_context *context, const lt_state *state, lathe_diag *diag);
lathe_status lt_caches_after(lathe_context *context, lt_state *state, lathe_diag *diag);
lt_kept *lt_cache_of(const lathe_context *context, uint32_t index, bool output); /* of an input or output; NULL: it is none */
lathe_status lt_cache_fill(lathe_context *context, lt_kept *cache, const lathe_tensor *tensor, lathe_diag *diag);
lathe_status lt_cache_place(const lathe_context *context, lt_state *state, uint32_t value, lathe_diag *diag); /* of inputs and outputs that are caches */
lathe_status lt_cache_tensor(lathe_context *context, const lt_kept *cache, lathe_tensor *out, lathe_diag *diag); /* what it holds, dense: on context->copies if need be */
uint64_t lt_caches_bytes(const lathe_context *context);

/* any.c: does a value suit a container input? name: of the input */
lathe_status lt_any_check(const lt_plan_kind *kind, const char *name, const lt_any *any, lathe_diag *diag);

/* exec.c */
lathe_status lt_context_execute(lathe_context *context, lt_state *state, lathe_diag *diag);
/* A value's elements as a plain host tensor: a view where possible, else a copy in `arena`. */
lathe_status lt_cell_tensor(lathe_context *context, lt_state *state, uint32_t value, lt_arena *arena, lathe_tensor *out, lathe_diag *diag);

/* rt_log.c */
bool lt_rt_talks(const lathe_engine *engine, int level);
void lt_rt_say_load(const lathe_engine *engine);
void lt_rt_say_bind(const lathe_context *context, const lt_state *s, bool planned);
void lt_rt_say_step(const lathe_context *context, const lt_state *s, uint32_t number);

#endif
