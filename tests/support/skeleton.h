/*
 * skeleton.h - eight real architectures without weights (tests/data/skeletons), filled with deterministic random ones from the statistics in the file. Used
 * by the test that runs them and by the tool that writes them out for ONNX Runtime, so that both see the same numbers.
 */
#ifndef LT_TEST_SKELETON_H
#define LT_TEST_SKELETON_H

#include "base/base.h"
#include <lathe/base.h>

enum { SK_OUTPUTS = 4, SK_SETS = 2 };

typedef struct skeleton {
    const char *name; /* tests/data/skeletons/NAME.onnx */
    int rank;
    int64_t dims[4];                 /* of the one input */
    bool tokens;                     /* integers 1..99; else floats, uniform in 0..1 or, for spectrograms, */
    bool spectrogram;                /* normal */
    const char *outputs[SK_OUTPUTS]; /* instead of the model's own: tensors in front of non-maximum suppression */
    double limit;                    /* on sum|a-b| / sum|b| */
    int64_t step;                    /* every step-th element is stored as expected */
} skeleton;

const skeleton *skeleton_at(size_t index); /* NULL past the end */
/* The filled model as a file in memory, malloc'd; NULL when it cannot be read. */
void *skeleton_fill(const skeleton *s, size_t *size);
/* Input set 0 or 1. */
lathe_status skeleton_input(const skeleton *s, int set, lt_arena *arena, lathe_tensor *out);

#endif
