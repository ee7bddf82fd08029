/*
 * study_plan.c - opens a plan file for looking at. For inspect and explain.
 */
#include "study/study.h"

lathe_status lt_study_plan_open(const char *path, bool verify_full, lt_study_plan *out, lathe_diag *diag)
{
    *out = (lt_study_plan){ 0 };
    lt_arena_init(&out->arena, NULL);
    LT_TRY(lt_file_map(&out->file, path, diag));
    lathe_status status = lt_plan_decode(out->file.data, out->file.size, verify_full ? LT_PLAN_VERIFY_FULL : 0, NULL,
                                         NULL, &out->arena, &out->plan, diag);
    if (status != LATHE_OK) {
        lt_study_plan_close(out);
    }
    return status;
}

lathe_status lt_study_plan_open_memory(const void *data, size_t size, lt_study_plan *out, lathe_diag *diag)
{
    *out = (lt_study_plan){ 0 };
    lt_arena_init(&out->arena, NULL);
    lathe_status status = lt_plan_decode(data, size, 0, NULL, NULL, &out->arena, &out->plan, diag);
    if (status != LATHE_OK) {
        lt_study_plan_close(out);
    }
    return status;
}

void lt_study_plan_close(lt_study_plan *p)
{
    lt_arena_destroy(&p->arena);
    lt_file_close(&p->file);
    p->plan = NULL;
}

uint32_t lt_study_program(const lt_plan *plan, uint32_t variant, uint32_t i)
{
    if (variant >= plan->n_variants || i >= plan->variants[variant].n_programs) {
        return LT_PLAN_NONE;
    }
    return plan->variants[variant].programs[i];
}
