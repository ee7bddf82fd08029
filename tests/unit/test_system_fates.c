/*
 * test_system_fates.c - where the nodes of a model went: in the plan of every fixture, and of every skeleton beside the
 * repository, each ONNX node (bodies included) is exactly one of step, folded, removed, and what counts as a step has
 * one; `lathe explain` accounts for each, with the log of the build and without; every edge that could have been
 * fused and was not has one reason.
 *
 * ctest: TIMEOUT 900 COST 22
 *
 * Skeletons have no weights: random ones within the limits that the model's metadata gives are made up while it is
 * read. Under sanitizers one in two of those beside the repository is taken, in the release suite all.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"
#include "onnx/onnx.h"
#include "passes/grouping_internal.h"
#include "study/study.h"
#include "support/system.h"

/* ---- Nodes of a file, counted by its bytes alone ---- */

enum { MODEL_GRAPH = 7, GRAPH_NODE = 1, NODE_ATTRIBUTE = 5, ATTRIBUTE_GRAPH = 6, ATTRIBUTE_GRAPHS = 11, DEEPEST = 8 };

static size_t count_nodes(const unsigned char *graph, size_t size, int depth);

static size_t count_bodies(const unsigned char *attribute, size_t size, int depth)
{
    lt_wire at = { attribute, attribute + size };
    lt_wire_field field;
    bool more;
    size_t count = 0;
    while (lt_wire_next(&at, &field, &more, NULL) == LATHE_OK && more) {
        bool body = field.type == 2 && (field.number == ATTRIBUTE_GRAPH || field.number == ATTRIBUTE_GRAPHS);
        count += body ? count_nodes(field.data, field.size, depth + 1) : 0;
    }
    return count;
}

static size_t count_nodes(const unsigned char *graph, size_t size, int depth)
{
    lt_wire at = { graph, graph + size }, inner;
    lt_wire_field node, field;
    bool more;
    size_t count = 0;
    assert_true(depth < DEEPEST);
    while (lt_wire_next(&at, &node, &more, NULL) == LATHE_OK && more) {
        if (node.number != GRAPH_NODE || node.type != 2) {
            continue;
        }
        count++;
        inner = (lt_wire){ node.data, node.data + node.size };
        while (lt_wire_next(&inner, &field, &more, NULL) == LATHE_OK && more) {
            count +=
                field.number == NODE_ATTRIBUTE && field.type == 2 ? count_bodies(field.data, field.size, depth) : 0;
        }
    }
    return count;
}

static size_t nodes_in_file(const char *path)
{
    lt_file file;
    lt_wire_field field = { 0 };
    bool more;
    size_t count = 0;
    SYS_MUST(lt_file_map(&file, path, diag));
    lt_wire at = { file.data, file.data + file.size };
    while (lt_wire_next(&at, &field, &more, NULL) == LATHE_OK && more) {
        count += field.number == MODEL_GRAPH && field.type == 2 ? count_nodes(field.data, field.size, 0) : 0;
    }
    lt_file_close(&file);
    return count;
}

/* ---- Models ---- */

/* "[mean, deviation, least, most]" */
static double limit(const char *stats, int index, double otherwise)
{
    double number = otherwise;
    const char *at = stats != NULL ? strchr(stats, '[') : NULL;
    for (int i = 0; at != NULL && i < index; i++) {
        at = strchr(at + 1, ',');
    }
    if (at != NULL) {
        at += 1 + strspn(at + 1, " ");
        lt_parse_f64(at, strcspn(at, ",] "), &number);
    }
    return number;
}

static lathe_status fill(void *user, const char *name, const char *stats, lt_tensor *tensor, lathe_diag *diag)
{
    double least = limit(stats, 2, -0.1), most = limit(stats, 3, 0.1);
    uint32_t random = (uint32_t)lt_hash64(name, strlen(name), 1) | 1;
    int64_t count = lt_tensor_count(tensor);
    (void)user, (void)diag;
    for (int64_t i = 0; i < count; i++) {
        random = random * 1664525u + 1013904223u;
        double x = least + (most - least) * (double)(random >> 8) * 0x1p-24;
        if (tensor->dtype == LATHE_DTYPE_F32) {
            ((float *)tensor->data)[i] = (float)x;
        } else {
            lt_store_f64(tensor->dtype, tensor->data, i, x);
        }
    }
    return LATHE_OK;
}

static lathe_network *import(const char *path)
{
    lt_import_options options = lt_import_defaults;
    lt_graph *graph = NULL;
    lathe_network *network = NULL;
    options.fill = fill;
    SYS_MUST(lt_onnx_import_file(path, &options, NULL, &graph, NULL, NULL, diag));
    SYS_MUST(lt_network_wrap(graph, NULL, &network, diag));
    return network;
}

/* ---- Fates ---- */

typedef struct totals {
    size_t models, nodes, fates[3], views, fused, reasons;
} totals;

/*
 * Nodes that cost nothing at run time: other names of the same bytes (a Transpose too, where formats make it one: check_fates counts what is left of
 * those), the frames around bodies, numbers of the shape program; movements of what is written or read where it belongs.
 */
static bool needs_no_step(const lt_plan_origin *origin)
{
    const lt_op *op = lt_op_find(origin->domain, origin->op);
    static const char *const moves[] = { "Transpose", "Concat", "Split", "Slice" };
    bool moved = false;
    for (size_t i = 0; op != NULL && i < LT_COUNT(moves); i++) {
        moved = moved || lt_streq(op->name, moves[i]);
    }
    return op != NULL && ((op->traits & (LT_OP_VIEW | LT_OP_REGIONS)) != 0 || moved);
}

static void mark_steps(const lt_plan *plan, unsigned char *marks)
{
    const lt_plan_program *p = &plan->programs[plan->variants[0].programs[0]];
    for (uint32_t i = 0; i < p->n_steps; i++) {
        for (uint32_t k = 0; k < p->steps[i].n_origins; k++) {
            assert_true(p->steps[i].origins[k] < plan->n_origins);
            marks[p->steps[i].origins[k]] = 1;
        }
    }
}

/* Values that share another's storage with other axes: in another order, or with extents elsewhere. That is what a Transpose without a step leaves behind. */
static size_t turned_views(const lt_plan *plan)
{
    const lt_plan_program *p = &plan->programs[plan->variants[0].programs[0]];
    size_t found = 0;
    for (uint32_t i = 0; i < p->n_values; i++) {
        const lt_plan_value *v = &p->values[i], *of = v->storage == LT_STORE_ALIAS ? &p->values[v->index] : NULL;
        found += of && v->rank > 1 &&
                 (v->rank != of->rank || memcmp(v->format.order, of->format.order, (size_t)v->rank) != 0 ||
                  memcmp(v->dims, of->dims, (size_t)v->rank * sizeof *v->dims) != 0);
    }
    return found;
}

static void check_fates(const char *name, const lt_plan *plan, totals *t)
{
    size_t fates[3] = { 0, 0, 0 }, turned = 0;
    unsigned char *marks = calloc(plan->n_origins + 1u, 1);
    assert_non_null(marks);
    mark_steps(plan, marks);
    for (uint32_t i = 0; i < plan->n_origins; i++) {
        const lt_plan_origin *origin = &plan->origins[i];
        assert_true(origin->fate <= LT_FATE_REMOVED);
        fates[origin->fate]++;
        bool step = origin->fate == LT_FATE_STEP, view = step && !marks[i] && needs_no_step(origin);
        t->views += view;
        turned += view && strcmp(origin->op, "Transpose") == 0;
        if (step != (origin->pass[0] == '\0') || (step && !marks[i] && !view) || (!step && marks[i])) {
            print_message("%s: node %u '%s' (%s)%s%s: fate %d by '%s', %s step has it\n", name, i, origin->label,
                          origin->op, origin->path[0] ? " in " : "", origin->path, origin->fate, origin->pass,
                          marks[i] ? "a" : "no");
            fail();
        }
    }
    if (turned > turned_views(plan)) {
        print_message("%s: %zu Transpose without a step, but only %zu views of another axis order\n", name, turned, turned_views(plan));
        fail();
    }
    assert_int_equal(fates[0] + fates[1] + fates[2], plan->n_origins);
    for (int i = 0; i < 3; i++) {
        t->fates[i] += fates[i];
    }
    free(marks);
}

/* What `lathe explain` says: with the log of the build, and from the plan alone. */
static void check_account(const char *name, const lathe_plan *plan, const lt_plan *decoded, size_t nodes, lt_arena *arena)
{
    const char *text = lathe_plan_explanation(plan);
    lt_study_log log;
    SYS_MUST(lt_study_log_parse(text, strlen(text), 0, arena, &log, diag));
    assert_int_equal(log.n_nodes, nodes);
    for (int with = 0; with < 2; with++) {
        lt_study_explained sums;
        lt_buf out;
        lt_buf_init(&out, NULL);
        SYS_MUST(lt_study_explain(decoded, 0, with ? &log : NULL, NULL, &out, &sums, diag));
        if (sums.nodes != nodes || sums.unaccounted != 0 || sums.steps + sums.folded + sums.removed != nodes) {
            print_message("%s, %s log: of %zu nodes %zu steps, %zu folded, %zu removed, %zu unaccounted\n", name, with ? "with" : "without", nodes,
                          sums.steps, sums.folded, sums.removed, sums.unaccounted);
            fail();
        }
        lt_buf_free(&out);
    }
}

static void check_plan(const char *name, const char *path, const lathe_network *network, totals *t)
{
    lt_arena arena;
    lt_plan *decoded = NULL;
    size_t size, nodes = nodes_in_file(path);
    lathe_build_options options = { .struct_size = sizeof options, .threads = 2, .explain = 1 };
    lathe_plan *plan = sys_build(network, &options);
    const void *data = lathe_plan_data(plan, &size);
    lt_arena_init(&arena, NULL);
    SYS_MUST(lt_plan_decode(data, size, 0, NULL, NULL, &arena, &decoded, diag));
    if (decoded->n_origins != nodes) {
        print_message("%s: the file has %zu nodes, the plan tells of %u\n", name, nodes, decoded->n_origins);
        fail();
    }
    t->models++;
    t->nodes += nodes;
    check_fates(name, decoded, t);
    check_account(name, plan, decoded, nodes, &arena);
    for (uint32_t i = 0; i < decoded->n_refusals; i++) {
        assert_true(decoded->refusals[i].reason[0] != '\0');
    }
    lt_arena_destroy(&arena);
    lathe_plan_destroy(plan);
}

/* ---- Edges ---- */

static size_t reasons_of(const lt_graph *graph, lt_value_id value, lt_node_id to)
{
    const lt_refusal *refusals;
    size_t n = lt_graph_refusals(graph, &refusals), found = 0;
    for (size_t i = 0; i < n; i++) {
        found += lt_value_same(refusals[i].value, value) && lt_node_same(refusals[i].to, to) &&
                 refusals[i].reason[0] != '\0';
    }
    return found;
}

/* From a root or a pointwise node into a pointwise node, or from a DequantizeLinear into a root. */
static bool is_legal(const lt_graph *graph, const lt_node *from, const lt_node *to)
{
    bool source = lt_is_root(graph, from) || lt_tile_reason(graph, from) == NULL;
    return (source && lt_tile_reason(graph, to) == NULL) || (lt_is_dequantize(from) && lt_is_root(graph, to));
}

static void check_edges(const char *name, const lt_graph *graph, const lt_node *node, totals *t)
{
    for (uint32_t k = 0; k < node->n_outputs; k++) {
        const lt_value *value = lt_node_out(graph, node, k);
        for (uint32_t u = 0; value != NULL && u < value->n_uses; u++) {
            const lt_node *to = lt_node_get(graph, value->uses[u].node);
            bool fused = node->group != 0 && node->group == to->group;
            size_t reasons = reasons_of(graph, value->id, to->id);
            t->fused += fused;
            t->reasons += reasons;
            if (fused ? reasons != 0 : is_legal(graph, node, to) && reasons != 1) {
                print_message("%s: the edge '%s' into %s is %s with %zu reasons\n", name, value->name, to->op->name,
                              fused ? "fused" : "left", reasons);
                fail();
            }
        }
    }
}

static void check_groups(const char *name, const lathe_network *network, totals *t)
{
    const lt_pipeline_options options = { 0 };
    lt_graph *graph = NULL;
    SYS_MUST(lt_graph_clone(lt_network_graph(network), NULL, &graph, diag));
    SYS_MUST(lt_pipeline_above(&graph, &options, diag));
    SYS_MUST(lt_pipeline_below(&graph, &options, diag));
    for (lt_region_id r = 0; r < lt_graph_regions(graph); r++) {
        if (r == LT_INIT || !lt_region_get(graph, r)->live) {
            continue;
        }
        for (const lt_node *node = lt_region_first(graph, r); node != NULL; node = lt_node_next(graph, node)) {
            check_edges(name, graph, node, t);
        }
    }
    lt_graph_destroy(graph);
}

/* ---- All of them ---- */

/* One in `share` of a folder's models, by their names. */
static void check_folder(const char *folder, unsigned share, totals *t)
{
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        char path[1024];
        size_t length = strlen(entry->d_name);
        if (length < 5 || strcmp(entry->d_name + length - 5, ".onnx") != 0 || lt_hash64(entry->d_name, length, 1) % share != 0) {
            continue;
        }
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        lathe_network *network = import(path);
        check_groups(entry->d_name, network, t);
        check_plan(entry->d_name, path, network, t);
        lathe_network_destroy(network);
    }
    closedir(dir);
    print_message("%zu models, %zu nodes: %zu steps (%zu of them views and frames), %zu folded, %zu removed; %zu edges "
                  "fused, %zu left with a reason\n",
                  t->models, t->nodes, t->fates[0], t->views, t->fates[1], t->fates[2], t->fused, t->reasons);
}

static void fixtures(void **state)
{
    totals t = { 0 };
    (void)state;
    check_folder(LATHE_SOURCE_DIR "/tests/fixtures", 1, &t);
    assert_true(t.models >= 9 && t.fused > 0 && t.reasons > 0);
}

static void stored(void **state)
{
    totals t = { 0 };
    (void)state;
    check_folder(LATHE_SOURCE_DIR "/tests/data/skeletons", LATHE_SANITIZED ? 6 : 1, &t);
    assert_true(t.models >= (LATHE_SANITIZED ? 1 : 8));
}

static void skeletons(void **state)
{
    char folder[1024];
    totals t = { 0 };
    const char *shared = getenv("LATHE_SHARED");
    (void)state;
    if (shared == NULL || shared[0] == '\0') {
        skip();
    }
    snprintf(folder, sizeof folder, "%s/models/skeletons", shared);
    check_folder(folder, LATHE_SANITIZED ? 2 : 1, &t);
    assert_true(t.models >= (LATHE_SANITIZED ? 8 : 26) && t.fused > 0 && t.reasons > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(fixtures), cmocka_unit_test(stored), cmocka_unit_test(skeletons) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
