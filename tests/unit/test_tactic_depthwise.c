/*
 * test_tactic_depthwise.c - depthwise convolutions of the shapes that networks have, and of odd ones, through every tactic for Conv: wide images, many
 * channels, large kernels, and the epilogues that kernels do in registers.
 *
 * ctest: COST 18
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "support/tactic_check.h"
#include <math.h>
#include <string.h>

typedef struct axis {
    int64_t in, kernel, stride, dilation, begin, end, out;
} axis;

static axis choose_axis(tc_random *r, int64_t room)
{
    static const int64_t kernels[] = { 1, 2, 3, 3, 5, 5, 7, 7, 9 };
    axis a = { .kernel = kernels[tc_draw(r, LT_COUNT(kernels))], .stride = tc_range(r, 1, 2), .dilation = 1 };
    if (tc_chance(r, 4)) {
        a.dilation = tc_range(r, 1, 4);
        a.stride = tc_range(r, 1, 3);
    }
    int64_t window = a.dilation * (a.kernel - 1) + 1;
    a.begin = tc_chance(r, 3) ? tc_range(r, 0, window + 2) : (window - 1) / 2;
    a.end = tc_chance(r, 3) ? tc_range(r, 0, window + 2) : (window - 1) / 2;
    int64_t least = window - a.begin - a.end;
    a.in = tc_range(r, least < 1 ? 1 : least, (least < 1 ? 1 : least) + room);
    a.out = (a.in + a.begin + a.end - window) / a.stride + 1;
    return a;
}

/* Nothing, a limit, SiLU in both orders, hard swish: what kernels do in registers. */
static void short_epilogue(tc_case *c, int rank, const int64_t *y)
{
    const lathe_dtype f32 = LATHE_DTYPE_F32;
    uint16_t root = tc_instr(c, -1, LATHE_PW_ROOT, f32, 0, NULL, 0, 0), value = root, args[3] = { root };
    switch (tc_draw(&c->random, 6)) {
    case 0:
        value = tc_instr(c, -1, LATHE_PW_RELU, f32, 1, args, 0, 0);
        break;
    case 1:
        args[1] = tc_instr(c, -1, LATHE_PW_CONST, f32, 0, NULL, -0.5, 0);
        args[2] = tc_instr(c, -1, LATHE_PW_CONST, f32, 0, NULL, 0.75, 0);
        value = tc_instr(c, -1, LATHE_PW_CLIP, f32, 3, args, 0, 0);
        break;
    case 2:
    case 3:
        value = tc_instr(c, -1, LATHE_PW_SIGMOID, f32, 1, args, 0, 0);
        bool first = tc_chance(&c->random, 2);
        value = tc_instr(c, -1, LATHE_PW_MUL, f32, 2, (const uint16_t[]){ first ? root : value, first ? value : root },
                         0, 0);
        break;
    case 4:
        value = tc_instr(c, -1, LATHE_PW_HARD_SWISH, f32, 1, args, 0, 0);
        break;
    default:
        break;
    }
    uint16_t store = tc_instr(c, -1, LATHE_PW_STORE, f32, 1, &value, 0, 0);
    c->instrs[store].operand = tc_output(c, f32, rank, y);
}

static void one_depthwise(uint64_t seed)
{
    static tc_case c;
    tc_begin(&c, seed, "Conv", "");
    tc_random *r = &c.random;
    int n = tc_chance(r, 4) ? 1 : 2, rank = n + 2;
    bool many = tc_chance(r, 3);
    int64_t channels = many ? tc_range(r, 60, 210) : tc_range(r, 1, 40);
    int64_t x[4] = { tc_range(r, 1, 2), channels }, w[4] = { channels, 1 }, y[4] = { x[0], channels };
    int64_t strides[2], dilations[2], pads[4];
    for (int i = 0; i < n; i++) {
        axis a = choose_axis(r, n == 1 ? 60 : many ? 9 : 24);
        if (n == 1 && tc_chance(r, 3)) { /* the long kernels of speech models */
            a = (axis){ .in = tc_range(r, 1, 50), .kernel = 31, .stride = 1, .dilation = 1, .begin = 15, .end = 15 };
            a.out = a.in;
        }
        x[i + 2] = a.in;
        w[i + 2] = a.kernel;
        y[i + 2] = a.out;
        strides[i] = a.stride;
        dilations[i] = a.dilation;
        pads[i] = a.begin;
        pads[n + i] = a.end;
    }
    tc_ints(&c, "dilations", (size_t)n, dilations);
    tc_int(&c, "group", channels);
    tc_ints(&c, "pads", (size_t)(2 * n), pads);
    tc_ints(&c, "strides", (size_t)n, strides);
    tc_root(&c, tc_input(&c, LATHE_DTYPE_F32, rank, x, 0));
    tc_root(&c, tc_input(&c, LATHE_DTYPE_F32, rank, w, LATHE_OPERAND_CONSTANT));
    if (tc_chance(r, 2)) {
        tc_root(&c, tc_input(&c, LATHE_DTYPE_F32, 1, w, LATHE_OPERAND_CONSTANT));
    }
    c.root_tolerance = 3e-6;
    c.root_absolute = true;
    if (tc_chance(r, 4)) {
        (void)tc_output(&c, LATHE_DTYPE_F32, rank, y);
    } else {
        tc_space(&c, rank, y);
        if (tc_chance(r, 4)) {
            tc_epilogue(&c, tc_root_value(&c, LATHE_DTYPE_F32), rank, y, 1);
        } else {
            short_epilogue(&c, rank, y);
        }
    }
    tc_check_all(&c);
    tc_end(&c);
}

static void depthwise(void **state)
{
    (void)state;
    tc_reset();
    for (uint64_t seed = 1; seed <= TC_SEEDS(120); seed++) {
        one_depthwise(seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(depthwise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
