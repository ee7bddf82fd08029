/*
 * affine_places.c - tactic affine.places: AffineGrid of f32, line by line of pixels, in double and in the order of the reference, so that the bits are its.
 */
#include "backend/cpu/product.h"
#include "backend/cpu/settle.h"
#include <string.h>

static int fits(const lathe_problem *p, uint32_t config, lathe_fit *fit)
{
    const uint32_t unplanned = LATHE_OPERAND_MANAGED | LATHE_OPERAND_BOUNDED | LATHE_OPERAND_ABSENT;
    const lathe_operand *theta = lt_root_operand(p, 0, NULL), *y = &p->out[0];
    (void)config;
    if (p->n_instrs > 0 || p->n_out != 1 || !theta || ((theta->flags | y->flags) & unplanned)) {
        return lt_no(fit, "part of a group, or operands without planned extents");
    }
    if (theta->dtype != LATHE_DTYPE_F32 || y->dtype != LATHE_DTYPE_F32 || theta->rank != 3 || y->rank < 4 || y->rank > 5) {
        return lt_no(fit, "theta is %s", lathe_dtype_name(theta->dtype));
    }
    fit->cost = 200 + lt_operand_elements(y) * 2;
    return 1;
}

/* Place of pixel i of d in [-1, 1]; a single pixel with aligned corners is at -1. */
static double place(bool align, int64_t i, int64_t d)
{
    if (align) {
        return d > 1 ? -1.0 + 2.0 * (double)i / (double)(d - 1) : -1.0;
    }
    return (2.0 * (double)i + 1.0) / (double)d - 1.0;
}

static size_t scratch_bytes(const lathe_problem *p, uint32_t config, const lathe_buffer *in, const lathe_buffer *out, int threads)
{
    (void)p, (void)config, (void)in;
    int64_t width = out[0].rank > 1 ? out[0].dims[out[0].rank - 2] : 0;
    return lt_settle_piece((size_t)width * sizeof(double)) * (size_t)threads;
}

/* A line of pixels: columns are their places in it, rest the places along the other axes, the innermost first. */
static void one_line(int n, const float *theta, const double *columns, int64_t width, const double *rest, float *y)
{
    for (int row = 0; row < n; row++) {
        const float *t = theta + row * (n + 1);
        double first = (double)t[0], start = (double)t[n], second = (double)t[1] * rest[0], third = n == 3 ? (double)t[2] * rest[1] : 0.0;
        for (int64_t i = 0; n == 2 && i < width; i++) {
            y[i * 2 + row] = (float)(start + first * columns[i] + second);
        }
        for (int64_t i = 0; n == 3 && i < width; i++) {
            y[i * 3 + row] = (float)(start + first * columns[i] + second + third);
        }
    }
}

static lathe_status run(const lathe_gang *gang, const lathe_call *call, lathe_diag *diag)
{
    const lathe_problem *p = call->problem;
    uint16_t nt;
    (void)lt_root_operand(p, 0, &nt);
    const lathe_buffer *theta = &call->in[nt], *y = &call->out[0];
    int n = y->rank - 2;
    int64_t lines, begin, end;
    bool align = lt_attr_i(p->attrs, p->n_attrs, "align_corners", 0) != 0;
    if (n < 2 || n > 3 || theta->rank != 3 || !lt_extents_sane(y->rank, y->dims) || theta->dims[0] != y->dims[0] || theta->dims[1] != n ||
        theta->dims[2] != n + 1 || y->dims[n + 1] != n || !lt_dims_count(y->dims, n, &lines)) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, p->op, NULL, "matrices and grid do not go together");
    }
    int64_t width = y->dims[n], height = y->dims[n - 1], depth = n == 3 ? y->dims[1] : 1;
    double *columns = (double *)(void *)((char *)call->scratch + lt_settle_piece((size_t)width * sizeof *columns) * (size_t)gang->index);
    for (int64_t i = 0; i < width; i++) {
        columns[i] = place(align, i, width);
    }
    lathe_gang_split(gang, width > 0 ? lines : 0, 1, &begin, &end);
    for (int64_t l = begin; l < end; l++) {
        const double rest[2] = { place(align, l % height, height), place(align, l / height % depth, depth) };
        one_line(n, (const float *)theta->data + l / height / depth * n * (n + 1), columns, width, rest, (float *)y->data + l * width * n);
    }
    return LATHE_OK;
}

LT_TACTICS(affine_places) = {
    { .struct_size = sizeof(lathe_tactic),
      .name = "affine.places",
      .version = 1,
      .summary = "AffineGrid of f32, line by line",
      .ops = "AffineGrid",
      .device = LATHE_SPACE_HOST,
      .configs = 1,
      .fits = fits,
      .scratch_bytes = scratch_bytes,
      .run = run },
    { .name = NULL },
};
