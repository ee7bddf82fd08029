/*
 * model.c - the choice as a PBQP: drafts are nodes whose states are tactics, values whose readers may want different formats are edges or nodes.
 *
 * A value with one reader is an edge that costs the reformat. A value with several readers is a node of its own: its state is the set of formats that are
 * materialised, so that a reformat that two readers share is paid once. Network inputs, constants, outputs and views are pinned to plain formats.
 */
#include "tune/tune_internal.h"
#include <string.h>

enum { MAX_FORMATS = 5 };

lathe_format lt_draft_out(const lt_draft *d, uint32_t state, uint32_t i, const lt_tuner *t)
{
    if (d->kind == LT_UNIT_STEP) {
        return d->fits[state].out[i];
    }
    const lt_value *v = lt_value_get(t->graph, d->out[i]);
    return lt_plain_format(t, v, d->kind == LT_UNIT_VIEW ? d->space : LATHE_SPACE_HOST);
}

lathe_format lt_draft_in(const lt_draft *d, uint32_t state, uint32_t i, const lt_tuner *t)
{
    if (d->kind == LT_UNIT_STEP) {
        return d->fits[state].in[i];
    }
    const lt_value *v = lt_value_get(t->graph, d->in[i]);
    return lt_plain_format(t, v, d->kind == LT_UNIT_VIEW ? d->space : LATHE_SPACE_HOST);
}

static double bytes_of(const lt_tuner *t, const lt_value *v)
{
    double bytes = lathe_dtype_bits(v->type.dtype) / 8.0;
    for (int i = 0; i < v->type.rank; i++) {
        lathe_extent e;
        if (t->options->extent(t->options->user, v->type.dims[i], &e, NULL) == LATHE_OK) {
            bytes *= (double)e.opt;
        }
    }
    return bytes;
}

static bool same_layout(const lathe_format *a, const lathe_format *b)
{
    lathe_format c = *a;
    c.space = b->space;
    return lt_format_same(&c, b);
}

static bool dense(const lathe_format *f, int rank)
{
    return f->rank == rank && f->block == 0 && f->pad_to <= 1 && f->strided == 0;
}

bool lt_reformat_is_view(const lt_value *value, const lathe_format *from, const lathe_format *to)
{
    int rank = value->type.rank, i = 0, j = 0;
    if (value->type.cls != LT_TENSOR || lt_value_is_constant(value) || from->space != to->space || from->storage != to->storage ||
        !dense(from, rank) || !dense(to, rank)) {
        return false;
    }
    for (;;) {
        while (i < rank && lt_dim_is(value->type.dims[from->order[i]], 1)) {
            i++;
        }
        while (j < rank && lt_dim_is(value->type.dims[to->order[j]], 1)) {
            j++;
        }
        if (i == rank || j == rank) {
            return i == rank && j == rank;
        }
        if (from->order[i++] != to->order[j++]) {
            return false;
        }
    }
}

double lt_reformat_cost(lt_tuner *t, const lt_value *value, const lathe_format *from, const lathe_format *to)
{
    if (lt_format_same(from, to) || lt_reformat_is_view(value, from, to)) {
        return 0;
    }
    double bytes = bytes_of(t, value), across = 20000 + 0.1 * bytes;
    if (from->space == to->space) {
        return from->space == LATHE_SPACE_HOST ? lt_time_reformat(t, value, from, to, 1000 + 0.5 * bytes) : LT_PBQP_INF;
    }
    if (from->space != LATHE_SPACE_HOST && to->space != LATHE_SPACE_HOST) {
        return LT_PBQP_INF;
    }
    return same_layout(from, to) ? across : across + 1000 + 0.5 * bytes;
}

/* ---- Who makes and reads a value ---- */

typedef struct reader { uint32_t draft, operand; } reader; /* draft UINT32_MAX: a sink that wants plain host memory */

typedef struct traffic {
    lt_value_id value;
    uint32_t producer, output; /* draft UINT32_MAX: an input or a constant, plain on the host */
    reader *readers;
    size_t n, capacity;
} traffic;

typedef struct model {
    lt_tuner *t;
    lt_pbqp *p;
    traffic *values;
    size_t n_values, cap_values;
    lt_imap of_value;
    uint32_t *node_of; /* draft -> PBQP node */
} model;

static lathe_status traffic_of(model *m, lt_value_id id, traffic **out)
{
    uint64_t at;
    if (!lt_imap_get(&m->of_value, id.index, &at)) {
        if (!lt_arena_grow(m->t->arena, (void **)&m->values, &m->cap_values, m->n_values + 1, sizeof *m->values)) {
            return LT_OOM(m->t->diag);
        }
        at = m->n_values++;
        m->values[at] = (traffic){.value = id, .producer = UINT32_MAX};
        if (!lt_imap_put(&m->of_value, id.index, at)) {
            return LT_OOM(m->t->diag);
        }
    }
    *out = &m->values[at];
    return LATHE_OK;
}

static lathe_status add_reader(model *m, lt_value_id id, uint32_t draft, uint32_t operand)
{
    traffic *v;
    LT_TRY(traffic_of(m, id, &v));
    if (!lt_arena_grow(m->t->arena, (void **)&v->readers, &v->capacity, v->n + 1, sizeof *v->readers)) {
        return LT_OOM(m->t->diag);
    }
    v->readers[v->n++] = (reader){draft, operand};
    return LATHE_OK;
}

/* Does any state of a draft read this operand as it is, rather than packed? */
static bool reads(const lt_draft *d, uint32_t operand)
{
    for (uint32_t s = 0; d->kind == LT_UNIT_STEP && s < d->n_states; s++) {
        if (!d->fits[s].pack[operand]) {
            return true;
        }
    }
    return d->kind != LT_UNIT_STEP;
}

static lathe_status collect(model *m)
{
    const lt_tuner *t = m->t;
    for (uint32_t i = 0; i < t->drafts.count; i++) {
        const lt_draft *d = &t->drafts.items[i];
        for (uint32_t k = 0; k < d->n_out; k++) {
            traffic *v;
            if (!lt_value_none(d->out[k])) {
                LT_TRY(traffic_of(m, d->out[k], &v));
                v->producer = i;
                v->output = k;
            }
        }
        for (uint32_t k = 0; k < d->n_in; k++) {
            if (!lt_value_none(d->in[k]) && reads(d, k)) {
                LT_TRY(add_reader(m, d->in[k], i, k));
            }
        }
    }
    for (lt_region_id r = 0; r < lt_graph_regions(t->graph); r++) {
        const lt_region *region = lt_region_get(t->graph, r);
        for (uint32_t k = 0; region && region->live && r != LT_INIT && k < region->n_outputs; k++) {
            LT_TRY(add_reader(m, region->outputs[k], UINT32_MAX, 0));
        }
    }
    return LATHE_OK;
}

/* ---- Formats of a value ---- */

static lathe_format plain_of(const model *m, const traffic *v)
{
    return lt_plain_format(m->t, lt_value_get(m->t->graph, v->value), LATHE_SPACE_HOST);
}

static uint32_t states_of(const model *m, uint32_t draft)
{
    return draft == UINT32_MAX ? 1 : m->t->drafts.items[draft].n_states;
}

static lathe_format made(const model *m, const traffic *v, uint32_t state)
{
    return v->producer == UINT32_MAX ? plain_of(m, v) : lt_draft_out(&m->t->drafts.items[v->producer], state, v->output, m->t);
}

/* The format that a reader wants in a state; false when it reads a pack in that state. */
static bool wanted(const model *m, const traffic *v, const reader *r, uint32_t state, lathe_format *out)
{
    if (r->draft == UINT32_MAX) {
        *out = plain_of(m, v);
        return true;
    }
    const lt_draft *d = &m->t->drafts.items[r->draft];
    if (d->kind == LT_UNIT_STEP && d->fits[state].pack[r->operand]) {
        return false;
    }
    *out = lt_draft_in(d, state, r->operand, m->t);
    return true;
}

static int index_of(const lathe_format *list, int n, const lathe_format *f)
{
    for (int i = 0; i < n; i++) {
        if (lt_format_same(&list[i], f)) {
            return i;
        }
    }
    return -1;
}

/* All formats that the value can have; more than MAX_FORMATS gives -1. */
static int formats_of(const model *m, const traffic *v, lathe_format *list)
{
    int n = 0;
    lathe_format f;
    for (uint32_t s = 0; s < states_of(m, v->producer); s++) {
        f = made(m, v, s);
        if (index_of(list, n, &f) < 0) {
            if (n == MAX_FORMATS) {
                return -1;
            }
            list[n++] = f;
        }
    }
    for (size_t r = 0; r < v->n; r++) {
        for (uint32_t s = 0; s < states_of(m, v->readers[r].draft); s++) {
            if (wanted(m, v, &v->readers[r], s, &f) && index_of(list, n, &f) < 0) {
                if (n == MAX_FORMATS) {
                    return -1;
                }
                list[n++] = f;
            }
        }
    }
    return n;
}

/* ---- Edges ---- */

static double *matrix(model *m, uint32_t rows, uint32_t cols)
{
    return LT_ARENA_ARRAY(m->t->arena, double, (size_t)rows * cols);
}

/* Cost between one maker and one reader; either may be pinned, which makes it a plain cost of the other. */
static lathe_status direct_edge(model *m, const traffic *v, const reader *r)
{
    uint32_t rows = states_of(m, v->producer), cols = states_of(m, r->draft);
    const lt_value *value = lt_value_get(m->t->graph, v->value);
    double *cost = matrix(m, rows, cols);
    if (!cost) {
        return LT_OOM(m->t->diag);
    }
    for (uint32_t i = 0; i < rows; i++) {
        for (uint32_t j = 0; j < cols; j++) {
            lathe_format from = made(m, v, i), to;
            cost[i * cols + j] = wanted(m, v, r, j, &to) ? lt_reformat_cost(m->t, value, &from, &to) : 0;
        }
    }
    if (v->producer == UINT32_MAX && r->draft == UINT32_MAX) {
        return LATHE_OK;
    }
    uint32_t pin, a = v->producer == UINT32_MAX ? 0 : m->node_of[v->producer], b = r->draft == UINT32_MAX ? 0 : m->node_of[r->draft];
    if (v->producer == UINT32_MAX || r->draft == UINT32_MAX) {
        double zero = 0;
        LT_TRY(lt_pbqp_node(m->p, 1, &zero, &pin, m->t->diag));
        a = v->producer == UINT32_MAX ? pin : a;
        b = r->draft == UINT32_MAX ? pin : b;
    }
    return a == b ? LATHE_OK : lt_pbqp_edge(m->p, a, b, cost, m->t->diag);
}

/* What it costs the maker to leave the formats of a set behind. */
static double set_cost(const model *m, const traffic *v, const lathe_format *list, int n, uint32_t set, const lathe_format *from)
{
    int have = index_of(list, n, from);
    const lt_value *value = lt_value_get(m->t->graph, v->value);
    if (!(set >> have & 1)) {
        return LT_PBQP_INF;
    }
    double total = 0;
    for (int i = 0; i < n; i++) {
        total += (set >> i & 1) ? lt_reformat_cost(m->t, value, from, &list[i]) : 0;
    }
    return total;
}

static lathe_status value_node(model *m, const traffic *v, const lathe_format *list, int n)
{
    uint32_t sets = (1u << n) - 1, node, rows = states_of(m, v->producer);
    double *own = matrix(m, sets, 1), *from_maker = matrix(m, rows, sets);
    if (!own || !from_maker) {
        return LT_OOM(m->t->diag);
    }
    for (uint32_t i = 0; i < rows; i++) {
        for (uint32_t s = 1; s <= sets; s++) {
            lathe_format f = made(m, v, i);
            from_maker[i * sets + s - 1] = set_cost(m, v, list, n, s, &f);
        }
    }
    if (v->producer == UINT32_MAX) {
        memcpy(own, from_maker, sets * sizeof *own);
    }
    for (size_t r = 0; r < v->n; r++) { /* sinks are plain costs */
        int plain = -1;
        if (v->readers[r].draft == UINT32_MAX) {
            lathe_format f = plain_of(m, v);
            plain = index_of(list, n, &f);
        }
        for (uint32_t s = 1; plain >= 0 && s <= sets; s++) {
            own[s - 1] += (s >> plain & 1) ? 0 : LT_PBQP_INF;
        }
    }
    LT_TRY(lt_pbqp_node(m->p, sets, own, &node, m->t->diag));
    if (v->producer != UINT32_MAX) {
        LT_TRY(lt_pbqp_edge(m->p, m->node_of[v->producer], node, from_maker, m->t->diag));
    }
    for (size_t r = 0; r < v->n; r++) {
        uint32_t cols = states_of(m, v->readers[r].draft);
        double *to_reader = v->readers[r].draft == UINT32_MAX ? NULL : matrix(m, sets, cols);
        if (v->readers[r].draft == UINT32_MAX) {
            continue;
        }
        if (!to_reader) {
            return LT_OOM(m->t->diag);
        }
        for (uint32_t s = 1; s <= sets; s++) {
            for (uint32_t j = 0; j < cols; j++) {
                lathe_format f;
                bool needs = wanted(m, v, &v->readers[r], j, &f);
                to_reader[(s - 1) * cols + j] = !needs || (s >> index_of(list, n, &f) & 1) ? 0 : LT_PBQP_INF;
            }
        }
        LT_TRY(lt_pbqp_edge(m->p, node, m->node_of[v->readers[r].draft], to_reader, m->t->diag));
    }
    return LATHE_OK;
}

static lathe_status add_value(model *m, const traffic *v)
{
    lathe_format list[MAX_FORMATS];
    int n = formats_of(m, v, list);
    if (n == 1 || v->n == 0) {
        return LATHE_OK; /* one format: nothing to decide */
    }
    if (v->n > 1 && n > 0) {
        return value_node(m, v, list, n);
    }
    for (size_t r = 0; r < v->n; r++) {
        LT_TRY(direct_edge(m, v, &v->readers[r]));
    }
    return LATHE_OK;
}

static lathe_status add_drafts(model *m)
{
    lt_tuner *t = m->t;
    for (uint32_t i = 0; i < t->drafts.count; i++) {
        const lt_draft *d = &t->drafts.items[i];
        double *costs = matrix(m, d->n_states, 1);
        if (!costs) {
            return LT_OOM(t->diag);
        }
        for (uint32_t s = 0; s < d->n_states && d->kind == LT_UNIT_STEP; s++) {
            costs[s] = d->fits[s].cost;
        }
        LT_TRY(lt_pbqp_node(m->p, d->n_states, costs, &m->node_of[i], t->diag));
    }
    return LATHE_OK;
}

static lathe_status solve(model *m, uint32_t *states, lt_choice *choice)
{
    lt_tuner *t = m->t;
    m->p = lt_pbqp_create(t->arena);
    m->node_of = LT_ARENA_ARRAY(t->arena, uint32_t, t->drafts.count + 1);
    if (!m->p || !m->node_of) {
        return LT_OOM(t->diag);
    }
    LT_TRY(collect(m));
    LT_TRY(add_drafts(m));
    for (size_t i = 0; i < m->n_values; i++) {
        LT_TRY(add_value(m, &m->values[i]));
    }
    uint32_t *all = LT_ARENA_ARRAY(t->arena, uint32_t, (size_t)lt_pbqp_nodes(m->p) + 1);
    if (!all) {
        return LT_OOM(t->diag);
    }
    LT_TRY(t->failed);
    LT_TRY(lt_pbqp_solve(m->p, all, &choice->cost_ns, &choice->exact, t->diag));
    for (uint32_t i = 0; i < t->drafts.count; i++) {
        states[i] = all[m->node_of[i]];
    }
    if (choice->cost_ns >= LT_PBQP_INF) {
        return LT_FAIL(t->diag, LATHE_UNSUPPORTED, lt_graph_name(t->graph), "lathe tactics --for shows every refusal",
                       "no combination of tactics has formats that can be brought together");
    }
    choice->lower_bound_ns = lt_pbqp_lower_bound(m->p);
    return LATHE_OK;
}

lathe_status lt_choose_states(lt_tuner *t, uint32_t *states, lt_choice *choice)
{
    model m = {.t = t};
    lt_imap_init(&m.of_value, t->arena->allocator);
    lathe_status status = solve(&m, states, choice);
    lt_imap_free(&m.of_value);
    return status;
}
