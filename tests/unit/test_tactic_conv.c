/*
 * test_tactic_conv.c - random convolutions of rank 3 to 5 with epilogues through every tactic for Conv.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "support/tactic_check.h"
#include <string.h>

typedef struct shape {
    int n;                                    /* spatial axes */
    int64_t batch, groups, channels, filters; /* the latter two of a group */
    int64_t in[3], kernel[3], stride[3], dilation[3], pads[6];
} shape;

static void choose(tc_random *r, shape *s, bool depthwise)
{
    s->n = tc_chance(r, 4) ? 1 : tc_chance(r, 8) ? 3 : 2;
    s->batch = tc_range(r, 1, 3);
    s->groups = tc_chance(r, 3) ? tc_range(r, 2, 4) : 1;
    s->channels = tc_range(r, 1, tc_chance(r, 3) ? 20 : 5);
    s->filters = tc_chance(r, 3) ? tc_range(r, 1, 40) : tc_range(r, 1, 9);
    if (depthwise) {
        s->groups = tc_range(r, 1, tc_chance(r, 3) ? 70 : 9);
        s->channels = s->filters = 1;
    }
    bool one = tc_chance(r, 4);
    for (int i = 0; i < s->n; i++) {
        s->kernel[i] = one ? 1 : tc_range(r, 1, 4);
        s->stride[i] = one && tc_chance(r, 2) ? 1 : tc_chance(r, 2) ? 1 : tc_range(r, 1, 3);
        s->dilation[i] = tc_chance(r, 3) ? 2 : 1;
        s->pads[i] = one ? 0 : tc_range(r, 0, 3);
        s->pads[s->n + i] = one ? 0 : tc_range(r, 0, 3);
        int64_t least = s->dilation[i] * (s->kernel[i] - 1) + 1 - s->pads[i] - s->pads[s->n + i];
        s->in[i] = tc_range(r, least < 1 ? 1 : least, (least < 1 ? 1 : least) + 11);
    }
}

/* What networks are made of: a few more channels, kernels of 3 with pads of as much, wider images. */
static void choose_usual(tc_random *r, shape *s)
{
    s->n = tc_chance(r, 4) ? 1 : 2;
    s->batch = tc_range(r, 1, 2);
    s->groups = tc_chance(r, 4) ? 2 : 1;
    s->channels = tc_range(r, 8, 20);
    s->filters = tc_range(r, 8, 40);
    int64_t kernel = tc_chance(r, 5)   ? 5
                     : tc_chance(r, 5) ? 1
                                       : 3,
            stride = tc_chance(r, 3) ? 2 : 1, dilation = tc_chance(r, 5) ? tc_range(r, 2, 6) : 1;
    for (int i = 0; i < s->n; i++) {
        s->kernel[i] = kernel;
        s->stride[i] = stride;
        s->dilation[i] = dilation;
        s->pads[i] = s->pads[s->n + i] = kernel / 2 * dilation;
        s->in[i] = tc_range(r, 3, 21);
    }
}

static int64_t result(const shape *s, int i, bool same)
{
    if (same) {
        return (s->in[i] + s->stride[i] - 1) / s->stride[i];
    }
    return (s->in[i] + s->pads[i] + s->pads[s->n + i] - s->dilation[i] * (s->kernel[i] - 1) - 1) / s->stride[i] + 1;
}

static void one_conv(uint64_t seed, bool depthwise, bool usual)
{
    static tc_case c;
    shape s = { 0 };
    tc_begin(&c, seed, "Conv", "");
    tc_random *r = &c.random;
    if (usual) {
        choose_usual(r, &s);
    } else {
        choose(r, &s, depthwise);
    }
    bool same = tc_chance(r, 6);
    int rank = s.n + 2;
    int64_t x[5] = { s.batch, s.groups * s.channels }, w[5] = { s.groups * s.filters, s.channels },
            y[5] = { s.batch, s.groups * s.filters };
    for (int i = 0; i < s.n; i++) {
        x[i + 2] = s.in[i];
        w[i + 2] = s.kernel[i];
        y[i + 2] = result(&s, i, same);
    }
    if (same) {
        c.attrs[c.problem.n_attrs++] =
            (lathe_attr){ .name = "auto_pad", .kind = LATHE_ATTR_STRING, .s = { "SAME_UPPER", 10 } };
    } else {
        tc_ints(&c, "pads", (size_t)(2 * s.n), s.pads);
    }
    tc_ints(&c, "dilations", (size_t)s.n, s.dilation);
    tc_int(&c, "group", s.groups);
    tc_ints(&c, "strides", (size_t)s.n, s.stride);
    lathe_dtype dtype = tc_real_type(r);
    tc_root(&c, tc_input(&c, dtype, rank, x, 0));
    tc_root(&c, tc_input(&c, dtype, rank, w, tc_chance(r, 4) ? 0 : LATHE_OPERAND_CONSTANT));
    if (tc_chance(r, 2)) {
        tc_root(&c, tc_input(&c, dtype, 1, w, LATHE_OPERAND_CONSTANT));
    }
    c.root_tolerance = 3e-6;
    c.root_absolute = true;
    if (tc_chance(r, 4)) {
        (void)tc_output(&c, dtype, rank, y);
    } else {
        tc_space(&c, rank, y);
        tc_epilogue(&c, tc_root_value(&c, dtype), rank, y, 1);
    }
    tc_check_all(&c);
    tc_end(&c);
}

static void random_convolutions(void **state)
{
    (void)state;
    tc_reset();
    for (uint64_t seed = 1; seed <= TC_SEEDS(150); seed++) {
        one_conv(seed, seed % 3 == 0, false);
    }
    for (uint64_t seed = 1001; seed <= 1040; seed++) {
        one_conv(seed, false, true);
    }
    tc_all_fitted("Conv", "");
    tc_must_take_rows("conv.f32.nhwc.direct.*");
    tc_must_take_rows("conv.f32.nhwc.winograd2.*");
    tc_must_take_rows("conv.f32.first.*");
    tc_must_take_rows("conv.f32.depthwise.last.*");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_convolutions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
