/*
 * text_parse_data.c - constants of the text IR: lists of elements, generators, references to blobs. Part of graph.
 */
#include <string.h>

#include "graph/text_internal.h"

static lathe_status bad_element(lt_reader *r, const lt_token *token, lathe_dtype dtype)
{
    char what[48];
    snprintf(what, sizeof what, "an element of type %s", lathe_dtype_name(dtype));
    return lt_unexpected(r, token, what);
}

/* "nan" and "inf" are names to the lexer. */
static bool is_number(const lt_token *token)
{
    return token->kind == LT_TOK_NUMBER || lt_tok_word(token, "inf") || lt_tok_word(token, "nan");
}

lathe_status lt_read_f32(lt_reader *r, const lt_token *token, float *out)
{
    int64_t whole;
    if (!is_number(token)) {
        return lt_unexpected(r, token, "a number");
    }
    if (lt_parse_f32(token->text, token->length, out)) {
        return LATHE_OK;
    }
    if (lt_parse_i64(token->text, token->length, &whole)) {
        *out = (float)whole;
        return LATHE_OK;
    }
    return lt_unexpected(r, token, "a number");
}

static lathe_status read_f64(lt_reader *r, const lt_token *token, double *out)
{
    int64_t whole;
    if (!is_number(token)) {
        return lt_unexpected(r, token, "a number");
    }
    if (lt_parse_f64(token->text, token->length, out)) {
        return LATHE_OK;
    }
    if (lt_parse_i64(token->text, token->length, &whole)) {
        *out = (double)whole;
        return LATHE_OK;
    }
    return lt_unexpected(r, token, "a number");
}

static lathe_status store_float(lt_reader *r, const lt_token *token, lathe_dtype dtype, void *data, int64_t index)
{
    if (dtype == LATHE_DTYPE_F64) {
        double value;
        LT_TRY(read_f64(r, token, &value));
        memcpy((char *)data + (size_t)index * sizeof value, &value, sizeof value);
        return LATHE_OK;
    }
    float value;
    LT_TRY(lt_read_f32(r, token, &value));
    if (dtype == LATHE_DTYPE_F32) {
        memcpy((char *)data + (size_t)index * sizeof value, &value, sizeof value);
    } else {
        lt_store_f64(dtype, data, index, (double)value);
    }
    return LATHE_OK;
}

static lathe_status store_integer(lt_reader *r, const lt_token *token, lathe_dtype dtype, void *data, int64_t index)
{
    int64_t value;
    uint64_t large;
    if (lt_tok_word(token, "true") || lt_tok_word(token, "false")) {
        value = token->length == 4;
    } else if (token->kind != LT_TOK_NUMBER) {
        return bad_element(r, token, dtype);
    } else if (dtype == LATHE_DTYPE_U64 && lt_parse_u64(token->text, token->length, &large)) {
        memcpy((char *)data + (size_t)index * sizeof large, &large, sizeof large);
        return LATHE_OK;
    } else if (!lt_parse_i64(token->text, token->length, &value)) {
        return bad_element(r, token, dtype);
    }
    if (value < lt_dtype_min_i64(dtype) || (value > 0 && (uint64_t)value > lt_dtype_max_u64(dtype))) {
        return LT_FAIL(r->diag, LATHE_BAD_MODEL, lt_text_place(r, token->start), NULL, "%lld does not fit %s",
                       (long long)value, lathe_dtype_name(dtype));
    }
    lt_store_i64(dtype, data, index, value);
    return LATHE_OK;
}

/* bits(0x7e01): for elements that no number stands for. */
static lathe_status store_bits(lt_reader *r, lathe_dtype dtype, void *data, int64_t index)
{
    uint64_t bits;
    size_t size = lathe_dtype_bits(dtype) / 8;
    LT_TRY(lt_expect(r, '('));
    const char *at = r->lexer.at;
    LT_TRY(lt_expect_u64(r, &bits));
    if (size == 0 || size > sizeof bits || (size < sizeof bits && bits >> (8 * size) != 0)) {
        return LT_FAIL(r->diag, LATHE_BAD_MODEL, lt_text_place(r, at), NULL, "these bits do not fit %s",
                       lathe_dtype_name(dtype));
    }
    for (size_t i = 0; i < size; i++) {
        ((unsigned char *)data)[(size_t)index * size + i] = (unsigned char)(bits >> (8 * i));
    }
    return lt_expect(r, ')');
}

/* (1.0, -2.0) */
static lathe_status store_complex(lt_reader *r, const lt_token *token, lathe_dtype dtype, void *data, int64_t index)
{
    if (!lt_tok_is(token, '(')) {
        return bad_element(r, token, dtype);
    }
    lathe_dtype part = dtype == LATHE_DTYPE_C64 ? LATHE_DTYPE_F32 : LATHE_DTYPE_F64;
    for (int i = 0; i < 2; i++) {
        lt_token number;
        LT_TRY(lt_lex(r, &number));
        if (lt_tok_word(&number, "bits")) {
            LT_TRY(store_bits(r, part, data, 2 * index + i));
        } else {
            LT_TRY(store_float(r, &number, part, data, 2 * index + i));
        }
        LT_TRY(lt_expect(r, i == 0 ? ',' : ')'));
    }
    return LATHE_OK;
}

static lathe_status store_element(lt_reader *r, lathe_dtype dtype, void *data, int64_t index)
{
    lt_token token;
    LT_TRY(lt_lex(r, &token));
    if (lt_tok_word(&token, "bits")) {
        return store_bits(r, dtype, data, index);
    }
    switch (lt_dtype_get(dtype)->kind) {
    case LT_KIND_FLOAT:
        return store_float(r, &token, dtype, data, index);
    case LT_KIND_SIGNED:
    case LT_KIND_UNSIGNED:
    case LT_KIND_BOOL:
        return store_integer(r, &token, dtype, data, index);
    case LT_KIND_COMPLEX:
        return store_complex(r, &token, dtype, data, index);
    case LT_KIND_STRING:
        if (token.kind != LT_TOK_STRING) {
            return lt_unexpected(r, &token, "a quoted string");
        }
        ((lt_string *)data)[index] = (lt_string){ .data = token.text, .length = token.length };
        return LATHE_OK;
    case LT_KIND_NONE:
        break;
    }
    return bad_element(r, &token, dtype);
}

/* Shape and size of a constant; nothing is allocated yet. */
static lathe_status shape_of(lt_reader *r, const lt_type *type, lt_tensor *out)
{
    int64_t dims[LATHE_MAX_RANK];
    *out = (lt_tensor){ .struct_size = sizeof(lt_tensor) };
    bool known = type->cls == LT_TENSOR && type->dtype != LATHE_DTYPE_UNDEFINED;
    int rank = type->rank < 0 ? 0 : type->rank; /* without brackets: a scalar, since no constant has an unknown rank */
    for (int i = 0; known && i < rank; i++) {
        known = lt_dim_is_const(type->dims[i]);
        dims[i] = type->dims[i].k;
    }
    if (!known) {
        return LT_FAIL(r->diag, LATHE_BAD_MODEL, lt_text_place(r, r->lexer.at), NULL,
                       "a constant needs an element type and fixed dimensions");
    }
    if (lt_tensor_shape(out, type->dtype, rank, dims, NULL, NULL) == LATHE_OK) {
        return LATHE_OK;
    }
    return lt_tensor_shape(out, type->dtype, rank, dims, lt_text_place(r, r->lexer.at),
                           r->diag); /* again, for its message */
}

/* Takes bytes from what the text may still make. */
static lathe_status spend(lt_reader *r, uint64_t bytes)
{
    if (bytes > r->graph->budget) {
        return LT_FAIL(r->diag, LATHE_UNSUPPORTED, lt_text_place(r, r->lexer.at),
                       "make it smaller, or keep the data beside the text",
                       "the text makes more than 1 GiB of constants");
    }
    r->graph->budget -= bytes;
    return LATHE_OK;
}

lathe_status lt_parse_elements(lt_reader *r, const lt_type *type, lt_tensor *out)
{
    LT_TRY(shape_of(r, type, out));
    int64_t count = lt_tensor_count(out);
    const char *start = r->lexer.at;
    LT_TRY(lt_expect(r, '{'));
    if (count > r->lexer.end - r->lexer.at) { /* each element takes a character at least */
        return LT_FAIL(r->diag, LATHE_BAD_MODEL, lt_text_place(r, start), NULL,
                       "a list of %lld elements does not fit into the text", (long long)count);
    }
    LT_TRY(spend(r, out->bytes));
    out->data = lt_arena_zero(&r->arena, 1, out->bytes, 64);
    if (out->data == NULL) {
        return LT_OOM(r->diag);
    }
    for (int64_t i = 0; i < count; i++) {
        if (i > 0) {
            LT_TRY(lt_expect(r, ','));
        }
        LT_TRY(store_element(r, out->dtype, out->data, i));
    }
    return lt_expect(r, '}');
}

static void fill(void *data, size_t element, size_t bytes)
{
    for (size_t done = element; element > 0 && done < bytes;) {
        size_t more = done < bytes - done ? done : bytes - done;
        memcpy((char *)data + done, data, more);
        done += more;
    }
}

static lathe_status generate(lt_reader *r, const lt_token *name, lt_tensor *tensor, lt_blob *blob)
{
    int64_t count = lt_tensor_count(tensor);
    if (lt_tok_word(name, "iota")) {
        for (int64_t i = 0; i < count; i++) {
            if (lt_dtype_is_float(tensor->dtype)) {
                lt_store_f64(tensor->dtype, tensor->data, i, (double)i);
            } else {
                lt_store_i64(tensor->dtype, tensor->data, i, i);
            }
        }
        return LATHE_OK;
    }
    LT_TRY(lt_expect(r, '('));
    if (lt_tok_word(name, "rand")) {
        uint64_t seed;
        LT_TRY(lt_expect_u64(r, &seed));
        LT_TRY(lt_random_fill(tensor, seed, r->diag));
        lt_blob_set_generator(blob, LT_GENERATOR_RAND, seed);
        return lt_expect(r, ')');
    }
    size_t element = lathe_dtype_bits(tensor->dtype) / 8;
    uint64_t one[2] = { 0 };
    LT_TRY(store_element(r, tensor->dtype, one, 0));
    if (element > 0 && count > 0) {
        memcpy(tensor->data, one, element);
        fill(tensor->data, element, tensor->bytes);
    }
    for (int64_t i = 0; element == 0 && i < count; i++) {
        if (lt_dtype_is_float(tensor->dtype)) {
            lt_store_f64(tensor->dtype, tensor->data, i, lt_load_f64(tensor->dtype, one, 0));
        } else {
            lt_store_i64(tensor->dtype, tensor->data, i, lt_load_i64(tensor->dtype, one, 0));
        }
    }
    return lt_expect(r, ')');
}

static lathe_status parse_generator(lt_reader *r, const lt_token *name, const lt_type *type, lt_blob **out)
{
    lt_tensor shape;
    LT_TRY(shape_of(r, type, &shape));
    lt_dtype_kind kind = lt_dtype_get(shape.dtype)->kind;
    if (kind == LT_KIND_STRING || (lt_tok_word(name, "iota") && (kind == LT_KIND_BOOL || kind == LT_KIND_COMPLEX))) {
        return LT_FAIL(r->diag, LATHE_UNSUPPORTED, lt_text_place(r, name->start), "list the elements",
                       "%.*s does not make %s", (int)name->length, name->text, lathe_dtype_name(shape.dtype));
    }
    LT_TRY(spend(r, shape.bytes));
    lt_blob *blob;
    LT_TRY(lt_blob_make(r->allocator, shape.dtype, shape.rank, shape.dims, &blob, &shape.data, r->diag));
    lathe_status status = generate(r, name, &shape, blob);
    if (status != LATHE_OK) {
        lt_blob_release(blob);
        return status;
    }
    *out = blob;
    return LATHE_OK;
}

/* Bytes of recipes allowed for each byte of a blob that was found. */
enum { RECIPE_FACTOR = 8 };

static lathe_status find_blob(lt_reader *r, const lt_type *type, lt_blob **out)
{
    uint64_t hash;
    lt_type real;
    lt_tensor shape;
    const char *at = r->lexer.at;
    LT_TRY(shape_of(r, type, &shape));
    LT_TRY(lt_expect(r, '('));
    LT_TRY(lt_expect_u64(r, &hash));
    LT_TRY(lt_expect(r, ')'));
    lt_blob *blob = r->find == NULL ? NULL : r->find(r->user, hash);
    if (blob == NULL) {
        return LT_FAIL(r->diag, LATHE_BAD_MODEL, lt_text_place(r, at),
                       "read the text together with the file that holds its constants",
                       "the constant blob(0x%016llx) is not at hand", (unsigned long long)hash);
    }
    lt_type_of_tensor(lt_blob_tensor(blob), &real);
    if (real.rank != shape.rank || real.dtype != shape.dtype || (type->rank > 0 && !lt_type_same(&real, type))) {
        lt_blob_release(blob);
        return LT_FAIL(r->diag, LATHE_BAD_MODEL, lt_text_place(r, at), NULL,
                       "the constant blob(0x%016llx) has another type than written", (unsigned long long)hash);
    }
    /* Recipes over data that is really there may make more than a text out of nothing. */
    uint64_t more;
    bool fits = !__builtin_mul_overflow((uint64_t)shape.bytes, (uint64_t)RECIPE_FACTOR, &more) &&
                r->graph->budget <= UINT64_MAX - 1 - more;
    r->graph->budget += fits ? more : 0;
    *out = blob;
    return LATHE_OK;
}

lathe_status lt_parse_data(lt_reader *r, const lt_type *type, lt_blob **out)
{
    lt_token token;
    lt_tensor tensor;
    LT_TRY(lt_peek(r, &token));
    if (lt_tok_is(&token, '{')) {
        LT_TRY(lt_parse_elements(r, type, &tensor));
        return lt_blob_copy(r->allocator, &tensor, out, r->diag);
    }
    if (lt_tok_word(&token, "blob")) {
        LT_TRY(lt_lex(r, &token));
        return find_blob(r, type, out);
    }
    if (lt_tok_word(&token, "rand") || lt_tok_word(&token, "splat") || lt_tok_word(&token, "iota")) {
        LT_TRY(lt_lex(r, &token));
        return parse_generator(r, &token, type, out);
    }
    if (type->cls == LT_TENSOR && type->rank <= 0 &&
        type->dtype != LATHE_DTYPE_UNDEFINED) { /* a scalar without braces */
        uint64_t one[2] = { 0 };
        LT_TRY(shape_of(r, type, &tensor));
        tensor.data = one;
        LT_TRY(store_element(r, tensor.dtype, one, 0));
        return lt_blob_copy(r->allocator, &tensor, out, r->diag);
    }
    return lt_unexpected(r, &token, "elements in braces, rand(seed), splat(value), iota or blob(hash)");
}
