/*
 * rule_text.c - reads the text of rewrite rules into terms. Called by rule_check.c. It knows operators by name and nothing of graphs.
 *
 *   side  := stmt { ";" stmt }                       stmt := [ name "=" ] expr { "," expr }      commas: several results, replacements only
 *   expr  := [ "!" ] op { "|" op } [ "?" ] [ "<" attr { "," attr } ">" ] "(" [ expr { "," expr } [ "," "..." ] ] ")"
 *          | name { ":" need } | name "." number | "_" | number [ "~" tolerance ] | "[" int { "," int } "]"
 *   need  := "const" | "scalar" | "single" | "splat(" number ")" | dtype
 *   attr  := name "=" ( name | number | "[" numbers "]" | string ) [ "?" ] | "*" name
 */
#include "passes/passes_internal.h"

#include <ctype.h>
#include <string.h>

typedef struct reader {
    const char *at, *text;
    const lt_rule *rule;
    lt_rule_code *code;
    lt_rule_side *side;
    bool pattern; /* which side this is */
    lt_arena *arena;
    lt_rule_unknown unknown;
    void *user;
    lathe_diag *diag;
    int depth;
} reader;

static lathe_status complain(reader *r, const char *what)
{
    return LT_FAIL(r->diag, LATHE_INTERNAL, r->rule->name, "correct the text of the rule", "%s '%s': %s at '%s'", r->pattern ? "pattern" : "replacement",
                   r->text, what, *r->at != '\0' ? r->at : "the end");
}

static void skip(reader *r)
{
    while (*r->at == ' ' || *r->at == '\n') {
        r->at++;
    }
}

static bool take(reader *r, char c)
{
    skip(r);
    if (*r->at != c) {
        return false;
    }
    r->at++;
    return true;
}

static bool take_text(reader *r, const char *text)
{
    skip(r);
    size_t n = strlen(text);
    if (strncmp(r->at, text, n) != 0) {
        return false;
    }
    r->at += n;
    return true;
}

static bool word_char(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

/* Length of the word [A-Za-z_][A-Za-z0-9_]* at `at`. */
static size_t word_length(const char *at)
{
    size_t n = 0;
    if (isalpha((unsigned char)*at) || *at == '_') {
        while (word_char(at[n])) {
            n++;
        }
    }
    return n;
}

static const char *take_word(reader *r)
{
    skip(r);
    size_t n = word_length(r->at);
    if (n == 0) {
        return NULL;
    }
    const char *word = lt_arena_strn(r->arena, r->at, n);
    r->at += n;
    return word;
}

static lathe_status find_name(reader *r, const char *name, int *out)
{
    lt_rule_code *code = r->code;
    for (int i = 0; i < code->n_names; i++) {
        if (lt_streq(code->names[i], name)) {
            *out = i;
            return LATHE_OK;
        }
    }
    if (code->n_names == LT_RULE_NAMES) {
        return complain(r, "too many names");
    }
    *out = code->n_names++;
    code->names[*out] = name;
    code->name_kind[*out] = LT_NAME_FREE;
    return LATHE_OK;
}

static lathe_status new_term(reader *r, lt_term_kind kind, int *out)
{
    if (r->side->n_terms == LT_RULE_TERMS) {
        return complain(r, "too many terms");
    }
    *out = r->side->n_terms++;
    r->side->terms[*out] = (lt_term){ .kind = kind, .name = -1 };
    return LATHE_OK;
}

/* "-0.5", "1e-05", "3", "inf": as a double. */
static bool at_number(const char *at)
{
    if (*at == '-' || *at == '+') {
        at++;
    }
    return isdigit((unsigned char)*at) || (strncmp(at, "inf", 3) == 0 && !word_char(at[3]));
}

static lathe_status take_number(reader *r, double *out, bool *integer)
{
    skip(r);
    size_t n = 0;
    const char *at = r->at;
    *integer = true;
    while (word_char(at[n]) || at[n] == '.' || at[n] == '+' || at[n] == '-') {
        bool sign = at[n] == '+' || at[n] == '-';
        if (sign && n > 0 && at[n - 1] != 'e') {
            break;
        }
        *integer = *integer && (isdigit((unsigned char)at[n]) || sign);
        n++;
    }
    int64_t whole;
    if (n > 0 && *integer && lt_parse_i64(at, n, &whole)) {
        *out = (double)whole;
    } else if (n == 0 || !lt_parse_f64(at, n, out)) {
        return complain(r, "expected a number");
    }
    r->at += n;
    return LATHE_OK;
}

static lathe_status take_numbers(reader *r, lathe_attr *value)
{
    int64_t ints[LT_RULE_ARGS];
    float floats[LT_RULE_ARGS];
    size_t n = 0;
    bool all_ints = true;
    while (!take(r, ']')) {
        double number;
        bool integer;
        if (n == LT_RULE_ARGS || (n > 0 && !take(r, ','))) {
            return complain(r, "expected ',' or ']'");
        }
        LT_TRY(take_number(r, &number, &integer));
        all_ints = all_ints && integer;
        floats[n] = (float)number;
        ints[n++] = integer ? (int64_t)number : 0;
    }
    value->count = n;
    value->kind = all_ints ? LATHE_ATTR_INTS : LATHE_ATTR_FLOATS;
    value->ints = lt_arena_copy(r->arena, ints, n * sizeof(*ints), _Alignof(int64_t));
    value->floats = lt_arena_copy(r->arena, floats, n * sizeof(*floats), _Alignof(float));
    return value->ints != NULL && value->floats != NULL ? LATHE_OK : LT_OOM(r->diag);
}

static lathe_status take_attr_value(reader *r, lt_rule_attr *attr)
{
    skip(r);
    if (take(r, '[')) {
        return take_numbers(r, &attr->value);
    }
    if (take(r, '"')) {
        const char *end = strchr(r->at, '"');
        if (end == NULL) {
            return complain(r, "string without an end");
        }
        attr->value.kind = LATHE_ATTR_STRING;
        attr->value.s = (lathe_bytes){ r->at, (size_t)(end - r->at) };
        r->at = end + 1;
        return LATHE_OK;
    }
    if (at_number(r->at)) {
        double number;
        bool integer;
        LT_TRY(take_number(r, &number, &integer));
        attr->value.kind = integer ? LATHE_ATTR_INT : LATHE_ATTR_FLOAT;
        attr->value.i = integer ? (int64_t)number : 0;
        attr->value.f = (float)number;
        return LATHE_OK;
    }
    const char *name = take_word(r);
    if (name == NULL) {
        return complain(r, "expected a value of the attribute");
    }
    LT_TRY(find_name(r, name, &attr->name));
    lt_name_kind *kind = &r->code->name_kind[attr->name];
    if (*kind == LT_NAME_FREE && r->pattern) {
        *kind = LT_NAME_ATTR;
    }
    return *kind == LT_NAME_ATTR || *kind == LT_NAME_FREE ? LATHE_OK : complain(r, "this name is no attribute");
}

static lathe_status take_attrs(reader *r, lt_term *node)
{
    lt_rule_side *side = r->side;
    node->attrs = side->n_attrs;
    do {
        if (side->n_attrs == LT_RULE_ATTRS) {
            return complain(r, "too many attributes");
        }
        lt_rule_attr *attr = &side->attrs[side->n_attrs++];
        *attr = (lt_rule_attr){ .name = -1, .copy = -1 };
        bool copy = !r->pattern && take(r, '*');
        const char *name = take_word(r);
        if (name == NULL) {
            return complain(r, "expected the name of an attribute");
        }
        if (copy) {
            int index;
            LT_TRY(find_name(r, name, &index));
            if (r->code->name_kind[index] != LT_NAME_NODE) {
                return complain(r, "no node of the pattern has this name");
            }
            attr->copy = r->code->name_term[index];
            continue;
        }
        attr->value.name = name;
        if (!take(r, '=')) {
            return complain(r, "expected '='");
        }
        LT_TRY(take_attr_value(r, attr));
        attr->or_absent = r->pattern && take(r, '?');
    } while (take(r, ','));
    node->n_attrs = side->n_attrs - node->attrs;
    return take(r, '>') ? LATHE_OK : complain(r, "expected '>'");
}

/* The operator whose name starts at `at` and has `n` characters, with or without "domain:". NULL: unknown. */
static const lt_op *find_op(reader *r, const char *at, size_t n)
{
    char *name = lt_arena_strn(r->arena, at, n);
    if (name == NULL) {
        return NULL;
    }
    char *colon = strrchr(name, ':');
    const char *domain = "";
    const char *op = name;
    if (colon != NULL) {
        *colon = '\0';
        domain = name;
        op = colon + 1;
    }
    const lt_op *found = lt_op_find(domain, op);
    if (found == NULL && r->unknown != NULL) {
        if (colon != NULL) {
            *colon = ':';
        }
        r->unknown(r->user, r->rule->name, name);
    }
    return found;
}

/* Length of an operator's name, domain included, when one stands at `at` followed by ( < | or ?; else 0. */
static size_t op_length(const char *at)
{
    size_t n = word_length(at);
    while (n > 0 && (at[n] == '.' || at[n] == ':') && word_length(at + n + 1) > 0) {
        n += 1 + word_length(at + n + 1);
    }
    const char *next = at + n;
    while (*next == ' ') {
        next++;
    }
    bool splat = n >= 6 && strncmp(at + n - 6, ":splat", 6) == 0;
    return n > 0 && !splat && (*next == '(' || *next == '<' || *next == '|' || *next == '?') ? n : 0;
}

static lathe_status take_expr(reader *r, int *out);

static lathe_status take_args(reader *r, lt_term *node)
{
    if (!take(r, '(')) {
        return complain(r, "expected '('");
    }
    while (!take(r, ')')) {
        if (node->n_args > 0 && !take(r, ',')) {
            return complain(r, "expected ',' or ')'");
        }
        if (take_text(r, "...")) {
            node->more = true;
            return take(r, ')') ? LATHE_OK : complain(r, "expected ')' behind '...'");
        }
        if (node->n_args == LT_RULE_ARGS) {
            return complain(r, "too many arguments");
        }
        LT_TRY(take_expr(r, &node->args[node->n_args]));
        node->n_args++;
    }
    return LATHE_OK;
}

static lathe_status take_node(reader *r, bool shared, int *out)
{
    lt_term node = { .kind = LT_TERM_NODE, .name = -1, .shared = shared };
    size_t n;
    do {
        skip(r);
        n = op_length(r->at);
        if (n == 0) {
            return complain(r, "expected an operator");
        }
        if (node.n_ops == LT_RULE_OPS) {
            return complain(r, "too many alternatives");
        }
        const lt_op *op = find_op(r, r->at, n);
        if (op != NULL) {
            node.ops[node.n_ops++] = op;
        }
        r->at += n;
    } while (take(r, '|'));
    r->code->inert = r->code->inert || node.n_ops == 0;
    node.optional = r->pattern && take(r, '?');
    if (take(r, '<')) {
        LT_TRY(take_attrs(r, &node));
    }
    LT_TRY(take_args(r, &node));
    if (node.optional && node.n_args == 0) {
        return complain(r, "an optional node needs an argument to stand for it");
    }
    LT_TRY(new_term(r, LT_TERM_NODE, out));
    r->side->terms[*out] = node;
    return LATHE_OK;
}

static lathe_status take_needs(reader *r, lt_term *value)
{
    while (take(r, ':')) {
        bool integer;
        const char *word = take_word(r);
        lathe_dtype dtype = word != NULL ? lathe_dtype_from_name(word) : LATHE_DTYPE_UNDEFINED;
        if (lt_streq(word, "const")) {
            value->needs |= LT_NEED_CONST;
        } else if (lt_streq(word, "scalar")) {
            value->needs |= LT_NEED_SCALAR;
        } else if (lt_streq(word, "single")) {
            value->needs |= LT_NEED_SINGLE;
        } else if (lt_streq(word, "splat") && take(r, '(')) {
            value->needs |= LT_NEED_SPLAT;
            LT_TRY(take_number(r, &value->number, &integer));
            if (!take(r, ')')) {
                return complain(r, "expected ')'");
            }
        } else if (dtype != LATHE_DTYPE_UNDEFINED) {
            value->needs |= LT_NEED_DTYPE;
            value->dtype = dtype;
        } else {
            return complain(r, "expected const, scalar, single, splat(number) or an element type");
        }
    }
    return LATHE_OK;
}

/* A name: a capture, an output of a named node, or in replacements whatever it stands for. */
static lathe_status take_name(reader *r, int *out)
{
    int name;
    const char *word = take_word(r);
    LT_TRY(find_name(r, word, &name));
    lt_name_kind *kind = &r->code->name_kind[name];
    LT_TRY(new_term(r, LT_TERM_VALUE, out));
    lt_term *term = &r->side->terms[*out];
    term->name = name;
    if (*kind == LT_NAME_NODE || *kind == LT_NAME_LOCAL) {
        term->kind = LT_TERM_OUTPUT;
        term->node = r->code->name_term[name];
        if (take(r, '.')) {
            double number;
            bool integer;
            LT_TRY(take_number(r, &number, &integer));
            term->output = integer && number >= 0 && number < 64 ? (int)number : 0;
        }
        return LATHE_OK;
    }
    if (*kind == LT_NAME_ATTR) {
        return complain(r, "this name is an attribute");
    }
    if (*kind == LT_NAME_FREE && r->pattern) {
        *kind = LT_NAME_VALUE;
    }
    return r->pattern ? take_needs(r, term) : LATHE_OK;
}

static lathe_status take_literal(reader *r, int *out)
{
    bool integer;
    if (take(r, '[')) {
        lathe_attr list = { 0 };
        LT_TRY(take_numbers(r, &list));
        if (list.kind != LATHE_ATTR_INTS) {
            return complain(r, "only integers make a vector");
        }
        LT_TRY(new_term(r, LT_TERM_INTS, out));
        lt_term *term = &r->side->terms[*out];
        term->n_ints = (int)list.count;
        memcpy(term->ints, list.ints, list.count * sizeof(*list.ints));
        return LATHE_OK;
    }
    LT_TRY(new_term(r, LT_TERM_NUMBER, out));
    lt_term *term = &r->side->terms[*out];
    LT_TRY(take_number(r, &term->number, &integer));
    return take(r, '~') ? take_number(r, &term->tolerance, &integer) : LATHE_OK;
}

static lathe_status take_expr(reader *r, int *out)
{
    lathe_status status;
    if (++r->depth > LT_RULE_TERMS) {
        return complain(r, "nested too deep");
    }
    skip(r);
    bool shared = r->pattern && take(r, '!');
    skip(r);
    if (op_length(r->at) > 0) {
        status = take_node(r, shared, out);
    } else if (shared) {
        status = complain(r, "expected an operator behind '!'");
    } else if (*r->at == '_' && !word_char(r->at[1])) {
        r->at++;
        status = new_term(r, LT_TERM_ANY, out);
    } else if (*r->at == '[' || at_number(r->at)) {
        status = take_literal(r, out);
    } else if (word_length(r->at) > 0) {
        status = take_name(r, out);
    } else {
        status = complain(r, "expected an expression");
    }
    r->depth--;
    return status;
}

/* "name =" in front of a statement, if it is there. */
static const char *take_label(reader *r)
{
    skip(r);
    size_t n = word_length(r->at);
    const char *next = r->at + n;
    while (*next == ' ') {
        next++;
    }
    if (n == 0 || *next != '=') {
        return NULL;
    }
    const char *label = take_word(r);
    take(r, '=');
    return label;
}

static lathe_status name_statement(reader *r, const char *label, int term)
{
    int name;
    LT_TRY(find_name(r, label, &name));
    if (r->side->terms[term].kind != LT_TERM_NODE || r->side->terms[term].optional) {
        return complain(r, "only a node that must be there can be named");
    }
    if (r->code->name_kind[name] != LT_NAME_FREE) {
        return complain(r, "this name is taken");
    }
    r->code->name_kind[name] = r->pattern ? LT_NAME_NODE : LT_NAME_LOCAL;
    r->code->name_term[name] = term;
    r->side->terms[term].name = name;
    return LATHE_OK;
}

static lathe_status take_side(reader *r)
{
    lt_rule_side *side = r->side;
    bool more = true;
    while (more) {
        const char *label = take_label(r);
        int term;
        side->n_roots = 0;
        do {
            if (side->n_roots == LT_RULE_ROOTS) {
                return complain(r, "too many results");
            }
            LT_TRY(take_expr(r, &term));
            side->roots[side->n_roots++] = term;
        } while (!r->pattern && take(r, ','));
        if (label != NULL) {
            LT_TRY(name_statement(r, label, term));
        }
        more = take(r, ';');
    }
    skip(r);
    return *r->at == '\0' ? LATHE_OK : complain(r, "unexpected text");
}

static lathe_status read_rule(const lt_rule *rule, lt_arena *arena, lt_rule_code *code, lt_rule_unknown unknown, void *user, lathe_diag *diag)
{
    reader r = { .at = rule->pattern, .text = rule->pattern, .rule = rule, .code = code, .side = &code->from, .pattern = true,
                 .arena = arena, .unknown = unknown, .user = user, .diag = diag };
    *code = (lt_rule_code){ .rule = rule };
    LT_TRY(take_side(&r));
    if (code->from.terms[code->from.roots[0]].kind != LT_TERM_NODE || code->from.terms[code->from.roots[0]].optional) {
        return complain(&r, "the last statement must be a node");
    }
    r.at = r.text = rule->replacement;
    r.side = &code->to;
    r.pattern = false;
    return take_side(&r);
}

lathe_status lt_rule_read(const lt_rule *rule, lt_arena *arena, lt_rule_code *code, lathe_diag *diag)
{
    return read_rule(rule, arena, code, NULL, NULL, diag);
}

void lt_rule_unknown_ops(const lt_rule *rule, lt_rule_unknown report, void *user)
{
    lt_arena arena;
    lt_arena_init(&arena, NULL);
    lt_rule_code *code = LT_ARENA_NEW(&arena, lt_rule_code);
    if (code != NULL) {
        (void)read_rule(rule, &arena, code, report, user, NULL);
    }
    lt_arena_destroy(&arena);
}
