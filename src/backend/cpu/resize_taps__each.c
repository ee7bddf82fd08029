/*
 * resize_taps__each.c - tactic resize.taps: linear and cubic Resize of two neighbouring axes (or of one), with antialias and crops too, of f32 with any
 * epilogue and of bytes. Configuration 0 works on plain tensors, so that pixels may be the last axis of the model; 1 on channels-last ones of rank 4.
 *
 * An output row is first summed up from rows of the input, over their whole width, then shrunk or stretched along the row; four rows at a time, which
 * share the reading of the lists. That is less work than the other order wherever an image gets smaller.
 */
#include "backend/cpu/product.h"
#include "backend/cpu/resize_shape.h"
#include "backend/cpu/vectors.inc"
#include <math.h>

#include "backend/cpu/vector_math.inc"

#include "backend/cpu/vector_parts.inc"

enum { ROWS = 4 };

typedef struct worker {
    lt_resize_form form;
    lathe_dtype type; /* of the input: f32, u8, i8 */
    lt_resize_line rows, cols;
    lt_resize_list up, along; /* of rows, of columns */
    int64_t inner;            /* elements of a pixel */
    int64_t y_step;           /* from pixel to pixel of the output */
    const char *x;
    char *y;
    float *summed, *line, *tile; /* ROWS input rows; an output row, where it does not go straight to its place; a tile */
    bool direct;
    lt_tile_program program;
} worker;

/* ---- Down the columns ---- */

typedef uint8_t vnarrow __attribute__((vector_size(LT_VECTOR_BYTES / 4), may_alias));
typedef int8_t vsigned __attribute__((vector_size(LT_VECTOR_BYTES / 4), may_alias));

/* VL bytes as floats. */
INLINE vf widen_bytes(const uint8_t *src, bool sign)
{
#if defined(__AVX512F__)
    __m128i b = _mm_loadu_si128((const __m128i_u *)(const void *)src);
    return (vf)_mm512_cvtepi32_ps(sign ? _mm512_cvtepi8_epi32(b) : _mm512_cvtepu8_epi32(b));
#elif defined(__AVX2__)
    __m128i b = _mm_loadl_epi64((const __m128i_u *)(const void *)src);
    return (vf)_mm256_cvtepi32_ps(sign ? _mm256_cvtepi8_epi32(b) : _mm256_cvtepu8_epi32(b));
#else
    vnarrow b;
    memcpy(&b, src, sizeof b);
    return sign ? __builtin_convertvector((vsigned)b, vf) : __builtin_convertvector(b, vf);
#endif
}

/* The first `part` bytes, 0: all VL. */
INLINE vf widen_part(const uint8_t *src, int part, bool sign)
{
    uint8_t bytes[VL] = { 0 };
    if (part == 0) {
        return widen_bytes(src, sign);
    }
    memcpy(bytes, src, (size_t)part);
    return widen_bytes(bytes, sign);
}

INLINE vf load_any(const char *src, int64_t i, int part, lathe_dtype type)
{
    if (type == LATHE_DTYPE_F32) {
        return load_part((const float *)(const void *)src + i, part);
    }
    return widen_part((const uint8_t *)src + i, part, type == LATHE_DTYPE_I8);
}

/* dst = sum of the input rows that make output row y of the plane that starts at src. */
INLINE void sum_rows_of(const worker *w, const char *src, int64_t y, float *dst, lathe_dtype type)
{
    int64_t count = w->cols.in * w->inner, row = count * (type == LATHE_DTYPE_F32 ? 4 : 1);
    int32_t first = w->up.start[y], end = w->up.start[y + 1];
    for (int64_t i = 0; i < count; i += VL) {
        int part = count - i < VL ? (int)(count - i) : 0;
        vf sum = splat(0.0f);
        for (int32_t t = first; t < end; t++) {
            sum = MULTIPLY_ADD(load_any(src + w->up.index[t] * row, i, part, type), splat(w->up.weight[t]), sum);
        }
        store_part(dst + i, sum, part);
    }
}

static void sum_floats(const worker *w, const char *src, int64_t y, float *dst)
{
    sum_rows_of(w, src, y, dst, LATHE_DTYPE_F32);
}

static void sum_u8(const worker *w, const char *src, int64_t y, float *dst)
{
    sum_rows_of(w, src, y, dst, LATHE_DTYPE_U8);
}

static void sum_i8(const worker *w, const char *src, int64_t y, float *dst)
{
    sum_rows_of(w, src, y, dst, LATHE_DTYPE_I8);
}

/* ---- Along the rows ---- */

static void along_elements(const worker *w, const float *src, float *const dst[ROWS])
{
    int64_t pitch = w->cols.in;
    const int32_t *index = w->along.index;
    const float *weight = w->along.weight;
    for (int64_t i = 0; i < w->cols.out; i++) {
        float a = 0, b = 0, c = 0, d = 0;
        for (int32_t t = w->along.start[i], end = w->along.start[i + 1]; t < end; t++) {
            const float *from = src + index[t];
            a = MULTIPLY_ADD_ONE(from[0], weight[t], a);
            b = MULTIPLY_ADD_ONE(from[pitch], weight[t], b);
            c = MULTIPLY_ADD_ONE(from[2 * pitch], weight[t], c);
            d = MULTIPLY_ADD_ONE(from[3 * pitch], weight[t], d);
        }
        bool outside = w->along.outside[i];
        dst[3][i] = outside ? w->form.extrapolation : d; /* the last first: rows that are not there are others' shadows */
        dst[2][i] = outside ? w->form.extrapolation : c;
        dst[1][i] = outside ? w->form.extrapolation : b;
        dst[0][i] = outside ? w->form.extrapolation : a;
    }
}

static void along_pixels(const worker *w, const float *src, float *dst, int64_t step)
{
    for (int64_t i = 0; i < w->cols.out; i++, dst += step) {
        for (int64_t c = 0; c < w->inner; c += VL) {
            int part = w->inner - c < VL ? (int)(w->inner - c) : 0;
            vf sum = splat(w->along.outside[i] ? w->form.extrapolation : 0.0f);
            for (int32_t t = w->along.start[i]; t < w->along.start[i + 1]; t++) {
                vf x = load_part(src + w->along.index[t] * w->inner + c, part);
                sum = MULTIPLY_ADD(x, splat(w->along.weight[t]), sum);
            }
            store_part(dst + c, sum, part);
        }
    }
}

static void fill_row(const worker *w, float *dst, int64_t step)
{
    for (int64_t i = 0; i < w->cols.out; i++) {
        for (int64_t c = 0; c < w->inner; c++) {
            dst[i * step + c] = w->form.extrapolation;
        }
    }
}

/* ---- Rows of the output ---- */

/* A row of f32 results, number `number` of all, on its way out when it is not there yet. */
static void finish_row(worker *w, int64_t number, const float *line)
{
    int64_t count = w->cols.out * w->inner;
    if (w->type != LATHE_DTYPE_F32) {
        float low = w->type == LATHE_DTYPE_I8 ? -128.0f : 0.0f;
        uint8_t *y = (uint8_t *)w->y + number * count;
        for (int64_t i = 0; i < count; i += VL) {
            int part = count - i < VL ? (int)(count - i) : VL;
            vf v = at_most(at_least(vrint(load_part(line + i, part % VL)), splat(low)), splat(low + 255.0f));
            vnarrow bytes = __builtin_convertvector(__builtin_convertvector(v, vi), vnarrow);
            if (part == VL) {
                memcpy(y + i, &bytes, VL);
            } else {
                memcpy(y + i, &bytes, (size_t)part);
            }
        }
        return;
    }
    for (int64_t i = 0; i < count && !w->direct; i += LT_TILE) {
        int part = count - i < LT_TILE ? (int)(count - i) : LT_TILE;
        lt_tile_block block = { .start = number * count + i, .rows = 1, .cols = part, .pitch = LT_TILE };
        memcpy(w->tile, line + i, (size_t)part * sizeof *line);
        lt_tile_run(&w->program, &block);
    }
}

/* Output rows y .. y + n - 1 of a plane. */
static void some_rows(worker *w, int64_t plane, int64_t y, int n)
{
    int64_t width = w->cols.in * w->inner, count = w->cols.out * w->inner;
    const char *src = w->x + plane * w->rows.in * width * (w->type == LATHE_DTYPE_F32 ? 4 : 1);
    bool straight = w->direct && w->type == LATHE_DTYPE_F32;
    int64_t step = straight ? w->y_step : w->inner;
    float *dst[ROWS];
    for (int r = 0; r < ROWS; r++) {
        int real = r < n ? r : 0;
        dst[r] = straight ? (float *)(void *)w->y + (plane * w->rows.out + y + real) * w->cols.out * step
                          : w->line + real * count;
    }
    for (int r = 0; r < n; r++) {
        if (w->type == LATHE_DTYPE_F32) {
            sum_floats(w, src, y + r, w->summed + r * width);
        } else if (w->type == LATHE_DTYPE_U8) {
            sum_u8(w, src, y + r, w->summed + r * width);
        } else {
            sum_i8(w, src, y + r, w->summed + r * width);
        }
        if (w->inner > 1 || step > 1) {
            along_pixels(w, w->summed + r * width, dst[r], step);
        }
    }
    if (w->inner == 1 && step == 1) {
        along_elements(w, w->summed, dst);
    }
    for (int r = 0; r < n; r++) {
        if (w->up.outside[y + r]) {
            fill_row(w, dst[r], step);
        }
        finish_row(w, plane * w->rows.out + y + r, dst[r]);
    }
}

/* ---- The tactic ---- */

static const int8_t channels_last[] = { 0, 2, 3, 1 };

/* The first of the two axes that are resized; -1 when they are others. Rank 4 with channels last resizes axes 2 and 3. */
ASKED static int first_axis(const lathe_problem *problem, uint32_t config, int rank)
{
    int first = rank, last = -1;
    for (int i = 0; i < rank; i++) {
        if (!lt_resize_keeps(problem, i)) {
            first = first < i ? first : i;
            last = i;
        }
    }
    if (config == 1) {
        return last < 0 || (first >= 2 && last <= 3) ? 2 : -1;
    }
    if (last < 0) {
        return rank - 2;
    }
    return last - first > 1 ? -1 : last == 0 ? 0 : last - 1;
}

ASKED static int takes_types(const lathe_problem *problem, const lt_resize_form *form, lathe_fit *fit)
{
    const lathe_operand *x = lt_root_operand(problem, 0, NULL), *y = &problem->out[0];
    bool bytes = x->dtype == LATHE_DTYPE_U8 || x->dtype == LATHE_DTYPE_I8;
    if (form->taps < 2 || (x->dtype != LATHE_DTYPE_F32 && !bytes)) {
        return lt_no(fit, form->taps < 2 ? "nearest neighbours of %s" : "interpolates %s", lathe_dtype_name(x->dtype));
    }
    if (!(fabsf(form->extrapolation) < 1e30f) && (bytes || form->taps > 2)) {
        return lt_no(fit, "what lies outside is no number");
    }
    if (bytes && problem->n_instrs > 0) {
        return lt_no(fit, "an epilogue on bytes");
    }
    return problem->n_instrs > 0 || y->dtype == x->dtype ? 1 : lt_no(fit, "makes %s", lathe_dtype_name(y->dtype));
}

ASKED static double cost_of(const lathe_problem *problem, uint32_t config, const lt_resize_form *form, int axis)
{
    const lathe_operand *x = lt_root_operand(problem, 0, NULL), *y = &problem->out[0];
    double planes = 1, inner = config == 1 ? (double)x->dims[1].opt : 1, slower = ISA.nr >= 32   ? 1
                                                                                  : ISA.nr >= 16 ? 1.4
                                                                                                 : 2.2;
    double in[2] = { (double)x->dims[axis].opt, (double)x->dims[axis + 1].opt },
           out[2] = { (double)y->dims[axis].opt, (double)y->dims[axis + 1].opt }, taps[2];
    for (int i = 0; i < axis; i++) {
        planes *= config == 1 && i == 1 ? 1 : (double)x->dims[i].opt;
    }
    for (int i = axis + 2; i < x->rank; i++) {
        inner *= (double)x->dims[i].opt;
    }
    for (int i = 0; i < 2; i++) {
        taps[i] = form->taps * (form->antialias && out[i] < in[i] ? in[i] / (out[i] > 0 ? out[i] : 1) : 1);
    }
    double sums = planes * out[0] * in[1] * inner * taps[0] * 0.07 * (x->dtype == LATHE_DTYPE_F32 ? 1 : 2) * slower,
           along = planes * out[0] * out[1] * taps[1] * (inner == 1 ? 0.5 : 1 + inner * 0.09 * slower),
           epilogue = problem->n_instrs > 0 ? lt_tile_cost(&ISA, problem) : x->dtype == LATHE_DTYPE_F32 ? 0 : 0.6;
    return 1000 + (in[0] + in[1] + out[0] + out[1]) * 10 + sums + along + planes * out[0] * out[1] * inner * epilogue +
           lt_problem_bytes(problem) * 0.03;
}

ASKED static int fits(const lathe_problem *problem, uint32_t config, lathe_fit *fit)
{
    lt_resize_form form;
    uint16_t nx;
    const lathe_pw_instr *first;
    if ((size_t)lt_problem_epilogue(problem, &first) < problem->n_instrs || !lt_resize_fits(problem, &form, fit)) {
        return fit->why[0] ? 0 : lt_no(fit, "has a prologue");
    }
    const lathe_operand *x = lt_root_operand(problem, 0, &nx);
    int axis = first_axis(problem, config, x->rank);
    if (!takes_types(problem, &form, fit)) {
        return 0;
    }
    if (axis < 0 || (config == 1 && (x->rank != 4 || x->dtype != LATHE_DTYPE_F32 ||
                                     (x->flags & (LATHE_OPERAND_CONSTANT | LATHE_OPERAND_HOST))))) {
        return lt_no(fit, "resizes other axes than two beside each other, or rank %d", x->rank);
    }
    if (!lt_outputs_planned(problem, fit)) {
        return 0;
    }
    if (x->dtype == LATHE_DTYPE_F32) {
        if (!lt_tile_fits(problem, fit)) {
            return 0;
        }
        if (config == 1) {
            fit->in[nx] = lt_format_permuted(x->dtype, channels_last, 4, fit->in[nx].space);
        }
        lt_tile_formats(problem, config == 1 ? channels_last : NULL, fit);
        if (config == 1) {
            lt_tile_rows_apart(problem, fit);
        }
    }
    fit->cost = cost_of(problem, config, &form, axis);
    return 1;
}

ASKED static size_t align64(size_t n)
{
    return (n + 63) / 64 * 64;
}

/* Elements of a pixel. */
ASKED static int64_t pixel(const lathe_buffer *y, uint32_t config, int axis)
{
    int64_t n = config == 1 ? y->dims[1] : 1;
    for (int i = axis + 2; i < y->rank; i++) {
        n *= y->dims[i];
    }
    return n;
}

/* Parts of a thread's scratch: registers, tile, summed rows, output rows, lists of rows and of columns. */
ASKED static size_t scratch_parts(const lathe_problem *p, uint32_t config, const lathe_buffer *x, const lathe_buffer *y,
                                  size_t at[5])
{
    lt_resize_form form;
    lathe_fit ignored;
    int axis = first_axis(p, config, y->rank);
    (void)lt_resize_fits(p, &form, &ignored);
    axis = axis < 0 ? 0 : axis;
    int64_t inner = pixel(y, config, axis);
    at[0] = align64(lt_tile_scratch(p));
    at[1] = at[0] + LT_TILE * sizeof(float);
    at[2] = at[1] + align64((size_t)(ROWS * x->dims[axis + 1] * inner) * sizeof(float));
    at[3] = at[2] + align64((size_t)(ROWS * y->dims[axis + 1] * inner) * sizeof(float));
    at[4] = at[3] + lt_resize_list_bytes(&form, x->dims[axis], y->dims[axis]);
    return at[4] + lt_resize_list_bytes(&form, x->dims[axis + 1], y->dims[axis + 1]);
}

ASKED static size_t scratch_bytes(const lathe_problem *problem, uint32_t config, const lathe_buffer *in,
                                  const lathe_buffer *out, int threads)
{
    size_t at[5];
    uint16_t nx;
    (void)lt_root_operand(problem, 0, &nx);
    return scratch_parts(problem, config, &in[nx], &out[0], at) * (size_t)threads;
}

/* What a thread knows about the call; *planes: images, or parts of images, that are resized. */
static lathe_status arrange(worker *w, const lathe_call *call, char *scratch, const size_t at[5], int64_t *planes,
                            lathe_diag *diag)
{
    const lathe_buffer *y = &call->out[0];
    lt_resize_line lines[LATHE_MAX_RANK];
    int axis = first_axis(call->problem, call->config, y->rank);
    LT_CHECK(diag, axis >= 0, "Resize");
    LT_TRY(lt_resize_read(call, &w->form, lines, diag));
    *planes = 1;
    for (int i = 0; i < y->rank; i++) {
        if (i != axis && i != axis + 1 && !lines[i].same) {
            return LT_FAIL(diag, LATHE_BAD_SHAPE, "Resize", NULL, "axis %d is resized", i);
        }
        *planes *= i < axis && !(call->config == 1 && i == 1) ? y->dims[i] : 1;
    }
    w->rows = lines[axis];
    w->cols = lines[axis + 1];
    w->inner = pixel(y, call->config, axis);
    w->y_step = call->config == 1 ? lt_row_step(y, w->inner, sizeof(float)) : w->inner;
    w->tile = (float *)(void *)(scratch + at[0]);
    w->summed = (float *)(void *)(scratch + at[1]);
    w->line = (float *)(void *)(scratch + at[2]);
    LT_TRY(lt_resize_fill_list(&w->form, &w->rows, scratch + at[3], &w->up, diag));
    return lt_resize_fill_list(&w->form, &w->cols, scratch + at[4], &w->along, diag);
}

static lathe_status run(const lathe_gang *gang, const lathe_call *call, lathe_diag *diag)
{
    const lathe_problem *p = call->problem;
    worker w = { .y = call->out[0].data };
    lathe_fit ignored;
    uint16_t nx;
    size_t at[5];
    int64_t planes, begin, end;
    for (int i = 0; i < call->out[0].rank; i++) {
        if (call->out[0].dims[i] <= 0) {
            return LATHE_OK;
        }
    }
    w.type = lt_root_operand(p, 0, &nx)->dtype;
    w.x = call->in[nx].data;
    LT_CHECK(diag, lt_resize_fits(p, &w.form, &ignored), p->op);
    size_t each = scratch_parts(p, call->config, &call->in[nx], &call->out[0], at);
    char *scratch = (char *)call->scratch + each * (size_t)gang->index;
    LT_TRY(arrange(&w, call, scratch, at, &planes, diag));
    w.direct = w.type == LATHE_DTYPE_F32 && lt_finish_of(p) == LT_FINISH_NONE;
    if (!w.direct && w.type == LATHE_DTYPE_F32) {
        LT_TRY(lt_tile_prepare(&w.program, &ISA, call, scratch, w.tile, diag));
    }
    /* Rows that the last part of a plane lacks are read as well, and thrown away. */
    memset(w.summed, 0, (size_t)(ROWS * w.cols.in * w.inner) * sizeof(float));
    int64_t parts = (w.rows.out + ROWS - 1) / ROWS;
    lathe_gang_split(gang, planes * parts, 1, &begin, &end);
    for (int64_t u = begin; u < end; u++) {
        int64_t y = u % parts * ROWS;
        some_rows(&w, u / parts, y, w.rows.out - y < ROWS ? (int)(w.rows.out - y) : ROWS);
    }
    return LATHE_OK;
}

LT_TACTICS(LT_EACH(resize_taps)) = {
    { .struct_size = sizeof(lathe_tactic),
      .name = "resize.taps." ISA_NAME,
      .version = 1,
      .summary = "linear and cubic Resize by lists of taps, with antialias and crops, f32 and bytes",
      .ops = "Resize",
      .device = LATHE_SPACE_HOST,
      .cpu_features = ISA_FEATURES,
      .configs = 2,
      .fits = fits,
      .scratch_bytes = scratch_bytes,
      .run = run },
    { .name = NULL },
};
