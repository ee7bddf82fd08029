/*
 * test_graph_memory.c - every allocation may fail: reading, changing, printing, cloning and running graphs then ends in
 * a clean status, with the graph whole and nothing leaked.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "support/counting_allocator.h"
#include "support/graph_text.h"

static const char *const nets[] = {
    "net (f32[N,3,8,8] x) => (f32[N,4,8,8] y)\n"
    "<f32[4,3,3,3] w = rand(1), f32[4] g = splat(2), f32[4] b = iota, f32[4] m = splat(0), f32[4] v = splat(1)>\n"
    "{ c = Conv <pads = [1,1,1,1]> (x, w)  y = BatchNormalization <epsilon = 0.0> (c, g, b, m, v) }",
    "dims <N = 1:16> loop (f32[N,4] x) => (last, all)\n"
    "<bool[] yes = {true}, i64 n = 3, f32[4] step = {0.5, 1.0, 1.5, 2.0}>\n"
    "origins { #0 [l] Loop  #1 Add in \"l/body\"  #2 Relu removed by dead-code }\n"
    "init { s2 = Mul (step, step) }\n"
    "assume step bytes 0x0123456789abcdef by me\n"
    "{ last, all = Loop <body = graph (i64[] i, bool[] c, f32[N,4] v) => (c2, w, w2) captures (x) { c2 = Identity (c)\n"
    "    odd = Cast <to = 9> (i)\n"
    "    w = If <then_branch = graph () => (v) { }, else_branch = graph () => (t) { u = Add (v, s2) #1  t = Add (u, x) "
    "}> (odd)\n"
    "    w2 = Identity (w) }> (n, yes, x) @g2 on twin #0 }",
    "net (f32[2,3] x, string[2] s) => (y, t, q)\n"
    "<string[2] words = {\"alpha\", \"beta\"}, i64[1] one = {1}, i64 at = 0, f16[3] h = {1, 2, nan}>\n"
    "{ seq = SequenceConstruct (s, words)  t = SequenceAt (seq, at)  at2 = NonZero (x)  y = Transpose <perm = [1, 0]> "
    "(at2)\n"
    "  k = Constant <value_strings = [\"a\", \"b\"]> ()  q = Cast <to = 1> (h) }",
};

/* Changes of every kind; each either holds or leaves the graph as it was. */
static lathe_status change(lt_graph *graph)
{
    lt_node *node = lt_region_first(graph, LT_MAIN);
    lt_value_id out = node->outputs[0];
    lt_node_spec spec = { .op = "Identity", .inputs = &out, .n_inputs = 1, .n_outputs = 1, .before = node->next };
    lt_value_id wrapped;
    LT_TRY(lt_edit_begin(graph, "test", "wrap", NULL));
    lathe_status status = lt_edit_consume(graph, node->id, NULL);
    status = status == LATHE_OK ? lt_graph_add_node(graph, LT_MAIN, &spec, NULL, &wrapped, NULL) : status;
    status = status == LATHE_OK ? lt_graph_replace_value(graph, out, wrapped, NULL) : status;
    lt_edit_end(graph);
    LT_TRY(status);
    LT_TRY(lt_graph_rename(graph, wrapped, "a new name", NULL));
    LT_TRY(lt_graph_infer(graph, NULL));
    LT_TRY(lt_graph_replace_value(graph, wrapped, out, NULL));
    LT_TRY(lt_graph_remove_node(graph, lt_value_get(graph, wrapped)->def, NULL));
    float ones[2] = { 1, 1 };
    lt_tensor tensor = {
        .struct_size = sizeof tensor, .dtype = LATHE_DTYPE_F32, .rank = 1, .dims = { 2 }, .data = ones, .bytes = 8
    };
    lt_value_id constant, sum;
    LT_TRY(lt_graph_add_constant(graph, NULL, &tensor, &constant, NULL));
    lt_value_id twice[] = { constant, constant };
    spec = (lt_node_spec){ .op = "Add", .inputs = twice, .n_inputs = 2, .n_outputs = 1 };
    lt_node_id added;
    LT_TRY(lt_graph_add_node(graph, LT_MAIN, &spec, &added, &sum, NULL));
    LT_TRY(lt_graph_fold_node(graph, added, NULL));
    LT_TRY(lt_graph_assume(graph, sum, LT_ASSUME_BYTES, 0, NULL));
    LT_TRY(lt_graph_refuse(graph, sum, added, added, "no reason", NULL));
    const lt_value *x = lt_value_get(graph, lt_region_get(graph, LT_MAIN)->inputs[0]);
    lt_type type = x->type;
    type.dims[0] = lt_dim_const(2);
    return lt_graph_set_type(graph, x->id, &type, NULL);
}

static lathe_status run_graph(const lt_graph *graph)
{
    float data[2 * 3 * 8 * 8] = { 1 };
    lt_string strings[2] = { { "x", 1 }, { "", 0 } };
    const lt_region *net = lt_region_get(graph, LT_MAIN);
    lt_any any[4] = { 0 };
    const lt_any *inputs[4];
    for (uint32_t i = 0; i < net->n_inputs; i++) {
        const lt_type *type = &lt_value_get(graph, net->inputs[i])->type;
        int64_t dims[LATHE_MAX_RANK];
        for (int k = 0; k < type->rank; k++) {
            dims[k] = lt_dim_is_const(type->dims[k]) ? type->dims[k].k : 2;
        }
        LT_TRY(lt_tensor_shape(&any[i].tensor, type->dtype, type->rank, dims, "x", NULL));
        any[i].tensor.data = type->dtype == LATHE_DTYPE_STRING ? (void *)strings : data;
        inputs[i] = &any[i];
    }
    lt_run *run;
    LT_TRY(lt_graph_run(graph, inputs, net->n_inputs, NULL, &run, NULL));
    lt_run_destroy(run);
    return LATHE_OK;
}

static lathe_status with_graph(lt_graph *graph, const lathe_allocator *allocator)
{
    lt_text_options options = lt_text_canonical;
    lt_buf text;
    lt_graph *clone = NULL, *again = NULL;
    uint64_t hash;
    options.origins = true;
    options.inline_bytes = 4096;
    lt_buf_init(&text, allocator);
    lathe_status status = lt_graph_print(graph, &options, &text, NULL);
    status = status == LATHE_OK
                 ? lt_graph_parse(lt_buf_str(&text), text.length, "again", allocator, NULL, NULL, &again, NULL)
                 : status;
    status = status == LATHE_OK ? lt_graph_hash(graph, &hash, NULL) : status;
    status = status == LATHE_OK ? lt_graph_clone(graph, allocator, &clone, NULL) : status;
    status = status == LATHE_OK ? lt_graph_verify(clone, NULL) : status;
    status = status == LATHE_OK ? run_graph(graph) : status;
    status = status == LATHE_OK ? change(graph) : status;
    lt_buf_free(&text);
    lt_graph_destroy(clone);
    lt_graph_destroy(again);
    return status;
}

/* *calls: allocations that the whole thing takes. */
static lathe_status everything(const char *text, counting_allocator *counter, size_t *calls)
{
    lt_graph *graph;
    LT_TRY(lt_graph_parse(text, strlen(text), "t", &counter->api, NULL, NULL, &graph, NULL));
    lathe_status status = with_graph(graph, &counter->api);
    *calls = counter->calls;
    counter->fail_at = 0; /* the check itself needs memory */
    MUST(lt_graph_verify(graph, diag));
    char *printed = print_text(graph);
    free(printed);
    lt_graph_destroy(graph);
    return status;
}

static void test_failing(void **state)
{
    (void)state;
    for (size_t n = 0; n < LT_COUNT(nets); n++) {
        counting_allocator counter;
        counting_init(&counter);
        size_t calls, ignored;
        assert_int_equal(everything(nets[n], &counter, &calls), LATHE_OK);
        assert_int_equal(counter.live, 0);
        assert_true(calls > 50);
        size_t refused = 0;
        for (size_t fail = 1; fail <= calls; fail++) {
            for (int rest = 0; rest < 2; rest++) {
                counting_init(&counter);
                counter.fail_at = fail;
                counter.fail_rest = rest;
                lathe_status status = everything(nets[n], &counter, &ignored);
                /* Sharing equal constants is a convenience: it may do without its entry in a map. */
                assert_true(status == LATHE_OUT_OF_MEMORY || status == LATHE_OK);
                refused += status != LATHE_OK;
                assert_int_equal(counter.live, 0);
                assert_int_equal(counter.mistakes, 0);
            }
        }
        assert_true(refused + 1 >= 2 * calls);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_failing) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
