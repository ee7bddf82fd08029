/*
 * onnx_internal.h - what the importer's files share: mapped sources, tensors, types, scopes, the call that upgrades
 * see. Part of onnx.
 */
#ifndef LT_ONNX_INTERNAL_H
#define LT_ONNX_INTERNAL_H

#include <stdatomic.h>

#include "onnx/proto.h"

/* Newest versions that this build reads. */
enum { LT_NEWEST_OPSET = 27, LT_NEWEST_ML_OPSET = 5, LT_NEWEST_IR = 14, LT_EXPORT_IR = 13 };
/* Functions may multiply; a model that unfolds to more nodes than this is refused. */
enum { LT_IMPORT_MAX_NODES = 1 << 18 };
/* No operator has anything like this many attributes, no name is anything like this long. */
enum { LT_IMPORT_MAX_ATTRS = 256, LT_IMPORT_MAX_NAME = 4096 };
/*
 * Elements that are copied may be 16 times the model's bytes (numbers of one byte become 8) and this much more:
 * functions may multiply them.
 */
enum { LT_IMPORT_SLACK = 1 << 28 };
/* Advice where nothing in the model can be put right by hand. */
#define LT_EXPORT_ANEW "the file is damaged or was written by a broken exporter: export the model anew"

/* ---- Sources: mapped files that blobs point into (source.c) ---- */

typedef struct lt_source {
    const lathe_allocator *allocator;
    atomic_size_t references;
    lt_file file;
} lt_source;

lathe_status lt_source_map(const lathe_allocator *allocator, const char *path, lt_source **out, lathe_diag *diag);
lathe_status lt_source_map_below(const lathe_allocator *allocator, const char *folder, const char *name,
                                 lt_source **out, lathe_diag *diag);
void lt_source_release(lt_source *source); /* NULL ok; thread-safe */

/* ---- Tensors (onnx_tensor.c) ---- */

typedef struct lt_external { /* a file of external data that is open */
    lathe_bytes location;
    lt_source *source;
} lt_external;

typedef struct lt_tensor_reader {
    const lathe_allocator *allocator;
    lt_arena *arena;    /* decoded elements, until the reader's user is done */
    lt_source *source;  /* the mapped model; NULL: its bytes are the caller's and must be copied */
    const char *folder; /* of external data; NULL: none may be read */
    lt_external *externals;
    size_t n_externals, cap_externals;
    const lt_import_options *options; /* for fill; may be NULL */
    const lt_pb_model *model;         /* metadata for fill; may be NULL */
    bool copy;                        /* lt_tensor_read gives nothing that points into the file */
    uint64_t budget;                  /* bytes that may still be copied */
} lt_tensor_reader;

/* The elements in the arena or, where they are aligned, in the file (valid while the reader is). */
lathe_status lt_tensor_read(lt_tensor_reader *reader, const lt_pb_tensor *pb, const char *where, lt_tensor *out,
                            lathe_diag *diag);
/* The same as a blob that keeps its file mapped. */
lathe_status lt_tensor_blob(lt_tensor_reader *reader, const lt_pb_tensor *pb, const char *where, lt_blob **out,
                            lathe_diag *diag);
/* A sparse tensor as a dense blob (onnx_sparse.c). */
lathe_status lt_sparse_blob(lt_tensor_reader *reader, const lt_pb_sparse *pb, const char *where, lt_blob **out,
                            lathe_diag *diag);
void lt_tensor_reader_close(lt_tensor_reader *reader);
/* Takes bytes off the budget; LATHE_BAD_MODEL when there are not that many. */
lathe_status lt_tensor_spend(lt_tensor_reader *reader, size_t bytes, const char *where, lathe_diag *diag);

/* ---- Types (onnx_type.c) ---- */

typedef enum lt_dim_use {
    LT_DIM_USE_SYMBOL, /* inputs of the model: names are symbols, unnamed dims get one of their own */
    LT_DIM_USE_FRESH   /* inputs of bodies, attributes: only numbers are believed */
} lt_dim_use;
/* name: of the value, for messages and for symbols of unnamed dims. Element types are allocated from the arena. */
lathe_status lt_type_read(const lt_pb_type *pb, lt_dims *dims, lt_dim_use use, lt_arena *arena, const char *name,
                          const char *where, lt_type *out, lathe_diag *diag);

/* ---- Import: the state of one run (import.c and friends) ---- */

typedef struct lt_bindings { /* attributes that a function was called with; all references resolved */
    const lt_pb_attribute *const *at;
    size_t count;
} lt_bindings;

typedef struct lt_opsets {
    const lt_pb_opset *at;
    size_t count;
} lt_opsets;

typedef struct lt_import lt_import;
typedef struct lt_scope {
    struct lt_scope *outer; /* whose names are seen; NULL for the model's graph and for function bodies */
    lt_map names;           /* bytes -> packed value */
    lt_region_id region;
    const lt_bindings *bindings; /* NULL outside functions */
    lt_opsets opsets;
    const char *path;                /* "" or "if1/then_branch", "call1/function Foo" */
    const char *prefix;              /* of value names where the plain one is taken; NULL in the model's graph */
    bool function;                   /* names always get the prefix, except outputs: */
    const lt_pb_strings *outputs;    /* outputs of the function ... */
    const char *const *output_names; /* ... and the names that the caller gives them; NULL: not wanted */
    const lt_pb_node *nodes;         /* being imported, to tell "later" from "nowhere" */
    size_t n_nodes;
    bool dead;         /* nothing here can be built: only look for what is unsupported */
    lt_import *import; /* set by lt_scope_open */
} lt_scope;

struct lt_import {
    const lathe_allocator *allocator;
    const lt_import_options *options;
    lt_arena arena;
    const lt_pb_model *model;
    const char *name; /* of the model, for messages */
    lt_tensor_reader reader;
    lt_graph *graph;
    lathe_diag *diag; /* private: becomes the user's at the end */
    lt_map taken;     /* value names that are given away or will be, by the model's graph */
    uint64_t suffix;
    lt_arena *report_arena;
    lt_unsupported *unsupported; /* in report_arena */
    size_t n_unsupported, cap_unsupported;
    const lt_pb_function *active[LT_MAX_DEPTH]; /* functions being inlined, to refuse recursion */
    int n_active;
    int depth;                /* scopes that are open */
    lt_map functions;         /* domain, name and overload -> index in the model */
    uint64_t *function_sizes; /* nodes that each unfolds to; 0: not counted */
    uint64_t expanded;        /* nodes that expansions made, and what they looked at for it */
};

/* A looked-up name: found or not, and a value, none (absent input), or dead (made by something unsupported). */
typedef struct lt_named {
    bool found, dead;
    lt_value_id value;
} lt_named;

/* ---- import_scope.c: names, places, the report ---- */

/* scope's other members are set by the caller; outer may be NULL. */
lathe_status lt_scope_open(lt_import *in, lt_scope *scope);
void lt_scope_close(lt_scope *scope);
/* LATHE_BAD_MODEL when the scope itself has the name already. */
lathe_status lt_scope_bind(lt_import *in, lt_scope *scope, lathe_bytes name, lt_named value, const char *where);
lt_named lt_scope_find(const lt_scope *scope, lathe_bytes name);
/* The same for an input of a node: a name that nobody gives is LATHE_BAD_MODEL, by name. "" is found and none. */
lathe_status lt_scope_input(lt_import *in, const lt_scope *scope, lathe_bytes name, const char *where, lt_named *out);
/* A name for a new value that no other value has or will have; the model's graph keeps its own names. */
lathe_status lt_import_value_name(lt_import *in, const lt_scope *scope, lathe_bytes name, const char **out);
lathe_status lt_import_take_name(lt_import *in, const char *name);
/* NUL-terminated text of a span; LATHE_BAD_MODEL when it holds a NUL byte or is longer than LT_IMPORT_MAX_NAME. */
lathe_status lt_import_str(lt_import *in, lathe_bytes span, const char *where, const char **out);
/* What to call a node: its name, else that of its first result. */
lathe_bytes lt_import_label(const lt_pb_node *node);
/* "outer/label/what"; of deep nests the inner part is left out. NULL: out of memory. */
const char *lt_import_path(lt_import *in, const lt_scope *outer, const char *label, const char *what);
/* "model.onnx: if1/then_branch: node 'conv1' (Conv)" in the arena. */
const char *lt_import_where(lt_import *in, const lt_scope *scope, const lt_pb_node *node);
/* Records something that cannot be handled; advice may be NULL. */
lathe_status lt_import_refuse(lt_import *in, const lt_scope *scope, const lt_pb_node *node, int64_t version,
                              const char *reason, const char *advice);
/* After a call that reported LATHE_UNSUPPORTED: the same, with its text; other states are passed on. */
lathe_status lt_import_refused(lt_import *in, const lt_scope *scope, const lt_pb_node *node, int64_t version,
                               lathe_status status);
/* Version that the scope imports for a domain; 0: none. */
int64_t lt_import_version(const lt_opsets *opsets, lathe_bytes domain);
bool lt_import_is_onnx(lathe_bytes domain); /* "" or "ai.onnx" */

/* ---- import_node.c, import_constant.c ---- */

/* Nodes of a graph or function in order. needed: NULL for all. */
lathe_status lt_import_nodes(lt_import *in, lt_scope *scope, const lt_pb_node *nodes, size_t count, const bool *needed);
/* A Constant node as an initializer of that name. */
lathe_status lt_import_constant(lt_import *in, const lt_scope *scope, const lt_pb_node *node, const char *name,
                                uint32_t origin, const char *where, lt_value_id *out);

/* ---- import_graph.c: graphs and subgraphs ---- */

lathe_status lt_import_main(lt_import *in);
typedef struct lt_body_call { /* who owns a subgraph: its inputs give types where the body declares none */
    const lt_pb_node *node;
    const lt_value_id *inputs;
    size_t n_inputs;
    int64_t version;
    const char *where;
    bool dead; /* the owner will not be built: look for what is unsupported; set when an output of the body is dead */
    lt_region_id *regions; /* made so far */
    size_t n_regions, cap_regions;
} lt_body_call;
/* A subgraph as a region, from the graph attribute `attr`. */
lathe_status lt_import_body(lt_import *in, lt_scope *outer, const lt_pb_graph *body, lt_body_call *call,
                            const char *attr, lt_region_id *out);

/* ---- import_body_types.c ---- */

/* What the owner's inputs say about input `index` of its body. */
lathe_status lt_import_body_input(lt_import *in, const lt_body_call *call, size_t index, size_t n_body_inputs,
                                  lt_type *out);

/* ---- import_order.c ---- */

/*
 * An order in which every node follows those it reads; *order NULL: as they are. A cycle is LATHE_BAD_MODEL, by name.
 */
lathe_status lt_import_order(lt_import *in, const lt_pb_node *nodes, size_t count, const size_t **order);
/*
 * Which nodes of the model's graph the kept outputs need, and which names they read. names is empty and the caller's to
 * free.
 */
lathe_status lt_import_needed(lt_import *in, const lt_pb_graph *graph, const size_t *order, lt_map *names, bool *nodes);

/* ---- import_function.c ---- */

/* Fills in->functions; two of one name are LATHE_BAD_MODEL. */
lathe_status lt_import_functions(lt_import *in);
/* LATHE_BAD_MODEL when the model would unfold to more nodes than LT_IMPORT_MAX_NODES. */
lathe_status lt_import_check_size(lt_import *in);
/* The model's function that the node calls; *out NULL: none. */
lathe_status lt_import_function(lt_import *in, const lt_pb_node *node, const lt_pb_function **out);
lathe_status lt_import_call(lt_import *in, lt_scope *scope, const lt_pb_node *node, const lt_pb_function *function,
                            const char *where);
/* The attribute itself, or what the function was called with; *out NULL: absent. */
lathe_status lt_import_resolve(lt_import *in, const lt_scope *scope, const lt_pb_attribute *attr, const char *where,
                               const lt_pb_attribute **out);

/* ---- import_attr.c ---- */

/* Kind of an attribute, given or deduced; LATHE_BAD_MODEL when its fields contradict it. */
lathe_status lt_import_attr_kind(lt_import *in, const lt_pb_attribute *attr, const char *where, int64_t *kind);
/* Attributes of a node; graph attributes become regions. *reason: set when a form is unsupported. */
lathe_status lt_import_attrs(lt_import *in, lt_scope *scope, lt_body_call *call, lathe_attr **out, size_t *count,
                             const char **reason);

/* ---- Upgrades (upgrade.c; tables in upgrade_*.c) ---- */

struct lt_upgrade_call {
    lt_import *import;
    lt_graph *graph;
    lt_arena *arena;
    lt_region_id region;
    const char *where;
    int64_t opset; /* of the model */
    uint32_t origin;
    /* The node so far; rows edit these. */
    const char *op, *domain;
    lathe_attr *attrs;
    size_t n_attrs, cap_attrs;
    lt_value_id *inputs;
    size_t n_inputs, cap_inputs;
    size_t n_outputs;
    const bool *wanted;         /* n_outputs: does the output have a name? */
    lathe_dtype cast_output[8]; /* not UNDEFINED: output i gets a Cast to this type behind it */
};

/* Applies all rows for the node. */
lathe_status lt_upgrade_apply(lt_upgrade_call *call, lathe_diag *diag);
/* Is there a way from (op, domain) at this opset to an operator that this build has? Else *reason, from the arena. */
lathe_status lt_upgrade_known(lt_arena *arena, const char *op, const char *domain, int64_t opset, const char **reason,
                              lathe_diag *diag);

/* For rows. All strings must live as long as the call. */
const lathe_attr *lt_up_attr(const lt_upgrade_call *call, const char *name);
void lt_up_drop(lt_upgrade_call *call, const char *name);
lathe_status lt_up_set_int(lt_upgrade_call *call, const char *name, int64_t value, lathe_diag *diag);
lathe_status lt_up_set_float(lt_upgrade_call *call, const char *name, float value, lathe_diag *diag);
lathe_status lt_up_set_string(lt_upgrade_call *call, const char *name, const char *value, lathe_diag *diag);
/* An attribute under another name. */
lathe_status lt_up_set_attr(lt_upgrade_call *call, const lathe_attr *attr, const char *name, lathe_diag *diag);
bool lt_up_has_input(const lt_upgrade_call *call, size_t slot);
/* The type of an input; NULL when it is absent. */
const lt_type *lt_up_type(const lt_upgrade_call *call, size_t slot);
lathe_status lt_up_rank(lt_upgrade_call *call, size_t slot, int *rank,
                        lathe_diag *diag); /* LATHE_UNSUPPORTED when unknown */
lathe_status lt_up_set_input(lt_upgrade_call *call, size_t slot, lt_value_id value, lathe_diag *diag);
lathe_status lt_up_ints(lt_upgrade_call *call, const int64_t *values, size_t count, lt_value_id *out,
                        lathe_diag *diag); /* i64[count] */
lathe_status lt_up_scalar(lt_upgrade_call *call, lathe_dtype dtype, double value, lt_value_id *out,
                          lathe_diag *diag); /* rank 0 */
lathe_status lt_up_floats(lt_upgrade_call *call, const float *values, size_t count, lt_value_id *out,
                          lathe_diag *diag); /* f32[count] */
/* Adds a node with one output before the node. */
lathe_status lt_up_node(lt_upgrade_call *call, const char *op, const lathe_attr *attrs, size_t n_attrs,
                        const lt_value_id *inputs, size_t n_inputs, lt_value_id *out, lathe_diag *diag);
/* An INTS attribute becomes input `slot` (absent stays absent). */
lathe_status lt_up_ints_to_input(lt_upgrade_call *call, const char *attr, size_t slot, lathe_diag *diag);
lathe_status lt_up_refuse(lt_upgrade_call *call, lathe_diag *diag, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Row functions shared by tables. */
lathe_status lt_up_introduced(lt_upgrade_call *call, lathe_diag *diag); /* the operator did not exist before: refused */
lathe_status lt_up_drop_consumed(lt_upgrade_call *call, lathe_diag *diag); /* consumed_inputs */

#endif
