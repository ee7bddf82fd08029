/*
 * problem.h - problems inside Lathe: canonical text, formats, sizes. Shown by backend to tune, plan, rt, api, plugin.
 */
#ifndef LT_PROBLEM_H
#define LT_PROBLEM_H

#include "base/base.h"
#include "ops/ops.h"
#include <lathe/problem.h>

/* Canonical text (grammar in docs/engine.md): the same problem always gives the same bytes, and parse(print(p)) == p. */
lathe_status lt_problem_print(const lathe_problem *problem, lt_buf *out, lathe_diag *diag);
/* Everything lives in the arena. Every index, count, enum and rank is validated: a parsed problem is safe to hand to a tactic. */
lathe_status lt_problem_parse(lt_arena *arena, const char *text, size_t length, lathe_problem **out, lathe_diag *diag);
/* Structural checks shared by parse and by the tuner: SSA order, operand numbers, maps within ranks, slots, at least one output. */
lathe_status lt_problem_verify(const lathe_problem *problem, lathe_diag *diag);
uint64_t lt_problem_hash(const lathe_problem *problem); /* of the text; 0 when out of memory */

/* Formats. */
lathe_format lt_format_plain(lathe_dtype dtype, int rank, lathe_space space); /* row-major, dense */
/* Row-major over a permutation of the axes, e.g. {0,2,3,1} for channels-last. */
lathe_format lt_format_permuted(lathe_dtype dtype, const int8_t *order, int rank, lathe_space space);
bool lt_format_same(const lathe_format *a, const lathe_format *b);
bool lt_format_is_plain(const lathe_format *format); /* whatever the space */
lathe_status lt_format_verify(const lathe_format *format, lathe_diag *diag);
/* Bytes of a tensor of these extents, pads included, what lies between rows left out; false on overflow. */
bool lt_format_bytes(const lathe_format *format, int rank, const int64_t *dims, size_t *bytes);
/* Offset in elements of a coordinate (bytes for sub-byte types are not supported: they are always plain). Dense, whatever format->strided says. */
int64_t lt_format_offset(const lathe_format *format, const int64_t *dims, const int64_t *coords);
/* The same where rows of a strided format lie `row` elements apart. 0: dense. */
int64_t lt_format_offset_in(const lathe_format *format, const int64_t *dims, int64_t row, const int64_t *coords);
/* Rows of a strided format, and the elements of one. */
void lt_format_rows(const lathe_format *format, const int64_t *dims, int64_t *rows, int64_t *elements);
/* "plain", "order(0,2,3,1)", "order(0,1,2,3) block(1,16)", "... pad(8)", "... strided(3)", with "@twin" when not on the host and ":u8" when the storage differs. */
void lt_format_print(const lathe_format *format, lathe_dtype dtype, lt_buf *out);
lathe_status lt_format_parse(const char **cursor, const char *end, lathe_dtype dtype, int rank, lathe_format *out, lathe_diag *diag);

const char *lt_space_name(lathe_space space); /* "cpu" "twin" "cuda" */
bool lt_space_from_name(const char *name, lathe_space *out);

/* Rough work at the opt corner, for costs: multiply-adds count two. */
double lt_problem_flops(const lathe_problem *problem);
double lt_problem_bytes(const lathe_problem *problem); /* of all operands once */
double lt_operand_elements(const lathe_operand *operand); /* the product of its extents, whatever its flags are; 1 when the rank is not known */

/* For tactics and the tile program. */
static inline bool lt_extent_fixed(const lathe_extent *e) { return e->min == e->max; }
int lt_problem_epilogue(const lathe_problem *problem, const lathe_pw_instr **first); /* instructions with slot -1 */

#endif
