/*
 * conv_transpose.c - ConvTranspose, as the gather that it is the transpose of: output point o takes input point (o +
 * pad - tap * dilation) / stride wherever that division is exact.
 */
#include "ops/nn.h"

/* What the attributes say beyond the window: extra extent at the end, and the output's extents if they are given. */
typedef struct shape_attrs {
    int64_t extra[LATHE_MAX_RANK], given[LATHE_MAX_RANK];
    bool has_given, same, upper;
} shape_attrs;

static lathe_status read_list(const lathe_attr *attrs, size_t n_attrs, const char *name, int n, int64_t least,
                              int64_t *out, bool *has, const char *where, lathe_diag *diag)
{
    size_t count;
    const int64_t *ints = lt_attr_ints(attrs, n_attrs, name, &count);
    *has = count > 0;
    if (count > 0 && count != (size_t)n) {
        return LT_FAIL(diag, LATHE_BAD_MODEL, where, "give one entry for each axis behind batch and channels; pads take two",
                       "attribute '%s' has %zu entries where %d are needed", name,
                       count, n);
    }
    for (int i = 0; i < n; i++) {
        out[i] = *has ? ints[i] : 0;
        if (*has && (ints[i] < least || ints[i] > INT32_MAX)) {
            return LT_FAIL(diag, LATHE_BAD_MODEL, where, "kernels, strides and dilations are 1 or more; all are below 2^31",
                           "entry %d of attribute '%s' is %lld, out of range", i,
                           name, (long long)ints[i]);
        }
    }
    return LATHE_OK;
}

static lathe_status read_attrs(const lathe_attr *attrs, size_t n_attrs, int n, shape_attrs *out, const char *where,
                               lathe_diag *diag)
{
    bool has_extra;
    out->upper = lt_attr_is(attrs, n_attrs, "auto_pad", "SAME_UPPER", "NOTSET");
    out->same = out->upper || lt_attr_is(attrs, n_attrs, "auto_pad", "SAME_LOWER", "NOTSET");
    LT_TRY(read_list(attrs, n_attrs, "output_padding", n, 0, out->extra, &has_extra, where, diag));
    return read_list(attrs, n_attrs, "output_shape", n, 1, out->given, &out->has_given, where, diag);
}

/* Output extent of spatial axis i. */
static lathe_status infer_extent(lt_infer *c, const lt_window *win, const shape_attrs *sa, int i, lt_dim x,
                                 lt_dim kernel, lt_dim *out)
{
    if (sa->extra[i] > 0 && sa->extra[i] >= (win->stride[i] > win->dilation[i] ? win->stride[i] : win->dilation[i])) {
        return lt_infer_fail(c, "output_padding[%d] is %lld but stride and dilation are %lld and %lld", i,
                             (long long)sa->extra[i], (long long)win->stride[i], (long long)win->dilation[i]);
    }
    if (sa->has_given) {
        *out = lt_dim_const(sa->given[i]);
        return LATHE_OK;
    }
    lt_dim spread;
    LT_TRY(lt_dim_mul(c->dims, x, lt_dim_const(win->stride[i]), &spread, c->diag));
    if (sa->same) {
        *out = spread;
        return LATHE_OK;
    }
    /* stride * (x - 1) + extra + (kernel - 1) * dilation + 1 - begin - end */
    int64_t rest = sa->extra[i] - win->stride[i] - win->dilation[i] + 1 - win->begin[i] - win->end[i];
    lt_dim reach;
    LT_TRY(lt_dim_mul(c->dims, kernel, lt_dim_const(win->dilation[i]), &reach, c->diag));
    LT_TRY(lt_dim_add(c->dims, spread, reach, out, c->diag));
    LT_TRY(lt_dim_add(c->dims, *out, lt_dim_const(rest), out, c->diag));
    if (lt_dim_is_const(*out) && out->k < 0) {
        return lt_infer_fail(c, "padding of axis %d takes away more than there is: the output would have %lld elements",
                             i + 2, (long long)out->k);
    }
    return LATHE_OK;
}

static lathe_status infer_channels(lt_infer *c, const lt_type *x, const lt_type *w, lt_dim *filters)
{
    int64_t groups = lt_attr_i(c->attrs, c->n_attrs, "group", 1);
    if (groups < 1) {
        return lt_infer_fail(c, "attribute 'group' is %lld", (long long)groups);
    }
    if (lt_dim_is_const(x->dims[1]) && x->dims[1].k % groups != 0) {
        return lt_infer_fail(c, "%lld input channels do not divide into %lld groups", (long long)x->dims[1].k,
                             (long long)groups);
    }
    if (lt_dim_is_const(x->dims[1]) && lt_dim_is_const(w->dims[0]) && x->dims[1].k != w->dims[0].k) {
        return lt_infer_fail(c, "the input has %lld channels but the weight is for %lld", (long long)x->dims[1].k,
                             (long long)w->dims[0].k);
    }
    LT_TRY(lt_dim_mul(c->dims, w->dims[1], lt_dim_const(groups), filters, c->diag));
    return lt_nn_infer_vector(c, 2, *filters, "the number of filters");
}

static lathe_status infer_conv_transpose(lt_infer *c)
{
    if (!lt_infer_known_rank(c, 0) || !lt_infer_known_rank(c, 1)) {
        return lt_infer_out(c, 0, c->in[0]->dtype, -1, NULL);
    }
    const lt_type *x = c->in[0], *w = c->in[1];
    int n = x->rank - 2;
    if (n < 1 || w->rank != x->rank) {
        return lt_infer_fail(c, "the input has rank %d and the weight rank %d; both need the same, at least 3", x->rank,
                             w->rank);
    }
    lt_dim dims[LATHE_MAX_RANK];
    int64_t kernel[LATHE_MAX_RANK], extents[LATHE_MAX_RANK] = { 0 };
    size_t shaped;
    const int64_t *shape = lt_attr_ints(c->attrs, c->n_attrs, "kernel_shape", &shaped);
    for (int i = 0; i < n; i++) {
        kernel[i] = lt_dim_is_const(w->dims[i + 2]) ? w->dims[i + 2].k : shaped == (size_t)n ? shape[i] : 1;
    }
    lt_window win;
    shape_attrs sa;
    LT_TRY(lt_window_read(c->attrs, c->n_attrs, n, kernel, extents, &win, c->where, c->diag));
    LT_TRY(read_attrs(c->attrs, c->n_attrs, n, &sa, c->where, c->diag));
    dims[0] = x->dims[0];
    LT_TRY(infer_channels(c, x, w, &dims[1]));
    for (int i = 0; i < n; i++) {
        bool open = !lt_dim_is_const(w->dims[i + 2]) && shaped == 0;
        LT_TRY(infer_extent(c, &win, &sa, i, x->dims[i + 2], open ? w->dims[i + 2] : lt_dim_const(kernel[i]),
                            &dims[i + 2]));
    }
    return lt_infer_out(c, 0, x->dtype, x->rank, dims);
}

/* With output_shape or SAME_* the leading pads follow from the extents: what is too much is cut, half on each side. */
static lathe_status make_conv(lt_eval *c, lt_nn_conv *conv)
{
    LT_TRY(lt_nn_conv_make(c, lt_in(c, 0), lt_in(c, 1), lt_out(c, 0), conv));
    shape_attrs sa;
    lt_window *win = &conv->grid.win;
    LT_TRY(read_attrs(c->attrs, c->n_attrs, win->n, &sa, c->where, c->diag));
    conv->grid.transposed = true;
    for (int i = 0; i < win->n && (sa.same || sa.has_given); i++) {
        int64_t full =
            win->stride[i] * (conv->grid.in[i] - 1) + sa.extra[i] + (win->kernel[i] - 1) * win->dilation[i] + 1;
        int64_t total = full > conv->grid.out[i] ? full - conv->grid.out[i] : 0;
        win->begin[i] = sa.upper ? total / 2 : total - total / 2;
        win->end[i] = total - win->begin[i];
    }
    return LATHE_OK;
}

static lathe_status eval_conv_transpose(lt_eval *c)
{
    lt_nn_conv conv;
    LT_TRY(make_conv(c, &conv));
    return lt_nn_conv_real(c, &conv);
}

static lathe_status eval_conv_transpose_at(lt_eval *c, const int64_t *coords, void *out)
{
    lt_nn_conv conv;
    LT_TRY(make_conv(c, &conv));
    return lt_nn_conv_real_at(c, &conv, coords, out);
}

static const lt_attr_spec attrs[] = {
    { "auto_pad", LATHE_ATTR_STRING, false },
    { "dilations", LATHE_ATTR_INTS, false },
    { "group", LATHE_ATTR_INT, false },
    { "kernel_shape", LATHE_ATTR_INTS, false },
    { "output_padding", LATHE_ATTR_INTS, false },
    { "output_shape", LATHE_ATTR_INTS, false },
    { "pads", LATHE_ATTR_INTS, false },
    { "strides", LATHE_ATTR_INTS, false },
    { 0 },
};

static const char *const samples[] = {
    "f32[1,3,4,5] x = rand(1), f32[3,2,3,3] w = rand(2), f32[2] b = rand(3) | y = ConvTranspose <strides = [2,2], pads "
    "= [1,1,1,1], output_padding = [1,0]> (x, w, b)",
    "f32[2,4,3,3] x = rand(1), f32[4,3,2,3] w = rand(2) | y = ConvTranspose <group = 2, strides = [3,1], pads = "
    "[0,1,1,0]> (x, w)",
    "f32[1,2,5] x = rand(1), f32[2,3,4] w = rand(2) | y = ConvTranspose <strides = [2], auto_pad = \"SAME_UPPER\"> (x, "
    "w)",
    "f32[1,2,5] x = rand(1), f32[2,3,3] w = rand(2) | y = ConvTranspose <strides = [2], auto_pad = \"SAME_LOWER\"> (x, "
    "w)",
    "f32[1,2,3,3] x = rand(1), f32[2,1,3,3] w = rand(2) | y = ConvTranspose <strides = [3,2], output_shape = [10,8]> "
    "(x, w)",
    "f32[1,1,3,3] x = rand(1), f32[1,2,2,2] w = rand(2) | y = ConvTranspose <dilations = [2,3]> (x, w)",
    "f32[1,2,2,3,2] x = rand(1), f32[2,1,2,2,3] w = rand(2) | y = ConvTranspose <strides = [2,1,2]> (x, w)",
    "f16[1,2,3,3] x = rand(1), f16[2,2,2,2] w = rand(2), f16[2] b = rand(3) | y = ConvTranspose <strides = [2,2]> (x, "
    "w, b)",
    "f64[1,2,3,3] x = rand(1), f64[2,2,2,2] w = rand(2) | y = ConvTranspose (x, w)",
    NULL,
};

LT_OPS(conv_transpose) = {
    { .name = "ConvTranspose",
      .since = 22,
      .traits = LT_OP_ROOT,
      .sig = "(T X, T W, T? B) -> (T Y); T: float",
      .attrs = attrs,
      .infer = infer_conv_transpose,
      .eval = eval_conv_transpose,
      .eval_at = eval_conv_transpose_at,
      .samples = samples },
    { 0 },
};
