/*
 * move_quantized.c - pass move-quantized: what only moves elements works on bytes. DequantizeLinear goes behind it, QuantizeLinear in front of it, and where
 * they meet with the same numbers both go away.
 *
 *   Move(DQ(b))                        DQ(Move(b)); Split gives several; MaxPool too, which keeps the order of positive multiples
 *   Concat(DQ(b), DQ(d)), same numbers DQ(Concat(b, d))
 *   Q(Move(x)), Q(Concat(x, y))        Move(Q(x)), Concat(Q(x), Q(y)), when nobody else reads what is moved: one that was dequantized by other numbers is
 *                                      requantized on the way, one that was computed is quantized by whoever computes it
 *   Q(DQ(b)), same numbers             b
 *
 * Only scales and zero points of one element: those along an axis would have to move with it.
 */
#include "passes/passes_internal.h"

enum { MAX_JOINED = 64, MAX_DEPTH = 16 }; /* depth: moves before moves that one QuantizeLinear passes */

/* ---- Numbers ---- */

/* Quantization by one scale and one zero point, constants, between f32 and bytes; `bytes` and `real` are its two sides. */
static bool is_plain(const lt_graph *graph, const lt_node *node, uint32_t bytes_side)
{
    const lt_value *in = lt_node_in(graph, node, 0), *out = lt_node_out(graph, node, 0), *bytes = bytes_side == 0 ? in : out,
                   *real = bytes_side == 0 ? out : in;
    for (uint32_t i = 1; i < 3; i++) {
        const lt_value *number = lt_node_in(graph, node, i);
        if (number == NULL ? i == 1 : !lt_value_is_constant(number) || number->type.rank > 1 || number->type.rank < 0 ||
                                          (number->type.rank == 1 && !lt_dim_is(number->type.dims[0], 1))) {
            return false;
        }
    }
    return lt_attr_i(node->attrs, node->n_attrs, "block_size", 0) == 0 && real->type.dtype == LATHE_DTYPE_F32 &&
           (bytes->type.dtype == LATHE_DTYPE_I8 || bytes->type.dtype == LATHE_DTYPE_U8);
}

/* The node that dequantizes what is in the value; not constants, which are weights. */
static const lt_node *dequantized(const lt_graph *graph, const lt_value *value)
{
    const lt_node *node = lt_maker(graph, value, "DequantizeLinear");
    return node != NULL && is_plain(graph, node, 0) && !lt_value_is_constant(lt_node_in(graph, node, 0)) ? node : NULL;
}

static bool same_numbers(lt_pass_call *c, lt_node_id a, lt_node_id b, lathe_status *status)
{
    const lt_graph *graph = c->graph;
    return lt_same_number(c, lt_node_in(graph, lt_node_get(graph, a), 1), lt_node_in(graph, lt_node_get(graph, b), 1), status) &&
           lt_same_number(c, lt_node_in(graph, lt_node_get(graph, a), 2), lt_node_in(graph, lt_node_get(graph, b), 2), status);
}

/* ---- Moves ---- */

static bool is_one_of(const lt_node *node, const char *const *ops, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (lt_node_is(node, ops[i])) {
            return true;
        }
    }
    return false;
}

/* Each element of the input is one of the output. */
static bool keeps_all(const lt_node *node)
{
    static const char *const ops[] = { "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Transpose", "DepthToSpace", "SpaceToDepth" };
    return is_one_of(node, ops, LT_COUNT(ops));
}

/* Elements of input 0, as they are, and nothing else. */
static bool only_moves(const lt_graph *graph, const lt_node *node)
{
    static const char *const ops[] = { "Slice", "Split" };
    const lt_value *indices = lt_node_is(node, "MaxPool") ? lt_node_out(graph, node, 1) : NULL;
    return keeps_all(node) || is_one_of(node, ops, LT_COUNT(ops)) ||
           (lt_node_is(node, "MaxPool") && (indices == NULL || lt_value_unused(indices)));
}

static bool tensors(const lt_graph *graph, const lt_node *node)
{
    for (uint32_t o = 0; o < node->n_outputs; o++) {
        const lt_value *y = lt_node_out(graph, node, o);
        if (y != NULL && (y->type.cls != LT_TENSOR || y->contents.v != NULL)) {
            return false;
        }
    }
    return node->n_outputs > 0 && lt_node_out(graph, node, 0) != NULL;
}

/* The same node over other operands, before `at`; its outputs in `made`. It stands for what it stood for, and not for what it changes places with. */
static lathe_status again(lt_pass_call *c, lt_node_id id, lt_node_id at, const lt_value_id *inputs, uint32_t n_inputs, uint32_t n_outputs, lt_value_id *made)
{
    const lt_node *node = lt_node_get(c->graph, id);
    lt_node_spec spec = { .descriptor = node->op,
                          .label = node->label,
                          .attrs = node->attrs,
                          .n_attrs = node->n_attrs,
                          .inputs = inputs,
                          .n_inputs = n_inputs,
                          .n_outputs = n_outputs,
                          .before = at,
                          .origins = node->origins,
                          .n_origins = node->n_origins,
                          .device = node->device };
    return lt_graph_add_node(c->graph, node->region, &spec, NULL, made, c->diag);
}

/* Quantization like that of `like`, of another value, before `at`. */
static lathe_status convert(lt_pass_call *c, lt_node_id like, lt_node_id at, lt_value_id x, lt_value_id *made)
{
    const lt_node *node = lt_node_get(c->graph, like);
    lt_value_id in[3] = { x, node->inputs[1], node->n_inputs > 2 ? node->inputs[2] : (lt_value_id){ 0, 0 } };
    return again(c, like, at, in, node->n_inputs > 2 ? 3 : 2, 1, made);
}

/* ---- Behind: Move(DQ(b)) ---- */

static lathe_status sink(lt_pass_call *c, lt_node_id id, lt_node_id from)
{
    lt_graph *graph = c->graph;
    const lt_node *node = lt_node_get(graph, id);
    uint32_t n_in = node->n_inputs, n_out = lt_node_is(node, "MaxPool") ? 1 : node->n_outputs;
    lt_value_id *in = lt_arena_copy(c->scratch, node->inputs, n_in * sizeof *in, _Alignof(lt_value_id));
    lt_value_id *old = lt_arena_copy(c->scratch, node->outputs, n_out * sizeof *old, _Alignof(lt_value_id));
    lt_value_id *made = LT_ARENA_ARRAY(c->scratch, lt_value_id, (size_t)n_out);
    if (in == NULL || old == NULL || made == NULL) {
        return LT_OOM(c->diag);
    }
    in[0] = lt_node_get(graph, from)->inputs[0];
    LT_TRY(again(c, id, id, in, n_in, n_out, made));
    for (uint32_t o = 0; o < n_out; o++) {
        lt_value_id real;
        if (!lt_value_none(old[o])) {
            LT_TRY(convert(c, from, id, made[o], &real));
            LT_TRY(lt_finish_replace(graph, old[o], real, true, c->diag));
        }
    }
    LT_TRY(lt_remove_unused(graph, id, c->diag));
    return lt_remove_unused(graph, from, c->diag);
}

/* All operands of the Concat, dequantized by the same numbers, as bytes; *n is 0 when it is not so. */
static lathe_status read_joined(lt_pass_call *c, const lt_node *concat, lt_value_id *bytes, uint32_t *n)
{
    lt_graph *graph = c->graph;
    lt_node_id id = concat->id, first = { 0, 0 };
    uint32_t n_in = concat->n_inputs;
    lathe_status status = LATHE_OK;
    *n = 0;
    for (uint32_t i = 0; i < n_in; i++) {
        const lt_node *from = dequantized(graph, lt_node_in(graph, lt_node_get(graph, id), i));
        if (from == NULL || from->region != lt_node_get(graph, id)->region) {
            return LATHE_OK;
        }
        lt_node_id now = from->id;
        bytes[i] = from->inputs[0];
        if (i == 0) {
            first = now;
        } else if (lt_value_get(graph, bytes[i])->type.dtype != lt_value_get(graph, bytes[0])->type.dtype ||
                   !same_numbers(c, first, now, &status)) {
            return status;
        }
    }
    *n = n_in;
    return LATHE_OK;
}

static lathe_status sink_joined(lt_pass_call *c, lt_node_id id, const lt_value_id *bytes, uint32_t n)
{
    lt_graph *graph = c->graph;
    lt_node_id from[MAX_JOINED];
    lt_value_id old = lt_node_get(graph, id)->outputs[0], made, real;
    for (uint32_t i = 0; i < n; i++) {
        from[i] = lt_node_in(graph, lt_node_get(graph, id), i)->def;
    }
    LT_TRY(again(c, id, id, bytes, n, 1, &made));
    LT_TRY(convert(c, from[0], id, made, &real));
    LT_TRY(lt_finish_replace(graph, old, real, true, c->diag));
    LT_TRY(lt_remove_unused(graph, id, c->diag));
    for (uint32_t i = 0; i < n; i++) {
        LT_TRY(lt_remove_unused(graph, from[i], c->diag));
    }
    return LATHE_OK;
}

/* ---- In front: Q(Move(x)), Q(Concat(..)) ---- */

static lathe_status visit_quantize(lt_pass_call *c, lt_node_id id, int depth);

/* The value quantized before the node that reads it: its bytes, when it was dequantized by the same numbers. */
static lathe_status quantize_operand(lt_pass_call *c, lt_node_id quantize, lt_node_id at, lt_value_id x, lt_value_id *out)
{
    lt_graph *graph = c->graph;
    const lt_node *from = dequantized(graph, lt_value_get(graph, x));
    lathe_status status = LATHE_OK;
    if (from != NULL && lt_node_in(graph, from, 0)->type.dtype == lt_node_out(graph, lt_node_get(graph, quantize), 0)->type.dtype) {
        lt_node_id id = from->id;
        if (same_numbers(c, id, quantize, &status)) {
            *out = lt_node_get(graph, id)->inputs[0];
            return LATHE_OK;
        }
    }
    return status != LATHE_OK ? status : convert(c, quantize, at, x, out);
}

/* Then the new ones may go on. */
static lathe_status go_on(lt_pass_call *c, const lt_value_id *bytes, uint32_t n, int depth)
{
    for (uint32_t i = 0; i < n && depth > 0; i++) {
        const lt_node *node = lt_maker(c->graph, lt_value_get(c->graph, bytes[i]), "QuantizeLinear");
        LT_TRY(node != NULL ? visit_quantize(c, node->id, depth - 1) : LATHE_OK);
    }
    return LATHE_OK;
}

static lathe_status lift(lt_pass_call *c, lt_node_id id, lt_node_id move, bool joins, int depth)
{
    lt_graph *graph = c->graph;
    uint32_t n_in = lt_node_get(graph, move)->n_inputs, n = joins ? n_in : 1;
    lt_value_id *in = lt_arena_copy(c->scratch, lt_node_get(graph, move)->inputs, n_in * sizeof *in, _Alignof(lt_value_id));
    lt_value_id *real = lt_arena_copy(c->scratch, lt_node_get(graph, move)->inputs, n_in * sizeof *real, _Alignof(lt_value_id)), made;
    if (in == NULL || real == NULL) {
        return LT_OOM(c->diag);
    }
    for (uint32_t i = 0; i < n; i++) {
        LT_TRY(quantize_operand(c, id, move, real[i], &in[i]));
    }
    LT_TRY(again(c, move, move, in, n_in, 1, &made));
    LT_TRY(lt_finish_replace(graph, lt_node_get(graph, id)->outputs[0], made, true, c->diag));
    LT_TRY(lt_remove_unused(graph, id, c->diag));
    LT_TRY(lt_remove_unused(graph, move, c->diag));
    for (uint32_t i = 0; i < n; i++) {
        const lt_value *x = lt_value_get(graph, real[i]);
        LT_TRY(x != NULL && x->kind == LT_VALUE_RESULT ? lt_remove_unused(graph, x->def, c->diag) : LATHE_OK);
    }
    return go_on(c, in, n, depth);
}

/* The move in front of which the quantization can go: nobody else reads its result, or what a single operand computes. */
static const lt_node *find_move(const lt_graph *graph, const lt_node *quantize, bool *joins)
{
    const lt_value *x = lt_node_in(graph, quantize, 0);
    const lt_node *move = x != NULL && x->kind == LT_VALUE_RESULT && !lt_value_is_constant(x) && lt_value_single(x) ? lt_node_get(graph, x->def) : NULL;
    if (move == NULL || move->region != quantize->region || !tensors(graph, move)) {
        return NULL;
    }
    *joins = lt_node_is(move, "Concat");
    for (uint32_t i = 0; i < move->n_inputs && *joins; i++) {
        if (lt_value_is_constant(lt_node_in(graph, move, i))) {
            return NULL;
        }
    }
    if (*joins) {
        return move->n_inputs <= MAX_JOINED ? move : NULL;
    }
    const lt_value *in = keeps_all(move) ? lt_node_in(graph, move, 0) : NULL;
    return in != NULL && in->kind == LT_VALUE_RESULT && !lt_value_is_constant(in) && lt_value_single(in) ? move : NULL;
}

/* ---- Each node ---- */

static lathe_status visit_quantize(lt_pass_call *c, lt_node_id id, int depth)
{
    lt_graph *graph = c->graph;
    const lt_node *node = lt_node_get(graph, id), *from = dequantized(graph, lt_node_in(graph, node, 0));
    const lt_value *y = lt_node_out(graph, node, 0), *bytes = from != NULL ? lt_node_in(graph, from, 0) : NULL;
    lathe_status status;
    bool joins;
    if (!is_plain(graph, node, 1)) {
        return LATHE_OK;
    }
    if (bytes != NULL && bytes->type.dtype == y->type.dtype && lt_can_replace(graph, y, bytes)) {
        lt_node_id before = from->id;
        lt_value_id now = bytes->id, old = y->id;
        bool same = same_numbers(c, before, id, &status) && lt_positive_number(c, lt_node_in(graph, lt_node_get(graph, id), 1), &status);
        LT_TRY(status);
        if (same) {
            LT_TRY(lt_finish_replace(graph, old, now, false, c->diag));
            c->changed = true;
            LT_TRY(lt_remove_unused(graph, id, c->diag));
            return lt_remove_unused(graph, before, c->diag);
        }
        node = lt_node_get(graph, id);
    }
    const lt_node *move = find_move(graph, node, &joins);
    if (move == NULL) {
        return LATHE_OK;
    }
    lt_node_id at = move->id;
    if (!lt_positive_number(c, lt_node_in(graph, node, 1), &status)) {
        return status;
    }
    c->changed = true;
    return lift(c, id, at, joins, depth);
}

static lathe_status visit_move(lt_pass_call *c, lt_node_id id)
{
    lt_graph *graph = c->graph;
    const lt_node *node = lt_node_get(graph, id), *from = dequantized(graph, lt_node_in(graph, node, 0));
    lathe_status status = LATHE_OK;
    if (from == NULL || from->region != node->region) {
        return LATHE_OK;
    }
    lt_node_id before = from->id;
    if (lt_node_is(node, "MaxPool") && !lt_positive_number(c, lt_node_in(graph, from, 1), &status)) {
        return status;
    }
    c->changed = true;
    return sink(c, id, before);
}

static lathe_status visit_any(lt_pass_call *c, const lt_node *node)
{
    lt_value_id bytes[MAX_JOINED];
    uint32_t n;
    lt_node_id id = node->id;
    if (lt_node_is(node, "QuantizeLinear")) {
        return visit_quantize(c, id, MAX_DEPTH);
    }
    if (lt_node_is(node, "Concat") && node->n_inputs > 0 && node->n_inputs <= MAX_JOINED) {
        LT_TRY(read_joined(c, node, bytes, &n));
        c->changed = c->changed || n > 0;
        return n > 0 ? sink_joined(c, id, bytes, n) : LATHE_OK;
    }
    return only_moves(c->graph, node) ? visit_move(c, id) : LATHE_OK;
}

static lathe_status visit(lt_pass_call *c, const lt_node *node)
{
    bool quantize = lt_node_is(node, "QuantizeLinear");
    if (node->n_inputs == 0 || lt_node_in(c->graph, node, 0) == NULL || !tensors(c->graph, node) ||
        (!quantize && dequantized(c->graph, lt_node_in(c->graph, node, 0)) == NULL)) {
        return LATHE_OK;
    }
    LT_TRY(lt_edit_begin(c->graph, c->pass->name, "bytes", c->diag));
    lathe_status status = visit_any(c, node);
    lt_edit_end(c->graph);
    return status;
}

LT_PASS(move_quantized) = {
    .name = "move-quantized",
    .summary = "Let what only moves elements work on bytes: DequantizeLinear goes behind it, QuantizeLinear in front",
    .needs = "shapes",
    .keeps = "shapes qdq",
    .visit = visit,
};
