/*
 * reshape.c - Reshape and Flatten: the same elements under another shape. The extent -1 of Reshape is solved by
 * cancelling equal extents before anything is divided, so that it is exact for symbolic shapes too. Squeeze and
 * Unsqueeze are in squeeze.c.
 */
#include "ops/move.h"

/* ---- Solving for -1 ---- */

enum { MAX_FACTORS = 128 };

typedef struct factors {
    int count;
    lt_dim of[MAX_FACTORS];
} factors;

/* Splits products, so that N*H cancels against N. What does not fit stays whole. */
static void add_factor(const lt_dims *dims, factors *f, lt_dim d)
{
    if (lt_dim_is(d, 1) || f->count >= MAX_FACTORS) {
        return;
    }
    if (!lt_dim_is_const(d)) {
        lt_dim_node node = lt_dim_get(dims, d);
        if (node.op == LT_DIM_MUL && f->count + (int)node.count < MAX_FACTORS) {
            /* In normal form the arguments of a product are no products. */
            for (uint32_t k = 0; k < node.count; k++) {
                f->of[f->count++] = node.args[k];
            }
            return;
        }
    }
    f->of[f->count++] = d;
}

static void cancel(factors *a, factors *b)
{
    for (int i = 0; i < a->count; i++) {
        for (int k = 0; k < b->count; k++) {
            if (lt_dim_same(a->of[i], b->of[k])) {
                a->of[i--] = a->of[--a->count];
                b->of[k] = b->of[--b->count];
                break;
            }
        }
    }
}

static lathe_status multiply(lt_infer *c, const factors *f, lt_dim *out)
{
    return lt_dims_product(c, f->of, 0, f->count, out);
}

static int64_t common_divisor(int64_t a, int64_t b)
{
    while (b != 0) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* The constant part of the factors, taken out of the list; 1 when it overflows (they are then left in). */
static int64_t take_constants(factors *f)
{
    int64_t product = 1;
    int kept = 0;
    for (int i = 0; i < f->count; i++) {
        if (lt_dim_is_const(f->of[i]) && lt_i64_mul(product, f->of[i].k, &product)) {
            continue;
        }
        f->of[kept++] = f->of[i];
    }
    f->count = kept;
    return product;
}

/* Product of x's dims over the product of those of shape but `hole`. LT_UNKNOWN_DIM where one of them is unknown. */
static lathe_status solve(lt_infer *c, const lt_type *x, int n, const lt_dim *shape, int hole, lt_dim *out)
{
    factors above = { 0 }, below = { 0 };
    lt_dim numerator, denominator;
    for (int k = 0; k < x->rank; k++) {
        add_factor(c->dims, &above, x->dims[k]);
    }
    for (int k = 0; k < n; k++) {
        if (k != hole && lt_dim_is(shape[k], -1)) {
            *out = LT_UNKNOWN_DIM;
            return LATHE_OK;
        }
        if (k != hole) {
            add_factor(c->dims, &below, shape[k]);
        }
    }
    cancel(&above, &below);
    int64_t top = take_constants(&above), bottom = take_constants(&below);
    if (bottom == 0) {
        return lt_infer_fail(c, "-1 cannot be solved beside an extent of 0");
    }
    int64_t divisor = common_divisor(top, bottom);
    if (divisor > 1) {
        top /= divisor;
        bottom /= divisor;
    }
    if (bottom != 1 && above.count == 0) {
        return lt_infer_fail(c, "the elements do not divide into the shape: %lld / %lld is left for -1", (long long)top,
                             (long long)bottom);
    }
    add_factor(c->dims, &above, lt_dim_const(top));
    add_factor(c->dims, &below, lt_dim_const(bottom));
    LT_TRY(multiply(c, &above, &numerator));
    LT_TRY(multiply(c, &below, &denominator));
    if (lt_dim_is(denominator, 1)) {
        *out = numerator;
        return LATHE_OK;
    }
    return lt_dim_make(c->dims, LT_DIM_FLOORDIV, numerator, denominator, out, c->diag);
}

/* ---- Reshape ---- */

/* May this element of the shape be -1 when the program runs? */
static bool doubtful(const lt_infer *c, lt_dim d)
{
    int64_t lo, hi;
    if (lt_dim_is_const(d)) {
        return false;
    }
    lt_dim_bounds(c->dims, d, &lo, &hi);
    return lo < 0;
}

/* Do the input and the shape have the same number of elements, for all values of the symbols? */
static lathe_status same_counts(lt_infer *c, const lt_type *x, int n, const lt_dim *shape, bool *same)
{
    lt_dim before, after;
    *same = false;
    for (int k = 0; k < n; k++) {
        if (lt_dim_is(shape[k], -1)) {
            return LATHE_OK;
        }
    }
    LT_TRY(lt_dims_product(c, x->dims, 0, x->rank, &before));
    LT_TRY(lt_dims_product(c, shape, 0, n, &after));
    *same = lt_dim_same(before, after) || lt_dim_proves_eq(c->dims, before, after);
    return LATHE_OK;
}

/* Where all extents are numbers, they must agree. */
static lathe_status check_counts(lt_infer *c, const lt_type *x, int n, const lt_dim *shape)
{
    lt_dim before, after;
    for (int k = 0; k < x->rank || k < n; k++) {
        if ((k < x->rank && !lt_dim_is_const(x->dims[k])) ||
            (k < n && (!lt_dim_is_const(shape[k]) || shape[k].k < 0))) {
            return LATHE_OK;
        }
    }
    LT_TRY(lt_dims_product(c, x->dims, 0, x->rank, &before));
    LT_TRY(lt_dims_product(c, shape, 0, n, &after));
    if (before.k != after.k) {
        return lt_infer_fail(c, "%lld elements do not fit a shape of %lld", (long long)before.k, (long long)after.k);
    }
    return LATHE_OK;
}

/* Replaces 0 by the input's extent and finds the one element that is -1; shape then holds LT_UNKNOWN_DIM there. */
static lathe_status read_shape(lt_infer *c, const lt_type *x, int n, lt_dim *shape, int *hole)
{
    bool keep_zero = lt_attr_i(c->attrs, c->n_attrs, "allowzero", 0) != 0;
    bool has_zero = false;
    *hole = -1;
    for (int k = 0; k < n; k++) {
        if (lt_dim_is(shape[k], -1)) {
            if (*hole >= 0) {
                return lt_infer_fail(c, "more than one extent is -1");
            }
            *hole = k;
        } else if (lt_dim_is(shape[k], 0) && !keep_zero) {
            if (x->rank >= 0 && k >= x->rank) {
                return lt_infer_fail(c, "extent %d is 0 (copied), but the input has rank %d", k, x->rank);
            }
            shape[k] = x->rank >= 0 ? x->dims[k] : LT_UNKNOWN_DIM;
        } else if (lt_dim_is_const(shape[k]) && shape[k].k < 0) {
            return lt_infer_fail(c, "extent %lld is negative", (long long)shape[k].k);
        }
        has_zero = has_zero || lt_dim_is(shape[k], 0);
    }
    if (*hole >= 0 && has_zero && keep_zero) {
        return lt_infer_fail(c, "-1 and 0 together with allowzero");
    }
    return LATHE_OK;
}

/*
 * An element that may turn out negative, an expression like N-1, is taken at its word where the counts agree; else it
 * may stand for -1, and then the quotient is right in both cases as long as it is the only one.
 */
static lathe_status settle_doubts(lt_infer *c, const lt_type *x, int n, lt_dim *shape, int *hole)
{
    int doubts = 0, last = -1;
    bool equal;
    for (int k = 0; k < n; k++) {
        if (doubtful(c, shape[k])) {
            doubts++;
            last = k;
        }
    }
    if (doubts == 0 || *hole >= 0) {
        return LATHE_OK;
    }
    LT_TRY(same_counts(c, x, n, shape, &equal));
    if (equal) {
        return LATHE_OK;
    }
    if (doubts == 1) {
        *hole = last;
        return LATHE_OK;
    }
    for (int k = 0; k < n; k++) {
        if (doubtful(c, shape[k])) {
            shape[k] = LT_UNKNOWN_DIM;
        }
    }
    return LATHE_OK;
}

static lathe_status infer_reshape(lt_infer *c)
{
    const lt_type *x = c->in[0];
    lt_dim shape[LT_CONTENTS_MAX];
    int64_t count, length;
    int hole;
    LT_TRY(lt_move_length(c, 1, &length));
    if (length > LATHE_MAX_RANK) {
        return lt_infer_fail(c, "a shape of rank %lld; at most %d is possible", (long long)length, LATHE_MAX_RANK);
    }
    LT_TRY(lt_infer_ints(c, 1, shape, &count));
    if (count < 0) {
        for (int64_t k = 0; k < length; k++) {
            shape[k] = LT_UNKNOWN_DIM;
        }
        return length < 0 ? lt_infer_out(c, 0, x->dtype, -1, NULL) : lt_move_out(c, 0, x->dtype, (int)length, shape);
    }
    int n = (int)count;
    LT_TRY(read_shape(c, x, n, shape, &hole));
    if (x->rank < 0) {
        return lt_move_out(c, 0, x->dtype, n, shape);
    }
    LT_TRY(settle_doubts(c, x, n, shape, &hole));
    if (hole >= 0) {
        LT_TRY(solve(c, x, n, shape, hole, &shape[hole]));
    }
    LT_TRY(check_counts(c, x, n, shape));
    LT_TRY(lt_move_out(c, 0, x->dtype, n, shape));
    return lt_move_pass(c);
}

/* ---- Flatten ---- */

static lathe_status infer_flatten(lt_infer *c)
{
    const lt_type *x = c->in[0];
    int64_t axis = lt_attr_i(c->attrs, c->n_attrs, "axis", 1);
    lt_dim dims[2] = { LT_UNKNOWN_DIM, LT_UNKNOWN_DIM };
    if (x->rank >= 0) {
        if (axis < -(int64_t)x->rank || axis > x->rank) {
            return lt_infer_fail(c, "axis %lld is out of range for rank %d", (long long)axis, x->rank);
        }
        int at = (int)(axis < 0 ? axis + x->rank : axis);
        LT_TRY(lt_dims_product(c, x->dims, 0, at, &dims[0]));
        LT_TRY(lt_dims_product(c, x->dims, at, x->rank, &dims[1]));
    }
    return lt_move_out(c, 0, x->dtype, 2, dims);
}

static const lt_attr_spec attrs_reshape[] = { { "allowzero", LATHE_ATTR_INT, false }, { 0 } };
static const lt_attr_spec attrs_flatten[] = { { "axis", LATHE_ATTR_INT, false }, { 0 } };

static const char *const samples_reshape[] = {
    "f32[2,3,4] x = rand(1), i64[3] s = {4, -1, 2} | y = Reshape (x, s)",
    "f32[2,3,4] x = rand(1), i64[3] s = {0, 0, -1} | y = Reshape (x, s)",
    "i32[0,3] x = iota, i64[3] s = {3, 0, 5} | y = Reshape <allowzero = 1> (x, s)",
    "f64[1] x = rand(1), i64[0] s = iota | y = Reshape (x, s)",
    "u8[7] x = iota, i64[4] s = {1, 7, 1, 1} | y = Reshape (x, s)",
    NULL,
};
static const char *const samples_flatten[] = {
    "f32[2,3,4] x = rand(1) | y = Flatten (x)",
    "f32[2,3,4] x = rand(1) | y = Flatten <axis = -1> (x)",
    "i8[5] x = iota | y = Flatten <axis = 0> (x)",
    NULL,
};

LT_OPS(reshape) = {
    {
        .name = "Reshape",
        .since = 25,
        .traits = LT_OP_VIEW,
        .host_inputs = 1u << 1,
        .sig = "(T data, i64 shape) -> (T reshaped); T: all",
        .attrs = attrs_reshape,
        .infer = infer_reshape,
        .eval = lt_eval_view,
        .samples = samples_reshape,
    },
    {
        .name = "Flatten",
        .since = 25,
        .traits = LT_OP_VIEW,
        .sig = "(T input) -> (T output); T: all",
        .attrs = attrs_flatten,
        .infer = infer_flatten,
        .eval = lt_eval_view,
        .samples = samples_flatten,
    },
    { 0 },
};
