/*
 * row_tactics.c - driver of row.map, f32: Softmax and LogSoftmax over any axis, LayerNormalization, RMSNormalization, InstanceNormalization. Any epilogue; a
 * row is never split.
 */
#include "backend/cpu/drivers.h"
#include "backend/cpu/product.h"
#include <string.h>

typedef enum row_kind { SOFTMAX, LOG_SOFTMAX, LAYER_NORM, RMS_NORM, INSTANCE_NORM } row_kind;

typedef struct kind_row {
    const char *op;
    row_kind kind;
} kind_row;

static const kind_row kinds[] = {
    { "Softmax", SOFTMAX },
    { "LogSoftmax", LOG_SOFTMAX },
    { "LayerNormalization", LAYER_NORM },
    { "RMSNormalization", RMS_NORM },
    { "InstanceNormalization", INSTANCE_NORM },
};

enum { COLUMNS = 64 }; /* of a softmax down columns that are computed together */

static const kind_row *kind_of(const lathe_problem *p)
{
    for (size_t i = 0; i < LT_COUNT(kinds); i++) {
        if (strcmp(kinds[i].op, p->op) == 0) {
            return &kinds[i];
        }
    }
    return NULL;
}

/* Rows are the axes first .. end; -1: not for this driver. */
static int row_axes(const lathe_problem *p, row_kind kind, int rank, int *end)
{
    int64_t axis = lt_attr_i(p->attrs, p->n_attrs, "axis", -1);
    *end = rank;
    if (kind == INSTANCE_NORM) {
        return rank >= 2 ? 2 : -1;
    }
    axis = axis < 0 ? axis + rank : axis;
    if (axis < 0 || axis >= rank) {
        return -1;
    }
    *end = kind == SOFTMAX || kind == LOG_SOFTMAX ? (int)axis + 1 : rank;
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

static int fits_types(const lathe_problem *p, lathe_fit *fit)
{
    const lathe_pw_instr *first;
    int count = lt_problem_epilogue(p, &first);
    if ((size_t)count < p->n_instrs) {
        return lt_no(fit, "has a prologue");
    }
    for (size_t slot = 0; slot < p->n_root_in; slot++) {
        const lathe_operand *o = lt_root_operand(p, slot, NULL);
        if (o && (o->dtype != LATHE_DTYPE_F32 || o->rank < 0 || (o->flags & LATHE_OPERAND_MANAGED))) {
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

/* The input's storage, when nothing else of the problem reads it. */
static void take_over_input(const lathe_problem *p, lathe_fit *fit)
{
    uint16_t number;
    const lathe_operand *x = lt_root_operand(p, 0, &number);
    if (p->n_instrs > 0 || number > 127 || (x->flags & (LATHE_OPERAND_CONSTANT | LATHE_OPERAND_HOST))) {
        return;
    }
    for (size_t slot = 1; slot < p->n_root_in; slot++) {
        if (p->root_in[slot] == number) {
            return;
        }
    }
    fit->in_place[0] = (int8_t)number;
}

int lt_row_map_fits(const lt_cpu_isa *isa, const lathe_problem *problem, uint32_t config, lathe_fit *fit)
{
    const lathe_problem *p = problem;
    const kind_row *k = kind_of(p);
    const lathe_operand *x = lt_root_operand(p, 0, NULL);
    (void)config;
    if (!k || !x) {
        return lt_no(fit, "not for %s", p->op);
    }
    if (!fits_types(p, fit)) {
        return 0;
    }
    int end, axis = row_axes(p, k->kind, x->rank, &end);
    if (axis < 0) {
        return lt_no(fit, "the axis is out of range");
    }
    if ((k->kind == LAYER_NORM || k->kind == RMS_NORM) && !fits_parameters(p, x, axis, fit)) {
        return 0;
    }
    if (k->kind == INSTANCE_NORM && !fits_channels(p, x, fit)) {
        return 0;
    }
    lt_tile_formats(p, NULL, fit);
    take_over_input(p, fit);
    double points = 1, rows = 1, slower = isa->nr >= 32 ? 1 : isa->nr >= 16 ? 1.5 : 3;
    for (int d = 0; d < x->rank; d++) {
        points *= (double)x->dims[d].opt;
        rows *= d < axis ? (double)x->dims[d].opt : 1;
    }
    double one = k->kind == SOFTMAX || k->kind == LOG_SOFTMAX ? 0.4 : 0.15;
    fit->cost = 400 + rows * 30 + points * one * slower + (p->n_instrs > 0 ? points * lt_tile_cost(isa, p) : 0);
    return 1;
}

/* ---- Rows of a call ---- */

typedef struct rows {
    const lt_cpu_isa *isa;
    row_kind kind;
    int64_t count, length, inner, channels; /* count rows outside, `inner` of them side by side */
    const float *x, *scale, *bias;
    float *y; /* NULL: there is an epilogue */
    float epsilon;
    lt_tile_program program;
    float *tile, *row;
} rows;

static bool extents_of(const lathe_problem *p, const lathe_buffer *in, int64_t *count, int64_t *length, int64_t *inner)
{
    uint16_t nx;
    int end;
    (void)lt_root_operand(p, 0, &nx);
    int axis = row_axes(p, kind_of(p)->kind, in[nx].rank, &end);
    return axis >= 0 && lt_extents_sane(in[nx].rank, in[nx].dims) && lt_dims_count(in[nx].dims, axis, count) &&
           lt_dims_count(in[nx].dims + axis, end - axis, length) &&
           lt_dims_count(in[nx].dims + end, in[nx].rank - end, inner);
}

/* One thread's scratch: registers, tile, rows when the epilogue wants them. */
static size_t thread_scratch(const lathe_problem *p, int64_t length)
{
    size_t row = p->n_instrs > 0 ? (size_t)length * COLUMNS * sizeof(float) : 0;
    int end, rank = p->out[0].rank;
    if (row > 0 && row_axes(p, kind_of(p)->kind, rank, &end) >= 0 && end == rank) {
        row = ((size_t)length * sizeof(float) + 63) / 64 * 64;
    }
    return lt_tile_scratch(p) + LT_TILE * sizeof(float) + row;
}

size_t lt_row_map_scratch(const lt_cpu_isa *isa, const lathe_problem *problem, uint32_t config, const lathe_buffer *in,
                          const lathe_buffer *out, int threads)
{
    int64_t count, length, inner;
    (void)isa, (void)config, (void)out;
    return extents_of(problem, in, &count, &length, &inner) ? thread_scratch(problem, length) * (size_t)threads : 0;
}

/* Scale and bias of a normalization. */
static lathe_status read_parameters(const lathe_call *call, rows *r, lathe_diag *diag)
{
    const lathe_problem *p = call->problem;
    uint16_t n;
    for (size_t slot = 1; r->kind >= LAYER_NORM && slot < p->n_root_in; slot++) {
        int64_t elements;
        if (!lt_root_operand(p, slot, &n)) {
            continue;
        }
        if (!lt_dims_count(call->in[n].dims, call->in[n].rank, &elements) ||
            elements != (r->kind == INSTANCE_NORM ? r->channels : r->length)) {
            return LT_FAIL(diag, LATHE_BAD_SHAPE, p->op, NULL, "scale or bias has not the extents of the rows");
        }
        *(slot == 1 ? &r->scale : &r->bias) = call->in[n].data;
    }
    return LATHE_OK;
}

static lathe_status describe(const lt_cpu_isa *isa, const lathe_gang *gang, const lathe_call *call, rows *r,
                             lathe_diag *diag)
{
    const lathe_problem *p = call->problem;
    uint16_t n;
    *r = (rows){ .isa = isa, .kind = kind_of(p)->kind };
    if (!extents_of(p, call->in, &r->count, &r->length, &r->inner)) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, p->op, NULL, "the extents make no rows");
    }
    (void)lt_root_operand(p, 0, &n);
    r->x = call->in[n].data;
    r->channels = r->kind == INSTANCE_NORM ? call->in[n].dims[1] : 1;
    r->epsilon = lt_attr_f(p->attrs, p->n_attrs, "epsilon", 1e-5f);
    r->y = p->n_instrs == 0 ? call->out[0].data : NULL;
    LT_TRY(read_parameters(call, r, diag));
    size_t registers = lt_tile_scratch(p);
    char *scratch = (char *)call->scratch + thread_scratch(p, r->length) * (size_t)gang->index;
    r->tile = (float *)(void *)(scratch + registers);
    r->row = r->tile + LT_TILE;
    LT_TRY(lt_tile_prepare(&r->program, isa, call, scratch, r->tile, diag));
    if (r->program.points != r->count * r->length * r->inner) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, p->op, NULL, "the output has other extents than the rows");
    }
    return LATHE_OK;
}

static void map_row(const rows *r, int64_t number, float *dst)
{
    const lt_cpu_isa *isa = r->isa;
    const float *x = r->x + number * r->length;
    int64_t n = r->length, c = number % r->channels;
    switch (r->kind) {
    case SOFTMAX:
        isa->row_softmax(dst, x, n);
        break;
    case LOG_SOFTMAX:
        isa->row_log_softmax(dst, x, n);
        break;
    case INSTANCE_NORM:
        isa->row_instance(dst, x, r->scale[c], r->bias[c], n, r->epsilon);
        break;
    default:
        isa->row_normalize(dst, x, r->scale, r->bias, n, r->epsilon, r->kind == LAYER_NORM);
        break;
    }
}

/* Rows begin .. end, several short ones to a tile. */
static void run_rows(const rows *r, int64_t begin, int64_t end)
{
    int64_t together = r->length <= LT_TILE ? LT_TILE / r->length : 1;
    for (int64_t i = begin; r->y && i < end; i++) {
        map_row(r, i, r->y + i * r->length);
    }
    for (int64_t i = begin; !r->y && i < end; i += together) {
        int64_t n = end - i < together ? end - i : together, points = n * r->length;
        float *to = r->length <= LT_TILE ? r->tile : r->row;
        for (int64_t k = 0; k < n; k++) {
            map_row(r, i + k, to + k * r->length);
        }
        for (int64_t at = 0; at < points; at += LT_TILE) {
            int cols = points - at < LT_TILE ? (int)(points - at) : LT_TILE;
            lt_tile_block block = { .start = i * r->length + at, .rows = 1, .cols = cols, .pitch = LT_TILE };
            if (to != r->tile) {
                memcpy(r->tile, to + at, (size_t)cols * sizeof *to);
            }
            lt_tile_run(&r->program, &block);
        }
    }
}

/* Softmax down `cols` columns from column `first` of outer part `outer` on. */
static void run_columns(const rows *r, int64_t outer, int64_t first, int cols)
{
    const lt_cpu_isa *isa = r->isa;
    bool logarithm = r->kind == LOG_SOFTMAX;
    int64_t at = outer * r->length * r->inner + first;
    if (r->y) {
        isa->column_softmax(r->y + at, r->x + at, r->length, r->inner, cols, logarithm);
        return;
    }
    for (int64_t i = 0; i < r->length; i++) {
        memcpy(r->row + i * COLUMNS, r->x + at + i * r->inner, (size_t)cols * sizeof *r->row);
    }
    isa->column_softmax(r->row, r->row, r->length, COLUMNS, cols, logarithm);
    for (int64_t i = 0; i < r->length; i += LT_TILE / COLUMNS) {
        int n = r->length - i < LT_TILE / COLUMNS ? (int)(r->length - i) : LT_TILE / COLUMNS;
        lt_tile_block block = {
            .start = at + i * r->inner, .row_step = r->inner, .rows = n, .cols = cols, .pitch = COLUMNS
        };
        memcpy(r->tile, r->row + i * COLUMNS, (size_t)n * COLUMNS * sizeof *r->row);
        lt_tile_run(&r->program, &block);
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
    if (r.inner == 1) {
        lathe_gang_split(gang, r.count, 1, &begin, &end);
        run_rows(&r, begin, end);
        return LATHE_OK;
    }
    int64_t parts = (r.inner + COLUMNS - 1) / COLUMNS;
    lathe_gang_split(gang, r.count * parts, 1, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        int64_t first = i % parts * COLUMNS, left = r.inner - first;
        run_columns(&r, i / parts, first, left < COLUMNS ? (int)left : COLUMNS);
    }
    return LATHE_OK;
}
