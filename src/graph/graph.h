/*
 * graph.h - the graph: values, nodes, regions, constants, provenance, verifier, text form, reference execution. The one header of src/graph.
 *
 * Used by onnx, passes, tune, plan, api, study. It must not know ONNX files, passes, tactics or plans.
 *
 * Shape of the thing: a graph holds regions. Region LT_MAIN is the network. Region LT_INIT is the init function: its inputs are the named
 * initializers and its nodes make constants from constants, so that every folded constant keeps its recipe. Any region may read values of LT_INIT.
 * Other regions are bodies of If/Loop/Scan; they may read ("capture") values of the regions around them. All value names are unique in the graph.
 *
 * Memory: one arena per graph. Handles are index + generation; lt_node_get/lt_value_get give a pointer that stays valid while the node or value
 * lives (and readable, though stale, until the graph goes), and NULL for a stale handle. Read the structs freely, change them only through
 * functions. One thread at a time.
 *
 * Types are always those that inference gives: an edit that changes what a node reads infers it and whatever follows from it, and fails, changing
 * nothing, when the result contradicts an operator.
 */
#ifndef LT_GRAPH_H
#define LT_GRAPH_H

#include "base/base.h"
#include "ops/ops.h"

typedef struct lt_graph lt_graph;
typedef struct lt_node_id { uint32_t index, generation; } lt_node_id;   /* generation 0: none */
typedef struct lt_value_id { uint32_t index, generation; } lt_value_id; /* generation 0: none (an absent optional) */
typedef uint32_t lt_region_id;
enum { LT_MAIN = 0, LT_INIT = 1, LT_NO_REGION = 0xffffffffu };

static inline bool lt_node_same(lt_node_id a, lt_node_id b) { return a.index == b.index && a.generation == b.generation; }
static inline bool lt_value_same(lt_value_id a, lt_value_id b) { return a.index == b.index && a.generation == b.generation; }
static inline bool lt_value_none(lt_value_id v) { return v.generation == 0; }
static inline bool lt_node_none(lt_node_id n) { return n.generation == 0; }

/* ---- Blobs: immutable, reference-counted constant data (atomic count; shared between graphs, engines, files) ---- */

typedef struct lt_blob lt_blob;
/* Copies the tensor's elements (64-byte aligned; strings deep). */
lathe_status lt_blob_copy(const lathe_allocator *allocator, const lt_tensor *tensor, lt_blob **out, lathe_diag *diag);
/* A blob whose elements (zeroed) the caller fills in through *data before anybody else sees it; not for strings. */
lathe_status lt_blob_make(const lathe_allocator *allocator, lathe_dtype dtype, int rank, const int64_t *dims, lt_blob **out, void **data, lathe_diag *diag);
/* Wraps memory of somebody else: release(owner) is called when the last reference goes. Data must stay as they are. */
lathe_status lt_blob_wrap(const lathe_allocator *allocator, const lt_tensor *tensor, void *owner, void (*release)(void *owner), lt_blob **out, lathe_diag *diag);
lt_blob *lt_blob_retain(lt_blob *blob);
void lt_blob_release(lt_blob *blob); /* NULL ok */
const lt_tensor *lt_blob_tensor(const lt_blob *blob);
uint64_t lt_blob_hash(const lt_blob *blob); /* of dtype, dims and bytes; computed at creation for small blobs, on first use (atomically) for others */

/* ---- The structs ---- */

typedef struct lt_use {
    lt_node_id node;
    uint32_t slot;
} lt_use;

typedef enum lt_value_kind { LT_VALUE_INPUT, LT_VALUE_RESULT } lt_value_kind; /* of a region; of a node. Inputs of LT_INIT are the initializers */

typedef struct lt_value {
    lt_value_id id;
    const char *name;
    lt_type type;
    lt_contents contents; /* v NULL: unknown */
    lt_value_kind kind;
    lt_region_id region;  /* that defines it */
    lt_node_id def;       /* of results */
    uint32_t def_index;   /* output number of def, or input number of the region */
    lt_blob *blob;        /* data: of initializers and of results of LT_INIT; NULL elsewhere */
    lt_use *uses;         /* by nodes of all regions, in no particular order */
    uint32_t n_uses, cap_uses;
    uint32_t n_region_outputs; /* how often it is an output of some region */
    bool host_input;      /* of LT_MAIN's inputs: used as a shape, has min/opt/max contents */
} lt_value;

typedef struct lt_node {
    lt_node_id id;
    const lt_op *op;
    const char *label; /* ONNX node name; "" when none */
    const lathe_attr *attrs;
    uint32_t n_attrs;
    const lt_value_id *inputs; /* none = absent */
    uint32_t n_inputs;
    const lt_value_id *outputs; /* none = not wanted */
    uint32_t n_outputs;
    lt_region_id region;
    lt_node_id prev, next;     /* order within the region: a topological order, kept by every edit */
    const uint32_t *origins;   /* sorted numbers of the ONNX nodes that it stands for */
    uint32_t n_origins;
    uint32_t group;            /* 0: none; nodes of one group have the same number (see lt_group) */
    lathe_space device;        /* where it shall run; LATHE_SPACE_HOST by default */
} lt_node;

typedef struct lt_region {
    lt_region_id id;
    lt_node_id owner;     /* the If/Loop/Scan node; none for LT_MAIN and LT_INIT */
    const lt_value_id *inputs;
    uint32_t n_inputs;
    const lt_value_id *outputs;
    uint32_t n_outputs;
    lt_node_id first, last;
    bool live;
} lt_region;

/* ---- Making and reading ---- */

lathe_status lt_graph_create(const lathe_allocator *allocator, lt_graph **out, lathe_diag *diag); /* with empty LT_MAIN and LT_INIT */
void lt_graph_destroy(lt_graph *graph);
/* A copy of what is live, with all names, order, origins, log and dims; blobs are shared. Compacts the arena. */
lathe_status lt_graph_clone(const lt_graph *graph, const lathe_allocator *allocator, lt_graph **out, lathe_diag *diag);
const lathe_allocator *lt_graph_allocator(const lt_graph *graph);
lt_arena *lt_graph_arena(lt_graph *graph); /* lives as long as the graph: attributes, names */
lt_dims *lt_graph_dims(const lt_graph *graph);
const char *lt_graph_name(const lt_graph *graph);
lathe_status lt_graph_set_name(lt_graph *graph, const char *name, lathe_diag *diag);

lt_node *lt_node_get(const lt_graph *graph, lt_node_id id);    /* NULL: stale or none */
lt_value *lt_value_get(const lt_graph *graph, lt_value_id id); /* NULL: stale or none */
lt_region *lt_region_get(const lt_graph *graph, lt_region_id id);
uint32_t lt_graph_regions(const lt_graph *graph); /* number of region slots; check ->live */
lt_value_id lt_graph_find(const lt_graph *graph, const char *name);  /* by value name; none when absent */
lt_node *lt_region_first(const lt_graph *graph, lt_region_id region); /* NULL at the end */
lt_node *lt_node_next(const lt_graph *graph, const lt_node *node);
size_t lt_graph_node_count(const lt_graph *graph, lt_region_id region);
bool lt_value_is_constant(const lt_value *value); /* defined in LT_INIT */
/* Convenience: value of input/output i, NULL when absent or out of range. */
lt_value *lt_node_in(const lt_graph *graph, const lt_node *node, uint32_t i);
lt_value *lt_node_out(const lt_graph *graph, const lt_node *node, uint32_t i);
bool lt_node_is(const lt_node *node, const char *op); /* op name in domain "" , or "domain:Name" */
const char *lt_node_describe(const lt_graph *graph, const lt_node *node, char *out, size_t size); /* node 'conv1' (Conv) */

/* ---- Editing. Every function keeps uses, order and names consistent, or fails and changes nothing. ---- */

/* Names: NULL or a name already taken gets a fresh suffix (".1"). The name is copied. */
lathe_status lt_graph_add_input(lt_graph *graph, lt_region_id region, const char *name, const lt_type *type, lt_value_id *out, lathe_diag *diag);
/* An initializer: takes its own reference to the blob. */
lathe_status lt_graph_add_initializer(lt_graph *graph, const char *name, lt_blob *blob, lt_value_id *out, lathe_diag *diag);
/* Copies the tensor into an initializer (anonymous constants of passes: name NULL gives "const.N"; the same bytes twice give the same value). */
lathe_status lt_graph_add_constant(lt_graph *graph, const char *name, const lt_tensor *tensor, lt_value_id *out, lathe_diag *diag);
lathe_status lt_graph_add_region(lt_graph *graph, lt_region_id *out, lathe_diag *diag); /* a body; becomes owned by the node that gets it as an attribute */
lathe_status lt_graph_add_output(lt_graph *graph, lt_region_id region, lt_value_id value, lathe_diag *diag);
lathe_status lt_graph_set_output(lt_graph *graph, lt_region_id region, uint32_t index, lt_value_id value, lathe_diag *diag);

typedef struct lt_node_spec {
    const char *op, *domain;    /* or */
    const lt_op *descriptor;    /* not NULL: used instead of op, domain */
    const char *label;
    const lathe_attr *attrs;    /* deep-copied into the graph's arena */
    size_t n_attrs;
    const lt_value_id *inputs;
    size_t n_inputs;
    size_t n_outputs;
    const char *const *output_names; /* NULL: fresh names; an entry "" = not wanted, if the output is optional, else a fresh name */
    lt_node_id before;          /* insert before this node; none: at the end of the region */
    const uint32_t *origins;    /* in addition to those of the edit (lt_edit_begin) */
    size_t n_origins;
    lathe_space device;
} lt_node_spec;

/* Adds a node and infers its outputs. outputs (may be NULL) gets n_outputs handles. */
lathe_status lt_graph_add_node(lt_graph *graph, lt_region_id region, const lt_node_spec *spec, lt_node_id *out, lt_value_id *outputs, lathe_diag *diag);
lathe_status lt_graph_set_input_of(lt_graph *graph, lt_node_id node, uint32_t slot, lt_value_id value, lathe_diag *diag);
/* Replaces or adds; kind NONE takes the attribute away. Bodies come with their node: graph attributes cannot be set. */
lathe_status lt_graph_set_attr(lt_graph *graph, lt_node_id node, const lathe_attr *attr, lathe_diag *diag);
/*
 * All uses of `old`, region outputs included, read `now`; only the node that computes `now` (and bodies inside it) may go on reading `old`.
 * Output names of LT_MAIN stay: when old is an output, the two values swap names. That needs a `now` that may lose its name: not an input, an
 * initializer or an output of the network already. In LT_INIT, `now` must hold the same bytes.
 */
bool lt_graph_replaceable(const lt_graph *graph, lt_value_id old, lt_value_id now); /* would it be allowed? (types apart from the class and dtype) */
lathe_status lt_graph_replace_value(lt_graph *graph, lt_value_id old, lt_value_id now, lathe_diag *diag);
lathe_status lt_graph_remove_node(lt_graph *graph, lt_node_id node, lathe_diag *diag); /* its outputs must be unused; also frees its regions */
/* An input of the network or an initializer that nobody reads. */
lathe_status lt_graph_remove_input(lt_graph *graph, lt_value_id value, lathe_diag *diag);
lathe_status lt_graph_remove_output(lt_graph *graph, uint32_t index, lathe_diag *diag); /* of LT_MAIN */
lathe_status lt_graph_rename(lt_graph *graph, lt_value_id value, const char *name, lathe_diag *diag); /* the name must be free */
lathe_status lt_graph_move_before(lt_graph *graph, lt_node_id node, lt_node_id before, lathe_diag *diag); /* must keep a topological order */
/* Moves a node whose inputs are all constants to LT_INIT and evaluates it there: its outputs become constants with a recipe. */
lathe_status lt_graph_fold_node(lt_graph *graph, lt_node_id node, lathe_diag *diag);
/* Splices the chosen body of an If (or any region without inputs) in place of its owner. */
lathe_status lt_graph_inline_region(lt_graph *graph, lt_node_id owner, lt_region_id region, lathe_diag *diag);
void lt_graph_set_group(lt_graph *graph, lt_node_id node, uint32_t group);
void lt_graph_set_device(lt_graph *graph, lt_node_id node, lathe_space device);
/* Small integer host inputs get symbols as contents: element i of `shape` is the dimension shape$i, never negative. */
lathe_status lt_graph_set_host_input(lt_graph *graph, lt_value_id value, bool host, lathe_diag *diag);
/*
 * Copies node `from` of graph `src` (its regions too) into `dst`, with inputs mapped by the caller (one for each input of the node). Values that
 * its bodies capture are found in dst by name. For extraction, reduction, inlining.
 */
lathe_status lt_graph_copy_node(lt_graph *dst, lt_region_id region, const lt_graph *src, lt_node_id from, const lt_value_id *inputs, lt_node_id *out, lathe_diag *diag);

/* Infers the outputs of one node, or of all nodes in order (after input types, ranges or constants changed). */
lathe_status lt_graph_infer_node(lt_graph *graph, lt_node_id node, lathe_diag *diag);
lathe_status lt_graph_infer(lt_graph *graph, lathe_diag *diag);
/* Infers all nodes once more and tells of each pair of extents that an operator needs equal, or would like to be, and that cannot be proved so. node: which. */
typedef void (*lt_meeting_fn)(void *user, lt_dim a, lt_dim b, const char *node);
lathe_status lt_graph_meetings(lt_graph *graph, lt_meeting_fn fn, void *user, lathe_diag *diag);
lathe_status lt_graph_set_type(lt_graph *graph, lt_value_id value, const lt_type *type, lathe_diag *diag); /* inputs only */
/* Uses, order, types, names, regions, acyclicity, signatures. Called after every pass in debug builds. */
lathe_status lt_graph_verify(const lt_graph *graph, lathe_diag *diag);
/* Hash of the canonical text: names a graph in caches. */
lathe_status lt_graph_hash(const lt_graph *graph, uint64_t *out, lathe_diag *diag);

/* ---- Constants, recipes, assumptions ---- */

/* Elements of a constant value (evaluating its recipe if need be); NULL tensor when the value is no constant. Reading *values* in a pass must be declared
   by one of the assume functions; reading dtype and shape need not. */
const lt_tensor *lt_value_tensor(const lt_value *value);
/*
 * A pass looked at the elements of a constant and relied on them. Recorded for every named initializer in its recipe:
 * refit refuses data that break it.
 */
typedef enum lt_assume_kind {
    LT_ASSUME_BYTES, /* these very bytes (hash) */
    LT_ASSUME_SPLAT, /* all elements equal this number */
    LT_ASSUME_SIGN   /* all elements >= 0 (number 0), > 0 (1) */
} lt_assume_kind;
typedef struct lt_assumption {
    const char *initializer;
    lt_assume_kind kind;
    double number;
    uint64_t hash;
    const char *pass; /* who relied on it */
} lt_assumption;
lathe_status lt_graph_assume(lt_graph *graph, lt_value_id value, lt_assume_kind kind, double number, lathe_diag *diag);
/* Constants that stand as shapes, axes or counts (host inputs of operators): inference has read them, so all are relied on, by "inference". */
lathe_status lt_graph_assume_shapes(lt_graph *graph, lathe_diag *diag);
size_t lt_graph_assumptions(const lt_graph *graph, const lt_assumption **out);
/* The usual questions; they record the assumption when the answer is yes. tolerance relative. */
bool lt_graph_is_splat(lt_graph *graph, lt_value_id value, double number, double tolerance); /* all elements equal number */
bool lt_graph_scalar(lt_graph *graph, lt_value_id value, double *out);                       /* exactly one element (or all the same) */
lathe_status lt_graph_ints(lt_graph *graph, lt_value_id value, int64_t *out, int max, int *count); /* integer elements of a constant; count -1: not a constant, not integers, or more than max */

/* ---- Provenance ---- */

/* The ONNX nodes that the graph came from, by number. */
typedef struct lt_origin {
    const char *label, *op, *domain;
    const char *path; /* "" or "if1/then_branch" for nodes of subgraphs and "function Foo" for inlined ones */
} lt_origin;
lathe_status lt_graph_add_origin(lt_graph *graph, const lt_origin *origin, uint32_t *number, lathe_diag *diag);
size_t lt_graph_origins(const lt_graph *graph, const lt_origin **out);
/* Nodes of LT_MAIN and its bodies that have no origin get one each, in order: for graphs that did not come from ONNX. */
lathe_status lt_graph_number_origins(lt_graph *graph, lathe_diag *diag);
/* The same for one node of LT_MAIN, all before it having theirs. */
lathe_status lt_graph_number_node(lt_graph *graph, lt_node_id node, lathe_diag *diag);

/* Edits between begin and end belong to (pass, rule). New nodes get the union of `origins` collected so far with lt_edit_consume. */
lathe_status lt_edit_begin(lt_graph *graph, const char *pass, const char *rule, lathe_diag *diag);
lathe_status lt_edit_consume(lt_graph *graph, lt_node_id node, lathe_diag *diag); /* this node is replaced by the edit's new nodes */
lathe_status lt_edit_gone(lt_graph *graph, uint32_t origin, lathe_diag *diag); /* this edit removes an origin that never had a node here */
lathe_status lt_edit_note(lt_graph *graph, const char *note, lathe_diag *diag); /* what happened, for explain */
void lt_edit_end(lt_graph *graph); /* an edit that did nothing leaves no record */

typedef struct lt_log_record {
    const char *pass, *rule;
    const uint32_t *gone;  /* origins that lost a node in this edit */
    uint32_t n_gone;
    uint32_t n_added;      /* nodes added */
    const char *note;      /* what happened, for explain; "" */
} lt_log_record;
size_t lt_graph_log(const lt_graph *graph, const lt_log_record **out);

typedef enum lt_fate { LT_FATE_STEP, LT_FATE_FOLDED, LT_FATE_REMOVED } lt_fate;
/* Exactly one for each origin; pass names who removed or folded it ("" for steps). A test sums them up. */
lathe_status lt_graph_fate(const lt_graph *graph, uint32_t origin, lt_fate *fate, const char **pass, lathe_diag *diag);
/* All of them in one sweep; both arrays hold one entry for each origin. */
lathe_status lt_graph_fates(const lt_graph *graph, lt_fate *fates, const char **passes, lathe_diag *diag);

/* Why a legal edge was not fused: one reason for each, written by grouping, kept for explain. */
typedef struct lt_refusal {
    lt_value_id value;
    lt_node_id from, to;
    const char *reason;
} lt_refusal;
lathe_status lt_graph_refuse(lt_graph *graph, lt_value_id value, lt_node_id from, lt_node_id to, const char *reason, lathe_diag *diag);
size_t lt_graph_refusals(const lt_graph *graph, const lt_refusal **out);
void lt_graph_clear_refusals(lt_graph *graph);

/* ---- Text IR (docs/ir.md) ---- */

typedef struct lt_text_options {
    bool types;      /* print result types */
    bool labels;     /* [label] */
    bool origins;    /* origin numbers, for plans */
    size_t inline_bytes; /* constants up to this size are printed with their elements; default 64 */
    bool contents;       /* constants by their elements alone, no rand(seed): the same text whichever way a network came */
} lt_text_options;
/* What plans, golden tests and hashes use: types, labels, no origins, 64 bytes. */
extern const lt_text_options lt_text_canonical;
lathe_status lt_graph_print(const lt_graph *graph, const lt_text_options *options, lt_buf *out, lathe_diag *diag);

/* find(user, hash) gives a blob (a reference the callee owns) for blob(hash) constants, or NULL. */
typedef lt_blob *(*lt_blob_find)(void *user, uint64_t hash);
lathe_status lt_graph_parse(const char *text, size_t length, const char *file_name, const lathe_allocator *allocator, lt_blob_find find, void *user,
                            lt_graph **out, lathe_diag *diag);
/* "f32[2,3] x = rand(1), ... | y = Add (x, b)" -> a graph without inputs whose outputs are the node's results. */
lathe_status lt_graph_parse_sample(const char *text, const char *name, const lathe_allocator *allocator, lt_graph **out, lathe_diag *diag);

/* ---- Reference execution: every node by its op's eval. The oracle. ---- */

typedef struct lt_run_options {
    uint64_t seed;
    /* Called for each value of LT_MAIN when it is computed; may be NULL. */
    lathe_status (*visit)(void *user, const lt_graph *graph, lt_value_id value, const lt_any *data, lathe_diag *diag);
    void *user;
    bool keep_all; /* otherwise values are freed after their last use */
} lt_run_options;
typedef struct lt_run lt_run; /* owns the results */
/* inputs: one for each input of LT_MAIN, in order. */
lathe_status lt_graph_run(const lt_graph *graph, const lt_any *const *inputs, size_t n_inputs, const lt_run_options *options, lt_run **out, lathe_diag *diag);
const lt_any *lt_run_output(const lt_run *run, size_t index);
const lt_any *lt_run_value(const lt_run *run, lt_value_id value); /* with keep_all: of LT_MAIN; NULL when it was not computed */
/* What lt_eval.node is for this node's evaluation number `count`: from the name of its first output, so that it survives passes and files. */
uint64_t lt_node_random_key(const lt_graph *graph, const lt_node *node, uint64_t count);
void lt_run_destroy(lt_run *run);

#endif
