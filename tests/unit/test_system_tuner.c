/*
 * test_system_tuner.c - the tuner through the public API: every level gives the numbers of the reference; the selector sees what is real and is obeyed; the
 * static choice is deterministic; records and caches give the same bytes; rules are kept; cancelling leaves a cache; whatever is ruled out, a build is left.
 *
 * ctest: TIMEOUT 600 SERIAL COST 14
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
#include <lathe/tactic.h>

static const char *const nets[] = {"digits_resnet", "digits_resnet.int8-qdq", "digits_resnet.int8-dynamic"};

/* The plan's outputs equal the reference's. */
static void check_numbers(const char *name, const lathe_network *network, const lathe_plan *plan)
{
    sys_inputs inputs;
    sys_results got, want;
    lathe_engine *engine = sys_load(NULL, plan, NULL);
    sys_inputs_make(&inputs, network, "*=3", 7);
    sys_reference(&want, network, &inputs);
    sys_run_once(&got, engine, &inputs);
    sys_same(&got, &want, sys_tolerance(name), name);
    sys_results_free(&got);
    sys_results_free(&want);
    sys_inputs_free(&inputs);
    lathe_engine_destroy(engine);
}

static void assert_same_plan(const lathe_plan *a, const lathe_plan *b)
{
    size_t n, m;
    const void *x = lathe_plan_data(a, &n), *y = lathe_plan_data(b, &m);
    assert_int_equal(n, m);
    assert_memory_equal(x, y, n);
}

static void levels(void **state)
{
    (void)state;
    for (size_t i = 0; i < LT_COUNT(nets); i++) {
        lathe_network *network = sys_network(nets[i]);
        for (int level = 0; level <= 5; level++) {
            lathe_build_options o = {.struct_size = sizeof o, .level = level, .threads = 1 + level % 2, .time_budget = level == 5 ? 3 : 0};
            lathe_build_report r = {.struct_size = sizeof r};
            lathe_plan *plan = sys_build(network, &o);
            SYS_MUST(lathe_plan_get_report(plan, &r, diag));
            assert_true(level == 0 ? r.timed == 0 : r.timed > 0);
            assert_int_equal(r.wrong, 0);
            check_numbers(nets[i], network, plan);
            lathe_plan_destroy(plan);
        }
        lathe_network_destroy(network);
    }
    SYS_REFUSED(LATHE_INVALID_ARGUMENT, "level 6", ({
                    lathe_network *n = sys_network(nets[0]);
                    lathe_build_options o = {.struct_size = sizeof o, .level = 6};
                    lathe_plan *plan;
                    lathe_status s = lathe_build(n, &o, &plan, diag);
                    lathe_network_destroy(n);
                    s;
                }));
}

/* ---- Caches ---- */

static void warm_builds_are_equal(void **state)
{
    (void)state;
    char path[512];
    sys_path("tuner-cache", path, sizeof path);
    for (size_t i = 0; i < LT_COUNT(nets); i++) {
        lathe_network *network = sys_network(nets[i]);
        lathe_build_options o = {.struct_size = sizeof o, .level = 3, .threads = 1, .timing_cache = path};
        lathe_build_report r = {.struct_size = sizeof r};
        unlink(path);
        lathe_plan *cold = sys_build(network, &o), *warm = sys_build(network, &o);
        SYS_MUST(lathe_plan_get_report(warm, &r, diag));
        assert_int_equal(r.timed, 0);
        assert_true(r.remembered > 0);
        assert_same_plan(cold, warm);
        o.cached_only = 1;
        lathe_plan *third = sys_build(network, &o), *none = NULL;
        assert_same_plan(cold, third);
        unlink(path);
        SYS_REFUSED(LATHE_UNSUPPORTED, "timing cache does not hold", lathe_build(network, &o, &none, diag));
        lathe_plan_destroy(cold);
        lathe_plan_destroy(warm);
        lathe_plan_destroy(third);
        lathe_network_destroy(network);
    }
}

static int stop_soon(void *user, const lathe_progress *p)
{
    int *left = user;
    return strcmp(p->phase, "tune") == 0 && p->seconds_total > 0 && --*left == 0;
}

static void cancelling_leaves_a_cache(void **state)
{
    (void)state;
    char path[512];
    sys_path("tuner-cancel", path, sizeof path);
    lathe_network *network = sys_network(nets[0]);
    for (int after = 2; after < 6; after++) {
        int left = after;
        lathe_build_options o = {.struct_size = sizeof o, .level = 3, .timing_cache = path, .progress = stop_soon, .progress_user = &left};
        lathe_plan *plan = NULL;
        lathe_timing_cache *cache;
        unlink(path);
        SYS_REFUSED(LATHE_CANCELLED, "cancelled", lathe_build(network, &o, &plan, diag));
        assert_null(plan);
        SYS_MUST(lathe_timing_cache_create(NULL, &cache, diag));
        SYS_MUST(lathe_timing_cache_load(cache, path, 0, diag));
        assert_true(lathe_timing_cache_count(cache) > 0);
        lathe_timing_cache_destroy(cache);
    }
    unlink(path);
    lathe_network_destroy(network);
}

static void a_budget_cuts_short(void **state)
{
    (void)state;
    lathe_network *network = sys_network(nets[0]);
    lathe_build_options o = {.struct_size = sizeof o, .level = 5, .time_budget = 0.001};
    lathe_build_report r = {.struct_size = sizeof r};
    lathe_plan *plan = sys_build(network, &o);
    SYS_MUST(lathe_plan_get_report(plan, &r, diag));
    assert_true(r.cut_short);
    check_numbers(nets[0], network, plan);
    lathe_plan_destroy(plan);
    lathe_network_destroy(network);
}

static void note(void *user, lathe_log_level level, const char *message)
{
    (void)level;
    *(bool *)user |= strstr(message, "nothing is timed") != NULL;
}

/* Extents that may be anything: what is fast at a guess says nothing, so nothing is timed, and the build says so. */
static void free_extents_are_not_guessed(void **state)
{
    (void)state;
    bool told = false;
    lathe_network *network = sys_network("char_gpt_step");
    lathe_build_options o = {.struct_size = sizeof o, .level = 3, .log = note, .log_user = &told};
    lathe_build_report r = {.struct_size = sizeof r};
    lathe_plan *plan = sys_build(network, &o);
    SYS_MUST(lathe_plan_get_report(plan, &r, diag));
    assert_int_equal(r.timed, 0);
    assert_true(told);
    check_numbers("char_gpt_step", network, plan);
    lathe_plan_destroy(plan);
    lathe_network_destroy(network);
}

/* ---- Records ---- */

static char *replace(const char *text, const char *from, const char *to)
{
    const char *at = strstr(text, from);
    assert_non_null(at);
    char *out = malloc(strlen(text) + strlen(to) + 1);
    sprintf(out, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    return out;
}

static void records_replay(void **state)
{
    (void)state;
    char path[512];
    sys_path("tuner-record", path, sizeof path);
    for (size_t i = 0; i < LT_COUNT(nets); i++) {
        lathe_network *network = sys_network(nets[i]);
        lathe_build_options o = {.struct_size = sizeof o, .level = 3, .threads = 2, .record = path};
        lathe_build_report r = {.struct_size = sizeof r};
        unlink(path);
        lathe_plan *made = sys_build(network, &o), *again = sys_build(network, &o);
        SYS_MUST(lathe_plan_get_report(again, &r, diag));
        assert_int_equal(r.timed + r.remembered, 0);
        assert_same_plan(made, again);
        lathe_plan_destroy(made);
        lathe_plan_destroy(again);
        lathe_network_destroy(network);
    }
    unlink(path);
}

static uint32_t version_of(const char *name)
{
    const lathe_tactic *t;
    for (size_t i = 0; (t = lathe_tactic_at(i)); i++) {
        if (strcmp(t->name, name) == 0) {
            return t->version;
        }
    }
    fail_msg("there is no %s", name);
    return 0;
}

static void records_are_edited_by_hand(void **state)
{
    (void)state;
    char path[512];
    size_t length;
    lathe_network *network = sys_network(nets[0]);
    lathe_build_options o = {.struct_size = sizeof o, .record = sys_path("tuner-edit", path, sizeof path), .max_isa = "base"};
    unlink(path);
    lathe_plan *plan = sys_build(network, &o), *other = NULL;
    char line[128], first[128];
    snprintf(first, sizeof first, "conv.f32.first.base %u", version_of("conv.f32.first.base"));
    snprintf(line, sizeof line, "conv.f32.nchw.im2col.base %u", version_of("conv.f32.nchw.im2col.base"));
    char *text = sys_text(path, &length), *edited = replace(text, first, line);
    SYS_MUST(lt_file_write(path, edited, strlen(edited), diag));
    other = sys_build(network, &o);
    check_numbers(nets[0], network, other);
    size_t n, m;
    const void *x = lathe_plan_data(plan, &n), *y = lathe_plan_data(other, &m);
    assert_true(n != m || memcmp(x, y, n) != 0);
    free(edited);
    lathe_plan_destroy(other);
    const struct { const char *from, *to, *says; lathe_status status; } bad[] = {
        {"conv.f32.first.base", "conv.f32.last.base", "conv.f32.last.base", LATHE_UNSUPPORTED},
        {first, "conv.f32.first.base 77", "version 77", LATHE_UNSUPPORTED},
        {first, "conv.f32.first.base", "not a line", LATHE_BAD_PLAN},
        {"lathe-record 1", "lathe-record 9", "not a tactic record", LATHE_BAD_PLAN},
        {" 0 conv.f32.first.base", " 5 conv.f32.first.base", "no line for this step", LATHE_UNSUPPORTED},
    };
    for (size_t i = 0; i < LT_COUNT(bad); i++) {
        edited = replace(text, bad[i].from, bad[i].to);
        SYS_MUST(lt_file_write(path, edited, strlen(edited), diag));
        SYS_REFUSED(bad[i].status, bad[i].says, lathe_build(network, &o, &other, diag));
        free(edited);
    }
    unlink(path);
    free(text);
    lathe_plan_destroy(plan);
    lathe_network_destroy(network);
}

/* ---- Rules and the selector ---- */

typedef struct listener {
    uint32_t steps, told;
    double cost;
    size_t scratch;
    const char *forbid; /* a tactic that may not be taken where there is another one */
    char names[64][64];
    uint32_t n_names;
} listener;

static int on_select(void *user, const lathe_selection_step *step, const lathe_selection *list, size_t count, unsigned char *keep)
{
    listener *l = user;
    l->steps++;
    assert_non_null(step->name);
    assert_non_null(step->problem);
    size_t left = 0;
    for (size_t i = 0; i < count; i++) {
        assert_non_null(list[i].tactic);
        assert_true(list[i].n_in == step->problem->n_in && list[i].n_out == step->problem->n_out);
        left += keep[i] && !(l->forbid && strcmp(list[i].tactic, l->forbid) == 0);
    }
    for (size_t i = 0; i < count && left > 0; i++) {
        keep[i] = keep[i] && !(l->forbid && strcmp(list[i].tactic, l->forbid) == 0);
    }
    return 0;
}

static void on_chosen(void *user, const lathe_selection_step *step, const lathe_selection *s)
{
    listener *l = user;
    bool known = false;
    assert_non_null(step->name);
    l->told++;
    l->cost += s->cost_ns;
    l->scratch = s->scratch > l->scratch ? s->scratch : l->scratch;
    for (uint32_t i = 0; i < l->n_names; i++) {
        known |= strcmp(l->names[i], s->tactic) == 0;
    }
    if (!known && l->n_names < 64) {
        snprintf(l->names[l->n_names++], 64, "%s", s->tactic);
    }
}

/* Each tactic that was chosen is forbidden in turn: by the selector, and for good by a rule. */
static void without_each_tactic(void **state)
{
    (void)state;
    char path[512];
    sys_path("tuner-rules", path, sizeof path);
    for (size_t k = 0; k < LT_COUNT(nets); k++) {
        lathe_network *network = sys_network(nets[k]);
        listener first = {0};
        lathe_build_options o = {.struct_size = sizeof o, .select = on_select, .chosen = on_chosen, .select_user = &first};
        lathe_plan_destroy(sys_build(network, &o));
        assert_true(first.steps > 0 && first.told > 0 && first.told <= first.steps && first.n_names > 2);
        for (uint32_t i = 0; i < first.n_names; i++) {
            listener second = {.forbid = first.names[i]};
            char rule[128];
            o = (lathe_build_options){.struct_size = sizeof o, .select = on_select, .chosen = on_chosen, .select_user = &second};
            lathe_plan *plan = sys_build(network, &o);
            check_numbers(nets[k], network, plan);
            lathe_plan_destroy(plan);
            if (strcmp(first.names[i], "reference.eval") == 0) {
                continue; /* the last resort cannot be ruled out everywhere */
            }
            snprintf(rule, sizeof rule, "# one rule\nexclude tactic=%s\n", first.names[i]);
            SYS_MUST(lt_file_write(path, rule, strlen(rule), diag));
            listener third = {0};
            o = (lathe_build_options){.struct_size = sizeof o, .rules = path, .chosen = on_chosen, .select_user = &third};
            plan = sys_build(network, &o);
            check_numbers(nets[k], network, plan);
            lathe_plan_destroy(plan);
            for (uint32_t n = 0; n < third.n_names; n++) {
                assert_string_not_equal(third.names[n], first.names[i]);
            }
        }
        lathe_network_destroy(network);
    }
    unlink(path);
}

static listener with_rules(const lathe_network *network, const char *rules)
{
    char path[512];
    listener l = {0};
    lathe_build_options o = {.struct_size = sizeof o, .rules = sys_path("tuner-aims", path, sizeof path), .chosen = on_chosen, .select_user = &l};
    SYS_MUST(lt_file_write(path, rules, strlen(rules), diag));
    lathe_plan_destroy(sys_build(network, &o));
    unlink(path);
    return l;
}

static void aims(void **state)
{
    (void)state;
    lathe_network *network = sys_network("digits_resnet");
    listener fast = with_rules(network, "fastest\n"), slow = with_rules(network, "slowest\n"), small = with_rules(network, "least-scratch\n");
    assert_true(slow.cost > 2 * fast.cost);
    assert_true(small.scratch <= fast.scratch);
    listener one = with_rules(network, "slowest\nfastest op=Conv\n");
    assert_true(one.cost < slow.cost);
    lathe_network_destroy(network);
}

static void bad_rules(void **state)
{
    (void)state;
    static const struct { const char *rules, *says; } rows[] = {
        {"quickest\n", ":1: there is no rule 'quickest'"}, {"\n# fine\nexclude tactics=x\n", ":3: there is no condition 'tactics=x'"},
        {"exclude op=Conv\n", ":1: say which tactics"}, {"slowest tactic=x\n", ":1: tactics cannot be a condition"}, {"include tactic=nothing.*\n", "no tactic"}};
    char path[512];
    lathe_network *network = sys_network("digits_resnet");
    sys_path("tuner-bad", path, sizeof path);
    for (size_t i = 0; i < LT_COUNT(rows); i++) {
        lathe_build_options o = {.struct_size = sizeof o, .rules = path};
        lathe_plan *plan = NULL;
        SYS_MUST(lt_file_write(path, rows[i].rules, strlen(rows[i].rules), diag));
        lathe_diag *diag = lathe_diag_create(NULL);
        lathe_diag_record r = {.struct_size = sizeof r};
        assert_int_not_equal(lathe_build(network, &o, &plan, diag), LATHE_OK);
        char all[1024];
        assert_int_equal(lathe_diag_at(diag, 0, &r), LATHE_OK);
        snprintf(all, sizeof all, "%s: %s", r.where ? r.where : "", r.text);
        if (!strstr(all, rows[i].says)) {
            fail_msg("'%s' says nothing of '%s'", all, rows[i].says);
        }
        lathe_diag_destroy(diag);
    }
    unlink(path);
    lathe_network_destroy(network);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(levels),           cmocka_unit_test(warm_builds_are_equal),      cmocka_unit_test(cancelling_leaves_a_cache),
        cmocka_unit_test(a_budget_cuts_short), cmocka_unit_test(free_extents_are_not_guessed), cmocka_unit_test(records_replay),          cmocka_unit_test(records_are_edited_by_hand),
        cmocka_unit_test(without_each_tactic), cmocka_unit_test(aims),                    cmocka_unit_test(bad_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
