/*
 * gather_last.c - tactic gather.last: Gather by a list of places along an axis that is stored last, such as channels of a pixel: shuffles of channels, columns.
 *
 * The list is read once for each thread: places that follow each other are copied at once, and lists that take turns between neighbours of two places, as
 * shuffles do, are interleaved.
 */
#include "backend/cpu/gather_rows.h"
#include "backend/cpu/product.h"

enum { MOST_TURNS = 8 };

typedef struct taken {
    const int64_t *at; /* places in the row, in elements */
    int64_t n, turns;  /* turns > 0: at[i + turns] == at[i] + 1 */
    size_t size;
} taken;

static int axis_of(const lathe_problem *p, int rank)
{
    int64_t axis = lt_attr_i(p->attrs, p->n_attrs, "axis", 0);
    axis += axis < 0 ? rank : 0;
    return axis >= 0 && axis < rank ? (int)axis : -1;
}

/* All axes in their order, but this one last. */
static lathe_format axis_last(const lathe_operand *o, int axis, lathe_space space)
{
    int8_t order[LATHE_MAX_RANK];
    for (int i = 0, k = 0; i < o->rank; i++) {
        if (i != axis) {
            order[k++] = (int8_t)i;
        }
    }
    order[o->rank - 1] = (int8_t)axis;
    return lt_format_permuted(o->dtype, order, o->rank, space);
}

static int fits(const lathe_problem *p, uint32_t config, lathe_fit *fit)
{
    const uint32_t unplanned = LATHE_OPERAND_MANAGED | LATHE_OPERAND_BOUNDED | LATHE_OPERAND_ABSENT;
    uint16_t nx;
    const lathe_operand *x = lt_root_operand(p, 0, &nx), *index = lt_root_operand(p, 1, NULL), *y = &p->out[0];
    (void)config;
    if (p->n_instrs > 0 || p->n_out != 1 || !x || !index || x->rank < 2 || y->rank != x->rank || index->rank != 1) {
        return lt_no(fit, "part of a group, or not one list of places");
    }
    if ((x->flags | index->flags | y->flags) & unplanned || x->flags & (LATHE_OPERAND_CONSTANT | LATHE_OPERAND_HOST)) {
        return lt_no(fit, "an operand without planned extents, or a constant");
    }
    unsigned bits = lathe_dtype_bits(x->dtype);
    if ((bits != 8 && bits != 16 && bits != 32 && bits != 64) || y->dtype != x->dtype ||
        (index->dtype != LATHE_DTYPE_I32 && index->dtype != LATHE_DTYPE_I64)) {
        return lt_no(fit, "elements of %u bits, or indices of another type", bits);
    }
    int axis = axis_of(p, x->rank);
    if (axis < 0) {
        return lt_no(fit, "no such axis");
    }
    fit->in[nx] = axis_last(x, axis, fit->in[nx].space);
    fit->out[0] = axis_last(y, axis, fit->out[0].space);
    fit->pitched_in |= nx < 64 ? (uint64_t)1 << nx : 0;
    fit->pitched_out = 1;
    double elements = lt_operand_elements(y), row = (double)y->dims[axis].opt;
    fit->cost = 250 + row * 2 + elements / (row > 1 ? row : 1) * 8 + elements * (bits > 32 ? 0.3 : 0.2);
    return 1;
}

static size_t scratch_bytes(const lathe_problem *problem, uint32_t config, const lathe_buffer *in, const lathe_buffer *out, int threads)
{
    int axis = axis_of(problem, out[0].rank);
    (void)config, (void)in;
    return axis < 0 ? 0 : ((size_t)out[0].dims[axis] * sizeof(int64_t) + 63) / 64 * 64 * (size_t)threads;
}

/* ---- Rows ---- */

typedef uint32_t four __attribute__((vector_size(16)));

/* Two runs of 4-byte elements, an element of the one and an element of the other. */
static void interleave(char *dst, const char *a, const char *b, int64_t n)
{
    int64_t i = 0;
    for (; i + 4 <= n; i += 4) {
        four x, y;
        memcpy(&x, a + i * 4, 16);
        memcpy(&y, b + i * 4, 16);
        four low = __builtin_shufflevector(x, y, 0, 4, 1, 5), high = __builtin_shufflevector(x, y, 2, 6, 3, 7);
        memcpy(dst + i * 8, &low, 16);
        memcpy(dst + i * 8 + 16, &high, 16);
    }
    for (; i < n; i++) {
        memcpy(dst + i * 8, a + i * 4, 4);
        memcpy(dst + i * 8 + 4, b + i * 4, 4);
    }
}

/* One element after the other; inlined for each size, so that each copy is one move. */
static inline void pick(const taken *t, char *dst, const char *src, size_t size)
{
    for (int64_t i = 0; i < t->n; i++) {
        memcpy(dst + i * (int64_t)size, src + t->at[i] * (int64_t)size, size);
    }
}

static void take_row(const taken *t, char *dst, const char *src)
{
    int64_t size = (int64_t)t->size, pairs = t->n / 2;
    if (t->turns == 1) {
        memcpy(dst, src + t->at[0] * size, (size_t)(t->n * size));
    } else if (t->turns == 2 && size == 4) {
        interleave(dst, src + t->at[0] * 4, src + t->at[1] * 4, pairs);
        if (t->n & 1) {
            memcpy(dst + pairs * 8, src + t->at[t->n - 1] * 4, 4);
        }
    } else if (size == 4) {
        pick(t, dst, src, 4);
    } else if (size == 1) {
        pick(t, dst, src, 1);
    } else if (size == 2) {
        pick(t, dst, src, 2);
    } else {
        pick(t, dst, src, 8);
    }
}

/* ---- Running ---- */

static lathe_status read_list(const lathe_buffer *index, lathe_dtype type, int64_t extent, int64_t *at, taken *t, lathe_diag *diag)
{
    for (int64_t i = 0; i < t->n; i++) {
        int64_t from = lt_gather_index(type, index->data, i);
        at[i] = from < 0 ? from + extent : from;
        if (at[i] < 0 || at[i] >= extent) {
            return lt_gather_outside("Gather", type, index->data, i, extent, diag);
        }
    }
    t->at = at;
    for (int64_t turns = 1; turns <= MOST_TURNS && turns < t->n && t->turns == 0; turns++) {
        int64_t i = turns;
        while (i < t->n && at[i] == at[i - turns] + 1) {
            i++;
        }
        t->turns = i == t->n ? turns : 0;
    }
    return LATHE_OK;
}

/* Rows of the operand, whatever their extents: the same for input and output but for the axis itself. */
static lathe_status count_rows(const lathe_buffer *x, const lathe_buffer *y, const lathe_buffer *index, int axis, int64_t *rows, lathe_diag *diag)
{
    bool good = axis >= 0 && y->rank == x->rank && index->rank == 1 && lt_extents_sane(x->rank, x->dims) &&
                lt_extents_sane(index->rank, index->dims) && lt_extents_sane(y->rank, y->dims);
    *rows = 1;
    for (int i = 0; good && i < x->rank; i++) {
        good = y->dims[i] == (i == axis ? index->dims[0] : x->dims[i]);
        *rows *= i == axis ? 1 : x->dims[i];
    }
    return good ? LATHE_OK : LT_FAIL(diag, LATHE_BAD_SHAPE, "Gather", NULL, "the output does not have the extents of the inputs");
}

static lathe_status run(const lathe_gang *gang, const lathe_call *call, lathe_diag *diag)
{
    const lathe_problem *p = call->problem;
    uint16_t nx, n_index;
    int64_t rows, begin, end;
    lathe_dtype type = lt_root_operand(p, 1, &n_index)->dtype;
    size_t size = lathe_dtype_bits(lt_root_operand(p, 0, &nx)->dtype) / 8;
    const lathe_buffer *x = &call->in[nx], *y = &call->out[0];
    int axis = axis_of(p, x->rank);
    LT_TRY(count_rows(x, y, &call->in[n_index], axis, &rows, diag));
    taken t = { .n = y->dims[axis], .size = size };
    lathe_gang_split(gang, t.n > 0 ? rows : 0, 8, &begin, &end);
    if (begin >= end) {
        return LATHE_OK;
    }
    size_t each = scratch_bytes(p, call->config, call->in, call->out, 1);
    int64_t *at = (int64_t *)(void *)((char *)call->scratch + each * (size_t)gang->index);
    LT_TRY(read_list(&call->in[n_index], type, x->dims[axis], at, &t, diag));
    int64_t from = lt_row_step(x, x->dims[axis], size), to = lt_row_step(y, t.n, size);
    const char *src = (const char *)x->data + begin * from * (int64_t)size;
    char *dst = (char *)y->data + begin * to * (int64_t)size;
    for (int64_t r = begin; r < end; r++, src += from * (int64_t)size, dst += to * (int64_t)size) {
        take_row(&t, dst, src);
    }
    return LATHE_OK;
}

LT_TACTICS(gather_last) = {
    { .struct_size = sizeof(lathe_tactic),
      .name = "gather.last",
      .version = 1,
      .summary = "Gather by one list along the axis that is stored last",
      .ops = "Gather",
      .device = LATHE_SPACE_HOST,
      .configs = 1,
      .fits = fits,
      .scratch_bytes = scratch_bytes,
      .run = run },
    { .name = NULL },
};
