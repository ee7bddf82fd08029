/*
 * conv_up_pack.c - the pack "conv.w.up.f32": weights of transposed convolutions, class after class. Used by conv_up.c.
 */
#include "backend/cpu/conv_up.h"
#include "backend/cpu/cpu_isa.h"
#include <string.h>

void lt_up_params(int nr, int64_t groups, int n, const int64_t *stride, const int64_t *dilation, int64_t param[4])
{
    param[0] = nr;
    param[1] = groups;
    param[2] = param[3] = 0;
    for (int i = 0; i < 3; i++) {
        int k = i - (3 - n);
        int64_t s = k < 0 ? 1 : stride[k], d = k < 0 ? 1 : dilation[k];
        param[2] |= s << (8 * i);
        param[3] |= d % s << (8 * i);
    }
}

bool lt_up_order_read(const lathe_tensor *w, const int64_t param[4], lt_up_order *o)
{
    int64_t count;
    if (lt_lane_of(w->dtype) != LT_LANE_F32 || w->rank < 3 || w->rank > 5 || param[0] < 1 || param[0] > LT_GEMM_NR ||
        param[1] < 1 || w->dims[0] % param[1] != 0 || !lt_dims_count(w->dims, w->rank, &count) || count == 0 ||
        param[2] < 0 || param[3] < 0) {
        return false;
    }
    *o = (lt_up_order){ .nr = param[0],
                        .groups = param[1],
                        .channels = w->dims[0] / param[1],
                        .filters = w->dims[1],
                        .taps = 1,
                        .classes = 1 };
    for (int i = 0; i < 3; i++) {
        int k = i - (5 - w->rank);
        o->kernel[i] = k < 0 ? 1 : w->dims[k + 2];
        o->stride[i] = param[2] >> (8 * i) & 255;
        o->dilation[i] = param[3] >> (8 * i) & 255;
        if (o->stride[i] < 1 || o->stride[i] > LT_UP_STRIDE || o->dilation[i] >= o->stride[i]) {
            return false;
        }
        o->taps *= o->kernel[i];
        o->classes *= o->stride[i];
    }
    o->panels = (o->filters + o->nr - 1) / o->nr;
    return o->classes <= LT_UP_CLASSES;
}

lt_up_taps lt_up_class(const lt_up_order *o, int axis, int64_t class)
{
    int64_t s = o->stride[axis], d = o->dilation[axis] % s, at = 0;
    lt_up_taps t = { .first = -1, .period = 0 };
    for (int64_t i = 0; i < s; i++, at = (at + d) % s) {
        if (at == class && t.first < 0) {
            t.first = i;
        }
        t.period = i > 0 && at == 0 && t.period == 0 ? i : t.period;
    }
    t.period = t.period ? t.period : s;
    t.count = t.first < 0 || t.first >= o->kernel[axis] ? 0 : (o->kernel[axis] - 1 - t.first) / t.period + 1;
    return t;
}

int64_t lt_up_lines(const lt_up_order *o, int64_t class, int64_t of[3])
{
    int64_t lines = o->channels;
    for (int i = 2; i >= 0; i--) {
        of[i] = class % o->stride[i];
        class /= o->stride[i];
        lines *= lt_up_class(o, i, of[i]).count;
    }
    return lines > 0 ? lines : 1; /* a class without taps has one line of zeros */
}

/* ---- Walking the pack: calls back for each line of nr weights ---- */

typedef struct walk {
    lt_up_order o;
    float *packed;
    lathe_dtype dtype;
    char *weights;
    bool back;
} walk;

/* The line of one tap and channel: filters first .. first + cols of group g. */
static void one_line(const walk *w, int64_t g, int64_t channel, int64_t tap, int64_t first, float *line)
{
    const lt_up_order *o = &w->o;
    int64_t cols = o->filters - first < o->nr ? o->filters - first : o->nr;
    int64_t at = ((g * o->channels + channel) * o->filters + first) * o->taps + tap;
    if (w->back) {
        lt_tile_put(w->dtype, w->weights, at, o->taps, line, 0, (int)cols);
        return;
    }
    lt_tile_fetch(w->dtype, line, 0, w->weights, at, o->taps, (int)cols);
    memset(line + cols, 0, (size_t)(o->nr - cols) * sizeof *line);
}

static float *one_panel(const walk *w, int64_t g, const lt_up_taps t[3], int64_t first, float *line)
{
    const lt_up_order *o = &w->o;
    for (int64_t z = 0; z < t[0].count; z++) {
        for (int64_t y = 0; y < t[1].count; y++) {
            for (int64_t x = 0; x < t[2].count; x++) {
                int64_t tap =
                    ((t[0].first + z * t[0].period) * o->kernel[1] + t[1].first + y * t[1].period) * o->kernel[2] +
                    t[2].first + x * t[2].period;
                for (int64_t i = 0; i < o->channels; i++, line += o->nr) {
                    one_line(w, g, i, tap, first, line);
                }
            }
        }
    }
    if (t[0].count * t[1].count * t[2].count == 0) {
        if (!w->back) {
            memset(line, 0, (size_t)o->nr * sizeof *line);
        }
        line += o->nr;
    }
    return line;
}

static void all_panels(const walk *w)
{
    float *line = w->packed;
    for (int64_t g = 0; g < w->o.groups; g++) {
        for (int64_t class = 0; class < w->o.classes; class ++) {
            int64_t of[3];
            lt_up_taps t[3];
            (void)lt_up_lines(&w->o, class, of);
            for (int i = 0; i < 3; i++) {
                t[i] = lt_up_class(&w->o, i, of[i]);
            }
            for (int64_t panel = 0; panel < w->o.panels; panel++) {
                line = one_panel(w, g, t, panel * w->o.nr, line);
            }
        }
    }
}

static size_t pack_bytes(const lathe_tensor *t, const int64_t param[4])
{
    lt_up_order o;
    int64_t lines = 0, of[3], count;
    size_t bytes;
    if (!lt_up_order_read(t, param, &o)) {
        return 0;
    }
    for (int64_t class = 0; class < o.classes; class ++) {
        lines += lt_up_lines(&o, class, of);
    }
    if (!lt_i64_mul(lines, o.panels * o.nr, &count) || !lt_i64_mul(count, o.groups, &count) ||
        !lt_size_mul((size_t)count, sizeof(float), &bytes)) {
        return 0;
    }
    return bytes;
}

static void pack(void *dst, const lathe_tensor *t, const int64_t param[4])
{
    walk w = { .packed = dst, .dtype = t->dtype, .weights = t->data };
    if (lt_up_order_read(t, param, &w.o)) {
        all_panels(&w);
    }
}

static void unpack(lathe_tensor *dst, const void *packed, const int64_t param[4])
{
    walk w = { .packed = (float *)(uintptr_t)packed, .dtype = dst->dtype, .weights = dst->data, .back = true };
    if (lt_up_order_read(dst, param, &w.o)) {
        all_panels(&w);
    }
}

LT_PACKS(conv_up) = {
    { .name = "conv.w.up.f32",
      .version = 1,
      .summary = "filters of transposed convolutions in panels of param[0], taps by their remainder modulo the stride",
      .bytes = pack_bytes,
      .pack = pack,
      .unpack = unpack },
    { .name = NULL },
};
