/*
 * rt.h - the runtime's inside, for api only. The public face is <lathe/runtime.h>, which src/rt implements.
 */
#ifndef LT_RT_H
#define LT_RT_H

#include "backend/backend.h"
#include "engine/engine.h"
#include <lathe/runtime.h>

const lathe_allocator *lt_runtime_allocator(lathe_runtime *runtime); /* runtime may be NULL */
lt_pool *lt_runtime_pool(lathe_runtime *runtime);
lathe_runtime *lt_runtime_default(void);
uint64_t lt_runtime_features(lathe_runtime *runtime); /* CPU features, limited by LATHE_MAX_ISA when the runtime reads the environment */
void lt_runtime_log(lathe_runtime *runtime, lathe_log_level level, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The decoded plan behind an engine (inspect, explain, retune). */
const lt_plan *lt_engine_plan(const lathe_engine *engine);

#endif
