/*
 * conv_taps.c - the loops of channels-last convolutions: which pixels have which taps, runs of pixels, the epilogue. Called by conv_nhwc.c.
 *
 * Nothing is gathered: a tap is an offset into the image. Pixels whose taps all lie in the image are taken row by row, two rows or two runs of a row at a
 * time; those at the left and right border have fewer taps and are taken down the column. So padding is neither copied nor multiplied. Where the taps of a
 * pixel do not follow each other in the packed weights, sums go on from what an earlier call has stored.
 */
#include "backend/cpu/conv_taps.h"
#include "backend/cpu/brgemm.h"
#include "backend/cpu/ending.h"
#include <math.h>
#include <string.h>

enum {
    BAND_BYTES = 640 * 1024,  /* of the image that are read again for each panel */
    GROUP_BYTES = 512 * 1024, /* panels that are built as they are reached */
    FEW_PIXELS = 256,
    FEW_RESULTS = 64, /* images of so many, pads included, are copied: borders would take a large part of the time */
    NARROW = 5        /* runs of fewer pixels are taken down the column */
};

typedef struct ground { /* what all calls of a thread share */
    const lt_conv_taps *t;
    lt_conv c;      /* as it is computed: a copied image has its pads */
    const float *x; /* the image */
    float *copy;    /* NULL: read where it lies */
    const lt_brgemm *kernels;
    lt_tile_program *program; /* large: not cleared */
    bool direct, joined;      /* straight to the output; the taps of a kernel row follow each other in the image */
    const float *add, *bias;
    float scale, low, high;
    float *y, *tile, *panels;
    int64_t y_row, add_row; /* elements from pixel to pixel of y and add */
    int64_t *tap;        /* offsets of all taps from the first, row by row; of whole kernel rows when joined */
    int64_t cell, pitch; /* elements between pixels and lines of the image */
    int64_t depth;       /* channels of a group */
} ground;

/* Output pixels in one direction that have the taps first .. end of a kernel's row or column. */
typedef struct stretch {
    int64_t begin, end, first, last; /* pixels begin .. end; taps first .. last */
} stretch;

/* The stretch that starts at pixel `at` of axis `axis`. */
static stretch stretch_at(const lt_conv *c, int axis, int64_t at)
{
    int64_t s = c->stride[axis], d = c->dilation[axis], n = c->kernel[axis], x = at * s - c->begin[axis];
    int64_t first = x < 0 ? (-x + d - 1) / d : 0, last = x < c->in[axis] ? (c->in[axis] - 1 - x) / d + 1 : 0;
    stretch r = { .begin = at, .first = first < n ? first : n, .last = last < n ? last : n };
    r.last = r.last < r.first ? r.first : r.last;
    int64_t lower =
        r.first > 0 && x < 0 ? (-x - (r.first - 1) * d + s - 1) / s : c->out[axis]; /* one tap more in front */
    int64_t left = c->in[axis] - 1 - x - (r.last - 1) * d,
            upper = r.last > 0 && left >= 0 ? left / s + 1 : c->out[axis];
    int64_t more = lower < upper ? lower : upper, room = c->out[axis] - at;
    more = more < 1 ? 1 : more;
    r.end = at + (more < room ? more : room);
    return r;
}

/* ---- One run of pixels ---- */

/* `rows` pixels of each of two segments, or `rows` of one run; `at` and `step` count pixels of the output. */
typedef struct run {
    const float *a[2]; /* under the first tap that exists */
    int64_t at[2], lda, step, rows;
    bool two;
} run;

typedef struct window { /* taps that exist */
    int64_t y0, y1, x0, x1;
} window;

typedef struct panel { /* of the weights */
    const float *b, *next;
    int64_t col; /* first column of the output */
    int cols;
} panel;

static void kernel(const ground *g, lt_brgemm_call *call, const run *r)
{
    if (r->two) {
        g->kernels->two[r->rows](call);
    } else {
        lt_brgemm_run(g->kernels, call, r->rows);
    }
}

/* All taps of the window into c, and the epilogue that registers do. */
static void sums(const ground *g, const run *r, const window *w, const panel *p, lt_brgemm_call *call)
{
    const lt_conv *c = &g->c;
    bool whole = w->x0 == 0 && w->x1 == c->kernel[2];
    int64_t wide = w->x1 - w->x0, high = w->y1 - w->y0, rows = whole || wide == 0 || high == 0 ? 1 : high;
    const float *add[2] = { call->add[0], call->add[1] }, *bias = call->bias;
    float scale = call->scale, least = call->low, most = call->high;
    for (int64_t i = 0; i < rows; i++) {
        bool last = i + 1 == rows;
        for (int s = 0; s < 2; s++) {
            call->a[s] = r->a[s] ? r->a[s] + i * c->dilation[1] * g->pitch : NULL;
            call->add[s] = i == 0 ? add[s] : NULL; /* first: it may lie where sums are stored */
        }
        call->b = p->b + ((w->y0 + i) * c->kernel[2] + w->x0) * g->depth * g->kernels->nr;
        call->tap = g->tap;
        call->taps = (whole ? high : 1) * (g->joined ? 1 : wide);
        call->k = g->depth * (g->joined ? wide : 1);
        if (high == 0 || wide == 0) {
            call->taps = 1; /* no tap at all: the epilogue of nothing */
            call->k = 0;
        }
        call->accumulate = i > 0;
        call->scale = last ? scale : 1;
        call->bias = last ? bias : NULL;
        call->low = last ? least : -INFINITY;
        call->high = last ? most : INFINITY;
        kernel(g, call, r);
        call->next = NULL;
    }
}

static void store_direct(const ground *g, const run *r, const window *w, const panel *p, lt_brgemm_call *call)
{
    call->ldc = r->step * g->y_row;
    call->ld_add = r->step * g->add_row;
    for (int s = 0; s < 2; s++) {
        call->c[s] = g->y + r->at[s] * g->y_row + p->col;
        call->add[s] = g->add ? g->add + r->at[s] * g->add_row + p->col : NULL;
    }
    call->scale = g->scale;
    call->low = g->low;
    call->high = g->high;
    sums(g, r, w, p, call);
}

/* Through the tile, as many rows at a time as it has. */
static void store_tiles(const ground *g, const run *r, const window *w, const panel *p, lt_brgemm_call *call)
{
    int nr = g->kernels->nr, most = LT_TILE / nr / (2 * g->kernels->segment) * (2 * g->kernels->segment);
    for (int64_t row = 0; row < r->rows; row += most) {
        lt_brgemm_call one = *call;
        run part = *r;
        part.rows = r->rows - row < most ? r->rows - row : most;
        part.a[0] = r->a[0] ? r->a[0] + row * r->lda : NULL;
        one.c[0] = g->tile;
        one.ldc = nr;
        one.scale = 1;
        one.low = -INFINITY;
        one.high = INFINITY;
        sums(g, &part, w, p, &one);
        lt_tile_block block = { .start = (r->at[0] + row * r->step) * g->c.filters + p->col,
                                .row_step = r->step * g->c.filters,
                                .rows = (int)part.rows,
                                .cols = p->cols,
                                .pitch = nr };
        lt_tile_run(g->program, &block);
    }
}

static void one_run(const ground *g, const run *r, const window *w, panel *p)
{
    lt_brgemm_call call = {
        .lda = r->lda, .cols = p->cols, .bias = g->bias ? g->bias + p->col : NULL, .next = p->next
    };
    p->next = NULL;
    if (g->direct) {
        store_direct(g, r, w, p, &call);
    } else {
        store_tiles(g, r, w, p, &call);
    }
}

/* ---- Lines ---- */

typedef struct place { /* lines of one image that have the same taps */
    int64_t image, group;
    stretch lines;
} place;

static run run_at(const ground *g, const place *at, const window *w, int64_t line, int64_t x)
{
    const lt_conv *c = &g->c;
    int64_t y = line * c->stride[1] - c->begin[1] + w->y0 * c->dilation[1],
            column = x * c->stride[2] - c->begin[2] + w->x0 * c->dilation[2];
    bool some = w->y1 > w->y0 && w->x1 > w->x0;
    run r = { .lda = c->stride[2] * g->cell, .step = 1 };
    r.a[0] = r.a[1] = some ? g->x + y * g->pitch + column * g->cell + at->group * g->depth : g->t->x;
    r.at[0] = r.at[1] = (at->image * c->out[1] + line) * c->out[2] + x;
    return r;
}

/* Pixels of the stretch in two neighbouring lines, in segments of near equal length. */
static void two_lines(const ground *g, const place *at, const window *w, int64_t line, const stretch *xs, panel *p)
{
    int64_t width = xs->end - xs->begin, parts = (width + g->kernels->segment - 1) / g->kernels->segment;
    for (int64_t i = 0; i < parts; i++) {
        int64_t from = width * i / parts, to = width * (i + 1) / parts;
        run r = run_at(g, at, w, line, xs->begin + from), below = run_at(g, at, w, line + 1, xs->begin + from);
        r.a[1] = below.a[0];
        r.at[1] = below.at[0];
        r.rows = to - from;
        r.two = true;
        one_run(g, &r, w, p);
    }
}

static void column(const ground *g, const place *at, const window *w, int64_t x, panel *p)
{
    const lt_conv *c = &g->c;
    run r = run_at(g, at, w, at->lines.begin, x);
    r.lda = c->stride[1] * g->pitch;
    r.step = c->out[2];
    r.rows = at->lines.end - at->lines.begin;
    one_run(g, &r, w, p);
}

static void one_stretch(const ground *g, const place *at, const stretch *xs, panel *p)
{
    window w = { at->lines.first, at->lines.last, xs->first, xs->last };
    int64_t width = xs->end - xs->begin, line = at->lines.begin, lines = at->lines.end - line;
    if (width < NARROW && lines > width) {
        for (int64_t x = xs->begin; x < xs->end; x++) {
            column(g, at, &w, x, p);
        }
        return;
    }
    for (; g->direct && line + 2 <= at->lines.end; line += 2) {
        two_lines(g, at, &w, line, xs, p);
    }
    for (; line < at->lines.end; line++) {
        run r = run_at(g, at, &w, line, xs->begin);
        r.rows = width;
        one_run(g, &r, &w, p);
    }
}

/* A band of lines for the panels first .. end of all groups' panels, which start at `panels`. */
static void one_band(const ground *g, place *at, int64_t first, int64_t end, const float *panels)
{
    const lt_conv *c = &g->c;
    int64_t nr = g->kernels->nr, each = lt_conv_group_panels(c, (int)nr), size = c->taps * g->depth * nr,
            width = c->filters / c->groups;
    for (int64_t i = first; i < end; i++) {
        at->group = i / each;
        int64_t from = i % each * nr;
        panel p = { .b = panels + (i - first) * size, .col = at->group * width + from };
        p.cols = (int)(width - from < nr ? width - from : nr);
        p.next = i + 1 < end ? p.b + size : NULL;
        for (int64_t x = 0; x < c->out[2];) {
            stretch xs = stretch_at(c, 2, x);
            one_stretch(g, at, &xs, &p);
            x = xs.end;
        }
    }
}

/* ---- Shares and scratch ---- */

static int64_t all_panels(const lt_conv_taps *t)
{
    return t->c.groups * lt_conv_group_panels(&t->c, t->isa->nr);
}

static size_t panel_bytes(const lt_conv_taps *t)
{
    return (size_t)(t->c.channels / t->c.groups * t->c.taps * t->isa->nr) * sizeof(float);
}

/* Extents of the image with the pads that are reached. */
static void padded(const lt_conv *c, int64_t extent[3])
{
    extent[0] = 1;
    for (int i = 1; i < 3; i++) {
        extent[i] = (c->out[i] - 1) * c->stride[i] + (c->kernel[i] - 1) * c->dilation[i] + 1;
    }
}

static bool is_copied(const lt_conv *c)
{
    int64_t extent[3];
    padded(c, extent);
    bool pads = c->begin[1] > 0 || c->begin[2] > 0 || extent[1] > c->in[1] || extent[2] > c->in[2];
    return pads && c->taps > 1 && c->pixels <= FEW_RESULTS && c->dilation[1] == 1 && c->dilation[2] == 1 &&
           extent[1] <= FEW_PIXELS && extent[2] <= FEW_PIXELS && extent[1] * extent[2] <= FEW_PIXELS;
}

/* Also where nothing is copied: scratch grows with every extent. */
static size_t copy_bytes(const lt_conv *c)
{
    int64_t extent[3], pixels = FEW_PIXELS;
    padded(c, extent);
    if (extent[1] <= FEW_PIXELS && extent[2] <= FEW_PIXELS && extent[1] * extent[2] < pixels) {
        pixels = extent[1] * extent[2];
    }
    return c->taps == 1 || pixels < 1 ? 0 : ((size_t)(pixels * c->channels) * sizeof(float) + 63) / 64 * 64;
}

/* Pixels of the image to the copy, where they lie together. */
static void copy_pixels(const ground *g, float *dst, const float *x, int64_t count)
{
    int64_t channels = g->cell, together = g->t->cell == channels ? count : 1;
    for (int64_t i = 0; i < count; i += together) {
        memcpy(dst + i * channels, x + i * g->t->cell, (size_t)(together * channels) * sizeof(float));
    }
}

/* The image with zeros around it. */
static void copy_image(const ground *g, const float *x)
{
    const lt_conv *from = &g->t->c, *to = &g->c;
    int64_t left = from->begin[2] > 0 ? from->begin[2] : 0, skip = from->begin[2] < 0 ? -from->begin[2] : 0,
            have = from->in[2] - skip < to->in[2] - left ? from->in[2] - skip : to->in[2] - left;
    have = have < 0 ? 0 : have;
    for (int64_t y = 0; y < to->in[1]; y++) {
        int64_t line = y - from->begin[1];
        float *dst = g->copy + y * g->pitch;
        memset(dst, 0, (size_t)g->pitch * sizeof(float));
        if (line >= 0 && line < from->in[1] && have > 0) {
            copy_pixels(g, dst + left * g->cell, x + (line * from->in[2] + skip) * g->t->cell, have);
        }
    }
}

typedef struct layout {
    size_t tile, taps, panels, copy, total;
} layout;

static layout scratch_layout(const lt_conv_taps *t, const lathe_problem *problem)
{
    size_t one = panel_bytes(t), all = (size_t)all_panels(t) * one, group = one > GROUP_BYTES ? one : GROUP_BYTES;
    layout l = { .tile = (lt_tile_scratch(problem) + 63) / 64 * 64 };
    l.taps = l.tile + LT_TILE * sizeof(float);
    l.panels = l.taps + ((size_t)t->c.taps * sizeof(int64_t) + 63) / 64 * 64;
    l.copy = l.panels + (t->packed ? 0 : (all < group ? all : group));
    l.total = l.copy + copy_bytes(&t->c);
    return l;
}

size_t lt_conv_taps_scratch(const lt_conv_taps *t, const lathe_problem *problem, int threads)
{
    return scratch_layout(t, problem).total * (size_t)threads;
}

static void fill_taps(ground *g)
{
    const lt_conv *c = &g->c;
    int64_t n = 0;
    for (int64_t y = 0; y < c->kernel[1]; y++) {
        for (int64_t x = 0; x < (g->joined ? 1 : c->kernel[2]); x++) {
            g->tap[n++] = y * c->dilation[1] * g->pitch + x * c->dilation[2] * g->cell;
        }
    }
}

/* Threads side by side over lines and panels, so that the largest share is smallest. */
static void share(const ground *g, const lathe_gang *gang, int64_t lines[2], int64_t panels[2])
{
    const lt_conv *c = &g->c;
    int64_t all_lines = c->batch * c->out[1], all = all_panels(g->t);
    int best = 1;
    double least = INFINITY;
    for (int n = 1; n <= gang->count; n++) {
        if (gang->count % n != 0) {
            continue;
        }
        double l = (double)((all_lines + n - 1) / n), p = (double)((all + gang->count / n - 1) / (gang->count / n));
        double cost = l * (double)c->out[2] * (p + 0.1) + p * (g->t->packed ? 4 : 20);
        if (cost < least) {
            least = cost;
            best = n;
        }
    }
    int across = gang->count / best, row = gang->index / across, col = gang->index % across;
    lines[0] = all_lines * row / best;
    lines[1] = all_lines * (row + 1) / best;
    panels[0] = all * col / across;
    panels[1] = all * (col + 1) / across;
}

/* Lines of a band: an even number whose part of the image stays in the cache. */
static int64_t band_lines(const ground *g)
{
    const lt_conv *c = &g->c;
    int64_t bytes = c->stride[1] * g->pitch * (int64_t)sizeof(float), n = bytes > 0 ? BAND_BYTES / bytes / 2 * 2 : 64;
    return n < 2 ? 2 : n;
}

static void next_image(ground *g, int64_t image)
{
    const float *x = g->t->x + image * g->t->c.plane * g->t->cell;
    if (g->copy) {
        copy_image(g, x);
    } else {
        g->x = x;
    }
}

static void run_share(ground *g, const lathe_gang *gang)
{
    const lt_conv *c = &g->c;
    size_t size = panel_bytes(g->t);
    int64_t lines[2], panels[2], most = band_lines(g), group = (int64_t)(size > 0 ? GROUP_BYTES / size : 64);
    share(g, gang, lines, panels);
    int64_t step = g->t->packed ? panels[1] - panels[0] : group > 0 ? group : 1;
    for (int64_t first = panels[0]; first < panels[1]; first += step) {
        int64_t end = first + step < panels[1] ? first + step : panels[1];
        const float *b = g->t->packed ? g->t->packed + (size_t)first * size / sizeof(float) : g->panels;
        if (!g->t->packed) {
            g->t->build(g->t, first, end - first, g->panels);
        }
        int64_t image = -1;
        for (int64_t at = lines[0]; at < lines[1];) {
            place p = { .image = at / c->out[1] };
            if (p.image != image) {
                image = p.image;
                next_image(g, image);
            }
            p.lines = stretch_at(c, 1, at % c->out[1]);
            int64_t n = p.lines.end - p.lines.begin, left = lines[1] - at;
            n = n < left ? n : left;
            n = n < most ? n : most;
            p.lines.end = p.lines.begin + n;
            one_band(g, &p, first, end, b);
            at += n;
        }
    }
}

lathe_status lt_conv_taps_run(const lt_conv_taps *t, const lathe_gang *gang, const lathe_call *call, lathe_diag *diag)
{
    const lt_conv *c = &t->c;
    layout l = scratch_layout(t, call->problem);
    char *scratch = (char *)call->scratch + l.total * (size_t)gang->index;
    lt_ending e = lt_ending_of_call(call, 1, c->filters);
    lt_tile_program program;
    ground g = { .t = t,
                 .program = &program,
                 .kernels = lt_brgemm_of(t->isa),
                 .bias = t->bias,
                 .scale = 1,
                 .low = e.low,
                 .high = e.high };
    if (c->batch * c->pixels * c->filters == 0) {
        return LATHE_OK;
    }
    g.y = call->out[0].data;
    g.tile = (float *)(void *)(scratch + l.tile);
    g.tap = (int64_t *)(void *)(scratch + l.taps);
    g.panels = (float *)(void *)(scratch + l.panels);
    g.cell = t->cell;
    g.y_row = lt_row_step(&call->out[0], c->filters, sizeof(float));
    g.depth = c->channels / c->groups;
    g.c = *c;
    if (is_copied(c)) {
        g.x = g.copy = (float *)(void *)(scratch + l.copy);
        padded(c, g.c.in);
        g.cell = c->channels;
        g.c.begin[1] = g.c.begin[2] = 0;
    }
    g.pitch = g.c.in[2] * g.cell;
    g.joined = c->groups == 1 && c->dilation[2] == 1 && g.cell == c->channels;
    g.direct = e.simple && !(t->bias && (e.bias >= 0 || e.scale != 1.0f)) && !(e.add >= 0 && e.scale != 1.0f);
    if (g.direct) {
        g.scale = e.scale;
        g.bias = t->bias ? t->bias : e.bias >= 0 ? call->in[e.bias].data : NULL;
        g.add = e.add >= 0 ? call->in[e.add].data : NULL;
        g.add_row = e.add >= 0 ? lt_row_step(&call->in[e.add], c->filters, sizeof(float)) : 0;
    } else {
        LT_TRY(lt_tile_prepare(g.program, t->isa, call, scratch, g.tile, diag));
        memset(g.tile, 0, LT_TILE * sizeof(float)); /* lanes behind the last column hold numbers */
    }
    fill_taps(&g);
    run_share(&g, gang);
    return LATHE_OK;
}
