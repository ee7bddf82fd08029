/*
 * malformed_graphs.c - breaks models as a whole: headers, opsets, outputs, the bytes of the file, and the bodies of If, Loop and Scan.
 */
#include "support/malformed_internal.h"

/* ---- Headers ---- */

static void set_opset(maker *m, int64_t version)
{
    for (size_t i = pb_count(m->model, MODEL_OPSET); i-- > 0;) {
        pb_tree *opset = pb_open(m->model, MODEL_OPSET, i);
        if (strcmp(pb_text(opset, OPSET_DOMAIN, 0), lt_op_domain(m->op)) == 0) {
            pb_set_int(opset, OPSET_VERSION, version);
        }
    }
}

static void break_opset(maker *m)
{
    static const int64_t versions[] = { 99, 0, -1, INT64_MAX, INT64_MIN };
    for (size_t i = 0; i < LT_COUNT(versions); i++) {
        if (lt_op_domain(m->op)[0] == '\0' && malformed_open(m)) {
            set_opset(m, versions[i]);
            malformed_emit(m, "opset", CERTAIN, "opset", "opset %lld", (long long)versions[i]);
        }
    }
    if (m->op->since > 1 && lt_op_domain(m->op)[0] == '\0' && malformed_open(m)) {
        set_opset(m, 1);
        malformed_emit(m, "opset", 0, NULL, "opset 1");
    }
    if (malformed_open(m)) {
        pb_clear(m->model, MODEL_OPSET);
        malformed_emit(m, "opset", CERTAIN, "opset", "no opset");
    }
    if (malformed_open(m)) {
        pb_tree *opset = pb_add_tree(m->model, MODEL_OPSET);
        pb_add_str(opset, OPSET_DOMAIN, lt_op_domain(m->op));
        pb_add_int(opset, OPSET_VERSION, 3);
        malformed_emit(m, "opset", CERTAIN, "versions", "two opsets of one domain");
    }
}

static void break_header(maker *m)
{
    if (malformed_open(m)) {
        pb_clear(m->model, MODEL_IR);
        malformed_emit(m, "header", CERTAIN | ANYWHERE, NULL, "no IR version");
    }
    if (malformed_open(m)) {
        pb_set_int(m->model, MODEL_IR, 1000);
        malformed_emit(m, "header", CERTAIN | ANYWHERE, NULL, "IR version 1000");
    }
    if (malformed_open(m)) {
        pb_clear(m->model, MODEL_GRAPH);
        malformed_emit(m, "header", CERTAIN | ANYWHERE, NULL, "no graph");
    }
    if (malformed_open(m)) {
        pb_add_copy(m->model, MODEL_GRAPH, m->graph);
        malformed_emit(m, "header", CERTAIN | ANYWHERE, NULL, "two graphs");
    }
}

/* ---- Outputs and initializers ---- */

static void break_outputs(maker *m)
{
    if (malformed_open(m)) {
        pb_clear(m->graph, GRAPH_OUTPUT);
        malformed_emit(m, "graph outputs", CERTAIN, "outputs", "none");
    }
    if (malformed_open(m)) {
        pb_set_str(pb_open(m->graph, GRAPH_OUTPUT, 0), 1, "nowhere");
        malformed_emit(m, "graph outputs", CERTAIN, "nowhere", "one is nowhere");
    }
    if (malformed_open(m)) {
        pb_add_copy(m->graph, GRAPH_OUTPUT, pb_open(m->graph, GRAPH_OUTPUT, 0));
        malformed_emit(m, "graph outputs", CERTAIN, pb_text(pb_open(m->graph, GRAPH_OUTPUT, 0), 1, 0), "one is given twice");
    }
    if (malformed_open(m)) {
        pb_tree *type = pb_open(pb_open(m->graph, GRAPH_OUTPUT, 0), 2, 0), *tensor = pb_open(type, 1, 0);
        if (tensor != NULL) {
            pb_set_int(tensor, 1, pb_int(tensor, 1, 0) == LATHE_DTYPE_F64 ? LATHE_DTYPE_I16 : LATHE_DTYPE_F64);
            malformed_emit(m, "graph outputs", CERTAIN, pb_text(pb_open(m->graph, GRAPH_OUTPUT, 0), 1, 0), "one is declared with another type");
        }
    }
    if (malformed_open(m) && pb_count(m->graph, GRAPH_INITIALIZER) > 0) {
        pb_add_copy(m->graph, GRAPH_INITIALIZER, pb_open(m->graph, GRAPH_INITIALIZER, 0));
        malformed_emit(m, "names", CERTAIN, pb_text(pb_open(m->graph, GRAPH_INITIALIZER, 0), TENSOR_NAME, 0), "an initializer is given twice");
    }
    if (malformed_open(m) && pb_count(m->graph, GRAPH_INITIALIZER) > 0) {
        const char *old = pb_text(pb_open(m->graph, GRAPH_INITIALIZER, 0), TENSOR_NAME, 0);
        pb_set_str(pb_open(m->graph, GRAPH_INITIALIZER, 0), TENSOR_NAME, pb_text(m->node, NODE_OUTPUT, 0));
        malformed_emit(m, "names", CERTAIN, old, "an initializer has the name of a result");
    }
    if (malformed_open(m) && pb_count(m->graph, GRAPH_INITIALIZER) > 0) {
        pb_clear(pb_open(m->graph, GRAPH_INITIALIZER, 0), TENSOR_NAME);
        malformed_emit(m, "names", CERTAIN, "initializer", "an initializer without a name");
    }
}

void malformed_graphs(maker *m)
{
    if (malformed_draw(m, 2) == 0) {
        break_opset(m);
        break_header(m);
    }
    break_outputs(m);
}

/* ---- Bytes ---- */

static void cut_file(maker *m)
{
    size_t outside = 0; /* bytes before the graph's */
    malformed_open_always(m);
    for (size_t i = 0; i < m->model->count && m->model->items[i].number != MODEL_GRAPH; i++) {
        outside += 2 + (m->model->items[i].type == LT_WIRE_BYTES ? m->model->items[i].size : 0);
    }
    for (int i = 0; i < 3; i++) {
        char what[64];
        size_t end = pb_get(m->model, MODEL_GRAPH, 0)->size + outside, cut = outside + 4 + malformed_draw(m, (uint32_t)(end - outside - 4));
        if (malformed_draw(m, m->options->share) == 0) {
            snprintf(what, sizeof what, "only the first %zu of %zu bytes", cut, m->size);
            malformed_emit_bytes(m, "cut file", CERTAIN, m->data, cut, what);
        }
    }
}

static void damage_bytes(maker *m)
{
    for (int i = 0; i < 8; i++) {
        char what[64];
        if (malformed_draw(m, m->options->share) != 0) {
            continue;
        }
        lt_arena_reset(&m->arena);
        unsigned char *copy = lt_arena_copy(&m->arena, m->data, m->size, 16);
        size_t at = malformed_draw(m, (uint32_t)m->size);
        copy[at] ^= (unsigned char)(1u << malformed_draw(m, 8));
        snprintf(what, sizeof what, "byte %zu is 0x%02x", at, copy[at]);
        malformed_emit_bytes(m, "flipped bit", 0, copy, m->size, what);
    }
}

void malformed_bytes(maker *m)
{
    cut_file(m);
    damage_bytes(m);
}

/* ---- Bodies ---- */

static void break_body(maker *m, size_t i)
{
    static const char *const what[] = { "lost its outputs", "has an input more", "reads what is nowhere", "reads itself", "gives an output twice", "is empty",
                                        "has an unknown operator" };
    for (size_t k = 0; k < LT_COUNT(what) && malformed_open_always(m); k++) {
        pb_tree *attr = pb_open(m->node, NODE_ATTR, i), *body = pb_open(attr, ATTR_G, 0), *first;
        if (body == NULL) {
            return;
        }
        first = pb_open(body, GRAPH_NODE, 0);
        if (first == NULL && k >= 2) {
            continue;
        }
        switch (k) {
        case 0:
            pb_clear(body, GRAPH_OUTPUT);
            break;
        case 1:
            malformed_value(body, GRAPH_INPUT, "one.more", LATHE_DTYPE_F32, 0, NULL);
            break;
        case 2:
            pb_put_str(first, NODE_INPUT, 0, "nowhere");
            break;
        case 3:
            pb_put_str(first, NODE_INPUT, 0, pb_text(first, NODE_OUTPUT, 0));
            break;
        case 4:
            pb_add_copy(body, GRAPH_OUTPUT, pb_open(body, GRAPH_OUTPUT, 0));
            break;
        case 5:
            body->count = 0;
            break;
        default:
            pb_set_str(first, NODE_OP, "Nothing");
            break;
        }
        /* A branch that a constant condition never takes may be wrong. */
        malformed_emit(m, "body", strcmp(m->op->name, "If") != 0 ? CERTAIN : 0, k == 2 ? "nowhere" : k == 6 ? "Nothing" : pb_text(attr, ATTR_NAME, 0), "%s %s", pb_text(attr, ATTR_NAME, 0), what[k]);
    }
}

void malformed_bodies(maker *m)
{
    size_t count = malformed_open_always(m) ? pb_count(m->node, NODE_ATTR) : 0;
    for (size_t i = 0; i < count; i++) {
        break_body(m, i);
    }
}
