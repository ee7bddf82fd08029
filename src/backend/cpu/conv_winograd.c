/*
 * conv_winograd.c - driver of conv.f32.nhwc.winograd2: 3x3 convolutions with stride 1 on channels-last tensors, by Winograd's F(2,3), and the
 * pack of its weights "conv.w.winograd2.f32". conv_winograd__each.c has the transforms.
 *
 * With dilation d the points of each remainder of their coordinates modulo d are a convolution without dilation.
 *
 * A block of tiles is transformed so that it stays in the second-level cache; then, panel by panel of filters, 16 matrix products and the way back. Sums are
 * those of F(2,3) whatever the block, so that bits depend on nothing else. Infinities and NaN spread over the 2x2 results of a tile.
 */
#include "backend/cpu/conv_winograd.h"
#include "backend/cpu/conv_more.h"
#include "backend/cpu/product.h"
#include <math.h>
#include <string.h>

enum {
    POINTS = LT_WINOGRAD_POINTS,
    BLOCK_BYTES = 1 << 19,       /* of transformed input, where there are several blocks, */
    BLOCK_TILES = 42,            /* unless these are more: weights are read once for each block */
    ONLY_BYTES = 13 * (1 << 17), /* where there is one block */
    MOST_DILATION = 64,
    APART = 16, /* floats between the matrices of two points, so that they do not meet in one set of the cache */
};

static const int8_t channels_last[] = { 0, 2, 3, 1 };

/* ---- The pack: (filter, channel, 3, 3) as panels of points x channels x nr filters. param: nr ---- */

/* G g G' with G = (1 0 0, 1/2 1/2 1/2, 1/2 -1/2 1/2, 0 0 1). */
static void transform(const double g[3][3], double u[4][4])
{
    double t[4][3];
    for (int j = 0; j < 3; j++) {
        t[0][j] = g[0][j];
        t[1][j] = (g[0][j] + g[1][j] + g[2][j]) / 2;
        t[2][j] = (g[0][j] - g[1][j] + g[2][j]) / 2;
        t[3][j] = g[2][j];
    }
    for (int i = 0; i < 4; i++) {
        u[i][0] = t[i][0];
        u[i][1] = (t[i][0] + t[i][1] + t[i][2]) / 2;
        u[i][2] = (t[i][0] - t[i][1] + t[i][2]) / 2;
        u[i][3] = t[i][2];
    }
}

static size_t pack_bytes(const lathe_tensor *t, const int64_t param[4])
{
    int64_t count;
    size_t bytes;
    if (t->dtype != LATHE_DTYPE_F32 || t->rank != 4 || param[0] < 1 || param[0] > LT_GEMM_NR || t->dims[2] != 3 ||
        t->dims[3] != 3 || t->dims[0] < 1 || t->dims[1] < 1 ||
        !lt_i64_mul((t->dims[0] + param[0] - 1) / param[0] * param[0], t->dims[1], &count) ||
        !lt_i64_mul(count, POINTS, &count) || !lt_size_mul((size_t)count, sizeof(float), &bytes)) {
        return 0;
    }
    return bytes;
}

static void pack(void *dst, const lathe_tensor *t, const int64_t param[4])
{
    int64_t nr = param[0], filters = t->dims[0], channels = t->dims[1];
    const float *w = t->data;
    for (int64_t f = 0; f < filters; f++) {
        float *panel = (float *)dst + f / nr * POINTS * channels * nr + f % nr;
        for (int64_t c = 0; c < channels; c++, w += 9) {
            double g[3][3], u[4][4];
            for (int i = 0; i < 9; i++) {
                g[i / 3][i % 3] = (double)w[i];
            }
            transform(g, u);
            for (int i = 0; i < POINTS; i++) {
                panel[(i * channels + c) * nr] = (float)u[i / 4][i % 4];
            }
        }
    }
}

LT_PACKS(conv_winograd) = {
    { .name = "conv.w.winograd2.f32",
      .version = 1,
      .summary = "3x3 filters transformed for F(2,3), in panels of param[0]",
      .bytes = pack_bytes,
      .pack = pack },
    { .name = NULL },
};

/* ---- Shape ---- */

typedef struct shape {
    lt_conv c;
    int64_t down, across;              /* tiles of one remainder of the rows and columns modulo the dilation */
    int64_t tall, wide, tiles, panels; /* tiles of an image's height and width, of all images */
    int64_t most, only;                /* tiles of a block, if there are several and if there is one */
} shape;

/* Tiles along an axis, of the points that have one remainder modulo the dilation: they are a convolution of their own. */
static int64_t tiles_of(int64_t points, int64_t dilation)
{
    return ((points + dilation - 1) / dilation + 1) / 2;
}

static int64_t at_least(int64_t x, int64_t least)
{
    return x < least ? least : x;
}

static lathe_status read_shape(const lt_winograd *level, const lathe_problem *p, const lathe_buffer *in,
                               const lathe_buffer *out, shape *s, lathe_diag *diag)
{
    uint16_t nx, nw;
    (void)lt_root_operand(p, 0, &nx);
    (void)lt_root_operand(p, 1, &nw);
    LT_TRY(lt_conv_read(p, &in[nx], &in[nw], &out[0], &s->c, diag));
    s->down = tiles_of(s->c.out[1], s->c.dilation[1]);
    s->across = tiles_of(s->c.out[2], s->c.dilation[2]);
    s->tall = s->down * s->c.dilation[1];
    s->wide = s->across * s->c.dilation[2];
    s->tiles = s->c.batch * s->tall * s->wide;
    s->panels = (s->c.filters + level->isa->nr - 1) / level->isa->nr;
    int64_t tile = s->c.channels * POINTS * (int64_t)sizeof(float);
    s->most = at_least(BLOCK_BYTES / at_least(tile, 1), BLOCK_TILES);
    s->only = at_least(ONLY_BYTES / at_least(tile, 1), BLOCK_TILES);
    return LATHE_OK;
}

typedef struct layout { /* of one thread's scratch */
    size_t zeros, v, m, total;
} layout;

static layout scratch_layout(const lt_winograd *level, const shape *s, const lathe_problem *p)
{
    int64_t block = s->tiles < s->only ? s->tiles : s->only;
    layout l = { .zeros = lt_more_align(lt_emit_scratch(p)) };
    l.v = l.zeros + lt_more_align((size_t)s->c.channels * sizeof(float));
    l.m = l.v + lt_more_align((size_t)(block * s->c.channels + APART) * POINTS * sizeof(float));
    l.total = l.m + lt_more_align((size_t)(block * level->isa->nr + APART) * POINTS * sizeof(float));
    return l;
}

size_t lt_winograd_scratch(const lt_winograd *level, const lathe_problem *problem, uint32_t config,
                           const lathe_buffer *in, const lathe_buffer *out, int threads)
{
    shape s;
    (void)config;
    return read_shape(level, problem, in, out, &s, NULL) == LATHE_OK
               ? scratch_layout(level, &s, problem).total * (size_t)threads
               : 0;
}

/* ---- Running ---- */

typedef struct worker {
    const lt_winograd *level;
    const shape *s;
    const float *x, *u;
    int64_t cell; /* from pixel to pixel of the image */
    lt_emit emit;
    lt_finish finish;
    bool registers;
    float *zeros, *v, *m;
    int64_t v_step, m_step;
} worker;

typedef struct tile {
    int64_t image, y, x; /* in tiles */
} tile;

static tile tile_of(const shape *s, int64_t number)
{
    return (tile){ number / s->wide / s->tall, number / s->wide % s->tall, number % s->wide };
}

static void next_tile(const shape *s, tile *t)
{
    if (++t->x == s->wide) {
        t->x = 0;
        if (++t->y == s->tall) {
            t->y = 0;
            t->image++;
        }
    }
}

/* Coordinates in the output of a tile's first pixel; the others are `dilation` apart. */
static int64_t first_row(const shape *s, const tile *t)
{
    return t->y / s->down + t->y % s->down * 2 * s->c.dilation[1];
}

static int64_t first_column(const shape *s, const tile *t)
{
    return t->x / s->across + t->x % s->across * 2 * s->c.dilation[2];
}

static void transform_tile(const worker *w, const tile *t, float *v)
{
    const lt_conv *c = &w->s->c;
    int64_t y = first_row(w->s, t) - c->begin[1], x = first_column(w->s, t) - c->begin[2],
            cell = w->cell, line = c->in[2] * cell;
    int64_t dy = c->dilation[1], dx = c->dilation[2];
    const float *image = w->x + t->image * c->plane * cell, *px[POINTS];
    if (y >= 0 && x >= 0 && y + 3 * dy < c->in[1] && x + 3 * dx < c->in[2]) {
        w->level->inside(image + y * line + x * cell, dy * line, dx * cell, c->channels, v, w->v_step);
        return;
    }
    for (int i = 0; i < POINTS; i++) {
        int64_t py = y + i / 4 * dy, qx = x + i % 4 * dx;
        px[i] = py >= 0 && py < c->in[1] && qx >= 0 && qx < c->in[2] ? image + py * line + qx * cell : w->zeros;
    }
    w->level->border(px, c->channels, v, w->v_step);
}

/* Offsets of a tile's pixels in the output and in what is added. */
static void pixels(const worker *w, const tile *t, int64_t first, lt_winograd_out *o)
{
    const lt_conv *c = &w->s->c;
    for (int i = 0; i < 4; i++) {
        int64_t y = first_row(w->s, t) + i / 2 * c->dilation[1], x = first_column(w->s, t) + i % 2 * c->dilation[2];
        int64_t pixel = (t->image * c->out[1] + y) * c->out[2] + x;
        o->at[i] = y < c->out[1] && x < c->out[2] ? pixel * w->emit.y_row + first : -1;
        o->add_at[i] = pixel * w->emit.add_row + first;
    }
}

static void results(const worker *w, int64_t first, int64_t count, int64_t panel)
{
    const shape *s = w->s;
    int nr = w->level->isa->nr;
    int64_t filter = panel * nr, left = s->c.filters - filter;
    tile t = tile_of(s, first);
    lt_winograd_out o = { .m_step = w->m_step,
                          .y = w->emit.y,
                          .add = w->emit.add,
                          .bias = w->emit.bias ? w->emit.bias + filter : NULL,
                          .cols = left < nr ? (int)left : nr,
                          .scale = w->emit.scale,
                          .finish = w->finish };
    for (int64_t i = 0; i < count; i++, next_tile(s, &t)) {
        o.m = w->m + i * nr;
        pixels(w, &t, filter, &o);
        w->level->out(&o);
    }
}

/* One output row of `n` neighbouring tiles, which lies in the tile program's tile. */
static void run_program(const worker *w, const tile *t, int n, int row, int64_t filter, int cols)
{
    const lt_conv *c = &w->s->c;
    int64_t y = first_row(w->s, t) + row * c->dilation[1], x = first_column(w->s, t);
    int64_t left = (c->out[2] - x + c->dilation[2] - 1) / c->dilation[2];
    if (y < c->out[1] && left > 0) {
        lt_tile_block block = { .start = ((t->image * c->out[1] + y) * c->out[2] + x) * c->filters + filter,
                                .row_step = c->dilation[2] * c->filters,
                                .rows = left < 2 * n ? (int)left : 2 * n,
                                .cols = cols,
                                .pitch = w->level->isa->nr };
        lt_tile_run(&w->emit.program, &block);
    }
}

/* The same through the tile program: a few neighbouring tiles at a time, first their upper pixels, then the lower ones. */
static void results_by_program(const worker *w, int64_t first, int64_t count, int64_t panel)
{
    const shape *s = w->s;
    int nr = w->level->isa->nr, most = LT_TILE / nr / 2;
    int64_t filter = panel * nr, left = s->c.filters - filter;
    lt_winograd_out o = { .m_step = w->m_step,
                          .bias = w->emit.bias ? w->emit.bias + filter : NULL,
                          .cols = left < nr ? (int)left : nr,
                          .scale = 1,
                          .finish = { .kind = LT_FINISH_NONE } };
    for (int64_t done = 0; done < count;) {
        tile t = tile_of(s, first + done);
        int n = s->across - t.x % s->across < most ? (int)(s->across - t.x % s->across) : most;
        n = count - done < n ? (int)(count - done) : n;
        for (int row = 0; row < 2; row++) {
            o.y = w->emit.tile;
            for (int i = 0; i < n; i++) {
                o.m = w->m + (done + i) * nr;
                o.at[0] = o.at[1] = o.at[2] = o.at[3] = -1;
                o.at[2 * row] = 2 * i * nr;
                o.at[2 * row + 1] = (2 * i + 1) * nr;
                w->level->out(&o);
            }
            run_program(w, &t, n, row, filter, o.cols);
        }
        done += n;
    }
}

static void one_block(const worker *w, int64_t first, int64_t count, int64_t panel, int64_t end)
{
    const shape *s = w->s;
    int64_t channels = s->c.channels;
    int nr = w->level->isa->nr;
    tile t = tile_of(s, first);
    for (int64_t i = 0; i < count; i++, next_tile(s, &t)) {
        transform_tile(w, &t, w->v + i * channels);
    }
    lt_brgemm_call call = {
        .lda = channels, .taps = 1, .k = channels, .ldc = nr, .scale = 1, .low = -INFINITY, .high = INFINITY, .cols = nr
    };
    for (; panel < end; panel++) {
        for (int i = 0; i < POINTS; i++) {
            call.a[0] = w->v + i * w->v_step;
            call.b = w->u + (panel * POINTS + i) * channels * nr;
            call.next = call.b + channels * nr;
            call.c[0] = w->m + i * w->m_step;
            lt_brgemm_run(w->emit.kernels, &call, count);
        }
        if (w->registers) {
            results(w, first, count, panel);
        } else {
            results_by_program(w, first, count, panel);
        }
    }
}

static lathe_status prepare(worker *w, const lathe_call *call, char *scratch, lathe_diag *diag)
{
    const shape *s = w->s;
    const float *bias;
    uint16_t nx, nw;
    layout l = scratch_layout(w->level, s, call->problem);
    (void)lt_root_operand(call->problem, 0, &nx);
    (void)lt_root_operand(call->problem, 1, &nw);
    w->x = call->in[nx].data;
    w->cell = lt_row_step(&call->in[nx], s->c.channels, sizeof(float));
    w->u = call->in[nw].data;
    w->zeros = (float *)(void *)(scratch + l.zeros);
    w->v = (float *)(void *)(scratch + l.v);
    w->m = (float *)(void *)(scratch + l.m);
    memset(w->zeros, 0, (size_t)s->c.channels * sizeof *w->zeros);
    LT_TRY(lt_more_bias(call, 2, s->c.filters, &bias, diag));
    LT_TRY(lt_emit_prepare(&w->emit, w->level->isa, call, bias, scratch, diag));
    w->finish = lt_finish_read(call);
    w->registers = w->emit.registers || w->finish.kind != LT_FINISH_TILE;
    if (w->emit.registers && w->finish.kind == LT_FINISH_TILE) {
        w->finish = (lt_finish){ .kind = LT_FINISH_LIMIT, .low = w->emit.low, .high = w->emit.high };
    }
    return LATHE_OK;
}

lathe_status lt_winograd_run(const lt_winograd *level, const lathe_gang *gang, const lathe_call *call, lathe_diag *diag)
{
    shape s;
    LT_TRY(read_shape(level, call->problem, call->in, call->out, &s, diag));
    worker w = { .level = level, .s = &s };
    LT_TRY(prepare(&w, call,
                   (char *)call->scratch + scratch_layout(level, &s, call->problem).total * (size_t)gang->index, diag));
    lt_share share = lt_more_share(gang, s.tiles, s.panels, 0.5, 6);
    int64_t rows = share.row_end - share.row_begin, most = rows <= s.only ? s.only : s.most;
    if (rows <= 0 || share.col_begin >= share.col_end) {
        return LATHE_OK;
    }
    int64_t blocks = (rows + most - 1) / most, block = (rows + blocks - 1) / blocks, even = 2 * w.emit.kernels->segment;
    if (blocks > 1 && (block + even - 1) / even * even <= most) {
        block = (block + even - 1) / even * even; /* the kernels' full height */
    }
    w.v_step = block * s.c.channels + APART;
    w.m_step = block * level->isa->nr + APART;
    for (int64_t first = share.row_begin; first < share.row_end; first += block) {
        int64_t left = share.row_end - first;
        one_block(&w, first, left < block ? left : block, share.col_begin, share.col_end);
    }
    return LATHE_OK;
}

/* The attribute's number of a spatial axis; 1 when it is absent. */
static int64_t number(const lathe_problem *p, const char *name, size_t axis)
{
    size_t n;
    const int64_t *list = lt_attr_ints(p->attrs, p->n_attrs, name, &n);
    return axis < n ? list[axis] : 1;
}

static double cost(const lt_winograd *level, const lathe_problem *p, double tiles, double channels, double filters)
{
    double nr = level->isa->nr, wide = ceil(filters / nr) * nr;
    double products = 2 * POINTS * tiles * channels * wide / (level->isa->gflops * 0.95);
    double there = tiles * channels * POINTS * 4 * 0.03, back = tiles * wide * POINTS * 4 * 0.02;
    double weights = channels * wide * POINTS * 4, each = fmax(BLOCK_BYTES / (channels * POINTS * 4), BLOCK_TILES),
           blocks = ceil(tiles / each);
    double waits = weights * (0.055 + (weights > BLOCK_BYTES ? (blocks - 1) * 0.01 : 0));
    double points = lt_finish_of(p) != LT_FINISH_TILE ? 0 : lt_emit_cost(level->isa, p);
    return 1000 + products + there + back + waits + tiles * 4 * filters * (0.05 + points);
}

int lt_winograd_fits(const lt_winograd *level, const lathe_problem *problem, uint32_t config, lathe_fit *fit)
{
    uint16_t nx, nw;
    (void)config;
    if (!lt_root_fits(problem, false, fit)) {
        return 0;
    }
    const lathe_operand *x = lt_root_operand(problem, 0, &nx), *w = lt_root_operand(problem, 1, &nw),
                        *y = &problem->out[0];
    if (!lt_conv_fits(problem, x, w, fit) || !lt_more_weights(problem, fit)) {
        return 0;
    }
    if (x->rank != 4 || w->dims[2].max != 3 || w->dims[3].max != 3 || number(problem, "strides", 0) != 1 ||
        number(problem, "strides", 1) != 1 || lt_conv_groups(problem) != 1) {
        return lt_no(fit, "no 3x3 convolution with strides and groups of 1");
    }
    int64_t dy = number(problem, "dilations", 0), dx = number(problem, "dilations", 1);
    if (dy < 1 || dx < 1 || dy > MOST_DILATION || dx > MOST_DILATION) {
        return lt_no(fit, "dilations of %lld and %lld", (long long)dy, (long long)dx);
    }
    if (w->dims[0].max < 8 || w->dims[1].max < 8) {
        return lt_no(fit, "%lld channels, %lld filters: too few", (long long)w->dims[1].max, (long long)w->dims[0].max);
    }
    fit->pack[nw] = "conv.w.winograd2.f32";
    fit->pack_param[nw][0] = level->isa->nr;
    fit->in[nx] = lt_format_permuted(x->dtype, channels_last, 4, fit->in[nx].space);
    lt_tile_formats(problem, channels_last, fit);
    lt_tile_rows_apart(problem, fit);
    fit->pitched_in |= nx < 64 ? (uint64_t)1 << nx : 0;
    double tiles = (double)y->dims[0].opt * (double)(tiles_of(y->dims[2].opt, dy) * dy) *
                   (double)(tiles_of(y->dims[3].opt, dx) * dx);
    fit->cost = cost(level, problem, tiles, (double)w->dims[1].max, (double)w->dims[0].max);
    return 1;
}
