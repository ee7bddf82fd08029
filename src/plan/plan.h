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

/*
 * What is read into a choice (tune.h says the rest):
 *   units          stand in an order that respects every edge, region by region; the plan adds no order of its own, only events.
 *   reformat       with a tactic: a step; without: a COPY between spaces. Of a managed value: nothing, a handle has one form.
 *   view           an alias. Values that are bounded or managed never come as views.
 *   region         operands and results are plain host slots. Results that no slot stands for are not made.
 *   packs          fit->pack names the pack of a constant operand; its slot is then ignored. Constants in other formats are reformatted in every run.
 *   in_place       taken when the input dies there, nobody else looks at its storage, and bytes are the same for all shapes; never over what the
 *                  network returns, so that outputs are written where the caller wants them.
 *   managed        as lt_value_keep says, so that the operands' flags and the plan agree.
 */

/* One (profile, bucket) of one variant: a lowered graph with its choice. */
typedef struct lt_plan_part {
    const lt_graph *graph;     /* below the border: grouped */
    const lt_choice *choice;
    uint32_t profile;
    const lt_plan_range *corner; /* n_ranges: lo, opt, hi of each symbol; expr is ignored. The ranges also go into the graph's table of dims */
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
    const lt_plan_equal *equals; /* what the caller promised of extents */
    uint32_t n_equals;
    const lt_plan_cache *caches; /* pairs of inputs and outputs that the context keeps */
    uint32_t n_caches;
    bool refit;                /* keep all initializers that feed recipes or packs */
    const char *const *refit_names;
    uint32_t n_refit_names;
    int (*progress)(void *user, const char *phase, const char *what, uint64_t done, uint64_t total);
    void *progress_user;
    const lt_debug *debug;     /* topic plan; NULL: silent */
    const lathe_allocator *allocator;
} lt_plan_request;

/*
 * The whole plan file; the same request gives the same bytes. Parts are programs in their order; those with profile LT_PLAN_NONE come last in the variant.
 * LATHE_UNSUPPORTED: control flow or shapes that plans cannot run. What is written has passed lt_plan_decode.
 */
lathe_status lt_plan_build(const lt_plan_request *request, lt_buf *out, lathe_diag *diag);

/* A plan whose variants go into another. It has passed lt_plan_decode. */
typedef struct lt_join_part {
    const lt_plan *plan;
    const bool *dropped; /* for each variant; NULL: all are kept */
} lt_join_part;
/*
 * Plans of one network and the same profiles as one, with the variants of all in this order; text, options and story are the first one's. What is the same is
 * stored once. LATHE_INVALID_ARGUMENT: different networks or profiles. What is written has passed lt_plan_decode.
 */
lathe_status lt_plans_join(const lt_join_part *parts, uint32_t n, const lathe_allocator *allocator, lt_buf *out, lathe_diag *diag);

#endif
