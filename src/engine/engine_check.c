/*
 * engine_check.c - validates the decoded tables of a plan as a whole: inputs and outputs, profiles, variants, init table, weights. Used by the reader.
 *
 * Everything that rt later uses as an index, a size or a pointer into the weights is held against what it points into. Programs: engine_check_program.c.
 */
#include "engine/engine_internal.h"
#include <string.h>

/* ---- Inputs, outputs, profiles ---- */

static lathe_status check_io(const lt_plan_io *io, const char *what, uint32_t number, lathe_diag *diag)
{
    bool good = io->cls <= LT_MAP && (unsigned)io->dtype < LATHE_DTYPE_COUNT && io->host <= 1;
    if (io->cls == LT_TENSOR) {
        good = good && lt_dtype_get(io->dtype)->kind != LT_KIND_NONE;
    }
    for (int i = 0; i < io->rank; i++) {
        good = good && io->fixed[i] >= -1;
    }
    return good ? LATHE_OK : LT_DAMAGED(diag, "%s %u ('%s') has a type that does not exist", what, number, io->name);
}

static bool kind_fits(const lt_plan_kind *k, lt_value_class cls)
{
    bool good = k->depth > 0 && k->cls[0] == cls && k->cls[k->depth] == LT_TENSOR && (unsigned)k->dtype < LATHE_DTYPE_COUNT;
    for (int i = 0; good && i < k->depth; i++) {
        good = k->cls[i] > LT_TENSOR && k->cls[i] <= LT_MAP && (unsigned)k->key[i] < LATHE_DTYPE_COUNT;
    }
    for (int i = 0; good && i < k->rank; i++) {
        good = k->fixed[i] >= -1;
    }
    return good;
}

/* Every container has its entry, and nothing else has. */
static lathe_status check_kinds(const lt_plan *plan, lathe_diag *diag)
{
    uint32_t next = 0;
    for (uint32_t i = 0; i < plan->n_inputs + plan->n_outputs; i++) {
        const lt_plan_io *io = i < plan->n_inputs ? &plan->inputs[i] : &plan->outputs[i - plan->n_inputs];
        if (io->cls == LT_TENSOR) {
            continue;
        }
        if (next == plan->n_kinds || plan->kinds[next].io != i || !kind_fits(&plan->kinds[next], io->cls)) {
            return LT_DAMAGED(diag, "'%s' is a container of an unknown kind", io->name);
        }
        next++;
    }
    return next == plan->n_kinds ? LATHE_OK : LT_DAMAGED(diag, "there are more kinds of containers than containers");
}

static lathe_status check_profiles(const lt_plan *plan, lathe_diag *diag)
{
    for (uint32_t i = 0; i < plan->n_profiles * plan->n_inputs; i++) {
        const lt_plan_profile_input *p = &plan->profiles[i];
        for (int k = 0; k < LATHE_MAX_RANK; k++) {
            if (p->min[k] > p->opt[k] || p->opt[k] > p->max[k]) {
                return LT_DAMAGED(diag, "profile %u has an input with a least extent above its largest", i / plan->n_inputs);
            }
        }
    }
    return LATHE_OK;
}

/* ---- Init table ---- */

static lathe_status check_init(const lt_plan *plan, lathe_diag *diag)
{
    if (plan->init_program == LT_PLAN_NONE) {
        return plan->n_init == 0 ? LATHE_OK : LT_DAMAGED(diag, "results of an init function that is not there");
    }
    if (plan->init_program >= plan->n_programs) {
        return LT_DAMAGED(diag, "the init function is program %u of %u", plan->init_program, plan->n_programs);
    }
    const lt_plan_program *p = &plan->programs[plan->init_program];
    for (uint32_t i = 0; i < plan->n_init; i++) {
        const lt_plan_init *init = &plan->init[i];
        bool good = init->value < p->n_values && init->blob < plan->n_blobs && !(plan->blobs[init->blob].flags & LT_BLOB_STRINGS);
        good = good && (p->values[init->value].storage == LT_STORE_MANAGED || p->values[init->value].storage == LT_STORE_BLOB);
        if (!good) {
            return LT_DAMAGED(diag, "entry %u of the init table names a value or a blob that does not exist", i);
        }
    }
    return LATHE_OK;
}

/* ---- Variants ---- */

static lathe_status check_variant(const lt_plan *plan, const lt_plan_variant *v, lathe_diag *diag)
{
    enum { MOST_THREADS = 65536 };
    if (v->threads > MOST_THREADS) {
        return LT_DAMAGED(diag, "a variant wants %u threads", v->threads);
    }
    if (v->n_programs == 0) {
        return LT_DAMAGED(diag, "a variant has no program");
    }
    for (uint32_t i = 0; i < v->n_programs; i++) {
        if (v->programs[i] >= plan->n_programs || v->programs[i] == plan->init_program) {
            return LT_DAMAGED(diag, "a variant names program %u of %u", v->programs[i], plan->n_programs);
        }
    }
    return LATHE_OK;
}

/* ---- Caches ---- */

/* Extents besides the one that grows are the same on both sides, and each input and output is in one pair at most. */
static bool cache_fits(const lt_plan *plan, uint32_t number)
{
    const lt_plan_cache *c = &plan->caches[number];
    if (c->input >= plan->n_inputs || c->output >= plan->n_outputs || c->capacity < 1) {
        return false;
    }
    const lt_plan_io *a = &plan->inputs[c->input], *b = &plan->outputs[c->output];
    bool good = a->cls == LT_TENSOR && b->cls == LT_TENSOR && a->dtype == b->dtype && a->dtype != LATHE_DTYPE_STRING && lathe_dtype_bits(a->dtype) >= 8 &&
                a->rank == b->rank && (int64_t)c->axis < a->rank && !a->host;
    for (int i = 0; good && i < a->rank; i++) {
        good = i == (int)c->axis || a->fixed[i] < 0 || b->fixed[i] < 0 || a->fixed[i] == b->fixed[i];
    }
    for (uint32_t i = 0; good && i < number; i++) {
        good = plan->caches[i].input != c->input && plan->caches[i].output != c->output;
    }
    return good;
}

static lathe_status check_caches(const lt_plan *plan, lathe_diag *diag)
{
    for (uint32_t i = 0; i < plan->n_caches; i++) {
        if (!cache_fits(plan, i)) {
            return LT_DAMAGED(diag, "cache %u is no pair of an input and an output", i);
        }
    }
    return LATHE_OK;
}

lathe_status lt_check_plan(const lt_plan *plan, lathe_diag *diag)
{
    if (plan->retunable > 1) {
        return LT_DAMAGED(diag, "a flag is neither 0 nor 1");
    }
    for (uint32_t i = 0; i < plan->n_inputs; i++) {
        LT_TRY(check_io(&plan->inputs[i], "input", i, diag));
    }
    for (uint32_t i = 0; i < plan->n_outputs; i++) {
        LT_TRY(check_io(&plan->outputs[i], "output", i, diag));
    }
    LT_TRY(check_kinds(plan, diag));
    LT_TRY(check_profiles(plan, diag));
    LT_TRY(check_init(plan, diag));
    for (uint32_t i = 0; i < plan->n_variants; i++) {
        LT_TRY(check_variant(plan, &plan->variants[i], diag));
    }
    for (uint32_t i = 0; i < plan->n_assumptions; i++) {
        if (plan->assumptions[i].kind > 2) {
            return LT_DAMAGED(diag, "assumption %u is of an unknown kind", i);
        }
    }
    for (uint32_t i = 0; i < plan->n_equals; i++) {
        const lt_plan_equal *e = &plan->equals[i];
        if (e->input >= plan->n_inputs || (int64_t)e->axis >= plan->inputs[e->input].rank) {
            return LT_DAMAGED(diag, "the assumption '%s' is about an axis that is not there", e->text);
        }
    }
    LT_TRY(check_caches(plan, diag));
    for (uint32_t i = 0; i < plan->n_origins; i++) {
        if (plan->origins[i].fate > 2) {
            return LT_DAMAGED(diag, "node %u has an unknown fate", i);
        }
    }
    return LATHE_OK;
}

/* ---- Weights ---- */

/* u64 count, count + 1 ascending u64 offsets, the bytes. */
static bool strings_fit(const lt_plan_blob *b, const unsigned char *data, int64_t count)
{
    uint64_t head = 8 * ((uint64_t)count + 2), last = 0;
    if (count < 0 || (uint64_t)count > b->bytes / 8 || head > b->bytes || lt_get_u64(data) != (uint64_t)count) {
        return false;
    }
    for (int64_t i = 0; i <= count; i++) {
        uint64_t offset = lt_get_u64(data + 8 * (i + 1));
        if (offset < last || (i == 0 && offset != 0)) {
            return false;
        }
        last = offset;
    }
    return last == b->bytes - head;
}

static bool blob_type_fits(const lt_plan_blob *b, int64_t *count)
{
    bool strings = b->dtype == LATHE_DTYPE_STRING;
    if ((unsigned)b->dtype >= LATHE_DTYPE_COUNT || lt_dtype_get(b->dtype)->kind == LT_KIND_NONE || b->rank < 0 || (b->flags & ~3u) ||
        strings != ((b->flags & LT_BLOB_STRINGS) != 0) || !lt_dims_count(b->dims, b->rank, count)) {
        return false;
    }
    bool packed = b->pack[0] != '\0';
    if (packed && (b->flags & (LT_BLOB_STRINGS | LT_BLOB_INITIALIZER))) {
        return false;
    }
    if (!packed && (b->pack_version != 0 || b->param[0] || b->param[1] || b->param[2] || b->param[3])) {
        return false;
    }
    size_t bytes;
    return packed || strings || (lt_dtype_bytes(b->dtype, *count, &bytes) && bytes == b->bytes);
}

lathe_status lt_check_blobs(const lt_plan *plan, lathe_diag *diag)
{
    uint64_t end = 0, start;
    int64_t count;
    for (uint32_t i = 0; i < plan->n_blobs; i++) {
        const lt_plan_blob *b = &plan->blobs[i];
        bool inside = lt_blob_start(end, &start) && b->offset == start && start <= plan->weight_bytes && b->bytes <= plan->weight_bytes - start;
        if (!inside || !lt_all_zero(plan->weights + end, (size_t)(start - end))) {
            return LT_DAMAGED(diag, "blob %u ('%s') does not lie where it should", i, b->name);
        }
        if (!blob_type_fits(b, &count) || ((b->flags & LT_BLOB_STRINGS) && !strings_fit(b, plan->weights + start, count))) {
            return LT_DAMAGED(diag, "blob %u ('%s') has a type, shape and size that do not fit each other", i, b->name);
        }
        end = start + b->bytes;
    }
    return end == plan->weight_bytes ? LATHE_OK : LT_DAMAGED(diag, "the weight section is longer than the blobs in it");
}
