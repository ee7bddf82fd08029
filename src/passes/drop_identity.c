/*
 * drop_identity.c - pass drop-identity: nodes that give their input back unchanged, bit by bit, and pairs of data movements that make one.
 *
 * The rule engine checks that a value that takes the place of another one has the same type and provably the same shape, so that "x" as a
 * replacement already refuses broadcasts.
 */
#include "passes/passes_internal.h"

#include <stdio.h>

/* Dropout keeps its input unless the model asks for training. */
static bool not_training(lt_pass_call *c, lt_match *m, char *why, size_t why_size)
{
    double training;
    const lt_value *mode = lt_node_in(c->graph, lt_match_root(m), 2);
    if (mode == NULL || (lt_graph_scalar(c->graph, mode->id, &training) && training == 0)) {
        return true;
    }
    snprintf(why, why_size, "training_mode is not a constant false");
    return false;
}

/* perm, or the reversed order that its absence means. False: the rank is not known. */
static bool read_perm(const lathe_attr *perm, const lt_value *x, int64_t *out, int *rank)
{
    *rank = x->type.rank;
    if (*rank < 0 || (perm != NULL && perm->count != (size_t)*rank)) {
        return false;
    }
    for (int i = 0; i < *rank; i++) {
        out[i] = perm != NULL ? perm->ints[i] : *rank - 1 - i;
        if (out[i] < 0 || out[i] >= *rank) {
            return false;
        }
    }
    return true;
}

static bool perm_is_identity(lt_pass_call *c, lt_match *m, char *why, size_t why_size)
{
    int64_t perm[LATHE_MAX_RANK];
    int rank;
    (void)c;
    (void)why;
    (void)why_size;
    if (!read_perm(lt_match_attr(m, "p"), lt_match_value(m, "x"), perm, &rank)) {
        return false;
    }
    for (int i = 0; i < rank; i++) {
        if (perm[i] != i) {
            return false;
        }
    }
    return true;
}

static bool compose_perms(lt_pass_call *c, lt_match *m, char *why, size_t why_size)
{
    int64_t p[LATHE_MAX_RANK], q[LATHE_MAX_RANK], r[LATHE_MAX_RANK];
    const lt_value *x = lt_match_value(m, "x");
    int rank;
    (void)c;
    (void)why;
    (void)why_size;
    if (!read_perm(lt_match_attr(m, "p"), x, p, &rank) || !read_perm(lt_match_attr(m, "q"), x, q, &rank)) {
        return false;
    }
    for (int i = 0; i < rank; i++) {
        r[i] = p[q[i]];
    }
    lt_match_set_ints(m, "r", r, (size_t)rank);
    return true;
}

/* What is transposed there and back again is the value itself, whoever else reads what lies between. */
static bool perms_cancel(lt_pass_call *c, lt_match *m, char *why, size_t why_size)
{
    int64_t p[LATHE_MAX_RANK], q[LATHE_MAX_RANK];
    const lt_value *x = lt_match_value(m, "x");
    int rank;
    (void)c;
    (void)why;
    (void)why_size;
    if (!read_perm(lt_match_attr(m, "p"), x, p, &rank) || !read_perm(lt_match_attr(m, "q"), x, q, &rank)) {
        return false;
    }
    for (int i = 0; i < rank; i++) {
        if (p[q[i]] != i) {
            return false;
        }
    }
    return true;
}

/* The shape is the same because of what stands in the shape input: that is an assumption when it is a constant. */
static bool assume_shape(lt_pass_call *c, lt_match *m, char *why, size_t why_size)
{
    (void)why;
    (void)why_size;
    m->status = lt_assume_shape_inputs(c->graph, lt_match_root(m), c->diag);
    return m->status == LATHE_OK;
}

/* Is input `slot` absent, or a constant whose integers all equal `number`? */
static bool ints_all(lt_pass_call *c, const lt_node *node, uint32_t slot, int64_t number)
{
    int64_t ints[LT_CONTENTS_MAX];
    int count;
    const lt_value *value = lt_node_in(c->graph, node, slot);
    if (value == NULL) {
        return true;
    }
    if (!lt_peek_ints(value, ints, LT_CONTENTS_MAX, &count)) {
        return false;
    }
    for (int i = 0; i < count; i++) {
        if (ints[i] != number) {
            return false;
        }
    }
    return lt_graph_assume(c->graph, value->id, LT_ASSUME_BYTES, 0, c->diag) == LATHE_OK;
}

/* Steps of 1 and an equal shape leave no choice for where a slice begins. */
static bool steps_are_one(lt_pass_call *c, lt_match *m, char *why, size_t why_size)
{
    return ints_all(c, lt_match_root(m), 4, 1) && assume_shape(c, m, why, why_size);
}

static bool pads_are_zero(lt_pass_call *c, lt_match *m, char *why, size_t why_size)
{
    (void)why;
    (void)why_size;
    return ints_all(c, lt_match_root(m), 1, 0);
}

static bool one_output(lt_pass_call *c, lt_match *m, char *why, size_t why_size)
{
    (void)c;
    (void)why;
    (void)why_size;
    return lt_match_root(m)->n_outputs == 1;
}

/* A 0 in the outer shape copies an extent of the value in between. */
static bool shape_has_no_zero(lt_pass_call *c, lt_match *m, char *why, size_t why_size)
{
    int64_t ints[LATHE_MAX_RANK];
    int count;
    const lt_value *shape = lt_match_value(m, "s");
    if (!lt_peek_ints(shape, ints, LATHE_MAX_RANK, &count)) {
        return false;
    }
    for (int i = 0; i < count; i++) {
        if (ints[i] == 0) {
            snprintf(why, why_size, "the outer shape copies an extent of the inner one");
            return false;
        }
    }
    m->status = lt_graph_assume(c->graph, shape->id, LT_ASSUME_BYTES, 0, c->diag);
    return m->status == LATHE_OK;
}

/* Can `to` hold every value of `from` exactly? */
static bool lossless(lathe_dtype from, lathe_dtype to)
{
    const lt_dtype_info *a = lt_dtype_get(from), *b = lt_dtype_get(to);
    if (a->kind == LT_KIND_BOOL) {
        return b->kind == LT_KIND_SIGNED || b->kind == LT_KIND_UNSIGNED || (b->kind == LT_KIND_FLOAT && b->bits >= 16);
    }
    if (a->kind == LT_KIND_FLOAT) {
        return b->kind == LT_KIND_FLOAT && a->bits >= 16 && b->mantissa >= a->mantissa && b->exponent >= a->exponent;
    }
    if (a->kind != LT_KIND_SIGNED && a->kind != LT_KIND_UNSIGNED) {
        return false;
    }
    int digits = a->bits - (a->kind == LT_KIND_SIGNED);
    if (b->kind == LT_KIND_FLOAT) {
        return b->bits >= 32 && digits <= b->mantissa;
    }
    if (b->kind == LT_KIND_UNSIGNED) {
        return a->kind == LT_KIND_UNSIGNED && digits <= b->bits;
    }
    return b->kind == LT_KIND_SIGNED && digits <= b->bits - 1;
}

static bool inner_cast_is_lossless(lt_pass_call *c, lt_match *m, char *why, size_t why_size)
{
    (void)c;
    (void)why;
    (void)why_size;
    const lt_value *x = lt_match_value(m, "x"), *y = lt_match_value(m, "i");
    return lossless(x->type.dtype, y->type.dtype);
}

static const lt_rule rules[] = {
    { .name = "identity", .pattern = "Identity(x)", .replacement = "x", .keeps_shape = true },
    { .name = "dropout", .pattern = "Dropout(x, ...)", .replacement = "x", .guard = not_training, .keeps_shape = true },
    { .name = "cast-same", .pattern = "Cast(x)", .replacement = "x", .keeps_shape = true },
    { .name = "cast-cast", .pattern = "i = Cast(x); c = Cast(i)", .replacement = "Cast<*c>(x)", .guard = inner_cast_is_lossless },
    { .name = "transpose-none", .pattern = "Transpose<perm=p>(x)", .replacement = "x", .guard = perm_is_identity },
    { .name = "transpose-back", .pattern = "Transpose<perm=q>(!Transpose<perm=p>(x))", .replacement = "x", .guard = perms_cancel },
    { .name = "transpose-transpose", .pattern = "Transpose<perm=q>(Transpose<perm=p>(x))", .replacement = "Transpose<perm=r>(x)",
      .guard = compose_perms },
    { .name = "view-same", .pattern = "Reshape|Flatten|Squeeze|Unsqueeze(x, ...)", .replacement = "x", .guard = assume_shape },
    { .name = "view-view", .pattern = "r = Reshape(Reshape|Flatten|Squeeze|Unsqueeze(x, ...), s:const)", .replacement = "Reshape<*r>(x, s)",
      .guard = shape_has_no_zero },
    { .name = "view-back", .pattern = "Reshape|Flatten|Squeeze|Unsqueeze(!Reshape|Flatten|Squeeze|Unsqueeze(x, ...), ...)", .replacement = "x",
      .guard = assume_shape },
    { .name = "pad-nothing", .pattern = "Pad(x, p:const, ...)", .replacement = "x", .guard = pads_are_zero },
    { .name = "slice-all", .pattern = "Slice(x, ...)", .replacement = "x", .guard = steps_are_one },
    { .name = "only-one", .pattern = "Concat|Sum|Max|Min|Mean(x)", .replacement = "x" },
    { .name = "expand-same", .pattern = "Expand|Tile(x, _)", .replacement = "x", .guard = assume_shape },
    { .name = "split-one", .pattern = "Split(x, ...)", .replacement = "x", .guard = one_output },
    { .name = "clip-nothing", .pattern = "Clip(x)", .replacement = "x", .keeps_shape = true },
    { .name = "mul-one", .pattern = "Mul(x, 1)", .replacement = "x" },
    { .name = "div-one", .pattern = "Div|Pow(x, 1)", .replacement = "x" },
    /* x + 0.0 turns -0.0 into 0.0, so only -0.0 may go; x - 0.0 keeps every x. Integers have one zero. */
    { .name = "add-zero", .pattern = "Add(x, -0.0)", .replacement = "x" },
    { .name = "sub-zero", .pattern = "Sub(x, 0.0)", .replacement = "x" },
    { .name = "and-true", .pattern = "And(x, 1)", .replacement = "x" },
    { .name = "or-false", .pattern = "Or(x, 0)", .replacement = "x" },
    { .name = "where-same", .pattern = "Where(_, x, x)", .replacement = "x" },
    { .name = "where-true", .pattern = "Where(1, x, _)", .replacement = "x" },
    { .name = "where-false", .pattern = "Where(0, _, x)", .replacement = "x" },
    { .name = "twice", .pattern = "Not(Not(x))", .replacement = "x", .keeps_shape = true },
    { .name = "negate-twice", .pattern = "Neg(Neg(x))", .replacement = "x", .keeps_shape = true },
    { .name = "relu-relu", .pattern = "r = !Relu(x); Relu(r)", .replacement = "r", .keeps_shape = true },
    { .name = NULL },
};

LT_PASS(drop_identity) = {
    .name = "drop-identity",
    .summary = "Remove nodes that change nothing (x * 1, Identity, a Reshape to the same shape) and join pairs of Transpose, Reshape and Cast",
    .needs = "shapes",
    .keeps = "shapes qdq",
    .rules = rules,
};
