/*
 * window.c - the spatial attributes that convolution and pooling share: kernel_shape, strides, dilations, pads,
 * auto_pad. Used by their inference and evaluation and by kernels. ONNX's formulas; extents are numbers here.
 */
#include "ops/ops.h"

/* Copies an INTS attribute of `count` entries, each at least `least`, or fills with `otherwise`. */
static lathe_status read_ints(const lathe_attr *attrs, size_t n_attrs, const char *name, int count, int64_t least,
                              int64_t otherwise, int64_t *out, const char *where, lathe_diag *diag)
{
    size_t given = 0;
    const int64_t *ints = lt_attr_ints(attrs, n_attrs, name, &given);
    if (ints == NULL || given == 0) {
        for (int i = 0; i < count; i++) {
            out[i] = otherwise;
        }
        return LATHE_OK;
    }
    if (given != (size_t)count) {
        return LT_FAIL(diag, LATHE_BAD_MODEL, where, "give one entry for each axis behind batch and channels; pads take two",
                       "attribute '%s' has %zu entries where %d are needed", name,
                       given, count);
    }
    for (int i = 0; i < count; i++) {
        if (ints[i] < least || ints[i] > INT32_MAX) {
            return LT_FAIL(diag, LATHE_BAD_MODEL, where, "kernels, strides and dilations are 1 or more; all are below 2^31",
                           "entry %d of attribute '%s' is %lld, out of range", i,
                           name, (long long)ints[i]);
        }
        out[i] = ints[i];
    }
    return LATHE_OK;
}

/*
 * SAME_UPPER and SAME_LOWER: the output has ceil(x / stride) points; the odd pad goes to the end or to the beginning.
 */
static lathe_status same_pads(int i, int64_t x, bool upper, lt_window *w, const char *where, lathe_diag *diag)
{
    if (x < 0) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, where, NULL, "spatial extent %d is negative", i);
    }
    int64_t reach = (w->kernel[i] - 1) * w->dilation[i] + 1; /* each factor is below 2^31 */
    int64_t points = lt_ceil_div(x, w->stride[i]);
    int64_t covered = 0, total = 0;
    if (!lt_i64_mul(points > 0 ? points - 1 : 0, w->stride[i], &covered) || !lt_i64_add(covered, reach, &covered)) {
        return LT_FAIL(diag, LATHE_OVERFLOW, where, NULL, "padding of spatial axis %d overflows", i);
    }
    total = covered > x ? covered - x : 0;
    w->begin[i] = upper ? total / 2 : total - total / 2;
    w->end[i] = total - w->begin[i];
    return LATHE_OK;
}

static lathe_status read_pads(const lathe_attr *attrs, size_t n_attrs, const int64_t *x_spatial, lt_window *w,
                              const char *where, lathe_diag *diag)
{
    bool upper = lt_attr_is(attrs, n_attrs, "auto_pad", "SAME_UPPER", "NOTSET");
    bool lower = lt_attr_is(attrs, n_attrs, "auto_pad", "SAME_LOWER", "NOTSET");
    bool valid = lt_attr_is(attrs, n_attrs, "auto_pad", "VALID", "NOTSET");
    if (upper || lower) {
        if (x_spatial == NULL) {
            return LT_FAIL(diag, LATHE_UNSUPPORTED, where, "give the spatial axes fixed extents or write explicit pads",
                           "auto_pad SAME_UPPER and SAME_LOWER need spatial extents that are known");
        }
        for (int i = 0; i < w->n; i++) {
            LT_TRY(same_pads(i, x_spatial[i], upper, w, where, diag));
        }
        return LATHE_OK;
    }
    if (!valid && !lt_attr_is(attrs, n_attrs, "auto_pad", "NOTSET", "NOTSET") &&
        !lt_attr_is(attrs, n_attrs, "auto_pad", "", "NOTSET")) {
        return LT_FAIL(diag, LATHE_BAD_MODEL, where, "use NOTSET, VALID, SAME_UPPER or SAME_LOWER",
                       "attribute 'auto_pad' has an unknown value");
    }
    int64_t pads[2 * LATHE_MAX_RANK];
    LT_TRY(read_ints(attrs, n_attrs, "pads", 2 * w->n, 0, 0, pads, where, diag));
    for (int i = 0; i < w->n; i++) {
        w->begin[i] = valid ? 0 : pads[i];
        w->end[i] = valid ? 0 : pads[w->n + i];
    }
    return LATHE_OK;
}

lathe_status lt_window_read(const lathe_attr *attrs, size_t n_attrs, int n_spatial, const int64_t *kernel,
                            const int64_t *x_spatial, lt_window *out, const char *where, lathe_diag *diag)
{
    *out = (lt_window){ .n = n_spatial };
    if (n_spatial < 0 || n_spatial > LATHE_MAX_RANK) {
        return LT_FAIL(diag, LATHE_BAD_MODEL, where, "the input needs axes for batch and channels, and at least one behind them",
                       "%d spatial axes", n_spatial);
    }
    size_t given = 0;
    if (kernel == NULL && lt_attr_ints(attrs, n_attrs, "kernel_shape", &given) == NULL && n_spatial > 0) {
        return LT_FAIL(diag, LATHE_BAD_MODEL, where, "give the extents of the window", "attribute 'kernel_shape' is missing");
    }
    LT_TRY(read_ints(attrs, n_attrs, "kernel_shape", n_spatial, 1, 1, out->kernel, where, diag));
    lt_attr_ints(attrs, n_attrs, "kernel_shape", &given);
    for (int i = 0; i < n_spatial && kernel != NULL; i++) {
        if (given > 0 && out->kernel[i] != kernel[i]) {
            return LT_FAIL(diag, LATHE_BAD_MODEL, where, "remove kernel_shape: the weight says it",
                           "kernel_shape[%d] is %lld but the weight has %lld", i,
                           (long long)out->kernel[i], (long long)kernel[i]);
        }
        if (kernel[i] < 1 || kernel[i] > INT32_MAX) {
            return LT_FAIL(diag, LATHE_BAD_MODEL, where, "a kernel has at least one element along each axis, and less than 2^31",
                           "the kernel's extent %d is %lld", i,
                           (long long)kernel[i]);
        }
        out->kernel[i] = kernel[i];
    }
    LT_TRY(read_ints(attrs, n_attrs, "strides", n_spatial, 1, 1, out->stride, where, diag));
    LT_TRY(read_ints(attrs, n_attrs, "dilations", n_spatial, 1, 1, out->dilation, where, diag));
    return read_pads(attrs, n_attrs, x_spatial, out, where, diag);
}
