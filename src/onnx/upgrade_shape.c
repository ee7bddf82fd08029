/*
 * upgrade_shape.c - operators that move elements: attributes that became inputs, Tile by one axis, names that went.
 */
#include "onnx/onnx_internal.h"

static lathe_status reshape_shape(lt_upgrade_call *call, lathe_diag *diag)
{
    lt_up_drop(call, "consumed_inputs");
    return lt_up_ints_to_input(call, "shape", 1, diag);
}

static lathe_status axes_input(lt_upgrade_call *call, lathe_diag *diag)
{
    return lt_up_ints_to_input(call, "axes", 1, diag);
}

/* Without axes, starts and ends were those of the first axes, as today. */
static lathe_status slice_inputs(lt_upgrade_call *call, lathe_diag *diag)
{
    LT_TRY(lt_up_ints_to_input(call, "starts", 1, diag));
    LT_TRY(lt_up_ints_to_input(call, "ends", 2, diag));
    return lt_up_ints_to_input(call, "axes", 3, diag);
}

static lathe_status pad_rename(lt_upgrade_call *call, lathe_diag *diag)
{
    const lathe_attr *paddings = lt_up_attr(call, "paddings");
    if (paddings != NULL) {
        LT_TRY(lt_up_set_attr(call, paddings, "pads", diag));
        lt_up_drop(call, "paddings");
    }
    return LATHE_OK;
}

static lathe_status pad_inputs(lt_upgrade_call *call, lathe_diag *diag)
{
    const lathe_attr *value = lt_up_attr(call, "value");
    const lt_type *type = lt_up_type(call, 0);
    LT_TRY(lt_up_ints_to_input(call, "pads", 1, diag));
    if (value != NULL) {
        lt_value_id constant;
        LT_TRY(lt_up_scalar(call, type != NULL ? type->dtype : LATHE_DTYPE_UNDEFINED, value->f, &constant, diag));
        LT_TRY(lt_up_set_input(call, 2, constant, diag));
        lt_up_drop(call, "value");
    }
    return LATHE_OK;
}

/*
 * The lengths were an attribute or an input of the data's type; the axis had no default that was written down, 0 is
 * meant.
 */
static lathe_status split_first(lt_upgrade_call *call, lathe_diag *diag)
{
    if (lt_up_has_input(call, 1)) {
        lathe_attr to = { .name = "to", .kind = LATHE_ATTR_INT, .i = LATHE_DTYPE_I64 };
        LT_TRY(lt_up_node(call, "Cast", &to, 1, &call->inputs[1], 1, &call->inputs[1], diag));
        lt_up_drop(call, "split");
    }
    return LATHE_OK;
}

static lathe_status split_input(lt_upgrade_call *call, lathe_diag *diag)
{
    return lt_up_ints_to_input(call, "split", 1, diag);
}

static lathe_status split_count(lt_upgrade_call *call, lathe_diag *diag)
{
    return lt_up_has_input(call, 1) ? LATHE_OK : lt_up_set_int(call, "num_outputs", (int64_t)call->n_outputs, diag);
}

static lathe_status concat_axis(lt_upgrade_call *call, lathe_diag *diag)
{
    return lt_up_attr(call, "axis") == NULL ? lt_up_set_int(call, "axis", 1, diag) : LATHE_OK;
}

/* Tile(input, tiles, axis), both of the data's type: repeats = Where(Range(rank) == axis, tiles, 1). */
static lathe_status tile_repeats(lt_upgrade_call *call, lathe_diag *diag)
{
    int rank;
    int64_t iota[LATHE_MAX_RANK], one = 1;
    lathe_attr to = { .name = "to", .kind = LATHE_ATTR_INT, .i = LATHE_DTYPE_I64 };
    lt_value_id equal[2], where[3];
    LT_TRY(lt_up_rank(call, 0, &rank, diag));
    if (!lt_up_has_input(call, 1) || !lt_up_has_input(call, 2)) {
        return LT_FAIL(diag, LATHE_BAD_MODEL, call->where, NULL, "tiles and axis are missing");
    }
    for (int i = 0; i < rank; i++) {
        iota[i] = i;
    }
    LT_TRY(lt_up_ints(call, iota, (size_t)rank, &equal[0], diag));
    LT_TRY(lt_up_node(call, "Cast", &to, 1, &call->inputs[2], 1, &equal[1], diag));
    LT_TRY(lt_up_node(call, "Equal", NULL, 0, equal, 2, &where[0], diag));
    LT_TRY(lt_up_node(call, "Cast", &to, 1, &call->inputs[1], 1, &where[1], diag));
    LT_TRY(lt_up_ints(call, &one, 1, &where[2], diag));
    LT_TRY(lt_up_node(call, "Where", NULL, 0, where, 3, &call->inputs[1], diag));
    call->n_inputs = 2;
    return LATHE_OK;
}

static lathe_status topk_count(lt_upgrade_call *call, lathe_diag *diag)
{
    const lathe_attr *k = lt_up_attr(call, "k");
    if (k != NULL) {
        int64_t count = k->i;
        lt_value_id value;
        LT_TRY(lt_up_ints(call, &count, 1, &value, diag));
        LT_TRY(lt_up_set_input(call, 1, value, diag));
        lt_up_drop(call, "k");
    }
    return LATHE_OK;
}

static lathe_status scatter_rename(lt_upgrade_call *call, lathe_diag *diag)
{
    (void)diag;
    call->op = "ScatterElements";
    return LATHE_OK;
}

LT_UPGRADES(shape) = {
    { "Reshape", "", 5, "shape became an input", reshape_shape },
    { "Squeeze", "", 13, "axes became an input", axes_input },
    { "Unsqueeze", "", 13, "axes became an input", axes_input },
    { "Slice", "", 10, "starts, ends and axes became inputs", slice_inputs },
    { "Pad", "", 2, "paddings is called pads", pad_rename },
    { "Pad", "", 11, "pads and value became inputs", pad_inputs },
    { "Split", "", 2, "the input of lengths went", split_first },
    { "Split", "", 13, "split became an input", split_input },
    { "Split", "", 18, "equal parts are asked for by their number", split_count },
    { "Concat", "", 4, "axis has no default any more", concat_axis },
    { "Tile", "", 6, "repeats for all axes", tile_repeats },
    { "TopK", "", 10, "k became an input", topk_count },
    { "Scatter", "", 9, "introduced", lt_up_introduced },
    { "Scatter", "", 11, "became ScatterElements", scatter_rename },
    { NULL, NULL, 0, NULL, NULL },
};
