/*
 * transpose_copy.c - tactic transpose.copy: Transpose of any type of whole bytes by block copies. Configuration 0 goes from plain to plain, 1 reads
 * and 2 writes channels-last tensors of rank 3 and 4.
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

static const int8_t last3[] = { 0, 2, 1 }, last4[] = { 0, 2, 3, 1 };

/* Do axes keep their order in memory, those of extent 1 aside? */
static bool keeps_order(const lathe_problem *p, const lathe_format *in, const lathe_format *out, const int *perm)
{
    int rank = p->in[0].rank, stored[LATHE_MAX_RANK], n = 0, k = 0;
    for (int i = 0; i < rank; i++) {
        if (p->in[0].dims[in->order[i]].opt != 1) {
            stored[n++] = in->order[i];
        }
    }
    for (int i = 0; i < rank; i++) {
        if (p->out[0].dims[out->order[i]].opt != 1 && (k >= n || stored[k++] != perm[out->order[i]])) {
            return false;
        }
    }
    return true;
}

static int fits(const lathe_problem *p, uint32_t config, lathe_fit *fit)
{
    int perm[LATHE_MAX_RANK];
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
    int rank = p->in[0].rank;
    if (config > 0) {
        const lathe_operand *o = config == 1 ? &p->in[0] : &p->out[0];
        lathe_format *format = config == 1 ? &fit->in[0] : &fit->out[0];
        if (rank < 3 || rank > 4 || (p->in[0].flags & (LATHE_OPERAND_CONSTANT | LATHE_OPERAND_HOST))) {
            return lt_no(fit, "rank %d has no channels last, or a constant", rank);
        }
        *format = lt_format_permuted(o->dtype, rank == 4 ? last4 : last3, rank, format->space);
    }
    fit->pitched_in = fit->pitched_out = fit->any_cut = 1;
    double elements = 1, smallest = 1e18;
    for (int i = 0; i < rank; i++) {
        double e = (double)p->in[0].dims[i].opt;
        elements *= e;
        smallest = e > 1 && i > 0 && e < smallest ? e : smallest;
    }
    bool same = keeps_order(p, &fit->in[0], &fit->out[0], perm);
    double run = same ? elements : 1;
    if (config == 0 && rank > 0 && perm[rank - 1] == rank - 1) {
        run = (double)p->in[0].dims[rank - 1].opt + 0.5;
    }
    fit->cost = lt_copy_cost(lathe_dtype_bits(p->in[0].dtype) / 8, elements, run, smallest < 4);
    return 1;
}

static lathe_status run(const lathe_gang *gang, const lathe_call *call, lathe_diag *diag)
{
    const lathe_problem *p = call->problem;
    const lathe_buffer *in = &call->in[0], *out = &call->out[0];
    int perm[LATHE_MAX_RANK];
    int64_t from[LATHE_MAX_RANK], to[LATHE_MAX_RANK];
    bool good = in->rank == out->rank && lt_extents_sane(in->rank, in->dims) && read_perm(p, in->rank, perm);
    for (int i = 0; good && i < in->rank; i++) {
        good = in->dims[perm[i]] == out->dims[i];
    }
    if (!good) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, "Transpose", NULL,
                       "the output's extents are not those of the input, permuted");
    }
    lt_copy c = { 0 };
    if (!lt_format_strides(&p->in[0].format, in, from) || !lt_format_strides(&p->out[0].format, out, to)) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, "Transpose", NULL, "an operand's format has blocks or pads");
    }
    for (int i = 0; i < in->rank; i++) {
        lt_copy_axis(&c, out->dims[i], from[perm[i]], to[i]);
    }
    lt_copy_run(gang, lathe_dtype_bits(p->in[0].dtype) / 8, &c, in->data, out->data);
    return LATHE_OK;
}

LT_TACTICS(transpose_copy) = {
    { .struct_size = sizeof(lathe_tactic),
      .name = "transpose.copy",
      .version = 1,
      .summary = "Transpose by rows or small squares, plain or channels last",
      .ops = "Transpose",
      .device = LATHE_SPACE_HOST,
      .configs = 3,
      .fits = fits,
      .run = run },
    { .name = NULL },
};
