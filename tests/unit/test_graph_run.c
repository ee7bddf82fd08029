/*
 * test_graph_run.c - the reference executor: results, bodies, lives of values, refused inputs, constants by recipe;
 * what inference promises holds.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "support/counting_allocator.h"
#include "support/graph_text.h"

static lt_any tensor_of(lathe_dtype dtype, int rank, const int64_t *dims, void *data)
{
    lt_any any = { .cls = LT_TENSOR, .tensor = { .struct_size = sizeof(lt_tensor) } };
    MUST(lt_tensor_shape(&any.tensor, dtype, rank, dims, "x", diag));
    any.tensor.data = data;
    return any;
}

static void assert_floats(const lt_any *any, size_t count, const float *expected)
{
    assert_non_null(any);
    assert_int_equal(any->tensor.dtype, LATHE_DTYPE_F32);
    assert_int_equal(lt_tensor_count(&any->tensor), count);
    for (size_t i = 0; i < count; i++) {
        assert_true(lt_load_f64(LATHE_DTYPE_F32, any->tensor.data, (int64_t)i) == (double)expected[i]);
    }
}

static void test_simple(void **state)
{
    (void)state;
    lt_graph *graph =
        parse_text("net (f32[N,2] x) => (y, x, w) <f32[2] w = {10, 20}> { a = Relu (x)  y = Add (a, w) }");
    float data[] = { -1, 2, 3, -4 };
    lt_any x = tensor_of(LATHE_DTYPE_F32, 2, (int64_t[]){ 2, 2 }, data);
    const lt_any *inputs[] = { &x };
    lt_run *run;
    MUST(lt_graph_run(graph, inputs, 1, NULL, &run, diag));
    lt_graph_destroy(graph); /* results stand on their own */
    data[0] = 99;
    assert_floats(lt_run_output(run, 0), 4, (float[]){ 10, 22, 13, 20 });
    assert_floats(lt_run_output(run, 1), 4, (float[]){ -1, 2, 3, -4 });
    assert_floats(lt_run_output(run, 2), 2, (float[]){ 10, 20 });
    assert_null(lt_run_output(run, 3));
    lt_run_destroy(run);
    lt_run_destroy(NULL);
}

typedef struct visits {
    char names[64];
} visits;

static lathe_status visit(void *user, const lt_graph *graph, lt_value_id value, const lt_any *data, lathe_diag *diag)
{
    visits *v = user;
    strcat(v->names, lt_value_get(graph, value)->name);
    assert_non_null(data->tensor.data);
    return strcmp(lt_value_get(graph, value)->name, "stop") == 0 ? LT_FAIL(diag, LATHE_CANCELLED, NULL, NULL, "stop")
                                                                 : LATHE_OK;
}

static void test_visit(void **state)
{
    (void)state;
    lt_graph *graph = parse_text("net () => (c) <f32[2] w = {-1, 2}> { a = Relu (w)  b = Neg (a)  c = Abs (b) }");
    visits seen = { "" };
    lt_run_options options = { .visit = visit, .user = &seen, .keep_all = true };
    lt_run *run;
    MUST(lt_graph_run(graph, NULL, 0, &options, &run, diag));
    assert_string_equal(seen.names, "abc");
    assert_floats(lt_run_value(run, lt_graph_find(graph, "b")), 2, (float[]){ 0, -2 });
    lt_run_destroy(run);
    options.keep_all = false;
    MUST(lt_graph_run(graph, NULL, 0, &options, &run, diag));
    assert_null(lt_run_value(run, lt_graph_find(graph, "b")));
    lt_run_destroy(run);
    MUST(lt_graph_rename(graph, lt_graph_find(graph, "b"), "stop", diag));
    assert_int_equal(lt_graph_run(graph, NULL, 0, &options, &run, NULL), LATHE_CANCELLED);
    assert_null(run);
    lt_graph_destroy(graph);
}

static void test_bodies(void **state)
{
    (void)state;
    lt_graph *graph = parse_text("loop (f32[N,2] x, i64[] n) => (last, all)\n"
                                 "<bool[] yes = {true}, f32[2] step = {0.5, 1.0}>\n"
                                 "{\n"
                                 "  last, all = Loop <body = graph (i64[] i, bool[] c, f32[N,2] v) => (c2, w, w2) {\n"
                                 "      c2 = Identity (c)\n"
                                 "      odd = Cast <to = 9> (i)\n"
                                 "      w = If <then_branch = graph () => (v) { }, else_branch = graph () => (t) { u = "
                                 "Add (v, step)  t = Add (u, x) }> (odd)\n"
                                 "      w2 = Identity (w)\n"
                                 "    }> (n, yes, x)\n"
                                 "}\n");
    float data[] = { 1, 2 };
    int64_t count = 3;
    lt_any x = tensor_of(LATHE_DTYPE_F32, 2, (int64_t[]){ 1, 2 }, data),
           n = tensor_of(LATHE_DTYPE_I64, 0, NULL, &count);
    const lt_any *inputs[] = { &x, &n };
    lt_run *run;
    MUST(lt_graph_run(graph, inputs, 2, NULL, &run, diag));
    assert_floats(lt_run_output(run, 0), 2, (float[]){ 2.5, 5 });
    assert_floats(lt_run_output(run, 1), 6, (float[]){ 2.5, 5, 2.5, 5, 2.5, 5 });
    lt_run_destroy(run);
    lt_graph_destroy(graph);
}

enum { MOST_BYTES = 1 << 20 };

static void *limited_alloc(void *user, size_t size, size_t align)
{
    counting_allocator *counter = user;
    return counter->bytes + size > MOST_BYTES ? NULL : counting_alloc(user, size, align);
}

/* Memory of a long loop does not pile up: 8 MB of results pass through 1 MiB. */
static void test_lives(void **state)
{
    (void)state;
    counting_allocator counter;
    counting_init(&counter);
    counter.api.alloc = limited_alloc;
    const char *text =
        "loop (i64[] n) => (last)\n"
        "<bool[] yes = {true}, f32[1000] zero = splat(0), f32[1000] one = splat(1)>\n"
        "{ last = Loop <body = graph (i64[] i, bool[] c, f32[1000] v) => (c, w) { w = Add (v, one) }> (n, yes, zero) }";
    lt_graph *graph;
    MUST(lt_graph_parse(text, strlen(text), "t", &counter.api, NULL, NULL, &graph, diag));
    size_t before = counter.live;
    int64_t count = 2000;
    lt_any n = tensor_of(LATHE_DTYPE_I64, 0, NULL, &count);
    const lt_any *inputs[] = { &n };
    lt_run *run;
    MUST(lt_graph_run(graph, inputs, 1, NULL, &run, diag));
    assert_true(lt_load_f64(LATHE_DTYPE_F32, lt_run_output(run, 0)->tensor.data, 999) == 2000.0);
    lt_run_destroy(run);
    assert_int_equal(counter.live, before);
    lt_graph_destroy(graph);
    assert_int_equal(counter.live, 0);
    assert_int_equal(counter.mistakes, 0);
}

static void refuse(lt_graph *graph, const lt_any *const *inputs, size_t n, lathe_status expected)
{
    lt_run *run = (lt_run *)graph;
    assert_int_equal(lt_graph_run(graph, inputs, n, NULL, &run, NULL), expected);
    assert_null(run);
}

static void test_refused_inputs(void **state)
{
    (void)state;
    lt_graph *graph = parse_text("dims <N = 1:3> net (f32[N,2] x, f32[N] z) => (y) { y = Relu (x)  q = Relu (z) }");
    float data[16] = { 0 };
    lt_any x = tensor_of(LATHE_DTYPE_F32, 2, (int64_t[]){ 2, 2 }, data),
           z = tensor_of(LATHE_DTYPE_F32, 1, (int64_t[]){ 2 }, data);
    const lt_any *inputs[] = { &x, &z };
    lt_run *run;
    MUST(lt_graph_run(graph, inputs, 2, NULL, &run, diag));
    lt_run_destroy(run);
    refuse(graph, inputs, 1, LATHE_INVALID_ARGUMENT);
    z = tensor_of(LATHE_DTYPE_F32, 1, (int64_t[]){ 3 }, data);
    refuse(graph, inputs, 2, LATHE_BAD_SHAPE); /* N is 2 */
    x = tensor_of(LATHE_DTYPE_F32, 2, (int64_t[]){ 3, 3 }, data);
    refuse(graph, inputs, 2, LATHE_BAD_SHAPE);
    x = tensor_of(LATHE_DTYPE_F32, 2, (int64_t[]){ 4, 2 }, data);
    z = tensor_of(LATHE_DTYPE_F32, 1, (int64_t[]){ 4 }, data);
    refuse(graph, inputs, 2, LATHE_BAD_SHAPE); /* N is at most 3 */
    x = tensor_of(LATHE_DTYPE_I32, 2, (int64_t[]){ 2, 2 }, data);
    refuse(graph, inputs, 2, LATHE_BAD_SHAPE);
    x = tensor_of(LATHE_DTYPE_F32, 2, (int64_t[]){ 2, 2 }, data);
    x.tensor.bytes = 12;
    refuse(graph, inputs, 2, LATHE_INVALID_ARGUMENT);
    x.cls = LT_SEQUENCE;
    refuse(graph, inputs, 2, LATHE_INVALID_ARGUMENT);
    lt_graph_destroy(graph);
}

/* A recipe gives the bits that the network would have computed; large results become constants without a copy. */
static void test_recipes(void **state)
{
    (void)state;
    lt_graph *graph = parse_text("net () => (y, z) <f32[64,64] a = rand(1), f32[64,64] b = rand(2)> { y = MatMul (a, "
                                 "b)  z = Exp (y)  s = Shape (z) }");
    lt_run *before, *after;
    MUST(lt_graph_run(graph, NULL, 0, NULL, &before, diag));
    while (lt_graph_node_count(graph, LT_MAIN) > 0) {
        MUST(lt_graph_fold_node(graph, lt_region_first(graph, LT_MAIN)->id, diag));
    }
    MUST(lt_graph_verify(graph, diag));
    MUST(lt_graph_run(graph, NULL, 0, NULL, &after, diag));
    for (size_t i = 0; i < 2; i++) {
        assert_true(lt_tensor_equal(&lt_run_output(before, i)->tensor, &lt_run_output(after, i)->tensor));
    }
    lt_blob *blob = lt_blob_retain(value_named(graph, "z")->blob);
    lt_run_destroy(before);
    lt_run_destroy(after);
    lt_graph_destroy(graph);
    assert_int_equal(lt_blob_tensor(blob)->bytes, 64 * 64 * 4); /* outlives the graph */
    assert_true(lt_load_f64(LATHE_DTYPE_F32, lt_blob_tensor(blob)->data, 4095) >= 0);
    lt_blob_release(blob);
}

/* A folded loop: its body moves along, and is evaluated when the text is read. */
static void test_folded_body(void **state)
{
    (void)state;
    lt_graph *graph = parse_text(
        "loop () => (y)\n"
        "<bool[] yes = {true}, f32[2] x = {1, 2}, i64[] n = 5>\n"
        "{ y = Loop <body = graph (i64[] i, bool[] c, f32[2] v) => (c, w) { w = Add (v, x) }> (n, yes, x) }");
    MUST(lt_graph_fold_node(graph, node_of(graph, "y")->id, diag));
    MUST(lt_graph_verify(graph, diag));
    char *text = print_text(graph);
    lt_graph *again = parse_text(text);
    const lt_tensor *y = lt_value_tensor(value_named(again, "y"));
    assert_true(lt_load_f64(y->dtype, y->data, 1) == 12.0);
    free(text);
    lt_graph_destroy(again);
    lt_graph_destroy(graph);
    /* Text that would run for ever is refused. */
    const char *endless = "loop () => (y) <bool[] yes = {true}, f32[2] x = {1, 2}>\n"
                          "init { y = Loop <body = graph (i64[] i, bool[] c, f32[2] v) => (c, w) { w = Add (v, x) }> "
                          "(\"\", yes, x) } { }";
    assert_int_equal(lt_graph_parse(endless, strlen(endless), "t", NULL, NULL, NULL, &again, NULL), LATHE_UNSUPPORTED);
    const char *huge = "net () => (y) <i64[2] s = {100000, 100000}, f32[1] one = {1}> init { y = Expand (one, s) } { }";
    assert_int_equal(lt_graph_parse(huge, strlen(huge), "t", NULL, NULL, NULL, &again, NULL), LATHE_UNSUPPORTED);
}

/* What was inferred is what comes out: class, element type, rank, constant extents, bounds of the others. */
static lathe_status check_promise(void *user, const lt_graph *graph, lt_value_id id, const lt_any *data,
                                  lathe_diag *diag)
{
    const lt_value *value = lt_value_get(graph, id);
    const lt_type *type = &value->type;
    bool fine = type->cls == data->cls;
    (void)user;
    if (fine && type->cls == LT_TENSOR) {
        const lt_tensor *t = &data->tensor;
        fine = type->dtype == t->dtype && (type->rank < 0 || type->rank == t->rank);
        for (int i = 0; fine && i < type->rank; i++) {
            int64_t lo, hi;
            lt_dim_bounds(lt_graph_dims(graph), type->dims[i], &lo, &hi);
            fine = t->dims[i] >= lo && t->dims[i] <= hi;
        }
        for (int64_t i = 0; fine && value->contents.v != NULL && i < value->contents.count; i++) {
            int64_t lo, hi;
            lt_dim_bounds(lt_graph_dims(graph), value->contents.v[i], &lo, &hi);
            int64_t real = lt_load_i64(t->dtype, t->data, i);
            fine = real >= lo && real <= hi;
        }
    }
    if (!fine) {
        lt_buf text;
        char real[128];
        lt_buf_init(&text, NULL);
        lt_type_print(lt_graph_dims(graph), type, &text);
        lt_tensor_describe(&data->tensor, real, sizeof real);
        LT_FAIL(diag, LATHE_INTERNAL, value->name, NULL, "inferred %s, computed %s", lt_buf_str(&text), real);
        lt_buf_free(&text);
    }
    return fine ? LATHE_OK : LATHE_INTERNAL;
}

static void test_promises(void **state)
{
    (void)state;
    for (size_t i = 0; lt_op_at(i) != NULL; i++) {
        const lt_op *op = lt_op_at(i);
        for (size_t k = 0; op->samples != NULL && op->samples[k] != NULL; k++) {
            lt_graph *graph = NULL;
            lt_run *run = NULL;
            lt_run_options options = { .visit = check_promise };
            MUST(lt_graph_parse_sample(op->samples[k], op->name, NULL, &graph, diag));
            MUST(lt_graph_run(graph, NULL, 0, &options, &run, diag));
            /* Folded, the values are the same. */
            lt_node *last = lt_node_get(graph, lt_region_get(graph, LT_MAIN)->last);
            const lt_value *first = lt_node_out(graph, last, 0);
            if (lt_graph_node_count(graph, LT_MAIN) == 1 && first != NULL &&
                lt_graph_fold_node(graph, last->id, NULL) == LATHE_OK) {
                assert_true(lt_tensor_equal(lt_value_tensor(first), &lt_run_output(run, 0)->tensor));
                MUST(lt_graph_verify(graph, diag));
            }
            lt_run_destroy(run);
            lt_graph_destroy(graph);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_simple),      cmocka_unit_test(test_visit),          cmocka_unit_test(test_bodies),
        cmocka_unit_test(test_lives),       cmocka_unit_test(test_refused_inputs), cmocka_unit_test(test_recipes),
        cmocka_unit_test(test_folded_body), cmocka_unit_test(test_promises),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
