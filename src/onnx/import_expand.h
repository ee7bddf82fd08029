/*
 * import_expand.h - operators that the importer expands into others instead of giving them a meaning of their own:
 * FlexAttention, Gradient, com.microsoft's (microsoft.h); and the builder that writes such expansions. Private to src/onnx.
 */
#ifndef LT_IMPORT_EXPAND_H
#define LT_IMPORT_EXPAND_H

#include "onnx/onnx_internal.h"

/*
 * Where new nodes go. The first failure sticks: later calls do nothing and give no value, so that formulas can be
 * written down as they are read.
 */
typedef struct lt_expand {
    lt_import *import;
    lt_graph *graph;
    lt_region_id region;
    const char *where;
    uint32_t origin;
    lathe_status status;
} lt_expand;

/* ---- The builder (import_expand.c) ---- */

bool lt_expand_ok(const lt_expand *x);
/* LATHE_BAD_MODEL or LATHE_UNSUPPORTED, unless something failed before. */
void lt_expand_fail(lt_expand *x, lathe_status status, const char *what_to_do, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Counts nodes that an expansion makes; LATHE_BAD_MODEL when they are too many. A walk over nodes costs, too. */
void lt_expand_spend(lt_expand *x, uint64_t nodes);
/* A node with one output. */
lt_value_id lt_expand_node(lt_expand *x, const char *op, const lathe_attr *attrs, size_t n_attrs,
                           const lt_value_id *inputs, size_t n_inputs);
void lt_expand_outputs(lt_expand *x, const char *op, const lathe_attr *attrs, size_t n_attrs, const lt_value_id *inputs,
                       size_t n_inputs, lt_value_id *out, size_t n_out);
lt_value_id lt_expand_1(lt_expand *x, const char *op, lt_value_id a);
lt_value_id lt_expand_2(lt_expand *x, const char *op, lt_value_id a, lt_value_id b);
lt_value_id lt_expand_3(lt_expand *x, const char *op, lt_value_id a, lt_value_id b, lt_value_id c);
/* The same with one attribute that is an integer; `name` NULL: none. */
lt_value_id lt_expand_int(lt_expand *x, const char *op, const char *name, int64_t number, lt_value_id a, lt_value_id b);
/* Constants: a scalar of the element type of `like`, a vector of i64. */
lt_value_id lt_expand_scalar(lt_expand *x, lt_value_id like, double value);
lt_value_id lt_expand_ints(lt_expand *x, const int64_t *values, size_t count);
lt_value_id lt_expand_cast(lt_expand *x, lt_value_id a, lathe_dtype to);
/* a under the shape that the vector says; extents of 0 are meant. */
lt_value_id lt_expand_reshape(lt_expand *x, lt_value_id a, lt_value_id shape);
lt_value_id lt_expand_transpose(lt_expand *x, lt_value_id a, const int64_t *perm, int rank);
/* A tensor's type; NULL after a failure. Fails when it is no tensor or `ranked` and its rank is unknown. */
const lt_type *lt_expand_type(lt_expand *x, lt_value_id a, bool ranked);
/* Gives the result its name in the scope and binds it: output number i of the node. */
lathe_status lt_expand_result(lt_expand *x, lt_scope *scope, const lt_pb_node *node, size_t i, lt_value_id value);

/* ---- The expansions ---- */

/* *done: the node was such an operator and has been expanded, or refused with a record. */
lathe_status lt_import_expand(lt_import *in, lt_scope *scope, const lt_pb_node *node, const char *where, bool *done);
void lt_expand_flex_attention(lt_expand *x, lt_scope *scope, const lt_pb_node *node,
                              lt_value_id *out);                                                  /* flex_attention.c */
void lt_expand_gradient(lt_expand *x, lt_scope *scope, const lt_pb_node *node, lt_value_id *out); /* gradient.c */

/*
 * A subgraph's nodes in place, its inputs being these values (import_graph.c). *dead: something in it cannot be
 * handled, and has been recorded.
 */
lathe_status lt_import_inline(lt_import *in, lt_scope *outer, const lt_pb_graph *body, const lt_pb_node *owner,
                              const char *attr, const lt_value_id *inputs, size_t n_inputs, lt_value_id *outputs,
                              size_t n_outputs, bool *dead);

/* ---- Derivatives (gradient_*.c) ---- */

/* One step backwards: a node of the forward computation, and what is known of its outputs. */
typedef struct lt_backward {
    lt_expand *x;
    const lt_node *node;
    const lt_value_id *in, *out; /* of the node */
    const lt_value_id *dy;       /* gradient of each output; none: it does not matter */
    lt_value_id *dx;             /* to fill: gradient of each input, of its shape; none: there is no way through it */
    const bool *wanted;          /* by input */
} lt_backward;

typedef struct lt_derivative {
    const char *op; /* NULL ends a table */
    void (*backward)(lt_backward *b);
} lt_derivative;
extern const lt_derivative lt_derivatives_pointwise[], lt_derivatives_sums[], lt_derivatives_moves[],
    lt_derivatives_layers[];

/* Adds up what broadcasting repeated: `value` under the shape of `like`. */
lt_value_id lt_backward_sum_to(lt_backward *b, lt_value_id value, lt_value_id like);
/*
 * Gradient of input 0 from dy and the number of the element of it that each element of y is; `dump`: numbers one
 * beyond the last are given to nobody.
 */
lt_value_id lt_backward_scatter(lt_backward *b, lt_value_id numbers, bool dump);
/* Refuses, once, when a derivative that this build does not have is asked for. */
void lt_backward_refuse(lt_backward *b, bool asked, const char *what);

#endif
