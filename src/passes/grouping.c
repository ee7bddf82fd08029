/*
 * grouping.c - how groups grow, and the log of what was left unfused. Used by group_epilogues.c and group_pointwise.c.
 *
 * Growing follows the one value of a group that is read outside. Its readers join when they can; when there are several, they join only if in the
 * end one value is read outside again (x * sigmoid(x)). So a group never makes anybody wait for something that itself waits for the group.
 */
#include "passes/grouping_internal.h"

#include <stdio.h>
#include <string.h>

enum { MEMBERS = LT_GROUP_MAX + 8 }; /* prologues come on top */

typedef struct group {
    lt_node_id members[MEMBERS];
    size_t count, tiles; /* all members; those in the tile program */
    lt_node_id root;     /* none: a pointwise group */
    lt_type space;       /* its dims are the iteration space */
    lathe_space device;
} group;

static bool member(const group *s, lt_node_id node)
{
    for (size_t i = 0; i < s->count; i++) {
        if (lt_node_same(s->members[i], node)) {
            return true;
        }
    }
    return false;
}

static uint64_t place_of(const lt_grouping *g, const lt_node *node)
{
    uint64_t place = UINT64_MAX;
    (void)lt_imap_get(&g->place, node->id.index, &place);
    return place;
}

/* ---- Notes ---- */

static uint64_t edge_key(lt_value_id value, lt_node_id to)
{
    return (uint64_t)value.index << 32 | to.index;
}

static const char *note_of(const lt_grouping *g, lt_value_id value, lt_node_id to)
{
    uint64_t i;
    return lt_imap_get(&g->note_index, edge_key(value, to), &i) ? g->notes[i].reason : NULL;
}

lathe_status lt_edge_refuse(lt_grouping *g, lt_value_id value, lt_node_id to, const char *reason)
{
    if (note_of(g, value, to) != NULL) {
        return LATHE_OK;
    }
    const char *copy = lt_arena_str(g->c->scratch, reason);
    if (copy == NULL || !lt_arena_grow(g->c->scratch, (void **)&g->notes, &g->cap_notes, g->n_notes + 1, sizeof *g->notes) ||
        !lt_imap_put(&g->note_index, edge_key(value, to), g->n_notes)) {
        return LT_OOM(g->c->diag);
    }
    g->notes[g->n_notes++] = (lt_edge_note){ value, to, copy };
    return LATHE_OK;
}

/* What an earlier grouping pass said about edges stays true unless the edge is fused after all. */
static lathe_status keep_refusals(lt_grouping *g)
{
    const lt_refusal *refusals;
    size_t n = lt_graph_refusals(g->c->graph, &refusals);
    for (size_t i = 0; i < n; i++) {
        LT_TRY(lt_edge_refuse(g, refusals[i].value, refusals[i].to, refusals[i].reason));
    }
    lt_graph_clear_refusals(g->c->graph);
    return LATHE_OK;
}

/* ---- May this node join? ---- */

/* Does the operand broadcast to the iteration space for sure? */
static bool broadcasts(const lt_graph *graph, const lt_type *operand, const lt_type *space)
{
    if (operand->rank < 0 || operand->rank > space->rank) {
        return false;
    }
    for (int i = 0; i < operand->rank; i++) {
        lt_dim a = operand->dims[i], b = space->dims[space->rank - operand->rank + i];
        if (!lt_dim_is(a, 1) && !lt_dim_same(a, b) && !lt_dim_proves_eq(lt_graph_dims(graph), a, b)) {
            return false;
        }
    }
    return true;
}

/* Scales and zero points of Q/DQ are walked by their axis, not by broadcasting. */
static bool is_parameter(const lt_node *node, uint32_t slot)
{
    return slot > 0 && (lt_is_quantize(node) || lt_is_dequantize(node));
}

static const char *join_reason(const lt_grouping *g, const group *s, const lt_node *node);

/* Dequantization that only feeds the node that is looked at comes along with it (add_feeders). */
static bool comes_along(const lt_grouping *g, const group *s, const lt_value *value, const lt_node *def)
{
    return def != NULL && lt_is_dequantize(def) && lt_value_single(value) && join_reason(g, s, def) == NULL;
}

/* An operand that a root's group reads must be there before the root runs. */
static const char *operand_reason(const lt_grouping *g, const group *s, const lt_node *node, uint32_t slot)
{
    const lt_graph *graph = g->c->graph;
    const lt_value *value = lt_node_in(graph, node, slot);
    bool parameter = is_parameter(node, slot);
    if (value == NULL || lt_value_is_constant(value)) {
        return value != NULL && !parameter && !broadcasts(graph, &value->type, &s->space) ? "shapes not provably equal" : NULL;
    }
    const lt_node *def = value->kind == LT_VALUE_RESULT ? lt_node_get(graph, value->def) : NULL;
    if (def != NULL && member(s, def->id)) {
        return parameter ? "its scale or zero point is computed in the group" : NULL;
    }
    if (!parameter && !broadcasts(graph, &value->type, &s->space)) {
        return "shapes not provably equal";
    }
    const lt_node *root = lt_node_get(graph, s->root);
    bool later = def != NULL && root != NULL && def->region == root->region && place_of(g, def) > place_of(g, root);
    if (later && (parameter || !comes_along(g, s, value, def))) {
        return "an operand is computed after the root";
    }
    return NULL;
}

/* NULL: it may. */
static const char *join_reason(const lt_grouping *g, const group *s, const lt_node *node)
{
    const lt_graph *graph = g->c->graph;
    const char *reason = lt_tile_reason(graph, node);
    const lt_value *out = lt_node_out(graph, node, 0);
    if (reason != NULL) {
        return reason;
    }
    if (node->region != g->region) {
        return "it is in another region";
    }
    if (node->device != s->device) {
        return "groups on different devices";
    }
    if (node->group != 0) {
        return "it is in the group of another operand";
    }
    if (!lt_dims_prove_same(graph, &out->type, &s->space)) {
        return "shapes not provably equal";
    }
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        reason = operand_reason(g, s, node, i);
        if (reason != NULL) {
            return reason;
        }
    }
    return NULL;
}

/* ---- Growing ---- */

static bool add_member(group *s, const lt_node *node, bool tile)
{
    if (s->count == MEMBERS || (tile && s->tiles == LT_GROUP_MAX)) {
        return false;
    }
    s->members[s->count++] = node->id;
    s->tiles += tile;
    return true;
}

/* What only feeds the new member can be computed with it: dequantization everywhere, any instruction in groups without a root. */
static bool add_feeders(const lt_grouping *g, group *s)
{
    const lt_graph *graph = g->c->graph;
    for (size_t at = s->count - 1; at < s->count; at++) {
        const lt_node *user = lt_node_get(graph, s->members[at]);
        for (uint32_t i = 0; i < user->n_inputs; i++) {
            const lt_value *value = lt_node_in(graph, user, i);
            if (value == NULL || value->kind != LT_VALUE_RESULT || !lt_value_single(value) || lt_value_is_constant(value)) {
                continue;
            }
            const lt_node *def = lt_node_get(graph, value->def);
            bool wanted = lt_is_dequantize(def) || (lt_node_none(s->root) && !lt_is_quantize(def));
            if (wanted && !member(s, def->id) && join_reason(g, s, def) == NULL && !add_member(s, def, true)) {
                return false;
            }
        }
    }
    return true;
}

/* Values of members that are read outside, as far as two; *only gets one of them. */
static int exposed(const lt_graph *graph, const group *s, const lt_value **only)
{
    int count = 0;
    *only = NULL;
    for (size_t i = 0; i < s->count; i++) {
        const lt_node *node = lt_node_get(graph, s->members[i]);
        for (uint32_t k = 0; k < node->n_outputs; k++) {
            const lt_value *value = lt_node_out(graph, node, k);
            bool outside = value != NULL && value->n_region_outputs > 0;
            for (uint32_t u = 0; value != NULL && !outside && u < value->n_uses; u++) {
                outside = !member(s, value->uses[u].node);
            }
            if (outside) {
                *only = value;
                count++;
            }
        }
    }
    return count;
}

/*
 * A quantized result ends its group, unless it is dequantized at once for another instruction that the group takes too, quantization by other numbers among them
 * (what Concat joins has one scale). Where the model promised the bits
 * of an integer operator, that operator ends there.
 */
static bool goes_on(const lt_grouping *g, const group *s, const lt_node *quantize)
{
    const lt_graph *graph = g->c->graph;
    const lt_value *bytes = lt_node_out(graph, quantize, 0);
    const lt_node *root = lt_node_get(graph, s->root);
    if (bytes == NULL || !lt_value_single(bytes) || s->tiles + 5 > LT_GROUP_MAX ||
        (root != NULL && lt_attr_i(root->attrs, root->n_attrs, "exact_int", 0) != 0)) {
        return false;
    }
    const lt_node *back = lt_node_get(graph, bytes->uses[0].node);
    const lt_value *real = lt_node_out(graph, back, 0);
    if (!lt_is_dequantize(back) || bytes->uses[0].slot != 0 || real == NULL || !lt_value_single(real) || join_reason(g, s, back) != NULL) {
        return false;
    }
    const lt_node *reader = lt_node_get(graph, real->uses[0].node);
    return !lt_is_root(graph, reader) && join_reason(g, s, reader) == NULL;
}

/* Dequantization that only one root reads is that root's business: it can work on the bytes. */
static bool is_prologue(const lt_graph *graph, const lt_node *node)
{
    const lt_value *value = lt_node_out(graph, node, 0);
    return lt_is_dequantize(node) && value != NULL && lt_value_single(value) && lt_is_root(graph, lt_node_get(graph, value->uses[0].node));
}

/* The first reader, in order, of any member's value that is outside and may join. */
static const lt_node *next_reader(const lt_grouping *g, const group *s)
{
    const lt_graph *graph = g->c->graph;
    const lt_node *best = NULL;
    for (size_t i = 0; i < s->count; i++) {
        const lt_node *node = lt_node_get(graph, s->members[i]);
        const lt_value *value = lt_node_out(graph, node, 0);
        if (value == NULL || (lt_is_quantize(node) && !goes_on(g, s, node))) {
            continue;
        }
        for (uint32_t u = 0; u < value->n_uses; u++) {
            const lt_node *user = lt_node_get(graph, value->uses[u].node);
            if (!member(s, user->id) && !is_prologue(graph, user) && join_reason(g, s, user) == NULL && (best == NULL || place_of(g, user) < place_of(g, best))) {
                best = user;
            }
        }
    }
    return best;
}

/* One more step: readers join until one value is exposed again. false: *s is as before. */
static bool step(const lt_grouping *g, group *s, bool *full)
{
    group t = *s;
    const lt_value *only;
    *full = false;
    do {
        const lt_node *reader = next_reader(g, &t);
        if (reader == NULL) {
            return false;
        }
        if (!add_member(&t, reader, true) || !add_feeders(g, &t)) {
            *full = true;
            return false;
        }
    } while (exposed(g->c->graph, &t, &only) > 1);
    *s = t;
    return true;
}

/* Why the readers of the group's exposed value did not join. */
static lathe_status refuse_readers(lt_grouping *g, const group *s, const lt_value *value, bool full)
{
    const lt_graph *graph = g->c->graph;
    const lt_node *def = lt_node_get(graph, value->def);
    char many[48];
    snprintf(many, sizeof many, "value has %u uses", value->n_uses + value->n_region_outputs);
    for (uint32_t u = 0; u < value->n_uses; u++) {
        const lt_node *user = lt_node_get(graph, value->uses[u].node);
        const char *own = lt_tile_reason(graph, user);
        if (own != NULL && own[0] == '\0') {
            continue; /* no legal edge */
        }
        const char *reason = own != NULL ? own : join_reason(g, s, user);
        if (lt_is_quantize(def)) {
            reason = "a quantized result ends its group";
        } else if (value->def_index != 0) {
            reason = "only the first result of a root can be followed";
        } else if (value->n_region_outputs > 0) {
            reason = "value is an output";
        } else if (reason == NULL) {
            reason = full ? "tile program is full" : many;
        }
        LT_TRY(lt_edge_refuse(g, value->id, user->id, reason));
    }
    return LATHE_OK;
}

/* Roots with several results in use keep them all, so nothing can follow. */
static lathe_status refuse_results(lt_grouping *g, const group *s)
{
    const lt_graph *graph = g->c->graph;
    const lt_node *root = lt_node_get(graph, s->members[0]);
    for (uint32_t k = 0; k < root->n_outputs; k++) {
        const lt_value *value = lt_node_out(graph, root, k);
        for (uint32_t u = 0; value != NULL && u < value->n_uses; u++) {
            const char *own = lt_tile_reason(graph, lt_node_get(graph, value->uses[u].node));
            if (own == NULL || own[0] != '\0') {
                LT_TRY(lt_edge_refuse(g, value->id, value->uses[u].node, "the root has several results in use"));
            }
        }
    }
    return LATHE_OK;
}

static lathe_status grow(lt_grouping *g, group *s)
{
    const lt_graph *graph = g->c->graph;
    const lt_value *value;
    bool full, more = true;
    while (more) {
        int count = exposed(graph, s, &value);
        if (count > 1) {
            return refuse_results(g, s);
        }
        if (count == 0) {
            return LATHE_OK;
        }
        full = false;
        const lt_node *def = lt_node_get(graph, value->def);
        more = value->n_region_outputs == 0 && value->def_index == 0 && (!lt_is_quantize(def) || goes_on(g, s, def)) && step(g, s, &full);
        if (!more) {
            return refuse_readers(g, s, value, full);
        }
    }
    return LATHE_OK;
}

lathe_status lt_group_grow(lt_grouping *g, lt_node_id seed, const lt_node_id *extra, size_t n_extra)
{
    lt_graph *graph = g->c->graph;
    const lt_node *node = lt_node_get(graph, seed);
    const lt_value *out = lt_node_out(graph, node, 0);
    bool root = lt_is_root(g->c->graph, node);
    group s = { .device = node->device };
    if (root) {
        s.root = seed;
    }
    add_member(&s, node, !root);
    for (size_t i = 0; i < n_extra && s.count < MEMBERS; i++) {
        s.members[s.count++] = extra[i];
    }
    if (out != NULL && out->type.cls == LT_TENSOR && out->type.rank >= 0) {
        s.space = out->type;
        if (!root) {
            (void)add_feeders(g, &s);
        }
        LT_TRY(grow(g, &s));
    }
    if (s.count < 2) {
        return LATHE_OK;
    }
    for (size_t i = 0; i < s.count; i++) {
        lt_graph_set_group(graph, s.members[i], g->next);
    }
    g->next++;
    g->c->changed = true;
    return LATHE_OK;
}

/* ---- The log ---- */

/* Could this edge have been fused at all? */
static bool legal_edge(const lt_graph *graph, const lt_node *from, const lt_node *to, bool pointwise)
{
    const char *own = lt_tile_reason(graph, from), *next = lt_tile_reason(graph, to);
    if (lt_is_dequantize(from) && lt_is_root(graph, to)) {
        return true;
    }
    bool source = lt_is_root(graph, from) || ((pointwise || from->group != 0) && own == NULL);
    return source && (next == NULL || next[0] != '\0');
}

static lathe_status log_node(lt_grouping *g, const lt_node *from, bool pointwise)
{
    lt_graph *graph = g->c->graph;
    for (uint32_t k = 0; k < from->n_outputs; k++) {
        const lt_value *value = lt_node_out(graph, from, k);
        for (uint32_t u = 0; value != NULL && u < value->n_uses; u++) {
            const lt_node *to = lt_node_get(graph, value->uses[u].node);
            bool repeated = false;
            for (uint32_t v = 0; v < u; v++) {
                repeated = repeated || lt_node_same(value->uses[v].node, to->id);
            }
            if (repeated || (from->group != 0 && from->group == to->group) || !legal_edge(graph, from, to, pointwise)) {
                continue;
            }
            const char *reason = note_of(g, value->id, to->id);
            LT_TRY(lt_graph_refuse(graph, value->id, from->id, to->id, reason != NULL ? reason : "no group was made around it", g->c->diag));
        }
    }
    return LATHE_OK;
}

/* Members move down to the last one, from the back, so that each stands before what reads it at any time. */
static lathe_status gather_members(lt_grouping *g)
{
    lt_graph *graph = g->c->graph;
    lt_node_id *anchors = LT_ARENA_ARRAY(g->c->scratch, lt_node_id, g->next);
    if (anchors == NULL) {
        return LT_OOM(g->c->diag);
    }
    for (size_t i = g->n_nodes; i-- > 0;) {
        const lt_node *node = lt_node_get(graph, g->nodes[i]);
        if (node == NULL || node->group == 0) {
            continue;
        }
        uint32_t number = node->group;
        if (!lt_node_none(anchors[number]) && !lt_node_same(node->next, anchors[number])) {
            LT_TRY(lt_graph_move_before(graph, node->id, anchors[number], g->c->diag));
        }
        anchors[number] = g->nodes[i];
    }
    return LATHE_OK;
}

static lathe_status run_region(lt_grouping *g, lathe_status (*visit)(lt_grouping *g), bool log_pointwise)
{
    lt_graph *graph = g->c->graph;
    g->n_nodes = lt_graph_node_count(graph, g->region);
    g->nodes = LT_ARENA_ARRAY(g->c->scratch, lt_node_id, g->n_nodes + 1);
    if (g->nodes == NULL) {
        return LT_OOM(g->c->diag);
    }
    size_t n = 0;
    for (const lt_node *node = lt_region_first(graph, g->region); node != NULL; node = lt_node_next(graph, node)) {
        g->nodes[n] = node->id;
        if (!lt_imap_put(&g->place, node->id.index, n++)) {
            return LT_OOM(g->c->diag);
        }
    }
    LT_TRY(visit(g));
    for (size_t i = 0; i < n; i++) {
        LT_TRY(log_node(g, lt_node_get(graph, g->nodes[i]), log_pointwise));
    }
    return gather_members(g);
}

static lathe_status run_regions(lt_grouping *g, lathe_status (*visit)(lt_grouping *g), bool log_pointwise)
{
    lathe_status status = keep_refusals(g);
    for (lt_region_id r = 0; r < lt_graph_regions(g->c->graph) && status == LATHE_OK; r++) {
        const lt_region *region = lt_region_get(g->c->graph, r);
        if (r == LT_INIT || region == NULL || !region->live) {
            continue;
        }
        g->region = r;
        lt_imap_init(&g->place, g->c->allocator);
        status = run_region(g, visit, log_pointwise);
        lt_imap_free(&g->place);
    }
    return status;
}

lathe_status lt_grouping_run(lt_pass_call *c, lathe_status (*visit)(lt_grouping *g), bool log_pointwise)
{
    lt_grouping g = { .c = c, .next = 1 };
    for (const lt_node *node = lt_walk_first(c->graph); node != NULL; node = lt_walk_next(c->graph, node)) {
        g.next = node->group >= g.next ? node->group + 1 : g.next;
    }
    lt_imap_init(&g.note_index, c->allocator);
    lathe_status status = run_regions(&g, visit, log_pointwise);
    lt_imap_free(&g.note_index);
    return status;
}
