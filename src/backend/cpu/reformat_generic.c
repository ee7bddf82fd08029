/*
 * reformat_generic.c - tactic reformat.generic: a tensor from one format to another within host memory. Permutations are block copies; blocks and pads
 * are copied one by one. Pad lanes become 0.
 */
#include "backend/cpu/permute.h"
#include "backend/cpu/tile.h"
#include <string.h>

static int fits(const lathe_problem *p, uint32_t config, lathe_fit *fit)
{
    (void)config;
    if (p->n_in != 1 || p->n_out != 1 || p->n_instrs > 0) {
        return lt_no(fit, "not one operand to another");
    }
    const lathe_format *a = &p->in[0].format, *b = &p->out[0].format;
    unsigned bits = lathe_dtype_bits(a->storage);
    if (a->space != LATHE_SPACE_HOST || b->space != LATHE_SPACE_HOST) {
        return lt_no(fit, "not within host memory");
    }
    if (a->storage != b->storage || a->rank != b->rank || p->in[0].flags & LATHE_OPERAND_MANAGED || a->rank < 0) {
        return lt_no(fit, "rank or stored type changes");
    }
    if (bits < 8) {
        return lt_no(fit, "elements of %u bits are always plain", bits);
    }
    fit->in[0] = *a;
    fit->out[0] = *b;
    fit->in[0].strided = fit->out[0].strided = 0;
    bool simple = a->block <= 1 && b->block <= 1 && a->pad_to <= 1 && b->pad_to <= 1;
    fit->pitched_in = fit->pitched_out = simple;
    fit->any_cut = 1;
    double elements = 1, smallest = 1e18;
    for (int i = 0; i < a->rank; i++) {
        double e = (double)p->in[0].dims[i].opt;
        elements *= e;
        smallest = e > 1 && i > 0 && e < smallest ? e : smallest;
    }
    bool same = true; /* axes of extent 1 do not count */
    for (int i = 0, j = 0; i < a->rank; i++) {
        while (j < a->rank && p->in[0].dims[b->order[j]].opt == 1) {
            j++;
        }
        if (p->in[0].dims[a->order[i]].opt != 1) {
            same = same && j < a->rank && a->order[i] == b->order[j++];
        }
    }
    fit->cost =
        simple ? lt_copy_cost(bits / 8, elements, same ? elements : 1, smallest < 4) : 300 + lt_problem_bytes(p) * 3.0;
    return 1;
}

/* No blocks, no pads: along the destination's axes in its own order. */
static void permute(const lathe_gang *gang, const lathe_format *a, const lathe_format *b, const lathe_call *call)
{
    int64_t from[LATHE_MAX_RANK], to[LATHE_MAX_RANK];
    lt_copy c = { 0 };
    (void)lt_format_strides(a, &call->in[0], from);
    (void)lt_format_strides(b, &call->out[0], to);
    for (int i = 0; i < b->rank; i++) {
        int axis = b->order[i];
        lt_copy_axis(&c, call->out[0].dims[axis], from[axis], to[axis]);
    }
    lt_copy_run(gang, lathe_dtype_bits(a->storage) / 8, &c, call->in[0].data, call->out[0].data);
}

/* One by one, pads first. Serial: thread 0 does it all. */
static lathe_status scatter(const lathe_format *a, const lathe_format *b, const int64_t *dims, const lathe_call *call,
                            lathe_diag *diag)
{
    size_t size = lathe_dtype_bits(a->storage) / 8, bytes;
    int64_t c[LATHE_MAX_RANK] = { 0 }, count;
    if (!lt_format_bytes(b, b->rank, dims, &bytes) || !lt_dims_count(dims, b->rank, &count)) {
        return LT_FAIL(diag, LATHE_OVERFLOW, "Reformat", NULL, "the size of the tensor overflows");
    }
    if (bytes > 0) {
        memset(call->out[0].data, 0, bytes);
    }
    if (count == 0) {
        return LATHE_OK;
    }
    const char *src = call->in[0].data;
    char *dst = call->out[0].data;
    do {
        memcpy(dst + (size_t)lt_format_offset(b, dims, c) * size, src + (size_t)lt_format_offset(a, dims, c) * size,
               size);
    } while (lt_next_coords(b->rank, dims, c));
    return LATHE_OK;
}

static lathe_status run(const lathe_gang *gang, const lathe_call *call, lathe_diag *diag)
{
    const lathe_format *a = &call->problem->in[0].format, *b = &call->problem->out[0].format;
    const lathe_buffer *in = &call->in[0], *out = &call->out[0];
    if (in->rank != a->rank || out->rank != a->rank || !lt_extents_sane(in->rank, in->dims) ||
        (a->rank > 0 && memcmp(in->dims, out->dims, (size_t)a->rank * sizeof *in->dims) != 0)) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, "Reformat", NULL, "source and destination have different extents");
    }
    if (a->block <= 1 && b->block <= 1 && a->pad_to <= 1 && b->pad_to <= 1) {
        permute(gang, a, b, call);
        return LATHE_OK;
    }
    return gang->index == 0 ? scatter(a, b, in->dims, call, diag) : LATHE_OK;
}

LT_TACTICS(reformat_generic) = {
    { .struct_size = sizeof(lathe_tactic),
      .name = "reformat.generic",
      .version = 1,
      .summary = "any format to any other in host memory",
      .ops = "lathe.Reformat",
      .device = LATHE_SPACE_HOST,
      .configs = 1,
      .fits = fits,
      .run = run },
    { .name = NULL },
};
