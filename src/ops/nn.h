/*
 * nn.h - what the reference evaluations of the network operators share: elements as doubles, dot products over panels
 * of columns, the geometry of sliding windows, quantization of one number. Private to src/ops; its parts are
 * nn_number.c, nn_reduce.c, nn_gemm.c, nn_window.c, nn_conv.c.
 *
 * Floats are computed in double and rounded once on the way out. Quantized operators use the same path: sums of
 * products of 8-bit integers are exact in double up to 2^53.
 */
#ifndef LT_NN_H
#define LT_NN_H

#include "ops/ops.h"

/* ---- Numbers (nn_number.c) ---- */

/* `count` elements from `first` on, `step` apart, as doubles. */
void lt_nn_read(const lt_tensor *tensor, int64_t first, int64_t step, int64_t count, double *out);
/* `count` contiguous elements from `first` on, each rounded once (integers: the value must be whole; it wraps). */
void lt_nn_write(lt_tensor *tensor, int64_t first, int64_t count, const double *src);
void lt_nn_write_step(lt_tensor *tensor, int64_t first, int64_t step, int64_t count, const double *src);
/* All elements in scratch memory; NULL with *ok false when memory runs out, NULL with *ok true when tensor is NULL. */
double *lt_nn_doubles(lt_eval *c, const lt_tensor *tensor, bool *ok);
/* Scratch for `count` doubles, zeroed; NULL when out of memory. */
double *lt_nn_scratch(lt_eval *c, int64_t count);
/* A double rounded to a float type (f64 keeps it); other types leave it alone. */
double lt_nn_round(lathe_dtype dtype, double value);
/* round_even(value) + zero, saturated to an integer type. NaN gives the type's smallest number. */
int64_t lt_nn_saturate(lathe_dtype dtype, double value, int64_t zero);

/*
 * Inference of "output 0 is like input 0" after attribute `axis` was checked against its rank; reports the axis when
 * `axis` is not NULL.
 */
lathe_status lt_nn_infer_axis(lt_infer *c, int64_t otherwise, int *axis);
/*
 * Fails when input i is given and is not one-dimensional with `size` elements; unknown extents pass. `what` names what
 * it must match.
 */
lathe_status lt_nn_infer_vector(lt_infer *c, int i, lt_dim size, const char *what);
/* The same for inputs that may also be a scalar or hold one element. */
lathe_status lt_nn_infer_scalar_or_vector(lt_infer *c, int i, lt_dim size, const char *what);
/* Fails unless input i, if given, has one element (rank 0, or all extents 1). */
lathe_status lt_nn_infer_single(lt_infer *c, int i);

/* Runs `each` over every row of x along the axis, in place of doubles, and writes the rows to output 0. */
typedef void (*lt_nn_row)(void *user, double *row, int64_t count);
lathe_status lt_nn_rows(lt_eval *c, int axis, lt_nn_row each, void *user);

/* ---- Reduction over a set of axes (nn_reduce.c) ---- */

typedef struct lt_nn_reduction {
    int n_kept;
    int64_t kept[LATHE_MAX_RANK], step[LATHE_MAX_RANK]; /* extents and strides of the axes that stay */
    int64_t results, size;                              /* products of the kept and of the reduced extents */
    int64_t *offsets;                                   /* of the reduced elements from the first one */
} lt_nn_reduction;

/* over[d]: axis d is reduced. */
lathe_status lt_nn_reduction_make(lt_eval *c, const lt_tensor *x, const bool *over, lt_nn_reduction *out);
/* Index of the first element that result `index` (row-major over the kept axes) is made of. */
int64_t lt_nn_reduction_first(const lt_nn_reduction *r, int64_t index);
/* Its elements as doubles. */
void lt_nn_reduction_read(const lt_nn_reduction *r, const lt_tensor *x, int64_t index, double *out);

/* ---- Dot products (nn_gemm.c) ---- */

/* Columns of a panel: b[k][LT_NN_COLS]. */
#define LT_NN_COLS 32
/* Rows that share one walk over the panel. */
#define LT_NN_ROWS 4

/* acc[r][j] = sum over k, in order, of a[r * k_count + k] * panel[k][j], for `rows` <= LT_NN_ROWS rows. */
void lt_nn_dot(const double *a, int rows, int64_t k_count, const double *panel, double acc[LT_NN_ROWS][LT_NN_COLS]);

/* Receives finished sums: `count` columns from `col` on of row `row`. */
typedef void (*lt_nn_emit)(void *user, int64_t row, int64_t col, int64_t count, const double *acc);

/*
 * A matrix inside a tensor: element (i, j) is at first + i * row + j * col. zero is subtracted from it: zero[i *
 * zero_row + j * zero_col].
 */
typedef struct lt_nn_matrix {
    const lt_tensor *tensor;
    int64_t first, row, col;
    const double *zero; /* NULL: none */
    int64_t zero_row, zero_col;
} lt_nn_matrix;

/* Scratch of products with inner extent k; one serves any number of products, one after the other. */
typedef struct lt_nn_panel {
    int64_t k;
    double *panel, *rows, *line;
} lt_nn_panel;
lathe_status lt_nn_panel_make(lt_eval *c, int64_t k, lt_nn_panel *out);
/* emits the m x n product of a (m x k) and b (k x n). */
void lt_nn_gemm(const lt_nn_panel *work, int64_t m, int64_t n, const lt_nn_matrix *a, const lt_nn_matrix *b,
                lt_nn_emit emit, void *user);
/* One element of it. */
double lt_nn_gemm_at(int64_t i, int64_t j, int64_t k, const lt_nn_matrix *a, const lt_nn_matrix *b);
/* The same for integers: products and sums wrap modulo 2^64. */
int64_t lt_nn_gemm_at_i64(int64_t i, int64_t j, int64_t k, const lt_nn_matrix *a, const lt_nn_matrix *b);

/* Shapes of MatMul: batch axes broadcast, one-dimensional arguments are a row and a column. Output i gets dtype. */
lathe_status lt_nn_matmul_infer(lt_infer *c, int a, int b, lathe_dtype dtype);
/* The products of a MatMul, one after the other. */
typedef struct lt_nn_batches {
    int64_t m, n, k, count; /* count: products */
    int rank;               /* of the batch axes */
    int64_t dims[LATHE_MAX_RANK], a_step[LATHE_MAX_RANK],
        b_step[LATHE_MAX_RANK]; /* steps count matrices; 0 where broadcast */
    bool a_vector, b_vector;
} lt_nn_batches;
void lt_nn_batches_make(const lt_tensor *a, const lt_tensor *b, lt_nn_batches *out);
/* Numbers of the matrices that product `index` multiplies. */
void lt_nn_batches_at(const lt_nn_batches *batches, int64_t index, int64_t *a, int64_t *b);

/* ---- Windows (nn_window.c) ---- */

/* Attributes of Conv, ConvInteger, QLinearConv. */
extern const lt_attr_spec lt_nn_conv_attrs[];

/*
 * Spatial extents of the output of a window over x's axes 2 and up. kernel: extents of the weight, or NULL to read
 * kernel_shape.
 */
lathe_status lt_nn_window_infer(lt_infer *c, const lt_type *x, const lt_dim *kernel, bool ceil_mode, lt_dim *out);

/* A window with all its numbers. */
typedef struct lt_nn_grid {
    lt_window win;
    bool transposed; /* taps of a point of a transposed convolution */
    int64_t in[LATHE_MAX_RANK], out[LATHE_MAX_RANK];
    int64_t taps, points, plane; /* products of kernel, out, in */
} lt_nn_grid;

/* From the attributes; in and out are x and y, kernel the spatial extents of the weight or NULL. */
lathe_status lt_nn_grid_make(lt_eval *c, const lt_tensor *x, const lt_tensor *y, const int64_t *kernel,
                             lt_nn_grid *out);

enum { LT_NN_PAD = -1, LT_NN_OUTSIDE = -2 }; /* a tap in the padding; a tap behind it (ceil_mode) */
/*
 * offsets[t * LT_NN_COLS + j] for all taps t and `count` points from `first` on: place in the input plane, or one of
 * the above.
 */
void lt_nn_grid_offsets(const lt_nn_grid *grid, int64_t first, int64_t count, int64_t *offsets);

/* ---- Convolution (nn_conv.c) ---- */

/* Output 0 of a convolution: x (N, C, ...), w (M, C / group, ...), bias (M) or -1. */
lathe_status lt_nn_conv_infer(lt_infer *c, int x, int w, int bias, lathe_dtype dtype);

typedef struct lt_nn_conv {
    lt_nn_grid grid;
    int64_t batch, channels, filters, groups;
    const lt_tensor *x,
        *w; /* w is (filters, channels / groups, taps); transposed: (channels, filters / groups, taps) */
    double x_zero;
    const double *w_zero; /* one for each filter, or NULL */
} lt_nn_conv;

lathe_status lt_nn_conv_make(lt_eval *c, const lt_tensor *x, const lt_tensor *w, const lt_tensor *y, lt_nn_conv *out);
/* emits rows n * filters + m and columns = points. */
lathe_status lt_nn_conv_run(lt_eval *c, const lt_nn_conv *conv, lt_nn_emit emit, void *user);
/* The sum for the output element at coords. */
lathe_status lt_nn_conv_at(lt_eval *c, const lt_nn_conv *conv, const int64_t *coords, double *out);
/* The sums plus the bias (input 2), rounded, to output 0; and one element of that as eval_at wants it. */
lathe_status lt_nn_conv_real(lt_eval *c, const lt_nn_conv *conv);
lathe_status lt_nn_conv_real_at(lt_eval *c, const lt_nn_conv *conv, const int64_t *coords, void *out);

/* ---- Requantization (nn_number.c) ---- */

/* An int32 sum times a real factor, on the grid of an 8-bit type: saturate(round_even((float)sum * factor) + zero). */
int64_t lt_nn_requantize(lathe_dtype dtype, double sum, float factor, int64_t zero);
/* A double that holds a whole number, wrapped to 32 bits as int32 arithmetic would. */
int32_t lt_nn_wrap_i32(double whole);

#endif
