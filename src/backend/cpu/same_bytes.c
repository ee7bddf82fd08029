/*
 * same_bytes.c - tactic move.same: operators that give the same elements other extents, where the result cannot be a view: values whose extents only the run
 * tells, and outputs of the model.
 */
#include "backend/cpu/product.h"
#include "backend/cpu/settle.h"
#include <string.h>

static int fits(const lathe_problem *p, uint32_t config, lathe_fit *fit)
{
    const lathe_operand *x = lt_root_operand(p, 0, NULL), *y = &p->out[0];
    (void)config;
    if (p->n_instrs > 0 || p->n_out != 1 || !x || x->rank < 0 || y->rank < 0) {
        return lt_no(fit, "part of a group, or an operand of unknown rank");
    }
    if ((x->flags & LATHE_OPERAND_MANAGED) || (y->flags & (LATHE_OPERAND_MANAGED | LATHE_OPERAND_ABSENT))) {
        return lt_no(fit, "an operand without planned extents");
    }
    unsigned bits = lathe_dtype_bits(x->dtype);
    if (y->dtype != x->dtype || bits < 8 || bits > 128) {
        return lt_no(fit, "elements of %u bits", bits);
    }
    if (strcmp(p->op, "Reshape") == 0 && (y->flags & LATHE_OPERAND_BOUNDED) && !lt_root_operand(p, 1, NULL)) {
        return lt_no(fit, "no shape");
    }
    double elements = 1;
    for (int d = 0; d < x->rank; d++) {
        elements *= (double)x->dims[d].opt;
    }
    fit->cost = 60 + elements * bits / 8 * 0.05;
    return 1;
}

/* Whole numbers of an input; -1: it is absent or there are too many. */
static int numbers(const lathe_call *call, size_t slot, int64_t *values)
{
    uint16_t n;
    const lathe_operand *o = lt_root_operand(call->problem, slot, &n);
    const lathe_buffer *b = o ? &call->in[n] : NULL;
    int count = !b || b->rank > 1 || (b->rank == 1 && b->dims[0] > LATHE_MAX_RANK) ? -1 : b->rank == 0 ? 1 : (int)b->dims[0];
    for (int i = 0; i < count; i++) {
        values[i] = lt_load_i64(o->dtype, b->data, i);
    }
    return count;
}

/* Bits of the axes that input 1 names, of a tensor of that rank; false: one is out of range. */
static bool named(const lathe_call *call, int rank, uint32_t *axes, int *count)
{
    int64_t values[LATHE_MAX_RANK];
    *count = numbers(call, 1, values);
    *axes = 0;
    for (int i = 0; i < *count; i++) {
        values[i] += values[i] < 0 ? rank : 0;
        if (values[i] < 0 || values[i] >= rank) {
            return false;
        }
        *axes |= 1u << values[i];
    }
    return true;
}

static bool squeezed(const lathe_call *call, const lathe_buffer *x, int64_t *dims, int *rank)
{
    uint32_t axes;
    int count;
    bool good = named(call, x->rank, &axes, &count);
    *rank = 0;
    for (int d = 0; good && d < x->rank; d++) {
        bool drop = count < 0 ? x->dims[d] == 1 : axes >> d & 1;
        good = !drop || x->dims[d] == 1;
        dims[*rank] = x->dims[d];
        *rank += !drop;
    }
    return good;
}

static bool unsqueezed(const lathe_call *call, const lathe_buffer *x, int64_t *dims, int *rank)
{
    uint32_t axes;
    int count, from = 0;
    *rank = call->out[0].rank;
    if (!named(call, *rank, &axes, &count) || count < 0 || x->rank + count != *rank) {
        return false;
    }
    for (int d = 0; d < *rank; d++) {
        bool fresh = axes >> d & 1;
        if (!fresh && from == x->rank) {
            return false;
        }
        dims[d] = fresh ? 1 : x->dims[from++];
    }
    return from == x->rank;
}

static bool reshaped(const lathe_call *call, const lathe_buffer *x, int64_t count, int64_t *dims, int *rank)
{
    const lathe_problem *p = call->problem;
    bool zeros = lt_attr_i(p->attrs, p->n_attrs, "allowzero", 0) != 0;
    int64_t rest = 1;
    int open = -1;
    *rank = numbers(call, 1, dims);
    for (int d = 0; d < *rank; d++) {
        if (dims[d] == 0 && !zeros) {
            if (d >= x->rank) {
                return false;
            }
            dims[d] = x->dims[d];
        }
        if (dims[d] == -1 && open < 0) {
            open = d;
        } else if (dims[d] < 0 || !lt_i64_mul(rest, dims[d], &rest)) {
            return false;
        }
    }
    if (open >= 0) {
        if (rest == 0 || count % rest != 0) {
            return false;
        }
        dims[open] = count / rest;
    }
    return *rank >= 0;
}

static bool flattened(const lathe_call *call, const lathe_buffer *x, int64_t *dims, int *rank)
{
    int64_t axis = lt_attr_i(call->problem->attrs, call->problem->n_attrs, "axis", 1);
    axis += axis < 0 ? x->rank : 0;
    *rank = 2;
    return axis >= 0 && axis <= x->rank && lt_dims_count(x->dims, (int)axis, &dims[0]) &&
           lt_dims_count(x->dims + axis, x->rank - (int)axis, &dims[1]);
}

/* Extents of a bounded output. */
static bool extents_of(const lathe_call *call, const lathe_buffer *x, int64_t count, int64_t *dims, int *rank)
{
    const char *op = call->problem->op;
    if (strcmp(op, "Squeeze") == 0) {
        return squeezed(call, x, dims, rank);
    }
    if (strcmp(op, "Unsqueeze") == 0) {
        return unsqueezed(call, x, dims, rank);
    }
    if (strcmp(op, "Reshape") == 0) {
        return reshaped(call, x, count, dims, rank);
    }
    if (strcmp(op, "Flatten") == 0) {
        return flattened(call, x, dims, rank);
    }
    *rank = x->rank;
    memcpy(dims, x->dims, (size_t)x->rank * sizeof *dims);
    return true;
}

static lathe_status run(const lathe_gang *gang, const lathe_call *call, lathe_diag *diag)
{
    const lathe_problem *p = call->problem;
    uint16_t nx;
    size_t size = lathe_dtype_bits(lt_root_operand(p, 0, &nx)->dtype) / 8;
    const lathe_buffer *x = &call->in[nx], *y = &call->out[0];
    int64_t dims[LATHE_MAX_RANK], count, results, begin, end;
    int rank = y->rank;
    bool good = lt_extents_sane(x->rank, x->dims) && lt_dims_count(x->dims, x->rank, &count);
    if (p->out[0].flags & LATHE_OPERAND_BOUNDED) {
        good = good && extents_of(call, x, count, dims, &rank);
    } else {
        memcpy(dims, y->dims, (size_t)rank * sizeof *dims);
    }
    if (!good || !lt_extents_sane(rank, dims) || !lt_dims_count(dims, rank, &results) || results != count) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, p->op, NULL, "input and output do not have as many elements");
    }
    LT_TRY(lt_settle_check(call, 0, rank, dims, diag));
    lathe_gang_split(gang, count, 4096, &begin, &end);
    if (end > begin) {
        memcpy((char *)y->data + (size_t)begin * size, (const char *)x->data + (size_t)begin * size, (size_t)(end - begin) * size);
    }
    lt_settle(gang, call, 0, dims);
    return LATHE_OK;
}

LT_TACTICS(same_bytes) = {
    { .struct_size = sizeof(lathe_tactic),
      .name = "move.same",
      .version = 1,
      .summary = "the same elements under other extents",
      .ops = "Reshape Flatten Squeeze Unsqueeze Identity",
      .device = LATHE_SPACE_HOST,
      .configs = 1,
      .fits = fits,
      .run = run },
    { .name = NULL },
};
