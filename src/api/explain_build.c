/*
 * explain_build.c - what a build considered and why, as text: steps with all candidates and refusals, edges left unfused, the fate of every node and the
 * passes that touched it. Used by build.c; with a first line that names the plan it is the log beside a plan, which src/study reads (docs/tuner.md has
 * the lines).
 */
#include "api/api_internal.h"
#include <string.h>

static void put_slot(lt_buf *out, const lt_graph *graph, const lt_choice *choice, uint32_t slot)
{
    if (slot == LT_NO_SLOT) {
        lt_buf_puts(out, "-");
        return;
    }
    const lt_value *v = lt_value_get(graph, choice->slots[slot].value);
    lt_buf_put_name(out, v->name);
    if (!lt_format_is_plain(&choice->slots[slot].format) || choice->slots[slot].format.space != LATHE_SPACE_HOST) {
        lt_buf_puts(out, " as ");
        lt_format_print(&choice->slots[slot].format, v->type.dtype, out);
    }
}

static void put_slots(lt_buf *out, const char *word, const lt_graph *graph, const lt_choice *choice, const uint32_t *slots, uint32_t n)
{
    lt_buf_printf(out, "  %s ", word);
    for (uint32_t i = 0; i < n; i++) {
        lt_buf_puts(out, i ? ", " : "");
        put_slot(out, graph, choice, slots[i]);
    }
    lt_buf_putc(out, '\n');
}

/* ---- Candidates ---- */

static void put_candidate(lt_buf *out, const lt_candidate *c)
{
    lt_buf_printf(out, "    %s config %u: ", c->tactic ? c->tactic->name : "view", c->config);
    if (!c->fits) {
        lt_buf_printf(out, "no, %s\n", c->why);
        return;
    }
    if (c->time.samples > 0) {
        lt_buf_put_us(out, c->time.median);
        lt_buf_puts(out, " (");
        lt_buf_put_us(out, c->time.low);
        lt_buf_puts(out, " to ");
        lt_buf_put_us(out, c->time.high);
        lt_buf_printf(out, ", %u times; estimate ", c->time.samples);
        lt_buf_put_us(out, c->estimate_ns);
    } else {
        lt_buf_puts(out, "estimated ");
        lt_buf_put_us(out, c->estimate_ns);
        lt_buf_puts(out, " (not timed");
    }
    if (c->scratch > 0) {
        lt_buf_printf(out, "; scratch %zu bytes", c->scratch);
    }
    lt_buf_puts(out, c->factor > 1 ? "; counts double: it stores a constant a second time)\n" : ")\n");
}

/* Times of the measured choice, where the static one was taken. */
static const lt_tried *tried_for(const lt_choice *measured, const lt_unit *u)
{
    for (size_t i = 0; measured && i < measured->n_tried; i++) {
        if (measured->tried[i].asked == u->asked) {
            return &measured->tried[i];
        }
    }
    return NULL;
}

static void put_candidates(lt_buf *out, const lt_choice *measured, const lt_unit *u)
{
    const lt_tried *tried = tried_for(measured, u);
    const lt_candidate *list = tried ? tried->candidates : u->candidates;
    uint32_t n = tried ? tried->n_candidates : u->n_candidates;
    for (uint32_t i = 0; i < n; i++) {
        put_candidate(out, &list[i]);
    }
}

/* ---- Steps ---- */

static void put_nodes(lt_buf *out, const lt_graph *graph, const lt_unit *u)
{
    lt_buf_puts(out, "  nodes");
    for (uint32_t i = 0; i < u->n_nodes; i++) {
        const lt_node *n = lt_node_get(graph, u->nodes[i]);
        for (uint32_t k = 0; k < n->n_origins; k++) {
            lt_buf_printf(out, " %u", n->origins[k]);
        }
    }
    lt_buf_putc(out, '\n');
}

static void put_unit(lt_buf *out, const lt_explain_part *p, const lt_unit *u, uint32_t number)
{
    static const char *const kinds[] = {"step", "reformat", "view", "control"};
    lt_buf_printf(out, "%s %u: ", kinds[u->kind], number);
    lt_buf_put_name(out, u->name);
    lt_buf_printf(out, " [%s]\n", u->class_name ? u->class_name : "");
    put_nodes(out, p->graph, u);
    put_slots(out, "reads", p->graph, p->choice, u->in, u->n_in);
    put_slots(out, "writes", p->graph, p->choice, u->out, u->n_out);
    if (u->tactic) {
        lt_buf_printf(out, "  takes %s config %u, ", u->tactic->name, u->config);
        lt_buf_put_us(out, u->cost_ns);
        lt_buf_putc(out, '\n');
    }
    if (u->because && u->because[0]) {
        lt_buf_printf(out, "  because %s%s\n", p->measured && u->chosen ? "the static choice ran faster as a whole; " : "", u->because);
    }
    if (u->note) {
        lt_buf_printf(out, "  %s: %s\n", u->apart ? "not one step with its neighbours" : "fusion", u->note);
    }
    put_candidates(out, p->measured, u);
}

static void put_refusals(lt_buf *out, const lt_graph *graph)
{
    const lt_refusal *refusals;
    size_t n = lt_graph_refusals(graph, &refusals);
    for (size_t i = 0; i < n; i++) {
        const lt_value *v = lt_value_get(graph, refusals[i].value);
        if (v) {
            lt_buf_puts(out, "not fused at ");
            lt_buf_put_name(out, v->name);
            lt_buf_printf(out, ": %s\n", refusals[i].reason);
        }
    }
}

static void put_ranges(lt_buf *out, const lt_ranges *ranges)
{
    for (size_t i = 0; i < ranges->count; i++) {
        const lt_symbol_range *s = &ranges->items[i];
        lt_buf_printf(out, " %s=%lld:%lld:", s->name, (long long)s->min, (long long)s->opt);
        if (s->max == INT64_MAX) {
            lt_buf_putc(out, '*');
        } else {
            lt_buf_printf(out, "%lld", (long long)s->max);
        }
    }
    lt_buf_puts(out, ranges->count ? "\n" : " fixed\n");
}

void lt_explain_begin(lt_buf *out, const char *model, const char *options)
{
    lt_buf_puts(out, "model ");
    lt_buf_put_name(out, model ? model : "");
    lt_buf_printf(out, "\noptions %s\n", options);
}

void lt_explain_whole(lt_buf *out, const lt_explain_part *p)
{
    lt_buf_printf(out, "part %u (", p->number);
    if (p->n_buckets > 1) {
        lt_buf_printf(out, "bucket %u of %u of profile %u", p->bucket + 1, p->n_buckets, p->profile);
    } else {
        lt_buf_puts(out, p->profile != LT_PLAN_NONE ? "a profile" : "all other shapes");
    }
    lt_buf_puts(out, "), shapes:");
    put_ranges(out, p->ranges);
    if (p->verdict) {
        lt_buf_puts(out, p->verdict);
    }
    for (uint32_t i = 0; i < p->choice->n_units; i++) {
        put_unit(out, p, &p->choice->units[i], i);
    }
    lt_buf_puts(out, "total ");
    lt_buf_put_us(out, p->choice->cost_ns);
    lt_buf_printf(out, " (%s)\n", p->choice->exact ? "the best there is under these times" : "found by a heuristic");
    put_refusals(out, p->graph);
}

/* ---- Nodes ---- */

static lathe_status note_makes(lt_arena *arena, const lt_node *node, lt_explain_makes *makes, lathe_diag *diag)
{
    for (uint32_t o = 0; o < node->n_origins; o++) {
        if (node->origins[o] >= makes->n) {
            continue;
        }
        const char **text = &makes->text[node->origins[o]];
        lt_buf line;
        lt_buf_init(&line, arena->allocator);
        lt_buf_puts(&line, *text ? *text : "");
        for (uint32_t i = 0; i < node->n_outputs; i++) {
            const lt_value *v = lt_value_get(makes->graph, node->outputs[i]);
            if (v) {
                lt_buf_puts(&line, line.length ? ", " : "");
                lt_buf_put_name(&line, v->name);
            }
        }
        *text = line.failed ? NULL : lt_arena_str(arena, lt_buf_str(&line));
        lt_buf_free(&line);
        if (!*text) {
            return LT_OOM(diag);
        }
    }
    return LATHE_OK;
}

lathe_status lt_explain_note_makes(const lt_graph *graph, lt_arena *arena, lt_explain_makes *out, lathe_diag *diag)
{
    *out = (lt_explain_makes){.graph = graph, .n = lt_graph_origins(graph, NULL)};
    out->text = lt_arena_zero(arena, out->n + 1, sizeof *out->text, _Alignof(char *));
    if (!out->text) {
        return LT_OOM(diag);
    }
    for (lt_region_id r = 0; r < lt_graph_regions(graph); r++) {
        const lt_region *region = lt_region_get(graph, r);
        for (const lt_node *n = region && region->live ? lt_region_first(graph, r) : NULL; n; n = lt_node_next(graph, n)) {
            LT_TRY(note_makes(arena, n, out, diag));
        }
    }
    return LATHE_OK;
}

/* Edits that took a node of an origin away, by origin: one sweep over the log fills it. */
typedef struct touched {
    size_t *first;  /* of each origin in records; n + 1 entries */
    uint32_t *records;
} touched;

static bool sweep_log(const lt_graph *graph, size_t n, lt_arena *arena, touched *out)
{
    const lt_log_record *log;
    size_t n_log = lt_graph_log(graph, &log), total = 0;
    size_t *at = LT_ARENA_ARRAY(arena, size_t, n + 2);
    for (size_t r = 0; at && r < n_log; r++) {
        for (uint32_t k = 0; k < log[r].n_gone; k++, total++) {
            at[log[r].gone[k] + 2]++;
        }
    }
    out->first = at;
    out->records = LT_ARENA_ARRAY(arena, uint32_t, total + 1);
    if (!at || !out->records) {
        return false;
    }
    for (size_t i = 2; i < n + 2; i++) {
        at[i] += at[i - 1];
    }
    for (size_t r = 0; r < n_log; r++) {
        for (uint32_t k = 0; k < log[r].n_gone; k++) {
            out->records[at[log[r].gone[k] + 1]++] = (uint32_t)r;
        }
    }
    return true; /* each entry of at[1..] has moved to the end of its origin's stretch, which is where the next begins */
}

static void put_touches(lt_buf *out, const lt_graph *graph, const touched *t, size_t origin)
{
    const lt_log_record *log;
    (void)lt_graph_log(graph, &log);
    for (size_t i = t->first[origin]; i < t->first[origin + 1]; i++) {
        const lt_log_record *r = &log[t->records[i]];
        lt_buf_printf(out, "  touched by %s", r->pass);
        lt_buf_printf(out, r->rule[0] ? ", rule %s" : "%s", r->rule);
        lt_buf_printf(out, r->note[0] ? ": %s\n" : "%s\n", r->note);
    }
}

static lathe_status put_origins(lt_buf *out, const lt_graph *graph, const lt_explain_makes *makes, lt_arena *arena, lathe_diag *diag)
{
    static const char *const words[] = {"a step", "folded", "removed"};
    const lt_origin *origins;
    size_t n = lt_graph_origins(graph, &origins);
    lt_fate *fates = LT_ARENA_ARRAY(arena, lt_fate, n + 1);
    const char **passes = lt_arena_zero(arena, n + 1, sizeof *passes, _Alignof(char *));
    touched t;
    if (!fates || !passes || !sweep_log(graph, n, arena, &t)) {
        return LT_OOM(diag);
    }
    LT_TRY(lt_graph_fates(graph, fates, passes, diag));
    for (size_t i = 0; i < n; i++) {
        bool by = passes[i] && passes[i][0];
        lt_buf_printf(out, "node %zu ", i);
        lt_buf_put_name(out, origins[i].label);
        lt_buf_printf(out, " (%s): %s%s%s\n", origins[i].op, words[fates[i]], by ? " by " : "", by ? passes[i] : "");
        if (i < makes->n && makes->text[i]) {
            lt_buf_printf(out, "  makes %s\n", makes->text[i]);
        }
        put_touches(out, graph, &t, i);
    }
    return LATHE_OK;
}

/* ---- Passes ---- */

/* Each pass that changed something, with the edits that took or made nodes: grouping and merged constants do neither. */
static void put_passes(lt_buf *out, const lt_graph *graph, const char *const *passes, size_t n_passes)
{
    const lt_log_record *log;
    size_t n = lt_graph_log(graph, &log);
    for (size_t i = 0; i < n_passes; i++) {
        size_t edits = 0;
        for (size_t k = 0; k < n; k++) {
            edits += lt_streq(log[k].pass, passes[i]);
        }
        lt_buf_printf(out, "pass %s", passes[i]);
        lt_buf_printf(out, edits == 0 ? "\n" : edits == 1 ? ": %zu edit\n" : ": %zu edits\n", edits);
    }
}

lathe_status lt_explain_origins(lt_buf *out, const lt_graph *graph, const lt_explain_makes *makes, const char *const *passes, size_t n_passes,
                                lathe_diag *diag)
{
    lt_arena arena;
    lt_arena_init(&arena, out->allocator);
    lathe_status status = put_origins(out, graph, makes, &arena, diag);
    put_passes(out, graph, passes, n_passes);
    lt_arena_destroy(&arena);
    return status == LATHE_OK && out->failed ? LT_OOM(diag) : status;
}

/* ---- The topic import of LATHE_DEBUG: the network as the importer left it (1: in all, 2: inputs and outputs, 3: each node) ---- */

static void say_end(const lt_debug *debug, const lt_graph *graph, const char *what, lt_value_id id)
{
    const lt_value *v = lt_value_get(graph, id);
    lt_buf text;
    lt_buf_init(&text, lt_graph_allocator(graph));
    lt_type_print(lt_graph_dims(graph), &v->type, &text);
    lt_debug_say(debug, LT_TOPIC_IMPORT, 2, v->name, "%s %s: %s", what, v->name, lt_buf_str(&text));
    lt_buf_free(&text);
}

void lt_say_import(const lt_debug *debug, const lt_graph *graph)
{
    const lt_region *main = lt_region_get(graph, LT_MAIN);
    if (!lt_debug_on(debug, LT_TOPIC_IMPORT, 1, NULL)) {
        return;
    }
    lt_debug_say(debug, LT_TOPIC_IMPORT, 1, NULL, "%s: %zu nodes, %u inputs, %u outputs, %u initializers", lt_graph_name(graph),
                 lt_graph_node_count(graph, LT_MAIN), main->n_inputs, main->n_outputs, lt_region_get(graph, LT_INIT)->n_inputs);
    for (uint32_t i = 0; i < main->n_inputs; i++) {
        say_end(debug, graph, "input", main->inputs[i]);
    }
    for (uint32_t i = 0; i < main->n_outputs; i++) {
        say_end(debug, graph, "output", main->outputs[i]);
    }
    for (const lt_node *n = lt_region_first(graph, LT_MAIN); n; n = lt_node_next(graph, n)) {
        lt_debug_say(debug, LT_TOPIC_IMPORT, 3, n->label, "node %s (%s): %u inputs, %u outputs", n->label, n->op->name, n->n_inputs, n->n_outputs);
    }
}
