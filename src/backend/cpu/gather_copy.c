/*
 * gather_copy.c - tactic gather.copy: Gather from plain tensors of any type of whole bytes, row by row.
 */
#include "backend/cpu/gather_rows.h"
#include "backend/cpu/product.h"

typedef struct shape {
    int64_t outer, extent, inner, count; /* rows before the axis, along it, elements of a row, indices */
} shape;

static int axis_of(const lathe_problem *p, int rank)
{
    int64_t axis = lt_attr_i(p->attrs, p->n_attrs, "axis", 0);
    axis += axis < 0 ? rank : 0;
    return axis >= 0 && axis < rank ? (int)axis : -1;
}

static int fits(const lathe_problem *p, uint32_t config, lathe_fit *fit)
{
    const uint32_t unplanned = LATHE_OPERAND_MANAGED | LATHE_OPERAND_BOUNDED | LATHE_OPERAND_ABSENT;
    const lathe_operand *x = lt_root_operand(p, 0, NULL), *index = lt_root_operand(p, 1, NULL), *y = &p->out[0];
    (void)config;
    if (p->n_instrs > 0 || p->n_out != 1 || !x || !index || x->rank < 1 || index->rank < 0) {
        return lt_no(fit, "part of a group, or an input of unknown rank");
    }
    if ((x->flags | index->flags | y->flags) & unplanned || y->rank != x->rank - 1 + index->rank) {
        return lt_no(fit, "an operand without planned extents");
    }
    unsigned bits = lathe_dtype_bits(x->dtype);
    if (bits < 8 || bits > 128 || y->dtype != x->dtype ||
        (index->dtype != LATHE_DTYPE_I32 && index->dtype != LATHE_DTYPE_I64)) {
        return lt_no(fit, "elements of %u bits, or indices of another type", bits);
    }
    int axis = axis_of(p, x->rank);
    if (axis < 0) {
        return lt_no(fit, "no such axis");
    }
    double elements = lt_operand_elements(y), row = 1;
    for (int i = axis + 1; i < x->rank; i++) {
        row *= (double)x->dims[i].opt;
    }
    fit->cost = 250 + 2 * elements * bits / 8 * 0.02 + elements / (row > 1 ? row : 1) * 4;
    return 1;
}

static lathe_status read_shape(const lathe_call *call, const lathe_buffer *x, const lathe_buffer *index, shape *s,
                               lathe_diag *diag)
{
    const lathe_buffer *y = &call->out[0];
    int axis = axis_of(call->problem, x->rank);
    bool good = axis >= 0 && y->rank == x->rank - 1 + index->rank && lt_extents_sane(x->rank, x->dims) &&
                lt_extents_sane(index->rank, index->dims) && lt_extents_sane(y->rank, y->dims);
    *s = (shape){ .outer = 1, .inner = 1, .count = 1 };
    for (int i = 0; good && i < x->rank; i++) {
        int64_t d = x->dims[i];
        if (i == axis) {
            s->extent = d;
            continue;
        }
        *(i < axis ? &s->outer : &s->inner) *= d;
        good = y->dims[i < axis ? i : i - 1 + index->rank] == d;
    }
    for (int i = 0; good && i < index->rank; i++) {
        s->count *= index->dims[i];
        good = y->dims[axis + i] == index->dims[i];
    }
    return good ? LATHE_OK
                : LT_FAIL(diag, LATHE_BAD_SHAPE, "Gather", NULL, "the output does not have the extents of the inputs");
}

static lathe_status run(const lathe_gang *gang, const lathe_call *call, lathe_diag *diag)
{
    const lathe_problem *p = call->problem;
    uint16_t nx, n_index;
    shape s;
    lathe_dtype type = lt_root_operand(p, 1, &n_index)->dtype;
    size_t size = lathe_dtype_bits(lt_root_operand(p, 0, &nx)->dtype) / 8;
    LT_TRY(read_shape(call, &call->in[nx], &call->in[n_index], &s, diag));
    const char *src = call->in[nx].data, *indices = call->in[n_index].data;
    char *dst = call->out[0].data;
    int64_t begin, end;
    size_t row = (size_t)s.inner * size;
    lathe_gang_split(gang, row > 0 ? s.outer * s.count : 0, row < 64 ? 64 : 1, &begin, &end);
    if (begin >= end) {
        return LATHE_OK;
    }
    int64_t outer = begin / s.count, at = begin % s.count;
    for (int64_t u = begin; u < end; u++) {
        int64_t from = lt_gather_index(type, indices, at);
        from += from < 0 ? s.extent : 0;
        if (from < 0 || from >= s.extent) {
            return lt_gather_outside("Gather", type, indices, at, s.extent, diag);
        }
        lt_copy_element(dst + (size_t)u * row, src + (size_t)(outer * s.extent + from) * row, row);
        if (++at == s.count) {
            at = 0;
            outer++;
        }
    }
    return LATHE_OK;
}

LT_TACTICS(gather_copy) = {
    { .struct_size = sizeof(lathe_tactic),
      .name = "gather.copy",
      .version = 1,
      .summary = "Gather of plain tensors, row by row",
      .ops = "Gather",
      .device = LATHE_SPACE_HOST,
      .configs = 1,
      .fits = fits,
      .run = run },
    { .name = NULL },
};
