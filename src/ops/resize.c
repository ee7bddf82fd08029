/*
 * resize.c - Resize: extents and coordinates, and the nearest mode, which moves elements of any type. Interpolation
 * is in resize_taps.c.
 *
 * Coordinates are computed in f32, as ONNX Runtime does, because which neighbour is nearest depends on their
 * rounding.
 */
#include "ops/resize_internal.h"

#include <math.h>

static int pick(const lathe_attr *attrs, size_t n_attrs, const char *name, const char *const *names, int count,
                const char *otherwise)
{
    for (int k = 0; k < count; k++) {
        if (lt_attr_is(attrs, n_attrs, name, names[k], otherwise)) {
            return k;
        }
    }
    return -1;
}

/* Reads the attributes; false with the name of the one that has no meaning. */
static bool read_config(const lathe_attr *attrs, size_t n_attrs, lt_resize *r, const char **wrong)
{
    static const char *const modes[] = { "nearest", "linear", "cubic" };
    static const char *const coords[] = { "half_pixel",    "half_pixel_symmetric", "pytorch_half_pixel",
                                          "align_corners", "asymmetric",           "tf_crop_and_resize" };
    static const char *const nearest[] = { "round_prefer_floor", "round_prefer_ceil", "floor", "ceil" };
    static const char *const policies[] = { "stretch", "not_larger", "not_smaller" };
    const struct {
        const char *name;
        const char *const *names;
        int count, *out;
    } table[] = {
        { "mode", modes, 3, &r->mode },
        { "coordinate_transformation_mode", coords, 6, &r->coords },
        { "nearest_mode", nearest, 4, &r->nearest },
        { "keep_aspect_ratio_policy", policies, 3, &r->policy },
    };
    for (size_t k = 0; k < LT_COUNT(table); k++) {
        *table[k].out = pick(attrs, n_attrs, table[k].name, table[k].names, table[k].count, table[k].names[0]);
        if (*table[k].out < 0) {
            *wrong = table[k].name;
            return false;
        }
    }
    r->antialias = lt_attr_i(attrs, n_attrs, "antialias", 0) != 0;
    r->exclude_outside = lt_attr_i(attrs, n_attrs, "exclude_outside", 0) != 0;
    r->cubic_a = lt_attr_f(attrs, n_attrs, "cubic_coeff_a", -0.75f);
    r->extrapolation = lt_attr_f(attrs, n_attrs, "extrapolation_value", 0.0f);
    *wrong = "antialias";
    return !(r->antialias && r->mode == LT_RESIZE_NEAREST);
}

/* ---- Inference ---- */

/*
 * Is the input given and not empty? Before version 13 an empty tensor stood for an absent one, and models still do
 * that.
 */
static bool present(const lt_infer *c, int i)
{
    const lt_type *type = i < c->n_in ? c->in[i] : NULL;
    return type != NULL && !(type->rank == 1 && lt_dim_is(type->dims[0], 0));
}

/* Opset 11 wants scales that are empty where sizes count. Of an extent that nobody knows yet they may be that. */
static bool surely_full(const lt_infer *c, int i)
{
    return c->in[i]->rank == 1 && lt_dim_is_const(c->in[i]->dims[0]);
}

/* Extents beyond this are refused before they could leave the range of an integer. */
#define LARGEST_EXTENT 4e18f

/* Extents under a policy that keeps the aspect ratio; *scale is the common one. false when one is out of range. */
static bool keep_ratio(int policy, int n_axes, const int *axes, const int64_t *sizes, const int64_t *in, int64_t *out,
                       float *scale)
{
    *scale = 0.0f;
    for (int i = 0; i < n_axes; i++) {
        float s = (float)sizes[i] / (float)in[axes[i]];
        if (i == 0 || (policy == LT_RESIZE_NOT_LARGER ? s < *scale : s > *scale)) {
            *scale = s;
        }
    }
    for (int i = 0; i < n_axes; i++) {
        float extent = floorf(*scale * (float)in[axes[i]] + 0.5f);
        if (!(extent < LARGEST_EXTENT)) {
            return false;
        }
        out[axes[i]] = (int64_t)extent;
    }
    return true;
}

static lathe_status infer_from_sizes(lt_infer *c, const lt_resize *r, int n_axes, const int *axes, lt_dim *dims)
{
    lt_dim sizes[LT_CONTENTS_MAX];
    int64_t count, numbers[LATHE_MAX_RANK] = { 0 }, in[LATHE_MAX_RANK] = { 0 }, out[LATHE_MAX_RANK];
    bool known = true;
    float scale;
    LT_TRY(lt_move_length(c, 3, &count));
    if (count >= 0 && count != n_axes) {
        return lt_infer_fail(c, "%lld sizes for %d axes", (long long)count, n_axes);
    }
    LT_TRY(lt_infer_ints(c, 3, sizes, &count));
    for (int i = 0; i < n_axes; i++) {
        lt_dim size = count < 0 ? LT_UNKNOWN_DIM : sizes[i], d = dims[axes[i]];
        if (count >= 0 && lt_dim_is_const(size) && size.k < 0) {
            return lt_infer_fail(c, "size %lld is negative", (long long)size.k);
        }
        if (r->policy != LT_RESIZE_STRETCH && lt_dim_is(d, 0)) {
            return lt_infer_fail(c, "axis %d is empty and has no aspect ratio", axes[i]);
        }
        known = known && count >= 0 && lt_dim_is_const(size) && lt_dim_is_const(d);
        numbers[i] = size.k;
        in[axes[i]] = d.k;
        dims[axes[i]] = r->policy == LT_RESIZE_STRETCH ? size : LT_UNKNOWN_DIM;
    }
    if (r->policy != LT_RESIZE_STRETCH && known) {
        if (!keep_ratio(r->policy, n_axes, axes, numbers, in, out, &scale)) {
            return lt_infer_fail(c, "an extent is out of range");
        }
        for (int i = 0; i < n_axes; i++) {
            dims[axes[i]] = lt_dim_const(out[axes[i]]);
        }
    }
    return LATHE_OK;
}

static lathe_status infer_from_scales(lt_infer *c, int n_axes, const int *axes, lt_dim *dims)
{
    const lt_tensor *scales = c->values != NULL ? c->values[2] : NULL;
    int64_t length;
    LT_TRY(lt_move_length(c, 2, &length));
    if (length >= 0 && length != n_axes) {
        return lt_infer_fail(c, "%lld scales for %d axes", (long long)length, n_axes);
    }
    for (int i = 0; i < n_axes; i++) {
        lt_dim *d = &dims[axes[i]];
        if (scales == NULL) {
            *d = LT_UNKNOWN_DIM;
            continue;
        }
        float scale = (float)lt_load_f64(scales->dtype, scales->data, i);
        if (!(scale > 0.0f) || isinf(scale)) {
            return lt_infer_fail(c, "the scale of axis %d is not a positive number", axes[i]);
        }
        LT_TRY(lt_dim_fscale(c->dims, *d, scale, d, c->diag));
    }
    return LATHE_OK;
}

static lathe_status check_inputs(lt_infer *c, const lt_resize *r, int rank, int n_axes)
{
    int64_t length;
    lt_dtype_kind kind = lt_dtype_get(c->in[0]->dtype)->kind;
    if (!present(c, 2) && !present(c, 3)) {
        return lt_infer_fail(c, "neither scales nor sizes are given");
    }
    if (present(c, 2) && present(c, 3) && surely_full(c, 2)) {
        return lt_infer_fail(c, "exactly one of scales and sizes must be given");
    }
    if (r->mode != LT_RESIZE_NEAREST && (kind == LT_KIND_STRING || kind == LT_KIND_COMPLEX || kind == LT_KIND_BOOL)) {
        return lt_infer_fail(c, "elements of type %s cannot be interpolated", lathe_dtype_name(c->in[0]->dtype));
    }
    if (r->coords != LT_RESIZE_CROP) {
        return LATHE_OK;
    }
    if (!present(c, 1)) {
        return lt_infer_fail(c, "tf_crop_and_resize needs roi");
    }
    LT_TRY(lt_move_length(c, 1, &length));
    if (length >= 0 && rank >= 0 && length != 2 * n_axes) {
        return lt_infer_fail(c, "roi has %lld elements instead of %d", (long long)length, 2 * n_axes);
    }
    return LATHE_OK;
}

static lathe_status infer_resize(lt_infer *c)
{
    const lt_type *x = c->in[0];
    const char *wrong = NULL;
    lt_dim dims[LATHE_MAX_RANK];
    int axes[LATHE_MAX_RANK], n_axes = 0;
    lt_resize r;
    if (!read_config(c->attrs, c->n_attrs, &r, &wrong)) {
        return lt_infer_fail(c, "attribute %s has no valid value", wrong);
    }
    if (x->rank >= 0) {
        LT_TRY(lt_infer_axes(c, "axes", -1, x->rank, axes, &n_axes));
    }
    if (n_axes == 0) {
        for (; n_axes < x->rank; n_axes++) {
            axes[n_axes] = n_axes;
        }
    }
    LT_TRY(check_inputs(c, &r, x->rank, n_axes));
    if (x->rank < 0) {
        return lt_infer_out(c, 0, x->dtype, -1, NULL);
    }
    for (int k = 0; k < x->rank; k++) {
        dims[k] = x->dims[k];
    }
    if (present(c, 3)) {
        LT_TRY(infer_from_sizes(c, &r, n_axes, axes, dims));
    } else {
        LT_TRY(infer_from_scales(c, n_axes, axes, dims));
    }
    return lt_move_out(c, 0, x->dtype, x->rank, dims);
}

/* ---- Coordinates ---- */

float lt_resize_source(const lt_resize *r, const lt_resize_axis *a, int64_t i)
{
    float x = (float)i, in = (float)a->in, length = a->length;
    switch (r->coords) {
    case LT_RESIZE_ALIGN_CORNERS:
        return length == 1.0f ? 0.0f : x * (in - 1.0f) / (length - 1.0f);
    case LT_RESIZE_ASYMMETRIC:
        return x / a->scale;
    case LT_RESIZE_CROP:
        if (a->out > 1) {
            return a->roi_start * (in - 1.0f) + x * (a->roi_end - a->roi_start) * (in - 1.0f) / (float)(a->out - 1);
        }
        return 0.5f * (a->roi_start + a->roi_end) * (in - 1.0f);
    case LT_RESIZE_PYTORCH:
        return a->out > 1 ? (x + 0.5f) / a->scale - 0.5f : 0.0f;
    case LT_RESIZE_SYMMETRIC: {
        float adjustment = (float)a->out / length;
        return in / 2.0f * (1.0f - adjustment) + (x + 0.5f) / a->scale - 0.5f;
    }
    default:
        return (x + 0.5f) / a->scale - 0.5f;
    }
}

bool lt_resize_outside(const lt_resize *r, const lt_resize_axis *a, float x)
{
    return r->coords == LT_RESIZE_CROP && !(x >= 0.0f && x <= (float)(a->in - 1));
}

/* Scales, extents and regions of every axis of the real tensors. */
static lathe_status read_axes(lt_eval *c, lt_resize *r, const lt_tensor *x, const lt_tensor *y, lt_resize_axis *all)
{
    const lt_tensor *roi = lt_in(c, 1), *scales = lt_in(c, 2);
    const int64_t *sizes;
    int64_t n_sizes, ignored[LATHE_MAX_RANK];
    size_t n_axes;
    int axes[LATHE_MAX_RANK] = { 0 };
    const int64_t *given = lt_attr_ints(c->attrs, c->n_attrs, "axes", &n_axes);
    int n = n_axes > 0 ? (int)n_axes : x->rank;
    float common = 0.0f;
    LT_TRY(lt_eval_ints(c, 3, &sizes, &n_sizes));
    if (n_sizes > 0 ? n_sizes != n : scales == NULL || lt_tensor_count(scales) != n) {
        return lt_eval_fail(c, "scales or sizes must have %d elements", n);
    }
    for (int k = 0; k < x->rank; k++) {
        all[k] = (lt_resize_axis){
            .in = x->dims[k], .out = y->dims[k], .scale = 1.0f, .length = (float)y->dims[k], .roi_end = 1.0f
        };
    }
    for (int i = 0; i < n; i++) {
        axes[i] = n_axes > 0 ? (int)(given[i] < 0 ? given[i] + x->rank : given[i]) : i;
    }
    if (n_sizes > 0 && r->policy != LT_RESIZE_STRETCH) {
        LT_CHECK(c->diag, keep_ratio(r->policy, n, axes, sizes, x->dims, ignored, &common), c->where);
    }
    for (int i = 0; i < n; i++) {
        lt_resize_axis *a = &all[axes[i]];
        if (n_sizes > 0) {
            a->scale = r->policy != LT_RESIZE_STRETCH ? common : (float)sizes[i] / (float)a->in;
        } else {
            a->scale = (float)lt_load_f64(scales->dtype, scales->data, i);
        }
        if (n_sizes == 0 || r->coords == LT_RESIZE_SYMMETRIC) {
            a->length = a->scale * (float)a->in; /* the exact length, of which `out` is the whole part */
        }
        if (r->coords == LT_RESIZE_CROP) {
            a->roi_start = (float)lt_load_f64(roi->dtype, roi->data, i);
            a->roi_end = (float)lt_load_f64(roi->dtype, roi->data, i + n);
        }
    }
    return LATHE_OK;
}

/* ---- Nearest ---- */

static int64_t nearest_index(const lt_resize *r, float x)
{
    switch (r->nearest) {
    case LT_NEAREST_FLOOR:
        return (int64_t)floorf(x);
    case LT_NEAREST_CEIL:
        return (int64_t)ceilf(x);
    case LT_NEAREST_ROUND_CEIL:
        return (int64_t)floorf(x + 0.5f);
    default:
        return (int64_t)ceilf(x - 0.5f);
    }
}

static lathe_status eval_nearest(lt_eval *c, const lt_resize *r, const lt_resize_axis *all, const lt_tensor *x,
                                 lt_tensor *y)
{
    int64_t *maps[LATHE_MAX_RANK];
    union {
        lt_string string;
        char bytes[16];
    } fill = { .bytes = { 0 } };
    lt_dtype_kind kind = lt_dtype_get(y->dtype)->kind;
    if (kind == LT_KIND_COMPLEX) {
        lt_store_complex(y->dtype, fill.bytes, 0, (const double[2]){ r->extrapolation, 0.0 });
    } else if (kind != LT_KIND_STRING) {
        lt_store_f64(y->dtype, fill.bytes, 0, r->extrapolation);
    }
    for (int k = 0; k < y->rank; k++) {
        const lt_resize_axis *a = &all[k];
        maps[k] = lt_eval_scratch(c, a->out, sizeof(int64_t));
        if (maps[k] == NULL) {
            return LATHE_OUT_OF_MEMORY;
        }
        for (int64_t i = 0; i < a->out; i++) {
            float from = lt_resize_source(r, a, i);
            bool same = a->scale == 1.0f && a->in == a->out && r->coords != LT_RESIZE_CROP;
            int64_t index = same ? i : nearest_index(r, from);
            index = index < 0 ? 0 : index > a->in - 1 ? a->in - 1 : index;
            maps[k][i] = lt_resize_outside(r, a, from) ? -1 : index;
        }
    }
    lt_map_copy(x->rank, x->dims, y->dims, maps, lt_elem_bytes(x->dtype), x->data, y->data, fill.bytes);
    return lt_own_strings(c, y);
}

static lathe_status eval_resize(lt_eval *c)
{
    const lt_tensor *x = lt_in(c, 0);
    lt_tensor *y = lt_out(c, 0);
    const char *wrong;
    lt_resize_axis all[LATHE_MAX_RANK];
    lt_resize r;
    if (y == NULL || lt_tensor_count(y) == 0) {
        return LATHE_OK;
    }
    if (lt_tensor_count(x) == 0) {
        return lt_eval_fail(c, "an empty tensor cannot be resized to one with elements");
    }
    LT_CHECK(c->diag, read_config(c->attrs, c->n_attrs, &r, &wrong), c->where);
    LT_TRY(read_axes(c, &r, x, y, all));
    if (r.mode == LT_RESIZE_NEAREST) {
        return eval_nearest(c, &r, all, x, y);
    }
    return lt_resize_interpolate(c, &r, all, x, y);
}

static const lt_attr_spec attrs_resize[] = {
    { "antialias", LATHE_ATTR_INT, false },
    { "axes", LATHE_ATTR_INTS, false },
    { "coordinate_transformation_mode", LATHE_ATTR_STRING, false },
    { "cubic_coeff_a", LATHE_ATTR_FLOAT, false },
    { "exclude_outside", LATHE_ATTR_INT, false },
    { "extrapolation_value", LATHE_ATTR_FLOAT, false },
    { "keep_aspect_ratio_policy", LATHE_ATTR_STRING, false },
    { "mode", LATHE_ATTR_STRING, false },
    { "nearest_mode", LATHE_ATTR_STRING, false },
    { 0 },
};

static const char *const samples_resize[] = {
    "f32[1,2,3,4] x = rand(1), f32[4] s = {1.0, 1.0, 2.0, 1.5} | y = Resize (x, \"\", s)",
    "u8[1,1,2,2] x = iota, i64[4] s = {1, 1, 7, 8} | y = Resize <coordinate_transformation_mode = \"asymmetric\", "
    "nearest_mode = \"floor\"> "
    "(x, \"\", \"\", s)",
    "f32[1,2,4,5] x = rand(1), f32[2] s = {0.6, 2.5} | y = Resize <mode = \"linear\", axes = [-2, 3]> (x, \"\", s)",
    "f32[1,1,4,4] x = rand(1), i64[2] s = {9, 3} | y = Resize <mode = \"cubic\", axes = [2, 3], exclude_outside = 1, "
    "cubic_coeff_a = -0.5> "
    "(x, \"\", \"\", s)",
    "f32[1,1,6,5] x = rand(1), f32[4] s = {1.0, 1.0, 0.5, 0.6} | y = Resize <mode = \"linear\", antialias = 1> (x, "
    "\"\", s)",
    "f32[1,1,4,4] x = rand(1), f32[8] r = {0.0, 0.0, 0.4, 0.6, 1.0, 1.0, 1.2, 1.7}, i64[4] s = {1, 1, 3, 3} | "
    "y = Resize <mode = \"linear\", coordinate_transformation_mode = \"tf_crop_and_resize\", extrapolation_value = "
    "10.0> (x, r, \"\", s)",
    "f64[1,1,3,5] x = rand(1), i64[2] s = {7, 8} | y = Resize <mode = \"linear\", coordinate_transformation_mode = "
    "\"align_corners\", "
    "axes = [2, 3], keep_aspect_ratio_policy = \"not_larger\"> (x, \"\", \"\", s)",
    NULL,
};

LT_OPS(resize) = {
    {
        .name = "Resize",
        .since = 19,
        .traits = LT_OP_ROOT,
        .host_inputs = 1u << 1 | 1u << 2 | 1u << 3,
        .sig = "(T X, R? roi, f32? scales, i64? sizes) -> (T Y); T: " LT_PLAIN ", R: f16 f32 f64",
        .attrs = attrs_resize,
        .infer = infer_resize,
        .eval = eval_resize,
        .samples = samples_resize,
    },
    { 0 },
};
