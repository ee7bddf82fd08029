/*
 * radix_order.c - see radix_order.h. Byte by byte, from the least to the most significant; bytes that are the same everywhere cost one look.
 */
#include "backend/cpu/radix_order.h"

uint64_t *lt_radix_order(uint64_t *keys, uint64_t *other, int64_t n)
{
    int64_t starts[4][256] = { { 0 } };
    for (int64_t i = 0; i < n; i++) {
        for (int b = 0; b < 4; b++) {
            starts[b][keys[i] >> (32 + 8 * b) & 0xff]++;
        }
    }
    for (int b = 0; b < 4; b++) {
        int shift = 32 + 8 * b;
        if (n == 0 || starts[b][keys[0] >> shift & 0xff] == n) {
            continue; /* all the same */
        }
        for (int64_t v = 0, at = 0; v < 256; v++) {
            int64_t count = starts[b][v];
            starts[b][v] = at;
            at += count;
        }
        for (int64_t i = 0; i < n; i++) {
            other[starts[b][keys[i] >> shift & 0xff]++] = keys[i];
        }
        uint64_t *swap = keys;
        keys = other;
        other = swap;
    }
    return keys;
}
