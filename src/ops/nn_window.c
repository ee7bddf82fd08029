/*
 * nn_window.c - where a sliding window reads: symbolic output extents, and for evaluation the place in the input plane
 * of each tap of each output point. Used by convolution and pooling.
 */
#include "ops/nn.h"

const lt_attr_spec lt_nn_conv_attrs[] = {
    { "auto_pad", LATHE_ATTR_STRING, false },
    { "dilations", LATHE_ATTR_INTS, false },
    { "group", LATHE_ATTR_INT, false },
    { "kernel_shape", LATHE_ATTR_INTS, false },
    { "pads", LATHE_ATTR_INTS, false },
    { "strides", LATHE_ATTR_INTS, false },
    { 0 },
};

/* a * x + b */
static lathe_status linear(lt_infer *c, lt_dim x, int64_t a, int64_t b, lt_dim *out)
{
    LT_TRY(lt_dim_mul(c->dims, x, lt_dim_const(a), out, c->diag));
    return lt_dim_add(c->dims, *out, lt_dim_const(b), out, c->diag);
}

/*
 * Points of one axis with explicit pads. In ceil_mode a last window that would start behind x and its leading pad is
 * dropped, as the specification of the pools says.
 */
static lathe_status count_points(lt_infer *c, const lt_window *win, int i, lt_dim x, lt_dim kernel, bool ceil_mode,
                                 lt_dim *out)
{
    lt_dim reach, room, last;
    LT_TRY(linear(c, kernel, win->dilation[i], 1 - win->dilation[i], &reach));
    LT_TRY(linear(c, x, 1, win->begin[i] + win->end[i], &room));
    LT_TRY(lt_dim_sub(c->dims, room, reach, &room, c->diag));
    if (lt_dim_is_const(room) && room.k < 0) {
        return lt_infer_fail(
            c, "a window that reaches over %lld elements does not fit axis %d with its padding: it is %lld too large",
            (long long)(lt_dim_is_const(reach) ? reach.k : 0), i + 2, (long long)-room.k);
    }
    lt_dim stride = lt_dim_const(win->stride[i]);
    LT_TRY(lt_dim_make(c->dims, ceil_mode ? LT_DIM_CEILDIV : LT_DIM_FLOORDIV, room, stride, &last, c->diag));
    LT_TRY(linear(c, last, 1, 1, out));
    if (ceil_mode && win->stride[i] > 1) {
        lt_dim start, end, drop;
        LT_TRY(linear(c, last, win->stride[i], 0, &start));
        LT_TRY(linear(c, x, 1, win->begin[i], &end));
        LT_TRY(lt_dim_make(c->dims, LT_DIM_LE, end, start, &drop, c->diag));
        LT_TRY(lt_dim_sub(c->dims, *out, drop, out, c->diag));
    }
    return LATHE_OK;
}

lathe_status lt_nn_window_infer(lt_infer *c, const lt_type *x, const lt_dim *kernel, bool ceil_mode, lt_dim *out)
{
    int n = x->rank - 2;
    int64_t extents[LATHE_MAX_RANK], taps[LATHE_MAX_RANK];
    size_t shaped = 0;
    const int64_t *shape = lt_attr_ints(c->attrs, c->n_attrs, "kernel_shape", &shaped);
    bool same = lt_attr_is(c->attrs, c->n_attrs, "auto_pad", "SAME_UPPER", "NOTSET") ||
                lt_attr_is(c->attrs, c->n_attrs, "auto_pad", "SAME_LOWER", "NOTSET");
    if (n < 1) {
        return lt_infer_fail(c, "input 0 has rank %d; batch, channels and at least one spatial axis are needed",
                             x->rank);
    }
    for (int i = 0; i < n; i++) {
        extents[i] = lt_dim_is_const(x->dims[i + 2]) ? x->dims[i + 2].k : 0;
        taps[i] = kernel != NULL && lt_dim_is_const(kernel[i]) ? kernel[i].k : shaped == (size_t)n ? shape[i] : 1;
    }
    lt_window win;
    LT_TRY(lt_window_read(c->attrs, c->n_attrs, n, kernel != NULL ? taps : NULL, extents, &win, c->where, c->diag));
    for (int i = 0; i < n; i++) {
        bool open = kernel != NULL && !lt_dim_is_const(kernel[i]) && shaped == 0;
        if (same) {
            LT_TRY(lt_dim_make(c->dims, LT_DIM_CEILDIV, x->dims[i + 2], lt_dim_const(win.stride[i]), &out[i], c->diag));
        } else {
            LT_TRY(count_points(c, &win, i, x->dims[i + 2], open ? kernel[i] : lt_dim_const(win.kernel[i]), ceil_mode,
                                &out[i]));
        }
    }
    return LATHE_OK;
}

lathe_status lt_nn_grid_make(lt_eval *c, const lt_tensor *x, const lt_tensor *y, const int64_t *kernel, lt_nn_grid *out)
{
    int n = x->rank - 2;
    *out = (lt_nn_grid){ .taps = 1, .points = 1, .plane = 1 };
    LT_TRY(lt_window_read(c->attrs, c->n_attrs, n, kernel, &x->dims[2], &out->win, c->where, c->diag));
    for (int i = 0; i < n; i++) {
        out->in[i] = x->dims[i + 2];
        out->out[i] = y->dims[i + 2];
        if (!lt_i64_mul(out->taps, out->win.kernel[i], &out->taps) ||
            !lt_i64_mul(out->points, out->out[i], &out->points) || !lt_i64_mul(out->plane, out->in[i], &out->plane)) {
            return LT_FAIL(c->diag, LATHE_OVERFLOW, c->where, NULL, "%s: the size of a window overflows", c->op->name);
        }
    }
    int64_t bytes;
    if (!lt_i64_mul(out->taps, (int64_t)(LT_NN_COLS * sizeof(int64_t)), &bytes)) {
        return LT_FAIL(c->diag, LATHE_OVERFLOW, c->where, NULL, "%s: the size of a window overflows", c->op->name);
    }
    return LATHE_OK;
}

/* Place on one axis that `tap` reads for output coordinate `at`, or one of the negative answers. */
static int64_t place(const lt_nn_grid *grid, int i, int64_t at, int64_t tap)
{
    const lt_window *win = &grid->win;
    if (grid->transposed) {
        int64_t scaled = at + win->begin[i] - tap * win->dilation[i];
        int64_t index = scaled / win->stride[i];
        return scaled >= 0 && scaled % win->stride[i] == 0 && index < grid->in[i] ? index : LT_NN_PAD;
    }
    int64_t index = at * win->stride[i] - win->begin[i] + tap * win->dilation[i];
    if (index >= 0 && index < grid->in[i]) {
        return index;
    }
    return index < grid->in[i] + win->end[i] ? LT_NN_PAD : LT_NN_OUTSIDE;
}

/*
 * Adds axis i to the offsets of all taps and points; taps and points are numbered row-major, `tap_step` and
 * `point_step` apart on this axis.
 */
static void add_axis(const lt_nn_grid *grid, int i, int64_t tap_step, int64_t point_step, int64_t first, int64_t count,
                     int64_t *offsets)
{
    for (int64_t t = 0; t < grid->taps; t++) {
        int64_t tap = t / tap_step % grid->win.kernel[i];
        int64_t *row = &offsets[t * LT_NN_COLS];
        for (int64_t j = 0; j < count; j++) {
            int64_t at = (first + j) / point_step % grid->out[i];
            int64_t index = row[j] < LT_NN_PAD ? LT_NN_OUTSIDE : place(grid, i, at, tap);
            if (index < 0 || row[j] < 0) {
                row[j] = index < LT_NN_PAD ? LT_NN_OUTSIDE : LT_NN_PAD;
            } else {
                row[j] = row[j] * grid->in[i] + index;
            }
        }
    }
}

void lt_nn_grid_offsets(const lt_nn_grid *grid, int64_t first, int64_t count, int64_t *offsets)
{
    int64_t tap_step = grid->taps, point_step = grid->points;
    for (int64_t t = 0; t < grid->taps * LT_NN_COLS; t++) {
        offsets[t] = 0;
    }
    for (int i = 0; i < grid->win.n; i++) {
        tap_step /= grid->win.kernel[i];
        point_step /= grid->out[i];
        add_axis(grid, i, tap_step, point_step, first, count, offsets);
    }
}
