/*
 * test_base_dtype.c - element types: every bit pattern of the small floats, conversions, packing, loads and stores.
 *
 * The digests of whole conversion tables were made with NumPy 2 and ml_dtypes (and ONNX's own to_float8e8m0); the
 * rules beside them are checked
 * here directly.
 */
#include "base/base.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const lathe_dtype float8s[] = { LATHE_DTYPE_F8E4M3FN, LATHE_DTYPE_F8E4M3FNUZ, LATHE_DTYPE_F8E5M2,
                                       LATHE_DTYPE_F8E5M2FNUZ, LATHE_DTYPE_F8E8M0 };

static uint32_t bits_of(float x)
{
    uint32_t b;
    memcpy(&b, &x, sizeof b);
    return b;
}

static float float_of(uint32_t b)
{
    float x;
    memcpy(&x, &b, sizeof x);
    return x;
}

static void expect_digest(const void *data, size_t size, const char *expected)
{
    lt_sha256 sha;
    unsigned char digest[32];
    char text[65];
    lt_sha256_init(&sha);
    lt_sha256_update(&sha, data, size);
    lt_sha256_final(&sha, digest);
    for (int i = 0; i < 32; i++) {
        snprintf(text + 2 * i, 3, "%02x", digest[i]);
    }
    assert_string_equal(text, expected);
}

static uint32_t one_nan(float x)
{
    return x != x ? 0x7fc00000u : bits_of(x);
}

/* The value by its definition. */
static double decode(uint32_t bits, int exponent_bits, int mantissa, int bias)
{
    uint32_t exponent = bits >> mantissa & ((1u << exponent_bits) - 1), fraction = bits & ((1u << mantissa) - 1);
    double value = exponent == 0 ? ldexp(fraction, 1 - bias - mantissa)
                                 : ldexp(fraction + (1u << mantissa), (int)exponent - bias - mantissa);
    return bits >> (exponent_bits + mantissa) != 0 ? -value : value;
}

static void test_f16_all(void **state)
{
    (void)state;
    static uint32_t table[65536];
    for (uint32_t b = 0; b < 65536; b++) {
        float x = lt_f16_to_f32((uint16_t)b);
        table[b] = one_nan(x);
        if ((b & 0x7c00) != 0x7c00) {
            assert_true((double)x == decode(b, 5, 10, 15));
        }
        assert_int_equal(signbit(x) != 0, b >> 15);
        if (x == x) {
            assert_int_equal(lt_f32_to_f16(x), b);
            assert_int_equal(lt_f64_to_f16((double)x), b);
        } else {
            assert_int_equal(lt_f32_to_f16(x), b | 0x200);
            assert_int_equal(lt_f64_to_f16((double)x), b | 0x200);
        }
    }
    expect_digest(table, sizeof table, "385ff5fe69182797cda5f1827e20cf423f4416bc9246f27d0eec27cac9039259");
}

static void test_bf16_all(void **state)
{
    (void)state;
    static uint32_t table[65536];
    for (uint32_t b = 0; b < 65536; b++) {
        float x = lt_bf16_to_f32((uint16_t)b);
        table[b] = one_nan(x);
        uint32_t expected = x != x ? b | 0x40 : b;
        assert_int_equal(lt_f32_to_bf16(x), expected);
        assert_int_equal(lt_f64_to_bf16((double)x), expected);
    }
    expect_digest(table, sizeof table, "f12e27efe34841dfd6391497b86f389096b03a376586e1d9691bba0a8de3980a");
}

static void test_f8_all(void **state)
{
    (void)state;
    static const char *const digests[] = {
        "422eccfaa21e72a6b26855bb10cdcfead6c1ce3262ecd813c99d8cbf9677f2e2",
        "ac4866f772a7c08077713fde1fa54131d49c26339c885e971a24fc0fac6e33f4",
        "229a94c5f728edf2259da970a0e1dfb45cc1d69cce2b30e37659f3212ec4b8b9",
        "aac12d2730bf26ca53bfa107a7a6a8df192aba8cf58b971eec9126f83991e6d4",
        "2fb2732a956043772ccd2c1664ae5d2558c62f9c06780c04d95f1ff0050f2f2f",
    };
    for (size_t t = 0; t < LT_COUNT(float8s); t++) {
        uint32_t table[256];
        for (uint32_t b = 0; b < 256; b++) {
            float x = lt_f8_to_f32(float8s[t], (uint8_t)b);
            table[b] = one_nan(x);
            for (int saturate = 0; saturate < 2 && x == x && !isinf(x); saturate++) {
                assert_int_equal(lt_f32_to_f8(float8s[t], x, saturate != 0), b);
            }
        }
        expect_digest(table, sizeof table, digests[t]);
    }
}

static void test_f4_all(void **state)
{
    (void)state;
    for (uint32_t b = 0; b < 16; b++) {
        float x = lt_f4_to_f32((uint8_t)b);
        assert_true((double)x == decode(b, 2, 1, 1));
        assert_int_equal(signbit(x) != 0, b >> 3);
        assert_int_equal(lt_f32_to_f4(x), b);
    }
    assert_int_equal(lt_f32_to_f4(NAN), 8);
    assert_int_equal(lt_f32_to_f4(-INFINITY), 15);
}

/* All upper halves of an f32 with eight lower halves, NaNs left out. */
enum { INPUTS = 522242 };

static float *inputs(void)
{
    static const uint32_t low[] = { 0, 1, 0x7fff, 0x8000, 0x8001, 0xffff, 0x1000, 0x0fff };
    float *x = malloc(INPUTS * sizeof *x);
    size_t n = 0;
    for (uint32_t high = 0; x != NULL && high < 65536; high++) {
        for (size_t i = 0; i < LT_COUNT(low); i++) {
            float value = float_of(high << 16 | low[i]);
            if (value == value) {
                x[n++] = value;
            }
        }
    }
    assert_int_equal(n, INPUTS);
    return x;
}

static void test_rounding_to_16_bits(void **state)
{
    (void)state;
    float *x = inputs();
    uint16_t *y = malloc(3 * INPUTS * sizeof *y);
    assert_non_null(y);
    for (size_t i = 0; i < INPUTS; i++) {
        y[i] = lt_f32_to_f16(x[i]);
    }
    expect_digest(y, INPUTS * sizeof *y, "8cbc8f9b935792a6e4578d048785328e56f22f9bae05880466c924516eca819d");
    for (size_t i = 0; i < INPUTS; i++) {
        y[i] = lt_f32_to_bf16(x[i]);
        assert_int_equal(y[i], lt_f64_to_bf16((double)x[i]));
    }
    expect_digest(y, INPUTS * sizeof *y, "c0201be54ea8b3f080697a7cb09d11b09757b1d3401b673b5afb5f0ebcaba54f");
    for (size_t i = 0; i < INPUTS; i++) { /* a little beside an f32: rounding twice would show */
        y[i] = lt_f64_to_f16((double)x[i]);
        y[INPUTS + i] = lt_f64_to_f16(nextafter((double)x[i], INFINITY));
        y[2 * INPUTS + i] = lt_f64_to_f16(nextafter((double)x[i], -INFINITY));
    }
    expect_digest(y, 3 * INPUTS * sizeof *y, "35d8fbf755981ff7570a289a10d491f2c91eff6e1b419afb74744d126290833c");
    free(x);
    free(y);
}

static void test_rounding_to_8_bits(void **state)
{
    (void)state;
    static const char *const digests[4][2] = {
        { "529dd5a5190fc7aa4ecca668295fa20c4fa8a65f55546a5d69387fca054420c6",
          "074499aa26f48a48aa8ec81c1f0a7290b5ef3d287be563dea9676f79846fe1df" },
        { "faadf92e643ff6c989f23890782cdd24f685260c4b4205bd33bddf8fe81d3998",
          "a298ba3fb496792f74d2fc46fff3b247ab4ccdf9b9a820b2fab34ebd81256e7f" },
        { "24ca4360a0642c1f0a89525b2be7b225c48c58af0a0345f2f5b14c96d457e5e7",
          "d967fc32e62f08ae8844db1130ce721bd9cfd7a7ca7f89694ec1d3b2147485bd" },
        { "2e9044f82194154bcf75923e70165fab612a204ea207ab901f6aedc0e6766d8b",
          "b19e447412eca4a2675514d90284c07ff3053308ea9cf03bff0e34c1f96ee3e0" },
    };
    static const char *const e8m0[3][2] = {
        { "9f58feb0454b1250c066e3198e026901eb547bb6cc5a265f9f3a5bbb1760364d",
          "02e2f198bded11968d599c582d74d812ce4fe6d87d7075bc2599f3a4a1e75644" },
        { "fdb3706108327d3d08dae1b9cc3b8ebd62a28ac6c9091b95600673e299f433f1",
          "fdb3706108327d3d08dae1b9cc3b8ebd62a28ac6c9091b95600673e299f433f1" },
        { "4748d884308021d7ae11d704587267763d640d3b7013df815273134b4f16fe21",
          "25c982993845353aabac755b6548e0a043b9d43a5a5c682d1ffb12b78a53db7f" },
    };
    float *x = inputs();
    uint8_t *y = malloc(INPUTS);
    assert_non_null(y);
    for (int saturate = 0; saturate < 2; saturate++) {
        for (size_t t = 0; t < 4; t++) {
            for (size_t i = 0; i < INPUTS; i++) {
                y[i] = lt_f32_to_f8(float8s[t], x[i], saturate != 0);
            }
            expect_digest(y, INPUTS, digests[t][saturate]);
        }
        for (int round = LT_E8M0_UP; round <= LT_E8M0_NEAREST; round++) {
            for (size_t i = 0; i < INPUTS; i++) {
                y[i] = lt_f32_to_e8m0(x[i], saturate != 0, (lt_e8m0_round)round);
            }
            expect_digest(y, INPUTS, e8m0[round][saturate]);
        }
    }
    for (size_t i = 0; i < INPUTS; i++) {
        y[i] = lt_f32_to_f4(x[i]);
    }
    expect_digest(y, INPUTS, "558bfa4db9b84a07d230fd4ff8e150d473b5b93db089785734d30afb1effde53");
    free(x);
    free(y);
}

static void test_f8_specials(void **state)
{
    (void)state;
    assert_int_equal(lt_f32_to_f8(LATHE_DTYPE_F8E4M3FN, NAN, true), 0x7f);
    assert_int_equal(lt_f32_to_f8(LATHE_DTYPE_F8E4M3FN, -NAN, true), 0xff);
    assert_int_equal(lt_f32_to_f8(LATHE_DTYPE_F8E5M2, NAN, true), 0x7e);
    assert_int_equal(lt_f32_to_f8(LATHE_DTYPE_F8E4M3FNUZ, -NAN, true), 0x80);
    assert_int_equal(lt_f32_to_f8(LATHE_DTYPE_F8E5M2FNUZ, NAN, true), 0x80);
    assert_int_equal(lt_f32_to_f8(LATHE_DTYPE_F8E5M2, INFINITY, true), 0x7b);
    assert_int_equal(lt_f32_to_f8(LATHE_DTYPE_F8E5M2, INFINITY, false), 0x7c);
    assert_int_equal(lt_f32_to_f8(LATHE_DTYPE_F8E4M3FN, -INFINITY, false), 0xff);
    assert_int_equal(lt_f32_to_f8(LATHE_DTYPE_F8E8M0, NAN, true), 0xff);
    assert_true(isnan(lt_f8_to_f32(LATHE_DTYPE_F8E8M0, 0xff)));
    assert_true(lt_f8_to_f32(LATHE_DTYPE_F8E8M0, 127) == 1.0f);
    assert_true(lt_f8_to_f32(LATHE_DTYPE_F8E8M0, 0) == 0x1p-127f);
    /* Just above the middle of two float8 values, where f32 would round it to the middle. */
    assert_int_equal(lt_f64_to_f8(LATHE_DTYPE_F8E4M3FN, 1.0625 + 0x1p-40, true), 0x39);
    assert_int_equal(lt_f64_to_f8(LATHE_DTYPE_F8E4M3FN, 1.0625, true), 0x38);
}

static void test_table(void **state)
{
    (void)state;
    for (int i = 0; i < LATHE_DTYPE_COUNT; i++) {
        const char *name = lathe_dtype_name((lathe_dtype)i);
        assert_true((name == NULL) == (i == 0));
        if (name != NULL) {
            assert_int_equal(lathe_dtype_from_name(name), i);
        }
        const lt_dtype_info *info = lt_dtype_get((lathe_dtype)i);
        assert_non_null(info->onnx);
        if (info->kind == LT_KIND_FLOAT && i != LATHE_DTYPE_F8E8M0) {
            assert_int_equal(info->bits, 1 + info->exponent + info->mantissa);
        }
    }
    assert_null(lathe_dtype_name((lathe_dtype)99));
    assert_null(lathe_dtype_name((lathe_dtype)-1));
    assert_int_equal(lathe_dtype_from_name("float"), LATHE_DTYPE_UNDEFINED);
    assert_int_equal(lathe_dtype_from_name(NULL), LATHE_DTYPE_UNDEFINED);
    assert_int_equal(lathe_dtype_bits(LATHE_DTYPE_I4), 4);
    assert_int_equal(lathe_dtype_bits(LATHE_DTYPE_STRING), 0);
    assert_int_equal(lathe_dtype_bits((lathe_dtype)1000), 0);
    assert_true(lt_dtype_min_i64(LATHE_DTYPE_I64) == INT64_MIN && lt_dtype_max_u64(LATHE_DTYPE_I64) == INT64_MAX);
    assert_true(lt_dtype_min_i64(LATHE_DTYPE_I2) == -2 && lt_dtype_max_u64(LATHE_DTYPE_I2) == 1);
    assert_true(lt_dtype_min_i64(LATHE_DTYPE_U64) == 0 && lt_dtype_max_u64(LATHE_DTYPE_U64) == UINT64_MAX);
    assert_true(lt_dtype_max_u64(LATHE_DTYPE_BOOL) == 1 && lt_dtype_max_u64(LATHE_DTYPE_U4) == 15);
    assert_true(lt_dtype_is_integer(LATHE_DTYPE_U2) && !lt_dtype_is_integer(LATHE_DTYPE_BOOL) &&
                !lt_dtype_is_integer(LATHE_DTYPE_F4E2M1));
    assert_true(lt_dtype_is_float(LATHE_DTYPE_F8E8M0) && !lt_dtype_is_float(LATHE_DTYPE_C64));
    size_t bytes = 7;
    assert_false(lt_dtype_bytes(LATHE_DTYPE_F32, -1, &bytes));
    assert_false(lt_dtype_bytes(LATHE_DTYPE_C128, INT64_MAX, &bytes));
    assert_false(lt_dtype_bytes(LATHE_DTYPE_UNDEFINED, 1, &bytes));
    assert_int_equal(bytes, 7);
    assert_true(lt_dtype_bytes(LATHE_DTYPE_U4, 5, &bytes) && bytes == 3);
    assert_true(lt_dtype_bytes(LATHE_DTYPE_I2, 5, &bytes) && bytes == 2);
    assert_true(lt_dtype_bytes(LATHE_DTYPE_U2, INT64_MAX, &bytes) && bytes == (size_t)INT64_MAX / 4 + 1);
    assert_true(lt_dtype_bytes(LATHE_DTYPE_C128, 3, &bytes) && bytes == 48);
    assert_true(lt_dtype_bytes(LATHE_DTYPE_STRING, 3, &bytes) && bytes == 3 * sizeof(lt_string));
}

static void test_packing(void **state)
{
    (void)state;
    unsigned char data[4] = { 0 };
    for (int i = 0; i < 7; i++) {
        lt_store_i64(LATHE_DTYPE_I4, data, i, i - 8);
    }
    assert_int_equal(data[0], 0x98); /* element 0 low: -8, -7 */
    assert_int_equal(data[3], 0x0e);
    for (int i = 0; i < 7; i++) {
        assert_int_equal(lt_load_i64(LATHE_DTYPE_I4, data, i), i - 8);
    }
    memset(data, 0xff, sizeof data);
    lt_store_i64(LATHE_DTYPE_U2, data, 5, 1);
    assert_int_equal(data[1], 0xf7);
    assert_int_equal(lt_load_i64(LATHE_DTYPE_U2, data, 5), 1);
    assert_int_equal(lt_load_i64(LATHE_DTYPE_I2, data, 4), -1);
    lt_store_f64(LATHE_DTYPE_F4E2M1, data, 1, -1.5);
    assert_int_equal(data[0], 0xbf);
    assert_true(lt_load_f64(LATHE_DTYPE_F4E2M1, data, 1) == -1.5);
}

static void test_loads_and_stores(void **state)
{
    (void)state;
    unsigned char raw[40];
    void *data = raw + 1; /* unaligned */
    lt_store_f64(LATHE_DTYPE_F64, data, 1, 2.75);
    assert_true(lt_load_f64(LATHE_DTYPE_F64, data, 1) == 2.75);
    assert_int_equal(lt_load_i64(LATHE_DTYPE_F64, data, 1), 2);
    static const struct {
        lathe_dtype type;
        double in;
        int64_t out;
    } clamps[] = {
        { LATHE_DTYPE_U8, 300.7, 255 },
        { LATHE_DTYPE_U8, -3.0, 0 },
        { LATHE_DTYPE_I8, -1.9, -1 },
        { LATHE_DTYPE_I8, 1e30, 127 },
        { LATHE_DTYPE_I4, -100.0, -8 },
        { LATHE_DTYPE_U2, 9.0, 3 },
        { LATHE_DTYPE_I64, 1e30, INT64_MAX },
        { LATHE_DTYPE_I64, -1e30, INT64_MIN },
        { LATHE_DTYPE_I32, NAN, 0 },
        { LATHE_DTYPE_BOOL, 0.25, 1 },
        { LATHE_DTYPE_BOOL, -0.0, 0 },
        { LATHE_DTYPE_U64, -5.0, 0 },
        { LATHE_DTYPE_U32, 4294967295.0, 4294967295 },
        { LATHE_DTYPE_I16, -32769.0, -32768 },
        { LATHE_DTYPE_I64, 9223372036854774784.0, 9223372036854774784 },
    };
    for (size_t i = 0; i < LT_COUNT(clamps); i++) {
        lt_store_f64(clamps[i].type, data, 0, clamps[i].in);
        assert_int_equal(lt_load_i64(clamps[i].type, data, 0), clamps[i].out);
    }
    lt_store_f64(LATHE_DTYPE_U64, data, 0, 1e30);
    assert_true((uint64_t)lt_load_i64(LATHE_DTYPE_U64, data, 0) == UINT64_MAX);
    assert_true(lt_load_f64(LATHE_DTYPE_U64, data, 0) == 0x1p64);
    lt_store_i64(LATHE_DTYPE_I8, data, 0, 200);
    assert_int_equal(lt_load_i64(LATHE_DTYPE_I8, data, 0), -56);
    lt_store_i64(LATHE_DTYPE_F32, data, 0, (1LL << 24) + 1);
    assert_true(lt_load_f64(LATHE_DTYPE_F32, data, 0) == 16777216.0);
    lt_store_f64(LATHE_DTYPE_F32, data, 0, NAN);
    assert_int_equal(lt_load_i64(LATHE_DTYPE_F32, data, 0), 0);
    lt_store_f64(LATHE_DTYPE_F32, data, 0, -INFINITY);
    assert_int_equal(lt_load_i64(LATHE_DTYPE_F32, data, 0), INT64_MIN);
    ((unsigned char *)data)[0] = 2; /* a bool from a careless file */
    assert_int_equal(lt_load_i64(LATHE_DTYPE_BOOL, data, 0), 1);
    double parts[2] = { 1.5, -2.5 }, back[2];
    lt_store_complex(LATHE_DTYPE_C64, data, 1, parts);
    lt_load_complex(LATHE_DTYPE_C64, data, 1, back);
    assert_true(back[0] == 1.5 && back[1] == -2.5);
    lt_store_complex(LATHE_DTYPE_C128, data, 0, parts);
    lt_load_complex(LATHE_DTYPE_C128, data, 0, back);
    assert_true(back[0] == 1.5 && back[1] == -2.5);
}

static void test_integers_to_small_floats(void **state)
{
    (void)state;
    uint16_t h;
    /* 2^62 + 2^54 is in the middle of two bf16 values; one more must round up, although a double cannot hold it. */
    int64_t middle = (1LL << 62) + (1LL << 54);
    lt_store_i64(LATHE_DTYPE_BF16, &h, 0, middle);
    assert_int_equal(h, 0x5e80);
    lt_store_i64(LATHE_DTYPE_BF16, &h, 0, middle + 1);
    assert_int_equal(h, 0x5e81);
    lt_store_i64(LATHE_DTYPE_BF16, &h, 0, -middle - 1);
    assert_int_equal(h, 0xde81);
    uint64_t u = ((uint64_t)1 << 63) + ((uint64_t)1 << 55) + 1;
    assert_int_equal(lt_convert(LATHE_DTYPE_BF16, &h, LATHE_DTYPE_U64, &u, 1, true, NULL), LATHE_OK);
    assert_int_equal(h, 0x5f01);
    float f;
    u = ((uint64_t)1 << 63) + ((uint64_t)1 << 39) + 1; /* the same for f32 */
    assert_int_equal(lt_convert(LATHE_DTYPE_F32, &f, LATHE_DTYPE_U64, &u, 1, true, NULL), LATHE_OK);
    assert_int_equal(bits_of(f), 0x5f000001u);
    int64_t i = INT64_MIN;
    assert_int_equal(lt_convert(LATHE_DTYPE_F32, &f, LATHE_DTYPE_I64, &i, 1, true, NULL), LATHE_OK);
    assert_true(f == -0x1p63f);
}

static void test_convert(void **state)
{
    (void)state;
    lathe_diag *diag = lathe_diag_create(NULL);
    float f[5] = { -1.9f, 0.0f, NAN, 300.5f, 1e20f };
    uint8_t b[5];
    int64_t w[5];
    assert_int_equal(lt_convert(LATHE_DTYPE_BOOL, b, LATHE_DTYPE_F32, f, 5, true, diag), LATHE_OK);
    assert_memory_equal(b, ((uint8_t[]){ 1, 0, 1, 1, 1 }), 5);
    assert_int_equal(lt_convert(LATHE_DTYPE_I64, w, LATHE_DTYPE_F32, f, 5, true, diag), LATHE_OK);
    assert_true(w[0] == -1 && w[1] == 0 && w[2] == 0 && w[3] == 300 && w[4] == INT64_MAX);
    int32_t v[3] = { -1, 256, 513 };
    assert_int_equal(lt_convert(LATHE_DTYPE_U8, b, LATHE_DTYPE_I32, v, 3, true, diag), LATHE_OK);
    assert_memory_equal(b, ((uint8_t[]){ 255, 0, 1 }), 3);
    assert_int_equal(lt_convert(LATHE_DTYPE_F8E4M3FN, b, LATHE_DTYPE_F32, f, 5, false, diag), LATHE_OK);
    assert_int_equal(b[4], 0x7f);
    assert_int_equal(lt_convert(LATHE_DTYPE_F8E4M3FN, b, LATHE_DTYPE_F32, f, 5, true, diag), LATHE_OK);
    assert_int_equal(b[4], 0x7e);
    assert_int_equal(lt_convert(LATHE_DTYPE_I32, f, LATHE_DTYPE_F32, f, 5, true, diag), LATHE_OK); /* in place */
    assert_int_equal(lt_load_i64(LATHE_DTYPE_I32, f, 3), 300);
    double c[2] = { 1, 2 };
    float c64[2];
    assert_int_equal(lt_convert(LATHE_DTYPE_C64, c64, LATHE_DTYPE_C128, c, 1, true, diag), LATHE_OK);
    assert_true(c64[0] == 1 && c64[1] == 2);
    assert_int_equal(lt_convert(LATHE_DTYPE_F32, f, LATHE_DTYPE_C64, c64, 1, true, diag), LATHE_UNSUPPORTED);
    assert_int_equal(lt_convert(LATHE_DTYPE_STRING, f, LATHE_DTYPE_F32, f, 0, true, diag), LATHE_UNSUPPORTED);
    assert_int_equal(lt_convert(LATHE_DTYPE_F32, f, (lathe_dtype)77, f, 0, true, diag), LATHE_UNSUPPORTED);
    assert_int_equal(lt_convert(LATHE_DTYPE_F32, NULL, LATHE_DTYPE_F32, NULL, 0, true, diag), LATHE_OK);
    assert_int_equal(lt_convert(LATHE_DTYPE_F32, f, LATHE_DTYPE_F32, f, -1, true, diag), LATHE_OVERFLOW);
    assert_int_equal(lathe_diag_count(diag), 4);
    lathe_diag_destroy(diag);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_f16_all),
        cmocka_unit_test(test_bf16_all),
        cmocka_unit_test(test_f8_all),
        cmocka_unit_test(test_f4_all),
        cmocka_unit_test(test_rounding_to_16_bits),
        cmocka_unit_test(test_rounding_to_8_bits),
        cmocka_unit_test(test_f8_specials),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_packing),
        cmocka_unit_test(test_loads_and_stores),
        cmocka_unit_test(test_integers_to_small_floats),
        cmocka_unit_test(test_convert),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
