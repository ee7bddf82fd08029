/*
 * compare.c - comparisons, logic on bools, and the questions IsNaN and IsInf: pointwise operators whose result is bool.
 * Found through the registry.
 */
#include "ops/pointwise_internal.h"

#include <math.h>
#include <string.h>

static bool same_string(const lt_string *a, const lt_string *b)
{
    return a->length == b->length && (a->length == 0 || memcmp(a->data, b->data, a->length) == 0);
}

static lathe_status run_equal_strings(lt_eval *c, const lt_run *run, const void *user)
{
    const lt_string *a = lt_in(c, 0)->data, *b = lt_in(c, 1)->data;
    (void)user;
    for (int64_t i = 0; i < run->count; i++) {
        bool same = same_string(&a[run->at[0] + i * run->step[0]], &b[run->at[1] + i * run->step[1]]);
        lt_store_i64(LATHE_DTYPE_BOOL, lt_out(c, 0)->data, run->out + i, same);
    }
    return LATHE_OK;
}

static lathe_status eval_equal(lt_eval *c)
{
    return lt_in(c, 0)->dtype == LATHE_DTYPE_STRING ? lt_broadcast_runs(c, run_equal_strings, NULL) : lt_pw_eval(c);
}

/* Which infinities count, as two flags; all flags off and `nan` on asks for NaN. */
typedef struct question {
    bool nan, positive, negative;
} question;

static lathe_status run_question(lt_eval *c, const lt_run *run, const void *user)
{
    const question *q = user;
    double x[LT_RUN_MAX];
    int64_t y[LT_RUN_MAX];
    lt_run_load_f64(lt_in(c, 0), run->at[0], run->step[0], run->count, x);
    for (int64_t i = 0; i < run->count; i++) {
        y[i] = (q->nan && isnan(x[i])) || (isinf(x[i]) && (x[i] > 0.0 ? q->positive : q->negative));
    }
    lt_run_store_i64(lt_out(c, 0), run->out, run->count, y);
    return LATHE_OK;
}

static lathe_status eval_is_nan(lt_eval *c)
{
    question q = { .nan = true };
    return lt_broadcast_runs(c, run_question, &q);
}

static lathe_status eval_is_inf(lt_eval *c)
{
    question q = {
        .positive = lt_attr_i(c->attrs, c->n_attrs, "detect_positive", 1) != 0,
        .negative = lt_attr_i(c->attrs, c->n_attrs, "detect_negative", 1) != 0,
    };
    return lt_broadcast_runs(c, run_question, &q);
}

#define COMPARISON_SAMPLES(op)                                                                                         \
    "f32[2,3] x = {1.0, 2.0, 3.0, nan, -0.0, inf}, f32[3] z = {1.0, 2.5, 0.0} | y = " op " (x, z)",                    \
        "f32[2,1] x = rand(1), f32[1,4] z = rand(2) | y = " op " (x, z)",                                              \
        "f16[3] x = {1.0, 2.0, 3.0}, f16[] z = {2.0} | y = " op " (x, z)",                                             \
        "i64[3] x = {-1, 5, 9}, i64[3] z = {-1, 6, 8} | y = " op " (x, z)",                                            \
        "u64[3] x = {18446744073709551615, 1, 2}, u64[1] z = {2} | y = " op " (x, z)",                                 \
        "i8[2,2] x = {-128, 127, 0, 1}, i8[2] z = {0, 127} | y = " op " (x, z)"

#define COMPARISON(op)                                                                                                 \
    (const char *const[])                                                                                              \
    {                                                                                                                  \
        COMPARISON_SAMPLES(op), NULL                                                                                   \
    }

static const char *const equal_samples[] = {
    COMPARISON_SAMPLES("Equal"),
    "bool[3] x = {1, 0, 1}, bool[1] z = {1} | y = Equal (x, z)",
    NULL,
};

#define LOGIC(op)                                                                                                      \
    (const char *const[])                                                                                              \
    {                                                                                                                  \
        "bool[4] x = {0, 0, 1, 1}, bool[4] z = {0, 1, 0, 1} | y = " op " (x, z)",                                      \
            "bool[2,1] x = {0, 1}, bool[3] z = {1, 0, 1} | y = " op " (x, z)", NULL                                    \
    }

static const char *const not_samples[] = { "bool[2,2] x = {0, 1, 1, 0} | y = Not (x)", "bool[] x = {1} | y = Not (x)",
                                           NULL };

static const char *const is_nan_samples[] = {
    "f32[4] x = {1.0, nan, inf, -0.0} | y = IsNaN (x)",
    "f16[2,2] x = {nan, 1.0, -inf, nan} | y = IsNaN (x)",
    "f64[3] x = rand(1) | y = IsNaN (x)",
    NULL,
};

static const char *const is_inf_samples[] = {
    "f32[5] x = {1.0, nan, inf, -inf, 0.0} | y = IsInf (x)",
    "f32[3] x = {nan, inf, -inf} | y = IsInf <detect_negative = 0> (x)",
    "f32[3] x = {nan, inf, -inf} | y = IsInf <detect_positive = 0> (x)",
    "f64[3] x = {nan, inf, -inf} | y = IsInf (x)",
    NULL,
};

static const lt_attr_spec is_inf_attrs[] = {
    { "detect_negative", LATHE_ATTR_INT, false },
    { "detect_positive", LATHE_ATTR_INT, false },
    { NULL, LATHE_ATTR_NONE, false },
};

#define COMMUTES .domain = "", .traits = LT_OP_POINTWISE | LT_OP_COMMUTATIVE, .infer = lt_pw_infer_bool
#define ORDERED  .domain = "", .traits = LT_OP_POINTWISE, .infer = lt_pw_infer_bool
#define NUMERIC  .sig = "(T A, T B) -> (bool C); T: numeric", .eval = lt_pw_eval
#define LOGICAL  .sig = "(bool A, bool B) -> (bool C)", .eval = lt_pw_eval
#define QUESTION .sig = "(T1 X) -> (bool Y); T1: float f8e4m3fn f8e4m3fnuz f8e5m2 f8e5m2fnuz"

LT_OPS(compare) = {
    { .name = "Equal",
      COMMUTES,
      .since = 19,
      .pw = LATHE_PW_EQUAL,
      .sig = "(T A, T B) -> (bool C); T: numeric bool string",
      .eval = eval_equal,
      .samples = equal_samples },
    { .name = "Less", ORDERED, .since = 13, .pw = LATHE_PW_LESS, NUMERIC, .samples = COMPARISON("Less") },
    { .name = "LessOrEqual",
      ORDERED,
      .since = 16,
      .pw = LATHE_PW_LESS_EQUAL,
      NUMERIC,
      .samples = COMPARISON("LessOrEqual") },
    { .name = "Greater", ORDERED, .since = 13, .pw = LATHE_PW_GREATER, NUMERIC, .samples = COMPARISON("Greater") },
    { .name = "GreaterOrEqual",
      ORDERED,
      .since = 16,
      .pw = LATHE_PW_GREATER_EQUAL,
      NUMERIC,
      .samples = COMPARISON("GreaterOrEqual") },
    { .name = "And", COMMUTES, .since = 7, .pw = LATHE_PW_AND, LOGICAL, .samples = LOGIC("And") },
    { .name = "Or", COMMUTES, .since = 7, .pw = LATHE_PW_OR, LOGICAL, .samples = LOGIC("Or") },
    { .name = "Xor", COMMUTES, .since = 7, .pw = LATHE_PW_XOR, LOGICAL, .samples = LOGIC("Xor") },
    { .name = "Not",
      ORDERED,
      .since = 1,
      .pw = LATHE_PW_NOT,
      .sig = "(bool X) -> (bool Y)",
      .eval = lt_pw_eval,
      .samples = not_samples },
    { .name = "IsNaN", ORDERED, .since = 20, QUESTION, .eval = eval_is_nan, .samples = is_nan_samples },
    { .name = "IsInf",
      ORDERED,
      .since = 20,
      QUESTION,
      .attrs = is_inf_attrs,
      .eval = eval_is_inf,
      .samples = is_inf_samples },
    { .name = NULL },
};
