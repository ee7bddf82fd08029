/*
 * col2im_planes.c - tactic col2im.planes: Col2Im of f32 images of one or two axes. Each plane is summed up where it lies, element of the block by element, by
 * whole lines of positions.
 */
#include "backend/cpu/product.h"
#include <string.h>

enum { COLUMNS, IMAGE, BLOCK };

/* Two spatial axes; a missing one comes first, with extent 1. */
typedef struct shape {
    int64_t image[2], block[2], grid[2], stride[2], dilation[2], begin[2];
    int64_t planes;
} shape;

static int fits(const lathe_problem *p, uint32_t config, lathe_fit *fit)
{
    const uint32_t unplanned = LATHE_OPERAND_MANAGED | LATHE_OPERAND_BOUNDED | LATHE_OPERAND_ABSENT;
    const lathe_operand *x = lt_root_operand(p, COLUMNS, NULL), *block = lt_root_operand(p, BLOCK, NULL), *y = &p->out[0];
    (void)config;
    if (p->n_instrs > 0 || p->n_out != 1 || !x || !block || ((x->flags | y->flags | block->flags) & unplanned)) {
        return lt_no(fit, "part of a group, or operands without planned extents");
    }
    if (x->dtype != LATHE_DTYPE_F32 || y->dtype != LATHE_DTYPE_F32 || block->dtype != LATHE_DTYPE_I64) {
        return lt_no(fit, "input 0 is %s", lathe_dtype_name(x->dtype));
    }
    if (x->rank != 3 || block->rank != 1 || y->rank < 3 || y->rank > 4) {
        return lt_no(fit, "images of %d axes", y->rank - 2);
    }
    double in = lt_operand_elements(x), out = lt_operand_elements(y);
    fit->cost = 300 + in * 0.4 + out * 0.1 + in / (double)(y->dims[y->rank - 1].opt > 0 ? y->dims[y->rank - 1].opt : 1) * 6;
    return 1;
}

/* Attribute `name` of axis k of n, counted from its first number. */
static int64_t number_of(const lathe_problem *p, const char *name, int n, int k, int64_t otherwise)
{
    size_t count;
    const int64_t *values = lt_attr_ints(p->attrs, p->n_attrs, name, &count);
    return values && count >= (size_t)n ? values[k] : otherwise;
}

static lathe_status read_shape(const lathe_call *call, shape *s, lathe_diag *diag)
{
    const lathe_problem *p = call->problem;
    uint16_t nx, nb;
    (void)lt_root_operand(p, COLUMNS, &nx), (void)lt_root_operand(p, BLOCK, &nb);
    const lathe_buffer *x = &call->in[nx], *b = &call->in[nb], *y = &call->out[0];
    int n = y->rank - 2;
    int64_t size = 1, positions = 1;
    bool good = n >= 1 && n <= 2 && x->rank == 3 && b->rank == 1 && b->dims[0] == n && lt_extents_sane(3, x->dims) && lt_extents_sane(y->rank, y->dims);
    for (int i = 0; good && i < 2; i++) {
        int k = i - (2 - n);
        s->image[i] = k < 0 ? 1 : y->dims[k + 2];
        s->block[i] = k < 0 ? 1 : ((const int64_t *)b->data)[k];
        s->stride[i] = k < 0 ? 1 : number_of(p, "strides", n, k, 1);
        s->dilation[i] = k < 0 ? 1 : number_of(p, "dilations", n, k, 1);
        s->begin[i] = k < 0 ? 0 : number_of(p, "pads", 2 * n, k, 0);
        int64_t end = k < 0 ? 0 : number_of(p, "pads", 2 * n, k + n, 0);
        good = s->block[i] >= 1 && s->block[i] <= INT32_MAX && s->image[i] <= INT32_MAX && s->stride[i] >= 1 && s->stride[i] <= INT32_MAX &&
               s->dilation[i] >= 1 && s->dilation[i] <= INT32_MAX && s->begin[i] >= 0 && s->begin[i] <= INT32_MAX && end >= 0 && end <= INT32_MAX;
        int64_t reach = good ? (s->block[i] - 1) * s->dilation[i] + 1 : 0, room = good ? s->image[i] + s->begin[i] + end : 0;
        s->grid[i] = !good || room < reach ? 0 : (room - reach) / s->stride[i] + 1;
        good = good && lt_i64_mul(size, s->block[i], &size) && lt_i64_mul(positions, s->grid[i], &positions);
    }
    good = good && x->dims[0] == y->dims[0] && x->dims[1] % size == 0 && x->dims[1] / size == y->dims[1] && x->dims[2] == positions;
    s->planes = good ? y->dims[0] * y->dims[1] : 0;
    return good ? LATHE_OK : LT_FAIL(diag, LATHE_BAD_SHAPE, p->op, NULL, "columns, blocks and image do not go together");
}

/* Positions `low` .. `high` of the axis put the block's element `at` inside the image. */
static void inside(const shape *s, int axis, int64_t at, int64_t *low, int64_t *high)
{
    int64_t first = at * s->dilation[axis] - s->begin[axis], stride = s->stride[axis], room = s->image[axis] - first;
    int64_t a = first < 0 ? (-first + stride - 1) / stride : 0, b = room > 0 ? (room + stride - 1) / stride : 0;
    *high = b < s->grid[axis] ? b : s->grid[axis];
    *low = a < *high ? a : *high;
}

static void add_line(float *restrict y, const float *restrict x, int64_t n, int64_t stride)
{
    if (stride == 1) {
        for (int64_t i = 0; i < n; i++) {
            y[i] += x[i];
        }
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        y[i * stride] += x[i];
    }
}

/* One channel: a row of positions for each element of the block. */
static void one_plane(const shape *s, const float *x, float *y)
{
    memset(y, 0, (size_t)(s->image[0] * s->image[1]) * sizeof *y);
    for (int64_t i = 0; i < s->block[0]; i++) {
        int64_t top, bottom;
        inside(s, 0, i, &top, &bottom);
        for (int64_t j = 0; j < s->block[1]; j++, x += s->grid[0] * s->grid[1]) {
            int64_t left, right;
            inside(s, 1, j, &left, &right);
            for (int64_t r = top; r < bottom && left < right; r++) {
                int64_t row = r * s->stride[0] + i * s->dilation[0] - s->begin[0], column = left * s->stride[1] + j * s->dilation[1] - s->begin[1];
                add_line(y + row * s->image[1] + column, x + r * s->grid[1] + left, right - left, s->stride[1]);
            }
        }
    }
}

static lathe_status run(const lathe_gang *gang, const lathe_call *call, lathe_diag *diag)
{
    shape s = { .planes = 0 };
    uint16_t nx;
    int64_t begin, end;
    (void)lt_root_operand(call->problem, COLUMNS, &nx);
    LT_TRY(read_shape(call, &s, diag));
    int64_t pixels = s.image[0] * s.image[1], columns = s.block[0] * s.block[1] * s.grid[0] * s.grid[1];
    lathe_gang_split(gang, s.planes, 1, &begin, &end);
    for (int64_t c = begin; c < end && pixels > 0; c++) {
        one_plane(&s, (const float *)call->in[nx].data + c * columns, (float *)call->out[0].data + c * pixels);
    }
    return LATHE_OK;
}

LT_TACTICS(col2im_planes) = {
    { .struct_size = sizeof(lathe_tactic),
      .name = "col2im.planes",
      .version = 1,
      .summary = "Col2Im of f32 images, by whole lines of positions",
      .ops = "Col2Im",
      .device = LATHE_SPACE_HOST,
      .configs = 1,
      .fits = fits,
      .run = run },
    { .name = NULL },
};
