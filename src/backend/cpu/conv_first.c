/*
 * conv_first.c - driver of conv.f32.first: convolutions of rank 3 and 4 that read plain activations of few channels, as images come, and leave
 * channels-last results. Its rows are made by conv_more__each.c; weights are packed as for conv.f32.nhwc.direct.
 *
 * The input rows under a block of output pixels are copied to a strip, pixel by pixel with their channels, pads included. In the strip a kernel row's taps are
 * neighbours, so that each row of the kernel is one tap of a batch-reduce product whose rows, the output's pixels, overlap in memory: nothing is gathered.
 */
#include "backend/cpu/conv_more.h"
#include "backend/cpu/product.h"
#include <math.h>
#include <string.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

enum {
    STRIP_BYTES = 256 * 1024,
    LEAST = 14, /* output pixels of a strip */
    MOST_CHANNELS = 128,
    MOST_TAPS = 64,
};

static const int8_t orders[2][4] = { { 0, 2, 1 }, { 0, 2, 3, 1 } };

typedef struct shape {
    lt_conv c;
    int64_t reach[2];     /* input rows and columns under one output pixel */
    int64_t most_strip;   /* floats of a strip */
    int64_t wide, tall;   /* output pixels of a strip and their rows, at most */
    int64_t across, down; /* strips of an image */
    int64_t panels;
} shape;

typedef struct worker {
    const shape *s;
    const float *x, *w;
    lt_emit emit;
    float *strip;
} worker;

/* A strip: output rows y .. y + tall, columns x .. x + wide, and the input under them. */
typedef struct strip {
    int64_t image, y, x, tall, wide, line; /* line: floats of an input row */
} strip;

static int64_t covered(const shape *s, int axis,
                       int64_t points) /* input extent under so many outputs of spatial axis 1 or 2 */
{
    return (points - 1) * s->c.stride[axis] + s->reach[axis - 1];
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* As large as the second-level cache likes; at least one stretch of a row. */
static void cut(shape *s, int nr)
{
    int64_t least = s->reach[0] * covered(s, 2, LEAST) * s->c.channels, all = 0, limit = STRIP_BYTES / 4;
    limit = limit < least ? least : limit;
    if (s->c.out[1] > 0 && s->c.out[2] > 0) {
        all = covered(s, 1, s->c.out[1]) * covered(s, 2, s->c.out[2]) * s->c.channels;
    }
    s->most_strip = all < limit ? all : limit;
    s->wide = s->c.out[2];
    if (s->wide > LEAST && s->reach[0] * covered(s, 2, s->wide) * s->c.channels > limit) {
        int64_t columns = limit / (s->reach[0] * s->c.channels), more = (columns - s->reach[1]) / s->c.stride[2] + 1;
        s->wide = more > 2 * LEAST ? more / LEAST * LEAST : LEAST;
    }
    s->wide = s->wide > 0 ? s->wide : 1;
    int64_t rows = limit / (covered(s, 2, s->wide) * s->c.channels);
    s->tall = rows > s->reach[0] ? (rows - s->reach[0]) / s->c.stride[1] + 1 : 1;
    s->across = (s->c.out[2] + s->wide - 1) / s->wide;
    s->down = (s->c.out[1] + s->tall - 1) / s->tall;
    s->panels = (s->c.filters + nr - 1) / nr;
}

static lathe_status read_shape(const lt_cpu_isa *isa, const lathe_problem *p, const lathe_buffer *in,
                               const lathe_buffer *out, shape *s, lathe_diag *diag)
{
    uint16_t nx, nw;
    (void)lt_root_operand(p, 0, &nx);
    (void)lt_root_operand(p, 1, &nw);
    LT_TRY(lt_conv_read(p, &in[nx], &in[nw], &out[0], &s->c, diag));
    for (int i = 0; i < 2; i++) {
        s->reach[i] = (s->c.kernel[i + 1] - 1) * s->c.dilation[i + 1] + 1;
        if (s->c.stride[i + 1] > 1024 || s->c.dilation[i + 1] > 1024 || s->reach[i] > 1 << 16) {
            return LT_FAIL(diag, LATHE_BAD_SHAPE, p->op, NULL, "strides or dilations above 1024");
        }
    }
    if (s->c.channels < 1 || s->c.channels > MOST_CHANNELS) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, p->op, NULL, "%lld channels", (long long)s->c.channels);
    }
    cut(s, isa->nr);
    return LATHE_OK;
}

/* ---- The strip ---- */

/* count pixels of `channels` planes, one behind the other. */
static void interleave(const float *src, int64_t plane, int64_t channels, int64_t count, float *dst)
{
    if (channels == 1) {
        memcpy(dst, src, (size_t)count * sizeof *dst);
        return;
    }
    if (channels == 3) {
        const float *a = src, *b = src + plane, *c = b + plane;
        int64_t i = 0;
#if defined(__SSE2__)
        for (; i + 4 <= count; i += 4, dst += 12) {
            __m128 x = _mm_loadu_ps(a + i), y = _mm_loadu_ps(b + i), z = _mm_loadu_ps(c + i);
            __m128 low = _mm_unpacklo_ps(x, y), high = _mm_unpackhi_ps(x, y); /* x0 y0 x1 y1, x2 y2 x3 y3 */
            __m128 zx = _mm_shuffle_ps(z, x, _MM_SHUFFLE(1, 1, 0, 0)), yz = _mm_shuffle_ps(y, z, _MM_SHUFFLE(1, 1, 1, 1));
            __m128 zx3 = _mm_shuffle_ps(z, x, _MM_SHUFFLE(3, 3, 2, 2)),
                   yz3 = _mm_shuffle_ps(y, z, _MM_SHUFFLE(3, 3, 3, 3));
            _mm_storeu_ps(dst, _mm_shuffle_ps(low, zx, _MM_SHUFFLE(2, 0, 1, 0)));
            _mm_storeu_ps(dst + 4, _mm_shuffle_ps(yz, high, _MM_SHUFFLE(1, 0, 2, 0)));
            _mm_storeu_ps(dst + 8, _mm_shuffle_ps(zx3, yz3, _MM_SHUFFLE(2, 0, 2, 0)));
        }
#endif
        for (; i < count; i++, dst += 3) {
            dst[0] = a[i];
            dst[1] = b[i];
            dst[2] = c[i];
        }
        return;
    }
    for (int64_t first = 0; first < count; first += 16) {
        int64_t n = smaller(count - first, 16);
        for (int64_t k = 0; k < channels; k++) {
            const float *from = src + k * plane + first;
            float *to = dst + first * channels + k;
            for (int64_t i = 0; i < n; i++) {
                to[i * channels] = from[i];
            }
        }
    }
}

static void fill_strip(const worker *w, const strip *t)
{
    const lt_conv *c = &w->s->c;
    int64_t rows = covered(w->s, 1, t->tall), columns = t->line / c->channels, k = c->channels;
    int64_t y0 = t->y * c->stride[1] - c->begin[1], x0 = t->x * c->stride[2] - c->begin[2];
    int64_t low = x0 < 0 ? smaller(-x0, columns) : 0, high = c->in[2] - x0 < columns ? c->in[2] - x0 : columns;
    high = high < low ? low : high;
    for (int64_t i = 0; i < rows; i++) {
        float *dst = w->strip + i * t->line;
        int64_t y = y0 + i;
        if (y < 0 || y >= c->in[1]) {
            memset(dst, 0, (size_t)t->line * sizeof *dst);
            continue;
        }
        memset(dst, 0, (size_t)(low * k) * sizeof *dst);
        if (high > low) {
            interleave(w->x + t->image * k * c->plane + y * c->in[2] + x0 + low, c->plane, k, high - low,
                       dst + low * k);
        }
        memset(dst + high * k, 0, (size_t)((columns - high) * k) * sizeof *dst);
    }
}

/* ---- Running ---- */

static void one_strip(const worker *w, const strip *t, const int64_t *taps, int64_t n_taps, int64_t panel, int64_t end)
{
    const lt_conv *c = &w->s->c;
    int nr = w->emit.kernels->nr;
    lt_brgemm_call call = {
        .lda = c->stride[2] * c->channels, .taps = n_taps, .tap = taps, .k = c->channels * c->taps / n_taps
    };
    for (; panel < end; panel++) {
        int64_t first = panel * nr;
        call.b = w->w + first * c->channels * c->taps;
        call.bias = w->emit.bias ? w->emit.bias + first : NULL;
        call.cols = (int)smaller(c->filters - first, nr);
        for (int64_t y = 0; y < t->tall; y++) {
            call.a[0] = w->strip + y * c->stride[1] * t->line;
            lt_emit_rows(&w->emit, &call, t->wide, (t->image * c->out[1] + t->y + y) * c->out[2] + t->x, 1, first);
        }
    }
}

/* Rows of the kernel, or, where columns are dilated, all of its elements. */
static int64_t fill_taps(const lt_conv *c, int64_t line, int64_t *taps)
{
    int64_t n = 0, columns = c->dilation[2] == 1 ? 1 : c->kernel[2];
    for (int64_t y = 0; y < c->kernel[1]; y++) {
        for (int64_t x = 0; x < columns; x++) {
            taps[n++] = y * c->dilation[1] * line + x * c->dilation[2] * c->channels;
        }
    }
    return n;
}

static void run_share(const worker *w, const lt_share *share)
{
    const shape *s = w->s;
    int64_t taps[MOST_TAPS];
    for (int64_t u = share->row_begin; u < share->row_end && share->col_begin < share->col_end; u++) {
        strip t = { .image = u / s->across / s->down,
                    .y = u / s->across % s->down * s->tall,
                    .x = u % s->across * s->wide };
        t.tall = smaller(s->c.out[1] - t.y, s->tall);
        t.wide = smaller(s->c.out[2] - t.x, s->wide);
        t.line = covered(s, 2, t.wide) * s->c.channels;
        fill_strip(w, &t);
        int64_t n = fill_taps(&s->c, t.line, taps);
        one_strip(w, &t, taps, n, share->col_begin, share->col_end);
    }
}

static size_t thread_bytes(const shape *s, const lathe_problem *p)
{
    return lt_more_align(lt_emit_scratch(p)) + lt_more_align((size_t)s->most_strip * sizeof(float));
}

size_t lt_first_scratch(const lt_cpu_isa *isa, const lathe_problem *problem, uint32_t config, const lathe_buffer *in,
                        const lathe_buffer *out, int threads)
{
    shape s;
    (void)config;
    return read_shape(isa, problem, in, out, &s, NULL) == LATHE_OK ? thread_bytes(&s, problem) * (size_t)threads : 0;
}

lathe_status lt_first_run(const lt_cpu_isa *isa, const lathe_gang *gang, const lathe_call *call, lathe_diag *diag)
{
    shape s;
    uint16_t nx, nw;
    const float *bias;
    LT_TRY(read_shape(isa, call->problem, call->in, call->out, &s, diag));
    char *scratch = (char *)call->scratch + thread_bytes(&s, call->problem) * (size_t)gang->index;
    worker w = { .s = &s, .strip = (float *)(void *)(scratch + lt_more_align(lt_emit_scratch(call->problem))) };
    (void)lt_root_operand(call->problem, 0, &nx);
    (void)lt_root_operand(call->problem, 1, &nw);
    w.x = call->in[nx].data;
    w.w = call->in[nw].data;
    LT_TRY(lt_more_bias(call, 2, s.c.filters, &bias, diag));
    LT_TRY(lt_emit_prepare(&w.emit, isa, call, bias, scratch, diag));
    int64_t even = (s.c.out[1] * s.c.batch * s.across + gang->count - 1) / gang->count; /* rows for each thread */
    if (gang->count > 1 && even < s.tall) {
        s.tall = even > 0 ? even : 1;
        s.down = (s.c.out[1] + s.tall - 1) / s.tall;
    }
    lt_share share = lt_more_share(gang, s.c.batch * s.down * s.across, s.panels, 0.2, 0.5);
    run_share(&w, &share);
    return LATHE_OK;
}

/* What an attribute says at most; 1 when it is absent. */
static int64_t largest(const lathe_problem *p, const char *name)
{
    size_t n;
    int64_t most = 1;
    const int64_t *list = lt_attr_ints(p->attrs, p->n_attrs, name, &n);
    for (size_t i = 0; i < n; i++) {
        most = list[i] > most ? list[i] : most;
    }
    return most;
}

int lt_first_fits(const lt_cpu_isa *isa, const lathe_problem *problem, uint32_t config, lathe_fit *fit)
{
    uint16_t nx, nw;
    (void)config;
    if (!lt_root_fits(problem, false, fit)) {
        return 0;
    }
    const lathe_operand *x = lt_root_operand(problem, 0, &nx), *w = lt_root_operand(problem, 1, &nw);
    if (!lt_conv_fits(problem, x, w, fit) || !lt_more_weights(problem, fit)) {
        return 0;
    }
    if (x->rank > 4 || lt_conv_groups(problem) != 1) {
        return lt_no(fit, "rank %d, %lld groups", x->rank, (long long)lt_conv_groups(problem));
    }
    double elements = 1, points = 1, filters = (double)w->dims[0].max, k = (double)w->dims[1].max;
    int64_t taps = 1;
    for (int i = 0; i < x->rank; i++) {
        elements *= (double)x->dims[i].opt;
        points *= (double)problem->out[0].dims[i].opt;
        taps *= i < 2 ? 1 : w->dims[i].max;
        k *= i < 2 ? 1 : (double)w->dims[i].max;
        if (w->dims[i].max > 4096) {
            return lt_no(fit, "weights of extent %lld", (long long)w->dims[i].max);
        }
    }
    int64_t dilation = largest(problem, "dilations");
    if (w->dims[1].max > MOST_CHANNELS || (dilation > 1 ? taps : x->rank == 4 ? w->dims[2].max : 1) > MOST_TAPS) {
        return lt_no(fit, "%lld channels, %lld taps: too many", (long long)w->dims[1].max, (long long)taps);
    }
    if (dilation > 16 || largest(problem, "strides") > 1024) {
        return lt_no(fit, "dilations above 16 or strides above 1024");
    }
    fit->pack[nw] = "conv.w.nhwc.f32";
    fit->pack_param[nw][0] = isa->nr;
    for (size_t i = 0; i < problem->n_instrs; i++) {
        if (problem->instrs[i].op == LATHE_PW_LOAD && problem->instrs[i].operand == nx) {
            return lt_no(fit, "the epilogue reads the plain input as well");
        }
    }
    lt_tile_formats(problem, orders[x->rank - 3], fit);
    lt_tile_rows_apart(problem, fit);
    double wide = ceil(filters / isa->nr) * isa->nr;
    fit->cost = 1000 + points / filters * wide * 2 * k / isa->gflops * 0.95 +
                elements * (w->dims[1].max > 4 ? 0.8 : 0.3) + lt_problem_bytes(problem) * 0.03 +
                points * lt_emit_cost(isa, problem);
    return 1;
}
