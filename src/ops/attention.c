/*
 * attention.c - Attention: softmax(scale * Q K' + mask) V over heads, with grouped heads, a cache of keys and values, causal and sliding windows. ONNX writes
 * a row all of whose keys are hidden as zeros.
 */
#include "ops/attend.h"

#include <math.h>

enum { Q, K, V, MASK, PAST_KEY, PAST_VALUE, NONPAD };

/* ---- Inference ---- */

static lathe_status equal(lt_infer *c, lt_dim a, lt_dim b, const char *what)
{
    return lt_dim_is_const(a) && lt_dim_is_const(b) && a.k != b.k
               ? lt_infer_fail(c, "%s: %lld and %lld", what, (long long)a.k, (long long)b.k)
               : LATHE_OK;
}

/* Extents as [batch, heads, rows, lanes], whatever the rank. */
static lathe_status four(lt_infer *c, const lt_type *t, const char *heads_name, lt_dim out[4])
{
    int64_t heads = lt_attr_i(c->attrs, c->n_attrs, heads_name, 0);
    if (t->rank == 4) {
        for (int i = 0; i < 4; i++) {
            out[i] = t->dims[i];
        }
        return LATHE_OK;
    }
    if (t->rank != 3 || heads < 1 || (lt_dim_is_const(t->dims[2]) && t->dims[2].k % heads != 0)) {
        return lt_infer_fail(
            c, "rank %d with %s = %lld is not possible: rank 3 and a number of heads that divides the width, or rank 4",
            t->rank, heads_name, (long long)heads);
    }
    out[0] = t->dims[0];
    out[1] = lt_dim_const(heads);
    out[2] = t->dims[1];
    return lt_dim_make(c->dims, LT_DIM_FLOORDIV, t->dims[2], lt_dim_const(heads), &out[3], c->diag);
}

static bool given(const lt_infer *c, int i)
{
    return i < c->n_in && c->in[i] != NULL;
}

static lathe_status check_windows(lt_infer *c)
{
    if (lt_attr_i(c->attrs, c->n_attrs, "left_window_size", -1) < -1 ||
        lt_attr_i(c->attrs, c->n_attrs, "right_window_size", -1) < -1) {
        return lt_infer_fail(c, "a window size is below -1");
    }
    int64_t mode = lt_attr_i(c->attrs, c->n_attrs, "qk_matmul_output_mode", 0);
    if (mode < 0 || mode > 3) {
        return lt_infer_fail(c, "qk_matmul_output_mode %lld; 0 to 3 are possible", (long long)mode);
    }
    if (given(c, PAST_KEY) != given(c, PAST_VALUE)) {
        return lt_infer_fail(c, "past_key and past_value go together");
    }
    return given(c, NONPAD) && given(c, PAST_KEY) ? lt_infer_fail(c, "nonpad_kv_seqlen and a cache exclude each other")
                                                  : LATHE_OK;
}

/* Types alone can be told. */
static lathe_status open_ranks(lt_infer *c)
{
    static const int like[] = { Q, K, V, Q };
    for (int i = 0; i < (int)LT_COUNT(like); i++) {
        LT_TRY(lt_infer_out(c, i, c->in[like[i]]->dtype, -1, NULL));
    }
    return LATHE_OK;
}

/* What the cache holds must have the form of what is added to it, and keys and values the same number of rows. */
static lathe_status past_fits(lt_infer *c, const lt_type *past, const lt_dim added[4], lt_dim rows)
{
    if (past->rank < 0) {
        return LATHE_OK;
    }
    if (past->rank != 4) {
        return lt_infer_fail(c, "past_value has rank %d instead of 4", past->rank);
    }
    LT_TRY(equal(c, past->dims[0], added[0], "the cache and what is added to it differ in batches"));
    LT_TRY(equal(c, past->dims[1], added[1], "the cache and what is added to it differ in heads"));
    LT_TRY(equal(c, past->dims[2], rows, "past_key and past_value differ in rows"));
    return equal(c, past->dims[3], added[3], "heads of the cache and of what is added to it differ in size");
}

static lathe_status infer_attention(lt_infer *c)
{
    lt_dim q[4], k[4], v[4], total;
    LT_TRY(check_windows(c));
    if (c->in[Q]->rank < 0 || c->in[K]->rank < 0 || c->in[V]->rank < 0 ||
        (given(c, PAST_KEY) && c->in[PAST_KEY]->rank < 0)) {
        return open_ranks(c);
    }
    LT_TRY(four(c, c->in[Q], "q_num_heads", q));
    LT_TRY(four(c, c->in[K], "kv_num_heads", k));
    LT_TRY(four(c, c->in[V], "kv_num_heads", v));
    LT_TRY(equal(c, q[0], k[0], "batches differ"));
    LT_TRY(equal(c, k[0], v[0], "batches of keys and values differ"));
    LT_TRY(equal(c, q[3], k[3], "heads of queries and keys differ in size"));
    LT_TRY(equal(c, k[1], v[1], "keys and values differ in heads"));
    LT_TRY(equal(c, k[2], v[2], "keys and values differ in number"));
    if (lt_dim_is_const(q[1]) && lt_dim_is_const(k[1]) && (k[1].k == 0 ? q[1].k != 0 : q[1].k % k[1].k != 0)) {
        return lt_infer_fail(c, "%lld heads of keys do not divide %lld heads of queries", (long long)k[1].k,
                             (long long)q[1].k);
    }
    total = k[2];
    if (given(c, PAST_KEY)) {
        if (c->in[PAST_KEY]->rank != 4) {
            return lt_infer_fail(c, "past_key has rank %d instead of 4", c->in[PAST_KEY]->rank);
        }
        LT_TRY(past_fits(c, c->in[PAST_KEY], k, c->in[PAST_KEY]->dims[2]));
        LT_TRY(past_fits(c, c->in[PAST_VALUE], v, c->in[PAST_KEY]->dims[2]));
        LT_TRY(lt_dim_add(c->dims, c->in[PAST_KEY]->dims[2], k[2], &total, c->diag));
    }
    lt_dim y4[] = { q[0], q[1], q[2], v[3] }, y3[] = { q[0], q[2], v[3] }, present_k[] = { k[0], k[1], total, k[3] },
           present_v[] = { v[0], v[1], total, v[3] }, scores[] = { q[0], q[1], q[2], total };
    LT_TRY(lt_dim_mul(c->dims, q[1], v[3], &y3[2], c->diag));
    LT_TRY(c->in[Q]->rank == 4 ? lt_infer_out(c, 0, c->in[Q]->dtype, 4, y4)
                               : lt_infer_out(c, 0, c->in[Q]->dtype, 3, y3));
    LT_TRY(lt_infer_out(c, 1, c->in[K]->dtype, 4, present_k));
    LT_TRY(lt_infer_out(c, 2, c->in[V]->dtype, 4, present_v));
    return lt_infer_out(c, 3, c->in[Q]->dtype, 4, scores);
}

/* ---- Evaluation ---- */

typedef struct attention {
    lt_attend attend;
    const lt_tensor *mask, *nonpad;
    lt_tensor *qk; /* NULL: not wanted */
    int64_t mode, left, right, past, mask_step[4], mask_keys;
    bool causal, cached;
} attention;

/* The size of heads and steps of an operand of rank 3 or 4. */
static lt_attention_steps steps_of(const lt_tensor *x, int64_t heads, int64_t *head)
{
    if (x->rank == 4) {
        *head = x->dims[3];
        return (lt_attention_steps){
            .batch = x->dims[1] * x->dims[2] * x->dims[3], .head = x->dims[2] * x->dims[3], .row = x->dims[3], .lane = 1
        };
    }
    *head = heads > 0 ? x->dims[2] / heads : 0;
    return (lt_attention_steps){ .batch = x->dims[1] * x->dims[2], .head = *head, .row = x->dims[2], .lane = 1 };
}

static double mask_at(const attention *t, int64_t b, int64_t h, int64_t i, int64_t j)
{
    const lt_tensor *m = t->mask;
    if (j >= t->mask_keys) {
        return -INFINITY;
    }
    int64_t at = b * t->mask_step[0] + h * t->mask_step[1] + i * t->mask_step[2] + j * t->mask_step[3];
    return m->dtype != LATHE_DTYPE_BOOL     ? lt_load_f64(m->dtype, m->data, at)
           : ((const uint8_t *)m->data)[at] ? 0
                                            : -INFINITY;
}

/* Mask, causality, window and padding of row i. */
static void addends(void *user, int64_t b, int64_t h, int64_t i, double *bias)
{
    const attention *t = user;
    int64_t valid = t->nonpad != NULL ? lt_load_i64(t->nonpad->dtype, t->nonpad->data, b) : 0;
    int64_t place = i + (t->cached ? t->past : t->nonpad != NULL ? valid - t->attend.a.q_len : 0); /* among the keys */
    for (int64_t j = 0; j < t->attend.a.k_len; j++) {
        bool hidden = (t->causal && j > place) || (t->left >= 0 && place - j > t->left) ||
                      (t->right >= 0 && j - place > t->right) || (t->nonpad != NULL && j >= valid);
        double mask = t->mask != NULL ? mask_at(t, b, h, i, j) : 0;
        bias[j] = hidden ? mask + -INFINITY : mask;
    }
}

static void seen(void *user, int stage, int64_t b, int64_t h, int64_t i, const double *scores)
{
    attention *t = user;
    const lt_attention *a = &t->attend.a;
    if (stage == t->mode) {
        lt_nn_write(t->qk, ((b * a->heads + h) * a->q_len + i) * a->k_len, a->k_len, scores);
    }
}

static lathe_status read_mask(lt_eval *c, attention *t)
{
    const lt_attention *a = &t->attend.a;
    int64_t size[] = { a->batch, a->heads, a->q_len, a->k_len }, step = 1;
    if (t->mask == NULL) {
        return LATHE_OK;
    }
    t->mask_keys = a->k_len;
    for (int i = 3; i >= 0; i--) {
        int at = t->mask->rank - 4 + i;
        int64_t extent = at >= 0 ? t->mask->dims[at] : 1;
        if (i == 3 && at >= 0 && extent <= a->k_len && (extent != 1 || a->k_len == 1)) {
            t->mask_keys = extent; /* what is missing is hidden */
        } else if (extent != 1 && extent != size[i]) {
            return lt_eval_fail(c, "axis %d of the mask has %lld entries instead of %lld", at, (long long)extent,
                                (long long)size[i]);
        }
        t->mask_step[i] = extent == 1 ? 0 : step;
        step *= extent;
    }
    return t->mask->rank <= 4 ? LATHE_OK : lt_eval_fail(c, "the mask has rank %d", t->mask->rank);
}

/* Cached entries, then new ones: [batch, heads, past + rows, head]. */
static lathe_status join(lt_eval *c, const lt_tensor *past, const lt_tensor *fresh, int64_t heads, lt_tensor *wanted,
                         lt_tensor *out)
{
    int64_t head, rows = fresh->dims[fresh->rank - 2], before = past != NULL ? past->dims[2] : 0;
    lt_attention_steps s = steps_of(fresh, heads, &head);
    int64_t dims[] = { fresh->dims[0], heads, before + rows, head };
    if (past != NULL && (past->dims[0] != dims[0] || past->dims[1] != heads || past->dims[3] != head)) {
        return lt_eval_fail(c, "the cache has other heads than what is added to it");
    }
    if (wanted != NULL && wanted->dims[2] != dims[2]) {
        return lt_eval_fail(c, "past_key and past_value differ in rows");
    }
    if (wanted != NULL) {
        *out = *wanted;
    } else {
        LT_TRY(lt_tensor_alloc(c->scratch, out, fresh->dtype, 4, dims, "the cache", c->diag));
    }
    for (int64_t p = 0; p < dims[0] * heads; p++) {
        for (int64_t r = 0; r < dims[2] && head > 0; r++) {
            int64_t to = (p * dims[2] + r) * head,
                    from = p / heads * s.batch + p % heads * s.head + (r - before) * s.row;
            LT_TRY(r < before ? lt_eval_copy(c, out, to, past, (p * before + r) * head, head)
                              : lt_eval_copy(c, out, to, fresh, from, head));
        }
    }
    return LATHE_OK;
}

static lathe_status read_call(lt_eval *c, attention *t)
{
    lt_attention *a = &t->attend.a;
    const lt_tensor *q = lt_in(c, Q), *k = lt_in(c, K);
    t->mask = lt_in(c, MASK);
    t->nonpad = lt_in(c, NONPAD);
    t->mode = lt_attr_i(c->attrs, c->n_attrs, "qk_matmul_output_mode", 0);
    t->left = lt_attr_i(c->attrs, c->n_attrs, "left_window_size", -1);
    t->right = lt_attr_i(c->attrs, c->n_attrs, "right_window_size", -1);
    t->causal = lt_attr_i(c->attrs, c->n_attrs, "is_causal", 0) != 0;
    t->cached = lt_in(c, PAST_KEY) != NULL;
    t->past = t->cached ? lt_in(c, PAST_KEY)->dims[2] : 0;
    t->qk = lt_out(c, 3);
    a->batch = q->dims[0];
    a->heads = q->rank == 4 ? q->dims[1] : lt_attr_i(c->attrs, c->n_attrs, "q_num_heads", 0);
    a->kv_heads = k->rank == 4 ? k->dims[1] : lt_attr_i(c->attrs, c->n_attrs, "kv_num_heads", 0);
    a->q_len = q->dims[q->rank - 2];
    a->q = steps_of(q, a->heads, &a->head);
    a->scale = lt_attr_f(c->attrs, c->n_attrs, "scale", (float)(1 / sqrt((double)(a->head > 0 ? a->head : 1))));
    a->softcap = lt_attr_f(c->attrs, c->n_attrs, "softcap", 0.0f);
    a->empty = LT_ATTENTION_MASKED;
    if (t->nonpad != NULL && lt_tensor_count(t->nonpad) != a->batch) {
        return lt_eval_fail(c, "nonpad_kv_seqlen has %lld numbers for %lld sequences",
                            (long long)lt_tensor_count(t->nonpad), (long long)a->batch);
    }
    return LATHE_OK;
}

static lathe_status eval_attention(lt_eval *c)
{
    attention t = { .attend = { .addends = addends, .seen = NULL } };
    lt_attention *a = &t.attend.a;
    lt_tensor k, v, *y = lt_out(c, 0);
    LT_TRY(read_call(c, &t));
    LT_TRY(join(c, lt_in(c, PAST_KEY), lt_in(c, K), a->kv_heads, lt_out(c, 1), &k));
    LT_TRY(join(c, lt_in(c, PAST_VALUE), lt_in(c, V), a->kv_heads, lt_out(c, 2), &v));
    a->k_len = k.dims[2];
    a->v_head = v.dims[3];
    a->k = steps_of(&k, a->kv_heads, &a->head);
    a->v = steps_of(&v, a->kv_heads, &a->v_head);
    a->y = (lt_attention_steps){
        .batch = a->heads * a->q_len * a->v_head, .head = a->q_len * a->v_head, .row = a->v_head, .lane = 1
    };
    if (lt_in(c, Q)->rank == 3) {
        a->y.head = a->v_head;
        a->y.row = a->heads * a->v_head;
    }
    if (a->kv_heads < 1 || v.dims[2] != a->k_len) {
        return a->heads == 0 ? LATHE_OK : lt_eval_fail(c, "keys and values do not go together");
    }
    LT_TRY(read_mask(c, &t));
    t.attend.user = &t;
    t.attend.seen = t.qk != NULL ? seen : NULL;
    LT_TRY(lt_attend_begin(c, lt_in(c, Q), &k, &v, &t.attend));
    return lt_attend_all(c, &t.attend, y);
}

static const lt_attr_spec attrs_attention[] = {
    { "is_causal", LATHE_ATTR_INT, false },
    { "kv_num_heads", LATHE_ATTR_INT, false },
    { "left_window_size", LATHE_ATTR_INT, false },
    { "q_num_heads", LATHE_ATTR_INT, false },
    { "qk_matmul_output_mode", LATHE_ATTR_INT, false },
    { "right_window_size", LATHE_ATTR_INT, false },
    { "scale", LATHE_ATTR_FLOAT, false },
    { "softcap", LATHE_ATTR_FLOAT, false },
    { "softmax_precision", LATHE_ATTR_INT, false },
    { 0 },
};

static const char *const samples_attention[] = {
    "f32[2,3,4,5] q = rand(1), f32[2,3,6,5] k = rand(2), f32[2,3,6,4] v = rand(3) | y = Attention (q, k, v)",
    "f32[2,4,6] q = rand(1), f32[2,5,6] k = rand(2), f32[2,5,9] v = rand(3), f32[4,5] m = rand(4) | y = Attention "
    "<q_num_heads = 3, kv_num_heads = 3, scale = 0.25> (q, k, v, m)",
    "f32[1,4,3,2] q = rand(1), f32[1,2,4,2] k = rand(2), f32[1,2,4,2] v = rand(3), bool[3,4] m = {1, 0, 1, 0, 0, 0, 0, "
    "0, 1, 1, 1, 1} | y = Attention (q, k, v, m)",
    "f32[1,2,3,4] q = rand(1), f32[1,2,3,4] k = rand(2), f32[1,2,3,4] v = rand(3) | y = Attention <is_causal = 1, "
    "softcap = 2.0> (q, k, v)",
    "f32[1,2,2,4] q = rand(1), f32[1,2,2,4] k = rand(2), f32[1,2,2,3] v = rand(3), f32[1,2,3,4] pk = rand(4), "
    "f32[1,2,3,3] pv = rand(5), f32[1,1,2,5] m = rand(6) | "
    "y, a, b, s = Attention <qk_matmul_output_mode = 2> (q, k, v, m, pk, pv)",
    "f32[1,2,2,4] q = rand(1), f32[1,2,2,4] k = rand(2), f32[1,2,2,3] v = rand(3), f32[1,2,3,4] pk = rand(4), "
    "f32[1,2,3,3] pv = rand(5) | "
    "y, a, b, s = Attention <qk_matmul_output_mode = 3, is_causal = 1> (q, k, v, \"\", pk, pv)",
    "f32[2,2,3,4] q = rand(1), f32[2,2,5,4] k = rand(2), f32[2,2,5,4] v = rand(3), i64[2] n = {2, 5} | y = Attention "
    "<is_causal = 1> (q, k, v, \"\", \"\", \"\", n)",
    "f32[1,1,4,4] q = rand(1), f32[1,1,6,4] k = rand(2), f32[1,1,6,4] v = rand(3) | y = Attention <left_window_size = "
    "2, right_window_size = 1> (q, k, v)",
    "f32[1,1,2,4] q = rand(1), f32[1,1,4,4] k = rand(2), f32[1,1,4,4] v = rand(3), bool[2,3] m = {1, 0, 1, 1, 1, 0} | "
    "y = Attention (q, k, v, m)",
    "f16[1,2,3,4] q = rand(1), f16[1,2,3,4] k = rand(2), f16[1,2,3,4] v = rand(3) | y = Attention (q, k, v)",
    NULL,
};

LT_OPS(attention) = {
    {
        .name = "Attention",
        .since = 25,
        .sig = "(T Q, T K, S V, U? attn_mask, T? past_key, S? past_value, i64? nonpad_kv_seqlen) -> (T Y, T? "
               "present_key, S? present_value, T? qk_matmul_output); "
               "T: float, S: float, U: float bool",
        .attrs = attrs_attention,
        .infer = infer_attention,
        .eval = eval_attention,
        .samples = samples_attention,
    },
    { 0 },
};
