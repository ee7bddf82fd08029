/*
 * study_check.c - the built-in checks of `lathe debug reduce`: the build fails in the same way; the plan's outputs are not those of the reference.
 */
#include "study/study.h"

/* The graph as ONNX through the public road, as a user's model would go. LATHE_CANCELLED: it cannot even be written. */
static lathe_status build(const lt_graph *graph, const lathe_build_options *options, lathe_plan **plan,
                          lathe_diag *diag)
{
    lt_buf bytes;
    lathe_network *network = NULL;
    *plan = NULL;
    lt_buf_init(&bytes, NULL);
    if (lt_onnx_export(graph, false, &bytes, NULL) != LATHE_OK) {
        lt_buf_free(&bytes);
        return LATHE_CANCELLED;
    }
    lathe_status status = lathe_network_from_onnx(bytes.data, bytes.length, NULL, NULL, &network, diag);
    lt_buf_free(&bytes);
    status = status == LATHE_OK ? lathe_build(network, options, plan, diag) : status;
    lathe_network_destroy(network);
    return status;
}

lathe_status lt_check_build(void *user, lt_graph *graph, const lt_named_set *values, bool *fails, lathe_diag *diag)
{
    lt_build_check *c = user;
    lathe_plan *plan;
    (void)values;
    lathe_status status = build(graph, c->options, &plan, diag);
    lathe_plan_destroy(plan);
    lathe_diag_clear(diag);
    if (c->status == LATHE_OK && status != LATHE_CANCELLED) {
        c->status = status;
    }
    *fails = status != LATHE_OK && status == c->status;
    return LATHE_OK;
}

/* ---- Comparing ---- */

typedef struct sides {
    lt_arena arena;
    lt_named *inputs;
    size_t n_inputs;
    lt_named_set expected;
    lathe_engine *engine;
    lathe_context *context;
} sides;

static lathe_status find_inputs(const lt_graph *graph, const lt_named_set *values, sides *s, lathe_diag *diag)
{
    const lt_region *main = lt_region_get(graph, LT_MAIN);
    s->inputs = LT_ARENA_ARRAY(&s->arena, lt_named, (size_t)main->n_inputs + 1);
    if (!s->inputs) {
        return LT_OOM(diag);
    }
    for (uint32_t i = 0; i < main->n_inputs; i++) {
        const char *name = lt_value_get(graph, main->inputs[i])->name;
        const lt_named *value = lt_study_find(values, name);
        if (!value) {
            return LT_FAIL(diag, LATHE_NOT_READY, name, NULL, "no value was seen for '%s'", name);
        }
        s->inputs[s->n_inputs++] = *value;
    }
    return LATHE_OK;
}

static lathe_status run_plan(const lt_compare_check *c, const lathe_plan *plan, sides *s, lathe_diag *diag)
{
    lathe_load_options load = { .struct_size = sizeof load };
    size_t size;
    const void *data = lathe_plan_data(plan, &size);
    LT_TRY(lathe_engine_load_memory(c->runtime, data, size, &load, &s->engine, diag));
    LT_TRY(lathe_context_create(s->engine, NULL, &s->context, diag));
    for (size_t i = 0; i < s->n_inputs; i++) {
        const lt_named *input = &s->inputs[i];
        lathe_tensor tensor = input->tensor;
        tensor.struct_size = sizeof tensor;
        LT_TRY(input->any ? lathe_context_set_input_any(s->context, input->name, input->any, diag)
                          : lathe_context_set_input(s->context, input->name, &tensor, diag));
    }
    return lathe_context_run(s->context, diag);
}

static lathe_status differ(const lt_compare_check *c, sides *s, bool *fails, lathe_diag *diag)
{
    lt_named_set outputs = { 0 };
    for (size_t i = 0; i < lathe_engine_outputs(s->engine); i++) {
        lathe_io io = { .struct_size = sizeof io };
        const lathe_any *any;
        LT_TRY(lathe_engine_io(s->engine, lathe_engine_inputs(s->engine) + i, &io, diag));
        LT_TRY(lathe_context_output_any(s->context, io.name, &any, diag));
        LT_TRY(lt_study_add_any(&outputs, &s->arena, io.name, any, diag));
    }
    for (size_t i = 0; i < s->expected.count; i++) {
        const lt_named *got = lt_study_find(&outputs, s->expected.items[i].name);
        lt_difference d = { 0 };
        if (got) {
            lt_study_measure(&got->tensor, &s->expected.items[i].tensor, &d);
        }
        *fails |= !lt_study_within(&d, c->rtol, c->atol);
    }
    return LATHE_OK;
}

lathe_status lt_check_compare(void *user, lt_graph *graph, const lt_named_set *values, bool *fails, lathe_diag *diag)
{
    const lt_compare_check *c = user;
    sides s = { 0 };
    lathe_plan *plan = NULL;
    lt_arena_init(&s.arena, NULL);
    lathe_status status = find_inputs(graph, values, &s, diag);
    status = status == LATHE_OK
                 ? lt_study_reference(graph, s.inputs, s.n_inputs, 0, NULL, NULL, &s.arena, &s.expected, diag)
                 : status;
    status = status == LATHE_OK ? build(graph, c->options, &plan, diag) : status;
    status = status == LATHE_OK ? run_plan(c, plan, &s, diag) : status;
    status = status == LATHE_OK ? differ(c, &s, fails, diag) : status;
    lathe_context_destroy(s.context);
    lathe_engine_destroy(s.engine);
    lathe_plan_destroy(plan);
    lt_arena_destroy(&s.arena);
    lathe_diag_clear(diag); /* a candidate that cannot be compared does not show the failure */
    return status == LATHE_OUT_OF_MEMORY ? status : LATHE_OK;
}
