/*
 * topk_rows.c - tactic topk.f32: the k largest or smallest elements of each row, in order, with their indices. A heap holds the best so far; runs of elements that
 * cannot enter it are passed over.
 *
 * Ties go to the smaller index, and NaN counts as larger than every number, as the reference has it.
 */
#include "backend/cpu/product.h"
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

static int fits(const lathe_problem *p, uint32_t config, lathe_fit *fit)
{
    const lathe_operand *x = lt_root_operand(p, 0, NULL);
    (void)config;
    if (p->n_instrs > 0) {
        return lt_no(fit, "has instructions around the root");
    }
    if (!x || x->dtype != LATHE_DTYPE_F32 || x->rank < 1 || (x->flags & LATHE_OPERAND_MANAGED)) {
        return lt_no(fit, "input 0 is %s", x ? lathe_dtype_name(x->dtype) : "absent");
    }
    int axis = axis_of(p, x->rank);
    if (axis < 0 || x->dims[axis].max > INT32_MAX) {
        return lt_no(fit, "the axis is out of range, or may be longer than 2^31");
    }
    for (size_t i = 0; i < p->n_out; i++) {
        if (present(p, i) &&
            (p->out[i].rank != x->rank || p->out[i].dtype != (i == 0 ? LATHE_DTYPE_F32 : LATHE_DTYPE_I64) ||
             (p->out[i].flags & (LATHE_OPERAND_MANAGED | LATHE_OPERAND_BOUNDED)))) {
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
    fit->cost = 300 + rows * (20 + n * 0.8 + k * 60);
    return 1;
}

/* Smaller keys win: the upper half by value, the lower half is the index. */
static uint64_t key_of(const float *x, int64_t i, bool largest)
{
    uint32_t bits, order;
    memcpy(&bits, x, sizeof bits);
    bits = bits == 0x80000000u ? 0 : bits; /* -0 is 0 */
    order = bits >> 31 ? ~bits : bits | 0x80000000u;
    order = (bits & 0x7fffffffu) > 0x7f800000u ? UINT32_MAX : order;
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

/* The k best of n elements, best first. */
static void select_best(const float *x, int64_t step, int64_t n, int64_t k, bool largest, uint64_t *heap)
{
    for (int64_t i = 0; i < k; i++) {
        heap[i] = key_of(x + i * step, i, largest);
    }
    for (int64_t at = k / 2; at-- > 0;) {
        sift(heap, k, at);
    }
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
    for (int64_t left = k - 1; left > 0; left--) {
        uint64_t worst = heap[0];
        heap[0] = heap[left];
        heap[left] = worst;
        sift(heap, left, 0);
    }
}

static size_t scratch_bytes(const lathe_problem *p, uint32_t config, const lathe_buffer *in, const lathe_buffer *out,
                            int threads)
{
    const lathe_buffer *y = &out[present(p, 0) ? 0 : 1];
    int axis = axis_of(p, y->rank);
    (void)config, (void)in;
    return axis < 0 ? 0 : ((size_t)y->dims[axis] * sizeof(uint64_t) + 63) / 64 * 64 * (size_t)threads;
}

static lathe_status run(const lathe_gang *gang, const lathe_call *call, lathe_diag *diag)
{
    const lathe_problem *p = call->problem;
    uint16_t nx;
    (void)lt_root_operand(p, 0, &nx);
    const lathe_buffer *x = &call->in[nx], *y = &call->out[present(p, 0) ? 0 : 1];
    int axis = axis_of(p, x->rank);
    bool largest = lt_attr_i(p->attrs, p->n_attrs, "largest", 1) != 0;
    int64_t outer, inner, begin, end, n = axis < 0 ? 0 : x->dims[axis], k = axis < 0 ? 0 : y->dims[axis];
    if (axis < 0 || y->rank != x->rank || !lt_extents_sane(x->rank, x->dims) || !lt_extents_sane(y->rank, y->dims) ||
        k > n || n > INT32_MAX || !lt_dims_count(x->dims, axis, &outer) ||
        !lt_dims_count(x->dims + axis + 1, x->rank - axis - 1, &inner)) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, p->op, NULL, "%lld elements of an axis of %lld", (long long)k,
                       (long long)n);
    }
    for (size_t i = 0; i < 2; i++) {
        for (int d = 0; present(p, i) && d < x->rank; d++) {
            if (call->out[i].rank != x->rank || call->out[i].dims[d] != (d == axis ? k : x->dims[d])) {
                return LT_FAIL(diag, LATHE_BAD_SHAPE, p->op, NULL, "output %zu has other extents", i);
            }
        }
    }
    if (k == 0) {
        return LATHE_OK;
    }
    uint64_t *heap =
        (uint64_t *)(void *)((char *)call->scratch + ((size_t)k * sizeof *heap + 63) / 64 * 64 * (size_t)gang->index);
    lathe_gang_split(gang, outer * inner, 1, &begin, &end);
    for (int64_t row = begin; row < end; row++) {
        const float *from = (const float *)x->data + row / inner * n * inner + row % inner;
        int64_t to = row / inner * k * inner + row % inner;
        select_best(from, inner, n, k, largest, heap);
        for (int64_t j = 0; j < k; j++) {
            int64_t index = (int64_t)(uint32_t)heap[j];
            if (present(p, 0)) {
                ((float *)call->out[0].data)[to + j * inner] = from[index * inner];
            }
            if (present(p, 1)) {
                ((int64_t *)call->out[1].data)[to + j * inner] = index;
            }
        }
    }
    return LATHE_OK;
}

LT_TACTICS(topk_rows) = {
    { .struct_size = sizeof(lathe_tactic),
      .name = "topk.f32",
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
