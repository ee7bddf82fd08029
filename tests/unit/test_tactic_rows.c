/*
 * test_tactic_rows.c - softmax, normalizations and reductions with epilogues through every tactic for them.
 *
 * ctest: COST 24
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
        tc_int(&c, "axis", tc_range(&c.random, -rank, rank - 1));
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
    int64_t dims[4], out[4], list[4], count = 0;
    tc_begin(&c, seed, op, "");
    tc_random *r = &c.random;
    int rank = choose_dims(r, 1, dims), n = 0;
    uint32_t over = 1u + tc_draw(r, (1u << rank) - 1u), every = (1u << rank) - 1u;
    bool keep = tc_chance(r, 2), all = over == every && tc_chance(r, 2);
    tc_int(&c, "keepdims", keep);
    tc_root(&c, tc_input(&c, LATHE_DTYPE_F32, rank, dims, 0));
    float *x = c.in_data[0].data;
    for (int64_t i = 0; strcmp(op, "ReduceProd") == 0 && i < lt_tensor_count(&c.in_data[0]); i++) {
        x[i] = 1.0f + x[i] * 0.01f;
    }
    for (int64_t i = 0; strcmp(op, "ReduceLogSum") == 0 && i < lt_tensor_count(&c.in_data[0]); i++) {
        x[i] = 3.0f + fabsf(x[i]); /* the logarithm stays away from 0 */
    }
    for (int d = 0; d < rank; d++) {
        if (!(over >> d & 1) || keep) {
            out[n++] = over >> d & 1 ? 1 : dims[d];
        }
        if (over >> d & 1) {
            list[count++] = tc_chance(r, 2) ? d : d - rank;
        }
    }
    if (!all) {
        uint16_t axes = tc_input(&c, LATHE_DTYPE_I64, 1, &count, LATHE_OPERAND_CONSTANT | LATHE_OPERAND_HOST);
        memcpy(c.in_data[axes].data, list, (size_t)count * sizeof *list);
        c.in[axes].value = &c.in_data[axes];
        tc_root(&c, axes);
    }
    c.root_tolerance = 4e-6;
    c.root_absolute = strncmp(op, "ReduceLog", 9) != 0;
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

static void one_mean_variance(const char *op, uint64_t seed)
{
    static tc_case c;
    int64_t dims[4], axes[4];
    tc_begin(&c, seed, op, "");
    tc_random *r = &c.random;
    int rank = tc_chance(r, 3) ? 4 : choose_dims(r, 1, dims);
    if (rank == 4) {
        for (int d = 0; d < 4; d++) {
            dims[d] = tc_range(r, 1, 9);
        }
    }
    if (rank < 4 || tc_chance(r, 2)) { /* else over batch and pixels */
        uint32_t over = 1u + tc_draw(r, (1u << rank) - 1u);
        size_t n = 0;
        for (int d = 0; d < rank; d++) {
            if (over >> d & 1) {
                axes[n++] = tc_chance(r, 2) ? d : d - rank;
            }
        }
        tc_ints(&c, "axes", n, axes);
    }
    tc_root(&c, tc_input(&c, LATHE_DTYPE_F32, rank, dims, 0));
    float *x = c.in_data[0].data;
    for (int64_t i = 0; seed % 3 == 0 && i < lt_tensor_count(&c.in_data[0]); i++) {
        x[i] = x[i] * 0.01f + 100.0f;
    }
    c.root_tolerance = 4e-6;
    (void)tc_output(&c, LATHE_DTYPE_F32, rank, dims);
    tc_check_all(&c);
    tc_end(&c);
}

/* A mean of a thousand deviations: what is left of the numbers must be right to 1e-5 of the largest result. */
static void one_far_norm(const char *op, uint64_t seed)
{
    static tc_case c;
    int64_t dims[2];
    tc_begin(&c, seed, op, "");
    dims[0] = tc_range(&c.random, 1, 5);
    dims[1] = tc_range(&c.random, 30, 900);
    tc_int(&c, "axis", 1);
    for (int i = 0; i < 3; i++) {
        tc_root(&c, tc_input(&c, LATHE_DTYPE_F32, i == 0 ? 2 : 1, dims + (i > 0), LATHE_OPERAND_CONSTANT));
    }
    float *x = c.in_data[0].data;
    for (int64_t i = 0; i < lt_tensor_count(&c.in_data[0]); i++) {
        x[i] += 1000.0f;
    }
    c.root_tolerance = 1e-5;
    finish(&c, 2, dims);
}

static void far_from_zero(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= TC_SEEDS(20); seed++) {
        one_far_norm("LayerNormalization", seed);
    }
}

/* Every row tactic; fold.axes takes other types, in test_tactic_fold.c, and means of bytes want prologues, in test_tactic_quantized.c. */
static void rows_fitted(const char *op)
{
    const lathe_tactic *t;
    for (size_t i = 0; (t = lt_tactic_at(i)); i++) {
        bool elsewhere = strncmp(t->name, "fold.", 5) == 0 || strstr(t->name, ".q8.") != NULL;
        if (!elsewhere && strcmp(t->ops, "*") != 0 && lt_tactic_lists(t, op, "")) {
            tc_must_have_fitted(t);
        }
    }
}

static void each(const char *const *ops, void (*one)(const char *op, uint64_t seed))
{
    for (; *ops; ops++) {
        tc_reset();
        for (uint64_t seed = 1; seed <= TC_SEEDS(40); seed++) {
            one(*ops, seed);
        }
        rows_fitted(*ops);
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
    static const char *const moments[] = { "MeanVarianceNormalization", NULL };
    each(moments, one_mean_variance);
}

static void reduction(void **state)
{
    static const char *const ops[] = { "ReduceSum",    "ReduceMean",      "ReduceMax", "ReduceMin",
                                       "ReduceProd",   "ReduceL1",        "ReduceL2",  "ReduceSumSquare",
                                       "ReduceLogSum", "ReduceLogSumExp", NULL };
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
        cmocka_unit_test(softmax),   cmocka_unit_test(normalization), cmocka_unit_test(far_from_zero),
        cmocka_unit_test(reduction), cmocka_unit_test(global_pools),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
