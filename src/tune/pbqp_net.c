/*
 * pbqp_net.c - removing the nodes of a cost network one by one. Called by pbqp.c; knows nothing of what the nodes stand for.
 *
 * A node leaves exactly by taking its best state for each combination of its neighbours' states, which makes a table over the neighbours: a number
 * (R0), costs of one node (R1), of a pair (R2), or more. Tables grow with the product of the states, so that beyond pairs the caller sets a limit.
 * Infinite costs are large finite ones: sums stay far below overflow, and nothing is ever subtracted.
 */
#include "tune/pbqp_net.h"

#include <float.h>
#include <string.h>

lathe_status lt_net_begin(lt_net *net, lt_arena *arena, uint32_t n_nodes, lathe_diag *diag)
{
    *net = (lt_net){.arena = arena, .n_nodes = n_nodes};
    net->nodes = LT_ARENA_ARRAY(arena, lt_net_node, (size_t)n_nodes + 1);
    net->stack = LT_ARENA_ARRAY(arena, lt_net_removal, (size_t)n_nodes + 1);
    net->queue = LT_ARENA_ARRAY(arena, uint32_t, (size_t)n_nodes + 1);
    net->left = LT_ARENA_ARRAY(arena, uint32_t, (size_t)n_nodes + 1);
    net->stale = LT_ARENA_ARRAY(arena, uint32_t, (size_t)n_nodes + 1);
    net->small = LT_ARENA_ARRAY(arena, uint32_t, (size_t)n_nodes + 1);
    if (!net->nodes || !net->stack || !net->queue || !net->left || !net->stale || !net->small) {
        return LT_OOM(diag);
    }
    for (uint32_t i = 0; i < n_nodes; i++) {
        net->nodes[i].gone = true;
    }
    return LATHE_OK;
}

static void enqueue(lt_net *net, uint32_t node)
{
    if (!net->nodes[node].queued) {
        net->nodes[node].queued = true;
        net->queue[(net->head + net->waiting++) % net->n_nodes] = node;
    }
}

lathe_status lt_net_node_add(lt_net *net, uint32_t node, uint32_t states, const double *cost, lathe_diag *diag)
{
    double *own = lt_arena_copy(net->arena, cost, states * sizeof(double), _Alignof(double));
    if (!own) {
        return LT_OOM(diag);
    }
    net->nodes[node] = (lt_net_node){.states = states, .cost = own, .stale = true, .gap_stale = true};
    net->stale[net->n_stale++] = node;
    net->left[net->n_listed++] = node;
    net->n_left++;
    net->work += states;
    enqueue(net, node);
    return LATHE_OK;
}

static bool same_scope(const lt_net_table *t, const uint32_t *scope, uint32_t n)
{
    return !t->gone && t->n == n && memcmp(t->scope, scope, n * sizeof *scope) == 0;
}

static lt_net_table *find(lt_net *net, const uint32_t *scope, uint32_t n)
{
    const lt_net_node *at = &net->nodes[scope[0]];
    for (uint32_t i = 1; i < n; i++) {
        const lt_net_node *other = &net->nodes[scope[i]];
        at = other->count - other->first < at->count - at->first ? other : at;
    }
    for (size_t i = at->first; i < at->count; i++) {
        if (same_scope(&net->tables[at->tables[i]], scope, n)) {
            return &net->tables[at->tables[i]];
        }
    }
    return NULL;
}

static size_t cells_of(const lt_net *net, const uint32_t *scope, uint32_t n)
{
    size_t cells = 1;
    for (uint32_t i = 0; i < n; i++) {
        cells *= net->nodes[scope[i]].states;
    }
    return cells;
}

static void add_into(double *to, const double *from, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        to[i] += from[i];
    }
}

/* Neighbours of a node in ascending order; stops when there are more than `most`, which is then what it answers plus one. */
static uint32_t neighbours(lt_net *net, uint32_t node, uint32_t *out, uint32_t most)
{
    lt_net_node *at = &net->nodes[node];
    uint32_t n = 0;
    while (at->first < at->count && net->tables[at->tables[at->first]].gone) {
        at->first++;
    }
    for (size_t i = at->first; i < at->count; i++) {
        const lt_net_table *t = &net->tables[at->tables[i]];
        for (uint32_t k = 0; k < t->n && !t->gone; k++) {
            uint32_t place = n;
            while (place > 0 && out[place - 1] > t->scope[k]) {
                place--;
            }
            if (t->scope[k] == node || (place > 0 && out[place - 1] == t->scope[k])) {
                continue;
            }
            if (n == most) {
                return most + 1;
            }
            memmove(out + place + 1, out + place, (n - place) * sizeof *out);
            out[place] = t->scope[k];
            n++;
        }
    }
    return n;
}

void lt_net_list(lt_net *net)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < net->n_listed; i++) {
        if (!net->nodes[net->left[i]].gone) {
            net->left[kept++] = net->left[i];
        }
    }
    net->work += net->n_listed;
    net->n_listed = kept;
}

/* The node's surroundings have changed. */
static void touch(lt_net *net, uint32_t node)
{
    uint32_t scratch[LT_NET_SCOPE];
    if (!net->nodes[node].stale) {
        net->stale[net->n_stale++] = node;
    }
    net->nodes[node].stale = net->nodes[node].gap_stale = true;
    if (!net->nodes[node].queued && neighbours(net, node, scratch, 2) <= 2) {
        enqueue(net, node);
    }
}

lathe_status lt_net_add(lt_net *net, const uint32_t *scope, uint32_t n, double *cost, lathe_diag *diag)
{
    if (n == 0) {
        net->constant += net->dry ? 0 : cost[0];
        return LATHE_OK;
    }
    size_t cells = cells_of(net, scope, n);
    net->work += cells;
    lt_net_table *old = n > 1 ? find(net, scope, n) : NULL;
    if (n == 1 || old) {
        add_into(old ? old->cost : net->nodes[scope[0]].cost, cost, net->dry ? 0 : cells);
        return LATHE_OK;
    }
    if (!lt_arena_grow(net->arena, (void **)&net->tables, &net->cap_tables, net->n_tables + 1, sizeof(lt_net_table))) {
        return LT_OOM(diag);
    }
    lt_net_table *t = &net->tables[net->n_tables];
    *t = (lt_net_table){.n = n, .cost = cost};
    memcpy(t->scope, scope, n * sizeof *scope);
    for (uint32_t i = 0; i < n; i++) {
        lt_net_node *at = &net->nodes[scope[i]];
        if (!lt_arena_grow(net->arena, (void **)&at->tables, &at->capacity, at->count + 1, sizeof(uint32_t))) {
            return LT_OOM(diag);
        }
        at->tables[at->count++] = (uint32_t)net->n_tables;
    }
    net->n_tables++;
    return LATHE_OK;
}

lathe_status lt_net_copy(const lt_net *from, bool dry, lt_arena *arena, lt_net *to, lathe_diag *diag)
{
    LT_TRY(lt_net_begin(to, arena, from->n_nodes, diag));
    to->dry = dry;
    for (uint32_t i = 0; i < from->n_nodes; i++) {
        if (!from->nodes[i].gone) {
            LT_TRY(lt_net_node_add(to, i, from->nodes[i].states, from->nodes[i].cost, diag));
        }
    }
    for (size_t i = 0; i < from->n_tables; i++) {
        const lt_net_table *t = &from->tables[i];
        if (t->gone) {
            continue;
        }
        double *cost = dry ? t->cost : lt_arena_copy(arena, t->cost, cells_of(from, t->scope, t->n) * sizeof(double), _Alignof(double));
        if (!cost) {
            return LT_OOM(diag);
        }
        LT_TRY(lt_net_add(to, t->scope, t->n, cost, diag));
    }
    return LATHE_OK;
}

/* How far a step of `node` moves in a table; 0 when the table has no such node. */
static size_t stride_of(const lt_net *net, const lt_net_table *t, uint32_t node)
{
    size_t stride = 1;
    for (uint32_t k = t->n; k-- > 0;) {
        if (t->scope[k] == node) {
            return stride;
        }
        stride *= net->nodes[t->scope[k]].states;
    }
    return 0;
}

/* One table while the cells of another are walked: where it stands, and how far each step moves. */
typedef struct cursor {
    const double *at;
    size_t own, step[LT_NET_SCOPE];
} cursor;

static double least(const cursor *c, uint32_t n, const double *cost, uint32_t states)
{
    double best = DBL_MAX;
    for (uint32_t s = 0; s < states; s++) {
        double sum = cost[s];
        for (uint32_t k = 0; k < n; k++) {
            sum += c[k].at[s * c[k].own];
        }
        best = sum < best ? sum : best;
    }
    return best;
}

/* The least that `node` with these costs and tables can cost, for each combination of states of `scope`. */
static double *minimise(lt_net *net, uint32_t node, const double *cost, const uint32_t *tables, uint32_t n_tables, const uint32_t *scope, uint32_t n)
{
    size_t cells = cells_of(net, scope, n);
    net->work += cells * net->nodes[node].states * (n_tables + 1);
    if (net->dry) {
        return net->nodes[node].cost; /* never read */
    }
    double *out = lt_arena_alloc(net->arena, cells * sizeof(double), _Alignof(double));
    cursor *c = LT_ARENA_ARRAY(net->arena, cursor, (size_t)n_tables + 1);
    if (!out || !c) {
        return NULL;
    }
    for (uint32_t k = 0; k < n_tables; k++) {
        const lt_net_table *t = &net->tables[tables[k]];
        c[k].at = t->cost;
        c[k].own = stride_of(net, t, node);
        for (uint32_t d = 0; d < n; d++) {
            c[k].step[d] = stride_of(net, t, scope[d]);
        }
    }
    uint32_t index[LT_NET_SCOPE] = {0};
    for (size_t cell = 0; cell < cells; cell++) {
        out[cell] = least(c, n_tables, cost, net->nodes[node].states);
        for (uint32_t d = n; d-- > 0;) {
            bool wraps = ++index[d] == net->nodes[scope[d]].states;
            for (uint32_t k = 0; k < n_tables; k++) {
                c[k].at += wraps ? (ptrdiff_t)c[k].step[d] - (ptrdiff_t)(c[k].step[d] * index[d]) : (ptrdiff_t)c[k].step[d];
            }
            if (!wraps) {
                break;
            }
            index[d] = 0;
        }
    }
    return out;
}

/* Takes a node and its tables out of the net and notes how its state is found. */
static lathe_status take_out(lt_net *net, uint32_t node, uint32_t state, lt_net_removal **out, lathe_diag *diag)
{
    lt_net_node *at = &net->nodes[node];
    lt_net_removal *r = &net->stack[net->n_stack++];
    *r = (lt_net_removal){.node = node, .state = state};
    r->tables = LT_ARENA_ARRAY(net->arena, uint32_t, at->count - at->first + 1);
    if (!r->tables) {
        return LT_OOM(diag);
    }
    for (size_t i = at->first; i < at->count; i++) {
        if (!net->tables[at->tables[i]].gone) {
            net->tables[at->tables[i]].gone = true;
            r->tables[r->n++] = at->tables[i];
        }
    }
    at->gone = true;
    net->n_left--;
    *out = r;
    return LATHE_OK;
}

static lathe_status eliminate(lt_net *net, uint32_t node, const uint32_t *scope, uint32_t n, lathe_diag *diag)
{
    lt_net_removal *r;
    LT_TRY(take_out(net, node, UINT32_MAX, &r, diag));
    double *table = minimise(net, node, net->nodes[node].cost, r->tables, r->n, scope, n);
    if (!table) {
        return LT_OOM(diag);
    }
    LT_TRY(lt_net_add(net, scope, n, table, diag));
    for (uint32_t i = 0; i < n; i++) {
        touch(net, scope[i]);
    }
    return LATHE_OK;
}

/* The scope of a table without one of its nodes. */
static uint32_t scope_without(const lt_net_table *t, uint32_t node, uint32_t *out)
{
    uint32_t n = 0;
    for (uint32_t k = 0; k < t->n; k++) {
        if (t->scope[k] != node) {
            out[n++] = t->scope[k];
        }
    }
    return n;
}

/* Brings what `cost` (of a copy of the node with `states` states) and each table alone make of it to the tables' other nodes. */
static lathe_status hand_on(lt_net *net, const lt_net_removal *r, const double *cost, lathe_diag *diag)
{
    uint32_t scope[LT_NET_SCOPE];
    for (uint32_t i = 0; i < r->n; i++) {
        uint32_t n = scope_without(&net->tables[r->tables[i]], r->node, scope);
        double *table = minimise(net, r->node, cost, &r->tables[i], 1, scope, n);
        if (!table) {
            return LT_OOM(diag);
        }
        LT_TRY(lt_net_add(net, scope, n, table, diag));
    }
    for (uint32_t i = 0; i < r->n; i++) {
        uint32_t n = scope_without(&net->tables[r->tables[i]], r->node, scope);
        for (uint32_t k = 0; k < n; k++) {
            touch(net, scope[k]);
        }
    }
    return LATHE_OK;
}

lathe_status lt_net_fix(lt_net *net, uint32_t node, uint32_t state, lathe_diag *diag)
{
    lt_net_node *at = &net->nodes[node];
    double *cost = LT_ARENA_ARRAY(net->arena, double, at->states);
    lt_net_removal *r;
    if (!cost) {
        return LT_OOM(diag);
    }
    for (uint32_t s = 0; s < at->states; s++) {
        cost[s] = s == state ? 0 : DBL_MAX / 4; /* never the least */
    }
    net->constant += at->cost[state];
    LT_TRY(take_out(net, node, state, &r, diag));
    return hand_on(net, r, cost, diag);
}

lathe_status lt_net_split(lt_net *net, uint32_t node, lathe_diag *diag)
{
    lt_net_node *at = &net->nodes[node];
    double *cost = LT_ARENA_ARRAY(net->arena, double, at->states);
    lt_net_removal *r;
    if (!cost) {
        return LT_OOM(diag);
    }
    LT_TRY(take_out(net, node, 0, &r, diag));
    for (uint32_t s = 0; s < at->states; s++) {
        cost[s] = at->cost[s] / (r->n ? r->n : 1);
    }
    return hand_on(net, r, cost, diag);
}

static void refresh(lt_net *net, uint32_t node)
{
    uint32_t scope[LT_NET_SCOPE + 1];
    lt_net_node *at = &net->nodes[node];
    uint32_t n = neighbours(net, node, scope, LT_NET_SCOPE);
    uint64_t cells = 1;
    for (uint32_t i = 0; i < n && n <= LT_NET_SCOPE && cells < UINT32_MAX; i++) {
        cells *= net->nodes[scope[i]].states;
    }
    at->cells = n > LT_NET_SCOPE ? UINT64_MAX : cells;
}

/* The node whose removal makes the smallest table, if that has at most `cells` cells; the lowest of several. UINT32_MAX: none. */
static uint32_t smallest(lt_net *net, uint64_t cells)
{
    while (net->n_stale > 0) {
        uint32_t node = net->stale[--net->n_stale];
        lt_net_node *at = &net->nodes[node];
        at->stale = false;
        if (!at->gone) {
            refresh(net, node);
        }
        if (!at->gone && !at->small && at->cells <= cells) {
            at->small = true;
            net->small[net->n_small++] = node;
        }
    }
    uint32_t pick = UINT32_MAX, kept = 0;
    for (uint32_t i = 0; i < net->n_small; i++) {
        uint32_t node = net->small[i];
        lt_net_node *at = &net->nodes[node];
        at->small = !at->gone && at->cells <= cells;
        if (!at->small) {
            continue;
        }
        net->small[kept++] = node;
        if (pick == UINT32_MAX || at->cells < net->nodes[pick].cells || (at->cells == net->nodes[pick].cells && node < pick)) {
            pick = node;
        }
    }
    net->work += net->n_small + 1;
    net->n_small = kept;
    return pick;
}

lathe_status lt_net_reduce(lt_net *net, uint64_t cells, uint64_t work, lathe_diag *diag)
{
    uint32_t scope[LT_NET_SCOPE];
    while (net->n_left > 0) {
        if (net->waiting > 0) {
            uint32_t node = net->queue[net->head];
            net->head = (net->head + 1) % net->n_nodes;
            net->waiting--;
            net->nodes[node].queued = false;
            uint32_t n = net->nodes[node].gone ? UINT32_MAX : neighbours(net, node, scope, 2);
            if (n <= 2) {
                LT_TRY(eliminate(net, node, scope, n, diag));
            }
            continue;
        }
        uint32_t pick = net->work < work ? smallest(net, cells) : UINT32_MAX;
        if (pick == UINT32_MAX) {
            return LATHE_OK;
        }
        uint32_t n = neighbours(net, pick, scope, LT_NET_SCOPE);
        LT_TRY(eliminate(net, pick, scope, n, diag));
    }
    return LATHE_OK;
}

/* Adds to each state's cost the least of a table at it, the other nodes' costs included. */
static void add_least(const lt_net *net, const lt_net_table *t, uint32_t node, double *total, double *best)
{
    uint32_t index[LT_NET_SCOPE] = {0}, states = net->nodes[node].states;
    size_t cells = cells_of(net, t->scope, t->n);
    for (uint32_t s = 0; s < states; s++) {
        best[s] = DBL_MAX;
    }
    for (size_t cell = 0; cell < cells; cell++) {
        double c = t->cost[cell];
        uint32_t at = 0;
        for (uint32_t k = 0; k < t->n; k++) {
            if (t->scope[k] == node) {
                at = index[k];
            } else {
                c += net->nodes[t->scope[k]].cost[index[k]];
            }
        }
        best[at] = c < best[at] ? c : best[at];
        for (uint32_t k = t->n; k-- > 0 && ++index[k] == net->nodes[t->scope[k]].states;) {
            index[k] = 0;
        }
    }
    add_into(total, best, states);
}

static lathe_status measure_gap(lt_net *net, uint32_t node, lathe_diag *diag)
{
    lt_net_node *at = &net->nodes[node];
    double *total = lt_arena_copy(net->arena, at->cost, at->states * sizeof(double), _Alignof(double));
    double *best = LT_ARENA_ARRAY(net->arena, double, at->states);
    if (!total || !best) {
        return LT_OOM(diag);
    }
    for (size_t i = at->first; i < at->count; i++) {
        const lt_net_table *t = &net->tables[at->tables[i]];
        if (!t->gone) {
            add_least(net, t, node, total, best);
            net->work += cells_of(net, t->scope, t->n);
        }
    }
    at->best = 0;
    double second = DBL_MAX;
    for (uint32_t s = 1; s < at->states; s++) {
        if (total[s] < total[at->best]) {
            second = total[at->best];
            at->best = s;
        } else if (total[s] < second) {
            second = total[s];
        }
    }
    at->gap = second - total[at->best];
    at->gap_stale = false;
    return LATHE_OK;
}

lathe_status lt_net_clearest(lt_net *net, uint32_t *node, uint32_t *state, lathe_diag *diag)
{
    lt_net_list(net);
    *node = net->left[0];
    for (uint32_t i = 0; i < net->n_listed; i++) {
        uint32_t at = net->left[i];
        if (net->nodes[at].gap_stale) {
            LT_TRY(measure_gap(net, at, diag));
        }
        *node = net->nodes[at].gap > net->nodes[*node].gap ? at : *node;
    }
    *state = net->nodes[*node].best;
    return LATHE_OK;
}

/* What a table costs at these states; `node` stands at its state 0. */
static const double *cell_of(const lt_net *net, const lt_net_table *t, uint32_t node, const uint32_t *states)
{
    size_t cell = 0;
    for (uint32_t k = 0; k < t->n; k++) {
        cell = cell * net->nodes[t->scope[k]].states + (t->scope[k] == node ? 0 : states[t->scope[k]]);
    }
    return t->cost + cell;
}

static uint32_t best_state(const lt_net *net, const lt_net_removal *r, const uint32_t *states)
{
    double best = DBL_MAX;
    uint32_t found = 0;
    for (uint32_t s = 0; s < net->nodes[r->node].states; s++) {
        double c = net->nodes[r->node].cost[s];
        for (uint32_t i = 0; i < r->n; i++) {
            const lt_net_table *t = &net->tables[r->tables[i]];
            c += cell_of(net, t, r->node, states)[s * stride_of(net, t, r->node)];
        }
        if (c < best) {
            best = c;
            found = s;
        }
    }
    return found;
}

void lt_net_replay(const lt_net *net, uint32_t *states)
{
    for (uint32_t i = net->n_stack; i-- > 0;) {
        const lt_net_removal *r = &net->stack[i];
        states[r->node] = r->state == UINT32_MAX ? best_state(net, r, states) : r->state;
    }
}

double lt_net_cost(const lt_net *net, const uint32_t *states)
{
    double total = net->constant;
    for (uint32_t i = 0; i < net->n_nodes; i++) {
        total += net->nodes[i].gone ? 0 : net->nodes[i].cost[states[i]];
    }
    for (size_t i = 0; i < net->n_tables; i++) {
        total += net->tables[i].gone ? 0 : *cell_of(net, &net->tables[i], UINT32_MAX, states);
    }
    return total;
}
