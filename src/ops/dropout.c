/*
 * dropout.c - Dropout: hands its input on, or, in training, drops elements at random and scales the others up. Found
 * through the registry; the pass drop-identity takes it away where it drops nothing.
 */
#include "ops/draw.h"

static bool is_training(const lt_tensor *flag)
{
    return flag != NULL && lt_tensor_count(flag) > 0 && lt_load_i64(LATHE_DTYPE_BOOL, flag->data, 0) != 0;
}

static lathe_status check_scalar(lt_infer *c, int i, const char *what)
{
    const lt_type *type = i < c->n_in ? c->in[i] : NULL;
    for (int d = 0; type != NULL && d < type->rank; d++) {
        if (lt_dim_is_const(type->dims[d]) && type->dims[d].k != 1) {
            return lt_infer_fail(c, "%s has extent %lld on axis %d; one number is needed", what,
                                 (long long)type->dims[d].k, d);
        }
    }
    return LATHE_OK;
}

static lathe_status infer_dropout(lt_infer *c)
{
    LT_TRY(check_scalar(c, 1, "ratio"));
    LT_TRY(check_scalar(c, 2, "training_mode"));
    LT_TRY(lt_infer_same(c, 0, 0));
    return lt_infer_out(c, 1, LATHE_DTYPE_BOOL, c->in[0]->rank, c->in[0]->dims);
}

static lathe_status hand_on(lt_eval *c)
{
    int64_t count = lt_tensor_count(lt_in(c, 0));
    if (lt_out(c, 0) != NULL) {
        LT_TRY(lt_eval_copy(c, lt_out(c, 0), 0, lt_in(c, 0), 0, count));
    }
    for (int64_t i = 0; lt_out(c, 1) != NULL && i < count; i++) {
        lt_store_i64(LATHE_DTYPE_BOOL, lt_out(c, 1)->data, i, 1);
    }
    return LATHE_OK;
}

static lathe_status eval_dropout(lt_eval *c)
{
    const lt_tensor *x = lt_in(c, 0), *given = lt_in(c, 1);
    double ratio = given != NULL ? lt_load_f64(given->dtype, given->data, 0) : 0.5;
    int64_t count = lt_tensor_count(x);
    lt_draw draw;
    if (!is_training(lt_in(c, 2))) {
        return hand_on(c);
    }
    if (!(ratio >= 0 && ratio < 1)) {
        return lt_eval_fail(c, "ratio is %g; it must be at least 0 and below 1", ratio);
    }
    if (ratio == 0) {
        return hand_on(c);
    }
    lt_draw_open(c, &draw);
    for (int64_t i = 0; i < count; i++) {
        bool stays = lt_draw_unit(&draw) >= ratio;
        if (lt_out(c, 0) != NULL) {
            lt_store_f64(x->dtype, lt_out(c, 0)->data, i,
                         (stays ? 1.0 : 0.0) * lt_load_f64(x->dtype, x->data, i) / (1.0 - ratio));
        }
        if (lt_out(c, 1) != NULL) {
            lt_store_i64(LATHE_DTYPE_BOOL, lt_out(c, 1)->data, i, stays);
        }
    }
    return LATHE_OK;
}

static const lt_attr_spec attrs_dropout[] = { { "seed", LATHE_ATTR_INT, false }, { 0 } };

static const char *const samples_dropout[] = {
    "f32[2,3] x = rand(1) | y = Dropout (x)",
    "f32[2,3] x = rand(1), f32[] r = {0.25} | y, mask = Dropout (x, r)",
    "f16[4] x = rand(1), f32[] r = {0.5}, bool[] t = {0} | y = Dropout (x, r, t)",
    "f32[2,3] x = rand(1), f32[] r = {0.0}, bool[] t = {1} | y, mask = Dropout (x, r, t)",
    "f32[4,5] x = rand(1), f32[] r = {0.75}, bool[] t = {1} | y, mask = Dropout <seed = 0> (x, r, t)",
    "f64[7] x = rand(1), bool[] t = {1} | y = Dropout <seed = 12> (x, \"\", t)",
    "bf16[6] x = rand(1), f64[] r = {0.5}, bool[] t = {1} | y, mask = Dropout <seed = 3> (x, r, t)",
    "f32[0,3] x = {}, f32[] r = {0.5}, bool[] t = {1} | y, mask = Dropout (x, r, t)",
    NULL,
};

#define DROPPABLE "float f8e4m3fn f8e4m3fnuz f8e5m2 f8e5m2fnuz"

LT_OPS(dropout) = {
    { .name = "Dropout",
      .since = 22,
      .traits = LT_OP_RANDOM,
      .host_inputs = 4,
      .sig = "(T data, T1? ratio, bool? training_mode) -> (T output, bool? mask); T: " DROPPABLE ", T1: " DROPPABLE,
      .attrs = attrs_dropout,
      .infer = infer_dropout,
      .eval = eval_dropout,
      .samples = samples_dropout },
    { 0 },
};
