/*
 * test_system_nets.c - every small net, built, saved, loaded and run with several shapes one after another in one
 * context: the outputs are those of the reference. The nets come from text, from ONNX and node by node with the same
 * plan bytes; two builds give the same bytes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "onnx/onnx.h"
#include "support/system.h"

/* ---- Results ---- */

static const char *const shapes[] = { "*=1", "N=3 H=7 W=2 B=2 S=5 *=4", "N=2 H=4 W=9 B=3 S=1 *=2", "*=1",
                                      "N=17 H=16 W=16 B=5 S=9 *=6" };

static void run_shapes(const char *name, size_t count)
{
    lathe_network *network = sys_network(name);
    lathe_engine *engine = sys_engine(network, NULL);
    lathe_context *context = NULL;
    SYS_MUST(lathe_context_create(engine, NULL, &context, diag));
    for (size_t i = 0; i < count; i++) {
        sys_inputs inputs;
        sys_results got, want;
        char what[128];
        snprintf(what, sizeof what, "%s with %s", name, shapes[i]);
        sys_inputs_make(&inputs, network, shapes[i], 10 * i + 1);
        sys_reference(&want, network, &inputs);
        for (int again = 0; again < 2; again++) {
            sys_run(&got, engine, context, &inputs);
            sys_same(&got, &want, sys_tolerance(name), what);
            sys_results_free(&got);
        }
        sys_results_free(&want);
        sys_inputs_free(&inputs);
    }
    lathe_context_destroy(context);
    lathe_engine_destroy(engine);
    lathe_network_destroy(network);
}

static void results(void **state)
{
    (void)state;
    for (size_t i = 0; sys_net_name(i) != NULL; i++) {
        run_shapes(sys_net_name(i), LT_COUNT(shapes));
    }
}

static void trained_models(void **state)
{
    static const char *const models[] = { "digits_resnet",
                                          "digits_resnet.int8-qdq",
                                          "digits_resnet.int8-qop",
                                          "digits_resnet.int8-dynamic",
                                          "char_gpt",
                                          "char_gpt_step",
                                          "super_resolution_x2",
                                          "super_resolution_x2.fp16",
                                          "super_resolution_x2.int8-qdq" };
    (void)state;
    for (size_t i = 0; i < LT_COUNT(models); i++) {
        run_shapes(models[i], 3);
    }
}

/* A symbol may be 0. */
static void empty_inputs(void **state)
{
    (void)state;
    static const char *const names[] = { "convolution", "perceptron", "recurrent", "shapes", "unknown" };
    for (size_t i = 0; i < LT_COUNT(names); i++) {
        lathe_network *network = sys_network(names[i]);
        lathe_engine *engine = sys_engine(network, NULL);
        sys_inputs inputs;
        sys_results got, want;
        sys_inputs_make(&inputs, network, "S=3 *=0", 1);
        sys_reference(&want, network, &inputs);
        sys_run_once(&got, engine, &inputs);
        sys_same(&got, &want, sys_tolerance(names[i]), names[i]);
        sys_results_free(&got);
        sys_results_free(&want);
        sys_inputs_free(&inputs);
        lathe_engine_destroy(engine);
        lathe_network_destroy(network);
    }
}

/* ---- Three ways ---- */

static bool has_bodies(const lt_graph *graph)
{
    for (lt_region_id i = LT_INIT + 1; i < lt_graph_regions(graph); i++) {
        if (lt_region_get(graph, i)->live) {
            return true;
        }
    }
    return false;
}

static lathe_network *through_onnx(const lathe_network *network)
{
    lathe_network *copy = NULL;
    lt_buf bytes;
    lt_buf_init(&bytes, NULL);
    SYS_MUST(lt_onnx_export(lt_network_graph(network), false, &bytes, diag));
    SYS_MUST(lathe_network_from_onnx(bytes.data, bytes.length, NULL, NULL, &copy, diag));
    lt_buf_free(&bytes);
    return copy;
}

static void add_input(lathe_network *copy, const lt_graph *graph, const lt_value *value)
{
    lathe_io io = { .struct_size = sizeof io };
    const char *symbols[LATHE_MAX_RANK] = { 0 };
    int64_t dims[LATHE_MAX_RANK];
    lathe_value unused;
    for (int i = 0; i < value->type.rank; i++) {
        lt_dim d = value->type.dims[i];
        dims[i] = lt_dim_is_const(d) ? d.k : -1;
        symbols[i] = lt_dim_is_const(d) ? NULL : lt_dim_get(lt_graph_dims(graph), d).name;
    }
    SYS_MUST(
        lathe_network_add_input(copy, value->name, value->type.dtype, value->type.rank, dims, symbols, &unused, diag));
}

static void add_node(lathe_network *copy, const lt_graph *graph, const lt_node *node)
{
    lathe_value in[16] = { 0 }, out[16];
    const char *names[16];
    assert_true(node->n_inputs <= LT_COUNT(in) && node->n_outputs <= LT_COUNT(out));
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        const lt_value *value = lt_node_in(graph, node, i);
        if (value != NULL) {
            SYS_MUST(lathe_network_find(copy, value->name, &in[i], diag));
        }
    }
    for (uint32_t i = 0; i < node->n_outputs; i++) {
        const lt_value *value = lt_node_out(graph, node, i);
        names[i] = value != NULL ? value->name : "";
    }
    SYS_MUST(lathe_network_add_node(copy, node->label, lt_op_domain(node->op), node->op->name, node->attrs,
                                    node->n_attrs, in, node->n_inputs, names, out, node->n_outputs, diag));
    if (node->device != LATHE_SPACE_HOST) {
        SYS_MUST(lathe_network_place(copy, out[0], "twin", diag));
    }
}

static lathe_network *node_by_node(const lathe_network *network)
{
    const lt_graph *graph = lt_network_graph(network);
    const lt_region *main = lt_region_get(graph, LT_MAIN), *init = lt_region_get(graph, LT_INIT);
    lathe_network *copy = NULL;
    lathe_value value;
    SYS_MUST(lathe_network_create(lt_graph_name(graph), NULL, &copy, diag));
    for (uint32_t i = 0; i < main->n_inputs; i++) {
        add_input(copy, graph, lt_value_get(graph, main->inputs[i]));
    }
    for (uint32_t i = 0; i < init->n_inputs; i++) {
        const lt_value *constant = lt_value_get(graph, init->inputs[i]);
        lathe_tensor tensor = *lt_value_tensor(constant);
        tensor.struct_size = sizeof tensor;
        SYS_MUST(lathe_network_add_constant(copy, constant->name, &tensor, &value, diag));
    }
    for (const lt_node *node = lt_region_first(graph, LT_MAIN); node != NULL; node = lt_node_next(graph, node)) {
        add_node(copy, graph, node);
    }
    for (uint32_t i = 0; i < main->n_outputs; i++) {
        SYS_MUST(lathe_network_find(copy, lt_value_get(graph, main->outputs[i])->name, &value, diag));
        SYS_MUST(lathe_network_mark_output(copy, value, diag));
    }
    return copy;
}

static lathe_plan *build_and_drop(lathe_network *network)
{
    lathe_build_options options = { .struct_size = sizeof options, .threads = 2 };
    lathe_plan *plan = sys_build(network, &options);
    lathe_network_destroy(network);
    return plan;
}

/* ONNX knows no devices: that net is compared without the road through it. */
static void same_bytes(void **state)
{
    (void)state;
    for (size_t i = 0; sys_net_name(i) != NULL; i++) {
        const char *name = sys_net_name(i);
        lathe_network *network = sys_network(name);
        bool bodies = has_bodies(lt_network_graph(network)), devices = strcmp(name, "devices") == 0;
        lathe_plan *plans[4] = { build_and_drop(sys_network(name)),
                                 devices ? NULL : build_and_drop(through_onnx(network)),
                                 bodies ? NULL : build_and_drop(node_by_node(network)), build_and_drop(network) };
        size_t first, size;
        const void *data = lathe_plan_data(plans[0], &first);
        for (size_t k = 1; k < 4; k++) {
            const void *other = plans[k] != NULL ? lathe_plan_data(plans[k], &size) : NULL;
            if (other != NULL && (size != first || memcmp(data, other, size) != 0)) {
                print_message("%s: way %zu gives another plan\n", name, k);
                fail();
            }
        }
        for (size_t k = 0; k < 4; k++) {
            lathe_plan_destroy(plans[k]);
        }
    }
}

/* Saved, it loads with every check, mapped and copied; what was copied may be overwritten. */
static void loads_verified(void **state)
{
    (void)state;
    for (size_t i = 0; sys_net_name(i) != NULL; i++) {
        lathe_network *network = sys_network(sys_net_name(i));
        lathe_plan *plan = sys_build(network, NULL);
        for (int copy = 0; copy < 2; copy++) {
            lathe_load_options options = { .struct_size = sizeof options, .verify_full = 1, .copy = copy };
            lathe_engine *engine = sys_load(NULL, plan, &options);
            lathe_engine_info info = { .struct_size = sizeof info };
            size_t size;
            lathe_plan_data(plan, &size);
            SYS_MUST(lathe_engine_get_info(engine, &info, diag));
            assert_int_equal(info.plan_bytes, size);
            assert_string_equal(info.model_name, sys_net_name(i));
            lathe_engine_destroy(engine);
        }
        lathe_plan_destroy(plan);
        lathe_network_destroy(network);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(results), cmocka_unit_test(trained_models),
                                        cmocka_unit_test(empty_inputs), cmocka_unit_test(same_bytes),
                                        cmocka_unit_test(loads_verified) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
