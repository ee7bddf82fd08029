/*
 * test_base_memory.c - status names, diagnostics, allocator helpers, arena, growing arrays, maps; also when memory
 * runs out.
 */
#define _GNU_SOURCE
#include "base/base.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/counting_allocator.h"

static void test_status_names(void **state)
{
    (void)state;
    assert_string_equal(lathe_version(), LATHE_VERSION_STRING);
    for (int i = LATHE_OK; i <= LATHE_INTERNAL; i++) {
        assert_string_not_equal(lathe_status_name((lathe_status)i), "unknown-status");
        for (int j = 0; j < i; j++) {
            assert_string_not_equal(lathe_status_name((lathe_status)i), lathe_status_name((lathe_status)j));
        }
    }
    assert_string_equal(lathe_status_name(LATHE_BAD_MODEL), "bad-model");
    assert_string_equal(lathe_status_name((lathe_status)99), "unknown-status");
    assert_string_equal(lathe_status_name((lathe_status)-1), "unknown-status");
}

static char *printed(const lathe_diag *diag)
{
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    assert_non_null(stream);
    lathe_diag_print(diag, stream);
    fclose(stream);
    return text;
}

static void test_diag(void **state)
{
    (void)state;
    assert_int_equal(LT_FAIL(NULL, LATHE_IO, "a", "b", "c %d", 1), LATHE_IO);
    lathe_diag *diag = lathe_diag_create(NULL);
    assert_non_null(diag);
    assert_int_equal(LT_FAIL(diag, LATHE_BAD_MODEL, "m.onnx: node 'x'", "do this", "bad %s %d", "thing", 7),
                     LATHE_BAD_MODEL);
    assert_int_equal(LT_FAIL(diag, LATHE_UNSUPPORTED, NULL, NULL, "esc \x1b[31m"), LATHE_UNSUPPORTED);
    assert_int_equal(lathe_diag_count(diag), 2);
    lathe_diag_record r = { .struct_size = sizeof r };
    assert_int_equal(lathe_diag_at(diag, 0, &r), LATHE_OK);
    assert_int_equal(r.status, LATHE_BAD_MODEL);
    assert_string_equal(r.where, "m.onnx: node 'x'");
    assert_string_equal(r.text, "bad thing 7");
    assert_string_equal(r.advice, "do this");
    assert_non_null(strstr(r.file, "test_base_memory.c"));
    assert_int_equal(lathe_diag_at(diag, 1, &r), LATHE_OK);
    assert_string_equal(r.where, "");
    assert_string_equal(r.advice, "");
    assert_int_equal(lathe_diag_at(diag, 2, &r), LATHE_INVALID_ARGUMENT);
    r.struct_size = 0;
    assert_int_equal(lathe_diag_at(diag, 0, &r), LATHE_INVALID_ARGUMENT);
    char *text = printed(diag);
    assert_string_equal(
        text,
        "error[bad-model]: m.onnx: node 'x': bad thing 7\n  advice: do this\nerror[unsupported]: esc \\x1b[31m\n");
    free(text);
    lathe_diag_clear(diag);
    assert_int_equal(lathe_diag_total(diag), 0);
    for (int i = 0; i < LATHE_DIAG_MAX + 10; i++) {
        (void)LT_FAIL(diag, LATHE_IO, NULL, NULL, "%d", i);
    }
    assert_int_equal(lathe_diag_count(diag), LATHE_DIAG_MAX);
    assert_int_equal(lathe_diag_total(diag), LATHE_DIAG_MAX + 10);
    text = printed(diag);
    assert_non_null(strstr(text, "... and 10 more\n"));
    free(text);
    lathe_diag_destroy(diag);
    lathe_diag_destroy(NULL);
    lathe_diag_clear(NULL);
    assert_int_equal(lathe_diag_count(NULL), 0);
}

static void test_diag_cuts_long_texts(void **state)
{
    (void)state;
    size_t length = 1 << 20;
    char *name = malloc(length + 1);
    assert_non_null(name);
    memset(name, 'x', length);
    name[length] = '\0';
    lathe_diag *diag = lathe_diag_create(NULL);
    (void)LT_FAIL(diag, LATHE_BAD_MODEL, name, name, "%s", name);
    lathe_diag_record r = { .struct_size = sizeof r };
    assert_int_equal(lathe_diag_at(diag, 0, &r), LATHE_OK);
    assert_true(strlen(r.text) < 5000 && strlen(r.where) < 5000 && strlen(r.advice) < 5000);
    lathe_diag_destroy(diag);
    free(name);
}

static void test_diag_without_memory(void **state)
{
    (void)state;
    for (size_t n = 1; n < 12; n++) {
        counting_allocator a;
        counting_init(&a);
        a.fail_at = n;
        lathe_diag *diag = lathe_diag_create(&a.api);
        for (int i = 0; i < 40; i++) {
            assert_int_equal(LT_OOM(diag), LATHE_OUT_OF_MEMORY);
        }
        for (size_t i = 0; i < lathe_diag_count(diag); i++) {
            lathe_diag_record r = { .struct_size = sizeof r };
            assert_int_equal(lathe_diag_at(diag, i, &r), LATHE_OK);
            assert_string_equal(r.text, "out of memory");
        }
        assert_int_equal(lathe_diag_total(diag), diag == NULL ? 0 : 40);
        lathe_diag_destroy(diag);
        assert_int_equal(a.live, 0);
        assert_int_equal(a.mistakes, 0);
    }
}

static void test_alloc(void **state)
{
    (void)state;
    counting_allocator a;
    counting_init(&a);
    const lathe_allocator *both[] = { NULL, &a.api };
    for (size_t i = 0; i < 2; i++) {
        for (size_t align = 1; align <= 4096; align *= 2) {
            unsigned char *p = lt_alloc_zero(both[i], 100, align);
            assert_non_null(p);
            assert_int_equal((uintptr_t)p % align, 0);
            for (int k = 0; k < 100; k++) {
                assert_int_equal(p[k], 0);
            }
            lt_release(both[i], p, 100, align);
        }
        void *x = lt_alloc(both[i], 0, 1), *y = lt_alloc(both[i], 0, 1);
        assert_non_null(x);
        assert_ptr_not_equal(x, y);
        lt_release(both[i], x, 0, 1);
        lt_release(both[i], y, 0, 1);
        lt_release(both[i], NULL, 10, 1);
        assert_null(lt_alloc(both[i], SIZE_MAX, 64));
        assert_null(lt_alloc(both[i], SIZE_MAX - 3, 64));
        assert_null(lt_alloc_array(both[i], SIZE_MAX / 2, 3, 8));
    }
    assert_int_equal(a.live, 0);
    assert_int_equal(a.mistakes, 0);
}

static void test_grow(void **state)
{
    (void)state;
    counting_allocator a;
    counting_init(&a);
    void *p = NULL;
    size_t capacity = 0;
    for (size_t n = 1; n <= 1000; n++) {
        assert_true(lt_grow(&a.api, &p, &capacity, n, sizeof(uint32_t)));
        assert_int_equal(((uint32_t *)p)[n - 1], 0);
        ((uint32_t *)p)[n - 1] = (uint32_t)n;
    }
    for (size_t n = 1; n <= 1000; n++) {
        assert_int_equal(((uint32_t *)p)[n - 1], n);
    }
    size_t before = capacity;
    assert_false(lt_grow(&a.api, &p, &capacity, SIZE_MAX / 2, sizeof(uint32_t)));
    a.fail_at = a.calls + 1;
    assert_false(lt_grow(&a.api, &p, &capacity, before + 1, sizeof(uint32_t)));
    assert_int_equal(capacity, before);
    lt_release(&a.api, p, capacity * sizeof(uint32_t), LT_VEC_ALIGN);
    assert_int_equal(a.live, 0);
    assert_int_equal(a.mistakes, 0);
}

static void test_arena(void **state)
{
    (void)state;
    counting_allocator a;
    counting_init(&a);
    lt_arena arena;
    lt_arena_init(&arena, &a.api);
    assert_int_equal(a.calls, 0);
    unsigned char *blocks[500];
    size_t total = 0;
    for (size_t i = 0; i < 500; i++) {
        size_t size = i * 37 % 301, align = (size_t)1 << i % 9;
        blocks[i] = lt_arena_alloc(&arena, size, align);
        assert_non_null(blocks[i]);
        assert_int_equal((uintptr_t)blocks[i] % align, 0);
        memset(blocks[i], (int)(i & 0xff), size);
        total += size == 0 ? 1 : size;
    }
    assert_int_equal(arena.used, total);
    for (size_t i = 0; i < 500; i++) {
        for (size_t k = 0; k < i * 37 % 301; k++) {
            assert_int_equal(blocks[i][k], i & 0xff);
        }
    }
    unsigned char *large = lt_arena_zero(&arena, 1000, 1000, 64);
    assert_non_null(large);
    assert_int_equal(large[999999], 0);
    assert_null(lt_arena_zero(&arena, SIZE_MAX / 2, 3, 1));
    assert_null(lt_arena_alloc(&arena, SIZE_MAX - 8, 64));
    assert_string_equal(lt_arena_str(&arena, "abc"), "abc");
    assert_string_equal(lt_arena_strn(&arena, "abcdef", 2), "ab");
    assert_string_equal(lt_arena_strn(&arena, NULL, 0), "");
    assert_string_equal(lt_arena_printf(&arena, "%d-%s", 5, "x"), "5-x");
    assert_memory_equal(lt_arena_copy(&arena, "wxyz", 4, 8), "wxyz", 4);
    lt_arena_reset(&arena);
    assert_int_equal(a.live, 1);
    assert_true(a.bytes >= 1000000);
    assert_int_equal(arena.used, 0);
    size_t calls = a.calls;
    assert_non_null(lt_arena_alloc(&arena, 500000, 64));
    assert_int_equal(a.calls, calls);
    lt_arena_destroy(&arena);
    assert_int_equal(a.live, 0);
    assert_int_equal(a.mistakes, 0);
    lt_arena_destroy(&arena);
}

/* The same work after a whole reset needs no allocation, however many chunks it took the first time. */
static void test_arena_reset_whole(void **state)
{
    (void)state;
    counting_allocator a;
    lt_arena arena;
    counting_init(&a);
    lt_arena_init(&arena, &a.api);
    lt_arena_reset_whole(&arena);
    assert_int_equal(a.calls, 0);
    size_t calls = 0;
    for (int round = 0; round < 3; round++) {
        calls = a.calls;
        for (int i = 0; i < 5; i++) {
            assert_non_null(lt_arena_alloc(&arena, (size_t)3 << 20, 64));
        }
        assert_true(round == 0 || a.calls == calls);
        lt_arena_reset_whole(&arena);
        assert_int_equal(a.live, 1);
        assert_int_equal(arena.used, 0);
    }
    for (int i = 0; i < 9; i++) { /* no memory for one block: as good as reset */
        assert_non_null(lt_arena_alloc(&arena, (size_t)3 << 20, 64));
    }
    a.fail_at = a.calls + 1;
    lt_arena_reset_whole(&arena);
    assert_int_equal(a.live, 0);
    assert_non_null(lt_arena_alloc(&arena, 100, 1));
    lt_arena_destroy(&arena);
    assert_int_equal(a.live, 0);
    assert_int_equal(a.mistakes, 0);
}

static void test_arena_grow(void **state)
{
    (void)state;
    counting_allocator a;
    counting_init(&a);
    lt_arena arena;
    lt_arena_init(&arena, &a.api);
    void *p = NULL;
    size_t capacity = 0;
    for (size_t n = 1; n <= 300; n++) {
        assert_true(lt_arena_grow(&arena, &p, &capacity, n, 8));
        ((uint64_t *)p)[n - 1] = n;
    }
    for (size_t n = 1; n <= 300; n++) {
        assert_int_equal(((uint64_t *)p)[n - 1], n);
    }
    a.fail_at = a.calls + 1;
    a.fail_rest = 1;
    assert_false(lt_arena_grow(&arena, &p, &capacity, 100000, 8));
    assert_int_equal(((uint64_t *)p)[299], 300);
    lt_arena_destroy(&arena);
    assert_int_equal(a.live, 0);
}

static void test_map(void **state)
{
    (void)state;
    counting_allocator a;
    counting_init(&a);
    lt_map map;
    lt_map_init(&map, &a.api);
    static char keys[2000][16];
    uint64_t value = 0;
    assert_false(lt_map_get(&map, "a", &value));
    assert_false(lt_map_del(&map, "a"));
    for (int i = 0; i < 2000; i++) {
        snprintf(keys[i], sizeof keys[i], "k%d", i);
        assert_true(lt_map_put(&map, keys[i], (uint64_t)i));
        assert_true(lt_map_put(&map, keys[i], (uint64_t)i * 3));
    }
    assert_int_equal(map.count, 2000);
    for (int i = 0; i < 2000; i += 2) {
        assert_true(lt_map_del(&map, keys[i]));
        assert_false(lt_map_del(&map, keys[i]));
    }
    for (int i = 0; i < 2000; i++) {
        assert_int_equal(lt_map_get(&map, keys[i], &value), i % 2);
        assert_true(i % 2 == 0 || value == (uint64_t)i * 3);
    }
    assert_int_equal(map.count, 1000);
    assert_true(lt_map_put_bytes(&map, "a\0b", 3, 5));
    assert_true(lt_map_put_bytes(&map, "a\0c", 3, 6));
    assert_true(lt_map_put_bytes(&map, NULL, 0, 7));
    assert_true(lt_map_get_bytes(&map, "a\0b", 3, &value) && value == 5);
    assert_true(lt_map_get_bytes(&map, "", 0, &value) && value == 7);
    assert_true(lt_map_get(&map, "", NULL));
    lt_map_free(&map);
    assert_int_equal(a.live, 0);
    a.fail_at = a.calls + 1;
    assert_false(lt_map_put(&map, "x", 1));
    assert_true(lt_map_put(&map, "x", 1));
    lt_map_free(&map);
    assert_int_equal(a.live, 0);
    assert_int_equal(a.mistakes, 0);
}

static void test_imap(void **state)
{
    (void)state;
    counting_allocator a;
    counting_init(&a);
    lt_imap map;
    lt_imap_init(&map, &a.api);
    uint64_t value;
    assert_false(lt_imap_get(&map, 0, &value));
    for (uint64_t i = 0; i < 3000; i++) {
        assert_true(lt_imap_put(&map, i << 32 | i % 7, i));
    }
    for (uint64_t i = 0; i < 3000; i++) {
        assert_true(lt_imap_get(&map, i << 32 | i % 7, &value) && value == i);
        assert_false(lt_imap_get(&map, i << 32 | 9, NULL));
    }
    assert_true(lt_imap_put(&map, 0, 42));
    assert_true(lt_imap_get(&map, 0, &value) && value == 42);
    assert_int_equal(map.count, 3000);
    lt_imap_free(&map);
    a.fail_at = a.calls + 1;
    assert_false(lt_imap_put(&map, 1, 1));
    lt_imap_free(&map);
    assert_int_equal(a.live, 0);
}

static void test_sizes(void **state)
{
    (void)state;
    size_t s = 5;
    int64_t i = 5;
    assert_false(lt_size_add(SIZE_MAX, 1, &s));
    assert_false(lt_size_mul(SIZE_MAX / 2, 3, &s));
    assert_false(lt_size_align(SIZE_MAX - 3, 64, &s));
    assert_int_equal(s, 5);
    assert_true(lt_size_align(65, 64, &s) && s == 128);
    assert_true(lt_size_align(64, 64, &s) && s == 64);
    assert_false(lt_i64_add(INT64_MAX, 1, &i));
    assert_false(lt_i64_sub(INT64_MIN, 1, &i));
    assert_false(lt_i64_mul(INT64_MIN, -1, &i));
    assert_int_equal(i, 5);
    assert_true(lt_dims_count(NULL, 0, &i) && i == 1);
    assert_true(lt_dims_count((int64_t[]){ 2, 3, 4 }, 3, &i) && i == 24);
    assert_true(lt_dims_count((int64_t[]){ INT64_MAX, 2, 0 }, 3, &i) && i == 0);
    assert_false(lt_dims_count((int64_t[]){ INT64_MAX, 2, 1 }, 3, &i));
    assert_false(lt_dims_count((int64_t[]){ 2, -1 }, 2, &i));
    for (int64_t a = -20; a <= 20; a++) {
        for (int64_t b = -7; b <= 7; b++) {
            if (b != 0) {
                int64_t f = lt_floor_div(a, b), c = lt_ceil_div(a, b);
                assert_true(b > 0 ? f * b <= a && a < (f + 1) * b : f * b >= a && a > (f + 1) * b);
                assert_int_equal(c, -lt_floor_div(-a, b));
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_status_names),
        cmocka_unit_test(test_diag),
        cmocka_unit_test(test_diag_cuts_long_texts),
        cmocka_unit_test(test_diag_without_memory),
        cmocka_unit_test(test_alloc),
        cmocka_unit_test(test_grow),
        cmocka_unit_test(test_arena),
        cmocka_unit_test(test_arena_reset_whole),
        cmocka_unit_test(test_arena_grow),
        cmocka_unit_test(test_map),
        cmocka_unit_test(test_imap),
        cmocka_unit_test(test_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
