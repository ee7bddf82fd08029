/*
 * upgrade_elementwise.c - how old definitions of elementwise operators become the newest: one-sided broadcasting by an
 * axis, attributes that turned into inputs, defaults that moved.
 */
#include <float.h>
#include <string.h>

#include "onnx/onnx_internal.h"

/* Before opset 7, B was matched to A's axes from `axis` on (default: the last ones), without NumPy's rules. */
static lathe_status align_second(lt_upgrade_call *call, lathe_diag *diag)
{
    lt_up_drop(call, "consumed_inputs");
    const lathe_attr *axis = lt_up_attr(call, "axis");
    bool broadcast = lt_attr_i(call->attrs, call->n_attrs, "broadcast", 0) != 0;
    int rank_a, rank_b;
    if (broadcast && axis != NULL && lt_up_has_input(call, 0) && lt_up_has_input(call, 1)) {
        LT_TRY(lt_up_rank(call, 0, &rank_a, diag));
        LT_TRY(lt_up_rank(call, 1, &rank_b, diag));
        int64_t start = axis->i < 0 ? axis->i + rank_a : axis->i;
        if (start < 0 || start + rank_b > rank_a) {
            return LT_FAIL(diag, LATHE_BAD_MODEL, call->where, NULL, "axis %lld does not place %d dims among %d",
                           (long long)axis->i, rank_b, rank_a);
        }
        int64_t axes[LATHE_MAX_RANK];
        size_t count = 0;
        for (int64_t i = rank_b; i + start < rank_a; i++) {
            axes[count++] = i;
        }
        lt_value_id inputs[2] = { call->inputs[1], { 0, 0 } };
        if (count > 0) {
            LT_TRY(lt_up_ints(call, axes, count, &inputs[1], diag));
            LT_TRY(lt_up_node(call, "Unsqueeze", NULL, 0, inputs, 2, &call->inputs[1], diag));
        }
    }
    lt_up_drop(call, "axis");
    lt_up_drop(call, "broadcast");
    return LATHE_OK;
}

/* Before opset 7, a slope of several elements belonged to the channels, axis 1. */
static lathe_status align_slope(lt_upgrade_call *call, lathe_diag *diag)
{
    int rank_x, rank_slope;
    if (!lt_up_has_input(call, 0) || !lt_up_has_input(call, 1)) {
        return LATHE_OK;
    }
    LT_TRY(lt_up_rank(call, 0, &rank_x, diag));
    LT_TRY(lt_up_rank(call, 1, &rank_slope, diag));
    const lt_type *slope = lt_up_type(call, 1);
    if (rank_slope != 1 || rank_x < 3 || lt_dim_is(slope->dims[0], 1)) {
        return LATHE_OK;
    }
    int64_t axes[LATHE_MAX_RANK];
    for (int i = 0; i < rank_x - 2; i++) {
        axes[i] = i + 1;
    }
    lt_value_id inputs[2] = { call->inputs[1], { 0, 0 } };
    LT_TRY(lt_up_ints(call, axes, (size_t)(rank_x - 2), &inputs[1], diag));
    return lt_up_node(call, "Unsqueeze", NULL, 0, inputs, 2, &call->inputs[1], diag);
}

/*
 * A bound of Clip becomes an input. From opset 6 on it had a default, the largest finite f32, which keeps infinities out; of f16 that is none.
 */
static lathe_status clip_bound(lt_upgrade_call *call, const char *name, float usual, size_t slot, lathe_diag *diag)
{
    const lathe_attr *attr = lt_up_attr(call, name);
    const lt_type *type = lt_up_type(call, 0);
    if (attr != NULL || (call->opset >= 6 && (type == NULL || type->dtype != LATHE_DTYPE_F16))) {
        lt_value_id value;
        LT_TRY(lt_up_scalar(call, type != NULL ? type->dtype : LATHE_DTYPE_UNDEFINED, attr != NULL ? attr->f : usual, &value, diag));
        LT_TRY(lt_up_set_input(call, slot, value, diag));
        lt_up_drop(call, name);
    }
    return LATHE_OK;
}

static lathe_status clip_inputs(lt_upgrade_call *call, lathe_diag *diag)
{
    LT_TRY(clip_bound(call, "min", -FLT_MAX, 1, diag));
    return clip_bound(call, "max", FLT_MAX, 2, diag);
}

/* `to` was the name of the type. */
static lathe_status cast_by_name(lt_upgrade_call *call, lathe_diag *diag)
{
    const lathe_attr *to = lt_up_attr(call, "to");
    if (to == NULL || to->kind != LATHE_ATTR_STRING) {
        return LATHE_OK;
    }
    for (int dtype = LATHE_DTYPE_UNDEFINED + 1; dtype < LATHE_DTYPE_COUNT; dtype++) {
        const char *name = lt_dtype_get((lathe_dtype)dtype)->onnx;
        if (name != NULL && strlen(name) == to->s.length && strncmp(name, to->s.data, to->s.length) == 0) {
            return lt_up_set_int(call, "to", dtype, diag);
        }
    }
    return LT_FAIL(diag, LATHE_BAD_MODEL, call->where, NULL, "there is no element type '%.*s' to cast to",
                   (int)(to->s.length < 40 ? to->s.length : 40), to->s.data);
}

static lathe_status selu_defaults(lt_upgrade_call *call, lathe_diag *diag)
{
    lt_up_drop(call, "consumed_inputs");
    if (lt_up_attr(call, "alpha") == NULL) {
        LT_TRY(lt_up_set_float(call, "alpha", 1.6732f, diag));
    }
    return lt_up_attr(call, "gamma") == NULL ? lt_up_set_float(call, "gamma", 1.0507f, diag) : LATHE_OK;
}

/* is_test = 0, the default, meant training: elements are dropped. Opset 12 asks for that with an input. */
static lathe_status dropout_mode(lt_upgrade_call *call, lathe_diag *diag)
{
    bool test = lt_attr_i(call->attrs, call->n_attrs, "is_test", 0) != 0;
    lt_up_drop(call, "is_test");
    if (!test) {
        lt_value_id training;
        LT_TRY(lt_up_scalar(call, LATHE_DTYPE_BOOL, 1, &training, diag));
        LT_TRY(lt_up_set_input(call, 2, training, diag));
    }
    return LATHE_OK;
}

/* The mask had the type of the data. */
static lathe_status dropout_mask(lt_upgrade_call *call, lathe_diag *diag)
{
    const lt_type *type = lt_up_type(call, 0);
    if (call->n_outputs > 1 && call->wanted[1]) {
        if (type == NULL || type->dtype == LATHE_DTYPE_UNDEFINED) {
            return lt_up_refuse(call, diag, "the mask can be made only when the element type is known");
        }
        call->cast_output[1] = type->dtype;
    }
    return LATHE_OK;
}

static lathe_status dropout_ratio(lt_upgrade_call *call, lathe_diag *diag)
{
    const lathe_attr *ratio = lt_up_attr(call, "ratio");
    if (ratio != NULL) {
        lt_value_id value;
        LT_TRY(lt_up_scalar(call, LATHE_DTYPE_F32, ratio->f, &value, diag));
        LT_TRY(lt_up_set_input(call, 1, value, diag));
        lt_up_drop(call, "ratio");
    }
    return LATHE_OK;
}

LT_UPGRADES(elementwise) = {
    { "Add", "", 7, "axis and broadcast became NumPy's rules", align_second },
    { "Sub", "", 7, "axis and broadcast became NumPy's rules", align_second },
    { "Mul", "", 7, "axis and broadcast became NumPy's rules", align_second },
    { "Div", "", 7, "axis and broadcast became NumPy's rules", align_second },
    { "Pow", "", 7, "axis and broadcast became NumPy's rules", align_second },
    { "And", "", 7, "axis and broadcast became NumPy's rules", align_second },
    { "Or", "", 7, "axis and broadcast became NumPy's rules", align_second },
    { "Xor", "", 7, "axis and broadcast became NumPy's rules", align_second },
    { "Equal", "", 7, "axis and broadcast became NumPy's rules", align_second },
    { "Greater", "", 7, "axis and broadcast became NumPy's rules", align_second },
    { "Less", "", 7, "axis and broadcast became NumPy's rules", align_second },
    { "PRelu", "", 7, "a slope for each channel became NumPy's rules", align_slope },
    { "Clip", "", 11, "min and max became inputs", clip_inputs },
    { "Cast", "", 6, "the type is a number, not a name", cast_by_name },
    { "Selu", "", 6, "more digits in alpha and gamma", selu_defaults },
    { "Dropout", "", 7, "is_test went", dropout_mode },
    { "Dropout", "", 10, "the mask is bool", dropout_mask },
    { "Dropout", "", 12, "ratio and training mode became inputs", dropout_ratio },
    { "Abs", "", 6, "consumed_inputs went", lt_up_drop_consumed },
    { "Add", "", 6, "consumed_inputs went", lt_up_drop_consumed },
    { "Ceil", "", 6, "consumed_inputs went", lt_up_drop_consumed },
    { "Clip", "", 6, "consumed_inputs went", lt_up_drop_consumed },
    { "Div", "", 6, "consumed_inputs went", lt_up_drop_consumed },
    { "Dropout", "", 6, "consumed_inputs went", lt_up_drop_consumed },
    { "Elu", "", 6, "consumed_inputs went", lt_up_drop_consumed },
    { "Exp", "", 6, "consumed_inputs went", lt_up_drop_consumed },
    { "Floor", "", 6, "consumed_inputs went", lt_up_drop_consumed },
    { "HardSigmoid", "", 6, "consumed_inputs went", lt_up_drop_consumed },
    { "LeakyRelu", "", 6, "consumed_inputs went", lt_up_drop_consumed },
    { "Log", "", 6, "consumed_inputs went", lt_up_drop_consumed },
    { "Max", "", 6, "consumed_inputs went", lt_up_drop_consumed },
    { "Mean", "", 6, "consumed_inputs went", lt_up_drop_consumed },
    { "Min", "", 6, "consumed_inputs went", lt_up_drop_consumed },
    { "Mul", "", 6, "consumed_inputs went", lt_up_drop_consumed },
    { "Neg", "", 6, "consumed_inputs went", lt_up_drop_consumed },
    { "PRelu", "", 6, "consumed_inputs went", lt_up_drop_consumed },
    { "Reciprocal", "", 6, "consumed_inputs went", lt_up_drop_consumed },
    { "Relu", "", 6, "consumed_inputs went", lt_up_drop_consumed },
    { "Sigmoid", "", 6, "consumed_inputs went", lt_up_drop_consumed },
    { "Sqrt", "", 6, "consumed_inputs went", lt_up_drop_consumed },
    { "Sub", "", 6, "consumed_inputs went", lt_up_drop_consumed },
    { "Sum", "", 6, "consumed_inputs went", lt_up_drop_consumed },
    { "Tanh", "", 6, "consumed_inputs went", lt_up_drop_consumed },
    { NULL, NULL, 0, NULL, NULL },
};
