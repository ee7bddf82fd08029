/*
 * test_ops_core.c - the operators' core: registry, signatures, checks, attributes, windows, broadcasting and contents
 * with symbolic dims, the scalar meaning of pointwise instructions, lt_op_eval.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ops/ops.h"

/* ---- Registry ---- */

static void finds_operators(void **state)
{
    (void)state;
    const lt_op *add = lt_op_find("", "Add");
    assert_non_null(add);
    assert_ptr_equal(add, lt_op_find("ai.onnx", "Add"));
    assert_ptr_equal(add, lt_op_find(NULL, "Add"));
    assert_null(lt_op_find("com.example", "Add"));
    assert_null(lt_op_find("", "add"));
    assert_null(lt_op_find("", NULL));
    assert_string_equal(lt_op_suggest("", "Sigmoyd"), "Sigmoid");
    assert_string_equal(lt_op_suggest("", "LeakyReLu"), "LeakyRelu");
    assert_string_equal(lt_op_suggest("", "CompletelyElsewhere"), "");
}

/* Every descriptor is whole: names, signature, inference and evaluation; names are unique within a domain. */
static void descriptors_are_whole(void **state)
{
    (void)state;
    size_t count = 0;
    for (const lt_op *op = lt_op_at(0); op != NULL; op = lt_op_at(++count)) {
        int min_in, max_in, min_out, max_out;
        assert_non_null(op->sig);
        assert_true(op->since >= 1);
        assert_non_null(op->infer);
        assert_non_null(op->eval);
        assert_ptr_equal(lt_op_find(op->domain, op->name), op);
        lt_op_arity(op, &min_in, &max_in, &min_out, &max_out);
        assert_true(min_in >= 0 && min_in <= max_in && max_out >= 1 && min_out <= max_out);
    }
    assert_true(count > 70);
    assert_null(lt_op_at(count + 5));
}

/* ---- Signatures ---- */

static void reads_arity(void **state)
{
    (void)state;
    static const lt_op loop = { .name = "L", .sig = "(i64? M, bool? cond, any... v) -> (any... out)" };
    static const lt_op gap = { .name = "G", .sig = "(T X, T? B, i64 C, T? D) -> (T Y, bool? M); T: float" };
    static const lt_op concat = { .name = "C", .sig = "(T... x) -> (T y); T: all" };
    static const lt_op none = { .name = "N", .sig = "() -> (T output); T: all" };
    int a, b, c, d;
    char name[8];
    lt_op_arity(&loop, &a, &b, &c, &d);
    assert_int_equal(a, 0);
    assert_int_equal(b, INT_MAX);
    assert_int_equal(c, 0);
    assert_int_equal(d, INT_MAX);
    lt_op_arity(&gap, &a, &b, &c, &d);
    assert_int_equal(a, 3);
    assert_int_equal(b, 4);
    assert_int_equal(c, 1);
    assert_int_equal(d, 2);
    lt_op_arity(&concat, &a, &b, &c, &d);
    assert_int_equal(a, 1);
    assert_int_equal(b, INT_MAX);
    lt_op_arity(&none, &a, &b, &c, &d);
    assert_int_equal(a, 0);
    assert_int_equal(b, 0);
    lt_op_formal(&gap, false, 3, name, sizeof name);
    assert_string_equal(name, "D");
    lt_op_formal(&gap, true, 1, name, sizeof name);
    assert_string_equal(name, "M");
    lt_op_formal(&gap, true, 2, name, sizeof name);
    assert_string_equal(name, "");
    lt_op_formal(&concat, false, 77, name, sizeof name);
    assert_string_equal(name, "x");
    lt_op_formal(lt_op_find("", "Clip"), false, 0, name, 4);
    assert_string_equal(name, "inp");
}

static lt_type tensor(lathe_dtype dtype)
{
    return (lt_type){ .cls = LT_TENSOR, .dtype = dtype, .rank = 0 };
}

static lathe_status check(const lt_op *op, int n_in, const lt_type *const *in, int n_out)
{
    return lt_op_check(op, NULL, 0, in, n_in, n_out, "test", NULL);
}

static void checks_types(void **state)
{
    (void)state;
    static const lt_op op = { .name = "O", .sig = "(T X, T? B, U C, any... r) -> (T Y); T: float i8, U: seq all" };
    lt_type f = tensor(LATHE_DTYPE_F32), h = tensor(LATHE_DTYPE_F16), i8 = tensor(LATHE_DTYPE_I8),
            i32 = tensor(LATHE_DTYPE_I32);
    lt_type seq = { .cls = LT_SEQUENCE, .rank = -1, .elem = &f }, opt = { .cls = LT_OPTIONAL, .rank = -1, .elem = &f },
            unknown = tensor(LATHE_DTYPE_UNDEFINED);
    assert_int_equal(check(&op, 3, (const lt_type *[]){ &f, &f, &i32 }, 1), LATHE_OK);
    assert_int_equal(check(&op, 3, (const lt_type *[]){ &i8, NULL, &seq }, 1), LATHE_OK);
    assert_int_equal(check(&op, 5, (const lt_type *[]){ &h, &h, &i32, &opt, &f }, 1), LATHE_OK);
    assert_int_equal(check(&op, 2, (const lt_type *[]){ &f, &f }, 1), LATHE_BAD_MODEL);
    assert_int_equal(check(&op, 3, (const lt_type *[]){ &f, &h, &i32 }, 1), LATHE_BAD_MODEL);
    assert_int_equal(check(&op, 3, (const lt_type *[]){ NULL, &f, &i32 }, 1), LATHE_BAD_MODEL);
    assert_int_equal(check(&op, 3, (const lt_type *[]){ &f, NULL, &i32 }, 2), LATHE_BAD_MODEL);
    assert_int_equal(check(&op, 3, (const lt_type *[]){ &f, NULL, &i32 }, 0), LATHE_BAD_MODEL);
    assert_int_equal(check(&op, 3, (const lt_type *[]){ &i32, NULL, &i32 }, 1), LATHE_UNSUPPORTED);
    assert_int_equal(check(&op, 3, (const lt_type *[]){ &seq, NULL, &i32 }, 1), LATHE_UNSUPPORTED);
    assert_int_equal(check(&op, 3, (const lt_type *[]){ &f, NULL, &opt }, 1), LATHE_UNSUPPORTED);
    assert_int_equal(check(&op, 3, (const lt_type *[]){ &unknown, NULL, &i32 }, 1), LATHE_UNSUPPORTED);
}

/* Which dtypes each constraint word stands for. */
static void constraint_words(void **state)
{
    (void)state;
    static const struct {
        const char *sig, *yes, *no;
    } rows[] = {
        { "(float x) -> (f32 y)", "f16 bf16 f32 f64", "i8 bool f8e5m2 f4e2m1 c64 string" },
        { "(int x) -> (f32 y)", "i8 u8 i64 u64", "i4 u4 i2 bool f32" },
        { "(signed x) -> (f32 y)", "i8 i32", "u8 i4 bool" },
        { "(unsigned x) -> (f32 y)", "u8 u64", "i8 u4 bool" },
        { "(numeric x) -> (f32 y)", "f32 i8 u64", "bool string c64 i4 f8e5m2" },
        { "(all x) -> (f32 y)", "f32 bool string c128 i4 u2 f8e8m0 f4e2m1", "" },
        { "(f8 x) -> (f32 y)", "f8e4m3fn f8e4m3fnuz f8e5m2 f8e5m2fnuz f8e8m0", "u8 i8 f16 f4e2m1" },
        { "(T x) -> (f32 y); U: float, T: i4 bool", "i4 bool", "u4 f32" },
    };
    for (size_t r = 0; r < LT_COUNT(rows); r++) {
        for (int d = 1; d < LATHE_DTYPE_COUNT; d++) {
            const lt_op op = { .name = "O", .sig = rows[r].sig };
            lt_type type = tensor((lathe_dtype)d);
            char word[24] = " ", yes[128] = " ", no[128] = " ";
            strcat(strcat(word, lathe_dtype_name((lathe_dtype)d)), " ");
            strcat(strcat(yes, rows[r].yes), " ");
            strcat(strcat(no, rows[r].no), " ");
            lathe_status status = check(&op, 1, (const lt_type *[]){ &type }, 1);
            if (strstr(yes, word) != NULL) {
                assert_int_equal(status, LATHE_OK);
            } else if (strstr(no, word) != NULL) {
                assert_int_equal(status, LATHE_UNSUPPORTED);
            }
        }
    }
}

static void checks_attributes(void **state)
{
    (void)state;
    static const lt_attr_spec specs[] = { { "a", LATHE_ATTR_INT, true },
                                          { "b", LATHE_ATTR_FLOAT, false },
                                          { NULL, LATHE_ATTR_NONE, false } };
    static const lt_op op = { .name = "O", .sig = "(f32 x) -> (f32 y)", .attrs = specs };
    lt_type f = tensor(LATHE_DTYPE_F32);
    const lt_type *in[] = { &f };
    lathe_attr a = { .name = "a", .kind = LATHE_ATTR_INT, .i = 3 },
               b = { .name = "b", .kind = LATHE_ATTR_FLOAT, .f = 0.5f };
    lathe_attr wrong = { .name = "b", .kind = LATHE_ATTR_INT }, strange = { .name = "c", .kind = LATHE_ATTR_INT };
    lathe_attr both[] = { a, b }, twice[] = { a, a }, bad_kind[] = { a, wrong }, extra[] = { a, strange };
    assert_int_equal(lt_op_check(&op, both, 2, in, 1, 1, "t", NULL), LATHE_OK);
    assert_int_equal(lt_op_check(&op, &a, 1, in, 1, 1, "t", NULL), LATHE_OK);
    assert_int_equal(lt_op_check(&op, &b, 1, in, 1, 1, "t", NULL), LATHE_BAD_MODEL);
    assert_int_equal(lt_op_check(&op, twice, 2, in, 1, 1, "t", NULL), LATHE_BAD_MODEL);
    assert_int_equal(lt_op_check(&op, bad_kind, 2, in, 1, 1, "t", NULL), LATHE_BAD_MODEL);
    assert_int_equal(lt_op_check(&op, extra, 2, in, 1, 1, "t", NULL), LATHE_BAD_MODEL);
    assert_int_equal(lt_attr_i(both, 2, "a", 9), 3);
    assert_int_equal(lt_attr_i(both, 2, "b", 9), 9); /* of another kind */
    assert_true(lt_attr_f(both, 2, "b", 0.0f) == 0.5f);
    lathe_attr mode = { .name = "m", .kind = LATHE_ATTR_STRING, .s = { "tanh", 4 } };
    assert_true(lt_attr_is(&mode, 1, "m", "tanh", "none"));
    assert_false(lt_attr_is(&mode, 1, "m", "tan", "none"));
    assert_true(lt_attr_is(NULL, 0, "m", "none", "none"));
}

/* ---- Windows ---- */

static lathe_attr ints_attr(const char *name, const int64_t *ints, size_t count)
{
    return (lathe_attr){ .name = name, .kind = LATHE_ATTR_INTS, .ints = ints, .count = count };
}

static void reads_windows(void **state)
{
    (void)state;
    static const int64_t kernel[] = { 3, 4 }, strides[] = { 2, 3 }, pads[] = { 1, 0, 2, 3 }, dilations[] = { 2, 1 },
                         x[] = { 7, 8 }, short_pads[] = { 1, 1 };
    static const int64_t negative[] = { -1, 0, 0, 0 };
    lt_window w;
    lathe_attr attrs[4] = { ints_attr("strides", strides, 2), ints_attr("pads", pads, 4),
                            ints_attr("dilations", dilations, 2) };
    assert_int_equal(lt_window_read(attrs, 3, 2, kernel, NULL, &w, "t", NULL), LATHE_OK);
    assert_int_equal(w.stride[1], 3);
    assert_int_equal(w.begin[0], 1);
    assert_int_equal(w.begin[1], 0);
    assert_int_equal(w.end[0], 2);
    assert_int_equal(w.end[1], 3);
    assert_int_equal(lt_window_read(attrs, 3, 2, NULL, NULL, &w, "t", NULL), LATHE_BAD_MODEL); /* no kernel_shape */
    attrs[1] = ints_attr("pads", short_pads, 2);
    assert_int_equal(lt_window_read(attrs, 3, 2, kernel, NULL, &w, "t", NULL), LATHE_BAD_MODEL);
    attrs[1] = ints_attr("pads", negative, 4);
    assert_int_equal(lt_window_read(attrs, 3, 2, kernel, NULL, &w, "t", NULL), LATHE_BAD_MODEL);
    attrs[1] = (lathe_attr){ .name = "auto_pad", .kind = LATHE_ATTR_STRING, .s = { "SAME_UPPER", 10 } };
    assert_int_equal(lt_window_read(attrs, 3, 2, kernel, NULL, &w, "t", NULL), LATHE_UNSUPPORTED);
    assert_int_equal(lt_window_read(attrs, 3, 2, kernel, x, &w, "t", NULL), LATHE_OK);
    /* axis 0: reach 5, ceil(7/2) = 4 points: 3*2 + 5 - 7 = 4; axis 1: reach 4, 3 points: 2*3 + 4 - 8 = 2 */
    assert_int_equal(w.begin[0] + w.end[0], 4);
    assert_int_equal(w.begin[1], 1);
    static const int64_t odd[] = { 2 }, five[] = { 5 };
    attrs[0] = (lathe_attr){ .name = "auto_pad", .kind = LATHE_ATTR_STRING, .s = { "SAME_LOWER", 10 } };
    assert_int_equal(lt_window_read(attrs, 1, 1, odd, five, &w, "t", NULL), LATHE_OK);
    assert_int_equal(w.begin[0], 1);
    assert_int_equal(w.end[0], 0);
    attrs[0].s = (lathe_bytes){ "SAME_UPPER", 10 };
    assert_int_equal(lt_window_read(attrs, 1, 1, odd, five, &w, "t", NULL), LATHE_OK);
    assert_int_equal(w.begin[0], 0);
    assert_int_equal(w.end[0], 1);
    attrs[0].s = (lathe_bytes){ "VALID", 5 };
    assert_int_equal(lt_window_read(attrs, 1, 1, odd, NULL, &w, "t", NULL), LATHE_OK);
    assert_int_equal(w.end[0], 0);
    attrs[0].s = (lathe_bytes){ "same", 4 };
    assert_int_equal(lt_window_read(attrs, 1, 1, odd, NULL, &w, "t", NULL), LATHE_BAD_MODEL);
    assert_int_equal(lt_window_read(NULL, 0, 17, odd, NULL, &w, "t", NULL), LATHE_BAD_MODEL);
}

/* ---- Inference with symbols ---- */

/*
 * One call of an operator: up to three inputs whose types and contents are given as text, "i64[2]{N,3}" or "f32[N,3]".
 */
typedef struct call {
    lt_dims *dims;
    lt_arena arena;
    lt_type types[4], out[2];
    lt_contents contents[4], out_contents[2];
    lt_dim store[4][LT_CONTENTS_MAX];
    lt_buf text;
} call;

static lt_dim parse_dim(call *k, const char **at)
{
    lt_dim d = lt_dim_const(0);
    bool negative = **at == '-';
    *at += negative;
    assert_int_equal(lt_dim_parse(k->dims, at, *at + strlen(*at), &d, NULL), LATHE_OK);
    if (negative) {
        assert_int_equal(lt_dim_mul(k->dims, d, lt_dim_const(-1), &d, NULL), LATHE_OK);
    }
    return d;
}

static void parse_input(call *k, int i, const char *text)
{
    char name[16] = { 0 };
    size_t n = strcspn(text, "[{");
    memcpy(name, text, n);
    k->types[i] = (lt_type){ .cls = LT_TENSOR, .dtype = lathe_dtype_from_name(name), .rank = -1 };
    k->contents[i] = (lt_contents){ 0 };
    text += n;
    if (*text == '[') {
        k->types[i].rank = 0;
        for (text++; *text != ']'; text += *text == ',') {
            k->types[i].dims[k->types[i].rank++] = parse_dim(k, &text);
        }
        text++;
    }
    if (*text == '{') {
        for (text++; *text != '}'; text += *text == ',') {
            k->store[i][k->contents[i].count++] = parse_dim(k, &text);
        }
        k->contents[i].v = k->store[i];
    }
}

/* Runs inference and prints "type" or "type{contents}" of output 0; "error N" for a status. */
static const char *infer(call *k, const char *name, const lathe_attr *attrs, size_t n_attrs, const char *const *inputs)
{
    const lt_type *in[4];
    const lt_contents *contents[4];
    int n = 0;
    for (; inputs[n] != NULL; n++) {
        parse_input(k, n, inputs[n]);
        in[n] = &k->types[n];
        contents[n] = k->contents[n].v != NULL ? &k->contents[n] : NULL;
    }
    lt_infer c = {
        .op = lt_op_find("", name),
        .attrs = attrs,
        .n_attrs = n_attrs,
        .where = "t",
        .dims = k->dims,
        .arena = &k->arena,
        .n_in = n,
        .in = in,
        .contents = contents,
        .n_out = 1,
        .out = k->out,
        .out_contents = k->out_contents,
    };
    lt_buf_clear(&k->text);
    lathe_status status = lt_op_infer(&c);
    if (status != LATHE_OK) {
        lt_buf_printf(&k->text, "error %d", (int)status);
        return lt_buf_str(&k->text);
    }
    lt_type_print(k->dims, &k->out[0], &k->text);
    if (k->out_contents[0].v != NULL) {
        lt_buf_putc(&k->text, '{');
        for (int64_t i = 0; i < k->out_contents[0].count; i++) {
            lt_buf_puts(&k->text, i > 0 ? "," : "");
            lt_dim_print(k->dims, k->out_contents[0].v[i], &k->text);
        }
        lt_buf_putc(&k->text, '}');
    }
    return lt_buf_str(&k->text);
}

#define INFER(k, name, ...) infer((k), (name), NULL, 0, (const char *const[]){ __VA_ARGS__, NULL })

static int open_call(void **state)
{
    call *k = calloc(1, sizeof *k);
    if (k == NULL) {
        return -1;
    }
    k->dims = lt_dims_create(NULL);
    lt_arena_init(&k->arena, NULL);
    lt_buf_init(&k->text, NULL);
    *state = k;
    return k->dims != NULL ? 0 : -1;
}

static int close_call(void **state)
{
    call *k = *state;
    lt_dims_destroy(k->dims);
    lt_arena_destroy(&k->arena);
    lt_buf_free(&k->text);
    free(k);
    return 0;
}

static void broadcasts_symbols(void **state)
{
    call *k = *state;
    assert_string_equal(INFER(k, "Add", "f32[N,3,1]", "f32[N,1,W]"), "f32[N,3,W]");
    assert_string_equal(INFER(k, "Add", "f32[N,C]", "f32[C]"), "f32[N,C]");
    assert_string_equal(INFER(k, "Add", "f32[]", "f32[2]"), "f32[2]");
    assert_string_equal(INFER(k, "Add", "f32[N]", "f32[M]"), "f32[bcast(M,N)]");
    assert_string_equal(INFER(k, "Add", "f32", "f32[2]"), "f32");
    assert_string_equal(INFER(k, "Add", "f32[2]", "f32[3]"), "error 4");
    assert_string_equal(INFER(k, "Add", "f32[2]", "f16[2]"), "error 4");
    assert_string_equal(INFER(k, "Greater", "f32[N,3]", "f32[1]"), "bool[N,3]");
    assert_string_equal(INFER(k, "Where", "bool[N,1]", "f16[1,4]", "f16[]"), "f16[N,4]");
    assert_string_equal(INFER(k, "Max", "f32[N,1]", "f32[4]", "f32[1,1,1]"), "f32[1,N,4]");
    assert_string_equal(INFER(k, "PRelu", "f32[N,3]", "f32[3]"), "f32[N,3]");
    assert_string_equal(INFER(k, "PRelu", "f32[N,1]", "f32[3]"), "error 4");
}

static void follows_contents(void **state)
{
    call *k = *state;
    assert_string_equal(INFER(k, "Add", "i64[2]{N,3}", "i64[]{1}"), "i64[2]{N+1,4}");
    assert_string_equal(INFER(k, "Sub", "i64[2]{N,3}", "i64[2]{N,1}"), "i64[2]{0,2}");
    assert_string_equal(INFER(k, "Mul", "i64[]{N}", "i64[2]{2,M}"), "i64[2]{N*2,M*N}");
    assert_string_equal(INFER(k, "Div", "i64[]{N}", "i64[]{2}"), "i64[]{floordiv(N,2)}");
    assert_string_equal(INFER(k, "Div", "i64[]{-7}", "i64[]{2}"), "i64[]{-3}");
    assert_string_equal(INFER(k, "Div", "i64[]{N-5}", "i64[]{2}"),
                        "i64[]"); /* may be negative: truncation is not floor */
    assert_string_equal(INFER(k, "Div", "i64[]{N}", "i64[]{0}"), "i64[]");
    assert_string_equal(INFER(k, "Mod", "i64[]{N}", "i64[]{4}"), "i64[]{mod(N,4)}");
    assert_string_equal(INFER(k, "Mod", "i64[]{-7}", "i64[]{4}"), "i64[]{1}");
    assert_string_equal(INFER(k, "Equal", "i64[2]{N,-1}", "i64[]{-1}"), "bool[2]{0,1}");
    assert_string_equal(INFER(k, "Equal", "i64[]{N}", "i64[]{N}"), "bool[]{1}");
    assert_string_equal(INFER(k, "Less", "i64[]{3}", "i64[]{4}"), "bool[]{1}");
    assert_string_equal(INFER(k, "Where", "bool[2]{0,1}", "i64[]{1}", "i64[2]{N,-1}"), "i64[2]{N,1}");
    assert_string_equal(INFER(k, "Min", "i64[]{3}", "i64[]{5}", "i64[]{2}"), "i64[]{2}");
    assert_string_equal(INFER(k, "Max", "i64[]{N}", "i64[]{0}"), "i64[]{N}");
    assert_string_equal(INFER(k, "Not", "bool[2]{0,1}"), "bool[2]{1,0}");
    assert_string_equal(INFER(k, "Neg", "i64[]{5}"), "i64[]{-5}");
    assert_string_equal(INFER(k, "Identity", "i64[2]{N,3}"), "i64[2]{N,3}");
    assert_string_equal(INFER(k, "Add", "i8[]{100}", "i8[]{100}"), "i8[]"); /* would wrap */
    assert_string_equal(INFER(k, "Add", "i64[N]", "i64[]{1}"), "i64[N]");
    assert_string_equal(INFER(k, "Add", "f32[1]", "f32[1]"), "f32[1]");
    lathe_attr to = { .name = "to", .kind = LATHE_ATTR_INT, .i = LATHE_DTYPE_I32 };
    assert_string_equal(infer(k, "Cast", &to, 1, (const char *const[]){ "i64[2]{N,3}", NULL }), "i32[2]{N,3}");
    to.i = LATHE_DTYPE_BOOL;
    assert_string_equal(infer(k, "Cast", &to, 1, (const char *const[]){ "i64[2]{0,3}", NULL }), "bool[2]{0,1}");
    to.i = LATHE_DTYPE_U8;
    assert_string_equal(infer(k, "Cast", &to, 1, (const char *const[]){ "i64[1]{300}", NULL }), "u8[1]");
    to.i = 99;
    assert_string_equal(infer(k, "Cast", &to, 1, (const char *const[]){ "i64[1]{300}", NULL }), "error 4");
}

static void shapes_from_contents(void **state)
{
    call *k = *state;
    assert_string_equal(INFER(k, "ConstantOfShape", "i64[3]{N,3,M*2}"), "f32[N,3,M*2]");
    assert_string_equal(INFER(k, "ConstantOfShape", "i64[2]"), "f32[?0,?1]");
    assert_string_equal(INFER(k, "ConstantOfShape", "i64[1]{-1}"), "error 4");
    assert_string_equal(INFER(k, "Range", "i64[]{0}", "i64[]{N}", "i64[]{1}"), "i64[N]");
    assert_string_equal(INFER(k, "Range", "i64[]{0}", "i64[]{N}", "i64[]{2}"), "i64[ceildiv(N,2)]");
    assert_string_equal(INFER(k, "Range", "i64[]{2}", "i64[]{5}", "i64[]{1}"), "i64[3]{2,3,4}");
    assert_string_equal(INFER(k, "Range", "i64[]{5}", "i64[]{0}", "i64[]{-2}"), "i64[3]{5,3,1}");
    assert_string_equal(INFER(k, "Range", "i64[]{N}", "i64[]{N+2}", "i64[]{1}"), "i64[2]{N,N+1}");
    assert_string_equal(INFER(k, "Range", "i64[]{0}", "i64[]{5}", "i64[]{0}"), "error 4");
    assert_string_equal(INFER(k, "Range", "i64[2]", "i64[]", "i64[]"), "error 4");
}

static void prints_types(void **state)
{
    call *k = *state;
    lt_type f = tensor(LATHE_DTYPE_F32), open = { .cls = LT_TENSOR, .dtype = LATHE_DTYPE_I64, .rank = -1 };
    lt_type seq = { .cls = LT_SEQUENCE, .rank = -1, .elem = &open },
            opt = { .cls = LT_OPTIONAL, .rank = -1, .elem = &seq };
    lt_type map = { .cls = LT_MAP, .dtype = LATHE_DTYPE_STRING, .rank = -1, .elem = &f },
            bare = { .cls = LT_SEQUENCE, .rank = -1 };
    const lt_type *types[] = { &f, &open, &opt, &map, &bare };
    static const char *const texts[] = { "f32[]", "i64", "opt(seq(i64))", "map(string,f32[])", "seq(?)" };
    for (size_t i = 0; i < LT_COUNT(types); i++) {
        lt_buf_clear(&k->text);
        lt_type_print(k->dims, types[i], &k->text);
        assert_string_equal(lt_buf_str(&k->text), texts[i]);
        for (size_t j = 0; j < LT_COUNT(types); j++) {
            assert_int_equal(lt_type_same(types[i], types[j]), i == j);
        }
    }
}

/* ---- The scalar meaning of instructions ---- */

static void names_of_instructions(void **state)
{
    (void)state;
    for (int op = 1; op < LATHE_PW_COUNT; op++) {
        assert_non_null(lathe_pw_name((lathe_pw_op)op));
        assert_int_equal(lathe_pw_from_name(lathe_pw_name((lathe_pw_op)op)), op);
    }
    assert_int_equal(lathe_pw_from_name("None"), LATHE_PW_NONE);
    assert_int_equal(lathe_pw_from_name(NULL), LATHE_PW_NONE);
    assert_string_equal(lathe_pw_name(LATHE_PW_COUNT), "None");
}

static double f32(lathe_pw_op op, double x, double y)
{
    return lt_pw_f64(op, LATHE_DTYPE_F32, x, y, 0.0, NULL);
}

static void meaning_for_floats(void **state)
{
    (void)state;
    assert_true(isnan(f32(LATHE_PW_MIN, NAN, 1.0)) && isnan(f32(LATHE_PW_MAX, 1.0, NAN)));
    assert_true(signbit(f32(LATHE_PW_MAX, -0.0, 0.0)) && !signbit(f32(LATHE_PW_MIN, 0.0, -0.0)));
    assert_true(isnan(f32(LATHE_PW_RELU, NAN, 0.0)) &&
                isnan(lt_pw_f64(LATHE_PW_CLIP, LATHE_DTYPE_F32, NAN, 0.0, 1.0, NULL)));
    assert_true(lt_pw_f64(LATHE_PW_CLIP, LATHE_DTYPE_F32, 5.0, 3.0, 2.0, NULL) == 2.0);
    assert_true(f32(LATHE_PW_ROUND, 2.5, 0.0) == 2.0 && f32(LATHE_PW_ROUND, -1.5, 0.0) == -2.0);
    assert_true(f32(LATHE_PW_MOD, -7.0, 3.0) == 2.0 && f32(LATHE_PW_FMOD, -7.0, 3.0) == -1.0);
    assert_true(f32(LATHE_PW_SIGMOID, -1000.0, 0.0) == 0.0 && f32(LATHE_PW_SIGMOID, 1000.0, 0.0) == 1.0);
    assert_true(f32(LATHE_PW_SOFTPLUS, 1000.0, 0.0) == 1000.0 && isinf(f32(LATHE_PW_SOFTPLUS, INFINITY, 0.0)));
    assert_true(isnan(f32(LATHE_PW_SIGN, NAN, 0.0)));
    assert_true(f32(LATHE_PW_ADD, 1.0, 1e-9) == 1.0); /* rounded to f32 */
    assert_true(lt_pw_f64(LATHE_PW_ADD, LATHE_DTYPE_F16, 2048.0, 1.0, 0.0, NULL) ==
                2048.0); /* and to f16, ties to even */
    assert_true(lt_pw_f64(LATHE_PW_QUANT, LATHE_DTYPE_U8, 1000.0, 2.0, 3.0, NULL) == 255.0);
    assert_true(lt_pw_f64(LATHE_PW_QUANT, LATHE_DTYPE_I8, 5.0, 2.0, 3.0, NULL) == 5.0); /* 2.5 goes to 2 */
    assert_true(lt_pw_f64(LATHE_PW_DEQUANT, LATHE_DTYPE_F32, 7.0, 0.5, 3.0, NULL) == 2.0);
    assert_true(lt_pw_f64(LATHE_PW_CAST, LATHE_DTYPE_I32, -2.7, 0.0, 0.0, NULL) == -2.0);
    assert_true(lt_pw_f64(LATHE_PW_LESS, LATHE_DTYPE_F32, NAN, 0.0, 0.0, NULL) == 0.0);
}

static int64_t integer(lathe_pw_op op, lathe_dtype dtype, int64_t x, int64_t y)
{
    return lt_pw_i64(op, dtype, x, y, 0, NULL);
}

static void meaning_for_integers(void **state)
{
    (void)state;
    assert_int_equal(integer(LATHE_PW_DIV, LATHE_DTYPE_I64, -7, 2), -3);
    assert_int_equal(integer(LATHE_PW_DIV, LATHE_DTYPE_I64, 7, 0), 0);
    assert_true(integer(LATHE_PW_DIV, LATHE_DTYPE_I64, INT64_MIN, -1) == INT64_MIN);
    assert_int_equal(integer(LATHE_PW_MOD, LATHE_DTYPE_I32, -7, 3), 2);
    assert_int_equal(integer(LATHE_PW_FMOD, LATHE_DTYPE_I32, -7, 3), -1);
    assert_int_equal(integer(LATHE_PW_MOD, LATHE_DTYPE_I64, INT64_MIN, -1), 0);
    assert_int_equal(integer(LATHE_PW_ADD, LATHE_DTYPE_I8, 127, 1), -128);
    assert_int_equal(integer(LATHE_PW_MUL, LATHE_DTYPE_U8, 200, 2), 144);
    assert_true(integer(LATHE_PW_MUL, LATHE_DTYPE_I64, INT64_MAX, 2) == -2);
    assert_int_equal(integer(LATHE_PW_LESS, LATHE_DTYPE_U64, -1, 5), 0); /* -1 is the largest u64 */
    assert_int_equal(integer(LATHE_PW_LESS, LATHE_DTYPE_I64, -1, 5), 1);
    assert_int_equal(integer(LATHE_PW_MAX, LATHE_DTYPE_U64, -1, 5), -1);
    assert_int_equal(integer(LATHE_PW_POW, LATHE_DTYPE_I32, -3, 3), -27);
    assert_int_equal(integer(LATHE_PW_POW, LATHE_DTYPE_I32, 2, -1), 0);
    assert_int_equal(integer(LATHE_PW_POW, LATHE_DTYPE_I32, -1, -3), -1);
    assert_int_equal(integer(LATHE_PW_ABS, LATHE_DTYPE_I8, -128, 0), -128);
    assert_int_equal(integer(LATHE_PW_NOT, LATHE_DTYPE_BOOL, 1, 0), 0);
    assert_int_equal(integer(LATHE_PW_CAST, LATHE_DTYPE_I4, 9, 0), -7);
    assert_int_equal(integer(LATHE_PW_CAST, LATHE_DTYPE_BOOL, 256, 0), 1);
}

/* ---- Evaluation ---- */

static lathe_status make_output(lt_eval *c, int i, lathe_dtype dtype, int rank, const int64_t *dims)
{
    return lt_tensor_alloc(c->user, &c->out[i]->tensor, dtype, rank, dims, "output", c->diag);
}

static lt_any view(lathe_dtype dtype, int rank, const int64_t *dims, void *data, size_t bytes)
{
    lt_any any = { .cls = LT_TENSOR,
                   .tensor = {
                       .struct_size = sizeof(lt_tensor), .dtype = dtype, .rank = rank, .data = data, .bytes = bytes } };
    for (int i = 0; i < rank; i++) {
        any.tensor.dims[i] = dims[i];
    }
    return any;
}

static void evaluates(void **state)
{
    call *k = *state;
    float a[] = { 1.0f, 2.0f, 3.0f, 4.0f, 5.0f, 6.0f }, b[] = { 10.0f, 20.0f, 30.0f };
    lt_any x = view(LATHE_DTYPE_F32, 2, (int64_t[]){ 2, 3 }, a, sizeof a),
           y = view(LATHE_DTYPE_F32, 1, (int64_t[]){ 3 }, b, sizeof b), z = { 0 };
    const lt_any *in[] = { &x, &y };
    lt_any *out[] = { &z };
    lt_arena scratch;
    lt_arena_init(&scratch, NULL);
    lt_eval c = { .op = lt_op_find("", "Add"),
                  .where = "t",
                  .n_in = 2,
                  .in = in,
                  .n_out = 1,
                  .out = out,
                  .scratch = &scratch,
                  .make = make_output,
                  .user = &k->arena };
    assert_int_equal(lt_op_eval(&c), LATHE_OK);
    assert_int_equal(z.tensor.rank, 2);
    for (int i = 0; i < 6; i++) {
        assert_true(((const float *)z.tensor.data)[i] == a[i] + b[i % 3]);
    }
    c.out = (lt_any *[]){ NULL }; /* nobody wants it */
    assert_int_equal(lt_op_eval(&c), LATHE_OK);
    c.out = out;
    y.tensor.dims[0] = 2;
    assert_int_equal(lt_op_eval(&c), LATHE_BAD_MODEL);
    c.op = lt_op_find("", "And");
    assert_int_equal(lt_op_eval(&c), LATHE_UNSUPPORTED);
    lt_arena_destroy(&scratch);
}

/* A long run with a repeated axis in the middle crosses the pieces that the loop is cut into. */
static void broadcasts_long_runs(void **state)
{
    call *k = *state;
    int64_t dims_x[] = { 3, 1, 700 }, dims_y[] = { 2, 1 };
    int32_t *a = lt_arena_zero(&k->arena, 2100, sizeof *a, 4), b[] = { 100000, 200000 };
    assert_non_null(a);
    for (int i = 0; i < 2100; i++) {
        a[i] = i;
    }
    lt_any x = view(LATHE_DTYPE_I32, 3, dims_x, a, 8400), y = view(LATHE_DTYPE_I32, 2, dims_y, b, sizeof b), z = { 0 };
    lt_arena scratch;
    lt_arena_init(&scratch, NULL);
    lt_eval c = { .op = lt_op_find("", "Add"),
                  .where = "t",
                  .n_in = 2,
                  .in = (const lt_any *[]){ &x, &y },
                  .n_out = 1,
                  .out = (lt_any *[]){ &z },
                  .scratch = &scratch,
                  .make = make_output,
                  .user = &k->arena };
    assert_int_equal(lt_op_eval(&c), LATHE_OK);
    assert_int_equal(lt_tensor_count(&z.tensor), 4200);
    for (int i = 0; i < 4200; i++) {
        assert_int_equal(((const int32_t *)z.tensor.data)[i], a[i / 1400 * 700 + i % 700] + b[i / 700 % 2]);
    }
    lt_arena_destroy(&scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_operators),
        cmocka_unit_test(descriptors_are_whole),
        cmocka_unit_test(reads_arity),
        cmocka_unit_test(checks_types),
        cmocka_unit_test(constraint_words),
        cmocka_unit_test(checks_attributes),
        cmocka_unit_test(reads_windows),
        cmocka_unit_test_setup_teardown(broadcasts_symbols, open_call, close_call),
        cmocka_unit_test_setup_teardown(follows_contents, open_call, close_call),
        cmocka_unit_test_setup_teardown(shapes_from_contents, open_call, close_call),
        cmocka_unit_test_setup_teardown(prints_types, open_call, close_call),
        cmocka_unit_test(names_of_instructions),
        cmocka_unit_test(meaning_for_floats),
        cmocka_unit_test(meaning_for_integers),
        cmocka_unit_test_setup_teardown(evaluates, open_call, close_call),
        cmocka_unit_test_setup_teardown(broadcasts_long_runs, open_call, close_call),
    };
    return cmocka_run_group_tests_name("ops_core", tests, NULL, NULL);
}
