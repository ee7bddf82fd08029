/*
 * graph.c - the graph's life and its reading: create, destroy, slots and handles, look-ups. Part of graph.
 */
#include <stdio.h>
#include <string.h>

#include "graph/graph_internal.h"

static lathe_status add_region_slot(lt_graph *graph, lt_region_id *out, lathe_diag *diag)
{
    void *regions = graph->regions;
    if (graph->n_regions == LT_NO_REGION || !lt_arena_grow(&graph->arena, &regions, &graph->cap_regions,
                                                           (size_t)graph->n_regions + 1, sizeof(lt_region_slot *))) {
        return LT_OOM(diag);
    }
    graph->regions = regions;
    lt_region_slot *slot = LT_ARENA_NEW(&graph->arena, lt_region_slot);
    if (slot == NULL) {
        return LT_OOM(diag);
    }
    slot->region.id = graph->n_regions;
    slot->region.live = true;
    graph->regions[graph->n_regions++] = slot;
    *out = slot->region.id;
    return LATHE_OK;
}

static lathe_status init_graph(lt_graph *graph, lathe_diag *diag)
{
    lt_region_id region;
    graph->dims = lt_dims_create(graph->allocator);
    if (graph->dims == NULL) {
        return LT_OOM(diag);
    }
    LT_TRY(add_region_slot(graph, &region, diag));
    return add_region_slot(graph, &region, diag);
}

lathe_status lt_graph_create(const lathe_allocator *allocator, lt_graph **out, lathe_diag *diag)
{
    *out = NULL;
    lt_graph *graph = LT_NEW(allocator, lt_graph);
    if (graph == NULL) {
        return LT_OOM(diag);
    }
    graph->allocator = allocator;
    graph->name = "net";
    graph->budget = UINT64_MAX;
    lt_arena_init(&graph->arena, allocator);
    lt_arena_init(&graph->scratch, allocator);
    lt_map_init(&graph->names, allocator);
    lt_map_init(&graph->suffixes, allocator);
    lt_imap_init(&graph->constants, allocator);
    lathe_status status = init_graph(graph, diag);
    if (status != LATHE_OK) {
        lt_graph_destroy(graph);
        return status;
    }
    *out = graph;
    return LATHE_OK;
}

void lt_graph_destroy(lt_graph *graph)
{
    if (graph == NULL) {
        return;
    }
    for (uint32_t i = 0; i < graph->n_values; i++) {
        if (lt_value_at(graph, i)->live) {
            lt_blob_release(lt_value_at(graph, i)->value.blob);
        }
    }
    lt_dims_destroy(graph->dims);
    lt_map_free(&graph->names);
    lt_map_free(&graph->suffixes);
    lt_imap_free(&graph->constants);
    lt_arena_destroy(&graph->scratch);
    lt_arena_destroy(&graph->arena);
    LT_DELETE(graph->allocator, graph);
}

const lathe_allocator *lt_graph_allocator(const lt_graph *graph)
{
    return graph->allocator;
}

lt_arena *lt_graph_arena(lt_graph *graph)
{
    return &graph->arena;
}

lt_dims *lt_graph_dims(const lt_graph *graph)
{
    return graph->dims;
}

const char *lt_graph_name(const lt_graph *graph)
{
    return graph->name;
}

lathe_status lt_graph_set_name(lt_graph *graph, const char *name, lathe_diag *diag)
{
    const char *copy = lt_arena_str(&graph->arena, name == NULL || name[0] == '\0' ? "net" : name);
    if (copy == NULL) {
        return LT_OOM(diag);
    }
    graph->name = copy;
    return LATHE_OK;
}

lt_node_slot *lt_node_slot_of(const lt_node *node)
{
    return (lt_node_slot *)node; /* the node is the slot's first member */
}

lt_node_slot *lt_node_at(const lt_graph *graph, uint32_t index)
{
    return &graph->nodes[index / LT_SLOT_CHUNK][index % LT_SLOT_CHUNK];
}

lt_value_slot *lt_value_at(const lt_graph *graph, uint32_t index)
{
    return &graph->values[index / LT_SLOT_CHUNK][index % LT_SLOT_CHUNK];
}

lt_region_slot *lt_region_slot_of(const lt_graph *graph, lt_region_id region)
{
    return region < graph->n_regions && graph->regions[region]->region.live ? graph->regions[region] : NULL;
}

lathe_status lt_reserve_nodes(lt_graph *graph, size_t count, lathe_diag *diag)
{
    while (graph->spare_nodes < count) {
        void *chunks = graph->nodes;
        size_t n = graph->n_nodes / LT_SLOT_CHUNK;
        lt_node_slot *chunk = NULL;
        if (graph->n_nodes <= UINT32_MAX - 2 * LT_SLOT_CHUNK &&
            lt_arena_grow(&graph->arena, &chunks, &graph->cap_nodes, n + 1, sizeof chunk)) {
            graph->nodes = chunks;
            chunk = LT_ARENA_ARRAY(&graph->arena, lt_node_slot, LT_SLOT_CHUNK);
        }
        if (chunk == NULL) {
            return LT_OOM(diag);
        }
        graph->nodes[n] = chunk;
        graph->spare_nodes += LT_SLOT_CHUNK;
        graph->n_nodes += LT_SLOT_CHUNK;
        for (uint32_t i = 0; i < LT_SLOT_CHUNK; i++) { /* the lowest index is on top of the free list */
            uint32_t index = graph->n_nodes - 1 - i;
            chunk[LT_SLOT_CHUNK - 1 - i].node.id = (lt_node_id){ .index = index, .generation = 1 };
            chunk[LT_SLOT_CHUNK - 1 - i].next_free = graph->free_node;
            graph->free_node = index + 1;
        }
    }
    return LATHE_OK;
}

lathe_status lt_reserve_values(lt_graph *graph, size_t count, lathe_diag *diag)
{
    while (graph->spare_values < count) {
        void *chunks = graph->values;
        size_t n = graph->n_values / LT_SLOT_CHUNK;
        lt_value_slot *chunk = NULL;
        if (graph->n_values <= UINT32_MAX - 2 * LT_SLOT_CHUNK &&
            lt_arena_grow(&graph->arena, &chunks, &graph->cap_values, n + 1, sizeof chunk)) {
            graph->values = chunks;
            chunk = LT_ARENA_ARRAY(&graph->arena, lt_value_slot, LT_SLOT_CHUNK);
        }
        if (chunk == NULL) {
            return LT_OOM(diag);
        }
        graph->values[n] = chunk;
        graph->spare_values += LT_SLOT_CHUNK;
        graph->n_values += LT_SLOT_CHUNK;
        for (uint32_t i = 0; i < LT_SLOT_CHUNK; i++) {
            uint32_t index = graph->n_values - 1 - i;
            chunk[LT_SLOT_CHUNK - 1 - i].value.id = (lt_value_id){ .index = index, .generation = 1 };
            chunk[LT_SLOT_CHUNK - 1 - i].next_free = graph->free_value;
            graph->free_value = index + 1;
        }
    }
    return LATHE_OK;
}

lt_node *lt_take_node(lt_graph *graph)
{
    lt_node_slot *slot = lt_node_at(graph, graph->free_node - 1);
    graph->free_node = slot->next_free;
    graph->spare_nodes--;
    *slot = (lt_node_slot){ .node.id = slot->node.id, .live = true };
    return &slot->node;
}

lt_value *lt_take_value(lt_graph *graph)
{
    lt_value_slot *slot = lt_value_at(graph, graph->free_value - 1);
    graph->free_value = slot->next_free;
    graph->spare_values--;
    graph->live_values++;
    lt_value fresh = { .id = slot->value.id, .uses = slot->value.uses, .cap_uses = slot->value.cap_uses };
    *slot = (lt_value_slot){ .value = fresh, .live = true };
    return &slot->value;
}

/* A generation that wraps around skips 0, which means none. */
static uint32_t next_generation(uint32_t generation)
{
    return generation == UINT32_MAX ? 1 : generation + 1;
}

void lt_drop_node(lt_graph *graph, lt_node *node)
{
    lt_node_slot *slot = lt_node_slot_of(node);
    node->id.generation = next_generation(node->id.generation);
    slot->live = false;
    slot->next_free = graph->free_node;
    graph->free_node = node->id.index + 1;
    graph->spare_nodes++;
}

void lt_drop_value(lt_graph *graph, lt_value *value)
{
    lt_value_slot *slot = lt_value_at(graph, value->id.index);
    if (value->name != NULL) {
        lt_map_del(&graph->names, value->name);
        value->name = NULL;
    }
    lt_blob_release(value->blob);
    value->blob = NULL;
    value->id.generation = next_generation(value->id.generation);
    slot->live = false;
    slot->next_free = graph->free_value;
    graph->free_value = value->id.index + 1;
    graph->spare_values++;
    graph->live_values--;
}

lt_node *lt_node_get(const lt_graph *graph, lt_node_id id)
{
    if (id.generation == 0 || id.index >= graph->n_nodes) {
        return NULL;
    }
    lt_node_slot *slot = lt_node_at(graph, id.index);
    return slot->live && slot->node.id.generation == id.generation ? &slot->node : NULL;
}

lt_value *lt_value_get(const lt_graph *graph, lt_value_id id)
{
    if (id.generation == 0 || id.index >= graph->n_values) {
        return NULL;
    }
    lt_value_slot *slot = lt_value_at(graph, id.index);
    return slot->live && slot->value.id.generation == id.generation ? &slot->value : NULL;
}

lt_region *lt_region_get(const lt_graph *graph, lt_region_id id)
{
    return id < graph->n_regions ? &graph->regions[id]->region : NULL;
}

uint32_t lt_graph_regions(const lt_graph *graph)
{
    return graph->n_regions;
}

lathe_status lt_graph_add_region(lt_graph *graph, lt_region_id *out, lathe_diag *diag)
{
    return add_region_slot(graph, out, diag);
}

lt_value_id lt_graph_find(const lt_graph *graph, const char *name)
{
    uint64_t index;
    if (name == NULL || !lt_map_get(&graph->names, name, &index)) {
        return (lt_value_id){ 0 };
    }
    return lt_value_at(graph, (uint32_t)index)->value.id;
}

lt_node *lt_region_first(const lt_graph *graph, lt_region_id region)
{
    lt_region *r = lt_region_get(graph, region);
    return r == NULL ? NULL : lt_node_get(graph, r->first);
}

lt_node *lt_node_next(const lt_graph *graph, const lt_node *node)
{
    return lt_node_get(graph, node->next);
}

size_t lt_graph_node_count(const lt_graph *graph, lt_region_id region)
{
    lt_region_slot *slot = lt_region_slot_of(graph, region);
    return slot == NULL ? 0 : slot->n_nodes;
}

bool lt_value_is_constant(const lt_value *value)
{
    return value != NULL && value->region == LT_INIT;
}

lt_value *lt_node_in(const lt_graph *graph, const lt_node *node, uint32_t i)
{
    return i < node->n_inputs ? lt_value_get(graph, node->inputs[i]) : NULL;
}

lt_value *lt_node_out(const lt_graph *graph, const lt_node *node, uint32_t i)
{
    return i < node->n_outputs ? lt_value_get(graph, node->outputs[i]) : NULL;
}

bool lt_node_is(const lt_node *node, const char *op)
{
    const char *colon = strrchr(op, ':');
    const char *domain = lt_op_domain(node->op);
    if (colon == NULL) {
        return domain[0] == '\0' && strcmp(node->op->name, op) == 0;
    }
    size_t length = (size_t)(colon - op);
    return strlen(domain) == length && memcmp(domain, op, length) == 0 && strcmp(node->op->name, colon + 1) == 0;
}

/* Labelled nodes by their label, others by their first output. */
const char *lt_node_describe(const lt_graph *graph, const lt_node *node, char *out, size_t size)
{
    const char *name = node->label;
    for (uint32_t i = 0; (name == NULL || name[0] == '\0') && i < node->n_outputs; i++) {
        const lt_value *value = lt_node_out(graph, node, i);
        name = value != NULL ? value->name : NULL;
    }
    const char *op = node->op != NULL ? node->op->name : "?";
    if (name == NULL || name[0] == '\0') {
        snprintf(out, size, "a node (%s)", op);
    } else {
        snprintf(out, size, "node '%s' (%s)", name, op);
    }
    return out;
}

const char *lt_where(const lt_graph *graph, const lt_node *node, char *out, size_t size)
{
    size_t used = 0;
    if (graph->place != NULL) {
        int n = snprintf(out, size, "%s: ", graph->place);
        used = n < 0 ? 0 : (size_t)n;
    }
    if (used < size) {
        lt_node_describe(graph, node, out + used, size - used);
    }
    return out;
}
