/*
 * test_onnx_wire.c - the protobuf cursor on bytes by hand, the encoder against the cursor, and how the decoder lays
 * messages out: packed and unpacked runs, unknown fields, spans that stay in the file.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "onnx/proto.h"

/* ---- The cursor ---- */

static void reads_all_wire_types(void **state)
{
    static const unsigned char data[] = {
        0x08, 0xac, 0x02,                                  /* 1: varint 300 */
        0x11, 1,    2,    3,    4,    5,    6,    7,    8, /* 2: fixed64 */
        0x1a, 3,    'a',  'b',  'c',                       /* 3: bytes */
        0x25, 1,    0,    0,    0x80,                      /* 4: fixed32 */
        0x28, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01
    }; /* 5: varint -1 */
    lt_wire wire = { data, data + sizeof data };
    lt_wire_field field;
    bool more;
    (void)state;
    assert_int_equal(lt_wire_next(&wire, &field, &more, NULL), LATHE_OK);
    assert_true(more && field.number == 1 && field.type == 0 && field.varint == 300);
    assert_int_equal(lt_wire_next(&wire, &field, &more, NULL), LATHE_OK);
    assert_true(more && field.number == 2 && field.type == 1 && field.varint == 0x0807060504030201u);
    assert_int_equal(lt_wire_next(&wire, &field, &more, NULL), LATHE_OK);
    assert_true(more && field.number == 3 && field.type == 2 && field.size == 3);
    assert_memory_equal(field.data, "abc", 3);
    assert_int_equal(lt_wire_next(&wire, &field, &more, NULL), LATHE_OK);
    assert_true(more && field.number == 4 && field.type == 5 && field.varint == 0x80000001u);
    assert_int_equal(lt_wire_next(&wire, &field, &more, NULL), LATHE_OK);
    assert_true(more && field.number == 5 && (int64_t)field.varint == -1);
    assert_int_equal(lt_wire_next(&wire, &field, &more, NULL), LATHE_OK);
    assert_false(more);
}

static void refuses_malformed_bytes(void **state)
{
    static const struct {
        unsigned char data[12];
        size_t size;
    } cases[] = {
        { { 0x08 }, 1 },                                                                    /* no value */
        { { 0x08, 0x80 }, 2 },                                                              /* varint without an end */
        { { 0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02 }, 11 },       /* 65 bits */
        { { 0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01 }, 12 }, /* 11 bytes */
        { { 0x11, 1, 2, 3, 4, 5, 6, 7 }, 8 },                                               /* short fixed64 */
        { { 0x25, 1, 2, 3 }, 4 },                                                           /* short fixed32 */
        { { 0x1a, 3, 'a', 'b' }, 4 },                                                       /* short bytes */
        { { 0x1a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01 }, 11 },       /* a length of 2^64 - 1 */
        { { 0x1a }, 1 },                                                                    /* no length */
        { { 0x0b }, 1 },                                                                    /* group */
        { { 0x0c }, 1 },                                                                    /* end of a group */
        { { 0x0e, 1 }, 2 },                                                                 /* wire type 6 */
        { { 0x0f, 1 }, 2 },                                                                 /* wire type 7 */
        { { 0x00, 1 }, 2 },                                                                 /* field 0 */
        { { 0x80, 0x80, 0x80, 0x80, 0x10, 1 }, 6 }, /* field number over 2^29 - 1 */
    };
    (void)state;
    for (size_t i = 0; i < LT_COUNT(cases); i++) {
        unsigned char *exact = malloc(cases[i].size); /* so that one byte too far is seen */
        memcpy(exact, cases[i].data, cases[i].size);
        lt_wire wire = { exact, exact + cases[i].size };
        lt_wire_field field;
        bool more = true;
        lathe_diag *diag = lathe_diag_create(NULL);
        assert_int_equal(lt_wire_next(&wire, &field, &more, diag), LATHE_BAD_MODEL);
        assert_false(more);
        assert_int_equal(lathe_diag_count(diag), 1);
        lathe_diag_destroy(diag);
        free(exact);
    }
}

/* ---- The encoder ---- */

static void encoder_and_cursor_agree(void **state)
{
    static const int64_t ints[] = { 0, 1, 127, 128, -1, INT64_MIN, INT64_MAX, 1000000007 };
    lt_buf buf;
    (void)state;
    lt_buf_init(&buf, NULL);
    for (size_t i = 0; i < LT_COUNT(ints); i++) {
        lt_wire_put_int(&buf, 1 + (uint32_t)i, ints[i]);
    }
    size_t outer = lt_wire_begin(&buf, 20), inner = lt_wire_begin(&buf, 21);
    for (int i = 0; i < 300; i++) { /* the length takes two bytes */
        lt_wire_put_str(&buf, 1, "x");
    }
    lt_wire_end(&buf, inner);
    lt_wire_end(&buf, outer);
    assert_false(buf.failed);
    lt_wire wire = { (unsigned char *)buf.data, (unsigned char *)buf.data + buf.length };
    lt_wire_field field;
    bool more;
    for (size_t i = 0; i < LT_COUNT(ints); i++) {
        assert_int_equal(lt_wire_next(&wire, &field, &more, NULL), LATHE_OK);
        assert_true(more && field.number == 1 + i && (int64_t)field.varint == ints[i]);
    }
    assert_int_equal(lt_wire_next(&wire, &field, &more, NULL), LATHE_OK);
    assert_true(more && field.number == 20 && wire.at == wire.end);
    wire = (lt_wire){ field.data, field.data + field.size };
    assert_int_equal(lt_wire_next(&wire, &field, &more, NULL), LATHE_OK);
    assert_true(more && field.number == 21 && field.size == 900 && wire.at == wire.end);
    lt_buf_free(&buf);
}

/* ---- Messages ---- */

static void packed_and_unpacked_runs_mix(void **state)
{
    static const float floats[] = { 1.5f, -2, 3 };
    static const int64_t dims[] = { 7, -1 };
    lt_arena arena;
    lt_buf buf;
    lt_pb_tensor tensor;
    (void)state;
    lt_arena_init(&arena, NULL);
    lt_buf_init(&buf, NULL);
    lt_wire_put_ints(&buf, 1, dims, 2, true);
    lt_wire_put_ints(&buf, 1, dims, 2, false);
    lt_wire_put_floats(&buf, 4, floats, 2);
    lt_wire_put_bytes(&buf, 4, floats, sizeof floats);
    assert_int_equal(lt_pb_decode(&lt_pb_tensor_message, buf.data, buf.length, &arena, &tensor, "t", NULL), LATHE_OK);
    assert_int_equal(tensor.dims.count, 4);
    assert_true(tensor.dims.at[0] == 7 && tensor.dims.at[1] == -1 && tensor.dims.at[2] == 7 && tensor.dims.at[3] == -1);
    assert_int_equal(tensor.float_data.count, 5);
    assert_memory_equal(tensor.float_data.at, floats, 8);
    assert_memory_equal(tensor.float_data.at + 8, floats, sizeof floats);
    lt_buf_clear(&buf);
    lt_wire_put_bytes(&buf, 4, floats, sizeof floats);
    assert_int_equal(lt_pb_decode(&lt_pb_tensor_message, buf.data, buf.length, &arena, &tensor, "t", NULL), LATHE_OK);
    assert_int_equal(tensor.float_data.count, 3);
    assert_true((const char *)tensor.float_data.at >= buf.data &&
                (const char *)tensor.float_data.at < buf.data + buf.length); /* in place */
    lt_buf_free(&buf);
    lt_arena_destroy(&arena);
}

static void unknown_fields_are_kept(void **state)
{
    /* 1007: bytes "xy"; 2: elem_type 1; 1007: varint 5; 2 as bytes */
    static const unsigned char data[] = { 0xfa, 0x3e, 2, 'x', 'y', 0x10, 1, 0xf8, 0x3e, 5, 0x12, 1, 'v' };
    lt_arena arena;
    lt_pb_optional optional;
    (void)state;
    lt_arena_init(&arena, NULL);
    assert_int_equal(lt_pb_decode(&lt_pb_optional_message, data, 10, &arena, &optional, "o", NULL), LATHE_OK);
    assert_int_equal(optional.elem_type, 1);
    assert_int_equal(optional.pb.n_unknown, 2);
    assert_int_equal(optional.pb.unknown[0].number, 1007);
    assert_int_equal(optional.pb.unknown[0].size, 5);
    assert_ptr_equal(optional.pb.unknown[0].data, data);
    assert_ptr_equal(optional.pb.unknown[1].data, data + 7);
    assert_int_equal(lt_pb_decode(&lt_pb_optional_message, data, sizeof data, &arena, &optional, "o", NULL),
                     LATHE_BAD_MODEL); /* a known field as bytes */
    lt_arena_destroy(&arena);
}

static void a_packed_run_must_be_whole(void **state)
{
    static const unsigned char cut[] = { 0x0a, 2, 1, 0x80 }, three[] = { 0x22, 3, 0, 0, 0 };
    lt_arena arena;
    lt_pb_tensor tensor;
    (void)state;
    lt_arena_init(&arena, NULL);
    assert_int_equal(lt_pb_decode(&lt_pb_tensor_message, cut, sizeof cut, &arena, &tensor, "t", NULL), LATHE_BAD_MODEL);
    assert_int_equal(lt_pb_decode(&lt_pb_tensor_message, three, sizeof three, &arena, &tensor, "t", NULL),
                     LATHE_BAD_MODEL);
    lt_arena_destroy(&arena);
}

/* ---- Values ---- */

static void put_tensor(lt_buf *buf, uint32_t number, float value)
{
    size_t mark = lt_wire_begin(buf, number);
    lt_wire_put_int(buf, 2, LATHE_DTYPE_F32);
    lt_wire_put_floats(buf, 4, &value, 1);
    lt_wire_end(buf, mark);
}

static void containers_are_read(void **state)
{
    const lt_type sequence = { .cls = LT_SEQUENCE }, optional = { .cls = LT_OPTIONAL }, map = { .cls = LT_MAP };
    lt_arena arena;
    lt_buf buf;
    lt_any any;
    (void)state;
    lt_arena_init(&arena, NULL);
    lt_buf_init(&buf, NULL);
    lt_wire_put_int(&buf, 2, 1);
    put_tensor(&buf, 3, 1);
    put_tensor(&buf, 3, 2);
    assert_int_equal(lt_onnx_read_value(buf.data, buf.length, &sequence, &arena, &any, "s", NULL), LATHE_OK);
    assert_true(any.cls == LT_SEQUENCE && any.count == 2 && any.items[1].cls == LT_TENSOR);
    assert_true(lt_load_f64(LATHE_DTYPE_F32, any.items[1].tensor.data, 0) == 2);
    assert_int_equal(lt_onnx_read_value(NULL, 0, &sequence, &arena, &any, "s", NULL), LATHE_OK);
    assert_int_equal(any.count, 0);
    assert_int_equal(lt_onnx_read_value(NULL, 0, &optional, &arena, &any, "o", NULL), LATHE_OK);
    assert_true(any.cls == LT_OPTIONAL && any.count == 0);
    lt_buf_clear(&buf);
    put_tensor(&buf, 3, 5);
    assert_int_equal(lt_onnx_read_value(buf.data, buf.length, &optional, &arena, &any, "o", NULL), LATHE_OK);
    assert_true(any.count == 1 && lt_load_f64(LATHE_DTYPE_F32, any.items[0].tensor.data, 0) == 5);
    lt_buf_clear(&buf);
    lt_wire_put_int(&buf, 2, LATHE_DTYPE_STRING);
    lt_wire_put_str(&buf, 4, "one");
    lt_wire_put_str(&buf, 4, "two");
    size_t mark = lt_wire_begin(&buf, 5);
    put_tensor(&buf, 3, 1);
    put_tensor(&buf, 3, 2);
    lt_wire_end(&buf, mark);
    assert_int_equal(lt_onnx_read_value(buf.data, buf.length, &map, &arena, &any, "m", NULL), LATHE_OK);
    assert_true(any.cls == LT_MAP && any.count == 2 && any.items[1].tensor.rank == 1 &&
                any.items[1].tensor.dims[0] == 2);
    assert_true(((const lt_string *)any.items[0].tensor.data)[1].length == 3);
    lt_buf_free(&buf);
    lt_arena_destroy(&arena);
}

static bool same_any(const lt_any *a, const lt_any *b)
{
    bool same = a->cls == b->cls && a->count == b->count && (a->cls != LT_TENSOR || lt_tensor_equal(&a->tensor, &b->tensor));
    for (size_t i = 0; same && i < a->count; i++) {
        same = same_any(&a->items[i], &b->items[i]);
    }
    return same;
}

/* What is written is read again. */
static void containers_are_written(void **state)
{
    static float numbers[] = { 1, 2, 3 };
    static lt_string words[] = { { "one", 3 }, { "", 0 } };
    lt_any items[] = { { .tensor = { .dtype = LATHE_DTYPE_F32, .rank = 1, .dims = { 3 }, .data = numbers, .bytes = 12 } },
                       { .tensor = { .dtype = LATHE_DTYPE_STRING, .rank = 1, .dims = { 2 }, .data = words, .bytes = sizeof words } } };
    lt_any list = { .cls = LT_SEQUENCE, .items = items, .count = 2 }, none = { .cls = LT_OPTIONAL }, empty = { .cls = LT_SEQUENCE };
    lt_any lists[] = { list, empty, list }, deep = { .cls = LT_SEQUENCE, .items = lists, .count = 3 };
    lt_any some = { .cls = LT_OPTIONAL, .items = &deep, .count = 1 }, options[] = { none, some };
    lt_any mixed = { .cls = LT_SEQUENCE, .items = options, .count = 2 }, boxed = { .cls = LT_OPTIONAL, .items = &some, .count = 1 };
    static int64_t numbered[] = { -7, INT64_MAX, 0 };
    lt_any pair[] = { items[1], { .tensor = { .dtype = LATHE_DTYPE_F32, .rank = 1, .dims = { 2 }, .data = numbers, .bytes = 8 } } };
    lt_any by_number[] = { { .tensor = { .dtype = LATHE_DTYPE_I64, .rank = 1, .dims = { 3 }, .data = numbered, .bytes = 24 } },
                           { .tensor = { .dtype = LATHE_DTYPE_F32, .rank = 2, .dims = { 3, 1 }, .data = numbers, .bytes = 12 } } };
    lt_any odd[] = { items[1], items[0] }; /* two keys, three values */
    lt_any map = { .cls = LT_MAP, .items = pair, .count = 2 }, maps = { .cls = LT_SEQUENCE, .items = &map, .count = 1 };
    lt_any rows = { .cls = LT_MAP, .items = by_number, .count = 2 }, some_map = { .cls = LT_OPTIONAL, .items = &rows, .count = 1 };
    lt_any uneven = { .cls = LT_MAP, .items = odd, .count = 2 }, half = { .cls = LT_MAP, .items = pair, .count = 1 };
    const lt_any *all[] = { &items[0], &items[1], &list, &none, &empty, &deep, &some, &mixed, &boxed, &map, &maps, &rows, &some_map };
    lt_arena arena;
    lt_buf buf;
    lt_any back;
    (void)state;
    lt_arena_init(&arena, NULL);
    lt_buf_init(&buf, NULL);
    for (size_t i = 0; i < LT_COUNT(all); i++) {
        lt_type type = { .cls = all[i]->cls };
        lt_buf_clear(&buf);
        assert_int_equal(lt_onnx_write_value(all[i], "name", &buf, NULL), LATHE_OK);
        assert_int_equal(lt_onnx_read_value(buf.data, buf.length, &type, &arena, &back, "v", NULL), LATHE_OK);
        assert_true(same_any(all[i], &back));
    }
    assert_int_equal(lt_onnx_write_value(&uneven, NULL, &buf, NULL), LATHE_UNSUPPORTED);
    assert_int_equal(lt_onnx_write_value(&half, NULL, &buf, NULL), LATHE_UNSUPPORTED);
    lt_buf_free(&buf);
    lt_arena_destroy(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_all_wire_types),     cmocka_unit_test(refuses_malformed_bytes),
        cmocka_unit_test(encoder_and_cursor_agree), cmocka_unit_test(packed_and_unpacked_runs_mix),
        cmocka_unit_test(unknown_fields_are_kept),  cmocka_unit_test(a_packed_run_must_be_whole),
        cmocka_unit_test(containers_are_read),      cmocka_unit_test(containers_are_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
