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
#include <lathe/builder.h>

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
    double cost_ns;     /* what the choice reckons with: measured where it was, else estimated */
    double estimate_ns;
    double factor;      /* cost_ns is more than the time by this: 2 when a constant would stand in the plan twice */
    lathe_timing time;  /* samples 0: not timed */
    size_t scratch;     /* bytes at the opt extents */
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
    const lt_candidate *chosen;  /* steps of the network; NULL for reformats */
    uint64_t asked;              /* hash of the problem before formats were chosen; 0: not a choice among tactics */
    const char *note;            /* whether the fusion pays, with both times; NULL: nobody asked */
    bool apart;                  /* a piece of a group that was taken apart: note says why */
    const char *because;         /* why this candidate; NULL: nobody asked (keep_candidates) */
    uint32_t view_state;         /* views that were chosen: which of the candidates */
} lt_unit;

/* What became known about the candidates for a problem; kept for explain, also where the static choice was taken in the end. */
typedef struct lt_tried {
    uint64_t asked; /* hash of the problem */
    const lt_candidate *candidates;
    uint32_t n_candidates;
} lt_tried;

typedef struct lt_choice {
    lt_arena *arena;
    const lt_unit *units;     /* in a topological order for each region, reformats placed before their first reader */
    uint32_t n_units;
    const lt_slot *slots;
    uint32_t n_slots;
    double cost_ns;           /* re-summed from the true objective */
    double lower_bound_ns;    /* no choice can cost less; equal to cost_ns when exact */
    bool exact;               /* cost_ns is the least there is under these costs */
    uint64_t problems_hash;   /* of what was asked: all problems in order */
    uint64_t assignment_hash; /* of what was chosen for them */
    const lt_tried *tried;    /* of groups and pieces alike; with keep_candidates */
    size_t n_tried;
} lt_choice;

/* A constant as an earlier program of the same plan has it packed. */
typedef struct lt_packed_before {
    uint64_t blob; /* hash */
    const char *pack;
    int64_t param[4];
} lt_packed_before;

/* How far the timing of candidates is. */
typedef struct lt_tune_progress {
    const char *what;              /* the step at hand */
    uint32_t done, total;          /* problems */
    double left;                   /* seconds of timing that are still to come, as predicted */
    double engine_seconds;         /* of one run of all steps, as predicted */
    bool overturned;               /* a measured time has already beaten the best estimate, so the choice will not be the static one */
    double weight_bytes;           /* of all constants */
} lt_tune_progress;

typedef struct lt_tune_counts {
    uint32_t problems;   /* different ones that leave a choice */
    uint32_t timed;      /* candidates that were run now */
    uint32_t remembered; /* whose time was in the cache */
    uint32_t wrong;      /* that gave other numbers than the rest, or failed */
    uint32_t noisy;      /* shots that were taken again because the machine was busy with something else */
    uint32_t too_large;  /* problems that were estimated because their trial would have taken too much memory */
    uint32_t estimated;  /* problems of which some time was not known, on a processor that is not here */
    bool cut_short;      /* the time budget ended the timing: the rest was estimated */
    double seconds;
} lt_tune_counts;

/* ---- Rules (tactic_rules.c) and records (record.c) ---- */

typedef enum lt_tactic_rule_kind { LT_TACTIC_RULE_INCLUDE, LT_TACTIC_RULE_EXCLUDE, LT_TACTIC_RULE_FASTEST, LT_TACTIC_RULE_SLOWEST, LT_TACTIC_RULE_LEAST_SCRATCH } lt_tactic_rule_kind;
typedef struct lt_tactic_rule {
    lt_tactic_rule_kind kind;
    const char *tactic, *op, *node; /* globs */
    const char *where;              /* "FILE:LINE" */
} lt_tactic_rule;
typedef struct lt_tactic_rules {
    lt_tactic_rule *items;
    size_t count;
} lt_tactic_rules;
lathe_status lt_tactic_rules_parse(const char *text, size_t length, const char *file, lt_arena *arena, lt_tactic_rules *out, lathe_diag *diag);

typedef struct lt_record_entry {
    uint64_t problem;
    uint32_t part, ordinal, line;
    const char *tactic;
    uint32_t version, config;
    double ns;
} lt_record_entry;
typedef struct lt_record {
    const char *file;
    lt_record_entry *items;
    size_t count;
} lt_record;
lathe_status lt_record_parse(const char *text, size_t length, const char *file, lt_arena *arena, lt_record *out, lathe_diag *diag);
void lt_record_begin(lt_buf *out);
void lt_record_put(lt_buf *out, const lt_choice *choice, uint32_t part);

/* What timing and writing a part will need in memory. */
typedef struct lt_tune_needs {
    uint64_t weight_bytes;  /* of all constants as a plan will hold them, packed as the least estimates want them */
    uint64_t live_bytes;    /* most that steps hold at one time, at the opt extents */
    uint64_t largest_trial; /* 0: nothing will be run */
    bool timed;             /* by measured times; else by estimates alone */
} lt_tune_needs;

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
    /* Levels 1 to 5 time candidates. */
    lt_pool *pool;              /* the threads that will run the plan; NULL: the caller alone */
    lathe_timing_cache *cache;  /* times of earlier builds, and where new ones go; may be NULL */
    const char *machine;        /* section of the cache */
    bool cached_only;           /* a time that the cache does not hold is an error */
    bool absent;                /* the processor is not here: nothing is run, and what the cache does not hold is estimated */
    int64_t deadline;           /* on lt_now_ns's clock: what is not timed by then is estimated; 0: none */
    lathe_status (*progress)(void *user, const lt_tune_progress *progress, lathe_diag *diag); /* an error ends the tuning; may be NULL */
    void *progress_user;
    lt_tune_counts *counts;     /* added up; may be NULL */
    uint32_t part;              /* number of the part at hand */
    const lt_tactic_rules *rules;      /* may be NULL */
    uint64_t workspace;         /* bytes of scratch that a step may have; 0: no limit */
    /* Asked before timing: how many bytes a trial may take (*trial_limit is preset to no limit). An error ends the tuning; may be NULL. */
    lathe_status (*foresee)(void *user, const lt_tune_needs *needs, uint64_t *trial_limit, lathe_diag *diag);
    void *foresee_user;
    const lt_record *record;    /* replayed in place of timing and choosing; may be NULL */
    int (*select)(void *user, const lathe_selection_step *step, const lathe_selection *candidates, size_t count, unsigned char *keep); /* may be NULL */
    void *select_user;
    const lt_debug *debug;    /* topic tune; NULL: silent */
} lt_tune_options;

/* The choice: static at level 0, from measured times above. Everything in *out lives in the arena. */
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
/* states_out: one per node. cost: re-summed over the original costs. exact: no heuristic was needed. Ties go to the lowest state. */
lathe_status lt_pbqp_solve(lt_pbqp *p, uint32_t *states_out, double *cost, bool *exact, lathe_diag *diag);
double lt_pbqp_lower_bound(const lt_pbqp *p); /* of the last solve; the cost itself when it was exact */
/* Largest table for removing a node with three neighbours or more: with 0 only R0, R1, R2 are exact and RN does the rest (for tests). */
void lt_pbqp_limit(lt_pbqp *p, uint64_t cells);

#endif
