/*
 * test_api_abi.c - the numbers and layouts that docs/abi.md promises. A change here is a change of the binary interface:
 * it needs another version.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <lathe/builder.h>
#include <lathe/tactic.h>
#include <string.h>

/* ---- Layouts on 64-bit machines ---- */

#define SIZE(type, size) _Static_assert(sizeof(void *) != 8 || sizeof(type) == (size), #type " has another size")
/* Those that may grow begin with their size. */
#define GROWS(type, size)                                                                                              \
    SIZE(type, size);                                                                                                  \
    _Static_assert(offsetof(type, struct_size) == 0, #type " does not begin with struct_size")

GROWS(lathe_diag_record, 56);
GROWS(lathe_allocator, 32);
GROWS(lathe_tensor, 160);
GROWS(lathe_runtime_options, 56);
GROWS(lathe_load_options, 24);
GROWS(lathe_io, 360);
GROWS(lathe_cache_info, 56);
GROWS(lathe_engine_info, 96);
GROWS(lathe_context_options, 32);
GROWS(lathe_step_profile, 64);
GROWS(lathe_progress, 56);
GROWS(lathe_build_options, 360);
GROWS(lathe_build_report, 96);
GROWS(lathe_selection, 104);
GROWS(lathe_selection_step, 40);
GROWS(lathe_timing_entry, 88);
SIZE(lathe_timing, 32);
GROWS(lathe_problem, 648);
GROWS(lathe_call, 72);
GROWS(lathe_fit, 288);
GROWS(lathe_tactic, 112);
GROWS(lathe_source, 256);
SIZE(lathe_bytes, 16);
SIZE(lathe_shape_range, 400);
SIZE(lathe_profile, 16);
SIZE(lathe_attr, 104);
SIZE(lathe_format, 44);
SIZE(lathe_extent, 32);
SIZE(lathe_operand, 576);
SIZE(lathe_pw_instr, 56);
SIZE(lathe_gang, 24);
SIZE(lathe_buffer, 40);

_Static_assert(LATHE_MAX_RANK == 16, "arrays of this length are in structs");
_Static_assert(sizeof(lathe_value) == 8, "values are 64-bit numbers");
_Static_assert(sizeof(lathe_status) == 4 && sizeof(lathe_dtype) == 4, "enums are ints");

/* ---- Numbers ---- */

static void numbers(void **state)
{
    static const char *const statuses[] = { "ok",        "invalid-argument", "out-of-memory", "io",
                                            "bad-model", "unsupported",      "bad-plan",      "bad-shape",
                                            "not-ready", "needs-retune",     "overflow",      "cancelled",
                                            "internal" };
    static const char *const dtypes[] = { NULL,  "f32",    "u8",     "i8",       "u16",        "i16",    "i32",
                                          "i64", "string", "bool",   "f16",      "f64",        "u32",    "u64",
                                          "c64", "c128",   "bf16",   "f8e4m3fn", "f8e4m3fnuz", "f8e5m2", "f8e5m2fnuz",
                                          "u4",  "i4",     "f4e2m1", "f8e8m0",   "u2",         "i2" };
    (void)state;
    for (int i = 0; i < (int)(sizeof statuses / sizeof *statuses); i++) {
        assert_string_equal(lathe_status_name((lathe_status)i), statuses[i]);
    }
    assert_int_equal(sizeof dtypes / sizeof *dtypes, LATHE_DTYPE_COUNT);
    for (int i = 1; i < LATHE_DTYPE_COUNT; i++) {
        assert_string_equal(lathe_dtype_name((lathe_dtype)i), dtypes[i]);
        assert_int_equal(lathe_dtype_from_name(dtypes[i]), i);
    }
    assert_string_equal(lathe_status_name((lathe_status)13), "unknown-status");
    assert_int_equal(LATHE_INTERNAL, 12);
    assert_int_equal(LATHE_NEEDS_RETUNE, 9);
    assert_int_equal(LATHE_LOG_DEBUG, 3);
    assert_int_equal(LATHE_KIND_TENSOR, 0);
    assert_int_equal(LATHE_KIND_SEQUENCE, 1);
    assert_int_equal(LATHE_KIND_OPTIONAL, 2);
    assert_int_equal(LATHE_KIND_MAP, 3);
    assert_int_equal(LATHE_MAX_NESTING, 8);
    assert_int_equal(LATHE_SPACE_TWIN, 1);
    assert_int_equal(LATHE_SPACE_CUDA, 2);
    assert_int_equal(LATHE_ATTR_TENSOR, 4);
    assert_int_equal(LATHE_ATTR_TENSORS, 9);
    assert_int_equal(LATHE_ATTR_TYPE, 13);
    assert_int_equal(LATHE_OPERAND_CONSTANT | LATHE_OPERAND_HOST | LATHE_OPERAND_ABSENT | LATHE_OPERAND_MANAGED |
                         LATHE_OPERAND_BOUNDED,
                     31);
    assert_string_equal(lathe_version(), LATHE_VERSION_STRING);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(numbers) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
