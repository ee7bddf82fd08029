/*
 * gradient.c - Gradient of ai.onnx.preview.training becomes the nodes that compute it: the nodes between the tensors
 * that it names are walked backwards, each by the row of its operator. Called through import_expand.c; the rows are in
 * gradient_*.c.
 *
 * Where Gradient is given other values than the tensors that it names, what lies between is computed anew from them.
 * A tensor that is not a scalar counts as the sum of its elements. What has no derivative is refused by name.
 */
#include "onnx/import_expand.h"

#include <string.h>

static const lt_value_id none = { 0, 0 };

typedef struct gradient {
    lt_expand *x;
    lt_scope *scope;
    const lt_pb_attribute *xs, *zs, *y;
    lt_value_id target;
    lt_imap given;   /* named value -> value that stands for it */
    lt_imap depends; /* values that depend on some of xs */
    lt_imap grads;   /* value -> its gradient */
} gradient;

static uint64_t pack(lt_value_id id)
{
    return (uint64_t)id.index << 32 | id.generation;
}

static lt_value_id unpack(uint64_t packed)
{
    return (lt_value_id){ (uint32_t)(packed >> 32), (uint32_t)packed };
}

static void put(gradient *g, lt_imap *map, lt_value_id key, lt_value_id value)
{
    if (lt_expand_ok(g->x) && !lt_imap_put(map, pack(key), pack(value))) {
        g->x->status = LT_OOM(g->x->import->diag);
    }
}

static lt_value_id get(const lt_imap *map, lt_value_id key)
{
    uint64_t packed;
    return !lt_value_none(key) && lt_imap_get(map, pack(key), &packed) ? unpack(packed) : none;
}

/* ---- What it is asked ---- */

static int shown(lathe_bytes span)
{
    return (int)(span.length < 100 ? span.length : 100);
}

static void read_attributes(gradient *g, const lt_pb_node *node)
{
    lt_expand *x = g->x;
    for (size_t i = 0; i < node->attribute.count && lt_expand_ok(x); i++) {
        const lt_pb_attribute *attr;
        x->status = lt_import_resolve(x->import, g->scope, &node->attribute.at[i], x->where, &attr);
        if (!lt_expand_ok(x) || attr == NULL) {
            continue;
        }
        const lt_pb_attribute **to = lt_pb_is(attr->name, "xs")   ? &g->xs
                                     : lt_pb_is(attr->name, "zs") ? &g->zs
                                     : lt_pb_is(attr->name, "y")  ? &g->y
                                                                  : NULL;
        if (to == NULL) {
            lt_expand_fail(x, LATHE_BAD_MODEL, NULL, "Gradient has no attribute '%.*s'", shown(attr->name),
                           attr->name.length > 0 ? attr->name.data : "");
            return;
        }
        *to = attr;
    }
    size_t count = (g->xs != NULL ? g->xs->strings.count : 0) + (g->zs != NULL ? g->zs->strings.count : 0);
    if (lt_expand_ok(x) && (g->xs == NULL || g->y == NULL || g->xs->strings.count == 0)) {
        lt_expand_fail(x, LATHE_BAD_MODEL, NULL, "Gradient needs the attributes xs and y");
    } else if (lt_expand_ok(x) && (node->input.count != count || node->output.count > g->xs->strings.count)) {
        lt_expand_fail(x, LATHE_BAD_MODEL, NULL,
                       "Gradient has %zu inputs and %zu outputs; xs and zs name %zu tensors, xs %zu", node->input.count,
                       node->output.count, count, g->xs->strings.count);
    }
}

static lt_value_id find(gradient *g, lathe_bytes name)
{
    lt_named found = lt_scope_find(g->scope, name);
    if (!found.found || (!found.dead && lt_value_none(found.value))) {
        lt_expand_fail(g->x, LATHE_BAD_MODEL, "the nodes between the tensors that Gradient names must stand before it",
                       "Gradient names '%.*s', which nothing gives", shown(name), name.length > 0 ? name.data : "");
    } else if (found.dead) {
        lt_expand_fail(g->x, LATHE_UNSUPPORTED, NULL, "Gradient names '%.*s', which something unsupported gives",
                       shown(name), name.data);
    }
    return found.value;
}

/* Which value stands for each named one, and what is to be differentiated. */
static void read_names(gradient *g, const lt_pb_node *node)
{
    size_t n_x = lt_expand_ok(g->x) ? g->xs->strings.count : 0,
           n_z = lt_expand_ok(g->x) && g->zs != NULL ? g->zs->strings.count : 0;
    for (size_t i = 0; i < n_x + n_z && lt_expand_ok(g->x); i++) {
        lt_value_id named = find(g, i < n_x ? g->xs->strings.at[i] : g->zs->strings.at[i - n_x]);
        lt_named value = lt_scope_find(g->scope, node->input.at[i]);
        if (lt_expand_ok(g->x) && (node->input.at[i].length == 0 || lt_value_none(value.value))) {
            lt_expand_fail(g->x, LATHE_BAD_MODEL, NULL, "input %zu of Gradient is absent", i);
        }
        put(g, &g->given, named, value.value);
        if (i < n_x) {
            put(g, &g->depends, named, named);
        }
    }
    if (lt_expand_ok(g->x)) {
        g->target = find(g, g->y->s);
    }
}

/* ---- The nodes between ---- */

/* Is the node's result made from named tensors, by nodes of this region? Marks what depends on xs. */
static bool depends_on(const gradient *g, const lt_node *node)
{
    if (node->op->traits & LT_OP_REGIONS) { /* its bodies may capture something that does */
        return true;
    }
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        if (!lt_value_none(get(&g->depends, node->inputs[i]))) {
            return true;
        }
    }
    return false;
}

static bool takes_part(const lt_graph *graph, lt_value_id id)
{
    const lt_value *value = lt_value_get(graph, id);
    return value != NULL && value->type.cls == LT_TENSOR && lt_dtype_is_float(value->type.dtype);
}

/* What the graph around computes is out of reach, unless it is named. */
static void check_reach(gradient *g, lt_value_id id)
{
    const lt_value *value = lt_value_get(g->x->graph, id);
    if (value != NULL && value->kind == LT_VALUE_RESULT && value->region != g->x->region && value->region != LT_INIT &&
        lt_value_none(get(&g->given, id))) {
        lt_expand_fail(g->x, LATHE_UNSUPPORTED, "name it in xs or zs, or move Gradient to where it is computed",
                       "Gradient: '%s' is computed by the graph around this one, and not named", value->name);
    }
}

/* The region's nodes that the target needs, behind the named tensors, in order. */
static lt_node_id *collect(gradient *g, size_t *count)
{
    lt_expand *x = g->x;
    size_t most = lt_graph_node_count(x->graph, x->region), n = 0;
    lt_node_id *nodes = LT_ARENA_ARRAY(&x->import->arena, lt_node_id, most + 1);
    lt_imap needed;
    *count = 0;
    lt_expand_spend(x, most / 64);
    if (nodes == NULL) {
        x->status = LT_OOM(x->import->diag);
        return NULL;
    }
    lt_imap_init(&needed, x->import->allocator);
    put(g, &needed, g->target, g->target);
    check_reach(g, g->target);
    const lt_region *region = lt_region_get(x->graph, x->region);
    for (const lt_node *node = lt_node_get(x->graph, region->last); node != NULL && lt_expand_ok(x);
         node = lt_node_get(x->graph, node->prev)) {
        bool used = false;
        for (uint32_t i = 0; i < node->n_outputs; i++) {
            used = used ||
                   (!lt_value_none(get(&needed, node->outputs[i])) && lt_value_none(get(&g->given, node->outputs[i])));
        }
        for (uint32_t i = 0; used && i < node->n_inputs; i++) {
            if (!lt_value_none(node->inputs[i])) {
                put(g, &needed, node->inputs[i], node->inputs[i]);
                check_reach(g, node->inputs[i]);
            }
        }
        if (used) {
            nodes[most - ++n] = node->id;
        }
    }
    lt_imap_free(&needed);
    *count = n;
    return nodes + (most - n);
}

/* Stand-ins for a node's results where its inputs have some. */
static void recompute(gradient *g, const lt_node *node)
{
    lt_expand *x = g->x;
    lt_value_id *inputs = LT_ARENA_ARRAY(&x->import->arena, lt_value_id, node->n_inputs + 1);
    lt_value_id *outputs = LT_ARENA_ARRAY(&x->import->arena, lt_value_id, node->n_outputs + 1);
    const char **names = LT_ARENA_ARRAY(&x->import->arena, const char *, node->n_outputs + 1);
    bool other = false;
    lt_node_id from = node->id;
    if (inputs == NULL || outputs == NULL || names == NULL) {
        x->status = LT_OOM(x->import->diag);
        return;
    }
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        lt_value_id stand_in = get(&g->given, node->inputs[i]);
        inputs[i] = lt_value_none(stand_in) ? node->inputs[i] : stand_in;
        other = other || !lt_value_same(inputs[i], node->inputs[i]);
    }
    if (other && (node->op->traits & LT_OP_REGIONS)) {
        lt_expand_fail(x, LATHE_UNSUPPORTED, NULL, "Gradient: %s cannot be computed anew for other inputs",
                       node->op->name);
    }
    if (!other || !lt_expand_ok(x)) {
        return;
    }
    for (uint32_t i = 0; i < node->n_outputs; i++) {
        names[i] = lt_value_none(node->outputs[i]) ? "" : NULL;
    }
    lt_node_spec spec = {
        .descriptor = node->op,
        .attrs = node->attrs,
        .n_attrs = node->n_attrs,
        .inputs = inputs,
        .n_inputs = node->n_inputs,
        .n_outputs = node->n_outputs,
        .output_names = names,
        .origins = &x->origin,
        .n_origins = 1,
    };
    lt_expand_spend(x, 1);
    if (lt_expand_ok(x)) {
        x->status = lt_graph_add_node(x->graph, x->region, &spec, NULL, outputs, x->import->diag);
    }
    const lt_node *old = lt_node_get(x->graph, from);
    for (uint32_t i = 0; i < old->n_outputs && lt_expand_ok(x); i++) {
        if (!lt_value_none(old->outputs[i])) {
            put(g, &g->given, old->outputs[i], outputs[i]);
        }
    }
}

static void walk_forward(gradient *g, const lt_node_id *nodes, size_t count)
{
    for (size_t i = 0; i < count && lt_expand_ok(g->x); i++) {
        const lt_node *node = lt_node_get(g->x->graph, nodes[i]);
        for (uint32_t k = 0; depends_on(g, node) && k < node->n_outputs; k++) {
            if (takes_part(g->x->graph, node->outputs[k])) {
                put(g, &g->depends, node->outputs[k], node->outputs[k]);
            }
        }
        recompute(g, node);
    }
}

/* ---- Backwards ---- */

void lt_backward_refuse(lt_backward *b, bool asked, const char *what)
{
    if (asked) {
        lt_expand_fail(b->x, LATHE_UNSUPPORTED, "take the gradient of a part of the network without it",
                       "Gradient: %s has no derivative %s in this build", b->node->op->name, what);
    }
}

static const lt_derivative *find_row(const lt_node *node)
{
    const lt_derivative *const tables[] = { lt_derivatives_pointwise, lt_derivatives_sums, lt_derivatives_moves,
                                            lt_derivatives_layers };
    for (size_t t = 0; t < LT_COUNT(tables) && lt_op_domain(node->op)[0] == '\0'; t++) {
        for (const lt_derivative *row = tables[t]; row->op != NULL; row++) {
            if (strcmp(row->op, node->op->name) == 0) {
                return row;
            }
        }
    }
    return NULL;
}

static lt_value_id stand_in(const gradient *g, lt_value_id value)
{
    lt_value_id other = get(&g->given, value);
    return lt_value_none(other) ? value : other;
}

static void add_up(gradient *g, lt_value_id value, lt_value_id part)
{
    lt_value_id sum = get(&g->grads, value);
    if (!lt_value_none(part)) {
        put(g, &g->grads, value, lt_value_none(sum) ? part : lt_expand_2(g->x, "Add", sum, part));
    }
}

/* The descriptor is a copy: adding nodes may move the node. */
static void step_back(gradient *g, lt_node node)
{
    lt_arena *arena = &g->x->import->arena;
    lt_value_id *in = LT_ARENA_ARRAY(arena, lt_value_id, node.n_inputs + 1),
                *out = LT_ARENA_ARRAY(arena, lt_value_id, node.n_outputs + 1);
    lt_value_id *dx = LT_ARENA_ARRAY(arena, lt_value_id, node.n_inputs + 1),
                *dy = LT_ARENA_ARRAY(arena, lt_value_id, node.n_outputs + 1);
    bool *wanted = LT_ARENA_ARRAY(arena, bool, node.n_inputs + 1), any = false;
    if (in == NULL || out == NULL || dx == NULL || dy == NULL || wanted == NULL) {
        g->x->status = LT_OOM(g->x->import->diag);
        return;
    }
    for (uint32_t i = 0; i < node.n_outputs; i++) {
        out[i] = stand_in(g, node.outputs[i]);
        dy[i] = get(&g->grads, node.outputs[i]);
        any = any || !lt_value_none(dy[i]);
    }
    for (uint32_t i = 0; i < node.n_inputs; i++) {
        in[i] = stand_in(g, node.inputs[i]);
        wanted[i] = !lt_value_none(get(&g->depends, node.inputs[i])) && takes_part(g->x->graph, node.inputs[i]);
    }
    if (!any || !depends_on(g, &node)) {
        return;
    }
    const lt_derivative *row = find_row(&node);
    if (row == NULL) {
        lt_expand_fail(g->x, LATHE_UNSUPPORTED, "take the gradient of a part of the network without it",
                       "Gradient: %s has no derivative in this build", node.op->name);
        return;
    }
    lt_backward b = { .x = g->x, .node = &node, .in = in, .out = out, .dy = dy, .dx = dx, .wanted = wanted };
    row->backward(&b);
    for (uint32_t i = 0; i < node.n_inputs && lt_expand_ok(g->x); i++) {
        add_up(g, node.inputs[i], wanted[i] ? dx[i] : none);
    }
}

static lt_value_id filled(lt_expand *x, lt_value_id like, double value)
{
    return lt_expand_2(x, "Expand", lt_expand_scalar(x, like, value), lt_expand_1(x, "Shape", like));
}

static void walk_back(gradient *g, const lt_node_id *nodes, size_t count)
{
    lt_value_id y = stand_in(g, g->target);
    const lt_type *type = lt_expand_type(g->x, y, false);
    if (type != NULL && !lt_dtype_is_float(type->dtype)) {
        lt_expand_fail(g->x, LATHE_BAD_MODEL, NULL, "Gradient: y is no tensor of floats");
    }
    put(g, &g->grads, g->target, filled(g->x, y, 1.0));
    for (size_t i = count; i-- > 0 && lt_expand_ok(g->x);) {
        step_back(g, *lt_node_get(g->x->graph, nodes[i]));
    }
}

static void give_results(gradient *g, const lt_pb_node *node, lt_value_id *out)
{
    for (size_t i = 0; i < node->output.count && lt_expand_ok(g->x); i++) {
        lt_value_id named = find(g, g->xs->strings.at[i]);
        out[i] = get(&g->grads, named);
        if (lt_value_none(out[i])) {
            out[i] = filled(g->x, stand_in(g, named), 0.0);
        }
    }
}

void lt_expand_gradient(lt_expand *x, lt_scope *scope, const lt_pb_node *node, lt_value_id *out)
{
    gradient g = { .x = x, .scope = scope };
    lt_imap *maps[3] = { &g.given, &g.depends, &g.grads };
    size_t count = 0;
    lt_node_id *nodes = NULL;
    for (int i = 0; i < 3; i++) {
        lt_imap_init(maps[i], x->import->allocator);
    }
    read_attributes(&g, node);
    read_names(&g, node);
    nodes = lt_expand_ok(x) ? collect(&g, &count) : NULL;
    walk_forward(&g, nodes, count);
    if (lt_expand_ok(x)) {
        walk_back(&g, nodes, count);
        give_results(&g, node, out);
    }
    for (int i = 0; i < 3; i++) {
        lt_imap_free(maps[i]);
    }
}
