/*
 * hash.h - hashes: a fast 64-bit one for maps and keys inside a process and in plans, SHA-256 (FIPS 180-4), CRC-32C (RFC 3720). Part of base.
 */
#ifndef LT_HASH_H
#define LT_HASH_H

#include <stddef.h>
#include <stdint.h>

/* Stable across machines and versions of Lathe: it names blobs in text IR and plans. Not for adversaries. */
uint64_t lt_hash64(const void *data, size_t size, uint64_t seed);

typedef struct lt_sha256 {
    uint32_t state[8];
    uint64_t total;
    unsigned char block[64];
    size_t fill;
} lt_sha256;

void lt_sha256_init(lt_sha256 *sha);
void lt_sha256_update(lt_sha256 *sha, const void *data, size_t size);
void lt_sha256_final(lt_sha256 *sha, unsigned char digest[32]);

/* crc: 0 at the start, then the previous result. Uses the SSE4.2 instruction where CPUID shows it. */
uint32_t lt_crc32c(uint32_t crc, const void *data, size_t size);

#endif
