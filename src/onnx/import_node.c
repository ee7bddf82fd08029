/*
 * import_node.c - one NodeProto after the other: looks its inputs up, lifts it to the newest definition, adds it to the
 * graph.
 *
 * A node that cannot be handled is recorded and its outputs become "dead"; whatever reads a dead value is passed over
 * without a record. So one run names every node that is a problem by itself.
 */
#include "onnx/import_expand.h"

typedef struct work { /* on one node */
    const lt_pb_node *node;
    const char *where, *op, *domain, *label;
    int64_t version;
    lt_value_id *inputs;
    const char **names; /* of the outputs; "" when not wanted */
    bool *wanted;
    lathe_attr *attrs;
    size_t n_attrs;
    uint32_t origin;
    lt_body_call bodies;
    bool constant;
    bool dead;
} work;

static lathe_status refuse(lt_import *in, const lt_scope *scope, work *w, const char *reason, const char *advice)
{
    w->dead = true;
    return lt_import_refuse(in, scope, w->node, w->version, reason, advice);
}

/* Is there an operator for the node, at this opset? */
static lathe_status check_operator(lt_import *in, const lt_scope *scope, work *w)
{
    const char *reason = NULL, *advice = "the exporter forgot it: add an opset_import for the domain";
    int64_t newest = lt_import_is_onnx(w->node->domain)        ? LT_NEWEST_OPSET
                     : lt_pb_is(w->node->domain, "ai.onnx.ml") ? LT_NEWEST_ML_OPSET
                                                               : INT32_MAX;
    w->version = lt_import_version(&scope->opsets, w->node->domain);
    if (w->version <= 0) {
        reason = lt_arena_printf(&in->arena, "the model imports no opset for the domain '%s'", w->domain);
    } else if (w->version > newest) {
        reason = lt_arena_printf(&in->arena, "opset %lld is newer than %lld, the newest that this build knows",
                                 (long long)w->version, (long long)newest);
        advice = lt_arena_printf(&in->arena, "export the model with opset %lld or an older one", (long long)newest);
    } else if (w->constant) {
        return LATHE_OK;
    } else {
        LT_TRY(lt_upgrade_known(&in->arena, w->op, w->domain, w->version, &reason, in->diag));
        advice = lt_import_is_onnx(w->node->domain)
                     ? "check the operator's name and the opset; an operator of your own can be given as a function of the model"
                     : "give the operator as a function of the model, or cut it out of the graph";
        return reason != NULL ? refuse(in, scope, w, reason, advice) : LATHE_OK;
    }
    return reason != NULL ? refuse(in, scope, w, reason, advice) : LT_OOM(in->diag);
}

static lathe_status find_inputs(lt_import *in, const lt_scope *scope, work *w)
{
    w->inputs = LT_ARENA_ARRAY(&in->arena, lt_value_id, w->node->input.count);
    if (w->inputs == NULL) {
        return LT_OOM(in->diag);
    }
    for (size_t i = 0; i < w->node->input.count; i++) {
        lt_named value;
        LT_TRY(lt_scope_input(in, scope, w->node->input.at[i], w->where, &value));
        w->inputs[i] = value.value;
        w->dead = w->dead || value.dead;
    }
    return LATHE_OK;
}

static lathe_status name_outputs(lt_import *in, const lt_scope *scope, work *w)
{
    size_t n = w->node->output.count;
    w->names = LT_ARENA_ARRAY(&in->arena, const char *, n);
    w->wanted = LT_ARENA_ARRAY(&in->arena, bool, n);
    if (w->names == NULL || w->wanted == NULL) {
        return LT_OOM(in->diag);
    }
    for (size_t i = 0; i < n; i++) {
        w->names[i] = "";
        w->wanted[i] = w->node->output.at[i].length > 0;
        if (w->wanted[i]) {
            LT_TRY(lt_import_value_name(in, scope, w->node->output.at[i], &w->names[i]));
        }
    }
    return LATHE_OK;
}

static lathe_status bind_dead(lt_import *in, lt_scope *scope, const work *w)
{
    for (size_t i = 0; i < w->node->output.count; i++) {
        if (w->node->output.at[i].length > 0) {
            LT_TRY(
                lt_scope_bind(in, scope, w->node->output.at[i], (lt_named){ .found = true, .dead = true }, w->where));
        }
    }
    return LATHE_OK;
}

/* The type that rows asked for behind an output, which an older definition gave in another type. */
static lathe_status cast_output(lt_import *in, const lt_upgrade_call *call, lathe_dtype dtype, const char *name,
                                lt_value_id *value)
{
    lathe_attr to = { .name = "to", .kind = LATHE_ATTR_INT, .i = dtype };
    lt_node_spec spec = {
        .op = "Cast",
        .domain = "",
        .attrs = &to,
        .n_attrs = 1,
        .inputs = value,
        .n_inputs = 1,
        .n_outputs = 1,
        .output_names = &name,
        .origins = &call->origin,
        .n_origins = 1,
    };
    return lt_graph_add_node(in->graph, call->region, &spec, NULL, value, in->diag);
}

static lathe_status add_to_graph(lt_import *in, lt_upgrade_call *call, const work *w, lt_value_id *values)
{
    size_t n = call->n_outputs;
    const char **names = LT_ARENA_ARRAY(&in->arena, const char *, n);
    if (names == NULL) {
        return LT_OOM(in->diag);
    }
    for (size_t i = 0; i < n; i++) {
        names[i] = i < LT_COUNT(call->cast_output) && call->cast_output[i] != LATHE_DTYPE_UNDEFINED && w->wanted[i]
                       ? NULL
                       : w->names[i];
    }
    lt_node_spec spec = {
        .op = call->op,
        .domain = call->domain,
        .label = w->label,
        .attrs = call->attrs,
        .n_attrs = call->n_attrs,
        .inputs = call->inputs,
        .n_inputs = call->n_inputs,
        .n_outputs = n,
        .output_names = names,
        .origins = &call->origin,
        .n_origins = 1,
    };
    LT_TRY(lt_graph_add_node(in->graph, call->region, &spec, NULL, values, in->diag));
    for (size_t i = 0; i < n; i++) {
        if (names[i] == NULL) {
            LT_TRY(cast_output(in, call, call->cast_output[i], w->names[i], &values[i]));
        }
    }
    return LATHE_OK;
}

static lathe_status build_node(lt_import *in, const lt_scope *scope, const work *w, lt_value_id *values)
{
    lt_upgrade_call call = {
        .import = in,
        .graph = in->graph,
        .arena = &in->arena,
        .region = scope->region,
        .where = w->where,
        .opset = w->version,
        .origin = w->origin,
        .op = w->op,
        .domain = lt_import_is_onnx(w->node->domain) ? "" : w->domain,
        .attrs = w->attrs,
        .n_attrs = w->n_attrs,
        .cap_attrs = w->n_attrs,
        .inputs = w->inputs,
        .n_inputs = w->node->input.count,
        .cap_inputs = w->node->input.count,
        .n_outputs = w->node->output.count,
        .wanted = w->wanted,
    };
    LT_TRY(lt_upgrade_apply(&call, in->diag));
    while (call.n_inputs > 0 && lt_value_none(call.inputs[call.n_inputs - 1])) {
        call.n_inputs--;
    }
    return add_to_graph(in, &call, w, values);
}

/* A graph in an attribute that the operator does not have may have got lost on the way to the newest definition. */
static lathe_status check_bodies(lt_import *in, const work *w)
{
    for (size_t i = 0; i < w->bodies.n_regions; i++) {
        const lt_region *region = lt_region_get(in->graph, w->bodies.regions[i]);
        if (region == NULL || lt_node_none(region->owner)) {
            return LT_FAIL(in->diag, LATHE_BAD_MODEL, w->where, NULL,
                           "an attribute holds a graph that the operator does not take");
        }
    }
    return LATHE_OK;
}

static lathe_status bind_outputs(lt_import *in, lt_scope *scope, const work *w, const lt_value_id *values)
{
    for (size_t i = 0; i < w->node->output.count; i++) {
        if (w->wanted[i]) {
            LT_TRY(lt_scope_bind(in, scope, w->node->output.at[i], (lt_named){ .found = true, .value = values[i] },
                                 w->where));
        }
    }
    return LATHE_OK;
}

static lathe_status prepare(lt_import *in, lt_scope *scope, work *w)
{
    const lt_pb_node *node = w->node;
    const char *reason = NULL;
    LT_TRY(lt_import_str(in, node->op_type, w->where, &w->op));
    LT_TRY(lt_import_str(in, node->domain, w->where, &w->domain));
    LT_TRY(lt_import_str(in, node->name, w->where, &w->label));
    if (w->op[0] == '\0' || node->output.count == 0) {
        return LT_FAIL(in->diag, LATHE_BAD_MODEL, w->where,
                       "the file is damaged or was written by a broken exporter: remove the node or export the model anew",
                       "the node has %s",
                       w->op[0] == '\0' ? "no operator" : "no outputs");
    }
    w->dead = scope->dead;
    w->constant = lt_import_is_onnx(node->domain) && lt_pb_is(node->op_type, "Constant");
    LT_TRY(check_operator(in, scope, w));
    LT_TRY(find_inputs(in, scope, w));
    if (w->constant) {
        return LATHE_OK;
    }
    bool refused = w->dead;
    w->bodies = (lt_body_call){
        .node = node,
        .inputs = w->inputs,
        .n_inputs = node->input.count,
        .version = w->version,
        .where = w->where,
        .dead = w->dead,
    };
    lathe_status status = lt_import_attrs(in, scope, &w->bodies, &w->attrs, &w->n_attrs, &reason);
    if (status == LATHE_UNSUPPORTED) { /* an element type of a tensor, say */
        w->dead = true;
        return lt_import_refused(in, scope, node, w->version, status);
    }
    LT_TRY(status);
    w->dead = w->dead || w->bodies.dead;
    return reason != NULL && !refused ? refuse(in, scope, w, reason, NULL) : LATHE_OK;
}

static lathe_status add_origin(lt_import *in, const lt_scope *scope, work *w)
{
    lt_origin origin = { .label = w->label, .op = w->op, .domain = w->domain, .path = scope->path };
    return lt_graph_add_origin(in->graph, &origin, &w->origin, in->diag);
}

static lathe_status import_operator(lt_import *in, lt_scope *scope, work *w)
{
    LT_TRY(prepare(in, scope, w));
    if (w->dead) {
        return bind_dead(in, scope, w);
    }
    LT_TRY(name_outputs(in, scope, w));
    LT_TRY(add_origin(in, scope, w));
    lt_value_id *values = LT_ARENA_ARRAY(&in->arena, lt_value_id, w->node->output.count);
    if (values == NULL) {
        return LT_OOM(in->diag);
    }
    lathe_status status = w->constant ? lt_import_constant(in, scope, w->node, w->names[0], w->origin, w->where, values)
                                      : build_node(in, scope, w, values);
    if (status == LATHE_UNSUPPORTED) {
        LT_TRY(lt_import_refused(in, scope, w->node, w->version, status));
        return bind_dead(in, scope, w);
    }
    LT_TRY(status);
    LT_TRY(check_bodies(in, w));
    return bind_outputs(in, scope, w, values);
}

static lathe_status import_node(lt_import *in, lt_scope *scope, const lt_pb_node *node)
{
    const lt_pb_function *function;
    work w = { .node = node, .where = lt_import_where(in, scope, node) };
    bool expanded = false;
    LT_TRY(lt_import_function(in, node, &function));
    if (function == NULL) {
        LT_TRY(lt_import_expand(in, scope, node, w.where, &expanded));
    }
    if (expanded) {
        return LATHE_OK;
    }
    return function != NULL ? lt_import_call(in, scope, node, function, w.where) : import_operator(in, scope, &w);
}

lathe_status lt_import_nodes(lt_import *in, lt_scope *scope, const lt_pb_node *nodes, size_t count, const bool *needed)
{
    const size_t *order;
    scope->nodes = nodes;
    scope->n_nodes = count;
    LT_TRY(lt_import_order(in, nodes, count, &order));
    for (size_t i = 0; i < count; i++) {
        size_t index = order != NULL ? order[i] : i;
        if (needed == NULL || needed[index]) {
            LT_TRY(import_node(in, scope, &nodes[index]));
        }
    }
    return LATHE_OK;
}
