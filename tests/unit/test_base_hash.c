/*
 * test_base_hash.c - SHA-256 and CRC-32C by published vectors, the 64-bit hash by its own, which must never change.
 */
#include "base/base.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void hex(const unsigned char digest[32], char out[65])
{
    for (int i = 0; i < 32; i++) {
        snprintf(out + 2 * i, 3, "%02x", digest[i]);
    }
}

static void expect_sha(const void *data, size_t size, const char *expected)
{
    for (size_t step = 1; step < 200; step = step * 3 + 1) { /* in pieces of several sizes */
        lt_sha256 sha;
        unsigned char digest[32];
        char text[65];
        lt_sha256_init(&sha);
        for (size_t at = 0; at < size; at += step) {
            lt_sha256_update(&sha, (const char *)data + at, size - at < step ? size - at : step);
        }
        lt_sha256_final(&sha, digest);
        hex(digest, text);
        assert_string_equal(text, expected);
    }
}

static void test_sha256(void **state)
{
    (void)state;
    expect_sha("", 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    expect_sha("abc", 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    expect_sha("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56,
               "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    expect_sha("abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrs"
               "tnopqrstu",
               112, "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1");
    lt_sha256 sha;
    unsigned char digest[32], block[1000];
    char text[65];
    memset(block, 'a', sizeof block);
    lt_sha256_init(&sha);
    for (int i = 0; i < 1000; i++) {
        lt_sha256_update(&sha, block, sizeof block);
    }
    lt_sha256_final(&sha, digest);
    hex(digest, text);
    assert_string_equal(text, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

/* Large pieces may take another path than small ones. */
static void test_sha256_large(void **state)
{
    (void)state;
    size_t size = 100003;
    unsigned char *data = malloc(size), small[32], large[32];
    assert_non_null(data);
    for (size_t i = 0; i < size; i++) {
        data[i] = (unsigned char)(i * 2654435761u >> 15);
    }
    for (size_t first = 0; first < 130; first += 13) {
        lt_sha256 sha;
        lt_sha256_init(&sha);
        lt_sha256_update(&sha, data, first);
        lt_sha256_update(&sha, data + first, size - first);
        lt_sha256_final(&sha, large);
        lt_sha256_init(&sha);
        for (size_t at = 0; at < size; at += 97) {
            lt_sha256_update(&sha, data + at, size - at < 97 ? size - at : 97);
        }
        lt_sha256_final(&sha, small);
        assert_memory_equal(small, large, 32);
    }
    free(data);
}

static uint32_t slow_crc(uint32_t crc, const unsigned char *p, size_t size)
{
    crc = ~crc;
    for (size_t i = 0; i < size; i++) {
        crc ^= p[i];
        for (int k = 0; k < 8; k++) {
            crc = crc >> 1 ^ (0x82f63b78u & (0u - (crc & 1)));
        }
    }
    return ~crc;
}

static void test_crc32c(void **state)
{
    (void)state;
    unsigned char b[32];
    assert_int_equal(lt_crc32c(0, "123456789", 9), 0xe3069283u);
    assert_int_equal(lt_crc32c(0, NULL, 0), 0);
    memset(b, 0, sizeof b); /* RFC 3720, B.4 */
    assert_int_equal(lt_crc32c(0, b, 32), 0x8a9136aau);
    memset(b, 0xff, sizeof b);
    assert_int_equal(lt_crc32c(0, b, 32), 0x62a8ab43u);
    for (int i = 0; i < 32; i++) {
        b[i] = (unsigned char)i;
    }
    assert_int_equal(lt_crc32c(0, b, 32), 0x46dd794eu);
    unsigned char *big = malloc(70000);
    assert_non_null(big);
    for (size_t i = 0; i < 70000; i++) {
        big[i] = (unsigned char)(i * 2654435761u >> 13);
    }
    for (size_t at = 0; at < 9; at++) { /* above the size from which the instruction serves, at each alignment */
        for (size_t size = 69980; size < 69990; size += 3) {
            uint32_t whole = lt_crc32c(0, big + at, size);
            assert_int_equal(whole, slow_crc(0, big + at, size));
            assert_int_equal(whole, lt_crc32c(lt_crc32c(0, big + at, 777), big + at + 777, size - 777));
        }
    }
    for (size_t size = 16384 - 30; size < 16384 + 60; size++) { /* around the size from which the parts are joined */
        assert_int_equal(lt_crc32c(0, big, size), slow_crc(0, big, size));
    }
    free(big);
}

static void test_hash64(void **state)
{
    (void)state;
    unsigned char data[256];
    uint64_t sum = 0, seen[257];
    for (int i = 0; i < 256; i++) {
        data[i] = (unsigned char)(i * 7 + 3);
    }
    for (size_t n = 0; n <= 256; n++) {
        seen[n] = lt_hash64(data, n, 0);
        sum = sum * 31 + seen[n];
        for (size_t k = 0; k < n; k++) {
            assert_true(seen[k] != seen[n]);
        }
        assert_true(seen[n] != lt_hash64(data, n, 1));
    }
    assert_true(lt_hash64(NULL, 0, 5) == lt_hash64("", 0, 5));
    assert_true(lt_hash64("a\0", 2, 0) != lt_hash64("a", 1, 0));
    /* These name blobs in files: if they change, old plans and text lose their data. */
    assert_int_equal(lt_hash64("lathe", 5, 0), 0x16e626e44e46906fu);
    assert_int_equal(sum, 0xf963ad9664deab0bu);
    unsigned char copy[300]; /* alignment must not matter */
    for (size_t at = 0; at < 16; at++) {
        memcpy(copy + at, data, 200);
        assert_true(lt_hash64(copy + at, 200, 0) == seen[200]);
    }
}

/* Each input bit changes about half of the output bits. */
static void test_hash64_avalanche(void **state)
{
    (void)state;
    static const size_t sizes[] = { 1, 4, 8, 9, 16, 23, 64, 100, 130 };
    for (size_t s = 0; s < LT_COUNT(sizes); s++) {
        unsigned char data[130] = { 0 };
        uint64_t flips = 0;
        for (size_t trial = 0; trial < 16; trial++) {
            for (size_t i = 0; i < sizes[s]; i++) {
                data[i] = (unsigned char)lt_hash64(&i, sizeof i, trial);
            }
            uint64_t base = lt_hash64(data, sizes[s], 0);
            for (size_t bit = 0; bit < 8 * sizes[s]; bit++) {
                data[bit / 8] ^= (unsigned char)(1u << bit % 8);
                flips += (uint64_t)__builtin_popcountll(base ^ lt_hash64(data, sizes[s], 0));
                data[bit / 8] ^= (unsigned char)(1u << bit % 8);
            }
        }
        double mean = (double)flips / (double)(16 * 8 * sizes[s]);
        assert_true(mean > 29 && mean < 35);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sha256), cmocka_unit_test(test_sha256_large),     cmocka_unit_test(test_crc32c),
        cmocka_unit_test(test_hash64), cmocka_unit_test(test_hash64_avalanche),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
