/*
 * study_form.c - a model in another form that must give the same numbers: its extents unknown, or its inputs known. For `lathe conformance --form`.
 */
#include "study/study.h"
#include <stdio.h>

/* Every extent of every tensor input becomes a name of its own, so that nothing but ranks is known before the run. */
static lathe_status erase_extents(lt_graph *graph, lathe_diag *diag)
{
    const lt_region *main = lt_region_get(graph, LT_MAIN);
    for (uint32_t i = 0; i < main->n_inputs; i++) {
        lt_type type = lt_value_get(graph, main->inputs[i])->type;
        for (int d = 0; type.cls == LT_TENSOR && d < type.rank; d++) {
            char name[48];
            snprintf(name, sizeof name, "erased_%u_%d", i, d);
            LT_TRY(lt_dim_symbol(lt_graph_dims(graph), name, &type.dims[d], diag));
        }
        LT_TRY(type.cls == LT_TENSOR ? lt_graph_set_type(graph, main->inputs[i], &type, diag) : LATHE_OK);
    }
    return lt_graph_infer(graph, diag);
}

/* An input as an initializer of the same name. */
static lathe_status fix_input(lt_graph *graph, lt_value_id input, const lt_tensor *tensor, lathe_diag *diag)
{
    char name[512];
    lt_blob *blob;
    lt_value_id constant;
    snprintf(name, sizeof name, "%s", lt_value_get(graph, input)->name);
    LT_TRY(lt_blob_copy(NULL, tensor, &blob, diag));
    lathe_status status = lt_graph_rename(graph, input, "lathe_fixed_input", diag);
    status = status == LATHE_OK ? lt_graph_add_initializer(graph, name, blob, &constant, diag) : status;
    status = status == LATHE_OK ? lt_graph_replace_value(graph, input, constant, diag) : status;
    status = status == LATHE_OK ? lt_graph_remove_input(graph, input, diag) : status;
    lt_blob_release(blob);
    return status;
}

/* Backwards, because inputs go away. Sequences and optionals stay inputs: there are no constants of their kind. */
static lathe_status fix_inputs(lt_graph *graph, const lt_any *const *inputs, size_t n_inputs, lathe_diag *diag)
{
    for (uint32_t i = lt_region_get(graph, LT_MAIN)->n_inputs; i-- > 0;) {
        lt_value_id id = lt_region_get(graph, LT_MAIN)->inputs[i];
        if (i < n_inputs && inputs[i] && inputs[i]->cls == LT_TENSOR && lt_value_get(graph, id)->type.cls == LT_TENSOR) {
            LT_TRY(fix_input(graph, id, &inputs[i]->tensor, diag));
        }
    }
    return lt_graph_infer(graph, diag);
}

lathe_status lt_study_form_of(const void *onnx, size_t size, const char *folder, lt_study_form form, const lt_any *const *inputs, size_t n_inputs, lt_buf *out,
                              lathe_diag *diag)
{
    const lt_text_options text = {.types = true, .labels = true, .inline_bytes = SIZE_MAX, .contents = true};
    lt_import_options options = lt_import_defaults;
    lt_graph *graph;
    LT_TRY(lt_onnx_import(onnx, size, folder, &options, NULL, &graph, NULL, NULL, diag));
    lathe_status status = form == LT_STUDY_SYMBOLIC ? erase_extents(graph, diag) : fix_inputs(graph, inputs, n_inputs, diag);
    status = status == LATHE_OK ? lt_graph_print(graph, &text, out, diag) : status;
    lt_graph_destroy(graph);
    return status;
}
