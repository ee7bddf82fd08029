/*
 * make_ones.c - tactic make.ones: OneHot and EyeLike, tensors of one value with another one at a place of each line. Indices are 32 or 64 bits wide.
 *
 * Each thread owns a part of the output: it fills that and then puts the other value where a line's place falls into it.
 */
#include "backend/cpu/gather_rows.h"
#include "backend/cpu/permute.h"
#include "backend/cpu/product.h"
#include <string.h>

enum { INDICES, DEPTH, VALUES };

static bool is_eye(const lathe_problem *p)
{
    return strcmp(p->op, "EyeLike") == 0;
}

static int fits(const lathe_problem *p, uint32_t config, lathe_fit *fit)
{
    const uint32_t unplanned = LATHE_OPERAND_MANAGED | LATHE_OPERAND_ABSENT;
    const lathe_operand *x = lt_root_operand(p, INDICES, NULL), *values = lt_root_operand(p, VALUES, NULL), *y = &p->out[0];
    (void)config;
    if (p->n_instrs > 0 || p->n_out != 1 || !x || x->rank < 0 || (x->flags & unplanned)) {
        return lt_no(fit, "part of a group, or an input of unknown rank");
    }
    if (y->rank < 1 || y->flags & (unplanned | LATHE_OPERAND_BOUNDED)) {
        return lt_no(fit, "the output has no planned extents");
    }
    unsigned bits = lathe_dtype_bits(y->dtype);
    if (bits < 8 || bits > 128 || (is_eye(p) && lt_lane_of(y->dtype) == LT_LANE_NONE)) {
        return lt_no(fit, "elements of type %s", lathe_dtype_name(y->dtype));
    }
    if (is_eye(p) ? y->rank != 2 || x->rank != 2
                  : (x->dtype != LATHE_DTYPE_I32 && x->dtype != LATHE_DTYPE_I64) || !values || values->dtype != y->dtype || values->flags & unplanned ||
                        y->rank != x->rank + 1) {
        return lt_no(fit, "indices of %s, or extents that do not go together", lathe_dtype_name(x->dtype));
    }
    double elements = lt_operand_elements(y), lines = is_eye(p) ? (double)x->dims[0].opt : lt_operand_elements(x);
    fit->cost = 100 + elements * bits / 8 * 0.05 + lines * 2;
    return 1;
}

/* Elements are outer x extent x inner; lines run along the one in the middle. */
typedef struct ones {
    int64_t outer, extent, inner, low, high; /* low, high: what this thread owns */
    size_t size;
    char off[16], on[16];
    char *y;
} ones;

/* The place of line (outer, inner) along it; the same for whatever lies outside. */
static void put(const ones *o, int64_t outer, int64_t inner, int64_t place)
{
    if (place >= 0 && place < o->extent) {
        int64_t at = (outer * o->extent + place) * o->inner + inner;
        if (at >= o->low && at < o->high) {
            lt_copy_element(o->y + (size_t)at * o->size, o->on, o->size);
        }
    }
}

static lathe_status read_extents(const lathe_call *call, const lathe_buffer *x, ones *o, lathe_diag *diag)
{
    const lathe_problem *p = call->problem;
    const lathe_buffer *y = &call->out[0];
    int64_t axis = is_eye(p) ? 1 : lt_attr_i(p->attrs, p->n_attrs, "axis", -1);
    axis += axis < 0 ? y->rank : 0;
    bool good = axis >= 0 && axis < y->rank && lt_extents_sane(y->rank, y->dims) && x->rank == (is_eye(p) ? 2 : y->rank - 1);
    o->outer = o->inner = 1;
    for (int d = 0; good && d < y->rank; d++) {
        *(d < axis ? &o->outer : d == axis ? &o->extent : &o->inner) *= d == axis ? 1 : y->dims[d];
        good = is_eye(p) ? y->dims[d] == x->dims[d] : d == axis || y->dims[d] == x->dims[d < axis ? d : d - 1];
    }
    o->extent = good ? y->dims[axis] : 0;
    return good ? LATHE_OK : LT_FAIL(diag, LATHE_BAD_SHAPE, p->op, NULL, "no such axis, or the output has other extents");
}

static lathe_status run(const lathe_gang *gang, const lathe_call *call, lathe_diag *diag)
{
    const lathe_problem *p = call->problem;
    uint16_t nx, nv;
    lathe_dtype type = lt_root_operand(p, INDICES, &nx)->dtype;
    const lathe_buffer *x = &call->in[nx];
    ones o = { .size = lathe_dtype_bits(p->out[0].dtype) / 8, .y = call->out[0].data };
    LT_TRY(read_extents(call, x, &o, diag));
    if (is_eye(p)) {
        lt_store_f64(p->out[0].dtype, o.off, 0, 0.0);
        lt_store_f64(p->out[0].dtype, o.on, 0, 1.0);
    } else {
        (void)lt_root_operand(p, VALUES, &nv);
        if (call->in[nv].rank != 1 || call->in[nv].dims[0] != 2) {
            return LT_FAIL(diag, LATHE_BAD_SHAPE, p->op, NULL, "not two values");
        }
        memcpy(o.off, call->in[nv].data, o.size);
        memcpy(o.on, (const char *)call->in[nv].data + o.size, o.size);
    }
    int64_t block = o.extent * o.inner, shift = lt_attr_i(p->attrs, p->n_attrs, "k", 0);
    lathe_gang_split(gang, o.outer * block, 256, &o.low, &o.high);
    if (o.low >= o.high) {
        return LATHE_OK;
    }
    lt_fill_elements(o.y + (size_t)o.low * o.size, o.high - o.low, o.off, o.size);
    for (int64_t u = o.low / block; u <= (o.high - 1) / block; u++) {
        if (is_eye(p)) {
            put(&o, u, 0, shift > o.extent ? -1 : shift < -o.outer ? -1 : u + shift);
            continue;
        }
        for (int64_t i = 0; i < o.inner; i++) {
            int64_t place = lt_gather_index(type, x->data, u * o.inner + i);
            put(&o, u, i, place < 0 ? place + o.extent : place);
        }
    }
    return LATHE_OK;
}

LT_TACTICS(make_ones) = {
    { .struct_size = sizeof(lathe_tactic),
      .name = "make.ones",
      .version = 1,
      .summary = "OneHot and EyeLike: one value, and another at a place of each line",
      .ops = "OneHot EyeLike",
      .device = LATHE_SPACE_HOST,
      .configs = 1,
      .fits = fits,
      .run = run },
    { .name = NULL },
};
