/*
 * upgrade_ml.c - operators of the domain ai.onnx.ml.
 */
#include "onnx/onnx_internal.h"

/* A list of classes between strings and their positions became lists of keys and values. */
static lathe_status label_lists(lt_upgrade_call *call, lathe_diag *diag)
{
    const lathe_attr *classes = lt_up_attr(call, "classes_strings");
    const lt_type *type = lt_up_type(call, 0);
    if (classes == NULL || type == NULL) {
        return LT_FAIL(diag, LATHE_BAD_MODEL, call->where, NULL, "classes_strings or the input is missing");
    }
    int64_t *places = LT_ARENA_ARRAY(call->arena, int64_t, classes->count);
    if (places == NULL) {
        return LT_OOM(diag);
    }
    for (size_t i = 0; i < classes->count; i++) {
        places[i] = (int64_t)i;
    }
    bool from_strings = type->dtype == LATHE_DTYPE_STRING;
    lathe_attr strings = *classes, ints = { .kind = LATHE_ATTR_INTS, .count = classes->count, .ints = places };
    LT_TRY(lt_up_set_attr(call, &strings, from_strings ? "keys_strings" : "values_strings", diag));
    LT_TRY(lt_up_set_attr(call, &ints, from_strings ? "values_int64s" : "keys_int64s", diag));
    lt_up_drop(call, "classes_strings");
    return LATHE_OK;
}

LT_UPGRADES(ml) = {
    { "LabelEncoder", "ai.onnx.ml", 2, "keys and values", label_lists },
    { "LabelEncoder", "ai.onnx.ml", 4, "tensors as keys and values", NULL },
    { "TreeEnsembleClassifier", "ai.onnx.ml", 3, "tensors as attributes", NULL },
    { "TreeEnsembleRegressor", "ai.onnx.ml", 3, "tensors as attributes", NULL },
    { "TreeEnsemble", "ai.onnx.ml", 5, "introduced", lt_up_introduced },
    { NULL, NULL, 0, NULL, NULL },
};
