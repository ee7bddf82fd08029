/*
 * lathe/builder.h - from a network to a plan. Needs liblathe (which needs liblathe_rt).
 *
 *     lathe_network *net; lathe_plan *plan;
 *     lathe_network_from_onnx_file("net.onnx", NULL, &net, diag);
 *     lathe_build(net, NULL, &plan, diag);
 *     lathe_plan_save(plan, "net.plan", diag);
 *
 * A network comes from ONNX, from text IR, or node by node; the same network gives the same plan bytes whichever way it came.
 * Threads: a network and a plan belong to one thread at a time. Destroy functions accept NULL.
 */
#ifndef LATHE_BUILDER_H
#define LATHE_BUILDER_H

#include <lathe/cache.h>
#include <lathe/problem.h>
#include <lathe/runtime.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Networks ---- */

typedef struct lathe_network lathe_network;

/* A value inside a network under construction. 0 is "absent". */
typedef uint64_t lathe_value;

LATHE_API lathe_status lathe_network_from_onnx_file(const char *path, const lathe_allocator *allocator, lathe_network **out, lathe_diag *diag);
/* folder: where external data may be read; NULL: nowhere. data may be freed afterwards. */
LATHE_API lathe_status lathe_network_from_onnx(const void *data, size_t size, const char *folder, const lathe_allocator *allocator, lathe_network **out,
                                               lathe_diag *diag);
LATHE_API lathe_status lathe_network_from_text(const char *text, size_t length, const lathe_allocator *allocator, lathe_network **out, lathe_diag *diag);

/* Node by node. Names: of values, unique; NULL gives a fresh one. */
LATHE_API lathe_status lathe_network_create(const char *name, const lathe_allocator *allocator, lathe_network **out, lathe_diag *diag);
/* dims[i] >= 0, or -1 with symbols[i] naming the dimension. symbols may be NULL when all are fixed. */
LATHE_API lathe_status lathe_network_add_input(lathe_network *network, const char *name, lathe_dtype dtype, int rank, const int64_t *dims,
                                               const char *const *symbols, lathe_value *out, lathe_diag *diag);
/* Copies the data. */
LATHE_API lathe_status lathe_network_add_constant(lathe_network *network, const char *name, const lathe_tensor *tensor, lathe_value *out, lathe_diag *diag);
/*
 * label: the node's name, may be NULL. domain "" is ai.onnx. inputs: 0 for absent optional ones. outputs gets n_outputs values whose names are
 * output_names[i] (NULL array or entries: fresh). Types are inferred and checked now; attrs are copied.
 */
LATHE_API lathe_status lathe_network_add_node(lathe_network *network, const char *label, const char *domain, const char *op, const lathe_attr *attrs,
                                              size_t n_attrs, const lathe_value *inputs, size_t n_inputs, const char *const *output_names,
                                              lathe_value *outputs, size_t n_outputs, lathe_diag *diag);
LATHE_API lathe_status lathe_network_mark_output(lathe_network *network, lathe_value value, lathe_diag *diag);
LATHE_API lathe_status lathe_network_find(const lathe_network *network, const char *name, lathe_value *out, lathe_diag *diag);
/* Runs a step of `device` "cpu" or "twin" for the node that makes this value (tests, mixed plans). */
LATHE_API lathe_status lathe_network_place(lathe_network *network, lathe_value value, const char *device, lathe_diag *diag);
LATHE_API void lathe_network_destroy(lathe_network *network);
/* Text IR of the network; free with lathe_text_free. */
LATHE_API lathe_status lathe_network_text(const lathe_network *network, char **text, size_t *length, lathe_diag *diag);
LATHE_API void lathe_text_free(const lathe_network *network, char *text);
LATHE_API size_t lathe_network_inputs(const lathe_network *network);
LATHE_API size_t lathe_network_outputs(const lathe_network *network);
LATHE_API lathe_status lathe_network_io(const lathe_network *network, size_t index, lathe_io *io, lathe_diag *diag); /* inputs, then outputs */

/* ---- Building ---- */

typedef struct lathe_shape_range {
    const char *input;
    int rank;
    int64_t min[LATHE_MAX_RANK], opt[LATHE_MAX_RANK], max[LATHE_MAX_RANK];
} lathe_shape_range;

typedef struct lathe_profile { /* one range for each input that has one; others keep what the model says */
    const lathe_shape_range *ranges;
    size_t count;
} lathe_profile;

typedef struct lathe_progress {
    size_t struct_size;
    const char *phase;  /* "import", "passes", "tune", "pack", "write" */
    const char *what;   /* the pass or step at hand */
    uint64_t done, total;
    double seconds, seconds_total; /* while candidates are timed: since the build began, and predicted for all of it; 0 elsewhere */
} lathe_progress;

/* A candidate for a step, as the selector sees it. */
typedef struct lathe_selection {
    size_t struct_size;
    const char *tactic;     /* "view": nothing is run, the result shares the operand's storage */
    uint32_t version, config;
    double cost_ns;         /* what the choice reckons with */
    lathe_timing time;      /* samples 0: not timed */
    size_t scratch;         /* bytes at the opt extents */
    const lathe_format *in, *out; /* formats of the operands; packed ones as they are before packing */
    size_t n_in, n_out;
} lathe_selection;

typedef struct lathe_selection_step {
    size_t struct_size;
    const char *name, *op;  /* label of the first node; root operator, "" for pointwise programs */
    const lathe_problem *problem;
    uint32_t ordinal;       /* of the step in its part */
    uint32_t part;          /* profile, or with buckets: those of each profile in turn; the part for all other shapes comes last */
} lathe_selection_step;

typedef struct lathe_build_options {
    size_t struct_size;
    const char *device;             /* "cpu" (NULL), "twin" */
    const lathe_profile *profiles;
    size_t n_profiles;              /* 0: one profile from the model's own shapes, free leading dims tuned at 1 */
    const char *const *outputs;     /* keep only these outputs (any value of the network) */
    size_t n_outputs;
    const char *passes;             /* "-NAME,...", "-all" */
    const char *max_isa;            /* NULL: this machine; "base", "avx2", "avx512", "vnni" */
    int level;                      /* 0: static choice, nothing is timed; 1 to 5: candidates are timed with growing effort, 3 is what the command does */
    int threads;                    /* 0: affinity and cgroup quota */
    int refit;                      /* 1: keep every initializer that feeds a recipe or a pack */
    const char *const *refit_names; /* with refit 0: keep these only */
    size_t n_refit_names;
    const char *dump_dir;           /* numbered text IR of the passes */
    const char *debug;              /* what to log, as in LATHE_DEBUG: "passes,tune=2,filter=conv*"; topics import, passes, tune, plan */
    int explain;                    /* 1: keep every candidate for lathe_plan_explanation and lathe_plan_save_log */
    int (*progress)(void *user, const lathe_progress *progress); /* not 0: cancel; may be NULL */
    void *progress_user;
    lathe_log_fn log;
    void *log_user;
    const lathe_allocator *allocator;
    const char *tactics;            /* to insist on: "Softmax=*.rowwise.*,Conv=conv.f32.*"; other candidates of these operators are refused. NULL: none */
    int verify;                     /* 1: check the graph and print, parse and print it again after every pass */
    /* Levels 1 to 5. A build that is cancelled or fails still saves what it timed. */
    const char *timing_cache;       /* file of times (lathe/cache.h): read when it is there, written as the timing goes on; NULL: none */
    int cached_only;                /* 1: a time that the cache does not hold is an error */
    double time_budget;             /* seconds that timing may take; what is not timed by then is estimated. 0: no limit */
    const char *record;             /* file: replayed without timing when it is there (and not changed), written otherwise; docs/tuner.md */
    const char *rules;              /* file of rules: include, exclude, fastest, slowest, least-scratch; docs/tuner.md */
    /*
     * The selector: asked for each step after timing; keep[i] is preset to 1 for candidates that may be taken, 0 forbids one. At least one must stay.
     * Not 0: cancel. chosen: told of each step's final candidate, once the choice has been made.
     */
    int (*select)(void *user, const lathe_selection_step *step, const lathe_selection *candidates, size_t count, unsigned char *keep);
    void (*chosen)(void *user, const lathe_selection_step *step, const lathe_selection *candidate);
    void *select_user;
    const char *sources;            /* of tactics: "+onednn", "-onednn", several by comma, the last word on each counts. NULL: Lathe's own alone */
    uint64_t memory_budget;         /* bytes that the build may take besides the network; 0: no limit. docs/tuner.md says what is given up first */
    uint64_t workspace;             /* bytes of scratch that one step may have; 0: no limit */
    /*
     * Several machines in one plan: a variant for each target with each number of threads, in this order; weights that are the same are stored once. A target
     * is an instruction set that the variant may use in full and needs: "native" (this machine, as without targets), "base", "avx2", "avx512", "vnni" (avx512
     * with avx512-vnni), or with more features, "avx2+avx-vnni"; several by comma. One that this machine lacks is chosen by the times that the timing cache
     * holds of such a machine, else by estimates; nothing is run for it. NULL: one variant, for this machine. runtime.h says which one is loaded.
     */
    const char *targets;
    const int *thread_counts;       /* NULL: `threads` alone */
    size_t n_thread_counts;
    const char *machine;            /* pattern (* and ?) for the section of the timing cache to go by, by processor or whole name: the plan is for that machine, with
                                       the targets given or all that it has, and nothing is run here. NULL: this machine */
    int only;                       /* lathe_plan_retune: 1 leaves out the plan's other variants */
    /*
     * What is known of extents beyond the model: "past=seq", "batch=4", "total=past+seq". One side is the name of a dimension of the inputs;
     * the other one may be another, a number or an expression. Merged before inference; the plan refuses inputs that break it.
     */
    const char *const *assume;
    size_t n_assume;
    /*
     * Wide ranges in pieces that are tuned and planned on their own: "4" cuts the widest range of each profile into so many, "batch=1,8,32"
     * says upper corners (several dimensions: one entry each). A run takes the bucket that its shapes are in.
     */
    const char *const *buckets;
    size_t n_buckets;               /* 0: one bucket for each profile */
    int only_profiles;              /* 1: refuse shapes outside of all profiles, also when retuning. The plan holds no program and no rows of tables for them */
    /*
     * Outputs that are inputs of the next run, kept by the context (runtime.h: Caches): "past_k=present_k,axis=2,capacity=2048". One * in both names pairs
     * several ("past_*=present_*,capacity=2048"); "auto,capacity=2048" pairs by the names of usual exports (past_key_values.0.key with present.0.key, past_0
     * with present_0). axis may be left out where the two shapes differ on one axis only, capacity where the model fixes it. The model's own extent on the axis
     * is then at most the capacity, and the other extents must be fixed or those of inputs that are no caches.
     */
    const char *const *caches;
    size_t n_caches;
} lathe_build_options;

typedef struct lathe_plan lathe_plan;

/* options may be NULL. The network is left as it was. */
LATHE_API lathe_status lathe_build(const lathe_network *network, const lathe_build_options *options, lathe_plan **out, lathe_diag *diag);
LATHE_API const void *lathe_plan_data(const lathe_plan *plan, size_t *size);
LATHE_API lathe_status lathe_plan_save(const lathe_plan *plan, const char *path, lathe_diag *diag); /* written aside, then renamed */
/* What was considered and why, as text (with options.explain); "" otherwise. Lives as long as the plan. */
LATHE_API const char *lathe_plan_explanation(const lathe_plan *plan);
/* The explanation behind a line that names the plan's bytes, as a file beside the plan (FILE.plan.log): what `lathe explain` reads. Needs options.explain. */
LATHE_API lathe_status lathe_plan_save_log(const lathe_plan *plan, const char *path, lathe_diag *diag);
LATHE_API void lathe_plan_destroy(lathe_plan *plan);

/* What a build did. */
typedef struct lathe_build_report {
    size_t struct_size;
    uint32_t problems;    /* different problems that left a choice */
    uint32_t timed;       /* candidates that were run */
    uint32_t remembered;  /* candidates whose time was in the cache */
    uint32_t wrong;       /* candidates that were refused for their numbers */
    uint32_t noisy;       /* measurements taken again because the machine was busy with something else */
    int cut_short;        /* the time budget ended the timing */
    int kept_static;      /* profiles for which the static choice won the comparison of whole engines */
    double tune_seconds, build_seconds;
    uint64_t predicted_bytes; /* memory of the build besides the network, as predicted before anything was timed */
    uint64_t peak_bytes;      /* as it was */
    uint32_t too_large;       /* problems that were estimated because trying them would have exceeded the memory budget */
    int not_compared;         /* parts whose whole engines were not compared, for the same reason */
    uint32_t variants;        /* in the plan */
    uint32_t absent;          /* of them built now for processors that are not here */
    uint32_t estimated;       /* problems of these for which the timing cache did not hold all times */
} lathe_build_report;
LATHE_API lathe_status lathe_plan_get_report(const lathe_plan *plan, lathe_build_report *report, lathe_diag *diag);

/*
 * Chooses tactics anew for this machine (or for options->targets) from the graph and weights inside a plan. options: as for lathe_build; what they leave open
 * of profiles (with their buckets), device, sources and refit stays as the plan has it, and NULL leaves all open. Variants for other devices, features or numbers of threads stay in the
 * plan, unless options->only.
 */
LATHE_API lathe_status lathe_plan_retune(const void *data, size_t size, const lathe_build_options *options, lathe_plan **out, lathe_diag *diag);
/* lathe_engine_load, and where that says LATHE_NEEDS_RETUNE: retune in memory and load that. *retuned (may be NULL) tells. */
LATHE_API lathe_status lathe_engine_open(lathe_runtime *runtime, const char *path, const lathe_load_options *options, lathe_engine **out, int *retuned,
                                         lathe_diag *diag);

#ifdef __cplusplus
}
#endif

#endif
