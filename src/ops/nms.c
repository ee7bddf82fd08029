/*
 * nms.c - NonMaxSuppression: boxes in the order of their scores, each kept unless it overlaps a kept one too much.
 * Arithmetic is f32.
 */
#include "ops/move.h"

#include <math.h>

static lathe_status infer_nms(lt_infer *c)
{
    const lt_type *boxes = c->in[0], *scores = c->in[1];
    lt_dim most = lt_dim_const(INT64_MAX), per_class, limit[LT_CONTENTS_MAX], ignored;
    int64_t count;
    if ((boxes->rank >= 0 && boxes->rank != 3) || (scores->rank >= 0 && scores->rank != 3)) {
        return lt_infer_fail(c, "boxes and scores must have rank 3");
    }
    for (int i = 2; i < 5; i++) {
        LT_TRY(lt_move_length(c, i, &count));
        if (count >= 0 && count != 1) {
            return lt_infer_fail(c, "input %d has %lld elements instead of 1", i, (long long)count);
        }
    }
    if (boxes->rank >= 0) {
        LT_TRY(lt_move_equal(c, boxes->dims[2], lt_dim_const(4), "the last extent of boxes and 4", &ignored));
    }
    if (boxes->rank >= 0 && scores->rank >= 0) {
        LT_TRY(lt_move_equal(c, boxes->dims[0], scores->dims[0], "the batches of boxes and scores", &ignored));
        LT_TRY(lt_move_equal(c, boxes->dims[1], scores->dims[2], "the numbers of boxes and scores", &per_class));
        LT_TRY(lt_infer_ints(c, 2, limit, &count));
        if (c->n_in <= 2 || c->in[2] == NULL) {
            per_class = lt_dim_const(0);
        } else if (count == 1) {
            LT_TRY(lt_move_max(c, limit[0], lt_dim_const(0), &limit[0]));
            LT_TRY(lt_move_min(c, per_class, limit[0], &per_class));
        }
        LT_TRY(lt_dims_product(c, scores->dims, 0, 2, &most));
        LT_TRY(lt_dim_mul(c->dims, most, per_class, &most, c->diag));
    }
    lt_dim dims[2] = { LT_UNKNOWN_DIM, lt_dim_const(3) };
    LT_TRY(lt_infer_fresh(c, lt_dim_const(0), most, &dims[0]));
    return lt_infer_out(c, 0, LATHE_DTYPE_I64, 2, dims);
}

typedef struct box {
    float y1, x1, y2, x2;
} box;

static box read_box(const float *at, bool centered)
{
    if (centered) {
        float half_w = at[2] / 2.0f, half_h = at[3] / 2.0f;
        return (box){ at[1] - half_h, at[0] - half_w, at[1] + half_h, at[0] + half_w };
    }
    box b = { at[0], at[1], at[2], at[3] };
    if (b.y1 > b.y2) {
        b.y1 = at[2];
        b.y2 = at[0];
    }
    if (b.x1 > b.x2) {
        b.x1 = at[3];
        b.x2 = at[1];
    }
    return b;
}

static float area_of(const box *b)
{
    return (b->y2 - b->y1) * (b->x2 - b->x1);
}

/* Areas are those of the boxes. */
static bool overlaps(const box *a, float area_a, const box *b, float area_b, float threshold)
{
    float height = (a->y2 < b->y2 ? a->y2 : b->y2) - (a->y1 > b->y1 ? a->y1 : b->y1);
    float width = (a->x2 < b->x2 ? a->x2 : b->x2) - (a->x1 > b->x1 ? a->x1 : b->x1);
    if (!(height > 0.0f) || !(width > 0.0f)) {
        return false;
    }
    float common = height * width, together = area_a + area_b - common;
    return area_a > 0.0f && area_b > 0.0f && together > 0.0f && common / together > threshold;
}

/*
 * Kept boxes by bins of their left edges: a box can only overlap those that start no further to its left than the widest one reaches. Boxes whose area is
 * no finite positive number overlap nothing and are left out.
 */
enum { BINS = 512, TOGETHER = 16 };

/* Boxes of one bin that lie together in memory; places that are free never overlap. */
typedef struct drawer {
    float y1[TOGETHER], x1[TOGETHER], y2[TOGETHER], x2[TOGETHER], area[TOGETHER];
    int64_t count, next; /* next: of the same bin; -1: none */
} drawer;

typedef struct shelf {
    double low, scale, widest;
    int64_t head[BINS]; /* a drawer; -1: empty */
    int64_t used;
    drawer *drawers;
} shelf;

static bool is_solid(float area)
{
    return area > 0.0f && isfinite(area);
}

static int64_t bin_of(const shelf *s, double x)
{
    double at = (x - s->low) * s->scale;
    return at <= 0 ? 0 : at >= BINS - 1 ? BINS - 1 : (int64_t)at;
}

static void shelf_start(shelf *s, const float *boxes, int64_t n, bool centered)
{
    double low = 0, high = 0;
    bool any = false;
    for (int64_t i = 0; i < n; i++) {
        box b = read_box(boxes + 4 * i, centered);
        if (is_solid(area_of(&b))) {
            low = !any || (double)b.x1 < low ? (double)b.x1 : low;
            high = !any || (double)b.x2 > high ? (double)b.x2 : high;
            any = true;
        }
    }
    s->low = low;
    s->scale = high > low ? BINS / (high - low) : 0;
    s->widest = 0;
    s->used = 0;
    for (int i = 0; i < BINS; i++) {
        s->head[i] = -1;
    }
}

/* Almost always false when no box overlaps by the threshold, never when one does: without branches, and without a division. */
static bool may_overlap(const drawer *d, const box *now, float area, float threshold)
{
    int any = 0;
    for (int j = 0; j < TOGETHER; j++) {
        float height = (now->y2 < d->y2[j] ? now->y2 : d->y2[j]) - (now->y1 > d->y1[j] ? now->y1 : d->y1[j]);
        float width = (now->x2 < d->x2[j] ? now->x2 : d->x2[j]) - (now->x1 > d->x1[j] ? now->x1 : d->x1[j]);
        float common = (height > 0.0f ? height : 0.0f) * width;
        any |= common > threshold * (area + d->area[j] - common);
    }
    return any != 0;
}

static bool drawer_overlaps(const drawer *d, const box *now, float area, float threshold)
{
    for (int64_t j = 0; j < d->count; j++) {
        box other = { d->y1[j], d->x1[j], d->y2[j], d->x2[j] };
        if (overlaps(now, area, &other, d->area[j], threshold)) {
            return true;
        }
    }
    return false;
}

static bool shelf_overlaps(const shelf *s, const box *now, float area, float threshold)
{
    if (!is_solid(area)) {
        return false;
    }
    int64_t first = bin_of(s, (double)now->x1 - s->widest), last = bin_of(s, (double)now->x2);
    for (int64_t bin = first > 0 ? first - 1 : 0; bin <= last; bin++) { /* one more, for what rounding does */
        for (int64_t i = s->head[bin]; i >= 0; i = s->drawers[i].next) {
            if (may_overlap(&s->drawers[i], now, area, 0.99f * threshold) &&
                drawer_overlaps(&s->drawers[i], now, area, threshold)) {
                return true;
            }
        }
    }
    return false;
}

static void shelf_put(shelf *s, const box *now, float area)
{
    double width = (double)now->x2 - (double)now->x1;
    if (!is_solid(area)) {
        return;
    }
    int64_t bin = bin_of(s, (double)now->x1);
    if (s->head[bin] < 0 || s->drawers[s->head[bin]].count == TOGETHER) {
        drawer *fresh = &s->drawers[s->used];
        *fresh = (drawer){ .next = s->head[bin] };
        for (int j = 0; j < TOGETHER; j++) {
            fresh->area[j] = INFINITY;
        }
        s->head[bin] = s->used++;
    }
    drawer *d = &s->drawers[s->head[bin]];
    int64_t j = d->count++;
    d->y1[j] = now->y1;
    d->x1[j] = now->x1;
    d->y2[j] = now->y2;
    d->x2[j] = now->x2;
    d->area[j] = area;
    s->widest = width > s->widest ? width : s->widest;
}

typedef struct candidate {
    float score;
    int64_t index;
} candidate;

static bool before(const candidate *a, const candidate *b)
{
    return a->score != b->score ? a->score > b->score : a->index < b->index;
}

/* A heap whose top is the next candidate: no more are put in order than are looked at, and nothing is allocated. */
static void sift(candidate *heap, int64_t at, int64_t n)
{
    for (int64_t child; (child = 2 * at + 1) < n; at = child) {
        child += child + 1 < n && before(&heap[child + 1], &heap[child]);
        if (!before(&heap[child], &heap[at])) {
            return;
        }
        candidate swap = heap[at];
        heap[at] = heap[child];
        heap[child] = swap;
    }
}

static candidate take_best(candidate *heap, int64_t *n)
{
    candidate best = heap[0];
    heap[0] = heap[--*n];
    sift(heap, 0, *n);
    return best;
}

typedef struct limits {
    int64_t per_class;
    float iou, score;
    bool has_score, centered;
} limits;

static lathe_status read_limits(lt_eval *c, limits *l)
{
    const lt_tensor *count = lt_in(c, 2), *iou = lt_in(c, 3), *score = lt_in(c, 4);
    l->per_class = count != NULL ? lt_load_i64(count->dtype, count->data, 0) : 0;
    l->iou = iou != NULL ? (float)lt_load_f64(iou->dtype, iou->data, 0) : 0.0f;
    l->has_score = score != NULL;
    l->score = score != NULL ? (float)lt_load_f64(score->dtype, score->data, 0) : 0.0f;
    l->centered = lt_attr_i(c->attrs, c->n_attrs, "center_point_box", 0) != 0;
    if (!(l->iou >= 0.0f && l->iou <= 1.0f)) {
        return lt_eval_fail(c, "iou_threshold is outside [0, 1]");
    }
    return LATHE_OK;
}

/*
 * Selected boxes of one batch and class; their indices go to kept. Returns how many. NaN scores are never
 * candidates.
 */
static int64_t select_boxes(const float *boxes, const float *scores, int64_t n, const limits *l, candidate *order,
                            shelf *chosen, int64_t *kept)
{
    int64_t candidates = 0, count = 0;
    shelf_start(chosen, boxes, n, l->centered);
    for (int64_t k = 0; k < n; k++) {
        if (l->has_score ? scores[k] > l->score : scores[k] == scores[k]) {
            order[candidates++] = (candidate){ scores[k], k };
        }
    }
    for (int64_t k = candidates / 2; k-- > 0;) {
        sift(order, k, candidates);
    }
    while (candidates > 0 && count < l->per_class) {
        int64_t index = take_best(order, &candidates).index;
        box now = read_box(boxes + 4 * index, l->centered);
        float area = area_of(&now);
        if (!shelf_overlaps(chosen, &now, area, l->iou)) {
            shelf_put(chosen, &now, area);
            kept[count++] = index;
        }
    }
    return count;
}

static lathe_status eval_nms(lt_eval *c)
{
    const lt_tensor *boxes = lt_in(c, 0), *scores = lt_in(c, 1);
    int64_t batches = scores->dims[0], classes = scores->dims[1], n = scores->dims[2], total = 0;
    limits l;
    if (c->out[0] == NULL) {
        return LATHE_OK;
    }
    LT_TRY(read_limits(c, &l));
    int64_t pairs = n > 0 ? batches * classes : 0;
    candidate *order = lt_eval_scratch(c, n, sizeof *order);
    shelf *chosen = lt_eval_scratch(c, 1, sizeof *chosen);
    int64_t *kept = lt_eval_scratch(c, pairs * n, sizeof *kept), *counts = lt_eval_scratch(c, pairs, sizeof *counts);
    if (order == NULL || chosen == NULL || kept == NULL || counts == NULL) {
        return LATHE_OUT_OF_MEMORY;
    }
    chosen->drawers =
        lt_eval_scratch(c, n / TOGETHER + BINS, sizeof *chosen->drawers); /* all but one of a bin are full */
    if (chosen->drawers == NULL) {
        return LATHE_OUT_OF_MEMORY;
    }
    for (int64_t p = 0; p < pairs; p++) {
        const float *of_batch = (const float *)boxes->data + (p / classes) * n * 4;
        counts[p] = select_boxes(of_batch, (const float *)scores->data + p * n, n, &l, order, chosen, kept + p * n);
        total += counts[p];
    }
    int64_t dims[2] = { total, 3 }, at = 0;
    LT_TRY(c->make(c, 0, LATHE_DTYPE_I64, 2, dims));
    int64_t *out = lt_out(c, 0)->data;
    for (int64_t p = 0; p < pairs; p++) {
        for (int64_t k = 0; k < counts[p]; k++) {
            out[at++] = p / classes;
            out[at++] = p % classes;
            out[at++] = kept[p * n + k];
        }
    }
    return LATHE_OK;
}

static const lt_attr_spec attrs_nms[] = { { "center_point_box", LATHE_ATTR_INT, false }, { 0 } };

static const char *const samples_nms[] = {
    "f32[1,4,4] b = {0.0, 0.0, 1.0, 1.0, 0.0, 0.1, 1.0, 1.1, 0.0, 2.0, 1.0, 3.0, 1.0, 3.05, 0.0, 2.05}, "
    "f32[1,2,4] s = {0.9, 0.75, 0.6, 0.95, 0.1, 0.2, 0.3, 0.4}, i64[1] m = {3}, f32[1] i = {0.5}, f32[1] t = {0.15} "
    "| y = NonMaxSuppression (b, s, m, i, t)",
    "f32[1,3,4] b = {0.5, 0.5, 1.0, 1.0, 0.5, 0.6, 1.0, 1.0, 0.5, 10.5, 1.0, 1.0}, f32[1,1,3] s = {0.5, 0.5, 0.5}, "
    "i64[] m = {2}, "
    "f32[] i = {0.5} | y = NonMaxSuppression <center_point_box = 1> (b, s, m, i)",
    "f32[1,0,4] b = rand(1), f32[1,1,0] s = rand(1), i64[1] m = {2} | y = NonMaxSuppression (b, s, m)",
    NULL,
};

LT_OPS(nms) = {
    {
        .name = "NonMaxSuppression",
        .since = 11,
        .traits = LT_OP_DYNAMIC,
        .host_inputs = 1u << 2 | 1u << 3 | 1u << 4,
        .sig = "(f32 boxes, f32 scores, i64? max_output_boxes_per_class, f32? iou_threshold, f32? score_threshold) -> "
               "(i64 selected_indices)",
        .attrs = attrs_nms,
        .infer = infer_nms,
        .eval = eval_nms,
        .samples = samples_nms,
    },
    { 0 },
};
