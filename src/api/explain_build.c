/*
 * explain_build.c - what a build considered and why, as text: steps with all candidates and refusals, edges left unfused, the fate of every node.
 */
#include "api/api_internal.h"

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

static void put_us(lt_buf *out, double ns)
{
    int64_t tenths = (int64_t)(ns / 100 + 0.5);
    lt_buf_printf(out, "%lld.%lld us", (long long)(tenths / 10), (long long)(tenths % 10));
}

static void put_candidate(lt_buf *out, const lt_candidate *c)
{
    lt_buf_printf(out, "    %s config %u: ", c->tactic->name, c->config);
    if (!c->fits) {
        lt_buf_printf(out, "no, %s", c->why);
    } else if (c->time.samples > 0) {
        put_us(out, c->time.median);
        lt_buf_puts(out, " (");
        put_us(out, c->time.low);
        lt_buf_puts(out, " to ");
        put_us(out, c->time.high);
        lt_buf_printf(out, ", %u times; estimate ", c->time.samples);
        put_us(out, c->estimate_ns);
        lt_buf_putc(out, ')');
    } else {
        lt_buf_puts(out, "estimated ");
        put_us(out, c->estimate_ns);
    }
    lt_buf_putc(out, '\n');
}

static void put_unit(lt_buf *out, const lt_graph *graph, const lt_choice *choice, const lt_unit *u, uint32_t number)
{
    lt_buf_printf(out, "step %u: %s (%s)\n", number, u->name, u->class_name ? u->class_name : "");
    lt_buf_puts(out, "  reads ");
    for (uint32_t i = 0; i < u->n_in; i++) {
        lt_buf_puts(out, i ? ", " : "");
        put_slot(out, graph, choice, u->in[i]);
    }
    lt_buf_puts(out, "\n  writes ");
    for (uint32_t i = 0; i < u->n_out; i++) {
        lt_buf_puts(out, i ? ", " : "");
        put_slot(out, graph, choice, u->out[i]);
    }
    lt_buf_putc(out, '\n');
    if (!u->tactic) {
        return;
    }
    lt_buf_printf(out, "  takes %s, ", u->tactic->name);
    put_us(out, u->cost_ns);
    lt_buf_putc(out, '\n');
    if (u->note) {
        lt_buf_printf(out, "  fusion: %s\n", u->note);
    }
    for (uint32_t i = 0; i < u->n_candidates; i++) {
        put_candidate(out, &u->candidates[i]);
    }
}

void lt_explain_part(lt_buf *out, const lt_graph *graph, const lt_choice *choice, const lt_ranges *ranges)
{
    lt_buf_puts(out, "shapes:");
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
    for (uint32_t i = 0; i < choice->n_units; i++) {
        put_unit(out, graph, choice, &choice->units[i], i);
    }
    lt_buf_puts(out, "total estimate ");
    put_us(out, choice->cost_ns);
    lt_buf_printf(out, " (%s)\n", choice->exact ? "the best there is under the estimates" : "found by a heuristic");
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

lathe_status lt_explain_origins(lt_buf *out, const lt_graph *graph, lathe_diag *diag)
{
    static const char *const words[] = {"a step", "folded", "removed"};
    const lt_origin *origins;
    size_t n = lt_graph_origins(graph, &origins);
    for (size_t i = 0; i < n; i++) {
        lt_fate fate;
        const char *pass = "";
        LT_TRY(lt_graph_fate(graph, (uint32_t)i, &fate, &pass, diag));
        lt_buf_puts(out, "node ");
        lt_buf_put_name(out, origins[i].label);
        lt_buf_printf(out, " (%s): %s%s%s\n", origins[i].op, words[fate], pass && pass[0] ? " by " : "", pass ? pass : "");
    }
    return out->failed ? LT_OOM(diag) : LATHE_OK;
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
