/*
 * engine_offsets.c - lt_offsets_assign: places for values with known sizes and live ranges in one arena. Called by plan at build time and by rt for shapes
 * outside every bucket. Deterministic.
 *
 * Greedy: one value after another into the smallest gap that the values placed before leave it (best fit). Two orders are tried, the largest first and the
 * longest-lived first; the better total wins.
 */
#include "engine/engine_internal.h"
#include <string.h>

typedef struct placing {
    lt_live *items;
    uint32_t n;
    uint32_t *order;   /* in which items are placed */
    uint32_t *placed;  /* items placed so far, by offset */
    uint64_t *offsets; /* of this try */
} placing;

static uint64_t rounded(uint64_t bytes)
{
    return (bytes + 63) & ~(uint64_t)63;
}

static bool overlap(const lt_live *a, const lt_live *b)
{
    return a->first <= b->last && b->first <= a->last;
}

static int compare(const lt_live *items, uint32_t a, uint32_t b, bool by_life)
{
    uint64_t x = by_life ? items[a].last - items[a].first : items[a].bytes, y = by_life ? items[b].last - items[b].first : items[b].bytes;
    if (x == y) {
        x = by_life ? items[a].bytes : items[a].last - items[a].first;
        y = by_life ? items[b].bytes : items[b].last - items[b].first;
    }
    return x != y ? (x > y ? -1 : 1) : (a < b ? -1 : a > b);
}

/* Heap sort: no recursion, no library call that may allocate, and equal keys do not occur. */
static void sift(const lt_live *items, uint32_t *order, uint32_t root, uint32_t n, bool by_life)
{
    for (uint32_t child; (child = 2 * root + 1) < n; root = child) {
        if (child + 1 < n && compare(items, order[child], order[child + 1], by_life) < 0) {
            child++;
        }
        if (compare(items, order[root], order[child], by_life) >= 0) {
            return;
        }
        uint32_t swap = order[root];
        order[root] = order[child];
        order[child] = swap;
    }
}

static void sort(const lt_live *items, uint32_t *order, uint32_t n, bool by_life)
{
    for (uint32_t i = 0; i < n; i++) {
        order[i] = i;
    }
    for (uint32_t i = n / 2; i-- > 0;) {
        sift(items, order, i, n, by_life);
    }
    for (uint32_t i = n; i-- > 1;) {
        uint32_t swap = order[0];
        order[0] = order[i];
        order[i] = swap;
        sift(items, order, 0, i, by_life);
    }
}

/* The smallest gap between values that live at the same time; at their end when none is large enough. */
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
        }
        uint64_t after = offset + rounded(other->bytes);
        end = after > end ? after : end;
    }
    return best == UINT64_MAX ? end : best;
}

static uint64_t place_all(placing *p, bool by_life)
{
    uint64_t total = 0;
    uint32_t n_placed = 0;
    sort(p->items, p->order, p->n, by_life);
    for (uint32_t k = 0; k < p->n; k++) {
        uint32_t i = p->order[k];
        if (p->items[i].bytes == 0) {
            p->offsets[i] = 0;
            continue;
        }
        uint64_t offset = p->offsets[i] = find_place(p, &p->items[i], n_placed);
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

lathe_status lt_offsets_assign(lt_live *items, uint32_t n, lt_arena *arena, uint64_t *total, uint64_t *lower_bound, lathe_diag *diag)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < n; i++) { /* afterwards no sum can overflow */
        if (items[i].bytes > UINT64_MAX - 63 || __builtin_add_overflow(sum, rounded(items[i].bytes), &sum)) {
            return LT_FAIL(diag, LATHE_OVERFLOW, NULL, "use smaller shapes", "the values together are larger than any memory");
        }
    }
    placing p = {.items = items, .n = n};
    uint64_t *first = LT_ARENA_ARRAY(arena, uint64_t, (size_t)n + 1);
    p.offsets = LT_ARENA_ARRAY(arena, uint64_t, (size_t)n + 1);
    p.order = LT_ARENA_ARRAY(arena, uint32_t, (size_t)n + 1);
    p.placed = LT_ARENA_ARRAY(arena, uint32_t, (size_t)n + 1);
    if (!first || !p.offsets || !p.order || !p.placed) {
        return LT_OOM(diag);
    }
    uint64_t by_size = place_all(&p, false);
    memcpy(first, p.offsets, ((size_t)n + 1) * sizeof *first);
    uint64_t by_life = place_all(&p, true);
    for (uint32_t i = 0; i < n; i++) {
        items[i].offset = by_life < by_size ? p.offsets[i] : first[i];
    }
    *total = by_life < by_size ? by_life : by_size;
    if (lower_bound) {
        *lower_bound = bound_below(items, n);
    }
    return LATHE_OK;
}
