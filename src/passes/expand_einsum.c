/*
 * expand_einsum.c - pass expand-einsum: Einsum becomes what has kernels. Letters of both operands that the output names are the batch of a product,
 * those that it does not name are summed; letters of one operand are its rows or columns:
 *
 *   b h i d, b h j d -> b h i j      MatMul(x, Transpose(y))
 *   i k, i k -> i                    ReduceSum(Mul(x, y))
 *   i, j -> i j                      Mul of one beside the other
 *   i j k -> k i                     Transpose(ReduceSum(x))
 *
 * More than two operands go from left to right. What stays: letters that come twice in a term, an ellipsis, extents of one letter that are not
 * certainly the same (one may be 1 and repeat), and shapes that no Reshape can be told: two unknown extents that would have to be merged and parted
 * again. The constant of two operands stands at the right, as weights do.
 */
#include "passes/passes_internal.h"

#include <string.h>

enum { MAX_TERMS = 8, LETTERS = 52 };

typedef struct term {
    int n;
    char letter[LATHE_MAX_RANK];
    lt_value_id value;
} term;

typedef struct equation {
    lt_pass_call *c;
    lt_make make;
    int n_in;
    term in[MAX_TERMS], out;
    lt_dim extent[128]; /* by letter */
} equation;

/* ---- Reading ---- */

static bool holds(const term *t, char letter)
{
    return t->n > 0 && memchr(t->letter, letter, (size_t)t->n) != NULL;
}

static bool is_letter(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* The letters up to the next comma or arrow; false for anything but single letters. */
static bool read_term(const char **at, const char *end, term *t)
{
    for (t->n = 0; *at < end && **at != ',' && **at != '-'; (*at)++) {
        if (**at == ' ') {
            continue;
        }
        if (!is_letter(**at) || t->n >= LATHE_MAX_RANK || holds(t, **at)) {
            return false;
        }
        t->letter[t->n++] = **at;
    }
    return true;
}

/* Without an arrow: what stands once, in the order of the alphabet. */
static void imply_output(equation *q)
{
    q->out.n = 0;
    for (char c = 'A'; c <= 'z'; c++) {
        int times = 0;
        for (int i = 0; i < q->n_in; i++) {
            times += is_letter(c) && holds(&q->in[i], c);
        }
        if (times == 1 && q->out.n < LATHE_MAX_RANK) {
            q->out.letter[q->out.n++] = c;
        }
    }
}

static const char *read_equation(equation *q, const lt_node *node)
{
    const lathe_attr *attr = lt_attr_find(node->attrs, node->n_attrs, "equation");
    const char *at = attr != NULL ? attr->s.data : NULL, *end = at != NULL ? at + attr->s.length : NULL;
    if (at == NULL || node->n_inputs > MAX_TERMS) {
        return "it has too many operands";
    }
    q->n_in = (int)node->n_inputs;
    for (int i = 0; i < q->n_in; i++) {
        if (!read_term(&at, end, &q->in[i])) {
            return "its equation has an ellipsis, or a letter twice in a term";
        }
        q->in[i].value = node->inputs[i];
        at += i + 1 < q->n_in && at < end && *at == ',';
    }
    if (end - at < 2) {
        imply_output(q);
        return NULL;
    }
    at += 2;
    return read_term(&at, end, &q->out) ? NULL : "its output has an ellipsis";
}

/* One extent for each letter, the same wherever it stands. */
static const char *read_extents(equation *q)
{
    lt_graph *graph = q->c->graph;
    bool seen[128] = { false };
    for (int i = 0; i < q->n_in; i++) {
        const lt_value *x = lt_value_get(graph, q->in[i].value);
        if (x == NULL || x->type.cls != LT_TENSOR || x->type.rank != q->in[i].n || !lt_dtype_is_float(x->type.dtype)) {
            return "an operand is not of floats and of the rank that the equation says";
        }
        for (int k = 0; k < x->type.rank; k++) {
            int letter = q->in[i].letter[k] & 127;
            lt_dim d = x->type.dims[k];
            if (seen[letter] && !lt_dim_same(d, q->extent[letter]) && !lt_dim_proves_eq(lt_graph_dims(graph), d, q->extent[letter])) {
                return "a letter may have two extents";
            }
            q->extent[letter] = !seen[letter] || lt_dim_is_const(d) ? d : q->extent[letter];
            seen[letter] = true;
        }
    }
    return NULL;
}

/* ---- One operand ---- */

static bool same_order(const term *a, const term *b)
{
    return a->n == b->n && memcmp(a->letter, b->letter, (size_t)a->n) == 0;
}

/* The axes in the order of `to`, which has the same letters. */
static lathe_status turn(const equation *q, term *t, const term *to)
{
    int64_t perm[LATHE_MAX_RANK] = { 0 };
    if (same_order(t, to)) {
        return LATHE_OK;
    }
    for (int i = 0; i < to->n; i++) {
        perm[i] = (const char *)memchr(t->letter, to->letter[i], (size_t)t->n) - t->letter;
    }
    lathe_attr attr = { .name = "perm", .kind = LATHE_ATTR_INTS, .count = (size_t)to->n, .ints = perm };
    lt_value_id x = t->value;
    *t = *to;
    return lt_make_node(&q->make, "Transpose", &attr, 1, &x, 1, &t->value);
}

/* Sums the letters that nobody else names. */
static lathe_status sum_out(const equation *q, term *t, const term *a, const term *b)
{
    int64_t axes[LATHE_MAX_RANK];
    int n = 0;
    term left = { .n = 0 };
    for (int i = 0; i < t->n; i++) {
        if (holds(a, t->letter[i]) || (b != NULL && holds(b, t->letter[i]))) {
            left.letter[left.n++] = t->letter[i];
        } else {
            axes[n++] = i;
        }
    }
    if (n == 0) {
        return LATHE_OK;
    }
    lathe_attr keep = lt_attr_int("keepdims", 0);
    lt_value_id in[2] = { t->value };
    LT_TRY(lt_make_ints(&q->make, axes, n, &in[1]));
    LT_TRY(lt_make_node(&q->make, "ReduceSum", &keep, 1, in, 2, &left.value));
    *t = left;
    return LATHE_OK;
}

/* ---- Two operands ---- */

/* Letters by what they are to the product; result: batch, rows, columns. */
typedef struct roles {
    term batch, rows, columns, summed;
} roles;

static void push(term *t, char letter)
{
    t->letter[t->n++] = letter;
}

static void append(term *t, const term *more)
{
    for (int i = 0; i < more->n; i++) {
        push(t, more->letter[i]);
    }
}

static roles assign(const term *a, const term *b, const term *out)
{
    roles r = { .batch.n = 0 };
    for (int i = 0; i < out->n; i++) {
        char c = out->letter[i];
        if (holds(a, c) || holds(b, c)) {
            push(holds(a, c) ? holds(b, c) ? &r.batch : &r.rows : &r.columns, c);
        }
    }
    for (int i = 0; i < a->n; i++) {
        if (holds(b, a->letter[i]) && !holds(out, a->letter[i])) {
            push(&r.summed, a->letter[i]);
        }
    }
    return r;
}

/* What a Reshape is told of some letters: their product as one number. 0 stands for the axis at the same place, -1 for one that the rest tells. */
typedef struct shape {
    int n, unknown;
    bool possible;
    int64_t dims[LATHE_MAX_RANK];
} shape;

static void shape_put(shape *s, const equation *q, const char *letters, int n, bool in_place)
{
    int64_t product = 1;
    bool known = true;
    for (int i = 0; i < n; i++) {
        lt_dim d = q->extent[letters[i] & 127];
        s->possible = s->possible && !lt_dim_is(d, 0);
        known = known && lt_dim_is_const(d) && d.k > 0 && lt_i64_mul(product, d.k, &product);
    }
    s->unknown += !known && !in_place;
    s->possible = s->possible && s->n < LATHE_MAX_RANK && s->unknown <= 1;
    if (s->n < LATHE_MAX_RANK) {
        s->dims[s->n++] = known ? product : in_place ? 0 : -1;
    }
}

static void shape_each(shape *s, const equation *q, const term *t, bool in_place)
{
    for (int i = 0; i < t->n; i++) {
        shape_put(s, q, &t->letter[i], 1, in_place);
    }
}

/* Three shapes: of the left operand, the right one and the result; rows of the left one stay apart when nothing is in front of them. */
typedef struct plan {
    roles r;
    bool apart, product; /* product: a MatMul, else Mul */
    shape left, right, out;
} plan;

static plan make_plan(const equation *q, const term *a, const term *b, const term *out)
{
    plan p = { .r = assign(a, b, out), .left.possible = true, .right.possible = true, .out.possible = true };
    const roles *r = &p.r;
    p.product = r->summed.n > 0 && (r->rows.n > 0 || r->columns.n > 0);
    p.apart = p.product && r->batch.n == 0 && r->rows.n > 1;
    shape_each(&p.left, q, &r->batch, true);
    shape_each(&p.right, q, &r->batch, true);
    shape_each(&p.out, q, &r->batch, true);
    if (!p.product) { /* one beside the other */
        shape_each(&p.left, q, &r->rows, true);
        for (int i = 0; i < r->columns.n; i++) {
            shape_put(&p.left, q, NULL, 0, false);
        }
        for (int i = 0; i < r->rows.n; i++) {
            shape_put(&p.right, q, NULL, 0, false);
        }
        shape_each(&p.right, q, &r->columns, r->rows.n == 0);
        shape_each(&p.left, q, &r->summed, r->columns.n == 0);
        shape_each(&p.right, q, &r->summed, r->rows.n == 0);
        return p;
    }
    if (p.apart) {
        shape_each(&p.left, q, &r->rows, true);
        shape_each(&p.out, q, &r->rows, true);
    } else {
        shape_put(&p.left, q, r->rows.letter, r->rows.n, r->rows.n == 1);
        shape_each(&p.out, q, &r->rows, r->rows.n == 1);
    }
    shape_put(&p.left, q, r->summed.letter, r->summed.n, r->summed.n == 1 && (p.apart || r->rows.n == 1));
    shape_put(&p.right, q, r->summed.letter, r->summed.n, r->summed.n == 1);
    shape_put(&p.right, q, r->columns.letter, r->columns.n, r->columns.n == 1 && r->summed.n == 1);
    shape_each(&p.out, q, &r->columns, r->columns.n == 1 && (p.apart || r->rows.n == 1));
    return p;
}

static lathe_status reshape(const equation *q, const shape *s, bool needed, lt_value_id *x)
{
    return needed ? lt_make_reshape(&q->make, *x, s->dims, s->n, x) : LATHE_OK;
}

static term order_of(const term *a, const term *b, const term *c)
{
    term t = { .n = 0 };
    append(&t, a);
    append(&t, b);
    append(&t, c);
    return t;
}

/* The product of two operands whose letters all stand in the other or in `out`, as *a. */
static lathe_status multiply(const equation *q, term *a, term *b, const term *out)
{
    plan p = make_plan(q, a, b, out);
    const roles *r = &p.r;
    term left = order_of(&r->batch, &r->rows, &r->summed), made = order_of(&r->batch, &r->rows, &r->columns),
         right = p.product ? order_of(&r->batch, &r->summed, &r->columns) : order_of(&r->batch, &r->columns, &r->summed);
    LT_TRY(turn(q, a, &left));
    LT_TRY(turn(q, b, &right));
    if (!p.product) {
        LT_TRY(reshape(q, &p.left, r->columns.n > 0, &a->value));
        LT_TRY(reshape(q, &p.right, r->rows.n > 0, &b->value));
        append(&made, &r->summed);
        LT_TRY(lt_make_binary(&q->make, "Mul", a->value, b->value, &made.value));
        *a = made;
        return sum_out(q, a, out, NULL);
    }
    LT_TRY(reshape(q, &p.left, r->summed.n != 1 || (!p.apart && r->rows.n != 1), &a->value));
    LT_TRY(reshape(q, &p.right, r->summed.n != 1 || r->columns.n != 1, &b->value));
    LT_TRY(lt_make_binary(&q->make, "MatMul", a->value, b->value, &made.value));
    LT_TRY(reshape(q, &p.out, r->columns.n != 1 || (!p.apart && r->rows.n != 1), &made.value));
    *a = made;
    return LATHE_OK;
}

/* The letters that the result of operands 0 .. `upto` needs; for the last one those of the output. */
static term needed_after(const equation *q, int upto)
{
    term t = { .n = 0 };
    if (upto == q->n_in - 1) {
        return q->out;
    }
    for (char c = 'A'; c <= 'z'; c++) {
        bool before = false, later = holds(&q->out, c);
        for (int i = 0; i < q->n_in; i++) {
            before = before || (i <= upto && holds(&q->in[i], c));
            later = later || (i > upto && holds(&q->in[i], c));
        }
        if (is_letter(c) && before && later && t.n < LATHE_MAX_RANK) {
            t.letter[t.n++] = c;
        }
    }
    return t;
}

/* The letters of an operand, without those that it alone has. */
static term reduced(const term *t, const term *others, const term *out)
{
    term left = { .value = t->value };
    for (int i = 0; i < t->n; i++) {
        if (holds(out, t->letter[i]) || (others != NULL && holds(others, t->letter[i]))) {
            push(&left, t->letter[i]);
        }
    }
    return left;
}

/* Everything that could fail is asked first. */
static const char *check(const equation *q)
{
    term a = q->in[0];
    lathe_dtype type = lt_value_get(q->c->graph, a.value)->type.dtype;
    for (int i = 1; i < q->n_in; i++) {
        term out = needed_after(q, i), b = reduced(&q->in[i], &a, &out);
        a = reduced(&a, &q->in[i], &out);
        plan p = make_plan(q, &a, &b, &out);
        if (!p.left.possible || !p.right.possible || !p.out.possible) {
            return "more than one extent would have to be found out";
        }
        if (p.r.batch.n + p.r.rows.n + p.r.columns.n + p.r.summed.n > LATHE_MAX_RANK) {
            return "its rank is too large";
        }
        if (!p.product && p.r.summed.n > 0 && type != LATHE_DTYPE_F32 && type != LATHE_DTYPE_F64) {
            return "products of 16 bits would be rounded before they are summed";
        }
        a = order_of(&p.r.batch, &p.r.rows, &p.r.columns);
    }
    return NULL;
}

/* ---- The pass ---- */

static lathe_status write(equation *q, lt_node_id id)
{
    lt_graph *graph = q->c->graph;
    LT_TRY(lt_edit_consume(graph, id, q->c->diag));
    term a = q->in[0];
    for (int i = 1; i < q->n_in; i++) {
        term b = q->in[i], out = needed_after(q, i);
        LT_TRY(sum_out(q, &a, &out, &q->in[i]));
        LT_TRY(sum_out(q, &b, &out, &a));
        bool weights_first = lt_value_is_constant(lt_value_get(graph, a.value)) && !lt_value_is_constant(lt_value_get(graph, b.value));
        LT_TRY(multiply(q, weights_first ? &b : &a, weights_first ? &a : &b, &out));
        a = weights_first ? b : a;
    }
    LT_TRY(sum_out(q, &a, &q->out, NULL));
    LT_TRY(turn(q, &a, &q->out));
    LT_TRY(lt_finish_replace(graph, lt_node_get(graph, id)->outputs[0], a.value, true, q->c->diag));
    q->c->changed = true;
    return lt_remove_unused(graph, id, q->c->diag);
}

static lathe_status visit(lt_pass_call *c, const lt_node *node)
{
    equation *q = lt_node_is(node, "Einsum") ? LT_ARENA_NEW(c->scratch, equation) : NULL;
    if (q == NULL) {
        return lt_node_is(node, "Einsum") ? LT_OOM(c->diag) : LATHE_OK;
    }
    *q = (equation){ .c = c, .make = { .call = c, .at = node->id } };
    const char *why = read_equation(q, node);
    why = why != NULL ? why : read_extents(q);
    why = why != NULL ? why : check(q);
    if (why == NULL && q->n_in == 1 && same_order(&q->in[0], &q->out)) {
        why = "it changes nothing";
    }
    if (why != NULL) {
        lt_pass_note(c, node, "stays an Einsum: %s", why);
        return LATHE_OK;
    }
    LT_TRY(lt_edit_begin(c->graph, c->pass->name, "einsum", c->diag));
    lathe_status status = write(q, node->id);
    lt_edit_end(c->graph);
    return status;
}

LT_PASS(expand_einsum) = {
    .name = "expand-einsum",
    .summary = "Turn Einsum into products of matrices, products of elements, sums and transpositions",
    .needs = "shapes",
    .keeps = "shapes qdq",
    .visit = visit,
};
