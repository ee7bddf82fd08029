/*
 * regex_full_match.c - RegexFullMatch: does each text match the pattern, from its first to its last character?
 */
#include "ops/move.h"
#include "ops/regex.h"

static lathe_status compile(lt_arena *arena, const lathe_attr *attrs, size_t n_attrs, const char *where, lt_regex *out,
                            lathe_diag *diag)
{
    const lathe_attr *pattern = lt_attr_find(attrs, n_attrs, "pattern");
    if (pattern == NULL) {
        return LT_FAIL(diag, LATHE_BAD_MODEL, where, "set the attribute", "RegexFullMatch has no attribute 'pattern'");
    }
    return lt_regex_compile(arena, pattern->s.data, pattern->s.length, where, out, diag);
}

/* A pattern without meaning is refused when the model is read, not when it runs. */
static lathe_status infer_regex(lt_infer *c)
{
    if (c->arena != NULL) {
        lt_regex regex;
        lt_arena scratch;
        lt_arena_init(&scratch, c->arena->allocator);
        lathe_status status = compile(&scratch, c->attrs, c->n_attrs, c->where, &regex, c->diag);
        lt_arena_destroy(&scratch);
        LT_TRY(status);
    }
    return lt_infer_out(c, 0, LATHE_DTYPE_BOOL, c->in[0]->rank, c->in[0]->dims);
}

static lathe_status eval_regex(lt_eval *c)
{
    const lt_tensor *x = lt_in(c, 0);
    lt_tensor *y = lt_out(c, 0);
    lt_regex regex;
    lt_regex_work work;
    if (y == NULL) {
        return LATHE_OK;
    }
    LT_TRY(compile(c->scratch, c->attrs, c->n_attrs, c->where, &regex, c->diag));
    LT_TRY(lt_regex_prepare(c->scratch, &regex, &work, c->diag));
    const lt_string *texts = x->data;
    for (int64_t i = 0; i < lt_tensor_count(x); i++) {
        lt_store_i64(LATHE_DTYPE_BOOL, y->data, i, lt_regex_full_match(&regex, &work, texts[i].data, texts[i].length));
    }
    return LATHE_OK;
}

static const lt_attr_spec attrs_regex[] = { { "pattern", LATHE_ATTR_STRING, false }, { 0 } };

static const char *const samples_regex[] = {
    "string[3] x = {\"www.google.com\", \"www.facebook.com\", \"www.bbc.co.uk\"} | y = RegexFullMatch <pattern = "
    "\"www\\\\.[\\\\w.-]+\\\\.com\"> (x)",
    "string[2,2] x = {\"ab\", \"aab\", \"b\", \"abb\"} | y = RegexFullMatch <pattern = \"a{1,2}b\"> (x)",
    "string[4] x = {\"\", \"a\", \"ab\", \"abab\"} | y = RegexFullMatch <pattern = \"(?:ab|a)*?\"> (x)",
    "string[4] x = {\"\\xc3\\x84pfel\", \"\\xc3\\xa4PFEL\", \"apfel\", \"\\xe2\\x82\\xacpfel\"} | y = RegexFullMatch "
    "<pattern = \"(?i)\\xc3\\xa4pfel\"> (x)",
    "string[3] x = {\"a\\x0ab\", \"a b\", \"a\\x0a\\x0ab\"} | y = RegexFullMatch <pattern = \"(?s)a.b\"> (x)",
    "string[3] x = {\"a\\x0ab\", \"a b\", \"ab\"} | y = RegexFullMatch <pattern = \"(?m)a$.?\\\\s^b\"> (x)",
    "string[3] x = {\"one two\", \"onetwo\", \"one  two\"} | y = RegexFullMatch <pattern = \"one\\\\b *\\\\btwo\"> (x)",
    "string[] x = {\"x-]^1\"} | y = RegexFullMatch <pattern = \"[^\\\\d][-a][]][\\\\^][0-9]$\"> (x)",
    "string[0] x = {} | y = RegexFullMatch <pattern = \".*\"> (x)",
    "string[2] x = {\"\", \" \"} | y = RegexFullMatch <pattern = \"\"> (x)",
    NULL,
};

LT_OPS(regex_full_match) = {
    {
        .name = "RegexFullMatch",
        .since = 20,
        .sig = "(string X) -> (bool Y)",
        .attrs = attrs_regex,
        .infer = infer_regex,
        .eval = eval_regex,
        .samples = samples_regex,
    },
    { 0 },
};
