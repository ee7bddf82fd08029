/*
 * engine_offsets.c - lt_offsets_assign: places for values with known sizes and live ranges in one arena. Called by plan at build time and by rt for shapes
 * outside every bucket. Deterministic.
 *
 * Greedy: one value after another into a gap that the values placed before leave it. Several orders and two ways to take a gap are tried; while the best
 * total is above the lower bound, a search follows: a value that reaches the top goes to an earlier place in the best order, and what is no worse is kept.
 * The work is bounded, so that thousands of values and new shapes at bind cost milliseconds.
 */
#include "engine/engine_internal.h"
#include <string.h>

enum { BY_SIZE, BY_LIFE, BY_AREA, BY_START, ORDERS };
enum { SEARCH_STEPS = 600 };
#define SEARCH_WORK ((uint64_t)8000000) /* pairs of values looked at */

typedef struct placing {
    lt_live *items;
    uint32_t n;
    uint32_t *order;   /* in which items are placed */
    uint32_t *placed;  /* items placed so far, by offset */
    uint64_t *offsets; /* of this try */
    bool first_fit;    /* the lowest gap that is large enough, not the smallest */
    uint64_t work;
} placing;

static uint64_t rounded(uint64_t bytes)
{
    return (bytes + 63) & ~(uint64_t)63;
}

static bool overlap(const lt_live *a, const lt_live *b)
{
    return a->first <= b->last && b->first <= a->last;
}

/* What an order goes by, then what decides between equals; larger ones come first. */
static void keys(const lt_live *item, int by, uint64_t key[2])
{
    uint64_t life = (uint64_t)item->last - item->first + 1, area;
    if (__builtin_mul_overflow(item->bytes, life, &area)) {
        area = UINT64_MAX;
    }
    key[0] = by == BY_SIZE ? item->bytes : by == BY_LIFE ? life : by == BY_AREA ? area : UINT32_MAX - (uint64_t)item->first;
    key[1] = by == BY_SIZE || by == BY_AREA ? life : item->bytes;
}

static int compare(const lt_live *items, uint32_t a, uint32_t b, int by)
{
    uint64_t x[2], y[2];
    keys(&items[a], by, x);
    keys(&items[b], by, y);
    int k = x[0] == y[0];
    return x[k] != y[k] ? (x[k] > y[k] ? -1 : 1) : (a < b ? -1 : a > b);
}

/* Heap sort: no recursion, no library call that may allocate, and equal keys do not occur. */
static void sift(const lt_live *items, uint32_t *order, uint32_t root, uint32_t n, int by)
{
    for (uint32_t child; (child = 2 * root + 1) < n; root = child) {
        if (child + 1 < n && compare(items, order[child], order[child + 1], by) < 0) {
            child++;
        }
        if (compare(items, order[root], order[child], by) >= 0) {
            return;
        }
        uint32_t swap = order[root];
        order[root] = order[child];
        order[child] = swap;
    }
}

static void sort(const lt_live *items, uint32_t *order, uint32_t n, int by)
{
    for (uint32_t i = 0; i < n; i++) {
        order[i] = i;
    }
    for (uint32_t i = n / 2; i-- > 0;) {
        sift(items, order, i, n, by);
    }
    for (uint32_t i = n; i-- > 1;) {
        uint32_t swap = order[0];
        order[0] = order[i];
        order[i] = swap;
        sift(items, order, 0, i, by);
    }
}

/* The smallest gap between values that live at the same time, or the first; at their end when none is large enough. */
static uint64_t find_place(const placing *p, const lt_live *item, uint32_t n_placed)
{
    uint64_t end = 0, best = UINT64_MAX, best_gap = UINT64_MAX, need = rounded(item->bytes);
    for (uint32_t i = 0; i < n_placed; i++) {
        const lt_live *other = &p->items[p->placed[i]];
        if (!overlap(item, other)) {
            continue;
        }
        uint64_t offset = p->offsets[p->placed[i]];
        if (offset > end && offset - end >= need && offset - end < best_gap) {
            best = end;
            best_gap = offset - end;
            if (p->first_fit) {
                return best;
            }
        }
        uint64_t after = offset + rounded(other->bytes);
        end = after > end ? after : end;
    }
    return best == UINT64_MAX ? end : best;
}

/* Places all in the present order; the total. */
static uint64_t place_all(placing *p)
{
    uint64_t total = 0;
    uint32_t n_placed = 0;
    for (uint32_t k = 0; k < p->n; k++) {
        uint32_t i = p->order[k];
        if (p->items[i].bytes == 0) {
            p->offsets[i] = 0;
            continue;
        }
        uint64_t offset = p->offsets[i] = find_place(p, &p->items[i], n_placed);
        p->work += n_placed;
        uint32_t at = n_placed++;
        for (; at > 0 && p->offsets[p->placed[at - 1]] > offset; at--) {
            p->placed[at] = p->placed[at - 1];
        }
        p->placed[at] = i;
        uint64_t end = offset + rounded(p->items[i].bytes);
        total = end > total ? end : total;
    }
    return total;
}

/* The largest sum of live bytes: it is reached where some value begins. */
static uint64_t bound_below(const lt_live *items, uint32_t n)
{
    uint64_t most = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint64_t sum = 0;
        for (uint32_t k = 0; k < n; k++) {
            sum += items[k].first <= items[i].first && items[i].first <= items[k].last ? rounded(items[k].bytes) : 0;
        }
        most = sum > most ? sum : most;
    }
    return most;
}

typedef struct best_try {
    uint64_t total;
    uint64_t *offsets;
    uint32_t *order;
    bool first_fit;
} best_try;

/* Keeps the try at hand when it is better, or as good and asked to. */
static bool keep(const placing *p, uint64_t total, bool equal_too, best_try *best)
{
    if (total > best->total || (total == best->total && !equal_too)) {
        return false;
    }
    best->total = total;
    best->first_fit = p->first_fit;
    memcpy(best->offsets, p->offsets, p->n * sizeof *p->offsets);
    memcpy(best->order, p->order, p->n * sizeof *p->order);
    return true;
}

static uint32_t draw(uint64_t *state, uint32_t below)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((*state >> 33) % below);
}

/* A place in the order whose value reaches the top of the best try; by turns one of several. */
static uint32_t topmost(const placing *p, const best_try *best, uint32_t skip)
{
    uint32_t found = 0;
    for (uint32_t k = 0; k < p->n; k++) {
        uint32_t i = best->order[k];
        if (p->items[i].bytes > 0 && best->offsets[i] + rounded(p->items[i].bytes) == best->total) {
            found = k;
            if (skip-- == 0) {
                break;
            }
        }
    }
    return found;
}

static void search(placing *p, uint64_t bound, best_try *best)
{
    uint64_t random = 1;
    for (uint32_t step = 0; step < SEARCH_STEPS && p->work < SEARCH_WORK && best->total > bound; step++) {
        uint32_t from = step & 1 ? draw(&random, p->n) : topmost(p, best, draw(&random, 3));
        uint32_t to = draw(&random, from + 1), item = best->order[from];
        memcpy(p->order, best->order, p->n * sizeof *p->order);
        memmove(&p->order[to + 1], &p->order[to], (size_t)(from - to) * sizeof *p->order);
        p->order[to] = item;
        p->first_fit = best->first_fit;
        keep(p, place_all(p), true, best);
    }
}

static void try_orders(placing *p, uint64_t bound, best_try *best)
{
    for (int by = 0; by < ORDERS && best->total > bound; by++) {
        sort(p->items, p->order, p->n, by);
        for (int first = 0; first < 2; first++) {
            p->first_fit = first != 0;
            keep(p, place_all(p), false, best);
        }
    }
}

static bool make_tables(placing *p, best_try *best, lt_arena *arena)
{
    size_t n = (size_t)p->n + 1;
    p->offsets = LT_ARENA_ARRAY(arena, uint64_t, n);
    p->order = LT_ARENA_ARRAY(arena, uint32_t, n);
    p->placed = LT_ARENA_ARRAY(arena, uint32_t, n);
    best->offsets = LT_ARENA_ARRAY(arena, uint64_t, n);
    best->order = LT_ARENA_ARRAY(arena, uint32_t, n);
    return p->offsets && p->order && p->placed && best->offsets && best->order;
}

lathe_status lt_offsets_assign(lt_live *items, uint32_t n, lt_arena *arena, uint64_t *total, uint64_t *lower_bound, lathe_diag *diag)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < n; i++) { /* afterwards no sum can overflow */
        if (items[i].bytes > UINT64_MAX - 63 || __builtin_add_overflow(sum, rounded(items[i].bytes), &sum)) {
            return LT_FAIL(diag, LATHE_OVERFLOW, NULL, "use smaller shapes", "the values together are larger than any memory");
        }
    }
    placing p = {.items = items, .n = n};
    best_try best = {.total = UINT64_MAX};
    if (!make_tables(&p, &best, arena)) {
        return LT_OOM(diag);
    }
    uint64_t bound = bound_below(items, n);
    try_orders(&p, bound, &best);
    search(&p, bound, &best);
    for (uint32_t i = 0; i < n; i++) {
        items[i].offset = best.offsets[i];
    }
    *total = best.total == UINT64_MAX ? 0 : best.total;
    if (lower_bound) {
        *lower_bound = bound;
    }
    return LATHE_OK;
}
