/*
 * dims_div.c - the rules of floordiv, ceildiv and mod. Part of base.
 *
 * By a constant c > 0, whole multiples of c leave the division, common factors are cancelled, and nested divisions of
 * the same kind become one:
 *   (4N + 9) div 4 = N + 2,   (6N + 5) div 4 = N + N div 2 + 1,   (x div a + k) div b = (x + k a) div (a b)
 * By a polynomial, an exact quotient is taken, and common factors are cancelled.
 */
#include "base/dims_internal.h"

static int64_t gcd(int64_t a, int64_t b)
{
    uint64_t x = a < 0 ? 0 - (uint64_t)a : (uint64_t)a, y = b < 0 ? 0 - (uint64_t)b : (uint64_t)b;
    while (y != 0) {
        uint64_t rest = x % y;
        x = y;
        y = rest;
    }
    return x > INT64_MAX ? 1 : (int64_t)x;
}

/* 0..c-1 */
static int64_t floor_mod(int64_t a, int64_t c)
{
    int64_t r = a % c;
    return r < 0 ? r + c : r;
}

static lathe_status add_constant(lt_dims *dims, lt_poly *poly, int64_t k, int64_t scale, lathe_diag *diag)
{
    lt_term term = { .coef = k };
    lt_poly constant = { .terms = &term, .count = k != 0 };
    return lt_poly_add(dims, poly, &constant, scale, poly, diag);
}

/* Divides each coefficient by c: quotients to *whole (added), remainders stay. Signs of remainders as in C, but 0
   <= constant < c. */
static lathe_status split(lt_dims *dims, lt_poly *rest, int64_t c, lt_poly *whole, lathe_diag *diag)
{
    lt_term *up = LT_ARENA_ARRAY(&dims->scratch, lt_term, rest->count),
            *left = LT_ARENA_ARRAY(&dims->scratch, lt_term, rest->count);
    if (up == NULL || left == NULL) {
        return LT_OOM(diag);
    }
    lt_poly quotients = { .terms = up }, remainders = { .terms = left };
    for (size_t i = 0; i < rest->count; i++) {
        lt_term term = rest->terms[i];
        bool constant = term.degree == 0;
        int64_t q = constant ? lt_floor_div(term.coef, c) : term.coef / c;
        int64_t r = constant ? floor_mod(term.coef, c) : term.coef % c;
        if (q != 0) {
            up[quotients.count] = term;
            up[quotients.count++].coef = q;
        }
        if (r != 0) {
            left[remainders.count] = term;
            left[remainders.count++].coef = r;
        }
    }
    *rest = remainders;
    return lt_poly_add(dims, whole, &quotients, 1, whole, diag);
}

/* The greatest common divisor of c and all coefficients but the constant. */
static int64_t common_factor(const lt_poly *poly, int64_t c)
{
    for (size_t i = 0; i < poly->count && poly->terms[i].degree > 0; i++) {
        c = gcd(c, poly->terms[i].coef);
    }
    return c;
}

/* (g X + k) div (g c) = (X + k div g) div c */
static void cancel(lt_dim_op op, lt_poly *rest, int64_t g)
{
    size_t n = 0;
    for (size_t i = 0; i < rest->count; i++) {
        lt_term term = rest->terms[i];
        term.coef = term.degree > 0        ? term.coef / g
                    : op == LT_DIM_CEILDIV ? lt_ceil_div(term.coef, g)
                                           : lt_floor_div(term.coef, g);
        if (term.coef != 0) {
            rest->terms[n++] = term;
        }
    }
    rest->count = n;
}

/* (x div a + k) div c = (x + k a) div (a c). *done tells whether the rule applied; an overflow only means that it
   does not. */
static lathe_status unnest(lt_dims *dims, lt_dim_op op, lt_poly *rest, int64_t *c, bool *done, lathe_diag *diag)
{
    int64_t k = lt_poly_constant(rest).coef, shift, product;
    *done = false;
    if (rest->count != (k != 0 ? 2u : 1u) || rest->terms[0].degree != 1 || rest->terms[0].coef != 1 ||
        !lt_dim_is_op(dims, rest->terms[0].atoms[0], op)) {
        return LATHE_OK;
    }
    const lt_dim *args = lt_dim_entry_of(dims, rest->terms[0].atoms[0])->args;
    lt_poly inner;
    if (args[1].e != 0 || args[1].k <= 0 || !lt_i64_mul(args[1].k, k, &shift) || !lt_i64_mul(args[1].k, *c, &product)) {
        return LATHE_OK;
    }
    LT_TRY(lt_poly_of(dims, args[0], &inner, diag));
    lathe_status status = add_constant(dims, &inner, shift, 1, NULL);
    if (status == LATHE_OUT_OF_MEMORY) {
        return LT_OOM(diag);
    }
    if (status == LATHE_OK) {
        *rest = inner;
        *c = product;
        *done = true;
    }
    return LATHE_OK;
}

/* whole + factor * atom */
static lathe_status combine(lt_dims *dims, lt_poly *whole, int64_t factor, lt_dim atom, lt_dim *out, lathe_diag *diag)
{
    lt_poly part;
    LT_TRY(lt_poly_of(dims, atom, &part, diag));
    LT_TRY(lt_poly_add(dims, whole, &part, factor, whole, diag));
    return lt_poly_make(dims, whole, out, diag);
}

/* floordiv or ceildiv by c > 0 */
static lathe_status divide_by_constant(lt_dims *dims, lt_dim_op op, const lt_poly *a, int64_t c, lt_dim *out,
                                       lathe_diag *diag)
{
    lt_poly whole = { 0 }, rest = *a;
    for (bool again = true; again;) {
        LT_TRY(split(dims, &rest, c, &whole, diag));
        again = false;
        if (rest.count == 0) {
            return lt_poly_make(dims, &whole, out, diag);
        }
        int64_t g = common_factor(&rest, c);
        if (rest.terms[0].degree > 0 && g > 1) {
            cancel(op, &rest, g);
            c /= g;
            again = true;
        } else {
            LT_TRY(unnest(dims, op, &rest, &c, &again, diag));
        }
    }
    lt_dim x, atom;
    LT_TRY(lt_poly_make(dims, &rest, &x, diag));
    if (x.e == 0) {
        atom = lt_dim_const(op == LT_DIM_CEILDIV ? lt_ceil_div(x.k, c) : lt_floor_div(x.k, c));
    } else {
        LT_TRY(lt_dim_atom(dims, op, (lt_dim[]){ x, lt_dim_const(c) }, 2, &atom, diag));
    }
    return combine(dims, &whole, 1, atom, out, diag);
}

/* Coefficients to 0..c-1; k * mod(x, d) becomes k * x where k d is a multiple of c. *changed when such a term was
   opened. */
static lathe_status reduce_modulo(lt_dims *dims, lt_poly *rest, int64_t c, bool *changed, lathe_diag *diag)
{
    lt_poly sum = { 0 };
    *changed = false;
    for (size_t i = 0; i < rest->count; i++) {
        lt_term term = rest->terms[i];
        term.coef = floor_mod(term.coef, c);
        lt_poly part = { .terms = &term, .count = term.coef != 0 };
        int64_t scale = 1, product;
        if (term.degree == 1 && term.coef != 0 && lt_dim_is_op(dims, term.atoms[0], LT_DIM_MOD)) {
            const lt_dim *args = lt_dim_entry_of(dims, term.atoms[0])->args;
            if (args[1].e == 0 && lt_i64_mul(args[1].k, term.coef, &product) && product % c == 0) {
                LT_TRY(lt_poly_of(dims, args[0], &part, diag));
                scale = term.coef;
                *changed = true;
            }
        }
        LT_TRY(lt_poly_add(dims, &sum, &part, scale, &sum, diag));
    }
    *rest = sum;
    return LATHE_OK;
}

/* mod by c > 0: offset + factor * mod(rest, c) */
static lathe_status mod_by_constant(lt_dims *dims, const lt_poly *a, int64_t c, lt_dim *out, lathe_diag *diag)
{
    lt_poly rest = *a, offset = { 0 };
    int64_t factor = 1, lo, hi;
    for (bool again = true; again;) {
        LT_TRY(reduce_modulo(dims, &rest, c, &again, diag));
        int64_t g = common_factor(&rest, c), k = lt_poly_constant(&rest).coef;
        if (!again && rest.count > 0 && rest.terms[0].degree > 0 &&
            g > 1) { /* mod(g X + k, g c) = g mod(X + k div g, c) + k mod g */
            LT_TRY(add_constant(dims, &offset, k % g, factor, diag));
            cancel(LT_DIM_FLOORDIV, &rest, g);
            factor *= g; /* stays a divisor of the first c */
            c /= g;
            again = true;
        }
    }
    lt_dim x, atom;
    LT_TRY(lt_poly_make(dims, &rest, &x, diag));
    lt_dim_bounds(dims, x, &lo, &hi);
    if (lo >= 0 && hi < c) {
        atom = x;
    } else {
        LT_TRY(lt_dim_atom(dims, LT_DIM_MOD, (lt_dim[]){ x, lt_dim_const(c) }, 2, &atom, diag));
    }
    return combine(dims, &offset, factor, atom, out, diag);
}

/* The greatest monomial that divides b (one term) and every term of a. */
static lathe_status common_monomial(lt_dims *dims, const lt_poly *a, const lt_term *b, lt_term *out, lathe_diag *diag)
{
    lt_dim *atoms = LT_ARENA_ARRAY(&dims->scratch, lt_dim, b->degree);
    if (atoms == NULL) {
        return LT_OOM(diag);
    }
    *out = (lt_term){ .coef = b->coef, .degree = b->degree, .atoms = b->atoms };
    for (size_t t = 0; t < a->count; t++) {
        const lt_term *term = &a->terms[t];
        uint32_t n = 0, j = 0;
        out->coef = gcd(out->coef, term->coef);
        for (uint32_t i = 0; i < out->degree; i++) { /* both lists are sorted */
            while (j < term->degree && lt_dim_order(dims, term->atoms[j], out->atoms[i]) < 0) {
                j++;
            }
            if (j < term->degree && lt_dim_same(term->atoms[j], out->atoms[i])) {
                atoms[n++] = out->atoms[i];
                j++;
            }
        }
        out->atoms = atoms;
        out->degree = n;
    }
    return LATHE_OK;
}

static lathe_status divide_terms(lt_dims *dims, lt_poly *poly, const lt_term *by, lathe_diag *diag)
{
    lt_term *terms = LT_ARENA_ARRAY(&dims->scratch, lt_term, poly->count);
    if (terms == NULL) {
        return LT_OOM(diag);
    }
    for (size_t i = 0; i < poly->count; i++) {
        if (!lt_term_divide(dims, &poly->terms[i], by, &terms[i])) {
            return LT_OOM(diag); /* it divides, so memory is the only reason */
        }
    }
    poly->terms = terms;
    return LATHE_OK;
}

/* Moves the terms of *rest that b divides to *whole, as quotients. */
static lathe_status take_multiples(lt_dims *dims, lt_poly *rest, const lt_term *b, lt_poly *whole, lathe_diag *diag)
{
    lt_term *left = LT_ARENA_ARRAY(&dims->scratch, lt_term, rest->count),
            *up = LT_ARENA_ARRAY(&dims->scratch, lt_term, rest->count);
    if (left == NULL || up == NULL) {
        return LT_OOM(diag);
    }
    size_t n = 0, m = 0;
    for (size_t i = 0; i < rest->count; i++) {
        if (lt_term_divide(dims, &rest->terms[i], b, &up[m])) {
            m++;
        } else {
            left[n++] = rest->terms[i];
        }
    }
    *rest = (lt_poly){ .terms = left, .count = n };
    *whole = (lt_poly){ .terms = up, .count = m };
    return LATHE_OK;
}

static lathe_status divide_by_polynomial(lt_dims *dims, lt_dim_op op, const lt_poly *a, lt_dim b, lt_dim *out,
                                         lathe_diag *diag)
{
    lt_poly divisor, whole = { 0 }, rest = *a;
    lt_term common;
    LT_TRY(lt_poly_of(dims, b, &divisor, diag));
    if (lt_poly_divide(dims, a, &divisor, &whole)) {
        return op == LT_DIM_MOD ? (*out = lt_dim_const(0), LATHE_OK) : lt_poly_make(dims, &whole, out, diag);
    }
    whole = (lt_poly){ 0 };
    common = (lt_term){ .coef = 1 };
    if (divisor.count == 1) {
        LT_TRY(take_multiples(dims, &rest, &divisor.terms[0], &whole, diag));
        LT_TRY(common_monomial(dims, &rest, &divisor.terms[0], &common, diag));
        LT_TRY(divide_terms(dims, &rest, &common, diag));
        LT_TRY(divide_terms(dims, &divisor, &common, diag));
    }
    lt_dim x, y, part;
    LT_TRY(lt_poly_make(dims, &rest, &x, diag));
    LT_TRY(lt_poly_make(dims, &divisor, &y, diag));
    if (y.e == 0) { /* only a constant is left to divide by */
        LT_TRY(lt_dim_make_inner(dims, op, x, y, &part, diag));
    } else {
        LT_TRY(lt_dim_atom(dims, op, (lt_dim[]){ x, y }, 2, &part, diag));
    }
    if (op == LT_DIM_MOD) { /* multiples vanish; mod(g x, g y) = g mod(x, y) */
        lt_dim g;
        lt_poly factor = { .terms = &common, .count = 1 };
        LT_TRY(lt_poly_make(dims, &factor, &g, diag));
        return lt_dim_make_inner(dims, LT_DIM_MUL, part, g, out, diag);
    }
    return combine(dims, &whole, 1, part, out, diag);
}

lathe_status lt_dim_make_div(lt_dims *dims, lt_dim_op op, lt_dim a, lt_dim b, lt_dim *out, lathe_diag *diag)
{
    lt_poly x, negative = { 0 };
    if (lt_dim_is(b, 0)) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, NULL, NULL, "division of a dimension by zero");
    }
    LT_TRY(lt_poly_of(dims, a, &x, diag));
    if (b.e != 0) {
        return divide_by_polynomial(dims, op, &x, b, out, diag);
    }
    if (b.k == INT64_MIN) { /* has no positive counterpart */
        return lt_dim_atom(dims, op, (lt_dim[]){ a, b }, 2, out, diag);
    }
    int64_t c = b.k < 0 ? -b.k : b.k;
    if (b.k < 0) {
        LT_TRY(lt_poly_add(dims, &negative, &x, -1, &x, diag));
    }
    if (op != LT_DIM_MOD) {
        return divide_by_constant(dims, op, &x, c, out, diag);
    }
    LT_TRY(mod_by_constant(dims, &x, c, out, diag));
    return b.k < 0 ? lt_dim_make_inner(dims, LT_DIM_MUL, *out, lt_dim_const(-1), out, diag) : LATHE_OK;
}
