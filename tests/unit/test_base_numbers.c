/*
 * test_base_numbers.c - floats to and from text: shortest, exact, without locale. glibc's correctly rounded strtod,
 * strtof and printf in the
 * C locale serve as the second opinion.
 */
#include "base/base.h"

#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint64_t bits64(double x)
{
    uint64_t b;
    memcpy(&b, &x, sizeof b);
    return b;
}

static uint32_t bits32(float x)
{
    uint32_t b;
    memcpy(&b, &x, sizeof b);
    return b;
}

static double from64(uint64_t b)
{
    double x;
    memcpy(&x, &b, sizeof x);
    return x;
}

static float from32(uint32_t b)
{
    float x;
    memcpy(&x, &b, sizeof x);
    return x;
}

static int significant_digits(const char *text)
{
    int count = 0, zeros = 0;
    for (const char *p = text; *p != '\0' && *p != 'e'; p++) {
        if (*p >= '0' && *p <= '9') {
            zeros = *p == '0' && count > 0 ? zeros + 1 : 0;
            count += *p != '0' || count > 0;
        }
    }
    return count - zeros;
}

/* The least precision at which printf's digits read back to the same number. */
static int shortest_f64(double x)
{
    char text[64];
    for (int digits = 1; digits < 17; digits++) {
        snprintf(text, sizeof text, "%.*e", digits - 1, x);
        if (bits64(strtod(text, NULL)) == bits64(x)) {
            return significant_digits(text);
        }
    }
    return 17;
}

static int shortest_f32(float x)
{
    char text[64];
    for (int digits = 1; digits < 9; digits++) {
        snprintf(text, sizeof text, "%.*e", digits - 1, (double)x);
        if (bits32(strtof(text, NULL)) == bits32(x)) {
            return significant_digits(text);
        }
    }
    return 9;
}

static void check_f64(double x)
{
    char text[LT_FMT_MAX];
    double back;
    lt_fmt_f64(x, text);
    assert_true(strlen(text) < LT_FMT_MAX);
    assert_true(lt_parse_f64(text, strlen(text), &back));
    if (bits64(back) != bits64(x)) {
        fail_msg("%.17g prints as %s", x, text);
    }
    if (isfinite(x)) {
        assert_true(bits64(strtod(text, NULL)) == bits64(x));
        assert_true(strpbrk(text, ".e") != NULL);
        if (x != 0 && significant_digits(text) > shortest_f64(x)) {
            fail_msg("%s is not the shortest for %.17g", text, x);
        }
    }
}

static void check_f32(float x)
{
    char text[LT_FMT_MAX];
    float back;
    lt_fmt_f32(x, text);
    assert_true(lt_parse_f32(text, strlen(text), &back));
    if (bits32(back) != bits32(x)) {
        fail_msg("%.9g prints as %s", (double)x, text);
    }
    if (isfinite(x)) {
        assert_true(bits32(strtof(text, NULL)) == bits32(x));
        if (x != 0 && significant_digits(text) > shortest_f32(x)) {
            fail_msg("%s is not the shortest for %.9g", text, (double)x);
        }
    }
}

static void test_spellings(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *text;
    } rows[] = {
        { 1, "1.0" },
        { -0.0, "-0.0" },
        { 0, "0.0" },
        { 1e-5, "1e-05" },
        { 0.0001, "0.0001" },
        { 1e16, "1e+16" },
        { 1e15, "1000000000000000.0" },
        { 123.456, "123.456" },
        { -1.5e300, "-1.5e+300" },
        { 5e-324, "5e-324" },
        { 1.7976931348623157e308, "1.7976931348623157e+308" },
        { INFINITY, "inf" },
        { -INFINITY, "-inf" },
        { 0.1, "0.1" },
        { 1.0 / 3, "0.3333333333333333" },
        { 9007199254740993.0, "9007199254740992.0" },
        { 2.2250738585072014e-308, "2.2250738585072014e-308" },
        { 1e22, "1e+22" },
        { 1e23, "1e+23" },
        { 9.5, "9.5" },
        { 0.001, "0.001" },
    };
    char text[LT_FMT_MAX];
    for (size_t i = 0; i < LT_COUNT(rows); i++) {
        lt_fmt_f64(rows[i].value, text);
        assert_string_equal(text, rows[i].text);
    }
    lt_fmt_f32(0.1f, text);
    assert_string_equal(text, "0.1");
    lt_fmt_f32(16777216.0f, text);
    assert_string_equal(text, "16777216.0");
    lt_fmt_f32(3.4028235e38f, text);
    assert_string_equal(text, "3.4028235e+38");
    lt_fmt_f32(1e-45f, text);
    assert_string_equal(text, "1e-45");
    lt_fmt_f32(from32(0x7fc00000), text);
    assert_string_equal(text, "nan");
    lt_fmt_f32(from32(0x7fc00001), text);
    assert_string_equal(text, "nan(0x7fc00001)");
    lt_fmt_f32(from32(0xffc00000), text);
    assert_string_equal(text, "nan(0xffc00000)");
    lt_fmt_f64(from64(0xfff8000000000000u), text);
    assert_string_equal(text, "nan(0xfff8000000000000)");
}

static void test_nan_bits(void **state)
{
    (void)state;
    static const uint32_t nans[] = { 0x7fc00000, 0xffc00000, 0x7fc00001, 0x7fffffff, 0xff800001 };
    char text[LT_FMT_MAX];
    for (size_t i = 0; i < LT_COUNT(nans); i++) {
        float x, back;
        memcpy(&x, &nans[i], sizeof x);
        lt_fmt_f32(x, text);
        assert_true(lt_parse_f32(text, strlen(text), &back));
        assert_int_equal(bits32(back), nans[i]);
    }
    double d;
    assert_true(lt_parse_f64("-nan", 4, &d) && bits64(d) == 0xfff8000000000000u);
    assert_true(lt_parse_f64("nan(0x7ff8000000000123)", 23, &d) && bits64(d) == 0x7ff8000000000123u);
    assert_false(lt_parse_f64("nan(0x7ff0000000000000)", 23, &d)); /* an infinity */
    assert_false(lt_parse_f64("nan(0x1)", 8, &d));
    assert_false(lt_parse_f64("nan()", 5, &d));
    assert_false(lt_parse_f64("nan(1)", 6, &d));
    float f;
    assert_false(lt_parse_f32("nan(0x17fc00001)", 16, &f));
    assert_false(lt_parse_f32("-nan(0x7fc00001)", 16, &f));
}

static void test_random_f64(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 3000; i++) {
        uint32_t r[4];
        lt_philox(11, 0, i, r);
        uint64_t b = (uint64_t)r[0] << 32 | r[1];
        check_f64(from64((b & 0x7ff0000000000000u) == 0x7ff0000000000000u ? b & 0x3fffffffffffffffu : b));
        check_f64(from64(b & 0x800fffffffffffffu));           /* subnormal */
        check_f64((double)(int32_t)r[2] / 1000.0);            /* short decimals */
        check_f64(from64((uint64_t)(r[3] % 2046 + 1) << 52)); /* powers of two */
    }
}

static void test_random_f32(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 6000; i++) {
        uint32_t r[4];
        lt_philox(12, 0, i, r);
        check_f32(from32((r[0] & 0x7f800000u) == 0x7f800000u ? r[0] & 0x3fffffffu : r[0]));
        check_f32(from32(r[1] & 0x807fffffu));
        check_f32((float)(int32_t)r[2] / 1000.0f);
    }
    for (uint32_t e = 1; e < 255; e++) {
        check_f32(from32(e << 23));
        check_f32(from32((e << 23) - 1));
        check_f32(from32((e << 23) + 1));
    }
}

static void compare_parse(const char *text)
{
    double d = 0;
    float f = 0;
    size_t length = strlen(text);
    assert_true(lt_parse_f64(text, length, &d));
    assert_true(lt_parse_f32(text, length, &f));
    if (bits64(d) != bits64(strtod(text, NULL)) || bits32(f) != bits32(strtof(text, NULL))) {
        fail_msg("%s is read as %.17g and %.9g", text, d, (double)f);
    }
}

static void test_parse_hard(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "0",
        "-0",
        "1",
        "+1.5",
        ".5",
        "5.",
        "1e5",
        "1E-5",
        "123456789012345678901234567890",
        "9007199254740993",
        "9007199254740992.99999",
        "9007199254740993.0000000000000000000000000000000000000001",
        "2.2250738585072011e-308",
        "2.2250738585072012e-308",
        "4.9e-324",
        "2.4703282292062327e-324",
        "2.4703282292062328e-324",
        "2.47032822920623272088e-324",
        "1.7976931348623158e308",
        "1.7976931348623159e308",
        "1e309",
        "1e-400",
        "1e999999999999",
        "1e-999999999999",
        "0e999999999999",
        "16777217",
        "16777217.0000001",
        "3.4028235677973366e38",
        "3.40282356779733661637539395458e38",
        "7.006492321624085e-46",
        "7.0064923216240854e-46",
        "1.17549435e-38",
        "0.000000000000000000000000000000000000000000000000001e51",
        "8.5e-46",
        "100000000000000016777215",
        "100000000000000016777216",
        "1e23",
        "6.02214076e23",
    };
    for (size_t i = 0; i < LT_COUNT(rows); i++) {
        compare_parse(rows[i]);
    }
    static const char *const bad[] = { "",   "-",  ".",        "e5",  "1e",  "1e+", "1.2.3", "1 ",   " 1",  "0x10",
                                       "1f", "in", "infinity", "NaN", "+-1", "1,5", "--1",   "nan(", "-.e1" };
    double d;
    float f;
    for (size_t i = 0; i < LT_COUNT(bad); i++) {
        assert_false(lt_parse_f64(bad[i], strlen(bad[i]), &d));
        assert_false(lt_parse_f32(bad[i], strlen(bad[i]), &f));
    }
}

/* Exactly between two doubles, and a little beside, with up to 1,100 digits. */
static void test_parse_halfway(void **state)
{
    (void)state;
    static char text[2000];
    for (uint64_t i = 0; i < 300; i++) {
        uint32_t r[4];
        lt_philox(13, 0, i, r);
        int exponent = i % 3 == 0 ? -1074 : (int)(r[2] % 600) - 300;
        uint64_t significand = ((uint64_t)r[0] << 20 | r[1] >> 12) | (i % 3 == 0 ? 0 : (uint64_t)1 << 52);
        long double middle = ldexpl((long double)significand + 0.5L, exponent);
        int n = snprintf(text, 1200, "%.*Lf", exponent < 0 ? 1 - exponent : 0, middle);
        assert_true(n > 0 && n < 1200);
        compare_parse(text);
        if (exponent < 0) {
            memcpy(text + n, "000000000000001", 16);
            compare_parse(text);
            text[n] = '\0';
            text[n - 1]--; /* the last digit is 5 */
            compare_parse(text);
        }
    }
    memset(text, '9', 1500);
    memcpy(text + 1500, "e-1500", 7);
    compare_parse(text);
    memset(text, '0', 1500);
    memcpy(text + 1, ".", 1);
    memcpy(text + 1500, "1e1490", 7);
    compare_parse(text);
}

static void test_parse_random(void **state)
{
    (void)state;
    char text[64];
    for (uint64_t i = 0; i < 20000; i++) {
        uint32_t r[4];
        lt_philox(14, 0, i, r);
        snprintf(text, sizeof text, "%s%u%.*u%se%d", r[0] & 1 ? "-" : "", r[1], (int)(r[0] >> 1 & 7), r[2] % 100000,
                 r[0] >> 8 & 1 ? ".5" : "", (int)(r[3] % 700) - 350);
        compare_parse(text);
    }
}

static void test_locale_does_not_matter(void **state)
{
    (void)state;
    if (setlocale(LC_ALL, "de_DE.UTF-8") == NULL && setlocale(LC_ALL, "fr_FR.UTF-8") == NULL) {
        skip();
    }
    char text[LT_FMT_MAX];
    double d;
    lt_fmt_f64(1.5, text);
    assert_string_equal(text, "1.5");
    assert_true(lt_parse_f64("1.5", 3, &d) && d == 1.5);
    setlocale(LC_ALL, "C");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spellings),    cmocka_unit_test(test_nan_bits),
        cmocka_unit_test(test_random_f64),   cmocka_unit_test(test_random_f32),
        cmocka_unit_test(test_parse_hard),   cmocka_unit_test(test_parse_halfway),
        cmocka_unit_test(test_parse_random), cmocka_unit_test(test_locale_does_not_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
