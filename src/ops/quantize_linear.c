/*
 * quantize_linear.c - QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear. Scales are one number, one for each
 * index of an axis, or one for each block along an axis. Divisions are rounded to the type that the operator names
 * (that of the scale, or `precision`), then to an integer.
 */
#include "ops/move.h"
#include "ops/nn.h"

#include <math.h>

/*
 * Scale and zero point must be a scalar, a vector over the axis, or (block_size > 0) x's shape with the axis divided.
 */
static lathe_status check_granularity(lt_infer *c, int i, const char *what)
{
    int64_t block = lt_attr_i(c->attrs, c->n_attrs, "block_size", 0);
    if (block < 0) {
        return lt_infer_fail(c, "attribute 'block_size' is %lld", (long long)block);
    }
    if (!lt_infer_known_rank(c, 0) || !lt_infer_known_rank(c, i)) {
        return LATHE_OK;
    }
    const lt_type *x = c->in[0], *type = c->in[i];
    int axis = 0;
    if (type->rank == 0 || (type->rank == 1 && block == 0 && lt_dim_is(type->dims[0], 1))) {
        return LATHE_OK;
    }
    LT_TRY(lt_infer_axis(c, lt_attr_i(c->attrs, c->n_attrs, "axis", x->rank > 1), x->rank, &axis));
    if (block == 0) {
        if (type->rank != 1) {
            return lt_infer_fail(c, "the %s has rank %d but block_size is not set", what, type->rank);
        }
        return lt_nn_infer_vector(c, i, x->dims[axis], "the extent of the axis");
    }
    if (type->rank != x->rank) {
        return lt_infer_fail(c, "the %s has rank %d but blocks need the rank %d of the input", what, type->rank,
                             x->rank);
    }
    for (int d = 0; d < x->rank; d++) {
        lt_dim want = x->dims[d];
        if (d == axis) {
            LT_TRY(lt_dim_make(c->dims, LT_DIM_CEILDIV, want, lt_dim_const(block), &want, c->diag));
        }
        if (lt_dim_is_const(want) && lt_dim_is_const(type->dims[d]) && want.k != type->dims[d].k) {
            return lt_infer_fail(c, "the %s has extent %lld on axis %d where %lld is needed", what,
                                 (long long)type->dims[d].k, d, (long long)want.k);
        }
    }
    return LATHE_OK;
}

/* Scale and zero point, when both are known, have the same shape up to a single element. */
static lathe_status check_params(lt_infer *c)
{
    LT_TRY(check_granularity(c, 1, "scale"));
    LT_TRY(check_granularity(c, 2, "zero point"));
    if (lt_infer_known_rank(c, 1) && lt_infer_known_rank(c, 2)) {
        const lt_type *scale = c->in[1], *zero = c->in[2];
        bool both_small = scale->rank <= 1 && zero->rank <= 1;
        lt_dim count = scale->rank == 1 ? scale->dims[0] : zero->dims[0];
        if (scale->rank != zero->rank && !(both_small && (lt_dim_is(count, 1) || !lt_dim_is_const(count)))) {
            return lt_infer_fail(c, "scale and zero point have ranks %d and %d", scale->rank, zero->rank);
        }
    }
    return LATHE_OK;
}

/* output_dtype as a type among `allowed`; UNDEFINED when it is not given. */
static lathe_status output_dtype(lt_infer *c, const char *name, const lathe_dtype *allowed, size_t count,
                                 lathe_dtype *out)
{
    int64_t number = lt_attr_i(c->attrs, c->n_attrs, name, 0);
    *out = LATHE_DTYPE_UNDEFINED;
    for (size_t i = 0; i < count; i++) {
        if (number == (int64_t)allowed[i]) {
            *out = allowed[i];
            return LATHE_OK;
        }
    }
    return number == 0 ? LATHE_OK
                       : lt_infer_fail(c, "attribute '%s' names type %lld, which is not possible here", name,
                                       (long long)number);
}

static const lathe_dtype real_types[] = { LATHE_DTYPE_F32, LATHE_DTYPE_F16, LATHE_DTYPE_BF16 };
static const lathe_dtype quantized_types[] = {
    LATHE_DTYPE_U8,         LATHE_DTYPE_I8,     LATHE_DTYPE_U16,        LATHE_DTYPE_I16, LATHE_DTYPE_F8E4M3FN,
    LATHE_DTYPE_F8E4M3FNUZ, LATHE_DTYPE_F8E5M2, LATHE_DTYPE_F8E5M2FNUZ, LATHE_DTYPE_U4,  LATHE_DTYPE_I4,
    LATHE_DTYPE_F4E2M1,     LATHE_DTYPE_U2,     LATHE_DTYPE_I2,
};

static lathe_status infer_quantize(lt_infer *c)
{
    lathe_dtype dtype, precision;
    const lt_type *zero = c->n_in > 2 ? c->in[2] : NULL;
    LT_TRY(output_dtype(c, "output_dtype", quantized_types, LT_COUNT(quantized_types), &dtype));
    LT_TRY(output_dtype(c, "precision", real_types, LT_COUNT(real_types), &precision));
    if (zero != NULL && dtype != LATHE_DTYPE_UNDEFINED && zero->dtype != dtype) {
        return lt_infer_fail(c, "output_dtype is %s but the zero point is %s", lathe_dtype_name(dtype),
                             lathe_dtype_name(zero->dtype));
    }
    dtype = zero != NULL ? zero->dtype : dtype != LATHE_DTYPE_UNDEFINED ? dtype : LATHE_DTYPE_U8;
    LT_TRY(check_params(c));
    return lt_infer_out(c, 0, dtype, c->in[0]->rank, c->in[0]->dims);
}

static lathe_status infer_dequantize(lt_infer *c)
{
    lathe_dtype dtype;
    LT_TRY(output_dtype(c, "output_dtype", real_types, LT_COUNT(real_types), &dtype));
    if (dtype == LATHE_DTYPE_UNDEFINED) {
        dtype = c->in[1]->dtype == LATHE_DTYPE_F8E8M0 ? LATHE_DTYPE_F32 : c->in[1]->dtype;
    }
    LT_TRY(check_params(c));
    return lt_infer_out(c, 0, dtype, c->in[0]->rank, c->in[0]->dims);
}

static lathe_status infer_dynamic(lt_infer *c)
{
    LT_TRY(lt_infer_out(c, 0, LATHE_DTYPE_U8, c->in[0]->rank, c->in[0]->dims));
    LT_TRY(lt_infer_out(c, 1, LATHE_DTYPE_F32, 0, NULL));
    return lt_infer_out(c, 2, LATHE_DTYPE_U8, 0, NULL);
}

/* x as outer x size x inner, and which parameter belongs to an index on the axis: index / block. */
typedef struct layout {
    lt_axis_span span;
    int64_t block;     /* indices that share a parameter */
    int64_t blocks;    /* parameters along the axis */
    bool outer_params; /* blocked: parameters also vary over outer and inner axes */
    const double *scale, *zero;
} layout;

static lathe_status make_layout(lt_eval *c, layout *out)
{
    const lt_tensor *x = lt_in(c, 0), *scale = lt_in(c, 1);
    bool scale_ok, zero_ok;
    *out = (layout){ .span = { 1, 1, lt_tensor_count(x) }, .block = 1, .blocks = 1 };
    out->scale = lt_nn_doubles(c, scale, &scale_ok);
    out->zero = lt_nn_doubles(c, lt_in(c, 2), &zero_ok);
    if (!scale_ok || !zero_ok) {
        return LT_OOM(c->diag);
    }
    int64_t block = lt_attr_i(c->attrs, c->n_attrs, "block_size", 0);
    if (scale->rank == 0 || (block == 0 && lt_tensor_count(scale) == 1)) {
        return LATHE_OK;
    }
    out->span = lt_span(x->rank, x->dims, lt_eval_axis(c, "axis", x->rank > 1, x->rank));
    out->outer_params = block > 0;
    out->block = block > 0 ? block : 1;
    out->blocks = lt_ceil_div(out->span.extent, out->block);
    return LATHE_OK;
}

/* Number of the parameter for run (outer, index): the first of those of its inner elements. */
static int64_t param_at(const layout *l, int64_t outer, int64_t index)
{
    return l->outer_params ? (outer * l->blocks + index / l->block) * l->span.inner : index / l->block;
}

/* Applies `each` to runs of inner elements. */
typedef void (*run_fn)(const void *user, const layout *l, int64_t first, int64_t count, int64_t param);

static void walk(const layout *l, run_fn each, const void *user)
{
    for (int64_t o = 0; o < l->span.outer; o++) {
        for (int64_t i = 0; i < l->span.extent; i++) {
            each(user, l, (o * l->span.extent + i) * l->span.inner, l->span.inner, param_at(l, o, i));
        }
    }
}

typedef struct job {
    const lt_tensor *x;
    lt_tensor *y;
    lathe_dtype precision;
    bool saturate;
} job;

enum { CHUNK = 256 }; /* elements converted at a time */

static void store_quantized(const job *j, int64_t at, double quotient, double zero)
{
    lathe_dtype dtype = j->y->dtype;
    if (lt_dtype_is_integer(dtype)) {
        lt_store_i64(dtype, j->y->data, at, lt_nn_saturate(dtype, quotient, (int64_t)zero));
    } else if (lathe_dtype_bits(dtype) == 8) {
        ((uint8_t *)j->y->data)[at] = lt_f32_to_f8(dtype, (float)(quotient + zero), j->saturate);
    } else {
        lt_store_f64(dtype, j->y->data, at, quotient + zero);
    }
}

static void quantize_run(const void *user, const layout *l, int64_t first, int64_t count, int64_t param)
{
    const job *j = user;
    double line[CHUNK];
    for (int64_t done = 0; done < count; done += CHUNK) {
        int64_t n = count - done < CHUNK ? count - done : CHUNK;
        lt_nn_read(j->x, first + done, 1, n, line);
        for (int64_t i = 0; i < n; i++) {
            int64_t p = l->outer_params ? param + done + i : param;
            double x = lt_nn_round(j->precision, line[i]), scale = lt_nn_round(j->precision, l->scale[p]);
            store_quantized(j, first + done + i, lt_nn_round(j->precision, x / scale),
                            l->zero != NULL ? l->zero[p] : 0.0);
        }
    }
}

static lathe_status eval_quantize(lt_eval *c)
{
    layout l;
    lathe_dtype scale = lt_in(c, 1)->dtype;
    bool real = scale == LATHE_DTYPE_F32 || scale == LATHE_DTYPE_F16 || scale == LATHE_DTYPE_BF16;
    job j = { .x = lt_in(c, 0), .y = lt_out(c, 0) };
    j.precision =
        (lathe_dtype)lt_attr_i(c->attrs, c->n_attrs, "precision", real ? (int64_t)scale : (int64_t)LATHE_DTYPE_F32);
    j.precision = j.precision == LATHE_DTYPE_UNDEFINED ? LATHE_DTYPE_F32 : j.precision;
    j.saturate = lt_attr_i(c->attrs, c->n_attrs, "saturate", 1) != 0;
    if (lt_tensor_count(j.x) > 0) {
        LT_TRY(make_layout(c, &l));
        walk(&l, quantize_run, &j);
    }
    return LATHE_OK;
}

/* (x - zero) is rounded to f32, the product to the output's type. */
static void dequantize_run(const void *user, const layout *l, int64_t first, int64_t count, int64_t param)
{
    const job *j = user;
    double line[CHUNK];
    for (int64_t done = 0; done < count; done += CHUNK) {
        int64_t n = count - done < CHUNK ? count - done : CHUNK;
        lt_nn_read(j->x, first + done, 1, n, line);
        for (int64_t i = 0; i < n; i++) {
            int64_t p = l->outer_params ? param + done + i : param;
            line[i] = (double)(float)(line[i] - (l->zero != NULL ? l->zero[p] : 0.0)) * l->scale[p];
        }
        lt_nn_write(j->y, first + done, n, line);
    }
}

static lathe_status eval_dequantize(lt_eval *c)
{
    layout l;
    job j = { .x = lt_in(c, 0), .y = lt_out(c, 0) };
    if (lt_tensor_count(j.x) > 0) {
        LT_TRY(make_layout(c, &l));
        walk(&l, dequantize_run, &j);
    }
    return LATHE_OK;
}

/* The range is widened to hold 0; a range of no width gets the scale 1 / 255, so that nothing is divided by 0. */
static lathe_status eval_dynamic(lt_eval *c)
{
    const lt_tensor *x = lt_in(c, 0);
    int64_t count = lt_tensor_count(x);
    float low = 0.0f, high = 0.0f;
    for (int64_t i = 0; i < count; i++) {
        float value = (float)lt_load_f64(x->dtype, x->data, i);
        low = value < low ? value : low;
        high = value > high ? value : high;
    }
    float width = high - low, scale = (width == 0.0f ? 1.0f : width) / 255.0f;
    int64_t zero = lt_nn_saturate(LATHE_DTYPE_U8, -low / scale, 0);
    for (int64_t i = 0; lt_out(c, 0) != NULL && i < count; i++) {
        float value = (float)lt_load_f64(x->dtype, x->data, i);
        lt_store_i64(LATHE_DTYPE_U8, lt_out(c, 0)->data, i, lt_nn_saturate(LATHE_DTYPE_U8, value / scale, zero));
    }
    if (lt_out(c, 1) != NULL) {
        lt_store_f64(LATHE_DTYPE_F32, lt_out(c, 1)->data, 0, scale);
    }
    if (lt_out(c, 2) != NULL) {
        lt_store_i64(LATHE_DTYPE_U8, lt_out(c, 2)->data, 0, zero);
    }
    return LATHE_OK;
}

static const lt_attr_spec quantize_attrs[] = {
    { "axis", LATHE_ATTR_INT, false },         { "block_size", LATHE_ATTR_INT, false },
    { "output_dtype", LATHE_ATTR_INT, false }, { "precision", LATHE_ATTR_INT, false },
    { "saturate", LATHE_ATTR_INT, false },     { 0 },
};
static const lt_attr_spec dequantize_attrs[] = {
    { "axis", LATHE_ATTR_INT, false },
    { "block_size", LATHE_ATTR_INT, false },
    { "output_dtype", LATHE_ATTR_INT, false },
    { 0 },
};

static const char *const quantize_samples[] = {
    "f32[2,3,4] x = rand(1), f32[] s = splat(0.02), u8[] z = splat(128) | y = QuantizeLinear (x, s, z)",
    "f32[2,3,4] x = rand(1), f32[3] s = {0.01, 0.02, 0.05}, i8[3] z = {0, -7, 20} | y = QuantizeLinear (x, s, z)",
    "f32[3,5] x = rand(1), f32[2,5] s = splat(0.03) | y = QuantizeLinear <axis = 0, block_size = 2, output_dtype = 3> "
    "(x, s)",
    "f32[2,3] x = rand(1), f32[] s = splat(0.0001), u16[] z = splat(30000) | y = QuantizeLinear (x, s, z)",
    "f32[2,3] x = rand(1), f32[] s = splat(0.0001), i16[] z = splat(-5) | y = QuantizeLinear (x, s, z)",
    "f16[2,3] x = rand(1), f16[] s = splat(0.05), i8[] z = splat(3) | y = QuantizeLinear (x, s, z)",
    "f16[4] x = {-16.65625, 13.640625, -5.88671875, 100.0}, bf16[] s = {0.25}, u16[] z = {200} | y = QuantizeLinear <precision = 1> (x, s, z)",
    "f32[7] x = rand(1), f32[] s = splat(0.3), i4[] z = splat(1) | y = QuantizeLinear (x, s, z)",
    "f32[7] x = rand(1), f32[] s = splat(0.2), u4[] z = splat(7) | y = QuantizeLinear (x, s, z)",
    "f32[7] x = rand(1), f32[] s = splat(0.01) | y = QuantizeLinear <output_dtype = 17> (x, s)",
    "f32[7] x = rand(1), f32[] s = splat(0.01) | y = QuantizeLinear <output_dtype = 19> (x, s)",
    "i32[2,3] x = rand(1), f32[] s = splat(0.7), u8[] z = splat(1) | y = QuantizeLinear (x, s, z)",
    NULL,
};
static const char *const dequantize_samples[] = {
    "u8[2,3,4] x = rand(1), f32[] s = splat(0.02), u8[] z = splat(128) | y = DequantizeLinear (x, s, z)",
    "i8[2,3,4] x = rand(1), f32[3] s = {0.01, 0.02, 0.05}, i8[3] z = {0, -7, 20} | y = DequantizeLinear <axis = -2> "
    "(x, s, z)",
    "i8[3,5] x = rand(1), f32[2,5] s = splat(0.03) | y = DequantizeLinear <axis = 0, block_size = 2> (x, s)",
    "i32[4] x = rand(1), f32[4] s = {0.01, 0.02, 0.05, 1.0} | y = DequantizeLinear <axis = 0> (x, s)",
    "u16[5] x = rand(1), f32[] s = splat(0.1), u16[] z = splat(300) | y = DequantizeLinear (x, s, z)",
    "u8[2,3] x = rand(1), f16[] s = splat(0.05), u8[] z = splat(3) | y = DequantizeLinear (x, s, z)",
    "i4[5] x = rand(1), f32[] s = splat(0.1), i4[] z = splat(1) | y = DequantizeLinear (x, s, z)",
    NULL,
};
static const char *const dynamic_samples[] = {
    "f32[3,5] x = rand(1) | y, s, z = DynamicQuantizeLinear (x)",
    "f32[4] x = splat(2.5) | y, s, z = DynamicQuantizeLinear (x)",
    "f32[4] x = splat(0) | y, s, z = DynamicQuantizeLinear (x)",
    NULL,
};

LT_OPS(quantize_linear) = {
    { .name = "QuantizeLinear",
      .since = 25,
      .sig = "(T1 x, T2 y_scale, T3? y_zero_point) -> (T3 y); T1: f32 f16 bf16 i32, T2: f32 f16 bf16 i32 f8e8m0, "
             "T3: i8 u8 i16 u16 f8e4m3fn f8e4m3fnuz f8e5m2 f8e5m2fnuz u4 i4 f4e2m1 u2 i2",
      .attrs = quantize_attrs,
      .infer = infer_quantize,
      .eval = eval_quantize,
      .samples = quantize_samples },
    { .name = "DequantizeLinear",
      .since = 25,
      .sig = "(T1 x, T2 x_scale, T1? x_zero_point) -> (T3 y); T1: i8 u8 i16 u16 i32 f8e4m3fn f8e4m3fnuz f8e5m2 "
             "f8e5m2fnuz u4 i4 f4e2m1 u2 i2, "
             "T2: f32 f16 bf16 f8e8m0, T3: f32 f16 bf16",
      .attrs = dequantize_attrs,
      .infer = infer_dequantize,
      .eval = eval_dequantize,
      .samples = dequantize_samples },
    { .name = "DynamicQuantizeLinear",
      .since = 11,
      .sig = "(f32 x) -> (u8 y, f32 y_scale, u8 y_zero_point)",
      .infer = infer_dynamic,
      .eval = eval_dynamic,
      .samples = dynamic_samples },
    { 0 },
};
