/*
 * plan.h - from chosen tactics to a plan: order, lanes, events, liveness, offsets, packs, the init program. The one header of src/plan.
 *
 * Used by api. It must not know ONNX files or passes. It fills the lt_plan of engine.h and encodes it.
 */
#ifndef LT_PLAN_BUILD_H
#define LT_PLAN_BUILD_H

#include "engine/engine.h"
#include "graph/graph.h"
#include "tune/tune.h"

/* One (profile, bucket) of one variant: a lowered graph with its choice. */
typedef struct lt_plan_part {
    const lt_graph *graph;     /* below the border: grouped */
    const lt_choice *choice;
    uint32_t profile;
    const lt_plan_range *corner; /* unused entries zero: ranges by symbol name, see names */
    const char *const *symbols;  /* n_ranges names of symbolic dims that the profile bounds */
    uint32_t n_ranges;
} lt_plan_part;

typedef struct lt_plan_request {
    const lt_graph *above;     /* the graph above the border: stored as text, with origins; its weights are the raw blobs */
    const lt_plan_part *parts;
    uint32_t n_parts;
    const char *model_name, *options, *device;
    uint64_t features;         /* that the chosen tactics need: worked out from the tactics when 0 */
    int threads;
    const lt_plan_profile_input *profiles; /* n_profiles * inputs of the graph */
    uint32_t n_profiles;
    bool refit;                /* keep all initializers that feed recipes or packs */
    const char *const *refit_names;
    uint32_t n_refit_names;
    int (*progress)(void *user, const char *phase, const char *what, uint64_t done, uint64_t total);
    void *progress_user;
    const lathe_allocator *allocator;
} lt_plan_request;

/* The whole plan file. */
lathe_status lt_plan_build(const lt_plan_request *request, lt_buf *out, lathe_diag *diag);

#endif
