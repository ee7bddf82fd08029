/*
 * test_brgemm.c - the matrix product's kernels of each level: every number of rows, taps, partial columns, every epilogue, shared rows, against sums in
 * double precision.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "backend/cpu/brgemm.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 40, LDA = 37, TAPS = 3, K = 9, LDC = 35, GUARD = 7 };

static uint32_t state = 1;

static float draw(void)
{
    state = state * 1664525u + 1013904223u;
    return (float)(int32_t)(state >> 8) / (float)(1 << 23) - 1.0f;
}

typedef struct world {
    float a[ROWS * LDA + 64], c[ROWS * LDC + 64], before[ROWS * LDC + 64], add[ROWS * LDC + 64], bias[LT_GEMM_NR];
    _Alignas(64) float b[TAPS * K * LT_GEMM_NR];
    int64_t tap[TAPS];
} world;

static void fill(world *w)
{
    for (size_t i = 0; i < sizeof w->a / sizeof *w->a; i++) {
        w->a[i] = draw();
    }
    for (size_t i = 0; i < sizeof w->c / sizeof *w->c; i++) {
        w->before[i] = w->c[i] = draw();
        w->add[i] = draw();
    }
    for (size_t i = 0; i < sizeof w->b / sizeof *w->b; i++) {
        w->b[i] = draw();
    }
    for (int i = 0; i < LT_GEMM_NR; i++) {
        w->bias[i] = draw();
    }
    w->tap[0] = 5;
    w->tap[1] = 0;
    w->tap[2] = 11;
}

static double expected(const world *w, const lt_brgemm_call *call, int nr, int64_t row_of_a, int64_t row, int j)
{
    double sum = call->accumulate ? (double)w->before[row * LDC + j] : 0;
    for (int64_t t = 0; t < call->taps; t++) {
        for (int64_t p = 0; p < call->k; p++) {
            sum += (double)w->a[row_of_a * LDA + (call->tap ? call->tap[t] : 0) + p] *
                   (double)w->b[(t * call->k + p) * nr + j];
        }
    }
    sum = sum * (double)call->scale + (call->bias ? (double)w->bias[j] : 0);
    if (call->add[0]) {
        sum += (double)(call->add[0] == w->c ? w->before : w->add)[row * LDC + j];
    }
    return sum < (double)call->low ? (double)call->low : sum > (double)call->high ? (double)call->high : sum;
}

/* Rows 0 .. rows of c are results, columns behind cols and rows behind them untouched. */
static void check(const world *w, const lt_brgemm_call *call, int nr, int rows)
{
    for (int i = 0; i < ROWS; i++) {
        for (int j = 0; j < LDC; j++) {
            float got = w->c[i * LDC + j];
            if (i < rows && j < call->cols) {
                assert_true(fabs((double)got - expected(w, call, nr, i, i, j)) < 2e-5);
            } else {
                assert_memory_equal(&got, &w->before[i * LDC + j], sizeof got);
            }
        }
    }
}

static void vary(world *w, lt_brgemm_call *call, int nr, int round)
{
    *call = (lt_brgemm_call){ .lda = LDA,
                              .taps = round % 2 ? TAPS : 1,
                              .tap = round % 2 ? w->tap : NULL,
                              .k = 1 + round % K,
                              .b = w->b,
                              .next = round % 9 > 4 ? w->b : NULL,
                              .ldc = LDC,
                              .scale = round % 3 ? 1.0f : 0.5f,
                              .bias = round % 4 ? w->bias : NULL,
                              .low = round % 5 ? -INFINITY : -0.25f,
                              .high = round % 7 ? INFINITY : 0.5f,
                              .ld_add = LDC,
                              .accumulate = round % 6 == 0,
                              .cols = round % 8 ? 1 + round * 5 % nr : nr };
    call->a[0] = w->a;
    call->c[0] = w->c;
    call->add[0] = round % 3 == 1 ? w->add : round % 3 == 2 ? w->c : NULL;
}

static void one_level(const lt_brgemm *kernels)
{
    static world w;
    lt_brgemm_call call;
    assert_true(kernels->segment >= 1 && kernels->segment <= kernels->narrow && kernels->narrow <= LT_BRGEMM_SEGMENT);
    for (int round = 0; round < 90; round++) {
        vary(&w, &call, kernels->nr, round);
        for (int r = 1; r <= (call.cols <= kernels->nr / 2 ? kernels->narrow : kernels->segment); r++) {
            fill(&w);
            vary(&w, &call, kernels->nr, round);
            kernels->one[r](&call);
            check(&w, &call, kernels->nr, r);
            fill(&w);
            call.a[1] = w.a + r * LDA;
            call.c[1] = w.c + r * LDC;
            call.add[1] = call.add[0] ? call.add[0] + r * LDC : NULL;
            kernels->two[r](&call);
            check(&w, &call, kernels->nr, 2 * r);
        }
        for (int rows = 0; rows <= ROWS; rows += 1 + round % 3) {
            fill(&w);
            vary(&w, &call, kernels->nr, round);
            lt_brgemm_run(kernels, &call, rows);
            check(&w, &call, kernels->nr, rows);
        }
    }
}

/* NaN passes through limits. */
static void nan_stays(const lt_brgemm *kernels)
{
    static world w;
    lt_brgemm_call call;
    fill(&w);
    vary(&w, &call, kernels->nr, 35);
    call.cols = kernels->nr;
    call.accumulate = false;
    call.add[0] = NULL;
    call.bias = NULL;
    w.a[call.tap[0]] = NAN;
    kernels->one[1](&call);
    for (int j = 0; j < call.cols; j++) {
        assert_true(isnan(w.c[j]));
    }
}

static void kernels(void **unused)
{
    (void)unused;
    uint64_t features = lt_cpu_features();
    one_level(&lt_brgemm_base);
    nan_stays(&lt_brgemm_base);
#if defined(__x86_64__)
    if (features & (1ull << LT_CPU_AVX2)) {
        one_level(&lt_brgemm_avx2);
        nan_stays(&lt_brgemm_avx2);
    }
#endif
#if defined(__x86_64__) && !defined(LT_WITHOUT_AVX512)
    if (features & (1ull << LT_CPU_AVX512)) {
        one_level(&lt_brgemm_avx512);
        nan_stays(&lt_brgemm_avx512);
    }
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(kernels) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
