/*
 * graph_order.c - regions, order and visibility: who may read what, bodies and their owners, the linked lists. Part of
 * graph.
 *
 * Order keys make "is this node before that one" one comparison. A new key is the middle of its neighbours' keys; when
 * there is no room left, the whole region is numbered anew.
 */
#include "graph/graph_internal.h"

static const uint64_t ORDER_GAP = (uint64_t)1 << 32;

bool lt_node_region(const lathe_attr *attrs, size_t n_attrs, size_t i, lt_region_id *out)
{
    for (size_t a = 0; a < n_attrs; a++) {
        size_t count = attrs[a].kind == LATHE_ATTR_GRAPH ? 1 : attrs[a].kind == LATHE_ATTR_GRAPHS ? attrs[a].count : 0;
        if (i < count) {
            *out = attrs[a].kind == LATHE_ATTR_GRAPH ? attrs[a].graph : attrs[a].graphs[i];
            return true;
        }
        i -= count;
    }
    return false;
}

/* The region around a body; LT_NO_REGION for the outermost ones. */
static lt_region_id parent_of(const lt_graph *graph, lt_region_id region)
{
    const lt_node *owner = lt_node_get(graph, graph->regions[region]->region.owner);
    return owner == NULL ? LT_NO_REGION : owner->region;
}

lt_region_id lt_region_root(const lt_graph *graph, lt_region_id region)
{
    for (lt_region_id up = parent_of(graph, region); up != LT_NO_REGION; up = parent_of(graph, region)) {
        region = up;
    }
    return region;
}

bool lt_region_within(const lt_graph *graph, lt_region_id region, lt_region_id outer)
{
    while (region != outer && region != LT_NO_REGION) {
        region = parent_of(graph, region);
    }
    return region == outer;
}

lt_node *lt_node_ancestor(const lt_graph *graph, lt_node *node, lt_region_id region)
{
    while (node != NULL && node->region != region) {
        node = lt_node_get(graph, graph->regions[node->region]->region.owner);
    }
    return node;
}

static bool orphan(const lt_graph *graph, lt_region_id region)
{
    return region != LT_MAIN && region != LT_INIT && parent_of(graph, region) == LT_NO_REGION;
}

bool lt_value_visible(const lt_graph *graph, const lt_value *value, lt_region_id region, const lt_node *before)
{
    lt_region_id root = lt_region_root(graph, region);
    if (value->region == LT_INIT && root != LT_INIT) {
        return true;
    }
    while (region != value->region) {
        const lt_node *owner = lt_node_get(graph, graph->regions[region]->region.owner);
        if (owner == NULL) {
            return orphan(graph, region) && lt_region_root(graph, value->region) != region; /* a body inside is no place to read from, wherever this one will be */
        }
        before = owner;
        region = owner->region;
    }
    if (value->kind == LT_VALUE_INPUT || before == NULL) {
        return true;
    }
    const lt_node *def = lt_node_get(graph, value->def);
    return def != NULL && lt_node_slot_of(def)->order < lt_node_slot_of(before)->order;
}

static lathe_status walk(const lt_graph *graph, lt_region_id region, lt_walk_fn visit, void *user, int depth)
{
    if (depth > LT_MAX_DEPTH) {
        return LATHE_INTERNAL; /* attaching keeps bodies shallower */
    }
    for (lt_node *node = lt_region_first(graph, region), *next; node != NULL; node = next) {
        next = lt_node_next(graph, node);
        LT_TRY(visit(user, node));
        lt_region_id body;
        for (size_t i = 0; lt_node_region(node->attrs, node->n_attrs, i, &body); i++) {
            LT_TRY(walk(graph, body, visit, user, depth + 1));
        }
    }
    return LATHE_OK;
}

lathe_status lt_region_walk(const lt_graph *graph, lt_region_id region, lt_walk_fn visit, void *user)
{
    return walk(graph, region, visit, user, 0);
}

typedef struct attach_check {
    const lt_graph *graph;
    const lathe_attr *attrs;
    size_t n_attrs;
    lt_region_id body, region;
    const lt_node *before;
    const char *where;
    lathe_diag *diag;
} attach_check;

/* Bodies of one node do not see each other, which parent_of cannot tell while they have no owner. */
static bool in_sibling(const attach_check *c, const lt_value *value)
{
    lt_region_id root = lt_region_root(c->graph, value->region), body;
    for (size_t i = 0; lt_node_region(c->attrs, c->n_attrs, i, &body); i++) {
        if (body == root) {
            return body != c->body;
        }
    }
    return false;
}

/* May `reader` in `region`, a part of the body, read this? NULL is the end of the region. */
static lathe_status check_capture(const attach_check *c, const lt_value *value, lt_region_id region, const lt_node *reader)
{
    if (value == NULL) {
        return LATHE_OK;
    }
    bool visible = lt_region_within(c->graph, value->region, c->body)
                       ? lt_value_visible(c->graph, value, region, reader)
                       : lt_value_visible(c->graph, value, c->region, c->before) && !in_sibling(c, value);
    return visible ? LATHE_OK
                   : LT_FAIL(c->diag, LATHE_BAD_MODEL, c->where, "compute it before the node, or inside the body",
                             "a body reads '%s', which is not visible at this place", value->name);
}

static lathe_status check_outputs(const attach_check *c, lt_region_id id)
{
    const lt_region *body = lt_region_get(c->graph, id);
    for (uint32_t i = 0; i < body->n_outputs; i++) {
        LT_TRY(check_capture(c, lt_value_get(c->graph, body->outputs[i]), id, NULL));
    }
    return LATHE_OK;
}

static lathe_status check_node_captures(void *user, lt_node *node)
{
    const attach_check *c = user;
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        LT_TRY(check_capture(c, lt_node_in(c->graph, node, i), node->region, node));
    }
    lt_region_id body;
    for (size_t i = 0; lt_node_region(node->attrs, node->n_attrs, i, &body); i++) {
        LT_TRY(check_outputs(c, body));
    }
    return LATHE_OK;
}

static uint32_t depth_of(const lt_graph *graph, lt_region_id region)
{
    uint32_t depth = 0;
    for (region = parent_of(graph, region); region != LT_NO_REGION; region = parent_of(graph, region)) {
        depth++;
    }
    return depth;
}

static lathe_status check_body(attach_check *c)
{
    const lt_region_slot *slot = lt_region_slot_of(c->graph, c->body);
    if (slot == NULL || !orphan(c->graph, c->body)) {
        return LT_FAIL(c->diag, LATHE_INVALID_ARGUMENT, c->where, NULL, "region %u cannot become a body of this node",
                       c->body);
    }
    if (lt_region_root(c->graph, c->region) == c->body) {
        return LT_FAIL(c->diag, LATHE_INVALID_ARGUMENT, c->where, NULL,
                       "a node cannot own the region that it stands in");
    }
    if (depth_of(c->graph, c->region) + 1 + slot->height >= LT_MAX_DEPTH) {
        return LT_FAIL(c->diag, LATHE_UNSUPPORTED, c->where, NULL, "bodies are nested deeper than %d", LT_MAX_DEPTH);
    }
    LT_TRY(lt_region_walk(c->graph, c->body, check_node_captures, c));
    return check_outputs(c, c->body);
}

lathe_status lt_regions_attachable(const lt_graph *graph, const lathe_attr *attrs, size_t n_attrs, lt_region_id region,
                                   const lt_node *before, const char *where, lathe_diag *diag)
{
    attach_check check = { .graph = graph, .attrs = attrs, .n_attrs = n_attrs, .region = region, .before = before, .where = where, .diag = diag };
    for (size_t i = 0; lt_node_region(attrs, n_attrs, i, &check.body); i++) {
        LT_TRY(check_body(&check));
        lt_region_id other;
        for (size_t k = 0; k < i && lt_node_region(attrs, n_attrs, k, &other); k++) {
            if (other == check.body) {
                return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, where, NULL, "region %u is given twice", other);
            }
        }
    }
    return LATHE_OK;
}

/* The regions around must know how deep their bodies go. */
void lt_regions_attach(lt_graph *graph, lt_node *node)
{
    lt_region_id body;
    for (size_t i = 0; lt_node_region(node->attrs, node->n_attrs, i, &body); i++) {
        graph->regions[body]->region.owner = node->id;
        uint32_t height = graph->regions[body]->height;
        for (lt_region_id up = node->region; up != LT_NO_REGION; up = parent_of(graph, up)) {
            height++;
            if (graph->regions[up]->height < height) {
                graph->regions[up]->height = height;
            }
        }
    }
}

static void number_anew(lt_graph *graph, lt_region_id region)
{
    uint64_t order = ORDER_GAP;
    for (lt_node *node = lt_region_first(graph, region); node != NULL; node = lt_node_next(graph, node)) {
        lt_node_slot_of(node)->order = order;
        order += ORDER_GAP;
    }
}

/* The key between two neighbours, either of which may be missing; 0: no room. */
static uint64_t key_between(const lt_node *prev, const lt_node *next)
{
    uint64_t low = prev == NULL ? 0 : lt_node_slot_of(prev)->order;
    if (next == NULL) {
        return low > UINT64_MAX - ORDER_GAP ? 0 : low + ORDER_GAP;
    }
    uint64_t high = lt_node_slot_of(next)->order;
    return high - low < 2 ? 0 : low + (high - low) / 2;
}

void lt_node_link(lt_graph *graph, lt_node *node, lt_region_id region, lt_node *before)
{
    lt_region_slot *slot = graph->regions[region];
    lt_node *prev = lt_node_get(graph, before != NULL ? before->prev : slot->region.last);
    uint64_t order = key_between(prev, before);
    if (order == 0) {
        number_anew(graph, region);
        order = key_between(prev, before);
    }
    lt_node_slot_of(node)->order = order;
    node->region = region;
    node->prev = prev != NULL ? prev->id : (lt_node_id){ 0 };
    node->next = before != NULL ? before->id : (lt_node_id){ 0 };
    if (prev != NULL) {
        prev->next = node->id;
    } else {
        slot->region.first = node->id;
    }
    if (before != NULL) {
        before->prev = node->id;
    } else {
        slot->region.last = node->id;
    }
    slot->n_nodes++;
}

void lt_node_unlink(lt_graph *graph, lt_node *node)
{
    lt_region_slot *slot = graph->regions[node->region];
    lt_node *prev = lt_node_get(graph, node->prev), *next = lt_node_get(graph, node->next);
    if (prev != NULL) {
        prev->next = node->next;
    } else {
        slot->region.first = node->next;
    }
    if (next != NULL) {
        next->prev = node->prev;
    } else {
        slot->region.last = node->prev;
    }
    node->prev = node->next = (lt_node_id){ 0 };
    slot->n_nodes--;
}
