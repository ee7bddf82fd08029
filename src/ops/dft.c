/*
 * dft.c - DFT: the discrete Fourier transform along one axis, of real or complex signals, forward or inverse, whole or
 * one-sided. Found through the registry.
 *
 * A signal's last axis has extent 1 (real) or 2 (real and imaginary part).
 */
#include "ops/signal.h"

typedef struct mode {
    bool inverse, onesided;
} mode;

static mode read_mode(const lathe_attr *attrs, size_t n_attrs)
{
    return (mode){ lt_attr_i(attrs, n_attrs, "inverse", 0) != 0, lt_attr_i(attrs, n_attrs, "onesided", 0) != 0 };
}

/* The signal axis; -1: unknown. The last axis holds the parts of a number. */
static lathe_status read_axis(lt_infer *c, int *out)
{
    int rank = c->in[0]->rank;
    lt_dim v[LT_CONTENTS_MAX];
    int64_t count = 0, axis = -2;
    *out = -1;
    if (c->n_in > 2 && c->in[2] != NULL) {
        LT_TRY(lt_infer_ints(c, 2, v, &count));
        if (count >= 0 && count != 1) {
            return lt_infer_fail(c, "axis holds %lld numbers; one is needed", (long long)count);
        }
        if (count < 0 || !lt_dim_is_const(v[0])) {
            return LATHE_OK;
        }
        axis = v[0].k;
    }
    LT_TRY(lt_infer_axis(c, axis, rank, out));
    if (*out == rank - 1) {
        return lt_infer_fail(
            c, "axis %lld is the one of real and imaginary parts; a signal axis is needed, -%d to -2 or 0 to %d",
            (long long)axis, rank, rank - 2);
    }
    return LATHE_OK;
}

static lathe_status check_parts(lt_infer *c, mode m, lt_dim parts)
{
    if (!lt_dim_is_const(parts)) {
        return LATHE_OK;
    }
    if (parts.k != 1 && parts.k != 2) {
        return lt_infer_fail(c, "the last extent is %lld; it must be 1 for real and 2 for complex signals",
                             (long long)parts.k);
    }
    if (m.onesided && parts.k != (m.inverse ? 2 : 1)) {
        return lt_infer_fail(c, "a one-sided %s needs a %s input", m.inverse ? "inverse transform" : "transform",
                             m.inverse ? "complex" : "real");
    }
    return LATHE_OK;
}

/* Number of points: the input, or as many as the axis gives. */
static lathe_status read_length(lt_infer *c, mode m, lt_dim extent, lt_dim *out)
{
    if (c->n_in > 1 && c->in[1] != NULL) {
        return lt_signal_scalar(c, 1, "dft_length", 1, out);
    }
    *out = extent;
    if (m.inverse && m.onesided && !lt_dim_is(extent, -1)) {
        LT_TRY(lt_dim_sub(c->dims, extent, lt_dim_const(1), out, c->diag));
        LT_TRY(lt_dim_mul(c->dims, *out, lt_dim_const(2), out, c->diag));
    }
    if (lt_dim_is_const(*out) && !lt_dim_is(extent, -1) && out->k < 1) {
        return lt_infer_fail(c, "an axis of extent %lld makes a transform of %lld points; give dft_length",
                             (long long)extent.k, (long long)out->k);
    }
    return LATHE_OK;
}

static lathe_status infer_dft(lt_infer *c)
{
    const lt_type *x = c->in[0];
    mode m = read_mode(c->attrs, c->n_attrs);
    lt_dim dims[LATHE_MAX_RANK], length;
    int axis;
    if (x->rank < 0) {
        return lt_infer_out(c, 0, x->dtype, -1, NULL);
    }
    if (x->rank < 2) {
        return lt_infer_fail(c, "the input has rank %d; a signal axis and one of real and imaginary parts are needed",
                             x->rank);
    }
    LT_TRY(read_axis(c, &axis));
    LT_TRY(check_parts(c, m, x->dims[x->rank - 1]));
    LT_TRY(read_length(c, m, axis >= 0 ? x->dims[axis] : LT_UNKNOWN_DIM, &length));
    if (m.onesided && !m.inverse) {
        LT_TRY(lt_signal_half(c, length, &length));
    }
    for (int d = 0; d < x->rank - 1; d++) {
        dims[d] = d == axis ? length : axis < 0 ? LT_UNKNOWN_DIM : x->dims[d];
    }
    dims[x->rank - 1] = lt_dim_const(m.inverse && m.onesided ? 1 : 2);
    return lt_move_out(c, 0, x->dtype, x->rank, dims);
}

/* ---- Evaluation ---- */

/* Everything that the rows share; strides count elements. */
typedef struct job {
    const lt_tensor *x;
    lt_tensor *y;
    mode m;
    int64_t parts, given, wanted, step; /* points read and written, from one to the next */
    lt_fft fft;
    double *row; /* fft.n complex numbers */
} job;

static void read_row(const job *j, int64_t first)
{
    int64_t half = j->fft.n / 2 + 1, most = j->m.inverse && j->m.onesided ? half : j->fft.n;
    for (int64_t k = 0; k < j->fft.n; k++) {
        bool there = k < j->given && k < most;
        int64_t at = first + k * j->step * j->parts;
        j->row[2 * k] = there ? lt_load_f64(j->x->dtype, j->x->data, at) : 0.0;
        j->row[2 * k + 1] = there && j->parts == 2 ? lt_load_f64(j->x->dtype, j->x->data, at + 1) : 0.0;
    }
}

/*
 * The half that a one-sided spectrum leaves out; the imaginary parts of points that are their own mirror images do not
 * count.
 */
static void mirror_row(const job *j)
{
    int64_t n = j->fft.n;
    j->row[1] = 0.0;
    for (int64_t k = 1; k <= n / 2; k++) {
        if (2 * k == n) {
            j->row[2 * k + 1] = 0.0;
        } else {
            j->row[2 * (n - k)] = j->row[2 * k];
            j->row[2 * (n - k) + 1] = -j->row[2 * k + 1];
        }
    }
}

static void write_row(const job *j, int64_t first)
{
    int64_t parts = j->m.inverse && j->m.onesided ? 1 : 2;
    for (int64_t k = 0; k < j->wanted; k++) {
        for (int64_t p = 0; p < parts; p++) {
            lt_store_f64(j->y->dtype, j->y->data, first + k * j->step * parts + p, j->row[2 * k + p]);
        }
    }
}

static lathe_status run_rows(lt_eval *c, job *j, int axis)
{
    lt_axis_span span = lt_span(j->x->rank - 1, j->x->dims, axis);
    int64_t out_parts = j->m.inverse && j->m.onesided ? 1 : 2;
    j->given = span.extent;
    j->wanted = j->y->dims[axis];
    j->step = span.inner;
    j->row = lt_eval_scratch(c, j->fft.n, 2 * sizeof(double));
    if (j->row == NULL) {
        return LATHE_OUT_OF_MEMORY;
    }
    for (int64_t i = 0; i < span.outer * span.inner; i++) {
        int64_t block = i / span.inner, column = i % span.inner;
        read_row(j, (block * j->given * span.inner + column) * j->parts);
        if (j->m.inverse && j->m.onesided) {
            mirror_row(j);
        }
        lt_fft_run(&j->fft, j->row, j->m.inverse);
        write_row(j, (block * j->wanted * span.inner + column) * out_parts);
    }
    return LATHE_OK;
}

static lathe_status eval_dft(lt_eval *c)
{
    const lt_tensor *x = lt_in(c, 0);
    job j = { .x = x, .y = lt_out(c, 0), .m = read_mode(c->attrs, c->n_attrs) };
    const int64_t *axis_in, *length_in;
    int64_t n_axis, n_length;
    LT_TRY(lt_eval_ints(c, 1, &length_in, &n_length));
    LT_TRY(lt_eval_ints(c, 2, &axis_in, &n_axis));
    if (j.y == NULL || lt_tensor_count(j.y) == 0) {
        return LATHE_OK;
    }
    int64_t axis = n_axis > 0 ? axis_in[0] : -2;
    axis += axis < 0 ? x->rank : 0;
    LT_CHECK(c->diag, axis >= 0 && axis < x->rank - 1, c->where);
    int64_t extent = x->dims[axis], points = n_length > 0                  ? length_in[0]
                                             : j.m.inverse && j.m.onesided ? 2 * (extent - 1)
                                                                           : extent;
    j.parts = x->dims[x->rank - 1];
    LT_CHECK(c->diag, points >= 1, c->where);
    LT_TRY(lt_fft_make(c, points, &j.fft));
    return run_rows(c, &j, (int)axis);
}

static const lt_attr_spec attrs_dft[] = {
    { "inverse", LATHE_ATTR_INT, false },
    { "onesided", LATHE_ATTR_INT, false },
    { 0 },
};

static const char *const samples_dft[] = {
    "f32[2,8,1] x = rand(1) | y = DFT (x)",
    "f32[2,8,2] x = rand(1) | y = DFT <inverse = 1> (x)",
    "f64[2,7,2] x = rand(1) | y = DFT (x)",
    "f64[2,12,2] x = rand(1), i64[] n = {12} | y = DFT <inverse = 1> (x, n)",
    "f32[2,6,3,1] x = rand(1), i64[] a = {1} | y = DFT <onesided = 1> (x, \"\", a)",
    "f32[5,3,2] x = rand(1), i32[] n = {9}, i64[] a = {-3} | y = DFT (x, n, a)",
    "f32[2,11,1] x = rand(1), i64[] n = {6} | y = DFT <onesided = 1> (x, n)",
    "f32[2,11,1] x = rand(1), i64[] n = {5} | y = DFT <onesided = 1> (x, n)",
    "f64[2,5,2] x = rand(1) | y = DFT <inverse = 1, onesided = 1> (x)",
    "f64[2,5,2] x = rand(1), i64[] n = {9} | y = DFT <inverse = 1, onesided = 1> (x, n)",
    "f64[2,5,2] x = rand(1), i64[] n = {4} | y = DFT <inverse = 1, onesided = 1> (x, n)",
    "f32[1,4,1] x = rand(1) | y = DFT <inverse = 1> (x)",
    "f16[1,4,1] x = rand(1) | y = DFT (x)",
    "bf16[1,6,2] x = rand(1) | y = DFT (x)",
    "f64[1,37,1] x = rand(1) | y = DFT <onesided = 1> (x)",
    "f32[1,1,2] x = rand(1) | y = DFT (x)",
    "f32[0,4,1] x = {} | y = DFT (x)",
    NULL,
};

LT_OPS(dft) = {
    { .name = "DFT",
      .since = 20,
      .host_inputs = 6,
      .sig = "(T1 input, T2? dft_length, i64? axis) -> (T1 output); T1: float, T2: i32 i64",
      .attrs = attrs_dft,
      .infer = infer_dft,
      .eval = eval_dft,
      .samples = samples_dft },
    { 0 },
};
