/*
 * dims_bounds.c - interval arithmetic over expressions, and the proofs that stand on it. Part of base.
 *
 * INT64_MIN and INT64_MAX stand for "no bound" and stay so under addition.
 */
#include "base/dims_internal.h"

typedef struct range {
    int64_t lo, hi;
} range;

static const range everything = { INT64_MIN, INT64_MAX };

static bool is_infinite(int64_t x)
{
    return x == INT64_MIN || x == INT64_MAX;
}

static range range_of(const lt_dims *dims, lt_dim d)
{
    if (d.e == 0) {
        return (range){ d.k, d.k };
    }
    const lt_dim_entry *entry = lt_dim_entry_of(dims, d);
    return (range){ entry->lo, entry->hi };
}

static int64_t add_sat(int64_t a, int64_t b, int64_t infinity)
{
    int64_t sum;
    if (a == infinity || b == infinity) {
        return infinity;
    }
    return lt_i64_add(a, b, &sum) ? sum : a < 0 ? INT64_MIN : INT64_MAX;
}

static range add(range a, range b)
{
    return (range){ add_sat(a.lo, b.lo, INT64_MIN), add_sat(a.hi, b.hi, INT64_MAX) };
}

static int64_t mul_sat(int64_t a, int64_t b)
{
    int64_t product;
    if (a == 0 || b == 0) {
        return 0;
    }
    bool fits = lt_i64_mul(a, b, &product);
    return fits && !is_infinite(a) && !is_infinite(b) ? product : (a < 0) == (b < 0) ? INT64_MAX : INT64_MIN;
}

static range widen(range r, int64_t x)
{
    return (range){ x < r.lo ? x : r.lo, x > r.hi ? x : r.hi };
}

/* As a lower bound INT64_MAX is a number, and so is INT64_MIN as an upper bound: one less tight keeps them apart from
   "no bound" where bounds of both kinds meet. */
static range soften(range r)
{
    return (range){ r.lo == INT64_MAX ? INT64_MAX - 1 : r.lo, r.hi == INT64_MIN ? INT64_MIN + 1 : r.hi };
}

static range multiply(range a, range b)
{
    a = soften(a);
    b = soften(b);
    range r = { mul_sat(a.lo, b.lo), mul_sat(a.lo, b.lo) };
    r = widen(r, mul_sat(a.lo, b.hi));
    r = widen(r, mul_sat(a.hi, b.lo));
    return widen(r, mul_sat(a.hi, b.hi));
}

static int64_t div_sat(lt_dim_op op, int64_t a, int64_t b)
{
    if (is_infinite(a)) {
        return (a < 0) == (b < 0) ? INT64_MAX : INT64_MIN;
    }
    return op == LT_DIM_CEILDIV ? lt_ceil_div(a, b) : lt_floor_div(a, b);
}

/* Monotone in each argument while b keeps its sign. */
static range divide(lt_dim_op op, range a, range b)
{
    a = soften(a);
    b = soften(b);
    range r = { INT64_MAX, INT64_MIN };
    range parts[2] = { { b.lo, b.hi < -1 ? b.hi : -1 }, { b.lo > 1 ? b.lo : 1, b.hi } };
    for (int i = 0; i < 2; i++) {
        if (parts[i].lo <= parts[i].hi) {
            r = widen(r, div_sat(op, a.lo, parts[i].lo));
            r = widen(r, div_sat(op, a.lo, parts[i].hi));
            r = widen(r, div_sat(op, a.hi, parts[i].lo));
            r = widen(r, div_sat(op, a.hi, parts[i].hi));
        }
    }
    return r.lo <= r.hi ? r : everything;
}

static range modulo(range a, range b)
{
    if (b.lo > 0 && a.lo >= 0 && a.hi < b.lo) {
        return a;
    }
    range r = { 0, 0 };
    if (b.hi > 0) {
        r.hi = b.hi == INT64_MAX ? INT64_MAX : b.hi - 1;
        r.hi = b.lo > 0 && a.lo >= 0 && a.hi < r.hi ? a.hi : r.hi;
    }
    if (b.lo < 0) {
        r.lo = b.lo == INT64_MIN ? INT64_MIN : b.lo + 1;
    }
    return r;
}

static range extreme(lt_dim_op op, range a, range b)
{
    bool low = op == LT_DIM_MIN;
    return (range){ (a.lo < b.lo) == low ? a.lo : b.lo, (a.hi < b.hi) == low ? a.hi : b.hi };
}

static range scale(range a, uint32_t bits)
{
    int64_t x, y;
    if (is_infinite(a.lo) || !lt_dim_fscale_number(a.lo, bits, &x)) {
        x = a.lo >= 0 && bits < 0x7f800000u ? 0 : INT64_MIN;
        if (bits >= 0x80000000u) {
            return everything;
        }
    }
    if (is_infinite(a.hi) || !lt_dim_fscale_number(a.hi, bits, &y)) {
        y = INT64_MAX;
        if (bits >= 0x7f800000u) {
            return everything;
        }
    }
    return x <= y ? (range){ x, y } : (range){ y, x };
}

/* One of the two; both when neither is known to differ from 1. */
static range broadcast(range a, range b)
{
    if (a.lo > 1 || a.hi < 1) {
        return a;
    }
    if (b.lo > 1 || b.hi < 1) {
        return b;
    }
    range r = { a.lo < b.lo ? a.lo : b.lo, a.hi > b.hi ? a.hi : b.hi };
    if (a.lo >= 1 && b.lo >= 1) {
        r.lo = a.lo > b.lo ? a.lo : b.lo;
    }
    return r;
}

static range combine(lt_dim_op op, range a, range b, lt_dim second)
{
    switch (op) {
    case LT_DIM_ADD:
        return add(a, b);
    case LT_DIM_MUL:
        return multiply(a, b);
    case LT_DIM_FLOORDIV:
    case LT_DIM_CEILDIV:
        return divide(op, a, b);
    case LT_DIM_MOD:
        return modulo(a, b);
    case LT_DIM_MIN:
    case LT_DIM_MAX:
        return extreme(op, a, b);
    case LT_DIM_FSCALE:
        return scale(a, (uint32_t)second.k);
    case LT_DIM_BCAST:
        return broadcast(a, b);
    default:
        return (range){ 0, 1 }; /* comparisons */
    }
}

static range leaf_range(const lt_dims *dims, const lt_dim_entry *entry)
{
    range r = { entry->declared_lo, entry->declared_hi };
    if (entry->op == LT_DIM_FRESH) {
        int64_t lo = range_of(dims, entry->lo_dim).lo, hi = range_of(dims, entry->hi_dim).hi;
        r.lo = lo > r.lo ? lo : r.lo;
        r.hi = hi < r.hi ? hi : r.hi;
    }
    return r;
}

void lt_dim_entry_bounds(const lt_dims *dims, lt_dim_entry *entry)
{
    range r;
    if (entry->op == LT_DIM_SYMBOL || entry->op == LT_DIM_FRESH) {
        r = leaf_range(dims, entry);
    } else if (entry->op == LT_DIM_SELECT) {
        range a = range_of(dims, entry->args[1]), b = range_of(dims, entry->args[2]);
        r = (range){ a.lo < b.lo ? a.lo : b.lo, a.hi > b.hi ? a.hi : b.hi };
    } else {
        r = range_of(dims, entry->args[0]);
        for (uint32_t i = 1; i < entry->count; i++) {
            r = combine(entry->op, r, range_of(dims, entry->args[i]), entry->args[i]);
        }
    }
    entry->lo = r.lo;
    entry->hi = r.hi;
}

void lt_dim_bounds(const lt_dims *dims, lt_dim d, int64_t *lo, int64_t *hi)
{
    range r = range_of(dims, d);
    *lo = r.lo;
    *hi = r.hi;
}

/* Walks the terms of an expression in normal order. */
typedef struct cursor {
    const lt_dim *args;
    uint32_t count, at;
    lt_dim whole, atom;
    lt_term term;
} cursor;

static void load(const lt_dims *dims, cursor *c)
{
    if (c->at < c->count) {
        c->term = lt_term_of(dims, c->args[c->at], &c->atom);
    }
}

static void begin(const lt_dims *dims, cursor *c, lt_dim d)
{
    bool sum = lt_dim_is_op(dims, d, LT_DIM_ADD);
    *c = (cursor){ .whole = d };
    c->args = sum ? lt_dim_entry_of(dims, d)->args : &c->whole;
    c->count = sum ? lt_dim_entry_of(dims, d)->count : 1;
    load(dims, c);
}

static range monomial(const lt_dims *dims, const lt_term *term, int64_t coef)
{
    range r = { coef, coef };
    for (uint32_t i = 0; i < term->degree; i++) {
        r = multiply(r, range_of(dims, term->atoms[i]));
    }
    return r;
}

void lt_dim_difference(const lt_dims *dims, lt_dim a, lt_dim b, int64_t *lo, int64_t *hi)
{
    cursor x, y;
    range sum = { 0, 0 };
    begin(dims, &x, a);
    begin(dims, &y, b);
    while (x.at < x.count || y.at < y.count) {
        int order = x.at == x.count ? 1 : y.at == y.count ? -1 : lt_term_order(dims, &x.term, &y.term);
        int64_t coef;
        if (!lt_i64_sub(order <= 0 ? x.term.coef : 0, order >= 0 ? y.term.coef : 0, &coef)) {
            sum = everything;
            break;
        }
        sum = add(sum, monomial(dims, order <= 0 ? &x.term : &y.term, coef));
        if (order <= 0) {
            x.at++;
            load(dims, &x);
        }
        if (order >= 0) {
            y.at++;
            load(dims, &y);
        }
    }
    *lo = sum.lo;
    *hi = sum.hi;
}

bool lt_dim_proves_eq(const lt_dims *dims, lt_dim a, lt_dim b)
{
    int64_t lo, hi;
    if (lt_dim_same(a, b)) {
        return true;
    }
    lt_dim_difference(dims, a, b, &lo, &hi);
    return lo == 0 && hi == 0;
}

/* True when `enough` of the arguments of d compare: all or any of them. */
static bool prove(const lt_dims *dims, lt_dim a, lt_dim b, int budget);

static bool prove_parts(const lt_dims *dims, lt_dim d, bool left, lt_dim other, bool all, int budget)
{
    const lt_dim_entry *entry = lt_dim_entry_of(dims, d);
    for (uint32_t i = 0; i < entry->count; i++) {
        bool holds =
            left ? prove(dims, entry->args[i], other, budget - 1) : prove(dims, other, entry->args[i], budget - 1);
        if (holds != all) {
            return holds;
        }
    }
    return all;
}

static bool prove(const lt_dims *dims, lt_dim a, lt_dim b, int budget)
{
    int64_t lo, hi;
    if (lt_dim_same(a, b)) {
        return true;
    }
    if (range_of(dims, a).hi <= range_of(dims, b).lo) { /* the difference may not fit where the numbers do */
        return true;
    }
    lt_dim_difference(dims, a, b, &lo, &hi);
    if (hi <= 0) {
        return true;
    }
    if (lo > 0 || budget == 0) {
        return false;
    }
    bool a_min = lt_dim_is_op(dims, a, LT_DIM_MIN), a_max = lt_dim_is_op(dims, a, LT_DIM_MAX);
    bool b_min = lt_dim_is_op(dims, b, LT_DIM_MIN), b_max = lt_dim_is_op(dims, b, LT_DIM_MAX);
    if ((a_min || a_max) && prove_parts(dims, a, true, b, a_max, budget)) {
        return true;
    }
    if ((b_min || b_max) && prove_parts(dims, b, false, a, b_min, budget)) {
        return true;
    }
    if (lt_dim_is_op(dims, a, LT_DIM_FRESH) && prove(dims, lt_dim_entry_of(dims, a)->hi_dim, b, budget - 1)) {
        return true;
    }
    return lt_dim_is_op(dims, b, LT_DIM_FRESH) && prove(dims, a, lt_dim_entry_of(dims, b)->lo_dim, budget - 1);
}

bool lt_dim_proves_le(const lt_dims *dims, lt_dim a, lt_dim b)
{
    enum { BUDGET = 3 };
    return prove(dims, a, b, BUDGET);
}
