/*
 * pad.c - Pad: a border around a tensor, filled with a constant, its edge, its reflection or itself repeated;
 * negative pads crop.
 */
#include "ops/move.h"

typedef enum pad_mode { PAD_CONSTANT, PAD_REFLECT, PAD_EDGE, PAD_WRAP, PAD_BAD } pad_mode;

static pad_mode read_mode(const lathe_attr *attrs, size_t n_attrs)
{
    static const char *const names[] = { "constant", "reflect", "edge", "wrap" };
    for (int k = 0; k < PAD_BAD; k++) {
        if (lt_attr_is(attrs, n_attrs, "mode", names[k], "constant")) {
            return (pad_mode)k;
        }
    }
    return PAD_BAD;
}

/* ---- Inference ---- */

static lathe_status put_padded(lt_infer *c, const lt_dim *pads)
{
    lt_dim v[LT_CONTENTS_MAX], fill[LT_CONTENTS_MAX] = { lt_dim_const(0) }, all[LT_CONTENTS_MAX];
    int64_t count, one = 1;
    bool filled = c->n_in > 2 && c->in[2] != NULL;
    LT_TRY(lt_move_contents(c, 0, v, &count));
    if (filled) {
        LT_TRY(lt_move_contents(c, 2, fill, &one));
    }
    lt_dim total = c->out[0].rank == 1 ? c->out[0].dims[0] : LT_UNKNOWN_DIM;
    bool constant = read_mode(c->attrs, c->n_attrs) == PAD_CONSTANT;
    if (!constant || count < 0 || one != 1 || !lt_dim_is_const(total) || total.k < 0 || total.k > LT_CONTENTS_MAX ||
        !lt_dim_is_const(pads[0])) {
        return LATHE_OK;
    }
    for (int64_t k = 0; k < total.k; k++) {
        int64_t from = k - pads[0].k;
        all[k] = from >= 0 && from < count ? v[from] : fill[0];
    }
    return lt_infer_set_contents(c, 0, all, total.k);
}

static lathe_status infer_pad(lt_infer *c)
{
    const lt_type *x = c->in[0];
    lt_dim pads[LT_CONTENTS_MAX], dims[LATHE_MAX_RANK];
    int axes[LATHE_MAX_RANK], n_axes;
    int64_t count, length, fill;
    LT_TRY(lt_move_length(c, 2, &fill));
    if (fill >= 0 && fill != 1) {
        return lt_infer_fail(c, "constant_value has %lld elements instead of 1", (long long)fill);
    }
    if (read_mode(c->attrs, c->n_attrs) == PAD_BAD) {
        return lt_infer_fail(c, "mode must be constant, reflect, edge or wrap");
    }
    if (x->rank < 0) {
        return lt_infer_out(c, 0, x->dtype, -1, NULL);
    }
    LT_TRY(lt_move_length(c, 3, &length));
    LT_TRY(lt_infer_axes(c, NULL, 3, x->rank, axes, &n_axes));
    if (c->n_in <= 3 || c->in[3] == NULL) {
        for (n_axes = 0; n_axes < x->rank; n_axes++) {
            axes[n_axes] = n_axes;
        }
    }
    LT_TRY(lt_move_length(c, 1, &length));
    if (length >= 0 && n_axes >= 0 && length != 2 * n_axes) {
        return lt_infer_fail(c, "%lld pads for %d axes", (long long)length, n_axes);
    }
    LT_TRY(lt_infer_ints(c, 1, pads, &count));
    for (int k = 0; k < x->rank; k++) {
        dims[k] = n_axes < 0 ? LT_UNKNOWN_DIM : x->dims[k];
    }
    for (int i = 0; i < n_axes; i++) {
        lt_dim *d = &dims[axes[i]];
        if (count < 0) {
            *d = LT_UNKNOWN_DIM;
            continue;
        }
        LT_TRY(lt_dim_add(c->dims, *d, pads[i], d, c->diag));
        LT_TRY(lt_dim_add(c->dims, *d, pads[i + n_axes], d, c->diag));
        if (lt_dim_is_const(*d) && d->k < 0) {
            return lt_infer_fail(c, "pads of axis %d crop more than there is", axes[i]);
        }
    }
    LT_TRY(lt_move_out(c, 0, x->dtype, x->rank, dims));
    return x->rank == 1 && n_axes == 1 && count == 2 ? put_padded(c, pads) : LATHE_OK;
}

/* ---- Evaluation ---- */

/* Position `at`, counted from the first kept element, mapped into n elements; n > 0. */
static int64_t fold(pad_mode mode, int64_t at, int64_t n)
{
    if (mode == PAD_EDGE) {
        return at < 0 ? 0 : at >= n ? n - 1 : at;
    }
    int64_t period = mode == PAD_WRAP ? n : n > 1 ? 2 * (n - 1) : 1;
    int64_t rest = at % period;
    rest = rest < 0 ? rest + period : rest;
    return rest < n ? rest : period - rest;
}

/* Input index of every output index of an axis; -1: the fill value. */
static lathe_status map_axis(lt_eval *c, pad_mode mode, int axis, int64_t d, int64_t begin, int64_t end, int64_t out,
                             int64_t *map)
{
    int64_t low = begin < 0 ? -begin : 0, kept = d - low - (end < 0 ? -end : 0), shift = begin > 0 ? begin : 0;
    for (int64_t k = 0; k < out; k++) {
        if (mode == PAD_CONSTANT) {
            int64_t from = k - begin;
            map[k] = from >= 0 && from < d ? from : -1;
        } else if (kept <= 0) {
            return lt_eval_fail(c, "axis %d has no elements to repeat", axis);
        } else {
            map[k] = low + fold(mode, k - shift, kept);
        }
    }
    return LATHE_OK;
}

/* Reads pads and axes into begin and end of every axis. */
static lathe_status read_pads(lt_eval *c, int rank, int64_t *begin, int64_t *end)
{
    const int64_t *pads, *axes;
    int64_t n, n_axes;
    LT_TRY(lt_eval_ints(c, 1, &pads, &n));
    LT_TRY(lt_eval_ints(c, 3, &axes, &n_axes));
    for (int64_t i = 0; i < n / 2; i++) {
        int64_t axis = axes == NULL ? i : axes[i] < 0 ? axes[i] + rank : axes[i];
        begin[axis] = pads[i];
        end[axis] = pads[i + n / 2];
    }
    return LATHE_OK;
}

static lathe_status eval_pad(lt_eval *c)
{
    const lt_tensor *x = lt_in(c, 0), *value = lt_in(c, 2);
    lt_tensor *y = lt_out(c, 0);
    int64_t begin[LATHE_MAX_RANK] = { 0 }, end[LATHE_MAX_RANK] = { 0 }, *maps[LATHE_MAX_RANK];
    char zero[16] = { 0 };
    lt_raw in, out, fill = { .data = zero };
    if (y == NULL || lt_tensor_count(y) == 0) {
        return LATHE_OK;
    }
    LT_TRY(read_pads(c, x->rank, begin, end));
    for (int k = 0; k < y->rank; k++) {
        maps[k] = lt_eval_scratch(c, y->dims[k], sizeof(int64_t));
        if (maps[k] == NULL) {
            return LATHE_OUT_OF_MEMORY;
        }
        LT_TRY(map_axis(c, read_mode(c->attrs, c->n_attrs), k, x->dims[k], begin[k], end[k], y->dims[k], maps[k]));
    }
    LT_TRY(lt_raw_in(c, x, &in));
    if (value != NULL) {
        LT_TRY(lt_raw_in(c, value, &fill));
    }
    LT_TRY(lt_raw_out(c, y, &out));
    lt_map_copy(x->rank, x->dims, y->dims, maps, in.elem, lt_tensor_count(x) > 0 ? in.data : NULL, out.data, fill.data);
    return lt_raw_done(c, y, &out);
}

static const lt_attr_spec attrs_pad[] = { { "mode", LATHE_ATTR_STRING, false }, { 0 } };

static const char *const samples_pad[] = {
    "f32[2,3] x = rand(1), i64[4] p = {1, 0, 2, 3} | y = Pad (x, p)",
    "f32[3,4] x = rand(1), i64[4] p = {-1, 2, 1, -2}, f32[] v = {1.5} | y = Pad (x, p, v)",
    "f32[2,3,5] x = rand(1), i64[4] p = {2, 1, 3, 2} , i32[2] a = {-1, 1} | y = Pad <mode = \"reflect\"> (x, p, \"\", "
    "a)",
    "i32[2,3] x = iota, i64[4] p = {0, 4, 1, 2} | y = Pad <mode = \"edge\"> (x, p)",
    "f64[2,3] x = rand(1), i64[4] p = {3, 1, 1, 4} | y = Pad <mode = \"wrap\"> (x, p)",
    NULL,
};

LT_OPS(pad) = {
    {
        .name = "Pad",
        .since = 25,
        .host_inputs = 1u << 1 | 1u << 3,
        .sig = "(T data, i64 pads, T? constant_value, I? axes) -> (T output); T: all, I: i32 i64",
        .attrs = attrs_pad,
        .infer = infer_pad,
        .eval = eval_pad,
        .samples = samples_pad,
    },
    { 0 },
};
