/*
 * tune_internal.h - shared by the files of src/tune.
 */
#ifndef LT_TUNE_INTERNAL_H
#define LT_TUNE_INTERNAL_H

#include "tune/tune.h"

/* A unit before the choice: its problem and every (tactic, config) that fits. */
typedef struct lt_draft {
    lt_unit_kind kind;
    lt_region_id region;
    const lt_node_id *nodes;
    uint32_t n_nodes;
    lathe_problem *problem;        /* steps only */
    const lt_value_id *in, *out;   /* values of the operands; none = absent */
    uint32_t n_in, n_out;
    lathe_space space;             /* of views and regions: where the data lie */
    const lt_candidate *candidates; /* all that were asked */
    uint32_t n_candidates;
    lathe_fit *fits;               /* states of the choice: those that fit */
    const lt_candidate **states;
    uint32_t n_states;
} lt_draft;

typedef struct lt_drafts {
    lt_draft *items;
    size_t count, capacity;
} lt_drafts;

typedef struct lt_tuner {
    const lt_graph *graph;
    const lt_tune_options *options;
    lt_arena *arena;
    lathe_diag *diag;
    lt_drafts drafts;
} lt_tuner;

/* group_problem.c */
lathe_status lt_node_problem(lt_tuner *t, const lt_node *node, lathe_problem **out, const lt_value_id **in, const lt_value_id **out_values);
lathe_status lt_program_problem(lt_tuner *t, const lt_node_id *nodes, uint32_t n_nodes, lathe_problem **out, const lt_value_id **in,
                                const lt_value_id **out_values, bool *possible);
lathe_status lt_fill_operand(lt_tuner *t, const lt_value *value, lathe_operand *out);
/* Row-major in a space; managed values are host handles of no rank, as in their operands. */
lathe_format lt_plain_format(const lt_tuner *t, const lt_value *value, lathe_space space);

/* units.c: nodes -> drafts in a topological order */
lathe_status lt_make_drafts(lt_tuner *t);
lathe_space lt_node_space(const lt_tuner *t, const lt_node *node);

/* transpose_view.c: states of a Transpose in which its result shares the operand's storage; their candidate has no tactic. */
lathe_status lt_add_transpose_views(lt_tuner *t, lt_draft *d, const lt_node *node);

/* model.c: the PBQP over drafts; chosen state of each draft */
lathe_status lt_choose_states(lt_tuner *t, uint32_t *states, lt_choice *choice);
/* Format that a draft in a state gives to output i / wants for input i. */
lathe_format lt_draft_out(const lt_draft *d, uint32_t state, uint32_t i, const lt_tuner *t);
lathe_format lt_draft_in(const lt_draft *d, uint32_t state, uint32_t i, const lt_tuner *t);
/* Is the value the same bytes in both formats, as when only extents of one change their place? */
bool lt_reformat_is_view(const lt_value *value, const lathe_format *from, const lathe_format *to);
/* Estimated nanoseconds to bring a value from one format to another; LT_PBQP_INF when there is no way. */
double lt_reformat_cost(const lt_tuner *t, const lt_value *value, const lathe_format *from, const lathe_format *to);

/* emit.c: drafts and states -> units, slots, reformats */
lathe_status lt_emit(lt_tuner *t, const uint32_t *states, lt_choice *choice);

#endif
