/*
 * tactic_rules.c - the rules file: which tactics may be taken where, and what counts as best. Parsed for api, asked by units.c (candidates) and selector.c (choice).
 *
 *     # one rule a line; a word, then conditions that must all hold
 *     exclude tactic=*.winograd2.*
 *     include op=Softmax tactic=row.*
 *     slowest node=encoder*
 *     least-scratch op=Conv
 *
 * exclude refuses candidates; include refuses all others for the steps that it speaks of; of fastest (the default), slowest and least-scratch the last
 * rule that speaks of a step holds.
 */
#define _GNU_SOURCE
#include "tune/tune_internal.h"
#include <string.h>

typedef struct word_row { const char *word; lt_tactic_rule_kind kind; } word_row;

static const word_row words[] = {{"include", LT_TACTIC_RULE_INCLUDE}, {"exclude", LT_TACTIC_RULE_EXCLUDE}, {"fastest", LT_TACTIC_RULE_FASTEST}, {"slowest", LT_TACTIC_RULE_SLOWEST},
                                 {"least-scratch", LT_TACTIC_RULE_LEAST_SCRATCH}};

typedef struct reader {
    const char *file;
    uint32_t line;
    lt_arena *arena;
    lathe_diag *diag;
} reader;

static lathe_status wrong(const reader *r, const char *what, const char *text)
{
    char where[200];
    snprintf(where, sizeof where, "%s:%u", r->file, r->line);
    return LT_FAIL(r->diag, LATHE_INVALID_ARGUMENT, where, "write: include|exclude|fastest|slowest|least-scratch [tactic=GLOB] [op=GLOB] [node=GLOB]", "%s '%s'", what,
                   text);
}

static lathe_status read_condition(const reader *r, const char *word, lt_tactic_rule *rule)
{
    const struct { const char *key; const char **to; } keys[] = {{"tactic=", &rule->tactic}, {"op=", &rule->op}, {"node=", &rule->node}};
    for (size_t i = 0; i < LT_COUNT(keys); i++) {
        size_t n = strlen(keys[i].key);
        if (strncmp(word, keys[i].key, n) == 0 && word[n]) {
            *keys[i].to = word + n;
            return LATHE_OK;
        }
    }
    return wrong(r, "there is no condition", word);
}

/* One line, comments gone, not empty. It is taken apart in place. */
static lathe_status read_rule(const reader *r, char *line, lt_tactic_rule *rule)
{
    char *rest = NULL, *word = strtok_r(line, " \t\r", &rest);
    size_t i = 0;
    while (i < LT_COUNT(words) && strcmp(words[i].word, word) != 0) {
        i++;
    }
    if (i == LT_COUNT(words)) {
        return wrong(r, "there is no rule", word);
    }
    *rule = (lt_tactic_rule){.kind = words[i].kind, .tactic = "*", .op = "*", .node = "*"};
    rule->where = lt_arena_printf(r->arena, "%s:%u", r->file, r->line);
    while ((word = strtok_r(NULL, " \t\r", &rest))) {
        LT_TRY(read_condition(r, word, rule));
    }
    bool filter = rule->kind == LT_TACTIC_RULE_INCLUDE || rule->kind == LT_TACTIC_RULE_EXCLUDE;
    if (filter && strcmp(rule->tactic, "*") == 0) {
        return wrong(r, "say which tactics (tactic=GLOB) to", words[i].word);
    }
    if (!filter && strcmp(rule->tactic, "*") != 0) {
        return wrong(r, "tactics cannot be a condition of", words[i].word);
    }
    return rule->where ? LATHE_OK : LT_OOM(r->diag);
}

lathe_status lt_tactic_rules_parse(const char *text, size_t length, const char *file, lt_arena *arena, lt_tactic_rules *out, lathe_diag *diag)
{
    reader r = {.file = file, .arena = arena, .diag = diag};
    char *copy = lt_arena_strn(arena, text, length), *rest = NULL;
    size_t capacity = 0;
    *out = (lt_tactic_rules){0};
    if (!copy) {
        return LT_OOM(diag);
    }
    for (char *line = copy; line; line = rest) {
        rest = strchr(line, '\n');
        if (rest) {
            *rest++ = '\0';
        }
        r.line++;
        line[strcspn(line, "#")] = '\0';
        if (line[strspn(line, " \t\r")] == '\0') {
            continue;
        }
        if (!lt_arena_grow(arena, (void **)&out->items, &capacity, out->count + 1, sizeof *out->items)) {
            return LT_OOM(diag);
        }
        LT_TRY(read_rule(&r, line, &out->items[out->count++]));
    }
    return LATHE_OK;
}

/* Does a rule speak of a step with this root and these nodes? Any of the nodes will do. */
static bool speaks_of(const lt_tuner *t, const lt_draft *d, const lt_tactic_rule *rule)
{
    const char *op = d->problem && d->problem->op[0] ? d->problem->op : "-";
    bool node = strcmp(rule->node, "*") == 0;
    for (uint32_t i = 0; i < d->n_nodes && !node; i++) {
        const lt_node *n = lt_node_get(t->graph, d->nodes[i]);
        node = n->label && lt_glob(rule->node, n->label);
    }
    return node && lt_glob(rule->op, op);
}

const char *lt_tactic_rules_refuse(const lt_tuner *t, const lt_draft *d, const lathe_tactic *tactic)
{
    const lt_tactic_rules *rules = t->options->rules;
    const char *outside = NULL;
    bool included = false;
    for (size_t i = 0; rules && i < rules->count; i++) {
        const lt_tactic_rule *rule = &rules->items[i];
        if ((rule->kind != LT_TACTIC_RULE_INCLUDE && rule->kind != LT_TACTIC_RULE_EXCLUDE) || !speaks_of(t, d, rule)) {
            continue;
        }
        bool matches = lt_glob(rule->tactic, tactic->name);
        if (rule->kind == LT_TACTIC_RULE_EXCLUDE && matches) {
            return rule->where;
        }
        outside = rule->kind == LT_TACTIC_RULE_INCLUDE ? rule->where : outside;
        included |= rule->kind == LT_TACTIC_RULE_INCLUDE && matches;
    }
    return included ? NULL : outside;
}

lt_tactic_rule_kind lt_tactic_rules_aim(const lt_tuner *t, const lt_draft *d)
{
    const lt_tactic_rules *rules = t->options->rules;
    lt_tactic_rule_kind aim = LT_TACTIC_RULE_FASTEST;
    for (size_t i = 0; rules && i < rules->count; i++) {
        const lt_tactic_rule *rule = &rules->items[i];
        if (rule->kind >= LT_TACTIC_RULE_FASTEST && speaks_of(t, d, rule)) {
            aim = rule->kind;
        }
    }
    return aim;
}
