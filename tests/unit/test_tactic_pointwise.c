/*
 * test_tactic_pointwise.c - random pointwise programs of all types through every tactic for problems without a root.
 *
 * ctest: COST 19
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "support/tactic_check.h"
#include <math.h>
#include <string.h>

static const lathe_dtype reals[] = { LATHE_DTYPE_F32, LATHE_DTYPE_F32, LATHE_DTYPE_F32,
                                     LATHE_DTYPE_F64, LATHE_DTYPE_F16, LATHE_DTYPE_BF16 };
static const lathe_dtype wholes[] = { LATHE_DTYPE_I8,  LATHE_DTYPE_U8,  LATHE_DTYPE_I16, LATHE_DTYPE_U16,
                                      LATHE_DTYPE_I32, LATHE_DTYPE_U32, LATHE_DTYPE_I64, LATHE_DTYPE_U64 };

typedef struct program {
    tc_case c;
    int rank;
    int64_t dims[LATHE_MAX_RANK];
    uint16_t values[TC_INSTRS]; /* instructions with a value */
    int n;
} program;

static bool is_real(lathe_dtype dtype)
{
    return lt_dtype_is_float(dtype);
}

static lathe_dtype type_of(const program *p, uint16_t value)
{
    return p->c.instrs[value].dtype;
}

static void push(program *p, uint16_t value)
{
    p->values[p->n++] = value;
}

/* A new operand that broadcasts to the space. */
static void add_load(program *p, lathe_dtype dtype)
{
    tc_random *r = &p->c.random;
    int64_t dims[LATHE_MAX_RANK];
    int rank = tc_chance(r, 3) ? (int)tc_range(r, 0, p->rank) : p->rank;
    bool repeats = tc_chance(r, 3);
    for (int d = 0; d < rank; d++) {
        dims[d] = repeats && tc_chance(r, 2) ? 1 : p->dims[p->rank - rank + d];
    }
    push(p, tc_load(&p->c, -1, tc_input(&p->c, dtype, rank, dims, tc_chance(r, 4) ? LATHE_OPERAND_CONSTANT : 0),
                    p->rank, p->dims));
}

/* Some value of the type, loaded if there is none. */
static uint16_t some(program *p, lathe_dtype dtype)
{
    for (int tries = 0; tries < 6; tries++) {
        uint16_t v = p->values[tc_draw(&p->c.random, (uint32_t)p->n)];
        if (type_of(p, v) == dtype) {
            return v;
        }
    }
    add_load(p, dtype);
    return p->values[p->n - 1];
}

static void emit(program *p, lathe_pw_op op, lathe_dtype dtype, int n, const uint16_t *args, double a, double b)
{
    push(p, tc_instr(&p->c, -1, op, dtype, n, args, a, b));
}

static void add_real(program *p, uint16_t x)
{
    static const lathe_pw_op one[] = {
        LATHE_PW_ABS,   LATHE_PW_NEG,      LATHE_PW_RECIPROCAL, LATHE_PW_SQRT,    LATHE_PW_EXP,
        LATHE_PW_LOG,   LATHE_PW_ERF,      LATHE_PW_TANH,       LATHE_PW_SIGMOID, LATHE_PW_CEIL,
        LATHE_PW_FLOOR, LATHE_PW_ROUND,    LATHE_PW_SIGN,       LATHE_PW_SIN,     LATHE_PW_COS,
        LATHE_PW_RELU,  LATHE_PW_SOFTPLUS, LATHE_PW_HARD_SWISH, LATHE_PW_GELU,    LATHE_PW_GELU_TANH
    };
    static const lathe_pw_op two[] = { LATHE_PW_ADD, LATHE_PW_SUB, LATHE_PW_MUL, LATHE_PW_DIV,
                                       LATHE_PW_MIN, LATHE_PW_MAX, LATHE_PW_POW, LATHE_PW_FMOD,
                                       LATHE_PW_MOD, LATHE_PW_ADD, LATHE_PW_MUL };
    tc_random *r = &p->c.random;
    lathe_dtype dtype = type_of(p, x);
    if (tc_chance(r, 2)) {
        uint16_t args[3] = { x, some(p, dtype), 0 };
        emit(p, two[tc_draw(r, LT_COUNT(two))], dtype, 2, args, 0, 0);
        return;
    }
    switch (tc_draw(r, 8)) {
    case 0:
        emit(p, LATHE_PW_LEAKY_RELU, dtype, 1, &x, (double)0.03f, 0);
        break;
    case 1:
        emit(p, LATHE_PW_ELU, dtype, 1, &x, (double)1.5f, 0);
        break;
    case 2:
        emit(p, LATHE_PW_HARD_SIGMOID, dtype, 1, &x, (double)0.2f, 0.5);
        break;
    case 3: {
        uint16_t args[3] = { x, some(p, dtype), some(p, dtype) };
        emit(p, LATHE_PW_CLIP, dtype, 3, args, 0, 0);
        break;
    }
    default:
        emit(p, one[tc_draw(r, LT_COUNT(one))], dtype, 1, &x, 0, 0);
        break;
    }
}

static void add_whole(program *p, uint16_t x)
{
    static const lathe_pw_op two[] = { LATHE_PW_ADD, LATHE_PW_SUB, LATHE_PW_MUL, LATHE_PW_DIV,
                                       LATHE_PW_MIN, LATHE_PW_MAX, LATHE_PW_MOD, LATHE_PW_FMOD,
                                       LATHE_PW_AND, LATHE_PW_OR,  LATHE_PW_XOR, LATHE_PW_POW };
    static const lathe_pw_op one[] = { LATHE_PW_ABS, LATHE_PW_NEG, LATHE_PW_NOT, LATHE_PW_SIGN, LATHE_PW_RELU };
    tc_random *r = &p->c.random;
    lathe_dtype dtype = type_of(p, x);
    if (tc_chance(r, 3)) {
        emit(p, one[tc_draw(r, LT_COUNT(one))], dtype, 1, &x, 0, 0);
    } else if (tc_chance(r, 6)) {
        uint16_t args[3] = { x, some(p, dtype), some(p, dtype) };
        emit(p, LATHE_PW_CLIP, dtype, 3, args, 0, 0);
    } else {
        uint16_t args[2] = { x, some(p, dtype) };
        emit(p, two[tc_draw(r, LT_COUNT(two))], dtype, 2, args, 0, 0);
    }
}

static void add_logic(program *p)
{
    static const lathe_pw_op two[] = { LATHE_PW_AND, LATHE_PW_OR, LATHE_PW_XOR };
    uint16_t args[2] = { some(p, LATHE_DTYPE_BOOL), some(p, LATHE_DTYPE_BOOL) };
    if (tc_chance(&p->c.random, 3)) {
        emit(p, LATHE_PW_NOT, LATHE_DTYPE_BOOL, 1, args, 0, 0);
    } else {
        emit(p, two[tc_draw(&p->c.random, 3)], LATHE_DTYPE_BOOL, 2, args, 0, 0);
    }
}

static void add_compare(program *p, uint16_t x)
{
    uint16_t args[2] = { x, some(p, type_of(p, x)) };
    emit(p, (lathe_pw_op)(LATHE_PW_EQUAL + tc_draw(&p->c.random, 5)), LATHE_DTYPE_BOOL, 2, args, 0, 0);
}

static lathe_dtype any_type(tc_random *r)
{
    uint32_t kind = tc_draw(r, 5);
    return kind == 0  ? LATHE_DTYPE_BOOL
           : kind < 3 ? wholes[tc_draw(r, LT_COUNT(wholes))]
                      : reals[tc_draw(r, LT_COUNT(reals))];
}

static void add_quantization(program *p)
{
    static const lathe_dtype grids[] = { LATHE_DTYPE_U8, LATHE_DTYPE_I8, LATHE_DTYPE_U16, LATHE_DTYPE_I16 };
    static const lathe_dtype scales[] = { LATHE_DTYPE_F32, LATHE_DTYPE_F32, LATHE_DTYPE_F16, LATHE_DTYPE_BF16 };
    tc_random *r = &p->c.random;
    lathe_dtype grid = grids[tc_draw(r, 4)], scale = scales[tc_draw(r, 4)];
    int64_t extent = p->rank > 0 ? p->dims[p->rank - 1] : 1;
    bool vector = p->rank > 0 && tc_chance(r, 2);
    uint16_t s_operand = tc_input(&p->c, scale, vector ? 1 : 0, &extent, LATHE_OPERAND_CONSTANT);
    uint16_t z_operand = tc_input(&p->c, grid, vector ? 1 : 0, &extent, LATHE_OPERAND_CONSTANT);
    for (int64_t i = 0; i < lt_tensor_count(&p->c.in_data[s_operand]); i++) { /* scales are positive */
        lt_store_f64(scale, p->c.in_data[s_operand].data, i, 0.01 + fabs(tc_real(r)));
    }
    uint16_t s = tc_load_axis(&p->c, -1, s_operand, p->rank - 1), z = tc_load_axis(&p->c, -1, z_operand, p->rank - 1);
    if (tc_chance(r, 2)) {
        uint16_t args[3] = { some(p, LATHE_DTYPE_F32), s, z };
        emit(p, LATHE_PW_QUANT, grid, 3, args, 0, 0);
    } else {
        uint16_t args[3] = { some(p, grid), s, z };
        emit(p, LATHE_PW_DEQUANT, scale, 3, args, 0, 0);
    }
}

static void add_instruction(program *p)
{
    tc_random *r = &p->c.random;
    uint16_t x = p->values[tc_draw(r, (uint32_t)p->n)];
    lathe_dtype dtype = type_of(p, x);
    switch (tc_draw(r, 9)) {
    case 0:
        if (dtype != LATHE_DTYPE_BOOL) {
            add_compare(p, x);
        }
        break;
    case 1: {
        uint16_t args[3] = { some(p, LATHE_DTYPE_BOOL), x, some(p, dtype) };
        emit(p, LATHE_PW_WHERE, dtype, 3, args, 0, 0);
        break;
    }
    case 2:
        emit(p, LATHE_PW_CAST, any_type(r), 1, &x, 0, 0);
        break;
    case 3:
        add_quantization(p);
        break;
    case 4:
        emit(p, LATHE_PW_CONST, dtype, 0, NULL,
             dtype == LATHE_DTYPE_BOOL ? 1
             : is_real(dtype)          ? tc_real(r)
                                       : (double)tc_range(r, 0, 9),
             0);
        break;
    default:
        if (dtype == LATHE_DTYPE_BOOL) {
            add_logic(p);
        } else if (is_real(dtype)) {
            add_real(p, x);
        } else {
            add_whole(p, x);
        }
        break;
    }
}

static void choose_space(program *p)
{
    tc_random *r = &p->c.random;
    p->rank = tc_chance(r, 3) ? 4 : tc_chance(r, 20) ? 16 : (int)tc_range(r, 0, 5);
    int64_t budget = 3000;
    for (int d = 0; d < p->rank; d++) {
        int64_t most = p->rank == 16 ? 2 : budget < 2 ? 1 : budget > 40 ? (tc_chance(r, 8) ? budget / 2 : 13) : budget;
        p->dims[d] = tc_range(r, tc_chance(r, 60) ? 0 : 1, most);
        budget /= p->dims[d] > 0 ? p->dims[d] : 1;
    }
    tc_space(&p->c, p->rank, p->dims);
}

/* Special numbers here and there. */
static void season(program *p)
{
    static const double special[] = { 0.0,  -0.0,  1.0, -1.0, INFINITY, -INFINITY, NAN,  1e-40, -1e-40,
                                      1e30, -1e30, 0.5, 2.5,  100,      -100,      88.5, -103 };
    tc_random *r = &p->c.random;
    for (size_t i = 0; i < p->c.problem.n_in; i++) {
        const lathe_tensor *t = &p->c.in_data[i];
        for (int64_t k = 0; is_real(t->dtype) && !(p->c.in[i].flags & LATHE_OPERAND_CONSTANT) && k < lt_tensor_count(t);
             k++) {
            if (tc_chance(r, 6)) {
                lt_store_f64(t->dtype, t->data, k, special[tc_draw(r, LT_COUNT(special))]);
            }
        }
    }
}

static void one_program(uint64_t seed)
{
    static program p;
    memset(&p, 0, sizeof p);
    tc_begin(&p.c, seed, "", "");
    tc_random *r = &p.c.random;
    choose_space(&p);
    add_load(&p, tc_chance(r, 2) ? LATHE_DTYPE_F32 : any_type(r));
    for (int64_t n = tc_range(r, 1, 9); n > 0 && p.c.problem.n_in < TC_OPERANDS - 6 && p.n < TC_INSTRS - 16; n--) {
        add_instruction(&p);
    }
    for (int outputs = tc_chance(r, 4) ? 2 : 1; outputs > 0; outputs--) {
        uint16_t value = outputs == 1 ? p.values[p.n - 1] : p.values[tc_draw(r, (uint32_t)p.n)];
        uint16_t store = tc_instr(&p.c, -1, LATHE_PW_STORE, type_of(&p, value), 1, &value, 0, 0);
        p.c.instrs[store].operand = tc_output(&p.c, type_of(&p, value), p.rank, p.dims);
    }
    if (seed % 2) {
        season(&p);
    }
    tc_check_all(&p.c);
    tc_end(&p.c);
}

static void random_programs(void **state)
{
    (void)state;
    tc_reset();
    for (uint64_t seed = 1; seed <= TC_SEEDS(600); seed++) {
        one_program(seed);
    }
    tc_all_fitted("", "");
    tc_must_take_rows("pointwise.tile.*");
}

/* A function over many values: how far from the scalar reference, in units in the last place. */
static void functions_are_close(void **state)
{
    static const lathe_pw_op ops[] = { LATHE_PW_EXP,       LATHE_PW_LOG,      LATHE_PW_ERF,
                                       LATHE_PW_TANH,      LATHE_PW_SIGMOID,  LATHE_PW_GELU,
                                       LATHE_PW_GELU_TANH, LATHE_PW_SOFTPLUS, LATHE_PW_ELU,
                                       LATHE_PW_MISH,      LATHE_PW_SWISH,    LATHE_PW_SELU,
                                       LATHE_PW_CELU };
    (void)state;
    for (size_t k = 0; k < LT_COUNT(ops); k++) {
        static tc_case c;
        int64_t n = 4000;
        tc_begin(&c, 7, "", "");
        tc_space(&c, 1, &n);
        uint16_t x = tc_load(&c, -1, tc_input(&c, LATHE_DTYPE_F32, 1, &n, 0), 1, &n), y;
        for (int64_t i = 0; i < n; i++) { /* logarithms: positive, of all sizes */
            double t = (double)(i - n / 2) / (double)n;
            lt_store_f64(LATHE_DTYPE_F32, c.in_data[0].data, i,
                         ops[k] == LATHE_PW_LOG ? exp2(t * 290) : t * (i % 2 ? 12 : 210));
        }
        y = tc_instr(&c, -1, ops[k], LATHE_DTYPE_F32, 1, &x, 1.25, 1.5);
        uint16_t store = tc_instr(&c, -1, LATHE_PW_STORE, LATHE_DTYPE_F32, 1, &y, 0, 0);
        c.instrs[store].operand = tc_output(&c, LATHE_DTYPE_F32, 1, &n);
        tc_check_all(&c);
        tc_end(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(functions_are_close),
        cmocka_unit_test(random_programs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
