/*
 * bignum_internal.h - natural numbers of bounded size for exact decimal conversion. Private to base.
 */
#ifndef LT_BIGNUM_INTERNAL_H
#define LT_BIGNUM_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 800 decimal digits times 2^1074 and a little room. */
enum { LT_BIG_WORDS = 144 };

typedef struct lt_big {
    uint32_t word[LT_BIG_WORDS]; /* least significant first */
    int count;                   /* words in use; the top one is not 0 */
} lt_big;

void lt_big_set(lt_big *a, uint64_t value);
void lt_big_mul_add(lt_big *a, uint32_t factor, uint32_t addend);
void lt_big_mul_pow10(lt_big *a, int power);
void lt_big_shift_left(lt_big *a, int bits);
void lt_big_halve(lt_big *a);
void lt_big_add(lt_big *a, const lt_big *b);
void lt_big_sub(lt_big *a, const lt_big *b); /* a >= b */
int lt_big_compare(const lt_big *a, const lt_big *b);
int lt_big_bits(const lt_big *a);

#endif
