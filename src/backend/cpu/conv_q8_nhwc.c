/*
 * conv_q8_nhwc.c - driver of conv.q8.nhwc: quantized convolutions, and ConvInteger, of rank 3 and 4 on channels-last tensors, any groups, weights packed ("q8.w").
 *
 * With one filter for each channel, channels take the place of filters: each panel walks its own channels.
 *
 * A unit of work is a band of output rows of one image and group. The input rows under a band are copied with their padding (the zero point) and, when they
 * are signed, shifted; unsigned ones without padding are read where they lie. Then each panel of filters walks the band's pixels, at most mr at a time.
 */
#include "backend/cpu/conv_shape.h"
#include "backend/cpu/q8_dot.h"
#include <math.h>
#include <string.h>

enum { BAND_BYTES = 1 << 18, BAND_SUMS = 1 << 14, WINDOW_MAX = 4096 };

typedef struct layout { /* offsets in a thread's scratch */
    size_t sums, row_sums, taps, panels, ones, pixel_sums, band, total;
} layout;

typedef struct task {
    const lt_q8_isa *isa;
    lt_conv c;
    lt_q8_shape s;
    bool merged, in_place, compact, depthwise;
    int64_t width;          /* pixels in a row of the band */
    int64_t step_x, step_y; /* pixels and rows of the band between neighbouring results */
    int64_t rows_under;     /* of the band under one result */
    int64_t row_bytes, band_rows, bands, parts, panels_of_part;
    layout l;
} task;

typedef struct worker {
    const task *t;
    lt_q8_sink sink;
    bool any_zero;
    uint8_t mask, pad;
    const uint8_t *x;
    const void *pack;
    int32_t *sums, *row_sums;
    int64_t *taps;
    lt_q8_panel *panels;
    int8_t *ones;
    int32_t *pixel_sums; /* of what lies under the pixels of a unit, for the zero points of the weights */
    int64_t first_pixel; /* of the unit; -1: they are not kept */
    uint8_t *band;
    int64_t have; /* image * bands + band that the band holds */
} worker;

/* ---- Shapes ---- */

static bool dilated(const lathe_problem *p, int spatial)
{
    size_t n;
    const int64_t *d = lt_attr_ints(p->attrs, p->n_attrs, "dilations", &n);
    return d && n == (size_t)spatial && d[n - 1] != 1;
}

static lt_q8_layout layout_of(const lathe_problem *p, int rank)
{
    return lt_conv_groups(p) == 1 && !dilated(p, rank - 2) ? LT_Q8_CONV : LT_Q8_CONV_TAPS;
}

/* One filter for each channel. */
static bool is_depthwise(int64_t groups, int64_t filters, int64_t channels)
{
    return groups > 1 && filters == groups && channels == 1;
}

static size_t align64(size_t n)
{
    return (n + 63) & ~(size_t)63;
}

static layout scratch_layout(const task *t, const lathe_problem *problem)
{
    const lt_q8_shape *s = &t->s;
    const lt_conv *c = &t->c;
    int64_t span = (c->out[2] - 1) * c->stride[2] + (c->kernel[2] - 1) * c->dilation[2] + 1;
    size_t nr = (size_t)t->isa->nr,
           smallest = (size_t)(t->rows_under * (span > c->in[2] ? span : c->in[2]) * c->channels);
    layout l;
    l.sums = lt_q8_sink_scratch(problem);
    l.row_sums = l.sums + LT_Q8_MR * LT_Q8_NR * sizeof(int32_t);
    l.taps = l.row_sums + LT_Q8_MR * LT_Q8_NR * sizeof(int32_t);
    l.panels = l.taps + align64((size_t)s->taps * sizeof(int64_t));
    l.ones = l.panels + (size_t)(s->groups * s->panels) * sizeof(lt_q8_panel);
    l.pixel_sums = l.ones + lt_q8_ones_bytes(s, (int)nr);
    l.band = l.pixel_sums + BAND_SUMS * sizeof(int32_t);
    l.total = l.band + align64(BAND_BYTES + smallest + LT_Q8_SLACK);
    return l;
}

static bool inside(const lt_conv *c)
{
    for (int i = 1; i < 3; i++) {
        if (c->begin[i] != 0 || (c->out[i] - 1) * c->stride[i] + (c->kernel[i] - 1) * c->dilation[i] >= c->in[i]) {
            return false;
        }
    }
    return true;
}

/* Few weights: more bands; many: threads share the panels, so that each is fetched once. */
static void split(task *t, int threads)
{
    int64_t rows = t->c.out[1], fit = rows, wanted = 1, units = t->c.batch * t->s.groups;
    if (t->row_bytes > 0) {
        fit = (BAND_BYTES / t->row_bytes - t->rows_under) / t->step_y + 1;
        fit = BAND_BYTES / t->row_bytes < t->rows_under || fit < 1 ? 1 : fit < rows ? fit : rows;
    }
    bool heavy = t->s.taps * t->s.quads * 4 * t->s.filters > t->row_bytes * t->c.in[1];
    if (threads > 1 && units % threads != 0) {
        wanted = heavy && t->s.panels >= threads ? 1 : threads;
        t->parts = wanted == 1 ? threads : 1;
    } else {
        t->parts = 1;
    }
    t->bands = (rows + fit - 1) / fit;
    t->bands = (t->bands + wanted - 1) / wanted * wanted;
    t->bands = t->bands < rows ? t->bands : rows > 0 ? rows : 1;
    t->band_rows = (rows + t->bands - 1) / t->bands;
    t->bands = t->band_rows > 0 ? (rows + t->band_rows - 1) / t->band_rows : 1;
    t->panels_of_part = (t->s.panels + t->parts - 1) / t->parts;
}

static lathe_status describe(const lt_q8_isa *isa, const lathe_problem *problem, const lathe_buffer *in,
                             const lathe_buffer *out, int threads, lt_q8 *q, task *t, lathe_diag *diag)
{
    lathe_fit fit = { .struct_size = sizeof fit };
    LT_CHECK(diag, lt_q8_read(problem, &fit, q), problem->op);
    const lathe_buffer *x = &in[q->x.operand], *w = &in[q->w.operand];
    *t = (task){ .isa = isa };
    LT_TRY(lt_conv_read(problem, x, w, &out[0], &t->c, diag));
    const lt_conv *c = &t->c;
    lt_q8_layout how = layout_of(problem, x->rank);
    t->depthwise = is_depthwise(c->groups, w->dims[0], w->dims[1]);
    if (!lt_q8_shape_of(how, w->rank, w->dims, t->depthwise ? 1 : c->groups, isa->nr, &t->s)) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, problem->op, NULL, "the weights do not go with the groups");
    }
    t->merged = how == LT_Q8_CONV;
    bool whole =
        t->depthwise ? c->channels % isa->nr == 0 : t->s.k % 4 == 0; /* nothing is read behind the last pixel */
    t->in_place = q->x.dtype == LATHE_DTYPE_U8 && whole && inside(c);
    t->compact = !t->in_place && c->taps == 1;
    t->step_x = t->compact ? 1 : c->stride[2];
    t->step_y = t->compact ? 1 : c->stride[1];
    t->rows_under = (c->kernel[1] - 1) * c->dilation[1] + 1;
    t->width = t->in_place ? c->in[2] : (c->out[2] - 1) * t->step_x + (c->kernel[2] - 1) * c->dilation[2] + 1;
    t->row_bytes = t->width * c->channels;
    t->l = scratch_layout(t, problem);
    split(t, threads);
    return LATHE_OK;
}

/* ---- The band ---- */

/* One row of the input, y rows down, into the band. */
static void copy_row(const worker *w, const uint8_t *image, int64_t y, uint8_t *dst)
{
    const task *t = w->t;
    const lt_conv *c = &t->c;
    int64_t cell = c->channels, x0 = -c->begin[2];
    if (y < 0 || y >= c->in[1]) {
        memset(dst, w->pad, (size_t)t->row_bytes);
        return;
    }
    const uint8_t *row = image + y * c->in[2] * cell;
    if (t->compact && c->stride[2] != 1) {
        for (int64_t i = 0; i < t->width; i++, x0 += c->stride[2], dst += cell) {
            if (x0 < 0 || x0 >= c->in[2]) {
                memset(dst, w->pad, (size_t)cell);
            } else {
                t->isa->flip(dst, row + x0 * cell, w->mask, cell);
            }
        }
        return;
    }
    int64_t low = x0 < 0 ? -x0 : 0, high = c->in[2] - x0;
    low = low < t->width ? low : t->width;
    high = high < low ? low : high < t->width ? high : t->width;
    memset(dst, w->pad, (size_t)(low * cell));
    if (high > low) {
        t->isa->flip(dst + low * cell, row + (x0 + low) * cell, w->mask, (high - low) * cell);
    }
    memset(dst + high * cell, w->pad, (size_t)((t->width - high) * cell));
}

/* The rows under `rows` rows of results from `first` on; returns the byte of the first result's first tap. */
static const uint8_t *fetch_band(worker *w, int64_t image, int64_t band, int64_t first, int64_t rows)
{
    const task *t = w->t;
    const lt_conv *c = &t->c;
    const uint8_t *x = w->x + image * c->plane * c->channels;
    if (t->in_place) {
        return x + first * c->stride[1] * t->row_bytes;
    }
    if (w->have != image * t->bands + band) {
        int64_t count = (rows - 1) * t->step_y + t->rows_under, y = first * c->stride[1] - c->begin[1];
        for (int64_t i = 0; i < count; i++) {
            copy_row(w, x, y + i * (t->compact ? c->stride[1] : 1), w->band + i * t->row_bytes);
        }
        w->have = image * t->bands + band;
    }
    return w->band;
}

/* ---- Products ---- */

typedef struct piece {        /* pixels of one unit under one panel */
    const lt_q8_panel *panel; /* NULL: just to keep what they add up to */
    const int8_t *b;
    const uint8_t *tame;
    int64_t filter;
    int cols;
} piece;

/* `rows` results from a pixel of the output on. */
static void finish(const worker *w, const piece *p, int64_t pixel, const int32_t *sums, const int32_t *row_sums,
                   int rows)
{
    lt_q8_sink_put(&w->sink, p->panel, pixel * w->t->c.filters + p->filter, rows, p->cols, sums, row_sums, NULL);
}

/* The sums of a block: under the panel's weights, or under those of `b`. */
static void sums_of(const task *t, lt_q8_dot *call, int n0, int n1)
{
    if (!t->depthwise) {
        t->isa->dot[n0 + n1](call);
        return;
    }
    lt_q8_dot second = *call;
    t->isa->depth(call, n0);
    second.a[0] = call->a[1];
    second.c = call->c + n0 * t->isa->nr;
    t->isa->depth(&second, n1);
}

/* What the pixels of a block add up to, from every line's first number to the unit's table; and back. */
static void keep_sums(const worker *w, const int64_t pixel[2], int n0, int n1)
{
    for (int i = 0; i < n0 + n1; i++) {
        int64_t at = i < n0 ? pixel[0] + i : pixel[1] + i - n0;
        w->pixel_sums[at - w->first_pixel] = w->sums[i * w->t->isa->nr];
    }
}

static void spread_sums(const worker *w, const int64_t pixel[2], int n0, int n1)
{
    int nr = w->t->isa->nr;
    for (int i = 0; i < n0 + n1; i++) {
        int32_t sum = w->pixel_sums[(i < n0 ? pixel[0] + i : pixel[1] + i - n0) - w->first_pixel];
        for (int j = 0; j < nr; j++) {
            w->row_sums[i * nr + j] = sum;
        }
    }
}

/* n0 results from pixel[0] on and n1 (n0 or n0 - 1) from pixel[1] on. */
static void block(worker *w, const piece *p, const uint8_t *const a[2], const int64_t pixel[2], int n0, int n1)
{
    const task *t = w->t;
    lt_q8_dot call = { .a = { a[0], a[1] },
                       .lda = t->step_x * t->c.channels,
                       .taps = t->s.taps,
                       .tap = w->taps,
                       .quads = t->s.quads,
                       .start = p->panel ? p->panel->offset : lt_q8_zeros,
                       .b = p->b,
                       .tame = p->tame,
                       .c = w->sums };
    sums_of(t, &call, n0, n1);
    const int32_t *row_sums = w->any_zero ? w->row_sums : NULL;
    if (!p->panel) {
        keep_sums(w, pixel, n0, n1);
        return;
    }
    if (w->any_zero && w->first_pixel >= 0) {
        spread_sums(w, pixel, n0, n1);
    } else if (w->any_zero) {
        call.start = lt_q8_zeros;
        call.b = w->ones;
        call.tame = lt_q8_ones_tame(&t->s, t->isa->nr, w->ones);
        call.c = w->row_sums;
        sums_of(t, &call, n0, n1);
    }
    if (pixel[1] == pixel[0] + n0 || n1 == 0) {
        finish(w, p, pixel[0], w->sums, row_sums, n0 + n1);
        return;
    }
    int behind = n0 * t->isa->nr;
    finish(w, p, pixel[0], w->sums, row_sums, n0);
    finish(w, p, pixel[1], w->sums + behind, row_sums ? row_sums + behind : NULL, n1);
}

/* `count` results next to each other, cut into pieces of near equal size. */
static void run_line(worker *w, const piece *p, const uint8_t *a, int64_t pixel, int64_t count)
{
    const task *t = w->t;
    int64_t step = t->step_x * t->c.channels, mr = p->panel ? p->panel->mr : t->isa->mr, cuts = (count + mr - 1) / mr;
    for (int64_t i = 0; i < cuts; i++) {
        int64_t begin = count * i / cuts;
        int n = (int)(count * (i + 1) / cuts - begin), n0 = (n + 1) / 2;
        const uint8_t *at[2] = { a + begin * step, a + (begin + n0) * step };
        int64_t pixels[2] = { pixel + begin, pixel + begin + n0 };
        block(w, p, at, pixels, n0, n - n0);
    }
}

/* A piece over `rows` rows of results; a: under the first of them. */
static void run_piece(worker *w, const piece *p, const uint8_t *a, int64_t pixel, int64_t rows)
{
    const task *t = w->t;
    int64_t wide = t->c.out[2], down = t->step_y * t->row_bytes;
    if (down == wide * t->step_x * t->c.channels) { /* rows follow each other */
        run_line(w, p, a, pixel, wide * rows);
        return;
    }
    int64_t y = 0;
    for (; 2 * wide <= t->isa->mr && y + 1 < rows; y += 2) {
        const uint8_t *at[2] = { a + y * down, a + (y + 1) * down };
        int64_t pixels[2] = { pixel + y * wide, pixel + (y + 1) * wide };
        block(w, p, at, pixels, (int)wide, (int)wide);
    }
    for (; y < rows; y++) {
        run_line(w, p, a + y * down, pixel + y * wide, wide);
    }
}

/* Panel `number` of a group; a: the group's channels under the first result. */
static void run_panel(worker *w, const uint8_t *a, int64_t group, int64_t number, int64_t pixel, int64_t rows)
{
    const task *t = w->t;
    int64_t left = t->s.filters - number * t->isa->nr;
    piece p = { .panel = &w->panels[group * t->s.panels + number],
                .b = lt_q8_panel_at(&t->s, w->pack, t->isa->nr, group, number),
                .tame = lt_q8_tame_at(&t->s, w->pack, t->isa->nr, group, number),
                .filter = group * t->s.filters + number * t->isa->nr,
                .cols = left < t->isa->nr ? (int)left : t->isa->nr };
    run_piece(w, &p, a + (t->depthwise ? number * t->isa->nr : 0), pixel, rows);
}

/* With several panels, sums for the zero points of the weights are worked out once for all of them. */
static void sum_pixels(worker *w, const uint8_t *a, int64_t pixel, int64_t rows)
{
    const task *t = w->t;
    piece p = { .b = w->ones, .tame = lt_q8_ones_tame(&t->s, t->isa->nr, w->ones) };
    w->first_pixel = -1;
    if (w->any_zero && !t->depthwise && t->panels_of_part > 1 && rows * t->c.out[2] <= BAND_SUMS) {
        w->first_pixel = pixel;
        run_piece(w, &p, a, pixel, rows);
    }
}

static void run_unit(worker *w, int64_t unit)
{
    const task *t = w->t;
    int64_t part = unit % t->parts, group = unit / t->parts % t->s.groups,
            band = unit / (t->parts * t->s.groups) % t->bands, image = unit / (t->parts * t->s.groups * t->bands);
    int64_t first = band * t->band_rows, left = t->c.out[1] - first, rows = left < t->band_rows ? left : t->band_rows;
    const uint8_t *a = fetch_band(w, image, band, first, rows) + group * (t->c.channels / t->c.groups);
    int64_t begin = part * t->panels_of_part, end = begin + t->panels_of_part;
    int64_t pixel = image * t->c.pixels + first * t->c.out[2];
    sum_pixels(w, a, pixel, rows);
    for (int64_t i = begin; i < end && i < t->s.panels; i++) {
        run_panel(w, a, group, i, pixel, rows);
    }
}

/* ---- The driver ---- */

static double opt(const lathe_operand *o, int axis)
{
    return (double)o->dims[axis].opt;
}

static double cost_of(const lt_q8_isa *isa, const lathe_problem *problem, const lathe_operand *x,
                      const lathe_operand *w, bool direct)
{
    const lathe_operand *y = &problem->out[0];
    double groups = (double)lt_conv_groups(problem), filters = opt(w, 0) / groups, k = opt(w, 1), pixels = opt(y, 0),
           taps = 1;
    for (int i = 2; i < x->rank; i++) {
        pixels *= opt(y, i);
        taps *= opt(w, i);
    }
    double line = opt(y, x->rank - 1), cut = ceil(line / isa->mr), rows = line / cut;
    double idle = rows < 6 && 2 * line > isa->mr ? 6 / rows : 1;
    double panels = ceil(filters / isa->nr), quads = groups > 1 ? taps * ceil(k / 4) : ceil(taps * k / 4);
    double sums = pixels * groups * panels * quads * isa->nr * 8 * idle / isa->gops;
    if (is_depthwise(lt_conv_groups(problem), w->dims[0].opt, w->dims[1].opt)) {
        panels = ceil(groups / isa->nr) / groups;
        sums = pixels * groups * panels * taps * (isa->gops > 300 ? 0.7 : 0.9);
    }
    double results = pixels * groups * panels * isa->nr * (6.0 / isa->nr);
    results += direct ? 0 : pixels * groups * filters * lt_tile_cost(isa->isa, problem);
    double copied = opt(x, 0) * opt(x, 1), band = 0.05;
    for (int i = 2; i < x->rank; i++) {
        copied *= opt(x, i);
    }
    return 600 + sums + results + copied * band + groups * filters * 12 + lt_problem_bytes(problem) * 0.03;
}

static bool window_small(const lathe_problem *p, const lathe_operand *w)
{
    size_t n;
    const int64_t *pads = lt_attr_ints(p->attrs, p->n_attrs, "pads", &n);
    for (size_t i = 0; pads && i < n; i++) {
        if (pads[i] < 0 || pads[i] > WINDOW_MAX) {
            return false;
        }
    }
    const int64_t *d = lt_attr_ints(p->attrs, p->n_attrs, "dilations", &n);
    for (int i = 2; i < w->rank; i++) {
        int64_t size = w->dims[i].max, step = d && n == (size_t)w->rank - 2 ? d[i - 2] : 1;
        if (size > WINDOW_MAX || step > WINDOW_MAX || (size - 1) * step > WINDOW_MAX) {
            return false;
        }
    }
    return true;
}

int lt_conv_q8_nhwc_fits(const lt_q8_isa *isa, const lathe_problem *problem, uint32_t config, lathe_fit *fit)
{
    static const int8_t last3[] = { 0, 2, 1 }, last4[] = { 0, 2, 3, 1 };
    lt_q8 q;
    (void)config;
    if (!lt_q8_read(problem, fit, &q)) {
        return 0;
    }
    const lathe_operand *x = &problem->in[q.x.operand], *w = &problem->in[q.w.operand];
    double products = 1;
    for (int i = 1; i < w->rank; i++) {
        products *= (double)w->dims[i].max;
    }
    if (!lt_q8_fits(&q, 0, 0, products, fit) || !lt_conv_fits(problem, x, w, fit)) {
        return 0;
    }
    if (x->rank > 4) {
        return lt_no(fit, "rank %d", x->rank);
    }
    if (q.bias.operand != 0xffff && problem->in[q.bias.operand].rank != 1) {
        return lt_no(fit, "the bias has rank %d", problem->in[q.bias.operand].rank);
    }
    if (!lt_q8_packable(problem, &q) || q.x.operand == q.w.operand) {
        return lt_no(fit, "the weights are no constant of their own");
    }
    if (x->flags & (LATHE_OPERAND_CONSTANT | LATHE_OPERAND_HOST)) {
        return lt_no(fit, "the activations are a constant");
    }
    if (!window_small(problem, w)) {
        return lt_no(fit, "the window reaches further than %d, or a pad is negative", WINDOW_MAX);
    }
    if (w->dims[0].max % lt_conv_groups(problem) != 0) {
        return lt_no(fit, "filters do not go with the groups");
    }
    const int8_t *order = x->rank == 3 ? last3 : last4;
    fit->pack[q.w.operand] = "q8.w";
    fit->pack_param[q.w.operand][0] = isa->nr;
    fit->pack_param[q.w.operand][1] = layout_of(problem, x->rank);
    bool depthwise = is_depthwise(lt_conv_groups(problem), w->dims[0].max, w->dims[1].max);
    fit->pack_param[q.w.operand][2] = depthwise ? 1 : lt_conv_groups(problem);
    fit->pack_param[q.w.operand][3] = isa->tame;
    fit->in[q.x.operand] = lt_format_permuted(x->dtype, order, x->rank, fit->in[q.x.operand].space);
    lt_tile_formats(problem, order, fit);
    fit->cost = cost_of(isa, problem, x, w, lt_q8_direct(problem, 1));
    return 1;
}

size_t lt_conv_q8_nhwc_scratch(const lt_q8_isa *isa, const lathe_problem *problem, uint32_t config,
                               const lathe_buffer *in, const lathe_buffer *out, int threads)
{
    task t;
    lt_q8 q;
    (void)config;
    return describe(isa, problem, in, out, threads, &q, &t, NULL) == LATHE_OK ? t.l.total * (size_t)threads : 0;
}

static lathe_status check_parameters(const lt_q8 *q, const lathe_call *call, int64_t filters, lathe_diag *diag)
{
    const lathe_buffer *in = call->in;
    bool good = lt_q8_covers(&q->w.scale, in, filters) && lt_q8_covers(&q->w.zero, in, filters);
    if (q->bias.operand != 0xffff) {
        good = good && in[q->bias.operand].rank == 1 && in[q->bias.operand].dims[0] == filters &&
               lt_q8_covers(&q->bias.scale, in, filters) && lt_q8_covers(&q->bias.zero, in, filters);
    }
    return good ? LATHE_OK
                : LT_FAIL(diag, LATHE_BAD_SHAPE, call->problem->op, NULL,
                          "scales, zero points or bias have not one element for each filter");
}

/* Numbers of all panels, byte offsets of all taps. */
static void fill_tables(worker *w)
{
    const task *t = w->t;
    const lt_q8_shape *s = &t->s;
    for (int64_t i = 0; i < s->groups * s->panels; i++) {
        int64_t column = i % s->panels * t->isa->nr, left = s->filters - column;
        lt_q8_panel_make(&w->sink.f, lt_q8_sums_at(s, w->pack, t->isa->nr, 0, i), i / s->panels * s->filters + column,
                         left < t->isa->nr ? (int)left : t->isa->nr, s->taps * s->k, &w->panels[i], &w->any_zero);
        w->panels[i].mr = lt_q8_panel_mr(t->isa, s, w->pack, 0, i);
    }
    for (int64_t i = 0; i < s->taps; i++) {
        int64_t y = t->merged ? i : i / t->c.kernel[2], x = t->merged ? 0 : i % t->c.kernel[2];
        w->taps[i] = y * t->c.dilation[1] * t->row_bytes + x * t->c.dilation[2] * t->c.channels;
    }
    if (w->any_zero) {
        lt_q8_ones(s, t->isa->nr, w->ones);
    }
}

static lathe_status prepare(worker *w, const lathe_call *call, char *scratch, lathe_diag *diag)
{
    const task *t = w->t;
    const lt_q8 *q = &w->sink.f.q;
    w->sums = (int32_t *)(void *)(scratch + t->l.sums);
    w->row_sums = (int32_t *)(void *)(scratch + t->l.row_sums);
    w->taps = (int64_t *)(void *)(scratch + t->l.taps);
    w->panels = (lt_q8_panel *)(void *)(scratch + t->l.panels);
    w->ones = (int8_t *)scratch + t->l.ones;
    w->pixel_sums = (int32_t *)(void *)(scratch + t->l.pixel_sums);
    w->band = (uint8_t *)scratch + t->l.band;
    w->sink.isa = t->isa;
    w->sink.width = t->c.filters;
    w->sink.column = 1;
    LT_TRY(lt_q8_sink_open(&w->sink, call, scratch, diag));
    w->sink.f.bias_col = 1;
    w->x = call->in[q->x.operand].data;
    w->pack = call->in[q->w.operand].data;
    w->mask = q->x.dtype == LATHE_DTYPE_I8 ? 0x80 : 0;
    w->pad = (uint8_t)((uint8_t)lt_q8_zero(&q->x.zero, q->x.dtype, call->in, 0) ^ w->mask);
    fill_tables(w);
    return LATHE_OK;
}

lathe_status lt_conv_q8_nhwc_run(const lt_q8_isa *isa, const lathe_gang *gang, const lathe_call *call, lathe_diag *diag)
{
    task t;
    worker w = { .t = &t, .have = -1 };
    LT_TRY(describe(isa, call->problem, call->in, call->out, gang->count, &w.sink.f.q, &t, diag));
    LT_TRY(check_parameters(&w.sink.f.q, call, t.c.filters, diag));
    if (t.c.batch * t.c.pixels == 0) {
        return LATHE_OK;
    }
    LT_TRY(prepare(&w, call, (char *)call->scratch + t.l.total * (size_t)gang->index, diag));
    int64_t begin, end;
    lathe_gang_split(gang, t.c.batch * t.bands * t.s.groups * t.parts, 1, &begin, &end);
    for (int64_t u = begin; u < end; u++) {
        run_unit(&w, u);
    }
    return LATHE_OK;
}
