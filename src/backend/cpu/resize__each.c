/*
 * resize__each.c - tactic resize.f32: Resize by interpolation, linear and cubic, any epilogue. Configuration 0 works on plain tensors, 1 on channels-last
 * ones of rank 4.
 *
 * Rows of the input are stretched along the last axis once and kept while output rows, weighted sums of a few of them, need them. Axes in front
 * of the last two, which hardly ever change, take part when a row is stretched.
 */
#include "backend/cpu/product.h"
#include "backend/cpu/resize_shape.h"
#include "backend/cpu/vectors.inc"

#include "backend/cpu/vector_math.inc"

#include "backend/cpu/vector_parts.inc"

enum { PLANES = 64 }; /* that an output plane is made of at most */

typedef struct worker {
    const lathe_problem *problem;
    lt_resize_form form;
    lt_resize_line lines[LATHE_MAX_RANK];
    int outer; /* axes in front of rows and columns */
    lt_resize_line *rows, *cols;
    int64_t inner, row; /* elements of a pixel, of an output row */
    int64_t y_row;      /* channels last: elements from pixel to pixel of the output */
    const float *x;
    float *y, *kept[LT_RESIZE_TAPS], *tile;
    int64_t key[LT_RESIZE_TAPS]; /* which input row each kept one is: plane * rows + row; -1 none */
    bool direct;
    lt_tile_program program;
    int n_planes; /* of the present output plane */
    int64_t plane, planes[PLANES];
    float weights[PLANES];
} worker;

/* Input planes that an output plane is made of. */
static void find_planes(worker *w, int64_t plane)
{
    int64_t at[LATHE_MAX_RANK], left = plane;
    w->plane = plane;
    for (int i = w->outer; i-- > 0; left /= w->lines[i].out) {
        at[i] = left % w->lines[i].out;
    }
    w->n_planes = 1;
    w->planes[0] = 0;
    w->weights[0] = 1;
    for (int i = 0; i < w->outer; i++) {
        const lt_resize_line *l = &w->lines[i];
        int taps = l->same ? 1 : w->form.taps, before = w->n_planes;
        for (int k = taps; k-- > 0;) {
            int64_t index = l->same ? at[i] : l->index[k * l->out + at[i]];
            float weight = l->same ? 1 : l->weight[k * l->out + at[i]];
            for (int p = 0; p < before; p++) { /* the first tap last: it replaces what the others start from */
                w->planes[k * before + p] = w->planes[p] * l->in + index;
                w->weights[k * before + p] = w->weights[p] * weight;
            }
        }
        w->n_planes = before * taps;
    }
}

/* dst (+)= weight * the stretched row. */
static void stretch_line(const worker *w, const float *src, float weight, bool add, float *dst)
{
    const lt_resize_line *l = w->cols;
    for (int64_t i = 0; i < l->out; i++) {
        float sum = 0;
        if (l->same) {
            sum = src[i];
        } else {
            for (int k = 0; k < w->form.taps; k++) {
                sum += l->weight[k * l->out + i] * src[l->index[k * l->out + i]];
            }
        }
        dst[i] = add ? dst[i] + weight * sum : weight * sum;
    }
}

static void stretch_pixels(const worker *w, const float *src, float weight, bool add, float *dst)
{
    const lt_resize_line *l = w->cols;
    int taps = l->same ? 1 : w->form.taps;
    for (int64_t i = 0; i < l->out; i++, dst += w->inner) {
        for (int64_t c = 0; c < w->inner; c += VL) {
            int part = w->inner - c < VL ? (int)(w->inner - c) : 0;
            vf sum = splat(0.0f);
            for (int k = 0; k < taps; k++) {
                const float *from = src + (l->same ? i : l->index[k * l->out + i]) * w->inner + c;
                sum = MULTIPLY_ADD(load_part(from, part), splat(l->same ? 1 : l->weight[k * l->out + i]), sum);
            }
            sum *= splat(weight);
            if (add) {
                sum += load_part(dst + c, part);
            }
            store_part(dst + c, sum, part);
        }
    }
}

/* Input row `row` of the present planes, stretched. */
static const float *stretched(worker *w, int64_t row)
{
    int slot = (int)(row % w->form.taps);
    int64_t key = w->plane * w->rows->in + row, line = w->cols->in * w->inner;
    if (w->cols->same && w->n_planes == 1) {
        return w->x + (w->planes[0] * w->rows->in + row) * line;
    }
    if (w->key[slot] != key) {
        w->key[slot] = key;
        for (int p = 0; p < w->n_planes; p++) {
            const float *src = w->x + (w->planes[p] * w->rows->in + row) * line;
            if (w->inner == 1) {
                stretch_line(w, src, w->weights[p], p > 0, w->kept[slot]);
            } else {
                stretch_pixels(w, src, w->weights[p], p > 0, w->kept[slot]);
            }
        }
    }
    return w->kept[slot];
}

/* dst = sum of n rows, from element `from` on. */
static void blend(float *dst, const float *const *rows, const float *weights, int n, int64_t from, int64_t count)
{
    for (int64_t i = 0; i < count; i += VL) {
        int part = count - i < VL ? (int)(count - i) : 0;
        vf sum = load_part(rows[0] + from + i, part) * splat(weights[0]);
        for (int k = 1; k < n; k++) {
            sum = MULTIPLY_ADD(load_part(rows[k] + from + i, part), splat(weights[k]), sum);
        }
        store_part(dst + i, sum, part);
    }
}

static void output_row(worker *w, int64_t number)
{
    const lt_resize_line *l = w->rows;
    const float *from[LT_RESIZE_TAPS];
    float weights[LT_RESIZE_TAPS];
    int64_t plane = number / l->out, y = number % l->out;
    int n = 0;
    if (plane != w->plane) {
        find_planes(w, plane);
    }
    for (int k = 0; k < (l->same ? 1 : w->form.taps); k++) {
        float weight = l->same ? 1 : l->weight[k * l->out + y];
        if (weight != 0) { /* what has no weight may be infinite */
            from[n] = stretched(w, l->same ? y : l->index[k * l->out + y]);
            weights[n++] = weight;
        }
    }
    if (n == 0) {
        from[n] = stretched(w, l->index[y]);
        weights[n++] = 0;
    }
    if (w->direct && w->y_row == w->inner) {
        blend(w->y + number * w->row, from, weights, n, 0, w->row);
        return;
    }
    for (int64_t i = 0; w->direct && i < w->cols->out; i++) {
        blend(w->y + (number * w->cols->out + i) * w->y_row, from, weights, n, i * w->inner, w->inner);
    }
    if (w->direct) {
        return;
    }
    for (int64_t i = 0; i < w->row; i += LT_TILE) {
        int count = w->row - i < LT_TILE ? (int)(w->row - i) : LT_TILE;
        blend(w->tile, from, weights, n, i, count);
        lt_tile_block block = { .start = number * w->row + i, .rows = 1, .cols = count, .pitch = LT_TILE };
        lt_tile_run(&w->program, &block);
    }
}

/* ---- The tactic ---- */

static const int8_t channels_last[] = { 0, 2, 3, 1 };

ASKED static int fits(const lathe_problem *problem, uint32_t config, lathe_fit *fit)
{
    lt_resize_form form;
    uint16_t nx;
    const lathe_pw_instr *first;
    if ((size_t)lt_problem_epilogue(problem, &first) < problem->n_instrs || !lt_resize_fits(problem, &form, fit)) {
        return fit->why[0] ? 0 : lt_no(fit, "has a prologue");
    }
    const lathe_operand *x = lt_root_operand(problem, 0, &nx), *y = &problem->out[0];
    if (form.antialias || form.coords == LT_COORDS_CROP) {
        return lt_no(fit, "crops or smooths");
    }
    if (form.taps < 2 || x->dtype != LATHE_DTYPE_F32 || (problem->n_instrs == 0 && y->dtype != LATHE_DTYPE_F32)) {
        return lt_no(fit, form.taps < 2 ? "nearest neighbours of %s" : "interpolates %s", lathe_dtype_name(x->dtype));
    }
    int moving = 0;
    for (int i = 0; i + 2 < x->rank; i++) {
        moving += !lt_resize_keeps(problem, i);
    }
    if (moving > 3 || (config == 1 && (x->rank != 4 || !lt_resize_keeps(problem, 1) ||
                                       (x->flags & (LATHE_OPERAND_CONSTANT | LATHE_OPERAND_HOST))))) {
        return lt_no(fit, "%d axes in front of the last two may change, or rank %d", moving, x->rank);
    }
    if (!lt_outputs_planned(problem, fit)) {
        return 0;
    }
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
    double points = 1, stretched = 1, slower = ISA.nr >= 32 ? 1 : ISA.nr >= 16 ? 1.4 : 2.2;
    for (int i = 0; i < y->rank; i++) {
        points *= (double)y->dims[i].opt;
        stretched *= (double)(i == y->rank - 2 ? x->dims[i].opt : y->dims[i].opt);
    }
    fit->cost = 1000 + stretched * form.taps * (config == 1 ? 0.1 * slower : 0.6) +
                points * (form.taps * 0.08 * slower + (problem->n_instrs > 0 ? lt_tile_cost(&ISA, problem) : 0)) +
                lt_problem_bytes(problem) * 0.03;
    return 1;
}

ASKED static size_t align64(size_t n)
{
    return (n + 63) / 64 * 64;
}

/* Parts of a thread's scratch: registers, tile, kept rows, tables of the axes. */
ASKED static size_t scratch_parts(const lathe_problem *p, uint32_t config, const lathe_buffer *out, size_t at[3])
{
    int64_t row = out->dims[out->rank - 1] * (config == 1 ? out->dims[1] : 1);
    at[0] = align64(lt_tile_scratch(p));
    at[1] = at[0] + LT_TILE * sizeof(float);
    at[2] = at[1] + LT_RESIZE_TAPS * align64((size_t)row * sizeof(float));
    size_t all = at[2];
    for (int i = 0; i < out->rank; i++) {
        all += lt_resize_line_bytes(out->dims[i]);
    }
    return all;
}

ASKED static size_t scratch_bytes(const lathe_problem *problem, uint32_t config, const lathe_buffer *in,
                            const lathe_buffer *out, int threads)
{
    size_t at[3];
    (void)in;
    return scratch_parts(problem, config, &out[0], at) * (size_t)threads;
}

/* Which axes are rows and columns, and the memory of a thread. */
static lathe_status arrange(worker *w, const lathe_call *call, char *scratch, const size_t at[3], lathe_diag *diag)
{
    const lathe_buffer *y = &call->out[0];
    bool last = call->config == 1;
    size_t used = at[2];
    w->outer = last ? 1 : y->rank - 2;
    w->rows = &w->lines[y->rank - 2];
    w->cols = &w->lines[y->rank - 1];
    w->inner = last ? y->dims[1] : 1;
    w->y_row = last ? lt_row_step(y, w->inner, sizeof(float)) : 1;
    w->row = w->cols->out * w->inner;
    if (last && !w->lines[1].same) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, "Resize", NULL, "the channels are resized");
    }
    for (int i = 0; i < y->rank; i++) {
        lt_resize_line *l = &w->lines[i];
        l->index = (int32_t *)(void *)(scratch + used);
        l->weight = (float *)(void *)(scratch + used) + l->out * LT_RESIZE_TAPS;
        used += lt_resize_line_bytes(l->out);
        LT_TRY(lt_resize_fill(&w->form, l, diag));
    }
    for (int k = 0; k < LT_RESIZE_TAPS; k++) {
        w->kept[k] = (float *)(void *)(scratch + at[1] + (size_t)k * align64((size_t)w->row * sizeof(float)));
        w->key[k] = -1;
    }
    w->tile = (float *)(void *)(scratch + at[0]);
    w->plane = -1;
    return LATHE_OK;
}

static lathe_status run(const lathe_gang *gang, const lathe_call *call, lathe_diag *diag)
{
    const lathe_problem *p = call->problem;
    worker w = { .problem = p };
    lathe_fit ignored;
    uint16_t nx;
    size_t at[3];
    int64_t rows = 1, begin, end;
    (void)lt_root_operand(p, 0, &nx);
    for (int i = 0; i < call->out[0].rank; i++) {
        rows *= call->out[0].dims[i] > 0 ? 1 : 0;
    }
    if (rows == 0) {
        return LATHE_OK;
    }
    LT_CHECK(diag, lt_resize_fits(p, &w.form, &ignored), p->op);
    LT_TRY(lt_resize_read(call, &w.form, w.lines, diag));
    char *scratch = (char *)call->scratch + scratch_parts(p, call->config, &call->out[0], at) * (size_t)gang->index;
    LT_TRY(arrange(&w, call, scratch, at, diag));
    w.x = call->in[nx].data;
    w.y = call->out[0].data;
    w.direct = lt_finish_of(p) == LT_FINISH_NONE;
    if (!w.direct) {
        LT_TRY(lt_tile_prepare(&w.program, &ISA, call, scratch, w.tile, diag));
    }
    rows = w.rows->out;
    for (int i = 0; i < w.outer; i++) {
        rows *= w.lines[i].out;
    }
    lathe_gang_split(gang, rows, 1, &begin, &end);
    for (int64_t r = begin; r < end; r++) {
        output_row(&w, r);
    }
    return LATHE_OK;
}

LT_TACTICS(LT_EACH(resize)) = {
    { .struct_size = sizeof(lathe_tactic),
      .name = "resize.f32." ISA_NAME,
      .version = 3,
      .summary = "linear and cubic Resize, plain or channels last",
      .ops = "Resize",
      .device = LATHE_SPACE_HOST,
      .cpu_features = ISA_FEATURES,
      .configs = 2,
      .fits = fits,
      .scratch_bytes = scratch_bytes,
      .run = run },
    { .name = NULL },
};
