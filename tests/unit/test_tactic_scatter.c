/*
 * test_tactic_scatter.c - operators that put elements or sums at places: ScatterND, ScatterElements, OneHot, EyeLike, Hardmax, Col2Im, DeformConv, and
 * AffineGrid, which makes places: random problems through every tactic for them, against the reference. What is only moved must be equal to the bit.
 *
 * ctest: TIMEOUT 600
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "support/tactic_check.h"
#include <math.h>
#include <string.h>

static const lathe_dtype types[] = { LATHE_DTYPE_F32, LATHE_DTYPE_I64, LATHE_DTYPE_U8, LATHE_DTYPE_F16, LATHE_DTYPE_BOOL, LATHE_DTYPE_F64, LATHE_DTYPE_I32 };
static const lathe_dtype sums[] = { LATHE_DTYPE_F32, LATHE_DTYPE_I64, LATHE_DTYPE_F64, LATHE_DTYPE_I32, LATHE_DTYPE_F32 };

static void text_attr(tc_case *c, const char *name, const char *text)
{
    c->attrs[c->problem.n_attrs++] = (lathe_attr){ .name = name, .kind = LATHE_ATTR_STRING, .s = { text, strlen(text) } };
}

static void all(const char *op, uint64_t seeds, void (*one)(tc_case *c))
{
    tc_reset();
    for (uint64_t seed = 1; seed <= TC_SEEDS(seeds); seed++) {
        static tc_case c;
        tc_begin(&c, seed, op, "");
        one(&c);
        tc_check_all(&c);
        tc_end(&c);
    }
    tc_all_fitted(op, "");
}

static void choose_dims(tc_random *r, int rank, int64_t *dims)
{
    int64_t budget = 4000;
    for (int d = 0; d < rank; d++) {
        dims[d] = tc_range(r, tc_chance(r, 25) ? 0 : 1, budget > 60 ? (tc_chance(r, 4) ? 60 : 9) : budget > 1 ? 3 : 1);
        budget /= dims[d] > 0 ? dims[d] : 1;
    }
}

static lathe_dtype index_type(tc_random *r)
{
    return tc_chance(r, 3) ? LATHE_DTYPE_I32 : LATHE_DTYPE_I64;
}

/* ---- ScatterND, ScatterElements ---- */

/* How elements are replaced or reduced, and their type. */
static lathe_dtype choose_reduction(tc_case *c)
{
    static const char *const names[] = { "none", "add", "mul", "max", "min" };
    tc_random *r = &c->random;
    uint32_t how = tc_draw(r, 2) ? tc_draw(r, LT_COUNT(names)) : 0;
    if (how > 0 || tc_chance(r, 2)) {
        text_attr(c, "reduction", names[how]);
    }
    return how > 0 ? sums[tc_draw(r, LT_COUNT(sums))] : types[tc_draw(r, LT_COUNT(types))];
}

/* Numbers that not every order of operations treats alike. */
static void strange(tc_case *c, uint16_t n)
{
    static const double values[] = { 0.0, -0.0, (double)INFINITY, (double)NAN, 1e-42, 3e38 };
    tc_random *r = &c->random;
    for (int64_t i = 0; lt_dtype_is_float(c->in_data[n].dtype) && r->key % 3 == 0 && i < lt_tensor_count(&c->in_data[n]); i++) {
        if (tc_chance(r, 6)) {
            lt_store_f64(c->in_data[n].dtype, c->in_data[n].data, i, values[tc_draw(r, LT_COUNT(values))]);
        }
    }
}

static uint16_t data_of(tc_case *c, lathe_dtype dtype, int rank, const int64_t *dims)
{
    uint16_t n = tc_input(c, dtype, rank, dims, 0);
    strange(c, n);
    return n;
}

static void one_scatter_nd(tc_case *c)
{
    tc_random *r = &c->random;
    int64_t dims[LATHE_MAX_RANK], index[LATHE_MAX_RANK], updates[LATHE_MAX_RANK];
    int rank = (int)tc_range(r, 1, 4), outer = (int)tc_range(r, 0, 2);
    int64_t depth = tc_range(r, 1, rank);
    lathe_dtype dtype = choose_reduction(c);
    choose_dims(r, rank, dims);
    bool empty = false;
    for (int i = 0; i < depth; i++) {
        empty = empty || dims[i] == 0;
    }
    outer = empty && outer == 0 ? 1 : outer;
    for (int i = 0; i < outer; i++) {
        updates[i] = index[i] = empty ? 0 : tc_range(r, 0, 12);
    }
    index[outer] = depth;
    for (int i = (int)depth; i < rank; i++) {
        updates[outer + i - depth] = dims[i];
    }
    tc_root(c, data_of(c, dtype, rank, dims));
    uint16_t at = tc_input(c, LATHE_DTYPE_I64, outer + 1, index, 0);
    for (int64_t i = 0; i < lt_tensor_count(&c->in_data[at]); i++) {
        int64_t extent = dims[i % depth];
        lt_store_i64(LATHE_DTYPE_I64, c->in_data[at].data, i, tc_range(r, tc_chance(r, 3) ? -extent : 0, extent - 1));
    }
    tc_root(c, at);
    tc_root(c, data_of(c, dtype, outer + rank - (int)depth, updates));
    (void)tc_output(c, dtype, rank, dims);
}

static void one_scatter_elements(tc_case *c)
{
    tc_random *r = &c->random;
    int64_t dims[LATHE_MAX_RANK], index[LATHE_MAX_RANK];
    int rank = (int)tc_range(r, 1, 4), axis = (int)tc_draw(r, (uint32_t)rank);
    lathe_dtype dtype = choose_reduction(c), type = index_type(r);
    choose_dims(r, rank, dims);
    for (int i = 0; i < rank; i++) {
        index[i] = i == axis ? (dims[i] > 0 ? tc_range(r, 0, 20) : 0) : tc_chance(r, 2) ? dims[i] : tc_range(r, 0, dims[i]);
    }
    if (axis > 0 || tc_chance(r, 2)) {
        tc_int(c, "axis", tc_chance(r, 2) ? axis : axis - rank);
    }
    tc_root(c, data_of(c, dtype, rank, dims));
    uint16_t at = tc_input(c, type, rank, index, 0);
    for (int64_t i = 0; i < lt_tensor_count(&c->in_data[at]); i++) {
        lt_store_i64(type, c->in_data[at].data, i, tc_range(r, tc_chance(r, 3) ? -dims[axis] : 0, dims[axis] - 1));
    }
    tc_root(c, at);
    tc_root(c, data_of(c, dtype, rank, index));
    (void)tc_output(c, dtype, rank, dims);
}

static void scatters(void **state)
{
    (void)state;
    all("ScatterND", 80, one_scatter_nd);
    all("ScatterElements", 80, one_scatter_elements);
}

/* ---- OneHot, EyeLike ---- */

static void one_hot(tc_case *c)
{
    tc_random *r = &c->random;
    int64_t dims[LATHE_MAX_RANK], out[LATHE_MAX_RANK], depth = tc_range(r, tc_chance(r, 9) ? 0 : 1, 70), two = 2;
    int rank = (int)tc_range(r, 0, 3), axis = (int)tc_draw(r, (uint32_t)rank + 1);
    lathe_dtype dtype = types[tc_draw(r, LT_COUNT(types))], type = index_type(r);
    choose_dims(r, rank, dims);
    for (int i = 0; i <= rank; i++) {
        out[i] = i == axis ? depth : dims[i < axis ? i : i - 1];
    }
    if (axis < rank || tc_chance(r, 2)) {
        tc_int(c, "axis", tc_chance(r, 2) ? axis : axis - rank - 1);
    }
    uint16_t at = tc_input(c, type, rank, dims, 0);
    for (int64_t i = 0; i < lt_tensor_count(&c->in_data[at]); i++) { /* also outside */
        lt_store_i64(type, c->in_data[at].data, i, tc_chance(r, 20) ? INT32_MIN : tc_range(r, -depth - 2, depth + 2));
    }
    tc_root(c, at);
    uint16_t n = tc_input(c, LATHE_DTYPE_I64, 0, NULL, LATHE_OPERAND_HOST);
    lt_store_i64(LATHE_DTYPE_I64, c->in_data[n].data, 0, depth);
    tc_root(c, n);
    uint16_t values = tc_input(c, dtype, 1, &two, 0);
    if (tc_chance(r, 2)) {
        lt_store_f64(dtype, c->in_data[values].data, 0, 0.0);
        lt_store_f64(dtype, c->in_data[values].data, 1, 1.0);
    }
    tc_root(c, values);
    (void)tc_output(c, dtype, rank + 1, out);
}

static void one_eye(tc_case *c)
{
    static const lathe_dtype some[] = { LATHE_DTYPE_F32, LATHE_DTYPE_I64, LATHE_DTYPE_BOOL, LATHE_DTYPE_F16, LATHE_DTYPE_U8 };
    static const int64_t far[] = { INT64_MAX, INT64_MIN, 60, -60 };
    tc_random *r = &c->random;
    int64_t dims[2] = { tc_range(r, 1, 50), tc_range(r, 1, 50) };
    lathe_dtype in = some[tc_draw(r, LT_COUNT(some))], out = tc_chance(r, 2) ? in : some[tc_draw(r, LT_COUNT(some))];
    if (in != out) {
        tc_int(c, "dtype", (int64_t)out);
    }
    if (tc_chance(r, 2)) {
        tc_int(c, "k", tc_chance(r, 6) ? far[tc_draw(r, LT_COUNT(far))] : tc_range(r, -dims[0], dims[1]));
    }
    tc_root(c, tc_input(c, in, 2, dims, 0));
    (void)tc_output(c, out, 2, dims);
}

/* Ties and NaN: the first of them counts. */
static void one_hardmax(tc_case *c)
{
    tc_random *r = &c->random;
    int64_t dims[LATHE_MAX_RANK];
    int rank = (int)tc_range(r, 1, 4), axis = (int)tc_draw(r, (uint32_t)rank);
    choose_dims(r, rank, dims);
    dims[axis] = tc_chance(r, 3) ? tc_range(r, 60, 300) : dims[axis];
    if (axis < rank - 1 || tc_chance(r, 2)) {
        tc_int(c, "axis", tc_chance(r, 2) ? axis : axis - rank);
    }
    uint16_t x = tc_input(c, LATHE_DTYPE_F32, rank, dims, 0);
    float *values = c->in_data[x].data;
    bool ties = tc_chance(r, 2);
    for (int64_t i = 0; ties && i < lt_tensor_count(&c->in_data[x]); i++) {
        values[i] = roundf(values[i]);
    }
    strange(c, x);
    tc_root(c, x);
    (void)tc_output(c, LATHE_DTYPE_F32, rank, dims);
}

static void ones(void **state)
{
    (void)state;
    all("OneHot", 60, one_hot);
    all("EyeLike", 20, one_eye);
    all("Hardmax", 60, one_hardmax);
}

/* ---- Col2Im, DeformConv ---- */

typedef struct window {
    int64_t kernel[2], stride[2], dilation[2], pads[4];
} window;

static void choose_window(tc_case *c, int n, window *w)
{
    tc_random *r = &c->random;
    for (int i = 0; i < n; i++) {
        w->kernel[i] = tc_range(r, 1, 4);
        w->stride[i] = tc_range(r, 1, 3);
        w->dilation[i] = tc_chance(r, 2) ? 1 : tc_range(r, 2, 3);
        w->pads[i] = tc_range(r, 0, 3);
        w->pads[n + i] = tc_range(r, 0, 3);
    }
    tc_ints(c, "strides", (size_t)n, w->stride);
    tc_ints(c, "dilations", (size_t)n, w->dilation);
    tc_ints(c, "pads", 2 * (size_t)n, w->pads);
}

static int64_t positions(const window *w, int n, int i, int64_t image)
{
    int64_t room = image + w->pads[i] + w->pads[n + i] - (w->kernel[i] - 1) * w->dilation[i] - 1;
    return room < 0 ? 0 : room / w->stride[i] + 1;
}

static void one_col2im(tc_case *c)
{
    tc_random *r = &c->random;
    window w;
    int n = (int)tc_range(r, 1, 2);
    int64_t y[4] = { tc_range(r, 1, 2), tc_range(r, 1, 5) }, x[3] = { y[0], y[1], 1 }, count = n;
    choose_window(c, n, &w);
    for (int i = 0; i < n; i++) {
        y[i + 2] = tc_range(r, 1, 24);
        x[1] *= w.kernel[i];
        x[2] *= positions(&w, n, i, y[i + 2]);
    }
    tc_root(c, tc_input(c, LATHE_DTYPE_F32, 3, x, 0));
    uint16_t image = tc_input(c, LATHE_DTYPE_I64, 1, &count, LATHE_OPERAND_HOST), block = tc_input(c, LATHE_DTYPE_I64, 1, &count, LATHE_OPERAND_HOST);
    memcpy(c->in_data[image].data, y + 2, (size_t)n * sizeof *y);
    memcpy(c->in_data[block].data, w.kernel, (size_t)n * sizeof *w.kernel);
    tc_root(c, image);
    tc_root(c, block);
    (void)tc_output(c, LATHE_DTYPE_F32, n + 2, y);
    c->root_tolerance = 2e-6;
}

static void one_deform(tc_case *c)
{
    tc_random *r = &c->random;
    window w;
    int64_t parts = tc_chance(r, 2) ? 1 : tc_range(r, 2, 3), groups = tc_chance(r, 2) ? 1 : tc_range(r, 2, 4);
    int64_t channels = parts * groups * tc_range(r, 1, tc_chance(r, 3) ? 9 : 3), own = tc_chance(r, 3) ? tc_range(r, 1, 40) : tc_range(r, 1, 6);
    int64_t x[4] = { tc_range(r, 1, 2), channels }, f[4] = { groups * own, channels / groups }, y[4] = { x[0], groups * own }, taps = 1;
    choose_window(c, 2, &w);
    for (int i = 0; i < 2; i++) {
        int64_t least = (w.kernel[i] - 1) * w.dilation[i] + 1 - w.pads[i] - w.pads[2 + i];
        x[i + 2] = (least > 1 ? least : 1) + tc_range(r, 0, 6);
        y[i + 2] = positions(&w, 2, i, x[i + 2]);
        f[i + 2] = w.kernel[i];
        taps *= w.kernel[i];
    }
    tc_int(c, "group", groups);
    tc_int(c, "offset_group", parts);
    tc_root(c, tc_input(c, LATHE_DTYPE_F32, 4, x, 0));
    tc_root(c, tc_input(c, LATHE_DTYPE_F32, 4, f, tc_chance(r, 8) ? 0 : LATHE_OPERAND_CONSTANT));
    int64_t map[4] = { y[0], parts * taps * 2, y[2], y[3] };
    uint16_t offset = tc_input(c, LATHE_DTYPE_F32, 4, map, 0);
    for (int64_t i = 0; i < lt_tensor_count(&c->in_data[offset]); i++) { /* some whole, some far away */
        float *at = (float *)c->in_data[offset].data + i;
        *at = tc_chance(r, 4) ? roundf(*at) : tc_chance(r, 60) ? *at * 1e9f : *at * 1.5f;
    }
    tc_root(c, offset);
    bool bias = tc_chance(r, 2), mask = tc_chance(r, 2);
    if (bias || mask) {
        tc_root(c, bias ? tc_input(c, LATHE_DTYPE_F32, 1, &y[1], LATHE_OPERAND_CONSTANT) : (uint16_t)0xffff);
    }
    if (mask) {
        map[1] = parts * taps;
        tc_root(c, tc_input(c, LATHE_DTYPE_F32, 4, map, 0));
    }
    c->root_tolerance = 5e-6;
    if (tc_chance(r, 3)) {
        (void)tc_output(c, LATHE_DTYPE_F32, 4, y);
    } else {
        tc_space(c, 4, y);
        tc_epilogue(c, tc_root_value(c, LATHE_DTYPE_F32), 4, y, 1);
    }
}

/* NaN, infinities and neighbours without weight, where no tolerance can say what is right. */
static void strange_places(void **state)
{
    static tc_case c;
    (void)state;
    tc_begin(&c, 1, "DeformConv", "");
    const int64_t x[4] = { 1, 2, 3, 3 }, f[4] = { 1, 2, 1, 1 }, map[4] = { 1, 2, 3, 3 }, y[4] = { 1, 1, 3, 3 };
    static const float down[9] = { 0, 0.5f, NAN, 0, -1, 0, 1e-30f, 0, 3e38f }, right[9] = { 0, 0, 0, -INFINITY, 0, 1, 0, 0.25f, 0 };
    tc_root(&c, tc_input(&c, LATHE_DTYPE_F32, 4, x, 0));
    tc_root(&c, tc_input(&c, LATHE_DTYPE_F32, 4, f, LATHE_OPERAND_CONSTANT));
    uint16_t offset = tc_input(&c, LATHE_DTYPE_F32, 4, map, 0);
    memcpy(c.in_data[offset].data, down, sizeof down);
    memcpy((float *)c.in_data[offset].data + 9, right, sizeof right);
    tc_root(&c, offset);
    ((float *)c.in_data[0].data)[1] = INFINITY; /* beside the first point, which must not notice */
    (void)tc_output(&c, LATHE_DTYPE_F32, 4, y);
    c.root_tolerance = 5e-6;
    tc_check_all(&c);
    tc_end(&c);
}

static void one_affine(tc_case *c)
{
    tc_random *r = &c->random;
    int n = (int)tc_range(r, 2, 3);
    int64_t theta[3] = { tc_range(r, 1, 3), n, n + 1 }, y[5] = { theta[0] }, size[5] = { theta[0], tc_range(r, 1, 4) }, count = n + 2;
    for (int i = 0; i < n; i++) {
        y[i + 1] = size[i + 2] = tc_range(r, tc_chance(r, 20) ? 0 : 1, n == 2 ? 40 : 9);
    }
    y[n + 1] = n;
    tc_int(c, "align_corners", tc_draw(r, 2));
    tc_root(c, tc_input(c, LATHE_DTYPE_F32, 3, theta, 0));
    uint16_t extents = tc_input(c, LATHE_DTYPE_I64, 1, &count, LATHE_OPERAND_HOST);
    memcpy(c->in_data[extents].data, size, (size_t)count * sizeof *size);
    tc_root(c, extents);
    (void)tc_output(c, LATHE_DTYPE_F32, n + 2, y);
}

static void sums_at_places(void **state)
{
    (void)state;
    all("AffineGrid", 30, one_affine);
    all("Col2Im", 60, one_col2im);
    all("DeformConv", 80, one_deform);
    tc_must_take_rows("conv.f32.deform.*");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scatters),
        cmocka_unit_test(ones),
        cmocka_unit_test(sums_at_places),
        cmocka_unit_test(strange_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
