/*
 * fold_axes.c - tactics fold.axes and fold.running: reductions of types other than f32, ArgMax, ArgMin, CumSum and CumProd of any number. Numbers are folded as
 * the reference folds them, in double or in 64-bit integers and in the order in which they lie, so that the bits are the reference's.
 *
 * Results are computed several at a time, their lanes: neighbours along the last axis where that is kept, else a few rows. Chunks of the input come as
 * `steps` lines of lanes.
 */
#include "backend/cpu/product.h"
#include "backend/cpu/settle.h"
#include <math.h>
#include <string.h>

enum { LANES = 32, ROWS = 8, STEPS = 64, WIDE = 256 }; /* WIDE: lanes of running floats */

typedef enum fold_kind { SUM, MEAN, PRODUCT, MOST, LEAST, SQUARES, MAGNITUDES, LENGTH, LOGARITHM, ARG_MOST, ARG_LEAST } fold_kind;

static const struct kind_row {
    const char *op;
    fold_kind kind;
    bool whole; /* of integers too */
} kinds[] = {
    { "ReduceSum", SUM, true },           { "ReduceMean", MEAN, true },     { "ReduceProd", PRODUCT, true },
    { "ReduceMax", MOST, true },          { "ReduceMin", LEAST, true },     { "ReduceSumSquare", SQUARES, true },
    { "ReduceL1", MAGNITUDES, false },    { "ReduceL2", LENGTH, false },    { "ReduceLogSum", LOGARITHM, false },
    { "ArgMax", ARG_MOST, true },         { "ArgMin", ARG_LEAST, true },
};

static const struct kind_row *kind_of(const lathe_problem *p)
{
    for (size_t i = 0; i < LT_COUNT(kinds); i++) {
        if (strcmp(kinds[i].op, p->op) == 0) {
            return &kinds[i];
        }
    }
    return NULL;
}

/* ---- Fits ---- */

static bool is_number(lathe_dtype dtype)
{
    return lt_lane_of(dtype) != LT_LANE_NONE && dtype != LATHE_DTYPE_BOOL && (lt_dtype_is_integer(dtype) || lt_dtype_is_float(dtype)) &&
           lathe_dtype_bits(dtype) >= 8;
}

static int fits_operands(const lathe_problem *p, lathe_fit *fit)
{
    const lathe_operand *x = lt_root_operand(p, 0, NULL), *y = &p->out[0];
    if (p->n_instrs > 0 || p->n_out != 1 || !x || x->rank < 0 || (x->flags & LATHE_OPERAND_MANAGED)) {
        return lt_no(fit, "part of a group, or an input of unknown rank");
    }
    if (y->flags & (LATHE_OPERAND_MANAGED | LATHE_OPERAND_BOUNDED | LATHE_OPERAND_ABSENT)) {
        return lt_no(fit, "the output has no planned extents");
    }
    return is_number(x->dtype) ? 1 : lt_no(fit, "input 0 is %s", lathe_dtype_name(x->dtype));
}

/* Axes that are folded, as bits. */
static int folded(const lathe_problem *p, const struct kind_row *k, int rank, uint32_t *over, lathe_fit *fit)
{
    if (k->kind < ARG_MOST) {
        return lt_reduced_axes(p, rank, over, fit);
    }
    int64_t axis = lt_attr_i(p->attrs, p->n_attrs, "axis", 0);
    axis += axis < 0 ? rank : 0;
    *over = axis >= 0 && axis < rank ? 1u << axis : 0;
    return *over ? 1 : lt_no(fit, "axis %lld of %d", (long long)axis, rank);
}

static int fits_fold(const lathe_problem *p, uint32_t config, lathe_fit *fit)
{
    const struct kind_row *k = kind_of(p);
    const lathe_operand *x = lt_root_operand(p, 0, NULL), *y = &p->out[0];
    uint32_t over;
    (void)config;
    if (!k || !fits_operands(p, fit)) {
        return k ? 0 : lt_no(fit, "not for %s", p->op);
    }
    bool real = lt_dtype_is_float(x->dtype), arg = k->kind >= ARG_MOST;
    if ((!arg && x->dtype == LATHE_DTYPE_F32) || (!real && !k->whole) || y->dtype != (arg ? LATHE_DTYPE_I64 : x->dtype)) {
        return lt_no(fit, "not for elements of type %s", lathe_dtype_name(x->dtype));
    }
    if (!folded(p, k, x->rank, &over, fit)) {
        return 0;
    }
    fit->cost = 200 + lt_operand_elements(x) * (x->dtype == LATHE_DTYPE_F16 ? 3 : 1.5) + 5 * lt_operand_elements(y);
    return 1;
}

/* ---- Elements ---- */

/* Lanes of one step, as doubles or as 64-bit integers; unsigned ones of 64 bits are moved so that they compare as signed. */
typedef struct chunk {
    double real[STEPS][LANES];
    int64_t whole[STEPS][LANES];
    int64_t raw[STEPS > LANES ? STEPS : LANES]; /* as lt_tile_fetch leaves them */
} chunk;

typedef struct fold {
    fold_kind kind;
    lathe_dtype dtype;
    bool real, last; /* last: of equals, the one with the largest index */
    size_t size;
    int rank; /* of the collapsed input */
    int64_t e[LATHE_MAX_RANK], step[LATHE_MAX_RANK], to[LATHE_MAX_RANK]; /* to: steps in the output, of axes that are kept */
    bool over[LATHE_MAX_RANK];
    int64_t folded; /* elements that make a result */
    const char *x;
    char *y;
} fold;

/* n consecutive elements; each goes `step` places after the one before. */
static void fetch(const fold *f, chunk *c, int64_t at, int n, void *to, int step)
{
    const float *floats = (const float *)(const void *)c->raw;
    const int32_t *narrow = (const int32_t *)(const void *)c->raw;
    double *real = to;
    int64_t *whole = to;
    lt_tile_fetch(f->dtype, c->raw, 0, f->x, at, 1, n);
    switch (lt_lane_of(f->dtype)) {
    case LT_LANE_F32:
        for (int i = 0; i < n; i++) {
            real[i * step] = (double)floats[i];
        }
        break;
    case LT_LANE_F64:
        for (int i = 0; i < n; i++) {
            memcpy(&real[i * step], &c->raw[i], sizeof *real);
        }
        break;
    case LT_LANE_I32:
        for (int i = 0; i < n; i++) {
            whole[i * step] = narrow[i];
        }
        break;
    default:
        for (int i = 0; i < n; i++) {
            whole[i * step] = c->raw[i];
        }
        break;
    }
}

/* ---- Folding ---- */

typedef struct lanes {
    double real[LANES];
    int64_t whole[LANES], index[LANES];
} lanes;

static int64_t order_bit(lathe_dtype dtype)
{
    return dtype == LATHE_DTYPE_U64 ? INT64_MIN : 0;
}

static void start(const fold *f, lanes *a)
{
    for (int i = 0; i < LANES; i++) {
        a->real[i] = f->kind == PRODUCT ? 1.0 : f->kind == MOST || f->kind == ARG_MOST ? -INFINITY : f->kind == LEAST || f->kind == ARG_LEAST ? INFINITY : 0.0;
        a->whole[i] = f->kind == PRODUCT ? 1 : f->kind == MOST ? lt_dtype_min_i64(f->dtype) : f->kind == LEAST ? (int64_t)lt_dtype_max_u64(f->dtype) : 0;
        a->index[i] = 0;
    }
}

/* A NaN stays; of equals the first. */
static void extreme_reals(lanes *a, double (*x)[LANES], int steps, int n, bool most)
{
    for (int s = 0; s < steps; s++) {
        for (int i = 0; i < n; i++) {
            double v = x[s][i], best = a->real[i];
            bool better = most ? v > best : v < best;
            a->real[i] = (better || v != v) && best == best ? v : best;
        }
    }
}

static void fold_reals(const fold *f, lanes *a, double (*x)[LANES], int steps, int n)
{
    switch (f->kind) {
    case PRODUCT:
        for (int s = 0; s < steps; s++) {
            for (int i = 0; i < n; i++) {
                a->real[i] *= x[s][i];
            }
        }
        break;
    case MOST:
    case LEAST:
        extreme_reals(a, x, steps, n, f->kind == MOST);
        break;
    case SQUARES:
    case LENGTH:
        for (int s = 0; s < steps; s++) {
            for (int i = 0; i < n; i++) {
                a->real[i] += x[s][i] * x[s][i];
            }
        }
        break;
    case MAGNITUDES:
        for (int s = 0; s < steps; s++) {
            for (int i = 0; i < n; i++) {
                a->real[i] += fabs(x[s][i]);
            }
        }
        break;
    default:
        for (int s = 0; s < steps; s++) {
            for (int i = 0; i < n; i++) {
                a->real[i] += x[s][i];
            }
        }
        break;
    }
}

static void fold_wholes(const fold *f, lanes *a, int64_t (*x)[LANES], int steps, int n)
{
    int64_t bit = order_bit(f->dtype);
    for (int s = 0; s < steps; s++) {
        for (int i = 0; i < n; i++) {
            uint64_t v = (uint64_t)x[s][i], t = (uint64_t)a->whole[i];
            switch (f->kind) {
            case PRODUCT:
                t *= v;
                break;
            case MOST:
                t = (int64_t)(v ^ (uint64_t)bit) > (int64_t)(t ^ (uint64_t)bit) ? v : t;
                break;
            case LEAST:
                t = (int64_t)(v ^ (uint64_t)bit) < (int64_t)(t ^ (uint64_t)bit) ? v : t;
                break;
            case SQUARES:
                t += v * v;
                break;
            default:
                t += v;
                break;
            }
            a->whole[i] = (int64_t)t;
        }
    }
}

/* Element number `first` + s of the axis is in line s. The first element is taken in any case, and a NaN beats every number. */
static void find_reals(const fold *f, lanes *a, double (*x)[LANES], int64_t first, int steps, int n)
{
    bool most = f->kind == ARG_MOST;
    for (int s = 0; s < steps; s++) {
        for (int i = 0; i < n; i++) {
            double v = x[s][i], best = a->real[i];
            bool nan = v != v, was = best != best;
            bool better = nan || was ? nan && !was : most ? v > best : v < best, equal = nan || was ? nan && was : v == best;
            bool take = better || (equal && f->last) || first + s == 0;
            a->real[i] = take ? v : best;
            a->index[i] = take ? first + s : a->index[i];
        }
    }
}

static void find_wholes(const fold *f, lanes *a, int64_t (*x)[LANES], int64_t first, int steps, int n)
{
    int64_t bit = order_bit(f->dtype);
    for (int s = 0; s < steps; s++) {
        for (int i = 0; i < n; i++) {
            int64_t v = x[s][i] ^ bit, best = a->whole[i];
            bool better = f->kind == ARG_MOST ? v > best : v < best;
            bool take = better || (v == best && f->last) || first + s == 0;
            a->whole[i] = take ? v : best;
            a->index[i] = take ? first + s : a->index[i];
        }
    }
}

static void fold_chunk(const fold *f, lanes *a, chunk *c, int64_t first, int steps, int n)
{
    if (f->kind >= ARG_MOST) {
        if (f->real) {
            find_reals(f, a, c->real, first, steps, n);
        } else {
            find_wholes(f, a, c->whole, first, steps, n);
        }
    } else if (f->real) {
        fold_reals(f, a, c->real, steps, n);
    } else {
        fold_wholes(f, a, c->whole, steps, n);
    }
}

static void put(const fold *f, const lanes *a, int lane, int64_t at)
{
    if (f->kind >= ARG_MOST) {
        ((int64_t *)(void *)f->y)[at] = a->index[lane];
        return;
    }
    if (f->real) {
        double v = a->real[lane];
        v = f->kind == MEAN ? v / (double)f->folded : f->kind == LENGTH ? sqrt(v) : f->kind == LOGARITHM ? log(v) : v;
        lt_store_f64(f->dtype, f->y, at, v);
        return;
    }
    int64_t v = a->whole[lane];
    if (f->kind == MEAN && f->folded > 0) {
        v = f->dtype == LATHE_DTYPE_U64 ? (int64_t)((uint64_t)v / (uint64_t)f->folded) : v / f->folded;
    }
    lt_store_i64(f->dtype, f->y, at, v);
}

/* ---- Walking ---- */

/* Offset of a place along the axes that are folded, or along those that are kept (but for the last axis, which comes by itself). */
static int64_t offset_of(const fold *f, int64_t number, bool over, const int64_t *steps)
{
    int64_t at = 0;
    for (int d = f->rank - 1; d-- > 0;) {
        if (f->over[d] == over) {
            at += number % f->e[d] * steps[d];
            number /= f->e[d];
        }
    }
    return at;
}

/* `n` columns from `first` of place `place` of the other axes that are kept. */
static void fold_columns(const fold *f, chunk *c, int64_t place, int64_t first, int n)
{
    int64_t from = offset_of(f, place, false, f->step) + first, to = offset_of(f, place, false, f->to) + first;
    lanes a;
    start(f, &a);
    for (int64_t s = 0; s < f->folded; s += STEPS) {
        int steps = f->folded - s < STEPS ? (int)(f->folded - s) : STEPS;
        for (int k = 0; k < steps; k++) {
            fetch(f, c, from + offset_of(f, s + k, true, f->step), n, f->real ? (void *)c->real[k] : (void *)c->whole[k], 1);
        }
        fold_chunk(f, &a, c, s, steps, n);
    }
    for (int i = 0; i < n; i++) {
        put(f, &a, i, to + i);
    }
}

/* Results `first` .. first + n, each from rows along the last axis. */
static void fold_rows(const fold *f, chunk *c, int64_t first, int n)
{
    int64_t from[ROWS], row = f->e[f->rank - 1], lines = row > 0 ? f->folded / row : 0;
    lanes a;
    start(f, &a);
    for (int i = 0; i < n; i++) {
        from[i] = offset_of(f, first + i, false, f->step);
    }
    for (int64_t line = 0; line < lines; line++) {
        int64_t at = offset_of(f, line, true, f->step);
        for (int64_t s = 0; s < row; s += STEPS) {
            int steps = row - s < STEPS ? (int)(row - s) : STEPS;
            for (int i = 0; i < n; i++) {
                fetch(f, c, from[i] + at + s, steps, f->real ? (void *)&c->real[0][i] : (void *)&c->whole[0][i], LANES);
            }
            fold_chunk(f, &a, c, line * row + s, steps, n);
        }
    }
    for (int i = 0; i < n; i++) {
        put(f, &a, i, first + i);
    }
}

/* Collapses neighbours that are both folded or both kept. */
static void collapse(fold *f, const lathe_buffer *x, uint32_t over)
{
    f->rank = 0;
    f->folded = 1;
    for (int d = 0; d < x->rank; d++) {
        bool is_over = over >> d & 1;
        f->folded *= is_over ? x->dims[d] : 1;
        if (f->rank > 0 && f->over[f->rank - 1] == is_over) {
            f->e[f->rank - 1] *= x->dims[d];
        } else {
            f->over[f->rank] = is_over;
            f->e[f->rank++] = x->dims[d];
        }
    }
    if (f->rank == 0) {
        f->over[0] = true;
        f->e[f->rank++] = 1;
    }
    int64_t step = 1, to = 1;
    for (int d = f->rank; d-- > 0; step *= f->e[d]) {
        f->step[d] = step;
        f->to[d] = to;
        to *= f->over[d] ? 1 : f->e[d];
    }
}

static size_t scratch_bytes(const lathe_problem *p, uint32_t config, const lathe_buffer *in, const lathe_buffer *out, int threads)
{
    (void)p, (void)config, (void)in, (void)out;
    return lt_settle_piece(sizeof(chunk)) * (size_t)threads;
}

static lathe_status run_fold(const lathe_gang *gang, const lathe_call *call, lathe_diag *diag)
{
    const lathe_problem *p = call->problem;
    const struct kind_row *k = kind_of(p);
    uint16_t nx;
    uint32_t over;
    lathe_fit fit = { .struct_size = sizeof fit };
    lathe_dtype dtype = lt_root_operand(p, 0, &nx)->dtype;
    const lathe_buffer *x = &call->in[nx], *y = &call->out[0];
    fold f = { .kind = k->kind, .dtype = dtype, .real = lt_dtype_is_float(dtype), .size = lathe_dtype_bits(dtype) / 8, .x = x->data, .y = y->data };
    chunk *c = (chunk *)(void *)((char *)call->scratch + lt_settle_piece(sizeof *c) * (size_t)gang->index);
    int64_t results, kept = 1, begin, end;
    if (!lt_extents_sane(x->rank, x->dims) || !lt_dims_count(y->dims, y->rank, &results) || !folded(p, k, x->rank, &over, &fit)) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, p->op, NULL, "the extents are impossible");
    }
    f.last = lt_attr_i(p->attrs, p->n_attrs, "select_last_index", 0) != 0;
    collapse(&f, x, over);
    for (int d = 0; d < f.rank; d++) {
        kept *= f.over[d] ? 1 : f.e[d];
    }
    if (kept != results || (f.kind >= ARG_MOST && f.folded == 0 && results > 0)) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, p->op, NULL, "the output has other extents, or there is nothing to choose from");
    }
    int64_t last = f.e[f.rank - 1], together = f.over[f.rank - 1] ? ROWS : LANES;
    if (results == 0) {
        return LATHE_OK;
    }
    if (f.over[f.rank - 1]) {
        lathe_gang_split(gang, results, ROWS, &begin, &end);
        for (int64_t i = begin; i < end; i += together) {
            fold_rows(&f, c, i, end - i < together ? (int)(end - i) : (int)together);
        }
        return LATHE_OK;
    }
    int64_t parts = (last + LANES - 1) / LANES;
    lathe_gang_split(gang, results / last * parts, 1, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        int64_t first = i % parts * LANES;
        fold_columns(&f, c, i / parts, first, last - first < together ? (int)(last - first) : (int)together);
    }
    return LATHE_OK;
}

/* ---- Running sums and products ---- */

static int fits_running(const lathe_problem *p, uint32_t config, lathe_fit *fit)
{
    const lathe_operand *x = lt_root_operand(p, 0, NULL), *axis = lt_root_operand(p, 1, NULL);
    (void)config;
    if (!fits_operands(p, fit)) {
        return 0;
    }
    if (!axis || axis->rank < 0 || axis->rank > 1 || x->rank < 1 || p->out[0].dtype != x->dtype || p->out[0].rank != x->rank) {
        return lt_no(fit, "no axis");
    }
    fit->cost = 200 + lt_operand_elements(x) * 3;
    return 1;
}

static void store_real(const fold *f, int64_t at, double v)
{
    if (f->dtype == LATHE_DTYPE_F32) {
        ((float *)(void *)f->y)[at] = (float)v;
    } else {
        lt_store_f64(f->dtype, f->y, at, v);
    }
}

static void store_whole(const fold *f, int64_t at, uint64_t v)
{
    if (f->dtype == LATHE_DTYPE_I64) {
        ((int64_t *)(void *)f->y)[at] = (int64_t)v;
    } else {
        lt_store_i64(f->dtype, f->y, at, (int64_t)v);
    }
}

/* A line along the last axis. */
static void run_line(const fold *f, chunk *c, int64_t first, bool reverse, bool exclusive, bool product)
{
    const double *real = &c->real[0][0];
    const int64_t *whole = &c->whole[0][0];
    double sum = product ? 1.0 : 0.0;
    uint64_t total = product ? 1 : 0;
    for (int64_t s = 0; s < f->folded; s += STEPS) {
        int n = f->folded - s < STEPS ? (int)(f->folded - s) : STEPS;
        int64_t low = reverse ? first - s - n + 1 : first + s;
        fetch(f, c, low, n, f->real ? (void *)c->real : (void *)c->whole, 1);
        for (int k = 0; k < n; k++) {
            int i = reverse ? n - 1 - k : k;
            if (f->real) {
                double next = product ? sum * real[i] : sum + real[i];
                store_real(f, low + i, exclusive ? sum : next);
                sum = next;
            } else {
                uint64_t v = (uint64_t)whole[i], next = product ? total * v : total + v;
                store_whole(f, low + i, exclusive ? total : next);
                total = next;
            }
        }
    }
}

/* Several lines side by side: elements of step s at `first + s * step`. */
static void run_lanes(const fold *f, chunk *c, int64_t first, int64_t step, int n, bool exclusive, bool product)
{
    lanes a;
    for (int i = 0; i < n; i++) {
        a.real[i] = product ? 1.0 : 0.0;
        a.whole[i] = product ? 1 : 0;
    }
    for (int64_t s = 0; s < f->folded; s++) {
        int64_t at = first + s * step;
        fetch(f, c, at, n, f->real ? (void *)c->real : (void *)c->whole, 1);
        for (int i = 0; f->real && i < n; i++) {
            double next = product ? a.real[i] * c->real[0][i] : a.real[i] + c->real[0][i];
            store_real(f, at + i, exclusive ? a.real[i] : next);
            a.real[i] = next;
        }
        for (int i = 0; !f->real && i < n; i++) {
            uint64_t t = (uint64_t)a.whole[i], v = (uint64_t)c->whole[0][i], next = product ? t * v : t + v;
            store_whole(f, at + i, exclusive ? t : next);
            a.whole[i] = (int64_t)next;
        }
    }
}

/* The same for floats, more of them, so that rows of memory are walked in long pieces. x and y are different tensors. */
static void run_wide(const fold *f, int64_t first, int64_t step, int n, bool exclusive, bool product)
{
    double total[WIDE];
    for (int i = 0; i < n; i++) {
        total[i] = product ? 1.0 : 0.0;
    }
    for (int64_t s = 0; s < f->folded; s++) {
        const float *restrict x = (const float *)(const void *)f->x + first + s * step;
        float *restrict y = (float *)(void *)f->y + first + s * step;
        for (int i = 0; exclusive && i < n; i++) {
            y[i] = (float)total[i];
        }
        if (product) {
            for (int i = 0; i < n; i++) {
                total[i] *= (double)x[i];
            }
        } else {
            for (int i = 0; i < n; i++) {
                total[i] += (double)x[i];
            }
        }
        for (int i = 0; !exclusive && i < n; i++) {
            y[i] = (float)total[i];
        }
    }
}

static lathe_status run_running(const lathe_gang *gang, const lathe_call *call, lathe_diag *diag)
{
    const lathe_problem *p = call->problem;
    uint16_t nx, n_axis;
    lathe_dtype dtype = lt_root_operand(p, 0, &nx)->dtype, axis_type = lt_root_operand(p, 1, &n_axis)->dtype;
    const lathe_buffer *x = &call->in[nx], *y = &call->out[0], *number = &call->in[n_axis];
    fold f = { .dtype = dtype, .real = lt_dtype_is_float(dtype), .x = x->data, .y = y->data };
    chunk *c = (chunk *)(void *)((char *)call->scratch + lt_settle_piece(sizeof *c) * (size_t)gang->index);
    bool exclusive = lt_attr_i(p->attrs, p->n_attrs, "exclusive", 0) != 0, reverse = lt_attr_i(p->attrs, p->n_attrs, "reverse", 0) != 0,
         product = strcmp(p->op, "CumProd") == 0;
    int64_t axis = number->rank == 1 && number->dims[0] != 1 ? x->rank : lt_load_i64(axis_type, number->data, 0), outer, inner, begin, end;
    axis += axis < 0 ? x->rank : 0;
    if (axis < 0 || axis >= x->rank || !lt_extents_sane(x->rank, x->dims) || y->rank != x->rank ||
        memcmp(x->dims, y->dims, (size_t)x->rank * sizeof *x->dims) != 0 || !lt_dims_count(x->dims, (int)axis, &outer) ||
        !lt_dims_count(x->dims + axis + 1, x->rank - (int)axis - 1, &inner)) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, p->op, "give an axis from -rank to rank - 1", "no such axis, or the output has other extents");
    }
    f.folded = x->dims[axis];
    bool wide = dtype == LATHE_DTYPE_F32 && inner > 1;
    int64_t width = wide ? WIDE : LANES;
    while (width > LANES && outer * ((inner + width - 1) / width) < gang->count) {
        width /= 2;
    }
    int64_t parts = (inner + width - 1) / width;
    lathe_gang_split(gang, outer * parts, 1, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        int64_t column = i % parts * width, left = inner - column, first = i / parts * f.folded * inner + column + (reverse ? (f.folded - 1) * inner : 0);
        if (inner == 1) {
            run_line(&f, c, first, reverse, exclusive, product);
        } else if (wide) {
            run_wide(&f, first, reverse ? -inner : inner, (int)(left < width ? left : width), exclusive, product);
        } else {
            run_lanes(&f, c, first, reverse ? -inner : inner, (int)(left < width ? left : width), exclusive, product);
        }
    }
    return LATHE_OK;
}

LT_TACTICS(fold_axes) = {
    { .struct_size = sizeof(lathe_tactic),
      .name = "fold.axes",
      .version = 1,
      .summary = "reductions of any number, ArgMax and ArgMin, as exact as the reference",
      .ops = "ReduceSum ReduceMean ReduceProd ReduceMax ReduceMin ReduceSumSquare ReduceL1 ReduceL2 ReduceLogSum ArgMax ArgMin",
      .device = LATHE_SPACE_HOST,
      .configs = 1,
      .fits = fits_fold,
      .scratch_bytes = scratch_bytes,
      .run = run_fold },
    { .struct_size = sizeof(lathe_tactic),
      .name = "fold.running",
      .version = 1,
      .summary = "CumSum and CumProd of any number, as exact as the reference",
      .ops = "CumSum CumProd",
      .device = LATHE_SPACE_HOST,
      .configs = 1,
      .fits = fits_running,
      .scratch_bytes = scratch_bytes,
      .run = run_running },
    { .name = NULL },
};
