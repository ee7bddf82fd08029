/*
 * q8_dot.c - what the drivers of byte products share: the pack of the right operand and the numbers of a panel. Used by conv_q8_nhwc.c and gemm_q8_dot.c;
 * q8_dot.h says how sums are made.
 */
#include "backend/cpu/q8_dot.h"
#include <string.h>

_Alignas(64) const int32_t lt_q8_zeros[LT_Q8_NR] = { 0 };

/* ---- The pack. param: nr, layout, groups, whether to say which lines are tame ---- */

bool lt_q8_shape_of(lt_q8_layout layout, int rank, const int64_t *dims, int64_t groups, int nr, lt_q8_shape *out)
{
    int64_t all;
    if (rank < 1 || rank > LATHE_MAX_RANK || nr < 1 || nr > LT_Q8_NR || groups < 1 ||
        !lt_dims_count(dims, rank, &all) || all < 1) {
        return false;
    }
    *out = (lt_q8_shape){ .groups = groups, .taps = 1, .kernel = { 1, 1 } };
    if (layout == LT_Q8_CONV || layout == LT_Q8_CONV_TAPS) {
        if (rank < 3 || rank > 4 || dims[0] % groups != 0) {
            return false;
        }
        out->kernel[0] = rank == 4 ? dims[2] : 1;
        out->kernel[1] = dims[rank - 1];
        bool merged = layout == LT_Q8_CONV;
        out->filters = dims[0] / groups;
        out->taps = merged ? out->kernel[0] : out->kernel[0] * out->kernel[1];
        out->k = merged ? dims[1] * out->kernel[1] : dims[1];
    } else {
        int64_t last = rank > 1 ? dims[rank - 1] : 1, before = rank > 1 ? dims[rank - 2] : dims[0];
        out->groups = all / (last * before);
        out->k = layout == LT_Q8_MATRIX ? before : last;
        out->filters = layout == LT_Q8_MATRIX ? last : before;
    }
    out->panels = (out->filters + nr - 1) / nr;
    out->quads = (out->k + 3) / 4;
    return true;
}

static size_t panel_bytes(const lt_q8_shape *s, int nr)
{
    return (size_t)(s->taps * s->quads) * (size_t)nr * 4;
}

const int8_t *lt_q8_panel_at(const lt_q8_shape *s, const void *pack, int nr, int64_t group, int64_t panel)
{
    return (const int8_t *)pack + (size_t)(group * s->panels + panel) * panel_bytes(s, nr);
}

const int32_t *lt_q8_sums_at(const lt_q8_shape *s, const void *pack, int nr, int64_t group, int64_t panel)
{
    const char *sums = (const char *)pack + (size_t)(s->groups * s->panels) * panel_bytes(s, nr);
    return (const int32_t *)(const void *)sums + (group * s->panels + panel) * nr;
}

const uint8_t *lt_q8_tame_at(const lt_q8_shape *s, const void *pack, int nr, int64_t group, int64_t panel)
{
    const int32_t *behind = lt_q8_sums_at(s, pack, nr, s->groups, 0);
    return (const uint8_t *)behind + (group * s->panels + panel) * s->taps * s->quads;
}

/* Index in the constant of number k of a tap of a column. */
static int64_t source_index(lt_q8_layout layout, const lt_q8_shape *s, int64_t group, int64_t column, int64_t tap,
                            int64_t k)
{
    int64_t filter = group * s->filters + column;
    switch (layout) {
    case LT_Q8_CONV: {
        int64_t width = s->kernel[1], channels = s->k / width;
        return ((filter * channels + k % channels) * s->taps + tap) * width + k / channels;
    }
    case LT_Q8_CONV_TAPS:
        return (filter * s->k + k) * s->taps + tap;
    case LT_Q8_MATRIX:
        return (group * s->k + k) * s->filters + column;
    default:
        return filter * s->k + k;
    }
}

static bool tensor_shape(const lathe_tensor *t, const int64_t param[4], lt_q8_shape *out)
{
    return (t->dtype == LATHE_DTYPE_U8 || t->dtype == LATHE_DTYPE_I8) && param[0] > 0 && param[0] <= LT_Q8_NR &&
           param[1] >= LT_Q8_CONV && param[1] <= LT_Q8_TRANSPOSED &&
           lt_q8_shape_of((lt_q8_layout)param[1], t->rank, t->dims, param[2], (int)param[0], out);
}

static size_t pack_bytes(const lathe_tensor *t, const int64_t param[4])
{
    lt_q8_shape s;
    int64_t count;
    size_t bytes;
    if (!tensor_shape(t, param, &s) || !lt_i64_mul(s.taps, 4 * s.quads, &count) ||
        !lt_i64_mul(count + 4, param[0], &count) || !lt_i64_add(count, s.taps * s.quads, &count) ||
        !lt_i64_mul(count, s.groups * s.panels, &count) ||
        !lt_size_mul((size_t)count, 1, &bytes)) {
        return 0;
    }
    return bytes;
}

/* The bytes of one panel, and the sums of its columns. */
static void pack_panel(const lt_q8_shape *s, lt_q8_layout layout, int nr, const lathe_tensor *t, int64_t group,
                       int64_t panel, int8_t *dst, int32_t *sums)
{
    const uint8_t *src = t->data, mask = t->dtype == LATHE_DTYPE_U8 ? 0x80 : 0;
    int64_t first = panel * nr;
    int cols = s->filters - first < nr ? (int)(s->filters - first) : nr;
    for (int64_t tap = 0; tap < s->taps; tap++, dst += s->quads * nr * 4) {
        for (int64_t k = 0; k < s->k; k++) {
            for (int j = 0; j < cols; j++) {
                int8_t v = (int8_t)(src[source_index(layout, s, group, first + j, tap, k)] ^ mask);
                dst[(k / 4 * nr + j) * 4 + k % 4] = v;
                sums[j] += v;
            }
        }
    }
}

/* Sums of 16 bits of this line's products with any bytes cannot saturate. */
static bool is_tame(const int8_t *line, int nr)
{
    for (int i = 0; i < 4 * nr; i += 2) {
        int a = line[i], b = line[i + 1], above = (a > 0 ? a : 0) + (b > 0 ? b : 0), below = (a < 0 ? a : 0) + (b < 0 ? b : 0);
        if (above > 128 || below < -128) {
            return false;
        }
    }
    return true;
}

static void mark_tame(const lt_q8_shape *s, int nr, void *pack, int64_t panel)
{
    const int8_t *line = (const int8_t *)pack + (size_t)panel * panel_bytes(s, nr);
    uint8_t *tame = (uint8_t *)(uintptr_t)lt_q8_tame_at(s, pack, nr, 0, panel);
    for (int64_t i = 0; i < s->taps * s->quads; i++) {
        tame[i] = is_tame(line + i * nr * 4, nr);
    }
}

static void pack(void *dst, const lathe_tensor *t, const int64_t param[4])
{
    lt_q8_shape s;
    if (!tensor_shape(t, param, &s)) {
        return;
    }
    int nr = (int)param[0];
    for (int64_t i = 0; i < s.groups * s.panels; i++) {
        pack_panel(&s, (lt_q8_layout)param[1], nr, t, i / s.panels, i % s.panels,
                   (int8_t *)dst + (size_t)i * panel_bytes(&s, nr),
                   (int32_t *)(uintptr_t)lt_q8_sums_at(&s, dst, nr, 0, i));
        if (param[3]) {
            mark_tame(&s, nr, dst, i);
        }
    }
}

static void unpack(lathe_tensor *dst, const void *packed, const int64_t param[4])
{
    lt_q8_shape s;
    if (!tensor_shape(dst, param, &s)) {
        return;
    }
    int nr = (int)param[0];
    uint8_t *to = dst->data, mask = dst->dtype == LATHE_DTYPE_U8 ? 0x80 : 0;
    for (int64_t i = 0; i < s.groups * s.filters; i++) {
        int64_t group = i / s.filters, column = i % s.filters;
        const int8_t *from = lt_q8_panel_at(&s, packed, nr, group, column / nr);
        for (int64_t tap = 0; tap < s.taps; tap++, from += s.quads * nr * 4) {
            for (int64_t k = 0; k < s.k; k++) {
                to[source_index((lt_q8_layout)param[1], &s, group, column, tap, k)] =
                    (uint8_t)from[(k / 4 * nr + column % nr) * 4 + k % 4] ^ mask;
            }
        }
    }
}

LT_PACKS(q8_dot) = {
    { .name = "q8.w",
      .version = 2,
      .summary = "8-bit weights in panels of param[0] columns, four numbers of a column side by side, their sums, and "
                 "which lines are tame; param[1]: layout, param[2]: groups, param[3]: marks tame lines",
      .bytes = pack_bytes,
      .pack = pack,
      .unpack = unpack },
    { .name = NULL },
};

int lt_q8_panel_mr(const lt_q8_isa *isa, const lt_q8_shape *s, const void *pack, int64_t group, int64_t panel)
{
    int64_t lines = s->taps * s->quads, tame = 0;
    const uint8_t *is = lt_q8_tame_at(s, pack, isa->nr, group, panel);
    for (int64_t i = 0; isa->tame && i < lines; i++) {
        tame += is[i];
    }
    return 2 * tame < lines ? isa->wild_mr : isa->mr;
}

size_t lt_q8_ones_bytes(const lt_q8_shape *s, int nr)
{
    return (panel_bytes(s, nr) + (size_t)(s->taps * s->quads) + 63) & ~(size_t)63;
}

const uint8_t *lt_q8_ones_tame(const lt_q8_shape *s, int nr, const int8_t *ones)
{
    return (const uint8_t *)ones + panel_bytes(s, nr);
}

void lt_q8_ones(const lt_q8_shape *s, int nr, int8_t *dst)
{
    memset(dst, 0, panel_bytes(s, nr));
    memset(dst + panel_bytes(s, nr), 1, (size_t)(s->taps * s->quads));
    for (int64_t tap = 0; tap < s->taps; tap++, dst += s->quads * nr * 4) {
        for (int64_t k = 0; k < s->k; k++) {
            for (int j = 0; j < nr; j++) {
                dst[(k / 4 * nr + j) * 4 + k % 4] = 1;
            }
        }
    }
}

bool lt_q8_packable(const lathe_problem *problem, const lt_q8 *q)
{
    const lathe_operand *w = &problem->in[q->w.operand];
    int loads = 0;
    for (size_t i = 0; i < problem->n_instrs; i++) {
        loads += problem->instrs[i].op == LATHE_PW_LOAD && problem->instrs[i].operand == q->w.operand;
    }
    for (size_t i = 0; i < problem->n_root_in; i++) {
        loads += problem->root_in[i] == q->w.operand;
    }
    for (int d = 0; d < w->rank; d++) {
        loads += w->dims[d].min != w->dims[d].max || w->dims[d].min < 1;
    }
    return loads == 1 && (w->flags & LATHE_OPERAND_CONSTANT) && !(w->flags & LATHE_OPERAND_HOST);
}

/* ---- The numbers of a panel ---- */

void lt_q8_panel_make(const lt_q8_finish *f, const int32_t *sums, int64_t first, int cols, int64_t k_total,
                      lt_q8_panel *out, bool *any_zero)
{
    const lt_q8 *q = &f->q;
    uint32_t x_zero = q->x.dtype == LATHE_DTYPE_I8 ? 128 : 0;
    x_zero += q->x.zero.axis < 0 ? (uint32_t)lt_q8_zero(&q->x.zero, q->x.dtype, f->in, 0) : 0;
    memset(out, 0, sizeof *out);
    lt_q8_line(f, 0, 0, first, cols, out->offset, out->scale, out->bias);
    for (int j = 0; j < cols; j++) {
        int32_t zero = lt_q8_zero(&q->w.zero, q->w.dtype, f->in, first + j) - (q->w.dtype == LATHE_DTYPE_U8 ? 128 : 0);
        out->zero[j] = zero;
        out->bias[j] += f->more ? f->more[first + j] / f->over : 0;
        *any_zero = *any_zero || zero != 0;
        uint32_t step = (uint32_t)k_total * (uint32_t)zero - (uint32_t)sums[j];
        out->row_step[j] = (int32_t)step;
        out->offset[j] = (int32_t)((uint32_t)out->offset[j] + x_zero * step);
    }
}
