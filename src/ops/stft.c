/*
 * stft.c - STFT: the spectra of windows that slide over a signal. Found through the registry.
 *
 * A signal is (batch, length, 1 or 2). One that is shorter than a frame has no frames.
 */
#include "ops/signal.h"

static bool is_onesided(const lathe_attr *attrs, size_t n_attrs)
{
    return lt_attr_i(attrs, n_attrs, "onesided", 1) != 0;
}

static bool given(const lt_infer *c, int i)
{
    return i < c->n_in && c->in[i] != NULL;
}

/* The extent of the window, the number that frame_length holds, or the whole signal. */
static lathe_status read_frame(lt_infer *c, lt_dim *out)
{
    const lt_type *window = given(c, 2) ? c->in[2] : NULL;
    *out = c->in[0]->rank == 3 ? c->in[0]->dims[1] : LT_UNKNOWN_DIM;
    if (given(c, 3)) {
        LT_TRY(lt_signal_scalar(c, 3, "frame_length", 1, out));
    }
    if (window != NULL && window->rank >= 0) {
        if (window->rank != 1) {
            return lt_infer_fail(c, "the window has rank %d; one axis is needed", window->rank);
        }
        lt_dim extent = window->dims[0];
        if (given(c, 3) && lt_dim_is_const(*out) && lt_dim_is_const(extent) && !lt_dim_is(*out, -1) &&
            extent.k != out->k) {
            return lt_infer_fail(c, "the window has %lld elements but frame_length is %lld", (long long)extent.k,
                                 (long long)out->k);
        }
        *out = !given(c, 3) || lt_dim_is(*out, -1) ? extent : *out;
    }
    if (lt_dim_is(*out, 0)) {
        return lt_infer_fail(c, "a frame has no elements");
    }
    return LATHE_OK;
}

/* floor((length - frame) / step) + 1, at least 0. */
static lathe_status count_frames(lt_infer *c, lt_dim length, lt_dim frame, lt_dim step, lt_dim *out)
{
    *out = LT_UNKNOWN_DIM;
    if (lt_dim_is(length, -1) || lt_dim_is(frame, -1) || lt_dim_is(step, -1)) {
        return LATHE_OK;
    }
    LT_TRY(lt_dim_sub(c->dims, length, frame, out, c->diag));
    LT_TRY(lt_dim_make(c->dims, LT_DIM_FLOORDIV, *out, step, out, c->diag));
    LT_TRY(lt_dim_add(c->dims, *out, lt_dim_const(1), out, c->diag));
    return lt_move_max(c, *out, lt_dim_const(0), out);
}

static lathe_status check_signal(lt_infer *c)
{
    const lt_type *x = c->in[0];
    if (x->rank >= 0 && x->rank != 3) {
        return lt_infer_fail(c, "the signal has rank %d; (batch, length, 1 or 2) is needed", x->rank);
    }
    if (x->rank < 0 || !lt_dim_is_const(x->dims[2])) {
        return LATHE_OK;
    }
    if (x->dims[2].k != 1 && x->dims[2].k != 2) {
        return lt_infer_fail(c, "the last extent is %lld; it must be 1 for real and 2 for complex signals",
                             (long long)x->dims[2].k);
    }
    if (x->dims[2].k == 2 && is_onesided(c->attrs, c->n_attrs)) {
        return lt_infer_fail(c, "a complex signal has no one-sided spectrum: set onesided to 0");
    }
    return LATHE_OK;
}

static lathe_status infer_stft(lt_infer *c)
{
    const lt_type *x = c->in[0];
    lt_dim dims[4] = { LT_UNKNOWN_DIM, LT_UNKNOWN_DIM, LT_UNKNOWN_DIM, lt_dim_const(2) }, step, frame;
    LT_TRY(check_signal(c));
    LT_TRY(lt_signal_scalar(c, 1, "frame_step", 1, &step));
    LT_TRY(read_frame(c, &frame));
    dims[0] = x->rank == 3 ? x->dims[0] : LT_UNKNOWN_DIM;
    LT_TRY(count_frames(c, x->rank == 3 ? x->dims[1] : LT_UNKNOWN_DIM, frame, step, &dims[1]));
    dims[2] = frame;
    if (is_onesided(c->attrs, c->n_attrs)) {
        LT_TRY(lt_signal_half(c, frame, &dims[2]));
    }
    return lt_move_out(c, 0, x->dtype, 4, dims);
}

/* Frame `number` of batch element `batch`, weighted. */
static void read_frame_at(const lt_tensor *x, const lt_tensor *window, int64_t batch, int64_t first, int64_t n,
                          double *row)
{
    int64_t parts = x->dims[2];
    for (int64_t k = 0; k < n; k++) {
        int64_t at = (batch * x->dims[1] + first + k) * parts;
        double weight = window != NULL ? lt_load_f64(window->dtype, window->data, k) : 1.0;
        row[2 * k] = lt_load_f64(x->dtype, x->data, at) * weight;
        row[2 * k + 1] = parts == 2 ? lt_load_f64(x->dtype, x->data, at + 1) * weight : 0.0;
    }
}

static lathe_status eval_stft(lt_eval *c)
{
    const lt_tensor *x = lt_in(c, 0), *window = lt_in(c, 2);
    lt_tensor *y = lt_out(c, 0);
    const int64_t *step, *length;
    int64_t n_step, n_length;
    lt_fft fft;
    LT_TRY(lt_eval_ints(c, 1, &step, &n_step));
    LT_TRY(lt_eval_ints(c, 3, &length, &n_length));
    if (y == NULL || lt_tensor_count(y) == 0) {
        return LATHE_OK;
    }
    int64_t n = n_length > 0 ? length[0] : window != NULL ? window->dims[0] : x->dims[1];
    LT_TRY(lt_fft_make(c, n, &fft));
    double *row = lt_eval_scratch(c, n, 2 * sizeof(double));
    if (row == NULL) {
        return LATHE_OUT_OF_MEMORY;
    }
    for (int64_t i = 0; i < y->dims[0] * y->dims[1]; i++) {
        read_frame_at(x, window, i / y->dims[1], i % y->dims[1] * step[0], n, row);
        lt_fft_run(&fft, row, false);
        for (int64_t k = 0; k < 2 * y->dims[2]; k++) {
            lt_store_f64(y->dtype, y->data, i * 2 * y->dims[2] + k, row[k]);
        }
    }
    return LATHE_OK;
}

static const lt_attr_spec attrs_stft[] = { { "onesided", LATHE_ATTR_INT, false }, { 0 } };

static const char *const samples_stft[] = {
    "f32[2,16,1] x = rand(1), i64[] s = {4}, f32[8] w = rand(2) | y = STFT (x, s, w)",
    "f32[2,16,1] x = rand(1), i32[] s = {3}, i32[] n = {6} | y = STFT (x, s, \"\", n)",
    "f32[1,17,1] x = rand(1), i64[] s = {5}, f32[7] w = rand(2), i64[] n = {7} | y = STFT <onesided = 0> (x, s, w, n)",
    "f64[2,10,2] x = rand(1), i64[] s = {2}, f64[4] w = rand(2) | y = STFT <onesided = 0> (x, s, w)",
    "f32[1,8,1] x = rand(1), i64[] s = {1}, i64[] n = {8} | y = STFT (x, s, \"\", n)",
    "f16[1,8,1] x = rand(1), i64[] s = {2}, f16[4] w = splat(1) | y = STFT (x, s, w)",
    "f32[1,6,1] x = rand(1), i64[] s = {2} | y = STFT (x, s)",
    "f32[0,6,1] x = {}, i64[] s = {2}, i64[] n = {4} | y = STFT (x, s, \"\", n)",
    "f32[1,3,1] x = rand(1), i64[] s = {2}, i64[] n = {4} | y = STFT (x, s, \"\", n)",
    NULL,
};

LT_OPS(stft) = {
    { .name = "STFT",
      .since = 17,
      .host_inputs = 10,
      .sig = "(T1 signal, T2 frame_step, T1? window, T2? frame_length) -> (T1 output); T1: float, T2: i32 i64",
      .attrs = attrs_stft,
      .infer = infer_stft,
      .eval = eval_stft,
      .samples = samples_stft },
    { 0 },
};
