/*
 * transpose_copy.c - tactic transpose.copy: Transpose of any type of whole bytes by block copies.
 */
#include "backend/cpu/permute.h"
#include "backend/cpu/tile.h"

/* perm of the attribute; reversed axes when it is missing. false when it is none of this rank. */
static bool read_perm(const lathe_problem *p, int rank, int *perm)
{
    size_t count;
    const int64_t *ints = lt_attr_ints(p->attrs, p->n_attrs, "perm", &count);
    uint32_t seen = 0;
    for (int i = 0; i < rank; i++) {
        int64_t axis = ints ? (i < (int)count ? ints[i] : -1) : rank - 1 - i;
        if (axis < 0 || axis >= rank || (seen >> axis & 1)) {
            return false;
        }
        seen |= 1u << axis;
        perm[i] = (int)axis;
    }
    return !ints || (int)count == rank;
}

static int fits(const lathe_problem *p, uint32_t config, lathe_fit *fit)
{
    int perm[LATHE_MAX_RANK];
    (void)config;
    if (p->n_instrs > 0 || p->n_in != 1 || p->n_out != 1 || p->root_in[0] != 0) {
        return lt_no(fit, "part of a group");
    }
    if ((p->in[0].flags | p->out[0].flags) & (LATHE_OPERAND_MANAGED | LATHE_OPERAND_BOUNDED | LATHE_OPERAND_ABSENT)) {
        return lt_no(fit, "operands without planned extents");
    }
    if (lathe_dtype_bits(p->in[0].dtype) < 8) {
        return lt_no(fit, "elements of less than a byte");
    }
    if (p->in[0].rank != p->out[0].rank || !read_perm(p, p->in[0].rank, perm)) {
        return lt_no(fit, "perm is no permutation of the axes");
    }
    fit->cost = 300 + lt_problem_bytes(p) * 0.12;
    return 1;
}

static lathe_status run(const lathe_gang *gang, const lathe_call *call, lathe_diag *diag)
{
    const lathe_problem *p = call->problem;
    const lathe_buffer *in = &call->in[0], *out = &call->out[0];
    int perm[LATHE_MAX_RANK];
    int64_t strides[LATHE_MAX_RANK], step[LATHE_MAX_RANK];
    bool good = in->rank == out->rank && lt_extents_sane(in->rank, in->dims) && read_perm(p, in->rank, perm);
    for (int i = 0; good && i < in->rank; i++) {
        good = in->dims[perm[i]] == out->dims[i];
    }
    if (!good) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, "Transpose", NULL,
                       "the output's extents are not those of the input, permuted");
    }
    lt_tensor_strides(in->rank, in->dims, strides);
    for (int i = 0; i < in->rank; i++) {
        step[i] = strides[perm[i]];
    }
    lt_permute_copy(gang, lathe_dtype_bits(p->in[0].dtype) / 8, in->rank, out->dims, step, in->data, out->data);
    return LATHE_OK;
}

LT_TACTICS(transpose_copy) = {
    { .struct_size = sizeof(lathe_tactic),
      .name = "transpose.copy",
      .version = 1,
      .summary = "Transpose by rows or small squares",
      .ops = "Transpose",
      .device = LATHE_SPACE_HOST,
      .configs = 1,
      .fits = fits,
      .run = run },
    { .name = NULL },
};
