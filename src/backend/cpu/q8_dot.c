/*
 * q8_dot.c - what the drivers of byte products share: the pack of the right operand, epilogues that are done in registers, the numbers of a panel. Used
 * by conv_q8_nhwc.c and gemm_q8_dot.c; q8_dot.h says how sums are made.
 */
#include "backend/cpu/q8_dot.h"
#include <math.h>
#include <string.h>

/* ---- The pack. param: nr, layout, groups ---- */

bool lt_q8_shape_of(lt_q8_layout layout, int rank, const int64_t *dims, int64_t groups, int nr, lt_q8_shape *out)
{
    int64_t all;
    if (rank < 1 || rank > LATHE_MAX_RANK || nr < 1 || nr > LT_Q8_NR || groups < 1 || !lt_dims_count(dims, rank, &all) ||
        all < 1) {
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

/* Index in the constant of number k of a tap of a column. */
static int64_t source_index(lt_q8_layout layout, const lt_q8_shape *s, int64_t group, int64_t column, int64_t tap, int64_t k)
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
    if (!tensor_shape(t, param, &s) || !lt_i64_mul(s.taps, 4 * s.quads, &count) || !lt_i64_mul(count + 4, param[0], &count) ||
        !lt_i64_mul(count, s.groups * s.panels, &count) || !lt_size_mul((size_t)count, 1, &bytes)) {
        return 0;
    }
    return bytes;
}

/* The bytes of one panel, and the sums of its columns. */
static void pack_panel(const lt_q8_shape *s, lt_q8_layout layout, int nr, const lathe_tensor *t, int64_t group, int64_t panel,
                       int8_t *dst, int32_t *sums)
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

static void pack(void *dst, const lathe_tensor *t, const int64_t param[4])
{
    lt_q8_shape s;
    if (!tensor_shape(t, param, &s)) {
        return;
    }
    int nr = (int)param[0];
    for (int64_t i = 0; i < s.groups * s.panels; i++) {
        pack_panel(&s, (lt_q8_layout)param[1], nr, t, i / s.panels, i % s.panels, (int8_t *)dst + (size_t)i * panel_bytes(&s, nr),
                   (int32_t *)(uintptr_t)lt_q8_sums_at(&s, dst, nr, 0, i));
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
      .version = 1,
      .summary = "8-bit weights in panels of param[0] columns, four numbers of a column side by side, and their sums; "
                 "param[1]: layout, param[2]: groups",
      .bytes = pack_bytes,
      .pack = pack,
      .unpack = unpack },
    { .name = NULL },
};

void lt_q8_ones(const lt_q8_shape *s, int nr, int8_t *dst)
{
    memset(dst, 0, panel_bytes(s, nr));
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

/* ---- Epilogues in registers ---- */

/* One number: a constant of the program or a load of a tensor of one element. */
static bool one_number(const lathe_problem *p, uint16_t instr, lt_q8_param *out)
{
    const lathe_pw_instr *s = &p->instrs[instr];
    *out = (lt_q8_param){ .operand = 0xffff, .axis = -1 };
    if (s->op == LATHE_PW_CONST) {
        out->number = s->imm[0];
        return true;
    }
    if (s->op != LATHE_PW_LOAD || s->dtype != p->in[s->operand].dtype || p->in[s->operand].rank < 0) {
        return false;
    }
    for (int i = 0; i < p->in[s->operand].rank; i++) {
        if (s->map[i] >= 0) {
            return false;
        }
    }
    out->operand = s->operand;
    return true;
}

/* A load that walks the whole space point by point. */
static bool whole_space(const lathe_problem *p, const lathe_pw_instr *s)
{
    if (s->op != LATHE_PW_LOAD || p->in[s->operand].rank != p->space_rank || s->dtype != p->in[s->operand].dtype) {
        return false;
    }
    for (int d = 0; d < p->space_rank; d++) {
        if (s->map[d] != d) {
            return false;
        }
    }
    return true;
}

static bool read_addend(const lathe_problem *p, uint16_t instr, lt_q8_epilogue *out)
{
    const lathe_pw_instr *s = &p->instrs[instr];
    out->add_quantized = s->op == LATHE_PW_DEQUANT;
    const lathe_pw_instr *x = out->add_quantized ? &p->instrs[s->args[0]] : s;
    if (!whole_space(p, x) || s->dtype != LATHE_DTYPE_F32) {
        return false;
    }
    out->add = x->operand;
    if (!out->add_quantized) {
        return x->dtype == LATHE_DTYPE_F32;
    }
    return (x->dtype == LATHE_DTYPE_U8 || x->dtype == LATHE_DTYPE_I8) && p->instrs[s->args[1]].dtype == LATHE_DTYPE_F32 &&
           one_number(p, s->args[1], &out->add_scale) && one_number(p, s->args[2], &out->add_zero);
}

/* Takes instruction `at` behind value *last; false: it is none of those that are done in registers. */
static bool read_step(const lathe_problem *p, uint16_t at, uint16_t *last, bool *limited, lt_q8_epilogue *out)
{
    const lathe_pw_instr *s = &p->instrs[at];
    lt_q8_param low, high;
    bool first = s->args[0] == *last;
    switch (s->op) {
    case LATHE_PW_ADD:
        if (*limited || out->quantized || out->add != 0xffff || (!first && s->args[1] != *last) || s->args[0] == s->args[1] ||
            !read_addend(p, s->args[first ? 1 : 0], out)) {
            return false;
        }
        break;
    case LATHE_PW_RELU:
        out->low = out->low > 0 ? out->low : 0;
        *limited = true;
        break;
    case LATHE_PW_CLIP:
        if (!one_number(p, s->args[1], &low) || !one_number(p, s->args[2], &high) || low.operand != 0xffff ||
            high.operand != 0xffff || *limited || !(low.number <= high.number)) {
            return false;
        }
        out->low = low.number;
        out->high = high.number;
        *limited = true;
        break;
    case LATHE_PW_QUANT:
        if (out->quantized || (s->dtype != LATHE_DTYPE_U8 && s->dtype != LATHE_DTYPE_I8) ||
            p->instrs[s->args[1]].dtype != LATHE_DTYPE_F32 || !one_number(p, s->args[1], &out->scale) ||
            !one_number(p, s->args[2], &out->zero)) {
            return false;
        }
        out->quantized = true;
        break;
    default:
        return false;
    }
    *last = at;
    return first || s->op == LATHE_PW_ADD;
}

void lt_q8_epilogue_read(const lathe_problem *problem, lt_q8_epilogue *out)
{
    const lathe_pw_instr *first;
    int count = lt_problem_epilogue(problem, &first);
    uint16_t last = 0xffff, base = count > 0 ? (uint16_t)(first - problem->instrs) : 0;
    bool limited = false, stored = false;
    *out = (lt_q8_epilogue){ .add = 0xffff, .low = -INFINITY, .high = INFINITY };
    for (int i = 0; i < count; i++) {
        uint16_t at = (uint16_t)(base + i);
        const lathe_pw_instr *s = &first[i];
        if (s->op == LATHE_PW_LOAD || s->op == LATHE_PW_CONST || (s->op == LATHE_PW_DEQUANT && s->args[0] != last)) {
            continue; /* looked at where it is used */
        }
        if (s->op == LATHE_PW_ROOT && last == 0xffff) {
            last = at;
        } else if (s->op == LATHE_PW_STORE && !stored && s->args[0] == last) {
            stored = true;
        } else if (stored || last == 0xffff || s->dtype == LATHE_DTYPE_UNDEFINED || !read_step(problem, at, &last, &limited, out)) {
            return;
        }
    }
    out->direct = stored && problem->n_out == 1;
}

static bool same_extents(const lathe_buffer *a, const lathe_buffer *b)
{
    return a->rank == b->rank && memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims) == 0;
}

bool lt_q8_store_make(const lt_q8_epilogue *e, const lathe_call *call, lt_q8_finish *finish, lt_q8_store *out)
{
    const lathe_problem *p = call->problem;
    float step = e->quantized ? lt_q8_scale(&e->scale, call->in, 0) : 1;
    if (!e->direct || !(step > 0) || !isfinite(1 / step) || !isfinite(step) ||
        (e->add != 0xffff && !same_extents(&call->in[e->add], &call->out[0]))) {
        return false;
    }
    *out = (lt_q8_store){ .out = p->out[0].dtype, .low = (float)(e->low / (double)step), .high = (float)(e->high / (double)step) };
    if (e->add != 0xffff) {
        out->add = p->in[e->add].dtype;
        out->add_scale = (e->add_quantized ? lt_q8_scale(&e->add_scale, call->in, 0) : 1) / step;
        out->add_zero = e->add_quantized ? lt_q8_zero(&e->add_zero, out->add, call->in, 0) : 0;
    }
    if (e->quantized) {
        out->zero = lt_q8_zero(&e->zero, out->out, call->in, 0);
        float least = (float)(lt_dtype_min_i64(out->out) - out->zero), most = (float)((int64_t)lt_dtype_max_u64(out->out) - out->zero);
        out->bottom = least;
        out->low = out->low > least ? out->low < most ? out->low : most : least;
        out->high = out->high < most ? out->high > least ? out->high : least : most;
        finish->over = step;
    }
    return true;
}

void lt_q8_panel_make(const lt_q8_finish *f, const int32_t *sums, int64_t first, int cols, int64_t k_total, lt_q8_panel *out,
                      bool *any_zero)
{
    const lt_q8 *q = &f->q;
    uint32_t x_zero = (uint32_t)(lt_q8_zero(&q->x.zero, q->x.dtype, f->in, 0) + (q->x.dtype == LATHE_DTYPE_I8 ? 128 : 0));
    memset(out, 0, sizeof *out);
    lt_q8_line(f, 0, 0, first, cols, out->offset, out->scale, out->bias);
    for (int j = 0; j < cols; j++) {
        int32_t zero = lt_q8_zero(&q->w.zero, q->w.dtype, f->in, first + j) - (q->w.dtype == LATHE_DTYPE_U8 ? 128 : 0);
        out->zero[j] = zero;
        *any_zero = *any_zero || zero != 0;
        out->offset[j] = (int32_t)((uint32_t)out->offset[j] - x_zero * (uint32_t)sums[j] + (uint32_t)k_total * x_zero * (uint32_t)zero);
    }
}
