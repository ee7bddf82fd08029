/*
 * rule_drive.c - applies a set of rules everywhere until none matches any more. Called by the manager for passes that are made of rules, and
 * by passes that mix rules with code.
 *
 * Nodes wait in a queue in their order. After a rewrite its neighbours wait again; when the queue is empty one more round over the whole
 * graph must find nothing. Rules lower a measure, so this ends; a bound turns a wrong `grows` into an error instead of a hang.
 */
#include "passes/passes_internal.h"

#include <string.h>

typedef struct driver {
    lt_pass_call *call;
    const lt_rule *rules;
    lt_rule_code **codes; /* NULL: no node that it could begin at has come by, so it was not compiled */
    size_t n_codes;
    lt_imap known;        /* operators, by address, whose rules are compiled */
    lt_arena arena;    /* of one match */
    lt_node_id *queue; /* in the scratch arena; entries before `head` are done */
    size_t head, tail, capacity;
    size_t rewrites, bound;
    lt_imap noted;     /* refusals of guards that were told already */
} driver;

static lathe_status push(driver *d, lt_node_id node)
{
    if (lt_node_none(node)) {
        return LATHE_OK;
    }
    if (!lt_arena_grow(d->call->scratch, (void **)&d->queue, &d->capacity, d->tail + 1, sizeof *d->queue)) {
        return LT_OOM(d->call->diag);
    }
    d->queue[d->tail++] = node;
    return LATHE_OK;
}

/* Whoever makes or reads the value may match now. */
static lathe_status push_around(driver *d, lt_value_id id)
{
    const lt_value *value = lt_value_get(d->call->graph, id);
    if (value == NULL || lt_value_is_constant(value)) {
        return LATHE_OK;
    }
    LT_TRY(push(d, value->def));
    /* Values that everybody reads would make the queue quadratic; the last round looks at those. */
    for (uint32_t i = 0; value->n_uses <= 16 && i < value->n_uses; i++) {
        LT_TRY(push(d, value->uses[i].node));
    }
    return LATHE_OK;
}

static lathe_status push_neighbours(driver *d, const lt_match *m)
{
    for (int i = 0; i < m->code->to.n_roots; i++) {
        LT_TRY(push_around(d, m->made[i]));
    }
    for (int i = 0; i < m->code->n_names; i++) {
        if (m->code->name_kind[i] == LT_NAME_VALUE && m->bound[i]) {
            LT_TRY(push_around(d, m->values[i]));
        }
    }
    return LATHE_OK;
}

/* Reading the text of a rule costs more than trying it, and most rules begin at operators that a network does not have. */
static lathe_status compile_rules_of(driver *d, const lt_op *op)
{
    lt_pass_call *c = d->call;
    uint64_t key = (uint64_t)(uintptr_t)op;
    if (lt_imap_get(&d->known, key, NULL)) {
        return LATHE_OK;
    }
    for (size_t i = 0; i < d->n_codes; i++) {
        const char *last = strrchr(d->rules[i].pattern, ';');
        if (d->codes[i] == NULL && strstr(last != NULL ? last : d->rules[i].pattern, op->name) != NULL) {
            LT_TRY(lt_rule_compile(&d->rules[i], c->scratch, &d->codes[i], c->diag));
        }
    }
    return lt_imap_put(&d->known, key, 1) ? LATHE_OK : LT_OOM(c->diag);
}

static lathe_status count_rules(driver *d)
{
    while (d->rules[d->n_codes].name != NULL) {
        d->n_codes++;
    }
    d->codes = lt_arena_zero(d->call->scratch, d->n_codes + 1, sizeof *d->codes, _Alignof(lt_rule_code *));
    return d->codes != NULL ? LATHE_OK : LT_OOM(d->call->diag);
}

static size_t rule_number(const driver *d, const lt_rule_code *code)
{
    size_t i = 0;
    while (i < d->n_codes && d->codes[i] != code) {
        i++;
    }
    return i;
}

/* Guards may look at constants, so they run inside the edit that names who relied on them. */
static lathe_status guard_and_apply(driver *d, lt_match *m, bool *hit)
{
    lt_pass_call *c = d->call;
    const lt_rule *rule = m->code->rule;
    char why[192] = "";
    *hit = rule->guard == NULL || rule->guard(c, m, why, sizeof why);
    if (m->status != LATHE_OK) {
        return LT_OOM(c->diag);
    }
    if (*hit) {
        return lt_rule_apply(m, c->diag);
    }
    uint64_t key = (uint64_t)m->root.index << 16 | rule_number(d, m->code);
    if (why[0] != '\0' && !lt_imap_get(&d->noted, key, NULL)) {
        lt_pass_note(c, lt_match_root(m), "%s: %s", rule->name, why);
        return lt_imap_put(&d->noted, key, 1) ? LATHE_OK : LT_OOM(c->diag);
    }
    return LATHE_OK;
}

/* One rule at one node. *hit: it matched and was applied. */
static lathe_status try_rule(driver *d, const lt_rule_code *code, lt_node_id id, bool *hit)
{
    lt_pass_call *c = d->call;
    const lt_node *node = lt_node_get(c->graph, id);
    lt_match m;
    *hit = false;
    lt_arena_reset(&d->arena);
    if (node == NULL || !lt_rule_match(code, c->graph, node, &d->arena, &m)) {
        return LATHE_OK;
    }
    LT_TRY(lt_edit_begin(c->graph, c->pass->name, code->rule->name, c->diag));
    lathe_status status = guard_and_apply(d, &m, hit);
    lt_edit_end(c->graph);
    LT_TRY(status);
    if (!*hit) {
        return LATHE_OK;
    }
    c->changed = true;
    if (++d->rewrites > d->bound) {
        return LT_FAIL(c->diag, LATHE_INTERNAL, c->pass->name, "a rule's `grows` is wrong", "rules do not come to rest after %zu rewrites; the last was %s",
                       d->rewrites, code->rule->name);
    }
    return push_neighbours(d, &m);
}

/* All nodes once, and whatever the rewrites wake up. */
static lathe_status sweep(driver *d, bool *any)
{
    size_t count;
    LT_TRY(lt_walk_list(d->call, &d->queue, &count));
    d->head = 0;
    d->tail = d->capacity = count;
    while (d->head < d->tail) {
        lt_node_id id = d->queue[d->head++];
        const lt_node *node = lt_node_get(d->call->graph, id);
        LT_TRY(node != NULL ? compile_rules_of(d, node->op) : LATHE_OK);
        for (size_t k = 0; k < d->n_codes; k++) {
            bool hit = false;
            LT_TRY(d->codes[k] != NULL ? try_rule(d, d->codes[k], id, &hit) : LATHE_OK);
            *any = *any || hit;
        }
    }
    return LATHE_OK;
}

lathe_status lt_rules_run(lt_pass_call *c, const lt_rule *rules)
{
    driver d = { .call = c, .rules = rules };
    bool any = true;
    lathe_status status = LATHE_OK;
    LT_TRY(count_rules(&d));
    for (lt_region_id r = 0; r < lt_graph_regions(c->graph); r++) {
        d.bound += lt_graph_node_count(c->graph, r);
    }
    d.bound = 16 * d.bound + 256;
    lt_arena_init(&d.arena, c->allocator);
    lt_imap_init(&d.noted, c->allocator);
    lt_imap_init(&d.known, c->allocator);
    while (any && status == LATHE_OK) {
        any = false;
        status = sweep(&d, &any);
    }
    lt_imap_free(&d.noted);
    lt_imap_free(&d.known);
    lt_arena_destroy(&d.arena);
    return status;
}
