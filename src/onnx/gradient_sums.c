/*
 * gradient_sums.c - derivatives of products of matrices, convolutions, reductions, softmax. Rows of gradient.c.
 */
#include "onnx/import_expand.h"

static const lt_value_id none = { 0, 0 };

static int64_t attr_i(lt_backward *b, const char *name, int64_t otherwise)
{
    return lt_attr_i(b->node->attrs, b->node->n_attrs, name, otherwise);
}

/* ---- Matrices ---- */

static lt_value_id turned(lt_backward *b, lt_value_id value)
{
    const lt_type *type = lt_expand_type(b->x, value, true);
    int64_t perm[LATHE_MAX_RANK];
    if (type == NULL) {
        return none;
    }
    for (int d = 0; d < type->rank; d++) {
        perm[d] = d < type->rank - 2 ? d : 2 * type->rank - 3 - d;
    }
    return lt_expand_transpose(b->x, value, perm, type->rank);
}

static lt_value_id with_axis(lt_backward *b, lt_value_id value, int64_t axis)
{
    return lt_expand_2(b->x, "Unsqueeze", value, lt_expand_ints(b->x, &axis, 1));
}

/* Vectors stand as one row or one column meanwhile. */
static void matmul(lt_backward *b)
{
    const lt_type *p = lt_expand_type(b->x, b->in[0], true), *q = lt_expand_type(b->x, b->in[1], true);
    if (p == NULL || q == NULL) {
        return;
    }
    bool row = p->rank == 1, column = q->rank == 1;
    lt_value_id left = row ? with_axis(b, b->in[0], 0) : b->in[0],
                right = column ? with_axis(b, b->in[1], 1) : b->in[1], dy = b->dy[0];
    dy = column ? with_axis(b, dy, -1) : dy;
    dy = row ? with_axis(b, dy, -2) : dy;
    for (int i = 0; i < 2; i++) {
        if (b->wanted[i]) {
            lt_value_id side = i == 0 ? left : right;
            lt_value_id part = i == 0 ? lt_expand_2(b->x, "MatMul", dy, turned(b, right))
                                      : lt_expand_2(b->x, "MatMul", turned(b, left), dy);
            part = lt_backward_sum_to(b, part, side);
            b->dx[i] =
                (i == 0 ? row : column) ? lt_expand_reshape(b->x, part, lt_expand_1(b->x, "Shape", b->in[i])) : part;
        }
    }
}

static lt_value_id gemm_node(lt_backward *b, lt_value_id p, lt_value_id q, bool turn_p, bool turn_q, float alpha)
{
    lathe_attr attrs[3] = {
        { .name = "transA", .kind = LATHE_ATTR_INT, .i = turn_p },
        { .name = "transB", .kind = LATHE_ATTR_INT, .i = turn_q },
        { .name = "alpha", .kind = LATHE_ATTR_FLOAT, .f = alpha },
    };
    lt_value_id inputs[2] = { p, q };
    return lt_expand_node(b->x, "Gemm", attrs, 3, inputs, 2);
}

static void gemm(lt_backward *b)
{
    bool turn_a = attr_i(b, "transA", 0) != 0, turn_b = attr_i(b, "transB", 0) != 0;
    float alpha = lt_attr_f(b->node->attrs, b->node->n_attrs, "alpha", 1.0f),
          beta = lt_attr_f(b->node->attrs, b->node->n_attrs, "beta", 1.0f);
    if (b->wanted[0]) {
        b->dx[0] = turn_a ? gemm_node(b, b->in[1], b->dy[0], turn_b, true, alpha)
                          : gemm_node(b, b->dy[0], b->in[1], false, !turn_b, alpha);
    }
    if (b->wanted[1]) {
        b->dx[1] = turn_b ? gemm_node(b, b->dy[0], b->in[0], true, turn_a, alpha)
                          : gemm_node(b, b->in[0], b->dy[0], !turn_a, false, alpha);
    }
    if (b->node->n_inputs > 2 && b->wanted[2]) {
        lt_value_id part =
            beta == 1.0f ? b->dy[0] : lt_expand_2(b->x, "Mul", b->dy[0], lt_expand_scalar(b->x, b->dy[0], beta));
        b->dx[2] = lt_backward_sum_to(b, part, b->in[2]);
    }
}

/* ---- Convolution ---- */

typedef struct window {
    int axes;
    int64_t groups, x[LATHE_MAX_RANK], w[LATHE_MAX_RANK], y[LATHE_MAX_RANK]; /* all extents */
    lt_window win;
} window;

static bool extents(lt_backward *b, lt_value_id value, int64_t *out)
{
    const lt_type *type = lt_expand_type(b->x, value, true);
    for (int d = 0; type != NULL && d < type->rank; d++) {
        if (!lt_dim_is_const(type->dims[d]) && d != 0) {
            lt_expand_fail(b->x, LATHE_UNSUPPORTED, "give the inputs of the model extents",
                           "Gradient: Conv needs known extents, all but the batch");
            return false;
        }
        out[d] = lt_dim_is_const(type->dims[d]) ? type->dims[d].k : -1;
    }
    return type != NULL;
}

static bool read_window(lt_backward *b, window *w)
{
    const lt_type *type = lt_expand_type(b->x, b->in[0], true);
    if (type == NULL || !extents(b, b->in[0], w->x) || !extents(b, b->in[1], w->w) || !extents(b, b->dy[0], w->y)) {
        return false;
    }
    w->axes = type->rank - 2;
    w->groups = attr_i(b, "group", 1);
    b->x->status = lt_window_read(b->node->attrs, b->node->n_attrs, w->axes, &w->w[2], &w->x[2], &w->win, b->x->where,
                                  b->x->import->diag);
    return lt_expand_ok(b->x);
}

/* Strides, dilations, pads and group as attributes. */
static size_t window_attrs(const window *w, const int64_t *strides, const int64_t *dilations, int64_t groups,
                           int64_t pads[2 * LATHE_MAX_RANK], lathe_attr out[4])
{
    size_t n = (size_t)w->axes;
    for (int d = 0; d < w->axes; d++) {
        pads[d] = w->win.begin[d];
        pads[w->axes + d] = w->win.end[d];
    }
    out[0] = (lathe_attr){ .name = "strides", .kind = LATHE_ATTR_INTS, .ints = strides, .count = n };
    out[1] = (lathe_attr){ .name = "dilations", .kind = LATHE_ATTR_INTS, .ints = dilations, .count = n };
    out[2] = (lathe_attr){ .name = "pads", .kind = LATHE_ATTR_INTS, .ints = pads, .count = 2 * n };
    out[3] = (lathe_attr){ .name = "group", .kind = LATHE_ATTR_INT, .i = groups };
    return 4;
}

/* The transposed convolution; output_padding makes up for elements behind the last window. */
static lt_value_id conv_input(lt_backward *b, const window *w)
{
    int64_t pads[2 * LATHE_MAX_RANK], rest[LATHE_MAX_RANK];
    lathe_attr attrs[5];
    lt_value_id inputs[2] = { b->dy[0], b->in[1] };
    size_t n = window_attrs(w, w->win.stride, w->win.dilation, w->groups, pads, attrs);
    for (int d = 0; d < w->axes; d++) {
        int64_t reach = (w->w[d + 2] - 1) * w->win.dilation[d] + 1;
        rest[d] = w->x[d + 2] + pads[d] + pads[w->axes + d] - reach - (w->y[d + 2] - 1) * w->win.stride[d];
    }
    attrs[n++] =
        (lathe_attr){ .name = "output_padding", .kind = LATHE_ATTR_INTS, .ints = rest, .count = (size_t)w->axes };
    return lt_expand_node(b->x, "ConvTranspose", attrs, n, inputs, 2);
}

/*
 * (N, G c, ...) as (c, G N, ...), or, for what stands as the weight, as (G c, N, ...): the batch becomes the channels
 * that a convolution with G groups sums over.
 */
static lt_value_id turn_batch(lt_backward *b, const window *w, lt_value_id value, const int64_t *extent, bool weight)
{
    int64_t apart[LATHE_MAX_RANK + 1], perm[LATHE_MAX_RANK + 1], joint[LATHE_MAX_RANK];
    int rank = w->axes + 3;
    apart[0] = -1;
    apart[1] = w->groups;
    apart[2] = extent[1] / w->groups;
    joint[0] = weight ? extent[1] : apart[2];
    joint[1] = -1;
    for (int d = 3; d < rank; d++) {
        apart[d] = joint[d - 1] = extent[d - 1];
        perm[d] = d;
    }
    perm[0] = weight ? 1 : 2;
    perm[1] = weight ? 2 : 1;
    perm[2] = 0;
    lt_value_id parts = lt_expand_2(b->x, "Reshape", value, lt_expand_ints(b->x, apart, (size_t)rank));
    return lt_expand_2(b->x, "Reshape", lt_expand_transpose(b->x, parts, perm, rank),
                       lt_expand_ints(b->x, joint, (size_t)rank - 1));
}

/* x convolved with dy, channels standing for the batch; what lies behind the kernel is cut off. */
static lt_value_id conv_weight(lt_backward *b, const window *w)
{
    int64_t pads[2 * LATHE_MAX_RANK], starts[LATHE_MAX_RANK] = { 0 }, axes[LATHE_MAX_RANK], back[LATHE_MAX_RANK];
    lathe_attr attrs[4];
    lt_backward_refuse(b, w->axes + 3 > LATHE_MAX_RANK, "with so many axes");
    if (!lt_expand_ok(b->x)) {
        return none;
    }
    lt_value_id inputs[2] = { turn_batch(b, w, b->in[0], w->x, false), turn_batch(b, w, b->dy[0], w->y, true) };
    size_t n = window_attrs(w, w->win.dilation, w->win.stride, w->groups, pads, attrs);
    lt_value_id wide = lt_expand_node(b->x, "Conv", attrs, n, inputs, 2);
    for (int d = 0; d < w->axes; d++) {
        axes[d] = d + 2;
    }
    for (int d = 0; d < w->axes + 2; d++) {
        back[d] = d < 2 ? 1 - d : d;
    }
    lt_value_id cut[4] = { wide, lt_expand_ints(b->x, starts, (size_t)w->axes),
                           lt_expand_ints(b->x, &w->w[2], (size_t)w->axes),
                           lt_expand_ints(b->x, axes, (size_t)w->axes) };
    return lt_expand_transpose(b->x, lt_expand_node(b->x, "Slice", NULL, 0, cut, 4), back, w->axes + 2);
}

static void conv(lt_backward *b)
{
    window w = { .axes = 0 };
    if (!read_window(b, &w)) {
        return;
    }
    b->dx[0] = b->wanted[0] ? conv_input(b, &w) : none;
    b->dx[1] = b->wanted[1] ? conv_weight(b, &w) : none;
    if (b->node->n_inputs > 2 && b->wanted[2]) {
        int64_t axes[LATHE_MAX_RANK];
        for (int d = 0; d < w.axes + 1; d++) {
            axes[d] = d == 0 ? 0 : d + 1;
        }
        b->dx[2] =
            lt_expand_int(b->x, "ReduceSum", "keepdims", 0, b->dy[0], lt_expand_ints(b->x, axes, (size_t)w.axes + 1));
    }
}

/* ---- Reductions ---- */

/* A result of the reduction with the axes back that it took away. */
static lt_value_id kept(lt_backward *b, lt_value_id value)
{
    const lt_type *x = lt_expand_type(b->x, b->in[0], true);
    bool has_axes = b->node->n_inputs > 1 && !lt_value_none(b->in[1]);
    const lt_type *axes = has_axes ? lt_expand_type(b->x, b->in[1], true) : NULL;
    int64_t ones[LATHE_MAX_RANK];
    if (x == NULL || attr_i(b, "keepdims", 1) != 0) {
        return value;
    }
    if (axes != NULL && !(axes->rank == 1 && lt_dim_is(axes->dims[0], 0))) {
        return lt_expand_2(b->x, "Unsqueeze", value, b->in[1]);
    }
    if (attr_i(b, "noop_with_empty_axes", 0) != 0) {
        return value;
    }
    for (int d = 0; d < x->rank; d++) {
        ones[d] = 1;
    }
    return lt_expand_reshape(b->x, value, lt_expand_ints(b->x, ones, (size_t)x->rank));
}

static lt_value_id spread(lt_backward *b, lt_value_id value)
{
    return lt_expand_2(b->x, "Expand", value, lt_expand_1(b->x, "Shape", b->in[0]));
}

static lt_value_id times(lt_backward *b, lt_value_id p, lt_value_id q)
{
    return lt_expand_2(b->x, "Mul", p, q);
}

static void reduce_sum(lt_backward *b)
{
    b->dx[0] = spread(b, kept(b, b->dy[0]));
}

static void reduce_mean(lt_backward *b)
{
    const lt_type *type = lt_expand_type(b->x, b->dy[0], false);
    lt_value_id all = lt_expand_1(b->x, "Size", b->in[0]), results = lt_expand_1(b->x, "Size", b->dy[0]);
    if (type != NULL) {
        lathe_dtype dtype = type->dtype;
        lt_value_id share =
            lt_expand_2(b->x, "Div", lt_expand_cast(b->x, results, dtype), lt_expand_cast(b->x, all, dtype));
        b->dx[0] = spread(b, times(b, kept(b, b->dy[0]), share));
    }
}

static void reduce_squares(lt_backward *b)
{
    b->dx[0] = times(b, times(b, b->in[0], lt_expand_scalar(b->x, b->dy[0], 2)), kept(b, b->dy[0]));
}

static void reduce_l1(lt_backward *b)
{
    b->dx[0] = times(b, lt_expand_1(b->x, "Sign", b->in[0]), kept(b, b->dy[0]));
}

static void reduce_l2(lt_backward *b)
{
    b->dx[0] = times(b, b->in[0], kept(b, lt_expand_2(b->x, "Div", b->dy[0], b->out[0])));
}

static void reduce_log_sum(lt_backward *b)
{
    b->dx[0] = spread(b, kept(b, lt_expand_2(b->x, "Div", b->dy[0], lt_expand_1(b->x, "Exp", b->out[0]))));
}

static void reduce_log_sum_exp(lt_backward *b)
{
    lt_value_id share = lt_expand_1(b->x, "Exp", lt_expand_2(b->x, "Sub", b->in[0], kept(b, b->out[0])));
    b->dx[0] = times(b, share, kept(b, b->dy[0]));
}

/* Elements that equal the result share the derivative. */
static void reduce_extreme(lt_backward *b)
{
    lathe_attr attrs[2] = {
        { .name = "keepdims", .kind = LATHE_ATTR_INT, .i = 1 },
        { .name = "noop_with_empty_axes", .kind = LATHE_ATTR_INT, .i = attr_i(b, "noop_with_empty_axes", 0) },
    };
    lt_value_id zero = lt_expand_scalar(b->x, b->dy[0], 0), one = lt_expand_scalar(b->x, b->dy[0], 1);
    lt_value_id won = lt_expand_3(b->x, "Where", lt_expand_2(b->x, "Equal", b->in[0], kept(b, b->out[0])), one, zero);
    lt_value_id inputs[2] = { won, b->node->n_inputs > 1 ? b->in[1] : none };
    lt_value_id winners = lt_expand_node(b->x, "ReduceSum", attrs, 2, inputs, lt_value_none(inputs[1]) ? 1 : 2);
    b->dx[0] = times(b, won, lt_expand_2(b->x, "Div", kept(b, b->dy[0]), winners));
}

/* ---- Softmax ---- */

static lt_value_id along_axis(lt_backward *b, lt_value_id value)
{
    int64_t axis = attr_i(b, "axis", -1);
    return lt_expand_int(b->x, "ReduceSum", "keepdims", 1, value, lt_expand_ints(b->x, &axis, 1));
}

static void softmax(lt_backward *b)
{
    lt_value_id weighted = along_axis(b, times(b, b->dy[0], b->out[0]));
    b->dx[0] = times(b, lt_expand_2(b->x, "Sub", b->dy[0], weighted), b->out[0]);
}

static void log_softmax(lt_backward *b)
{
    b->dx[0] =
        lt_expand_2(b->x, "Sub", b->dy[0], times(b, lt_expand_1(b->x, "Exp", b->out[0]), along_axis(b, b->dy[0])));
}

const lt_derivative lt_derivatives_sums[] = {
    { "MatMul", matmul },
    { "Gemm", gemm },
    { "Conv", conv },
    { "ReduceSum", reduce_sum },
    { "ReduceMean", reduce_mean },
    { "ReduceSumSquare", reduce_squares },
    { "ReduceL1", reduce_l1 },
    { "ReduceL2", reduce_l2 },
    { "ReduceLogSum", reduce_log_sum },
    { "ReduceLogSumExp", reduce_log_sum_exp },
    { "ReduceMax", reduce_extreme },
    { "ReduceMin", reduce_extreme },
    { "Softmax", softmax },
    { "LogSoftmax", log_softmax },
    { NULL, NULL },
};
