/*
 * steady_run.c - steady-run MODEL THREADS [INPUT=1x3x224x224]...: what steady runs of a model cost besides time, in one line: allocations in three runs
 * after three, processor time in 200 ms of rest that begin 1 ms after a run, arena and its liveness bound. A model is ONNX or a plan; floats are 0..1,
 * integers 1..99, inputs named *mask* ones. STEADY_TRAP=1 stops at the first allocation, for a debugger. Exit code 1: a figure is not what it should be.
 */
#define _GNU_SOURCE
#include "rt/rt_internal.h"
#include "support/malloc_count.h"
#include <lathe/builder.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { WARM = 3, RUNS = 3, MAX_INPUTS = 16 };

static int die(lathe_diag *diag, const char *what)
{
    fprintf(stderr, "steady-run: %s\n", what);
    lathe_diag_print(diag, stderr);
    return 2;
}

/* Extents of an input from the command line, else its own, free ones being 1. */
static void shape_of(const lathe_io *io, int argc, char **argv, int64_t *dims)
{
    for (int i = 0; i < io->rank; i++) {
        dims[i] = io->dims[i] < 0 ? 1 : io->dims[i];
    }
    size_t length = strlen(io->name);
    for (int k = 3; k < argc; k++) {
        if (strncmp(argv[k], io->name, length) == 0 && argv[k][length] == '=') {
            const char *at = argv[k] + length + 1;
            for (int i = 0; i < io->rank && *at; i++) {
                char *end;
                dims[i] = strtoll(at, &end, 10);
                at = *end ? end + 1 : end;
            }
        }
    }
}

static lathe_status make_input(const lathe_io *io, const int64_t *dims, lt_arena *arena, lathe_tensor *t, lathe_diag *diag)
{
    LT_TRY(lt_tensor_alloc(arena, t, io->dtype, io->rank, dims, io->name, diag));
    t->struct_size = sizeof *t;
    uint64_t seed = 88172645463325252u;
    for (int64_t i = 0; i < lt_tensor_count(t); i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        if (!lt_dtype_is_integer(io->dtype)) {
            lt_store_f64(io->dtype, t->data, i, (double)(seed >> 11) / 9007199254740992.0);
        } else {
            lt_store_i64(io->dtype, t->data, i, strstr(io->name, "mask") ? 1 : 1 + (int64_t)(seed >> 33) % 99);
        }
    }
    return LATHE_OK;
}

static double process_ms(void)
{
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1e3 + (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e3;
}

static void rest(long ns)
{
    struct timespec t = { .tv_nsec = ns };
    nanosleep(&t, NULL);
}

/* Arena of the last run, and the largest sum of bytes that live at one time. */
static lathe_status arena_of(const lathe_context *context, uint64_t *arena, uint64_t *bound, lathe_diag *diag)
{
    const lt_state *s = context->current;
    const lt_plan_program *p = s->program->plan;
    lt_arena memory;
    lt_arena_init(&memory, NULL);
    lt_live *items = LT_ARENA_ARRAY(&memory, lt_live, (size_t)p->n_values + 1);
    uint32_t n = 0;
    uint64_t total;
    for (uint32_t i = 0; items && i < p->n_values; i++) {
        const lt_plan_value *v = &p->values[i];
        if (v->storage == LT_STORE_ARENA && v->format.space == LATHE_SPACE_HOST) {
            items[n++] = (lt_live){ .bytes = s->cells[i].bytes, .first = v->first, .last = v->last };
        }
    }
    lathe_status status = items ? lt_offsets_assign(items, n, &memory, &total, bound, diag) : LT_OOM(diag);
    *arena = s->arena_bytes[LATHE_SPACE_HOST];
    lt_arena_destroy(&memory);
    return status;
}

static lathe_status bind_inputs(lathe_engine *engine, lathe_context *context, int argc, char **argv, lt_arena *arena, lathe_diag *diag)
{
    for (size_t i = 0; i < lathe_engine_inputs(engine); i++) {
        lathe_io io = { .struct_size = sizeof io };
        lathe_tensor t;
        int64_t dims[LATHE_MAX_RANK];
        LT_TRY(lathe_engine_io(engine, i, &io, diag));
        shape_of(&io, argc, argv, dims);
        LT_TRY(make_input(&io, dims, arena, &t, diag));
        LT_TRY(lathe_context_set_input(context, io.name, &t, diag));
    }
    return LATHE_OK;
}

static lathe_status run_times(lathe_context *context, int times, lathe_diag *diag)
{
    for (int i = 0; i < times; i++) {
        LT_TRY(lathe_context_run(context, diag));
    }
    return LATHE_OK;
}

static lathe_status measure(lathe_engine *engine, int argc, char **argv, bool *bad, lathe_diag *diag)
{
    lathe_context *context = NULL;
    lt_arena arena;
    uint64_t bytes, bound;
    lt_arena_init(&arena, NULL);
    LT_TRY(lathe_context_create(engine, NULL, &context, diag));
    LT_TRY(bind_inputs(engine, context, argc, argv, &arena, diag));
    LT_TRY(run_times(context, WARM, diag));
    size_t before = atomic_load(&malloc_calls);
    atomic_store(&malloc_trap, getenv("STEADY_TRAP") != NULL);
    LT_TRY(run_times(context, RUNS, diag));
    atomic_store(&malloc_trap, false);
    size_t allocations = atomic_load(&malloc_calls) - before;
    rest(1000000);
    double idle = process_ms();
    rest(200000000);
    idle = process_ms() - idle;
    LT_TRY(arena_of(context, &bytes, &bound, diag));
    double ratio = bound ? (double)bytes / (double)bound : 1;
    *bad = allocations > 0 || idle > 1 || ratio > 1.15;
    printf("%6zu allocations  idle %.2f ms  arena %10llu  bound %10llu  ratio %.3f  %s\n", allocations, idle, (unsigned long long)bytes,
           (unsigned long long)bound, ratio, argv[1]);
    lathe_context_destroy(context);
    lt_arena_destroy(&arena);
    return LATHE_OK;
}

static lathe_status open_model(lathe_runtime *runtime, const char *path, int threads, lathe_engine **out, lathe_diag *diag)
{
    size_t length = strlen(path), size;
    lathe_network *network = NULL;
    lathe_plan *plan = NULL;
    lathe_build_options options = { .struct_size = sizeof options, .threads = threads };
    if (length > 5 && strcmp(path + length - 5, ".plan") == 0) {
        return lathe_engine_load(runtime, path, NULL, out, diag);
    }
    LT_TRY(lathe_network_from_onnx_file(path, NULL, &network, diag));
    LT_TRY(lathe_build(network, &options, &plan, diag));
    const void *data = lathe_plan_data(plan, &size);
    lathe_load_options load = { .struct_size = sizeof load, .copy = 1 };
    LT_TRY(lathe_engine_load_memory(runtime, data, size, &load, out, diag));
    lathe_plan_destroy(plan);
    lathe_network_destroy(network);
    return LATHE_OK;
}

int main(int argc, char **argv)
{
    lathe_diag *diag = lathe_diag_create(NULL);
    lathe_runtime_options options = { .struct_size = sizeof options };
    lathe_runtime *runtime = NULL;
    lathe_engine *engine = NULL;
    bool bad = false;
    if (argc < 3) {
        return die(diag, "MODEL.onnx|M.plan THREADS [INPUT=1x3x224x224]...");
    }
    options.threads = atoi(argv[2]);
    lathe_status status = lathe_runtime_create(&options, &runtime, diag);
    status = status == LATHE_OK ? open_model(runtime, argv[1], options.threads, &engine, diag) : status;
    status = status == LATHE_OK ? measure(engine, argc, argv, &bad, diag) : status;
    if (status != LATHE_OK) {
        return die(diag, argv[1]); /* what is out goes with the process */
    }
    lathe_engine_destroy(engine);
    lathe_runtime_destroy(runtime);
    lathe_diag_destroy(diag);
    return bad ? 1 : 0;
}
