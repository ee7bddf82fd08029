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
    bool piece;                    /* of the last draft before it that is none: an alternative to it (pieces.c) */
    size_t least_scratch;          /* of the candidates that were refused for their scratch; SIZE_MAX: none was */
    const char *note;              /* what pieces.c found; NULL */
    bool apart;                    /* a piece that stayed in place of its group */
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
    struct lt_clock *clock;        /* of timing; NULL at level 0 */
    lt_tune_counts *counts;        /* options->counts, or some that nobody reads */
    lathe_status failed;           /* the first error of timing a reformat, which happens deep inside the making of costs; ends the choice */
    uint64_t trial_limit;          /* bytes that a trial may take */
    bool settled;                  /* the choice is made: reformats that were not timed for it stay estimates */
    lt_map reformats;              /* text of a reformat problem -> number in reformat_ns */
    double *reformat_ns;
    size_t n_reformats, cap_reformats;
} lt_tuner;

static inline int lt_tuner_threads(const lt_tuner *t)
{
    return t->options->threads > 0 ? t->options->threads : 1;
}

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
double lt_reformat_cost(lt_tuner *t, const lt_value *value, const lathe_format *from, const lathe_format *to);

/* jobs.c: measured times in place of the drafts' estimates, from the cache where it has them */
lathe_status lt_time_drafts(lt_tuner *t);
/* reformat.c: one format of a value to another within the host */
typedef struct lt_reformat_problem { /* points into itself: it stays where it was filled */
    lathe_problem problem;
    lathe_operand operands[2];
    uint16_t root[1];
} lt_reformat_problem;
void lt_reformat_ask(lt_reformat_problem *out, const lathe_operand *like, const lathe_format *from, const lathe_format *to);
typedef struct lt_reformat_way {
    lt_reformat_problem asked;
    lathe_fit fit;
    lt_candidate candidate; /* without a tactic: there is no way */
} lt_reformat_way;
lathe_status lt_reformat_find(lt_tuner *t, const lt_value *value, const lathe_format *from, const lathe_format *to, lt_reformat_way **out);
/* Its nanoseconds: measured above level 0, once for each pair of formats and extents; otherwise the guess. An error is kept in t->failed. */
double lt_time_reformat(lt_tuner *t, const lt_value *value, const lathe_format *from, const lathe_format *to, double guess);
/* jobs.c: times do not tell a candidate from the best one */
bool lt_indistinct(const lt_candidate *candidate, const lt_candidate *best);
/* needs.c: what the build will need in memory, told to options->foresee; sets t->trial_limit. */
lathe_status lt_tell_needs(lt_tuner *t, uint64_t largest_trial);
/* needs.c: of all constants that steps read */
uint64_t lt_weight_bytes(const lt_tuner *t);
/* needs.c: bytes of a trial of these states */
uint64_t lt_trial_needs(const lt_tuner *t, const lt_draft *d, const uint32_t *states, uint32_t n);
/* jobs.c: the time of a draft's one candidate, from the cache or by running it. */
lathe_status lt_time_single(lt_tuner *t, lt_draft *d, const char *name, const char *text);

/* Of its first node: what messages call a step. */
const char *lt_draft_label(const lt_tuner *t, const lt_draft *d);
/* Canonical text of a problem, in the tuner's arena. */
lathe_status lt_problem_line(lt_tuner *t, const lathe_problem *problem, const char **out);
/* The problem with the formats of a fit; NULL when out of memory. */
lathe_problem *lt_settle_problem(lt_arena *arena, const lathe_problem *asked, const lathe_fit *fit);

/* tactic_rules.c: where a rule refuses a tactic for a draft ("FILE:LINE"), NULL when none does; what counts as best for it */
const char *lt_tactic_rules_refuse(const lt_tuner *t, const lt_draft *d, const lathe_tactic *tactic);
lt_tactic_rule_kind lt_tactic_rules_aim(const lt_tuner *t, const lt_draft *d);
/* pieces.c: of each group and its pieces, one stays */
lathe_status lt_settle_pieces(lt_tuner *t);
/* selector.c: the rules' aims and the caller's selector, after timing */
lathe_status lt_select(lt_tuner *t);
/* record.c: the states that a record names */
lathe_status lt_record_replay(lt_tuner *t);
const lt_record_entry *lt_record_find(const lt_record *record, uint32_t part, uint64_t problem, uint32_t ordinal);

/* tune_log.c */
void lt_tune_say(const lt_debug *debug, const lt_choice *choice);
/* reason.c: why a draft's state was chosen, given the states of all; NULL when out of memory */
const char *lt_reason_of(lt_tuner *t, const uint32_t *states, uint32_t number);

/* emit.c: drafts and states -> units, slots, reformats */
lathe_status lt_emit(lt_tuner *t, const uint32_t *states, lt_choice *choice);

#endif
