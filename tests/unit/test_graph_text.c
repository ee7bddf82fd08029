/*
 * test_graph_text.c - the text IR: the files of tests/golden/ir print as they are and read back, odd spellings,
 * elements of every type, and what is refused, with its place.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <dirent.h>

#include "support/graph_text.h"

static const lt_text_options full = { .types = true, .labels = true, .origins = true, .inline_bytes = 64 };

/* Blobs of a graph by hash, as a side store would give them. */
static lt_blob *find_in_graph(void *user, uint64_t hash)
{
    const lt_graph *graph = user;
    const lt_region *init = lt_region_get(graph, LT_INIT);
    for (uint32_t i = 0; i < init->n_inputs; i++) {
        lt_blob *blob = lt_value_get(graph, init->inputs[i])->blob;
        if (lt_blob_hash(blob) == hash) {
            return lt_blob_retain(blob);
        }
    }
    return NULL;
}

/* print(parse(print(g))) == print(g), for the text with and without origins; the clone prints the same. */
static void assert_round_trip(const lt_graph *graph)
{
    for (int i = 0; i < 2; i++) {
        const lt_text_options *options = i == 0 ? &lt_text_canonical : &full;
        char *text = print_with(graph, options);
        lt_graph *again = NULL, *clone = NULL;
        MUST(lt_graph_parse(text, strlen(text), "again", NULL, find_in_graph, (void *)graph, &again, diag));
        MUST(lt_graph_verify(again, diag));
        char *second = print_with(again, options);
        assert_string_equal(text, second);
        MUST(lt_graph_clone(graph, NULL, &clone, diag));
        char *third = print_with(clone, options);
        assert_string_equal(text, third);
        free(text);
        free(second);
        free(third);
        lt_graph_destroy(again);
        lt_graph_destroy(clone);
    }
}

static void prints_as(const char *text, const char *expected)
{
    lt_graph *graph = parse_text(text);
    assert_prints(graph, expected);
    assert_round_trip(graph);
    lt_graph_destroy(graph);
}

/* A page is its input, "# ----", and the full print; a page without the line need only round-trip. */
static void test_pages(void **state)
{
    (void)state;
    DIR *folder = opendir(LATHE_SOURCE_DIR "/tests/golden/ir");
    assert_non_null(folder);
    int pages = 0;
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        char path[512];
        lt_file file;
        if (!lt_glob("*.lathe", entry->d_name)) {
            continue;
        }
        snprintf(path, sizeof path, "%s/%s", LATHE_SOURCE_DIR "/tests/golden/ir", entry->d_name);
        MUST(lt_file_read(&file, path, NULL, diag));
        char *text = strndup((const char *)file.data, file.size), *cut = strstr(text, "\n# ----\n");
        if (cut != NULL) {
            cut[1] = '\0';
        }
        lt_graph *graph = parse_text(text);
        if (cut != NULL) {
            char *printed = print_with(graph, &full);
            assert_string_equal(printed, cut + strlen("\n# ----\n"));
            free(printed);
        }
        assert_round_trip(graph);
        lt_graph_destroy(graph);
        free(text);
        lt_file_close(&file);
        pages++;
    }
    closedir(folder);
    assert_true(pages >= 8);
}

static void test_onnx_spelling(void **state)
{
    (void)state;
    prints_as("<ir_version: 8, opset_import: [\"\" : 17]>\n"
              "agraph (float[N, 128] X, float[128, 10] W, float[10] B) => (float[N, 10] C)\n"
              "<float[2] unused = {1, 2}, float[N,10] T>\n"
              "{\n"
              "    T = MatMul(X, W)\n"
              "    S = Add(T, B)\n"
              "    C = Softmax<axis: int = -1>(S)\n"
              "}\n",
              "agraph (f32[N,128] X, f32[128,10] W, f32[10] B) => (f32[N,10] C)\n"
              "<\n"
              "  f32[2] unused = {1.0, 2.0}\n"
              ">\n"
              "{\n"
              "  f32[N,10] T = MatMul (X, W)\n"
              "  f32[N,10] S = Add (T, B)\n"
              "  f32[N,10] C = Softmax <axis = -1> (S)\n"
              "}\n");
}

static void test_names(void **state)
{
    (void)state;
    prints_as("\"my net\" (f32[\"batch size\"] f32, f32[2] \"in put\") => (\"a\\\"b\\\\\\x07\", host, /x/y:0$a-b)\n"
              "{ [f32] \"a\\\"b\\\\\\x07\" = Relu(f32)  [\"a b\"] f32[2] host = Relu(\"in put\") on host /x/y:0$a-b = "
              "Neg (host) on twin\n"
              "  on = Abs(host) @g4294967295 }",
              "\"my net\" (f32[\"batch size\"] f32, f32[2] \"in put\") => (f32[\"batch size\"] \"a\\\"b\\\\\\x07\", "
              "f32[2] host, f32[2] /x/y:0$a-b)\n"
              "{\n"
              "  [f32] f32[\"batch size\"] \"a\\\"b\\\\\\x07\" = Relu (f32)\n"
              "  [\"a b\"] f32[2] host = Relu (\"in put\")\n"
              "  f32[2] /x/y:0$a-b = Neg (host) on twin\n"
              "  f32[2] on = Abs (host) @g4294967295\n"
              "}\n");
}

static void test_words(void **state)
{
    (void)state;
    prints_as("opset (f32[\"N-1\",N-1] f32, f32[N] a-b) => (seq)\n"
              "{ f32 init = Relu (f32) #a comment\n"
              "  on = Neg (init) on twin\n"
              "  by = Abs (on) @g1\n"
              "  assume = Neg (a-b)\n"
              "  f32[N] seq = Relu (assume) }",
              "opset (f32[\"N-1\",N-1] f32, f32[N] a-b) => (f32[N] seq)\n"
              "{\n"
              "  f32[\"N-1\",N-1] init = Relu (f32)\n"
              "  f32[\"N-1\",N-1] on = Neg (init) on twin\n"
              "  f32[\"N-1\",N-1] by = Abs (on) @g1\n"
              "  f32[N] assume = Neg (a-b)\n"
              "  f32[N] seq = Relu (assume)\n"
              "}\n");
}

static void test_dims(void **state)
{
    (void)state;
    prints_as("dims <N = 1:16, M = 2:>\n"
              "net (f32[N*2+1, M, 3] x, f32[?, ?, 3] z, f32[?7] w) => (y)\n"
              "{ y = Concat <axis = 0> (x, x) }",
              "dims <N = 1:16, M = 2:>\n"
              "net (f32[N*2+1,M,3] x, f32[?0,?1,3] z, f32[?2] w) => (f32[N*4+2,M,3] y)\n"
              "{\n"
              "  f32[N*4+2,M,3] y = Concat <axis = 0> (x, x)\n"
              "}\n");
    /* Unknowns are numbered as they appear, whatever their numbers are in the table. */
    prints_as("net (f32[N] x, f32[?5] u) => (i) { i = NonZero (x)  j = NonZero (u) }",
              "net (f32[N] x, f32[?0] u) => (i64[1,?1] i)\n"
              "{\n"
              "  i64[1,?1] i = NonZero (x)\n"
              "  i64[1,?2] j = NonZero (u)\n"
              "}\n");
    /* A name says nothing about the items of a container: they are unknown, and so they print. */
    prints_as("net (f32[N] x, seq(f32[N,2]) s, opt(seq(f32[2*N])) o) => (f32[N] y) { y = Relu (x) }",
              "net (f32[N] x, seq(f32[?0,2]) s, opt(seq(f32[?1])) o) => (f32[N] y)\n"
              "{\n"
              "  f32[N] y = Relu (x)\n"
              "}\n");
    prints_as("net (f32 x, seq(f32[?,2]) s, opt(f32[3]) o) => (f32 y) { y = Relu (x) }",
              "net (f32 x, seq(f32[?0,2]) s, opt(f32[3]) o) => (f32 y)\n"
              "{\n"
              "  f32 y = Relu (x)\n"
              "}\n");
}

static void test_elements(void **state)
{
    (void)state;
    prints_as("net () => (a)\n"
              "<f32[4] a = {1, -0.0, 1e-5, inf}, f32[3] b = {nan, -inf, nan(0x7fc00001)}, f64[2] c = {0.1, 1e300}, "
              "f16[3] d = {0.1, 65504, nan},\n"
              " bf16[1] e = {3.14159}, i8[2] f = {-128, 127}, u64[1] g = {18446744073709551615}, i64[1] h = "
              "{-9223372036854775808},\n"
              " bool[3] i = {true, 0, 1}, string[2] j = {\"a\", \"\\x00\\xff\"}, c64[1] k = {(1, -0.5)}, i4[3] l = "
              "{-8, 7, 1}, u2[5] m = {0,1,2,3,0},\n"
              " f32 n = 2.5, i64[] o = {7}, f8e4m3fn[2] p = {1, 448}, f16[1] q = {bits(0x7c01)}, i32[0] r = {}, "
              "f4e2m1[2] s = {0.5, 6}>\n"
              "{ }",
              "net () => (f32[4] a)\n"
              "<\n"
              "  f32[4] a = {1.0, -0.0, 1e-05, inf},\n"
              "  f32[3] b = {nan, -inf, nan(0x7fc00001)},\n"
              "  f64[2] c = {0.1, 1e+300},\n"
              "  f16[3] d = {0.099975586, 65504.0, nan},\n"
              "  bf16[1] e = {3.140625},\n"
              "  i8[2] f = {-128, 127},\n"
              "  u64[1] g = {18446744073709551615},\n"
              "  i64[1] h = {-9223372036854775808},\n"
              "  bool[3] i = {true, false, true},\n"
              "  string[2] j = {\"a\", \"\\x00\\xff\"},\n"
              "  c64[1] k = {(1.0, -0.5)},\n"
              "  i4[3] l = {-8, 7, 1},\n"
              "  u2[5] m = {0, 1, 2, 3, 0},\n"
              "  f32[] n = {2.5},\n"
              "  i64[] o = {7},\n"
              "  f8e4m3fn[2] p = {1.0, 448.0},\n"
              "  f16[1] q = {bits(0x7c01)},\n"
              "  i32[0] r = {},\n"
              "  f4e2m1[2] s = {0.5, 6.0}\n"
              ">\n"
              "{\n"
              "}\n");
}

static void test_generators(void **state)
{
    (void)state;
    lt_graph *graph = parse_text("net () => (c) <f32[3,5] a = rand(12), f32[2,3] b = {2,2,2,2,2,2}, i64[100] c = iota, "
                                 "f64[20] d = splat(-0.5), i4[7] e = splat(3),\n"
                                 " u8[200] f = rand(3), bool[70] g = splat(true), f16[9] h = iota>\n{ }");
    assert_prints(graph, "net () => (i64[100] c)\n"
                         "<\n"
                         "  f32[3,5] a = rand(12),\n"
                         "  f32[2,3] b = splat(2.0),\n"
                         "  i64[100] c = iota,\n"
                         "  f64[20] d = splat(-0.5),\n"
                         "  i4[7] e = splat(3),\n"
                         "  u8[200] f = rand(3),\n"
                         "  bool[70] g = splat(true),\n"
                         "  f16[9] h = iota\n"
                         ">\n"
                         "{\n"
                         "}\n");
    assert_round_trip(graph);
    lt_graph_destroy(graph);
}

static void test_blobs(void **state)
{
    (void)state;
    lt_graph *graph = parse_text("net () => (a) <f32[17] a = {1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,18}>\n{ }");
    char *text = print_text(graph);
    assert_non_null(strstr(text, "f32[17] a = blob(0x"));
    assert_round_trip(graph);
    /* Without the store the text is refused; with other data under the hash too. */
    lt_graph *again;
    assert_int_equal(lt_graph_parse(text, strlen(text), "t", NULL, NULL, NULL, &again, NULL), LATHE_BAD_MODEL);
    free(text);
    lt_text_options options = lt_text_canonical;
    options.inline_bytes = 68;
    text = print_with(graph, &options);
    assert_null(strstr(text, "blob"));
    free(text);
    lt_graph_destroy(graph);
}

static void test_attributes(void **state)
{
    (void)state;
    prints_as("net (f32[2,3] x) => (c)\n"
              "{\n"
              "  a = LeakyRelu (x) <alpha: float = 1>\n" /* behind the inputs, and a whole number */
              "  b = Elu <alpha = 2> (a)\n"              /* the schema says float */
              "  c = Selu <gamma = inf> (b)\n"
              "  k = Constant <value = f32[2] {1, 2}> ()\n"
              "  s = Constant <value_string = \"a\\x0ab\"> ()\n"
              "  i = Constant <value_ints : ints = []> ()\n"
              "  o = Optional <type = seq(f32[N])> ()\n"
              "  j = Constant <value_floats = [1, 2]> ()\n"
              "}",
              "net (f32[2,3] x) => (f32[2,3] c)\n"
              "{\n"
              "  f32[2,3] a = LeakyRelu <alpha = 1.0> (x)\n"
              "  f32[2,3] b = Elu <alpha = 2.0> (a)\n"
              "  f32[2,3] c = Selu <gamma = inf> (b)\n"
              "  f32[2] k = Constant <value = f32[2] {1.0, 2.0}> ()\n"
              "  string[] s = Constant <value_string = \"a\\x0ab\"> ()\n"
              "  i64[0] i = Constant <value_ints : ints = []> ()\n"
              "  opt(seq(f32[N])) o = Optional <type = seq(f32[N])> ()\n"
              "  f32[2] j = Constant <value_floats = [1.0, 2.0]> ()\n"
              "}\n");
}

static void test_optional_values(void **state)
{
    (void)state;
    prints_as("net (f32[4] x, f32[] hi, i64[1] k, f32[1,1,4] z) => (y) { y = Clip (x, , hi)  \"\", idx = TopK (x, k)  "
              "m, \"\" = MaxPool <kernel_shape = [2]> (z) }",
              "net (f32[4] x, f32[] hi, i64[1] k, f32[1,1,4] z) => (f32[4] y)\n"
              "{\n"
              "  f32[4] y = Clip (x, \"\", hi)\n"
              "  f32[?0] TopK.1, i64[?0] idx = TopK (x, k)\n"
              "  f32[1,1,3] m, \"\" = MaxPool <kernel_shape = [2]> (z)\n"
              "}\n");
}

static void check_error(const char *text, lathe_status status, const char *place, const char *part)
{
    lt_graph *graph = (lt_graph *)&status;
    lathe_diag *diag = lathe_diag_create(NULL);
    lathe_status got = lt_graph_parse(text, strlen(text), "f", NULL, NULL, NULL, &graph, diag);
    bool found = false;
    for (size_t i = 0; i < lathe_diag_count(diag); i++) {
        lathe_diag_record record = { .struct_size = sizeof record };
        lathe_diag_at(diag, i, &record);
        found = found || (strncmp(record.where, place, strlen(place)) == 0 &&
                          (strstr(record.text, part) != NULL || strstr(record.advice, part) != NULL));
    }
    if (got != status || !found) {
        fprintf(stderr, "for: %s\nwanted %s: %s\n", text, place, part);
        show_diag(diag);
    }
    lathe_diag_destroy(diag);
    assert_int_equal(got, status);
    assert_null(graph);
    assert_true(found);
}

static void test_errors(void **state)
{
    (void)state;
    check_error("", LATHE_BAD_MODEL, "f:1:1", "found the end of the text");
    check_error("net (f32[2] x) => (y)\n{ y = Relux (x) }", LATHE_BAD_MODEL, "f:2:7", "did you mean 'Relu'?");
    check_error("net (f32[2] x) => (y)\n{ y = Relu (z) }", LATHE_BAD_MODEL, "f:2:13", "there is no value 'z'");
    check_error("net (f32[2] x) => (y)\n{ y = Relu (y) }", LATHE_BAD_MODEL, "f:2:13", "there is no value 'y'");
    check_error("net (f32[2] x) => (z)\n{ y = Relu (x) }", LATHE_BAD_MODEL, "f:1:20", "there is no value 'z'");
    check_error("net (f32[2] x) => (y)\n{ x = Relu (x) }", LATHE_BAD_MODEL, "f:2:3", "the name 'x' is taken");
    check_error("net (f32[2] x) => (y)\n{ y, y = Split <num_outputs = 2> (x) }", LATHE_BAD_MODEL, "f:2:6",
                "the name 'y' is taken");
    check_error("net (f32[2] x) => (y)\n{\n  f32[3] y = Relu (x) }", LATHE_BAD_MODEL, "f:3:3",
                "'y' is written as f32[3] but is f32[2]");
    check_error("net (f32[N] x) => (f32[M] y)\n{ y = Relu (x) }", LATHE_BAD_MODEL, "f:1:20",
                "is written as f32[M] but is f32[N]");
    check_error("net (f32[2] x) => (y)\n{ y = Relu (x }", LATHE_BAD_MODEL, "f:2:15", "expected ')', found '}'");
    check_error("net (f32[2] x) => (y)\n{ y = Relu (x)", LATHE_BAD_MODEL, "f:2:15", "end of the text");
    check_error("net (f32[2] x) => (y)\n{ y = Relu (x) } z", LATHE_BAD_MODEL, "f:2:18", "expected the end of the text");
    check_error("net (x) => (x) { }", LATHE_BAD_MODEL, "f:1:6", "has no type");
    check_error("net (f32[-2] x) => (x) { }", LATHE_BAD_MODEL, "f:1:10", "expected a dimension");
    check_error("net (f32[2 x) => (x) { }", LATHE_BAD_MODEL, "f:1:12", "expected ']'");
    check_error("net (f32[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1] x) => (x) { }", LATHE_UNSUPPORTED, "f:1",
                "more than 16 dimensions");
    check_error("net () => (a) <f32[2] a = {1}> { }", LATHE_BAD_MODEL, "f:1:29", "expected ','");
    check_error("net () => (a) <f32[2] a = {1, 2, 3}> { }", LATHE_BAD_MODEL, "f:1:32", "expected '}'");
    check_error("net () => (a) <i8[1] a = {128}> { }", LATHE_BAD_MODEL, "f:1:27", "128 does not fit i8");
    check_error("net () => (a) <u8[1] a = {-1}> { }", LATHE_BAD_MODEL, "f:1:27", "-1 does not fit u8");
    check_error("net () => (a) <i8[1] a = {1.5}> { }", LATHE_BAD_MODEL, "f:1:27", "expected an element of type i8");
    check_error("net () => (a) <f32[N] a = {1}> { }", LATHE_BAD_MODEL, "f:1", "fixed dimensions");
    check_error("net () => (a) <f32[1000000000000] a = {1}> { }", LATHE_BAD_MODEL, "f:1", "does not fit into the text");
    check_error("net () => (a) <f32[1000000000] a = rand(1)> { }", LATHE_UNSUPPORTED, "f:1", "more than 1 GiB");
    check_error("net () => (a) <f32[9223372036854775807,2] a = splat(1)> { }", LATHE_OVERFLOW, "f:1", "overflows");
    check_error("net () => (a) <string[2] a = rand(1)> { }", LATHE_UNSUPPORTED, "f:1:30", "does not make string");
    check_error("net () => (a) <f32[2] a = blob(0x12)> { }", LATHE_BAD_MODEL, "f:1",
                "blob(0x0000000000000012) is not at hand");
    check_error("net (f32[2] x) => (\"a) { }", LATHE_BAD_MODEL, "f:1:20", "does not end");
    check_error("net (f32[2] x) => (\"\\q\") { }", LATHE_BAD_MODEL, "f:1:21", "unknown escape");
    check_error("net (f32[2] \"\\x00\") => () { }", LATHE_BAD_MODEL, "f:1:13", "zero byte");
    check_error("opset 12 net (f32[2] x) => (x) { }", LATHE_UNSUPPORTED, "f:1:6", "opset 12");
    check_error("dims <N = 5:2> net (f32[N] x) => (x) { }", LATHE_BAD_MODEL, "f:1", "the range 5:2");
    check_error("net (f32[2] x) => (y) { y = LeakyRelu <alpha = \"a\"> (x) }", LATHE_BAD_MODEL, "f:1:25: node 'y'",
                "attribute 'alpha'");
    check_error("net (f32[2] x) => (y) { y = LeakyRelu <alpha : blob = 1> (x) }", LATHE_BAD_MODEL, "f:1:48",
                "the kind of an attribute");
    check_error("net (f32[2] x) => (y) { y = LeakyRelu <beta = 1> (x) }", LATHE_BAD_MODEL, "f:1:25: node 'y'",
                "no attribute 'beta'");
    check_error("net (f32[2] x) => (y) { y = Foo <a = []> (x) }", LATHE_BAD_MODEL, "f:1:29", "no operator 'Foo'");
    check_error("net (f32[2] x) => (y) { y = Transpose <perm = [1, \"a\"]> (x) }", LATHE_BAD_MODEL, "f:1",
                "different kinds");
    check_error("net (f32[2] x) => (y) { y = Relu (x) @h }", LATHE_BAD_MODEL, "f:1:39", "a group such as g3");
    check_error("net (f32[2] x) => (y) { y = Relu (x) on mars }", LATHE_BAD_MODEL, "f:1:41", "a device");
    check_error("net (f32[2] x) => (y) { y = Relu (x) #3 }", LATHE_BAD_MODEL, "f:1:38", "there is no origin 3");
    check_error("net (f32[2] x) => (y) origins { #1 Relu } { y = Relu (x) }", LATHE_BAD_MODEL, "f:1:33",
                "origin 1 stands where 0 is due");
    check_error("net (f32[2] x) => (y) init { y = Relu (x) } { }", LATHE_BAD_MODEL, "f:1:30: node 'y'",
                "is not visible");
    check_error("net (f32[2] x) => (y, ) { y = Relu (x) }", LATHE_BAD_MODEL, "f:1:23", "there is no value ''");
    check_error("net (f32[2] x, ) => (y) { y = Relu (x) }", LATHE_BAD_MODEL, "f:1:16", "has an empty name");
    check_error("net (bool[] c, f32[2] x) => (y) { y = If <then_branch = g () => (a) captures (c) { a = Relu (x) }, "
                "else_branch = g () => (x) { }> (c) }",
                LATHE_BAD_MODEL, "f:1", "the body reads 'x', which is not listed");
    check_error("net (bool[] c, f32[2] x) => (y) { y = If <then_branch = g () => (a) captures (c, x) { a = Relu (x) }, "
                "else_branch = g () => (x) { }> (c) }",
                LATHE_BAD_MODEL, "f:1:79", "the body does not read 'c'");
    check_error("net (bool[] c, f32[2] x) => (y) { y = If <then_branch = g () => (a) { a = Relu (x) }, else_branch = g "
                "() => (b) { b = Relu (a) }> (c) }",
                LATHE_BAD_MODEL, "f:1:35: node 'y'", "a body reads 'a'");
    check_error("net (bool[] c, f32[2] x) => (y) { y = If <then_branch = g () => (a) { a = Relu (x) }> (c) }",
                LATHE_BAD_MODEL, "f:1:35: node 'y'", "else_branch");
}

/* Nesting of every kind ends in a named error, and soon. */
static void test_deep(void **state)
{
    (void)state;
    enum { DEPTH = 100000 };
    char *text = malloc((size_t)DEPTH * 80 + 100), *at;
    at = stpcpy(text, "net (");
    for (int i = 0; i < DEPTH; i++) {
        at = stpcpy(at, "seq(");
    }
    check_error(text, LATHE_UNSUPPORTED, "f:1", "nested deeper than 64");
    at = stpcpy(text, "net (f32[");
    for (int i = 0; i < DEPTH; i++) {
        at = stpcpy(at, "(");
    }
    check_error(text, LATHE_UNSUPPORTED, "", "nested deeper");
    at = stpcpy(text, "net (bool[] c) => (y) {");
    for (int i = 0; i < DEPTH; i++) {
        at += sprintf(at, "y%d = If <then_branch = g () => () { ", i);
    }
    check_error(text, LATHE_UNSUPPORTED, "f:1", "nested deeper than 64");
    memset(text, '<', DEPTH);
    text[DEPTH] = '\0';
    check_error(text, LATHE_BAD_MODEL, "f:1", "end of the text");
    memset(text, '[', DEPTH);
    memcpy(text, "net (f32[1] x) => (x) { x = Relu <a = ", 38);
    check_error(text, LATHE_BAD_MODEL, "f:1", "expected a number");
    free(text);
}

static void test_sample(void **state)
{
    (void)state;
    lt_graph *graph;
    MUST(lt_graph_parse_sample("f32[2,3] x = rand(1), f32[3] b = iota | y = Add (x, b)", "s", NULL, &graph, diag));
    assert_int_equal(lt_region_get(graph, LT_MAIN)->n_inputs, 0);
    assert_int_equal(lt_region_get(graph, LT_MAIN)->n_outputs, 1);
    assert_round_trip(graph);
    lt_graph_destroy(graph);
    MUST(lt_graph_parse_sample("i64[1] k = {2}, f32[4] x = iota | v, i = TopK (x, k)", "s", NULL, &graph, diag));
    assert_int_equal(lt_region_get(graph, LT_MAIN)->n_outputs, 2);
    lt_graph_destroy(graph);
    assert_int_equal(lt_graph_parse_sample("f32[2] x = rand(1) |", "s", NULL, &graph, NULL), LATHE_BAD_MODEL);
}

/* All samples of all operators print, read back, verify; a value of each class passes through the printer. */
static void test_all_samples(void **state)
{
    (void)state;
    size_t count = 0;
    for (size_t i = 0; lt_op_at(i) != NULL; i++) {
        const lt_op *op = lt_op_at(i);
        for (size_t k = 0; op->samples != NULL && op->samples[k] != NULL; k++) {
            lt_graph *graph = NULL;
            MUST(lt_graph_parse_sample(op->samples[k], op->name, NULL, &graph, diag));
            MUST(lt_graph_verify(graph, diag));
            assert_round_trip(graph);
            lt_graph_destroy(graph);
            count++;
        }
    }
    assert_true(count > 100);
}

static void test_hash(void **state)
{
    (void)state;
    lt_graph *a = parse_text("net (f32[2] x) => (y) { y = Relu (x) }"),
             *b = parse_text("# same\nnet(f32[2]x)=>(y){ y=Relu(x) }"),
             *c = parse_text("net (f32[2] x) => (y) { y = Neg (x) }");
    uint64_t ha, hb, hc;
    MUST(lt_graph_hash(a, &ha, diag));
    MUST(lt_graph_hash(b, &hb, diag));
    MUST(lt_graph_hash(c, &hc, diag));
    assert_true(ha == hb && ha != hc);
    lt_graph_destroy(a);
    lt_graph_destroy(b);
    lt_graph_destroy(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pages),           cmocka_unit_test(test_onnx_spelling), cmocka_unit_test(test_names),
        cmocka_unit_test(test_words),           cmocka_unit_test(test_dims),          cmocka_unit_test(test_elements),
        cmocka_unit_test(test_generators),      cmocka_unit_test(test_blobs),         cmocka_unit_test(test_attributes),
        cmocka_unit_test(test_optional_values), cmocka_unit_test(test_errors),        cmocka_unit_test(test_deep),
        cmocka_unit_test(test_sample),          cmocka_unit_test(test_all_samples),   cmocka_unit_test(test_hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
