/*
 * variants.c - lathe_build: one variant as build.c makes it, or one for each target and number of threads, joined into one plan. Also what re-tuning keeps of the
 * plan that it began with.
 */
#include "api/api_internal.h"
#include <string.h>

typedef struct maker {
    const lathe_network *network;
    const lathe_build_options *o;
    lathe_plan *whole;
    lathe_plan **each;
    uint32_t n;
    const lt_target *targets;
    uint64_t held; /* bytes of the plans so far */
    int64_t start;
    lathe_diag *diag;
} maker;

/* ---- What it came to ---- */

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static void add_report(maker *m, const lathe_build_report *r)
{
    lathe_build_report *all = &m->whole->report;
    all->problems += r->problems;
    all->timed += r->timed;
    all->remembered += r->remembered;
    all->wrong += r->wrong;
    all->noisy += r->noisy;
    all->cut_short |= r->cut_short;
    all->kept_static += r->kept_static;
    all->tune_seconds += r->tune_seconds;
    all->predicted_bytes = larger(all->predicted_bytes, m->held + r->predicted_bytes);
    all->peak_bytes = larger(all->peak_bytes, m->held + r->peak_bytes);
    all->too_large += r->too_large;
    all->not_compared += r->not_compared;
    all->variants += r->variants;
    all->absent += r->absent;
    all->estimated += r->estimated;
}

/* ---- One after the other ---- */

/* What is left of time and memory for the next one. */
static lathe_status share(const maker *m, uint32_t number, lathe_build_options *o)
{
    double gone = (double)(lt_now_ns() - m->start) * 1e-9;
    if (o->time_budget > 0) {
        double left = (o->time_budget - gone) / (m->n - number);
        o->time_budget = left > 1e-3 ? left : 1e-3;
    }
    if (o->memory_budget > 0 && 2 * m->held >= o->memory_budget) {
        return LT_FAIL(m->diag, LATHE_UNSUPPORTED, NULL, "allow more (--memory-budget), or build fewer variants",
                       "the memory budget of %llu bytes is too small for %u variants", (unsigned long long)o->memory_budget, m->n);
    }
    o->memory_budget = o->memory_budget > 0 ? o->memory_budget - m->held : 0;
    return LATHE_OK;
}

static lathe_status make_each(maker *m)
{
    for (uint32_t i = 0; i < m->n; i++) {
        lathe_build_options o = *m->o;
        size_t size;
        LT_TRY(share(m, i, &o));
        LT_TRY(lt_build_variant(m->network, &o, &m->targets[i], &m->each[i], m->diag));
        add_report(m, &m->each[i]->report);
        (void)lathe_plan_data(m->each[i], &size);
        m->held += size;
        lt_buf *text = &m->whole->explanation;
        if (m->o->explain) {
            lt_buf_printf(text, "variant %u: target %s, %d threads\n", i, m->targets[i].name ? m->targets[i].name : "native", m->targets[i].threads);
            lt_buf_put(text, m->each[i]->explanation.data, m->each[i]->explanation.length);
        }
    }
    return LATHE_OK;
}

static lathe_status join(maker *m, lt_arena *arena)
{
    lt_join_part *parts = LT_ARENA_ARRAY(arena, lt_join_part, m->n + 1u);
    if (!parts) {
        return LT_OOM(m->diag);
    }
    for (uint32_t i = 0; i < m->n; i++) {
        lt_plan *plan;
        size_t size;
        const void *data = lathe_plan_data(m->each[i], &size);
        LT_TRY(lt_plan_decode(data, size, 0, NULL, NULL, arena, &plan, m->diag));
        parts[i].plan = plan;
    }
    LT_TRY(lt_plans_join(parts, m->n, &m->whole->memory.allocator, &m->whole->bytes, m->diag));
    m->whole->report.predicted_bytes = larger(m->whole->report.predicted_bytes, 2 * m->held);
    m->whole->report.peak_bytes = larger(m->whole->report.peak_bytes, m->held + m->whole->memory.peak);
    return LATHE_OK;
}

static lathe_status make_all(maker *m, lt_arena *arena)
{
    if (m->o->record) {
        return LT_FAIL(m->diag, LATHE_INVALID_ARGUMENT, NULL, "build each variant with a record of its own, and add them with lathe retune",
                       "a record holds the choices of one variant, not of %u", m->n);
    }
    m->each = lt_arena_zero(arena, m->n, sizeof(lathe_plan *), _Alignof(lathe_plan *));
    if (!m->each) {
        return LT_OOM(m->diag);
    }
    lathe_status status = make_each(m);
    status = status == LATHE_OK ? join(m, arena) : status;
    for (uint32_t i = 0; i < m->n; i++) {
        lathe_plan_destroy(m->each[i]);
    }
    return status != LATHE_OK ? status : m->whole->explanation.failed ? LT_OOM(m->diag) : LATHE_OK;
}

static lathe_status build_all(maker *m, const lathe_allocator *allocator, lt_arena *arena, lathe_plan **out)
{
    LT_TRY(lt_plan_new(allocator, out, m->diag));
    m->whole = *out;
    m->whole->report.struct_size = sizeof m->whole->report;
    lathe_status status = make_all(m, arena);
    m->whole->report.build_seconds = (double)(lt_now_ns() - m->start) * 1e-9;
    if (status != LATHE_OK) {
        lathe_plan_destroy(*out);
        *out = NULL;
    }
    return status;
}

lathe_status lathe_build(const lathe_network *network, const lathe_build_options *options, lathe_plan **out, lathe_diag *diag)
{
    static const lathe_build_options none = {.struct_size = sizeof none};
    const lathe_build_options *o = options ? options : &none;
    const lathe_allocator *allocator = o->struct_size == sizeof *o && o->allocator ? o->allocator : network->allocator;
    bool plain = o->struct_size != sizeof *o || (!o->targets && !o->machine && o->n_thread_counts == 0);
    maker m = {.network = network, .o = o, .start = lt_now_ns(), .diag = diag};
    lt_target *targets;
    lt_arena arena;
    *out = NULL;
    if (plain) { /* this machine's; bad options are refused there */
        return lt_build_variant(network, o, NULL, out, diag);
    }
    lt_arena_init(&arena, allocator);
    lathe_status status = lt_targets_read(o, &arena, &targets, &m.n, diag);
    m.targets = targets;
    if (status == LATHE_OK) {
        status = m.n == 1 ? lt_build_variant(network, o, &targets[0], out, diag) : build_all(&m, allocator, &arena, out);
    }
    lt_arena_destroy(&arena);
    return status;
}

/* ---- Beside those that are there ---- */

/*
 * A variant that was made here asks for what any of the old ones for its device asks for and this machine has: else one of those, which were made elsewhere,
 * would be taken here in its place.
 */
static lathe_status raise(const lt_plan *old, lt_plan_variant *v, uint64_t may, lt_arena *arena, lathe_diag *diag)
{
    uint64_t all, some;
    const char **names = lt_arena_zero(arena, LT_CPU_FEATURES, sizeof *names, _Alignof(char *));
    if (!names) {
        return LT_OOM(diag);
    }
    (void)lt_plan_variant_features(v, &all);
    for (uint32_t i = 0; i < old->n_variants; i++) {
        bool known = lt_plan_variant_features(&old->variants[i], &some);
        all |= known && lt_streq(old->variants[i].device, v->device) && (some & ~may) == 0 ? some : 0;
    }
    v->n_features = 0;
    for (int f = 0; f < LT_CPU_FEATURES; f++) {
        if (all >> f & 1) {
            names[v->n_features++] = lt_cpu_feature_name((lt_cpu_feature)f);
        }
    }
    v->features = names;
    return LATHE_OK;
}

static lathe_status keep(const lt_plan *old, lathe_plan *fresh, uint64_t may, lt_arena *arena, lathe_diag *diag)
{
    lt_plan *plan;
    lt_buf bytes;
    bool *dropped = LT_ARENA_ARRAY(arena, bool, old->n_variants + 1u);
    uint32_t kept = 0;
    LT_TRY(dropped ? LATHE_OK : LT_OOM(diag));
    LT_TRY(lt_plan_decode(fresh->bytes.data, fresh->bytes.length, 0, NULL, NULL, arena, &plan, diag));
    lt_plan_variant *variants = lt_arena_copy(arena, plan->variants, plan->n_variants * sizeof *variants, _Alignof(lt_plan_variant));
    LT_TRY(variants ? LATHE_OK : LT_OOM(diag));
    for (uint32_t i = 0; i < plan->n_variants && may; i++) {
        LT_TRY(raise(old, &variants[i], may, arena, diag));
    }
    plan->variants = variants;
    for (uint32_t i = 0; i < old->n_variants; i++) {
        for (uint32_t k = 0; k < plan->n_variants && !dropped[i]; k++) {
            dropped[i] = lt_plan_variants_alike(&old->variants[i], &plan->variants[k]);
        }
        kept += !dropped[i];
    }
    if (kept == 0) {
        return LATHE_OK;
    }
    lt_join_part parts[] = {{plan, NULL}, {old, dropped}};
    lt_buf_init(&bytes, &fresh->memory.allocator);
    lathe_status status = lt_plans_join(parts, LT_COUNT(parts), &fresh->memory.allocator, &bytes, diag);
    if (status != LATHE_OK) {
        lt_buf_free(&bytes);
        return status;
    }
    lt_buf_free(&fresh->bytes);
    fresh->bytes = bytes;
    fresh->report.variants += kept;
    return LATHE_OK;
}

lathe_status lt_keep_variants(const lt_plan *old, lathe_plan *fresh, uint64_t may, lathe_diag *diag)
{
    lt_arena arena;
    lt_arena_init(&arena, fresh->allocator);
    lathe_status status = keep(old, fresh, may, &arena, diag);
    lt_arena_destroy(&arena);
    return status;
}
