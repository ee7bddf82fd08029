/*
 * study_explain.c - where the nodes of a model went, from the tables of a plan: step, folded, removed, and why neighbours stayed apart. For explain.
 */
#include "study/study.h"
#include <string.h>

static const char *const fate_words[] = { "a step", "folded", "removed" };

static bool step_has(const lt_plan_step *s, uint32_t origin)
{
    for (uint32_t i = 0; i < s->n_origins; i++) {
        if (s->origins[i] == origin) {
            return true;
        }
    }
    return false;
}

static bool step_writes(const lt_plan_program *p, const lt_plan_step *s, const char *pattern)
{
    for (uint32_t i = 0; i < s->n_out; i++) {
        if (s->out[i] != LT_PLAN_NONE && lt_glob(pattern, p->values[s->out[i]].name)) {
            return true;
        }
    }
    return false;
}

/* By label, by operator, or by the value that its step writes. */
static bool matches(const lt_plan *plan, uint32_t origin, const char *pattern)
{
    const lt_plan_origin *o = &plan->origins[origin];
    if (!pattern || lt_glob(pattern, o->label) || lt_glob(pattern, o->op)) {
        return true;
    }
    uint32_t number;
    for (uint32_t k = 0; (number = lt_study_program(plan, k)) != LT_PLAN_NONE; k++) {
        const lt_plan_program *p = &plan->programs[number];
        for (uint32_t i = 0; i < p->n_steps; i++) {
            if (step_has(&p->steps[i], origin) && step_writes(p, &p->steps[i], pattern)) {
                return true;
            }
        }
    }
    return false;
}

static void put_us(lt_buf *out, double ns)
{
    int64_t tenths = (int64_t)(ns / 100 + 0.5);
    lt_buf_printf(out, "%lld.%lld us", (long long)(tenths / 10), (long long)(tenths % 10));
}

/* The steps of one origin in the first program; all programs when there are several and `detail` is set. */
static void put_steps(const lt_plan *plan, uint32_t origin, bool detail, lt_buf *out)
{
    uint32_t number;
    bool found = false;
    for (uint32_t k = 0; (number = lt_study_program(plan, k)) != LT_PLAN_NONE && (detail || k == 0); k++) {
        const lt_plan_program *p = &plan->programs[number];
        for (uint32_t i = 0; i < p->n_steps; i++) {
            const lt_plan_step *s = &p->steps[i];
            if (!step_has(s, origin)) {
                continue;
            }
            found = true;
            lt_buf_printf(out, "  step %u of program %u: %s [%s] by %s, estimated ", i, number, s->name, s->class_name,
                          s->tactic);
            put_us(out, s->cost_ns);
            lt_buf_putc(out, '\n');
            if (detail) {
                lt_buf_printf(out, "    problem: %s\n", s->problem);
            }
        }
    }
    if (!found) {
        lt_buf_puts(out, "  nothing to do: its data are written and read where they lie\n");
    }
}

static bool refusal_matches(const lt_plan_refusal *r, const char *pattern)
{
    return !pattern || lt_glob(pattern, r->value) || lt_glob(pattern, r->from) || lt_glob(pattern, r->to);
}

static const char *fate_word(uint8_t fate)
{
    return fate < LT_COUNT(fate_words) ? fate_words[fate] : "?";
}

static void count_fate(const lt_plan_origin *o, lt_study_explained *sums)
{
    sums->nodes++;
    sums->steps += o->fate == LT_FATE_STEP;
    sums->folded += o->fate == LT_FATE_FOLDED;
    sums->removed += o->fate == LT_FATE_REMOVED;
}

static void put_origin(const lt_plan *plan, uint32_t i, bool detail, lt_buf *out)
{
    const lt_plan_origin *o = &plan->origins[i];
    lt_buf_printf(out, "node %u ", i);
    lt_buf_put_name(out, o->label);
    lt_buf_printf(out, " (%s%s%s)%s%s: %s%s%s\n", o->domain, o->domain[0] ? ":" : "", o->op, o->path[0] ? " in " : "",
                  o->path, fate_word(o->fate), o->pass[0] ? " by " : "", o->pass);
    if (o->fate == LT_FATE_STEP) {
        put_steps(plan, i, detail, out);
    }
}

lathe_status lt_study_explain(const lt_plan *plan, const char *node, lt_buf *out, lt_study_explained *sums,
                              lathe_diag *diag)
{
    *sums = (lt_study_explained){ 0 };
    for (uint32_t i = 0; i < plan->n_origins; i++) {
        if (matches(plan, i, node)) {
            count_fate(&plan->origins[i], sums);
            put_origin(plan, i, node != NULL, out);
        }
    }
    for (uint32_t i = 0; i < plan->n_refusals; i++) {
        const lt_plan_refusal *r = &plan->refusals[i];
        if (refusal_matches(r, node)) {
            sums->refusals++;
            lt_buf_puts(out, "not fused at ");
            lt_buf_put_name(out, r->value);
            lt_buf_printf(out, " (%s -> %s): %s\n", r->from, r->to, r->reason);
        }
    }
    return out->failed ? LT_OOM(diag) : LATHE_OK;
}

static void json_steps(const lt_plan *plan, uint32_t origin, lt_json *json)
{
    uint32_t number;
    lt_json_key(json, "steps");
    lt_json_begin_array(json);
    for (uint32_t k = 0; (number = lt_study_program(plan, k)) != LT_PLAN_NONE; k++) {
        const lt_plan_program *p = &plan->programs[number];
        for (uint32_t i = 0; i < p->n_steps; i++) {
            if (!step_has(&p->steps[i], origin)) {
                continue;
            }
            lt_json_begin_object(json);
            lt_json_key(json, "program");
            lt_json_u64(json, number);
            lt_json_key(json, "step");
            lt_json_u64(json, i);
            lt_json_key(json, "name");
            lt_json_string(json, p->steps[i].name);
            lt_json_key(json, "tactic");
            lt_json_string(json, p->steps[i].tactic);
            lt_json_end_object(json);
        }
    }
    lt_json_end_array(json);
}

static void json_texts(lt_json *json, const char *const (*pairs)[2], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        lt_json_key(json, pairs[i][0]);
        lt_json_string(json, pairs[i][1]);
    }
}

lathe_status lt_study_explain_json(const lt_plan *plan, const char *node, lt_json *json, lathe_diag *diag)
{
    static const char *const fates[] = { "step", "folded", "removed" };
    lt_json_begin_object(json);
    lt_json_key(json, "nodes");
    lt_json_begin_array(json);
    for (uint32_t i = 0; i < plan->n_origins; i++) {
        const lt_plan_origin *o = &plan->origins[i];
        if (!matches(plan, i, node)) {
            continue;
        }
        const char *const texts[][2] = { { "label", o->label },
                                         { "op", o->op },
                                         { "domain", o->domain },
                                         { "path", o->path },
                                         { "fate", o->fate < LT_COUNT(fates) ? fates[o->fate] : "?" },
                                         { "pass", o->pass } };
        lt_json_begin_object(json);
        json_texts(json, texts, LT_COUNT(texts));
        json_steps(plan, i, json);
        lt_json_end_object(json);
    }
    lt_json_end_array(json);
    lt_json_key(json, "not_fused");
    lt_json_begin_array(json);
    for (uint32_t i = 0; i < plan->n_refusals; i++) {
        const lt_plan_refusal *r = &plan->refusals[i];
        if (refusal_matches(r, node)) {
            const char *const texts[][2] = {
                { "value", r->value }, { "from", r->from }, { "to", r->to }, { "reason", r->reason }
            };
            lt_json_begin_object(json);
            json_texts(json, texts, LT_COUNT(texts));
            lt_json_end_object(json);
        }
    }
    lt_json_end_array(json);
    lt_json_end_object(json);
    return json->out->failed ? LT_OOM(diag) : LATHE_OK;
}
