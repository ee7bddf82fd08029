/*
 * hello.c - a network made node by node, built, saved, loaded, run: y = Relu(x w + b).
 *
 *     cc hello.c $(pkg-config --cflags --libs lathe) -o hello
 */
#include <lathe/builder.h>
#include <stdlib.h>

static lathe_diag *diag;

static void check(lathe_status status)
{
    if (status != LATHE_OK) {
        lathe_diag_print(diag, stderr);
        exit(1);
    }
}

static lathe_tensor f32(int rank, int64_t rows, int64_t columns, float *data)
{
    size_t bytes = (size_t)(rank == 1 ? rows : rows * columns) * sizeof *data;
    return (lathe_tensor){ .struct_size = sizeof(lathe_tensor), .dtype = LATHE_DTYPE_F32, .rank = rank, .dims = { rows, columns }, .data = data, .bytes = bytes };
}

int main(int argc, char **argv)
{
    const char *path = argc > 1 ? argv[1] : "hello.plan";
    float w_data[6] = { 1, 2, 3, 4, 5, 6 }, b_data[3] = { -10, 0, 10 }, x_data[4] = { 1, 2, -1, 1 };
    lathe_tensor w = f32(2, 2, 3, w_data), b = f32(1, 3, 0, b_data), x = f32(2, 2, 2, x_data), y = { .struct_size = sizeof y };
    const char *names[1] = { "y" }, *symbols[2] = { "n", NULL };
    int64_t dims[2] = { -1, 2 }; /* any number of rows */
    lathe_network *net;
    lathe_plan *plan;
    lathe_engine *engine;
    lathe_context *context;
    lathe_value in, weight, bias, product, sum, out;

    diag = lathe_diag_create(NULL);
    check(lathe_network_create("hello", NULL, &net, diag));
    check(lathe_network_add_input(net, "x", LATHE_DTYPE_F32, 2, dims, symbols, &in, diag));
    check(lathe_network_add_constant(net, "w", &w, &weight, diag));
    check(lathe_network_add_constant(net, "b", &b, &bias, diag));
    check(lathe_network_add_node(net, NULL, "", "MatMul", NULL, 0, (lathe_value[]){ in, weight }, 2, NULL, &product, 1, diag));
    check(lathe_network_add_node(net, NULL, "", "Add", NULL, 0, (lathe_value[]){ product, bias }, 2, NULL, &sum, 1, diag));
    check(lathe_network_add_node(net, NULL, "", "Relu", NULL, 0, &sum, 1, names, &out, 1, diag));
    check(lathe_network_mark_output(net, out, diag));
    check(lathe_build(net, NULL, &plan, diag));
    check(lathe_plan_save(plan, path, diag));

    check(lathe_engine_load(NULL, path, NULL, &engine, diag));
    check(lathe_context_create(engine, NULL, &context, diag));
    check(lathe_context_set_input(context, "x", &x, diag));
    check(lathe_context_run(context, diag));
    check(lathe_context_output(context, "y", &y, diag));
    for (int64_t i = 0; i < y.dims[0] * y.dims[1]; i++) {
        printf("%g%c", (double)((const float *)y.data)[i], i % y.dims[1] == y.dims[1] - 1 ? '\n' : ' ');
    }
    lathe_context_destroy(context), lathe_engine_destroy(engine), lathe_plan_destroy(plan), lathe_network_destroy(net), lathe_diag_destroy(diag);
    return 0;
}
