/*
 * compose_slices.c - pass compose-slices: a Slice of a Slice is one Slice, where its numbers can say exactly that.
 *
 * Of an axis of known extent anything can be said. Of an unknown one d, with steps forward: the elements start + i * step before the first end D are cut once
 * more from s2, before e2, by t2. That is start + s2 * step, by step * t2, and the end is
 *   D                         when nothing is cut at the end,
 *   start + e2 * step, D      whichever is less, when e2 counts from the front and D is a number or the very end,
 *   D - k * step              when e2 = -k counts from the back and D is the very end or counts from the back itself.
 * For the last one: the first cut leaves ceil((D - start) / step) elements, k fewer are as many as if D were k * step less.
 */
#include "passes/passes_internal.h"

#include <stdio.h>

/* Numbers from here on mean the very end: exporters write INT32_MAX as often as INT64_MAX. */
#define FAR_END INT32_MAX

typedef struct cut {
    int64_t start, end, step;
} cut;

static const cut whole = { 0, INT64_MAX, 1 };

/* ---- Reading ---- */

static bool read_list(const lt_graph *graph, const lt_node *node, uint32_t slot, int64_t *out, int *count)
{
    return lt_peek_ints(lt_node_in(graph, node, slot), out, LATHE_MAX_RANK, count);
}

/* What the Slice does to each axis; false when it is not constants. */
static bool read_cuts(const lt_graph *graph, const lt_node *node, int rank, cut *cuts)
{
    int64_t starts[LATHE_MAX_RANK], ends[LATHE_MAX_RANK], axes[LATHE_MAX_RANK], steps[LATHE_MAX_RANK];
    int n, n_ends, n_axes, n_steps;
    bool has_axes = lt_node_in(graph, node, 3) != NULL, has_steps = lt_node_in(graph, node, 4) != NULL;
    if (!read_list(graph, node, 1, starts, &n) || !read_list(graph, node, 2, ends, &n_ends) || n != n_ends ||
        (has_axes && (!read_list(graph, node, 3, axes, &n_axes) || n_axes != n)) ||
        (has_steps && (!read_list(graph, node, 4, steps, &n_steps) || n_steps != n))) {
        return false;
    }
    for (int i = 0; i < rank; i++) {
        cuts[i] = whole;
    }
    for (int i = 0; i < n; i++) {
        int64_t axis = has_axes ? axes[i] : i;
        axis = axis < 0 ? axis + rank : axis;
        if (axis < 0 || axis >= rank) {
            return false;
        }
        cuts[axis] = (cut){ starts[i], ends[i], has_steps ? steps[i] : 1 };
    }
    return true;
}

/* ---- Composing ---- */

static int64_t clamp(int64_t value, int64_t low, int64_t high)
{
    return value < low ? low : value > high ? high : value;
}

/* The first element, and how many there are, of an axis of d elements. */
static void resolve(int64_t d, const cut *c, int64_t *first, int64_t *count)
{
    int64_t start = c->start < 0 ? c->start + d : c->start, end = c->end < 0 ? c->end + d : c->end;
    int64_t step = clamp(c->step, -d - 1, d + 1);
    *first = *count = 0;
    if (d > 0 && step > 0) {
        start = clamp(start, 0, d);
        end = clamp(end, 0, d);
        *count = end > start ? (end - start - 1) / step + 1 : 0;
        *first = start;
    } else if (d > 0) {
        start = clamp(start, 0, d - 1);
        end = clamp(end, -1, d - 1);
        *count = start > end ? (start - end - 1) / -step + 1 : 0;
        *first = start;
    }
}

static bool compose_known(int64_t d, const cut *a, const cut *b, cut *out)
{
    int64_t first1, count1, first2, count2;
    if (d >= FAR_END || a->step == 0 || b->step == 0) {
        return false;
    }
    resolve(d, a, &first1, &count1);
    resolve(count1, b, &first2, &count2);
    int64_t step1 = clamp(a->step, -d - 1, d + 1), step2 = clamp(b->step, -count1 - 1, count1 + 1);
    if (count2 == 0) {
        *out = (cut){ 0, 0, 1 };
        return true;
    }
    int64_t first = first1 + first2 * step1, step = count2 > 1 ? step1 * step2 : 1,
            end = first + (count2 - 1) * step + (step > 0 ? 1 : -1);
    *out = (cut){ first, end < 0 ? -d - 1 : end, step };
    return true;
}

static bool small(int64_t x)
{
    return x > -FAR_END && x < FAR_END;
}

static bool compose_unknown(const cut *a, const cut *b, cut *out)
{
    bool far1 = a->end >= FAR_END, far2 = b->end >= FAR_END;
    if (a->step < 1 || b->step < 1 || a->start < 0 || b->start < 0 || !small(a->start) || !small(b->start) ||
        !small(a->step) || !small(b->step) || (!far1 && !small(a->end)) || (!far2 && !small(b->end)) ||
        a->step > 4096 || b->step > 4096) {
        return false;
    }
    *out = (cut){ a->start + b->start * a->step, a->end, a->step * b->step };
    if (far2) {
        return true;
    }
    if (b->end >= 0) {
        int64_t end = a->start + b->end * a->step;
        out->end = !far1 && a->end < end ? a->end : end;
        return a->end >= 0;
    }
    out->end = (far1 ? 0 : a->end) + b->end * a->step;
    return far1 || a->end < 0;
}

static bool is_whole(const cut *c)
{
    return c->start == 0 && c->end >= FAR_END && c->step == 1;
}

static bool compose_axis(lt_dim extent, const cut *a, const cut *b, cut *out)
{
    if (is_whole(a) || is_whole(b)) {
        *out = is_whole(a) ? *b : *a;
        return true;
    }
    return lt_dim_is_const(extent) ? compose_known(extent.k, a, b, out) : compose_unknown(a, b, out);
}

/* ---- The rule ---- */

static bool set_ints(lt_pass_call *c, lt_match *m, const char *name, const int64_t *ints, int n)
{
    lt_make make = { .call = c, .at = lt_match_root(m)->id };
    lt_value_id value = { 0, 0 };
    m->status = m->status == LATHE_OK ? lt_make_ints(&make, ints, n, &value) : m->status;
    lt_match_set_value(m, name, value);
    return m->status == LATHE_OK;
}

static bool compose(lt_pass_call *c, lt_match *m, char *why, size_t why_size)
{
    cut inner[LATHE_MAX_RANK], outer[LATHE_MAX_RANK], both;
    int64_t starts[LATHE_MAX_RANK], ends[LATHE_MAX_RANK], axes[LATHE_MAX_RANK], steps[LATHE_MAX_RANK];
    const lt_value *x = lt_match_value(m, "x");
    int n = 0, rank = x->type.rank;
    if (rank < 1 || x->contents.v != NULL || !read_cuts(c->graph, lt_match_node(m, "i"), rank, inner) ||
        !read_cuts(c->graph, lt_match_root(m), rank, outer)) {
        snprintf(why, why_size, "starts, ends or steps are not constants");
        return false;
    }
    for (int i = 0; i < rank; i++) {
        if (!compose_axis(x->type.dims[i], &inner[i], &outer[i], &both)) {
            snprintf(why, why_size, "axis %d cannot be said with one start and one end", i);
            return false;
        }
        if (!is_whole(&both)) {
            axes[n] = i;
            starts[n] = both.start;
            ends[n] = both.end;
            steps[n++] = both.step;
        }
    }
    m->status = lt_assume_shape_inputs(c->graph, lt_match_node(m, "i"), c->diag);
    m->status = m->status == LATHE_OK ? lt_assume_shape_inputs(c->graph, lt_match_root(m), c->diag) : m->status;
    return set_ints(c, m, "S", starts, n) && set_ints(c, m, "E", ends, n) && set_ints(c, m, "A", axes, n) &&
           set_ints(c, m, "T", steps, n);
}

static const lt_rule rules[] = {
    { .name = "slice-slice",
      .pattern = "i = Slice(x, _, _, ...); Slice(i, _, _, ...)",
      .replacement = "Slice(x, S, E, A, T)",
      .guard = compose },
    { .name = NULL },
};

LT_PASS(compose_slices) = {
    .name = "compose-slices",
    .summary = "Make one Slice of a Slice of a Slice",
    .needs = "shapes",
    .keeps = "shapes qdq",
    .rules = rules,
};
