/*
 * raise_internal.h - what the two halves of pass raise-quantized share: raise_quantized.c (QLinear*, QGemm) and raise_integer.c (ConvInteger,
 * MatMulInteger). Private to src/passes.
 */
#ifndef LT_RAISE_INTERNAL_H
#define LT_RAISE_INTERNAL_H

#include "passes/passes_internal.h"

/* One operator that is being rewritten. */
typedef struct lt_raise {
    lt_pass_call *c;
    lt_make fold;    /* recipes over constants */
    lt_make step;    /* nodes that stay */
} lt_raise;

/* A parameter of quantization: one element, or one for each index of an axis. */
typedef enum lt_grain { LT_GRAIN_BAD, LT_GRAIN_ONE, LT_GRAIN_AXIS } lt_grain;
lt_grain lt_param_grain(const lt_value *value); /* NULL: LT_GRAIN_ONE */

/* DequantizeLinear(x, scale, zero): zero may be none. axis is used when a parameter has more than one element. */
lathe_status lt_raise_dequantize(const lt_raise *r, lt_value_id x, lt_value_id scale, lt_value_id zero, int axis, lt_value_id *out);
/* The operator on real numbers, with the attributes of `from` (may be NULL) and, if asked, the mark exact_int. */
lathe_status lt_raise_real(const lt_raise *r, const char *op, const lt_node *from, bool exact, const lt_value_id *inputs, size_t n_inputs, lt_value_id *out);

/* ConvInteger and MatMulInteger whose sums are only scaled to real numbers. */
lathe_status lt_raise_integer(lt_pass_call *c, lt_node_id id);

#endif
