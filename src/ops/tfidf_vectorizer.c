/*
 * tfidf_vectorizer.c - TfIdfVectorizer: how often the n-grams of a list occur in each row of tokens, counted, or weighted.
 *
 * The list is a tree: a node for each beginning of an n-gram, found by the node before it and the next token's number.
 */
#include "ops/move.h"

#include <string.h>

typedef struct table {
    const lathe_attr *pool, *indexes, *counts, *weights; /* weights NULL: all are 1 */
    int64_t least, most, skips;                          /* lengths of n-grams; tokens to leave out between two */
    bool truncate, weigh;
    int64_t width;  /* of the result */
    lt_map words;   /* token to number */
    lt_imap nodes;  /* node << 32 | token to node */
    int64_t *first; /* of a node: its n-gram; -1: none */
    int64_t *next;  /* of an n-gram: another one of the same tokens; -1: none */
} table;

/* ---- Attributes ---- */

static const lathe_attr *find(const lathe_attr *attrs, size_t n_attrs, const char *name)
{
    const lathe_attr *attr = lt_attr_find(attrs, n_attrs, name);
    return attr != NULL && attr->count > 0 ? attr : NULL;
}

static lathe_status refuse(const char *where, lathe_diag *diag, const char *text)
{
    return LT_FAIL(diag, LATHE_BAD_MODEL, where, "correct the attributes", "TfIdfVectorizer: %s", text);
}

/* Where the n-grams of `length` tokens begin in the pool. */
static int64_t pool_begin(const table *t, int64_t length)
{
    return length <= (int64_t)t->counts->count ? t->counts->ints[length - 1] : (int64_t)t->pool->count;
}

static lathe_status check_pool(const table *t, const char *where, lathe_diag *diag)
{
    int64_t grams = 0;
    for (int64_t n = 1; n <= (int64_t)t->counts->count; n++) {
        int64_t begin = pool_begin(t, n), end = pool_begin(t, n + 1);
        if (begin < 0 || end < begin || end > (int64_t)t->pool->count) {
            return refuse(where, diag, "ngram_counts must ascend inside the pool");
        }
        if ((end - begin) % n != 0) {
            return refuse(where, diag, "a part of the pool that ngram_counts marks is no whole number of n-grams");
        }
        grams += (end - begin) / n;
    }
    return grams == (int64_t)t->indexes->count
               ? LATHE_OK
               : refuse(where, diag, "ngram_indexes must have one element for each n-gram of the pool");
}

static lathe_status read_table(const lathe_attr *attrs, size_t n, lathe_dtype dtype, const char *where, table *t,
                               lathe_diag *diag)
{
    const lathe_attr *ints = find(attrs, n, "pool_int64s"), *strings = find(attrs, n, "pool_strings");
    *t = (table){ .pool = dtype == LATHE_DTYPE_STRING ? strings : ints };
    t->indexes = find(attrs, n, "ngram_indexes");
    t->counts = find(attrs, n, "ngram_counts");
    t->weights = find(attrs, n, "weights");
    t->least = lt_attr_i(attrs, n, "min_gram_length", 1);
    t->most = lt_attr_i(attrs, n, "max_gram_length", 1);
    t->skips = lt_attr_i(attrs, n, "max_skip_count", 0);
    t->truncate = lt_attr_is(attrs, n, "mode", "IDF", NULL);
    t->weigh = t->truncate || lt_attr_is(attrs, n, "mode", "TFIDF", NULL);
    if (!t->weigh && !lt_attr_is(attrs, n, "mode", "TF", NULL)) {
        return refuse(where, diag, "mode is none of TF, IDF, TFIDF");
    }
    if (t->pool == NULL || (ints != NULL && strings != NULL)) {
        return refuse(where, diag,
                      "one of pool_strings and pool_int64s must be given, that which has the input's type");
    }
    if (t->indexes == NULL || t->counts == NULL || t->least < 1 || t->most < t->least || t->skips < 0) {
        return refuse(where, diag,
                      "ngram_indexes or ngram_counts is empty, or min_gram_length, max_gram_length, max_skip_count "
                      "make no sense");
    }
    if (t->weights != NULL && t->weights->count != t->indexes->count) {
        return refuse(where, diag, "weights must have one element for each n-gram of the pool");
    }
    for (size_t i = 0; i < t->indexes->count; i++) {
        if (t->indexes->ints[i] < 0 || t->indexes->ints[i] == INT64_MAX) {
            return refuse(where, diag, "ngram_indexes holds a number that is no index");
        }
        t->width = t->indexes->ints[i] >= t->width ? t->indexes->ints[i] + 1 : t->width;
    }
    return check_pool(t, where, diag);
}

static lathe_status infer_tfidf(lt_infer *c)
{
    const lt_type *x = c->in[0];
    lt_dim dims[2];
    table t;
    LT_TRY(read_table(c->attrs, c->n_attrs, x->dtype, c->where, &t, c->diag));
    if (x->rank < 0) {
        return lt_infer_out(c, 0, LATHE_DTYPE_F32, -1, NULL);
    }
    if (x->rank == 0 || x->rank > 2) {
        return lt_infer_fail(c, "input 0 has rank %d; it must be [C] or [N,C]", x->rank);
    }
    dims[0] = x->dims[0];
    dims[x->rank - 1] = lt_dim_const(t.width);
    return lt_infer_out(c, 0, LATHE_DTYPE_F32, x->rank, dims);
}

/* ---- The tree ---- */

enum { NO_TOKEN = -1 };

/* The number of the token that lies at data; NO_TOKEN when the pool does not hold it. */
static int64_t token_of(const table *t, const lt_string *text, int64_t number)
{
    uint64_t found;
    const void *key = text == NULL ? (const void *)&number : text->length > 0 ? text->data : "";
    return lt_map_get_bytes(&t->words, key, text == NULL ? sizeof number : text->length, &found) ? (int64_t)found
                                                                                                 : NO_TOKEN;
}

static lathe_status name_tokens(lt_eval *c, table *t)
{
    for (size_t i = 0; i < t->pool->count; i++) {
        bool ints = t->pool->kind == LATHE_ATTR_INTS;
        size_t length = ints ? sizeof(int64_t) : t->pool->strings[i].length;
        const void *key = ints ? (const void *)&t->pool->ints[i] : length > 0 ? t->pool->strings[i].data : "";
        if (!lt_map_get_bytes(&t->words, key, length, NULL) &&
            !lt_map_put_bytes(&t->words, key, length, t->words.count)) {
            return LT_OOM(c->diag);
        }
    }
    return LATHE_OK;
}

static bool child(const table *t, uint64_t node, int64_t token, uint64_t *out)
{
    return token != NO_TOKEN && lt_imap_get(&t->nodes, node << 32 | (uint64_t)token, out);
}

static lathe_status add_gram(lt_eval *c, table *t, int64_t gram, int64_t at, int64_t length)
{
    uint64_t node = 0;
    for (int64_t k = at; k < at + length; k++) {
        bool ints = t->pool->kind == LATHE_ATTR_INTS;
        int64_t token = token_of(t, ints ? NULL : &t->pool->strings[k], ints ? t->pool->ints[k] : 0);
        uint64_t below;
        if (!child(t, node, token, &below)) {
            below = t->nodes.count + 1;
            if (!lt_imap_put(&t->nodes, node << 32 | (uint64_t)token, below)) {
                return LT_OOM(c->diag);
            }
        }
        node = below;
    }
    t->next[gram] = t->first[node];
    t->first[node] = gram;
    return LATHE_OK;
}

static lathe_status build(lt_eval *c, table *t)
{
    int64_t gram = 0, nodes = (int64_t)t->pool->count + 1;
    if (nodes > INT32_MAX) {
        return lt_eval_fail(c, "the pool has %lld tokens; at most 2^31 are possible", (long long)nodes);
    }
    t->first = lt_eval_scratch(c, nodes, sizeof *t->first);
    t->next = lt_eval_scratch(c, (int64_t)t->indexes->count, sizeof *t->next);
    if (t->first == NULL || t->next == NULL) {
        return LATHE_OUT_OF_MEMORY;
    }
    for (int64_t i = 0; i < nodes; i++) {
        t->first[i] = -1;
    }
    LT_TRY(name_tokens(c, t));
    for (int64_t n = 1; n <= (int64_t)t->counts->count; n++) {
        for (int64_t at = pool_begin(t, n); at < pool_begin(t, n + 1); at += n) {
            LT_TRY(add_gram(c, t, gram++, at, n));
        }
    }
    return LATHE_OK;
}

/* ---- Counting ---- */

/* Counts the n-grams that begin at a token, with `stride` from each token to the next. */
static void count_from(const table *t, const int64_t *row, int64_t length, int64_t at, int64_t stride, int64_t least,
                       int64_t *counts)
{
    uint64_t node = 0;
    for (int64_t n = 1; n <= t->most && child(t, node, row[at], &node); n++) {
        for (int64_t gram = n >= least ? t->first[node] : -1; gram >= 0; gram = t->next[gram]) {
            counts[gram]++;
        }
        if (length - at <= stride) {
            return;
        }
        at += stride;
    }
}

/* Single tokens have nothing to skip: they are counted once. */
static void count_row(const table *t, const int64_t *row, int64_t length, int64_t *counts)
{
    int64_t least = t->least;
    for (int64_t stride = 1; stride - 1 <= t->skips && (stride == 1 || stride < length) && least <= t->most; stride++) {
        for (int64_t at = 0; at < length; at++) {
            count_from(t, row, length, at, stride, least, counts);
        }
        least = least == 1 ? 2 : least;
    }
}

static lathe_status vectorize(lt_eval *c, table *t)
{
    const lt_tensor *x = lt_in(c, 0);
    lt_tensor *y = lt_out(c, 0);
    int64_t length = x->dims[x->rank - 1], rows = x->rank == 2 ? x->dims[0] : 1, grams = (int64_t)t->indexes->count;
    LT_TRY(build(c, t));
    int64_t *row = lt_eval_scratch(c, length, sizeof *row), *counts = lt_eval_scratch(c, grams, sizeof *counts);
    if (row == NULL || counts == NULL) {
        return LATHE_OUT_OF_MEMORY;
    }
    for (int64_t r = 0; r < rows; r++) {
        float *out = (float *)y->data + r * t->width;
        for (int64_t k = 0; k < length; k++) {
            int64_t at = r * length + k;
            bool text = x->dtype == LATHE_DTYPE_STRING;
            row[k] = token_of(t, text ? (const lt_string *)x->data + at : NULL,
                              text ? 0 : lt_load_i64(x->dtype, x->data, at));
        }
        memset(counts, 0, (size_t)grams * sizeof *counts);
        memset(out, 0, (size_t)t->width * sizeof *out);
        count_row(t, row, length, counts);
        for (int64_t i = 0; i < grams; i++) {
            float count = (float)(t->truncate && counts[i] > 1 ? 1 : counts[i]);
            out[t->indexes->ints[i]] += count * (t->weigh && t->weights != NULL ? t->weights->floats[i] : 1);
        }
    }
    return LATHE_OK;
}

static lathe_status eval_tfidf(lt_eval *c)
{
    table t;
    if (lt_out(c, 0) == NULL) {
        return LATHE_OK;
    }
    LT_TRY(read_table(c->attrs, c->n_attrs, lt_in(c, 0)->dtype, c->where, &t, c->diag));
    lt_map_init(&t.words, c->scratch->allocator);
    lt_imap_init(&t.nodes, c->scratch->allocator);
    lathe_status status = vectorize(c, &t);
    lt_map_free(&t.words);
    lt_imap_free(&t.nodes);
    return status;
}

static const lt_attr_spec attrs_tfidf[] = {
    { "max_gram_length", LATHE_ATTR_INT, true }, { "max_skip_count", LATHE_ATTR_INT, true },
    { "min_gram_length", LATHE_ATTR_INT, true }, { "mode", LATHE_ATTR_STRING, true },
    { "ngram_counts", LATHE_ATTR_INTS, true },   { "ngram_indexes", LATHE_ATTR_INTS, true },
    { "pool_int64s", LATHE_ATTR_INTS, false },   { "pool_strings", LATHE_ATTR_STRINGS, false },
    { "weights", LATHE_ATTR_FLOATS, false },     { 0 },
};

#define POOL                                                                                                           \
    "ngram_counts = [0, 4], ngram_indexes = [0, 1, 2, 3, 4, 5, 6], pool_int64s = [2, 3, 5, 4, 5, 6, 7, 8, 6, 7]"
static const char *const samples_tfidf[] = {
    "i32[12] x = {1, 1, 3, 3, 3, 7, 8, 6, 7, 5, 6, 8} | y = TfIdfVectorizer <mode = \"TF\", min_gram_length = 2, "
    "max_gram_length = 2, max_skip_count = 0, " POOL "> (x)",
    "i64[2,6] x = {1, 1, 3, 3, 3, 7, 8, 6, 7, 5, 6, 8} | y = TfIdfVectorizer <mode = \"TF\", min_gram_length = 1, "
    "max_gram_length = 2, max_skip_count = 5, " POOL "> (x)",
    "i64[12] x = {1, 5, 3, 3, 3, 7, 8, 6, 7, 5, 6, 8} | y = TfIdfVectorizer <mode = \"IDF\", min_gram_length = 1, "
    "max_gram_length = 2, max_skip_count = 1, "
    "weights = [1.0, 0.5, 2.0, 3.0, 4.0, 5.0, 6.0], " POOL "> (x)",
    "i64[12] x = {1, 5, 3, 3, 3, 7, 8, 6, 7, 5, 6, 8} | y = TfIdfVectorizer <mode = \"TFIDF\", min_gram_length = 1, "
    "max_gram_length = 2, max_skip_count = 1, "
    "weights = [1.0, 0.5, 2.0, 3.0, 4.0, 5.0, 6.0], " POOL "> (x)",
    "i64[12] x = {1, 5, 3, 3, 3, 7, 8, 6, 7, 5, 6, 8} | y = TfIdfVectorizer <mode = \"IDF\", min_gram_length = 1, "
    "max_gram_length = 2, max_skip_count = 1, " POOL "> (x)",
    "string[5] x = {\"a\", \"b\", \"\", \"c\", \"a\"} | y = TfIdfVectorizer <mode = \"TF\", min_gram_length = 1, "
    "max_gram_length = 3, max_skip_count = 0, "
    "ngram_counts = [0, 2, 4], ngram_indexes = [4, 0, 2, 1], pool_strings = [\"a\", \"c\", \"a\", \"b\", \"\", \"c\", "
    "\"a\"]> (x)",
    "string[3] x = {\"a\", \"b\", \"a\"} | y = TfIdfVectorizer <mode = \"TFIDF\", min_gram_length = 1, max_gram_length "
    "= 1, max_skip_count = 0, "
    "ngram_counts = [0], ngram_indexes = [1, 0], pool_strings = [\"a\", \"b\"], weights = [2.0, 5.0]> (x)",
    "i64[0] x = {} | y = TfIdfVectorizer <mode = \"TF\", min_gram_length = 1, max_gram_length = 2, max_skip_count = "
    "0, " POOL "> (x)",
    "i64[2,0] x = {} | y = TfIdfVectorizer <mode = \"TF\", min_gram_length = 1, max_gram_length = 2, max_skip_count = "
    "0, " POOL "> (x)",
    NULL,
};

LT_OPS(tfidf_vectorizer) = {
    {
        .name = "TfIdfVectorizer",
        .since = 9,
        .sig = "(T X) -> (f32 Y); T: string i32 i64",
        .attrs = attrs_tfidf,
        .infer = infer_tfidf,
        .eval = eval_tfidf,
        .samples = samples_tfidf,
    },
    { 0 },
};
