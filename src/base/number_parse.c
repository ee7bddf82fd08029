/*
 * number_parse.c - text to numbers, strict and correctly rounded. Part of base; nothing here depends on the locale or
 * allocates.
 *
 * Short decimals take one exact multiplication or division; all others are divided exactly as big integers.
 */
#include <math.h>
#include <string.h>

#include "base/bignum_internal.h"
#include "base/text.h"

/* More digits than any halfway case between two doubles has; a nonzero rest only tells "a little more". */
enum { DIGITS_KEPT = 790 };

typedef struct decimal {
    char digit[DIGITS_KEPT + 1]; /* without leading zeros */
    int count;
    int64_t exponent; /* the value is digits * 10^exponent */
    bool negative;
} decimal;

typedef struct target {
    int precision; /* bits of the significand */
    int lowest;    /* exponent of the last bit of subnormals */
    int highest;   /* 2^highest overflows */
} target;

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static void add_digit(decimal *d, char c, bool after_point)
{
    if (d->count == 0 && c == '0') {
        d->exponent -= after_point;
    } else if (d->count < DIGITS_KEPT) {
        d->digit[d->count++] = c;
        d->exponent -= after_point;
    } else {
        if (c != '0') {
            d->digit[DIGITS_KEPT] = '1'; /* sticky */
        }
        d->exponent += !after_point;
    }
}

static bool scan_exponent(const char **p, const char *end, int64_t *out)
{
    bool negative = false;
    if (*p < end && (**p == '-' || **p == '+')) {
        negative = *(*p)++ == '-';
    }
    if (*p == end || !is_digit(**p)) {
        return false;
    }
    int64_t value = 0;
    for (; *p < end && is_digit(**p); (*p)++) {
        value = value < 100000000 ? value * 10 + (**p - '0') : value;
    }
    *out = negative ? -value : value;
    return true;
}

static bool scan_decimal(const char *p, const char *end, decimal *d)
{
    bool point = false, any = false;
    d->count = 0;
    d->exponent = 0;
    d->digit[DIGITS_KEPT] = '0';
    for (; p < end && (is_digit(*p) || (*p == '.' && !point)); p++) {
        if (*p == '.') {
            point = true;
        } else {
            any = true;
            add_digit(d, *p, point);
        }
    }
    int64_t exponent = 0;
    if (!any) {
        return false;
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        if (!scan_exponent(&p, end, &exponent)) {
            return false;
        }
    }
    d->exponent += exponent;
    if (d->count == DIGITS_KEPT && d->digit[DIGITS_KEPT] == '1') {
        d->count++;
        d->exponent--;
    }
    return p == end;
}

/* The significand of n / d rounded to nearest even, and the exponent of its last bit. */
static uint64_t divide(lt_big *n, lt_big *d, const target *t, int *exponent)
{
    int top = lt_big_bits(n) - lt_big_bits(d); /* n / d is in (2^(top-1), 2^(top+1)) */
    lt_big scaled = top >= 0 ? *d : *n;
    lt_big_shift_left(&scaled, top >= 0 ? top : -top);
    if ((top >= 0 ? lt_big_compare(n, &scaled) : lt_big_compare(&scaled, d)) < 0) {
        top--;
    }
    int last = top - t->precision + 1;
    last = last < t->lowest ? t->lowest : last;
    *exponent = last;
    if (top < last - 1) {
        return 0; /* below half of the smallest subnormal */
    }
    lt_big_shift_left(last < 0 ? n : d, last < 0 ? -last : last);
    lt_big_shift_left(d, t->precision);
    uint64_t quotient = 0;
    for (int i = t->precision; i >= 0; i--) {
        if (lt_big_compare(n, d) >= 0) {
            lt_big_sub(n, d);
            quotient |= (uint64_t)1 << i;
        }
        if (i > 0) {
            lt_big_halve(d);
        }
    }
    lt_big_shift_left(n, 1);
    int half = lt_big_compare(n, d);
    return quotient + (half > 0 || (half == 0 && (quotient & 1) != 0));
}

/* |value| as significand * 2^exponent; false for overflow to infinity. */
static bool round_exactly(const decimal *d, const target *t, uint64_t *significand, int *exponent)
{
    *significand = 0;
    *exponent = t->lowest;
    if (d->count == 0 || d->exponent + d->count < -400) {
        return true;
    }
    if (d->exponent + d->count > 400) {
        return false;
    }
    lt_big n, den;
    lt_big_set(&n, 0);
    lt_big_set(&den, 1);
    for (int i = 0; i < d->count; i++) {
        lt_big_mul_add(&n, 10, (uint32_t)(d->digit[i] - '0'));
    }
    lt_big_mul_pow10(d->exponent > 0 ? &n : &den, (int)(d->exponent > 0 ? d->exponent : -d->exponent));
    *significand = divide(&n, &den, t, exponent);
    int bits = *significand == 0 ? 0 : 64 - __builtin_clzll(*significand);
    return bits + *exponent <= t->highest;
}

/* The digits as one integer when it is exact in a double. */
static bool small_integer(const decimal *d, uint64_t limit, uint64_t *out)
{
    uint64_t value = 0;
    if (d->count > 18) {
        return false;
    }
    for (int i = 0; i < d->count; i++) {
        value = value * 10 + (uint64_t)(d->digit[i] - '0');
    }
    *out = value;
    return value <= limit;
}

/* The digits as one integer, when there are few enough for it. */
static bool whole_digits(const decimal *d, uint64_t *out)
{
    *out = 0;
    for (int i = 0; i < d->count && d->count <= 19; i++) {
        *out = *out * 10 + (uint64_t)(d->digit[i] - '0');
    }
    return d->count > 0 && d->count <= 19;
}

__extension__ typedef unsigned __int128 u128;

/* digits / 10^power, 0 < power <= 19, rounded to nearest even: what a shortest double with a fraction looks like. Far from subnormals. */
static double divide_short(uint64_t digits, int power)
{
    uint64_t divisor = 10;
    for (int i = 1; i < power; i++) {
        divisor *= 10;
    }
    int shift = 62 + __builtin_clzll(digits) - __builtin_clzll(divisor); /* gives the quotient 62 or 63 bits, or 64 when nothing is left to shift */
    shift = shift > 0 ? shift : 0;
    u128 dividend = (u128)digits << shift;
    uint64_t quotient = (uint64_t)(dividend / divisor);
    bool rest = dividend % divisor != 0;
    int drop = 64 - __builtin_clzll(quotient) - 53;
    uint64_t tail = quotient & (((uint64_t)1 << drop) - 1), half = (uint64_t)1 << (drop - 1);
    quotient >>= drop;
    quotient += tail > half || (tail == half && (rest || (quotient & 1) != 0));
    return ldexp((double)quotient, drop - shift);
}

/* inf, nan, nan(0x...) after the sign. bits: the pattern of a NaN with bits. */
static bool scan_special(const char *p, size_t length, uint64_t *bits, bool *infinite, bool *plain_nan)
{
    *infinite = length == 3 && memcmp(p, "inf", 3) == 0;
    *plain_nan = length == 3 && memcmp(p, "nan", 3) == 0;
    if (*infinite || *plain_nan) {
        return true;
    }
    return length > 7 && memcmp(p, "nan(0x", 6) == 0 && p[length - 1] == ')' && lt_parse_u64(p + 4, length - 5, bits);
}

bool lt_parse_f64(const char *text, size_t length, double *out)
{
    static const double powers[] = { 1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                     1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22 };
    if (length == 0) {
        return false;
    }
    const char *p = text, *end = text + length;
    decimal d = { .negative = false };
    if (p < end && (*p == '-' || *p == '+')) {
        d.negative = *p++ == '-';
    }
    uint64_t bits = 0, significand;
    int exponent;
    bool infinite, plain_nan;
    double value;
    if (scan_special(p, (size_t)(end - p), &bits, &infinite, &plain_nan)) {
        bool bad = !infinite && !plain_nan && ((bits & 0x7fffffffffffffffu) <= 0x7ff0000000000000u || p != text);
        bits = infinite ? 0x7ff0000000000000u : plain_nan ? 0x7ff8000000000000u : bits;
        bits |= (uint64_t)d.negative << 63;
        memcpy(out, &bits, sizeof bits);
        return !bad;
    }
    if (!scan_decimal(p, end, &d)) {
        return false;
    }
    if (small_integer(&d, (uint64_t)1 << 53, &significand) && d.exponent >= -22 && d.exponent <= 22) {
        value = d.exponent >= 0 ? (double)significand * powers[d.exponent] : (double)significand / powers[-d.exponent];
    } else if (d.exponent < 0 && d.exponent >= -19 && whole_digits(&d, &significand)) {
        value = divide_short(significand, (int)-d.exponent);
    } else {
        static const target f64 = { 53, -1074, 1024 };
        value =
            round_exactly(&d, &f64, &significand, &exponent) ? ldexp((double)significand, exponent) : (double)INFINITY;
    }
    *out = d.negative ? -value : value;
    return true;
}

bool lt_parse_f32(const char *text, size_t length, float *out)
{
    static const float powers[] = { 1e0f, 1e1f, 1e2f, 1e3f, 1e4f, 1e5f, 1e6f, 1e7f, 1e8f, 1e9f, 1e10f };
    if (length == 0) {
        return false;
    }
    const char *p = text, *end = text + length;
    decimal d = { .negative = false };
    if (p < end && (*p == '-' || *p == '+')) {
        d.negative = *p++ == '-';
    }
    uint64_t wide = 0, significand;
    int exponent;
    bool infinite, plain_nan;
    float value;
    if (scan_special(p, (size_t)(end - p), &wide, &infinite, &plain_nan)) {
        bool bad = !infinite && !plain_nan && (wide > UINT32_MAX || (wide & 0x7fffffffu) <= 0x7f800000u || p != text);
        uint32_t bits = infinite ? 0x7f800000u : plain_nan ? 0x7fc00000u : (uint32_t)wide;
        bits |= (uint32_t)d.negative << 31;
        memcpy(out, &bits, sizeof bits);
        return !bad;
    }
    if (!scan_decimal(p, end, &d)) {
        return false;
    }
    if (small_integer(&d, (uint64_t)1 << 24, &significand) && d.exponent >= -10 && d.exponent <= 10) {
        value = d.exponent >= 0 ? (float)significand * powers[d.exponent] : (float)significand / powers[-d.exponent];
    } else {
        static const target f32 = { 24, -149, 128 };
        value = round_exactly(&d, &f32, &significand, &exponent) ? ldexpf((float)significand, exponent) : INFINITY;
    }
    *out = d.negative ? -value : value;
    return true;
}

bool lt_parse_u64(const char *text, size_t length, uint64_t *out)
{
    uint64_t value = 0;
    bool hex = length > 2 && text[0] == '0' && text[1] == 'x';
    if (length == 0) {
        return false;
    }
    for (size_t i = hex ? 2 : 0; i < length; i++) {
        char c = text[i];
        int digit = is_digit(c)                   ? c - '0'
                    : hex && c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : hex && c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                  : -1;
        if (digit < 0 || __builtin_mul_overflow(value, hex ? 16u : 10u, &value) ||
            __builtin_add_overflow(value, (uint64_t)digit, &value)) {
            return false;
        }
    }
    *out = value;
    return true;
}

bool lt_parse_i64(const char *text, size_t length, int64_t *out)
{
    bool sign = length > 0 && (text[0] == '-' || text[0] == '+'), negative = sign && text[0] == '-';
    uint64_t magnitude;
    if (length <= sign || !is_digit(text[sign]) || (length > sign + (size_t)1 && text[sign + 1] == 'x') ||
        !lt_parse_u64(text + sign, length - sign, &magnitude) || magnitude > (uint64_t)INT64_MAX + negative) {
        return false;
    }
    *out = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return true;
}
