/*
 * test_graph_edit.c - building and changing graphs: nodes, names, order, replacing, removing, folding, splicing bodies;
 * refused edits change nothing.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "support/graph_text.h"

static const char chain_text[] = "net (f32[N,3] x) => (f32[N,3] y)\n"
                                 "{\n"
                                 "  f32[N,3] a = Relu (x)\n"
                                 "  f32[N,3] b = Neg (a)\n"
                                 "  f32[N,3] y = Abs (b)\n"
                                 "}\n";

/* Runs an edit that must be refused, and checks that the graph did not change. */
#define REFUSED(graph, expected, call)                                                                                 \
    do {                                                                                                               \
        char *before_ = print_text(graph);                                                                             \
        assert_int_equal((call), (expected));                                                                          \
        char *after_ = print_text(graph);                                                                              \
        assert_string_equal(before_, after_);                                                                          \
        free(before_);                                                                                                 \
        free(after_);                                                                                                  \
        MUST(lt_graph_verify((graph), diag));                                                                          \
    } while (0)

static lt_value_id find(const lt_graph *graph, const char *name)
{
    return value_named(graph, name)->id;
}

static lt_value_id add_unary(lt_graph *graph, const char *op, lt_value_id input, const char *name, lt_node_id before)
{
    lt_value_id out = { 0 };
    lt_node_spec spec = { .op = op,
                          .inputs = &input,
                          .n_inputs = 1,
                          .n_outputs = 1,
                          .output_names = name == NULL ? NULL : &name,
                          .before = before };
    MUST(lt_graph_add_node(graph, LT_MAIN, &spec, NULL, &out, diag));
    return out;
}

static void test_build(void **state)
{
    (void)state;
    lt_graph *graph;
    lt_value_id x, r, s;
    lt_type type = { .cls = LT_TENSOR, .dtype = LATHE_DTYPE_F32, .rank = 2 };
    MUST(lt_graph_create(NULL, &graph, diag));
    MUST(lt_dim_symbol(lt_graph_dims(graph), "N", &type.dims[0], diag));
    type.dims[1] = lt_dim_const(3);
    MUST(lt_graph_add_input(graph, LT_MAIN, "x", &type, &x, diag));
    r = add_unary(graph, "Relu", x, NULL, (lt_node_id){ 0 });
    s = add_unary(graph, "Neg", r, "x", (lt_node_id){ 0 }); /* taken */
    add_unary(graph, "Relu", x, NULL, node_of(graph, "Relu.1")->id);
    MUST(lt_graph_add_output(graph, LT_MAIN, s, diag));
    MUST(lt_graph_verify(graph, diag));
    assert_prints(graph, "net (f32[N,3] x) => (f32[N,3] x.1)\n"
                         "{\n"
                         "  f32[N,3] Relu.2 = Relu (x)\n"
                         "  f32[N,3] Relu.1 = Relu (x)\n"
                         "  f32[N,3] x.1 = Neg (Relu.1)\n"
                         "}\n");
    assert_true(lt_node_is(node_of(graph, "x.1"), "Neg"));
    assert_false(lt_node_is(node_of(graph, "x.1"), "com.microsoft:Neg"));
    char text[64];
    assert_string_equal(lt_node_describe(graph, node_of(graph, "x.1"), text, sizeof text), "node 'x.1' (Neg)");
    assert_int_equal(lt_graph_node_count(graph, LT_MAIN), 3);
    lt_graph_destroy(graph);
}

static void test_refused_nodes(void **state)
{
    (void)state;
    lt_graph *graph = parse_text(chain_text);
    lt_value_id b = find(graph, "b"), none = { 0 };
    lt_node_spec spec = {
        .op = "Relu", .inputs = &b, .n_inputs = 1, .n_outputs = 1, .before = node_of(graph, "a")->id
    };
    REFUSED(graph, LATHE_BAD_MODEL,
            lt_graph_add_node(graph, LT_MAIN, &spec, NULL, NULL, NULL)); /* reads what comes later */
    spec.before = (lt_node_id){ 0 };
    spec.op = "Relux";
    REFUSED(graph, LATHE_UNSUPPORTED, lt_graph_add_node(graph, LT_MAIN, &spec, NULL, NULL, NULL));
    spec.op = "Conv"; /* too few inputs */
    REFUSED(graph, LATHE_BAD_MODEL, lt_graph_add_node(graph, LT_MAIN, &spec, NULL, NULL, NULL));
    spec.op = "Relu";
    spec.inputs = &none;
    REFUSED(graph, LATHE_BAD_MODEL, lt_graph_add_node(graph, LT_MAIN, &spec, NULL, NULL, NULL));
    REFUSED(graph, LATHE_INVALID_ARGUMENT, lt_graph_remove_node(graph, node_of(graph, "a")->id, NULL));
    REFUSED(graph, LATHE_INVALID_ARGUMENT, lt_graph_remove_input(graph, find(graph, "x"), NULL));
    REFUSED(graph, LATHE_INVALID_ARGUMENT,
            lt_graph_move_before(graph, node_of(graph, "b")->id, node_of(graph, "a")->id, NULL));
    REFUSED(graph, LATHE_INVALID_ARGUMENT,
            lt_graph_move_before(graph, node_of(graph, "a")->id, (lt_node_id){ 0 }, NULL));
    REFUSED(graph, LATHE_INVALID_ARGUMENT,
            lt_graph_set_input_of(graph, node_of(graph, "a")->id, 0, find(graph, "b"), NULL));
    REFUSED(graph, LATHE_INVALID_ARGUMENT,
            lt_graph_set_input_of(graph, node_of(graph, "a")->id, 1, find(graph, "x"), NULL));
    REFUSED(graph, LATHE_INVALID_ARGUMENT, lt_graph_rename(graph, find(graph, "a"), "y", NULL));
    REFUSED(graph, LATHE_BAD_MODEL, lt_graph_add_output(graph, LT_MAIN, find(graph, "y"), NULL));
    lt_node_id stale = node_of(graph, "y")->id;
    stale.generation++;
    REFUSED(graph, LATHE_INVALID_ARGUMENT, lt_graph_remove_node(graph, stale, NULL));
    lt_graph_destroy(graph);
}

static void test_replace_output(void **state)
{
    (void)state;
    lt_graph *graph = parse_text(chain_text);
    lt_value_id y = find(graph, "y"), b = find(graph, "b");
    assert_true(lt_graph_replaceable(graph, y, b));
    MUST(lt_graph_replace_value(graph, y, b, diag));
    MUST(lt_graph_verify(graph, diag));
    assert_string_equal(lt_value_get(graph, b)->name, "y"); /* the output keeps its name */
    MUST(lt_graph_remove_node(graph, lt_value_get(graph, y)->def, diag));
    assert_prints(graph, "net (f32[N,3] x) => (f32[N,3] y)\n"
                         "{\n"
                         "  f32[N,3] a = Relu (x)\n"
                         "  f32[N,3] y = Neg (a)\n"
                         "}\n");
    assert_null(lt_value_get(graph, y));
    /* An input cannot give up its name. */
    assert_false(lt_graph_replaceable(graph, b, find(graph, "x")));
    REFUSED(graph, LATHE_INVALID_ARGUMENT, lt_graph_replace_value(graph, b, find(graph, "x"), NULL));
    /* But an output may be an input. */
    MUST(lt_graph_set_output(graph, LT_MAIN, 0, find(graph, "x"), diag));
    MUST(lt_graph_verify(graph, diag));
    lt_graph_destroy(graph);
}

/* A node that reads the old value and makes the new one goes on reading it. */
static void test_wrap_value(void **state)
{
    (void)state;
    lt_graph *graph = parse_text(chain_text);
    lt_value_id a = find(graph, "a");
    lt_value_id w = add_unary(graph, "Identity", a, "w", node_of(graph, "b")->id);
    MUST(lt_graph_replace_value(graph, a, w, diag));
    MUST(lt_graph_verify(graph, diag));
    assert_int_equal(lt_value_get(graph, a)->n_uses, 1);
    assert_true(lt_value_same(node_of(graph, "b")->inputs[0], w));
    assert_true(lt_value_same(node_of(graph, "w")->inputs[0], a));
    lt_graph_destroy(graph);
}

static void test_types_follow(void **state)
{
    (void)state;
    lt_graph *graph = parse_text("net (f32[2,6] x, i64[2] s) => (y)\n"
                                 "<i64[2] t = {3, 4}, i64[2] u = {5, 4}>\n"
                                 "{ r = Reshape (x, s)  q = Relu (r)  y = Transpose <perm = [1, 0]> (q) }");
    assert_false(lt_dim_is_const(value_named(graph, "y")->type.dims[0]));
    MUST(lt_graph_set_input_of(graph, node_of(graph, "r")->id, 1, find(graph, "t"), diag));
    MUST(lt_graph_verify(graph, diag));
    assert_true(lt_dim_is(value_named(graph, "y")->type.dims[0], 4));
    assert_true(lt_dim_is(value_named(graph, "y")->type.dims[1], 3));
    /* 12 elements do not make 5 x 4: the edit and all types are taken back. */
    REFUSED(graph, LATHE_BAD_MODEL, lt_graph_set_input_of(graph, node_of(graph, "r")->id, 1, find(graph, "u"), NULL));
    REFUSED(graph, LATHE_BAD_MODEL, lt_graph_replace_value(graph, find(graph, "t"), find(graph, "u"), NULL));
    /* A contradiction two nodes down. */
    lathe_attr perm = { .name = "perm", .kind = LATHE_ATTR_INTS, .count = 3, .ints = (int64_t[]){ 0, 1, 2 } };
    REFUSED(graph, LATHE_BAD_MODEL, lt_graph_set_attr(graph, node_of(graph, "y")->id, &perm, NULL));
    lt_type type = { .cls = LT_TENSOR, .dtype = LATHE_DTYPE_F32, .rank = 1, .dims = { lt_dim_const(12) } };
    MUST(lt_graph_set_type(graph, find(graph, "x"), &type, diag));
    lathe_attr none = { .name = "perm", .kind = LATHE_ATTR_NONE };
    MUST(lt_graph_set_attr(graph, node_of(graph, "y")->id, &none, diag));
    assert_int_equal(node_of(graph, "y")->n_attrs, 0);
    MUST(lt_graph_verify(graph, diag));
    lt_graph_destroy(graph);
}

/* Unknowns that inference makes anew for the same thing are the same thing. */
static void test_unknowns(void **state)
{
    (void)state;
    lt_graph *graph = parse_text(
        "net (f32[N] x, f32[4] z) => (y, w)\n"
        "<i64[1] minus = {-1}, i64[1] axis = {0}>\n"
        "{ i = NonZero (x)  j = NonZero (z)  f = Reshape (i, minus)  y = Gather (x, f)  w = Squeeze (j, axis) }");
    lt_dim before = value_named(graph, "y")->type.dims[0], other = value_named(graph, "w")->type.dims[0];
    assert_false(lt_dim_same(before, other));
    MUST(lt_graph_infer(graph, diag));
    MUST(lt_graph_infer_node(graph, node_of(graph, "i")->id, diag));
    assert_true(lt_dim_same(before, value_named(graph, "y")->type.dims[0]));
    assert_true(lt_dim_same(before, value_named(graph, "i")->type.dims[1]));
    /* Reading something else makes another unknown, which flows on. */
    MUST(lt_graph_set_input_of(graph, node_of(graph, "i")->id, 0, find(graph, "z"), diag));
    lt_dim after = value_named(graph, "y")->type.dims[0];
    assert_true(lt_dim_same(after, value_named(graph, "i")->type.dims[1]));
    assert_false(lt_dim_same(after, before));
    /* A node that passes another's unknown on does not keep it when it reads another. */
    MUST(lt_graph_set_input_of(graph, node_of(graph, "f")->id, 0, find(graph, "j"), diag));
    assert_true(lt_dim_same(other, value_named(graph, "y")->type.dims[0]));
    MUST(lt_graph_verify(graph, diag));
    lt_graph_destroy(graph);
}

static void test_move(void **state)
{
    (void)state;
    lt_graph *graph = parse_text("net (f32[2] x) => (d) { a = Relu (x)  b = Neg (x)  c = Abs (x)  d = Sum (a, b, c) }");
    MUST(lt_graph_move_before(graph, node_of(graph, "c")->id, node_of(graph, "a")->id, diag));
    MUST(lt_graph_verify(graph, diag));
    /* Many insertions at one place use up the room between two keys. */
    for (int i = 0; i < 200; i++) {
        MUST(lt_graph_move_before(graph, node_of(graph, i % 2 ? "a" : "b")->id, node_of(graph, i % 2 ? "b" : "a")->id,
                                  diag));
    }
    for (int i = 0; i < 200; i++) {
        add_unary(graph, "Relu", find(graph, "x"), NULL, node_of(graph, "d")->id);
        add_unary(graph, "Relu", find(graph, "x"), NULL, node_of(graph, "c")->id);
    }
    MUST(lt_graph_verify(graph, diag));
    lt_graph_destroy(graph);
}

static void test_constants(void **state)
{
    (void)state;
    lt_graph *graph = parse_text(chain_text);
    float ones[2] = { 1, 1 };
    lt_tensor tensor = {
        .struct_size = sizeof tensor, .dtype = LATHE_DTYPE_F32, .rank = 1, .dims = { 2 }, .data = ones, .bytes = 8
    };
    lt_value_id a, b, c, d;
    MUST(lt_graph_add_constant(graph, NULL, &tensor, &a, diag));
    MUST(lt_graph_add_constant(graph, NULL, &tensor, &b, diag));
    MUST(lt_graph_add_constant(graph, "named", &tensor, &c, diag));
    assert_true(lt_value_same(a, b));
    assert_false(lt_value_same(a, c));
    assert_string_equal(lt_value_get(graph, a)->name, "const.1");
    ones[1] = 2;
    MUST(lt_graph_add_constant(graph, NULL, &tensor, &d, diag));
    assert_false(lt_value_same(a, d));
    assert_true(lt_value_is_constant(lt_value_get(graph, d)));
    MUST(lt_graph_remove_input(graph, a, diag));
    MUST(lt_graph_add_constant(graph, NULL, &tensor, &b, diag));
    assert_true(lt_value_same(d, b));
    tensor.bytes = 12;
    REFUSED(graph, LATHE_BAD_MODEL, lt_graph_add_constant(graph, NULL, &tensor, &d, NULL));
    lt_graph_destroy(graph);
}

static void test_fold(void **state)
{
    (void)state;
    lt_graph *graph = parse_text("net (f32[4] x) => (y)\n"
                                 "<i64[2] s = {2, 2}, i64[2] o = {0, 0}>\n"
                                 "{ t = Add (s, o)  r = Reshape (x, t)  y = Relu (r) }");
    REFUSED(graph, LATHE_INVALID_ARGUMENT, lt_graph_fold_node(graph, node_of(graph, "r")->id, NULL));
    MUST(lt_graph_fold_node(graph, node_of(graph, "t")->id, diag));
    MUST(lt_graph_verify(graph, diag));
    assert_prints(graph, "net (f32[4] x) => (f32[2,2] y)\n"
                         "<\n"
                         "  i64[2] s = {2, 2},\n"
                         "  i64[2] o = {0, 0}\n"
                         ">\n"
                         "init {\n"
                         "  i64[2] t = Add (s, o)\n"
                         "}\n"
                         "{\n"
                         "  f32[2,2] r = Reshape (x, t)\n"
                         "  f32[2,2] y = Relu (r)\n"
                         "}\n");
    const lt_tensor *t = lt_value_tensor(value_named(graph, "t"));
    assert_int_equal(lt_load_i64(t->dtype, t->data, 1), 2);
    /* A recipe reads what it read, or the same bytes. */
    REFUSED(graph, LATHE_INVALID_ARGUMENT,
            lt_graph_set_input_of(graph, node_of(graph, "t")->id, 0, find(graph, "o"), NULL));
    REFUSED(graph, LATHE_INVALID_ARGUMENT, lt_graph_fold_node(graph, node_of(graph, "t")->id, NULL));
    lt_graph_destroy(graph);
}

static const char branch_text[] =
    "net (f32[N,3] x, bool[] c) => (y, z)\n"
    "{\n"
    "  a = Relu (x)\n"
    "  y, z = If <then_branch = graph () => (p, q) captures (a) { p = Neg (a)  q = Abs (p) },\n"
    "    else_branch = graph () => (a, s) captures (a) { s = Neg (a) }> (c)\n"
    "}\n";

static void test_inline(void **state)
{
    (void)state;
    for (int branch = 0; branch < 2; branch++) {
        lt_graph *graph = parse_text(branch_text);
        lt_node *owner = node_of(graph, "y");
        lt_region_id body = lt_attr_find(owner->attrs, owner->n_attrs, branch ? "else_branch" : "then_branch")->graph;
        MUST(lt_graph_inline_region(graph, owner->id, body, diag));
        MUST(lt_graph_verify(graph, diag));
        assert_prints(graph, branch ? "net (f32[N,3] x, bool[] c) => (f32[N,3] y, f32[N,3] z)\n"
                                      "{\n"
                                      "  f32[N,3] a = Relu (x)\n"
                                      "  f32[N,3] z = Neg (a)\n"
                                      "  f32[N,3] y = Identity (a)\n"
                                      "}\n"
                                    : "net (f32[N,3] x, bool[] c) => (f32[N,3] y, f32[N,3] z)\n"
                                      "{\n"
                                      "  f32[N,3] a = Relu (x)\n"
                                      "  f32[N,3] y = Neg (a)\n"
                                      "  f32[N,3] z = Abs (y)\n"
                                      "}\n");
        lt_graph_destroy(graph);
    }
}

static void test_remove_with_bodies(void **state)
{
    (void)state;
    lt_graph *graph = parse_text(branch_text);
    MUST(lt_graph_set_output(graph, LT_MAIN, 0, find(graph, "a"), diag));
    MUST(lt_graph_remove_output(graph, 1, diag));
    MUST(lt_graph_remove_node(graph, node_of(graph, "y")->id, diag));
    MUST(lt_graph_verify(graph, diag));
    assert_int_equal(value_named(graph, "a")->n_uses, 0);
    assert_true(lt_value_none(lt_graph_find(graph, "p")));
    MUST(lt_graph_remove_input(graph, find(graph, "c"), diag));
    MUST(lt_graph_verify(graph, diag));
    lt_graph_destroy(graph);
}

static void test_body_visibility(void **state)
{
    (void)state;
    lt_graph *graph = parse_text(branch_text);
    lt_value_id p = find(graph, "p");
    lt_node_spec spec = { .op = "Relu", .inputs = &p, .n_inputs = 1, .n_outputs = 1 };
    REFUSED(graph, LATHE_BAD_MODEL,
            lt_graph_add_node(graph, LT_MAIN, &spec, NULL, NULL, NULL)); /* a body's value outside */
    REFUSED(graph, LATHE_INVALID_ARGUMENT, lt_graph_replace_value(graph, find(graph, "a"), p, NULL));
    REFUSED(graph, LATHE_INVALID_ARGUMENT,
            lt_graph_move_before(graph, node_of(graph, "y")->id, node_of(graph, "a")->id, NULL)); /* a capture */
    REFUSED(graph, LATHE_INVALID_ARGUMENT,
            lt_graph_set_input_of(graph, node_of(graph, "p")->id, 0, find(graph, "z"), NULL)); /* its own owner */
    /* A body is given to one node only. */
    lt_node *owner = node_of(graph, "y");
    spec = (lt_node_spec){ .op = "If",
                           .attrs = owner->attrs,
                           .n_attrs = owner->n_attrs,
                           .inputs = owner->inputs,
                           .n_inputs = 1,
                           .n_outputs = 2 };
    REFUSED(graph, LATHE_INVALID_ARGUMENT, lt_graph_add_node(graph, LT_MAIN, &spec, NULL, NULL, NULL));
    lt_graph_destroy(graph);
}

static void test_body_types_follow(void **state)
{
    (void)state;
    lt_graph *graph = parse_text(branch_text);
    lt_type type = { .cls = LT_TENSOR, .dtype = LATHE_DTYPE_F16, .rank = 1, .dims = { lt_dim_const(5) } };
    MUST(lt_graph_set_type(graph, find(graph, "x"), &type, diag));
    assert_int_equal(value_named(graph, "q")->type.dtype, LATHE_DTYPE_F16);
    assert_true(lt_dim_is(value_named(graph, "z")->type.dims[0], 5));
    lt_value_id cast;
    lt_value_id a = find(graph, "a");
    lathe_attr to = { .name = "to", .kind = LATHE_ATTR_INT, .i = LATHE_DTYPE_F64 };
    lt_node_spec spec = { .op = "Cast",
                          .attrs = &to,
                          .n_attrs = 1,
                          .inputs = &a,
                          .n_inputs = 1,
                          .n_outputs = 1,
                          .before = node_of(graph, "y")->id };
    MUST(lt_graph_add_node(graph, LT_MAIN, &spec, NULL, &cast, diag));
    /* One branch alone cannot change its type: the owner would contradict itself. */
    REFUSED(graph, LATHE_BAD_MODEL, lt_graph_set_input_of(graph, node_of(graph, "s")->id, 0, cast, NULL));
    lt_graph_destroy(graph);
}

static void test_clone_and_copy(void **state)
{
    (void)state;
    lt_graph *graph = parse_text(branch_text), *clone,
             *other = parse_text("other (f32[N,3] x, bool[] c) => (a) { a = Relu (x) }");
    MUST(lt_graph_remove_output(graph, 1, diag));
    add_unary(graph, "Neg", find(graph, "a"), "dead", (lt_node_id){ 0 });
    MUST(lt_graph_remove_node(graph, node_of(graph, "dead")->id, diag));
    MUST(lt_graph_clone(graph, NULL, &clone, diag));
    MUST(lt_graph_verify(clone, diag));
    char *text = print_text(graph);
    assert_prints(clone, text);
    free(text);
    lt_value_id c = find(other, "c");
    lt_node_id copy;
    MUST(lt_graph_copy_node(other, LT_MAIN, graph, node_of(graph, "y")->id, &c, &copy, diag));
    MUST(lt_graph_verify(other, diag));
    assert_int_equal(lt_graph_regions(other), 4);
    lt_graph *empty = parse_text("other (bool[] c) => (c) { }");
    c = find(empty, "c");
    assert_int_equal(lt_graph_copy_node(empty, LT_MAIN, graph, node_of(graph, "y")->id, &c, &copy, NULL),
                     LATHE_INVALID_ARGUMENT);
    MUST(lt_graph_verify(empty, diag)); /* half a body is freed again */
    lt_graph_destroy(empty);
    lt_graph_destroy(other);
    lt_graph_destroy(clone);
    lt_graph_destroy(graph);
}

static void test_host_input(void **state)
{
    (void)state;
    lt_graph *graph = parse_text("net (f32[4] x, i64[2] shape) => (y) { y = Reshape (x, shape) }");
    MUST(lt_graph_set_host_input(graph, find(graph, "shape"), true, diag));
    assert_prints(graph, "net (f32[4] x, host i64[2] shape) => (f32[shape$0,shape$1] y)\n"
                         "{\n"
                         "  f32[shape$0,shape$1] y = Reshape (x, shape)\n"
                         "}\n");
    REFUSED(graph, LATHE_INVALID_ARGUMENT, lt_graph_rename(graph, find(graph, "shape"), "s", NULL));
    REFUSED(graph, LATHE_INVALID_ARGUMENT, lt_graph_set_host_input(graph, find(graph, "y"), true, NULL));
    lt_graph_destroy(graph);
}

/* Ten thousand nodes: edits and the whole check stay linear. */
static void test_large(void **state)
{
    (void)state;
    lt_graph *graph;
    lt_value_id x, last;
    lt_type type = { .cls = LT_TENSOR, .dtype = LATHE_DTYPE_F32, .rank = 1, .dims = { lt_dim_const(3) } };
    MUST(lt_graph_create(NULL, &graph, diag));
    MUST(lt_graph_add_input(graph, LT_MAIN, "x", &type, &x, diag));
    last = x;
    for (int i = 0; i < 10000; i++) {
        last = add_unary(graph, i % 2 ? "Relu" : "Neg", last, NULL, (lt_node_id){ 0 });
    }
    MUST(lt_graph_add_output(graph, LT_MAIN, last, diag));
    MUST(lt_graph_verify(graph, diag));
    type.dims[0] = lt_dim_const(4); /* flows through all of them */
    MUST(lt_graph_set_type(graph, x, &type, diag));
    assert_true(lt_dim_is(lt_value_get(graph, last)->type.dims[0], 4));
    for (lt_node *node = lt_region_first(graph, LT_MAIN), *next; node != NULL; node = next) {
        next = lt_node_next(graph, node);
        if (lt_node_is(node, "Relu") && next != NULL) {
            lt_value_id out = node->outputs[0];
            MUST(lt_graph_replace_value(graph, out, node->inputs[0], diag));
            MUST(lt_graph_remove_node(graph, node->id, diag));
        }
    }
    MUST(lt_graph_verify(graph, diag));
    assert_int_equal(lt_graph_node_count(graph, LT_MAIN), 5001);
    lt_graph_destroy(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_build),
        cmocka_unit_test(test_refused_nodes),
        cmocka_unit_test(test_replace_output),
        cmocka_unit_test(test_wrap_value),
        cmocka_unit_test(test_types_follow),
        cmocka_unit_test(test_unknowns),
        cmocka_unit_test(test_move),
        cmocka_unit_test(test_constants),
        cmocka_unit_test(test_fold),
        cmocka_unit_test(test_inline),
        cmocka_unit_test(test_remove_with_bodies),
        cmocka_unit_test(test_body_visibility),
        cmocka_unit_test(test_body_types_follow),
        cmocka_unit_test(test_clone_and_copy),
        cmocka_unit_test(test_host_input),
        cmocka_unit_test(test_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
