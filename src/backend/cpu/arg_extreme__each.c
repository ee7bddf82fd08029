/*
 * arg_extreme__each.c - tactic fold.arg: ArgMax, ArgMin and Hardmax of f32. Along the last axis the extreme is found first and then where it stands; along
 * others columns are folded side by side. A NaN beats every number, as in the reference.
 */
#include "backend/cpu/product.h"
#include "backend/cpu/vectors.inc"

#include "backend/cpu/vector_math.inc"

#include "backend/cpu/vector_parts.inc"

enum { COLUMNS = 256 };

typedef struct job {
    const float *x;
    int64_t *y;  /* of ArgMax and ArgMin */
    float *ones; /* of Hardmax: 1 where the index would stand for, else 0 */
    int64_t length, inner;
    bool least, last; /* last: of equals, the one with the largest index */
} job;

/* ---- Along the last axis ---- */

/* Numbers of which the larger wins. */
INLINE vf turned(const job *j, vf x)
{
    return j->least ? -x : x;
}

static float extreme_of(const job *j, const float *x)
{
    int64_t n = j->length, i = 0;
    float first = j->least ? -x[0] : x[0];
    vf a = splat(first), b = a, c = a, d = a;
    for (; i + 4 * VL <= n; i += 4 * VL) {
        a = vmax(a, turned(j, load_part(x + i, 0)));
        b = vmax(b, turned(j, load_part(x + i + VL, 0)));
        c = vmax(c, turned(j, load_part(x + i + 2 * VL, 0)));
        d = vmax(d, turned(j, load_part(x + i + 3 * VL, 0)));
    }
    for (; i + VL <= n; i += VL) {
        a = vmax(a, turned(j, load_part(x + i, 0)));
    }
    a = vmax(vmax(a, b), vmax(c, d));
    float best = a[0];
    for (int k = 1; k < VL; k++) {
        best = a[k] > best || a[k] != a[k] ? a[k] : best;
        if (best != best) {
            return best;
        }
    }
    for (; i < n; i++) {
        float v = j->least ? -x[i] : x[i];
        best = v > best || v != v ? v : best;
        if (best != best) {
            return best;
        }
    }
    return best;
}

static bool is_it(float v, float best)
{
    return best != best ? v != v : v == best;
}

/* Is the number in any of VL places? */
INLINE bool among(const float *x, float best)
{
    vf v = load_part(x, 0);
    vi hit = best != best ? (vi)(v != v) : (vi)(v == splat(best));
    int32_t any = 0;
    for (int k = 0; k < VL; k++) {
        any |= hit[k];
    }
    return any != 0;
}

static int64_t place_of(const job *j, const float *x, float best)
{
    int64_t n = j->length;
    if (j->last) {
        int64_t i = n;
        for (; i >= VL && !among(x + i - VL, best); i -= VL) {
        }
        while (i > 1 && !is_it(x[i - 1], best)) {
            i--;
        }
        return i - 1;
    }
    int64_t i = 0;
    for (; i + VL <= n && !among(x + i, best); i += VL) {
    }
    while (i < n - 1 && !is_it(x[i], best)) {
        i++;
    }
    return i;
}

static void one_row(const job *j, int64_t row)
{
    const float *x = j->x + row * j->length;
    float best = extreme_of(j, x);
    int64_t at = place_of(j, x, j->least ? -best : best);
    if (j->ones) {
        memset(j->ones + row * j->length, 0, (size_t)j->length * sizeof *j->ones);
        j->ones[row * j->length + at] = 1;
    } else {
        j->y[row] = at;
    }
}

/* ---- Along another axis ---- */

static void some_columns(const job *j, const float *x, int n, int64_t *y)
{
    vf best[COLUMNS / VL];
    vi index[COLUMNS / VL];
    int parts = (n + VL - 1) / VL;
    for (int p = 0; p < parts; p++) {
        best[p] = load_part(x + p * VL, n - p * VL < VL ? n - p * VL : 0);
        index[p] = (vi){ 0 };
    }
    for (int64_t s = 1; s < j->length; s++) {
        vi now = (vi){ 0 } + (int32_t)s;
        for (int p = 0; p < parts; p++) {
            vf v = load_part(x + s * j->inner + p * VL, n - p * VL < VL ? n - p * VL : 0), b = best[p];
            vi nan = (vi)(v != v), better = j->least ? (vi)(v < b) : (vi)(v > b);
            vi take = j->last ? nan | better | (vi)(v == b) : (nan & (vi)(b == b)) | better;
            best[p] = choose(take, v, b);
            index[p] = (now & take) | (index[p] & ~take);
        }
    }
    for (int i = 0; i < n; i++) {
        y[i] = index[i / VL][i % VL];
    }
}

/* n columns of Hardmax, the first at `ones`. */
static void hard_columns(const job *j, const float *x, int n, float *ones)
{
    int64_t index[COLUMNS];
    some_columns(j, x, n, index);
    for (int64_t s = 0; s < j->length; s++) {
        memset(ones + s * j->inner, 0, (size_t)n * sizeof *ones);
    }
    for (int i = 0; i < n; i++) {
        ones[index[i] * j->inner + i] = 1;
    }
}

/* ---- The tactic ---- */

ASKED static bool is_hard(const lathe_problem *p)
{
    return p->op[0] == 'H';
}

ASKED static int fits(const lathe_problem *p, uint32_t config, lathe_fit *fit)
{
    const lathe_operand *x = lt_root_operand(p, 0, NULL), *y = &p->out[0];
    (void)config;
    if (p->n_instrs > 0 || p->n_out != 1 || !x || x->rank < 1 || (x->flags & LATHE_OPERAND_MANAGED)) {
        return lt_no(fit, "part of a group, or an input of no or unknown rank");
    }
    if (x->dtype != LATHE_DTYPE_F32 || y->dtype != (is_hard(p) ? LATHE_DTYPE_F32 : LATHE_DTYPE_I64) ||
        (y->flags & (LATHE_OPERAND_MANAGED | LATHE_OPERAND_BOUNDED | LATHE_OPERAND_ABSENT))) {
        return lt_no(fit, "of %s, or the output has no planned extents", lathe_dtype_name(x->dtype));
    }
    double in = lt_operand_elements(x), out = lt_operand_elements(y);
    fit->cost = 200 + in * (ISA.nr >= 32 ? 0.3 : ISA.nr >= 16 ? 0.4 : 0.8) + out * (is_hard(p) ? 0.2 : 3);
    return 1;
}

static lathe_status run(const lathe_gang *gang, const lathe_call *call, lathe_diag *diag)
{
    const lathe_problem *p = call->problem;
    uint16_t nx;
    (void)lt_root_operand(p, 0, &nx);
    const lathe_buffer *x = &call->in[nx], *y = &call->out[0];
    int64_t axis = lt_attr_i(p->attrs, p->n_attrs, "axis", is_hard(p) ? -1 : 0), outer, results, begin, end;
    job j = { .x = x->data,
              .y = y->data,
              .ones = is_hard(p) ? y->data : NULL,
              .least = p->op[3] == 'M' && p->op[4] == 'i',
              .last = lt_attr_i(p->attrs, p->n_attrs, "select_last_index", 0) != 0 };
    axis += axis < 0 ? x->rank : 0;
    if (axis < 0 || axis >= x->rank || !lt_extents_sane(x->rank, x->dims) || !lt_dims_count(y->dims, y->rank, &results) ||
        !lt_dims_count(x->dims, (int)axis, &outer) || !lt_dims_count(x->dims + axis + 1, x->rank - (int)axis - 1, &j.inner) ||
        results != outer * j.inner * (is_hard(p) ? x->dims[axis] : 1)) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, p->op, NULL, "no such axis, or the output has other extents");
    }
    j.length = x->dims[axis];
    results = is_hard(p) && results > 0 ? outer * j.inner : results;
    if (results > 0 && (j.length == 0 || j.length > INT32_MAX)) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, p->op, NULL, "one of %lld elements is to be chosen", (long long)j.length);
    }
    if (j.inner == 1) {
        lathe_gang_split(gang, results, 1, &begin, &end);
        for (int64_t i = begin; i < end; i++) {
            one_row(&j, i);
        }
        return LATHE_OK;
    }
    int64_t parts = (j.inner + COLUMNS - 1) / COLUMNS;
    lathe_gang_split(gang, results > 0 ? outer * parts : 0, 1, &begin, &end);
    for (int64_t u = begin; u < end; u++) {
        int64_t o = u / parts, first = u % parts * COLUMNS;
        int n = j.inner - first < COLUMNS ? (int)(j.inner - first) : COLUMNS;
        int64_t from = o * j.length * j.inner + first;
        if (j.ones) {
            hard_columns(&j, j.x + from, n, j.ones + from);
        } else {
            some_columns(&j, j.x + from, n, j.y + o * j.inner + first);
        }
    }
    return LATHE_OK;
}

LT_TACTICS(LT_EACH(arg_extreme)) = {
    { .struct_size = sizeof(lathe_tactic),
      .name = "fold.arg." ISA_NAME,
      .version = 1,
      .summary = "ArgMax, ArgMin and Hardmax of f32",
      .ops = "ArgMax ArgMin Hardmax",
      .device = LATHE_SPACE_HOST,
      .cpu_features = ISA_FEATURES,
      .configs = 1,
      .fits = fits,
      .run = run },
    { .name = NULL },
};
