/*
 * scatter_cache.c - tactic scatter.cache: TensorScatter as a copy of the cache with the new entries over it, or, where the output may take over the cache's
 * storage, as a copy of the new entries alone.
 *
 * Threads share what lies before the axis; all check the places before any of them writes.
 */
#include "backend/cpu/product.h"
#include "backend/tactic.h"
#include <string.h>

enum { PAST, UPDATE, PLACES };

static int axis_of(const lathe_problem *p, int rank)
{
    int64_t axis = lt_attr_i(p->attrs, p->n_attrs, "axis", -2);
    axis += axis < 0 ? rank : 0;
    return axis > 0 && axis < rank ? (int)axis : -1;
}

static int fits(const lathe_problem *p, uint32_t config, lathe_fit *fit)
{
    const uint32_t unplanned = LATHE_OPERAND_MANAGED | LATHE_OPERAND_BOUNDED | LATHE_OPERAND_ABSENT;
    uint16_t n_past;
    const lathe_operand *past = lt_root_operand(p, PAST, &n_past), *update = lt_root_operand(p, UPDATE, NULL), *places = lt_root_operand(p, PLACES, NULL);
    (void)config;
    if (p->n_instrs > 0 || p->n_out != 1 || !past || !update) {
        return lt_no(fit, "part of a group");
    }
    if ((past->flags | update->flags | p->out[0].flags) & unplanned || past->rank < 2 || update->rank != past->rank) {
        return lt_no(fit, "an operand without planned extents");
    }
    unsigned bits = lathe_dtype_bits(past->dtype);
    if (bits < 8 || update->dtype != past->dtype || (places && (places->rank != 1 || places->dtype != LATHE_DTYPE_I64 || places->flags & unplanned))) {
        return lt_no(fit, "elements of %u bits, or places that are no list", bits);
    }
    if (axis_of(p, past->rank) < 0) {
        return lt_no(fit, "no such axis");
    }
    fit->in_place[0] = n_past <= INT8_MAX ? (int8_t)n_past : -1;
    fit->cost = 250 + lt_operand_elements(past) * bits / 8 * 0.1;
    return 1;
}

/* The first entry to write for each element of the batch, as the operator wants it. */
static lathe_status check_places(const int64_t *places, int64_t batch, int64_t extent, int64_t steps, bool circular, lathe_diag *diag)
{
    for (int64_t b = 0; places && b < batch; b++) {
        if (places[b] < 0 || (circular ? places[b] >= extent : places[b] > extent - steps)) {
            return LT_FAIL(diag, LATHE_BAD_SHAPE, "TensorScatter", NULL, "write index %lld of batch element %lld is out of range", (long long)places[b], (long long)b);
        }
    }
    if (!places && extent == 0 && steps > 0) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, "TensorScatter", NULL, "%lld entries do not fit a cache of 0", (long long)steps);
    }
    return LATHE_OK;
}

static lathe_status run(const lathe_gang *gang, const lathe_call *call, lathe_diag *diag)
{
    const lathe_problem *p = call->problem;
    const lathe_buffer *past = &call->in[p->root_in[PAST]], *update = &call->in[p->root_in[UPDATE]];
    bool given = lt_root_operand(p, PLACES, NULL) != NULL, circular = lt_attr_is(p->attrs, p->n_attrs, "mode", "circular", "linear");
    const int64_t *places = given ? call->in[p->root_in[PLACES]].data : NULL;
    int axis = axis_of(p, past->rank);
    int64_t outer = 1, entry = lathe_dtype_bits(p->in[p->root_in[PAST]].dtype) / 8, extent = past->dims[axis], steps = update->dims[axis], from, to;
    for (int i = 0; i < past->rank; i++) {
        outer *= i < axis ? past->dims[i] : 1;
        entry *= i > axis ? past->dims[i] : 1;
    }
    int64_t each = past->dims[0] > 0 ? outer / past->dims[0] : 0;
    if (outer == 0 || entry == 0) {
        return LATHE_OK;
    }
    if (given && call->in[p->root_in[PLACES]].dims[0] != past->dims[0]) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, "TensorScatter", NULL, "there are %lld write_indices for a batch of %lld",
                       (long long)call->in[p->root_in[PLACES]].dims[0], (long long)past->dims[0]);
    }
    LT_TRY(check_places(places, past->dims[0], extent, steps, circular, diag));
    lathe_gang_split(gang, outer, 1, &from, &to);
    for (int64_t o = from; o < to; o++) {
        char *y = (char *)call->out[0].data + o * extent * entry;
        const char *x = (const char *)past->data + o * extent * entry, *u = (const char *)update->data + o * steps * entry;
        int64_t first = places ? places[o / each] : 0;
        if (x != y && extent > 0) {
            memcpy(y, x, (size_t)(extent * entry));
        }
        for (int64_t t = 0; t < steps; t++) {
            memcpy(y + (first + t) % extent * entry, u + t * entry, (size_t)entry);
        }
    }
    return LATHE_OK;
}

LT_TACTICS(scatter_cache) = {
    { .struct_size = sizeof(lathe_tactic),
      .name = "scatter.cache",
      .version = 1,
      .summary = "TensorScatter: the cache copied, or kept where it is, and new entries written over it",
      .ops = "TensorScatter",
      .device = LATHE_SPACE_HOST,
      .configs = 1,
      .fits = fits,
      .run = run },
    { .name = NULL },
};
