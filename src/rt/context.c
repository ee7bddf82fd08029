/*
 * context.c - lathe_context: bindings, readiness, runs, results, profile. The public face of the runtime's second half.
 */
#include "rt/rt_internal.h"
#include <string.h>

static lt_binding *find(const lathe_context *c, const char *name, bool output, uint32_t *index)
{
    const lt_plan *plan = c->engine->plan;
    uint32_t n = output ? plan->n_outputs : plan->n_inputs;
    for (uint32_t i = 0; i < n; i++) {
        if (lt_streq((output ? plan->outputs : plan->inputs)[i].name, name)) {
            *index = i;
            return output ? &c->outputs[i] : &c->inputs[i];
        }
    }
    return NULL;
}

/* One record that names what there is. */
static lathe_status no_such(const lathe_context *c, const char *name, bool output, lathe_diag *diag)
{
    const lt_plan *plan = c->engine->plan;
    char list[256] = "";
    size_t at = 0;
    uint32_t n = output ? plan->n_outputs : plan->n_inputs;
    for (uint32_t i = 0; i < n && at < sizeof list - 1; i++) {
        int wrote = snprintf(list + at, sizeof list - at, "%s%s", i ? ", " : "it has ", (output ? plan->outputs : plan->inputs)[i].name);
        at += wrote > 0 ? (size_t)wrote : 0;
    }
    return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, plan->model_name, list, "the network has no %s '%s'", output ? "output" : "input", name ? name : "(null)");
}

/* ---- Making ---- */

static lathe_status open_devices(lathe_context *c, lathe_diag *diag)
{
    const lathe_engine *e = c->engine;
    uint32_t most = 0;
    for (uint32_t i = 0; i < e->variant->n_programs; i++) {
        most += e->programs[i].plan->n_lanes;
    }
    c->devices = lt_alloc_array(c->allocator, (size_t)most + 1, sizeof *c->devices, _Alignof(lt_open_device));
    if (!c->devices) {
        return LT_OOM(diag);
    }
    for (uint32_t i = 0; i < e->variant->n_programs; i++) {
        const lt_plan_program *p = e->programs[i].plan;
        for (uint32_t k = 0; k < p->n_lanes; k++) {
            const lt_plan_lane *l = &p->lanes[k];
            if (l->space == LATHE_SPACE_HOST || lt_context_device(c, l->space, l->ordinal)) {
                continue;
            }
            lt_open_device d = {.backend = lt_backend_of(l->space), .ordinal = l->ordinal};
            LT_TRY(d.backend->open(d.backend, l->ordinal, c->allocator, &d.device, diag));
            c->devices[c->n_devices++] = d;
        }
    }
    return LATHE_OK;
}

static size_t device_slots(const lathe_context *c)
{
    size_t most = 1;
    for (uint32_t i = 0; i < c->engine->variant->n_programs; i++) {
        most += c->engine->programs[i].plan->n_lanes;
    }
    return most;
}

static lathe_status fill_context(lathe_context *c, const lathe_context_options *o, lathe_diag *diag)
{
    const lathe_engine *e = c->engine;
    c->inputs = lt_alloc_array(c->allocator, (size_t)e->plan->n_inputs + 1, sizeof(lt_binding), _Alignof(lt_binding));
    c->outputs = lt_alloc_array(c->allocator, (size_t)e->plan->n_outputs + 1, sizeof(lt_binding), _Alignof(lt_binding));
    c->states = lt_alloc_array(c->allocator, (size_t)e->variant->n_programs + 1, sizeof(lt_state *), _Alignof(lt_state *));
    if (!c->inputs || !c->outputs || !c->states) {
        return LT_OOM(diag);
    }
    c->profile = -1;
    c->generation = 1;
    c->seed = o->seed;
    int most = lathe_runtime_threads(e->runtime), planned = (int)e->variant->threads;
    c->threads = o->threads > 0 ? o->threads : planned > 0 ? planned : most;
    c->threads = c->threads > most ? most : c->threads;
    LT_TRY(lt_caches_make(c, diag));
    return open_devices(c, diag);
}

lathe_status lathe_context_create(const lathe_engine *engine, const lathe_context_options *options, lathe_context **out, lathe_diag *diag)
{
    static const lathe_context_options none = {.struct_size = sizeof none};
    const lathe_context_options *o = options ? options : &none;
    if (!engine || !out || o->struct_size != sizeof none) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, NULL, "set struct_size to sizeof(lathe_context_options)", "bad arguments to lathe_context_create");
    }
    *out = NULL;
    const lathe_allocator *allocator = o->allocator ? o->allocator : engine->allocator;
    lathe_context *c = LT_NEW(allocator, lathe_context);
    if (!c) {
        return LT_OOM(diag);
    }
    c->engine = (lathe_engine *)engine; /* only its reference count changes */
    lt_engine_retain(c->engine);
    c->allocator = allocator;
    lt_arena_init(&c->scratch, allocator);
    lt_arena_init(&c->copies, allocator);
    lathe_status status = fill_context(c, o, diag);
    if (status != LATHE_OK) {
        lathe_context_destroy(c);
        return status;
    }
    *out = c;
    return LATHE_OK;
}

void lathe_context_destroy(lathe_context *context)
{
    if (!context) {
        return;
    }
    lathe_context *c = context;
    const lt_plan *plan = c->engine->plan;
    uint32_t n_programs = c->engine->variant->n_programs;
    for (uint32_t i = 0; c->states && i < n_programs; i++) {
        lt_state_destroy(c, c->states[i]);
    }
    for (uint32_t i = 0; c->outputs && i < plan->n_outputs; i++) {
        lt_release(c->allocator, c->outputs[i].own, (size_t)c->outputs[i].own_bytes, 64);
    }
    for (uint32_t i = 0; i < c->n_devices; i++) {
        c->devices[i].backend->close(c->devices[i].device);
    }
    lt_release(c->allocator, c->devices, device_slots(c) * sizeof *c->devices, _Alignof(lt_open_device));
    lt_release(c->allocator, c->states, ((size_t)n_programs + 1) * sizeof(lt_state *), _Alignof(lt_state *));
    lt_release(c->allocator, c->inputs, ((size_t)plan->n_inputs + 1) * sizeof(lt_binding), _Alignof(lt_binding));
    lt_release(c->allocator, c->outputs, ((size_t)plan->n_outputs + 1) * sizeof(lt_binding), _Alignof(lt_binding));
    lt_caches_destroy(c);
    lt_arena_destroy(&c->scratch);
    lt_arena_destroy(&c->copies);
    lathe_engine *engine = c->engine;
    LT_DELETE(c->allocator, c);
    lathe_engine_destroy(engine);
}

/* ---- Binding ---- */

/* Tensors go to tensors, everything else takes lathe_context_set_input_any. */
static lathe_status no_tensor(const lt_plan_io *io, bool output, lathe_diag *diag)
{
    static const char *const kinds[] = {"tensor", "sequence", "optional", "map"};
    return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, io->name, output ? "read it with lathe_context_output_any" : "bind it with lathe_context_set_input_any",
                   "%s '%s' is no tensor but a value of kind %s", output ? "output" : "input", io->name, kinds[io->cls]);
}

/* Type, rank, fixed extents, size of the data. */
static lathe_status check_tensor(const lt_plan *plan, uint32_t index, const lathe_tensor *t, lathe_diag *diag)
{
    const lt_plan_io *io = &plan->inputs[index];
    lathe_tensor shape;
    if (io->cls != LT_TENSOR) {
        return no_tensor(io, false, diag);
    }
    if (t->struct_size != sizeof *t) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, io->name, "set struct_size to sizeof(lathe_tensor)", "bad tensor for input '%s'", io->name);
    }
    if (t->dtype != io->dtype) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, io->name, "convert the data", "input '%s' is %s, the tensor %s", io->name, lt_dtype_get(io->dtype)->name,
                       lt_dtype_get(t->dtype)->name);
    }
    if (io->rank >= 0 && t->rank != io->rank) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, io->name, "reshape the data", "input '%s' has rank %d, the tensor %d", io->name, io->rank, t->rank);
    }
    LT_TRY(lt_tensor_shape(&shape, t->dtype, t->rank, t->dims, io->name, diag));
    for (int i = 0; i < io->rank; i++) {
        const lt_plan_equal *e = io->fixed[i] >= 0 && io->fixed[i] != t->dims[i] ? lt_plan_equal_of(plan, index, (uint32_t)i) : NULL;
        if (e) {
            return LT_FAIL(diag, LATHE_BAD_SHAPE, io->name, "give inputs that keep to it, or build the plan without the assumption",
                           "input '%s' has extent %lld on axis %d (%s), the tensor %lld: the plan was built with the assumption %s", io->name,
                           (long long)io->fixed[i], i, e->dim, (long long)t->dims[i], e->text);
        }
        if (io->fixed[i] >= 0 && io->fixed[i] != t->dims[i]) {
            return LT_FAIL(diag, LATHE_BAD_SHAPE, io->name, "give the extent that the model fixes", "input '%s' has extent %lld on axis %d, the tensor %lld",
                           io->name, (long long)io->fixed[i], i, (long long)t->dims[i]);
        }
    }
    if (t->bytes != shape.bytes || (!t->data && shape.bytes > 0)) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, io->name, "bytes must be what dtype and dims make", "input '%s' needs %zu bytes, the tensor has %zu",
                       io->name, shape.bytes, t->data ? t->bytes : 0);
    }
    return LATHE_OK;
}

lathe_status lathe_context_set_input(lathe_context *context, const char *name, const lathe_tensor *tensor, lathe_diag *diag)
{
    uint32_t index;
    lt_binding *b = find(context, name, false, &index);
    if (!b || !tensor) {
        return no_such(context, name, false, diag);
    }
    LT_TRY(check_tensor(context->engine->plan, index, tensor, diag));
    context->ran = false;
    lt_kept *cache = lt_cache_of(context, index, false);
    if (cache) {
        return lt_cache_fill(context, cache, tensor, diag);
    }
    bool same_place = b->bound && b->tensor.data == tensor->data && b->tensor.rank == tensor->rank &&
                      memcmp(b->tensor.dims, tensor->dims, (size_t)tensor->rank * sizeof *tensor->dims) == 0;
    b->tensor = *tensor;
    b->bound = true;
    context->generation += !same_place;
    return LATHE_OK;
}

lathe_status lathe_context_set_input_any(lathe_context *context, const char *name, const lathe_any *any, lathe_diag *diag)
{
    uint32_t index;
    lt_binding *b = find(context, name, false, &index);
    if (!b || !any) {
        return no_such(context, name, false, diag);
    }
    const lt_plan *plan = context->engine->plan;
    const lt_plan_kind *kind = lt_plan_kind_of(plan, index);
    if (!kind && any->cls != LT_TENSOR) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, name, "lathe_engine_io tells the kinds of inputs", "input '%s' is a tensor", name);
    }
    if (!kind) {
        lathe_tensor tensor = any->tensor;
        tensor.struct_size = sizeof tensor;
        return lathe_context_set_input(context, name, &tensor, diag);
    }
    LT_TRY(lt_any_check(kind, plan->inputs[index].name, any, diag));
    b->any = any;
    b->bound = true;
    context->ran = false;
    return LATHE_OK;
}

lathe_status lathe_context_set_output(lathe_context *context, const char *name, void *data, size_t bytes, lathe_diag *diag)
{
    uint32_t index;
    lt_binding *b = find(context, name, true, &index);
    if (!b) {
        return no_such(context, name, true, diag);
    }
    if (context->engine->plan->outputs[index].cls != LT_TENSOR) {
        return no_tensor(&context->engine->plan->outputs[index], true, diag);
    }
    if (lt_cache_of(context, index, true)) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, name, "lathe_context_cache_storage gives memory for the whole capacity",
                       "output '%s' is kept as a cache: it has no memory of its own", name);
    }
    b->bound = data != NULL;
    b->tensor.data = data;
    b->tensor.bytes = bytes;
    context->ran = false;
    context->generation++;
    return LATHE_OK;
}

lathe_status lathe_context_set_profile(lathe_context *context, int profile, lathe_diag *diag)
{
    if (profile < -1 || profile >= (int)context->engine->plan->n_profiles) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, NULL, NULL, "the plan has %u profiles, there is no profile %d", context->engine->plan->n_profiles, profile);
    }
    context->profile = profile;
    context->generation++;
    return LATHE_OK;
}

lathe_status lathe_context_ready(lathe_context *context, lathe_diag *diag)
{
    const lt_plan *plan = context->engine->plan;
    lathe_status status = LATHE_OK;
    for (uint32_t i = 0; i < plan->n_inputs; i++) {
        if (!context->inputs[i].bound && !lt_cache_of(context, i, false)) {
            status = LT_FAIL(diag, LATHE_NOT_READY, plan->inputs[i].name,
                             plan->inputs[i].cls == LT_TENSOR ? "call lathe_context_set_input" : "call lathe_context_set_input_any", "input '%s' is not bound", plan->inputs[i].name);
        }
    }
    return status;
}

/* ---- Running ---- */

/* What the caller gets: the value's own storage where it is host and plain, else a copy into the output's memory. */
static lathe_status fetch_output(lathe_context *c, lt_state *s, uint32_t index, lathe_diag *diag)
{
    const lt_plan_program *p = s->program->plan;
    uint32_t number = p->outputs[index];
    const lt_plan_value *v = &p->values[number];
    lt_binding *b = &c->outputs[index];
    if (lt_cache_of(c, index, true)) { /* copied for those who ask: result_of */
        b->any = &b->view;
        return LATHE_OK;
    }
    if (v->cls != LT_TENSOR) {
        b->any = &s->cells[number].any;
        return b->any->cls == v->cls ? LATHE_OK : LT_FAIL(diag, LATHE_BAD_PLAN, v->name, "build the plan again", "output '%s' is of another kind", v->name);
    }
    LT_TRY(lt_cell_tensor(c, s, number, &c->copies, &b->result, diag));
    b->any = &b->view;
    if (!b->bound || b->result.data == b->tensor.data) {
        return LATHE_OK;
    }
    if (b->tensor.bytes < b->result.bytes) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, v->name, "give a larger buffer", "output '%s' needs %zu bytes, the buffer has %zu", v->name, b->result.bytes,
                       b->tensor.bytes);
    }
    if (b->result.bytes > 0) {
        memcpy(b->tensor.data, b->result.data, b->result.bytes);
    }
    b->result.data = b->tensor.data;
    return LATHE_OK;
}

static lathe_status run(lathe_context *context, lathe_diag *diag)
{
    context->ran = false;
    LT_TRY(lathe_context_ready(context, diag));
    LT_TRY(lt_context_bind(context, diag));
    LT_TRY(lt_context_execute(context, context->current, diag));
    context->run++;
    lt_arena_reset_whole(&context->copies);
    LT_TRY(lt_caches_after(context, context->current, diag));
    for (uint32_t i = 0; i < context->engine->plan->n_outputs; i++) {
        LT_TRY(fetch_output(context, context->current, i, diag));
    }
    context->ran = true;
    return LATHE_OK;
}

lathe_status lathe_context_run(lathe_context *context, lathe_diag *diag)
{
    uint32_t mode = lt_float_mode_enter();
    lathe_status status = run(context, diag);
    lt_float_mode_leave(mode);
    return status;
}

/* Caches have rows apart, and callers rarely look at them. */
static lathe_status result_of(lathe_context *context, uint32_t index, lathe_diag *diag)
{
    lt_kept *cache = lt_cache_of(context, index, true);
    return cache ? lt_cache_tensor(context, cache, &context->outputs[index].result, diag) : LATHE_OK;
}

lathe_status lathe_context_output(lathe_context *context, const char *name, lathe_tensor *tensor, lathe_diag *diag)
{
    uint32_t index;
    lt_binding *b = find(context, name, true, &index);
    if (!b || !tensor) {
        return no_such(context, name, true, diag);
    }
    if (!context->ran) {
        return LT_FAIL(diag, LATHE_NOT_READY, name, "call lathe_context_run", "there is no result of '%s' for the present bindings", name);
    }
    if (context->engine->plan->outputs[index].cls != LT_TENSOR) {
        return no_tensor(&context->engine->plan->outputs[index], true, diag);
    }
    LT_TRY(result_of(context, index, diag));
    *tensor = b->result;
    return LATHE_OK;
}

lathe_status lathe_context_output_any(lathe_context *context, const char *name, const lathe_any **any, lathe_diag *diag)
{
    uint32_t index;
    lt_binding *b = find(context, name, true, &index);
    if (!b || !any) {
        return no_such(context, name, true, diag);
    }
    if (!context->ran) {
        return LT_FAIL(diag, LATHE_NOT_READY, name, "call lathe_context_run", "there is no result of '%s' for the present bindings", name);
    }
    LT_TRY(result_of(context, index, diag));
    b->view = (lt_any){.cls = LT_TENSOR, .tensor = b->result}; /* of tensors */
    *any = b->any;
    return LATHE_OK;
}

lathe_status lathe_context_output_shape(lathe_context *context, const char *name, int *rank, int64_t *dims, lathe_diag *diag)
{
    uint32_t index;
    if (!find(context, name, true, &index)) {
        return no_such(context, name, true, diag);
    }
    LT_TRY(lathe_context_ready(context, diag));
    uint32_t mode = lt_float_mode_enter(); /* some extents are computed in f32 */
    lathe_status status = lt_context_bind(context, diag);
    lt_float_mode_leave(mode);
    LT_TRY(status);
    const lt_plan_program *p = context->current->program->plan;
    const lt_plan_value *v = &p->values[p->outputs[index]];
    *rank = v->rank;
    for (int i = 0; i < v->rank; i++) {
        dims[i] = v->dims[i] < p->bind_exprs ? context->current->exprs[v->dims[i]] : -1;
    }
    return LATHE_OK;
}

/* ---- Profile, inspection ---- */

lathe_status lathe_context_profile(lathe_context *context, int on, lathe_diag *diag)
{
    (void)diag;
    context->profiling = on != 0;
    return LATHE_OK;
}

size_t lathe_context_steps(const lathe_context *context)
{
    return context->current ? context->current->program->plan->n_steps : 0;
}

lathe_status lathe_context_step(const lathe_context *context, size_t index, lathe_step_profile *profile, lathe_diag *diag)
{
    if (index >= lathe_context_steps(context) || profile->struct_size != sizeof *profile) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, NULL, "set struct_size to sizeof(lathe_step_profile)", "there is no step %zu", index);
    }
    const lt_plan_step *s = &context->current->program->plan->steps[index];
    const lt_timing *t = &context->current->timings[index];
    *profile = (lathe_step_profile){.struct_size = sizeof *profile, .name = s->name, .class_name = s->class_name, .tactic = s->tactic, .problem = s->problem,
                                    .calls = t->calls, .total_ms = (double)t->total_ns / 1e6, .min_ms = (double)t->min_ns / 1e6};
    return LATHE_OK;
}

uint64_t lathe_context_bytes(const lathe_context *context)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < context->engine->variant->n_programs; i++) {
        for (int space = 0; context->states[i] && space < 3; space++) {
            total += context->states[i]->arena_bytes[space] + context->states[i]->scratch_bytes[space];
        }
    }
    for (uint32_t i = 0; i < context->engine->plan->n_outputs; i++) {
        total += context->outputs[i].own_bytes;
    }
    return total + lt_caches_bytes(context);
}

lathe_status lathe_context_run_visit(lathe_context *context, lathe_visit_fn visit, void *user, lathe_diag *diag)
{
    context->visit = visit;
    context->visit_user = user;
    lathe_status status = lathe_context_run(context, diag);
    context->visit = NULL;
    return status;
}
