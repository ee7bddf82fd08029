/*
 * merge_dims.c - extents that the caller says are equal ("past=seq", "batch=4"): merged in the types of the inputs, before anything follows from those, and
 * kept for the plan, which holds inputs to them when they are bound. And the question that makes callers say so: which pairs of extents the network leaves
 * open although some node would need them equal. Called by build.c.
 */
#include "api/api_internal.h"
#include <string.h>

typedef struct merge { /* symbol -> by */
    lt_dim symbol, by;
    const char *text;
} merge;

typedef struct merger {
    lt_graph *graph;
    lt_dims *dims;
    lt_dim *known; /* the symbols of the inputs, as the model has them */
    size_t n_known, cap_known;
    merge *merges;
    size_t n_merges;
    lt_arena *arena;
    lathe_diag *diag;
} merger;

/* ---- The dimensions of the model ---- */

static bool is_known(const merger *m, lt_dim d)
{
    for (size_t i = 0; i < m->n_known; i++) {
        if (lt_dim_same(m->known[i], d)) {
            return true;
        }
    }
    return false;
}

static lathe_status learn(merger *m, lt_dim d)
{
    lt_dim_node n = lt_dim_get(m->dims, d);
    for (uint32_t i = 0; i < n.count; i++) {
        LT_TRY(learn(m, n.args[i]));
    }
    if (n.op != LT_DIM_SYMBOL || is_known(m, d)) {
        return LATHE_OK;
    }
    if (!lt_arena_grow(m->arena, (void **)&m->known, &m->cap_known, m->n_known + 1, sizeof *m->known)) {
        return LT_OOM(m->diag);
    }
    m->known[m->n_known++] = d;
    return LATHE_OK;
}

static lathe_status learn_inputs(merger *m)
{
    const lt_region *main = lt_region_get(m->graph, LT_MAIN);
    for (uint32_t i = 0; i < main->n_inputs; i++) {
        const lt_value *v = lt_value_get(m->graph, main->inputs[i]);
        for (int d = 0; v->type.cls == LT_TENSOR && d < v->type.rank; d++) {
            LT_TRY(learn(m, v->type.dims[d]));
        }
    }
    return LATHE_OK;
}

/* Made of the inputs' symbols and of numbers alone. */
static bool all_known(const merger *m, lt_dim d)
{
    lt_dim_node n = lt_dim_get(m->dims, d);
    bool good = n.op == LT_DIM_CONST || n.op == LT_DIM_SYMBOL ? n.op == LT_DIM_CONST || is_known(m, d) : n.op != LT_DIM_FRESH && n.op != LT_DIM_BCAST;
    for (uint32_t i = 0; good && n.op != LT_DIM_SYMBOL && i < n.count; i++) {
        good = all_known(m, n.args[i]);
    }
    return good;
}

static bool contains(const merger *m, lt_dim d, lt_dim symbol)
{
    lt_dim_node n = lt_dim_get(m->dims, d);
    bool found = lt_dim_same(d, symbol);
    for (uint32_t i = 0; !found && i < n.count; i++) {
        found = contains(m, n.args[i], symbol);
    }
    return found;
}

/* A dimension alone, which the expression does not mention. */
static bool can_become(const merger *m, lt_dim symbol, lt_dim by)
{
    return lt_dim_get(m->dims, symbol).op == LT_DIM_SYMBOL && !contains(m, by, symbol);
}

static const char *text_of(const merger *m, lt_dim d)
{
    lt_buf text;
    lt_buf_init(&text, m->arena->allocator);
    lt_dim_print(m->dims, d, &text);
    const char *copy = text.failed ? NULL : lt_arena_str(m->arena, lt_buf_str(&text));
    lt_buf_free(&text);
    return copy;
}

/* ---- Reading an assumption ---- */

static lathe_status no_such_dim(const merger *m, const char *name, const char *text)
{
    lt_buf list;
    lt_buf_init(&list, m->arena->allocator);
    lt_buf_puts(&list, m->n_known ? "the inputs have " : "all extents of the inputs are fixed");
    for (size_t i = 0; i < m->n_known; i++) {
        lt_buf_printf(&list, "%s%s", i ? ", " : "", lt_dim_get(m->dims, m->known[i]).name);
    }
    lathe_status status = LT_FAIL(m->diag, LATHE_INVALID_ARGUMENT, lt_graph_name(m->graph), lt_buf_str(&list),
                                  "the inputs have no dimension '%s', which is in the assumption %s", name, text);
    lt_buf_free(&list);
    return status;
}

static lathe_status malformed(const merger *m, const char *text)
{
    return LT_FAIL(m->diag, LATHE_INVALID_ARGUMENT, NULL, "write A=B: a dimension of the inputs, and another one, a number or an expression",
                   "the assumption '%s' cannot be read", text);
}

/* The first symbol that is no dimension of the model; NULL: there is none. */
static const char *unknown_in(const merger *m, lt_dim d)
{
    lt_dim_node n = lt_dim_get(m->dims, d);
    const char *name = n.op == LT_DIM_FRESH ? "?" : n.op == LT_DIM_SYMBOL && !is_known(m, d) ? n.name : NULL;
    for (uint32_t i = 0; !name && i < n.count; i++) {
        name = unknown_in(m, n.args[i]);
    }
    return name;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

/* One side: the very name of a dimension, whatever characters are in it, or an expression. */
static lathe_status read_side(const merger *m, const char *text, const char *at, size_t length, lt_dim *out)
{
    for (; length > 0 && is_space(*at); length--) {
        at++;
    }
    while (length > 0 && is_space(at[length - 1])) {
        length--;
    }
    for (size_t i = 0; i < m->n_known; i++) {
        const char *name = lt_dim_get(m->dims, m->known[i]).name;
        if (strlen(name) == length && memcmp(name, at, length) == 0) {
            *out = m->known[i];
            return LATHE_OK;
        }
    }
    const char *cursor = at;
    if (length == 0 || lt_dim_parse(m->dims, &cursor, at + length, out, NULL) != LATHE_OK || cursor != at + length) {
        return malformed(m, text);
    }
    const char *unknown = unknown_in(m, *out);
    return unknown ? no_such_dim(m, unknown, text) : LATHE_OK;
}

static lathe_status after_merges(const merger *m, lt_dim *d)
{
    for (size_t i = 0; i < m->n_merges; i++) {
        LT_TRY(lt_dim_replace(m->dims, *d, m->merges[i].symbol, m->merges[i].by, d, m->diag));
    }
    return LATHE_OK;
}

static lathe_status read_one(merger *m, const char *text)
{
    const char *equals = text;
    bool quoted = false;
    for (; *equals && (quoted || *equals != '='); equals++) {
        quoted ^= *equals == '"';
    }
    lt_dim a, b;
    if (*equals == '\0') {
        return malformed(m, text);
    }
    LT_TRY(read_side(m, text, text, (size_t)(equals - text), &a));
    LT_TRY(read_side(m, text, equals + 1, strlen(equals + 1), &b));
    LT_TRY(after_merges(m, &a));
    LT_TRY(after_merges(m, &b));
    merge *out = &m->merges[m->n_merges];
    if (lt_dim_same(a, b)) {
        return LATHE_OK;
    }
    if (can_become(m, a, b)) {
        *out = (merge){a, b, text};
    } else if (can_become(m, b, a)) {
        *out = (merge){b, a, text};
    } else {
        return LT_FAIL(m->diag, LATHE_INVALID_ARGUMENT, NULL, "one side must be a dimension alone that the other side does not mention",
                       "the assumption %s cannot hold, or not together with those before it: it says that %s is %s", text, text_of(m, a), text_of(m, b));
    }
    if (lt_dim_is_const(out->by) && out->by.k < 0) {
        return LT_FAIL(m->diag, LATHE_INVALID_ARGUMENT, NULL, NULL, "the assumption %s makes an extent negative", text);
    }
    m->n_merges++;
    return LATHE_OK;
}

/* ---- Merging ---- */

/* The axis of an input: what is assumed of it, if anything. */
static lathe_status merge_axis(const merger *m, lt_equals *out, uint32_t input, uint32_t axis, lt_dim *d)
{
    lt_plan_equal e = {.input = input, .axis = axis, .dim = text_of(m, *d)};
    for (size_t i = 0; i < m->n_merges; i++) {
        lt_dim now;
        LT_TRY(lt_dim_replace(m->dims, *d, m->merges[i].symbol, m->merges[i].by, &now, m->diag));
        if (!lt_dim_same(now, *d)) {
            e.text = e.text ? lt_arena_printf(m->arena, "%s, %s", e.text, m->merges[i].text) : lt_arena_str(m->arena, m->merges[i].text);
            *d = now;
        }
    }
    if (!e.text) {
        return LATHE_OK;
    }
    if (!e.dim || !lt_arena_grow(m->arena, (void **)&out->items, &out->capacity, out->count + 1, sizeof *out->items)) {
        return LT_OOM(m->diag);
    }
    out->items[out->count++] = e;
    return LATHE_OK;
}

static lathe_status merge_input(const merger *m, lt_equals *out, uint32_t input)
{
    const lt_value *v = lt_value_get(m->graph, lt_region_get(m->graph, LT_MAIN)->inputs[input]);
    lt_type type = v->type;
    size_t before = out->count;
    for (int d = 0; type.cls == LT_TENSOR && d < type.rank; d++) {
        LT_TRY(merge_axis(m, out, input, (uint32_t)d, &type.dims[d]));
    }
    if (out->count == before) {
        return LATHE_OK;
    }
    lathe_status status = lt_graph_set_type(m->graph, v->id, &type, m->diag);
    if (status != LATHE_OK && status != LATHE_OUT_OF_MEMORY) {
        return LT_FAIL(m->diag, status, v->name, "leave the assumption out", "the network contradicts the assumption %s", out->items[before].text);
    }
    return status;
}

/* What the graph says of the range of the one holds for the other. */
static lathe_status merge_range(const merger *m, const merge *one)
{
    lt_dim_node n = lt_dim_get(m->dims, one->symbol);
    lt_dim_op op = lt_dim_get(m->dims, one->by).op;
    bool bounded = n.lo.k > 0 || n.hi.k < INT64_MAX;
    lathe_status status = bounded && (op == LT_DIM_CONST || op == LT_DIM_SYMBOL) ? lt_dim_range(m->dims, one->by, n.lo.k, n.hi.k, m->diag) : LATHE_OK;
    return status == LATHE_OK ? status : LT_FAIL(m->diag, status, NULL, "leave the assumption out", "the network contradicts the assumption %s", one->text);
}

lathe_status lt_dims_merge(lt_graph *graph, const char *const *texts, size_t n, lt_arena *arena, lt_equals *out, lathe_diag *diag)
{
    merger m = {.graph = graph, .dims = lt_graph_dims(graph), .arena = arena, .diag = diag};
    if (n == 0) {
        return LATHE_OK;
    }
    m.merges = LT_ARENA_ARRAY(arena, merge, n);
    if (!m.merges) {
        return LT_OOM(diag);
    }
    LT_TRY(learn_inputs(&m));
    for (size_t i = 0; i < n; i++) {
        LT_TRY(read_one(&m, texts[i]));
    }
    for (size_t i = 0; i < m.n_merges; i++) {
        LT_TRY(merge_range(&m, &m.merges[i]));
    }
    for (uint32_t i = 0; i < lt_region_get(graph, LT_MAIN)->n_inputs; i++) {
        LT_TRY(merge_input(&m, out, i));
    }
    return LATHE_OK;
}

/* ---- What is left open ---- */

enum { MOST_PAIRS = 16 };

static bool share_symbols(const merger *m, lt_dim a, lt_dim b)
{
    for (size_t i = 0; i < m->n_known; i++) {
        if (contains(m, a, m->known[i]) && contains(m, b, m->known[i])) {
            return true;
        }
    }
    return false;
}

typedef struct meeting {
    merger m;
    lt_open_pairs *out;
    bool failed;
} meeting;

static void note_meeting(void *user, lt_dim a, lt_dim b, const char *node)
{
    meeting *t = user;
    lt_open_pairs *out = t->out;
    for (size_t i = 0; i < out->count; i++) {
        const lt_open_pair *p = &out->items[i];
        if ((lt_dim_same(p->a, a) && lt_dim_same(p->b, b)) || (lt_dim_same(p->a, b) && lt_dim_same(p->b, a))) {
            return;
        }
    }
    if (out->count == MOST_PAIRS || !all_known(&t->m, a) || !all_known(&t->m, b)) {
        return;
    }
    if (!out->items) {
        out->items = LT_ARENA_ARRAY(t->m.arena, lt_open_pair, MOST_PAIRS);
    }
    lt_open_pair p = {.a = a, .b = b, .left = text_of(&t->m, a), .right = text_of(&t->m, b), .node = lt_arena_str(t->m.arena, node ? node : "a node")};
    if (!out->items || !p.left || !p.right || !p.node) {
        t->failed = true;
        return;
    }
    bool left = can_become(&t->m, a, b), right = can_become(&t->m, b, a);
    p.advice = left ? lt_arena_printf(t->m.arena, "%s=%s", p.left, p.right) : right ? lt_arena_printf(t->m.arena, "%s=%s", p.right, p.left) : NULL;
    t->failed |= (left || right) && !p.advice;
    if (p.advice || !share_symbols(&t->m, a, b)) { /* seq and min(seq, 512): no assumption says that */
        out->items[out->count++] = p;
    }
}

lathe_status lt_dims_open_pairs(lt_graph *graph, lt_arena *arena, lt_open_pairs *out, lathe_diag *diag)
{
    meeting t = {.m = {.graph = graph, .dims = lt_graph_dims(graph), .arena = arena, .diag = diag}, .out = out};
    *out = (lt_open_pairs){0};
    LT_TRY(learn_inputs(&t.m));
    LT_TRY(t.m.n_known > 0 ? lt_graph_meetings(graph, note_meeting, &t, diag) : LATHE_OK);
    return t.failed ? LT_OOM(diag) : LATHE_OK;
}
