/*
 * test_passes_rules.c - the rule engine: what patterns match and what not, what is refused when rules are compiled, what an edit leaves behind.
 * Each case is a rule and two texts: the graph before and after.
 */
#include "passes/passes_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static lt_graph *parse(const char *text)
{
    lathe_diag *diag = lathe_diag_create(NULL);
    lt_graph *graph = NULL;
    lathe_status status = lt_graph_parse(text, strlen(text), "test", NULL, NULL, NULL, &graph, diag);
    if (status != LATHE_OK) {
        lathe_diag_print(diag, stderr);
    }
    assert_int_equal(status, LATHE_OK);
    lathe_diag_destroy(diag);
    return graph;
}

static char *print(const lt_graph *graph)
{
    lt_buf buf;
    lt_buf_init(&buf, NULL);
    assert_int_equal(lt_graph_print(graph, &lt_text_canonical, &buf, NULL), LATHE_OK);
    char *text = malloc(buf.length + 1);
    strcpy(text, lt_buf_str(&buf));
    lt_buf_free(&buf);
    return text;
}

static lathe_status run_rules(lt_graph *graph, const lt_rule *rules, bool *changed, lathe_diag *diag)
{
    const lt_pass pass = { .name = "test", .summary = "", .rules = rules };
    const lt_pipeline_options options = { .verify = true };
    return lt_pass_run(&pass, graph, &options, changed, diag);
}

/* The body of a network with inputs x and z, f32[2,3], and constants one, half, ints. */
static char *network(const char *body)
{
    static const char *const head = "net (f32[2,3] x, f32[2,3] z) => (f32[2,3] y)\n"
                                    "<f32[] one = {1.0}, f32[] half = {0.5}, f32[2,3] w = rand(1), i64[2] ints = {2, 3}>\n{\n";
    char *text = malloc(strlen(head) + strlen(body) + 8);
    strcpy(text, head);
    strcat(text, body);
    strcat(text, "}\n");
    return text;
}

static void expect_rule(const lt_rule rule, const char *before, const char *after)
{
    lt_rule rules[2] = { rule, { .name = NULL } };
    char *text = network(before), *wanted = network(after);
    lathe_diag *diag = lathe_diag_create(NULL);
    lt_graph *graph = parse(text), *expected = parse(wanted);
    bool changed;
    lathe_status status = run_rules(graph, rules, &changed, diag);
    if (status != LATHE_OK) {
        lathe_diag_print(diag, stderr);
    }
    assert_int_equal(status, LATHE_OK);
    /* What was assumed is another matter: compare the nodes. */
    char *have = print(graph), *want = print(expected);
    const char *a = strstr(have, "\n{\n"), *b = strstr(want, "\n{\n");
    assert_non_null(a);
    assert_non_null(b);
    assert_string_equal(a, b);
    assert_int_equal(changed, strcmp(before, after) != 0);
    free(have);
    free(want);
    free(text);
    free(wanted);
    lt_graph_destroy(graph);
    lt_graph_destroy(expected);
    lathe_diag_destroy(diag);
}

#define RULE(p, r) (lt_rule){ .name = "rule", .pattern = (p), .replacement = (r) }
#define GROWS(p, r) (lt_rule){ .name = "rule", .pattern = (p), .replacement = (r), .grows = "a test" }

static void same(const lt_rule rule, const char *body)
{
    expect_rule(rule, body, body);
}

static void test_repeated_names(void **state)
{
    (void)state;
    lt_rule rule = RULE("Mul(x, Sigmoid(x))", "Tanh(x)");
    expect_rule(rule, "s = Sigmoid (x)\n y = Mul (x, s)\n", "y = Tanh (x)\n");
    expect_rule(rule, "s = Sigmoid (x)\n y = Mul (s, x)\n", "y = Tanh (x)\n");
    same(rule, "s = Sigmoid (z)\n y = Mul (x, s)\n");
    same(rule, "s = Sigmoid (x)\n y = Div (x, s)\n");
}

static void test_commutative_nests(void **state)
{
    (void)state;
    /* Both orders of both nodes have to be tried. */
    lt_rule rule = RULE("Add(Mul(Relu(x), a), Relu(x))", "Relu(x)");
    expect_rule(rule, "r = Relu (x)\n m = Mul (z, r)\n s = Relu (x)\n y = Add (s, m)\n", "y = Relu (x)\n");
    same(rule, "r = Relu (x)\n m = Mul (z, r)\n s = Relu (z)\n y = Add (s, m)\n");
}

static void test_alternatives(void **state)
{
    (void)state;
    lt_rule rule = RULE("Relu(Exp|Abs(x))", "Exp(x)");
    expect_rule(rule, "a = Abs (x)\n y = Relu (a)\n", "y = Exp (x)\n");
    expect_rule(rule, "a = Exp (x)\n y = Relu (a)\n", "y = Exp (x)\n");
    same(rule, "a = Neg (x)\n y = Relu (a)\n");
    /* Operators that this build does not have are alternatives that never match. */
    expect_rule(RULE("Relu(NoSuchOperator|Abs(x))", "Exp(x)"), "a = Abs (x)\n y = Relu (a)\n", "y = Exp (x)\n");
    same(RULE("Relu(NoSuchOperator(x))", "Exp(x)"), "a = Abs (x)\n y = Relu (a)\n");
}

static void test_optional_wrapper(void **state)
{
    (void)state;
    lt_rule rule = RULE("Relu(Neg?(Exp(x)))", "Abs(x)");
    expect_rule(rule, "e = Exp (x)\n n = Neg (e)\n y = Relu (n)\n", "y = Abs (x)\n");
    expect_rule(rule, "e = Exp (x)\n y = Relu (e)\n", "y = Abs (x)\n");
    same(rule, "e = Exp (x)\n n = Tanh (e)\n y = Relu (n)\n");
}

static void test_single_use(void **state)
{
    (void)state;
    const char *body = "e = Exp (x)\n r = Relu (e)\n y = Add (r, e)\n";
    same(RULE("Relu(Exp(x))", "Exp(x)"), body);
    /* Shared: the inner node stays for its other reader. */
    expect_rule(GROWS("Relu(!Exp(x))", "Abs(x)"), body, "e = Exp (x)\n r = Abs (x)\n y = Add (r, e)\n");
    /* Uses inside the match are no others. */
    expect_rule(RULE("e = Exp(x); Add(e, Neg(e))", "Abs(x)"), "e = Exp (x)\n n = Neg (e)\n y = Add (e, n)\n", "y = Abs (x)\n");
    same(RULE("Relu(x:single)", "x"), body);
}

static void test_shared_keeps_what_it_reads(void **state)
{
    (void)state;
    /* Exp stays for Add, so Neg under it is not single-use after all. */
    same(RULE("Relu(!Exp(Neg(x)))", "Exp(x)"), "n = Neg (x)\n e = Exp (n)\n r = Relu (e)\n y = Add (r, e)\n");
    expect_rule(RULE("Relu(!Exp(Neg(x)))", "Exp(x)"), "n = Neg (x)\n e = Exp (n)\n y = Relu (e)\n", "y = Exp (x)\n");
}

static void test_reuses_matched_node(void **state)
{
    (void)state;
    lt_rule rule = RULE("r = !Relu(x); Relu(r)", "r");
    expect_rule(rule, "a = Relu (x)\n b = Relu (a)\n y = Add (a, b)\n", "a = Relu (x)\n y = Add (a, a)\n");
    expect_rule(rule, "a = Relu (x)\n b = Relu (a)\n c = Relu (b)\n y = Neg (c)\n", "a = Relu (x)\n y = Neg (a)\n");
}

static void test_outputs(void **state)
{
    (void)state;
    lt_rule rule = RULE("s = Split<axis=0>(x, ...); Concat<axis=0>(s.0, s.1)", "x");
    expect_rule(rule, "a, b = Split <axis = 0, num_outputs = 2> (x)\n c = Concat <axis = 0> (a, b)\n y = Relu (c)\n", "y = Relu (x)\n");
    same(rule, "a, b = Split <axis = 0, num_outputs = 2> (x)\n c = Concat <axis = 0> (b, a)\n y = Relu (c)\n");
    same(rule, "a, b = Split <axis = 0, num_outputs = 2> (x)\n d = Relu (a)\n c = Concat <axis = 0> (d, b)\n y = Relu (c)\n");
    /* Several results: each output has its replacement. */
    lt_rule rules[] = { GROWS("Split(x, ...)", "ReduceMax(x, [0]), ReduceMin(x, [0])"), { .name = NULL } };
    lt_graph *graph = parse("net (f32[2,3] x) => (f32[1,3] y) { a, b = Split <axis = 0, num_outputs = 2> (x) y = Sub (b, a) }");
    assert_int_equal(run_rules(graph, rules, NULL, NULL), LATHE_OK);
    char *text = print(graph);
    assert_non_null(strstr(text, "{\n  f32[1,3] a = ReduceMax (x, const.1)\n  f32[1,3] b = ReduceMin (x, const.1)\n  f32[1,3] y = Sub (b, a)\n}"));
    free(text);
    lt_graph_destroy(graph);
}

static void test_literals(void **state)
{
    (void)state;
    expect_rule(RULE("Mul(x, 1.0)", "x"), "m = Mul (one, x)\n y = Relu (m)\n", "y = Relu (x)\n");
    same(RULE("Mul(x, 1.0)", "x"), "m = Mul (half, x)\n y = Relu (m)\n");
    expect_rule(RULE("Mul(x, 0.5001~0.001)", "x"), "m = Mul (half, x)\n y = Relu (m)\n", "y = Relu (x)\n");
    same(RULE("Mul(x, 0.5001~0.0001)", "x"), "m = Mul (half, x)\n y = Relu (m)\n");
    expect_rule(RULE("Reshape(x, [2, 3])", "x"), "m = Reshape (x, ints)\n y = Relu (m)\n", "y = Relu (x)\n");
    same(RULE("Reshape(x, [3, 2])", "x"), "m = Reshape (x, ints)\n y = Relu (m)\n");
    /* Splat captures; literals in replacements are constants of the type of the other argument. */
    expect_rule(RULE("Relu(Mul(x, c:splat(0.5)))", "Add(x, c)"), "m = Mul (half, x)\n y = Relu (m)\n", "y = Add (x, half)\n");
    same(RULE("Relu(Mul(x, c:splat(0.25)))", "Add(x, c)"), "m = Mul (half, x)\n y = Relu (m)\n");
    lt_rule rules[] = { RULE("Relu(Mul(x, 0.5))", "Add(x, 2)"), { .name = NULL } };
    lt_graph *graph = parse("net (f16[3] x) => (f16[3] y) <f16[] half = {0.5}> { m = Mul (half, x) y = Relu (m) }");
    assert_int_equal(run_rules(graph, rules, NULL, NULL), LATHE_OK);
    char *text = print(graph);
    assert_non_null(strstr(text, "f16[] const.1 = {2.0}"));
    assert_non_null(strstr(text, "assume half splat 0.5 by test"));
    assert_non_null(strstr(text, "y = Add (x, const.1)"));
    free(text);
    lt_graph_destroy(graph);
}

static void test_needs(void **state)
{
    (void)state;
    expect_rule(RULE("Add(Relu(x), c:const)", "Add(x, c)"), "r = Relu (x)\n y = Add (w, r)\n", "y = Add (x, w)\n");
    same(RULE("Add(Relu(x), c:const)", "Add(x, c)"), "r = Relu (x)\n y = Add (z, r)\n");
    same(RULE("Add(Relu(x), c:scalar)", "Add(x, c)"), "r = Relu (x)\n y = Add (w, r)\n");
    expect_rule(RULE("Add(Relu(x), c:scalar:f32)", "Add(x, c)"), "r = Relu (x)\n y = Add (half, r)\n", "y = Add (x, half)\n");
    same(RULE("Add(Relu(x:f16), c)", "Add(x, c)"), "r = Relu (x)\n y = Add (half, r)\n");
}

static void test_attributes(void **state)
{
    (void)state;
    lt_rule rule = RULE("Relu(LeakyRelu<alpha=0.5>(x))", "Relu(x)");
    expect_rule(rule, "l = LeakyRelu <alpha = 0.5> (x)\n y = Relu (l)\n", "y = Relu (x)\n");
    same(rule, "l = LeakyRelu <alpha = 0.25> (x)\n y = Relu (l)\n");
    same(rule, "l = LeakyRelu (x)\n y = Relu (l)\n");
    expect_rule(RULE("Relu(LeakyRelu<alpha=0.5?>(x))", "Relu(x)"), "l = LeakyRelu (x)\n y = Relu (l)\n", "y = Relu (x)\n");
    /* Bound attributes must agree, and can be used in the replacement. */
    rule = RULE("LeakyRelu<alpha=a>(LeakyRelu<alpha=a>(x))", "Elu<alpha=a>(x)");
    expect_rule(rule, "l = LeakyRelu <alpha = 0.5> (x)\n y = LeakyRelu <alpha = 0.5> (l)\n", "y = Elu <alpha = 0.5> (x)\n");
    same(rule, "l = LeakyRelu <alpha = 0.5> (x)\n y = LeakyRelu <alpha = 0.25> (l)\n");
    expect_rule(RULE("t = Transpose(Neg(x)); Transpose<perm=[1,0]>(t)", "Flatten<axis=1>(Neg(x))"),
                "n = Neg (x)\n t = Transpose (n)\n y = Transpose <perm = [1, 0]> (t)\n", "Neg.1 = Neg (x)\n y = Flatten <axis = 1> (Neg.1)\n");
    /* All attributes of a node, one of them changed. */
    expect_rule(RULE("h = HardSigmoid(Neg(x)); Relu(h)", "HardSigmoid<*h, beta=0.25>(x)"),
                "n = Neg (x)\n h = HardSigmoid <alpha = 0.5, beta = 0.75> (n)\n y = Relu (h)\n",
                "y = HardSigmoid <beta = 0.25, alpha = 0.5> (x)\n");
}

static void test_argument_count(void **state)
{
    (void)state;
    same(RULE("Concat(x)", "x"), "c = Concat <axis = 0> (x, z)\n s, t = Split <axis = 0, num_outputs = 2> (c)\n y = Add (s, t)\n");
    expect_rule(RULE("Clip(x, _, _)", "x"), "c = Clip (x, \"\", one)\n y = Relu (c)\n", "y = Relu (x)\n");
    expect_rule(RULE("Clip(x, _, _)", "x"), "c = Clip (x)\n y = Relu (c)\n", "y = Relu (x)\n");
    same(RULE("Clip(x)", "x"), "c = Clip (x, \"\", one)\n y = Relu (c)\n");
}

static void test_shapes_must_agree(void **state)
{
    (void)state;
    /* The product is larger than the capture: "x" cannot stand for it. */
    lt_rule rules[] = { RULE("Mul(x, 1.0)", "x"), { .name = NULL } };
    lt_graph *graph = parse("net (f32[3] x) => (f32[2,3] y) <f32[2,1] ones = splat(1)> { m = Mul (x, ones) y = Relu (m) }");
    bool changed = true;
    assert_int_equal(run_rules(graph, rules, &changed, NULL), LATHE_OK);
    assert_false(changed);
    lt_graph_destroy(graph);
}

static bool never(lt_pass_call *c, lt_match *m, char *why, size_t why_size)
{
    (void)c;
    (void)m;
    snprintf(why, why_size, "never");
    return false;
}

static bool bind_new(lt_pass_call *c, lt_match *m, char *why, size_t why_size)
{
    (void)c;
    (void)why;
    (void)why_size;
    assert_non_null(lt_match_value(m, "x"));
    assert_null(lt_match_value(m, "nobody"));
    assert_true(lt_node_is(lt_match_node(m, "t"), "Transpose"));
    assert_true(lt_node_is(lt_match_root(m), "Relu"));
    assert_null(lt_match_attr(m, "p"));
    lt_match_set_ints(m, "q", (int64_t[]){ 1, 0 }, 2);
    lt_match_set_value(m, "v", lt_match_value(m, "x")->id);
    return true;
}

static void test_guards(void **state)
{
    (void)state;
    lt_rule rule = { .name = "rule", .pattern = "Relu(x)", .replacement = "x", .guard = never };
    same(rule, "y = Relu (x)\n");
    rule = (lt_rule){ .name = "rule", .pattern = "t = Transpose<perm=p>(Neg(x)); Relu(t)", .replacement = "Transpose<perm=q>(v)", .guard = bind_new };
    lt_rule rules[] = { rule, { .name = NULL } };
    lt_graph *graph = parse("net (f32[2,3] x) => (f32[3,2] y) { n = Neg (x) t = Transpose (n) y = Relu (t) }");
    assert_int_equal(run_rules(graph, rules, NULL, NULL), LATHE_OK);
    char *text = print(graph);
    assert_non_null(strstr(text, "y = Transpose <perm = [1, 0]> (x)"));
    free(text);
    lt_graph_destroy(graph);
}

static void expect_refused(const lt_rule rule, const char *words)
{
    lt_arena arena;
    lt_rule_code *code;
    lathe_diag_record record = { .struct_size = sizeof record };
    lathe_diag *diag = lathe_diag_create(NULL);
    lt_arena_init(&arena, NULL);
    assert_int_equal(lt_rule_compile(&rule, &arena, &code, diag), LATHE_INTERNAL);
    assert_int_equal(lathe_diag_at(diag, 0, &record), LATHE_OK);
    if (strstr(record.text, words) == NULL) {
        print_message("%s does not say '%s'\n", record.text, words);
    }
    assert_non_null(strstr(record.text, words));
    lt_arena_destroy(&arena);
    lathe_diag_destroy(diag);
}

static void test_refused_texts(void **state)
{
    (void)state;
    expect_refused(RULE("Relu(x", "x"), "expected ',' or ')'");
    expect_refused(RULE("Relu(x))", "x"), "unexpected text");
    expect_refused(RULE("x", "x"), "the last statement must be a node");
    expect_refused(RULE("Relu?(x)", "x"), "the last statement must be a node");
    expect_refused(RULE("Relu(!x)", "x"), "expected an operator behind '!'");
    expect_refused(RULE("Relu(x:big)", "x"), "expected const, scalar");
    expect_refused(RULE("Relu<alpha>(x)", "x"), "expected '='");
    expect_refused(RULE("Relu<alpha=\"a>(x)", "x"), "string without an end");
    expect_refused(RULE("Add(x, [1.5])", "x"), "only integers");
    expect_refused(RULE("a = Relu(x); a = Relu(a); Relu(a)", "x"), "this name is taken");
    expect_refused(RULE("Transpose<perm=x>(Relu(x))", "x"), "this name is an attribute");
    expect_refused(RULE("r = Relu(x); Transpose<perm=r>(r)", "x"), "this name is no attribute");
    expect_refused(RULE("Relu(x)", "q"), "which nothing binds");
    expect_refused(RULE("Relu(x)", "Relu<*q>(x)"), "no node of the pattern");
    expect_refused(RULE("", "x"), "expected an expression");
    expect_refused(RULE("Add(a,b,c,d,e,f,g,h,i,j,k)", "a"), "too many arguments");
}

static void test_measure(void **state)
{
    (void)state;
    lt_arena arena;
    lt_rule_code *code;
    lt_arena_init(&arena, NULL);
    expect_refused(RULE("Relu(x)", "Relu(x)"), "does not lower");
    expect_refused(RULE("Relu(x)", "Exp(x)"), "does not lower");
    expect_refused(RULE("Relu(x)", "Relu(Abs(x))"), "does not lower");
    expect_refused(RULE("Relu(!Exp(x))", "Relu(x)"), "does not lower"); /* Exp may stay */
    expect_refused(RULE("Neg?(Relu(x))", "Relu(x)"), "the last statement");
    const lt_rule fine[] = {
        RULE("Relu(Exp(x))", "Exp(x)"),
        RULE("Add(x, z)", "Relu(x)"),              /* reads less */
        RULE("Sub(x, z)", "Add(x, z)"),            /* lower rank */
        RULE("Pow(x, 2)", "Sub(x, 1)"),            /* lower rank again */
        GROWS("Relu(x)", "Relu(Abs(x))"),
    };
    for (size_t i = 0; i < LT_COUNT(fine); i++) {
        assert_int_equal(lt_rule_compile(&fine[i], &arena, &code, NULL), LATHE_OK);
    }
    lt_arena_destroy(&arena);
}

static void test_bound(void **state)
{
    (void)state;
    lathe_diag *diag = lathe_diag_create(NULL);
    lathe_diag_record record = { .struct_size = sizeof record };
    const lt_rule rules[] = { GROWS("Relu(x)", "Relu(x)"), { .name = NULL } };
    char *text = network("y = Relu (x)\n");
    lt_graph *graph = parse(text);
    assert_int_equal(run_rules(graph, rules, NULL, diag), LATHE_INTERNAL);
    assert_int_equal(lathe_diag_at(diag, 0, &record), LATHE_OK);
    assert_non_null(strstr(record.text, "do not come to rest"));
    assert_int_equal(lt_graph_verify(graph, NULL), LATHE_OK);
    free(text);
    lt_graph_destroy(graph);
    lathe_diag_destroy(diag);
}

/* Relu, then Identity n times, then Neg. */
static lt_graph *chain(int links)
{
    lt_buf body;
    lt_buf_init(&body, NULL);
    lt_buf_puts(&body, "v0 = Relu (x)\n");
    for (int i = 1; i <= links; i++) {
        lt_buf_printf(&body, "v%d = Identity (v%d)\n", i, i - 1);
    }
    lt_buf_printf(&body, "y = Neg (v%d)\n", links);
    char *text = network(lt_buf_str(&body));
    lt_graph *graph = parse(text);
    lt_buf_free(&body);
    free(text);
    return graph;
}

static void test_deep_chain(void **state)
{
    (void)state;
    const lt_rule rules[] = { RULE("Identity(x)", "x"), { .name = NULL } };
    const lt_pass pass = { .name = "test", .summary = "", .rules = rules };
    lt_graph *graph = chain(3000);
    assert_int_equal(lt_pass_run(&pass, graph, NULL, NULL, NULL), LATHE_OK);
    assert_int_equal(lt_graph_node_count(graph, LT_MAIN), 2);
    lt_graph_destroy(graph);
}

static void test_compaction(void **state)
{
    (void)state;
    lt_graph *graph = chain(6000);
    size_t before = lt_graph_arena(graph)->used;
    assert_int_equal(lt_pipeline_above(&graph, NULL, NULL), LATHE_OK);
    assert_int_equal(lt_graph_node_count(graph, LT_MAIN), 2);
    assert_int_equal(lt_graph_verify(graph, NULL), LATHE_OK);
    assert_true(lt_graph_arena(graph)->used < before / 2);
    lt_graph_destroy(graph);
}

/* Operators that rules name although no table has them yet. Anything else is misspelt. */
static const char *const waiting[] = { NULL };

static void unknown_op(void *user, const char *rule, const char *op)
{
    for (size_t i = 0; waiting[i] != NULL; i++) {
        if (strcmp(waiting[i], op) == 0) {
            return;
        }
    }
    print_message("rule %s: there is no operator %s\n", rule, op);
    ++*(int *)user;
}

static void test_all_passes(void **state)
{
    (void)state;
    int mistakes = 0;
    for (size_t i = 0; lt_pass_table[i] != NULL; i++) {
        const lt_pass *pass = lt_pass_table[i];
        lt_arena arena;
        lt_rule_code *code;
        lt_arena_init(&arena, NULL);
        assert_non_null(pass->summary);
        assert_true(pass->rules != NULL || pass->visit != NULL || pass->run != NULL);
        assert_ptr_equal(lt_pass_find(pass->name), pass);
        for (const lt_rule *rule = pass->rules; rule != NULL && rule->name != NULL; rule++) {
            assert_int_equal(lt_rule_compile(rule, &arena, &code, NULL), LATHE_OK);
            lt_rule_unknown_ops(rule, unknown_op, &mistakes);
        }
        lt_arena_destroy(&arena);
    }
    assert_int_equal(mistakes, 0);
    for (size_t i = 0; lt_pipeline[i] != NULL; i++) {
        assert_true(strcmp(lt_pipeline[i], LT_BORDER) == 0 || lt_pass_find(lt_pipeline[i]) != NULL);
    }
}

/* Facts: "shapes" hold from the import on, "qdq" after raise-quantized, "groups" after group-*. Nobody may lose one that is needed later. */
static void test_facts(void **state)
{
    (void)state;
    bool qdq = false, groups = false;
    for (size_t i = 0; lt_pipeline[i] != NULL; i++) {
        const lt_pass *pass = lt_pass_find(lt_pipeline[i]);
        if (pass == NULL) {
            continue;
        }
        assert_true(pass->needs == NULL || strstr(pass->needs, "qdq") == NULL || qdq);
        assert_true(pass->keeps == NULL || strstr(pass->keeps, "shapes") != NULL);
        assert_true(!groups || pass->keeps == NULL || strstr(pass->keeps, "groups") != NULL);
        qdq = (qdq && (pass->keeps == NULL || strstr(pass->keeps, "qdq") != NULL)) || lt_streq(pass->name, "raise-quantized");
        groups = groups || strncmp(pass->name, "group-", 6) == 0;
    }
    assert_true(qdq && groups);
}

static void test_select(void **state)
{
    (void)state;
    static const struct {
        const char *select;
        lathe_status status;
        size_t nodes;
    } cases[] = {
        { NULL, LATHE_OK, 1 },
        { "-drop-identity", LATHE_OK, 2 },
        { "-dead-code,-drop-identity", LATHE_OK, 3 },
        { "-all", LATHE_OK, 3 },
        { "-drop-identty", LATHE_INVALID_ARGUMENT, 3 },
        { "drop-identity", LATHE_INVALID_ARGUMENT, 3 },
        { "-", LATHE_INVALID_ARGUMENT, 3 },
    };
    for (size_t i = 0; i < LT_COUNT(cases); i++) {
        char *text = network("i = Identity (x)\n d = Exp (i)\n y = Relu (i)\n");
        lt_graph *graph = parse(text);
        const lt_pipeline_options options = { .select = cases[i].select, .verify = true };
        assert_int_equal(lt_pipeline_above(&graph, &options, NULL), cases[i].status);
        assert_int_equal(lt_graph_node_count(graph, LT_MAIN), cases[i].nodes);
        lt_graph_destroy(graph);
        free(text);
    }
}

static void test_fates(void **state)
{
    (void)state;
    char *text = network("i = Identity (x)\n d = Exp (w)\n e = Log (d)\n u = Neg (z)\n y = Mul (i, e)\n");
    lt_graph *graph = parse(text);
    static const lt_fate wanted[] = { LT_FATE_REMOVED, LT_FATE_FOLDED, LT_FATE_FOLDED, LT_FATE_REMOVED, LT_FATE_STEP };
    static const char *const by[] = { "drop-identity", "fold-constants", "fold-constants", "dead-code", "" };
    assert_int_equal(lt_graph_number_origins(graph, NULL), LATHE_OK);
    assert_int_equal(lt_pipeline_above(&graph, NULL, NULL), LATHE_OK);
    assert_int_equal(lt_pipeline_below(&graph, NULL, NULL), LATHE_OK);
    assert_int_equal(lt_graph_origins(graph, NULL), 5);
    for (uint32_t i = 0; i < 5; i++) {
        lt_fate fate;
        const char *pass;
        assert_int_equal(lt_graph_fate(graph, i, &fate, &pass, NULL), LATHE_OK);
        assert_int_equal(fate, wanted[i]);
        assert_string_equal(pass, by[i]);
    }
    lt_graph_destroy(graph);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_repeated_names), cmocka_unit_test(test_commutative_nests), cmocka_unit_test(test_alternatives),
        cmocka_unit_test(test_optional_wrapper), cmocka_unit_test(test_single_use), cmocka_unit_test(test_shared_keeps_what_it_reads),
        cmocka_unit_test(test_reuses_matched_node), cmocka_unit_test(test_outputs), cmocka_unit_test(test_literals), cmocka_unit_test(test_needs),
        cmocka_unit_test(test_attributes), cmocka_unit_test(test_argument_count), cmocka_unit_test(test_shapes_must_agree),
        cmocka_unit_test(test_guards), cmocka_unit_test(test_refused_texts), cmocka_unit_test(test_measure), cmocka_unit_test(test_bound),
        cmocka_unit_test(test_deep_chain), cmocka_unit_test(test_compaction), cmocka_unit_test(test_all_passes), cmocka_unit_test(test_facts), cmocka_unit_test(test_select), cmocka_unit_test(test_fates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
