/*
 * fuse_attention.c - pass fuse-attention: softmax(scale * Q K' + addends) V, as exporters spell it, becomes one lathe.PackedAttention that reads queries, keys
 * and values inside the tensors that they were cut from and writes heads side by side.
 *
 * Taken are scalings of scores, queries and keys, any addends, Where with a number that hides (-inf, or -1e9 and below), reshapes of the scores around an
 * addend for windows of images, and the guard against rows without any key. Sums are computed in another order: results differ in the last bits.
 */
#include "passes/attention_view.h"

#include <math.h>
#include <string.h>

enum { MAX_NODES = 64, MAX_ADDENDS = 6 };

/* A value that is added to the scores. */
typedef struct addend {
    lt_value_id value;  /* the condition of a Where */
    double factor;      /* of the value */
    bool where, negate; /* scores stay where the condition holds; or where it does not */
    double hidden;      /* number of the Where */
    bool windows;       /* [1, windows, heads, rows, keys] */
} addend;

typedef struct fusion {
    lt_pass_call *c;
    lt_node_id out, softmax, product; /* product with V, softmax, product with K */
    lt_node_id nodes[MAX_NODES];      /* that the new one replaces */
    int n_nodes;
    addend addends[MAX_ADDENDS];
    int n_addends;
    double scale;
    const char *empty;
    lt_packed_operand q, k, v;
    int64_t heads, head, v_head;
    lt_value_id old;    /* what the result replaces */
    const char *layout; /* of the result */
    lt_dim keys;
} fusion;

static lt_graph *graph_of(const fusion *f)
{
    return f->c->graph;
}

static bool replaced(fusion *f, lt_node_id node)
{
    for (int i = 0; i < f->n_nodes; i++) {
        if (lt_node_same(f->nodes[i], node)) {
            return true;
        }
    }
    if (f->n_nodes == MAX_NODES) {
        return false;
    }
    f->nodes[f->n_nodes++] = node;
    return true;
}

/* The node that computes a value of the network, when nobody else reads it. */
static const lt_node *private_def(const fusion *f, const lt_value *value)
{
    return value != NULL && value->kind == LT_VALUE_RESULT && !lt_value_is_constant(value) && lt_value_single(value)
               ? lt_node_get(graph_of(f), value->def)
               : NULL;
}

/* f32 or a half: kernels compute halves in f32. */
static bool is_real(const lt_value *value)
{
    return value != NULL && value->type.cls == LT_TENSOR && value->type.rank >= 0 &&
           (value->type.dtype == LATHE_DTYPE_F32 || value->type.dtype == LATHE_DTYPE_F16 || value->type.dtype == LATHE_DTYPE_BF16);
}

/* ---- From the softmax back to the product of queries and keys ---- */

/* The scores themselves have four axes (three without heads); between reshapes for windows five. */
typedef struct scores {
    const lt_value *value;
    double factor; /* of what stands behind the value, when it reaches the softmax */
    bool windows;
} scores;

static bool note_addend(fusion *f, addend a)
{
    if (f->n_addends == MAX_ADDENDS) {
        return false;
    }
    f->addends[f->n_addends++] = a;
    return true;
}

/* An addend has at most the axes of the scores, and one entry for all outer windows. */
static bool addend_shape(const lt_value *value, const scores *s)
{
    int rank = value->type.rank;
    return rank >= 0 && (s->windows ? rank < 5 || lt_dim_is(value->type.dims[0], 1) : rank <= s->value->type.rank);
}

/* [b*w, h, s, t] <-> [b, w, h, s, t]: w entries of the batch are the windows of one image. */
static bool windows_of(const fusion *f, const lt_type *four, const lt_type *five)
{
    if (four->rank != 4 || five->rank != 5 || !lt_dim_is_const(five->dims[1])) {
        return false;
    }
    lt_dims *dims = lt_graph_dims(graph_of(f));
    for (int i = 1; i < 4; i++) {
        if (!lt_dim_same(four->dims[i], five->dims[i + 1]) &&
            !lt_dim_proves_eq(dims, four->dims[i], five->dims[i + 1])) {
            return false;
        }
    }
    return true;
}

/* The argument that goes on towards the product: of two candidates the one that a chain of these operators leads to. */
static bool leads_on(const fusion *f, const lt_value *x, const lt_value *y)
{
    const lt_node *node = private_def(f, x);
    static const char *const ops[] = { "MatMul", "Mul", "Div", "Add", "Where", "Reshape" };
    for (size_t i = 0; node != NULL && i < LT_COUNT(ops); i++) {
        if (lt_node_is(node, ops[i])) {
            return is_real(x) && lt_type_proves_same(graph_of(f), &x->type, &y->type);
        }
    }
    return false;
}

static bool back_over_number(const fusion *f, const lt_node *node, scores *s)
{
    double number;
    for (uint32_t i = lt_node_is(node, "Div") ? 1 : 0; i < 2; i++) {
        const lt_value *x = lt_node_in(graph_of(f), node, 1 - i);
        if (lt_peek_scalar(lt_node_in(graph_of(f), node, i), &number) && leads_on(f, x, s->value)) {
            s->factor = lt_node_is(node, "Div") ? s->factor / number : s->factor * number;
            s->value = x;
            return isfinite(s->factor);
        }
    }
    return false;
}

static bool back_over_where(fusion *f, const lt_node *node, scores *s)
{
    const lt_value *condition = lt_node_in(graph_of(f), node, 0);
    for (uint32_t i = 1; i < 3; i++) {
        const lt_value *x = lt_node_in(graph_of(f), node, i);
        double number;
        if (!leads_on(f, x, s->value) || !lt_peek_scalar(lt_node_in(graph_of(f), node, 3 - i), &number) ||
            !(number <= -1e9) || !addend_shape(condition, s)) {
            continue;
        }
        addend a = { .value = condition->id,
                     .factor = s->factor,
                     .where = true,
                     .negate = i == 2,
                     .hidden = number,
                     .windows = s->windows };
        s->value = x;
        return s->factor > 0 && note_addend(f, a);
    }
    return false;
}

static bool back_over_reshape(const fusion *f, const lt_node *node, scores *s)
{
    const lt_value *x = lt_node_in(graph_of(f), node, 0);
    if (private_def(f, x) == NULL || !is_real(x)) {
        return false;
    }
    bool fits = s->windows ? windows_of(f, &x->type, &s->value->type) : windows_of(f, &s->value->type, &x->type);
    s->value = x;
    s->windows = !s->windows;
    return fits;
}

/* Is it a product that attention may start from? Then the chain ends here. */
static bool is_start(const fusion *f, const scores *s)
{
    const lt_node *node = private_def(f, s->value);
    return node != NULL && lt_node_is(node, "MatMul") && !s->windows &&
           (s->value->type.rank == 4 || s->value->type.rank == 3);
}

static bool walk_scores(fusion *f, scores s, int budget);

/* Either argument may be the scores: the first that leads to a product is. */
static bool back_over_add(fusion *f, const lt_node *node, const scores *s, int budget)
{
    int n_nodes = f->n_nodes, n_addends = f->n_addends;
    for (uint32_t i = 0; i < 2; i++) {
        const lt_value *x = lt_node_in(graph_of(f), node, i), *other = lt_node_in(graph_of(f), node, 1 - i);
        scores next = *s;
        addend a = { .value = other->id, .factor = s->factor, .windows = s->windows };
        if (!leads_on(f, x, s->value) || !is_real(other) || !addend_shape(other, s) || !note_addend(f, a)) {
            continue;
        }
        next.value = x;
        if (walk_scores(f, next, budget - 1)) {
            return true;
        }
        f->n_nodes = n_nodes;
        f->n_addends = n_addends;
    }
    return false;
}

/* Bounded: each call passes one node, and only additions call again, at most twice. */
static bool walk_scores(fusion *f, scores s, int budget)
{
    while (budget-- > 0) {
        const lt_node *node = private_def(f, s.value);
        if (node == NULL || !replaced(f, node->id)) {
            return false;
        }
        if (is_start(f, &s)) {
            f->product = node->id;
            f->scale = s.factor;
            return true;
        }
        if (lt_node_is(node, "Add")) {
            return back_over_add(f, node, &s, budget);
        }
        bool passed = lt_node_is(node, "Mul") || lt_node_is(node, "Div") ? back_over_number(f, node, &s)
                      : lt_node_is(node, "Where")                        ? back_over_where(f, node, &s)
                      : lt_node_is(node, "Reshape")                      ? back_over_reshape(f, node, &s)
                                                                         : false;
        if (!passed) {
            return false;
        }
    }
    return false;
}

/* ---- The weights: softmax, perhaps with a guard that turns NaN into zero ---- */

/* Where(IsNaN(p), 0, p): p, else NULL. The weights are then read three times by these two nodes and nobody else. */
static const lt_value *guarded(fusion *f, const lt_node *where)
{
    const lt_graph *graph = graph_of(f);
    const lt_node *test = private_def(f, lt_node_in(graph, where, 0));
    const lt_value *p = lt_node_in(graph, where, 2);
    double zero;
    if (test == NULL || !lt_node_is(test, "IsNaN") || !lt_value_same(test->inputs[0], where->inputs[2]) ||
        !lt_peek_scalar(lt_node_in(graph, where, 1), &zero) || zero != 0 || p->n_uses != 2 ||
        p->n_region_outputs != 0) {
        return NULL;
    }
    return replaced(f, where->id) && replaced(f, test->id) ? p : NULL;
}

/* The softmax behind the first argument of the last product. */
static const lt_node *find_softmax(fusion *f, const lt_node *product)
{
    const lt_value *p = lt_node_in(graph_of(f), product, 0);
    const lt_node *node = private_def(f, p);
    f->empty = "nan";
    if (node != NULL && lt_node_is(node, "Where")) {
        p = guarded(f, node);
        node = p != NULL && p->kind == LT_VALUE_RESULT ? lt_node_get(graph_of(f), p->def) : NULL;
        f->empty = "zero";
    }
    if (node == NULL || !lt_node_is(node, "Softmax") || !is_real(p)) {
        return NULL;
    }
    int64_t axis = lt_attr_i(node->attrs, node->n_attrs, "axis", -1);
    return (axis == -1 || axis == p->type.rank - 1) && replaced(f, node->id) ? node : NULL;
}

/* ---- Operands ---- */

/* A view of a product's argument: [batch, heads, ., .], or [batch, ., .] for one head. */
static lt_part_view start_view(const lt_value *x, bool turned)
{
    lt_part_kind last = turned ? LT_PART_ROW : LT_PART_LANE, third = turned ? LT_PART_LANE : LT_PART_ROW;
    lt_part_kind kinds4[] = { LT_PART_BATCH, LT_PART_HEAD, third, last }, kinds3[] = { LT_PART_BATCH, third, last };
    lt_part_view view = { .value = x->id, .rank = x->type.rank, .scale = 1 };
    for (int i = 0; i < view.rank; i++) {
        if (!lt_dim_is(x->type.dims[i], 1)) {
            view.part[view.n++] =
                (lt_part){ .kind = view.rank == 4 ? kinds4[i] : kinds3[i], .extent = x->type.dims[i], .axis = i };
        }
    }
    return view;
}

static bool trace(fusion *f, lt_value_id value, bool keys, bool scaled, lt_packed_operand *out)
{
    lt_part_view view = start_view(lt_value_get(graph_of(f), value), keys);
    return lt_view_trace(f->c, &view, f->heads, keys, scaled, out, f->nodes, MAX_NODES, &f->n_nodes);
}

static bool same_dim(const fusion *f, lt_dim a, lt_dim b)
{
    return lt_dim_same(a, b) || lt_dim_proves_eq(lt_graph_dims(graph_of(f)), a, b);
}

/* Sizes of heads; batches must be equal, not broadcast. */
static bool read_sizes(fusion *f, const lt_value *q, const lt_value *k, const lt_value *v)
{
    int rank = q->type.rank;
    if (!is_real(q) || !is_real(k) || !is_real(v) || k->type.dtype != q->type.dtype || v->type.dtype != q->type.dtype || rank < 3 || rank > 4 || k->type.rank != rank ||
        v->type.rank != rank) {
        return false;
    }
    const lt_dim *qd = q->type.dims, *kd = k->type.dims, *vd = v->type.dims;
    lt_dim heads = rank == 4 ? qd[1] : lt_dim_const(1), lanes = qd[rank - 1], v_lanes = vd[rank - 1];
    if (!lt_dim_is_const(heads) || !lt_dim_is_const(lanes) || !lt_dim_is_const(v_lanes) || heads.k < 1 || lanes.k < 1 ||
        v_lanes.k < 1) {
        return false;
    }
    bool grouped = rank == 4 && lt_dim_is(kd[1], 1) && lt_dim_is(vd[1], 1);
    f->heads = heads.k;
    f->head = lanes.k;
    f->v_head = v_lanes.k;
    f->keys = kd[rank - 1];
    return same_dim(f, qd[0], kd[0]) && same_dim(f, qd[0], vd[0]) && same_dim(f, kd[rank - 1], vd[rank - 2]) &&
           (rank == 3 || grouped || (same_dim(f, heads, kd[1]) && same_dim(f, heads, vd[1])));
}

/* ---- The result: heads merged by a transpose and a reshape ---- */

static void find_result(fusion *f, const lt_node *product)
{
    const lt_graph *graph = graph_of(f);
    const lt_value *y = lt_node_out(graph, product, 0);
    const lt_node *reader = lt_value_single(y) ? lt_node_get(graph, y->uses[0].node) : NULL;
    static const int64_t rows[] = { 0, 2, 1, 3 }, outer[] = { 2, 0, 1, 3 }, turned[] = { 1, 0, 2 };
    size_t count = 0;
    const int64_t *perm = reader != NULL && lt_node_is(reader, "Transpose")
                              ? lt_attr_ints(reader->attrs, reader->n_attrs, "perm", &count)
                              : NULL;
    f->old = y->id;
    f->layout = y->type.rank == 4 ? "bhsd" : "bsw";
    if (perm == NULL) {
        return;
    }
    bool by_rows = count == 4 && memcmp(perm, rows, sizeof rows) == 0;
    if (!by_rows && !(count == 4 && memcmp(perm, outer, sizeof outer) == 0) &&
        !(count == 3 && memcmp(perm, turned, sizeof turned) == 0)) {
        return;
    }
    f->layout = by_rows ? "bsw" : "sbw";
    f->old = reader->outputs[0];
    (void)replaced(f, reader->id);
    const lt_value *merged = lt_node_out(graph, reader, 0);
    const lt_node *next = lt_value_single(merged) ? lt_node_get(graph, merged->uses[0].node) : NULL;
    const lt_type *type = next != NULL && lt_node_is(next, "Reshape") ? &lt_node_out(graph, next, 0)->type : NULL;
    if (type != NULL && type->rank == 3 && same_dim(f, type->dims[0], merged->type.dims[0]) &&
        same_dim(f, type->dims[1], merged->type.dims[1]) && lt_dim_is(type->dims[2], f->heads * f->v_head)) {
        f->old = next->outputs[0];
        (void)replaced(f, next->id);
    }
}

/* ---- Writing ---- */

static lathe_status make_operand(const lt_make *make, const lt_packed_operand *o, lt_value_id *out)
{
    *out = o->value;
    return o->rank == 0 ? LATHE_OK : lt_make_reshape(make, o->value, o->shape, o->rank, out);
}

/* [1, w, h, s, t] without its first axis; three axes get one for the heads when the scores have none. */
static lathe_status make_axes(const fusion *f, const lt_make *make, const addend *a, bool no_heads, lt_value_id *value)
{
    int rank = lt_value_get(graph_of(f), *value)->type.rank;
    bool drop = a->windows && rank == 5, add = no_heads && rank == 3;
    lt_value_id inputs[2] = { *value };
    int64_t axis = drop ? 0 : 1;
    if (!drop && !add) {
        return LATHE_OK;
    }
    LT_TRY(lt_make_ints(make, &axis, 1, &inputs[1]));
    return lt_make_node(make, drop ? "Squeeze" : "Unsqueeze", NULL, 0, inputs, 2, value);
}

static lathe_status make_addend(const fusion *f, const lt_make *make, const addend *a, bool no_heads, lt_value_id *out)
{
    lathe_dtype dtype = lt_value_get(graph_of(f), f->old)->type.dtype;
    lt_value_id number;
    *out = a->value;
    LT_TRY(make_axes(f, make, a, no_heads, out));
    if (a->where) {
        lt_value_id zero, inputs[3] = { *out };
        LT_TRY(lt_make_scalar(make, dtype, 0, &zero));
        LT_TRY(lt_make_scalar(make, dtype, a->hidden, &number));
        inputs[1] = a->negate ? number : zero;
        inputs[2] = a->negate ? zero : number;
        return lt_make_node(make, "Where", NULL, 0, inputs, 3, out);
    }
    if (a->factor == 1) {
        return LATHE_OK;
    }
    LT_TRY(lt_make_scalar(make, dtype, a->factor, &number));
    return lt_make_binary(make, "Mul", *out, number, out);
}

static lathe_attr text_attr(const char *name, const char *text)
{
    return (lathe_attr){ .name = name, .kind = LATHE_ATTR_STRING, .s = { text, strlen(text) } };
}

static size_t make_attrs(const fusion *f, const int64_t offsets[3], const int64_t steps[3], lathe_attr attrs[12])
{
    size_t n = 0;
    attrs[n++] = lt_attr_int("q_num_heads", f->heads);
    if (f->k.kv_heads != f->heads) {
        attrs[n++] = lt_attr_int("kv_num_heads", f->k.kv_heads);
    }
    attrs[n++] = lt_attr_int("head_size", f->head);
    if (f->v_head != f->head) {
        attrs[n++] = lt_attr_int("v_head_size", f->v_head);
    }
    attrs[n++] =
        (lathe_attr){ .name = "scale", .kind = LATHE_ATTR_FLOAT, .f = (float)(f->scale * f->q.scale * f->k.scale) };
    attrs[n++] = text_attr("q", f->q.layout);
    attrs[n++] = text_attr("k", f->k.layout);
    attrs[n++] = text_attr("v", f->v.layout);
    attrs[n++] = text_attr("y", f->layout);
    if (offsets[0] != 0 || offsets[1] != 0 || offsets[2] != 0) {
        attrs[n++] = (lathe_attr){ .name = "offsets", .kind = LATHE_ATTR_INTS, .count = 3, .ints = offsets };
    }
    if (steps[0] != f->head || steps[1] != f->head || steps[2] != f->v_head) {
        attrs[n++] = (lathe_attr){ .name = "steps", .kind = LATHE_ATTR_INTS, .count = 3, .ints = steps };
    }
    if (!lt_streq(f->empty, "nan")) {
        attrs[n++] = text_attr("empty", f->empty);
    }
    return n;
}

/* The result in the shape of what it replaces. */
static lathe_status match_shape(const fusion *f, const lt_make *make, lt_value_id *made)
{
    const lt_type *old = &lt_value_get(graph_of(f), f->old)->type;
    if (old->rank == lt_value_get(graph_of(f), *made)->type.rank) {
        return LATHE_OK;
    }
    int64_t shape[] = { 0, 0, f->heads, f->v_head };
    return lt_make_reshape(make, *made, shape, 4, made);
}

/* Numbers that the fusion read. */
static lathe_status assume(const fusion *f)
{
    static const char *const ops[] = { "Mul", "Div", "Gather", "Slice", "Where" };
    for (int n = 0; n < f->n_nodes; n++) {
        const lt_node *node = lt_node_get(graph_of(f), f->nodes[n]);
        bool read = false;
        for (size_t i = 0; i < LT_COUNT(ops); i++) {
            read = read || lt_node_is(node, ops[i]);
        }
        for (uint32_t i = 0; read && i < node->n_inputs; i++) {
            double number;
            const lt_value *x = lt_node_in(graph_of(f), node, i);
            if (x != NULL && lt_value_is_constant(x) && lt_peek_scalar(x, &number)) {
                LT_TRY(lt_graph_assume(graph_of(f), x->id, LT_ASSUME_BYTES, 0, f->c->diag));
                node = lt_node_get(graph_of(f), f->nodes[n]);
            }
        }
    }
    return LATHE_OK;
}

/* What the new node replaces for good: nodes that nobody reads once it is there. The others stay. */
static lathe_status consume(const fusion *f)
{
    for (int i = 0; i < f->n_nodes; i++) {
        const lt_node *node = lt_node_get(graph_of(f), f->nodes[i]);
        const lt_value *y = lt_node_out(graph_of(f), node, 0);
        if (node->n_outputs == 1 && y != NULL &&
            (lt_value_single(y) || lt_node_same(node->id, f->softmax) || lt_value_same(y->id, f->old))) {
            LT_TRY(lt_edit_consume(graph_of(f), f->nodes[i], f->c->diag));
        }
    }
    return LATHE_OK;
}

static lathe_status remove_dead(const fusion *f)
{
    for (int round = 0; round < f->n_nodes; round++) {
        for (int i = 0; i < f->n_nodes; i++) {
            LT_TRY(lt_remove_unused(graph_of(f), f->nodes[i], f->c->diag));
        }
    }
    return LATHE_OK;
}

static lathe_status write(const fusion *f)
{
    lt_graph *graph = graph_of(f);
    lt_pass_call *c = f->c;
    lt_make make = { .call = c, .at = f->out };
    lt_value_id inputs[3 + MAX_ADDENDS], made;
    lathe_attr attrs[12];
    int64_t offsets[] = { f->q.offset, f->k.offset, f->v.offset }, steps[] = { f->q.step, f->k.step, f->v.step };
    bool no_heads = lt_node_out(graph, lt_node_get(graph, f->product), 0)->type.rank == 3;
    const lt_packed_operand *operands[] = { &f->q, &f->k, &f->v };
    LT_TRY(assume(f));
    LT_TRY(consume(f));
    for (int i = 0; i < 3; i++) {
        steps[i] = steps[i] != 0 ? steps[i] : i < 2 ? f->head : f->v_head;
        LT_TRY(make_operand(&make, operands[i], &inputs[i]));
    }
    for (int i = 0; i < f->n_addends; i++) {
        LT_TRY(make_addend(f, &make, &f->addends[i], no_heads, &inputs[3 + i]));
    }
    lt_node_spec spec = { .op = "PackedAttention",
                          .domain = "lathe",
                          .label = lt_node_get(graph, f->softmax)->label,
                          .attrs = attrs,
                          .n_attrs = make_attrs(f, offsets, steps, attrs),
                          .inputs = inputs,
                          .n_inputs = 3 + (size_t)f->n_addends,
                          .n_outputs = 1,
                          .before = f->out,
                          .device = lt_node_get(graph, f->out)->device };
    LT_TRY(lt_graph_add_node(graph, lt_node_get(graph, f->out)->region, &spec, NULL, &made, c->diag));
    LT_TRY(match_shape(f, &make, &made));
    LT_TRY(lt_finish_replace(graph, f->old, made, true, c->diag));
    c->changed = true;
    return remove_dead(f);
}

/* ---- The pass ---- */

static bool match(fusion *f, const lt_node *product)
{
    const lt_graph *graph = graph_of(f);
    const lt_value *y = lt_node_out(graph, product, 0);
    if (!is_real(y) || (y->type.rank != 4 && y->type.rank != 3) || !replaced(f, product->id)) {
        return false;
    }
    const lt_node *softmax = find_softmax(f, product);
    if (softmax == NULL) {
        return false;
    }
    f->softmax = softmax->id;
    scores s = { .value = lt_node_in(graph, softmax, 0), .factor = 1 };
    if (!walk_scores(f, s, 24)) {
        lt_pass_note(f->c, softmax, "no attention: no product of queries and keys behind the softmax");
        return false;
    }
    const lt_node *first = lt_node_get(graph, f->product);
    if (!read_sizes(f, lt_node_in(graph, first, 0), lt_node_in(graph, first, 1), lt_node_in(graph, product, 1))) {
        lt_pass_note(f->c, softmax,
                     "no attention: heads, batches and rows of queries, keys and values do not go together for sure");
        return false;
    }
    return trace(f, first->inputs[0], false, true, &f->q) && trace(f, first->inputs[1], true, true, &f->k) &&
           trace(f, product->inputs[1], false, false, &f->v) && f->k.kv_heads == f->v.kv_heads &&
           f->q.kv_heads == f->heads;
}

static lathe_status visit(lt_pass_call *c, const lt_node *product)
{
    fusion f = { .c = c, .out = product->id };
    if (!match(&f, product)) {
        return LATHE_OK;
    }
    find_result(&f, product);
    LT_TRY(lt_edit_begin(c->graph, c->pass->name, "attention", c->diag));
    lathe_status status = write(&f);
    lt_edit_end(c->graph);
    return status;
}

static lathe_status run(lt_pass_call *c)
{
    lt_node_id *list;
    size_t count;
    LT_TRY(lt_walk_list(c, &list, &count));
    for (size_t i = 0; i < count; i++) {
        const lt_node *node = lt_node_get(c->graph, list[i]);
        if (node != NULL && lt_node_is(node, "MatMul")) {
            LT_TRY(visit(c, node));
        }
    }
    return LATHE_OK;
}

LT_PASS(fuse_attention) = {
    .name = "fuse-attention",
    .summary = "Turn products, softmax and products of heads into one PackedAttention that reads heads where they lie",
    .needs = "shapes",
    .keeps = "shapes qdq",
    .run = run,
};
