/*
 * linear_attention.c - LinearAttention: a matrix for each head that tokens decay, write to and read from, one after the
 * other. Found through the registry.
 *
 * For each token: S *= exp(decay); v = beta (v - S' k) where the rule says so; S += k v'; output = scale S' q. Heads
 * stand side by side in the last axis; several query heads read one state.
 */
#include "ops/move.h"
#include "ops/nn.h"

#include <math.h>

typedef struct rule {
    bool known, decays, corrects;
    int64_t q_heads, heads;
} rule;

static rule read_rule(const lathe_attr *attrs, size_t n_attrs)
{
    static const char *const names[] = { "linear", "gated", "delta", "gated_delta" };
    rule r = { .q_heads = lt_attr_i(attrs, n_attrs, "q_num_heads", 0),
               .heads = lt_attr_i(attrs, n_attrs, "kv_num_heads", 0) };
    for (int i = 0; i < 4; i++) {
        if (lt_attr_is(attrs, n_attrs, "update_rule", names[i], "gated_delta")) {
            r.known = true;
            r.decays = i & 1;
            r.corrects = i & 2;
        }
    }
    return r;
}

static bool given(const lt_infer *c, int i)
{
    return i < c->n_in && c->in[i] != NULL;
}

static lathe_status check_rule(lt_infer *c, rule r)
{
    static const char *const names[] = { "decay", "beta" };
    if (!r.known) {
        return lt_infer_fail(c, "update_rule must be linear, gated, delta or gated_delta");
    }
    if (r.q_heads < 1 || r.heads < 1 || r.q_heads % r.heads != 0) {
        return lt_infer_fail(c, "q_num_heads %lld must be a positive multiple of kv_num_heads %lld",
                             (long long)r.q_heads, (long long)r.heads);
    }
    for (int i = 0; i < 2; i++) {
        bool needed = i == 0 ? r.decays : r.corrects;
        if (given(c, 4 + i) != needed) {
            return lt_infer_fail(c, "input '%s' is %s, but this update_rule %s it", names[i],
                                 needed ? "missing" : "given", needed ? "needs" : "does not take");
        }
    }
    return LATHE_OK;
}

/* Ranks, and batch and time, which all inputs of three axes share. */
static lathe_status check_shapes(lt_infer *c, lt_dim batch_time[2])
{
    static const int ranks[6] = { 3, 3, 3, 4, 3, 3 };
    batch_time[0] = batch_time[1] = LT_UNKNOWN_DIM;
    for (int i = 0; i < c->n_in && i < 6; i++) {
        char name[32];
        if (!lt_infer_known_rank(c, i)) {
            continue;
        }
        lt_op_formal(c->op, false, i, name, sizeof name);
        if (c->in[i]->rank != ranks[i]) {
            return lt_infer_fail(c, "input '%s' has rank %d; %d axes are needed", name, c->in[i]->rank, ranks[i]);
        }
        for (int d = 0; d < (i == 3 ? 1 : 2); d++) {
            lt_dim extent = c->in[i]->dims[d];
            LT_TRY(lt_move_equal(c, lt_dim_is(batch_time[d], -1) ? extent : batch_time[d], extent,
                                 d == 0 ? "batches" : "lengths", &batch_time[d]));
        }
    }
    return LATHE_OK;
}

/* The last extent of input i cut into heads. */
static lathe_status head_size(lt_infer *c, int i, int64_t heads, lt_dim *out)
{
    *out = LT_UNKNOWN_DIM;
    if (!lt_infer_known_rank(c, i)) {
        return LATHE_OK;
    }
    lt_dim extent = c->in[i]->dims[2];
    if (lt_dim_is_const(extent) && extent.k % heads != 0) {
        return lt_infer_fail(c, "%lld elements cannot be split into %lld heads", (long long)extent.k, (long long)heads);
    }
    return lt_dim_make(c->dims, LT_DIM_FLOORDIV, extent, lt_dim_const(heads), out, c->diag);
}

/* The last extents of decay and beta, and the shape of past_state. */
static lathe_status check_rest(lt_infer *c, rule r, const lt_dim state[4])
{
    lt_dim ignored;
    if (given(c, 4) && lt_infer_known_rank(c, 4) && lt_dim_is_const(c->in[4]->dims[2]) && lt_dim_is_const(state[2]) &&
        !lt_dim_is(state[2], -1) && c->in[4]->dims[2].k != r.heads && c->in[4]->dims[2].k != r.heads * state[2].k) {
        return lt_infer_fail(c,
                             "the last extent of decay is %lld; one number for each head (%lld) or for each of its "
                             "keys (%lld) is needed",
                             (long long)c->in[4]->dims[2].k, (long long)r.heads, (long long)(r.heads * state[2].k));
    }
    if (given(c, 5) && lt_infer_known_rank(c, 5) && lt_dim_is_const(c->in[5]->dims[2]) &&
        c->in[5]->dims[2].k != r.heads && c->in[5]->dims[2].k != 1) {
        return lt_infer_fail(c, "the last extent of beta is %lld; 1 or one number for each head (%lld) is needed",
                             (long long)c->in[5]->dims[2].k, (long long)r.heads);
    }
    for (int d = 0; d < 4 && given(c, 3) && lt_infer_known_rank(c, 3); d++) {
        if (!lt_dim_is(state[d], -1)) {
            LT_TRY(lt_move_equal(c, c->in[3]->dims[d], state[d],
                                 "extents of past_state and of the state (batch, kv heads, key, value)", &ignored));
        }
    }
    return LATHE_OK;
}

static lathe_status infer_linear(lt_infer *c)
{
    rule r = read_rule(c->attrs, c->n_attrs);
    lt_dim batch_time[2], q_size, dims[3], state[4];
    LT_TRY(check_rule(c, r));
    LT_TRY(check_shapes(c, batch_time));
    LT_TRY(head_size(c, 0, r.q_heads, &q_size));
    LT_TRY(head_size(c, 1, r.heads, &state[2]));
    LT_TRY(head_size(c, 2, r.heads, &state[3]));
    if (!lt_dim_is(q_size, -1)) {
        LT_TRY(lt_move_equal(c, lt_dim_is(state[2], -1) ? q_size : state[2], q_size, "the sizes of key and query heads",
                             &state[2]));
    }
    state[0] = batch_time[0];
    state[1] = lt_dim_const(r.heads);
    LT_TRY(check_rest(c, r, state));
    dims[0] = batch_time[0];
    dims[1] = batch_time[1];
    dims[2] = LT_UNKNOWN_DIM;
    if (!lt_dim_is(state[3], -1)) {
        LT_TRY(lt_dim_mul(c->dims, state[3], lt_dim_const(r.q_heads), &dims[2], c->diag));
    }
    LT_TRY(lt_move_out(c, 0, c->in[0]->dtype, 3, dims));
    return lt_move_out(c, 1, given(c, 3) ? c->in[3]->dtype : c->in[0]->dtype, 4, state);
}

/* ---- Evaluation ---- */

typedef struct job {
    rule r;
    const double *q, *k, *v, *past, *decay, *beta;
    int64_t time, keys, values, decay_width, beta_width; /* of a head; of a token's row in decay and beta */
    double scale;
    double *state, *write; /* keys x values; values */
} job;

/* S *= exp(decay), by head or by key. */
static void decay_state(const job *j, int64_t token, int64_t head)
{
    for (int64_t d = 0; d < j->keys; d++) {
        double factor =
            exp(j->decay[token * j->decay_width + (j->decay_width == j->r.heads ? head : head * j->keys + d)]);
        for (int64_t m = 0; m < j->values; m++) {
            j->state[d * j->values + m] *= factor;
        }
    }
}

/* What the state holds for a key or a query: into j->write. */
static void read_state(const job *j, const double *key)
{
    for (int64_t m = 0; m < j->values; m++) {
        j->write[m] = 0.0;
    }
    for (int64_t d = 0; d < j->keys; d++) {
        for (int64_t m = 0; m < j->values; m++) {
            j->write[m] += j->state[d * j->values + m] * key[d];
        }
    }
}

/* One token of one kv head: batch element and time in `token`. */
static void step(const job *j, int64_t token, int64_t head)
{
    const double *k = j->k + (token * j->r.heads + head) * j->keys, *v = j->v + (token * j->r.heads + head) * j->values;
    if (j->r.decays) {
        decay_state(j, token, head);
    }
    read_state(j, k);
    for (int64_t m = 0; m < j->values; m++) {
        j->write[m] = j->r.corrects
                          ? j->beta[token * j->beta_width + (j->beta_width == 1 ? 0 : head)] * (v[m] - j->write[m])
                          : v[m];
    }
    for (int64_t d = 0; d < j->keys; d++) {
        for (int64_t m = 0; m < j->values; m++) {
            j->state[d * j->values + m] += k[d] * j->write[m];
        }
    }
}

/* What the query heads of a kv head read: into j->write, then to y. */
static void read_out(const job *j, int64_t token, int64_t head, lt_tensor *y)
{
    int64_t group = j->r.q_heads / j->r.heads;
    for (int64_t h = head * group; y != NULL && h < (head + 1) * group; h++) {
        read_state(j, j->q + (token * j->r.q_heads + h) * j->keys);
        for (int64_t m = 0; m < j->values; m++) {
            j->write[m] *= j->scale;
        }
        lt_nn_write(y, (token * j->r.q_heads + h) * j->values, j->values, j->write);
    }
}

static void run_head(const job *j, int64_t batch, int64_t head, lt_tensor *y, lt_tensor *present)
{
    int64_t size = j->keys * j->values, place = (batch * j->r.heads + head) * size;
    for (int64_t i = 0; i < size; i++) {
        j->state[i] = j->past != NULL ? j->past[place + i] : 0.0;
    }
    for (int64_t t = 0; t < j->time; t++) {
        step(j, batch * j->time + t, head);
        read_out(j, batch * j->time + t, head, y);
    }
    if (present != NULL) {
        lt_nn_write(present, place, size, j->state);
    }
}

static lathe_status eval_linear(lt_eval *c)
{
    const lt_tensor *q = lt_in(c, 0);
    const double *inputs[6];
    for (int i = 0; i < 6; i++) {
        bool ok;
        inputs[i] = lt_nn_doubles(c, lt_in(c, i), &ok);
        if (!ok) {
            return LT_OOM(c->diag);
        }
    }
    job j = { .r = read_rule(c->attrs, c->n_attrs),
              .q = inputs[0],
              .k = inputs[1],
              .v = inputs[2],
              .past = inputs[3],
              .decay = inputs[4],
              .beta = inputs[5] };
    j.time = q->dims[1];
    j.keys = q->dims[2] / j.r.q_heads;
    j.values = lt_in(c, 2)->dims[2] / j.r.heads;
    j.decay_width = lt_in(c, 4) != NULL ? lt_in(c, 4)->dims[2] : 0;
    j.beta_width = lt_in(c, 5) != NULL ? lt_in(c, 5)->dims[2] : 0;
    float scale = lt_attr_f(c->attrs, c->n_attrs, "scale", 0.0f);
    j.scale = scale != 0.0f ? scale : 1.0 / sqrt((double)j.keys);
    size_t size;
    if (!lt_size_mul((size_t)j.keys, (size_t)j.values, &size) || size > INT64_MAX) {
        return lt_eval_fail(c, "a state of %lld x %lld is too large", (long long)j.keys, (long long)j.values);
    }
    j.state = lt_nn_scratch(c, (int64_t)size);
    j.write = lt_nn_scratch(c, j.values);
    if (j.state == NULL || j.write == NULL) {
        return LT_OOM(c->diag);
    }
    for (int64_t i = 0; i < q->dims[0] * j.r.heads; i++) {
        run_head(&j, i / j.r.heads, i % j.r.heads, lt_out(c, 0), lt_out(c, 1));
    }
    return LATHE_OK;
}

static const lt_attr_spec attrs_linear[] = {
    { "chunk_size", LATHE_ATTR_INT, false },     { "kv_num_heads", LATHE_ATTR_INT, true },
    { "q_num_heads", LATHE_ATTR_INT, true },     { "scale", LATHE_ATTR_FLOAT, false },
    { "update_rule", LATHE_ATTR_STRING, false }, { 0 },
};

static const char *const samples_linear[] = {
    "f32[2,3,8] q = rand(1), f32[2,3,8] k = rand(2), f32[2,3,6] v = rand(3) | "
    "y, s = LinearAttention <q_num_heads = 2, kv_num_heads = 2, update_rule = \"linear\"> (q, k, v)",
    "f32[2,3,8] q = rand(1), f32[2,3,4] k = rand(2), f32[2,3,6] v = rand(3), f32[2,2,2,3] p = rand(4), f32[2,3,2] d = "
    "rand(5) | "
    "y, s = LinearAttention <q_num_heads = 4, kv_num_heads = 2, update_rule = \"gated\", scale = 0.5> (q, k, v, p, d)",
    "f32[1,3,4] q = rand(1), f32[1,3,4] k = rand(2), f32[1,3,2] v = rand(3), f32[1,3,2] b = rand(4) | "
    "y, s = LinearAttention <q_num_heads = 2, kv_num_heads = 2, update_rule = \"delta\", chunk_size = 2> (q, k, v, "
    "\"\", \"\", b)",
    "f32[1,3,6] q = rand(1), f32[1,3,3] k = rand(2), f32[1,3,2] v = rand(3), f32[1,1,3,2] p = rand(4), f32[1,3,3] d = "
    "rand(5), f32[1,3,1] b = rand(6) | "
    "y, s = LinearAttention <q_num_heads = 2, kv_num_heads = 1> (q, k, v, p, d, b)",
    "f16[1,2,4] q = rand(1), f16[1,2,4] k = rand(2), f16[1,2,4] v = rand(3), f32[1,2,2,2] p = rand(4) | "
    "y, s = LinearAttention <q_num_heads = 2, kv_num_heads = 2, update_rule = \"linear\"> (q, k, v, p)",
    "bf16[1,2,2] q = rand(1), bf16[1,2,2] k = rand(2), bf16[1,2,2] v = rand(3) | "
    "y, s = LinearAttention <q_num_heads = 1, kv_num_heads = 1, update_rule = \"linear\"> (q, k, v)",
    "f32[1,0,2] q = {}, f32[1,0,2] k = {}, f32[1,0,3] v = {}, f32[1,1,2,3] p = rand(1) | "
    "y, s = LinearAttention <q_num_heads = 1, kv_num_heads = 1, update_rule = \"linear\"> (q, k, v, p)",
    NULL,
};

LT_OPS(linear_attention) = {
    { .name = "LinearAttention",
      .since = 27,
      .sig = "(T query, T key, T value, S? past_state, T? decay, T? beta) -> (T output, S present_state); T: f32 f16 "
             "bf16, S: f32 f16 bf16",
      .attrs = attrs_linear,
      .infer = infer_linear,
      .eval = eval_linear,
      .samples = samples_linear },
    { 0 },
};
