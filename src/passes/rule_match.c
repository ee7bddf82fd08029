/*
 * rule_match.c - does a rule's pattern match at a node, and what is bound then. Called by rule_drive.c; guards read matches through it.
 *
 * The pattern is solved as a list of goals "this term is that value", with a saved state at each choice (arguments of commutative operators,
 * optional wrappers). Patterns have at most LT_RULE_TERMS terms, so the search and its depth are small.
 */
#include "passes/passes_internal.h"

#include <math.h>
#include <string.h>

typedef struct goal {
    int term;
    lt_value_id value;
} goal;

typedef struct state {
    goal goals[LT_RULE_TERMS + LT_RULE_ARGS];
    int n_goals;
    lt_match m;
} state;

static bool solve(state *s);

/* ---- Attributes ---- */

/* Absent equals absent. */
static bool same_attr(const lathe_attr *a, const lathe_attr *b)
{
    return a == NULL || b == NULL ? a == b : lt_attr_same(a, b);
}

/* Does the node's attribute equal the one in the rule? The text "alpha=1" also means the float 1, "k=[]" any empty list. */
static bool guard_holds(const lathe_attr *have, const lt_rule_attr *want)
{
    lathe_attr value = want->value;
    if (have == NULL) {
        return want->or_absent;
    }
    if (value.kind == LATHE_ATTR_INT && have->kind == LATHE_ATTR_FLOAT) {
        value.kind = LATHE_ATTR_FLOAT;
    } else if (value.kind == LATHE_ATTR_INTS && have->kind == LATHE_ATTR_FLOATS) {
        value.kind = LATHE_ATTR_FLOATS;
    }
    return same_attr(have, &value);
}

static bool match_attrs(state *s, const lt_term *t, const lt_node *node)
{
    const lt_rule_side *side = &s->m.code->from;
    for (int i = t->attrs; i < t->attrs + t->n_attrs; i++) {
        const lt_rule_attr *want = &side->attrs[i];
        const lathe_attr *have = lt_attr_find(node->attrs, node->n_attrs, want->value.name);
        if (want->name < 0) {
            if (!guard_holds(have, want)) {
                return false;
            }
        } else if (s->m.bound[want->name]) {
            if (!same_attr(s->m.attrs[want->name], have)) {
                return false;
            }
        } else {
            s->m.bound[want->name] = true;
            s->m.attrs[want->name] = have;
        }
    }
    return true;
}

/* ---- Values ---- */

static bool needs_hold(const lt_term *t, const lt_value *value)
{
    double number;
    if ((t->needs & LT_NEED_SINGLE) && !lt_value_single(value)) {
        return false;
    }
    if ((t->needs & LT_NEED_DTYPE) && (value->type.cls != LT_TENSOR || value->type.dtype != t->dtype)) {
        return false;
    }
    if ((t->needs & LT_NEED_CONST) && !lt_value_is_constant(value)) {
        return false;
    }
    if ((t->needs & LT_NEED_SPLAT) && !lt_peek_splat(value, t->number, t->tolerance)) {
        return false;
    }
    return !(t->needs & LT_NEED_SCALAR) || lt_peek_scalar(value, &number);
}

static bool match_ints(const lt_term *t, const lt_value *value)
{
    int64_t ints[LT_RULE_ARGS];
    int count;
    return lt_peek_ints(value, ints, LT_RULE_ARGS, &count) && count == t->n_ints &&
           (count == 0 || memcmp(ints, t->ints, (size_t)count * sizeof *ints) == 0);
}

static bool bind_value(state *s, const lt_term *t, const lt_value *value)
{
    if (s->m.bound[t->name]) {
        return lt_value_same(s->m.values[t->name], value->id);
    }
    if (!needs_hold(t, value)) {
        return false;
    }
    s->m.bound[t->name] = true;
    s->m.values[t->name] = value->id;
    return true;
}

/* ---- Nodes ---- */

static bool push(state *s, int term, lt_value_id value)
{
    if (s->n_goals == (int)LT_COUNT(s->goals)) {
        return false;
    }
    s->goals[s->n_goals++] = (goal){ term, value };
    return true;
}

static lt_value_id input_or_none(const lt_node *node, int i)
{
    return (uint32_t)i < node->n_inputs ? node->inputs[i] : (lt_value_id){ 0, 0 };
}

/* Goals for the node's arguments, the first two swapped or not; the last goal is solved first. */
static bool push_args(state *s, const lt_term *t, const lt_node *node, bool swapped)
{
    for (int i = t->n_args - 1; i >= 0; i--) {
        int from = swapped && i < 2 ? 1 - i : i;
        if (!push(s, t->args[i], input_or_none(node, from))) {
            return false;
        }
    }
    return true;
}

static bool op_allowed(const lt_term *t, const lt_op *op)
{
    for (int i = 0; i < t->n_ops; i++) {
        if (t->ops[i] == op) {
            return true;
        }
    }
    return false;
}

static bool match_node(state *s, int term, const lt_node *node)
{
    const lt_term *t = &s->m.code->from.terms[term];
    if (!lt_node_none(s->m.nodes[term])) {
        return lt_node_same(s->m.nodes[term], node->id) && solve(s);
    }
    uint32_t n = lt_node_inputs(node);
    if (!op_allowed(t, node->op) || (!t->more && n > (uint32_t)t->n_args) || !match_attrs(s, t, node)) {
        return false;
    }
    s->m.nodes[term] = node->id;
    if (t->name >= 0) {
        s->m.bound[t->name] = true;
        s->m.values[t->name] = node->n_outputs > 0 ? node->outputs[0] : (lt_value_id){ 0, 0 };
    }
    if ((node->op->traits & LT_OP_COMMUTATIVE) && t->n_args >= 2 && n >= 2) {
        state saved = *s;
        if (push_args(s, t, node, false) && solve(s)) {
            return true;
        }
        *s = saved;
        return push_args(s, t, node, true) && solve(s);
    }
    return push_args(s, t, node, false) && solve(s);
}

/* The node that makes the value as its output `output`, in the region of the root; NULL: none. */
static const lt_node *maker(const state *s, const lt_value *value, uint32_t output)
{
    const lt_node *root = lt_node_get(s->m.graph, s->m.root);
    if (value->kind != LT_VALUE_RESULT || value->def_index != output) {
        return NULL;
    }
    const lt_node *node = lt_node_get(s->m.graph, value->def);
    return node != NULL && root != NULL && node->region == root->region ? node : NULL;
}

static bool solve_node(state *s, int term, const lt_value *value)
{
    const lt_term *t = &s->m.code->from.terms[term];
    const lt_node *node = maker(s, value, 0);
    if (!t->optional) {
        return node != NULL && match_node(s, term, node);
    }
    state saved = *s;
    if (node != NULL && match_node(s, term, node)) {
        return true;
    }
    *s = saved;
    return push(s, t->args[0], value->id) && solve(s);
}

static bool solve(state *s)
{
    while (s->n_goals > 0) {
        goal g = s->goals[--s->n_goals];
        const lt_term *t = &s->m.code->from.terms[g.term];
        const lt_value *value = lt_value_get(s->m.graph, g.value);
        if (t->kind == LT_TERM_ANY) {
            continue;
        }
        if (value == NULL) {
            return false;
        }
        switch (t->kind) {
        case LT_TERM_VALUE:
            if (!bind_value(s, t, value)) {
                return false;
            }
            break;
        case LT_TERM_NUMBER:
            if (!lt_peek_splat(value, t->number, t->tolerance)) {
                return false;
            }
            break;
        case LT_TERM_INTS:
            if (!match_ints(t, value)) {
                return false;
            }
            break;
        case LT_TERM_OUTPUT: {
            const lt_node *node = maker(s, value, (uint32_t)t->output);
            return node != NULL && match_node(s, t->node, node);
        }
        default:
            return solve_node(s, g.term, value);
        }
    }
    return true;
}

/* ---- What goes away ---- */

static bool use_dies(const lt_match *m, const lt_use *use)
{
    for (int i = 0; i < m->code->from.n_terms; i++) {
        if (m->dies[i] && lt_node_same(m->nodes[i], use->node)) {
            return true;
        }
    }
    return false;
}

static bool all_uses_die(const lt_match *m, const lt_node *node)
{
    for (uint32_t i = 0; i < node->n_outputs; i++) {
        const lt_value *value = lt_node_out(m->graph, node, i);
        if (value == NULL) {
            continue;
        }
        if (value->n_region_outputs > 0) {
            return false;
        }
        for (uint32_t k = 0; k < value->n_uses; k++) {
            if (!use_dies(m, &value->uses[k])) {
                return false;
            }
        }
    }
    return true;
}

/* Does the replacement read an output of the matched node? Then it stays. */
static bool kept(const lt_rule_code *code, int term)
{
    for (int i = 0; i < code->to.n_terms; i++) {
        const lt_term *t = &code->to.terms[i];
        if (t->kind == LT_TERM_OUTPUT && t->node == term && code->name_kind[t->name] == LT_NAME_NODE) {
            return true;
        }
    }
    return false;
}

/* The nodes that die with the root. False when one that must not have other uses has some. */
static bool find_dying(lt_match *m)
{
    const lt_rule_side *side = &m->code->from;
    bool more = true;
    m->dies[side->roots[0]] = true;
    while (more) {
        more = false;
        for (int i = 0; i < side->n_terms; i++) {
            const lt_node *node = lt_node_get(m->graph, m->nodes[i]);
            if (node != NULL && !m->dies[i] && !kept(m->code, i) && all_uses_die(m, node)) {
                m->dies[i] = more = true;
            }
        }
    }
    for (int i = 0; i < side->n_terms; i++) {
        if (!lt_node_none(m->nodes[i]) && !m->dies[i] && !side->terms[i].shared && !kept(m->code, i)) {
            return false;
        }
    }
    return true;
}

/* The value that is there already and shall stand for a result; NULL when it is yet to be made. */
static const lt_value *result_value(const lt_match *m, const lt_term *t)
{
    if (t->kind == LT_TERM_VALUE) {
        return lt_value_get(m->graph, m->values[t->name]);
    }
    if (t->kind != LT_TERM_OUTPUT || m->code->name_kind[t->name] != LT_NAME_NODE) {
        return NULL;
    }
    const lt_node *node = lt_node_get(m->graph, m->nodes[t->node]);
    return node != NULL ? lt_node_out(m->graph, node, (uint32_t)t->output) : NULL;
}

/* Two unknown shapes are the same only where the rule says so. */
static bool type_fits(const lt_match *m, const lt_value *old, const lt_value *now)
{
    bool unknown = old->type.cls == LT_TENSOR && now->type.cls == LT_TENSOR && old->type.rank < 0 && now->type.rank < 0;
    if (unknown) {
        return m->code->rule->keeps_shape && old->type.dtype == now->type.dtype;
    }
    return lt_type_proves_same(m->graph, &old->type, &now->type);
}

/* Outputs of the root that nothing replaces must be unused; a value that takes the place of one must suit. */
static bool results_fit(const lt_match *m)
{
    const lt_rule_side *to = &m->code->to;
    const lt_node *root = lt_node_get(m->graph, m->root);
    bool whole = to->n_roots == 1 && to->terms[to->roots[0]].kind == LT_TERM_NODE;
    for (uint32_t i = 0; i < root->n_outputs; i++) {
        const lt_value *old = lt_node_out(m->graph, root, i);
        if (old == NULL || (whole && i > 0 && lt_value_unused(old)) || (!whole && i >= (uint32_t)to->n_roots && lt_value_unused(old))) {
            continue;
        }
        if (whole && i == 0) {
            continue;
        }
        if (whole || i >= (uint32_t)to->n_roots) {
            return false;
        }
        const lt_term *t = &to->terms[to->roots[i]];
        const lt_value *now = result_value(m, t);
        if (t->kind != LT_TERM_NODE && (t->kind != LT_TERM_VALUE || m->bound[t->name]) &&
            (now == NULL || !lt_can_replace(m->graph, old, now) || !type_fits(m, old, now))) {
            return false;
        }
    }
    return true;
}

bool lt_rule_match(const lt_rule_code *code, lt_graph *graph, const lt_node *root, lt_arena *scratch, lt_match *m)
{
    int term = code->from.roots[0];
    if (code->inert || !op_allowed(&code->from.terms[term], root->op)) {
        return false;
    }
    state s = { .n_goals = 0, .m = { .graph = graph, .code = code, .scratch = scratch, .root = root->id } };
    if (!match_node(&s, term, root)) {
        return false;
    }
    *m = s.m;
    return find_dying(m) && results_fit(m);
}

/* ---- For guards ---- */

static int name_index(const lt_match *m, const char *name)
{
    for (int i = 0; i < m->code->n_names; i++) {
        if (lt_streq(m->code->names[i], name)) {
            return i;
        }
    }
    return -1;
}

lt_value *lt_match_value(const lt_match *m, const char *name)
{
    int i = name_index(m, name);
    return i >= 0 && m->bound[i] ? lt_value_get(m->graph, m->values[i]) : NULL;
}

lt_node *lt_match_node(const lt_match *m, const char *name)
{
    int i = name_index(m, name);
    if (i < 0 || m->code->name_kind[i] != LT_NAME_NODE) {
        return NULL;
    }
    return lt_node_get(m->graph, m->nodes[m->code->name_term[i]]);
}

lt_node *lt_match_root(const lt_match *m)
{
    return lt_node_get(m->graph, m->root);
}

const lathe_attr *lt_match_attr(const lt_match *m, const char *name)
{
    int i = name_index(m, name);
    return i >= 0 && m->bound[i] ? m->attrs[i] : NULL;
}

void lt_match_set_value(lt_match *m, const char *name, lt_value_id value)
{
    int i = name_index(m, name);
    if (i >= 0) {
        m->bound[i] = true;
        m->values[i] = value;
    }
}

static void set_attr(lt_match *m, const char *name, const lathe_attr *attr)
{
    int i = name_index(m, name);
    lathe_attr *copy = lt_arena_copy(m->scratch, attr, sizeof *attr, _Alignof(lathe_attr));
    if (copy == NULL) {
        m->status = LATHE_OUT_OF_MEMORY;
    } else if (i >= 0) {
        m->bound[i] = true;
        m->attrs[i] = copy;
    }
}

void lt_match_set_ints(lt_match *m, const char *name, const int64_t *ints, size_t count)
{
    lathe_attr attr = { .name = "", .kind = LATHE_ATTR_INTS, .count = count };
    attr.ints = lt_arena_copy(m->scratch, ints, count * sizeof *ints, _Alignof(int64_t));
    if (attr.ints == NULL) {
        m->status = LATHE_OUT_OF_MEMORY;
        return;
    }
    set_attr(m, name, &attr);
}

void lt_match_set_int(lt_match *m, const char *name, int64_t value)
{
    lathe_attr attr = { .name = "", .kind = LATHE_ATTR_INT, .i = value };
    set_attr(m, name, &attr);
}

void lt_match_set_float(lt_match *m, const char *name, float value)
{
    lathe_attr attr = { .name = "", .kind = LATHE_ATTR_FLOAT, .f = value };
    set_attr(m, name, &attr);
}
