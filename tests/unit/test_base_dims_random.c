/*
 * test_base_dims_random.c - random expressions: the normal form evaluates as the written form does, lies in its
 * bounds, prints and parses back
 * to the same handle, and survives the way into another table.
 */
#define _GNU_SOURCE
#include "base/base.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SYMBOLS = 4, NODES = 64, TREES = 6000, BINDINGS = 12 };

/* An expression as written: arguments by index, leaves by number. */
typedef struct tree {
    struct {
        lt_dim_op op;
        int arg[3];
        int64_t value; /* of constants, symbols (their number), fscale (bits) */
    } node[NODES];
    int count;
} tree;

typedef struct source {
    uint64_t key, index;
    bool extreme; /* constants near the ends of 64 bits too */
} source;

static uint32_t draw(source *s, uint32_t below)
{
    uint32_t out[4];
    lt_philox(s->key, 77, s->index++, out);
    return out[0] % below;
}

static int grow(tree *t, source *s, int depth)
{
    static const int64_t constants[] = { 0, 1, 1, 2, 2, 3, 4, 6, 8, -1, -2, -5, 12, 64 };
    static const uint32_t scales[] = { 0x3f800000, 0x40000000, 0x3f000000, 0x3fc00000, 0x3e99999a, 0x40400000 };
    static const int64_t extremes[] = { INT64_MAX, INT64_MIN, INT64_MAX - 1, (int64_t)1 << 62, 3037000500 };
    int self = t->count++;
    if (depth == 0 || t->count > NODES - 8 || draw(s, 6) == 0) {
        bool constant = draw(s, 3) == 0;
        t->node[self].op = constant ? LT_DIM_CONST : LT_DIM_SYMBOL;
        t->node[self].value = constant ? constants[draw(s, LT_COUNT(constants))] : (int64_t)draw(s, SYMBOLS);
        if (constant && s->extreme && draw(s, 2) == 0) {
            t->node[self].value = extremes[draw(s, LT_COUNT(extremes))];
        }
        return self;
    }
    static const lt_dim_op ops[] = {
        LT_DIM_ADD,     LT_DIM_ADD, LT_DIM_MUL, LT_DIM_MUL,    LT_DIM_FLOORDIV, LT_DIM_FLOORDIV,
        LT_DIM_CEILDIV, LT_DIM_MOD, LT_DIM_MOD, LT_DIM_MIN,    LT_DIM_MAX,      LT_DIM_SELECT,
        LT_DIM_LT,      LT_DIM_LE,  LT_DIM_EQ,  LT_DIM_FSCALE, LT_DIM_BCAST,    LT_DIM_CONST /* a - b */,
    };
    lt_dim_op op = ops[draw(s, LT_COUNT(ops))];
    t->node[self].value = op == LT_DIM_FSCALE ? scales[draw(s, LT_COUNT(scales))] : op == LT_DIM_CONST ? 1 : 0;
    t->node[self].op = op == LT_DIM_CONST ? LT_DIM_ADD : op;
    int count = op == LT_DIM_SELECT ? 3 : op == LT_DIM_FSCALE ? 1 : 2;
    for (int i = 0; i < count; i++) {
        int arg = grow(t, s, depth - 1);
        t->node[self].arg[i] = arg;
    }
    return self;
}

/* The written form, evaluated in order; false where it is undefined. strict: also in the branch that select does
   not take. */
static bool direct(const tree *t, int i, const int64_t *symbols, bool strict, int64_t *out)
{
    int64_t v[3] = { 0, 0, 0 };
    lt_dim_op op = t->node[i].op;
    if (op == LT_DIM_CONST || op == LT_DIM_SYMBOL) {
        *out = op == LT_DIM_CONST ? t->node[i].value : symbols[t->node[i].value];
        return true;
    }
    if (!direct(t, t->node[i].arg[0], symbols, strict, &v[0])) {
        return false;
    }
    if (op == LT_DIM_SELECT) {
        if (strict && !direct(t, t->node[i].arg[v[0] != 0 ? 2 : 1], symbols, strict, out)) {
            return false;
        }
        return direct(t, t->node[i].arg[v[0] != 0 ? 1 : 2], symbols, strict, out);
    }
    if (op != LT_DIM_FSCALE && !direct(t, t->node[i].arg[1], symbols, strict, &v[1])) {
        return false;
    }
    switch (op) {
    case LT_DIM_ADD:
        return t->node[i].value != 0 ? lt_i64_sub(v[0], v[1], out) : lt_i64_add(v[0], v[1], out);
    case LT_DIM_MUL:
        return lt_i64_mul(v[0], v[1], out);
    case LT_DIM_FLOORDIV:
        return v[1] != 0 && !(v[0] == INT64_MIN && v[1] == -1) && (*out = lt_floor_div(v[0], v[1]), true);
    case LT_DIM_CEILDIV:
        return v[1] != 0 && !(v[0] == INT64_MIN && v[1] == -1) && (*out = lt_ceil_div(v[0], v[1]), true);
    case LT_DIM_MOD:
        *out = v[1] == 0 || v[1] == -1 ? 0 : v[0] % v[1];
        *out += *out != 0 && (*out < 0) != (v[1] < 0) ? v[1] : 0;
        return v[1] != 0;
    case LT_DIM_MIN:
        *out = v[0] < v[1] ? v[0] : v[1];
        return true;
    case LT_DIM_MAX:
        *out = v[0] > v[1] ? v[0] : v[1];
        return true;
    case LT_DIM_LT:
        *out = v[0] < v[1];
        return true;
    case LT_DIM_LE:
        *out = v[0] <= v[1];
        return true;
    case LT_DIM_EQ:
        *out = v[0] == v[1];
        return true;
    case LT_DIM_FSCALE:
        return lt_dim_apply(op, v[0], t->node[i].value, 0, out, NULL) == LATHE_OK;
    case LT_DIM_BCAST:
        *out = v[0] == 1 ? v[1] : v[0];
        return v[0] == v[1] || v[0] == 1 || v[1] == 1;
    default:
        return false;
    }
}

static lathe_status build(lt_dims *dims, const tree *t, int i, const lt_dim *symbols, lt_dim *out)
{
    lt_dim a[3] = { { 0 }, { 0 }, { 0 } };
    lt_dim_op op = t->node[i].op;
    if (op == LT_DIM_CONST || op == LT_DIM_SYMBOL) {
        *out = op == LT_DIM_CONST ? lt_dim_const(t->node[i].value) : symbols[t->node[i].value];
        return LATHE_OK;
    }
    int count = op == LT_DIM_SELECT ? 3 : op == LT_DIM_FSCALE ? 1 : 2;
    for (int k = 0; k < count; k++) {
        LT_TRY(build(dims, t, t->node[i].arg[k], symbols, &a[k]));
    }
    if (op == LT_DIM_SELECT) {
        return lt_dim_select(dims, a[0], a[1], a[2], out, NULL);
    }
    if (op == LT_DIM_FSCALE) {
        a[1] = lt_dim_const(t->node[i].value);
    }
    return op == LT_DIM_ADD && t->node[i].value != 0 ? lt_dim_sub(dims, a[0], a[1], out, NULL)
                                                     : lt_dim_make(dims, op, a[0], a[1], out, NULL);
}

typedef struct binding {
    const lt_dim *symbols;
    const int64_t *values;
} binding;

static bool lookup(void *user, lt_dim leaf, int64_t *value)
{
    const binding *b = user;
    for (int i = 0; i < SYMBOLS; i++) {
        if (lt_dim_same(b->symbols[i], leaf)) {
            *value = b->values[i];
            return true;
        }
    }
    return false;
}

typedef struct figures {
    int built, refused, compared;
} figures;

static const char *text_of(const lt_dims *dims, lt_dim d, lt_buf *buf)
{
    lt_buf_clear(buf);
    lt_dim_print(dims, d, buf);
    return lt_buf_str(buf);
}

static void check_text(lt_dims *dims, lt_dim d, lt_buf *buf)
{
    const char *text = text_of(dims, d, buf), *cursor = text;
    lt_dim back;
    lathe_status status = lt_dim_parse(dims, &cursor, text + buf->length, &back, NULL);
    if (status != LATHE_OK || *cursor != '\0' || !lt_dim_same(back, d)) {
        char *first = strdup(text);
        fail_msg("'%s' is read back as '%s' (%s)", first, status == LATHE_OK ? text_of(dims, back, buf) : "?",
                 lathe_status_name(status));
    }
}

static void check_values(lt_dims *dims, const tree *t, int root, lathe_status status, lt_dim d, const lt_dim *symbols,
                         const int64_t ranges[][2], source *s, lt_buf *buf, figures *f)
{
    int64_t lo, hi;
    lt_dim_bounds(dims, status == LATHE_OK ? d : lt_dim_const(0), &lo, &hi);
    for (int k = 0; k < BINDINGS; k++) {
        int64_t values[SYMBOLS], expected, got;
        for (int i = 0; i < SYMBOLS; i++) {
            values[i] = ranges[i][0] + (int64_t)draw(s, (uint32_t)(ranges[i][1] - ranges[i][0] + 1));
        }
        if (!direct(t, root, values, status != LATHE_OK, &expected)) {
            continue;
        }
        if (status != LATHE_OK) { /* refused as impossible, but here is a value */
            fail_msg("%s although it can be %lld", lathe_status_name(status), (long long)expected);
        }
        binding b = { symbols, values };
        lathe_status evaluated = lt_dim_eval(dims, d, lookup, &b, &got, NULL);
        if (s->extreme && evaluated == LATHE_OVERFLOW) { /* written out, a product of sums may have larger parts */
            continue;
        }
        if (evaluated != LATHE_OK || got != expected || got < lo || got > hi) {
            fail_msg("'%s' at %lld %lld %lld %lld is %lld (%s) in %lld..%lld, not %lld", text_of(dims, d, buf),
                     (long long)values[0], (long long)values[1], (long long)values[2], (long long)values[3],
                     (long long)got, lathe_status_name(evaluated), (long long)lo, (long long)hi, (long long)expected);
        }
        f->compared++;
    }
}

static void run(uint64_t key, const int64_t ranges[][2], bool narrow, bool extreme)
{
    static const char *const names[SYMBOLS] = { "N", "M", "a b", "K" };
    lt_dims *dims = NULL, *other = NULL;
    lt_dim symbols[SYMBOLS];
    source s = { key, 0, extreme };
    figures f = { 0, 0, 0 };
    lt_buf buf;
    lt_buf_init(&buf, NULL);
    for (int n = 0; n < TREES; n++) {
        if (n % 500 == 0) { /* not one table for all: what was made before must not matter */
            lt_dims_destroy(dims);
            lt_dims_destroy(other);
            dims = lt_dims_create(NULL);
            other = lt_dims_create(NULL);
            for (int i = 0; i < SYMBOLS; i++) {
                assert_int_equal(lt_dim_symbol(dims, names[i], &symbols[i], NULL), LATHE_OK);
                assert_true(!narrow || lt_dim_range(dims, symbols[i], ranges[i][0], ranges[i][1], NULL) == LATHE_OK);
            }
        }
        static tree t;
        t.count = 0;
        int root = grow(&t, &s, 2 + (int)draw(&s, 4));
        lt_dim d, copy;
        lathe_status status = build(dims, &t, root, symbols, &d);
        if (status == LATHE_OVERFLOW || status == LATHE_UNSUPPORTED) {
            f.refused++;
            continue;
        }
        f.built++;
        check_values(dims, &t, root, status, d, symbols, ranges, &s, &buf, &f);
        if (status == LATHE_OK) {
            check_text(dims, d, &buf);
            assert_int_equal(lt_dim_import(other, dims, d, &copy, NULL), LATHE_OK);
            char *text = strdup(text_of(dims, d, &buf));
            assert_string_equal(text_of(other, copy, &buf), text);
            free(text);
        }
    }
    print_message("%d built, %d refused, %d values compared\n", f.built, f.refused, f.compared);
    assert_true(f.built > TREES * 9 / 10 && f.compared > TREES);
    lt_buf_free(&buf);
    lt_dims_destroy(dims);
    lt_dims_destroy(other);
}

static void test_default_ranges(void **state)
{
    (void)state;
    static const int64_t ranges[SYMBOLS][2] = { { 0, 20 }, { 0, 5 }, { 0, 100 }, { 0, 2 } };
    run(1, ranges, false, false);
}

static void test_narrow_ranges(void **state)
{
    (void)state;
    static const int64_t ranges[SYMBOLS][2] = { { 1, 8 }, { 2, 5 }, { 16, 24 }, { 3, 3 } };
    run(2, ranges, true, false);
}

static void test_extreme_constants(void **state)
{
    (void)state;
    static const int64_t ranges[SYMBOLS][2] = { { 0, 20 }, { 0, 5 }, { 0, 100 }, { 0, 2 } };
    run(4, ranges, false, true);
    run(5, ranges, true, true);
}

/* Sums and products are polynomials: whatever the order of building, equal polynomials have equal handles. */
static void test_polynomials_are_unique(void **state)
{
    (void)state;
    lt_dims *dims = lt_dims_create(NULL);
    source s = { 3, 0, false };
    for (int n = 0; n < 500; n++) {
        lt_dim x[4], left = lt_dim_const(0), right = lt_dim_const(0), product, part;
        const char *const names[4] = { "p", "q", "r", "s" };
        for (int i = 0; i < 4; i++) {
            assert_int_equal(lt_dim_symbol(dims, names[i], &x[i], NULL), LATHE_OK);
            assert_int_equal(lt_dim_make(dims, LT_DIM_FLOORDIV, x[i], lt_dim_const(1 + draw(&s, 4)), &x[i], NULL),
                             LATHE_OK);
            assert_int_equal(lt_dim_mul(dims, x[i], lt_dim_const((int64_t)draw(&s, 7) - 3), &x[i], NULL), LATHE_OK);
        }
        /* (x0 + x1) (x2 - x3) in two ways */
        assert_int_equal(lt_dim_add(dims, x[0], x[1], &left, NULL), LATHE_OK);
        assert_int_equal(lt_dim_sub(dims, x[2], x[3], &right, NULL), LATHE_OK);
        assert_int_equal(lt_dim_mul(dims, left, right, &product, NULL), LATHE_OK);
        lt_dim sum = lt_dim_const(0);
        static const int pairs[4][2] = { { 1, 3 }, { 0, 2 }, { 1, 2 }, { 0, 3 } };
        for (int i = 0; i < 4; i++) {
            assert_int_equal(lt_dim_mul(dims, x[pairs[i][1]], x[pairs[i][0]], &part, NULL), LATHE_OK);
            assert_int_equal(pairs[i][1] == 3 ? lt_dim_sub(dims, sum, part, &sum, NULL)
                                              : lt_dim_add(dims, part, sum, &sum, NULL),
                             LATHE_OK);
        }
        assert_true(lt_dim_same(sum, product));
    }
    lt_dims_destroy(dims);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_default_ranges),
        cmocka_unit_test(test_narrow_ranges),
        cmocka_unit_test(test_extreme_constants),
        cmocka_unit_test(test_polynomials_are_unique),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
