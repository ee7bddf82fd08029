/*
 * rule_build.c - carries out a rule's replacement: records what the match relied on, adds the new nodes before the matched root, moves the uses,
 * removes what died. Called by rule_drive.c with a match whose guard agreed.
 */
#include "passes/passes_internal.h"

#include <math.h>
#include <string.h>

typedef struct builder {
    lt_match *m;
    lt_value_id built[LT_RULE_TERMS]; /* first output of each term of the replacement */
    lt_node_id nodes[LT_RULE_TERMS];
    lathe_diag *diag;
} builder;

/* ---- Assumptions ---- */

static lathe_status record_value(lt_match *m, const lt_term *t, lt_value_id id, lathe_diag *diag)
{
    double number;
    const lt_value *value = lt_value_get(m->graph, id);
    if (value == NULL || !lt_value_is_constant(value)) {
        return LATHE_OK;
    }
    if (t->kind == LT_TERM_INTS) {
        return lt_graph_assume(m->graph, id, LT_ASSUME_BYTES, 0, diag);
    }
    if (t->kind == LT_TERM_NUMBER || (t->needs & LT_NEED_SPLAT)) {
        /* A splat of 0 does not tell the sign of zero. */
        if (t->tolerance > 0 || (t->number == 0 && signbit(t->number))) {
            return lt_graph_assume(m->graph, id, LT_ASSUME_BYTES, 0, diag);
        }
        return lt_graph_assume(m->graph, id, LT_ASSUME_SPLAT, t->number, diag);
    }
    if ((t->needs & LT_NEED_SCALAR) && lt_peek_scalar(value, &number)) {
        return lt_graph_assume(m->graph, id, LT_ASSUME_SPLAT, number, diag);
    }
    return LATHE_OK;
}

/* The value that argument `arg` of node term `t` matched: found through the node, as literals bind no name. */
static bool looked_at(const lt_term *t)
{
    return t->kind == LT_TERM_INTS || t->kind == LT_TERM_NUMBER || (t->needs & (LT_NEED_SPLAT | LT_NEED_SCALAR)) != 0;
}

static lathe_status record_literals(lt_match *m, const lt_term *t, lt_node_id id, lathe_diag *diag)
{
    const lt_rule_side *side = &m->code->from;
    for (int i = 0; i < t->n_args; i++) {
        const lt_term *arg = &side->terms[t->args[i]];
        const lt_node *node = lt_node_get(m->graph, id);
        if (arg->kind == LT_TERM_VALUE || !looked_at(arg) || node == NULL) {
            continue;
        }
        /* A commutative operator may have matched the other way round. */
        bool commutative = (node->op->traits & LT_OP_COMMUTATIVE) != 0 && i < 2;
        for (int k = commutative ? 0 : i; k <= (commutative ? 1 : i); k++) {
            const lt_value *value = lt_node_in(m->graph, node, (uint32_t)k);
            int64_t ints[LT_RULE_ARGS];
            int count;
            if (value == NULL || (arg->kind == LT_TERM_NUMBER && !lt_peek_splat(value, arg->number, arg->tolerance)) ||
                (arg->kind == LT_TERM_INTS && !lt_peek_ints(value, ints, LT_RULE_ARGS, &count))) {
                continue;
            }
            LT_TRY(record_value(m, arg, value->id, diag));
            break;
        }
    }
    return LATHE_OK;
}

static lathe_status record_assumptions(lt_match *m, lathe_diag *diag)
{
    const lt_rule_side *side = &m->code->from;
    for (int i = 0; i < side->n_terms; i++) {
        const lt_term *t = &side->terms[i];
        if (t->kind == LT_TERM_VALUE && looked_at(t) && m->bound[t->name]) {
            LT_TRY(record_value(m, t, m->values[t->name], diag));
        } else if (t->kind == LT_TERM_NODE && !lt_node_none(m->nodes[i])) {
            LT_TRY(record_literals(m, t, m->nodes[i], diag));
        }
    }
    return LATHE_OK;
}

/* ---- New nodes ---- */

static lathe_status unbound(builder *b, const char *what)
{
    const lt_rule *rule = b->m->code->rule;
    return LT_FAIL(b->diag, LATHE_INTERNAL, rule->name, "this is a bug in the rule", "the replacement '%s' needs %s, which the guard did not bind",
                   rule->replacement, what);
}

static lathe_status collect_attrs(builder *b, const lt_term *t, lathe_attr **out, size_t *count)
{
    const lt_rule_side *to = &b->m->code->to;
    size_t n = 0, room = (size_t)t->n_attrs;
    for (int i = t->attrs; i < t->attrs + t->n_attrs; i++) {
        const lt_node *from = to->attrs[i].copy >= 0 ? lt_node_get(b->m->graph, b->m->nodes[to->attrs[i].copy]) : NULL;
        room += from != NULL ? from->n_attrs : 0;
    }
    lathe_attr *attrs = LT_ARENA_ARRAY(b->m->scratch, lathe_attr, room + 1);
    if (attrs == NULL) {
        return LT_OOM(b->diag);
    }
    /* Attributes that are given by name win over copied ones. */
    for (int i = t->attrs; i < t->attrs + t->n_attrs; i++) {
        const lt_rule_attr *a = &to->attrs[i];
        if (a->copy >= 0) {
            continue;
        }
        if (a->name >= 0 && !b->m->bound[a->name]) {
            return unbound(b, b->m->code->names[a->name]);
        }
        const lathe_attr *value = a->name >= 0 ? b->m->attrs[a->name] : &a->value;
        if (value != NULL) {
            attrs[n] = *value;
            attrs[n++].name = a->value.name;
        }
    }
    for (int i = t->attrs; i < t->attrs + t->n_attrs; i++) {
        const lt_node *from = to->attrs[i].copy >= 0 ? lt_node_get(b->m->graph, b->m->nodes[to->attrs[i].copy]) : NULL;
        for (uint32_t k = 0; from != NULL && k < from->n_attrs; k++) {
            if (lt_attr_find(attrs, n, from->attrs[k].name) == NULL) {
                attrs[n++] = from->attrs[k];
            }
        }
    }
    *out = attrs;
    *count = n;
    return LATHE_OK;
}

/* The element type of number literals: that of the node's first argument that has one. */
static lathe_dtype literal_dtype(const builder *b, const lt_term *t)
{
    for (int i = 0; i < t->n_args; i++) {
        const lt_term *arg = &b->m->code->to.terms[t->args[i]];
        const lt_value *value = lt_value_get(b->m->graph, b->built[t->args[i]]);
        if (arg->kind != LT_TERM_NUMBER && value != NULL) {
            return value->type.dtype;
        }
    }
    return LATHE_DTYPE_F32;
}

static lathe_status build_literals(builder *b, const lt_term *t)
{
    unsigned char data[LT_RULE_ARGS * sizeof(int64_t)] = { 0 };
    for (int i = 0; i < t->n_args; i++) {
        const lt_term *arg = &b->m->code->to.terms[t->args[i]];
        lt_tensor tensor = { .struct_size = sizeof tensor, .data = data };
        if (arg->kind == LT_TERM_NUMBER) {
            lathe_dtype dtype = literal_dtype(b, t);
            LT_TRY(lt_tensor_shape(&tensor, dtype, 0, NULL, "literal of a rule", b->diag));
            if (lt_dtype_is_float(dtype)) {
                lt_store_f64(dtype, data, 0, arg->number);
            } else {
                lt_store_i64(dtype, data, 0, (int64_t)arg->number);
            }
        } else if (arg->kind == LT_TERM_INTS) {
            int64_t count = arg->n_ints;
            LT_TRY(lt_tensor_shape(&tensor, LATHE_DTYPE_I64, 1, &count, "literal of a rule", b->diag));
            memcpy(data, arg->ints, (size_t)count * sizeof(int64_t));
        } else {
            continue;
        }
        LT_TRY(lt_graph_add_constant(b->m->graph, NULL, &tensor, &b->built[t->args[i]], b->diag));
    }
    return LATHE_OK;
}

/* How many outputs the new node must have: those that the replacement names. */
static size_t outputs_needed(const lt_rule_side *to, int term, const lt_op *op, const lt_rule_code *code)
{
    int least;
    lt_op_arity(op, NULL, NULL, &least, NULL);
    size_t n = least > 1 ? (size_t)least : 1;
    for (int i = 0; i < to->n_terms; i++) {
        const lt_term *t = &to->terms[i];
        bool local = t->kind == LT_TERM_OUTPUT && t->name >= 0 && code->name_kind[t->name] == LT_NAME_LOCAL;
        if (local && t->node == term && (size_t)t->output + 1 > n) {
            n = (size_t)t->output + 1;
        }
    }
    return n;
}

static lathe_status build_node(builder *b, int term)
{
    const lt_term *t = &b->m->code->to.terms[term];
    lt_node_spec spec = { .descriptor = t->ops[0] };
    lt_value_id inputs[LT_RULE_ARGS];
    lathe_attr *attrs;
    LT_TRY(build_literals(b, t));
    for (int i = 0; i < t->n_args; i++) {
        inputs[i] = b->built[t->args[i]];
    }
    LT_TRY(collect_attrs(b, t, &attrs, &spec.n_attrs));
    const lt_node *root = lt_match_root(b->m);
    spec.attrs = attrs;
    spec.label = root->label;
    spec.inputs = inputs;
    spec.n_inputs = (size_t)t->n_args;
    spec.n_outputs = outputs_needed(&b->m->code->to, term, t->ops[0], b->m->code);
    spec.before = root->id;
    spec.device = root->device;
    LT_TRY(lt_graph_add_node(b->m->graph, root->region, &spec, &b->nodes[term], NULL, b->diag));
    b->built[term] = lt_node_get(b->m->graph, b->nodes[term])->outputs[0];
    return LATHE_OK;
}

static lathe_status build_term(builder *b, int term)
{
    const lt_rule_code *code = b->m->code;
    const lt_term *t = &code->to.terms[term];
    if (t->kind == LT_TERM_NODE) {
        return build_node(b, term);
    }
    if (t->kind == LT_TERM_VALUE) {
        if (!b->m->bound[t->name]) {
            return unbound(b, code->names[t->name]);
        }
        b->built[term] = b->m->values[t->name];
    } else if (t->kind == LT_TERM_OUTPUT) {
        bool local = code->name_kind[t->name] == LT_NAME_LOCAL;
        const lt_node *node = lt_node_get(b->m->graph, local ? b->nodes[t->node] : b->m->nodes[t->node]);
        if (node == NULL || (uint32_t)t->output >= node->n_outputs) {
            return unbound(b, "an output that its node does not have");
        }
        b->built[term] = node->outputs[t->output];
    }
    return LATHE_OK;
}

/* ---- The whole ---- */

/* Removes the dying nodes; a node is removable when those that read it are gone, so this takes at most one round for each. */
static lathe_status remove_dead(builder *b)
{
    lt_match *m = b->m;
    bool more = true;
    while (more) {
        more = false;
        for (int i = 0; i < m->code->from.n_terms; i++) {
            const lt_node *node = lt_node_get(m->graph, m->nodes[i]);
            if (node != NULL && m->dies[i] && lt_node_unused(m->graph, node)) {
                LT_TRY(lt_graph_remove_node(m->graph, node->id, b->diag));
                more = true;
            }
        }
    }
    return LATHE_OK;
}

static lathe_status replace_results(builder *b, const char **names, bool *fresh)
{
    const lt_rule_side *to = &b->m->code->to;
    for (int i = 0; i < to->n_roots; i++) {
        const lt_value *old = lt_node_out(b->m->graph, lt_match_root(b->m), (uint32_t)i);
        names[i] = NULL;
        fresh[i] = to->terms[to->roots[i]].kind == LT_TERM_NODE;
        if (old == NULL) {
            continue;
        }
        names[i] = old->n_region_outputs == 0 ? lt_arena_str(b->m->scratch, old->name) : NULL;
        LT_TRY(lt_graph_replace_value(b->m->graph, old->id, b->built[to->roots[i]], b->diag));
    }
    return LATHE_OK;
}

static lathe_status rewrite(builder *b)
{
    lt_match *m = b->m;
    const lt_rule_side *to = &m->code->to;
    const char *names[LT_RULE_ROOTS];
    bool fresh[LT_RULE_ROOTS];
    for (int i = 0; i < m->code->from.n_terms; i++) {
        if (!lt_node_none(m->nodes[i]) && m->dies[i]) {
            LT_TRY(lt_edit_consume(m->graph, m->nodes[i], b->diag));
        }
    }
    for (int i = 0; i < to->n_terms; i++) {
        LT_TRY(build_term(b, i));
    }
    LT_TRY(replace_results(b, names, fresh));
    LT_TRY(remove_dead(b));
    for (int i = 0; i < to->n_roots; i++) {
        m->made[i] = b->built[to->roots[i]];
    }
    /* A new value takes the name of the one it replaces, which is free now. */
    for (int i = 0; i < to->n_roots; i++) {
        if (names[i] != NULL && fresh[i]) {
            LT_TRY(lt_graph_rename(m->graph, b->built[to->roots[i]], names[i], b->diag));
        }
    }
    return LATHE_OK;
}

lathe_status lt_rule_apply(lt_match *m, lathe_diag *diag)
{
    builder b = { .m = m, .diag = diag };
    LT_TRY(record_assumptions(m, diag));
    return rewrite(&b);
}
