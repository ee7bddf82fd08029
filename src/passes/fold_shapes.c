/*
 * fold_shapes.c - pass fold-shapes: exporters' shape arithmetic disappears.
 *
 * Inference knows the contents of small integer values as symbolic dims. A value whose contents are numbers becomes a constant. A value that
 * depends on extents of inputs, at the place where something else than shape arithmetic reads it, becomes
 *   - for Reshape and Expand a constant again, where 0, -1 and 1 can say it;
 *   - else a lathe.HostShape, an expression over extents of inputs that the plan's shape program computes.
 * What only fed such values is removed. Nodes that read only constants by then are folded on the way: the pads that they compute may be what the
 * shapes behind depend on.
 */
#include "passes/passes_internal.h"

#include <ctype.h>
#include <string.h>

/* Where an extent that expressions name can be read. */
typedef struct source {
    lt_dim leaf;
    lt_value_id value;
    int axis;
} source;

typedef struct shaper {
    lt_pass_call *c;
    lt_region_id region; /* whose nodes are visited */
    lt_imap index;       /* leaf -> number of its source */
    source *sources;     /* in the scratch arena */
    size_t n_sources, cap_sources;
} shaper;

/* ---- Sources ---- */

static lathe_status add_sources(shaper *s, const lt_value *value)
{
    const lt_dims *dims = lt_graph_dims(s->c->graph);
    for (int i = 0; value != NULL && value->type.cls == LT_TENSOR && i < value->type.rank; i++) {
        lt_dim d = value->type.dims[i];
        if (lt_dim_is_const(d) || lt_imap_get(&s->index, d.e, NULL)) {
            continue;
        }
        lt_dim_op op = lt_dim_get(dims, d).op;
        if (op != LT_DIM_SYMBOL && op != LT_DIM_FRESH) {
            continue;
        }
        if (!lt_arena_grow(s->c->scratch, (void **)&s->sources, &s->cap_sources, s->n_sources + 1, sizeof *s->sources) ||
            !lt_imap_put(&s->index, d.e, s->n_sources)) {
            return LT_OOM(s->c->diag);
        }
        s->sources[s->n_sources++] = (source){ d, value->id, i };
    }
    return LATHE_OK;
}

static lathe_status add_inputs(shaper *s, lt_region_id region)
{
    const lt_region *r = lt_region_get(s->c->graph, region);
    for (uint32_t i = 0; i < r->n_inputs; i++) {
        LT_TRY(add_sources(s, lt_value_get(s->c->graph, r->inputs[i])));
    }
    return LATHE_OK;
}

/* The walk comes to another region: inputs of the network are seen everywhere, others only there. */
static lathe_status enter_region(shaper *s, lt_region_id region)
{
    lt_imap_free(&s->index);
    lt_imap_init(&s->index, s->c->allocator);
    s->n_sources = 0;
    s->region = region;
    LT_TRY(add_inputs(s, LT_MAIN));
    return region == LT_MAIN ? LATHE_OK : add_inputs(s, region);
}

/* ---- Expressions ---- */

enum { MAX_LEAVES = 32 };

typedef struct leaves {
    size_t source[MAX_LEAVES];
    size_t count;
} leaves;

/* Adds the leaves of an expression; false when one has no source, or there are too many. */
static bool find_leaves(const shaper *s, lt_dim d, int depth, leaves *out)
{
    uint64_t index;
    if (lt_dim_is_const(d)) {
        return true;
    }
    lt_dim_node node = lt_dim_get(lt_graph_dims(s->c->graph), d);
    if (node.args != NULL) {
        for (uint32_t i = 0; i < node.count; i++) {
            if (depth >= LT_MAX_DEPTH || !find_leaves(s, node.args[i], depth + 1, out)) {
                return false;
            }
        }
        return true;
    }
    if (!lt_imap_get(&s->index, d.e, &index)) {
        return false;
    }
    for (size_t i = 0; i < out->count; i++) {
        if (out->source[i] == index) {
            return true;
        }
    }
    if (out->count == MAX_LEAVES) {
        return false;
    }
    out->source[out->count++] = (size_t)index;
    return true;
}

/* The expression's text. Unknowns (?3) have no names: they are written as names here (u3). */
static lathe_status expr_text(const shaper *s, lt_dim d, const char **out)
{
    lt_buf buf;
    bool quoted = false;
    lt_buf_init(&buf, s->c->allocator);
    lt_dim_print(lt_graph_dims(s->c->graph), d, &buf);
    char *text = lt_arena_strn(s->c->scratch, lt_buf_str(&buf), buf.length);
    bool failed = buf.failed || text == NULL;
    lt_buf_free(&buf);
    if (failed) {
        return LT_OOM(s->c->diag);
    }
    for (char *at = text; *at != '\0'; at++) {
        if (*at == '\\' && quoted && at[1] != '\0') {
            at++;
        } else if (*at == '"') {
            quoted = !quoted;
        } else if (*at == '?' && !quoted && isdigit((unsigned char)at[1])) {
            *at = 'u';
        }
    }
    *out = text;
    return LATHE_OK;
}

/* Two leaves must not get the same name. */
static lathe_status name_leaves(const shaper *s, const leaves *l, const char **names, bool *distinct)
{
    *distinct = true;
    for (size_t i = 0; i < l->count; i++) {
        LT_TRY(expr_text(s, s->sources[l->source[i]].leaf, &names[i]));
        for (size_t k = 0; k < i; k++) {
            *distinct = *distinct && !lt_streq(names[i], names[k]);
        }
    }
    return LATHE_OK;
}

static lathe_bytes bytes_of(const char *text)
{
    return (lathe_bytes){ text, strlen(text) };
}

/* Inputs of the node without repeats, and "N=0.1" for each leaf. */
static lathe_status list_symbols(const shaper *s, const leaves *l, const char *const *names, lt_value_id *inputs, size_t *n_inputs, lathe_bytes *symbols)
{
    *n_inputs = 0;
    for (size_t i = 0; i < l->count; i++) {
        const source *from = &s->sources[l->source[i]];
        size_t k = 0;
        while (k < *n_inputs && !lt_value_same(inputs[k], from->value)) {
            k++;
        }
        if (k == *n_inputs) {
            inputs[(*n_inputs)++] = from->value;
        }
        const char *text = lt_arena_printf(s->c->scratch, "%s=%zu.%d", names[i], k, from->axis);
        if (text == NULL) {
            return LT_OOM(s->c->diag);
        }
        symbols[i] = bytes_of(text);
    }
    return LATHE_OK;
}

static lathe_status list_exprs(const shaper *s, const lt_contents *contents, lathe_bytes *exprs)
{
    for (int64_t i = 0; i < contents->count; i++) {
        const char *text;
        LT_TRY(expr_text(s, contents->v[i], &text));
        exprs[i] = bytes_of(text);
    }
    return LATHE_OK;
}

/* What a HostShape needs to compute `value`. */
typedef struct recipe {
    lt_value_id inputs[MAX_LEAVES];
    size_t n_inputs;
    lathe_bytes symbols[MAX_LEAVES], exprs[LT_CONTENTS_MAX];
    lathe_attr attrs[4];
    size_t n_attrs;
} recipe;

/* *ok: it can be expressed. */
static lathe_status write_recipe(const shaper *s, const lt_value *value, recipe *r, bool *ok)
{
    const char *names[MAX_LEAVES];
    leaves l = { .count = 0 };
    *ok = true;
    for (int64_t i = 0; *ok && i < value->contents.count; i++) {
        *ok = find_leaves(s, value->contents.v[i], 0, &l);
    }
    if (*ok) {
        LT_TRY(name_leaves(s, &l, names, ok));
    }
    if (!*ok) {
        return LATHE_OK;
    }
    LT_TRY(list_symbols(s, &l, names, r->inputs, &r->n_inputs, r->symbols));
    LT_TRY(list_exprs(s, &value->contents, r->exprs));
    r->attrs[0] = (lathe_attr){ .name = "exprs", .kind = LATHE_ATTR_STRINGS, .count = (size_t)value->contents.count, .strings = r->exprs };
    r->attrs[1] = (lathe_attr){ .name = "symbols", .kind = LATHE_ATTR_STRINGS, .count = l.count, .strings = r->symbols };
    r->n_attrs = 2;
    if (value->type.dtype != LATHE_DTYPE_I64) {
        r->attrs[r->n_attrs++] = lt_attr_int("to", value->type.dtype);
    }
    if (value->type.rank == 0) {
        r->attrs[r->n_attrs++] = lt_attr_int("scalar", 1);
    }
    return LATHE_OK;
}

/* Is the node that HostShape already? */
static bool is_recipe(const lt_node *node, const recipe *r)
{
    if (!lt_node_is(node, "lathe:HostShape") || node->n_inputs != r->n_inputs || node->n_attrs != r->n_attrs) {
        return false;
    }
    for (size_t i = 0; i < r->n_inputs; i++) {
        if (!lt_value_same(node->inputs[i], r->inputs[i])) {
            return false;
        }
    }
    for (size_t i = 0; i < r->n_attrs; i++) {
        const lathe_attr *have = lt_attr_find(node->attrs, node->n_attrs, r->attrs[i].name);
        if (have == NULL || !lt_attr_same(have, &r->attrs[i])) {
            return false;
        }
    }
    return true;
}

/* The node that stands for `value`, right behind what computes it; none when it cannot be expressed, or stands there already. */
static lathe_status make_host_shape(const shaper *s, const lt_value *value, lt_value_id *out)
{
    lt_pass_call *c = s->c;
    bool ok;
    const lt_node *def = lt_node_get(c->graph, value->def);
    recipe *r = LT_ARENA_NEW(c->scratch, recipe);
    *out = (lt_value_id){ 0, 0 };
    if (r == NULL) {
        return LT_OOM(c->diag);
    }
    LT_TRY(write_recipe(s, value, r, &ok));
    if (!ok || is_recipe(def, r)) {
        return LATHE_OK;
    }
    lt_node_spec spec = { .op = "HostShape", .domain = "lathe", .label = def->label, .attrs = r->attrs, .n_attrs = r->n_attrs, .inputs = r->inputs,
                          .n_inputs = r->n_inputs, .n_outputs = 1, .before = def->next, .origins = def->origins, .n_origins = def->n_origins };
    return lt_graph_add_node(c->graph, def->region, &spec, NULL, out, c->diag);
}

/* ---- What was looked at ---- */

static lathe_status push_node(shaper *s, lt_node_id **stack, size_t *n, size_t *capacity, lt_node_id node)
{
    if (!lt_arena_grow(s->c->scratch, (void **)stack, capacity, *n + 1, sizeof **stack)) {
        return LT_OOM(s->c->diag);
    }
    (*stack)[(*n)++] = node;
    return LATHE_OK;
}

/* The contents of a value come from the constants in its cone: their elements are relied on. */
static lathe_status assume_cone(shaper *s, lt_node_id start)
{
    lt_graph *graph = s->c->graph;
    lt_node_id *stack = NULL;
    size_t n = 0, capacity = 0;
    lt_imap seen;
    lt_imap_init(&seen, s->c->allocator);
    lathe_status status = push_node(s, &stack, &n, &capacity, start);
    while (n > 0 && status == LATHE_OK) {
        const lt_node *node = lt_node_get(graph, stack[--n]);
        if (node == NULL || (node->op->traits & LT_OP_SHAPE) || lt_imap_get(&seen, node->id.index, NULL)) {
            continue;
        }
        status = lt_imap_put(&seen, node->id.index, 1) ? LATHE_OK : LT_OOM(s->c->diag);
        for (uint32_t i = 0; i < node->n_inputs && status == LATHE_OK; i++) {
            const lt_value *value = lt_node_in(graph, node, i);
            if (value != NULL && lt_value_is_constant(value)) {
                status = lt_graph_assume(graph, value->id, LT_ASSUME_BYTES, 0, s->c->diag);
            } else if (value != NULL && value->contents.v != NULL && value->kind == LT_VALUE_RESULT) {
                status = push_node(s, &stack, &n, &capacity, value->def);
            }
        }
    }
    lt_imap_free(&seen);
    return status;
}

/* Removes a node that became unused, and the shape arithmetic that only fed it. */
static lathe_status remove_chain(shaper *s, lt_node_id start)
{
    lt_graph *graph = s->c->graph;
    lt_node_id *stack = NULL;
    size_t n = 0, capacity = 0;
    LT_TRY(push_node(s, &stack, &n, &capacity, start));
    while (n > 0) {
        const lt_node *node = lt_node_get(graph, stack[--n]);
        if (node == NULL || !lt_node_unused(graph, node)) {
            continue;
        }
        for (uint32_t i = 0; i < node->n_inputs; i++) {
            const lt_value *value = lt_node_in(graph, node, i);
            if (value != NULL && value->kind == LT_VALUE_RESULT && value->contents.v != NULL && !lt_value_is_constant(value)) {
                LT_TRY(push_node(s, &stack, &n, &capacity, value->def));
            }
        }
        LT_TRY(lt_graph_remove_node(graph, node->id, s->c->diag));
    }
    return LATHE_OK;
}

/* ---- Numbers ---- */

static bool all_numbers(const lt_contents *contents)
{
    for (int64_t i = 0; i < contents->count; i++) {
        if (!lt_dim_is_const(contents->v[i])) {
            return false;
        }
    }
    return true;
}

static lathe_status to_constant(shaper *s, const lt_value *value)
{
    unsigned char data[LT_CONTENTS_MAX * sizeof(int64_t)] = { 0 };
    lt_pass_call *c = s->c;
    lt_tensor tensor = { .struct_size = sizeof tensor, .data = data };
    lt_value_id old = value->id, now;
    lt_node_id def = value->def;
    LT_TRY(lt_tensor_shape(&tensor, value->type.dtype, value->type.rank, &value->contents.count, value->name, c->diag));
    for (int64_t i = 0; i < value->contents.count; i++) {
        lt_store_i64(tensor.dtype, data, i, value->contents.v[i].k);
    }
    LT_TRY(lt_graph_add_constant(c->graph, NULL, &tensor, &now, c->diag));
    if (!lt_can_replace(c->graph, value, lt_value_get(c->graph, now))) {
        return LATHE_OK;
    }
    LT_TRY(assume_cone(s, def));
    c->changed = true;
    return lt_graph_replace_value(c->graph, old, now, c->diag);
}

/* ---- Shapes that constants can say although they depend on inputs ---- */

/* The output's shape with 0 for extents copied from the input and at most one -1. */
static bool reshape_numbers(const lt_graph *graph, const lt_node *node, int64_t *out, int *count)
{
    const lt_value *x = lt_node_in(graph, node, 0), *y = lt_node_out(graph, node, 0);
    bool literal_zero = lt_attr_i(node->attrs, node->n_attrs, "allowzero", 0) != 0;
    bool rest = false, may_be_zero = false;
    if (x == NULL || y == NULL || x->type.rank < 0 || y->type.rank < 0) {
        return false;
    }
    for (int i = 0; i < y->type.rank; i++) {
        lt_dim d = y->type.dims[i];
        bool copies = i < x->type.rank && lt_dim_same(x->type.dims[i], d) && !literal_zero;
        int64_t least, most;
        lt_dim_bounds(lt_graph_dims(graph), d, &least, &most);
        if (lt_dim_is_const(d) && (d.k > 0 || literal_zero || copies)) {
            out[i] = d.k;
            may_be_zero = may_be_zero || d.k == 0;
        } else if (copies) {
            out[i] = 0;
            may_be_zero = may_be_zero || least < 1;
        } else if (!rest && !lt_dim_is_const(d)) {
            out[i] = -1;
            rest = true;
        } else {
            return false;
        }
    }
    *count = y->type.rank;
    /* With no elements, -1 could be anything. */
    return !rest || !may_be_zero;
}

/* 1 where the input already has the extent. */
static bool expand_numbers(const lt_graph *graph, const lt_node *node, int64_t *out, int *count)
{
    const lt_value *x = lt_node_in(graph, node, 0), *shape = lt_node_in(graph, node, 1);
    if (x == NULL || x->type.rank < 0 || shape == NULL || shape->contents.v == NULL || shape->contents.count > LATHE_MAX_RANK) {
        return false;
    }
    *count = (int)shape->contents.count;
    for (int i = 0; i < *count; i++) {
        lt_dim d = shape->contents.v[i];
        int axis = x->type.rank - (*count - i);
        if (lt_dim_is_const(d)) {
            out[i] = d.k;
        } else if (axis >= 0 && lt_dim_same(x->type.dims[axis], d)) {
            out[i] = 1;
        } else {
            return false;
        }
    }
    return true;
}

/* *done: the node now reads a constant, and its output has the same type as before. */
static lathe_status constant_shape(shaper *s, lt_node_id id, lt_value_id old, bool *done)
{
    int64_t ints[LATHE_MAX_RANK];
    int count;
    lt_pass_call *c = s->c;
    const lt_node *node = lt_node_get(c->graph, id);
    bool reshape = lt_node_is(node, "Reshape");
    *done = false;
    if (!(reshape ? reshape_numbers(c->graph, node, ints, &count) : lt_node_is(node, "Expand") && expand_numbers(c->graph, node, ints, &count))) {
        return LATHE_OK;
    }
    lt_make make = { .call = c, .at = id };
    lt_value_id shape;
    lt_type before = lt_node_out(c->graph, node, 0)->type;
    LT_TRY(lt_make_ints(&make, ints, count, &shape));
    LT_TRY(lt_graph_set_input_of(c->graph, id, 1, shape, c->diag));
    *done = lt_type_proves_same(c->graph, &before, &lt_node_out(c->graph, lt_node_get(c->graph, id), 0)->type);
    c->changed = c->changed || *done;
    return *done ? LATHE_OK : lt_graph_set_input_of(c->graph, id, 1, old, c->diag);
}

/* ---- Symbols ---- */

/* Does the using node do anything else with the value than shape arithmetic? */
static bool leaves_arithmetic(const lt_graph *graph, const lt_use *use)
{
    const lt_node *node = lt_node_get(graph, use->node);
    for (uint32_t i = 0; node != NULL && i < node->n_outputs; i++) {
        const lt_value *value = lt_node_out(graph, node, i);
        if (value != NULL && value->contents.v == NULL) {
            return true;
        }
    }
    return false;
}

static lathe_status to_expression(shaper *s, lt_value_id id)
{
    lt_pass_call *c = s->c;
    const lt_value *value = lt_value_get(c->graph, id);
    lt_node_id def = value->def;
    lt_value_id host = { 0, 0 };
    uint32_t n_uses = value->n_uses;
    lt_use *uses = lt_arena_copy(c->scratch, value->uses, n_uses * sizeof *uses, _Alignof(lt_use));
    bool tried = false, touched = false;
    if (uses == NULL) {
        return LT_OOM(c->diag);
    }
    for (uint32_t i = 0; i < n_uses; i++) {
        bool done = false;
        if (!leaves_arithmetic(c->graph, &uses[i])) {
            continue;
        }
        if (uses[i].slot == 1) {
            LT_TRY(constant_shape(s, uses[i].node, id, &done));
        }
        if (!done && !tried) {
            LT_TRY(make_host_shape(s, value, &host));
            tried = true;
        }
        if (!done && !lt_value_none(host)) {
            LT_TRY(lt_graph_set_input_of(c->graph, uses[i].node, uses[i].slot, host, c->diag));
            c->changed = done = true;
        }
        touched = touched || done;
    }
    return touched ? assume_cone(s, def) : LATHE_OK;
}

static bool arithmetic(const lt_value *value)
{
    return value != NULL && value->contents.v != NULL && value->type.cls == LT_TENSOR && value->type.rank <= 1 &&
           (value->type.dtype == LATHE_DTYPE_I64 || value->type.dtype == LATHE_DTYPE_I32 || value->type.dtype == LATHE_DTYPE_BOOL);
}

static bool read_outside(const lt_graph *graph, const lt_value *value)
{
    for (uint32_t i = 0; i < value->n_uses; i++) {
        if (leaves_arithmetic(graph, &value->uses[i])) {
            return true;
        }
    }
    return false;
}

/* Only where arithmetic ends: what lies before disappears with it. */
static lathe_status visit_value(shaper *s, const lt_value *value)
{
    lt_pass_call *c = s->c;
    lt_node_id def = value->def;
    bool numbers = all_numbers(&value->contents);
    if (!read_outside(c->graph, value)) {
        return LATHE_OK;
    }
    LT_TRY(lt_edit_begin(c->graph, c->pass->name, numbers ? "constant" : "host-expression", c->diag));
    lathe_status status = numbers ? to_constant(s, value) : to_expression(s, value->id);
    status = status == LATHE_OK ? remove_chain(s, def) : status;
    lt_edit_end(c->graph);
    return status;
}

/* The node, unless it is gone or was folded. */
static const lt_node *in_place(const shaper *s, lt_node_id id)
{
    const lt_node *node = lt_node_get(s->c->graph, id);
    return node != NULL && node->region == s->region ? node : NULL;
}

static lathe_status visit_all(shaper *s)
{
    lt_node_id *list;
    size_t count;
    LT_TRY(lt_walk_list(s->c, &list, &count));
    for (size_t i = 0; i < count; i++) {
        const lt_node *node = lt_node_get(s->c->graph, list[i]);
        if (node == NULL) {
            continue;
        }
        if (node->region != s->region) {
            LT_TRY(enter_region(s, node->region));
        }
        LT_TRY(lt_fold_if_constant(s->c, list[i]));
        node = in_place(s, list[i]);
        for (uint32_t k = 0; node != NULL && k < node->n_outputs; k++) {
            const lt_value *value = lt_node_out(s->c->graph, node, k);
            if (arithmetic(value)) {
                LT_TRY(visit_value(s, value));
                node = in_place(s, list[i]);
            }
        }
        for (uint32_t k = 0; node != NULL && k < node->n_outputs; k++) {
            LT_TRY(add_sources(s, lt_node_out(s->c->graph, node, k)));
        }
    }
    return LATHE_OK;
}

static lathe_status run(lt_pass_call *c)
{
    shaper s = { .c = c, .region = LT_NO_REGION };
    lt_imap_init(&s.index, c->allocator);
    lathe_status status = visit_all(&s);
    lt_imap_free(&s.index);
    return status;
}

LT_PASS(fold_shapes) = {
    .name = "fold-shapes",
    .summary = "Turn shape arithmetic into constants, or into expressions over input extents that run on the host",
    .needs = "shapes",
    .keeps = "shapes qdq",
    .run = run,
};
