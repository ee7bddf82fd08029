/*
 * backend.h - a device as the runtime sees it: memory, lanes, copies, events, running a step. Shown by backend to rt, tune, api.
 *
 * cpu: host memory, lanes run at once. twin: a separate, poisoned, delayed address space in plain C whose lanes complete out of order as far as
 * events allow; it proves what CUDA needs and is the skeleton to clone. Not thread-safe per device object unless said; a device belongs to one context.
 */
#ifndef LT_BACKEND_H
#define LT_BACKEND_H

#include "backend/problem.h"
#include "backend/tactic.h"

typedef struct lt_device lt_device;   /* made by a backend */
typedef uint64_t lt_devptr;           /* address in the device's space; host pointers on the cpu */

typedef struct lt_backend {
    const char *name;     /* "cpu" */
    lathe_space space;
    const char *summary;
    int lanes;            /* compute lanes that a device offers (besides copy-in, copy-out) */
    lathe_status (*open)(const struct lt_backend *backend, int ordinal, const lathe_allocator *allocator, lt_device **out, lathe_diag *diag);
    void (*close)(lt_device *device); /* after a sync of all lanes */
    /* Memory. align 64 at least. Contents are undefined (poisoned on twin). */
    lathe_status (*alloc)(lt_device *device, size_t bytes, lt_devptr *out, lathe_diag *diag);
    void (*release)(lt_device *device, lt_devptr ptr, size_t bytes);
    /* Queue work on a lane; all return at once except on the cpu. Host memory of copies must stay valid until the lane is synchronised. */
    lathe_status (*copy_in)(lt_device *device, int lane, lt_devptr dst, const void *src, size_t bytes, lathe_diag *diag);
    lathe_status (*copy_out)(lt_device *device, int lane, void *dst, lt_devptr src, size_t bytes, lathe_diag *diag);
    lathe_status (*copy)(lt_device *device, int lane, lt_devptr dst, lt_devptr src, size_t bytes, lathe_diag *diag);
    /* call's buffers hold device addresses cast to pointers; everything in call is copied before return. */
    lathe_status (*step)(lt_device *device, int lane, const lathe_tactic *tactic, const lathe_call *call, lathe_diag *diag);
    lathe_status (*record)(lt_device *device, int lane, uint32_t event, lathe_diag *diag);
    lathe_status (*wait)(lt_device *device, int lane, uint32_t event, lathe_diag *diag);
    lathe_status (*sync)(lt_device *device, int lane, lathe_diag *diag); /* lane -1: all. Errors of queued work come out here */
} lt_backend;

/* The table of backends of this build, in the order cpu, twin, ...; NULL past the end. */
const lt_backend *lt_backend_at(size_t index);
const lt_backend *lt_backend_find(const char *name);
const lt_backend *lt_backend_of(lathe_space space);

/*
 * Services behind lathe_call.host for steps on the host whose outputs are managed (strings, containers, tensors without an upper bound), and
 * temporary memory for the reference. A managed operand's lathe_buffer.handle is a lt_any that the context owns.
 */
typedef struct lt_host {
    lt_arena *scratch; /* reset by whoever runs the step */
    lt_arena *keep;    /* lives until the step runs again: data of managed outputs */
    uint64_t seed, node;
} lt_host;

/*
 * The thread pool: workers that a runtime owns. lt_pool_run calls fn(user, gang) on every thread of a gang of n <= wanted threads, the caller being
 * index 0, and returns when all have returned. A second run that finds the workers busy takes the idle ones only (n = 1 is always legal). Workers spin
 * for 50 µs between jobs, then sleep.
 */
typedef struct lt_pool lt_pool;
lathe_status lt_pool_create(int threads, const lathe_allocator *allocator, lt_pool **out, lathe_diag *diag); /* threads includes the caller */
void lt_pool_destroy(lt_pool *pool);
int lt_pool_threads(const lt_pool *pool);
void lt_pool_run(lt_pool *pool, int wanted, void (*fn)(void *user, const lathe_gang *gang), void *user); /* pool NULL: the caller alone */

#endif
