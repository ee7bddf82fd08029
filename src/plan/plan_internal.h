/*
 * plan_internal.h - what the files of src/plan share. lt_planner makes the plan as a whole, lt_maker one program of it.
 */
#ifndef LT_PLAN_INTERNAL_H
#define LT_PLAN_INTERNAL_H

#include "plan/plan.h"
#include <pthread.h>
#include <stdatomic.h>

/* A growing array of numbers in an arena, zero where nothing was put: "number + 1, or 0 for none". */
typedef struct lt_numbering {
    uint32_t *items;
    size_t capacity;
} lt_numbering;
uint32_t lt_numbering_get(const lt_numbering *n, size_t index); /* LT_PLAN_NONE: none */
lathe_status lt_numbering_put(lt_numbering *n, lt_arena *arena, size_t index, uint32_t number, lathe_diag *diag); /* LT_PLAN_NONE takes it away */

/* ---- Constants and their recipes (plan_recipe.c), weights (plan_blob.c) ---- */

/* A constant of some part's graph: a named initializer, or the result of a recipe over others. One for all parts that make it in the same way. */
typedef struct lt_recipe {
    uint64_t id;            /* hash of how it is made; contents for initializers that only one part has */
    const lt_blob *blob;    /* its elements */
    const char *name;
    const lt_graph *graph;  /* results: where node lives */
    const lt_node *node;    /* NULL: an initializer */
    uint32_t output;        /* of node */
    const uint32_t *inputs; /* recipes of node's inputs; LT_PLAN_NONE for absent ones */
    uint32_t n_inputs;
    bool named;             /* an initializer of the graph above the border: may be refitted */
    bool computable;        /* the runtime can evaluate it: no bodies, no strings on the way */
} lt_recipe;

/* Bytes in the weight section: a constant, raw or packed. */
typedef struct lt_stored {
    uint32_t recipe;
    const char *pack; /* NULL: raw */
    uint32_t pack_version;
    int64_t param[4];
    uint64_t bytes;
    bool flagged;     /* LT_BLOB_INITIALIZER */
    bool for_text;    /* only re-tuning reads it: refit leaves it alone */
} lt_stored;

typedef struct lt_planner {
    const lt_plan_request *request;
    lt_arena *arena;
    lathe_diag *diag;
    lt_recipe *recipes;
    size_t n_recipes, cap_recipes;
    lt_stored *stored;
    size_t n_stored, cap_stored;
    const lt_numbering *recipe_of; /* per part: value index of its graph -> recipe */
    lt_plan plan;
    lt_plan_program *programs;     /* parts in order, then the init function */
    lt_plan_blob *blobs;
    uint64_t features;             /* of the tactics that were chosen */
    lt_graph *stored_graph;        /* what the plan's text shows; owned */
    lt_pool *pool;                 /* while weights are packed; NULL: the caller alone */
    pthread_t caller;              /* the one thread that progress is told on */
    _Atomic uint32_t packed;       /* blobs */
} lt_planner;

lathe_status lt_recipes_collect(lt_planner *p, const lt_graph *graph, lt_numbering *recipe_of);
/* The initializers that a recipe is made of, in order; of an initializer: itself. */
lathe_status lt_recipe_leaves(lt_planner *p, uint32_t recipe, uint32_t **out, uint32_t *n);
lathe_status lt_store_constant(lt_planner *p, uint32_t recipe, const char *pack, const int64_t param[4], uint32_t *out);
lathe_status lt_blobs_finish(lt_planner *p); /* plan.blobs and their layout */
lathe_status lt_blob_bytes(void *planner, const lt_plan *plan, uint32_t blob, void *dst, lathe_diag *diag); /* lt_blob_source; any thread */
/* lt_parallel_for on planner->pool: whoever is free takes the next. */
void lt_blobs_spread(void *planner, uint32_t n, void (*fn)(void *arg, uint32_t i), void *arg);

/* plan_init.c: which initializers are kept, the init program, the graph's text */
lathe_status lt_keep_initializers(lt_planner *p);
lathe_status lt_make_init(lt_planner *p, lt_plan_program *out);
lathe_status lt_store_graph(lt_planner *p);

/* plan_story.c: io, profiles, variants, assumptions, origins, refusals */
lathe_status lt_tell_story(lt_planner *p);

/* ---- Programs ---- */

/* Expressions that only the run can evaluate are numbered from here while a program is made, and follow the others in the end. */
#define LT_LATE 0x80000000u

typedef struct lt_value_info {
    uint32_t root;         /* the value whose storage it shows: itself unless a view */
    uint32_t lane;         /* that wrote it last */
    uint32_t written;      /* by this instruction; LT_PLAN_NONE: there from the beginning */
    uint32_t left;         /* of roots: reads that are still to come */
    lt_region_id region;   /* that makes it */
    /* Of roots: instructions between which the storage is taken. */
    uint32_t first, last;      /* as the lanes' own order tells; first LT_PLAN_NONE: not used yet */
    uint32_t sync_first, sync_last; /* until the host knows that other lanes have finished */
    bool other_lanes;      /* touched by another lane than the first compute lane of its space (device), or by a device (host) */
    int64_t upper[LATHE_MAX_RANK]; /* largest extents in the bucket; INT64_MAX: no bound */
} lt_value_info;

typedef struct lt_lane_state {
    uint32_t *clock;      /* per lane: instructions before this number on that lane are complete, as this lane knows */
    uint32_t last_event;  /* recorded on this lane; LT_PLAN_NONE */
    uint32_t event_at;    /* its instruction */
    uint32_t last_op;     /* its newest instruction; LT_PLAN_NONE */
    double load;
} lt_lane_state;

enum { LT_MAX_LANES = 16 };
/* Arenas and scratch above this are taken for unbounded: they are then worked out for the shapes that come. */
#define LT_LARGEST_ARENA ((uint64_t)1 << 40)

typedef struct lt_access { /* of a storage by a device lane, until the host knows that it is over */
    uint32_t root, lane, at;
} lt_access;

typedef struct lt_use_record {
    uint32_t root, at;
} lt_use_record;

typedef struct lt_keep_edge { /* managed value `holder` may point into the storage of root `held` */
    uint32_t holder, held;
} lt_keep_edge;

/* A slot that is a part of another (plan_parts.c). */
typedef struct lt_part_slot {
    uint32_t whole; /* slot; LT_NO_SLOT: no part */
    lt_cut_kind kind;
    uint8_t axis;   /* place in the order of the format */
    lt_dim start;
} lt_part_slot;

/* How a cache of the request is kept (plan_cache.c). */
typedef struct lt_kept_way {
    lt_cache_way way;
    const char *note;
    uint32_t in, out;  /* slots of its input and output; none when it is swapped */
    /* of those that grow */
    uint32_t part;     /* slot of the new rows */
    int axis, cut;     /* rows are cut before so many axes; 0: there is one row */
    bool appends;      /* a step copies the new rows; else they are written where they belong, and there is no step */
    const uint32_t *unit_out; /* of the unit that was the Concat */
} lt_kept_way;

typedef struct lt_maker {
    lt_planner *planner;
    const lt_plan_part *part; /* NULL: the init function */
    uint32_t part_number;
    const lt_graph *graph;
    const lt_choice *choice;
    lt_dims *dims;
    lt_arena *arena;
    lathe_diag *diag;
    /* expressions */
    lt_plan_expr *bind, *late;
    size_t n_bind, cap_bind, n_late, cap_late, late_done;
    lt_numbering expr_of;     /* dim expression -> number */
    uint32_t *late_keys;      /* dims that late expressions were made for, in order: forgotten at the end of a branch */
    size_t n_late_keys, cap_late_keys;
    /* values */
    lt_plan_value *values;
    lt_value_info *info;
    size_t n_values, cap_values, cap_info;
    lt_numbering slot_value;  /* slot of the choice -> value */
    lt_numbering host_value;  /* graph value -> its managed or body-input value */
    lt_numbering blob_value;  /* stored blob -> value */
    lt_part_slot *parts;      /* per slot; NULL: there are none */
    lt_kept_way *kept;        /* per cache */
    uint32_t n_kept;
    uint8_t *spared;          /* per unit: lt_cut_kind of the parts that take the place of its step, or 0 */
    lt_plan_cut *cuts;
    size_t n_cuts, cap_cuts;
    uint32_t *slot_reads;     /* reads of each slot, region outputs included */
    uint32_t *outputs_taken;  /* per network output: value that is its memory, or LT_PLAN_NONE */
    lt_keep_edge *edges;
    size_t n_edges, cap_edges;
    /* code */
    lt_plan_step *steps;
    size_t n_steps, cap_steps;
    lt_plan_instr *instrs;
    size_t n_instrs, cap_instrs;
    lt_plan_loop *loops;
    size_t n_loops, cap_loops;
    lt_region_id region;      /* being emitted */
    int depth;
    uint32_t scope_start;     /* first instruction of the branch or body at hand */
    /* lanes */
    lt_plan_lane lanes[LT_MAX_LANES];
    lt_lane_state lane[LT_MAX_LANES];
    uint32_t n_lanes, n_events;
    uint32_t lanes_used;      /* bit i: by the branch at hand */
    uint32_t **event_clocks;
    size_t cap_events;
    uint32_t last_sync[3];    /* per space: instruction at which the host last knew its first compute lane empty */
    lt_access *pending;
    size_t n_pending, cap_pending;
    lt_use_record *uses;
    size_t n_uses, cap_uses;
    const char *async_step;   /* the first for which the host waits */
    const char *step_name;    /* of what is being emitted */
} lt_maker;

/* plan_expr.c */
lathe_status lt_expr_const(lt_maker *m, int64_t k, uint32_t *out);
/* The number of a dim's expression; *out LT_PLAN_NONE when it depends on an unknown that no value has shown yet. */
lathe_status lt_expr_of(lt_maker *m, lt_dim d, uint32_t *out);
lathe_status lt_expr_input_dims(lt_maker *m); /* leaves that inputs have bare: extents, contents of host inputs */
/* Extent `axis` of a value that is there now stands for the dim. */
lathe_status lt_expr_from_value(lt_maker *m, lt_dim d, uint32_t value, int axis, uint32_t *out);
void lt_expr_forget(lt_maker *m, size_t keys); /* late expressions made since */
/* A dim without unknowns that is never below d; LT_PLAN says INT64_MAX when there is none. */
lathe_status lt_dim_ceiling(lt_maker *m, lt_dim d, lt_dim *out);
bool lt_dim_has_fresh(const lt_dims *dims, lt_dim d);

/* plan_value.c */
lathe_status lt_value_new(lt_maker *m, const lt_plan_value *value, uint32_t *out);
/* A value for a graph value in a format: extents where they are known now. storage ARENA stands for arena, bounded or managed, as the value's type says. */
lathe_status lt_value_make(lt_maker *m, const lt_value *v, const lathe_format *format, lt_storage storage, uint32_t index, uint32_t *out);
/* After the instruction that wrote it: extents that it alone can tell. */
lathe_status lt_value_settle(lt_maker *m, const lt_value *v, uint32_t value);
lathe_status lt_slot_get(lt_maker *m, uint32_t slot, uint32_t *out);     /* value of a slot that is there */
lathe_status lt_slot_define(lt_maker *m, uint32_t slot, uint32_t *out);  /* a new value for a slot about to be written */
lathe_status lt_host_get(lt_maker *m, lt_value_id id, uint32_t *out);    /* the plain host form of a graph value */
/* The plain host value `of` is the graph value inside a body as well. */
lathe_status lt_host_share(lt_maker *m, lt_value_id id, uint32_t of);
lathe_status lt_host_define(lt_maker *m, lt_value_id id, uint32_t *out); /* the same, about to be written (results of control flow) */
lathe_status lt_input_values(lt_maker *m);
lathe_status lt_blob_value(lt_maker *m, const lt_value *v, const char *pack, const int64_t param[4], uint32_t *out);
lathe_status lt_view_make(lt_maker *m, uint32_t slot, uint32_t of);
lt_keep lt_keep_of(const lt_maker *m, const lt_value *v);
lathe_status lt_temp_like(lt_maker *m, uint32_t value, uint32_t *out); /* another value of the same type and storage class */
lathe_status lt_count_reads(lt_maker *m);
lathe_status lt_hold(lt_maker *m, uint32_t holder, uint32_t held); /* managed holder may share the elements of held */

/* plan_cache.c: before lt_parts_choose; after lt_input_values; is the slot to be written over the input that it is paired with; the program's table. */
lathe_status lt_caches_choose(lt_maker *m);
lathe_status lt_cache_inputs(lt_maker *m);
bool lt_cache_updates(const lt_maker *m, uint32_t slot);
lathe_status lt_cache_ways(lt_maker *m, lt_plan_program *out);

/* plan_parts.c: which slots are parts of others, before anything is emitted; replaces the choice by a copy with the formats that follow. */
lathe_status lt_parts_choose(lt_maker *m);
lathe_status lt_part_define(lt_maker *m, uint32_t slot, uint32_t *out); /* the value of such a slot */
lathe_status lt_part_emit(lt_maker *m, const lt_unit *u, lt_cut_kind kind); /* in the place of a spared unit */
lathe_status lt_parts_grown(lt_maker *m); /* the cuts of caches, after everything was emitted */

/* plan_lane.c */
lathe_status lt_lane_named(lt_maker *m, lathe_space space, int32_t queue, uint32_t *out);
lathe_status lt_lane_for_step(lt_maker *m, lathe_space space, const uint32_t *in, uint32_t n_in, double cost, uint32_t *out);
/* Makes sure that lane sees what was written to the value: RECORD and WAIT where needed. */
lathe_status lt_lane_need(lt_maker *m, uint32_t lane, uint32_t value);
lathe_status lt_push_instr(lt_maker *m, lt_opcode op, uint32_t lane, uint32_t a, uint32_t b, uint32_t c, uint32_t *at);
/* The instruction `at` on `lane` reads or writes the value. */
lathe_status lt_touch(lt_maker *m, uint32_t value, uint32_t lane, uint32_t at, bool write);
lathe_status lt_flush_shapes(lt_maker *m); /* late expressions that no SHAPE has evaluated yet */
lathe_status lt_copy(lt_maker *m, uint32_t from, uint32_t to);
/* A branch or loop body: what lanes learn inside counts inside only; at its end the host waits for the lanes that it used. */
typedef struct lt_scope {
    uint32_t *clocks; /* of all lanes */
    uint32_t events[LT_MAX_LANES], n_lanes, lanes_used, last_sync[3];
    size_t late_keys;
    lt_region_id region;
    uint32_t start;
} lt_scope;
lathe_status lt_scope_enter(lt_maker *m, lt_region_id region, lt_scope *s);
lathe_status lt_scope_leave(lt_maker *m, const lt_scope *s);

/* plan_emit.c */
lathe_status lt_emit_region(lt_maker *m, lt_region_id region);
lathe_status lt_push_step(lt_maker *m, const lt_plan_step *step, uint32_t *out);
/* A step of the reference on the host; values of the operands are there or are written by it. */
lathe_status lt_emit_reference(lt_maker *m, const char *name, const lathe_problem *problem, const uint32_t *in, const uint32_t *out);
lathe_status lt_make_program(lt_planner *p, uint32_t part, lt_plan_program *out);

/* plan_control.c */
lathe_status lt_emit_if(lt_maker *m, const lt_unit *u);
lathe_status lt_emit_loop(lt_maker *m, const lt_unit *u); /* Loop, Scan and SequenceMap */
/* plan_scan.c: what Scan has beyond Loop. Its number of iterations, before the loop; the slices of this iteration, at the start of the body. */
/* Whether output number `stack` of those that Scan collects is turned behind the loop, which collects forwards on axis 0: lt_scan_turn does it. */
bool lt_scan_turns(const lt_node *node, uint32_t stack);
lathe_status lt_scan_turn(lt_maker *m, const lt_node *node, uint32_t stack, const lt_value *output, uint32_t collected, uint32_t result);
lathe_status lt_scan_length(lt_maker *m, const lt_node *node, uint32_t input, uint32_t axis_of, uint32_t value, uint32_t *out);
lathe_status lt_scan_slice(lt_maker *m, const lt_node *node, uint32_t input, uint32_t axis_of, uint32_t value, const lt_value *slice, uint32_t iteration);
/* The same for SequenceMap: values holds the node's inputs on the host. An input that is no sequence is the same in each iteration. */
lathe_status lt_map_length(lt_maker *m, const lt_node *node, const uint32_t *values, uint32_t *out);
lathe_status lt_map_input(lt_maker *m, const lt_node *node, uint32_t input, uint32_t value, const lt_value *inside, uint32_t iteration);
lathe_status lt_iteration_value(lt_maker *m, uint32_t *out); /* a counter that no graph value stands for */

/* plan_problem.c: a single operator over constants as a problem without instructions */
lathe_status lt_problem_of_node(const lt_graph *graph, const lt_node *node, lt_arena *arena, lathe_problem **out, lathe_diag *diag);
lathe_status lt_problem_text(const lathe_problem *problem, lt_arena *arena, const char **out, lathe_diag *diag);

/* plan_live.c: live ranges, offsets, the program's tables */
lathe_status lt_program_finish(lt_maker *m, lt_plan_program *out);

/* plan_log.c */
void lt_plan_say(const lt_debug *debug, const lt_plan *plan, size_t bytes);

#endif
