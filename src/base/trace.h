/*
 * trace.h - trace events in the Trace Event Format that Perfetto reads. Part of base. No globals: whoever traces owns the lt_trace.
 */
#ifndef LT_TRACE_H
#define LT_TRACE_H

#include <lathe/base.h>

typedef struct lt_trace lt_trace;

lt_trace *lt_trace_create(const lathe_allocator *allocator); /* NULL: out of memory */
void lt_trace_destroy(lt_trace *trace);
/* A complete event; times in nanoseconds of lt_now_ns. trace may be NULL. Strings are copied. Thread-safe. */
void lt_trace_event(lt_trace *trace, const char *category, const char *name, int lane, int64_t start_ns, int64_t end_ns);
lathe_status lt_trace_write(const lt_trace *trace, const char *path, lathe_diag *diag);

#endif
