/*
 * plan_story.c - what a plan tells about itself: inputs and outputs, profiles, variants, assumptions, the fate of every ONNX node, refusals.
 */
#include "plan/plan_internal.h"
#include <string.h>

/* ---- Inputs and outputs ---- */

static lathe_status dim_text(lt_planner *p, const lt_dims *dims, lt_dim d, const char **out)
{
    lt_buf text;
    lt_buf_init(&text, p->arena->allocator);
    lt_dim_print(dims, d, &text);
    *out = text.failed ? NULL : lt_arena_str(p->arena, lt_buf_str(&text));
    lt_buf_free(&text);
    return *out ? LATHE_OK : LT_OOM(p->diag);
}

static lathe_status fill_io(lt_planner *p, const lt_graph *graph, const lt_value *v, lt_plan_io *out)
{
    *out = (lt_plan_io){.name = v->name, .cls = v->type.cls, .dtype = v->type.dtype, .rank = v->type.cls == LT_TENSOR ? v->type.rank : -1, .host = v->host_input};
    if (v->type.cls != LT_TENSOR && out->dtype == LATHE_DTYPE_UNDEFINED) {
        out->dtype = LATHE_DTYPE_U8; /* as program values of containers have it */
    }
    for (int i = 0; i < out->rank; i++) {
        LT_TRY(dim_text(p, lt_graph_dims(graph), v->type.dims[i], &out->dims[i]));
        out->fixed[i] = lt_dim_is_const(v->type.dims[i]) ? v->type.dims[i].k : -1;
    }
    return LATHE_OK;
}

static lathe_status fill_list(lt_planner *p, const lt_value_id *ids, uint32_t n, const lt_plan_io **out)
{
    const lt_graph *graph = p->request->above;
    lt_plan_io *list = LT_ARENA_ARRAY(p->arena, lt_plan_io, n + 1u);
    if (!list) {
        return LT_OOM(p->diag);
    }
    for (uint32_t i = 0; i < n; i++) {
        LT_TRY(fill_io(p, graph, lt_value_get(graph, ids[i]), &list[i]));
    }
    *out = list;
    return LATHE_OK;
}

/* What a container holds, from the outside in. */
static lathe_status fill_kind(lt_planner *p, const lt_value *v, uint32_t io, lt_plan_kind *out)
{
    lt_dims *dims = lt_graph_dims(p->request->above);
    const lt_type *type = &v->type;
    *out = (lt_plan_kind){.io = io, .rank = -1};
    for (; type && type->cls != LT_TENSOR; type = type->elem) {
        if (out->depth == LT_PLAN_NESTING - 1) {
            return LT_FAIL(p->diag, LATHE_UNSUPPORTED, v->name, NULL, "'%s' nests values deeper than %d", v->name, LT_PLAN_NESTING - 1);
        }
        out->key[out->depth] = type->cls == LT_MAP ? type->dtype : LATHE_DTYPE_UNDEFINED;
        out->cls[out->depth++] = type->cls;
    }
    out->dtype = type ? type->dtype : LATHE_DTYPE_UNDEFINED;
    out->rank = type ? type->rank : -1;
    for (int i = 0; i < out->rank; i++) {
        bool fixed = lt_dim_is_const(type->dims[i]);
        LT_TRY(dim_text(p, dims, type->dims[i], &out->dims[i]));
        out->fixed[i] = fixed ? type->dims[i].k : -1;
    }
    return LATHE_OK;
}

static lathe_status fill_kinds(lt_planner *p, const lt_region *main)
{
    uint32_t n = main->n_inputs + main->n_outputs;
    lt_plan_kind *list = LT_ARENA_ARRAY(p->arena, lt_plan_kind, n + 1u);
    if (!list) {
        return LT_OOM(p->diag);
    }
    p->plan.n_kinds = 0;
    for (uint32_t i = 0; i < n; i++) {
        const lt_value *v = lt_value_get(p->request->above, i < main->n_inputs ? main->inputs[i] : main->outputs[i - main->n_inputs]);
        if (v->type.cls != LT_TENSOR) {
            LT_TRY(fill_kind(p, v, i, &list[p->plan.n_kinds++]));
        }
    }
    p->plan.kinds = list;
    return LATHE_OK;
}

/* ---- Assumptions ---- */

static bool same_assumption(const lt_plan_assumption *a, const lt_assumption *b)
{
    return a->kind == (uint8_t)b->kind && memcmp(&a->number, &b->number, sizeof b->number) == 0 && a->hash == b->hash && strcmp(a->initializer, b->initializer) == 0;
}

/* Of the graph above the border and of all parts, each once. */
static lathe_status tell_assumptions(lt_planner *p)
{
    lt_plan_assumption *all = NULL;
    size_t n = 0, capacity = 0;
    for (uint32_t g = 0; g <= p->request->n_parts; g++) {
        const lt_assumption *list;
        size_t count = lt_graph_assumptions(g == 0 ? p->request->above : p->request->parts[g - 1].graph, &list);
        for (size_t i = 0; i < count; i++) {
            size_t k = 0;
            while (k < n && !same_assumption(&all[k], &list[i])) {
                k++;
            }
            if (k < n) {
                continue;
            }
            if (!lt_arena_grow(p->arena, (void **)&all, &capacity, n + 1, sizeof *all)) {
                return LT_OOM(p->diag);
            }
            all[n++] = (lt_plan_assumption){.initializer = list[i].initializer, .pass = list[i].pass, .kind = (uint8_t)list[i].kind, .number = list[i].number,
                                            .hash = list[i].hash};
        }
    }
    p->plan.assumptions = all;
    p->plan.n_assumptions = (uint32_t)n;
    return LATHE_OK;
}

/* ---- Nodes ---- */

static lathe_status tell_origins(lt_planner *p)
{
    const lt_graph *graph = p->request->parts[0].graph;
    const lt_origin *list;
    size_t n = lt_graph_origins(graph, &list);
    lt_plan_origin *out = LT_ARENA_ARRAY(p->arena, lt_plan_origin, n + 1);
    lt_fate *fates = LT_ARENA_ARRAY(p->arena, lt_fate, n + 1);
    const char **passes = lt_arena_zero(p->arena, n + 1, sizeof *passes, _Alignof(char *));
    if (!out || !fates || !passes) {
        return LT_OOM(p->diag);
    }
    LT_TRY(lt_graph_fates(graph, fates, passes, p->diag));
    for (size_t i = 0; i < n; i++) {
        out[i] = (lt_plan_origin){.label = list[i].label, .op = list[i].op, .domain = list[i].domain, .path = list[i].path, .fate = (uint8_t)fates[i],
                                  .pass = passes[i]};
    }
    p->plan.origins = out;
    p->plan.n_origins = (uint32_t)n;
    return LATHE_OK;
}

static const char *node_name(const lt_graph *graph, lt_node_id id)
{
    const lt_node *n = lt_node_get(graph, id);
    return !n ? "" : n->label && n->label[0] ? n->label : n->op->name;
}

static lathe_status tell_refusals(lt_planner *p)
{
    const lt_graph *graph = p->request->parts[0].graph;
    const lt_refusal *list;
    size_t n = lt_graph_refusals(graph, &list);
    lt_plan_refusal *out = LT_ARENA_ARRAY(p->arena, lt_plan_refusal, n + 1);
    if (!out) {
        return LT_OOM(p->diag);
    }
    for (size_t i = 0; i < n; i++) {
        const lt_value *v = lt_value_get(graph, list[i].value);
        out[i] = (lt_plan_refusal){.value = v ? v->name : "", .from = node_name(graph, list[i].from), .to = node_name(graph, list[i].to), .reason = list[i].reason};
    }
    p->plan.refusals = out;
    p->plan.n_refusals = (uint32_t)n;
    return LATHE_OK;
}

/* ---- The variant ---- */

/* The sources that some step uses, with their versions. */
static lathe_status tell_sources(lt_planner *p, const char **out)
{
    lt_buf text;
    uint32_t used = 0;
    for (uint32_t i = 0; i < p->plan.n_programs; i++) {
        for (uint32_t s = 0; s < p->plan.programs[i].n_steps; s++) {
            const lathe_tactic *tactic = lt_tactic_find(p->plan.programs[i].steps[s].tactic);
            used |= tactic ? lt_source_bit(tactic) : 0;
        }
    }
    lt_buf_init(&text, p->arena->allocator);
    lathe_status status = lt_sources_print(used, &text, p->diag);
    *out = status == LATHE_OK ? lt_arena_str(p->arena, lt_buf_str(&text)) : NULL;
    lt_buf_free(&text);
    return *out ? LATHE_OK : LT_OOM(p->diag);
}

/* Parts for a profile come first, the one for any shape last. */
static lathe_status tell_variant(lt_planner *p)
{
    const lt_plan_request *r = p->request;
    lt_plan_variant *v = LT_ARENA_NEW(p->arena, lt_plan_variant);
    uint32_t *programs = LT_ARENA_ARRAY(p->arena, uint32_t, r->n_parts + 1u), n = 0;
    const char **features = lt_arena_zero(p->arena, LT_CPU_FEATURES, sizeof *features, _Alignof(char *));
    if (!v || !programs || !features) {
        return LT_OOM(p->diag);
    }
    for (int any = 0; any < 2; any++) {
        for (uint32_t i = 0; i < r->n_parts; i++) {
            if ((r->parts[i].profile == LT_PLAN_NONE) == any) {
                programs[n++] = i;
            }
        }
    }
    const char *sources;
    LT_TRY(tell_sources(p, &sources));
    uint64_t needed = r->features ? r->features : p->features;
    *v = (lt_plan_variant){.device = r->device ? r->device : "cpu", .features = features, .threads = r->threads > 0 ? (uint32_t)r->threads : 0,
                           .sources = sources, .programs = programs, .n_programs = n};
    for (int i = 0; i < LT_CPU_FEATURES; i++) {
        if (needed >> i & 1) {
            features[v->n_features++] = lt_cpu_feature_name((lt_cpu_feature)i);
        }
    }
    p->plan.variants = v;
    p->plan.n_variants = 1;
    return LATHE_OK;
}

lathe_status lt_tell_story(lt_planner *p)
{
    const lt_plan_request *r = p->request;
    const lt_region *main = lt_region_get(r->above, LT_MAIN);
    p->plan.version = LT_PLAN_VERSION;
    p->plan.lathe_version = LATHE_VERSION_STRING;
    p->plan.model_name = r->model_name ? r->model_name : "";
    p->plan.options = r->options ? r->options : "";
    p->plan.n_inputs = main->n_inputs;
    p->plan.n_outputs = main->n_outputs;
    LT_TRY(fill_list(p, main->inputs, main->n_inputs, &p->plan.inputs));
    LT_TRY(fill_list(p, main->outputs, main->n_outputs, &p->plan.outputs));
    LT_TRY(fill_kinds(p, main));
    p->plan.profiles = r->profiles;
    p->plan.n_profiles = r->n_profiles;
    p->plan.equals = r->equals;
    p->plan.n_equals = r->n_equals;
    p->plan.caches = r->caches;
    p->plan.n_caches = r->n_caches;
    LT_TRY(tell_assumptions(p));
    LT_TRY(tell_origins(p));
    LT_TRY(tell_refusals(p));
    return tell_variant(p);
}
