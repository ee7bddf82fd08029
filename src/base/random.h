/*
 * random.h - counter-based random numbers (Philox 4x32-10, Salmon et al. 2011): the same for every order of evaluation and number of threads. Part of base.
 */
#ifndef LT_RANDOM_H
#define LT_RANDOM_H

#include "base/tensor.h"
#include <stdint.h>

void lt_philox(uint64_t key, uint64_t counter_hi, uint64_t counter_lo, uint32_t out[4]);
double lt_random_unit(uint64_t seed, uint64_t stream, uint64_t index);   /* [0, 1), 53 bits */
double lt_random_normal(uint64_t seed, uint64_t stream, uint64_t index); /* mean 0, deviation 1 (Box-Muller) */
/* The generator rand(seed) of the text IR and of the command: floats normal, integers uniform 0..99 (below the type's maximum), bools fair. No strings. */
lathe_status lt_random_fill(lt_tensor *tensor, uint64_t seed, lathe_diag *diag);

#endif
