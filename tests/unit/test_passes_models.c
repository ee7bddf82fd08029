/*
 * test_passes_models.c - the whole pipeline on the small trained models of the repository: results stay what the reference computes from the model
 * as imported, every node of the model has one fate, groups are what they promise, every edge that could be fused and is not has one reason.
 */
#include "onnx/onnx.h"
#include "passes/grouping_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct model {
    const char *name;
    int64_t size;     /* for every symbol of the inputs */
    double tolerance; /* relative to the largest output; 0: equal bits */
} model;

static const model models[] = {
    { "digits_resnet", 2, 2e-6 },          /* batch norms are folded */
    { "digits_resnet.int8-qdq", 2, 0 },
    { "digits_resnet.int8-qop", 2, 0.02 }, /* one step */
    { "digits_resnet.int8-dynamic", 2, 1e-6 },
    { "char_gpt", 3, 2e-6 },               /* gelu and layer norm are one operator each */
    { "char_gpt_step", 3, 2e-6 },
    { "super_resolution_x2", 5, 0 },
    { "super_resolution_x2.fp16", 5, 0 },
    { "super_resolution_x2.int8-qdq", 5, 0 },
};

static lt_graph *import(const model *m)
{
    char path[512];
    lt_graph *graph = NULL;
    lathe_diag *diag = lathe_diag_create(NULL);
    snprintf(path, sizeof path, "%s/tests/fixtures/%s.onnx", LATHE_SOURCE_DIR, m->name);
    if (lt_onnx_import_file(path, &lt_import_defaults, NULL, &graph, NULL, NULL, diag) != LATHE_OK) {
        lathe_diag_print(diag, stderr);
    }
    lathe_diag_destroy(diag);
    assert_non_null(graph);
    return graph;
}

static lt_graph *optimize(const model *m)
{
    lt_graph *graph = import(m);
    lathe_diag *diag = lathe_diag_create(NULL);
    const lt_pipeline_options options = { .verify = true };
    lathe_status status = lt_pipeline_above(&graph, &options, diag);
    status = status == LATHE_OK ? lt_pipeline_below(&graph, &options, diag) : status;
    if (status != LATHE_OK) {
        print_message("%s\n", m->name);
        lathe_diag_print(diag, stderr);
    }
    assert_int_equal(status, LATHE_OK);
    lathe_diag_destroy(diag);
    return graph;
}

/* ---- Results ---- */

typedef struct sizes {
    const lt_dims *dims;
    int64_t size;
} sizes;

static bool size_of(void *user, lt_dim leaf, int64_t *value)
{
    const sizes *s = user;
    *value = s->size;
    return lt_dim_get(s->dims, leaf).op == LT_DIM_SYMBOL;
}

static lt_run *run(const lt_graph *graph, int64_t size, lt_arena *arena)
{
    const lt_region *main = lt_region_get(graph, LT_MAIN);
    lt_any *values = LT_ARENA_ARRAY(arena, lt_any, (size_t)main->n_inputs + 1);
    const lt_any **inputs = LT_ARENA_ARRAY(arena, const lt_any *, (size_t)main->n_inputs + 1);
    sizes s = { lt_graph_dims(graph), size };
    for (uint32_t i = 0; i < main->n_inputs; i++) {
        const lt_value *input = lt_value_get(graph, main->inputs[i]);
        int64_t dims[LATHE_MAX_RANK];
        for (int k = 0; k < input->type.rank; k++) {
            assert_int_equal(lt_dim_eval(s.dims, input->type.dims[k], size_of, &s, &dims[k], NULL), LATHE_OK);
        }
        assert_int_equal(lt_tensor_alloc(arena, &values[i].tensor, input->type.dtype, input->type.rank, dims, input->name, NULL), LATHE_OK);
        assert_int_equal(lt_random_fill(&values[i].tensor, i + 1, NULL), LATHE_OK);
        inputs[i] = &values[i];
    }
    lt_run *out = NULL;
    assert_int_equal(lt_graph_run(graph, inputs, main->n_inputs, NULL, &out, NULL), LATHE_OK);
    return out;
}

static void compare(const model *m, const lt_tensor *a, const lt_tensor *b)
{
    double largest = 0, worst = 0;
    assert_int_equal(a->dtype, b->dtype);
    assert_int_equal(a->rank, b->rank);
    assert_memory_equal(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims);
    if (m->tolerance == 0) {
        assert_true(lt_tensor_equal(a, b));
        return;
    }
    for (int64_t i = 0; i < lt_tensor_count(a); i++) {
        double x = lt_load_f64(a->dtype, a->data, i), y = lt_load_f64(b->dtype, b->data, i);
        largest = fabs(x) > largest ? fabs(x) : largest;
        worst = fabs(x - y) > worst ? fabs(x - y) : worst;
    }
    if (!(worst <= m->tolerance * largest)) {
        print_message("%s: off by %g of %g\n", m->name, worst, largest);
    }
    assert_true(worst <= m->tolerance * largest);
}

static void test_results(void **state)
{
    (void)state;
    for (size_t i = 0; i < LT_COUNT(models); i++) {
        lt_arena arena;
        lt_arena_init(&arena, NULL);
        lt_graph *before = import(&models[i]), *after = optimize(&models[i]);
        lt_run *a = run(before, models[i].size, &arena), *b = run(after, models[i].size, &arena);
        for (uint32_t k = 0; k < lt_region_get(before, LT_MAIN)->n_outputs; k++) {
            compare(&models[i], &lt_run_output(a, k)->tensor, &lt_run_output(b, k)->tensor);
        }
        lt_run_destroy(a);
        lt_run_destroy(b);
        lt_graph_destroy(before);
        lt_graph_destroy(after);
        lt_arena_destroy(&arena);
    }
}

/* ---- Fates ---- */

static void test_fates(void **state)
{
    (void)state;
    for (size_t i = 0; i < LT_COUNT(models); i++) {
        lt_graph *graph = optimize(&models[i]);
        size_t count = lt_graph_origins(graph, NULL), seen[3] = { 0, 0, 0 };
        assert_true(count > 0);
        for (uint32_t k = 0; k < count; k++) {
            lt_fate fate;
            const char *pass;
            assert_int_equal(lt_graph_fate(graph, k, &fate, &pass, NULL), LATHE_OK);
            assert_true(fate == LT_FATE_STEP || fate == LT_FATE_FOLDED || fate == LT_FATE_REMOVED);
            assert_int_equal(fate == LT_FATE_STEP, pass[0] == '\0');
            seen[fate]++;
        }
        assert_int_equal(seen[0] + seen[1] + seen[2], count);
        assert_true(seen[LT_FATE_STEP] > 0);
        lt_graph_destroy(graph);
    }
}

/* ---- Groups ---- */

/* Members stand side by side, on one device, and one value of them is read outside. */
static void check_group(const lt_graph *graph, const lt_node *first)
{
    size_t outside = 0, roots = 0;
    for (const lt_node *node = first; node != NULL && node->group == first->group; node = lt_node_next(graph, node)) {
        assert_int_equal(node->device, first->device);
        assert_false(node->op->traits & LT_OP_VIEW);
        roots += lt_is_root(graph, node);
        for (uint32_t k = 0; k < node->n_outputs; k++) {
            const lt_value *value = lt_node_out(graph, node, k);
            bool read = value != NULL && value->n_region_outputs > 0;
            for (uint32_t u = 0; value != NULL && u < value->n_uses; u++) {
                read = read || lt_node_get(graph, value->uses[u].node)->group != first->group;
            }
            outside += read;
        }
    }
    assert_int_equal(outside, 1);
    assert_true(roots <= 1);
}

static size_t reasons_of(const lt_graph *graph, lt_value_id value, lt_node_id to)
{
    const lt_refusal *refusals;
    size_t n = lt_graph_refusals(graph, &refusals), found = 0;
    for (size_t i = 0; i < n; i++) {
        if (lt_value_same(refusals[i].value, value) && lt_node_same(refusals[i].to, to)) {
            assert_true(refusals[i].reason[0] != '\0');
            found++;
        }
    }
    return found;
}

static void check_edges(const lt_graph *graph, const lt_node *node)
{
    bool source = lt_is_root(graph, node) || lt_tile_reason(graph, node) == NULL;
    for (uint32_t k = 0; k < node->n_outputs; k++) {
        const lt_value *value = lt_node_out(graph, node, k);
        for (uint32_t u = 0; value != NULL && u < value->n_uses; u++) {
            const lt_node *to = lt_node_get(graph, value->uses[u].node);
            bool fused = node->group != 0 && node->group == to->group;
            bool legal = (source && lt_tile_reason(graph, to) == NULL) || (lt_is_dequantize(node) && lt_is_root(graph, to));
            if (fused) {
                assert_int_equal(reasons_of(graph, value->id, to->id), 0);
            } else if (legal) {
                assert_int_equal(reasons_of(graph, value->id, to->id), 1);
            }
        }
    }
}

static void test_groups(void **state)
{
    (void)state;
    for (size_t i = 0; i < LT_COUNT(models); i++) {
        lt_graph *graph = optimize(&models[i]);
        uint32_t groups = 0, highest = 0, last = 0;
        for (const lt_node *node = lt_region_first(graph, LT_MAIN); node != NULL; node = lt_node_next(graph, node)) {
            if (node->group != 0 && node->group != last) {
                check_group(graph, node);
                groups++;
                highest = node->group > highest ? node->group : highest;
            }
            last = node->group;
            check_edges(graph, node);
        }
        assert_true(groups > 0);
        assert_int_equal(groups, highest); /* each number stands for one run of nodes */
        lt_graph_destroy(graph);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_results), cmocka_unit_test(test_fates), cmocka_unit_test(test_groups) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
