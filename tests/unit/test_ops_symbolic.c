/*
 * test_ops_symbolic.c - inference of the operators that move elements and make shapes, with symbolic extents and
 * contents: the chains by which exporters compute shapes must come out as exact expressions.
 *
 * A row reads like "f32[N,3]; i64[2] = 0,-1 -> f32[N,3]"; "= ..." are contents, "-" is an absent input, attributes
 * stand before the colon.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "ops/ops.h"

enum { MOST = 8 };

typedef struct table {
    lt_dims *dims;
    lt_arena arena;
    lathe_diag *diag;
} table;

static int setup(void **state)
{
    table *t = calloc(1, sizeof *t);
    assert_non_null(t);
    t->dims = lt_dims_create(NULL);
    t->diag = lathe_diag_create(NULL);
    lt_arena_init(&t->arena, NULL);
    *state = t;
    return t->dims != NULL && t->diag != NULL ? 0 : -1;
}

static int teardown(void **state)
{
    table *t = *state;
    lt_arena_destroy(&t->arena);
    lt_dims_destroy(t->dims);
    lathe_diag_destroy(t->diag);
    free(t);
    return 0;
}

/* ---- Reading rows ---- */

static const char *blank(const char *at)
{
    while (*at == ' ') {
        at++;
    }
    return at;
}

/* Dims separated by commas up to a character that continues none. */
static int read_dims(table *t, const char **at, lt_dim *out)
{
    int count = 0;
    const char *end = *at + strlen(*at);
    for (;;) {
        *at = blank(*at);
        if (**at == ']' || **at == ';' || **at == '\0') {
            return count;
        }
        assert_int_equal(lt_dim_parse(t->dims, at, end, &out[count++], t->diag), LATHE_OK);
        *at = blank(*at);
        *at += **at == ',';
    }
}

/* One input; false for "-". */
static bool read_input(table *t, const char **at, lt_type *type, lt_contents *contents)
{
    char name[16] = "";
    size_t length = 0;
    lt_dim v[LT_CONTENTS_MAX];
    *at = blank(*at);
    if (**at == '-') {
        *at += 1;
        return false;
    }
    while ((*at)[length] != '[') {
        name[length] = (*at)[length];
        length++;
    }
    *at += length + 1;
    *type = (lt_type){ .cls = LT_TENSOR, .dtype = lathe_dtype_from_name(name), .rank = -1 };
    if (**at == '*') {
        *at += 2; /* unknown rank */
    } else {
        type->rank = read_dims(t, at, type->dims);
        *at += 1;
    }
    *at = blank(*at);
    *contents = (lt_contents){ 0 };
    if (**at == '=') {
        *at += 1;
        contents->count = read_dims(t, at, v);
        contents->v = lt_arena_copy(&t->arena, v, sizeof v, _Alignof(lt_dim));
    }
    return true;
}

/* "axis=1 perm=2.0.1 mode='edge'": integers, lists with points, texts in quotes. */
static size_t read_attrs(table *t, const char *at, lathe_attr *attrs)
{
    size_t count = 0;
    for (at = blank(at); *at != '\0'; at = blank(at)) {
        lathe_attr *a = &attrs[count++];
        size_t length = strcspn(at, "=");
        *a = (lathe_attr){ .name = lt_arena_strn(&t->arena, at, length) };
        at += length + 1;
        length = strcspn(at, " ");
        if (*at == '\'') {
            a->kind = LATHE_ATTR_STRING;
            a->s = (lathe_bytes){ at + 1, length - 2 };
        } else if (memchr(at, '.', length) != NULL) {
            int64_t *ints = lt_arena_zero(&t->arena, 8, sizeof *ints, 8);
            a->kind = LATHE_ATTR_INTS;
            a->ints = ints;
            for (const char *p = at; p < at + length; p += strcspn(p, ". ") + 1) {
                ints[a->count++] = strtoll(p, NULL, 10);
            }
        } else {
            a->kind = LATHE_ATTR_INT;
            a->i = strtoll(at, NULL, 10);
        }
        at += length;
    }
    return count;
}

static void print_output(const table *t, const lt_type *type, const lt_contents *contents, lt_buf *out)
{
    lt_type_print(t->dims, type, out);
    for (int64_t k = 0; contents->v != NULL && k < contents->count; k++) {
        lt_buf_puts(out, k == 0 ? " = " : ",");
        lt_dim_print(t->dims, contents->v[k], out);
    }
    if (contents->v != NULL && contents->count == 0) {
        lt_buf_puts(out, " =");
    }
}

/* ---- Running rows ---- */

/* Expected outputs as printed: terms may be written in any order. */
static void print_expected(table *t, const char *at, lt_buf *out)
{
    for (int i = 0; *at != '\0'; at += *at == ';', i++) {
        lt_type type;
        lt_contents contents;
        lt_buf_puts(out, i > 0 ? "; " : "");
        if (read_input(t, &at, &type, &contents)) {
            print_output(t, &type, &contents, out);
        }
        at = blank(at);
    }
}

typedef struct row {
    const char *op, *attrs, *in, *out; /* out NULL: refused */
} row;

/* value: elements of the input number value_of that contents cannot hold; NULL where there are none. */
static void check(table *t, const row *r, const lt_tensor *value, int value_of)
{
    lt_type types[MOST], out[MOST];
    const lt_type *in[MOST] = { NULL };
    lt_contents contents[MOST], out_contents[MOST] = { 0 };
    const lt_contents *in_contents[MOST] = { NULL };
    const lt_tensor *values[MOST] = { NULL };
    lathe_attr attrs[MOST];
    lt_infer c = {
        .op = lt_op_find("", r->op),
        .where = r->op,
        .dims = t->dims,
        .arena = &t->arena,
        .in = in,
        .contents = in_contents,
        .values = values,
        .out = out,
        .out_contents = out_contents,
        .attrs = attrs,
        .diag = t->diag,
        .n_out = 1,
    };
    assert_non_null(c.op);
    c.n_attrs = read_attrs(t, r->attrs, attrs);
    for (const char *at = r->in; *at != '\0'; at += *at == ';') {
        int i = c.n_in++;
        if (read_input(t, &at, &types[i], &contents[i])) {
            in[i] = &types[i];
            in_contents[i] = &contents[i];
        }
        at = blank(at);
    }
    if (value != NULL) {
        values[value_of] = value;
    }
    for (const char *at = r->out != NULL ? r->out : ""; *at != '\0'; at++) {
        c.n_out += *at == ';';
    }
    lathe_diag_clear(t->diag);
    lathe_status status = lt_op_infer(&c);
    lt_buf text, expected;
    lt_buf_init(&text, NULL);
    lt_buf_init(&expected, NULL);
    print_expected(t, r->out != NULL ? r->out : "", &expected);
    for (int i = 0; i < c.n_out && status == LATHE_OK; i++) {
        lt_buf_puts(&text, i > 0 ? "; " : "");
        print_output(t, &out[i], &out_contents[i], &text);
    }
    if (r->out == NULL ? status == LATHE_OK
                       : status != LATHE_OK || !lt_streq(lt_buf_str(&text), lt_buf_str(&expected))) {
        lathe_diag_print(t->diag, stderr);
        fail_msg("%s <%s> (%s)\n  gives %s\n  not   %s", r->op, r->attrs, r->in, lt_buf_str(&text),
                 r->out != NULL ? lt_buf_str(&expected) : "an error");
    }
    lt_buf_free(&text);
    lt_buf_free(&expected);
}

static void check_all(void **state, const row *rows, size_t count)
{
    for (size_t k = 0; k < count; k++) {
        check(*state, &rows[k], NULL, 0);
    }
}

static void shape_gives_contents(void **state)
{
    static const row rows[] = {
        { "Shape", "", "f32[N,3,H]", "i64[3] = N,3,H" },
        { "Shape", "start=1 end=-1", "f32[N,3,H]", "i64[1] = 3" },
        { "Shape", "start=2 end=1", "f32[N,3,H]", "i64[0] =" },
        { "Size", "", "f32[N,3,H]", "i64[] = 3*H*N" },
    };
    check_all(state, rows, LT_COUNT(rows));
}

static void contents_pass_through_chains(void **state)
{
    static const row rows[] = {
        { "Gather", "", "i64[3] = N,3,H; i64[] = -1", "i64[] = H" },
        { "Gather", "axis=0", "i64[3] = N,3,H; i64[2] = 2,0", "i64[2] = H,N" },
        { "Gather", "", "i64[3] = N,3,H; i64[1] = 3", NULL },
        { "Gather", "", "i64[3] = N,3,H; i64[2,1]", "i64[2,1]" },
        { "GatherElements", "", "i64[3] = N,3,H; i64[2] = 2,2", "i64[2] = H,H" },
        { "GatherND", "", "i64[3] = N,3,H; i64[1] = -3", "i64[] = N" },
        { "Unsqueeze", "", "i64[] = N; i64[1] = 0", "i64[1] = N" },
        { "Squeeze", "", "i64[1] = N; i64[1] = 0", "i64[] = N" },
        { "Squeeze", "", "i64[1] = N", "i64[] = N" },
        { "Reshape", "", "i64[] = N; i64[1] = -1", "i64[1] = N" },
        { "Concat", "axis=0", "i64[1] = N; i64[0] =; i64[2] = -1,H", "i64[3] = N,-1,H" },
        { "Concat", "axis=0", "i64[1] = N; i64[2]", "i64[3]" },
        { "Slice", "", "i64[4] = N,C,H,W; i64[1] = 2; i64[1] = 9223372036854775807; i64[1] = 0", "i64[2] = H,W" },
        { "Slice", "", "i64[4] = N,C,H,W; i64[1] = -1; i64[1] = -9; i64[1] = 0; i64[1] = -2", "i64[2] = W,C" },
        { "Split", "axis=0 num_outputs=2", "i64[3] = N,3,H", "i64[2] = N,3; i64[1] = H" },
        { "Split", "axis=0", "i64[3] = N,3,H; i64[2] = 1,2", "i64[1] = N; i64[2] = 3,H" },
        { "Expand", "", "i64[1] = N; i64[1] = 3", "i64[3] = N,N,N" },
        { "Tile", "", "i64[2] = N,1; i64[1] = 2", "i64[4] = N,1,N,1" },
        { "Transpose", "", "i64[2] = N,H", "i64[2] = N,H" },
        { "Pad", "", "i64[2] = N,H; i64[2] = 1,1; i64[] = 7", "i64[4] = 7,N,H,7" },
    };
    check_all(state, rows, LT_COUNT(rows));
}

static const lt_tensor index_one = { .struct_size = sizeof(lt_tensor),
                                     .dtype = LATHE_DTYPE_I64,
                                     .rank = 2,
                                     .dims = { 1, 1 },
                                     .data = (int64_t[]){ 1 },
                                     .bytes = 8 };

static void scatter_replaces_contents(void **state)
{
    static const row rows[] = {
        { "ScatterND", "", "i64[3] = N,3,H; i64[1,1]; i64[1] = W", "i64[3]" },
    };
    check_all(state, rows, LT_COUNT(rows));
    static const row special_0 = { "ScatterND", "", "i64[3] = N,3,H; i64[1,1]; i64[1] = W", "i64[3] = N,W,H" };
    check(*state, &special_0, &index_one, 1);
    static const row special_1 = { "ScatterND", "reduction='add'", "i64[3] = N,3,H; i64[1,1]; i64[1] = 1",
                                   "i64[3] = N,4,H" };
    check(*state, &special_1, &index_one, 1);
}

static void reshape_is_solved(void **state)
{
    static const row rows[] = {
        { "Reshape", "", "f32[N,C,4]; i64[2] = 0,-1", "f32[N,4*C]" },
        { "Reshape", "", "f32[N,C,H,W]; i64[3] = N,C,-1", "f32[N,C,H*W]" },
        { "Reshape", "", "f32[N,S,768]; i64[4] = N,-1,12,64", "f32[N,S,12,64]" },
        { "Reshape", "", "f32[N,S,768]; i64[2] = -1,768", "f32[N*S,768]" },
        { "Reshape", "", "f32[N*S,768]; i64[3] = -1,S,768", "f32[N,S,768]" },
        { "Reshape", "", "f32[N,12]; i64[2] = -1,8", "f32[floordiv(3*N,2),8]" },
        { "Reshape", "", "f32[N,4]; i64[2] = -1,H", "f32[floordiv(4*N,H),H]" },
        { "Reshape", "", "f32[2,3]; i64[2] = -1,4", NULL },
        { "Reshape", "", "f32[2,3]; i64[2] = -1,-1", NULL },
        { "Reshape", "", "f32[2,3]; i64[3] = 2,3,0", NULL },
        { "Reshape", "", "f32[2,3]; i64[2] = 2,2", NULL },
        { "Reshape", "", "f32[0,3]; i64[2] = 0,-1", "f32[0,3]" },
        { "Reshape", "allowzero=1", "f32[0,3]; i64[2] = 3,0", "f32[3,0]" },
        { "Reshape", "allowzero=1", "f32[0,3]; i64[2] = 0,-1", NULL },
        { "Reshape", "", "f32[N-1,C]; i64[2] = N-1,C", "f32[N-1,C]" },
        { "Reshape", "", "f32[N,C]; i64[2] = select(lt(N,4),-1,N),C", "f32[N,C]" },
        { "Flatten", "axis=2", "f32[N,C,H,W]", "f32[C*N,H*W]" },
        { "Flatten", "axis=0", "f32[N,C]", "f32[1,C*N]" },
        { "Squeeze", "", "f32[N,1,3]; i64[1] = -2", "f32[N,3]" },
        { "Squeeze", "", "f32[2,1,3]", "f32[2,3]" },
        { "Squeeze", "", "f32[2,2]; i64[1] = 1", NULL },
        { "Unsqueeze", "", "f32[N,3]; i64[2] = 0,-1", "f32[1,N,3,1]" },
        { "Unsqueeze", "", "f32[N,3]; i64[2] = 0,-4", NULL },
    };
    check_all(state, rows, LT_COUNT(rows));
}

static void slices_are_exact(void **state)
{
    static const row rows[] = {
        { "Slice", "", "f32[N]; i64[1] = 0; i64[1] = 9223372036854775807", "f32[N]" },
        { "Slice", "", "f32[N]; i64[1] = 0; i64[1] = 2147483647", "f32[N]" },
        { "Slice", "", "f32[N]; i64[1] = -3; i64[1] = 9223372036854775807", "f32[min(3,N)]" },
        { "Slice", "", "f32[N]; i64[1] = 0; i64[1] = 4", "f32[min(4,N)]" },
        { "Slice", "", "f32[N]; i64[1] = 0; i64[1] = N", "f32[N]" },
        { "Slice", "", "f32[N]; i64[1] = 0; i64[1] = -1", "f32[max(0,N-1)]" },
        { "Slice", "", "f32[N]; i64[1] = 1; i64[1] = 2147483647", "f32[max(0,N-1)]" },
        { "Slice", "", "f32[N+2]; i64[1] = 1; i64[1] = 2147483647", "f32[N+1]" },
        { "Slice", "", "f32[N]; i64[1] = 0; i64[1] = 2147483647; i64[1] = 0; i64[1] = 2", "f32[ceildiv(N,2)]" },
        { "Slice", "", "f32[N]; i64[1] = -1; i64[1] = -9223372036854775807; i64[1] = 0; i64[1] = -1", "f32[N]" },
        { "Slice", "", "f32[2*N]; i64[1] = N; i64[1] = 9223372036854775807", "f32[N]" },
        { "Slice", "", "f32[2*N]; i64[1] = 0; i64[1] = N", "f32[N]" },
        { "Slice", "", "f32[N]; i64[1]; i64[1] = 4", "f32[?0]" },
        { "Slice", "", "f32[5]; i64[1] = 0; i64[1] = 4; i64[1] = 0; i64[1] = 0", NULL },
        { "Slice", "", "f32[5]; i64[1] = 3; i64[1] = 0; i64[1] = 0; i64[1] = -2", "f32[2]" },
    };
    check_all(state, rows, LT_COUNT(rows));
}

static void pieces_are_exact(void **state)
{
    static const row rows[] = {
        { "Split", "axis=1", "f32[N,7]; i64[3] = 1,2,4", "f32[N,1]; f32[N,2]; f32[N,4]" },
        { "Split", "axis=1", "f32[N,7]; i64[2] = 1,2", NULL },
        { "Split", "num_outputs=2", "f32[2*N,7]", "f32[N,7]; f32[N,7]" },
        { "Split", "num_outputs=2", "f32[N,7]", "f32[ceildiv(N,2),7]; f32[N-ceildiv(N,2),7]" },
        { "Split", "num_outputs=3", "f32[7]", "f32[3]; f32[3]; f32[1]" },
        { "Split", "num_outputs=3", "f32[6]", "f32[2]; f32[2]; f32[2]" },
        { "Concat", "axis=1", "f32[N,C]; f32[N,3]; f32[N,H]", "f32[N,C+H+3]" },
        { "Concat", "axis=1", "f32[N,C]; f32[4,3]", "f32[4,C+3]" },
        { "Concat", "axis=1", "f32[2,C]; f32[4,3]", NULL },
    };
    check_all(state, rows, LT_COUNT(rows));
}

/* Lengths of transforms, frames, losses, states; what does not fit is refused. */
static void signals_and_losses_are_exact(void **state)
{
    static const row rows[] = {
        { "HannWindow", "", "i64[] = N", "f32[N]" },
        { "HannWindow", "output_datatype=11", "i32[]", "f64[?0]" },
        { "HannWindow", "", "i64[] = -1", NULL },
        { "HannWindow", "", "i64[2] = 1,2", NULL },
        { "BlackmanWindow", "output_datatype=9", "i64[] = 3", NULL },
        { "MelWeightMatrix", "", "i64[] = 40; i64[] = N; i64[] = 16000; f32[]; f32[]", "f32[floordiv(N,2)+1,40]" },
        { "MelWeightMatrix", "", "i64[] = 40; i64[] = N; i64[] = 0; f32[]; f32[]", NULL },
        { "DFT", "", "f32[N,L,1]", "f32[N,L,2]" },
        { "DFT", "onesided=1", "f32[N,L,1]", "f32[N,floordiv(L,2)+1,2]" },
        { "DFT", "onesided=1 inverse=1", "f32[N,L,2]", "f32[N,2*L-2,1]" },
        { "DFT", "onesided=1 inverse=1", "f32[N,L,2]; i64[] = 7", "f32[N,7,1]" },
        { "DFT", "", "f32[N,L,H,2]; i64[] = M; i64[] = -4", "f32[M,L,H,2]" },
        { "DFT", "", "f32[N,L,2]; i64[]", "f32[N,?1,2]" },
        { "DFT", "", "f32[N,L,2]; -; i64[] = 2", NULL },
        { "DFT", "", "f32[N,L,2]; -; i64[] = 3", NULL },
        { "DFT", "", "f32[N,L,3]", NULL },
        { "DFT", "onesided=1", "f32[N,L,2]", NULL },
        { "DFT", "onesided=1 inverse=1", "f32[N,L,1]", NULL },
        { "DFT", "", "f32[N,L,1]; i64[] = 0", NULL },
        { "DFT", "", "f32[N]", NULL },
        { "STFT", "", "f32[N,100,1]; i64[] = 10; f32[20]", "f32[N,9,11,2]" },
        { "STFT", "onesided=0", "f32[N,100,2]; i64[] = 10; -; i64[] = 20", "f32[N,9,20,2]" },
        { "STFT", "", "f32[N,19,1]; i64[] = 10; f32[40]", "f32[N,0,21,2]" },
        { "STFT", "", "f32[N,100,2]; i64[] = 10; f32[20]", NULL },
        { "STFT", "", "f32[N,100,1]; i64[] = 10; f32[20]; i64[] = 21", NULL },
        { "STFT", "", "f32[N,100,1]; i64[] = 0; f32[20]", NULL },
        { "STFT", "", "f32[N,100]; i64[] = 1; f32[20]", NULL },
        { "NegativeLogLikelihoodLoss", "", "f32[N,C,H]; i64[N,H]", "f32[]" },
        { "NegativeLogLikelihoodLoss", "reduction='none'", "f32[N,C,H]; i64[N,H]; f32[C]", "f32[N,H]" },
        { "NegativeLogLikelihoodLoss", "reduction='all'", "f32[N,C]; i64[N]", NULL },
        { "NegativeLogLikelihoodLoss", "", "f32[N,C,H]; i64[N]", NULL },
        { "NegativeLogLikelihoodLoss", "", "f32[N,3]; i64[N]; f32[4]", NULL },
        { "NegativeLogLikelihoodLoss", "", "f32[2,3]; i64[3]", NULL },
        { "SoftmaxCrossEntropyLoss", "", "f32[N,C]; i64[N]", "f32[]; f32[N,C]" },
        { "RandomNormal", "shape=2.3", "", "f32[2,3]" },
        { "RandomNormal", "shape=2.-3", "", NULL },
        { "RandomUniform", "shape=2.3 dtype=7", "", NULL },
        { "RandomUniformLike", "", "f16[N,3]", "f16[N,3]" },
        { "RandomUniformLike", "", "i64[N,3]", NULL },
        { "Bernoulli", "dtype=9", "f32[N,3]", "bool[N,3]" },
        { "Bernoulli", "dtype=8", "f32[N,3]", NULL },
        { "Multinomial", "sample_size=5", "f32[N,3]", "i32[N,5]" },
        { "Multinomial", "dtype=1", "f32[N,3]", NULL },
        { "Multinomial", "", "f32[N]", NULL },
        { "CausalConvWithState", "", "f32[N,C,L]; f32[C,1,K]", "f32[N,C,L]; f32[N,C,K-1]" },
        { "CausalConvWithState", "activation='relu'", "f32[N,C,L]; f32[C,1,K]", NULL },
        { "CausalConvWithState", "", "f32[N,4,L]; f32[4,2,3]", NULL },
        { "CausalConvWithState", "", "f32[N,4,L]; f32[4,1,3]; -; f32[N,4,3]", NULL },
        { "LinearAttention", "q_num_heads=4 kv_num_heads=2 update_rule='linear'",
          "f32[N,L,4*K]; f32[N,L,2*K]; f32[N,L,10]", "f32[N,L,20]; f32[N,2,K,5]" },
        { "LinearAttention", "q_num_heads=3 kv_num_heads=2 update_rule='linear'", "f32[N,L,6]; f32[N,L,4]; f32[N,L,4]",
          NULL },
        { "LinearAttention", "q_num_heads=2 kv_num_heads=2 update_rule='linear'", "f32[N,L,6]; f32[N,L,4]; f32[N,L,4]",
          NULL },
        { "LinearAttention", "q_num_heads=2 kv_num_heads=2 update_rule='gated'", "f32[N,L,4]; f32[N,L,4]; f32[N,L,4]",
          NULL },
        { "LinearAttention", "q_num_heads=2 kv_num_heads=2 update_rule='linear'",
          "f32[N,L,4]; f32[N,L,4]; f32[N,L,4]; -; f32[N,L,2]", NULL },
        { "LinearAttention", "q_num_heads=2 kv_num_heads=2",
          "f32[N,L,4]; f32[N,L,4]; f32[N,L,4]; -; f32[N,L,3]; f32[N,L,1]", NULL },
        { "DeformConv", "", "f32[N,4,H,W]; f32[6,4,3,3]; f32[N,18,H-2,W-2]", "f32[N,6,H-2,W-2]" },
        { "DeformConv", "offset_group=2", "f32[N,4,8,8]; f32[6,4,3,3]; f32[N,18,6,6]", NULL },
        { "DeformConv", "offset_group=3", "f32[N,4,8,8]; f32[6,4,3,3]; f32[N,54,6,6]", NULL },
        { "DeformConv", "", "f32[N,4,8,8]; f32[6,4,3,3]; f32[N,18,8,8]", NULL },
        { "DeformConv", "", "f32[N,4,8,8]; f32[6,4,3,3]; f32[N,18,6,6]; -; f32[N,18,6,6]", NULL },
    };
    check_all(state, rows, LT_COUNT(rows));
}

static const float scale_values[] = { 1.0f, 1.0f, 2.0f, 0.5f };
static const lt_tensor scales = { .struct_size = sizeof(lt_tensor),
                                  .dtype = LATHE_DTYPE_F32,
                                  .rank = 1,
                                  .dims = { 4 },
                                  .data = (void *)scale_values,
                                  .bytes = sizeof scale_values };

static void extents_come_from_contents(void **state)
{
    static const row rows[] = {
        { "Expand", "", "f32[1,C]; i64[3] = N,1,1", "f32[N,1,C]" },
        { "Expand", "", "f32[N,1]; i64[2] = N,H", "f32[N,H]" },
        { "Expand", "", "f32[N,3]; i64[2]", "f32[?0,?1]" },
        { "Tile", "", "f32[N,3]; i64[2] = 1,H", "f32[N,3*H]" },
        { "TopK", "axis=1", "f32[N,H]; i64[1] = K", "f32[N,K]; i64[N,K]" },
        { "TopK", "", "f32[4]; i64[1] = 5", NULL },
        { "Pad", "mode='reflect'", "f32[N,H]; i64[4] = 0,1,0,2", "f32[N,H+3]" },
        { "Pad", "", "f32[N,H]; i64[2] = 1,W; -; i64[1] = -1", "f32[N,H+W+1]" },
        { "Resize", "", "f32[N,3,H,W]; -; -; i64[4] = N,3,2*H,17", "f32[N,3,2*H,17]" },
        { "Resize", "axes=2.3", "f32[N,3,H,W]; -; -; i64[2] = H,17", "f32[N,3,H,17]" },
        { "OneHot", "axis=0", "i64[N]; i64[] = K; f32[2]", "f32[K,N]" },
        { "CenterCropPad", "", "f32[N,H]; i64[2] = 4,W", "f32[4,W]" },
        { "DepthToSpace", "blocksize=2", "f32[N,4*C,H,W]", "f32[N,C,2*H,2*W]" },
        { "SpaceToDepth", "blocksize=2", "f32[N,C,2*H,W]", "f32[N,4*C,H,floordiv(W,2)]" },
        { "Einsum", "equation='bij,bjk->bik'", "f32[B,N,K]; f32[B,K,M]", "f32[B,N,M]" },
        { "Einsum", "equation='...ij,jk'", "f32[B,N,K]; f32[K,M]", "f32[B,N,M]" },
    };
    check_all(state, rows, LT_COUNT(rows));
    static const row special_0 = { "Resize", "", "f32[N,3,H,7]; -; f32[4]", "f32[N,3,fscale(H,0x40000000),3]" };
    check(*state, &special_0, &scales, 2);
}

/* Bounds of unknown extents must hold the elements. */
static void unknown_extents_are_bounded(void **state)
{
    table *t = *state;
    lt_type x = { .cls = LT_TENSOR, .dtype = LATHE_DTYPE_F32, .rank = 2 }, out;
    const lt_type *in[1] = { &x };
    assert_int_equal(lt_dim_symbol(t->dims, "N", &x.dims[0], NULL), LATHE_OK);
    x.dims[1] = lt_dim_const(6);
    lt_infer c = { .op = lt_op_find("", "NonZero"),
                   .dims = t->dims,
                   .arena = &t->arena,
                   .n_in = 1,
                   .in = in,
                   .n_out = 1,
                   .out = &out };
    assert_int_equal(lt_op_infer(&c), LATHE_OK);
    assert_true(lt_dim_is(out.dims[0], 2));
    lt_dim_node node = lt_dim_get(t->dims, out.dims[1]);
    lt_dim most;
    assert_int_equal(lt_dim_mul(t->dims, x.dims[0], x.dims[1], &most, NULL), LATHE_OK);
    assert_int_equal(node.op, LT_DIM_FRESH);
    assert_true(lt_dim_is(node.lo, 0) && lt_dim_same(node.hi, most));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(shape_gives_contents, setup, teardown),
        cmocka_unit_test_setup_teardown(contents_pass_through_chains, setup, teardown),
        cmocka_unit_test_setup_teardown(scatter_replaces_contents, setup, teardown),
        cmocka_unit_test_setup_teardown(reshape_is_solved, setup, teardown),
        cmocka_unit_test_setup_teardown(slices_are_exact, setup, teardown),
        cmocka_unit_test_setup_teardown(pieces_are_exact, setup, teardown),
        cmocka_unit_test_setup_teardown(signals_and_losses_are_exact, setup, teardown),
        cmocka_unit_test_setup_teardown(extents_come_from_contents, setup, teardown),
        cmocka_unit_test_setup_teardown(unknown_extents_are_bounded, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
