/*
 * test_graph_provenance.c - origins, the edit log and fates; assumptions on constants; refusals. All of it survives
 * cloning and text.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "support/graph_text.h"

static const lt_text_options full = { .types = true, .labels = true, .origins = true, .inline_bytes = 1024 };

static const char net_text[] = "net (f32[2,3] x) => (y)\n"
                               "<f32[3] w = {1, 2, 3}, f32[3] s = {2, 2, 2}>\n"
                               "origins { #0 [a] Mul  #1 [b] Mul  #2 [c] Relu  #3 [d] Identity  #4 [e] Constant }\n"
                               "{ a = Mul (w, s) #0  b = Mul (x, a) #1  c = Relu (b) #2  y = Identity (c) #3 }";

static void assert_fate(const lt_graph *graph, uint32_t origin, lt_fate fate, const char *pass)
{
    lt_fate got;
    const char *by;
    MUST(lt_graph_fate(graph, origin, &got, &by, diag));
    assert_int_equal(got, fate);
    assert_string_equal(by, pass);
}

/* The same fates after printing and reading, and in a clone. */
static void assert_same_fates(const lt_graph *graph)
{
    char *text = print_with(graph, &full);
    lt_graph *copies[2] = { parse_text(text), NULL };
    MUST(lt_graph_clone(graph, NULL, &copies[1], diag));
    for (int i = 0; i < 2; i++) {
        for (uint32_t o = 0; o < lt_graph_origins(graph, NULL); o++) {
            lt_fate fate;
            const char *pass;
            MUST(lt_graph_fate(graph, o, &fate, &pass, diag));
            assert_fate(copies[i], o, fate, pass);
        }
        char *again = print_with(copies[i], &full);
        assert_string_equal(text, again);
        free(again);
        lt_graph_destroy(copies[i]);
    }
    free(text);
}

static void test_fates(void **state)
{
    (void)state;
    lt_graph *graph = parse_text(net_text);
    assert_fate(graph, 0, LT_FATE_STEP, "");
    assert_fate(graph, 4, LT_FATE_FOLDED, "import"); /* never became a node but a constant */
    assert_same_fates(graph);

    MUST(lt_edit_begin(graph, "fold-constants", "eval", diag));
    assert_int_equal(lt_edit_begin(graph, "other", "", NULL), LATHE_INVALID_ARGUMENT);
    assert_int_equal(lt_graph_clone(graph, NULL, &(lt_graph *){ NULL }, NULL), LATHE_INVALID_ARGUMENT);
    MUST(lt_graph_fold_node(graph, node_of(graph, "a")->id, diag));
    lt_edit_end(graph);
    assert_fate(graph, 0, LT_FATE_FOLDED, "fold-constants");

    MUST(lt_edit_begin(graph, "drop-identity", "Identity(x) -> x", diag));
    lt_node *identity = node_of(graph, "y");
    MUST(lt_graph_replace_value(graph, identity->outputs[0], identity->inputs[0], diag));
    MUST(lt_graph_remove_node(graph, identity->id, diag));
    MUST(lt_edit_note(graph, "it did nothing", diag));
    lt_edit_end(graph);
    assert_fate(graph, 3, LT_FATE_REMOVED, "drop-identity");

    /* b and c become one node, which stands for both. */
    MUST(lt_edit_begin(graph, "fuse", "Relu(Mul)", diag));
    lt_node *relu = node_of(graph, "y"), *mul = node_of(graph, "b");
    MUST(lt_edit_consume(graph, relu->id, diag));
    MUST(lt_edit_consume(graph, mul->id, diag));
    lt_value_id inputs[] = { mul->inputs[1], mul->inputs[0] }, fused;
    lt_node_spec spec = {
        .op = "PRelu", .inputs = (lt_value_id[]){ inputs[1], inputs[0] }, .n_inputs = 2, .n_outputs = 1
    };
    MUST(lt_graph_add_node(graph, LT_MAIN, &spec, NULL, &fused, diag));
    MUST(lt_graph_replace_value(graph, relu->outputs[0], fused, diag));
    MUST(lt_graph_remove_node(graph, relu->id, diag));
    MUST(lt_graph_remove_node(graph, mul->id, diag));
    lt_edit_end(graph);
    assert_fate(graph, 1, LT_FATE_STEP, "");
    assert_fate(graph, 2, LT_FATE_STEP, "");
    assert_int_equal(lt_node_get(graph, lt_value_get(graph, fused)->def)->n_origins, 2);
    assert_same_fates(graph);

    /* The recipe loses its reader and goes: no longer folded, but removed. */
    MUST(lt_edit_begin(graph, "dead-code", "", diag));
    MUST(lt_graph_set_input_of(graph, node_of(graph, "y")->id, 1, lt_graph_find(graph, "w"), diag));
    MUST(lt_graph_remove_node(graph, node_of(graph, "a")->id, diag));
    lt_edit_end(graph);
    assert_fate(graph, 0, LT_FATE_REMOVED, "dead-code");
    assert_same_fates(graph);

    /* Outside of an edit a removal is logged too. */
    MUST(lt_graph_set_output(graph, LT_MAIN, 0, lt_graph_find(graph, "x"), diag));
    MUST(lt_graph_remove_node(graph, lt_value_get(graph, fused)->def, diag));
    assert_fate(graph, 1, LT_FATE_REMOVED, "edit");

    MUST(lt_edit_begin(graph, "import", "Constant", diag));
    MUST(lt_edit_gone(graph, 4, diag));
    lt_edit_end(graph);
    MUST(lt_edit_begin(graph, "nothing", "", diag));
    lt_edit_end(graph);
    const lt_log_record *log;
    size_t n = lt_graph_log(graph, &log);
    assert_int_equal(n, 6);
    assert_string_equal(log[1].note, "it did nothing");
    assert_int_equal(log[2].n_gone, 2);
    assert_int_equal(log[2].n_added, 1);
    assert_string_equal(log[5].pass, "import");
    lt_fate fate;
    const char *pass;
    assert_int_equal(lt_graph_fate(graph, 5, &fate, &pass, NULL), LATHE_INVALID_ARGUMENT);
    lt_graph_destroy(graph);
}

/* Nodes of bodies are steps; with their owner they are folded or removed. */
static void test_fates_of_bodies(void **state)
{
    (void)state;
    static const char text[] =
        "net (f32[2] x) => (y)\n"
        "<bool[] c = {true}, f32[2] w = {1, 2}>\n"
        "origins { #0 [if] If  #1 [t] Relu in \"if/then_branch\"  #2 [e] Neg in \"if/else_branch\"  #3 [add] Add }\n"
        "{ z = If <then_branch = graph () => (t) { t = Relu (w) #1 }, else_branch = graph () => (e) { e = Neg (w) #2 "
        "}> (c) #0\n"
        "  y = Add (x, z) #3 }";
    lt_graph *graph = parse_text(text);
    assert_fate(graph, 1, LT_FATE_STEP, "");
    MUST(lt_edit_begin(graph, "take-branch", "", diag));
    lt_node *owner = node_of(graph, "z");
    MUST(lt_graph_inline_region(graph, owner->id, lt_attr_find(owner->attrs, owner->n_attrs, "then_branch")->graph,
                                diag));
    lt_edit_end(graph);
    assert_fate(graph, 0, LT_FATE_REMOVED, "take-branch");
    assert_fate(graph, 1, LT_FATE_STEP, "");
    assert_fate(graph, 2, LT_FATE_REMOVED, "take-branch");
    lt_graph_destroy(graph);

    graph = parse_text(text);
    MUST(lt_edit_begin(graph, "fold-constants", "", diag));
    MUST(lt_graph_fold_node(graph, node_of(graph, "z")->id, diag));
    lt_edit_end(graph);
    assert_fate(graph, 0, LT_FATE_FOLDED, "fold-constants");
    assert_fate(graph, 1, LT_FATE_FOLDED, "fold-constants");
    assert_same_fates(graph);
    lt_graph_destroy(graph);
}

static void test_assumptions(void **state)
{
    (void)state;
    lt_graph *graph = parse_text("net (f32[2,3] x) => (y)\n"
                                 "<f32[3] w = {1, 2, 3}, f32[3] s = {2, 2, 2}, i64[2] shape = {3, 2}, f32[] third = "
                                 "0.33333334, i64[2] other = {1, 1}>\n"
                                 "init { p = Mul (w, s)  q = Shape (w)  r = Add (shape, other) }\n"
                                 "{ m = Mul (x, p)  y = Reshape (m, shape) }");
    const lt_assumption *list;
    double number;
    int64_t ints[4];
    int count;
    assert_false(lt_graph_is_splat(graph, lt_graph_find(graph, "w"), 1, 0));
    assert_false(lt_graph_scalar(graph, lt_graph_find(graph, "w"), &number));
    assert_int_equal(lt_graph_assumptions(graph, &list), 0);
    assert_true(lt_graph_scalar(graph, lt_graph_find(graph, "s"), &number));
    assert_true(number == 2);
    assert_true(lt_graph_is_splat(graph, lt_graph_find(graph, "s"), 2, 0));
    assert_int_equal(lt_graph_assumptions(graph, &list), 1); /* once */
    assert_string_equal(list[0].initializer, "s");
    assert_int_equal(list[0].kind, LT_ASSUME_SPLAT);
    MUST(lt_edit_begin(graph, "me", "", diag));
    assert_true(lt_graph_is_splat(graph, lt_graph_find(graph, "third"), 1.0 / 3, 1e-6));
    lt_edit_end(graph);
    assert_int_equal(lt_graph_assumptions(graph, &list), 2);
    assert_true(list[1].number == (double)0.33333334f); /* what is there, not what was asked */
    assert_string_equal(list[1].pass, "me");
    MUST(lt_graph_ints(graph, lt_graph_find(graph, "r"), ints, 4, &count));
    assert_int_equal(count, 2);
    assert_int_equal(ints[0], 4);
    assert_int_equal(lt_graph_assumptions(graph, &list), 4); /* bytes of both that the recipe reads */
    MUST(lt_graph_ints(graph, lt_graph_find(graph, "q"), ints, 4, &count));
    assert_int_equal(lt_graph_assumptions(graph, &list), 4); /* a shape is no element */
    MUST(lt_graph_ints(graph, lt_graph_find(graph, "x"), ints, 4, &count));
    assert_int_equal(count, -1);
    MUST(lt_graph_ints(graph, lt_graph_find(graph, "r"), ints, 1, &count));
    assert_int_equal(count, -1);
    MUST(lt_graph_rename(graph, lt_graph_find(graph, "s"), "scale", diag));
    lt_graph_assumptions(graph, &list);
    assert_string_equal(list[0].initializer, "scale");
    assert_int_equal(lt_graph_assume(graph, lt_graph_find(graph, "x"), LT_ASSUME_BYTES, 0, NULL),
                     LATHE_INVALID_ARGUMENT);
    MUST(lt_graph_assume(graph, lt_graph_find(graph, "w"), LT_ASSUME_SIGN, 1, diag));
    char *text = print_with(graph, &full);
    lt_graph *again = parse_text(text);
    assert_int_equal(lt_graph_assumptions(again, &list), 5);
    char *second = print_with(again, &full);
    assert_string_equal(text, second);
    free(text);
    free(second);
    lt_graph_destroy(again);
    lt_graph_destroy(graph);
}

static void test_refusals(void **state)
{
    (void)state;
    lt_graph *graph = parse_text(net_text), *clone;
    const lt_refusal *list;
    MUST(lt_graph_refuse(graph, lt_graph_find(graph, "b"), node_of(graph, "b")->id, node_of(graph, "c")->id,
                         "two readers", diag));
    MUST(lt_graph_clone(graph, NULL, &clone, diag));
    assert_int_equal(lt_graph_refusals(clone, &list), 1);
    assert_string_equal(list[0].reason, "two readers");
    assert_string_equal(lt_node_get(clone, list[0].to)->op->name, "Relu");
    assert_string_equal(lt_node_get(clone, list[0].from)->op->name, "Mul");
    lt_graph_clear_refusals(graph);
    assert_int_equal(lt_graph_refusals(graph, &list), 0);
    lt_graph_destroy(clone);
    lt_graph_destroy(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fates),
        cmocka_unit_test(test_fates_of_bodies),
        cmocka_unit_test(test_assumptions),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
