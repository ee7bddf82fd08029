/*
 * malformed.c - walks all samples of all operators and hands them to the parts that break them (malformed.h), and what those parts share.
 */
#include "support/malformed_internal.h"

#include <stdarg.h>

uint32_t malformed_draw(maker *m, uint32_t below)
{
    m->random = m->random * 6364136223846793005u + 1442695040888963407u;
    return below > 0 ? (uint32_t)(m->random >> 33) % below : 0;
}

/* ---- The copy under the knife ---- */

bool malformed_open_always(maker *m)
{
    lt_arena_reset(&m->arena);
    m->model = pb_parse(&m->arena, m->data, m->size);
    m->graph = m->model != NULL ? pb_open(m->model, MODEL_GRAPH, 0) : NULL;
    size_t nodes = pb_count(m->graph, GRAPH_NODE);
    m->node = nodes > 0 ? pb_open(m->graph, GRAPH_NODE, nodes - 1) : NULL;
    return m->node != NULL;
}

bool malformed_open(maker *m)
{
    return malformed_draw(m, m->options->share) == 0 && malformed_open_always(m);
}

static void hand_out(maker *m, malformed_case *c, unsigned flags)
{
    c->op = m->op;
    c->certain = (flags & CERTAIN) != 0;
    c->valid = (flags & VALID) != 0;
    c->folder = (flags & FOLDER) != 0 ? m->options->folder : NULL;
    if (c->valid || m->options->kind == NULL || strcmp(m->options->kind, c->kind) == 0) {
        m->visit(m->user, c);
    }
}

/* Initializers that a run can bind become inputs. */
static void free_inputs(maker *m)
{
    for (size_t i = pb_count(m->graph, GRAPH_INITIALIZER); i-- > 0;) {
        int64_t dims[LATHE_MAX_RANK];
        pb_tree *tensor = pb_open(m->graph, GRAPH_INITIALIZER, i);
        int rank = (int)pb_count(tensor, TENSOR_DIM);
        lathe_dtype dtype = (lathe_dtype)pb_int(tensor, TENSOR_TYPE, 0);
        for (int k = 0; k < rank; k++) {
            dims[k] = (int64_t)pb_get(tensor, TENSOR_DIM, (size_t)k)->varint;
        }
        if (dtype != LATHE_DTYPE_STRING && lathe_dtype_bits(dtype) >= 8) {
            malformed_value(m->graph, GRAPH_INPUT, pb_text(tensor, TENSOR_NAME, 0), dtype, rank, dims);
            pb_remove(m->graph, GRAPH_INITIALIZER, i);
        }
    }
}

/* The names, operators and results of the nodes, which are few: one of them is the place. */
static void add_places(pb_tree *graph, malformed_case *c, int depth)
{
    for (size_t i = pb_count(graph, GRAPH_NODE); i-- > 0 && depth < 3;) {
        pb_tree *node = pb_open(graph, GRAPH_NODE, i);
        const char *all[] = { pb_text(node, NODE_NAME, 0), pb_text(node, NODE_OP, 0), pb_text(node, NODE_OUTPUT, 0), pb_text(node, NODE_OUTPUT, 1) };
        for (size_t k = 0, n = 0; k < LT_COUNT(all); k++) {
            while (n < MALFORMED_NAMES && c->names[n] != NULL) {
                n++;
            }
            if (all[k][0] != '\0' && n < MALFORMED_NAMES) {
                c->names[n] = all[k];
            }
        }
        for (size_t k = 0; k < pb_count(node, NODE_ATTR); k++) {
            add_places(pb_open(pb_open(node, NODE_ATTR, k), ATTR_G, 0), c, depth + 1);
        }
    }
}

void malformed_emit(maker *m, const char *kind, unsigned flags, const char *name, const char *format, ...)
{
    char what[300];
    lt_buf buf, bind;
    va_list args;
    int n = snprintf(what, sizeof what, "%s %u: ", m->op != NULL ? m->op->name : kind, m->sample);
    va_start(args, format);
    vsnprintf(what + n, sizeof what - (size_t)n, format, args);
    va_end(args);
    lt_buf_init(&buf, NULL);
    lt_buf_init(&bind, NULL);
    if ((flags & AT_RUN) != 0) {
        pb_write(m->model, &bind);
        free_inputs(m);
    }
    pb_write(m->model, &buf);
    malformed_case c = { .kind = kind, .what = what, .data = buf.data, .size = buf.length, .bind = bind.data, .bind_size = bind.length };
    if (name != NULL) {
        c.names[0] = name;
    }
    if ((flags & ANYWHERE) == 0) {
        add_places(m->graph, &c, 0);
    }
    hand_out(m, &c, flags);
    lt_buf_free(&buf);
    lt_buf_free(&bind);
}

void malformed_emit_bytes(maker *m, const char *kind, unsigned flags, const void *data, size_t size, const char *what)
{
    char text[300];
    snprintf(text, sizeof text, "%s %u: %s", m->op != NULL ? m->op->name : kind, m->sample, what);
    malformed_case c = { .kind = kind, .what = text, .data = data, .size = size };
    hand_out(m, &c, flags);
}

/* ---- Making models ---- */

void malformed_fresh(maker *m)
{
    lt_arena_reset(&m->arena);
    m->op = NULL;
    m->model = pb_empty(&m->arena);
    pb_add_int(m->model, MODEL_IR, 10);
    m->graph = pb_add_tree(m->model, MODEL_GRAPH);
    pb_add_str(m->graph, GRAPH_NAME, "graph");
    pb_tree *opset = pb_add_tree(m->model, MODEL_OPSET);
    pb_add_str(opset, OPSET_DOMAIN, "");
    pb_add_int(opset, OPSET_VERSION, 22);
}

static void add_names(pb_tree *node, uint32_t field, const char *names)
{
    while (*names != '\0') {
        size_t length = strcspn(names, " ");
        pb_add_bytes(node, field, names, length);
        names += length + (names[length] == ' ');
    }
}

pb_tree *malformed_node(maker *m, pb_tree *graph, const char *op, const char *domain, const char *inputs, const char *outputs)
{
    (void)m;
    pb_tree *node = pb_add_tree(graph, GRAPH_NODE);
    add_names(node, NODE_INPUT, inputs);
    add_names(node, NODE_OUTPUT, outputs);
    pb_add_str(node, NODE_OP, op);
    if (domain[0] != '\0') {
        pb_add_str(node, NODE_DOMAIN, domain);
    }
    return node;
}

void malformed_attr_int(pb_tree *node, const char *name, int64_t value)
{
    pb_tree *attr = pb_add_tree(node, NODE_ATTR);
    pb_add_str(attr, ATTR_NAME, name);
    pb_add_int(attr, ATTR_I, value);
    pb_add_int(attr, ATTR_TYPE, LATHE_ATTR_INT);
}

void malformed_attr_ints(pb_tree *node, const char *name, const int64_t *values, size_t count)
{
    pb_tree *attr = pb_add_tree(node, NODE_ATTR);
    pb_add_str(attr, ATTR_NAME, name);
    for (size_t i = 0; i < count; i++) {
        pb_add_int(attr, ATTR_INTS, values[i]);
    }
    pb_add_int(attr, ATTR_TYPE, LATHE_ATTR_INTS);
}

void malformed_initializer(pb_tree *graph, const char *name, lathe_dtype dtype, size_t rank, const int64_t *dims, const void *data, size_t bytes)
{
    pb_tree *tensor = pb_add_tree(graph, GRAPH_INITIALIZER);
    for (size_t i = 0; i < rank; i++) {
        pb_add_int(tensor, TENSOR_DIM, dims[i]);
    }
    pb_add_int(tensor, TENSOR_TYPE, dtype);
    pb_add_str(tensor, TENSOR_NAME, name);
    pb_add_bytes(tensor, TENSOR_RAW, data, bytes);
}

void malformed_value(pb_tree *graph, uint32_t field, const char *name, lathe_dtype dtype, int rank, const int64_t *dims)
{
    pb_tree *value = pb_add_tree(graph, field);
    pb_add_str(value, 1, name);
    pb_tree *tensor = pb_add_tree(pb_add_tree(value, 2), 1);
    pb_add_int(tensor, 1, dtype);
    pb_tree *shape = rank >= 0 ? pb_add_tree(tensor, 2) : NULL;
    for (int i = 0; i < rank; i++) {
        pb_add_int(pb_add_tree(shape, 1), 1, dims[i]);
    }
}

/* ---- The bases ---- */

static void break_base(maker *m)
{
    if (malformed_open_always(m)) {
        malformed_emit(m, "valid", VALID, NULL, "as it is");
    }
    if (malformed_open_always(m)) {
        malformed_emit(m, "valid", VALID | AT_RUN, NULL, "with inputs");
    }
    malformed_attributes(m);
    malformed_tensors(m);
    malformed_bodies(m);
    if (m->sample == 0) {
        malformed_nodes(m);
        malformed_external(m);
        malformed_graphs(m);
        malformed_bytes(m);
    }
}

static void walk_sample(maker *m, const char *text)
{
    lt_graph *graph = NULL;
    lt_buf bytes, named;
    lt_buf_init(&bytes, NULL);
    lt_buf_init(&named, NULL);
    if (lt_graph_parse_sample(text, text, NULL, &graph, NULL) == LATHE_OK && lt_onnx_export(graph, false, &bytes, NULL) == LATHE_OK) {
        m->text = text;
        m->data = (const unsigned char *)bytes.data;
        m->size = bytes.length;
        if (malformed_open_always(m)) {
            pb_set_str(m->node, NODE_NAME, BROKEN);
            pb_write(m->model, &named);
            m->data = (const unsigned char *)named.data;
            m->size = named.length;
            break_base(m);
        }
    }
    lt_buf_free(&bytes);
    lt_buf_free(&named);
    lt_graph_destroy(graph);
}

void malformed_generate(const malformed_options *options, malformed_visit visit, void *user)
{
    maker m = { .options = options, .visit = visit, .user = user, .random = options->seed * 2 + 1 };
    lt_arena_init(&m.arena, NULL);
    for (size_t i = 0; lt_op_at(i) != NULL; i++) {
        const lt_op *op = lt_op_at(i);
        for (unsigned k = 0; op->samples != NULL && op->samples[k] != NULL; k++) {
            m.op = op;
            m.sample = k;
            walk_sample(&m, op->samples[k]);
        }
    }
    m.sample = 0;
    malformed_bombs(&m);
    malformed_nests(&m);
    lt_arena_destroy(&m.arena);
}
