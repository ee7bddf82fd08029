/*
 * q8.h - quantized roots: MatMul, Gemm and Conv whose operands come through DequantizeLinear, computed with the 8-bit integers themselves; MatMulInteger and
 * ConvInteger, which are such sums and nothing else. Private to src/backend/cpu.
 *
 * The root's f32 result is (float)(sum of (x - x_zero) * (w - w_zero)) * (x_scale * w_scale) + bias; the sum is exact. Where the problem promises the bits of
 * the integer operator (LATHE_PROBLEM_EXACT_INT), the bias joins the integer sum and a final quantization multiplies by x_scale * w_scale / y_scale once.
 *
 * The integer operators' result is the sum itself, modulo 2^32, and stays an integer for the epilogue.
 */
#ifndef LT_Q8_H
#define LT_Q8_H

#include "backend/cpu/product.h"

typedef struct lt_q8_param {
    uint16_t operand; /* 0xffff: a number of the program */
    double number;
    int axis; /* of the dequantized tensor that it runs along; -1: one number */
} lt_q8_param;

typedef struct lt_q8_slot {
    uint16_t operand; /* 0xffff: the slot is empty */
    lathe_dtype dtype;
    bool quantized; /* behind a DequantizeLinear; else a plain f32 operand */
    lt_q8_param scale, zero;
} lt_q8_slot;

typedef struct lt_q8 {
    lt_q8_slot x, w, bias;
    bool sums; /* MatMulInteger, ConvInteger: scales are 1, and x may have a zero point for each row */
} lt_q8;

/* Reads the prologues; 0 and the reason when they are something else, or the rest of the problem is not for a quantized product. */
int lt_q8_read(const lathe_problem *problem, lathe_fit *fit, lt_q8 *out);
/* The prologue of one slot, or the plain operand there; false when it is anything but one DequantizeLinear to f32. */
bool lt_q8_read_slot(const lathe_problem *problem, size_t slot, lt_q8_slot *out);
/* w_axis: the only axis along which w's parameters may run; bias_axis: the same for the bias. k: products in a sum, at most. */
int lt_q8_fits(const lt_q8 *q, int w_axis, int bias_axis, double k, lathe_fit *fit);

/* Numbers that a parameter has in this call. */
int64_t lt_q8_count(const lt_q8_param *p, const lathe_buffer *in);
/* A parameter is one number, or has `count` of them. */
bool lt_q8_covers(const lt_q8_param *p, const lathe_buffer *in, int64_t count);
/* Number i of a parameter or quantized tensor. */
float lt_q8_scale(const lt_q8_param *p, const lathe_buffer *in, int64_t i);
int32_t lt_q8_zero(const lt_q8_param *p, lathe_dtype dtype, const lathe_buffer *in, int64_t i);

/* How a finished sum becomes a result. index: of the filter or column. */
typedef struct lt_q8_finish {
    lt_q8 q;
    const lathe_problem *problem;
    const lathe_buffer *in;
    float alpha, beta;          /* of Gemm */
    float over;                 /* exact quantization: divided by this, and not by the epilogue; else 1 */
    bool exact;                 /* the bias is an integer in steps of the product's scale */
    int64_t bias_row, bias_col; /* strides of the bias */
    const float *more;          /* lt_q8_panel_make: added to the bias of each column; NULL */
    bool by_row;                /* parameters of w belong to rows (convolution) */
    int64_t groups, per_group;  /* rows of one product belong to index batch % groups * per_group + row */
} lt_q8_finish;
/* Reads parameters, so only while a step runs. out->q is set already. */
void lt_q8_finish_make(const lathe_problem *problem, const lathe_buffer *in, lt_q8_finish *out);
/* For lt_product.prepared: takes the scale out of an exact final quantization. */
void lt_q8_prepared(const lt_q8_finish *f, lt_tile_program *program);
/* Numbers for results col .. col + cols of a row: offset to add to the sum, scale, bias. */
void lt_q8_line(const lt_q8_finish *f, int64_t batch, int64_t row, int64_t col, int cols, int32_t *offset, float *scale,
                float *bias);

#endif
