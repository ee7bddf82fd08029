/*
 * drivers.h - tactics whose code is compiled once and works with the kernels of any level of the instruction set. Private to src/backend/cpu.
 *
 * Each level's file makes thin functions around these (isa_tactics.inc): `isa` is its table.
 */
#ifndef LT_CPU_DRIVERS_H
#define LT_CPU_DRIVERS_H

#include "backend/cpu/cpu_isa.h"

/* A driver: the functions of lathe_tactic with the table in front. */
#define LT_DRIVER(name)                                                                                                \
    int lt_##name##_fits(const lt_cpu_isa *isa, const lathe_problem *problem, uint32_t config, lathe_fit *fit);        \
    size_t lt_##name##_scratch(const lt_cpu_isa *isa, const lathe_problem *problem, uint32_t config,                   \
                               const lathe_buffer *in, const lathe_buffer *out, int threads);                          \
    lathe_status lt_##name##_run(const lt_cpu_isa *isa, const lathe_gang *gang, const lathe_call *call,                \
                                 lathe_diag *diag)

LT_DRIVER(pointwise);  /* pointwise_tile.c */
LT_DRIVER(gemm);       /* gemm_tactics.c */
LT_DRIVER(gemv);       /* gemv_tactics.c */
LT_DRIVER(im2col);     /* conv_im2col.c */
LT_DRIVER(nhwc);       /* conv_nhwc.c */
LT_DRIVER(depthwise);  /* conv_depthwise.c */
LT_DRIVER(gemm_q8);    /* gemm_q8.c */
LT_DRIVER(conv_q8);    /* conv_q8.c */
LT_DRIVER(window);     /* window_tactics.c */
LT_DRIVER(row_map);    /* row_tactics.c */
LT_DRIVER(row_reduce); /* reduce_tactics.c */

#endif
