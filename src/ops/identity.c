/*
 * identity.c - operators that hand elements on: Identity, Trilu. Found through the registry.
 */
#include "ops/move.h"

static lathe_status infer_identity(lt_infer *c)
{
    lt_dim v[LT_CONTENTS_MAX];
    int64_t count = -1;
    LT_TRY(lt_infer_same(c, 0, 0));
    if (c->in[0]->cls != LT_TENSOR) {
        return LATHE_OK;
    }
    LT_TRY(lt_infer_ints(c, 0, v, &count));
    return count >= 0 ? lt_infer_set_contents(c, 0, v, count) : LATHE_OK;
}

static lathe_status eval_identity(lt_eval *c)
{
    if (c->n_out < 1 || c->out[0] == NULL) {
        return LATHE_OK;
    }
    if (c->in[0]->cls != LT_TENSOR) {
        return lt_copy_value(c, 0, c->in[0]);
    }
    return lt_eval_copy(c, lt_out(c, 0), 0, lt_in(c, 0), 0, lt_tensor_count(lt_in(c, 0)));
}

/* ---- Trilu ---- */

static lathe_status infer_trilu(lt_infer *c)
{
    if (c->in[0]->rank >= 0 && c->in[0]->rank < 2) {
        return lt_infer_fail(c, "the input has rank %d; at least 2 is needed", c->in[0]->rank);
    }
    return lt_infer_same(c, 0, 0);
}

static lathe_status store_nothing(lt_eval *c, lt_tensor *out, int64_t i)
{
    static const double zero[2] = { 0.0, 0.0 };
    switch (lt_dtype_get(out->dtype)->kind) {
    case LT_KIND_STRING:
        return lt_eval_string(c, NULL, 0, (lt_string *)out->data + i);
    case LT_KIND_COMPLEX:
        lt_store_complex(out->dtype, out->data, i, zero);
        return LATHE_OK;
    case LT_KIND_FLOAT:
        lt_store_f64(out->dtype, out->data, i, 0.0);
        return LATHE_OK;
    default:
        lt_store_i64(out->dtype, out->data, i, 0);
        return LATHE_OK;
    }
}

static lathe_status eval_trilu(lt_eval *c)
{
    const lt_tensor *in = lt_in(c, 0);
    lt_tensor *out = lt_out(c, 0);
    const int64_t *k;
    int64_t n_k;
    LT_TRY(lt_eval_ints(c, 1, &k, &n_k));
    if (n_k > 1) {
        return lt_eval_fail(c, "k is not a scalar");
    }
    bool upper = lt_attr_i(c->attrs, c->n_attrs, "upper", 1) != 0;
    int64_t rows = in->dims[in->rank - 2], cols = in->dims[in->rank - 1], diagonal = n_k == 1 ? k[0] : 0;
    int64_t count = out != NULL ? lt_tensor_count(out) : 0;
    for (int64_t i = 0; i < count; i++) {
        int64_t offset = i % cols - i / cols % rows; /* 0 on the main diagonal */
        if (upper ? offset >= diagonal : offset <= diagonal) {
            LT_TRY(lt_eval_element(c, out, i, in, i));
        } else {
            LT_TRY(store_nothing(c, out, i));
        }
    }
    return LATHE_OK;
}

static const char *const identity_samples[] = {
    "f32[2,3] x = rand(1) | y = Identity (x)",  "i64[] x = {5} | y = Identity (x)",
    "bool[3] x = {1, 0, 1} | y = Identity (x)", "f16[2,0] x = splat(1) | y = Identity (x)",
    "bf16[3] x = rand(2) | y = Identity (x)",   NULL,
};

static const char *const trilu_samples[] = {
    "f32[3,4] x = rand(1) | y = Trilu (x)",
    "i64[2,4,3] x = iota, i64[] k = {-1} | y = Trilu <upper = 0> (x, k)",
    "f32[3,3] x = rand(1), i64[] k = {2} | y = Trilu <upper = 1> (x, k)",
    "bool[2,2] x = {1, 1, 1, 1}, i64[] k = {9223372036854775807} | y = Trilu (x, k)",
    NULL,
};

static const lt_attr_spec trilu_attrs[] = { { "upper", LATHE_ATTR_INT, false }, { NULL, LATHE_ATTR_NONE, false } };

LT_OPS(identity) = {
    { .name = "Identity",
      .domain = "",
      .since = 25,
      .traits = LT_OP_VIEW,
      .sig = "(V input) -> (V output); V: all seq opt",
      .infer = infer_identity,
      .eval = eval_identity,
      .samples = identity_samples },
    { .name = "Trilu",
      .domain = "",
      .since = 14,
      .host_inputs = 2,
      .sig = "(T input, i64? k) -> (T output); T: all",
      .attrs = trilu_attrs,
      .infer = infer_trilu,
      .eval = eval_trilu,
      .samples = trilu_samples },
    { .name = NULL },
};
