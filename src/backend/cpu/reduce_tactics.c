/*
 * reduce_tactics.c - driver of row.reduce, f32: sums, means, products, extremes, norms and logarithms of sums over any axes, and the global pools. Configuration
 * 0 walks plain tensors, 1 channels-last ones of rank 4. Any epilogue.
 *
 * Axes are collapsed in stored order. When the last is reduced, results are folded row by row; else a run of columns is folded down its rows. What one thread
 * computes is a range of results, so that no sum is ever split.
 */
#include "backend/cpu/drivers.h"
#include "backend/cpu/product.h"
#include <float.h>
#include <math.h>
#include <string.h>

typedef enum ending { AS_IT_IS, MEAN, ROOT, LOGARITHM, LOGARITHM_ABOVE } ending;

static const struct kind_row {
    const char *op;
    lt_fold fold;
    ending end;
    bool pool; /* axes 2 and up; else input 1 has the axes */
} kinds[] = {
    { "ReduceSum", LT_FOLD_SUM, AS_IT_IS, false },      { "ReduceMean", LT_FOLD_SUM, MEAN, false },
    { "ReduceMax", LT_FOLD_MAX, AS_IT_IS, false },      { "ReduceMin", LT_FOLD_MIN, AS_IT_IS, false },
    { "ReduceProd", LT_FOLD_PRODUCT, AS_IT_IS, false }, { "ReduceL1", LT_FOLD_ABS, AS_IT_IS, false },
    { "ReduceL2", LT_FOLD_SQUARE, ROOT, false },        { "ReduceSumSquare", LT_FOLD_SQUARE, AS_IT_IS, false },
    { "ReduceLogSum", LT_FOLD_SUM, LOGARITHM, false },  { "ReduceLogSumExp", LT_FOLD_EXP, LOGARITHM_ABOVE, false },
    { "GlobalAveragePool", LT_FOLD_SUM, MEAN, true },   { "GlobalMaxPool", LT_FOLD_MAX, AS_IT_IS, true },
};

static const int8_t channels_last[] = { 0, 2, 3, 1 };

static const struct kind_row *kind_of(const lathe_problem *p)
{
    for (size_t i = 0; i < LT_COUNT(kinds); i++) {
        if (strcmp(kinds[i].op, p->op) == 0) {
            return &kinds[i];
        }
    }
    return NULL;
}

/* Axes that are folded, as bits. */
static int folded_axes(const lathe_problem *p, const struct kind_row *k, int rank, uint32_t *over, lathe_fit *fit)
{
    if (!k->pool) {
        return lt_reduced_axes(p, rank, over, fit);
    }
    *over = (1u << rank) - 1u - 3u;
    return rank >= 3 ? 1 : lt_no(fit, "rank %d", rank);
}

/* ---- Fits ---- */

static int fits_types(const lathe_problem *p, lathe_fit *fit)
{
    const lathe_operand *x = lt_root_operand(p, 0, NULL);
    const lathe_pw_instr *first;
    int count = lt_problem_epilogue(p, &first);
    if ((size_t)count < p->n_instrs) {
        return lt_no(fit, "has a prologue");
    }
    if (x->dtype != LATHE_DTYPE_F32 || x->rank < 0 || (x->flags & LATHE_OPERAND_MANAGED)) {
        return lt_no(fit, "input 0 is %s", lathe_dtype_name(x->dtype));
    }
    for (size_t i = 0; i < p->n_out; i++) {
        if ((p->out[i].flags & (LATHE_OPERAND_MANAGED | LATHE_OPERAND_BOUNDED | LATHE_OPERAND_ABSENT)) ||
            (count == 0 && p->out[i].dtype != LATHE_DTYPE_F32)) {
            return lt_no(fit, "output %zu has no planned extents, or another type", i);
        }
    }
    for (int i = 0; i < count; i++) {
        if (first[i].op == LATHE_PW_ROOT && first[i].dtype != LATHE_DTYPE_F32) {
            return lt_no(fit, "the result is %s", lathe_dtype_name(first[i].dtype));
        }
    }
    return lt_tile_fits(p, fit);
}

int lt_row_reduce_fits(const lt_cpu_isa *isa, const lathe_problem *problem, uint32_t config, lathe_fit *fit)
{
    const struct kind_row *k = kind_of(problem);
    uint16_t nx;
    uint32_t over;
    const lathe_operand *x = lt_root_operand(problem, 0, &nx);
    if (!k || !x) {
        return lt_no(fit, "not for %s", problem->op);
    }
    if (!fits_types(problem, fit) || !folded_axes(problem, k, x->rank, &over, fit)) {
        return 0;
    }
    if (config == 1 && (x->rank != 4 || (x->flags & (LATHE_OPERAND_CONSTANT | LATHE_OPERAND_HOST)) ||
                        (over & 12u) == 0 || (problem->out[0].rank != 4 && (over & 12u) != 12u))) {
        return lt_no(fit, "no image to keep channels last");
    }
    lt_tile_formats(problem, config == 1 && problem->out[0].rank == 4 ? channels_last : NULL, fit);
    for (int d = 0; config == 1 && d < 4; d++) {
        fit->in[nx].order[d] = channels_last[d];
    }
    double in = lt_operand_elements(x), out = lt_operand_elements(&problem->out[0]), slower = isa->nr >= 32 ? 1 : isa->nr >= 16 ? 1.3 : 2;
    fit->cost = 350 + in * slower * (k->fold == LT_FOLD_EXP ? 0.5 : 0.1) + out * (6 + lt_tile_cost(isa, problem));
    return 1;
}

/* ---- The walk ---- */

typedef struct walk {
    const lt_cpu_isa *isa;
    lt_fold fold;
    ending end;
    const float *x;
    int64_t elements; /* folded into one result */
    /* Stored axes, collapsed; strides in elements. Kept and folded ones alternate; the last is `last`. */
    int n_kept, n_folded;
    int64_t kept[LATHE_MAX_RANK], kept_step[LATHE_MAX_RANK], folded[LATHE_MAX_RANK], folded_step[LATHE_MAX_RANK];
    bool columns;          /* the last stored axis is kept: it is kept[n_kept - 1] */
    int64_t run, run_step; /* the innermost folded axis */
    int64_t results;
    lt_tile_program program;
    float *tile, *above;
} walk;

static void add_axis(int64_t *extents, int64_t *steps, int *n, int64_t extent, int64_t step)
{
    if (*n > 0 && steps[*n - 1] == step * extent) {
        extents[*n - 1] *= extent;
        steps[*n - 1] = step;
    } else {
        extents[*n] = extent;
        steps[(*n)++] = step;
    }
}

static bool read_walk(const lathe_problem *p, const lathe_buffer *in, walk *w)
{
    const struct kind_row *k = kind_of(p);
    lathe_fit fit = { .struct_size = sizeof fit };
    uint16_t nx;
    uint32_t over;
    const lathe_operand *x = lt_root_operand(p, 0, &nx);
    const lathe_buffer *b = &in[nx];
    int64_t strides[LATHE_MAX_RANK];
    if (b->rank != x->rank || !lt_extents_sane(b->rank, b->dims) || !folded_axes(p, k, b->rank, &over, &fit) ||
        !lt_format_strides(&x->format, b, strides)) {
        return false;
    }
    w->fold = k->fold;
    w->end = k->end;
    w->x = b->data;
    w->n_kept = w->n_folded = 0;
    w->elements = w->results = 1;
    w->columns = false;
    for (int i = 0; i < b->rank; i++) {
        int axis = x->format.order[i];
        bool fold = over >> axis & 1;
        *(fold ? &w->elements : &w->results) *= b->dims[axis];
        if (b->dims[axis] == 1) {
            continue;
        }
        if (fold) {
            add_axis(w->folded, w->folded_step, &w->n_folded, b->dims[axis], strides[axis]);
        } else {
            add_axis(w->kept, w->kept_step, &w->n_kept, b->dims[axis], strides[axis]);
        }
        w->columns = !fold;
    }
    w->run = w->n_folded > 0 ? w->folded[w->n_folded - 1] : 1;
    w->run_step = w->n_folded > 0 ? w->folded_step[w->n_folded - 1] : 1;
    return true;
}

/* The place of number `i` in a space of axes. */
static int64_t place(int n, const int64_t *extents, const int64_t *steps, int64_t i)
{
    int64_t at = 0;
    for (int d = n; d-- > 0;) {
        at += i % extents[d] * steps[d];
        i /= extents[d];
    }
    return at;
}

static int64_t outer_folds(const walk *w)
{
    return w->run > 0 ? w->elements / w->run : 0;
}

static float neutral(lt_fold fold)
{
    return fold == LT_FOLD_PRODUCT ? 1.0f : fold == LT_FOLD_MAX ? -INFINITY : fold == LT_FOLD_MIN ? INFINITY : 0.0f;
}

static void fold_columns(const walk *w, lt_fold fold, const float *x, int cols, float *acc, const float *above)
{
    for (int c = 0; c < cols; c++) {
        acc[c] = neutral(fold);
    }
    for (int64_t o = 0; o < outer_folds(w); o++) {
        w->isa->column_fold[fold](acc, x + place(w->n_folded - 1, w->folded, w->folded_step, o), w->run, w->run_step,
                                  cols, above);
    }
}

static float fold_row(const walk *w, lt_fold fold, const float *x, float above)
{
    float acc = neutral(fold);
    for (int64_t o = 0; o < outer_folds(w); o++) {
        float v = w->isa->row_fold[fold](x + place(w->n_folded - 1, w->folded, w->folded_step, o), w->run, above);
        acc = fold == LT_FOLD_PRODUCT                      ? acc * v
              : fold != LT_FOLD_MAX && fold != LT_FOLD_MIN ? acc + v
              : acc != acc || (v != v)                     ? acc + v
              : (fold == LT_FOLD_MAX ? v > acc : v < acc)  ? v
                                                           : acc;
    }
    return acc;
}

static void finish(const walk *w, float *tile, const float *above, int n)
{
    for (int i = 0; i < n; i++) {
        switch (w->end) {
        case MEAN:
            tile[i] /= (float)w->elements;
            break;
        case ROOT:
            tile[i] = sqrtf(tile[i]);
            break;
        case LOGARITHM:
            tile[i] = logf(tile[i]);
            break;
        case LOGARITHM_ABOVE:
            tile[i] = isinf(above[i]) ? above[i] : logf(tile[i]) + above[i];
            break;
        default:
            break;
        }
    }
}

/* The length of what is folded into one result, where its squares do not fit a float or die out in it. */
static float length_again(const walk *w, const float *x)
{
    double sum = 0;
    for (int64_t o = 0; o < outer_folds(w); o++) {
        const float *at = x + place(w->n_folded - 1, w->folded, w->folded_step, o);
        for (int64_t r = 0; r < w->run; r++) {
            sum += (double)at[r * w->run_step] * (double)at[r * w->run_step];
        }
    }
    return (float)sqrt(sum);
}

static void mend_lengths(const walk *w, int64_t first, int n)
{
    for (int i = 0; i < n; i++) {
        if (!(w->tile[i] > 1e-15f && w->tile[i] <= FLT_MAX)) {
            w->tile[i] = length_again(w, w->x + place(w->n_kept, w->kept, w->kept_step, first + i));
        }
    }
}

/* Results first .. first + n, in one run of columns when there are columns. */
static void fold_some(const walk *w, int64_t first, int n)
{
    bool above = w->fold == LT_FOLD_EXP;
    if (w->columns) {
        const float *x = w->x + place(w->n_kept, w->kept, w->kept_step, first);
        if (above) {
            fold_columns(w, LT_FOLD_MAX, x, n, w->above, NULL);
        }
        fold_columns(w, w->fold, x, n, w->tile, above ? w->above : NULL);
    }
    for (int i = 0; !w->columns && i < n; i++) {
        const float *x = w->x + place(w->n_kept, w->kept, w->kept_step, first + i);
        if (above) {
            w->above[i] = fold_row(w, LT_FOLD_MAX, x, 0);
        }
        w->tile[i] = fold_row(w, w->fold, x, above ? w->above[i] : 0);
    }
    finish(w, w->tile, w->above, n);
    if (w->end == ROOT) {
        mend_lengths(w, first, n);
    }
}

static size_t thread_scratch(const lathe_problem *p)
{
    return lt_tile_scratch(p) + 2 * LT_TILE * sizeof(float);
}

size_t lt_row_reduce_scratch(const lt_cpu_isa *isa, const lathe_problem *problem, uint32_t config,
                             const lathe_buffer *in, const lathe_buffer *out, int threads)
{
    (void)isa, (void)config, (void)in, (void)out;
    return thread_scratch(problem) * (size_t)threads;
}

lathe_status lt_row_reduce_run(const lt_cpu_isa *isa, const lathe_gang *gang, const lathe_call *call, lathe_diag *diag)
{
    const lathe_problem *p = call->problem;
    walk w = { .isa = isa };
    int64_t begin, end, line;
    char *scratch = (char *)call->scratch + thread_scratch(p) * (size_t)gang->index;
    w.tile = (float *)(void *)(scratch + lt_tile_scratch(p));
    w.above = w.tile + LT_TILE;
    if (!read_walk(p, call->in, &w)) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, p->op, NULL, "the input's extents do not suit");
    }
    LT_TRY(lt_tile_prepare(&w.program, isa, call, scratch, w.tile, diag));
    if (w.program.points != w.results) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, p->op, NULL, "the output has other extents than the axes that are kept");
    }
    if (w.results == 0) {
        return LATHE_OK;
    }
    line = w.columns ? w.kept[w.n_kept - 1] : w.results;
    lathe_gang_split(gang, w.results, w.results >= 64 * gang->count ? 16 : 1, &begin, &end);
    for (int64_t at = begin; at < end;) {
        int64_t n = line - at % line;
        n = n < end - at ? n : end - at;
        n = n < LT_TILE ? n : LT_TILE;
        fold_some(&w, at, (int)n);
        lt_tile_block block = { .start = at, .rows = 1, .cols = (int)n, .pitch = LT_TILE };
        lt_tile_run(&w.program, &block);
        at += n;
    }
    return LATHE_OK;
}
