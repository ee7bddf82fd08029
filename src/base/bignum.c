/*
 * bignum.c - natural numbers of bounded size. Private to base: only number_format.c and number_parse.c use it, and
 * they keep sizes in bounds.
 */
#include <string.h>

#include "base/bignum_internal.h"
#include "base/diag.h"

void lt_big_set(lt_big *a, uint64_t value)
{
    a->word[0] = (uint32_t)value;
    a->word[1] = (uint32_t)(value >> 32);
    a->count = a->word[1] != 0 ? 2 : a->word[0] != 0 ? 1 : 0;
}

static void push(lt_big *a, uint32_t word)
{
    LT_ASSERT(a->count < LT_BIG_WORDS);
    if (a->count < LT_BIG_WORDS) {
        a->word[a->count++] = word;
    }
}

void lt_big_mul_add(lt_big *a, uint32_t factor, uint32_t addend)
{
    uint64_t carry = addend;
    for (int i = 0; i < a->count; i++) {
        carry += (uint64_t)a->word[i] * factor;
        a->word[i] = (uint32_t)carry;
        carry >>= 32;
    }
    if (carry != 0) {
        push(a, (uint32_t)carry);
    }
}

void lt_big_mul_pow10(lt_big *a, int power)
{
    for (; power >= 9; power -= 9) {
        lt_big_mul_add(a, 1000000000u, 0);
    }
    for (; power > 0; power--) {
        lt_big_mul_add(a, 10, 0);
    }
}

void lt_big_shift_left(lt_big *a, int bits)
{
    int words = bits / 32, rest = bits % 32;
    if (a->count == 0 || bits == 0) {
        return;
    }
    if (rest != 0) {
        lt_big_mul_add(a, (uint32_t)1 << rest, 0);
    }
    LT_ASSERT(a->count + words <= LT_BIG_WORDS);
    if (words > 0 && a->count + words <= LT_BIG_WORDS) {
        memmove(a->word + words, a->word, (size_t)a->count * sizeof a->word[0]);
        memset(a->word, 0, (size_t)words * sizeof a->word[0]);
        a->count += words;
    }
}

static void trim(lt_big *a)
{
    while (a->count > 0 && a->word[a->count - 1] == 0) {
        a->count--;
    }
}

void lt_big_halve(lt_big *a)
{
    for (int i = 0; i < a->count; i++) {
        uint32_t above = i + 1 < a->count ? a->word[i + 1] : 0;
        a->word[i] = a->word[i] >> 1 | above << 31;
    }
    trim(a);
}

void lt_big_add(lt_big *a, const lt_big *b)
{
    uint64_t carry = 0;
    for (int i = 0; i < b->count || (carry != 0 && i < a->count); i++) {
        if (i == a->count) {
            push(a, 0);
        }
        carry += (uint64_t)a->word[i] + (i < b->count ? b->word[i] : 0);
        a->word[i] = (uint32_t)carry;
        carry >>= 32;
    }
    if (carry != 0) {
        push(a, (uint32_t)carry);
    }
}

void lt_big_sub(lt_big *a, const lt_big *b)
{
    uint32_t borrow = 0;
    for (int i = 0; i < a->count; i++) {
        uint64_t take = (uint64_t)(i < b->count ? b->word[i] : 0) + borrow;
        borrow = a->word[i] < take;
        a->word[i] = (uint32_t)(a->word[i] - take);
    }
    trim(a);
}

int lt_big_compare(const lt_big *a, const lt_big *b)
{
    if (a->count != b->count) {
        return a->count < b->count ? -1 : 1;
    }
    for (int i = a->count - 1; i >= 0; i--) {
        if (a->word[i] != b->word[i]) {
            return a->word[i] < b->word[i] ? -1 : 1;
        }
    }
    return 0;
}

int lt_big_bits(const lt_big *a)
{
    return a->count == 0 ? 0 : 32 * a->count - __builtin_clz(a->word[a->count - 1]);
}
