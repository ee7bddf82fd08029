/*
 * plan_log.c - the topic plan of LATHE_DEBUG: what a new plan holds (1: in all, 2: each program, 3: where each value lies). Called by plan_build.c.
 */
#include "plan/plan_internal.h"

static void say_value(const lt_debug *debug, const lt_plan_program *p, uint32_t program, uint32_t number)
{
    static const char *const storages[] = {"arena", "input", "output", "weight", "alias", "managed"};
    const lt_plan_value *v = &p->values[number];
    unsigned long long offset = v->storage == LT_STORE_ARENA && p->offsets ? p->offsets[number] : 0;
    lt_debug_say(debug, LT_TOPIC_PLAN, 3, v->name, "program %u value %u %s: %s, offset %llu, instructions %u to %u", program, number, v->name,
                 (size_t)v->storage < LT_COUNT(storages) ? storages[v->storage] : "?", offset, v->first, v->last);
}

void lt_plan_say(const lt_debug *debug, const lt_plan *plan, size_t bytes)
{
    if (!lt_debug_on(debug, LT_TOPIC_PLAN, 1, NULL)) {
        return;
    }
    lt_debug_say(debug, LT_TOPIC_PLAN, 1, NULL, "%s: %u programs, %u blobs, %u assumptions, %zu bytes", plan->model_name, plan->n_programs, plan->n_blobs,
                 plan->n_assumptions, bytes);
    for (uint32_t i = 0; i < plan->n_programs; i++) {
        const lt_plan_program *p = &plan->programs[i];
        lt_debug_say(debug, LT_TOPIC_PLAN, 2, NULL, "program %u%s: %u steps, %u instructions, %u values, arena %llu bytes, scratch %llu bytes", i,
                     i == plan->init_program ? " (from weights)" : "", p->n_steps, p->n_instrs, p->n_values, (unsigned long long)p->arena[LATHE_SPACE_HOST],
                     (unsigned long long)p->scratch_bytes[LATHE_SPACE_HOST]);
        for (uint32_t v = 0; v < p->n_values; v++) {
            say_value(debug, p, i, v);
        }
    }
}
