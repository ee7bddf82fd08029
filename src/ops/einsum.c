/*
 * einsum.c - Einsum: products of elements summed over the letters of an equation that its output does not name. Sums
 * are in f64, or modulo 2^64 for integers.
 */
#include "ops/move.h"

#include <string.h>

/* Labels: 52 letters, then the axes under an ellipsis, counted from the right. */
enum { LETTERS = 52, LABELS = LETTERS + LATHE_MAX_RANK, MAX_OPERANDS = 32 };

typedef struct equation {
    int n_in;
    int rank[MAX_OPERANDS], axes[MAX_OPERANDS][LATHE_MAX_RANK]; /* label of every axis */
    int out_rank, out[LABELS];
    int ellipsis;     /* axes under the ellipsis, the most of any operand */
    int seen[LABELS]; /* how often a label stands in the operands */
} equation;

/* ---- Parsing ---- */

static int letter_label(char c)
{
    return c >= 'A' && c <= 'Z' ? c - 'A' : c >= 'a' && c <= 'z' ? 26 + c - 'a' : -1;
}

static const char *skip_blank(const char *at, const char *end)
{
    while (at < end && *at == ' ') {
        at++;
    }
    return at;
}

static bool take(const char **at, const char *end, const char *text)
{
    size_t length = strlen(text);
    *at = skip_blank(*at, end);
    if ((size_t)(end - *at) < length || memcmp(*at, text, length) != 0) {
        return false;
    }
    *at += length;
    return true;
}

/*
 * Letters of one term; -1 stands for the ellipsis. Returns their number, -1 when they are too many or the ellipsis
 * comes twice.
 */
static int read_term(const char **at, const char *end, int *labels, int most, bool *has_ellipsis)
{
    int count = 0;
    *has_ellipsis = false;
    for (;;) {
        *at = skip_blank(*at, end);
        bool dots = take(at, end, "...");
        int label = !dots && *at < end ? letter_label(**at) : -1;
        if (!dots && label < 0) {
            return count;
        }
        if (count >= most || (dots && *has_ellipsis)) {
            return -1;
        }
        *has_ellipsis = *has_ellipsis || dots;
        *at += !dots;
        labels[count++] = dots ? -1 : label;
    }
}

/* Lays the term of operand i over its axes. */
static lathe_status place_term(lt_infer *c, equation *q, int i, const int *labels, int count, bool has_ellipsis)
{
    int rank = c->in[i]->rank, free_axes = rank - (count - has_ellipsis), axis = 0;
    if (free_axes < 0 || (!has_ellipsis && free_axes != 0)) {
        return lt_infer_fail(c, "the equation does not fit the rank %d of input %d", rank, i);
    }
    q->rank[i] = rank;
    q->ellipsis = has_ellipsis && free_axes > q->ellipsis ? free_axes : q->ellipsis;
    for (int k = 0; k < count; k++) {
        if (labels[k] >= 0) {
            q->axes[i][axis++] = labels[k];
            q->seen[labels[k]]++;
        }
        for (int e = free_axes; labels[k] < 0 && e > 0; e--) {
            q->axes[i][axis++] = LETTERS + e - 1;
            q->seen[LETTERS + e - 1]++;
        }
    }
    return LATHE_OK;
}

static void put_ellipsis(equation *q)
{
    for (int e = q->ellipsis; e > 0; e--) {
        q->out[q->out_rank++] = LETTERS + e - 1;
    }
}

static lathe_status read_output(lt_infer *c, equation *q, const char **at, const char *end)
{
    int labels[LABELS];
    bool has_ellipsis, used[LABELS] = { false };
    if (!take(at, end, "->")) {
        put_ellipsis(q);
        for (int label = 0; label < LETTERS; label++) {
            if (q->seen[label] == 1) {
                q->out[q->out_rank++] = label;
            }
        }
        return LATHE_OK;
    }
    int count = read_term(at, end, labels, LABELS - LATHE_MAX_RANK, &has_ellipsis);
    if (count < 0) {
        return lt_infer_fail(c, "the output of the equation is too long");
    }
    for (int k = 0; k < count; k++) {
        if (labels[k] < 0) {
            put_ellipsis(q);
            continue;
        }
        if (q->seen[labels[k]] == 0 || used[labels[k]]) {
            return lt_infer_fail(c, "a letter of the equation's output is in no input, or comes twice");
        }
        used[labels[k]] = true;
        q->out[q->out_rank++] = labels[k];
    }
    return LATHE_OK;
}

static lathe_status read_equation(lt_infer *c, equation *q)
{
    const lathe_attr *attr = lt_attr_find(c->attrs, c->n_attrs, "equation");
    const char *at = attr->s.data, *end = at + attr->s.length;
    int labels[LATHE_MAX_RANK + 1];
    bool has_ellipsis;
    memset(q, 0, sizeof *q);
    q->n_in = c->n_in;
    for (int i = 0; i < c->n_in; i++) {
        if (i > 0 && !take(&at, end, ",")) {
            return lt_infer_fail(c, "the equation has fewer terms than there are inputs");
        }
        int count = read_term(&at, end, labels, LATHE_MAX_RANK + 1, &has_ellipsis);
        if (count < 0) {
            return lt_infer_fail(c, "term %d of the equation is too long", i);
        }
        LT_TRY(place_term(c, q, i, labels, count, has_ellipsis));
    }
    LT_TRY(read_output(c, q, &at, end));
    if (skip_blank(at, end) != end) {
        return lt_infer_fail(c, "the equation has a character out of place at position %d", (int)(at - attr->s.data));
    }
    if (q->out_rank > LATHE_MAX_RANK) {
        return lt_infer_fail(c, "the output has rank %d; at most %d is possible", q->out_rank, LATHE_MAX_RANK);
    }
    return LATHE_OK;
}

/* ---- Inference ---- */

/* The letter's extent in one operand: where it stands there twice, a diagonal is meant, and both must be equal. */
static lathe_status extent_in(lt_infer *c, const equation *q, int operand, int label, bool *there, lt_dim *out)
{
    *there = false;
    for (int k = 0; k < q->rank[operand]; k++) {
        if (q->axes[operand][k] == label) {
            lt_dim d = c->in[operand]->dims[k];
            LT_TRY(*there ? lt_move_equal(c, *out, d, "extents of one letter", &d) : LATHE_OK);
            *out = d;
            *there = true;
        }
    }
    return LATHE_OK;
}

/* The letter's extent: equal in all operands, or 1 broadcasts. */
static lathe_status extent_of(lt_infer *c, const equation *q, int label, lt_dim *out)
{
    *out = lt_dim_const(1);
    for (int i = 0; i < c->n_in; i++) {
        lt_dim d;
        bool there;
        LT_TRY(extent_in(c, q, i, label, &there, &d));
        LT_TRY(there ? lt_broadcast_dim(c, *out, d, out) : LATHE_OK);
    }
    return LATHE_OK;
}

static lathe_status infer_einsum(lt_infer *c)
{
    lt_dim extent[LABELS], dims[LATHE_MAX_RANK];
    equation q;
    if (c->n_in > MAX_OPERANDS) {
        return LT_FAIL(c->diag, LATHE_UNSUPPORTED, c->where, NULL, "Einsum: %d inputs; at most %d are possible",
                       c->n_in, MAX_OPERANDS);
    }
    for (int i = 0; i < c->n_in; i++) {
        if (c->in[i]->rank < 0) {
            return lt_infer_out(c, 0, c->in[0]->dtype, -1, NULL);
        }
    }
    LT_TRY(read_equation(c, &q));
    for (int k = 0; k < LABELS; k++) {
        LT_TRY(extent_of(c, &q, k, &extent[k]));
    }
    for (int k = 0; k < q.out_rank; k++) {
        dims[k] = extent[q.out[k]];
    }
    return lt_infer_out(c, 0, c->in[0]->dtype, q.out_rank, dims);
}

/* ---- Evaluation ---- */

/* Loops over the labels: those of the output first, then those that are summed. */
typedef struct loops {
    int n, n_out;
    int64_t extent[LABELS], step[LABELS][MAX_OPERANDS];
    const lt_tensor *in[MAX_OPERANDS];
    int n_in;
} loops;

static void add_loop(loops *l, const equation *q, int label)
{
    int at = l->n++;
    l->extent[at] = 1;
    for (int i = 0; i < q->n_in; i++) {
        int64_t strides[LATHE_MAX_RANK];
        lt_tensor_strides(l->in[i]->rank, l->in[i]->dims, strides);
        l->step[at][i] = 0;
        for (int k = 0; k < q->rank[i]; k++) {
            if (q->axes[i][k] == label && l->in[i]->dims[k] != 1) {
                l->extent[at] = l->in[i]->dims[k];
                l->step[at][i] += strides[k];
            }
        }
    }
}

/* Moves to the next point of loops [first, last); false after the last one, at the start again. */
static bool advance(const loops *l, int first, int last, int64_t *coords, int64_t *at)
{
    for (int k = last - 1; k >= first; k--) {
        bool wraps = ++coords[k] == l->extent[k];
        for (int i = 0; i < l->n_in; i++) {
            at[i] += wraps ? -(l->extent[k] - 1) * l->step[k][i] : l->step[k][i];
        }
        if (!wraps) {
            return true;
        }
        coords[k] = 0;
    }
    return false;
}

static double product_f64(const loops *l, const int64_t *at)
{
    double product = 1.0;
    for (int i = 0; i < l->n_in; i++) {
        product *= lt_load_f64(l->in[i]->dtype, l->in[i]->data, at[i]);
    }
    return product;
}

static uint64_t product_u64(const loops *l, const int64_t *at)
{
    uint64_t product = 1;
    for (int i = 0; i < l->n_in; i++) {
        product *= (uint64_t)lt_load_i64(l->in[i]->dtype, l->in[i]->data, at[i]);
    }
    return product;
}

static void contract(const loops *l, lt_tensor *y)
{
    int64_t coords[LABELS] = { 0 }, at[MAX_OPERANDS] = { 0 }, k = 0;
    bool real = lt_dtype_is_float(y->dtype), empty = false;
    for (int i = l->n_out; i < l->n; i++) {
        empty = empty || l->extent[i] == 0;
    }
    do {
        double sum = 0.0;
        uint64_t whole = 0;
        if (!empty) {
            do {
                if (real) {
                    sum += product_f64(l, at);
                } else {
                    whole += product_u64(l, at);
                }
            } while (advance(l, l->n_out, l->n, coords, at));
        }
        if (real) {
            lt_store_f64(y->dtype, y->data, k, sum);
        } else {
            lt_store_i64(y->dtype, y->data, k, (int64_t)whole);
        }
        k++;
    } while (advance(l, 0, l->n_out, coords, at));
}

static lathe_status eval_einsum(lt_eval *c)
{
    lt_tensor *y = lt_out(c, 0);
    lt_type types[MAX_OPERANDS];
    const lt_type *in[MAX_OPERANDS];
    lt_infer reading = { .op = c->op,
                         .attrs = c->attrs,
                         .n_attrs = c->n_attrs,
                         .where = c->where,
                         .n_in = c->n_in,
                         .in = in,
                         .diag = c->diag };
    equation q;
    if (y == NULL || lt_tensor_count(y) == 0) {
        return LATHE_OK;
    }
    loops *l = LT_ARENA_NEW(c->scratch, loops);
    if (l == NULL) {
        return LT_OOM(c->diag);
    }
    l->n_in = c->n_in;
    for (int i = 0; i < c->n_in; i++) {
        l->in[i] = lt_in(c, i);
        types[i] = (lt_type){ .cls = LT_TENSOR, .dtype = l->in[i]->dtype, .rank = l->in[i]->rank };
        in[i] = &types[i];
    }
    LT_TRY(read_equation(&reading, &q));
    bool named[LABELS] = { false };
    for (int k = 0; k < q.out_rank; k++) {
        add_loop(l, &q, q.out[k]);
        named[q.out[k]] = true;
    }
    l->n_out = l->n;
    for (int label = 0; label < LABELS; label++) {
        if (q.seen[label] > 0 && !named[label]) {
            add_loop(l, &q, label);
        }
    }
    contract(l, y);
    return LATHE_OK;
}

static const lt_attr_spec attrs_einsum[] = { { "equation", LATHE_ATTR_STRING, true }, { 0 } };

static const char *const samples_einsum[] = {
    "f32[2,3] a = rand(1), f32[3,4] b = rand(2) | y = Einsum <equation = \"ij,jk->ik\"> (a, b)",
    "f32[2,3,4] a = rand(1), f32[2,4,5] b = rand(2) | y = Einsum <equation = \"...ij, ...jk\"> (a, b)",
    "f64[3,3] a = rand(1) | y = Einsum <equation = \"ii->i\"> (a)",
    "f32[3] a = rand(1), f32[3] b = rand(2) | y = Einsum <equation = \"i,i\"> (a, b)",
    "i32[2,3] a = iota | y = Einsum <equation = \"ij->ji\"> (a)",
    "f32[2,3,4] a = rand(1), f32[4,5] b = rand(2), f32[5] d = rand(3) | y = Einsum <equation = \"bij,jk,k->bi\"> (a, "
    "b, d)",
    NULL,
};

LT_OPS(einsum) = {
    {
        .name = "Einsum",
        .since = 12,
        .traits = LT_OP_ROOT,
        .sig = "(T... Inputs) -> (T Output); T: numeric",
        .attrs = attrs_einsum,
        .infer = infer_einsum,
        .eval = eval_einsum,
        .samples = samples_einsum,
    },
    { 0 },
};
