/*
 * pbqp.c - partitioned boolean quadratic programming: choose one state per node so that node costs plus edge costs are least.
 *
 * Called by choose.c; knows nothing of tactics. Reductions after Scholz and Eckstein (2002): a node without edges takes its best state (R0), a node
 * with one edge folds into its neighbour (R1), with two edges into an edge between its neighbours (R2). These are exact. When only nodes of degree
 * three or more are left, the one whose best state is clearest is fixed (RN), which is a heuristic; afterwards local search over connected pairs
 * improves the whole, also from starts where one node is held in another state (kicks). The cost returned is summed anew over the original costs.
 */
#include "tune/tune.h"
#include <string.h>

typedef struct edge {
    uint32_t a, b;    /* nodes; a < b */
    double *cost;     /* states(a) * states(b), current */
    double *original;
    bool alive;
} edge;

typedef struct node {
    uint32_t states;
    double *cost;           /* current */
    double *original;
    uint32_t *edges;        /* numbers of edges, dead ones included */
    size_t n_edges, cap_edges;
    uint32_t degree;        /* alive edges */
    bool gone;
    uint32_t chosen;
} node;

/* How a node left the graph: replayed backwards to choose its state. */
typedef struct removal {
    uint32_t node;
    uint32_t n; /* edges alive when it left: 0, 1 or 2; RN nodes are chosen at once */
    uint32_t edge[2];
} removal;

struct lt_pbqp {
    lt_arena *arena;
    node *nodes;
    size_t n_nodes, cap_nodes;
    edge *edges;
    size_t n_edges, cap_edges;
    removal *stack;
    size_t n_stack;
};

lt_pbqp *lt_pbqp_create(lt_arena *arena)
{
    lt_pbqp *p = LT_ARENA_NEW(arena, lt_pbqp);
    if (p) {
        p->arena = arena;
    }
    return p;
}

static double *copy_costs(lt_arena *arena, const double *costs, size_t count)
{
    return lt_arena_copy(arena, costs, count * sizeof(double), _Alignof(double));
}

lathe_status lt_pbqp_node(lt_pbqp *p, uint32_t states, const double *costs, uint32_t *out, lathe_diag *diag)
{
    LT_CHECK(diag, states > 0, "pbqp");
    if (!lt_arena_grow(p->arena, (void **)&p->nodes, &p->cap_nodes, p->n_nodes + 1, sizeof(node))) {
        return LT_OOM(diag);
    }
    node *n = &p->nodes[p->n_nodes];
    *n = (node){.states = states};
    n->cost = copy_costs(p->arena, costs, states);
    n->original = copy_costs(p->arena, costs, states);
    if (!n->cost || !n->original) {
        return LT_OOM(diag);
    }
    *out = (uint32_t)p->n_nodes++;
    return LATHE_OK;
}

uint32_t lt_pbqp_nodes(const lt_pbqp *p)
{
    return (uint32_t)p->n_nodes;
}

static edge *edge_between(lt_pbqp *p, uint32_t a, uint32_t b)
{
    node *n = &p->nodes[a];
    for (size_t i = 0; i < n->n_edges; i++) {
        edge *e = &p->edges[n->edges[i]];
        if (e->alive && (e->a == b || e->b == b)) {
            return e;
        }
    }
    return NULL;
}

static bool attach(lt_pbqp *p, uint32_t n, uint32_t e)
{
    node *at = &p->nodes[n];
    if (!lt_arena_grow(p->arena, (void **)&at->edges, &at->cap_edges, at->n_edges + 1, sizeof(uint32_t))) {
        return false;
    }
    at->edges[at->n_edges++] = e;
    at->degree++;
    return true;
}

/* An edge whose matrix (states(a) rows) belongs to the arena already. a < b. */
static lathe_status new_edge(lt_pbqp *p, uint32_t a, uint32_t b, double *cost, double *original, lathe_diag *diag)
{
    if (!lt_arena_grow(p->arena, (void **)&p->edges, &p->cap_edges, p->n_edges + 1, sizeof(edge))) {
        return LT_OOM(diag);
    }
    p->edges[p->n_edges] = (edge){.a = a, .b = b, .cost = cost, .original = original, .alive = true};
    uint32_t number = (uint32_t)p->n_edges++;
    return attach(p, a, number) && attach(p, b, number) ? LATHE_OK : LT_OOM(diag);
}

static void add_into(double *to, const double *from, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        to[i] += from[i];
    }
}

lathe_status lt_pbqp_edge(lt_pbqp *p, uint32_t a, uint32_t b, const double *matrix, lathe_diag *diag)
{
    LT_CHECK(diag, a < p->n_nodes && b < p->n_nodes && a != b, "pbqp");
    uint32_t rows = p->nodes[a].states, cols = p->nodes[b].states;
    size_t count = (size_t)rows * cols;
    double *cost = lt_arena_alloc(p->arena, count * sizeof(double), _Alignof(double));
    if (!cost) {
        return LT_OOM(diag);
    }
    for (uint32_t i = 0; i < rows; i++) {
        for (uint32_t j = 0; j < cols; j++) {
            cost[a < b ? i * cols + j : j * rows + i] = matrix[i * cols + j];
        }
    }
    edge *old = edge_between(p, a, b);
    if (old) {
        add_into(old->cost, cost, count);
        add_into(old->original, cost, count);
        return LATHE_OK;
    }
    double *original = copy_costs(p->arena, cost, count);
    return original ? new_edge(p, a < b ? a : b, a < b ? b : a, cost, original, diag) : LT_OOM(diag);
}

/* Cost of edge e when node `at` is in state s and the other end in state t. */
static double edge_cost(const lt_pbqp *p, const edge *e, const double *matrix, uint32_t at, uint32_t s, uint32_t t)
{
    uint32_t cols = p->nodes[e->b].states;
    return e->a == at ? matrix[s * cols + t] : matrix[t * cols + s];
}

static uint32_t other_end(const edge *e, uint32_t at)
{
    return e->a == at ? e->b : e->a;
}

static void kill_edge(lt_pbqp *p, edge *e)
{
    e->alive = false;
    p->nodes[e->a].degree--;
    p->nodes[e->b].degree--;
}

/* Alive edges of a node, at most max of them. */
static uint32_t alive_edges(const lt_pbqp *p, uint32_t n, uint32_t *out, uint32_t max)
{
    uint32_t found = 0;
    for (size_t i = 0; i < p->nodes[n].n_edges && found < max; i++) {
        if (p->edges[p->nodes[n].edges[i]].alive) {
            out[found++] = p->nodes[n].edges[i];
        }
    }
    return found;
}

static void push(lt_pbqp *p, removal r)
{
    p->nodes[r.node].gone = true;
    p->stack[p->n_stack++] = r;
}

/* R1: the best that node n can do for each state of its one neighbour moves into the neighbour's costs. */
static void reduce_one(lt_pbqp *p, uint32_t n)
{
    uint32_t number = 0;
    alive_edges(p, n, &number, 1);
    edge *e = &p->edges[number];
    node *at = &p->nodes[n], *to = &p->nodes[other_end(e, n)];
    for (uint32_t t = 0; t < to->states; t++) {
        double best = LT_PBQP_INF * 10;
        for (uint32_t s = 0; s < at->states; s++) {
            double c = at->cost[s] + edge_cost(p, e, e->cost, n, s, t);
            best = c < best ? c : best;
        }
        to->cost[t] += best;
    }
    kill_edge(p, e);
    push(p, (removal){.node = n, .n = 1, .edge = {number}});
}

/* R2: the best that node n can do for each pair of states of its two neighbours becomes (part of) an edge between them. */
static lathe_status reduce_two(lt_pbqp *p, uint32_t n, lathe_diag *diag)
{
    uint32_t number[2];
    alive_edges(p, n, number, 2);
    edge *e = &p->edges[number[0]], *f = &p->edges[number[1]];
    uint32_t a = other_end(e, n), b = other_end(f, n);
    if (a > b) {
        uint32_t swap = a;
        a = b;
        b = swap;
        edge *hold = e;
        e = f;
        f = hold;
    }
    const node *at = &p->nodes[n];
    uint32_t rows = p->nodes[a].states, cols = p->nodes[b].states;
    double *matrix = lt_arena_alloc(p->arena, (size_t)rows * cols * sizeof(double), _Alignof(double));
    if (!matrix) {
        return LT_OOM(diag);
    }
    for (uint32_t i = 0; i < rows; i++) {
        for (uint32_t j = 0; j < cols; j++) {
            double best = LT_PBQP_INF * 10;
            for (uint32_t s = 0; s < at->states; s++) {
                double c = at->cost[s] + edge_cost(p, e, e->cost, n, s, i) + edge_cost(p, f, f->cost, n, s, j);
                best = c < best ? c : best;
            }
            matrix[i * cols + j] = best;
        }
    }
    kill_edge(p, e);
    kill_edge(p, f);
    push(p, (removal){.node = n, .n = 2, .edge = {number[0], number[1]}});
    edge *old = edge_between(p, a, b);
    if (old) {
        add_into(old->cost, matrix, (size_t)rows * cols);
        return LATHE_OK;
    }
    return new_edge(p, a, b, matrix, NULL, diag);
}

/* What state s of node n costs when every neighbour answers as well as it can. */
static double optimistic(const lt_pbqp *p, uint32_t n, uint32_t s)
{
    double total = p->nodes[n].cost[s];
    for (size_t i = 0; i < p->nodes[n].n_edges; i++) {
        const edge *e = &p->edges[p->nodes[n].edges[i]];
        if (!e->alive) {
            continue;
        }
        const node *o = &p->nodes[other_end(e, n)];
        double best = LT_PBQP_INF * 10;
        for (uint32_t t = 0; t < o->states; t++) {
            double c = o->cost[t] + edge_cost(p, e, e->cost, n, s, t);
            best = c < best ? c : best;
        }
        total += best;
    }
    return total;
}

/* RN: fixes the node whose two best states lie furthest apart and hands its edges to the neighbours as plain costs. */
static void reduce_many(lt_pbqp *p)
{
    uint32_t pick = UINT32_MAX, state = 0;
    double widest = -1;
    for (uint32_t n = 0; n < p->n_nodes; n++) {
        if (p->nodes[n].gone) {
            continue;
        }
        double best = LT_PBQP_INF * 100, second = LT_PBQP_INF * 100;
        uint32_t best_state = 0;
        for (uint32_t s = 0; s < p->nodes[n].states; s++) {
            double c = optimistic(p, n, s);
            if (c < best) {
                second = best;
                best = c;
                best_state = s;
            } else if (c < second) {
                second = c;
            }
        }
        if (second - best > widest) {
            widest = second - best;
            pick = n;
            state = best_state;
        }
    }
    node *at = &p->nodes[pick];
    at->chosen = state;
    at->gone = true;
    for (size_t i = 0; i < at->n_edges; i++) {
        edge *e = &p->edges[at->edges[i]];
        if (e->alive) {
            node *o = &p->nodes[other_end(e, pick)];
            for (uint32_t t = 0; t < o->states; t++) {
                o->cost[t] += edge_cost(p, e, e->cost, pick, state, t);
            }
            kill_edge(p, e);
        }
    }
}

/* Removes every node; *exact is cleared when RN was needed. */
static lathe_status reduce_all(lt_pbqp *p, bool *exact, lathe_diag *diag)
{
    for (;;) {
        bool any = false, left = false;
        for (uint32_t n = 0; n < p->n_nodes; n++) {
            node *at = &p->nodes[n];
            if (at->gone) {
                continue;
            }
            if (at->degree == 0) {
                push(p, (removal){.node = n});
            } else if (at->degree == 1) {
                reduce_one(p, n);
            } else if (at->degree == 2) {
                LT_TRY(reduce_two(p, n, diag));
            } else {
                left = true;
                continue;
            }
            any = true;
        }
        if (!left && !any) {
            return LATHE_OK;
        }
        if (!any) {
            *exact = false;
            reduce_many(p);
        }
    }
}

/* Chooses states in the reverse order of removal: the neighbours of that time are all decided. */
static void replay(lt_pbqp *p)
{
    while (p->n_stack > 0) {
        removal r = p->stack[--p->n_stack];
        node *at = &p->nodes[r.node];
        double best = LT_PBQP_INF * 100;
        for (uint32_t s = 0; s < at->states; s++) {
            double c = at->cost[s];
            for (uint32_t i = 0; i < r.n; i++) {
                const edge *e = &p->edges[r.edge[i]];
                c += edge_cost(p, e, e->cost, r.node, s, p->nodes[other_end(e, r.node)].chosen);
            }
            if (c < best) {
                best = c;
                at->chosen = s;
            }
        }
    }
}

/* Original cost of node n in state s, and of its original edges, given the neighbours' choices; edges to `except` are left out. */
static double local_cost(const lt_pbqp *p, uint32_t n, uint32_t s, uint32_t except)
{
    double c = p->nodes[n].original[s];
    for (size_t i = 0; i < p->nodes[n].n_edges; i++) {
        const edge *e = &p->edges[p->nodes[n].edges[i]];
        uint32_t o = other_end(e, n);
        if (e->original && o != except) {
            c += edge_cost(p, e, e->original, n, s, p->nodes[o].chosen);
        }
    }
    return c;
}

/* Best pair of states for the two ends of an edge, node `held` staying as it is; true when it improves on the present one. */
static bool improve_pair(lt_pbqp *p, const edge *e, uint32_t held)
{
    node *a = &p->nodes[e->a], *b = &p->nodes[e->b];
    uint32_t sa = a->chosen, sb = b->chosen;
    double now = local_cost(p, e->a, sa, e->b) + local_cost(p, e->b, sb, e->a) + edge_cost(p, e, e->original, e->a, sa, sb);
    double best = now;
    for (uint32_t s = 0; s < a->states; s++) {
        double ca = local_cost(p, e->a, s, e->b);
        for (uint32_t t = 0; t < b->states; t++) {
            if ((e->a == held && s != a->chosen) || (e->b == held && t != b->chosen)) {
                continue;
            }
            double c = ca + local_cost(p, e->b, t, e->a) + edge_cost(p, e, e->original, e->a, s, t);
            if (c < best - 1e-9 * (best < 0 ? -best : best)) {
                best = c;
                sa = s;
                sb = t;
            }
        }
    }
    a->chosen = sa;
    b->chosen = sb;
    return best < now;
}

static void local_search(lt_pbqp *p, uint32_t held)
{
    bool changed = true;
    for (int round = 0; changed && round < 50; round++) {
        changed = false;
        for (size_t i = 0; i < p->n_edges; i++) {
            if (p->edges[i].original && improve_pair(p, &p->edges[i], held)) {
                changed = true;
            }
        }
    }
}

static double true_cost(const lt_pbqp *p)
{
    double total = 0;
    for (size_t n = 0; n < p->n_nodes; n++) {
        total += p->nodes[n].original[p->nodes[n].chosen];
    }
    for (size_t i = 0; i < p->n_edges; i++) {
        const edge *e = &p->edges[i];
        if (e->original) {
            total += edge_cost(p, e, e->original, e->a, p->nodes[e->a].chosen, p->nodes[e->b].chosen);
        }
    }
    return total;
}

static void get_states(const lt_pbqp *p, uint32_t *to)
{
    for (size_t n = 0; n < p->n_nodes; n++) {
        to[n] = p->nodes[n].chosen;
    }
}

static void set_states(lt_pbqp *p, const uint32_t *from)
{
    for (size_t n = 0; n < p->n_nodes; n++) {
        p->nodes[n].chosen = from[n];
    }
}

/* Holds each node in each of its other states in turn and improves the rest; keeps whatever is better. Bounded, deterministic. */
static lathe_status kick(lt_pbqp *p, lathe_diag *diag)
{
    size_t limit = 4000000 / (p->n_edges + 1); /* a second at the most */
    size_t max_kicks = limit < 2000 ? limit : 2000;
    uint32_t *best = LT_ARENA_ARRAY(p->arena, uint32_t, p->n_nodes + 1);
    if (!best) {
        return LT_OOM(diag);
    }
    get_states(p, best);
    double least = true_cost(p);
    size_t kicks = 0;
    for (bool better = true; better && kicks < max_kicks;) {
        better = false;
        for (uint32_t n = 0; n < p->n_nodes && kicks < max_kicks; n++) {
            for (uint32_t s = 0; s < p->nodes[n].states; s++) {
                if (s == best[n] || p->nodes[n].original[s] >= LT_PBQP_INF) {
                    continue;
                }
                p->nodes[n].chosen = s;
                local_search(p, n);
                local_search(p, UINT32_MAX);
                kicks++;
                double cost = true_cost(p);
                if (cost < least - 1e-9 * least) {
                    least = cost;
                    get_states(p, best);
                    better = true;
                }
                set_states(p, best);
            }
        }
    }
    return LATHE_OK;
}

lathe_status lt_pbqp_solve(lt_pbqp *p, uint32_t *states_out, double *cost, bool *exact, lathe_diag *diag)
{
    bool only_exact = true;
    p->stack = LT_ARENA_ARRAY(p->arena, removal, p->n_nodes + 1);
    if (!p->stack) {
        return LT_OOM(diag);
    }
    LT_TRY(reduce_all(p, &only_exact, diag));
    replay(p);
    if (!only_exact) {
        local_search(p, UINT32_MAX);
        LT_TRY(kick(p, diag));
    }
    for (size_t n = 0; n < p->n_nodes; n++) {
        states_out[n] = p->nodes[n].chosen;
    }
    *cost = true_cost(p);
    if (exact) {
        *exact = only_exact;
    }
    return LATHE_OK;
}
