/*
 * number_format.c - floats to the shortest decimal text that reads back to the same bits. Part of base.
 *
 * Exact digit generation after Steele and White (1990): the interval of decimals that round to the value is kept as
 * big integers, and digits
 * are produced until the rest lies inside. No table, no locale, the same on every machine.
 */
#include <stdio.h>
#include <string.h>

#include "base/bignum_internal.h"
#include "base/text.h"

enum { DIGITS_MAX = 20 };

typedef struct decimal {
    char digit[DIGITS_MAX];
    int count;
    int point; /* the value is 0.d1d2d3... * 10^point */
} decimal;

/* value = numerator / denominator; up, down: half the distance to the neighbours, over the same denominator. */
typedef struct interval {
    lt_big numerator, denominator, up, down;
    bool closed; /* an even significand owns the ends of its interval */
} interval;

static bool reaches_top(const interval *v)
{
    lt_big sum = v->numerator;
    lt_big_add(&sum, &v->up);
    int order = lt_big_compare(&sum, &v->denominator);
    return order > 0 || (order == 0 && v->closed);
}

static void start(interval *v, uint64_t significand, int exponent, bool at_power, decimal *out)
{
    int spread = at_power ? 2 : 1; /* below a power of two the neighbour is half as far away */
    lt_big_set(&v->numerator, significand);
    lt_big_set(&v->denominator, 1);
    lt_big_set(&v->up, 1);
    lt_big_set(&v->down, 1);
    lt_big_shift_left(&v->numerator, (exponent > 0 ? exponent : 0) + spread);
    lt_big_shift_left(&v->denominator, (exponent < 0 ? -exponent : 0) + spread);
    lt_big_shift_left(&v->up, (exponent > 0 ? exponent : 0) + spread - 1);
    lt_big_shift_left(&v->down, exponent > 0 ? exponent : 0);
    v->closed = (significand & 1) == 0;
    int top_bit = exponent + 63 - __builtin_clzll(significand);
    int point = top_bit * 30103 / 100000 - (top_bit < 0 ? 1 : 0); /* floor(log10), never too high; corrected below */
    if (point > 0) {
        lt_big_mul_pow10(&v->denominator, point);
    } else {
        lt_big_mul_pow10(&v->numerator, -point);
        lt_big_mul_pow10(&v->up, -point);
        lt_big_mul_pow10(&v->down, -point);
    }
    while (reaches_top(v)) {
        lt_big_mul_add(&v->denominator, 10, 0);
        point++;
    }
    out->point = point;
}

static void generate(interval *v, decimal *out)
{
    bool low = false, high = false;
    int digit = 0;
    out->count = 0;
    while (!low && !high) {
        lt_big_mul_add(&v->numerator, 10, 0);
        lt_big_mul_add(&v->up, 10, 0);
        lt_big_mul_add(&v->down, 10, 0);
        for (digit = 0; lt_big_compare(&v->numerator, &v->denominator) >= 0; digit++) {
            lt_big_sub(&v->numerator, &v->denominator);
        }
        int order = lt_big_compare(&v->numerator, &v->down);
        low = order < 0 || (order == 0 && v->closed);
        high = reaches_top(v);
        if (!low && !high) {
            out->digit[out->count++] = (char)('0' + digit);
        }
    }
    lt_big twice = v->numerator;
    lt_big_shift_left(&twice, 1);
    int half = lt_big_compare(&twice, &v->denominator);
    bool round_up = high && (!low || half > 0 || (half == 0 && (digit & 1) != 0));
    out->digit[out->count++] =
        (char)('0' + digit + round_up); /* never 10: the interval would have ended a digit earlier */
}

static void shortest(uint64_t significand, int exponent, bool at_power, decimal *out)
{
    interval v;
    start(&v, significand, exponent, at_power, out);
    generate(&v, out);
}

/* Python's spelling: plain from 1e-4 up to 1e16, else d.ddde-XX. */
static void layout(const decimal *d, bool negative, char *out)
{
    char *p = out;
    if (negative) {
        *p++ = '-';
    }
    if (d->point > -4 && d->point <= 16) {
        int whole = d->point > 0 ? d->point : 0;
        if (whole == 0) {
            *p++ = '0';
        }
        for (int i = 0; i < whole; i++) {
            *p++ = i < d->count ? d->digit[i] : '0';
        }
        *p++ = '.';
        for (int i = d->point; i < 0; i++) {
            *p++ = '0';
        }
        for (int i = whole; i < d->count; i++) {
            *p++ = d->digit[i];
        }
        if (whole >= d->count) {
            *p++ = '0';
        }
        *p = '\0';
        return;
    }
    *p++ = d->digit[0];
    if (d->count > 1) {
        *p++ = '.';
        memcpy(p, d->digit + 1, (size_t)d->count - 1);
        p += d->count - 1;
    }
    int exponent = d->point - 1;
    snprintf(p, (size_t)(out + LT_FMT_MAX - p), "e%c%02d", exponent < 0 ? '-' : '+',
             exponent < 0 ? -exponent : exponent);
}

static void special(bool negative, const char *text, char *out)
{
    snprintf(out, LT_FMT_MAX, "%s%s", negative ? "-" : "", text);
}

void lt_fmt_f32(float value, char *out)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    bool negative = bits >> 31 != 0;
    int exponent = (int)(bits >> 23 & 0xff);
    uint32_t fraction = bits & 0x7fffff;
    if (exponent == 0xff && fraction != 0) {
        snprintf(out, LT_FMT_MAX, bits == 0x7fc00000u ? "nan" : "nan(0x%08x)", (unsigned)bits);
    } else if (exponent == 0xff) {
        special(negative, "inf", out);
    } else if (exponent == 0 && fraction == 0) {
        special(negative, "0.0", out);
    } else {
        decimal d;
        bool normal = exponent != 0;
        shortest(normal ? fraction | 0x800000u : fraction, (normal ? exponent : 1) - 150, exponent > 1 && fraction == 0,
                 &d);
        layout(&d, negative, out);
    }
}

void lt_fmt_f64(double value, char *out)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    bool negative = bits >> 63 != 0;
    int exponent = (int)(bits >> 52 & 0x7ff);
    uint64_t fraction = bits & 0xfffffffffffffu;
    if (exponent == 0x7ff && fraction != 0) {
        snprintf(out, LT_FMT_MAX, bits == 0x7ff8000000000000u ? "nan" : "nan(0x%016llx)", (unsigned long long)bits);
    } else if (exponent == 0x7ff) {
        special(negative, "inf", out);
    } else if (exponent == 0 && fraction == 0) {
        special(negative, "0.0", out);
    } else {
        decimal d;
        bool normal = exponent != 0;
        shortest(normal ? fraction | 0x10000000000000u : fraction, (normal ? exponent : 1) - 1075,
                 exponent > 1 && fraction == 0, &d);
        layout(&d, negative, out);
    }
}

void lt_fmt_us(double ns, char *out)
{
    if (!(ns >= 0 && ns < 1e17)) {
        lt_fmt_f64(ns / 1000, out);
        memcpy(out + strlen(out), " us", 4);
        return;
    }
    long long tenths = (long long)(ns / 100 + 0.5);
    snprintf(out, LT_FMT_MAX, "%lld.%lld us", tenths / 10, tenths % 10);
}
