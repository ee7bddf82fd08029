/*
 * plan_lane.c - instructions on lanes: events where order across lanes is needed, what each lane and the host know to be complete, and how long storages are
 * taken because of it.
 *
 * Work of one lane runs in order; the host queues it in the order of the program. A lane knows that another has come to a point when it waited for an event
 * recorded there, or when the host knew it while queueing. A storage on a device that only the device's first compute lane touches is free as the program's
 * order says; one that other lanes touch is taken until the host knows that they are done, and from the last moment at which the host knew the first lane
 * empty. Host memory that a device lane reads or writes is taken until the host knows as well.
 */
#include "plan/plan_internal.h"
#include <string.h>

/* ---- Lanes ---- */

lathe_status lt_lane_named(lt_maker *m, lathe_space space, int32_t queue, uint32_t *out)
{
    for (*out = 0; *out < m->n_lanes; ++*out) {
        if (m->lanes[*out].space == space && m->lanes[*out].queue == queue) {
            return LATHE_OK;
        }
    }
    if (queue != 0) { /* the first compute lane of a space comes first */
        uint32_t first;
        LT_TRY(lt_lane_named(m, space, 0, &first));
        *out = m->n_lanes;
    }
    LT_CHECK(m->diag, m->n_lanes < LT_MAX_LANES, "plan");
    uint32_t *clock = LT_ARENA_ARRAY(m->arena, uint32_t, LT_MAX_LANES);
    if (!clock) {
        return LT_OOM(m->diag);
    }
    m->lanes[m->n_lanes] = (lt_plan_lane){.space = space, .queue = queue};
    m->lane[m->n_lanes] = (lt_lane_state){.clock = clock, .last_event = LT_PLAN_NONE, .last_op = LT_PLAN_NONE};
    m->n_lanes++;
    return LATHE_OK;
}

/* A chain goes on where it is; what stands alone goes where least is waiting. */
lathe_status lt_lane_for_step(lt_maker *m, lathe_space space, const uint32_t *in, uint32_t n_in, double cost, uint32_t *out)
{
    *out = 0;
    if (space == LATHE_SPACE_HOST) {
        return LATHE_OK;
    }
    const lt_backend *backend = lt_backend_of(space);
    LT_CHECK(m->diag, backend != NULL, lt_space_name(space));
    uint32_t best = LT_PLAN_NONE;
    for (uint32_t i = 0; i < n_in && best == LT_PLAN_NONE; i++) {
        const lt_value_info *v = in[i] == LT_PLAN_NONE ? NULL : &m->info[in[i]];
        bool newest = v && v->written != LT_PLAN_NONE && m->lanes[v->lane].space == space && m->lanes[v->lane].queue >= 0 && m->lane[v->lane].last_op == v->written;
        best = newest ? v->lane : best;
    }
    for (int32_t q = 0, wait = best == LT_PLAN_NONE; wait && q < backend->lanes; q++) {
        uint32_t lane;
        LT_TRY(lt_lane_named(m, space, q, &lane));
        best = best == LT_PLAN_NONE || m->lane[lane].load < m->lane[best].load ? lane : best;
    }
    m->lane[best].load += cost;
    *out = best;
    return LATHE_OK;
}

static uint32_t primary_of(const lt_maker *m, lathe_space space)
{
    for (uint32_t i = 0; i < m->n_lanes; i++) {
        if (m->lanes[i].space == space && m->lanes[i].queue == 0) {
            return i;
        }
    }
    return LT_PLAN_NONE;
}

/* ---- Instructions ---- */

lathe_status lt_push_instr(lt_maker *m, lt_opcode op, uint32_t lane, uint32_t a, uint32_t b, uint32_t c, uint32_t *at)
{
    LT_CHECK(m->diag, m->n_instrs < INT32_MAX, "plan");
    if (!lt_arena_grow(m->arena, (void **)&m->instrs, &m->cap_instrs, m->n_instrs + 1, sizeof *m->instrs)) {
        return LT_OOM(m->diag);
    }
    *at = (uint32_t)m->n_instrs++;
    m->instrs[*at] = (lt_plan_instr){.op = op, .lane = lane, .a = a, .b = b, .c = c};
    if (lane != 0 && (op == LT_I_STEP || op == LT_I_COPY)) {
        m->lane[lane].last_op = *at;
        m->lanes_used |= 1u << lane;
    }
    return LATHE_OK;
}

/* ---- What is known ---- */

static void merge(uint32_t *into, const uint32_t *from)
{
    for (int i = 0; i < LT_MAX_LANES; i++) {
        into[i] = from[i] > into[i] ? from[i] : into[i];
    }
}

/*
 * The host learned something at instruction `at`: accesses that it now knows to be over end there. Those made before the branch or body at hand stay: it may
 * not run at all.
 */
static void resolve(lt_maker *m, uint32_t at)
{
    const uint32_t *known = m->lane[0].clock;
    size_t kept = 0;
    for (size_t i = 0; i < m->n_pending; i++) {
        lt_access a = m->pending[i];
        if (known[a.lane] > a.at && a.at >= m->scope_start) {
            lt_value_info *v = &m->info[a.root];
            v->sync_last = at > v->sync_last ? at : v->sync_last;
        } else {
            m->pending[kept++] = a;
        }
    }
    m->n_pending = kept;
    for (int space = 1; space < 3; space++) {
        uint32_t lane = primary_of(m, (lathe_space)space);
        if (lane != LT_PLAN_NONE && (m->lane[lane].last_op == LT_PLAN_NONE || known[lane] > m->lane[lane].last_op)) {
            m->last_sync[space] = at;
        }
    }
}

static lathe_status record(lt_maker *m, uint32_t lane, uint32_t *event)
{
    uint32_t at;
    *event = m->n_events++;
    LT_TRY(lt_push_instr(m, LT_I_RECORD, lane, *event, 0, 0, &at));
    if (!lt_arena_grow(m->arena, (void **)&m->event_clocks, &m->cap_events, m->n_events, sizeof *m->event_clocks)) {
        return LT_OOM(m->diag);
    }
    uint32_t *clock = lt_arena_copy(m->arena, m->lane[lane].clock, LT_MAX_LANES * sizeof *clock, _Alignof(uint32_t));
    if (!clock) {
        return LT_OOM(m->diag);
    }
    clock[lane] = at;
    m->event_clocks[*event] = clock;
    m->lane[lane].last_event = *event;
    m->lane[lane].event_at = at;
    return LATHE_OK;
}

lathe_status lt_lane_need(lt_maker *m, uint32_t lane, uint32_t value)
{
    const lt_value_info *v = &m->info[value];
    uint32_t from = v->lane, written = v->written, event, at;
    if (written == LT_PLAN_NONE || from == lane || from == 0 || m->lane[lane].clock[from] > written || m->lane[0].clock[from] > written) {
        return LATHE_OK;
    }
    event = m->lane[from].last_event;
    if (event == LT_PLAN_NONE || m->lane[from].event_at < written) {
        LT_TRY(record(m, from, &event));
    }
    LT_TRY(lt_push_instr(m, LT_I_WAIT, lane, event, 0, 0, &at));
    merge(m->lane[lane].clock, m->event_clocks[event]);
    if (lane == 0) { /* the host waits until that lane is empty */
        m->lane[0].clock[from] = at;
        m->async_step = m->async_step ? m->async_step : m->step_name;
        resolve(m, at);
    }
    return LATHE_OK;
}

static lathe_status host_sync(lt_maker *m, uint32_t lane)
{
    uint32_t at;
    LT_TRY(lt_push_instr(m, LT_I_HOSTSYNC, lane, 0, 0, 0, &at));
    merge(m->lane[0].clock, m->lane[lane].clock);
    m->lane[0].clock[lane] = at;
    m->async_step = m->async_step ? m->async_step : m->step_name;
    resolve(m, at);
    return LATHE_OK;
}

/* ---- Storage in use ---- */

lathe_status lt_touch(lt_maker *m, uint32_t value, uint32_t lane, uint32_t at, bool write)
{
    uint32_t root = m->info[value].root;
    lathe_space space = m->values[root].format.space;
    lt_value_info *v = &m->info[root];
    bool device_lane = lane != 0, in_order = device_lane && lane == primary_of(m, space);
    if (v->first == LT_PLAN_NONE) {
        bool early = device_lane && !in_order && space != LATHE_SPACE_HOST && m->lane[primary_of(m, space)].last_op != LT_PLAN_NONE;
        v->first = at;
        v->last = v->sync_last = at;
        v->sync_first = early ? m->last_sync[space] : at;
    }
    v->first = at < v->first ? at : v->first;
    v->last = at > v->last ? at : v->last;
    v->other_lanes |= device_lane && !in_order;
    if (write) {
        m->info[value].lane = lane;
        m->info[value].written = at;
    }
    if (!lt_arena_grow(m->arena, (void **)&m->uses, &m->cap_uses, m->n_uses + 1, sizeof *m->uses)) {
        return LT_OOM(m->diag);
    }
    m->uses[m->n_uses++] = (lt_use_record){root, at};
    if (!device_lane || in_order) {
        return LATHE_OK;
    }
    if (!lt_arena_grow(m->arena, (void **)&m->pending, &m->cap_pending, m->n_pending + 1, sizeof *m->pending)) {
        return LT_OOM(m->diag);
    }
    m->pending[m->n_pending++] = (lt_access){root, lane, at};
    return LATHE_OK;
}

lathe_status lt_flush_shapes(lt_maker *m)
{
    uint32_t at, first = (uint32_t)m->late_done;
    if (m->late_done == m->n_late) {
        return LATHE_OK;
    }
    m->late_done = m->n_late;
    return lt_push_instr(m, LT_I_SHAPE, 0, first, (uint32_t)m->n_late - first, 0, &at); /* numbered from LT_LATE until the end */
}

lathe_status lt_copy(lt_maker *m, uint32_t from, uint32_t to)
{
    lathe_space a = m->values[from].format.space, b = m->values[to].format.space;
    uint32_t lane = 0, at;
    if (a != b || a != LATHE_SPACE_HOST) {
        LT_TRY(lt_lane_named(m, a == LATHE_SPACE_HOST ? b : a, a == LATHE_SPACE_HOST ? -1 : -2, &lane));
    }
    LT_TRY(lt_flush_shapes(m));
    LT_TRY(lt_lane_need(m, lane, from));
    LT_TRY(lt_push_instr(m, LT_I_COPY, lane, from, to, 0, &at));
    LT_TRY(lt_touch(m, from, lane, at, false));
    LT_TRY(lt_touch(m, to, lane, at, true));
    return m->values[to].storage == LT_STORE_MANAGED ? lt_hold(m, to, from) : LATHE_OK;
}

/* ---- Branches and bodies ---- */

lathe_status lt_scope_enter(lt_maker *m, lt_region_id region, lt_scope *s)
{
    if (++m->depth >= LT_MAX_DEPTH) {
        return LT_FAIL(m->diag, LATHE_UNSUPPORTED, lt_graph_name(m->graph), NULL, "control flow is nested deeper than %d", LT_MAX_DEPTH);
    }
    *s = (lt_scope){.n_lanes = m->n_lanes, .lanes_used = m->lanes_used, .late_keys = m->n_late_keys, .region = m->region, .start = m->scope_start};
    s->clocks = LT_ARENA_ARRAY(m->arena, uint32_t, LT_MAX_LANES * LT_MAX_LANES);
    if (!s->clocks) {
        return LT_OOM(m->diag);
    }
    for (uint32_t i = 0; i < m->n_lanes; i++) {
        memcpy(s->clocks + i * LT_MAX_LANES, m->lane[i].clock, LT_MAX_LANES * sizeof *s->clocks);
        s->events[i] = m->lane[i].last_event;
    }
    memcpy(s->last_sync, m->last_sync, sizeof s->last_sync);
    m->lanes_used = 0;
    m->scope_start = (uint32_t)m->n_instrs;
    m->region = region;
    return LATHE_OK;
}

lathe_status lt_scope_leave(lt_maker *m, const lt_scope *s)
{
    LT_TRY(lt_flush_shapes(m));
    for (uint32_t i = 1; i < m->n_lanes; i++) {
        if (m->lanes_used >> i & 1) {
            LT_TRY(host_sync(m, i));
        }
    }
    for (uint32_t i = 0; i < m->n_lanes; i++) { /* outside nobody knows whether this part has run */
        if (i < s->n_lanes) {
            memcpy(m->lane[i].clock, s->clocks + i * LT_MAX_LANES, LT_MAX_LANES * sizeof *s->clocks);
        } else {
            memset(m->lane[i].clock, 0, LT_MAX_LANES * sizeof *m->lane[i].clock);
        }
        m->lane[i].last_event = i < s->n_lanes ? s->events[i] : LT_PLAN_NONE;
    }
    for (uint32_t i = 0; i < s->n_lanes; i++) {
        if (m->lane[i].last_event != LT_PLAN_NONE) {
            m->lane[i].event_at = m->event_clocks[m->lane[i].last_event][i];
        }
    }
    memcpy(m->last_sync, s->last_sync, sizeof s->last_sync);
    lt_expr_forget(m, s->late_keys);
    m->lanes_used = s->lanes_used;
    m->region = s->region;
    m->scope_start = s->start;
    m->depth--;
    return LATHE_OK;
}
