/*
 * unique.c - Unique: the different elements, or slices along an axis, with the places where they occur. NaNs equal
 * each other.
 */
#include "ops/move.h"

#include <string.h>

/* ---- Inference ---- */

static lathe_status infer_unique(lt_infer *c)
{
    const lt_type *x = c->in[0];
    lt_dim dims[LATHE_MAX_RANK], most = lt_dim_const(INT64_MAX), count;
    int axis = 0, rank = 1;
    bool flat = lt_attr_find(c->attrs, c->n_attrs, "axis") == NULL;
    if (!flat && x->rank >= 0) {
        LT_TRY(lt_infer_axis(c, lt_attr_i(c->attrs, c->n_attrs, "axis", 0), x->rank, &axis));
        rank = x->rank;
        most = x->dims[axis];
        for (int k = 0; k < rank; k++) {
            dims[k] = x->dims[k];
        }
    } else if (x->rank >= 0) {
        LT_TRY(lt_dims_product(c, x->dims, 0, x->rank, &most));
    }
    LT_TRY(lt_infer_fresh(c, lt_dim_const(0), most, &count));
    dims[axis] = count;
    LT_TRY(lt_infer_out(c, 0, x->dtype, !flat && x->rank < 0 ? -1 : rank, dims));
    LT_TRY(lt_infer_out(c, 1, LATHE_DTYPE_I64, 1, &count));
    LT_TRY(lt_move_out(c, 2, LATHE_DTYPE_I64, 1, x->rank >= 0 ? &most : &(lt_dim){ .k = -1 }));
    return lt_infer_out(c, 3, LATHE_DTYPE_I64, 1, &count);
}

/* ---- Order of slices ---- */

typedef struct slices {
    const lt_tensor *x;
    lt_axis_span span; /* slice k holds elements (o, k, i) for all o, i */
} slices;

static int compare_strings(const lt_string *a, const lt_string *b)
{
    size_t n = a->length < b->length ? a->length : b->length;
    int order = n > 0 ? memcmp(a->data, b->data, n) : 0;
    return order != 0 ? order : a->length < b->length ? -1 : a->length > b->length;
}

static int compare_f64(double a, double b)
{
    int64_t x = lt_sort_key(LATHE_DTYPE_F64, &a, 0), y = lt_sort_key(LATHE_DTYPE_F64, &b, 0);
    return x < y ? -1 : x > y;
}

static int compare_elements(const lt_tensor *x, int64_t a, int64_t b)
{
    if (x->dtype == LATHE_DTYPE_STRING) {
        return compare_strings((const lt_string *)x->data + a, (const lt_string *)x->data + b);
    }
    if (x->dtype == LATHE_DTYPE_C64 || x->dtype == LATHE_DTYPE_C128) {
        double p[2], q[2];
        lt_load_complex(x->dtype, x->data, a, p);
        lt_load_complex(x->dtype, x->data, b, q);
        int order = compare_f64(p[0], q[0]);
        return order != 0 ? order : compare_f64(p[1], q[1]);
    }
    int64_t p = lt_sort_key(x->dtype, x->data, a), q = lt_sort_key(x->dtype, x->data, b);
    return p < q ? -1 : p > q;
}

static int compare_slices(const slices *s, int64_t a, int64_t b)
{
    for (int64_t o = 0; o < s->span.outer; o++) {
        int64_t row_a = (o * s->span.extent + a) * s->span.inner, row_b = (o * s->span.extent + b) * s->span.inner;
        for (int64_t i = 0; i < s->span.inner; i++) {
            int order = compare_elements(s->x, row_a + i, row_b + i);
            if (order != 0) {
                return order;
            }
        }
    }
    return 0;
}

/* Stable merge sort of slice numbers, bottom up; `spare` is as long as `order`. */
static void sort_slices(const slices *s, int64_t n, int64_t *order, int64_t *spare)
{
    for (int64_t width = 1; width < n; width *= 2) {
        for (int64_t low = 0; low < n; low += 2 * width) {
            int64_t middle = low + width < n ? low + width : n, high = low + 2 * width < n ? low + 2 * width : n;
            int64_t a = low, b = middle;
            for (int64_t k = low; k < high; k++) {
                bool left = a < middle && (b >= high || compare_slices(s, order[a], order[b]) <= 0);
                spare[k] = left ? order[a++] : order[b++];
            }
        }
        memcpy(order, spare, (size_t)n * sizeof *order);
    }
}

/* ---- Evaluation ---- */

/* What is found: for every group the first slice and the size; for every slice its group. */
typedef struct groups {
    int64_t count;
    int64_t *first, *size, *of;
} groups;

/* Groups in sorted order; the sort is stable, so the first slice of a run is the first that occurs. */
static lathe_status find_groups(lt_eval *c, const slices *s, groups *g)
{
    int64_t n = s->span.extent;
    int64_t *order = lt_eval_scratch(c, n, sizeof *order), *spare = lt_eval_scratch(c, n, sizeof *spare);
    *g =
        (groups){ .first = lt_eval_scratch(c, n, 8), .size = lt_eval_scratch(c, n, 8), .of = lt_eval_scratch(c, n, 8) };
    if (order == NULL || spare == NULL || g->first == NULL || g->size == NULL || g->of == NULL) {
        return LATHE_OUT_OF_MEMORY;
    }
    for (int64_t k = 0; k < n; k++) {
        order[k] = k;
    }
    sort_slices(s, n, order, spare);
    for (int64_t k = 0; k < n; k++) {
        if (k == 0 || compare_slices(s, order[k - 1], order[k]) != 0) {
            g->first[g->count] = order[k];
            g->size[g->count++] = 0;
        }
        g->of[order[k]] = g->count - 1;
        g->size[g->count - 1]++;
    }
    return LATHE_OK;
}

/* Renumbers the groups by first occurrence. */
static lathe_status order_by_occurrence(lt_eval *c, int64_t n, groups *g)
{
    int64_t *rank = lt_eval_scratch(c, g->count, 8), *first = lt_eval_scratch(c, g->count, 8),
            *size = lt_eval_scratch(c, g->count, 8);
    int64_t next = 0;
    if (rank == NULL || first == NULL || size == NULL) {
        return LATHE_OUT_OF_MEMORY;
    }
    for (int64_t k = 0; k < n; k++) {
        int64_t group = g->of[k];
        if (g->first[group] == k) {
            first[next] = k;
            size[next] = g->size[group];
            rank[group] = next++;
        }
        g->of[k] = rank[group];
    }
    g->first = first;
    g->size = size;
    return LATHE_OK;
}

/* made: the output has storage already, since inference knows its extent. */
static lathe_status put_ints(lt_eval *c, int i, bool made, const int64_t *values, int64_t count)
{
    if (i >= c->n_out || c->out[i] == NULL) {
        return LATHE_OK;
    }
    if (!made) {
        LT_TRY(c->make(c, i, LATHE_DTYPE_I64, 1, &count));
    }
    lt_copy_bytes(lt_out(c, i)->data, values, (size_t)count * sizeof *values);
    return LATHE_OK;
}

static lathe_status put_slices(lt_eval *c, const slices *s, const groups *g, int rank, const int64_t *dims)
{
    if (c->out[0] == NULL) {
        return LATHE_OK;
    }
    LT_TRY(c->make(c, 0, s->x->dtype, rank, dims));
    lt_tensor *y = lt_out(c, 0);
    size_t row = (size_t)s->span.inner * lt_elem_bytes(y->dtype);
    for (int64_t o = 0; o < s->span.outer && row > 0; o++) {
        for (int64_t k = 0; k < g->count; k++) {
            const char *src = (const char *)s->x->data + (size_t)(o * s->span.extent + g->first[k]) * row;
            lt_copy_bytes((char *)y->data + (size_t)(o * g->count + k) * row, src, row);
        }
    }
    return lt_own_strings(c, y);
}

static lathe_status eval_unique(lt_eval *c)
{
    const lt_tensor *x = lt_in(c, 0);
    bool flat = lt_attr_find(c->attrs, c->n_attrs, "axis") == NULL;
    int axis = flat ? 0 : lt_eval_axis(c, "axis", 0, x->rank);
    slices s = { x, flat ? (lt_axis_span){ 1, lt_tensor_count(x), 1 } : lt_span(x->rank, x->dims, axis) };
    int64_t dims[LATHE_MAX_RANK] = { 0 };
    groups g;
    LT_TRY(find_groups(c, &s, &g));
    if (lt_attr_i(c->attrs, c->n_attrs, "sorted", 1) == 0) {
        LT_TRY(order_by_occurrence(c, s.span.extent, &g));
    }
    for (int k = 0; k < x->rank; k++) {
        dims[k] = x->dims[k];
    }
    dims[axis] = g.count;
    LT_TRY(put_slices(c, &s, &g, flat ? 1 : x->rank, dims));
    LT_TRY(put_ints(c, 1, false, g.first, g.count));
    LT_TRY(put_ints(c, 2, true, g.of, s.span.extent));
    return put_ints(c, 3, false, g.size, g.count);
}

static const lt_attr_spec attrs_unique[] = { { "axis", LATHE_ATTR_INT, false },
                                             { "sorted", LATHE_ATTR_INT, false },
                                             { 0 } };

static const char *const samples_unique[] = {
    "f32[6] x = {2.0, 1.0, 1.0, 3.0, 4.0, 3.0} | y, i, v, n = Unique (x)",
    "i32[7] x = {5, 3, 5, 5, 1, 3, 9} | y, i, v, n = Unique <sorted = 0> (x)",
    "f32[3,3] x = {1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 2.0, 3.0, 4.0} | y, i, v, n = Unique <axis = 0> (x)",
    "i64[2,4] x = {1, 2, 1, 2, 0, 0, 0, 7} | y, i, v, n = Unique <axis = -1, sorted = 0> (x)",
    NULL,
};

LT_OPS(unique) = {
    {
        .name = "Unique",
        .since = 11,
        .traits = LT_OP_DYNAMIC,
        .sig = "(T X) -> (T Y, i64? indices, i64? inverse_indices, i64? counts); T: " LT_PLAIN,
        .attrs = attrs_unique,
        .infer = infer_unique,
        .eval = eval_unique,
        .samples = samples_unique,
    },
    { 0 },
};
