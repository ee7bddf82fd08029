/*
 * run_value.c - values at the border of a run: do the inputs suit the graph, copies of results. Part of graph.
 */
#include "graph/graph_internal.h"

static lathe_status copy_any(lt_arena *arena, const lt_any *from, lt_any *to, int depth, lathe_diag *diag)
{
    *to = *from;
    if (depth > LT_MAX_DEPTH) {
        return LT_FAIL(diag, LATHE_UNSUPPORTED, NULL, NULL, "a value is nested deeper than %d", LT_MAX_DEPTH);
    }
    if (from->cls == LT_TENSOR) {
        to->tensor.data = lt_arena_copy(arena, from->tensor.data, from->tensor.bytes, 64);
        bool copied = to->tensor.data != NULL;
        lt_string *strings = from->tensor.dtype == LATHE_DTYPE_STRING ? to->tensor.data : NULL;
        int64_t count = strings == NULL ? 0 : lt_tensor_count(&from->tensor);
        for (int64_t i = 0; copied && i < count; i++) {
            strings[i].data = lt_arena_strn(arena, strings[i].data, strings[i].length);
            copied = strings[i].data != NULL;
        }
        return copied ? LATHE_OK : LT_OOM(diag);
    }
    to->items = LT_ARENA_ARRAY(arena, lt_any, from->count);
    if (to->items == NULL) {
        return LT_OOM(diag);
    }
    for (size_t i = 0; i < from->count; i++) {
        LT_TRY(copy_any(arena, &from->items[i], &to->items[i], depth + 1, diag));
    }
    return LATHE_OK;
}

lathe_status lt_any_copy(lt_arena *arena, const lt_any *from, lt_any *to, lathe_diag *diag)
{
    return copy_any(arena, from, to, 0, diag);
}

static lathe_status bind_dim(const lt_graph *graph, lt_imap *bound, lt_dim d, int64_t extent, const char *name,
                             int axis, lathe_diag *diag)
{
    uint64_t before = (uint64_t)extent;
    int64_t lo, hi;
    lt_dim_bounds(graph->dims, d, &lo, &hi);
    if (extent < lo || extent > hi) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, name, NULL, "dimension %d is %lld; the graph allows %lld to %lld", axis,
                       (long long)extent, (long long)lo, (long long)hi);
    }
    if (!lt_dim_is_const(d) && !lt_imap_get(bound, d.e, &before)) {
        return lt_imap_put(bound, d.e, (uint64_t)extent) ? LATHE_OK : LT_OOM(diag);
    }
    if (before != (uint64_t)extent) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, name, "give equal sizes to dimensions of one name",
                       "dimension %d is %lld where another input has %lld for the same dimension", axis,
                       (long long)extent, (long long)before);
    }
    return LATHE_OK;
}

static lathe_status check_input(const lt_graph *graph, lt_imap *bound, const lt_value *value, const lt_any *data,
                                lathe_diag *diag)
{
    const lt_type *type = &value->type;
    if (data == NULL || data->cls != type->cls) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, value->name, NULL, "the input is missing or of another class");
    }
    if (type->cls != LT_TENSOR) {
        return LATHE_OK;
    }
    const lt_tensor *tensor = &data->tensor;
    lt_tensor shape = { .struct_size = sizeof(lt_tensor) };
    LT_TRY(lt_tensor_shape(&shape, tensor->dtype, tensor->rank, tensor->dims, value->name, diag));
    if (tensor->dtype != type->dtype || (type->rank >= 0 && tensor->rank != type->rank)) {
        char text[160];
        lt_tensor_describe(tensor, text, sizeof text);
        return LT_FAIL(diag, LATHE_BAD_SHAPE, value->name, NULL, "the input is %s; the graph wants %s of rank %d", text,
                       lathe_dtype_name(type->dtype), type->rank);
    }
    if (shape.bytes != tensor->bytes || (tensor->data == NULL && shape.bytes > 0)) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, value->name, NULL, "the input has %zu bytes instead of %zu",
                       tensor->bytes, shape.bytes);
    }
    for (int i = 0; i < type->rank; i++) {
        LT_TRY(bind_dim(graph, bound, type->dims[i], tensor->dims[i], value->name, i, diag));
    }
    return LATHE_OK;
}

lathe_status lt_run_check_inputs(const lt_graph *graph, const lt_any *const *inputs, size_t n_inputs, lathe_diag *diag)
{
    const lt_region *net = lt_region_get(graph, LT_MAIN);
    if (n_inputs != net->n_inputs) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, graph->name, NULL, "%zu inputs are given; the graph has %u",
                       n_inputs, net->n_inputs);
    }
    lt_imap bound;
    lt_imap_init(&bound, graph->allocator);
    lathe_status status = LATHE_OK;
    for (uint32_t i = 0; i < net->n_inputs && status == LATHE_OK; i++) {
        status = check_input(graph, &bound, lt_value_get(graph, net->inputs[i]), inputs[i], diag);
    }
    lt_imap_free(&bound);
    return status;
}
