/*
 * ranges.c - profiles: from ranges of input extents to ranges of symbolic dims, and from those to extents for the tuner.
 */
#include "api/api_internal.h"
#include <string.h>

static lt_symbol_range *find_symbol(const lt_ranges *r, const char *name)
{
    for (size_t i = 0; i < r->count; i++) {
        if (strcmp(r->items[i].name, name) == 0) {
            return &r->items[i];
        }
    }
    return NULL;
}

static lathe_status set_symbol(lt_ranges *r, lt_arena *arena, const lt_symbol_range *range, const char *input, lathe_diag *diag)
{
    lt_symbol_range *old = find_symbol(r, range->name);
    if (old) {
        if (old->min != range->min || old->opt != range->opt || old->max != range->max) {
            return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, input, "give equal ranges wherever the model has the same dimension",
                           "dimension %s has range %lld:%lld:%lld here and %lld:%lld:%lld in another place", range->name, (long long)range->min,
                           (long long)range->opt, (long long)range->max, (long long)old->min, (long long)old->opt, (long long)old->max);
        }
        return LATHE_OK;
    }
    if (!lt_arena_grow(arena, (void **)&r->items, &r->capacity, r->count + 1, sizeof *r->items)) {
        return LT_OOM(diag);
    }
    r->items[r->count] = *range;
    r->items[r->count].name = lt_arena_str(arena, range->name); /* the graph's own goes when it is compacted */
    return r->items[r->count++].name ? LATHE_OK : LT_OOM(diag);
}

static lathe_status check_range(const lathe_shape_range *range, const lt_value *v, lathe_diag *diag)
{
    if (v->type.cls != LT_TENSOR) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, v->name, "leave its shape out", "'%s' is no tensor: each item has a shape of its own", v->name);
    }
    if (range->rank != v->type.rank) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, v->name, "give as many extents as the input has dimensions", "the shape has %d extents, '%s' has rank %d",
                       range->rank, v->name, v->type.rank);
    }
    for (int i = 0; i < range->rank; i++) {
        if (range->min[i] < 0 || range->min[i] > range->opt[i] || range->opt[i] > range->max[i]) {
            return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, v->name, "MIN <= OPT <= MAX", "axis %d of '%s' has range %lld:%lld:%lld", i, v->name,
                           (long long)range->min[i], (long long)range->opt[i], (long long)range->max[i]);
        }
    }
    return LATHE_OK;
}

static lathe_status one_range(const lt_graph *graph, const lathe_shape_range *range, lt_arena *arena, lt_ranges *out, lathe_diag *diag)
{
    const lt_value *v = lt_value_get(graph, lt_graph_find(graph, range->input));
    if (!v || v->kind != LT_VALUE_INPUT || v->region != LT_MAIN) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, lt_graph_name(graph), "lathe inspect lists the inputs", "the network has no input '%s'", range->input);
    }
    LT_TRY(check_range(range, v, diag));
    for (int i = 0; i < range->rank; i++) {
        lt_dim d = v->type.dims[i];
        if (lt_dim_is_const(d)) {
            if (range->min[i] != d.k || range->max[i] != d.k) {
                return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, v->name, "leave it out, or give the extent of the model",
                               "axis %d of '%s' is fixed to %lld by the model", i, v->name, (long long)d.k);
            }
            continue;
        }
        lt_dim_node n = lt_dim_get(lt_graph_dims(graph), d);
        if (n.op != LT_DIM_SYMBOL) {
            continue;
        }
        lt_symbol_range s = {n.name, range->min[i], range->opt[i], range->max[i]};
        if (s.min < n.lo.k || s.max > n.hi.k) {
            return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, v->name, "build from the model, or stay within that range",
                           "axis %d of '%s' has range %lld:%lld, but '%s' is %lld:%lld in this graph, which was made for nothing else", i, v->name,
                           (long long)s.min, (long long)s.max, n.name, (long long)n.lo.k, (long long)n.hi.k);
        }
        LT_TRY(set_symbol(out, arena, &s, v->name, diag));
    }
    return LATHE_OK;
}

/* Symbols that no range names: no bounds but those of the graph; leading dimensions are tuned at 1, others at 64. */
static lathe_status free_symbols(const lt_graph *graph, lt_arena *arena, lt_ranges *out, lathe_diag *diag)
{
    const lt_region *main = lt_region_get(graph, LT_MAIN);
    for (uint32_t i = 0; i < main->n_inputs; i++) {
        const lt_value *v = lt_value_get(graph, main->inputs[i]);
        for (int d = 0; d < v->type.rank; d++) {
            lt_dim_node n = lt_dim_get(lt_graph_dims(graph), v->type.dims[d]);
            if (n.op == LT_DIM_SYMBOL && !find_symbol(out, n.name)) {
                int64_t opt = d == 0 ? 1 : 64;
                lt_symbol_range s = {n.name, n.lo.k, opt < n.lo.k ? n.lo.k : opt > n.hi.k ? n.hi.k : opt, n.hi.k};
                LT_TRY(set_symbol(out, arena, &s, v->name, diag));
                out->open |= s.max == INT64_MAX;
            }
        }
    }
    return LATHE_OK;
}

/* Bounds of an expression over the ranges of one profile, which the graph's own table does not know. */
static lathe_status bound(const lt_graph *graph, const lt_ranges *r, lt_dim dim, lathe_extent *e, lathe_diag *diag)
{
    lt_dims *own = lt_dims_create(lt_graph_allocator(graph));
    lathe_status status = own ? LATHE_OK : LT_OOM(diag);
    lt_dim d;
    for (size_t i = 0; status == LATHE_OK && i < r->count; i++) {
        status = lt_dim_symbol(own, r->items[i].name, &d, diag);
        status = status == LATHE_OK ? lt_dim_range(own, d, r->items[i].min, r->items[i].max, diag) : status;
    }
    status = status == LATHE_OK ? lt_dim_import(own, lt_graph_dims(graph), dim, &d, diag) : status;
    if (status == LATHE_OK) {
        int64_t lo, hi;
        lt_dim_bounds(own, d, &lo, &hi);
        e->min = lo > e->min ? lo : e->min;
        e->max = hi < e->max ? hi : e->max;
        e->opt = e->opt < e->min ? e->min : e->opt > e->max ? e->max : e->opt;
    }
    lt_dims_destroy(own);
    return status;
}

static lathe_status fill_inputs(const lt_graph *graph, const lt_ranges *r, lt_plan_profile_input *inputs, lathe_diag *diag)
{
    const lt_region *main = lt_region_get(graph, LT_MAIN);
    lt_extent_user user = {graph, r};
    for (uint32_t i = 0; i < main->n_inputs; i++) {
        const lt_value *v = lt_value_get(graph, main->inputs[i]);
        for (int d = 0; d < v->type.rank; d++) {
            lathe_extent e;
            LT_TRY(lt_extent_of(&user, v->type.dims[d], &e, diag));
            LT_TRY(lt_dim_get(lt_graph_dims(graph), v->type.dims[d]).count > 0 ? bound(graph, r, v->type.dims[d], &e, diag) : LATHE_OK);
            inputs[i].min[d] = e.min;
            inputs[i].opt[d] = e.opt;
            inputs[i].max[d] = e.max;
        }
    }
    return LATHE_OK;
}

lathe_status lt_ranges_of_profile(const lt_graph *graph, const lathe_profile *profile, lt_arena *arena, lt_ranges *out, lt_plan_profile_input *inputs, lathe_diag *diag)
{
    *out = (lt_ranges){0};
    for (size_t i = 0; profile && i < profile->count; i++) {
        LT_TRY(one_range(graph, &profile->ranges[i], arena, out, diag));
    }
    LT_TRY(free_symbols(graph, arena, out, diag));
    return inputs ? fill_inputs(graph, out, inputs, diag) : LATHE_OK;
}

/* ---- All profiles together ---- */

lathe_status lt_ranges_join(const lt_ranges *more, bool first, lt_arena *arena, lt_ranges *all, lathe_diag *diag)
{
    for (size_t i = 0; i < more->count; i++) {
        const lt_symbol_range *s = &more->items[i];
        lt_symbol_range *old = first ? NULL : find_symbol(all, s->name);
        if (!old) {
            LT_TRY(set_symbol(all, arena, s, NULL, diag));
            continue;
        }
        old->min = s->min < old->min ? s->min : old->min;
        old->max = s->max > old->max ? s->max : old->max;
    }
    return LATHE_OK;
}

lathe_status lt_ranges_declare(lt_graph *graph, const lt_ranges *ranges, lathe_diag *diag)
{
    for (size_t i = 0; i < ranges->count; i++) {
        lt_dim symbol;
        LT_TRY(lt_dim_symbol(lt_graph_dims(graph), ranges->items[i].name, &symbol, diag));
        LT_TRY(lt_dim_range(lt_graph_dims(graph), symbol, ranges->items[i].min, ranges->items[i].max, diag));
    }
    return lt_graph_infer(graph, diag);
}

/* ---- Applying ---- */

static lathe_status fix_input(lt_graph *graph, lt_value *v, const lt_ranges *ranges, bool *changed, lathe_diag *diag)
{
    lt_type type = v->type;
    bool fixed = false;
    for (int d = 0; d < type.rank; d++) {
        lt_dim_node n = lt_dim_get(lt_graph_dims(graph), type.dims[d]);
        const lt_symbol_range *s = n.op == LT_DIM_SYMBOL ? find_symbol(ranges, n.name) : NULL;
        if (s && s->min == s->max) {
            type.dims[d] = lt_dim_const(s->min);
            fixed = true;
        }
    }
    *changed |= fixed;
    return fixed ? lt_graph_set_type(graph, v->id, &type, diag) : LATHE_OK;
}

lathe_status lt_ranges_apply(lt_graph *graph, const lt_ranges *ranges, bool *specialised, lathe_diag *diag)
{
    *specialised = false;
    for (size_t i = 0; i < ranges->count; i++) {
        const lt_symbol_range *s = &ranges->items[i];
        lt_dim symbol;
        LT_TRY(lt_dim_symbol(lt_graph_dims(graph), s->name, &symbol, diag));
        LT_TRY(lt_dim_range(lt_graph_dims(graph), symbol, s->min, s->max, diag));
    }
    LT_TRY(lt_graph_infer(graph, diag)); /* min(seq, 512) is seq where seq is at most 128 */
    const lt_region *main = lt_region_get(graph, LT_MAIN);
    for (uint32_t i = 0; i < main->n_inputs; i++) {
        LT_TRY(fix_input(graph, lt_value_get(graph, main->inputs[i]), ranges, specialised, diag));
    }
    return LATHE_OK;
}

/* ---- Extents ---- */

bool lt_ranges_fix(const lt_ranges *ranges, const lt_graph *graph, lt_dim dim)
{
    lt_dim_node n = lt_dim_get(lt_graph_dims(graph), dim);
    const lt_symbol_range *s = n.op == LT_DIM_SYMBOL ? find_symbol(ranges, n.name) : NULL;
    bool fixed = n.op == LT_DIM_CONST || n.count > 0 || (s && s->min == s->max);
    for (uint32_t i = 0; fixed && i < n.count; i++) {
        fixed = lt_ranges_fix(ranges, graph, n.args[i]);
    }
    return fixed;
}

/* Leaves at their opt value; unknowns at their upper bound where that is finite, else at 1. */
static bool opt_of(void *user, lt_dim leaf, int64_t *value)
{
    const lt_extent_user *u = user;
    lt_dim_node n = lt_dim_get(lt_graph_dims(u->graph), leaf);
    const lt_symbol_range *s = n.op == LT_DIM_SYMBOL ? find_symbol(u->ranges, n.name) : NULL;
    int64_t lo, hi;
    lt_dim_bounds(lt_graph_dims(u->graph), leaf, &lo, &hi);
    *value = s ? s->opt : hi < INT32_MAX ? hi : lo > 1 ? lo : 1;
    return true;
}

lathe_status lt_extent_of(void *user, lt_dim dim, lathe_extent *out, lathe_diag *diag)
{
    lt_extent_user *u = user;
    if (lt_dim_is_const(dim)) {
        *out = (lathe_extent){dim.k, dim.k, dim.k, 1};
        return LATHE_OK;
    }
    int64_t lo, hi, opt;
    lt_dim_bounds(lt_graph_dims(u->graph), dim, &lo, &hi);
    lt_dim_node n = lt_dim_get(lt_graph_dims(u->graph), dim);
    const lt_symbol_range *s = n.op == LT_DIM_SYMBOL ? find_symbol(u->ranges, n.name) : NULL;
    lo = s && s->min > lo ? s->min : lo;
    hi = s && s->max < hi ? s->max : hi;
    if (lt_dim_eval(lt_graph_dims(u->graph), dim, opt_of, u, &opt, NULL) != LATHE_OK) {
        opt = lo; /* the opt corner breaks a constraint of the model: any extent in range will do for costs */
    }
    lo = lo < 0 ? 0 : lo;
    hi = hi < lo ? lo : hi;
    opt = opt < lo ? lo : opt > hi ? hi : opt;
    *out = (lathe_extent){lo, opt, hi, 1};
    (void)diag;
    return LATHE_OK;
}
