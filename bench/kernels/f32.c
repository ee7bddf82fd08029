/*
 * f32.c - whole steps around the f32 matrix kernel: products with a bias and ReLU by the library's tactic, one thread, the constant right matrix packed. What
 * a step costs beside the kernel shows in the smallest shape; the bars are the kernel's (brgemm.c).
 */
#include "kernels.h"

#include "backend/backend.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
typedef struct job {
    lt_arena arena;
    const lathe_tactic *tactic;
    lathe_call call;
    lathe_buffer in[3], out[1];
    int64_t dims[4][LATHE_MAX_RANK];
} job;

static float *numbers(size_t count)
{
    size_t bytes = (count * sizeof(float) + 4095) / 4096 * 4096;
    float *x = aligned_alloc(4096, bytes);
    for (size_t i = 0; x && i < count; i++) {
        x[i] = (float)(i * 37 % 101) / 101.0f - 0.5f;
    }
    return x;
}

static void drop(void *user)
{
    job *j = user;
    for (int i = 0; i < 3; i++) {
        free(j->in[i].data);
    }
    free(j->out[0].data);
    free(j->call.scratch);
    lt_arena_destroy(&j->arena);
    free(j);
}

/* The operands in memory, the right matrix as the tactic wants it. */
static bool operands(job *j, const lathe_problem *p, const lathe_fit *fit)
{
    for (size_t i = 0; i < 4; i++) {
        const lathe_operand *o = i < 3 ? &p->in[i] : &p->out[0];
        lathe_buffer *b = i < 3 ? &j->in[i] : &j->out[0];
        lathe_tensor t = { .dtype = o->dtype, .rank = o->rank };
        size_t count = 1, bytes;
        for (int d = 0; d < o->rank; d++) {
            t.dims[d] = j->dims[i][d] = o->dims[d].opt;
            count *= (size_t)o->dims[d].opt;
        }
        *b = (lathe_buffer){ .data = numbers(count), .rank = o->rank, .dims = j->dims[i] };
        if (!b->data) {
            return false;
        }
        if (i == 3 || !fit->pack[i]) {
            continue;
        }
        t.data = b->data;
        float *packed =
            lt_pack_bytes(fit->pack[i], &t, fit->pack_param[i], &bytes) ? numbers(bytes / sizeof(float)) : NULL;
        if (packed) {
            lt_pack_find(fit->pack[i])->pack(packed, &t, fit->pack_param[i]);
        }
        free(b->data);
        b->data = packed;
        if (!packed) {
            return false;
        }
    }
    return true;
}

static void *make(const char *tactic, bench_shape s)
{
    char text[512];
    lathe_problem *p;
    lathe_fit fit = { .struct_size = sizeof fit };
    job *j = calloc(1, sizeof *j);
    if (!j) {
        return NULL;
    }
    lt_arena_init(&j->arena, NULL);
    (void)snprintf(text, sizeof text,
                   "\"Gemm\" \"\" 13 <>; in f32[%d,%d] plain; in f32[%d,%d] plain const; in f32[%d] plain const; "
                   "out f32[%d,%d] plain; root(0,1,2)->1; %%0 Root:f32 #0; %%1 Relu:f32 %%0; %%2 Store:f32 #0 %%1; "
                   "space[%d,%d]",
                   s.m, s.k, s.k, s.n, s.n, s.m, s.n, s.m, s.n);
    j->tactic = lt_tactic_find(tactic);
    if (!j->tactic || lt_problem_parse(&j->arena, text, strlen(text), &p, NULL) != LATHE_OK ||
        !lt_tactic_ask(j->tactic, 0, p, lt_cpu_features(), &j->arena, &fit) || !operands(j, p, &fit)) {
        drop(j);
        return NULL;
    }
    size_t scratch = j->tactic->scratch_bytes(p, 0, j->in, j->out, 1) / sizeof(float) + 16;
    j->call = (lathe_call){
        .struct_size = sizeof j->call, .problem = p, .in = j->in, .out = j->out, .scratch = numbers(scratch)
    };
    return j;
}

static void alone(const lathe_gang *gang)
{
    (void)gang;
}

static void run(void *user)
{
    job *j = user;
    const lathe_gang gang = { .index = 0, .count = 1, .barrier = alone };
    if (!j->call.scratch || j->tactic->run(&gang, &j->call, NULL) != LATHE_OK) {
        (void)fprintf(stderr, "%s failed\n", j->tactic->name);
        exit(5);
    }
}

static void *make_avx512(bench_shape shape)
{
    return make("gemm.f32.avx512", shape);
}

static void *make_avx2(bench_shape shape)
{
    return make("gemm.f32.avx2", shape);
}

const bench_family bench_f32_avx512 = { .name = "f32 avx512 step",
                                        .bar = 0,
                                        .features = 1ull << LT_CPU_AVX512,
                                        .columns = 32,
                                        .probe = bench_peak_f32_avx512,
                                        .probe_ops = BENCH_PEAK_F32_AVX512_OPS,
                                        .make = make_avx512,
                                        .run = run,
                                        .drop = drop };
const bench_family bench_f32_avx2 = { .name = "f32 avx2 step",
                                      .bar = 0,
                                      .features = 1ull << LT_CPU_AVX2 | 1ull << LT_CPU_FMA,
                                      .columns = 16,
                                      .probe = bench_peak_f32_avx2,
                                      .probe_ops = BENCH_PEAK_F32_AVX2_OPS,
                                      .make = make_avx2,
                                      .run = run,
                                      .drop = drop };
#endif
