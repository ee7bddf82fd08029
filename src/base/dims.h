/*
 * dims.h - symbolic dimensions: exact integer expressions over named sizes. Part of base; used by inference, passes, plans and the runtime.
 *
 * A lt_dim is a plain value. Constants carry their number and need no table, so that inference over constant shapes allocates nothing.
 * Other expressions are hash-consed in a lt_dims table in a normal form: equal expressions have equal handles (lt_dim_same), where the
 * normal form can see it (sums and products are polynomials, min/max are sorted and flattened, divisions by constants are split).
 * A lt_dims is used by one thread at a time.
 */
#ifndef LT_DIMS_H
#define LT_DIMS_H

#include "base/alloc.h"
#include "base/map.h"
#include "base/text.h"
#include <lathe/base.h>
#include <stdbool.h>

typedef struct lt_dim {
    int64_t k;  /* the number, when e == 0 */
    uint32_t e; /* 0: constant, else the expression's index in its table */
} lt_dim;

typedef struct lt_dims lt_dims;

typedef enum lt_dim_op {
    LT_DIM_CONST,  /* only in results of lt_dim_get */
    LT_DIM_SYMBOL, /* a name: a promise of equality, bound at run time */
    LT_DIM_FRESH,  /* ?k: known only when the program has run so far (NonZero, NMS, contents of tensors) */
    LT_DIM_ADD,    /* arguments in normal form: any number of terms */
    LT_DIM_MUL,
    LT_DIM_FLOORDIV, LT_DIM_CEILDIV, LT_DIM_MOD, /* two arguments; floor semantics; division by zero is an error at evaluation */
    LT_DIM_MIN, LT_DIM_MAX,
    LT_DIM_SELECT,               /* c ? a : b, c != 0 */
    LT_DIM_LT, LT_DIM_LE, LT_DIM_EQ, /* 0 or 1 */
    LT_DIM_FSCALE, /* floor(a * scale), scale an f32 given by its bits as the second (constant) argument; product in f32 as ONNX Resize does;
                      whole scales and 1/2, 1/4, ... are exact at any size, and so are normalised to * and floordiv */
    LT_DIM_BCAST   /* bcast(a, b): a if a == b or b == 1, b if a == 1, else an error at evaluation */
} lt_dim_op;

lt_dims *lt_dims_create(const lathe_allocator *allocator); /* NULL: out of memory */
void lt_dims_destroy(lt_dims *dims);

static inline lt_dim lt_dim_const(int64_t k) { return (lt_dim){.k = k, .e = 0}; }
static inline bool lt_dim_is_const(lt_dim d) { return d.e == 0; }
static inline bool lt_dim_is(lt_dim d, int64_t k) { return d.e == 0 && d.k == k; }
static inline bool lt_dim_same(lt_dim a, lt_dim b) { return a.e == b.e && a.k == b.k; }

/* The symbol of that name (made on first use, range [0, INT64_MAX]). Names are copied. */
lathe_status lt_dim_symbol(lt_dims *dims, const char *name, lt_dim *out, lathe_diag *diag);
/* A new unknown with bounds lo..hi, each a constant or an expression (hi may be lt_dim_const(INT64_MAX)). Prints as ?0, ?1, ... */
lathe_status lt_dim_fresh(lt_dims *dims, lt_dim lo, lt_dim hi, lt_dim *out, lathe_diag *diag);
/* Narrows the range of a symbol (profiles: min..max; assumptions). LATHE_BAD_SHAPE when the ranges do not meet. */
lathe_status lt_dim_range(lt_dims *dims, lt_dim symbol, int64_t lo, int64_t hi, lathe_diag *diag);

/* Any op of two arguments (ADD, MUL, ..., BCAST) on any mix; all-constant arguments fold without a table (dims may then be NULL).
   LATHE_OVERFLOW by name; LATHE_BAD_SHAPE for constant division by zero or a constant bcast that cannot hold. */
lathe_status lt_dim_make(lt_dims *dims, lt_dim_op op, lt_dim a, lt_dim b, lt_dim *out, lathe_diag *diag);
lathe_status lt_dim_select(lt_dims *dims, lt_dim c, lt_dim a, lt_dim b, lt_dim *out, lathe_diag *diag);
lathe_status lt_dim_fscale(lt_dims *dims, lt_dim a, float scale, lt_dim *out, lathe_diag *diag);
/* Shorthands. */
lathe_status lt_dim_add(lt_dims *dims, lt_dim a, lt_dim b, lt_dim *out, lathe_diag *diag);
lathe_status lt_dim_sub(lt_dims *dims, lt_dim a, lt_dim b, lt_dim *out, lathe_diag *diag);
lathe_status lt_dim_mul(lt_dims *dims, lt_dim a, lt_dim b, lt_dim *out, lathe_diag *diag);

/* What an expression is made of. args points into the table (valid until destroy) and is NULL for leaves; for LT_DIM_SYMBOL name is set. */
typedef struct lt_dim_node {
    lt_dim_op op;
    const char *name;
    uint32_t count;
    const lt_dim *args;
    lt_dim lo, hi; /* of symbols and fresh unknowns */
} lt_dim_node;
lt_dim_node lt_dim_get(const lt_dims *dims, lt_dim d);
uint32_t lt_dims_size(const lt_dims *dims); /* expressions are 1..size-1; arguments of an expression come before it */

/* Sound bounds from the ranges of the symbols; saturating at INT64_MIN/MAX. */
void lt_dim_bounds(const lt_dims *dims, lt_dim d, int64_t *lo, int64_t *hi);
/* Three-valued proofs: true only when it holds for all values of the symbols in range. */
bool lt_dim_proves_eq(const lt_dims *dims, lt_dim a, lt_dim b);
bool lt_dim_proves_le(const lt_dims *dims, lt_dim a, lt_dim b);

/* Evaluation with numbers for the leaves: lookup(user, d, &value) returns false when a leaf is unbound (LATHE_NOT_READY). */
typedef bool (*lt_dim_lookup)(void *user, lt_dim leaf, int64_t *value);
lathe_status lt_dim_eval(const lt_dims *dims, lt_dim d, lt_dim_lookup lookup, void *user, int64_t *out, lathe_diag *diag);
/* One operation on numbers, checked; shared with the runtime's shape program. c is used by SELECT only (a ? b : c). */
lathe_status lt_dim_apply(lt_dim_op op, int64_t a, int64_t b, int64_t c, int64_t *out, lathe_diag *diag);

/* Text, as in docs/ir.md: N, 3, N*2+1, floordiv(a,b), ceildiv, mod, min, max, select(c,a,b), lt, le, eq, fscale(a,0x3f000000), bcast(a,b), ?3.
   Names that are no identifiers, and names with '-' (which subtracts here), are quoted. Parse consumes from *cursor up to the first character that cannot continue an expression. */
void lt_dim_print(const lt_dims *dims, lt_dim d, lt_buf *out);
lathe_status lt_dim_parse(lt_dims *dims, const char **cursor, const char *end, lt_dim *out, lathe_diag *diag);
const char *lt_dim_op_name(lt_dim_op op);
/* Copies an expression from one table into another by symbol name; fresh unknowns become new fresh ones (one for each within a call).
   Symbols that are new in `to` bring their range. */
lathe_status lt_dim_import(lt_dims *to, const lt_dims *from, lt_dim d, lt_dim *out, lathe_diag *diag);
/* The same expression with `by` wherever the symbol stands. */
lathe_status lt_dim_replace(lt_dims *dims, lt_dim d, lt_dim symbol, lt_dim by, lt_dim *out, lathe_diag *diag);
/* As lt_dim_import; same_fresh (table index in `from` -> in `to`) is read and extended, so that several expressions share their unknowns. */
lathe_status lt_dim_import_mapped(lt_dims *to, const lt_dims *from, lt_dim d, lt_imap *same_fresh, lt_dim *out, lathe_diag *diag);

#endif
