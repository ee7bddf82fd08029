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
    fit->cost = 60 + lt_operand_elements(x) * bits / 8 * 0.05;
    return 1;
}

static lathe_status run(const lathe_gang *gang, const lathe_call *call, lathe_diag *diag)
{
    const lathe_problem *p = call->problem;
    uint16_t nx;
    size_t size = lathe_dtype_bits(lt_root_operand(p, 0, &nx)->dtype) / 8;
    const lathe_buffer *x = &call->in[nx], *y = &call->out[0];
    int64_t dims[LATHE_MAX_RANK], count, results, begin, end;
    int rank = y->rank;
    if (p->out[0].flags & LATHE_OPERAND_BOUNDED) {
        LT_TRY(lt_settle_extents(call, dims, &rank, diag));
    } else {
        memcpy(dims, y->dims, (size_t)rank * sizeof *dims);
    }
    if (!lt_dims_count(x->dims, x->rank, &count) || !lt_dims_count(dims, rank, &results) || results != count) {
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
