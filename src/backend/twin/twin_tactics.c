/*
 * twin_tactics.c - tactics of the test device besides the reference: pointwise programs, so that groups run there as they would on a real device.
 */
#include "backend/cpu/drivers.h"

static int fits(const lathe_problem *problem, uint32_t config, lathe_fit *fit)
{
    return lt_pointwise_fits(&lt_isa_base, problem, config, fit);
}

static size_t scratch(const lathe_problem *problem, uint32_t config, const lathe_buffer *in, const lathe_buffer *out, int threads)
{
    return lt_pointwise_scratch(&lt_isa_base, problem, config, in, out, threads);
}

static lathe_status run(const lathe_gang *gang, const lathe_call *call, lathe_diag *diag)
{
    return lt_pointwise_run(&lt_isa_base, gang, call, diag);
}

LT_TACTICS(twin) = {
    {.struct_size = sizeof(lathe_tactic), .name = "pointwise.tile.twin", .version = 1, .summary = "pointwise programs, on the test device", .ops = "-",
     .device = LATHE_SPACE_TWIN, .configs = 1, .fits = fits, .scratch_bytes = scratch, .run = run},
    {.name = NULL},
};
