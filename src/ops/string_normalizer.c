/*
 * string_normalizer.c - StringNormalizer: texts without those of a list, in lower or upper case. Nothing left becomes one empty text.
 *
 * Case is Unicode's simple mapping, one code point for one, whatever the machine's locale; the attribute `locale` matters where a language maps otherwise:
 * the dotted and dotless i of Turkish and Azerbaijani. Bytes that are no UTF-8 stay as they are.
 */
#include "ops/move.h"
#include "ops/unicode.h"

#include <string.h>

typedef enum change { KEEP, LOWER, UPPER } change;

typedef struct casing {
    change to;
    bool turkic;
} casing;

static lathe_status read_change(const lathe_attr *attrs, size_t n_attrs, const char *where, change *out,
                                lathe_diag *diag)
{
    static const char *const names[] = { [KEEP] = "NONE", [LOWER] = "LOWER", [UPPER] = "UPPER" };
    for (int i = 0; i < 3; i++) {
        if (lt_attr_is(attrs, n_attrs, "case_change_action", names[i], "NONE")) {
            *out = (change)i;
            return LATHE_OK;
        }
    }
    return LT_FAIL(diag, LATHE_BAD_MODEL, where, "set it to NONE, LOWER or UPPER",
                   "StringNormalizer: case_change_action is none of NONE, LOWER, UPPER");
}

static lathe_status infer_normalizer(lt_infer *c)
{
    const lt_type *x = c->in[0];
    lt_dim dims[2], most;
    change to;
    LT_TRY(read_change(c->attrs, c->n_attrs, c->where, &to, c->diag));
    if (x->rank < 0) {
        return lt_infer_out(c, 0, LATHE_DTYPE_STRING, -1, NULL);
    }
    if (x->rank == 0 || x->rank > 2 || (x->rank == 2 && lt_dim_is_const(x->dims[0]) && !lt_dim_is(x->dims[0], 1))) {
        return lt_infer_fail(c, "input 0 has rank %d; it must be [C] or [1,C]", x->rank);
    }
    dims[0] = lt_dim_const(1);
    LT_TRY(lt_move_max(c, x->dims[x->rank - 1], lt_dim_const(1), &most));
    LT_TRY(lt_infer_fresh(c, lt_dim_const(1), most, &dims[x->rank - 1]));
    return lt_infer_out(c, 0, LATHE_DTYPE_STRING, x->rank, dims);
}

static uint32_t map_one(casing how, uint32_t c)
{
    if (how.turkic && how.to == LOWER && (c == 'I' || c == 0x130)) {
        return c == 'I' ? 0x131 : 'i';
    }
    if (how.turkic && how.to == UPPER && (c == 'i' || c == 0x131)) {
        return c == 'i' ? 0x130 : 'I';
    }
    return how.to == LOWER ? lt_uni_lower(c) : how.to == UPPER ? lt_uni_upper(c) : c;
}

/* The text in its new case, in scratch memory. A mapping makes a code point one byte longer at most. */
static lathe_status map_text(lt_eval *c, casing how, const lt_string *text, lt_string *out)
{
    size_t room;
    *out = *text;
    if (how.to == KEEP || text->length == 0) {
        return LATHE_OK;
    }
    if (!lt_size_mul(text->length, 2, &room)) {
        return lt_eval_fail(c, "a text is longer than memory");
    }
    char *mapped = lt_arena_alloc(c->scratch, room, 1);
    if (mapped == NULL) {
        return LT_OOM(c->diag);
    }
    size_t length = 0, bytes;
    for (size_t i = 0; i < text->length; i += bytes) {
        int32_t code = lt_utf8_read(text->data + i, text->length - i, &bytes);
        char unit[4] = { text->data[i] };
        size_t n = code < 0 ? 1 : lt_utf8_write(map_one(how, (uint32_t)code), unit);
        memcpy(mapped + length, unit, n);
        length += n;
    }
    *out = (lt_string){ .data = mapped, .length = length };
    return LATHE_OK;
}

/* Marks in keep[] which texts stay; where case does not matter, all are compared in lower case. */
static lathe_status find_kept(lt_eval *c, const lt_map *stops, casing compare, const lt_tensor *x, bool *keep,
                              int64_t *count)
{
    const lt_string *texts = x->data;
    lt_string text;
    *count = 0;
    for (int64_t i = 0; i < lt_tensor_count(x); i++) {
        LT_TRY(map_text(c, compare, &texts[i], &text));
        keep[i] = !lt_map_get_bytes(stops, text.length > 0 ? text.data : "", text.length, NULL);
        *count += keep[i];
    }
    return LATHE_OK;
}

static lathe_status add_stops(lt_eval *c, casing compare, lt_map *stops)
{
    const lathe_attr *words = lt_attr_find(c->attrs, c->n_attrs, "stopwords");
    lt_string word;
    for (size_t i = 0; words != NULL && i < words->count; i++) {
        LT_TRY(map_text(c, compare, &words->strings[i], &word));
        if (!lt_map_put_bytes(stops, word.length > 0 ? word.data : "", word.length, 1)) {
            return LT_OOM(c->diag);
        }
    }
    return LATHE_OK;
}

static bool is_turkic(const lt_eval *c)
{
    const lathe_attr *locale = lt_attr_find(c->attrs, c->n_attrs, "locale");
    if (locale == NULL || locale->s.length < 2 ||
        (memcmp(locale->s.data, "tr", 2) != 0 && memcmp(locale->s.data, "az", 2) != 0)) {
        return false;
    }
    return locale->s.length == 2 || strchr("_-.@", locale->s.data[2]) != NULL;
}

static lathe_status normalize(lt_eval *c, lt_map *stops)
{
    const lt_tensor *x = lt_in(c, 0);
    const lt_string *texts = x->data;
    casing how = { .turkic = is_turkic(c) }, compare = how;
    int64_t n = lt_tensor_count(x), count, dims[2] = { 1, 1 }, at = 0;
    LT_TRY(read_change(c->attrs, c->n_attrs, c->where, &how.to, c->diag));
    compare.to = lt_attr_i(c->attrs, c->n_attrs, "is_case_sensitive", 0) != 0 ? KEEP : LOWER;
    bool *keep = lt_eval_scratch(c, n, sizeof *keep);
    if (keep == NULL) {
        return LATHE_OUT_OF_MEMORY;
    }
    LT_TRY(add_stops(c, compare, stops));
    LT_TRY(find_kept(c, stops, compare, x, keep, &count));
    dims[x->rank - 1] = count > 0 ? count : 1;
    LT_TRY(c->make(c, 0, LATHE_DTYPE_STRING, x->rank, dims));
    lt_string *y = lt_out(c, 0)->data, text;
    y[0] = (lt_string){ 0 };
    for (int64_t i = 0; i < n; i++) {
        if (keep[i]) {
            LT_TRY(map_text(c, how, &texts[i], &text));
            LT_TRY(lt_eval_string(c, text.data, text.length, &y[at++]));
        }
    }
    return LATHE_OK;
}

static lathe_status eval_normalizer(lt_eval *c)
{
    lt_map stops;
    if (lt_out(c, 0) == NULL) {
        return LATHE_OK;
    }
    lt_map_init(&stops, c->scratch->allocator);
    lathe_status status = normalize(c, &stops);
    lt_map_free(&stops);
    return status;
}

static const lt_attr_spec attrs_normalizer[] = {
    { "case_change_action", LATHE_ATTR_STRING, false },
    { "is_case_sensitive", LATHE_ATTR_INT, false },
    { "locale", LATHE_ATTR_STRING, false },
    { "stopwords", LATHE_ATTR_STRINGS, false },
    { 0 },
};

static const char *const samples_normalizer[] = {
    "string[4] x = {\"monday\", \"Tuesday\", \"Wednesday\", \"monday\"} | y = StringNormalizer <case_change_action = "
    "\"UPPER\", is_case_sensitive = 1, "
    "stopwords = [\"monday\"]> (x)",
    "string[1,3] x = {\"Monday\", \"TUESDAY\", \"x\"} | y = StringNormalizer <case_change_action = \"LOWER\", "
    "stopwords = [\"monday\", \"friday\"]> (x)",
    "string[2] x = {\"a\", \"B\"} | y = StringNormalizer (x)",
    "string[2] x = {\"a\", \"a\"} | y = StringNormalizer <is_case_sensitive = 1, stopwords = [\"a\"]> (x)",
    "string[1,1] x = {\"a\"} | y = StringNormalizer <is_case_sensitive = 1, stopwords = [\"a\"]> (x)",
    "string[2] x = {\"\\xc3\\x84B\", \"\\xce\\xa9\\xd0\\x96\"} | y = StringNormalizer <case_change_action = \"LOWER\", "
    "locale = \"en_US\"> (x)",
    "string[2] x = {\"a\", \"A\"} | y = StringNormalizer <is_case_sensitive = 1, stopwords = [\"A\"], "
    "case_change_action = \"UPPER\"> (x)",
    NULL,
};

LT_OPS(string_normalizer) = {
    {
        .name = "StringNormalizer",
        .since = 10,
        .traits = LT_OP_DYNAMIC,
        .sig = "(string X) -> (string Y)",
        .attrs = attrs_normalizer,
        .infer = infer_normalizer,
        .eval = eval_normalizer,
        .samples = samples_normalizer,
    },
    { 0 },
};
