/*
 * import_function.c - functions of the model are inlined: a call becomes the function's nodes, its attribute references
 * what the call gave.
 */
#include <string.h>

#include "onnx/onnx_internal.h"

/* "domain name overload" with NULs between, in the arena. */
static lathe_status make_key(lt_import *in, lathe_bytes domain, lathe_bytes name, lathe_bytes overload,
                             lathe_bytes *out)
{
    lathe_bytes parts[3] = { domain, name, overload };
    size_t size = 3, at = 0;
    if (lt_import_is_onnx(domain)) {
        parts[0].length = 0;
    }
    for (size_t i = 0; i < 3; i++) {
        size += parts[i].length; /* each lies in the file */
    }
    char *key = lt_arena_zero(&in->arena, size, 1, 1);
    if (key == NULL) {
        return LT_OOM(in->diag);
    }
    for (size_t i = 0; i < 3; i++) {
        if (parts[i].length > 0) {
            memcpy(key + at, parts[i].data, parts[i].length);
        }
        at += parts[i].length + 1;
    }
    *out = (lathe_bytes){ key, size };
    return LATHE_OK;
}

static int shown(lathe_bytes span)
{
    return (int)(span.length < 100 ? span.length : 100);
}

lathe_status lt_import_functions(lt_import *in)
{
    for (size_t i = 0; in->options->inline_functions && i < in->model->functions.count; i++) {
        const lt_pb_function *function = &in->model->functions.at[i];
        lathe_bytes key;
        LT_TRY(make_key(in, function->domain, function->name, function->overload, &key));
        if (lt_map_get_bytes(&in->functions, key.data, key.length, NULL)) {
            return LT_FAIL(in->diag, LATHE_BAD_MODEL, in->name, NULL, "the function '%.*s' is defined twice",
                           shown(function->name), function->name.length > 0 ? function->name.data : "");
        }
        if (!lt_map_put_bytes(&in->functions, key.data, key.length, i)) {
            return LT_OOM(in->diag);
        }
    }
    return LATHE_OK;
}

lathe_status lt_import_function(lt_import *in, const lt_pb_node *node, const lt_pb_function **out)
{
    lathe_bytes key;
    uint64_t index;
    *out = NULL;
    if (in->functions.count == 0) {
        return LATHE_OK;
    }
    LT_TRY(make_key(in, node->domain, node->op_type, node->overload, &key));
    if (lt_map_get_bytes(&in->functions, key.data, key.length, &index)) {
        *out = &in->model->functions.at[index];
    }
    return LATHE_OK;
}

/* ---- How many nodes the model unfolds to, before any is made ---- */

static const uint64_t BUSY = UINT64_MAX;

static lathe_status count_nodes(lt_import *in, const lt_pb_node *nodes, size_t count, int depth, uint64_t *total);

/* Recursion and depth are refused later, where the place is known: here they count nothing. */
static lathe_status count_function(lt_import *in, const lt_pb_function *function, int depth, uint64_t *total)
{
    uint64_t *size = &in->function_sizes[function - in->model->functions.at];
    if (*size == 0 && depth < LT_MAX_DEPTH) {
        uint64_t sum = 0;
        *size = BUSY;
        LT_TRY(count_nodes(in, function->node.at, function->node.count, depth + 1, &sum));
        *size = sum;
    }
    *total += *size == BUSY ? 0 : *size;
    return LATHE_OK;
}

static lathe_status count_attribute(lt_import *in, const lt_pb_attribute *attr, int depth, uint64_t *total)
{
    const lt_pb_graph *graphs = attr->graphs.at;
    if (attr->g != NULL) {
        LT_TRY(count_nodes(in, attr->g->node.at, attr->g->node.count, depth, total));
    }
    for (size_t i = 0; i < attr->graphs.count; i++) {
        LT_TRY(count_nodes(in, graphs[i].node.at, graphs[i].node.count, depth, total));
    }
    return LATHE_OK;
}

static lathe_status count_nodes(lt_import *in, const lt_pb_node *nodes, size_t count, int depth, uint64_t *total)
{
    for (size_t i = 0; i < count && *total <= LT_IMPORT_MAX_NODES; i++) {
        const lt_pb_function *function;
        ++*total;
        LT_TRY(lt_import_function(in, &nodes[i], &function));
        if (function != NULL) {
            LT_TRY(count_function(in, function, depth, total));
        }
        for (size_t k = 0; k < nodes[i].attribute.count; k++) {
            LT_TRY(count_attribute(in, &nodes[i].attribute.at[k], depth, total));
        }
    }
    return LATHE_OK;
}

lathe_status lt_import_check_size(lt_import *in)
{
    const lt_pb_graph *graph = in->model->graph;
    uint64_t total = 0;
    in->function_sizes = LT_ARENA_ARRAY(&in->arena, uint64_t, in->model->functions.count);
    if (in->function_sizes == NULL) {
        return LT_OOM(in->diag);
    }
    for (size_t i = 0; i < graph->node.count; i++) {
        LT_TRY(count_nodes(in, &graph->node.at[i], 1, 0, &total));
        if (total > LT_IMPORT_MAX_NODES) {
            return LT_FAIL(in->diag, LATHE_BAD_MODEL, lt_import_where(in, NULL, &graph->node.at[i]),
                           "let the functions call each other less often",
                           "the model unfolds to more than %d nodes", LT_IMPORT_MAX_NODES);
        }
    }
    return LATHE_OK;
}

/* ---- Attributes of calls ---- */

lathe_status lt_import_resolve(lt_import *in, const lt_scope *scope, const lt_pb_attribute *attr, const char *where,
                               const lt_pb_attribute **out)
{
    *out = attr;
    if (attr->ref_attr_name.length == 0) {
        return LATHE_OK;
    }
    if (scope->bindings == NULL) {
        return LT_FAIL(in->diag, LATHE_BAD_MODEL, where, "give the attribute a value; references to attributes exist in functions alone",
                       "attribute '%.*s' refers to '%.*s', but the node is in no function", shown(attr->name),
                       attr->name.length > 0 ? attr->name.data : "", shown(attr->ref_attr_name),
                       attr->ref_attr_name.data);
    }
    *out = NULL;
    for (size_t i = 0; i < scope->bindings->count; i++) {
        const lt_pb_attribute *bound = scope->bindings->at[i];
        if (!lt_pb_same(bound->name, attr->ref_attr_name)) {
            continue;
        }
        int64_t kind;
        LT_TRY(lt_import_attr_kind(in, bound, where, &kind));
        if (attr->type != 0 && attr->type != kind) {
            return LT_FAIL(in->diag, LATHE_BAD_MODEL, where, NULL,
                           "attribute '%.*s' has type %lld, but the function was called with type %lld",
                           shown(attr->name), attr->name.length > 0 ? attr->name.data : "", (long long)attr->type,
                           (long long)kind);
        }
        lt_pb_attribute *renamed = LT_ARENA_NEW(&in->arena, lt_pb_attribute);
        if (renamed == NULL) {
            return LT_OOM(in->diag);
        }
        *renamed = *bound;
        renamed->name = attr->name;
        *out = renamed;
    }
    return LATHE_OK;
}

static bool declares(const lt_pb_function *function, lathe_bytes name)
{
    bool found = false;
    for (size_t i = 0; i < function->attribute.count; i++) {
        found = found || lt_pb_same(function->attribute.at[i], name);
    }
    for (size_t i = 0; i < function->attribute_proto.count; i++) {
        found = found || lt_pb_same(function->attribute_proto.at[i].name, name);
    }
    return found;
}

static bool is_bound(const lt_bindings *bindings, lathe_bytes name)
{
    for (size_t i = 0; i < bindings->count; i++) {
        if (lt_pb_same(bindings->at[i]->name, name)) {
            return true;
        }
    }
    return false;
}

/* What the call gives, then the function's defaults. */
static lathe_status bind_attributes(lt_import *in, const lt_scope *scope, const lt_pb_node *node,
                                    const lt_pb_function *function, const char *where, lt_bindings *out,
                                    const char **reason)
{
    const lt_pb_attribute **at =
        LT_ARENA_ARRAY(&in->arena, const lt_pb_attribute *, node->attribute.count + function->attribute_proto.count);
    if (at == NULL) {
        return LT_OOM(in->diag);
    }
    *out = (lt_bindings){ at, 0 };
    for (size_t i = 0; i < node->attribute.count; i++) {
        const lt_pb_attribute *attr = &node->attribute.at[i], *given;
        int64_t kind;
        LT_TRY(lt_import_attr_kind(in, attr, where, &kind));
        if (!declares(function, attr->name) || is_bound(out, attr->name)) {
            return LT_FAIL(in->diag, LATHE_BAD_MODEL, where, NULL, "attribute '%.*s' is %s", shown(attr->name),
                           attr->name.data, is_bound(out, attr->name) ? "given twice" : "none of the function's");
        }
        LT_TRY(lt_import_resolve(in, scope, attr, where, &given));
        if (given != NULL) {
            at[out->count++] = given;
        }
        if (kind == LATHE_ATTR_GRAPH || kind == LATHE_ATTR_GRAPHS) {
            *reason = "a function is called with a graph as an attribute";
        }
    }
    for (size_t i = 0; i < function->attribute_proto.count; i++) {
        const lt_pb_attribute *attr = &function->attribute_proto.at[i];
        int64_t kind;
        LT_TRY(lt_import_attr_kind(in, attr, where, &kind));
        if (!is_bound(out, attr->name)) {
            at[out->count++] = attr;
        }
    }
    return LATHE_OK;
}

static lathe_status bind_inputs(lt_import *in, const lt_scope *scope, const lt_pb_node *node,
                                const lt_pb_function *function, lt_scope *inner, const char *where)
{
    if (node->input.count > function->input.count || node->output.count > function->output.count) {
        return LT_FAIL(in->diag, LATHE_BAD_MODEL, where, NULL,
                       "the call has %zu inputs and %zu outputs, the function %zu and %zu", node->input.count,
                       node->output.count, function->input.count, function->output.count);
    }
    for (size_t i = 0; i < function->input.count; i++) {
        lt_named value = { .found = true };
        if (i < node->input.count) {
            LT_TRY(lt_scope_input(in, scope, node->input.at[i], where, &value));
        }
        LT_TRY(lt_scope_bind(in, inner, function->input.at[i], value, where));
    }
    return LATHE_OK;
}

/* Names that the caller gives to the outputs: taken now, so that the values get them when they are made. */
static lathe_status name_outputs(lt_import *in, const lt_scope *scope, const lt_pb_node *node,
                                 const lt_pb_function *function, lt_scope *inner)
{
    const char **names = LT_ARENA_ARRAY(&in->arena, const char *, function->output.count);
    if (names == NULL) {
        return LT_OOM(in->diag);
    }
    for (size_t i = 0; i < node->output.count; i++) {
        if (node->output.at[i].length > 0) {
            LT_TRY(lt_import_value_name(in, scope, node->output.at[i], &names[i]));
        }
    }
    inner->outputs = &function->output;
    inner->output_names = names;
    return LATHE_OK;
}

static lathe_status bind_outputs(lt_import *in, lt_scope *scope, const lt_pb_node *node, const lt_pb_function *function,
                                 const lt_scope *inner, const char *where)
{
    for (size_t i = 0; i < node->output.count; i++) {
        lathe_bytes name = function->output.at[i];
        lt_named value = lt_scope_find(inner, name);
        if (!value.found) {
            return LT_FAIL(in->diag, LATHE_BAD_MODEL, where, NULL, "the function does not compute its output '%.*s'",
                           shown(name), name.length > 0 ? name.data : "");
        }
        if (node->output.at[i].length > 0) {
            LT_TRY(lt_scope_bind(in, scope, node->output.at[i], value, where));
        }
    }
    return LATHE_OK;
}

static lathe_status run_call(lt_import *in, lt_scope *scope, const lt_pb_node *node, const lt_pb_function *function,
                             lt_scope *inner, const char *where)
{
    LT_TRY(bind_inputs(in, scope, node, function, inner, where));
    LT_TRY(name_outputs(in, scope, node, function, inner));
    LT_TRY(lt_import_nodes(in, inner, function->node.at, function->node.count, NULL));
    return bind_outputs(in, scope, node, function, inner, where);
}

static lathe_status open_call(lt_import *in, const lt_scope *scope, const lt_pb_node *node,
                              const lt_pb_function *function, lt_scope *inner)
{
    const char *name, *label;
    LT_TRY(lt_import_str(in, function->name, in->name, &name));
    LT_TRY(lt_import_str(in, lt_import_label(node), in->name, &label));
    *inner = (lt_scope){ .region = scope->region, .function = true, .dead = scope->dead };
    inner->prefix = lt_arena_printf(&in->arena, "%.120s", label);
    const char *what = lt_arena_printf(&in->arena, "function %s", name);
    inner->path = what != NULL ? lt_import_path(in, scope, label, what) : NULL;
    inner->opsets = (lt_opsets){ function->opset_import.at, function->opset_import.count };
    if (function->opset_import.count == 0) {
        inner->opsets = scope->opsets;
    }
    return inner->path != NULL && inner->prefix != NULL ? LATHE_OK : LT_OOM(in->diag);
}

lathe_status lt_import_call(lt_import *in, lt_scope *scope, const lt_pb_node *node, const lt_pb_function *function,
                            const char *where)
{
    lt_scope inner;
    lt_bindings bindings;
    const char *reason = NULL;
    for (int i = 0; i < in->n_active; i++) {
        if (in->active[i] == function) {
            return LT_FAIL(in->diag, LATHE_BAD_MODEL, where, "ONNX has no recursion: use Loop", "the function '%.*s' calls itself",
                           shown(function->name), function->name.length > 0 ? function->name.data : "");
        }
    }
    if (in->n_active == LT_MAX_DEPTH) {
        return LT_FAIL(in->diag, LATHE_BAD_MODEL, where, "a loop or a flat function says the same",
                       "functions call each other deeper than %d", LT_MAX_DEPTH);
    }
    LT_TRY(bind_attributes(in, scope, node, function, where, &bindings, &reason));
    LT_TRY(open_call(in, scope, node, function, &inner));
    inner.bindings = &bindings;
    if (reason != NULL) {
        LT_TRY(lt_import_refuse(in, scope, node, lt_import_version(&scope->opsets, node->domain), reason, NULL));
        inner.dead = true;
    }
    in->active[in->n_active++] = function;
    lathe_status status = lt_scope_open(in, &inner);
    if (status == LATHE_OK) {
        status = run_call(in, scope, node, function, &inner, where);
    }
    lt_scope_close(&inner);
    in->n_active--;
    return status;
}
