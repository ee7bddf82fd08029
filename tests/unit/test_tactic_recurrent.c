/*
 * test_tactic_recurrent.c - RNN, GRU and LSTM with random sizes, inputs and attributes through every tactic for them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "support/tactic_check.h"
#include <math.h>
#include <string.h>

typedef struct layer {
    const char *op;
    int gates, acts;
    int64_t steps, batch, input, hidden, dirs;
    bool first; /* batch first */
} layer;

static void strings(tc_case *c, const char *name, size_t count, const char *const *values)
{
    lathe_attr *a = &c->attrs[c->problem.n_attrs++];
    lathe_bytes *list = LT_ARENA_ARRAY(&c->arena, lathe_bytes, count);
    assert_non_null(list);
    for (size_t i = 0; i < count; i++) {
        list[i] = (lathe_bytes){ values[i], strlen(values[i]) };
    }
    *a = (lathe_attr){ .name = name, .kind = LATHE_ATTR_STRINGS, .count = count, .strings = list };
}

static void string(tc_case *c, const char *name, const char *value)
{
    lathe_attr *a = &c->attrs[c->problem.n_attrs++];
    *a = (lathe_attr){ .name = name, .kind = LATHE_ATTR_STRING, .s = { value, strlen(value) } };
}

static void attributes(tc_case *c, layer *l)
{
    static const char *const directions[] = { "forward", "reverse", "bidirectional" };
    static const char *const acts[] = { "Sigmoid",         "tanh",       "Relu",        "Affine",  "LeakyRelu",
                                        "ThresholdedRelu", "ScaledTanh", "HardSigmoid", "Softsign" };
    tc_random *r = &c->random;
    int which = (int)tc_draw(r, 3);
    const char *chosen[6];
    l->dirs = which == 2 ? 2 : 1;
    l->first = tc_chance(r, 3);
    if (which > 0) {
        string(c, "direction", directions[which]);
    }
    if (l->first) {
        tc_int(c, "layout", 1);
    }
    if (tc_chance(r, 4)) {
        tc_float(c, "clip", 0.7f);
    }
    if (strcmp(l->op, "GRU") == 0 && tc_chance(r, 2)) {
        tc_int(c, "linear_before_reset", 1);
    }
    if (strcmp(l->op, "LSTM") == 0 && tc_chance(r, 4)) {
        tc_int(c, "input_forget", 1);
    }
    if (tc_chance(r, 4)) {
        for (int i = 0; i < l->acts * (int)l->dirs; i++) {
            chosen[i] = acts[tc_draw(r, LT_COUNT(acts))];
        }
        strings(c, "activations", (size_t)(l->acts * l->dirs), chosen);
    }
}

static void shrink(tc_case *c, uint16_t operand, float by)
{
    float *x = c->in_data[operand].data;
    for (int64_t i = 0; i < lt_tensor_count(&c->in_data[operand]); i++) {
        x[i] *= by;
    }
}

static uint16_t weights(tc_case *c, int rank, int64_t d0, int64_t d1, int64_t d2, float by, bool constant)
{
    int64_t dims[3] = { d0, d1, d2 };
    uint16_t n = tc_input(c, LATHE_DTYPE_F32, rank, dims, LATHE_OPERAND_CONSTANT);
    c->in[n].flags = constant ? LATHE_OPERAND_CONSTANT : 0;
    shrink(c, n, by);
    tc_root(c, n);
    return n;
}

static void optional_inputs(tc_case *c, const layer *l)
{
    tc_random *r = &c->random;
    bool lstm = strcmp(l->op, "LSTM") == 0;
    int64_t state[3] = { l->first ? l->batch : l->dirs, l->first ? l->dirs : l->batch, l->hidden };
    for (int slot = 3; slot < (lstm ? 8 : 6); slot++) {
        if (tc_chance(r, 2)) {
            tc_root(c, 0xffff);
        } else if (slot == 3) {
            weights(c, 2, l->dirs, 2 * l->gates * l->hidden, 0, 0.5f, true);
        } else if (slot == 7) {
            weights(c, 2, l->dirs, 3 * l->hidden, 0, 0.5f, true);
        } else if (slot == 4) {
            uint16_t n = tc_input(c, LATHE_DTYPE_I32, 1, &l->batch, LATHE_OPERAND_CONSTANT);
            c->in[n].flags = 0;
            for (int64_t b = 0; b < l->batch; b++) {
                lt_store_i64(LATHE_DTYPE_I32, c->in_data[n].data, b, tc_range(r, 0, l->steps));
            }
            tc_root(c, n);
        } else {
            uint16_t n = tc_input(c, LATHE_DTYPE_F32, 3, state, LATHE_OPERAND_CONSTANT);
            c->in[n].flags = 0;
            tc_root(c, n);
        }
    }
}

static void one_layer(const char *op, int gates, int acts, uint64_t seed)
{
    static tc_case c;
    tc_begin(&c, seed, op, "");
    tc_random *r = &c.random;
    layer l = { .op = op, .gates = gates, .acts = acts, .steps = tc_range(r, 1, 9), .batch = tc_range(r, 1, 9) };
    l.input = tc_range(r, 1, 40);
    l.hidden = tc_range(r, 1, tc_chance(r, 3) ? 70 : 20);
    l.steps = tc_chance(r, 6) ? tc_range(r, 60, 150) : l.steps;
    attributes(&c, &l);
    int64_t x[3] = { l.first ? l.batch : l.steps, l.first ? l.steps : l.batch, l.input };
    bool constant = !tc_chance(r, 5);
    tc_root(&c, tc_input(&c, LATHE_DTYPE_F32, 3, x, LATHE_OPERAND_CONSTANT));
    c.in[0].flags = 0;
    (void)weights(&c, 3, l.dirs, gates * l.hidden, l.input, 0.4f / sqrtf((float)l.input), constant);
    (void)weights(&c, 3, l.dirs, gates * l.hidden, l.hidden, 0.4f / sqrtf((float)l.hidden), constant);
    optional_inputs(&c, &l);
    int64_t y[4] = { x[0], l.first ? l.steps : l.dirs, l.first ? l.dirs : l.batch, l.hidden };
    int64_t state[3] = { l.first ? l.batch : l.dirs, l.first ? l.dirs : l.batch, l.hidden };
    (void)tc_output(&c, LATHE_DTYPE_F32, 4, y);
    (void)tc_output(&c, LATHE_DTYPE_F32, 3, state);
    if (strcmp(op, "LSTM") == 0) {
        (void)tc_output(&c, LATHE_DTYPE_F32, 3, state);
    }
    c.problem.n_root_out = c.problem.n_out;
    for (size_t o = 0; o < c.problem.n_out; o++) { /* extents of outputs are those of the inputs */
        for (int d = 0; d < c.out[o].rank; d++) {
            c.out[o].dims[d] = (lathe_extent){ c.out_dims[o][d], c.out_dims[o][d], c.out_dims[o][d], 1 };
        }
    }
    c.root_tolerance = 1e-5;
    tc_check_all(&c);
    tc_end(&c);
}

static void rnn(void **state)
{
    (void)state;
    tc_reset();
    for (uint64_t seed = 1; seed <= TC_SEEDS(60); seed++) {
        one_layer("RNN", 1, 1, seed);
    }
    tc_all_fitted("RNN", "");
}

static void gru(void **state)
{
    (void)state;
    tc_reset();
    for (uint64_t seed = 1; seed <= TC_SEEDS(60); seed++) {
        one_layer("GRU", 3, 2, seed);
    }
    tc_all_fitted("GRU", "");
}

static void lstm(void **state)
{
    (void)state;
    tc_reset();
    for (uint64_t seed = 1; seed <= TC_SEEDS(60); seed++) {
        one_layer("LSTM", 4, 3, seed);
    }
    tc_all_fitted("LSTM", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rnn),
        cmocka_unit_test(gru),
        cmocka_unit_test(lstm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
