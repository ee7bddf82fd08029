/*
 * test_graph_symbols.c - inference over names equals inference over numbers equals what is computed: for every sample of every operator.
 *
 * Operands that carry data become inputs whose extents are names, one for each axis; operands that carry sizes (short integer vectors) stay constants, as
 * in exported models. The names are then bound: to the sample's own numbers, and to random ones that inference over numbers accepts. Each output's extents
 * must be the same three times: the expression under the binding, the number, and the extent of what the reference computes. Where inference over numbers
 * cannot tell (results that depend on data), the bounds must hold the extent.
 *
 * ctest: TIMEOUT 300
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "study/study.h"

enum { MOST_INPUTS = 24, MOST_AXES = 64, TRIES = 30 };

typedef struct axis {
    int64_t own;   /* in the sample */
    int64_t bound; /* now */
    lt_dim name;   /* in the graph of names */
} axis;

typedef struct sample {
    const char *text;
    char names[MOST_INPUTS][64]; /* operands that carry data */
    int first_axis[MOST_INPUTS + 1];
    int n_inputs, n_axes;
    axis axes[MOST_AXES];
    lt_graph *symbolic;
} sample;

typedef struct tally {
    size_t samples, bindings, foreign, loose, left, mistakes;
} tally;

/* Where numbers can tell what no expression over names says. Each row must be needed. */
static struct {
    const char *op, *why;
    size_t used;
} told_by_numbers[] = {
    { "GatherND", "the rank of the result is what the last extent of the indices leaves over", 0 },
    { "Squeeze", "without axes, the rank of the result depends on which extents are 1", 0 },
    { "Loop", "an extent that grows grows by a constant 0", 0 },
    { "Scan", "a state may grow when it meets an operand of another extent", 0 },
    { "Resize", "keeping the aspect ratio takes the smaller of two quotients and rounds it", 0 },
    { "SequenceConstruct", "all items have one type, and these have different extents", 0 },
};

static uint64_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

static void mistake(tally *t, const sample *s, const char *format, ...)
{
    char text[512];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    print_message("%s\n    %s\n", s->text, text);
    for (int i = 0; i < s->n_axes; i++) {
        print_message("%s%lld=%lld", i ? ", " : "    ", (long long)s->axes[i].own, (long long)s->axes[i].bound);
    }
    print_message("\n");
    t->mistakes++;
}

static bool only_numbers_tell(const sample *s)
{
    for (const lt_node *n = lt_region_first(s->symbolic, LT_MAIN); n; n = lt_node_next(s->symbolic, n)) {
        for (size_t i = 0; i < LT_COUNT(told_by_numbers); i++) {
            if (strcmp(told_by_numbers[i].op, n->op->name) == 0) {
                told_by_numbers[i].used++;
                return true;
            }
        }
    }
    return false;
}

/* ---- The sample in three forms ---- */

/* The operands of the sample's first node that carry data. false: more than there is room for. */
static bool list_operands(sample *s, const lt_graph *graph)
{
    const lt_node *node = lt_region_first(graph, LT_MAIN);
    for (uint32_t i = 0; node && i < node->n_inputs; i++) {
        const lt_value *v = lt_node_in(graph, node, i);
        bool before = !v || !v->blob || v->type.cls != LT_TENSOR || lt_study_carries_sizes(lt_value_tensor(v));
        for (int k = 0; k < s->n_inputs && !before; k++) {
            before = strcmp(s->names[k], v->name) == 0;
        }
        if (before) {
            continue;
        }
        if (s->n_inputs == MOST_INPUTS || s->n_axes + v->type.rank > MOST_AXES || strlen(v->name) >= sizeof s->names[0]) {
            return false;
        }
        snprintf(s->names[s->n_inputs], sizeof s->names[0], "%s", v->name);
        for (int d = 0; d < v->type.rank; d++) {
            int64_t n = v->type.dims[d].k;
            s->axes[s->n_axes++] = (axis){ .own = n, .bound = n };
        }
        s->first_axis[++s->n_inputs] = s->n_axes;
    }
    return true;
}

static lathe_status name_extents(sample *s, lathe_diag *diag)
{
    LT_TRY(lt_graph_parse_sample(s->text, s->text, NULL, &s->symbolic, diag));
    for (int i = 0; i < s->n_inputs; i++) {
        lt_dim dims[LATHE_MAX_RANK];
        for (int a = s->first_axis[i]; a < s->first_axis[i + 1]; a++) {
            char name[16];
            snprintf(name, sizeof name, "e%d", a);
            LT_TRY(lt_dim_symbol(lt_graph_dims(s->symbolic), name, &s->axes[a].name, diag));
            dims[a - s->first_axis[i]] = s->axes[a].name;
        }
        LT_TRY(lt_study_open_operand(s->symbolic, s->names[i], dims, diag));
    }
    return lt_graph_infer(s->symbolic, diag);
}

static lathe_status number_extents(const sample *s, lt_graph **out, lathe_diag *diag)
{
    LT_TRY(lt_graph_parse_sample(s->text, s->text, NULL, out, diag));
    for (int i = 0; i < s->n_inputs; i++) {
        lt_dim dims[LATHE_MAX_RANK];
        for (int a = s->first_axis[i]; a < s->first_axis[i + 1]; a++) {
            dims[a - s->first_axis[i]] = lt_dim_const(s->axes[a].bound);
        }
        LT_TRY(lt_study_open_operand(*out, s->names[i], dims, diag));
    }
    return lt_graph_infer(*out, diag);
}

/* The operand's elements, repeated or cut to the bound extents. */
static lathe_status bind_operand(const sample *s, const lt_graph *original, int i, lt_arena *arena, lt_any *out, lathe_diag *diag)
{
    const lt_tensor *from = lt_value_tensor(lt_value_get(original, lt_graph_find(original, s->names[i])));
    int64_t dims[LATHE_MAX_RANK], have = lt_tensor_count(from);
    size_t bits = (size_t)lathe_dtype_bits(from->dtype), step = from->dtype == LATHE_DTYPE_STRING ? sizeof(lt_string) : bits / 8;
    for (int a = s->first_axis[i]; a < s->first_axis[i + 1]; a++) {
        dims[a - s->first_axis[i]] = s->axes[a].bound;
    }
    *out = (lt_any){ .cls = LT_TENSOR };
    LT_TRY(lt_tensor_alloc(arena, &out->tensor, from->dtype, from->rank, dims, s->names[i], diag));
    int64_t want = lt_tensor_count(&out->tensor);
    if (have == 0 || want == 0) {
        return LATHE_OK; /* zeros, if anything */
    }
    if (bits < 8) {
        for (size_t at = 0; at < out->tensor.bytes; at++) {
            ((char *)out->tensor.data)[at] = ((const char *)from->data)[at % from->bytes];
        }
        return LATHE_OK;
    }
    for (int64_t k = 0; k < want; k++) {
        memcpy((char *)out->tensor.data + (size_t)k * step, (const char *)from->data + (size_t)(k % have) * step, step);
    }
    return LATHE_OK;
}

static lathe_status compute(const sample *s, const lt_graph *original, const lt_graph *graph, lt_run **run, lt_arena *arena, lathe_diag *diag)
{
    lt_any values[MOST_INPUTS];
    const lt_any *pointers[MOST_INPUTS];
    const lt_run_options options = { .seed = 1 };
    for (int i = 0; i < s->n_inputs; i++) {
        LT_TRY(bind_operand(s, original, i, arena, &values[i], diag));
        pointers[i] = &values[i];
    }
    return lt_graph_run(graph, pointers, (size_t)s->n_inputs, &options, run, diag);
}

/* ---- Comparing ---- */

static bool look_up(void *user, lt_dim leaf, int64_t *value)
{
    const sample *s = user;
    for (int a = 0; a < s->n_axes; a++) {
        if (lt_dim_same(s->axes[a].name, leaf)) {
            *value = s->axes[a].bound;
            return true;
        }
    }
    return false;
}

static void compare_extent(tally *t, sample *s, const lt_graph *numbers, lt_dim named, lt_dim number, int64_t computed, int axis_number)
{
    int64_t lo, hi, value;
    lt_dim_bounds(lt_graph_dims(numbers), number, &lo, &hi);
    if (computed < lo || computed > hi) {
        mistake(t, s, "axis %d: numbers say %lld..%lld, computed is %lld", axis_number, (long long)lo, (long long)hi, (long long)computed);
        return;
    }
    if (lt_dim_eval(lt_graph_dims(s->symbolic), named, look_up, s, &value, NULL) != LATHE_OK) {
        lt_dim_bounds(lt_graph_dims(s->symbolic), named, &lo, &hi);
        t->loose++;
        if (lt_dim_is_const(number) && !only_numbers_tell(s)) {
            lt_buf text;
            lt_buf_init(&text, NULL);
            lt_dim_print(lt_graph_dims(s->symbolic), named, &text);
            mistake(t, s, "axis %d: numbers say %lld, names cannot tell: %s", axis_number, (long long)number.k, lt_buf_str(&text));
            lt_buf_free(&text);
        } else if (computed < lo || computed > hi) {
            mistake(t, s, "axis %d: names say %lld..%lld, computed is %lld", axis_number, (long long)lo, (long long)hi, (long long)computed);
        }
        return;
    }
    if (value != computed) {
        lt_buf text;
        lt_buf_init(&text, NULL);
        lt_dim_print(lt_graph_dims(s->symbolic), named, &text);
        mistake(t, s, "axis %d: names say %s = %lld, computed is %lld", axis_number, lt_buf_str(&text), (long long)value, (long long)computed);
        lt_buf_free(&text);
    }
}

static void compare_output(tally *t, sample *s, const lt_graph *numbers, uint32_t index, const lt_any *computed)
{
    const lt_type *named = &lt_value_get(s->symbolic, lt_region_get(s->symbolic, LT_MAIN)->outputs[index])->type;
    const lt_type *number = &lt_value_get(numbers, lt_region_get(numbers, LT_MAIN)->outputs[index])->type;
    if (!computed || computed->cls != LT_TENSOR) {
        return; /* containers: their items have extents of their own */
    }
    const lt_tensor *tensor = &computed->tensor;
    if (number->rank >= 0 && number->rank != tensor->rank) {
        mistake(t, s, "numbers say rank %d, computed is rank %d", number->rank, tensor->rank);
    } else if (named->rank < 0 && only_numbers_tell(s)) {
        t->loose++;
    } else if (named->rank != number->rank) {
        mistake(t, s, "names say rank %d, numbers say rank %d", named->rank, number->rank);
    } else {
        for (int d = 0; d < number->rank; d++) {
            compare_extent(t, s, numbers, named->dims[d], number->dims[d], tensor->dims[d], d);
        }
    }
}

/* false: these numbers do not suit the operator. */
static bool check_binding(tally *t, sample *s, const lt_graph *original)
{
    lt_graph *numbers = NULL;
    lt_run *run = NULL;
    lt_arena arena;
    lt_arena_init(&arena, NULL);
    bool suits = number_extents(s, &numbers, NULL) == LATHE_OK && compute(s, original, numbers, &run, &arena, NULL) == LATHE_OK;
    for (uint32_t i = 0; suits && i < lt_region_get(numbers, LT_MAIN)->n_outputs; i++) {
        compare_output(t, s, numbers, i, lt_run_output(run, i));
    }
    lt_run_destroy(run);
    lt_graph_destroy(numbers);
    lt_arena_destroy(&arena);
    return suits;
}

/* Some or one of the different extents get another number; axes with the same extent in the sample may mean the same, so they go together or alone. */
static void draw_binding(sample *s, uint64_t *random)
{
    int64_t from = s->axes[next_random(random) % (uint64_t)s->n_axes].own, to = (int64_t)(next_random(random) % 9);
    int only = next_random(random) % 2 ? (int)(next_random(random) % (uint64_t)s->n_axes) : -1;
    bool scaled = next_random(random) % 4 == 0;
    for (int a = 0; a < s->n_axes; a++) {
        bool chosen = only >= 0 ? a == only : s->axes[a].own == from;
        s->axes[a].bound = !chosen ? s->axes[a].own : scaled ? s->axes[a].own * 2 : to;
    }
}

/* Nothing but types is known of one operand, or of all: that must be fine, and leave a graph that holds what graphs promise. */
static void check_ranks(tally *t, const sample *s, lathe_diag *diag)
{
    lathe_diag_record record = { .struct_size = sizeof record, .text = "" };
    for (int only = -1; only < s->n_inputs; only++) {
        lt_graph *graph = NULL;
        lathe_diag_clear(diag);
        lathe_status status = number_extents(s, &graph, diag);
        for (int i = 0; i < s->n_inputs && status == LATHE_OK; i++) {
            lt_value_id id = lt_graph_find(graph, s->names[i]);
            lt_type type = lt_value_get(graph, id)->type;
            type.rank = only < 0 || only == i ? -1 : type.rank;
            status = lt_graph_set_type(graph, id, &type, diag);
        }
        status = status == LATHE_OK ? lt_graph_infer(graph, diag) : status;
        status = status == LATHE_OK ? lt_graph_verify(graph, diag) : status;
        if (status != LATHE_OK) {
            (void)lathe_diag_at(diag, 0, &record);
            mistake(t, s, "without the rank of %s: %s", only < 0 ? "any operand" : s->names[only], record.text);
        }
        lt_graph_destroy(graph);
    }
}

static void check_sample(tally *t, const char *text, uint64_t *random)
{
    lt_graph *original = NULL;
    sample *s = calloc(1, sizeof *s);
    lathe_diag *diag = lathe_diag_create(NULL);
    assert_non_null(s);
    s->text = text;
    assert_int_equal(lt_graph_parse_sample(text, text, NULL, &original, diag), LATHE_OK);
    if (!list_operands(s, original)) {
        t->left++;
    } else if (name_extents(s, diag) != LATHE_OK) {
        lathe_diag_record record = { .struct_size = sizeof record };
        mistake(t, s, "refused with names for extents: %s", lathe_diag_at(diag, 0, &record) == LATHE_OK ? record.text : "");
    } else {
        t->samples++;
        check_ranks(t, s, diag);
        if (!check_binding(t, s, original)) {
            mistake(t, s, "refused with the sample's own numbers");
        }
        for (int i = 0; i < TRIES && s->n_axes > 0; i++) {
            draw_binding(s, random);
            bool suits = check_binding(t, s, original);
            t->bindings += suits;
            t->foreign += !suits;
        }
    }
    lt_graph_destroy(s->symbolic);
    lt_graph_destroy(original);
    lathe_diag_destroy(diag);
    free(s);
}

static void names_equal_numbers(void **state)
{
    tally t = { 0 };
    uint64_t random = 20;
    const lt_op *op;
    (void)state;
    for (size_t i = 0; (op = lt_op_at(i)) != NULL; i++) {
        for (size_t k = 0; op->samples && op->samples[k]; k++) {
            check_sample(&t, op->samples[k], &random);
        }
    }
    print_message("%zu samples, %zu random bindings held, %zu do not suit their operator, %zu extents known at run time only\n", t.samples, t.bindings,
                  t.foreign, t.loose);
    assert_int_equal(t.left, 0);
    assert_int_equal(t.mistakes, 0);
    for (size_t i = 0; i < LT_COUNT(told_by_numbers); i++) {
        print_message("only numbers tell, %zu times in %s: %s\n", told_by_numbers[i].used, told_by_numbers[i].op, told_by_numbers[i].why);
        assert_true(told_by_numbers[i].used > 0);
    }
    assert_true(t.samples > 1000 && t.bindings > 10 * t.samples);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(names_equal_numbers) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
