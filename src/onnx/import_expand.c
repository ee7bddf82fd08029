/*
 * import_expand.c - the builder that writes expansions of operators into others, and the list of those that are
 * expanded. Called by import_node.c; knows no operator's meaning.
 */
#include <stdarg.h>
#include <string.h>

#include "onnx/microsoft.h"

static const lt_value_id none = { 0, 0 };

bool lt_expand_ok(const lt_expand *x)
{
    return x->status == LATHE_OK;
}

void lt_expand_fail(lt_expand *x, lathe_status status, const char *what_to_do, const char *format, ...)
{
    char text[512];
    va_list args;
    if (!lt_expand_ok(x)) {
        return;
    }
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    x->status = LT_FAIL(x->import->diag, status, x->where, what_to_do, "%s", text);
}

void lt_expand_spend(lt_expand *x, uint64_t nodes)
{
    x->import->expanded += nodes;
    if (x->import->expanded > LT_IMPORT_MAX_NODES) {
        lt_expand_fail(x, LATHE_BAD_MODEL, NULL, "the model unfolds to more than %d nodes", LT_IMPORT_MAX_NODES);
    }
}

lt_value_id lt_expand_node(lt_expand *x, const char *op, const lathe_attr *attrs, size_t n_attrs,
                           const lt_value_id *inputs, size_t n_inputs)
{
    lt_value_id out = none;
    lt_expand_outputs(x, op, attrs, n_attrs, inputs, n_inputs, &out, 1);
    return out;
}

void lt_expand_outputs(lt_expand *x, const char *op, const lathe_attr *attrs, size_t n_attrs, const lt_value_id *inputs,
                       size_t n_inputs, lt_value_id *out, size_t n_out)
{
    lt_node_spec spec = {
        .op = op,
        .domain = "",
        .attrs = attrs,
        .n_attrs = n_attrs,
        .inputs = inputs,
        .n_inputs = n_inputs,
        .n_outputs = n_out,
        .origins = &x->origin,
        .n_origins = 1,
    };
    lt_expand_spend(x, 1);
    if (lt_expand_ok(x)) {
        x->status = lt_graph_add_node(x->graph, x->region, &spec, NULL, out, x->import->diag);
    }
    for (size_t i = 0; i < n_out && !lt_expand_ok(x); i++) {
        out[i] = none;
    }
}

lt_value_id lt_expand_1(lt_expand *x, const char *op, lt_value_id a)
{
    return lt_expand_node(x, op, NULL, 0, &a, 1);
}

lt_value_id lt_expand_2(lt_expand *x, const char *op, lt_value_id a, lt_value_id b)
{
    lt_value_id inputs[2] = { a, b };
    return lt_expand_node(x, op, NULL, 0, inputs, 2);
}

lt_value_id lt_expand_3(lt_expand *x, const char *op, lt_value_id a, lt_value_id b, lt_value_id c)
{
    lt_value_id inputs[3] = { a, b, c };
    return lt_expand_node(x, op, NULL, 0, inputs, 3);
}

lt_value_id lt_expand_int(lt_expand *x, const char *op, const char *name, int64_t number, lt_value_id a, lt_value_id b)
{
    lathe_attr attr = { .name = name, .kind = LATHE_ATTR_INT, .i = number };
    lt_value_id inputs[2] = { a, b };
    return lt_expand_node(x, op, &attr, name != NULL ? 1 : 0, inputs, lt_value_none(b) ? 1 : 2);
}

static lt_value_id constant(lt_expand *x, const lt_tensor *tensor)
{
    lt_value_id out = none;
    if (lt_expand_ok(x)) {
        x->status = lt_graph_add_constant(x->graph, NULL, tensor, &out, x->import->diag);
    }
    return lt_expand_ok(x) ? out : none;
}

lt_value_id lt_expand_scalar(lt_expand *x, lt_value_id like, double value)
{
    const lt_type *type = lt_expand_type(x, like, false);
    lt_tensor tensor = { .struct_size = sizeof tensor };
    if (type == NULL) {
        return none;
    }
    x->status = lt_tensor_alloc(&x->import->arena, &tensor, type->dtype, 0, NULL, x->where, x->import->diag);
    if (lt_expand_ok(x)) {
        lt_store_f64(type->dtype, tensor.data, 0, value);
    }
    return constant(x, &tensor);
}

lt_value_id lt_expand_ints(lt_expand *x, const int64_t *values, size_t count)
{
    lt_tensor tensor = { .struct_size = sizeof tensor };
    int64_t dims[1] = { (int64_t)count };
    if (lt_expand_ok(x)) {
        x->status = lt_tensor_shape(&tensor, LATHE_DTYPE_I64, 1, dims, x->where, x->import->diag);
    }
    tensor.data = (void *)(uintptr_t)values;
    return constant(x, &tensor);
}

lt_value_id lt_expand_cast(lt_expand *x, lt_value_id a, lathe_dtype to)
{
    const lt_type *type = lt_expand_type(x, a, false);
    return type == NULL || type->dtype == to ? a : lt_expand_int(x, "Cast", "to", to, a, none);
}

lt_value_id lt_expand_reshape(lt_expand *x, lt_value_id a, lt_value_id shape)
{
    return lt_expand_int(x, "Reshape", "allowzero", 1, a, shape);
}

lt_value_id lt_expand_transpose(lt_expand *x, lt_value_id a, const int64_t *perm, int rank)
{
    lathe_attr attr = { .name = "perm", .kind = LATHE_ATTR_INTS, .ints = perm, .count = (size_t)rank };
    return lt_expand_node(x, "Transpose", &attr, 1, &a, 1);
}

const lt_type *lt_expand_type(lt_expand *x, lt_value_id a, bool ranked)
{
    const lt_value *value = lt_expand_ok(x) ? lt_value_get(x->graph, a) : NULL;
    if (!lt_expand_ok(x)) {
        return NULL;
    }
    if (value == NULL || value->type.cls != LT_TENSOR || value->type.dtype == LATHE_DTYPE_UNDEFINED) {
        lt_expand_fail(x, LATHE_UNSUPPORTED, NULL, "'%s' is no tensor of a known type",
                       value != NULL ? value->name : "an absent value");
        return NULL;
    }
    if (ranked && value->type.rank < 0) {
        lt_expand_fail(x, LATHE_UNSUPPORTED, "give the inputs of the model shapes", "the rank of '%s' is unknown",
                       value->name);
        return NULL;
    }
    return &value->type;
}

lathe_status lt_expand_result(lt_expand *x, lt_scope *scope, const lt_pb_node *node, size_t i, lt_value_id value)
{
    lathe_bytes span = node->output.at[i];
    const char *name;
    if (span.length == 0) {
        return LATHE_OK;
    }
    LT_TRY(lt_import_value_name(x->import, scope, span, &name));
    lt_node_spec spec = { .op = "Identity",
                          .domain = "",
                          .inputs = &value,
                          .n_inputs = 1,
                          .n_outputs = 1,
                          .output_names = &name,
                          .origins = &x->origin,
                          .n_origins = 1 };
    LT_TRY(lt_graph_add_node(x->graph, x->region, &spec, NULL, &value, x->import->diag));
    return lt_scope_bind(x->import, scope, span, (lt_named){ .found = true, .value = value }, x->where);
}

/* ---- The list ---- */

typedef struct expansion {
    const char *domain, *op;
    void (*expand)(lt_expand *x, lt_scope *scope, const lt_pb_node *node, lt_value_id *out);
    size_t outputs; /* at most */
} expansion;

static const expansion expansions[] = {
    { "ai.onnx.preview", "FlexAttention", lt_expand_flex_attention, 1 },
    { "ai.onnx.preview.training", "Gradient", lt_expand_gradient, SIZE_MAX },
};

const char *lt_onnx_expanded(size_t i, const char **domain)
{
    *domain = i < LT_COUNT(expansions) ? expansions[i].domain : "com.microsoft";
    return i < LT_COUNT(expansions) ? expansions[i].op : lt_ms_name(i - LT_COUNT(expansions));
}

static const expansion *find(const lt_pb_node *node)
{
    for (size_t i = 0; i < LT_COUNT(expansions); i++) {
        if (lt_pb_is(node->domain, expansions[i].domain) && lt_pb_is(node->op_type, expansions[i].op)) {
            return &expansions[i];
        }
    }
    return NULL;
}

static lathe_status bind_dead(lt_import *in, lt_scope *scope, const lt_pb_node *node, const char *where)
{
    for (size_t i = 0; i < node->output.count; i++) {
        if (node->output.at[i].length > 0) {
            LT_TRY(lt_scope_bind(in, scope, node->output.at[i], (lt_named){ .found = true, .dead = true }, where));
        }
    }
    return LATHE_OK;
}

/* Is something that the node reads beyond what this build can do? */
static lathe_status reads_dead(lt_import *in, const lt_scope *scope, const lt_pb_node *node, const char *where,
                               bool *dead)
{
    *dead = scope->dead;
    for (size_t i = 0; i < node->input.count; i++) {
        lt_named value;
        LT_TRY(lt_scope_input(in, scope, node->input.at[i], where, &value));
        *dead = *dead || value.dead;
    }
    return LATHE_OK;
}

static lathe_status start(lt_import *in, const lt_scope *scope, const lt_pb_node *node, lt_expand *x)
{
    const char *label, *op, *domain;
    LT_TRY(lt_import_str(in, node->name, x->where, &label));
    LT_TRY(lt_import_str(in, node->op_type, x->where, &op));
    LT_TRY(lt_import_str(in, node->domain, x->where, &domain));
    lt_origin origin = { .label = label, .op = op, .domain = domain, .path = scope->path };
    return lt_graph_add_origin(in->graph, &origin, &x->origin, in->diag);
}

/* The node's expansion, whichever list it is from. */
static void expand_node(lt_expand *x, lt_scope *scope, const lt_pb_node *node, const expansion *e, const lt_ms_op *row,
                        lt_value_id *out)
{
    if (row != NULL) {
        lt_ms_expand(x, scope, node, row, out);
    } else {
        e->expand(x, scope, node, out);
    }
}

lathe_status lt_import_expand(lt_import *in, lt_scope *scope, const lt_pb_node *node, const char *where, bool *done)
{
    const expansion *e = find(node);
    const lt_ms_op *row = e == NULL ? lt_ms_find(node) : NULL;
    size_t outputs = row != NULL ? (size_t)row->outputs : e != NULL ? e->outputs : 0;
    int64_t newest = lt_import_is_onnx(node->domain) ? LT_NEWEST_OPSET : 1;
    int64_t version = lt_import_version(&scope->opsets, node->domain);
    bool dead;
    *done = e != NULL || row != NULL;
    if (!*done) {
        return LATHE_OK;
    }
    if (node->output.count > outputs || node->output.count == 0) {
        return LT_FAIL(in->diag, LATHE_BAD_MODEL, where, NULL, "the node has %zu outputs", node->output.count);
    }
    LT_TRY(reads_dead(in, scope, node, where, &dead));
    if ((version < 1 || version > newest) && !scope->dead) {
        const char *reason = version < 1 ? "the model imports no opset for the operator's domain"
                                         : "the opset is newer than any that this build knows";
        LT_TRY(lt_import_refuse(in, scope, node, version, reason,
                                version < 1 ? "the exporter forgot it: add an opset_import for the domain" : "export the model with an older opset of the domain"));
        dead = true;
    }
    if (dead) {
        return bind_dead(in, scope, node, where);
    }
    lt_expand x = { .import = in, .graph = in->graph, .region = scope->region, .where = where };
    lt_value_id *out = LT_ARENA_ARRAY(&in->arena, lt_value_id, node->output.count);
    if (out == NULL) {
        return LT_OOM(in->diag);
    }
    LT_TRY(start(in, scope, node, &x));
    expand_node(&x, scope, node, e, row, out);
    if (x.status == LATHE_UNSUPPORTED) {
        LT_TRY(lt_import_refused(in, scope, node, version, x.status));
        return bind_dead(in, scope, node, where);
    }
    LT_TRY(x.status);
    for (size_t i = 0; i < node->output.count; i++) {
        LT_TRY(lt_expand_result(&x, scope, node, i, out[i]));
    }
    return LATHE_OK;
}
