/*
 * merge_matmuls.c - pass merge-matmuls: products of one tensor with several weights that become queries, keys and values of one attention are one product
 * with the weights side by side. lathe.PackedAttention finds each operand by its offset in the result, so nothing is split.
 *
 * Weights with other readers stay: they would be there twice. Products with other readers stay: those would have to be cut out of the result, which costs more than one large product gains over several.
 */
#include "passes/passes_internal.h"

enum { OPERANDS = 3 };

/* A product with weights that attention reads, with or without a bias. */
typedef struct product {
    lt_value_id result, weights, bias; /* bias: none, or one constant for each column */
    lt_node_id matmul, add;            /* add: none without a bias */
    int64_t columns, offset;           /* where they begin in the merged result */
} product;

typedef struct merging {
    lt_pass_call *c;
    lt_node_id attention;
    lt_value_id x;
    product products[OPERANDS];
    int n, of[OPERANDS]; /* the product of each operand; -1: another value */
} merging;

/* ---- Looking ---- */

/* Reads nobody but the attention, as query, key or value, the result? */
static bool only_operand(const merging *m, const lt_value *value)
{
    for (uint32_t i = 0; i < value->n_uses; i++) {
        if (!lt_node_same(value->uses[i].node, m->attention) || value->uses[i].slot >= OPERANDS) {
            return false;
        }
    }
    return value->n_region_outputs == 0;
}

/* A constant with one element for each column. */
static bool is_row(const lt_value *value, int64_t columns)
{
    const lt_type *t = &value->type;
    if (!lt_value_is_constant(value) || t->cls != LT_TENSOR || t->rank < 1 ||
        !lt_dim_is(t->dims[t->rank - 1], columns)) {
        return false;
    }
    for (int i = 0; i < t->rank - 1; i++) {
        if (!lt_dim_is(t->dims[i], 1)) {
            return false;
        }
    }
    return true;
}

static bool read_matmul(const merging *m, const lt_value *value, product *p)
{
    const lt_graph *graph = m->c->graph;
    const lt_node *matmul = lt_maker(graph, value, "MatMul");
    const lt_value *w = matmul != NULL ? lt_node_in(graph, matmul, 1) : NULL;
    if (w == NULL || matmul->region != lt_node_get(graph, m->attention)->region || !lt_value_is_constant(w) ||
        w->type.rank != 2 || !lt_type_constant(&w->type, NULL) || w->type.dtype != LATHE_DTYPE_F32 ||
        !lt_value_read_once(graph, w)) {
        return false;
    }
    p->matmul = matmul->id;
    p->weights = w->id;
    p->columns = w->type.dims[1].k;
    return true;
}

static bool read_product(const merging *m, const lt_value *value, product *p)
{
    const lt_graph *graph = m->c->graph;
    *p = (product){ .result = value->id };
    if (value->type.rank != 3 || !only_operand(m, value)) {
        return false;
    }
    const lt_node *add = lt_maker(graph, value, "Add");
    if (add == NULL) {
        return read_matmul(m, value, p);
    }
    for (uint32_t i = 0; i < 2; i++) {
        const lt_value *result = lt_node_in(graph, add, i), *bias = lt_node_in(graph, add, 1 - i);
        if (read_matmul(m, result, p) && lt_value_single(result) && is_row(bias, p->columns)) {
            p->add = add->id;
            p->bias = bias->id;
            return true;
        }
    }
    return false;
}

/* Operands that lie in rows of a width can begin anywhere in it. */
static bool has_width(const lt_node *attention, int operand)
{
    static const char *const names[] = { "q", "k", "v" };
    return lt_attr_is(attention->attrs, attention->n_attrs, names[operand], "bsw", "bsw") ||
           lt_attr_is(attention->attrs, attention->n_attrs, names[operand], "sbw", "bsw");
}

/* Adds the product of an operand to those of the same tensor; an operand may be a part of a product that is there. */
static void add_operand(merging *m, const product *p, int operand)
{
    const lt_node *matmul = lt_node_get(m->c->graph, p->matmul);
    if (m->n > 0 && !lt_value_same(matmul->inputs[0], m->x)) {
        return;
    }
    int i = 0;
    while (i < m->n && !lt_value_same(m->products[i].result, p->result)) {
        i++;
    }
    if (i == m->n) {
        m->x = matmul->inputs[0];
        m->products[m->n++] = *p;
    }
    m->of[operand] = i;
}

/* The largest set of operands that are products of one tensor: of the first one's, or else of the second one's. */
static bool find_products(merging *m, const lt_node *attention)
{
    for (int first = 0; first < OPERANDS - 1 && m->n < 2; first++) {
        m->n = 0;
        for (int i = 0; i < OPERANDS; i++) {
            product p;
            m->of[i] = -1;
            if (i >= first && has_width(attention, i) &&
                read_product(m, lt_node_in(m->c->graph, attention, (uint32_t)i), &p)) {
                add_operand(m, &p, i);
            }
        }
    }
    return m->n >= 2;
}

/* ---- Writing ---- */

static lathe_status bias_row(const lt_make *make, const product *p, lt_value_id *out)
{
    lt_value_id inputs[2];
    if (lt_value_none(p->bias)) {
        LT_TRY(lt_make_scalar(make, LATHE_DTYPE_F32, 0, &inputs[0]));
        LT_TRY(lt_make_ints(make, &p->columns, 1, &inputs[1]));
        return lt_make_node(make, "Expand", NULL, 0, inputs, 2, out);
    }
    *out = p->bias;
    return lt_value_get(make->call->graph, p->bias)->type.rank == 1
               ? LATHE_OK
               : lt_make_reshape(make, p->bias, &p->columns, 1, out);
}

/* x times all weights, plus all biases when one has a bias. */
static lathe_status merged_product(merging *m, const lt_make *make, lt_value_id *out)
{
    lt_value_id weights[OPERANDS], biases[OPERANDS], inputs[2] = { m->x }, row;
    lathe_attr columns = lt_attr_int("axis", 1), along = lt_attr_int("axis", 0);
    bool biased = false;
    int64_t at = 0;
    for (int i = 0; i < m->n; i++) {
        biased = biased || !lt_value_none(m->products[i].bias);
    }
    for (int i = 0; i < m->n; i++) {
        product *p = &m->products[i];
        p->offset = at;
        at += p->columns;
        weights[i] = p->weights;
        if (biased) {
            LT_TRY(bias_row(make, p, &biases[i]));
        }
    }
    LT_TRY(lt_make_node(make, "Concat", &columns, 1, weights, (size_t)m->n, &inputs[1]));
    LT_TRY(lt_make_node(make, "MatMul", NULL, 0, inputs, 2, out));
    if (!biased) {
        return LATHE_OK;
    }
    LT_TRY(lt_make_node(make, "Concat", &along, 1, biases, (size_t)m->n, &row));
    return lt_make_binary(make, "Add", *out, row, out);
}

static lathe_status consume(const merging *m)
{
    lt_graph *graph = m->c->graph;
    for (int i = 0; i < m->n; i++) {
        LT_TRY(lt_edit_consume(graph, m->products[i].matmul, m->c->diag));
        if (!lt_node_none(m->products[i].add)) {
            LT_TRY(lt_edit_consume(graph, m->products[i].add, m->c->diag));
        }
    }
    return LATHE_OK;
}

/* The attention's attributes with offsets[3]. */
static lathe_status new_attrs(const merging *m, const lt_node *attention, const int64_t *offsets, lathe_attr **out,
                              size_t *count)
{
    lathe_attr *attrs = LT_ARENA_ARRAY(m->c->scratch, lathe_attr, (size_t)attention->n_attrs + 1);
    size_t n = 0;
    if (attrs == NULL) {
        return LT_OOM(m->c->diag);
    }
    for (uint32_t i = 0; i < attention->n_attrs; i++) {
        if (!lt_streq(attention->attrs[i].name, "offsets")) {
            attrs[n++] = attention->attrs[i];
        }
    }
    attrs[n++] = (lathe_attr){ .name = "offsets", .kind = LATHE_ATTR_INTS, .count = OPERANDS, .ints = offsets };
    *out = attrs;
    *count = n;
    return LATHE_OK;
}

static lathe_status write(merging *m)
{
    lt_pass_call *c = m->c;
    lt_graph *graph = c->graph;
    lt_make make = { .call = c, .at = m->attention };
    lt_value_id merged, made, inputs[16];
    int64_t offsets[OPERANDS];
    lathe_attr *attrs;
    size_t count, n_attrs;
    LT_TRY(consume(m));
    LT_TRY(merged_product(m, &make, &merged));
    LT_TRY(lt_edit_consume(graph, m->attention, c->diag));
    const lt_node *attention = lt_node_get(graph, m->attention);
    const int64_t *old = lt_attr_ints(attention->attrs, attention->n_attrs, "offsets", &count);
    for (uint32_t i = 0; i < attention->n_inputs; i++) {
        inputs[i] = i < OPERANDS && m->of[i] >= 0 ? merged : attention->inputs[i];
    }
    for (int i = 0; i < OPERANDS; i++) {
        offsets[i] = ((size_t)i < count ? old[i] : 0) + (m->of[i] >= 0 ? m->products[m->of[i]].offset : 0);
    }
    LT_TRY(new_attrs(m, attention, offsets, &attrs, &n_attrs));
    lt_node_spec spec = { .descriptor = attention->op,
                          .label = attention->label,
                          .attrs = attrs,
                          .n_attrs = n_attrs,
                          .inputs = inputs,
                          .n_inputs = attention->n_inputs,
                          .n_outputs = 1,
                          .before = m->attention,
                          .device = attention->device };
    LT_TRY(lt_graph_add_node(graph, attention->region, &spec, NULL, &made, c->diag));
    LT_TRY(lt_finish_replace(graph, lt_node_get(graph, m->attention)->outputs[0], made, true, c->diag));
    c->changed = true;
    LT_TRY(lt_remove_unused(graph, m->attention, c->diag));
    for (int i = 0; i < m->n; i++) {
        if (!lt_node_none(m->products[i].add)) {
            LT_TRY(lt_remove_unused(graph, m->products[i].add, c->diag));
        }
        LT_TRY(lt_remove_unused(graph, m->products[i].matmul, c->diag));
    }
    return LATHE_OK;
}

static lathe_status visit(lt_pass_call *c, const lt_node *node)
{
    merging m = { .c = c, .attention = node->id };
    if (!lt_node_is(node, "lathe:PackedAttention") || node->n_inputs > 16 || !find_products(&m, node)) {
        return LATHE_OK;
    }
    LT_TRY(lt_edit_begin(c->graph, c->pass->name, "attention", c->diag));
    lathe_status status = write(&m);
    lt_edit_end(c->graph);
    return status;
}

LT_PASS(merge_matmuls) = {
    .name = "merge-matmuls",
    .summary = "Merge the products that become queries, keys and values of one attention into one product",
    .needs = "shapes",
    .keeps = "shapes qdq",
    .visit = visit,
};
