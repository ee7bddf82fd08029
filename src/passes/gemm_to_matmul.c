/*
 * gemm_to_matmul.c - pass gemm-to-matmul: one form of products with weights. A Gemm becomes MatMul and Add, with its factors and transpositions in the
 * constants; a product of matrices between two reshapes that merge and part the leading axes loses both.
 *
 * What stays a Gemm: types other than f32 and f64, which would be rounded once more between product and addend; transpositions and factors that no constant
 * takes; quantized ones. Weights that somebody else reads stay, when they would have to change: there would be two of them.
 */
#include "passes/passes_internal.h"

#include <string.h>

/* ---- Gemm ---- */

typedef struct gemm {
    lt_pass_call *c;
    lt_make make;
    lt_value_id a, b, addend; /* addend: none */
    bool trans_a, trans_b;
    float alpha, beta;
} gemm;

static bool is_constant(const lt_graph *graph, lt_value_id id)
{
    return !lt_value_none(id) && lt_value_is_constant(lt_value_get(graph, id));
}

/* Integer kernels take the addend of a Gemm as it is. */
static bool is_quantized(const lt_graph *graph, lt_value_id id)
{
    return lt_maker(graph, lt_value_get(graph, id), "DequantizeLinear") != NULL;
}

static bool read_gemm(gemm *g, const lt_node *node)
{
    const lt_graph *graph = g->c->graph;
    const lt_value *y = lt_node_out(graph, node, 0), *addend = lt_node_in(graph, node, 2);
    if (!lt_node_is(node, "Gemm") || (y->type.dtype != LATHE_DTYPE_F32 && y->type.dtype != LATHE_DTYPE_F64)) {
        return false;
    }
    g->make = (lt_make){ .call = g->c, .at = node->id };
    g->a = node->inputs[0];
    g->b = node->inputs[1];
    g->trans_a = lt_attr_i(node->attrs, node->n_attrs, "transA", 0) != 0;
    g->trans_b = lt_attr_i(node->attrs, node->n_attrs, "transB", 0) != 0;
    g->alpha = lt_attr_f(node->attrs, node->n_attrs, "alpha", 1.0f);
    g->beta = lt_attr_f(node->attrs, node->n_attrs, "beta", 1.0f);
    g->addend = addend != NULL && g->beta != 0.0f ? addend->id : (lt_value_id){ 0, 0 };
    return true;
}

/* Can all that MatMul and Add do not do go into constants? */
static bool suits(const gemm *g, const lt_node *node)
{
    const lt_graph *graph = g->c->graph;
    bool constant_a = is_constant(graph, g->a), constant_b = is_constant(graph, g->b),
         scales_b = g->alpha != 1.0f && constant_b, scales_a = g->alpha != 1.0f && !constant_b;
    const char *why = (g->trans_a && !constant_a) || (g->trans_b && !constant_b) ? "it transposes what is no constant"
                      : scales_a && !constant_a                                  ? "no constant takes alpha"
                      : !lt_value_none(g->addend) && g->beta != 1.0f && !is_constant(graph, g->addend)
                          ? "no constant takes beta"
                          : NULL;
    if (why == NULL && (((g->trans_a || scales_a) && !lt_value_read_once(graph, lt_value_get(graph, g->a))) ||
                        ((g->trans_b || scales_b) && !lt_value_read_once(graph, lt_value_get(graph, g->b))))) {
        why = "its constants have other readers";
    }
    if (is_quantized(graph, g->a) || is_quantized(graph, g->b)) {
        why = "it is quantized";
    }
    if (why != NULL) {
        lt_pass_note(g->c, node, "stays a Gemm: %s", why);
    }
    return why == NULL;
}

static lathe_status scaled(const gemm *g, lt_value_id value, float factor, lt_value_id *out)
{
    lt_value_id number;
    *out = value;
    if (factor == 1.0f) {
        return LATHE_OK;
    }
    LT_TRY(lt_make_scalar(&g->make, lt_value_get(g->c->graph, value)->type.dtype, (double)factor, &number));
    return lt_make_binary(&g->make, "Mul", value, number, out);
}

static lathe_status turned(const gemm *g, lt_value_id value, bool turn, lt_value_id *out)
{
    static const int64_t swap[] = { 1, 0 };
    lathe_attr perm = { .name = "perm", .kind = LATHE_ATTR_INTS, .count = 2, .ints = swap };
    *out = value;
    return turn ? lt_make_node(&g->make, "Transpose", &perm, 1, &value, 1, out) : LATHE_OK;
}

static lathe_status write_gemm(const gemm *g, lt_node_id id)
{
    lt_graph *graph = g->c->graph;
    bool into_b = is_constant(graph, g->b);
    lt_value_id a, b, addend, made;
    LT_TRY(lt_edit_consume(graph, id, g->c->diag));
    LT_TRY(turned(g, g->a, g->trans_a, &a));
    LT_TRY(turned(g, g->b, g->trans_b, &b));
    LT_TRY(scaled(g, into_b ? b : a, g->alpha, into_b ? &b : &a));
    LT_TRY(lt_make_binary(&g->make, "MatMul", a, b, &made));
    if (!lt_value_none(g->addend)) {
        LT_TRY(scaled(g, g->addend, g->beta, &addend));
        LT_TRY(lt_make_binary(&g->make, "Add", made, addend, &made));
    }
    LT_TRY(lt_finish_replace(graph, lt_node_get(graph, id)->outputs[0], made, true, g->c->diag));
    g->c->changed = true;
    return lt_remove_unused(graph, id, g->c->diag);
}

static lathe_status visit_gemm(lt_pass_call *c, const lt_node *node)
{
    gemm g = { .c = c };
    if (!read_gemm(&g, node) || !suits(&g, node)) {
        return LATHE_OK;
    }
    LT_TRY(lt_edit_begin(c->graph, c->pass->name, "gemm", c->diag));
    lathe_status status = write_gemm(&g, node->id);
    lt_edit_end(c->graph);
    return status;
}

/* ---- Reshape, product, reshape ---- */

typedef struct sandwich {
    lt_pass_call *c;
    lt_node_id before, matmul, add, behind; /* add: none without a bias */
    lt_value_id x, weights, bias;
} sandwich;

/* A constant along the last axis alone, which any rank has. */
static bool is_row(const lt_value *value)
{
    const lt_type *t = &value->type;
    if (!lt_value_is_constant(value) || t->cls != LT_TENSOR || t->rank < 0 || t->rank > 2) {
        return false;
    }
    return t->rank < 2 || lt_dim_is(t->dims[0], 1);
}

static bool same_dim(const lt_graph *graph, lt_dim a, lt_dim b)
{
    return lt_dim_same(a, b) || lt_dim_proves_eq(lt_graph_dims(graph), a, b);
}

/* The product that computes the value, perhaps with a bias behind it; nobody else reads what is in between. */
static const lt_node *find_product(sandwich *s, const lt_value *value)
{
    const lt_graph *graph = s->c->graph;
    const lt_node *add = lt_maker(graph, value, "Add"), *matmul = NULL;
    for (uint32_t i = 0; add != NULL && i < 2 && matmul == NULL; i++) {
        const lt_value *result = lt_node_in(graph, add, i), *bias = lt_node_in(graph, add, 1 - i);
        matmul = is_row(bias) && lt_value_single(result) ? lt_maker(graph, result, "MatMul") : NULL;
        s->bias = bias->id;
        s->add = add->id;
    }
    return add == NULL ? lt_maker(graph, value, "MatMul") : matmul;
}

/* Are the axes before the last one the same on both ends? */
static bool same_leading(const lt_graph *graph, const lt_type *x, const lt_type *y)
{
    bool same = x->rank >= 3 && x->rank == y->rank;
    for (int i = 0; same && i < x->rank - 1; i++) {
        same = same_dim(graph, x->dims[i], y->dims[i]);
    }
    return same;
}

static bool find_sandwich(sandwich *s, const lt_node *behind)
{
    const lt_graph *graph = s->c->graph;
    const lt_value *inner = lt_node_in(graph, behind, 0), *y = lt_node_out(graph, behind, 0);
    if (!lt_node_is(behind, "Reshape") || inner == NULL || inner->type.rank != 2 || !lt_value_single(inner)) {
        return false;
    }
    const lt_node *matmul = find_product(s, inner);
    const lt_value *w = matmul != NULL ? lt_node_in(graph, matmul, 1) : NULL;
    const lt_node *before = matmul != NULL ? lt_maker(graph, lt_node_in(graph, matmul, 0), "Reshape") : NULL;
    const lt_value *x = before != NULL ? lt_node_in(graph, before, 0) : NULL;
    if (x == NULL || !lt_value_is_constant(w) || w->type.rank != 2 || x->type.rank < 3 ||
        !same_dim(graph, x->type.dims[x->type.rank - 1], w->type.dims[0]) || !same_leading(graph, &x->type, &y->type) ||
        !same_dim(graph, y->type.dims[y->type.rank - 1], w->type.dims[1])) {
        return false;
    }
    s->before = before->id;
    s->matmul = matmul->id;
    s->behind = behind->id;
    s->x = x->id;
    s->weights = w->id;
    return true;
}

static lathe_status write_sandwich(const sandwich *s)
{
    lt_pass_call *c = s->c;
    lt_graph *graph = c->graph;
    lt_make make = { .call = c, .at = s->matmul };
    const lt_node_id nodes[] = { s->behind, s->add, s->matmul, s->before };
    lt_value_id made;
    for (size_t i = 0; i < LT_COUNT(nodes); i++) {
        bool stays = lt_node_none(nodes[i]) ||
                     (i == 3 && !lt_value_single(lt_node_out(graph, lt_node_get(graph, s->before), 0)));
        LT_TRY(stays ? LATHE_OK : lt_edit_consume(graph, nodes[i], c->diag));
    }
    LT_TRY(lt_make_binary(&make, "MatMul", s->x, s->weights, &made));
    if (!lt_node_none(s->add)) {
        LT_TRY(lt_make_binary(&make, "Add", made, s->bias, &made));
    }
    LT_TRY(lt_finish_replace(graph, lt_node_get(graph, s->behind)->outputs[0], made, true, c->diag));
    c->changed = true;
    for (size_t i = 0; i < LT_COUNT(nodes); i++) {
        LT_TRY(lt_node_none(nodes[i]) ? LATHE_OK : lt_remove_unused(graph, nodes[i], c->diag));
    }
    return LATHE_OK;
}

static lathe_status visit_reshape(lt_pass_call *c, const lt_node *node)
{
    sandwich s = { .c = c };
    if (!find_sandwich(&s, node)) {
        return LATHE_OK;
    }
    LT_TRY(lt_edit_begin(c->graph, c->pass->name, "reshapes", c->diag));
    lathe_status status = write_sandwich(&s);
    lt_edit_end(c->graph);
    return status;
}

static lathe_status visit(lt_pass_call *c, const lt_node *node)
{
    return lt_node_is(node, "Gemm") ? visit_gemm(c, node) : visit_reshape(c, node);
}

LT_PASS(gemm_to_matmul) = {
    .name = "gemm-to-matmul",
    .summary = "Turn Gemm into MatMul and Add with its factors and transpositions in the constants, and drop reshapes "
               "around products",
    .needs = "shapes",
    .keeps = "shapes qdq",
    .visit = visit,
};
