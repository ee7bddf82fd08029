/*
 * api_internal.h - shared by the files of src/api.
 */
#ifndef LT_API_INTERNAL_H
#define LT_API_INTERNAL_H

#include "api/api.h"
#include "passes/passes.h"
#include "plan/plan.h"
#include "tune/tune.h"

struct lathe_network {
    const lathe_allocator *allocator;
    lt_graph *graph;
};

struct lathe_plan {
    const lathe_allocator *allocator;
    lt_buf bytes;
    lt_buf explanation;
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

/* ranges.c */
lathe_status lt_ranges_of_profile(const lt_graph *graph, const lathe_profile *profile, lt_arena *arena, lt_ranges *out, lt_plan_profile_input *inputs, lathe_diag *diag);
/* Ranges into the graph's table; symbols with one value become constants of the input types. */
lathe_status lt_ranges_apply(lt_graph *graph, const lt_ranges *ranges, bool *specialised, lathe_diag *diag);
/* lt_tune_options.extent with a lt_extent_user. */
typedef struct lt_extent_user {
    const lt_graph *graph;
    const lt_ranges *ranges;
} lt_extent_user;
lathe_status lt_extent_of(void *user, lt_dim dim, lathe_extent *out, lathe_diag *diag);

/* explain_build.c */
void lt_say_import(const lt_debug *debug, const lt_graph *graph);
void lt_explain_part(lt_buf *out, const lt_graph *graph, const lt_choice *choice, const lt_ranges *ranges);
lathe_status lt_explain_origins(lt_buf *out, const lt_graph *graph, lathe_diag *diag);

#endif
