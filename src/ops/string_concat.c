/*
 * string_concat.c - StringConcat, the texts of two tensors behind each other, and StringSplit, the pieces of each text along a new last axis.
 */
#include "ops/move.h"
#include "ops/unicode.h"

#include <string.h>

/* ---- StringConcat ---- */

static lathe_status infer_concat(lt_infer *c)
{
    return lt_infer_broadcast(c);
}

/* Steps of an operand in the coordinates of the result; 0 where it repeats. */
static void steps_in(const lt_tensor *x, const lt_tensor *z, int64_t *steps)
{
    int64_t own[LATHE_MAX_RANK];
    lt_tensor_strides(x->rank, x->dims, own);
    for (int k = 0; k < z->rank; k++) {
        int at = k - (z->rank - x->rank);
        steps[k] = at < 0 || x->dims[at] == 1 ? 0 : own[at];
    }
}

static lathe_status join(lt_eval *c, const lt_string *a, const lt_string *b, lt_string *out)
{
    size_t length;
    *out = (lt_string){ 0 };
    if (!lt_size_add(a->length, b->length, &length)) {
        return lt_eval_fail(c, "a text would be longer than memory");
    }
    if (length == 0) {
        return LATHE_OK;
    }
    char *text = c->keep(c, length, 1);
    if (text == NULL) {
        return LT_OOM(c->diag);
    }
    lt_copy_bytes(text, a->data, a->length);
    lt_copy_bytes(text + a->length, b->data, b->length);
    *out = (lt_string){ .data = text, .length = length };
    return LATHE_OK;
}

static lathe_status eval_concat(lt_eval *c)
{
    const lt_tensor *x = lt_in(c, 0), *y = lt_in(c, 1);
    lt_tensor *z = lt_out(c, 0);
    int64_t count = z != NULL ? lt_tensor_count(z) : 0, coords[LATHE_MAX_RANK] = { 0 };
    int64_t step_x[LATHE_MAX_RANK], step_y[LATHE_MAX_RANK];
    if (count == 0) {
        return LATHE_OK;
    }
    steps_in(x, z, step_x);
    steps_in(y, z, step_y);
    for (int64_t i = 0; i < count; i++) {
        int64_t a = 0, b = 0;
        for (int k = 0; k < z->rank; k++) {
            a += coords[k] * step_x[k];
            b += coords[k] * step_y[k];
        }
        LT_TRY(join(c, (const lt_string *)x->data + a, (const lt_string *)y->data + b, (lt_string *)z->data + i));
        (void)lt_next_coords(z->rank, z->dims, coords);
    }
    return LATHE_OK;
}

/* ---- StringSplit ---- */

static lathe_status infer_split(lt_infer *c)
{
    const lt_type *x = c->in[0];
    lt_dim dims[LATHE_MAX_RANK];
    if (lt_attr_i(c->attrs, c->n_attrs, "maxsplit", 0) < 0) {
        return lt_infer_fail(c, "maxsplit is %lld; leave it out for as many pieces as there are",
                             (long long)lt_attr_i(c->attrs, c->n_attrs, "maxsplit", 0));
    }
    if (x->rank >= LATHE_MAX_RANK) {
        return lt_infer_fail(c, "input 0 has rank %d; at most %d leaves room for the pieces", x->rank,
                             LATHE_MAX_RANK - 1);
    }
    for (int k = 0; k < x->rank; k++) {
        dims[k] = x->dims[k];
    }
    if (x->rank >= 0) {
        dims[x->rank] = LT_UNKNOWN_DIM;
    }
    LT_TRY(lt_move_out(c, 0, LATHE_DTYPE_STRING, x->rank < 0 ? -1 : x->rank + 1, dims));
    return lt_infer_out(c, 1, LATHE_DTYPE_I64, x->rank, x->dims);
}

/* A text that is being cut. */
typedef struct cutter {
    const char *at, *end;
    const char *delimiter;
    size_t width;   /* 0: white space */
    int64_t splits; /* still allowed */
    bool open;      /* a piece is left, which may be empty */
} cutter;

static void skip_space(cutter *t)
{
    size_t bytes;
    while (t->at < t->end && lt_uni_is_space(lt_utf8_read(t->at, (size_t)(t->end - t->at), &bytes))) {
        t->at += bytes;
    }
}

/* White space at the end goes, also where the last piece is a rest that was not cut. */
static void trim_end(cutter *t)
{
    const char *last = t->at;
    size_t bytes;
    for (const char *at = t->at; at < t->end; at += bytes) {
        bool space = lt_uni_is_space(lt_utf8_read(at, (size_t)(t->end - at), &bytes));
        last = space ? last : at + bytes;
    }
    t->end = last;
}

static const char *find_space(const cutter *t)
{
    const char *at = t->at;
    size_t bytes;
    while (at < t->end && !lt_uni_is_space(lt_utf8_read(at, (size_t)(t->end - at), &bytes))) {
        at += bytes;
    }
    return at;
}

static const char *find_delimiter(const cutter *t)
{
    for (const char *at = t->at; (size_t)(t->end - at) >= t->width; at++) {
        if (memcmp(at, t->delimiter, t->width) == 0) {
            return at;
        }
    }
    return t->end;
}

static void start_cutting(cutter *t, const lt_eval *c, const lt_string *text)
{
    const lathe_attr *delimiter = lt_attr_find(c->attrs, c->n_attrs, "delimiter");
    *t = (cutter){ .splits = lt_attr_i(c->attrs, c->n_attrs, "maxsplit", INT64_MAX) };
    t->at = text->length > 0 ? text->data : "";
    t->end = t->at + text->length;
    if (delimiter != NULL && delimiter->s.length > 0) {
        t->delimiter = delimiter->s.data;
        t->width = delimiter->s.length;
        t->open = true;
    } else {
        skip_space(t);
        trim_end(t);
        t->open = t->at < t->end;
    }
}

/* The next piece; false when there is none. */
static bool next_piece(cutter *t, lt_string *piece)
{
    if (!t->open) {
        return false;
    }
    const char *stop = t->splits == 0 ? t->end : t->width > 0 ? find_delimiter(t) : find_space(t);
    *piece = (lt_string){ .data = t->at, .length = (size_t)(stop - t->at) };
    t->splits -= t->splits > 0;
    t->open = stop < t->end;
    t->at = t->open ? stop + t->width : t->end;
    if (t->width == 0) {
        skip_space(t);
        t->open = t->at < t->end;
    }
    return true;
}

static lathe_status eval_split(lt_eval *c)
{
    const lt_tensor *x = lt_in(c, 0);
    lt_tensor *counts = lt_out(c, 1);
    int64_t n = lt_tensor_count(x), most = 0, dims[LATHE_MAX_RANK];
    const lt_string *texts = x->data;
    cutter t;
    lt_string piece;
    for (int64_t i = 0; i < n; i++) {
        int64_t count = 0;
        for (start_cutting(&t, c, &texts[i]); next_piece(&t, &piece);) {
            count++;
        }
        most = count > most ? count : most;
        if (counts != NULL) {
            lt_store_i64(LATHE_DTYPE_I64, counts->data, i, count);
        }
    }
    if (lt_out(c, 0) == NULL) {
        return LATHE_OK;
    }
    for (int k = 0; k < x->rank; k++) {
        dims[k] = x->dims[k];
    }
    dims[x->rank] = most;
    LT_TRY(c->make(c, 0, LATHE_DTYPE_STRING, x->rank + 1, dims));
    for (int64_t i = 0; i < n; i++) {
        lt_string *row = (lt_string *)lt_out(c, 0)->data + i * most;
        start_cutting(&t, c, &texts[i]);
        for (int64_t k = 0; k < most; k++) {
            bool more = next_piece(&t, &piece);
            LT_TRY(lt_eval_string(c, more ? piece.data : NULL, more ? piece.length : 0, &row[k]));
        }
    }
    return LATHE_OK;
}

static const lt_attr_spec attrs_split[] = { { "delimiter", LATHE_ATTR_STRING, false },
                                            { "maxsplit", LATHE_ATTR_INT, false },
                                            { 0 } };

static const char *const samples_concat[] = {
    "string[3] x = {\"a\", \"\", \"\\xc3\\xa4\"}, string[3] y = {\"b\", \"\", \"\\xe2\\x82\\xac.\"} | z = StringConcat "
    "(x, y)",
    "string[2,1] x = {\"a\", \"b\"}, string[3] y = {\"1\", \"2\", \"3\"} | z = StringConcat (x, y)",
    "string[] x = {\"a\"}, string[2,1,2] y = {\"1\", \"2\", \"3\", \"4\"} | z = StringConcat (x, y)",
    "string[] x = {\"one\"}, string[] y = {\"two\"} | z = StringConcat (x, y)",
    "string[0,2] x = {}, string[1,2] y = {\"1\", \"2\"} | z = StringConcat (x, y)",
    NULL,
};
static const char *const samples_split[] = {
    "string[3] x = {\"a.b\", \"..\", \"abc\"} | y, n = StringSplit <delimiter = \".\"> (x)",
    "string[2] x = {\"a--b--c--d\", \"a--\"} | y, n = StringSplit <delimiter = \"--\", maxsplit = 2> (x)",
    "string[3] x = {\"  a  b c \", \"\\x09\\x0a\", \"x\"} | y, n = StringSplit (x)",
    "string[2,2] x = {\" a  b  c \", \"a b \", \"a\", \"  b  c  \"} | y, n = StringSplit <maxsplit = 1> (x)",
    "string[2] x = {\" a  b \", \"c\"} | y, n = StringSplit <maxsplit = 0, delimiter = \"\"> (x)",
    "string[] x = {\"1,2,3\"} | y, n = StringSplit <delimiter = \",\"> (x)",
    "string[0] x = {} | y, n = StringSplit (x)",
    "string[2,0] x = {} | y, n = StringSplit <delimiter = \",\"> (x)",
    "string[1] x = {\"\\xe2\\x82\\xac1\\xe2\\x82\\xac2\"} | y, n = StringSplit <delimiter = \"\\xe2\\x82\\xac\"> (x)",
    NULL,
};

LT_OPS(string_concat) = {
    {
        .name = "StringConcat",
        .since = 20,
        .sig = "(T X, T Y) -> (T Z); T: string",
        .infer = infer_concat,
        .eval = eval_concat,
        .samples = samples_concat,
    },
    {
        .name = "StringSplit",
        .since = 20,
        .traits = LT_OP_DYNAMIC,
        .sig = "(string X) -> (string Y, i64 Z)",
        .attrs = attrs_split,
        .infer = infer_split,
        .eval = eval_split,
        .samples = samples_split,
    },
    { 0 },
};
