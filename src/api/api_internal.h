/*
 * api_internal.h - shared by the files of src/api.
 */
#ifndef LT_API_INTERNAL_H
#define LT_API_INTERNAL_H

#include "api/api.h"
#include "backend/backend.h"
#include "passes/passes.h"
#include "plan/plan.h"
#include "tune/tune.h"

struct lathe_network {
    const lathe_allocator *allocator;
    lt_graph *graph;
    const lt_plan_equal *equals; /* of a plan that it came out of: what was assumed then and is in the graph now */
    uint32_t n_equals;
    const lt_plan_cache *caches; /* likewise */
    uint32_t n_caches;
};

/* count_memory.c: the caller's allocator with what is held through it, and the most that ever was. From any thread. */
typedef struct lt_counted_memory {
    lathe_allocator allocator;      /* to be used; its user is this struct, which must not move */
    const lathe_allocator *inner;
    _Atomic uint64_t held, peak;
} lt_counted_memory;
void lt_counted_memory_init(lt_counted_memory *m, const lathe_allocator *inner);

struct lathe_plan {
    const lathe_allocator *allocator; /* of this struct; what it holds comes from `memory` */
    lt_counted_memory memory;
    lt_buf bytes;
    lt_buf explanation;
    lathe_build_report report;
};

/* A symbolic dim with its range in one profile. */
typedef struct lt_symbol_range {
    const char *name;
    int64_t min, opt, max;
} lt_symbol_range;

typedef struct lt_ranges {
    lt_symbol_range *items;
    size_t count, capacity;
    bool open; /* some symbol has no upper bound */
} lt_ranges;

/* merge_dims.c. Each axis of an input that an assumption changed goes into `out`. */
typedef struct lt_equals {
    lt_plan_equal *items;
    size_t count, capacity;
} lt_equals;
lathe_status lt_dims_merge(lt_graph *graph, const char *const *texts, size_t n, lt_arena *arena, lt_equals *out, lathe_diag *diag);
/* Pairs of extents of the inputs that some node would have equal, and that nobody has said are. The first few. */
typedef struct lt_open_pair {
    lt_dim a, b;
    const char *left, *right, *node;
    const char *advice; /* "a=b"; NULL when no assumption can say it */
} lt_open_pair;
typedef struct lt_open_pairs {
    lt_open_pair *items;
    size_t count;
} lt_open_pairs;
lathe_status lt_dims_open_pairs(lt_graph *graph, lt_arena *arena, lt_open_pairs *out, lathe_diag *diag);

/* caches.c: adds what the texts say to what is in the list, and bounds extents by the capacities. */
typedef struct lt_cache_list {
    lt_plan_cache *items;
    size_t count, capacity;
} lt_cache_list;
lathe_status lt_caches_read(lt_graph *graph, const char *const *texts, size_t n, lt_arena *arena, lt_cache_list *list, lathe_diag *diag);

/* ranges.c */
/* Has everything in this extent one value only? */
bool lt_ranges_fix(const lt_ranges *ranges, const lt_graph *graph, lt_dim dim);
lathe_status lt_ranges_of_profile(const lt_graph *graph, const lathe_profile *profile, lt_arena *arena, lt_ranges *out, lt_plan_profile_input *inputs, lathe_diag *diag);
/* The least ranges that hold those of several profiles; first: there are none yet. */
lathe_status lt_ranges_join(const lt_ranges *more, bool first, lt_arena *arena, lt_ranges *all, lathe_diag *diag);
/* The graph is for these ranges and no others from now on. */
lathe_status lt_ranges_declare(lt_graph *graph, const lt_ranges *ranges, lathe_diag *diag);
/* Ranges into the graph's table; symbols with one value become constants of the input types. */
lathe_status lt_ranges_apply(lt_graph *graph, const lt_ranges *ranges, bool *specialised, lathe_diag *diag);
/* buckets.c: the ranges of one profile in pieces, as lathe_build_options.buckets says; one piece when it says nothing. */
typedef struct lt_buckets {
    lt_ranges *items;
    size_t count, capacity;
} lt_buckets;
lathe_status lt_buckets_of(const lt_ranges *whole, const char *const *texts, size_t n, lt_arena *arena, lt_buckets *out, lathe_diag *diag);
/* lt_tune_options.extent with a lt_extent_user. */
typedef struct lt_extent_user {
    const lt_graph *graph;
    const lt_ranges *ranges;
} lt_extent_user;
lathe_status lt_extent_of(void *user, lt_dim dim, lathe_extent *out, lathe_diag *diag);

enum { LT_VERDICT_ROUNDS = 15, LT_VERDICT_LEAST = 3 }; /* runs of each engine in a comparison */
#define LT_VERDICT_SECONDS 1.5                         /* of running that are enough, both engines together */

/* What one variant is made for (targets.c). */
typedef struct lt_target {
    const char *name;     /* as asked for: "avx512"; NULL or "native": all that the machine has */
    uint64_t features;    /* that tactics may use */
    int threads;
    const char *machine;  /* section of the timing cache; NULL: this machine's, or none when it is absent */
    bool named;           /* the plan needs all of these features, whatever its tactics do */
    bool absent;          /* the processor is not here: nothing can be run */
} lt_target;
/* Of the options' targets and thread counts, in their order. Everything lives in the arena. */
lathe_status lt_targets_read(const lathe_build_options *o, lt_arena *arena, lt_target **out, uint32_t *n, lathe_diag *diag);

/* build.c: one variant. target NULL: this machine, as the options say. */
lathe_status lt_plan_new(const lathe_allocator *allocator, lathe_plan **out, lathe_diag *diag);
lathe_status lt_build_variant(const lathe_network *network, const lathe_build_options *options, const lt_target *target, lathe_plan **out, lathe_diag *diag);
/*
 * variants.c: puts those variants of an old plan into a fresh one that are for other machines, devices or numbers of threads than the fresh one's. may: the
 * features that fresh variants may ask for beyond their needs, so that they are the ones taken here; 0: they say what they ask for.
 */
lathe_status lt_keep_variants(const lt_plan *old, lathe_plan *fresh, uint64_t may, lathe_diag *diag);

/* What timing needs for the length of a build: threads, the cache and its file, the counts (session.c). At level 0 it is empty. */
typedef struct lt_session {
    const lathe_build_options *options;
    const lathe_allocator *allocator;
    lt_pool *pool;
    lathe_timing_cache *cache;
    char machine[256];
    int threads;
    int64_t start, saved, deadline;
    lt_tune_counts counts;
    uint32_t kept_static;
    lt_arena arena;          /* of rules and record */
    lt_tactic_rules rules;
    lt_record record;
    bool replays;            /* the record was there */
    lt_counted_memory *memory; /* of the build; NULL: not counted */
    uint64_t predicted;      /* its peak */
    uint64_t held_before;    /* when the part at hand began */
    uint32_t parts_left;     /* behind it */
    bool compare;            /* whole engines may be compared: there is memory for two */
    uint32_t not_compared;
    bool absent;             /* the processor is not here: what the cache does not know is estimated */
} lt_session;
/* Writes the record of a finished choice where there was none. */
lathe_status lt_session_record(lt_session *s, const lt_buf *text, lathe_diag *diag);
lathe_status lt_session_open(lt_session *s, const lathe_build_options *options, const lt_target *target, const lathe_allocator *allocator, int threads,
                             uint64_t features, lathe_diag *diag);
/* Saves the cache whatever the build came to; a failure to save is one of the build only when nothing else went wrong. */
lathe_status lt_session_close(lt_session *s, lathe_status status, lathe_diag *diag);
void lt_session_fill(lt_session *s, lt_tune_options *out); /* the fields for levels above 0 */

/*
 * verdict.c: which of two choices for one part runs faster as a whole engine. Remembered in the cache. request: that of
 * the build, with one part, of which the choice is replaced. times[0].samples 0: they could not be run and the cache does not know.
 */
lathe_status lt_verdict(lt_session *s, const lt_plan_request *request, const lt_choice *first, const lt_choice *second, const lt_extent_user *extents,
                        lathe_timing times[2], lathe_diag *diag);

/* explain_build.c: the log of a build, part by part */
void lt_say_import(const lt_debug *debug, const lt_graph *graph);
typedef struct lt_explain_part {
    const lt_graph *graph;
    const lt_choice *choice;
    const lt_choice *measured; /* where the static choice was taken instead of it; else NULL */
    const lt_ranges *ranges;
    uint32_t number, profile, bucket, n_buckets; /* profile LT_PLAN_NONE: all other shapes */
    const char *verdict;       /* lines about whole engines; NULL: none were compared */
} lt_explain_part;
void lt_explain_begin(lt_buf *out, const char *model, const char *options);
void lt_explain_whole(lt_buf *out, const lt_explain_part *part);
/* Names of the values that each ONNX node makes, before the passes change them. */
typedef struct lt_explain_makes {
    const lt_graph *graph; /* only while they are noted */
    const char **text;
    size_t n;
} lt_explain_makes;
lathe_status lt_explain_note_makes(const lt_graph *graph, lt_arena *arena, lt_explain_makes *out, lathe_diag *diag);
/* The fate of every node; and the passes that changed something, by name. */
lathe_status lt_explain_origins(lt_buf *out, const lt_graph *graph, const lt_explain_makes *makes, const char *const *passes, size_t n_passes,
                                lathe_diag *diag);

#endif
