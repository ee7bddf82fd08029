/*
 * test_system_large.c - numbers whose squares or sums do not fit a float: softmax, logarithms of sums of exponentials, lengths and normalizations of rows around
 * 1e37 come out as in exact arithmetic, by the kernels of every instruction set, and lengths of rows around 1e-30 do not die out.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "support/containers.h"

enum { ROWS = 2, COLS = 40, ALL = ROWS * COLS };

static const char net[] = "large (f32[2,40] x) => (rows, columns, layer, rms, unit, soft, sums, instance, group)\n"
                          "<f32[40] g = splat(1.0), f32[2] h = splat(1.0), f32[2] o = splat(0.0), i64[1] a0 = {0}, i64[1] a1 = {1}, i64[3] s = {1, 2, 40}>\n"
                          "{\n"
                          "  rows = ReduceL2 <keepdims = 1> (x, a1)\n"
                          "  columns = ReduceL2 <keepdims = 1> (x, a0)\n"
                          "  layer = LayerNormalization <axis = -1> (x, g)\n"
                          "  rms = RMSNormalization <axis = -1> (x, g)\n"
                          "  unit = LpNormalization <axis = -1> (x)\n"
                          "  soft = Softmax <axis = -1> (x)\n"
                          "  sums = ReduceLogSumExp <keepdims = 1> (x, a1)\n"
                          "  z = Reshape (x, s)\n"
                          "  instance = InstanceNormalization (z, h, o)\n"
                          "  group = GroupNormalization <num_groups = 1> (z, h, o)\n"
                          "}\n";

typedef struct moments {
    double mean, deviation, square; /* square: the mean of squares */
    double most;
} moments;

static moments moments_of(const float *x, int n, int step)
{
    moments m = { .most = -INFINITY };
    for (int i = 0; i < n; i++) {
        m.mean += (double)x[i * step] / n;
        m.square += (double)x[i * step] * x[i * step] / n;
        m.most = fmax(m.most, x[i * step]);
    }
    for (int i = 0; i < n; i++) {
        m.deviation += ((double)x[i * step] - m.mean) * ((double)x[i * step] - m.mean) / n;
    }
    m.deviation = sqrt(m.deviation + 1e-5);
    return m;
}

static void compare(fixture *f, const char *name, const double *want, int n)
{
    lathe_tensor t = { .struct_size = sizeof t };
    double most = 0;
    SYS_MUST(lathe_context_output(f->context, name, &t, diag));
    for (int i = 0; i < n; i++) {
        most = fmax(most, fabs(want[i]));
    }
    for (int i = 0; i < n; i++) {
        double got = ((const float *)t.data)[i];
        if (!(fabs(got - want[i]) <= 2e-6 * most)) {
            fail_msg("%s[%d] is %g, not %g", name, i, got, want[i]);
        }
    }
}

static void check_rows(fixture *f, const float *x, bool around_zero)
{
    double rows[ROWS], columns[COLS], layer[ALL], rms[ALL], unit[ALL], group[ALL], soft[ALL], sums[ROWS];
    moments all = moments_of(x, ALL, 1);
    for (int i = 0; i < ALL; i++) {
        moments m = moments_of(x + i / COLS * COLS, COLS, 1);
        layer[i] = (x[i] - m.mean) / m.deviation;
        rms[i] = x[i] / sqrt(m.square + 1e-5);
        rows[i / COLS] = sqrt(m.square * COLS);
        unit[i] = x[i] / rows[i / COLS];
        group[i] = (x[i] - all.mean) / all.deviation;
        soft[i] = exp(x[i] - m.most); /* neighbours are far apart */
        sums[i / COLS] = m.most;
    }
    for (int i = 0; i < COLS; i++) {
        columns[i] = sqrt(moments_of(x + i, ROWS, COLS).square * ROWS);
    }
    compare(f, "rows", rows, ROWS);
    compare(f, "columns", columns, COLS);
    compare(f, "layer", layer, ALL);
    compare(f, "rms", rms, ALL);
    compare(f, "unit", unit, ALL);
    compare(f, "instance", layer, ALL);
    compare(f, "group", group, ALL);
    if (!around_zero) {
        compare(f, "soft", soft, ALL);
        compare(f, "sums", sums, ROWS);
    }
}

static void numbers_of(const char *isa, double scale)
{
    lathe_build_options options = { .struct_size = sizeof options, .max_isa = isa };
    fixture f = open_text(net, &options);
    float x[ALL];
    const int64_t dims[] = { ROWS, COLS };
    for (int i = 0; i < ALL; i++) {
        x[i] = (float)(scale * (2.0 * i / (ALL - 1) - 1));
    }
    lathe_tensor t = tensor(LATHE_DTYPE_F32, 2, dims, x);
    SYS_MUST(lathe_context_set_input(f.context, "x", &t, diag));
    SYS_MUST(lathe_context_run(f.context, diag));
    check_rows(&f, x, scale < 1e6);
    close_fixture(&f);
}

static void nothing_overflows(void **state)
{
    static const char *const levels[] = { "base", "avx2", "avx512" };
    static const double scales[] = { 1, 1e12, 3e19, 1e30, 3e37, 1e-12, 1e-21, 1e-30 };
    (void)state;
    for (size_t i = 0; i < LT_COUNT(levels); i++) {
        for (size_t k = 0; k < LT_COUNT(scales); k++) {
            numbers_of(levels[i], scales[k]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(nothing_overflows) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
