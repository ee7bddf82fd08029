/*
 * mel_weight_matrix.c - MelWeightMatrix: triangles over the bins of a one-sided spectrum, evenly spread on the mel
 * scale between two frequencies. Found through the registry.
 *
 * The bands' edges are whole bins: floor((dft_length + 1) * hertz / sample_rate).
 */
#include "ops/signal.h"

#include <math.h>

static lathe_status infer_mel(lt_infer *c)
{
    lathe_dtype dtype;
    lt_dim dims[2], length, rate;
    LT_TRY(lt_signal_dtype(c, &dtype));
    LT_TRY(lt_signal_scalar(c, 0, "num_mel_bins", 0, &dims[1]));
    LT_TRY(lt_signal_scalar(c, 1, "dft_length", 0, &length));
    LT_TRY(lt_signal_scalar(c, 2, "sample_rate", 1, &rate));
    LT_TRY(lt_signal_half(c, length, &dims[0]));
    return lt_move_out(c, 0, dtype, 2, dims);
}

typedef struct scale {
    double low, step, bins_per_hertz; /* mel of edge 0, between edges */
} scale;

static double to_mel(double hertz)
{
    return 2595.0 * log10(1.0 + hertz / 700.0);
}

static int64_t edge(const scale *s, int64_t number)
{
    double hertz = 700.0 * (pow(10.0, (s->low + (double)number * s->step) / 2595.0) - 1.0);
    double bin = floor(hertz * s->bins_per_hertz);
    return bin < 9e15 ? (int64_t)bin : INT64_C(9000000000000000);
}

/* The height over `bin` of the triangle from left over the peak at center, which belongs to its rise, to right. */
static double height(int64_t bin, int64_t left, int64_t center, int64_t right)
{
    if (bin > center || (bin == center && right > center)) {
        return bin < right ? (double)(right - bin) / (double)(right - center) : 0.0;
    }
    if (bin < left) {
        return 0.0;
    }
    return left == center ? 1.0 : (double)(bin - left) / (double)(center - left);
}

static lathe_status read_scale(lt_eval *c, int64_t bands, int64_t length, int64_t rate, scale *out)
{
    const lt_tensor *lower = lt_in(c, 3), *upper = lt_in(c, 4);
    if (lt_tensor_count(lower) != 1 || lt_tensor_count(upper) != 1) {
        return lt_eval_fail(c, "lower_edge_hertz and upper_edge_hertz must be one number each");
    }
    double low = lt_load_f64(lower->dtype, lower->data, 0), high = lt_load_f64(upper->dtype, upper->data, 0);
    if (!(low >= 0 && high >= low) || isinf(high)) {
        return lt_eval_fail(c, "the edges %g and %g Hz are no range of frequencies from 0 on", low, high);
    }
    out->low = to_mel(low);
    out->step = (to_mel(high) - out->low) / (double)(bands + 2);
    out->bins_per_hertz = ((double)length + 1.0) / (double)rate;
    return LATHE_OK;
}

static lathe_status eval_mel(lt_eval *c)
{
    lt_tensor *y = lt_out(c, 0);
    const int64_t *length, *rate;
    int64_t count;
    scale s = { 0 };
    LT_TRY(lt_eval_ints(c, 1, &length, &count));
    LT_TRY(lt_eval_ints(c, 2, &rate, &count));
    if (y == NULL || lt_tensor_count(y) == 0) {
        return LATHE_OK;
    }
    LT_TRY(read_scale(c, y->dims[1], length[0], rate[0], &s));
    for (int64_t band = 0; band < y->dims[1]; band++) {
        int64_t left = edge(&s, band), center = edge(&s, band + 1), right = edge(&s, band + 2);
        for (int64_t bin = 0; bin < y->dims[0]; bin++) {
            lt_signal_store(y, bin * y->dims[1] + band, height(bin, left, center, right));
        }
    }
    return LATHE_OK;
}

static const lt_attr_spec attrs_mel[] = { { "output_datatype", LATHE_ATTR_INT, false }, { 0 } };

static const char *const samples_mel[] = {
    "i64[] b = {8}, i64[] n = {16}, i64[] r = {8192}, f32[] l = {0.0}, f32[] u = {4096.0} | y = MelWeightMatrix (b, n, "
    "r, l, u)",
    "i32[] b = {5}, i32[] n = {63}, i32[] r = {16000}, f32[] l = {125.0}, f32[] u = {7500.0} | y = MelWeightMatrix "
    "<output_datatype = 11> (b, n, r, l, u)",
    "i64[] b = {3}, i64[] n = {16}, i64[] r = {8000}, f64[] l = {300.0}, f64[] u = {3400.0} | y = MelWeightMatrix "
    "<output_datatype = 6> (b, n, r, l, u)",
    "i64[] b = {4}, i64[] n = {20}, i64[] r = {8000}, f16[] l = {100.0}, f16[] u = {3000.0} | y = MelWeightMatrix "
    "<output_datatype = 10> (b, n, r, l, u)",
    "i64[] b = {0}, i64[] n = {4}, i64[] r = {8000}, f32[] l = {0.0}, f32[] u = {100.0} | y = MelWeightMatrix (b, n, "
    "r, l, u)",
    NULL,
};

LT_OPS(mel_weight_matrix) = {
    { .name = "MelWeightMatrix",
      .since = 17,
      .host_inputs = 31,
      .sig =
          "(T1 num_mel_bins, T1 dft_length, T1 sample_rate, T2 lower_edge_hertz, T2 upper_edge_hertz) -> (T3 output); "
          "T1: i32 i64, T2: float, T3: numeric",
      .attrs = attrs_mel,
      .infer = infer_mel,
      .eval = eval_mel,
      .samples = samples_mel },
    { 0 },
};
