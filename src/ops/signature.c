/*
 * signature.c - reads the signature text of an operator ("(T X, T? B) -> (T Y); T: float") and checks nodes against it.
 * Used by inference, evaluation, the model reader and the graph verifier. Nothing is allocated: the text is walked each
 * time.
 */
#include "ops/ops.h"

#include <ctype.h>
#include <limits.h>
#include <string.h>

/* A piece of the signature's text. */
typedef struct piece {
    const char *text;
    size_t length;
} piece;

typedef struct formal {
    piece type, name;
    bool optional, variadic, hetero; /* hetero: "any...", each argument has its own type */
} formal;

static const char *skip_space(const char *at)
{
    while (*at == ' ') {
        at++;
    }
    return at;
}

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

static piece take_word(const char **at)
{
    *at = skip_space(*at);
    piece word = { *at, 0 };
    while (is_word(**at)) {
        (*at)++;
    }
    word.length = (size_t)(*at - word.text);
    return word;
}

static bool piece_is(piece word, const char *text)
{
    return strlen(text) == word.length && memcmp(word.text, text, word.length) == 0;
}

/* Start of the formals of the inputs or the outputs, behind the parenthesis. */
static const char *side_start(const lt_op *op, bool output)
{
    const char *at = strchr(op->sig, '(');
    if (at != NULL && output) {
        at = strstr(at, "->");
        at = at != NULL ? strchr(at, '(') : NULL;
    }
    return at != NULL ? at + 1 : "";
}

/* Reads the formal at *at and moves behind it; false at the closing parenthesis. */
static bool next_formal(const char **at, formal *out)
{
    *at = skip_space(*at);
    if (**at == ',') {
        *at = skip_space(*at + 1);
    }
    if (!is_word(**at)) {
        return false;
    }
    *out = (formal){ .type = take_word(at) };
    if (**at == '?') {
        out->optional = true;
        (*at)++;
    } else if (strncmp(*at, "...", 3) == 0) {
        out->variadic = true;
        out->hetero = piece_is(out->type, "any");
        *at += 3;
    }
    out->name = take_word(at);
    return true;
}

/* The formal that argument i falls on. */
static bool formal_at(const lt_op *op, bool output, int i, formal *out)
{
    const char *at = side_start(op, output);
    for (int k = 0; next_formal(&at, out); k++) {
        if (k == i || out->variadic) {
            return true;
        }
    }
    return false;
}

/* The words that variable `name` may be, or NULL when it is no variable. */
static const char *variable_words(const lt_op *op, piece name)
{
    const char *at = strchr(op->sig, ';');
    while (at != NULL) {
        at = skip_space(at + 1);
        piece word = take_word(&at);
        at = skip_space(at);
        if (*at == ':' && word.length == name.length && memcmp(word.text, name.text, name.length) == 0) {
            return at + 1;
        }
        at = strchr(at, ',');
    }
    return NULL;
}

/* Does a tensor of this dtype satisfy one constraint word? */
static bool word_allows_dtype(piece word, lathe_dtype dtype)
{
    const lt_dtype_info *info = lt_dtype_get(dtype);
    bool wide = info->bits >= 8;
    bool is_signed = info->kind == LT_KIND_SIGNED && wide;
    bool is_unsigned = info->kind == LT_KIND_UNSIGNED && wide;
    bool is_float =
        dtype == LATHE_DTYPE_F16 || dtype == LATHE_DTYPE_BF16 || dtype == LATHE_DTYPE_F32 || dtype == LATHE_DTYPE_F64;
    if (info->kind == LT_KIND_NONE) {
        return false;
    }
    if (piece_is(word, "float")) {
        return is_float;
    }
    if (piece_is(word, "int")) {
        return is_signed || is_unsigned;
    }
    if (piece_is(word, "signed")) {
        return is_signed;
    }
    if (piece_is(word, "unsigned")) {
        return is_unsigned;
    }
    if (piece_is(word, "numeric")) {
        return is_float || is_signed || is_unsigned;
    }
    if (piece_is(word, "all") || piece_is(word, "any")) {
        return true;
    }
    if (piece_is(word, "f8")) {
        return info->kind == LT_KIND_FLOAT && info->bits == 8;
    }
    return piece_is(word, info->name);
}

static bool word_allows(piece word, const lt_type *type)
{
    switch (type->cls) {
    case LT_TENSOR:
        return word_allows_dtype(word, type->dtype);
    case LT_SEQUENCE:
        return piece_is(word, "seq") || piece_is(word, "any");
    case LT_OPTIONAL:
        return piece_is(word, "opt") || piece_is(word, "any");
    case LT_MAP:
        return piece_is(word, "map") || piece_is(word, "any");
    }
    return false;
}

/* Does the type satisfy the formal's type, a variable or a constraint word? */
static bool formal_allows(const lt_op *op, const formal *f, const lt_type *type)
{
    const char *at = variable_words(op, f->type);
    if (at == NULL) {
        return word_allows(f->type, type);
    }
    for (piece word = take_word(&at); word.length > 0; word = take_word(&at)) {
        if (word_allows(word, type)) {
            return true;
        }
    }
    return false;
}

/* Same class and element types; shapes are not compared. Unknown element types agree with everything. */
static bool same_kind(const lt_type *a, const lt_type *b)
{
    for (int depth = 0; depth < LT_MAX_DEPTH; depth++) {
        if (a == NULL || b == NULL) {
            return true;
        }
        if (a->cls != b->cls) {
            return false;
        }
        if (a->cls == LT_TENSOR) {
            return a->dtype == b->dtype;
        }
        if (a->cls == LT_MAP && a->dtype != b->dtype) {
            return false;
        }
        a = a->elem;
        b = b->elem;
    }
    return false;
}

/* "f32", "seq", ...: for messages. */
static const char *kind_name(const lt_type *type)
{
    switch (type->cls) {
    case LT_TENSOR:
        break;
    case LT_SEQUENCE:
        return "a sequence";
    case LT_OPTIONAL:
        return "an optional";
    case LT_MAP:
        return "a map";
    }
    const char *name = lathe_dtype_name(type->dtype);
    return name != NULL ? name : "of unknown type";
}

void lt_op_arity(const lt_op *op, int *min_in, int *max_in, int *min_out, int *max_out)
{
    for (int side = 0; side < 2; side++) {
        const char *at = side_start(op, side == 1);
        int least = 0, most = 0;
        formal f;
        while (next_formal(&at, &f)) {
            most = f.variadic ? INT_MAX : most + 1;
            if (f.variadic) {
                /* "any..." may be empty (Loop's carried values), "T..." holds at least one. */
                least = f.hetero ? least : least + 1;
                break;
            }
            least = f.optional ? least : most;
        }
        int *low = side == 0 ? min_in : min_out, *high = side == 0 ? max_in : max_out;
        if (low != NULL) {
            *low = least;
        }
        if (high != NULL) {
            *high = most;
        }
    }
}

void lt_op_formal(const lt_op *op, bool output, int i, char *out, size_t size)
{
    formal f;
    if (size == 0) {
        return;
    }
    out[0] = '\0';
    if (i >= 0 && formal_at(op, output, i, &f)) {
        size_t length = f.name.length < size - 1 ? f.name.length : size - 1;
        memcpy(out, f.name.text, length);
        out[length] = '\0';
    }
}

static lathe_status check_counts(const lt_op *op, int n_in, int n_out, const char *where, lathe_diag *diag)
{
    int min_in, max_in, min_out, max_out;
    lt_op_arity(op, &min_in, &max_in, &min_out, &max_out);
    if (n_in < min_in || n_in > max_in) {
        return LT_FAIL(diag, LATHE_BAD_MODEL, where,
                       "a tool may have cut nodes around it: connect the inputs that the signature names; ? and * mark what may be absent",
                       "%s has %d inputs; its signature is %s", op->name, n_in,
                       op->sig);
    }
    if (n_out < min_out || n_out > max_out) {
        return LT_FAIL(diag, LATHE_BAD_MODEL, where, "remove the outputs that the signature does not name",
                       "%s has %d outputs; its signature is %s", op->name, n_out,
                       op->sig);
    }
    return LATHE_OK;
}

/* The first earlier input whose formal has the same type variable, or NULL. */
static const lt_type *bound_before(const lt_op *op, const lt_type *const *in, int i, piece variable)
{
    for (int k = 0; k < i; k++) {
        formal f;
        if (in[k] != NULL && formal_at(op, false, k, &f) && f.type.length == variable.length &&
            memcmp(f.type.text, variable.text, variable.length) == 0) {
            return in[k];
        }
    }
    return NULL;
}

static lathe_status check_input(const lt_op *op, const lt_type *const *in, int i, const char *where, lathe_diag *diag)
{
    formal f;
    LT_CHECK(diag, formal_at(op, false, i, &f), where);
    int name = (int)f.name.length;
    if (in[i] == NULL) {
        if (f.optional) {
            return LATHE_OK;
        }
        return LT_FAIL(diag, LATHE_BAD_MODEL, where, "connect it: only inputs marked with ? in the signature may be absent",
                       "%s needs its input %d (%.*s)", op->name, i, name,
                       f.name.text);
    }
    if (!formal_allows(op, &f, in[i])) {
        return LT_FAIL(diag, LATHE_UNSUPPORTED, where, "insert a Cast to a type that the operator takes",
                       "%s does not take %s as input %d (%.*s); its signature is %s", op->name, kind_name(in[i]), i,
                       name, f.name.text, op->sig);
    }
    if (f.hetero || variable_words(op, f.type) == NULL) {
        return LATHE_OK;
    }
    const lt_type *bound = bound_before(op, in, i, f.type);
    if (bound != NULL && !same_kind(bound, in[i])) {
        return LT_FAIL(diag, LATHE_BAD_MODEL, where, "insert a Cast so that the types agree",
                       "input %d (%.*s) of %s is %s where an earlier input of the same type %.*s is %s", i, name,
                       f.name.text, op->name, kind_name(in[i]), (int)f.type.length, f.type.text, kind_name(bound));
    }
    return LATHE_OK;
}

/* A mark that passes put on roots: their integer arithmetic was promised to be exact. */
static bool is_mark(const lt_op *op, const lathe_attr *attr)
{
    return (op->traits & LT_OP_ROOT) && attr->kind == LATHE_ATTR_INT && lt_streq(attr->name, "exact_int");
}

static lathe_status check_attrs(const lt_op *op, const lathe_attr *attrs, size_t n_attrs, const char *where,
                                lathe_diag *diag)
{
    for (size_t i = 0; i < n_attrs; i++) {
        const lt_attr_spec *spec = op->attrs;
        while (spec != NULL && spec->name != NULL && !lt_streq(spec->name, attrs[i].name)) {
            spec++;
        }
        if (is_mark(op, &attrs[i]) && lt_attr_find(attrs, i, attrs[i].name) == NULL) {
            continue;
        }
        if (spec == NULL || spec->name == NULL) {
            return LT_FAIL(diag, LATHE_BAD_MODEL, where, "remove it or convert the model to the newest opset",
                           "%s has no attribute '%s'", op->name, attrs[i].name != NULL ? attrs[i].name : "");
        }
        if (spec->kind != attrs[i].kind) {
            return LT_FAIL(diag, LATHE_BAD_MODEL, where, "write it with the type that the operator's specification gives it",
                           "attribute '%s' of %s is of the kind %s instead of %s",
                           spec->name, op->name, lt_attr_kind_name(attrs[i].kind), lt_attr_kind_name(spec->kind));
        }
        if (lt_attr_find(attrs, i, attrs[i].name) != NULL) {
            return LT_FAIL(diag, LATHE_BAD_MODEL, where, "remove one of them", "attribute '%s' of %s is given twice", spec->name,
                           op->name);
        }
    }
    for (const lt_attr_spec *spec = op->attrs; spec != NULL && spec->name != NULL; spec++) {
        if (spec->required && lt_attr_find(attrs, n_attrs, spec->name) == NULL) {
            return LT_FAIL(diag, LATHE_BAD_MODEL, where, "give it: it has no default", "%s needs its attribute '%s'", op->name, spec->name);
        }
    }
    return LATHE_OK;
}

lathe_status lt_op_check(const lt_op *op, const lathe_attr *attrs, size_t n_attrs, const lt_type *const *in, int n_in,
                         int n_out, const char *where, lathe_diag *diag)
{
    LT_TRY(check_counts(op, n_in, n_out, where, diag));
    for (int i = 0; i < n_in; i++) {
        LT_TRY(check_input(op, in, i, where, diag));
    }
    return check_attrs(op, attrs, n_attrs, where, diag);
}
