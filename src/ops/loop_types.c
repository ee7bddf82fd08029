/*
 * loop_types.c - inference of bodies that run again and again, for Loop and Scan.
 */
#include "ops/loop_internal.h"

/* Items that differ become unknown: their extents, and from the third round on their ranks, too. Of an optional, the body may give the element alone. */
static lathe_status widen_container(lt_infer *c, lt_type *carried, const lt_type *result, int round, bool *changed)
{
    const lt_type *from = result->elem, *elem;
    if (carried->cls == LT_OPTIONAL && result->cls != LT_OPTIONAL) {
        from = lt_arena_copy(c->arena, result, sizeof *result, _Alignof(lt_type)); /* the next round changes it */
        if (from == NULL) {
            return LT_OOM(c->diag);
        }
    } else if (carried->cls != result->cls || (carried->cls == LT_MAP && carried->dtype != result->dtype)) {
        return lt_infer_fail(c, "a value carried from iteration to iteration changes its type");
    }
    LT_TRY(lt_join_elem(c, carried->elem, from, round >= 2, &elem));
    if (elem != NULL && (carried->elem == NULL || !lt_type_same(elem, carried->elem))) {
        carried->elem = elem;
        *changed = true;
    }
    return LATHE_OK;
}

/* Extents that differ become unknown; true when the type of `carried` was narrower than this. */
static lathe_status widen(lt_infer *c, lt_type *carried, const lt_type *result, int round, bool *varies, bool *changed)
{
    if (carried->cls == LT_TENSOR && carried->dtype == LATHE_DTYPE_UNDEFINED) {
        *carried = *result;
        *changed = *changed || result->cls != LT_TENSOR || result->dtype != LATHE_DTYPE_UNDEFINED;
        return LATHE_OK;
    }
    bool open = result->cls == LT_TENSOR && result->dtype == LATHE_DTYPE_UNDEFINED;
    if (!open && carried->cls != LT_TENSOR) {
        return widen_container(c, carried, result, round, changed);
    }
    if (!open && (carried->cls != result->cls || (carried->cls == LT_TENSOR && carried->dtype != result->dtype))) {
        return lt_infer_fail(c, "a value carried from iteration to iteration changes its element type");
    }
    if (carried->cls != LT_TENSOR || carried->rank < 0) {
        return LATHE_OK;
    }
    if (carried->rank != result->rank) {
        carried->rank = -1;
        *changed = true;
        return LATHE_OK;
    }
    for (int k = 0; k < carried->rank; k++) {
        if (!varies[k] && !lt_dim_same(carried->dims[k], result->dims[k])) {
            varies[k] = true;
            *changed = true;
            LT_TRY(lt_infer_fresh(c, lt_dim_const(0), lt_dim_const(INT64_MAX), &carried->dims[k]));
        }
    }
    return LATHE_OK;
}

lathe_status lt_body_infer(lt_infer *c, lt_body_types *b)
{
    typedef bool extents[LATHE_MAX_RANK];
    extents *varies = lt_arena_zero(c->arena, (size_t)b->n + 1, sizeof *varies, 1);
    const lt_type **in = LT_ARENA_ARRAY(c->arena, const lt_type *, (size_t)b->n_in + 1);
    bool changed = true;
    if (varies == NULL || in == NULL) {
        return LT_OOM(c->diag);
    }
    for (int k = 0; k < b->n_in; k++) {
        in[k] = &b->in[k];
    }
    /* Each round makes at least one extent unknown; a body that needs more than this is left with unknown ranks. */
    for (int round = 0; changed && round < 8; round++) {
        changed = false;
        LT_TRY(c->region(c, b->body, in, b->n_in, b->out, b->n_out));
        for (int k = 0; k < b->n; k++) {
            LT_TRY(widen(c, &b->in[b->first_in + k], &b->out[b->first_out + k], round, varies[k], &changed));
        }
    }
    for (int k = 0; k < b->n && changed; k++) {
        lt_type *carried = &b->in[b->first_in + k];
        carried->rank = carried->cls == LT_TENSOR && carried->rank > 0 ? -1 : carried->rank;
    }
    return changed ? c->region(c, b->body, in, b->n_in, b->out, b->n_out) : LATHE_OK;
}

lathe_status lt_body_carried(lt_infer *c, const lt_body_types *b, int k, lt_type *out)
{
    const lt_type *result = &b->out[b->first_out + k];
    *out = b->in[b->first_in + k];
    if (out->cls == LT_OPTIONAL && result->cls != LT_OPTIONAL && out->elem != NULL) {
        return lt_item_type(c, out->elem, out);
    }
    if (out->cls != LT_TENSOR) {
        return LATHE_OK;
    }
    for (int i = 0; i < out->rank; i++) {
        if (out->rank != result->rank || !lt_dim_same(out->dims[i], result->dims[i])) {
            LT_TRY(lt_infer_fresh(c, lt_dim_const(0), lt_dim_const(INT64_MAX), &out->dims[i]));
        }
    }
    return LATHE_OK;
}

lathe_status lt_body_stacked(lt_infer *c, int i, const lt_type *each, int64_t axis, lt_dim d)
{
    lt_dim dims[LATHE_MAX_RANK];
    int at;
    if (each->cls != LT_TENSOR) {
        return lt_infer_fail(c, "output %d stacks values that are no tensors", i);
    }
    if (each->rank < 0 || each->rank >= LATHE_MAX_RANK) {
        return lt_infer_out(c, i, each->dtype, each->rank < 0 ? -1 : each->rank + 1, NULL);
    }
    LT_TRY(lt_infer_axis(c, axis, each->rank + 1, &at));
    for (int k = 0; k <= each->rank; k++) {
        dims[k] = k == at ? d : each->dims[k < at ? k : k - 1];
    }
    return lt_infer_out(c, i, each->dtype, each->rank + 1, dims);
}
