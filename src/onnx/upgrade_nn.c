/*
 * upgrade_nn.c - old definitions of normalization, softmax, recurrent, sampling and matrix operators become the newest.
 *
 * Where an old operator worked on a flattened input, it is put between two reshapes; the node itself becomes the last
 * of them.
 */
#include "onnx/onnx_internal.h"

/* The node becomes Reshape(value, Shape(x)). */
static lathe_status become_reshape(lt_upgrade_call *call, lt_value_id value, lt_value_id x, lathe_diag *diag)
{
    lt_value_id shape;
    LT_TRY(lt_up_node(call, "Shape", NULL, 0, &x, 1, &shape, diag));
    call->op = "Reshape";
    call->domain = "";
    call->n_attrs = 0;
    call->n_inputs = 0;
    LT_TRY(lt_up_set_input(call, 0, value, diag));
    return lt_up_set_input(call, 1, shape, diag);
}

static lathe_status flatten(lt_upgrade_call *call, lt_value_id x, int64_t axis, lt_value_id *out, lathe_diag *diag)
{
    lathe_attr attr = { .name = "axis", .kind = LATHE_ATTR_INT, .i = axis };
    return lt_up_node(call, "Flatten", &attr, 1, &x, 1, out, diag);
}

/* ---- Softmax, LogSoftmax, Hardmax: before opset 13 all axes from `axis` on were one ---- */

/* Is everything behind the axis of extent 1? */
static bool is_tail_flat(const lt_type *type, int64_t axis)
{
    if (type == NULL || type->cls != LT_TENSOR || type->rank < 1 || axis < 0 || axis >= type->rank) {
        return axis == -1;
    }
    for (int i = (int)axis + 1; i < type->rank; i++) {
        if (!lt_dim_is(type->dims[i], 1)) {
            return false;
        }
    }
    return true;
}

static lathe_status softmax_axis(lt_upgrade_call *call, lathe_diag *diag)
{
    int64_t axis = lt_attr_i(call->attrs, call->n_attrs, "axis", 1);
    const lt_type *type = lt_up_type(call, 0);
    if (axis < 0 && type != NULL && type->rank > 0) {
        axis += type->rank;
    }
    if (is_tail_flat(type, axis) || !lt_up_has_input(call, 0)) {
        return lt_up_set_int(call, "axis", axis, diag);
    }
    lathe_attr last = { .name = "axis", .kind = LATHE_ATTR_INT, .i = -1 };
    lt_value_id x = call->inputs[0], flat, soft;
    LT_TRY(flatten(call, x, axis, &flat, diag));
    LT_TRY(lt_up_node(call, call->op, &last, 1, &flat, 1, &soft, diag));
    return become_reshape(call, soft, x, diag);
}

/* ---- Normalization ---- */

/* The number of outputs says which mode was meant: a single one is the test mode. */
static lathe_status batchnorm_test(lt_upgrade_call *call, lathe_diag *diag)
{
    (void)diag;
    lt_up_drop(call, "is_test");
    return LATHE_OK;
}

static bool wants_more(const lt_upgrade_call *call, size_t from)
{
    for (size_t i = from; i < call->n_outputs; i++) {
        if (call->wanted[i]) {
            return true;
        }
    }
    return false;
}

/* spatial = 0: statistics for each feature, so features and positions are one axis. */
static lathe_status batchnorm_spatial(lt_upgrade_call *call, lathe_diag *diag)
{
    const int64_t minus_one = -1;
    bool spatial = lt_attr_i(call->attrs, call->n_attrs, "spatial", 1) != 0;
    lt_up_drop(call, "spatial");
    if (spatial) {
        return LATHE_OK;
    }
    if (wants_more(call, 1) || call->n_inputs != 5) {
        return lt_up_refuse(call, diag, "spatial = 0 can be lifted in test mode only");
    }
    lt_value_id x = call->inputs[0], in[5], line[2], normed;
    LT_TRY(flatten(call, x, 1, &in[0], diag));
    LT_TRY(lt_up_ints(call, &minus_one, 1, &line[1], diag));
    for (size_t i = 1; i < 5; i++) {
        line[0] = call->inputs[i];
        LT_TRY(lt_up_node(call, "Reshape", NULL, 0, line, 2, &in[i], diag));
    }
    LT_TRY(lt_up_node(call, "BatchNormalization", call->attrs, call->n_attrs, in, 5, &normed, diag));
    call->n_outputs = 1;
    return become_reshape(call, normed, x, diag);
}

static lathe_status batchnorm_training(lt_upgrade_call *call, lathe_diag *diag)
{
    if (wants_more(call, 3)) {
        return lt_up_refuse(call, diag,
                            "saved_mean and saved_var are outputs for gradients, which this build does not give");
    }
    bool training = wants_more(call, 1);
    call->n_outputs = training && call->n_outputs > 3 ? 3 : training ? call->n_outputs : 1;
    return training ? lt_up_set_int(call, "training_mode", 1, diag) : LATHE_OK;
}

/* Scale and bias were those of the groups: normalize with the groups as channels. */
static lathe_status groupnorm_groups(lt_upgrade_call *call, lathe_diag *diag)
{
    int64_t groups = lt_attr_i(call->attrs, call->n_attrs, "num_groups", 0), shape[3] = { 0, groups, -1 };
    lathe_attr epsilon = { .name = "epsilon", .kind = LATHE_ATTR_FLOAT };
    if (groups < 1 || call->n_inputs != 3) {
        return LT_FAIL(diag, LATHE_BAD_MODEL, call->where, NULL, "num_groups or an input is missing");
    }
    epsilon.f = lt_attr_f(call->attrs, call->n_attrs, "epsilon", 1e-5f);
    lt_value_id x = call->inputs[0], reshape[2] = { x, { 0, 0 } },
                in[3] = { { 0, 0 }, call->inputs[1], call->inputs[2] }, normed;
    LT_TRY(lt_up_ints(call, shape, 3, &reshape[1], diag));
    LT_TRY(lt_up_node(call, "Reshape", NULL, 0, reshape, 2, &in[0], diag));
    LT_TRY(lt_up_node(call, "InstanceNormalization", &epsilon, 1, in, 3, &normed, diag));
    return become_reshape(call, normed, x, diag);
}

/* ---- Attributes that went, moved or got other values ---- */

static lathe_status gemm_broadcast(lt_upgrade_call *call, lathe_diag *diag)
{
    (void)diag;
    lt_up_drop(call, "broadcast"); /* of C, by rules that are part of today's */
    return LATHE_OK;
}

static lathe_status drop_output_sequence(lt_upgrade_call *call, lathe_diag *diag)
{
    (void)diag;
    lt_up_drop(call, "output_sequence"); /* Y is given whenever it has a name */
    return LATHE_OK;
}

static lathe_status whole_p(lt_upgrade_call *call, lathe_diag *diag)
{
    const lathe_attr *p = lt_up_attr(call, "p");
    if (p == NULL || p->kind != LATHE_ATTR_FLOAT) {
        return LATHE_OK;
    }
    int64_t whole = p->f >= 1 && p->f < 1e6f ? (int64_t)p->f : 0;
    if ((float)whole != p->f) {
        return lt_up_refuse(call, diag, "p is not a whole number");
    }
    return lt_up_set_int(call, "p", whole, diag);
}

static lathe_status grid_modes(lt_upgrade_call *call, lathe_diag *diag)
{
    if (lt_attr_is(call->attrs, call->n_attrs, "mode", "bilinear", "bilinear")) {
        return lt_up_set_string(call, "mode", "linear", diag);
    }
    return lt_attr_is(call->attrs, call->n_attrs, "mode", "bicubic", "") ? lt_up_set_string(call, "mode", "cubic", diag)
                                                                         : LATHE_OK;
}

static lathe_status dft_axis(lt_upgrade_call *call, lathe_diag *diag)
{
    lt_value_id axis;
    LT_TRY(lt_up_scalar(call, LATHE_DTYPE_I64, (double)lt_attr_i(call->attrs, call->n_attrs, "axis", 1), &axis, diag));
    lt_up_drop(call, "axis");
    return lt_up_set_input(call, 2, axis, diag);
}

static lathe_status roialign_mode(lt_upgrade_call *call, lathe_diag *diag)
{
    return lt_up_set_string(call, "coordinate_transformation_mode", "output_half_pixel", diag);
}

LT_UPGRADES(nn) = {
    { "Softmax", "", 13, "one axis instead of all from an axis on", softmax_axis },
    { "LogSoftmax", "", 13, "one axis instead of all from an axis on", softmax_axis },
    { "Hardmax", "", 13, "one axis instead of all from an axis on", softmax_axis },
    { "BatchNormalization", "", 6, "consumed_inputs went", lt_up_drop_consumed },
    { "BatchNormalization", "", 7, "is_test went", batchnorm_test },
    { "BatchNormalization", "", 9, "spatial went", batchnorm_spatial },
    { "BatchNormalization", "", 14, "training_mode, and fewer outputs", batchnorm_training },
    { "InstanceNormalization", "", 6, "consumed_inputs went", lt_up_drop_consumed },
    { "GroupNormalization", "", 18, "introduced", lt_up_introduced },
    { "GroupNormalization", "", 21, "scale and bias are those of the channels", groupnorm_groups },
    { "Gemm", "", 7, "broadcast went", gemm_broadcast },
    { "RNN", "", 7, "output_sequence went", drop_output_sequence },
    { "GRU", "", 7, "output_sequence went", drop_output_sequence },
    { "LSTM", "", 7, "output_sequence went", drop_output_sequence },
    { "LpPool", "", 2, "p is an integer", whole_p },
    { "GlobalLpPool", "", 2, "p is an integer", whole_p },
    { "GridSample", "", 16, "introduced", lt_up_introduced },
    { "GridSample", "", 20, "modes have other names", grid_modes },
    { "DFT", "", 17, "introduced", lt_up_introduced },
    { "DFT", "", 20, "axis became an input", dft_axis },
    { "RoiAlign", "", 10, "introduced", lt_up_introduced },
    { "RoiAlign", "", 16, "the coordinate transformation became an attribute", roialign_mode },
    { NULL, NULL, 0, NULL, NULL },
};
