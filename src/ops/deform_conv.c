/*
 * deform_conv.c - DeformConv: a convolution whose taps are moved by offsets and weighted by a mask, both data. Found
 * through the registry.
 *
 * A moved tap lies between elements and reads them linearly, along each axis; elements outside the input are 0. All
 * channels of an offset group share their taps.
 */
#include "ops/move.h"
#include "ops/nn.h"

#include <math.h>

/* Extents of axis 1 and the spatial ones of offset (`per_tap` the number of spatial axes) or mask (1). */
static lathe_status check_map(lt_infer *c, int i, int64_t per_tap, const lt_type *y)
{
    const lt_type *map = i < c->n_in ? c->in[i] : NULL, *w = c->in[1];
    lt_dim channels = lt_dim_const(lt_attr_i(c->attrs, c->n_attrs, "offset_group", 1) * per_tap), ignored;
    if (map == NULL || map->rank < 0) {
        return LATHE_OK;
    }
    const char *name = i == 2 ? "offset" : "mask";
    if (map->rank != y->rank) {
        return lt_infer_fail(c, "the %s has rank %d but the input has rank %d", name, map->rank, y->rank);
    }
    for (int d = 2; d < w->rank; d++) {
        LT_TRY(lt_dim_mul(c->dims, channels, w->dims[d], &channels, c->diag));
    }
    LT_TRY(lt_move_equal(c, map->dims[0], y->dims[0],
                         i == 2 ? "batches of offset and input" : "batches of mask and input", &ignored));
    LT_TRY(lt_move_equal(c, map->dims[1], channels,
                         i == 2 ? "channels of offset and numbers that the taps need" : "channels of mask and taps",
                         &ignored));
    for (int d = 2; d < y->rank; d++) {
        LT_TRY(lt_move_equal(c, map->dims[d], y->dims[d],
                             i == 2 ? "spatial extents of offset and output" : "spatial extents of mask and output",
                             &ignored));
    }
    return LATHE_OK;
}

static lathe_status infer_deform(lt_infer *c)
{
    const lt_type *x = c->in[0];
    int64_t groups = lt_attr_i(c->attrs, c->n_attrs, "offset_group", 1);
    lt_type y;
    if (groups < 1 || groups > INT32_MAX) {
        return lt_infer_fail(c, "attribute 'offset_group' is %lld", (long long)groups);
    }
    if (c->n_out < 1) {
        return LATHE_OK;
    }
    LT_TRY(lt_nn_conv_infer(c, 0, 1, 3, x->dtype));
    y = c->out[0];
    if (y.rank < 0) {
        return LATHE_OK;
    }
    if (lt_dim_is_const(x->dims[1]) && x->dims[1].k % groups != 0) {
        return lt_infer_fail(c, "%lld channels do not divide into %lld offset groups", (long long)x->dims[1].k,
                             (long long)groups);
    }
    LT_TRY(check_map(c, 2, x->rank - 2, &y));
    return check_map(c, 4, 1, &y);
}

/* ---- Evaluation ---- */

typedef struct job {
    lt_nn_grid grid;
    const lt_tensor *x, *offset, *mask;
    int axes;
    int64_t batch, channels, filters, groups, offset_groups;
    double *image;   /* one image */
    double *columns; /* channels x taps, for one point */
    const double *weights, *bias;
    int64_t *corner_at; /* 2^axes neighbours of a tap; -1: outside */
    double *corner_weight;
} job;

/* Coordinates of an output point and of a tap, row-major. */
static void split(int axes, const int64_t *extents, int64_t index, int64_t *out)
{
    for (int d = axes - 1; d >= 0; d--) {
        out[d] = index % extents[d];
        index /= extents[d];
    }
}

/* Neighbours of the moved tap and their weights; the number of neighbours, 0 where all lie outside. NaN: *broken. */
static int64_t find_corners(const job *j, int64_t n, int64_t group, int64_t tap, int64_t point, bool *broken)
{
    const lt_nn_grid *g = &j->grid;
    int64_t at[LATHE_MAX_RANK], to[LATHE_MAX_RANK], count = 1;
    split(j->axes, g->out, point, at);
    split(j->axes, g->win.kernel, tap, to);
    *broken = false;
    j->corner_at[0] = 0;
    j->corner_weight[0] = 1.0;
    for (int d = 0; d < j->axes; d++) {
        int64_t channel = ((n * j->offset_groups + group) * g->taps + tap) * j->axes + d;
        double moved = lt_load_f64(j->offset->dtype, j->offset->data, channel * g->points + point);
        double place = (double)(at[d] * g->win.stride[d] - g->win.begin[d] + to[d] * g->win.dilation[d]) + moved;
        *broken = *broken || isnan(place);
        if (!(place > -1.0 && place < (double)g->in[d])) {
            count = 0;
        }
        int64_t low = count > 0 ? (int64_t)floor(place) : 0;
        for (int64_t k = count - 1; k >= 0; k--) { /* each neighbour so far becomes two */
            for (int side = 1; side >= 0; side--) {
                int64_t next = low + side, base = j->corner_at[k];
                double part = side == 1 ? place - (double)low : 1.0 - (place - (double)low),
                       weight = j->corner_weight[k];
                bool inside = next >= 0 && next < g->in[d] && base >= 0;
                if (side == 1) {
                    j->corner_at[count + k] = inside ? base * g->in[d] + next : -1;
                    j->corner_weight[count + k] = weight * part;
                } else {
                    j->corner_at[k] = inside ? base * g->in[d] + next : -1;
                    j->corner_weight[k] = weight * part;
                }
            }
        }
        count *= 2;
    }
    return count;
}

/* What the taps of a point read, for all channels of an offset group. */
static void gather(const job *j, int64_t n, int64_t group, int64_t point)
{
    int64_t part = j->channels / j->offset_groups, taps = j->grid.taps;
    for (int64_t tap = 0; tap < taps; tap++) {
        bool broken;
        int64_t count = find_corners(j, n, group, tap, point, &broken);
        int64_t place = ((n * j->offset_groups + group) * taps + tap) * j->grid.points + point;
        double factor = j->mask != NULL ? lt_load_f64(j->mask->dtype, j->mask->data, place) : 1.0;
        for (int64_t channel = group * part; channel < (group + 1) * part; channel++) {
            const double *plane = &j->image[channel * j->grid.plane];
            double sum = broken ? NAN : 0.0;
            for (int64_t k = 0; k < count; k++) {
                sum += j->corner_at[k] >= 0 && j->corner_weight[k] != 0 ? plane[j->corner_at[k]] * j->corner_weight[k]
                                                                        : 0.0;
            }
            j->columns[channel * taps + tap] = sum * factor;
        }
    }
}

static void multiply(const job *j, int64_t n, int64_t point, lt_tensor *y)
{
    int64_t part = j->channels / j->groups, length = part * j->grid.taps;
    for (int64_t f = 0; f < j->filters; f++) {
        const double *columns = &j->columns[f / (j->filters / j->groups) * length], *weights = &j->weights[f * length];
        double sum = j->bias != NULL ? j->bias[f] : 0.0;
        for (int64_t k = 0; k < length; k++) {
            sum += columns[k] * weights[k];
        }
        lt_store_f64(y->dtype, y->data, (n * j->filters + f) * j->grid.points + point, sum);
    }
}

static lathe_status make_job(lt_eval *c, job *j)
{
    bool weights_ok, bias_ok;
    int64_t columns, image;
    if (!lt_i64_mul(j->channels, j->grid.taps, &columns) || !lt_i64_mul(j->channels, j->grid.plane, &image)) {
        return LT_FAIL(c->diag, LATHE_OVERFLOW, c->where, NULL, "%s: the size of a window overflows", c->op->name);
    }
    j->weights = lt_nn_doubles(c, lt_in(c, 1), &weights_ok);
    j->bias = lt_nn_doubles(c, lt_in(c, 3), &bias_ok);
    j->image = lt_nn_scratch(c, image);
    j->columns = lt_nn_scratch(c, columns);
    j->corner_at = lt_eval_scratch(c, INT64_C(1) << j->axes, sizeof(int64_t));
    j->corner_weight = lt_nn_scratch(c, INT64_C(1) << j->axes);
    bool ok = weights_ok && bias_ok && j->image != NULL && j->columns != NULL && j->corner_at != NULL &&
              j->corner_weight != NULL;
    return ok ? LATHE_OK : LT_OOM(c->diag);
}

static lathe_status eval_deform(lt_eval *c)
{
    const lt_tensor *x = lt_in(c, 0), *w = lt_in(c, 1);
    lt_tensor *y = lt_out(c, 0);
    if (y == NULL || lt_tensor_count(y) == 0) {
        return LATHE_OK;
    }
    job j = { .x = x,
              .offset = lt_in(c, 2),
              .mask = lt_in(c, 4),
              .axes = x->rank - 2,
              .batch = x->dims[0],
              .channels = x->dims[1],
              .filters = w->dims[0] };
    j.groups = lt_attr_i(c->attrs, c->n_attrs, "group", 1);
    j.offset_groups = lt_attr_i(c->attrs, c->n_attrs, "offset_group", 1);
    LT_TRY(lt_nn_grid_make(c, x, y, &w->dims[2], &j.grid));
    LT_TRY(make_job(c, &j));
    int64_t size = j.channels * j.grid.plane;
    for (int64_t n = 0; n < j.batch; n++) {
        lt_nn_read(x, n * size, 1, size, j.image);
        for (int64_t point = 0; point < j.grid.points; point++) {
            for (int64_t group = 0; group < j.offset_groups; group++) {
                gather(&j, n, group, point);
            }
            multiply(&j, n, point, y);
        }
    }
    return LATHE_OK;
}

static const lt_attr_spec attrs_deform[] = {
    { "dilations", LATHE_ATTR_INTS, false },
    { "group", LATHE_ATTR_INT, false },
    { "kernel_shape", LATHE_ATTR_INTS, false },
    { "offset_group", LATHE_ATTR_INT, false },
    { "pads", LATHE_ATTR_INTS, false },
    { "strides", LATHE_ATTR_INTS, false },
    { 0 },
};

static const char *const samples_deform[] = {
    "f32[1,1,3,3] x = rand(1), f32[1,1,2,2] w = rand(2), f32[1,8,4,4] o = rand(3) | y = DeformConv <kernel_shape = [2, "
    "2], pads = [1, 1, 1, 1]> (x, w, o)",
    "f32[1,1,3,3] x = rand(1), f32[1,1,2,2] w = rand(2), f32[1,8,2,2] o = rand(3), f32[1] b = rand(4), f32[1,4,2,2] m "
    "= rand(5) | "
    "y = DeformConv <kernel_shape = [2, 2], pads = [0, 0, 0, 0]> (x, w, o, b, m)",
    "f32[2,4,5,6] x = rand(1), f32[6,2,3,2] w = rand(2), f32[2,24,3,2] o = rand(3), f32[6] b = rand(4), f32[2,12,3,2] "
    "m = rand(5) | "
    "y = DeformConv <group = 2, offset_group = 2, strides = [2, 2], dilations = [1, 2], pads = [1, 0, 1, 0]> (x, w, o, "
    "b, m)",
    "f64[1,2,3,3] x = rand(1), f64[2,2,1,1] w = rand(2), f64[1,2,3,3] o = rand(3) | y = DeformConv (x, w, o)",
    "f32[1,2,6] x = rand(1), f32[2,2,3] w = rand(2), f32[1,3,4] o = rand(3) | y = DeformConv (x, w, o)",
    "f32[1,1,3,3,3] x = rand(1), f32[1,1,2,2,2] w = rand(2), f32[1,24,2,2,2] o = rand(3) | y = DeformConv (x, w, o)",
    "f16[1,1,3,3] x = rand(1), f16[1,1,2,2] w = rand(2), f16[1,8,2,2] o = splat(0.5) | y = DeformConv (x, w, o)",
    "f32[0,1,3,3] x = {}, f32[1,1,2,2] w = rand(2), f32[0,8,2,2] o = {} | y = DeformConv (x, w, o)",
    NULL,
};

LT_OPS(deform_conv) = {
    { .name = "DeformConv",
      .since = 22,
      .traits = LT_OP_ROOT,
      .sig = "(T X, T W, T offset, T? B, T? mask) -> (T Y); T: float",
      .attrs = attrs_deform,
      .infer = infer_deform,
      .eval = eval_deform,
      .samples = samples_deform },
    { 0 },
};
