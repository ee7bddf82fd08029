/*
 * plan_expr.c - symbolic dims as expressions of the plan: what is known when inputs are bound, what only the run can tell, and upper bounds of the latter.
 */
#include "plan/plan_internal.h"
#include <string.h>

/* ---- Adding ---- */

static bool is_late(uint32_t number)
{
    return number != LT_PLAN_NONE && (number & LT_LATE) != 0;
}

static lathe_status push(lt_maker *m, const lt_plan_expr *e, bool late, uint32_t *out)
{
    lt_plan_expr **items = late ? &m->late : &m->bind;
    size_t *n = late ? &m->n_late : &m->n_bind;
    if (!lt_arena_grow(m->arena, (void **)items, late ? &m->cap_late : &m->cap_bind, *n + 1, sizeof *e)) {
        return LT_OOM(m->diag);
    }
    (*items)[*n] = *e;
    *out = (uint32_t)(*n)++ | (late ? LT_LATE : 0);
    return LATHE_OK;
}

/* The same expression is there once: numbers are few. */
static lathe_status push_once(lt_maker *m, const lt_plan_expr *e, bool late, uint32_t *out)
{
    for (size_t i = 0; !late && i < m->n_bind; i++) {
        const lt_plan_expr *o = &m->bind[i];
        if (o->kind == e->kind && o->op == e->op && o->a == e->a && o->b == e->b && o->c == e->c && o->k == e->k) {
            *out = (uint32_t)i;
            return LATHE_OK;
        }
    }
    return push(m, e, late, out);
}

lathe_status lt_expr_const(lt_maker *m, int64_t k, uint32_t *out)
{
    lt_plan_expr e = {.kind = LT_EXPR_CONST, .k = k};
    return push_once(m, &e, false, out);
}

static lathe_status push_op(lt_maker *m, lt_dim_op op, uint32_t a, uint32_t b, uint32_t c, uint32_t *out)
{
    lt_plan_expr e = {.kind = LT_EXPR_OP, .op = (uint8_t)op, .a = a, .b = b, .c = c};
    return push_once(m, &e, is_late(a) || is_late(b) || is_late(c), out);
}

/* ---- Leaves ---- */

static lathe_status remember(lt_maker *m, lt_dim d, uint32_t number)
{
    if (is_late(number)) { /* known inside this branch only */
        if (!lt_arena_grow(m->arena, (void **)&m->late_keys, &m->cap_late_keys, m->n_late_keys + 1, sizeof *m->late_keys)) {
            return LT_OOM(m->diag);
        }
        m->late_keys[m->n_late_keys++] = d.e;
    }
    return lt_numbering_put(&m->expr_of, m->arena, d.e, number, m->diag);
}

void lt_expr_forget(lt_maker *m, size_t keys)
{
    while (m->n_late_keys > keys) {
        m->expr_of.items[m->late_keys[--m->n_late_keys]] = 0;
    }
}

static bool is_leaf(const lt_dims *dims, lt_dim d)
{
    lt_dim_op op = lt_dim_is_const(d) ? LT_DIM_CONST : lt_dim_get(dims, d).op;
    return op == LT_DIM_SYMBOL || op == LT_DIM_FRESH;
}

static bool is_known(const lt_maker *m, lt_dim d)
{
    return lt_dim_is_const(d) || lt_numbering_get(&m->expr_of, d.e) != LT_PLAN_NONE;
}

lathe_status lt_expr_input_dims(lt_maker *m)
{
    const lt_region *main = lt_region_get(m->graph, LT_MAIN);
    uint32_t number;
    for (uint32_t i = 0; i < main->n_inputs; i++) {
        const lt_value *v = lt_value_get(m->graph, main->inputs[i]);
        for (int a = 0; v->type.cls == LT_TENSOR && a < v->type.rank; a++) {
            if (is_leaf(m->dims, v->type.dims[a]) && !is_known(m, v->type.dims[a])) {
                lt_plan_expr e = {.kind = LT_EXPR_INPUT_DIM, .a = (uint32_t)a, .b = i};
                LT_TRY(push_once(m, &e, false, &number));
                LT_TRY(remember(m, v->type.dims[a], number));
            }
        }
    }
    for (uint32_t i = 0; i < main->n_inputs; i++) {
        const lt_value *v = lt_value_get(m->graph, main->inputs[i]);
        bool readable = v->contents.v && lt_dtype_is_integer(v->type.dtype);
        for (int64_t k = 0; readable && k < v->contents.count; k++) {
            if (is_leaf(m->dims, v->contents.v[k]) && !is_known(m, v->contents.v[k])) {
                lt_plan_expr e = {.kind = LT_EXPR_VALUE_ELEM, .a = (uint32_t)k, .b = i}; /* inputs are the first values */
                LT_TRY(push_once(m, &e, false, &number));
                LT_TRY(remember(m, v->contents.v[k], number));
            }
        }
    }
    return LATHE_OK;
}

lathe_status lt_expr_from_value(lt_maker *m, lt_dim d, uint32_t value, int axis, uint32_t *out)
{
    lt_plan_expr e = {.kind = LT_EXPR_VALUE_DIM, .a = (uint32_t)axis, .b = value};
    LT_TRY(push(m, &e, true, out));
    return is_known(m, d) ? LATHE_OK : remember(m, d, *out);
}

/* ---- Expressions ---- */

/* An input's extent that is not bare, for names that no input has bare: 2*N where nobody has N. */
static lathe_status from_whole_input_dim(lt_maker *m, lt_dim d, uint32_t *out)
{
    const lt_region *main = lt_region_get(m->graph, LT_MAIN);
    *out = LT_PLAN_NONE;
    for (uint32_t i = 0; i < main->n_inputs; i++) {
        const lt_value *v = lt_value_get(m->graph, main->inputs[i]);
        for (int a = 0; v->type.cls == LT_TENSOR && a < v->type.rank; a++) {
            if (lt_dim_same(v->type.dims[a], d)) {
                lt_plan_expr e = {.kind = LT_EXPR_INPUT_DIM, .a = (uint32_t)a, .b = i};
                LT_TRY(push_once(m, &e, false, out));
                return remember(m, d, *out);
            }
        }
    }
    return LATHE_OK;
}

/* Arguments of an operation; *all false when one of them is unknown. Depth is bounded where expressions are made. */
static lathe_status arguments(lt_maker *m, const lt_dim_node *n, uint32_t *numbers, bool *all)
{
    *all = true;
    for (uint32_t i = 0; i < n->count && *all; i++) {
        LT_TRY(lt_expr_of(m, n->args[i], &numbers[i]));
        *all = numbers[i] != LT_PLAN_NONE;
    }
    return LATHE_OK;
}

static lathe_status operation(lt_maker *m, const lt_dim_node *n, uint32_t *out)
{
    bool all;
    uint32_t *numbers = LT_ARENA_ARRAY(m->arena, uint32_t, n->count + 1u);
    if (!numbers) {
        return LT_OOM(m->diag);
    }
    *out = LT_PLAN_NONE;
    LT_TRY(arguments(m, n, numbers, &all));
    if (!all || n->count == 0) {
        return LATHE_OK;
    }
    if (n->op == LT_DIM_SELECT) {
        return push_op(m, n->op, numbers[0], numbers[1], numbers[2], out);
    }
    *out = numbers[0];
    for (uint32_t i = 1; i < n->count; i++) {
        LT_TRY(push_op(m, n->op, *out, numbers[i], LT_PLAN_NONE, out));
    }
    return LATHE_OK;
}

lathe_status lt_expr_of(lt_maker *m, lt_dim d, uint32_t *out)
{
    if (lt_dim_is_const(d)) {
        return lt_expr_const(m, d.k, out);
    }
    *out = lt_numbering_get(&m->expr_of, d.e);
    if (*out != LT_PLAN_NONE) {
        return LATHE_OK;
    }
    lt_dim_node n = lt_dim_get(m->dims, d);
    if (n.op != LT_DIM_SYMBOL && n.op != LT_DIM_FRESH) {
        LT_TRY(operation(m, &n, out));
        if (*out != LT_PLAN_NONE) {
            return remember(m, d, *out);
        }
    }
    return from_whole_input_dim(m, d, out);
}

/* ---- Upper bounds ---- */

bool lt_dim_has_fresh(const lt_dims *dims, lt_dim d)
{
    if (lt_dim_is_const(d)) {
        return false;
    }
    lt_dim_node n = lt_dim_get(dims, d);
    bool found = n.op == LT_DIM_FRESH;
    for (uint32_t i = 0; i < n.count && !found; i++) {
        found = lt_dim_has_fresh(dims, n.args[i]);
    }
    return found;
}

/* The extent is there at bind: nothing in it waits for the run. */
static bool at_bind(lt_maker *m, lt_dim d)
{
    if (lt_dim_is_const(d)) {
        return true;
    }
    uint32_t number = lt_numbering_get(&m->expr_of, d.e);
    if (number != LT_PLAN_NONE) {
        return !is_late(number);
    }
    lt_dim_node n = lt_dim_get(m->dims, d);
    bool good = n.op != LT_DIM_FRESH;
    for (uint32_t i = 0; i < n.count && good; i++) {
        good = at_bind(m, n.args[i]);
    }
    return good;
}

static bool extreme(lt_maker *m, lt_dim d, bool high, lt_dim *out);

static bool never_negative(const lt_maker *m, lt_dim d)
{
    int64_t lo, hi;
    lt_dim_bounds(m->dims, d, &lo, &hi);
    return lo >= 0;
}

/* Folds the extremes of all arguments with one operation. */
static bool fold(lt_maker *m, const lt_dim_node *n, uint32_t first, lt_dim_op op, bool high, lt_dim *out)
{
    lt_dim part;
    for (uint32_t i = first; i < n->count; i++) {
        if (!extreme(m, n->args[i], high, &part)) {
            return false;
        }
        if (i == first) {
            *out = part;
        } else if (lt_dim_make(m->dims, op, *out, part, out, NULL) != LATHE_OK) {
            return false;
        }
    }
    return n->count > first;
}

/* Factors that are never negative, and a coefficient of any sign. */
static bool product(lt_maker *m, const lt_dim_node *n, bool high, lt_dim *out)
{
    int64_t k = 1;
    lt_dim part, all = lt_dim_const(1);
    for (uint32_t i = 0; i < n->count; i++) {
        if (lt_dim_is_const(n->args[i])) {
            k = n->args[i].k;
        }
    }
    for (uint32_t i = 0; i < n->count; i++) {
        if (lt_dim_is_const(n->args[i])) {
            continue;
        }
        if (!never_negative(m, n->args[i]) || !extreme(m, n->args[i], k >= 0 ? high : !high, &part) ||
            lt_dim_make(m->dims, LT_DIM_MUL, all, part, &all, NULL) != LATHE_OK) {
            return false;
        }
    }
    return lt_dim_make(m->dims, LT_DIM_MUL, all, lt_dim_const(k), out, NULL) == LATHE_OK;
}

static bool quotient(lt_maker *m, const lt_dim_node *n, bool high, lt_dim *out)
{
    lt_dim a, b;
    int64_t lo, hi;
    if (!never_negative(m, n->args[0]) || !extreme(m, n->args[0], high, &a) || !extreme(m, n->args[1], !high, &b)) {
        return false;
    }
    lt_dim_bounds(m->dims, b, &lo, &hi);
    return lo >= 1 && lt_dim_make(m->dims, n->op, a, b, out, NULL) == LATHE_OK;
}

static bool scaled(lt_maker *m, const lt_dim_node *n, bool high, lt_dim *out)
{
    uint32_t bits = (uint32_t)n->args[1].k;
    float scale;
    lt_dim a;
    memcpy(&scale, &bits, sizeof scale);
    return scale >= 0 && extreme(m, n->args[0], high, &a) && lt_dim_fscale(m->dims, a, scale, out, NULL) == LATHE_OK;
}

static bool by_operation(lt_maker *m, const lt_dim_node *n, bool high, lt_dim *out)
{
    switch (n->op) {
    case LT_DIM_ADD:
    case LT_DIM_MIN:
    case LT_DIM_MAX:
        return fold(m, n, 0, n->op, high, out);
    case LT_DIM_MUL:
        return product(m, n, high, out);
    case LT_DIM_FLOORDIV:
    case LT_DIM_CEILDIV:
        return quotient(m, n, high, out);
    case LT_DIM_MOD:
        *out = lt_dim_const(0);
        return high ? extreme(m, n->args[1], true, out) : true;
    case LT_DIM_SELECT:
        return fold(m, n, 1, high ? LT_DIM_MAX : LT_DIM_MIN, high, out);
    case LT_DIM_BCAST:
        return fold(m, n, 0, high ? LT_DIM_MAX : LT_DIM_MIN, high, out);
    case LT_DIM_FSCALE:
        return scaled(m, n, high, out);
    case LT_DIM_LT:
    case LT_DIM_LE:
    case LT_DIM_EQ:
        *out = lt_dim_const(high);
        return true;
    default:
        return false;
    }
}

/* A dim that is known at bind and never below (high) or above (low) d; the graph's numeric bounds where there is no better one. */
static bool extreme(lt_maker *m, lt_dim d, bool high, lt_dim *out)
{
    if (at_bind(m, d)) {
        *out = d;
        return true;
    }
    lt_dim_node n = lt_dim_get(m->dims, d);
    bool found;
    if (n.op == LT_DIM_FRESH) {
        lt_dim edge = high ? n.hi : n.lo;
        found = !(lt_dim_is_const(edge) && edge.k == INT64_MAX) && extreme(m, edge, high, out);
    } else {
        found = by_operation(m, &n, high, out);
    }
    int64_t lo, hi;
    lt_dim_bounds(m->dims, d, &lo, &hi);
    if (!found && (high ? hi < INT64_MAX : lo > INT64_MIN)) {
        *out = lt_dim_const(high ? hi : lo);
        found = true;
    }
    return found;
}

lathe_status lt_dim_ceiling(lt_maker *m, lt_dim d, lt_dim *out)
{
    if (!extreme(m, d, true, out)) {
        *out = lt_dim_const(INT64_MAX);
    }
    return LATHE_OK;
}
