/*
 * gemm_blocks__each.c - tactic gemm.blocks.LEVEL: the kernels of lathe.MatMulBlocks at each level of the instruction set. gemm_blocks.c drives them.
 *
 * A level becomes a float without a conversion: its bits are put into the fraction of a power of two so large that the fraction counts whole numbers, and
 * the power is taken off together with the zero point, which is exact. Fractions have 23 bits, so that the lower half of a word needs no shift at all.
 */
#include "backend/cpu/gemm_blocks.h"
#include "backend/cpu/vectors.inc"

#include "backend/cpu/vector_math.inc"

enum { NR = GEMM_NR, MOST = 8 }; /* MOST: weights in half a word */
_Static_assert(NR == 2 * VL, "a panel is two vectors wide");

/*
 * With eight lanes and fused operations one step less is needed where the zero point times the scale is a number without rounding: a level is converted, and
 * (level - zero) * scale is then level * scale - zero * scale, rounded once. So it is wherever zero points are powers of two or scales came from halves.
 */
#if defined(__FMA__) && LT_VECTOR_BYTES == 32
#define MAY_FUSE 1
#else
#define MAY_FUSE 0
#endif

/* Zero points of one vector of columns in block b, as numbers. */
INLINE vf zeros_at(const lt_blocks *w, int64_t at)
{
    if (!w->zero) {
        return splat((float)w->middle);
    }
#if defined(__AVX512F__)
    return (vf)_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i_u *)(const void *)(w->zero + at))));
#elif defined(__AVX2__)
    return (vf)_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i_u *)(const void *)(w->zero + at))));
#else
    vf x;
    for (int i = 0; i < VL; i++) {
        x[i] = w->zero[at + i];
    }
    return x;
#endif
}

/* One or two panels at one block. */
typedef struct place {
    const uint32_t *words[2];
    vf by[4][MOST]; /* for weight t of half a word: the power of two that it is put into, plus the zero point; fused: the scale, less by its place */
    vf last[4];     /* the scale; fused: the zero point times the scale, taken off */
} place;

/* Sets the numbers of a block for fused steps. false: something would be rounded, or is no number. */
INLINE bool fuse(const int bits, const int vectors, const vf *zero, const vf *scale, place *p)
{
#if MAY_FUSE
    const int steps = 16 / bits;
    vi bad = { 0 };
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) {
        vf off = zero[v] * scale[v];
#pragma GCC unroll 8
        for (int t = 0; t < steps; t++) {
            p->by[v][t] = scale[v] * splat(1.0f / (float)(1 << (bits * t)));
        }
        p->last[v] = -off;
        bad |= (vi)(MULTIPLY_ADD(zero[v], scale[v], -off) != splat(0.0f)) |
               (vi)(p->by[v][steps - 1] * splat((float)(1 << (bits * (steps - 1)))) != scale[v]);
    }
    return _mm256_movemask_ps((__m256)bad) == 0;
#else
    (void)bits, (void)vectors, (void)zero, (void)scale, (void)p;
    return false;
#endif
}

/* Goes to block b. false: its steps cannot be fused, as is wanted. */
INLINE bool enter_block(const lt_blocks *w, const int bits, const bool fused, const int vectors, int64_t panel, int64_t b, place *p)
{
    const int half_word = 16 / bits; /* weights of half a word */
    vf zero[4], scale[4];
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) {
        int64_t at = ((panel + v / 2) * w->blocks + b) * NR + v % 2 * VL;
        zero[v] = zeros_at(w, at);
        scale[v] = *(const vf *)(w->scale + at);
        p->words[v / 2] = w->words + ((panel + v / 2) * w->rows + b * w->rows_block) * NR;
    }
    if (fused) {
        return fuse(bits, vectors, zero, scale, p);
    }
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) {
        p->last[v] = scale[v];
#pragma GCC unroll 8
        for (int t = 0; t < half_word; t++) {
            p->by[v][t] = zero[v] + splat((float)(1 << (23 - bits * t)));
        }
    }
    return true;
}

/* Weight `t` of the words of vector v. */
INLINE vf weight_of(const int bits, const bool fused, const place *p, vu words, const int v, const int t)
{
    vu level = words & (((1u << bits) - 1) << (bits * t));
    if (fused) {
        return MULTIPLY_ADD(__builtin_convertvector((vi)level, vf), p->by[v][t], p->last[v]);
    }
    return ((vf)(level | (uint32_t)(127 + 23 - bits * t) << 23) - p->by[v][t]) * p->last[v];
}

/* ---- Few rows ---- */

typedef struct sums {
    vf of[2][4];
} sums;

/* Weight `t` of the words for all rows; a: their elements. */
INLINE void add_weight(const int bits, const bool fused, const int rows, const int vectors, const place *p, const vu *words, const int t,
                       const float *a, int64_t lda, sums *acc)
{
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) {
        vf weight = weight_of(bits, fused, p, words[v], v, t);
#pragma GCC unroll 4
        for (int i = 0; i < rows; i++) {
            acc->of[i][v] = MULTIPLY_ADD(splat(a[i * lda]), weight, acc->of[i][v]);
        }
    }
}

INLINE void one_block(const int bits, const bool fused, const int rows, const int vectors, place *p, const float *a, int64_t lda, int64_t k,
                      sums *acc)
{
    const int half_word = 16 / bits; /* weights of half a word */
    vu words[4];
    for (; k > 0; k -= 32 / bits, a += 32 / bits) {
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) {
            words[v] = *(const vu *)(p->words[v / 2] + v % 2 * VL);
        }
        p->words[0] += NR;
        if (vectors > 2) {
            p->words[1] += NR;
        }
        if (k < 32 / bits) { /* the end of a block that does not fill its words */
#pragma GCC unroll 1
            for (int t = 0; t < k; t++) {
                add_weight(bits, fused, rows, vectors, p, words, 0, a + t, lda, acc);
                for (int v = 0; v < vectors; v++) {
                    words[v] >>= bits;
                }
            }
            return;
        }
#pragma GCC unroll 2
        for (int half = 0; half < 2; half++) {
#pragma GCC unroll 8
            for (int t = 0; t < half_word; t++) {
                add_weight(bits, fused, rows, vectors, p, words, t, a + half * half_word + t, lda, acc);
            }
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++) {
                words[v] >>= 16;
            }
        }
    }
}

/* Blocks from b on, to the first one whose steps cannot be fused, as is wanted; returns that one. Sums go on from c. */
INLINE int64_t walk(const lt_blocks *w, const int bits, const bool fused, const int rows, const int vectors, int64_t panel, int64_t b,
                    const float *a, int64_t lda, float *c, int64_t ldc)
{
    sums acc;
#pragma GCC unroll 4
    for (int i = 0; i < rows; i++) {
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) {
            acc.of[i][v] = *(const vf *)(c + i * ldc + v * VL);
        }
    }
    for (; b < w->blocks; b++) {
        int64_t first = b * w->block, left = w->k - first;
        place p;
        if (!enter_block(w, bits, fused, vectors, panel, b, &p)) {
            break;
        }
        one_block(bits, fused, rows, vectors, &p, a + first, lda, left < w->block ? left : w->block, &acc);
    }
#pragma GCC unroll 4
    for (int i = 0; i < rows; i++) {
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) {
            *(vf *)(c + i * ldc + v * VL) = acc.of[i][v];
        }
    }
    return b;
}

/* A function of its own for each kind of steps: together, compilers do not keep the sums in registers. */
typedef int64_t (*walk_fn)(const lt_blocks *w, int64_t panel, int64_t b, const float *a, int64_t lda, float *c, int64_t ldc);

#define WALK(bits, fused, rows, vectors)                                                                                \
    static int64_t walk_##bits##_##fused##_##rows##x##vectors(const lt_blocks *w, int64_t panel, int64_t b, const float *a, int64_t lda,   \
                                                              float *c, int64_t ldc)                                    \
    {                                                                                                                   \
        return walk(w, bits, fused, rows, vectors, panel, b, a, lda, c, ldc);                                           \
    }
#define WALKS(bits, fused)                                                                                              \
    WALK(bits, fused, 1, 4)                                                                                             \
    WALK(bits, fused, 1, 2)                                                                                             \
    WALK(bits, fused, 2, 2)
#define NAMES(bits, fused)                                                                                              \
    {                                                                                                                   \
        walk_##bits##_##fused##_1x4, walk_##bits##_##fused##_1x2, walk_##bits##_##fused##_2x2                           \
    }

WALKS(2, 0)
WALKS(4, 0)
WALKS(8, 0)
#if MAY_FUSE
WALKS(2, 1)
WALKS(4, 1)
WALKS(8, 1)
#endif

/* By bits, by fused steps, by rows; [0]: one row and two panels. */
static const walk_fn walks[3][2][3] = {
#if MAY_FUSE
    { NAMES(2, 0), NAMES(2, 1) },
    { NAMES(4, 0), NAMES(4, 1) },
    { NAMES(8, 0), NAMES(8, 1) },
#else
    { NAMES(2, 0) },
    { NAMES(4, 0) },
    { NAMES(8, 0) },
#endif
};

/* One row or two of one panel, or one of two. */
static void pair(const lt_blocks *w, int64_t panel, int panels, int rows, const float *a, int64_t lda, float *c, int64_t ldc)
{
    const walk_fn(*of)[3] = walks[w->bits == 2 ? 0 : w->bits == 4 ? 1 : 2];
    int at = panels == 2 ? 0 : rows;
    int64_t b = MAY_FUSE ? of[1][at](w, panel, 0, a, lda, c, ldc) : 0;
    if (b < w->blocks) {
        (void)of[0][at](w, panel, b, a, lda, c, ldc);
    }
}

/* Two rows at a time: more sums than those of four vectors do not stay in registers beside the weights. */
static void few_rows(const lt_blocks *w, int64_t panel, int panels, int rows, const float *a, int64_t lda, float *c, int64_t ldc)
{
    for (int i = 0; i < rows; i++) {
        memset(c + i * ldc, 0, (size_t)(panels * NR) * sizeof *c);
    }
    for (int i = 0; i < rows; i += 2, a += 2 * lda, c += 2 * ldc) {
        if (i + 1 == rows) {
            pair(w, panel, panels, 1, a, lda, c, ldc);
            continue;
        }
        for (int j = 0; j < panels; j++) {
            pair(w, panel + j, 1, 2, a, lda, c + j * NR, ldc);
        }
    }
}

/* ---- Whole panels ---- */

/* Weight `t` of the words, a line of the panel. */
INLINE void put_weight(const int bits, const bool fused, const place *p, const vu *words, const int t, float *dst)
{
    *(vf *)dst = weight_of(bits, fused, p, words[0], 0, t);
    *(vf *)(dst + VL) = weight_of(bits, fused, p, words[1], 1, t);
}

INLINE float *put_block(const int bits, const bool fused, const place *p, int64_t k, float *dst)
{
    const int half_word = 16 / bits; /* weights of half a word */
    const uint32_t *from = p->words[0];
    for (; k >= 32 / bits; k -= 32 / bits, from += NR) {
        vu words[2] = { *(const vu *)from, *(const vu *)(from + VL) };
#pragma GCC unroll 2
        for (int half = 0; half < 2; half++) {
#pragma GCC unroll 8
            for (int t = 0; t < half_word; t++, dst += NR) {
                put_weight(bits, fused, p, words, t, dst);
            }
            words[0] >>= 16;
            words[1] >>= 16;
        }
    }
    if (k > 0) {
        vu words[2] = { *(const vu *)from, *(const vu *)(from + VL) };
#pragma GCC unroll 1
        for (int t = 0; t < k; t++, dst += NR) {
            put_weight(bits, fused, p, words, 0, dst);
            words[0] >>= bits;
            words[1] >>= bits;
        }
    }
    return dst;
}

INLINE void put_panel(const lt_blocks *w, const int bits, int64_t panel, float *dst)
{
    for (int64_t b = 0; b < w->blocks; b++) {
        int64_t left = w->k - b * w->block;
        place p;
        left = left < w->block ? left : w->block;
        if (MAY_FUSE && enter_block(w, bits, true, 2, panel, b, &p)) {
            dst = put_block(bits, true, &p, left, dst);
        } else {
            (void)enter_block(w, bits, false, 2, panel, b, &p);
            dst = put_block(bits, false, &p, left, dst);
        }
    }
}

static void whole_panel(const lt_blocks *w, int64_t panel, float *dst)
{
    switch (w->bits) {
    case 2:
        put_panel(w, 2, panel, dst);
        break;
    case 4:
        put_panel(w, 4, panel, dst);
        break;
    default:
        put_panel(w, 8, panel, dst);
        break;
    }
}

/* ---- The tactic ---- */

static const lt_blocks_level level = { .isa = &ISA, .rows = few_rows, .panel = whole_panel };

static int fits(const lathe_problem *problem, uint32_t config, lathe_fit *fit)
{
    return lt_gemm_blocks_fits(&level, problem, config, fit);
}

static size_t scratch(const lathe_problem *problem, uint32_t config, const lathe_buffer *in, const lathe_buffer *out, int threads)
{
    return lt_gemm_blocks_scratch(&level, problem, config, in, out, threads);
}

static lathe_status run(const lathe_gang *gang, const lathe_call *call, lathe_diag *diag)
{
    return lt_gemm_blocks_run(&level, gang, call, diag);
}

LT_TACTICS(LT_EACH(gemm_blocks)) = {
    { .struct_size = sizeof(lathe_tactic),
      .name = "gemm.blocks." ISA_NAME,
      .version = 1,
      .summary = "products with constant weights of 2, 4 or 8 bits that stay packed, a scale for each block",
      .ops = "lathe.MatMulBlocks",
      .device = LATHE_SPACE_HOST,
      .cpu_features = ISA_FEATURES,
      .configs = 1,
      .fits = fits,
      .scratch_bytes = scratch,
      .run = run },
    { .name = NULL },
};
