/*
 * random.c - counter-based random numbers. Part of base; random operators, rand(seed) of the text IR and generated
 * inputs use it.
 *
 * Philox 4x32-10 (Salmon, Moraes, Dror, Shaw 2011). The normal deviates use own series for log, sin and cos instead
 * of libm, whose last bit differs
 * between versions and processors: only + - * / and sqrt are used here, which are the same everywhere. Beside them stands
 * the Mersenne Twister for seeds that models name.
 */
#include "base/random.h"

#include <math.h>
#include <string.h>

#include "base/diag.h"
#include "base/dtype.h"
#include "base/hash.h"

void lt_philox(uint64_t key, uint64_t counter_hi, uint64_t counter_lo, uint32_t out[4])
{
    uint32_t c[4] = { (uint32_t)counter_lo, (uint32_t)(counter_lo >> 32), (uint32_t)counter_hi,
                      (uint32_t)(counter_hi >> 32) };
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xd2511f53u * c[0], p1 = (uint64_t)0xcd9e8d57u * c[2];
        uint32_t next0 = (uint32_t)(p1 >> 32) ^ c[1] ^ k0, next2 = (uint32_t)(p0 >> 32) ^ c[3] ^ k1;
        c[1] = (uint32_t)p1;
        c[3] = (uint32_t)p0;
        c[0] = next0;
        c[2] = next2;
        k0 += 0x9e3779b9u;
        k1 += 0xbb67ae85u;
    }
    memcpy(out, c, sizeof c);
}

static double unit(uint32_t high, uint32_t low)
{
    return (double)(((uint64_t)high << 32 | low) >> 11) * 0x1p-53;
}

double lt_random_unit(uint64_t seed, uint64_t stream, uint64_t index)
{
    uint32_t r[4];
    lt_philox(seed, stream, index, r);
    return unit(r[0], r[1]);
}

/* Natural logarithm of a normal x > 0: 2 atanh((m - 1) / (m + 1)) + e ln 2. */
static double log_series(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    int exponent = (int)(bits >> 52) - 1023;
    bits = (bits & 0xfffffffffffffu) | 0x3ff0000000000000u;
    double m;
    memcpy(&m, &bits, sizeof m);
    if (m > 1.4142135623730951) {
        m *= 0.5;
        exponent++;
    }
    double s = (m - 1) / (m + 1), z = s * s, sum = 0;
    for (int k = 25; k >= 3; k -= 2) {
        sum = (sum + 1.0 / k) * z;
    }
    return (double)exponent * 0.6931471805599453 + 2 * (s + s * sum);
}

/* cos(2 pi u) for 0 <= u < 1 by symmetry and Taylor series on an eighth of the circle. */
static double cos_turns(double u)
{
    double v = u > 0.5 ? 1 - u : u; /* cos(2 pi u) = cos(2 pi (1 - u)) */
    bool flip = v > 0.25;
    v = flip ? 0.5 - v : v; /* 0..1/4, all exact */
    bool sine = v > 0.125;
    double x = (sine ? 0.25 - v : v) * 6.283185307179586, z = x * x, sum = 0;
    for (int k = sine ? 21 : 20; k >= 2; k -= 2) {
        sum = (1 - sum) * z / (double)(k * (k - 1)); /* nested: z/2 (1 - z/12 (1 - ...)) */
    }
    double value = (sine ? x : 1) * (1 - sum);
    return flip ? -value : value;
}

double lt_random_normal(uint64_t seed, uint64_t stream, uint64_t index)
{
    uint32_t r[4];
    lt_philox(seed, stream, index, r);
    double radius = 1 - unit(r[0], r[1]); /* (0, 1] */
    return sqrt(-2 * log_series(radius)) * cos_turns(unit(r[2], r[3]));
}

/* ---- The Mersenne Twister ---- */

enum { MT_SIZE = 624, MT_SHIFT = 397 };

void lt_mersenne_seed(lt_mersenne *m, uint32_t seed)
{
    *m = (lt_mersenne){ .at = MT_SIZE };
    for (uint32_t i = 0; i < MT_SIZE; i++) {
        m->state[i] = seed;
        seed = 1812433253u * (seed ^ (seed >> 30)) + i + 1;
    }
}

static uint32_t next_word(lt_mersenne *m)
{
    if (m->at == MT_SIZE) {
        for (int i = 0; i < MT_SIZE; i++) {
            uint32_t y = (m->state[i] & 0x80000000u) | (m->state[(i + 1) % MT_SIZE] & 0x7fffffffu);
            m->state[i] = m->state[(i + MT_SHIFT) % MT_SIZE] ^ (y >> 1) ^ ((y & 1) != 0 ? 0x9908b0dfu : 0);
        }
        m->at = 0;
    }
    uint32_t y = m->state[m->at++];
    y ^= y >> 11;
    y ^= (y << 7) & 0x9d2c5680u;
    y ^= (y << 15) & 0xefc60000u;
    return y ^ (y >> 18);
}

double lt_mersenne_unit(lt_mersenne *m)
{
    uint32_t high = next_word(m) >> 5, low = next_word(m) >> 6;
    return ((double)high * 67108864.0 + (double)low) * 0x1p-53;
}

double lt_mersenne_normal(lt_mersenne *m)
{
    double x, y, square;
    if (m->has) {
        m->has = false;
        return m->waiting;
    }
    do {
        x = 2 * lt_mersenne_unit(m) - 1;
        y = 2 * lt_mersenne_unit(m) - 1;
        square = x * x + y * y;
    } while (square >= 1 || square == 0);
    double radius = sqrt(-2 * log_series(square) / square);
    m->has = true;
    m->waiting = radius * x;
    return radius * y;
}

uint64_t lt_random_key(const char *name, uint64_t count)
{
    return lt_hash64(name, strlen(name), count);
}

/* Streams of lt_random_fill: one for each kind of number, so that types do not mirror each other. */
enum { STREAM_NORMAL = 0, STREAM_INTEGER = 1, STREAM_BOOL = 2 };

static uint64_t below(uint64_t seed, uint64_t index, uint64_t limit)
{
    uint32_t r[4];
    lt_philox(seed, STREAM_INTEGER, index, r);
    return ((uint64_t)r[0] * limit) >> 32;
}

lathe_status lt_random_fill(lt_tensor *tensor, uint64_t seed, lathe_diag *diag)
{
    const lt_dtype_info *info = lt_dtype_get(tensor->dtype);
    int64_t count = lt_tensor_count(tensor);
    if (info->kind == LT_KIND_STRING || info->kind == LT_KIND_NONE) {
        return LT_FAIL(diag, LATHE_UNSUPPORTED, NULL, NULL, "there are no random values of type %s",
                       info->name != NULL ? info->name : "undefined");
    }
    uint64_t most = lt_dtype_max_u64(tensor->dtype), limit = most < 99 ? most + 1 : 100;
    for (int64_t i = 0; i < count; i++) {
        uint64_t index = (uint64_t)i;
        if (info->kind == LT_KIND_FLOAT) {
            lt_store_f64(tensor->dtype, tensor->data, i, lt_random_normal(seed, STREAM_NORMAL, index));
        } else if (info->kind == LT_KIND_COMPLEX) {
            double parts[2] = { lt_random_normal(seed, STREAM_NORMAL, 2 * index),
                                lt_random_normal(seed, STREAM_NORMAL, 2 * index + 1) };
            lt_store_complex(tensor->dtype, tensor->data, i, parts);
        } else if (info->kind == LT_KIND_BOOL) {
            lt_store_i64(tensor->dtype, tensor->data, i, lt_random_unit(seed, STREAM_BOOL, index) < 0.5);
        } else {
            lt_store_i64(tensor->dtype, tensor->data, i, (int64_t)below(seed, index, limit));
        }
    }
    return LATHE_OK;
}
