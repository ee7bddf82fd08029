/*
 * fuse_activations.c - pass fuse-activations: activation functions that exporters spell out become one operator: Gelu (by erf, by tanh, by sigmoid),
 * HardSigmoid, HardSwish, Sigmoid by tanh, Softplus.
 *
 * A spelling is a polynomial P(x, e) of a value x and of one function value e = f(A(x)), A being a polynomial too. Expanding both makes all orders of
 * operands, all ways to divide by two and to cube the same thing: Gelu is P = x/2 + x*e/2 for e = erf(x/sqrt(2)).
 */
#include "passes/passes_internal.h"

#include <math.h>
#include <stdio.h>

enum { DEGREE = 3, VISITS = 64, NUMBERS = 24, CANDIDATES = 12, CHAIN = 6, DEPTH = 10 };

/* c[i][k] is the factor of x^i * e^k. */
typedef struct poly {
    double c[DEGREE + 1][2];
} poly;

typedef struct spelling {
    lt_pass_call *c;
    lt_value_id x, e;
    lt_node_id atom;
    lt_fusion dying;              /* the root, the atom, what is between and before */
    lt_value_id numbers[NUMBERS]; /* constants that were looked at */
    int n_numbers;
    int visits;
    double lo, hi; /* of Clip */
} spelling;

/* What to put there. */
typedef struct result {
    const char *op, *rule;
    lathe_attr attrs[2];
    size_t n_attrs;
} result;

/* ---- Expanding ---- */

static bool read_number(spelling *s, const lt_value *value, double *out)
{
    if (!lt_value_is_constant(value) || !lt_peek_scalar(value, out) || s->n_numbers == NUMBERS) {
        return false;
    }
    s->numbers[s->n_numbers++] = value->id;
    return true;
}

static bool multiply(const poly *a, const poly *b, poly *out)
{
    *out = (poly){ { { 0 } } };
    for (int i = 0; i <= DEGREE; i++) {
        for (int j = 0; j <= DEGREE; j++) {
            for (int k = 0; k < 4; k++) {
                double product = a->c[i][k & 1] * b->c[j][k >> 1];
                bool fits = i + j <= DEGREE && k != 3;
                if (product != 0 && !fits) {
                    return false;
                }
                if (fits) {
                    out->c[i + j][k != 0] += product;
                }
            }
        }
    }
    return true;
}

static void add_scaled(poly *a, const poly *b, double factor)
{
    for (int i = 0; i <= DEGREE; i++) {
        for (int k = 0; k < 2; k++) {
            a->c[i][k] += factor * b->c[i][k];
        }
    }
}

/* Is it a number, not 0? */
static bool plain_number(const poly *p, double *out)
{
    poly rest = *p;
    *out = p->c[0][0];
    rest.c[0][0] = 0;
    for (int i = 0; i <= DEGREE; i++) {
        if (rest.c[i][0] != 0 || rest.c[i][1] != 0) {
            return false;
        }
    }
    return *out != 0 && isfinite(*out);
}

static bool power(const poly *a, const poly *b, poly *out)
{
    double exponent;
    poly square;
    if (!plain_number(b, &exponent) || !multiply(a, a, &square)) {
        return false;
    }
    if (exponent == 3) {
        return multiply(&square, a, out);
    }
    *out = square;
    return exponent == 2;
}

static bool combine(const lt_node *node, const poly *a, const poly *b, poly *out)
{
    double number;
    *out = *a;
    if (lt_node_is(node, "Mul")) {
        return multiply(a, b, out);
    }
    if (lt_node_is(node, "Pow")) {
        return power(a, b, out);
    }
    if (lt_node_is(node, "Div")) {
        *out = (poly){ { { 0 } } };
        if (!plain_number(b, &number)) {
            return false;
        }
        add_scaled(out, a, 1 / number);
        return true;
    }
    add_scaled(out, b, lt_node_is(node, "Add") ? 1 : -1);
    return true;
}

static bool is_arithmetic(const lt_node *node)
{
    static const char *const names[] = { "Add", "Sub", "Mul", "Div", "Pow" };
    for (size_t i = 0; node != NULL && i < LT_COUNT(names); i++) {
        if (lt_node_is(node, names[i])) {
            return true;
        }
    }
    return false;
}

/* The value as a polynomial of x and e; its nodes are noted. Bounded by DEPTH and VISITS. */
static bool expand(spelling *s, const lt_value *value, int depth, poly *out)
{
    *out = (poly){ { { 0 } } };
    if (value == NULL || depth == DEPTH || s->visits++ == VISITS) {
        return false;
    }
    if (lt_value_same(value->id, s->x) || lt_value_same(value->id, s->e)) {
        bool is_x = lt_value_same(value->id, s->x);
        out->c[is_x][!is_x] = 1;
        return true;
    }
    if (lt_value_is_constant(value)) {
        return read_number(s, value, &out->c[0][0]);
    }
    const lt_graph *graph = s->c->graph;
    const lt_node *node = value->kind == LT_VALUE_RESULT ? lt_node_get(graph, value->def) : NULL,
                  *atom = lt_node_get(graph, s->atom);
    if (!is_arithmetic(node) || node->region != atom->region || !lt_fusion_add(&s->dying, node->id)) {
        return false;
    }
    poly a, b;
    return expand(s, lt_node_in(graph, node, 0), depth + 1, &a) &&
           expand(s, lt_node_in(graph, node, 1), depth + 1, &b) && combine(node, &a, &b, out);
}

/* ---- Known functions ---- */

/* Constants are rounded to the type of the model, and at times multiplied with each other. */
static double tolerance(lathe_dtype dtype)
{
    return dtype == LATHE_DTYPE_BF16 ? 1e-2 : dtype == LATHE_DTYPE_F16 ? 2e-3 : 1e-6;
}

static bool near(double have, double want, lathe_dtype dtype)
{
    return fabs(have - want) <= tolerance(dtype) * fabs(want);
}

/* Does p equal the sum of at most two terms, others being 0? */
static bool is_poly(const poly *p, lathe_dtype dtype, int i, int k, double first, int i2, int k2, double second)
{
    for (int x = 0; x <= DEGREE; x++) {
        for (int e = 0; e < 2; e++) {
            double want = x == i && e == k ? first : x == i2 && e == k2 ? second : 0;
            if (!near(p->c[x][e], want, dtype)) {
                return false;
            }
        }
    }
    return true;
}

static const double root_half = 0.70710678118654752440, root_two_over_pi = 0.79788456080286535588, cubic = 0.044715;

/* e = f(a(x)) with the whole being p(x, e) for functions that are smooth. */
static bool smooth(const spelling *s, const char *f, lathe_dtype t, const poly *a, const poly *p, result *out)
{
    (void)s;
    bool half = is_poly(p, t, 1, 0, 0.5, 1, 1, 0.5), product = is_poly(p, t, 1, 1, 1, 0, 0, 0);
    if (f[0] == 'E' && half && is_poly(a, t, 1, 0, root_half, 0, 0, 0)) {
        *out = (result){ .op = "Gelu", .rule = "gelu" };
        return true;
    }
    double k = f[0] == 'T' ? root_two_over_pi : 2 * root_two_over_pi;
    if ((f[0] == 'T' ? half : f[0] == 'S' && product) && is_poly(a, t, 1, 0, k, 3, 0, k * cubic)) {
        *out = (result){ .op = "Gelu", .rule = "gelu-tanh", .n_attrs = 1 };
        out->attrs[0] = (lathe_attr){ .name = "approximate", .kind = LATHE_ATTR_STRING, .s = { "tanh", 4 } };
        return true;
    }
    if (f[0] == 'T' && is_poly(p, t, 0, 0, 0.5, 0, 1, 0.5) && is_poly(a, t, 1, 0, 0.5, 0, 0, 0)) {
        *out = (result){ .op = "Sigmoid", .rule = "sigmoid" };
        return true;
    }
    return false;
}

static result hard_sigmoid(double alpha, double beta)
{
    result r = { .op = "HardSigmoid", .rule = "hard-sigmoid", .n_attrs = 2 };
    r.attrs[0] = (lathe_attr){ .name = "alpha", .kind = LATHE_ATTR_FLOAT, .f = (float)alpha };
    r.attrs[1] = (lathe_attr){ .name = "beta", .kind = LATHE_ATTR_FLOAT, .f = (float)beta };
    return r;
}

/* e = min(max(a, 0), hi) with a line a; or HardSigmoid, which is that with hi = 1. */
static bool clipped(const spelling *s, lathe_dtype t, const poly *a, const poly *p, result *out)
{
    if (s->lo != 0 || !(s->hi > 0) || !isfinite(s->hi) || a->c[1][0] == 0 ||
        !is_poly(a, t, 1, 0, a->c[1][0], 0, 0, a->c[0][0])) {
        return false;
    }
    double alpha = a->c[1][0] / s->hi, beta = a->c[0][0] / s->hi;
    if (is_poly(p, t, 1, 1, 1 / s->hi, 0, 0, 0) && near(alpha, 1.0 / 6.0, t) && near(beta, 0.5, t)) {
        *out = (result){ .op = "HardSwish", .rule = "hard-swish" };
        return true;
    }
    bool scaled = is_poly(p, t, 0, 1, 1 / s->hi, 0, 0, 0);
    if (scaled && (alpha != 1 || beta != 0)) {
        *out = hard_sigmoid(alpha, beta);
        return true;
    }
    return false;
}

/* ---- Around one function node ---- */

static bool known_float(lathe_dtype dtype)
{
    return dtype == LATHE_DTYPE_F32 || dtype == LATHE_DTYPE_F64 || dtype == LATHE_DTYPE_F16 ||
           dtype == LATHE_DTYPE_BF16;
}

static bool clip_limit(spelling *s, const lt_node *node, uint32_t slot, double *out)
{
    const lt_value *value = lt_node_in(s->c->graph, node, slot);
    return value != NULL && read_number(s, value, out);
}

/* The line inside a HardSigmoid is a part of A. */
static void through_hard_sigmoid(const lt_node *atom, poly *a)
{
    poly line = { { { 0 } } };
    line.c[0][0] = lt_attr_f(atom->attrs, atom->n_attrs, "beta", 0.5f);
    add_scaled(&line, a, lt_attr_f(atom->attrs, atom->n_attrs, "alpha", 0.2f));
    *a = line;
}

/* Is the value of `root` a known function of x, by way of the atom? Fills *s with what goes away. */
static bool recognize(lt_pass_call *c, const lt_node *atom, const lt_value *x, const lt_node *root, spelling *s,
                      result *out)
{
    poly a, p;
    const lt_graph *graph = c->graph;
    const lt_value *y = lt_node_out(graph, root, 0);
    bool hard = lt_node_is(atom, "HardSigmoid"), clip = lt_node_is(atom, "Clip");
    *s = (spelling){ .c = c, .x = x->id, .atom = atom->id, .hi = 1 };
    if (!known_float(x->type.dtype) || !lt_type_proves_same(graph, &x->type, &y->type) ||
        !lt_fusion_add(&s->dying, atom->id) || !expand(s, lt_node_in(graph, atom, 0), 0, &a)) {
        return false;
    }
    if (clip && (!clip_limit(s, atom, 1, &s->lo) || !clip_limit(s, atom, 2, &s->hi))) {
        return false;
    }
    if (hard) {
        through_hard_sigmoid(atom, &a);
    }
    s->e = lt_node_out(graph, atom, 0)->id;
    s->visits = 0;
    if (!expand(s, y, 0, &p)) {
        return false;
    }
    if (hard && !(p.c[1][1] != 0)) {
        return false; /* it is one already */
    }
    return hard || clip ? clipped(s, x->type.dtype, &a, &p, out)
                        : smooth(s, atom->op->name, x->type.dtype, &a, &p, out);
}

/* Values before the atom that x may be: the nearest first. */
static int find_candidates(const lt_graph *graph, const lt_node *atom, const lt_value **out)
{
    int n = 0;
    out[n++] = lt_node_in(graph, atom, 0);
    for (int i = 0; i < n; i++) {
        const lt_node *def = out[i]->kind == LT_VALUE_RESULT ? lt_node_get(graph, out[i]->def) : NULL;
        for (uint32_t k = 0; is_arithmetic(def) && k < 2; k++) {
            const lt_value *value = lt_node_in(graph, def, k);
            bool known = value == NULL || lt_value_is_constant(value) || n == CANDIDATES;
            for (int j = 0; !known && j < n; j++) {
                known = out[j] == value;
            }
            if (!known) {
                out[n++] = value;
            }
        }
    }
    return n;
}

static lathe_status replace(lt_pass_call *c, const spelling *s, lt_node_id root, const result *r)
{
    lt_node_spec spec = { .op = r->op, .attrs = r->attrs, .n_attrs = r->n_attrs, .inputs = &s->x, .n_inputs = 1 };
    double number;
    for (int i = 0; i < s->n_numbers; i++) {
        (void)lt_graph_scalar(c->graph, s->numbers[i], &number);
    }
    return lt_fusion_replace(c, &s->dying, root, &spec);
}

static lathe_status edit(lt_pass_call *c, const spelling *s, lt_node_id root, const result *r)
{
    LT_TRY(lt_edit_begin(c->graph, c->pass->name, r->rule, c->diag));
    lathe_status status = replace(c, s, root, r);
    lt_edit_end(c->graph);
    return status;
}

/* The nodes that the atom's value goes through, one after the other, starting with the atom. */
static int find_chain(const lt_graph *graph, const lt_node *atom, const lt_node **out)
{
    int n = 0;
    const lt_node *at = atom;
    while (n < CHAIN) {
        const lt_value *value = lt_node_out(graph, at, 0);
        out[n++] = at;
        if (!lt_value_single(value)) {
            break;
        }
        at = lt_node_get(graph, value->uses[0].node);
        if (!is_arithmetic(at) || at->region != atom->region) {
            break;
        }
    }
    return n;
}

/* The longest chain that is known, from the value that is farthest back. */
static lathe_status visit_atom(lt_pass_call *c, const lt_node *atom)
{
    const lt_value *candidates[CANDIDATES + 1];
    const lt_node *chain[CHAIN];
    int n = find_candidates(c->graph, atom, candidates), length = find_chain(c->graph, atom, chain);
    for (int k = length - 1; k >= 0; k--) {
        for (int i = n - 1; i >= 0; i--) {
            spelling s;
            result r;
            if (!recognize(c, atom, candidates[i], chain[k], &s, &r)) {
                continue;
            }
            if (lt_fusion_closed(&s.dying, c->graph, chain[k]->id)) {
                return edit(c, &s, chain[k]->id, &r);
            }
            lt_pass_note(c, chain[k], "%s: something else reads a value inside", r.rule);
        }
    }
    return LATHE_OK;
}

static bool is_atom(const lt_node *node)
{
    static const char *const names[] = { "Erf", "Tanh", "Sigmoid", "Clip", "HardSigmoid" };
    for (size_t i = 0; i < LT_COUNT(names); i++) {
        if (lt_node_is(node, names[i])) {
            return true;
        }
    }
    return false;
}

static lathe_status visit(lt_pass_call *c, const lt_node *node)
{
    const lt_value *x = is_atom(node) ? lt_node_in(c->graph, node, 0) : NULL;
    bool tensor = x != NULL && !lt_value_is_constant(x) && x->type.cls == LT_TENSOR && lt_node_out(c->graph, node, 0) != NULL;
    return tensor ? visit_atom(c, node) : LATHE_OK;
}

/* ---- What rules can say ---- */

/* Limits of a Clip are scalars, and must not widen the result. */
static bool scalar_limits(lt_pass_call *c, lt_match *m, char *why, size_t why_size)
{
    const lt_value *x = lt_match_value(m, "x"), *y = lt_node_out(c->graph, lt_match_root(m), 0);
    double lo, hi;
    if (lt_match_value(m, "a")->type.rank != 0 || lt_match_value(m, "b")->type.rank != 0) {
        snprintf(why, why_size, "a limit is no scalar");
        return false;
    }
    (void)lt_peek_scalar(lt_match_value(m, "a"), &lo);
    (void)lt_peek_scalar(lt_match_value(m, "b"), &hi);
    return lo <= hi && known_float(x->type.dtype) && lt_type_proves_same(c->graph, &x->type, &y->type);
}

/* log(1 + exp(x)) overflows where softplus does not, and agrees elsewhere. */
static bool keeps_type(lt_pass_call *c, lt_match *m, char *why, size_t why_size)
{
    const lt_value *x = lt_match_value(m, "x"), *y = lt_node_out(c->graph, lt_match_root(m), 0);
    (void)why;
    (void)why_size;
    return lt_type_proves_same(c->graph, &x->type, &y->type);
}

static const lt_rule rules[] = {
    { .name = "clip",
      .pattern = "Min(Max(x, a:scalar), b:scalar)",
      .replacement = "Clip(x, a, b)",
      .guard = scalar_limits },
    { .name = "softplus", .pattern = "Log(Add(Exp(x), 1))", .replacement = "Softplus(x)", .guard = keeps_type },
    { .name = NULL },
};

LT_PASS(fuse_activations) = {
    .name = "fuse-activations",
    .summary =
        "Recognise activation functions in their spellings: Gelu, HardSwish, HardSigmoid, Sigmoid, Softplus, Clip",
    .needs = "shapes",
    .keeps = "shapes qdq",
    .rules = rules,
    .visit = visit,
};
