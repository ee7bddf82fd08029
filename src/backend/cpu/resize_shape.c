/*
 * resize_shape.c - reads Resize's attributes and extents and makes the tables of taps. Used by resize__each.c. Positions are computed in f32, as the
 * reference does, because which neighbour is nearest depends on their rounding.
 */
#include "backend/cpu/resize_shape.h"
#include "backend/cpu/product.h"
#include <math.h>

static int pick(const lathe_problem *p, const char *name, const char *const *names, int count)
{
    for (int k = 0; k < count; k++) {
        if (lt_attr_is(p->attrs, p->n_attrs, name, names[k], names[0])) {
            return k;
        }
    }
    return -1;
}

static bool stretches(const lathe_problem *p)
{
    return lt_attr_is(p->attrs, p->n_attrs, "keep_aspect_ratio_policy", "stretch", "stretch");
}

/* Scales (2) or sizes (3); NULL when absent, and when empty, which stood for that before version 13. */
static const lathe_operand *given(const lathe_problem *p, size_t slot, uint16_t *number)
{
    const lathe_operand *o = lt_root_operand(p, slot, number);
    return o && o->rank == 1 && o->dims[0].max == 0 ? NULL : o;
}

/* Place of an axis among those that scales and sizes speak of; -1 when it is none of them. */
static int place_of(const lathe_problem *p, int rank, int axis)
{
    size_t n;
    const int64_t *axes = lt_attr_ints(p->attrs, p->n_attrs, "axes", &n);
    for (size_t i = 0; i < n; i++) {
        if (axes[i] == axis || axes[i] + rank == axis) {
            return (int)i;
        }
    }
    return n == 0 ? axis : -1;
}

int lt_resize_fits(const lathe_problem *problem, lt_resize_form *form, lathe_fit *fit)
{
    static const char *const modes[] = { "nearest", "linear", "cubic" };
    static const char *const coords[] = { "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners",
                                          "asymmetric", "tf_crop_and_resize" };
    static const char *const nearest[] = { "round_prefer_floor", "round_prefer_ceil", "floor", "ceil" };
    const lathe_attr *attrs = problem->attrs;
    size_t n = problem->n_attrs;
    int mode = pick(problem, "mode", modes, 3), where = pick(problem, "coordinate_transformation_mode", coords, 6),
        rounding = pick(problem, "nearest_mode", nearest, 4);
    if (mode < 0 || where < 0 || rounding < 0 || !stretches(problem)) {
        return lt_no(fit, "keeps the aspect ratio");
    }
    *form = (lt_resize_form){ .taps = mode == 2 ? 4 : mode + 1,
                              .coords = where,
                              .nearest = rounding,
                              .exclude_outside = lt_attr_i(attrs, n, "exclude_outside", 0) != 0,
                              .antialias = lt_attr_i(attrs, n, "antialias", 0) != 0,
                              .cubic_a = lt_attr_f(attrs, n, "cubic_coeff_a", -0.75f),
                              .extrapolation = lt_attr_f(attrs, n, "extrapolation_value", 0.0f) };
    const lathe_operand *x = lt_root_operand(problem, 0, NULL), *y = &problem->out[0],
                        *scales = given(problem, 2, NULL), *sizes = given(problem, 3, NULL);
    if (!x || x->rank < 2 || y->rank != x->rank) {
        return lt_no(fit, "rank %d, at least 2 is needed", x ? x->rank : -1);
    }
    if (!scales == !sizes || (scales && scales->dtype != LATHE_DTYPE_F32) ||
        (sizes && sizes->dtype != LATHE_DTYPE_I64)) {
        return lt_no(fit, "neither scales nor sizes alone are given");
    }
    for (int i = 0; i < x->rank; i++) {
        if (x->dims[i].min < 1 && y->dims[i].min > 0) {
            return lt_no(fit, "axis %d may be empty", i);
        }
    }
    return 1;
}

/* Is it certain that a crop takes the whole axis? Up to this extent the positions are exact then. */
static bool takes_whole(const lathe_problem *p, int place, const lathe_extent *in)
{
    const lathe_operand *roi = lt_root_operand(p, 1, NULL);
    if (lt_attr_is(p->attrs, p->n_attrs, "coordinate_transformation_mode", "tf_crop_and_resize", "half_pixel") && roi) {
        int64_t n = roi->value ? roi->value->dims[0] / 2 : 0;
        return place < n && in->max <= 4096 && lt_load_f64(roi->dtype, roi->value->data, place) == 0 &&
               lt_load_f64(roi->dtype, roi->value->data, place + n) == 1;
    }
    return true;
}

bool lt_resize_keeps(const lathe_problem *problem, int axis)
{
    const lathe_operand *x = lt_root_operand(problem, 0, NULL), *y = &problem->out[0],
                        *scales = given(problem, 2, NULL);
    int place = place_of(problem, x->rank, axis);
    const lathe_extent *in = &x->dims[axis], *out = &y->dims[axis];
    if (place < 0) {
        return true;
    }
    if (!takes_whole(problem, place, in)) {
        return false;
    }
    if (scales) {
        return scales->value && place < scales->value->dims[0] &&
               lt_load_f64(LATHE_DTYPE_F32, scales->value->data, place) == 1.0;
    }
    return lt_extent_fixed(in) && lt_extent_fixed(out) && in->min == out->min;
}

lathe_status lt_resize_read(const lathe_call *call, const lt_resize_form *form, lt_resize_line *lines, lathe_diag *diag)
{
    const lathe_problem *p = call->problem;
    uint16_t nx, n_scales, n_sizes, n_roi = 0;
    bool by_scales = given(p, 2, &n_scales) != NULL;
    (void)lt_root_operand(p, 0, &nx);
    (void)lt_root_operand(p, 3, &n_sizes);
    const lathe_buffer *roi = form->coords == LT_COORDS_CROP && lt_root_operand(p, 1, &n_roi) ? &call->in[n_roi] : NULL;
    if (form->coords == LT_COORDS_CROP && (!roi || roi->rank != 1)) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, "Resize", NULL, "a crop without a region");
    }
    const lathe_buffer *x = &call->in[nx], *y = &call->out[0], *factors = &call->in[by_scales ? n_scales : n_sizes];
    if (x->rank != y->rank || !lt_extents_sane(x->rank, x->dims) || !lt_extents_sane(y->rank, y->dims) ||
        factors->rank != 1) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, "Resize", NULL, "operands of ranks %d, %d, %d", x->rank, y->rank,
                       factors->rank);
    }
    for (int k = 0; k < x->rank; k++) {
        lt_resize_line *l = &lines[k];
        int place = place_of(p, x->rank, k);
        *l = (lt_resize_line){ .in = x->dims[k], .out = y->dims[k], .scale = 1, .length = (float)y->dims[k] };
        if (place >= factors->dims[0] || l->in > INT32_MAX || l->in < 1) {
            return LT_FAIL(diag, LATHE_BAD_SHAPE, "Resize", NULL, "axis %d cannot be resized", k);
        }
        if (place >= 0) {
            l->scale =
                by_scales ? (float)lt_load_f64(LATHE_DTYPE_F32, factors->data, place) : (float)l->out / (float)l->in;
            if (by_scales || form->coords == LT_COORDS_SYMMETRIC) {
                l->length = l->scale * (float)l->in;
            }
        }
        if (roi && place >= 0) {
            if (place >= roi->dims[0] / 2) {
                return LT_FAIL(diag, LATHE_BAD_SHAPE, "Resize", NULL, "a region of %lld numbers", (long long)roi->dims[0]);
            }
            l->roi_start = (float)lt_load_f64(p->in[n_roi].dtype, roi->data, place);
            l->roi_end = (float)lt_load_f64(p->in[n_roi].dtype, roi->data, place + roi->dims[0] / 2);
        }
        l->same = l->scale == 1.0f && l->in == l->out &&
                  (!roi || place < 0 || (l->roi_start == 0 && l->roi_end == 1 && l->in <= 4096));
    }
    return LATHE_OK;
}

/* Position in the input of output element i. */
static float position(const lt_resize_form *form, const lt_resize_line *l, int64_t i)
{
    float x = (float)i, in = (float)l->in;
    switch (form->coords) {
    case LT_COORDS_CORNERS:
        return l->length == 1.0f ? 0.0f : x * (in - 1.0f) / (l->length - 1.0f);
    case LT_COORDS_ASYMMETRIC:
        return x / l->scale;
    case LT_COORDS_PYTORCH:
        return l->out > 1 ? (x + 0.5f) / l->scale - 0.5f : 0.0f;
    case LT_COORDS_CROP:
        if (l->out > 1) {
            return l->roi_start * (in - 1.0f) + x * (l->roi_end - l->roi_start) * (in - 1.0f) / (float)(l->out - 1);
        }
        return 0.5f * (l->roi_start + l->roi_end) * (in - 1.0f);
    case LT_COORDS_SYMMETRIC:
        return in / 2.0f * (1.0f - (float)l->out / l->length) + (x + 0.5f) / l->scale - 0.5f;
    default:
        return (x + 0.5f) / l->scale - 0.5f;
    }
}

static int64_t nearest_index(const lt_resize_form *form, float x)
{
    switch (form->nearest) {
    case LT_FLOOR:
        return (int64_t)floorf(x);
    case LT_CEIL:
        return (int64_t)ceilf(x);
    case LT_ROUND_CEIL:
        return (int64_t)floorf(x + 0.5f);
    default:
        return (int64_t)ceilf(x - 0.5f);
    }
}

static double weight_of(const lt_resize_form *form, double x)
{
    double a = form->cubic_a;
    x = fabs(x);
    if (form->taps == 2) {
        return x < 1.0 ? 1.0 - x : 0.0;
    }
    if (x <= 1.0) {
        return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
    }
    return x < 2.0 ? ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a : 0.0;
}

size_t lt_resize_line_bytes(int64_t out)
{
    return ((size_t)out * LT_RESIZE_TAPS * (sizeof(int32_t) + sizeof(float)) + 63) / 64 * 64;
}

static lathe_status no_position(lathe_diag *diag)
{
    return LT_FAIL(diag, LATHE_BAD_SHAPE, "Resize", NULL, "scales put an element at no finite position");
}

lathe_status lt_resize_nearest(const lt_resize_form *form, const lt_resize_line *line, int64_t *index, lathe_diag *diag)
{
    for (int64_t i = 0; i < line->out; i++) {
        float x = line->same ? 0.0f : position(form, line, i);
        if (!(x > -1e15f && x < 1e15f)) {
            return no_position(diag);
        }
        int64_t at = line->same ? i : nearest_index(form, x);
        index[i] = at < 0 ? 0 : at >= line->in ? line->in - 1 : at;
    }
    return LATHE_OK;
}

lathe_status lt_resize_fill(const lt_resize_form *form, lt_resize_line *line, lathe_diag *diag)
{
    for (int64_t i = 0; !line->same && i < line->out; i++) {
        float x = position(form, line, i);
        double weights[LT_RESIZE_TAPS], sum = 0;
        if (!(x > -1e15f && x < 1e15f)) {
            return no_position(diag);
        }
        int64_t first = (int64_t)floorf(x) - form->taps / 2 + 1;
        for (int k = 0; k < form->taps; k++) {
            int64_t at = first + k;
            bool inside = at >= 0 && at < line->in;
            weights[k] = form->exclude_outside && !inside ? 0.0 : weight_of(form, (double)at - (double)x);
            sum += weights[k];
            line->index[k * line->out + i] = (int32_t)(at < 0 ? 0 : at >= line->in ? line->in - 1 : at);
        }
        for (int k = 0; k < form->taps; k++) {
            line->weight[k * line->out + i] =
                (float)(form->exclude_outside && sum != 0.0 ? weights[k] / sum : weights[k]);
        }
    }
    return LATHE_OK;
}

/* ---- Lists ---- */

/* Entries of an axis at most: antialiasing widens the kernel by in / out, and scales may be smaller than that by one element. */
static int64_t list_room(const lt_resize_form *form, int64_t in, int64_t out)
{
    int64_t reach = form->taps / 2;
    return 2 * (reach + 2) * out + (form->antialias ? (2 * reach + 1) * in : 0);
}

static size_t align64(size_t n)
{
    return (n + 63) / 64 * 64;
}

size_t lt_resize_list_bytes(const lt_resize_form *form, int64_t in, int64_t out)
{
    size_t room = (size_t)list_room(form, in, out), n = (size_t)out + 1;
    return 2 * align64(room * sizeof(float)) + align64(n * sizeof(int32_t)) + align64(n);
}

/* The weights of one output element behind entry `used`; the number of entries then, -1 when there is no room. */
static int64_t append(const lt_resize_form *form, const lt_resize_line *l, float x, const lt_resize_list *list,
                      int64_t used, int64_t room)
{
    double stretch = form->antialias && l->scale < 1.0f ? 1.0 / (double)l->scale : 1.0, sum = 0;
    int64_t half = (int64_t)ceil(form->taps / 2 * stretch), first = (int64_t)floorf(x) - half + 1;
    bool normalize = form->exclude_outside || stretch != 1.0;
    for (int pass = 0; pass < 2; pass++) { /* the first one finds the sum */
        for (int64_t k = 0; k < 2 * half; k++) {
            int64_t at = first + k;
            bool inside = at >= 0 && at < l->in;
            double w = form->exclude_outside && !inside ? 0.0 : weight_of(form, ((double)at - (double)x) / stretch);
            if (pass == 0) {
                sum += w;
            } else if (w != 0) {
                if (used >= room) {
                    return -1;
                }
                list->index[used] = (int32_t)(at < 0 ? 0 : at >= l->in ? l->in - 1 : at);
                list->weight[used++] = (float)(normalize && sum != 0.0 ? w / sum : w);
            }
        }
    }
    return used;
}

lathe_status lt_resize_fill_list(const lt_resize_form *form, const lt_resize_line *l, void *memory,
                                 lt_resize_list *list, lathe_diag *diag)
{
    int64_t room = list_room(form, l->in, l->out), used = 0;
    size_t part = align64((size_t)room * sizeof(float));
    char *at = memory;
    list->index = (int32_t *)(void *)at;
    list->weight = (float *)(void *)(at + part);
    list->start = (int32_t *)(void *)(at + 2 * part);
    list->outside = (uint8_t *)(at + 2 * part + align64(((size_t)l->out + 1) * sizeof(int32_t)));
    if (room > INT32_MAX) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, "Resize", NULL, "an axis of %lld elements", (long long)l->in);
    }
    for (int64_t i = 0; i < l->out; i++) {
        float x = l->same ? (float)i : position(form, l, i);
        if (!(x > -1e15f && x < 1e15f)) {
            return no_position(diag);
        }
        list->start[i] = (int32_t)used;
        list->outside[i] = !l->same && form->coords == LT_COORDS_CROP && !(x >= 0.0f && x <= (float)(l->in - 1));
        if (l->same) {
            list->index[used] = (int32_t)i;
            list->weight[used++] = 1;
        } else if (!list->outside[i]) {
            used = append(form, l, x, list, used, room);
        }
        if (used < 0) {
            return LT_FAIL(diag, LATHE_BAD_SHAPE, "Resize", NULL, "scales do not fit the extents");
        }
    }
    list->start[l->out] = (int32_t)used;
    return LATHE_OK;
}
