/*
 * trace.c - trace events kept in memory and written in the Trace Event Format that Perfetto reads. Part of base.
 *
 * Events that find no memory are counted, not reported: tracing must not change what it watches.
 */
#include "base/trace.h"

#include <pthread.h>
#include <string.h>

#include "base/alloc.h"
#include "base/diag.h"
#include "base/json.h"
#include "base/os.h"
#include "base/text.h"

typedef struct event {
    const char *category, *name;
    int64_t start_ns, end_ns;
    int lane;
} event;

struct lt_trace {
    const lathe_allocator *allocator;
    pthread_mutex_t mutex; /* guards all below */
    lt_arena strings;
    event *events;
    size_t count, capacity, dropped;
};

lt_trace *lt_trace_create(const lathe_allocator *allocator)
{
    lt_trace *trace = LT_NEW(allocator, lt_trace);
    if (trace == NULL) {
        return NULL;
    }
    trace->allocator = allocator;
    lt_arena_init(&trace->strings, allocator);
    if (pthread_mutex_init(&trace->mutex, NULL) != 0) {
        LT_DELETE(allocator, trace);
        return NULL;
    }
    return trace;
}

void lt_trace_destroy(lt_trace *trace)
{
    if (trace == NULL) {
        return;
    }
    pthread_mutex_destroy(&trace->mutex);
    lt_arena_destroy(&trace->strings);
    lt_release(trace->allocator, trace->events, trace->capacity * sizeof(event), LT_VEC_ALIGN);
    LT_DELETE(trace->allocator, trace);
}

static bool add(lt_trace *trace, event e)
{
    void *events = trace->events;
    bool room = lt_grow(trace->allocator, &events, &trace->capacity, trace->count + 1, sizeof(event));
    trace->events = events;
    e.category = lt_arena_str(&trace->strings, e.category);
    e.name = lt_arena_str(&trace->strings, e.name);
    if (!room || e.category == NULL || e.name == NULL) {
        return false;
    }
    trace->events[trace->count++] = e;
    return true;
}

void lt_trace_event(lt_trace *trace, const char *category, const char *name, int lane, int64_t start_ns, int64_t end_ns)
{
    if (trace == NULL) {
        return;
    }
    pthread_mutex_lock(&trace->mutex);
    trace->dropped += !add(
        trace, (event){ .category = category, .name = name, .start_ns = start_ns, .end_ns = end_ns, .lane = lane });
    pthread_mutex_unlock(&trace->mutex);
}

/* Microseconds with three decimals, in integers; ns >= 0 as the clock is monotonic. */
static void put_us(lt_buf *out, int64_t ns)
{
    ns = ns < 0 ? 0 : ns;
    lt_buf_printf(out, "%lld.%03d", (long long)(ns / 1000), (int)(ns % 1000));
}

static void put_event(lt_buf *out, const event *e, bool first)
{
    lt_json json; /* strings only: times want exactly three decimals */
    lt_buf_puts(out, first ? "\n{\"ph\":\"X\",\"pid\":1,\"name\":" : ",\n{\"ph\":\"X\",\"pid\":1,\"name\":");
    lt_json_init(&json, out, false);
    lt_json_string(&json, e->name);
    lt_buf_puts(out, ",\"cat\":");
    lt_json_init(&json, out, false);
    lt_json_string(&json, e->category);
    lt_buf_printf(out, ",\"tid\":%d,\"ts\":", e->lane);
    put_us(out, e->start_ns);
    lt_buf_puts(out, ",\"dur\":");
    put_us(out, e->end_ns > e->start_ns ? e->end_ns - e->start_ns : 0);
    lt_buf_putc(out, '}');
}

lathe_status lt_trace_write(const lt_trace *trace, const char *path, lathe_diag *diag)
{
    if (trace == NULL) {
        return LATHE_OK;
    }
    lt_trace *locked = (lt_trace *)trace; /* only the mutex is touched */
    lt_buf out;
    lt_buf_init(&out, trace->allocator);
    pthread_mutex_lock(&locked->mutex);
    lt_buf_puts(&out, "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[");
    for (size_t i = 0; i < trace->count; i++) {
        put_event(&out, &trace->events[i], i == 0);
    }
    lt_buf_printf(&out, "\n],\"otherData\":{\"dropped\":%zu}}\n", trace->dropped);
    pthread_mutex_unlock(&locked->mutex);
    lathe_status status = out.failed ? LT_OOM(diag) : lt_file_write(path, out.data, out.length, diag);
    lt_buf_free(&out);
    return status;
}
