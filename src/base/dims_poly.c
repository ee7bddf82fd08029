/*
 * dims_poly.c - polynomials over the atoms of a table: the normal form of sums and products. Part of base, private to
 * the dims files.
 */
#include <string.h>

#include "base/dims_internal.h"

static lathe_status overflow(lathe_diag *diag)
{
    return LT_FAIL(diag, LATHE_OVERFLOW, NULL, LT_DIM_ADVICE,
                   "a coefficient of a symbolic dimension does not fit 64 bits");
}

static lathe_status too_large(lathe_diag *diag)
{
    return LT_FAIL(diag, LATHE_UNSUPPORTED, NULL, LT_DIM_ADVICE,
                   "a symbolic dimension has more than %d terms or %d factors", LT_POLY_TERMS_MAX, LT_POLY_DEGREE_MAX);
}

/* Graded order: higher degree first, then the atoms in turn. It is kept by multiplication, which lt_poly_divide
   needs. */
int lt_term_order(const lt_dims *dims, const lt_term *a, const lt_term *b)
{
    if (a->degree != b->degree) {
        return a->degree > b->degree ? -1 : 1;
    }
    for (uint32_t i = 0; i < a->degree; i++) {
        if (!lt_dim_same(a->atoms[i], b->atoms[i])) {
            return lt_dim_order(dims, a->atoms[i], b->atoms[i]);
        }
    }
    return 0;
}

lt_term lt_poly_constant(const lt_poly *poly)
{
    if (poly->count > 0 && poly->terms[poly->count - 1].degree == 0) {
        return poly->terms[poly->count - 1];
    }
    return (lt_term){ 0 };
}

lt_term lt_term_of(const lt_dims *dims, lt_dim d, lt_dim *atom)
{
    if (d.e == 0) {
        return (lt_term){ .coef = d.k };
    }
    const lt_dim_entry *entry = lt_dim_entry_of(dims, d);
    if (entry->op != LT_DIM_MUL) {
        *atom = d;
        return (lt_term){ .coef = 1, .degree = 1, .atoms = atom };
    }
    lt_dim last = entry->args[entry->count - 1];
    if (last.e == 0) {
        return (lt_term){ .coef = last.k, .degree = entry->count - 1, .atoms = entry->args };
    }
    return (lt_term){ .coef = 1, .degree = entry->count, .atoms = entry->args };
}

lathe_status lt_poly_of(lt_dims *dims, lt_dim d, lt_poly *out, lathe_diag *diag)
{
    bool sum = lt_dim_is_op(dims, d, LT_DIM_ADD);
    size_t count = sum ? lt_dim_entry_of(dims, d)->count : 1;
    const lt_dim *args = sum ? lt_dim_entry_of(dims, d)->args : &d;
    lt_term *terms = LT_ARENA_ARRAY(&dims->scratch, lt_term, count);
    lt_dim *atoms = LT_ARENA_ARRAY(&dims->scratch, lt_dim, count);
    if (terms == NULL || atoms == NULL) {
        return LT_OOM(diag);
    }
    for (size_t i = 0; i < count; i++) {
        terms[i] = lt_term_of(dims, args[i], &atoms[i]);
    }
    *out = (lt_poly){ .terms = terms, .count = lt_dim_is(d, 0) ? 0 : count };
    return LATHE_OK;
}

lathe_status lt_poly_add(lt_dims *dims, const lt_poly *a, const lt_poly *b, int64_t scale, lt_poly *out,
                         lathe_diag *diag)
{
    lt_term *terms = LT_ARENA_ARRAY(&dims->scratch, lt_term, a->count + b->count);
    if (terms == NULL) {
        return LT_OOM(diag);
    }
    size_t i = 0, j = 0, n = 0;
    while (i < a->count || j < b->count) {
        int order = i == a->count ? 1 : j == b->count ? -1 : lt_term_order(dims, &a->terms[i], &b->terms[j]);
        lt_term term = order <= 0 ? a->terms[i] : b->terms[j];
        int64_t scaled = 0;
        if (order >= 0 && !lt_i64_mul(b->terms[j].coef, scale, &scaled)) {
            return overflow(diag);
        }
        if (!lt_i64_add(order <= 0 ? a->terms[i].coef : 0, scaled, &term.coef)) {
            return overflow(diag);
        }
        i += order <= 0;
        j += order >= 0;
        if (term.coef != 0) {
            terms[n++] = term;
        }
    }
    if (n > LT_POLY_TERMS_MAX) {
        return too_large(diag);
    }
    *out = (lt_poly){ .terms = terms, .count = n };
    return LATHE_OK;
}

/* The product of two terms: atoms merged in order. */
static lathe_status term_mul(lt_dims *dims, const lt_term *a, const lt_term *b, lt_term *out, lathe_diag *diag)
{
    uint32_t degree = a->degree + b->degree;
    if (degree > LT_POLY_DEGREE_MAX) {
        return too_large(diag);
    }
    out->degree = degree;
    if (!lt_i64_mul(a->coef, b->coef, &out->coef)) {
        return overflow(diag);
    }
    if (a->degree == 0 || b->degree == 0) {
        out->atoms = a->degree == 0 ? b->atoms : a->atoms;
        return LATHE_OK;
    }
    lt_dim *atoms = LT_ARENA_ARRAY(&dims->scratch, lt_dim, degree);
    if (atoms == NULL) {
        return LT_OOM(diag);
    }
    uint32_t i = 0, j = 0;
    for (uint32_t n = 0; n < degree; n++) {
        bool first = j == b->degree || (i < a->degree && lt_dim_order(dims, a->atoms[i], b->atoms[j]) <= 0);
        atoms[n] = first ? a->atoms[i++] : b->atoms[j++];
    }
    out->atoms = atoms;
    return LATHE_OK;
}

/* term * b, in order because the order is kept by multiplication. */
static lathe_status term_times_poly(lt_dims *dims, const lt_term *term, const lt_poly *b, lt_poly *out,
                                    lathe_diag *diag)
{
    lt_term *terms = LT_ARENA_ARRAY(&dims->scratch, lt_term, b->count);
    if (terms == NULL) {
        return LT_OOM(diag);
    }
    for (size_t i = 0; i < b->count; i++) {
        LT_TRY(term_mul(dims, term, &b->terms[i], &terms[i], diag));
    }
    *out = (lt_poly){ .terms = terms, .count = b->count };
    return LATHE_OK;
}

lathe_status lt_poly_mul(lt_dims *dims, const lt_poly *a, const lt_poly *b, lt_poly *out, lathe_diag *diag)
{
    lt_poly sum = { 0 };
    if (a->count > b->count) {
        const lt_poly *swap = a;
        a = b;
        b = swap;
    }
    if (a->count * b->count > 8 * (size_t)LT_POLY_TERMS_MAX) {
        return too_large(diag);
    }
    for (size_t i = 0; i < a->count; i++) {
        lt_poly row;
        LT_TRY(term_times_poly(dims, &a->terms[i], b, &row, diag));
        LT_TRY(lt_poly_add(dims, &sum, &row, 1, &sum, diag));
    }
    *out = sum;
    return LATHE_OK;
}

static lathe_status make_term(lt_dims *dims, const lt_term *term, lt_dim *out, lathe_diag *diag)
{
    if (term->degree == 0) {
        *out = lt_dim_const(term->coef);
        return LATHE_OK;
    }
    if (term->degree == 1 && term->coef == 1) {
        *out = term->atoms[0];
        return LATHE_OK;
    }
    lt_dim args[LT_POLY_DEGREE_MAX + 1];
    memcpy(args, term->atoms, term->degree * sizeof args[0]);
    args[term->degree] = lt_dim_const(term->coef);
    return lt_dim_intern(dims, LT_DIM_MUL, args, term->degree + (term->coef != 1), out, diag);
}

lathe_status lt_poly_make(lt_dims *dims, const lt_poly *poly, lt_dim *out, lathe_diag *diag)
{
    if (poly->count == 0) {
        *out = lt_dim_const(0);
        return LATHE_OK;
    }
    if (poly->count == 1) {
        return make_term(dims, &poly->terms[0], out, diag);
    }
    lt_dim *args = LT_ARENA_ARRAY(&dims->scratch, lt_dim, poly->count);
    if (args == NULL) {
        return LT_OOM(diag);
    }
    for (size_t i = 0; i < poly->count; i++) {
        LT_TRY(make_term(dims, &poly->terms[i], &args[i], diag));
    }
    return lt_dim_intern(dims, LT_DIM_ADD, args, poly->count, out, diag);
}

bool lt_term_divide(lt_dims *dims, const lt_term *term, const lt_term *divisor, lt_term *out)
{
    if (divisor->coef == 0 || (divisor->coef == -1 && term->coef == INT64_MIN) || term->coef % divisor->coef != 0 ||
        term->degree < divisor->degree) {
        return false;
    }
    uint32_t degree = term->degree - divisor->degree, n = 0, j = 0;
    lt_dim *atoms = LT_ARENA_ARRAY(&dims->scratch, lt_dim, degree);
    if (atoms == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < term->degree; i++) {
        if (j < divisor->degree && lt_dim_same(term->atoms[i], divisor->atoms[j])) {
            j++;
        } else if (n < degree) {
            atoms[n++] = term->atoms[i];
        } else {
            return false;
        }
    }
    *out = (lt_term){ .coef = term->coef / divisor->coef, .degree = degree, .atoms = atoms };
    return j == divisor->degree;
}

bool lt_poly_divide(lt_dims *dims, const lt_poly *poly, const lt_poly *divisor, lt_poly *quotient)
{
    lt_poly rest = *poly;
    size_t n = 0, most = poly->count + 16; /* a quotient may have more terms: (x^4 - 1) / (x - 1) */
    lt_term *terms = LT_ARENA_ARRAY(&dims->scratch, lt_term, most);
    if (terms == NULL || divisor->count == 0) {
        return false;
    }
    while (rest.count > 0) {
        lt_poly product;
        if (n == most || !lt_term_divide(dims, &rest.terms[0], &divisor->terms[0], &terms[n]) ||
            term_times_poly(dims, &terms[n], divisor, &product, NULL) != LATHE_OK ||
            lt_poly_add(dims, &rest, &product, -1, &rest, NULL) != LATHE_OK) {
            return false;
        }
        n++;
    }
    *quotient = (lt_poly){ .terms = terms, .count = n };
    return true;
}
