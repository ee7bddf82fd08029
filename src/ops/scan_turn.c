/*
 * scan_turn.c - ScanTurn: what Scan collected, one row for each iteration, as its output has it: last iteration first, and along another axis. Plans put it
 * behind a Scan whose scan_output_directions or scan_output_axes ask for it.
 */
#include "ops/move.h"

static lathe_status infer_turn(lt_infer *c)
{
    const lt_type *x = c->in[0];
    lt_dim dims[LATHE_MAX_RANK];
    int axis;
    if (x->rank < 0) {
        return lt_infer_out(c, 0, x->dtype, -1, NULL);
    }
    LT_TRY(lt_infer_axis(c, lt_attr_i(c->attrs, c->n_attrs, "axis", 0), x->rank, &axis));
    for (int i = 0; i < x->rank; i++) {
        dims[i] = x->dims[i == axis ? 0 : i < axis ? i + 1 : i];
    }
    return lt_infer_out(c, 0, x->dtype, x->rank, dims);
}

static lathe_status eval_turn(lt_eval *c)
{
    const lt_tensor *x = lt_in(c, 0);
    bool reverse = lt_attr_i(c->attrs, c->n_attrs, "reverse", 0) != 0;
    int64_t dims[LATHE_MAX_RANK], axis;
    lt_raw from, to;
    if (!lt_wrap_index(lt_attr_i(c->attrs, c->n_attrs, "axis", 0), x->rank, &axis)) {
        return lt_eval_fail(c, "the axis is out of range for rank %d", x->rank);
    }
    for (int i = 0; i < x->rank; i++) {
        dims[i] = x->dims[i == axis ? 0 : i < axis ? i + 1 : i];
    }
    LT_TRY(c->make(c, 0, x->dtype, x->rank, dims));
    lt_tensor *y = lt_out(c, 0);
    if (y == NULL || lt_tensor_count(y) == 0) {
        return LATHE_OK;
    }
    LT_TRY(lt_raw_in(c, x, &from));
    LT_TRY(lt_raw_out(c, y, &to));
    lt_axis_span span = lt_span(y->rank, y->dims, (int)axis);
    size_t row = (size_t)span.inner * from.elem;
    for (int64_t t = 0; t < span.extent; t++) {
        int64_t at = reverse ? span.extent - 1 - t : t;
        for (int64_t o = 0; o < span.outer; o++) {
            lt_copy_bytes(to.data + (size_t)(o * span.extent + at) * row, from.data + (size_t)(t * span.outer + o) * row, row);
        }
    }
    return lt_raw_done(c, y, &to);
}

static const lt_attr_spec attrs_turn[] = { { "axis", LATHE_ATTR_INT, false }, { "reverse", LATHE_ATTR_INT, false }, { 0 } };

static const char *const samples_turn[] = {
    "f32[3,2] x = rand(1) | y = lathe.ScanTurn <reverse = 1> (x)",
    "i64[3,2,4] x = iota | y = lathe.ScanTurn <axis = 1> (x)",
    "string[2,2] x = {\"a\", \"b\", \"c\", \"d\"} | y = lathe.ScanTurn <axis = -1, reverse = 1> (x)",
    "i4[3,3] x = {1, 2, 3, 4, 5, 6, 7, -8, -1} | y = lathe.ScanTurn <axis = 1, reverse = 1> (x)",
    "f32[0,2] x = {} | y = lathe.ScanTurn <axis = 1> (x)",
    NULL,
};

LT_OPS(scan_turn) = {
    {
        .name = "ScanTurn",
        .domain = "lathe",
        .since = 1,
        .sig = "(any stacked) -> (any turned)",
        .attrs = attrs_turn,
        .infer = infer_turn,
        .eval = eval_turn,
        .samples = samples_turn,
    },
    { 0 },
};
