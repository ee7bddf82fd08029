/*
 * engine_info.c - what an engine says about itself: inputs, outputs, profiles, sizes. All from the decoded plan.
 */
#include "rt/rt_internal.h"
#include <string.h>

size_t lathe_engine_inputs(const lathe_engine *engine)
{
    return engine->plan->n_inputs;
}

size_t lathe_engine_outputs(const lathe_engine *engine)
{
    return engine->plan->n_outputs;
}

lathe_status lathe_engine_io(const lathe_engine *engine, size_t index, lathe_io *io, lathe_diag *diag)
{
    const lt_plan *plan = engine->plan;
    if (!io || io->struct_size != sizeof *io || index >= (size_t)plan->n_inputs + plan->n_outputs) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, NULL, "set struct_size to sizeof(lathe_io)", "there is no input or output %zu", index);
    }
    bool output = index >= plan->n_inputs;
    const lt_plan_io *from = output ? &plan->outputs[index - plan->n_inputs] : &plan->inputs[index];
    *io = (lathe_io){.struct_size = sizeof *io, .name = from->name, .is_output = output, .is_host = from->host, .is_tensor = from->cls == LT_TENSOR,
                     .dtype = from->dtype, .rank = from->rank};
    const lt_plan_kind *kind = lt_plan_kind_of(plan, (uint32_t)index);
    const char *const *dims = kind ? kind->dims : from->dims;
    const int64_t *fixed = kind ? kind->fixed : from->fixed;
    if (kind) {
        io->dtype = kind->dtype;
        io->rank = kind->rank;
    }
    for (int i = 0; kind && i < kind->depth; i++) {
        io->kinds[i] = (lathe_kind)kind->cls[i];
        io->keys[i] = kind->key[i];
    }
    for (int i = 0; i < io->rank; i++) {
        io->dims[i] = fixed[i];
        io->symbols[i] = fixed[i] < 0 ? dims[i] : NULL;
    }
    return LATHE_OK;
}

lathe_status lathe_engine_io_find(const lathe_engine *engine, const char *name, lathe_io *io, lathe_diag *diag)
{
    size_t n = lathe_engine_inputs(engine) + lathe_engine_outputs(engine);
    for (size_t i = 0; i < n; i++) {
        LT_TRY(lathe_engine_io(engine, i, io, diag));
        if (lt_streq(io->name, name)) {
            return LATHE_OK;
        }
    }
    return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, engine->plan->model_name, NULL, "the network has no input or output '%s'", name ? name : "(null)");
}

size_t lathe_engine_profiles(const lathe_engine *engine)
{
    return engine->plan->n_profiles;
}

static void copy_dims(int64_t *to, const int64_t *from, int rank)
{
    if (to && rank > 0) {
        memcpy(to, from, (size_t)rank * sizeof *to);
    }
}

lathe_status lathe_engine_profile(const lathe_engine *engine, size_t profile, const char *input, int64_t *min, int64_t *opt, int64_t *max, lathe_diag *diag)
{
    const lt_plan *plan = engine->plan;
    for (uint32_t i = 0; i < plan->n_inputs && profile < plan->n_profiles; i++) {
        if (lt_streq(plan->inputs[i].name, input)) {
            const lt_plan_profile_input *row = &plan->profiles[profile * plan->n_inputs + i];
            copy_dims(min, row->min, plan->inputs[i].rank);
            copy_dims(opt, row->opt, plan->inputs[i].rank);
            copy_dims(max, row->max, plan->inputs[i].rank);
            return LATHE_OK;
        }
    }
    return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, plan->model_name, NULL, "there is no profile %zu with an input '%s'", profile, input ? input : "(null)");
}

lathe_status lathe_engine_get_info(const lathe_engine *engine, lathe_engine_info *info, lathe_diag *diag)
{
    if (!info || info->struct_size != sizeof *info) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, NULL, "set struct_size to sizeof(lathe_engine_info)", "bad arguments to lathe_engine_get_info");
    }
    const lt_plan *plan = engine->plan;
    *info = (lathe_engine_info){.struct_size = sizeof *info, .model_name = plan->model_name, .device = engine->variant->device,
                                .lathe_version = plan->lathe_version, .plan_bytes = engine->plan_bytes, .weight_bytes = plan->weight_bytes,
                                .threads = engine->variant->threads, .async = 1, .retunable = plan->retunable,
                                .refittable = lathe_engine_refit_name(engine, 0) != NULL, .variant = (uint32_t)(engine->variant - plan->variants),
                                .variants = plan->n_variants};
    for (uint32_t i = 0; i < engine->variant->n_programs; i++) {
        const lt_plan_program *p = engine->programs[i].plan;
        uint64_t arena = p->arena[0] + p->arena[1] + p->arena[2];
        info->arena_bytes = arena > info->arena_bytes ? arena : info->arena_bytes;
        info->steps = i == 0 ? p->n_steps : info->steps;
        if (!p->async) {
            info->async = 0;
            info->async_step = p->async_step;
        }
    }
    return LATHE_OK;
}
