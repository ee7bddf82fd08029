/*
 * build.c - one variant: network -> passes -> choice -> plan bytes. The one place where the stages meet. Called by variants.c.
 *
 * Each profile gives one part, or one for each of its buckets: the graph specialised to what the profile fixes, lowered, chosen. When the
 * profiles leave shapes out that the model allows, a last part without bounds keeps those runnable, unless nothing but the profiles is
 * wanted. Parts share their weights in the plan.
 */
#include "api/api_internal.h"
#include <string.h>

typedef struct part {
    uint32_t profile; /* LT_PLAN_NONE: for all other shapes */
    uint32_t bucket, n_buckets; /* of the profile */
    lt_graph *graph;
    lt_ranges ranges;
    lt_choice choice;
    lt_choice measured;   /* where the static choice was taken instead */
    bool kept_static;
    const char *verdict;
} part;

typedef struct builder {
    const lathe_build_options *o;
    const lt_target *target; /* NULL: as the options say, for this machine */
    const lathe_allocator *allocator;
    lathe_space device;
    uint64_t features;
    uint32_t sources;
    int threads;
    lt_arena arena;
    lt_graph *above;
    lt_equals equals;
    lt_ranges reach; /* of all profiles together */
    lt_packed_before *packed; /* by the parts so far */
    size_t n_packed, cap_packed;
    part *parts;
    uint32_t n_parts;
    size_t cap_parts;
    lt_plan_profile_input *profiles;
    uint32_t n_profiles;
    lt_cache_list caches;
    lt_buf *explanation;
    lt_explain_makes makes;
    const char *changed[64]; /* passes that changed something; names of the pipeline */
    size_t n_changed;
    lt_session session;
    lt_buf record;
    lt_debug debug;
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
    b->features = b->target ? b->target->features : lt_cpu_features();
    if (o->max_isa) {
        uint64_t level = lt_cpu_level(o->max_isa);
        if (!level) {
            return LT_FAIL(b->diag, LATHE_INVALID_ARGUMENT, NULL, "base, avx2, avx512, vnni", "there is no ISA level '%s'", o->max_isa);
        }
        b->features &= level;
    }
    if (o->level < 0 || o->level > 5) {
        return LT_FAIL(b->diag, LATHE_INVALID_ARGUMENT, NULL, "0 times nothing, 3 is the usual effort, 5 is exhaustive", "there is no level %d", o->level);
    }
    b->threads = b->target ? b->target->threads : o->threads > 0 ? o->threads : lt_cpu_count();
    LT_TRY(lt_sources_read(o->sources, &b->sources, b->diag));
    if (b->sources > 1 && b->target && b->target->absent) { /* more than our own */
        return LT_FAIL(b->diag, LATHE_UNSUPPORTED, NULL, "leave the other sources off, or build on that machine",
                       "what another library would do on a processor that is not here cannot be asked");
    }
    return LATHE_OK;
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
    if (b->target && b->target->named && b->target->name) {
        lt_buf_printf(&text, " target=%s", b->target->name);
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
    lt_buf_puts(&text, o->only_profiles ? " only-profiles" : "");
    for (size_t i = 0; i < o->n_buckets; i++) {
        lt_buf_puts(&text, " buckets=");
        lt_buf_put_name(&text, o->buckets[i]);
    }
    for (size_t i = 0; i < o->n_assume; i++) {
        lt_buf_puts(&text, " assume=");
        lt_buf_put_name(&text, o->assume[i]);
    }
    for (size_t i = 0; i < o->n_caches; i++) {
        lt_buf_puts(&text, " cache=");
        lt_buf_put_name(&text, o->caches[i]);
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

/* In the order of their first change; each part runs the passes below the border again. */
static void note_pass(void *user, const char *pass)
{
    builder *b = user;
    for (size_t i = 0; i < b->n_changed; i++) {
        if (lt_streq(b->changed[i], pass)) {
            return;
        }
    }
    if (b->n_changed < LT_COUNT(b->changed)) {
        b->changed[b->n_changed++] = pass;
    }
}

static lt_pipeline_options pipeline_options(const builder *b)
{
    return (lt_pipeline_options){.verify = b->o->verify != 0, .select = b->o->passes, .dump_dir = b->o->dump_dir, .device = b->device, .debug = b->debug.level[LT_TOPIC_PASSES], .filter = b->debug.filter, .log = b->o->log,
                                 .log_user = b->o->log_user, .changed = note_pass, .changed_user = (void *)b};
}

/* Those that the network brings along, of an earlier build, then those of this one. */
static lathe_status merge_dims(builder *b, const lathe_network *network)
{
    for (uint32_t i = 0; i < network->n_equals; i++) {
        lt_equals *e = &b->equals;
        if (!lt_arena_grow(&b->arena, (void **)&e->items, &e->capacity, e->count + 1, sizeof *e->items)) {
            return LT_OOM(b->diag);
        }
        e->items[e->count++] = network->equals[i];
    }
    return lt_dims_merge(b->above, b->o->assume, b->o->n_assume, &b->arena, &b->equals, b->diag);
}

static lathe_status read_caches(builder *b, const lathe_network *network)
{
    for (uint32_t i = 0; i < network->n_caches; i++) {
        lt_cache_list *l = &b->caches;
        if (!lt_arena_grow(&b->arena, (void **)&l->items, &l->capacity, l->count + 1, sizeof *l->items)) {
            return LT_OOM(b->diag);
        }
        l->items[l->count++] = network->caches[i];
    }
    return lt_caches_read(b->above, b->o->caches, b->o->n_caches, &b->arena, &b->caches, b->diag);
}

/* ---- Parts ---- */

static lathe_status add_part(builder *b, part p)
{
    if (!lt_arena_grow(&b->arena, (void **)&b->parts, &b->cap_parts, b->n_parts + 1u, sizeof *b->parts)) {
        return LT_OOM(b->diag);
    }
    b->parts[b->n_parts++] = p;
    return LATHE_OK;
}

/* Does a range leave nothing out of what the graph allows? */
static bool fills(const lt_symbol_range *s, const lt_ranges *rest)
{
    bool all = true;
    for (size_t i = 0; i < rest->count; i++) {
        const lt_symbol_range *r = &rest->items[i];
        all &= !lt_streq(r->name, s->name) || (s->min <= r->min && s->max >= r->max);
    }
    return all;
}

static lathe_status add_profile(builder *b, uint32_t number, const lathe_profile *profile, lt_plan_profile_input *inputs, const lt_ranges *rest,
                                bool *narrowed)
{
    lt_ranges whole;
    lt_buckets buckets;
    LT_TRY(lt_ranges_of_profile(b->above, profile, &b->arena, &whole, inputs, b->diag));
    LT_TRY(lt_ranges_join(&whole, number == 0, &b->arena, &b->reach, b->diag));
    for (size_t k = 0; k < whole.count; k++) {
        *narrowed |= !fills(&whole.items[k], rest);
    }
    LT_TRY(lt_buckets_of(&whole, b->o->buckets, b->o->n_buckets, &b->arena, &buckets, b->diag));
    for (uint32_t i = 0; i < buckets.count; i++) {
        LT_TRY(add_part(b, (part){.profile = number, .bucket = i, .n_buckets = (uint32_t)buckets.count, .ranges = buckets.items[i]}));
    }
    return LATHE_OK;
}

static lathe_status make_ranges(builder *b)
{
    uint32_t n = b->o->n_profiles ? (uint32_t)b->o->n_profiles : 1, n_inputs = lt_region_get(b->above, LT_MAIN)->n_inputs;
    bool narrowed = false;
    part rest = {.profile = LT_PLAN_NONE};
    b->n_profiles = n;
    b->profiles = LT_ARENA_ARRAY(&b->arena, lt_plan_profile_input, (size_t)n * n_inputs + 1);
    if (!b->profiles) {
        return LT_OOM(b->diag);
    }
    LT_TRY(lt_ranges_of_profile(b->above, NULL, &b->arena, &rest.ranges, NULL, b->diag));
    for (uint32_t i = 0; i < n; i++) {
        LT_TRY(add_profile(b, i, b->o->n_profiles ? &b->o->profiles[i] : NULL, &b->profiles[(size_t)i * n_inputs], &rest.ranges, &narrowed));
    }
    if (b->o->only_profiles) {
        return lt_ranges_declare(b->above, &b->reach, b->diag);
    }
    return narrowed ? add_part(b, rest) : LATHE_OK; /* all shapes stay runnable */
}

static lathe_status make_above(builder *b, const lathe_network *network)
{
    lt_pipeline_options options = pipeline_options(b);
    LT_TRY(progress(b, "passes", "above the border", 0, 2));
    LT_TRY(lt_graph_clone(network->graph, b->allocator, &b->above, b->diag));
    LT_TRY(merge_dims(b, network));
    LT_TRY(keep_outputs(b, b->above));
    LT_TRY(read_caches(b, network));
    LT_TRY(make_ranges(b));
    options.keep_tables = b->o->refit || b->o->n_refit_names > 0; /* the whole of them would be kept beside */
    LT_TRY(b->o->explain ? lt_explain_note_makes(b->above, &b->arena, &b->makes, b->diag) : LATHE_OK);
    return lt_pipeline_above(&b->above, &options, b->diag);
}

/* A part's graph: fixed extents filled in, simplified once more where that told something, lowered. */
static lathe_status lower(builder *b, part *p)
{
    lt_pipeline_options options = pipeline_options(b);
    bool specialised;
    options.keep_tables = true; /* parts share them */
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

/* ---- Requests ---- */

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
    *out = (lt_plan_part){.graph = p->graph, .choice = &p->choice, .profile = p->profile, .corner = corner,
                          .symbols = symbols, .n_ranges = kept};
    return LATHE_OK;
}

static lathe_status request_of(builder *b, lt_plan_part *parts, uint32_t n, lt_plan_request *out)
{
    *out = (lt_plan_request){.above = b->above, .parts = parts, .n_parts = n, .model_name = lt_graph_name(b->above), .device = lt_space_name(b->device),
                             .threads = b->threads, .profiles = b->profiles, .n_profiles = b->n_profiles, .refit = b->o->refit != 0,
                             .refit_names = b->o->refit_names, .n_refit_names = (uint32_t)b->o->n_refit_names,
                             .equals = b->equals.items, .n_equals = (uint32_t)b->equals.count,
                             .caches = b->caches.items, .n_caches = (uint32_t)b->caches.count,
                             .features = b->target && b->target->named ? b->features : 0, .debug = &b->debug, .allocator = b->allocator};
    return options_text(b, &out->options);
}

/* ---- The choice ---- */

#define BETTER 0.99 /* the static choice must be faster by this to be kept: the other one was measured step by step */

static long long us(lathe_timing t)
{
    return (long long)(t.median * 1e-3 + 0.5);
}

/* Measured step by step against static: whichever runs faster as a whole engine. */
static lathe_status compare_with_static(builder *b, uint32_t number, lt_tune_options options, const lt_extent_user *user)
{
    part *p = &b->parts[number];
    lt_choice fixed;
    lt_plan_part one;
    lt_plan_request r;
    lathe_timing times[2];
    options.level = 0;
    options.foresee = NULL; /* said already */
    LT_TRY(lt_tune_choose(p->graph, &options, &b->arena, &fixed, b->diag));
    if (fixed.assignment_hash == p->choice.assignment_hash) {
        p->verdict = "whole engine: the static choice is the same\n";
        return LATHE_OK;
    }
    LT_TRY(plan_part(b, number, &one));
    one.profile = 0;
    LT_TRY(request_of(b, &one, 1, &r));
    r.n_caches = 0; /* runs of one length are compared */
    LT_TRY(progress(b, "tune", "whole engines", number, b->n_parts));
    lathe_status status = lt_verdict(&b->session, &r, &p->choice, &fixed, user, times, NULL);
    if (status != LATHE_OK) { /* shapes that the model cannot run, most likely: nothing that a build has to fail for */
        p->verdict = lt_arena_printf(&b->arena, "whole engine: not compared, for one did not run (%s)\n", lathe_status_name(status));
        return status == LATHE_OUT_OF_MEMORY || !p->verdict ? LT_OOM(b->diag) : LATHE_OK;
    }
    if (times[0].samples == 0) {
        p->verdict = "whole engines: not compared, for their processor is not here\n";
        return LATHE_OK;
    }
    bool fixed_won = times[1].median < BETTER * times[0].median;
    p->verdict = lt_arena_printf(&b->arena, "whole engine: %lld us by measured steps, %lld us by the static choice; %s is kept\n", us(times[0]),
                                 us(times[1]), fixed_won ? "the latter" : "the former");
    if (!p->verdict) {
        return LT_OOM(b->diag);
    }
    if (fixed_won) {
        p->measured = p->choice;
        p->kept_static = true;
        p->choice = fixed;
        b->session.kept_static++;
    }
    return LATHE_OK;
}

/* Tells the caller's selector what it came to. */
static void report_choice(builder *b, uint32_t number)
{
    const lt_choice *c = &b->parts[number].choice;
    for (uint32_t i = 0, ordinal = 0; i < c->n_units && b->o->chosen; i++) {
        const lt_unit *u = &c->units[i];
        if (!u->chosen) {
            continue;
        }
        lathe_selection_step step = {.struct_size = sizeof step, .name = u->name, .op = u->problem->op, .problem = u->problem, .ordinal = ordinal++, .part = number};
        lathe_selection s = {.struct_size = sizeof s, .tactic = u->tactic->name, .version = u->tactic->version, .config = u->config, .cost_ns = u->cost_ns,
                             .time = u->chosen->time, .scratch = u->chosen->scratch, .in = u->fit->in, .out = u->fit->out, .n_in = u->n_in, .n_out = u->n_out};
        b->o->chosen(b->o->select_user, &step, &s);
    }
}

/* A name without an upper bound that is more than a batch: its opt extent is a guess, and what is fast there says nothing. NULL: there is none. */
static const char *untold(const builder *b, const part *p)
{
    const lt_region *main = lt_region_get(b->above, LT_MAIN);
    for (uint32_t i = 0; i < main->n_inputs; i++) {
        const lt_value *v = lt_value_get(b->above, main->inputs[i]);
        for (int d = 1; v->type.cls == LT_TENSOR && d < v->type.rank; d++) {
            lt_dim_node n = lt_dim_get(lt_graph_dims(b->above), v->type.dims[d]);
            for (size_t k = 0; n.op == LT_DIM_SYMBOL && k < p->ranges.count; k++) {
                if (p->ranges.items[k].max == INT64_MAX && lt_streq(p->ranges.items[k].name, n.name)) {
                    return p->ranges.items[k].name;
                }
            }
        }
    }
    return NULL;
}

/*
 * Nothing is timed for shapes of which nobody said what they will be: those of the part for all other shapes, and free extents without a profile. Nor is
 * anything timed when a record is replayed.
 */
static int level_of_part(builder *b, uint32_t number)
{
    bool timed = b->parts[number].profile != LT_PLAN_NONE && b->o->level > 0 && !b->session.replays;
    const char *name = timed ? untold(b, &b->parts[number]) : NULL;
    char text[256];
    if (name && b->o->log) {
        snprintf(text, sizeof text, "nothing is timed: extent '%s' may be anything; --shape says what it will be", name);
        b->o->log(b->o->log_user, LATHE_LOG_INFO, text);
    }
    return timed && !name ? b->o->level : 0;
}

/* What is timed is said by level_of_part. */
static lathe_status choose(builder *b, uint32_t number)
{
    part *p = &b->parts[number];
    lt_extent_user user = {p->graph, &p->ranges};
    lt_tune_options options = {.device = b->device, .features = b->features, .sources = b->sources, .threads = b->threads, .level = level_of_part(b, number),
                               .keep_candidates = b->o->explain != 0 || lt_debug_on(&b->debug, LT_TOPIC_TUNE, 4, NULL), .debug = &b->debug, .force = b->o->tactics, .packed = b->packed, .n_packed = b->n_packed,
                               .extent = lt_extent_of, .user = &user, .log = b->o->log, .log_user = b->o->log_user};
    options.part = number;
    lt_session_fill(&b->session, &options);
    LT_TRY(lt_tune_choose(p->graph, &options, &b->arena, &p->choice, b->diag));
    if (options.level >= 2 && b->session.compare && !options.rules && !options.select && b->device == LATHE_SPACE_HOST && !b->session.counts.cut_short) {
        LT_TRY(compare_with_static(b, number, options, &user));
    }
    if (b->o->explain) {
        lt_explain_part whole = {p->graph, &p->choice, p->kept_static ? &p->measured : NULL, &p->ranges, number, p->profile, p->bucket,
                                 p->n_buckets, p->verdict};
        lt_explain_whole(b->explanation, &whole);
    }
    lt_record_put(&b->record, &p->choice, number);
    report_choice(b, number);
    return LATHE_OK;
}

/* ---- All of it ---- */

static lathe_status write_plan(builder *b, lt_buf *out)
{
    lt_plan_part *parts = LT_ARENA_ARRAY(&b->arena, lt_plan_part, b->n_parts);
    lt_plan_request r;
    if (!parts) {
        return LT_OOM(b->diag);
    }
    LT_TRY(request_of(b, parts, b->n_parts, &r));
    r.progress = plan_progress;
    r.progress_user = b;
    for (uint32_t i = 0; i < b->n_parts; i++) {
        LT_TRY(plan_part(b, i, &parts[i]));
    }
    return lt_plan_build(&r, out, b->diag);
}

/* Fixed in each profile, extents need no assumption. */
static bool is_open(const builder *b, const lt_open_pair *p)
{
    bool open = false;
    for (uint32_t i = 0; i < b->n_parts && b->parts[i].profile != LT_PLAN_NONE; i++) {
        open |= !lt_ranges_fix(&b->parts[i].ranges, b->above, p->a) || !lt_ranges_fix(&b->parts[i].ranges, b->above, p->b);
    }
    return open;
}

/* Extents that should be equal and are not known to be: said once, since only the caller can know. */
static lathe_status tell_open_pairs(builder *b)
{
    lt_open_pairs pairs;
    LT_TRY(lt_dims_open_pairs(b->above, &b->arena, &pairs, b->diag));
    for (size_t i = 0; i < pairs.count; i++) {
        const lt_open_pair *p = &pairs.items[i];
        const char *advice = p->advice ? lt_arena_printf(&b->arena, "; --assume %s if they are", p->advice) : "";
        const char *text = advice ? lt_arena_printf(&b->arena, "'%s' and '%s' cannot be proved equal at %s%s", p->left, p->right, p->node, advice) : NULL;
        if (!text) {
            return LT_OOM(b->diag);
        }
        if (is_open(b, p) && b->o->log) {
            b->o->log(b->o->log_user, LATHE_LOG_INFO, text);
        }
        if (is_open(b, p) && b->o->explain) {
            lt_buf_printf(b->explanation, "open: %s\n", text);
        }
    }
    return LATHE_OK;
}

static lathe_status begin_explanation(builder *b)
{
    const char *options;
    LT_TRY(options_text(b, &options));
    lt_explain_begin(b->explanation, lt_graph_name(b->above), options);
    if (b->session.absent) {
        lt_buf_printf(b->explanation, "estimated: built for a CPU that is not here; nothing was run or checked%s%s\n",
                      b->target->machine ? "; times are those that the timing cache has of " : "", b->target->machine ? b->target->machine : "");
    }
    return LATHE_OK;
}

static lathe_status build(builder *b, const lathe_network *network, lathe_plan *plan)
{
    LT_TRY(read_options(b));
    LT_TRY(lt_session_open(&b->session, b->o, b->target, b->allocator, b->threads, b->features, b->diag));
    lt_say_import(&b->debug, network->graph);
    LT_TRY(make_above(b, network));
    LT_TRY(b->o->explain ? begin_explanation(b) : LATHE_OK);
    LT_TRY(tell_open_pairs(b));
    for (uint32_t i = 0; i < b->n_parts; i++) {
        b->session.held_before = b->session.memory->held;
        b->session.parts_left = b->n_parts - i - 1;
        LT_TRY(progress(b, "passes", "below the border", 1, 2));
        LT_TRY(lower(b, &b->parts[i]));
        LT_TRY(progress(b, "tune", "choice", i, b->n_parts));
        LT_TRY(choose(b, i));
        LT_TRY(remember_packs(b, &b->parts[i]));
    }
    if (b->o->explain) {
        LT_TRY(lt_explain_origins(b->explanation, b->parts[0].graph, &b->makes, b->changed, b->n_changed, b->diag));
    }
    LT_TRY(lt_session_record(&b->session, &b->record, b->diag));
    return write_plan(b, &plan->bytes);
}

static void report(const builder *b, int64_t start, lathe_build_report *out)
{
    const lt_tune_counts *c = &b->session.counts;
    *out = (lathe_build_report){.struct_size = sizeof *out, .problems = c->problems, .timed = c->timed, .remembered = c->remembered, .wrong = c->wrong,
                                .noisy = c->noisy, .cut_short = c->cut_short, .kept_static = (int)b->session.kept_static, .tune_seconds = c->seconds,
                                .build_seconds = (double)(lt_now_ns() - start) * 1e-9, .predicted_bytes = b->session.predicted,
                                .peak_bytes = b->session.memory->peak, .too_large = c->too_large, .not_compared = (int)b->session.not_compared, .variants = 1,
                                .absent = b->session.absent, .estimated = c->estimated};
}

lathe_status lt_plan_new(const lathe_allocator *allocator, lathe_plan **out, lathe_diag *diag)
{
    lathe_plan *plan = LT_NEW(allocator, lathe_plan);
    *out = plan;
    if (!plan) {
        return LT_OOM(diag);
    }
    plan->allocator = allocator;
    lt_counted_memory_init(&plan->memory, allocator);
    lt_buf_init(&plan->bytes, &plan->memory.allocator);
    lt_buf_init(&plan->explanation, &plan->memory.allocator);
    return LATHE_OK;
}

lathe_status lt_build_variant(const lathe_network *network, const lathe_build_options *options, const lt_target *target, lathe_plan **out, lathe_diag *diag)
{
    builder b = {.o = options, .target = target, .diag = diag};
    lathe_plan *plan;
    LT_TRY(lt_plan_new(options->allocator ? options->allocator : network->allocator, &plan, diag));
    *out = NULL;
    b.allocator = &plan->memory.allocator;
    b.session.memory = &plan->memory;
    b.explanation = &plan->explanation;
    lt_debug_read(&b.debug, b.o->debug, b.o->log, b.o->log_user);
    lt_arena_init(&b.arena, b.allocator);
    lt_buf_init(&b.record, b.allocator);
    lt_record_begin(&b.record);
    uint32_t mode = lt_float_mode_enter();
    int64_t start = lt_now_ns();
    lathe_status status = lt_session_close(&b.session, build(&b, network, plan), diag);
    report(&b, start, &plan->report);
    lt_float_mode_leave(mode);
    for (uint32_t i = 0; b.parts && i < b.n_parts; i++) {
        lt_graph_destroy(b.parts[i].graph);
    }
    lt_graph_destroy(b.above);
    lt_buf_free(&b.record);
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

/* The first line says which plan the log belongs to. */
lathe_status lathe_plan_save_log(const lathe_plan *plan, const char *path, lathe_diag *diag)
{
    unsigned char print[32];
    lt_buf text;
    if (plan->explanation.length == 0) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, path, "set explain in lathe_build_options", "the build kept nothing to write into a log");
    }
    LT_CHECK(diag, lt_plan_fingerprint(plan->bytes.data, plan->bytes.length, print), "plan");
    lt_buf_init(&text, plan->allocator);
    lt_buf_puts(&text, "lathe-log 1 plan ");
    for (size_t i = 0; i < sizeof print; i++) {
        lt_buf_printf(&text, "%02x", print[i]);
    }
    lt_buf_putc(&text, '\n');
    lt_buf_put(&text, plan->explanation.data, plan->explanation.length);
    lathe_status status = text.failed ? LT_OOM(diag) : lt_file_write(path, text.data, text.length, diag);
    lt_buf_free(&text);
    return status;
}

const char *lathe_plan_explanation(const lathe_plan *plan)
{
    return lt_buf_str(&plan->explanation);
}

lathe_status lathe_plan_get_report(const lathe_plan *plan, lathe_build_report *out, lathe_diag *diag)
{
    if (!plan || !out || out->struct_size != sizeof *out) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, NULL, "set struct_size to sizeof(lathe_build_report)", "bad arguments to lathe_plan_get_report");
    }
    *out = plan->report;
    return LATHE_OK;
}

void lathe_plan_destroy(lathe_plan *plan)
{
    if (plan) {
        lt_buf_free(&plan->bytes);
        lt_buf_free(&plan->explanation);
        LT_DELETE(plan->allocator, plan);
    }
}
