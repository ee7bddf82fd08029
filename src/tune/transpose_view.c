/*
 * transpose_view.c - a Transpose as a view: the same bytes in another order of axes. Called by units.c, which adds these states to those of tactics.
 *
 * Axis i of the result is axis perm[i] of the operand. Bytes in which the operand stores axis perm[order[i]] where the result stores axis order[i] are
 * the same tensor, so one side may be plain while the other has the order that follows: NCHW that is stored channels last, transposed to NHWC, is plain.
 * Where only axes of extent 1 change their places, both sides may be plain.
 */
#include "tune/tune_internal.h"

#include <string.h>

static bool read_perm(const lt_node *node, int rank, int *perm)
{
    size_t count;
    const int64_t *ints = lt_attr_ints(node->attrs, node->n_attrs, "perm", &count);
    if (rank < 1 || (ints != NULL && count != (size_t)rank)) {
        return false;
    }
    for (int i = 0; i < rank; i++) {
        perm[i] = ints != NULL ? (int)ints[i] : rank - 1 - i;
        if (perm[i] < 0 || perm[i] >= rank) {
            return false;
        }
    }
    return true;
}

/* Do all axes but those whose extent is always 1 keep their order? */
static bool moves_nothing(const lathe_operand *in, const int *perm)
{
    int last = -1;
    for (int i = 0; i < in->rank; i++) {
        const lathe_extent *e = &in->dims[perm[i]];
        if (e->min == 1 && e->max == 1) {
            continue;
        }
        if (perm[i] < last) {
            return false;
        }
        last = perm[i];
    }
    return true;
}

static lathe_status add_state(lt_tuner *t, lt_draft *d, const lathe_format *in, const lathe_format *out)
{
    static const lt_candidate view = { .fits = true, .why = "" };
    lathe_fit *fits = LT_ARENA_ARRAY(t->arena, lathe_fit, d->n_states + 1u);
    const lt_candidate **states = LT_ARENA_ARRAY(t->arena, const lt_candidate *, d->n_states + 2u);
    lathe_format *formats = LT_ARENA_ARRAY(t->arena, lathe_format, 2);
    const char **pack = LT_ARENA_ARRAY(t->arena, const char *, 1);
    int8_t *in_place = LT_ARENA_ARRAY(t->arena, int8_t, 1);
    if (!fits || !states || !formats || !pack || !in_place) {
        return LT_OOM(t->diag);
    }
    memcpy(fits, d->fits, d->n_states * sizeof *fits);
    memcpy(states, d->states, d->n_states * sizeof *states);
    formats[0] = *in;
    formats[1] = *out;
    in_place[0] = -1;
    fits[d->n_states] = (lathe_fit){
        .struct_size = sizeof *fits, .in = &formats[0], .out = &formats[1], .pack = pack, .in_place = in_place
    };
    states[d->n_states++] = &view;
    d->fits = fits;
    d->states = states;
    return LATHE_OK;
}

lathe_status lt_add_transpose_views(lt_tuner *t, lt_draft *d, const lt_node *node)
{
    int perm[LATHE_MAX_RANK];
    const lt_value *x = lt_node_in(t->graph, node, 0), *y = lt_node_out(t->graph, node, 0);
    if (!lt_node_is(node, "Transpose") || x == NULL || y == NULL || lt_value_is_constant(x) || d->n_states == 0 ||
        d->problem->n_in != 1 || !read_perm(node, x->type.rank, perm)) {
        return LATHE_OK;
    }
    lathe_format plain = lt_plain_format(t, x, d->space), in = plain, out = plain;
    if (moves_nothing(&d->problem->in[0], perm)) {
        return add_state(t, d, &plain, &plain);
    }
    for (int i = 0; i < x->type.rank; i++) {
        in.order[i] = (int8_t)perm[i];
        out.order[perm[i]] = (int8_t)i;
    }
    LT_TRY(add_state(t, d, &in, &plain));
    return add_state(t, d, &plain, &out);
}
