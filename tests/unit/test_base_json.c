/*
 * test_base_json.c - the JSON writer and reader, and traces (from several threads).
 * ctest: LABELS threads
 */
#define _GNU_SOURCE
#include "base/base.h"

#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/counting_allocator.h"

static void write_sample(lt_json *json)
{
    lt_json_begin_object(json);
    lt_json_key(json, "a\"\\\n\x01");
    lt_json_begin_array(json);
    lt_json_i64(json, INT64_MIN);
    lt_json_u64(json, UINT64_MAX);
    lt_json_f64(json, 0.1);
    lt_json_f64(json, (double)NAN);
    lt_json_f64(json, (double)-INFINITY);
    lt_json_bool(json, true);
    lt_json_null(json);
    lt_json_string(json, NULL);
    lt_json_end_array(json);
    lt_json_key(json, "empty");
    lt_json_begin_object(json);
    lt_json_end_object(json);
    lt_json_key(json, "text");
    lt_json_string(json, "\xc3\xa9 \xff \xe2\x82 \xed\xa0\x80 \xf0\x9f\x98\x80 \xc0\x80");
    lt_json_end_object(json);
}

static void test_writer(void **state)
{
    (void)state;
    lt_buf buf;
    lt_json json;
    lt_buf_init(&buf, NULL);
    lt_json_init(&json, &buf, false);
    write_sample(&json);
    assert_string_equal(lt_buf_str(&buf),
                        "{\"a\\\"\\\\\\n\\u0001\":[-9223372036854775808,18446744073709551615,0.1,null,null,true,null,"
                        "null],\"empty\":{},"
                        "\"text\":\"\xc3\xa9 \xef\xbf\xbd \xef\xbf\xbd \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd "
                        "\xf0\x9f\x98\x80 \xef\xbf\xbd\xef\xbf\xbd\"}");
    assert_false(buf.failed);
    lt_buf_clear(&buf);
    lt_json_init(&json, &buf, true);
    lt_json_begin_object(&json);
    lt_json_key(&json, "x");
    lt_json_begin_array(&json);
    lt_json_i64(&json, 1);
    lt_json_i64(&json, 2);
    lt_json_end_array(&json);
    lt_json_key(&json, "y");
    lt_json_begin_array(&json);
    lt_json_end_array(&json);
    lt_json_end_object(&json);
    assert_string_equal(lt_buf_str(&buf), "{\n  \"x\": [\n    1,\n    2\n  ],\n  \"y\": []\n}\n");
    lt_buf_free(&buf);
}

static void test_writer_misuse(void **state)
{
    (void)state;
    for (int which = 0; which < 8; which++) {
        lt_buf buf;
        lt_json json;
        lt_buf_init(&buf, NULL);
        lt_json_init(&json, &buf, false);
        switch (which) {
        case 0:
            lt_json_key(&json, "x");
            break;
        case 1:
            lt_json_begin_object(&json);
            lt_json_i64(&json, 1);
            break;
        case 2:
            lt_json_begin_object(&json);
            lt_json_end_array(&json);
            break;
        case 3:
            lt_json_end_object(&json);
            break;
        case 4:
            lt_json_begin_object(&json);
            lt_json_key(&json, "a");
            lt_json_end_object(&json);
            break;
        case 5:
            lt_json_begin_object(&json);
            lt_json_key(&json, "a");
            lt_json_key(&json, "b");
            break;
        case 6:
            lt_json_i64(&json, 1);
            lt_json_i64(&json, 2);
            break;
        default:
            for (int i = 0; i < 100; i++) {
                lt_json_begin_array(&json);
            }
        }
        assert_true(buf.failed);
        lt_buf_free(&buf);
    }
}

static lt_json_value *parse(lt_arena *arena, const char *text, lathe_status expected)
{
    lt_json_value *value = NULL;
    size_t length = strlen(text);
    char *copy = malloc(length + 1); /* exactly as long as it is, so that reads beyond the end are found */
    assert_non_null(copy);
    char *tight = realloc(copy, length > 0 ? length : 1);
    memcpy(tight, text, length);
    lathe_diag *diag = lathe_diag_create(NULL);
    lathe_status status = lt_json_parse(arena, tight, length, &value, diag);
    if (status != expected) {
        fail_msg("%s gives %s", text, lathe_status_name(status));
    }
    assert_int_equal(lathe_diag_total(diag), expected == LATHE_OK ? 0 : 1);
    lathe_diag_destroy(diag);
    free(tight);
    return value;
}

static void test_reader(void **state)
{
    (void)state;
    lt_arena arena;
    lt_arena_init(&arena, NULL);
    lt_json_value *v =
        parse(&arena, " {\"a\": [1, -2.5e3, true, false, null, \"x\\u00e9\\ud83d\\ude00\\n\\/\"], \"b\":{}, \"\": []} ",
              LATHE_OK);
    assert_int_equal(v->kind, LT_JSON_OBJECT);
    assert_int_equal(v->count, 3);
    const lt_json_value *a = lt_json_member(v, "a");
    assert_int_equal(a->kind, LT_JSON_ARRAY);
    assert_int_equal(a->count, 6);
    assert_true(a->items[0].kind == LT_JSON_NUMBER && a->items[0].number == 1);
    assert_true(a->items[1].number == -2500);
    assert_true(a->items[2].kind == LT_JSON_BOOL && a->items[2].boolean);
    assert_true(a->items[3].kind == LT_JSON_BOOL && !a->items[3].boolean);
    assert_int_equal(a->items[4].kind, LT_JSON_NULL);
    assert_string_equal(a->items[5].string, "x\xc3\xa9\xf0\x9f\x98\x80\n/");
    assert_int_equal(lt_json_member(v, "b")->count, 0);
    assert_int_equal(lt_json_member(v, "")->kind, LT_JSON_ARRAY);
    assert_null(lt_json_member(v, "c"));
    assert_null(lt_json_member(a, "a"));
    assert_null(lt_json_member(NULL, "a"));
    assert_true(parse(&arena, "0", LATHE_OK)->number == 0);
    assert_string_equal(parse(&arena, "\"\"", LATHE_OK)->string, "");
    static const char *const bad[] = {
        "",
        " ",
        "{",
        "}",
        "[",
        "[1",
        "[1,",
        "[1,]",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{a:1}",
        "tru",
        "nul",
        "01",
        "-",
        "1.",
        ".5",
        "1e",
        "+1",
        "1e999",
        "\"",
        "\"\\",
        "\"\\u12\"",
        "\"\\ud800\"",
        "\"\\ud800\\u0041\"",
        "\"\\udc00\"",
        "\"\\u0000\"",
        "\"\\q\"",
        "\"\x01\"",
        "\"\xff\"",
        "\"\xe2\x82\"",
        "1 2",
        "[1]x",
        "nan",
        "\"\\u12",
        "'a'",
        "[1 2]",
    };
    for (size_t i = 0; i < LT_COUNT(bad); i++) {
        (void)parse(&arena, bad[i], LATHE_BAD_MODEL);
    }
    char deep[2001];
    memset(deep, '[', 2000);
    deep[2000] = '\0';
    (void)parse(&arena, deep, LATHE_BAD_MODEL);
    memset(deep, '[', 64);
    memset(deep + 64, ']', 64);
    deep[128] = '\0';
    (void)parse(&arena, deep, LATHE_OK);
    lt_arena_destroy(&arena);
}

static void test_round_trip(void **state)
{
    (void)state;
    lt_arena arena;
    lt_buf buf;
    lt_json json;
    lt_arena_init(&arena, NULL);
    lt_buf_init(&buf, NULL);
    for (int pretty = 0; pretty < 2; pretty++) {
        lt_buf_clear(&buf);
        lt_json_init(&json, &buf, pretty != 0);
        write_sample(&json);
        lt_json_value *v = parse(&arena, lt_buf_str(&buf), LATHE_OK);
        const lt_json_value *list = lt_json_member(v, "a\"\\\n\x01");
        assert_int_equal(list->count, 8);
        assert_true(list->items[2].number == 0.1);
    }
    lt_buf_free(&buf);
    lt_arena_destroy(&arena);
}

static void test_reader_without_memory(void **state)
{
    (void)state;
    static char text[20000];
    size_t n = (size_t)snprintf(text, sizeof text, "[");
    for (int i = 0; i < 300; i++) {
        n += (size_t)snprintf(text + n, sizeof text - n, "%s{\"key%d\": [\"value\", %d]}", i > 0 ? "," : "", i, i);
    }
    snprintf(text + n, sizeof text - n, "]");
    bool done = false;
    for (size_t k = 1; !done; k++) {
        counting_allocator a;
        counting_init(&a);
        a.fail_at = k;
        lt_arena arena;
        lt_arena_init(&arena, &a.api);
        lt_json_value *v;
        lathe_status status = lt_json_parse(&arena, text, strlen(text), &v, NULL);
        done = a.calls < k;
        assert_int_equal(status, done ? LATHE_OK : LATHE_OUT_OF_MEMORY);
        lt_arena_destroy(&arena);
        assert_int_equal(a.live, 0);
    }
}

static void *add_events(void *user)
{
    for (int i = 0; i < 200; i++) {
        lt_trace_event(user, "step", "con\"v", i % 3, 1000 * i, 1000 * i + 1500);
    }
    return NULL;
}

static void test_trace(void **state)
{
    (void)state;
    counting_allocator a;
    counting_init(&a);
    lt_trace *trace = lt_trace_create(NULL);
    assert_non_null(trace);
    lt_trace_event(NULL, "a", "b", 0, 0, 1);
    assert_int_equal(lt_trace_write(NULL, "/nowhere/x", NULL), LATHE_OK);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, add_events, trace), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    char path[] = "/tmp/lathe-trace-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(lt_trace_write(trace, path, NULL), LATHE_OK);
    lt_file file;
    assert_int_equal(lt_file_map(&file, path, NULL), LATHE_OK);
    lt_arena arena;
    lt_arena_init(&arena, &a.api);
    lt_json_value *v;
    assert_int_equal(lt_json_parse(&arena, (const char *)file.data, file.size, &v, NULL), LATHE_OK);
    const lt_json_value *events = lt_json_member(v, "traceEvents");
    assert_int_equal(events->count, 800);
    assert_string_equal(lt_json_member(&events->items[0], "name")->string, "con\"v");
    assert_true(lt_json_member(&events->items[0], "dur")->number == 1.5);
    assert_string_equal(lt_json_member(&events->items[0], "ph")->string, "X");
    lt_file_close(&file);
    lt_arena_destroy(&arena);
    unlink(path);
    assert_int_equal(lt_trace_write(trace, "/nowhere/x", NULL), LATHE_IO);
    lt_trace_destroy(trace);
    lt_trace_destroy(NULL);
    for (size_t n = 1; n < 8; n++) { /* events without memory are dropped, and nothing else */
        counting_init(&a);
        a.fail_at = n;
        trace = lt_trace_create(&a.api);
        for (int i = 0; trace != NULL && i < 20; i++) {
            lt_trace_event(trace, "c", "n", 0, 0, 1);
        }
        lt_trace_destroy(trace);
        assert_int_equal(a.live, 0);
        assert_int_equal(a.mistakes, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_writer),     cmocka_unit_test(test_writer_misuse),         cmocka_unit_test(test_reader),
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_reader_without_memory), cmocka_unit_test(test_trace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
