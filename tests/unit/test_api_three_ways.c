/*
 * test_api_three_ways.c - one network from ONNX, from text IR, and node by node: the same plan bytes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <lathe/builder.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "onnx/onnx.h"

static lathe_diag *diag;

static void check(lathe_status status)
{
    if (status != LATHE_OK) {
        lathe_diag_print(diag, stderr);
    }
    assert_int_equal(status, LATHE_OK);
}

static const char text[] =
    "three_ways (f32[N,3,8,8] x) => (f32[N,4] y)\n"
    "<f32[4,3,3,3] w = rand(1), f32[4] g = splat(2), f32[4] b = iota, f32[4] m = splat(0), f32[4] v = splat(1)>\n"
    "{\n"
    "  c = Conv <pads = [1,1,1,1]> (x, w)\n"
    "  n = BatchNormalization <epsilon = 0.0> (c, g, b, m, v)\n"
    "  r = Relu (n)\n"
    "  p = GlobalAveragePool (r)\n"
    "  y = Flatten (p)\n"
    "}\n";

static lathe_network *from_text(void)
{
    lathe_network *net;
    check(lathe_network_from_text(text, strlen(text), NULL, &net, diag));
    return net;
}

static lathe_network *from_onnx(void)
{
    lathe_network *source = from_text(), *net;
    lt_buf bytes;
    lt_buf_init(&bytes, NULL);
    check(lt_onnx_export(lt_network_graph(source), false, &bytes, diag));
    check(lathe_network_from_onnx(bytes.data, bytes.length, NULL, NULL, &net, diag));
    lt_buf_free(&bytes);
    lathe_network_destroy(source);
    return net;
}

static lathe_value constant(lathe_network *net, const char *name, const float *data, int rank, const int64_t *dims)
{
    lathe_value value;
    lathe_tensor t = {
        .struct_size = sizeof t, .dtype = LATHE_DTYPE_F32, .rank = rank, .data = (void *)data, .bytes = sizeof *data
    };
    for (int i = 0; i < rank; i++) {
        t.dims[i] = dims[i];
        t.bytes *= (size_t)dims[i];
    }
    check(lathe_network_add_constant(net, name, &t, &value, diag));
    return value;
}

static lathe_value node(lathe_network *net, const char *op, const char *name, const lathe_attr *attr,
                        const lathe_value *in, size_t n_in)
{
    lathe_value value;
    check(lathe_network_add_node(net, NULL, "", op, attr, attr ? 1 : 0, in, n_in, &name, &value, 1, diag));
    return value;
}

static lathe_network *node_by_node(void)
{
    static const float g[4] = { 2, 2, 2, 2 }, b[4] = { 0, 1, 2, 3 }, m[4] = { 0 }, v[4] = { 1, 1, 1, 1 };
    static const int64_t four[1] = { 4 }, x_dims[4] = { -1, 3, 8, 8 }, w_dims[4] = { 4, 3, 3, 3 },
                         pads[4] = { 1, 1, 1, 1 };
    static const char *const symbols[4] = { "N", NULL, NULL, NULL };
    float w[108];
    lt_tensor weights = { .dtype = LATHE_DTYPE_F32, .rank = 4, .dims = { 4, 3, 3, 3 }, .data = w, .bytes = sizeof w };
    lathe_network *net;
    lathe_value in[5], x;
    check(lt_random_fill(&weights, 1, diag));
    check(lathe_network_create("three_ways", NULL, &net, diag));
    check(lathe_network_add_input(net, "x", LATHE_DTYPE_F32, 4, x_dims, symbols, &x, diag));
    in[0] = x;
    in[1] = constant(net, "w", w, 4, w_dims);
    lathe_value rest[4] = { constant(net, "g", g, 1, four), constant(net, "b", b, 1, four),
                            constant(net, "m", m, 1, four), constant(net, "v", v, 1, four) };
    lathe_attr pad = { .name = "pads", .kind = LATHE_ATTR_INTS, .ints = pads, .count = 4 };
    lathe_attr epsilon = { .name = "epsilon", .kind = LATHE_ATTR_FLOAT, .f = 0.0f };
    in[0] = node(net, "Conv", "c", &pad, in, 2);
    memcpy(in + 1, rest, sizeof rest);
    in[0] = node(net, "BatchNormalization", "n", &epsilon, in, 5);
    in[0] = node(net, "Relu", "r", NULL, in, 1);
    in[0] = node(net, "GlobalAveragePool", "p", NULL, in, 1);
    in[0] = node(net, "Flatten", "y", NULL, in, 1);
    check(lathe_network_mark_output(net, in[0], diag));
    return net;
}

static void same_plan(void **state)
{
    lathe_network *(*const ways[3])(void) = { from_text, from_onnx, node_by_node };
    lathe_plan *plans[3];
    size_t size, first_size;
    (void)state;
    diag = lathe_diag_create(NULL);
    for (size_t i = 0; i < 3; i++) {
        lathe_network *net = ways[i]();
        lathe_build_options options = { .struct_size = sizeof options, .threads = 1 };
        check(lathe_build(net, &options, &plans[i], diag));
        lathe_network_destroy(net);
    }
    const void *first = lathe_plan_data(plans[0], &first_size);
    for (size_t i = 1; i < 3; i++) {
        const void *data = lathe_plan_data(plans[i], &size);
        assert_int_equal(size, first_size);
        assert_memory_equal(data, first, size);
    }
    for (size_t i = 0; i < 3; i++) {
        lathe_plan_destroy(plans[i]);
    }
    lathe_diag_destroy(diag);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(same_plan) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
