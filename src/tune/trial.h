/*
 * trial.h - one problem in memory, and the candidates that compute it there: what the tuner times. Private to src/tune.
 *
 * A trial holds plain inputs at the opt extents (constants with their real contents, floats random, integers zero so that indices stay in range); each
 * entry, a tactic in one configuration, has its own copies in the formats and packs that it asks for.
 */
#ifndef LT_TRIAL_H
#define LT_TRIAL_H

#include "tune/tune_internal.h"

typedef struct lt_trial_operand {
    void *data;         /* what the entry reads or writes */
    const void *fresh;  /* inputs that are no constants: contents to write again before each shot */
    size_t bytes;
    bool weight;        /* a constant */
} lt_trial_operand;

typedef struct lt_trial_entry {
    const lathe_tactic *tactic;
    const lathe_fit *fit;
    const lathe_problem *problem; /* with the formats of the fit */
    lathe_call call;
    lt_trial_operand *operands;   /* inputs, then outputs */
    bool ready;
    char why[LATHE_WHY_MAX];      /* it must not be used: it failed, or its numbers are wrong; "" */
} lt_trial_entry;

typedef struct lt_trial {
    const lt_tuner *t;
    const lathe_problem *problem;
    lt_arena memory;              /* everything below; given back as a whole */
    lt_host host;
    lt_arena host_scratch, host_keep;
    lathe_tensor *plain;          /* inputs in plain form */
    int64_t (*dims)[LATHE_MAX_RANK]; /* of all operands, inputs first */
    lt_trial_entry *entries;
    uint32_t n_entries;
} lt_trial;

/* Can a problem be tried by itself? No when extents, contents or handles are known at run time only; *why says which. */
bool lt_trial_possible(const lt_tuner *t, const lt_draft *d, const char **why);

/* Inputs in memory. n entries will follow. Close it whatever happened. */
lathe_status lt_trial_open(lt_trial *trial, const lt_tuner *t, const lt_draft *d, uint32_t n);
void lt_trial_close(lt_trial *trial);
/* Operands of entry `i` for a state of the draft. */
lathe_status lt_trial_prepare(lt_trial *trial, uint32_t i, const lt_draft *d, uint32_t state);
/* Runs an entry once on a gang and returns its nanoseconds; negative: it failed (entry->why). cold: weights are put out of the caches before. */
double lt_trial_shot(lt_trial *trial, uint32_t i, bool cold);
/*
 * After one shot each: entries are compared with one another in full, and their camps with the reference on samples; those of a camp that the reference
 * contradicts, or (without an oracle) of a smaller camp, get a `why`.
 */
lathe_status lt_trial_compare(lt_trial *trial);

/* oracle.c: elements of output 0 by the reference; false: there is no way. */
enum { LT_ORACLE_SAMPLES = 4096 };
typedef struct lt_oracle_points {
    int64_t index[LT_ORACLE_SAMPLES]; /* row-major */
    double value[LT_ORACLE_SAMPLES];
    uint32_t n;
} lt_oracle_points;
bool lt_oracle_sample(lt_trial *trial, lt_oracle_points *out);
/* Additions and multiplications that this takes. */
double lt_oracle_work(const lathe_problem *problem);

#endif
