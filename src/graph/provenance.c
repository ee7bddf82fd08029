/*
 * provenance.c - where nodes came from and where they went: origins, the edit log, fates, refusals. Part of graph; read
 * by explain and plans.
 *
 * The log is append-only. An origin is a step while a live node outside of LT_INIT carries it, else folded while one in
 * LT_INIT does, else removed by the last edit that took a node of it away. What the importer took away were Constant
 * nodes: folded.
 */
#include <string.h>

#include "graph/graph_internal.h"

/* Place of `number` in the sorted set, or where it belongs. */
static size_t place_of(const lt_numbers *set, uint32_t number)
{
    size_t low = 0, high = set->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (set->items[middle] < number) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static void insert(lt_numbers *set, uint32_t number)
{
    size_t at = place_of(set, number);
    if (at < set->count && set->items[at] == number) {
        return;
    }
    if (at < set->count) {
        memmove(&set->items[at + 1], &set->items[at], (set->count - at) * sizeof *set->items);
    }
    set->items[at] = number;
    set->count++;
}

static bool reserve(lt_arena *arena, lt_numbers *set, size_t more)
{
    void *items = set->items;
    if (more == 0) {
        return true;
    }
    if (more > SIZE_MAX - set->count ||
        !lt_arena_grow(arena, &items, &set->capacity, set->count + more, sizeof *set->items)) {
        return false;
    }
    set->items = items;
    return true;
}

bool lt_numbers_add(lt_arena *arena, lt_numbers *set, const uint32_t *items, size_t count)
{
    if (!reserve(arena, set, count)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        insert(set, items[i]);
    }
    return true;
}

lathe_status lt_graph_add_origin(lt_graph *graph, const lt_origin *origin, uint32_t *number, lathe_diag *diag)
{
    void *origins = graph->origins;
    lt_arena *arena = &graph->arena;
    if (graph->n_origins >= UINT32_MAX ||
        !lt_arena_grow(arena, &origins, &graph->cap_origins, graph->n_origins + 1, sizeof(lt_origin))) {
        return LT_OOM(diag);
    }
    graph->origins = origins;
    lt_origin kept = {
        .label = lt_arena_str(arena, origin->label == NULL ? "" : origin->label),
        .op = lt_arena_str(arena, origin->op == NULL ? "" : origin->op),
        .domain = lt_arena_str(arena, origin->domain == NULL ? "" : origin->domain),
        .path = lt_arena_str(arena, origin->path == NULL ? "" : origin->path),
    };
    if (kept.label == NULL || kept.op == NULL || kept.domain == NULL || kept.path == NULL) {
        return LT_OOM(diag);
    }
    *number = (uint32_t)graph->n_origins;
    graph->origins[graph->n_origins++] = kept;
    return LATHE_OK;
}

size_t lt_graph_origins(const lt_graph *graph, const lt_origin **out)
{
    if (out != NULL) {
        *out = graph->origins;
    }
    return graph->n_origins;
}

/* ---- Edits ---- */

/* Room for the record that the end of an edit writes, so that the end cannot fail. */
static bool reserve_record(lt_graph *graph)
{
    void *log = graph->log;
    if (!lt_arena_grow(&graph->arena, &log, &graph->cap_log, graph->n_log + 1, sizeof(lt_log_record))) {
        return false;
    }
    graph->log = log;
    return true;
}

lathe_status lt_edit_begin(lt_graph *graph, const char *pass, const char *rule, lathe_diag *diag)
{
    if (graph->edit.open) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, NULL, NULL, "an edit of '%s' begins while one of '%s' is open",
                       pass, graph->edit.pass);
    }
    lt_edit edit = { .open = true, .note = "" };
    edit.pass = lt_arena_str(&graph->arena, pass == NULL ? "" : pass);
    edit.rule = lt_arena_str(&graph->arena, rule == NULL ? "" : rule);
    if (edit.pass == NULL || edit.rule == NULL || !reserve_record(graph)) {
        return LT_OOM(diag);
    }
    graph->edit = edit;
    return LATHE_OK;
}

static lathe_status need_edit(const lt_graph *graph, lathe_diag *diag)
{
    if (!graph->edit.open) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, NULL, NULL, "no edit is open");
    }
    return LATHE_OK;
}

lathe_status lt_edit_consume(lt_graph *graph, lt_node_id id, lathe_diag *diag)
{
    const lt_node *node = lt_node_get(graph, id);
    LT_TRY(need_edit(graph, diag));
    if (node == NULL) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, NULL, NULL, "the node is gone");
    }
    return lt_numbers_add(&graph->arena, &graph->edit.consumed, node->origins, node->n_origins) ? LATHE_OK
                                                                                                : LT_OOM(diag);
}

lathe_status lt_edit_gone(lt_graph *graph, uint32_t origin, lathe_diag *diag)
{
    LT_TRY(need_edit(graph, diag));
    if (origin >= graph->n_origins) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, NULL, NULL, "there is no origin %u", origin);
    }
    return lt_numbers_add(&graph->arena, &graph->edit.gone, &origin, 1) ? LATHE_OK : LT_OOM(diag);
}

lathe_status lt_edit_note(lt_graph *graph, const char *note, lathe_diag *diag)
{
    LT_TRY(need_edit(graph, diag));
    const char *copy = lt_arena_str(&graph->arena, note == NULL ? "" : note);
    if (copy == NULL) {
        return LT_OOM(diag);
    }
    graph->edit.note = copy;
    return LATHE_OK;
}

static void write_record(lt_graph *graph, const lt_edit *edit)
{
    graph->log[graph->n_log++] = (lt_log_record){
        .pass = edit->pass,
        .rule = edit->rule,
        .gone = edit->gone.items,
        .n_gone = (uint32_t)edit->gone.count,
        .n_added = edit->n_added,
        .note = edit->note,
    };
}

void lt_edit_end(lt_graph *graph)
{
    const lt_edit *edit = &graph->edit;
    if (edit->open && (edit->gone.count > 0 || edit->n_added > 0 || edit->note[0] != '\0')) {
        write_record(graph, edit);
    }
    graph->edit = (lt_edit){ 0 };
}

/* Outside of an edit the removal is one of its own, by nobody in particular. */
lathe_status lt_gone_reserve(lt_graph *graph, size_t count, lathe_diag *diag)
{
    if (!reserve(&graph->arena, &graph->edit.gone, count) || (!graph->edit.open && !reserve_record(graph))) {
        return LT_OOM(diag);
    }
    return LATHE_OK;
}

void lt_gone_note(lt_graph *graph, const lt_node *node)
{
    for (uint32_t i = 0; i < node->n_origins; i++) {
        insert(&graph->edit.gone, node->origins[i]);
    }
}

void lt_gone_done(lt_graph *graph)
{
    if (!graph->edit.open) {
        if (graph->edit.gone.count > 0) {
            lt_edit edit = { .pass = "edit", .rule = "", .note = "", .gone = graph->edit.gone };
            write_record(graph, &edit);
        }
        graph->edit = (lt_edit){ 0 };
    }
}

size_t lt_graph_log(const lt_graph *graph, const lt_log_record **out)
{
    if (out != NULL) {
        *out = graph->log;
    }
    return graph->n_log;
}

/* ---- Fates ---- */

typedef struct fate_sweep {
    lt_fate *fates;
    const char **passes;
    lt_fate mark;
    const char *pass;
} fate_sweep;

static lathe_status mark_node(void *user, lt_node *node)
{
    const fate_sweep *sweep = user;
    for (uint32_t i = 0; i < node->n_origins; i++) {
        sweep->fates[node->origins[i]] = sweep->mark;
        sweep->passes[node->origins[i]] = sweep->pass;
    }
    return LATHE_OK;
}

/* Bodies of folded nodes belong to them; of two recipes with one origin the first tells the pass. */
static lathe_status mark_folded(const lt_graph *graph, fate_sweep *sweep)
{
    sweep->mark = LT_FATE_FOLDED;
    for (lt_node *node = lt_node_get(graph, graph->regions[LT_INIT]->region.last); node != NULL;
         node = lt_node_get(graph, node->prev)) {
        const char *folder = lt_node_slot_of(node)->folder;
        sweep->pass = folder == NULL ? "" : folder;
        lt_region_id body;
        for (size_t i = 0; lt_node_region(node->attrs, node->n_attrs, i, &body); i++) {
            LT_TRY(lt_region_walk(graph, body, mark_node, sweep));
        }
        LT_TRY(mark_node(sweep, node));
    }
    return LATHE_OK;
}

lathe_status lt_graph_fates(const lt_graph *graph, lt_fate *fates, const char **passes, lathe_diag *diag)
{
    fate_sweep sweep = { .fates = fates, .passes = passes };
    (void)diag;
    for (size_t i = 0; i < graph->n_origins; i++) {
        fates[i] = LT_FATE_FOLDED;
        passes[i] = "import"; /* no edit names it: it never became a node but a constant */
    }
    for (size_t r = 0; r < graph->n_log; r++) {
        bool folded =
            strcmp(graph->log[r].pass, "import") == 0; /* the importer takes Constant nodes away, and no others */
        for (uint32_t i = 0; i < graph->log[r].n_gone; i++) {
            fates[graph->log[r].gone[i]] = folded ? LT_FATE_FOLDED : LT_FATE_REMOVED;
            passes[graph->log[r].gone[i]] = graph->log[r].pass;
        }
    }
    LT_TRY(mark_folded(graph, &sweep)); /* the weaker claim first */
    sweep.mark = LT_FATE_STEP;
    sweep.pass = "";
    for (lt_region_id r = 0; r < graph->n_regions; r++) {
        if (lt_region_slot_of(graph, r) != NULL && r != LT_INIT && graph->regions[r]->region.owner.generation == 0) {
            LT_TRY(lt_region_walk(graph, r, mark_node, &sweep));
        }
    }
    return LATHE_OK;
}

lathe_status lt_graph_fate(const lt_graph *graph, uint32_t origin, lt_fate *fate, const char **pass, lathe_diag *diag)
{
    if (origin >= graph->n_origins) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, NULL, NULL, "there is no origin %u", origin);
    }
    size_t n = graph->n_origins;
    lt_fate *fates = lt_alloc_array(graph->allocator, n, sizeof *fates, _Alignof(lt_fate));
    const char **passes = lt_alloc_array(graph->allocator, n, sizeof *passes, _Alignof(const char *));
    lathe_status status = fates == NULL || passes == NULL ? LT_OOM(diag) : lt_graph_fates(graph, fates, passes, diag);
    if (status == LATHE_OK) {
        *fate = fates[origin];
        *pass = passes[origin];
    }
    lt_release(graph->allocator, fates, n * sizeof *fates, _Alignof(lt_fate));
    lt_release(graph->allocator, passes, n * sizeof *passes, _Alignof(const char *));
    return status;
}

/* ---- Refusals ---- */

lathe_status lt_graph_refuse(lt_graph *graph, lt_value_id value, lt_node_id from, lt_node_id to, const char *reason,
                             lathe_diag *diag)
{
    void *refusals = graph->refusals;
    const char *copy = lt_arena_str(&graph->arena, reason == NULL ? "" : reason);
    if (copy == NULL ||
        !lt_arena_grow(&graph->arena, &refusals, &graph->cap_refusals, graph->n_refusals + 1, sizeof(lt_refusal))) {
        return LT_OOM(diag);
    }
    graph->refusals = refusals;
    graph->refusals[graph->n_refusals++] = (lt_refusal){ .value = value, .from = from, .to = to, .reason = copy };
    return LATHE_OK;
}

size_t lt_graph_refusals(const lt_graph *graph, const lt_refusal **out)
{
    if (out != NULL) {
        *out = graph->refusals;
    }
    return graph->n_refusals;
}

void lt_graph_clear_refusals(lt_graph *graph)
{
    graph->n_refusals = 0;
}
