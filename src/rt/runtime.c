/*
 * runtime.c - lathe_runtime: thread pool, log, allocator, processor features. The only writable global of the library lives here: the process default.
 */
#include "rt/rt_internal.h"
#include <pthread.h>
#include <stdlib.h>

static struct {
    pthread_once_t once;
    lathe_runtime *runtime; /* made once, never destroyed; NULL when that failed: callers then do without a pool */
} lt_default_runtime = {PTHREAD_ONCE_INIT, NULL};

const lathe_allocator *lt_runtime_allocator(lathe_runtime *runtime)
{
    return runtime && runtime->own_allocator ? &runtime->allocator : NULL;
}

lathe_status lathe_runtime_create(const lathe_runtime_options *options, lathe_runtime **out, lathe_diag *diag)
{
    static const lathe_runtime_options none = {.struct_size = sizeof none};
    const lathe_runtime_options *o = options ? options : &none;
    if (!out || o->struct_size != sizeof *o) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, NULL, "set struct_size to sizeof(lathe_runtime_options)", "bad arguments to lathe_runtime_create");
    }
    *out = NULL;
    lathe_runtime *r = LT_NEW(o->allocator, lathe_runtime);
    if (!r) {
        return LT_OOM(diag);
    }
    r->own_allocator = o->allocator != NULL;
    if (o->allocator) {
        r->allocator = *o->allocator;
    }
    r->log = o->log;
    r->log_user = o->log_user;
    lt_debug_read(&r->debug, o->debug ? o->debug : o->read_environment ? lt_env("LATHE_DEBUG") : NULL, o->log, o->log_user);
    r->threads = o->threads > 0 ? o->threads : lt_cpu_count();
    r->features = lt_cpu_features();
    const char *level = o->read_environment ? lt_env("LATHE_MAX_ISA") : NULL;
    if (level && lt_cpu_level(level)) {
        r->features &= lt_cpu_level(level);
    }
    if (o->read_environment) {
        lt_sources_environment();
    }
    const char *path = o->read_environment ? lt_env("LATHE_TRACE") : NULL;
    r->trace = path && path[0] ? lt_trace_create(lt_runtime_allocator(r)) : NULL;
    r->trace_path = path;
    lathe_status status = lt_pool_create(r->threads, lt_runtime_allocator(r), &r->pool, diag);
    if (status != LATHE_OK) {
        lathe_runtime_destroy(r);
        return status;
    }
    *out = r;
    return LATHE_OK;
}

void lathe_runtime_destroy(lathe_runtime *runtime)
{
    if (!runtime || runtime == lt_default_runtime.runtime) {
        return;
    }
    lt_pool_destroy(runtime->pool);
    if (runtime->trace && lt_trace_write(runtime->trace, runtime->trace_path, NULL) != LATHE_OK) {
        lt_runtime_log(runtime, LATHE_LOG_WARNING, "cannot write the trace to %s", runtime->trace_path);
    }
    lt_trace_destroy(runtime->trace);
    lathe_allocator copy = runtime->allocator;
    lt_release(runtime->own_allocator ? &copy : NULL, runtime, sizeof *runtime, _Alignof(lathe_runtime));
}

static void make_default(void)
{
    lathe_runtime *r = NULL;
    if (lathe_runtime_create(NULL, &r, NULL) == LATHE_OK) {
        lt_default_runtime.runtime = r;
    }
}

lathe_runtime *lt_runtime_default(void)
{
    pthread_once(&lt_default_runtime.once, make_default);
    return lt_default_runtime.runtime;
}

int lathe_runtime_threads(const lathe_runtime *runtime)
{
    return runtime ? runtime->threads : lt_cpu_count();
}

void lathe_runtime_trace(lathe_runtime *runtime, const char *category, const char *name, int64_t start_ns, int64_t end_ns)
{
    if (runtime && runtime->trace) {
        lt_trace_event(runtime->trace, category ? category : "", name ? name : "", 0, start_ns, end_ns);
    }
}

lt_pool *lt_runtime_pool(lathe_runtime *runtime)
{
    return runtime ? runtime->pool : NULL;
}

uint64_t lt_runtime_features(lathe_runtime *runtime)
{
    return runtime ? runtime->features : lt_cpu_features();
}

void lt_runtime_log(lathe_runtime *runtime, lathe_log_level level, const char *format, ...)
{
    char text[512];
    if (!runtime || !runtime->log) {
        return;
    }
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    runtime->log(runtime->log_user, level, text);
}
