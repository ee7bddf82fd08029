/*
 * test_tactic_sample.c - random problems of operators that have a kernel of their own and little else in common: GridSample, RoiAlign, Trilu, DequantizeLinear
 * by blocks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "support/tactic_check.h"
#include <math.h>
#include <string.h>

static void text_attr(tc_case *c, const char *name, const char *text)
{
    c->attrs[c->problem.n_attrs++] = (lathe_attr){ .name = name, .kind = LATHE_ATTR_STRING, .s = { text, strlen(text) } };
}

static void run_seeds(const char *op, uint64_t seeds, void (*one)(uint64_t seed))
{
    tc_reset();
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        one(seed);
    }
    tc_all_fitted(op, "");
}

static void one_grid(uint64_t seed)
{
    static const char *const paddings[] = { "zeros", "border", "reflection" };
    static tc_case c;
    tc_begin(&c, seed, "GridSample", "");
    tc_random *r = &c.random;
    int64_t x[4], g[4], y[4];
    for (int i = 0; i < 4; i++) {
        x[i] = tc_range(r, 1, i < 2 ? 4 : 9);
        g[i] = i == 0 ? x[0] : i == 3 ? 2 : tc_range(r, 1, 24);
    }
    y[0] = x[0], y[1] = x[1], y[2] = g[1], y[3] = g[2];
    tc_int(&c, "align_corners", tc_chance(r, 2));
    text_attr(&c, "padding_mode", paddings[tc_draw(r, 3)]);
    tc_root(&c, tc_input(&c, LATHE_DTYPE_F32, 4, x, 0));
    uint16_t o = tc_input(&c, LATHE_DTYPE_F32, 4, g, 0);
    float *at = c.in_data[o].data;
    if (tc_chance(r, 4)) {
        at[0] = NAN;
        at[1] = INFINITY;
    }
    if (tc_chance(r, 4)) { /* on a pixel, beside one that is infinite: what has no weight is not read */
        ((float *)c.in_data[0].data)[0] = INFINITY;
    }
    tc_root(&c, o);
    (void)tc_output(&c, LATHE_DTYPE_F32, 4, y);
    lathe_tensor plain;
    assert_true(tc_reference(&c, &plain, 1));
    c.root_tolerance = 3e-6;
    for (int64_t i = 0; i < lt_tensor_count(&plain); i++) { /* an infinite result has no tolerance for the rest */
        if (isinf(((const float *)plain.data)[i])) {
            ((float *)c.in_data[0].data)[0] = 1;
        }
    }
    tc_check_all(&c);
    tc_end(&c);
}

static void grids(void **state)
{
    (void)state;
    run_seeds("GridSample", 60, one_grid);
}

static void one_align(uint64_t seed)
{
    static tc_case c;
    tc_begin(&c, seed, "RoiAlign", "");
    tc_random *r = &c.random;
    int64_t x[4], y[4], n = tc_range(r, 1, 5), rois[2] = { n, 4 };
    for (int i = 0; i < 4; i++) {
        x[i] = tc_range(r, 1, i < 2 ? 4 : 20);
    }
    y[0] = n, y[1] = x[1], y[2] = tc_range(r, 1, 8), y[3] = tc_range(r, 1, 8);
    text_attr(&c, "coordinate_transformation_mode", tc_chance(r, 2) ? "half_pixel" : "output_half_pixel");
    text_attr(&c, "mode", "avg");
    tc_int(&c, "output_height", y[2]);
    tc_int(&c, "output_width", y[3]);
    tc_int(&c, "sampling_ratio", tc_range(r, 0, 3));
    tc_float(&c, "spatial_scale", tc_chance(r, 2) ? 1.0f : 0.25f);
    tc_root(&c, tc_input(&c, LATHE_DTYPE_F32, 4, x, 0));
    uint16_t box = tc_input(&c, LATHE_DTYPE_F32, 2, rois, 0), batch = tc_input(&c, LATHE_DTYPE_I64, 1, &n, 0);
    for (int64_t i = 0; i < n; i++) {
        float *at = (float *)c.in_data[box].data + 4 * i;
        for (int k = 0; k < 2; k++) {
            at[k] = (float)tc_range(r, -40, 160) / 8;
            at[k + 2] = at[k] + (float)tc_range(r, tc_chance(r, 5) ? -16 : 1, 200) / 8;
        }
        ((int64_t *)c.in_data[batch].data)[i] = tc_range(r, 0, x[0] - 1);
    }
    tc_root(&c, box);
    tc_root(&c, batch);
    (void)tc_output(&c, LATHE_DTYPE_F32, 4, y);
    c.root_tolerance = 3e-6;
    tc_check_all(&c);
    tc_end(&c);
}

static void aligns(void **state)
{
    (void)state;
    run_seeds("RoiAlign", 60, one_align);
}

static void one_triangle(uint64_t seed)
{
    static const lathe_dtype types[] = { LATHE_DTYPE_F32, LATHE_DTYPE_I64, LATHE_DTYPE_BOOL, LATHE_DTYPE_F16, LATHE_DTYPE_U8 };
    static tc_case c;
    tc_begin(&c, seed, "Trilu", "");
    tc_random *r = &c.random;
    lathe_dtype type = types[tc_draw(r, LT_COUNT(types))];
    int rank = (int)tc_range(r, 2, 4);
    int64_t x[4], none = 1;
    for (int i = 0; i < rank; i++) {
        x[i] = tc_range(r, 1, 12);
    }
    if (tc_chance(r, 2)) {
        tc_int(&c, "upper", tc_chance(r, 2));
    }
    tc_root(&c, tc_input(&c, type, rank, x, 0));
    if (tc_chance(r, 2)) {
        uint16_t o = tc_input(&c, LATHE_DTYPE_I64, 0, &none, 0);
        ((int64_t *)c.in_data[o].data)[0] = tc_chance(r, 5) ? INT64_MIN : tc_chance(r, 5) ? INT64_MAX : tc_range(r, -14, 14);
        tc_root(&c, o);
    }
    (void)tc_output(&c, type, rank, x);
    tc_check_all(&c);
    tc_end(&c);
}

static void triangles(void **state)
{
    (void)state;
    run_seeds("Trilu", 60, one_triangle);
}

static void one_dequantize(uint64_t seed)
{
    static const lathe_dtype types[] = { LATHE_DTYPE_U8, LATHE_DTYPE_I8, LATHE_DTYPE_U4, LATHE_DTYPE_I4 };
    static tc_case c;
    tc_begin(&c, seed, "DequantizeLinear", "");
    tc_random *r = &c.random;
    lathe_dtype type = types[tc_draw(r, LT_COUNT(types))];
    uint32_t flags = lathe_dtype_bits(type) < 8 ? LATHE_OPERAND_CONSTANT : 0;
    int rank = (int)tc_range(r, 1, 3), axis = (int)tc_draw(r, (uint32_t)rank), form = (int)tc_draw(r, 4), n = rank; /* form 0: one number, 1: along the axis */
    int64_t x[3], params[3], block = tc_range(r, 1, 40);
    for (int i = 0; i < rank; i++) {
        x[i] = tc_range(r, 1, rank == 1 ? 1200 : i == axis ? 90 : 12);
        params[i] = i == axis ? (x[i] + block - 1) / block : x[i];
    }
    if (form < 2) {
        n = form;
        params[0] = x[axis];
    } else {
        tc_int(&c, "block_size", block);
    }
    tc_int(&c, "axis", tc_chance(r, 2) ? axis : axis - rank);
    tc_root(&c, tc_input(&c, type, rank, x, flags));
    tc_root(&c, tc_input(&c, LATHE_DTYPE_F32, n, params, LATHE_OPERAND_CONSTANT));
    if (tc_chance(r, 2)) {
        tc_root(&c, tc_input(&c, type, n, params, LATHE_OPERAND_CONSTANT));
    }
    (void)tc_output(&c, LATHE_DTYPE_F32, rank, x);
    tc_check_all(&c);
    tc_end(&c);
}

static void dequantizes(void **state)
{
    (void)state;
    run_seeds("DequantizeLinear", 100, one_dequantize);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grids),
        cmocka_unit_test(aligns),
        cmocka_unit_test(triangles),
        cmocka_unit_test(dequantizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
