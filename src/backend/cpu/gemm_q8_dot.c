/*
 * gemm_q8_dot.c - driver of gemm.q8.dot: quantized MatMul and Gemm, and MatMulInteger, whose right matrix is one constant, packed ("q8.w"). All rows of the
 * left operand make one product; blocks of them are copied when they are signed or no multiple of four long, else they are read where they lie.
 */
#include "backend/cpu/matmul_shape.h"
#include "backend/cpu/q8_dot.h"
#include <math.h>
#include <string.h>

enum {
    BLOCK_BYTES = 1 << 19, /* stays in the second-level cache while the right matrix passes once */
    BLOCK_ROWS = 1 << 12
};

typedef struct layout { /* offsets in a thread's scratch */
    size_t sums, row_sums, panels, ones, block_sums, block, total;
} layout;

typedef struct task {
    const lt_q8_isa *isa;
    lt_q8_shape s;
    int64_t m, k, pitch; /* pitch: bytes of a copied row */
    int64_t block, blocks, parts, panels_of_part;
    bool in_place;
    layout l;
} task;

typedef struct worker {
    const task *t;
    lt_q8_sink sink;
    bool any_zero;
    int64_t zeros; /* zero points that rows have for themselves; repeated for each matrix. 0: none */
    uint8_t mask;
    const uint8_t *x;
    const void *pack;
    int32_t *sums, *row_sums;
    lt_q8_panel *panels;
    int8_t *ones;
    int32_t *block_sums; /* of the rows of the block, when some zero point of the right matrix is not 0 */
    uint8_t *block;
    int64_t have, summed; /* block that was copied; whose rows were summed up */
} worker;

/* ---- Shapes ---- */

static size_t align64(size_t n)
{
    return (n + 63) & ~(size_t)63;
}

static layout scratch_layout(const task *t, const lathe_problem *problem)
{
    size_t nr = (size_t)t->isa->nr;
    layout l;
    l.sums = lt_q8_sink_scratch(problem);
    l.row_sums = l.sums + LT_Q8_MR * LT_Q8_NR * sizeof(int32_t);
    l.panels = l.row_sums + LT_Q8_MR * LT_Q8_NR * sizeof(int32_t);
    l.ones = l.panels + (size_t)t->s.panels * sizeof(lt_q8_panel);
    l.block_sums = l.ones + lt_q8_ones_bytes(&t->s, (int)nr);
    l.block = l.block_sums + BLOCK_ROWS * sizeof(int32_t);
    l.total = l.block + align64(BLOCK_BYTES + LT_Q8_MR * (size_t)t->pitch + LT_Q8_SLACK);
    return l;
}

/* Blocks of rows that stay in the cache while all panels pass; few rows: the threads share the panels. */
static void split(task *t, int threads)
{
    int64_t mr = t->isa->mr, most = t->pitch > 0 ? BLOCK_BYTES / t->pitch / mr * mr : t->m;
    most = most < mr ? mr : most > BLOCK_ROWS / mr * mr ? BLOCK_ROWS / mr * mr : most;
    int64_t even = ((t->m + threads - 1) / threads + mr - 1) / mr * mr;
    bool share = threads > 1 && t->m < (int64_t)threads * mr;
    t->block = share || even > most ? most : even > 0 ? even : mr;
    t->blocks = (t->m + t->block - 1) / t->block;
    t->parts = share ? threads : 1;
    t->panels_of_part = (t->s.panels + t->parts - 1) / t->parts;
}

static lt_q8_layout layout_of(const lathe_problem *problem)
{
    return lt_gemm_flag(problem, "transB") ? LT_Q8_TRANSPOSED : LT_Q8_MATRIX;
}

static lathe_status describe(const lt_q8_isa *isa, const lathe_problem *problem, const lathe_buffer *in, int threads,
                             lt_q8 *q, task *t, lathe_diag *diag)
{
    lathe_fit fit = { .struct_size = sizeof fit };
    LT_CHECK(diag, lt_q8_read(problem, &fit, q), problem->op);
    const lathe_buffer *a = &in[q->x.operand], *b = &in[q->w.operand];
    *t = (task){ .isa = isa, .m = 1 };
    if (a->rank < 1 || b->rank != 2 || !lt_extents_sane(a->rank, a->dims) ||
        !lt_q8_shape_of(layout_of(problem), 2, b->dims, 1, isa->nr, &t->s) || a->dims[a->rank - 1] != t->s.k) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, problem->op, NULL, "the matrices do not go together");
    }
    for (int i = 0; i + 1 < a->rank; i++) {
        t->m *= a->dims[i];
    }
    t->k = t->s.k;
    t->pitch = t->s.quads * 4;
    t->in_place = q->x.dtype == LATHE_DTYPE_U8 && t->k % 4 == 0;
    t->l = scratch_layout(t, problem);
    split(t, threads);
    return LATHE_OK;
}

/* ---- Products ---- */

static const uint8_t *fetch_block(worker *w, int64_t number, int64_t first, int64_t rows)
{
    const task *t = w->t;
    if (t->in_place) {
        return w->x + first * t->k;
    }
    if (w->have != number && t->pitch == t->k) {
        t->isa->flip(w->block, w->x + first * t->k, w->mask, rows * t->k);
    }
    for (int64_t i = 0; i < rows && w->have != number && t->pitch != t->k; i++) {
        t->isa->flip(w->block + i * t->pitch, w->x + (first + i) * t->k, w->mask, t->k);
        memset(w->block + i * t->pitch + t->k, 0, (size_t)(t->pitch - t->k));
    }
    w->have = number;
    return w->block;
}

static lt_q8_dot first_call(const task *t, const int64_t *tap)
{
    return (lt_q8_dot){ .lda = t->in_place ? t->k : t->pitch, .taps = 1, .tap = tap, .quads = t->s.quads };
}

/* Piece i of near equal height; returns its rows. */
static int cut_piece(int mr, int64_t rows, int64_t i, int64_t *begin)
{
    int64_t cuts = (rows + mr - 1) / mr;
    *begin = rows * i / cuts;
    return i < cuts ? (int)(rows * (i + 1) / cuts - *begin) : 0;
}

static void point_at(lt_q8_dot *call, const uint8_t *a, int64_t begin, int n)
{
    call->a[0] = a + begin * call->lda;
    call->a[1] = call->a[0] + (n + 1) / 2 * call->lda;
}

static void sum_rows(worker *w, const uint8_t *a, int64_t number, int64_t rows)
{
    const task *t = w->t;
    int64_t zero = 0, begin;
    lt_q8_dot call = first_call(t, &zero);
    if (!w->any_zero || w->summed == number) {
        return;
    }
    call.b = w->ones;
    call.tame = lt_q8_ones_tame(&t->s, t->isa->nr, w->ones);
    call.start = lt_q8_zeros;
    call.c = w->row_sums;
    for (int64_t i = 0, n; (n = cut_piece(t->isa->mr, rows, i, &begin)) > 0; i++) {
        point_at(&call, a, begin, (int)n);
        t->isa->dot[n](&call);
        for (int64_t r = 0; r < n; r++) {
            w->block_sums[begin + r] = w->row_sums[r * t->isa->nr];
        }
    }
    w->summed = number;
}

/* What a piece needs besides its sums: those of its rows, and the zero points that these have for themselves. */
static void fill_rows(const worker *w, int64_t block, int64_t begin, int n, int32_t *zeros)
{
    int nr = w->t->isa->nr;
    const lt_q8 *q = &w->sink.f.q;
    for (int i = 0; i < n && w->any_zero; i++) {
        for (int j = 0; j < nr; j++) {
            w->row_sums[i * nr + j] = w->block_sums[begin + i];
        }
    }
    for (int i = 0; i < n && w->zeros > 0; i++) {
        zeros[i] = lt_q8_zero(&q->x.zero, q->x.dtype, w->sink.f.in, (block + begin + i) % w->zeros);
    }
}

/* All rows of a block under one panel. */
static void run_panel(const worker *w, const uint8_t *a, int64_t first, int64_t rows, int64_t number)
{
    const task *t = w->t;
    int64_t nr = t->isa->nr, left = t->s.filters - number * nr, zero = 0, begin;
    const lt_q8_panel *panel = &w->panels[number];
    int32_t zeros[LT_Q8_MR];
    lt_q8_dot call = first_call(t, &zero);
    call.b = lt_q8_panel_at(&t->s, w->pack, (int)nr, 0, number);
    call.tame = lt_q8_tame_at(&t->s, w->pack, (int)nr, 0, number);
    call.start = panel->offset;
    call.c = w->sums;
    for (int64_t i = 0, n; (n = cut_piece(panel->mr, rows, i, &begin)) > 0; i++) {
        point_at(&call, a, begin, (int)n);
        t->isa->dot[n](&call);
        fill_rows(w, first, begin, (int)n, zeros);
        lt_q8_sink_put(&w->sink, panel, (first + begin) * t->s.filters + number * nr, (int)n,
                       left < nr ? (int)left : (int)nr, w->sums, w->any_zero ? w->row_sums : NULL,
                       w->zeros > 0 ? zeros : NULL);
    }
}

static void run_unit(worker *w, int64_t unit)
{
    const task *t = w->t;
    int64_t part = unit % t->parts, number = unit / t->parts, first = number * t->block, left = t->m - first,
            rows = left < t->block ? left : t->block, begin = part * t->panels_of_part, end = begin + t->panels_of_part;
    const uint8_t *a = fetch_block(w, number, first, rows);
    sum_rows(w, a, number, rows);
    for (int64_t i = begin; i < end && i < t->s.panels; i++) {
        run_panel(w, a, first, rows, i);
    }
}

/* ---- The driver ---- */

int lt_gemm_q8_dot_fits(const lt_q8_isa *isa, const lathe_problem *problem, uint32_t config, lathe_fit *fit)
{
    lt_q8 q;
    (void)config;
    if (!lt_q8_read(problem, fit, &q)) {
        return 0;
    }
    const lathe_operand *a = &problem->in[q.x.operand], *b = &problem->in[q.w.operand];
    const lathe_operand *c = q.bias.operand != 0xffff ? &problem->in[q.bias.operand] : NULL;
    if (a->rank < 1 || b->rank != 2 || lt_gemm_flag(problem, "transA") || (lt_is_gemm(problem) && a->rank != 2)) {
        return lt_no(fit, "ranks %d and %d, or the left matrix is transposed", a->rank, b->rank);
    }
    if (!lt_q8_fits(&q, layout_of(problem) == LT_Q8_MATRIX ? 1 : 0, c ? c->rank - 1 : -1,
                    (double)a->dims[a->rank - 1].max, fit)) {
        return 0;
    }
    if (c && (!lt_is_gemm(problem) || c->rank > 2 || (c->rank == 2 && c->dims[0].max != 1))) {
        return lt_no(fit, "C is no row");
    }
    if (!lt_q8_packable(problem, &q) || q.x.operand == q.w.operand) {
        return lt_no(fit, "the right matrix is no constant of its own");
    }
    fit->pack[q.w.operand] = "q8.w";
    fit->pack_param[q.w.operand][0] = isa->nr;
    fit->pack_param[q.w.operand][1] = layout_of(problem);
    fit->pack_param[q.w.operand][2] = 1;
    fit->pack_param[q.w.operand][3] = isa->tame;
    lt_tile_formats(problem, NULL, fit);
    double m, n, k, nr = isa->nr;
    lt_matmul_opt(problem, a, b, &m, &n, &k);
    double wide = ceil(n / nr) * nr, rows = m < 6 ? 6 : m;
    double sums = 2 * rows * wide * k / isa->gops, waits = n * k * 0.06;
    double results =
        m * n * (lt_q8_direct(problem, problem->out[0].rank - 1) ? 0.15 : 0.2 + lt_tile_cost(isa->isa, problem));
    fit->cost =
        500 + (sums > waits ? sums : waits) + results + m * k * 0.05 + n * 12 + lt_problem_bytes(problem) * 0.03;
    return 1;
}

size_t lt_gemm_q8_dot_scratch(const lt_q8_isa *isa, const lathe_problem *problem, uint32_t config,
                              const lathe_buffer *in, const lathe_buffer *out, int threads)
{
    task t;
    lt_q8 q;
    (void)config, (void)out;
    return describe(isa, problem, in, threads, &q, &t, NULL) == LATHE_OK ? t.l.total * (size_t)threads : 0;
}

/* Scales, zero points and C go with the columns, the zero points of the left operand with its rows; sets the strides of C. */
static bool parameters_good(const lt_q8 *q, const task *t, const lathe_buffer *in, int64_t *bias_col)
{
    const lathe_buffer *a = &in[q->x.operand];
    bool good = lt_q8_covers(&q->w.scale, in, t->s.filters) && lt_q8_covers(&q->w.zero, in, t->s.filters) &&
                (lt_q8_covers(&q->x.zero, in, t->m) || lt_q8_covers(&q->x.zero, in, a->dims[a->rank - 2]));
    *bias_col = 0;
    if (q->bias.operand != 0xffff) {
        const lathe_buffer *c = &in[q->bias.operand];
        int64_t cols = c->rank > 0 ? c->dims[c->rank - 1] : 1, row;
        good = good && lt_gemm_addend(c, t->m, t->s.filters, &row, bias_col) && row == 0 &&
               lt_q8_covers(&q->bias.scale, in, cols) && lt_q8_covers(&q->bias.zero, in, cols) &&
               (cols == t->s.filters || (q->bias.scale.axis < 0 && q->bias.zero.axis < 0));
    }
    return good;
}

static lathe_status prepare(worker *w, const lathe_call *call, char *scratch, lathe_diag *diag)
{
    const task *t = w->t;
    const lathe_problem *problem = call->problem;
    const lt_q8 *q = &w->sink.f.q;
    int64_t bias_col;
    if (!parameters_good(q, t, call->in, &bias_col)) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, problem->op, NULL, "scales, zero points or C do not go with the product");
    }
    w->sums = (int32_t *)(void *)(scratch + t->l.sums);
    w->row_sums = (int32_t *)(void *)(scratch + t->l.row_sums);
    w->panels = (lt_q8_panel *)(void *)(scratch + t->l.panels);
    w->ones = (int8_t *)scratch + t->l.ones;
    w->block_sums = (int32_t *)(void *)(scratch + t->l.block_sums);
    w->block = (uint8_t *)scratch + t->l.block;
    w->sink.isa = t->isa;
    w->sink.width = t->s.filters;
    w->sink.column = problem->out[0].rank - 1;
    LT_TRY(lt_q8_sink_open(&w->sink, call, scratch, diag));
    w->sink.f.bias_col = bias_col;
    if (lt_is_gemm(problem)) {
        w->sink.f.alpha = lt_attr_f(problem->attrs, problem->n_attrs, "alpha", 1.0f);
        w->sink.f.beta = lt_attr_f(problem->attrs, problem->n_attrs, "beta", 1.0f);
    }
    w->zeros = q->x.zero.axis >= 0 ? lt_q8_count(&q->x.zero, call->in) : 0;
    w->x = call->in[q->x.operand].data;
    w->pack = call->in[q->w.operand].data;
    w->mask = q->x.dtype == LATHE_DTYPE_I8 ? 0x80 : 0;
    for (int64_t i = 0; i < t->s.panels; i++) {
        int64_t first = i * t->isa->nr, left = t->s.filters - first;
        lt_q8_panel_make(&w->sink.f, lt_q8_sums_at(&t->s, w->pack, t->isa->nr, 0, i), first,
                         left < t->isa->nr ? (int)left : t->isa->nr, t->k, &w->panels[i], &w->any_zero);
        w->panels[i].mr = lt_q8_panel_mr(t->isa, &t->s, w->pack, 0, i);
    }
    if (w->any_zero) {
        lt_q8_ones(&t->s, t->isa->nr, w->ones);
    }
    return LATHE_OK;
}

lathe_status lt_gemm_q8_dot_run(const lt_q8_isa *isa, const lathe_gang *gang, const lathe_call *call, lathe_diag *diag)
{
    task t;
    worker w = { .t = &t, .have = -1, .summed = -1 };
    LT_TRY(describe(isa, call->problem, call->in, gang->count, &w.sink.f.q, &t, diag));
    if (t.m == 0) {
        return LATHE_OK;
    }
    LT_TRY(prepare(&w, call, (char *)call->scratch + t.l.total * (size_t)gang->index, diag));
    int64_t begin, end;
    lathe_gang_split(gang, t.blocks * t.parts, 1, &begin, &end);
    for (int64_t u = begin; u < end; u++) {
        run_unit(&w, u);
    }
    return LATHE_OK;
}
