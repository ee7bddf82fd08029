/*
 * malformed_nodes.c - breaks nodes: names, numbers of inputs and outputs, operators, domains; and their attributes: kinds, values, presence.
 */
#include "support/malformed_internal.h"

#include <limits.h>
#include <math.h>

/* ---- Inputs and outputs ---- */

static void break_inputs(maker *m)
{
    int min_in, max_in, min_out, max_out;
    lt_op_arity(m->op, &min_in, &max_in, &min_out, &max_out);
    if (min_in > 0 && malformed_open_always(m)) {
        while (pb_count(m->node, NODE_INPUT) >= (size_t)min_in) {
            pb_remove(m->node, NODE_INPUT, pb_count(m->node, NODE_INPUT) - 1);
        }
        malformed_emit(m, "inputs", CERTAIN, NULL, "one too few");
    }
    if (max_in < INT_MAX && malformed_open_always(m)) {
        while (pb_count(m->node, NODE_INPUT) <= (size_t)max_in) {
            pb_add_str(m->node, NODE_INPUT, min_in > 0 ? pb_text(m->node, NODE_INPUT, 0) : pb_text(m->node, NODE_OUTPUT, 0));
        }
        malformed_emit(m, "inputs", CERTAIN, NULL, "one too many");
    }
    for (int i = 0; i < min_in && i < 3 && malformed_open_always(m); i++) {
        pb_put_str(m->node, NODE_INPUT, (size_t)i, "");
        malformed_emit(m, "inputs", lt_op_domain(m->op)[0] == '\0' ? CERTAIN : 0, NULL, "input %d is absent", i); /* zero points of com.microsoft may be */
    }
    for (int i = 0; i < min_in && i < 3 && malformed_open_always(m); i++) {
        pb_put_str(m->node, NODE_INPUT, (size_t)i, "nowhere");
        malformed_emit(m, "names", CERTAIN, "nowhere", "input %d is nowhere", i);
    }
    if (max_out < INT_MAX && malformed_open_always(m)) {
        for (int i = 0; pb_count(m->node, NODE_OUTPUT) <= (size_t)max_out; i++) {
            char name[24];
            snprintf(name, sizeof name, "extra%d", i);
            pb_add_str(m->node, NODE_OUTPUT, name);
        }
        malformed_emit(m, "outputs", CERTAIN, NULL, "one too many");
    }
    if (malformed_open_always(m)) {
        pb_clear(m->node, NODE_OUTPUT);
        malformed_emit(m, "outputs", CERTAIN, NULL, "none");
    }
}

static void break_names(maker *m)
{
    if (malformed_open(m)) {
        char *y = lt_arena_str(&m->arena, pb_text(m->node, NODE_OUTPUT, 0));
        malformed_node(m, m->graph, "Identity", "", "nowhere", y);
        malformed_emit(m, "names", CERTAIN, y, "%s is given by two nodes", y);
    }
    if (malformed_open(m) && pb_count(m->node, NODE_OUTPUT) > 1 && pb_text(m->node, NODE_OUTPUT, 0)[0] != '\0') {
        pb_put_str(m->node, NODE_OUTPUT, 1, pb_text(m->node, NODE_OUTPUT, 0));
        malformed_emit(m, "names", CERTAIN, pb_text(m->node, NODE_OUTPUT, 0), "two outputs of one name");
    }
    if (malformed_open(m) && pb_count(m->node, NODE_INPUT) > 0) {
        pb_put_str(m->node, NODE_INPUT, 0, pb_text(m->node, NODE_OUTPUT, 0));
        malformed_emit(m, "cycle", CERTAIN, pb_text(m->node, NODE_OUTPUT, 0), "the node reads its own result");
    }
    if (malformed_open(m) && pb_count(m->node, NODE_INPUT) > 0) {
        char *y = lt_arena_str(&m->arena, pb_text(m->node, NODE_OUTPUT, 0));
        pb_put_str(m->node, NODE_INPUT, 0, "ring.2");
        malformed_node(m, m->graph, "Identity", "", "ring.1", "ring.2");
        malformed_node(m, m->graph, "Identity", "", y, "ring.1");
        malformed_emit(m, "cycle", CERTAIN, y, "a ring of three nodes");
    }
}

static void break_operator(maker *m)
{
    if (malformed_open(m)) {
        char name[200];
        snprintf(name, sizeof name, "%sy", m->op->name);
        pb_set_str(m->node, NODE_OP, name);
        malformed_emit(m, "operator", CERTAIN, name, "an operator that nobody knows");
    }
    if (malformed_open(m)) {
        pb_clear(m->node, NODE_OP);
        malformed_emit(m, "operator", CERTAIN, NULL, "no operator");
    }
    if (malformed_open(m)) {
        pb_set_str(m->node, NODE_DOMAIN, "com.example.nowhere");
        malformed_emit(m, "domain", CERTAIN, "com.example.nowhere", "a domain without an opset");
    }
    if (malformed_open(m)) {
        pb_set_str(m->node, NODE_DOMAIN, "com.example.nowhere");
        pb_tree *opset = pb_add_tree(m->model, MODEL_OPSET);
        pb_add_str(opset, OPSET_DOMAIN, "com.example.nowhere");
        pb_add_int(opset, OPSET_VERSION, 1);
        malformed_emit(m, "domain", CERTAIN, "com.example.nowhere", "an unknown domain");
    }
}

void malformed_nodes(maker *m)
{
    break_inputs(m);
    break_names(m);
    break_operator(m);
}

/* ---- Attributes ---- */

static const char *const kind_names[] = { "none", "float", "int", "string", "tensor", "graph", "floats", "ints", "strings" };

/* An attribute of a kind with some value in it. */
static pb_tree *add_attr(maker *m, const char *name, lathe_attr_kind kind)
{
    pb_tree *attr = pb_add_tree(m->node, NODE_ATTR);
    pb_add_str(attr, ATTR_NAME, name);
    switch (kind) {
    case LATHE_ATTR_FLOAT:
        pb_add_f32(attr, ATTR_F, 1);
        break;
    case LATHE_ATTR_INT:
        pb_add_int(attr, ATTR_I, 1);
        break;
    case LATHE_ATTR_STRING:
        pb_add_str(attr, ATTR_S, "no such thing");
        break;
    case LATHE_ATTR_FLOATS:
        pb_add_f32(attr, ATTR_FLOATS, 1);
        break;
    case LATHE_ATTR_INTS:
        pb_add_int(attr, ATTR_INTS, 1);
        break;
    default:
        pb_add_str(attr, ATTR_STRINGS, "no such thing");
        break;
    }
    pb_add_int(attr, ATTR_TYPE, kind);
    return attr;
}

static void drop_attr(maker *m, const char *name)
{
    for (size_t i = pb_count(m->node, NODE_ATTR); i-- > 0;) {
        if (strcmp(pb_text(pb_open(m->node, NODE_ATTR, i), ATTR_NAME, 0), name) == 0) {
            pb_remove(m->node, NODE_ATTR, i);
        }
    }
}

static void break_kind(maker *m, const lt_attr_spec *spec)
{
    static const lathe_attr_kind kinds[] = { LATHE_ATTR_FLOAT, LATHE_ATTR_INT, LATHE_ATTR_STRING, LATHE_ATTR_FLOATS, LATHE_ATTR_INTS, LATHE_ATTR_STRINGS };
    for (size_t k = 0; k < LT_COUNT(kinds); k++) {
        if (kinds[k] != spec->kind && malformed_open(m)) {
            drop_attr(m, spec->name);
            add_attr(m, spec->name, kinds[k]);
            malformed_emit(m, "attribute kind", CERTAIN, spec->name, "%s is of kind %s", spec->name, kind_names[kinds[k]]);
        }
    }
    if (spec->required && malformed_open_always(m)) {
        drop_attr(m, spec->name);
        malformed_emit(m, "attribute missing", CERTAIN, spec->name, "%s is not given", spec->name);
    }
    if (malformed_open(m)) {
        drop_attr(m, spec->name);
        add_attr(m, spec->name, LATHE_ATTR_INT);
        add_attr(m, spec->name, LATHE_ATTR_INT);
        malformed_emit(m, "attribute twice", CERTAIN, spec->name, "%s is given twice", spec->name);
    }
    if (malformed_open(m)) {
        drop_attr(m, spec->name);
        pb_tree *attr = pb_add_tree(m->node, NODE_ATTR);
        pb_add_str(attr, ATTR_NAME, spec->name);
        pb_add_str(attr, ATTR_REF, "outer");
        pb_add_int(attr, ATTR_TYPE, spec->kind);
        malformed_emit(m, "attribute reference", CERTAIN, spec->name, "%s refers to a function's, and there is none", spec->name);
    }
}

static void break_int(maker *m, const char *name)
{
    static const int64_t values[] = { INT64_MIN, INT64_MAX, -1000003, 1000003, -1, 255, (int64_t)1 << 32 };
    for (size_t i = 0; i < LT_COUNT(values); i++) {
        if (malformed_open(m)) {
            drop_attr(m, name);
            malformed_attr_int(m->node, name, values[i]);
            malformed_emit(m, "attribute value", 0, name, "%s = %lld", name, (long long)values[i]);
        }
    }
}

/* From one integer to nine: the number of axes seldom fits. */
static void break_ints(maker *m, const char *name)
{
    static const int64_t values[] = { INT64_MIN, INT64_MAX, -1, 0, 1000003, 2 };
    static const size_t counts[] = { 0, 1, 2, 4, 9 };
    for (size_t i = 0; i < LT_COUNT(values) * LT_COUNT(counts); i++) {
        if (malformed_open(m)) {
            int64_t all[9];
            size_t count = counts[i / LT_COUNT(values)];
            for (size_t k = 0; k < count; k++) {
                all[k] = values[i % LT_COUNT(values)];
            }
            drop_attr(m, name);
            malformed_attr_ints(m->node, name, all, count);
            malformed_emit(m, "attribute value", 0, name, "%s = %zu times %lld", name, count, (long long)(count > 0 ? all[0] : 0));
        }
    }
}

static void break_float(maker *m, const char *name)
{
    static const float values[] = { NAN, INFINITY, -INFINITY, -1, 0, 1e30f };
    for (size_t i = 0; i < LT_COUNT(values); i++) {
        if (malformed_open(m)) {
            drop_attr(m, name);
            pb_tree *attr = pb_add_tree(m->node, NODE_ATTR);
            pb_add_str(attr, ATTR_NAME, name);
            pb_add_f32(attr, ATTR_F, values[i]);
            pb_add_int(attr, ATTR_TYPE, LATHE_ATTR_FLOAT);
            malformed_emit(m, "attribute value", 0, name, "%s = %g", name, (double)values[i]);
        }
    }
}

static void break_string(maker *m, const char *name, lathe_attr_kind kind)
{
    static const char *const texts[] = { "no such thing", "", "\xff\xfe", "linear,linear" };
    for (size_t i = 0; i < LT_COUNT(texts); i++) {
        if (malformed_open(m)) {
            drop_attr(m, name);
            pb_tree *attr = pb_add_tree(m->node, NODE_ATTR);
            pb_add_str(attr, ATTR_NAME, name);
            pb_add_str(attr, kind == LATHE_ATTR_STRING ? ATTR_S : ATTR_STRINGS, texts[i]);
            pb_add_int(attr, ATTR_TYPE, kind);
            malformed_emit(m, "attribute value", 0, name, "%s is text %zu", name, i);
        }
    }
}

static void break_value(maker *m, const lt_attr_spec *spec)
{
    switch (spec->kind) {
    case LATHE_ATTR_INT:
        break_int(m, spec->name);
        break;
    case LATHE_ATTR_INTS:
        break_ints(m, spec->name);
        break;
    case LATHE_ATTR_FLOAT:
        break_float(m, spec->name);
        break;
    case LATHE_ATTR_STRING:
    case LATHE_ATTR_STRINGS:
        break_string(m, spec->name, spec->kind);
        break;
    default:
        break;
    }
}

/* The tensor of an attribute, with data of another size than its dims say. */
static void break_tensors(maker *m)
{
    for (size_t i = 0; malformed_open_always(m) && i < pb_count(m->node, NODE_ATTR); i++) {
        pb_tree *tensor = pb_open(pb_open(m->node, NODE_ATTR, i), ATTR_T, 0);
        if (tensor != NULL) {
            pb_add_int(tensor, TENSOR_DIM, 1000003);
            malformed_emit(m, "attribute value", CERTAIN, pb_text(pb_open(m->node, NODE_ATTR, i), ATTR_NAME, 0), "a tensor without its data");
        }
    }
}

void malformed_attributes(maker *m)
{
    for (const lt_attr_spec *spec = m->op->attrs; spec != NULL && spec->name != NULL; spec++) {
        if (m->sample == 0) {
            break_kind(m, spec);
        }
        break_value(m, spec);
    }
    break_tensors(m);
    if (m->sample == 0 && malformed_open_always(m)) {
        add_attr(m, "colour", LATHE_ATTR_STRING);
        malformed_emit(m, "attribute unknown", CERTAIN, "colour", "it has a colour");
    }
}
