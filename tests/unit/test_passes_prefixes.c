/*
 * test_passes_prefixes.c - any prefix of the pipeline leaves a graph that runs and gives the same numbers; so does a build that leaves any one pass out.
 *
 * ctest: TIMEOUT 900 COST 21
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "passes/passes.h"
#include "support/system.h"

static const char *const trained[] = {
    "digits_resnet", "digits_resnet.int8-qop", "digits_resnet.int8-dynamic", "super_resolution_x2.int8-qdq",
    "char_gpt",      "char_gpt_step"
};

static const char *name_at(size_t i)
{
    size_t nets = 0;
    while (sys_net_name(nets)) {
        nets++;
    }
    return i < nets ? sys_net_name(i) : i - nets < LT_COUNT(trained) ? trained[i - nets] : NULL;
}

/* Outputs of a graph by the reference, as results. */
static void run_graph(sys_results *out, const lt_graph *graph, const sys_inputs *inputs)
{
    const lt_region *main = lt_region_get(graph, LT_MAIN);
    lt_run *run = NULL;
    SYS_MUST(lt_graph_run(graph, inputs->list, inputs->count, NULL, &run, diag));
    lt_arena_init(&out->arena, NULL);
    out->count = main->n_outputs;
    out->tensors = LT_ARENA_ARRAY(&out->arena, lathe_tensor, out->count + 1u);
    out->names = LT_ARENA_ARRAY(&out->arena, const char *, out->count + 1u);
    assert_true(out->tensors && out->names);
    for (uint32_t i = 0; i < out->count; i++) {
        const lt_tensor *t = &lt_run_output(run, i)->tensor;
        out->names[i] = lt_arena_str(&out->arena, lt_value_get(graph, main->outputs[i])->name);
        assert_int_equal(lt_tensor_alloc(&out->arena, &out->tensors[i], t->dtype, t->rank, t->dims, "output", NULL),
                         LATHE_OK);
        if (out->tensors[i].bytes) {
            memcpy(out->tensors[i].data, t->data, t->bytes);
        }
    }
    lt_run_destroy(run);
}

static void check_prefixes(const char *name)
{
    const lt_pipeline_options options = { .verify = true };
    lathe_network *network = sys_network(name);
    lt_graph *graph = NULL;
    sys_inputs inputs;
    sys_results want, got;
    sys_inputs_make(&inputs, network, "N=2 H=6 W=5 B=2 S=4 *=3", 7);
    sys_reference(&want, network, &inputs);
    SYS_MUST(lt_graph_clone(lt_network_graph(network), NULL, &graph, diag));
    for (size_t i = 0; lt_pipeline[i]; i++) {
        const lt_pass *pass = lt_pass_find(lt_pipeline[i]);
        bool changed = false;
        if (!pass) {
            assert_string_equal(lt_pipeline[i], LT_BORDER);
            continue;
        }
        SYS_MUST(lt_pass_run(pass, graph, &options, &changed, diag));
        if (changed) {
            char what[160];
            snprintf(what, sizeof what, "%s up to %s (pass %zu)", name, pass->name, i + 1);
            run_graph(&got, graph, &inputs);
            sys_same(&got, &want, sys_tolerance(name), what);
            sys_results_free(&got);
        }
    }
    lt_graph_destroy(graph);
    sys_results_free(&want);
    sys_inputs_free(&inputs);
    lathe_network_destroy(network);
}

static void prefixes(void **state)
{
    (void)state;
    for (size_t i = 0; name_at(i); i++) {
        check_prefixes(name_at(i));
    }
}

static void without_one(const char *name, const char *pass)
{
    char select[96], what[160];
    lathe_network *network = sys_network(name);
    lathe_build_options options = { .struct_size = sizeof options, .passes = select };
    sys_inputs inputs;
    sys_results want, got;
    snprintf(select, sizeof select, "-%s", pass);
    snprintf(what, sizeof what, "%s without %s", name, pass);
    lathe_engine *engine = sys_engine(network, &options);
    sys_inputs_make(&inputs, network, "N=2 H=6 W=5 B=2 S=4 *=3", 7);
    sys_reference(&want, network, &inputs);
    sys_run_once(&got, engine, &inputs);
    sys_same(&got, &want, sys_tolerance(name), what);
    sys_results_free(&got);
    sys_results_free(&want);
    sys_inputs_free(&inputs);
    lathe_engine_destroy(engine);
    lathe_network_destroy(network);
}

static void ablations(void **state)
{
    static const char *const names[] = { "convolution", "quantized",     "shapes",
                                         "recurrent",   "char_gpt_step", "digits_resnet" };
    (void)state;
    for (size_t n = 0; n < LT_COUNT(names); n++) {
        for (size_t p = 0; lt_pass_table[p]; p++) {
            without_one(names[n], lt_pass_table[p]->name);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(prefixes), cmocka_unit_test(ablations) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
