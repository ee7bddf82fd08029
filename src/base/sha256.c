/*
 * sha256.c - SHA-256 as in FIPS 180-4, in C or by the instructions of newer processors. Part of base; the engine file's checksums stand on it.
 */
#include <stdbool.h>
#include <string.h>

#include "base/hash.h"

static const uint32_t round_constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t rotate(uint32_t x, int n)
{
    return (x >> n) | (x << (32 - n));
}

static void compress(uint32_t state[8], const unsigned char *block)
{
    uint32_t w[64], v[8];
    for (int i = 0; i < 16; i++) {
        w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 | (uint32_t)block[4 * i + 2] << 8 |
               block[4 * i + 3];
    }
    for (int i = 16; i < 64; i++) {
        uint32_t s0 = rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ (w[i - 15] >> 3);
        uint32_t s1 = rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ (w[i - 2] >> 10);
        w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    memcpy(v, state, sizeof v);
    for (int i = 0; i < 64; i++) {
        uint32_t s1 = rotate(v[4], 6) ^ rotate(v[4], 11) ^ rotate(v[4], 25);
        uint32_t choose = (v[4] & v[5]) ^ (~v[4] & v[6]);
        uint32_t t1 = v[7] + s1 + choose + round_constants[i] + w[i];
        uint32_t s0 = rotate(v[0], 2) ^ rotate(v[0], 13) ^ rotate(v[0], 22);
        uint32_t majority = (v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]);
        v[7] = v[6];
        v[6] = v[5];
        v[5] = v[4];
        v[4] = v[3] + t1;
        v[3] = v[2];
        v[2] = v[1];
        v[1] = v[0];
        v[0] = t1 + s0 + majority;
    }
    for (int i = 0; i < 8; i++) {
        state[i] += v[i];
    }
}

static void compress_all(uint32_t state[8], const unsigned char *blocks, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        compress(state, blocks + 64 * i);
    }
}

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>

/* The instructions keep the state as ABEF and CDGH, high word first. */
__attribute__((target("sha,sse4.1"))) static void compress_by_instruction(uint32_t state[8],
                                                                          const unsigned char *blocks, size_t count)
{
    const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0bLL, 0x0405060700010203LL);
    __m128i badc = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(const void *)state), 0xb1);
    __m128i efgh = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(const void *)(state + 4)), 0x1b);
    __m128i abef = _mm_alignr_epi8(badc, efgh, 8), cdgh = _mm_blend_epi16(efgh, badc, 0xf0);
    for (; count > 0; count--, blocks += 64) {
        __m128i w[16], abef_before = abef, cdgh_before = cdgh;
        for (int i = 0; i < 16; i++) {
            if (i < 4) {
                w[i] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(const void *)(blocks + 16 * i)), swap);
            } else {
                __m128i sum =
                    _mm_add_epi32(_mm_sha256msg1_epu32(w[i - 4], w[i - 3]), _mm_alignr_epi8(w[i - 1], w[i - 2], 4));
                w[i] = _mm_sha256msg2_epu32(sum, w[i - 1]);
            }
            __m128i k = _mm_loadu_si128((const __m128i *)(const void *)(round_constants + 4 * i));
            __m128i wk = _mm_add_epi32(w[i], k);
            cdgh = _mm_sha256rnds2_epu32(cdgh, abef, wk);
            abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(wk, 0x0e));
        }
        abef = _mm_add_epi32(abef, abef_before);
        cdgh = _mm_add_epi32(cdgh, cdgh_before);
    }
    __m128i feba = _mm_shuffle_epi32(abef, 0x1b), dchg = _mm_shuffle_epi32(cdgh, 0xb1);
    _mm_storeu_si128((__m128i *)(void *)state, _mm_blend_epi16(feba, dchg, 0xf0));
    _mm_storeu_si128((__m128i *)(void *)(state + 4), _mm_alignr_epi8(dchg, feba, 8));
}

static bool has_instruction(void)
{
    uint32_t a, b, c, d, c1, rest;
    return __get_cpuid(1, &a, &rest, &c1, &d) && (c1 >> 19 & 1) != 0 && __get_cpuid_count(7, 0, &a, &b, &c, &d) &&
           (b >> 29 & 1) != 0;
}
#endif

/* Below this the CPUID instruction, which may trap in a virtual machine, costs more than it saves. */
enum { WORTH_ASKING = 64 };

static void compress_many(uint32_t state[8], const unsigned char *blocks, size_t count)
{
#if defined(__x86_64__)
    if (count >= WORTH_ASKING && has_instruction()) {
        compress_by_instruction(state, blocks, count);
        return;
    }
#endif
    compress_all(state, blocks, count);
}

void lt_sha256_init(lt_sha256 *sha)
{
    static const uint32_t start[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                       0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };
    memset(sha, 0, sizeof *sha);
    memcpy(sha->state, start, sizeof start);
}

void lt_sha256_update(lt_sha256 *sha, const void *data, size_t size)
{
    const unsigned char *p = data;
    sha->total += size;
    while (size > 0) {
        if (sha->fill == 0 && size >= 64) {
            compress_many(sha->state, p, size / 64);
            p += size / 64 * 64;
            size %= 64;
            continue;
        }
        size_t part = 64 - sha->fill < size ? 64 - sha->fill : size;
        memcpy(sha->block + sha->fill, p, part);
        sha->fill += part;
        p += part;
        size -= part;
        if (sha->fill == 64) {
            compress_all(sha->state, sha->block, 1);
            sha->fill = 0;
        }
    }
}

void lt_sha256_final(lt_sha256 *sha, unsigned char digest[32])
{
    uint64_t bits = sha->total * 8;
    unsigned char end[72] = { 0x80 };
    size_t pad = (sha->fill < 56 ? 56 : 120) - sha->fill;
    for (int i = 0; i < 8; i++) {
        end[pad + (size_t)i] = (unsigned char)(bits >> (56 - 8 * i));
    }
    lt_sha256_update(sha, end, pad + 8);
    for (int i = 0; i < 32; i++) {
        digest[i] = (unsigned char)(sha->state[i / 4] >> (24 - 8 * (i % 4)));
    }
}
