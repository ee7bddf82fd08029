/*
 * cumsum.c - CumSum and CumProd: running sums and products along an axis. Floats run in double, each result rounded
 * once; integers wrap.
 */
#include "ops/move.h"

static lathe_status infer_cumulative(lt_infer *c)
{
    lt_dim axis[LT_CONTENTS_MAX];
    int64_t count;
    int at;
    LT_TRY(lt_infer_ints(c, 1, axis, &count));
    if (count >= 0 && count != 1) {
        return lt_infer_fail(c, "the axis input holds %lld numbers; one is needed", (long long)count);
    }
    if (count == 1 && lt_dim_is_const(axis[0]) && c->in[0]->rank >= 0) {
        LT_TRY(lt_infer_axis(c, axis[0].k, c->in[0]->rank, &at));
    }
    return lt_infer_same(c, 0, 0);
}

/* The row of x that starts at `first`, into y at the same places. */
typedef struct walk {
    const lt_tensor *x;
    lt_tensor *y;
    int64_t extent, inner;
    bool exclusive, reverse, product;
} walk;

static void run_real(const walk *w, int64_t first)
{
    double total = w->product ? 1.0 : 0.0;
    for (int64_t k = 0; k < w->extent; k++) {
        int64_t at = first + (w->reverse ? w->extent - 1 - k : k) * w->inner;
        double value = lt_load_f64(w->x->dtype, w->x->data, at), next = w->product ? total * value : total + value;
        lt_store_f64(w->y->dtype, w->y->data, at, w->exclusive ? total : next);
        total = next;
    }
}

static void run_integer(const walk *w, int64_t first)
{
    uint64_t total = w->product ? 1 : 0;
    for (int64_t k = 0; k < w->extent; k++) {
        int64_t at = first + (w->reverse ? w->extent - 1 - k : k) * w->inner;
        uint64_t value = (uint64_t)lt_load_i64(w->x->dtype, w->x->data, at),
                 next = w->product ? total * value : total + value;
        lt_store_i64(w->y->dtype, w->y->data, at, (int64_t)(w->exclusive ? total : next));
        total = next;
    }
}

static lathe_status run(lt_eval *c, bool product)
{
    const lt_tensor *x = lt_in(c, 0);
    const int64_t *axis;
    int64_t count;
    LT_TRY(lt_eval_ints(c, 1, &axis, &count));
    if (count != 1 || axis[0] < -(int64_t)x->rank || axis[0] >= x->rank) {
        return lt_eval_fail(c, "the axis input must hold one number from %d to %d", -x->rank, x->rank - 1);
    }
    if (lt_tensor_count(x) == 0) {
        return LATHE_OK;
    }
    lt_axis_span span = lt_span(x->rank, x->dims, (int)(axis[0] < 0 ? axis[0] + x->rank : axis[0]));
    walk w = { .x = x, .y = lt_out(c, 0), .extent = span.extent, .inner = span.inner, .product = product };
    w.exclusive = lt_attr_i(c->attrs, c->n_attrs, "exclusive", 0) != 0;
    w.reverse = lt_attr_i(c->attrs, c->n_attrs, "reverse", 0) != 0;
    for (int64_t i = 0; i < span.outer * span.inner; i++) {
        int64_t first = i / span.inner * span.extent * span.inner + i % span.inner;
        if (lt_dtype_is_float(x->dtype)) {
            run_real(&w, first);
        } else {
            run_integer(&w, first);
        }
    }
    return LATHE_OK;
}

static lathe_status eval_sum(lt_eval *c)
{
    return run(c, false);
}

static lathe_status eval_product(lt_eval *c)
{
    return run(c, true);
}

static const lt_attr_spec attrs[] = { { "exclusive", LATHE_ATTR_INT, false },
                                      { "reverse", LATHE_ATTR_INT, false },
                                      { 0 } };

static const char *const sum_samples[] = {
    "f32[3,4] x = rand(1), i64[] a = splat(1) | y = CumSum (x, a)",
    "f32[2,3,4] x = rand(1), i32[] a = splat(-2) | y = CumSum <exclusive = 1> (x, a)",
    "f64[5] x = rand(1), i32[] a = splat(0) | y = CumSum <reverse = 1> (x, a)",
    "i32[2,3] x = rand(1), i32[] a = splat(0) | y = CumSum <reverse = 1, exclusive = 1> (x, a)",
    "i64[2,3] x = rand(1), i64[1] a = {1} | y = CumSum (x, a)",
    NULL,
};
static const char *const product_samples[] = {
    "f32[3,4] x = rand(1), i64[] a = splat(1) | y = CumProd (x, a)",
    "i32[2,3] x = {1, 2, 3, 4, 5, 6}, i32[] a = splat(0) | y = CumProd <reverse = 1, exclusive = 1> (x, a)",
    NULL,
};

LT_OPS(cumsum) = {
    { .name = "CumSum",
      .since = 14,
      .traits = LT_OP_ROOT,
      .host_inputs = 2,
      .sig = "(T x, T2 axis) -> (T y); T: float u32 u64 i32 i64, T2: i32 i64",
      .attrs = attrs,
      .infer = infer_cumulative,
      .eval = eval_sum,
      .samples = sum_samples },
    { .name = "CumProd",
      .since = 26,
      .traits = LT_OP_ROOT,
      .host_inputs = 2,
      .sig = "(T x, T2 axis) -> (T y); T: float u32 u64 i32 i64, T2: i32 i64",
      .attrs = attrs,
      .infer = infer_cumulative,
      .eval = eval_product,
      .samples = product_samples },
    { 0 },
};
