/*
 * dims_make.c - building expressions: constant folding, the rules of min, max, select, comparisons, fscale and bcast.
 * Part of base.
 *
 * Rules may give a value where the written form would fail at evaluation (x - x with an overflow inside); never
 * another value.
 */
#include "base/dims_internal.h"

lathe_status lt_dim_atom(lt_dims *dims, lt_dim_op op, const lt_dim *args, size_t count, lt_dim *out, lathe_diag *diag)
{
    LT_TRY(lt_dim_intern(dims, op, args, count, out, diag));
    const lt_dim_entry *entry = lt_dim_entry_of(dims, *out);
    if (entry->lo == entry->hi && entry->lo != INT64_MIN && entry->lo != INT64_MAX) {
        *out = lt_dim_const(entry->lo);
    }
    return LATHE_OK;
}

static lathe_status make_sum_or_product(lt_dims *dims, lt_dim_op op, lt_dim a, lt_dim b, lt_dim *out, lathe_diag *diag)
{
    lt_poly x, y, result;
    LT_TRY(lt_poly_of(dims, a, &x, diag));
    LT_TRY(lt_poly_of(dims, b, &y, diag));
    if (op == LT_DIM_ADD) {
        LT_TRY(lt_poly_add(dims, &x, &y, 1, &result, diag));
    } else {
        LT_TRY(lt_poly_mul(dims, &x, &y, &result, diag));
    }
    return lt_poly_make(dims, &result, out, diag);
}

/* Inserts x in structural order unless it is there. */
static bool insert(const lt_dims *dims, lt_dim *list, size_t *count, lt_dim x)
{
    size_t at = 0;
    while (at < *count && lt_dim_order(dims, list[at], x) < 0) {
        at++;
    }
    if (at < *count && lt_dim_same(list[at], x)) {
        return true;
    }
    if (*count == LT_DIM_ARGS_MAX) {
        return false;
    }
    for (size_t i = *count; i > at; i--) {
        list[i] = list[i - 1];
    }
    list[at] = x;
    (*count)++;
    return true;
}

static bool insert_all(const lt_dims *dims, lt_dim_op op, lt_dim *list, size_t *count, lt_dim x)
{
    if (!lt_dim_is_op(dims, x, op)) {
        return insert(dims, list, count, x);
    }
    const lt_dim_entry *entry = lt_dim_entry_of(dims, x);
    for (uint32_t i = 0; i < entry->count; i++) {
        if (!insert(dims, list, count, entry->args[i])) {
            return false;
        }
    }
    return true;
}

/* min or max: one flat sorted list without those that another argument always beats. */
static lathe_status make_extreme(lt_dims *dims, lt_dim_op op, lt_dim a, lt_dim b, lt_dim *out, lathe_diag *diag)
{
    lt_dim list[LT_DIM_ARGS_MAX], kept[LT_DIM_ARGS_MAX];
    size_t count = 0, n = 0;
    if (!insert_all(dims, op, list, &count, a) || !insert_all(dims, op, list, &count, b)) {
        return LT_FAIL(diag, LATHE_UNSUPPORTED, NULL, LT_DIM_ADVICE, "%s of more than %d dimensions",
                       lt_dim_op_name(op), LT_DIM_ARGS_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        bool beaten = false;
        for (size_t j = 0; j < count && !beaten; j++) {
            lt_dim low = op == LT_DIM_MIN ? list[j] : list[i], high = op == LT_DIM_MIN ? list[i] : list[j];
            beaten = i != j && lt_dim_proves_le(dims, low, high) && (j < i || !lt_dim_proves_le(dims, high, low));
        }
        if (!beaten) {
            kept[n++] = list[i];
        }
    }
    if (n == 1) {
        *out = kept[0];
        return LATHE_OK;
    }
    return lt_dim_atom(dims, op, kept, n, out, diag);
}

static lathe_status make_comparison(lt_dims *dims, lt_dim_op op, lt_dim a, lt_dim b, lt_dim *out, lathe_diag *diag)
{
    bool swap = op == LT_DIM_EQ && lt_dim_order(dims, a, b) > 0;
    lt_dim args[2] = { swap ? b : a, swap ? a : b };
    int64_t lo, hi; /* of the first less the second */
    lt_dim_difference(dims, args[0], args[1], &lo, &hi);
    bool always, never;
    if (op == LT_DIM_EQ) {
        always = lt_dim_proves_eq(dims, args[0], args[1]);
        never = lo > 0 || hi < 0;
    } else if (op == LT_DIM_LE) {
        always = lt_dim_proves_le(dims, a, b);
        never = lo > 0;
    } else {
        always = hi < 0;
        never = lt_dim_proves_le(dims, b, a);
    }
    if (always || never) {
        *out = lt_dim_const(always);
        return LATHE_OK;
    }
    return lt_dim_atom(dims, op, args, 2, out, diag);
}

static lathe_status make_fscale(lt_dims *dims, lt_dim a, lt_dim bits, lt_dim *out, lathe_diag *diag)
{
    int64_t mul, div;
    if (bits.e != 0 || bits.k < 0 || bits.k > UINT32_MAX) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, NULL, NULL,
                       "the scale of fscale must be the bits of an f32 constant");
    }
    if (!lt_dim_fscale_exact((uint32_t)bits.k, &mul, &div)) {
        return lt_dim_atom(dims, LT_DIM_FSCALE, (lt_dim[]){ a, bits }, 2, out, diag);
    }
    return div == 1 ? lt_dim_make_inner(dims, LT_DIM_MUL, a, lt_dim_const(mul), out, diag)
                    : lt_dim_make_inner(dims, LT_DIM_FLOORDIV, a, lt_dim_const(div), out, diag);
}

static bool never_one(const lt_dims *dims, lt_dim d)
{
    int64_t lo, hi;
    lt_dim_bounds(dims, d, &lo, &hi);
    return lo > 1 || hi < 1;
}

static bool is_bcast_with(const lt_dims *dims, lt_dim d, lt_dim part)
{
    const lt_dim_entry *entry = lt_dim_entry_of(dims, d);
    return lt_dim_is_op(dims, d, LT_DIM_BCAST) &&
           (lt_dim_same(entry->args[0], part) || lt_dim_same(entry->args[1], part));
}

/* The node is made even when the result is one of the arguments: it is the record of the constraint, to be checked
   when numbers are known. */
static lathe_status make_bcast(lt_dims *dims, lt_dim a, lt_dim b, lt_dim *out, lathe_diag *diag)
{
    int64_t lo, hi;
    if (lt_dim_is(b, 1) || lt_dim_same(a, b) || is_bcast_with(dims, a, b)) {
        *out = a;
        return LATHE_OK;
    }
    if (lt_dim_is(a, 1) || is_bcast_with(dims, b, a)) {
        *out = b;
        return LATHE_OK;
    }
    bool swap = lt_dim_order(dims, a, b) > 0;
    lt_dim args[2] = { swap ? b : a, swap ? a : b }, node;
    bool firm[2] = { never_one(dims, args[0]), never_one(dims, args[1]) };
    lt_dim_difference(dims, args[0], args[1], &lo, &hi);
    if (firm[0] && firm[1] && (lo > 0 || hi < 0)) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, NULL, NULL,
                       "two dimensions that broadcast together can never be equal, and neither can be 1");
    }
    LT_TRY(lt_dim_intern(dims, LT_DIM_BCAST, args, 2, &node, diag));
    bool second = firm[1] && (!firm[0] || args[1].e == 0);
    *out = second ? args[1] : firm[0] || lt_dim_proves_eq(dims, args[0], args[1]) ? args[0] : node;
    return LATHE_OK;
}

lathe_status lt_dim_make_inner(lt_dims *dims, lt_dim_op op, lt_dim a, lt_dim b, lt_dim *out, lathe_diag *diag)
{
    if (a.e == 0 && b.e == 0) {
        int64_t value;
        LT_TRY(lt_dim_apply(op, a.k, b.k, 0, &value, diag));
        *out = lt_dim_const(value);
        return LATHE_OK;
    }
    switch (op) {
    case LT_DIM_ADD:
    case LT_DIM_MUL:
        return make_sum_or_product(dims, op, a, b, out, diag);
    case LT_DIM_FLOORDIV:
    case LT_DIM_CEILDIV:
    case LT_DIM_MOD:
        return lt_dim_make_div(dims, op, a, b, out, diag);
    case LT_DIM_MIN:
    case LT_DIM_MAX:
        return make_extreme(dims, op, a, b, out, diag);
    case LT_DIM_LT:
    case LT_DIM_LE:
    case LT_DIM_EQ:
        return make_comparison(dims, op, a, b, out, diag);
    case LT_DIM_FSCALE:
        return make_fscale(dims, a, b, out, diag);
    case LT_DIM_BCAST:
        return make_bcast(dims, a, b, out, diag);
    default:
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, NULL, NULL, "operation %d does not take two dimensions", (int)op);
    }
}

/* All handles must belong to the table. */
static lathe_status check(const lt_dims *dims, lt_dim a, lt_dim b, lt_dim c, lathe_diag *diag)
{
    uint32_t top = a.e > b.e ? a.e : b.e;
    top = c.e > top ? c.e : top;
    if (top > 0 && (dims == NULL || top >= dims->count)) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, NULL, NULL, "a symbolic dimension does not belong to this table");
    }
    return LATHE_OK;
}

lathe_status lt_dim_make(lt_dims *dims, lt_dim_op op, lt_dim a, lt_dim b, lt_dim *out, lathe_diag *diag)
{
    lt_dim result = { 0 };
    LT_TRY(check(dims, a, b, a, diag));
    if (op == LT_DIM_SELECT) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, NULL, NULL, "select takes three dimensions");
    }
    lathe_status status = lt_dim_make_inner(dims, op, a, b, &result, diag);
    if (a.e != 0 || b.e != 0) {
        lt_arena_reset(&dims->scratch);
    }
    if (status == LATHE_OK) {
        *out = result;
    }
    return status;
}

lathe_status lt_dim_select(lt_dims *dims, lt_dim c, lt_dim a, lt_dim b, lt_dim *out, lathe_diag *diag)
{
    int64_t lo, hi;
    LT_TRY(check(dims, a, b, c, diag));
    lt_dim_bounds(dims, c, &lo, &hi);
    if (lo > 0 || hi < 0 || lt_dim_same(a, b)) {
        *out = a;
        return LATHE_OK;
    }
    if (lo == 0 && hi == 0) {
        *out = b;
        return LATHE_OK;
    }
    return lt_dim_atom(dims, LT_DIM_SELECT, (lt_dim[]){ c, a, b }, 3, out, diag);
}

lathe_status lt_dim_fscale(lt_dims *dims, lt_dim a, float scale, lt_dim *out, lathe_diag *diag)
{
    uint32_t bits;
    __builtin_memcpy(&bits, &scale, sizeof bits);
    return lt_dim_make(dims, LT_DIM_FSCALE, a, lt_dim_const(bits), out, diag);
}

lathe_status lt_dim_add(lt_dims *dims, lt_dim a, lt_dim b, lt_dim *out, lathe_diag *diag)
{
    return lt_dim_make(dims, LT_DIM_ADD, a, b, out, diag);
}

lathe_status lt_dim_sub(lt_dims *dims, lt_dim a, lt_dim b, lt_dim *out, lathe_diag *diag)
{
    int64_t difference;
    if (a.e == 0 && b.e == 0) { /* not a + (-1) * b, which would overflow for INT64_MIN */
        if (!lt_i64_sub(a.k, b.k, &difference)) {
            return LT_FAIL(diag, LATHE_OVERFLOW, NULL, NULL, "%lld - %lld does not fit 64 bits", (long long)a.k,
                           (long long)b.k);
        }
        *out = lt_dim_const(difference);
        return LATHE_OK;
    }
    lt_poly x, y, sum;
    LT_TRY(check(dims, a, b, a, diag));
    lathe_status status = lt_poly_of(dims, a, &x, diag);
    status = status == LATHE_OK ? lt_poly_of(dims, b, &y, diag) : status;
    status = status == LATHE_OK ? lt_poly_add(dims, &x, &y, -1, &sum, diag) : status;
    status = status == LATHE_OK ? lt_poly_make(dims, &sum, out, diag) : status;
    lt_arena_reset(&dims->scratch);
    return status;
}

lathe_status lt_dim_mul(lt_dims *dims, lt_dim a, lt_dim b, lt_dim *out, lathe_diag *diag)
{
    return lt_dim_make(dims, LT_DIM_MUL, a, b, out, diag);
}
