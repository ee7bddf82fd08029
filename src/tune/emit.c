/*
 * emit.c - from chosen states to units, slots and reformats, in an order that the plan can follow.
 *
 * A slot that is read in the region of its maker only is made just before its first reader; one that bodies of other regions read is made right after
 * the value itself (or at the start of the network), so that no branch depends on another having run.
 */
#include "tune/tune_internal.h"
#include <string.h>

typedef struct slot_info {
    lt_region_id home;  /* region that makes the value */
    bool elsewhere;     /* read in another region than home */
    bool made;
} slot_info;

typedef struct emitter {
    lt_tuner *t;
    const uint32_t *states;
    lt_unit *units;
    size_t n_units, cap_units;
    lt_slot *slots;
    slot_info *info;
    size_t n_slots, cap_slots, cap_info;
    lt_imap first_slot; /* value index -> first slot of the value + 1 */
    uint32_t *next;     /* chain of slots of one value */
    size_t cap_next;
} emitter;

/* ---- Slots ---- */

static lt_region_id home_of(const lt_value *v)
{
    return v->region == LT_INIT ? LT_MAIN : v->region;
}

static lathe_status slot_of(emitter *e, lt_value_id id, const lathe_format *f, uint32_t *out)
{
    uint64_t head = LT_NO_SLOT;
    lt_arena *arena = e->t->arena;
    if (lt_imap_get(&e->first_slot, id.index, &head)) {
        for (uint32_t s = (uint32_t)head; s != LT_NO_SLOT; s = e->next[s]) {
            if (lt_format_same(&e->slots[s].format, f)) {
                *out = s;
                return LATHE_OK;
            }
        }
    }
    if (!lt_arena_grow(arena, (void **)&e->slots, &e->cap_slots, e->n_slots + 1, sizeof *e->slots) ||
        !lt_arena_grow(arena, (void **)&e->info, &e->cap_info, e->n_slots + 1, sizeof *e->info) ||
        !lt_arena_grow(arena, (void **)&e->next, &e->cap_next, e->n_slots + 1, sizeof *e->next) || !lt_imap_put(&e->first_slot, id.index, e->n_slots)) {
        return LT_OOM(e->t->diag);
    }
    *out = (uint32_t)e->n_slots++;
    e->slots[*out] = (lt_slot){id, *f};
    e->next[*out] = (uint32_t)head;
    e->info[*out] = (slot_info){.home = home_of(lt_value_get(e->t->graph, id))};
    return LATHE_OK;
}

/* Some slot of a value that is made already; inputs and constants are there in plain form from the start. */
static lathe_status source_of(emitter *e, lt_value_id id, uint32_t *out)
{
    const lt_value *v = lt_value_get(e->t->graph, id);
    uint64_t head = LT_NO_SLOT;
    if (v->kind == LT_VALUE_INPUT || lt_value_is_constant(v)) {
        lathe_format plain = lt_plain_format(e->t, v, LATHE_SPACE_HOST);
        LT_TRY(slot_of(e, id, &plain, out));
        e->info[*out].made = true;
        return LATHE_OK;
    }
    if (lt_imap_get(&e->first_slot, id.index, &head)) {
        uint32_t oldest = LT_NO_SLOT;
        for (uint32_t s = (uint32_t)head; s != LT_NO_SLOT; s = e->next[s]) {
            oldest = e->info[s].made && (oldest == LT_NO_SLOT || s < oldest) ? s : oldest;
        }
        if (oldest != LT_NO_SLOT) {
            *out = oldest;
            return LATHE_OK;
        }
    }
    return LT_FAIL(e->t->diag, LATHE_INTERNAL, v->name, "this is a bug in Lathe: please report it", "'%s' is read before it is made", v->name);
}

/* ---- Units ---- */

typedef struct class_row { const char *op, *name; } class_row;

static const char *class_of(const lathe_problem *p)
{
    static const class_row rows[] = {
        {"Conv", "convolution"}, {"ConvTranspose", "convolution"}, {"ConvInteger", "convolution"}, {"QLinearConv", "convolution"},
        {"DeformConv", "convolution"},
        {"MatMul", "matmul"}, {"Gemm", "matmul"}, {"MatMulInteger", "matmul"}, {"QLinearMatMul", "matmul"}, {"QGemm", "matmul"},
        {"MatMulBlocks", "matmul"},
        {"MaxPool", "pooling"}, {"AveragePool", "pooling"}, {"GlobalAveragePool", "pooling"}, {"GlobalMaxPool", "pooling"},
        {"Softmax", "softmax"}, {"LogSoftmax", "softmax"}, {"LSTM", "recurrent"}, {"GRU", "recurrent"}, {"RNN", "recurrent"},
        {"LayerNormalization", "normalization"}, {"BatchNormalization", "normalization"}, {"InstanceNormalization", "normalization"},
        {"GroupNormalization", "normalization"}, {"RMSNormalization", "normalization"},
        {"Transpose", "movement"}, {"Concat", "movement"}, {"Slice", "movement"}, {"Split", "movement"}, {"Gather", "movement"}, {"Pad", "movement"},
        {"Expand", "movement"}, {"Reshape", "movement"}, {"Resize", "resize"}, {"Reformat", "reformat"},
    };
    if (p->op[0] == '\0') {
        return "pointwise";
    }
    for (size_t i = 0; i < LT_COUNT(rows); i++) {
        if (strcmp(rows[i].op, p->op) == 0) {
            return rows[i].name;
        }
    }
    return strncmp(p->op, "Reduce", 6) == 0 ? "reduction" : "other";
}

/* "conv1 + bn1 + relu": labels of the members, or their operators; what several nodes were made of is named once. */
static const char *name_of(emitter *e, const lt_draft *d)
{
    lt_buf text;
    const char *last = NULL;
    lt_buf_init(&text, e->t->arena->allocator);
    for (uint32_t i = 0; i < d->n_nodes && text.length < 200; i++) {
        const lt_node *n = lt_node_get(e->t->graph, d->nodes[i]);
        const char *label = n->label && n->label[0] ? n->label : NULL;
        if (label && last && strcmp(label, last) == 0) {
            continue;
        }
        lt_buf_puts(&text, i ? " + " : "");
        lt_buf_puts(&text, label ? label : n->op->name);
        last = label;
    }
    const char *name = text.failed ? NULL : lt_arena_str(e->t->arena, lt_buf_str(&text));
    lt_buf_free(&text);
    return name;
}

static lathe_status push_unit(emitter *e, const lt_unit *u)
{
    if (!lt_arena_grow(e->t->arena, (void **)&e->units, &e->cap_units, e->n_units + 1, sizeof *u)) {
        return LT_OOM(e->t->diag);
    }
    e->units[e->n_units++] = *u;
    for (uint32_t i = 0; i < u->n_out; i++) {
        if (u->out[i] != LT_NO_SLOT) {
            e->info[u->out[i]].made = true;
        }
    }
    return LATHE_OK;
}

static uint32_t *one_slot(emitter *e, uint32_t slot)
{
    return lt_arena_copy(e->t->arena, &slot, sizeof slot, _Alignof(uint32_t));
}

/* ---- Reformats ---- */

static lathe_status reformat_tactic(emitter *e, const lt_value *v, const lathe_format *from, const lathe_format *to, lt_unit *u)
{
    lt_reformat_way *way;
    LT_TRY(lt_reformat_find(e->t, v, from, to, &way));
    if (!way->candidate.tactic) {
        return LT_FAIL(e->t->diag, LATHE_INTERNAL, v->name, "this is a bug in Lathe: please report it", "no tactic reformats '%s'", v->name);
    }
    u->problem = &way->asked.problem;
    u->fit = &way->fit;
    u->tactic = way->candidate.tactic;
    return lt_problem_line(e->t, &way->asked.problem, &u->problem_text);
}

static lathe_status reformat(emitter *e, uint32_t from, uint32_t to, lt_region_id region)
{
    const lt_value *v = lt_value_get(e->t->graph, e->slots[to].value);
    lathe_format a = e->slots[from].format, b = e->slots[to].format;
    lathe_format moved = a;
    moved.space = b.space;
    if (a.space != b.space && !lt_format_same(&moved, &b)) { /* layouts change on the host, copies keep them */
        uint32_t middle;
        lathe_format there = a.space == LATHE_SPACE_HOST ? b : a;
        there.space = LATHE_SPACE_HOST;
        LT_TRY(slot_of(e, v->id, &there, &middle));
        if (!e->info[middle].made) {
            LT_TRY(reformat(e, from, middle, region));
        }
        return reformat(e, middle, to, region);
    }
    lt_unit u = {.kind = LT_UNIT_REFORMAT, .region = region, .n_in = 1, .n_out = 1, .class_name = a.space == b.space ? "reformat" : "copy"};
    u.name = lt_arena_printf(e->t->arena, "%s of %s", u.class_name, v->name);
    u.in = one_slot(e, from);
    u.out = one_slot(e, to);
    if (!u.name || !u.in || !u.out) {
        return LT_OOM(e->t->diag);
    }
    u.cost_ns = lt_reformat_cost(e->t, v, &a, &b);
    if (lt_reformat_is_view(v, &a, &b)) {
        u.kind = LT_UNIT_VIEW;
        u.class_name = "view";
    } else if (a.space == b.space) {
        LT_TRY(reformat_tactic(e, v, &a, &b, &u));
    }
    return push_unit(e, &u);
}

static lathe_status need_slot(emitter *e, uint32_t slot, lt_region_id region)
{
    uint32_t from;
    if (e->info[slot].made) {
        return LATHE_OK;
    }
    LT_TRY(source_of(e, e->slots[slot].value, &from));
    return e->info[slot].made ? LATHE_OK : reformat(e, from, slot, region);
}

/* Slots of a value that other regions read: made at once. */
static lathe_status hoist(emitter *e, lt_value_id id, lt_region_id region)
{
    uint64_t head;
    if (!lt_imap_get(&e->first_slot, id.index, &head)) {
        return LATHE_OK;
    }
    for (uint32_t s = (uint32_t)head; s != LT_NO_SLOT; s = e->next[s]) {
        if (e->info[s].elsewhere) {
            LT_TRY(need_slot(e, s, region));
        }
    }
    return LATHE_OK;
}

/* ---- Drafts ---- */

static bool packed(const lt_draft *d, uint32_t state, uint32_t i)
{
    return d->kind == LT_UNIT_STEP && d->fits[state].pack[i] != NULL;
}

/* Slots of a draft's operands; for packed constants the plain slot, which nobody has to make. */
static lathe_status operand_slots(emitter *e, uint32_t number, bool output, uint32_t **out)
{
    const lt_draft *d = &e->t->drafts.items[number];
    uint32_t n = output ? d->n_out : d->n_in, state = e->states[number];
    const lt_value_id *values = output ? d->out : d->in;
    *out = LT_ARENA_ARRAY(e->t->arena, uint32_t, n + 1u);
    if (!*out) {
        return LT_OOM(e->t->diag);
    }
    for (uint32_t i = 0; i < n; i++) {
        (*out)[i] = LT_NO_SLOT;
        if (lt_value_none(values[i])) {
            continue;
        }
        const lt_value *v = lt_value_get(e->t->graph, values[i]);
        lathe_format f = output ? lt_draft_out(d, state, i, e->t) : lt_draft_in(d, state, i, e->t);
        if (!output && packed(d, state, i)) {
            f = lt_plain_format(e->t, v, LATHE_SPACE_HOST);
        }
        LT_TRY(slot_of(e, values[i], &f, &(*out)[i]));
        slot_info *info = &e->info[(*out)[i]];
        info->elsewhere |= !output && info->home != d->region;
    }
    return LATHE_OK;
}

lathe_problem *lt_settle_problem(lt_arena *arena, const lathe_problem *asked, const lathe_fit *fit)
{
    lathe_problem *p = lt_arena_copy(arena, asked, sizeof *p, _Alignof(lathe_problem));
    lathe_operand *in = lt_arena_copy(arena, asked->in, asked->n_in * sizeof *in, _Alignof(lathe_operand));
    lathe_operand *out = lt_arena_copy(arena, asked->out, asked->n_out * sizeof *out, _Alignof(lathe_operand));
    if (!p || !in || !out) {
        return NULL;
    }
    for (size_t i = 0; i < p->n_in; i++) {
        in[i].format = in[i].flags & LATHE_OPERAND_ABSENT || fit->pack[i] ? in[i].format : fit->in[i];
    }
    for (size_t i = 0; i < p->n_out; i++) {
        out[i].format = out[i].flags & LATHE_OPERAND_ABSENT ? out[i].format : fit->out[i];
    }
    p->in = in;
    p->out = out;
    return p;
}

/* The problem with the formats that were chosen, which is what the plan records. */
static lathe_status settle(emitter *e, uint32_t number, lt_unit *u)
{
    const lt_draft *d = &e->t->drafts.items[number];
    uint32_t state = e->states[number];
    lathe_problem *p = lt_settle_problem(e->t->arena, d->problem, &d->fits[state]);
    if (!p) {
        return LT_OOM(e->t->diag);
    }
    u->problem = p;
    u->fit = &d->fits[state];
    u->tactic = d->states[state]->tactic;
    u->config = d->states[state]->config;
    u->cost_ns = u->fit->cost;
    u->chosen = d->states[state];
    u->asked = lt_problem_hash(d->problem);
    u->candidates = d->candidates;
    u->n_candidates = d->n_candidates;
    u->class_name = class_of(p);
    u->because = e->t->options->keep_candidates ? lt_reason_of(e->t, e->states, number) : "";
    if (!u->because) {
        return LT_OOM(e->t->diag);
    }
    return lt_problem_line(e->t, p, &u->problem_text);
}

static lathe_status emit_draft(emitter *e, uint32_t number, uint32_t *in, uint32_t *out)
{
    const lt_draft *d = &e->t->drafts.items[number];
    uint32_t state = e->states[number];
    for (uint32_t i = 0; i < d->n_in; i++) {
        if (in[i] != LT_NO_SLOT && !packed(d, state, i)) {
            LT_TRY(need_slot(e, in[i], d->region));
        }
    }
    lt_unit u = {.kind = d->kind, .region = d->region, .nodes = d->nodes, .n_nodes = d->n_nodes, .name = name_of(e, d), .in = in, .n_in = d->n_in, .out = out,
                 .n_out = d->n_out, .class_name = d->kind == LT_UNIT_VIEW ? "view" : "control", .note = d->note, .apart = d->apart};
    if (!u.name) {
        return LT_OOM(e->t->diag);
    }
    if (d->kind == LT_UNIT_STEP && d->states[state]->tactic == NULL) { /* a Transpose whose formats make it a view */
        u.kind = LT_UNIT_VIEW;
        u.class_name = "view";
        u.asked = lt_problem_hash(d->problem);
        u.view_state = state;
        u.because = "in these formats the result shares the operand's storage";
        u.candidates = d->candidates;
        u.n_candidates = d->n_candidates;
    } else if (d->kind == LT_UNIT_STEP) {
        LT_TRY(settle(e, number, &u));
    }
    LT_TRY(push_unit(e, &u));
    for (uint32_t i = 0; i < d->n_out; i++) {
        if (!lt_value_none(d->out[i])) {
            LT_TRY(hoist(e, d->out[i], d->region));
        }
    }
    return LATHE_OK;
}

/* Plain host slots of a region's outputs: returned so that they exist before drafts are walked. */
static lathe_status output_slots(emitter *e, lt_region_id r, bool make)
{
    const lt_region *region = lt_region_get(e->t->graph, r);
    for (uint32_t i = 0; i < region->n_outputs; i++) {
        const lt_value *v = lt_value_get(e->t->graph, region->outputs[i]);
        lathe_format plain = lt_plain_format(e->t, v, LATHE_SPACE_HOST);
        uint32_t slot;
        LT_TRY(slot_of(e, v->id, &plain, &slot));
        e->info[slot].elsewhere |= e->info[slot].home != r;
        LT_TRY(make ? need_slot(e, slot, r) : LATHE_OK);
    }
    return LATHE_OK;
}

static bool live_region(const emitter *e, lt_region_id r)
{
    const lt_region *region = lt_region_get(e->t->graph, r);
    return region && region->live && r != LT_INIT;
}

static lathe_status collect_slots(emitter *e, uint32_t **ins, uint32_t **outs)
{
    for (uint32_t i = 0; i < e->t->drafts.count; i++) {
        LT_TRY(operand_slots(e, i, false, &ins[i]));
        LT_TRY(operand_slots(e, i, true, &outs[i]));
    }
    for (lt_region_id r = 0; r < lt_graph_regions(e->t->graph); r++) {
        LT_TRY(live_region(e, r) ? output_slots(e, r, false) : LATHE_OK);
    }
    return LATHE_OK;
}

/* Inputs and constants that bodies read in other formats: at the start of the network (constants), or of the body whose inputs they are. */
static lathe_status hoist_inputs(emitter *e, lt_region_id region)
{
    for (uint32_t s = 0, n = (uint32_t)e->n_slots; s < n; s++) {
        const lt_value *v = lt_value_get(e->t->graph, e->slots[s].value);
        bool early = v->kind == LT_VALUE_INPUT || lt_value_is_constant(v);
        if (early && e->info[s].home == region && e->info[s].elsewhere) {
            LT_TRY(need_slot(e, s, region));
        }
    }
    return LATHE_OK;
}

static lathe_status emit_all(emitter *e)
{
    lt_tuner *t = e->t;
    uint32_t **ins = lt_arena_zero(t->arena, t->drafts.count + 1, sizeof *ins, _Alignof(uint32_t *));
    uint32_t **outs = lt_arena_zero(t->arena, t->drafts.count + 1, sizeof *outs, _Alignof(uint32_t *));
    if (!ins || !outs) {
        return LT_OOM(t->diag);
    }
    LT_TRY(collect_slots(e, ins, outs));
    uint32_t at = 0;
    for (lt_region_id r = 0; r < lt_graph_regions(t->graph); r++) { /* drafts come region by region */
        if (!live_region(e, r)) {
            continue;
        }
        LT_TRY(hoist_inputs(e, r));
        for (; at < t->drafts.count && t->drafts.items[at].region == r; at++) {
            LT_TRY(emit_draft(e, at, ins[at], outs[at]));
        }
        LT_TRY(output_slots(e, r, true));
    }
    LT_CHECK(t->diag, at == t->drafts.count, "tuner");
    return LATHE_OK;
}

/* The objective once more, from what was emitted: steps and reformats. */
static double summed_cost(const emitter *e)
{
    double total = 0;
    for (size_t i = 0; i < e->n_units; i++) {
        total += e->units[i].cost_ns;
    }
    return total;
}

/* Hashes of the problems as they were asked and of what computes them: two choices for one graph differ in the second only. */
static lathe_status hash_all(const emitter *e, lt_choice *choice)
{
    for (uint32_t i = 0; i < e->t->drafts.count; i++) {
        const lt_draft *d = &e->t->drafts.items[i];
        uint64_t problem = d->problem ? lt_problem_hash(d->problem) : d->kind;
        choice->problems_hash = lt_hash64(&problem, sizeof problem, choice->problems_hash);
    }
    for (size_t i = 0; i < e->n_units; i++) {
        const lt_unit *u = &e->units[i];
        uint64_t hash = choice->assignment_hash;
        hash = u->problem_text ? lt_hash64(u->problem_text, strlen(u->problem_text), hash) : hash;
        hash = u->tactic ? lt_hash64(u->tactic->name, strlen(u->tactic->name), hash + u->config) : lt_hash64(&u->kind, sizeof u->kind, hash);
        choice->assignment_hash = hash;
    }
    return LATHE_OK;
}

lathe_status lt_emit(lt_tuner *t, const uint32_t *states, lt_choice *choice)
{
    emitter e = {.t = t, .states = states};
    lt_imap_init(&e.first_slot, t->arena->allocator);
    lathe_status status = emit_all(&e);
    lt_imap_free(&e.first_slot);
    choice->arena = t->arena;
    choice->units = e.units;
    choice->n_units = (uint32_t)e.n_units;
    choice->slots = e.slots;
    choice->n_slots = (uint32_t)e.n_slots;
    choice->cost_ns = summed_cost(&e);
    return status == LATHE_OK ? hash_all(&e, choice) : status;
}
