/*
 * caches.c - what the caller says of caches ("past_*=present_*,axis=2,capacity=2048", "auto,capacity=2048"), as pairs of inputs and outputs. Called by build.c
 * before any profile is read, since a capacity bounds the extent that grows.
 */
#include "api/api_internal.h"
#include <string.h>

typedef struct reader {
    lt_graph *graph;
    const char *text; /* the whole of what is being read */
    const char *in, *out; /* names or patterns; in "auto": by the names of usual exports */
    size_t n_in, n_out;
    int64_t axis, capacity; /* -1: not said */
    lt_arena *arena;
    lt_cache_list *list;
    lathe_diag *diag;
} reader;

/* ---- The text ---- */

static lathe_status malformed(const reader *r)
{
    return LT_FAIL(r->diag, LATHE_INVALID_ARGUMENT, NULL, "write INPUT=OUTPUT,axis=2,capacity=2048, with one * in both names for several, or auto,capacity=2048",
                   "the cache '%s' cannot be read", r->text);
}

static bool read_number(const char *at, size_t length, const char *key, int64_t *out)
{
    size_t n = strlen(key);
    int64_t value = 0;
    bool negative = length > n && at[n] == '-', good = length > n + negative && memcmp(at, key, n) == 0;
    for (size_t i = n + negative; good && i < length; i++) {
        good = at[i] >= '0' && at[i] <= '9' && value < INT64_MAX / 10 - 10;
        value = good ? value * 10 + (at[i] - '0') : 0;
    }
    *out = good ? negative ? -value : value : *out;
    return good;
}

static lathe_status read_text(reader *r, const char *text, bool *has_axis)
{
    size_t length = strcspn(text, ",");
    const char *equal = memchr(text, '=', length);
    r->text = r->in = text;
    r->n_in = equal ? (size_t)(equal - text) : length;
    r->out = equal ? equal + 1 : text + length;
    r->n_out = length - r->n_in - (equal != NULL);
    r->axis = 0;
    r->capacity = -1;
    *has_axis = false;
    bool automatic = !equal && length == 4 && memcmp(text, "auto", 4) == 0;
    if (!automatic && (!equal || r->n_in == 0 || r->n_out == 0)) {
        return malformed(r);
    }
    for (const char *at = text + length; *at; at += length) {
        length = strcspn(++at, ",");
        bool axis = read_number(at, length, "axis=", &r->axis);
        *has_axis |= axis;
        if (!axis && (!read_number(at, length, "capacity=", &r->capacity) || r->capacity < 1)) {
            return malformed(r);
        }
    }
    return LATHE_OK;
}

/* ---- Names ---- */

/* *star: what the one * of the pattern stands for; the whole name matches. */
static bool matches(const char *pattern, size_t n, const char *name, const char **star, size_t *n_star)
{
    const char *at = memchr(pattern, '*', n);
    size_t length = strlen(name), head = at ? (size_t)(at - pattern) : n, tail = at ? n - head - 1 : 0;
    if (at ? length < head + tail : length != n) {
        return false;
    }
    *star = name + head;
    *n_star = length - head - tail;
    return memcmp(name, pattern, head) == 0 && (!at || memcmp(name + length - tail, at + 1, tail) == 0);
}

static const char *filled(const reader *r, const char *star, size_t n_star)
{
    const char *at = memchr(r->out, '*', r->n_out);
    size_t head = at ? (size_t)(at - r->out) : r->n_out;
    return at ? lt_arena_printf(r->arena, "%.*s%.*s%.*s", (int)head, r->out, (int)n_star, star, (int)(r->n_out - head - 1), at + 1)
              : lt_arena_strn(r->arena, r->out, r->n_out);
}

static bool find_output(const reader *r, const char *name, uint32_t *out)
{
    const lt_region *main = lt_region_get(r->graph, LT_MAIN);
    for (uint32_t i = 0; name && i < main->n_outputs; i++) {
        if (lt_streq(lt_value_get(r->graph, main->outputs[i])->name, name)) {
            *out = i;
            return true;
        }
    }
    return false;
}

/* past_key_values.3.key -> present.3.key, past_3 -> present_3, and the like. */
static bool usual_output(const reader *r, const char *input, uint32_t *out)
{
    static const char *const heads[][2] = {
        {"past_key_values", "present"}, {"past_key_values", "present_key_values"}, {"past", "present"}, {"cache", "new_cache"}, {"cache", "present_cache"}};
    for (size_t i = 0; i < LT_COUNT(heads); i++) {
        size_t n = strlen(heads[i][0]);
        if (strncmp(input, heads[i][0], n) == 0 && find_output(r, lt_arena_printf(r->arena, "%s%s", heads[i][1], input + n), out)) {
            return true;
        }
    }
    return false;
}

/* ---- A pair ---- */

static bool is_taken(const reader *r, uint32_t input)
{
    for (uint32_t i = 0; i < r->list->count; i++) {
        if (r->list->items[i].input == input) {
            return true;
        }
    }
    return false;
}

/* The axis along which the output is longer. Of pairs with one shape: the one whose extent is open, behind the batch, or the last but one. */
static int grown_axis(const lt_value *a, const lt_value *b)
{
    int found = -1, n = 0, rank = a->type.rank;
    for (int i = 0; i < rank; i++) {
        if (!lt_dim_same(a->type.dims[i], b->type.dims[i])) {
            found = i;
            n++;
        }
    }
    for (int i = 1; n == 0 && found < 0 && i < rank; i++) {
        found = lt_dim_is_const(a->type.dims[i]) ? -1 : i;
    }
    return n > 1 ? -1 : found >= 0 ? found : rank > 2 ? rank - 2 : rank - 1;
}

/* Everything but the axis is fixed, or an extent that some other input has. */
static const char *untold(const reader *r, const lt_value *v, int axis)
{
    const lt_region *main = lt_region_get(r->graph, LT_MAIN);
    const lt_dims *dims = lt_graph_dims(r->graph);
    for (int d = 0; d < v->type.rank; d++) {
        bool told = d == axis || lt_dim_is_const(v->type.dims[d]);
        for (uint32_t i = 0; !told && i < main->n_inputs; i++) {
            const lt_value *other = lt_value_get(r->graph, main->inputs[i]);
            for (int a = 0; !is_taken(r, i) && other != v && other->type.cls == LT_TENSOR && a < other->type.rank; a++) {
                told |= lt_dim_same(other->type.dims[a], v->type.dims[d]);
            }
        }
        if (!told) {
            lt_dim_node n = lt_dim_get(dims, v->type.dims[d]);
            return n.op == LT_DIM_SYMBOL ? n.name : "?";
        }
    }
    return NULL;
}

static lathe_status refuse(const reader *r, const lt_value *v, const char *advice, const char *what)
{
    return LT_FAIL(r->diag, LATHE_INVALID_ARGUMENT, v->name, advice, "the cache '%s' cannot pair '%s': %s", r->text, v->name, what);
}

static lathe_status add_pair(reader *r, uint32_t input, uint32_t output, bool has_axis)
{
    const lt_region *main = lt_region_get(r->graph, LT_MAIN);
    const lt_value *a = lt_value_get(r->graph, main->inputs[input]), *b = lt_value_get(r->graph, main->outputs[output]);
    lt_cache_list *list = r->list;
    bool good = a->type.cls == LT_TENSOR && b->type.cls == LT_TENSOR && a->type.dtype == b->type.dtype && a->type.rank == b->type.rank && a->type.rank > 0;
    if (!good || lathe_dtype_bits(a->type.dtype) < 8 || a->type.dtype == LATHE_DTYPE_STRING || a->host_input) {
        return refuse(r, a, "lathe inspect lists inputs and outputs", "input and output must be tensors of one type and rank, of elements of 8 bits or more");
    }
    for (uint32_t i = 0; i < list->count; i++) {
        if (list->items[i].input == input || list->items[i].output == output) {
            return refuse(r, a, "say it once", "it, or the output, is in another pair");
        }
    }
    int64_t axis = has_axis ? r->axis + (r->axis < 0 ? a->type.rank : 0) : grown_axis(a, b);
    if (axis < 0 || axis >= a->type.rank) {
        return refuse(r, a, "add axis=N", "there is no such axis, or it cannot be told");
    }
    bool whole = lt_dim_same(a->type.dims[axis], b->type.dims[axis]);
    lt_dim extent = a->type.dims[axis];
    int64_t capacity = r->capacity < 0 && whole && lt_dim_is_const(extent) ? extent.k : r->capacity;
    if (capacity < 1) {
        return refuse(r, a, "add capacity=N: the longest that it can become", "it has no capacity");
    }
    if (lt_dim_is_const(extent) ? !whole || extent.k != capacity : lt_dim_get(lt_graph_dims(r->graph), extent).op != LT_DIM_SYMBOL) {
        return refuse(r, a, "the axis must be open in the model, or as long as the capacity and the output", "its extent cannot grow");
    }
    if (!lt_arena_grow(r->arena, (void **)&list->items, &list->capacity, list->count + 1, sizeof *list->items)) {
        return LT_OOM(r->diag);
    }
    list->items[list->count++] = (lt_plan_cache){.input = input, .output = output, .axis = (uint32_t)axis, .capacity = capacity};
    return LATHE_OK;
}

static lathe_status read_pairs(reader *r, bool has_axis)
{
    const lt_region *main = lt_region_get(r->graph, LT_MAIN);
    bool automatic = r->n_out == 0;
    size_t before = r->list->count;
    for (uint32_t i = 0; i < main->n_inputs; i++) {
        const lt_value *v = lt_value_get(r->graph, main->inputs[i]);
        const char *star;
        size_t n_star;
        uint32_t output;
        if (automatic ? !usual_output(r, v->name, &output) : !matches(r->in, r->n_in, v->name, &star, &n_star)) {
            continue;
        }
        if (!automatic && !find_output(r, filled(r, star, n_star), &output)) {
            return refuse(r, v, "lathe inspect lists inputs and outputs", "the network has no output of that name");
        }
        LT_TRY(add_pair(r, i, output, has_axis));
    }
    return r->list->count > before ? LATHE_OK
                                   : LT_FAIL(r->diag, LATHE_INVALID_ARGUMENT, lt_graph_name(r->graph), "lathe inspect lists inputs and outputs",
                                             "no input of the network is in the cache '%s'", r->text);
}

/* ---- All of them ---- */

/* What the capacities say of extents: nothing else can come. */
static lathe_status bound_extents(reader *r)
{
    const lt_region *main = lt_region_get(r->graph, LT_MAIN);
    lt_dims *dims = lt_graph_dims(r->graph);
    for (uint32_t i = 0; i < r->list->count; i++) {
        const lt_plan_cache *c = &r->list->items[i];
        const lt_value *a = lt_value_get(r->graph, main->inputs[c->input]), *b = lt_value_get(r->graph, main->outputs[c->output]);
        const char *open = untold(r, a, (int)c->axis);
        if (open) {
            return LT_FAIL(r->diag, LATHE_INVALID_ARGUMENT, a->name, "--assume can make it a number", "nothing but the cache itself tells dimension %s of '%s'", open, a->name);
        }
        lt_dim d = a->type.dims[c->axis];
        bool whole = lt_dim_same(d, b->type.dims[c->axis]);
        lt_dim_node n = lt_dim_get(dims, d);
        if (n.op == LT_DIM_SYMBOL && (whole || c->capacity < n.hi.k)) {
            LT_TRY(lt_dim_range(dims, d, whole ? c->capacity : n.lo.k < c->capacity ? n.lo.k : c->capacity, c->capacity, r->diag));
        }
    }
    return lt_graph_infer(r->graph, r->diag);
}

lathe_status lt_caches_read(lt_graph *graph, const char *const *texts, size_t n, lt_arena *arena, lt_cache_list *list, lathe_diag *diag)
{
    reader r = {.graph = graph, .arena = arena, .list = list, .diag = diag};
    const lt_region *main = lt_region_get(graph, LT_MAIN);
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i].input >= main->n_inputs || list->items[i].output >= main->n_outputs) {
            return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, lt_graph_name(graph), "keep the outputs", "a cache of the plan has no output any more");
        }
    }
    for (size_t i = 0; i < n; i++) {
        bool has_axis;
        LT_TRY(read_text(&r, texts[i], &has_axis));
        LT_TRY(read_pairs(&r, has_axis));
    }
    return list->count > 0 ? bound_extents(&r) : LATHE_OK;
}
