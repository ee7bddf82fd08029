/*
 * passes_internal.h - what the files of src/passes share: the compiled form of rules, matches, and helpers for passes. Private to src/passes
 * (and its tests).
 */
#ifndef LT_PASSES_INTERNAL_H
#define LT_PASSES_INTERNAL_H

#include "passes/passes.h"

/* ---- Compiled rules: rule_text.c reads text, rule_check.c checks it, rule_match.c and rule_build.c use it ---- */

enum {
    LT_RULE_TERMS = 32, /* of one side of a rule */
    LT_RULE_NAMES = 32,
    LT_RULE_ARGS = 10,
    LT_RULE_OPS = 6,
    LT_RULE_ATTRS = 16,
    LT_RULE_ROOTS = 4
};

typedef enum lt_term_kind {
    LT_TERM_NODE,   /* Op(args) */
    LT_TERM_VALUE,  /* a capture: any value; in replacements a captured or computed one */
    LT_TERM_OUTPUT, /* output `output` of the node that an earlier statement named */
    LT_TERM_ANY,    /* _ : anything, absent included; in replacements: absent */
    LT_TERM_NUMBER, /* a constant whose elements all equal a number */
    LT_TERM_INTS    /* a constant integer vector */
} lt_term_kind;

/* What a capture asks for. */
enum {
    LT_NEED_CONST = 1u,
    LT_NEED_SCALAR = 2u, /* a constant of one element, or of equal elements */
    LT_NEED_SPLAT = 4u,
    LT_NEED_DTYPE = 8u,
    LT_NEED_SINGLE = 16u /* one use */
};

typedef struct lt_rule_attr {
    int name;       /* >= 0: binds that name (pattern), takes what it is bound to (replacement) */
    int copy;       /* >= 0: replacement: all attributes of the node matched by that term of the pattern */
    bool or_absent; /* guards: an absent attribute is fine too */
    lathe_attr value; /* value.name always set unless copy >= 0 */
} lt_rule_attr;

typedef struct lt_term {
    lt_term_kind kind;
    int name; /* index into names; -1: none */
    const lt_op *ops[LT_RULE_OPS];
    int n_ops;     /* 0 for a node: none of the operators exists in this build, the rule is inert */
    bool optional; /* Op?(x): may be missing, then its first argument stands here */
    bool shared;   /* !Op(x): may have other uses */
    bool more;     /* ... : any further inputs */
    int args[LT_RULE_ARGS], n_args;
    int attrs, n_attrs; /* range in attrs of the side */
    int node, output;   /* LT_TERM_OUTPUT */
    uint32_t needs;
    lathe_dtype dtype;
    double number, tolerance;
    int64_t ints[LT_RULE_ARGS];
    int n_ints;
} lt_term;

/* Terms are in an order in which arguments come before the nodes that use them. */
typedef struct lt_rule_side {
    lt_term terms[LT_RULE_TERMS];
    int n_terms;
    lt_rule_attr attrs[LT_RULE_ATTRS];
    int n_attrs;
    int roots[LT_RULE_ROOTS]; /* terms: one in patterns; what replaces output i in replacements */
    int n_roots;
} lt_rule_side;

typedef enum lt_name_kind { LT_NAME_FREE, LT_NAME_VALUE, LT_NAME_NODE, LT_NAME_ATTR, LT_NAME_LOCAL } lt_name_kind;

typedef struct lt_rule_code {
    const lt_rule *rule;
    const char *names[LT_RULE_NAMES];
    lt_name_kind name_kind[LT_RULE_NAMES]; /* FREE: named by the replacement only; a guard must bind it */
    int name_term[LT_RULE_NAMES];          /* NODE: term of the pattern; LOCAL: term of the replacement */
    int n_names;
    lt_rule_side from, to;
    bool inert;
} lt_rule_code;

/* Reads both sides of a rule into *code (in the arena); LATHE_INTERNAL with the place in the text when it is wrong. */
lathe_status lt_rule_compile(const lt_rule *rule, lt_arena *arena, lt_rule_code **code, lathe_diag *diag);
/* Only the text: no check of the measure. Used by lt_rule_compile. */
lathe_status lt_rule_read(const lt_rule *rule, lt_arena *arena, lt_rule_code *code, lathe_diag *diag);
/* Called for each operator name of the rule that does not exist in this build; for the test that finds misspelt ones. */
typedef void (*lt_rule_unknown)(void *user, const char *rule, const char *op);
void lt_rule_unknown_ops(const lt_rule *rule, lt_rule_unknown report, void *user);

/* ---- Matches ---- */

struct lt_match {
    lt_graph *graph;
    const lt_rule_code *code;
    lt_arena *scratch;
    lt_node_id root;
    lt_node_id nodes[LT_RULE_TERMS];         /* by term of the pattern */
    lt_value_id values[LT_RULE_NAMES];       /* by name */
    const lathe_attr *attrs[LT_RULE_NAMES];  /* by name; NULL: absent */
    bool bound[LT_RULE_NAMES];
    bool dies[LT_RULE_TERMS];                /* the matched node goes away with the replacement */
    lt_value_id made[LT_RULE_ROOTS];         /* after lt_rule_apply: what stands for the outputs now */
    lathe_status status;                     /* a guard that ran out of memory says so here */
};

/* Matches the rule at this node; on success *m is filled, constants that it looked at are not yet recorded as assumptions. */
bool lt_rule_match(const lt_rule_code *code, lt_graph *graph, const lt_node *root, lt_arena *scratch, lt_match *m);
/* Records what the match relied on, then replaces. The caller has opened an edit. */
lathe_status lt_rule_apply(lt_match *m, lathe_diag *diag);

/* For guards. Names as in the pattern; a named node gives itself and, as a value, its output 0. */
lt_value *lt_match_value(const lt_match *m, const char *name);
lt_node *lt_match_node(const lt_match *m, const char *name);
lt_node *lt_match_root(const lt_match *m);
const lathe_attr *lt_match_attr(const lt_match *m, const char *name); /* NULL: absent */
/* Give the replacement a value or an attribute under a name that the pattern does not bind. Attributes are copied shallowly. */
void lt_match_set_value(lt_match *m, const char *name, lt_value_id value);
void lt_match_set_ints(lt_match *m, const char *name, const int64_t *ints, size_t count);
void lt_match_set_int(lt_match *m, const char *name, int64_t value);
void lt_match_set_float(lt_match *m, const char *name, float value);

/* Applies the rules everywhere until none matches (rule_drive.c). */
lathe_status lt_rules_run(lt_pass_call *c, const lt_rule *rules);

/* ---- Helpers for passes (pass_util.c, constant_util.c) ---- */

/* Says why a pass left something alone, when somebody listens (lathe-opt --notes, LATHE_DEBUG). */
void lt_pass_note(lt_pass_call *c, const lt_node *node, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Next node in order over all live regions but LT_INIT; start with none. Safe when the node given is still alive. */
lt_node *lt_walk_first(const lt_graph *graph);
lt_node *lt_walk_next(const lt_graph *graph, const lt_node *node);
/* All nodes of live regions but LT_INIT, in order, as ids that stay good while the graph changes. In the scratch arena. */
lathe_status lt_walk_list(lt_pass_call *c, lt_node_id **out, size_t *count);

bool lt_value_unused(const lt_value *value);
bool lt_node_unused(const lt_graph *graph, const lt_node *node);
/* Used exactly once, by a node. */
bool lt_value_single(const lt_value *value);
/* Used exactly once, but for recipes: those run once. */
bool lt_value_read_once(const lt_graph *graph, const lt_value *value);
uint32_t lt_node_inputs(const lt_node *node);  /* without absent ones at the end */
bool lt_type_proves_same(const lt_graph *graph, const lt_type *a, const lt_type *b); /* class, dtype, rank, all dims equal for sure */
bool lt_dims_prove_same(const lt_graph *graph, const lt_type *a, const lt_type *b);  /* rank and dims only */
bool lt_attr_same(const lathe_attr *a, const lathe_attr *b); /* kind and value, bit by bit; graphs and types are never the same */
bool lt_type_constant(const lt_type *type, int64_t *dims); /* tensor whose dims are all numbers */
/* May all uses of `old` read `now`, region outputs included? An output of the network must stay a value that a node of the network computes. */
bool lt_can_replace(const lt_graph *graph, const lt_value *old, const lt_value *now);

/* Looks at a constant without recording anything; the caller records when it acts on the answer. */
bool lt_peek_splat(const lt_value *value, double number, double tolerance);
bool lt_peek_scalar(const lt_value *value, double *out); /* one element, or all equal */
bool lt_peek_ints(const lt_value *value, int64_t *out, int max, int *count);
/* Has the constant one element, or one for each channel (axis 1) of a tensor of this rank? */
bool lt_suits_channels(const lt_value *constant, int rank, int64_t channels);
/* All bytes of the constants among the node's inputs of an integer or bool type, as shape arithmetic reads them. */
lathe_status lt_assume_shape_inputs(lt_graph *graph, const lt_node *node, lathe_diag *diag);

/* fold_constants.c: moves the node to the init function if its inputs are constants and its result is not too large. */
lathe_status lt_fold_if_constant(lt_pass_call *c, lt_node_id id);

/*
 * Nodes over constants: adds the node before `at` and folds it into LT_INIT, so that its result is a constant with a recipe. With an input that is
 * no constant it stays an ordinary node. n_outputs is 1.
 */
typedef struct lt_make {
    lt_pass_call *call;
    lt_node_id at;
    bool keep; /* do not fold, even over constants */
} lt_make;
lathe_status lt_make_node(const lt_make *make, const char *op, const lathe_attr *attrs, size_t n_attrs, const lt_value_id *inputs, size_t n_inputs,
                          lt_value_id *out);
lathe_status lt_make_binary(const lt_make *make, const char *op, lt_value_id a, lt_value_id b, lt_value_id *out);
lathe_status lt_make_ints(const lt_make *make, const int64_t *ints, int count, lt_value_id *out);      /* i64[count] constant */
lathe_status lt_make_scalar(const lt_make *make, lathe_dtype dtype, double number, lt_value_id *out);  /* dtype[] constant */
lathe_status lt_make_reshape(const lt_make *make, lt_value_id x, const int64_t *dims, int rank, lt_value_id *out);
lathe_status lt_make_cast(const lt_make *make, lt_value_id x, lathe_dtype dtype, lt_value_id *out);

static inline lathe_attr lt_attr_int(const char *name, int64_t i)
{
    return (lathe_attr){ .name = name, .kind = LATHE_ATTR_INT, .i = i };
}

/*
 * Ends a replacement: all uses of `old` read `now`; nodes listed in `dead` are removed in order (those still in use stay); `now` takes the name of old.
 */
lathe_status lt_finish_replace(lt_graph *graph, lt_value_id old, lt_value_id now, bool fresh, lathe_diag *diag);
/* Several nodes that one takes the place of (fuse_util.c). */
typedef struct lt_fusion {
    lt_node_id nodes[32];
    int n_nodes;
} lt_fusion;
bool lt_fusion_add(lt_fusion *f, lt_node_id node); /* once each; false when there are too many */
/* Does nobody outside read what they compute, the first result of the root apart? */
bool lt_fusion_closed(const lt_fusion *f, const lt_graph *graph, lt_node_id root);
/* Inside an edit: consumes all, puts the node of *spec (operator, attributes, inputs) before the root and in its place, removes what is unused. */
lathe_status lt_fusion_replace(lt_pass_call *c, const lt_fusion *f, lt_node_id root, lt_node_spec *spec);
/* The node of that operator that computes the value as its first result, but not in the init function; NULL: none. */
const lt_node *lt_maker(const lt_graph *graph, const lt_value *value, const char *op);
/* Rows are what stands at x's axes from `axis` on (fold_scale_into_norm.c): their extents; false when one is not known. */
bool lt_row_dims(const lt_type *x, int axis, int64_t *dims);
/* Has the constant one element, or (*whole) those of a row, with leading extents of 1? */
bool lt_suits_row(const lt_value *value, const lt_type *x, int axis, bool *whole);
/* Such a constant in the shape of a row. */
lathe_status lt_make_row(const lt_make *make, lt_value_id value, const lt_type *x, int axis, lt_value_id *out);
/* Numbers that quantize (quantize_util.c): one positive number that is known; the same number in both, for sure. What was looked at is assumed. */
bool lt_positive_number(lt_pass_call *c, const lt_value *scale, lathe_status *status);
bool lt_same_number(lt_pass_call *c, const lt_value *a, const lt_value *b, lathe_status *status);
/* Removes the node if nothing uses it any more. */
lathe_status lt_remove_unused(lt_graph *graph, lt_node_id node, lathe_diag *diag);

#endif
