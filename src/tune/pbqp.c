/*
 * pbqp.c - partitioned boolean quadratic programming: choose one state per node so that node costs plus edge costs are least.
 *
 * Called by model.c; knows nothing of tactics. Nodes with two neighbours or fewer are removed without loss (R0, R1, R2, after Scholz and Eckstein);
 * what is left is the core. Cores that can be taken apart with tables of bounded size are solved exactly too. Where that is too much, the node whose
 * best state is clearest is fixed (RN) whenever reductions stop, and the result is improved: a few nodes keep their states and all others are chosen
 * anew, exactly, in turns of which other nodes keep theirs; also from starts where one node is forced into another state. All of it is counted in
 * work, not in time, so that the same problem has the same answer everywhere. The cost returned is summed anew over the costs as they were given.
 */
#include "tune/pbqp_net.h"
#include <float.h>

#define EXACT_CELLS (1u << 18) /* of one table when a core is solved exactly */
#define EXACT_WORK 40000000u
#define ROUND_CELLS 512u       /* of one table while a solution is improved */
#define IMPROVE_WORK 3000000u

typedef struct edge_of {
    uint32_t a, b;
    const double *cost; /* states(a) * states(b) */
} edge_of;

typedef struct node_of {
    uint32_t states;
    const double *cost;
} node_of;

struct lt_pbqp {
    lt_arena *arena;
    node_of *nodes;
    size_t n_nodes, cap_nodes;
    edge_of *edges;
    size_t n_edges, cap_edges;
    uint64_t cells; /* limit of a table */
    double lower_bound;
};

/* The search on a core that was not solved exactly. */
typedef struct search {
    lt_pbqp *p;
    const lt_net *core;
    lt_arena arena;        /* of one attempt */
    uint32_t *best, *trial;
    double best_cost;
    uint32_t *held;        /* how often each node kept its state */
    uint64_t work;
    lathe_diag *diag;
} search;

typedef enum attempt_kind { GREEDY, HOLD, RELAX } attempt_kind;

lt_pbqp *lt_pbqp_create(lt_arena *arena)
{
    lt_pbqp *p = LT_ARENA_NEW(arena, lt_pbqp);
    if (p) {
        p->arena = arena;
        p->cells = EXACT_CELLS;
    }
    return p;
}

void lt_pbqp_limit(lt_pbqp *p, uint64_t cells)
{
    p->cells = cells;
}

double lt_pbqp_lower_bound(const lt_pbqp *p)
{
    return p->lower_bound;
}

lathe_status lt_pbqp_node(lt_pbqp *p, uint32_t states, const double *costs, uint32_t *out, lathe_diag *diag)
{
    LT_CHECK(diag, states > 0, "pbqp");
    if (!lt_arena_grow(p->arena, (void **)&p->nodes, &p->cap_nodes, p->n_nodes + 1, sizeof(node_of))) {
        return LT_OOM(diag);
    }
    const double *copy = lt_arena_copy(p->arena, costs, states * sizeof(double), _Alignof(double));
    if (!copy) {
        return LT_OOM(diag);
    }
    p->nodes[p->n_nodes] = (node_of){.states = states, .cost = copy};
    *out = (uint32_t)p->n_nodes++;
    return LATHE_OK;
}

uint32_t lt_pbqp_nodes(const lt_pbqp *p)
{
    return (uint32_t)p->n_nodes;
}

lathe_status lt_pbqp_edge(lt_pbqp *p, uint32_t a, uint32_t b, const double *matrix, lathe_diag *diag)
{
    LT_CHECK(diag, a < p->n_nodes && b < p->n_nodes && a != b, "pbqp");
    if (!lt_arena_grow(p->arena, (void **)&p->edges, &p->cap_edges, p->n_edges + 1, sizeof(edge_of))) {
        return LT_OOM(diag);
    }
    size_t count = (size_t)p->nodes[a].states * p->nodes[b].states;
    const double *copy = lt_arena_copy(p->arena, matrix, count * sizeof(double), _Alignof(double));
    if (!copy) {
        return LT_OOM(diag);
    }
    p->edges[p->n_edges++] = (edge_of){.a = a, .b = b, .cost = copy};
    return LATHE_OK;
}

static double true_cost(const lt_pbqp *p, const uint32_t *states)
{
    double total = 0;
    for (size_t i = 0; i < p->n_nodes; i++) {
        total += p->nodes[i].cost[states[i]];
    }
    for (size_t i = 0; i < p->n_edges; i++) {
        const edge_of *e = &p->edges[i];
        total += e->cost[states[e->a] * p->nodes[e->b].states + states[e->b]];
    }
    return total;
}

static lathe_status add_edge(const lt_pbqp *p, const edge_of *e, lt_net *net, lathe_diag *diag)
{
    uint32_t rows = p->nodes[e->a].states, cols = p->nodes[e->b].states;
    double *cost = lt_arena_alloc(net->arena, (size_t)rows * cols * sizeof(double), _Alignof(double));
    if (!cost) {
        return LT_OOM(diag);
    }
    for (uint32_t i = 0; i < rows; i++) {
        for (uint32_t j = 0; j < cols; j++) {
            cost[e->a < e->b ? i * cols + j : j * rows + i] = e->cost[i * cols + j];
        }
    }
    uint32_t scope[2] = {e->a < e->b ? e->a : e->b, e->a < e->b ? e->b : e->a};
    return lt_net_add(net, scope, 2, cost, diag);
}

static lathe_status make_net(const lt_pbqp *p, lt_arena *arena, lt_net *net, lathe_diag *diag)
{
    LT_TRY(lt_net_begin(net, arena, (uint32_t)p->n_nodes, diag));
    for (uint32_t i = 0; i < p->n_nodes; i++) {
        LT_TRY(lt_net_node_add(net, i, p->nodes[i].states, p->nodes[i].cost, diag));
    }
    for (size_t i = 0; i < p->n_edges; i++) {
        LT_TRY(add_edge(p, &p->edges[i], net, diag));
    }
    for (uint32_t i = 0; i < p->n_nodes; i++) {
        if (p->nodes[i].states == 1) {
            LT_TRY(lt_net_fix(net, i, 0, diag)); /* no choice: its edges are costs of its neighbours */
        }
    }
    return LATHE_OK;
}

/* The node that kept its state least often; of those, the one with most tables. */
static uint32_t next_held(const search *s, lt_net *net)
{
    lt_net_list(net);
    uint32_t pick = net->left[0];
    for (uint32_t i = 1; i < net->n_listed; i++) {
        uint32_t node = net->left[i];
        const lt_net_node *a = &net->nodes[node], *b = &net->nodes[pick];
        if (s->held[node] < s->held[pick] || (s->held[node] == s->held[pick] && a->count - a->first > b->count - b->first)) {
            pick = node;
        }
    }
    return pick;
}

/* Removes one node of a net that no longer reduces. */
static lathe_status unblock(search *s, lt_net *net, attempt_kind kind)
{
    uint32_t node, state;
    if (kind == GREEDY) {
        LT_TRY(lt_net_clearest(net, &node, &state, s->diag));
        return lt_net_fix(net, node, state, s->diag);
    }
    node = next_held(s, net);
    if (kind == RELAX) {
        return lt_net_split(net, node, s->diag);
    }
    s->held[node]++;
    return lt_net_fix(net, node, s->trial[node], s->diag);
}

/* One way through the core, `forced` (unless UINT32_MAX) staying in that state. GREEDY and HOLD leave their states in trial, RELAX its bound. */
static lathe_status attempt(search *s, attempt_kind kind, uint32_t forced, uint32_t state, double *cost)
{
    lt_net net;
    uint64_t cells = s->p->cells < ROUND_CELLS ? s->p->cells : ROUND_CELLS;
    lt_arena_reset(&s->arena);
    LT_TRY(lt_net_copy(s->core, false, &s->arena, &net, s->diag));
    if (forced != UINT32_MAX) {
        LT_TRY(lt_net_fix(&net, forced, state, s->diag));
    }
    LT_TRY(lt_net_reduce(&net, cells, UINT64_MAX, s->diag));
    while (net.n_left > 0) {
        LT_TRY(unblock(s, &net, kind));
        LT_TRY(lt_net_reduce(&net, cells, UINT64_MAX, s->diag));
    }
    s->work += net.work;
    if (kind == RELAX) {
        *cost = net.constant;
        return LATHE_OK;
    }
    lt_net_replay(&net, s->trial);
    *cost = lt_net_cost(s->core, s->trial);
    return LATHE_OK;
}

static bool clearly_less(double a, double b)
{
    return a < b - 1e-12 * (b < 0 ? -b : b);
}

static bool keep_if_better(search *s, double cost)
{
    if (!clearly_less(cost, s->best_cost)) {
        return false;
    }
    s->best_cost = cost;
    for (uint32_t i = 0; i < s->core->n_nodes; i++) {
        s->best[i] = s->trial[i];
    }
    return true;
}

/* Chooses all but a few nodes of `trial` anew until `patience` turns in a row have changed nothing. */
static lathe_status settle(search *s, uint32_t patience, double cost)
{
    for (uint32_t quiet = 0; quiet < patience && s->work < IMPROVE_WORK;) {
        double next;
        LT_TRY(attempt(s, HOLD, UINT32_MAX, 0, &next));
        quiet = clearly_less(next, cost) ? 0 : quiet + 1;
        cost = next;
    }
    keep_if_better(s, cost);
    return LATHE_OK;
}

/* Forces each node in turn into each of its other states; keeps whatever ends better. */
static lathe_status kick(search *s, bool *better)
{
    *better = false;
    for (uint32_t i = 0; i < s->core->n_nodes; i++) {
        const lt_net_node *at = &s->core->nodes[i];
        for (uint32_t state = 0; !at->gone && state < at->states && s->work < IMPROVE_WORK; state++) {
            if (state == s->best[i] || at->cost[state] >= LT_PBQP_INF) {
                continue;
            }
            double cost, before = s->best_cost;
            LT_TRY(attempt(s, GREEDY, i, state, &cost));
            LT_TRY(settle(s, 2, cost));
            *better |= s->best_cost < before;
        }
    }
    return LATHE_OK;
}

static lathe_status search_core(search *s)
{
    double cost;
    LT_TRY(attempt(s, GREEDY, UINT32_MAX, 0, &cost));
    s->best_cost = DBL_MAX;
    keep_if_better(s, cost);
    LT_TRY(settle(s, 8, cost));
    for (bool better = true; better && s->work < IMPROVE_WORK;) {
        LT_TRY(kick(s, &better));
    }
    return attempt(s, RELAX, UINT32_MAX, 0, &s->p->lower_bound);
}

/* The exact solution, when that is not too much; `dry` finds out. */
static lathe_status take_apart(search *s, bool dry, bool *done)
{
    lt_net net;
    lt_arena_reset(&s->arena);
    LT_TRY(lt_net_copy(s->core, dry, &s->arena, &net, s->diag));
    LT_TRY(lt_net_reduce(&net, s->p->cells, EXACT_WORK, s->diag));
    *done = net.n_left == 0;
    if (*done && !dry) {
        lt_net_replay(&net, s->best);
    }
    return LATHE_OK;
}

/* States of the core's nodes into `states`. */
static lathe_status solve_core(lt_pbqp *p, const lt_net *core, uint32_t *states, bool *exact, lathe_diag *diag)
{
    search s = {.p = p, .core = core, .best = states, .diag = diag};
    s.trial = LT_ARENA_ARRAY(p->arena, uint32_t, p->n_nodes + 1);
    s.held = LT_ARENA_ARRAY(p->arena, uint32_t, p->n_nodes + 1);
    if (!s.trial || !s.held) {
        return LT_OOM(diag);
    }
    lt_arena_init(&s.arena, p->arena->allocator);
    lathe_status status = take_apart(&s, true, exact);
    if (status == LATHE_OK) {
        status = *exact ? take_apart(&s, false, exact) : search_core(&s);
    }
    lt_arena_destroy(&s.arena);
    return status;
}

static lathe_status solve(lt_pbqp *p, lt_arena *arena, uint32_t *states, bool *exact, lathe_diag *diag)
{
    lt_net net;
    LT_TRY(make_net(p, arena, &net, diag));
    LT_TRY(lt_net_reduce(&net, 0, 0, diag));
    *exact = true;
    if (net.n_left > 0) {
        LT_TRY(solve_core(p, &net, states, exact, diag));
    }
    lt_net_replay(&net, states);
    return LATHE_OK;
}

lathe_status lt_pbqp_solve(lt_pbqp *p, uint32_t *states_out, double *cost, bool *exact, lathe_diag *diag)
{
    lt_arena arena;
    bool only_exact = false;
    lt_arena_init(&arena, p->arena->allocator);
    lathe_status status = solve(p, &arena, states_out, &only_exact, diag);
    lt_arena_destroy(&arena);
    LT_TRY(status);
    *cost = true_cost(p, states_out);
    p->lower_bound = only_exact || p->lower_bound > *cost ? *cost : p->lower_bound;
    if (exact) {
        *exact = only_exact;
    }
    return LATHE_OK;
}
