/*
 * test_tactic_winograd.c - random 3x3 convolutions through Winograd's tactics: odd extents, all pads, any channels, several blocks of tiles, epilogues.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "support/tactic_check.h"
#include <string.h>

/* Every tactic of the family that this machine runs. */
static void check(tc_case *c)
{
    const lathe_tactic *t;
    int found = 0;
    for (size_t i = 0; (t = lt_tactic_at(i)); i++) {
        if (strstr(t->name, "winograd") && (t->cpu_features & ~lt_cpu_features()) == 0) {
            tc_check_tactic(c, t, 0);
            found++;
            tc_must_have_fitted(t);
        }
    }
    assert_true(found > 0);
}

typedef struct shape {
    int64_t batch, channels, filters, in[2], pads[4], dilation[2];
} shape;

static void one(uint64_t seed, const shape *s, int epilogue)
{
    static tc_case c;
    tc_begin(&c, seed, "Conv", "");
    int64_t x[4] = { s->batch, s->channels, s->in[0], s->in[1] }, w[4] = { s->filters, s->channels, 3, 3 },
            y[4] = { s->batch, s->filters, s->in[0] + s->pads[0] + s->pads[2] - 2 * s->dilation[0],
                     s->in[1] + s->pads[1] + s->pads[3] - 2 * s->dilation[1] };
    tc_ints(&c, "pads", 4, s->pads);
    tc_ints(&c, "dilations", 2, s->dilation);
    tc_root(&c, tc_input(&c, LATHE_DTYPE_F32, 4, x, 0));
    tc_root(&c, tc_input(&c, LATHE_DTYPE_F32, 4, w, LATHE_OPERAND_CONSTANT));
    if (seed % 2) {
        tc_root(&c, tc_input(&c, LATHE_DTYPE_F32, 1, w, LATHE_OPERAND_CONSTANT));
    }
    c.root_tolerance = 4e-6;
    c.root_absolute = true;
    if (epilogue == 0) {
        (void)tc_output(&c, LATHE_DTYPE_F32, 4, y);
    } else {
        tc_space(&c, 4, y);
        uint16_t v = tc_root_value(&c, LATHE_DTYPE_F32);
        if (epilogue == 1) {
            tc_epilogue(&c, v, 4, y, 1);
        } else { /* what networks have: a factor, an addend, an activation */
            if (epilogue == 6) {
                uint16_t product[2] = { v, tc_instr(&c, -1, LATHE_PW_CONST, LATHE_DTYPE_F32, 0, NULL, -0.3, 0) };
                v = tc_instr(&c, -1, LATHE_PW_MUL, LATHE_DTYPE_F32, 2, product, 0, 0);
            }
            if (epilogue % 2) {
                uint16_t sum[2] = { v, tc_load(&c, -1, tc_input(&c, LATHE_DTYPE_F32, 4, y, 0), 4, y) };
                v = tc_instr(&c, -1, LATHE_PW_ADD, LATHE_DTYPE_F32, 2, sum, 0, 0);
            }
            uint16_t last = tc_instr(&c, -1, epilogue < 4 || epilogue == 6 ? LATHE_PW_RELU : LATHE_PW_HARD_SWISH,
                                     LATHE_DTYPE_F32, 1, &v, 0, 0);
            uint16_t store = tc_instr(&c, -1, LATHE_PW_STORE, LATHE_DTYPE_F32, 1, &last, 0, 0);
            c.instrs[store].operand = tc_output(&c, LATHE_DTYPE_F32, 4, y);
        }
    }
    check(&c);
    tc_end(&c);
}

static void random_convolutions(void **state)
{
    (void)state;
    tc_reset();
    for (uint64_t seed = 1; seed <= TC_SEEDS(90); seed++) {
        tc_random r = { .key = seed };
        shape s = { .batch = tc_range(&r, 1, 2),
                    .channels = tc_range(&r, 8, 40),
                    .filters = tc_chance(&r, 3) ? tc_range(&r, 8, 80) : tc_range(&r, 8, 34) };
        for (int i = 0; i < 4; i++) {
            s.pads[i] = tc_chance(&r, 4) ? tc_range(&r, 2, 3) : tc_range(&r, 0, 1);
        }
        for (int i = 0; i < 2; i++) {
            s.dilation[i] = tc_chance(&r, 4) ? tc_range(&r, 2, 5) : 1;
            int64_t least = 2 * s.dilation[i] + 1 - s.pads[i] - s.pads[i + 2];
            s.in[i] = tc_range(&r, least > 1 ? least : 1, 15);
        }
        one(seed, &s, (int)(seed % 7));
    }
}

/* More tiles than a block has. */
static void several_blocks(void **state)
{
    shape s = {
        .batch = 3, .channels = 540, .filters = 9, .in = { 19, 21 }, .pads = { 1, 1, 1, 1 }, .dilation = { 1, 1 }
    };
    (void)state;
    tc_reset();
    one(7, &s, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_convolutions),
        cmocka_unit_test(several_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
