/*
 * attention__each.c - tactic attention.f32.LEVEL: lathe.PackedAttention block by block, at each level of the instruction set.
 *
 * Keys and values of a head are packed into panels once; then blocks of query rows meet blocks of keys: products of the batch-reduce kernel, addends and
 * the largest score, exponentials, products with the values. Sums of earlier blocks are rescaled when a later block holds a larger score, so that
 * memory grows with rows, not with rows times keys. Cuts depend on extents alone: bits do not depend on the number of threads.
 */
#include "backend/cpu/brgemm.h"
#include "backend/cpu/vectors.inc"

#include "backend/cpu/vector_math.inc"

typedef float vf_any
    __attribute__((vector_size(LT_VECTOR_BYTES), may_alias, aligned(4))); /* at any address of a float */

enum { NR = GEMM_NR, ROWS = 56, KEYS = 256, ADDENDS = 8, Q = 0, K = 1, V = 2 };

#define BRGEMM   LT_EACH(lt_brgemm)
#define INFINITE __builtin_inff()

/* ---- Vectors ---- */

#if LT_VECTOR_BYTES == 64
#define LARGER(a, b) ((vf)_mm512_max_ps((__m512)(a), (__m512)(b))) /* of a NaN and x: b */
#define ZERO_BELOW(x, limit, y)                                                                                        \
    ((vf)_mm512_maskz_mov_ps(_mm512_cmp_ps_mask((__m512)(x), (__m512)(limit), _CMP_NLT_UQ), (__m512)(y)))
#elif LT_VECTOR_BYTES == 32
#define LARGER(a, b) ((vf)_mm256_max_ps((__m256)(a), (__m256)(b)))
#define ZERO_BELOW(x, limit, y)                                                                                        \
    ((vf)_mm256_and_ps(_mm256_cmp_ps((__m256)(x), (__m256)(limit), _CMP_NLT_UQ), (__m256)(y)))
#else
#define LARGER(a, b)            choose((a) > (b), a, b)
#define ZERO_BELOW(x, limit, y) choose((x) < (limit), splat(0.0f), y)
#endif

/*
 * exp(x) of differences from the largest score: x <= 0, -inf or NaN. What would be subnormal is 0; everything else as in vexp, with fewer steps, since the
 * range is known and products may be fused.
 */
INLINE vf weight(vf x)
{
    vf least = splat(-87.33654f), magic = splat(12582912.0f);
    vf t = LARGER(least, x), shifted = MULTIPLY_ADD(t, splat(1.44269504f), magic), n = shifted - magic;
    vf r = MULTIPLY_ADD(n, splat(-0.693359375f), t);
    r = MULTIPLY_ADD(n, splat(2.12194440e-4f), r);
    vf p = MULTIPLY_ADD(r, splat(1.390152973e-3f), splat(8.363739844e-3f));
    p = MULTIPLY_ADD(p, r, splat(4.166686098e-2f));
    p = MULTIPLY_ADD(p, r, splat(1.666657369e-1f));
    p = MULTIPLY_ADD(p, r, splat(4.999999953e-1f));
    p = MULTIPLY_ADD(p, r, splat(1.0f));
    p = MULTIPLY_ADD(p, r, splat(1.0f));
    return ZERO_BELOW(x, least, p * (vf)((vi)((vu)shifted << 23) + (127 << 23)));
}

/* The first lanes of a vector in memory, zeros behind them. */
INLINE vf first_of(const float *x, int64_t left)
{
    if (left >= VL) {
        return *(const vf_any *)x;
    }
#if LT_VECTOR_BYTES == 64
    return (vf)_mm512_maskz_loadu_ps((__mmask16)((1u << left) - 1), x);
#else
    float lane[VL] = { 0 };
    vf v;
    for (int64_t i = 0; i < left; i++) {
        lane[i] = x[i];
    }
    memcpy(&v, lane, sizeof v);
    return v;
#endif
}

INLINE float lanes_largest(vf v)
{
#if LT_VECTOR_BYTES == 64
    return _mm512_reduce_max_ps((__m512)v);
#else
    float lane[VL];
    memcpy(lane, &v, sizeof lane);
    for (int half = VL / 2; half > 0; half /= 2) {
        for (int i = 0; i < half; i++) {
            lane[i] = lane[i + half] > lane[i] ? lane[i + half] : lane[i];
        }
    }
    return lane[0];
#endif
}

INLINE float lanes_total(vf v)
{
#if LT_VECTOR_BYTES == 64
    return _mm512_reduce_add_ps((__m512)v);
#else
    float lane[VL];
    memcpy(lane, &v, sizeof lane);
    for (int half = VL / 2; half > 0; half /= 2) {
        for (int i = 0; i < half; i++) {
            lane[i] += lane[i + half];
        }
    }
    return lane[0];
#endif
}

INLINE vf lane_numbers(void)
{
    int32_t lane[VL];
    vi v;
    for (int l = 0; l < VL; l++) {
        lane[l] = l;
    }
    memcpy(&v, lane, sizeof v);
    return __builtin_convertvector(v, vf);
}

/* The first lanes, -inf behind them. */
INLINE vf only_first(vf v, int64_t left)
{
    return left >= VL ? (vf)v : (vf)choose(lane_numbers() < splat((float)left), v, splat(-INFINITE));
}

/* ---- The work of a thread ---- */

typedef struct attention {
    lt_attention a;
    const float *q, *k, *v;
    float *y;
    const void *addend[ADDENDS];
    lt_attention_addend walk[ADDENDS];
    bool mask[ADDENDS]; /* bytes; false hides */
    int n;
    bool plain; /* addends are rows of numbers that nobody asks about afterwards: the first joins the product */
    /* Scratch of the thread. */
    float *keys, *values, *scores, *sums;
    float *top, *total, *open;                /* of each row: largest score, sum of weights, largest sum of addends */
    int64_t ld_scores, ld_sums, batch, group; /* what keys and values hold; batch -1: nothing */
} attention;

ASKED static int64_t round_up(int64_t n, int64_t to)
{
    return (n + to - 1) / to * to;
}

/* Four by four numbers turned. dst rows are NR apart. */
typedef float v4 __attribute__((vector_size(16), may_alias, aligned(4)));

INLINE void turn4(float *dst, const float *src, int64_t step)
{
    v4 a = *(const v4 *)src, b = *(const v4 *)(src + step), c = *(const v4 *)(src + 2 * step),
       d = *(const v4 *)(src + 3 * step);
    v4 ab0 = __builtin_shufflevector(a, b, 0, 4, 1, 5), ab1 = __builtin_shufflevector(a, b, 2, 6, 3, 7);
    v4 cd0 = __builtin_shufflevector(c, d, 0, 4, 1, 5), cd1 = __builtin_shufflevector(c, d, 2, 6, 3, 7);
    *(v4 *)dst = __builtin_shufflevector(ab0, cd0, 0, 1, 4, 5);
    *(v4 *)(dst + NR) = __builtin_shufflevector(ab0, cd0, 2, 3, 6, 7);
    *(v4 *)(dst + 2 * NR) = __builtin_shufflevector(ab1, cd1, 0, 1, 4, 5);
    *(v4 *)(dst + 3 * NR) = __builtin_shufflevector(ab1, cd1, 2, 3, 6, 7);
}

/* Up to NR keys as columns: dst[d][j] = k[j][d]; the rest of a panel is zero. */
static void pack_keys(float *dst, const float *k, const lt_attention_steps *s, int64_t head, int count)
{
    if (count < NR) {
        memset(dst, 0, (size_t)head * NR * sizeof *dst);
    }
    if (s->row == 1) {
        for (int64_t d = 0; d < head; d++) {
            memcpy(dst + d * NR, k + d * s->lane, (size_t)count * sizeof *dst);
        }
        return;
    }
    int j = 0;
    for (; j + 4 <= count; j += 4) {
        int64_t d = 0;
        for (; d + 4 <= head; d += 4) {
            turn4(dst + d * NR + j, k + j * s->row + d, s->row);
        }
        for (; d < head; d++) {
            for (int i = 0; i < 4; i++) {
                dst[d * NR + j + i] = k[(j + i) * s->row + d];
            }
        }
    }
    for (; j < count; j++) {
        for (int64_t d = 0; d < head; d++) {
            dst[d * NR + j] = k[j * s->row + d];
        }
    }
}

/* Up to NR lanes of all values: dst[j][d] = v[j][d]. */
static void pack_values(float *dst, const float *v, int64_t row, int64_t rows, int count)
{
    for (int64_t j = 0; j < rows; j++, dst += NR, v += row) {
        if (count == NR) {
            *(vf *)dst = *(const vf_any *)v;
            *(vf *)(dst + VL) = *(const vf_any *)(v + VL);
        } else {
            memset(dst, 0, NR * sizeof *dst);
            memcpy(dst, v, (size_t)count * sizeof *dst);
        }
    }
}

static void load_head(attention *t, int64_t batch, int64_t group)
{
    const lt_attention *a = &t->a;
    if (t->batch == batch && t->group == group) {
        return;
    }
    t->batch = batch;
    t->group = group;
    const float *k = t->k + a->k.first + batch * a->k.batch + group * a->k.head,
                *v = t->v + a->v.first + batch * a->v.batch + group * a->v.head;
    for (int64_t j = 0; j < a->k_len; j += NR) {
        pack_keys(t->keys + j * a->head, k + j * a->k.row, &a->k, a->head,
                  (int)(a->k_len - j < NR ? a->k_len - j : NR));
    }
    for (int64_t d = 0; d < a->v_head; d += NR) {
        pack_values(t->values + d * a->k_len, v + d, a->v.row, a->k_len,
                    (int)(a->v_head - d < NR ? a->v_head - d : NR));
    }
}

/* ---- One row of scores ---- */

/* A vector of an addend's row, from key j on; behind the last key 0. */
INLINE vf addend_at(const attention *t, int i, int64_t row, int64_t j, int64_t left)
{
    int64_t at = row + j * t->walk[i].step[3];
    if (t->mask[i]) {
        const uint8_t *m = (const uint8_t *)t->addend[i] + at;
        float lane[VL];
        for (int l = 0; l < VL; l++) {
            lane[l] = l < left && !m[l * t->walk[i].step[3]] ? -INFINITE : 0.0f;
        }
        vf v;
        memcpy(&v, lane, sizeof v);
        return v;
    }
    const float *x = (const float *)t->addend[i] + at;
    return t->walk[i].step[3] == 0 ? (vf)splat(*x) : (vf)first_of(x, left);
}

/* Soft cap, addends, causality; behind the last key -inf. Returns the largest score. */
static float finish_scores(const attention *t, float *x, const int64_t *rows, int64_t first, int64_t n, int64_t last,
                           float *open)
{
    vf top = splat(-INFINITE), most = top, cap = splat(t->a.softcap), numbers = lane_numbers();
    for (int64_t j = 0; j < n; j += VL) {
        vf s = *(const vf *)(x + j), sum = splat(0.0f);
        if (t->a.softcap > 0) {
            s = cap * vtanh(s / cap);
        }
        for (int i = 0; i < t->n; i++) {
            sum += addend_at(t, i, rows[i], first + j, n - j);
        }
        int64_t visible = last - (first + j); /* keys of this vector that the row may see */
        if (visible < VL) {
            sum = choose(numbers < splat((float)(visible < 0 ? 0 : visible)), sum, splat(-INFINITE));
        }
        s += sum;
        most = LARGER(most, sum);
        *(vf *)(x + j) = s;
        top = LARGER(top, s);
    }
    *open = lanes_largest(most);
    return lanes_largest(top);
}

/* The same when all that is left to do is to add rows of numbers, of addends from `from` on. */
static float add_rows(const attention *t, float *x, const int64_t *rows, int from, int64_t first, int64_t n)
{
    vf a = splat(-INFINITE), b = a;
    for (int i = from; i < t->n; i++) {
        const float *y = (const float *)t->addend[i] + rows[i] + first;
        for (int64_t j = 0; j < n; j += VL) {
            *(vf *)(x + j) += first_of(y + j, n - j);
        }
    }
    int64_t j = 0;
    for (; j + 2 * VL <= n; j += 2 * VL) {
        a = LARGER(a, *(const vf *)(x + j));
        b = LARGER(b, *(const vf *)(x + j + VL));
    }
    for (; j < n; j += VL) {
        vf v = only_first(*(const vf *)(x + j), n - j);
        *(vf *)(x + j) = v;
        a = LARGER(a, v);
    }
    return lanes_largest(LARGER(a, b));
}

/* Scores become weights; returns their sum. */
static float weigh(float *x, int64_t n, float top)
{
    vf base = splat(top), a = splat(0.0f), b = a;
    int64_t j = 0;
    for (; j + VL < n; j += 2 * VL) {
        vf e = weight(*(const vf *)(x + j) - base), f = weight(*(const vf *)(x + j + VL) - base);
        *(vf *)(x + j) = e;
        *(vf *)(x + j + VL) = f;
        a += e;
        b += f;
    }
    if (j < n) {
        vf e = weight(*(const vf *)(x + j) - base);
        *(vf *)(x + j) = e;
        a += e;
    }
    return lanes_total(a + b);
}

/* ---- A block of rows against a block of keys ---- */

typedef struct block {
    int64_t batch, head, row, rows; /* queries */
    int64_t key, keys;
    bool first;
} block;

static int64_t addend_row(const lt_attention_addend *w, int64_t batch, int64_t head, int64_t row)
{
    return batch % w->period * w->step[0] + head * w->step[1] + row * w->step[2];
}

static void score_block(const attention *t, const block *b)
{
    const lt_attention *a = &t->a;
    lt_brgemm_call call = { .lda = a->q.row,
                            .taps = 1,
                            .k = a->head,
                            .ldc = t->ld_scores,
                            .scale = a->scale,
                            .low = -INFINITE,
                            .high = INFINITE,
                            .cols = NR };
    call.a[0] = t->q + a->q.first + b->batch * a->q.batch + b->head * a->q.head + b->row * a->q.row;
    const float *addend = NULL;
    if (t->plain && t->n > 0) {
        const lt_attention_addend *w = &t->walk[0];
        addend = (const float *)t->addend[0] + addend_row(w, b->batch, b->head, b->row) + b->key;
        call.ld_add = w->step[2];
    }
    for (int64_t j = 0; j < b->keys; j += NR) {
        call.b = t->keys + (b->key + j) * a->head;
        call.c[0] = t->scores + j;
        if (addend) {
            call.add[0] = addend + j;
            call.cols = b->keys - j < NR ? (int)(b->keys - j) : NR;
        }
        lt_brgemm_run(&BRGEMM, &call, b->rows);
    }
}

static void rescale(float *x, int64_t n, float factor)
{
    for (int64_t d = 0; d < n; d += VL) {
        *(vf *)(x + d) *= factor;
    }
}

static float number_weight(float x)
{
    vf e = weight(splat(x));
    return e[0];
}

static void weight_block(const attention *t, const block *b)
{
    const lt_attention *a = &t->a;
    int64_t at[ADDENDS];
    for (int64_t r = 0; r < b->rows; r++) {
        float *x = t->scores + r * t->ld_scores, open = 0, top;
        for (int i = 0; i < t->n; i++) {
            at[i] = addend_row(&t->walk[i], b->batch, b->head, b->row + r);
        }
        int64_t end = b->key + b->keys,
                last = a->causal && b->row + r + 1 + a->shift < end ? b->row + r + 1 + a->shift : end;
        top = t->plain ? add_rows(t, x, at, 1, b->key, b->keys) : finish_scores(t, x, at, b->key, b->keys, last, &open);
        if (!b->first) {
            open = t->open[r] > open ? t->open[r] : open;
            top = t->top[r] > top ? t->top[r] : top;
        }
        float base = top == -INFINITE ? 0.0f : top, sum = weigh(x, b->keys, base);
        if (!b->first && t->top[r] != top) {
            float factor = number_weight(t->top[r] - base);
            rescale(t->sums + r * t->ld_sums, t->ld_sums, factor);
            t->total[r] *= factor;
        }
        t->total[r] = b->first ? sum : t->total[r] + sum;
        t->top[r] = top;
        t->open[r] = open;
    }
}

static void value_block(const attention *t, const block *b)
{
    lt_brgemm_call call = { .lda = t->ld_scores,
                            .taps = 1,
                            .k = b->keys,
                            .ldc = t->ld_sums,
                            .scale = 1,
                            .low = -INFINITE,
                            .high = INFINITE,
                            .cols = NR };
    call.a[0] = t->scores;
    call.accumulate = !b->first;
    for (int64_t d = 0; d < t->a.v_head; d += NR) {
        call.b = t->values + d * t->a.k_len + b->key * NR;
        call.c[0] = t->sums + d;
        lt_brgemm_run(&BRGEMM, &call, b->rows);
    }
}

static void store_rows(const attention *t, const block *b)
{
    const lt_attention *a = &t->a;
    for (int64_t r = 0; r < b->rows; r++) {
        const float *x = t->sums + r * t->ld_sums;
        float *y = t->y + b->batch * a->y.batch + b->head * a->y.head + (b->row + r) * a->y.row, total = t->total[r];
        bool none = a->empty == LT_ATTENTION_MASKED && (t->top[r] == -INFINITE || t->open[r] == -INFINITE);
        none = none || (a->empty == LT_ATTENTION_ZERO && !(total > 0));
        vf factor = splat(1.0f / total);
        for (int64_t d = 0; d < a->v_head; d += VL) {
            vf v = *(const vf *)(x + d) * factor;
            if (none) {
                v = splat(0.0f);
            }
            if (a->v_head - d >= VL) {
                *(vf_any *)(y + d) = v;
            } else {
                memcpy(y + d, &v, (size_t)(a->v_head - d) * sizeof *y);
            }
        }
    }
}

static void empty_rows(const attention *t, const block *b)
{
    const lt_attention *a = &t->a;
    for (int64_t r = 0; r < b->rows; r++) {
        memset(t->y + b->batch * a->y.batch + b->head * a->y.head + (b->row + r) * a->y.row, 0,
               (size_t)a->v_head * sizeof(float));
    }
}

/* All keys that a block of rows sees. */
static void run_rows(attention *t, block *b)
{
    const lt_attention *a = &t->a;
    int64_t last = b->row + b->rows + a->shift, seen = a->causal && last < a->k_len ? last : a->k_len;
    seen = seen < 1 ? 1 : seen; /* rows that see nothing: one hidden key */
    if (a->k_len == 0) {
        empty_rows(t, b);
        return;
    }
    load_head(t, b->batch, b->head / (a->heads / a->kv_heads));
    for (b->key = 0; b->key < seen; b->key += KEYS) {
        b->keys = seen - b->key < KEYS ? seen - b->key : KEYS;
        b->first = b->key == 0;
        score_block(t, b);
        weight_block(t, b);
        value_block(t, b);
    }
    store_rows(t, b);
}

/* ---- Scratch ---- */

typedef struct layout { /* bytes of one thread's scratch */
    size_t keys, values, scores, sums, total;
    int64_t ld_scores, ld_sums;
} layout;

ASKED static layout layout_of(const lt_attention *a)
{
    int64_t keys = round_up(a->k_len, NR), lanes = round_up(a->v_head, NR);
    layout l = { .ld_scores = (keys < KEYS ? keys : KEYS) + VL, /* rows that are no power of two apart */
                 .ld_sums = lanes };
    l.keys = (size_t)(keys * a->head) * sizeof(float);
    l.values = (size_t)(a->k_len * lanes) * sizeof(float);
    l.scores = (size_t)(ROWS * l.ld_scores) * sizeof(float);
    l.sums = (size_t)(ROWS * l.ld_sums) * sizeof(float);
    l.total = l.keys + l.values + l.scores + l.sums + (size_t)round_up(3 * ROWS, 16) * sizeof(float);
    return l;
}

/* ---- The tactic ---- */

ASKED static lathe_status read_sizes(const lathe_problem *p, const lathe_buffer *in, lt_attention *a, lathe_diag *diag)
{
    const uint16_t *at = p->root_in;
    int rank[] = { in[at[Q]].rank, in[at[K]].rank, in[at[V]].rank };
    const int64_t *dims[] = { in[at[Q]].dims, in[at[K]].dims, in[at[V]].dims };
    return lt_attention_read(p->attrs, p->n_attrs, rank, dims, "attention", a, diag);
}

ASKED static size_t scratch_bytes(const lathe_problem *p, uint32_t config, const lathe_buffer *in, const lathe_buffer *out,
                            int threads)
{
    lt_attention a;
    (void)config;
    (void)out;
    return read_sizes(p, in, &a, NULL) == LATHE_OK ? layout_of(&a).total * (size_t)threads : 0;
}

/* Sizes at one corner of the range: 0 for the least, 1 for the usual, 2 for the largest extents. */
ASKED static bool sizes_at(const lathe_problem *p, int corner, lt_attention *a)
{
    int64_t dims[3][LATHE_MAX_RANK];
    int rank[3];
    const int64_t *pointers[3];
    for (int i = 0; i < 3; i++) {
        const lathe_operand *o = &p->in[p->root_in[i]];
        rank[i] = o->rank;
        pointers[i] = dims[i];
        for (int d = 0; d < o->rank; d++) {
            int64_t most =
                (int64_t)1 << 20; /* what varies: products must not overflow here; the run sees real extents */
            const lathe_extent *e = &o->dims[d];
            dims[i][d] = corner == 0                         ? e->min
                         : corner == 1                       ? e->opt
                         : e->max < most || e->min == e->max ? e->max
                                                             : most;
        }
    }
    return lt_attention_read(p->attrs, p->n_attrs, rank, pointers, "attention", a, NULL) == LATHE_OK;
}

ASKED static double cost_of(const lt_attention *a)
{
    double heads = (double)a->batch * (double)a->heads, rows = (double)a->q_len, keys = (double)round_up(a->k_len, NR);
    double products = 2 * heads * rows * (keys * (double)a->head + (double)a->k_len * (double)round_up(a->v_head, NR));
    double weights = heads * rows * keys * (a->causal ? 0.5 : 1) * 6.0 / VL;
    double packing = heads * (double)a->k_len * (double)(a->head + a->v_head) * 0.3;
    return 500 + products * (a->causal ? 0.6 : 1) / (double)(ISA_GFLOPS * 0.9) + weights + packing + heads * 150;
}

ASKED static int check_addends(const lathe_problem *p, lathe_fit *fit)
{
    if (p->n_root_in > 3 + ADDENDS) {
        return lt_no(fit, "there are %d addends, more than %d", (int)p->n_root_in - 3, ADDENDS);
    }
    for (size_t i = 3; i < p->n_root_in; i++) {
        const lathe_operand *o = p->root_in[i] < p->n_in ? &p->in[p->root_in[i]] : NULL;
        if (o == NULL || (o->dtype != LATHE_DTYPE_F32 && o->dtype != LATHE_DTYPE_BOOL) || o->rank < 0 || o->rank > 4) {
            return lt_no(fit, "addend %d is neither f32 nor bool of up to four axes", (int)i - 3);
        }
    }
    return 1;
}

ASKED static int fits(const lathe_problem *p, uint32_t config, lathe_fit *fit)
{
    lt_attention a;
    (void)config;
    if (p->n_instrs > 0) {
        return lt_no(fit, "there are operations around the root");
    }
    for (size_t i = 0; i < 3; i++) {
        if (p->n_root_in < 3 || p->root_in[i] >= p->n_in || p->in[p->root_in[i]].dtype != LATHE_DTYPE_F32 ||
            p->in[p->root_in[i]].rank < 0) {
            return lt_no(fit, "queries, keys and values are not all f32");
        }
    }
    for (int corner = 0; corner < 3; corner += 2) {
        if (!sizes_at(p, corner, &a)) {
            return lt_no(fit, "the operands do not hold the heads at all extents");
        }
    }
    if (!check_addends(p, fit)) {
        return 0;
    }
    for (size_t i = 0; i < 3; i++) { /* heads are read by steps, whatever they are */
        fit->pitched_in |= p->root_in[i] < 64 ? (uint64_t)1 << p->root_in[i] : 0;
    }
    fit->any_cut = 1;
    fit->cost = sizes_at(p, 1, &a) ? cost_of(&a) : 1e9;
    return 1;
}

/* Steps of an operand where everything before axis `cut` lies further apart than its extents say. */
static void lie_apart(lt_attention_steps *s, const lathe_problem *p, int operand, const lathe_buffer *x, int cut)
{
    static const char *const names[] = { "q", "k", "v" };
    bool sbw = lt_attr_is(p->attrs, p->n_attrs, names[operand], "sbw", "bsw"),
         bhds = lt_attr_is(p->attrs, p->n_attrs, names[operand], "bhds", "bsw");
    int64_t step[4] = { 1, 1, 1, 1 }, dense = 1, apart = x->pitch / (int64_t)sizeof(float);
    for (int i = x->rank - 1; i >= 0; i--) {
        step[i] = i < cut ? apart : dense;
        apart *= i < cut ? x->dims[i] : 1;
        dense *= x->dims[i];
    }
    s->batch = step[sbw ? 1 : 0];
    s->row = step[sbw ? 0 : x->rank == 3 ? 1 : bhds ? 3 : 2];
    if (x->rank == 4) { /* else heads lie within a row */
        s->head = step[1];
        s->lane = step[bhds ? 2 : 3];
    }
}

static lathe_status begin(const lathe_gang *gang, const lathe_call *call, attention *t, lathe_diag *diag)
{
    const lathe_problem *p = call->problem;
    const uint16_t *at = p->root_in;
    LT_TRY(read_sizes(p, call->in, &t->a, diag));
    lt_attention_steps *steps[] = { &t->a.q, &t->a.k, &t->a.v };
    for (int i = 0; i < 3; i++) {
        const lathe_buffer *x = &call->in[at[i]];
        if (x->pitch > 0) {
            lie_apart(steps[i], p, i, x, p->in[at[i]].format.strided);
        }
    }
    layout l = layout_of(&t->a);
    t->plain = !t->a.causal && !(t->a.softcap > 0) && t->a.empty != LT_ATTENTION_MASKED;
    for (size_t i = 3; i < p->n_root_in; i++) {
        const lathe_buffer *x = &call->in[at[i]];
        if (!lt_attention_addend_read(&t->a, x->rank, x->dims, &t->walk[t->n])) {
            return LT_FAIL(diag, LATHE_BAD_SHAPE, "attention", NULL, "addend %d does not broadcast to the scores",
                           (int)i - 3);
        }
        t->mask[t->n] = p->in[at[i]].dtype == LATHE_DTYPE_BOOL;
        t->plain = t->plain && !t->mask[t->n] && t->walk[t->n].step[3] == 1;
        t->addend[t->n++] = x->data;
    }
    char *scratch = (char *)call->scratch + (size_t)gang->index * l.total;
    t->q = call->in[at[Q]].data;
    t->k = call->in[at[K]].data;
    t->v = call->in[at[V]].data;
    t->y = call->out[0].data;
    t->keys = (float *)(void *)scratch;
    t->values = (float *)(void *)(scratch + l.keys);
    t->scores = (float *)(void *)(scratch + l.keys + l.values);
    t->sums = (float *)(void *)(scratch + l.keys + l.values + l.scores);
    t->top = (float *)(void *)(scratch + l.keys + l.values + l.scores + l.sums);
    t->total = t->top + ROWS;
    t->open = t->total + ROWS;
    t->ld_scores = l.ld_scores;
    t->ld_sums = l.ld_sums;
    t->batch = -1;
    return LATHE_OK;
}

/* Blocks of near equal height, all of a head one after the other. */
static lathe_status run(const lathe_gang *gang, const lathe_call *call, lathe_diag *diag)
{
    attention t = { 0 };
    LT_TRY(begin(gang, call, &t, diag));
    const lt_attention *a = &t.a;
    int64_t blocks = (a->q_len + ROWS - 1) / ROWS, from, to;
    lathe_gang_split(gang, a->batch * a->heads * blocks, 1, &from, &to);
    for (int64_t unit = from; unit < to; unit++) {
        int64_t head = unit / blocks, i = unit % blocks;
        block b = { .batch = head / a->heads, .head = head % a->heads, .row = a->q_len * i / blocks };
        b.rows = a->q_len * (i + 1) / blocks - b.row;
        run_rows(&t, &b);
    }
    return LATHE_OK;
}

LT_TACTICS(LT_EACH(attention)) = {
    { .struct_size = sizeof(lathe_tactic),
      .name = "attention.f32." ISA_NAME,
      .version = 2,
      .summary = "Attention in blocks of rows and keys, heads read where they lie",
      .ops = "lathe.PackedAttention",
      .device = LATHE_SPACE_HOST,
      .cpu_features = ISA_FEATURES,
      .configs = 1,
      .fits = fits,
      .scratch_bytes = scratch_bytes,
      .run = run },
    { .name = NULL },
};
