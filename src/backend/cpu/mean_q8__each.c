/*
 * mean_q8__each.c - tactic mean.q8: GlobalAveragePool and ReduceMean of dequantized bytes, with any epilogue. The bytes themselves are added up as
 * integers, and only the mean becomes a real number. Configuration 0 works on plain tensors, 1 on channels-last ones of rank 4.
 */
#include "backend/cpu/q8.h"
#include "backend/cpu/vectors.inc"
#include <string.h>

enum { MOST = 1 << 22 }; /* bytes in a sum, so that 32 bits hold it */

typedef struct mean {
    const uint8_t *x;
    uint8_t flip; /* makes signed bytes unsigned ones, 128 larger */
    int64_t outer, folded, inner;
    double scale, zero; /* of a sum: (sum - zero) * scale */
    lt_tile_program program;
    float *tile;
    int32_t *sums;
} mean;

static const int8_t channels_last[] = { 0, 2, 3, 1 };

/* ---- Sums ---- */

static int32_t sum_bytes(const uint8_t *x, int64_t n, uint8_t flip)
{
    int64_t i = 0;
    int32_t sum = 0;
#if defined(__SSE2__)
    __m128i acc = _mm_setzero_si128(), bit = _mm_set1_epi8((char)flip);
    for (; i + 16 <= n; i += 16) {
        __m128i v = _mm_xor_si128(_mm_loadu_si128((const __m128i_u *)(const void *)(x + i)), bit);
        acc = _mm_add_epi64(acc, _mm_sad_epu8(v, _mm_setzero_si128()));
    }
    sum = _mm_cvtsi128_si32(acc) + _mm_cvtsi128_si32(_mm_unpackhi_epi64(acc, acc));
#endif
    for (; i < n; i++) {
        sum += x[i] ^ flip;
    }
    return sum;
}

/* Down n columns. */
static void sum_columns(const mean *m, const uint8_t *x, int n)
{
    int32_t *restrict sums = m->sums;
    memset(sums, 0, (size_t)n * sizeof *sums);
    for (int64_t row = 0; row < m->folded; row++, x += m->inner) {
        for (int i = 0; i < n; i++) {
            sums[i] += x[i] ^ m->flip;
        }
    }
}

/* Results first .. first + n, of one run of columns when there are columns. */
static void some_means(const mean *m, int64_t first, int n)
{
    if (m->inner > 1) {
        sum_columns(m, m->x + first / m->inner * m->folded * m->inner + first % m->inner, n);
    }
    for (int i = 0; i < n; i++) {
        int32_t sum = m->inner > 1 ? m->sums[i] : sum_bytes(m->x + (first + i) * m->folded, m->folded, m->flip);
        m->tile[i] = (float)(((double)sum - m->zero) * m->scale);
    }
}

/* ---- The tactic ---- */

ASKED static bool is_pool(const lathe_problem *p)
{
    return strcmp(p->op, "GlobalAveragePool") == 0;
}

/* The bytes, and which axes are folded. */
ASKED static int read(const lathe_problem *p, lt_q8_slot *x, uint32_t *over, lathe_fit *fit)
{
    if (!lt_q8_read_slot(p, 0, x) || !x->quantized || (x->dtype != LATHE_DTYPE_U8 && x->dtype != LATHE_DTYPE_I8)) {
        return lt_no(fit, "not of dequantized bytes");
    }
    const lathe_operand *o = &p->in[x->operand];
    if (x->scale.axis >= 0 || x->zero.axis >= 0 || o->rank < 1 || (o->flags & LATHE_OPERAND_MANAGED)) {
        return lt_no(fit, "more than one scale, or rank %d", o->rank);
    }
    if (is_pool(p)) {
        *over = (1u << o->rank) - 1u - 3u;
        return o->rank >= 3 ? 1 : lt_no(fit, "rank %d", o->rank);
    }
    return lt_reduced_axes(p, o->rank, over, fit);
}

/* Extents in front of, in and behind the folded axes, in stored order; 0 when there are others in between. */
ASKED static int collapse(const int64_t *dims, int rank, uint32_t over, bool last, int64_t out[3])
{
    int part = 0;
    out[0] = out[1] = out[2] = 1;
    for (int i = 0; i < rank; i++) {
        int axis = last ? channels_last[i] : i;
        bool fold = over >> axis & 1;
        if (dims[axis] == 1) {
            continue;
        }
        if (fold && part == 2) {
            return 0;
        }
        part = fold ? 1 : part == 1 ? 2 : part;
        out[part] *= dims[axis];
    }
    return 1;
}

ASKED static int fits(const lathe_problem *problem, uint32_t config, lathe_fit *fit)
{
    lt_q8_slot x;
    uint32_t over;
    const lathe_pw_instr *first;
    int count = lt_problem_epilogue(problem, &first);
    int64_t dims[LATHE_MAX_RANK], parts[3];
    if (!read(problem, &x, &over, fit)) {
        return 0;
    }
    const lathe_operand *o = &problem->in[x.operand];
    double most = 1, bytes = 1, results = 1;
    for (int i = 0; i < o->rank; i++) {
        dims[i] = o->dims[i].max > 1 ? 2 : 1; /* what stands between folded axes, whatever the extents are */
        most *= over >> i & 1 ? (double)o->dims[i].max : 1;
        bytes *= (double)o->dims[i].opt;
        results *= over >> i & 1 ? 1 : (double)o->dims[i].opt;
    }
    bool image = o->rank == 4 && (over & 12u) && !(o->flags & (LATHE_OPERAND_CONSTANT | LATHE_OPERAND_HOST)) &&
                 (problem->out[0].rank == 4 || (over & 12u) == 12u);
    if (most > MOST || (config == 1 && !image) || !collapse(dims, o->rank, over, config == 1, parts)) {
        return lt_no(fit, "axes that do not lie together, or %.0f bytes in a sum", most);
    }
    if (!lt_outputs_planned(problem, fit)) {
        return 0;
    }
    for (int i = 0; i < count; i++) {
        if (first[i].op == LATHE_PW_ROOT && first[i].dtype != LATHE_DTYPE_F32) {
            return lt_no(fit, "the result is %s", lathe_dtype_name(first[i].dtype));
        }
    }
    if ((count == 0 && problem->out[0].dtype != LATHE_DTYPE_F32) || !lt_tile_fits(problem, fit)) {
        return fit->why[0] ? 0 : lt_no(fit, "makes %s", lathe_dtype_name(problem->out[0].dtype));
    }
    lt_tile_formats(problem, config == 1 && problem->out[0].rank == 4 ? channels_last : NULL, fit);
    if (config == 1) {
        fit->in[x.operand] = lt_format_permuted(o->dtype, channels_last, 4, fit->in[x.operand].space);
    }
    fit->cost = 350 + bytes * (config == 1 ? 0.12 : 0.08) + results * (6 + lt_tile_cost(&ISA, problem));
    return 1;
}

ASKED static size_t thread_scratch(const lathe_problem *p)
{
    return lt_tile_scratch(p) + 2 * LT_TILE * sizeof(float);
}

ASKED static size_t scratch_bytes(const lathe_problem *problem, uint32_t config, const lathe_buffer *in, const lathe_buffer *out, int threads)
{
    (void)config, (void)in, (void)out;
    return thread_scratch(problem) * (size_t)threads;
}

static lathe_status run(const lathe_gang *gang, const lathe_call *call, lathe_diag *diag)
{
    const lathe_problem *p = call->problem;
    lathe_fit ignored = { .struct_size = sizeof ignored };
    lt_q8_slot slot;
    uint32_t over;
    int64_t parts[3], begin, end;
    LT_CHECK(diag, read(p, &slot, &over, &ignored), p->op);
    const lathe_buffer *x = &call->in[slot.operand];
    if (!lt_extents_sane(x->rank, x->dims) || x->rank != p->in[slot.operand].rank ||
        !collapse(x->dims, x->rank, over, call->config == 1, parts) || parts[1] > MOST) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, p->op, NULL, "the input's extents do not suit");
    }
    bool sign = slot.dtype == LATHE_DTYPE_I8;
    double zero = (double)lt_q8_zero(&slot.zero, slot.dtype, call->in, 0) + (sign ? 128 : 0);
    mean m = { .x = x->data,
               .flip = sign ? 0x80 : 0,
               .outer = parts[0],
               .folded = parts[1],
               .inner = parts[2],
               .zero = zero * (double)parts[1],
               .scale = (double)lt_q8_scale(&slot.scale, call->in, 0) / (double)parts[1] };
    char *scratch = (char *)call->scratch + thread_scratch(p) * (size_t)gang->index;
    m.tile = (float *)(void *)(scratch + lt_tile_scratch(p));
    m.sums = (int32_t *)(void *)(m.tile + LT_TILE);
    LT_TRY(lt_tile_prepare(&m.program, &ISA, call, scratch, m.tile, diag));
    int64_t results = m.outer * m.inner;
    if (m.program.points != results) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, p->op, NULL, "the output has other extents than the axes that are kept");
    }
    lathe_gang_split(gang, results, 64, &begin, &end);
    for (int64_t at = begin; at < end;) {
        int64_t line = m.inner > 1 ? m.inner - at % m.inner : end - at, n = line < end - at ? line : end - at;
        n = n < LT_TILE ? n : LT_TILE;
        some_means(&m, at, (int)n);
        lt_tile_block block = { .start = at, .rows = 1, .cols = (int)n, .pitch = LT_TILE };
        lt_tile_run(&m.program, &block);
        at += n;
    }
    return LATHE_OK;
}

LT_TACTICS(LT_EACH(mean_q8)) = {
    { .struct_size = sizeof(lathe_tactic),
      .name = "mean.q8." ISA_NAME,
      .version = 1,
      .summary = "means of dequantized bytes, added up as integers",
      .ops = "GlobalAveragePool ReduceMean",
      .device = LATHE_SPACE_HOST,
      .cpu_features = ISA_FEATURES,
      .configs = 2,
      .fits = fits,
      .scratch_bytes = scratch_bytes,
      .run = run },
    { .name = NULL },
};
