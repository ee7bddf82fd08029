/*
 * test_system_containers.c - sequences and optionals at the public border: values made and changed, bound and read, on
 * both devices, with and without passes, from memory and from saved plans. What callers do wrong has a status and a
 * name, and leaves what was there usable.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include "support/containers.h"
#include "support/counting_allocator.h"

/* ---- Values by themselves ---- */

static void values(void **state)
{
    (void)state;
    counting_allocator a;
    counting_init(&a);
    lathe_any *list = NULL, *outer = NULL;
    const float one[] = { 1, 2, 3 }, two[] = { 5, 6, 7 };
    const lathe_bytes words[] = { { "seven", 5 }, { "", 0 } };
    SYS_MUST(lathe_any_create(&a.api, LATHE_KIND_SEQUENCE, &list, diag));
    assert_int_equal(lathe_any_kind(list), LATHE_KIND_SEQUENCE);
    assert_int_equal(lathe_any_count(list), 0);
    assert_null(lathe_any_at(list, 0));
    for (size_t i = 0; i < 9; i++) {
        lathe_tensor t = floats(3, one);
        SYS_MUST(lathe_any_put(list, i, &t, diag));
    }
    size_t calls = a.calls;
    lathe_tensor other = floats(3, two), longer = tensor(LATHE_DTYPE_F32, 2, (int64_t[]){ 1, 2 }, two);
    SYS_MUST(lathe_any_put(list, 4, &other, diag));
    assert_int_equal(a.calls, calls); /* same type and size: in its place */
    assert_item(list, 4, 3, 5, 1);
    assert_item(list, 8, 3, 1, 1);
    SYS_MUST(lathe_any_put(list, 3, &longer, diag));
    lathe_tensor text = tensor(LATHE_DTYPE_STRING, 1, (int64_t[]){ 2 }, words), got = { 0 };
    SYS_MUST(lathe_any_put(list, 9, &text, diag));
    SYS_MUST(lathe_any_tensor(lathe_any_at(list, 9), &got, diag));
    assert_int_equal(((const lathe_bytes *)got.data)[0].length, 5);
    assert_memory_equal(((const lathe_bytes *)got.data)[0].data, "seven", 5);
    assert_true(((const lathe_bytes *)got.data)[0].data != words[0].data); /* it owns what it holds */
    SYS_MUST(lathe_any_put(list, 9, &got, diag)); /* a view of the very item */
    SYS_MUST(lathe_any_put_any(list, 9, lathe_any_at(list, 9), diag));
    SYS_MUST(lathe_any_tensor(lathe_any_at(list, 4), &got, diag));
    SYS_MUST(lathe_any_put(list, 4, &got, diag));

    SYS_MUST(lathe_any_create(&a.api, LATHE_KIND_OPTIONAL, &outer, diag));
    assert_int_equal(lathe_any_count(outer), 0);
    SYS_MUST(lathe_any_put_any(outer, 0, list, diag));
    SYS_MUST(lathe_any_put_any(outer, 0, list, diag));
    lathe_any_clear(list);
    assert_int_equal(lathe_any_count(list), 0);
    assert_int_equal(lathe_any_count(outer), 1);
    assert_int_equal(lathe_any_count(lathe_any_at(outer, 0)), 10);
    assert_item(lathe_any_at(outer, 0), 4, 3, 5, 1);
    lathe_any_clear(outer);
    assert_int_equal(lathe_any_count(outer), 0);
    lathe_any_destroy(outer);
    lathe_any_destroy(list);
    lathe_any_destroy(NULL);
    assert_int_equal(a.live, 0);
    assert_int_equal(a.mistakes, 0);
}

static void value_mistakes(void **state)
{
    (void)state;
    lathe_any *list = VECTORS(3, 2), *optional = NULL, *none = NULL;
    const float data[] = { 1, 2 };
    lathe_tensor t = floats(2, data), bad = t, got = { 0 };
    SYS_REFUSED(LATHE_INVALID_ARGUMENT, "lathe_any_create", lathe_any_create(NULL, LATHE_KIND_TENSOR, &none, diag));
    SYS_REFUSED(LATHE_INVALID_ARGUMENT, "lathe_any_create", lathe_any_create(NULL, (lathe_kind)4, &none, diag));
    assert_null(none);
    SYS_MUST(lathe_any_create(NULL, LATHE_KIND_OPTIONAL, &optional, diag));
    SYS_REFUSED(LATHE_INVALID_ARGUMENT, "no item 3 among 2", lathe_any_put(list, 3, &t, diag));
    SYS_MUST(lathe_any_put(optional, 0, &t, diag));
    SYS_REFUSED(LATHE_INVALID_ARGUMENT, "no item 1 among 1", lathe_any_put(optional, 1, &t, diag));
    bad.bytes = 7;
    SYS_REFUSED(LATHE_INVALID_ARGUMENT, "needs 8 bytes, the tensor has 7", lathe_any_put(list, 0, &bad, diag));
    bad = t;
    bad.struct_size = 1;
    SYS_REFUSED(LATHE_INVALID_ARGUMENT, "struct_size", lathe_any_put(list, 0, &bad, diag));
    bad = t;
    bad.dtype = (lathe_dtype)99;
    SYS_REFUSED(LATHE_INVALID_ARGUMENT, "no element type", lathe_any_put(list, 0, &bad, diag));
    bad = t;
    bad.rank = 17;
    SYS_REFUSED(LATHE_UNSUPPORTED, NULL, lathe_any_put(list, 0, &bad, diag));
    SYS_REFUSED(LATHE_INVALID_ARGUMENT, NULL, lathe_any_put(list, 0, NULL, diag));
    SYS_REFUSED(LATHE_INVALID_ARGUMENT, NULL, lathe_any_put_any(list, 0, NULL, diag));
    SYS_REFUSED(LATHE_INVALID_ARGUMENT, "no such tensor", lathe_any_tensor(list, &got, diag));
    SYS_REFUSED(LATHE_INVALID_ARGUMENT, "no such tensor", lathe_any_tensor(lathe_any_at(list, 2), &got, diag));
    assert_item(list, 0, 3, 0, 1);
    assert_item(list, 1, 2, 10, 1);
    for (int i = 0; i < LATHE_MAX_NESTING - 2; i++) { /* a box in a box ... */
        lathe_any *box = NULL;
        SYS_MUST(lathe_any_create(NULL, LATHE_KIND_OPTIONAL, &box, diag));
        SYS_MUST(lathe_any_put_any(box, 0, optional, diag));
        lathe_any_destroy(optional);
        optional = box;
    }
    SYS_MUST(lathe_any_create(NULL, LATHE_KIND_OPTIONAL, &none, diag));
    SYS_REFUSED(LATHE_UNSUPPORTED, "deeper", lathe_any_put_any(none, 0, optional, diag));
    assert_int_equal(lathe_any_count(none), 0);
    lathe_any_destroy(none);
    lathe_any_destroy(optional);
    lathe_any_destroy(list);
}

/* Whichever allocation fails: nothing is lost, nothing has changed. */
static void value_memory(void **state)
{
    (void)state;
    counting_allocator a;
    size_t failures = 0;
    lathe_any *from = VECTORS(3, 2, 0, 4, 5);
    for (size_t fail = 1;; fail++) {
        lathe_any *box = NULL;
        const float data[] = { 1, 2 };
        lathe_tensor t = floats(2, data);
        counting_init(&a);
        a.fail_at = fail;
        a.fail_rest = 1;
        lathe_status status = lathe_any_create(&a.api, LATHE_KIND_SEQUENCE, &box, NULL);
        for (size_t i = 0; status == LATHE_OK && i < 5; i++) {
            status = lathe_any_put(box, i, &t, NULL);
        }
        size_t before = lathe_any_count(box);
        if (status == LATHE_OK) {
            status = lathe_any_put_any(box, 2, from, NULL);
            assert_int_equal(lathe_any_count(box), before);
        }
        assert_true(status == LATHE_OK || status == LATHE_OUT_OF_MEMORY);
        failures += status != LATHE_OK;
        lathe_any_destroy(box);
        assert_int_equal(a.live, 0);
        assert_int_equal(a.mistakes, 0);
        if (status == LATHE_OK) {
            break;
        }
    }
    assert_true(failures >= 10);
    lathe_any_destroy(from);
}

/* ---- Binding and reading ---- */

static const char mixed[] = "mixed (seq(f32[?]) x, opt(seq(f32[N])) o, f32[2] w, i64[] at) => (y, z, there, picked)\n"
                            "{\n"
                            "  y = SequenceMap <body = graph (e) => (g) { g = Neg (e) }> (x)\n"
                            "  z = Identity (o)\n"
                            "  there = OptionalHasElement (o)\n"
                            "  picked = SequenceAt (x, at)\n"
                            "}\n";

static void kinds(void **state)
{
    (void)state;
    fixture f = open_text(mixed, NULL);
    lathe_network *network = from_text(mixed);
    lathe_io io = { .struct_size = sizeof io }, other = { .struct_size = sizeof other };
    SYS_MUST(lathe_engine_io_find(f.engine, "x", &io, diag));
    assert_int_equal(io.is_tensor, 0);
    assert_int_equal(io.kinds[0], LATHE_KIND_SEQUENCE);
    assert_int_equal(io.kinds[1], LATHE_KIND_TENSOR);
    assert_int_equal(io.dtype, LATHE_DTYPE_F32);
    assert_int_equal(io.rank, 1);
    assert_int_equal(io.dims[0], -1);
    assert_string_not_equal(io.symbols[0], "N");
    SYS_MUST(lathe_engine_io_find(f.engine, "o", &io, diag));
    assert_int_equal(io.kinds[0], LATHE_KIND_OPTIONAL);
    assert_int_equal(io.kinds[1], LATHE_KIND_SEQUENCE);
    assert_int_equal(io.kinds[2], LATHE_KIND_TENSOR);
    assert_string_not_equal(io.symbols[0], "N"); /* items promise nothing */
    SYS_MUST(lathe_engine_io_find(f.engine, "w", &io, diag));
    assert_int_equal(io.is_tensor, 1);
    assert_int_equal(io.kinds[0], LATHE_KIND_TENSOR);
    for (size_t i = 0; i < lathe_engine_inputs(f.engine) + lathe_engine_outputs(f.engine); i++) {
        SYS_MUST(lathe_engine_io(f.engine, i, &io, diag));
        SYS_MUST(lathe_network_io(network, i, &other, diag));
        assert_string_equal(io.name, other.name);
        assert_int_equal(io.is_tensor, other.is_tensor);
        assert_int_equal(io.dtype, other.dtype);
        assert_int_equal(io.rank, other.rank);
        assert_memory_equal(io.kinds, other.kinds, sizeof io.kinds);
    }
    lathe_network_destroy(network);
    close_fixture(&f);
}

static void bind_others(fixture *f, int64_t *at)
{
    static const float w[] = { 1, 2 };
    lathe_tensor two = floats(2, w), position = tensor(LATHE_DTYPE_I64, 0, NULL, at);
    SYS_MUST(lathe_context_set_input(f->context, "w", &two, diag));
    SYS_MUST(lathe_context_set_input(f->context, "at", &position, diag));
}

static void binding(void **state)
{
    (void)state;
    fixture f = open_text(mixed, NULL);
    lathe_any *x = VECTORS(2, 5, 1), *o = NULL, *inner = VECTORS(4, 3);
    int64_t at = 1;
    SYS_MUST(lathe_any_create(NULL, LATHE_KIND_OPTIONAL, &o, diag));
    bind_others(&f, &at);
    SYS_MUST(lathe_context_set_input_any(f.context, "x", x, diag));
    SYS_MUST(lathe_context_set_input_any(f.context, "o", o, diag));
    SYS_MUST(lathe_context_run(f.context, diag));
    assert_int_equal(lathe_any_kind(output(&f, "y")), LATHE_KIND_SEQUENCE);
    assert_int_equal(lathe_any_count(output(&f, "y")), 3);
    assert_item(output(&f, "y"), 0, 2, 0, -1);
    assert_item(output(&f, "y"), 1, 5, -10, -1);
    assert_item(output(&f, "y"), 2, 1, -20, -1);
    assert_int_equal(lathe_any_kind(output(&f, "z")), LATHE_KIND_OPTIONAL);
    assert_int_equal(lathe_any_count(output(&f, "z")), 0);
    assert_int_equal(lathe_any_kind(output(&f, "picked")), LATHE_KIND_TENSOR);
    lathe_tensor t = { .struct_size = sizeof t }, u = t;
    SYS_MUST(lathe_context_output(f.context, "picked", &t, diag));
    SYS_MUST(lathe_any_tensor(output(&f, "picked"), &u, diag));
    assert_int_equal(t.dims[0], 5);
    assert_ptr_equal(t.data, u.data);

    /* What is bound is looked at again: changed, it gives another result, also through memory that moved. */
    SYS_MUST(lathe_any_put_any(o, 0, inner, diag));
    for (size_t i = 3; i < 40; i++) {
        const float data[] = { (float)i };
        lathe_tensor one = floats(1, data);
        SYS_MUST(lathe_any_put(x, i, &one, diag));
    }
    at = 39;
    SYS_MUST(lathe_context_run(f.context, diag));
    assert_int_equal(lathe_any_count(output(&f, "y")), 40);
    assert_item(output(&f, "y"), 39, 1, -39, 0);
    assert_item(lathe_any_at(output(&f, "z"), 0), 1, 3, 10, 1);
    SYS_MUST(lathe_context_output(f.context, "there", &t, diag));
    assert_int_equal(*(const unsigned char *)t.data, 1);
    lathe_any_clear(x);
    SYS_REFUSED(LATHE_BAD_SHAPE, "SequenceAt", lathe_context_run(f.context, diag)); /* there is no item 39 now */
    lathe_any *again = VECTORS(3);
    at = 0;
    SYS_MUST(lathe_context_set_input_any(f.context, "x", again, diag));
    SYS_MUST(lathe_context_run(f.context, diag));
    assert_item(output(&f, "y"), 0, 3, 0, -1);
    close_fixture(&f);
    lathe_any_destroy(x);
    lathe_any_destroy(again);
    lathe_any_destroy(o);
    lathe_any_destroy(inner);
}

static const char strict[] = "strict (seq(f32[?,2]) x, opt(f32[3]) o, f32[2] w) => (y, z)\n"
                             "{\n"
                             "  y = ConcatFromSequence <axis = 0> (x)\n"
                             "  z = Identity (o)\n"
                             "}\n";

static void binding_mistakes(void **state)
{
    (void)state;
    fixture f = open_text(strict, NULL);
    const float data[] = { 1, 2, 3, 4 };
    const int64_t whole[] = { 1, 2, 3, 4 };
    lathe_tensor w = floats(2, data), rows = tensor(LATHE_DTYPE_F32, 2, (int64_t[]){ 2, 2 }, data);
    lathe_tensor wide = tensor(LATHE_DTYPE_F32, 2, (int64_t[]){ 1, 4 }, data), flat = floats(4, data),
                 ints = tensor(LATHE_DTYPE_I64, 2, (int64_t[]){ 2, 2 }, whole), three = floats(3, data), t = { 0 };
    lathe_any *x = NULL, *o = NULL, *nest = NULL;
    const lathe_any *result = NULL;
    SYS_MUST(lathe_any_create(NULL, LATHE_KIND_SEQUENCE, &x, diag));
    SYS_MUST(lathe_any_create(NULL, LATHE_KIND_OPTIONAL, &o, diag));
    SYS_MUST(lathe_any_create(NULL, LATHE_KIND_SEQUENCE, &nest, diag));
    SYS_REFUSED(LATHE_NOT_READY, "'x' is not bound", lathe_context_ready(f.context, diag));
    SYS_REFUSED(LATHE_NOT_READY, "lathe_context_set_input_any", lathe_context_run(f.context, diag));
    SYS_REFUSED(LATHE_NOT_READY, "no result", lathe_context_output_any(f.context, "y", &result, diag));
    SYS_REFUSED(LATHE_INVALID_ARGUMENT, "no input 'q'", lathe_context_set_input_any(f.context, "q", x, diag));
    SYS_REFUSED(LATHE_INVALID_ARGUMENT, NULL, lathe_context_set_input_any(f.context, "x", NULL, diag));
    SYS_REFUSED(LATHE_INVALID_ARGUMENT, "set_input_any", lathe_context_set_input(f.context, "x", &rows, diag));
    SYS_REFUSED(LATHE_INVALID_ARGUMENT, "'w' is a tensor", lathe_context_set_input_any(f.context, "w", x, diag));
    SYS_REFUSED(LATHE_INVALID_ARGUMENT, "a sequence", lathe_context_set_input_any(f.context, "x", o, diag));
    SYS_REFUSED(LATHE_INVALID_ARGUMENT, "an optional", lathe_context_set_input_any(f.context, "o", x, diag));
    SYS_MUST(lathe_any_put(x, 0, &ints, diag));
    SYS_REFUSED(LATHE_INVALID_ARGUMENT, "f32, an item is i64", lathe_context_set_input_any(f.context, "x", x, diag));
    SYS_MUST(lathe_any_put(x, 0, &flat, diag));
    SYS_REFUSED(LATHE_BAD_SHAPE, "rank 2, an item has rank 1", lathe_context_set_input_any(f.context, "x", x, diag));
    SYS_MUST(lathe_any_put(x, 0, &wide, diag));
    SYS_REFUSED(LATHE_BAD_SHAPE, "extent 2 on axis 1", lathe_context_set_input_any(f.context, "x", x, diag));
    SYS_MUST(lathe_any_put_any(nest, 0, x, diag));
    SYS_REFUSED(LATHE_INVALID_ARGUMENT, "a tensor as an item", lathe_context_set_input_any(f.context, "x", nest, diag));
    SYS_MUST(lathe_any_put(x, 0, &rows, diag));
    SYS_MUST(lathe_any_put(o, 0, &three, diag));
    SYS_MUST(lathe_context_set_input_any(f.context, "x", x, diag));
    SYS_MUST(lathe_context_set_input_any(f.context, "o", o, diag));
    /* A tensor value binds a tensor input, with the same checks. */
    SYS_REFUSED(LATHE_BAD_SHAPE, "'w'", lathe_context_set_input_any(f.context, "w", lathe_any_at(o, 0), diag));
    SYS_MUST(lathe_any_put(o, 0, &w, diag));
    SYS_MUST(lathe_context_set_input_any(f.context, "w", lathe_any_at(o, 0), diag));
    SYS_MUST(lathe_context_set_input(f.context, "w", &w, diag));
    SYS_REFUSED(LATHE_BAD_SHAPE, "extent 3", lathe_context_run(f.context, diag)); /* the optional is bound already */
    SYS_MUST(lathe_any_put(o, 0, &three, diag));
    SYS_REFUSED(LATHE_INVALID_ARGUMENT, "output_any",
                lathe_context_set_output(f.context, "z", &t, sizeof t, diag));
    SYS_MUST(lathe_context_run(f.context, diag));
    SYS_REFUSED(LATHE_INVALID_ARGUMENT, "output_any", lathe_context_output(f.context, "z", &t, diag));
    assert_item(output(&f, "z"), 0, 3, 1, 1);

    /* Spoiled between two runs, it is refused by the second and taken again by the third. */
    SYS_MUST(lathe_any_put(x, 1, &ints, diag));
    SYS_REFUSED(LATHE_INVALID_ARGUMENT, "f32, an item is i64", lathe_context_run(f.context, diag));
    SYS_MUST(lathe_any_put(x, 1, &rows, diag));
    SYS_MUST(lathe_context_run(f.context, diag));
    SYS_MUST(lathe_context_output(f.context, "y", &t, diag));
    assert_int_equal(t.dims[0], 4);
    close_fixture(&f);
    lathe_any_destroy(nest);
    lathe_any_destroy(x);
    lathe_any_destroy(o);
}

/* ---- Control flow ---- */

/* The optional that goes in is a plain sequence in the end. */
static const char grows[] = "grows (i64[] n, opt(seq(f32)) o, f32[2] w) => (y)\n"
                            "<bool[] yes = {true}>\n"
                            "{\n"
                            "  y = Loop <body = graph (i64[] i, bool[] c, s) => (c2, next) {\n"
                            "      c2 = Identity (c)\n"
                            "      has = OptionalHasElement (s)\n"
                            "      before = If <then_branch = graph () => (p) { p = OptionalGetElement (s) },\n"
                            "        else_branch = graph () => (q) { q = SequenceEmpty () }> (has)\n"
                            "      f = CastLike (i, w)\n"
                            "      v = Mul (w, f)\n"
                            "      next = SequenceInsert (before, v)\n"
                            "    }> (n, yes, o)\n"
                            "}\n";

static void optional_becomes_value(void **state)
{
    (void)state;
    fixture f = open_text(grows, NULL);
    int64_t n = 3;
    const float data[] = { 1, 2 };
    lathe_tensor trips = tensor(LATHE_DTYPE_I64, 0, NULL, &n), w = floats(2, data);
    lathe_any *none = NULL, *some = NULL, *inner = VECTORS(5);
    lathe_io io = { .struct_size = sizeof io };
    SYS_MUST(lathe_engine_io_find(f.engine, "y", &io, diag));
    assert_int_equal(io.kinds[0], LATHE_KIND_SEQUENCE);
    SYS_MUST(lathe_any_create(NULL, LATHE_KIND_OPTIONAL, &none, diag));
    SYS_MUST(lathe_any_create(NULL, LATHE_KIND_OPTIONAL, &some, diag));
    SYS_MUST(lathe_any_put_any(some, 0, inner, diag));
    SYS_MUST(lathe_context_set_input(f.context, "n", &trips, diag));
    SYS_MUST(lathe_context_set_input(f.context, "w", &w, diag));
    SYS_MUST(lathe_context_set_input_any(f.context, "o", none, diag));
    SYS_MUST(lathe_context_run(f.context, diag));
    assert_int_equal(lathe_any_count(output(&f, "y")), 3);
    assert_item(output(&f, "y"), 2, 2, 2, 2);
    SYS_MUST(lathe_context_set_input_any(f.context, "o", some, diag));
    SYS_MUST(lathe_context_run(f.context, diag));
    assert_int_equal(lathe_any_count(output(&f, "y")), 4);
    assert_item(output(&f, "y"), 0, 5, 0, 1);
    n = 0; /* no iteration: the value that went in, if there is one */
    SYS_MUST(lathe_context_run(f.context, diag));
    assert_int_equal(lathe_any_kind(output(&f, "y")), LATHE_KIND_SEQUENCE);
    assert_int_equal(lathe_any_count(output(&f, "y")), 1);
    SYS_MUST(lathe_context_set_input_any(f.context, "o", none, diag));
    SYS_REFUSED(LATHE_BAD_SHAPE, "without a value", lathe_context_run(f.context, diag));
    close_fixture(&f);
    lathe_any_destroy(none);
    lathe_any_destroy(some);
    lathe_any_destroy(inner);
}

/* The reference says the same of a loop without iterations. */
static void reference_without_iterations(void **state)
{
    (void)state;
    lathe_network *network = from_text(grows);
    int64_t n = 0;
    const float data[] = { 1, 2 };
    lt_any item = { .cls = LT_SEQUENCE },
           in[3] = { { .cls = LT_TENSOR, .tensor = tensor(LATHE_DTYPE_I64, 0, NULL, &n) },
                     { .cls = LT_OPTIONAL, .items = &item, .count = 1 },
                     { .cls = LT_TENSOR, .tensor = floats(2, data) } };
    const lt_any *list[] = { &in[0], &in[1], &in[2] };
    lt_run *run = NULL;
    SYS_MUST(lt_graph_run(lt_network_graph(network), list, 3, NULL, &run, diag));
    assert_int_equal(lt_run_output(run, 0)->cls, LT_SEQUENCE);
    assert_int_equal(lt_run_output(run, 0)->count, 0);
    lt_run_destroy(run);
    in[1].count = 0;
    SYS_REFUSED(LATHE_BAD_SHAPE, "without a value",
                lt_graph_run(lt_network_graph(network), list, 3, NULL, &run, diag));
    lathe_network_destroy(network);
}

/* An optional that stays one, one that becomes a plain tensor, and what each iteration gives: plan and reference agree. */
static const char carries[] = "carries (i64[] n, opt(f32[2]) o, f32[2] w) => (y, z, all)\n"
                              "<bool[] yes = {true}>\n"
                              "{\n"
                              "  y, z, all = Loop <body = graph (i64[] i, bool[] c, s, opt(f32[2]) k) => (c2, next, k2, st) {\n"
                              "      c2 = Identity (c)\n"
                              "      has = OptionalHasElement (s)\n"
                              "      before = If <then_branch = graph () => (p) { p = OptionalGetElement (s) },\n"
                              "        else_branch = graph () => (q) { q = Neg (w) }> (has)\n"
                              "      next = Add (before, w)\n"
                              "      k2 = Optional (next)\n"
                              "      st = Mul (next, next)\n"
                              "    }> (n, yes, o, o)\n"
                              "}\n";

static void assert_same(const lathe_any *got, const lt_any *want)
{
    assert_int_equal(lathe_any_kind(got), want->cls);
    assert_int_equal(lathe_any_count(got), want->count);
    if (want->cls == LT_TENSOR) {
        lathe_tensor t = { 0 };
        SYS_MUST(lathe_any_tensor(got, &t, diag));
        assert_true(lt_tensor_equal(&t, &want->tensor));
    }
    for (size_t i = 0; i < want->count; i++) {
        assert_same(lathe_any_at(got, i), &want->items[i]);
    }
}

static void carried_on(const char *device, int64_t n, bool given)
{
    lathe_build_options options = { .struct_size = sizeof options, .device = device };
    fixture f = open_text(carries, &options);
    lathe_network *network = from_text(carries);
    const float data[] = { 1, 2 }, start[] = { 5, 7 };
    lt_any item = { .cls = LT_TENSOR, .tensor = floats(2, start) },
           in[3] = { { .cls = LT_TENSOR, .tensor = tensor(LATHE_DTYPE_I64, 0, NULL, &n) },
                     { .cls = LT_OPTIONAL, .items = &item, .count = given },
                     { .cls = LT_TENSOR, .tensor = floats(2, data) } };
    const lt_any *list[] = { &in[0], &in[1], &in[2] };
    static const char *const names[] = { "n", "o", "w" }, *const results[] = { "y", "z", "all" };
    lt_run *run = NULL;
    for (int i = 0; i < 3; i++) {
        SYS_MUST(lathe_context_set_input_any(f.context, names[i], list[i], diag));
    }
    lathe_status status = lathe_context_run(f.context, NULL);
    assert_int_equal(status, lt_graph_run(lt_network_graph(network), list, 3, NULL, &run, NULL));
    assert_int_equal(status, n > 0 || given ? LATHE_OK : LATHE_BAD_SHAPE);
    for (size_t i = 0; i < 3 && status == LATHE_OK; i++) {
        assert_same(output(&f, results[i]), lt_run_output(run, i));
    }
    lt_run_destroy(run);
    lathe_network_destroy(network);
    close_fixture(&f);
}

static void carried_optionals(void **state)
{
    (void)state;
    for (int64_t n = 0; n < 4; n++) {
        for (int given = 0; given < 2; given++) {
            carried_on("cpu", n, given != 0);
            carried_on("twin", n, given != 0);
        }
    }
}

/* Two sequences, a tensor that is the same for all items and read after the map as well, a captured one; nested maps. */
static const char maps[] =
    "maps (seq(f32[?]) a, seq(f32[?]) b, f32[1] v, seq(seq(f32[?])) deep) => (sum, plain, inner, after)\n"
    "<f32[1] two = {2}>\n"
    "{\n"
    "  w = Mul (v, two)\n"
    "  sum, plain = SequenceMap <body = graph (p, q, r) => (s, t) {\n"
    "      u = Add (p, q)\n"
    "      x = Mul (u, r)\n"
    "      s = Add (x, two)\n"
    "      t = Identity (r)\n"
    "    }> (a, b, w)\n"
    "  inner = SequenceMap <body = graph (l) => (m) {\n"
    "      m = SequenceMap <body = graph (e) => (g) { g = Add (e, w) }> (l)\n"
    "    }> (deep)\n"
    "  after = Neg (w)\n"
    "}\n";

static void map_on(const char *device, int threads, const char *passes)
{
    lathe_build_options options = {
        .struct_size = sizeof options, .device = device, .threads = threads, .passes = passes
    };
    fixture f = open_text(maps, &options);
    const float one[] = { 3 };
    lathe_tensor v = floats(1, one), t = { .struct_size = sizeof t };
    lathe_any *a = VECTORS(2, 7), *b = VECTORS(2, 7), *deep = NULL, *row = VECTORS(1, 3), *empty = NULL;
    SYS_MUST(lathe_any_create(NULL, LATHE_KIND_SEQUENCE, &deep, diag));
    SYS_MUST(lathe_any_create(NULL, LATHE_KIND_SEQUENCE, &empty, diag));
    SYS_MUST(lathe_any_put_any(deep, 0, row, diag));
    SYS_MUST(lathe_any_put_any(deep, 1, empty, diag));
    SYS_MUST(lathe_any_put_any(deep, 2, row, diag));
    SYS_MUST(lathe_context_set_input(f.context, "v", &v, diag));
    SYS_MUST(lathe_context_set_input_any(f.context, "a", a, diag));
    SYS_MUST(lathe_context_set_input_any(f.context, "b", b, diag));
    SYS_MUST(lathe_context_set_input_any(f.context, "deep", deep, diag));
    for (int again = 0; again < 3; again++) {
        SYS_MUST(lathe_context_run(f.context, diag));
        assert_int_equal(lathe_any_count(output(&f, "sum")), 2);
        assert_item(output(&f, "sum"), 0, 2, 2, 12);
        assert_item(output(&f, "sum"), 1, 7, 122, 12);
        assert_item(output(&f, "plain"), 1, 1, 6, 0);
        assert_int_equal(lathe_any_count(output(&f, "inner")), 3);
        assert_int_equal(lathe_any_count(lathe_any_at(output(&f, "inner"), 1)), 0);
        assert_item(lathe_any_at(output(&f, "inner"), 2), 1, 3, 16, 1);
        SYS_MUST(lathe_context_output(f.context, "after", &t, diag));
        assert_true(*(const float *)t.data == -6);
    }
    SYS_MUST(lathe_any_put(b, 2, &v, diag)); /* one item more than a has */
    SYS_REFUSED(LATHE_BAD_SHAPE, "number of items", lathe_context_run(f.context, diag));
    lathe_any_clear(a);
    lathe_any_clear(b);
    SYS_MUST(lathe_context_run(f.context, diag));
    assert_int_equal(lathe_any_count(output(&f, "sum")), 0);
    close_fixture(&f);
    lathe_any_destroy(a);
    lathe_any_destroy(b);
    lathe_any_destroy(deep);
    lathe_any_destroy(row);
    lathe_any_destroy(empty);
}

static void sequence_map(void **state)
{
    (void)state;
    map_on("cpu", 1, NULL);
    map_on("cpu", 2, "-all");
    map_on("twin", 1, NULL);
    map_on("twin", 2, "-all");
}

/* ---- Memory of runs ---- */

/* Containers are made on memory that the context keeps: the same work again asks for nothing. */
static void steady(void **state)
{
    (void)state;
    counting_allocator a;
    counting_init(&a);
    lathe_network *network = from_text(maps);
    lathe_context_options options = { .struct_size = sizeof options, .allocator = &a.api };
    lathe_engine *engine = sys_engine(network, NULL);
    lathe_context *context = NULL;
    const float one[] = { 3 };
    lathe_tensor v = floats(1, one);
    lathe_any *x = VECTORS(2, 7, 20), *deep = NULL;
    SYS_MUST(lathe_any_create(NULL, LATHE_KIND_SEQUENCE, &deep, diag));
    SYS_MUST(lathe_any_put_any(deep, 0, x, diag));
    SYS_MUST(lathe_context_create(engine, &options, &context, diag));
    SYS_MUST(lathe_context_set_input(context, "v", &v, diag));
    SYS_MUST(lathe_context_set_input_any(context, "a", x, diag));
    SYS_MUST(lathe_context_set_input_any(context, "b", x, diag));
    SYS_MUST(lathe_context_set_input_any(context, "deep", deep, diag));
    for (int i = 0; i < 4; i++) {
        SYS_MUST(lathe_context_run(context, diag));
    }
    size_t calls = a.calls;
    for (int i = 0; i < 4; i++) {
        SYS_MUST(lathe_any_put_any(deep, 0, x, diag)); /* new blocks, but not the context's */
        SYS_MUST(lathe_context_run(context, diag));
    }
    assert_int_equal(a.calls, calls);
    lathe_context_destroy(context);
    assert_int_equal(a.live, 0);
    assert_int_equal(a.mistakes, 0);
    lathe_engine_destroy(engine);
    lathe_network_destroy(network);
    lathe_any_destroy(x);
    lathe_any_destroy(deep);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values),
        cmocka_unit_test(value_mistakes),
        cmocka_unit_test(value_memory),
        cmocka_unit_test(kinds),
        cmocka_unit_test(binding),
        cmocka_unit_test(binding_mistakes),
        cmocka_unit_test(optional_becomes_value),
        cmocka_unit_test(reference_without_iterations),
        cmocka_unit_test(carried_optionals),
        cmocka_unit_test(sequence_map),
        cmocka_unit_test(steady),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
