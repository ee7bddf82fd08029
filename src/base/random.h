/*
 * random.h - counter-based random numbers (Philox 4x32-10, Salmon et al. 2011): the same for every order of evaluation and number of threads. Part of base.
 */
#ifndef LT_RANDOM_H
#define LT_RANDOM_H

#include "base/tensor.h"
#include <stdbool.h>
#include <stdint.h>

void lt_philox(uint64_t key, uint64_t counter_hi, uint64_t counter_lo, uint32_t out[4]);
double lt_random_unit(uint64_t seed, uint64_t stream, uint64_t index);   /* [0, 1), 53 bits */
double lt_random_normal(uint64_t seed, uint64_t stream, uint64_t index); /* mean 0, deviation 1 (Box-Muller) */

/*
 * The Mersenne Twister MT19937 (Matsumoto, Nishimura 1998), for random operators whose model names a seed: numbers come one after the other, the same as
 * ONNX's reference evaluator draws for that seed.
 */
typedef struct lt_mersenne {
    uint32_t state[624];
    int at;       /* the next one; 624: none left */
    bool has;     /* normal deviates come in pairs: the second one waits in `waiting` */
    double waiting;
} lt_mersenne;
void lt_mersenne_seed(lt_mersenne *m, uint32_t seed);
double lt_mersenne_unit(lt_mersenne *m);   /* [0, 1), 53 bits */
double lt_mersenne_normal(lt_mersenne *m); /* mean 0, deviation 1 (Marsaglia's polar method) */

/* What lt_eval.node is for a node whose first named output is `name`, when it is evaluated for the (count + 1)-th time in a run. */
uint64_t lt_random_key(const char *name, uint64_t count);

/* The generator rand(seed) of the text IR and of the command: floats normal, integers uniform 0..99 (below the type's maximum), bools fair. No strings. */
lathe_status lt_random_fill(lt_tensor *tensor, uint64_t seed, lathe_diag *diag);

#endif
