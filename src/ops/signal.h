/*
 * signal.h - what the operators of signal processing share: scalars that are sizes, output types that an attribute
 * names, the fast Fourier transform. Private to src/ops; its parts are signal.c and fft.c.
 */
#ifndef LT_SIGNAL_H
#define LT_SIGNAL_H

#include "ops/move.h"

#define LT_SIGNAL_PI 3.14159265358979323846

/* ---- Inference and numbers (signal.c) ---- */

/* The only element of input i, at least `least`; LT_UNKNOWN_DIM when inference cannot tell it. `what` names it. */
lathe_status lt_signal_scalar(lt_infer *c, int i, const char *what, int64_t least, lt_dim *out);
/* The type that attribute output_datatype names: any number, f32 when absent. */
lathe_status lt_signal_dtype(lt_infer *c, lathe_dtype *out);
/* An element of any numeric type; integers are cut off from the value as f32, which forgives the last bit. */
void lt_signal_store(lt_tensor *y, int64_t i, double value);
/* The extent of one side of a spectrum: n / 2 + 1. Unknown stays unknown. */
lathe_status lt_signal_half(lt_infer *c, lt_dim n, lt_dim *out);

/* ---- Discrete Fourier transform (fft.c) ---- */

/* The tables of transforms of n points and the room that one of them works in; O(n log n) for each n. */
typedef struct lt_fft {
    int64_t n;
    int64_t wide; /* of the transform by factors: n itself, or a power of two of at least 2 n - 1 */
    int n_factors;
    int8_t factors[48]; /* of wide */
    double *turn;       /* wide complex numbers exp(-2 pi i k / wide) */
    double *spare;      /* room for wide numbers */
    double *chirp;      /* n numbers exp(-pi i k^2 / n); NULL where n has small factors only */
    double *filter;     /* the transform of the chirp's conjugate, wide numbers, divided by wide */
    double *work;       /* room for wide numbers */
} lt_fft;

/* n >= 1; memory of c->scratch. */
lathe_status lt_fft_make(lt_eval *c, int64_t n, lt_fft *out);
/*
 * x: n complex numbers, real and imaginary parts in turns, replaced by their transform; inverse: the other sign,
 * divided by n.
 */
void lt_fft_run(const lt_fft *fft, double *x, bool inverse);

#endif
