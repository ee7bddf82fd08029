/*
 * mean_variance__each.c - tactic norm.moments: MeanVarianceNormalization of plain f32 tensors over any axes, in double as the reference does it. What is
 * normalized together is read three times: for the mean, for the mean square of what is left, and to be written.
 */
#include "backend/cpu/product.h"
#include "backend/cpu/vectors.inc"
#include <math.h>
#include <string.h>

enum { SUMS = 16, COLUMNS = 64 }; /* sums of a row that go side by side; columns that do */

/* Neighbouring axes that are both folded or both kept are one. */
typedef struct parts {
    int rank;
    int64_t e[LATHE_MAX_RANK], step[LATHE_MAX_RANK];
    bool over[LATHE_MAX_RANK];
    int64_t folded; /* elements that are normalized together */
    const float *x;
    float *y;
} parts;

/* Offset of a place along the axes that are folded, or along those that are kept; the last axis comes by itself. */
static int64_t offset_of(const parts *p, int64_t number, bool over)
{
    int64_t at = 0;
    for (int d = p->rank - 1; d-- > 0;) {
        if (p->over[d] == over) {
            at += number % p->e[d] * p->step[d];
            number /= p->e[d];
        }
    }
    return at;
}

static double inverse_of(double squares, int64_t count)
{
    return 1.0 / (sqrt(squares / (double)count) + 1e-9);
}

/* ---- The last axis is folded ---- */

static double total_of(const double *sums)
{
    double total = 0;
    for (int l = 0; l < SUMS; l++) {
        total += sums[l];
    }
    return total;
}

static double row_sum(const float *x, int64_t n)
{
    double s[SUMS] = { 0 };
    int64_t i = 0;
    for (; i + SUMS <= n; i += SUMS) {
        for (int l = 0; l < SUMS; l++) {
            s[l] += (double)x[i + l];
        }
    }
    for (; i < n; i++) {
        s[0] += (double)x[i];
    }
    return total_of(s);
}

static double row_squares(const float *x, int64_t n, double mean)
{
    double s[SUMS] = { 0 };
    int64_t i = 0;
    for (; i + SUMS <= n; i += SUMS) {
        for (int l = 0; l < SUMS; l++) {
            double d = (double)x[i + l] - mean;
            s[l] += d * d;
        }
    }
    for (; i < n; i++) {
        s[0] += ((double)x[i] - mean) * ((double)x[i] - mean);
    }
    return total_of(s);
}

static void one_result(const parts *p, int64_t number)
{
    int64_t first = offset_of(p, number, false), n = p->e[p->rank - 1], rows = p->folded / n;
    double sum = 0, squares = 0;
    for (int64_t r = 0; r < rows; r++) {
        sum += row_sum(p->x + first + offset_of(p, r, true), n);
    }
    double mean = sum / (double)p->folded;
    for (int64_t r = 0; r < rows; r++) {
        squares += row_squares(p->x + first + offset_of(p, r, true), n, mean);
    }
    double inverse = inverse_of(squares, p->folded);
    for (int64_t r = 0; r < rows; r++) {
        int64_t at = first + offset_of(p, r, true);
        const float *restrict x = p->x + at;
        float *restrict y = p->y + at;
        for (int64_t i = 0; i < n; i++) {
            y[i] = (float)(((double)x[i] - mean) * inverse);
        }
    }
}

/* ---- The last axis is kept ---- */

static void some_columns(const parts *p, int64_t number, int64_t column, int n)
{
    double mean[COLUMNS] = { 0 }, squares[COLUMNS] = { 0 };
    int64_t first = offset_of(p, number, false) + column;
    for (int64_t r = 0; r < p->folded; r++) {
        const float *x = p->x + first + offset_of(p, r, true);
        for (int i = 0; i < n; i++) {
            mean[i] += (double)x[i];
        }
    }
    for (int i = 0; i < n; i++) {
        mean[i] /= (double)p->folded;
    }
    for (int64_t r = 0; r < p->folded; r++) {
        const float *x = p->x + first + offset_of(p, r, true);
        for (int i = 0; i < n; i++) {
            squares[i] += ((double)x[i] - mean[i]) * ((double)x[i] - mean[i]);
        }
    }
    for (int i = 0; i < n; i++) {
        squares[i] = inverse_of(squares[i], p->folded);
    }
    for (int64_t r = 0; r < p->folded; r++) {
        int64_t at = first + offset_of(p, r, true);
        const float *restrict x = p->x + at;
        float *restrict y = p->y + at;
        for (int i = 0; i < n; i++) {
            y[i] = (float)(((double)x[i] - mean[i]) * squares[i]);
        }
    }
}

/* ---- The tactic ---- */

/* The axes that are folded, as bits; false when there is no such axis. */
ASKED static bool read_axes(const lathe_problem *p, int rank, uint32_t *over)
{
    static const int64_t images[] = { 0, 2, 3 };
    size_t count;
    const int64_t *axes = lt_attr_ints(p->attrs, p->n_attrs, "axes", &count);
    count = axes ? count : LT_COUNT(images);
    axes = axes ? axes : images;
    *over = 0;
    for (size_t i = 0; i < count; i++) {
        int64_t axis = axes[i] < 0 ? axes[i] + rank : axes[i];
        if (axis < 0 || axis >= rank) {
            return false;
        }
        *over |= 1u << axis;
    }
    return true;
}

ASKED static int fits(const lathe_problem *p, uint32_t config, lathe_fit *fit)
{
    const uint32_t unplanned = LATHE_OPERAND_MANAGED | LATHE_OPERAND_BOUNDED | LATHE_OPERAND_ABSENT;
    const lathe_operand *x = lt_root_operand(p, 0, NULL), *y = &p->out[0];
    uint32_t over;
    (void)config;
    if (p->n_instrs > 0 || p->n_out != 1 || !x || ((x->flags | y->flags) & unplanned) || x->rank < 1 || y->rank != x->rank) {
        return lt_no(fit, "part of a group, or operands without planned extents");
    }
    if (x->dtype != LATHE_DTYPE_F32 || y->dtype != LATHE_DTYPE_F32) {
        return lt_no(fit, "input 0 is %s", lathe_dtype_name(x->dtype));
    }
    if (!read_axes(p, x->rank, &over)) {
        return lt_no(fit, "axes that rank %d does not have", x->rank);
    }
    fit->cost = 300 + lt_operand_elements(x) * (ISA.nr >= 16 ? 0.8 : 1.4);
    return 1;
}

static void collapse(parts *p, const lathe_buffer *x, uint32_t over)
{
    int64_t step = 1;
    for (int d = 0; d < x->rank; d++) {
        bool is_over = over >> d & 1;
        p->folded *= is_over ? x->dims[d] : 1;
        if (p->rank > 0 && p->over[p->rank - 1] == is_over) {
            p->e[p->rank - 1] *= x->dims[d];
        } else {
            p->over[p->rank] = is_over;
            p->e[p->rank++] = x->dims[d];
        }
    }
    for (int d = p->rank; d-- > 0; step *= p->e[d]) {
        p->step[d] = step;
    }
}

static lathe_status run(const lathe_gang *gang, const lathe_call *call, lathe_diag *diag)
{
    const lathe_problem *problem = call->problem;
    uint16_t nx;
    uint32_t over;
    (void)lt_root_operand(problem, 0, &nx);
    const lathe_buffer *x = &call->in[nx], *y = &call->out[0];
    parts p = { .folded = 1, .x = x->data, .y = y->data };
    int64_t elements, begin, end;
    if (x->rank < 1 || y->rank != x->rank || !lt_extents_sane(x->rank, x->dims) || !lt_dims_count(x->dims, x->rank, &elements) ||
        memcmp(x->dims, y->dims, (size_t)x->rank * sizeof *x->dims) != 0 || !read_axes(problem, x->rank, &over)) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, problem->op, NULL, "no such axes, or the output has other extents");
    }
    if (elements == 0) {
        return LATHE_OK;
    }
    collapse(&p, x, over);
    if (p.over[p.rank - 1]) {
        lathe_gang_split(gang, elements / p.folded, 1, &begin, &end);
        for (int64_t i = begin; i < end; i++) {
            one_result(&p, i);
        }
        return LATHE_OK;
    }
    int64_t last = p.e[p.rank - 1], pieces = (last + COLUMNS - 1) / COLUMNS;
    lathe_gang_split(gang, elements / p.folded / last * pieces, 1, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        int64_t column = i % pieces * COLUMNS;
        some_columns(&p, i / pieces, column, last - column < COLUMNS ? (int)(last - column) : COLUMNS);
    }
    return LATHE_OK;
}

LT_TACTICS(LT_EACH(mean_variance)) = {
    { .struct_size = sizeof(lathe_tactic),
      .name = "norm.moments." ISA_NAME,
      .version = 1,
      .summary = "MeanVarianceNormalization of plain f32 tensors",
      .ops = "MeanVarianceNormalization",
      .device = LATHE_SPACE_HOST,
      .cpu_features = ISA_FEATURES,
      .configs = 1,
      .fits = fits,
      .run = run },
    { .name = NULL },
};
