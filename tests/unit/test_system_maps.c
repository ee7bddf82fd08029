/*
 * test_system_maps.c - maps at the public border: keys and values made and changed, bound and read, on both devices. What callers do wrong has a status and a
 * name, and leaves what was there usable.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "support/containers.h"

static const char by_word[] = "by_word (map(string,f32) m, seq(map(i64,f32[1])) list) => (y, same, z)\n"
                              "<i64[] one = {1}>\n"
                              "{\n"
                              "  y = ai.onnx.ml.DictVectorizer <string_vocabulary = [\"a\", \"\", \"c\"]> (m)\n"
                              "  same = Identity (list)\n"
                              "  second = SequenceAt (list, one)\n"
                              "  z = ai.onnx.ml.CastMap <cast_to = \"TO_INT64\", map_form = \"SPARSE\", max_map = 4> (second)\n"
                              "}\n";

static lathe_any *map_of(const lathe_tensor *keys, const lathe_tensor *values)
{
    lathe_any *any = NULL;
    SYS_MUST(lathe_any_create(NULL, LATHE_KIND_MAP, &any, diag));
    SYS_MUST(lathe_any_put(any, 0, keys, diag));
    SYS_MUST(lathe_any_put(any, 1, values, diag));
    assert_int_equal(lathe_any_count(any), 2);
    return any;
}

static void map_kinds(const fixture *f)
{
    lathe_io io = { .struct_size = sizeof io };
    SYS_MUST(lathe_engine_io_find(f->engine, "m", &io, diag));
    assert_true(!io.is_tensor && io.kinds[0] == LATHE_KIND_MAP && io.kinds[1] == LATHE_KIND_TENSOR);
    assert_true(io.keys[0] == LATHE_DTYPE_STRING && io.dtype == LATHE_DTYPE_F32 && io.rank == -1);
    SYS_MUST(lathe_engine_io_find(f->engine, "list", &io, diag));
    assert_true(io.kinds[0] == LATHE_KIND_SEQUENCE && io.kinds[1] == LATHE_KIND_MAP && io.kinds[2] == LATHE_KIND_TENSOR);
    assert_true(io.keys[0] == LATHE_DTYPE_UNDEFINED && io.keys[1] == LATHE_DTYPE_I64 && io.rank == 1 && io.dims[0] == 1);
}

/* Bound, read back, changed between runs; of equal keys the last one counts. */
static void maps_on(const char *device)
{
    lathe_build_options options = { .struct_size = sizeof options, .device = device };
    fixture f = open_text(by_word, &options);
    const lathe_bytes words[] = { { "c", 1 }, { "other", 5 }, { "", 0 }, { "c", 1 } };
    const float numbers[] = { 1, 2, 3, 4 };
    const int64_t places[] = { 3, 0, 3 }, four = 4, three = 3, column[] = { 3, 1 };
    lathe_tensor keys = tensor(LATHE_DTYPE_STRING, 1, &four, words), values = floats(4, numbers), t = { .struct_size = sizeof t };
    lathe_tensor by_number = tensor(LATHE_DTYPE_I64, 1, &three, places), rows = tensor(LATHE_DTYPE_F32, 2, column, numbers);
    lathe_any *m = map_of(&keys, &values), *inner = map_of(&by_number, &rows), *list = NULL, *empty = NULL;
    SYS_MUST(lathe_any_create(NULL, LATHE_KIND_MAP, &empty, diag));
    SYS_MUST(lathe_any_create(NULL, LATHE_KIND_SEQUENCE, &list, diag));
    SYS_MUST(lathe_any_put_any(list, 0, empty, diag));
    SYS_MUST(lathe_any_put_any(list, 1, inner, diag));
    map_kinds(&f);
    SYS_MUST(lathe_context_set_input_any(f.context, "m", m, diag));
    SYS_MUST(lathe_context_set_input_any(f.context, "list", list, diag));
    SYS_MUST(lathe_context_run(f.context, diag));
    SYS_MUST(lathe_context_output(f.context, "y", &t, diag));
    assert_true(t.rank == 1 && t.dims[0] == 3);
    assert_memory_equal(t.data, ((const float[]){ 0, 3, 4 }), sizeof(float[3]));
    SYS_MUST(lathe_context_output(f.context, "z", &t, diag));
    assert_memory_equal(t.data, ((const int64_t[]){ 2, 0, 0, 3 }), sizeof(int64_t[4]));
    const lathe_any *same = output(&f, "same");
    assert_int_equal(lathe_any_count(same), 2);
    assert_int_equal(lathe_any_count(lathe_any_at(same, 0)), 0);
    assert_int_equal(lathe_any_kind(lathe_any_at(same, 1)), LATHE_KIND_MAP);
    SYS_MUST(lathe_any_tensor(lathe_any_at(lathe_any_at(same, 1), 0), &t, diag));
    assert_memory_equal(t.data, places, sizeof places);

    lathe_any_clear(m); /* an empty map is one too */
    SYS_MUST(lathe_context_run(f.context, diag));
    SYS_MUST(lathe_context_output(f.context, "y", &t, diag));
    assert_memory_equal(t.data, ((const float[]){ 0, 0, 0 }), sizeof(float[3]));
    close_fixture(&f);
    lathe_any_destroy(m);
    lathe_any_destroy(inner);
    lathe_any_destroy(list);
    lathe_any_destroy(empty);
}

static void maps_are_bound(void **state)
{
    (void)state;
    maps_on("cpu");
    maps_on("twin");
}

static void map_mistakes(void **state)
{
    (void)state;
    fixture f = open_text(by_word, NULL);
    const lathe_bytes words[] = { { "a", 1 }, { "b", 1 } };
    const float numbers[] = { 1, 2, 3, 4 };
    const int64_t two = 2, places[] = { 1, 2 }, square[] = { 2, 2 }, one_row[] = { 1, 2 };
    lathe_tensor keys = tensor(LATHE_DTYPE_STRING, 1, &two, words), values = floats(2, numbers), more = floats(3, numbers);
    lathe_tensor by_number = tensor(LATHE_DTYPE_I64, 1, &two, places), pairs = tensor(LATHE_DTYPE_F32, 2, square, numbers);
    lathe_tensor row = tensor(LATHE_DTYPE_STRING, 2, one_row, words), single = tensor(LATHE_DTYPE_F32, 0, NULL, numbers);
    lathe_any *m = NULL, *list = NULL, *inner = map_of(&by_number, &pairs), *box = VECTORS(1);
    SYS_MUST(lathe_any_create(NULL, LATHE_KIND_MAP, &m, diag));
    SYS_MUST(lathe_any_create(NULL, LATHE_KIND_SEQUENCE, &list, diag));
    SYS_REFUSED(LATHE_INVALID_ARGUMENT, "no item 1", lathe_any_put(m, 1, &values, diag));
    SYS_REFUSED(LATHE_INVALID_ARGUMENT, "are tensors", lathe_any_put_any(m, 0, box, diag));
    SYS_MUST(lathe_any_put(m, 0, &keys, diag));
    SYS_REFUSED(LATHE_INVALID_ARGUMENT, "no values", lathe_context_set_input_any(f.context, "m", m, diag));
    SYS_MUST(lathe_any_put(m, 1, &more, diag));
    SYS_REFUSED(LATHE_INVALID_ARGUMENT, "a map has no item 2", lathe_any_put(m, 2, &values, diag));
    SYS_REFUSED(LATHE_BAD_SHAPE, "2 keys and 3 values", lathe_context_set_input_any(f.context, "m", m, diag));
    SYS_MUST(lathe_any_put(m, 1, &single, diag));
    SYS_REFUSED(LATHE_BAD_SHAPE, "2 keys and 1 values", lathe_context_set_input_any(f.context, "m", m, diag));
    SYS_MUST(lathe_any_put(m, 1, &keys, diag));
    SYS_REFUSED(LATHE_INVALID_ARGUMENT, "f32, an item is string", lathe_context_set_input_any(f.context, "m", m, diag));
    SYS_MUST(lathe_any_put(m, 1, &values, diag));
    SYS_MUST(lathe_any_put(m, 0, &by_number, diag));
    SYS_REFUSED(LATHE_INVALID_ARGUMENT, "keys of type string, they are i64", lathe_context_set_input_any(f.context, "m", m, diag));
    SYS_MUST(lathe_any_put(m, 0, &row, diag));
    SYS_REFUSED(LATHE_BAD_SHAPE, "rank 2", lathe_context_set_input_any(f.context, "m", m, diag));
    SYS_MUST(lathe_any_put_any(list, 0, inner, diag));
    SYS_REFUSED(LATHE_BAD_SHAPE, "extent 1 on axis 0, an item has 2", lathe_context_set_input_any(f.context, "list", list, diag));
    SYS_REFUSED(LATHE_INVALID_ARGUMENT, "is a map, it is given a sequence", lathe_context_set_input_any(f.context, "m", list, diag));
    SYS_MUST(lathe_any_put(inner, 1, &values, diag)); /* one number for each: the same as f32[1] */
    SYS_MUST(lathe_any_put_any(list, 0, inner, diag));
    SYS_MUST(lathe_context_set_input_any(f.context, "list", list, diag));
    SYS_MUST(lathe_any_put(m, 0, &keys, diag));
    SYS_MUST(lathe_context_set_input_any(f.context, "m", m, diag));
    SYS_REFUSED(LATHE_BAD_SHAPE, "", lathe_context_run(f.context, diag)); /* the list has no second map */
    lathe_any_clear(list);
    SYS_MUST(lathe_any_put_any(list, 0, inner, diag));
    SYS_MUST(lathe_any_put_any(list, 1, inner, diag));
    SYS_MUST(lathe_context_run(f.context, diag));
    close_fixture(&f);
    lathe_any_destroy(m);
    lathe_any_destroy(list);
    lathe_any_destroy(inner);
    lathe_any_destroy(box);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(maps_are_bound), cmocka_unit_test(map_mistakes) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
