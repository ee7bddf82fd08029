/*
 * rt_log.c - the topic rt of LATHE_DEBUG: what was loaded and bound (1), each step as it runs, with its extents (2). Called by engine_load.c, bind.c and
 * exec.c, which ask lt_debug_on first: a steady run without the topic pays for one comparison.
 */
#include "rt/rt_internal.h"

#include <stdio.h>
#include <string.h>

static const lt_debug *debug_of(const lathe_engine *engine)
{
    return engine->runtime ? &engine->runtime->debug : NULL;
}

bool lt_rt_talks(const lathe_engine *engine, int level)
{
    return lt_debug_on(debug_of(engine), LT_TOPIC_RT, level, NULL);
}

void lt_rt_say_load(const lathe_engine *engine)
{
    const lt_plan_variant *v = engine->variant;
    char needs[200] = "";
    for (uint32_t i = 0; i < v->n_features && strlen(needs) + 40 < sizeof needs; i++) {
        snprintf(needs + strlen(needs), sizeof needs - strlen(needs), "%s%.30s", i ? " " : ", needs ", v->features[i]);
    }
    lt_debug_say(debug_of(engine), LT_TOPIC_RT, 1, NULL, "loaded %s: %llu bytes, %llu of weights; variant %u of %u for %s, %u threads%s; %u programs",
                 engine->plan->model_name, (unsigned long long)engine->plan_bytes, (unsigned long long)engine->plan->weight_bytes,
                 (uint32_t)(v - engine->plan->variants), engine->plan->n_variants, v->device, v->threads, needs, v->n_programs);
}

void lt_rt_say_bind(const lathe_context *context, const lt_state *s, bool planned)
{
    const lt_plan_program *p = s->program->plan;
    lt_debug_say(debug_of(context->engine), LT_TOPIC_RT, 1, NULL, "bound program %u (%s): %u steps, arena %llu bytes, scratch %llu bytes",
                 (uint32_t)(s->program - context->engine->programs), planned ? "offsets as planned" : "offsets worked out for these shapes", p->n_steps,
                 (unsigned long long)s->arena_bytes[LATHE_SPACE_HOST], (unsigned long long)s->scratch_bytes[LATHE_SPACE_HOST]);
}

/* " [1,3,224,224]" of each operand. */
static size_t put_operands(const lt_state *s, const uint32_t *values, uint32_t n, char *out, size_t size)
{
    size_t used = 0;
    for (uint32_t i = 0; i < n && used + 32 < size; i++) {
        if (values[i] == LT_PLAN_NONE) {
            used += (size_t)snprintf(out + used, size - used, " -");
            continue;
        }
        const lt_cell *cell = &s->cells[values[i]];
        used += (size_t)snprintf(out + used, size - used, " [");
        for (int d = 0; d < cell->rank && used + 32 < size; d++) {
            used += (size_t)snprintf(out + used, size - used, d ? ",%lld" : "%lld", (long long)cell->dims[d]);
        }
        used += (size_t)snprintf(out + used, size - used, "]");
    }
    return used;
}

void lt_rt_say_step(const lathe_context *context, const lt_state *s, uint32_t number)
{
    char in[300] = "", out[300] = "";
    const lt_plan_step *step = s->program->steps[number].plan;
    const lt_debug *debug = debug_of(context->engine);
    if (lt_debug_on(debug, LT_TOPIC_RT, 2, step->name)) {
        put_operands(s, step->in, step->n_in, in, sizeof in);
        put_operands(s, step->out, step->n_out, out, sizeof out);
        lt_debug_say(debug, LT_TOPIC_RT, 2, step->name, "step %u %s by %s%s:%s ->%s", number, step->name, step->tactic, s->alone[number] ? ", alone" : "", in, out);
    }
}
