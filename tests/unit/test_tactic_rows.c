/*
 * test_tactic_rows.c - softmax, normalizations and reductions with epilogues through every tactic for them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "support/tactic_check.h"
#include <math.h>
#include <string.h>

static int choose_dims(tc_random *r, int least, int64_t *dims)
{
    int rank = (int)tc_range(r, least, 4);
    for (int d = 0; d < rank; d++) {
        dims[d] = d == rank - 1 && tc_chance(r, 2) ? tc_range(r, 1, 700) : tc_range(r, 1, 9);
    }
    return rank;
}

static void finish(tc_case *c, int rank, const int64_t *dims)
{
    if (tc_chance(&c->random, 2)) {
        (void)tc_output(c, LATHE_DTYPE_F32, rank, dims);
    } else {
        tc_space(c, rank, dims);
        tc_epilogue(c, tc_instr(c, -1, LATHE_PW_ROOT, LATHE_DTYPE_F32, 0, NULL, 0, 0), rank, dims, rank > 1 ? 1 : 0);
    }
    tc_check_all(c);
    tc_end(c);
}

static void one_softmax(const char *op, uint64_t seed)
{
    static tc_case c;
    int64_t dims[4];
    tc_begin(&c, seed, op, "");
    int rank = choose_dims(&c.random, 1, dims);
    if (tc_chance(&c.random, 2)) {
        tc_int(&c, "axis", tc_chance(&c.random, 4) ? 0 : -1);
    }
    tc_root(&c, tc_input(&c, LATHE_DTYPE_F32, rank, dims, 0));
    float *x = c.in_data[0].data;
    for (int64_t i = 0; i < lt_tensor_count(&c.in_data[0]); i++) { /* masks, and differences that need care */
        x[i] = tc_chance(&c.random, 9) && i % dims[rank - 1] ? -INFINITY : x[i] * (seed % 3 == 0 ? 30.0f : 1.0f) + 5.0f;
    }
    c.root_tolerance = 2e-6;
    finish(&c, rank, dims);
}

static void one_norm(const char *op, uint64_t seed)
{
    static tc_case c;
    int64_t dims[4];
    tc_begin(&c, seed, op, "");
    int rank = choose_dims(&c.random, 1, dims), axis = (int)tc_range(&c.random, 0, rank - 1);
    tc_int(&c, "axis", tc_chance(&c.random, 2) ? axis : axis - rank);
    tc_float(&c, "epsilon", 1e-4f);
    tc_root(&c, tc_input(&c, LATHE_DTYPE_F32, rank, dims, LATHE_OPERAND_CONSTANT)); /* constant: extents stay fixed */
    tc_root(&c, tc_input(&c, LATHE_DTYPE_F32, rank - axis, dims + axis, LATHE_OPERAND_CONSTANT));
    if (strcmp(op, "LayerNormalization") == 0 && tc_chance(&c.random, 2)) {
        tc_root(&c, tc_input(&c, LATHE_DTYPE_F32, rank - axis, dims + axis, LATHE_OPERAND_CONSTANT));
    }
    c.root_tolerance = 4e-6;
    finish(&c, rank, dims);
}

static void one_reduction(const char *op, uint64_t seed)
{
    static tc_case c;
    int64_t dims[4], out[4], list[4];
    tc_begin(&c, seed, op, "");
    tc_random *r = &c.random;
    int rank = choose_dims(r, 1, dims), axis = (int)tc_range(r, 0, rank - 1), n = 0;
    bool keep = tc_chance(r, 2), all = axis == 0 && tc_chance(r, 2);
    tc_int(&c, "keepdims", keep);
    tc_root(&c, tc_input(&c, LATHE_DTYPE_F32, rank, dims, 0));
    for (int d = 0; d < rank; d++) {
        if (d < axis || keep) {
            out[n++] = d < axis ? dims[d] : 1;
        }
    }
    if (!all) {
        int64_t count = rank - axis;
        uint16_t axes = tc_input(&c, LATHE_DTYPE_I64, 1, &count, LATHE_OPERAND_CONSTANT | LATHE_OPERAND_HOST);
        for (int64_t i = 0; i < count; i++) {
            list[i] = tc_chance(r, 2) ? axis + i : axis + i - rank;
            ((int64_t *)c.in_data[axes].data)[i] = list[i];
        }
        c.in[axes].value = &c.in_data[axes];
        tc_root(&c, axes);
    }
    c.root_tolerance = 2e-6;
    c.root_absolute = true;
    finish(&c, n, out);
}

static void one_pool(const char *op, uint64_t seed)
{
    static tc_case c;
    int64_t dims[4], out[4];
    tc_begin(&c, seed, op, "");
    int rank = choose_dims(&c.random, 3, dims);
    for (int d = 0; d < rank; d++) {
        out[d] = d < 2 ? dims[d] : 1;
    }
    tc_root(&c, tc_input(&c, LATHE_DTYPE_F32, rank, dims, 0));
    c.root_tolerance = 2e-6;
    c.root_absolute = true;
    finish(&c, rank, out);
}

static void one_instance(const char *op, uint64_t seed)
{
    static tc_case c;
    int64_t dims[4];
    tc_begin(&c, seed, op, "");
    int rank = choose_dims(&c.random, 3, dims);
    tc_root(&c, tc_input(&c, LATHE_DTYPE_F32, rank, dims, LATHE_OPERAND_CONSTANT));
    tc_root(&c, tc_input(&c, LATHE_DTYPE_F32, 1, dims + 1, LATHE_OPERAND_CONSTANT));
    tc_root(&c, tc_input(&c, LATHE_DTYPE_F32, 1, dims + 1, LATHE_OPERAND_CONSTANT));
    c.root_tolerance = 1e-5;
    finish(&c, rank, dims);
}

static void each(const char *const *ops, void (*one)(const char *op, uint64_t seed))
{
    for (; *ops; ops++) {
        tc_reset();
        for (uint64_t seed = 1; seed <= 40; seed++) {
            one(*ops, seed);
        }
        tc_all_fitted(*ops, "");
    }
}

static void softmax(void **state)
{
    static const char *const ops[] = { "Softmax", "LogSoftmax", NULL };
    (void)state;
    each(ops, one_softmax);
}

static void normalization(void **state)
{
    static const char *const ops[] = { "LayerNormalization", "RMSNormalization", NULL };
    (void)state;
    each(ops, one_norm);
    static const char *const instance[] = { "InstanceNormalization", NULL };
    each(instance, one_instance);
}

static void reduction(void **state)
{
    static const char *const ops[] = { "ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", NULL };
    (void)state;
    each(ops, one_reduction);
}

static void global_pools(void **state)
{
    static const char *const ops[] = { "GlobalAveragePool", "GlobalMaxPool", NULL };
    (void)state;
    each(ops, one_pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(softmax),
        cmocka_unit_test(normalization),
        cmocka_unit_test(reduction),
        cmocka_unit_test(global_pools),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
