/*
 * pointwise_tile.c - driver of pointwise.tile: problems without a root, as one tile program over all points. Configuration 0 walks plain tensors,
 * 1 channels-last ones of rank 4.
 */
#include "backend/cpu/drivers.h"

static const int8_t channels_last[] = { 0, 2, 3, 1 };

/* Does channels-last make a difference: some input has rank 4 and more than one axis? */
static bool has_images(const lathe_problem *p)
{
    for (size_t i = 0; i < p->n_instrs; i++) {
        const lathe_pw_instr *s = &p->instrs[i];
        int axes = 0;
        for (int d = 0; s->op == LATHE_PW_LOAD && d < p->in[s->operand].rank; d++) {
            axes += s->map[d] == d;
        }
        if (axes > 1 && p->in[s->operand].rank == 4) {
            return true;
        }
    }
    return false;
}

int lt_pointwise_fits(const lt_cpu_isa *isa, const lathe_problem *problem, uint32_t config, lathe_fit *fit)
{
    if (problem->n_root_in > 0 || problem->n_instrs == 0) {
        return lt_no(fit, "no pointwise program");
    }
    if (!lt_tile_fits(problem, fit)) {
        return 0;
    }
    if (config == 1 && (problem->space_rank != 4 || !has_images(problem))) {
        return lt_no(fit, "no operand of rank 4 to keep channels last");
    }
    lt_tile_formats(problem, config == 1 ? channels_last : NULL, fit);
    lt_tile_rows_apart(problem, fit);
    fit->any_cut = 1;
    double points = 1;
    for (int i = 0; i < problem->space_rank; i++) {
        points *= (double)problem->space[i].opt;
    }
    fit->cost = 300 + points * lt_tile_cost(isa, problem);
    return 1;
}

size_t lt_pointwise_scratch(const lt_cpu_isa *isa, const lathe_problem *problem, uint32_t config,
                            const lathe_buffer *in, const lathe_buffer *out, int threads)
{
    (void)isa, (void)config, (void)in, (void)out;
    return lt_tile_scratch(problem) * (size_t)threads;
}

lathe_status lt_pointwise_run(const lt_cpu_isa *isa, const lathe_gang *gang, const lathe_call *call, lathe_diag *diag)
{
    lt_tile_program t;
    int64_t begin, end;
    char *scratch = call->scratch;
    LT_TRY(lt_tile_prepare(&t, isa, call, scratch + lt_tile_scratch(call->problem) * (size_t)gang->index, NULL, diag));
    lathe_gang_split(gang, t.points, t.tile, &begin, &end);
    lt_tile_run_range(&t, begin, end);
    return LATHE_OK;
}

/* ---- The test device runs host code: pointwise groups stay whole there ---- */

static int twin_fits(const lathe_problem *problem, uint32_t config, lathe_fit *fit)
{
    return lt_pointwise_fits(&lt_isa_base, problem, config, fit);
}

static size_t twin_scratch(const lathe_problem *problem, uint32_t config, const lathe_buffer *in,
                           const lathe_buffer *out, int threads)
{
    return lt_pointwise_scratch(&lt_isa_base, problem, config, in, out, threads);
}

static lathe_status twin_run(const lathe_gang *gang, const lathe_call *call, lathe_diag *diag)
{
    return lt_pointwise_run(&lt_isa_base, gang, call, diag);
}

LT_TACTICS(pointwise_twin) = {
    { .struct_size = sizeof(lathe_tactic),
      .name = "pointwise.tile.twin",
      .version = 3,
      .summary = "pointwise programs, on the test device",
      .ops = "-",
      .device = LATHE_SPACE_TWIN,
      .configs = 1,
      .fits = twin_fits,
      .scratch_bytes = twin_scratch,
      .run = twin_run },
    { .name = NULL },
};
