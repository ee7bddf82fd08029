/*
 * engine_load.c - lathe_engine: reads a plan, picks the variant for this machine, looks up every tactic, hands out weights.
 *
 * The decoder has validated the plan; what it cannot know (do these tactics exist here, do the formats make sense) is checked here.
 */
#include "rt/rt_internal.h"
#include <string.h>

/* ---- Weights ---- */

/* Strings in the weight section: u64 count, count + 1 u64 offsets, bytes. The decoder checked them. */
lathe_status lt_weight_strings(lathe_engine *engine, const lt_plan_blob *blob, const void *data, lt_weight *out, lathe_diag *diag)
{
    const unsigned char *at = data;
    uint64_t count, begin, end;
    memcpy(&count, at, 8);
    lathe_bytes *strings = LT_ARENA_ARRAY(&engine->arena, lathe_bytes, (size_t)count + 1);
    if (!strings) {
        return LT_OOM(diag);
    }
    const char *text = (const char *)at + 8 * (count + 2);
    for (uint64_t i = 0; i < count; i++) {
        memcpy(&begin, at + 8 * (i + 1), 8);
        memcpy(&end, at + 8 * (i + 2), 8);
        strings[i] = (lathe_bytes){text + begin, (size_t)(end - begin)};
    }
    out->any = (lt_any){.cls = LT_TENSOR};
    LT_TRY(lt_tensor_shape(&out->any.tensor, blob->dtype, blob->rank, blob->dims, blob->name, diag));
    out->any.tensor.data = strings;
    out->data = strings;
    return LATHE_OK;
}

static lathe_status load_weights(lathe_engine *engine, lathe_diag *diag)
{
    const lt_plan *plan = engine->plan;
    for (uint32_t i = 0; i < plan->n_blobs; i++) {
        const lt_plan_blob *blob = &plan->blobs[i];
        lt_weight *w = &engine->weights[i];
        if (w->data) {
            continue;
        }
        const void *data = plan->weights + blob->offset;
        if (blob->flags & LT_BLOB_STRINGS) {
            LT_TRY(lt_weight_strings(engine, blob, data, w, diag));
        } else {
            w->data = data;
        }
    }
    return LATHE_OK;
}

/* ---- Steps ---- */

static lathe_status check_operands(const lt_plan *plan, const lt_plan_program *p, const lt_plan_step *s, const lathe_problem *problem, lathe_diag *diag)
{
    const char *advice = "build the plan again";
    if (s->n_in != problem->n_in || s->n_out != problem->n_out) {
        return LT_FAIL(diag, LATHE_BAD_PLAN, s->name, advice, "step has %u inputs and %u outputs, its problem %zu and %zu", s->n_in, s->n_out, problem->n_in,
                       problem->n_out);
    }
    for (uint32_t i = 0; i < s->n_in + s->n_out; i++) {
        bool input = i < s->n_in;
        uint32_t number = input ? s->in[i] : s->out[i - s->n_in];
        const lathe_operand *o = input ? &problem->in[i] : &problem->out[i - s->n_in];
        bool absent = o->flags & LATHE_OPERAND_ABSENT, managed = o->flags & LATHE_OPERAND_MANAGED;
        if (absent != (number == LT_PLAN_NONE)) {
            return LT_FAIL(diag, LATHE_BAD_PLAN, s->name, advice, "operand %u is absent in one of step and problem", i);
        }
        if (absent) {
            continue;
        }
        const lt_plan_value *v = &p->values[number];
        if (managed && v->storage != LT_STORE_MANAGED && v->storage != LT_STORE_BLOB && v->storage != LT_STORE_INPUT) {
            return LT_FAIL(diag, LATHE_BAD_PLAN, s->name, advice, "operand %u ('%s') should be managed", i, v->name);
        }
        if (!managed && (v->dtype != o->dtype || v->rank != o->rank)) {
            return LT_FAIL(diag, LATHE_BAD_PLAN, s->name, advice, "operand %u ('%s') has another type or rank than its problem", i, v->name);
        }
        bool packed = v->storage == LT_STORE_BLOB && plan->blobs[v->index].pack[0];
        if (!managed && !packed && !lt_format_same(&v->format, &o->format)) {
            return LT_FAIL(diag, LATHE_BAD_PLAN, s->name, advice, "operand %u ('%s') lies in memory in another way than its problem says", i, v->name);
        }
        if (!managed && (v->storage == LT_STORE_MANAGED || (!input && (o->flags & LATHE_OPERAND_BOUNDED) && !v->bounded))) {
            return LT_FAIL(diag, LATHE_BAD_PLAN, s->name, advice, "operand %u ('%s') has no storage of its extents", i, v->name);
        }
    }
    return LATHE_OK;
}

/* The formats in the problem's text are those that were chosen; asking the tactic again confirms that it still agrees. */
static lathe_status check_fit(lathe_engine *engine, const lt_ready_step *step, lathe_fit *fit, lathe_diag *diag)
{
    const char *name = step->plan->name;
    if (!lt_tactic_ask(step->tactic, step->plan->config, step->problem, lt_runtime_features(engine->runtime), &engine->arena, fit)) {
        return !fit->in ? LT_OOM(diag) : LT_FAIL(diag, LATHE_NEEDS_RETUNE, name, "re-tune the plan on this machine: lathe retune", "tactic %s does not fit: %s",
                       step->tactic->name, fit->why);
    }
    for (size_t i = 0; i < step->problem->n_in + step->problem->n_out; i++) {
        bool input = i < step->problem->n_in;
        const lathe_operand *o = input ? &step->problem->in[i] : &step->problem->out[i - step->problem->n_in];
        const lathe_format *want = input ? &fit->in[i] : &fit->out[i - step->problem->n_in];
        if (!(o->flags & LATHE_OPERAND_ABSENT) && !(input && fit->pack[i]) && !lt_format_same(&o->format, want)) {
            return LT_FAIL(diag, LATHE_NEEDS_RETUNE, name, "re-tune the plan on this machine: lathe retune",
                           "tactic %s wants another format for operand %zu than the plan has", step->tactic->name, i);
        }
    }
    return LATHE_OK;
}

/* A packed blob is as long as its pack makes it. */
static bool pack_fits(const lt_plan_blob *b)
{
    const lathe_pack *pack = lt_pack_find(b->pack);
    lathe_tensor t = {.struct_size = sizeof t};
    size_t bytes;
    return pack && pack->version == b->pack_version && lt_tensor_shape(&t, b->dtype, b->rank, b->dims, b->name, NULL) == LATHE_OK &&
           lt_pack_bytes(b->pack, &t, b->param, &bytes) && bytes == b->bytes;
}

static lathe_status check_pack(const lathe_engine *engine, const lt_plan_program *p, const lt_ready_step *step, const lathe_fit *fit, lathe_diag *diag)
{
    for (uint32_t i = 0; i < step->plan->n_in; i++) {
        if (step->plan->in[i] == LT_PLAN_NONE) {
            continue;
        }
        const lt_plan_value *v = &p->values[step->plan->in[i]];
        const lt_plan_blob *blob = v->storage == LT_STORE_BLOB ? &engine->plan->blobs[v->index] : NULL;
        const char *have = blob ? blob->pack : "", *want = fit->pack[i] ? fit->pack[i] : "";
        if (strcmp(have, want) != 0 || (blob && have[0] && memcmp(blob->param, fit->pack_param[i], sizeof blob->param) != 0)) {
            return LT_FAIL(diag, LATHE_NEEDS_RETUNE, step->plan->name, "re-tune the plan on this machine: lathe retune",
                           "operand %u is packed as '%s', tactic %s wants '%s'", i, have, step->tactic->name, want);
        }
        if (blob && have[0] && !pack_fits(blob)) {
            return LT_FAIL(diag, LATHE_NEEDS_RETUNE, step->plan->name, "re-tune the plan: lathe retune", "'%s' was packed by another version of %s", blob->name,
                           have);
        }
    }
    return LATHE_OK;
}

static lathe_status resolve_step(lathe_engine *engine, const lt_plan_program *p, const lt_plan_step *plan, lt_ready_step *out, lathe_diag *diag)
{
    out->plan = plan;
    lathe_problem *problem;
    LT_TRY(lt_problem_parse(&engine->arena, plan->problem, strlen(plan->problem), &problem, diag));
    out->problem = problem;
    out->tactic = lt_tactic_find(plan->tactic);
    if (!out->tactic || out->tactic->version != plan->tactic_version) {
        return LT_FAIL(diag, LATHE_NEEDS_RETUNE, plan->name, "re-tune the plan: lathe retune", "this build of Lathe has no tactic %s version %u", plan->tactic,
                       plan->tactic_version);
    }
    out->space = out->tactic->device;
    LT_TRY(check_operands(engine->plan, p, plan, problem, diag));
    lathe_fit fit;
    LT_TRY(check_fit(engine, out, &fit, diag));
    LT_TRY(check_pack(engine, p, out, &fit, diag));
    out->in_place = fit.in_place;
    for (uint32_t i = 0; i < plan->n_in + plan->n_out; i++) {
        uint32_t number = i < plan->n_in ? plan->in[i] : plan->out[i - plan->n_in];
        out->late |= number != LT_PLAN_NONE && p->values[number].bounded;
    }
    const lt_op *op = lt_op_find(problem->domain, problem->op);
    for (uint32_t i = 0; op && (op->traits & LT_OP_RANDOM) && i < plan->n_out && !out->random; i++) {
        out->random = plan->out[i] != LT_PLAN_NONE ? p->values[plan->out[i]].name : NULL;
    }
    for (size_t i = 0; i < problem->n_out; i++) {
        out->managed |= (problem->out[i].flags & LATHE_OPERAND_MANAGED) != 0;
    }
    return LATHE_OK;
}

static bool reads_host_inputs(const lt_plan_program *p)
{
    for (uint32_t i = 0; i < p->bind_exprs; i++) {
        if (p->exprs[i].kind == LT_EXPR_VALUE_ELEM) {
            return true;
        }
    }
    return false;
}

/* Whatever has storage of a size needs extents, or bounds of them, that are known when inputs are bound. */
static lathe_status check_extents(const lt_plan_program *p, const lt_plan_value *v, lathe_diag *diag)
{
    if (v->storage == LT_STORE_MANAGED) {
        return LATHE_OK;
    }
    bool known = v->rank >= 0 && v->format.rank == v->rank;
    for (int i = 0; i < v->rank; i++) {
        known = known && (v->bounded ? v->bound[i] : v->dims[i]) < p->bind_exprs;
    }
    return known ? LATHE_OK : LT_FAIL(diag, LATHE_BAD_PLAN, v->name, "build the plan again", "'%s' has no bound on its size", v->name);
}

static lathe_status resolve_program(lathe_engine *engine, const lt_plan_program *p, lt_ready_program *out, lathe_diag *diag)
{
    out->plan = p;
    out->host_shapes = reads_host_inputs(p);
    out->steps = LT_ARENA_ARRAY(&engine->arena, lt_ready_step, p->n_steps + 1);
    if (!out->steps) {
        return LT_OOM(diag);
    }
    out->cut_of = LT_ARENA_ARRAY(&engine->arena, uint32_t, (size_t)p->n_values + 1);
    if (!out->cut_of) {
        return LT_OOM(diag);
    }
    for (uint32_t i = 0; i < p->n_cuts; i++) {
        out->cut_of[p->cuts[i].value] = i + 1;
    }
    for (uint32_t i = 0; i < p->n_values; i++) {
        LT_TRY(lt_format_verify(&p->values[i].format, diag));
        LT_TRY(check_extents(p, &p->values[i], diag));
    }
    for (uint32_t i = 0; i < p->n_lanes; i++) {
        if (!lt_backend_of(p->lanes[i].space)) {
            return LT_FAIL(diag, LATHE_NEEDS_RETUNE, NULL, "re-tune the plan for another device", "this build of Lathe has no device for lane %u", i);
        }
    }
    for (uint32_t i = 0; i < p->n_steps; i++) {
        LT_TRY(resolve_step(engine, p, &p->steps[i], &out->steps[i], diag));
    }
    for (uint32_t i = 0; i < p->n_instrs; i++) {
        const lt_plan_instr *in = &p->instrs[i];
        if (in->op == LT_I_STEP && p->lanes[in->lane].space != out->steps[in->a].space) {
            return LT_FAIL(diag, LATHE_BAD_PLAN, p->steps[in->a].name, "build the plan again", "step '%s' is on a lane of another device", p->steps[in->a].name);
        }
    }
    return LATHE_OK;
}

lathe_status lt_engine_prepare(lathe_engine *engine, lathe_diag *diag)
{
    const lt_plan_variant *v = engine->variant;
    LT_TRY(load_weights(engine, diag));
    engine->programs = LT_ARENA_ARRAY(&engine->arena, lt_ready_program, v->n_programs + 1);
    if (!engine->programs) {
        return LT_OOM(diag);
    }
    for (uint32_t i = 0; i < v->n_programs; i++) {
        LT_TRY(resolve_program(engine, &engine->plan->programs[v->programs[i]], &engine->programs[i], diag));
    }
    return LATHE_OK;
}

/* ---- Variants ---- */

/* The highest ISA level that the machine has in full. */
static const char *level_of(uint64_t features)
{
    static const char *const names[] = {"avx512", "avx2"};
    for (size_t i = 0; i < LT_COUNT(names); i++) {
        uint64_t level = lt_cpu_level(names[i]) & (((uint64_t)1 << LT_CPU_FEATURES) - 1);
        if ((features & level) == level) {
            return names[i];
        }
    }
    return "base";
}

/* Is the word in a list that is separated by " or "? */
static bool names(const char *list, const char *word)
{
    size_t n = strlen(word);
    for (const char *at = list; (at = strstr(at, word)); at += n) {
        if ((at == list || at[-1] == ' ') && (at[n] == '\0' || at[n] == ' ')) {
            return true;
        }
    }
    return false;
}

/* What keeps each variant from running here. */
static lathe_status refuse_variants(const lathe_engine *engine, const char *device, uint64_t features, lathe_diag *diag)
{
    const lt_plan *plan = engine->plan;
    char text[400] = "", why[512] = "", advice[160];
    size_t at = 0;
    snprintf(advice, sizeof advice, "add a variant for this machine: lathe retune; or build with --target %s, among others", level_of(features));
    for (uint32_t i = 0; i < plan->n_variants && at < sizeof text; i++) {
        const lt_plan_variant *v = &plan->variants[i];
        const char *missing = lt_plan_variant_lacks(v, features);
        if (device && !lt_streq(device, v->device)) {
            continue;
        }
        if (missing && !names(text, missing)) {
            at += (size_t)snprintf(text + at, sizeof text - at, "%s%s", at ? " or " : "", missing);
        } else if (!missing && !lt_sources_here(v->sources, why, sizeof why)) {
            return LT_FAIL(diag, LATHE_NEEDS_RETUNE, plan->model_name, advice, "%s", why);
        }
    }
    return LT_FAIL(diag, LATHE_NEEDS_RETUNE, plan->model_name, advice, at > 0 ? "the plan needs %s, which this machine lacks" : "the plan has no variant for device %s",
                   at > 0 ? text : device ? device : "cpu");
}

/* By the rule of lt_plan_pick, among the variants whose sources are here. */
static lathe_status pick_variant(lathe_engine *engine, const char *device, lathe_diag *diag)
{
    const lt_plan *plan = engine->plan;
    uint64_t features = lt_runtime_features(engine->runtime);
    char why[512];
    bool *barred = LT_ARENA_ARRAY(&engine->arena, bool, plan->n_variants + 1u);
    if (!barred) {
        return LT_OOM(diag);
    }
    for (uint32_t i = 0; i < plan->n_variants; i++) {
        barred[i] = !lt_plan_variant_lacks(&plan->variants[i], features) && !lt_sources_here(plan->variants[i].sources, why, sizeof why);
    }
    uint32_t picked = lt_plan_pick(plan, device, features, lathe_runtime_threads(engine->runtime), barred);
    if (picked == LT_PLAN_NONE) {
        return refuse_variants(engine, device, features, diag);
    }
    engine->variant = &plan->variants[picked];
    return LATHE_OK;
}

/* ---- Loading ---- */

typedef struct spread { /* lt_parallel_for over the pool */
    uint32_t n;
    void (*fn)(void *arg, uint32_t i);
    void *arg;
} spread;

static void spread_part(void *user, const lathe_gang *gang)
{
    const spread *s = user;
    for (uint32_t i = (uint32_t)gang->index; i < s->n; i += (uint32_t)gang->count) {
        s->fn(s->arg, i);
    }
}

static void parallel_for(void *user, uint32_t n, void (*fn)(void *arg, uint32_t i), void *arg)
{
    spread s = {n, fn, arg};
    lt_pool_run(user, n > 1 ? lt_pool_threads(user) : 1, spread_part, &s);
}

static lathe_status decode(lathe_engine *engine, const void *data, size_t size, const lathe_load_options *o, lathe_diag *diag)
{
    lt_plan *plan;
    engine->plan_bytes = size;
    lt_pool *pool = lt_runtime_pool(engine->runtime);
    LT_TRY(lt_plan_decode(data, size, o->verify_full ? LT_PLAN_VERIFY_FULL : 0, pool ? parallel_for : NULL, pool, &engine->arena, &plan, diag));
    engine->plan = plan;
    engine->weights = LT_ARENA_ARRAY(&engine->arena, lt_weight, plan->n_blobs + 1);
    if (!engine->weights) {
        return LT_OOM(diag);
    }
    LT_TRY(pick_variant(engine, o->device, diag));
    return lt_engine_prepare(engine, diag);
}

static lathe_status new_engine(lathe_runtime *runtime, const lathe_load_options **options, lathe_engine **out, lathe_diag *diag)
{
    static const lathe_load_options none = {.struct_size = sizeof none};
    *options = *options ? *options : &none;
    if (!out || (*options)->struct_size != sizeof none) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, NULL, "set struct_size to sizeof(lathe_load_options)", "bad arguments to lathe_engine_load");
    }
    *out = NULL;
    runtime = runtime ? runtime : lt_runtime_default();
    const lathe_allocator *allocator = lt_runtime_allocator(runtime);
    lathe_engine *engine = LT_NEW(allocator, lathe_engine);
    if (!engine) {
        return LT_OOM(diag);
    }
    engine->runtime = runtime;
    engine->allocator = allocator;
    lt_arena_init(&engine->arena, allocator);
    atomic_init(&engine->references, 1);
    *out = engine;
    return LATHE_OK;
}

/* Numbers in the texts of problems are read in the default floating-point mode. */
static lathe_status decode_in_mode(lathe_engine *engine, const void *data, size_t size, const lathe_load_options *o, lathe_diag *diag)
{
    uint32_t mode = lt_float_mode_enter();
    lathe_status status = decode(engine, data, size, o, diag);
    lt_float_mode_leave(mode);
    return status;
}

static lathe_status finish(lathe_engine **out, lathe_status status)
{
    if (status == LATHE_OK) {
        lt_rt_say_load(*out);
    }
    if (status != LATHE_OK) {
        lathe_engine_destroy(*out);
        *out = NULL;
    }
    return status;
}

lathe_status lathe_engine_load(lathe_runtime *runtime, const char *path, const lathe_load_options *options, lathe_engine **out, lathe_diag *diag)
{
    LT_TRY(new_engine(runtime, &options, out, diag));
    lathe_engine *engine = *out;
    lathe_status status = options->copy ? lt_file_read(&engine->file, path, engine->allocator, diag) : lt_file_map(&engine->file, path, diag);
    engine->own_file = status == LATHE_OK;
    if (status == LATHE_OK) {
        status = decode_in_mode(engine, engine->file.data, engine->file.size, options, diag);
    }
    return finish(out, status);
}

lathe_status lathe_engine_load_memory(lathe_runtime *runtime, const void *data, size_t size, const lathe_load_options *options, lathe_engine **out,
                                      lathe_diag *diag)
{
    LT_TRY(new_engine(runtime, &options, out, diag));
    lathe_engine *engine = *out;
    if (options->copy || ((uintptr_t)data & 63) != 0) { /* kernels count on 64-byte alignment of weights */
        void *copy = lt_arena_copy(&engine->arena, data, size, 64);
        if (!copy) {
            return finish(out, LT_OOM(diag));
        }
        data = copy;
    }
    return finish(out, decode_in_mode(engine, data, size, options, diag));
}

void lt_engine_retain(lathe_engine *engine)
{
    atomic_fetch_add_explicit(&engine->references, 1, memory_order_relaxed);
}

void lathe_engine_destroy(lathe_engine *engine)
{
    while (engine && atomic_fetch_sub_explicit(&engine->references, 1, memory_order_acq_rel) == 1) {
        lathe_engine *parent = engine->parent;
        if (engine->own_file) {
            lt_file_close(&engine->file);
        }
        lt_arena_destroy(&engine->arena);
        LT_DELETE(engine->allocator, engine);
        engine = parent;
    }
}

const lt_plan *lt_engine_plan(const lathe_engine *engine)
{
    return engine->plan;
}
