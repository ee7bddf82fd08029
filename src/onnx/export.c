/*
 * export.c - a graph as an ONNX model of the newest opsets. Called by the command's reducer, the surgeon and tests.
 *
 * Constants are written as raw_data; the init function's nodes as ordinary nodes in front of the network's, or folded
 * to their results.
 */
#include <string.h>

#include "onnx/export.h"
#include "onnx/onnx_internal.h"

enum { MAX_DOMAINS = 32 };

typedef struct exporter {
    const lt_graph *graph;
    bool folded;
    lt_buf *out;
    lt_arena arena;
    lathe_diag *diag;
    const char *domains[MAX_DOMAINS]; /* besides ai.onnx */
    int versions[MAX_DOMAINS];
    int least[MAX_DOMAINS]; /* that the operators so far need */
    size_t n_domains;
    uint64_t suffix;
    int depth;
} exporter;

/* ---- Which constants are written ---- */

/* The outermost region around this one. */
static lt_region_id root_of(const lt_graph *graph, lt_region_id region)
{
    for (int depth = 0; depth < LT_MAX_DEPTH * 2; depth++) {
        const lt_region *r = lt_region_get(graph, region);
        const lt_node *owner = r != NULL ? lt_node_get(graph, r->owner) : NULL;
        if (owner == NULL) {
            break;
        }
        region = owner->region;
    }
    return region;
}

static bool is_used(const exporter *e, const lt_value *value)
{
    for (uint32_t i = 0; i < value->n_uses; i++) {
        const lt_node *node = lt_node_get(e->graph, value->uses[i].node);
        if (node != NULL && (!e->folded || root_of(e->graph, node->region) != LT_INIT)) {
            return true;
        }
    }
    return value->n_region_outputs > 0;
}

static void put_initializer(exporter *e, const lt_value *value)
{
    const lt_tensor *tensor = lt_value_tensor(value);
    if (tensor != NULL && is_used(e, value)) {
        size_t mark = lt_wire_begin(e->out, 5);
        lt_put_tensor(e->out, tensor, value->name);
        lt_wire_end(e->out, mark);
    }
}

static void put_initializers(exporter *e)
{
    const lt_region *init = lt_region_get(e->graph, LT_INIT);
    for (uint32_t i = 0; i < init->n_inputs; i++) {
        put_initializer(e, lt_value_get(e->graph, init->inputs[i]));
    }
    if (!e->folded) {
        return;
    }
    for (const lt_node *node = lt_region_first(e->graph, LT_INIT); node != NULL; node = lt_node_next(e->graph, node)) {
        for (uint32_t i = 0; i < node->n_outputs; i++) {
            const lt_value *value = lt_node_out(e->graph, node, i);
            if (value != NULL) {
                put_initializer(e, value);
            }
        }
    }
}

/* ---- Nodes ---- */

/* Descriptors leave the domain of ai.onnx out. */
static const char *domain_of(const lt_op *op)
{
    return op->domain != NULL ? op->domain : "";
}

/* Operators that the newest version of ai.onnx.ml does not have any more: the last one that does, else 0. */
static int last_version(const lt_op *op)
{
    bool ml = strcmp(domain_of(op), "ai.onnx.ml") == 0;
    return ml && (strcmp(op->name, "TreeEnsembleClassifier") == 0 || strcmp(op->name, "TreeEnsembleRegressor") == 0) ? 4 : 0;
}

static lathe_status raise_version(exporter *e, size_t i, const lt_op *op)
{
    e->least[i] = op->since > e->least[i] ? op->since : e->least[i];
    if (last_version(op) > 0) {
        e->versions[i] = last_version(op);
    }
    if (e->least[i] > e->versions[i] && e->versions[i] < LT_NEWEST_ML_OPSET && strcmp(e->domains[i], "ai.onnx.ml") == 0) {
        return LT_FAIL(e->diag, LATHE_UNSUPPORTED, NULL, "write the trees of all nodes in one form",
                       "no version of %s has both TreeEnsemble and the operators before it", e->domains[i]);
    }
    e->versions[i] = e->least[i] > e->versions[i] ? e->least[i] : e->versions[i];
    return LATHE_OK;
}

static lathe_status add_domain(exporter *e, const lt_op *op)
{
    const char *domain = domain_of(op);
    if (domain[0] == '\0') {
        return LATHE_OK;
    }
    for (size_t i = 0; i < e->n_domains; i++) {
        if (strcmp(e->domains[i], domain) == 0) {
            return raise_version(e, i, op);
        }
    }
    if (e->n_domains == MAX_DOMAINS) {
        return LT_FAIL(e->diag, LATHE_UNSUPPORTED, NULL, NULL, "the graph has operators of more than %d domains",
                       MAX_DOMAINS);
    }
    e->domains[e->n_domains] = domain;
    e->versions[e->n_domains] = strcmp(domain, "ai.onnx.ml") == 0 ? LT_NEWEST_ML_OPSET : op->since;
    return raise_version(e, e->n_domains++, op);
}

static lathe_status put_body(void *user, lt_region_id region, lt_buf *out);

static const char *value_name(const exporter *e, lt_value_id id)
{
    const lt_value *value = lt_value_get(e->graph, id);
    return value != NULL ? value->name : "";
}

static lathe_status put_node(exporter *e, const lt_node *node)
{
    size_t mark = lt_wire_begin(e->out, 1);
    LT_TRY(add_domain(e, node->op));
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        lt_wire_put_str(e->out, 1, value_name(e, node->inputs[i]));
    }
    for (uint32_t i = 0; i < node->n_outputs; i++) {
        lt_wire_put_str(e->out, 2, value_name(e, node->outputs[i]));
    }
    if (node->label[0] != '\0') {
        lt_wire_put_str(e->out, 3, node->label);
    }
    lt_wire_put_str(e->out, 4, node->op->name);
    for (uint32_t i = 0; i < node->n_attrs; i++) {
        LT_TRY(lt_put_attr(e->out, 5, lt_graph_dims(e->graph), &node->attrs[i], put_body, e));
    }
    if (domain_of(node->op)[0] != '\0') {
        lt_wire_put_str(e->out, 7, domain_of(node->op));
    }
    lt_wire_end(e->out, mark);
    return LATHE_OK;
}

static lathe_status put_nodes(exporter *e, lt_region_id region)
{
    for (const lt_node *node = lt_region_first(e->graph, region); node != NULL; node = lt_node_next(e->graph, node)) {
        LT_TRY(put_node(e, node));
    }
    return LATHE_OK;
}

/* ---- Graphs ---- */

static void put_value_info(exporter *e, uint32_t number, const lt_value *value, const char *name)
{
    size_t mark = lt_wire_begin(e->out, number);
    lt_wire_put_str(e->out, 1, name);
    if (value->type.cls != LT_TENSOR || value->type.dtype != LATHE_DTYPE_UNDEFINED) {
        size_t type = lt_wire_begin(e->out, 2);
        lt_put_type(e->out, lt_graph_dims(e->graph), &value->type);
        lt_wire_end(e->out, type);
    }
    lt_wire_end(e->out, mark);
}

static void put_inputs(exporter *e, const lt_region *region)
{
    for (uint32_t i = 0; i < region->n_inputs; i++) {
        const lt_value *value = lt_value_get(e->graph, region->inputs[i]);
        put_value_info(e, 11, value, value->name);
    }
}

/* ONNX wants a body's outputs to be made in the body, each once: others go through an Identity of a new name. */
static lathe_status body_output(exporter *e, const lt_region *region, uint32_t index, const char **name)
{
    const lt_value *value = lt_value_get(e->graph, region->outputs[index]);
    bool copy = value->region != region->id;
    for (uint32_t i = 0; i < index; i++) {
        copy = copy || lt_value_same(region->outputs[i], region->outputs[index]);
    }
    *name = value->name;
    if (!copy) {
        return LATHE_OK;
    }
    do {
        *name = lt_arena_printf(&e->arena, "%s.%llu", value->name, (unsigned long long)++e->suffix);
    } while (*name != NULL && !lt_value_none(lt_graph_find(e->graph, *name)));
    if (*name == NULL) {
        return LT_OOM(e->diag);
    }
    size_t mark = lt_wire_begin(e->out, 1);
    lt_wire_put_str(e->out, 1, value->name);
    lt_wire_put_str(e->out, 2, *name);
    lt_wire_put_str(e->out, 4, "Identity");
    lt_wire_end(e->out, mark);
    return LATHE_OK;
}

/* Depth is that of regions in a graph, which is bounded. */
static lathe_status put_body(void *user, lt_region_id id, lt_buf *out)
{
    exporter *e = user;
    const lt_region *region = lt_region_get(e->graph, id);
    (void)out; /* the exporter's own */
    if (region == NULL || e->depth == LT_MAX_DEPTH) {
        return LT_FAIL(e->diag, LATHE_INTERNAL, NULL, NULL, "a body is gone or nested too deep");
    }
    const char **names = LT_ARENA_ARRAY(&e->arena, const char *, region->n_outputs);
    if (names == NULL) {
        return LT_OOM(e->diag);
    }
    e->depth++;
    LT_TRY(put_nodes(e, id));
    for (uint32_t i = 0; i < region->n_outputs; i++) {
        LT_TRY(body_output(e, region, i, &names[i]));
    }
    lt_wire_put_str(e->out, 2, "body");
    put_inputs(e, region);
    for (uint32_t i = 0; i < region->n_outputs; i++) {
        put_value_info(e, 12, lt_value_get(e->graph, region->outputs[i]), names[i]);
    }
    e->depth--;
    return LATHE_OK;
}

static lathe_status put_main(exporter *e)
{
    const lt_region *region = lt_region_get(e->graph, LT_MAIN);
    const char *name = lt_graph_name(e->graph);
    size_t mark = lt_wire_begin(e->out, 7);
    if (!e->folded) {
        LT_TRY(put_nodes(e, LT_INIT));
    }
    LT_TRY(put_nodes(e, LT_MAIN));
    lt_wire_put_str(e->out, 2, name != NULL && name[0] != '\0' ? name : "graph");
    put_initializers(e);
    put_inputs(e, region);
    for (uint32_t i = 0; i < region->n_outputs; i++) {
        const lt_value *value = lt_value_get(e->graph, region->outputs[i]);
        put_value_info(e, 12, value, value->name);
    }
    lt_wire_end(e->out, mark);
    return LATHE_OK;
}

static void put_opset(lt_buf *out, const char *domain, int version)
{
    size_t mark = lt_wire_begin(out, 8);
    lt_wire_put_str(out, 1, domain);
    lt_wire_put_int(out, 2, version);
    lt_wire_end(out, mark);
}

static lathe_status put_model(exporter *e)
{
    lt_wire_put_int(e->out, 1, LT_EXPORT_IR);
    lt_wire_put_str(e->out, 2, "lathe");
    lt_wire_put_str(e->out, 3, LATHE_VERSION_STRING);
    LT_TRY(put_main(e));
    put_opset(e->out, "", LT_NEWEST_OPSET);
    for (size_t i = 0; i < e->n_domains; i++) {
        put_opset(e->out, e->domains[i], e->versions[i]);
    }
    if (e->out->failed) {
        return LT_OOM(e->diag);
    }
    if (e->out->length > INT32_MAX) {
        return LT_FAIL(e->diag, LATHE_UNSUPPORTED, NULL, "export a part of the graph",
                       "the model would have %zu bytes; protobuf ends at 2 GiB", e->out->length);
    }
    return LATHE_OK;
}

lathe_status lt_onnx_export(const lt_graph *graph, bool folded, lt_buf *out, lathe_diag *diag)
{
    exporter e = { .graph = graph, .folded = folded, .out = out, .diag = diag };
    lt_arena_init(&e.arena, lt_graph_allocator(graph));
    lathe_status status = put_model(&e);
    lt_arena_destroy(&e.arena);
    return status;
}
