/*
 * move_maps.c - tactic move.map: operators that fill each axis of their output from places of the same axis of their input that a table tells: Resize to
 * nearest neighbours, Pad with edges, reflections and repetitions. Any type of whole bytes. Configuration 0 works on plain tensors, 1 on channels-last
 * ones of rank 4.
 */
#include "backend/cpu/product.h"
#include "backend/cpu/resize_shape.h"
#include <string.h>

static const int8_t channels_last[] = { 0, 2, 3, 1 };

typedef struct mapping {
    int rank;                      /* axes in the order in which they are stored */
    int64_t e[LATHE_MAX_RANK];     /* of the output */
    int64_t *from[LATHE_MAX_RANK]; /* for each element of an axis: elements of the input from its start */
    int64_t run_at, run;           /* a piece of the last axis that lies together in the input */
    int64_t repeat;                /* at least 2: the last axis has each of consecutive elements so many times; else 0 */
    size_t size;
    const char *src;
    char *dst;
} mapping;

static bool is_pad(const lathe_problem *p)
{
    return strcmp(p->op, "Pad") == 0;
}

/* ---- Running ---- */

static void copy_places(const mapping *m, const char *src, char *dst, int64_t begin, int64_t end)
{
    const int64_t *from = m->from[m->rank - 1];
    switch (m->size) { /* memcpy of a constant size is one move */
    case 1:
        for (int64_t i = begin; i < end; i++) {
            dst[i] = src[from[i]];
        }
        break;
    case 2:
        for (int64_t i = begin; i < end; i++) {
            memcpy(dst + 2 * i, src + 2 * from[i], 2);
        }
        break;
    case 4:
        for (int64_t i = begin; i < end; i++) {
            memcpy(dst + 4 * i, src + 4 * from[i], 4);
        }
        break;
    case 8:
        for (int64_t i = begin; i < end; i++) {
            memcpy(dst + 8 * i, src + 8 * from[i], 8);
        }
        break;
    default:
        for (int64_t i = begin; i < end; i++) {
            memcpy(dst + (size_t)i * m->size, src + from[i] * (int64_t)m->size, m->size);
        }
        break;
    }
}

typedef uint32_t four __attribute__((vector_size(16)));

/* n elements of 4 bytes, each twice. */
static void double_row(const char *src, char *dst, int64_t n)
{
    int64_t i = 0;
    for (; i + 4 <= n; i += 4) {
        four v;
        memcpy(&v, src + 4 * i, sizeof v);
        four low = __builtin_shufflevector(v, v, 0, 0, 1, 1), high = __builtin_shufflevector(v, v, 2, 2, 3, 3);
        memcpy(dst + 8 * i, &low, sizeof low);
        memcpy(dst + 8 * i + 16, &high, sizeof high);
    }
    for (; i < n; i++) {
        memcpy(dst + 8 * i, src + 4 * i, 4);
        memcpy(dst + 8 * i + 4, src + 4 * i, 4);
    }
}

static void copy_row(const mapping *m, const char *src, char *dst)
{
    int last = m->rank - 1;
    int64_t n = m->e[last], size = (int64_t)m->size;
    if (m->repeat == 2 && size == 4) {
        double_row(src + m->from[last][0] * size, dst, n / 2);
        return;
    }
    copy_places(m, src, dst, 0, m->run_at);
    if (m->run > 0) {
        memcpy(dst + m->run_at * size, src + m->from[last][m->run_at] * size, (size_t)(m->run * size));
    }
    copy_places(m, src, dst, m->run_at + m->run, n);
}

/* Which elements of the last axis need no table. */
static void find_runs(mapping *m)
{
    const int64_t *from = m->from[m->rank - 1];
    int64_t n = m->e[m->rank - 1], start = 0;
    for (int64_t i = 1; i <= n; i++) {
        if (i < n && from[i] == from[i - 1] + 1) {
            continue;
        }
        if (i - start > m->run) {
            m->run_at = start;
            m->run = i - start;
        }
        start = i;
    }
    if (m->run < n && m->run * (int64_t)m->size < 16) { /* too short for a call */
        m->run_at = m->run = 0;
    }
    m->repeat = n % 2 == 0 && n > 2 ? 2 : 0;
    for (int64_t i = 0; i < n && m->repeat; i++) {
        m->repeat = from[i] == from[0] + i / 2 ? 2 : 0;
    }
}

/* Walks the rows: place[k] is where the coordinates of the axes before k lead to in the input. */
static void copy_rows(const mapping *m, const lathe_gang *gang)
{
    int last = m->rank - 1;
    int64_t rows = 1, begin, end, row = m->e[last] * (int64_t)m->size, before = -1;
    int64_t at[LATHE_MAX_RANK] = { 0 }, place[LATHE_MAX_RANK + 1] = { 0 };
    for (int i = 0; i < last; i++) {
        rows *= m->e[i];
    }
    lathe_gang_split(gang, rows, 1, &begin, &end);
    for (int64_t i = last, left = begin; i-- > 0; left /= m->e[i]) {
        at[i] = left % m->e[i];
    }
    int changed = 0; /* axes from here on have moved */
    for (int64_t r = begin; r < end; r++) {
        for (int i = changed; i < last; i++) {
            place[i + 1] = place[i] + m->from[i][at[i]];
        }
        if (r > begin && place[last] == before) { /* the same row again */
            memcpy(m->dst + r * row, m->dst + (r - 1) * row, (size_t)row);
        } else {
            copy_row(m, m->src + place[last] * (int64_t)m->size, m->dst + r * row);
        }
        before = place[last];
        for (changed = last - 1; changed >= 0 && ++at[changed] == m->e[changed]; changed--) {
            at[changed] = 0;
        }
        changed = changed < 0 ? 0 : changed;
    }
}

/* ---- Which places ---- */

/* Position `at`, counted from the first kept element, in an axis of n elements. */
static int64_t fold(bool edge, bool wrap, int64_t at, int64_t n)
{
    if (edge) {
        return at < 0 ? 0 : at >= n ? n - 1 : at;
    }
    int64_t period = wrap ? n : n > 1 ? 2 * (n - 1) : 1, rest = at % period;
    rest += rest < 0 ? period : 0;
    return rest < n ? rest : period - rest;
}

static lathe_status map_pad(const lathe_call *call, const lathe_buffer *x, int64_t *const *maps, lathe_diag *diag)
{
    const lathe_problem *p = call->problem;
    const lathe_buffer *y = &call->out[0];
    bool edge = lt_attr_is(p->attrs, p->n_attrs, "mode", "edge", "constant"),
         wrap = lt_attr_is(p->attrs, p->n_attrs, "mode", "wrap", "constant");
    int64_t low[LATHE_MAX_RANK] = { 0 }, high[LATHE_MAX_RANK] = { 0 };
    uint16_t n_pads, n_axes;
    const lathe_operand *pads = lt_root_operand(p, 1, &n_pads), *axes = lt_root_operand(p, 3, &n_axes);
    int64_t n = call->in[n_pads].rank == 1 ? call->in[n_pads].dims[0] / 2 : -1;
    if (n < 0 || n > x->rank || (axes && (call->in[n_axes].rank != 1 || call->in[n_axes].dims[0] != n))) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, p->op, NULL, "pads and axes do not go together");
    }
    for (int64_t i = 0; i < n; i++) {
        int64_t axis = axes ? lt_load_i64(axes->dtype, call->in[n_axes].data, i) : i;
        axis += axis < 0 ? x->rank : 0;
        if (axis < 0 || axis >= x->rank) {
            return LT_FAIL(diag, LATHE_BAD_SHAPE, p->op, NULL, "no axis %lld", (long long)axis);
        }
        low[axis] = lt_load_i64(pads->dtype, call->in[n_pads].data, i);
        high[axis] = lt_load_i64(pads->dtype, call->in[n_pads].data, i + n);
    }
    for (int k = 0; k < x->rank; k++) {
        int64_t d = x->dims[k];
        if (low[k] < -d || high[k] < -d || low[k] > y->dims[k] || high[k] > y->dims[k]) {
            return LT_FAIL(diag, LATHE_BAD_SHAPE, p->op, NULL, "pads of axis %d do not fit the output", k);
        }
        int64_t skip = low[k] < 0 ? -low[k] : 0, kept = d - skip - (high[k] < 0 ? -high[k] : 0),
                shift = low[k] > 0 ? low[k] : 0;
        if (kept <= 0) {
            return LT_FAIL(diag, LATHE_BAD_SHAPE, p->op, NULL, "axis %d has no elements to repeat", k);
        }
        for (int64_t i = 0; i < y->dims[k]; i++) {
            maps[k][i] = skip + fold(edge, wrap, i - shift, kept);
        }
    }
    return LATHE_OK;
}

static lathe_status map_resize(const lathe_call *call, int64_t *const *maps, lathe_diag *diag)
{
    lt_resize_form form;
    lt_resize_line lines[LATHE_MAX_RANK];
    lathe_fit ignored;
    LT_CHECK(diag, lt_resize_fits(call->problem, &form, &ignored), call->problem->op);
    LT_TRY(lt_resize_read(call, &form, lines, diag));
    for (int k = 0; k < call->out[0].rank; k++) {
        LT_TRY(lt_resize_nearest(&form, &lines[k], maps[k], diag));
    }
    return LATHE_OK;
}

/* ---- The tactic ---- */

static int fits(const lathe_problem *p, uint32_t config, lathe_fit *fit)
{
    const uint32_t unplanned = LATHE_OPERAND_MANAGED | LATHE_OPERAND_BOUNDED | LATHE_OPERAND_ABSENT;
    uint16_t nx;
    lt_resize_form form;
    const lathe_operand *x = lt_root_operand(p, 0, &nx), *y = &p->out[0];
    if (p->n_instrs > 0 || p->n_out != 1 || !x || ((x->flags | y->flags) & unplanned) || x->rank < 1 ||
        y->rank != x->rank) {
        return lt_no(fit, "part of a group, or operands without planned extents");
    }
    unsigned bits = lathe_dtype_bits(x->dtype);
    if (bits < 8 || bits > 128 || y->dtype != x->dtype) {
        return lt_no(fit, "elements of %u bits", bits);
    }
    if (is_pad(p)) {
        const lathe_operand *axes = lt_root_operand(p, 3, NULL), *pads = lt_root_operand(p, 1, NULL);
        bool known = pads && pads->dtype == LATHE_DTYPE_I64 &&
                     (!axes || axes->dtype == LATHE_DTYPE_I32 || axes->dtype == LATHE_DTYPE_I64);
        if (!known || lt_attr_is(p->attrs, p->n_attrs, "mode", "constant", "constant")) {
            return lt_no(fit, "pads with a constant");
        }
    } else if (!lt_resize_fits(p, &form, fit)) {
        return 0;
    } else if (form.coords == LT_COORDS_CROP) {
        return lt_no(fit, "crops");
    } else if (form.taps != 1) {
        return lt_no(fit, "interpolates between %d neighbours", form.taps);
    }
    if (config == 1) {
        if (x->rank != 4 || (x->flags & (LATHE_OPERAND_CONSTANT | LATHE_OPERAND_HOST))) {
            return lt_no(fit, "rank %d, or a constant", x->rank);
        }
        fit->in[nx] = lt_format_permuted(x->dtype, channels_last, 4, fit->in[nx].space);
        fit->out[0] = lt_format_permuted(x->dtype, channels_last, 4, fit->out[0].space);
    }
    double elements = lt_operand_elements(y), row = (double)y->dims[config == 1 ? 1 : y->rank - 1].opt;
    bool runs = is_pad(p) || (config == 1 && x->dims[1].opt == y->dims[1].opt);
    fit->cost = 500 + elements * bits / 8 * 0.05 + elements / (row > 1 ? row : 1) * (config == 1 || !runs ? 12 : 20) + (runs ? 0 : elements * 0.4);
    return 1;
}

static size_t table_bytes(const lathe_buffer *y)
{
    size_t all = 0;
    for (int i = 0; i < y->rank; i++) {
        all += (size_t)y->dims[i] * sizeof(int64_t);
    }
    return (all + 63) / 64 * 64;
}

static size_t scratch_bytes(const lathe_problem *problem, uint32_t config, const lathe_buffer *in,
                            const lathe_buffer *out, int threads)
{
    (void)problem, (void)config, (void)in;
    return table_bytes(&out[0]) * (size_t)threads;
}

static lathe_status run(const lathe_gang *gang, const lathe_call *call, lathe_diag *diag)
{
    const lathe_problem *p = call->problem;
    uint16_t nx;
    size_t size = lathe_dtype_bits(lt_root_operand(p, 0, &nx)->dtype) / 8;
    const lathe_buffer *x = &call->in[nx], *y = &call->out[0];
    int64_t *maps[LATHE_MAX_RANK], xs[LATHE_MAX_RANK];
    int64_t *table = (int64_t *)(void *)((char *)call->scratch + table_bytes(y) * (size_t)gang->index);
    if (x->rank != y->rank || !lt_extents_sane(x->rank, x->dims) || !lt_extents_sane(y->rank, y->dims) ||
        !lt_format_strides(&p->in[nx].format, x, xs)) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, p->op, NULL, "input and output differ in rank");
    }
    for (int k = 0; k < y->rank; k++) {
        if (y->dims[k] == 0) {
            return LATHE_OK;
        }
        maps[k] = table;
        table += y->dims[k];
    }
    LT_TRY(is_pad(p) ? map_pad(call, x, maps, diag) : map_resize(call, maps, diag));
    mapping m = { .rank = y->rank, .size = size, .src = x->data, .dst = y->data };
    for (int i = 0; i < y->rank; i++) {
        int k = p->out[0].format.order[i];
        m.e[i] = y->dims[k];
        m.from[i] = maps[k];
        for (int64_t c = 0; c < y->dims[k]; c++) {
            maps[k][c] *= xs[k];
        }
    }
    find_runs(&m);
    copy_rows(&m, gang);
    return LATHE_OK;
}

LT_TACTICS(move_maps) = {
    { .struct_size = sizeof(lathe_tactic),
      .name = "move.map",
      .version = 1,
      .summary = "elements from places that tables tell: nearest neighbours, reflections",
      .ops = "Resize Pad",
      .device = LATHE_SPACE_HOST,
      .configs = 2,
      .fits = fits,
      .scratch_bytes = scratch_bytes,
      .run = run },
    { .name = NULL },
};
