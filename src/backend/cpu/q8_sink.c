/*
 * q8_sink.c - how sums of byte products become results: the usual epilogues in registers, all others as tile programs. Used by conv_q8_nhwc.c and
 * gemm_q8_dot.c.
 */
#include "backend/cpu/q8_dot.h"
#include <math.h>
#include <string.h>

/*
 * An epilogue that is done in registers: [+ column,] [limits, quantization, dequantization,] [addend,] [limits,]
 * [quantization].
 */
typedef struct epilogue {
    bool direct, limited;
    uint16_t more, add; /* a number for each column; an addend for each result. 0xffff: none */
    bool add_quantized, quantized, mid;
    lt_q8_param add_scale, add_zero, scale, zero;
    lt_q8_param mid_scale, mid_zero, back_scale, back_zero;
    lathe_dtype mid_dtype;
    double low, high, mid_low, mid_high;
} epilogue;

/* ---- Reading ---- */

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

/* A load of one number for each column. */
static bool by_column(const lathe_problem *p, const lathe_pw_instr *s, int column)
{
    int walked = 0;
    if (s->op != LATHE_PW_LOAD || s->dtype != LATHE_DTYPE_F32 || p->in[s->operand].dtype != LATHE_DTYPE_F32 ||
        p->in[s->operand].rank < 1) {
        return false;
    }
    for (int d = 0; d < p->in[s->operand].rank; d++) {
        if (p->in[s->operand].dims[d].max == 1) {
            continue;
        }
        if (s->map[d] != column) {
            return false;
        }
        walked++;
    }
    return walked == 1;
}

static bool read_addend(const lathe_problem *p, uint16_t instr, epilogue *out)
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
    return (x->dtype == LATHE_DTYPE_U8 || x->dtype == LATHE_DTYPE_I8) &&
           p->instrs[s->args[1]].dtype == LATHE_DTYPE_F32 && one_number(p, s->args[1], &out->add_scale) &&
           one_number(p, s->args[2], &out->add_zero);
}

/* Takes instruction `at` behind value *last; false: it is none of those that are done in registers. */
static bool read_step(const lathe_problem *p, int column, uint16_t at, uint16_t *last, epilogue *out)
{
    const lathe_pw_instr *s = &p->instrs[at];
    lt_q8_param low, high;
    bool first = s->args[0] == *last;
    switch (s->op) {
    case LATHE_PW_ADD:
        if ((first || s->args[1] == *last) && s->args[0] != s->args[1] &&
            by_column(p, &p->instrs[s->args[first ? 1 : 0]], column)) {
            if (out->limited || out->quantized || out->mid || out->add != 0xffff || out->more != 0xffff) {
                return false;
            }
            out->more = p->instrs[s->args[first ? 1 : 0]].operand;
            break;
        }
        if (out->limited || out->quantized || out->add != 0xffff || (!first && s->args[1] != *last) ||
            s->args[0] == s->args[1] || !read_addend(p, s->args[first ? 1 : 0], out)) {
            return false;
        }
        break;
    case LATHE_PW_RELU:
        if (out->quantized) {
            return false;
        }
        out->low = out->low > 0 ? out->low : 0;
        out->limited = true;
        break;
    case LATHE_PW_CLIP:
        if (!one_number(p, s->args[1], &low) || !one_number(p, s->args[2], &high) || low.operand != 0xffff ||
            high.operand != 0xffff || out->limited || out->quantized || !(low.number <= high.number)) {
            return false;
        }
        out->low = low.number;
        out->high = high.number;
        out->limited = true;
        break;
    case LATHE_PW_QUANT:
        if (out->quantized || (s->dtype != LATHE_DTYPE_U8 && s->dtype != LATHE_DTYPE_I8) ||
            p->instrs[s->args[1]].dtype != LATHE_DTYPE_F32 || !one_number(p, s->args[1], &out->scale) ||
            !one_number(p, s->args[2], &out->zero)) {
            return false;
        }
        out->quantized = true;
        break;
    case LATHE_PW_DEQUANT: /* the quantization before was one on the way */
        if (!first || !out->quantized || out->mid || out->add != 0xffff || s->dtype != LATHE_DTYPE_F32 ||
            p->instrs[s->args[1]].dtype != LATHE_DTYPE_F32 || !one_number(p, s->args[1], &out->back_scale) ||
            !one_number(p, s->args[2], &out->back_zero)) {
            return false;
        }
        out->mid = true;
        out->mid_dtype = p->instrs[*last].dtype;
        out->mid_scale = out->scale;
        out->mid_zero = out->zero;
        out->mid_low = out->low;
        out->mid_high = out->high;
        out->quantized = out->limited = false;
        out->low = -INFINITY;
        out->high = INFINITY;
        break;
    default:
        return false;
    }
    *last = at;
    return first || s->op == LATHE_PW_ADD;
}

static void read_epilogue(const lathe_problem *problem, int column, epilogue *out)
{
    const lathe_pw_instr *first;
    int count = lt_problem_epilogue(problem, &first);
    uint16_t last = 0xffff, base = count > 0 ? (uint16_t)(first - problem->instrs) : 0;
    bool stored = false;
    *out = (epilogue){ .add = 0xffff, .more = 0xffff, .low = -INFINITY, .high = INFINITY };
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
        } else if (stored || last == 0xffff || s->dtype == LATHE_DTYPE_UNDEFINED ||
                   !read_step(problem, column, at, &last, out)) {
            return;
        }
    }
    out->direct = stored && problem->n_out == 1;
}

/* ---- The numbers of a call ---- */

static bool same_extents(const lathe_buffer *a, const lathe_buffer *b)
{
    return a->rank == b->rank && memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims) == 0;
}

/* Limits in steps, the zero point taken off: no further than the type goes. */
static void limits(lathe_dtype dtype, int32_t zero, double low, double high, float step, float *from, float *to)
{
    float least = (float)(lt_dtype_min_i64(dtype) - zero), most = (float)((int64_t)lt_dtype_max_u64(dtype) - zero),
          a = (float)(low / (double)step), b = (float)(high / (double)step);
    *from = a > least ? a < most ? a : most : least;
    *to = b < most ? b > least ? b : least : most;
}

static bool good_step(float step)
{
    return step > 0 && isfinite(step) && isfinite(1 / step);
}

/* false: the tile program must do it. */
static bool make_store(const epilogue *e, const lathe_call *call, lt_q8_finish *finish, lt_q8_store *out)
{
    const lathe_problem *p = call->problem;
    float step = e->quantized ? lt_q8_scale(&e->scale, call->in, 0) : 1,
          mid = e->mid ? lt_q8_scale(&e->mid_scale, call->in, 0) : 1;
    if (!e->direct || !good_step(step) || !good_step(mid) ||
        (e->add != 0xffff && !same_extents(&call->in[e->add], &call->out[0]))) {
        return false;
    }
    *out = (lt_q8_store){ .out = p->out[0].dtype, .mid = e->mid, .low = (float)e->low, .high = (float)e->high };
    if (e->add != 0xffff) {
        out->add = p->in[e->add].dtype;
        out->add_scale = (e->add_quantized ? lt_q8_scale(&e->add_scale, call->in, 0) : 1) / step;
        out->add_zero = e->add_quantized ? lt_q8_zero(&e->add_zero, out->add, call->in, 0) : 0;
    }
    if (e->mid) {
        int32_t zero = lt_q8_zero(&e->mid_zero, e->mid_dtype, call->in, 0),
                back = lt_q8_zero(&e->back_zero, e->mid_dtype, call->in, 0);
        limits(e->mid_dtype, zero, e->mid_low, e->mid_high, mid, &out->mid_low, &out->mid_high);
        out->mid_offset = (float)(zero - back);
        out->mid_scale = lt_q8_scale(&e->back_scale, call->in, 0) / step;
    }
    if (e->quantized) {
        out->zero = lt_q8_zero(&e->zero, out->out, call->in, 0);
        out->bottom = (float)(lt_dtype_min_i64(out->out) - out->zero);
        limits(out->out, out->zero, e->low, e->high, step, &out->low, &out->high);
    }
    finish->over = e->mid ? mid : step;
    return true;
}

/* ---- The sink ---- */

static int64_t count_of(const lathe_buffer *b)
{
    int64_t count = 1;
    for (int i = 0; i < b->rank && lt_extents_sane(b->rank, b->dims); i++) {
        count *= b->dims[i];
    }
    return count;
}

bool lt_q8_direct(const lathe_problem *problem, int column)
{
    epilogue e;
    read_epilogue(problem, column, &e);
    return problem->n_instrs == 0 || e.direct;
}

size_t lt_q8_sink_scratch(const lathe_problem *problem)
{
    return lt_tile_scratch(problem) + LT_TILE * sizeof(float);
}

lathe_status lt_q8_sink_open(lt_q8_sink *sink, const lathe_call *call, void *scratch, lathe_diag *diag)
{
    epilogue e;
    bool sums = sink->f.q.sums;
    lt_q8_finish_make(call->problem, call->in, &sink->f);
    read_epilogue(call->problem, sink->column, &e);
    sink->direct = sums ? call->problem->n_instrs == 0
                        : (e.more == 0xffff || count_of(&call->in[e.more]) == sink->width) &&
                              make_store(&e, call, &sink->f, &sink->store);
    sink->y = call->out[0].data;
    sink->tile = (float *)(void *)((char *)scratch + lt_tile_scratch(call->problem));
    if (sums && sink->direct) {
        sink->store = (lt_q8_store){ .out = LATHE_DTYPE_I32 };
        sink->y_size = 4;
        return LATHE_OK;
    }
    if (sink->direct) {
        sink->f.more = e.more != 0xffff ? call->in[e.more].data : NULL;
        sink->add = e.add != 0xffff ? call->in[e.add].data : NULL;
        sink->add_size = sink->store.add == LATHE_DTYPE_F32 ? 4 : 1;
        sink->y_size = sink->store.out == LATHE_DTYPE_F32 ? 4 : 1;
        return LATHE_OK;
    }
    memset(sink->tile, 0, LT_TILE * sizeof *sink->tile);
    LT_TRY(lt_tile_prepare(&sink->program, sink->isa->isa, call, scratch, sink->tile, diag));
    lt_q8_prepared(&sink->f, &sink->program);
    sink->store = (lt_q8_store){ .out = sums ? LATHE_DTYPE_I32 : LATHE_DTYPE_F32, .low = -INFINITY, .high = INFINITY };
    return LATHE_OK;
}

void lt_q8_sink_put(const lt_q8_sink *sink, const lt_q8_panel *panel, int64_t at, int rows, int cols,
                    const int32_t *sums, const int32_t *row_sums, const int32_t *row_zeros)
{
    lt_q8_rows r = { .sums = sums, .row_sum = row_sums, .row_zero = row_zeros, .rows = rows, .cols = cols };
    if (sink->direct) {
        r.add = sink->add ? sink->add + (size_t)at * sink->add_size : NULL;
        r.dst = sink->y + (size_t)at * sink->y_size;
        r.step = sink->width;
        sink->isa->finish(panel, &sink->store, &r);
        return;
    }
    r.dst = sink->tile;
    r.step = sink->isa->nr;
    sink->isa->finish(panel, &sink->store, &r);
    lt_tile_block block = { .start = at, .row_step = sink->width, .rows = rows, .cols = cols, .pitch = sink->isa->nr };
    lt_tile_run(&sink->program, &block);
}
