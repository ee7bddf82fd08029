/*
 * hash.c - the 64-bit hash of maps, blob names and keys. Part of base.
 *
 * Words are read as little-endian, so the value is the same on every machine. Changing anything here renames every
 * blob: tests hold vectors.
 */
#include "base/hash.h"

#include <string.h>

__extension__ typedef unsigned __int128 u128;

static const uint64_t K0 = 0x8f1e3c5a7b2d4961u, K1 = 0xd6e8feb86659fd93u, K2 = 0xa0761d6478bd642fu,
                      K3 = 0xe7037ed1a0b428dbu;

static uint64_t read64(const unsigned char *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    return v;
}

/* Up to 8 bytes, little-endian. */
static uint64_t read_tail(const unsigned char *p, size_t n)
{
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++) {
        v |= (uint64_t)p[i] << (8 * i);
    }
    return v;
}

/* Folds the 128-bit product: every input bit reaches every output bit. */
static uint64_t mix(uint64_t a, uint64_t b)
{
    u128 product = (u128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint64_t lt_hash64(const void *data, size_t size, uint64_t seed)
{
    const unsigned char *p = data;
    size_t left = size;
    uint64_t h = mix(seed ^ K0, K1);
    if (left >= 64) {
        uint64_t a = h, b = h ^ K1, c = h ^ K2, d = h ^ K3; /* four chains, for the sake of long weights */
        while (left >= 64) {
            a = mix(read64(p) ^ a, read64(p + 8) ^ K1);
            b = mix(read64(p + 16) ^ b, read64(p + 24) ^ K2);
            c = mix(read64(p + 32) ^ c, read64(p + 40) ^ K3);
            d = mix(read64(p + 48) ^ d, read64(p + 56) ^ K0);
            p += 64;
            left -= 64;
        }
        h = mix(a ^ K2, b ^ K3) ^ mix(c ^ K0, d ^ K1);
    }
    while (left >= 16) {
        h = mix(read64(p) ^ h, read64(p + 8) ^ K1);
        p += 16;
        left -= 16;
    }
    if (left > 8) {
        h = mix(read64(p) ^ h, read_tail(p + 8, left - 8) ^ K2);
    } else if (left > 0) {
        h = mix(read_tail(p, left) ^ h, K3);
    }
    return mix(h ^ (uint64_t)size, K1 ^ K2);
}
