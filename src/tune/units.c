/*
 * units.c - from grouped nodes to drafts: what becomes one step, which tactics could do it, in an order that respects every edge.
 *
 * A group that no tactic can do whole is taken apart: the root alone, its pointwise rest as a program of its own, and in the end single operators, for
 * which the reference is always there.
 */
#include "tune/tune_internal.h"
#include <string.h>

lathe_space lt_node_space(const lt_tuner *t, const lt_node *node)
{
    return node->device != LATHE_SPACE_HOST ? node->device : t->options->device;
}

/* ---- Candidates ---- */

/* "Softmax=*.rowwise.*,Conv=..." names a glob for this root; NULL when it does not. */
static bool forced(const char *force, const char *op, const char *tactic, bool *named)
{
    char rule[160];
    *named = false;
    for (const char *at = force ? force : ""; *at;) {
        size_t n = strcspn(at, ",");
        const char *equals = memchr(at, '=', n);
        if (equals && n < sizeof rule && (size_t)(equals - at) == strlen(op) && memcmp(at, op, (size_t)(equals - at)) == 0) {
            size_t length = n - (size_t)(equals - at) - 1;
            memcpy(rule, equals + 1, length);
            rule[length] = '\0';
            *named = true;
            return lt_glob(rule, tactic);
        }
        at += n + (at[n] == ',');
    }
    return false;
}

/* Room of the growing tables of a draft. */
typedef struct draft_room {
    size_t candidates, fits, order;
    uint32_t *candidate_of; /* of each fit */
} draft_room;

/* Would this constant stand in the plan a second time? */
static bool stored_again(const lt_tuner *t, const lt_value *value, const char *pack, const int64_t param[4])
{
    bool other = false;
    if (!pack || !value || !value->blob) {
        return false;
    }
    uint64_t hash = lt_blob_hash(value->blob);
    for (size_t i = 0; i < t->options->n_packed; i++) {
        const lt_packed_before *p = &t->options->packed[i];
        if (p->blob == hash && strcmp(p->pack, pack) == 0 && memcmp(p->param, param, sizeof p->param) == 0) {
            return false;
        }
        other = other || p->blob == hash;
    }
    return other;
}

/* What a candidate counts more than its time: profiles share weights, and a second pack of one costs memory. */
static double factor_of(const lt_tuner *t, const lt_draft *d, const lathe_fit *fit)
{
    for (size_t i = 0; i < d->problem->n_in && t->options->n_packed > 0; i++) {
        if (stored_again(t, lt_value_get(t->graph, d->in[i]), fit->pack[i], fit->pack_param[i])) {
            return 2;
        }
    }
    return 1;
}

static bool bounded(const lathe_problem *p)
{
    for (size_t i = 0; i < p->n_in + p->n_out; i++) {
        const lathe_operand *o = i < p->n_in ? &p->in[i] : &p->out[i - p->n_in];
        for (int k = 0; k < o->rank && !(o->flags & LATHE_OPERAND_ABSENT); k++) {
            if (o->dims[k].max >= INT32_MAX) {
                return false;
            }
        }
    }
    return true;
}

/* Bytes at the opt extents, or at the upper ones. */
static size_t scratch_of(const lt_tuner *t, const lt_draft *d, const lathe_tactic *tactic, uint32_t config, bool upper)
{
    enum { MOST = 64 };
    lathe_buffer row[MOST];
    int64_t dims[MOST][LATHE_MAX_RANK];
    const lathe_problem *p = d->problem;
    if (!tactic->scratch_bytes || p->n_in + p->n_out > MOST) {
        return 0;
    }
    for (size_t i = 0; i < p->n_in + p->n_out; i++) {
        const lathe_operand *o = i < p->n_in ? &p->in[i] : &p->out[i - p->n_in];
        row[i] = (lathe_buffer){.rank = o->flags & LATHE_OPERAND_ABSENT || o->rank < 0 ? 0 : o->rank, .dims = dims[i]};
        for (int k = 0; k < row[i].rank; k++) {
            dims[i][k] = upper ? o->dims[k].max : o->dims[k].opt;
        }
    }
    return tactic->scratch_bytes(p, config, row, row + p->n_in, lt_tuner_threads(t));
}

static lathe_status add_candidate(lt_tuner *t, lt_draft *d, const lathe_tactic *tactic, uint32_t config, draft_room *room)
{
    lathe_fit fit;
    lt_candidate c = {.tactic = tactic, .config = config};
    const lathe_pw_instr *first;
    int epilogue = lt_problem_epilogue(d->problem, &first);
    if (!lt_source_on(t->options->sources, tactic)) {
        fit = (lathe_fit){.struct_size = sizeof fit};
        c.fits = lt_no(&fit, "source %s is off", lt_tactic_source(tactic)) != 0;
    } else {
        c.fits = lt_tactic_ask(tactic, config, d->problem, t->options->features, t->arena, &fit);
        if (!c.fits && !fit.in) {
            return LT_OOM(t->diag);
        }
    }
    if (c.fits && fit.absorbed < epilogue) {
        c.fits = false;
        lt_no(&fit, "absorbs %d of %d instructions", fit.absorbed, epilogue);
    }
    c.scratch = c.fits ? scratch_of(t, d, tactic, config, false) : 0;
    bool named;
    bool wanted = forced(t->options->force, d->problem->op[0] ? d->problem->op : "-", tactic->name, &named);
    if (c.fits && named && !wanted) {
        c.fits = false;
        lt_no(&fit, "another tactic is forced");
    }
    size_t most = c.fits && t->options->workspace && bounded(d->problem) ? scratch_of(t, d, tactic, config, true) : c.scratch;
    if (c.fits && t->options->workspace && most > t->options->workspace) {
        c.fits = false;
        d->least_scratch = most < d->least_scratch ? most : d->least_scratch;
        lt_no(&fit, "needs %zu bytes of scratch, the workspace is %llu", most, (unsigned long long)t->options->workspace);
    }
    const char *rule = c.fits ? lt_tactic_rules_refuse(t, d, tactic) : NULL;
    if (rule) {
        c.fits = false;
        lt_no(&fit, "ruled out by %s", rule);
    }
    if (!c.fits && !t->options->keep_candidates) {
        return LATHE_OK;
    }
    c.estimate_ns = fit.cost;
    c.factor = c.fits ? factor_of(t, d, &fit) : 1;
    fit.cost *= c.factor;
    c.why = c.fits ? "" : lt_arena_str(t->arena, fit.why);
    c.cost_ns = fit.cost;
    if (!c.why || !lt_arena_grow(t->arena, (void **)&d->candidates, &room->candidates, d->n_candidates + 1u, sizeof c)) {
        return LT_OOM(t->diag);
    }
    ((lt_candidate *)d->candidates)[d->n_candidates++] = c;
    if (!c.fits) {
        return LATHE_OK;
    }
    if (!lt_arena_grow(t->arena, (void **)&d->fits, &room->fits, d->n_states + 1u, sizeof fit) ||
        !lt_arena_grow(t->arena, (void **)&room->candidate_of, &room->order, d->n_states + 1u, sizeof *room->candidate_of)) {
        return LT_OOM(t->diag);
    }
    d->fits[d->n_states] = fit;
    room->candidate_of[d->n_states++] = d->n_candidates - 1;
    return LATHE_OK;
}

/* Asks every tactic of the space; the states of the choice are those that fit. */
static lathe_status ask_all(lt_tuner *t, lt_draft *d, lathe_space space)
{
    draft_room room = {0};
    const lathe_tactic *tactic;
    d->candidates = NULL;
    d->fits = NULL;
    d->n_candidates = d->n_states = 0;
    d->least_scratch = SIZE_MAX;
    for (size_t i = 0; (tactic = lt_tactic_at(i)); i++) {
        if (tactic->device != space || !lt_tactic_lists(tactic, d->problem->op, d->problem->domain)) {
            continue;
        }
        for (uint32_t config = 0; config < tactic->configs; config++) {
            LT_TRY(add_candidate(t, d, tactic, config, &room));
        }
    }
    d->states = lt_arena_zero(t->arena, d->n_states + 1u, sizeof *d->states, _Alignof(void *));
    if (!d->states) {
        return LT_OOM(t->diag);
    }
    for (uint32_t i = 0; i < d->n_states; i++) {
        d->states[i] = &d->candidates[room.candidate_of[i]];
    }
    return LATHE_OK;
}

/* ---- Drafts ---- */

static lathe_status push_draft(lt_tuner *t, const lt_draft *d)
{
    if (!lt_arena_grow(t->arena, (void **)&t->drafts.items, &t->drafts.capacity, t->drafts.count + 1, sizeof *d)) {
        return LT_OOM(t->diag);
    }
    t->drafts.items[t->drafts.count++] = *d;
    return LATHE_OK;
}

static lathe_status count_operands(lt_draft *d)
{
    d->n_in = (uint32_t)d->problem->n_in;
    d->n_out = (uint32_t)d->problem->n_out;
    return LATHE_OK;
}

static bool planned(const lt_tuner *t, const lt_value *v)
{
    return v && lt_value_keep(t->graph, v, t->options) == LT_KEEP_PLANNED && lathe_dtype_bits(v->type.dtype) >= 8;
}

/* A single operator by itself, on its device or else on the CPU, where the reference does everything. */
static lathe_status draft_node(lt_tuner *t, const lt_node_id *id)
{
    const lt_node *node = lt_node_get(t->graph, *id);
    lt_draft d = {.kind = LT_UNIT_STEP, .region = node->region, .nodes = id, .n_nodes = 1, .space = lt_node_space(t, node)};
    LT_TRY(lt_node_problem(t, node, &d.problem, &d.in, &d.out));
    LT_TRY(count_operands(&d));
    LT_TRY(ask_all(t, &d, d.space));
    if (d.n_states == 0 && d.space != LATHE_SPACE_HOST) {
        d.space = LATHE_SPACE_HOST;
        LT_TRY(ask_all(t, &d, d.space));
    }
    if (d.n_states == 0 && d.least_scratch < SIZE_MAX) {
        char name[160];
        return LT_FAIL(t->diag, LATHE_UNSUPPORTED, lt_node_describe(t->graph, node, name, sizeof name),
                       lt_arena_printf(t->arena, "allow a workspace of at least %zu bytes (--workspace, workspace in lathe_build_options)", d.least_scratch),
                       "no tactic computes this operator with %llu bytes of scratch: the least that one needs is %zu",
                       (unsigned long long)t->options->workspace, d.least_scratch);
    }
    if (d.n_states == 0) {
        char name[160];
        return LT_FAIL(t->diag, LATHE_UNSUPPORTED, lt_node_describe(t->graph, node, name, sizeof name), "lathe tactics --for shows every refusal",
                       "no tactic can compute this operator");
    }
    bool named;
    (void)forced(t->options->force, node->op->name, "", &named);
    if (!named && planned(t, lt_node_in(t->graph, node, 0)) && planned(t, lt_node_out(t->graph, node, 0))) {
        LT_TRY(lt_add_transpose_views(t, &d, node));
    }
    return push_draft(t, &d);
}

/* Nodes as one program; *done says whether some tactic takes it. */
static lathe_status draft_program(lt_tuner *t, const lt_node_id *nodes, uint32_t n, bool *done)
{
    const lt_node *first = lt_node_get(t->graph, nodes[0]);
    lt_draft d = {.kind = LT_UNIT_STEP, .region = first->region, .nodes = nodes, .n_nodes = n, .space = lt_node_space(t, first)};
    bool possible;
    *done = false;
    LT_TRY(lt_program_problem(t, nodes, n, &d.problem, &d.in, &d.out, &possible));
    if (!possible) {
        return LATHE_OK;
    }
    LT_TRY(count_operands(&d));
    LT_TRY(ask_all(t, &d, d.space));
    *done = d.n_states > 0;
    return *done ? push_draft(t, &d) : LATHE_OK;
}

static bool in_pointwise(const lt_node *n)
{
    return (n->op->traits & LT_OP_POINTWISE) || lt_node_is(n, "QuantizeLinear") || lt_node_is(n, "DequantizeLinear");
}

static lathe_status draft_each(lt_tuner *t, const lt_node_id *nodes, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        bool done = false;
        if (in_pointwise(lt_node_get(t->graph, nodes[i]))) {
            LT_TRY(draft_program(t, &nodes[i], 1, &done));
        }
        LT_TRY(done ? LATHE_OK : draft_node(t, &nodes[i]));
    }
    return LATHE_OK;
}

/* Root first among its kind: prologue nodes, the root, the rest as one program. */
static lathe_status draft_apart(lt_tuner *t, const lt_node_id *nodes, uint32_t n)
{
    uint32_t root = 0;
    while (root < n && in_pointwise(lt_node_get(t->graph, nodes[root]))) {
        root++;
    }
    if (root == n) {
        return draft_each(t, nodes, n);
    }
    LT_TRY(draft_each(t, nodes, root));
    LT_TRY(draft_node(t, &nodes[root]));
    bool done = root + 1 == n;
    if (!done) {
        LT_TRY(draft_program(t, nodes + root + 1, n - root - 1, &done));
    }
    return done ? LATHE_OK : draft_each(t, nodes + root + 1, n - root - 1);
}

/* A group around a root, where times will tell (or a record told) whether it pays. */
static bool wants_pieces(const lt_tuner *t, const lt_node_id *nodes, uint32_t n)
{
    bool root = false;
    for (uint32_t i = 0; i < n; i++) {
        root |= !in_pointwise(lt_node_get(t->graph, nodes[i]));
    }
    return n > 1 && root && t->options->device == LATHE_SPACE_HOST && (t->options->level >= 3 || t->options->record);
}

/* The group is drafted already; its pieces follow it. */
static lathe_status draft_pieces(lt_tuner *t, const lt_node_id *nodes, uint32_t n)
{
    size_t first = t->drafts.count;
    LT_TRY(draft_apart(t, nodes, n));
    for (size_t i = first; i < t->drafts.count; i++) {
        t->drafts.items[i].piece = true;
    }
    return LATHE_OK;
}

static bool is_view(const lt_tuner *t, const lt_node *n)
{
    const lt_value *in = lt_node_in(t->graph, n, 0), *out = lt_node_out(t->graph, n, 0);
    return (n->op->traits & LT_OP_VIEW) && n->n_outputs == 1 && planned(t, in) && planned(t, out) && in->type.dtype == out->type.dtype;
}

/* No tactic does the group whole. */
static lathe_status draft_refused(lt_tuner *t, const lt_node_id *nodes, uint32_t n)
{
    size_t first = t->drafts.count;
    LT_TRY(draft_apart(t, nodes, n));
    for (size_t i = first; i < t->drafts.count; i++) {
        t->drafts.items[i].apart = true;
        t->drafts.items[i].note = "no tactic computes the group whole";
    }
    return LATHE_OK;
}

static lathe_status draft_group(lt_tuner *t, const lt_node_id *nodes, uint32_t n)
{
    const lt_node *first = lt_node_get(t->graph, nodes[0]);
    if (n == 1 && (first->op->traits & LT_OP_REGIONS)) {
        lt_draft d = {.kind = LT_UNIT_REGION, .region = first->region, .nodes = nodes, .n_nodes = 1, .in = first->inputs, .n_in = first->n_inputs,
                      .out = first->outputs, .n_out = first->n_outputs, .n_states = 1};
        return push_draft(t, &d);
    }
    if (n == 1 && is_view(t, first)) {
        lt_draft d = {.kind = LT_UNIT_VIEW, .region = first->region, .nodes = nodes, .n_nodes = 1, .in = first->inputs, .n_in = 1, .out = first->outputs,
                      .n_out = 1, .space = lt_node_space(t, first), .n_states = 1};
        return push_draft(t, &d);
    }
    bool done = false;
    if (n > 1 || in_pointwise(first)) {
        LT_TRY(draft_program(t, nodes, n, &done));
    }
    if (done) {
        return wants_pieces(t, nodes, n) ? draft_pieces(t, nodes, n) : LATHE_OK;
    }
    return n > 1 ? draft_refused(t, nodes, n) : draft_node(t, nodes);
}

/* ---- Order ---- */

typedef struct cluster {
    lt_node_id *nodes;
    size_t n, capacity;
    uint8_t state; /* 0 waiting, 1 its producers are being placed, 2 placed */
    size_t node_at, input_at; /* where the walk over its inputs stands */
} cluster;

typedef struct order {
    lt_tuner *t;
    cluster *items;
    size_t count, capacity;
    lt_imap of_node; /* node index -> cluster + 1 */
    lt_imap of_group;
    uint32_t *stack;
    size_t depth, stack_capacity;
} order;

static lathe_status add_to_cluster(order *o, const lt_node *node)
{
    uint64_t at;
    if (node->group == 0 || !lt_imap_get(&o->of_group, node->group, &at)) {
        if (!lt_arena_grow(o->t->arena, (void **)&o->items, &o->capacity, o->count + 1, sizeof *o->items)) {
            return LT_OOM(o->t->diag);
        }
        at = o->count++;
        if (node->group != 0 && !lt_imap_put(&o->of_group, node->group, at)) {
            return LT_OOM(o->t->diag);
        }
    }
    cluster *c = &o->items[at];
    if (!lt_arena_grow(o->t->arena, (void **)&c->nodes, &c->capacity, c->n + 1, sizeof *c->nodes) || !lt_imap_put(&o->of_node, node->id.index, at)) {
        return LT_OOM(o->t->diag);
    }
    c->nodes[c->n++] = node->id;
    return LATHE_OK;
}

/* Cluster of this region that makes a value; false when it is made elsewhere. */
static bool maker_of(const order *o, const lt_value *v, uint64_t *at)
{
    return v && v->kind == LT_VALUE_RESULT && lt_imap_get(&o->of_node, v->def.index, at);
}

static lathe_status push_cluster(order *o, uint64_t at)
{
    if (o->items[at].state == 1) {
        const lt_node *n = lt_node_get(o->t->graph, o->items[at].nodes[0]);
        return LT_FAIL(o->t->diag, LATHE_INTERNAL, n->label, "this is a bug in Lathe: please report it", "group %u is part of a cycle", n->group);
    }
    if (!lt_arena_grow(o->t->arena, (void **)&o->stack, &o->stack_capacity, o->depth + 1, sizeof *o->stack)) {
        return LT_OOM(o->t->diag);
    }
    o->items[at].state = 1;
    o->stack[o->depth++] = (uint32_t)at;
    return LATHE_OK;
}

/* Next producer that is not placed yet, over the inputs of all members. Regions' captures need no look: bodies follow the order of the graph. */
static bool next_producer(order *o, cluster *c, uint64_t self, uint64_t *at)
{
    for (; c->node_at < c->n; c->node_at++, c->input_at = 0) {
        const lt_node *n = lt_node_get(o->t->graph, c->nodes[c->node_at]);
        while (c->input_at < n->n_inputs) {
            const lt_value *v = lt_node_in(o->t->graph, n, (uint32_t)c->input_at++);
            if (maker_of(o, v, at) && *at != self && o->items[*at].state != 2) {
                return true;
            }
        }
    }
    return false;
}

static lathe_status place(order *o, uint64_t first)
{
    if (o->items[first].state == 2) {
        return LATHE_OK;
    }
    LT_TRY(push_cluster(o, first));
    while (o->depth > 0) {
        uint64_t self = o->stack[o->depth - 1], producer;
        cluster *c = &o->items[self];
        if (next_producer(o, c, self, &producer)) {
            LT_TRY(push_cluster(o, producer));
            continue;
        }
        o->depth--;
        c->state = 2;
        LT_TRY(draft_group(o->t, c->nodes, (uint32_t)c->n));
    }
    return LATHE_OK;
}

/* Values of a region that bodies inside read must be made before the body's owner: owners are placed after everything that stands before them. */
static lathe_status place_region(order *o)
{
    size_t placed_to = 0;
    for (size_t i = 0; i < o->count; i++) {
        const lt_node *n = lt_node_get(o->t->graph, o->items[i].nodes[0]);
        if (n->op->traits & LT_OP_REGIONS) {
            for (; placed_to < i; placed_to++) {
                LT_TRY(place(o, placed_to));
            }
        }
    }
    for (size_t i = 0; i < o->count; i++) {
        LT_TRY(place(o, i));
    }
    return LATHE_OK;
}

static lathe_status draft_region(lt_tuner *t, lt_region_id region)
{
    order o = {.t = t};
    lt_imap_init(&o.of_node, t->arena->allocator);
    lt_imap_init(&o.of_group, t->arena->allocator);
    lathe_status status = LATHE_OK;
    for (const lt_node *n = lt_region_first(t->graph, region); n && status == LATHE_OK; n = lt_node_next(t->graph, n)) {
        status = add_to_cluster(&o, n);
    }
    if (status == LATHE_OK) {
        status = place_region(&o);
    }
    lt_imap_free(&o.of_node);
    lt_imap_free(&o.of_group);
    return status;
}

lathe_status lt_make_drafts(lt_tuner *t)
{
    for (lt_region_id r = 0; r < lt_graph_regions(t->graph); r++) {
        const lt_region *region = lt_region_get(t->graph, r);
        if (region && region->live && r != LT_INIT) {
            LT_TRY(draft_region(t, r));
        }
    }
    return LATHE_OK;
}
