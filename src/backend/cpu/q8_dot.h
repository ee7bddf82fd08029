/*
 * q8_dot.h - sums of products of 8-bit integers: the building block of quantized products whose right operand is a packed constant. Private to
 * src/backend/cpu.
 *
 *     sum[i][j] = sum over t < taps, over k < 4 * quads of A[row i][tap[t] + k] * B[t * 4 * quads + k][j]
 *
 * A holds unsigned bytes, B signed ones, four of a column side by side. Signed activations come shifted by 128, unsigned weights likewise; what that and the
 * zero points add to a sum is taken off with constants per column (lt_q8_panel.offset). Sums are exact at every level: nothing saturates. A line of B (four
 * numbers of each column) is tame when 255 * (b0 + b1) and 255 * (b2 + b3) fit 16 bits in every column, whatever part of the numbers is left out.
 */
#ifndef LT_Q8_DOT_H
#define LT_Q8_DOT_H

#include "backend/cpu/cpu_isa.h"
#include "backend/cpu/q8.h"

extern const int32_t lt_q8_zeros[32]; /* to start from nothing */

enum { LT_Q8_MR = 14, LT_Q8_NR = 32, LT_Q8_SLACK = 64 /* bytes that may be read behind the last row */ };

/* Rows lie in two segments of equally spaced rows: of `rows`, the first takes (rows + 1) / 2. */
typedef struct lt_q8_dot {
    const uint8_t *a[2];
    int64_t lda; /* bytes between rows of a segment */
    int64_t taps;
    const int64_t *tap; /* byte offset of each tap */
    int64_t quads;
    const int32_t *start; /* nr numbers that the sums of each row start from, 64-byte aligned */
    const int8_t *b;      /* taps * quads lines of nr * 4 bytes, aligned to 32 bytes at least */
    const uint8_t *tame;  /* where lt_q8_isa.tame: 1 for each line that is, else 0 */
    int32_t *c;           /* rows lines of nr sums, 64-byte aligned */
} lt_q8_dot;
typedef void (*lt_q8_dot_fn)(const lt_q8_dot *call);

/*
 * What turns the sums of a panel, started from `offset`, into results: (float)(sum - zero * row_sum) * scale + bias. Integer results are
 * sum - zero * row_sum + row_step * (zero point that the row has for itself).
 */
typedef struct lt_q8_panel {
    _Alignas(64) int32_t offset[LT_Q8_NR];
    float scale[LT_Q8_NR], bias[LT_Q8_NR];
    int32_t zero[LT_Q8_NR], row_step[LT_Q8_NR];
    int mr; /* rows that its kernel takes at a time */
} lt_q8_panel;

/*
 * Where results go, and what happens to them on the way: rounding in between (x = (round(limited x) + mid_offset) * mid_scale), + (addend - add_zero) *
 * add_scale, limits, rounding to even, + zero.
 */
typedef struct lt_q8_store {
    lathe_dtype out, add; /* F32, U8, I8, and I32 for the sums themselves; of the addend UNDEFINED when there is none */
    bool mid;
    float mid_low, mid_high, mid_offset, mid_scale;
    float add_scale;
    int32_t add_zero;
    float low, high; /* NaN stays, except that it becomes `bottom` when the result is an integer */
    float bottom;    /* least value of an integer result, `zero` taken off */
    int32_t zero;
} lt_q8_store;

typedef struct lt_q8_rows {
    const int32_t *sums;    /* nr apart */
    const int32_t *row_sum; /* nr apart too; NULL: the zero points of the right operand are 0 */
    const int32_t *row_zero; /* one for each row; NULL: the left operand has one for all, or none */
    int rows, cols;
    const void *add;
    void *dst;
    int64_t step; /* elements between rows of dst and add */
} lt_q8_rows;

typedef struct lt_q8_isa {
    const lt_cpu_isa *isa; /* of the epilogue's program */
    int mr, nr;
    int wild_mr;                    /* rows that are best taken together where most lines are not tame; at most mr */
    double gops;                    /* of the kernel, for cost estimates; a product counts two */
    bool tame;                      /* the kernels ask for tame lines, so the pack must say which are */
    lt_q8_dot_fn dot[LT_Q8_MR + 1]; /* by number of rows */
    /* One number for each column instead: sum[i][j] = sum over t of A[row i][tap[t] + j] * B[t][j], rows in one segment; nr bytes are read. quads is 1. */
    void (*depth)(const lt_q8_dot *call, int rows);
    void (*finish)(const lt_q8_panel *panel, const lt_q8_store *store, const lt_q8_rows *rows);
    void (*flip)(uint8_t *dst, const uint8_t *src, uint8_t mask, int64_t n); /* dst[i] = src[i] ^ mask */
} lt_q8_isa;

extern const lt_q8_isa lt_q8_isa_base;
#if defined(__x86_64__)
extern const lt_q8_isa lt_q8_isa_avx2, lt_q8_isa_avx512, lt_q8_isa_avxvnni, lt_q8_isa_vnni;
#endif

/* ---- The pack: constants of the right operand, grouped ---- */

typedef enum lt_q8_layout { LT_Q8_CONV, LT_Q8_CONV_TAPS, LT_Q8_MATRIX, LT_Q8_TRANSPOSED } lt_q8_layout;

/* groups of `filters` columns, each taps * k long. CONV: a tap is a row of the kernel with all channels; CONV_TAPS: one position of it. */
typedef struct lt_q8_shape {
    int64_t groups, filters, taps, k;
    int64_t panels, quads; /* of a group; of a tap */
    int64_t kernel[2];     /* CONV: height and width */
} lt_q8_shape;
bool lt_q8_shape_of(lt_q8_layout layout, int rank, const int64_t *dims, int64_t groups, int nr, lt_q8_shape *out);
/* Panel `panel` of a group, and the sums of its columns, in the pack. */
const int8_t *lt_q8_panel_at(const lt_q8_shape *s, const void *pack, int nr, int64_t group, int64_t panel);
const int32_t *lt_q8_sums_at(const lt_q8_shape *s, const void *pack, int nr, int64_t group, int64_t panel);
/* The constant of the second slot is loaded by its prologue alone, and so may be packed. */
bool lt_q8_packable(const lathe_problem *problem, const lt_q8 *q);
/* One byte for each line of a panel, where the pack was asked for it: 1 when the line is tame. */
const uint8_t *lt_q8_tame_at(const lt_q8_shape *s, const void *pack, int nr, int64_t group, int64_t panel);
/* How many rows that panel's kernel takes at a time. */
int lt_q8_panel_mr(const lt_q8_isa *isa, const lt_q8_shape *s, const void *pack, int64_t group, int64_t panel);
/* A panel of ones, shaped like the others, and behind it their being tame: its sums are those of the rows. */
size_t lt_q8_ones_bytes(const lt_q8_shape *s, int nr); /* a multiple of 64 */
void lt_q8_ones(const lt_q8_shape *s, int nr, int8_t *dst);
const uint8_t *lt_q8_ones_tame(const lt_q8_shape *s, int nr, const int8_t *ones);

/* ---- Results ---- */

/* Takes sums to where the problem's epilogue wants them: in registers when it is one of the usual ones, else through a tile program. */
typedef struct lt_q8_sink {
    const lt_q8_isa *isa;
    lt_q8_finish f;
    lt_q8_store store;
    lt_tile_program program;
    bool direct;
    const char *add;
    char *y;
    size_t add_size, y_size;
    float *tile;
    int64_t width; /* elements between neighbouring rows of results: the columns of all panels */
    int column;    /* their axis */
} lt_q8_sink;

/* The epilogue can be done in registers, as far as the problem shows. column: axis of the results that columns of the sums belong to. */
bool lt_q8_direct(const lathe_problem *problem, int column);
/* Bytes of scratch for a thread, a multiple of 64. */
size_t lt_q8_sink_scratch(const lathe_problem *problem);
/* sink->isa, f.q, width and column are set. */
lathe_status lt_q8_sink_open(lt_q8_sink *sink, const lathe_call *call, void *scratch, lathe_diag *diag);
/* `rows` lines of sums under a panel; at: index of the first result in the output. row_sums and row_zeros may be NULL. */
void lt_q8_sink_put(const lt_q8_sink *sink, const lt_q8_panel *panel, int64_t at, int rows, int cols,
                    const int32_t *sums, const int32_t *row_sums, const int32_t *row_zeros);

/* Everything about the columns of one panel: filters first .. first + cols. k_total: products in a sum. any_zero: some zero point of the weights is not 0. */
void lt_q8_panel_make(const lt_q8_finish *f, const int32_t *sums, int64_t first, int cols, int64_t k_total,
                      lt_q8_panel *out, bool *any_zero);

#define LT_Q8_DRIVER(name)                                                                                             \
    int lt_##name##_fits(const lt_q8_isa *isa, const lathe_problem *problem, uint32_t config, lathe_fit *fit);         \
    size_t lt_##name##_scratch(const lt_q8_isa *isa, const lathe_problem *problem, uint32_t config,                    \
                               const lathe_buffer *in, const lathe_buffer *out, int threads);                          \
    lathe_status lt_##name##_run(const lt_q8_isa *isa, const lathe_gang *gang, const lathe_call *call, lathe_diag *diag)

LT_Q8_DRIVER(conv_q8_nhwc); /* conv_q8_nhwc.c */
LT_Q8_DRIVER(gemm_q8_dot);  /* gemm_q8_dot.c */

#endif
