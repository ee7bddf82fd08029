/*
 * split.c - Split: a tensor cut along an axis into outputs of given or equal extents.
 */
#include "ops/move.h"

/* More outputs than this come from no exporter; the bound keeps inference's memory fixed. */
enum { MAX_OUTPUTS = 1024 };

/* Extent of piece i of n of an axis of constant extent d: chunks rounded up, the last ones smaller. */
static int64_t chunk(int64_t d, int64_t n, int64_t i)
{
    int64_t size = d / n + (d % n != 0), left;
    if (!lt_i64_mul(size, i, &left) || left >= d) {
        return 0;
    }
    return d - left < size ? d - left : size;
}

static lathe_status chunk_dim(lt_infer *c, lt_dim d, int i, lt_dim *out)
{
    lt_dim size, left, at;
    int n = c->n_out;
    if (lt_dim_is_const(d)) {
        *out = lt_dim_const(chunk(d.k, n, i));
        return LATHE_OK;
    }
    LT_TRY(lt_dim_make(c->dims, LT_DIM_CEILDIV, d, lt_dim_const(n), &size, c->diag));
    LT_TRY(lt_dim_mul(c->dims, size, lt_dim_const(n), &at, c->diag));
    if (i == 0 || lt_dim_same(at, d)) {
        *out = size;
        return LATHE_OK;
    }
    LT_TRY(lt_dim_mul(c->dims, size, lt_dim_const(i), &at, c->diag));
    LT_TRY(lt_dim_sub(c->dims, d, at, &left, c->diag));
    if (n == 2) {
        *out = left; /* never negative and never above the half */
        return LATHE_OK;
    }
    LT_TRY(lt_move_min(c, left, size, &left));
    return lt_move_max(c, left, lt_dim_const(0), out);
}

/*
 * The elements of `split`: a constant one may be longer than contents are; its length has been compared with the
 * number of outputs.
 */
static lathe_status read_given(lt_infer *c, lt_dim *given, int64_t *count)
{
    const lt_tensor *value = c->values != NULL ? c->values[1] : NULL;
    if (value == NULL || value->rank != 1 || value->dims[0] != c->n_out) {
        return lt_infer_ints(c, 1, given, count);
    }
    for (int i = 0; i < c->n_out; i++) {
        given[i] = lt_dim_const(lt_load_i64(value->dtype, value->data, i));
    }
    *count = c->n_out;
    return LATHE_OK;
}

/* Extents of the outputs along the axis. */
static lathe_status piece_dims(lt_infer *c, lt_dim d, lt_dim *pieces)
{
    lt_dim given[MAX_OUTPUTS], sum = lt_dim_const(0), joined;
    int64_t count, length, outputs = lt_attr_i(c->attrs, c->n_attrs, "num_outputs", c->n_out);
    bool has_input = c->n_in > 1 && c->in[1] != NULL;
    if (outputs != c->n_out) {
        return lt_infer_fail(c, "num_outputs is %lld, the node has %d outputs", (long long)outputs, c->n_out);
    }
    if (!has_input) {
        for (int i = 0; i < c->n_out; i++) {
            LT_TRY(chunk_dim(c, d, i, &pieces[i]));
        }
        return LATHE_OK;
    }
    LT_TRY(lt_move_length(c, 1, &length));
    if (length >= 0 && length != c->n_out) {
        return lt_infer_fail(c, "split has %lld elements, the node has %d outputs", (long long)length, c->n_out);
    }
    LT_TRY(read_given(c, given, &count));
    for (int i = 0; i < c->n_out; i++) {
        if (count < 0) {
            LT_TRY(lt_infer_fresh(c, lt_dim_const(0), d, &pieces[i]));
            continue;
        }
        if (lt_dim_is_const(given[i]) && given[i].k < 0) {
            return lt_infer_fail(c, "extent %lld of output %d is negative", (long long)given[i].k, i);
        }
        pieces[i] = given[i];
        LT_TRY(lt_dim_add(c->dims, sum, given[i], &sum, c->diag));
    }
    return count < 0 ? LATHE_OK : lt_move_equal(c, sum, d, "the sum of split and the extent of the axis", &joined);
}

static lathe_status put_pieces(lt_infer *c, const lt_dim *pieces)
{
    lt_dim v[LT_CONTENTS_MAX];
    int64_t count, at = 0;
    LT_TRY(lt_move_contents(c, 0, v, &count));
    if (c->in[0]->rank != 1 || count < 0) {
        return LATHE_OK;
    }
    for (int i = 0; i < c->n_out; i++) {
        if (!lt_dim_is_const(pieces[i]) || pieces[i].k < 0 || pieces[i].k > count - at) {
            return LATHE_OK;
        }
        LT_TRY(lt_infer_set_contents(c, i, v + at, pieces[i].k));
        at += pieces[i].k;
    }
    return LATHE_OK;
}

static lathe_status infer_split(lt_infer *c)
{
    const lt_type *x = c->in[0];
    lt_dim dims[LATHE_MAX_RANK], pieces[MAX_OUTPUTS];
    int axis;
    if (c->n_out > MAX_OUTPUTS) {
        return LT_FAIL(c->diag, LATHE_UNSUPPORTED, c->where, NULL, "Split: %d outputs; at most %d are possible",
                       c->n_out, MAX_OUTPUTS);
    }
    if (x->rank < 0) {
        for (int i = 0; i < c->n_out; i++) {
            LT_TRY(lt_infer_out(c, i, x->dtype, -1, NULL));
        }
        return LATHE_OK;
    }
    LT_TRY(lt_infer_axis(c, lt_attr_i(c->attrs, c->n_attrs, "axis", 0), x->rank, &axis));
    LT_TRY(piece_dims(c, x->dims[axis], pieces));
    for (int i = 0; i < c->n_out; i++) {
        for (int k = 0; k < x->rank; k++) {
            dims[k] = k == axis ? pieces[i] : x->dims[k];
        }
        LT_TRY(lt_infer_out(c, i, x->dtype, x->rank, dims));
    }
    return put_pieces(c, pieces);
}

static lathe_status eval_split(lt_eval *c)
{
    const lt_tensor *x = lt_in(c, 0);
    const int64_t *given;
    int64_t n, at = 0;
    lt_axis_span span = lt_span(x->rank, x->dims, lt_eval_axis(c, "axis", 0, x->rank));
    size_t elem = lt_elem_bytes(x->dtype), row = (size_t)(span.extent * span.inner) * elem;
    LT_TRY(lt_eval_ints(c, 1, &given, &n));
    for (int i = 0; i < c->n_out; i++) {
        int64_t extent = given != NULL ? given[i] : chunk(span.extent, c->n_out, i);
        size_t block = (size_t)(extent * span.inner) * elem;
        lt_tensor *y = lt_out(c, i);
        for (int64_t o = 0; y != NULL && block > 0 && o < span.outer; o++) {
            const char *src = (const char *)x->data + (size_t)o * row + (size_t)(at * span.inner) * elem;
            lt_copy_bytes((char *)y->data + (size_t)o * block, src, block);
        }
        at += extent;
        if (y != NULL) {
            LT_TRY(lt_own_strings(c, y));
        }
    }
    return LATHE_OK;
}

static const lt_attr_spec attrs_split[] = { { "axis", LATHE_ATTR_INT, false },
                                            { "num_outputs", LATHE_ATTR_INT, false },
                                            { 0 } };

static const char *const samples_split[] = {
    "f32[2,7] x = rand(1), i64[3] s = {2, 4, 1} | a, b, d = Split <axis = 1> (x, s)",
    "f32[7,2] x = rand(1) | a, b, d = Split <num_outputs = 3> (x)",
    "i16[3,4] x = iota | a, b = Split <axis = -1, num_outputs = 2> (x)",
    "f64[0,2] x = rand(1), i64[2] s = {0, 0} | a, b = Split (x, s)",
    NULL,
};

LT_OPS(split) = {
    {
        .name = "Split",
        .since = 18,
        .host_inputs = 1u << 1,
        .sig = "(T input, i64? split) -> (T... outputs); T: " LT_PLAIN,
        .attrs = attrs_split,
        .infer = infer_split,
        .eval = eval_split,
        .samples = samples_split,
    },
    { 0 },
};
