/*
 * isa__each.c - the table of shared kernels of each level of the instruction set, and the tactics that need no kernels of their own.
 */
#include "backend/cpu/drivers.h"
#include "backend/cpu/vectors.inc"

#include "backend/cpu/kernels.inc"

const lt_cpu_isa ISA = { .name = ISA_NAME, .gflops = ISA_GFLOPS, LT_KERNELS };

#include "backend/cpu/isa_tactics.inc"

LT_TACTICS(LT_EACH(isa)) = {
    ISA_TACTICS{ .name = NULL },
};
