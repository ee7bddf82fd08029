/*
 * build.c - lathe_build: network -> passes -> choice -> plan bytes. The one place where the stages meet.
 *
 * Each profile gives one part: the graph specialised to what the profile fixes, lowered, chosen. When the profiles leave shapes out that the model allows,
 * a last part without bounds keeps those runnable. Parts share their weights in the plan.
 */
#include "api/api_internal.h"
#include <string.h>

typedef struct part {
    lt_graph *graph;
    lt_ranges ranges;
    lt_choice choice;
} part;

typedef struct builder {
    const lathe_build_options *o;
    const lathe_allocator *allocator;
    lathe_space device;
    uint64_t features;
    uint32_t sources;
    int threads;
    lt_arena arena;
    lt_graph *above;
    lt_packed_before *packed; /* by the parts so far */
    size_t n_packed, cap_packed;
    part *parts;
    uint32_t n_parts;
    lt_plan_profile_input *profiles;
    uint32_t n_profiles;
    lt_buf *explanation;
    lathe_diag *diag;
} builder;

/* ---- Options ---- */

static lathe_status read_options(builder *b)
{
    const lathe_build_options *o = b->o;
    const char *device = o->device ? o->device : "cpu";
    if (o->struct_size != sizeof *o) {
        return LT_FAIL(b->diag, LATHE_INVALID_ARGUMENT, NULL, "set struct_size to sizeof(lathe_build_options)", "bad options for lathe_build");
    }
    if (!lt_space_from_name(device, &b->device) || !lt_backend_of(b->device)) {
        return LT_FAIL(b->diag, LATHE_UNSUPPORTED, NULL, "this build has: cpu, twin", "there is no device '%s'", device);
    }
    b->features = lt_cpu_features();
    if (o->max_isa) {
        uint64_t level = lt_cpu_level(o->max_isa);
        if (!level) {
            return LT_FAIL(b->diag, LATHE_INVALID_ARGUMENT, NULL, "base, avx2, avx512, vnni", "there is no ISA level '%s'", o->max_isa);
        }
        b->features &= level;
    }
    if (o->level != 0) {
        return LT_FAIL(b->diag, LATHE_UNSUPPORTED, NULL, "leave it out, or use level 0", "level %d needs the timing tuner, which this version does not have",
                       o->level);
    }
    b->threads = o->threads > 0 ? o->threads : lt_cpu_count();
    return lt_sources_read(o->sources, o->level, &b->sources, b->diag);
}

/* What a plan says about how it was built: the options that change its contents, in a fixed order. */
static lathe_status options_text(builder *b, const char **out)
{
    lt_buf text;
    lt_buf_init(&text, b->allocator);
    const lathe_build_options *o = b->o;
    lt_buf_printf(&text, "device=%s level=%d threads=%d", lt_space_name(b->device), o->level, b->threads);
    if (o->max_isa) {
        lt_buf_printf(&text, " max-isa=%s", o->max_isa);
    }
    if (o->passes) {
        lt_buf_printf(&text, " passes=%s", o->passes);
    }
    if (o->sources) {
        lt_buf_printf(&text, " sources=%s", o->sources);
    }
    if (o->refit) {
        lt_buf_puts(&text, " refit");
    }
    for (size_t i = 0; !o->refit && i < o->n_refit_names; i++) {
        lt_buf_puts(&text, " refit=");
        lt_buf_put_name(&text, o->refit_names[i]);
    }
    *out = text.failed ? NULL : lt_arena_str(&b->arena, lt_buf_str(&text));
    lt_buf_free(&text);
    return *out ? LATHE_OK : LT_OOM(b->diag);
}

static lathe_status progress(builder *b, const char *phase, const char *what, uint64_t done, uint64_t total)
{
    lathe_progress p = {.struct_size = sizeof p, .phase = phase, .what = what, .done = done, .total = total};
    if (b->o->progress && b->o->progress(b->o->progress_user, &p) != 0) {
        return LT_FAIL(b->diag, LATHE_CANCELLED, NULL, NULL, "cancelled in phase %s", phase);
    }
    return LATHE_OK;
}

static int plan_progress(void *user, const char *phase, const char *what, uint64_t done, uint64_t total)
{
    return progress(user, phase, what, done, total) == LATHE_OK ? 0 : 1;
}

/* ---- Graphs ---- */

/* Keeps the named values as the only outputs, in the order given. */
static lathe_status keep_outputs(builder *b, lt_graph *graph)
{
    if (b->o->n_outputs == 0) {
        return LATHE_OK;
    }
    uint32_t old = lt_region_get(graph, LT_MAIN)->n_outputs;
    for (size_t i = 0; i < b->o->n_outputs; i++) {
        lt_value_id id = lt_graph_find(graph, b->o->outputs[i]);
        if (lt_value_none(id)) {
            return LT_FAIL(b->diag, LATHE_INVALID_ARGUMENT, lt_graph_name(graph), "lathe inspect lists the values", "the network has no value '%s'",
                           b->o->outputs[i]);
        }
        LT_TRY(lt_graph_add_output(graph, LT_MAIN, id, b->diag));
    }
    while (old > 0) {
        LT_TRY(lt_graph_remove_output(graph, --old, b->diag));
    }
    return LATHE_OK;
}

static lt_pipeline_options pipeline_options(const builder *b)
{
    return (lt_pipeline_options){.verify = b->o->verify != 0, .select = b->o->passes, .dump_dir = b->o->dump_dir, .device = b->device, .debug = b->o->debug, .log = b->o->log,
                                 .log_user = b->o->log_user};
}

static lathe_status make_above(builder *b, const lathe_network *network)
{
    lt_pipeline_options options = pipeline_options(b);
    LT_TRY(progress(b, "passes", "above the border", 0, 2));
    LT_TRY(lt_graph_clone(network->graph, b->allocator, &b->above, b->diag));
    LT_TRY(keep_outputs(b, b->above));
    return lt_pipeline_above(&b->above, &options, b->diag);
}

/* A part's graph: fixed extents filled in, simplified once more where that told something, lowered. */
static lathe_status lower(builder *b, part *p)
{
    lt_pipeline_options options = pipeline_options(b);
    bool specialised;
    LT_TRY(lt_graph_clone(b->above, b->allocator, &p->graph, b->diag));
    LT_TRY(lt_ranges_apply(p->graph, &p->ranges, &specialised, b->diag));
    if (specialised) {
        LT_TRY(lt_pipeline_above(&p->graph, &options, b->diag));
    }
    LT_TRY(lt_pipeline_below(&p->graph, &options, b->diag));
    return lt_graph_assume_shapes(p->graph, b->diag);
}

/* The packs of a part, for the parts behind it to share. */
static lathe_status remember_packs(builder *b, const part *p)
{
    for (uint32_t u = 0; u < p->choice.n_units; u++) {
        const lt_unit *unit = &p->choice.units[u];
        for (uint32_t i = 0; unit->kind == LT_UNIT_STEP && unit->fit && i < unit->n_in; i++) {
            const char *pack = unit->fit->pack[i];
            const lt_value *value = pack && unit->in[i] != LT_NO_SLOT ? lt_value_get(p->graph, p->choice.slots[unit->in[i]].value) : NULL;
            if (!value || !value->blob) {
                continue;
            }
            if (!lt_arena_grow(&b->arena, (void **)&b->packed, &b->cap_packed, b->n_packed + 1, sizeof *b->packed)) {
                return LT_OOM(b->diag);
            }
            lt_packed_before *one = &b->packed[b->n_packed++];
            *one = (lt_packed_before){.blob = lt_blob_hash(value->blob), .pack = pack};
            memcpy(one->param, unit->fit->pack_param[i], sizeof one->param);
        }
    }
    return LATHE_OK;
}

static lathe_status choose(builder *b, part *p)
{
    lt_extent_user user = {p->graph, &p->ranges};
    lt_tune_options options = {.device = b->device, .features = b->features, .sources = b->sources, .threads = b->threads, .level = b->o->level,
                               .keep_candidates = b->o->explain != 0, .force = b->o->tactics, .packed = b->packed, .n_packed = b->n_packed, .extent = lt_extent_of, .user = &user, .log = b->o->log, .log_user = b->o->log_user};
    LT_TRY(lt_tune_choose(p->graph, &options, &b->arena, &p->choice, b->diag));
    if (b->o->explain) {
        lt_explain_part(b->explanation, p->graph, &p->choice, &p->ranges);
    }
    return LATHE_OK;
}

/* ---- Parts ---- */

static lathe_status make_ranges(builder *b)
{
    uint32_t n = b->o->n_profiles ? (uint32_t)b->o->n_profiles : 1, n_inputs = lt_region_get(b->above, LT_MAIN)->n_inputs;
    bool narrowed = false;
    b->parts = LT_ARENA_ARRAY(&b->arena, part, n + 1u);
    b->profiles = LT_ARENA_ARRAY(&b->arena, lt_plan_profile_input, (size_t)n * n_inputs + 1);
    if (!b->parts || !b->profiles) {
        return LT_OOM(b->diag);
    }
    for (uint32_t i = 0; i < n; i++) {
        const lathe_profile *profile = b->o->n_profiles ? &b->o->profiles[i] : NULL;
        LT_TRY(lt_ranges_of_profile(b->above, profile, &b->arena, &b->parts[i].ranges, &b->profiles[(size_t)i * n_inputs], b->diag));
        const lt_ranges *r = &b->parts[i].ranges;
        for (size_t k = 0; k < r->count; k++) {
            narrowed |= r->items[k].min > 0 || r->items[k].max < INT64_MAX;
        }
    }
    b->n_profiles = b->n_parts = n;
    if (narrowed) { /* all shapes stay runnable */
        LT_TRY(lt_ranges_of_profile(b->above, NULL, &b->arena, &b->parts[n].ranges, NULL, b->diag));
        b->n_parts++;
    }
    return LATHE_OK;
}

static lathe_status plan_part(builder *b, uint32_t number, lt_plan_part *out)
{
    part *p = &b->parts[number];
    size_t n = p->ranges.count;
    lt_plan_range *corner = LT_ARENA_ARRAY(&b->arena, lt_plan_range, n + 1);
    const char **symbols = lt_arena_zero(&b->arena, n + 1, sizeof *symbols, _Alignof(char *));
    if (!corner || !symbols) {
        return LT_OOM(b->diag);
    }
    uint32_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        const lt_symbol_range *s = &p->ranges.items[i];
        symbols[kept] = s->name;
        corner[kept++] = (lt_plan_range){.lo = s->min, .opt = s->opt, .hi = s->max};
    }
    *out = (lt_plan_part){.graph = p->graph, .choice = &p->choice, .profile = number < b->n_profiles ? number : LT_PLAN_NONE, .corner = corner,
                          .symbols = symbols, .n_ranges = kept};
    return LATHE_OK;
}

static lathe_status write_plan(builder *b, lt_buf *out)
{
    lt_plan_part *parts = LT_ARENA_ARRAY(&b->arena, lt_plan_part, b->n_parts);
    lt_plan_request r = {.above = b->above, .parts = parts, .n_parts = b->n_parts, .model_name = lt_graph_name(b->above), .device = lt_space_name(b->device),
                         .threads = b->threads, .profiles = b->profiles, .n_profiles = b->n_profiles, .refit = b->o->refit != 0,
                         .refit_names = b->o->refit_names, .n_refit_names = (uint32_t)b->o->n_refit_names, .progress = plan_progress, .progress_user = b,
                         .allocator = b->allocator};
    if (!parts) {
        return LT_OOM(b->diag);
    }
    LT_TRY(options_text(b, &r.options));
    for (uint32_t i = 0; i < b->n_parts; i++) {
        LT_TRY(plan_part(b, i, &parts[i]));
    }
    return lt_plan_build(&r, out, b->diag);
}

static lathe_status build(builder *b, const lathe_network *network, lathe_plan *plan)
{
    LT_TRY(read_options(b));
    LT_TRY(make_above(b, network));
    LT_TRY(make_ranges(b));
    for (uint32_t i = 0; i < b->n_parts; i++) {
        LT_TRY(progress(b, "passes", "below the border", 1, 2));
        LT_TRY(lower(b, &b->parts[i]));
        LT_TRY(progress(b, "tune", "static choice", i, b->n_parts));
        LT_TRY(choose(b, &b->parts[i]));
        LT_TRY(remember_packs(b, &b->parts[i]));
    }
    if (b->o->explain) {
        LT_TRY(lt_explain_origins(b->explanation, b->parts[0].graph, b->diag));
    }
    return write_plan(b, &plan->bytes);
}

lathe_status lathe_build(const lathe_network *network, const lathe_build_options *options, lathe_plan **out, lathe_diag *diag)
{
    static const lathe_build_options none = {.struct_size = sizeof none};
    builder b = {.o = options ? options : &none, .diag = diag};
    b.allocator = b.o->allocator ? b.o->allocator : network->allocator;
    *out = NULL;
    lathe_plan *plan = LT_NEW(b.allocator, lathe_plan);
    if (!plan) {
        return LT_OOM(diag);
    }
    plan->allocator = b.allocator;
    lt_buf_init(&plan->bytes, b.allocator);
    lt_buf_init(&plan->explanation, b.allocator);
    b.explanation = &plan->explanation;
    lt_arena_init(&b.arena, b.allocator);
    uint32_t mode = lt_float_mode_enter();
    lathe_status status = build(&b, network, plan);
    lt_float_mode_leave(mode);
    for (uint32_t i = 0; b.parts && i < b.n_parts; i++) {
        lt_graph_destroy(b.parts[i].graph);
    }
    lt_graph_destroy(b.above);
    lt_arena_destroy(&b.arena);
    if (status != LATHE_OK) {
        lathe_plan_destroy(plan);
        return status;
    }
    *out = plan;
    return LATHE_OK;
}

/* ---- The plan in memory ---- */

const void *lathe_plan_data(const lathe_plan *plan, size_t *size)
{
    *size = plan->bytes.length;
    return plan->bytes.data;
}

lathe_status lathe_plan_save(const lathe_plan *plan, const char *path, lathe_diag *diag)
{
    return lt_file_write(path, plan->bytes.data, plan->bytes.length, diag);
}

const char *lathe_plan_explanation(const lathe_plan *plan)
{
    return lt_buf_str(&plan->explanation);
}

void lathe_plan_destroy(lathe_plan *plan)
{
    if (plan) {
        lt_buf_free(&plan->bytes);
        lt_buf_free(&plan->explanation);
        LT_DELETE(plan->allocator, plan);
    }
}
