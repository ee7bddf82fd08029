/*
 * conv_winograd__each.c - tactic conv.f32.nhwc.winograd2: the transforms of F(2,3) on vectors of channels and filters. conv_winograd.c drives them.
 */
#include "backend/cpu/conv_winograd.h"
#include "backend/cpu/vectors.inc"

#include "backend/cpu/vector_math.inc"

#include "backend/cpu/vector_parts.inc"

/* One vector of channels; part: its elements, 0 for all. B' d B with B' = (1 0 -1 0, 0 1 1 0, 0 -1 1 0, 0 1 0 -1). */
INLINE void forward(vf d[4][4], float *v, int64_t v_step, int part)
{
    vf t[4][4];
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
        t[0][j] = d[0][j] - d[2][j];
        t[1][j] = d[1][j] + d[2][j];
        t[2][j] = d[2][j] - d[1][j];
        t[3][j] = d[1][j] - d[3][j];
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++, v += 4 * v_step) {
        store_part(v, t[i][0] - t[i][2], part);
        store_part(v + v_step, t[i][1] + t[i][2], part);
        store_part(v + 2 * v_step, t[i][2] - t[i][1], part);
        store_part(v + 3 * v_step, t[i][1] - t[i][3], part);
    }
}

INLINE void inside_part(const float *x, int64_t row_step, int64_t pixel_step, float *v, int64_t v_step, int part)
{
    vf d[4][4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++) {
            d[i][j] = load_part(x + i * row_step + j * pixel_step, part);
        }
    }
    forward(d, v, v_step, part);
}

static void inside(const float *x, int64_t row_step, int64_t pixel_step, int64_t channels, float *v, int64_t v_step)
{
    int64_t c = 0;
    for (; c + VL <= channels; c += VL) {
        inside_part(x + c, row_step, pixel_step, v + c, v_step, 0);
    }
    if (c < channels) {
        inside_part(x + c, row_step, pixel_step, v + c, v_step, (int)(channels - c));
    }
}

INLINE void border_part(const float *const x[LT_WINOGRAD_POINTS], int64_t c, float *v, int64_t v_step, int part)
{
    vf d[4][4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++) {
            d[i][j] = load_part(x[4 * i + j] + c, part);
        }
    }
    forward(d, v + c, v_step, part);
}

static void border(const float *const x[LT_WINOGRAD_POINTS], int64_t channels, float *v, int64_t v_step)
{
    int64_t c = 0;
    for (; c + VL <= channels; c += VL) {
        border_part(x, c, v, v_step, 0);
    }
    if (c < channels) {
        border_part(x, c, v, v_step, (int)(channels - c));
    }
}

INLINE void result(const lt_winograd_out *o, int pixel, vf x, int col, int part)
{
    if (o->at[pixel] < 0) {
        return;
    }
    int64_t at = o->at[pixel] + col;
    if (o->add) {
        x += load_part(o->add + o->add_at[pixel] + col, part);
    }
    store_part(o->y + at, finish_one(x, o->finish.kind, splat(o->finish.low), splat(o->finish.high)), part);
}

/* A' m A with A' = (1 1 1 0, 0 1 -1 -1). */
INLINE void out_part(const lt_winograd_out *o, int col, int part)
{
    vf s[2][4], bias = splat(-0.0f), scale = splat(o->scale); /* -0: what keeps a sum as it is */
    if (o->bias) {
        bias = load_part(o->bias + col, part);
    }
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
        const float *m = o->m + j * o->m_step + col;
        vf m0 = *(const vf *)m, m1 = *(const vf *)(m + 4 * o->m_step), m2 = *(const vf *)(m + 8 * o->m_step),
           m3 = *(const vf *)(m + 12 * o->m_step);
        s[0][j] = m0 + m1 + m2;
        s[1][j] = m1 - m2 - m3;
    }
#pragma GCC unroll 2
    for (int i = 0; i < 2; i++) {
        result(o, 2 * i, (s[i][0] + s[i][1] + s[i][2]) * scale + bias, col, part);
        result(o, 2 * i + 1, (s[i][1] - s[i][2] - s[i][3]) * scale + bias, col, part);
    }
}

static void out(const lt_winograd_out *o)
{
    int col = 0;
    for (; col + VL <= o->cols; col += VL) {
        out_part(o, col, 0);
    }
    if (col < o->cols) {
        out_part(o, col, o->cols - col);
    }
}

static const lt_winograd level = { .isa = &ISA, .inside = inside, .border = border, .out = out };

static int fits(const lathe_problem *problem, uint32_t config, lathe_fit *fit)
{
    return lt_winograd_fits(&level, problem, config, fit);
}

static size_t scratch(const lathe_problem *problem, uint32_t config, const lathe_buffer *in, const lathe_buffer *y,
                      int threads)
{
    return lt_winograd_scratch(&level, problem, config, in, y, threads);
}

static lathe_status run(const lathe_gang *gang, const lathe_call *call, lathe_diag *diag)
{
    return lt_winograd_run(&level, gang, call, diag);
}

LT_TACTICS(LT_EACH(conv_winograd)) = {
    { .struct_size = sizeof(lathe_tactic),
      .name = "conv.f32.nhwc.winograd2." ISA_NAME,
      .version = 3,
      .summary = "3x3 convolutions of channels-last tensors by Winograd's F(2,3): 16 products for each 2x2 results",
      .ops = "Conv",
      .device = LATHE_SPACE_HOST,
      .cpu_features = ISA_FEATURES,
      .configs = 1,
      .fits = fits,
      .scratch_bytes = scratch,
      .run = run },
    { .name = NULL },
};
