/*
 * conv_up.c - driver of conv.f32.up: transposed convolutions of rank 3 to 5 on channels-last tensors, with constant weights (conv_up_pack.c). Its rows
 * are made by conv_more__each.c.
 *
 * The output is cut into the remainders of its coordinates modulo the strides (conv_up.h): each is an ordinary convolution of stride 1, whose results lie
 * `stride` pixels apart. Where all taps exist the product reads the input in place; pixels at borders are gathered, with zeros.
 */
#include "backend/cpu/conv_up.h"
#include "backend/cpu/conv_more.h"
#include "backend/cpu/product.h"
#include <string.h>

enum {
    CHUNK_BYTES = 1 << 20, /* of input that is used for all remainders before going on */
    GROUP = 4,             /* panels for which borders are gathered once, if that many stay in the cache: */
    GROUP_BYTES = 1 << 20,
    PAD = 16, /* floats between gathered rows, so that they do not meet in one set of the cache */
    ROWS = 2 * LT_BRGEMM_SEGMENT,
};

static const int8_t orders[3][5] = { { 0, 2, 1 }, { 0, 2, 3, 1 }, { 0, 2, 3, 4, 1 } };

typedef struct shape {
    lt_up_order o;
    int64_t batch, in[3], out[3], dilation[3], begin[3];
    int64_t grid[3];                     /* points of the largest remainder */
    int64_t lines;                       /* of a chunk */
    int64_t chunks, group, panel_groups; /* group: panels of one */
} shape;

typedef struct worker {
    const shape *s;
    const float *x, *w;
    int64_t cell; /* from pixel to pixel of x */
    lt_emit emit;
    int64_t *taps;
    float *rows;
} worker;

/* One remainder of one group. */
typedef struct phase {
    int64_t r[3], grid[3];      /* its points */
    int64_t low[3], high[3];    /* points whose taps all exist */
    int64_t offset[3], step[3]; /* of the first tap's input; to the next tap's */
    lt_up_taps taps[3];
    int64_t count, k; /* taps; lines of a panel */
    int64_t group;
    const float *panels;
} phase;

/* ---- Shape ---- */

static void same_pads(const lathe_problem *p, shape *s, int i, int64_t given, int64_t extra)
{
    bool upper = lt_attr_is(p->attrs, p->n_attrs, "auto_pad", "SAME_UPPER", "NOTSET");
    bool lower = lt_attr_is(p->attrs, p->n_attrs, "auto_pad", "SAME_LOWER", "NOTSET");
    if (!upper && !lower && !given) {
        return;
    }
    int64_t full = s->o.stride[i] * (s->in[i] - 1) + extra + (s->o.kernel[i] - 1) * s->dilation[i] + 1;
    int64_t total = full > s->out[i] ? full - s->out[i] : 0;
    s->begin[i] = upper ? total / 2 : total - total / 2;
}

static lathe_status read_spatial(const lathe_problem *p, const lathe_buffer *x, const lathe_buffer *w,
                                 const lathe_buffer *y, shape *s, lathe_diag *diag)
{
    lt_window win;
    size_t given, extras;
    int n = x->rank - 2;
    (void)lt_attr_ints(p->attrs, p->n_attrs, "output_shape", &given);
    const int64_t *extra = lt_attr_ints(p->attrs, p->n_attrs, "output_padding", &extras);
    LT_TRY(lt_window_read(p->attrs, p->n_attrs, n, &w->dims[2], &x->dims[2], &win, p->op, diag));
    for (int i = 0; i < 3; i++) {
        int k = i - (3 - n);
        s->in[i] = k < 0 ? 1 : x->dims[k + 2];
        s->out[i] = k < 0 ? 1 : y->dims[k + 2];
        s->dilation[i] = k < 0 ? 1 : win.dilation[k];
        s->begin[i] = k < 0 ? 0 : win.begin[k];
        if (s->dilation[i] > INT32_MAX || s->begin[i] > INT32_MAX) {
            return LT_FAIL(diag, LATHE_BAD_SHAPE, p->op, NULL, "spatial axis %d has no possible window", k);
        }
        if (k >= 0) {
            same_pads(p, s, i, given > 0, extras == (size_t)n ? extra[k] : 0);
        }
        s->grid[i] = (s->out[i] + s->o.stride[i] - 1) / s->o.stride[i];
    }
    return LATHE_OK;
}

static bool strides(const lathe_problem *p, int n, int64_t *stride, int64_t *dilation)
{
    size_t ns, nd;
    const int64_t *s = lt_attr_ints(p->attrs, p->n_attrs, "strides", &ns),
                  *d = lt_attr_ints(p->attrs, p->n_attrs, "dilations", &nd);
    int64_t classes = 1;
    for (int i = 0; i < n; i++) {
        stride[i] = ns == (size_t)n ? s[i] : 1;
        dilation[i] = nd == (size_t)n ? d[i] : 1;
        if (stride[i] < 1 || stride[i] > LT_UP_STRIDE || dilation[i] < 1) {
            return false;
        }
        classes *= stride[i];
    }
    return (ns == 0 || ns == (size_t)n) && (nd == 0 || nd == (size_t)n) && classes <= LT_UP_CLASSES;
}

static lathe_status read_shape(const lt_cpu_isa *isa, const lathe_problem *p, const lathe_buffer *in,
                               const lathe_buffer *out, shape *s, lathe_diag *diag)
{
    uint16_t nx, nw;
    int64_t stride[3], dilation[3], param[4];
    (void)lt_root_operand(p, 0, &nx);
    (void)lt_root_operand(p, 1, &nw);
    const lathe_buffer *x = &in[nx], *w = &in[nw], *y = &out[0];
    if (x->rank < 3 || x->rank > 5 || w->rank != x->rank || y->rank != x->rank || !lt_extents_sane(x->rank, x->dims) ||
        !lt_extents_sane(y->rank, y->dims) || !lt_extents_sane(w->rank, w->dims) ||
        !strides(p, x->rank - 2, stride, dilation)) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, p->op, NULL, "operands of ranks %d, %d, %d", x->rank, w->rank, y->rank);
    }
    lathe_tensor weight = { .struct_size = sizeof weight, .dtype = LATHE_DTYPE_F32, .rank = w->rank };
    memcpy(weight.dims, w->dims, (size_t)w->rank * sizeof *w->dims);
    lt_up_params(isa->nr, lt_conv_groups(p), x->rank - 2, stride, dilation, param);
    if (!lt_up_order_read(&weight, param, &s->o) || x->dims[1] != w->dims[0] ||
        y->dims[1] != s->o.groups * s->o.filters || y->dims[0] != x->dims[0]) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, p->op, NULL,
                       "%lld channels, %lld filters and %lld groups do not go together", (long long)x->dims[1],
                       (long long)y->dims[1], (long long)lt_conv_groups(p));
    }
    s->batch = x->dims[0];
    LT_TRY(read_spatial(p, x, w, y, s, diag));
    int64_t line = s->in[2] * s->o.groups * s->o.channels * 4, lines = s->grid[0] * s->grid[1];
    s->lines = line > 0 && CHUNK_BYTES / line > 1 ? CHUNK_BYTES / line : 1;
    s->chunks = (lines + s->lines - 1) / s->lines;
    int64_t panel = (s->o.taps / s->o.classes + 1) * s->o.channels * isa->nr * 4;
    s->group = GROUP_BYTES / panel >= GROUP ? GROUP : GROUP_BYTES / panel >= 2 ? GROUP_BYTES / panel : 1;
    s->panel_groups = (s->o.panels + s->group - 1) / s->group;
    return LATHE_OK;
}

/* ---- Phases ---- */

static void read_phase(const shape *s, int64_t group, int64_t number, const float *w, phase *f)
{
    const lt_up_order *o = &s->o;
    int64_t of[3], wanted[3], r = number, lines = 0;
    f->group = group;
    f->count = 1;
    for (int i = 2; i >= 0; i--) {
        int64_t st = o->stride[i];
        f->r[i] = r % st;
        r /= st;
        wanted[i] = (f->r[i] + s->begin[i]) % st;
        f->taps[i] = lt_up_class(o, i, wanted[i]);
        f->grid[i] = s->out[i] > f->r[i] ? (s->out[i] - f->r[i] + st - 1) / st : 0;
        f->count *= f->taps[i].count;
        f->offset[i] = f->taps[i].count ? (f->r[i] + s->begin[i] - f->taps[i].first * s->dilation[i]) / st : 0;
        f->step[i] = -f->taps[i].period * s->dilation[i] / st;
        int64_t last = f->offset[i] + (f->taps[i].count - 1) * f->step[i], most = s->in[i] - f->offset[i];
        f->low[i] = last < 0 ? -last : 0;
        f->high[i] = most < f->grid[i] ? most : f->grid[i];
    }
    int64_t class = (wanted[0] * o->stride[1] + wanted[1]) * o->stride[2] + wanted[2], before = 0;
    for (int64_t c = 0; c < o->classes; c++) {
        int64_t n = lt_up_lines(o, c, of);
        before += c < class ? n : 0;
        f->k = c == class ? n : f->k;
        lines += n;
    }
    f->panels = w + (group * lines + before) * o->panels * o->nr;
}

static bool inside(const phase *f, int axis, int64_t q)
{
    return q >= f->low[axis] && q < f->high[axis];
}

/* Offsets of the taps in the input; only for phases that have a point whose taps all exist. */
static void fill_taps(const worker *w, const phase *f)
{
    const shape *s = w->s;
    int64_t *tap = w->taps;
    if (f->low[0] >= f->high[0] || f->low[1] >= f->high[1] || f->low[2] >= f->high[2]) {
        return;
    }
    for (int64_t z = 0; z < f->taps[0].count; z++) {
        for (int64_t y = 0; y < f->taps[1].count; y++) {
            for (int64_t x = 0; x < f->taps[2].count; x++) {
                *tap++ = (((f->offset[0] + z * f->step[0]) * s->in[1] + f->offset[1] + y * f->step[1]) * s->in[2] +
                          f->offset[2] + x * f->step[2]) *
                         w->cell;
            }
        }
    }
}

/* All taps of one point, zeros where there is no input. */
static float *gather(const worker *w, const phase *f, int64_t image, const int64_t q[3], float *dst)
{
    const shape *s = w->s;
    int64_t k = s->o.channels;
    for (int64_t z = 0, iz = q[0] + f->offset[0]; z < f->taps[0].count; z++, iz += f->step[0]) {
        for (int64_t y = 0, iy = q[1] + f->offset[1]; y < f->taps[1].count; y++, iy += f->step[1]) {
            bool row = iz >= 0 && iz < s->in[0] && iy >= 0 && iy < s->in[1];
            for (int64_t x = 0, ix = q[2] + f->offset[2]; x < f->taps[2].count; x++, ix += f->step[2], dst += k) {
                if (row && ix >= 0 && ix < s->in[2]) {
                    memcpy(dst,
                           w->x + (((image * s->in[0] + iz) * s->in[1] + iy) * s->in[2] + ix) * w->cell + f->group * k,
                           (size_t)k * sizeof *dst);
                } else {
                    memset(dst, 0, (size_t)k * sizeof *dst);
                }
            }
        }
    }
    if (f->count == 0) {
        *dst++ = 0;
    }
    return dst;
}

/* ---- Running ---- */

typedef struct stretch { /* points q[2] .. end of one line, for some panels */
    int64_t image, q[3], end, panel, panels;
} stretch;

static void emit(const worker *w, const phase *f, const stretch *t, int64_t q2, int64_t rows, lt_brgemm_call *call)
{
    const shape *s = w->s;
    const lt_up_order *o = &s->o;
    int64_t st = o->stride[2];
    int64_t pixel =
        ((t->image * s->out[0] + t->q[0] * o->stride[0] + f->r[0]) * s->out[1] + t->q[1] * o->stride[1] + f->r[1]) *
            s->out[2] +
        q2 * st + f->r[2];
    for (int64_t panel = t->panel; panel < t->panel + t->panels; panel++) {
        int64_t first = f->group * o->filters + panel * o->nr, left = o->filters - panel * o->nr;
        call->b = f->panels + panel * f->k * o->nr;
        call->bias = w->emit.bias ? w->emit.bias + first : NULL;
        call->cols = left < o->nr ? (int)left : (int)o->nr;
        lt_emit_rows(&w->emit, call, rows, pixel, st, first);
    }
}

static void gathered(const worker *w, const phase *f, const stretch *t)
{
    int64_t q[3] = { t->q[0], t->q[1], t->q[2] };
    while (q[2] < t->end) {
        int64_t from = q[2];
        float *dst = w->rows;
        for (int i = 0; i < ROWS && q[2] < t->end; i++, q[2]++) {
            dst = gather(w, f, t->image, q, dst) + PAD;
        }
        lt_brgemm_call call = { .a = { w->rows }, .lda = f->k + PAD, .taps = 1, .k = f->k };
        emit(w, f, t, from, q[2] - from, &call);
    }
}

static void direct(const worker *w, const phase *f, const stretch *t)
{
    const shape *s = w->s;
    const float *a = w->x + (((t->image * s->in[0] + t->q[0]) * s->in[1] + t->q[1]) * s->in[2] + t->q[2]) * w->cell +
                     f->group * s->o.channels;
    lt_brgemm_call call = { .a = { a }, .lda = w->cell, .taps = f->count, .tap = w->taps, .k = s->o.channels };
    emit(w, f, t, t->q[2], t->end - t->q[2], &call);
}

static void one_line(const worker *w, const phase *f, stretch t)
{
    int64_t n = f->grid[2];
    t.q[2] = 0;
    t.end = n;
    if (f->count == 0 || !inside(f, 0, t.q[0]) || !inside(f, 1, t.q[1]) || f->low[2] >= f->high[2]) {
        gathered(w, f, &t);
        return;
    }
    t.end = f->low[2];
    gathered(w, f, &t);
    t.q[2] = f->low[2];
    t.end = f->high[2];
    direct(w, f, &t);
    t.q[2] = f->high[2];
    t.end = n;
    gathered(w, f, &t);
}

/* Units are numbered image, group, chunk of lines, remainder, group of panels, the last fastest. */
static void one_unit(const worker *w, int64_t unit)
{
    const shape *s = w->s;
    phase f;
    stretch t = { .panel = unit % s->panel_groups * s->group };
    int64_t left = s->o.panels - t.panel;
    t.panels = left < s->group ? left : s->group;
    unit /= s->panel_groups;
    int64_t number = unit % s->o.classes;
    unit /= s->o.classes;
    int64_t line = unit % s->chunks * s->lines, end = line + s->lines, all = s->grid[0] * s->grid[1];
    unit /= s->chunks;
    t.image = unit / s->o.groups;
    read_phase(s, unit % s->o.groups, number, w->w, &f);
    fill_taps(w, &f);
    for (end = end < all ? end : all; line < end; line++) {
        t.q[0] = line / s->grid[1];
        t.q[1] = line % s->grid[1];
        if (t.q[0] < f.grid[0] && t.q[1] < f.grid[1]) {
            one_line(w, &f, t);
        }
    }
}

typedef struct layout {
    size_t taps, rows, total;
} layout;

static layout scratch_layout(const shape *s, const lathe_problem *p)
{
    layout l = { .taps = lt_more_align(lt_emit_scratch(p)) };
    l.rows = l.taps + lt_more_align((size_t)s->o.taps * sizeof(int64_t));
    l.total = l.rows + lt_more_align((size_t)(s->o.taps * s->o.channels + PAD) * ROWS * sizeof(float));
    return l;
}

size_t lt_up_scratch(const lt_cpu_isa *isa, const lathe_problem *problem, uint32_t config, const lathe_buffer *in,
                     const lathe_buffer *out, int threads)
{
    shape s;
    (void)config;
    return read_shape(isa, problem, in, out, &s, NULL) == LATHE_OK ? scratch_layout(&s, problem).total * (size_t)threads
                                                                   : 0;
}

lathe_status lt_up_run(const lt_cpu_isa *isa, const lathe_gang *gang, const lathe_call *call, lathe_diag *diag)
{
    shape s;
    uint16_t nx, nw;
    const float *bias;
    int64_t begin, end;
    LT_TRY(read_shape(isa, call->problem, call->in, call->out, &s, diag));
    layout l = scratch_layout(&s, call->problem);
    char *scratch = (char *)call->scratch + l.total * (size_t)gang->index;
    worker w = { .s = &s, .taps = (int64_t *)(void *)(scratch + l.taps), .rows = (float *)(void *)(scratch + l.rows) };
    (void)lt_root_operand(call->problem, 0, &nx);
    (void)lt_root_operand(call->problem, 1, &nw);
    w.x = call->in[nx].data;
    w.cell = lt_row_step(&call->in[nx], s.o.groups * s.o.channels, sizeof(float));
    w.w = call->in[nw].data;
    LT_TRY(lt_more_bias(call, 2, s.o.groups * s.o.filters, &bias, diag));
    LT_TRY(lt_emit_prepare(&w.emit, isa, call, bias, scratch, diag));
    lathe_gang_split(gang, s.batch * s.o.groups * s.chunks * s.o.classes * s.panel_groups, 1, &begin, &end);
    for (int64_t u = begin; u < end; u++) {
        one_unit(&w, u);
    }
    return LATHE_OK;
}

int lt_up_fits(const lt_cpu_isa *isa, const lathe_problem *problem, uint32_t config, lathe_fit *fit)
{
    uint16_t nx, nw;
    int64_t stride[3], dilation[3];
    (void)config;
    if (!lt_root_fits(problem, false, fit)) {
        return 0;
    }
    const lathe_operand *x = lt_root_operand(problem, 0, &nx), *w = lt_root_operand(problem, 1, &nw);
    if (!lt_conv_fits(problem, x, w, fit) || !lt_more_weights(problem, fit)) {
        return 0;
    }
    if (!strides(problem, x->rank - 2, stride, dilation)) {
        return lt_no(fit, "strides above %d, or %d points of strides together", LT_UP_STRIDE, LT_UP_CLASSES);
    }
    int64_t groups = lt_conv_groups(problem);
    if (w->dims[0].max % groups != 0) {
        return lt_no(fit, "%lld channels and %lld groups", (long long)w->dims[0].max, (long long)groups);
    }
    fit->pack[nw] = "conv.w.up.f32";
    lt_up_params(isa->nr, groups, x->rank - 2, stride, dilation, fit->pack_param[nw]);
    fit->in[nx] = lt_format_permuted(x->dtype, orders[x->rank - 3], x->rank, fit->in[nx].space);
    lt_tile_formats(problem, orders[x->rank - 3], fit);
    lt_tile_rows_apart(problem, fit);
    fit->pitched_in |= nx < 64 ? (uint64_t)1 << nx : 0;
    double waste = (double)((w->dims[1].max + isa->nr - 1) / isa->nr * isa->nr) / (double)w->dims[1].max;
    fit->cost = 1000 + lt_problem_flops(problem) * waste * 1.1 / isa->gflops + lt_problem_bytes(problem) * 0.03 +
                lt_operand_elements(&problem->out[0]) * lt_emit_cost(isa, problem);
    return 1;
}
