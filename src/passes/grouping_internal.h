/*
 * grouping_internal.h - what group-epilogues and group-pointwise share: what may join a group, how a group grows, and the log of edges left
 * unfused. Private to src/passes.
 *
 * A group is a set of nodes of one region and one device with exactly one value that is read outside. Its pointwise members form a tile program
 * over one iteration space. Members end up side by side in the region, the last one at its old place.
 */
#ifndef LT_GROUPING_INTERNAL_H
#define LT_GROUPING_INTERNAL_H

#include "passes/passes_internal.h"

enum { LT_GROUP_MAX = 16 }; /* pointwise members: the tile program is full then */

/* Why an edge was refused, found while a group tried to grow along it. */
typedef struct lt_edge_note {
    lt_value_id value;
    lt_node_id to;
    const char *reason;
} lt_edge_note;

typedef struct lt_grouping {
    lt_pass_call *c;
    lt_region_id region;
    lt_node_id *nodes; /* of the region, in their order when the pass began */
    size_t n_nodes;
    lt_imap place;     /* node index -> place in nodes */
    uint32_t next;     /* next group number */
    lt_edge_note *notes; /* in the scratch arena */
    size_t n_notes, cap_notes;
    lt_imap note_index;  /* edge -> its note */
} lt_grouping;

/* Calls visit for each region, with its nodes listed; then puts members side by side. */
lathe_status lt_grouping_run(lt_pass_call *c, lathe_status (*visit)(lt_grouping *g), bool log_pointwise);

/* NULL when the node can be an instruction of a tile program, else the reason. "" when it is no candidate at all. */
const char *lt_tile_reason(const lt_graph *graph, const lt_node *node);
bool lt_is_dequantize(const lt_node *node);
bool lt_is_quantize(const lt_node *node);
bool lt_is_root(const lt_graph *graph, const lt_node *node); /* and no shape arithmetic, which runs on the host */

/*
 * Grows a group from `seed` (a root, or a pointwise node) along its output 0 and marks the members with the next group number. extra: members that
 * belong to it already (prologues). A group of one member is not made.
 */
lathe_status lt_group_grow(lt_grouping *g, lt_node_id seed, const lt_node_id *extra, size_t n_extra);
/* Remembers why the edge was left; the first reason stays. */
lathe_status lt_edge_refuse(lt_grouping *g, lt_value_id value, lt_node_id to, const char *reason);

#endif
