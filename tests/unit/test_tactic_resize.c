/*
 * test_tactic_resize.c - random Resize problems, by scales and by sizes, with antialias and crops, through every tactic for it.
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
    c->attrs[c->problem.n_attrs++] =
        (lathe_attr){ .name = name, .kind = LATHE_ATTR_STRING, .s = { text, strlen(text) } };
}

/* Scales or sizes as a host input with known contents. */
static void factors(tc_case *c, int rank, const int64_t *x, int64_t *y, bool sizes, const double *scales)
{
    int64_t n = rank;
    uint16_t o =
        tc_input(c, sizes ? LATHE_DTYPE_I64 : LATHE_DTYPE_F32, 1, &n, LATHE_OPERAND_HOST | LATHE_OPERAND_CONSTANT);
    for (int i = 0; i < rank; i++) {
        if (sizes) {
            ((int64_t *)c->in_data[o].data)[i] = y[i];
        } else {
            ((float *)c->in_data[o].data)[i] = (float)scales[i];
            y[i] = (int64_t)floorf((float)x[i] * (float)scales[i]);
        }
    }
    c->in[o].value = &c->in_data[o];
    if (sizes) {
        tc_root(c, 0xffff);
    }
    tc_root(c, o);
}

static void one_resize(uint64_t seed)
{
    static const char *const modes[] = { "linear", "linear", "cubic", "nearest" };
    static const char *const coords[] = { "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners",
                                          "asymmetric" };
    static const char *const rounding[] = { "round_prefer_floor", "round_prefer_ceil", "floor", "ceil" };
    static tc_case c;
    tc_begin(&c, seed, "Resize", "");
    tc_random *r = &c.random;
    int rank = tc_chance(r, 4) ? (int)tc_range(r, 2, 5) : 4;
    const char *mode = modes[tc_draw(r, LT_COUNT(modes))];
    bool nearest = strcmp(mode, "nearest") == 0, sizes = tc_chance(r, 2), outer = tc_chance(r, 5);
    int64_t x[5], y[5];
    double scales[5];
    for (int i = 0; i < rank; i++) {
        bool image = i + 2 >= rank;
        x[i] = tc_range(r, 1, image ? 12 : rank == 4 && i == 1 && tc_chance(r, 2) ? 40 : 3);
        y[i] = image || outer ? tc_range(r, 1, image ? 30 : 4) : x[i];
        scales[i] = image || outer ? (double)tc_range(r, 1, 12) / 4 : 1;
        if (!sizes && floorf((float)x[i] * (float)scales[i]) < 1) {
            scales[i] = 1;
        }
    }
    text_attr(&c, "coordinate_transformation_mode", coords[tc_draw(r, LT_COUNT(coords))]);
    if (tc_chance(r, 3)) {
        tc_int(&c, "exclude_outside", 1);
    }
    text_attr(&c, "mode", mode);
    text_attr(&c, "nearest_mode", rounding[tc_draw(r, LT_COUNT(rounding))]);
    tc_root(&c, tc_input(&c, LATHE_DTYPE_F32, rank, x, 0));
    tc_root(&c, 0xffff);
    factors(&c, rank, x, y, sizes, scales);
    c.root_tolerance = nearest ? 0 : 3e-6;
    if (tc_chance(r, 2) || nearest) {
        (void)tc_output(&c, LATHE_DTYPE_F32, rank, y);
    } else {
        tc_space(&c, rank, y);
        tc_epilogue(&c, tc_root_value(&c, LATHE_DTYPE_F32), rank, y, 1);
    }
    tc_check_all(&c);
    tc_end(&c);
}

/* Scales down with antialias, crops, bytes; two neighbouring axes anywhere. */
static void one_shrink(uint64_t seed)
{
    static const char *const coords[] = { "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners",
                                          "asymmetric", "tf_crop_and_resize" };
    static const lathe_dtype types[] = { LATHE_DTYPE_F32, LATHE_DTYPE_F32, LATHE_DTYPE_U8, LATHE_DTYPE_I8 };
    static tc_case c;
    tc_begin(&c, seed, "Resize", "");
    tc_random *r = &c.random;
    int rank = tc_chance(r, 2) ? 4 : (int)tc_range(r, 2, 5), first = tc_chance(r, 3) ? (int)tc_draw(r, (uint32_t)rank - 1) : rank - 2;
    const char *where = coords[tc_draw(r, LT_COUNT(coords))];
    lathe_dtype type = types[tc_draw(r, LT_COUNT(types))];
    bool crop = strcmp(where, "tf_crop_and_resize") == 0, sizes = tc_chance(r, 2);
    int64_t x[5], y[5], n_roi = 2 * rank;
    double scales[5];
    for (int i = 0; i < rank; i++) {
        bool image = i == first || (i == first + 1 && !tc_chance(r, 6));
        x[i] = tc_range(r, 1, image ? 70 : i > first && tc_chance(r, 2) ? 35 : 4);
        y[i] = image ? tc_range(r, 1, tc_chance(r, 3) ? 80 : 1 + x[i] / 2) : x[i];
        scales[i] = image ? (double)tc_range(r, 1, 20) / 16 : 1;
        if (!sizes && floorf((float)x[i] * (float)scales[i]) < 1) {
            scales[i] = 1;
        }
    }
    tc_int(&c, "antialias", tc_chance(r, 3) ? 0 : 1);
    text_attr(&c, "coordinate_transformation_mode", where);
    tc_float(&c, "cubic_coeff_a", tc_chance(r, 2) ? -0.5f : -0.75f);
    tc_int(&c, "exclude_outside", tc_chance(r, 3));
    tc_float(&c, "extrapolation_value", 2.5f);
    text_attr(&c, "mode", tc_chance(r, 2) ? "linear" : "cubic");
    tc_root(&c, tc_input(&c, type, rank, x, 0));
    if (crop) {
        uint16_t o = tc_input(&c, LATHE_DTYPE_F32, 1, &n_roi, LATHE_OPERAND_HOST | LATHE_OPERAND_CONSTANT);
        for (int i = 0; i < rank; i++) {
            bool image = i == first || i == first + 1;
            ((float *)c.in_data[o].data)[i] = image ? (float)tc_range(r, -3, 12) / 16 : 0;
            ((float *)c.in_data[o].data)[i + rank] = image ? (float)tc_range(r, 4, 20) / 16 : 1;
        }
        c.in[o].value = &c.in_data[o];
        tc_root(&c, o);
    } else {
        tc_root(&c, 0xffff);
    }
    factors(&c, rank, x, y, sizes, scales);
    c.root_tolerance = 3e-6;
    if (type != LATHE_DTYPE_F32) { /* a step where f32 does not see a tie that f64 sees, or the other way round */
        lathe_tensor plain;
        double most = 1;
        (void)tc_output(&c, type, rank, y);
        assert_true(tc_reference(&c, &plain, 1));
        for (int64_t i = 0; i < lt_tensor_count(&plain); i++) {
            most = fmax(most, fabs(lt_load_f64(type, plain.data, i)));
        }
        c.root_tolerance = 1.0 / most;
    } else if (tc_chance(r, 2)) {
        (void)tc_output(&c, type, rank, y);
    } else {
        tc_space(&c, rank, y);
        tc_epilogue(&c, tc_root_value(&c, LATHE_DTYPE_F32), rank, y, 1);
    }
    tc_check_all(&c);
    tc_end(&c);
}

static void shrinks(void **state)
{
    (void)state;
    tc_reset();
    for (uint64_t seed = 1; seed <= TC_SEEDS(120); seed++) {
        one_shrink(seed);
    }
    tc_must_take_rows("resize.taps.*");
}

static void resizes(void **state)
{
    (void)state;
    tc_reset();
    for (uint64_t seed = 1; seed <= TC_SEEDS(160); seed++) {
        one_resize(seed);
    }
    tc_all_fitted("Resize", "");
    tc_must_take_rows("resize.f32.*");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resizes),
        cmocka_unit_test(shrinks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
