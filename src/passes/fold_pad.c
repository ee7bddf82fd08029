/*
 * fold_pad.c - pass fold-pad: zeros around the picture go into the pads of the convolution that reads it, and into those of an AveragePool that counts
 * them.
 */
#include "passes/passes_internal.h"

#include <stdio.h>
#include <string.h>

/* Pads of all axes from the Pad node; false when they are not constants of zeros. Looks only. */
static bool read_pads(const lt_graph *graph, const lt_node *pad, int rank, int64_t *begin, int64_t *end)
{
    int64_t pads[2 * LATHE_MAX_RANK], axes[LATHE_MAX_RANK];
    int count, n_axes = rank;
    const lt_value *fill = lt_node_in(graph, pad, 2), *list = lt_node_in(graph, pad, 3);
    if (!lt_attr_is(pad->attrs, pad->n_attrs, "mode", "constant", "constant") ||
        !lt_peek_ints(lt_node_in(graph, pad, 1), pads, 2 * LATHE_MAX_RANK, &count) ||
        (fill != NULL && !lt_peek_splat(fill, 0.0, 0)) ||
        (list != NULL && !lt_peek_ints(list, axes, LATHE_MAX_RANK, &n_axes)) || count != 2 * n_axes) {
        return false;
    }
    for (int i = 0; i < rank; i++) {
        begin[i] = end[i] = 0;
    }
    for (int i = 0; i < n_axes; i++) {
        int64_t axis = list == NULL ? i : axes[i] < 0 ? axes[i] + rank : axes[i];
        if (axis < 0 || axis >= rank) {
            return false;
        }
        begin[axis] += pads[i];
        end[axis] += pads[n_axes + i];
    }
    return true;
}

/* Extent that a window covers along each spatial axis. */
static bool window_extents(const lt_graph *graph, const lt_node *node, int n, int64_t *out)
{
    size_t count, n_dilations;
    const int64_t *kernel = lt_attr_ints(node->attrs, node->n_attrs, "kernel_shape", &count);
    const int64_t *dilations = lt_attr_ints(node->attrs, node->n_attrs, "dilations", &n_dilations);
    const lt_value *w = lt_node_is(node, "Conv") ? lt_node_in(graph, node, 1) : NULL;
    for (int i = 0; i < n; i++) {
        if (kernel != NULL && count == (size_t)n) {
            out[i] = kernel[i];
        } else if (w != NULL && w->type.rank == n + 2 && lt_dim_is_const(w->type.dims[i + 2])) {
            out[i] = w->type.dims[i + 2].k;
        } else {
            return false;
        }
        int64_t dilation = dilations != NULL && n_dilations == (size_t)n ? dilations[i] : 1, covered;
        if (out[i] < 1 || dilation < 1 || __builtin_mul_overflow(out[i] - 1, dilation, &covered)) {
            return false;
        }
        out[i] = covered + 1;
    }
    return true;
}

static lathe_status assume(lt_pass_call *c, lt_node_id id)
{
    LT_TRY(lt_assume_shape_inputs(c->graph, lt_node_get(c->graph, id), c->diag));
    const lt_value *fill = lt_node_in(c->graph, lt_node_get(c->graph, id), 2);
    return fill != NULL ? lt_graph_assume(c->graph, fill->id, LT_ASSUME_SPLAT, 0, c->diag) : LATHE_OK;
}

/* The new pads under the name q. A window that would see nothing but pads is left to others. */
static bool join_pads(lt_pass_call *c, lt_match *m, char *why, size_t why_size)
{
    int64_t begin[LATHE_MAX_RANK], end[LATHE_MAX_RANK], pads[2 * LATHE_MAX_RANK], extents[LATHE_MAX_RANK];
    size_t count;
    const lt_node *pad = lt_match_node(m, "p"), *node = lt_match_root(m);
    int rank = lt_match_value(m, "x")->type.rank, n = rank - 2;
    const int64_t *own = lt_attr_ints(node->attrs, node->n_attrs, "pads", &count);
    if (n < 1 || !lt_attr_is(node->attrs, node->n_attrs, "auto_pad", "NOTSET", "NOTSET") ||
        (own != NULL && count != 2 * (size_t)n) || !read_pads(c->graph, pad, rank, begin, end) ||
        !window_extents(c->graph, node, n, extents)) {
        snprintf(why, why_size, "the pads are not constant zeros");
        return false;
    }
    bool fits = begin[0] == 0 && end[0] == 0 && begin[1] == 0 && end[1] == 0;
    for (int i = 0; i < n; i++) {
        pads[i] = (own != NULL ? own[i] : 0) + begin[i + 2];
        pads[n + i] = (own != NULL ? own[n + i] : 0) + end[i + 2];
        fits = fits && begin[i + 2] >= 0 && end[i + 2] >= 0 && pads[i] < extents[i] && pads[n + i] < extents[i];
    }
    if (!fits) {
        snprintf(why, why_size, "the pads cut, are in the batch or the channels, or are wider than the window");
        return false;
    }
    lt_match_set_ints(m, "q", pads, 2 * (size_t)n);
    m->status = m->status == LATHE_OK ? assume(c, pad->id) : m->status;
    return m->status == LATHE_OK;
}

/* Pads that count and zeros that are there are the same; with ceil_mode windows may hang over, where neither counts. */
static bool join_pool(lt_pass_call *c, lt_match *m, char *why, size_t why_size)
{
    size_t count;
    const lt_node *node = lt_match_root(m);
    const int64_t *own = lt_attr_ints(node->attrs, node->n_attrs, "pads", &count);
    bool zeros = own == NULL;
    for (size_t i = 0; own != NULL && i < count; i++) {
        zeros = (i == 0 || zeros) && own[i] == 0;
    }
    if (lt_attr_i(node->attrs, node->n_attrs, "ceil_mode", 0) != 0 ||
        (!zeros && lt_attr_i(node->attrs, node->n_attrs, "count_include_pad", 0) != 1)) {
        snprintf(why, why_size, "pads of the pool do not count, or windows hang over");
        return false;
    }
    return join_pads(c, m, why, why_size);
}

static const lt_rule rules[] = {
    { .name = "conv",
      .pattern = "p = Pad(x, _, ...); c = Conv(p, w)",
      .replacement = "Conv<*c, pads=q>(x, w)",
      .guard = join_pads },
    { .name = "conv-bias",
      .pattern = "p = Pad(x, _, ...); c = Conv(p, w, b)",
      .replacement = "Conv<*c, pads=q>(x, w, b)",
      .guard = join_pads },
    { .name = "average-pool",
      .pattern = "p = Pad(x, _, ...); c = AveragePool(p)",
      .replacement = "AveragePool<*c, count_include_pad=1, pads=q>(x)",
      .guard = join_pool },
    { .name = NULL },
};

LT_PASS(fold_pad) = {
    .name = "fold-pad",
    .summary = "Fold a Pad of zeros into the pads of the convolution or AveragePool that reads it",
    .needs = "shapes",
    .keeps = "shapes qdq",
    .rules = rules,
};
