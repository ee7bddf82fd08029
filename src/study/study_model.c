/*
 * study_model.c - models from files, sets of named tensors, and running a graph by the operators' reference. For compare and debug.
 */
#include "study/study.h"
#include <string.h>

lathe_status lt_study_open(const char *path, const lathe_allocator *allocator, lt_graph **out, lathe_diag *diag)
{
    size_t length = strlen(path);
    *out = NULL;
    if (length < 6 || strcmp(path + length - 6, ".lathe") != 0) {
        lt_import_options options = lt_import_defaults;
        return lt_onnx_import_file(path, &options, allocator, out, NULL, NULL, diag);
    }
    lt_file file;
    LT_TRY(lt_file_read(&file, path, allocator, diag));
    lathe_status status = lt_graph_parse((const char *)file.data, file.size, path, allocator, NULL, NULL, out, diag);
    status = status == LATHE_OK ? lt_graph_number_origins(*out, diag) : status;
    lt_file_close(&file);
    return status;
}

const lt_named *lt_study_find(const lt_named_set *set, const char *name)
{
    for (size_t i = 0; i < set->count; i++) {
        if (strcmp(set->items[i].name, name) == 0) {
            return &set->items[i];
        }
    }
    return NULL;
}

/* Strings deep: the elements point into the arena as well. */
static lathe_status copy_tensor(lt_arena *arena, const lt_tensor *from, const char *name, lt_tensor *to,
                                lathe_diag *diag)
{
    LT_TRY(lt_tensor_alloc(arena, to, from->dtype, from->rank, from->dims, name, diag));
    to->struct_size = sizeof *to;
    if (from->dtype != LATHE_DTYPE_STRING) {
        if (from->bytes > 0) {
            memcpy(to->data, from->data, from->bytes);
        }
        return LATHE_OK;
    }
    int64_t n = lt_tensor_count(from);
    for (int64_t i = 0; i < n; i++) {
        lt_string s;
        memcpy(&s, (const char *)from->data + (size_t)i * sizeof s, sizeof s);
        s.data = lt_arena_strn(arena, s.length > 0 ? s.data : "", s.length);
        if (!s.data) {
            return LT_OOM(diag);
        }
        memcpy((char *)to->data + (size_t)i * sizeof s, &s, sizeof s);
    }
    return LATHE_OK;
}

lathe_status lt_study_add(lt_named_set *set, lt_arena *arena, const char *name, const lt_tensor *tensor,
                          lathe_diag *diag)
{
    if (!lt_arena_grow(arena, (void **)&set->items, &set->capacity, set->count + 1, sizeof *set->items)) {
        return LT_OOM(diag);
    }
    lt_named *item = &set->items[set->count];
    item->name = lt_arena_str(arena, name);
    if (!item->name) {
        return LT_OOM(diag);
    }
    LT_TRY(copy_tensor(arena, tensor, name, &item->tensor, diag));
    set->count++;
    return LATHE_OK;
}

lathe_status lt_study_add_input(lt_named_set *set, lt_arena *arena, const lt_named *input, lathe_diag *diag)
{
    static const lt_tensor none = { .struct_size = sizeof none, .dtype = LATHE_DTYPE_U8, .rank = 1 };
    LT_TRY(lt_study_add(set, arena, input->name, input->any ? &none : &input->tensor, diag));
    set->items[set->count - 1].any = input->any;
    return LATHE_OK;
}

lathe_status lt_study_add_any(lt_named_set *set, lt_arena *arena, const char *name, const lt_any *any, lathe_diag *diag)
{
    if (any->cls == LT_TENSOR) {
        return lt_study_add(set, arena, name, &any->tensor, diag);
    }
    int64_t count = (int64_t)any->count;
    lt_tensor number = { .struct_size = sizeof number, .dtype = LATHE_DTYPE_I64, .data = &count, .bytes = sizeof count };
    lt_any sorted;
    LT_TRY(lt_study_add(set, arena, name, &number, diag));
    LT_TRY(lt_study_sorted(any, arena, &sorted, diag));
    for (size_t i = 0; i < any->count; i++) { /* values are at most LT_MAX_DEPTH deep */
        const char *inner = lt_arena_printf(arena, "%s[%zu]", name, i);
        LT_TRY(inner ? lt_study_add_any(set, arena, inner, &sorted.items[i], diag) : LT_OOM(diag));
    }
    return LATHE_OK;
}

/* ---- The reference ---- */

typedef struct bridge {
    lt_study_visit visit;
    void *user;
} bridge;

static lathe_status pass_on(void *user, const lt_graph *graph, lt_value_id value, const lt_any *data, lathe_diag *diag)
{
    const bridge *b = user;
    const lt_value *v = lt_value_get(graph, value);
    return v && data->cls == LT_TENSOR ? b->visit(b->user, v->name, &data->tensor, diag) : LATHE_OK;
}

static lathe_status bind_inputs(const lt_graph *graph, const lt_named *inputs, size_t n_inputs, lt_arena *arena,
                                const lt_any ***out, lathe_diag *diag)
{
    const lt_region *main = lt_region_get(graph, LT_MAIN);
    lt_any *values = LT_ARENA_ARRAY(arena, lt_any, (size_t)main->n_inputs + 1);
    *out = lt_arena_zero(arena, (size_t)main->n_inputs + 1, sizeof **out, _Alignof(lt_any *));
    if (!values || !*out) {
        return LT_OOM(diag);
    }
    for (uint32_t i = 0; i < main->n_inputs; i++) {
        const char *name = lt_value_get(graph, main->inputs[i])->name;
        bool found = false;
        for (size_t k = 0; k < n_inputs && !found; k++) {
            if (strcmp(inputs[k].name, name) == 0) {
                values[i] = inputs[k].any ? *inputs[k].any : (lt_any){ .cls = LT_TENSOR, .tensor = inputs[k].tensor };
                found = true;
            }
        }
        if (!found) {
            return LT_FAIL(diag, LATHE_NOT_READY, name, NULL, "input '%s' has no data", name);
        }
        (*out)[i] = &values[i];
    }
    return LATHE_OK;
}

lathe_status lt_study_reference(const lt_graph *graph, const lt_named *inputs, size_t n_inputs, uint64_t seed,
                                lt_study_visit visit, void *user, lt_arena *arena, lt_named_set *outputs,
                                lathe_diag *diag)
{
    bridge b = { visit, user };
    lt_run_options options = { .seed = seed, .visit = visit ? pass_on : NULL, .user = &b };
    const lt_region *main = lt_region_get(graph, LT_MAIN);
    const lt_any **values;
    lt_run *run = NULL;
    LT_TRY(bind_inputs(graph, inputs, n_inputs, arena, &values, diag));
    lathe_status status = lt_graph_run(graph, values, main->n_inputs, &options, &run, diag);
    for (uint32_t i = 0; status == LATHE_OK && outputs && i < main->n_outputs; i++) {
        const lt_any *result = lt_run_output(run, i);
        if (result) {
            status = lt_study_add_any(outputs, arena, lt_value_get(graph, main->outputs[i])->name, result, diag);
        }
    }
    lt_run_destroy(run);
    return status;
}

/* The type of an input as the public interface tells it; what is open stays -1. */
static lathe_status describe(const lt_value *v, lathe_io *io, lathe_diag *diag)
{
    const lt_type *type = &v->type;
    *io = (lathe_io){ .struct_size = sizeof *io, .name = v->name };
    for (int depth = 0; type && type->cls != LT_TENSOR; depth++, type = type->elem) {
        if (depth == LATHE_MAX_NESTING - 1) {
            return LT_FAIL(diag, LATHE_UNSUPPORTED, v->name, NULL, "'%s' nests values deeper than %d", v->name, depth);
        }
        io->kinds[depth] = (lathe_kind)type->cls;
        io->keys[depth] = type->cls == LT_MAP ? type->dtype : LATHE_DTYPE_UNDEFINED;
    }
    io->dtype = type ? type->dtype : LATHE_DTYPE_UNDEFINED;
    io->rank = type ? type->rank : -1;
    for (int d = 0; d < io->rank; d++) {
        io->dims[d] = lt_dim_is_const(type->dims[d]) ? type->dims[d].k : -1;
    }
    return LATHE_OK;
}

lathe_status lt_study_random_inputs(const lt_graph *graph, uint64_t seed, lt_arena *arena, lt_named_set *out,
                                    lathe_diag *diag)
{
    const lt_region *main = lt_region_get(graph, LT_MAIN);
    for (uint32_t i = 0; i < main->n_inputs; i++) {
        const lt_value *v = lt_value_get(graph, main->inputs[i]);
        lt_named input = { .name = v->name };
        const lt_any *any;
        lathe_io io;
        LT_TRY(describe(v, &io, diag));
        LT_TRY(lt_study_random_any(&io, seed + i, arena, &any, diag));
        input.tensor = any->tensor;
        input.any = any->cls == LT_TENSOR ? NULL : any;
        LT_TRY(lt_study_add_input(out, arena, &input, diag));
    }
    return LATHE_OK;
}
