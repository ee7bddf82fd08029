/*
 * study_operators.c - for which element types an operator has kernels beside the reference: its samples, in each type that its signature takes, are built for
 * a processor with AVX2, and the candidates of their steps are looked at. Passes have had their say then: what an operator becomes counts for it. For lathe ops.
 */
#include "study/study.h"
#include <lathe/tactic.h>
#include <stdio.h>
#include <string.h>

enum { SIZES = 32, ENOUGH = 12 };

/* Sizes, axes, counts, pads: what an exporter leaves in the model as a constant. */
bool lt_study_carries_sizes(const lt_tensor *tensor)
{
    bool integer = tensor->dtype == LATHE_DTYPE_I64 || tensor->dtype == LATHE_DTYPE_I32;
    return (integer && tensor->rank <= 1 && lt_tensor_count(tensor) <= SIZES) || tensor->rank == 0;
}

lathe_status lt_study_open_operand(lt_graph *graph, const char *name, const lt_dim *dims, lathe_diag *diag)
{
    lt_value_id old = lt_graph_find(graph, name), input;
    lt_type type = lt_value_get(graph, old)->type;
    char own[256];
    snprintf(own, sizeof own, "%s", name);
    memcpy(type.dims, dims ? dims : type.dims, (size_t)type.rank * sizeof *dims);
    LT_TRY(lt_graph_add_input(graph, LT_MAIN, "operand", &type, &input, diag));
    LT_TRY(lt_graph_replace_value(graph, old, input, diag));
    LT_TRY(lt_graph_remove_input(graph, old, diag));
    return lt_graph_rename(graph, input, own, diag);
}

/* ---- A sample in another type ---- */

static bool in_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* The type that the sample's text begins with. */
static lathe_dtype first_type(const char *sample)
{
    char name[24];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(sample, "[ "), sample);
    return lathe_dtype_from_name(name);
}

/* The text with every mention of one type replaced. */
static void retype(const char *sample, lathe_dtype from, lathe_dtype to, lt_buf *out)
{
    const char *old = lathe_dtype_name(from);
    size_t length = strlen(old);
    for (const char *at = sample; *at; at++) {
        bool here = strncmp(at, old, length) == 0 && !in_word(at[length]) && (at == sample || !in_word(at[-1]));
        if (here) {
            lt_buf_puts(out, lathe_dtype_name(to));
            at += length - 1;
        } else {
            lt_buf_putc(out, *at);
        }
    }
}

/* Operands that carry data become inputs: all of them, or only the first, as with weights. */
static lathe_status open_operands(lt_graph *graph, bool all, lathe_diag *diag)
{
    char names[16][128];
    size_t count = 0;
    for (const lt_node *n = lt_region_first(graph, LT_MAIN); n; n = lt_node_next(graph, n)) {
        for (uint32_t i = 0; i < n->n_inputs && count < LT_COUNT(names); i++) {
            const lt_value *v = lt_node_in(graph, n, i);
            if (v && v->blob && v->type.cls == LT_TENSOR && !lt_study_carries_sizes(lt_value_tensor(v)) && (all || count == 0)) {
                snprintf(names[count++], sizeof names[0], "%s", v->name);
            }
        }
    }
    for (size_t i = 0; i < count; i++) {
        lt_value_id id = lt_graph_find(graph, names[i]);
        const lt_value *v = lt_value_get(graph, id);
        if (v && v->blob) { /* else a name that stands there twice */
            LT_TRY(lt_study_open_operand(graph, names[i], NULL, diag));
        }
    }
    return lt_graph_infer(graph, diag);
}

/* ---- What is offered for it ---- */

typedef struct watch {
    unsigned char *offered; /* by number of the tactic */
    size_t steps, bare;     /* bare: only the reference computes them */
} watch;

static int look(void *user, const lathe_selection_step *step, const lathe_selection *candidates, size_t count, unsigned char *keep)
{
    watch *w = user;
    bool bare = true;
    (void)step;
    (void)keep;
    for (size_t i = 0; i < count; i++) {
        const lathe_tactic *x;
        bool reference = strncmp(candidates[i].tactic, "reference.", 10) == 0;
        bare = bare && reference;
        for (size_t k = 0; !reference && (x = lathe_tactic_at(k)); k++) {
            w->offered[k] |= strcmp(x->name, candidates[i].tactic) == 0;
        }
    }
    w->steps++;
    w->bare += bare;
    return 0;
}

/* *fast: every step of the sample's plan can be left to a kernel, or is no work at all. */
static lathe_status try_sample(lt_graph *graph, unsigned char *offered, bool *fast, lathe_diag *diag)
{
    const lt_text_options text_options = {.types = true, .labels = true, .inline_bytes = SIZE_MAX, .contents = true};
    watch w = { .offered = offered };
    lathe_build_options options = { .struct_size = sizeof options, .targets = "avx2", .threads = 1, .select = look, .select_user = &w };
    lathe_network *network = NULL;
    lathe_plan *plan = NULL;
    lt_buf text;
    lt_buf_init(&text, NULL);
    lathe_status status = lt_graph_print(graph, &text_options, &text, diag);
    status = status == LATHE_OK ? lathe_network_from_text(lt_buf_str(&text), text.length, NULL, &network, diag) : status;
    status = status == LATHE_OK ? lathe_build(network, &options, &plan, diag) : status;
    *fast = status == LATHE_OK && w.bare == 0;
    lathe_plan_destroy(plan);
    lathe_network_destroy(network);
    lt_buf_free(&text);
    return status;
}

static lathe_status try_type(const lt_op *op, lathe_dtype dtype, lt_study_operator *out, lathe_diag *diag)
{
    bool fast = false;
    int built = 0;
    for (size_t i = 0; op->samples && op->samples[i] && !fast && built < ENOUGH; i++) {
        lathe_dtype from = first_type(op->samples[i]);
        lt_buf text;
        if (from == LATHE_DTYPE_UNDEFINED) {
            continue; /* no operand to give a type to */
        }
        lt_buf_init(&text, NULL);
        retype(op->samples[i], from, dtype, &text);
        for (int all = 0; all < 2 && !fast; all++) {
            lt_graph *graph = NULL;
            lathe_status status = lt_graph_parse_sample(lt_buf_str(&text), op->name, NULL, &graph, NULL);
            status = status == LATHE_OK ? open_operands(graph, all != 0, NULL) : status;
            status = status == LATHE_OK ? try_sample(graph, out->offered, &fast, NULL) : status;
            out->types |= status == LATHE_OK ? (uint64_t)1 << dtype : 0;
            built += status == LATHE_OK;
            lt_graph_destroy(graph);
            if (status == LATHE_OUT_OF_MEMORY) {
                lt_buf_free(&text);
                return LT_OOM(diag);
            }
        }
        lt_buf_free(&text);
    }
    out->fast |= fast ? (uint64_t)1 << dtype : 0;
    return LATHE_OK;
}

lathe_status lt_study_operator_of(const lt_op *op, lt_arena *arena, lt_study_operator *out, lathe_diag *diag)
{
    size_t tactics = 0;
    while (lathe_tactic_at(tactics)) {
        tactics++;
    }
    *out = (lt_study_operator){ .offered = lt_arena_zero(arena, tactics + 1, 1, 1) };
    if (!out->offered) {
        return LT_OOM(diag);
    }
    for (int d = LATHE_DTYPE_UNDEFINED + 1; d < LATHE_DTYPE_COUNT; d++) {
        LT_TRY(try_type(op, (lathe_dtype)d, out, diag));
    }
    return LATHE_OK;
}
