/*
 * gather_nd.c - tactic gather.nd: GatherND and GatherElements from plain tensors of any type of whole bytes.
 */
#include "backend/cpu/gather_rows.h"
#include "backend/cpu/product.h"
#include <string.h>

static bool by_elements(const lathe_problem *p)
{
    return strcmp(p->op, "GatherElements") == 0;
}

static int fits(const lathe_problem *p, uint32_t config, lathe_fit *fit)
{
    const uint32_t unplanned = LATHE_OPERAND_MANAGED | LATHE_OPERAND_ABSENT;
    const lathe_operand *x = lt_root_operand(p, 0, NULL), *index = lt_root_operand(p, 1, NULL), *y = &p->out[0];
    (void)config;
    if (p->n_instrs > 0 || p->n_out != 1 || !x || !index || x->rank < 1 || index->rank < 1) {
        return lt_no(fit, "part of a group, or an input of unknown rank");
    }
    if ((x->flags | index->flags | y->flags) & unplanned || (y->flags & LATHE_OPERAND_BOUNDED)) {
        return lt_no(fit, "an operand without planned extents");
    }
    unsigned bits = lathe_dtype_bits(x->dtype);
    if (bits < 8 || bits > 128 || y->dtype != x->dtype ||
        (index->dtype != LATHE_DTYPE_I32 && index->dtype != LATHE_DTYPE_I64)) {
        return lt_no(fit, "elements of %u bits, or indices of another type", bits);
    }
    double elements = lt_operand_elements(y), block = 1;
    if (by_elements(p)) {
        int64_t axis = lt_attr_i(p->attrs, p->n_attrs, "axis", 0);
        if (axis < -x->rank || axis >= x->rank || index->rank != x->rank || y->rank != x->rank) {
            return lt_no(fit, "no such axis");
        }
    } else {
        int64_t batch = lt_attr_i(p->attrs, p->n_attrs, "batch_dims", 0);
        const lathe_extent *depth = &index->dims[index->rank - 1];
        if (depth->min != depth->max || batch < 0 || batch >= index->rank || batch >= x->rank || depth->max < 1 ||
            depth->max > x->rank - batch || y->rank != index->rank - 1 + x->rank - batch - depth->max) {
            return lt_no(fit, "index vectors that do not go with the data");
        }
        for (int i = (int)(batch + depth->max); i < x->rank; i++) {
            block *= (double)x->dims[i].opt;
        }
    }
    fit->cost = 200 + 2 * elements * bits / 8 * 0.02 + elements / (block > 1 ? block : 1) * 3;
    return 1;
}

/* ---- What both do for each index ---- */

typedef struct lookup {
    const char *src, *indices;
    char *dst;
    lathe_dtype type; /* of the indices */
    const char *op;
    lathe_diag *diag;
} lookup;

static lathe_status outside(const lookup *l, int64_t number, int64_t extent)
{
    return lt_gather_outside(l->op, l->type, l->indices, number, extent, l->diag);
}

/* ---- GatherND ---- */

typedef struct tuples {
    int depth;
    int64_t per_batch, batch_bytes;
    int64_t extent[LATHE_MAX_RANK], step[LATHE_MAX_RANK]; /* bytes */
    size_t block;
} tuples;

static lathe_status gather_tuples(const lookup *l, const tuples *s, int64_t begin, int64_t end)
{
    int64_t batch = begin / s->per_batch, left = s->per_batch - begin % s->per_batch;
    for (int64_t t = begin; t < end; t++) {
        const char *from = l->src + batch * s->batch_bytes;
        for (int k = 0; k < s->depth; k++) {
            int64_t index = lt_gather_index(l->type, l->indices, t * s->depth + k);
            index += index < 0 ? s->extent[k] : 0;
            if (index < 0 || index >= s->extent[k]) {
                return outside(l, t * s->depth + k, s->extent[k]);
            }
            from += index * s->step[k];
        }
        lt_copy_element(l->dst + (size_t)t * s->block, from, s->block);
        if (--left == 0) {
            left = s->per_batch;
            batch++;
        }
    }
    return LATHE_OK;
}

/* The same for single indices into one axis. The copies are of a constant size where this is inlined. */
static inline int64_t gather_sized(const lookup *l, const tuples *s, int64_t begin, int64_t end, size_t block)
{
    int64_t extent = s->extent[0];
    for (int64_t t = begin; t < end; t++) {
        int64_t index = lt_gather_index(LATHE_DTYPE_I64, l->indices, t);
        index += index < 0 ? extent : 0;
        if ((uint64_t)index >= (uint64_t)extent) {
            return t;
        }
        lt_copy_element(l->dst + (size_t)t * block, l->src + (size_t)index * block, block);
    }
    return end;
}

static lathe_status gather_singles(const lookup *l, const tuples *s, int64_t begin, int64_t end)
{
    int64_t done = 0;
    switch (s->block) {
    case 4:
        done = gather_sized(l, s, begin, end, 4);
        break;
    case 8:
        done = gather_sized(l, s, begin, end, 8);
        break;
    case 16:
        done = gather_sized(l, s, begin, end, 16);
        break;
    default:
        done = gather_sized(l, s, begin, end, s->block);
        break;
    }
    return done == end ? LATHE_OK : outside(l, done, s->extent[0]);
}

/* Extents of the three operands go together; *n gets the number of tuples. */
static bool read_tuples(const lathe_call *call, const lathe_buffer *x, const lathe_buffer *index, size_t size,
                        tuples *s, int64_t *n)
{
    const lathe_buffer *y = &call->out[0];
    int batch = (int)lt_attr_i(call->problem->attrs, call->problem->n_attrs, "batch_dims", 0), axis = 0;
    int64_t depth = index->dims[index->rank - 1], batches = 1, step = (int64_t)size;
    *s = (tuples){ .depth = (int)depth, .per_batch = 1 };
    *n = 1;
    if (depth < 1 || depth > x->rank - batch || y->rank != index->rank - 1 + x->rank - batch - depth) {
        return false;
    }
    for (int i = 0; i < index->rank - 1; i++) {
        *(i < batch ? &batches : &s->per_batch) *= index->dims[i];
        if (y->dims[axis++] != index->dims[i] || (i < batch && x->dims[i] != index->dims[i])) {
            return false;
        }
    }
    for (int i = batch + (int)depth; i < x->rank; i++) {
        if (y->dims[axis++] != x->dims[i]) {
            return false;
        }
    }
    for (int i = x->rank; i-- > batch; step *= x->dims[i]) {
        if (i == batch + depth - 1) {
            s->block = (size_t)step;
        }
        if (i < batch + depth) {
            s->extent[i - batch] = x->dims[i];
            s->step[i - batch] = step;
        }
    }
    s->batch_bytes = step;
    *n = batches * s->per_batch;
    return true;
}

/* ---- GatherElements ---- */

typedef struct rows {
    int rank, axis;
    int64_t dims[LATHE_MAX_RANK], step[LATHE_MAX_RANK]; /* of the indices; of the data, in bytes */
    int64_t extent;
    size_t size;
} rows;

/* Indices of one line along the last axis, from number `first` on. Returns how many were good. Type and size are known where this is inlined. */
static inline __attribute__((always_inline)) int64_t line_sized(const lookup *l, const rows *s, const char *from, int64_t first, lathe_dtype type, size_t size)
{
    int last = s->rank - 1;
    int64_t along = last == s->axis ? 0 : s->step[last], step = s->step[s->axis], extent = s->extent, n = s->dims[last];
    const char *indices = l->indices + first * (type == LATHE_DTYPE_I32 ? 4 : 8);
    char *dst = l->dst + (size_t)first * size;
    for (int64_t i = 0; i < n; i++) {
        int64_t index = lt_gather_index(type, indices, i);
        index += index < 0 ? extent : 0;
        if ((uint64_t)index >= (uint64_t)extent) {
            return i;
        }
        lt_copy_element(dst + (size_t)i * size, from + index * step + i * along, size);
    }
    return n;
}

static lathe_status gather_line(const lookup *l, const rows *s, const char *from, int64_t first)
{
    int64_t good;
    bool wide = l->type == LATHE_DTYPE_I64;
    switch (s->size) {
    case 4:
        good = wide ? line_sized(l, s, from, first, LATHE_DTYPE_I64, 4) : line_sized(l, s, from, first, LATHE_DTYPE_I32, 4);
        break;
    case 8:
        good = wide ? line_sized(l, s, from, first, LATHE_DTYPE_I64, 8) : line_sized(l, s, from, first, LATHE_DTYPE_I32, 8);
        break;
    default:
        good = line_sized(l, s, from, first, l->type, s->size);
        break;
    }
    return good == s->dims[s->rank - 1] ? LATHE_OK : outside(l, first + good, s->extent);
}

static lathe_status gather_lines(const lookup *l, const rows *s, int64_t begin, int64_t end)
{
    int last = s->rank - 1;
    for (int64_t r = begin; r < end; r++) {
        const char *from = l->src;
        int64_t left = r;
        for (int k = last; k-- > 0; left /= s->dims[k]) {
            from += k == s->axis ? 0 : left % s->dims[k] * s->step[k];
        }
        LT_TRY(gather_line(l, s, from, r * s->dims[last]));
    }
    return LATHE_OK;
}

static bool read_rows(const lathe_call *call, const lathe_buffer *x, const lathe_buffer *index, size_t size, rows *s,
                      int64_t *n)
{
    const lathe_buffer *y = &call->out[0];
    int64_t axis = lt_attr_i(call->problem->attrs, call->problem->n_attrs, "axis", 0), step = (int64_t)size;
    *s = (rows){ .rank = x->rank, .axis = (int)(axis < 0 ? axis + x->rank : axis), .size = size };
    *n = 1;
    if (index->rank != x->rank || y->rank != x->rank || s->axis < 0 || s->axis >= x->rank) {
        return false;
    }
    for (int i = x->rank; i-- > 0; step *= x->dims[i]) {
        s->dims[i] = index->dims[i];
        s->step[i] = step;
        *n *= i < x->rank - 1 ? index->dims[i] : 1;
        if (y->dims[i] != index->dims[i] || (i != s->axis && index->dims[i] > x->dims[i])) {
            return false;
        }
    }
    s->extent = x->dims[s->axis];
    return true;
}

/* ---- The tactic ---- */

static lathe_status run(const lathe_gang *gang, const lathe_call *call, lathe_diag *diag)
{
    const lathe_problem *p = call->problem;
    uint16_t nx, n_index;
    tuples t;
    rows r;
    int64_t n, begin, end, elements;
    size_t size = lathe_dtype_bits(lt_root_operand(p, 0, &nx)->dtype) / 8;
    lookup l = { .type = lt_root_operand(p, 1, &n_index)->dtype, .op = p->op, .diag = diag };
    const lathe_buffer *x = &call->in[nx], *index = &call->in[n_index], *y = &call->out[0];
    bool lines = by_elements(p);
    if (!lt_extents_sane(x->rank, x->dims) || !lt_extents_sane(index->rank, index->dims) ||
        !lt_extents_sane(y->rank, y->dims) || !lt_dims_count(y->dims, y->rank, &elements) ||
        !(lines ? read_rows(call, x, index, size, &r, &n) : read_tuples(call, x, index, size, &t, &n))) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, p->op, NULL, "the output does not have the extents of the inputs");
    }
    if (elements == 0) {
        return LATHE_OK;
    }
    l.src = x->data;
    l.indices = index->data;
    l.dst = y->data;
    lathe_gang_split(gang, n, lines || t.block >= 64 ? 1 : 64, &begin, &end);
    if (lines) {
        return gather_lines(&l, &r, begin, end);
    }
    bool singles = t.depth == 1 && t.per_batch == n && l.type == LATHE_DTYPE_I64; /* one batch: of several, none has all tuples */
    return singles ? gather_singles(&l, &t, begin, end) : gather_tuples(&l, &t, begin, end);
}

LT_TACTICS(gather_nd) = {
    { .struct_size = sizeof(lathe_tactic),
      .name = "gather.nd",
      .version = 1,
      .summary = "GatherND and GatherElements of plain tensors",
      .ops = "GatherND GatherElements",
      .device = LATHE_SPACE_HOST,
      .configs = 1,
      .fits = fits,
      .run = run },
    { .name = NULL },
};
