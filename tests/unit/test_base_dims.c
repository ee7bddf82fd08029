/*
 * test_base_dims.c - symbolic dimensions: the normal form by examples, ranges and proofs, text, import, limits.
 */
#include "base/base.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/counting_allocator.h"

static lt_dim parse(lt_dims *dims, const char *text)
{
    const char *cursor = text, *end = text + strlen(text);
    lt_dim d = { 0 };
    lathe_diag *diag = lathe_diag_create(NULL);
    lathe_status status = lt_dim_parse(dims, &cursor, end, &d, diag);
    if (status != LATHE_OK) {
        lathe_diag_print(diag, stderr);
    }
    lathe_diag_destroy(diag);
    if (status != LATHE_OK || cursor != end) {
        fail_msg("'%s' stops at '%s' with %s", text, cursor, lathe_status_name(status));
    }
    return d;
}

static void expect(lt_dims *dims, const char *text, const char *expected)
{
    lt_buf buf;
    lt_buf_init(&buf, NULL);
    lt_dim d = parse(dims, text);
    lt_dim_print(dims, d, &buf);
    if (strcmp(lt_buf_str(&buf), expected) != 0) {
        fail_msg("'%s' becomes '%s', not '%s'", text, lt_buf_str(&buf), expected);
    }
    assert_true(lt_dim_same(parse(dims, lt_buf_str(&buf)), d));
    lt_buf_free(&buf);
}

static void test_constants_need_no_table(void **state)
{
    (void)state;
    lathe_diag *diag = lathe_diag_create(NULL);
    lt_dim d;
    static const struct {
        lt_dim_op op;
        int64_t a, b, out;
    } rows[] = {
        { LT_DIM_ADD, 2, 3, 5 },
        { LT_DIM_MUL, -2, 3, -6 },
        { LT_DIM_FLOORDIV, -7, 2, -4 },
        { LT_DIM_CEILDIV, -7, 2, -3 },
        { LT_DIM_MOD, -7, 3, 2 },
        { LT_DIM_MOD, 7, -3, -2 },
        { LT_DIM_MIN, 2, 3, 2 },
        { LT_DIM_MAX, 2, 3, 3 },
        { LT_DIM_LT, 2, 3, 1 },
        { LT_DIM_LE, 3, 3, 1 },
        { LT_DIM_EQ, 3, 4, 0 },
        { LT_DIM_BCAST, 1, 5, 5 },
        { LT_DIM_BCAST, 5, 1, 5 },
        { LT_DIM_BCAST, 0, 1, 0 },
        { LT_DIM_FSCALE, 5, 0x3fc00000, 7 },
        { LT_DIM_MOD, INT64_MIN, -1, 0 },
        { LT_DIM_FSCALE, 3, 0x40000000, 6 },
        { LT_DIM_FSCALE, -3, 0x3f000000, -2 },
    };
    for (size_t i = 0; i < LT_COUNT(rows); i++) {
        assert_int_equal(lt_dim_make(NULL, rows[i].op, lt_dim_const(rows[i].a), lt_dim_const(rows[i].b), &d, diag),
                         LATHE_OK);
        assert_true(lt_dim_is(d, rows[i].out));
    }
    assert_int_equal(lt_dim_sub(NULL, lt_dim_const(0), lt_dim_const(5), &d, diag), LATHE_OK);
    assert_true(lt_dim_is(d, -5));
    assert_int_equal(lt_dim_sub(NULL, lt_dim_const(-1), lt_dim_const(INT64_MIN), &d, diag), LATHE_OK);
    assert_true(lt_dim_is(d, INT64_MAX));
    assert_int_equal(lt_dim_select(NULL, lt_dim_const(0), lt_dim_const(5), lt_dim_const(6), &d, diag), LATHE_OK);
    assert_true(lt_dim_is(d, 6));
    assert_int_equal(lt_dim_fscale(NULL, lt_dim_const(10), 0.7f, &d, diag), LATHE_OK);
    assert_true(lt_dim_is(d, 7)); /* the product is rounded to f32 before the floor */
    assert_int_equal(lathe_diag_total(diag), 0);
    static const struct {
        lt_dim_op op;
        int64_t a, b;
        lathe_status status;
    } bad[] = {
        { LT_DIM_ADD, INT64_MAX, 1, LATHE_OVERFLOW },
        { LT_DIM_MUL, INT64_MIN, -1, LATHE_OVERFLOW },
        { LT_DIM_FLOORDIV, 1, 0, LATHE_BAD_SHAPE },
        { LT_DIM_MOD, 1, 0, LATHE_BAD_SHAPE },
        { LT_DIM_FLOORDIV, INT64_MIN, -1, LATHE_OVERFLOW },
        { LT_DIM_BCAST, 2, 3, LATHE_BAD_SHAPE },
        { LT_DIM_BCAST, 0, 2, LATHE_BAD_SHAPE },
        { LT_DIM_FSCALE, 5, 0x7fc00000, LATHE_OVERFLOW },
        { LT_DIM_FSCALE, 5, 0x7f800000, LATHE_OVERFLOW },
        { LT_DIM_FSCALE, 5, -1, LATHE_OVERFLOW },
        { LT_DIM_SYMBOL, 1, 1, LATHE_INVALID_ARGUMENT },
        { LT_DIM_SELECT, 1, 1, LATHE_INVALID_ARGUMENT },
    };
    for (size_t i = 0; i < LT_COUNT(bad); i++) {
        assert_int_equal(lt_dim_make(NULL, bad[i].op, lt_dim_const(bad[i].a), lt_dim_const(bad[i].b), &d, diag),
                         bad[i].status);
        assert_int_equal(lathe_diag_total(diag), i + 1);
    }
    assert_int_equal(lt_dim_make(NULL, LT_DIM_ADD, (lt_dim){ .e = 3 }, lt_dim_const(1), &d, NULL),
                     LATHE_INVALID_ARGUMENT);
    assert_int_equal(lt_dim_sub(NULL, lt_dim_const(INT64_MIN), lt_dim_const(1), &d, NULL), LATHE_OVERFLOW);
    lathe_diag_destroy(diag);
}

static void test_normal_form(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        /* sums and products */
        { "N + M", "M+N" },
        { "M + N", "M+N" },
        { "N - N", "0" },
        { "N*2 + N", "N*3" },
        { "2*N", "N*2" },
        { "N*1", "N" },
        { "N*0", "0" },
        { "1+N+2", "N+3" },
        { "(N+1)*(N-1)", "N*N-1" },
        { "(a+b)*(a+b)", "a*a+a*b*2+b*b" },
        { "-N", "-N" },
        { "-(N-M)", "M-N" },
        { "3-N", "-N+3" },
        { "N*M-M*N", "0" },
        { "b*a*c", "a*b*c" },
        { "N-2*-3", "N+6" },
        { "add(N,M,1)", "M+N+1" },
        { "mul(N,3,M)", "M*N*3" },
        { "0x10*N", "N*16" },
        /* floordiv */
        { "floordiv(N*4,4)", "N" },
        { "floordiv(4*N+8,4)", "N+2" },
        { "floordiv(N*4+7,4)", "N+1" },
        { "floordiv(6*N+5,4)", "N+floordiv(N,2)+1" },
        { "floordiv(4*N+6,8)", "floordiv(N+1,2)" },
        { "floordiv(floordiv(N,3),5)", "floordiv(N,15)" },
        { "floordiv(floordiv(N-1,2)+1,2)", "floordiv(N+1,4)" },
        { "floordiv(N-1,2)+1", "floordiv(N+1,2)" },
        { "floordiv(N,1)", "N" },
        { "floordiv(N,-2)", "floordiv(-N,2)" },
        { "floordiv(0,N)", "0" },
        { "floordiv(N,N)", "1" },
        { "floordiv(N*M,N)", "M" },
        { "floordiv(N*C*64,C*64)", "N" },
        { "floordiv(N*S*64,S*12)", "N*5+floordiv(N,3)" },
        { "floordiv((a+b)*(c+2)*h,(c+2)*h)", "a+b" },
        { "floordiv(N*M+K,N)", "M+floordiv(K,N)" },
        { "floordiv(mod(N,4),4)", "0" },
        { "floordiv(4*N+floordiv(M,3),4)", "N+floordiv(M,12)" },
        { "floordiv(N*N*N*N-1,N-1)", "N*N*N+N*N+N+1" },
        { "floordiv(N,9223372036854775807)", "floordiv(N,9223372036854775807)" },
        /* ceildiv */
        { "ceildiv(N,2)", "ceildiv(N,2)" },
        { "ceildiv(4*N,4)", "N" },
        { "ceildiv(N*4+5,4)", "N+2" },
        { "ceildiv(ceildiv(N,3),5)", "ceildiv(N,15)" },
        { "ceildiv(N-1,4)", "ceildiv(N+3,4)-1" },
        { "ceildiv(N*M,M)", "N" },
        { "ceildiv(6*N+1,4)", "N+ceildiv(N+1,2)" },
        /* mod */
        { "mod(4*N,4)", "0" },
        { "mod(N*4+7,4)", "3" },
        { "mod(6*N+5,4)", "mod(N,2)*2+1" },
        { "mod(mod(N,8),4)", "mod(N,4)" },
        { "mod(mod(N,4),8)", "mod(N,4)" },
        { "mod(N,1)", "0" },
        { "mod(N*M,M)", "0" },
        { "mod(N-1,4)", "mod(N+3,4)" },
        { "mod(N*S*3,S*2)", "S*mod(N,2)" },
        { "mod(N,-4)", "-mod(N*3,4)" },
        { "mod(N+mod(M,8),4)", "mod(M+N,4)" },
        { "mod(K+N*M,M)", "mod(K,M)" },
        /* min, max */
        { "min(N,N+1)", "N" },
        { "max(N,N+1)", "N+1" },
        { "min(N,M,N)", "min(M,N)" },
        { "min(min(N,K),M)", "min(K,M,N)" },
        { "max(N,0)", "N" },
        { "min(N,-1)", "-1" },
        { "min(N,5,3)", "min(N,3)" },
        { "max(N,max(5,M),7)", "max(M,N,7)" },
        { "max(min(N,M),N)", "N" },
        { "min(max(N,M),N)", "N" },
        { "min(a,b,c,d,e,f,g)", "min(a,b,c,d,e,f,g)" },
        /* comparisons and select */
        { "eq(N,N)", "1" },
        { "eq(N,N+1)", "0" },
        { "eq(N,M)", "eq(M,N)" },
        { "lt(N,N)", "0" },
        { "lt(N,N+1)", "1" },
        { "le(N,N)", "1" },
        { "le(0,N)", "1" },
        { "lt(N,0)", "0" },
        { "eq(N,-1)", "0" },
        { "eq(3,N)", "eq(N,3)" },
        { "select(eq(N,M),N,N)", "N" },
        { "select(1,N,M)", "N" },
        { "select(N+1,a,b)", "a" },
        { "select(lt(N,3),a,b)", "select(lt(N,3),a,b)" },
        { "select(mod(4*N,2),a,b)", "b" },
        { "le(min(N,M),N)", "1" },
        { "le(N,max(M,N))", "1" },
        /* fscale */
        { "fscale(N,0x3f800000)", "N" },
        { "fscale(N,0x40000000)", "N*2" },
        { "fscale(N,0x3f000000)", "floordiv(N,2)" },
        { "fscale(N,0x3fc00000)", "fscale(N,0x3fc00000)" },
        { "fscale(N*4,0x3e800000)", "N" },
        { "fscale(N,0)", "fscale(N,0x00000000)" },
        /* bcast */
        { "bcast(N,1)", "N" },
        { "bcast(1,N)", "N" },
        { "bcast(N,N)", "N" },
        { "bcast(N,M)", "bcast(M,N)" },
        { "bcast(N,3)", "3" },
        { "bcast(0,N)", "0" },
        { "bcast(bcast(N,M),N)", "bcast(M,N)" },
        { "bcast(N+2,M)", "N+2" },
        /* names */
        { "\"a b\" + 1", "\"a b\"+1" },
        { "\"batch-size\"-1", "\"batch-size\"-1" },
        { "batch-size", "batch-size" },
        { "\"x\"", "x" },
        { "/m/y.z:0$w", "/m/y.z:0$w" },
        { "\"q\\\"\\\\\\x41\\x01\"", "\"q\\\"\\\\A\\x01\"" },
        { "min", "min" },
        { "?3", "?3" },
        { "?0*2+N", "N+?0*2" },
        /* limits */
        { "-9223372036854775808", "-9223372036854775808" },
        { "N-9223372036854775808", "N-9223372036854775808" },
        { "N*-9223372036854775808", "N*-9223372036854775808" },
        { "M+N*-9223372036854775808", "M+N*-9223372036854775808" },
        { "N-9223372036854775807*M", "-M*9223372036854775807+N" },
    };
    lt_dims *dims = lt_dims_create(NULL);
    for (size_t i = 0; i < LT_COUNT(rows); i++) {
        expect(dims, rows[i][0], rows[i][1]);
    }
    lt_dims_destroy(dims);
}

/* The same text whichever symbol was met first: order is by name. */
static void test_order_is_structural(void **state)
{
    (void)state;
    static const char *const text = "min(floordiv(z+a,3),b*a+c,max(z,b))+bcast(c,b)*a";
    lt_dims *first = lt_dims_create(NULL), *second = lt_dims_create(NULL);
    (void)parse(second, "z*max(z,b)+floordiv(a+z,3)+bcast(b,c)+c*b");
    lt_buf x, y;
    lt_buf_init(&x, NULL);
    lt_buf_init(&y, NULL);
    lt_dim_print(first, parse(first, text), &x);
    lt_dim_print(second, parse(second, text), &y);
    assert_string_equal(lt_buf_str(&x), lt_buf_str(&y));
    lt_buf_free(&x);
    lt_buf_free(&y);
    lt_dims_destroy(first);
    lt_dims_destroy(second);
}

static void expect_bounds(const lt_dims *dims, lt_dim d, int64_t lo, int64_t hi)
{
    int64_t l, h;
    lt_dim_bounds(dims, d, &l, &h);
    assert_int_equal(l, lo);
    assert_int_equal(h, hi);
}

static void test_ranges(void **state)
{
    (void)state;
    lathe_diag *diag = lathe_diag_create(NULL);
    lt_dims *dims = lt_dims_create(NULL);
    lt_dim n = parse(dims, "N"), m = parse(dims, "M"), sum = parse(dims, "N*2+M+1"),
           half = parse(dims, "floordiv(N,2)"), product = parse(dims, "N*M");
    expect_bounds(dims, n, 0, INT64_MAX);
    expect_bounds(dims, sum, 1, INT64_MAX);
    assert_int_equal(lt_dim_range(dims, n, 3, 10, diag), LATHE_OK);
    assert_int_equal(lt_dim_range(dims, m, 1, 4, diag), LATHE_OK);
    expect_bounds(dims, sum, 8, 25);
    expect_bounds(dims, half, 1, 5);
    expect_bounds(dims, product, 3, 40);
    expect_bounds(dims, parse(dims, "N-M"), -1, 9);
    expect_bounds(dims, parse(dims, "min(N,M)"), 1, 4);
    expect_bounds(dims, parse(dims, "mod(N,4)"), 0, 3);
    expect_bounds(dims, parse(dims, "select(lt(N,M),7,N)"), 3, 10);
    expect_bounds(dims, parse(dims, "fscale(N,0x3fc00000)"), 4, 15);
    expect_bounds(dims, parse(dims, "floordiv(N*10,M+1)"), 6, 50);
    assert_true(lt_dim_proves_le(dims, parse(dims, "M-1"), n));
    assert_false(lt_dim_proves_le(dims, n, m));
    assert_true(lt_dim_is(parse(dims, "lt(N,11)"), 1));
    assert_true(lt_dim_is(parse(dims, "floordiv(N+90,100)"), 0) == false);
    assert_true(lt_dim_is(parse(dims, "floordiv(N+80,100)"), 0));
    assert_int_equal(lt_dim_range(dims, n, 11, 20, diag), LATHE_BAD_SHAPE);
    expect_bounds(dims, n, 3, 10);
    assert_int_equal(lt_dim_range(dims, sum, 1, 2, diag), LATHE_INVALID_ARGUMENT);
    assert_int_equal(lt_dim_range(dims, lt_dim_const(5), 1, 9, diag), LATHE_OK);
    assert_int_equal(lt_dim_range(dims, lt_dim_const(5), 6, 9, diag), LATHE_BAD_SHAPE);
    assert_int_equal(lt_dim_range(dims, n, 7, 7, diag), LATHE_OK);
    assert_true(lt_dim_proves_eq(dims, n, lt_dim_const(7)));
    assert_true(lt_dim_proves_eq(dims, parse(dims, "N*K"), parse(dims, "N*K")));
    assert_int_equal(lathe_diag_total(diag), 3);
    lt_dims_destroy(dims);
    lathe_diag_destroy(diag);
}

static void test_fresh(void **state)
{
    (void)state;
    lt_dims *dims = lt_dims_create(NULL);
    lt_dim n = parse(dims, "N"), all = parse(dims, "N*8"), found, other;
    assert_int_equal(lt_dim_fresh(dims, lt_dim_const(0), all, &found, NULL), LATHE_OK);
    assert_int_equal(lt_dim_fresh(dims, lt_dim_const(1), lt_dim_const(INT64_MAX), &other, NULL), LATHE_OK);
    assert_false(lt_dim_same(found, other));
    lt_dim_node node = lt_dim_get(dims, found);
    assert_int_equal(node.op, LT_DIM_FRESH);
    assert_true(lt_dim_same(node.hi, all));
    assert_true(lt_dim_proves_le(dims, found, all));
    assert_true(lt_dim_proves_le(dims, found, parse(dims, "N*8+1")));
    assert_false(lt_dim_proves_le(dims, found, n));
    assert_true(lt_dim_same(parse(dims, "min(?0,N*8)"), found));
    assert_int_equal(lt_dim_range(dims, n, 0, 5, NULL), LATHE_OK);
    expect_bounds(dims, found, 0, 40);
    expect_bounds(dims, other, 1, INT64_MAX);
    assert_true(lt_dim_same(parse(dims, "?1"), other));
    (void)parse(dims, "?7");
    assert_int_equal(lt_dim_fresh(dims, lt_dim_const(0), lt_dim_const(9), &other, NULL), LATHE_OK);
    assert_true(lt_dim_same(parse(dims, "?8"), other));
    lt_dims_destroy(dims);
}

static void test_get(void **state)
{
    (void)state;
    lt_dims *dims = lt_dims_create(NULL);
    lt_dim d = parse(dims, "N*M*3+floordiv(K,2)+5");
    lt_dim_node node = lt_dim_get(dims, d);
    assert_int_equal(node.op, LT_DIM_ADD);
    assert_int_equal(node.count, 3);
    assert_true(lt_dim_is(node.args[2], 5));
    lt_dim_node product = lt_dim_get(dims, node.args[0]);
    assert_int_equal(product.op, LT_DIM_MUL);
    assert_int_equal(product.count, 3);
    assert_string_equal(lt_dim_get(dims, product.args[0]).name, "M");
    assert_true(lt_dim_is(product.args[2], 3));
    assert_int_equal(lt_dim_get(dims, node.args[1]).op, LT_DIM_FLOORDIV);
    assert_int_equal(lt_dim_get(dims, lt_dim_const(4)).op, LT_DIM_CONST);
    for (uint32_t i = 1; i < lt_dims_size(dims); i++) { /* arguments come before */
        lt_dim_node each = lt_dim_get(dims, (lt_dim){ .e = i });
        for (uint32_t k = 0; k < each.count; k++) {
            assert_true(each.args[k].e < i);
        }
    }
    assert_string_equal(lt_dim_op_name(LT_DIM_CEILDIV), "ceildiv");
    lt_dims_destroy(dims);
}

/* bcast(3, N) is 3, and the table remembers what N must be. */
static void test_bcast_is_recorded(void **state)
{
    (void)state;
    lt_dims *dims = lt_dims_create(NULL);
    assert_true(lt_dim_is(parse(dims, "bcast(3,N)"), 3));
    bool found = false;
    for (uint32_t i = 1; i < lt_dims_size(dims); i++) {
        found = found || lt_dim_get(dims, (lt_dim){ .e = i }).op == LT_DIM_BCAST;
    }
    assert_true(found);
    lt_dim n = parse(dims, "N"), d;
    assert_int_equal(lt_dim_range(dims, n, 5, 9, NULL), LATHE_OK);
    assert_int_equal(lt_dim_make(dims, LT_DIM_BCAST, n, lt_dim_const(3), &d, NULL), LATHE_BAD_SHAPE);
    assert_int_equal(lt_dim_make(dims, LT_DIM_BCAST, n, lt_dim_const(6), &d, NULL), LATHE_OK);
    assert_true(lt_dim_is(d, 6));
    lt_dims_destroy(dims);
}

static bool lookup(void *user, lt_dim leaf, int64_t *value)
{
    const int64_t *values = user;
    *value = leaf.e <= 3 ? values[leaf.e] : 0;
    return leaf.e <= 3;
}

static void test_eval(void **state)
{
    (void)state;
    lathe_diag *diag = lathe_diag_create(NULL);
    lt_dims *dims = lt_dims_create(NULL);
    assert_int_equal(parse(dims, "a").e, 1);
    assert_int_equal(parse(dims, "b").e, 2);
    assert_int_equal(parse(dims, "c").e, 3);
    int64_t values[4] = { 0, 10, 3, 0 }, out;
    assert_int_equal(lt_dim_eval(dims, parse(dims, "a*b+floordiv(a,b)+mod(a,4)"), lookup, values, &out, diag),
                     LATHE_OK);
    assert_int_equal(out, 35);
    assert_int_equal(lt_dim_eval(dims, parse(dims, "select(eq(c,0),7,floordiv(a,c))"), lookup, values, &out, diag),
                     LATHE_OK);
    assert_int_equal(out, 7);
    assert_int_equal(lathe_diag_total(diag), 0);
    assert_int_equal(lt_dim_eval(dims, parse(dims, "floordiv(a,c)"), lookup, values, &out, diag), LATHE_BAD_SHAPE);
    assert_int_equal(lt_dim_eval(dims, parse(dims, "bcast(a,b)"), lookup, values, &out, diag), LATHE_BAD_SHAPE);
    assert_int_equal(lt_dim_eval(dims, parse(dims, "a+unbound"), lookup, values, &out, diag), LATHE_NOT_READY);
    lathe_diag_record r = { .struct_size = sizeof r };
    assert_int_equal(lathe_diag_at(diag, 2, &r), LATHE_OK);
    assert_non_null(strstr(r.text, "unbound"));
    int64_t large[4] = { 0, INT64_MAX, 2, 0 };
    assert_int_equal(lt_dim_eval(dims, parse(dims, "a*b"), lookup, large, &out, diag), LATHE_OVERFLOW);
    assert_int_equal(lt_dim_eval(dims, parse(dims, "a+b"), lookup, large, &out, diag), LATHE_OVERFLOW);
    assert_int_equal(lt_dim_eval(dims, parse(dims, "a*b*c"), lookup, large, &out, diag), LATHE_OK);
    assert_int_equal(out, 0);
    assert_int_equal(lt_dim_eval(dims, parse(dims, "a+b-3"), lookup, large, &out, diag), LATHE_OK);
    assert_int_equal(out, INT64_MAX - 1);
    assert_int_equal(lt_dim_eval(NULL, lt_dim_const(4), NULL, NULL, &out, diag), LATHE_OK);
    assert_int_equal(out, 4);
    lathe_diag_destroy(diag);
    lt_dims_destroy(dims);
}

static void test_bad_text(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        lathe_status status;
    } rows[] = {
        { "", LATHE_BAD_MODEL },
        { "+", LATHE_BAD_MODEL },
        { "N+", LATHE_BAD_MODEL },
        { "N*", LATHE_BAD_MODEL },
        { "(N", LATHE_BAD_MODEL },
        { "min(N", LATHE_BAD_MODEL },
        { "min(N)", LATHE_BAD_MODEL },
        { "floordiv(N,2,3)", LATHE_BAD_MODEL },
        { "select(N,2)", LATHE_BAD_MODEL },
        { "select(1,2,3,4)", LATHE_BAD_MODEL },
        { "foo(N)", LATHE_BAD_MODEL },
        { "9223372036854775808", LATHE_BAD_MODEL },
        { "12ab", LATHE_BAD_MODEL },
        { "\"N", LATHE_BAD_MODEL },
        { "\"\\q\"", LATHE_BAD_MODEL },
        { "\"\\x0\"", LATHE_BAD_MODEL },
        { "\"\\x00\"", LATHE_BAD_MODEL },
        { "\"\\", LATHE_BAD_MODEL },
        { "\"\"", LATHE_INVALID_ARGUMENT },
        { "?", LATHE_BAD_MODEL },
        { "?x", LATHE_BAD_MODEL },
        { "?4294967295", LATHE_BAD_MODEL },
        { "$N", LATHE_BAD_MODEL },
        { "floordiv(1,0)", LATHE_BAD_SHAPE },
        { "floordiv(N,0)", LATHE_BAD_SHAPE },
        { "9223372036854775807+1", LATHE_OVERFLOW },
        { "N*9223372036854775807*2", LATHE_OVERFLOW },
        { "fscale(N,M)", LATHE_INVALID_ARGUMENT },
        { "N*9223372036854775807+N", LATHE_OVERFLOW },
        { "fscale(N,-1)", LATHE_INVALID_ARGUMENT },
        { "const(1,2)", LATHE_BAD_MODEL },
        { "symbol(N,M)", LATHE_BAD_MODEL },
    };
    for (size_t i = 0; i < LT_COUNT(rows); i++) {
        lathe_diag *diag = lathe_diag_create(NULL);
        lt_dims *dims = lt_dims_create(NULL);
        size_t length = strlen(rows[i].text);
        char *copy = malloc(length + 1); /* without a NUL: reads beyond the end are found */
        memcpy(copy, rows[i].text, length);
        const char *cursor = copy;
        lt_dim d;
        lathe_status status = lt_dim_parse(dims, &cursor, copy + length, &d, diag);
        if (status != rows[i].status) {
            fail_msg("'%s' gives %s", rows[i].text, lathe_status_name(status));
        }
        assert_ptr_equal(cursor, copy);
        assert_true(lathe_diag_total(diag) > 0);
        free(copy);
        lt_dims_destroy(dims);
        lathe_diag_destroy(diag);
    }
}

static void test_cursor(void **state)
{
    (void)state;
    lt_dims *dims = lt_dims_create(NULL);
    static const struct {
        const char *text;
        size_t stop;
    } rows[] = {
        { "N,3", 1 }, { "N ]", 1 },  { "N + 1]", 5 },    { "N*2 x", 3 },
        { "3]", 1 },  { "N-1,", 3 }, { "N - 1 , 2", 5 }, { "min(a, b) => ", 9 },
    };
    for (size_t i = 0; i < LT_COUNT(rows); i++) {
        const char *cursor = rows[i].text;
        lt_dim d;
        assert_int_equal(lt_dim_parse(dims, &cursor, cursor + strlen(cursor), &d, NULL), LATHE_OK);
        assert_int_equal(cursor - rows[i].text, rows[i].stop);
    }
    lt_dims_destroy(dims);
}

static void test_limits(void **state)
{
    (void)state;
    lt_dims *dims = lt_dims_create(NULL);
    lathe_diag *diag = lathe_diag_create(NULL);
    enum { DEEP = 100000 };
    char *text = malloc(DEEP);
    lt_dim d;
    static const char *const openers[] = { "(", "min(1,", "-(", "((" };
    for (size_t i = 0; i < LT_COUNT(openers); i++) {
        size_t n = 0;
        while (n + 8 < DEEP) {
            n += (size_t)snprintf(text + n, 8, "%s", openers[i]);
        }
        const char *cursor = text;
        assert_int_equal(lt_dim_parse(dims, &cursor, text + n, &d, diag), LATHE_UNSUPPORTED);
    }
    free(text);
    /* Deeper than LT_MAX_DEPTH operations, made by calls. */
    lathe_status status = LATHE_OK;
    lt_dim x = parse(dims, "N");
    int depth = 0;
    for (; depth < 1000 && status == LATHE_OK; depth++) {
        lt_dim rest = parse(dims, depth % 2 != 0 ? "A" : "B");
        status = lt_dim_make(dims, depth % 3 != 0 ? LT_DIM_MIN : LT_DIM_MAX, x, rest, &x, diag);
        status =
            status == LATHE_OK ? lt_dim_make(dims, LT_DIM_FLOORDIV, x, lt_dim_const(2 + depth % 5), &x, diag) : status;
        status = status == LATHE_OK ? lt_dim_make(dims, LT_DIM_MOD, x, parse(dims, "K+7"), &x, diag) : status;
    }
    assert_int_equal(status, LATHE_UNSUPPORTED);
    assert_true(depth > 10 && depth < 70);
    /* A sum that doubles its terms at each step is refused in time. */
    status = LATHE_OK;
    x = parse(dims, "1+x0");
    for (int i = 1; i < 40 && status == LATHE_OK; i++) {
        char name[16];
        snprintf(name, sizeof name, "1+x%d", i);
        status = lt_dim_mul(dims, x, parse(dims, name), &x, diag);
    }
    assert_int_equal(status, LATHE_UNSUPPORTED);
    /* Shared parts written out would be exponential. */
    status = LATHE_OK;
    x = parse(dims, "N");
    for (int i = 0; i < 60 && status == LATHE_OK; i++) {
        lt_dim left, right;
        status = lt_dim_make(dims, LT_DIM_MOD, x, parse(dims, "P+3"), &left, diag);
        status = status == LATHE_OK ? lt_dim_make(dims, LT_DIM_FLOORDIV, x, parse(dims, "Q+5"), &right, diag) : status;
        status = status == LATHE_OK ? lt_dim_make(dims, LT_DIM_BCAST, left, right, &x, diag) : status;
    }
    assert_int_equal(status, LATHE_UNSUPPORTED);
    assert_true(lt_dims_size(dims) < 20000);
    /* And the table still works. */
    expect(dims, "floordiv(N*4,4)", "N");
    lathe_diag_destroy(diag);
    lt_dims_destroy(dims);
}

static void test_import(void **state)
{
    (void)state;
    lt_dims *from = lt_dims_create(NULL), *to = lt_dims_create(NULL);
    lt_dim n = parse(from, "N"), found, a, b;
    assert_int_equal(lt_dim_range(from, n, 2, 9, NULL), LATHE_OK);
    assert_int_equal(lt_dim_fresh(from, lt_dim_const(1), parse(from, "N*4"), &found, NULL), LATHE_OK);
    assert_int_equal(lt_dim_range(from, found, 0, 30, NULL), LATHE_OK);
    (void)parse(to, "z+?0");
    lt_dim d = parse(from, "floordiv(?0+N*3,4)+?0+select(lt(M,N),z,min(M,7))");
    assert_int_equal(lt_dim_import(to, from, d, &a, NULL), LATHE_OK);
    lt_buf buf;
    lt_buf_init(&buf, NULL);
    lt_dim_print(to, a, &buf);
    assert_string_equal(lt_buf_str(&buf), "?1+floordiv(N*3+?1,4)+select(lt(M,N),z,min(M,7))");
    lt_buf_free(&buf);
    expect_bounds(to, parse(to, "N"), 2, 9);
    expect_bounds(to, parse(to, "?1"), 1, 30);
    assert_int_equal(lt_dim_import(to, from, found, &b, NULL), LATHE_OK);
    assert_true(lt_dim_same(b, parse(to, "?2"))); /* a new one each time */
    lt_imap same;
    lt_imap_init(&same, NULL);
    assert_int_equal(lt_dim_import_mapped(to, from, found, &same, &a, NULL), LATHE_OK);
    assert_int_equal(lt_dim_import_mapped(to, from, parse(from, "?0*2"), &same, &b, NULL), LATHE_OK);
    assert_int_equal(lt_dim_mul(to, a, lt_dim_const(2), &a, NULL), LATHE_OK);
    assert_true(lt_dim_same(a, b));
    lt_imap_free(&same);
    assert_int_equal(lt_dim_import(NULL, from, lt_dim_const(3), &a, NULL), LATHE_OK);
    assert_true(lt_dim_is(a, 3));
    lt_dims_destroy(from);
    lt_dims_destroy(to);
}

/* A symbol goes, everything above it is made anew: what can now be seen to be equal is. */
static void test_replace(void **state)
{
    static const char *const rows[][4] = {
        { "N", "N", "M", "M" }, { "N+M", "N", "M", "M*2" }, { "bcast(N,M)", "N", "M", "M" }, { "N*8", "N", "4", "32" },
        { "floordiv(N*4+?0,4)", "N", "P+Q", "P+Q+floordiv(?0,4)" },
        { "max(N,M)", "N", "M+1", "M+1" }, { "M+3", "N", "4", "M+3" }, { "7", "N", "4", "7" }, { "N*N", "N", "N+1", "N*N+N*2+1" },
    };
    (void)state;
    for (size_t i = 0; i < LT_COUNT(rows); i++) {
        lt_dims *dims = lt_dims_create(NULL);
        lt_dim out;
        assert_int_equal(lt_dim_replace(dims, parse(dims, rows[i][0]), parse(dims, rows[i][1]), parse(dims, rows[i][2]), &out, NULL), LATHE_OK);
        lt_buf buf;
        lt_buf_init(&buf, NULL);
        lt_dim_print(dims, out, &buf);
        assert_string_equal(lt_buf_str(&buf), rows[i][3]);
        lt_buf_free(&buf);
        lt_dims_destroy(dims);
    }
}

/* Every allocation fails once; then the same table gives the same answer. */
static void test_without_memory(void **state)
{
    (void)state;
    static const char *const text = "min(floordiv((a+b)*(c+2)*h+?4,(c+2)*4),max(q,mod(a*6+5,4),bcast(a,b)))*\"x "
                                    "y\"-ceildiv(z*3+1,7)+fscale(N,0x3fc00000)+select(lt(a,b),c,d)";
    lt_dims *good = lt_dims_create(NULL);
    lt_buf expected, got;
    lt_buf_init(&expected, NULL);
    lt_buf_init(&got, NULL);
    lt_dim_print(good, parse(good, text), &expected);
    bool done = false;
    for (size_t n = 1; !done; n++) {
        counting_allocator a;
        counting_init(&a);
        a.fail_at = n;
        lt_dims *dims = lt_dims_create(&a.api);
        const char *cursor = text;
        lt_dim d;
        lathe_status status =
            dims == NULL ? LATHE_OUT_OF_MEMORY : lt_dim_parse(dims, &cursor, text + strlen(text), &d, NULL);
        done = a.calls < n;
        assert_int_equal(status, done ? LATHE_OK : LATHE_OUT_OF_MEMORY);
        if (dims != NULL) {
            d = parse(dims, text);
            lt_buf_clear(&got);
            lt_dim_print(dims, d, &got);
            assert_string_equal(lt_buf_str(&got), lt_buf_str(&expected));
        }
        lt_dims_destroy(dims);
        assert_int_equal(a.live, 0);
        assert_int_equal(a.mistakes, 0);
    }
    lt_buf_free(&expected);
    lt_buf_free(&got);
    lt_dims_destroy(good);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_constants_need_no_table),
        cmocka_unit_test(test_normal_form),
        cmocka_unit_test(test_order_is_structural),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_fresh),
        cmocka_unit_test(test_get),
        cmocka_unit_test(test_bcast_is_recorded),
        cmocka_unit_test(test_eval),
        cmocka_unit_test(test_bad_text),
        cmocka_unit_test(test_cursor),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_import), cmocka_unit_test(test_replace),
        cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
