/*
 * binary.c - arithmetic of two arguments with broadcasting, bitwise operators, and the variadic ones that fold their
 * arguments from left to right. Found through the registry.
 */
#include "ops/pointwise_internal.h"

#include <math.h>

/* ---- Bits ---- */

static int64_t fn_and(lathe_dtype dtype, const int64_t *x, const double *imm)
{
    (void)dtype;
    (void)imm;
    return x[0] & x[1];
}

static int64_t fn_or(lathe_dtype dtype, const int64_t *x, const double *imm)
{
    (void)dtype;
    (void)imm;
    return x[0] | x[1];
}

static int64_t fn_xor(lathe_dtype dtype, const int64_t *x, const double *imm)
{
    (void)dtype;
    (void)imm;
    return x[0] ^ x[1];
}

/* Shifts by the type's width or more give 0. Only unsigned types come here. */
static int64_t fn_shift_left(lathe_dtype dtype, const int64_t *x, const double *imm)
{
    (void)imm;
    uint64_t by = (uint64_t)x[1];
    return by >= lathe_dtype_bits(dtype) ? 0 : (int64_t)((uint64_t)x[0] << by);
}

static int64_t fn_shift_right(lathe_dtype dtype, const int64_t *x, const double *imm)
{
    (void)imm;
    uint64_t by = (uint64_t)x[1];
    return by >= lathe_dtype_bits(dtype) ? 0 : (int64_t)((uint64_t)x[0] >> by);
}

static double fn_prelu(const double *x, const double *imm)
{
    (void)imm;
    return x[0] < 0.0 ? x[1] * x[0] : x[0];
}

static int64_t fn_prelu_int(lathe_dtype dtype, const int64_t *x, const double *imm)
{
    (void)imm;
    bool negative = x[0] < 0 && dtype != LATHE_DTYPE_U64;
    return negative ? (int64_t)((uint64_t)x[0] * (uint64_t)x[1]) : x[0];
}

static const lt_scalar_fn functions[] = {
    { .name = "BitwiseAnd", .i = fn_and },
    { .name = "BitwiseOr", .i = fn_or },
    { .name = "BitwiseXor", .i = fn_xor },
    { .name = "PRelu", .f = fn_prelu, .i = fn_prelu_int },
    { .name = NULL },
};

static const lt_scalar_fn shifts[2][2] = {
    { { .name = "BitShift", .i = fn_shift_left }, { .name = NULL } },
    { { .name = "BitShift", .i = fn_shift_right }, { .name = NULL } },
};

static lathe_status eval_function(lt_eval *c)
{
    return lt_pw_eval_table(c, functions);
}

static lathe_status infer_shift(lt_infer *c)
{
    if (!lt_attr_is(c->attrs, c->n_attrs, "direction", "LEFT", NULL) &&
        !lt_attr_is(c->attrs, c->n_attrs, "direction", "RIGHT", NULL)) {
        return lt_infer_fail(c, "attribute 'direction' must be LEFT or RIGHT");
    }
    return lt_infer_broadcast(c);
}

static lathe_status eval_shift(lt_eval *c)
{
    return lt_pw_eval_table(c, shifts[lt_attr_is(c->attrs, c->n_attrs, "direction", "RIGHT", NULL)]);
}

/* The slope broadcasts to X and never the other way round. */
static lathe_status infer_prelu(lt_infer *c)
{
    LT_TRY(lt_infer_broadcast(c));
    const lt_type *x = c->in[0], *slope = c->in[1];
    if (x->rank >= 0 && slope->rank > x->rank) {
        return lt_infer_fail(c, "the slope has more axes than X");
    }
    for (int i = 0; i < c->out[0].rank && x->rank >= 0; i++) {
        if (lt_dim_is_const(x->dims[i]) && lt_dim_is_const(c->out[0].dims[i]) && x->dims[i].k != c->out[0].dims[i].k) {
            return lt_infer_fail(c, "the slope does not broadcast to X along axis %d", i);
        }
    }
    return lt_infer_same(c, 0, 0);
}

/* ---- Modulo: without fmod for integers only ---- */

static lathe_status infer_mod(lt_infer *c)
{
    if (lt_attr_i(c->attrs, c->n_attrs, "fmod", 0) == 0 && lt_dtype_is_float(c->in[0]->dtype)) {
        return lt_infer_fail(c, "floating-point arguments need fmod = 1");
    }
    return lt_infer_broadcast(c);
}

/* ---- Variadic ---- */

typedef struct folding {
    lathe_pw_op op;
    bool mean;
} folding;

/* Floats are folded as double, so that Sum and Mean round once; Min and Max are exact in any case. */
static lathe_status fold_floats(lt_eval *c, const lt_run *run, const void *user)
{
    const folding *f = user;
    double acc[LT_RUN_MAX], x[LT_RUN_MAX];
    lt_run_load_f64(lt_in(c, 0), run->at[0], run->step[0], run->count, acc);
    for (int k = 1; k < c->n_in; k++) {
        lt_run_load_f64(lt_in(c, k), run->at[k], run->step[k], run->count, x);
        for (int64_t i = 0; i < run->count; i++) {
            acc[i] = lt_pw_f64(f->op, LATHE_DTYPE_F64, acc[i], x[i], 0.0, NULL);
        }
    }
    for (int64_t i = 0; i < run->count && f->mean; i++) {
        acc[i] /= c->n_in;
    }
    lt_run_store_f64(lt_out(c, 0), run->out, run->count, acc);
    return LATHE_OK;
}

static lathe_status fold_ints(lt_eval *c, const lt_run *run, const void *user)
{
    const folding *f = user;
    int64_t acc[LT_RUN_MAX], x[LT_RUN_MAX];
    lt_run_load_i64(lt_in(c, 0), run->at[0], run->step[0], run->count, acc);
    for (int k = 1; k < c->n_in; k++) {
        lt_run_load_i64(lt_in(c, k), run->at[k], run->step[k], run->count, x);
        for (int64_t i = 0; i < run->count; i++) {
            acc[i] = lt_pw_i64(f->op, lt_in(c, 0)->dtype, acc[i], x[i], 0, NULL);
        }
    }
    lt_run_store_i64(lt_out(c, 0), run->out, run->count, acc);
    return LATHE_OK;
}

static lathe_status eval_fold(lt_eval *c)
{
    folding f = { .op = c->op->pw, .mean = c->op->pw == LATHE_PW_NONE };
    if (f.mean) {
        f.op = LATHE_PW_ADD;
    }
    return lt_broadcast_runs(c, lt_dtype_is_float(lt_in(c, 0)->dtype) ? fold_floats : fold_ints, &f);
}

/* ---- Rows ---- */

#define ARITHMETIC_SAMPLES(op)                                                                                         \
    "f32[2,3] x = rand(1), f32[2,3] z = rand(2) | y = " op " (x, z)",                                                  \
        "f32[2,3] x = rand(1), f32[3] z = rand(2) | y = " op " (x, z)",                                                \
        "f32[2,1,4] x = rand(1), f32[3,1] z = rand(2) | y = " op " (x, z)",                                            \
        "f32[] x = {2.0}, f32[3,2] z = rand(2) | y = " op " (x, z)",                                                   \
        "f64[4] x = rand(3), f64[1] z = rand(4) | y = " op " (x, z)",                                                  \
        "f16[2,4] x = rand(5), f16[2,1] z = rand(6) | y = " op " (x, z)",                                              \
        "bf16[4] x = rand(7), bf16[4] z = rand(8) | y = " op " (x, z)",                                                \
        "f32[4] x = {nan, inf, -inf, -0.0}, f32[4] z = {1.0, inf, 0.5, 2.0} | y = " op " (x, z)",                      \
        "f32[2,0] x = splat(1), f32[1,1] z = splat(2) | y = " op " (x, z)"

#define INTEGER_SAMPLES(op)                                                                                            \
    "i64[3] x = {-7, 7, 9}, i64[3] z = {2, -2, 4} | y = " op " (x, z)",                                                \
        "i32[2,2] x = {5, -5, 100, 2147483647}, i32[2] z = {3, 7} | y = " op " (x, z)",                                \
        "i8[3] x = {100, -100, 7}, i8[] z = {3} | y = " op " (x, z)",                                                  \
        "u8[3] x = {200, 3, 255}, u8[3] z = {100, 5, 2} | y = " op " (x, z)",                                          \
        "u64[2] x = {18446744073709551615, 7}, u64[2] z = {3, 4} | y = " op " (x, z)"

#define ARITHMETIC(op)                                                                                                 \
    (const char *const[])                                                                                              \
    {                                                                                                                  \
        ARITHMETIC_SAMPLES(op), INTEGER_SAMPLES(op), NULL                                                              \
    }

static const char *const mod_samples[] = {
    INTEGER_SAMPLES("Mod"),
    "i64[4] x = {-7, 7, -7, 0}, i64[4] z = {3, -3, -3, 5} | y = Mod <fmod = 1> (x, z)",
    "f32[6] x = {-4.3, 7.2, 5.0, 4.3, -7.2, 8.0}, f32[6] z = {2.1, -3.4, 8.0, -2.1, 3.4, 5.0} | y = Mod <fmod = 1> (x, "
    "z)",
    "f16[2,2] x = {5.5, -5.5, 3.0, 1.5}, f16[] z = {2.0} | y = Mod <fmod = 1> (x, z)",
    NULL,
};

static const char *const pow_samples[] = {
    "f32[4] x = {2.0, 3.0, 0.5, 9.0}, f32[4] z = {3.0, -1.0, 2.0, 0.5} | y = Pow (x, z)",
    "f32[2,3] x = {1.0, 2.0, 3.0, 4.0, 5.0, 6.0}, f32[] z = {2.0} | y = Pow (x, z)",
    "f32[3] x = {1.0, 2.0, 3.0}, i64[3] z = {4, 5, 6} | y = Pow (x, z)",
    "i64[3] x = {1, -2, 3}, i64[3] z = {4, 5, 6} | y = Pow (x, z)",
    "i32[3] x = {1, 2, 3}, f32[] z = {2.0} | y = Pow (x, z)",
    "f32[4] x = {-2.0, 0.0, inf, nan}, f32[4] z = {0.5, -1.0, -1.0, 0.0} | y = Pow (x, z)",
    "f16[3] x = {1.5, 2.0, 3.0}, f16[1] z = {2.0} | y = Pow (x, z)",
    NULL,
};

#define MINMAX(op)                                                                                                     \
    (const char *const[])                                                                                              \
    {                                                                                                                  \
        ARITHMETIC_SAMPLES(op), INTEGER_SAMPLES(op),                                                                   \
            "f32[3] x = {1.0, nan, -2.0}, f32[3] z = {nan, 1.0, 3.0}, f32[1] w = {0.5} | y = " op " (x, z, w)",        \
            "f32[2,2] x = rand(1) | y = " op " (x)",                                                                   \
            "i64[2,1] x = {1, 5}, i64[2] z = {3, 4}, i64[] w = {2} | y = " op " (x, z, w)", NULL                       \
    }

#define SUMS(op)                                                                                                       \
    (const char *const[])                                                                                              \
    {                                                                                                                  \
        ARITHMETIC_SAMPLES(op), "f32[2,3] x = rand(1), f32[3] z = rand(2), f32[] w = {4.0} | y = " op " (x, z, w)",    \
            "f32[2,2] x = rand(1) | y = " op " (x)", NULL                                                              \
    }

#define BITS(op)                                                                                                       \
    (const char *const[])                                                                                              \
    {                                                                                                                  \
        "i32[3] x = {12, -1, 255}, i32[3] z = {10, 7, -256} | y = " op " (x, z)",                                      \
            "u8[2,2] x = {1, 2, 3, 255}, u8[2] z = {3, 15} | y = " op " (x, z)",                                       \
            "u64[2] x = {18446744073709551615, 5}, u64[1] z = {6} | y = " op " (x, z)", NULL                           \
    }

static const char *const shift_samples[] = {
    "u8[3] x = {16, 4, 255}, u8[3] z = {1, 2, 3} | y = BitShift <direction = \"LEFT\"> (x, z)",
    "u32[3] x = {16, 4, 4294967295}, u32[1] z = {2} | y = BitShift <direction = \"RIGHT\"> (x, z)",
    "u64[2] x = {1, 18446744073709551615}, u64[2] z = {63, 1} | y = BitShift <direction = \"LEFT\"> (x, z)",
    NULL,
};

static const char *const prelu_samples[] = {
    "f32[2,3] x = rand(1), f32[2,3] s = rand(2) | y = PRelu (x, s)",
    "f32[2,3,2,2] x = rand(1), f32[3,1,1] s = rand(2) | y = PRelu (x, s)",
    "f32[2,3] x = rand(1), f32[] s = {0.25} | y = PRelu (x, s)",
    "i32[3] x = {-4, 0, 4}, i32[1] s = {3} | y = PRelu (x, s)",
    "f32[3] x = {nan, -inf, -0.0}, f32[1] s = {0.5} | y = PRelu (x, s)",
    NULL,
};

static const lt_attr_spec mod_attrs[] = { { "fmod", LATHE_ATTR_INT, false }, { NULL, LATHE_ATTR_NONE, false } };
static const lt_attr_spec shift_attrs[] = { { "direction", LATHE_ATTR_STRING, true },
                                            { NULL, LATHE_ATTR_NONE, false } };

#define COMMUTES .domain = "", .traits = LT_OP_POINTWISE | LT_OP_COMMUTATIVE
#define ORDERED  .domain = "", .traits = LT_OP_POINTWISE
#define NUMERIC  .sig = "(T A, T B) -> (T C); T: numeric"
#define INTEGER  .sig = "(T A, T B) -> (T C); T: int"
#define BY_PW    .infer = lt_pw_infer, .eval = lt_pw_eval
#define BY_FN    .infer = lt_pw_infer, .eval = eval_function
#define BY_FOLD  .infer = lt_pw_infer, .eval = eval_fold

LT_OPS(binary) = {
    { .name = "Add", COMMUTES, .since = 14, .pw = LATHE_PW_ADD, NUMERIC, BY_PW, .samples = ARITHMETIC("Add") },
    { .name = "Sub", ORDERED, .since = 14, .pw = LATHE_PW_SUB, NUMERIC, BY_PW, .samples = ARITHMETIC("Sub") },
    { .name = "Mul", COMMUTES, .since = 14, .pw = LATHE_PW_MUL, NUMERIC, BY_PW, .samples = ARITHMETIC("Mul") },
    { .name = "Div", ORDERED, .since = 14, .pw = LATHE_PW_DIV, NUMERIC, BY_PW, .samples = ARITHMETIC("Div") },
    { .name = "Mod",
      ORDERED,
      .since = 13,
      .pw = LATHE_PW_MOD,
      NUMERIC,
      .attrs = mod_attrs,
      .infer = infer_mod,
      .eval = lt_pw_eval,
      .samples = mod_samples },
    { .name = "Pow",
      ORDERED,
      .since = 15,
      .pw = LATHE_PW_POW,
      .sig = "(T X, T1 Y) -> (T Z); T: float i32 i64, T1: numeric",
      BY_PW,
      .samples = pow_samples },
    { .name = "Min",
      COMMUTES,
      .since = 13,
      .pw = LATHE_PW_MIN,
      .sig = "(T... data_0) -> (T min); T: numeric",
      BY_FOLD,
      .samples = MINMAX("Min") },
    { .name = "Max",
      COMMUTES,
      .since = 13,
      .pw = LATHE_PW_MAX,
      .sig = "(T... data_0) -> (T max); T: numeric",
      BY_FOLD,
      .samples = MINMAX("Max") },
    { .name = "Sum",
      COMMUTES,
      .since = 13,
      .pw = LATHE_PW_ADD,
      .sig = "(T... data_0) -> (T sum); T: float",
      BY_FOLD,
      .samples = SUMS("Sum") },
    { .name = "Mean",
      COMMUTES,
      .since = 13,
      .sig = "(T... data_0) -> (T mean); T: float",
      BY_FOLD,
      .samples = SUMS("Mean") },
    { .name = "BitwiseAnd", COMMUTES, .since = 18, INTEGER, BY_FN, .samples = BITS("BitwiseAnd") },
    { .name = "BitwiseOr", COMMUTES, .since = 18, INTEGER, BY_FN, .samples = BITS("BitwiseOr") },
    { .name = "BitwiseXor", COMMUTES, .since = 18, INTEGER, BY_FN, .samples = BITS("BitwiseXor") },
    { .name = "BitShift",
      ORDERED,
      .since = 11,
      .sig = "(T X, T Y) -> (T Z); T: unsigned",
      .attrs = shift_attrs,
      .infer = infer_shift,
      .eval = eval_shift,
      .samples = shift_samples },
    { .name = "PRelu",
      ORDERED,
      .since = 16,
      .sig = "(T X, T slope) -> (T Y); T: float u32 u64 i32 i64",
      .infer = infer_prelu,
      .eval = eval_function,
      .samples = prelu_samples },
    { .name = NULL },
};
