/*
 * host_shape.c - lathe.HostShape: integers computed on the host from extents of its inputs. Pass fold-shapes writes it in place of exporters'
 * Shape/Gather/Concat chains; its contents are symbolic dims, so that a plan computes them in its shape program and no step is left.
 *
 *   exprs    one expression for each element, in the text of symbolic dims: "N*2+1"
 *   symbols  what the names stand for: "N=0.1" is axis 1 of input 0
 *   to       element type, i64 by default; scalar = 1: rank 0 instead of 1
 */
#include "ops/ops.h"

#include <string.h>

#define ADVICE "`lathe ops HostShape` shows what it takes, with samples that are right"

enum { MAX_SYMBOLS = 64 };

/* A name of the expressions: where its extent is. */
typedef struct binding {
    lt_dim leaf; /* the name in the table where the expressions are read */
    int input, axis;
} binding;

typedef struct host_shape {
    const char *where;
    const lathe_bytes *exprs;
    size_t n_exprs;
    binding symbols[MAX_SYMBOLS];
    size_t n_symbols;
    lathe_dtype dtype;
    bool scalar;
    lathe_diag *diag;
} host_shape;

static lathe_status wrong(const host_shape *h, const char *what, const lathe_bytes *text)
{
    return LT_FAIL(h->diag, LATHE_BAD_MODEL, h->where, ADVICE, "HostShape: %s: '%.*s'", what, text->length < 200 ? (int)text->length : 200, text->data);
}

/* "NAME=INPUT.AXIS" */
static lathe_status read_symbol(host_shape *h, const lathe_bytes *text, int n_in, lt_dims *table)
{
    const char *at = text->data, *end = text->data + text->length;
    binding *b = &h->symbols[h->n_symbols];
    int64_t input, axis;
    lathe_status status = lt_dim_parse(table, &at, end, &b->leaf, h->diag);
    if (status != LATHE_OK) {
        return status == LATHE_BAD_MODEL ? wrong(h, "not a symbol", text) : status;
    }
    const char *dot = at < end ? memchr(at, '.', (size_t)(end - at)) : NULL;
    if (at == end || *at != '=' || dot == NULL || !lt_parse_i64(at + 1, (size_t)(dot - at - 1), &input) ||
        !lt_parse_i64(dot + 1, (size_t)(end - dot - 1), &axis)) {
        return wrong(h, "a symbol is written NAME=INPUT.AXIS", text);
    }
    if (input < 0 || input >= n_in || axis < 0 || axis >= LATHE_MAX_RANK || lt_dim_get(table, b->leaf).op != LT_DIM_SYMBOL) {
        return wrong(h, "no such name, input or axis", text);
    }
    b->input = (int)input;
    b->axis = (int)axis;
    h->n_symbols++;
    return LATHE_OK;
}

/* Everything but what needs a table. */
static lathe_status read_attrs(host_shape *h, const lathe_attr *attrs, size_t n_attrs, const char *where, lathe_diag *diag)
{
    const lathe_attr *exprs = lt_attr_find(attrs, n_attrs, "exprs");
    int64_t dtype = lt_attr_i(attrs, n_attrs, "to", LATHE_DTYPE_I64);
    *h = (host_shape){ .where = where, .diag = diag };
    if (exprs == NULL || exprs->kind != LATHE_ATTR_STRINGS || exprs->count > LT_CONTENTS_MAX) {
        return LT_FAIL(diag, LATHE_BAD_MODEL, where, ADVICE, "HostShape needs at most %d strings as exprs", LT_CONTENTS_MAX);
    }
    h->exprs = exprs->strings;
    h->n_exprs = exprs->count;
    h->scalar = lt_attr_i(attrs, n_attrs, "scalar", 0) != 0;
    if ((dtype != LATHE_DTYPE_I64 && dtype != LATHE_DTYPE_I32 && dtype != LATHE_DTYPE_BOOL) || (h->scalar && h->n_exprs != 1)) {
        return LT_FAIL(diag, LATHE_BAD_MODEL, where, ADVICE, "HostShape makes i64, i32 or bool, and a scalar of one expression");
    }
    h->dtype = (lathe_dtype)dtype;
    return LATHE_OK;
}

static lathe_status read_symbols(host_shape *h, const lathe_attr *attrs, size_t n_attrs, int n_in, lt_dims *table)
{
    const lathe_attr *symbols = lt_attr_find(attrs, n_attrs, "symbols");
    for (size_t i = 0; symbols != NULL && i < symbols->count; i++) {
        if (h->n_symbols == MAX_SYMBOLS || symbols->kind != LATHE_ATTR_STRINGS) {
            return LT_FAIL(h->diag, LATHE_BAD_MODEL, h->where, ADVICE, "HostShape takes at most %d symbols", MAX_SYMBOLS);
        }
        LT_TRY(read_symbol(h, &symbols->strings[i], n_in, table));
    }
    return LATHE_OK;
}

static lathe_status read_expr(const host_shape *h, const lathe_bytes *text, lt_dims *table, lt_dim *out)
{
    const char *at = text->data, *end = text->data + text->length;
    lathe_status status = lt_dim_parse(table, &at, end, out, h->diag);
    if (status != LATHE_OK) {
        return status == LATHE_BAD_MODEL ? wrong(h, "not an expression", text) : status;
    }
    return at == end ? LATHE_OK : wrong(h, "not an expression", text);
}

/* ---- Inference: names give way to the extents that the inputs have now ---- */

typedef struct binder {
    lt_infer *c;
    const host_shape *h;
} binder;

static lathe_status bind_leaf(const binder *b, lt_dim leaf, lt_dim *out)
{
    for (size_t i = 0; i < b->h->n_symbols; i++) {
        const binding *s = &b->h->symbols[i];
        if (!lt_dim_same(s->leaf, leaf)) {
            continue;
        }
        const lt_type *type = b->c->in[s->input];
        if (type == NULL || type->cls != LT_TENSOR || s->axis >= (type->rank < 0 ? LATHE_MAX_RANK : type->rank)) {
            return lt_infer_fail(b->c, "HostShape: input %d has no axis %d", s->input, s->axis);
        }
        if (type->rank < 0) {
            return lt_infer_fresh(b->c, lt_dim_const(0), lt_dim_const(INT64_MAX), out);
        }
        *out = type->dims[s->axis];
        return LATHE_OK;
    }
    return lt_infer_fail(b->c, "HostShape: a name in exprs is not listed in symbols");
}

static lathe_status bind_expr(const binder *b, lt_dim d, int depth, lt_dim *out)
{
    lt_dims *dims = b->c->dims;
    if (lt_dim_is_const(d)) {
        *out = d;
        return LATHE_OK;
    }
    lt_dim_node node = lt_dim_get(dims, d);
    if (node.args == NULL) {
        return bind_leaf(b, d, out);
    }
    if (depth >= LT_MAX_DEPTH) {
        return lt_infer_fail(b->c, "HostShape: an expression is nested deeper than %d", LT_MAX_DEPTH);
    }
    lt_dim args[3] = { { 0, 0 } };
    for (uint32_t i = 0; i < node.count; i++) {
        lt_dim arg;
        /* The arguments may move while the table grows. */
        LT_TRY(bind_expr(b, lt_dim_get(dims, d).args[i], depth + 1, &arg));
        if (node.op == LT_DIM_SELECT && i < 3) {
            args[i] = arg;
        } else if (i == 0) {
            args[0] = arg;
        } else {
            LT_TRY(lt_dim_make(dims, node.op, args[0], arg, &args[0], b->c->diag));
        }
    }
    if (node.op == LT_DIM_SELECT) {
        return lt_dim_select(dims, args[0], args[1], args[2], out, b->c->diag);
    }
    *out = args[0];
    return LATHE_OK;
}

static lathe_status infer(lt_infer *c)
{
    host_shape h;
    lt_dim v[LT_CONTENTS_MAX];
    LT_TRY(read_attrs(&h, c->attrs, c->n_attrs, c->where, c->diag));
    lt_dim length = lt_dim_const((int64_t)h.n_exprs);
    LT_TRY(lt_infer_out(c, 0, h.dtype, h.scalar ? 0 : 1, &length));
    if (c->dims == NULL || c->arena == NULL) {
        return LATHE_OK;
    }
    LT_TRY(read_symbols(&h, c->attrs, c->n_attrs, c->n_in, c->dims));
    binder b = { c, &h };
    for (size_t i = 0; i < h.n_exprs; i++) {
        lt_dim expr;
        LT_TRY(read_expr(&h, &h.exprs[i], c->dims, &expr));
        LT_TRY(bind_expr(&b, expr, 0, &v[i]));
    }
    return lt_infer_set_contents(c, 0, v, (int64_t)h.n_exprs);
}

/* ---- Evaluation ---- */

typedef struct lookup {
    const lt_eval *c;
    const host_shape *h;
} lookup;

static bool find_extent(void *user, lt_dim leaf, int64_t *value)
{
    const lookup *l = user;
    for (size_t i = 0; i < l->h->n_symbols; i++) {
        const binding *s = &l->h->symbols[i];
        const lt_tensor *x = lt_in(l->c, s->input);
        if (lt_dim_same(s->leaf, leaf) && x != NULL && s->axis < x->rank) {
            *value = x->dims[s->axis];
            return true;
        }
    }
    return false;
}

static lathe_status eval_exprs(lt_eval *c, host_shape *h, lt_dims *table, lt_tensor *y)
{
    lookup l = { c, h };
    LT_TRY(read_symbols(h, c->attrs, c->n_attrs, c->n_in, table));
    for (size_t i = 0; i < h->n_exprs; i++) {
        lt_dim expr;
        int64_t value;
        LT_TRY(read_expr(h, &h->exprs[i], table, &expr));
        LT_TRY(lt_dim_eval(table, expr, find_extent, &l, &value, c->diag));
        lt_store_i64(y->dtype, y->data, (int64_t)i, value);
    }
    return LATHE_OK;
}

static void *scratch_alloc(void *user, size_t size, size_t align)
{
    return lt_arena_alloc(user, size, align);
}

static void scratch_release(void *user, void *ptr, size_t size, size_t align)
{
    (void)user, (void)ptr, (void)size, (void)align; /* goes with the scratch memory */
}

/* The table lives in scratch memory: this runs inside plans, whose steady runs allocate nothing. */
static lathe_status eval(lt_eval *c)
{
    host_shape h;
    const lathe_allocator scratch = { .struct_size = sizeof scratch, .user = c->scratch, .alloc = scratch_alloc, .release = scratch_release };
    lt_tensor *y = lt_out(c, 0);
    if (y == NULL) {
        return LATHE_OK;
    }
    LT_TRY(read_attrs(&h, c->attrs, c->n_attrs, c->where, c->diag));
    lt_dims *table = lt_dims_create(&scratch);
    if (table == NULL) {
        return LT_OOM(c->diag);
    }
    lathe_status status = eval_exprs(c, &h, table, y);
    lt_dims_destroy(table);
    return status;
}

static const lt_attr_spec attrs[] = {
    { "exprs", LATHE_ATTR_STRINGS, true }, { "symbols", LATHE_ATTR_STRINGS, false }, { "to", LATHE_ATTR_INT, false },
    { "scalar", LATHE_ATTR_INT, false },   { 0 },
};

static const char *const samples[] = {
    "f32[2,3] x = rand(1) | y = lathe.HostShape <exprs = [\"N*2\", \"floordiv(C+N,2)\"], symbols = [\"N=0.0\", \"C=0.1\"]> (x)",
    "f32[4] a = rand(1), i8[3,5] b = iota | y = lathe.HostShape <exprs = [\"max(A,B)\"], symbols = [\"A=0.0\", \"B=1.1\"], scalar = 1, to = 6> (a, b)",
    NULL,
};

LT_OPS(host_shape) = {
    {
        .name = "HostShape",
        .domain = "lathe",
        .since = 1,
        .traits = LT_OP_SHAPE,
        .sig = "(any... values) -> (T contents); T: i64 i32 bool",
        .attrs = attrs,
        .infer = infer,
        .eval = eval,
        .samples = samples,
    },
    { 0 },
};
