/*
 * sink_transposes.c - pass sink-transposes: a Transpose moves behind what can as well be done before it: pointwise operators, Concat, normalizations of
 * rows and products with weights. There it meets its inverse, and what it stood between can be done together.
 *
 * f(T(a), T(b), c) becomes T(f(a, b, c')), with c' the constant c transposed back. At least one Transpose must go away with it, so their number does
 * not grow, and none moves to more bytes than it moved before. Each step moves a Transpose towards the outputs, so this ends.
 *
 * One exception: a product of rows that is brought to channels first and added to the result of a convolution. That result is transposed back, since
 * convolutions like to leave channels last, where a Transpose costs nothing, and the sum belongs to the product.
 */
#include "passes/passes_internal.h"

#include <string.h>

enum { MAX_INPUTS = 16 };

typedef struct sink {
    lt_pass_call *c;
    const lt_node *node;
    int64_t perm[LATHE_MAX_RANK];
    int rank;
} sink;

/* ---- Reading ---- */

static bool read_perm(const lt_graph *graph, const lt_node *node, int64_t *perm, int *rank)
{
    size_t count;
    const lt_value *out = lt_node_out(graph, node, 0);
    const int64_t *ints = lt_attr_ints(node->attrs, node->n_attrs, "perm", &count);
    *rank = out != NULL ? out->type.rank : -1;
    if (*rank < 1 || (ints != NULL && count != (size_t)*rank)) {
        return false;
    }
    for (int i = 0; i < *rank; i++) {
        perm[i] = ints != NULL ? ints[i] : *rank - 1 - i;
    }
    return true;
}

/* Is the value transposed in this way? */
static const lt_node *transposed(const sink *s, const lt_value *value)
{
    int64_t perm[LATHE_MAX_RANK];
    int rank;
    const lt_node *node = lt_maker(s->c->graph, value, "Transpose");
    bool same =
        node != NULL && node->region == s->node->region && read_perm(s->c->graph, node, perm, &rank) && rank == s->rank;
    return same && memcmp(perm, s->perm, (size_t)rank * sizeof *perm) == 0 ? node : NULL;
}

static bool only_reads(const lt_value *value, const lt_node *reader)
{
    for (uint32_t i = 0; i < value->n_uses; i++) {
        if (!lt_node_same(value->uses[i].node, reader->id)) {
            return false;
        }
    }
    return value->n_region_outputs == 0;
}

static bool one_input(const lt_graph *graph, const lt_node *node)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        const lt_value *value = lt_node_in(graph, node, i);
        count += value != NULL && !lt_value_is_constant(value);
    }
    return count == 1;
}

/* x * sigmoid(x): the other reader of x is the only reader of this node, so both will come together behind it. */
static bool comes_together(const sink *s, const lt_value *value)
{
    const lt_value *out = lt_node_out(s->c->graph, s->node, 0);
    if (value->n_uses != 2 || value->n_region_outputs != 0 || !lt_value_single(out) ||
        !one_input(s->c->graph, s->node)) {
        return false;
    }
    const lt_node *next = lt_node_get(s->c->graph, out->uses[0].node);
    bool other = false;
    for (uint32_t i = 0; i < 2; i++) {
        other = other || lt_node_same(value->uses[i].node, next->id);
    }
    return other && (next->op->traits & LT_OP_POINTWISE) && next->op->pw != LATHE_PW_NONE;
}

static bool one_element(const lt_type *type)
{
    for (int i = 0; i < type->rank; i++) {
        if (!lt_dim_is(type->dims[i], 1)) {
            return false;
        }
    }
    return type->cls == LT_TENSOR && type->rank >= 0;
}

/* ---- Which operators ---- */

static bool is_pointwise(const lt_node *node)
{
    bool quantization = lt_node_is(node, "QuantizeLinear") || lt_node_is(node, "DequantizeLinear");
    return quantization || ((node->op->traits & LT_OP_POINTWISE) && !(node->op->traits & LT_OP_RANDOM));
}

/* May this operand of a pointwise node be read before the Transpose? */
static bool operand_fits(const sink *s, const lt_value *value, bool parameter)
{
    if (value == NULL || one_element(&value->type)) {
        return true;
    }
    return !parameter && lt_value_is_constant(value) && value->type.rank <= s->rank &&
           lt_type_constant(&value->type, NULL);
}

/* Is what is transposed computed by a product, at most with pointwise operators behind it? */
static bool from_product(const lt_graph *graph, const lt_value *value)
{
    for (int depth = 0; depth < 8 && value != NULL && value->kind == LT_VALUE_RESULT && !lt_value_is_constant(value);
         depth++) {
        const lt_node *node = lt_node_get(graph, value->def);
        const lt_value *next = NULL;
        if (lt_node_is(node, "MatMul")) {
            return true;
        }
        for (uint32_t i = 0; is_pointwise(node) && next == NULL && i < node->n_inputs; i++) {
            const lt_value *in = lt_node_in(graph, node, i);
            next = in != NULL && !lt_value_is_constant(in) ? in : NULL;
        }
        value = next;
    }
    return false;
}

/* The result of a convolution beside a product whose channels the Transpose brings from the last place to the second. */
static bool beside_convolution(const sink *s, const lt_value *value, const lt_type *space)
{
    const lt_graph *graph = s->c->graph;
    bool channels = s->rank >= 3 && s->perm[0] == 0 && s->perm[1] == s->rank - 1;
    for (int i = 2; i < s->rank; i++) {
        channels = channels && s->perm[i] == i - 1;
    }
    if (!channels || lt_maker(graph, value, "Conv") == NULL || !lt_node_is(s->node, "Add") ||
        !lt_dims_prove_same(graph, &value->type, space)) {
        return false;
    }
    for (uint32_t i = 0; i < 2; i++) {
        const lt_node *from = transposed(s, lt_node_in(graph, s->node, i));
        if (from != NULL && from_product(graph, lt_node_in(graph, from, 0))) {
            return true;
        }
    }
    return false;
}

static bool pointwise_fits(const sink *s, uint32_t first)
{
    const lt_graph *graph = s->c->graph;
    const lt_value *in = lt_node_in(graph, s->node, first), *out = lt_node_out(graph, s->node, 0);
    bool quantization = lt_node_is(s->node, "QuantizeLinear") || lt_node_is(s->node, "DequantizeLinear");
    if (!is_pointwise(s->node) || !lt_dims_prove_same(graph, &in->type, &out->type) ||
        lathe_dtype_bits(out->type.dtype) > lathe_dtype_bits(in->type.dtype)) {
        return false;
    }
    for (uint32_t i = 0; i < s->node->n_inputs; i++) {
        const lt_value *value = lt_node_in(graph, s->node, i);
        bool moves =
            value != NULL && transposed(s, value) != NULL && lt_dims_prove_same(graph, &value->type, &out->type);
        if (!moves && !operand_fits(s, value, quantization) && !beside_convolution(s, value, &out->type)) {
            return false;
        }
    }
    return true;
}

/* Rows stay where they are: the last axis does, and the operator works along it with constant parameters. */
static bool row_fits(const sink *s)
{
    const lt_graph *graph = s->c->graph;
    if (s->perm[s->rank - 1] != s->rank - 1) {
        return false;
    }
    bool product = lt_node_is(s->node, "MatMul"),
         softmax = lt_node_is(s->node, "Softmax") || lt_node_is(s->node, "LogSoftmax");
    bool norm = lt_node_is(s->node, "LayerNormalization") || lt_node_is(s->node, "RMSNormalization");
    for (uint32_t i = 1; i < s->node->n_inputs; i++) {
        const lt_value *value = lt_node_in(graph, s->node, i);
        if (value != NULL && (!lt_value_is_constant(value) || value->type.rank != 1 + product)) {
            return false;
        }
    }
    if (product) {
        const lt_type *w = &lt_node_in(graph, s->node, 1)->type;
        return s->rank >= 3 && lt_dim_is_const(w->dims[0]) && lt_dim_is_const(w->dims[1]) &&
               w->dims[1].k <= w->dims[0].k;
    }
    int64_t axis = lt_attr_i(s->node->attrs, s->node->n_attrs, "axis", -1);
    return (softmax || norm) && (axis == -1 || axis == s->rank - 1);
}

static bool concat_fits(const sink *s)
{
    const lt_graph *graph = s->c->graph;
    for (uint32_t i = 0; i < s->node->n_inputs; i++) {
        if (transposed(s, lt_node_in(graph, s->node, i)) == NULL) {
            return false;
        }
    }
    return lt_node_is(s->node, "Concat");
}

/* ---- Moving ---- */

/* The constant as it is read before the Transpose: rank filled up with ones, transposed back, ones in front dropped again. */
static lathe_status transpose_back(const sink *s, const lt_make *make, lt_value_id value, lt_value_id *out)
{
    int64_t dims[LATHE_MAX_RANK], full[LATHE_MAX_RANK], back[LATHE_MAX_RANK], last[LATHE_MAX_RANK];
    const lt_type *type = &lt_value_get(s->c->graph, value)->type;
    int missing = s->rank - type->rank, start = 0;
    (void)lt_type_constant(type, dims);
    for (int i = 0; i < s->rank; i++) {
        full[i] = i < missing ? 1 : dims[i - missing];
        back[s->perm[i]] = i;
    }
    for (int i = 0; i < s->rank; i++) {
        last[i] = full[back[i]];
    }
    while (start < s->rank - 1 && last[start] == 1) {
        start++;
    }
    lathe_attr perm = { .name = "perm", .kind = LATHE_ATTR_INTS, .count = (size_t)s->rank, .ints = back };
    if (missing > 0) {
        LT_TRY(lt_make_reshape(make, value, full, s->rank, &value));
    }
    LT_TRY(lt_make_node(make, "Transpose", &perm, 1, &value, 1, &value));
    *out = value;
    return start > 0 ? lt_make_reshape(make, value, last + start, s->rank - start, out) : LATHE_OK;
}

/* What only one side has transposed. */
static lathe_status transpose_value(const sink *s, const lt_make *make, lt_value_id value, lt_value_id *out)
{
    int64_t back[LATHE_MAX_RANK];
    for (int i = 0; i < s->rank; i++) {
        back[s->perm[i]] = i;
    }
    lathe_attr perm = { .name = "perm", .kind = LATHE_ATTR_INTS, .count = (size_t)s->rank, .ints = back };
    return lt_make_node(make, "Transpose", &perm, 1, &value, 1, out);
}

/* Its inputs before the Transpose. Constants of rows stay: they lie along the last axis. */
static lathe_status new_inputs(const sink *s, const lt_make *make, bool rows, lt_value_id *inputs)
{
    const lt_graph *graph = s->c->graph;
    lt_node_id id = s->node->id;
    for (uint32_t i = 0; i < s->node->n_inputs; i++) {
        const lt_value *value = lt_node_in(graph, lt_node_get(graph, id), i);
        const lt_node *from = value != NULL ? transposed(s, value) : NULL;
        inputs[i] = value != NULL ? value->id : (lt_value_id){ 0, 0 };
        if (from != NULL) {
            inputs[i] = from->inputs[0];
        } else if (value != NULL && !rows && !one_element(&value->type)) {
            bool constant = lt_value_is_constant(value);
            LT_TRY(constant ? transpose_back(s, make, value->id, &inputs[i])
                            : transpose_value(s, make, value->id, &inputs[i]));
        }
    }
    return LATHE_OK;
}

static lathe_status new_attrs(const sink *s, lathe_attr **out, size_t *count)
{
    const lt_node *node = s->node;
    bool concat = lt_node_is(node, "Concat");
    lathe_attr *attrs = LT_ARENA_ARRAY(s->c->scratch, lathe_attr, (size_t)node->n_attrs + 1);
    if (attrs == NULL) {
        return LT_OOM(s->c->diag);
    }
    for (uint32_t i = 0; i < node->n_attrs; i++) {
        attrs[i] = node->attrs[i];
        if (concat && lt_streq(attrs[i].name, "axis")) {
            attrs[i].i = s->perm[attrs[i].i < 0 ? attrs[i].i + s->rank : attrs[i].i];
        }
    }
    *out = attrs;
    *count = node->n_attrs;
    return LATHE_OK;
}

static lathe_status remove_transposes(const sink *s, const lt_node_id *ids, int n)
{
    for (int i = 0; i < n; i++) {
        LT_TRY(lt_remove_unused(s->c->graph, ids[i], s->c->diag));
    }
    return LATHE_OK;
}

static lathe_status move(const sink *s, bool rows)
{
    lt_pass_call *c = s->c;
    lt_graph *graph = c->graph;
    const lt_node *node = s->node;
    lt_make make = { .call = c, .at = node->id };
    lt_value_id inputs[MAX_INPUTS], made, back, old = node->outputs[0];
    lt_node_id ids[MAX_INPUTS], id = node->id;
    int n = 0;
    lt_node_spec spec = { .descriptor = node->op,
                          .label = node->label,
                          .inputs = inputs,
                          .n_inputs = node->n_inputs,
                          .n_outputs = 1,
                          .before = id,
                          .device = node->device };
    lathe_attr *attrs, perm = { .name = "perm", .kind = LATHE_ATTR_INTS, .count = (size_t)s->rank, .ints = s->perm };
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        const lt_node *from = transposed(s, lt_node_in(graph, node, i));
        if (from != NULL) {
            ids[n++] = from->id;
        }
    }
    LT_TRY(new_inputs(s, &make, rows, inputs));
    LT_TRY(new_attrs(s, &attrs, &spec.n_attrs));
    spec.attrs = attrs;
    LT_TRY(lt_edit_consume(graph, id, c->diag));
    LT_TRY(lt_graph_add_node(graph, node->region, &spec, NULL, &made, c->diag));
    for (int i = 0; i < n; i++) {
        const lt_node *from = lt_node_get(graph, ids[i]);
        if (only_reads(lt_node_out(graph, from, 0), lt_node_get(graph, id))) {
            LT_TRY(lt_edit_consume(graph, ids[i], c->diag));
        }
    }
    lt_node_spec last = { .op = "Transpose",
                          .domain = "",
                          .label = spec.label,
                          .attrs = &perm,
                          .n_attrs = 1,
                          .inputs = &made,
                          .n_inputs = 1,
                          .n_outputs = 1,
                          .before = id,
                          .device = spec.device };
    LT_TRY(lt_graph_add_node(graph, lt_node_get(graph, id)->region, &last, NULL, &back, c->diag));
    LT_TRY(lt_finish_replace(graph, old, back, true, c->diag));
    LT_TRY(lt_remove_unused(graph, id, c->diag));
    LT_TRY(remove_transposes(s, ids, n));
    c->changed = true;
    return LATHE_OK;
}

/* ---- Deciding ---- */

static bool result_only(const lt_graph *graph, const lt_node *node)
{
    for (uint32_t i = 1; i < node->n_outputs; i++) {
        const lt_value *value = lt_node_out(graph, node, i);
        if (value != NULL && !lt_value_unused(value)) {
            return false;
        }
    }
    const lt_value *out = lt_node_out(graph, node, 0);
    return out != NULL && out->type.cls == LT_TENSOR && out->contents.v == NULL &&
           lathe_dtype_bits(out->type.dtype) >= 8;
}

static bool one_goes(const sink *s)
{
    const lt_graph *graph = s->c->graph;
    for (uint32_t i = 0; i < s->node->n_inputs; i++) {
        const lt_value *value = lt_node_in(graph, s->node, i);
        if (value != NULL && transposed(s, value) != NULL && (only_reads(value, s->node) || comes_together(s, value))) {
            return true;
        }
    }
    return false;
}

/* A Transpose whose inverse has come in front of it goes away now: it would be moved on without it. */
static lathe_status meet(lt_pass_call *c, const lt_node *node)
{
    int64_t outer[LATHE_MAX_RANK], inner[LATHE_MAX_RANK];
    int rank, rank_inner;
    lt_graph *graph = c->graph;
    const lt_node *from = lt_maker(graph, lt_node_in(graph, node, 0), "Transpose");
    bool back = from != NULL && from->region == node->region && read_perm(graph, node, outer, &rank) &&
                read_perm(graph, from, inner, &rank_inner) && rank == rank_inner;
    for (int i = 0; back && i < rank; i++) {
        back = inner[outer[i]] == i;
    }
    if (!back || !lt_can_replace(graph, lt_node_out(graph, node, 0), lt_node_in(graph, from, 0))) {
        return LATHE_OK;
    }
    lt_value_id old = node->outputs[0], now = from->inputs[0];
    lt_node_id id = node->id, behind = from->id;
    LT_TRY(lt_edit_begin(graph, c->pass->name, "meet", c->diag));
    lathe_status status = lt_edit_consume(graph, id, c->diag);
    status = status == LATHE_OK ? lt_finish_replace(graph, old, now, false, c->diag) : status;
    status = status == LATHE_OK ? lt_remove_unused(graph, id, c->diag) : status;
    status = status == LATHE_OK ? lt_remove_unused(graph, behind, c->diag) : status;
    lt_edit_end(graph);
    c->changed = true;
    return status;
}

static lathe_status visit(lt_pass_call *c, const lt_node *node)
{
    const lt_graph *graph = c->graph;
    sink s = { .c = c, .node = node };
    uint32_t first = 0;
    const lt_node *transpose = NULL;
    if (lt_node_is(node, "Transpose")) {
        return meet(c, node);
    }
    if (node->n_inputs > MAX_INPUTS || node->n_outputs == 0 || !result_only(graph, node)) {
        return LATHE_OK;
    }
    for (; transpose == NULL && first < node->n_inputs; first++) {
        transpose = lt_maker(graph, lt_node_in(graph, node, first), "Transpose");
    }
    if (transpose == NULL || transpose->region != node->region || !read_perm(graph, transpose, s.perm, &s.rank) ||
        !one_goes(&s)) {
        return LATHE_OK;
    }
    bool rows = first == 1 && row_fits(&s);
    if (!rows && !pointwise_fits(&s, first - 1) && !concat_fits(&s)) {
        return LATHE_OK;
    }
    LT_TRY(lt_edit_begin(c->graph, c->pass->name, "sink", c->diag));
    lathe_status status = move(&s, rows);
    lt_edit_end(c->graph);
    return status;
}

LT_PASS(sink_transposes) = {
    .name = "sink-transposes",
    .summary = "Move Transpose behind pointwise operators, Concat, row normalizations and products with weights, where "
               "no more bytes are moved",
    .needs = "shapes",
    .keeps = "shapes qdq",
    .visit = visit,
};
