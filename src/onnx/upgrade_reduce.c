/*
 * upgrade_reduce.c - reductions took their axes as an attribute before opset 18 (ReduceSum: 13).
 */
#include "onnx/onnx_internal.h"

/* An empty list of axes meant all axes, as does an absent input today. */
static lathe_status axes_input(lt_upgrade_call *call, lathe_diag *diag)
{
    size_t count;
    lt_attr_ints(call->attrs, call->n_attrs, "axes", &count);
    if (count == 0) {
        lt_up_drop(call, "axes");
    }
    return lt_up_ints_to_input(call, "axes", 1, diag);
}

LT_UPGRADES(reduce) = {
    { "ReduceL1", "", 18, "axes became an input", axes_input },
    { "ReduceL2", "", 18, "axes became an input", axes_input },
    { "ReduceLogSum", "", 18, "axes became an input", axes_input },
    { "ReduceLogSumExp", "", 18, "axes became an input", axes_input },
    { "ReduceMax", "", 18, "axes became an input", axes_input },
    { "ReduceMean", "", 18, "axes became an input", axes_input },
    { "ReduceMin", "", 18, "axes became an input", axes_input },
    { "ReduceProd", "", 18, "axes became an input", axes_input },
    { "ReduceSum", "", 13, "axes became an input", axes_input },
    { "ReduceSumSquare", "", 18, "axes became an input", axes_input },
    { NULL, NULL, 0, NULL, NULL },
};
