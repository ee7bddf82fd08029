/*
 * if.c - If: one of two regions runs. The type of an output is what both branches agree on.
 */
#include "ops/container.h"

/* What is true of both types. */
static lathe_status join(lt_infer *c, const lt_type *a, const lt_type *b, lt_type *out)
{
    *out = *a;
    if (a->cls != b->cls || (a->cls == LT_TENSOR && a->dtype != b->dtype)) {
        return lt_infer_fail(c, "the branches give values of different types");
    }
    if (a->cls != LT_TENSOR) {
        return lt_join_elem(c, a->elem, b->elem, false, &out->elem);
    }
    return lt_join_extents(c, a, b, false, out);
}

/* Contents of the condition: 0 or 1, -1 unknown. */
static lathe_status known_condition(lt_infer *c, int *out)
{
    lt_dim v[LT_CONTENTS_MAX];
    int64_t count;
    LT_TRY(lt_infer_ints(c, 0, v, &count));
    *out = count == 1 && lt_dim_is_const(v[0]) ? v[0].k != 0 : -1;
    return LATHE_OK;
}

/*
 * Exporters write Squeeze for one shape beside a branch for the others, so a branch may be wrong for the shapes at hand: then the other one tells the types.
 * Folding finds out that it is never taken; a plan cannot be made as long as nobody has. `wrong` gets its status. What no shape can make right is refused.
 */
static lathe_status infer_branch(lt_infer *c, const lathe_attr *branch, bool quiet, lt_type *types, lathe_status *wrong)
{
    lt_infer call = *c;
    call.diag = quiet ? NULL : c->diag;
    *wrong = c->region(&call, branch, NULL, 0, types, c->n_out);
    c->broken = c->broken || call.broken;
    return *wrong == LATHE_OUT_OF_MEMORY || *wrong == LATHE_INTERNAL ? *wrong : LATHE_OK;
}

static lathe_status infer_if(lt_infer *c)
{
    const lathe_attr *branches[2] = { lt_attr_find(c->attrs, c->n_attrs, "else_branch"),
                                      lt_attr_find(c->attrs, c->n_attrs, "then_branch") };
    lt_type *types[2];
    lathe_status wrong[2];
    int64_t length;
    int known;
    LT_TRY(lt_move_length(c, 0, &length));
    if (length >= 0 && length != 1) {
        return lt_infer_fail(c, "the condition has %lld elements instead of 1", (long long)length);
    }
    if (c->region == NULL) {
        return LATHE_OK; /* evaluation: the region's own results tell the types */
    }
    LT_CHECK(c->diag, c->arena != NULL, c->where);
    LT_TRY(known_condition(c, &known));
    for (int b = 0; b < 2; b++) {
        types[b] = LT_ARENA_ARRAY(c->arena, lt_type, (size_t)c->n_out + 1);
        if (types[b] == NULL) {
            return LT_OOM(c->diag);
        }
        LT_TRY(infer_branch(c, branches[b], true, types[b], &wrong[b]));
        if (c->broken) {
            return c->diag == NULL ? wrong[b] : c->region(c, branches[b], NULL, 0, types[b], c->n_out); /* once more, for the message */
        }
    }
    if (known < 0 && (wrong[0] != LATHE_OK || wrong[1] != LATHE_OK)) {
        known = wrong[0] != LATHE_OK;
    }
    if (known >= 0 && wrong[known] != LATHE_OK) {
        if (c->diag != NULL) { /* once more, for the message */
            LT_TRY(infer_branch(c, branches[known], false, types[known], &wrong[known]));
        }
        return wrong[known];
    }
    for (int i = 0; i < c->n_out; i++) {
        if (known >= 0) {
            c->out[i] = types[known][i];
        } else {
            LT_TRY(join(c, &types[0][i], &types[1][i], &c->out[i]));
        }
    }
    return LATHE_OK;
}

static lathe_status eval_if(lt_eval *c)
{
    const lt_tensor *condition = lt_in(c, 0);
    bool then = lt_load_i64(condition->dtype, condition->data, 0) != 0;
    lt_any *results = lt_arena_zero(c->scratch, (size_t)c->n_out + 1, sizeof *results, _Alignof(lt_any));
    if (results == NULL) {
        return LT_OOM(c->diag);
    }
    LT_CHECK(c->diag, c->run_region != NULL, c->where);
    LT_TRY(c->run_region(c, lt_attr_find(c->attrs, c->n_attrs, then ? "then_branch" : "else_branch"), NULL, 0, results,
                         c->n_out));
    for (int i = 0; i < c->n_out; i++) {
        LT_TRY(lt_copy_value(c, i, &results[i]));
    }
    return LATHE_OK;
}

static const lt_attr_spec attrs_if[] = { { "then_branch", LATHE_ATTR_GRAPH, true },
                                         { "else_branch", LATHE_ATTR_GRAPH, true },
                                         { 0 } };

static const char *const samples_if[] = {
    "bool[] c = {1}, f32[3] x = rand(1) | y = If <then_branch = graph () => (f32[3] a) { a = Neg (x) }, "
    "else_branch = graph () => (f32[3] b) { b = Abs (x) }> (c)",
    "bool[1] c = {0}, f32[3] x = rand(1), f32[2,1] z = rand(2) | y, v = If <then_branch = graph () => (f32[3] a, "
    "f32[2,1] e) "
    "{ a = Identity (x) e = Abs (z) }, else_branch = graph () => (f32[2,1] b, f32[3] d) { b = Neg (z) d = Neg (x) }> "
    "(c)",
    NULL,
};

LT_OPS(if) = {
    {
        .name = "If",
        .since = 25,
        .traits = LT_OP_REGIONS,
        .host_inputs = 1u << 0,
        .sig = "(bool cond) -> (any... outputs)",
        .attrs = attrs_if,
        .infer = infer_if,
        .eval = eval_if,
        .samples = samples_if,
    },
    { 0 },
};
