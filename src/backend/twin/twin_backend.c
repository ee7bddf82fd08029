/*
 * twin_backend.c - the test device: a complete second backend in plain C. Used through the table of backends only.
 *
 * Work is queued and runs as late as it may: only a sync runs anything. Among the lanes whose next piece of work is ready, a pseudo-random one goes
 * first, so that a missing event shows up as a wrong result or a named error. Events order what they should and nothing else.
 */
#include "backend/twin/twin_internal.h"
#include <string.h>

enum { COMPUTE_LANES = 3, LANES = COMPUTE_LANES + 2, MAX_EVENTS = 1 << 20 };

typedef struct queue {
    lt_twin_work *items;
    size_t first, count, capacity; /* items[first .. count) wait */
} queue;

typedef struct event {
    uint64_t queued, done; /* versions: a wait is for the record that was queued last before it */
} event;

struct lt_device {
    const lathe_allocator *allocator;
    lt_twin_memory memory;
    queue lanes[LANES];
    event *events;
    size_t n_events, cap_events;
    uint64_t picks; /* counter of the random choice */
};

/* ---- Open, close, memory ---- */

static lathe_status open_twin(const lt_backend *backend, int ordinal, const lathe_allocator *allocator, lt_device **out,
                              lathe_diag *diag)
{
    if (ordinal != 0) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, NULL, "use twin or twin:0", "there is no device %s:%d",
                       backend->name, ordinal);
    }
    *out = LT_NEW(allocator, lt_device);
    if (!*out) {
        return LT_OOM(diag);
    }
    (*out)->allocator = allocator;
    lt_twin_memory_init(&(*out)->memory, allocator);
    return LATHE_OK;
}

/* Forgets what waits: after an error, and on close. Its records count as done, so that nothing waits for them forever. */
static void drop_work(lt_device *d)
{
    for (int i = 0; i < LANES; i++) {
        queue *q = &d->lanes[i];
        for (; q->first < q->count; q->first++) {
            lt_twin_step_free(d->allocator, q->items[q->first].step);
        }
        q->first = q->count = 0;
    }
    for (size_t i = 0; i < d->n_events; i++) {
        d->events[i].done = d->events[i].queued;
    }
}

static void close_twin(lt_device *device)
{
    if (!device) {
        return;
    }
    drop_work(device);
    for (int i = 0; i < LANES; i++) {
        lt_release(device->allocator, device->lanes[i].items, device->lanes[i].capacity * sizeof(lt_twin_work),
                   LT_VEC_ALIGN);
    }
    lt_release(device->allocator, device->events, device->cap_events * sizeof(event), LT_VEC_ALIGN);
    lt_twin_memory_free(&device->memory);
    LT_DELETE(device->allocator, device);
}

static lathe_status alloc_twin(lt_device *device, size_t bytes, lt_devptr *out, lathe_diag *diag)
{
    *out = 0;
    return lt_twin_alloc(&device->memory, bytes, out, diag);
}

static void release_twin(lt_device *device, lt_devptr ptr, size_t bytes)
{
    (void)bytes;
    lt_twin_release(&device->memory, ptr);
}

/* ---- Queues ---- */

/* Lanes 0.. compute, -1 copies in, -2 copies out; NULL for others. */
static queue *lane_of(lt_device *d, int lane)
{
    int at = lane >= 0 ? lane : COMPUTE_LANES - 1 - lane;
    return lane < COMPUTE_LANES && at < LANES ? &d->lanes[at] : NULL;
}

static lathe_status enqueue(lt_device *d, int lane, const lt_twin_work *work, lathe_diag *diag)
{
    queue *q = lane_of(d, lane);
    if (!q) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, NULL, NULL, "the test device has no lane %d", lane);
    }
    if (q->first == q->count) {
        q->first = q->count = 0;
    }
    if (!lt_grow(d->allocator, (void **)&q->items, &q->capacity, q->count + 1, sizeof *q->items)) {
        return LT_OOM(diag);
    }
    q->items[q->count++] = *work;
    return LATHE_OK;
}

static lathe_status copy_in(lt_device *device, int lane, lt_devptr dst, const void *src, size_t bytes, lathe_diag *diag)
{
    lt_twin_work w = { .kind = LT_TWIN_COPY_IN, .dst = dst, .host = (void *)(uintptr_t)src, .bytes = bytes };
    return enqueue(device, lane, &w, diag);
}

static lathe_status copy_out(lt_device *device, int lane, void *dst, lt_devptr src, size_t bytes, lathe_diag *diag)
{
    lt_twin_work w = { .kind = LT_TWIN_COPY_OUT, .src = src, .host = dst, .bytes = bytes };
    return enqueue(device, lane, &w, diag);
}

static lathe_status copy_within(lt_device *device, int lane, lt_devptr dst, lt_devptr src, size_t bytes,
                                lathe_diag *diag)
{
    lt_twin_work w = { .kind = LT_TWIN_COPY, .dst = dst, .src = src, .bytes = bytes };
    return enqueue(device, lane, &w, diag);
}

static lathe_status step_twin(lt_device *device, int lane, const lathe_tactic *tactic, const lathe_call *call,
                              lathe_diag *diag)
{
    lt_twin_work w = { .kind = LT_TWIN_STEP };
    LT_TRY(lt_twin_step_make(device->allocator, tactic, call, &w.step, diag));
    lathe_status status = enqueue(device, lane, &w, diag);
    if (status != LATHE_OK) {
        lt_twin_step_free(device->allocator, w.step);
    }
    return status;
}

static lathe_status event_of(lt_device *d, uint32_t number, event **out, lathe_diag *diag)
{
    if (number >= MAX_EVENTS) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, NULL, NULL, "event %u: at most %d are possible", number,
                       MAX_EVENTS);
    }
    if (!lt_grow(d->allocator, (void **)&d->events, &d->cap_events, (size_t)number + 1, sizeof *d->events)) {
        return LT_OOM(diag);
    }
    for (; d->n_events <= number; d->n_events++) {
        d->events[d->n_events] = (event){ 0, 0 };
    }
    *out = &d->events[number];
    return LATHE_OK;
}

static lathe_status record_twin(lt_device *device, int lane, uint32_t number, lathe_diag *diag)
{
    event *e;
    LT_TRY(event_of(device, number, &e, diag));
    lt_twin_work w = { .kind = LT_TWIN_RECORD, .event = number, .version = e->queued + 1 };
    LT_TRY(enqueue(device, lane, &w, diag));
    e->queued++;
    return LATHE_OK;
}

static lathe_status wait_twin(lt_device *device, int lane, uint32_t number, lathe_diag *diag)
{
    event *e;
    LT_TRY(event_of(device, number, &e, diag));
    lt_twin_work w = { .kind = LT_TWIN_WAIT, .event = number, .version = e->queued };
    return enqueue(device, lane, &w, diag);
}

/* ---- Running ---- */

static lathe_status run_copy(lt_device *d, const lt_twin_work *w, lathe_diag *diag)
{
    void *dst = w->host, *src = w->host;
    if (w->kind != LT_TWIN_COPY_OUT) {
        LT_TRY(lt_twin_translate(&d->memory, w->dst, w->bytes, "copy to the device", &dst, diag));
    }
    if (w->kind != LT_TWIN_COPY_IN) {
        LT_TRY(lt_twin_translate(&d->memory, w->src, w->bytes, "copy from the device", &src, diag));
    }
    if (w->bytes > 0) {
        memmove(dst, src, w->bytes);
    }
    return LATHE_OK;
}

static lathe_status run_work(lt_device *d, lt_twin_work *w, lathe_diag *diag)
{
    lathe_status status = LATHE_OK;
    switch (w->kind) {
    case LT_TWIN_STEP:
        status = lt_twin_step_run(&d->memory, w->step, diag);
        lt_twin_step_free(d->allocator, w->step);
        w->step = NULL;
        return status;
    case LT_TWIN_RECORD:
        d->events[w->event].done = w->version;
        return LATHE_OK;
    case LT_TWIN_WAIT:
        return LATHE_OK;
    default:
        return run_copy(d, w, diag);
    }
}

static bool ready(const lt_device *d, const queue *q)
{
    if (q->first == q->count) {
        return false;
    }
    const lt_twin_work *w = &q->items[q->first];
    return w->kind != LT_TWIN_WAIT || d->events[w->event].done >= w->version;
}

/* One of the lanes that can go on; NULL when there is none. */
static queue *pick(lt_device *d)
{
    queue *able[LANES];
    uint32_t n = 0, draw[4];
    for (int i = 0; i < LANES; i++) {
        if (ready(d, &d->lanes[i])) {
            able[n++] = &d->lanes[i];
        }
    }
    if (n == 0) {
        return NULL;
    }
    lt_philox(0x7417, 0, d->picks++, draw);
    return able[draw[0] % n];
}

static bool idle(lt_device *d, int lane)
{
    if (lane != -1) {
        const queue *q = lane_of(d, lane);
        return !q || q->first == q->count;
    }
    for (int i = 0; i < LANES; i++) {
        if (d->lanes[i].first != d->lanes[i].count) {
            return false;
        }
    }
    return true;
}

static lathe_status sync_twin(lt_device *device, int lane, lathe_diag *diag)
{
    lathe_status status = LATHE_OK;
    while (status == LATHE_OK && !idle(device, lane)) {
        queue *q = pick(device);
        if (!q) {
            status = LT_FAIL(diag, LATHE_INTERNAL, NULL, "this is a bug in Lathe: please report it",
                             "all lanes of the test device wait for each other");
            break;
        }
        lt_twin_work work = q->items[q->first];
        q->items[q->first++].step = NULL;
        status = run_work(device, &work, diag);
    }
    if (status != LATHE_OK) {
        drop_work(device);
    }
    return status;
}

const lt_backend lt_backend_twin = {
    .name = "twin",
    .space = LATHE_SPACE_TWIN,
    .summary = "the test device: separate, poisoned, delayed memory in plain C",
    .lanes = COMPUTE_LANES,
    .open = open_twin,
    .close = close_twin,
    .alloc = alloc_twin,
    .release = release_twin,
    .copy_in = copy_in,
    .copy_out = copy_out,
    .copy = copy_within,
    .step = step_twin,
    .record = record_twin,
    .wait = wait_twin,
    .sync = sync_twin,
};
