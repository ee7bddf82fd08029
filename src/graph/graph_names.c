/*
 * graph_names.c - names of values: unique in the graph, fresh ones by a numbered suffix. Part of graph.
 */
#include <inttypes.h>
#include <string.h>

#include "graph/graph_internal.h"

/*
 * The next free base.N. The last N tried is remembered, so that a thousand nodes of one kind cost a thousand look-ups.
 */
static const char *numbered(lt_graph *graph, const char *base)
{
    uint64_t number = 0;
    bool known = lt_map_get(&graph->suffixes, base, &number);
    const char *key = known ? base : lt_arena_str(&graph->arena, base);
    if (key == NULL || !lt_map_put(&graph->suffixes, key, number)) {
        return NULL;
    }
    for (;;) {
        number++;
        const char *name = lt_arena_printf(&graph->arena, "%s.%" PRIu64, base, number);
        if (name == NULL) {
            return NULL;
        }
        if (!lt_map_get(&graph->names, name, NULL)) {
            lt_map_put(&graph->suffixes, key, number); /* the key is there: this cannot fail */
            return name;
        }
    }
}

const char *lt_name_unused(lt_graph *graph, const char *base, const char *stem)
{
    if (base == NULL || base[0] == '\0') {
        return numbered(graph, stem);
    }
    if (!lt_map_get(&graph->names, base, NULL)) {
        return lt_arena_str(&graph->arena, base);
    }
    return numbered(graph, base);
}

lathe_status lt_name_give(lt_graph *graph, lt_value *value, const char *name, lathe_diag *diag)
{
    if (!lt_map_put(&graph->names, name, value->id.index)) {
        return LT_OOM(diag);
    }
    value->name = name;
    return LATHE_OK;
}

void lt_name_swap(lt_graph *graph, lt_value *a, lt_value *b)
{
    const char *name = a->name;
    a->name = b->name;
    b->name = name;
    lt_map_put(&graph->names, a->name, a->id.index); /* both keys are there: this cannot fail */
    lt_map_put(&graph->names, b->name, b->id.index);
}

/* Assumptions name initializers: they follow the new name. */
static void rename_assumptions(lt_graph *graph, const char *old, const char *now)
{
    for (size_t i = 0; i < graph->n_assumptions; i++) {
        if (strcmp(graph->assumptions[i].initializer, old) == 0) {
            graph->assumptions[i].initializer = now;
        }
    }
}

lathe_status lt_graph_rename(lt_graph *graph, lt_value_id id, const char *name, lathe_diag *diag)
{
    lt_value *value = lt_value_get(graph, id);
    if (value == NULL || name == NULL || name[0] == '\0') {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, NULL, NULL, "renaming needs a live value and a name");
    }
    if (strcmp(value->name, name) == 0) {
        return LATHE_OK;
    }
    if (lt_map_get(&graph->names, name, NULL)) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, NULL, "choose another name",
                       "value '%s' cannot be renamed: the name '%s' is taken", value->name, name);
    }
    if (value->host_input) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, NULL, "rename it first, then declare it a host input",
                       "the host input '%s' cannot be renamed: its contents are named after it", value->name);
    }
    const char *copy = lt_arena_str(&graph->arena, name);
    if (copy == NULL || !lt_map_put(&graph->names, copy, value->id.index)) {
        return LT_OOM(diag);
    }
    lt_map_del(&graph->names, value->name);
    if (value->region == LT_INIT && value->kind == LT_VALUE_INPUT) {
        rename_assumptions(graph, value->name, copy);
    }
    value->name = copy;
    return LATHE_OK;
}
