/*
 * test_system_refit.c - new weights for a loaded plan: the outputs are those, to the bit, of a plan built anew from the
 * model with these weights, also where passes computed with them (BatchNormalization folded into convolutions,
 * quantized weights) and where tactics packed them. What cannot be done is refused by name, and changes nothing.
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

/* ---- Models with other weights ---- */

/* The bytes of field `number` in a message; NULL at the end. at: where to go on. */
static const unsigned char *find_field(lt_wire *at, uint32_t number, size_t *size)
{
    lt_wire_field field;
    bool more = true;
    while (lt_wire_next(at, &field, &more, NULL) == LATHE_OK && more) {
        if (field.number == number && field.type == 2) {
            *size = field.size;
            return field.data;
        }
    }
    return NULL;
}

static const unsigned char *only_field(const unsigned char *data, size_t length, uint32_t number, size_t *size)
{
    lt_wire at = { data, data + length };
    return find_field(&at, number, size);
}

/* raw_data of an initializer in a model's bytes. */
static unsigned char *initializer_data(const unsigned char *model, size_t length, const char *name, size_t *size)
{
    size_t graph_size = 0, tensor_size, name_size;
    const unsigned char *graph = only_field(model, length, 7, &graph_size), *tensor;
    lt_wire at = { graph, graph + graph_size };
    while ((tensor = find_field(&at, 5, &tensor_size)) != NULL) {
        const unsigned char *found = only_field(tensor, tensor_size, 8, &name_size);
        if (found != NULL && name_size == strlen(name) && memcmp(found, name, name_size) == 0) {
            return (unsigned char *)only_field(tensor, tensor_size, 9, size);
        }
    }
    return NULL;
}

/* Nodes of the one network that are on the test device are there in the other; ONNX does not tell. */
static void same_places(const lathe_network *from, lathe_network *to)
{
    const lt_graph *graph = lt_network_graph(from);
    for (const lt_node *node = lt_region_first(graph, LT_MAIN); node != NULL; node = lt_node_next(graph, node)) {
        lathe_value value;
        if (node->device == LATHE_SPACE_TWIN) {
            SYS_MUST(lathe_network_find(to, lt_node_out(graph, node, 0)->name, &value, diag));
            SYS_MUST(lathe_network_place(to, value, "twin", diag));
        }
    }
}

/* The network, exported, some initializers overwritten, imported. */
static lathe_network *with_weights(const lathe_network *network, const char *const *names, const lathe_tensor *tensors,
                                   size_t count)
{
    lathe_network *copy = NULL;
    lt_buf bytes;
    lt_buf_init(&bytes, NULL);
    SYS_MUST(lt_onnx_export(lt_network_graph(network), false, &bytes, diag));
    for (size_t i = 0; i < count; i++) {
        size_t size = 0;
        unsigned char *data = initializer_data((unsigned char *)bytes.data, bytes.length, names[i], &size);
        assert_non_null(data);
        assert_int_equal(size, tensors[i].bytes);
        memcpy(data, tensors[i].data, size);
    }
    SYS_MUST(lathe_network_from_onnx(bytes.data, bytes.length, NULL, NULL, &copy, diag));
    lt_buf_free(&bytes);
    same_places(network, copy);
    return copy;
}

/* ---- Equal to a fresh build ---- */

/* New values near the old ones: what they must be (positive, say) stays true. */
static lathe_tensor changed(lt_arena *arena, const lathe_network *network, const char *name, double factor)
{
    const lt_graph *graph = lt_network_graph(network);
    const lt_tensor *old = lt_value_tensor(lt_value_get(graph, lt_graph_find(graph, name)));
    assert_non_null(old);
    lathe_tensor tensor = *old;
    tensor.struct_size = sizeof tensor;
    tensor.data = lt_arena_copy(arena, old->data, old->bytes, 64);
    for (int64_t i = 0; i < lt_tensor_count(old); i++) {
        double x = lt_load_f64(old->dtype, old->data, i);
        if (lt_dtype_is_float(old->dtype)) {
            lt_store_f64(old->dtype, tensor.data, i, x * (factor + 0.01 * (double)(i % 7)));
        } else {
            lt_store_i64(old->dtype, tensor.data, i, -lt_load_i64(old->dtype, old->data, i) / 2);
        }
    }
    return tensor;
}

static lathe_engine *refit_engine(const lathe_network *network)
{
    lathe_build_options options = { .struct_size = sizeof options, .refit = 1 };
    return sys_engine(network, &options);
}

static void check_refit(const lathe_network *network, const lathe_engine *engine, const char *const *names,
                        size_t count, const char *what)
{
    lt_arena arena;
    lathe_tensor tensors[128];
    lathe_engine *refitted = NULL;
    sys_inputs inputs;
    sys_results before, after, again, fresh;
    assert_true(count <= LT_COUNT(tensors));
    lt_arena_init(&arena, NULL);
    for (size_t i = 0; i < count; i++) {
        tensors[i] = changed(&arena, network, names[i], 0.9);
    }
    sys_inputs_make(&inputs, network, "*=3", 11);
    sys_run_once(&before, engine, &inputs);
    SYS_MUST(lathe_engine_refit(engine, names, tensors, count, &refitted, diag));
    lathe_network *other = with_weights(network, names, tensors, count);
    lathe_engine *anew = sys_engine(other, NULL);
    lt_arena_destroy(&arena); /* the engine has its own copies */
    sys_run_once(&after, refitted, &inputs);
    sys_run_once(&again, engine, &inputs);
    sys_run_once(&fresh, anew, &inputs);
    sys_same(&after, &fresh, 0, what);
    sys_same(&again, &before, 0, "the old engine");
    assert_false(lt_tensor_equal(&after.tensors[0], &before.tensors[0]));
    sys_results_free(&before);
    sys_results_free(&after);
    sys_results_free(&again);
    sys_results_free(&fresh);
    sys_inputs_free(&inputs);
    lathe_engine_destroy(anew);
    lathe_engine_destroy(refitted);
    lathe_network_destroy(other);
}

/* A convolution whose BatchNormalization is folded; that BatchNormalization; everything at once. */
static void convolution(void **state)
{
    static const char *const weight[] = { "body.0.c1.weight" }, *const norm[] = { "body.0.b1.weight", "body.0.b1.bias",
                                                                                  "body.0.b1.running_var" };
    const char *all[128];
    size_t count = 0;
    (void)state;
    lathe_network *network = sys_network("digits_resnet");
    lathe_engine *engine = refit_engine(network);
    check_refit(network, engine, weight, LT_COUNT(weight), "one convolution's weights");
    check_refit(network, engine, norm, LT_COUNT(norm), "one BatchNormalization");
    for (size_t i = 0; lathe_engine_refit_name(engine, i) != NULL; i++) {
        const char *name = lathe_engine_refit_name(engine, i);
        if (strncmp(name, "const.", 6) != 0) { /* of the model, not of a pass */
            all[count++] = name;
        }
    }
    assert_true(count > 40);
    check_refit(network, engine, all, count, "all weights");
    lathe_engine_destroy(engine);
    lathe_network_destroy(network);
}

static void small_nets(void **state)
{
    static const struct {
        const char *net, *name;
    } rows[] = { { "convolution", "w" }, { "convolution", "v" }, { "perceptron", "w1" }, { "perceptron", "b2" },
                 { "quantized", "w" },   { "recurrent", "r" },   { "devices", "w" },     { "picture", "w" },
                 { "narrow", "w1" },     { "narrow", "s1" },     { "narrow", "z1" },      { "narrow", "w2" },
                 { "narrow", "s3" } };
    (void)state;
    for (size_t i = 0; i < LT_COUNT(rows); i++) {
        lathe_network *network = sys_network(rows[i].net);
        lathe_engine *engine = refit_engine(network);
        check_refit(network, engine, &rows[i].name, 1, rows[i].net);
        lathe_engine_destroy(engine);
        lathe_network_destroy(network);
    }
}

/* Refitted twice, and back to the old weights: the old outputs. The first engines may go. */
static void chains(void **state)
{
    static const char *const names[] = { "w" };
    (void)state;
    lathe_network *network = sys_network("convolution");
    lathe_engine *first = refit_engine(network), *second = NULL, *third = NULL;
    lt_arena arena;
    sys_inputs inputs;
    sys_results before, after;
    lt_arena_init(&arena, NULL);
    lathe_tensor one = changed(&arena, network, "w", 2.0);
    lathe_tensor old =
        *lt_value_tensor(lt_value_get(lt_network_graph(network), lt_graph_find(lt_network_graph(network), "w")));
    old.struct_size = sizeof old;
    sys_inputs_make(&inputs, network, "*=2", 3);
    sys_run_once(&before, first, &inputs);
    SYS_MUST(lathe_engine_refit(first, names, &one, 1, &second, diag));
    lathe_engine_destroy(first);
    SYS_MUST(lathe_engine_refit(second, names, &old, 1, &third, diag));
    lathe_engine_destroy(second);
    sys_run_once(&after, third, &inputs);
    sys_same(&after, &before, 0, "there and back");
    sys_results_free(&before);
    sys_results_free(&after);
    sys_inputs_free(&inputs);
    lt_arena_destroy(&arena);
    lathe_engine_destroy(third);
    lathe_network_destroy(network);
}

/* ---- Refusals ---- */

static void refuse(const lathe_engine *engine, const char *name, const lathe_tensor *tensor, lathe_status want,
                   const char *mention)
{
    lathe_engine *out = (lathe_engine *)engine;
    SYS_REFUSED(want, mention, lathe_engine_refit(engine, &name, tensor, 1, &out, diag));
    assert_null(out);
}

static void refusals(void **state)
{
    (void)state;
    lathe_network *network = sys_network("convolution");
    lathe_engine *engine = refit_engine(network), *plain = sys_engine(network, NULL);
    lt_arena arena;
    lt_arena_init(&arena, NULL);
    lathe_tensor good = changed(&arena, network, "w", 1.5), bad;
    refuse(engine, "nobody", &good, LATHE_UNSUPPORTED, "nobody");
    refuse(engine, "x", &good, LATHE_UNSUPPORTED, "'x'");
    refuse(plain, "w", &good, LATHE_UNSUPPORTED, "not kept for refit");
    bad = good;
    bad.dims[0] = 4;
    refuse(engine, "w", &bad, LATHE_INVALID_ARGUMENT, "'w'");
    bad = good;
    bad.dtype = LATHE_DTYPE_I32;
    refuse(engine, "w", &bad, LATHE_INVALID_ARGUMENT, "'w'");
    bad = good;
    bad.bytes -= 4;
    refuse(engine, "w", &bad, LATHE_INVALID_ARGUMENT, "'w'");
    bad = good;
    bad.struct_size = 0;
    refuse(engine, "w", &bad, LATHE_INVALID_ARGUMENT, NULL);
    lt_arena_destroy(&arena);
    lathe_engine_destroy(engine);
    lathe_engine_destroy(plain);
    lathe_network_destroy(network);
}

/* A multiplication by ones was dropped: other numbers are refused by the name of the pass, ones are welcome. */
static void assumptions(void **state)
{
    static const char text[] = "net (f32[N,4] x) => (y)\n<f32[4] one = splat(1), f32[4,4] w = rand(2)>\n"
                               "{\n  a = Mul (x, one)\n  b = MatMul (a, w)\n  y = Add (b, one)\n}\n";
    const char *name = "one";
    float ones[4] = { 1, 1, 1, 1 }, twos[4] = { 2, 2, 2, 2 };
    (void)state;
    lathe_network *network = NULL;
    SYS_MUST(lathe_network_from_text(text, strlen(text), NULL, &network, diag));
    lathe_engine *engine = refit_engine(network), *refitted = NULL;
    lathe_tensor tensor = { .struct_size = sizeof tensor,
                            .dtype = LATHE_DTYPE_F32,
                            .rank = 1,
                            .dims = { 4 },
                            .data = twos,
                            .bytes = sizeof twos };
    SYS_REFUSED(LATHE_UNSUPPORTED, "drop-identity", lathe_engine_refit(engine, &name, &tensor, 1, &refitted, diag));
    tensor.data = ones;
    SYS_MUST(lathe_engine_refit(engine, &name, &tensor, 1, &refitted, diag));
    lathe_engine_destroy(refitted);
    lathe_engine_destroy(engine);
    lathe_network_destroy(network);
}

/* Only what was asked for is kept. */
static void named(void **state)
{
    static const char *const names[] = { "w" };
    (void)state;
    lathe_network *network = sys_network("convolution");
    lathe_build_options options = { .struct_size = sizeof options, .refit_names = names, .n_refit_names = 1 };
    lathe_engine *engine = sys_engine(network, &options);
    lathe_engine_info info = { .struct_size = sizeof info };
    SYS_MUST(lathe_engine_get_info(engine, &info, diag));
    assert_int_equal(info.refittable, 1);
    check_refit(network, engine, names, 1, "refit by name");
    lathe_engine_destroy(engine);
    static const char *const wrong[] = { "nobody" };
    lathe_plan *plan = NULL;
    options.refit_names = wrong;
    SYS_REFUSED(LATHE_INVALID_ARGUMENT, "nobody", lathe_build(network, &options, &plan, diag));
    lathe_network_destroy(network);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(convolution), cmocka_unit_test(small_nets),
                                        cmocka_unit_test(chains),      cmocka_unit_test(refusals),
                                        cmocka_unit_test(assumptions), cmocka_unit_test(named) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
