/*
 * dims_internal.h - what the dims_*.c files share: the table of expressions and polynomials over it. Private to base.
 *
 * Normal form. An expression is a constant, an atom, a product or a sum.
 *   atom     a symbol, a fresh unknown, or any other operation (floordiv, min, ...) of expressions
 *   product  LT_DIM_MUL: atoms in structural order, then the coefficient unless it is 1; at least two arguments
 *   sum      LT_DIM_ADD: products and atoms, higher degree first, then structural order; the constant last unless it
 *   is 0
 * The structural order looks at operations, names and arguments, never at table indices (fresh unknowns: by their
 * number).
 */
#ifndef LT_DIMS_INTERNAL_H
#define LT_DIMS_INTERNAL_H

#include "base/diag.h"
#include "base/dims.h"
#include "base/size.h"

typedef struct lt_dim_entry {
    lt_dim_op op;
    uint32_t count;   /* of arguments */
    uint32_t fresh;   /* number of a fresh unknown */
    uint16_t depth;   /* of nested operations other than sums and products */
    uint32_t tree;    /* nodes when written out, at most LT_DIM_TREE_MAX */
    const char *name; /* of symbols */
    const lt_dim *args;
    lt_dim lo_dim, hi_dim;            /* declared bounds of leaves */
    int64_t declared_lo, declared_hi; /* lt_dim_range narrows these; INT64_MIN/MAX: none */
    int64_t lo, hi;                   /* sound bounds from the ranges; INT64_MIN and INT64_MAX mean unbounded */
} lt_dim_entry;

struct lt_dims {
    const lathe_allocator *allocator;
    lt_arena arena;   /* argument lists and names */
    lt_arena scratch; /* emptied at the end of each public call */
    lt_dim_entry *entries;
    size_t count, capacity; /* entry 0 is unused */
    uint32_t *slots;        /* hash of the entries, open addressing, 0 is free */
    size_t slot_count;
    uint32_t fresh;
};

/* A polynomial: terms in normal order, no zero coefficients; the constant term has no atoms. */
typedef struct lt_term {
    int64_t coef;
    uint32_t degree;
    const lt_dim *atoms;
} lt_term;
typedef struct lt_poly {
    lt_term *terms;
    size_t count;
} lt_poly;

/* More terms or factors than this are refused: only a hostile model has them. */
enum { LT_POLY_TERMS_MAX = 2048, LT_POLY_DEGREE_MAX = 256, LT_DIM_ARGS_MAX = 256 };
/* Shared parts count each time they occur, so that walks need no memory of where they have been. */
enum { LT_DIM_TREE_MAX = 16384 };

#define LT_DIM_ADVICE "give the input dimensions fixed sizes, or a smaller range"

/* dims.c */
static inline const lt_dim_entry *lt_dim_entry_of(const lt_dims *dims, lt_dim d)
{
    return &dims->entries[d.e];
}
lathe_status lt_dim_intern(lt_dims *dims, lt_dim_op op, const lt_dim *args, size_t count, lt_dim *out,
                           lathe_diag *diag);
/* Structural order of two atoms or constants (constants last): <0, 0, >0; 0 only for the same handle. */
int lt_dim_order(const lt_dims *dims, lt_dim a, lt_dim b);
/* The unknown of that number, made when it does not exist yet. */
lathe_status lt_dim_fresh_numbered(lt_dims *dims, uint32_t number, lt_dim lo, lt_dim hi, lt_dim *out, lathe_diag *diag);
bool lt_dim_is_op(const lt_dims *dims, lt_dim d, lt_dim_op op);

/* dims_poly.c. Results live in the scratch arena. */
lathe_status lt_poly_of(lt_dims *dims, lt_dim d, lt_poly *out, lathe_diag *diag);
/* a + scale * b */
lathe_status lt_poly_add(lt_dims *dims, const lt_poly *a, const lt_poly *b, int64_t scale, lt_poly *out,
                         lathe_diag *diag);
lathe_status lt_poly_mul(lt_dims *dims, const lt_poly *a, const lt_poly *b, lt_poly *out, lathe_diag *diag);
lathe_status lt_poly_make(lt_dims *dims, const lt_poly *poly, lt_dim *out, lathe_diag *diag);
/* quotient with poly == quotient * divisor; false when there is none, or when out of memory. */
bool lt_poly_divide(lt_dims *dims, const lt_poly *poly, const lt_poly *divisor, lt_poly *quotient);
bool lt_term_divide(lt_dims *dims, const lt_term *term, const lt_term *divisor, lt_term *out);
lt_term lt_poly_constant(const lt_poly *poly); /* degree 0; coef 0 when there is none */
int lt_term_order(const lt_dims *dims, const lt_term *a, const lt_term *b);
/* One argument of a sum as a term; atom: room for the one atom of a term that is an atom itself. */
lt_term lt_term_of(const lt_dims *dims, lt_dim d, lt_dim *atom);

/* dims_make.c: an atom of that operation, or a constant when its bounds leave only one value. */
lathe_status lt_dim_atom(lt_dims *dims, lt_dim_op op, const lt_dim *args, size_t count, lt_dim *out, lathe_diag *diag);
/* lt_dim_make without emptying the scratch arena, for use inside rules. */
lathe_status lt_dim_make_inner(lt_dims *dims, lt_dim_op op, lt_dim a, lt_dim b, lt_dim *out, lathe_diag *diag);
/* dims_div.c: floordiv, ceildiv, mod; not both constant. */
lathe_status lt_dim_make_div(lt_dims *dims, lt_dim_op op, lt_dim a, lt_dim b, lt_dim *out, lathe_diag *diag);

/* dims_bounds.c */
void lt_dim_entry_bounds(const lt_dims *dims, lt_dim_entry *entry);
/* Sound bounds of a - b, after like terms cancelled. */
void lt_dim_difference(const lt_dims *dims, lt_dim a, lt_dim b, int64_t *lo, int64_t *hi);

/* dims_eval.c: fscale on numbers; false when it does not fit. */
bool lt_dim_fscale_number(int64_t a, uint32_t scale_bits, int64_t *out);
/* scale = whole number >= 1 or 2^-k, where fscale is exact: multiplies by *mul, then divides by *div; false
   otherwise. */
bool lt_dim_fscale_exact(uint32_t scale_bits, int64_t *mul, int64_t *div);

#endif
