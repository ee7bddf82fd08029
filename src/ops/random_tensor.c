/*
 * random_tensor.c - RandomNormal, RandomUniform and the two that take the shape of an input. Found through the
 * registry.
 *
 * Numbers are drawn and scaled in double, row by row, and rounded once.
 */
#include "ops/draw.h"

static bool is_real(lathe_dtype dtype)
{
    return dtype == LATHE_DTYPE_F32 || dtype == LATHE_DTYPE_F16 || dtype == LATHE_DTYPE_F64 ||
           dtype == LATHE_DTYPE_BF16;
}

static lathe_status infer_random(lt_infer *c)
{
    size_t rank;
    const int64_t *shape = lt_attr_ints(c->attrs, c->n_attrs, "shape", &rank);
    lt_dim dims[LATHE_MAX_RANK];
    lathe_dtype dtype;
    LT_TRY(lt_draw_dtype(c, LATHE_DTYPE_F32, is_real, &dtype));
    if (rank > LATHE_MAX_RANK) {
        return lt_infer_fail(c, "shape has %zu extents; at most %d are possible", rank, LATHE_MAX_RANK);
    }
    for (size_t d = 0; d < rank; d++) {
        if (shape[d] < 0) {
            return lt_infer_fail(c, "shape has the negative extent %lld", (long long)shape[d]);
        }
        dims[d] = lt_dim_const(shape[d]);
    }
    return lt_infer_out(c, 0, dtype, (int)rank, dims);
}

static lathe_status infer_like(lt_infer *c)
{
    lathe_dtype dtype;
    LT_TRY(lt_draw_dtype(c, c->in[0]->dtype, is_real, &dtype));
    return lt_infer_out(c, 0, dtype, c->in[0]->rank, c->in[0]->dims);
}

static lathe_status eval_normal(lt_eval *c)
{
    lt_tensor *y = lt_out(c, 0);
    double mean = lt_attr_f(c->attrs, c->n_attrs, "mean", 0.0f), scale = lt_attr_f(c->attrs, c->n_attrs, "scale", 1.0f);
    int64_t count = y != NULL ? lt_tensor_count(y) : 0;
    lt_draw draw;
    lt_draw_open(c, &draw);
    for (int64_t i = 0; i < count; i++) {
        lt_store_f64(y->dtype, y->data, i, mean + scale * lt_draw_normal(&draw));
    }
    return LATHE_OK;
}

static lathe_status eval_uniform(lt_eval *c)
{
    lt_tensor *y = lt_out(c, 0);
    double low = lt_attr_f(c->attrs, c->n_attrs, "low", 0.0f), high = lt_attr_f(c->attrs, c->n_attrs, "high", 1.0f);
    int64_t count = y != NULL ? lt_tensor_count(y) : 0;
    lt_draw draw;
    lt_draw_open(c, &draw);
    for (int64_t i = 0; i < count; i++) {
        lt_store_f64(y->dtype, y->data, i, low + (high - low) * lt_draw_unit(&draw));
    }
    return LATHE_OK;
}

static const lt_attr_spec attrs_normal[] = {
    { "dtype", LATHE_ATTR_INT, false },  { "mean", LATHE_ATTR_FLOAT, false }, { "scale", LATHE_ATTR_FLOAT, false },
    { "seed", LATHE_ATTR_FLOAT, false }, { "shape", LATHE_ATTR_INTS, true },  { 0 },
};
static const lt_attr_spec attrs_normal_like[] = {
    { "dtype", LATHE_ATTR_INT, false },
    { "mean", LATHE_ATTR_FLOAT, false },
    { "scale", LATHE_ATTR_FLOAT, false },
    { "seed", LATHE_ATTR_FLOAT, false },
    { 0 },
};
static const lt_attr_spec attrs_uniform[] = {
    { "dtype", LATHE_ATTR_INT, false },  { "high", LATHE_ATTR_FLOAT, false }, { "low", LATHE_ATTR_FLOAT, false },
    { "seed", LATHE_ATTR_FLOAT, false }, { "shape", LATHE_ATTR_INTS, true },  { 0 },
};
static const lt_attr_spec attrs_uniform_like[] = {
    { "dtype", LATHE_ATTR_INT, false },
    { "high", LATHE_ATTR_FLOAT, false },
    { "low", LATHE_ATTR_FLOAT, false },
    { "seed", LATHE_ATTR_FLOAT, false },
    { 0 },
};

/* Without a seed no two runs agree, and no peer with us: those samples have one possible result. */
static const char *const samples_normal[] = {
    "| y = RandomNormal <shape = [2, 3], mean = 2.5, scale = 0.0> ()",
    "| y = RandomNormal <shape = [3, 4], seed = 7.0> ()",
    "| y = RandomNormal <shape = [5], seed = 1.0, mean = -3.0, scale = 0.5, dtype = 11> ()",
    "| y = RandomNormal <shape = [2, 0], dtype = 16> ()",
    NULL,
};
static const char *const samples_normal_like[] = {
    "f32[2,3] x = rand(1) | y = RandomNormalLike <mean = 2.5, scale = 0.0> (x)",
    "i64[2,3] x = iota | y = RandomNormalLike <dtype = 1, seed = 3.0> (x)",
    "f64[4] x = rand(1) | y = RandomNormalLike <seed = 0.0, scale = 2.0> (x)",
    "f16[3] x = rand(1) | y = RandomNormalLike <seed = 5.0> (x)",
    NULL,
};
static const char *const samples_uniform[] = {
    "| y = RandomUniform <shape = [2, 3], low = 0.75, high = 0.75> ()",
    "| y = RandomUniform <shape = [3, 4], seed = 7.0> ()",
    "| y = RandomUniform <shape = [1, 5], seed = 1.0, low = -3.0, high = 0.5, dtype = 11> ()",
    "| y = RandomUniform <shape = [0]> ()",
    NULL,
};
static const char *const samples_uniform_like[] = {
    "f32[2,3] x = rand(1) | y = RandomUniformLike <low = -1.5, high = -1.5> (x)",
    "bool[2,3] x = {1, 0, 1, 0, 1, 0} | y = RandomUniformLike <dtype = 1, seed = 3.0> (x)",
    "f64[4] x = rand(1) | y = RandomUniformLike <seed = 4294967040.0, high = 2.0> (x)",
    "f16[3] x = rand(1) | y = RandomUniformLike <seed = 5.0> (x)",
    NULL,
};

LT_OPS(random_tensor) = {
    { .name = "RandomNormal",
      .since = 22,
      .traits = LT_OP_RANDOM,
      .sig = "() -> (T output); T: float",
      .attrs = attrs_normal,
      .infer = infer_random,
      .eval = eval_normal,
      .samples = samples_normal },
    { .name = "RandomNormalLike",
      .since = 22,
      .traits = LT_OP_RANDOM,
      .sig = "(T1 input) -> (T2 output); T1: " LT_PLAIN ", T2: float",
      .attrs = attrs_normal_like,
      .infer = infer_like,
      .eval = eval_normal,
      .samples = samples_normal_like },
    { .name = "RandomUniform",
      .since = 22,
      .traits = LT_OP_RANDOM,
      .sig = "() -> (T output); T: float",
      .attrs = attrs_uniform,
      .infer = infer_random,
      .eval = eval_uniform,
      .samples = samples_uniform },
    { .name = "RandomUniformLike",
      .since = 22,
      .traits = LT_OP_RANDOM,
      .sig = "(T1 input) -> (T2 output); T1: " LT_PLAIN ", T2: float",
      .attrs = attrs_uniform_like,
      .infer = infer_like,
      .eval = eval_uniform,
      .samples = samples_uniform_like },
    { 0 },
};
