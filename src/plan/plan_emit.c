/*
 * plan_emit.c - one program: the units of a choice as steps, copies and views, in their order. Control flow: plan_control.c, plan_scan.c.
 */
#include "plan/plan_internal.h"
#include <stdlib.h>

lathe_status lt_push_step(lt_maker *m, const lt_plan_step *step, uint32_t *out)
{
    if (!lt_arena_grow(m->arena, (void **)&m->steps, &m->cap_steps, m->n_steps + 1, sizeof *m->steps)) {
        return LT_OOM(m->diag);
    }
    *out = (uint32_t)m->n_steps++;
    m->steps[*out] = *step;
    return LATHE_OK;
}

/* ---- Operands ---- */

static lathe_status read_operands(lt_maker *m, const lt_unit *u, uint32_t *in)
{
    for (uint32_t i = 0; i < u->n_in; i++) {
        in[i] = LT_PLAN_NONE;
        if (u->in[i] == LT_NO_SLOT) {
            continue;
        }
        const char *pack = u->fit ? u->fit->pack[i] : NULL;
        const lt_value *v = lt_value_get(m->graph, m->choice->slots[u->in[i]].value);
        LT_TRY(pack ? lt_blob_value(m, v, pack, u->fit->pack_param[i], &in[i]) : lt_slot_get(m, u->in[i], &in[i]));
    }
    return LATHE_OK;
}

/* One read less of everything that the unit takes in. */
static void count_down(lt_maker *m, const lt_unit *u, const uint32_t *in)
{
    for (uint32_t i = 0; i < u->n_in; i++) {
        if (in[i] != LT_PLAN_NONE) {
            lt_value_info *root = &m->info[m->info[in[i]].root];
            root->left -= root->left > 0;
        }
    }
}

static bool same_extents(const lt_value *a, const lt_value *b)
{
    bool same = a->type.rank == b->type.rank && a->type.cls == LT_TENSOR && b->type.cls == LT_TENSOR;
    for (int i = 0; same && i < a->type.rank; i++) {
        same = lt_dim_same(a->type.dims[i], b->type.dims[i]);
    }
    return same;
}

/* May output o take over the storage of the input that the tactic offers? It must die here, have the same bytes, and nobody else may look at it. */
static uint32_t in_place_of(const lt_maker *m, const lt_unit *u, const uint32_t *in, uint32_t o, uint32_t lane)
{
    int k = u->fit->in_place[o];
    if (k < 0 || (uint32_t)k >= u->n_in || in[k] == LT_PLAN_NONE || u->fit->pack[k]) {
        return LT_PLAN_NONE;
    }
    const lt_slot *from = &m->choice->slots[u->in[k]], *to = &m->choice->slots[u->out[o]];
    const lt_value *a = lt_value_get(m->graph, from->value), *b = lt_value_get(m->graph, to->value);
    uint32_t root = m->info[in[k]].root;
    const lt_plan_value *r = &m->values[root];
    const lt_value_info *info = &m->info[root];
    bool own_lane = !info->other_lanes && m->lanes[lane].queue == 0 && (lane == 0) == (r->format.space == LATHE_SPACE_HOST);
    if (r->storage != LT_STORE_ARENA || r->bounded || info->left > 0 || info->region != m->region || !own_lane || !same_extents(a, b) ||
        !lt_format_same(&from->format, &to->format) || lt_keep_of(m, b) != LT_KEEP_PLANNED || lathe_dtype_bits(from->format.storage) < 8) {
        return LT_PLAN_NONE;
    }
    for (uint32_t i = 0; i < u->n_in; i++) {
        if (i != (uint32_t)k && in[i] != LT_PLAN_NONE && m->info[in[i]].root == root) {
            return LT_PLAN_NONE;
        }
    }
    return in[k];
}

/* Is the slot's value an output of the network, which is better written where the caller wants it? */
static bool is_output(const lt_maker *m, uint32_t slot)
{
    return m->region == LT_MAIN && lt_value_get(m->graph, m->choice->slots[slot].value)->n_region_outputs > 0;
}

static lathe_status write_operands(lt_maker *m, const lt_unit *u, const uint32_t *in, uint32_t lane, uint32_t *out)
{
    for (uint32_t i = 0; i < u->n_out; i++) {
        out[i] = LT_PLAN_NONE;
        if (u->out[i] == LT_NO_SLOT) {
            continue;
        }
        bool part = m->parts && m->parts[u->out[i]].whole != LT_NO_SLOT; /* it has its place */
        uint32_t over = u->fit && !part && !is_output(m, u->out[i]) ? in_place_of(m, u, in, i, lane) : LT_PLAN_NONE;
        if (lt_cache_updates(m, u->out[i])) {
            over = in[u->fit->in_place[i]];
        }
        for (uint32_t k = 0; k < i && over != LT_PLAN_NONE; k++) { /* one output takes it */
            over = out[k] != LT_PLAN_NONE && m->info[out[k]].root == m->info[over].root ? LT_PLAN_NONE : over;
        }
        if (over == LT_PLAN_NONE) {
            LT_TRY(lt_slot_define(m, u->out[i], &out[i]));
        } else {
            LT_TRY(lt_view_make(m, u->out[i], over));
            out[i] = lt_numbering_get(&m->slot_value, u->out[i]);
        }
    }
    return LATHE_OK;
}

/* Extents that the values written here can now tell. */
static lathe_status settle(lt_maker *m, const lt_unit *u, const uint32_t *out)
{
    for (uint32_t i = 0; i < u->n_out; i++) {
        if (out[i] != LT_PLAN_NONE) {
            LT_TRY(lt_value_settle(m, lt_value_get(m->graph, m->choice->slots[u->out[i]].value), out[i]));
        }
    }
    return lt_flush_shapes(m);
}

/* ---- Steps ---- */

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* ONNX nodes of all members, sorted, each once. */
static lathe_status origins_of(lt_maker *m, const lt_unit *u, lt_plan_step *step)
{
    size_t total = 0;
    for (uint32_t i = 0; i < u->n_nodes; i++) {
        total += lt_node_get(m->graph, u->nodes[i])->n_origins;
    }
    uint32_t *all = LT_ARENA_ARRAY(m->arena, uint32_t, total + 1), n = 0;
    if (!all) {
        return LT_OOM(m->diag);
    }
    for (uint32_t i = 0; i < u->n_nodes; i++) {
        const lt_node *node = lt_node_get(m->graph, u->nodes[i]);
        for (uint32_t k = 0; k < node->n_origins; k++) {
            all[n++] = node->origins[k];
        }
    }
    qsort(all, n, sizeof *all, by_number);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (kept == 0 || all[kept - 1] != all[i]) {
            all[kept++] = all[i];
        }
    }
    step->origins = all;
    step->n_origins = kept;
    return LATHE_OK;
}

/* A pretended operand at the upper corner; false when it has no bound. */
static bool corner_buffer(const lt_maker *m, uint32_t value, lathe_buffer *out, int64_t *dims)
{
    *out = (lathe_buffer){0};
    if (value == LT_PLAN_NONE) {
        return true;
    }
    out->rank = m->values[value].rank < 0 ? 0 : m->values[value].rank;
    out->dims = dims;
    for (int i = 0; i < out->rank; i++) {
        dims[i] = m->info[value].upper[i];
        if (dims[i] == INT64_MAX) {
            return false;
        }
    }
    return true;
}

static lathe_status scratch_of(lt_maker *m, const lt_unit *u, const uint32_t *in, const uint32_t *out, uint64_t *bytes)
{
    uint32_t n = u->n_in + u->n_out;
    typedef int64_t extents[LATHE_MAX_RANK];
    *bytes = 0;
    if (!u->tactic->scratch_bytes) {
        return LATHE_OK;
    }
    lathe_buffer *row = LT_ARENA_ARRAY(m->arena, lathe_buffer, n + 1u);
    extents *dims = LT_ARENA_ARRAY(m->arena, extents, n + 1u);
    if (!row || !dims) {
        return LT_OOM(m->diag);
    }
    for (uint32_t i = 0; i < n; i++) {
        if (!corner_buffer(m, i < u->n_in ? in[i] : out[i - u->n_in], &row[i], dims[i])) {
            return LATHE_OK; /* without a bound: worked out when inputs are bound */
        }
    }
    *bytes = u->tactic->scratch_bytes(u->problem, u->config, row, row + u->n_in, m->planner->request->threads);
    *bytes = *bytes <= LT_LARGEST_ARENA ? *bytes : 0;
    return LATHE_OK;
}

static lathe_status push_step_of(lt_maker *m, const lt_unit *u, uint32_t lane, const uint32_t *in, const uint32_t *out)
{
    uint32_t number, at;
    lt_plan_step step = {.name = u->name, .class_name = u->class_name, .tactic = u->tactic->name, .tactic_version = u->tactic->version, .config = u->config,
                         .problem = u->problem_text, .in = in, .n_in = u->n_in, .out = out, .n_out = u->n_out, .serial = u->fit->serial != 0,
                         .cost_ns = u->cost_ns};
    m->planner->features |= u->tactic->cpu_features;
    LT_TRY(origins_of(m, u, &step));
    LT_TRY(scratch_of(m, u, in, out, &step.scratch));
    LT_TRY(lt_push_step(m, &step, &number));
    for (uint32_t i = 0; i < u->n_in; i++) { /* host operands of device steps are read while they are queued */
        bool host = in[i] != LT_PLAN_NONE && m->values[in[i]].format.space == LATHE_SPACE_HOST;
        LT_TRY(in[i] == LT_PLAN_NONE ? LATHE_OK : lt_lane_need(m, host ? 0 : lane, in[i]));
    }
    LT_TRY(lt_push_instr(m, LT_I_STEP, lane, number, 0, 0, &at));
    for (uint32_t i = 0; i < u->n_in; i++) {
        LT_TRY(in[i] == LT_PLAN_NONE ? LATHE_OK : lt_touch(m, in[i], lane, at, false));
    }
    for (uint32_t i = 0; i < u->n_out; i++) {
        LT_TRY(out[i] == LT_PLAN_NONE ? LATHE_OK : lt_touch(m, out[i], lane, at, true));
    }
    return LATHE_OK;
}

static lathe_status emit_step(lt_maker *m, const lt_unit *u)
{
    uint32_t *in = LT_ARENA_ARRAY(m->arena, uint32_t, u->n_in + 1u), *out = LT_ARENA_ARRAY(m->arena, uint32_t, u->n_out + 1u), lane;
    if (!in || !out) {
        return LT_OOM(m->diag);
    }
    LT_CHECK(m->diag, u->tactic && u->fit && u->problem && u->problem_text, u->name);
    LT_TRY(read_operands(m, u, in));
    LT_TRY(lt_lane_for_step(m, u->tactic->device, in, u->n_in, u->cost_ns, &lane));
    count_down(m, u, in);
    LT_TRY(write_operands(m, u, in, lane, out));
    LT_TRY(lt_flush_shapes(m));
    LT_TRY(push_step_of(m, u, lane, in, out));
    return settle(m, u, out);
}

static lathe_status emit_reformat(lt_maker *m, const lt_unit *u)
{
    const lt_value *v = lt_value_get(m->graph, m->choice->slots[u->out[0]].value);
    uint32_t from, to;
    if (!lt_value_is_constant(v) && lt_keep_of(m, v) == LT_KEEP_MANAGED) { /* a handle has no format */
        LT_TRY(lt_slot_get(m, u->in[0], &from));
        return lt_numbering_put(&m->slot_value, m->arena, u->out[0], from, m->diag);
    }
    if (u->tactic) {
        return emit_step(m, u);
    }
    LT_TRY(lt_slot_get(m, u->in[0], &from));
    count_down(m, u, &from);
    LT_TRY(lt_slot_define(m, u->out[0], &to));
    LT_TRY(lt_copy(m, from, to));
    return settle(m, u, &to);
}

static lathe_status emit_view(lt_maker *m, const lt_unit *u)
{
    uint32_t of;
    LT_TRY(lt_slot_get(m, u->in[0], &of));
    count_down(m, u, &of);
    return u->out[0] == LT_NO_SLOT ? LATHE_OK : lt_view_make(m, u->out[0], of);
}

/* Parts in the place of a step. What it reads besides the whole says how to cut, which is done. */
static lathe_status emit_spared(lt_maker *m, const lt_unit *u, lt_cut_kind kind)
{
    for (uint32_t i = 0, of; i < (kind == LT_CUT_SEEN ? 1 : u->n_in); i++) {
        LT_TRY(lt_slot_get(m, u->in[i], &of));
        lt_value_info *root = &m->info[m->info[of].root];
        root->left -= root->left > 0;
    }
    return kind == LT_CUT_GROWN ? LATHE_OK : lt_part_emit(m, u, kind);
}

static lathe_status emit_control(lt_maker *m, const lt_unit *u)
{
    const lt_node *node = lt_node_get(m->graph, u->nodes[0]);
    char name[160];
    if (lt_node_is(node, "If")) {
        return lt_emit_if(m, u);
    }
    if (lt_node_is(node, "Loop") || lt_node_is(node, "Scan") || lt_node_is(node, "SequenceMap")) {
        return lt_emit_loop(m, u);
    }
    return LT_FAIL(m->diag, LATHE_UNSUPPORTED, lt_node_describe(m->graph, node, name, sizeof name), "rewrite it as a Loop",
                   "plans cannot run the body of this operator");
}

lathe_status lt_emit_region(lt_maker *m, lt_region_id region)
{
    for (uint32_t i = 0; i < m->choice->n_units; i++) {
        const lt_unit *u = &m->choice->units[i];
        lathe_status status = LATHE_OK;
        if (u->region != region) {
            continue;
        }
        m->step_name = u->name;
        if (m->spared && m->spared[i]) {
            LT_TRY(emit_spared(m, u, (lt_cut_kind)m->spared[i]));
            continue;
        }
        switch (u->kind) {
        case LT_UNIT_STEP:
            status = emit_step(m, u);
            break;
        case LT_UNIT_REFORMAT:
            status = emit_reformat(m, u);
            break;
        case LT_UNIT_VIEW:
            status = emit_view(m, u);
            break;
        default:
            status = emit_control(m, u);
            break;
        }
        LT_TRY(status);
    }
    return LATHE_OK;
}

/* ---- The reference, for what the builder itself adds ---- */

lathe_status lt_emit_reference(lt_maker *m, const char *name, const lathe_problem *problem, const uint32_t *in, const uint32_t *out)
{
    const lathe_tactic *tactic = lt_tactic_find("reference.eval");
    lathe_fit fit;
    lt_unit u = {.kind = LT_UNIT_STEP, .name = name, .class_name = "reference", .problem = problem, .n_in = (uint32_t)problem->n_in,
                 .n_out = (uint32_t)problem->n_out, .tactic = tactic, .fit = &fit};
    if (!tactic || !lt_tactic_ask(tactic, 0, problem, 0, m->arena, &fit)) {
        return LT_FAIL(m->diag, LATHE_INTERNAL, name, "this is a bug in Lathe: please report it", "the reference refuses %s", problem->op);
    }
    u.cost_ns = fit.cost;
    LT_TRY(lt_problem_text(problem, m->arena, &u.problem_text, m->diag));
    LT_TRY(lt_flush_shapes(m));
    LT_TRY(push_step_of(m, &u, 0, in, out));
    return LATHE_OK;
}

/* ---- The program ---- */

static lathe_status outputs_of(lt_maker *m, lt_plan_program *out)
{
    const lt_region *main = lt_region_get(m->graph, LT_MAIN);
    uint32_t *list = LT_ARENA_ARRAY(m->arena, uint32_t, main->n_outputs + 1u);
    if (!list) {
        return LT_OOM(m->diag);
    }
    for (uint32_t i = 0; i < main->n_outputs; i++) {
        LT_TRY(lt_host_get(m, main->outputs[i], &list[i]));
        uint32_t at = m->n_instrs ? (uint32_t)m->n_instrs - 1 : 0;
        LT_TRY(lt_touch(m, list[i], 0, at, false)); /* the caller reads it after the run */
    }
    out->outputs = list;
    out->n_outputs = main->n_outputs;
    return LATHE_OK;
}

static lathe_status inputs_of(lt_maker *m, lt_plan_program *out)
{
    const lt_region *main = lt_region_get(m->graph, LT_MAIN);
    uint32_t *list = LT_ARENA_ARRAY(m->arena, uint32_t, main->n_inputs + 1u);
    if (!list) {
        return LT_OOM(m->diag);
    }
    for (uint32_t i = 0; i < main->n_inputs; i++) {
        list[i] = i;
    }
    out->inputs = list;
    out->n_inputs = main->n_inputs;
    return LATHE_OK;
}

/* The names that the profile bounds, in terms of the model's inputs: those of the graph above the border, where a fixed extent still has its name. */
static bool find_symbol(const lt_graph *above, const char *name, lt_plan_expr *out)
{
    const lt_region *main = lt_region_get(above, LT_MAIN);
    for (uint32_t i = 0; i < main->n_inputs; i++) {
        const lt_value *v = lt_value_get(above, main->inputs[i]);
        for (int a = 0; v->type.cls == LT_TENSOR && a < v->type.rank; a++) {
            lt_dim_node n = lt_dim_get(lt_graph_dims(above), v->type.dims[a]);
            if (n.op == LT_DIM_SYMBOL && lt_streq(n.name, name)) {
                *out = (lt_plan_expr){.kind = LT_EXPR_INPUT_DIM, .a = (uint32_t)a, .b = i};
                return true;
            }
        }
        for (int64_t k = 0; v->contents.v && lt_dtype_is_integer(v->type.dtype) && k < v->contents.count; k++) {
            lt_dim_node n = lt_dim_get(lt_graph_dims(above), v->contents.v[k]);
            if (n.op == LT_DIM_SYMBOL && lt_streq(n.name, name)) {
                *out = (lt_plan_expr){.kind = LT_EXPR_VALUE_ELEM, .a = (uint32_t)k, .b = i};
                return true;
            }
        }
    }
    return false;
}

static lathe_status ranges_of(lt_maker *m, lt_plan_program *out)
{
    lt_plan_range *ranges = LT_ARENA_ARRAY(m->arena, lt_plan_range, m->part->n_ranges + 1u);
    if (!ranges) {
        return LT_OOM(m->diag);
    }
    for (uint32_t i = 0; i < m->part->n_ranges; i++) {
        lt_plan_expr e;
        if (!find_symbol(m->planner->request->above, m->part->symbols[i], &e)) {
            continue; /* nobody can tell from the inputs */
        }
        uint32_t number = 0;
        while (number < m->n_bind && (m->bind[number].kind != e.kind || m->bind[number].a != e.a || m->bind[number].b != e.b)) {
            number++;
        }
        if (number == m->n_bind) {
            if (!lt_arena_grow(m->arena, (void **)&m->bind, &m->cap_bind, m->n_bind + 1, sizeof e)) {
                return LT_OOM(m->diag);
            }
            m->bind[m->n_bind++] = e;
        }
        ranges[out->n_ranges] = m->part->corner[i];
        ranges[out->n_ranges++].expr = number;
    }
    out->ranges = ranges;
    return LATHE_OK;
}

/* The graph's own table learns the bucket's ranges, so that bounds of expressions hold for it. */
static lathe_status narrow(lt_maker *m)
{
    for (uint32_t i = 0; i < m->part->n_ranges; i++) {
        lt_dim symbol;
        LT_TRY(lt_dim_symbol(m->dims, m->part->symbols[i], &symbol, m->diag));
        LT_TRY(lt_dim_range(m->dims, symbol, m->part->corner[i].lo, m->part->corner[i].hi, m->diag));
    }
    return LATHE_OK;
}

lathe_status lt_make_program(lt_planner *p, uint32_t part, lt_plan_program *out)
{
    const lt_plan_part *q = &p->request->parts[part];
    lt_maker m = {.planner = p, .part = q, .part_number = part, .graph = q->graph, .choice = q->choice, .dims = lt_graph_dims(q->graph), .arena = p->arena,
                  .diag = p->diag, .region = LT_MAIN};
    const lt_region *main = lt_region_get(q->graph, LT_MAIN);
    uint32_t cpu;
    *out = (lt_plan_program){.profile = q->profile};
    m.outputs_taken = LT_ARENA_ARRAY(p->arena, uint32_t, main->n_outputs + 1u);
    if (!m.outputs_taken) {
        return LT_OOM(p->diag);
    }
    for (uint32_t i = 0; i < main->n_outputs; i++) {
        m.outputs_taken[i] = LT_PLAN_NONE;
    }
    LT_TRY(lt_lane_named(&m, LATHE_SPACE_HOST, 0, &cpu));
    LT_TRY(narrow(&m));
    LT_TRY(lt_caches_choose(&m));
    LT_TRY(lt_parts_choose(&m));
    LT_TRY(lt_count_reads(&m));
    LT_TRY(lt_input_values(&m));
    LT_TRY(lt_cache_inputs(&m));
    LT_TRY(lt_emit_region(&m, LT_MAIN));
    LT_TRY(lt_parts_grown(&m));
    LT_TRY(lt_cache_ways(&m, out));
    LT_TRY(inputs_of(&m, out));
    LT_TRY(outputs_of(&m, out));
    LT_TRY(ranges_of(&m, out));
    return lt_program_finish(&m, out);
}
