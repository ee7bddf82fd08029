/*
 * nms_sweep__each.c - tactic nms.sweep: NonMaxSuppression. Candidates of a batch and class are put in order once, by their bits, and then taken from the best
 * to the worst; each is compared with the kept ones that may reach it, a vector of them at a time. Threads share the pairs of batch and class.
 *
 * Order, ties and every single decision are those of the reference.
 */
#include "backend/cpu/product.h"
#include "backend/cpu/radix_order.h"
#include "backend/cpu/settle.h"
#include "backend/cpu/vectors.inc"

#include "backend/cpu/vector_math.inc"
#include <math.h>

/* ---- Boxes ---- */

typedef struct box {
    float y1, x1, y2, x2, area;
} box;

static box read_box(const float *at, bool centered)
{
    box b;
    if (centered) {
        float half_w = at[2] / 2.0f, half_h = at[3] / 2.0f;
        b = (box){ .y1 = at[1] - half_h, .x1 = at[0] - half_w, .y2 = at[1] + half_h, .x2 = at[0] + half_w };
    } else {
        bool down = at[0] > at[2], back = at[1] > at[3];
        b = (box){ .y1 = at[down ? 2 : 0], .x1 = at[back ? 3 : 1], .y2 = at[down ? 0 : 2], .x2 = at[back ? 1 : 3] };
    }
    b.area = (b.y2 - b.y1) * (b.x2 - b.x1);
    return b;
}

/* Others overlap nothing: with a finite area, the coordinates are numbers too. */
static bool is_solid(const box *b)
{
    return b->area > 0.0f && isfinite(b->area);
}

/* ---- Kept boxes, by bins of their left edges ---- */

/* A box can only overlap those that start no further to its left than the widest one reaches. */
enum { BINS = 512, TOGETHER = 16, VECTORS = TOGETHER / VL };

/* Boxes of one bin that lie together in memory; those of free places have an infinite area and never overlap. */
typedef struct drawer {
    vf y1[VECTORS], x1[VECTORS], y2[VECTORS], x2[VECTORS], area[VECTORS];
    int32_t count, next; /* next: of the same bin; -1: none */
    char pad[56];
} drawer;

typedef struct shelf {
    double low, scale, widest;
    int64_t used;
    drawer *drawers;
    int32_t head[BINS]; /* a drawer; -1: empty */
} shelf;

static int bin_of(const shelf *s, double x)
{
    double at = (x - s->low) * s->scale;
    return at <= 0 ? 0 : at >= BINS - 1 ? BINS - 1 : (int)at;
}

INLINE bool any_lane(vi mask)
{
#if defined(__AVX512F__)
    return _mm512_test_epi32_mask((__m512i)mask, (__m512i)mask) != 0;
#elif defined(__AVX2__)
    return _mm256_movemask_ps((__m256)mask) != 0;
#elif defined(__SSE2__)
    return _mm_movemask_ps((__m128)mask) != 0;
#else
    int32_t any = 0;
    for (int i = 0; i < VL; i++) {
        any |= mask[i];
    }
    return any != 0;
#endif
}

typedef struct probe {
    vf y1, x1, y2, x2, area, threshold, nearly;
} probe;

static bool drawer_overlaps(const drawer *d, const probe *p)
{
    for (int v = 0; v < VECTORS; v++) {
        vf height = at_most(p->y2, d->y2[v]) - at_least(p->y1, d->y1[v]);
        vf width = at_most(p->x2, d->x2[v]) - at_least(p->x1, d->x1[v]);
        vf common = at_least(height, splat(0.0f)) * at_least(width, splat(0.0f)), together = p->area + d->area[v] - common;
        if (any_lane(common > p->nearly * together)) { /* hardly ever for nothing, and without a division */
            vi both = (height > splat(0.0f)) & (width > splat(0.0f)) & (together > splat(0.0f));
            if (any_lane(both & (common / together > p->threshold))) {
                return true;
            }
        }
    }
    return false;
}

static bool bin_overlaps(const shelf *s, int bin, const probe *p)
{
    for (int32_t i = s->head[bin]; i >= 0; i = s->drawers[i].next) {
        if (drawer_overlaps(&s->drawers[i], p)) {
            return true;
        }
    }
    return false;
}

/* Bins near the box come first: what overlaps most likely does so there. */
static bool shelf_overlaps(const shelf *s, const box *now, float threshold)
{
    const probe p = { splat(now->y1), splat(now->x1), splat(now->y2), splat(now->x2), splat(now->area),
                      splat(threshold), splat(0.99f * threshold) };
    int own = bin_of(s, (double)now->x1), first = bin_of(s, (double)now->x1 - s->widest), last = bin_of(s, (double)now->x2);
    first -= first > 0; /* for what rounding does */
    for (int bin = own; bin >= first; bin--) {
        if (bin_overlaps(s, bin, &p)) {
            return true;
        }
    }
    for (int bin = own + 1; bin <= last; bin++) {
        if (bin_overlaps(s, bin, &p)) {
            return true;
        }
    }
    return false;
}

static void shelf_put(shelf *s, const box *now)
{
    int bin = bin_of(s, (double)now->x1);
    double width = (double)now->x2 - (double)now->x1;
    if (s->head[bin] < 0 || s->drawers[s->head[bin]].count == TOGETHER) {
        drawer *fresh = &s->drawers[s->used];
        memset(fresh, 0, sizeof *fresh);
        fresh->next = s->head[bin];
        for (int v = 0; v < VECTORS; v++) {
            fresh->area[v] = splat(INFINITY);
        }
        s->head[bin] = (int32_t)s->used++;
    }
    drawer *d = &s->drawers[s->head[bin]];
    int v = d->count / VL, lane = d->count % VL;
    d->y1[v][lane] = now->y1;
    d->x1[v][lane] = now->x1;
    d->y2[v][lane] = now->y2;
    d->x2[v][lane] = now->x2;
    d->area[v][lane] = now->area;
    d->count++;
    s->widest = width > s->widest ? width : s->widest;
}

/* ---- One batch and class ---- */

typedef struct limits {
    int64_t per_class;
    float iou, score;
    bool has_score, centered;
} limits;

typedef struct workplace { /* of one thread */
    uint64_t *keys, *other;
    shelf *chosen;
} workplace;

/* Keys of the candidates: the upper half falls with the score, the lower is the index. NaN scores are no candidates. */
static int64_t list_candidates(const float *scores, int64_t n, const limits *l, uint64_t *keys)
{
    int64_t count = 0;
    for (int64_t k = 0; k < n; k++) {
        uint32_t bits;
        float score = scores[k] + 0.0f; /* -0 is 0 */
        memcpy(&bits, &score, sizeof bits);
        uint32_t falling = bits >> 31 ? bits : ~(bits | 0x80000000u);
        keys[count] = (uint64_t)falling << 32 | (uint32_t)k; /* count <= k: there is room */
        count += l->has_score ? scores[k] > l->score : scores[k] == scores[k];
    }
    return count;
}

static void shelf_start(shelf *s, const float *boxes, const uint64_t *keys, int64_t n, bool centered)
{
    double low = 0, high = 0;
    bool any = false;
    for (int64_t i = 0; i < n; i++) {
        box b = read_box(boxes + 4 * (int64_t)(uint32_t)keys[i], centered);
        if (is_solid(&b)) {
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

/* Numbers of the selected boxes go to `kept`. Returns how many. */
static int64_t select_boxes(const float *boxes, const float *scores, int64_t n, const limits *l, const workplace *w, uint32_t *kept)
{
    int64_t candidates = l->per_class > 0 ? list_candidates(scores, n, l, w->keys) : 0, count = 0;
    shelf_start(w->chosen, boxes, w->keys, candidates, l->centered);
    const uint64_t *keys = lt_radix_order(w->keys, w->other, candidates);
    for (int64_t i = 0; i < candidates && count < l->per_class; i++) {
        uint32_t index = (uint32_t)keys[i];
        box now = read_box(boxes + 4 * (int64_t)index, l->centered);
        bool solid = is_solid(&now);
        if (solid && shelf_overlaps(w->chosen, &now, l->iou)) {
            continue;
        }
        if (solid) {
            shelf_put(w->chosen, &now);
        }
        kept[count++] = index;
    }
    return count;
}

/* ---- The tactic ---- */

ASKED static int fits(const lathe_problem *p, uint32_t config, lathe_fit *fit)
{
    static const lathe_dtype types[] = { LATHE_DTYPE_F32, LATHE_DTYPE_F32, LATHE_DTYPE_I64, LATHE_DTYPE_F32, LATHE_DTYPE_F32 };
    (void)config;
    if (p->n_instrs > 0 || p->n_out != 1 || p->n_root_in < 2 || p->n_root_in > LT_COUNT(types)) {
        return lt_no(fit, "part of a group");
    }
    for (size_t i = 0; i < p->n_root_in; i++) {
        const lathe_operand *o = lt_root_operand(p, i, NULL);
        if (i < 2 ? !o || o->rank != 3 : o && (o->rank < 0 || o->rank > 1)) {
            return lt_no(fit, "input %zu is absent or has another rank", i);
        }
        if (o && (o->dtype != types[i] || (o->flags & LATHE_OPERAND_MANAGED))) {
            return lt_no(fit, "input %zu is %s", i, lathe_dtype_name(o->dtype));
        }
    }
    const lathe_operand *y = &p->out[0], *scores = lt_root_operand(p, 1, NULL);
    if ((y->flags & (LATHE_OPERAND_MANAGED | LATHE_OPERAND_ABSENT)) || y->rank != 2 || y->dtype != LATHE_DTYPE_I64) {
        return lt_no(fit, "the output has no upper bound");
    }
    if (scores->dims[2].max > INT32_MAX) {
        return lt_no(fit, "there may be more than 2^31 boxes");
    }
    double pairs = (double)scores->dims[0].opt * (double)scores->dims[1].opt, n = (double)scores->dims[2].opt;
    fit->serial = scores->dims[0].max == 1 && scores->dims[1].max == 1;
    fit->cost = 1000 + pairs * (500 + n * 20);
    return 1;
}

/* What lies where in scratch: kept boxes and their numbers for all pairs, then a workplace for each thread. */
typedef struct places {
    size_t kept, counts, keys, chosen, drawers; /* bytes of each piece */
} places;

ASKED static places places_for(int64_t pairs, int64_t n)
{
    size_t each = (size_t)n;
    return (places){ .kept = lt_settle_piece((size_t)pairs * each * sizeof(uint32_t)),
                     .counts = lt_settle_piece((size_t)pairs * sizeof(int64_t)),
                     .keys = lt_settle_piece(each * sizeof(uint64_t)),
                     .chosen = lt_settle_piece(sizeof(shelf)),
                     .drawers = lt_settle_piece((each / TOGETHER + BINS) * sizeof(drawer)) }; /* all but one of a bin are full */
}

ASKED static size_t workplace_bytes(const places *s)
{
    return 2 * s->keys + s->chosen + s->drawers;
}

ASKED static size_t scratch_bytes(const lathe_problem *p, uint32_t config, const lathe_buffer *in, const lathe_buffer *out, int threads)
{
    uint16_t n_scores;
    (void)config, (void)out;
    (void)lt_root_operand(p, 1, &n_scores);
    const int64_t *d = in[n_scores].dims;
    places s = places_for(d[0] * d[1], d[2]);
    return s.kept + s.counts + workplace_bytes(&s) * (size_t)threads;
}

static lathe_status bad(const lathe_call *call, lathe_diag *diag, const char *what)
{
    return LT_FAIL(diag, LATHE_BAD_SHAPE, call->problem->op, NULL, "%s", what);
}

/* The one element of a limit; NULL: it is absent. */
static const void *limit_of(const lathe_call *call, size_t slot, bool *good)
{
    uint16_t n;
    if (!lt_root_operand(call->problem, slot, &n)) {
        return NULL;
    }
    *good = *good && (call->in[n].rank == 0 || call->in[n].dims[0] == 1);
    return call->in[n].data;
}

static lathe_status read_limits(const lathe_call *call, limits *l, lathe_diag *diag)
{
    bool good = true;
    const void *count = limit_of(call, 2, &good), *iou = limit_of(call, 3, &good), *score = limit_of(call, 4, &good);
    if (!good) {
        return bad(call, diag, "a limit is no single number");
    }
    *l = (limits){ .has_score = score != NULL };
    l->centered = lt_attr_i(call->problem->attrs, call->problem->n_attrs, "center_point_box", 0) != 0;
    if (count) {
        memcpy(&l->per_class, count, sizeof l->per_class);
    }
    if (iou) {
        memcpy(&l->iou, iou, sizeof l->iou);
    }
    if (score) {
        memcpy(&l->score, score, sizeof l->score);
    }
    return l->iou >= 0.0f && l->iou <= 1.0f ? LATHE_OK : bad(call, diag, "iou_threshold is outside [0, 1]");
}

static void write_pair(int64_t *to, int64_t batch, int64_t class, const uint32_t *kept, int64_t count)
{
    for (int64_t k = 0; k < count; k++) {
        *to++ = batch;
        *to++ = class;
        *to++ = kept[k];
    }
}

static lathe_status run(const lathe_gang *gang, const lathe_call *call, lathe_diag *diag)
{
    const lathe_problem *p = call->problem;
    uint16_t n_boxes, n_scores;
    limits l;
    (void)lt_root_operand(p, 0, &n_boxes);
    (void)lt_root_operand(p, 1, &n_scores);
    const lathe_buffer *boxes = &call->in[n_boxes], *scores = &call->in[n_scores];
    if (!lt_extents_sane(3, boxes->dims) || !lt_extents_sane(3, scores->dims) || boxes->dims[2] != 4 ||
        boxes->dims[0] != scores->dims[0] || boxes->dims[1] != scores->dims[2] || scores->dims[2] > INT32_MAX) {
        return bad(call, diag, "boxes and scores do not go together");
    }
    LT_TRY(read_limits(call, &l, diag));
    int64_t classes = scores->dims[1], n = scores->dims[2], pairs = n > 0 ? scores->dims[0] * classes : 0, begin, end;
    places s = places_for(pairs, n);
    uint32_t *kept = call->scratch;
    int64_t *counts = (int64_t *)(void *)((char *)call->scratch + s.kept);
    char *own = (char *)call->scratch + s.kept + s.counts + workplace_bytes(&s) * (size_t)gang->index;
    workplace w = { .keys = (uint64_t *)(void *)own,
                    .other = (uint64_t *)(void *)(own + s.keys),
                    .chosen = (shelf *)(void *)(own + 2 * s.keys) };
    w.chosen->drawers = (drawer *)(void *)(own + 2 * s.keys + s.chosen);
    lathe_gang_split(gang, pairs, 1, &begin, &end);
    for (int64_t k = begin; k < end; k++) {
        const float *of_batch = (const float *)boxes->data + k / classes * n * 4;
        counts[k] = select_boxes(of_batch, (const float *)scores->data + k * n, n, &l, &w, kept + k * n);
    }
    gang->barrier(gang);
    int64_t dims[2] = { 0, 3 }, at = 0;
    for (int64_t k = 0; k < pairs; k++) {
        at += k < begin ? counts[k] : 0;
        dims[0] += counts[k];
    }
    LT_TRY(lt_settle_check(call, 0, 2, dims, diag));
    for (int64_t k = begin; k < end; at += counts[k++]) {
        write_pair((int64_t *)call->out[0].data + 3 * at, k / classes, k % classes, kept + k * n, counts[k]);
    }
    lt_settle(gang, call, 0, dims);
    return LATHE_OK;
}

LT_TACTICS(LT_EACH(nms_sweep)) = {
    { .struct_size = sizeof(lathe_tactic),
      .name = "nms.sweep." ISA_NAME,
      .version = 1,
      .summary = "NonMaxSuppression: sorted once, compared by vectors",
      .ops = "NonMaxSuppression",
      .device = LATHE_SPACE_HOST,
      .cpu_features = ISA_FEATURES,
      .configs = 1,
      .fits = fits,
      .scratch_bytes = scratch_bytes,
      .run = run },
    { .name = NULL },
};
