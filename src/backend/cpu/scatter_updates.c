/*
 * scatter_updates.c - tactic scatter.updates: ScatterND and ScatterElements as a copy of the data with the updates over it, or as the updates alone where the
 * output may take over the data's storage. Elements of whole bytes that are replaced; f32, f64 and signed whole numbers that are reduced.
 *
 * Each thread owns a part of the output: it copies that, then goes through the indices in order and writes what falls into its part. So the last of several
 * updates of an element is the same one however many threads there are.
 */
#include "backend/cpu/gather_rows.h"
#include "backend/cpu/product.h"
#include <string.h>

enum { DATA, INDICES, UPDATES };

typedef enum reduction { NONE, ADD, MUL, MOST, LEAST, BAD } reduction;

static bool by_elements(const lathe_problem *p)
{
    return strcmp(p->op, "ScatterElements") == 0;
}

static reduction read_reduction(const lathe_problem *p)
{
    static const char *const names[] = { "none", "add", "mul", "max", "min" };
    for (int k = 0; k < BAD; k++) {
        if (lt_attr_is(p->attrs, p->n_attrs, "reduction", names[k], "none")) {
            return (reduction)k;
        }
    }
    return BAD;
}

/* ---- Fits ---- */

static bool reducible(lathe_dtype t)
{
    return t == LATHE_DTYPE_F32 || t == LATHE_DTYPE_F64 || t == LATHE_DTYPE_I32 || t == LATHE_DTYPE_I64;
}

static int fits_ranks(const lathe_problem *p, const lathe_operand *x, const lathe_operand *index, const lathe_operand *u, lathe_fit *fit)
{
    if (by_elements(p)) {
        int64_t axis = lt_attr_i(p->attrs, p->n_attrs, "axis", 0);
        return axis >= -x->rank && axis < x->rank && index->rank == x->rank && u->rank == x->rank ? 1 : lt_no(fit, "no such axis");
    }
    const lathe_extent *depth = &index->dims[index->rank - 1];
    bool good = depth->min == depth->max && depth->max >= 1 && depth->max <= x->rank && u->rank == index->rank - 1 + x->rank - depth->max;
    return good ? 1 : lt_no(fit, "index vectors that do not go with the data");
}

static int fits(const lathe_problem *p, uint32_t config, lathe_fit *fit)
{
    const uint32_t unplanned = LATHE_OPERAND_MANAGED | LATHE_OPERAND_ABSENT;
    uint16_t nx, nu;
    const lathe_operand *x = lt_root_operand(p, DATA, &nx), *index = lt_root_operand(p, INDICES, NULL), *u = lt_root_operand(p, UPDATES, &nu);
    (void)config;
    if (p->n_instrs > 0 || p->n_out != 1 || !x || !index || !u || x->rank < 1 || index->rank < 1 || u->rank < 0) {
        return lt_no(fit, "part of a group, or an input of unknown rank");
    }
    if ((x->flags | index->flags | u->flags | p->out[0].flags) & unplanned || (p->out[0].flags & LATHE_OPERAND_BOUNDED) || p->out[0].rank != x->rank) {
        return lt_no(fit, "an operand without planned extents");
    }
    unsigned bits = lathe_dtype_bits(x->dtype);
    reduction how = read_reduction(p);
    if (bits < 8 || bits > 128 || u->dtype != x->dtype || p->out[0].dtype != x->dtype || (index->dtype != LATHE_DTYPE_I32 && index->dtype != LATHE_DTYPE_I64)) {
        return lt_no(fit, "elements of %u bits, or indices of another type", bits);
    }
    if (how == BAD || (how != NONE && !reducible(x->dtype))) {
        return lt_no(fit, "such a reduction of %s", lathe_dtype_name(x->dtype));
    }
    if (!fits_ranks(p, x, index, u, fit)) {
        return 0;
    }
    fit->in_place[0] = nx != nu && nx <= INT8_MAX ? (int8_t)nx : -1;
    fit->cost = 250 + lt_operand_elements(x) * bits / 8 * 0.05 + lt_operand_elements(index) * 1.5 +
                lt_operand_elements(u) * bits / 8 * (how == NONE ? 0.05 : 0.3);
    return 1;
}

/* ---- One update ---- */

typedef struct scatter {
    reduction how;
    lathe_dtype type, index_type;
    size_t size;
    const char *indices, *u;
    char *y;
    int64_t low, high; /* elements of the output that this thread owns */
    const char *op;
    lathe_diag *diag;
} scatter;

/* The sum or product of two floats, rounded once, is what the reference gets in double and rounds. NaN wins among the largest and the smallest. */
static inline float reduce_f32(reduction how, float a, float b)
{
    return how == ADD ? a + b : how == MUL ? a * b : how == MOST ? (a != a || a >= b ? a : b) : (a != a || a <= b ? a : b);
}

static inline double reduce_f64(reduction how, double a, double b)
{
    return how == ADD ? a + b : how == MUL ? a * b : how == MOST ? (a != a || a >= b ? a : b) : (a != a || a <= b ? a : b);
}

static inline int64_t reduce_whole(reduction how, int64_t a, int64_t b)
{
    return how == ADD    ? (int64_t)((uint64_t)a + (uint64_t)b)
           : how == MUL  ? (int64_t)((uint64_t)a * (uint64_t)b)
           : how == MOST ? (a >= b ? a : b)
                         : (a <= b ? a : b);
}

static inline __attribute__((always_inline)) void reduce_one(reduction how, lathe_dtype type, char *y, const char *u)
{
    float f[2];
    double d[2];
    int32_t n[2];
    int64_t w[2];
    switch (type) {
    case LATHE_DTYPE_F32:
        memcpy(&f[0], y, sizeof *f), memcpy(&f[1], u, sizeof *f);
        f[0] = reduce_f32(how, f[0], f[1]);
        memcpy(y, &f[0], sizeof *f);
        break;
    case LATHE_DTYPE_F64:
        memcpy(&d[0], y, sizeof *d), memcpy(&d[1], u, sizeof *d);
        d[0] = reduce_f64(how, d[0], d[1]);
        memcpy(y, &d[0], sizeof *d);
        break;
    case LATHE_DTYPE_I32:
        memcpy(&n[0], y, sizeof *n), memcpy(&n[1], u, sizeof *n);
        n[0] = (int32_t)reduce_whole(how, n[0], n[1]);
        memcpy(y, &n[0], sizeof *n);
        break;
    default:
        memcpy(&w[0], y, sizeof *w), memcpy(&w[1], u, sizeof *w);
        w[0] = reduce_whole(how, w[0], w[1]);
        memcpy(y, &w[0], sizeof *w);
        break;
    }
}

/* n elements; the type is known where this is inlined. */
static inline __attribute__((always_inline)) void reduce_run(reduction how, lathe_dtype type, size_t size, char *y, const char *u, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        reduce_one(how, type, y + (size_t)i * size, u + (size_t)i * size);
    }
}

static lathe_status outside(const scatter *s, int64_t number, int64_t extent)
{
    return lt_gather_outside(s->op, s->index_type, s->indices, number, extent, s->diag);
}

/* ---- ScatterND ---- */

typedef struct tuples {
    int64_t count, depth, block; /* block: elements that an index stands for */
    int64_t extent[LATHE_MAX_RANK], step[LATHE_MAX_RANK];
} tuples;

/* n elements of updates from `from` on, to y[at]. */
static void put(const scatter *s, int64_t at, int64_t from, int64_t n)
{
    char *y = s->y + (size_t)at * s->size;
    const char *u = s->u + (size_t)from * s->size;
    if (s->how == NONE && n == 1) {
        lt_copy_element(y, u, s->size);
    } else if (s->how == NONE) {
        memcpy(y, u, (size_t)n * s->size);
    } else if (s->type == LATHE_DTYPE_F32 && s->how == ADD) {
        reduce_run(ADD, LATHE_DTYPE_F32, 4, y, u, n);
    } else {
        reduce_run(s->how, s->type, s->size, y, u, n);
    }
}

static lathe_status scatter_tuples(const scatter *s, const tuples *t)
{
    for (int64_t k = 0; k < t->count; k++) {
        int64_t at = 0;
        for (int64_t i = 0; i < t->depth; i++) {
            int64_t index = lt_gather_index(s->index_type, s->indices, k * t->depth + i);
            index += index < 0 ? t->extent[i] : 0;
            if (index < 0 || index >= t->extent[i]) {
                return outside(s, k * t->depth + i, t->extent[i]);
            }
            at += index * t->step[i];
        }
        int64_t low = at > s->low ? at : s->low, high = at + t->block < s->high ? at + t->block : s->high;
        if (low < high) {
            put(s, low, k * t->block + low - at, high - low);
        }
    }
    return LATHE_OK;
}

/* Extents of the operands go together. */
static bool read_tuples(const lathe_buffer *x, const lathe_buffer *index, const lathe_buffer *u, tuples *t)
{
    int64_t depth = index->dims[index->rank - 1];
    *t = (tuples){ .count = 1, .depth = depth, .block = 1 };
    if (depth < 1 || depth > x->rank || u->rank != index->rank - 1 + x->rank - depth) {
        return false;
    }
    for (int i = 0; i < u->rank; i++) {
        bool outer = i < index->rank - 1;
        if (u->dims[i] != (outer ? index->dims[i] : x->dims[i - (index->rank - 1) + depth])) {
            return false;
        }
        *(outer ? &t->count : &t->block) *= u->dims[i];
    }
    int64_t step = 1;
    for (int i = x->rank; i-- > 0; step *= x->dims[i]) {
        t->extent[i] = x->dims[i];
        t->step[i] = step;
    }
    return true;
}

/* ---- ScatterElements ---- */

typedef struct lines {
    int rank, axis;
    int64_t dims[LATHE_MAX_RANK], step[LATHE_MAX_RANK]; /* of the indices; of the data, in elements */
    int64_t count, extent;                              /* lines along the last axis; the axis of the data */
} lines;

/* The line of indices from number `first` on, whose index 0 stands for y[base]. Returns how many were good. */
static inline __attribute__((always_inline)) int64_t scatter_sized(const scatter *s, const lines *l, int64_t base, int64_t first, reduction how,
                                                                   lathe_dtype type, size_t size)
{
    int last = l->rank - 1;
    int64_t along = last == l->axis ? 0 : l->step[last], step = l->step[l->axis], n = l->dims[last];
    for (int64_t i = 0; i < n; i++) {
        int64_t index = lt_gather_index(s->index_type, s->indices, first + i);
        index += index < 0 ? l->extent : 0;
        if ((uint64_t)index >= (uint64_t)l->extent) {
            return i;
        }
        int64_t at = base + index * step + i * along;
        if (at < s->low || at >= s->high) {
            continue;
        }
        char *y = s->y + (size_t)at * size;
        const char *u = s->u + (size_t)(first + i) * size;
        if (how == NONE) {
            memcpy(y, u, size);
        } else {
            reduce_one(how, type, y, u);
        }
    }
    return n;
}

/* Copies and reductions of a constant size and kind are a few instructions each. */
static int64_t scatter_line(const scatter *s, const lines *l, int64_t base, int64_t first)
{
    if (s->how == NONE) {
        switch (s->size) {
        case 4:
            return scatter_sized(s, l, base, first, NONE, LATHE_DTYPE_UNDEFINED, 4);
        case 8:
            return scatter_sized(s, l, base, first, NONE, LATHE_DTYPE_UNDEFINED, 8);
        default:
            return scatter_sized(s, l, base, first, NONE, LATHE_DTYPE_UNDEFINED, s->size);
        }
    }
    switch (s->type) {
    case LATHE_DTYPE_F32:
        return s->how == ADD ? scatter_sized(s, l, base, first, ADD, LATHE_DTYPE_F32, 4) : scatter_sized(s, l, base, first, s->how, LATHE_DTYPE_F32, 4);
    case LATHE_DTYPE_I64:
        return scatter_sized(s, l, base, first, s->how, LATHE_DTYPE_I64, 8);
    default:
        return scatter_sized(s, l, base, first, s->how, s->type, s->size);
    }
}

static lathe_status scatter_lines(const scatter *s, const lines *l)
{
    int last = l->rank - 1;
    int64_t width = (l->extent - 1) * l->step[l->axis] + (last == l->axis ? 1 : l->dims[last]); /* of the data that a line may touch */
    for (int64_t r = 0; r < l->count; r++) {
        int64_t base = 0, left = r, first = r * l->dims[last];
        for (int k = last; k-- > 0; left /= l->dims[k]) {
            base += k == l->axis ? 0 : left % l->dims[k] * l->step[k];
        }
        if (l->extent > 0 && (base >= s->high || base + width <= s->low)) {
            continue; /* all of it is another thread's */
        }
        int64_t good = scatter_line(s, l, base, first);
        if (good < l->dims[last]) {
            return outside(s, first + good, l->extent);
        }
    }
    return LATHE_OK;
}

static bool read_lines(const lathe_problem *p, const lathe_buffer *x, const lathe_buffer *index, const lathe_buffer *u, lines *l)
{
    int64_t axis = lt_attr_i(p->attrs, p->n_attrs, "axis", 0), step = 1;
    *l = (lines){ .rank = x->rank, .axis = (int)(axis < 0 ? axis + x->rank : axis), .count = 1 };
    if (index->rank != x->rank || u->rank != x->rank || l->axis < 0 || l->axis >= x->rank) {
        return false;
    }
    for (int i = x->rank; i-- > 0; step *= x->dims[i]) {
        l->dims[i] = index->dims[i];
        l->step[i] = step;
        l->count *= i < x->rank - 1 ? index->dims[i] : 1;
        if (u->dims[i] != index->dims[i] || (i != l->axis && index->dims[i] > x->dims[i])) {
            return false;
        }
    }
    l->extent = x->dims[l->axis];
    return true;
}

/* ---- The tactic ---- */

static lathe_status run(const lathe_gang *gang, const lathe_call *call, lathe_diag *diag)
{
    const lathe_problem *p = call->problem;
    uint16_t nx, n_index, nu;
    tuples t = { 0 };
    lines l = { 0 };
    int64_t elements;
    scatter s = { .how = read_reduction(p), .type = lt_root_operand(p, DATA, &nx)->dtype, .op = p->op, .diag = diag };
    s.index_type = lt_root_operand(p, INDICES, &n_index)->dtype;
    (void)lt_root_operand(p, UPDATES, &nu);
    s.size = lathe_dtype_bits(s.type) / 8;
    const lathe_buffer *x = &call->in[nx], *index = &call->in[n_index], *u = &call->in[nu], *y = &call->out[0];
    bool by_lines = by_elements(p);
    if (y->rank != x->rank || !lt_extents_sane(x->rank, x->dims) || !lt_extents_sane(index->rank, index->dims) || !lt_extents_sane(u->rank, u->dims) ||
        memcmp(x->dims, y->dims, (size_t)x->rank * sizeof *x->dims) != 0 || !lt_dims_count(x->dims, x->rank, &elements) ||
        !(by_lines ? read_lines(p, x, index, u, &l) : read_tuples(x, index, u, &t))) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, p->op, NULL, "data, indices and updates do not go together");
    }
    s.indices = index->data;
    s.u = u->data;
    s.y = y->data;
    lathe_gang_split(gang, elements, 64, &s.low, &s.high);
    if (s.low < s.high && x->data != y->data) {
        memcpy(s.y + (size_t)s.low * s.size, (const char *)x->data + (size_t)s.low * s.size, (size_t)(s.high - s.low) * s.size);
    }
    return by_lines ? scatter_lines(&s, &l) : scatter_tuples(&s, &t);
}

LT_TACTICS(scatter_updates) = {
    { .struct_size = sizeof(lathe_tactic),
      .name = "scatter.updates",
      .version = 1,
      .summary = "ScatterND and ScatterElements: the data copied, or kept where they are, and updates written over them",
      .ops = "ScatterND ScatterElements",
      .device = LATHE_SPACE_HOST,
      .configs = 1,
      .fits = fits,
      .run = run },
    { .name = NULL },
};
