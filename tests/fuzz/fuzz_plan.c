/*
 * fuzz_plan.c - the plan loader and the runtime on damaged plans: load, and where that works, bind and run. The mutator changes bytes and recomputes all
 * checksums, so that what lies behind them is reached. Memory is limited, so that absurd sizes come out as errors.
 */
#define _POSIX_C_SOURCE 200809L
#include "base/base.h"
#include "engine/engine.h"

#include <lathe/runtime.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);

enum { MAX_INPUTS = 4, MAX_BYTES = 1 << 16 };
static const size_t MOST_MEMORY = (size_t)64 << 20;

/* ---- Memory with a limit ---- */

typedef struct meter {
    lathe_allocator api;
    size_t used;
} meter;

static void *meter_alloc(void *user, size_t size, size_t align)
{
    meter *m = user;
    void *ptr = NULL;
    if (size > MOST_MEMORY - m->used || posix_memalign(&ptr, align < sizeof(void *) ? sizeof(void *) : align, size) != 0) {
        return NULL;
    }
    m->used += size;
    return ptr;
}

static void meter_release(void *user, void *ptr, size_t size, size_t align)
{
    meter *m = user;
    (void)align;
    m->used -= ptr ? size : 0;
    free(ptr);
}

/* ---- One plan ---- */

/* Symbolic extents become 3; a bool or an integer is 1. */
static lathe_status bind_input(const lathe_engine *engine, lathe_context *context, size_t number, unsigned char *data)
{
    lathe_io io = {.struct_size = sizeof io};
    int64_t dims[LATHE_MAX_RANK];
    lathe_tensor t = {.struct_size = sizeof t};
    LT_TRY(lathe_engine_io(engine, number, &io, NULL));
    for (int d = 0; d < io.rank; d++) {
        dims[d] = io.dims[d] < 0 ? 3 : io.dims[d];
    }
    LT_TRY(lt_tensor_shape(&t, io.dtype, io.rank < 0 ? 0 : io.rank, dims, io.name, NULL));
    if (t.bytes > MAX_BYTES || io.dtype == LATHE_DTYPE_STRING) {
        return LATHE_UNSUPPORTED;
    }
    t.data = data;
    if (lt_dtype_is_float(io.dtype)) {
        LT_TRY(lt_random_fill(&t, number + 1, NULL));
    } else {
        memset(data, 0, MAX_BYTES);
        lt_store_i64(io.dtype, data, 0, 1);
    }
    return lathe_context_set_input(context, io.name, &t, NULL);
}

static lathe_status run_once(lathe_engine *engine, lathe_context *context, unsigned char data[][MAX_BYTES])
{
    size_t n = lathe_engine_inputs(engine);
    for (size_t i = 0; i < n; i++) {
        LT_TRY(i < MAX_INPUTS ? bind_input(engine, context, i, data[i]) : LATHE_UNSUPPORTED);
    }
    LT_TRY(lathe_context_run(context, NULL));
    return lathe_context_run(context, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static unsigned char inputs[MAX_INPUTS][MAX_BYTES];
    meter m = {.api = {.struct_size = sizeof(lathe_allocator), .alloc = meter_alloc, .release = meter_release}};
    m.api.user = &m;
    lathe_runtime_options options = {.struct_size = sizeof options, .allocator = &m.api, .threads = 1};
    lathe_load_options load = {.struct_size = sizeof load, .copy = 1};
    lathe_runtime *runtime = NULL;
    lathe_engine *engine = NULL;
    lathe_context *context = NULL;
    if (lathe_runtime_create(&options, &runtime, NULL) != LATHE_OK) {
        return 0;
    }
    if (lathe_engine_load_memory(runtime, data, size, &load, &engine, NULL) == LATHE_OK && lathe_context_create(engine, NULL, &context, NULL) == LATHE_OK) {
        run_once(engine, context, inputs);
    }
    lathe_context_destroy(context);
    lathe_engine_destroy(engine);
    lathe_runtime_destroy(runtime);
    if (m.used != 0) {
        __builtin_trap(); /* memory is lost */
    }
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
    (void)seed;
    /* Changing the length moves every section; mostly the bytes change in place. */
    size_t now = seed % 8 == 0 ? LLVMFuzzerMutate(data, size, max_size) : size;
    if (now == size) {
        uint32_t out[4];
        for (unsigned i = 0; i < 1 + seed % 4 && size > 0; i++) {
            lt_philox(seed, i, 0, out);
            size_t at = ((uint64_t)out[0] << 32 | out[1]) % size;
            data[at] = out[2] % 3 == 0 ? (uint8_t)out[3] : out[2] % 3 == 1 ? (uint8_t)(data[at] ^ 1u << out[3] % 8) : (uint8_t)(data[at] + 1);
        }
    }
    lt_plan_reseal(data, now, NULL);
    return now;
}
