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

/* Weight `t` of each word: 2 to the power of 23 - bits * t, plus its level. */
INLINE vf raised(vu words, const int bits, const int t)
{
    uint32_t mask = ((1u << bits) - 1) << (bits * t), power = (uint32_t)(127 + 23 - bits * t) << 23;
    return (vf)((words & mask) | power);
}

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
    vf scale[4], less[4][MOST]; /* less: what is taken off weight t of half a word */
} place;

INLINE void enter_block(const lt_blocks *w, const int bits, const int vectors, int64_t panel, int64_t b, place *p)
{
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) {
        int64_t at = ((panel + v / 2) * w->blocks + b) * NR + v % 2 * VL;
        vf zero = zeros_at(w, at);
        p->scale[v] = *(const vf *)(w->scale + at);
#pragma GCC unroll 8
        for (int t = 0; t < 16 / bits; t++) {
            p->less[v][t] = zero + splat((float)(1 << (23 - bits * t)));
        }
        p->words[v / 2] = w->words + ((panel + v / 2) * w->rows + b * w->rows_block) * NR;
    }
}

/* ---- Few rows ---- */

typedef struct sums {
    vf of[LT_BLOCKS_ROWS][4];
} sums;

/* Weight `t` of the words for all rows; a: their elements. */
INLINE void add_weight(const int bits, const int rows, const int vectors, const place *p, const vu *words, const int t, const float *a,
                       int64_t lda, sums *acc)
{
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) {
        vf weight = (raised(words[v], bits, t) - p->less[v][t]) * p->scale[v];
#pragma GCC unroll 4
        for (int i = 0; i < rows; i++) {
            acc->of[i][v] = MULTIPLY_ADD(splat(a[i * lda]), weight, acc->of[i][v]);
        }
    }
}

INLINE void one_block(const int bits, const int rows, const int vectors, place *p, const float *a, int64_t lda, int64_t k, sums *acc)
{
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
            for (int t = 0; t < k; t++) {
                add_weight(bits, rows, vectors, p, words, 0, a + t, lda, acc);
                for (int v = 0; v < vectors; v++) {
                    words[v] >>= bits;
                }
            }
            return;
        }
#pragma GCC unroll 2
        for (int half = 0; half < 2; half++) {
#pragma GCC unroll 8
            for (int t = 0; t < 16 / bits; t++) {
                add_weight(bits, rows, vectors, p, words, t, a + half * (16 / bits) + t, lda, acc);
            }
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++) {
                words[v] >>= 16;
            }
        }
    }
}

INLINE void walk(const lt_blocks *w, const int bits, const int rows, const int vectors, int64_t panel, const float *a, int64_t lda, float *c,
                 int64_t ldc)
{
    sums acc;
#pragma GCC unroll 4
    for (int i = 0; i < rows; i++) {
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) {
            acc.of[i][v] = (vf){ 0 };
        }
    }
    for (int64_t b = 0; b < w->blocks; b++) {
        int64_t first = b * w->block, left = w->k - first;
        place p;
        enter_block(w, bits, vectors, panel, b, &p);
        one_block(bits, rows, vectors, &p, a + first, lda, left < w->block ? left : w->block, &acc);
    }
#pragma GCC unroll 4
    for (int i = 0; i < rows; i++) {
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) {
            *(vf *)(c + i * ldc + v * VL) = acc.of[i][v];
        }
    }
}

/* More rows than one take the panels one by one: registers are short. */
INLINE void walk_rows(const lt_blocks *w, const int bits, const int rows, int64_t panel, int panels, const float *a, int64_t lda, float *c,
                      int64_t ldc)
{
    if (rows == 1 && panels == 2) {
        walk(w, bits, rows, 4, panel, a, lda, c, ldc);
        return;
    }
    for (int i = 0; i < panels; i++) {
        walk(w, bits, rows, 2, panel + i, a, lda, c + i * NR, ldc);
    }
}

INLINE void walk_bits(const lt_blocks *w, const int bits, int64_t panel, int panels, int rows, const float *a, int64_t lda, float *c,
                      int64_t ldc)
{
    switch (rows) {
    case 1:
        walk_rows(w, bits, 1, panel, panels, a, lda, c, ldc);
        break;
    case 2:
        walk_rows(w, bits, 2, panel, panels, a, lda, c, ldc);
        break;
    case 3:
        walk_rows(w, bits, 3, panel, panels, a, lda, c, ldc);
        break;
    default:
        walk_rows(w, bits, 4, panel, panels, a, lda, c, ldc);
        break;
    }
}

static void few_rows(const lt_blocks *w, int64_t panel, int panels, int rows, const float *a, int64_t lda, float *c, int64_t ldc)
{
    switch (w->bits) {
    case 2:
        walk_bits(w, 2, panel, panels, rows, a, lda, c, ldc);
        break;
    case 4:
        walk_bits(w, 4, panel, panels, rows, a, lda, c, ldc);
        break;
    default:
        walk_bits(w, 8, panel, panels, rows, a, lda, c, ldc);
        break;
    }
}

/* ---- Whole panels ---- */

/* Weight `t` of the words, a line of the panel. */
INLINE void put_weight(const int bits, const place *p, const vu *words, const int t, float *dst)
{
    *(vf *)dst = (raised(words[0], bits, t) - p->less[0][t]) * p->scale[0];
    *(vf *)(dst + VL) = (raised(words[1], bits, t) - p->less[1][t]) * p->scale[1];
}

INLINE float *put_block(const int bits, const place *p, int64_t k, float *dst)
{
    const uint32_t *from = p->words[0];
    for (; k >= 32 / bits; k -= 32 / bits, from += NR) {
        vu words[2] = { *(const vu *)from, *(const vu *)(from + VL) };
#pragma GCC unroll 2
        for (int half = 0; half < 2; half++) {
#pragma GCC unroll 8
            for (int t = 0; t < 16 / bits; t++, dst += NR) {
                put_weight(bits, p, words, t, dst);
            }
            words[0] >>= 16;
            words[1] >>= 16;
        }
    }
    if (k > 0) {
        vu words[2] = { *(const vu *)from, *(const vu *)(from + VL) };
        for (int t = 0; t < k; t++, dst += NR) {
            put_weight(bits, p, words, 0, dst);
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
        enter_block(w, bits, 2, panel, b, &p);
        dst = put_block(bits, &p, left < w->block ? left : w->block, dst);
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
