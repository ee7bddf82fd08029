/*
 * move_copies.c - tactic move.copy: operators that only put elements elsewhere by a regular pattern, as strided copies (permute.h): Concat, Split, Slice, Pad
 * with a constant, Expand, Tile, DepthToSpace, SpaceToDepth. Any type of whole bytes. Configuration 0 works on plain tensors, 1 on
 * channels-last ones of rank 3 and 4.
 */
#include "backend/cpu/permute.h"
#include "backend/cpu/product.h"
#include "backend/cpu/settle.h"
#include <string.h>

static const int8_t last3[] = { 0, 2, 1 }, last4[] = { 0, 2, 3, 1 };

typedef struct mover {
    const lathe_gang *gang;
    const lathe_call *call;
    size_t size;
    lathe_diag *diag;
    lathe_buffer y; /* output 0 with the extents that this run gives it */
    int64_t y_dims[LATHE_MAX_RANK];
} mover;

/* ---- Operands ---- */

static const lathe_buffer *input(const mover *m, size_t slot)
{
    uint16_t n;
    return lt_root_operand(m->call->problem, slot, &n) ? &m->call->in[n] : NULL;
}

static bool strides_of_input(const mover *m, size_t slot, int64_t *strides)
{
    uint16_t n;
    (void)lt_root_operand(m->call->problem, slot, &n);
    return lt_format_strides(&m->call->problem->in[n].format, &m->call->in[n], strides);
}

static bool strides_of_output(const mover *m, size_t o, int64_t *strides)
{
    return lt_format_strides(&m->call->problem->out[o].format, o == 0 ? &m->y : &m->call->out[o], strides);
}

/* Whole numbers of an input: i32 or i64, at most LATHE_MAX_RANK. -1 when it is absent. */
static int numbers(const mover *m, size_t slot, int64_t *values)
{
    uint16_t n;
    const lathe_operand *o = lt_root_operand(m->call->problem, slot, &n);
    if (!o) {
        return -1;
    }
    const lathe_buffer *b = &m->call->in[n];
    int count = b->rank == 1 && b->dims[0] <= LATHE_MAX_RANK ? (int)b->dims[0] : 0;
    for (int i = 0; i < count; i++) {
        values[i] = lt_load_i64(o->dtype, b->data, i);
    }
    return count;
}

static lathe_status wrong(const mover *m, const char *what)
{
    return LT_FAIL(m->diag, LATHE_BAD_SHAPE, m->call->problem->op, NULL, "%s", what);
}

static void copy(const mover *m, const lt_copy *c, const lathe_buffer *x, int64_t from, const lathe_buffer *y,
                 int64_t to)
{
    lt_copy_run(m->gang, m->size, c, (const char *)x->data + from * (int64_t)m->size,
                (char *)y->data + to * (int64_t)m->size);
}

static int axis_of(const lathe_problem *p, int rank, int64_t otherwise)
{
    int64_t axis = lt_attr_i(p->attrs, p->n_attrs, "axis", otherwise);
    axis += axis < 0 ? rank : 0;
    return axis >= 0 && axis < rank ? (int)axis : -1;
}

/* ---- Concat and Split: one operand beside the other ---- */

/* `part` at `offset` along the axis of `whole`. */
static lathe_status part_of(const mover *m, const lathe_buffer *part, const int64_t *part_strides,
                            const lathe_buffer *whole, const int64_t *whole_strides, int axis, int64_t offset,
                            bool split)
{
    lt_copy c = { 0 };
    if (part->rank != whole->rank || !lt_extents_sane(part->rank, part->dims) ||
        offset + part->dims[axis] > whole->dims[axis]) {
        return wrong(m, "the parts are more than the whole");
    }
    for (int i = 0; i < part->rank; i++) {
        if (i != axis && part->dims[i] != whole->dims[i]) {
            return wrong(m, "a part and the whole differ in another axis");
        }
        lt_copy_axis(&c, part->dims[i], split ? whole_strides[i] : part_strides[i],
                     split ? part_strides[i] : whole_strides[i]);
    }
    if (split) {
        copy(m, &c, whole, offset * whole_strides[axis], part, 0);
    } else {
        copy(m, &c, part, 0, whole, offset * whole_strides[axis]);
    }
    return LATHE_OK;
}

static lathe_status concat(const mover *m)
{
    const lathe_problem *p = m->call->problem;
    const lathe_buffer *y = &m->y;
    int64_t ys[LATHE_MAX_RANK], xs[LATHE_MAX_RANK], offset = 0;
    int axis = axis_of(p, y->rank, 0);
    if (axis < 0 || !lt_extents_sane(y->rank, y->dims) || !strides_of_output(m, 0, ys)) {
        return wrong(m, "no such axis");
    }
    for (size_t i = 0; i < p->n_root_in; i++) {
        const lathe_buffer *x = input(m, i);
        if (x->rank != y->rank || !strides_of_input(m, i, xs)) {
            return wrong(m, "inputs and output differ in rank");
        }
        LT_TRY(part_of(m, x, xs, y, ys, axis, offset, false));
        offset += x->dims[axis];
    }
    return offset == y->dims[axis] ? LATHE_OK : wrong(m, "the parts are less than the whole");
}

static lathe_status split(const mover *m)
{
    const lathe_problem *p = m->call->problem;
    const lathe_buffer *x = input(m, 0);
    int64_t ys[LATHE_MAX_RANK], xs[LATHE_MAX_RANK], offset = 0;
    int axis = axis_of(p, x->rank, 0);
    if (axis < 0 || !lt_extents_sane(x->rank, x->dims) || !strides_of_input(m, 0, xs)) {
        return wrong(m, "no such axis");
    }
    for (size_t o = 0; o < p->n_out; o++) {
        const lathe_buffer *y = &m->call->out[o];
        if (y->rank != x->rank || !strides_of_output(m, o, ys)) {
            return wrong(m, "input and outputs differ in rank");
        }
        LT_TRY(part_of(m, y, ys, x, xs, axis, offset, true));
        offset += y->dims[axis];
    }
    return offset == x->dims[axis] ? LATHE_OK : wrong(m, "the parts are less than the whole");
}

/* ---- Slice and Pad: a box of one operand in the other ---- */

/* Axes that input `slot` names, or all in order; false when one is out of range. */
static bool named_axes(const mover *m, size_t slot, int rank, int count, int64_t *axes)
{
    int n = numbers(m, slot, axes);
    for (int i = 0; i < count && n < 0; i++) {
        axes[i] = i;
    }
    for (int i = 0; i < count; i++) {
        axes[i] += axes[i] < 0 ? rank : 0;
        if (axes[i] < 0 || axes[i] >= rank) {
            return false;
        }
    }
    return n < 0 || n == count;
}

static lathe_status slice(const mover *m)
{
    const lathe_buffer *x = input(m, 0), *y = &m->y;
    int64_t starts[LATHE_MAX_RANK], steps[LATHE_MAX_RANK], axes[LATHE_MAX_RANK],
        from[LATHE_MAX_RANK] = { 0 }, by[LATHE_MAX_RANK], xs[LATHE_MAX_RANK], ys[LATHE_MAX_RANK], offset = 0;
    lt_copy c = { 0 };
    int n = numbers(m, 1, starts), n_steps = numbers(m, 4, steps);
    if (x->rank != y->rank || n < 0 || n > x->rank || !named_axes(m, 3, x->rank, n, axes) ||
        (n_steps >= 0 && n_steps != n) || !lt_extents_sane(x->rank, x->dims) || !lt_extents_sane(y->rank, y->dims) ||
        !strides_of_input(m, 0, xs) || !strides_of_output(m, 0, ys)) {
        return wrong(m, "starts, axes and steps do not go together");
    }
    for (int i = 0; i < x->rank; i++) {
        by[i] = 1;
    }
    for (int i = 0; i < n; i++) {
        int64_t d = x->dims[axes[i]], start = starts[i], step = n_steps < 0 ? 1 : steps[i];
        start += start < 0 ? d : 0;
        start = start < 0 ? 0 : start >= d ? (step < 0 ? d - 1 : d) : start;
        from[axes[i]] = start;
        by[axes[i]] = step;
    }
    for (int i = 0; i < x->rank; i++) {
        int64_t last;
        if (y->dims[i] == 0) {
            return LATHE_OK;
        }
        if (by[i] == 0 || (y->dims[i] > 1 && !lt_i64_mul(y->dims[i] - 1, by[i], &last))) {
            return wrong(m, "a step is no possible number");
        }
        last = y->dims[i] > 1 ? last : 0;
        if (!lt_i64_add(last, from[i], &last) || last < 0 || last >= x->dims[i] || from[i] >= x->dims[i]) {
            return wrong(m, "the slice reaches outside the input");
        }
        lt_copy_axis(&c, y->dims[i], y->dims[i] > 1 ? xs[i] * by[i] : 0, ys[i]);
        offset += from[i] * xs[i];
    }
    copy(m, &c, x, offset, y, 0);
    return LATHE_OK;
}

/* All elements of the output, which is dense, become one. */
static void fill(const mover *m, const void *value)
{
    const lathe_buffer *y = &m->y;
    int64_t count = 1, begin, end;
    for (int i = 0; i < y->rank; i++) {
        count *= y->dims[i];
    }
    lathe_gang_split(m->gang, count, 1024, &begin, &end);
    lt_fill_elements((char *)y->data + begin * (int64_t)m->size, end - begin, value, m->size);
}

static lathe_status pad(const mover *m)
{
    static const char zero[16];
    const lathe_buffer *x = input(m, 0), *y = &m->y, *value = input(m, 2);
    int64_t pads[2 * LATHE_MAX_RANK], axes[LATHE_MAX_RANK], low[LATHE_MAX_RANK] = { 0 }, xs[LATHE_MAX_RANK],
                                                            ys[LATHE_MAX_RANK], from = 0, to = 0;
    lt_copy c = { 0 };
    uint16_t n_pads;
    const lathe_operand *o = lt_root_operand(m->call->problem, 1, &n_pads);
    const lathe_buffer *b = &m->call->in[n_pads];
    if (x->rank != y->rank || b->rank != 1 || b->dims[0] > 2 * x->rank || b->dims[0] % 2 != 0 ||
        !lt_extents_sane(x->rank, x->dims) || !lt_extents_sane(y->rank, y->dims) || !strides_of_input(m, 0, xs) ||
        !strides_of_output(m, 0, ys) || !named_axes(m, 3, x->rank, (int)b->dims[0] / 2, axes)) {
        return wrong(m, "pads and axes do not go together");
    }
    int n = (int)b->dims[0] / 2;
    for (int i = 0; i < 2 * n; i++) {
        pads[i] = lt_load_i64(o->dtype, b->data, i);
    }
    for (int i = 0; i < n; i++) {
        low[axes[i]] = pads[i];
    }
    fill(m, value && value->rank == 0 ? value->data : zero);
    m->gang->barrier(m->gang);
    for (int i = 0; i < x->rank; i++) { /* the part of the input that the output shows */
        int64_t skip = low[i] < 0 ? -low[i] : 0, at = low[i] > 0 ? low[i] : 0, count = x->dims[i] - skip;
        count = count < y->dims[i] - at ? count : y->dims[i] - at;
        lt_copy_axis(&c, count, xs[i], ys[i]);
        from += skip * xs[i];
        to += at * ys[i];
    }
    for (int i = 0; i < x->rank; i++) {
        if (c.e[i] <= 0) {
            return LATHE_OK;
        }
    }
    copy(m, &c, x, from, y, to);
    return LATHE_OK;
}

/* ---- Expand and Tile: elements again and again ---- */

static lathe_status repeat(const mover *m)
{
    const lathe_buffer *x = input(m, 0), *y = &m->y;
    bool expand = strcmp(m->call->problem->op, "Expand") == 0;
    int64_t xs[LATHE_MAX_RANK], ys[LATHE_MAX_RANK];
    lt_copy c = { 0 };
    int missing = y->rank - x->rank;
    if (missing < 0 || (!expand && missing != 0) || !lt_extents_sane(x->rank, x->dims) ||
        !lt_extents_sane(y->rank, y->dims) || !strides_of_input(m, 0, xs) || !strides_of_output(m, 0, ys)) {
        return wrong(m, "input and output differ in rank");
    }
    for (int i = 0; i < y->rank; i++) {
        int64_t d = i < missing ? 1 : x->dims[i - missing], step = i < missing ? 0 : xs[i - missing],
                times = y->dims[i];
        if (times == 0) {
            return LATHE_OK;
        }
        if (d == 0 || times % d != 0 || (expand && d != 1 && times != d)) {
            return wrong(m, "the output's extents are no multiples of the input's");
        }
        if (times > d) {
            lt_copy_axis(&c, times / d, 0, d * ys[i]);
        }
        lt_copy_axis(&c, d, step, ys[i]);
    }
    copy(m, &c, x, 0, y, 0);
    return LATHE_OK;
}

/* ---- DepthToSpace and SpaceToDepth ---- */

static lathe_status depth_space(const mover *m)
{
    const lathe_problem *p = m->call->problem;
    bool to_space = strcmp(p->op, "DepthToSpace") == 0,
         crd = to_space && lt_attr_is(p->attrs, p->n_attrs, "mode", "CRD", "DCR");
    const lathe_buffer *x = input(m, 0), *y = &m->y, *deep = to_space ? x : y, *wide = to_space ? y : x;
    int64_t b = lt_attr_i(p->attrs, p->n_attrs, "blocksize", 1), xs[LATHE_MAX_RANK], ys[LATHE_MAX_RANK], square;
    if (x->rank != 4 || y->rank != 4 || b < 1 || !lt_extents_sane(4, x->dims) || !lt_extents_sane(4, y->dims) ||
        !strides_of_input(m, 0, xs) || !strides_of_output(m, 0, ys) || !lt_i64_mul(b, b, &square) ||
        deep->dims[0] != wide->dims[0] || deep->dims[1] / square != wide->dims[1] || deep->dims[1] % square != 0 ||
        wide->dims[2] / b != deep->dims[2] || wide->dims[3] / b != deep->dims[3] || wide->dims[2] % b != 0 ||
        wide->dims[3] % b != 0) {
        return wrong(m, "extents that are no blocks");
    }
    const int64_t *ds = to_space ? xs : ys, *ws = to_space ? ys : xs; /* strides of the deep and the wide tensor */
    int64_t channels = wide->dims[1];
    const int64_t e[6] = { deep->dims[0], channels, deep->dims[2], b, deep->dims[3], b };
    const int64_t in_deep[6] = { ds[0], crd ? square * ds[1] : ds[1], ds[2], (crd ? b : b * channels) * ds[1],
                                 ds[3], (crd ? 1 : channels) * ds[1] };
    const int64_t in_wide[6] = { ws[0], ws[1], b * ws[2], ws[2], b * ws[3], ws[3] };
    lt_copy c = { 0 };
    for (int i = 0; i < 6; i++) {
        lt_copy_axis(&c, e[i], to_space ? in_deep[i] : in_wide[i], to_space ? in_wide[i] : in_deep[i]);
    }
    copy(m, &c, x, 0, y, 0);
    return LATHE_OK;
}

/* ---- The tactic ---- */

static const struct {
    const char *op;
    lathe_status (*run)(const mover *m);
} movements[] = { { "Concat", concat },
                  { "Split", split },
                  { "Slice", slice },
                  { "Pad", pad },
                  { "Expand", repeat },
                  { "Tile", repeat },
                  { "DepthToSpace", depth_space },
                  { "SpaceToDepth", depth_space } };

/* Do inputs from `slot` on say how, rather than what, is moved? */
static size_t data_inputs(const lathe_problem *p)
{
    return strcmp(p->op, "Concat") == 0 ? p->n_root_in : 1;
}

static int fits_operand(const lathe_operand *o, lathe_dtype dtype, bool sized, lathe_fit *fit)
{
    uint32_t unplanned = LATHE_OPERAND_MANAGED | LATHE_OPERAND_ABSENT | (sized ? 0 : LATHE_OPERAND_BOUNDED);
    if (!o || o->rank < 0 || (o->flags & unplanned)) {
        return lt_no(fit, "an operand without planned extents");
    }
    unsigned bits = lathe_dtype_bits(dtype);
    if (o->dtype != dtype || bits < 8 || bits > 128) {
        return lt_no(fit, "elements of %u bits, or of several types", bits);
    }
    return 1;
}

static int fits_parameters(const lathe_problem *p, lathe_fit *fit)
{
    for (size_t i = data_inputs(p); i < p->n_root_in; i++) {
        const lathe_operand *o = lt_root_operand(p, i, NULL);
        bool value = strcmp(p->op, "Pad") == 0 && i == 2;
        if (o && !value &&
            (o->rank != 1 || (o->dtype != LATHE_DTYPE_I32 && o->dtype != LATHE_DTYPE_I64) ||
             !(o->flags & (LATHE_OPERAND_HOST | LATHE_OPERAND_CONSTANT)))) {
            return lt_no(fit, "input %zu is no list of whole numbers on the host", i);
        }
        if (o && value && (o->rank != 0 || o->dtype != p->in[p->root_in[0]].dtype)) {
            return lt_no(fit, "the padding value is no scalar");
        }
    }
    if (strcmp(p->op, "Pad") == 0 && !lt_attr_is(p->attrs, p->n_attrs, "mode", "constant", "constant")) {
        return lt_no(fit, "pads with other than a constant");
    }
    return 1;
}

/* Elements that lie together on both sides, roughly: up to the innermost axis whose extent changes. */
static double run_length(const lathe_problem *p, const lathe_operand *x, const int8_t *order)
{
    const lathe_operand *y = &p->out[0];
    double n = 1;
    for (int i = y->rank; i-- > 0;) {
        int at = order ? order[i] : i, in_x = at - (y->rank - x->rank);
        double a = in_x >= 0 ? (double)x->dims[in_x].opt : 1, b = (double)y->dims[at].opt;
        n *= a < b ? a : b;
        if (a != b) {
            break;
        }
    }
    return n < 1 ? 1.5 : n + 0.5;
}

/* Whatever is moved is walked by its strides; only the ground of a Pad is filled in one go. */
static void rows_apart(const lathe_problem *p, lathe_fit *fit)
{
    for (size_t i = 0; i < data_inputs(p); i++) {
        uint16_t n;
        if (lt_root_operand(p, i, &n) && n < 64) {
            fit->pitched_in |= (uint64_t)1 << n;
        }
    }
    bool late = p->out[0].flags & LATHE_OPERAND_BOUNDED; /* what the rows' step would be is not known when the step is bound */
    fit->pitched_out = late || strcmp(p->op, "Pad") == 0 ? 0 : p->n_out < 64 ? ((uint64_t)1 << p->n_out) - 1 : 0;
    fit->any_cut = 1;
}

static int fits(const lathe_problem *p, uint32_t config, lathe_fit *fit)
{
    const lathe_operand *x = lt_root_operand(p, 0, NULL);
    if (p->n_instrs > 0 || !x || p->n_out < 1) {
        return lt_no(fit, "part of a group");
    }
    int rank = x->rank;
    if (config == 1 && rank != 3 && rank != 4) {
        return lt_no(fit, "rank %d has no channels last", rank);
    }
    const int8_t *order = config == 0 ? NULL : rank == 4 ? last4 : last3;
    for (size_t i = 0; i < data_inputs(p); i++) {
        uint16_t n;
        const lathe_operand *o = lt_root_operand(p, i, &n);
        if (!fits_operand(o, x->dtype, false, fit)) {
            return 0;
        }
        if (order && (o->rank != rank || (o->flags & (LATHE_OPERAND_CONSTANT | LATHE_OPERAND_HOST)))) {
            return lt_no(fit, "input %zu has another rank or is a constant", i);
        }
        if (order) {
            fit->in[n] = lt_format_permuted(o->dtype, order, rank, fit->in[n].space);
        }
    }
    for (size_t i = 0; i < p->n_out; i++) {
        if (!fits_operand(&p->out[i], x->dtype, p->n_out == 1 && p->n_root_in <= LT_SETTLE_INPUTS, fit)) {
            return 0;
        }
        if (p->out[i].rank > 10 || (order && p->out[i].rank != rank)) {
            return lt_no(fit, "an output of rank %d", p->out[i].rank);
        }
        if (order) {
            fit->out[i] = lt_format_permuted(x->dtype, order, rank, fit->out[i].space);
        }
    }
    if (!fits_parameters(p, fit)) {
        return 0;
    }
    if (rank > 0 && axis_of(p, rank, 0) < 0) {
        return lt_no(fit, "no such axis");
    }
    rows_apart(p, fit);
    double elements = 1;
    for (int i = 0; i < p->out[0].rank; i++) {
        elements *= (double)p->out[0].dims[i].opt * (i == 0 ? (double)p->n_out : 1);
    }
    bool blocks = strcmp(p->op, "DepthToSpace") == 0 || strcmp(p->op, "SpaceToDepth") == 0;
    fit->cost = lt_copy_cost(lathe_dtype_bits(x->dtype) / 8, elements, blocks ? 1 : run_length(p, x, order), true);
    return 1;
}

static lathe_status run(const lathe_gang *gang, const lathe_call *call, lathe_diag *diag)
{
    const lathe_problem *p = call->problem;
    lathe_status (*move)(const mover *m) = NULL;
    mover m = { .gang = gang, .call = call, .diag = diag, .size = lathe_dtype_bits(p->out[0].dtype) / 8, .y = call->out[0] };
    for (size_t i = 0; i < LT_COUNT(movements); i++) {
        move = strcmp(p->op, movements[i].op) == 0 ? movements[i].run : move;
    }
    if (!move || m.y.rank > LATHE_MAX_RANK) {
        return LT_FAIL(diag, LATHE_UNSUPPORTED, p->op, NULL, "this is no movement of elements");
    }
    for (int i = 0; i < m.y.rank; i++) {
        m.y_dims[i] = m.y.dims[i];
    }
    m.y.dims = m.y_dims;
    if (p->out[0].flags & LATHE_OPERAND_BOUNDED) {
        int rank;
        LT_TRY(lt_settle_extents(call, m.y_dims, &rank, diag));
        LT_TRY(lt_settle_check(call, 0, rank, m.y_dims, diag));
    }
    LT_TRY(move(&m));
    lt_settle(gang, call, 0, m.y_dims);
    return LATHE_OK;
}

LT_TACTICS(move_copies) = {
    { .struct_size = sizeof(lathe_tactic),
      .name = "move.copy",
      .version = 1,
      .summary = "elements to other places by strided copies",
      .ops = "Concat Split Slice Pad Expand Tile DepthToSpace SpaceToDepth",
      .device = LATHE_SPACE_HOST,
      .configs = 2,
      .fits = fits,
      .run = run },
    { .name = NULL },
};
