/*
 * test_system_budget.c - memory of builds through the public API: a workspace refuses what needs more scratch and names the least where nothing is left; the
 * peak is predicted and reported; a budget gives up the comparison of engines, then trials, then says the least that would do; the log of a build says why.
 *
 * ctest: TIMEOUT 600 SERIAL COST 25
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/system.h"

static const char *const nets[] = {"digits_resnet", "super_resolution_x2", "char_gpt_step"};

/* ---- Workspace ---- */

typedef struct seen {
    size_t most, steps;
} seen;

static void note_scratch(void *user, const lathe_selection_step *step, const lathe_selection *candidate)
{
    seen *s = user;
    (void)step;
    s->most = candidate->scratch > s->most ? candidate->scratch : s->most;
    s->steps++;
}

static void workspace_is_kept(void **state)
{
    (void)state;
    for (int level = 0; level <= 1; level++) {
        lathe_network *network = sys_network("digits_resnet");
        seen wide = {0}, narrow = {0};
        lathe_build_options o = {.struct_size = sizeof o, .level = level, .threads = 1, .chosen = note_scratch, .select_user = &wide, .explain = 1};
        lathe_plan *plan = sys_build(network, &o);
        assert_true(wide.most > 4096);
        lathe_plan_destroy(plan);
        o.select_user = &narrow;
        o.workspace = wide.most - 1;
        plan = sys_build(network, &o);
        assert_true(narrow.steps > 0 && narrow.most < wide.most);
        assert_non_null(strstr(lathe_plan_explanation(plan), " bytes of scratch, the workspace is "));
        lathe_plan_destroy(plan);
        lathe_network_destroy(network);
    }
}

/* At the upper corner, not only at the opt extents. */
static void workspace_holds_for_all_shapes(void **state)
{
    (void)state;
    lathe_network *network = sys_network("super_resolution_x2");
    lathe_io io = {.struct_size = sizeof io};
    SYS_MUST(lathe_network_io(network, 0, &io, diag));
    lathe_shape_range r = {.input = io.name, .rank = io.rank};
    for (int i = 0; i < io.rank; i++) {
        r.min[i] = r.opt[i] = r.max[i] = io.dims[i] < 0 ? 8 : io.dims[i];
        r.max[i] = io.dims[i] < 0 && i >= 2 ? 256 : r.max[i];
    }
    lathe_profile profile = {&r, 1};
    lathe_build_options o = {.struct_size = sizeof o, .threads = 1, .profiles = &profile, .n_profiles = 1, .explain = 1, .workspace = 16 << 10};
    lathe_plan *plan = sys_build(network, &o);
    const char *refused = strstr(lathe_plan_explanation(plan), "the workspace is 16384");
    lathe_plan_destroy(plan);
    bool upper = refused != NULL;
    for (int i = 0; i < io.rank; i++) {
        r.max[i] = r.opt[i];
    }
    plan = sys_build(network, &o);
    const char *small = strstr(lathe_plan_explanation(plan), "the workspace is 16384");
    assert_true(upper || small == NULL); /* what is refused at small extents is refused at large ones */
    lathe_plan_destroy(plan);
    lathe_network_destroy(network);
}

static void workspace_too_small_names_the_least(void **state)
{
    (void)state;
    lathe_network *network = sys_network("digits_resnet");
    lathe_plan *plan = NULL;
    lathe_build_options o = {.struct_size = sizeof o, .threads = 1, .workspace = 16, .tactics = "Conv=conv.f32.nchw.im2col.*"};
    SYS_REFUSED(LATHE_UNSUPPORTED, "the least that one needs is", lathe_build(network, &o, &plan, diag));
    assert_null(plan);
    lathe_diag *told = lathe_diag_create(NULL);
    lathe_diag_record record = {.struct_size = sizeof record};
    assert_int_equal(lathe_build(network, &o, &plan, told), LATHE_UNSUPPORTED);
    assert_int_equal(lathe_diag_at(told, 0, &record), LATHE_OK);
    const char *least = strstr(record.advice, "at least ");
    assert_non_null(least);
    assert_true(strtoull(least + 9, NULL, 10) > 16);
    lathe_diag_destroy(told);
    lathe_network_destroy(network);
}

/* ---- Memory ---- */

static lathe_build_report report_of(const lathe_plan *plan)
{
    lathe_build_report r = {.struct_size = sizeof r};
    SYS_MUST(lathe_plan_get_report(plan, &r, diag));
    return r;
}

static void peaks_are_predicted(void **state)
{
    (void)state;
    for (size_t i = 0; i < LT_COUNT(nets); i++) {
        for (int level = 0; level <= 3; level += 3) {
            lathe_network *network = sys_network(nets[i]);
            lathe_build_options o = {.struct_size = sizeof o, .level = level, .threads = 1};
            lathe_plan *plan = sys_build(network, &o);
            lathe_build_report r = report_of(plan);
            print_message("%s level %d: %llu predicted, %llu at the peak\n", nets[i], level, (unsigned long long)r.predicted_bytes,
                          (unsigned long long)r.peak_bytes);
            assert_true(r.peak_bytes > 0 && r.predicted_bytes > r.peak_bytes / 4 * 3 && r.predicted_bytes < 2 * r.peak_bytes + (4 << 20));
            assert_int_equal(r.too_large + (unsigned)r.not_compared, 0);
            lathe_plan_destroy(plan);
            lathe_network_destroy(network);
        }
    }
}

/* The least that the error names. */
static uint64_t least_of(const lathe_network *network, lathe_build_options o)
{
    lathe_plan *plan = NULL;
    lathe_diag *told = lathe_diag_create(NULL);
    lathe_diag_record record = {.struct_size = sizeof record};
    o.memory_budget = 1000;
    assert_int_equal(lathe_build(network, &o, &plan, told), LATHE_UNSUPPORTED);
    assert_null(plan);
    assert_int_equal(lathe_diag_at(told, 0, &record), LATHE_OK);
    assert_non_null(strstr(record.text, "memory budget of 1000 bytes is too small"));
    const char *least = strstr(record.advice, "at least ");
    assert_non_null(least);
    uint64_t bytes = strtoull(least + 9, NULL, 10);
    lathe_diag_destroy(told);
    return bytes;
}

/* From more than enough down to the least: engines are given up first, then trials; every build works and keeps to what it was allowed. */
static void budgets_give_up_in_order(void **state)
{
    (void)state;
    lathe_network *network = sys_network("super_resolution_x2");
    lathe_build_options o = {.struct_size = sizeof o, .level = 3, .threads = 1};
    lathe_io io = {.struct_size = sizeof io};
    SYS_MUST(lathe_network_io(network, 0, &io, diag));
    lathe_shape_range r = {.input = io.name, .rank = io.rank};
    for (int i = 0; i < io.rank; i++) {
        r.min[i] = r.opt[i] = r.max[i] = io.dims[i] < 0 ? (i >= 2 ? 128 : 1) : io.dims[i];
    }
    lathe_profile profile = {&r, 1};
    o.profiles = &profile;
    o.n_profiles = 1;
    uint64_t least = least_of(network, o);
    lathe_plan *plan = sys_build(network, &o);
    lathe_build_report free_of_limits = report_of(plan);
    lathe_plan_destroy(plan);
    assert_true(free_of_limits.predicted_bytes > least);
    int gave_up = 0;
    uint32_t before = 0;
    for (int i = 0; i <= 4; i++) {
        o.memory_budget = free_of_limits.predicted_bytes - (uint64_t)i * (free_of_limits.predicted_bytes - least) / 4;
        o.memory_budget = i == 4 ? least + 4096 : o.memory_budget;
        plan = sys_build(network, &o);
        lathe_build_report got = report_of(plan);
        assert_true(got.predicted_bytes <= o.memory_budget);
        print_message("budget %llu: %llu predicted, %llu at the peak, %u too large, %d not compared\n", (unsigned long long)o.memory_budget,
                      (unsigned long long)got.predicted_bytes, (unsigned long long)got.peak_bytes, got.too_large, got.not_compared);
        assert_true(got.too_large >= before);
        before = got.too_large;
        gave_up += got.not_compared > 0;
        lathe_plan_destroy(plan);
    }
    assert_true(gave_up > 0 && before > 0);
    lathe_network_destroy(network);
}

/* ---- The log ---- */

static void logs_belong_to_their_plans(void **state)
{
    (void)state;
    char path[512];
    lathe_network *network = sys_network("digits_resnet");
    lathe_build_options o = {.struct_size = sizeof o, .threads = 1, .explain = 1};
    lathe_plan *plan = sys_build(network, &o);
    SYS_MUST(lathe_plan_save_log(plan, sys_path("log", path, sizeof path), diag));
    size_t length;
    char *text = sys_text(path, &length);
    assert_int_equal(strncmp(text, "lathe-log 1 plan ", 17), 0);
    assert_int_equal(strcspn(text + 17, "\n"), 64);
    assert_string_equal(strchr(text, '\n') + 1, lathe_plan_explanation(plan));
    free(text);
    unlink(path);
    lathe_plan_destroy(plan);
    o.explain = 0;
    lathe_plan *silent = sys_build(network, &o);
    SYS_REFUSED(LATHE_INVALID_ARGUMENT, "nothing to write", lathe_plan_save_log(silent, path, diag));
    lathe_plan_destroy(silent);
    lathe_network_destroy(network);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(workspace_is_kept),
        cmocka_unit_test(workspace_holds_for_all_shapes),
        cmocka_unit_test(workspace_too_small_names_the_least),
        cmocka_unit_test(peaks_are_predicted),
        cmocka_unit_test(budgets_give_up_in_order),
        cmocka_unit_test(logs_belong_to_their_plans),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
