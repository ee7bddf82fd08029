/*
 * cast.c - Cast and CastLike. Numbers convert as base does it (lt_convert); this file adds strings, the rounding of
 * float8e8m0 and the attributes. Found through the registry.
 */
#include "ops/pointwise_internal.h"

#include <string.h>

/* ---- Strings ---- */

/*
 * Text of a number in lower case without a leading '+', as lt_parse_f64 wants it; false when it is too long to be one.
 */
static bool plain_number(const lt_string *s, char *out, size_t size, size_t *length)
{
    size_t begin = 0, end = s->length, n = 0;
    while (begin < end && s->data[begin] == ' ') {
        begin++;
    }
    while (end > begin && s->data[end - 1] == ' ') {
        end--;
    }
    begin += begin < end && s->data[begin] == '+';
    if (end - begin >= size) {
        return false;
    }
    for (; begin < end; begin++) {
        char ch = s->data[begin];
        out[n++] = (char)(ch >= 'A' && ch <= 'Z' ? ch - 'A' + 'a' : ch);
    }
    *length = n;
    return true;
}

lathe_status lt_number_from_text(lt_eval *c, const lt_string *s, int64_t i)
{
    lt_tensor *out = lt_out(c, 0);
    char text[512];
    size_t length = 0;
    int64_t integer;
    uint64_t natural;
    float single;
    double real;
    bool floats = lt_dtype_is_float(out->dtype);
    if (!plain_number(s, text, sizeof text, &length)) {
        return lt_eval_fail(c, "element %lld is no number", (long long)i);
    }
    if (!floats && lt_parse_i64(text, length, &integer)) {
        lt_store_i64(out->dtype, out->data, i, out->dtype == LATHE_DTYPE_BOOL ? integer != 0 : integer);
    } else if (!floats && lt_parse_u64(text, length, &natural)) {
        lt_store_i64(out->dtype, out->data, i, (int64_t)natural);
    } else if (out->dtype == LATHE_DTYPE_F32 && lt_parse_f32(text, length, &single)) {
        lt_store_f64(out->dtype, out->data, i, single);
    } else if (lt_parse_f64(text, length, &real)) {
        lt_store_f64(out->dtype, out->data, i, real);
    } else {
        return lt_eval_fail(c, "element %lld is no number: '%.*s'", (long long)i, (int)(length < 40 ? length : 40),
                            text);
    }
    return LATHE_OK;
}

/* The shortest text that reads back as the same number; integers and bools as integers. */
lathe_status lt_text_from_number(lt_eval *c, const lt_tensor *in, int64_t i, int64_t to)
{
    char text[LT_FMT_MAX];
    lt_string *out = (lt_string *)lt_out(c, 0)->data + to;
    const lt_dtype_info *info = lt_dtype_get(in->dtype);
    if (in->dtype == LATHE_DTYPE_F64) {
        lt_fmt_f64(lt_load_f64(in->dtype, in->data, i), text);
    } else if (info->kind == LT_KIND_FLOAT) {
        lt_fmt_f32((float)lt_load_f64(in->dtype, in->data, i), text);
    } else if (in->dtype == LATHE_DTYPE_U64) {
        snprintf(text, sizeof text, "%llu", (unsigned long long)lt_load_i64(in->dtype, in->data, i));
    } else {
        snprintf(text, sizeof text, "%lld", (long long)lt_load_i64(in->dtype, in->data, i));
    }
    if (strncmp(text, "nan", 3) == 0) {
        text[3] = '\0'; /* the payload is nobody's business */
    }
    return lt_eval_string(c, text, strlen(text), out);
}

/* ---- Numbers ---- */

static lathe_status to_e8m0(lt_eval *c, const lt_tensor *in, int64_t count, bool saturate)
{
    lt_e8m0_round mode = LT_E8M0_UP;
    if (lt_attr_is(c->attrs, c->n_attrs, "round_mode", "down", "up")) {
        mode = LT_E8M0_DOWN;
    } else if (lt_attr_is(c->attrs, c->n_attrs, "round_mode", "nearest", "up")) {
        mode = LT_E8M0_NEAREST;
    }
    unsigned char *out = lt_out(c, 0)->data;
    for (int64_t i = 0; i < count; i++) {
        out[i] = lt_f32_to_e8m0((float)lt_load_f64(in->dtype, in->data, i), saturate, mode);
    }
    return LATHE_OK;
}

/* Floats to integers below a byte: truncated, then wrapped as ONNX's reference does it. */
static lathe_status to_nibbles(lt_eval *c, const lt_tensor *in, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        lt_store_i64(lt_out(c, 0)->dtype, lt_out(c, 0)->data, i, lt_load_i64(in->dtype, in->data, i));
    }
    return LATHE_OK;
}

/* Casts input 0 to the dtype of output 0. */
static lathe_status eval_cast(lt_eval *c)
{
    const lt_tensor *in = lt_in(c, 0);
    lt_tensor *out = lt_out(c, 0);
    if (out == NULL) {
        return LATHE_OK;
    }
    int64_t count = lt_tensor_count(in);
    bool saturate = lt_attr_i(c->attrs, c->n_attrs, "saturate", 1) != 0;
    if (in->dtype == out->dtype) {
        return lt_eval_copy(c, out, 0, in, 0, count);
    }
    for (int64_t i = 0; i < count && (in->dtype == LATHE_DTYPE_STRING || out->dtype == LATHE_DTYPE_STRING); i++) {
        LT_TRY(in->dtype == LATHE_DTYPE_STRING ? lt_number_from_text(c, (const lt_string *)in->data + i, i)
                                               : lt_text_from_number(c, in, i, i));
    }
    if (in->dtype == LATHE_DTYPE_STRING || out->dtype == LATHE_DTYPE_STRING) {
        return LATHE_OK;
    }
    if (out->dtype == LATHE_DTYPE_F8E8M0) {
        return to_e8m0(c, in, count, saturate);
    }
    if (lathe_dtype_bits(out->dtype) < 8 && lt_dtype_is_integer(out->dtype)) {
        return to_nibbles(c, in, count);
    }
    return lt_convert(out->dtype, out->data, in->dtype, in->data, count, saturate, c->diag);
}

/* ---- Inference ---- */

static bool castable(lathe_dtype dtype)
{
    lt_dtype_kind kind = lt_dtype_get(dtype)->kind;
    return kind != LT_KIND_NONE && kind != LT_KIND_COMPLEX;
}

static lathe_status check_attrs(lt_infer *c, int64_t to)
{
    static const char *const modes[] = { "up", "down", "nearest" };
    bool known = false;
    for (size_t i = 0; i < LT_COUNT(modes); i++) {
        known = known || lt_attr_is(c->attrs, c->n_attrs, "round_mode", modes[i], "up");
    }
    if (!known) {
        return lt_infer_fail(c, "attribute 'round_mode' must be up, down or nearest");
    }
    if (to <= 0 || to >= LATHE_DTYPE_COUNT || !castable((lathe_dtype)to)) {
        return lt_infer_fail(c, "no cast to type %lld", (long long)to);
    }
    return LATHE_OK;
}

static lathe_status infer_cast(lt_infer *c)
{
    int64_t to = lt_attr_i(c->attrs, c->n_attrs, "to", 0);
    LT_TRY(check_attrs(c, to));
    LT_TRY(lt_infer_out(c, 0, (lathe_dtype)to, c->in[0]->rank, c->in[0]->dims));
    return lt_infer_pw_contents(c);
}

static lathe_status infer_cast_like(lt_infer *c)
{
    LT_TRY(check_attrs(c, c->in[1]->dtype));
    return lt_infer_out(c, 0, c->in[1]->dtype, c->in[0]->rank, c->in[0]->dims);
}

static const char *const cast_samples[] = {
    "f32[4] x = {1.5, -2.7, 0.0, 100.25} | y = Cast <to = 7> (x)",
    "f32[4] x = {1.5, -2.7, 0.0, 100.25} | y = Cast <to = 10> (x)",
    "f32[4] x = {1.0039062, 3.4e38, nan, inf} | y = Cast <to = 16> (x)",
    "f32[3] x = {0.5, 0.0, nan} | y = Cast <to = 9> (x)",
    "i64[3] x = {300, -1, 7} | y = Cast <to = 2> (x)",
    "i64[3] x = {300, -1, 7} | y = Cast <to = 1> (x)",
    "bool[2,2] x = {1, 0, 0, 1} | y = Cast <to = 1> (x)",
    "f16[2,3] x = rand(1) | y = Cast <to = 1> (x)",
    "f64[3] x = rand(2) | y = Cast <to = 1> (x)",
    "u8[3] x = {0, 127, 255} | y = Cast <to = 3> (x)",
    "i32[] x = {-5} | y = Cast <to = 11> (x)",
    "f32[2,0] x = splat(1) | y = Cast <to = 6> (x)",
    NULL,
};

static const char *const cast_like_samples[] = {
    "f32[4] x = {1.5, -2.7, 0.0, 100.25}, i64[] z = {0} | y = CastLike (x, z)",
    "i64[2,2] x = {1, 2, 3, 4}, f16[3] z = rand(1) | y = CastLike (x, z)",
    NULL,
};

static const lt_attr_spec cast_attrs[] = {
    { "to", LATHE_ATTR_INT, true },
    { "saturate", LATHE_ATTR_INT, false },
    { "round_mode", LATHE_ATTR_STRING, false },
    { NULL, LATHE_ATTR_NONE, false },
};

#define CASTABLE "numeric bool string f8 f4e2m1 i4 u4 i2 u2"

LT_OPS(cast) = {
    { .name = "Cast",
      .domain = "",
      .since = 25,
      .traits = LT_OP_POINTWISE,
      .pw = LATHE_PW_CAST,
      .infer = infer_cast,
      .eval = eval_cast,
      .sig = "(T1 input) -> (T2 output); T1: " CASTABLE ", T2: " CASTABLE,
      .attrs = cast_attrs,
      .samples = cast_samples },
    { .name = "CastLike",
      .domain = "",
      .since = 25,
      .infer = infer_cast_like,
      .eval = eval_cast,
      .sig = "(T1 input, T2 target_type) -> (T2 output); T1: " CASTABLE ", T2: " CASTABLE,
      .attrs = cast_attrs + 1,
      .samples = cast_like_samples },
    { .name = NULL },
};
