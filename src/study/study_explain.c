/*
 * study_explain.c - where the nodes of a model went, as text: step, folded, removed, which passes touched them, what else their step might have been and
 * why neighbours stayed apart. From the log of the build where it is there, else from the tables of the plan. For explain.
 */
#include "study/study_internal.h"
#include <string.h>

static const char *const fate_words[] = { "a step", "folded", "removed" };

bool lt_plan_step_has(const lt_plan_step *s, uint32_t origin)
{
    for (uint32_t i = 0; i < s->n_origins; i++) {
        if (s->origins[i] == origin) {
            return true;
        }
    }
    return false;
}

/* ---- Who is meant ---- */

static bool step_writes(const lt_plan_program *p, const lt_plan_step *s, const char *pattern)
{
    for (uint32_t i = 0; i < s->n_out; i++) {
        if (s->out[i] != LT_PLAN_NONE && lt_glob(pattern, p->values[s->out[i]].name)) {
            return true;
        }
    }
    return false;
}

/* By label, by operator, by a value that the node made in the model or its step writes. */
bool lt_explained_matches(const lt_explained *e, uint32_t origin)
{
    const lt_plan_origin *o = &e->plan->origins[origin];
    if (!e->node || lt_glob(e->node, o->label) || lt_glob(e->node, o->op)) {
        return true;
    }
    if (e->log && e->log->n_nodes > 0) {
        return lt_study_log_makes(e->log, origin, e->node);
    }
    uint32_t number;
    for (uint32_t k = 0; (number = lt_study_program(e->plan, e->variant, k)) != LT_PLAN_NONE; k++) {
        const lt_plan_program *p = &e->plan->programs[number];
        for (uint32_t i = 0; i < p->n_steps; i++) {
            if (lt_plan_step_has(&p->steps[i], origin) && step_writes(p, &p->steps[i], e->node)) {
                return true;
            }
        }
    }
    return false;
}

bool lt_explained_refusal(const lt_explained *e, const lt_plan_refusal *r)
{
    return !e->node || lt_glob(e->node, r->value) || lt_glob(e->node, r->from) || lt_glob(e->node, r->to);
}

/* ---- Is it accounted for? ---- */

static bool has_step(const lt_explained *e, uint32_t origin)
{
    const lt_plan_program *p = &e->plan->programs[lt_study_program(e->plan, e->variant, 0)];
    for (uint32_t i = 0; i < p->n_steps; i++) {
        if (lt_plan_step_has(&p->steps[i], origin)) {
            return true;
        }
    }
    return false;
}

/* Views and frames around bodies compute nothing: the log names them, the plan does not. */
static bool needs_no_step(const lt_explained *e, uint32_t origin)
{
    const lt_plan_origin *o = &e->plan->origins[origin];
    for (size_t i = 0; e->log && i < e->log->n_steps; i++) {
        if (lt_study_log_step_has(&e->log->steps[i], origin)) {
            return true;
        }
    }
    static const char *const moves[] = { "Transpose", "Concat", "Split", "Slice" }; /* of what is written or read where it belongs */
    const lt_op *op = e->log ? NULL : lt_op_find(o->domain, o->op);
    bool moved = false;
    for (size_t i = 0; op && i < LT_COUNT(moves); i++) {
        moved = moved || lt_streq(op->name, moves[i]);
    }
    return op && ((op->traits & (LT_OP_VIEW | LT_OP_REGIONS)) || moved);
}

const char *lt_explained_unaccounted(const lt_explained *e, uint32_t origin)
{
    const lt_plan_origin *o = &e->plan->origins[origin];
    if (o->fate == LT_FATE_STEP) {
        return has_step(e, origin) || needs_no_step(e, origin) ? NULL : "it should be a step, but none computes it";
    }
    return o->fate < LT_COUNT(fate_words) && o->pass[0] ? NULL : "it is gone, and no pass says why";
}

void lt_explained_count(const lt_explained *e, uint32_t origin, lt_study_explained *sums)
{
    uint8_t fate = e->plan->origins[origin].fate;
    sums->nodes++;
    sums->steps += fate == LT_FATE_STEP;
    sums->folded += fate == LT_FATE_FOLDED;
    sums->removed += fate == LT_FATE_REMOVED;
    sums->unaccounted += lt_explained_unaccounted(e, origin) != NULL;
}

/* ---- Text ---- */

/* The steps of one origin from the plan: in the first program; in all programs when there are several and `detail` is set. */
static void put_steps(const lt_explained *e, uint32_t origin, lt_buf *out)
{
    uint32_t number;
    bool found = false;
    for (uint32_t k = 0; (number = lt_study_program(e->plan, e->variant, k)) != LT_PLAN_NONE && (e->node || k == 0); k++) {
        const lt_plan_program *p = &e->plan->programs[number];
        for (uint32_t i = 0; i < p->n_steps; i++) {
            const lt_plan_step *s = &p->steps[i];
            if (!lt_plan_step_has(s, origin)) {
                continue;
            }
            found = true;
            lt_buf_printf(out, "  step %u of program %u: %s [%s] by %s, ", i, number, s->name, s->class_name, s->tactic);
            lt_buf_put_us(out, s->cost_ns);
            lt_buf_putc(out, '\n');
            if (e->node) {
                lt_buf_printf(out, "    problem: %s\n", s->problem);
            }
        }
    }
    if (!found) {
        lt_buf_puts(out, "  nothing to do: its data are written and read where they lie\n");
    }
}

static void put_lines(const lt_study_log *log, size_t begin, size_t end, lt_buf *out)
{
    for (size_t i = begin; i < end; i++) {
        lt_buf_printf(out, "  %s\n", log->lines[i]);
    }
}

static bool several_parts(const lt_study_log *log)
{
    return log->n_steps > 0 && log->steps[log->n_steps - 1].part > 0;
}

/* The steps of one origin from the log; each is told in full once. told: one byte for each step. */
static void put_logged(const lt_explained *e, uint32_t origin, unsigned char *told, lt_buf *out)
{
    const lt_study_log *log = e->log;
    for (size_t i = 0; i < log->n_steps; i++) {
        const lt_study_log_step *s = &log->steps[i];
        if (!lt_study_log_step_has(s, origin) || (!e->node && s->part > 0)) {
            continue;
        }
        if (e->node && several_parts(log) && !told[i]) {
            lt_buf_printf(out, "  in part %u:\n", s->part);
        }
        if (e->node && !told[i]) {
            put_lines(log, s->begin, s->end, out);
        } else {
            const char *takes = lt_study_log_text(log, s->begin, s->end, "takes ");
            lt_buf_printf(out, "  %s %u: %s [%s]%s%s%s\n", s->kind, s->number, s->name, s->class_name, takes ? ", " : "", takes ? takes : "",
                          told[i] ? ", as above" : "");
        }
        told[i] = e->node != NULL;
    }
}

static const char *fate_word(uint8_t fate)
{
    return fate < LT_COUNT(fate_words) ? fate_words[fate] : "?";
}

static void put_origin(const lt_explained *e, uint32_t i, unsigned char *told, lt_buf *out)
{
    const lt_plan_origin *o = &e->plan->origins[i];
    const lt_study_log_node *n = e->log ? lt_study_log_node_at(e->log, i) : NULL;
    const char *wrong = lt_explained_unaccounted(e, i);
    lt_buf_printf(out, "node %u ", i);
    lt_buf_put_name(out, o->label);
    lt_buf_printf(out, " (%s%s%s)%s%s: %s%s%s\n", o->domain, o->domain[0] ? ":" : "", o->op, o->path[0] ? " in " : "",
                  o->path, fate_word(o->fate), o->pass[0] ? " by " : "", o->pass);
    if (wrong) {
        lt_buf_printf(out, "  unaccounted: %s\n", wrong);
    }
    for (size_t k = n ? n->begin + 1 : 0; n && e->node && k < n->end; k++) {
        lt_buf_printf(out, "%s\n", e->log->lines[k]);
    }
    if (o->fate != LT_FATE_STEP) {
        return;
    }
    if (e->log) {
        put_logged(e, i, told, out);
    } else {
        put_steps(e, i, out);
    }
}

/* What the programs say of how they keep it, those that agree once. */
void lt_study_put_cache(const lt_plan *plan, uint32_t cache, lt_buf *out)
{
    static const char *const names[] = { "?", "appended in place", "updated in place", "written anew" };
    const lt_plan_cache *c = &plan->caches[cache];
    bool first = true;
    lt_buf_printf(out, "cache: %s is %s of the run before, capacity %lld on axis %u; ", plan->inputs[c->input].name,
                  plan->outputs[c->output].name, (long long)c->capacity, c->axis);
    for (uint32_t i = 0; i < plan->n_programs; i++) {
        const lt_plan_way *w = cache < plan->programs[i].n_ways ? &plan->programs[i].ways[cache] : NULL;
        for (uint32_t k = 0; w && k < i; k++) {
            const lt_plan_way *v = cache < plan->programs[k].n_ways ? &plan->programs[k].ways[cache] : NULL;
            w = v && v->way == w->way && lt_streq(v->note, w->note) ? NULL : w;
        }
        if (w) {
            lt_buf_printf(out, "%s%s%s%s", first ? "" : ", or ", w->way < LT_COUNT(names) ? names[w->way] : names[0],
                          w->note[0] ? ": " : "", w->note);
            first = false;
        }
    }
    lt_buf_putc(out, '\n');
}

lathe_status lt_study_explain(const lt_plan *plan, uint32_t variant, const lt_study_log *log, const char *node, lt_buf *out, lt_study_explained *sums,
                              lathe_diag *diag)
{
    lt_explained e = { plan, variant, log, node };
    size_t n = log ? log->n_steps + 1 : 1;
    unsigned char *told = lt_alloc_array(out->allocator, n, 1, 1);
    *sums = (lt_study_explained){ 0 };
    if (!told) {
        return LT_OOM(diag);
    }
    for (uint32_t i = 0; i < plan->n_origins; i++) {
        if (lt_explained_matches(&e, i)) {
            lt_explained_count(&e, i, sums);
            put_origin(&e, i, told, out);
        }
    }
    lt_release(out->allocator, told, n, 1);
    for (uint32_t i = 0; i < plan->n_refusals; i++) {
        const lt_plan_refusal *r = &plan->refusals[i];
        if (lt_explained_refusal(&e, r)) {
            sums->refusals++;
            lt_buf_puts(out, "not fused at ");
            lt_buf_put_name(out, r->value);
            lt_buf_printf(out, " (%s -> %s): %s\n", r->from, r->to, r->reason);
        }
    }
    for (uint32_t i = 0; i < plan->n_caches; i++) {
        const lt_plan_cache *c = &plan->caches[i];
        if (!node || lt_glob(node, plan->inputs[c->input].name) || lt_glob(node, plan->outputs[c->output].name)) {
            lt_study_put_cache(plan, i, out);
        }
    }
    for (size_t i = 0; log && !node && i < log->n_lines; i++) { /* buckets, and extents that nobody said are equal */
        if (strncmp(log->lines[i], "open: ", 6) == 0 || (strncmp(log->lines[i], "part ", 5) == 0 && strstr(log->lines[i], " (bucket "))) {
            lt_buf_printf(out, "%s\n", log->lines[i]);
        }
    }
    return out->failed ? LT_OOM(diag) : LATHE_OK;
}
