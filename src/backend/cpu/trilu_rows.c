/*
 * trilu_rows.c - tactic move.trilu: Trilu of elements of one byte and more. A row is zeros and a copy.
 */
#include "backend/cpu/product.h"
#include <string.h>

static int fits(const lathe_problem *p, uint32_t config, lathe_fit *fit)
{
    const lathe_operand *x = lt_root_operand(p, 0, NULL), *k = lt_root_operand(p, 1, NULL), *y = &p->out[0];
    (void)config;
    if (p->n_instrs > 0 || p->n_out != 1 || !x || x->rank < 2 || y->dtype != x->dtype || (k && (k->dtype != LATHE_DTYPE_I64 || k->rank < 0))) {
        return lt_no(fit, "part of a group, or no matrix");
    }
    if (lathe_dtype_bits(x->dtype) < 8 || x->dtype == LATHE_DTYPE_STRING ||
        ((x->flags | y->flags) & (LATHE_OPERAND_MANAGED | LATHE_OPERAND_BOUNDED | LATHE_OPERAND_ABSENT))) {
        return lt_no(fit, "%s, or no planned extents", lathe_dtype_name(x->dtype));
    }
    fit->cost = 200 + lt_problem_bytes(p) * 0.06;
    return 1;
}

static lathe_status run(const lathe_gang *gang, const lathe_call *call, lathe_diag *diag)
{
    const lathe_problem *p = call->problem;
    uint16_t nx, nk;
    const lathe_operand *x = lt_root_operand(p, 0, &nx), *number = lt_root_operand(p, 1, &nk);
    const lathe_buffer *b = &call->in[nx], *y = &call->out[0];
    bool upper = lt_attr_i(p->attrs, p->n_attrs, "upper", 1) != 0;
    size_t size = (size_t)lathe_dtype_bits(x->dtype) / 8;
    int64_t all, begin, end, shift = number ? ((const int64_t *)call->in[nk].data)[0] : 0;
    if (b->rank < 2 || y->rank != b->rank || !lt_extents_sane(b->rank, b->dims) ||
        memcmp(b->dims, y->dims, (size_t)b->rank * sizeof *b->dims) != 0 || !lt_dims_count(b->dims, b->rank - 1, &all)) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, p->op, NULL, "the output has other extents");
    }
    int64_t rows = b->dims[b->rank - 2], columns = b->dims[b->rank - 1];
    shift = shift < -rows ? -rows : shift > columns ? columns : shift; /* further away changes nothing */
    lathe_gang_split(gang, columns > 0 ? all : 0, 1, &begin, &end);
    for (int64_t r = begin; r < end; r++) {
        int64_t border = r % rows + shift + (upper ? 0 : 1);
        size_t left = (size_t)(border < 0 ? 0 : border > columns ? columns : border) * size, row = (size_t)columns * size;
        const char *from = (const char *)b->data + (size_t)r * row;
        char *to = (char *)y->data + (size_t)r * row;
        if (upper) {
            memset(to, 0, left);
            memcpy(to + left, from + left, row - left);
        } else {
            memcpy(to, from, left);
            memset(to + left, 0, row - left);
        }
    }
    return LATHE_OK;
}

LT_TACTICS(trilu_rows) = {
    { .struct_size = sizeof(lathe_tactic),
      .name = "move.trilu",
      .version = 1,
      .summary = "triangles of matrices of any elements",
      .ops = "Trilu",
      .device = LATHE_SPACE_HOST,
      .configs = 1,
      .fits = fits,
      .run = run },
    { .name = NULL },
};
