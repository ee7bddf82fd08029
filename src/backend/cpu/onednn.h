/*
 * onednn.h - oneDNN as the tactics of onednn_conv.c and onednn_gemm.c see it: one operation described in plain numbers, made into an object, run. Private to
 * src/backend/cpu. What differs between versions 2 and 3 of the library stays in onednn_library.c and onednn_op.c.
 */
#ifndef LT_ONEDNN_H
#define LT_ONEDNN_H

#include "backend/tactic.h"

enum { LT_ONEDNN_DIMS = 12 }; /* the library's arrays of extents are this long */

/* Layouts that strides cannot describe; the letters are the library's (onednn_library.c has its names for them). */
typedef enum lt_onednn_tag {
    LT_ONEDNN_STRIDES,
    LT_ONEDNN_NCHW8C,
    LT_ONEDNN_NCHW16C,
    LT_ONEDNN_OIHW8I8O,
    LT_ONEDNN_OIHW16I16O,
    LT_ONEDNN_OHWI8O,
    LT_ONEDNN_OHWI16O,
    LT_ONEDNN_GOIHW8I8O,
    LT_ONEDNN_GOIHW16I16O,
    LT_ONEDNN_GOIHW8G,
    LT_ONEDNN_GOIHW16G,
    LT_ONEDNN_TAGS
} lt_onednn_tag;

/* An f32 tensor. rank 0: there is none. */
typedef struct lt_onednn_tensor {
    int64_t rank, tag;
    int64_t dims[LT_ONEDNN_DIMS], strides[LT_ONEDNN_DIMS];
} lt_onednn_tensor;

/* All of it is compared byte by byte: no member leaves a gap. */
typedef struct lt_onednn_op {
    int64_t convolution; /* 0: a matrix product */
    lt_onednn_tensor x, w, bias, y;
    int64_t stride[LT_ONEDNN_DIMS], dilation[LT_ONEDNN_DIMS], begin[LT_ONEDNN_DIMS], end[LT_ONEDNN_DIMS]; /* dilation: 0 is none */
    int64_t sum, relu, clip; /* y += what y holds; then limits */
    float low, high;
} lt_onednn_op;

/* The library's functions; void pointers are its handles. */
typedef struct lt_onednn {
    int major;
    int tags[LT_ONEDNN_TAGS]; /* the library's numbers, which differ from version to version */
    void *engine;
    void (*set_threads)(int n); /* of its OpenMP; NULL when the library runs on one thread */
    int (*get_threads)(void);
    int (*engine_create)(void **engine, int kind, size_t index);
    int (*stream_create)(void **stream, void *engine, unsigned flags);
    int (*stream_destroy)(void *stream);
    int (*stream_wait)(void *stream);
    int (*memory_create)(void **memory, const void *desc, void *engine, void *data);
    int (*memory_destroy)(void *memory);
    int (*memory_set)(void *memory, void *data);
    size_t (*memory_bytes)(const void *desc);
    int (*primitive_create)(void **primitive, const void *pd);
    int (*primitive_destroy)(void *primitive);
    int (*primitive_execute)(const void *primitive, void *stream, int n, const void *args);
    int (*pd_destroy)(void *pd);
    int (*pd_query)(const void *pd, int what, int index, void *result);
    const void *(*pd_desc)(const void *pd, int what, int index);
    int (*attr_create)(void **attr);
    int (*attr_destroy)(void *attr);
    int (*attr_post_ops)(void *attr, const void *ops);
    int (*attr_scratchpad)(void *attr, int mode);
    int (*ops_create)(void **ops);
    int (*ops_destroy)(void *ops);
    /* Version 2: descriptors are structures of the caller's. */
    int (*desc2_strides)(void *desc, int rank, const int64_t *dims, int type, const int64_t *strides);
    int (*desc2_tag)(void *desc, int rank, const int64_t *dims, int type, int tag);
    int (*conv2)(void *op, int kind, int algorithm, const void *x, const void *w, const void *bias, const void *y, const int64_t *stride,
                 const int64_t *dilation, const int64_t *begin, const int64_t *end);
    int (*matmul2)(void *op, const void *x, const void *w, const void *bias, const void *y);
    int (*pd2)(void **pd, const void *op, const void *attr, void *engine, const void *hint);
    int (*sum2)(void *ops, float scale);
    int (*eltwise2)(void *ops, float scale, int algorithm, float alpha, float beta);
    /* Version 3: descriptors are the library's. */
    int (*desc3_strides)(void **desc, int rank, const int64_t *dims, int type, const int64_t *strides);
    int (*desc3_tag)(void **desc, int rank, const int64_t *dims, int type, int tag);
    int (*desc3_destroy)(void *desc);
    int (*conv3)(void **pd, void *engine, int kind, int algorithm, const void *x, const void *w, const void *bias, const void *y, const int64_t *stride,
                 const int64_t *dilation, const int64_t *begin, const int64_t *end, const void *attr);
    int (*matmul3)(void **pd, void *engine, const void *x, const void *w, const void *bias, const void *y, const void *attr);
    int (*sum3)(void *ops, float scale, int32_t zero, int type);
    int (*eltwise3)(void *ops, int algorithm, float alpha, float beta);
} lt_onednn;

/* Opened on the first call; NULL: it is not here, and why says so (may be NULL). */
const lt_onednn *lt_onednn_library(const char **why);

/* For fits: would the library do it by something better than its reference? */
int lt_onednn_suits(const lt_onednn_op *op, lathe_fit *fit);
/* For prepare: *state becomes the object for this operation; one that is for the same already is kept. */
lathe_status lt_onednn_prepare(const lt_onednn_op *op, void **state, lathe_diag *diag);
/* For run: thread 0 of the gang alone calls it. op: worked out anew from the call, so that nothing else than what was prepared is touched. */
lathe_status lt_onednn_run(const lathe_call *call, const lt_onednn_op *op, const void *x, const void *w, const void *bias, void *y, lathe_diag *diag);
void lt_onednn_forget(void *state);

/* Shared by the tactics: the problem is one f32 root on planned operands whose epilogue the library can do. column: axis of the bias. */
struct lt_ending;
int lt_onednn_fits(const lathe_problem *problem, int column, lathe_fit *fit);
/* Sets sum and limits of the operation, and *bias to the operand that has one (-1: none) of root slot 2 or of the epilogue. */
void lt_onednn_ending(const lathe_problem *problem, int column, lt_onednn_op *op, int *bias, int *add);
/* Copies the epilogue's addend into the output where it does not lie there already. */
lathe_status lt_onednn_addend(const lathe_call *call, int add, lathe_diag *diag);
double lt_onednn_cost(const lathe_problem *problem, double flops_per_ns);

#endif
