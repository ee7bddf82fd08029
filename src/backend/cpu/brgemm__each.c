/*
 * brgemm__each.c - the batch-reduce matrix product's kernels at each level of the instruction set (brgemm.h has the contract). Called through the tables
 * lt_brgemm_base, _avx2, _avx512; knows nothing of problems, formats or threads.
 *
 * One text makes a function for each number of rows: all sums stay in registers, the inner extent is walked once and in order, and the epilogue runs
 * on the registers. tests/check_spills.sh looks into the object code for vectors that went to the stack.
 */
#include "backend/cpu/brgemm.h"
#include "backend/cpu/vectors.inc"

#include "backend/cpu/vector_math.inc"

enum { NEXT = GEMM_NR * 4 };   /* bytes of the next panel that four steps bring nearer */
enum { AHEAD = 16 * GEMM_NR }; /* floats of the panel that are fetched before they are needed */
enum { LONG = 10240 / GEMM_NR }; /* rows of a panel that the first-level cache does not hold beside the rest */
#if LT_VECTOR_BYTES == 64
enum { SEGMENT = 7, NARROW = 7, ONE_FORM = 1 }; /* ONE_FORM: with a second one of the loop or of the end, sums go to the stack */
#elif LT_VECTOR_BYTES == 32
enum { SEGMENT = 3, NARROW = 6, ONE_FORM = 0 }; /* six sums would have to wait for each other */
#else
enum { SEGMENT = 2, NARROW = 2, ONE_FORM = 0 };
#endif

typedef float vf_any
    __attribute__((vector_size(LT_VECTOR_BYTES), may_alias, aligned(4))); /* at any address of a float */

/*
 * The address stays in a register of its own. Otherwise compilers turn rows at base + i * lda into a pointer for each row, and run out of registers.
 */
#if defined(__x86_64__)
#define OPAQUE(x) __asm__("" : "+r"(x))
#else
#define OPAQUE(x) ((void)0)
#endif

/* acc += x * y. Told in the instruction's own form, whose result is the sum: left alone, compilers swap operands and then need one register more. */
#if defined(__FMA__)
#define SUM(acc, x, y) __asm__("vfmadd231ps %2, %1, %0" : "+v"(acc) : "v"(x), "v"(y))
#else
#define SUM(acc, x, y) (acc) = MULTIPLY_ADD(x, y, acc)
#endif

/* ---- The first lanes of vectors in memory ---- */

#if LT_VECTOR_BYTES == 64
typedef __mmask16 lanes;
#define ALL ((lanes)0xffff)

INLINE lanes first_lanes(int n)
{
    return (lanes)(n >= VL ? 0xffffu : n <= 0 ? 0u : (1u << n) - 1u);
}

INLINE vf get(const float *p, lanes which)
{
    return (vf)_mm512_maskz_loadu_ps(which, p);
}

INLINE void put(float *p, lanes which, vf x)
{
    _mm512_mask_storeu_ps(p, which, (__m512)x);
}

INLINE vf no_less(vf low, vf x) /* the larger one; a NaN of x stays */
{
    return (vf)_mm512_max_ps((__m512)low, (__m512)x);
}

INLINE vf no_more(vf high, vf x)
{
    return (vf)_mm512_min_ps((__m512)high, (__m512)x);
}
#elif LT_VECTOR_BYTES == 32
typedef const int32_t *lanes; /* a mask in memory; NULL: all, which is known when this is compiled */
#define ALL NULL
static const int32_t masks[2 * VL] = { -1, -1, -1, -1, -1, -1, -1, -1 };

INLINE lanes first_lanes(int n)
{
    return masks + VL - (n < 0 ? 0 : n < VL ? n : VL);
}

INLINE __m256i mask_of(lanes which)
{
    OPAQUE(which); /* read when it is needed: registers are short */
    return _mm256_loadu_si256((const __m256i_u *)(const void *)which);
}

INLINE vf get(const float *p, lanes which)
{
    return which ? (vf)_mm256_maskload_ps(p, mask_of(which)) : (vf)(*(const vf_any *)p);
}

INLINE void put(float *p, lanes which, vf x)
{
    if (which) {
        _mm256_maskstore_ps(p, mask_of(which), (__m256)x);
    } else {
        *(vf_any *)p = x;
    }
}

INLINE vf no_less(vf low, vf x)
{
    return (vf)_mm256_max_ps((__m256)low, (__m256)x);
}

INLINE vf no_more(vf high, vf x)
{
    return (vf)_mm256_min_ps((__m256)high, (__m256)x);
}
#else
typedef int lanes; /* ALL: known when this is compiled */
#define ALL VL

INLINE lanes first_lanes(int n)
{
    return n;
}

INLINE vf get(const float *p, lanes which)
{
    float part[VL] = { 0 };
    vf whole;
    if (which >= VL) {
        return *(const vf_any *)p;
    }
    for (int i = 0; i < which; i++) {
        part[i] = p[i];
    }
    memcpy(&whole, part, sizeof whole);
    return whole;
}

INLINE void put(float *p, lanes which, vf x)
{
    float part[VL];
    if (which >= VL) {
        *(vf_any *)p = x;
        return;
    }
    memcpy(part, &x, sizeof part);
    for (int i = 0; i < which; i++) {
        p[i] = part[i];
    }
}

INLINE vf no_less(vf low, vf x)
{
    return choose(low > x, low, x);
}

INLINE vf no_more(vf high, vf x)
{
    return choose(high < x, high, x);
}
#endif

/* ---- Sums ---- */

/*
 * The sums of two segments of at most seven rows of two vectors. Every access names its element by constants, from the first optimization on: so both
 * compilers keep all of them in registers, which they do not promise for arrays that loops walk.
 */
typedef struct sums {
    vf of[2][LT_BRGEMM_SEGMENT][2];
} sums;
_Static_assert(GEMM_NR == 2 * VL, "a panel is two vectors wide");

#define IF_ROW(g, i, action)                                                                                           \
    if (g < segments && i < rows) {                                                                                    \
        action(g, i)                                                                                                   \
    }
/* What only panels with columns in both vectors need. */
#define RIGHT(statement)                                                                                               \
    if (wide) {                                                                                                        \
        statement;                                                                                                     \
    }
#define SEGMENT_ROWS(g, action)                                                                                        \
    IF_ROW(g, 0, action)                                                                                               \
    IF_ROW(g, 1, action)                                                                                               \
    IF_ROW(g, 2, action)                                                                                               \
    IF_ROW(g, 3, action)                                                                                               \
    IF_ROW(g, 4, action)                                                                                               \
    IF_ROW(g, 5, action)                                                                                               \
    IF_ROW(g, 6, action)
#define ALL_ROWS(action) SEGMENT_ROWS(0, action) SEGMENT_ROWS(1, action)

/* ---- One step of the inner extent ---- */

typedef struct strides { /* of rows, in bytes: three registers reach seven rows */
    ptrdiff_t one, three, five;
} strides;

INLINE const float *row_at(const char *a, strides s, const int i)
{
    return (const float *)(const void *)(i == 0   ? a
                                         : i == 1 ? a + s.one
                                         : i == 2 ? a + 2 * s.one
                                         : i == 3 ? a + s.three
                                         : i == 4 ? a + 4 * s.one
                                         : i == 5 ? a + s.five
                                                  : a + 2 * s.three);
}

/* The sums of one element of the inner extent; moves on to the next. */
INLINE void step(const int segments, const int rows, const bool wide, sums *acc, const char **a0, const char **a1,
                 strides s, const float *b)
{
    vf left = *(const vf *)b, right = wide ? *(const vf *)(b + VL) : left;
    OPAQUE(*a0);
    OPAQUE(*a1);
#define MULTIPLY(g, i)                                                                                                 \
    vf x = splat(*row_at(g ? *a1 : *a0, s, i));                                                                        \
    SUM(acc->of[g][i][0], x, left);                                                                                    \
    RIGHT(SUM(acc->of[g][i][1], x, right))
    ALL_ROWS(MULTIPLY)
    *a0 += sizeof(float);
    *a1 += sizeof(float);
}

/* All of one tap; returns the panel's next row. fetch: the panel may be far away, and *next is wanted soon. */
INLINE const float *one_tap(const int segments, const int rows, const bool wide, const bool fetch, sums *acc,
                            const char *a0, const char *a1, strides s, const float *b, int64_t k, const char **next)
{
    for (; k >= 4; k -= 4, b += 4 * GEMM_NR) {
        for (int line = 0; fetch && line < 4 * GEMM_NR; line += wide || GEMM_NR < 32 ? 16 : 32) {
            __builtin_prefetch(b + AHEAD + line);
        }
        if (fetch) {
            __builtin_prefetch(*next, 0, 2);
            __builtin_prefetch(*next + NEXT / 2, 0, 2);
            *next += NEXT;
        }
        step(segments, rows, wide, acc, &a0, &a1, s, b);
        step(segments, rows, wide, acc, &a0, &a1, s, b + GEMM_NR);
        step(segments, rows, wide, acc, &a0, &a1, s, b + 2 * GEMM_NR);
        step(segments, rows, wide, acc, &a0, &a1, s, b + 3 * GEMM_NR);
    }
    for (; k > 0; k--, b += GEMM_NR) {
        step(segments, rows, wide, acc, &a0, &a1, s, b);
    }
    return b;
}

/* ---- Start and epilogue ---- */

INLINE void resume(const int segments, const int rows, const bool wide, sums *acc, const lt_brgemm_call *call,
                   ptrdiff_t done, lanes left, lanes right)
{
#define RESUME(g, i)                                                                                                   \
    acc->of[g][i][0] = get(call->c[g] + (done + i) * call->ldc, left);                                                 \
    RIGHT(acc->of[g][i][1] = get(call->c[g] + (done + i) * call->ldc + VL, right))
    ALL_ROWS(RESUME)
}

/* Everything is read before anything is stored: the addend may be the result's memory, and segments may share rows. */
INLINE void finish(const int segments, const int rows, const bool wide, sums *acc, const lt_brgemm_call *call,
                   ptrdiff_t done, lanes left, lanes right)
{
#define SCALE(g, i)                                                                                                    \
    acc->of[g][i][0] *= scale;                                                                                         \
    RIGHT(acc->of[g][i][1] *= scale)
#define BIAS(g, i)                                                                                                     \
    acc->of[g][i][0] += bias0;                                                                                         \
    RIGHT(acc->of[g][i][1] += bias1)
#define ADD(g, i)                                                                                                      \
    acc->of[g][i][0] += get(call->add[g] + (done + i) * call->ld_add, left);                                                    \
    RIGHT(acc->of[g][i][1] += get(call->add[g] + (done + i) * call->ld_add + VL, right))
#define LOW(g, i)                                                                                                      \
    acc->of[g][i][0] = no_less(low, acc->of[g][i][0]);                                                                 \
    RIGHT(acc->of[g][i][1] = no_less(low, acc->of[g][i][1]))
#define HIGH(g, i)                                                                                                     \
    acc->of[g][i][0] = no_more(high, acc->of[g][i][0]);                                                                \
    RIGHT(acc->of[g][i][1] = no_more(high, acc->of[g][i][1]))
#define STORE(g, i)                                                                                                    \
    put(call->c[g] + (done + i) * call->ldc, left, acc->of[g][i][0]);                                                           \
    RIGHT(put(call->c[g] + (done + i) * call->ldc + VL, right, acc->of[g][i][1]))
    if (call->scale != 1.0f) {
        vf scale = splat(call->scale);
        ALL_ROWS(SCALE)
    }
    if (call->bias) {
        vf bias0 = get(call->bias, left), bias1 = wide ? get(call->bias + VL, right) : bias0;
        ALL_ROWS(BIAS)
    }
    if (call->add[0]) {
        ALL_ROWS(ADD)
    }
    if (call->low > -__builtin_inff()) {
        vf low = splat(call->low);
        ALL_ROWS(LOW)
    }
    if (call->high < __builtin_inff()) {
        vf high = splat(call->high);
        ALL_ROWS(HIGH)
    }
    ALL_ROWS(STORE)
}

/* Addends are brought nearer while the sums are made: their rows lie far apart, and no processor foresees them. */
INLINE void foresee(const int segments, const int rows, const bool wide, const lt_brgemm_call *call, ptrdiff_t done)
{
#define ADDEND(g, i)                                                                                                   \
    __builtin_prefetch(call->add[g] + (done + i) * call->ld_add);                                                               \
    if (wide && LT_VECTOR_BYTES == 64) {                                                                               \
        __builtin_prefetch(call->add[g] + (done + i) * call->ld_add + VL);                                                      \
    }
    ALL_ROWS(ADDEND)
}

/* One block of rows, `done` rows behind the call's. */
INLINE void one_block(const int segments, const int rows, const bool wide, const lt_brgemm_call *call, strides s,
                      ptrdiff_t done)
{
#define CLEAR(g, i) acc.of[g][i][0] = acc.of[g][i][1] = (vf){ 0 };
    sums acc;
    const float *b = call->b;
    /* Fetching takes its part of the instructions, so it is for panels that come from far away: new ones, and those that no first-level cache holds. */
    const char *next = (const char *)(call->next || (!ONE_FORM && call->taps * call->k < LONG) ? call->next : call->b);
    if (call->add[0]) {
        foresee(segments, rows, wide, call, done);
    }
    ALL_ROWS(CLEAR)
    if (call->accumulate) {
        resume(segments, rows, wide, &acc, call, done, wide ? ALL : first_lanes(call->cols),
               first_lanes(call->cols - VL));
    }
    for (int64_t t = 0; t < call->taps; t++) {
        int64_t at = (call->tap ? call->tap[t] : 0) + done * call->lda;
        const char *a0 = (const char *)(call->a[0] + at), *a1 = (const char *)(call->a[segments - 1] + at);
        b = ONE_FORM || next ? one_tap(segments, rows, wide, true, &acc, a0, a1, s, b, call->k, &next)
                 : one_tap(segments, rows, wide, false, &acc, a0, a1, s, b, call->k, &next);
    }
    /* Masks only where they are needed: some processors take a long time over each masked store. Those with AVX-512 do not. */
    if (!ONE_FORM && call->cols == (wide ? GEMM_NR : VL)) {
        finish(segments, rows, wide, &acc, call, done, ALL, ALL);
    } else {
        finish(segments, rows, wide, &acc, call, done, wide ? ALL : first_lanes(call->cols),
               first_lanes(call->cols - VL));
    }
}

INLINE void product(const int segments, const int rows, const bool wide, const lt_brgemm_call *call)
{
    ptrdiff_t lda = (ptrdiff_t)(call->lda * (int64_t)sizeof(float)), done = 0;
    strides s = { lda, 3 * lda, 5 * lda };
    OPAQUE(s.three);
    OPAQUE(s.five);
    for (int64_t i = 0; i <= call->again; i++, done += segments * rows) {
        one_block(segments, rows, wide, call, s, done);
    }
}

/* Panels with columns in the left vector only are half the work. */
#define KERNEL(name, segments, rows)                                                                                   \
    static __attribute__((noinline)) void name##_##rows##_left(const lt_brgemm_call *call)                             \
    {                                                                                                                  \
        product(segments, rows, false, call);                                                                          \
    }                                                                                                                  \
    static void name##_##rows(const lt_brgemm_call *call)                                                              \
    {                                                                                                                  \
        if (call->cols <= VL) {                                                                                        \
            name##_##rows##_left(call);                                                                                \
            return;                                                                                                    \
        }                                                                                                              \
        product(segments, rows, true, call);                                                                           \
    }
#define KERNELS(rows) KERNEL(one, 1, rows) KERNEL(two, 2, rows)
/* Only for panels with columns in the left vector. */
#define NARROW_KERNEL(name, segments, rows)                                                                            \
    static void name##_##rows(const lt_brgemm_call *call)                                                              \
    {                                                                                                                  \
        product(segments, rows, false, call);                                                                          \
    }
#define NARROW_KERNELS(rows) NARROW_KERNEL(one, 1, rows) NARROW_KERNEL(two, 2, rows)

KERNELS(1)
KERNELS(2)
#if LT_VECTOR_BYTES >= 32
KERNELS(3)
#endif
#if LT_VECTOR_BYTES >= 64
KERNELS(4)
KERNELS(5)
KERNELS(6)
KERNELS(7)
#define TABLE(name)                                                                                                    \
    {                                                                                                                  \
        NULL, name##_1, name##_2, name##_3, name##_4, name##_5, name##_6, name##_7                                     \
    }
#elif LT_VECTOR_BYTES >= 32
NARROW_KERNELS(4)
NARROW_KERNELS(5)
NARROW_KERNELS(6)
#define TABLE(name)                                                                                                    \
    {                                                                                                                  \
        NULL, name##_1, name##_2, name##_3, name##_4, name##_5, name##_6                                               \
    }
#else
#define TABLE(name)                                                                                                    \
    {                                                                                                                  \
        NULL, name##_1, name##_2                                                                                       \
    }
#endif

const lt_brgemm LT_EACH(lt_brgemm) = {
    .segment = SEGMENT, .narrow = NARROW, .nr = GEMM_NR, .one = TABLE(one), .two = TABLE(two)
};
