/*
 * pbqp_net.h - a cost network: nodes with states, and tables of costs over the states of a few nodes. Private to pbqp.c and pbqp_net.c.
 */
#ifndef LT_PBQP_NET_H
#define LT_PBQP_NET_H

#include "tune/tune.h"

enum { LT_NET_SCOPE = 12 }; /* nodes of one table at most */

typedef struct lt_net_table {
    uint32_t n, scope[LT_NET_SCOPE]; /* ascending */
    double *cost;                    /* the last node's states vary fastest */
    bool gone;
} lt_net_table;

typedef struct lt_net_node {
    uint32_t states;
    double *cost;
    uint32_t *tables;    /* numbers of the tables that it stands in, gone ones included */
    size_t first, count, capacity;
    uint64_t cells;      /* of the table that removing it would make; when not stale */
    double gap;          /* how much worse its second best state looks; when not gap_stale */
    uint32_t best;       /* and the best */
    bool gone, queued, stale, small, gap_stale;
} lt_net_node;

typedef struct lt_net_removal {
    uint32_t node, state; /* state: fixed; UINT32_MAX: the best, given the tables */
    uint32_t n, *tables;
} lt_net_removal;

typedef struct lt_net {
    lt_arena *arena;
    lt_net_node *nodes;
    uint32_t n_nodes, n_left;
    uint32_t *left, n_listed;       /* nodes, ascending; those that have gone since lt_net_list included */
    lt_net_table *tables;
    size_t n_tables, cap_tables;
    lt_net_removal *stack;
    uint32_t n_stack;
    uint32_t *queue, head, waiting; /* nodes with two neighbours or fewer */
    uint32_t *stale, n_stale;       /* nodes whose `cells` may be wrong */
    uint32_t *small, n_small;       /* nodes whose table may be small enough; those that have gone included */
    double constant;                /* what removed nodes cost for certain */
    uint64_t work;                  /* additions done, about */
    bool dry;                       /* only scopes and work, no costs: shows what an exact solution would take */
} lt_net;

/* Nodes are all known from the start; their costs are copied. Everything lives in the arena. */
lathe_status lt_net_begin(lt_net *net, lt_arena *arena, uint32_t n_nodes, lathe_diag *diag);
lathe_status lt_net_node_add(lt_net *net, uint32_t node, uint32_t states, const double *cost, lathe_diag *diag);
/* Adds a table, or adds into the one of the same scope. The array then belongs to the net and must live in its arena. */
lathe_status lt_net_add(lt_net *net, const uint32_t *scope, uint32_t n, double *cost, lathe_diag *diag);
/* Makes `left` list just what is left. */
void lt_net_list(lt_net *net);
/* What is left of a net, as a net of its own with the same node numbers; a dry one can only be reduced. */
lathe_status lt_net_copy(const lt_net *from, bool dry, lt_arena *arena, lt_net *to, lathe_diag *diag);
/*
 * Removes nodes while that is exact: always those with two neighbours or fewer (R0, R1, R2), others while the table that takes their place has at most
 * `cells` cells and the work done stays below `work`.  All calls for one net give the same `cells`, or 0 first.
 */
lathe_status lt_net_reduce(lt_net *net, uint64_t cells, uint64_t work, lathe_diag *diag);
/* Removes a node by deciding its state. */
lathe_status lt_net_fix(lt_net *net, uint32_t node, uint32_t state, lathe_diag *diag);
/* Removes a node by letting each of its tables choose its state by itself: what comes out is a lower bound. */
lathe_status lt_net_split(lt_net *net, uint32_t node, lathe_diag *diag);
/* The node whose best state is clearest (RN), by estimate. */
lathe_status lt_net_clearest(lt_net *net, uint32_t *node, uint32_t *state, lathe_diag *diag);
/* States of all removed nodes, last removed first; ties go to the lowest state. Nodes that are left must have theirs. */
void lt_net_replay(const lt_net *net, uint32_t *states);
/* Cost of what is left. */
double lt_net_cost(const lt_net *net, const uint32_t *states);

#endif
