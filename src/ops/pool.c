/*
 * pool.c - AveragePool, MaxPool, LpPool: one walk over the windows of each plane, three ways to fold the elements of a
 * window.
 */
#include "ops/nn.h"

#include <math.h>

static lathe_status infer_pool(lt_infer *c)
{
    lt_dim dims[LATHE_MAX_RANK];
    const lt_type *x = c->in[0];
    if (x->rank < 0) {
        LT_TRY(lt_infer_out(c, 1, LATHE_DTYPE_I64, -1, NULL));
        return lt_infer_out(c, 0, x->dtype, -1, NULL);
    }
    LT_TRY(lt_nn_window_infer(c, x, NULL, lt_attr_i(c->attrs, c->n_attrs, "ceil_mode", 0) != 0, &dims[2]));
    dims[0] = x->dims[0];
    dims[1] = x->dims[1];
    LT_TRY(lt_infer_out(c, 1, LATHE_DTYPE_I64, x->rank, dims));
    return lt_infer_out(c, 0, x->dtype, x->rank, dims);
}

static lathe_status infer_lp_pool(lt_infer *c)
{
    int64_t p = lt_attr_i(c->attrs, c->n_attrs, "p", 2);
    if (p < 1) {
        return lt_infer_fail(c, "attribute 'p' is %lld; it must be at least 1", (long long)p);
    }
    return infer_pool(c);
}

/* One window: its taps' places in the plane, LT_NN_COLS apart. */
typedef struct window {
    const lt_nn_grid *grid;
    const double *plane;
    const int64_t *offsets;
} window;

typedef struct pool {
    double (*fold)(const struct pool *p, const window *w, int64_t *chosen);
    bool count_pads;
    double power;
    bool integers;
    lathe_dtype dtype;
    int64_t *indices; /* MaxPool's second output, or NULL */
    bool column_major;
} pool;

static double fold_average(const pool *p, const window *w, int64_t *chosen)
{
    double sum = 0.0;
    int64_t count = 0;
    (void)chosen;
    for (int64_t t = 0; t < w->grid->taps; t++) {
        int64_t offset = w->offsets[t * LT_NN_COLS];
        sum += offset >= 0 ? w->plane[offset] : 0.0;
        count += offset >= 0 || (p->count_pads && offset == LT_NN_PAD);
    }
    return count > 0 ? sum / (double)count : 0.0;
}

/*
 * The first largest element; a NaN wins over everything. A window that lies in the padding gives the smallest number
 * of the type.
 */
static double fold_max(const pool *p, const window *w, int64_t *chosen)
{
    double best = p->integers ? (double)lt_dtype_min_i64(p->dtype) : -INFINITY;
    *chosen = -1;
    for (int64_t t = 0; t < w->grid->taps; t++) {
        int64_t offset = w->offsets[t * LT_NN_COLS];
        if (offset >= 0 && (*chosen < 0 || w->plane[offset] > best || (isnan(w->plane[offset]) && !isnan(best)))) {
            best = w->plane[offset];
            *chosen = offset;
        }
    }
    return best;
}

static double fold_lp(const pool *p, const window *w, int64_t *chosen)
{
    double sum = 0.0;
    (void)chosen;
    for (int64_t t = 0; t < w->grid->taps; t++) {
        int64_t offset = w->offsets[t * LT_NN_COLS];
        if (offset >= 0) {
            double size = fabs(w->plane[offset]);
            sum += p->power == 1.0 ? size : p->power == 2.0 ? size * size : pow(size, p->power);
        }
    }
    return p->power == 1.0 ? sum : p->power == 2.0 ? sqrt(sum) : pow(sum, 1.0 / p->power);
}

/* An offset in a plane, counted with the first spatial axis innermost. */
static int64_t turn(const lt_nn_grid *grid, int64_t offset)
{
    int64_t turned = 0;
    for (int i = grid->win.n - 1; i >= 0; i--) {
        int64_t step = 1;
        for (int k = 0; k < i; k++) {
            step *= grid->in[k];
        }
        turned += offset % grid->in[i] * step;
        offset /= grid->in[i];
    }
    return turned;
}

/* `count` points from `first` on of one plane. */
static void pool_block(const pool *p, const window *block, lt_tensor *y, int64_t number, int64_t first, int64_t count)
{
    double line[LT_NN_COLS];
    int64_t at = number * block->grid->points + first;
    for (int64_t j = 0; j < count; j++) {
        window w = *block;
        int64_t chosen = -1;
        w.offsets += j;
        line[j] = p->fold(p, &w, &chosen);
        if (p->indices != NULL && chosen >= 0) {
            p->indices[at + j] = number * block->grid->plane + (p->column_major ? turn(block->grid, chosen) : chosen);
        }
    }
    lt_nn_write(y, at, count, line);
}

static lathe_status run_pool(lt_eval *c, const pool *p, lt_tensor *y)
{
    const lt_tensor *x = lt_in(c, 0);
    lt_nn_grid grid;
    if (lt_tensor_count(y) == 0) {
        return LATHE_OK;
    }
    LT_TRY(lt_nn_grid_make(c, x, y, NULL, &grid));
    int64_t planes = x->dims[1], size;
    if (!lt_i64_mul(planes, grid.plane, &size)) {
        return LT_FAIL(c->diag, LATHE_OVERFLOW, c->where, NULL, "%s: the size of one image overflows", c->op->name);
    }
    double *image = lt_nn_scratch(c, size);
    int64_t *offsets = LT_ARENA_ARRAY(c->scratch, int64_t, (size_t)(grid.taps * LT_NN_COLS));
    if (image == NULL || offsets == NULL) {
        return LT_OOM(c->diag);
    }
    for (int64_t n = 0; n < x->dims[0]; n++) {
        lt_nn_read(x, n * size, 1, size, image);
        for (int64_t first = 0; first < grid.points; first += LT_NN_COLS) {
            int64_t count = grid.points - first < LT_NN_COLS ? grid.points - first : LT_NN_COLS;
            lt_nn_grid_offsets(&grid, first, count, offsets);
            for (int64_t i = 0; i < planes; i++) {
                window w = { &grid, image + i * grid.plane, offsets };
                pool_block(p, &w, y, n * planes + i, first, count);
            }
        }
    }
    return LATHE_OK;
}

static lathe_status eval_average(lt_eval *c)
{
    pool p = { .fold = fold_average, .count_pads = lt_attr_i(c->attrs, c->n_attrs, "count_include_pad", 0) != 0 };
    return run_pool(c, &p, lt_out(c, 0));
}

static lathe_status eval_max(lt_eval *c)
{
    const lt_tensor *x = lt_in(c, 0);
    lt_tensor *y = lt_out(c, 0), *indices = lt_out(c, 1), own_y = { 0 }, own_indices = { 0 };
    if (y == NULL && indices == NULL) {
        return LATHE_OK;
    }
    if (y == NULL) {
        LT_TRY(lt_tensor_alloc(c->scratch, &own_y, x->dtype, indices->rank, indices->dims, "Y", c->diag));
        y = &own_y;
    }
    pool p = { .fold = fold_max, .integers = lt_dtype_is_integer(y->dtype), .dtype = y->dtype };
    p.column_major = lt_attr_i(c->attrs, c->n_attrs, "storage_order", 0) != 0;
    if (indices != NULL) {
        LT_TRY(lt_tensor_alloc(c->scratch, &own_indices, LATHE_DTYPE_I64, indices->rank, indices->dims, "Indices",
                               c->diag));
        p.indices = own_indices.data;
    }
    LT_TRY(run_pool(c, &p, y));
    for (int64_t i = 0; indices != NULL && i < lt_tensor_count(indices); i++) {
        lt_store_i64(LATHE_DTYPE_I64, indices->data, i, p.indices[i]);
    }
    return LATHE_OK;
}

static lathe_status eval_lp(lt_eval *c)
{
    pool p = { .fold = fold_lp, .power = (double)lt_attr_i(c->attrs, c->n_attrs, "p", 2) };
    return run_pool(c, &p, lt_out(c, 0));
}

static const lt_attr_spec average_attrs[] = {
    { "auto_pad", LATHE_ATTR_STRING, false },       { "ceil_mode", LATHE_ATTR_INT, false },
    { "count_include_pad", LATHE_ATTR_INT, false }, { "dilations", LATHE_ATTR_INTS, false },
    { "kernel_shape", LATHE_ATTR_INTS, true },      { "pads", LATHE_ATTR_INTS, false },
    { "strides", LATHE_ATTR_INTS, false },          { 0 },
};
static const lt_attr_spec max_attrs[] = {
    { "auto_pad", LATHE_ATTR_STRING, false }, { "ceil_mode", LATHE_ATTR_INT, false },
    { "dilations", LATHE_ATTR_INTS, false },  { "kernel_shape", LATHE_ATTR_INTS, true },
    { "pads", LATHE_ATTR_INTS, false },       { "storage_order", LATHE_ATTR_INT, false },
    { "strides", LATHE_ATTR_INTS, false },    { 0 },
};
static const lt_attr_spec lp_attrs[] = {
    { "auto_pad", LATHE_ATTR_STRING, false }, { "ceil_mode", LATHE_ATTR_INT, false },
    { "dilations", LATHE_ATTR_INTS, false },  { "kernel_shape", LATHE_ATTR_INTS, true },
    { "p", LATHE_ATTR_INT, false },           { "pads", LATHE_ATTR_INTS, false },
    { "strides", LATHE_ATTR_INTS, false },    { 0 },
};

static const char *const average_samples[] = {
    "f32[1,2,7,6] x = rand(1) | y = AveragePool <kernel_shape = [3,2], strides = [2,1], pads = [1,0,1,1]> (x)",
    "f32[1,2,7,6] x = rand(1) | y = AveragePool <kernel_shape = [3,2], strides = [2,2], pads = [1,0,0,1], "
    "count_include_pad = 1> (x)",
    "f32[1,1,7,6] x = rand(1) | y = AveragePool <kernel_shape = [3,3], strides = [2,2], ceil_mode = 1, "
    "count_include_pad = 1, pads = [1,1,1,1]> (x)",
    "f32[2,1,9] x = rand(1) | y = AveragePool <kernel_shape = [4], strides = [3], auto_pad = \"SAME_UPPER\"> (x)",
    "f32[1,2,6,5] x = rand(1) | y = AveragePool <kernel_shape = [2,3], strides = [2,2], auto_pad = \"SAME_LOWER\"> (x)",
    "f32[1,1,4,5,6] x = rand(1) | y = AveragePool <kernel_shape = [2,2,2], dilations = [1,2,3]> (x)",
    "f16[1,2,4,4] x = rand(1) | y = AveragePool <kernel_shape = [2,2]> (x)",
    "f64[1,2,4,4] x = rand(1) | y = AveragePool <kernel_shape = [2,2], strides = [2,2]> (x)",
    NULL,
};
static const char *const max_samples[] = {
    "f32[1,2,7,6] x = rand(1) | y, i = MaxPool <kernel_shape = [3,2], strides = [2,1], pads = [1,0,1,1]> (x)",
    "f32[2,2,5,6] x = rand(1) | y, i = MaxPool <kernel_shape = [3,3], strides = [2,2], ceil_mode = 1, storage_order = "
    "1> (x)",
    "f32[1,1,8,8] x = rand(1) | y = MaxPool <kernel_shape = [2,3], dilations = [3,2]> (x)",
    "f32[1,3,10] x = rand(1) | y = MaxPool <kernel_shape = [3], strides = [2], auto_pad = \"SAME_UPPER\"> (x)",
    "f32[1,2,5,5] x = rand(1) | y = MaxPool <kernel_shape = [2,2], strides = [2,2], auto_pad = \"SAME_LOWER\"> (x)",
    "f32[1,1,4,4,4] x = rand(1) | y = MaxPool <kernel_shape = [2,2,3]> (x)",
    "i8[1,2,5,5] x = rand(1) | y = MaxPool <kernel_shape = [2,2], pads = [1,1,0,0]> (x)",
    "u8[1,2,5,5] x = rand(1) | y = MaxPool <kernel_shape = [3,3]> (x)",
    "f16[1,2,5,5] x = rand(1) | y = MaxPool <kernel_shape = [3,3]> (x)",
    "f64[1,2,5,5] x = rand(1) | y = MaxPool <kernel_shape = [3,3]> (x)",
    NULL,
};
static const char *const lp_samples[] = {
    "f32[1,2,5,6] x = rand(1) | y = LpPool <kernel_shape = [2,3], strides = [2,1], pads = [1,0,0,1]> (x)",
    "f32[1,2,7] x = rand(1) | y = LpPool <kernel_shape = [3], p = 1> (x)",
    "f32[1,2,5,5] x = rand(1) | y = LpPool <kernel_shape = [2,2], p = 3> (x)",
    "f64[1,2,5,5] x = rand(1) | y = LpPool <kernel_shape = [2,2], strides = [2,2]> (x)",
    NULL,
};

LT_OPS(pool) = {
    { .name = "AveragePool",
      .since = 22,
      .traits = LT_OP_ROOT,
      .sig = "(T X) -> (T Y); T: float",
      .attrs = average_attrs,
      .infer = infer_pool,
      .eval = eval_average,
      .samples = average_samples },
    { .name = "MaxPool",
      .since = 22,
      .traits = LT_OP_ROOT,
      .sig = "(T X) -> (T Y, i64? Indices); T: float i8 u8",
      .attrs = max_attrs,
      .infer = infer_pool,
      .eval = eval_max,
      .samples = max_samples },
    { .name = "LpPool",
      .since = 22,
      .traits = LT_OP_ROOT,
      .sig = "(T X) -> (T Y); T: float",
      .attrs = lp_attrs,
      .infer = infer_lp_pool,
      .eval = eval_lp,
      .samples = lp_samples },
    { 0 },
};
