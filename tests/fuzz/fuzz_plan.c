/*
 * fuzz_plan.c - fuzz target for the plan loader. Checksums are recomputed first, so that they hide nothing; what decodes is dumped and written again, what
 * loads is run on small inputs. Nothing else may happen than a named error. Memory comes from a small purse, so that absurd sizes end soon.
 *
 * The mutator changes bytes and numbers inside one section and keeps the container whole: blind mutations seldom get past it.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"
#include <lathe/runtime.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);

enum { HEADER = 128, ENTRY = 32, PURSE = 8 << 20, ELEMENTS = 1 << 16, MOST_ANYS = 16 };

/* ---- The purse ---- */

typedef struct purse {
    lathe_allocator api;
    size_t used;
} purse;

static void *purse_alloc(void *user, size_t size, size_t align)
{
    purse *p = user;
    size_t room;
    if (size > PURSE - p->used) {
        return NULL;
    }
    align = align < 16 ? 16 : align;
    room = (size + align - 1) / align * align;
    void *block = aligned_alloc(align, room ? room : align);
    p->used += block ? size : 0;
    return block;
}

static void purse_release(void *user, void *block, size_t size, size_t align)
{
    (void)align;
    ((purse *)user)->used -= block ? size : 0;
    free(block);
}

static void require(int condition, const char *what)
{
    if (!condition) {
        fprintf(stderr, "fuzz_plan: %s\n", what);
        abort();
    }
}

/* ---- The file alone ---- */

static lathe_status from_weights(void *user, const lt_plan *plan, uint32_t blob, void *dst, lathe_diag *diag)
{
    const lt_plan *decoded = user;
    (void)diag;
    if (plan->blobs[blob].bytes > 0) {
        memcpy(dst, decoded->weights + plan->blobs[blob].offset, (size_t)plan->blobs[blob].bytes);
    }
    return LATHE_OK;
}

/* Decodes, dumps, writes again, decodes that: two dumps must agree. False: refused. */
static int check_file(purse *p, const void *data, size_t size)
{
    lt_arena arena;
    lt_plan *plan, *again;
    lt_buf page, bytes, page_again;
    lt_arena_init(&arena, &p->api);
    lt_buf_init(&page, &p->api);
    lt_buf_init(&bytes, &p->api);
    lt_buf_init(&page_again, &p->api);
    lathe_status status = lt_plan_decode(data, size, LT_PLAN_VERIFY_FULL, NULL, NULL, &arena, &plan, NULL);
    require(status == LATHE_OK || status == LATHE_BAD_PLAN || status == LATHE_OUT_OF_MEMORY, "decoding failed in another way than by refusal");
    if (status == LATHE_OK) {
        lt_plan_dump(plan, &page);
        if (lt_plan_encode(plan, from_weights, plan, NULL, NULL, &bytes, NULL) == LATHE_OK) {
            lathe_status second = lt_plan_decode(bytes.data, bytes.length, LT_PLAN_VERIFY_FULL, NULL, NULL, &arena, &again, NULL);
            require(second == LATHE_OK || second == LATHE_OUT_OF_MEMORY, "what was decoded is refused when it is written again");
            if (second == LATHE_OK) {
                lt_plan_dump(again, &page_again);
                require(page.failed || page_again.failed || strcmp(lt_buf_str(&page), lt_buf_str(&page_again)) == 0, "written again it reads otherwise");
            }
        }
    }
    lt_buf_free(&page);
    lt_buf_free(&bytes);
    lt_buf_free(&page_again);
    lt_arena_destroy(&arena);
    return status == LATHE_OK;
}

/* ---- Running ---- */

/* A container with the tensor in it, which goes when the run is over; at most MOST_ANYS of them. */
static lathe_status bind_container(purse *p, lathe_context *context, const lathe_io *io, const lathe_tensor *t, lathe_any **any)
{
    lathe_any *inner = NULL;
    bool nested = io->kinds[1] != LATHE_KIND_TENSOR;
    if (!any) {
        return LATHE_UNSUPPORTED;
    }
    lathe_status status = lathe_any_create(&p->api, io->kinds[0], any, NULL);
    status = status == LATHE_OK && nested ? lathe_any_create(&p->api, io->kinds[1], &inner, NULL) : status;
    status = status == LATHE_OK ? lathe_any_put(nested ? inner : *any, 0, t, NULL) : status;
    status = status == LATHE_OK && nested ? lathe_any_put_any(*any, 0, inner, NULL) : status;
    lathe_any_destroy(inner);
    return status == LATHE_OK ? lathe_context_set_input_any(context, io->name, *any, NULL) : status;
}

static lathe_status bind_input(purse *p, lathe_context *context, const lathe_engine *engine, size_t index, lathe_any **any)
{
    static uint64_t data[4][ELEMENTS];
    lathe_io io = {.struct_size = sizeof io};
    if (lathe_engine_io(engine, index, &io, NULL) != LATHE_OK || lathe_dtype_bits(io.dtype) < 8) {
        return LATHE_UNSUPPORTED;
    }
    lathe_tensor t = {.struct_size = sizeof t, .dtype = io.dtype, .rank = io.rank < 0 ? 1 : io.rank, .data = data[index % 4]};
    size_t bytes = lathe_dtype_bits(io.dtype) / 8;
    for (int i = 0; i < t.rank; i++) {
        t.dims[i] = io.rank < 0 || io.dims[i] < 0 ? 2 : io.dims[i];
        if (t.dims[i] < 0 || t.dims[i] > ELEMENTS || __builtin_mul_overflow(bytes, (size_t)t.dims[i], &bytes) || bytes > sizeof data[0]) {
            return LATHE_UNSUPPORTED;
        }
    }
    t.bytes = bytes;
    if (lt_dtype_is_float(t.dtype)) {
        lt_random_fill(&t, index + 1, NULL);
    } else {
        memset(t.data, 1, 1); /* small numbers: the first is 1 */
    }
    return io.is_tensor ? lathe_context_set_input(context, io.name, &t, NULL) : bind_container(p, context, &io, &t, any);
}

/* Every result can be walked. */
static void walk(const lathe_any *any, int depth)
{
    require(depth < 64, "a result without an end");
    for (size_t i = 0; i < lathe_any_count(any); i++) {
        walk(lathe_any_at(any, i), depth + 1);
    }
}

static void check_outputs(lathe_context *context, const lathe_engine *engine)
{
    size_t n = lathe_engine_inputs(engine);
    for (size_t i = 0; i < lathe_engine_outputs(engine); i++) {
        lathe_io io = {.struct_size = sizeof io};
        const lathe_any *any = NULL;
        if (lathe_engine_io(engine, n + i, &io, NULL) == LATHE_OK && lathe_context_output_any(context, io.name, &any, NULL) == LATHE_OK) {
            walk(any, 0);
        }
    }
}

static void check_run(purse *p, const void *data, size_t size)
{
    lathe_runtime_options options = {.struct_size = sizeof options, .allocator = &p->api, .threads = 1};
    lathe_runtime *runtime = NULL;
    lathe_engine *engine = NULL;
    lathe_context *context = NULL;
    lathe_any *anys[MOST_ANYS] = {NULL};
    lathe_status status = lathe_runtime_create(&options, &runtime, NULL);
    status = status == LATHE_OK ? lathe_engine_load_memory(runtime, data, size, NULL, &engine, NULL) : status;
    status = status == LATHE_OK ? lathe_context_create(engine, NULL, &context, NULL) : status;
    for (size_t i = 0; status == LATHE_OK && i < lathe_engine_inputs(engine); i++) {
        status = bind_input(p, context, engine, i, i < MOST_ANYS ? &anys[i] : NULL);
    }
    for (int i = 0; i < 2 && status == LATHE_OK; i++) {
        status = lathe_context_run(context, NULL);
    }
    require(status != LATHE_INTERNAL, "a promise inside the runtime is broken");
    if (status == LATHE_OK) {
        check_outputs(context, engine);
    }
    lathe_context_destroy(context);
    lathe_engine_destroy(engine);
    lathe_runtime_destroy(runtime);
    for (size_t i = 0; i < MOST_ANYS; i++) {
        lathe_any_destroy(anys[i]);
    }
}

/* A loop may go on for as long as a number in the plan says: such plans are not run. */
static int has_loops(purse *p, const void *data, size_t size)
{
    lt_arena arena;
    lt_plan *plan;
    int found = 1;
    lt_arena_init(&arena, &p->api);
    if (lt_plan_decode(data, size, 0, NULL, NULL, &arena, &plan, NULL) == LATHE_OK) {
        found = 0;
        for (uint32_t i = 0; i < plan->n_programs; i++) {
            found |= plan->programs[i].n_loops > 0;
        }
    }
    lt_arena_destroy(&arena);
    return found;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    purse p = {.api = {.struct_size = sizeof(lathe_allocator), .alloc = purse_alloc, .release = purse_release}};
    uint8_t *copy = aligned_alloc(64, (size + 64) / 64 * 64);
    p.api.user = &p;
    if (!copy) {
        return 0;
    }
    memcpy(copy, data, size);
    lt_plan_sniff(copy, size);
    lt_plan_reseal(copy, size, NULL);
    if (check_file(&p, copy, size) && !has_loops(&p, copy, size)) {
        check_run(&p, copy, size);
    }
    require(p.used == 0, "memory was lost");
    free(copy);
    return 0;
}

/* ---- The mutator ---- */

static uint32_t draw(uint64_t *state, uint32_t below)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return below ? (uint32_t)(*state >> 33) % below : 0;
}

static uint64_t number_at(const uint8_t *at, int bytes)
{
    uint64_t n = 0;
    for (int i = 0; i < bytes; i++) {
        n |= (uint64_t)at[i] << (8 * i);
    }
    return n;
}

static void mutate_number(uint8_t *at, uint64_t *state)
{
    static const uint32_t odd[] = {0, 1, 2, 0xffffffffu, 0x7fffffffu, 0x80000000u, 255, 65535};
    uint32_t n = (uint32_t)number_at(at, 4);
    switch (draw(state, 4)) {
    case 0:
        n = odd[draw(state, sizeof odd / sizeof *odd)];
        break;
    case 1:
        n += draw(state, 33) - 16;
        break;
    case 2:
        n = draw(state, 64);
        break;
    default:
        n ^= 1u << draw(state, 32);
        break;
    }
    for (int i = 0; i < 4; i++) {
        at[i] = (uint8_t)(n >> (8 * i));
    }
}

static void mutate_section(uint8_t *at, size_t size, uint64_t *state)
{
    for (uint32_t i = 1 + draw(state, 4); i > 0 && size > 8; i--) {
        size_t here = draw(state, (uint32_t)(size - 4));
        switch (draw(state, 5)) {
        case 0:
            at[here] ^= (uint8_t)(1u << draw(state, 8));
            break;
        case 1:
            at[here] = (uint8_t)draw(state, 256);
            break;
        case 2: { /* what stands elsewhere */
            size_t from = draw(state, (uint32_t)(size - 4));
            memmove(at + here, at + from, 4);
            break;
        }
        default:
            mutate_number(at + here, state);
            break;
        }
    }
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
    uint64_t state = seed * 2654435761u + 1;
    uint32_t sections = size > HEADER ? (uint32_t)number_at(data + 16, 4) : 0;
    if (!lt_plan_sniff(data, size) || sections == 0 || sections > (size - HEADER) / ENTRY || draw(&state, 50) == 0) {
        return LLVMFuzzerMutate(data, size, max_size);
    }
    const uint8_t *entry = data + HEADER + (size_t)ENTRY * draw(&state, sections);
    uint64_t offset = number_at(entry + 16, 8), length = number_at(entry + 24, 8);
    if (offset > size || length > size - offset) {
        return LLVMFuzzerMutate(data, size, max_size);
    }
    mutate_section(data + offset, (size_t)length, &state);
    lt_plan_reseal(data, size, NULL);
    return size;
}
