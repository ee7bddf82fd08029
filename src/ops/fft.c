/*
 * fft.c - the discrete Fourier transform of any length in O(n log n), in double: radix 2 where n is a power of two, else
 * Bluestein's chirp transform, a convolution by two transforms of a power of two. Used by DFT and STFT.
 *
 * Angles are reduced by whole turns in integers before they become doubles, so that long transforms are as exact as
 * short ones.
 */
#include "ops/signal.h"

#include <math.h>

/* exp(-2 pi i numerator / denominator), 0 <= numerator < denominator. */
static void unit_root(int64_t numerator, int64_t denominator, double out[2])
{
    int64_t eighth = numerator * 8 / denominator; /* so that multiples of a quarter turn come out exact */
    double part = (double)numerator / (double)denominator;
    if (eighth == 1 || eighth == 2) {
        out[0] = -sin(2 * LT_SIGNAL_PI * (part - 0.25));
        out[1] = -cos(2 * LT_SIGNAL_PI * (part - 0.25));
    } else if (eighth == 3 || eighth == 4) {
        out[0] = -cos(2 * LT_SIGNAL_PI * (part - 0.5));
        out[1] = sin(2 * LT_SIGNAL_PI * (part - 0.5));
    } else if (eighth == 5 || eighth == 6) {
        out[0] = sin(2 * LT_SIGNAL_PI * (part - 0.75));
        out[1] = cos(2 * LT_SIGNAL_PI * (part - 0.75));
    } else {
        double angle = 2 * LT_SIGNAL_PI * (eighth == 0 ? part : part - 1.0);
        out[0] = cos(angle);
        out[1] = -sin(angle);
    }
}

static void multiply(double *x, const double *y)
{
    double re = x[0] * y[0] - x[1] * y[1], im = x[0] * y[1] + x[1] * y[0];
    x[0] = re;
    x[1] = im;
}

static void reverse_bits(double *x, int64_t n)
{
    for (int64_t i = 1, j = 0; i < n; i++) {
        int64_t bit = n >> 1;
        for (; j & bit; bit >>= 1) {
            j ^= bit;
        }
        j ^= bit;
        if (i < j) {
            double re = x[2 * i], im = x[2 * i + 1];
            x[2 * i] = x[2 * j];
            x[2 * i + 1] = x[2 * j + 1];
            x[2 * j] = re;
            x[2 * j + 1] = im;
        }
    }
}

/* n is a power of two; turn[k] = exp(-2 pi i k / n). */
static void radix2(double *x, int64_t n, const double *turn)
{
    reverse_bits(x, n);
    for (int64_t half = 1; half < n; half *= 2) {
        for (int64_t block = 0; block < n; block += 2 * half) {
            for (int64_t k = 0; k < half; k++) {
                double *a = x + 2 * (block + k), *b = a + 2 * half;
                double odd[2] = { b[0], b[1] };
                multiply(odd, turn + 2 * (k * (n / (2 * half))));
                b[0] = a[0] - odd[0];
                b[1] = a[1] - odd[1];
                a[0] += odd[0];
                a[1] += odd[1];
            }
        }
    }
}

static void conjugate(double *x, int64_t n, double scale)
{
    for (int64_t i = 0; i < n; i++) {
        x[2 * i] *= scale;
        x[2 * i + 1] *= -scale;
    }
}

static lathe_status make_chirp(lt_eval *c, lt_fft *fft)
{
    int64_t n = fft->n, square = 0; /* k^2 mod 2 n */
    fft->chirp = lt_eval_scratch(c, n, 2 * sizeof(double));
    fft->filter = lt_eval_scratch(c, fft->wide, 2 * sizeof(double));
    fft->work = lt_eval_scratch(c, fft->wide, 2 * sizeof(double));
    if (fft->chirp == NULL || fft->filter == NULL || fft->work == NULL) {
        return LATHE_OUT_OF_MEMORY;
    }
    for (int64_t i = 0; i < 2 * fft->wide; i++) {
        fft->filter[i] = 0.0;
    }
    for (int64_t k = 0; k < n; k++) {
        double *w = fft->chirp + 2 * k;
        unit_root(square, 2 * n, w);
        for (int side = 0; side < 2; side++) {
            double *to = fft->filter + 2 * (side == 0 ? k : (fft->wide - k) % fft->wide);
            to[0] = w[0];
            to[1] = -w[1];
        }
        square = (square + 2 * k + 1) % (2 * n);
    }
    radix2(fft->filter, fft->wide, fft->turn);
    for (int64_t i = 0; i < 2 * fft->wide; i++) {
        fft->filter[i] /= (double)fft->wide;
    }
    return LATHE_OK;
}

lathe_status lt_fft_make(lt_eval *c, int64_t n, lt_fft *out)
{
    *out = (lt_fft){ .n = n, .wide = 1 };
    if (n > INT64_C(1) << 40) {
        return lt_eval_fail(c, "a transform of %lld points is too long", (long long)n);
    }
    while (out->wide < n) {
        out->wide *= 2;
    }
    bool chirp = out->wide != n;
    out->wide *= chirp ? 2 : 1;
    out->turn = lt_eval_scratch(c, out->wide / 2, 2 * sizeof(double));
    if (out->turn == NULL) {
        return LATHE_OUT_OF_MEMORY;
    }
    for (int64_t k = 0; k < out->wide / 2; k++) {
        unit_root(k, out->wide, out->turn + 2 * k);
    }
    return chirp ? make_chirp(c, out) : LATHE_OK;
}

/* Bluestein: x[k] = chirp[k] * sum over m of (x[m] chirp[m]) conj(chirp[k - m]). */
static void run_chirp(const lt_fft *fft, double *x)
{
    double *work = fft->work;
    for (int64_t k = 0; k < fft->wide; k++) {
        work[2 * k] = k < fft->n ? x[2 * k] : 0.0;
        work[2 * k + 1] = k < fft->n ? x[2 * k + 1] : 0.0;
        if (k < fft->n) {
            multiply(work + 2 * k, fft->chirp + 2 * k);
        }
    }
    radix2(work, fft->wide, fft->turn);
    for (int64_t k = 0; k < fft->wide; k++) {
        multiply(work + 2 * k, fft->filter + 2 * k);
    }
    conjugate(work, fft->wide, 1.0); /* the inverse transform, whose division the filter has in it */
    radix2(work, fft->wide, fft->turn);
    conjugate(work, fft->wide, 1.0);
    for (int64_t k = 0; k < fft->n; k++) {
        x[2 * k] = work[2 * k];
        x[2 * k + 1] = work[2 * k + 1];
        multiply(x + 2 * k, fft->chirp + 2 * k);
    }
}

void lt_fft_run(const lt_fft *fft, double *x, bool inverse)
{
    if (inverse) {
        conjugate(x, fft->n, 1.0);
    }
    if (fft->chirp != NULL) {
        run_chirp(fft, x);
    } else {
        radix2(x, fft->n, fft->turn);
    }
    if (inverse) {
        conjugate(x, fft->n, 1.0 / (double)fft->n);
    }
}
