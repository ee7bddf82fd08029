/*
 * loop.c - Loop: a body that runs while a condition holds and a trip count lasts; values are carried round, others
 * are stacked.
 */
#include "ops/loop_internal.h"

/* ---- Inference ---- */

static lathe_status check_scalar(lt_infer *c, int i, const char *name)
{
    int64_t length;
    LT_TRY(lt_move_length(c, i, &length));
    if (length >= 0 && length != 1) {
        return lt_infer_fail(c, "%s has %lld elements instead of 1", name, (long long)length);
    }
    return LATHE_OK;
}

/* Bound of the number of iterations. */
static lathe_status most_trips(lt_infer *c, lt_dim *out)
{
    lt_dim v[LT_CONTENTS_MAX];
    int64_t count;
    *out = lt_dim_const(INT64_MAX);
    LT_TRY(lt_infer_ints(c, 0, v, &count));
    return count == 1 ? lt_move_max(c, v[0], lt_dim_const(0), out) : LATHE_OK;
}

static lathe_status infer_loop(lt_infer *c)
{
    int n = c->n_in > 2 ? c->n_in - 2 : 0;
    lt_dim trips, most;
    LT_TRY(check_scalar(c, 0, "the trip count"));
    LT_TRY(check_scalar(c, 1, "the condition"));
    if (c->n_out < n) {
        return lt_infer_fail(c, "%d values are carried, but there are %d outputs", n, c->n_out);
    }
    if (c->region == NULL) {
        return LATHE_OK; /* evaluation: the iterations tell the types */
    }
    LT_CHECK(c->diag, c->arena != NULL, c->where);
    lt_body_types b = {
        .body = lt_attr_find(c->attrs, c->n_attrs, "body"),
        .n_in = n + 2,
        .n_out = c->n_out + 1,
        .first_in = 2,
        .first_out = 1,
        .n = n,
    };
    b.in = LT_ARENA_ARRAY(c->arena, lt_type, (size_t)b.n_in);
    b.out = LT_ARENA_ARRAY(c->arena, lt_type, (size_t)b.n_out);
    if (b.in == NULL || b.out == NULL) {
        return LT_OOM(c->diag);
    }
    b.in[0] = (lt_type){ .cls = LT_TENSOR, .dtype = LATHE_DTYPE_I64 };
    b.in[1] = (lt_type){ .cls = LT_TENSOR, .dtype = LATHE_DTYPE_BOOL };
    for (int k = 0; k < n; k++) {
        if (c->in[k + 2] == NULL) {
            return lt_infer_fail(c, "carried value %d is absent", k);
        }
        b.in[k + 2] = *c->in[k + 2];
    }
    LT_TRY(lt_body_infer(c, &b));
    for (int k = 0; k < n; k++) {
        LT_TRY(lt_body_carried(c, &b, k, &c->out[k]));
    }
    LT_TRY(most_trips(c, &most));
    LT_TRY(lt_infer_fresh(c, lt_dim_const(0), most, &trips));
    for (int i = n; i < c->n_out; i++) {
        LT_TRY(lt_body_stacked(c, i, &b.out[i + 1], 0, trips));
    }
    return LATHE_OK;
}

/* ---- Evaluation ---- */

typedef struct running {
    const lathe_attr *body;
    int n, n_stacks; /* carried values, stacked outputs */
    int64_t number;
    bool going;
    lt_any iteration, condition; /* views of the two above */
    const lt_any **args;         /* iteration, condition, carried values */
    lt_any *results;             /* condition, carried values, stacked outputs */
    lt_carry carry;
    lt_stack *stacks;
} running;

/* A scalar in host memory as a value. */
static lt_any scalar(lathe_dtype dtype, void *data, size_t bytes)
{
    return (lt_any){ .tensor = { .struct_size = sizeof(lt_tensor), .dtype = dtype, .data = data, .bytes = bytes } };
}

static lathe_status iterate(lt_eval *c, running *r, int64_t trips)
{
    r->iteration = scalar(LATHE_DTYPE_I64, &r->number, sizeof r->number);
    r->condition = scalar(LATHE_DTYPE_BOOL, &r->going, sizeof r->going);
    r->args[0] = &r->iteration;
    r->args[1] = &r->condition;
    for (; r->number < trips && r->going; r->number++) {
        LT_TRY(c->run_region(c, r->body, r->args, r->n + 2, r->results, r->n + r->n_stacks + 1));
        const lt_any *next = &r->results[0];
        if (next->cls != LT_TENSOR || next->tensor.dtype != LATHE_DTYPE_BOOL || lt_tensor_count(&next->tensor) != 1) {
            return lt_eval_fail(c, "the body's condition is no single bool");
        }
        bool more = lt_load_i64(LATHE_DTYPE_BOOL, next->tensor.data, 0) != 0;
        for (int k = 0; k < r->n_stacks; k++) {
            LT_TRY(lt_stack_push(c, &r->stacks[k], r->n + k, &r->results[1 + r->n + k]));
        }
        LT_TRY(lt_carry_update(c, &r->carry, r->results + 1));
        for (int k = 0; k < r->n; k++) {
            r->args[k + 2] = &r->carry.values[k];
        }
        r->going = more;
    }
    return LATHE_OK;
}

/* A value that went in as an optional and is none in the end: without an iteration its element, if it has one. */
static lathe_status finish_carried(lt_eval *c, int k, const lt_any *value)
{
    bool wanted = k < c->n_out && c->out[k] != NULL;
    if (!wanted || value->cls != LT_OPTIONAL || c->out[k]->cls == LT_OPTIONAL) {
        return lt_copy_value(c, k, value);
    }
    return value->count > 0 ? lt_copy_value(c, k, &value->items[0])
                            : lt_eval_fail(c, "carried value %d is an optional without a value in the end", k);
}

static lathe_status run(lt_eval *c, running *r)
{
    const lt_tensor *count = lt_in(c, 0), *condition = lt_in(c, 1);
    int64_t trips = count != NULL ? lt_load_i64(count->dtype, count->data, 0) : INT64_MAX;
    r->going = condition == NULL || lt_load_i64(condition->dtype, condition->data, 0) != 0;
    LT_TRY(iterate(c, r, trips));
    for (int k = 0; k < r->n; k++) {
        LT_TRY(finish_carried(c, k, r->args[k + 2]));
    }
    for (int k = 0; k < r->n_stacks; k++) {
        LT_TRY(lt_stack_finish(c, &r->stacks[k], r->n + k, 0, false));
    }
    return LATHE_OK;
}

static lathe_status eval_loop(lt_eval *c)
{
    running r = { .body = lt_attr_find(c->attrs, c->n_attrs, "body"), .n = c->n_in > 2 ? c->n_in - 2 : 0 };
    r.n_stacks = c->n_out - r.n;
    r.args = LT_ARENA_ARRAY(c->scratch, const lt_any *, (size_t)r.n + 2);
    r.results = LT_ARENA_ARRAY(c->scratch, lt_any, (size_t)(r.n + r.n_stacks) + 1);
    r.stacks = LT_ARENA_ARRAY(c->scratch, lt_stack, (size_t)r.n_stacks + 1);
    if (r.args == NULL || r.results == NULL || r.stacks == NULL) {
        return LT_OOM(c->diag);
    }
    LT_CHECK(c->diag, c->run_region != NULL, c->where);
    for (int k = 0; k < r.n; k++) {
        r.args[k + 2] = c->in[k + 2];
        if (r.args[k + 2] == NULL) {
            return lt_eval_fail(c, "carried value %d is absent", k);
        }
    }
    lathe_status status = lt_carry_init(c, &r.carry, r.n);
    if (status == LATHE_OK) {
        status = run(c, &r);
    }
    lt_carry_free(&r.carry);
    for (int k = 0; k < r.n_stacks; k++) {
        lt_stack_free(c, &r.stacks[k]);
    }
    return status;
}

static const lt_attr_spec attrs_loop[] = { { "body", LATHE_ATTR_GRAPH, true }, { 0 } };

/* A trip count; a condition that ends the loop; a value that grows. */
static const char *const samples_loop[] = {
    "i64[] m = {4}, bool[] c = {1}, f32[2] x = rand(1) | y, s = Loop <body = graph (i64[] i, bool[] k, f32[2] a) => "
    "(bool[] k2, f32[2] b, f32[2] d) { k2 = Identity (k) b = Add (a, x) d = Neg (a) }> (m, c, x)",
    "i64[] n = {3}, i64[] o = {0}, i64[] u = {1} | y, s = Loop <body = graph (i64[] i, bool[] k, i64[] a) => "
    "(bool[] k2, i64[] b, i64[] d) { b = Add (a, u) k2 = Less (b, n) d = Mul (b, i) }> (\"\", \"\", o)",
    "i64[] m = {3}, f32[1] x = rand(1) | y = Loop <body = graph (i64[] i, bool[] k, f32[N] a) => (bool[] k2, f32[M] b) "
    "{ k2 = Identity (k) b = Concat <axis = 0> (a, x) }> (m, \"\", x)",
    NULL,
};

LT_OPS(loop) = {
    {
        .name = "Loop",
        .since = 25,
        .traits = LT_OP_REGIONS | LT_OP_DYNAMIC,
        .host_inputs = 1u << 0 | 1u << 1,
        .sig = "(i64? M, bool? cond, any... v_initial) -> (any... v_final_and_scan_outputs)",
        .attrs = attrs_loop,
        .infer = infer_loop,
        .eval = eval_loop,
        .samples = samples_loop,
    },
    { 0 },
};
