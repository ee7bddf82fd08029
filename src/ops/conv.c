/*
 * conv.c - Conv: inference and samples; the arithmetic is in nn_conv.c.
 */
#include "ops/nn.h"

static lathe_status infer_conv(lt_infer *c)
{
    return lt_nn_conv_infer(c, 0, 1, 2, c->in[0]->dtype);
}

static lathe_status eval_conv(lt_eval *c)
{
    lt_nn_conv conv;
    LT_TRY(lt_nn_conv_make(c, lt_in(c, 0), lt_in(c, 1), lt_out(c, 0), &conv));
    return lt_nn_conv_real(c, &conv);
}

static lathe_status eval_conv_at(lt_eval *c, const int64_t *coords, void *out)
{
    lt_nn_conv conv;
    LT_TRY(lt_nn_conv_make(c, lt_in(c, 0), lt_in(c, 1), lt_out(c, 0), &conv));
    return lt_nn_conv_real_at(c, &conv, coords, out);
}

static const char *const conv_samples[] = {
    "f32[1,3,7,6] x = rand(1), f32[4,3,3,3] w = rand(2), f32[4] b = rand(3) | y = Conv <pads = [1,1,1,1]> (x, w, b)",
    "f32[2,4,5,7] x = rand(1), f32[6,2,3,2] w = rand(2) | y = Conv <group = 2, strides = [2,1], pads = [0,1,1,0]> (x, "
    "w)",
    "f32[1,6,9,8] x = rand(1), f32[6,1,3,3] w = rand(2), f32[6] b = rand(3) | y = Conv <group = 6, dilations = [2,1], "
    "pads = [2,1,2,1]> (x, w, b)",
    "f32[1,2,11] x = rand(1), f32[3,2,4] w = rand(2), f32[3] b = rand(3) | y = Conv <strides = [3], auto_pad = "
    "\"SAME_UPPER\"> (x, w, b)",
    "f32[1,2,6,5] x = rand(1), f32[3,2,2,4] w = rand(2) | y = Conv <strides = [2,3], auto_pad = \"SAME_LOWER\", "
    "kernel_shape = [2,4]> (x, w)",
    "f32[1,2,6,5] x = rand(1), f32[3,2,3,3] w = rand(2) | y = Conv <auto_pad = \"VALID\"> (x, w)",
    "f32[1,2,4,3,5] x = rand(1), f32[2,2,2,3,2] w = rand(2) | y = Conv <pads = [0,1,0,1,0,1]> (x, w)",
    "f16[1,3,5,5] x = rand(1), f16[2,3,3,3] w = rand(2), f16[2] b = rand(3) | y = Conv (x, w, b)",
    "f64[1,3,5,5] x = rand(1), f64[2,3,3,3] w = rand(2), f64[2] b = rand(3) | y = Conv <pads = [1,0,0,1]> (x, w, b)",
    "bf16[1,3,5,5] x = rand(1), bf16[2,3,1,1] w = rand(2) | y = Conv <strides = [2,2]> (x, w)",
    NULL,
};

LT_OPS(conv) = {
    { .name = "Conv",
      .since = 22,
      .traits = LT_OP_ROOT,
      .sig = "(T X, T W, T? B) -> (T Y); T: float",
      .attrs = lt_nn_conv_attrs,
      .infer = infer_conv,
      .eval = eval_conv,
      .eval_at = eval_conv_at,
      .samples = conv_samples },
    { 0 },
};
