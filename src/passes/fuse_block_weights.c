/*
 * fuse_block_weights.c - pass fuse-block-weights: products with weights of few bits take them as they are stored.
 *
 *   MatMul(x, DequantizeLinear(w, s, z))              MatMulBlocks(x, w, s, z); also with a Transpose between them, or as a Gemm
 *
 * w, s and z are constants; the scales lie in blocks along the inner extent, or there is one for each column or for all, which then is one block. Without
 * this the weights would be made real in each run. Where rows are quantized as well, and blocks do not stand in the way, the product stays as it is: it is
 * one of integers.
 */
#include "passes/passes_internal.h"

typedef struct product {
    lt_pass_call *c;
    lt_node_id node, turn, from; /* turn: the Transpose, or none; from: the DequantizeLinear */
    lt_value_id x, addend;       /* addend: of a Gemm, or none */
    bool turned;                 /* weights are stored as [columns, inner extent] */
    int64_t n, k, block;
    bool blocked; /* scales lie as the operator wants them */
} product;

static bool refuse(const product *p, const char *why)
{
    lt_pass_note(p->c, lt_node_get(p->c->graph, p->node), "its weights are made real in each run: %s", why);
    return false;
}

/* What the node multiplies, and with what: plain sums of products alone. */
static const lt_value *read_node(product *p, const lt_node *node)
{
    const lt_graph *graph = p->c->graph;
    const lt_value *addend = lt_node_in(graph, node, 2);
    p->x = node->inputs[0];
    if (lt_node_is(node, "MatMul")) {
        return lt_node_in(graph, node, 1);
    }
    float beta = lt_attr_f(node->attrs, node->n_attrs, "beta", 1.0f);
    if (!lt_node_is(node, "Gemm") || lt_attr_i(node->attrs, node->n_attrs, "transA", 0) != 0 ||
        lt_attr_f(node->attrs, node->n_attrs, "alpha", 1.0f) != 1.0f ||
        (addend != NULL && beta != 1.0f && beta != 0.0f)) {
        return NULL;
    }
    p->turned = lt_attr_i(node->attrs, node->n_attrs, "transB", 0) != 0;
    p->addend = addend != NULL && beta != 0.0f ? addend->id : (lt_value_id){ 0, 0 };
    return lt_node_in(graph, node, 1);
}

static bool swaps(const lt_node *node)
{
    size_t count;
    const int64_t *perm = lt_attr_ints(node->attrs, node->n_attrs, "perm", &count);
    return perm == NULL || (count == 2 && perm[0] == 1 && perm[1] == 0);
}

static bool is_level(const lt_value *value)
{
    return lt_dtype_is_integer(value->type.dtype) && lathe_dtype_bits(value->type.dtype) <= 8;
}

/* A parameter of one element, or (wide) with one for each column. */
static bool is_small(const lt_value *value, int64_t n, bool wide)
{
    const lt_type *t = &value->type;
    return t->rank == 0 || (t->rank == 1 && (lt_dim_is(t->dims[0], 1) || (wide && lt_dim_is(t->dims[0], n))));
}

/* Do the scales go with one block or several along the inner extent? inner: its axis in the weights. */
static bool read_scales(product *p, const lt_node *from, int inner)
{
    const lt_graph *graph = p->c->graph;
    const lt_value *scale = lt_node_in(graph, from, 1), *zero = lt_node_in(graph, from, 2);
    int64_t axis = lt_attr_i(from->attrs, from->n_attrs, "axis", 1),
            block = lt_attr_i(from->attrs, from->n_attrs, "block_size", 0);
    axis += axis < 0 ? 2 : 0;
    p->blocked = block > 0 && scale->type.rank == 2;
    p->block = p->blocked ? block : p->k;
    if (p->blocked) {
        return axis == inner && (zero == NULL || zero->type.rank == 2) ? true
                                                                       : refuse(p, "blocks lie along its columns");
    }
    bool wide = axis != inner && block == 0;
    if (!is_small(scale, p->n, wide) || (zero != NULL && !is_small(zero, p->n, wide))) {
        return refuse(p, "scales change along the inner extent");
    }
    return lt_maker(graph, lt_value_get(graph, p->x), "DequantizeLinear") == NULL; /* integers */
}

/* Constants, f32 on both sides; reads extents. */
static bool read_weights(product *p, const lt_node *from)
{
    const lt_graph *graph = p->c->graph;
    const lt_value *w = lt_node_in(graph, from, 0), *scale = lt_node_in(graph, from, 1),
                   *zero = lt_node_in(graph, from, 2), *y = lt_node_out(graph, from, 0),
                   *x = lt_value_get(graph, p->x);
    int64_t dims[LATHE_MAX_RANK];
    if (!lt_value_is_constant(w) || !lt_value_is_constant(scale) || (zero != NULL && !lt_value_is_constant(zero))) {
        return false;
    }
    if (!is_level(w) || x->type.rank < 1 || x->type.dtype != y->type.dtype || scale->type.dtype != y->type.dtype ||
        (zero != NULL && zero->type.dtype != w->type.dtype)) {
        return refuse(p, "types that no kernel has");
    }
    if (w->type.rank != 2 || !lt_type_constant(&w->type, dims) || dims[0] < 1 || dims[1] < 1 ||
        !lt_type_constant(&scale->type, NULL)) {
        return refuse(p, "they are no matrix");
    }
    p->k = dims[p->turned];
    p->n = dims[!p->turned];
    return read_scales(p, from, p->turned ? 1 : 0);
}

static bool read_product(product *p, const lt_node *node)
{
    const lt_graph *graph = p->c->graph;
    const lt_value *weights = read_node(p, node);
    const lt_node *turn = weights != NULL ? lt_maker(graph, weights, "Transpose") : NULL;
    if (turn != NULL && swaps(turn)) {
        p->turn = turn->id;
        p->turned = !p->turned;
        weights = lt_node_in(graph, turn, 0);
    }
    const lt_node *from = weights != NULL ? lt_maker(graph, weights, "DequantizeLinear") : NULL;
    if (from == NULL || from->region != node->region || (turn != NULL && turn->region != node->region)) {
        return false;
    }
    p->from = from->id;
    return read_weights(p, from);
}

/* ---- Writing ---- */

/* One parameter for each column, or one for all, as a single block. */
static lathe_status one_block(const product *p, const lt_make *make, lt_value_id value, lt_value_id *out)
{
    int64_t dims[2] = { p->turned ? p->n : 1, p->turned ? 1 : p->n };
    const lt_type *t = &lt_value_get(p->c->graph, value)->type;
    if (t->rank == 1 && !lt_dim_is(t->dims[0], 1)) {
        return lt_make_reshape(make, value, dims, 2, out);
    }
    lt_value_id inputs[2] = { value };
    LT_TRY(lt_make_ints(make, dims, 2, &inputs[1]));
    return lt_make_node(make, "Expand", NULL, 0, inputs, 2, out);
}

/* Nodes that go with the product; those in front of it only when nobody else reads what they give. */
static lathe_status consume(const product *p)
{
    lt_graph *graph = p->c->graph;
    const lt_node *turn = lt_node_get(graph, p->turn), *from = lt_node_get(graph, p->from);
    bool turn_goes = turn == NULL || lt_value_single(lt_node_out(graph, turn, 0)),
         from_goes = turn_goes && lt_value_single(lt_node_out(graph, from, 0));
    LT_TRY(turn != NULL && turn_goes ? lt_edit_consume(graph, p->turn, p->c->diag) : LATHE_OK);
    LT_TRY(from_goes ? lt_edit_consume(graph, p->from, p->c->diag) : LATHE_OK);
    return lt_edit_consume(graph, p->node, p->c->diag);
}

static lathe_status write(const product *p)
{
    lt_pass_call *c = p->c;
    lt_graph *graph = c->graph;
    lt_make make = { .call = c, .at = p->node };
    lathe_attr attrs[2] = { lt_attr_int("block_size", p->block), lt_attr_int("transB", 1) };
    LT_TRY(consume(p));
    const lt_node *node = lt_node_get(graph, p->node), *from = lt_node_get(graph, p->from);
    lt_value_id inputs[4] = { p->x, from->inputs[0], from->inputs[1] }, old = node->outputs[0], made;
    size_t n = lt_node_inputs(from) > 2 ? 4 : 3;
    inputs[3] = n > 3 ? from->inputs[2] : (lt_value_id){ 0, 0 };
    for (size_t i = 2; i < n && !p->blocked; i++) {
        LT_TRY(one_block(p, &make, inputs[i], &inputs[i]));
    }
    node = lt_node_get(graph, p->node);
    lt_node_spec spec = { .op = "MatMulBlocks",
                          .domain = "lathe",
                          .label = node->label,
                          .attrs = attrs,
                          .n_attrs = p->turned ? 2 : 1,
                          .inputs = inputs,
                          .n_inputs = n,
                          .n_outputs = 1,
                          .before = p->node,
                          .device = node->device };
    LT_TRY(lt_graph_add_node(graph, node->region, &spec, NULL, &made, c->diag));
    if (!lt_value_none(p->addend)) {
        LT_TRY(lt_make_binary(&make, "Add", made, p->addend, &made));
    }
    LT_TRY(lt_finish_replace(graph, old, made, true, c->diag));
    c->changed = true;
    LT_TRY(lt_remove_unused(graph, p->node, c->diag));
    LT_TRY(lt_node_none(p->turn) ? LATHE_OK : lt_remove_unused(graph, p->turn, c->diag));
    return lt_remove_unused(graph, p->from, c->diag);
}

static lathe_status visit(lt_pass_call *c, const lt_node *node)
{
    product p = { .c = c, .node = node->id };
    if ((!lt_node_is(node, "MatMul") && !lt_node_is(node, "Gemm")) || !read_product(&p, node)) {
        return LATHE_OK;
    }
    LT_TRY(lt_edit_begin(c->graph, c->pass->name, "blocks", c->diag));
    lathe_status status = write(&p);
    lt_edit_end(c->graph);
    return status;
}

LT_PASS(fuse_block_weights) = {
    .name = "fuse-block-weights",
    .summary = "Let products take constant weights of few bits as they are stored, with the scales of their blocks",
    .needs = "shapes",
    .keeps = "shapes qdq",
    .visit = visit,
};
