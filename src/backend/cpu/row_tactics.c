/*
 * row_tactics.c - drivers over rows of consecutive elements, f32. row.map: Softmax, LogSoftmax over the last axis, LayerNormalization, RMSNormalization, InstanceNormalization;
 * row.reduce: ReduceSum, ReduceMean, ReduceMax, ReduceMin over trailing axes, GlobalAveragePool, GlobalMaxPool. Any epilogue; a row is never split.
 */
#include "backend/cpu/drivers.h"
#include "backend/cpu/product.h"
#include <math.h>
#include <string.h>

typedef enum row_kind { SOFTMAX, LOG_SOFTMAX, LAYER_NORM, RMS_NORM, INSTANCE_NORM, SUM, MEAN, MAX, MIN } row_kind;

typedef struct kind_row {
    const char *op;
    row_kind kind;
    bool axes;  /* in input 1, or attribute */
    bool plane; /* rows are axes 2 and up */
} kind_row;

static const kind_row kinds[] = {
    { "Softmax", SOFTMAX, false, false },
    { "LogSoftmax", LOG_SOFTMAX, false, false },
    { "LayerNormalization", LAYER_NORM, false, false },
    { "RMSNormalization", RMS_NORM, false, false },
    { "InstanceNormalization", INSTANCE_NORM, false, true },
    { "ReduceSum", SUM, true, false },
    { "ReduceMean", MEAN, true, false },
    { "ReduceMax", MAX, true, false },
    { "ReduceMin", MIN, true, false },
    { "GlobalAveragePool", MEAN, false, true },
    { "GlobalMaxPool", MAX, false, true },
};

static const kind_row *kind_of(const lathe_problem *p)
{
    for (size_t i = 0; i < LT_COUNT(kinds); i++) {
        if (strcmp(kinds[i].op, p->op) == 0) {
            return &kinds[i];
        }
    }
    return NULL;
}

static bool reduces(const kind_row *k)
{
    return k->kind >= SUM;
}

/* ---- Which axes make a row ---- */

/* The first axis of rows of a reduction; -1 and the reason when they are not the last axes. */
static int reduced_from(const lathe_problem *p, int rank, lathe_fit *fit)
{
    const lathe_operand *axes = lt_root_operand(p, 1, NULL);
    uint32_t over = 0;
    int64_t count = 0;
    if (axes) {
        if (!axes->value || axes->value->rank != 1) {
            lt_no(fit, "axes are not known");
            return -1;
        }
        count = axes->value->dims[0];
    }
    for (int64_t i = 0; i < count; i++) {
        int64_t a = lt_load_i64(axes->value->dtype, axes->value->data, i);
        a = a < 0 ? a + rank : a;
        if (a < 0 || a >= rank) {
            lt_no(fit, "axis %lld of %d", (long long)a, rank);
            return -1;
        }
        over |= 1u << a;
    }
    if (count == 0) {
        if (lt_attr_i(p->attrs, p->n_attrs, "noop_with_empty_axes", 0) != 0) {
            lt_no(fit, "nothing is reduced");
            return -1;
        }
        return 0;
    }
    int first = __builtin_ctz(over);
    if (over != ((1u << rank) - 1u) >> first << first) {
        lt_no(fit, "reduced axes are not the last ones");
        return -1;
    }
    return first;
}

/* Axis from which on elements belong to one row; -1: not for these drivers. */
static int row_axis(const lathe_problem *p, const kind_row *k, int rank, lathe_fit *fit)
{
    if (k->plane) {
        return rank >= 2 ? 2 : -1;
    }
    if (k->axes) {
        return reduced_from(p, rank, fit);
    }
    int64_t axis = lt_attr_i(p->attrs, p->n_attrs, "axis", -1);
    axis = axis < 0 ? axis + rank : axis;
    if (axis < 0 || axis >= rank) {
        lt_no(fit, "axis %lld of %d", (long long)axis, rank);
        return -1;
    }
    if ((k->kind == SOFTMAX || k->kind == LOG_SOFTMAX) && axis != rank - 1) {
        lt_no(fit, "axis %lld is not the last", (long long)axis);
        return -1;
    }
    return (int)axis;
}

/* ---- Fits ---- */

static bool fixed_equal(const lathe_extent *a, const lathe_extent *b)
{
    return a->min == a->max && b->min == b->max && a->min == b->min;
}

/* Scale and bias have one number for each channel. */
static int fits_channels(const lathe_problem *p, const lathe_operand *x, lathe_fit *fit)
{
    for (size_t slot = 1; slot < 3; slot++) {
        const lathe_operand *o = lt_root_operand(p, slot, NULL);
        if (!o || o->rank != 1 || !fixed_equal(&o->dims[0], &x->dims[1])) {
            return lt_no(fit, "input %zu has not one number for each channel", slot);
        }
    }
    return 1;
}

/* Scale and bias have just the shape of a row. */
static int fits_parameters(const lathe_problem *p, const lathe_operand *x, int axis, lathe_fit *fit)
{
    for (size_t slot = 1; slot < p->n_root_in; slot++) {
        const lathe_operand *o = lt_root_operand(p, slot, NULL);
        if (!o) {
            continue;
        }
        if (o->rank != x->rank - axis) {
            return lt_no(fit, "input %zu has rank %d", slot, o->rank);
        }
        for (int d = 0; d < o->rank; d++) {
            if (!fixed_equal(&o->dims[d], &x->dims[axis + d])) {
                return lt_no(fit, "input %zu is not one row", slot);
            }
        }
    }
    if (lt_attr_i(p->attrs, p->n_attrs, "stash_type", LATHE_DTYPE_F32) != LATHE_DTYPE_F32) {
        return lt_no(fit, "moments are not computed in f32");
    }
    return lt_root_operand(p, 1, NULL) ? 1 : lt_no(fit, "no scale");
}

static int fits_types(const lathe_problem *p, const kind_row *k, lathe_fit *fit)
{
    const lathe_pw_instr *first;
    int count = lt_problem_epilogue(p, &first);
    if ((size_t)count < p->n_instrs) {
        return lt_no(fit, "has a prologue");
    }
    for (size_t slot = 0; slot < p->n_root_in; slot++) {
        const lathe_operand *o = lt_root_operand(p, slot, NULL);
        if (o && !(k->axes && slot == 1) &&
            (o->dtype != LATHE_DTYPE_F32 || o->rank < 0 || (o->flags & LATHE_OPERAND_MANAGED))) {
            return lt_no(fit, "input %zu is %s", slot, lathe_dtype_name(o->dtype));
        }
    }
    for (size_t i = 0; i < p->n_out; i++) {
        bool absent = p->out[i].flags & LATHE_OPERAND_ABSENT;
        if (i > 0 && count == 0 && !absent) {
            return lt_no(fit, "more than one result");
        }
        if (!absent && ((p->out[i].flags & (LATHE_OPERAND_MANAGED | LATHE_OPERAND_BOUNDED)) ||
                        (count == 0 && p->out[i].dtype != LATHE_DTYPE_F32))) {
            return lt_no(fit, "output %zu has no planned extents, or another type", i);
        }
    }
    for (int i = 0; i < count; i++) {
        if (first[i].op == LATHE_PW_ROOT && (first[i].dtype != LATHE_DTYPE_F32 || first[i].operand != 0)) {
            return lt_no(fit, "the result is %s", lathe_dtype_name(first[i].dtype));
        }
    }
    return p->out[0].flags & LATHE_OPERAND_ABSENT ? lt_no(fit, "no result") : lt_tile_fits(p, fit);
}

static double row_cost(const lt_cpu_isa *isa, row_kind kind)
{
    double slower = isa->nr >= 32 ? 1 : isa->nr >= 16 ? 1.4 : 2.8;
    return slower * (kind == SOFTMAX || kind == LOG_SOFTMAX ? 0.9 : reduces(&(kind_row){ .kind = kind }) ? 0.08 : 0.25);
}

static int fits_rows(const lt_cpu_isa *isa, const lathe_problem *p, bool reduce, lathe_fit *fit)
{
    const kind_row *k = kind_of(p);
    const lathe_operand *x = lt_root_operand(p, 0, NULL);
    if (!k || reduces(k) != reduce || !x) {
        return lt_no(fit, "not for %s", p->op);
    }
    if (!fits_types(p, k, fit)) {
        return 0;
    }
    int axis = row_axis(p, k, x->rank, fit);
    if (axis < 0) {
        return 0;
    }
    if ((k->kind == LAYER_NORM || k->kind == RMS_NORM) && !fits_parameters(p, x, axis, fit)) {
        return 0;
    }
    if (k->kind == INSTANCE_NORM && !fits_channels(p, x, fit)) {
        return 0;
    }
    lt_tile_formats(p, NULL, fit);
    double in = 1, out = 1;
    for (int d = 0; d < x->rank; d++) {
        in *= (double)x->dims[d].opt;
    }
    for (int d = 0; d < p->out[0].rank; d++) {
        out *= (double)p->out[0].dims[d].opt;
    }
    fit->cost = 400 + in * row_cost(isa, k->kind) + out * lt_tile_cost(isa, p);
    return 1;
}

int lt_row_map_fits(const lt_cpu_isa *isa, const lathe_problem *problem, uint32_t config, lathe_fit *fit)
{
    (void)config;
    return fits_rows(isa, problem, false, fit);
}

int lt_row_reduce_fits(const lt_cpu_isa *isa, const lathe_problem *problem, uint32_t config, lathe_fit *fit)
{
    (void)config;
    return fits_rows(isa, problem, true, fit);
}

/* ---- Rows of a call ---- */

typedef struct rows {
    const lt_cpu_isa *isa;
    row_kind kind;
    int64_t count, length, channels;
    const float *x, *scale, *bias;
    float epsilon;
    lt_tile_program program;
    float *tile, *row;
} rows;

static bool extents_of(const lathe_problem *p, const lathe_buffer *in, int64_t *count, int64_t *length)
{
    lathe_fit fit = { .struct_size = sizeof fit };
    uint16_t nx;
    (void)lt_root_operand(p, 0, &nx);
    int axis = row_axis(p, kind_of(p), in[nx].rank, &fit);
    return axis >= 0 && lt_extents_sane(in[nx].rank, in[nx].dims) && lt_dims_count(in[nx].dims, axis, count) &&
           lt_dims_count(in[nx].dims + axis, in[nx].rank - axis, length);
}

/* One thread's scratch: registers, tile, a row when the epilogue wants it. */
static size_t thread_scratch(const lathe_problem *p, int64_t length)
{
    size_t row = p->n_instrs > 0 && !reduces(kind_of(p)) ? ((size_t)length * sizeof(float) + 63) / 64 * 64 : 0;
    return lt_tile_scratch(p) + LT_TILE * sizeof(float) + row;
}

static size_t scratch_rows(const lathe_problem *p, const lathe_buffer *in, int threads)
{
    int64_t count, length;
    return extents_of(p, in, &count, &length) ? thread_scratch(p, length) * (size_t)threads : 0;
}

size_t lt_row_map_scratch(const lt_cpu_isa *isa, const lathe_problem *problem, uint32_t config, const lathe_buffer *in,
                          const lathe_buffer *out, int threads)
{
    (void)isa, (void)config, (void)out;
    return scratch_rows(problem, in, threads);
}

size_t lt_row_reduce_scratch(const lt_cpu_isa *isa, const lathe_problem *problem, uint32_t config,
                             const lathe_buffer *in, const lathe_buffer *out, int threads)
{
    (void)isa, (void)config, (void)out;
    return scratch_rows(problem, in, threads);
}

static lathe_status describe(const lt_cpu_isa *isa, const lathe_gang *gang, const lathe_call *call, rows *r,
                             lathe_diag *diag)
{
    const lathe_problem *p = call->problem;
    uint16_t n;
    *r = (rows){ .isa = isa, .kind = kind_of(p)->kind };
    if (!extents_of(p, call->in, &r->count, &r->length)) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, p->op, NULL, "the extents make no rows");
    }
    (void)lt_root_operand(p, 0, &n);
    r->x = call->in[n].data;
    bool channels = r->kind == INSTANCE_NORM, norm = channels || r->kind == LAYER_NORM || r->kind == RMS_NORM;
    r->channels = channels ? call->in[n].dims[1] : 1;
    r->epsilon = lt_attr_f(p->attrs, p->n_attrs, "epsilon", 1e-5f);
    for (size_t slot = 1; norm && slot < p->n_root_in; slot++) {
        int64_t elements;
        if (!lt_root_operand(p, slot, &n)) {
            continue;
        }
        if (!lt_dims_count(call->in[n].dims, call->in[n].rank, &elements) ||
            elements != (channels ? r->channels : r->length)) {
            return LT_FAIL(diag, LATHE_BAD_SHAPE, p->op, NULL, "scale or bias has not the extents of the rows");
        }
        *(slot == 1 ? &r->scale : &r->bias) = call->in[n].data;
    }
    size_t registers = lt_tile_scratch(p);
    char *scratch = (char *)call->scratch + thread_scratch(p, r->length) * (size_t)gang->index;
    r->tile = (float *)(scratch + registers);
    r->row = r->tile + LT_TILE;
    LT_TRY(lt_tile_prepare(&r->program, isa, call, scratch, r->tile, diag));
    if (r->program.points != (reduces(&(kind_row){ .kind = r->kind }) ? r->count : r->count * r->length)) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, p->op, NULL, "the output has other extents than the rows");
    }
    return LATHE_OK;
}

static void map_row(const rows *r, int64_t number, const float *x, float *dst)
{
    const lt_cpu_isa *isa = r->isa;
    int64_t n = r->length;
    float mean = 0, top;
    switch (r->kind) {
    case SOFTMAX:
        top = isa->row_max(x, n);
        isa->row_affine(dst, dst, 0, 1.0f / isa->row_exp(dst, x, top, n), 0, n);
        break;
    case LOG_SOFTMAX:
        top = isa->row_max(x, n);
        isa->row_affine(dst, x, top, 1, logf(isa->row_exp(NULL, x, top, n)), n);
        break;
    case INSTANCE_NORM:
        mean = isa->row_sum(x, n) / (float)n;
        top = 1.0f / sqrtf(isa->row_squares(x, mean, n) / (float)n + r->epsilon) * r->scale[number % r->channels];
        isa->row_affine(dst, x, mean, top, -r->bias[number % r->channels], n);
        break;
    default:
        mean = r->kind == LAYER_NORM ? isa->row_sum(x, n) / (float)n : 0;
        isa->row_normalize(dst, x, mean, 1.0f / sqrtf(isa->row_squares(x, mean, n) / (float)n + r->epsilon), r->scale,
                           r->bias, n);
        break;
    }
}

lathe_status lt_row_map_run(const lt_cpu_isa *isa, const lathe_gang *gang, const lathe_call *call, lathe_diag *diag)
{
    rows r;
    int64_t begin, end;
    LT_TRY(describe(isa, gang, call, &r, diag));
    if (r.program.points == 0) {
        return LATHE_OK;
    }
    lathe_gang_split(gang, r.count, 1, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        if (call->problem->n_instrs == 0) {
            map_row(&r, i, r.x + i * r.length, (float *)call->out[0].data + i * r.length);
            continue;
        }
        map_row(&r, i, r.x + i * r.length, r.row);
        for (int64_t at = 0; at < r.length; at += LT_TILE) {
            int n = r.length - at < LT_TILE ? (int)(r.length - at) : LT_TILE;
            lt_tile_block block = { .start = i * r.length + at, .rows = 1, .cols = n, .pitch = LT_TILE };
            memcpy(r.tile, r.row + at, (size_t)n * sizeof *r.tile);
            lt_tile_run(&r.program, &block);
        }
    }
    return LATHE_OK;
}

static float reduce_row(const rows *r, const float *x)
{
    switch (r->kind) {
    case SUM:
        return r->isa->row_sum(x, r->length);
    case MEAN:
        return r->isa->row_sum(x, r->length) / (float)r->length;
    case MAX:
        return r->isa->row_max(x, r->length);
    default:
        return r->isa->row_min(x, r->length);
    }
}

lathe_status lt_row_reduce_run(const lt_cpu_isa *isa, const lathe_gang *gang, const lathe_call *call, lathe_diag *diag)
{
    rows r;
    int64_t begin, end;
    LT_TRY(describe(isa, gang, call, &r, diag));
    if (r.program.points == 0) {
        return LATHE_OK;
    }
    lathe_gang_split(gang, r.count, 16, &begin, &end);
    for (int64_t i = begin; i < end; i += LT_TILE) {
        int n = end - i < LT_TILE ? (int)(end - i) : LT_TILE;
        for (int k = 0; k < n; k++) {
            r.tile[k] = reduce_row(&r, r.x + (i + k) * r.length);
        }
        lt_tile_block block = { .start = i, .rows = 1, .cols = n, .pitch = LT_TILE };
        lt_tile_run(&r.program, &block);
    }
    return LATHE_OK;
}
