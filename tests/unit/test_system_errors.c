/*
 * test_system_errors.c - what callers do wrong, at the public border: each mistake has a status of its own and a record
 * that names it, and leaves what was there usable. Cancelled builds leave nothing. Steady runs allocate nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/counting_allocator.h"
#include "support/system.h"

typedef struct fixture {
    lathe_network *network;
    lathe_engine *engine;
    lathe_context *context;
    sys_inputs inputs;
} fixture;

static void open_fixture(fixture *f, const char *name, const char *sizes)
{
    f->network = sys_network(name);
    f->engine = sys_engine(f->network, NULL);
    f->context = NULL;
    SYS_MUST(lathe_context_create(f->engine, NULL, &f->context, diag));
    sys_inputs_make(&f->inputs, f->network, sizes, 1);
}

static void close_fixture(fixture *f)
{
    sys_inputs_free(&f->inputs);
    lathe_context_destroy(f->context);
    lathe_engine_destroy(f->engine);
    lathe_network_destroy(f->network);
}

static lathe_tensor *input(fixture *f, uint32_t index)
{
    return &f->inputs.values[index].tensor;
}

/* ---- Inputs ---- */

static void missing_inputs(void **state)
{
    (void)state;
    fixture f;
    lathe_tensor y = { .struct_size = sizeof y };
    open_fixture(&f, "detection", "");
    SYS_REFUSED(LATHE_NOT_READY, "'boxes'", lathe_context_ready(f.context, diag));
    SYS_REFUSED(LATHE_NOT_READY, "'scores'", lathe_context_ready(f.context, diag));
    SYS_REFUSED(LATHE_NOT_READY, "'boxes'", lathe_context_run(f.context, diag));
    SYS_MUST(lathe_context_set_input(f.context, "boxes", input(&f, 0), diag));
    lathe_diag *records = lathe_diag_create(NULL);
    assert_int_equal(lathe_context_ready(f.context, records), LATHE_NOT_READY);
    assert_int_equal(lathe_diag_total(records), 1); /* one for each missing input */
    lathe_diag_destroy(records);
    SYS_REFUSED(LATHE_NOT_READY, "'best'", lathe_context_output(f.context, "best", &y, diag));
    SYS_MUST(lathe_context_set_input(f.context, "scores", input(&f, 1), diag));
    SYS_MUST(lathe_context_ready(f.context, diag));
    SYS_REFUSED(LATHE_NOT_READY, "lathe_context_run", lathe_context_output(f.context, "best", &y, diag));
    SYS_MUST(lathe_context_run(f.context, diag));
    SYS_MUST(lathe_context_output(f.context, "best", &y, diag));
    assert_int_equal(y.dims[2], 2);
    close_fixture(&f);
}

static void wrong_tensors(void **state)
{
    (void)state;
    fixture f;
    open_fixture(&f, "convolution", "N=2");
    sys_results before, after;
    sys_run(&before, f.engine, f.context, &f.inputs);
    lathe_tensor good = *input(&f, 0), bad = good;
    bad.dtype = LATHE_DTYPE_I32;
    SYS_REFUSED(LATHE_INVALID_ARGUMENT, "'x' is f32", lathe_context_set_input(f.context, "x", &bad, diag));
    bad = good;
    bad.dtype = (lathe_dtype)99;
    SYS_REFUSED(LATHE_INVALID_ARGUMENT, "'x'", lathe_context_set_input(f.context, "x", &bad, diag));
    bad = good;
    bad.rank = 3;
    SYS_REFUSED(LATHE_BAD_SHAPE, "rank 4", lathe_context_set_input(f.context, "x", &bad, diag));
    bad.rank = 99;
    SYS_REFUSED(LATHE_BAD_SHAPE, NULL, lathe_context_set_input(f.context, "x", &bad, diag));
    bad = good;
    bad.dims[3] = 9;
    SYS_REFUSED(LATHE_BAD_SHAPE, "extent 8 on axis 3", lathe_context_set_input(f.context, "x", &bad, diag));
    bad = good;
    bad.dims[0] = 3;
    SYS_REFUSED(LATHE_INVALID_ARGUMENT, "bytes", lathe_context_set_input(f.context, "x", &bad, diag));
    bad.dims[0] = -1;
    assert_int_not_equal(lathe_context_set_input(f.context, "x", &bad, NULL), LATHE_OK);
    bad.dims[0] = INT64_MAX / 2;
    assert_int_not_equal(lathe_context_set_input(f.context, "x", &bad, NULL), LATHE_OK);
    bad = good;
    bad.data = NULL;
    SYS_REFUSED(LATHE_INVALID_ARGUMENT, "bytes", lathe_context_set_input(f.context, "x", &bad, diag));
    bad = good;
    bad.struct_size = 8;
    SYS_REFUSED(LATHE_INVALID_ARGUMENT, "struct_size", lathe_context_set_input(f.context, "x", &bad, diag));
    SYS_REFUSED(LATHE_INVALID_ARGUMENT, "it has x", lathe_context_set_input(f.context, "X", &good, diag));
    SYS_REFUSED(LATHE_INVALID_ARGUMENT, NULL, lathe_context_set_input(f.context, NULL, &good, diag));
    SYS_MUST(lathe_context_run(f.context, diag)); /* the good binding is still there */
    sys_outputs(&after, f.engine, f.context);
    sys_same(&after, &before, 0, "after refused bindings");
    sys_results_free(&before);
    sys_results_free(&after);
    close_fixture(&f);
}

/* Dimensions of one name must agree; the runs that follow are fine. */
static void unequal_dimensions(void **state)
{
    static const char text[] = "net (f32[N,4] a, f32[N,4] b) => (y)\n{\n  y = Add (a, b)\n}\n";
    (void)state;
    float data[16] = { 0 };
    lathe_tensor two = { .struct_size = sizeof two,
                         .dtype = LATHE_DTYPE_F32,
                         .rank = 2,
                         .dims = { 2, 4 },
                         .data = data,
                         .bytes = 32 },
                 three = two;
    three.dims[0] = 3;
    three.bytes = 48;
    fixture f = { 0 };
    SYS_MUST(lathe_network_from_text(text, strlen(text), NULL, &f.network, diag));
    f.engine = sys_engine(f.network, NULL);
    SYS_MUST(lathe_context_create(f.engine, NULL, &f.context, diag));
    SYS_MUST(lathe_context_set_input(f.context, "a", &two, diag));
    SYS_MUST(lathe_context_set_input(f.context, "b", &three, diag));
    SYS_REFUSED(LATHE_BAD_SHAPE, NULL, lathe_context_run(f.context, diag));
    SYS_MUST(lathe_context_set_input(f.context, "b", &two, diag));
    SYS_MUST(lathe_context_run(f.context, diag));
    lathe_context_destroy(f.context);
    lathe_engine_destroy(f.engine);
    lathe_network_destroy(f.network);
}

/* Inputs whose elements are a shape: host inputs, known before the run, and others, known in it. What does not fit is
   refused, larger or smaller; the context stays usable. */
static void shape_inputs(void **state)
{
    static const char *const texts[] = {
        "net (f32[N,4] x, host i64[2] shape) => (y)\n{\n  r = Reshape (x, shape)\n  y = Relu (r)\n}\n",
        "net (f32[N,4] x, i64[2] shape) => (y)\n{\n  r = Reshape (x, shape)\n  y = Relu (r)\n}\n",
        "net (f32[N,4] x, host i64[2] shape) => (y)\n{\n  e = Exp (x)\n  y = Reshape (e, shape)\n}\n",
    };
    static const int64_t good[2] = { 3, 8 }, bad[][2] = { { 2, 7 }, { 1000, 1000 }, { -5, 3 }, { INT64_MAX, 2 } };
    float data[24];
    (void)state;
    for (int i = 0; i < 24; i++) {
        data[i] = (float)(i - 12) / 8;
    }
    lathe_tensor x = {
        .struct_size = sizeof x, .dtype = LATHE_DTYPE_F32, .rank = 2, .dims = { 6, 4 }, .data = data, .bytes = 96
    };
    for (size_t i = 0; i < LT_COUNT(texts); i++) {
        fixture f = { 0 };
        int64_t elements[2];
        lathe_tensor y = { .struct_size = sizeof y }, shape = { .struct_size = sizeof shape,
                                                                .dtype = LATHE_DTYPE_I64,
                                                                .rank = 1,
                                                                .dims = { 2 },
                                                                .data = elements,
                                                                .bytes = 16 };
        SYS_MUST(lathe_network_from_text(texts[i], strlen(texts[i]), NULL, &f.network, diag));
        f.engine = sys_engine(f.network, NULL);
        SYS_MUST(lathe_context_create(f.engine, NULL, &f.context, diag));
        SYS_MUST(lathe_context_set_input(f.context, "x", &x, diag));
        SYS_MUST(lathe_context_set_input(f.context, "shape", &shape, diag));
        for (size_t k = 0; k < LT_COUNT(bad); k++) {
            memcpy(elements, bad[k], sizeof elements); /* in place: read anew by each run */
            assert_int_not_equal(lathe_context_run(f.context, NULL), LATHE_OK);
            memcpy(elements, good, sizeof elements);
            SYS_MUST(lathe_context_run(f.context, diag));
            SYS_MUST(lathe_context_output(f.context, "y", &y, diag));
            assert_int_equal(y.dims[0], 3);
            assert_int_equal(y.dims[1], 8);
            assert_true(((float *)y.data)[23] > 0);
        }
        lathe_context_destroy(f.context);
        lathe_engine_destroy(f.engine);
        lathe_network_destroy(f.network);
    }
}

/* ---- Outputs ---- */

static void output_buffers(void **state)
{
    (void)state;
    fixture f;
    unsigned char room[1600];
    lathe_tensor y = { .struct_size = sizeof y };
    int rank;
    int64_t dims[LATHE_MAX_RANK];
    open_fixture(&f, "convolution", "N=2");
    sys_results want;
    sys_run(&want, f.engine, f.context, &f.inputs);
    size_t bytes = want.tensors[0].bytes;
    assert_int_equal(bytes, 1536);
    SYS_MUST(lathe_context_output_shape(f.context, "y", &rank, dims, diag));
    assert_int_equal(rank, 4);
    assert_int_equal(dims[0], 2);
    SYS_MUST(lathe_context_set_output(f.context, "y", room, bytes - 1, diag));
    SYS_REFUSED(LATHE_BAD_SHAPE, "'y'", lathe_context_run(f.context, diag));
    memset(room, 0xa5, sizeof room);
    SYS_MUST(
        lathe_context_set_output(f.context, "y", room + 4, bytes, diag)); /* elements are aligned, the buffer is not */
    SYS_MUST(lathe_context_run(f.context, diag));
    SYS_MUST(lathe_context_output(f.context, "y", &y, diag));
    assert_ptr_equal(y.data, room + 4);
    assert_memory_equal(room + 4, want.tensors[0].data, bytes);
    for (size_t i = 4 + bytes; i < sizeof room; i++) {
        assert_int_equal(room[i], 0xa5);
    }
    SYS_MUST(lathe_context_set_output(f.context, "y", NULL, 0, diag)); /* back to the context's own */
    SYS_MUST(lathe_context_run(f.context, diag));
    SYS_MUST(lathe_context_output(f.context, "y", &y, diag));
    assert_memory_equal(y.data, want.tensors[0].data, bytes);
    SYS_REFUSED(LATHE_INVALID_ARGUMENT, "it has y", lathe_context_set_output(f.context, "z", room, bytes, diag));
    SYS_REFUSED(LATHE_INVALID_ARGUMENT, "it has y", lathe_context_output(f.context, "z", &y, diag));
    SYS_REFUSED(LATHE_INVALID_ARGUMENT, "it has y", lathe_context_output_shape(f.context, "z", &rank, dims, diag));
    sys_results_free(&want);
    close_fixture(&f);
}

/*
 * Extents that only the run tells: shape -1 before it, the real one after it; buffers are checked against the real one.
 */
static void unknown_extents(void **state)
{
    (void)state;
    fixture f;
    float room[8];
    int rank;
    int64_t dims[LATHE_MAX_RANK];
    lathe_tensor y = { .struct_size = sizeof y };
    open_fixture(&f, "unknown", "N=6");
    float *x = input(&f, 0)->data;
    x[1] = x[4] = 0;
    sys_bind(f.context, &f.inputs);
    SYS_MUST(lathe_context_output_shape(f.context, "y", &rank, dims, diag));
    assert_int_equal(rank, 1);
    assert_int_equal(dims[0], -1);
    SYS_MUST(lathe_context_set_output(f.context, "y", room, 4 * sizeof(float), diag));
    SYS_MUST(lathe_context_run(f.context, diag));
    SYS_MUST(lathe_context_output(f.context, "y", &y, diag));
    assert_int_equal(y.dims[0], 4);
    SYS_MUST(lathe_context_set_output(f.context, "y", room, 3 * sizeof(float), diag));
    SYS_REFUSED(LATHE_BAD_SHAPE, "'y'", lathe_context_run(f.context, diag));
    close_fixture(&f);
}

/* ---- Engines, indices, sizes of structs ---- */

static void out_of_range(void **state)
{
    (void)state;
    fixture f;
    lathe_io io = { .struct_size = sizeof io };
    lathe_step_profile step = { .struct_size = sizeof step };
    lathe_engine_info info = { .struct_size = sizeof info };
    int64_t max[LATHE_MAX_RANK];
    open_fixture(&f, "convolution", "N=1");
    SYS_REFUSED(LATHE_INVALID_ARGUMENT, NULL, lathe_context_set_profile(f.context, 1, diag));
    SYS_REFUSED(LATHE_INVALID_ARGUMENT, NULL, lathe_context_set_profile(f.context, -2, diag));
    SYS_REFUSED(LATHE_INVALID_ARGUMENT, NULL, lathe_engine_profile(f.engine, 1, "x", NULL, NULL, max, diag));
    SYS_REFUSED(LATHE_INVALID_ARGUMENT, NULL, lathe_engine_profile(f.engine, 0, "z", NULL, NULL, max, diag));
    SYS_REFUSED(LATHE_INVALID_ARGUMENT, NULL, lathe_engine_io(f.engine, 2, &io, diag));
    SYS_REFUSED(LATHE_INVALID_ARGUMENT, NULL, lathe_engine_io_find(f.engine, "z", &io, diag));
    SYS_MUST(lathe_engine_io_find(f.engine, "y", &io, diag));
    assert_int_equal(io.is_output, 1);
    assert_string_equal(io.symbols[0], "N");
    SYS_REFUSED(LATHE_INVALID_ARGUMENT, NULL, lathe_context_step(f.context, 1000, &step, diag));
    assert_null(lathe_engine_refit_name(f.engine, 1000));
    io.struct_size = info.struct_size = 4;
    SYS_REFUSED(LATHE_INVALID_ARGUMENT, "struct_size", lathe_engine_io(f.engine, 0, &io, diag));
    SYS_REFUSED(LATHE_INVALID_ARGUMENT, "struct_size", lathe_engine_get_info(f.engine, &info, diag));
    lathe_context_options c = { .struct_size = 4 };
    lathe_context *context = NULL;
    SYS_REFUSED(LATHE_INVALID_ARGUMENT, "struct_size", lathe_context_create(f.engine, &c, &context, diag));
    lathe_runtime_options r = { .struct_size = 4 };
    lathe_runtime *runtime = NULL;
    SYS_REFUSED(LATHE_INVALID_ARGUMENT, "struct_size", lathe_runtime_create(&r, &runtime, diag));
    lathe_load_options l = { .struct_size = 4 };
    lathe_engine *engine = NULL;
    SYS_REFUSED(LATHE_INVALID_ARGUMENT, "struct_size", lathe_engine_load(NULL, "nothing.plan", &l, &engine, diag));
    SYS_REFUSED(LATHE_IO, "nothing.plan", lathe_engine_load(NULL, "nothing.plan", NULL, &engine, diag));
    l = (lathe_load_options){ .struct_size = sizeof l, .device = "nothing" };
    lathe_plan *plan = sys_build(f.network, NULL);
    size_t size;
    const void *data = lathe_plan_data(plan, &size);
    assert_int_not_equal(lathe_engine_load_memory(NULL, data, size, &l, &engine, NULL), LATHE_OK);
    SYS_REFUSED(LATHE_BAD_PLAN, NULL, lathe_engine_load_memory(NULL, data, size - 1, NULL, &engine, diag));
    SYS_REFUSED(LATHE_BAD_PLAN, NULL, lathe_engine_load_memory(NULL, data, 0, NULL, &engine, diag));
    lathe_plan_destroy(plan);
    close_fixture(&f);
}

/* ---- Networks and builds ---- */

static void bad_networks(void **state)
{
    (void)state;
    lathe_network *network = NULL;
    lathe_value x, y, z;
    const char *name = "y", *device = "moon";
    lathe_tensor w = { .struct_size = sizeof w,
                       .dtype = LATHE_DTYPE_F32,
                       .rank = 1,
                       .dims = { 2 },
                       .data = (float[]){ 1, 2 },
                       .bytes = 8 };
    SYS_MUST(lathe_network_create("bad", NULL, &network, diag));
    SYS_REFUSED(LATHE_INVALID_ARGUMENT, NULL,
                lathe_network_add_input(network, "x", LATHE_DTYPE_F32, 17, (int64_t[17]){ 0 }, NULL, &x, diag));
    SYS_REFUSED(LATHE_INVALID_ARGUMENT, "symbols",
                lathe_network_add_input(network, "x", LATHE_DTYPE_F32, 1, (int64_t[]){ -1 }, NULL, &x, diag));
    SYS_MUST(lathe_network_add_input(network, "x", LATHE_DTYPE_F32, 1, (int64_t[]){ 3 }, NULL, &x, diag));
    w.bytes = 7;
    SYS_REFUSED(LATHE_INVALID_ARGUMENT, "8 bytes", lathe_network_add_constant(network, "w", &w, &z, diag));
    w.bytes = 8;
    SYS_MUST(lathe_network_add_constant(network, "w", &w, &z, diag));
    SYS_REFUSED(LATHE_UNSUPPORTED, "Relu",
                lathe_network_add_node(network, NULL, "", "ReLu", NULL, 0, &x, 1, &name, &y, 1, diag));
    SYS_REFUSED(
        LATHE_BAD_MODEL, NULL,
        lathe_network_add_node(network, NULL, "", "Add", NULL, 0, (lathe_value[]){ x, z }, 2, &name, &y, 1, diag));
    SYS_REFUSED(LATHE_BAD_MODEL, NULL,
                lathe_network_add_node(network, NULL, "", "Add", NULL, 0, &x, 1, &name, &y, 1, diag));
    SYS_MUST(lathe_network_add_node(network, NULL, NULL, "Relu", NULL, 0, &x, 1, &name, &y, 1, diag));
    SYS_REFUSED(LATHE_INVALID_ARGUMENT, "nobody", lathe_network_find(network, "nobody", &z, diag));
    SYS_REFUSED(LATHE_INVALID_ARGUMENT, "moon", lathe_network_place(network, y, device, diag));
    SYS_REFUSED(LATHE_INVALID_ARGUMENT, NULL, lathe_network_place(network, x, "twin", diag));
    assert_int_not_equal(lathe_network_mark_output(network, 12345, NULL), LATHE_OK);
    SYS_MUST(lathe_network_mark_output(network, y, diag));
    lathe_engine *engine = sys_engine(network, NULL); /* what was accepted is a whole network */
    lathe_engine_destroy(engine);
    lathe_network_destroy(network);
}

static void refuse_build(const lathe_network *network, const lathe_build_options *options, lathe_status want,
                         const char *mention)
{
    lathe_plan *plan = NULL;
    SYS_REFUSED(want, mention, lathe_build(network, options, &plan, diag));
    assert_null(plan);
}

static void bad_builds(void **state)
{
    (void)state;
    static const char *const nobody[] = { "nobody" };
    lathe_network *network = sys_network("convolution");
    lathe_build_options good = { .struct_size = sizeof good }, o = good;
    o.struct_size = 8;
    refuse_build(network, &o, LATHE_INVALID_ARGUMENT, "struct_size");
    o = good;
    o.device = "moon";
    refuse_build(network, &o, LATHE_UNSUPPORTED, "moon");
    o = good;
    o.max_isa = "sse9";
    refuse_build(network, &o, LATHE_INVALID_ARGUMENT, "sse9");
    o = good;
    o.outputs = nobody;
    o.n_outputs = 1;
    refuse_build(network, &o, LATHE_INVALID_ARGUMENT, "nobody");
    o = good;
    o.passes = "-nobody";
    refuse_build(network, &o, LATHE_INVALID_ARGUMENT, "nobody");
    o = good;
    o.level = 6;
    refuse_build(network, &o, LATHE_INVALID_ARGUMENT, "level 6");
    lathe_plan *plan = sys_build(network, &good);
    SYS_REFUSED(LATHE_IO, "/nowhere", lathe_plan_save(plan, "/nowhere/x.plan", diag));
    lathe_plan_destroy(plan);
    lathe_network_destroy(network);
    SYS_REFUSED(LATHE_IO, "nothing.onnx", lathe_network_from_onnx_file("nothing.onnx", NULL, &network, diag));
    SYS_REFUSED(LATHE_BAD_MODEL, NULL, lathe_network_from_onnx("abc", 3, NULL, NULL, &network, diag));
    SYS_REFUSED(LATHE_BAD_MODEL, "text:1:", lathe_network_from_text("net (", 5, NULL, &network, diag));
}

/* ---- Cancelled builds ---- */

typedef struct countdown {
    size_t calls, stop_at;
} countdown;

static int cancel(void *user, const lathe_progress *progress)
{
    countdown *c = user;
    assert_int_equal(progress->struct_size, sizeof *progress);
    assert_non_null(progress->phase);
    assert_true(progress->done <= progress->total);
    return ++c->calls == c->stop_at;
}

static void cancelled(void **state)
{
    (void)state;
    counting_allocator a;
    counting_init(&a);
    size_t length, calls = 0;
    char *text = sys_text(LATHE_SOURCE_DIR "/tests/data/nets/convolution.lathe", &length);
    lathe_network *network = NULL;
    SYS_MUST(lathe_network_from_text(text, length, &a.api, &network, diag));
    size_t live = a.live;
    for (size_t stop = 1; stop < 1000; stop++) {
        countdown c = { 0, stop };
        lathe_plan *plan = NULL;
        lathe_build_options options = {
            .struct_size = sizeof options, .progress = cancel, .progress_user = &c, .allocator = &a.api
        };
        lathe_status status = lathe_build(network, &options, &plan, NULL);
        if (c.calls < stop) {
            assert_int_equal(status, LATHE_OK);
            lathe_plan_destroy(plan);
            calls = c.calls;
            break;
        }
        assert_int_equal(status, LATHE_CANCELLED);
        assert_null(plan);
        assert_int_equal(a.live, live);
    }
    assert_true(calls >= 4); /* passes, tune, pack, write: at least one call each */
    lathe_network_destroy(network);
    free(text);
    assert_int_equal(a.live, 0);
    assert_int_equal(a.mistakes, 0);
}

/* ---- Steady runs ---- */

static void check_steady(const char *name, const char *sizes, int threads, const char *device)
{
    counting_allocator a;
    counting_init(&a);
    lathe_runtime_options options = { .struct_size = sizeof options, .threads = threads, .allocator = &a.api };
    lathe_context_options c = { .struct_size = sizeof c, .allocator = &a.api };
    lathe_build_options b = { .struct_size = sizeof b, .device = device };
    lathe_runtime *runtime = NULL;
    lathe_context *context = NULL;
    lathe_network *network = sys_network(name);
    lathe_plan *plan = sys_build(network, &b);
    sys_inputs inputs;
    SYS_MUST(lathe_runtime_create(&options, &runtime, diag));
    lathe_engine *engine = sys_load(runtime, plan, NULL);
    SYS_MUST(lathe_context_create(engine, &c, &context, diag));
    sys_inputs_make(&inputs, network, sizes, 1);
    sys_bind(context, &inputs);
    SYS_MUST(lathe_context_run(context, diag));
    SYS_MUST(lathe_context_run(context, diag));
    size_t calls = a.calls, live = a.live;
    for (int i = 0; i < 4; i++) {
        sys_bind(context, &inputs);
        SYS_MUST(lathe_context_run(context, diag));
    }
    if (a.calls != calls || a.live != live) {
        print_message("%s on %s: %zu allocations in steady runs\n", name, device, a.calls - calls);
        fail();
    }
    assert_true(lathe_context_bytes(context) > 0);
    sys_inputs_free(&inputs);
    lathe_context_destroy(context);
    lathe_engine_destroy(engine);
    lathe_runtime_destroy(runtime);
    lathe_plan_destroy(plan);
    lathe_network_destroy(network);
    assert_int_equal(a.live, 0);
    assert_int_equal(a.mistakes, 0);
}

static void steady(void **state)
{
    static const char *const names[] = { "branch",
                                         "convolution",
                                         "detection",
                                         "perceptron",
                                         "picture",
                                         "quantized",
                                         "recurrent",
                                         "shapes",
                                         "digits_resnet",
                                         "super_resolution_x2",
                                         "char_gpt",
                                         "char_gpt_step",
                                         "digits_resnet.int8-qdq",
                                         "digits_resnet.int8-qop",
                                         "digits_resnet.int8-dynamic",
                                         "super_resolution_x2.fp16" };
    (void)state;
    for (size_t i = 0; i < LT_COUNT(names); i++) {
        for (int threads = 1; threads <= 2; threads++) {
            check_steady(names[i], "*=3", threads, "cpu");
        }
    }
}

/* Inside a profile, other shapes allocate nothing either: even those never seen before. */
static void steady_shapes(void **state)
{
    static const char *const sizes[] = { "N=1", "N=7", "N=8", "N=3", "N=5" };
    (void)state;
    counting_allocator a;
    counting_init(&a);
    lathe_shape_range r = {
        .input = "x", .rank = 4, .min = { 1, 3, 8, 8 }, .opt = { 4, 3, 8, 8 }, .max = { 8, 3, 8, 8 }
    };
    lathe_profile profile = { &r, 1 };
    lathe_build_options options = { .struct_size = sizeof options, .profiles = &profile, .n_profiles = 1 };
    lathe_context_options c = { .struct_size = sizeof c, .allocator = &a.api };
    lathe_network *network = sys_network("convolution");
    lathe_engine *engine = sys_engine(network, &options);
    lathe_context *context = NULL;
    sys_inputs inputs[LT_COUNT(sizes)];
    SYS_MUST(lathe_context_create(engine, &c, &context, diag));
    for (size_t i = 0; i < LT_COUNT(sizes); i++) {
        sys_inputs_make(&inputs[i], network, sizes[i], 1);
    }
    float room[8 * 3 * 8 * 8];
    SYS_MUST(lathe_context_set_output(context, "y", room, sizeof room, diag));
    sys_bind(context, &inputs[0]);
    SYS_MUST(lathe_context_run(context, diag));
    size_t calls = a.calls;
    for (size_t i = 0; i < 3 * LT_COUNT(sizes); i++) {
        sys_bind(context, &inputs[i % LT_COUNT(sizes)]);
        SYS_MUST(lathe_context_run(context, diag));
    }
    assert_int_equal(a.calls, calls);
    for (size_t i = 0; i < LT_COUNT(sizes); i++) {
        sys_inputs_free(&inputs[i]);
    }
    lathe_context_destroy(context);
    lathe_engine_destroy(engine);
    lathe_network_destroy(network);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(missing_inputs), cmocka_unit_test(wrong_tensors),  cmocka_unit_test(unequal_dimensions),
        cmocka_unit_test(shape_inputs),   cmocka_unit_test(output_buffers), cmocka_unit_test(unknown_extents),
        cmocka_unit_test(out_of_range),   cmocka_unit_test(bad_networks),   cmocka_unit_test(bad_builds),
        cmocka_unit_test(cancelled),      cmocka_unit_test(steady),         cmocka_unit_test(steady_shapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
