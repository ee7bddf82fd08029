/*
 * conv_integer.c - ConvInteger and QLinearConv: the sums of (x - zero) * (w - zero) are whole numbers and exact; they
 * wrap to 32 bits as the operators say. QLinearConv adds its int32 bias and requantizes with one f32 factor per
 * filter, x_scale * w_scale / y_scale.
 */
#include "ops/nn.h"

/* Scale or zero point i of weight w: one number, or one for each filter. */
static lathe_status check_per_filter(lt_infer *c, int i, int w)
{
    if (!lt_infer_known_rank(c, w) || c->in[w]->rank == 0) {
        return LATHE_OK;
    }
    return lt_nn_infer_scalar_or_vector(c, i, c->in[w]->dims[0], "the number of filters");
}

static lathe_status infer_conv_integer(lt_infer *c)
{
    LT_TRY(lt_nn_infer_single(c, 2));
    LT_TRY(check_per_filter(c, 3, 1));
    return lt_nn_conv_infer(c, 0, 1, -1, LATHE_DTYPE_I32);
}

static lathe_status infer_qlinear_conv(lt_infer *c)
{
    static const int single[] = { 1, 2, 6, 7 };
    for (size_t i = 0; i < LT_COUNT(single); i++) {
        LT_TRY(lt_nn_infer_single(c, single[i]));
    }
    LT_TRY(check_per_filter(c, 4, 3));
    LT_TRY(check_per_filter(c, 5, 3));
    return lt_nn_conv_infer(c, 0, 3, 8, c->in[7]->dtype);
}

/* `count` doubles from a tensor that has one element or `count`; absent gives zeros. NULL: out of memory. */
static double *spread(lt_eval *c, const lt_tensor *tensor, int64_t count)
{
    double *out = lt_nn_scratch(c, count);
    bool single = tensor != NULL && lt_tensor_count(tensor) == 1;
    for (int64_t i = 0; out != NULL && tensor != NULL && i < count; i++) {
        out[i] = lt_load_f64(tensor->dtype, tensor->data, single ? 0 : i);
    }
    return out;
}

static double zero_of(const lt_tensor *tensor)
{
    return tensor != NULL ? lt_load_f64(tensor->dtype, tensor->data, 0) : 0.0;
}

/* What is done with the sums. scale NULL: ConvInteger. */
typedef struct sink {
    lt_tensor *y;
    const double *bias;  /* one for each filter */
    const double *scale; /* f32 factors, one for each filter */
    int64_t zero, filters, points;
} sink;

static int64_t finish(const sink *s, int64_t filter, double sum)
{
    double whole = sum + s->bias[filter];
    return s->scale != NULL ? lt_nn_requantize(s->y->dtype, whole, (float)s->scale[filter], s->zero)
                            : lt_nn_wrap_i32(whole);
}

static void store(void *user, int64_t row, int64_t col, int64_t count, const double *acc)
{
    const sink *s = user;
    for (int64_t j = 0; j < count; j++) {
        lt_store_i64(s->y->dtype, s->y->data, row * s->points + col + j, finish(s, row % s->filters, acc[j]));
    }
}

/* Reads the operands; w is the input number of the weight. */
static lathe_status prepare(lt_eval *c, int w, int x_zero, int w_zero, lt_nn_conv *conv, sink *s)
{
    LT_TRY(lt_nn_conv_make(c, lt_in(c, 0), lt_in(c, w), lt_out(c, 0), conv));
    conv->x_zero = zero_of(lt_in(c, x_zero));
    conv->w_zero = spread(c, lt_in(c, w_zero), conv->filters);
    *s = (sink){ .y = lt_out(c, 0), .filters = conv->filters, .points = conv->grid.points };
    s->bias = spread(c, w == 3 ? lt_in(c, 8) : NULL, conv->filters);
    return conv->w_zero == NULL || s->bias == NULL ? LT_OOM(c->diag) : LATHE_OK;
}

static lathe_status prepare_integer(lt_eval *c, lt_nn_conv *conv, sink *s)
{
    return prepare(c, 1, 2, 3, conv, s);
}

static lathe_status prepare_qlinear(lt_eval *c, lt_nn_conv *conv, sink *s)
{
    LT_TRY(prepare(c, 3, 2, 5, conv, s));
    double *scale = spread(c, lt_in(c, 4), conv->filters);
    if (scale == NULL) {
        return LT_OOM(c->diag);
    }
    float x_scale = (float)zero_of(lt_in(c, 1)), y_scale = (float)zero_of(lt_in(c, 6));
    for (int64_t i = 0; i < conv->filters; i++) {
        scale[i] = x_scale * (float)scale[i] / y_scale;
    }
    s->scale = scale;
    s->zero = (int64_t)zero_of(lt_in(c, 7));
    return LATHE_OK;
}

static lathe_status eval_conv_integer(lt_eval *c)
{
    lt_nn_conv conv;
    sink s;
    LT_TRY(prepare_integer(c, &conv, &s));
    return lt_nn_conv_run(c, &conv, store, &s);
}

static lathe_status eval_qlinear_conv(lt_eval *c)
{
    lt_nn_conv conv;
    sink s;
    LT_TRY(prepare_qlinear(c, &conv, &s));
    return lt_nn_conv_run(c, &conv, store, &s);
}

static lathe_status at(lt_eval *c, const lt_nn_conv *conv, const sink *s, const int64_t *coords, void *out)
{
    double sum;
    LT_TRY(lt_nn_conv_at(c, conv, coords, &sum));
    lt_store_i64(s->y->dtype, out, 0, finish(s, coords[1], sum));
    return LATHE_OK;
}

static lathe_status eval_conv_integer_at(lt_eval *c, const int64_t *coords, void *out)
{
    lt_nn_conv conv;
    sink s;
    LT_TRY(prepare_integer(c, &conv, &s));
    return at(c, &conv, &s, coords, out);
}

static lathe_status eval_qlinear_conv_at(lt_eval *c, const int64_t *coords, void *out)
{
    lt_nn_conv conv;
    sink s;
    LT_TRY(prepare_qlinear(c, &conv, &s));
    return at(c, &conv, &s, coords, out);
}

static const char *const integer_samples[] = {
    "u8[1,2,5,4] x = rand(1), u8[3,2,3,3] w = rand(2) | y = ConvInteger <pads = [1,1,1,1]> (x, w)",
    "u8[2,2,5,4] x = rand(1), u8[4,1,2,3] w = rand(2), u8[] xz = splat(50), u8[] wz = splat(40) | y = ConvInteger "
    "<group = "
    "2, pads = [1,0,0,1], strides = [2,1]> (x, w, xz, wz)",
    "u8[1,3,6] x = rand(1), u8[2,3,3] w = rand(2), u8[] xz = splat(7), u8[2] wz = iota | y = ConvInteger (x, w, xz, "
    "wz)",
    "u8[1,3,6] x = rand(1), u8[2,3,2] w = rand(2), u8[] xz = splat(7) | y = ConvInteger <auto_pad = \"SAME_LOWER\"> "
    "(x, "
    "w, xz)",
    NULL,
};

static const char *const qlinear_samples[] = {
    "u8[1,2,5,4] x = rand(1), f32[] xs = splat(0.02), u8[] xz = splat(50), u8[3,2,3,3] w = rand(2), f32[] ws = "
    "splat(0.03), "
    "u8[] wz = splat(49), "
    "f32[] ys = splat(0.1), u8[] yz = splat(128) | y = QLinearConv <pads = [1,1,1,1]> (x, xs, xz, w, ws, wz, ys, yz)",
    "u8[2,4,5,5] x = rand(1), f32[] xs = splat(0.02), u8[] xz = splat(45), i8[4,2,3,2] w = rand(2), f32[4] ws = {0.01, "
    "0.02, 0.03, 0.015}, "
    "i8[4] wz = splat(0), f32[] ys = splat(0.4), u8[] yz = splat(3), i32[4] b = rand(3) | "
    "y = QLinearConv <group = 2, strides = [2,1], pads = [1,0,1,0]> (x, xs, xz, w, ws, wz, ys, yz, b)",
    "i8[1,3,7] x = rand(1), f32[] xs = splat(0.05), i8[] xz = splat(-3), i8[2,3,3] w = rand(2), f32[] ws = "
    "splat(0.01), i8 "
    "wz = splat(0), "
    "f32[] ys = splat(0.7), i8[] yz = splat(-100), i32[2] b = iota | y = QLinearConv <dilations = [2]> (x, xs, xz, w, "
    "ws, "
    "wz, ys, yz, b)",
    NULL,
};

LT_OPS(conv_integer) = {
    { .name = "ConvInteger",
      .since = 10,
      .traits = LT_OP_ROOT | LT_OP_INTEGER,
      .sig = "(T1 x, T2 w, T1? x_zero_point, T2? w_zero_point) -> (i32 y); T1: i8 u8, T2: i8 u8",
      .attrs = lt_nn_conv_attrs,
      .infer = infer_conv_integer,
      .eval = eval_conv_integer,
      .eval_at = eval_conv_integer_at,
      .samples = integer_samples },
    { .name = "QLinearConv",
      .since = 10,
      .traits = LT_OP_ROOT | LT_OP_INTEGER,
      .sig = "(T1 x, f32 x_scale, T1 x_zero_point, T2 w, f32 w_scale, T2 w_zero_point, f32 y_scale, T3 y_zero_point, "
             "i32? B) -> (T3 y); "
             "T1: i8 u8, T2: i8 u8, T3: i8 u8",
      .attrs = lt_nn_conv_attrs,
      .infer = infer_qlinear_conv,
      .eval = eval_qlinear_conv,
      .eval_at = eval_qlinear_conv_at,
      .samples = qlinear_samples },
    { 0 },
};
