/*
 * packed_attention.c - lathe.PackedAttention: attention whose operands lie inside larger tensors, so that heads need be neither split nor merged, and
 * queries, keys and values may be parts of one product. Pass fuse-attention writes it.
 *
 *   q k v y    how an operand lies: "bsw" [batch, rows, width], "sbw" [rows, batch, width], "bhsd" [batch, heads, rows, lanes]; keys also "bhds"
 *   offsets    of q, k, v: first lane of head 0 within the width; 0 by default
 *   steps      of q, k, v: lanes from one head to the next within the width; the head's size by default
 *   scale      of the products; softcap as in ONNX's Attention
 *   is_causal  1: row i sees keys 0 .. i; 2: the last row sees all keys, the one before it all but one, and so on
 *   empty      what rows without any weight give: "nan" (softmax), "masked" (zeros if all is hidden), "zero" (zeros instead of any NaN)
 *
 * Behind q, k and v come addends of the scores, each broadcast to [batch, heads, rows, keys]; a first extent that divides the batch repeats. A bool
 * addend hides keys: false is -inf.
 */
#include "ops/attend.h"

#include <math.h>
#include <string.h>

enum { MAX_ADDENDS = 8 };

/* ---- Reading ---- */

static const char *const operand_names[] = { "q", "k", "v", "y" };

typedef enum layout { BSW, SBW, BHSD, BHDS, BAD } layout;

static layout layout_of(const lathe_attr *attrs, size_t n_attrs, int operand)
{
    static const char *const names[] = { "bsw", "sbw", "bhsd", "bhds" };
    for (int i = 0; i < BAD; i++) {
        if (lt_attr_is(attrs, n_attrs, operand_names[operand], names[i], "bsw")) {
            return i == BHDS && operand != 1 ? BAD : (layout)i;
        }
    }
    return BAD;
}

static int layout_rank(layout l)
{
    return l == BSW || l == SBW ? 3 : 4;
}

static int64_t int_of(const lathe_attr *attrs, size_t n_attrs, const char *name, int i, int64_t otherwise)
{
    size_t count;
    const int64_t *ints = lt_attr_ints(attrs, n_attrs, name, &count);
    return (size_t)i < count ? ints[i] : otherwise;
}

/* Sizes that the attributes alone give. */
static bool read_attrs(const lathe_attr *attrs, size_t n, lt_attention *a)
{
    int64_t heads = lt_attr_i(attrs, n, "q_num_heads", 0), kv = lt_attr_i(attrs, n, "kv_num_heads", 0),
            head = lt_attr_i(attrs, n, "head_size", 0), v_head = lt_attr_i(attrs, n, "v_head_size", head);
    *a = (lt_attention){ .heads = heads, .kv_heads = kv == 0 ? heads : kv, .head = head, .v_head = v_head };
    a->scale = lt_attr_f(attrs, n, "scale", 1.0f);
    a->softcap = lt_attr_f(attrs, n, "softcap", 0.0f);
    a->causal = lt_attr_i(attrs, n, "is_causal", 0) != 0;
    a->empty = lt_attr_is(attrs, n, "empty", "zero", "nan")     ? LT_ATTENTION_ZERO
               : lt_attr_is(attrs, n, "empty", "masked", "nan") ? LT_ATTENTION_MASKED
                                                                : LT_ATTENTION_NAN;
    int64_t most = (int64_t)1 << 24;
    return heads > 0 && heads <= most && a->kv_heads > 0 && heads % a->kv_heads == 0 && head > 0 && head <= most &&
           v_head > 0 && v_head <= most;
}

/* Steps of an operand with these extents; false when its heads reach over its width. */
static bool walk(const lathe_attr *attrs, size_t n, int operand, layout l, const int64_t *dims, int64_t heads,
                 int64_t head, lt_attention_steps *s)
{
    if (l == BHSD || l == BHDS) {
        *s = (lt_attention_steps){ .batch = dims[1] * dims[2] * dims[3], .head = dims[2] * dims[3] };
        s->row = l == BHSD ? dims[3] : 1;
        s->lane = l == BHSD ? 1 : dims[3];
        return dims[1] == heads && dims[l == BHSD ? 3 : 2] == head;
    }
    int64_t width = dims[2], offset = operand < 3 ? int_of(attrs, n, "offsets", operand, 0) : 0;
    int64_t step = operand < 3 ? int_of(attrs, n, "steps", operand, head) : head;
    *s = (lt_attention_steps){ .first = offset, .head = step, .lane = 1 };
    s->row = l == BSW ? width : dims[1] * width;
    s->batch = l == BSW ? dims[1] * width : width;
    return offset >= 0 && step >= 0 && offset <= width && step <= width &&
           (heads - 1) <= (width - offset) / (step > 0 ? step : 1) && offset + (heads - 1) * step + head <= width;
}

static int64_t batch_of(layout l, const int64_t *dims)
{
    return dims[l == SBW ? 1 : 0];
}

static int64_t rows_of(layout l, const int64_t *dims)
{
    return dims[l == SBW ? 0 : l == BSW ? 1 : l == BHSD ? 2 : 3];
}

lathe_status lt_attention_read(const lathe_attr *attrs, size_t n_attrs, const int rank[3], const int64_t *const dims[3],
                               const char *where, lt_attention *out, lathe_diag *diag)
{
    lt_attention_steps *steps[] = { &out->q, &out->k, &out->v };
    if (!read_attrs(attrs, n_attrs, out)) {
        return LT_FAIL(diag, LATHE_BAD_MODEL, where, "look at num_heads, kv_num_heads and the attributes of sizes",
                       "PackedAttention: the numbers of heads or their sizes make no sense");
    }
    for (int i = 0; i < 3; i++) {
        layout l = layout_of(attrs, n_attrs, i);
        if (l == BAD || rank[i] != layout_rank(l) ||
            !walk(attrs, n_attrs, i, l, dims[i], i == 0 ? out->heads : out->kv_heads, i == 2 ? out->v_head : out->head,
                  steps[i])) {
            return LT_FAIL(diag, LATHE_BAD_SHAPE, where,
                           "look at num_heads and the extents of queries, keys and values: heads times size is the last one's",
                           "PackedAttention: operand %s does not hold the heads",
                           operand_names[i]);
        }
        int64_t batch = batch_of(l, dims[i]), rows = rows_of(l, dims[i]);
        if ((i > 0 && batch != out->batch) || (i == 2 && rows != out->k_len)) {
            return LT_FAIL(diag, LATHE_BAD_SHAPE, where, NULL,
                           "PackedAttention: %s has other extents than the operand before it", operand_names[i]);
        }
        out->batch = batch;
        *(i == 0 ? &out->q_len : &out->k_len) = rows;
    }
    out->shift = lt_attr_i(attrs, n_attrs, "is_causal", 0) == 2 ? out->k_len - out->q_len : 0;
    layout l = layout_of(attrs, n_attrs, 3);
    int64_t width = out->heads * out->v_head,
            as3[] = { l == SBW ? out->q_len : out->batch, l == SBW ? out->batch : out->q_len, width };
    int64_t as4[] = { out->batch, out->heads, out->q_len, out->v_head };
    return l != BAD && l != BHDS && walk(attrs, n_attrs, 3, l, l == BHSD ? as4 : as3, out->heads, out->v_head, &out->y)
               ? LATHE_OK
               : LT_FAIL(diag, LATHE_BAD_MODEL, where, NULL, "PackedAttention: no such form of the result");
}

bool lt_attention_addend_read(const lt_attention *a, int rank, const int64_t *dims, lt_attention_addend *out)
{
    int64_t size[] = { a->batch, a->heads, a->q_len, a->k_len }, step = 1;
    *out = (lt_attention_addend){ .period = 1 };
    for (int i = 3; i >= 0; i--) {
        int at = rank - 4 + i;
        int64_t extent = at >= 0 ? dims[at] : 1;
        if (extent != 1 && extent != size[i] && (i > 0 || extent < 1 || a->batch % extent != 0)) {
            return false;
        }
        out->step[i] = extent == 1 ? 0 : step;
        out->period = i == 0 && extent > 1 ? extent : out->period;
        step *= extent;
    }
    return rank <= 4;
}

/* ---- Inference ---- */

static lathe_status equal(lt_infer *c, lt_dim a, lt_dim b, const char *what)
{
    return lt_dim_is_const(a) && lt_dim_is_const(b) && a.k != b.k
               ? lt_infer_fail(c, "%s: %lld and %lld", what, (long long)a.k, (long long)b.k)
               : LATHE_OK;
}

static lathe_status infer_packed(lt_infer *c)
{
    lt_attention a;
    if (!read_attrs(c->attrs, c->n_attrs, &a)) {
        return lt_infer_fail(c, "the numbers of heads or their sizes make no sense");
    }
    for (int i = 0; i < 4; i++) {
        layout l = layout_of(c->attrs, c->n_attrs, i);
        if (l == BAD || (i == 3 && l == BHDS) || (i < 3 && c->in[i]->rank >= 0 && c->in[i]->rank != layout_rank(l))) {
            return lt_infer_fail(c, "operand %s has another form than its attribute says", operand_names[i]);
        }
    }
    if (c->in[0]->rank < 0) {
        return lt_infer_out(c, 0, c->in[0]->dtype, -1, NULL);
    }
    layout q = layout_of(c->attrs, c->n_attrs, 0), k = layout_of(c->attrs, c->n_attrs, 1),
           v = layout_of(c->attrs, c->n_attrs, 2), y = layout_of(c->attrs, c->n_attrs, 3);
    lt_dim batch = c->in[0]->dims[q == SBW ? 1 : 0], rows = c->in[0]->dims[q == SBW ? 0 : q == BSW ? 1 : 2];
    if (c->in[1]->rank >= 0 && c->in[2]->rank >= 0) {
        LT_TRY(equal(c, c->in[1]->dims[k == SBW ? 1 : 0], batch, "batches differ"));
        LT_TRY(equal(c,
                     c->in[1]->dims[k == SBW    ? 0
                                    : k == BSW  ? 1
                                    : k == BHSD ? 2
                                                : 3],
                     c->in[2]->dims[v == SBW   ? 0
                                    : v == BSW ? 1
                                               : 2],
                     "keys and values differ in number"));
    }
    for (int i = 3; i < c->n_in; i++) {
        if (c->in[i] != NULL &&
            (c->in[i]->rank > 4 || (c->in[i]->dtype != LATHE_DTYPE_BOOL && c->in[i]->dtype != c->in[0]->dtype))) {
            return lt_infer_fail(c, "addend %d has more than four axes or another type", i - 3);
        }
    }
    lt_dim width = lt_dim_const(a.heads * a.v_head), heads = lt_dim_const(a.heads), lanes = lt_dim_const(a.v_head);
    lt_dim as3[] = { y == SBW ? rows : batch, y == SBW ? batch : rows, width }, as4[] = { batch, heads, rows, lanes };
    return lt_infer_out(c, 0, c->in[0]->dtype, layout_rank(y), y == BHSD ? as4 : as3);
}

/* ---- Evaluation ---- */

typedef struct packed {
    lt_attend attend;
    const lt_tensor *addend[MAX_ADDENDS];
    lt_attention_addend walk[MAX_ADDENDS];
    int n;
} packed;

static void addends(void *user, int64_t b, int64_t h, int64_t i, double *bias)
{
    const packed *p = user;
    const lt_attention *a = &p->attend.a;
    for (int64_t j = 0; j < a->k_len; j++) {
        bias[j] = a->causal && j > i + a->shift ? -INFINITY : 0;
    }
    for (int n = 0; n < p->n; n++) {
        const lt_attention_addend *w = &p->walk[n];
        const lt_tensor *x = p->addend[n];
        int64_t row = b % w->period * w->step[0] + h * w->step[1] + i * w->step[2];
        for (int64_t j = 0; j < a->k_len; j++) {
            int64_t at = row + j * w->step[3];
            bias[j] += x->dtype != LATHE_DTYPE_BOOL     ? lt_load_f64(x->dtype, x->data, at)
                       : ((const uint8_t *)x->data)[at] ? 0
                                                        : -INFINITY;
        }
    }
}

static lathe_status eval_packed(lt_eval *c)
{
    packed p = { .attend = { .addends = addends } };
    const lt_tensor *in[] = { lt_in(c, 0), lt_in(c, 1), lt_in(c, 2) };
    int rank[] = { in[0]->rank, in[1]->rank, in[2]->rank };
    const int64_t *dims[] = { in[0]->dims, in[1]->dims, in[2]->dims };
    LT_TRY(lt_attention_read(c->attrs, c->n_attrs, rank, dims, c->where, &p.attend.a, c->diag));
    for (int i = 3; i < c->n_in; i++) {
        const lt_tensor *x = lt_in(c, i);
        if (x == NULL) {
            continue;
        }
        if (p.n == MAX_ADDENDS || !lt_attention_addend_read(&p.attend.a, x->rank, x->dims, &p.walk[p.n])) {
            return lt_eval_fail(c, "addend %d does not broadcast to the scores, or there are more than %d", i - 3,
                                MAX_ADDENDS);
        }
        p.addend[p.n++] = x;
    }
    if (lt_out(c, 0) == NULL || lt_tensor_count(lt_out(c, 0)) == 0) {
        return LATHE_OK;
    }
    p.attend.user = &p;
    LT_TRY(lt_attend_begin(c, in[0], in[1], in[2], &p.attend));
    return lt_attend_all(c, &p.attend, lt_out(c, 0));
}

static const lt_attr_spec attrs_packed[] = {
    { "q", LATHE_ATTR_STRING, false },
    { "k", LATHE_ATTR_STRING, false },
    { "v", LATHE_ATTR_STRING, false },
    { "y", LATHE_ATTR_STRING, false },
    { "offsets", LATHE_ATTR_INTS, false },
    { "steps", LATHE_ATTR_INTS, false },
    { "q_num_heads", LATHE_ATTR_INT, true },
    { "kv_num_heads", LATHE_ATTR_INT, false },
    { "head_size", LATHE_ATTR_INT, true },
    { "v_head_size", LATHE_ATTR_INT, false },
    { "scale", LATHE_ATTR_FLOAT, true },
    { "softcap", LATHE_ATTR_FLOAT, false },
    { "is_causal", LATHE_ATTR_INT, false },
    { "empty", LATHE_ATTR_STRING, false },
    { 0 },
};

static const char *const samples_packed[] = {
    "f32[2,3,8] x = rand(1), f32[2,4,8] k = rand(2), f32[2,4,8] v = rand(3) | y = lathe.PackedAttention <q_num_heads = "
    "2, head_size = 4, scale = 0.5> (x, k, v)",
    "f32[3,4,18] x = rand(1), f32[2,1,3,3] m = rand(2), f32[3,3] n = rand(4) | y = lathe.PackedAttention <q_num_heads "
    "= 3, head_size = 2, scale = 0.5, q = \"sbw\", k = "
    "\"sbw\", v = \"sbw\", y = \"sbw\", offsets = [0, 6, 12]> (x, x, x, m, n)",
    "f32[1,4,3,2] q = rand(1), f32[1,2,2,5] k = rand(2), f32[1,5,6] v = rand(3), bool[3,5] m = {1, 0, 1, 0, 1, 0, 0, "
    "0, 0, 0, 1, 1, 1, 1, 1} | y = lathe.PackedAttention "
    "<q_num_heads = 4, kv_num_heads = 2, head_size = 2, v_head_size = 3, scale = 1.0, q = \"bhsd\", k = \"bhds\", y = "
    "\"bhsd\", empty = \"masked\"> (q, k, v, m)",
    "f32[1,3,12] x = rand(1) | y = lathe.PackedAttention <q_num_heads = 2, head_size = 2, scale = 1.0, softcap = 2.0, "
    "is_causal = 1, offsets = [0, 2, 4], steps = [6, 6, 6]> (x, x, x)",
    "f32[1,2,2] x = {nan, 1.0, 2.0, 3.0}, f32[2,2] m = {-inf, -inf, 0.0, 0.0} | y = lathe.PackedAttention <q_num_heads "
    "= 1, head_size = 2, scale = 1.0, empty = \"zero\"> (x, x, x, m)",
    "f32[1,2,4] q = rand(1), f32[1,5,4] k = rand(2) | y = lathe.PackedAttention <q_num_heads = 1, head_size = 4, scale "
    "= 1.0, is_causal = 2> (q, k, k)",
    "f32[1,3,4] q = rand(1), f32[1,2,4] k = rand(2) | y = lathe.PackedAttention <q_num_heads = 1, head_size = 4, scale "
    "= 1.0, is_causal = 2, empty = \"masked\"> (q, k, k)",
    "f16[1,0,4] x = rand(1), f16[1,2,4] k = rand(1) | y = lathe.PackedAttention <q_num_heads = 1, head_size = 4, scale "
    "= 1.0> (x, k, k)",
    NULL,
};

LT_OPS(packed_attention) = {
    {
        .name = "PackedAttention",
        .domain = "lathe",
        .since = 1,
        .sig = "(T Q, T K, T V, any... addends) -> (T Y); T: float",
        .attrs = attrs_packed,
        .infer = infer_packed,
        .eval = eval_packed,
        .samples = samples_packed,
    },
    { 0 },
};
