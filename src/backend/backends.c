/*
 * backends.c - the table of backends of this build. Used by rt, tune, api.
 */
#include "backend/backend_internal.h"

static const lt_backend *const backends[] = {&lt_backend_cpu, &lt_backend_twin};

const lt_backend *lt_backend_at(size_t index)
{
    return index < LT_COUNT(backends) ? backends[index] : NULL;
}

const lt_backend *lt_backend_find(const char *name)
{
    for (size_t i = 0; i < LT_COUNT(backends); i++) {
        if (lt_streq(backends[i]->name, name)) {
            return backends[i];
        }
    }
    return NULL;
}

const lt_backend *lt_backend_of(lathe_space space)
{
    for (size_t i = 0; i < LT_COUNT(backends); i++) {
        if (backends[i]->space == space) {
            return backends[i];
        }
    }
    return NULL;
}

void lathe_gang_split(const lathe_gang *gang, int64_t total, int64_t grain, int64_t *begin, int64_t *end)
{
    int64_t units = lt_ceil_div(total, grain), each = units / gang->count, extra = units % gang->count;
    int64_t first = gang->index * each + (gang->index < extra ? gang->index : extra);
    int64_t last = first + each + (gang->index < extra);
    *begin = first * grain < total ? first * grain : total;
    *end = last * grain < total ? last * grain : total;
}
