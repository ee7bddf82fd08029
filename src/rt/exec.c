/*
 * exec.c - runs a program once. One parallel region: thread 0 walks the instructions and publishes CPU steps; the others of the gang join each step
 * between two barriers. Device lanes are fed by thread 0.
 */
#include "rt/rt_internal.h"
#include <string.h>

typedef struct run {
    lathe_context *context;
    lt_state *state;
    const lathe_gang *gang;
    const lt_ready_step *step; /* published; NULL: the run is over */
    lathe_call call;
    _Atomic int failed;        /* status of a step on another thread than 0 */
    lathe_diag *diag;
    lathe_status status;
} run;

static void no_barrier(const lathe_gang *gang)
{
    (void)gang;
}

/* ---- Steps ---- */

/* Extents that only this run knows: upper bounds for steps that will set them, worked out values for the rest. */
static lathe_status refresh_outputs(run *r, const lt_ready_step *step)
{
    const lt_plan_program *p = r->state->program->plan;
    for (uint32_t i = 0; i < step->plan->n_out; i++) {
        uint32_t number = step->plan->out[i];
        if (number == LT_PLAN_NONE || !p->values[number].bounded) {
            continue;
        }
        const lt_plan_value *v = &p->values[number];
        lt_cell *cell = &r->state->cells[number];
        bool sets = step->problem->out[i].flags & LATHE_OPERAND_BOUNDED;
        for (int d = 0; d < v->rank; d++) {
            int64_t bound = r->state->exprs[v->bound[d]], extent = sets ? bound : r->state->exprs[v->dims[d]];
            if (extent < step->problem->out[i].dims[d].min || extent > bound) {
                return LT_FAIL(r->diag, LATHE_BAD_SHAPE, step->plan->name, "this is a bug in Lathe: please report it",
                               "'%s' would have extent %lld on axis %d, planned were at most %lld", v->name, (long long)extent, d, (long long)bound);
            }
            cell->dims[d] = extent;
        }
    }
    return LATHE_OK;
}

static void run_published(run *r, const lathe_gang *gang, lathe_diag *diag)
{
    lathe_status status = r->step->tactic->run(gang, &r->call, diag);
    if (status != LATHE_OK) {
        atomic_store_explicit(&r->failed, (int)status, memory_order_relaxed);
    }
}

static lathe_status run_on_cpu(run *r, const lt_ready_step *step, bool alone)
{
    r->step = step;
    if (alone || r->gang->count == 1) {
        lathe_gang one = {.index = 0, .count = 1, .barrier = no_barrier};
        run_published(r, &one, r->diag);
    } else {
        r->gang->barrier(r->gang);
        run_published(r, r->gang, r->diag);
        r->gang->barrier(r->gang);
    }
    lathe_status status = (lathe_status)atomic_load_explicit(&r->failed, memory_order_relaxed);
    if (status != LATHE_OK) {
        LT_FAIL(r->diag, status, step->plan->name, "the failure before this one says why",
                "step '%s' failed (tactic %s)", step->plan->name, step->tactic->name);
    }
    return status;
}

static lt_open_device *device_of(run *r, uint32_t lane)
{
    const lt_plan_lane *l = &r->state->program->plan->lanes[lane];
    return lt_context_device(r->context, l->space, l->ordinal);
}

/* What lt_eval.node is: by the name of the step's first output, as in the reference, and by how often the step ran before in this run. */
static uint64_t random_key(run *r, uint32_t number)
{
    const lt_ready_step *step = &r->state->program->steps[number];
    lt_drawn *drawn = &r->state->drawn[number];
    if (!step->random) {
        return 0;
    }
    if (drawn->run != r->context->run + 1) { /* runs count from 0, tables are zeroed */
        *drawn = (lt_drawn){.run = r->context->run + 1};
    }
    return lt_random_key(step->random, drawn->count++);
}

static lathe_status run_step(run *r, uint32_t lane, uint32_t number)
{
    lt_state *s = r->state;
    const lt_ready_step *step = &s->program->steps[number];
    lathe_buffer *row = &s->buffers[s->first_buffer[number]];
    LT_TRY(refresh_outputs(r, step));
    if (lt_rt_talks(r->context->engine, 2)) {
        lt_rt_say_step(r->context, s, number);
    }
    if (step->late && step->tactic->prepare) { /* bind could only guess */
        LT_TRY(lt_prepare_step(r->context, s, number, r->diag));
    }
    lt_trace *trace = r->context->engine->runtime ? r->context->engine->runtime->trace : NULL;
    int64_t start = r->context->profiling || trace ? lt_now_ns() : 0;
    lt_host host = {.scratch = &r->context->scratch, .keep = &s->heaps[number], .seed = r->context->seed + r->context->run * 0x9e3779b97f4a7c15u, .node = random_key(r, number)};
    r->call = (lathe_call){.struct_size = sizeof r->call, .problem = step->problem, .config = step->plan->config, .in = row, .out = row + step->plan->n_in,
                           .scratch = s->scratch[step->space], .state = s->prepared[number]};
    lathe_status status;
    if (step->space == LATHE_SPACE_HOST) {
        lt_arena_reset_whole(host.scratch);
        if (step->managed) {
            lt_arena_reset_whole(host.keep);
        }
        r->call.host = &host;
        status = run_on_cpu(r, step, s->alone[number]);
    } else {
        lt_open_device *d = device_of(r, lane);
        LT_CHECK(r->diag, d != NULL && d->backend->space == step->space, step->plan->name);
        int32_t queue = s->program->plan->lanes[lane].queue;
        status = d->backend->step(d->device, queue, step->tactic, &r->call, r->diag);
        if (status == LATHE_OK && r->context->profiling) {
            status = d->backend->sync(d->device, queue, r->diag);
        }
    }
    if (trace) {
        lt_trace_event(trace, step->plan->class_name, step->plan->name, 0, start, lt_now_ns());
    }
    if (r->context->profiling && status == LATHE_OK) {
        int64_t took = lt_now_ns() - start;
        lt_timing *t = &s->timings[number];
        t->min_ns = t->calls == 0 || took < t->min_ns ? took : t->min_ns;
        t->total_ns += took;
        t->calls++;
    }
    return status;
}

/* ---- Copies ---- */

static lathe_status clone_any(lt_arena *heap, const lt_any *from, lt_any *to, int depth, lathe_diag *diag)
{
    *to = *from;
    if (depth > LT_MAX_DEPTH) {
        return LT_FAIL(diag, LATHE_UNSUPPORTED, NULL, NULL, "values nest deeper than %d", LT_MAX_DEPTH);
    }
    if (from->cls == LT_TENSOR) {
        const lt_tensor *t = &from->tensor;
        LT_TRY(lt_tensor_alloc(heap, &to->tensor, t->dtype, t->rank, t->dims, "value", diag));
        if (t->dtype != LATHE_DTYPE_STRING) {
            if (t->bytes > 0) {
                memcpy(to->tensor.data, t->data, t->bytes);
            }
            return LATHE_OK;
        }
        const lathe_bytes *src = t->data;
        lathe_bytes *dst = to->tensor.data;
        for (int64_t i = 0; i < lt_tensor_count(t); i++) {
            dst[i] = (lathe_bytes){lt_arena_strn(heap, src[i].data ? src[i].data : "", src[i].length), src[i].length};
            if (!dst[i].data) {
                return LT_OOM(diag);
            }
        }
        return LATHE_OK;
    }
    to->items = LT_ARENA_ARRAY(heap, lt_any, from->count + 1);
    if (!to->items) {
        return LT_OOM(diag);
    }
    for (size_t i = 0; i < from->count; i++) {
        LT_TRY(clone_any(heap, &from->items[i], &to->items[i], depth + 1, diag));
    }
    return LATHE_OK;
}

/* A host value as lt_any: managed ones as they are, others as a view. */
static lathe_status any_of(run *r, uint32_t value, lt_any *out)
{
    const lt_plan_value *v = &r->state->program->plan->values[value];
    const lt_cell *cell = &r->state->cells[value];
    if (v->storage == LT_STORE_MANAGED || v->dtype == LATHE_DTYPE_STRING) {
        *out = cell->any;
        return LATHE_OK;
    }
    *out = (lt_any){.cls = LT_TENSOR};
    LT_TRY(lt_tensor_shape(&out->tensor, v->dtype, cell->rank, cell->dims, v->name, r->diag));
    out->tensor.data = cell->data;
    return LATHE_OK;
}

/*
 * A value of a loop may be optional on the way in and no longer on the way round: its element makes an optional that has it, and the other way about.
 * heap: for the item of an optional that is made.
 */
static lathe_status suit_class(run *r, const lt_plan_value *to, lt_any *any, lt_arena *heap)
{
    if (any->cls == to->cls) {
        return LATHE_OK;
    }
    if (to->cls == LT_OPTIONAL && heap) {
        lt_any *item = LT_ARENA_NEW(heap, lt_any);
        if (!item) {
            return LT_OOM(r->diag);
        }
        *item = *any;
        *any = (lt_any){.cls = LT_OPTIONAL, .items = item, .count = 1};
        return LATHE_OK;
    }
    if (any->cls == LT_OPTIONAL && any->count == 0) {
        return LT_FAIL(r->diag, LATHE_BAD_SHAPE, to->name, NULL, "'%s' would be an optional without a value", to->name);
    }
    if (any->cls == LT_OPTIONAL && any->items[0].cls == to->cls) {
        *any = any->items[0];
        return LATHE_OK;
    }
    return LT_FAIL(r->diag, LATHE_BAD_PLAN, to->name, "build the plan again", "'%s' would be a value of another kind", to->name);
}

/* heap: for managed destinations that must own their elements; NULL: they share them. */
static lathe_status copy_value(run *r, uint32_t lane, uint32_t from, uint32_t to, lt_arena *heap)
{
    const lt_plan_value *a = &r->state->program->plan->values[from], *b = &r->state->program->plan->values[to];
    lt_cell *src = &r->state->cells[from], *dst = &r->state->cells[to];
    if (b->storage == LT_STORE_MANAGED) {
        lt_any any;
        LT_TRY(any_of(r, from, &any));
        LT_TRY(suit_class(r, b, &any, heap));
        dst->any = any;
        return heap ? clone_any(heap, &any, &dst->any, 0, r->diag) : LATHE_OK;
    }
    const void *data = src->data;
    int rank = src->rank;
    const int64_t *dims = src->dims;
    lt_any any;
    lathe_format same = a->format;
    same.space = b->format.space;
    if (a->storage == LT_STORE_MANAGED) {
        any = src->any;
        LT_TRY(suit_class(r, b, &any, NULL));
        data = any.tensor.data;
        rank = any.tensor.rank;
        dims = any.tensor.dims;
        same = lt_format_plain(any.tensor.dtype, b->rank, b->format.space);
    }
    size_t bytes;
    if (rank != b->rank || !lt_format_same(&same, &b->format) || !lt_format_bytes(&b->format, rank, dims, &bytes) || bytes > dst->bytes) {
        return LT_FAIL(r->diag, LATHE_BAD_SHAPE, b->name, NULL, "'%s' does not fit into '%s'", a->name, b->name);
    }
    memcpy(dst->dims, dims, sizeof dst->dims);
    lathe_space in = a->format.space, out = b->format.space;
    if (in == LATHE_SPACE_HOST && out == LATHE_SPACE_HOST) {
        if (bytes > 0 && dst->data != data) {
            memmove(dst->data, data, bytes);
        }
        return LATHE_OK;
    }
    lt_open_device *d = device_of(r, lane);
    LT_CHECK(r->diag, d != NULL, b->name);
    int32_t queue = r->state->program->plan->lanes[lane].queue;
    lt_devptr p = (lt_devptr)(uintptr_t)dst->data, q = (lt_devptr)(uintptr_t)data;
    if (in == LATHE_SPACE_HOST) {
        return d->backend->copy_in(d->device, queue, p, data, bytes, r->diag);
    }
    return out == LATHE_SPACE_HOST ? d->backend->copy_out(d->device, queue, dst->data, q, bytes, r->diag) : d->backend->copy(d->device, queue, p, q, bytes, r->diag);
}

/* ---- Control flow ---- */

static lathe_status execute(run *r, uint32_t first, uint32_t count, int depth);

/* A host scalar: bool or integer. */
static lathe_status scalar(run *r, uint32_t value, int64_t *out)
{
    lt_any any;
    LT_TRY(any_of(r, value, &any));
    const lt_plan_value *v = &r->state->program->plan->values[value];
    if (any.cls != LT_TENSOR || lt_tensor_count(&any.tensor) != 1 || !any.tensor.data) {
        return LT_FAIL(r->diag, LATHE_BAD_SHAPE, v->name, "give it one element: it is a count or a condition",
                       "'%s' must hold exactly one element", v->name);
    }
    *out = lt_load_i64(any.tensor.dtype, any.tensor.data, 0);
    return LATHE_OK;
}

static lathe_status store_scalar(run *r, uint32_t value, int64_t number)
{
    if (value == LT_PLAN_NONE) {
        return LATHE_OK;
    }
    const lt_plan_value *v = &r->state->program->plan->values[value];
    const lt_cell *cell = &r->state->cells[value];
    bool good = cell->data && v->format.space == LATHE_SPACE_HOST && cell->bytes * 8 >= lathe_dtype_bits(v->dtype) &&
                (lt_dtype_is_integer(v->dtype) || v->dtype == LATHE_DTYPE_BOOL);
    LT_CHECK(r->diag, good, v->name);
    lt_store_i64(v->dtype, cell->data, 0, number);
    return LATHE_OK;
}

/* One more element of a scan output: kept until the loop ends. They become one tensor, or the items of a sequence. */
typedef struct scan_list {
    lt_any *items;
    size_t count, capacity;
} scan_list;

static lathe_status push_scan(run *r, lt_arena *heap, scan_list *list, uint32_t value)
{
    lt_any any;
    LT_TRY(any_of(r, value, &any));
    if (!lt_arena_grow(heap, (void **)&list->items, &list->capacity, list->count + 1, sizeof *list->items)) {
        return LT_OOM(r->diag);
    }
    return clone_any(heap, &any, &list->items[list->count++], 0, r->diag);
}

static lathe_status join_scan(run *r, lt_arena *heap, const scan_list *list, uint32_t element, uint32_t result)
{
    const lt_plan_value *v = &r->state->program->plan->values[element];
    lt_any *out = &r->state->cells[result].any;
    if (r->state->program->plan->values[result].cls == LT_SEQUENCE) {
        *out = (lt_any){.cls = LT_SEQUENCE, .items = list->items, .count = list->count};
        out->tensor.dtype = v->cls == LT_TENSOR ? v->dtype : LATHE_DTYPE_UNDEFINED; /* for one without items */
        return LATHE_OK;
    }
    int64_t dims[LATHE_MAX_RANK] = {0};
    int rank = list->count ? list->items[0].tensor.rank : v->rank < 0 ? 0 : v->rank;
    if (rank + 1 > LATHE_MAX_RANK) {
        return LT_FAIL(r->diag, LATHE_UNSUPPORTED, v->name, NULL, "scan output of rank %d", rank + 1);
    }
    dims[0] = (int64_t)list->count;
    for (int i = 0; i < rank; i++) { /* without an iteration: what is fixed, 0 for what only iterations tell */
        const lt_plan_expr *fixed = list->count || v->rank < 0 ? NULL : &r->state->program->plan->exprs[v->dims[i]];
        dims[i + 1] = list->count ? list->items[0].tensor.dims[i] : fixed && fixed->kind == LT_EXPR_CONST ? fixed->k : 0;
    }
    *out = (lt_any){.cls = LT_TENSOR};
    LT_TRY(lt_tensor_alloc(heap, &out->tensor, v->dtype, rank + 1, dims, v->name, r->diag));
    size_t each = list->count ? list->items[0].tensor.bytes : 0;
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i].tensor.dtype != v->dtype || list->items[i].tensor.rank != rank || memcmp(list->items[i].tensor.dims, dims + 1, (size_t)rank * sizeof *dims) != 0) {
            return LT_FAIL(r->diag, LATHE_BAD_SHAPE, v->name, NULL, "scan output '%s' changes its type or shape from iteration to iteration", v->name);
        }
        if (each) {
            memcpy((char *)out->tensor.data + i * each, list->items[i].tensor.data, each);
        }
    }
    return LATHE_OK;
}

static lathe_status carry(run *r, uint32_t lane, uint32_t n, const uint32_t *from, const uint32_t *to, lt_arena *heap)
{
    for (uint32_t i = 0; i < n; i++) {
        LT_TRY(copy_value(r, lane, from[i], to[i], heap));
    }
    return LATHE_OK;
}

static lathe_status run_loop(run *r, const lt_plan_instr *instr, uint32_t body, int depth)
{
    const lt_plan_program *p = r->state->program->plan;
    const lt_plan_loop *l = &p->loops[instr->a];
    lt_arena *heaps = &r->state->heaps[p->n_steps + 3 * instr->a], *scan_heap = &heaps[2];
    int64_t trip = INT64_MAX, go = 1, i = 0;
    LT_TRY(l->trip == LT_PLAN_NONE ? LATHE_OK : scalar(r, l->trip, &trip));
    LT_TRY(l->cond == LT_PLAN_NONE ? LATHE_OK : scalar(r, l->cond, &go));
    lt_arena_reset_whole(&heaps[0]);
    lt_arena_reset_whole(scan_heap);
    scan_list *lists = LT_ARENA_ARRAY(scan_heap, scan_list, l->n_scan + 1);
    if (!lists) {
        return LT_OOM(r->diag);
    }
    LT_TRY(carry(r, instr->lane, l->n_carried, l->init, l->body_in, &heaps[0]));
    for (; i < trip && go; i++) {
        LT_TRY(store_scalar(r, l->iteration, i));
        LT_TRY(store_scalar(r, l->cond_in, go));
        LT_TRY(execute(r, body, instr->b, depth + 1));
        for (uint32_t k = 0; k < l->n_scan; k++) {
            lathe_status status = push_scan(r, scan_heap, &lists[k], l->scan_out[k]);
            if (status == LATHE_OUT_OF_MEMORY) {
                return LT_FAIL(r->diag, status, p->values[l->scan_out[k]].name, "let the loop end sooner", "out of memory after %lld iterations of a loop that keeps '%s' of each",
                               (long long)i, p->values[l->scan_out[k]].name);
            }
            LT_TRY(status);
        }
        LT_TRY(l->cond_out == LT_PLAN_NONE ? LATHE_OK : scalar(r, l->cond_out, &go));
        lt_arena *next = &heaps[(i + 1) & 1];
        lt_arena_reset_whole(next);
        LT_TRY(carry(r, instr->lane, l->n_carried, l->body_out, l->body_in, next));
    }
    LT_TRY(carry(r, instr->lane, l->n_carried, l->body_in, l->result, NULL));
    for (uint32_t k = 0; k < l->n_scan; k++) {
        LT_TRY(join_scan(r, scan_heap, &lists[k], l->scan_out[k], l->scan_result[k]));
    }
    return LATHE_OK;
}

static lathe_status run_if(run *r, const lt_plan_instr *instr, uint32_t then_part, int depth)
{
    int64_t yes;
    LT_TRY(scalar(r, instr->a, &yes));
    return yes ? execute(r, then_part, instr->b, depth + 1) : execute(r, then_part + instr->b, instr->c, depth + 1);
}

/* ---- Lanes ---- */

static lathe_status record_event(run *r, const lt_plan_instr *i)
{
    r->state->events[i->a] = i->lane;
    lt_open_device *d = device_of(r, i->lane);
    return d ? d->backend->record(d->device, r->state->program->plan->lanes[i->lane].queue, i->a, r->diag) : LATHE_OK;
}

static lathe_status wait_event(run *r, const lt_plan_instr *i)
{
    uint32_t from = r->state->events[i->a];
    if (from == LT_PLAN_NONE) {
        return LATHE_OK; /* recorded in a branch that was not taken: nothing to wait for */
    }
    lt_open_device *source = device_of(r, from), *d = device_of(r, i->lane);
    const lt_plan_lane *lanes = r->state->program->plan->lanes;
    if (!source) {
        return LATHE_OK; /* the CPU has done it already */
    }
    if (d == source) {
        return d->backend->wait(d->device, lanes[i->lane].queue, i->a, r->diag);
    }
    return source->backend->sync(source->device, lanes[from].queue, r->diag); /* the CPU, or another device, waits on the host */
}

static lathe_status host_sync(run *r, uint32_t lane)
{
    lt_open_device *d = device_of(r, lane);
    return d ? d->backend->sync(d->device, r->state->program->plan->lanes[lane].queue, r->diag) : LATHE_OK;
}

/* ---- Visits ---- */

lathe_status lt_cell_tensor(lathe_context *context, lt_state *state, uint32_t value, lt_arena *arena, lathe_tensor *out, lathe_diag *diag)
{
    const lt_plan_value *v = &state->program->plan->values[value];
    const lt_cell *cell = &state->cells[value];
    if (v->storage == LT_STORE_MANAGED || v->dtype == LATHE_DTYPE_STRING) {
        *out = cell->any.tensor;
        out->struct_size = sizeof *out;
        return LATHE_OK;
    }
    LT_TRY(lt_tensor_shape(out, v->dtype, cell->rank, cell->dims, v->name, diag));
    out->struct_size = sizeof *out;
    const void *data = cell->data;
    if (v->format.space != LATHE_SPACE_HOST) {
        lt_open_device *d = lt_context_device(context, v->format.space, 0);
        size_t bytes;
        LT_CHECK(diag, d && lt_format_bytes(&v->format, cell->rank, cell->dims, &bytes), v->name);
        void *copy = lt_arena_alloc(arena, bytes, 64);
        if (!copy) {
            return LT_OOM(diag);
        }
        LT_TRY(d->backend->sync(d->device, -1, diag));
        LT_TRY(d->backend->copy_out(d->device, 0, copy, (lt_devptr)(uintptr_t)data, bytes, diag));
        LT_TRY(d->backend->sync(d->device, -1, diag));
        data = copy;
    }
    if (lt_format_is_plain(&v->format) && v->format.storage == v->dtype) {
        out->data = (void *)data;
        return LATHE_OK;
    }
    LT_TRY(lt_tensor_alloc(arena, out, v->dtype, cell->rank, cell->dims, v->name, diag));
    int64_t coords[LATHE_MAX_RANK] = {0}, at = 0, row = cell->pitch / (int64_t)(lathe_dtype_bits(v->format.storage) < 8 ? 1 : lathe_dtype_bits(v->format.storage) / 8);
    for (bool more = lt_tensor_count(out) > 0; more; more = lt_next_coords(cell->rank, cell->dims, coords)) {
        lt_store_f64(v->dtype, out->data, at++, lt_load_f64(v->format.storage, data, lt_format_offset_in(&v->format, cell->dims, row, coords)));
    }
    return LATHE_OK;
}

static lathe_status visit(run *r, uint32_t value)
{
    lathe_context *c = r->context;
    const lt_plan_value *v = value == LT_PLAN_NONE ? NULL : &r->state->program->plan->values[value];
    if (!c->visit || !v || v->cls != LT_TENSOR) {
        return LATHE_OK;
    }
    lathe_tensor t;
    lt_arena_reset_whole(&c->copies);
    LT_TRY(lt_cell_tensor(c, r->state, value, &c->copies, &t, r->diag));
    return c->visit(c->visit_user, v->name, &t, r->diag);
}

static lathe_status visit_outputs(run *r, const lt_plan_instr *i)
{
    if (!r->context->visit || i->op != LT_I_STEP) {
        return LATHE_OK;
    }
    const lt_plan_step *step = &r->state->program->plan->steps[i->a];
    for (uint32_t k = 0; k < step->n_out; k++) {
        LT_TRY(visit(r, step->out[k]));
    }
    return LATHE_OK;
}

/* ---- The walk ---- */

static lathe_status one(run *r, uint32_t at, uint32_t *next, int depth)
{
    const lt_plan_program *p = r->state->program->plan;
    const lt_plan_instr *i = &p->instrs[at];
    *next = at + 1;
    switch (i->op) {
    case LT_I_STEP:
        return run_step(r, i->lane, i->a);
    case LT_I_COPY:
        return copy_value(r, i->lane, i->a, i->b, NULL);
    case LT_I_SHAPE:
        return lt_eval_exprs(p, i->a, i->b, r->state, r->diag);
    case LT_I_IF:
        *next = at + 1 + i->b + i->c;
        return run_if(r, i, at + 1, depth);
    case LT_I_LOOP:
        *next = at + 1 + i->b;
        return run_loop(r, i, at + 1, depth);
    case LT_I_RECORD:
        return record_event(r, i);
    case LT_I_WAIT:
        return wait_event(r, i);
    case LT_I_HOSTSYNC:
        return host_sync(r, i->lane);
    default:
        return LT_FAIL(r->diag, LATHE_BAD_PLAN, NULL, "build the plan again", "instruction %u cannot be run", at);
    }
}

static lathe_status execute(run *r, uint32_t first, uint32_t count, int depth)
{
    LT_CHECK(r->diag, depth <= LT_MAX_DEPTH, "plan");
    for (uint32_t at = first, next; at < first + count; at = next) {
        LT_TRY(one(r, at, &next, depth));
        LT_TRY(visit_outputs(r, &r->state->program->plan->instrs[at]));
    }
    return LATHE_OK;
}

static void region(void *user, const lathe_gang *gang)
{
    run *r = user;
    if (gang->index == 0) {
        r->gang = gang;
        r->status = execute(r, 0, r->state->program->plan->n_instrs, 0);
        r->step = NULL;
        gang->barrier(gang);
        return;
    }
    for (;;) {
        gang->barrier(gang);
        if (!r->step) {
            return;
        }
        run_published(r, gang, NULL);
        gang->barrier(gang);
    }
}

lathe_status lt_context_execute(lathe_context *context, lt_state *state, lathe_diag *diag)
{
    run r = {.context = context, .state = state, .diag = diag};
    for (uint32_t i = 0; i < state->program->plan->n_events; i++) {
        state->events[i] = LT_PLAN_NONE;
    }
    lt_pool_run(lt_runtime_pool(context->engine->runtime), context->threads, region, &r);
    for (uint32_t i = 0; i < context->n_devices; i++) { /* also after a failure: queued work must not outlive the run */
        lathe_status status = context->devices[i].backend->sync(context->devices[i].device, -1, diag);
        r.status = r.status == LATHE_OK ? status : r.status;
    }
    return r.status;
}
