/*
 * plan_control.c - If, Loop, Scan and SequenceMap: nested instructions, results copied out of branches, values carried round.
 */
#include "plan/plan_internal.h"

static lathe_status region_of(lt_maker *m, const lt_node *node, const char *attr, lt_region_id *out)
{
    const lathe_attr *a = lt_attr_find(node->attrs, node->n_attrs, attr);
    LT_CHECK(m->diag, a && a->kind == LATHE_ATTR_GRAPH && lt_region_get(m->graph, a->graph), node->label);
    *out = a->graph;
    return LATHE_OK;
}

/* The host reads an operand of control flow at this instruction. */
static lathe_status host_operand(lt_maker *m, uint32_t slot, uint32_t *out)
{
    *out = LT_PLAN_NONE;
    if (slot == LT_NO_SLOT) {
        return LATHE_OK;
    }
    LT_TRY(lt_slot_get(m, slot, out));
    return lt_lane_need(m, 0, *out);
}

static lathe_status touch_list(lt_maker *m, const uint32_t *values, uint32_t n, uint32_t at, bool write)
{
    for (uint32_t i = 0; i < n; i++) {
        LT_TRY(values[i] == LT_PLAN_NONE ? LATHE_OK : lt_touch(m, values[i], 0, at, write));
    }
    return LATHE_OK;
}

/* New values for the results of a control-flow node. */
static lathe_status define_results(lt_maker *m, const lt_node *node, const lt_unit *u, uint32_t **out)
{
    *out = LT_ARENA_ARRAY(m->arena, uint32_t, node->n_outputs + 1u);
    if (!*out) {
        return LT_OOM(m->diag);
    }
    for (uint32_t i = 0; i < node->n_outputs; i++) {
        bool wanted = i < u->n_out && u->out[i] != LT_NO_SLOT;
        (*out)[i] = LT_PLAN_NONE;
        LT_TRY(wanted ? lt_slot_define(m, u->out[i], &(*out)[i]) : LATHE_OK);
    }
    return LATHE_OK;
}

static lathe_status settle_results(lt_maker *m, const lt_node *node, const uint32_t *results)
{
    for (uint32_t i = 0; i < node->n_outputs; i++) {
        if (results[i] != LT_PLAN_NONE) {
            LT_TRY(lt_value_settle(m, lt_node_out(m->graph, node, i), results[i]));
        }
    }
    return lt_flush_shapes(m);
}

/* ---- If ---- */

static lathe_status emit_branch(lt_maker *m, lt_region_id region, const uint32_t *results, uint32_t n, uint32_t *count)
{
    const lt_region *body = lt_region_get(m->graph, region);
    uint32_t first = (uint32_t)m->n_instrs, from;
    lt_scope scope;
    LT_TRY(lt_scope_enter(m, region, &scope));
    LT_TRY(lt_emit_region(m, region));
    for (uint32_t i = 0; i < n; i++) {
        if (results[i] != LT_PLAN_NONE) {
            LT_TRY(lt_host_get(m, body->outputs[i], &from));
            LT_TRY(lt_copy(m, from, results[i]));
        }
    }
    LT_TRY(lt_scope_leave(m, &scope));
    *count = (uint32_t)m->n_instrs - first;
    return LATHE_OK;
}

lathe_status lt_emit_if(lt_maker *m, const lt_unit *u)
{
    const lt_node *node = lt_node_get(m->graph, u->nodes[0]);
    lt_region_id parts[2];
    uint32_t cond, *results, at, counts[2];
    LT_TRY(region_of(m, node, "then_branch", &parts[0]));
    LT_TRY(region_of(m, node, "else_branch", &parts[1]));
    LT_TRY(host_operand(m, u->in[0], &cond));
    LT_TRY(define_results(m, node, u, &results));
    LT_TRY(lt_flush_shapes(m));
    LT_TRY(lt_push_instr(m, LT_I_IF, 0, cond, 0, 0, &at));
    LT_TRY(lt_touch(m, cond, 0, at, false));
    LT_TRY(touch_list(m, results, node->n_outputs, at, true)); /* taken from here on: both parts write them */
    LT_TRY(emit_branch(m, parts[0], results, node->n_outputs, &counts[0]));
    LT_TRY(emit_branch(m, parts[1], results, node->n_outputs, &counts[1]));
    m->instrs[at].b = counts[0];
    m->instrs[at].c = counts[1];
    return settle_results(m, node, results);
}

/* ---- Loop ---- */

/* Whatever the body reads of the outside is needed again by the next iteration. */
static void hold_through(lt_maker *m, size_t first_use, uint32_t begin, uint32_t end)
{
    for (size_t i = first_use; i < m->n_uses; i++) {
        lt_value_info *v = &m->info[m->uses[i].root];
        if (v->first < begin) {
            v->last = end > v->last ? end : v->last;
            v->sync_last = end > v->sync_last ? end : v->sync_last;
        }
    }
}

/* Does `value` show, or may it share, the storage of `of`? */
static bool shares(const lt_maker *m, uint32_t value, uint32_t of)
{
    if (m->info[value].root == m->info[of].root) {
        return true;
    }
    for (size_t i = m->n_edges; i-- > 0;) { /* newer edges first: a chain is followed downwards */
        if (m->edges[i].holder == m->info[value].root) {
            if (m->edges[i].held == m->info[of].root) {
                return true;
            }
            value = m->edges[i].held;
        }
    }
    return false;
}

/* Values are carried one after another: one that a later one still reads is put aside first. */
static lathe_status put_aside(lt_maker *m, uint32_t n, const uint32_t *body_in, uint32_t *body_out)
{
    for (uint32_t k = 1; k < n; k++) {
        bool clash = false;
        uint32_t source = LT_PLAN_NONE, temp;
        for (uint32_t j = 0; j < k; j++) {
            if (shares(m, body_out[k], body_in[j])) {
                clash = true;
                source = body_in[j];
            }
        }
        if (clash) {
            bool handle = m->values[source].storage == LT_STORE_MANAGED;
            LT_TRY(lt_temp_like(m, handle ? body_out[k] : m->values[body_out[k]].storage == LT_STORE_MANAGED ? source : body_out[k], &temp));
            LT_TRY(lt_copy(m, body_out[k], temp));
            body_out[k] = temp;
        }
    }
    return LATHE_OK;
}

typedef enum loop_form {
    FORM_LOOP, /* a counter and conditions */
    FORM_SCAN, /* slices of inputs instead (plan_scan.c) */
    FORM_MAP   /* SequenceMap: items of inputs, and other inputs as they are; results become sequences (plan_scan.c) */
} loop_form;

typedef struct looping {
    const lt_node *node;
    const lt_unit *u;
    const lt_region *body;
    lt_region_id region;
    loop_form form;
    uint32_t first_in, first_out; /* of the carried values among the node's and the body's inputs, among the body's outputs */
    uint32_t n_slices;
    lt_plan_loop loop;
    uint32_t *init, *body_in, *body_out, *result, *scan_out, *scan_result;
    uint32_t *results; /* of the node */
} looping;

static lathe_status make_lists(lt_maker *m, looping *l)
{
    uint32_t n = l->loop.n_carried + 1u, s = l->loop.n_scan + 1u;
    l->init = LT_ARENA_ARRAY(m->arena, uint32_t, n);
    l->body_in = LT_ARENA_ARRAY(m->arena, uint32_t, n);
    l->body_out = LT_ARENA_ARRAY(m->arena, uint32_t, n);
    l->result = LT_ARENA_ARRAY(m->arena, uint32_t, n);
    l->scan_out = LT_ARENA_ARRAY(m->arena, uint32_t, s);
    l->scan_result = LT_ARENA_ARRAY(m->arena, uint32_t, s);
    if (!l->init || !l->body_in || !l->body_out || !l->result || !l->scan_out || !l->scan_result) {
        return LT_OOM(m->diag);
    }
    l->loop.init = l->init;
    l->loop.body_in = l->body_in;
    l->loop.body_out = l->body_out;
    l->loop.result = l->result;
    l->loop.scan_out = l->scan_out;
    l->loop.scan_result = l->scan_result;
    return LATHE_OK;
}

/* What the loop starts from. */
static lathe_status read_start(lt_maker *m, looping *l)
{
    uint32_t first = l->loop.n_carried, value;
    for (uint32_t i = 0; i < l->loop.n_carried; i++) {
        LT_TRY(host_operand(m, l->u->in[i + l->first_in], &l->init[i]));
        LT_CHECK(m->diag, l->init[i] != LT_PLAN_NONE, l->node->label);
    }
    if (l->form == FORM_LOOP) {
        LT_TRY(host_operand(m, l->u->n_in > 0 ? l->u->in[0] : LT_NO_SLOT, &l->loop.trip));
        return host_operand(m, l->u->n_in > 1 ? l->u->in[1] : LT_NO_SLOT, &l->loop.cond);
    }
    l->loop.cond = LT_PLAN_NONE;
    if (l->form == FORM_MAP) {
        uint32_t *values = LT_ARENA_ARRAY(m->arena, uint32_t, l->u->n_in + 1u);
        for (uint32_t i = 0; values && i < l->u->n_in; i++) {
            LT_TRY(host_operand(m, l->u->in[i], &values[i]));
            LT_CHECK(m->diag, values[i] != LT_PLAN_NONE, l->node->label);
        }
        return values ? lt_map_length(m, l->node, values, &l->loop.trip) : LT_OOM(m->diag);
    }
    LT_TRY(host_operand(m, l->u->in[first], &value));
    return lt_scan_length(m, l->node, first, 0, value, &l->loop.trip);
}

static bool turned(const looping *l, uint32_t i)
{
    return l->form == FORM_SCAN && lt_scan_turns(l->node, i);
}

/* Results that the loop cannot write as they are kept (collected ones are managed, and not turned) get a value of their own, copied afterwards. */
static lathe_status make_results(lt_maker *m, looping *l)
{
    for (uint32_t i = 0; i < l->loop.n_carried; i++) {
        l->result[i] = l->results[i];
        if (l->result[i] == LT_PLAN_NONE) {
            LT_TRY(lt_temp_like(m, l->body_in[i], &l->result[i]));
        }
    }
    for (uint32_t i = 0; i < l->loop.n_scan; i++) {
        uint32_t number = l->results[l->loop.n_carried + i];
        const lt_value *element = lt_value_get(m->graph, l->body->outputs[l->first_out + l->loop.n_carried + i]);
        l->scan_result[i] = number;
        if (number == LT_PLAN_NONE || turned(l, i) || m->values[number].storage != LT_STORE_MANAGED) {
            lathe_dtype dtype = element->type.dtype;
            lt_plan_value v = {.name = element->name, .cls = l->form == FORM_MAP ? LT_SEQUENCE : LT_TENSOR, .dtype = dtype, .rank = -1,
                               .format = lt_format_plain(dtype, -1, LATHE_SPACE_HOST), .storage = LT_STORE_MANAGED};
            LT_TRY(lt_value_new(m, &v, &l->scan_result[i]));
        }
    }
    return LATHE_OK;
}

/* Inputs of the body: values of their own, written by the runtime before each iteration. */
static lathe_status make_body_inputs(lt_maker *m, looping *l)
{
    uint32_t *scalars[2] = {&l->loop.iteration, &l->loop.cond_in};
    l->loop.iteration = l->loop.cond_in = LT_PLAN_NONE;
    LT_TRY(l->form != FORM_LOOP ? lt_iteration_value(m, &l->loop.iteration) : LATHE_OK);
    for (uint32_t i = 0; i < 2 && l->form == FORM_LOOP; i++) {
        const lt_value *v = lt_value_get(m->graph, l->body->inputs[i]);
        if (v->n_uses + v->n_region_outputs > 0) {
            LT_TRY(lt_host_define(m, v->id, scalars[i]));
        }
    }
    for (uint32_t i = 0; i < l->loop.n_carried; i++) {
        LT_TRY(lt_host_define(m, l->body->inputs[i + l->first_in], &l->body_in[i]));
    }
    return LATHE_OK;
}

/* What an iteration reads of the node's own inputs, beside what is carried: at the start of the body. */
static lathe_status cut_inputs(lt_maker *m, looping *l)
{
    for (uint32_t i = 0; i < l->n_slices; i++) {
        uint32_t number = l->loop.n_carried + i, value;
        const lt_value *inside = lt_value_get(m->graph, l->body->inputs[number]);
        LT_TRY(lt_slot_get(m, l->u->in[number], &value));
        LT_TRY(l->form == FORM_MAP ? lt_map_input(m, l->node, number, value, inside, l->loop.iteration)
                                   : lt_scan_slice(m, l->node, number, i, value, inside, l->loop.iteration));
    }
    return LATHE_OK;
}

static lathe_status emit_body(lt_maker *m, looping *l)
{
    const lt_value_id *outputs = l->body->outputs;
    for (uint32_t i = 0; i < l->loop.n_carried; i++) {
        LT_TRY(lt_value_settle(m, lt_value_get(m->graph, l->body->inputs[i + l->first_in]), l->body_in[i]));
    }
    LT_TRY(lt_flush_shapes(m));
    LT_TRY(cut_inputs(m, l));
    LT_TRY(lt_emit_region(m, l->region));
    l->loop.cond_out = LT_PLAN_NONE;
    if (l->form == FORM_LOOP) {
        LT_TRY(lt_host_get(m, outputs[0], &l->loop.cond_out));
        LT_TRY(lt_lane_need(m, 0, l->loop.cond_out));
    }
    for (uint32_t i = 0; i < l->loop.n_carried; i++) {
        LT_TRY(lt_host_get(m, outputs[l->first_out + i], &l->body_out[i]));
        LT_TRY(lt_lane_need(m, 0, l->body_out[i]));
    }
    for (uint32_t i = 0; i < l->loop.n_scan; i++) {
        LT_TRY(lt_host_get(m, outputs[l->first_out + l->loop.n_carried + i], &l->scan_out[i]));
        LT_TRY(lt_lane_need(m, 0, l->scan_out[i]));
    }
    return put_aside(m, l->loop.n_carried, l->body_in, l->body_out);
}

/* The loop as such reads and writes at its instruction and at the end of its body. */
static lathe_status touch_all(lt_maker *m, looping *l, uint32_t at, uint32_t end)
{
    const uint32_t starts[] = {l->loop.trip, l->loop.cond}, scalars[] = {l->loop.iteration, l->loop.cond_in}, cond_out[] = {l->loop.cond_out};
    LT_TRY(touch_list(m, starts, 2, at, false));
    LT_TRY(touch_list(m, l->init, l->loop.n_carried, at, false));
    for (int i = 0; i < 2; i++) { /* taken throughout */
        uint32_t when = i ? end : at;
        LT_TRY(touch_list(m, scalars, 2, when, true));
        LT_TRY(touch_list(m, l->body_in, l->loop.n_carried, when, true));
        LT_TRY(touch_list(m, l->result, l->loop.n_carried, when, true));
        LT_TRY(touch_list(m, l->scan_result, l->loop.n_scan, when, true));
    }
    LT_TRY(touch_list(m, cond_out, 1, end, false));
    LT_TRY(touch_list(m, l->body_out, l->loop.n_carried, end, false));
    LT_TRY(touch_list(m, l->scan_out, l->loop.n_scan, end, false));
    for (uint32_t i = 0; i < l->loop.n_carried; i++) {
        if (m->values[l->result[i]].storage == LT_STORE_MANAGED) {
            LT_TRY(lt_hold(m, l->result[i], l->body_in[i]));
        }
    }
    return LATHE_OK;
}

static lathe_status copy_collected(lt_maker *m, looping *l)
{
    for (uint32_t i = 0; i < l->loop.n_scan; i++) {
        uint32_t number = l->results[l->loop.n_carried + i];
        if (number != LT_PLAN_NONE && number != l->scan_result[i]) {
            const lt_value *output = lt_node_out(m->graph, l->node, l->loop.n_carried + i);
            LT_TRY(turned(l, i) ? lt_scan_turn(m, l->node, i, output, l->scan_result[i], number) : lt_copy(m, l->scan_result[i], number));
        }
    }
    return LATHE_OK;
}

/* Which inputs and outputs are which. */
static lathe_status read_form(lt_maker *m, looping *l)
{
    l->form = lt_node_is(l->node, "Scan") ? FORM_SCAN : lt_node_is(l->node, "SequenceMap") ? FORM_MAP : FORM_LOOP;
    l->first_in = l->form == FORM_LOOP ? 2 : 0;
    l->first_out = l->form == FORM_LOOP ? 1 : 0;
    l->n_slices = l->form == FORM_SCAN ? (uint32_t)lt_attr_i(l->node->attrs, l->node->n_attrs, "num_scan_inputs", 0) : l->form == FORM_MAP ? l->u->n_in : 0;
    LT_CHECK(m->diag, l->n_slices <= l->u->n_in, l->node->label);
    LT_TRY(region_of(m, l->node, "body", &l->region));
    l->body = lt_region_get(m->graph, l->region);
    l->loop.n_carried = l->form != FORM_LOOP ? l->u->n_in - l->n_slices : l->u->n_in > 2 ? l->u->n_in - 2 : 0;
    l->loop.n_scan = l->node->n_outputs - l->loop.n_carried;
    bool fits = l->body->n_inputs == l->first_in + l->loop.n_carried + l->n_slices && l->body->n_outputs == l->first_out + l->node->n_outputs;
    LT_CHECK(m->diag, fits && l->node->n_outputs >= l->loop.n_carried, l->node->label);
    return LATHE_OK;
}

lathe_status lt_emit_loop(lt_maker *m, const lt_unit *u)
{
    looping l = {.node = lt_node_get(m->graph, u->nodes[0]), .u = u};
    uint32_t at, number = (uint32_t)m->n_loops;
    lt_scope scope;
    LT_TRY(read_form(m, &l));
    if (!lt_arena_grow(m->arena, (void **)&m->loops, &m->cap_loops, m->n_loops + 1, sizeof *m->loops)) {
        return LT_OOM(m->diag);
    }
    m->n_loops++;
    LT_TRY(make_lists(m, &l));
    LT_TRY(read_start(m, &l));
    LT_TRY(define_results(m, l.node, l.u, &l.results));
    LT_TRY(lt_flush_shapes(m));
    size_t first_use = m->n_uses;
    LT_TRY(lt_push_instr(m, LT_I_LOOP, 0, number, 0, 0, &at));
    LT_TRY(lt_scope_enter(m, l.region, &scope));
    LT_TRY(make_body_inputs(m, &l));
    LT_TRY(make_results(m, &l));
    LT_TRY(emit_body(m, &l));
    LT_TRY(lt_scope_leave(m, &scope));
    uint32_t end = (uint32_t)m->n_instrs - 1;
    m->instrs[at].b = end - at;
    hold_through(m, first_use, at, end);
    LT_TRY(touch_all(m, &l, at, end));
    m->loops[number] = l.loop;
    LT_TRY(copy_collected(m, &l));
    return settle_results(m, l.node, l.results);
}
