/*
 * tune.h - from groups to chosen tactics: problems, enumeration, costs, choice. The one header of src/tune.
 *
 * Used by plan and api. It must not know ONNX files, passes, the engine format or how steps are run; timing comes in as a callback.
 *
 * Words: a *unit* is a group of nodes (or one node) that becomes one step, or a control-flow node. A *slot* is one materialised form of a graph value:
 * (value, format). Formats include the memory space, so copies between devices are reformats between slots of one value.
 */
#ifndef LT_TUNE_H
#define LT_TUNE_H

#include "backend/backend.h"
#include "graph/graph.h"

typedef struct lt_slot {
    lt_value_id value;
    lathe_format format;
} lt_slot;
#define LT_NO_SLOT 0xffffffffu

typedef enum lt_unit_kind {
    LT_UNIT_STEP,     /* a group computed by a tactic */
    LT_UNIT_REFORMAT, /* one slot to another of the same value: by a reformat tactic within a space, a COPY between spaces */
    LT_UNIT_VIEW,     /* output takes over the storage of input 0 (plain formats, or those that make a Transpose a view) */
    LT_UNIT_REGION    /* If, Loop (as program), Scan and others with regions */
} lt_unit_kind;

typedef struct lt_candidate { /* kept for explain */
    const lathe_tactic *tactic;
    uint32_t config;
    bool fits;
    const char *why;    /* refusal */
    double cost_ns;
} lt_candidate;

typedef struct lt_unit {
    lt_unit_kind kind;
    lt_region_id region;
    const lt_node_id *nodes; /* members in topological order; root first among equals: nodes[root_index] */
    uint32_t n_nodes;
    const char *name, *class_name;
    const lathe_problem *problem;
    const char *problem_text;
    const uint32_t *in, *out; /* slots of the problem's operands; LT_NO_SLOT absent */
    uint32_t n_in, n_out;
    const lathe_tactic *tactic;
    uint32_t config;
    const lathe_fit *fit;     /* of the chosen one: packs, scratch, in_place */
    double cost_ns;
    const lt_candidate *candidates;
    uint32_t n_candidates;
} lt_unit;

typedef struct lt_choice {
    lt_arena *arena;
    const lt_unit *units;     /* in a topological order for each region, reformats placed before their first reader */
    uint32_t n_units;
    const lt_slot *slots;
    uint32_t n_slots;
    double cost_ns;           /* re-summed from the true objective */
    double lower_bound_ns;    /* of the PBQP relaxation; equal to cost_ns when exact */
    bool exact;               /* only R0..R2 reductions were needed */
} lt_choice;

/* A constant as an earlier program of the same plan has it packed. */
typedef struct lt_packed_before {
    uint64_t blob; /* hash */
    const char *pack;
    int64_t param[4];
} lt_packed_before;

typedef struct lt_tune_options {
    lathe_space device;       /* default space of groups whose node says HOST? see lt_node.device: nodes keep their own */
    uint64_t features;        /* CPU features that tactics may use */
    int threads;
    int level;
    bool keep_candidates;
    uint32_t sources;         /* of lt_sources_read; 0: own tactics only */
    const char *force;        /* "Op=tactic-glob,..." (LATHE_TACTIC) */
    /* A candidate that would store a constant a second time, in another pack than all of these, counts double: profiles share weights. */
    const lt_packed_before *packed;
    size_t n_packed;
    /* Opt extent of each symbolic dim for costs: evaluates an expression at the opt corner; and at the lower and upper corner of the bucket. */
    lathe_status (*extent)(void *user, lt_dim dim, lathe_extent *out, lathe_diag *diag);
    void *user;
    lathe_log_fn log;
    void *log_user;
} lt_tune_options;

/* Static choice (level 0). Everything in *out lives in the arena. */
lathe_status lt_tune_choose(const lt_graph *graph, const lt_tune_options *options, lt_arena *arena, lt_choice *out, lathe_diag *diag);

/* Problem of one unit's nodes, as the tuner makes it (also for `lathe tactics --for`). in/out get the graph values of the operands. */
lathe_status lt_problem_of_group(const lt_graph *graph, const lt_node_id *nodes, uint32_t n_nodes, const lt_tune_options *options, lt_arena *arena,
                                 lathe_problem **out, const lt_value_id **in, const lt_value_id **out_values, lathe_diag *diag);

/* How a value is stored in a plan (DESIGN 3): planned, bounded (extents found by a step, upper bound known) or managed (host handle). */
typedef enum lt_keep { LT_KEEP_PLANNED, LT_KEEP_BOUNDED, LT_KEEP_MANAGED } lt_keep;
lt_keep lt_value_keep(const lt_graph *graph, const lt_value *value, const lt_tune_options *options);

/* ---- PBQP, by itself so that it can be tested against brute force ---- */

typedef struct lt_pbqp lt_pbqp;
#define LT_PBQP_INF 1e300
lt_pbqp *lt_pbqp_create(lt_arena *arena);
lathe_status lt_pbqp_node(lt_pbqp *p, uint32_t states, const double *costs, uint32_t *out, lathe_diag *diag);
/* matrix[i * states(b) + j]; edges between the same pair add up. */
lathe_status lt_pbqp_edge(lt_pbqp *p, uint32_t a, uint32_t b, const double *matrix, lathe_diag *diag);
uint32_t lt_pbqp_nodes(const lt_pbqp *p); /* added so far */
/* states_out: one per node. cost: re-summed over the original costs. exact: no heuristic reduction was needed. */
lathe_status lt_pbqp_solve(lt_pbqp *p, uint32_t *states_out, double *cost, bool *exact, lathe_diag *diag);

#endif
