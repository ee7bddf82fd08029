/*
 * plan_value.c - the values of a program: which storage each slot of the choice gets, extents, views, the memory of outputs.
 */
#include "plan/plan_internal.h"
#include <string.h>

/* ---- How a value is kept: the tuner's own answer, so that problems and plan agree ---- */

static lathe_status extent_of(void *user, lt_dim dim, lathe_extent *out, lathe_diag *diag)
{
    (void)diag;
    *out = (lathe_extent){.multiple = 1};
    lt_dim_bounds(user, dim, &out->min, &out->max);
    return LATHE_OK;
}

lt_keep lt_keep_of(const lt_maker *m, const lt_value *v)
{
    lt_tune_options options = {.extent = extent_of, .user = m->dims};
    return lt_value_keep(m->graph, v, &options);
}

/* ---- Making ---- */

lathe_status lt_value_new(lt_maker *m, const lt_plan_value *value, uint32_t *out)
{
    if (!lt_arena_grow(m->arena, (void **)&m->values, &m->cap_values, m->n_values + 1, sizeof *m->values) ||
        !lt_arena_grow(m->arena, (void **)&m->info, &m->cap_info, m->n_values + 1, sizeof *m->info)) {
        return LT_OOM(m->diag);
    }
    LT_CHECK(m->diag, m->n_values < LT_LATE, "plan");
    *out = (uint32_t)m->n_values++;
    m->values[*out] = *value;
    m->info[*out] = (lt_value_info){.root = *out, .written = LT_PLAN_NONE, .region = m->region, .first = LT_PLAN_NONE, .sync_first = LT_PLAN_NONE};
    return LATHE_OK;
}

/* Containers have no element type; plans want one. */
static lathe_dtype some_dtype(lathe_dtype dtype)
{
    return dtype == LATHE_DTYPE_UNDEFINED ? LATHE_DTYPE_U8 : dtype;
}

/* Extents that are known now; the others are told by the value itself once it is there (lt_value_settle). */
static lathe_status fill_dims(lt_maker *m, const lt_value *v, lt_plan_value *out)
{
    for (int i = 0; i < out->rank; i++) {
        LT_TRY(lt_expr_of(m, v->type.dims[i], &out->dims[i]));
        out->bound[i] = out->dims[i];
        if (out->dims[i] == LT_PLAN_NONE && !out->bounded && out->storage != LT_STORE_MANAGED) {
            return LT_FAIL(m->diag, LATHE_UNSUPPORTED, v->name, "give the model's inputs names for their dimensions",
                           "extent %d of '%s' depends on a name that no input has as an extent", i, v->name);
        }
        if (out->bounded) {
            lt_dim top;
            LT_TRY(lt_dim_ceiling(m, v->type.dims[i], &top));
            if (lt_dim_is_const(top) && top.k == INT64_MAX) { /* what has no limit is managed: so this is an extent of the model */
                return LT_FAIL(m->diag, LATHE_BAD_SHAPE, v->name, "correct the extents of the model's inputs and constants",
                               "extent %d of '%s' would be %lld: no memory holds that", i, v->name, (long long)top.k);
            }
            LT_TRY(lt_expr_of(m, top, &out->bound[i]));
            LT_CHECK(m->diag, out->bound[i] != LT_PLAN_NONE && !(out->bound[i] & LT_LATE), v->name);
        }
    }
    return LATHE_OK;
}

/* Largest extents in the bucket, for sizes. */
static lathe_status fill_upper(lt_maker *m, const lt_value *v, uint32_t value)
{
    for (int i = 0; i < v->type.rank && m->values[value].storage != LT_STORE_MANAGED; i++) {
        lt_dim top = v->type.dims[i];
        int64_t lo;
        if (m->values[value].bounded) {
            LT_TRY(lt_dim_ceiling(m, top, &top));
        }
        lt_dim_bounds(m->dims, top, &lo, &m->info[value].upper[i]);
    }
    return LATHE_OK;
}

lathe_status lt_value_make(lt_maker *m, const lt_value *v, const lathe_format *format, lt_storage storage, uint32_t index, uint32_t *out)
{
    lt_keep keep = lt_keep_of(m, v);
    lt_plan_value value = {.name = v->name, .cls = v->type.cls, .dtype = some_dtype(v->type.dtype), .rank = v->type.cls == LT_TENSOR ? v->type.rank : -1,
                           .format = *format, .storage = storage, .index = index};
    if (storage == LT_STORE_ARENA || storage == LT_STORE_OUTPUT) {
        value.bounded = keep == LT_KEEP_BOUNDED;
        if (keep == LT_KEEP_MANAGED) {
            value.storage = LT_STORE_MANAGED;
            value.index = 0;
        }
    }
    if (value.storage == LT_STORE_MANAGED) {
        value.format = lt_format_plain(value.dtype, value.rank, LATHE_SPACE_HOST);
    }
    LT_TRY(fill_dims(m, v, &value));
    LT_TRY(lt_value_new(m, &value, out));
    return fill_upper(m, v, *out);
}

lathe_status lt_value_settle(lt_maker *m, const lt_value *v, uint32_t value)
{
    for (int i = 0; i < m->values[value].rank; i++) {
        if (m->values[value].dims[i] != LT_PLAN_NONE) {
            continue;
        }
        uint32_t number;
        LT_TRY(lt_expr_of(m, v->type.dims[i], &number)); /* another axis may have told meanwhile */
        if (number == LT_PLAN_NONE) {
            LT_TRY(lt_expr_from_value(m, v->type.dims[i], value, i, &number));
        }
        m->values[value].dims[i] = number;
        if (!m->values[value].bounded) {
            m->values[value].bound[i] = number;
        }
    }
    return LATHE_OK;
}

/* ---- Weights and inputs ---- */

lathe_status lt_blob_value(lt_maker *m, const lt_value *v, const char *pack, const int64_t param[4], uint32_t *out)
{
    uint32_t recipe = lt_numbering_get(&m->planner->recipe_of[m->part_number], v->id.index), stored;
    LT_CHECK(m->diag, recipe != LT_PLAN_NONE, v->name);
    LT_TRY(lt_store_constant(m->planner, recipe, pack, param, &stored));
    *out = lt_numbering_get(&m->blob_value, stored);
    if (*out != LT_PLAN_NONE) {
        return LATHE_OK;
    }
    lathe_format plain = lt_format_plain(v->type.dtype, v->type.rank, LATHE_SPACE_HOST);
    LT_TRY(lt_value_make(m, v, &plain, LT_STORE_BLOB, stored, out));
    return lt_numbering_put(&m->blob_value, m->arena, stored, *out, m->diag);
}

lathe_status lt_input_values(lt_maker *m)
{
    const lt_region *main = lt_region_get(m->graph, LT_MAIN);
    for (uint32_t i = 0; i < main->n_inputs; i++) {
        const lt_value *v = lt_value_get(m->graph, main->inputs[i]);
        bool open = v->type.cls != LT_TENSOR || v->type.rank < 0;
        lathe_format plain = lt_format_plain(some_dtype(v->type.dtype), v->type.cls == LT_TENSOR ? v->type.rank : -1, LATHE_SPACE_HOST);
        lt_plan_value value = {.name = v->name, .cls = v->type.cls, .dtype = plain.storage, .rank = plain.rank, .format = plain,
                               .storage = open ? LT_STORE_MANAGED : LT_STORE_INPUT, .index = open ? 0 : i};
        uint32_t number;
        LT_TRY(lt_value_new(m, &value, &number)); /* its extents need the expressions that need its number */
        LT_TRY(lt_numbering_put(&m->host_value, m->arena, v->id.index, number, m->diag));
    }
    LT_TRY(lt_expr_input_dims(m));
    for (uint32_t i = 0; i < main->n_inputs; i++) {
        LT_TRY(fill_dims(m, lt_value_get(m->graph, main->inputs[i]), &m->values[i]));
    }
    return LATHE_OK;
}

/* ---- Slots ---- */

static bool is_plain_host(const lathe_format *f, lathe_dtype dtype)
{
    return f->space == LATHE_SPACE_HOST && f->storage == dtype && lt_format_is_plain(f);
}

lathe_status lt_slot_get(lt_maker *m, uint32_t slot, uint32_t *out)
{
    *out = lt_numbering_get(&m->slot_value, slot);
    if (*out != LT_PLAN_NONE) {
        return LATHE_OK;
    }
    const lt_slot *s = &m->choice->slots[slot];
    const lt_value *v = lt_value_get(m->graph, s->value);
    *out = lt_numbering_get(&m->host_value, v->id.index); /* managed ones have one form, inputs of bodies come in it */
    if (*out != LT_PLAN_NONE && (m->values[*out].storage == LT_STORE_MANAGED || is_plain_host(&s->format, v->type.dtype))) {
        return LATHE_OK;
    }
    if (lt_value_is_constant(v) && is_plain_host(&s->format, v->type.dtype)) {
        return lt_blob_value(m, v, NULL, NULL, out);
    }
    return LT_FAIL(m->diag, LATHE_INTERNAL, v->name, "this is a bug in Lathe: please report it", "'%s' is read before it is made", v->name);
}

/* The network output whose memory this slot can be; LT_PLAN_NONE. */
static uint32_t output_of(lt_maker *m, const lt_value *v, const lathe_format *f)
{
    const lt_region *main = lt_region_get(m->graph, LT_MAIN);
    lathe_format dense = *f;
    dense.strided = 0; /* of outputs, caches alone have rows apart */
    bool may = m->region == LT_MAIN && v->region == LT_MAIN && v->n_region_outputs > 0 && v->type.cls == LT_TENSOR && is_plain_host(&dense, v->type.dtype) &&
               v->type.dtype != LATHE_DTYPE_STRING && lt_keep_of(m, v) != LT_KEEP_MANAGED;
    for (uint32_t i = 0; may && i < main->n_outputs; i++) {
        if (lt_value_same(main->outputs[i], v->id) && m->outputs_taken[i] == LT_PLAN_NONE) {
            return i;
        }
    }
    return LT_PLAN_NONE;
}

static lathe_status define(lt_maker *m, const lt_value *v, const lathe_format *f, uint32_t *out)
{
    uint32_t output = output_of(m, v, f);
    LT_TRY(lt_value_make(m, v, f, output == LT_PLAN_NONE ? LT_STORE_ARENA : LT_STORE_OUTPUT, output == LT_PLAN_NONE ? 0 : output, out));
    if (output != LT_PLAN_NONE) {
        m->outputs_taken[output] = *out;
    }
    uint32_t before = lt_numbering_get(&m->host_value, v->id.index);
    bool kept = before != LT_PLAN_NONE && m->values[before].storage == LT_STORE_OUTPUT; /* a cache, of which this is a copy */
    if (m->values[*out].storage == LT_STORE_MANAGED || output != LT_PLAN_NONE || (is_plain_host(f, v->type.dtype) && !kept)) {
        LT_TRY(lt_numbering_put(&m->host_value, m->arena, v->id.index, *out, m->diag));
    }
    return LATHE_OK;
}

lathe_status lt_slot_define(lt_maker *m, uint32_t slot, uint32_t *out)
{
    const lt_slot *s = &m->choice->slots[slot];
    if (m->parts && m->parts[slot].whole != LT_NO_SLOT) {
        return lt_part_define(m, slot, out);
    }
    LT_TRY(define(m, lt_value_get(m->graph, s->value), &s->format, out));
    m->info[*out].left += m->slot_reads[slot];
    return lt_numbering_put(&m->slot_value, m->arena, slot, *out, m->diag);
}

/* The slot of a value's plain host form; LT_NO_SLOT when nothing reads it in that form. */
static uint32_t host_slot(const lt_maker *m, const lt_value *v)
{
    for (uint32_t i = 0; i < m->choice->n_slots; i++) {
        if (lt_value_same(m->choice->slots[i].value, v->id) && is_plain_host(&m->choice->slots[i].format, v->type.dtype)) {
            return i;
        }
    }
    return LT_NO_SLOT;
}

lathe_status lt_host_get(lt_maker *m, lt_value_id id, uint32_t *out)
{
    const lt_value *v = lt_value_get(m->graph, id);
    *out = lt_numbering_get(&m->host_value, v->id.index);
    if (*out != LT_PLAN_NONE) {
        return LATHE_OK;
    }
    if (lt_value_is_constant(v)) {
        return lt_blob_value(m, v, NULL, NULL, out);
    }
    return LT_FAIL(m->diag, LATHE_INTERNAL, v->name, "this is a bug in Lathe: please report it", "'%s' is read before it is made", v->name);
}

lathe_status lt_host_define(lt_maker *m, lt_value_id id, uint32_t *out)
{
    const lt_value *v = lt_value_get(m->graph, id);
    uint32_t slot = host_slot(m, v);
    if (slot != LT_NO_SLOT) {
        return lt_slot_define(m, slot, out);
    }
    lathe_format plain = lt_format_plain(some_dtype(v->type.dtype), v->type.cls == LT_TENSOR ? v->type.rank : -1, LATHE_SPACE_HOST);
    return define(m, v, &plain, out);
}

lathe_status lt_view_make(lt_maker *m, uint32_t slot, uint32_t of)
{
    const lt_slot *s = &m->choice->slots[slot];
    const lt_value *v = lt_value_get(m->graph, s->value);
    uint32_t number;
    LT_TRY(lt_value_make(m, v, &s->format, LT_STORE_ALIAS, of, &number));
    lt_value_info *info = &m->info[number];
    info->root = m->info[of].root;
    info->lane = m->info[of].lane;
    info->written = m->info[of].written;
    m->info[info->root].left += m->slot_reads[slot];
    if (is_plain_host(&s->format, v->type.dtype)) {
        LT_TRY(lt_numbering_put(&m->host_value, m->arena, v->id.index, number, m->diag));
    }
    return lt_numbering_put(&m->slot_value, m->arena, slot, number, m->diag);
}

lathe_status lt_host_share(lt_maker *m, lt_value_id id, uint32_t of)
{
    uint32_t slot = host_slot(m, lt_value_get(m->graph, id));
    m->info[m->info[of].root].left += slot == LT_NO_SLOT ? 0 : m->slot_reads[slot];
    return lt_numbering_put(&m->host_value, m->arena, id.index, of, m->diag);
}

lathe_status lt_temp_like(lt_maker *m, uint32_t value, uint32_t *out)
{
    lt_plan_value copy = m->values[value];
    copy.storage = copy.storage == LT_STORE_MANAGED ? LT_STORE_MANAGED : LT_STORE_ARENA;
    copy.index = 0;
    lt_value_info old = m->info[value];
    LT_TRY(lt_value_new(m, &copy, out));
    memcpy(m->info[*out].upper, old.upper, sizeof old.upper);
    return LATHE_OK;
}

lathe_status lt_hold(lt_maker *m, uint32_t holder, uint32_t held)
{
    if (!lt_arena_grow(m->arena, (void **)&m->edges, &m->cap_edges, m->n_edges + 1, sizeof *m->edges)) {
        return LT_OOM(m->diag);
    }
    m->edges[m->n_edges++] = (lt_keep_edge){holder, m->info[held].root};
    return LATHE_OK;
}

/* ---- Reads ---- */

lathe_status lt_count_reads(lt_maker *m)
{
    m->slot_reads = LT_ARENA_ARRAY(m->arena, uint32_t, m->choice->n_slots + 1u);
    if (!m->slot_reads) {
        return LT_OOM(m->diag);
    }
    for (uint32_t i = 0; i < m->choice->n_units; i++) {
        const lt_unit *u = &m->choice->units[i];
        for (uint32_t k = 0; k < u->n_in; k++) {
            if (u->in[k] != LT_NO_SLOT) {
                m->slot_reads[u->in[k]]++;
            }
        }
    }
    for (lt_region_id r = 0; r < lt_graph_regions(m->graph); r++) {
        const lt_region *region = lt_region_get(m->graph, r);
        for (uint32_t k = 0; region && region->live && r != LT_INIT && k < region->n_outputs; k++) {
            uint32_t slot = host_slot(m, lt_value_get(m->graph, region->outputs[k]));
            if (slot != LT_NO_SLOT) {
                m->slot_reads[slot]++;
            }
        }
    }
    return LATHE_OK;
}
