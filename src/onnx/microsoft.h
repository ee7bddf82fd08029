/*
 * microsoft.h - operators of com.microsoft, which quantizers, exporters and ONNX Runtime's optimizer emit, as nodes of
 * ai.onnx: the table's row, the call that a row's function sees, and what these functions share. Private to src/onnx.
 */
#ifndef LT_MICROSOFT_H
#define LT_MICROSOFT_H

#include "onnx/import_expand.h"

enum { LT_MS_INPUTS = 16, LT_MS_MANY = 1 << 16 };

/* A node of com.microsoft on its way: everything looked up and counted. */
typedef struct lt_ms {
    lt_expand *x;
    const char *op;
    const lathe_attr *attrs;
    size_t n_attrs;
    const lt_value_id *in; /* LT_MS_INPUTS or more; none where absent */
    size_t n_in;
    lt_value_id *out;   /* to fill; all that are wanted */
    const bool *wanted; /* as many as the row allows */
} lt_ms;

typedef struct lt_ms_op {
    const char *op; /* NULL ends a table */
    void (*expand)(lt_ms *m);
    unsigned needed; /* bit i: input i must be there */
    int most;        /* inputs; LT_MS_INPUTS or LT_MS_MANY at most */
    int outputs;     /* at most */
    /* "axis:i alpha:f activation:s pads:I scales:F": names and kinds; others are refused. */
    const char *attrs;
} lt_ms_op;

extern const lt_ms_op lt_ms_pointwise[], lt_ms_norms[], lt_ms_products[], lt_ms_quantized[], lt_ms_qlinear[],
    lt_ms_attention[], lt_ms_grouped[], lt_ms_moves[];

/* The operator of the i-th row; NULL past the end. */
const char *lt_ms_name(size_t i);
/* The row of a node; NULL: it is none of these. */
const lt_ms_op *lt_ms_find(const lt_pb_node *node);
/* Reads the node, calls the row's function. Failures are in x->status. */
void lt_ms_expand(lt_expand *x, lt_scope *scope, const lt_pb_node *node, const lt_ms_op *row, lt_value_id *out);

/* ---- For rows (microsoft.c) ---- */

bool lt_ms_has(const lt_ms *m, int i);
int64_t lt_ms_i(const lt_ms *m, const char *name, int64_t otherwise);
float lt_ms_f(const lt_ms *m, const char *name, float otherwise);
/* LATHE_UNSUPPORTED with "OP: " in front. */
void lt_ms_refuse(lt_ms *m, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* LATHE_BAD_MODEL with "OP: " in front. */
void lt_ms_fail(lt_ms *m, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Rank of input i; -1 after a failure. */
int lt_ms_rank(lt_ms *m, int i);
lathe_dtype lt_ms_dtype(lt_ms *m, lt_value_id a);
/* Extent of an axis of a value where it is a number; -1: unknown. */
int64_t lt_ms_extent(lt_ms *m, lt_value_id a, int axis);
/* Copies those of the node's attributes that `names` ("pads strides") lists to `to`; returns how many. */
size_t lt_ms_pick(const lt_ms *m, const char *names, lathe_attr *to);

/* Builder's words that the expansions need. An absent second operand leaves the first as it is. */
lt_value_id lt_ms_add(lt_ms *m, lt_value_id a, lt_value_id b);
lt_value_id lt_ms_scaled(lt_ms *m, lt_value_id a, double factor); /* a itself for 1 */
/* i64[1]: the extents [axis, end) of a value. */
lt_value_id lt_ms_extents(lt_ms *m, lt_value_id a, int64_t axis, int64_t end);
lt_value_id lt_ms_concat(lt_ms *m, int64_t axis, const lt_value_id *parts, size_t count);
lt_value_id lt_ms_int(lt_ms *m, int64_t value); /* i64[1] */
/* Reshape to numbers; 0 copies the extent there. */
lt_value_id lt_ms_reshape(lt_ms *m, lt_value_id a, const int64_t *dims, size_t count);
lt_value_id lt_ms_slice(lt_ms *m, lt_value_id a, int64_t axis, lt_value_id from, lt_value_id to);
lt_value_id lt_ms_unsqueeze(lt_ms *m, lt_value_id a, int64_t axis);
lt_value_id lt_ms_transpose(lt_ms *m, lt_value_id a, int rank, bool channels_last); /* to channels last, or back */
/* The activation that fused operators name by a string; parameters by position, defaults where there are fewer. */
lt_value_id lt_ms_activate(lt_ms *m, lt_value_id a, const char *attr, const float *params, size_t count);
/* Root mean square or LayerNormalization over the last axis with a scale; bias may be none. */
lt_value_id lt_ms_quantize(lt_ms *m, lt_value_id a, lt_value_id scale, lt_value_id zero, lathe_dtype dtype);
lt_value_id lt_ms_dequantize(lt_ms *m, lt_value_id a, lt_value_id scale, lt_value_id zero);
/* f32: (a - a_zero)(b - b_zero) a_scale b_scale + bias by way of i32; zero points and bias may be none. */
lt_value_id lt_ms_integer_product(lt_ms *m, const lt_value_id a[3], const lt_value_id b[3], lt_value_id bias);

#endif
