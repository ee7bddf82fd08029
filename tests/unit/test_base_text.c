/*
 * test_base_text.c - the string builder, quoting, globs, edit distance, integers as text.
 */
#include "base/base.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/counting_allocator.h"

static void test_buf(void **state)
{
    (void)state;
    counting_allocator a;
    counting_init(&a);
    lt_buf buf;
    lt_buf_init(&buf, &a.api);
    assert_string_equal(lt_buf_str(&buf), "");
    lt_buf_puts(&buf, "abc");
    lt_buf_putc(&buf, '-');
    lt_buf_printf(&buf, "%d %s", 42, "x");
    assert_string_equal(lt_buf_str(&buf), "abc-42 x");
    char big[700];
    memset(big, 'y', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    lt_buf_clear(&buf);
    assert_string_equal(lt_buf_str(&buf), "");
    lt_buf_printf(&buf, "<%s>", big);
    assert_int_equal(buf.length, 701);
    assert_int_equal(buf.data[700], '>');
    assert_int_equal(buf.data[701], '\0');
    lt_buf_clear(&buf);
    lt_buf_put_f32(&buf, 0.1f);
    lt_buf_putc(&buf, ' ');
    lt_buf_put_f64(&buf, 0.1);
    assert_string_equal(lt_buf_str(&buf), "0.1 0.1");
    lt_buf_clear(&buf);
    lt_buf_put_us(&buf, 12345);
    lt_buf_putc(&buf, ' ');
    lt_buf_put_us(&buf, 99960);
    lt_buf_putc(&buf, ' ');
    lt_buf_put_us(&buf, 2e30); /* no integer holds it */
    assert_string_equal(lt_buf_str(&buf), "12.3 us 100.0 us 2e+27 us");
    lt_buf_free(&buf);
    assert_int_equal(a.live, 0);
    assert_int_equal(a.mistakes, 0);
}

static void test_buf_without_memory(void **state)
{
    (void)state;
    for (size_t n = 1; n < 8; n++) {
        counting_allocator a;
        counting_init(&a);
        a.fail_at = n;
        lt_buf buf;
        lt_buf_init(&buf, &a.api);
        for (int i = 0; i < 600; i++) {
            lt_buf_printf(&buf, "%d,", i);
        }
        assert_true(buf.failed || a.calls < n);
        (void)lt_buf_str(&buf);
        lt_buf_free(&buf);
        assert_int_equal(a.live, 0);
    }
}

static void expect_name(const char *name, const char *expected)
{
    lt_buf buf;
    lt_buf_init(&buf, NULL);
    lt_buf_put_name(&buf, name);
    assert_string_equal(lt_buf_str(&buf), expected);
    lt_buf_free(&buf);
}

static void test_names(void **state)
{
    (void)state;
    expect_name("conv1", "conv1");
    expect_name("/model/layer.0:0$x-y", "/model/layer.0:0$x-y");
    expect_name("_x", "_x");
    expect_name("1x", "\"1x\"");
    expect_name("", "\"\"");
    expect_name("a b", "\"a b\"");
    expect_name("a\"b\\c", "\"a\\\"b\\\\c\"");
    expect_name("\x01\x7f\xc3\xa9\n", "\"\\x01\\x7f\\xc3\\xa9\\x0a\"");
    assert_false(lt_is_identifier(NULL));
    assert_false(lt_is_identifier("-x"));
    assert_false(lt_is_identifier("x y"));
    lt_buf buf;
    lt_buf_init(&buf, NULL);
    lt_buf_put_quoted(&buf, "a\0b", 3);
    assert_string_equal(lt_buf_str(&buf), "\"a\\x00b\"");
    lt_buf_free(&buf);
}

static void test_small_helpers(void **state)
{
    (void)state;
    assert_true(lt_streq(NULL, NULL));
    assert_false(lt_streq(NULL, ""));
    assert_true(lt_streq("a", "a"));
    static const struct {
        const char *pattern, *text;
        bool match;
    } globs[] = {
        { "", "", true },
        { "*", "", true },
        { "?", "", false },
        { "a*c", "abbc", true },
        { "a*c", "abcb", false },
        { "a*b*c", "aXbYbZc", true },
        { "*.rowwise.*", "softmax.rowwise.8", true },
        { "a?c", "abc", true },
        { "a?c", "ac", false },
        { "**a", "bba", true },
        { "conv*", "conv", true },
        { "conv", "conv1", false },
        { "*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaa", false },
    };
    for (size_t i = 0; i < LT_COUNT(globs); i++) {
        assert_int_equal(lt_glob(globs[i].pattern, globs[i].text), globs[i].match);
    }
    assert_int_equal(lt_edit_distance("", ""), 0);
    assert_int_equal(lt_edit_distance("", "abc"), 3);
    assert_int_equal(lt_edit_distance("abc", ""), 3);
    assert_int_equal(lt_edit_distance("kitten", "sitting"), 3);
    assert_int_equal(lt_edit_distance("flaw", "lawn"), 2);
    assert_int_equal(lt_edit_distance("abcdefgh", "stuvwxyz"), 8);
    assert_int_equal(lt_edit_distance("x", "xxxxxxxxxxxxxxxxxxxxxxx"), 8);
    assert_int_equal(lt_edit_distance("Convolution", "Convolutions"), 1);
}

/* The whole table, without the band. */
static int slow_distance(const char *a, const char *b)
{
    int t[20][20];
    int la = (int)strlen(a), lb = (int)strlen(b);
    for (int i = 0; i <= la; i++) {
        for (int j = 0; j <= lb; j++) {
            int best = i == 0 ? j : j == 0 ? i : t[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            if (i > 0 && j > 0) {
                best = t[i - 1][j] + 1 < best ? t[i - 1][j] + 1 : best;
                best = t[i][j - 1] + 1 < best ? t[i][j - 1] + 1 : best;
            }
            t[i][j] = best;
        }
    }
    return t[la][lb] < 8 ? t[la][lb] : 8;
}

static void test_edit_distance(void **state)
{
    (void)state;
    for (uint64_t n = 0; n < 3000; n++) {
        char a[20], b[20];
        uint32_t r[4], q[4];
        lt_philox(1, 0, n, r);
        lt_philox(1, 1, n, q);
        size_t la = r[0] % 16, lb = r[1] % 16;
        for (size_t i = 0; i < 16; i++) {
            a[i] = (char)('a' + (r[2] >> (2 * i) & 3));
            b[i] = (char)('a' + ((n % 2 == 0 ? q[0] : r[2] ^ (q[1] & q[2])) >> (2 * i) & 3));
        }
        a[la] = b[lb] = '\0';
        assert_int_equal(lt_edit_distance(a, b), slow_distance(a, b));
    }
}

static void test_integers(void **state)
{
    (void)state;
    int64_t i;
    uint64_t u;
    assert_true(lt_parse_i64("-9223372036854775808", 20, &i) && i == INT64_MIN);
    assert_true(lt_parse_i64("9223372036854775807", 19, &i) && i == INT64_MAX);
    assert_true(lt_parse_i64("+12", 3, &i) && i == 12);
    assert_true(lt_parse_i64("007", 3, &i) && i == 7);
    static const char *const bad[] = {
        "", "-", "+", "9223372036854775808", "-9223372036854775809", "1 ", " 1", "1.0", "0x10", "--1", "1a", "-+1"
    };
    for (size_t k = 0; k < LT_COUNT(bad); k++) {
        assert_false(lt_parse_i64(bad[k], strlen(bad[k]), &i));
    }
    assert_true(lt_parse_u64("18446744073709551615", 20, &u) && u == UINT64_MAX);
    assert_true(lt_parse_u64("0xfFffffffffffffff", 18, &u) && u == UINT64_MAX);
    assert_true(lt_parse_u64("0", 1, &u) && u == 0);
    static const char *const bad_u[] = { "",   "0x",  "18446744073709551616", "0x10000000000000000", "-1",
                                         "+1", "0xg", "99999999999999999999" };
    for (size_t k = 0; k < LT_COUNT(bad_u); k++) {
        assert_false(lt_parse_u64(bad_u[k], strlen(bad_u[k]), &u));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buf),           cmocka_unit_test(test_buf_without_memory),
        cmocka_unit_test(test_names),         cmocka_unit_test(test_small_helpers),
        cmocka_unit_test(test_edit_distance), cmocka_unit_test(test_integers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
