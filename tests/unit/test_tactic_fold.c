/*
 * test_tactic_fold.c - reductions of types other than f32, ArgMax, ArgMin, CumSum and CumProd of all types: random problems through every tactic, to the bit.
 *
 * ctest: TIMEOUT 600
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "support/tactic_check.h"
#include <math.h>
#include <string.h>

enum { SEEDS = 60 };

static int refused, taken; /* by the operator itself, which knows fewer types */

static const lathe_dtype reduced[] = { LATHE_DTYPE_F16, LATHE_DTYPE_BF16, LATHE_DTYPE_F64, LATHE_DTYPE_I32, LATHE_DTYPE_I64, LATHE_DTYPE_U32,
                                       LATHE_DTYPE_U64, LATHE_DTYPE_I8,   LATHE_DTYPE_U8,  LATHE_DTYPE_F32, LATHE_DTYPE_I16, LATHE_DTYPE_U16 };

static int choose_dims(tc_random *r, int64_t *dims)
{
    int rank = (int)tc_range(r, 1, 4);
    int64_t budget = 4000;
    for (int d = 0; d < rank; d++) {
        dims[d] = tc_range(r, tc_chance(r, 40) ? 0 : 1, budget > 200 ? (tc_chance(r, 3) ? 150 : 9) : budget > 1 ? 3 : 1);
        budget /= dims[d] > 0 ? dims[d] : 1;
    }
    return rank;
}

/* Numbers with ties, ends of the range, NaN and infinities. */
static void special(tc_case *c, uint16_t n, bool strange)
{
    static const double reals[] = { 0.0, -0.0, 1.0, 2.0, INFINITY, -INFINITY, NAN };
    static const int64_t wholes[] = { 0, 1, 2, -1, INT64_MAX, INT64_MIN, 127 };
    tc_random *r = &c->random;
    lathe_dtype dtype = c->in_data[n].dtype;
    for (int64_t i = 0; i < lt_tensor_count(&c->in_data[n]); i++) {
        if (!tc_chance(r, 5)) {
            continue;
        }
        uint32_t which = tc_draw(r, strange ? 7 : 3);
        if (lt_dtype_is_float(dtype)) {
            lt_store_f64(dtype, c->in_data[n].data, i, reals[which]);
        } else {
            lt_store_i64(dtype, c->in_data[n].data, i, wholes[which]);
        }
    }
}

static void finish(tc_case *c, lathe_dtype dtype, int rank, const int64_t *dims)
{
    (void)tc_output(c, dtype, rank, dims);
    for (int d = 0; d < rank; d++) { /* fixed, as those of the input are */
        c->out[0].dims[d] = (lathe_extent){ dims[d], dims[d], dims[d], 1 };
    }
    lathe_tensor result;
    if (tc_reference(c, &result, 1)) {
        taken++;
        tc_check_all(c);
    } else {
        refused++;
    }
    tc_end(c);
}

static uint16_t numbers(tc_case *c, lathe_dtype dtype, int rank, const int64_t *dims)
{
    uint16_t n = tc_input(c, dtype, rank, dims, LATHE_OPERAND_CONSTANT); /* constant: extents stay fixed */
    c->in[n].flags = 0;
    tc_root(c, n);
    return n;
}

static void one_reduction(const char *op, uint64_t seed)
{
    static tc_case c;
    int64_t dims[4], out[4], list[4], count = 0;
    tc_begin(&c, seed, op, "");
    tc_random *r = &c.random;
    int rank = choose_dims(r, dims), n = 0;
    uint32_t over = tc_draw(r, 1u << rank);
    bool keep = tc_chance(r, 2), all = over == 0;
    lathe_dtype dtype = reduced[tc_draw(r, LT_COUNT(reduced))];
    tc_int(&c, "keepdims", keep);
    uint16_t x = numbers(&c, dtype, rank, dims);
    special(&c, x, tc_chance(r, 3));
    if (dtype == LATHE_DTYPE_F32) {
        c.root_tolerance = 4e-6; /* row.reduce takes these */
        c.root_absolute = strcmp(op, "ReduceLogSum") != 0;
        for (int64_t i = 0; i < lt_tensor_count(&c.in_data[x]); i++) {
            ((float *)c.in_data[x].data)[i] = 1.0f + (float)tc_draw(r, 100) * 1e-4f;
        }
    }
    for (int d = 0; d < rank; d++) {
        bool is_over = all || (over >> d & 1);
        if (!is_over || keep) {
            out[n++] = is_over ? 1 : dims[d];
        }
        if (is_over) {
            list[count++] = tc_chance(r, 2) ? d : d - rank;
        }
    }
    if (!all) {
        uint16_t axes = tc_input(&c, LATHE_DTYPE_I64, 1, &count, LATHE_OPERAND_CONSTANT | LATHE_OPERAND_HOST);
        memcpy(c.in_data[axes].data, list, (size_t)count * sizeof *list);
        c.in[axes].value = &c.in_data[axes];
        tc_root(&c, axes);
    }
    finish(&c, dtype, n, out);
}

static void one_arg(const char *op, uint64_t seed)
{
    static tc_case c;
    int64_t dims[4], out[4];
    tc_begin(&c, seed, op, "");
    tc_random *r = &c.random;
    int rank = choose_dims(r, dims), axis = (int)tc_range(r, 0, rank - 1), n = 0;
    bool keep = tc_chance(r, 2);
    dims[axis] = dims[axis] > 0 ? dims[axis] : 1;
    tc_int(&c, "keepdims", keep);
    tc_int(&c, "axis", tc_chance(r, 2) ? axis : axis - rank);
    tc_int(&c, "select_last_index", tc_draw(r, 2));
    special(&c, numbers(&c, reduced[tc_draw(r, LT_COUNT(reduced))], rank, dims), true);
    for (int d = 0; d < rank; d++) {
        if (d != axis || keep) {
            out[n++] = d == axis ? 1 : dims[d];
        }
    }
    finish(&c, LATHE_DTYPE_I64, n, out);
}

static void one_running(const char *op, uint64_t seed)
{
    static const lathe_dtype types[] = { LATHE_DTYPE_F32, LATHE_DTYPE_F64, LATHE_DTYPE_F16, LATHE_DTYPE_BF16,
                                         LATHE_DTYPE_I32, LATHE_DTYPE_I64, LATHE_DTYPE_U32, LATHE_DTYPE_U64 };
    static tc_case c;
    int64_t dims[4];
    tc_begin(&c, seed, op, "");
    tc_random *r = &c.random;
    int rank = choose_dims(r, dims), axis = (int)tc_range(r, 0, rank - 1);
    lathe_dtype dtype = types[tc_draw(r, LT_COUNT(types))];
    if (tc_chance(r, 6)) { /* many lines side by side */
        rank = 2;
        axis = 0;
        dtype = LATHE_DTYPE_F32;
        dims[0] = tc_range(r, 1, 6);
        dims[1] = tc_range(r, 200, 700);
    }
    tc_int(&c, "exclusive", tc_draw(r, 2));
    tc_int(&c, "reverse", tc_draw(r, 2));
    special(&c, numbers(&c, dtype, rank, dims), tc_chance(r, 3));
    uint16_t at = tc_input(&c, LATHE_DTYPE_I64, 0, NULL, LATHE_OPERAND_CONSTANT | LATHE_OPERAND_HOST);
    *(int64_t *)c.in_data[at].data = tc_chance(r, 2) ? axis : axis - rank;
    tc_root(&c, at);
    finish(&c, dtype, rank, dims);
}

static void each(const char *const *ops, void (*one)(const char *op, uint64_t seed), const char *tactic)
{
    tc_reset();
    refused = taken = 0;
    for (int i = 0; ops[i]; i++) {
        for (uint64_t seed = 1; seed <= SEEDS; seed++) {
            one(ops[i], seed);
        }
    }
    tc_must_have_fitted(lt_tactic_find(tactic));
    assert_true(taken > 2 * refused);
}

static void reductions(void **state)
{
    static const char *const ops[] = { "ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2",
                                       "ReduceSumSquare", "ReduceLogSum", NULL };
    (void)state;
    each(ops, one_reduction, "fold.axes");
}

static void indices(void **state)
{
    static const char *const ops[] = { "ArgMax", "ArgMin", NULL };
    (void)state;
    each(ops, one_arg, "fold.axes");
}

static void running(void **state)
{
    static const char *const ops[] = { "CumSum", "CumProd", NULL };
    (void)state;
    each(ops, one_running, "fold.running");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reductions),
        cmocka_unit_test(indices),
        cmocka_unit_test(running),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
