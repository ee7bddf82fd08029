/*
 * import_graph.c - GraphProtos: the model's own, with its inputs, initializers and outputs, and subgraphs as regions.
 */
#include <string.h>

#include "onnx/import_expand.h"

static const lathe_bytes nothing = { "", 0 };

static lathe_bytes literal(const char *text)
{
    return (lathe_bytes){ text, strlen(text) };
}

static const char *place(lt_import *in, const lt_scope *scope, const char *what, lathe_bytes name)
{
    const char *text =
        lt_arena_printf(&in->arena, "%s: %s%s%s '%.*s'", in->name, scope->path, scope->path[0] != '\0' ? ": " : "",
                        what, (int)(name.length < 200 ? name.length : 200), name.length > 0 ? name.data : "");
    return text != NULL ? text : in->name;
}

/* After an unsupported input or initializer: recorded under its name, and dead. */
static lathe_status bind_refused(lt_import *in, lt_scope *scope, lathe_bytes name, const char *what, const char *where,
                                 lathe_status status)
{
    lt_pb_node stand_in = { .name = name, .op_type = literal(what), .domain = nothing };
    LT_TRY(lt_import_refused(in, scope, &stand_in, lt_import_version(&scope->opsets, nothing), status));
    return lt_scope_bind(in, scope, name, (lt_named){ .found = true, .dead = true }, where);
}

/* ---- Initializers ---- */

/* status: of reading the blob, which belongs to this function. kind: of what has the name. */
static lathe_status add_initializer(lt_import *in, lt_scope *scope, lathe_bytes label, const char *kind, const char *where,
                                    lathe_status status, lt_blob *blob)
{
    const char *name;
    lt_value_id value;
    if (status == LATHE_UNSUPPORTED) {
        return bind_refused(in, scope, label, kind, where, status);
    }
    LT_TRY(status);
    status = lt_import_value_name(in, scope, label, &name);
    if (status == LATHE_OK) {
        status = lt_graph_add_initializer(in->graph, name, blob, &value, in->diag);
    }
    lt_blob_release(blob);
    LT_TRY(status);
    return lt_scope_bind(in, scope, label, (lt_named){ .found = true, .value = value }, where);
}

static lathe_status no_name(lt_import *in, const char *kind, const char *where)
{
    return LT_FAIL(in->diag, LATHE_BAD_MODEL, where, LT_EXPORT_ANEW, "%s has no name", kind);
}

static lathe_status import_initializers(lt_import *in, lt_scope *scope, const lt_pb_graph *graph)
{
    lt_blob *blob;
    for (size_t i = 0; i < graph->initializer.count; i++) {
        const lt_pb_tensor *tensor = &graph->initializer.at[i];
        const char *where = place(in, scope, "initializer", tensor->name);
        if (tensor->name.length == 0) {
            return no_name(in, "an initializer", where);
        }
        lathe_status status = lt_tensor_blob(&in->reader, tensor, where, &blob, in->diag);
        LT_TRY(add_initializer(in, scope, tensor->name, "initializer", where, status, blob));
    }
    for (size_t i = 0; i < graph->sparse_initializer.count; i++) {
        const lt_pb_sparse *sparse = &graph->sparse_initializer.at[i];
        lathe_bytes name = sparse->values != NULL ? sparse->values->name : nothing;
        const char *where = place(in, scope, "sparse initializer", name);
        if (name.length == 0) {
            return no_name(in, "a sparse initializer", where);
        }
        lathe_status status = lt_sparse_blob(&in->reader, sparse, where, &blob, in->diag);
        LT_TRY(add_initializer(in, scope, name, "sparse initializer", where, status, blob));
    }
    return LATHE_OK;
}

/* ---- Inputs ---- */

/* An initializer that is also listed as an input must agree with its declared type. */
static lathe_status check_initialized_input(lt_import *in, const lt_pb_value_info *info, lt_named bound,
                                            const char *where)
{
    const lt_value *value = bound.dead ? NULL : lt_value_get(in->graph, bound.value);
    const lt_pb_tensor_type *type = info->type != NULL ? info->type->tensor_type : NULL;
    if (value == NULL || type == NULL) {
        return LATHE_OK;
    }
    bool same = type->elem_type == LATHE_DTYPE_UNDEFINED || type->elem_type == (int64_t)value->type.dtype;
    if (type->shape != NULL) {
        same = same && type->shape->dim.count == (size_t)value->type.rank;
        for (size_t i = 0; same && i < type->shape->dim.count; i++) {
            const lt_pb_dim *dim = &type->shape->dim.at[i];
            same = !lt_pb_has(&dim->pb, LT_PB_DIM_VALUE) || dim->dim_value < 0 ||
                   lt_dim_is(value->type.dims[i], dim->dim_value);
        }
    }
    return same ? LATHE_OK
                : LT_FAIL(in->diag, LATHE_BAD_MODEL, where, NULL,
                          "the input is declared with another type or shape than its initializer has");
}

/* Tensors of no element type, or containers of such. */
static bool says_nothing(const lt_type *type)
{
    while (type->cls != LT_TENSOR && type->elem != NULL) {
        type = type->elem;
    }
    return type->cls == LT_TENSOR && type->dtype == LATHE_DTYPE_UNDEFINED;
}

static lathe_status import_input(lt_import *in, lt_scope *scope, const lt_pb_value_info *info)
{
    const char *where = place(in, scope, "input", info->name), *name;
    lt_type type;
    lt_value_id value;
    if (info->name.length == 0) {
        return LT_FAIL(in->diag, LATHE_BAD_MODEL, where, NULL, "an input has no name");
    }
    LT_TRY(lt_import_value_name(in, scope, info->name, &name));
    lathe_status status = lt_type_read(info->type, lt_graph_dims(in->graph), LT_DIM_USE_SYMBOL,
                                       lt_graph_arena(in->graph), name, where, &type, in->diag);
    if (status == LATHE_UNSUPPORTED) {
        return bind_refused(in, scope, info->name, "input", where, status);
    }
    LT_TRY(status);
    if (type.cls != LT_TENSOR && says_nothing(&type)) {
        return LT_FAIL(in->diag, LATHE_BAD_MODEL, where, NULL, "'%s' is a container without an element type", name);
    }
    LT_TRY(lt_graph_add_input(in->graph, scope->region, name, &type, &value, in->diag));
    return lt_scope_bind(in, scope, info->name, (lt_named){ .found = true, .value = value }, where);
}

/* Initializers come first, so that an input with one is no input but a constant. */
static lathe_status import_inputs(lt_import *in, lt_scope *scope, const lt_pb_graph *graph, const lt_map *needed)
{
    lt_map seen;
    lathe_status status = LATHE_OK;
    lt_map_init(&seen, in->allocator);
    for (size_t i = 0; i < graph->input.count && status == LATHE_OK; i++) {
        const lt_pb_value_info *info = &graph->input.at[i];
        const char *where = place(in, scope, "input", info->name);
        lt_named bound = lt_scope_find(scope, info->name);
        if (lt_map_get_bytes(&seen, info->name.data, info->name.length, NULL)) {
            status = LT_FAIL(in->diag, LATHE_BAD_MODEL, where, NULL, "there are two inputs of this name");
        } else if (!lt_map_put_bytes(&seen, info->name.data, info->name.length, 1)) {
            status = LT_OOM(in->diag);
        } else if (bound.found) {
            status = check_initialized_input(in, info, bound, where);
        } else if (needed == NULL || lt_map_get_bytes(needed, info->name.data, info->name.length, NULL)) {
            status = import_input(in, scope, info);
        }
    }
    lt_map_free(&seen);
    return status;
}

/* ---- Outputs of the model ---- */

static lathe_status check_output_type(lt_import *in, const lt_value *value, const lt_pb_value_info *info,
                                      const char *where)
{
    lathe_dtype dtype = LATHE_DTYPE_UNDEFINED;
    lt_value_class cls = value->type.cls;
    if (info != NULL && info->type != NULL) {
        const lt_pb_type *type = info->type;
        dtype = type->tensor_type != NULL && type->tensor_type->elem_type < LATHE_DTYPE_COUNT
                    ? (lathe_dtype)type->tensor_type->elem_type
                    : dtype;
        cls = type->tensor_type != NULL     ? LT_TENSOR
              : type->sequence_type != NULL ? LT_SEQUENCE
              : type->optional_type != NULL ? LT_OPTIONAL
              : type->map_type != NULL      ? LT_MAP
                                            : cls;
    }
    bool known = value->type.cls != LT_TENSOR || value->type.dtype != LATHE_DTYPE_UNDEFINED;
    if (known && (cls != value->type.cls ||
                  (cls == LT_TENSOR && dtype != LATHE_DTYPE_UNDEFINED && dtype != value->type.dtype))) {
        return LT_FAIL(in->diag, LATHE_BAD_MODEL, where, "correct the declared type, or insert a Cast before the output",
                       "the output is declared as %s but its node gives %s",
                       cls == LT_TENSOR && dtype > 0 ? lathe_dtype_name(dtype) : "another class of value",
                       value->type.cls == LT_TENSOR ? lathe_dtype_name(value->type.dtype) : "a container");
    }
    return LATHE_OK;
}

/*
 * An output that is an alias of another value (a function handed its input through) gets a node of its own to carry the
 * name.
 */
static lathe_status add_alias(lt_import *in, const char *name, lt_value_id *value)
{
    lt_node_spec spec = {
        .op = "Identity", .domain = "", .inputs = value, .n_inputs = 1, .n_outputs = 1, .output_names = &name
    };
    return lt_graph_add_node(in->graph, LT_MAIN, &spec, NULL, value, in->diag);
}

/* The graph may have given the name to something that the import made on the way. */
static lathe_status claim_name(lt_import *in, lt_value_id id, const char *name)
{
    const lt_value *value = lt_value_get(in->graph, id);
    lt_value_id holder = lt_graph_find(in->graph, name);
    if (value == NULL || strcmp(value->name, name) == 0) {
        return LATHE_OK;
    }
    if (!lt_value_none(holder)) {
        const char *other;
        do {
            other = lt_arena_printf(&in->arena, "%s.%llu", name, (unsigned long long)++in->suffix);
            if (other == NULL) {
                return LT_OOM(in->diag);
            }
        } while (lt_map_get(&in->taken, other, NULL) || !lt_value_none(lt_graph_find(in->graph, other)));
        LT_TRY(lt_graph_rename(in->graph, holder, other, in->diag));
    }
    return lt_graph_rename(in->graph, id, name, in->diag);
}

static lathe_status import_output(lt_import *in, const lt_scope *scope, lathe_bytes span, const lt_pb_value_info *info,
                                  bool alias)
{
    const char *where = place(in, scope, "output", span), *name;
    LT_TRY(lt_import_str(in, span, where, &name));
    lt_named bound = lt_scope_find(scope, span);
    if (!bound.found || name[0] == '\0') {
        return LT_FAIL(in->diag, info != NULL ? LATHE_BAD_MODEL : LATHE_INVALID_ARGUMENT, where, "name an output that some node gives",
                       "no input, initializer or node gives this output");
    }
    if (bound.dead) {
        return LATHE_OK;
    }
    const lt_value *value = lt_value_get(in->graph, bound.value);
    if (value == NULL) {
        return LT_FAIL(in->diag, LATHE_BAD_MODEL, where, NULL, "the output is an optional value that is absent");
    }
    LT_TRY(check_output_type(in, value, info, where));
    if (alias) {
        LT_TRY(add_alias(in, name, &bound.value));
    }
    LT_TRY(claim_name(in, bound.value, name));
    return lt_graph_add_output(in->graph, LT_MAIN, bound.value, in->diag);
}

/* Two names for one value come from functions that hand a value through. */
static bool is_alias(const lt_import *in, const lt_scope *scope, lathe_bytes name)
{
    lt_named bound = lt_scope_find(scope, name);
    const lt_value *value = bound.found && !bound.dead ? lt_value_get(in->graph, bound.value) : NULL;
    if (value == NULL || lt_pb_is(name, value->name)) {
        return false;
    }
    lt_named owner = lt_scope_find(scope, literal(value->name)); /* does the value's name mean the value here? */
    const lt_region *main = lt_region_get(in->graph, LT_MAIN);
    for (uint32_t i = 0; i < main->n_outputs; i++) {
        if (lt_value_same(main->outputs[i], bound.value)) {
            return true;
        }
    }
    return value->kind == LT_VALUE_INPUT || (owner.found && !owner.dead && lt_value_same(owner.value, bound.value));
}

static lathe_status import_outputs(lt_import *in, const lt_scope *scope, const lt_pb_graph *graph)
{
    const lt_import_options *options = in->options;
    bool chosen = options->n_outputs > 0;
    size_t count = chosen ? options->n_outputs : graph->output.count;
    if (count == 0) {
        return LT_FAIL(in->diag, LATHE_BAD_MODEL, in->name, "declare what the model computes as graph outputs", "the graph has no outputs");
    }
    for (size_t i = 0; i < count; i++) {
        lathe_bytes name = chosen ? literal(options->outputs[i]) : graph->output.at[i].name;
        for (size_t k = 0; k < i; k++) {
            if (lt_pb_same(name, chosen ? literal(options->outputs[k]) : graph->output.at[k].name)) {
                return LT_FAIL(in->diag, LATHE_BAD_MODEL, place(in, scope, "output", name), "rename one, with an Identity between if both are the same value",
                               "there are two outputs of this name");
            }
        }
        LT_TRY(import_output(in, scope, name, chosen ? NULL : &graph->output.at[i], is_alias(in, scope, name)));
    }
    return LATHE_OK;
}

/* ---- The model's graph ---- */

static lathe_status take_name(lt_import *in, lathe_bytes name)
{
    return name.length == 0 || lt_map_put_bytes(&in->taken, name.data, name.length, 1) ? LATHE_OK : LT_OOM(in->diag);
}

static lathe_status take_names(lt_import *in, const lt_pb_graph *graph)
{
    for (size_t i = 0; i < graph->input.count; i++) {
        LT_TRY(take_name(in, graph->input.at[i].name));
    }
    for (size_t i = 0; i < graph->initializer.count; i++) {
        LT_TRY(take_name(in, graph->initializer.at[i].name));
    }
    for (size_t i = 0; i < graph->node.count; i++) {
        for (size_t k = 0; k < graph->node.at[i].output.count; k++) {
            LT_TRY(take_name(in, graph->node.at[i].output.at[k]));
        }
    }
    return LATHE_OK;
}

static lathe_status fill_main(lt_import *in, lt_scope *scope, const lt_pb_graph *graph, lt_map *names)
{
    bool *nodes = NULL;
    LT_TRY(take_names(in, graph));
    if (in->options->n_outputs > 0) {
        nodes = LT_ARENA_ARRAY(&in->arena, bool, graph->node.count);
        if (nodes == NULL) {
            return LT_OOM(in->diag);
        }
        const size_t *order;
        LT_TRY(lt_import_order(in, graph->node.at, graph->node.count, &order));
        LT_TRY(lt_import_needed(in, graph, order, names, nodes));
    }
    LT_TRY(import_initializers(in, scope, graph));
    LT_TRY(import_inputs(in, scope, graph, nodes != NULL ? names : NULL));
    LT_TRY(lt_import_nodes(in, scope, graph->node.at, graph->node.count, nodes));
    return import_outputs(in, scope, graph);
}

lathe_status lt_import_main(lt_import *in)
{
    lt_scope scope = { .region = LT_MAIN,
                       .path = "",
                       .opsets = { in->model->opset_import.at, in->model->opset_import.count } };
    const char *name;
    lt_map names;
    LT_TRY(lt_import_str(in, in->model->graph->name, in->name, &name));
    LT_TRY(lt_graph_set_name(in->graph, name, in->diag));
    LT_TRY(lt_edit_begin(in->graph, "import", "", in->diag)); /* one record of all Constant nodes */
    lt_map_init(&names, in->allocator);
    lathe_status status = lt_scope_open(in, &scope);
    if (status == LATHE_OK) {
        status = fill_main(in, &scope, in->model->graph, &names);
    }
    lt_edit_end(in->graph);
    lt_scope_close(&scope);
    lt_map_free(&names);
    return status;
}

/* ---- Subgraphs ---- */

/* Declared types first; where they are silent, what the owner's inputs say. */
static lathe_status body_input_type(lt_import *in, const lt_body_call *call, const lt_pb_graph *body, size_t i,
                                    const char *name, const char *where, lt_type *out)
{
    lt_type hint;
    LT_TRY(lt_type_read(body->input.at[i].type, lt_graph_dims(in->graph), LT_DIM_USE_FRESH, lt_graph_arena(in->graph),
                        name, where, out, in->diag));
    LT_TRY(lt_import_body_input(in, call, i, body->input.count, &hint));
    if (says_nothing(out)) {
        *out = hint;
    } else if (out->cls == LT_TENSOR && out->rank < 0 && hint.cls == LT_TENSOR && hint.dtype == out->dtype) {
        *out = hint;
    }
    return LATHE_OK;
}

static lathe_status body_input(lt_import *in, lt_scope *scope, const lt_pb_graph *body, size_t i,
                               const lt_body_call *call)
{
    lathe_bytes span = body->input.at[i].name;
    const char *where = place(in, scope, "input", span), *name;
    lt_named bound = { .found = true, .dead = true };
    if (span.length == 0) {
        return LT_FAIL(in->diag, LATHE_BAD_MODEL, where, NULL, "an input has no name");
    }
    if (!scope->dead) {
        lt_type type;
        LT_TRY(lt_import_value_name(in, scope, span, &name));
        LT_TRY(body_input_type(in, call, body, i, name, where, &type));
        LT_TRY(lt_graph_add_input(in->graph, scope->region, name, &type, &bound.value, in->diag));
        bound.dead = false;
    }
    return lt_scope_bind(in, scope, span, bound, where);
}

static lathe_status body_outputs(lt_import *in, lt_scope *scope, const lt_pb_graph *body)
{
    for (size_t i = 0; i < body->output.count; i++) {
        lathe_bytes span = body->output.at[i].name;
        const char *where = place(in, scope, "output", span);
        lt_named bound;
        LT_TRY(lt_scope_input(in, scope, span, where, &bound));
        if (bound.dead || scope->dead) {
            scope->dead = true;
        } else if (lt_value_none(bound.value)) {
            return LT_FAIL(in->diag, LATHE_BAD_MODEL, where, NULL, "an output of a subgraph is absent");
        } else {
            LT_TRY(lt_graph_add_output(in->graph, scope->region, bound.value, in->diag));
        }
    }
    return LATHE_OK;
}

static lathe_status fill_body(lt_import *in, lt_scope *scope, const lt_pb_graph *body, const lt_body_call *call)
{
    LT_TRY(import_initializers(in, scope, body));
    for (size_t i = 0; i < body->input.count; i++) {
        LT_TRY(body_input(in, scope, body, i, call));
    }
    LT_TRY(lt_import_nodes(in, scope, body->node.at, body->node.count, NULL));
    return body_outputs(in, scope, body);
}

static lathe_status make_region(lt_import *in, lt_body_call *call, lt_region_id *out)
{
    void *regions = call->regions;
    if (!lt_arena_grow(&in->arena, &regions, &call->cap_regions, call->n_regions + 1, sizeof(lt_region_id))) {
        return LT_OOM(in->diag);
    }
    call->regions = regions;
    LT_TRY(lt_graph_add_region(in->graph, out, in->diag));
    call->regions[call->n_regions++] = *out;
    return LATHE_OK;
}

lathe_status lt_import_body(lt_import *in, lt_scope *outer, const lt_pb_graph *body, lt_body_call *call,
                            const char *attr, lt_region_id *out)
{
    lt_scope scope = { .outer = outer,
                       .bindings = outer->bindings,
                       .opsets = outer->opsets,
                       .function = outer->function,
                       .dead = call->dead };
    const char *label;
    LT_TRY(lt_import_str(in, lt_import_label(call->node), call->where, &label));
    scope.path = lt_import_path(in, outer, label, attr);
    scope.prefix = scope.function ? outer->prefix : lt_arena_printf(&in->arena, "%.120s/%.120s", label, attr);
    if (scope.path == NULL || scope.prefix == NULL) {
        return LT_OOM(in->diag);
    }
    *out = LT_NO_REGION;
    if (!scope.dead) {
        LT_TRY(make_region(in, call, out));
    }
    scope.region = *out;
    lathe_status status = lt_scope_open(in, &scope);
    if (status == LATHE_OK) {
        status = fill_body(in, &scope, body, call);
    }
    call->dead = call->dead || scope.dead;
    lt_scope_close(&scope);
    return status;
}

/* ---- Subgraphs in place ---- */

static lathe_status fill_inline(lt_import *in, lt_scope *scope, const lt_pb_graph *body, const lt_value_id *inputs,
                                lt_value_id *outputs, size_t n_outputs)
{
    LT_TRY(import_initializers(in, scope, body));
    for (size_t i = 0; i < body->input.count; i++) {
        lathe_bytes name = body->input.at[i].name;
        LT_TRY(lt_scope_bind(in, scope, name, (lt_named){ .found = true, .value = inputs[i] },
                             place(in, scope, "input", name)));
    }
    LT_TRY(lt_import_nodes(in, scope, body->node.at, body->node.count, NULL));
    for (size_t i = 0; i < n_outputs; i++) {
        lt_named bound;
        LT_TRY(lt_scope_input(in, scope, body->output.at[i].name, place(in, scope, "output", body->output.at[i].name),
                              &bound));
        scope->dead = scope->dead || bound.dead;
        outputs[i] = bound.value;
    }
    return LATHE_OK;
}

lathe_status lt_import_inline(lt_import *in, lt_scope *outer, const lt_pb_graph *body, const lt_pb_node *owner,
                              const char *attr, const lt_value_id *inputs, size_t n_inputs, lt_value_id *outputs,
                              size_t n_outputs, bool *dead)
{
    lt_scope scope = { .outer = outer,
                       .bindings = outer->bindings,
                       .opsets = outer->opsets,
                       .function = outer->function,
                       .region = outer->region };
    const char *label;
    LT_TRY(lt_import_str(in, lt_import_label(owner), in->name, &label));
    scope.path = lt_import_path(in, outer, label, attr);
    scope.prefix = scope.function ? outer->prefix : lt_arena_printf(&in->arena, "%.120s/%.120s", label, attr);
    if (scope.path == NULL || scope.prefix == NULL) {
        return LT_OOM(in->diag);
    }
    if (body->input.count != n_inputs || body->output.count != n_outputs) {
        return LT_FAIL(in->diag, LATHE_BAD_MODEL, scope.path, NULL,
                       "the subgraph has %zu inputs and %zu outputs; %zu and %zu are needed", body->input.count,
                       body->output.count, n_inputs, n_outputs);
    }
    lathe_status status = lt_scope_open(in, &scope);
    if (status == LATHE_OK) {
        status = fill_inline(in, &scope, body, inputs, outputs, n_outputs);
    }
    *dead = scope.dead;
    lt_scope_close(&scope);
    return status;
}
