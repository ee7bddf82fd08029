/*
 * study.h - what the command does with models and plans beyond building and running them: metrics, the reference, looking inside plans, shrinking a
 * failing model. The one header of src/study; it is linked into the command and the tests, not into the libraries.
 *
 * It builds and runs through the public API only; of the inside it knows graphs, ONNX files, passes and the plan's tables.
 */
#ifndef LT_STUDY_H
#define LT_STUDY_H

#include "base/base.h"
#include "engine/engine.h"
#include "graph/graph.h"
#include "onnx/onnx.h"
#include "ops/ops.h"
#include "passes/passes.h"
#include <lathe/builder.h>
#include <lathe/runtime.h>

/* ---- Metrics ---- */

/* ONNX's own rule for test cases: types and shapes equal, integers, bools and strings exact, floats |a-b| <= atol + rtol*|b|. why: the first reason. */
bool lt_study_allclose(const lt_tensor *a, const lt_tensor *b, double rtol, double atol, char *why, size_t why_size);

typedef struct lt_difference {
    bool comparable; /* same type and shape; else nothing below is set but `why` */
    bool equal;      /* bit for bit, NaNs counting as equal to NaNs */
    double mean_rel; /* sum|a-b| / sum|b| */
    double max_rel;  /* max|a-b| / max|b| */
    double mean_abs, max_abs;
    int64_t count, nans_apart; /* elements where only one is NaN */
    int64_t worst;             /* element of max|a-b|; -1: none */
    double worst_a, worst_b;
    char why[160];
} lt_difference;
void lt_study_measure(const lt_tensor *a, const lt_tensor *b, lt_difference *out);
/* NaNs agree, and mean_rel <= rtol or mean_abs <= atol. */
bool lt_study_within(const lt_difference *difference, double rtol, double atol);

/* ---- Models ---- */

/* ONNX by its bytes; text IR when the name ends in .lathe. */
lathe_status lt_study_open(const char *path, const lathe_allocator *allocator, lt_graph **out, lathe_diag *diag);

/* A tensor by name: inputs and outputs of runs. */
typedef struct lt_named {
    const char *name;
    lt_tensor tensor;
    const lt_any *any; /* of inputs that are no tensors; NULL for others */
} lt_named;
typedef struct lt_named_set {
    lt_named *items;
    size_t count, capacity;
} lt_named_set;
const lt_named *lt_study_find(const lt_named_set *set, const char *name); /* NULL: absent */
lathe_status lt_study_add(lt_named_set *set, lt_arena *arena, const char *name, const lt_tensor *tensor,
                          lathe_diag *diag); /* copies */
/* An input of any kind; a container is not copied. */
lathe_status lt_study_add_input(lt_named_set *set, lt_arena *arena, const lt_named *input, lathe_diag *diag);
/* The entries of a map in the order of their keys, so that two maps can be compared item by item. Other values are their own copies. */
lathe_status lt_study_sorted(const lt_any *any, lt_arena *arena, lt_any *out, lathe_diag *diag);
/* A container as tensors: how many items it has under its own name, then the items as NAME[0], NAME[1], ...; maps sorted */
lathe_status lt_study_add_any(lt_named_set *set, lt_arena *arena, const char *name, const lt_any *any,
                              lathe_diag *diag);

/*
 * Runs a graph by the operators' reference. outputs: of LT_MAIN, copied into the arena. visit (may be NULL) sees every tensor of LT_MAIN as it is
 * computed; it does not see other values. Outputs that are no tensors are taken apart by lt_study_add_any.
 */
typedef lathe_status (*lt_study_visit)(void *user, const char *name, const lt_tensor *tensor, lathe_diag *diag);
lathe_status lt_study_reference(const lt_graph *graph, const lt_named *inputs, size_t n_inputs, uint64_t seed,
                                lt_study_visit visit, void *user, lt_arena *arena, lt_named_set *outputs,
                                lathe_diag *diag);
/* A random tensor of the input's element type, and a random value of any kind: study_random.c has the rule. io->dims are extents, -1 stands for 1. */
lathe_status lt_study_random_tensor(const lathe_io *io, int rank, const int64_t *dims, uint64_t seed, lt_arena *arena, lt_tensor *out,
                                    lathe_diag *diag);
lathe_status lt_study_random_any(const lathe_io *io, uint64_t seed, lt_arena *arena, const lt_any **out, lathe_diag *diag);
/* Random inputs for a graph; free dims at 1. */
lathe_status lt_study_random_inputs(const lt_graph *graph, uint64_t seed, lt_arena *arena, lt_named_set *out,
                                    lathe_diag *diag);

/* ---- Plans ---- */

typedef struct lt_study_plan {
    lt_file file;
    lt_arena arena;
    lt_plan *plan;
} lt_study_plan;
lathe_status lt_study_plan_open(const char *path, bool verify_full, lt_study_plan *out, lathe_diag *diag);
/* data must outlive it. */
lathe_status lt_study_plan_open_memory(const void *data, size_t size, lt_study_plan *out, lathe_diag *diag);
void lt_study_plan_close(lt_study_plan *p);

/* The programs of a variant, without the init program: number of the i-th, LT_PLAN_NONE past the end. */
uint32_t lt_study_program(const lt_plan *plan, uint32_t variant, uint32_t i);

/* The host arena of a program over time: as planned, or where nothing is planned as the runtime would plan it for the shapes that were tuned. */
typedef struct lt_study_memory {
    const lt_plan_value **values; /* with storage in the arena */
    lt_live *lives;               /* theirs */
    uint32_t count, instructions;
    uint32_t peak; /* the first instruction at which most is alive */
    uint64_t arena, bound;
    bool planned;
} lt_study_memory;
/* Everything lives in the arena. LATHE_UNSUPPORTED: extents depend on what an input holds. */
lathe_status lt_study_memory_of(const lt_plan *plan, uint32_t program, lt_arena *arena, lt_study_memory *out, lathe_diag *diag);
/* Totals, a picture of offsets over instructions, and who is alive at the peak. */
void lt_study_memory_draw(const lt_study_memory *memory, lt_buf *out);

/* The log of a build, line by line: FILE.plan.log or lathe_plan_explanation. */
typedef struct lt_study_log_step {
    const char *kind, *name, *class_name; /* kind: step, view, control, reformat */
    uint32_t part, number;
    const uint32_t *nodes; /* numbers of ONNX nodes */
    uint32_t n_nodes;
    size_t begin, end; /* its lines */
} lt_study_log_step;
typedef struct lt_study_log_node {
    uint32_t number;
    size_t begin, end;
} lt_study_log_node;
typedef struct lt_study_log {
    const char *plan; /* fingerprint of the plan it belongs to, in hex; "" when it does not say */
    const char **lines;
    size_t n_lines;
    lt_study_log_step *steps;
    size_t n_steps;
    lt_study_log_node *nodes;
    size_t n_nodes;
} lt_study_log;
/* What it says of one variant. Everything lives in the arena. */
lathe_status lt_study_log_parse(const char *text, size_t length, uint32_t variant, lt_arena *arena, lt_study_log *out, lathe_diag *diag);
bool lt_study_log_of(const lt_study_log *log, const void *plan, size_t size); /* does it belong to these bytes? */
/* What follows this word on an indented line among these; NULL: no such line. */
const char *lt_study_log_text(const lt_study_log *log, size_t begin, size_t end, const char *word);
bool lt_study_log_step_has(const lt_study_log_step *step, uint32_t node);
const lt_study_log_node *lt_study_log_node_at(const lt_study_log *log, uint32_t number); /* NULL: not there */
bool lt_study_log_makes(const lt_study_log *log, uint32_t number, const char *pattern); /* a value of this name */

/* A line about a cache of the plan: the pair, the capacity, how programs keep it and what they copy all the same. */
void lt_study_put_cache(const lt_plan *plan, uint32_t cache, lt_buf *out);

/*
 * What became of the ONNX nodes in a variant of the plan, as text. node NULL: all, and the sums; else those whose label, op or output matches (* and ?), in full. log may be NULL:
 * then the plan's own tables are all there is.
 */
typedef struct lt_study_explained {
    size_t nodes, steps, folded, removed, refusals;
    size_t unaccounted; /* neither a step, a view or a frame around bodies, nor taken away by a pass that is named */
} lt_study_explained;
lathe_status lt_study_explain(const lt_plan *plan, uint32_t variant, const lt_study_log *log, const char *node, lt_buf *out, lt_study_explained *sums,
                              lathe_diag *diag);
lathe_status lt_study_explain_json(const lt_plan *plan, uint32_t variant, const lt_study_log *log, const char *node, lt_json *json, lt_study_explained *sums,
                                   lathe_diag *diag);

/* ---- Shrinking a failing model ---- */

/*
 * Does this graph still fail in the way that is looked for? *fails is the answer; a status other than OK ends the search. The inputs are those of the
 * graph, with the values seen in the whole model.
 */
typedef lathe_status (*lt_study_check)(void *user, lt_graph *graph, const lt_named_set *values, bool *fails,
                                       lathe_diag *diag);
typedef struct lt_reduce_options {
    lt_study_check check;
    void *user;
    uint64_t seed;
    void (*progress)(void *user, size_t nodes, size_t tried);
} lt_reduce_options;
/*
 * Delta debugging over the nodes of LT_MAIN: the smallest set of nodes found that still fails. Results of nodes left out become inputs (or
 * constants, where a node needs them as such) with the shapes and values of a reference run. LATHE_INVALID_ARGUMENT when the whole does not fail.
 */
lathe_status lt_study_reduce(const lt_graph *graph, const lt_named_set *inputs, const lt_reduce_options *options,
                             lt_graph **out, lathe_diag *diag);

/* Built-in checks. */
typedef struct lt_build_check {
    const lathe_build_options *options;
    lathe_status status; /* that the build must fail with; LATHE_OK: set from the first failure */
} lt_build_check;
lathe_status lt_check_build(void *user, lt_graph *graph, const lt_named_set *values, bool *fails, lathe_diag *diag);
typedef struct lt_compare_check {
    const lathe_build_options *options;
    lathe_runtime *runtime;
    double rtol, atol;
} lt_compare_check;
lathe_status lt_check_compare(void *user, lt_graph *graph, const lt_named_set *values, bool *fails, lathe_diag *diag);

/* study_form.c: an ONNX model as text IR in a form that must give the same numbers. */
typedef enum lt_study_form {
    LT_STUDY_AS_IT_IS,
    LT_STUDY_SYMBOLIC, /* no extent of an input is known */
    LT_STUDY_CONSTANT  /* tensor inputs are initializers: inputs[i] is that of input i, NULL to leave it an input */
} lt_study_form;
lathe_status lt_study_form_of(const void *onnx, size_t size, const char *folder, lt_study_form form, const lt_any *const *inputs, size_t n_inputs, lt_buf *out,
                              lathe_diag *diag);

/* ---- Operators ---- */

/* study_operators.c: what a build offers for an operator's samples, in each element type that they can be written in. Bit LATHE_DTYPE_* of the sets. */
typedef struct lt_study_operator {
    uint64_t types;         /* samples can be built */
    uint64_t fast;          /* all steps of at least one sample have a kernel beside the reference, or cost nothing */
    unsigned char *offered; /* by number of the tactic (lathe_tactic_at): is it a candidate for any of their steps? */
} lt_study_operator;
lathe_status lt_study_operator_of(const lt_op *op, lt_arena *arena, lt_study_operator *out, lathe_diag *diag);
/* Is this operand of a sample one that exporters write as a constant? */
bool lt_study_carries_sizes(const lt_tensor *tensor);
/* Puts an input of the same name in an initializer's place. dims: its extents; NULL: those of the initializer. Types are not inferred anew. */
lathe_status lt_study_open_operand(lt_graph *graph, const char *name, const lt_dim *dims, lathe_diag *diag);

#endif
