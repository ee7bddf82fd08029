/*
 * conv_more__each.c - the tactics of conv_up.c and conv_first.c at each level of the instruction set: thin functions around the drivers.
 */
#include "backend/cpu/conv_more.h"
#include "backend/cpu/vectors.inc"

#define MORE_DRIVER(driver)                                                                                            \
    static int driver##_fits(const lathe_problem *problem, uint32_t config, lathe_fit *fit)                            \
    {                                                                                                                  \
        return lt_##driver##_fits(&ISA, problem, config, fit);                                                         \
    }                                                                                                                  \
    static size_t driver##_scratch(const lathe_problem *problem, uint32_t config, const lathe_buffer *in,              \
                                   const lathe_buffer *out, int threads)                                               \
    {                                                                                                                  \
        return lt_##driver##_scratch(&ISA, problem, config, in, out, threads);                                         \
    }                                                                                                                  \
    static lathe_status driver##_run(const lathe_gang *gang, const lathe_call *call, lathe_diag *diag)                 \
    {                                                                                                                  \
        return lt_##driver##_run(&ISA, gang, call, diag);                                                              \
    }

#define MORE_ROW(driver, tactic, text, op)                                                                             \
    {                                                                                                                  \
        .struct_size = sizeof(lathe_tactic), .name = tactic "." ISA_NAME, .version = 3, .summary = text, .ops = op,    \
        .device = LATHE_SPACE_HOST, .cpu_features = ISA_FEATURES, .configs = 1, .fits = driver##_fits,                 \
        .scratch_bytes = driver##_scratch, .run = driver##_run                                                         \
    }

MORE_DRIVER(up)
MORE_DRIVER(first)

LT_TACTICS(LT_EACH(conv_more)) = {
    MORE_ROW(up, "conv.f32.up",
             "transposed convolutions of channels-last tensors, one product for each remainder of the stride",
             "ConvTranspose"),
    MORE_ROW(first, "conv.f32.first", "convolutions of plain tensors of few channels, channels-last results", "Conv"),
    { .name = NULL },
};
