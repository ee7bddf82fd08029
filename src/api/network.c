/*
 * network.c - lathe_network: a graph behind the public API, from ONNX, from text, or node by node. Glue only.
 */
#include "api/api_internal.h"
#include "onnx/onnx.h"
#include <string.h>

static lathe_value to_public(lt_value_id id)
{
    return (uint64_t)id.generation << 32 | id.index;
}

static lt_value_id to_internal(lathe_value value)
{
    return (lt_value_id){(uint32_t)value, (uint32_t)(value >> 32)};
}

const lt_graph *lt_network_graph(const lathe_network *network)
{
    return network->graph;
}

lathe_status lt_network_wrap(lt_graph *graph, const lathe_allocator *allocator, lathe_network **out, lathe_diag *diag)
{
    lathe_network *n = LT_NEW(allocator, lathe_network);
    if (!n) {
        lt_graph_destroy(graph);
        return LT_OOM(diag);
    }
    n->allocator = allocator;
    n->graph = graph;
    *out = n;
    return LATHE_OK;
}

void lathe_network_destroy(lathe_network *network)
{
    if (network) {
        lt_graph_destroy(network->graph);
        LT_DELETE(network->allocator, network);
    }
}

/* ---- From files and text ---- */

lathe_status lathe_network_from_onnx_file(const char *path, const lathe_allocator *allocator, lathe_network **out, lathe_diag *diag)
{
    lt_graph *graph;
    *out = NULL;
    uint32_t mode = lt_float_mode_enter();
    lathe_status status = lt_onnx_import_file(path, &lt_import_defaults, allocator, &graph, NULL, NULL, diag);
    lt_float_mode_leave(mode);
    LT_TRY(status);
    return lt_network_wrap(graph, allocator, out, diag);
}

lathe_status lathe_network_from_onnx(const void *data, size_t size, const char *folder, const lathe_allocator *allocator, lathe_network **out, lathe_diag *diag)
{
    lt_graph *graph;
    *out = NULL;
    uint32_t mode = lt_float_mode_enter();
    lathe_status status = lt_onnx_import(data, size, folder, &lt_import_defaults, allocator, &graph, NULL, NULL, diag);
    lt_float_mode_leave(mode);
    LT_TRY(status);
    return lt_network_wrap(graph, allocator, out, diag);
}

lathe_status lathe_network_from_text(const char *text, size_t length, const lathe_allocator *allocator, lathe_network **out, lathe_diag *diag)
{
    lt_graph *graph;
    *out = NULL;
    uint32_t mode = lt_float_mode_enter();
    lathe_status status = lt_graph_parse(text, length, "text", allocator, NULL, NULL, &graph, diag);
    lt_float_mode_leave(mode);
    LT_TRY(status);
    status = lt_graph_number_origins(graph, diag);
    if (status != LATHE_OK) {
        lt_graph_destroy(graph);
        return status;
    }
    return lt_network_wrap(graph, allocator, out, diag);
}

/* ---- Node by node ---- */

lathe_status lathe_network_create(const char *name, const lathe_allocator *allocator, lathe_network **out, lathe_diag *diag)
{
    lt_graph *graph;
    *out = NULL;
    LT_TRY(lt_graph_create(allocator, &graph, diag));
    lathe_status status = lt_graph_set_name(graph, name ? name : "", diag);
    if (status != LATHE_OK) {
        lt_graph_destroy(graph);
        return status;
    }
    return lt_network_wrap(graph, allocator, out, diag);
}

lathe_status lathe_network_add_input(lathe_network *network, const char *name, lathe_dtype dtype, int rank, const int64_t *dims, const char *const *symbols,
                                     lathe_value *out, lathe_diag *diag)
{
    if (rank < 0 || rank > LATHE_MAX_RANK || (rank > 0 && !dims)) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, name, "0 to 16 dimensions", "input has rank %d", rank);
    }
    lt_type type = {.cls = LT_TENSOR, .dtype = dtype, .rank = rank};
    for (int i = 0; i < rank; i++) {
        if (dims[i] >= 0) {
            type.dims[i] = lt_dim_const(dims[i]);
        } else if (symbols && symbols[i]) {
            LT_TRY(lt_dim_symbol(lt_graph_dims(network->graph), symbols[i], &type.dims[i], diag));
        } else {
            return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, name, "name it in symbols", "dimension %d is negative and has no name", i);
        }
    }
    lt_value_id id;
    LT_TRY(lt_graph_add_input(network->graph, LT_MAIN, name, &type, &id, diag));
    *out = to_public(id);
    return LATHE_OK;
}

lathe_status lathe_network_add_constant(lathe_network *network, const char *name, const lathe_tensor *tensor, lathe_value *out, lathe_diag *diag)
{
    lt_tensor checked;
    lt_value_id id;
    LT_TRY(lt_tensor_shape(&checked, tensor->dtype, tensor->rank, tensor->dims, name ? name : "constant", diag));
    if (tensor->struct_size != sizeof *tensor || checked.bytes != tensor->bytes || (checked.bytes > 0 && !tensor->data)) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, name, "bytes must be what dtype and dims make", "constant needs %zu bytes, the tensor has %zu",
                       checked.bytes, tensor->bytes);
    }
    if (!name) {
        LT_TRY(lt_graph_add_constant(network->graph, NULL, tensor, &id, diag));
    } else {
        lt_blob *blob;
        LT_TRY(lt_blob_copy(network->allocator, tensor, &blob, diag));
        lathe_status status = lt_graph_add_initializer(network->graph, name, blob, &id, diag);
        lt_blob_release(blob);
        LT_TRY(status);
    }
    *out = to_public(id);
    return LATHE_OK;
}

lathe_status lathe_network_add_node(lathe_network *network, const char *label, const char *domain, const char *op, const lathe_attr *attrs, size_t n_attrs,
                                    const lathe_value *inputs, size_t n_inputs, const char *const *output_names, lathe_value *outputs, size_t n_outputs,
                                    lathe_diag *diag)
{
    lt_arena scratch;
    lt_arena_init(&scratch, network->allocator);
    lt_value_id *in = LT_ARENA_ARRAY(&scratch, lt_value_id, n_inputs + 1), *out = LT_ARENA_ARRAY(&scratch, lt_value_id, n_outputs + 1);
    lathe_status status = in && out ? LATHE_OK : LT_OOM(diag);
    lt_node_id node;
    if (status == LATHE_OK) {
        for (size_t i = 0; i < n_inputs; i++) {
            in[i] = to_internal(inputs[i]);
        }
        lt_node_spec spec = {.op = op, .domain = domain ? domain : "", .label = label, .attrs = attrs, .n_attrs = n_attrs, .inputs = in, .n_inputs = n_inputs,
                             .n_outputs = n_outputs, .output_names = output_names};
        status = lt_graph_add_node(network->graph, LT_MAIN, &spec, &node, out, diag);
    }
    for (size_t i = 0; status == LATHE_OK && i < n_outputs; i++) {
        outputs[i] = to_public(out[i]);
    }
    lt_arena_destroy(&scratch);
    return status == LATHE_OK ? lt_graph_number_node(network->graph, node, diag) : status;
}

lathe_status lathe_network_mark_output(lathe_network *network, lathe_value value, lathe_diag *diag)
{
    return lt_graph_add_output(network->graph, LT_MAIN, to_internal(value), diag);
}

lathe_status lathe_network_find(const lathe_network *network, const char *name, lathe_value *out, lathe_diag *diag)
{
    lt_value_id id = lt_graph_find(network->graph, name);
    if (lt_value_none(id)) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, lt_graph_name(network->graph), NULL, "the network has no value '%s'", name);
    }
    *out = to_public(id);
    return LATHE_OK;
}

lathe_status lathe_network_place(lathe_network *network, lathe_value value, const char *device, lathe_diag *diag)
{
    lathe_space space;
    lt_value *v = lt_value_get(network->graph, to_internal(value));
    if (!lt_space_from_name(device, &space) || !lt_backend_of(space)) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, NULL, "cpu or twin", "there is no device '%s'", device ? device : "(null)");
    }
    if (!v || v->kind != LT_VALUE_RESULT) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, v ? v->name : NULL, NULL, "no node makes this value");
    }
    lt_graph_set_device(network->graph, v->def, space);
    return LATHE_OK;
}

/* ---- Looking ---- */

lathe_status lathe_network_text(const lathe_network *network, char **text, size_t *length, lathe_diag *diag)
{
    lt_buf out;
    lt_buf_init(&out, network->allocator);
    lathe_status status = lt_graph_print(network->graph, &lt_text_canonical, &out, diag);
    if (status == LATHE_OK) {
        *text = lt_alloc(network->allocator, out.length + 1, 1);
        *length = out.length;
        status = *text ? LATHE_OK : LT_OOM(diag);
        if (*text) {
            memcpy(*text, lt_buf_str(&out), out.length + 1);
        }
    }
    lt_buf_free(&out);
    return status;
}

void lathe_text_free(const lathe_network *network, char *text)
{
    if (text) {
        lt_release(network->allocator, text, strlen(text) + 1, 1);
    }
}

size_t lathe_network_inputs(const lathe_network *network)
{
    return lt_region_get(network->graph, LT_MAIN)->n_inputs;
}

size_t lathe_network_outputs(const lathe_network *network)
{
    return lt_region_get(network->graph, LT_MAIN)->n_outputs;
}

lathe_status lathe_network_io(const lathe_network *network, size_t index, lathe_io *io, lathe_diag *diag)
{
    lt_graph *g = network->graph;
    const lt_region *main = lt_region_get(g, LT_MAIN);
    if (!io || io->struct_size != sizeof *io || index >= (size_t)main->n_inputs + main->n_outputs) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, NULL, "set struct_size to sizeof(lathe_io)", "there is no input or output %zu", index);
    }
    bool output = index >= main->n_inputs;
    const lt_value *v = lt_value_get(g, output ? main->outputs[index - main->n_inputs] : main->inputs[index]);
    *io = (lathe_io){.struct_size = sizeof *io, .name = v->name, .is_output = output, .is_host = v->host_input, .is_tensor = v->type.cls == LT_TENSOR,
                     .dtype = v->type.dtype, .rank = v->type.rank};
    const lt_type *type = &v->type;
    for (int depth = 0; type->cls != LT_TENSOR; depth++) {
        if (depth == LATHE_MAX_NESTING - 1) {
            return LT_FAIL(diag, LATHE_UNSUPPORTED, v->name, NULL, "'%s' nests values deeper than %d", v->name, LATHE_MAX_NESTING - 1);
        }
        io->kinds[depth] = (lathe_kind)type->cls;
        io->keys[depth] = type->cls == LT_MAP ? type->dtype : LATHE_DTYPE_UNDEFINED;
        type = type->elem;
        io->dtype = type->dtype;
        io->rank = type->rank;
    }
    for (int i = 0; i < type->rank; i++) {
        io->dims[i] = lt_dim_is_const(type->dims[i]) ? type->dims[i].k : -1;
        if (io->dims[i] < 0) { /* the text lives as long as the network */
            lt_buf text;
            lt_buf_init(&text, network->allocator);
            lt_dim_print(lt_graph_dims(g), type->dims[i], &text);
            io->symbols[i] = lt_arena_str(lt_graph_arena(g), lt_buf_str(&text));
            lt_buf_free(&text);
            if (!io->symbols[i]) {
                return LT_OOM(diag);
            }
        }
    }
    return LATHE_OK;
}
