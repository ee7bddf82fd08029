/*
 * group_norm__each.c - tactics norm.group: GroupNormalization of f32, channels last (config 0) or plain (config 1), with any epilogue.
 *
 * One pass takes sums and squares of each channel around its first element, flushed to doubles after short runs; they make the moments of the groups. A second
 * pass normalizes. Threads take whole groups, so that sums are never split.
 */
#include "backend/cpu/product.h"
#include "backend/cpu/vectors.inc"

#include "backend/cpu/vector_math.inc"

#include "backend/cpu/vector_parts.inc"
#include <float.h>
#include <math.h>

enum { RUN = 128 }; /* vectors that are summed in f32 */

typedef struct norm {
    const float *x;
    float *y;
    int64_t batch, channels, groups, pixels;
    int64_t x_row, y_row; /* channels last: elements from pixel to pixel */
    bool last;            /* channels last */
    const float *scale, *bias;
    double epsilon;
    float *shift, *mean, *factor; /* for each channel */
    double *sum, *square;
    bool direct; /* the epilogue is done in registers */
    lt_finish finish;
    float *tile;
    lt_tile_program program;
} norm;

/* ---- Moments ---- */

/* Adds to the sums of a vector: `lines` of them, step elements apart. part: elements of each, 0 for all. */
INLINE void add_lines(const float *x, int64_t lines, int64_t step, int part, vf shift, vf *sum, vf *square)
{
    for (int64_t i = 0; i < lines; i++) {
        vf d = load_part(x + i * step, part) - shift;
        *sum += d;
        *square = MULTIPLY_ADD(d, d, *square);
    }
}

static void sums_last(const norm *r, const float *x, int64_t c0, int64_t c1)
{
    for (int64_t c = c0; c < c1; c++) {
        r->shift[c] = x[c];
        r->sum[c] = r->square[c] = 0;
    }
    for (int64_t p = 0; p < r->pixels; p += RUN) {
        int64_t lines = r->pixels - p < RUN ? r->pixels - p : RUN;
        for (int64_t c = c0; c < c1; c += VL) {
            int part = c1 - c < VL ? (int)(c1 - c) : 0, n = part ? part : VL;
            float s[VL], q[VL];
            vf sum = { 0 }, square = { 0 };
            add_lines(x + p * r->x_row + c, lines, r->x_row, part, load_part(r->shift + c, part), &sum, &square);
            store_part(s, sum, 0);
            store_part(q, square, 0);
            for (int l = 0; l < n; l++) {
                r->sum[c + l] += s[l];
                r->square[c + l] += q[l];
            }
        }
    }
}

static void sums_plain(const norm *r, const float *x, int64_t c)
{
    float s[VL], q[VL], shift = x[0];
    double total = 0, squares = 0;
    for (int64_t p = 0; p < r->pixels; p += RUN * VL) {
        int64_t rest = r->pixels - p < RUN * VL ? r->pixels - p : RUN * VL, whole = rest / VL;
        vf sum = { 0 }, square = { 0 };
        add_lines(x + p, whole, VL, 0, splat(shift), &sum, &square);
        store_part(s, sum, 0);
        store_part(q, square, 0);
        for (int l = 0; l < VL; l++) {
            total += s[l];
            squares += q[l];
        }
        for (int64_t l = whole * VL; l < rest; l++) {
            double d = (double)x[p + l] - shift;
            total += d;
            squares += d * d;
        }
    }
    r->shift[c] = shift;
    r->sum[c] = total;
    r->square[c] = squares;
}

/* The channel's sums where its squares do not fit a float: every element in double. */
RARE void sums_wide(const norm *r, const float *x, int64_t c)
{
    const float *at = r->last ? x + c : x + c * r->pixels;
    int64_t step = r->last ? r->x_row : 1;
    r->sum[c] = r->square[c] = 0;
    for (int64_t p = 0; p < r->pixels; p++) {
        double d = (double)at[p * step] - r->shift[c];
        r->sum[c] += d;
        r->square[c] += d * d;
    }
}

/* From sums of channels to what each channel is shifted and multiplied by. x: the image. */
static void finish_group(const norm *r, const float *x, int64_t group)
{
    int64_t size = r->channels / r->groups, begin = group * size;
    for (int64_t c = begin; c < begin + size; c++) {
        if (__builtin_expect(!(r->square[c] <= (double)FLT_MAX), 0)) {
            sums_wide(r, x, c);
        }
    }
    double pixels = (double)r->pixels, total = 0, squares = 0;
    for (int64_t c = begin; c < begin + size; c++) {
        total += (double)r->shift[c] * pixels + r->sum[c];
    }
    double mean = total / (pixels * (double)size);
    for (int64_t c = begin; c < begin + size; c++) {
        double away = mean - r->shift[c];
        squares += r->square[c] - 2 * away * r->sum[c] + pixels * away * away;
    }
    double variance = squares / (pixels * (double)size),
           inverse = 1.0 / sqrt((variance < 0 ? 0 : variance) + r->epsilon);
    for (int64_t c = begin; c < begin + size; c++) {
        r->mean[c] = (float)mean;
        r->factor[c] = (float)(inverse * r->scale[c]);
    }
}

/* ---- Results ---- */

INLINE vf normalized(const norm *r, vf x, vf mean, vf factor, vf bias, vf low, vf high)
{
    vf y = MULTIPLY_ADD(x - mean, factor, bias);
    return r->direct ? finish_one(y, r->finish.kind, low, high) : y;
}

/* Channels c .. c + n of a pixel, to dst. */
static void pixel_last(const norm *r, const float *x, int64_t c, int64_t n, float *dst)
{
    vf low = splat(r->finish.low), high = splat(r->finish.high);
    for (int64_t i = 0; i < n; i += VL) {
        int part = n - i < VL ? (int)(n - i) : 0;
        vf y = normalized(r, load_part(x + i, part), load_part(r->mean + c + i, part),
                          load_part(r->factor + c + i, part), load_part(r->bias + c + i, part), low, high);
        store_part(dst + i, y, part);
    }
}

static void write_last(const norm *r, int64_t image, int64_t c0, int64_t c1)
{
    int64_t start = image * r->pixels;
    for (int64_t c = c0, n; c < c1; c += n) {
        n = c1 - c < LT_TILE || r->direct ? c1 - c : LT_TILE;
        int pitch = (int)((n + LT_TILE_LANES - 1) / LT_TILE_LANES * LT_TILE_LANES),
            most = r->direct ? 1 : LT_TILE / pitch;
        for (int64_t p = 0; p < r->pixels; p += most) {
            int rows = r->pixels - p < most ? (int)(r->pixels - p) : most;
            const float *x = r->x + (start + p) * r->x_row + c;
            float *y = r->y + (start + p) * r->y_row + c;
            for (int i = 0; i < rows; i++) {
                pixel_last(r, x + i * r->x_row, c, n, r->direct ? y : r->tile + i * pitch);
            }
            if (!r->direct) {
                lt_tile_block block = {
                    .start = (start + p) * r->channels + c, .row_step = r->channels, .rows = rows, .cols = (int)n, .pitch = pitch
                };
                lt_tile_run(&r->program, &block);
            }
        }
    }
}

static void write_plain(const norm *r, int64_t image, int64_t c)
{
    int64_t start = (image * r->channels + c) * r->pixels;
    vf mean = splat(r->mean[c]), factor = splat(r->factor[c]), bias = splat(r->bias[c]), low = splat(r->finish.low),
       high = splat(r->finish.high);
    for (int64_t p = 0, n; p < r->pixels; p += n) {
        n = r->pixels - p < LT_TILE ? r->pixels - p : LT_TILE;
        float *dst = r->direct ? r->y + start + p : r->tile;
        for (int64_t i = 0; i < n; i += VL) {
            int part = n - i < VL ? (int)(n - i) : 0;
            store_part(dst + i, normalized(r, load_part(r->x + start + p + i, part), mean, factor, bias, low, high),
                       part);
        }
        if (!r->direct) {
            lt_tile_block block = { .start = start + p, .rows = 1, .cols = (int)n, .pitch = LT_TILE };
            lt_tile_run(&r->program, &block);
        }
    }
}

static void groups_of(const norm *r, int64_t image, int64_t begin, int64_t end)
{
    int64_t size = r->channels / r->groups;
    const float *x = r->x + image * r->pixels * (r->last ? r->x_row : r->channels);
    if (r->last) {
        sums_last(r, x, begin * size, end * size);
    }
    for (int64_t c = begin * size; !r->last && c < end * size; c++) {
        sums_plain(r, x + c * r->pixels, c);
    }
    for (int64_t g = begin; g < end; g++) {
        finish_group(r, x, g);
    }
    if (r->last) {
        write_last(r, image, begin * size, end * size);
    }
    for (int64_t c = begin * size; !r->last && c < end * size; c++) {
        write_plain(r, image, c);
    }
}

/* ---- The tactic ---- */

ASKED static bool channels_known(const lathe_problem *p, const lathe_operand *x)
{
    for (size_t slot = 1; slot < 3; slot++) {
        const lathe_operand *o = lt_root_operand(p, slot, NULL);
        if (!o || o->rank != 1 || o->dims[0].min != o->dims[0].max || x->dims[1].min != x->dims[1].max ||
            o->dims[0].min != x->dims[1].min) {
            return false;
        }
    }
    return true;
}

ASKED static int fits(const lathe_problem *p, uint32_t config, lathe_fit *fit)
{
    uint16_t nx;
    int8_t order[LATHE_MAX_RANK] = { 0 };
    if (!lt_root_fits(p, false, fit)) {
        return 0;
    }
    const lathe_operand *x = lt_root_operand(p, 0, &nx);
    int64_t groups = lt_attr_i(p->attrs, p->n_attrs, "num_groups", 0);
    if (!x || x->rank < 3 || (x->flags & (LATHE_OPERAND_CONSTANT | LATHE_OPERAND_HOST))) {
        return lt_no(fit, "the input is a constant, or has rank %d", x ? x->rank : 0);
    }
    if (!channels_known(p, x) || groups < 1 || x->dims[1].min % groups != 0 || x->dims[1].min == 0) {
        return lt_no(fit, "scale and bias have not one number for each channel, or %lld groups do not divide them",
                     (long long)groups);
    }
    if (lt_attr_i(p->attrs, p->n_attrs, "stash_type", LATHE_DTYPE_F32) != LATHE_DTYPE_F32) {
        return lt_no(fit, "moments are not computed in f32");
    }
    for (int i = 1; i < x->rank; i++) {
        order[i] = (int8_t)(i == x->rank - 1 ? 1 : i + 1);
    }
    if (config == 0) {
        fit->in[nx] = lt_format_permuted(x->dtype, order, x->rank, fit->in[nx].space);
    }
    lt_tile_formats(p, config == 0 ? order : NULL, fit);
    if (config == 0) {
        lt_tile_rows_apart(p, fit);
        fit->pitched_in |= nx < 64 ? (uint64_t)1 << nx : 0;
    }
    double points = lt_operand_elements(x), slower = LT_VECTOR_BYTES == 64 ? 1 : LT_VECTOR_BYTES == 32 ? 1.4 : 2.5;
    fit->cost = 500 + points * (slower * 0.25 + (lt_finish_of(p) != LT_FINISH_TILE ? 0.1 : lt_tile_cost(&ISA, p)));
    return 1;
}

ASKED static size_t thread_scratch(const lathe_problem *p, int64_t channels)
{
    size_t rooms = ((size_t)channels + 15) / 16 * 16;
    return lt_tile_scratch(p) + LT_TILE * sizeof(float) + rooms * (3 * sizeof(float) + 2 * sizeof(double));
}

ASKED static size_t scratch_bytes(const lathe_problem *p, uint32_t config, const lathe_buffer *in, const lathe_buffer *out,
                            int threads)
{
    uint16_t nx;
    (void)config, (void)out;
    return lt_root_operand(p, 0, &nx) && in[nx].rank > 1 ? thread_scratch(p, in[nx].dims[1]) * (size_t)threads : 0;
}

static lathe_status describe(const lathe_gang *gang, const lathe_call *call, norm *r, lathe_diag *diag)
{
    const lathe_problem *p = call->problem;
    uint16_t nx = 0, ns = 0, nb = 0;
    (void)lt_root_operand(p, 0, &nx);
    (void)lt_root_operand(p, 1, &ns);
    (void)lt_root_operand(p, 2, &nb);
    const lathe_buffer *x = &call->in[nx];
    *r = (norm){ .x = x->data,
                 .y = call->out[0].data,
                 .last = call->config == 0,
                 .scale = call->in[ns].data,
                 .bias = call->in[nb].data };
    r->groups = lt_attr_i(p->attrs, p->n_attrs, "num_groups", 0);
    r->epsilon = lt_attr_f(p->attrs, p->n_attrs, "epsilon", 1e-5f);
    if (x->rank < 3 || !lt_extents_sane(x->rank, x->dims) || !lt_dims_count(x->dims + 2, x->rank - 2, &r->pixels) ||
        call->in[ns].rank != 1 || call->in[nb].rank != 1 || call->in[ns].dims[0] != x->dims[1] ||
        call->in[nb].dims[0] != x->dims[1] || r->groups < 1 || x->dims[1] % r->groups != 0) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, p->op, NULL,
                       "the extents make no groups, or scale and bias are not one for each channel");
    }
    r->batch = x->dims[0];
    r->channels = x->dims[1];
    r->x_row = lt_row_step(x, r->channels, sizeof(float));
    r->y_row = lt_row_step(&call->out[0], r->channels, sizeof(float));
    size_t registers = lt_tile_scratch(p), rooms = ((size_t)r->channels + 15) / 16 * 16;
    char *scratch = (char *)call->scratch + thread_scratch(p, r->channels) * (size_t)gang->index;
    r->tile = (float *)(scratch + registers);
    r->sum = (double *)(r->tile + LT_TILE);
    r->square = r->sum + rooms;
    r->shift = (float *)(r->square + rooms);
    r->mean = r->shift + rooms;
    r->factor = r->mean + rooms;
    r->direct = lt_finish_of(p) != LT_FINISH_TILE;
    r->finish = r->direct ? lt_finish_read(call) : (lt_finish){ .kind = LT_FINISH_NONE };
    LT_TRY(lt_tile_prepare(&r->program, &ISA, call, scratch, r->tile, diag));
    if (r->program.points != r->batch * r->channels * r->pixels) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, p->op, NULL, "the output has other extents than the input");
    }
    return LATHE_OK;
}

static lathe_status run(const lathe_gang *gang, const lathe_call *call, lathe_diag *diag)
{
    norm r;
    int64_t begin, end;
    LT_TRY(describe(gang, call, &r, diag));
    if (r.program.points == 0) {
        return LATHE_OK;
    }
    lathe_gang_split(gang, r.batch * r.groups, 1, &begin, &end);
    while (begin < end) {
        int64_t image = begin / r.groups, first = begin % r.groups,
                n = r.groups - first < end - begin ? r.groups - first : end - begin;
        groups_of(&r, image, first, first + n);
        begin += n;
    }
    return LATHE_OK;
}

LT_TACTICS(LT_EACH(group_norm)) = {
    { .struct_size = sizeof(lathe_tactic),
      .name = "norm.group." ISA_NAME,
      .version = 3,
      .summary = "normalization of groups of channels; 0: channels last, 1: plain",
      .ops = "GroupNormalization",
      .device = LATHE_SPACE_HOST,
      .cpu_features = ISA_FEATURES,
      .configs = 2,
      .fits = fits,
      .scratch_bytes = scratch_bytes,
      .run = run },
    { .name = NULL },
};
