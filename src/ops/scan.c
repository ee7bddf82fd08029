/*
 * scan.c - Scan: a body that runs over slices of its inputs, carrying states and stacking outputs.
 */
#include "ops/loop_internal.h"

/* Element k of an INTS attribute; 0 where it is absent. Lengths are checked by infer. */
static int64_t nth(const lathe_attr *attrs, size_t n_attrs, const char *name, int k)
{
    size_t count;
    const int64_t *ints = lt_attr_ints(attrs, n_attrs, name, &count);
    return ints != NULL && (size_t)k < count ? ints[k] : 0;
}

/* ---- Inference ---- */

static lathe_status check_list(lt_infer *c, const char *name, int expected, bool direction)
{
    size_t count;
    const int64_t *ints = lt_attr_ints(c->attrs, c->n_attrs, name, &count);
    if (ints != NULL && count != (size_t)expected) {
        return lt_infer_fail(c, "%s has %zu elements instead of %d", name, count, expected);
    }
    for (size_t k = 0; k < count && direction; k++) {
        if (ints[k] != 0 && ints[k] != 1) {
            return lt_infer_fail(c, "%s holds %lld; only 0 and 1 are directions", name, (long long)ints[k]);
        }
    }
    return LATHE_OK;
}

/* The type of one slice, and the number of slices. */
static lathe_status slice_type(lt_infer *c, int k, const lt_type *x, lt_type *slice, lt_dim *length)
{
    int axis;
    *slice = *x;
    if (x->cls != LT_TENSOR) {
        return lt_infer_fail(c, "scan input %d is no tensor", k);
    }
    if (x->rank < 0) {
        return LATHE_OK;
    }
    LT_TRY(lt_infer_axis(c, nth(c->attrs, c->n_attrs, "scan_input_axes", k), x->rank, &axis));
    if (lt_dim_is(*length, -1)) {
        *length = x->dims[axis];
    }
    LT_TRY(lt_move_equal(c, *length, x->dims[axis], "the lengths of the scan inputs", length));
    slice->rank = x->rank - 1;
    for (int i = axis; i < slice->rank; i++) {
        slice->dims[i] = x->dims[i + 1];
    }
    return LATHE_OK;
}

static lathe_status infer_outputs(lt_infer *c, lt_body_types *b, lt_dim length)
{
    for (int k = 0; k < b->n; k++) {
        LT_TRY(lt_body_carried(c, b, k, &c->out[k]));
    }
    if (lt_dim_is(length, -1)) {
        LT_TRY(lt_infer_fresh(c, lt_dim_const(0), lt_dim_const(INT64_MAX), &length));
    }
    for (int i = b->n; i < c->n_out; i++) {
        LT_TRY(lt_body_stacked(c, i, &b->out[i], nth(c->attrs, c->n_attrs, "scan_output_axes", i - b->n), length));
    }
    return LATHE_OK;
}

static lathe_status infer_scan(lt_infer *c)
{
    int64_t inputs = lt_attr_i(c->attrs, c->n_attrs, "num_scan_inputs", 0);
    if (inputs < 1 || inputs > c->n_in || c->n_out < c->n_in - inputs) {
        return lt_infer_fail(c, "num_scan_inputs is %lld for %d inputs and %d outputs", (long long)inputs, c->n_in,
                             c->n_out);
    }
    int n = c->n_in - (int)inputs;
    lt_dim length = LT_UNKNOWN_DIM;
    LT_TRY(check_list(c, "scan_input_axes", (int)inputs, false));
    LT_TRY(check_list(c, "scan_input_directions", (int)inputs, true));
    LT_TRY(check_list(c, "scan_output_axes", c->n_out - n, false));
    LT_TRY(check_list(c, "scan_output_directions", c->n_out - n, true));
    lt_type slice;
    for (int k = 0; k < c->n_in; k++) {
        if (c->in[k] == NULL) {
            return lt_infer_fail(c, "input %d is absent", k);
        }
        if (k >= n) {
            LT_TRY(slice_type(c, k - n, c->in[k], &slice, &length));
        }
    }
    if (c->region == NULL) {
        return LATHE_OK; /* evaluation: the iterations tell the types */
    }
    LT_CHECK(c->diag, c->arena != NULL, c->where);
    lt_body_types b = {
        .body = lt_attr_find(c->attrs, c->n_attrs, "body"), .n_in = c->n_in, .n_out = c->n_out, .n = n
    };
    b.in = LT_ARENA_ARRAY(c->arena, lt_type, (size_t)b.n_in);
    b.out = LT_ARENA_ARRAY(c->arena, lt_type, (size_t)b.n_out + 1);
    if (b.in == NULL || b.out == NULL) {
        return LT_OOM(c->diag);
    }
    for (int k = 0; k < c->n_in; k++) {
        b.in[k] = *c->in[k];
        if (k >= n) {
            LT_TRY(slice_type(c, k - n, c->in[k], &b.in[k], &length));
        }
    }
    LT_TRY(lt_body_infer(c, &b));
    return infer_outputs(c, &b, length);
}

/* ---- Evaluation ---- */

typedef struct scanned {
    lt_any slice; /* what the body sees */
    lt_raw all, part;
    lt_axis_span span;
    bool backward;
} scanned;

typedef struct running {
    const lathe_attr *body;
    int n, n_inputs, n_stacks;
    int64_t length;
    const lt_any **args;
    lt_any *results;
    scanned *inputs;
    lt_carry carry;
    lt_stack *stacks;
} running;

static lathe_status open_input(lt_eval *c, int k, const lt_any *value, scanned *s)
{
    const lt_tensor *x = &value->tensor;
    int64_t axis = nth(c->attrs, c->n_attrs, "scan_input_axes", k), dims[LATHE_MAX_RANK];
    axis = axis < 0 ? axis + x->rank : axis;
    for (int i = 0; i < x->rank - 1; i++) {
        dims[i] = x->dims[i < axis ? i : i + 1];
    }
    s->backward = nth(c->attrs, c->n_attrs, "scan_input_directions", k) != 0;
    s->span = lt_span(x->rank, x->dims, (int)axis);
    s->slice.cls = LT_TENSOR;
    LT_TRY(lt_tensor_alloc(c->scratch, &s->slice.tensor, x->dtype, x->rank - 1, dims, "a slice", c->diag));
    LT_TRY(lt_raw_in(c, x, &s->all));
    return lt_raw_out(c, &s->slice.tensor, &s->part);
}

static lathe_status load_slice(lt_eval *c, scanned *s, int64_t t)
{
    size_t row = (size_t)s->span.inner * s->all.elem;
    int64_t at = s->backward ? s->span.extent - 1 - t : t;
    for (int64_t o = 0; o < s->span.outer && row > 0; o++) {
        lt_copy_bytes(s->part.data + (size_t)o * row, s->all.data + (size_t)(o * s->span.extent + at) * row, row);
    }
    /* Strings of a slice may point into the input, which outlives the iteration. */
    return s->slice.tensor.dtype == LATHE_DTYPE_STRING ? LATHE_OK : lt_raw_done(c, &s->slice.tensor, &s->part);
}

static lathe_status run(lt_eval *c, running *r)
{
    for (int64_t t = 0; t < r->length; t++) {
        for (int k = 0; k < r->n_inputs; k++) {
            LT_TRY(load_slice(c, &r->inputs[k], t));
        }
        LT_TRY(c->run_region(c, r->body, r->args, r->n + r->n_inputs, r->results, r->n + r->n_stacks));
        for (int k = 0; k < r->n_stacks; k++) {
            LT_TRY(lt_stack_push(c, &r->stacks[k], r->n + k, &r->results[r->n + k]));
        }
        LT_TRY(lt_carry_update(c, &r->carry, r->results));
        for (int k = 0; k < r->n; k++) {
            r->args[k] = &r->carry.values[k];
        }
    }
    for (int k = 0; k < r->n; k++) {
        LT_TRY(lt_copy_value(c, k, r->args[k]));
    }
    for (int k = 0; k < r->n_stacks; k++) {
        int64_t axis = nth(c->attrs, c->n_attrs, "scan_output_axes", k);
        bool reverse = nth(c->attrs, c->n_attrs, "scan_output_directions", k) != 0;
        LT_TRY(lt_stack_finish(c, &r->stacks[k], r->n + k, axis, reverse));
    }
    return LATHE_OK;
}

static lathe_status eval_scan(lt_eval *c)
{
    running r = { .body = lt_attr_find(c->attrs, c->n_attrs, "body") };
    r.n_inputs = (int)lt_attr_i(c->attrs, c->n_attrs, "num_scan_inputs", 0);
    r.n = c->n_in - r.n_inputs;
    r.n_stacks = c->n_out - r.n;
    r.args = LT_ARENA_ARRAY(c->scratch, const lt_any *, (size_t)c->n_in + 1);
    r.results = LT_ARENA_ARRAY(c->scratch, lt_any, (size_t)c->n_out + 1);
    r.inputs = LT_ARENA_ARRAY(c->scratch, scanned, (size_t)r.n_inputs + 1);
    r.stacks = LT_ARENA_ARRAY(c->scratch, lt_stack, (size_t)r.n_stacks + 1);
    if (r.args == NULL || r.results == NULL || r.inputs == NULL || r.stacks == NULL) {
        return LT_OOM(c->diag);
    }
    LT_CHECK(c->diag, c->run_region != NULL, c->where);
    for (int k = 0; k < r.n; k++) {
        r.args[k] = c->in[k];
    }
    for (int k = 0; k < r.n_inputs; k++) {
        LT_TRY(open_input(c, k, c->in[r.n + k], &r.inputs[k]));
        r.args[r.n + k] = &r.inputs[k].slice;
    }
    r.length = r.inputs[0].span.extent;
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

static const lt_attr_spec attrs_scan[] = {
    { "body", LATHE_ATTR_GRAPH, true },
    { "num_scan_inputs", LATHE_ATTR_INT, true },
    { "scan_input_axes", LATHE_ATTR_INTS, false },
    { "scan_input_directions", LATHE_ATTR_INTS, false },
    { "scan_output_axes", LATHE_ATTR_INTS, false },
    { "scan_output_directions", LATHE_ATTR_INTS, false },
    { 0 },
};

static const char *const samples_scan[] = {
    "f32[2] o = splat(0.0), f32[3,2] x = rand(1) | y, s = Scan <num_scan_inputs = 1, body = graph (f32[2] a, f32[2] e) "
    "=> "
    "(f32[2] b, f32[2] d) { b = Add (a, e) d = Neg (b) }> (o, x)",
    "f32[2,3] x = rand(1), f32[3,4] z = rand(2), i64[1] q = {1} | s = Scan <num_scan_inputs = 2, scan_input_axes = [1, "
    "-2], "
    "scan_input_directions = [1, 0], scan_output_axes = [-1], scan_output_directions = [1], "
    "body = graph (f32[2] a, f32[4] e) => (f32[2,4] b) { i = Unsqueeze (a, q) b = Mul (i, e) }> (x, z)",
    NULL,
};

LT_OPS(scan) = {
    {
        .name = "Scan",
        .since = 25,
        .traits = LT_OP_REGIONS,
        .sig = "(any... initial_state_and_scan_inputs) -> (any... final_state_and_scan_outputs)",
        .attrs = attrs_scan,
        .infer = infer_scan,
        .eval = eval_scan,
        .samples = samples_scan,
    },
    { 0 },
};
