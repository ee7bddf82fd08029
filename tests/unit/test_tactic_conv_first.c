/*
 * test_tactic_conv_first.c - random convolutions of few channels, like those that images meet first, through the tactic for them: all kernels, strides,
 * pads and dilations, rows that are cut, epilogues.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "support/tactic_check.h"
#include <string.h>

static void check(tc_case *c)
{
    const lathe_tactic *t;
    int found = 0;
    for (size_t i = 0; (t = lt_tactic_at(i)); i++) {
        if (strstr(t->name, "conv.f32.first") && (t->cpu_features & ~lt_cpu_features()) == 0) {
            tc_check_tactic(c, t, 0);
            found++;
            tc_must_have_fitted(t);
        }
    }
    assert_true(found > 0);
}

typedef struct shape {
    int n; /* spatial axes */
    int64_t batch, channels, filters, in[2], kernel[2], stride[2], dilation[2], pads[4];
} shape;

static void one(uint64_t seed, const shape *s)
{
    static tc_case c;
    tc_begin(&c, seed, "Conv", "");
    int rank = s->n + 2;
    int64_t x[4] = { s->batch, s->channels }, w[4] = { s->filters, s->channels }, y[4] = { s->batch, s->filters };
    for (int i = 0; i < s->n; i++) {
        x[i + 2] = s->in[i];
        w[i + 2] = s->kernel[i];
        y[i + 2] =
            (s->in[i] + s->pads[i] + s->pads[s->n + i] - s->dilation[i] * (s->kernel[i] - 1) - 1) / s->stride[i] + 1;
    }
    tc_ints(&c, "pads", (size_t)(2 * s->n), s->pads);
    tc_ints(&c, "dilations", (size_t)s->n, s->dilation);
    tc_ints(&c, "strides", (size_t)s->n, s->stride);
    tc_root(&c, tc_input(&c, LATHE_DTYPE_F32, rank, x, 0));
    tc_root(&c, tc_input(&c, LATHE_DTYPE_F32, rank, w, LATHE_OPERAND_CONSTANT));
    if (tc_chance(&c.random, 2)) {
        tc_root(&c, tc_input(&c, LATHE_DTYPE_F32, 1, w, LATHE_OPERAND_CONSTANT));
    }
    c.root_tolerance = 3e-6;
    c.root_absolute = true;
    if (tc_chance(&c.random, 3)) {
        (void)tc_output(&c, LATHE_DTYPE_F32, rank, y);
    } else {
        tc_space(&c, rank, y);
        tc_epilogue(&c, tc_root_value(&c, LATHE_DTYPE_F32), rank, y, 1);
    }
    check(&c);
    tc_end(&c);
}

static void random_convolutions(void **state)
{
    (void)state;
    tc_reset();
    for (uint64_t seed = 1; seed <= TC_SEEDS(120); seed++) {
        tc_random r = { .key = seed };
        shape s = { .n = tc_chance(&r, 4) ? 1 : 2,
                    .batch = tc_range(&r, 1, 2),
                    .channels = tc_chance(&r, 3) ? tc_range(&r, 5, 20) : tc_range(&r, 1, 4),
                    .filters = tc_range(&r, 1, 70) };
        for (int i = 0; i < s.n; i++) {
            s.kernel[i] = tc_range(&r, 1, 7);
            s.stride[i] = tc_range(&r, 1, 4);
            s.dilation[i] = tc_chance(&r, 4) ? tc_range(&r, 2, 3) : 1;
            s.pads[i] = tc_range(&r, 0, 3);
            s.pads[s.n + i] = tc_range(&r, 0, 3);
            int64_t least = s.dilation[i] * (s.kernel[i] - 1) + 1 - s.pads[i] - s.pads[s.n + i];
            s.in[i] = (least > 1 ? least : 1) + tc_range(&r, 0, 40);
        }
        one(seed, &s);
    }
}

/* Rows that are longer than a strip, and several strips below each other. */
static void large_images(void **state)
{
    shape wide = { .n = 1,
                   .batch = 1,
                   .channels = 120,
                   .filters = 5,
                   .in = { 1700 },
                   .kernel = { 3 },
                   .stride = { 2 },
                   .dilation = { 1 },
                   .pads = { 1, 1 } };
    shape tall = { .n = 2,
                   .batch = 2,
                   .channels = 3,
                   .filters = 5,
                   .in = { 300, 90 },
                   .kernel = { 3, 3 },
                   .stride = { 1, 2 },
                   .dilation = { 1, 1 },
                   .pads = { 1, 1, 1, 0 } };
    (void)state;
    tc_reset();
    one(1, &wide);
    one(2, &tall);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_convolutions),
        cmocka_unit_test(large_images),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
