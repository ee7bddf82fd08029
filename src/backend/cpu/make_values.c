/*
 * make_values.c - tactic make.values: ConstantOfShape and Range, which write what no tensor holds yet. The extents come from small host inputs, so they may
 * be known at run time only.
 */
#include "backend/cpu/permute.h"
#include "backend/cpu/product.h"
#include "backend/cpu/settle.h"
#include <math.h>
#include <string.h>

static bool is_range(const lathe_problem *p)
{
    return strcmp(p->op, "Range") == 0;
}

static const lathe_tensor *fill_value(const lathe_problem *p)
{
    const lathe_attr *attr = lt_attr_find(p->attrs, p->n_attrs, "value");
    return attr && attr->kind == LATHE_ATTR_TENSOR && attr->count == 1 ? attr->tensors : NULL;
}

static int fits(const lathe_problem *p, uint32_t config, lathe_fit *fit)
{
    const lathe_operand *y = &p->out[0];
    (void)config;
    if (p->n_instrs > 0 || p->n_out != 1 || y->rank < 0 || (y->flags & (LATHE_OPERAND_MANAGED | LATHE_OPERAND_ABSENT))) {
        return lt_no(fit, "part of a group, or an output of unknown rank");
    }
    for (size_t i = 0; i < (is_range(p) ? 3 : 1); i++) {
        const lathe_operand *o = lt_root_operand(p, i, NULL);
        if (!o || o->rank < 0 || o->rank > 1 || (o->flags & LATHE_OPERAND_MANAGED) ||
            o->dtype != (is_range(p) ? y->dtype : LATHE_DTYPE_I64)) {
            return lt_no(fit, "input %zu is no list of numbers", i);
        }
    }
    const lathe_tensor *value = fill_value(p);
    unsigned bits = lathe_dtype_bits(y->dtype);
    if (is_range(p) ? y->rank != 1 || (y->dtype != LATHE_DTYPE_F32 && y->dtype != LATHE_DTYPE_I32 && y->dtype != LATHE_DTYPE_I64)
                    : bits < 8 || bits > 128 || y->dtype == LATHE_DTYPE_STRING || (value ? value->dtype : LATHE_DTYPE_F32) != y->dtype) {
        return lt_no(fit, "elements of type %s", lathe_dtype_name(y->dtype));
    }
    fit->cost = 100 + lt_operand_elements(y) * bits / 8 * 0.05;
    return 1;
}

/* ---- ConstantOfShape ---- */

static lathe_status fill(const lathe_gang *gang, const lathe_call *call, lathe_diag *diag)
{
    static const char zero[16];
    const lathe_problem *p = call->problem;
    uint16_t n_shape;
    (void)lt_root_operand(p, 0, &n_shape);
    const lathe_buffer *shape = &call->in[n_shape];
    const lathe_tensor *value = fill_value(p);
    size_t size = lathe_dtype_bits(p->out[0].dtype) / 8;
    int64_t dims[LATHE_MAX_RANK], count, begin, end;
    int rank = shape->rank == 0 ? 1 : shape->dims[0] > LATHE_MAX_RANK ? -1 : (int)shape->dims[0];
    for (int d = 0; d < rank; d++) {
        dims[d] = lt_load_i64(LATHE_DTYPE_I64, shape->data, d);
    }
    LT_TRY(lt_settle_check(call, 0, rank, dims, diag));
    if (!lt_extents_sane(rank, dims) || !lt_dims_count(dims, rank, &count)) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, p->op, NULL, "the output has impossible extents");
    }
    lathe_gang_split(gang, count, 1024, &begin, &end);
    lt_fill_elements((char *)call->out[0].data + begin * (int64_t)size, end - begin, value ? value->data : zero, size);
    lt_settle(gang, call, 0, dims);
    return LATHE_OK;
}

/* ---- Range ---- */

/* Number of elements, as the reference counts them; -1: none that is finite. */
static int64_t count_floats(double start, double limit, double delta)
{
    double n = ceil((limit - start) / delta);
    return isnan(n) || n > 4503599627370496.0 ? -1 : n > 0.0 ? (int64_t)n : 0;
}

static int64_t count_ints(int64_t start, int64_t limit, int64_t delta)
{
    if (delta == 0) {
        return -1;
    }
    if (delta > 0 ? limit <= start : limit >= start) {
        return 0;
    }
    uint64_t distance = delta > 0 ? (uint64_t)limit - (uint64_t)start : (uint64_t)start - (uint64_t)limit;
    uint64_t step = delta > 0 ? (uint64_t)delta : 0 - (uint64_t)delta, n = distance / step + (distance % step != 0);
    return n > INT64_MAX ? -1 : (int64_t)n;
}

static lathe_status range(const lathe_gang *gang, const lathe_call *call, lathe_diag *diag)
{
    const lathe_problem *p = call->problem;
    lathe_dtype dtype = p->out[0].dtype;
    double real[3] = { 0 };
    int64_t whole[3] = { 0 }, begin, end, count;
    for (size_t i = 0; i < 3; i++) {
        uint16_t n;
        (void)lt_root_operand(p, i, &n);
        if (call->in[n].rank == 1 && call->in[n].dims[0] != 1) {
            return LT_FAIL(diag, LATHE_BAD_SHAPE, p->op, NULL, "input %zu is not a scalar", i);
        }
        if (dtype == LATHE_DTYPE_F32) {
            real[i] = lt_load_f64(dtype, call->in[n].data, 0);
        } else {
            whole[i] = lt_load_i64(dtype, call->in[n].data, 0);
        }
    }
    count = dtype == LATHE_DTYPE_F32 ? count_floats(real[0], real[1], real[2]) : count_ints(whole[0], whole[1], whole[2]);
    LT_TRY(lt_settle_check(call, 0, 1, &count, diag));
    lathe_gang_split(gang, count, 256, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        if (dtype == LATHE_DTYPE_F32) {
            float offset = (float)((double)i * real[2]);
            ((float *)call->out[0].data)[i] = (float)real[0] + offset;
        } else if (dtype == LATHE_DTYPE_I32) {
            ((int32_t *)call->out[0].data)[i] = (int32_t)(uint32_t)((uint64_t)whole[0] + (uint64_t)i * (uint64_t)whole[2]);
        } else {
            ((int64_t *)call->out[0].data)[i] = (int64_t)((uint64_t)whole[0] + (uint64_t)i * (uint64_t)whole[2]);
        }
    }
    lt_settle(gang, call, 0, &count);
    return LATHE_OK;
}

static lathe_status run(const lathe_gang *gang, const lathe_call *call, lathe_diag *diag)
{
    return is_range(call->problem) ? range(gang, call, diag) : fill(gang, call, diag);
}

LT_TACTICS(make_values) = {
    { .struct_size = sizeof(lathe_tactic),
      .name = "make.values",
      .version = 1,
      .summary = "ConstantOfShape and Range",
      .ops = "ConstantOfShape Range",
      .device = LATHE_SPACE_HOST,
      .configs = 1,
      .fits = fits,
      .run = run },
    { .name = NULL },
};
