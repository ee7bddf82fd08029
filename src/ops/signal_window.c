/*
 * signal_window.c - HannWindow, HammingWindow, BlackmanWindow: a0 - a1 cos(2 pi i / n) + a2 cos(4 pi i / n), n the size
 * of a periodic window, one less for a symmetric one. Found through the registry.
 *
 * A symmetric window of one point divides by 0 and is NaN, as ONNX's definition says.
 */
#include "ops/signal.h"

#include <math.h>

static lathe_status infer_window(lt_infer *c)
{
    lathe_dtype dtype;
    lt_dim size;
    LT_TRY(lt_signal_dtype(c, &dtype));
    LT_TRY(lt_signal_scalar(c, 0, "size", 0, &size));
    return lt_move_out(c, 0, dtype, 1, &size);
}

static lathe_status run(lt_eval *c, double a0, double a1, double a2)
{
    lt_tensor *y = lt_out(c, 0);
    int64_t count = y != NULL ? lt_tensor_count(y) : 0;
    double n = (double)(count - (lt_attr_i(c->attrs, c->n_attrs, "periodic", 1) ? 0 : 1));
    for (int64_t i = 0; i < count; i++) {
        double angle = 2 * LT_SIGNAL_PI * (double)i / n;
        lt_signal_store(y, i, a0 - a1 * cos(angle) + a2 * cos(2 * angle));
    }
    return LATHE_OK;
}

static lathe_status eval_hann(lt_eval *c)
{
    return run(c, 0.5, 0.5, 0.0);
}

static lathe_status eval_hamming(lt_eval *c)
{
    return run(c, 25.0 / 46.0, 1.0 - 25.0 / 46.0, 0.0);
}

static lathe_status eval_blackman(lt_eval *c)
{
    return run(c, 0.42, 0.5, 0.08);
}

static const lt_attr_spec attrs_window[] = {
    { "output_datatype", LATHE_ATTR_INT, false },
    { "periodic", LATHE_ATTR_INT, false },
    { 0 },
};

static const char *const samples_hann[] = {
    "i64[] n = {8} | y = HannWindow (n)",
    "i32[] n = {5} | y = HannWindow <periodic = 0, output_datatype = 11> (n)",
    "i64[] n = {6} | y = HannWindow <output_datatype = 10> (n)",
    "i64[] n = {8} | y = HannWindow <output_datatype = 7> (n)",
    "i64[] n = {1} | y = HannWindow (n)",
    "i64[] n = {0} | y = HannWindow (n)",
    NULL,
};
static const char *const samples_hamming[] = {
    "i64[] n = {9} | y = HammingWindow (n)",
    "i32[] n = {6} | y = HammingWindow <periodic = 0> (n)",
    "i64[] n = {7} | y = HammingWindow <output_datatype = 11> (n)",
    "i64[] n = {2} | y = HammingWindow <periodic = 0> (n)",
    NULL,
};
static const char *const samples_blackman[] = {
    "i64[] n = {10} | y = BlackmanWindow (n)",
    "i32[] n = {7} | y = BlackmanWindow <periodic = 0> (n)",
    "i64[] n = {5} | y = BlackmanWindow <output_datatype = 11> (n)",
    "i64[] n = {4} | y = BlackmanWindow <periodic = 1, output_datatype = 16> (n)",
    "i64[] n = {3} | y = BlackmanWindow <periodic = 0, output_datatype = 3> (n)",
    NULL,
};

#define WINDOW_SIG "(T1 size) -> (T2 output); T1: i32 i64, T2: numeric"

LT_OPS(signal_window) = {
    { .name = "HannWindow",
      .since = 17,
      .host_inputs = 1,
      .sig = WINDOW_SIG,
      .attrs = attrs_window,
      .infer = infer_window,
      .eval = eval_hann,
      .samples = samples_hann },
    { .name = "HammingWindow",
      .since = 17,
      .host_inputs = 1,
      .sig = WINDOW_SIG,
      .attrs = attrs_window,
      .infer = infer_window,
      .eval = eval_hamming,
      .samples = samples_hamming },
    { .name = "BlackmanWindow",
      .since = 17,
      .host_inputs = 1,
      .sig = WINDOW_SIG,
      .attrs = attrs_window,
      .infer = infer_window,
      .eval = eval_blackman,
      .samples = samples_blackman },
    { 0 },
};
