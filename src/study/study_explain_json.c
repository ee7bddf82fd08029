/*
 * study_explain_json.c - what study_explain.c tells, as one JSON document: nodes, the steps that they went into with all candidates, edges left unfused.
 */
#include "study/study_internal.h"
#include <string.h>

static void put_texts(lt_json *json, const char *const (*pairs)[2], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (pairs[i][1]) {
            lt_json_key(json, pairs[i][0]);
            lt_json_string(json, pairs[i][1]);
        }
    }
}

static void put_number(lt_json *json, const char *key, double number)
{
    lt_json_key(json, key);
    lt_json_f64(json, number);
}

/* ---- Nodes ---- */

static void put_plan_steps(const lt_explained *e, uint32_t origin, lt_json *json)
{
    uint32_t number;
    lt_json_key(json, "steps");
    lt_json_begin_array(json);
    for (uint32_t k = 0; (number = lt_study_program(e->plan, e->variant, k)) != LT_PLAN_NONE; k++) {
        const lt_plan_program *p = &e->plan->programs[number];
        for (uint32_t i = 0; i < p->n_steps; i++) {
            if (!lt_plan_step_has(&p->steps[i], origin)) {
                continue;
            }
            const char *const texts[][2] = { { "name", p->steps[i].name }, { "tactic", p->steps[i].tactic } };
            lt_json_begin_object(json);
            put_number(json, "program", number);
            put_number(json, "step", i);
            put_texts(json, texts, LT_COUNT(texts));
            lt_json_end_object(json);
        }
    }
    lt_json_end_array(json);
}

static void put_touched(const lt_study_log *log, uint32_t origin, lt_json *json)
{
    static const char word[] = "  touched by ";
    const lt_study_log_node *n = lt_study_log_node_at(log, origin);
    lt_json_key(json, "touched_by");
    lt_json_begin_array(json);
    for (size_t i = n ? n->begin : 0; n && i < n->end; i++) {
        if (strncmp(log->lines[i], word, sizeof word - 1) == 0) {
            lt_json_string(json, log->lines[i] + sizeof word - 1);
        }
    }
    lt_json_end_array(json);
}

static void put_node(const lt_explained *e, uint32_t i, lt_json *json)
{
    static const char *const fates[] = { "step", "folded", "removed" };
    const lt_plan_origin *o = &e->plan->origins[i];
    const lt_study_log_node *n = e->log ? lt_study_log_node_at(e->log, i) : NULL;
    const char *const texts[][2] = { { "label", o->label },
                                     { "op", o->op },
                                     { "domain", o->domain },
                                     { "path", o->path },
                                     { "fate", o->fate < LT_COUNT(fates) ? fates[o->fate] : "?" },
                                     { "pass", o->pass },
                                     { "unaccounted", lt_explained_unaccounted(e, i) },
                                     { "makes", n ? lt_study_log_text(e->log, n->begin, n->end, "makes ") : NULL } };
    lt_json_begin_object(json);
    put_number(json, "number", i);
    put_texts(json, texts, LT_COUNT(texts));
    if (e->log) {
        put_touched(e->log, i, json);
    }
    put_plan_steps(e, i, json);
    lt_json_end_object(json);
}

/* ---- Steps of the log ---- */

/* "12.3 us" at the start of a text. */
static bool read_us(const char **at, double *out)
{
    size_t n = strspn(*at, "0123456789.");
    if (n == 0 || !lt_parse_f64(*at, n, out)) {
        return false;
    }
    *at += n + strlen(" us") * (strncmp(*at + n, " us", 3) == 0);
    return true;
}

static void put_us_behind(lt_json *json, const char *text, const char *word, const char *key)
{
    const char *at = strstr(text, word);
    double us;
    at = at ? at + strlen(word) : NULL;
    if (at && read_us(&at, &us)) {
        put_number(json, key, us);
    }
}

/* "NAME config N: no, WHY", "...: 12.3 us (12.1 us to 12.9 us, 17 times; estimate 11.0 us; scratch 64 bytes)" or "...: estimated 11.0 us (not timed)" */
static void put_candidate(const char *line, lt_json *json)
{
    char name[128];
    uint64_t config = 0;
    double us;
    const char *middle = strstr(line, " config "), *text = middle ? strstr(middle, ": ") : NULL;
    if (!text || (size_t)(middle - line) >= sizeof name) {
        return;
    }
    snprintf(name, sizeof name, "%.*s", (int)(middle - line), line);
    (void)lt_parse_u64(middle + 8, (size_t)(text - middle) - 8, &config);
    text += 2;
    bool refused = strncmp(text, "no, ", 4) == 0;
    const char *at = text;
    const char *const texts[][2] = { { "tactic", name }, { "refused", refused ? text + 4 : NULL } };
    lt_json_begin_object(json);
    put_texts(json, texts, LT_COUNT(texts));
    put_number(json, "config", (double)config);
    if (!refused && read_us(&at, &us)) {
        put_number(json, "median_us", us);
        put_us_behind(json, text, "(", "low_us");
        put_us_behind(json, text, " to ", "high_us");
        put_us_behind(json, text, " us, ", "samples");
    }
    if (!refused) {
        put_us_behind(json, text, "estimate ", "estimate_us");
        put_us_behind(json, text, "estimated ", "estimate_us");
        put_us_behind(json, text, "scratch ", "scratch");
    }
    lt_json_end_object(json);
}

static void put_step(const lt_study_log *log, const lt_study_log_step *s, lt_json *json)
{
    const char *const texts[][2] = { { "kind", s->kind },
                                     { "name", s->name },
                                     { "class", s->class_name },
                                     { "reads", lt_study_log_text(log, s->begin, s->end, "reads ") },
                                     { "writes", lt_study_log_text(log, s->begin, s->end, "writes ") },
                                     { "takes", lt_study_log_text(log, s->begin, s->end, "takes ") },
                                     { "because", lt_study_log_text(log, s->begin, s->end, "because ") },
                                     { "fusion", lt_study_log_text(log, s->begin, s->end, "fusion: ") },
                                     { "apart", lt_study_log_text(log, s->begin, s->end, "not one step with its neighbours: ") } };
    lt_json_begin_object(json);
    put_number(json, "part", s->part);
    put_number(json, "step", s->number);
    put_texts(json, texts, LT_COUNT(texts));
    lt_json_key(json, "nodes");
    lt_json_begin_array(json);
    for (uint32_t i = 0; i < s->n_nodes; i++) {
        lt_json_u64(json, s->nodes[i]);
    }
    lt_json_end_array(json);
    lt_json_key(json, "candidates");
    lt_json_begin_array(json);
    for (size_t i = s->begin; i < s->end; i++) {
        if (strncmp(log->lines[i], "    ", 4) == 0) {
            put_candidate(log->lines[i] + 4, json);
        }
    }
    lt_json_end_array(json);
    lt_json_end_object(json);
}

static bool wanted(const lt_explained *e, const lt_study_log_step *s)
{
    for (uint32_t i = 0; e->node && i < s->n_nodes; i++) {
        if (s->nodes[i] < e->plan->n_origins && lt_explained_matches(e, s->nodes[i])) {
            return true;
        }
    }
    return !e->node;
}

/* ---- The rest ---- */

/* Lines that begin with one of the words: totals, whole engines, passes. */
static void put_build(const lt_study_log *log, lt_json *json)
{
    static const char *const words[] = { "model ", "options ", "open: ", "part ", "whole engine: ", "total ", "pass " };
    lt_json_key(json, "build");
    lt_json_begin_array(json);
    for (size_t i = 0; i < log->n_lines; i++) {
        for (size_t k = 0; k < LT_COUNT(words); k++) {
            if (strncmp(log->lines[i], words[k], strlen(words[k])) == 0) {
                lt_json_string(json, log->lines[i]);
            }
        }
    }
    lt_json_end_array(json);
}

static void put_refusals(const lt_explained *e, lt_json *json, lt_study_explained *sums)
{
    lt_json_key(json, "not_fused");
    lt_json_begin_array(json);
    for (uint32_t i = 0; i < e->plan->n_refusals; i++) {
        const lt_plan_refusal *r = &e->plan->refusals[i];
        const char *const texts[][2] = { { "value", r->value }, { "from", r->from }, { "to", r->to }, { "reason", r->reason } };
        if (lt_explained_refusal(e, r)) {
            sums->refusals++;
            lt_json_begin_object(json);
            put_texts(json, texts, LT_COUNT(texts));
            lt_json_end_object(json);
        }
    }
    lt_json_end_array(json);
}

lathe_status lt_study_explain_json(const lt_plan *plan, uint32_t variant, const lt_study_log *log, const char *node, lt_json *json, lt_study_explained *sums,
                                   lathe_diag *diag)
{
    lt_explained e = { plan, variant, log, node };
    *sums = (lt_study_explained){ 0 };
    lt_json_begin_object(json);
    lt_json_key(json, "log");
    lt_json_bool(json, log != NULL);
    lt_json_key(json, "nodes");
    lt_json_begin_array(json);
    for (uint32_t i = 0; i < plan->n_origins; i++) {
        if (lt_explained_matches(&e, i)) {
            lt_explained_count(&e, i, sums);
            put_node(&e, i, json);
        }
    }
    lt_json_end_array(json);
    if (log) {
        lt_json_key(json, "steps");
        lt_json_begin_array(json);
        for (size_t i = 0; i < log->n_steps; i++) {
            if (wanted(&e, &log->steps[i])) {
                put_step(log, &log->steps[i], json);
            }
        }
        lt_json_end_array(json);
        put_build(log, json);
    }
    put_refusals(&e, json, sums);
    lt_json_key(json, "totals");
    lt_json_begin_object(json);
    put_number(json, "nodes", (double)sums->nodes);
    put_number(json, "steps", (double)sums->steps);
    put_number(json, "folded", (double)sums->folded);
    put_number(json, "removed", (double)sums->removed);
    put_number(json, "unaccounted", (double)sums->unaccounted);
    lt_json_end_object(json);
    lt_json_end_object(json);
    return json->out->failed ? LT_OOM(diag) : LATHE_OK;
}
