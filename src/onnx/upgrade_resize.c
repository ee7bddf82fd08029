/*
 * upgrade_resize.c - Upsample and the first Resize become today's Resize: scales as inputs, where pixels are taken
 * from.
 *
 * Resize-10 (and Upsample) placed output pixel i at i / scale and, for "nearest", took the pixel below when it enlarged
 * and the pixel above when it reduced an axis. Today one rounding holds for all axes, so a node that may do both
 * becomes two.
 */
#include "onnx/onnx_internal.h"

static lathe_status upsample_scales(lt_upgrade_call *call, lathe_diag *diag)
{
    const lathe_attr *height = lt_up_attr(call, "height_scale"), *width = lt_up_attr(call, "width_scale");
    if (height == NULL || width == NULL) {
        return LT_FAIL(diag, LATHE_BAD_MODEL, call->where, NULL, "height_scale or width_scale is missing");
    }
    float *scales = LT_ARENA_ARRAY(call->arena, float, 4);
    if (scales == NULL) {
        return LT_OOM(diag);
    }
    scales[0] = scales[1] = 1;
    scales[2] = height->f;
    scales[3] = width->f;
    lathe_attr attr = { .name = "scales", .kind = LATHE_ATTR_FLOATS, .count = 4, .floats = scales };
    if (lt_attr_is(call->attrs, call->n_attrs, "mode", "bilinear", "nearest")) {
        LT_TRY(lt_up_set_string(call, "mode", "linear", diag));
    }
    lt_up_drop(call, "height_scale");
    lt_up_drop(call, "width_scale");
    return lt_up_set_attr(call, &attr, "scales", diag);
}

static lathe_status upsample_input(lt_upgrade_call *call, lathe_diag *diag)
{
    size_t count;
    const float *scales = lt_attr_floats(call->attrs, call->n_attrs, "scales", &count);
    lt_value_id value;
    if (scales == NULL) {
        return LT_FAIL(diag, LATHE_BAD_MODEL, call->where, NULL, "scales are missing");
    }
    LT_TRY(lt_up_floats(call, scales, count, &value, diag));
    lt_up_drop(call, "scales");
    return lt_up_set_input(call, 1, value, diag);
}

static lathe_status upsample_rename(lt_upgrade_call *call, lathe_diag *diag)
{
    (void)diag;
    call->op = "Resize";
    return LATHE_OK;
}

/* Do the constant scales enlarge or reduce? Reading them is recorded. */
static lathe_status scan_scales(lt_upgrade_call *call, bool *up, bool *down, lathe_diag *diag)
{
    const lt_value *value = lt_value_get(call->graph, call->inputs[1]);
    const lt_tensor *tensor = value != NULL && lt_value_is_constant(value) ? lt_value_tensor(value) : NULL;
    *up = *down = true;
    if (tensor == NULL || tensor->dtype != LATHE_DTYPE_F32) {
        return LATHE_OK;
    }
    *up = *down = false;
    for (int64_t i = 0; i < lt_tensor_count(tensor); i++) {
        double scale = lt_load_f64(tensor->dtype, tensor->data, i);
        *up = *up || scale > 1;
        *down = *down || scale < 1;
    }
    return lt_graph_assume(call->graph, call->inputs[1], LT_ASSUME_BYTES, 0, diag);
}

/* scales -> max(scales, 1) or min(scales, 1) */
static lathe_status limit_scales(lt_upgrade_call *call, const char *op, lt_value_id *out, lathe_diag *diag)
{
    lt_value_id inputs[2] = { call->inputs[1], { 0, 0 } };
    LT_TRY(lt_up_scalar(call, LATHE_DTYPE_F32, 1, &inputs[1], diag));
    return lt_up_node(call, op, NULL, 0, inputs, 2, out, diag);
}

static lathe_attr text_attr(const char *name, const char *value, size_t length)
{
    return (lathe_attr){ .name = name, .kind = LATHE_ATTR_STRING, .s = { value, length } };
}

static lathe_status resize_first(lt_upgrade_call *call, lathe_diag *diag)
{
    bool up, down, nearest = lt_attr_is(call->attrs, call->n_attrs, "mode", "nearest", "nearest");
    lt_value_id none = { 0, 0 };
    if (!lt_up_has_input(call, 0) || !lt_up_has_input(call, 1)) {
        return LT_FAIL(diag, LATHE_BAD_MODEL, call->where, NULL, "scales are missing");
    }
    LT_TRY(scan_scales(call, &up, &down, diag));
    if (nearest && up && down) { /* enlarge first, the node itself then reduces */
        lathe_attr attrs[3] = { text_attr("mode", "nearest", 7), text_attr("nearest_mode", "floor", 5),
                                text_attr("coordinate_transformation_mode", "asymmetric", 10) };
        lt_value_id inputs[3] = { call->inputs[0], none, none };
        LT_TRY(limit_scales(call, "Max", &inputs[2], diag));
        LT_TRY(limit_scales(call, "Min", &call->inputs[1], diag));
        LT_TRY(lt_up_node(call, "Resize", attrs, 3, inputs, 3, &call->inputs[0], diag));
    }
    lt_value_id scales = call->inputs[1];
    LT_TRY(lt_up_set_input(call, 2, scales, diag));
    LT_TRY(lt_up_set_input(call, 1, none, diag));
    if (nearest) {
        LT_TRY(lt_up_set_string(call, "nearest_mode", down ? "ceil" : "floor", diag));
    }
    return lt_up_set_string(call, "coordinate_transformation_mode", "asymmetric", diag);
}

/* An input without elements, constant or by its type. */
static bool is_empty(const lt_upgrade_call *call, size_t slot)
{
    const lt_type *type = lt_up_type(call, slot);
    return type != NULL && type->rank == 1 && lt_dim_is(type->dims[0], 0);
}

/*
 * tf_half_pixel_for_nn lies half a pixel above half_pixel: what the one rounds down the other rounds to the nearest, and what the one rounds to the nearest, a half
 * down, the other rounds up. The other two roundings would need one that Resize does not have.
 */
static lathe_status lower_half_pixel(lt_upgrade_call *call, lathe_diag *diag)
{
    const char *usual = "round_prefer_floor", *rounding = NULL;
    if (lt_attr_is(call->attrs, call->n_attrs, "nearest_mode", "floor", usual)) {
        rounding = "round_prefer_ceil";
    } else if (lt_attr_is(call->attrs, call->n_attrs, "nearest_mode", usual, usual)) {
        rounding = "ceil";
    }
    if (rounding == NULL || !lt_attr_is(call->attrs, call->n_attrs, "mode", "nearest", "nearest")) {
        return lt_up_refuse(call, diag, "coordinate_transformation_mode tf_half_pixel_for_nn can be lifted for nearest with floor or round_prefer_floor only");
    }
    LT_TRY(lt_up_set_string(call, "nearest_mode", rounding, diag));
    return lt_up_set_string(call, "coordinate_transformation_mode", "half_pixel", diag);
}

/* roi and scales had to be given, empty where they meant nothing. */
static lathe_status resize_optional(lt_upgrade_call *call, lathe_diag *diag)
{
    lt_value_id none = { 0, 0 };
    for (size_t slot = 1; slot <= 2; slot++) {
        if (is_empty(call, slot)) {
            LT_TRY(lt_up_set_input(call, slot, none, diag));
        }
    }
    bool above = lt_attr_is(call->attrs, call->n_attrs, "coordinate_transformation_mode", "tf_half_pixel_for_nn", "half_pixel");
    return above ? lower_half_pixel(call, diag) : LATHE_OK;
}

LT_UPGRADES(resize) = {
    { "Upsample", "", 7, "scales for all axes", upsample_scales },
    { "Upsample", "", 9, "scales became an input", upsample_input },
    { "Upsample", "", 10, "became Resize", upsample_rename },
    { "Resize", "", 10, "introduced", lt_up_introduced },
    { "Resize", "", 11, "where pixels are taken from became attributes", resize_first },
    { "Resize", "", 13, "roi and scales may be absent", resize_optional },
    { "Resize", "", 18, "new attributes; their defaults are the old meaning", NULL },
    { "Resize", "", 19, "new modes and types", NULL },
    { NULL, NULL, 0, NULL, NULL },
};
