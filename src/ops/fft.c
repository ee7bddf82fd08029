/*
 * fft.c - the discrete Fourier transform of any length in O(n log n), in double: by its prime factors where these are
 * small, else Bluestein's chirp transform, a convolution by two transforms of a power of two. Used by DFT and STFT.
 *
 * Angles are reduced by whole turns in integers before they become doubles, so that long transforms are as exact as
 * short ones.
 */
#include "ops/signal.h"

#include <math.h>

enum { MOST_RADIX = 13 };

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

/*
 * b[r] = sum of a[j] exp(-2 pi i j r / p) for the p numbers of a butterfly; `turn` has `step` numbers for a turn's
 * p-th part.
 */
static void butterfly(int p, const double *a, double *b, const double *turn, int64_t step)
{
    for (int r = 0; r < p; r++) {
        double sum[2] = { a[0], a[1] };
        for (int j = 1; j < p; j++) {
            double part[2] = { a[2 * j], a[2 * j + 1] };
            multiply(part, turn + 2 * (j * r % p * step));
            sum[0] += part[0];
            sum[1] += part[1];
        }
        b[2 * r] = sum[0];
        b[2 * r + 1] = sum[1];
    }
}

static void butterfly_2(const double *a, double *b)
{
    for (int k = 0; k < 2; k++) {
        b[k] = a[k] + a[2 + k];
        b[2 + k] = a[k] - a[2 + k];
    }
}

static void butterfly_4(const double *a, double *b)
{
    for (int k = 0; k < 2; k++) {
        double even = a[k] + a[4 + k], odd = a[2 + k] + a[6 + k];
        b[k] = even + odd;
        b[4 + k] = even - odd;
    }
    double re = a[0] - a[4], im = a[1] - a[5], turned_re = a[3] - a[7],
           turned_im = a[6] - a[2]; /* the difference times -i */
    b[2] = re + turned_re;
    b[3] = im + turned_im;
    b[6] = re - turned_re;
    b[7] = im - turned_im;
}

/*
 * One pass of Stockham's transform: `length` points are left in each of `stride` interleaved transforms, `p` divides
 * length.
 */
static void pass(const lt_fft *fft, int p, int64_t length, int64_t stride, const double *x, double *y)
{
    int64_t rest = length / p;
    double a[2 * MOST_RADIX], b[2 * MOST_RADIX];
    for (int64_t q = 0; q < rest; q++) {
        for (int64_t k = 0; k < stride; k++) {
            for (int j = 0; j < p; j++) {
                const double *from = x + 2 * (stride * (q + rest * j) + k);
                a[2 * j] = from[0];
                a[2 * j + 1] = from[1];
            }
            if (p == 2) {
                butterfly_2(a, b);
            } else if (p == 4) {
                butterfly_4(a, b);
            } else {
                butterfly(p, a, b, fft->turn, fft->wide / p);
            }
            for (int r = 0; r < p; r++) {
                double *to = y + 2 * (stride * (p * q + r) + k);
                to[0] = b[2 * r];
                to[1] = b[2 * r + 1];
                if (q > 0 && r > 0) {
                    multiply(to, fft->turn + 2 * (q * r * stride));
                }
            }
        }
    }
}

/* The transform of fft->wide points, in place. */
static void transform(const lt_fft *fft, double *x)
{
    double *from = x, *to = fft->spare;
    int64_t length = fft->wide, stride = 1;
    for (int i = 0; i < fft->n_factors; i++) {
        int p = fft->factors[i];
        pass(fft, p, length, stride, from, to);
        double *last = from;
        from = to;
        to = last;
        length /= p;
        stride *= p;
    }
    for (int64_t i = 0; from != x && i < 2 * fft->wide; i++) {
        x[i] = from[i];
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
    transform(fft, fft->filter);
    for (int64_t i = 0; i < 2 * fft->wide; i++) {
        fft->filter[i] /= (double)fft->wide;
    }
    return LATHE_OK;
}

/* Factors of n, fours first; false when one of them is too large. */
static bool factorize(lt_fft *fft, int64_t n)
{
    static const int radices[] = { 4, 2, 3, 5, 7, 11, MOST_RADIX };
    fft->n_factors = 0;
    for (size_t i = 0; i < LT_COUNT(radices); i++) {
        for (; n % radices[i] == 0; n /= radices[i]) {
            fft->factors[fft->n_factors++] = (int8_t)radices[i];
        }
    }
    return n == 1;
}

lathe_status lt_fft_make(lt_eval *c, int64_t n, lt_fft *out)
{
    *out = (lt_fft){ .n = n, .wide = n };
    if (n < 1 || n > INT64_C(1) << 40) {
        return lt_eval_fail(c, "a transform of %lld points is too short or too long", (long long)n);
    }
    bool chirp = !factorize(out, n);
    if (chirp) {
        for (out->wide = 1; out->wide < 2 * n - 1;) {
            out->wide *= 2;
        }
        factorize(out, out->wide);
    }
    out->turn = lt_eval_scratch(c, out->wide, 2 * sizeof(double));
    out->spare = lt_eval_scratch(c, out->wide, 2 * sizeof(double));
    if (out->turn == NULL || out->spare == NULL) {
        return LATHE_OUT_OF_MEMORY;
    }
    for (int64_t k = 0; k < out->wide; k++) {
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
    transform(fft, work);
    for (int64_t k = 0; k < fft->wide; k++) {
        multiply(work + 2 * k, fft->filter + 2 * k);
    }
    conjugate(work, fft->wide, 1.0); /* the inverse transform, whose division the filter has in it */
    transform(fft, work);
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
        transform(fft, x);
    }
    if (inverse) {
        conjugate(x, fft->n, 1.0 / (double)fft->n);
    }
}
