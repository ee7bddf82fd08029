/*
 * rule_check.c - turns rules into their compiled form and refuses those that do not lower the graph. Called by rule_drive.c and tests.
 *
 * The measure of a side is (nodes, bytes, rank), compared in this order: nodes that are there for sure and go away; tensors that they read
 * and write; and the rank of their operators, which is above 0 for those that have a more canonical form. A rule that does not lower it
 * could run for ever, so it needs a reason in `grows`.
 */
#include "passes/passes_internal.h"

#include <string.h>

/* Operators with a more canonical form: a rule may turn them into one with a lower rank. */
static const struct {
    const char *op;
    int rank;
} ranks[] = {
    { "Flatten", 1 }, { "Squeeze", 1 }, { "Unsqueeze", 1 }, /* Reshape */
    { "Sub", 1 }, { "Sum", 1 },                             /* Add */
    { "Div", 1 }, { "Pow", 2 },                             /* Mul */
    { "Expand", 1 }, { "GreaterOrEqual", 1 }, { "LessOrEqual", 1 },
};

static int rank_of(const lt_op *op)
{
    for (size_t i = 0; i < LT_COUNT(ranks); i++) {
        if (lt_streq(op->name, ranks[i].op) && (op->domain == NULL || op->domain[0] == '\0')) {
            return ranks[i].rank;
        }
    }
    return 0;
}

typedef struct measure {
    int nodes, bytes, rank;
} measure;

static void add_term(const lt_rule_side *side, const lt_term *term, measure *m)
{
    int least = 0;
    if (term->kind != LT_TERM_NODE || term->optional || term->shared) {
        return;
    }
    m->nodes++;
    m->bytes++;
    for (int i = 0; i < term->n_args; i++) {
        const lt_term *arg = &side->terms[term->args[i]];
        bool constant = arg->kind == LT_TERM_NUMBER || arg->kind == LT_TERM_INTS || arg->kind == LT_TERM_ANY ||
                        (arg->needs & (LT_NEED_CONST | LT_NEED_SCALAR | LT_NEED_SPLAT)) != 0;
        m->bytes += !constant;
    }
    for (int i = 0; i < term->n_ops; i++) {
        int rank = rank_of(term->ops[i]);
        least = i == 0 || rank < least ? rank : least;
    }
    m->rank += least;
}

/* Nodes of the pattern that the replacement reads stay, so they do not count. */
static bool stays(const lt_rule_code *code, int term)
{
    for (int i = 0; i < code->to.n_terms; i++) {
        const lt_term *t = &code->to.terms[i];
        if (t->kind == LT_TERM_OUTPUT && t->node == term && code->name_kind[t->name] == LT_NAME_NODE) {
            return true;
        }
    }
    return false;
}

static measure measure_side(const lt_rule_code *code, const lt_rule_side *side)
{
    measure m = { 0, 0, 0 };
    for (int i = 0; i < side->n_terms; i++) {
        if (side != &code->from || !stays(code, i)) {
            add_term(side, &side->terms[i], &m);
        }
    }
    return m;
}

static bool lower(measure a, measure b)
{
    if (a.nodes != b.nodes) {
        return a.nodes < b.nodes;
    }
    if (a.bytes != b.bytes) {
        return a.bytes < b.bytes;
    }
    return a.rank < b.rank;
}

/* Names that only the replacement has must be bound by a guard. */
static lathe_status check_names(const lt_rule_code *code, lathe_diag *diag)
{
    for (int i = 0; i < code->n_names; i++) {
        if (code->name_kind[i] == LT_NAME_FREE && code->rule->guard == NULL) {
            return LT_FAIL(diag, LATHE_INTERNAL, code->rule->name, "bind the name in the pattern or in a guard",
                           "the replacement '%s' uses the name %s, which nothing binds", code->rule->replacement, code->names[i]);
        }
    }
    return LATHE_OK;
}

lathe_status lt_rule_compile(const lt_rule *rule, lt_arena *arena, lt_rule_code **out, lathe_diag *diag)
{
    lt_rule_code *code = LT_ARENA_NEW(arena, lt_rule_code);
    if (code == NULL) {
        return LT_OOM(diag);
    }
    LT_TRY(lt_rule_read(rule, arena, code, diag));
    LT_TRY(check_names(code, diag));
    measure before = measure_side(code, &code->from), after = measure_side(code, &code->to);
    if (!code->inert && rule->grows == NULL && !lower(after, before)) {
        return LT_FAIL(diag, LATHE_INTERNAL, rule->name, "give the rule a reason in `grows`, or turn it round",
                       "'%s' -> '%s' does not lower (nodes, bytes, rank): from (%d, %d, %d) to (%d, %d, %d)", rule->pattern, rule->replacement,
                       before.nodes, before.bytes, before.rank, after.nodes, after.bytes, after.rank);
    }
    *out = code;
    return LATHE_OK;
}
