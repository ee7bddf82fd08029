/*
 * contents.c - symbolic contents through pointwise operators: exporters compute shapes with Add, Mul, Div, Where, Cast,
 * ... on small integer tensors, and these are followed exactly as long as the arithmetic of dims has the same meaning
 * as the operator's. Where it has not, the contents are unknown; that is never an error.
 */
#include "ops/ops.h"

#include <limits.h>

/* The arguments of one element. */
typedef struct element {
    lt_infer *c;
    lathe_pw_op op;
    lathe_dtype dtype; /* of the result */
    lt_dim x, y, z;
} element;

static bool make(const element *e, lt_dim_op op, lt_dim a, lt_dim b, lt_dim *out)
{
    return lt_dim_make(e->c->dims, op, a, b, out, NULL) == LATHE_OK;
}

static bool subtract(const element *e, lt_dim *out)
{
    return lt_dim_sub(e->c->dims, e->x, e->y, out, NULL) == LATHE_OK;
}

/* Lower bound of a dim; constants need no table. */
static int64_t least(const element *e, lt_dim d)
{
    int64_t lo, hi;
    if (lt_dim_is_const(d)) {
        return d.k;
    }
    lt_dim_bounds(e->c->dims, d, &lo, &hi);
    return lo;
}

/* Integer division truncates; that is floor division when both are not negative. */
static bool divide(const element *e, lt_dim *out)
{
    if (lt_dim_is_const(e->x) && lt_dim_is_const(e->y)) {
        if (e->y.k == 0 || (e->x.k == INT64_MIN && e->y.k == -1)) {
            return false;
        }
        *out = lt_dim_const(e->x.k / e->y.k);
        return true;
    }
    return least(e, e->x) >= 0 && least(e, e->y) > 0 && make(e, LT_DIM_FLOORDIV, e->x, e->y, out);
}

/* Mod takes the sign of the divisor, FMod that of the dividend; they agree when both are not negative. */
static bool modulo(const element *e, lt_dim *out)
{
    if (e->op == LATHE_PW_FMOD && least(e, e->x) < 0) {
        return false;
    }
    return least(e, e->y) > 0 && make(e, LT_DIM_MOD, e->x, e->y, out);
}

static bool negate(const element *e, lt_dim a, lt_dim *out)
{
    return make(e, LT_DIM_EQ, a, lt_dim_const(0), out);
}

/* x != 0 as 0 or 1. */
static bool truth(const element *e, lt_dim a, lt_dim *out)
{
    lt_dim is_zero;
    return negate(e, a, &is_zero) && negate(e, is_zero, out);
}

static bool clip(const element *e, lt_dim *out)
{
    lt_dim low;
    return make(e, LT_DIM_MAX, e->x, e->y, &low) && make(e, LT_DIM_MIN, low, e->z, out);
}

/* The value of one element as a dim; false when it has none. */
static bool apply(const element *e, lt_dim *out)
{
    switch (e->op) {
    case LATHE_PW_ADD:
        return make(e, LT_DIM_ADD, e->x, e->y, out);
    case LATHE_PW_SUB:
        return subtract(e, out);
    case LATHE_PW_MUL:
    case LATHE_PW_AND:
        return (e->op == LATHE_PW_MUL || e->dtype == LATHE_DTYPE_BOOL) && make(e, LT_DIM_MUL, e->x, e->y, out);
    case LATHE_PW_OR:
        return e->dtype == LATHE_DTYPE_BOOL && make(e, LT_DIM_MAX, e->x, e->y, out);
    case LATHE_PW_DIV:
        return divide(e, out);
    case LATHE_PW_MOD:
    case LATHE_PW_FMOD:
        return modulo(e, out);
    case LATHE_PW_MIN:
        return make(e, LT_DIM_MIN, e->x, e->y, out);
    case LATHE_PW_MAX:
        return make(e, LT_DIM_MAX, e->x, e->y, out);
    case LATHE_PW_RELU:
        return make(e, LT_DIM_MAX, e->x, lt_dim_const(0), out);
    case LATHE_PW_CLIP:
        return clip(e, out);
    case LATHE_PW_EQUAL:
        return make(e, LT_DIM_EQ, e->x, e->y, out);
    case LATHE_PW_LESS:
        return make(e, LT_DIM_LT, e->x, e->y, out);
    case LATHE_PW_LESS_EQUAL:
        return make(e, LT_DIM_LE, e->x, e->y, out);
    case LATHE_PW_GREATER:
        return make(e, LT_DIM_LT, e->y, e->x, out);
    case LATHE_PW_GREATER_EQUAL:
        return make(e, LT_DIM_LE, e->y, e->x, out);
    case LATHE_PW_NOT:
        return e->dtype == LATHE_DTYPE_BOOL && negate(e, e->x, out);
    case LATHE_PW_NEG:
        return make(e, LT_DIM_MUL, e->x, lt_dim_const(-1), out);
    case LATHE_PW_WHERE:
        return lt_dim_select(e->c->dims, e->x, e->y, e->z, out, NULL) == LATHE_OK;
    case LATHE_PW_CAST:
        if (e->dtype == LATHE_DTYPE_BOOL) {
            return truth(e, e->x, out);
        }
        *out = e->x;
        return true;
    default:
        return false;
    }
}

/*
 * Does the type hold the value? Constants must fit. Expressions in 32- and 64-bit types are taken to fit, as every
 * exporter does; in narrower ones their bounds must.
 */
static bool fits(const element *e, lt_dim d)
{
    unsigned bits = lathe_dtype_bits(e->dtype);
    int64_t lo = d.k, hi = d.k;
    if (!lt_dim_is_const(d)) {
        if (bits >= 32) {
            return true;
        }
        lt_dim_bounds(e->c->dims, d, &lo, &hi);
    }
    uint64_t max = lt_dtype_max_u64(e->dtype);
    return lo >= lt_dtype_min_i64(e->dtype) && (hi < 0 || (uint64_t)hi <= max);
}

/* The arguments of element i of input k, broadcast. */
static lt_dim pick(const lt_dim *buffer, int64_t count, int64_t i)
{
    return buffer[count == 1 ? 0 : i];
}

static bool integral(lathe_dtype dtype)
{
    return dtype == LATHE_DTYPE_BOOL || lt_dtype_is_integer(dtype);
}

/* Elements of the output: -1 when they are too many, too deep or not integers. */
static int64_t small_count(const lt_type *out)
{
    if (out->rank < 0 || out->rank > 1 || !integral(out->dtype)) {
        return -1;
    }
    lt_dim n = out->rank == 0 ? lt_dim_const(1) : out->dims[0];
    return lt_dim_is_const(n) && n.k >= 0 && n.k <= LT_CONTENTS_MAX ? n.k : -1;
}

/* Reads input i; false when its contents are unknown or do not broadcast to n. */
static bool read_input(lt_infer *c, int i, int64_t n, lt_dim *buffer, int64_t *count)
{
    if (c->in[i] == NULL || !integral(c->in[i]->dtype) || lt_infer_ints(c, i, buffer, count) != LATHE_OK) {
        return false;
    }
    return *count == n || *count == 1;
}

/* Binary and unary operators and left folds of variadic ones. acc holds the running result. */
static bool fold(element *e, int64_t n, lt_dim *acc)
{
    lt_infer *c = e->c;
    lt_dim arg[LT_CONTENTS_MAX];
    int64_t count;
    if (!read_input(c, 0, n, arg, &count)) {
        return false;
    }
    for (int64_t i = 0; i < n; i++) {
        acc[i] = pick(arg, count, i);
    }
    int rounds = c->n_in > 1 ? c->n_in - 1 : 1;
    for (int k = 1; k <= rounds; k++) {
        if (k < c->n_in && !read_input(c, k, n, arg, &count)) {
            return false;
        }
        if (c->n_in == 1 && (e->op == LATHE_PW_MIN || e->op == LATHE_PW_MAX || e->op == LATHE_PW_ADD)) {
            return true; /* a variadic operator of one input */
        }
        for (int64_t i = 0; i < n; i++) {
            e->x = acc[i];
            e->y = k < c->n_in ? pick(arg, count, i) : lt_dim_const(0);
            if (!apply(e, &acc[i]) || !fits(e, acc[i])) {
                return false;
            }
        }
    }
    return true;
}

/* Where and Clip; Clip's absent bounds are those of the type. */
static bool ternary(element *e, int64_t n, lt_dim *acc)
{
    lt_infer *c = e->c;
    lt_dim arg[3][LT_CONTENTS_MAX];
    int64_t count[3] = { 1, 1, 1 };
    arg[1][0] = lt_dim_const(INT64_MIN);
    arg[2][0] = lt_dim_const(INT64_MAX);
    for (int k = 0; k < 3; k++) {
        bool absent = k >= c->n_in || c->in[k] == NULL;
        if (absent && (k == 0 || e->op != LATHE_PW_CLIP)) {
            return false;
        }
        if (!absent && !read_input(c, k, n, arg[k], &count[k])) {
            return false;
        }
    }
    for (int64_t i = 0; i < n; i++) {
        e->x = pick(arg[0], count[0], i);
        e->y = pick(arg[1], count[1], i);
        e->z = pick(arg[2], count[2], i);
        if (!apply(e, &acc[i]) || !fits(e, acc[i])) {
            return false;
        }
    }
    return true;
}

lathe_status lt_infer_pw_contents(lt_infer *c)
{
    double imm[2];
    lathe_pw_op op = lt_op_pw(c->op, c->attrs, c->n_attrs, imm);
    if (c->out_contents == NULL || c->arena == NULL || op == LATHE_PW_NONE || c->n_in < 1 || c->n_out < 1) {
        return LATHE_OK;
    }
    int64_t n = small_count(&c->out[0]);
    lt_dim acc[LT_CONTENTS_MAX];
    element e = { .c = c, .op = op, .dtype = c->out[0].dtype };
    if (n < 0 || !(op == LATHE_PW_WHERE || op == LATHE_PW_CLIP ? ternary(&e, n, acc) : fold(&e, n, acc))) {
        return LATHE_OK;
    }
    return lt_infer_set_contents(c, 0, acc, n);
}
