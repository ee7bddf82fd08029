/*
 * topk_rows.c - tactic topk.rows: the k largest or smallest elements of each row, in order, with their indices, for types whose order fits 32 bits. Of few, a
 * heap holds the best so far; runs of floats that cannot enter it are passed over. Many are sorted, with as few others as the upper bits tell apart.
 *
 * Ties go to the smaller index, and NaN counts as larger than every number, as the reference has it. k may be known at run time only.
 */
#include "backend/cpu/product.h"
#include "backend/cpu/radix_order.h"
#include "backend/cpu/settle.h"
#include "backend/cpu/tile.h"
#include <string.h>

static int axis_of(const lathe_problem *p, int rank)
{
    int64_t axis = lt_attr_i(p->attrs, p->n_attrs, "axis", -1);
    axis = axis < 0 ? axis + rank : axis;
    return axis >= 0 && axis < rank ? (int)axis : -1;
}

static bool present(const lathe_problem *p, size_t i)
{
    return i < p->n_out && !(p->out[i].flags & LATHE_OPERAND_ABSENT);
}

static bool is_ordered(lathe_dtype dtype)
{
    switch (dtype) {
    case LATHE_DTYPE_F32:
    case LATHE_DTYPE_F16:
    case LATHE_DTYPE_BF16:
    case LATHE_DTYPE_I32:
    case LATHE_DTYPE_U32:
    case LATHE_DTYPE_I16:
    case LATHE_DTYPE_U16:
    case LATHE_DTYPE_I8:
    case LATHE_DTYPE_U8:
        return true;
    default:
        return false;
    }
}

static int fits(const lathe_problem *p, uint32_t config, lathe_fit *fit)
{
    const lathe_operand *x = lt_root_operand(p, 0, NULL), *count = lt_root_operand(p, 1, NULL);
    (void)config;
    if (p->n_instrs > 0) {
        return lt_no(fit, "has instructions around the root");
    }
    if (!x || !is_ordered(x->dtype) || x->rank < 1 || (x->flags & LATHE_OPERAND_MANAGED)) {
        return lt_no(fit, "input 0 is %s", x ? lathe_dtype_name(x->dtype) : "absent");
    }
    int axis = axis_of(p, x->rank);
    if (axis < 0 || x->dims[axis].max > INT32_MAX) {
        return lt_no(fit, "the axis is out of range, or may be longer than 2^31");
    }
    if (!count || count->rank < 0 || count->rank > 1 || count->dtype != LATHE_DTYPE_I64) {
        return lt_no(fit, "K is no whole number");
    }
    for (size_t i = 0; i < p->n_out; i++) {
        if (present(p, i) && (p->out[i].rank != x->rank || p->out[i].dtype != (i == 0 ? x->dtype : LATHE_DTYPE_I64) ||
                              (p->out[i].flags & LATHE_OPERAND_MANAGED))) {
            return lt_no(fit, "output %zu has no planned extents", i);
        }
    }
    if (!present(p, 0) && !present(p, 1)) {
        return lt_no(fit, "no result");
    }
    double rows = 1, n = (double)x->dims[axis].opt, k = (double)p->out[present(p, 0) ? 0 : 1].dims[axis].opt;
    for (int d = 0; d < x->rank; d++) {
        rows *= d == axis ? 1 : (double)x->dims[d].opt;
    }
    fit->cost = 300 + rows * (20 + n * (x->dtype == LATHE_DTYPE_F32 ? 0.8 : 3) + k * 20);
    return 1;
}

static uint32_t order_of_float(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    bits = bits == 0x80000000u ? 0 : bits; /* -0 is 0 */
    uint32_t order = bits >> 31 ? ~bits : bits | 0x80000000u;
    return (bits & 0x7fffffffu) > 0x7f800000u ? UINT32_MAX : order;
}

/* Smaller keys win: the upper half by value, the lower half is the index. */
static uint64_t key_of(const float *x, int64_t i, bool largest)
{
    uint32_t order = order_of_float(*x);
    return (uint64_t)(largest ? ~order : order) << 32 | (uint32_t)i;
}

static uint64_t any_key(lathe_dtype dtype, const void *x, int64_t at, int64_t i, bool largest)
{
    bool real = lt_dtype_is_float(dtype);
    uint32_t order = real ? order_of_float((float)lt_load_f64(dtype, x, at)) : (uint32_t)lt_load_i64(dtype, x, at);
    order ^= !real && dtype != LATHE_DTYPE_U32 ? 0x80000000u : 0;
    return (uint64_t)(largest ? ~order : order) << 32 | (uint32_t)i;
}

/* Restores the heap, whose root is the worst, below `at`. */
static void sift(uint64_t *heap, int64_t n, int64_t at)
{
    uint64_t moving = heap[at];
    for (int64_t child; (child = 2 * at + 1) < n; at = child) {
        child += child + 1 < n && heap[child + 1] > heap[child];
        if (heap[child] <= moving) {
            break;
        }
        heap[at] = heap[child];
    }
    heap[at] = moving;
}

enum { RUN = 16 };

/* None of the RUN elements can be better than the worst of the heap. */
static bool none_better(const float *x, float worst, bool largest)
{
    int better = 0;
    for (int i = 0; i < RUN; i++) { /* written so that a NaN is looked at closely */
        better |= largest ? !(x[i] <= worst) : !(x[i] >= worst);
    }
    return !better;
}

static void heap_up(uint64_t *heap, int64_t k)
{
    for (int64_t at = k / 2; at-- > 0;) {
        sift(heap, k, at);
    }
}

/* The k best of n floats in a heap. */
static void select_floats(const float *x, int64_t step, int64_t n, int64_t k, bool largest, uint64_t *heap)
{
    for (int64_t i = 0; i < k; i++) {
        heap[i] = key_of(x + i * step, i, largest);
    }
    heap_up(heap, k);
    for (int64_t i = k; i < n; i++) {
        if (step == 1 && n - i >= RUN && none_better(x + i, x[(uint32_t)heap[0]], largest)) {
            i += RUN - 1;
            continue;
        }
        for (int64_t end = i + RUN < n ? i + RUN : n; i < end; i++) {
            uint64_t key = key_of(x + i * step, i, largest);
            if (key < heap[0]) {
                heap[0] = key;
                sift(heap, k, 0);
            }
        }
        i--;
    }
}

/* The same for any type; the row begins at element `first`. */
static void select_any(lathe_dtype dtype, const void *x, int64_t first, int64_t step, int64_t n, int64_t k, bool largest,
                       uint64_t *heap)
{
    for (int64_t i = 0; i < k; i++) {
        heap[i] = any_key(dtype, x, first + i * step, i, largest);
    }
    heap_up(heap, k);
    for (int64_t i = k; i < n; i++) {
        uint64_t key = any_key(dtype, x, first + i * step, i, largest);
        if (key < heap[0]) {
            heap[0] = key;
            sift(heap, k, 0);
        }
    }
}

/* Best first. */
static void put_in_order(uint64_t *heap, int64_t k)
{
    for (int64_t left = k - 1; left > 0; left--) {
        uint64_t worst = heap[0];
        heap[0] = heap[left];
        heap[left] = worst;
        sift(heap, left, 0);
    }
}

/* ---- Many ---- */

enum { MANY = 48, BINS = 2048, BIN_SHIFT = 53 }; /* bins: the upper 11 bits of a key */

/* Sorting beats the heap: k is no small part of n. */
static bool sorts(int64_t n, int64_t k)
{
    return k >= MANY && k >= n / 256;
}

/* What one thread needs: a heap of k, or two arrays of n and the bins. */
static size_t place_bytes(int64_t n, int64_t k)
{
    return sorts(n, k) ? 2 * lt_settle_piece((size_t)n * sizeof(uint64_t)) + BINS * sizeof(int32_t) : lt_settle_piece((size_t)k * sizeof(uint64_t));
}

/* The k best keys of a row, best first; n <= INT32_MAX. place: place_bytes. */
static const uint64_t *sort_best(lathe_dtype dtype, const void *x, int64_t first, int64_t step, int64_t n, int64_t k, bool largest, char *place)
{
    uint64_t *keys = (uint64_t *)(void *)place, *other = (uint64_t *)(void *)(place + lt_settle_piece((size_t)n * sizeof *keys));
    int32_t *bins = (int32_t *)(void *)(place + 2 * lt_settle_piece((size_t)n * sizeof *keys)), last = 0;
    int64_t upto = 0, kept = 0;
    memset(bins, 0, BINS * sizeof *bins);
    if (dtype == LATHE_DTYPE_F32) {
        for (int64_t i = 0; i < n; i++) {
            keys[i] = key_of((const float *)x + first + i * step, i, largest);
            bins[keys[i] >> BIN_SHIFT]++;
        }
    } else {
        for (int64_t i = 0; i < n; i++) {
            keys[i] = any_key(dtype, x, first + i * step, i, largest);
            bins[keys[i] >> BIN_SHIFT]++;
        }
    }
    while (upto + bins[last] < k) {
        upto += bins[last++];
    }
    for (int64_t i = 0; i < n; i++) { /* without branches; in front of what is still to be read */
        uint64_t key = keys[i];
        keys[kept] = key;
        kept += (int32_t)(key >> BIN_SHIFT) <= last;
    }
    return lt_radix_order(keys, other, kept);
}

static size_t scratch_bytes(const lathe_problem *p, uint32_t config, const lathe_buffer *in, const lathe_buffer *out,
                            int threads)
{
    const lathe_buffer *y = &out[present(p, 0) ? 0 : 1];
    uint16_t nx;
    (void)lt_root_operand(p, 0, &nx);
    int axis = axis_of(p, y->rank);
    (void)config;
    if (axis < 0) {
        return 0;
    }
    int64_t n = in[nx].dims[axis], k = y->dims[axis], sorted = k < n / 256 ? 256 * (k + 1) : n; /* the longest row that is */
    size_t few = lt_settle_piece((size_t)k * sizeof(uint64_t)), many = k < MANY ? 0 : place_bytes(sorted, sorted);
    return (many < few ? few : many) * (size_t)threads; /* bounded extents may turn out smaller: either way may be taken */
}

/* Extents of the call; k of an axis is n in the input. */
typedef struct rows {
    lathe_dtype dtype;
    int axis;
    int64_t outer, inner, n, k;
    int64_t dims[LATHE_MAX_RANK]; /* of the outputs */
} rows;

static lathe_status read_rows(const lathe_call *call, const lathe_buffer *x, rows *r, lathe_diag *diag)
{
    const lathe_problem *p = call->problem;
    uint16_t n_count;
    (void)lt_root_operand(p, 1, &n_count);
    const lathe_buffer *count = &call->in[n_count];
    r->axis = axis_of(p, x->rank);
    if (r->axis < 0 || !lt_extents_sane(x->rank, x->dims) || (count->rank == 1 && count->dims[0] != 1) ||
        x->dims[r->axis] > INT32_MAX || !lt_dims_count(x->dims, r->axis, &r->outer) ||
        !lt_dims_count(x->dims + r->axis + 1, x->rank - r->axis - 1, &r->inner)) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, p->op, NULL, "K is no single number, or the extents are impossible");
    }
    r->n = x->dims[r->axis];
    r->k = lt_load_i64(LATHE_DTYPE_I64, count->data, 0);
    if (r->k < 0 || r->k > r->n) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, p->op, "give K from 0 to the extent of the axis",
                       "%lld elements of an axis of %lld", (long long)r->k, (long long)r->n);
    }
    memcpy(r->dims, x->dims, (size_t)x->rank * sizeof *r->dims);
    r->dims[r->axis] = r->k;
    for (size_t i = 0; i < 2; i++) {
        LT_TRY(present(p, i) ? lt_settle_check(call, i, x->rank, r->dims, diag) : LATHE_OK);
    }
    return LATHE_OK;
}

static void put_row(const lathe_call *call, const rows *r, const char *src, int64_t row, const uint64_t *best)
{
    const lathe_problem *p = call->problem;
    size_t size = lathe_dtype_bits(r->dtype) / 8;
    int64_t first = row / r->inner * r->n * r->inner + row % r->inner, to = row / r->inner * r->k * r->inner + row % r->inner;
    for (int64_t j = 0; present(p, 0) && j < r->k; j++) {
        int64_t from = first + (int64_t)(uint32_t)best[j] * r->inner;
        char *dst = (char *)call->out[0].data + (size_t)(to + j * r->inner) * size;
        if (size == 4) {
            memcpy(dst, src + from * 4, 4);
        } else {
            memcpy(dst, src + (size_t)from * size, size);
        }
    }
    for (int64_t j = 0; present(p, 1) && j < r->k; j++) {
        ((int64_t *)call->out[1].data)[to + j * r->inner] = (int64_t)(uint32_t)best[j];
    }
}

static lathe_status run(const lathe_gang *gang, const lathe_call *call, lathe_diag *diag)
{
    const lathe_problem *p = call->problem;
    uint16_t nx;
    rows r = { .dtype = lt_root_operand(p, 0, &nx)->dtype };
    const lathe_buffer *x = &call->in[nx];
    bool largest = lt_attr_i(p->attrs, p->n_attrs, "largest", 1) != 0;
    int64_t begin, end;
    LT_TRY(read_rows(call, x, &r, diag));
    char *place = (char *)call->scratch + place_bytes(r.n, r.k) * (size_t)gang->index;
    uint64_t *heap = (uint64_t *)(void *)place;
    lathe_gang_split(gang, r.k > 0 ? r.outer * r.inner : 0, 1, &begin, &end);
    for (int64_t row = begin; row < end; row++) {
        int64_t first = row / r.inner * r.n * r.inner + row % r.inner;
        if (sorts(r.n, r.k)) {
            put_row(call, &r, x->data, row, sort_best(r.dtype, x->data, first, r.inner, r.n, r.k, largest, place));
            continue;
        }
        if (r.dtype == LATHE_DTYPE_F32) {
            select_floats((const float *)x->data + first, r.inner, r.n, r.k, largest, heap);
        } else {
            select_any(r.dtype, x->data, first, r.inner, r.n, r.k, largest, heap);
        }
        put_in_order(heap, r.k);
        put_row(call, &r, x->data, row, heap);
    }
    for (size_t i = 0; i < 2; i++) {
        if (present(p, i)) {
            lt_settle(gang, call, i, r.dims);
        }
    }
    return LATHE_OK;
}

LT_TACTICS(topk_rows) = {
    { .struct_size = sizeof(lathe_tactic),
      .name = "topk.rows",
      .version = 1,
      .summary = "the k largest or smallest elements of rows, by a heap",
      .ops = "TopK",
      .device = LATHE_SPACE_HOST,
      .configs = 1,
      .fits = fits,
      .scratch_bytes = scratch_bytes,
      .run = run },
    { .name = NULL },
};
