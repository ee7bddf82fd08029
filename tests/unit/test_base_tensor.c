/*
 * test_base_tensor.c - tensors, coordinates and broadcasting; Philox by known answers and the generators on top of it.
 */
#include "base/base.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/counting_allocator.h"

static void test_shape(void **state)
{
    (void)state;
    counting_allocator a;
    counting_init(&a);
    lt_arena arena;
    lt_arena_init(&arena, &a.api);
    lathe_diag *diag = lathe_diag_create(NULL);
    lt_tensor t = { 0 };
    assert_int_equal(lt_tensor_alloc(&arena, &t, LATHE_DTYPE_F32, 2, (int64_t[]){ 2, 3 }, "x", diag), LATHE_OK);
    assert_int_equal(t.bytes, 24);
    assert_int_equal((uintptr_t)t.data % 64, 0);
    assert_int_equal(lt_tensor_count(&t), 6);
    assert_true(((float *)t.data)[5] == 0);
    char text[64], tiny[6];
    lt_tensor_describe(&t, text, sizeof text);
    assert_string_equal(text, "f32[2,3]");
    lt_tensor_describe(&t, tiny, sizeof tiny);
    assert_string_equal(tiny, "f32[2");
    assert_int_equal(lt_tensor_alloc(&arena, &t, LATHE_DTYPE_I4, 0, NULL, "x", diag), LATHE_OK);
    lt_tensor_describe(&t, text, sizeof text);
    assert_string_equal(text, "i4[]");
    assert_int_equal(t.bytes, 1);
    assert_int_equal(lt_tensor_alloc(&arena, &t, LATHE_DTYPE_F64, 3, (int64_t[]){ 4, 0, INT64_MAX }, "x", diag),
                     LATHE_OK);
    assert_int_equal(t.bytes, 0);
    assert_int_equal(lt_tensor_shape(&t, LATHE_DTYPE_F64, 2, t.dims, "x", diag), LATHE_OK); /* from itself */
    assert_true(t.dims[0] == 4 && t.dims[1] == 0);
    assert_int_equal(lathe_diag_total(diag), 0);
    int64_t seventeen[17] = { 0 };
    assert_int_equal(lt_tensor_shape(&t, LATHE_DTYPE_F32, 17, seventeen, "x", diag), LATHE_UNSUPPORTED);
    assert_int_equal(lt_tensor_shape(&t, LATHE_DTYPE_F32, -1, seventeen, "x", diag), LATHE_UNSUPPORTED);
    assert_int_equal(lt_tensor_shape(&t, LATHE_DTYPE_F32, 1, (int64_t[]){ -2 }, "x", diag), LATHE_BAD_SHAPE);
    assert_int_equal(lt_tensor_shape(&t, LATHE_DTYPE_F32, 2, (int64_t[]){ INT64_MAX, 2 }, "x", diag), LATHE_OVERFLOW);
    assert_int_equal(lt_tensor_shape(&t, LATHE_DTYPE_F64, 1, (int64_t[]){ INT64_MAX / 4 }, "x", diag), LATHE_OVERFLOW);
    assert_int_equal(lt_tensor_shape(&t, (lathe_dtype)55, 0, NULL, NULL, diag), LATHE_BAD_MODEL);
    assert_int_equal(lt_tensor_alloc(&arena, &t, LATHE_DTYPE_U8, 1, (int64_t[]){ (int64_t)1 << 50 }, "x", diag),
                     LATHE_OUT_OF_MEMORY);
    assert_true(t.dims[0] == 4 && t.bytes == 0); /* left alone */
    assert_int_equal(lathe_diag_total(diag), 7);
    lathe_diag_destroy(diag);
    lt_arena_destroy(&arena);
    assert_int_equal(a.live, 0);
}

static void test_equal(void **state)
{
    (void)state;
    float x[2] = { 1, 2 }, y[2] = { 1, 2 };
    lt_tensor a = { .data = x }, b = { .data = y };
    assert_int_equal(lt_tensor_shape(&a, LATHE_DTYPE_F32, 1, (int64_t[]){ 2 }, "a", NULL), LATHE_OK);
    assert_int_equal(lt_tensor_shape(&b, LATHE_DTYPE_F32, 1, (int64_t[]){ 2 }, "b", NULL), LATHE_OK);
    assert_true(lt_tensor_equal(&a, &b));
    y[1] = 3;
    assert_false(lt_tensor_equal(&a, &b));
    assert_int_equal(lt_tensor_shape(&b, LATHE_DTYPE_F32, 2, (int64_t[]){ 1, 2 }, "b", NULL), LATHE_OK);
    assert_false(lt_tensor_equal(&a, &b));
    lt_string s[2] = { { "ab", 2 }, { NULL, 0 } }, r[2] = { { "abc", 2 }, { "", 0 } };
    a.data = s;
    b.data = r;
    assert_int_equal(lt_tensor_shape(&a, LATHE_DTYPE_STRING, 1, (int64_t[]){ 2 }, "a", NULL), LATHE_OK);
    assert_int_equal(lt_tensor_shape(&b, LATHE_DTYPE_STRING, 1, (int64_t[]){ 2 }, "b", NULL), LATHE_OK);
    assert_true(lt_tensor_equal(&a, &b));
    r[0].length = 3;
    assert_false(lt_tensor_equal(&a, &b));
    a.data = b.data = NULL;
    a.dims[0] = b.dims[0] = 0;
    a.bytes = b.bytes = 0;
    assert_true(lt_tensor_equal(&a, &b));
}

static void test_coordinates(void **state)
{
    (void)state;
    int64_t dims[3] = { 2, 3, 4 }, strides[3], at[3] = { 0, 0, 0 }, n = 0;
    lt_tensor_strides(3, dims, strides);
    assert_true(strides[0] == 12 && strides[1] == 4 && strides[2] == 1);
    do {
        assert_int_equal(at[0] * strides[0] + at[1] * strides[1] + at[2] * strides[2], n);
        n++;
    } while (lt_next_coords(3, dims, at));
    assert_int_equal(n, 24);
    assert_false(lt_next_coords(0, NULL, NULL));
    int64_t wide[3] = { 0, INT64_MAX, 3 };
    lt_tensor_strides(3, wide, strides);
    int rank;
    int64_t out[LATHE_MAX_RANK];
    assert_true(lt_broadcast(3, (int64_t[]){ 2, 1, 4 }, 2, (int64_t[]){ 3, 1 }, &rank, out));
    assert_true(rank == 3 && out[0] == 2 && out[1] == 3 && out[2] == 4);
    assert_true(lt_broadcast(0, NULL, 2, (int64_t[]){ 0, 1 }, &rank, out) && rank == 2 && out[0] == 0 && out[1] == 1);
    assert_true(lt_broadcast(1, (int64_t[]){ 1 }, 1, (int64_t[]){ 0 }, &rank, out) && out[0] == 0);
    assert_false(lt_broadcast(1, (int64_t[]){ 2 }, 1, (int64_t[]){ 3 }, &rank, out));
    assert_false(lt_broadcast(1, (int64_t[]){ 2 }, 1, (int64_t[]){ 0 }, &rank, out));
}

static void expect_philox(uint64_t key, uint64_t hi, uint64_t lo, uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
    uint32_t out[4];
    lt_philox(key, hi, lo, out);
    assert_int_equal(out[0], a);
    assert_int_equal(out[1], b);
    assert_int_equal(out[2], c);
    assert_int_equal(out[3], d);
}

/* The known answers published with the algorithm, and what follows from them. */
static void test_philox(void **state)
{
    (void)state;
    expect_philox(0, 0, 0, 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8);
    expect_philox(UINT64_MAX, UINT64_MAX, UINT64_MAX, 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd);
    expect_philox(0x299f31d0a4093822u, 0x0370734413198a2eu, 0x85a308d3243f6a88u, 0xd16cfe09, 0x94fdcceb, 0x5001e420,
                  0x24126ea1);
    assert_true(lt_random_unit(0, 0, 0) == (double)(0x6627e8d5e169c58du >> 11) / 0x1p53);
}

/* Against libm, whose last bits may differ. */
static void test_normal_by_libm(void **state)
{
    (void)state;
    double sum = 0, squares = 0, cubes = 0;
    enum { COUNT = 100000 };
    for (uint64_t i = 0; i < COUNT; i++) {
        uint32_t r[4];
        lt_philox(5, 6, i, r);
        double u = 1 - (double)(((uint64_t)r[0] << 32 | r[1]) >> 11) * 0x1p-53,
               v = (double)(((uint64_t)r[2] << 32 | r[3]) >> 11) * 0x1p-53;
        double expected = sqrt(-2 * log(u)) * cos(6.283185307179586 * v), got = lt_random_normal(5, 6, i);
        assert_true(fabs(got - expected) <= 1e-14 * (1 + fabs(expected)));
        sum += got;
        squares += got * got;
        cubes += got * got * got;
    }
    assert_true(fabs(sum / COUNT) < 0.015);
    assert_true(fabs(squares / COUNT - 1) < 0.02);
    assert_true(fabs(cubes / COUNT) < 0.06);
    assert_true(lt_random_normal(1, 0, 0) == -1.8045566902006251); /* the same bits everywhere and for ever */
    assert_true(lt_random_normal(1, 0, 1) == -1.4756192460492585);
}

static void test_fill(void **state)
{
    (void)state;
    lt_arena arena;
    lt_arena_init(&arena, NULL);
    lt_tensor t, again;
    for (int type = LATHE_DTYPE_F32; type < LATHE_DTYPE_COUNT; type++) {
        if (type == LATHE_DTYPE_STRING) {
            continue;
        }
        int64_t dims[1] = { 3001 };
        assert_int_equal(lt_tensor_alloc(&arena, &t, (lathe_dtype)type, 1, dims, "t", NULL), LATHE_OK);
        assert_int_equal(lt_tensor_alloc(&arena, &again, (lathe_dtype)type, 1, dims, "t", NULL), LATHE_OK);
        assert_int_equal(lt_random_fill(&t, 9, NULL), LATHE_OK);
        assert_int_equal(lt_random_fill(&again, 9, NULL), LATHE_OK);
        assert_true(lt_tensor_equal(&t, &again));
        assert_int_equal(lt_random_fill(&again, 10, NULL), LATHE_OK);
        assert_false(lt_tensor_equal(&t, &again));
        lt_dtype_kind kind = lt_dtype_get((lathe_dtype)type)->kind;
        bool integer = kind == LT_KIND_SIGNED || kind == LT_KIND_UNSIGNED || kind == LT_KIND_BOOL;
        uint64_t most = lt_dtype_max_u64((lathe_dtype)type), top = 0;
        for (int64_t i = 0; integer && i < dims[0]; i++) {
            int64_t value = lt_load_i64((lathe_dtype)type, t.data, i);
            assert_true(value >= 0 && value <= 99);
            top = (uint64_t)value > top ? (uint64_t)value : top;
        }
        assert_true(!integer || top == (most < 99 ? most : 99));
    }
    t = (lt_tensor){ .dtype = LATHE_DTYPE_STRING };
    assert_int_equal(lt_random_fill(&t, 1, NULL), LATHE_UNSUPPORTED);
    /* A prefix does not depend on the size: numbers are addressed by index. */
    lt_tensor small;
    assert_int_equal(lt_tensor_alloc(&arena, &t, LATHE_DTYPE_F32, 1, (int64_t[]){ 100 }, "t", NULL), LATHE_OK);
    assert_int_equal(lt_tensor_alloc(&arena, &small, LATHE_DTYPE_F32, 1, (int64_t[]){ 10 }, "t", NULL), LATHE_OK);
    assert_int_equal(lt_random_fill(&t, 3, NULL), LATHE_OK);
    assert_int_equal(lt_random_fill(&small, 3, NULL), LATHE_OK);
    assert_memory_equal(t.data, small.data, 40);
    lt_arena_destroy(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shape),  cmocka_unit_test(test_equal),          cmocka_unit_test(test_coordinates),
        cmocka_unit_test(test_philox), cmocka_unit_test(test_normal_by_libm), cmocka_unit_test(test_fill),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
