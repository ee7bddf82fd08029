/*
 * test_tactic_conv_transpose.c - random transposed convolutions of rank 3 to 5 with epilogues through every tactic for ConvTranspose.
 *
 * ctest: COST 16
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
    int64_t in[3], kernel[3], stride[3], dilation[3], pads[6], extra[3], out[3];
} shape;

static void choose(tc_random *r, shape *s)
{
    s->n = tc_chance(r, 4) ? 1 : tc_chance(r, 8) ? 3 : 2;
    s->batch = tc_range(r, 1, 2);
    s->groups = tc_chance(r, 3) ? tc_range(r, 2, 4) : 1;
    s->channels = tc_range(r, 1, tc_chance(r, 3) ? 20 : 5);
    s->filters = tc_chance(r, 3) ? tc_range(r, 1, 140) : tc_range(r, 1, 9);
    bool doubled = tc_chance(r, 3); /* kernel and stride 2, as upsampling networks have it */
    for (int i = 0; i < s->n; i++) {
        s->kernel[i] = doubled ? 2 : tc_range(r, 1, 5);
        s->stride[i] = doubled ? 2 : tc_range(r, 1, 3);
        s->dilation[i] = doubled || tc_chance(r, 2) ? 1 : tc_range(r, 2, 3);
        int64_t reach = s->dilation[i] * (s->kernel[i] - 1),
                most = s->stride[i] > s->dilation[i] ? s->stride[i] : s->dilation[i];
        s->extra[i] = doubled ? 0 : tc_range(r, 0, most - 1);
        s->in[i] = tc_range(r, 1, s->n == 3 ? 6 : tc_chance(r, 4) ? 40 : 11);
        int64_t full = s->stride[i] * (s->in[i] - 1) + reach + 1 + s->extra[i];
        s->pads[i] = doubled ? 0 : tc_range(r, 0, full < 7 ? (full - 1) / 2 : 3);
        s->pads[s->n + i] = doubled ? 0 : tc_range(r, 0, full < 7 ? (full - 1) / 2 : 3);
        s->out[i] = full - s->pads[i] - s->pads[s->n + i];
    }
}

/* How the output's extents are said: by pads, by themselves, or as multiples of the input's. */
static void say_extents(tc_case *c, shape *s)
{
    tc_random *r = &c->random;
    bool upper = tc_chance(r, 2), same = tc_chance(r, 5);
    if (same) {
        c->attrs[c->problem.n_attrs++] = (lathe_attr){ .name = "auto_pad",
                                                       .kind = LATHE_ATTR_STRING,
                                                       .s = { upper ? "SAME_UPPER" : "SAME_LOWER", 10 } };
        for (int i = 0; i < s->n; i++) {
            s->out[i] = s->in[i] * s->stride[i];
        }
    } else if (tc_chance(r, 5)) {
        tc_ints(c, "output_shape", (size_t)s->n, s->out);
    } else {
        tc_ints(c, "pads", (size_t)(2 * s->n), s->pads);
    }
    if (!same) {
        tc_ints(c, "output_padding", (size_t)s->n, s->extra);
    }
}

static void one(uint64_t seed)
{
    static tc_case c;
    shape s = { 0 };
    tc_begin(&c, seed, "ConvTranspose", "");
    tc_random *r = &c.random;
    choose(r, &s);
    say_extents(&c, &s);
    int rank = s.n + 2;
    int64_t x[5] = { s.batch, s.groups * s.channels }, w[5] = { s.groups * s.channels, s.filters },
            y[5] = { s.batch, s.groups * s.filters };
    for (int i = 0; i < s.n; i++) {
        x[i + 2] = s.in[i];
        w[i + 2] = s.kernel[i];
        y[i + 2] = s.out[i];
    }
    tc_ints(&c, "dilations", (size_t)s.n, s.dilation);
    tc_int(&c, "group", s.groups);
    tc_ints(&c, "strides", (size_t)s.n, s.stride);
    tc_root(&c, tc_input(&c, LATHE_DTYPE_F32, rank, x, 0));
    tc_root(&c, tc_input(&c, LATHE_DTYPE_F32, rank, w, tc_chance(r, 8) ? 0 : LATHE_OPERAND_CONSTANT));
    if (tc_chance(r, 2)) {
        tc_root(&c, tc_input(&c, LATHE_DTYPE_F32, 1, &y[1], LATHE_OPERAND_CONSTANT));
    }
    c.root_tolerance = 3e-6;
    c.root_absolute = true;
    if (tc_chance(r, 3)) {
        (void)tc_output(&c, LATHE_DTYPE_F32, rank, y);
    } else {
        tc_space(&c, rank, y);
        tc_epilogue(&c, tc_root_value(&c, LATHE_DTYPE_F32), rank, y, 1);
    }
    tc_check_all(&c);
    tc_end(&c);
}

static void random_problems(void **state)
{
    (void)state;
    tc_reset();
    for (uint64_t seed = 1; seed <= TC_SEEDS(150); seed++) {
        one(seed);
    }
    tc_all_fitted("ConvTranspose", "");
    tc_must_take_rows("conv.f32.up.*");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_problems),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
