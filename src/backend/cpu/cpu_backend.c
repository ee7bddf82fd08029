/*
 * cpu_backend.c - the CPU as a device: host memory, lanes that run at once. Used by rt for copies within host memory and by the conformance suite of
 * backends; rt runs CPU steps with a gang itself.
 */
#include "backend/backend_internal.h"
#include <string.h>

struct lt_device {
    const lathe_allocator *allocator;
};

static lathe_status open_cpu(const lt_backend *backend, int ordinal, const lathe_allocator *allocator, lt_device **out,
                             lathe_diag *diag)
{
    if (ordinal != 0) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, NULL, "use cpu or cpu:0", "there is no device %s:%d",
                       backend->name, ordinal);
    }
    *out = LT_NEW(allocator, lt_device);
    if (!*out) {
        return LT_OOM(diag);
    }
    (*out)->allocator = allocator;
    return LATHE_OK;
}

static void close_cpu(lt_device *device)
{
    if (device) {
        LT_DELETE(device->allocator, device);
    }
}

static lathe_status alloc_cpu(lt_device *device, size_t bytes, lt_devptr *out, lathe_diag *diag)
{
    void *p = lt_alloc(device->allocator, bytes, 64);
    *out = (lt_devptr)(uintptr_t)p;
    return p ? LATHE_OK : LT_OOM(diag);
}

static void release_cpu(lt_device *device, lt_devptr ptr, size_t bytes)
{
    lt_release(device->allocator, (void *)(uintptr_t)ptr, bytes, 64);
}

static lathe_status copy_bytes(void *dst, const void *src, size_t bytes)
{
    if (bytes > 0) {
        memmove(dst, src, bytes);
    }
    return LATHE_OK;
}

static lathe_status copy_in(lt_device *device, int lane, lt_devptr dst, const void *src, size_t bytes, lathe_diag *diag)
{
    (void)device, (void)lane, (void)diag;
    return copy_bytes((void *)(uintptr_t)dst, src, bytes);
}

static lathe_status copy_out(lt_device *device, int lane, void *dst, lt_devptr src, size_t bytes, lathe_diag *diag)
{
    (void)device, (void)lane, (void)diag;
    return copy_bytes(dst, (const void *)(uintptr_t)src, bytes);
}

static lathe_status copy_within(lt_device *device, int lane, lt_devptr dst, lt_devptr src, size_t bytes,
                                lathe_diag *diag)
{
    (void)device, (void)lane, (void)diag;
    return copy_bytes((void *)(uintptr_t)dst, (const void *)(uintptr_t)src, bytes);
}

static void no_barrier(const lathe_gang *gang)
{
    (void)gang;
}

static lathe_status step_cpu(lt_device *device, int lane, const lathe_tactic *tactic, const lathe_call *call,
                             lathe_diag *diag)
{
    (void)device, (void)lane;
    lathe_gang alone = { .index = 0, .count = 1, .barrier = no_barrier };
    return tactic->run(&alone, call, diag);
}

/* Work is done when the call returns: events and syncs have nothing to wait for. */
static lathe_status event_cpu(lt_device *device, int lane, uint32_t event, lathe_diag *diag)
{
    (void)device, (void)lane, (void)event, (void)diag;
    return LATHE_OK;
}

static lathe_status sync_cpu(lt_device *device, int lane, lathe_diag *diag)
{
    (void)device, (void)lane, (void)diag;
    return LATHE_OK;
}

const lt_backend lt_backend_cpu = {
    .name = "cpu",
    .space = LATHE_SPACE_HOST,
    .summary = "this machine's processor",
    .lanes = 1,
    .open = open_cpu,
    .close = close_cpu,
    .alloc = alloc_cpu,
    .release = release_cpu,
    .copy_in = copy_in,
    .copy_out = copy_out,
    .copy = copy_within,
    .step = step_cpu,
    .record = event_cpu,
    .wait = event_cpu,
    .sync = sync_cpu,
};
