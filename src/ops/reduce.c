/*
 * reduce.c - the Reduce* family. Floats are folded in double and rounded once; integer sums and products wrap, means
 * truncate. Reducing nothing gives the neutral element.
 */
#include "ops/nn.h"

#include <math.h>

/* ---- Inference ---- */

/* The axes to reduce as flags; *known false when they cannot be told. */
static lathe_status read_axes(lt_infer *c, int rank, bool *over, bool *known)
{
    int axes[LATHE_MAX_RANK], count;
    LT_TRY(lt_infer_axes(c, NULL, 1, rank, axes, &count));
    if (count < 0 && lt_infer_known_rank(c, 1) && c->in[1]->rank == 1 && lt_dim_is(c->in[1]->dims[0], 0)) {
        count = 0;
    }
    bool all = count == 0 && lt_attr_i(c->attrs, c->n_attrs, "noop_with_empty_axes", 0) == 0;
    for (int d = 0; d < rank; d++) {
        over[d] = all;
    }
    for (int i = 0; i < count; i++) {
        over[axes[i]] = true;
    }
    *known = count >= 0;
    return LATHE_OK;
}

/*
 * Which axes is not known: with keepdims every extent is either 1 or what it was; without, the number of axes tells
 * the rank.
 */
static lathe_status infer_unknown(lt_infer *c, bool keep)
{
    const lt_type *x = c->in[0], *axes = c->in[1];
    lt_dim dims[LATHE_MAX_RANK];
    int rank = keep ? x->rank : -1;
    if (!keep && axes->rank == 1 && lt_dim_is_const(axes->dims[0]) && axes->dims[0].k > 0 &&
        axes->dims[0].k <= x->rank) {
        rank = x->rank - (int)axes->dims[0].k;
    }
    for (int d = 0; d < rank; d++) {
        if (keep && lt_dim_is(x->dims[d], 1)) {
            dims[d] = x->dims[d];
        } else {
            LT_TRY(lt_infer_fresh(c, lt_dim_const(0), lt_dim_const(INT64_MAX), &dims[d]));
        }
    }
    return lt_infer_out(c, 0, x->dtype, rank, dims);
}

/* Shape arithmetic: a small integer vector reduced to one number. */
static lathe_status infer_contents(lt_infer *c, const bool *over)
{
    static const struct {
        const char *name;
        lt_dim_op op;
        int64_t neutral;
    } rows[] = {
        { "ReduceSum", LT_DIM_ADD, 0 },
        { "ReduceProd", LT_DIM_MUL, 1 },
        { "ReduceMax", LT_DIM_MAX, 0 },
        { "ReduceMin", LT_DIM_MIN, 0 },
    };
    lt_dim v[LT_CONTENTS_MAX];
    int64_t count;
    if (c->out_contents == NULL || c->in[0]->rank != 1 || !over[0] || !lt_dtype_is_integer(c->in[0]->dtype)) {
        return LATHE_OK;
    }
    LT_TRY(lt_infer_ints(c, 0, v, &count));
    for (size_t r = 0; r < LT_COUNT(rows); r++) {
        if (!lt_streq(rows[r].name, c->op->name) || count < (r < 2 ? 0 : 1)) {
            continue;
        }
        lt_dim all = count > 0 ? v[0] : lt_dim_const(rows[r].neutral);
        for (int64_t i = 1; i < count; i++) {
            if (lt_dim_make(c->dims, rows[r].op, all, v[i], &all, NULL) != LATHE_OK) {
                return LATHE_OK; /* not an error of the model: the contents just stay unknown */
            }
        }
        return lt_infer_set_contents(c, 0, &all, 1);
    }
    return LATHE_OK;
}

static lathe_status infer_reduce(lt_infer *c)
{
    const lt_type *x = c->in[0];
    bool over[LATHE_MAX_RANK], known, keep = lt_attr_i(c->attrs, c->n_attrs, "keepdims", 1) != 0;
    if (x->rank < 0) {
        return lt_infer_out(c, 0, x->dtype, -1, NULL);
    }
    LT_TRY(read_axes(c, x->rank, over, &known));
    if (!known) {
        return infer_unknown(c, keep);
    }
    lt_dim dims[LATHE_MAX_RANK];
    int rank = 0;
    for (int d = 0; d < x->rank; d++) {
        if (!over[d] || keep) {
            dims[rank++] = over[d] ? lt_dim_const(1) : x->dims[d];
        }
    }
    LT_TRY(lt_infer_out(c, 0, x->dtype, rank, dims));
    return infer_contents(c, over);
}

/* ---- Folds ---- */

static double real_sum(const double *row, int64_t count)
{
    double sum = 0.0;
    for (int64_t i = 0; i < count; i++) {
        sum += row[i];
    }
    return sum;
}

static double real_mean(const double *row, int64_t count)
{
    return real_sum(row, count) / (double)count;
}

static double real_prod(const double *row, int64_t count)
{
    double product = 1.0;
    for (int64_t i = 0; i < count; i++) {
        product *= row[i];
    }
    return product;
}

static double real_max(const double *row, int64_t count)
{
    double best = -INFINITY;
    for (int64_t i = 0; i < count; i++) {
        best = row[i] > best || isnan(row[i]) ? row[i] : best;
        if (isnan(best)) {
            break;
        }
    }
    return best;
}

static double real_min(const double *row, int64_t count)
{
    double best = INFINITY;
    for (int64_t i = 0; i < count; i++) {
        best = row[i] < best || isnan(row[i]) ? row[i] : best;
        if (isnan(best)) {
            break;
        }
    }
    return best;
}

static double real_sum_square(const double *row, int64_t count)
{
    double sum = 0.0;
    for (int64_t i = 0; i < count; i++) {
        sum += row[i] * row[i];
    }
    return sum;
}

static double real_l1(const double *row, int64_t count)
{
    double sum = 0.0;
    for (int64_t i = 0; i < count; i++) {
        sum += fabs(row[i]);
    }
    return sum;
}

static double real_l2(const double *row, int64_t count)
{
    return sqrt(real_sum_square(row, count));
}

static double real_log_sum(const double *row, int64_t count)
{
    return log(real_sum(row, count));
}

/* Shifted by the largest finite part, so that nothing overflows; infinities stay what they are. */
static double real_log_sum_exp(const double *row, int64_t count)
{
    double top = real_max(row, count), sum = 0.0;
    if (isnan(top) || isinf(top)) {
        return top;
    }
    for (int64_t i = 0; i < count; i++) {
        sum += exp(row[i] - top);
    }
    return log(sum) + top;
}

/* Integers are 64-bit patterns: two's complement, or unsigned for u64. */
static int64_t int_sum(const int64_t *row, int64_t count, lathe_dtype dtype)
{
    uint64_t sum = 0;
    (void)dtype;
    for (int64_t i = 0; i < count; i++) {
        sum += (uint64_t)row[i];
    }
    return (int64_t)sum;
}

static int64_t int_mean(const int64_t *row, int64_t count, lathe_dtype dtype)
{
    int64_t sum = int_sum(row, count, dtype);
    if (count == 0) {
        return 0;
    }
    return dtype == LATHE_DTYPE_U64 ? (int64_t)((uint64_t)sum / (uint64_t)count) : sum / count;
}

static int64_t int_prod(const int64_t *row, int64_t count, lathe_dtype dtype)
{
    uint64_t product = 1;
    (void)dtype;
    for (int64_t i = 0; i < count; i++) {
        product *= (uint64_t)row[i];
    }
    return (int64_t)product;
}

static bool int_less(int64_t a, int64_t b, lathe_dtype dtype)
{
    return dtype == LATHE_DTYPE_U64 ? (uint64_t)a < (uint64_t)b : a < b;
}

static int64_t int_max(const int64_t *row, int64_t count, lathe_dtype dtype)
{
    int64_t best = count > 0 ? row[0] : lt_dtype_min_i64(dtype);
    for (int64_t i = 1; i < count; i++) {
        best = int_less(best, row[i], dtype) ? row[i] : best;
    }
    return best;
}

static int64_t int_min(const int64_t *row, int64_t count, lathe_dtype dtype)
{
    int64_t best = count > 0 ? row[0] : (int64_t)lt_dtype_max_u64(dtype);
    for (int64_t i = 1; i < count; i++) {
        best = int_less(row[i], best, dtype) ? row[i] : best;
    }
    return best;
}

static int64_t int_sum_square(const int64_t *row, int64_t count, lathe_dtype dtype)
{
    uint64_t sum = 0;
    (void)dtype;
    for (int64_t i = 0; i < count; i++) {
        sum += (uint64_t)row[i] * (uint64_t)row[i];
    }
    return (int64_t)sum;
}

static int64_t int_l1(const int64_t *row, int64_t count, lathe_dtype dtype)
{
    uint64_t sum = 0;
    for (int64_t i = 0; i < count; i++) {
        sum += row[i] < 0 && dtype != LATHE_DTYPE_U64 ? 0 - (uint64_t)row[i] : (uint64_t)row[i];
    }
    return (int64_t)sum;
}

/* ---- Evaluation ---- */

typedef struct reducer {
    const char *name;
    double (*real)(const double *row, int64_t count);
    int64_t (*integer)(const int64_t *row, int64_t count, lathe_dtype dtype); /* NULL: in double, truncated */
} reducer;

static const reducer reducers[] = {
    { "ReduceSum", real_sum, int_sum },     { "ReduceMean", real_mean, int_mean },
    { "ReduceProd", real_prod, int_prod },  { "ReduceMax", real_max, int_max },
    { "ReduceMin", real_min, int_min },     { "ReduceSumSquare", real_sum_square, int_sum_square },
    { "ReduceL1", real_l1, int_l1 },        { "ReduceL2", real_l2, NULL },
    { "ReduceLogSum", real_log_sum, NULL }, { "ReduceLogSumExp", real_log_sum_exp, NULL },
};

/* All that is needed for one result. */
typedef struct job {
    const reducer *how;
    const lt_tensor *x;
    lathe_dtype dtype;
    bool over[LATHE_MAX_RANK];
    lt_nn_reduction red;
    double *row;
    int64_t *ints;
} job;

static lathe_status prepare(lt_eval *c, job *j)
{
    const int64_t *axes;
    int64_t count;
    *j = (job){ .x = lt_in(c, 0), .dtype = lt_in(c, 0)->dtype };
    LT_TRY(lt_eval_ints(c, 1, &axes, &count));
    if (count > LATHE_MAX_RANK || (lt_in(c, 1) != NULL && lt_in(c, 1)->rank > 1)) {
        return lt_eval_fail(c, "%lld axes in a tensor of rank %d; a short vector is needed", (long long)count,
                            lt_in(c, 1)->rank);
    }
    bool all = count == 0 && lt_attr_i(c->attrs, c->n_attrs, "noop_with_empty_axes", 0) == 0;
    for (int d = 0; d < j->x->rank; d++) {
        j->over[d] = all;
    }
    for (int64_t i = 0; i < count; i++) {
        j->over[axes[i] < 0 ? axes[i] + j->x->rank : axes[i]] = true; /* infer has checked the range */
    }
    LT_TRY(lt_nn_reduction_make(c, j->x, j->over, &j->red));
    for (size_t i = 0; i < LT_COUNT(reducers); i++) {
        if (lt_streq(reducers[i].name, c->op->name)) {
            j->how = &reducers[i];
        }
    }
    LT_CHECK(c->diag, j->how != NULL, c->where);
    j->row = lt_nn_scratch(c, j->red.size);
    j->ints = LT_ARENA_ARRAY(c->scratch, int64_t, (size_t)(j->red.size > 0 ? j->red.size : 1));
    return j->row == NULL || j->ints == NULL ? LT_OOM(c->diag) : LATHE_OK;
}

/* Folds the elements of result `index` into element `at` of out. */
static void reduce_one(const job *j, int64_t index, void *out, int64_t at)
{
    if (j->how->integer == NULL || lt_dtype_is_float(j->dtype)) {
        lt_nn_reduction_read(&j->red, j->x, index, j->row);
        lt_store_f64(j->dtype, out, at, j->how->real(j->row, j->red.size));
        return;
    }
    int64_t first = lt_nn_reduction_first(&j->red, index);
    for (int64_t i = 0; i < j->red.size; i++) {
        j->ints[i] = lt_load_i64(j->dtype, j->x->data, first + j->red.offsets[i]);
    }
    lt_store_i64(j->dtype, out, at, j->how->integer(j->ints, j->red.size, j->dtype));
}

static lathe_status eval_reduce(lt_eval *c)
{
    job j;
    lt_tensor *y = lt_out(c, 0);
    LT_TRY(prepare(c, &j));
    for (int64_t i = 0; i < j.red.results; i++) {
        reduce_one(&j, i, y->data, i);
    }
    return LATHE_OK;
}

static lathe_status eval_reduce_at(lt_eval *c, const int64_t *coords, void *out)
{
    job j;
    bool keep = lt_attr_i(c->attrs, c->n_attrs, "keepdims", 1) != 0;
    LT_TRY(prepare(c, &j));
    int64_t index = 0;
    for (int d = 0, at = 0; d < j.x->rank; d++) {
        if (!j.over[d]) {
            index = index * j.x->dims[d] + coords[at];
        }
        at += !j.over[d] || keep;
    }
    reduce_one(&j, index, out, 0);
    return LATHE_OK;
}

static const lt_attr_spec attrs[] = { { "keepdims", LATHE_ATTR_INT, false },
                                      { "noop_with_empty_axes", LATHE_ATTR_INT, false },
                                      { 0 } };

static const char *const sum_samples[] = {
    "f32[3,4,5] x = rand(1), i64[2] a = {0, -1} | y = ReduceSum (x, a)",
    "f32[3,4,5] x = rand(1), i64[1] a = {1} | y = ReduceSum <keepdims = 0> (x, a)",
    "f32[3,4] x = rand(1) | y = ReduceSum <keepdims = 0> (x)",
    "f32[3,4] x = rand(1), i64[0] a = {} | y = ReduceSum <noop_with_empty_axes = 1> (x, a)",
    "i32[3,4] x = rand(1), i64[1] a = {1} | y = ReduceSum (x, a)",
    "i64[3,4] x = rand(1), i64[1] a = {0} | y = ReduceSum (x, a)",
    "f16[3,9] x = rand(1), i64[1] a = {1} | y = ReduceSum (x, a)",
    "f64[3,4] x = rand(1), i64[1] a = {0} | y = ReduceSum (x, a)",
    NULL,
};
static const char *const mean_samples[] = {
    "f32[3,4,5] x = rand(1), i64[2] a = {1, 2} | y = ReduceMean (x, a)",
    "f32[2,3,4,5] x = rand(1), i64[2] a = {-1, -2} | y = ReduceMean <keepdims = 0> (x, a)",
    "f16[3,4] x = rand(1), i64[1] a = {1} | y = ReduceMean (x, a)",
    "f64[3,4] x = rand(1) | y = ReduceMean (x)",
    "i32[3,4] x = rand(1), i64[1] a = {1} | y = ReduceMean (x, a)",
    NULL,
};
static const char *const prod_samples[] = {
    "f32[3,4] x = rand(1), i64[1] a = {1} | y = ReduceProd (x, a)",
    "i64[4] x = rand(1), i64[1] a = {0} | y = ReduceProd <keepdims = 0> (x, a)",
    "i32[3,3] x = rand(1) | y = ReduceProd (x)",
    NULL,
};
static const char *const max_samples[] = {
    "f32[3,4,5] x = rand(1), i64[2] a = {0, 2} | y = ReduceMax (x, a)",
    "i64[3,4] x = rand(1), i64[1] a = {1} | y = ReduceMax <keepdims = 0> (x, a)",
    "u8[3,4] x = rand(1), i64[1] a = {0} | y = ReduceMax (x, a)",
    "i8[3,4] x = rand(1) | y = ReduceMax (x)",
    "f16[3,4] x = rand(1), i64[1] a = {0} | y = ReduceMax (x, a)",
    "bool[3,4] x = rand(1), i64[1] a = {1} | y = ReduceMax (x, a)",
    NULL,
};
static const char *const min_samples[] = {
    "f32[3,4,5] x = rand(1), i64[2] a = {0, 2} | y = ReduceMin (x, a)",
    "i32[3,4] x = rand(1), i64[1] a = {1} | y = ReduceMin <keepdims = 0> (x, a)",
    "f64[3,4] x = rand(1) | y = ReduceMin (x)",
    "bool[3,4] x = rand(1), i64[1] a = {1} | y = ReduceMin (x, a)",
    NULL,
};
static const char *const sum_square_samples[] = {
    "f32[3,4,5] x = rand(1), i64[1] a = {1} | y = ReduceSumSquare (x, a)",
    "i32[3,4] x = rand(1), i64[1] a = {1} | y = ReduceSumSquare (x, a)",
    "f32[3,2] x = rand(1) | y = ReduceSumSquare <noop_with_empty_axes = 1> (x)",
    NULL,
};
static const char *const l1_samples[] = {
    "f32[3,4,5] x = rand(1), i64[1] a = {1} | y = ReduceL1 (x, a)",
    "i32[3,4] x = rand(1), i64[1] a = {1} | y = ReduceL1 <keepdims = 0> (x, a)",
    NULL,
};
static const char *const l2_samples[] = {
    "f32[3,4,5] x = rand(1), i64[1] a = {1} | y = ReduceL2 (x, a)",
    "f64[3,4] x = rand(1) | y = ReduceL2 <keepdims = 0> (x)",
    NULL,
};
static const char *const log_sum_samples[] = {
    "f32[3,4] x = {1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0}, i64[1] a = {1} | y = ReduceLogSum "
    "(x, a)",
    NULL,
};
static const char *const log_sum_exp_samples[] = {
    "f32[3,4,5] x = rand(1), i64[1] a = {1} | y = ReduceLogSumExp (x, a)",
    "f64[2,3] x = {1000.0, 1001.0, 1002.0, -5.0, -6.0, -7.0}, i64[1] a = {-1} | y = ReduceLogSumExp <keepdims = 0> (x, "
    "a)",
    NULL,
};

/* One row of the family. */
#define REDUCE(op_name, version, types, op_samples)                                                                    \
    {                                                                                                                  \
        .name = op_name, .since = version, .traits = LT_OP_ROOT, .host_inputs = 2,                                     \
        .sig = "(T data, i64? axes) -> (T reduced); T: " types, .attrs = attrs, .infer = infer_reduce,                 \
        .eval = eval_reduce, .eval_at = eval_reduce_at, .samples = op_samples                                          \
    }

LT_OPS(reduce) = {
    REDUCE("ReduceSum", 13, "float u32 u64 i32 i64", sum_samples),
    REDUCE("ReduceMean", 18, "float u32 u64 i32 i64", mean_samples),
    REDUCE("ReduceProd", 18, "float u32 u64 i32 i64", prod_samples),
    REDUCE("ReduceMax", 20, "float u32 u64 i32 i64 u8 i8 bool", max_samples),
    REDUCE("ReduceMin", 20, "float u32 u64 i32 i64 u8 i8 bool", min_samples),
    REDUCE("ReduceSumSquare", 18, "float u32 u64 i32 i64", sum_square_samples),
    REDUCE("ReduceL1", 18, "float u32 u64 i32 i64", l1_samples),
    REDUCE("ReduceL2", 18, "float u32 u64 i32 i64", l2_samples),
    REDUCE("ReduceLogSum", 18, "float u32 u64 i32 i64", log_sum_samples),
    REDUCE("ReduceLogSumExp", 18, "float u32 u64 i32 i64", log_sum_exp_samples),
    { 0 },
};
