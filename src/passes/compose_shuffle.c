/*
 * compose_shuffle.c - pass compose-shuffle: channels that Reshape, Transpose and Reshape bring into another order (channel shuffle) are gathered by one list.
 *
 *   Reshape(Transpose(Reshape(x)))   [N,a*b,..] as [N,a,b,..], turned, and flat again, is Gather(x, list) along the channels;
 *   Slice, Split of such a Gather    take their part of the list, when nobody reads all of it: less is moved;
 *   Conv of such a Gather            takes the order into its weights, when each channel comes once. A depthwise one gives its results in another order, which
 *                                    pays when the convolution behind it takes that.
 *
 * A Gather keeps the channels one axis, so that it can be done on images with their channels last; with five axes they would be rearranged for it.
 */
#include "passes/passes_internal.h"

enum { MAX_CHANNELS = 1 << 16 };

typedef struct list { /* which channels of x come in which order */
    const lt_node *gather;
    const lt_value *x;
    int64_t *at, n, channels;
} list;

static const lt_node *maker(const lt_graph *graph, const lt_value *value, const char *op)
{
    const lt_node *node = lt_maker(graph, value, op);
    return node != NULL && value->contents.v == NULL ? node : NULL;
}

static bool same_dim(const lt_graph *graph, lt_dim a, lt_dim b)
{
    return lt_dim_same(a, b) || lt_dim_proves_eq(lt_graph_dims(graph), a, b);
}

/* Images of known channels. */
static bool is_image(const lt_value *value)
{
    const lt_type *t = &value->type;
    return t->cls == LT_TENSOR && t->rank >= 3 && lathe_dtype_bits(t->dtype) >= 8 && t->dtype != LATHE_DTYPE_STRING &&
           lt_dim_is_const(t->dims[1]) && t->dims[1].k > 0 && t->dims[1].k <= MAX_CHANNELS;
}

static lathe_status make_list(lt_pass_call *c, int64_t *at, int64_t n, lt_value_id *out)
{
    lt_tensor tensor = { .struct_size = sizeof tensor, .data = at };
    LT_TRY(lt_tensor_shape(&tensor, LATHE_DTYPE_I64, 1, &n, "channels of a pass", c->diag));
    return lt_graph_add_constant(c->graph, NULL, &tensor, out, c->diag);
}

static lathe_status gather(const lt_make *make, lt_value_id x, int64_t axis, lt_value_id indices, lt_value_id *out)
{
    lathe_attr attr = lt_attr_int("axis", axis);
    lt_value_id inputs[2] = { x, indices };
    return lt_make_node(make, "Gather", &attr, 1, inputs, 2, out);
}

/* ---- Shuffles ---- */

/* Is `node` the last of the three? Then x is what is shuffled, of [a, b] channels. */
static bool is_shuffle(const lt_graph *graph, const lt_node *node, const lt_node **turn, const lt_node **first, int64_t *a, int64_t *b)
{
    const lt_value *y = lt_node_out(graph, node, 0);
    *turn = lt_node_is(node, "Reshape") ? maker(graph, lt_node_in(graph, node, 0), "Transpose") : NULL;
    *first = *turn != NULL ? maker(graph, lt_node_in(graph, *turn, 0), "Reshape") : NULL;
    const lt_value *x = *first != NULL ? lt_node_in(graph, *first, 0) : NULL;
    if (x == NULL || !is_image(x) || !is_image(y) || lt_value_is_constant(x) || !lt_type_proves_same(graph, &x->type, &y->type) ||
        !lt_value_single(lt_node_in(graph, node, 0)) || !lt_value_single(lt_node_in(graph, *turn, 0))) {
        return false;
    }
    const lt_type *t = &lt_node_out(graph, *first, 0)->type;
    size_t count;
    const int64_t *perm = lt_attr_ints((*turn)->attrs, (*turn)->n_attrs, "perm", &count);
    bool good = t->rank == x->type.rank + 1 && perm != NULL && count == (size_t)t->rank && same_dim(graph, t->dims[0], x->type.dims[0]) &&
                lt_dim_is_const(t->dims[1]) && lt_dim_is_const(t->dims[2]);
    for (int i = 0; good && i < t->rank; i++) {
        good = perm[i] == (i == 1 ? 2 : i == 2 ? 1 : i) && (i < 3 || same_dim(graph, t->dims[i], x->type.dims[i - 1]));
    }
    *a = good ? t->dims[1].k : 0;
    *b = good ? t->dims[2].k : 0;
    return good && *a > 0 && *b > 0 && *a <= MAX_CHANNELS && *b <= MAX_CHANNELS && *a * *b == x->type.dims[1].k;
}

static lathe_status write_shuffle(lt_pass_call *c, lt_node_id root, lt_node_id turn, lt_node_id first, int64_t a, int64_t b)
{
    lt_graph *graph = c->graph;
    lt_node_id ids[3] = { root, turn, first };
    lt_make make = { .call = c, .at = root };
    lt_value_id indices, made, old = lt_node_get(graph, root)->outputs[0];
    int64_t *at = LT_ARENA_ARRAY(c->scratch, int64_t, (size_t)(a * b));
    if (at == NULL) {
        return LT_OOM(c->diag);
    }
    for (int64_t i = 0; i < a * b; i++) {
        at[i] = i % a * b + i / a;
    }
    for (int i = 0; i < 3; i++) {
        LT_TRY(lt_assume_shape_inputs(graph, lt_node_get(graph, ids[i]), c->diag));
    }
    for (int i = 0; i < 3; i++) {
        LT_TRY(lt_edit_consume(graph, ids[i], c->diag));
    }
    LT_TRY(make_list(c, at, a * b, &indices));
    LT_TRY(gather(&make, lt_node_get(graph, first)->inputs[0], 1, indices, &made));
    LT_TRY(lt_finish_replace(graph, old, made, true, c->diag));
    for (int i = 0; i < 3; i++) {
        LT_TRY(lt_remove_unused(graph, ids[i], c->diag));
    }
    return LATHE_OK;
}

/* ---- Lists ---- */

/* A Gather along the channels by a constant list. */
static lathe_status read_list(lt_pass_call *c, const lt_value *value, list *l)
{
    const lt_graph *graph = c->graph;
    *l = (list){ .gather = value != NULL ? maker(graph, value, "Gather") : NULL };
    if (l->gather == NULL) {
        return LATHE_OK;
    }
    const lt_value *x = lt_node_in(graph, l->gather, 0), *indices = lt_node_in(graph, l->gather, 1);
    const lt_tensor *t = lt_value_is_constant(indices) ? lt_value_tensor(indices) : NULL;
    int64_t axis = lt_attr_i(l->gather->attrs, l->gather->n_attrs, "axis", 0);
    if (t == NULL || t->rank != 1 || !is_image(x) || !is_image(value) || (axis != 1 && axis != 1 - x->type.rank) || lt_value_is_constant(x)) {
        l->gather = NULL;
        return LATHE_OK;
    }
    l->x = x;
    l->n = t->dims[0];
    l->channels = x->type.dims[1].k;
    l->at = LT_ARENA_ARRAY(c->scratch, int64_t, (size_t)l->n + 1);
    if (l->at == NULL) {
        return LT_OOM(c->diag);
    }
    for (int64_t i = 0; i < l->n; i++) {
        int64_t from = lt_load_i64(t->dtype, t->data, i);
        l->at[i] = from < 0 ? from + l->channels : from;
        if (l->at[i] < 0 || l->at[i] >= l->channels) {
            l->gather = NULL;
            return LATHE_OK;
        }
    }
    return LATHE_OK;
}

/* Where each channel goes; NULL in *back: one comes not at all, or twice. */
static lathe_status turn_back(lt_pass_call *c, const list *l, int64_t **back)
{
    *back = LT_ARENA_ARRAY(c->scratch, int64_t, (size_t)l->channels);
    if (*back == NULL) {
        return LT_OOM(c->diag);
    }
    for (int64_t i = 0; i < l->channels; i++) {
        (*back)[i] = -1;
    }
    bool each = l->n == l->channels;
    for (int64_t i = 0; each && i < l->n; i++) {
        each = (*back)[l->at[i]] < 0;
        (*back)[l->at[i]] = i;
    }
    *back = each ? *back : NULL;
    return LATHE_OK;
}

/* ---- Parts of a list ---- */

/* A Slice of channels alone: from `first` on, every `step`-th. */
static bool is_cut(const lt_graph *graph, const lt_node *node, int64_t *first, int64_t *step)
{
    int64_t start, axis = 0;
    int n;
    const lt_value *y = lt_node_out(graph, node, 0);
    *step = 1;
    if (!lt_node_is(node, "Slice") || !is_image(y) || !lt_peek_ints(lt_node_in(graph, node, 1), &start, 1, &n) || n != 1 ||
        (lt_node_in(graph, node, 3) != NULL && (!lt_peek_ints(lt_node_in(graph, node, 3), &axis, 1, &n) || n != 1)) ||
        (lt_node_in(graph, node, 4) != NULL && (!lt_peek_ints(lt_node_in(graph, node, 4), step, 1, &n) || n != 1))) {
        return false;
    }
    int64_t extent = lt_node_in(graph, node, 0)->type.dims[1].k;
    start = start < 0 ? start + extent : start;
    *first = start < 0 ? 0 : start;
    return (axis == 1 || axis == 1 - y->type.rank) && *step > 0 && *step <= extent && *first + (y->type.dims[1].k - 1) * *step < extent;
}

static bool is_split(const lt_graph *graph, const lt_node *node)
{
    const lt_value *x = lt_node_in(graph, node, 0);
    int64_t axis = lt_attr_i(node->attrs, node->n_attrs, "axis", 0);
    if (!lt_node_is(node, "Split") || (axis != 1 && axis != 1 - x->type.rank)) {
        return false;
    }
    for (uint32_t i = 0; i < node->n_outputs; i++) {
        const lt_value *y = lt_node_out(graph, node, i);
        if (y == NULL || !is_image(y)) {
            return false;
        }
    }
    return true;
}

/* Do all who read it read parts of it, together no more than all? */
static bool only_parts(const lt_graph *graph, const lt_value *value)
{
    int64_t total = 0, first, step;
    for (uint32_t i = 0; i < value->n_uses; i++) {
        const lt_node *reader = lt_node_get(graph, value->uses[i].node);
        if (value->uses[i].slot != 0 || (!is_cut(graph, reader, &first, &step) && !is_split(graph, reader))) {
            return false;
        }
        for (uint32_t o = 0; o < reader->n_outputs; o++) {
            total += lt_node_out(graph, reader, o)->type.dims[1].k;
        }
    }
    return value->n_region_outputs == 0 && total <= value->type.dims[1].k;
}

static lathe_status write_parts(lt_pass_call *c, lt_node_id id, const list *l, int64_t first, int64_t step)
{
    lt_graph *graph = c->graph;
    lt_node_id from = l->gather->id;
    lt_make make = { .call = c, .at = id };
    lt_value_id x = l->x->id, indices, made;
    LT_TRY(lt_assume_shape_inputs(graph, lt_node_get(graph, id), c->diag));
    LT_TRY(lt_graph_assume(graph, lt_node_get(graph, from)->inputs[1], LT_ASSUME_BYTES, 0, c->diag));
    LT_TRY(lt_edit_consume(graph, id, c->diag));
    LT_TRY(lt_edit_consume(graph, from, c->diag));
    for (uint32_t o = 0, n_outputs = lt_node_get(graph, id)->n_outputs; o < n_outputs; o++) { /* it goes with the last of them */
        lt_value_id old = lt_node_get(graph, id)->outputs[o];
        int64_t n = lt_value_get(graph, old)->type.dims[1].k;
        int64_t *at = LT_ARENA_ARRAY(c->scratch, int64_t, (size_t)n);
        if (at == NULL) {
            return LT_OOM(c->diag);
        }
        for (int64_t i = 0; i < n; i++) {
            at[i] = l->at[first + i * step];
        }
        first += n * step;
        LT_TRY(make_list(c, at, n, &indices));
        LT_TRY(gather(&make, x, 1, indices, &made));
        LT_TRY(lt_finish_replace(graph, old, made, true, c->diag));
    }
    LT_TRY(lt_remove_unused(graph, id, c->diag));
    return lt_remove_unused(graph, from, c->diag);
}

/* ---- Weights ---- */

static bool constant_float(const lt_value *value, int rank)
{
    return value != NULL && lt_value_is_constant(value) && value->type.cls == LT_TENSOR && value->type.rank == rank &&
           lt_dtype_is_float(value->type.dtype) && lt_type_constant(&value->type, NULL);
}

static int64_t groups_of(const lt_node *conv)
{
    return lt_attr_i(conv->attrs, conv->n_attrs, "group", 1);
}

/* A convolution with constant weights that nobody else reads. */
static bool is_conv(const lt_graph *graph, const lt_node *node, const lt_value *x)
{
    const lt_value *bias = lt_node_in(graph, node, 2);
    return lt_node_is(node, "Conv") && lt_value_same(node->inputs[0], x->id) && constant_float(lt_node_in(graph, node, 1), x->type.rank) &&
           lt_value_read_once(graph, lt_node_in(graph, node, 1)) && (bias == NULL || constant_float(bias, 1));
}

/* One filter, or several, for each channel; and behind it a convolution that takes any order. */
static bool passes_order_on(const lt_graph *graph, const lt_node *conv, int64_t channels)
{
    const lt_value *y = lt_node_out(graph, conv, 0), *w = lt_node_in(graph, conv, 1);
    if (groups_of(conv) != channels || !lt_value_single(y) || !is_image(y) || w->type.dims[0].k % channels != 0) {
        return false;
    }
    const lt_node *next = lt_node_get(graph, y->uses[0].node);
    return is_conv(graph, next, y) && groups_of(next) == 1;
}

/* The convolution over x with its weights taken along `axis` by the list; its filters too along axis 0, with the bias. */
static lathe_status write_conv(lt_pass_call *c, lt_node_id id, const list *l, int64_t *back)
{
    lt_graph *graph = c->graph;
    lt_node_id from = l->gather->id;
    lt_make make = { .call = c, .at = id };
    const lt_node *conv = lt_node_get(graph, id);
    bool depthwise = groups_of(conv) != 1;
    lt_value_id in[3] = { l->x->id, conv->inputs[1] }, indices, made, old = conv->outputs[0];
    uint32_t n_in = lt_node_in(graph, conv, 2) != NULL ? 3 : 2;
    int64_t each = depthwise ? lt_node_in(graph, conv, 1)->type.dims[0].k / l->channels : 1, n = l->channels * each;
    int64_t *to = LT_ARENA_ARRAY(c->scratch, int64_t, (size_t)n), *fro = LT_ARENA_ARRAY(c->scratch, int64_t, (size_t)n);
    if (to == NULL || fro == NULL) {
        return LT_OOM(c->diag);
    }
    for (int64_t i = 0; i < n; i++) {
        to[i] = back[i / each] * each + i % each;
        fro[i] = l->at[i / each] * each + i % each;
    }
    LT_TRY(lt_graph_assume(graph, lt_node_get(graph, from)->inputs[1], LT_ASSUME_BYTES, 0, c->diag));
    LT_TRY(lt_edit_consume(graph, id, c->diag));
    LT_TRY(lt_edit_consume(graph, from, c->diag));
    LT_TRY(make_list(c, to, n, &indices));
    LT_TRY(gather(&make, in[1], depthwise ? 0 : 1, indices, &in[1]));
    in[2] = n_in == 3 ? lt_node_get(graph, id)->inputs[2] : (lt_value_id){ 0, 0 };
    if (n_in == 3 && depthwise) {
        LT_TRY(gather(&make, in[2], 0, indices, &in[2]));
    }
    conv = lt_node_get(graph, id);
    LT_TRY(lt_make_node(&make, "Conv", conv->attrs, conv->n_attrs, in, n_in, &made));
    if (depthwise) {
        LT_TRY(make_list(c, fro, n, &indices));
        LT_TRY(gather(&make, made, 1, indices, &made));
    }
    LT_TRY(lt_finish_replace(graph, old, made, true, c->diag));
    LT_TRY(lt_remove_unused(graph, id, c->diag));
    return lt_remove_unused(graph, from, c->diag);
}

/* ---- Each node ---- */

static lathe_status finish(lt_pass_call *c, lathe_status status)
{
    lt_edit_end(c->graph);
    c->changed = true;
    return status;
}

static lathe_status visit_conv(lt_pass_call *c, const lt_node *node, const list *l)
{
    int64_t *back;
    LT_TRY(turn_back(c, l, &back));
    if (back == NULL) {
        lt_pass_note(c, node, "not all channels come, or one comes twice");
        return LATHE_OK;
    }
    if (groups_of(node) != 1 && !passes_order_on(c->graph, node, l->channels)) {
        lt_pass_note(c, node, "the order of the channels would only come behind it");
        return LATHE_OK;
    }
    LT_TRY(lt_edit_begin(c->graph, c->pass->name, "weights", c->diag));
    return finish(c, write_conv(c, node->id, l, back));
}

static lathe_status visit(lt_pass_call *c, const lt_node *node)
{
    const lt_graph *graph = c->graph;
    const lt_node *turn, *first_node;
    int64_t a, b, first = 0, step = 1;
    list l;
    const lt_value *out = node->n_outputs > 0 ? lt_node_out(graph, node, 0) : NULL, *in = node->n_inputs > 0 ? lt_node_in(graph, node, 0) : NULL;
    if (out == NULL || in == NULL || out->contents.v != NULL) {
        return LATHE_OK;
    }
    if (is_shuffle(graph, node, &turn, &first_node, &a, &b)) {
        LT_TRY(lt_edit_begin(c->graph, c->pass->name, "shuffle", c->diag));
        return finish(c, write_shuffle(c, node->id, turn->id, first_node->id, a, b));
    }
    bool part = lt_node_is(node, "Slice") || lt_node_is(node, "Split"), conv = lt_node_is(node, "Conv");
    if (!part && !conv) {
        return LATHE_OK;
    }
    LT_TRY(read_list(c, in, &l));
    if (l.gather == NULL || l.gather->region != node->region) {
        return LATHE_OK;
    }
    if (conv) {
        return is_conv(graph, node, in) ? visit_conv(c, node, &l) : LATHE_OK;
    }
    if (!only_parts(graph, in) || (!is_cut(graph, node, &first, &step) && !is_split(graph, node))) {
        return LATHE_OK;
    }
    LT_TRY(lt_edit_begin(c->graph, c->pass->name, "part", c->diag));
    return finish(c, write_parts(c, node->id, &l, first, step));
}

LT_PASS(compose_shuffle) = {
    .name = "compose-shuffle",
    .summary = "Turn channel shuffles into Gather, which takes only the channels that are read, or into an order of weights",
    .needs = "shapes",
    .keeps = "shapes qdq",
    .visit = visit,
};
