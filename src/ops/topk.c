/*
 * topk.c - TopK: the k largest or smallest elements along an axis with their indices. Of equal elements the one with
 * the smaller index comes first; a NaN counts as larger than every number. Results are sorted whether asked for or
 * not.
 */
#include "ops/move.h"

#include <string.h>

static lathe_status infer_topk(lt_infer *c)
{
    const lt_type *x = c->in[0];
    lt_dim dims[LATHE_MAX_RANK], k[LT_CONTENTS_MAX];
    int64_t count, length;
    int axis;
    LT_TRY(lt_move_length(c, 1, &length));
    if (length >= 0 && length != 1) {
        return lt_infer_fail(c, "K has %lld elements instead of 1", (long long)length);
    }
    if (x->rank < 0) {
        LT_TRY(lt_infer_out(c, 0, x->dtype, -1, NULL));
        return lt_infer_out(c, 1, LATHE_DTYPE_I64, -1, NULL);
    }
    LT_TRY(lt_infer_axis(c, lt_attr_i(c->attrs, c->n_attrs, "axis", -1), x->rank, &axis));
    LT_TRY(lt_infer_ints(c, 1, k, &count));
    for (int i = 0; i < x->rank; i++) {
        dims[i] = x->dims[i];
    }
    if (count == 1) {
        bool too_many = lt_dim_is_const(k[0]) && lt_dim_is_const(dims[axis]) && k[0].k > dims[axis].k;
        if (too_many || (lt_dim_is_const(k[0]) && k[0].k < 0)) {
            return lt_infer_fail(c, "K is %lld, out of range for axis %d", (long long)k[0].k, axis);
        }
        dims[axis] = k[0];
    } else {
        LT_TRY(lt_infer_fresh(c, lt_dim_const(0), dims[axis], &dims[axis]));
    }
    LT_TRY(lt_infer_out(c, 0, x->dtype, x->rank, dims));
    return lt_infer_out(c, 1, LATHE_DTYPE_I64, x->rank, dims);
}

typedef struct entry {
    int64_t key, index; /* smaller keys win */
} entry;

static bool wins(const entry *a, const entry *b)
{
    return a->key < b->key || (a->key == b->key && a->index < b->index);
}

/* Restores the heap, whose root is the worst entry, below `at`. */
static void sift_down(entry *heap, int64_t n, int64_t at)
{
    for (;;) {
        int64_t child = 2 * at + 1;
        if (child >= n) {
            return;
        }
        if (child + 1 < n && wins(&heap[child], &heap[child + 1])) {
            child++;
        }
        if (!wins(&heap[at], &heap[child])) {
            return;
        }
        entry swap = heap[at];
        heap[at] = heap[child];
        heap[child] = swap;
        at = child;
    }
}

/* lt_sort_key of floats, without asking for the type of each. */
static int64_t float_key(const void *data, int64_t index)
{
    float value;
    int32_t bits;
    memcpy(&value, (const char *)data + index * (int64_t)sizeof value, sizeof value);
    value += 0.0f; /* -0 becomes 0 */
    memcpy(&bits, &value, sizeof bits);
    return value != value ? INT64_MAX : bits >= 0 ? bits : (int64_t)INT32_MIN - bits;
}

static entry entry_at(const lt_tensor *x, int64_t first, int64_t step, int64_t i, bool largest)
{
    int64_t at = first + i * step;
    int64_t key = x->dtype == LATHE_DTYPE_F32 ? float_key(x->data, at) : lt_sort_key(x->dtype, x->data, at);
    return (entry){ largest ? ~key : key, i };
}

/* The k best of n elements, best first, in heap[0..k); k > 0. */
static void select_best(const lt_tensor *x, int64_t first, int64_t step, int64_t n, int64_t k, bool largest,
                        entry *heap)
{
    for (int64_t i = 0; i < k; i++) {
        heap[i] = entry_at(x, first, step, i, largest);
    }
    for (int64_t at = k / 2; at >= 0; at--) {
        sift_down(heap, k, at);
    }
    for (int64_t i = k; i < n; i++) {
        entry now = entry_at(x, first, step, i, largest);
        if (wins(&now, &heap[0])) {
            heap[0] = now;
            sift_down(heap, k, 0);
        }
    }
    for (int64_t left = k - 1; left > 0; left--) {
        entry worst = heap[0];
        heap[0] = heap[left];
        heap[left] = worst;
        sift_down(heap, left, 0);
    }
}

static lathe_status eval_topk(lt_eval *c)
{
    const lt_tensor *x = lt_in(c, 0);
    lt_tensor *values = lt_out(c, 0), *indices = lt_out(c, 1), *shape = values != NULL ? values : indices;
    if (shape == NULL || lt_tensor_count(shape) == 0) {
        return LATHE_OK;
    }
    int axis = lt_eval_axis(c, "axis", -1, x->rank);
    lt_axis_span span = lt_span(x->rank, x->dims, axis);
    int64_t k = shape->dims[axis];
    bool largest = lt_attr_i(c->attrs, c->n_attrs, "largest", 1) != 0;
    size_t elem = lt_elem_bytes(x->dtype);
    entry *heap = lt_eval_scratch(c, k, sizeof *heap);
    if (heap == NULL) {
        return LATHE_OUT_OF_MEMORY;
    }
    for (int64_t row = 0; row < span.outer * span.inner; row++) {
        int64_t o = row / span.inner, i = row % span.inner;
        int64_t first = o * span.extent * span.inner + i;
        select_best(x, first, span.inner, span.extent, k, largest, heap);
        for (int64_t j = 0; j < k; j++) {
            int64_t to = (o * k + j) * span.inner + i, from = first + heap[j].index * span.inner;
            if (values != NULL) {
                lt_copy_bytes((char *)values->data + (size_t)to * elem, (const char *)x->data + (size_t)from * elem,
                              elem);
            }
            if (indices != NULL) {
                lt_store_i64(LATHE_DTYPE_I64, indices->data, to, heap[j].index);
            }
        }
    }
    return LATHE_OK;
}

static const lt_attr_spec attrs_topk[] = {
    { "axis", LATHE_ATTR_INT, false }, { "largest", LATHE_ATTR_INT, false }, { "sorted", LATHE_ATTR_INT, false }, { 0 }
};

static const char *const samples_topk[] = {
    "f32[3,7] x = rand(1), i64[1] k = {3} | v, i = TopK (x, k)",
    "f32[4,3,2] x = rand(1), i64[1] k = {2} | v, i = TopK <axis = 0, largest = 0> (x, k)",
    "i32[9] x = {3, 1, 3, 2, 3, 1, 0, 2, 3}, i64[1] k = {7} | v, i = TopK (x, k)",
    "f64[2,5] x = rand(1), i64[1] k = {0} | v, i = TopK (x, k)",
    NULL,
};

LT_OPS(topk) = {
    {
        .name = "TopK",
        .since = 24,
        .host_inputs = 1u << 1,
        .sig = "(T X, i64 K) -> (T Values, i64 Indices); T: numeric",
        .attrs = attrs_topk,
        .infer = infer_topk,
        .eval = eval_topk,
        .samples = samples_topk,
    },
    { 0 },
};
