/*
 * graph_internal.h - the insides of a graph: slots, regions, the journal of inferred types, the open edit. Private to
 * src/graph.
 */
#ifndef LT_GRAPH_INTERNAL_H
#define LT_GRAPH_INTERNAL_H

#include "graph/graph.h"

/*
 * Slots live in chunks from the arena, so that pointers stay valid while the graph grows. A freed slot is used again
 * under the next generation.
 */
typedef struct lt_node_slot {
    lt_node node;
    uint64_t order;                /* strictly ascending along the region's list */
    const char *folder;            /* of nodes in LT_INIT: the pass that put it there */
    uint32_t next_free;            /* of free slots: index + 1 of the next one */
    uint32_t dims_begin, dims_end; /* entries of the table of dims that its inference made */
    bool live;
    bool queued; /* waits for inference */
} lt_node_slot;

typedef struct lt_value_slot {
    lt_value value;
    uint32_t next_free;
    bool live;
} lt_value_slot;

typedef struct lt_region_slot {
    lt_region region;
    size_t cap_inputs, cap_outputs;
    size_t n_nodes;
    uint32_t height; /* levels of bodies below this region */
} lt_region_slot;

/* What inference changed, to be undone when it fails further down. */
typedef struct lt_journal_entry {
    lt_value *value;
    lt_type type;
    lt_contents contents;
} lt_journal_entry;

typedef struct lt_numbers { /* sorted, no repeats; in the graph's arena */
    uint32_t *items;
    size_t count, capacity;
} lt_numbers;

typedef struct lt_edit {
    bool open;
    const char *pass, *rule, *note;
    lt_numbers consumed, gone;
    uint32_t n_added;
} lt_edit;

enum { LT_SLOT_CHUNK = 128 };

struct lt_graph {
    const lathe_allocator *allocator;
    lt_arena arena;
    lt_arena scratch; /* of inference; emptied when the outermost user leaves */
    unsigned scratch_users;
    lt_dims *dims;
    const char *name;
    const char *place; /* where the text that is being read stands ("net.lathe:3:1"), for messages; NULL: none */

    lt_node_slot **nodes; /* chunks */
    size_t cap_nodes;     /* of the chunk table */
    uint32_t n_nodes, free_node;
    uint32_t spare_nodes; /* free slots, those of the free list included */
    lt_value_slot **values;
    size_t cap_values;
    uint32_t n_values, free_value;
    uint32_t spare_values;
    size_t live_values;
    lt_region_slot **regions;
    size_t cap_regions;
    uint32_t n_regions;

    lt_map names;      /* value name -> slot index */
    lt_map suffixes;   /* name -> last number tried as its suffix */
    lt_imap constants; /* hash of an anonymous constant's blob -> its handle */

    lt_origin *origins;
    size_t n_origins, cap_origins;
    lt_log_record *log;
    size_t n_log, cap_log;
    lt_edit edit;
    lt_assumption *assumptions;
    size_t n_assumptions, cap_assumptions;
    lt_refusal *refusals;
    size_t n_refusals, cap_refusals;

    lt_journal_entry *journal;
    size_t n_journal, cap_journal;
    bool broken;           /* the last inference of a node failed at its signature (lt_infer.broken) */
    uint32_t n_bodies;     /* bodies inferred so far, for inference to tell whether an operator came to its own */
    lt_meeting_fn meeting; /* NULL: nobody asks */
    void *meeting_user;
    lt_node_id *queue; /* heap of nodes that wait for inference */
    size_t n_queue, cap_queue;

    uint64_t budget; /* bytes that evaluation may still make; UINT64_MAX: no limit. The text reader sets one */
};

/* ---- graph.c ---- */
lt_node_slot *lt_node_slot_of(const lt_node *node);
lt_node_slot *lt_node_at(const lt_graph *graph, uint32_t index); /* whatever is there */
lt_value_slot *lt_value_at(const lt_graph *graph, uint32_t index);
lt_region_slot *lt_region_slot_of(const lt_graph *graph, lt_region_id region); /* NULL: no such live region */
/* After reserve, that many takes succeed. */
lathe_status lt_reserve_nodes(lt_graph *graph, size_t count, lathe_diag *diag);
lathe_status lt_reserve_values(lt_graph *graph, size_t count, lathe_diag *diag);
lt_node *lt_take_node(lt_graph *graph);
lt_value *lt_take_value(lt_graph *graph);
void lt_drop_node(lt_graph *graph, lt_node *node);    /* the slot only */
void lt_drop_value(lt_graph *graph, lt_value *value); /* the slot, its name and its blob */
/* "net.lathe:3:1: node 'conv1' (Conv)" in the scratch arena or, when there is no memory, a shorter constant. */
const char *lt_where(const lt_graph *graph, const lt_node *node, char *out, size_t size);
enum { LT_WHERE_MAX = 320 };

/* ---- graph_names.c ---- */
/*
 * A name that no value has, in the graph's arena: `base` itself when it is free, else base.N; base NULL: stem.N. NULL:
 * out of memory.
 */
const char *lt_name_unused(lt_graph *graph, const char *base, const char *stem);
/* Gives the value its (unused, kept) name. */
lathe_status lt_name_give(lt_graph *graph, lt_value *value, const char *name, lathe_diag *diag);
void lt_name_swap(lt_graph *graph, lt_value *a, lt_value *b);

/* ---- graph_types.c: deep copies into an arena ---- */
lathe_status lt_open_items(lt_graph *graph, const lt_type *type, lt_type *out, lathe_diag *diag); /* the type that an input of the network has: edit.c */
lathe_status lt_type_keep(lt_arena *arena, const lt_type *type, lt_type *out, lathe_diag *diag);
lathe_status lt_contents_keep(lt_arena *arena, const lt_contents *contents, lt_contents *out, lathe_diag *diag);
lathe_status lt_attr_keep(lt_arena *arena, const lathe_attr *attr, lathe_attr *out, lathe_diag *diag);
bool lt_contents_same(const lt_contents *a, const lt_contents *b);
void lt_type_of_tensor(const lt_tensor *tensor, lt_type *out);
/* Contents of a small integer tensor; v NULL for others. */
lathe_status lt_contents_of_tensor(lt_arena *arena, const lt_tensor *tensor, lt_contents *out, lathe_diag *diag);
/* Sanity of a type that comes from outside. */
lathe_status lt_type_check(const lt_type *type, const char *what, lathe_diag *diag);

/* ---- graph_order.c: regions, visibility, places in the list ---- */
/* The i-th region that the node's attributes name, counted over all of them; false past the end. */
bool lt_node_region(const lathe_attr *attrs, size_t n_attrs, size_t i, lt_region_id *out);
lt_region_id lt_region_root(const lt_graph *graph, lt_region_id region); /* the outermost region around it */
bool lt_region_within(const lt_graph *graph, lt_region_id region, lt_region_id outer); /* equal counts */
/* The node itself, or the owner of the body around it that stands in `region`; NULL when there is none. */
lt_node *lt_node_ancestor(const lt_graph *graph, lt_node *node, lt_region_id region);
/*
 * May a node of `region` placed before `before` (NULL: at the end) read the value? Bodies without an owner are checked
 * when they get one.
 */
bool lt_value_visible(const lt_graph *graph, const lt_value *value, lt_region_id region, const lt_node *before);
/*
 * Calls visit for every node of the region and of the bodies inside it, outer nodes first. Stops at the first failure.
 */
typedef lathe_status (*lt_walk_fn)(void *user, lt_node *node);
lathe_status lt_region_walk(const lt_graph *graph, lt_region_id region, lt_walk_fn visit, void *user);
/* May the regions of these attributes be given to a new node at this place? */
lathe_status lt_regions_attachable(const lt_graph *graph, const lathe_attr *attrs, size_t n_attrs, lt_region_id region,
                                   const lt_node *before, const char *where, lathe_diag *diag);
void lt_regions_attach(lt_graph *graph, lt_node *node);
void lt_node_link(lt_graph *graph, lt_node *node, lt_region_id region, lt_node *before); /* before NULL: at the end */
void lt_node_unlink(lt_graph *graph, lt_node *node);

/* ---- edit.c ---- */
lathe_status lt_use_reserve(lt_graph *graph, lt_value *value, size_t more, lathe_diag *diag);
void lt_use_add(lt_value *value, lt_node_id node, uint32_t slot); /* room was reserved */
void lt_use_del(lt_value *value, lt_node_id node, uint32_t slot);
lathe_status lt_input_add(lt_graph *graph, lt_region_id region, const char *name, const char *stem, const lt_type *type,
                          lt_blob *blob, lt_value_id *out, lathe_diag *diag);
/* True when both are constants of the same type and bytes. */
bool lt_values_equal(const lt_value *a, const lt_value *b);
bool lt_is_output_of(const lt_graph *graph, lt_region_id region, lt_value_id value);

/* ---- edit_change.c: replacing a value, in steps that others may combine ---- */
typedef struct lt_output_place { /* in a region's outputs */
    lt_region_id region;
    uint32_t index;
} lt_output_place;
typedef struct lt_replacement {
    lt_value *old, *now;
    lt_output_place *places; /* where `old` is an output; in the scratch arena, which the caller entered */
} lt_replacement;
lathe_status lt_replace_prepare(lt_graph *graph, lt_replacement *r,
                                lathe_diag *diag);               /* all the memory that is needed */
void lt_replace_apply(lt_graph *graph, const lt_replacement *r); /* what inference sees */
lathe_status lt_replace_queue(lt_graph *graph, const lt_replacement *r, lathe_diag *diag);
void lt_replace_undo(lt_graph *graph, const lt_replacement *r);   /* of apply, before commit */
void lt_replace_commit(lt_graph *graph, const lt_replacement *r); /* uses and names */

/* ---- edit_remove.c ---- */
lathe_status lt_remove_reserve(lt_graph *graph, const lt_node *node, lathe_diag *diag);
void lt_remove_reserved(lt_graph *graph, lt_node *node); /* whose outputs are unused; cannot fail */
/* Frees a body and all bodies inside it; the caller noted the origins of its nodes. */
void lt_region_free(lt_graph *graph, lt_region_id region);

/* ---- infer.c ---- */
void lt_scratch_enter(lt_graph *graph);
void lt_scratch_leave(lt_graph *graph);
/* The type of every result of a node whose inference fails where that may be. */
lt_type lt_unknown_result(const lt_graph *graph, const lt_node *node);
/* Types of the outputs of a node that need not be linked; everything in the scratch arena. The caller entered it. */
lathe_status lt_infer_types(lt_graph *graph, const lt_node *node, lt_type **types, lt_contents **contents,
                            lathe_diag *diag);
/* Changes a value's type, with an entry in the journal. */
lathe_status lt_value_retype(lt_graph *graph, lt_value *value, const lt_type *type, const lt_contents *contents,
                             lathe_diag *diag);
/* Queues the root-level users of a value, or the root-level owner of a node. */
lathe_status lt_queue_users(lt_graph *graph, const lt_value *value, lathe_diag *diag);
lathe_status lt_queue_node(lt_graph *graph, lt_node *node, lathe_diag *diag);
/* Infers what is queued and whatever changes because of it; on failure all types are as before the journal began. */
lathe_status lt_infer_queued(lt_graph *graph, lathe_diag *diag);
void lt_infer_abort(lt_graph *graph); /* empties the queue and rolls back */
void lt_journal_commit(lt_graph *graph);
void lt_journal_rollback(lt_graph *graph);
/* Contents of a host input: symbols named after it. */
lathe_status lt_host_contents(lt_graph *graph, const char *name, const lt_type *type, lt_contents *out,
                              lathe_diag *diag);

/* ---- provenance.c ---- */
bool lt_numbers_add(lt_arena *arena, lt_numbers *set, const uint32_t *items, size_t count);
/* Reserve, note each node that goes, done. Works with and without an open edit. */
lathe_status lt_gone_reserve(lt_graph *graph, size_t count, lathe_diag *diag);
void lt_gone_note(lt_graph *graph, const lt_node *node);
void lt_gone_done(lt_graph *graph);

/* ---- assume.c ---- */
lathe_status lt_assumption_add(lt_graph *graph, const lt_assumption *assumption,
                               lathe_diag *diag); /* copies it; once only */

/* ---- run.c ---- */
/* run_value.c */
lathe_status lt_any_copy(lt_arena *arena, const lt_any *from, lt_any *to, lathe_diag *diag); /* deep */
lathe_status lt_run_check_inputs(const lt_graph *graph, const lt_any *const *inputs, size_t n_inputs, lathe_diag *diag);
/*
 * Evaluates one node whose inputs (captures included) are constants. blobs gets n_outputs references, NULL for outputs
 * not wanted.
 */
lathe_status lt_run_constant(lt_graph *graph, const lt_node *node, lt_blob **blobs, lathe_diag *diag);

/* ---- blob.c ---- */
/* What made the data, so that it can be printed as that. */
typedef enum lt_generator { LT_GENERATOR_NONE, LT_GENERATOR_RAND } lt_generator;
void lt_blob_set_generator(lt_blob *blob, lt_generator generator, uint64_t seed); /* right after lt_blob_make */
lt_generator lt_blob_generator(const lt_blob *blob, uint64_t *seed);

#endif
