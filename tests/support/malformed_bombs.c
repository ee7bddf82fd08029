/*
 * malformed_bombs.c - small models that would need terabytes, or forever: sizes that are inputs or attributes, chains that double, functions that call each
 * other twice, bodies and types nested too deep.
 */
#include "support/malformed_internal.h"

/* ---- One operator that makes much of little ---- */

static const struct {
    const char *op;
    const char *sample; /* its initializer n, or this attribute, becomes huge */
    const char *attr;
} bombs[] = {
    { "Expand", "f32[1] x = rand(1), i64[3] n = {2, 3, 4} | y = Expand (x, n)", NULL },
    { "Expand", "f32[1] x = rand(1), i64[1] n = {2} | y = Expand (x, n)", NULL },
    { "Expand", "string[1] x = {\"a\"}, i64[2] n = {2, 3} | y = Expand (x, n)", NULL },
    { "Tile", "f32[2,2] x = rand(1), i64[2] n = {2, 2} | y = Tile (x, n)", NULL },
    { "Tile", "u8[3] x = {1, 2, 3}, i64[1] n = {2} | y = Tile (x, n)", NULL },
    { "ConstantOfShape", "i64[2] n = {2, 3} | y = ConstantOfShape (n)", NULL },
    { "ConstantOfShape", "i64[1] n = {2} | y = ConstantOfShape (n)", NULL },
    { "ConstantOfShape", "i64[5] n = {2, 2, 2, 2, 2} | y = ConstantOfShape (n)", NULL },
    { "ConstantOfShape", "i64[1] n = {2} | s = ConstantOfShape (n); y = NonZero (s)", NULL },
    { "ConstantOfShape", "i64[1] n = {2} | s = ConstantOfShape (n); y = Exp (s)", NULL },
    { "ConstantOfShape", "i64[1] n = {2} | s = ConstantOfShape (n); y = ReduceSum (s)", NULL },
    { "Range", "i64[] a = {0}, i64[] n = {5}, i64[] d = {1} | y = Range (a, n, d)", NULL },
    { "Range", "i64[] n = {5}, i64[] b = {0}, i64[] d = {-1} | y = Range (n, b, d)", NULL },
    { "OneHot", "i64[3] x = {0, 1, 2}, i64[] n = {4}, f32[2] v = {0.0, 1.0} | y = OneHot (x, n, v)", NULL },
    { "Pad", "f32[2] x = rand(1), i64[2] n = {1, 1} | y = Pad (x, n)", NULL },
    { "Pad", "f32[2,2] x = rand(1), i64[4] n = {1, 1, 1, 1} | y = Pad <mode = \"wrap\"> (x, n)", NULL },
    { "Resize", "f32[1,1,2,2] x = rand(1), i64[4] n = {1, 1, 4, 4} | y = Resize (x, \"\", \"\", n)", NULL },
    { "Resize", "f32[2] x = rand(1), i64[1] n = {4} | y = Resize <mode = \"linear\"> (x, \"\", \"\", n)", NULL },
    { "CenterCropPad", "f32[5,4] x = rand(1), i64[2] n = {2, 7} | y = CenterCropPad (x, n)", NULL },
    { "AffineGrid", "f32[2,2,3] t = rand(1), i64[4] n = {2, 3, 4, 5} | y = AffineGrid (t, n)", NULL },
    { "MaxUnpool", "f32[1,1,2,2] x = rand(1), i64[1,1,2,2] i = {5, 7, 13, 15}, i64[4] n = {1, 1, 4, 4} | y = MaxUnpool <kernel_shape = [2, 2], strides = [2, 2]> (x, i, n)",
      NULL },
    { "MaxUnpool", "f32[1,1,2,2] x = rand(1), i64[1,1,2,2] i = {5, 7, 13, 15} | y = MaxUnpool <kernel_shape = [2, 2], strides = [2, 2]> (x, i)", "strides" },
    { "ConvTranspose", "f32[1,1,2,2] x = rand(1), f32[1,1,3,3] w = rand(2) | y = ConvTranspose <strides = [2, 2]> (x, w)", "strides" },
    { "ConvTranspose", "f32[1,1,2,2] x = rand(1), f32[1,1,3,3] w = rand(2) | y = ConvTranspose <dilations = [2, 2]> (x, w)", "dilations" },
    { "ConvTranspose", "f32[1,1,2] x = rand(1), f32[1,1,3] w = rand(2) | y = ConvTranspose <output_shape = [7]> (x, w)", "output_shape" },
    { "Conv", "f32[1,1,4,4] x = rand(1), f32[1,1,3,3] w = rand(2) | y = Conv <pads = [1, 1, 1, 1]> (x, w)", "pads" },
    { "ConvInteger", "u8[1,1,4,4] x = {1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16}, u8[1,1,1,1] w = {3} | y = ConvInteger <pads = [1, 1, 1, 1]> (x, w)", "pads" },
    { "RoiAlign", "f32[1,1,6,7] x = rand(1), f32[1,4] r = {0.0, 0.0, 4.0, 5.0}, i64[1] b = {0} | y = RoiAlign <output_height = 3, output_width = 2> (x, r, b)",
      "output_height" },
    { "RoiAlign", "f32[1,1,6,7] x = rand(1), f32[1,4] r = {0.0, 0.0, 4.0, 5.0}, i64[1] b = {0} | y = RoiAlign <sampling_ratio = 2> (x, r, b)", "sampling_ratio" },
    { "Loop",
      "i64[] n = {4}, bool[] c = {1}, f32[2] x = rand(1) | y, s = Loop <body = graph (i64[] i, bool[] k, f32[2] a) => (bool[] k2, f32[2] b, f32[2] d) { k2 = "
      "Identity (k) b = Add (a, x) d = Neg (a) }> (n, c, x)",
      NULL },
    { "Loop",
      "i64[] n = {4}, bool[] c = {1}, f32[2] x = rand(1) | y = Loop <body = graph (i64[] i, bool[] k, f32[?] a) => (bool[] k2, f32[?] b) { k2 = Identity (k) b = "
      "Concat <axis = 0> (a, a) }> (n, c, x)",
      NULL },
};

static bool make_huge(maker *m, const char *attr, int64_t amount)
{
    for (size_t i = 0; attr == NULL && i < pb_count(m->graph, GRAPH_INITIALIZER); i++) {
        pb_tree *tensor = pb_open(m->graph, GRAPH_INITIALIZER, i);
        pb_item *raw = pb_get(tensor, TENSOR_RAW, 0);
        if (strcmp(pb_text(tensor, TENSOR_NAME, 0), "n") == 0 && raw != NULL) {
            unsigned char *data = lt_arena_copy(&m->arena, raw->data, raw->size, 16);
            for (size_t at = 0; at + sizeof amount <= raw->size; at += sizeof amount) {
                memcpy(data + at, &amount, sizeof amount);
            }
            raw->data = data;
            return true;
        }
    }
    for (size_t i = 0; attr != NULL && i < pb_count(m->node, NODE_ATTR); i++) {
        pb_tree *a = pb_open(m->node, NODE_ATTR, i);
        if (strcmp(pb_text(a, ATTR_NAME, 0), attr) == 0) {
            for (size_t k = 0; k < a->count; k++) {
                if (a->items[k].number == ATTR_I || a->items[k].number == ATTR_INTS) {
                    a->items[k].varint = (uint64_t)amount;
                }
            }
            return true;
        }
    }
    return false;
}

static void drop_bomb(maker *m, size_t i)
{
    static const int64_t amounts[] = { (int64_t)1 << 33, (int64_t)1 << 40, ((int64_t)1 << 31) - 1, (int64_t)1 << 62, INT64_MAX, 3037000500 };
    for (size_t k = 0; k < LT_COUNT(amounts); k++) {
        for (unsigned run = 0; run < 2; run++) {
            bool certain = amounts[k] >= (int64_t)1 << 33;
            if (malformed_open_always(m) && make_huge(m, bombs[i].attr, amounts[k])) {
                malformed_emit(m, "bomb", (certain ? CERTAIN : 0) | (run ? AT_RUN : 0), NULL, "bomb %zu of %lld%s", i, (long long)amounts[k], run ? ", at run" : "");
            }
        }
    }
}

static void drop_bombs(maker *m)
{
    for (size_t i = 0; i < LT_COUNT(bombs); i++) {
        lt_graph *graph = NULL;
        lt_buf bytes, named;
        lt_buf_init(&bytes, NULL);
        lt_buf_init(&named, NULL);
        m->op = lt_op_find("", bombs[i].op);
        if (lt_graph_parse_sample(bombs[i].sample, bombs[i].sample, NULL, &graph, NULL) != LATHE_OK || lt_onnx_export(graph, false, &bytes, NULL) != LATHE_OK) {
            malformed_emit_bytes(m, "bomb", VALID, "", 0, bombs[i].sample); /* refused, and so reported */
        } else {
            m->data = (const unsigned char *)bytes.data;
            m->size = bytes.length;
            malformed_open_always(m);
            pb_set_str(m->node, NODE_NAME, BROKEN);
            pb_write(m->model, &named);
            m->data = (const unsigned char *)named.data;
            m->size = named.length;
            if (malformed_open_always(m)) {
                malformed_emit(m, "bomb", VALID, NULL, "bomb %zu is none yet", i);
            }
            drop_bomb(m, i);
        }
        lt_buf_free(&bytes);
        lt_buf_free(&named);
        lt_graph_destroy(graph);
    }
}

/* ---- Chains ---- */

/* x0 of `size` elements; x1 = op (x0, x0); and so on: Concat doubles, MatMul of a column and a row squares. */
static void drop_chain(maker *m, unsigned steps, int64_t size, bool run)
{
    float *data = calloc((size_t)size, sizeof *data);
    malformed_fresh(m);
    malformed_initializer(m->graph, "x0", LATHE_DTYPE_F32, 1, &size, data, (size_t)size * sizeof *data);
    free(data);
    for (unsigned i = 0; i < steps; i++) {
        char in[32], out[16];
        snprintf(in, sizeof in, "x%u x%u", i, i);
        snprintf(out, sizeof out, "x%u", i + 1);
        malformed_attr_int(malformed_node(m, m->graph, "Concat", "", in, out), "axis", 0);
    }
    char name[16];
    snprintf(name, sizeof name, "x%u", steps);
    malformed_value(m->graph, GRAPH_OUTPUT, name, LATHE_DTYPE_F32, -1, NULL);
    malformed_emit(m, "chain", CERTAIN | (run ? AT_RUN : 0), "Concat", "%u times double %lld%s", steps, (long long)size, run ? ", at run" : "");
}

/* A column and a row of zeros, 2^21 each, meet. */
static void drop_square(maker *m, const char *op, int64_t size)
{
    const int64_t column[] = { size, 1 }, row[] = { 1, size }, two = 2;
    malformed_fresh(m);
    malformed_initializer(m->graph, "column", LATHE_DTYPE_I64, 1, &two, column, sizeof column);
    malformed_initializer(m->graph, "row", LATHE_DTYPE_I64, 1, &two, row, sizeof row);
    malformed_node(m, m->graph, "ConstantOfShape", "", "column", "a");
    malformed_node(m, m->graph, "ConstantOfShape", "", "row", "b");
    malformed_node(m, m->graph, op, "", "a b", "y");
    malformed_value(m->graph, GRAPH_OUTPUT, "y", strcmp(op, "Equal") == 0 || strcmp(op, "Less") == 0 ? LATHE_DTYPE_BOOL : LATHE_DTYPE_F32, -1, NULL);
    malformed_emit(m, "chain", CERTAIN, op, "%s of a column and a row of %lld", op, (long long)size);
}

static void drop_chains(maker *m)
{
    static const char *const ops[] = { "Add", "Mul", "MatMul", "Max", "Pow", "Equal", "Less", "Gemm", "Sum", "Mean" };
    for (unsigned steps = 30; steps <= 60; steps += 10) {
        drop_chain(m, steps, 1, false);
        drop_chain(m, steps, 1, true);
        drop_chain(m, steps, 1024, false);
        drop_chain(m, steps, 1024, true);
    }
    for (size_t i = 0; i < LT_COUNT(ops); i++) {
        drop_square(m, ops[i], 1 << 20);
        drop_square(m, ops[i], 1 << 24);
    }
}

/* `length` nodes in a row; the first reads what is nowhere, or the last one's result: who walks them must not do so by calling itself. */
static void drop_row(maker *m, unsigned length, bool ring)
{
    char in[24] = "nowhere", out[24] = "";
    malformed_fresh(m);
    if (ring) {
        snprintf(in, sizeof in, "x%u", length - 1);
    }
    for (unsigned i = 0; i < length; i++) {
        snprintf(out, sizeof out, "x%u", i);
        malformed_node(m, m->graph, "Neg", "", in, out);
        memcpy(in, out, sizeof in);
    }
    malformed_value(m->graph, GRAPH_OUTPUT, out, LATHE_DTYPE_F32, -1, NULL);
    malformed_emit(m, ring ? "cycle" : "names", CERTAIN, ring ? "Neg" : "nowhere", "%u nodes in a %s", length, ring ? "ring" : "row that begins nowhere");
}

static void drop_rows(maker *m)
{
    static const unsigned lengths[] = { 100, 3000, 20000 };
    for (size_t i = 0; i < LT_COUNT(lengths); i++) {
        drop_row(m, lengths[i], false);
        drop_row(m, lengths[i], true);
    }
}

void malformed_bombs(maker *m)
{
    drop_bombs(m);
    drop_chains(m);
    drop_rows(m);
}

/* ---- Functions ---- */

enum { FUNCTION_NAME = 1, FUNCTION_INPUT = 4, FUNCTION_OUTPUT = 5, FUNCTION_NODE = 7, FUNCTION_OPSET = 9, FUNCTION_DOMAIN = 10 };

static pb_tree *add_function(maker *m, unsigned number)
{
    char name[16];
    pb_tree *function = pb_add_tree(m->model, MODEL_FUNCTION);
    snprintf(name, sizeof name, "F%u", number);
    pb_add_str(function, FUNCTION_NAME, name);
    pb_add_str(function, FUNCTION_INPUT, "v0");
    for (int i = 0; i < 2; i++) {
        pb_tree *opset = pb_add_tree(function, FUNCTION_OPSET);
        pb_add_str(opset, OPSET_DOMAIN, i == 0 ? "" : "local");
        pb_add_int(opset, OPSET_VERSION, i == 0 ? 22 : 1);
    }
    pb_add_str(function, FUNCTION_DOMAIN, "local");
    return function;
}

/* v1 = OP (v0), v2 = OP (v1), ... */
static void add_calls(pb_tree *function, const char *op, unsigned calls)
{
    char in[16], out[16] = "v0";
    for (unsigned i = 0; i < calls; i++) {
        snprintf(in, sizeof in, "v%u", i);
        snprintf(out, sizeof out, "v%u", i + 1);
        pb_tree *node = pb_add_tree(function, FUNCTION_NODE);
        pb_add_str(node, NODE_INPUT, in);
        pb_add_str(node, NODE_OUTPUT, out);
        pb_add_str(node, NODE_OP, op);
        if (op[0] == 'F' && op[1] >= '0' && op[1] <= '9') {
            pb_add_str(node, NODE_DOMAIN, "local");
        }
    }
    pb_add_str(function, FUNCTION_OUTPUT, out);
}

/* `depth` functions, each calls the next `calls` times; the last one is a node, or calls function `back`. */
static void call_functions(maker *m, unsigned depth, unsigned calls, int back)
{
    const int64_t two = 2;
    const float data[2] = { 1, 2 };
    malformed_fresh(m);
    pb_tree *opset = pb_add_tree(m->model, MODEL_OPSET);
    pb_add_str(opset, OPSET_DOMAIN, "local");
    pb_add_int(opset, OPSET_VERSION, 1);
    malformed_initializer(m->graph, "x", LATHE_DTYPE_F32, 1, &two, data, sizeof data);
    malformed_node(m, m->graph, "F0", "local", "x", "y");
    malformed_value(m->graph, GRAPH_OUTPUT, "y", LATHE_DTYPE_F32, 1, &two);
    for (unsigned i = 0; i < depth; i++) {
        char callee[16];
        snprintf(callee, sizeof callee, "F%d", i + 1 < depth ? (int)i + 1 : back);
        add_calls(add_function(m, i), i + 1 < depth || back >= 0 ? callee : "Neg", calls);
    }
    malformed_emit(m, "functions", CERTAIN, NULL, "%u functions, %u calls in each, the last goes back to %d", depth, calls, back);
}

/* ---- Nests ---- */

/* An If in an If, or a Loop in a Loop. */
static void nest_bodies(maker *m, const char *op, unsigned depth)
{
    const unsigned char yes = 1;
    const int64_t one = 1;
    bool is_if = op[0] == 'I';
    malformed_fresh(m);
    malformed_initializer(m->graph, "c", LATHE_DTYPE_BOOL, 0, NULL, &yes, 1);
    malformed_initializer(m->graph, "n", LATHE_DTYPE_I64, 0, NULL, &one, sizeof one);
    pb_tree *graph = m->graph;
    for (unsigned i = 0; i < depth; i++) {
        char in[32], y[16];
        snprintf(y, sizeof y, "y%u", i);
        pb_tree *node = malformed_node(m, graph, op, "", is_if ? "c" : "n c", is_if ? y : "");
        if (!is_if) {
            snprintf(in, sizeof in, "y%u", i);
            pb_add_str(node, NODE_OUTPUT, in);
        }
        malformed_value(graph, GRAPH_OUTPUT, y, LATHE_DTYPE_F32, -1, NULL);
        pb_tree *body = NULL;
        for (int k = 0; k < (is_if ? 2 : 1); k++) {
            pb_tree *attr = pb_add_tree(node, NODE_ATTR);
            pb_add_str(attr, ATTR_NAME, !is_if ? "body" : k == 0 ? "else_branch" : "then_branch");
            pb_add_int(attr, ATTR_TYPE, LATHE_ATTR_GRAPH);
            body = pb_add_tree(attr, ATTR_G);
            pb_add_str(body, GRAPH_NAME, "body");
            if (is_if && k == 0) {
                snprintf(y, sizeof y, "e%u", i);
                malformed_node(m, body, "Cast", "", "c", y);
                pb_tree *cast = pb_open(body, GRAPH_NODE, 0);
                malformed_attr_int(cast, "to", LATHE_DTYPE_F32);
                malformed_value(body, GRAPH_OUTPUT, y, LATHE_DTYPE_F32, -1, NULL);
            }
        }
        if (!is_if) {
            snprintf(in, sizeof in, "i%u", i);
            malformed_value(body, GRAPH_INPUT, in, LATHE_DTYPE_I64, 0, NULL);
            snprintf(in, sizeof in, "c%u", i);
            malformed_value(body, GRAPH_INPUT, in, LATHE_DTYPE_BOOL, 0, NULL);
            malformed_value(body, GRAPH_OUTPUT, in, LATHE_DTYPE_BOOL, 0, NULL);
        }
        graph = body;
    }
    pb_tree *cast = malformed_node(m, graph, "Cast", "", "c", "last");
    malformed_attr_int(cast, "to", LATHE_DTYPE_F32);
    malformed_value(graph, GRAPH_OUTPUT, "last", LATHE_DTYPE_F32, -1, NULL);
    malformed_emit(m, "nest", CERTAIN, "nested", "%u of %s in each other", depth, op);
}

/* The type of an input: sequences of sequences (field 4), optionals (9) or values of maps (5), with the inner one in field 1 or 2. */
static void nest_types(maker *m, uint32_t field, unsigned depth)
{
    malformed_fresh(m);
    pb_tree *value = pb_add_tree(m->graph, GRAPH_INPUT);
    pb_add_str(value, 1, "x");
    pb_tree *type = pb_add_tree(value, 2);
    for (unsigned i = 0; i < depth; i++) {
        pb_tree *inner = pb_add_tree(type, field);
        if (field == 5) {
            pb_add_int(inner, 1, LATHE_DTYPE_I64);
        }
        type = pb_add_tree(inner, field == 5 ? 2 : 1);
    }
    pb_add_int(pb_add_tree(type, 1), 1, LATHE_DTYPE_F32);
    malformed_node(m, m->graph, "Identity", "", "x", "y");
    malformed_value(m->graph, GRAPH_OUTPUT, "y", LATHE_DTYPE_F32, -1, NULL);
    malformed_emit(m, "nest", CERTAIN, "nested", "%u types of field %u in each other", depth, field);
}

void malformed_nests(maker *m)
{
    static const unsigned depths[] = { 65, 80, 100, 200, 400, 800 };
    static const uint32_t fields[] = { 4, 5, 9 };
    for (size_t i = 0; i < LT_COUNT(depths); i++) {
        nest_bodies(m, "If", depths[i]);
        nest_bodies(m, "Loop", depths[i]);
        for (size_t k = 0; k < LT_COUNT(fields); k++) {
            nest_types(m, fields[k], depths[i]);
        }
    }
    for (unsigned depth = 1; depth <= 24; depth += 4) {
        call_functions(m, depth, 2, 0);
        call_functions(m, depth, 1, (int)depth - 1);
        call_functions(m, 24 + depth, 2, -1);
        call_functions(m, 9 + depth / 2, 30, -1);
    }
}
