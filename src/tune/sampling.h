/*
 * sampling.h - how the entries of a trial are timed: in turns, in quiet windows, the slow ones dropped early. Private to src/tune.
 */
#ifndef LT_SAMPLING_H
#define LT_SAMPLING_H

#include "tune/trial.h"

enum { LT_SAMPLES_MAX = 64 };

typedef struct lt_samples {
    double ns[LT_SAMPLES_MAX];
    uint32_t n;
    bool dropped; /* too slow to be looked at further */
} lt_samples;

/* One level's effort. Rounds: shots of each entry still in the race; after a round those are dropped whose least time is more than `keep` times the best. */
typedef struct lt_effort {
    double reach;        /* candidates are timed whose estimate is at most so many times the least estimate */
    uint32_t candidates; /* and at most so many of them */
    uint32_t shots[3];
    double keep[3];
    double round_ns;     /* a round ends after so long, when each entry had its turn */
} lt_effort;
const lt_effort *lt_effort_of(int level);

/* A piece of work of known length, done before and after each shot: a window in which it takes longer belongs to somebody else. */
typedef struct lt_probe {
    double best;
    uint32_t noisy; /* shots thrown away */
} lt_probe;

/* samples: one per entry. The first shot of each entry warms up and is compared with the others' results; it is not counted. */
lathe_status lt_sample(lt_trial *trial, const lt_effort *effort, bool cold, lt_probe *probe, lt_samples *samples);
/* Median with its interval. */
lathe_timing lt_samples_time(lt_samples *samples);

#endif
