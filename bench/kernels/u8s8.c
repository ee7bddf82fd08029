/*
 * u8s8.c - the families of the byte kernel (q8_dot.h): products of unsigned rows by packed signed panels. "u8s8" leaves 32-bit sums, "u8s8 to u8" also
 * rescales, limits and rounds them to bytes.
 */
#include "kernels.h"

#include "backend/cpu/q8_dot.h"
#include <stdlib.h>
#include <string.h>

typedef struct job {
    const lt_q8_isa *isa;
    bench_shape shape;
    bool finish;
    uint8_t *a, *y;
    int8_t *b;
    int32_t *sums;
    lt_q8_panel *panels;
} job;

static void *bytes(size_t count)
{
    uint8_t *x = aligned_alloc(4096, (count + 4095) / 4096 * 4096);
    for (size_t i = 0; x && i < count; i++) {
        x[i] = (uint8_t)(i * 37 % 101);
    }
    return x;
}

static void drop(void *user)
{
    job *j = user;
    free(j->a);
    free(j->b);
    free(j->y);
    free(j->sums);
    free(j->panels);
    free(j);
}

static void *make(const lt_q8_isa *isa, bench_shape s, bool finish)
{
    job *j = malloc(sizeof *j);
    if (!j) {
        return NULL;
    }
    *j = (job){ .isa = isa, .shape = s, .finish = finish };
    j->a = bytes((size_t)s.m * (size_t)s.k + LT_Q8_SLACK);
    j->b = bytes((size_t)s.k * (size_t)s.n);
    j->y = bytes((size_t)s.m * (size_t)s.n);
    j->sums = bytes(LT_Q8_MR * LT_Q8_NR * sizeof(int32_t));
    j->panels = bytes((size_t)(s.n / isa->nr) * sizeof *j->panels);
    if (!j->a || !j->b || !j->y || !j->sums || !j->panels) {
        drop(j);
        return NULL;
    }
    for (int i = 0; i < s.n / isa->nr; i++) {
        memset(&j->panels[i], 0, sizeof j->panels[i]);
        for (int k = 0; k < isa->nr; k++) {
            j->panels[i].scale[k] = 1e-4f;
        }
    }
    return j;
}

static void run(void *user)
{
    const job *j = user;
    int nr = j->isa->nr, mr = j->isa->mr, cuts = (j->shape.m + mr - 1) / mr;
    int64_t tap = 0;
    lt_q8_store store = { .out = LATHE_DTYPE_U8, .low = 0, .high = 255 };
    for (int col = 0; col < j->shape.n; col += nr) {
        for (int i = 0; i < cuts; i++) {
            int first = j->shape.m * i / cuts, rows = j->shape.m * (i + 1) / cuts - first;
            const uint8_t *a = j->a + (size_t)first * (size_t)j->shape.k;
            lt_q8_dot call = { .a = { a, a + (size_t)((rows + 1) / 2) * (size_t)j->shape.k },
                               .lda = j->shape.k,
                               .taps = 1,
                               .tap = &tap,
                               .quads = j->shape.k / 4,
                               .start = lt_q8_zeros,
                               .b = j->b + (size_t)col * (size_t)j->shape.k,
                               .c = j->sums };
            j->isa->dot[rows](&call);
            if (j->finish) {
                lt_q8_rows r = { .sums = j->sums, .rows = rows, .cols = nr, .step = j->shape.n };
                r.dst = j->y + (size_t)first * (size_t)j->shape.n + col;
                j->isa->finish(&j->panels[col / nr], &store, &r);
            }
        }
    }
}

#if defined(__x86_64__)
static void *make_sums(bench_shape shape)
{
    return make(&lt_q8_isa_vnni, shape, false);
}

static void *make_bytes(bench_shape shape)
{
    return make(&lt_q8_isa_vnni, shape, true);
}

const bench_family bench_u8s8_vnni = { .name = "u8s8 vnni",
                                       .bar = 85,
                                       .features = 1ull << LT_CPU_AVX512 | 1ull << LT_CPU_AVX512_VNNI,
                                       .columns = 32,
                                       .probe = bench_peak_u8s8_vnni,
                                       .probe_ops = BENCH_PEAK_U8S8_VNNI_OPS,
                                       .make = make_sums,
                                       .run = run,
                                       .drop = drop };
const bench_family bench_u8s8_to_u8 = { .name = "u8s8 to u8",
                                        .bar = 0,
                                        .features = 1ull << LT_CPU_AVX512 | 1ull << LT_CPU_AVX512_VNNI,
                                        .columns = 32,
                                        .probe = bench_peak_u8s8_vnni,
                                        .probe_ops = BENCH_PEAK_U8S8_VNNI_OPS,
                                        .make = make_bytes,
                                        .run = run,
                                        .drop = drop };
#endif
