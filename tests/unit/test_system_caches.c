/*
 * test_system_caches.c - caches that grow in place: runs of a plan with pairs give the bits of runs whose outputs are fed back by hand, whatever the way in
 * which each pair is kept; lengths, truncation, storage of the caller's, overflow, contexts apart from each other, no allocation from run to run.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "engine/engine.h"
#include "support/malloc_count.h"
#include "support/system.h"

/* Two layers of attention over [batch, heads, length, lanes]. */
static const char decoder[] =
    "step (f32[batch,seq,24] x, f32[batch,3,past,8] past_key_values.0.key, f32[batch,3,past,8] past_key_values.0.value, f32[batch,3,past,8] "
    "past_key_values.1.key, f32[batch,3,past,8] past_key_values.1.value) => (y, present.0.key, present.0.value, present.1.key, present.1.value)\n"
    "<i64[4] split = {0,0,3,8}, i64[3] join = {0,0,24}, f32 scale = {0.35}, f32[24,24] wq0 = rand(1), f32[24,24] wk0 = rand(2), f32[24,24] wv0 = rand(3),\n"
    " f32[24,24] wo0 = rand(4), f32[24,24] wq1 = rand(5), f32[24,24] wk1 = rand(6), f32[24,24] wv1 = rand(7), f32[24,24] wo1 = rand(8), f32[24] g = splat(0.3),\n"
    " f32[24] b = splat(0.0)>\n"
    "{\n"
    "  n0 = LayerNormalization (x, g, b)\n"
    "  qa0 = MatMul (n0, wq0)\n  qb0 = Reshape (qa0, split)\n  q0 = Transpose <perm = [0,2,1,3]> (qb0)\n"
    "  ka0 = MatMul (n0, wk0)\n  kb0 = Reshape (ka0, split)\n  k0 = Transpose <perm = [0,2,1,3]> (kb0)\n"
    "  va0 = MatMul (n0, wv0)\n  vb0 = Reshape (va0, split)\n  v0 = Transpose <perm = [0,2,1,3]> (vb0)\n"
    "  present.0.key = Concat <axis = 2> (past_key_values.0.key, k0)\n"
    "  present.0.value = Concat <axis = 2> (past_key_values.0.value, v0)\n"
    "  t0 = Transpose <perm = [0,1,3,2]> (present.0.key)\n"
    "  s0 = MatMul (q0, t0)\n  m0 = Mul (s0, scale)\n  p0 = Softmax <axis = -1> (m0)\n  o0 = MatMul (p0, present.0.value)\n"
    "  ot0 = Transpose <perm = [0,2,1,3]> (o0)\n  oj0 = Reshape (ot0, join)\n  oo0 = MatMul (oj0, wo0)\n  x1 = Add (x, oo0)\n"
    "  n1 = LayerNormalization (x1, g, b)\n"
    "  qa1 = MatMul (n1, wq1)\n  qb1 = Reshape (qa1, split)\n  q1 = Transpose <perm = [0,2,1,3]> (qb1)\n"
    "  ka1 = MatMul (n1, wk1)\n  kb1 = Reshape (ka1, split)\n  k1 = Transpose <perm = [0,2,1,3]> (kb1)\n"
    "  va1 = MatMul (n1, wv1)\n  vb1 = Reshape (va1, split)\n  v1 = Transpose <perm = [0,2,1,3]> (vb1)\n"
    "  present.1.key = Concat <axis = 2> (past_key_values.1.key, k1)\n"
    "  present.1.value = Concat <axis = -2> (past_key_values.1.value, v1)\n"
    "  t1 = Transpose <perm = [0,1,3,2]> (present.1.key)\n"
    "  s1 = MatMul (q1, t1)\n  m1 = Mul (s1, scale)\n  p1 = Softmax <axis = -1> (m1)\n  o1 = MatMul (p1, present.1.value)\n"
    "  ot1 = Transpose <perm = [0,2,1,3]> (o1)\n  oj1 = Reshape (ot1, join)\n  oo1 = MatMul (oj1, wo1)\n  y = Add (x1, oo1)\n"
    "}\n";

/* The axis in every place, readers of all kinds, and pairs that are no append. */
static const char kinds[] =
    "kinds (f32[batch,seq,6] x, f32[seq,5] r, f32[past,5] past_first, f32[batch,past,6] past_rows, f32[batch,6,past] past_columns, f16[batch,2,past,3] past_half,\n"
    " f32[batch,past,6] past_back, f32[batch,4] state, i64[batch,seq] i, i64[batch,past] past_ids, f32[batch,past,6] past_far)\n"
    " => (y, present_first, present_rows, present_columns, present_half, present_back, new_state, present_ids, z, w, last, present_far)\n"
    "<f32[6,6] k = rand(1), f32[6,4] c = rand(2), i64[4] halves = {0,0,2,3}, i64[1] from = {-1}, i64[1] to = {9223372036854775807}, i64[1] one = {1},\n"
    " i64[2] flat = {0,-1}>\n"
    "{\n"
    "  a = MatMul (x, k)\n"
    "  present_first = Concat <axis = 0> (past_first, r)\n"
    "  present_rows = Concat <axis = 1> (past_rows, a)\n"
    "  t = Transpose <perm = [0,2,1]> (a)\n"
    "  present_columns = Concat <axis = 2> (past_columns, t)\n"
    "  h = Cast <to = 10> (x)\n  hs = Reshape (h, halves)\n  ht = Transpose <perm = [0,2,1,3]> (hs)\n"
    "  present_half = Concat <axis = 2> (past_half, ht)\n"
    "  present_back = Concat <axis = 1> (a, past_back)\n"
    "  e = Relu (a)\n"
    "  present_far = Concat <axis = 1> (past_far, e)\n"
    "  far = Tanh (present_far)\n"
    "  s = ReduceMean <keepdims = 0> (x, one)\n  sc = MatMul (s, c)\n  sum = Add (state, sc)\n  new_state = Tanh (sum)\n"
    "  present_ids = Concat <axis = 1> (past_ids, i)\n"
    "  y = MatMul (present_rows, present_columns)\n"
    "  zz = Relu (present_rows)\n  z = Add (zz, far)\n"
    "  w = Softmax <axis = 1> (past_rows)\n"
    "  last = Slice (present_rows, from, to, one)\n"
    "}\n";

static const char scatter[] =
    "scatter (f32[batch,2,seq,4] x, i64[batch] at, f32[batch,2,max,4] past_line, f32[batch,2,16,4] past_ring) => (y, present_line, present_ring)\n"
    "{\n"
    "  present_line = TensorScatter (past_line, x, at)\n"
    "  present_ring = TensorScatter <axis = 2, mode = \"circular\"> (past_ring, x, at)\n"
    "  y = Mul (present_line, present_ring)\n"
    "}\n";

/* ONNX's Attention with a past of its own becomes Concat and attention. */
static const char attends[] =
    "attends (f32[batch,6,seq,8] q, f32[batch,3,seq,8] k, f32[batch,3,seq,8] v, f32[batch,3,past,8] past_key, f32[batch,3,past,8] past_value)\n"
    " => (y, present_key, present_value)\n"
    "{\n"
    "  e = Relu (k)\n"
    "  y, present_key, present_value = Attention <is_causal = 1> (q, e, v, , past_key, past_value)\n"
    "}\n";

enum { CAPACITY = 16 };

/* ---- A plan with pairs against one without, whose outputs are fed back by hand ---- */

typedef struct pair {
    lathe_network *network;
    lathe_engine *plain, *kept;
    lathe_context *by_hand, *context;
    size_t n_caches;
    lathe_cache_info info[16];
    sys_results before; /* of the last run by hand */
    bool any;
    uint64_t steps;
    int64_t length;
} pair;

static lathe_network *network_of(const char *text)
{
    lathe_network *network = NULL;
    SYS_MUST(lathe_network_from_text(text, strlen(text), NULL, &network, diag));
    return network;
}

static void open_pair(pair *p, lathe_network *network, const char *const *caches, size_t n, int threads)
{
    lathe_build_options o = { .struct_size = sizeof o, .threads = threads };
    *p = (pair){ .network = network };
    p->plain = sys_engine(network, &o);
    o.caches = caches;
    o.n_caches = n;
    p->kept = sys_engine(network, &o);
    lathe_context_options c = { .struct_size = sizeof c, .threads = threads };
    SYS_MUST(lathe_context_create(p->plain, &c, &p->by_hand, diag));
    SYS_MUST(lathe_context_create(p->kept, &c, &p->context, diag));
    p->n_caches = lathe_engine_caches(p->kept);
    assert_true(p->n_caches > 0 && p->n_caches <= 16);
    for (size_t i = 0; i < p->n_caches; i++) {
        p->info[i].struct_size = sizeof p->info[i];
        SYS_MUST(lathe_engine_cache(p->kept, i, &p->info[i], diag));
    }
}

static void close_pair(pair *p)
{
    if (p->any) {
        sys_results_free(&p->before);
    }
    lathe_context_destroy(p->by_hand);
    lathe_context_destroy(p->context);
    lathe_engine_destroy(p->plain);
    lathe_engine_destroy(p->kept);
    lathe_network_destroy(p->network);
}

static const lathe_cache_info *cache_of(const pair *p, const char *input)
{
    for (size_t i = 0; i < p->n_caches; i++) {
        if (strcmp(p->info[i].input, input) == 0) {
            return &p->info[i];
        }
    }
    return NULL;
}

static const lathe_tensor *named(const sys_results *results, const char *name)
{
    for (uint32_t i = 0; i < results->count; i++) {
        if (strcmp(results->names[i], name) == 0) {
            return &results->tensors[i];
        }
    }
    fail_msg("there is no output %s", name);
    return NULL;
}

/* Inputs of one step; what is fed back is what the last run by hand gave, cut to the length; zeros for states at first. */
static void inputs_of(const pair *p, sys_inputs *inputs, const char *sizes, int64_t at)
{
    char all[128];
    snprintf(all, sizeof all, "%s past=%lld past_len=%lld max=%d", sizes, (long long)p->length, (long long)p->length, CAPACITY);
    sys_inputs_make(inputs, p->network, all, p->steps + 1);
    for (uint32_t i = 0; i < inputs->count; i++) {
        lt_tensor *t = &inputs->values[i].tensor;
        const lathe_cache_info *info = cache_of(p, inputs->names[i]);
        for (int64_t k = 0; strcmp(inputs->names[i], "at") == 0 && k < t->dims[0]; k++) {
            ((int64_t *)t->data)[k] = at + k;
        }
        if (info && p->any) {
            const lathe_tensor *from = named(&p->before, info->output);
            size_t row = (size_t)lathe_dtype_bits(from->dtype) / 8, rows = 1;
            for (int d = 0; d < from->rank; d++) {
                row *= d > info->axis ? (size_t)from->dims[d] : 1;
                rows *= d < info->axis ? (size_t)from->dims[d] : 1;
            }
            size_t now = row * (size_t)t->dims[info->axis], then = row * (size_t)from->dims[info->axis];
            assert_true(now <= then && t->bytes == rows * now);
            for (size_t r = 0; r < rows; r++) {
                memcpy((char *)t->data + r * now, (const char *)from->data + r * then, now);
            }
        } else if (info) {
            memset(t->data, 0, t->bytes);
        }
    }
}

static void bind_others(const pair *p, lathe_context *context, const sys_inputs *inputs)
{
    for (uint32_t i = 0; i < inputs->count; i++) {
        lathe_tensor t = inputs->values[i].tensor;
        t.struct_size = sizeof t;
        if (!cache_of(p, inputs->names[i])) {
            SYS_MUST(lathe_context_set_input(context, inputs->names[i], &t, diag));
        }
    }
}

static void step(pair *p, const char *sizes, int64_t seq, int64_t at)
{
    sys_inputs inputs;
    sys_results want, got;
    inputs_of(p, &inputs, sizes, at);
    sys_run(&want, p->plain, p->by_hand, &inputs);
    bind_others(p, p->context, &inputs);
    SYS_MUST(lathe_context_run(p->context, diag));
    sys_outputs(&got, p->kept, p->context);
    sys_same(&got, &want, 0, sizes);
    sys_results_free(&got);
    sys_inputs_free(&inputs);
    if (p->any) {
        sys_results_free(&p->before);
    }
    p->before = want;
    p->any = true;
    p->steps++;
    p->length += seq;
    for (size_t i = 0; i < p->n_caches; i++) {
        int64_t length;
        SYS_MUST(lathe_context_cache_length(p->context, p->info[i].output, &length, diag));
        assert_int_equal(length, named(&p->before, p->info[i].output)->dims[p->info[i].axis]);
    }
}

static void back_to(pair *p, int64_t length)
{
    SYS_MUST(lathe_context_cache_truncate(p->context, NULL, length, diag));
    p->length = length;
}

static void restart(pair *p)
{
    SYS_MUST(lathe_context_cache_reset(p->context, NULL, diag));
    if (p->any) {
        sys_results_free(&p->before);
    }
    p->any = false;
    p->length = 0;
}

/* ---- Tests ---- */

static const char *const automatic[] = { "auto,capacity=16" };

static void grows(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 2; threads++) {
        pair p;
        open_pair(&p, network_of(decoder), automatic, 1, threads);
        for (size_t i = 0; i < p.n_caches; i++) {
            assert_string_equal(p.info[i].way, "appended in place");
            assert_string_equal(p.info[i].note, "");
            assert_int_equal(p.info[i].axis, 2);
        }
        step(&p, "batch=1 seq=5", 5, 0);
        for (int i = 0; i < 6; i++) {
            step(&p, "batch=1 seq=1", 1, 0);
        }
        back_to(&p, 7);
        step(&p, "batch=1 seq=3", 3, 0);
        step(&p, "batch=1 seq=6", 6, 0); /* full */
        restart(&p);
        step(&p, "batch=3 seq=2", 2, 0); /* another batch, now that it is empty */
        step(&p, "batch=3 seq=1", 1, 0);
        close_pair(&p);
    }
}

static void all_kinds(void **state)
{
    (void)state;
    static const char *const caches[] = { "past_*=present_*,capacity=16", "state=new_state" };
    for (int threads = 1; threads <= 2; threads++) {
        pair p;
        open_pair(&p, network_of(kinds), caches, 2, threads);
        assert_string_equal(cache_of(&p, "past_first")->way, "appended in place");
        assert_string_equal(cache_of(&p, "past_rows")->way, "appended in place");
        assert_string_equal(cache_of(&p, "past_columns")->way, "appended in place");
        assert_string_equal(cache_of(&p, "past_half")->way, "appended in place");
        assert_string_equal(cache_of(&p, "past_far")->way, "appended in place");
        assert_non_null(strstr(cache_of(&p, "past_columns")->note, "'present_columns' is copied for MatMul")); /* which has it packed */
        assert_string_equal(cache_of(&p, "past_back")->way, "written anew");
        assert_non_null(strstr(cache_of(&p, "past_back")->note, "does not append"));
        assert_int_equal(cache_of(&p, "state")->capacity, 4);
        for (int batch = 1; batch <= 3; batch += 2) {
            char one[32], four[32];
            snprintf(one, sizeof one, "batch=%d seq=1", batch);
            snprintf(four, sizeof four, "batch=%d seq=4", batch);
            step(&p, four, 4, 0);
            step(&p, one, 1, 0);
            step(&p, one, 1, 0);
            step(&p, four, 4, 0);
            restart(&p);
        }
        close_pair(&p);
    }
}

static void scatters(void **state)
{
    (void)state;
    static const char *const caches[] = { "past_*=present_*,axis=2,capacity=16" };
    for (int threads = 1; threads <= 2; threads++) {
        pair p;
        open_pair(&p, network_of(scatter), caches, 1, threads);
        assert_string_equal(p.info[0].way, "updated in place");
        assert_string_equal(p.info[1].way, "updated in place");
        step(&p, "batch=2 seq=3", 0, 0);
        step(&p, "batch=2 seq=1", 0, 3);
        step(&p, "batch=2 seq=2", 0, 13);
        step(&p, "batch=2 seq=1", 0, 14);
        restart(&p);
        step(&p, "batch=1 seq=4", 0, 2);
        close_pair(&p);
    }
}

static void attention_with_past(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 2; threads++) {
        pair p;
        open_pair(&p, network_of(attends), automatic, 1, threads);
        for (size_t i = 0; i < p.n_caches; i++) {
            assert_string_equal(p.info[i].way, "appended in place");
            assert_string_equal(p.info[i].note, "");
        }
        step(&p, "batch=2 seq=5", 5, 0);
        step(&p, "batch=2 seq=1", 1, 0);
        step(&p, "batch=2 seq=1", 1, 0);
        back_to(&p, 4);
        step(&p, "batch=2 seq=3", 3, 0);
        close_pair(&p);
    }
}

/* Token by token gives what the whole text at once gives. */
static void as_a_whole(void **state)
{
    (void)state;
    enum { TOKENS = 16, LANES = 8, MOST = 6 * LANES };
    pair p;
    sys_inputs inputs;
    sys_results whole;
    open_pair(&p, network_of(attends), automatic, 1, 1);
    sys_inputs_make(&inputs, p.network, "batch=1 seq=16 past=0", 3);
    sys_run(&whole, p.plain, p.by_hand, &inputs);
    for (int t = 0; t < TOKENS; t++) {
        float row[3][MOST];
        for (int i = 0; i < 3; i++) {
            const lt_tensor *x = &inputs.values[i].tensor;
            lathe_tensor one = { .struct_size = sizeof one, .dtype = LATHE_DTYPE_F32, .rank = 4, .dims = { 1, x->dims[1], 1, LANES }, .data = row[i] };
            one.bytes = (size_t)x->dims[1] * LANES * sizeof(float);
            for (int64_t h = 0; h < x->dims[1]; h++) {
                memcpy(row[i] + h * LANES, (const float *)x->data + (h * TOKENS + t) * LANES, LANES * sizeof(float));
            }
            SYS_MUST(lathe_context_set_input(p.context, inputs.names[i], &one, diag));
        }
        SYS_MUST(lathe_context_run(p.context, diag));
        lathe_tensor y = { .struct_size = sizeof y };
        SYS_MUST(lathe_context_output(p.context, "y", &y, diag));
        for (int i = 0; i < MOST; i++) {
            float want = ((const float *)named(&whole, "y")->data)[(i / LANES * TOKENS + t) * LANES + i % LANES], got = ((const float *)y.data)[i];
            assert_true(got - want < 1e-5f && want - got < 1e-5f);
        }
    }
    sys_results_free(&whole);
    sys_inputs_free(&inputs);
    close_pair(&p);
}

/* All layers in one tensor, stacked anew by each run: nothing can be appended, but nobody need feed it back. */
static void stacked(void **state)
{
    (void)state;
    static const char *const caches[] = { "past=present,axis=4,capacity=16" };
    pair p;
    open_pair(&p, sys_network("char_gpt_step"), caches, 1, 2);
    assert_string_equal(p.info[0].way, "written anew");
    step(&p, "seq=3", 3, 0);
    step(&p, "seq=1", 1, 0);
    back_to(&p, 2);
    step(&p, "seq=1", 1, 0);
    close_pair(&p);
}

static void overflow(void **state)
{
    (void)state;
    pair p;
    open_pair(&p, network_of(decoder), automatic, 1, 1);
    step(&p, "batch=1 seq=14", 14, 0);
    sys_inputs inputs;
    inputs_of(&p, &inputs, "batch=1 seq=3", 0);
    bind_others(&p, p.context, &inputs);
    SYS_REFUSED(LATHE_OVERFLOW, "cache 'past_key_values.0.key' is full: it would be 17 long, its capacity is 16 and 14 are there", lathe_context_run(p.context, diag));
    sys_inputs_free(&inputs);
    step(&p, "batch=1 seq=2", 2, 0); /* nothing has happened */
    SYS_REFUSED(LATHE_INVALID_ARGUMENT, "has length 16, not 17 or more", lathe_context_cache_truncate(p.context, NULL, 17, diag));
    SYS_REFUSED(LATHE_INVALID_ARGUMENT, "the plan has no cache 'past'", lathe_context_cache_reset(p.context, "past", diag));
    SYS_REFUSED(LATHE_INVALID_ARGUMENT, "is kept as a cache", lathe_context_set_output(p.context, "present.0.key", &p, 4, diag));
    back_to(&p, 3);
    close_pair(&p);
}

static void other_batch(void **state)
{
    (void)state;
    pair p;
    open_pair(&p, network_of(decoder), automatic, 1, 1);
    step(&p, "batch=1 seq=2", 2, 0);
    sys_inputs inputs;
    sys_inputs_make(&inputs, p.network, "batch=2 seq=1 past=2", 1);
    bind_others(&p, p.context, &inputs);
    SYS_REFUSED(LATHE_BAD_SHAPE, "holds something of extent 1 on axis 0, the inputs make it 2", lathe_context_run(p.context, diag));
    sys_inputs_free(&inputs);
    step(&p, "batch=1 seq=1", 1, 0);
    close_pair(&p);
}

/* Content and storage of the caller's. */
static void given(void **state)
{
    (void)state;
    pair p;
    lathe_context *other = NULL;
    open_pair(&p, network_of(decoder), automatic, 1, 1);
    step(&p, "batch=2 seq=3", 3, 0);
    step(&p, "batch=2 seq=2", 2, 0);
    SYS_MUST(lathe_context_create(p.kept, NULL, &other, diag));
    for (size_t i = 0; i < p.n_caches; i++) { /* begins where the first context is */
        lathe_tensor t = *named(&p.before, p.info[i].output);
        SYS_MUST(lathe_context_set_input(other, p.info[i].input, &t, diag));
    }
    lathe_context *first = p.context;
    p.context = other;
    step(&p, "batch=2 seq=1", 1, 0);
    step(&p, "batch=2 seq=1", 1, 0);
    int64_t length;
    SYS_MUST(lathe_context_cache_length(first, "present.1.key", &length, diag)); /* contexts do not see each other's */
    assert_int_equal(length, 5);
    restart(&p);
    float *memory = test_calloc(2 * 3 * CAPACITY * 8, sizeof *memory);
    SYS_MUST(lathe_context_cache_storage(other, "past_key_values.0.key", memory, 2 * 3 * CAPACITY * 8 * sizeof *memory, 0, diag));
    step(&p, "batch=2 seq=4", 4, 0);
    const lathe_tensor *key = named(&p.before, "present.0.key");
    for (int r = 0; r < 6; r++) {
        assert_memory_equal(memory + (size_t)r * CAPACITY * 8, (const float *)key->data + (size_t)r * 4 * 8, 4 * 8 * sizeof *memory);
    }
    back_to(&p, 2);
    SYS_MUST(lathe_context_cache_storage(other, "past_key_values.0.key", memory, 2 * 3 * CAPACITY * 8 * sizeof *memory, 2, diag));
    step(&p, "batch=2 seq=1", 1, 0);
    SYS_MUST(lathe_context_cache_storage(other, "present.0.key", memory, 100, 0, diag));
    sys_inputs inputs;
    sys_inputs_make(&inputs, p.network, "batch=2 seq=1 past=2", 1);
    bind_others(&p, other, &inputs);
    SYS_REFUSED(LATHE_BAD_SHAPE, "the storage has 100", lathe_context_run(other, diag));
    sys_inputs_free(&inputs);
    SYS_MUST(lathe_context_cache_storage(other, "present.0.key", NULL, 0, 0, diag));
    restart(&p);
    step(&p, "batch=2 seq=2", 2, 0);
    lathe_context_destroy(first);
    close_pair(&p);
    test_free(memory);
}

static void refused(void **state)
{
    (void)state;
    static const struct {
        const char *cache, *says;
    } bad[] = {
        { "past_key_values.0.key", "cannot be read" },
        { "past_key_values.0.key=present.0.key", "has no capacity" },
        { "past_key_values.0.key=present.0.value,capacity=0", "cannot be read" },
        { "past_key_values.0.key=present.7.key,capacity=4", "no output of that name" },
        { "past_key_values.0.key=present.0.key,axis=1,capacity=4", "cannot grow" },
        { "past_key_values.0.key=present.0.key,axis=4,capacity=4", "no such axis" },
        { "past_key_values.0.key=y,capacity=4", "one type and rank" },
        { "nothing_*=present_*,capacity=4", "no input of the network" },
    };
    lathe_network *network = network_of(decoder);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        lathe_build_options o = { .struct_size = sizeof o, .caches = &bad[i].cache, .n_caches = 1 };
        lathe_plan *plan = NULL;
        SYS_REFUSED(LATHE_INVALID_ARGUMENT, bad[i].says, lathe_build(network, &o, &plan, diag));
    }
    lathe_network_destroy(network);
}

/* The pairs survive retuning, which sees the plan alone. */
static void retuned(void **state)
{
    (void)state;
    lathe_network *network = network_of(decoder);
    lathe_build_options o = { .struct_size = sizeof o, .caches = automatic, .n_caches = 1, .threads = 1 };
    lathe_plan *plan = sys_build(network, &o), *again = NULL;
    size_t size;
    const void *data = lathe_plan_data(plan, &size);
    SYS_MUST(lathe_plan_retune(data, size, NULL, &again, diag));
    lathe_engine *engine = sys_load(NULL, again, NULL);
    assert_int_equal(lathe_engine_caches(engine), 4);
    lathe_engine_destroy(engine);
    lathe_plan_destroy(plan);
    lathe_plan_destroy(again);
    lathe_network_destroy(network);
}

static void no_allocation(void **state)
{
    (void)state;
    if (!MALLOC_COUNTED) {
        skip();
    }
    static const lathe_shape_range shape[] = { { .input = "x", .rank = 3, .min = { 1, 1, 24 }, .opt = { 1, 1, 24 }, .max = { 1, 4, 24 } } };
    lathe_profile profile = { .ranges = shape, .count = 1 };
    lathe_network *network = network_of(decoder);
    lathe_build_options o = { .struct_size = sizeof o, .caches = automatic, .n_caches = 1, .threads = 1, .profiles = &profile, .n_profiles = 1 };
    lathe_engine *engine = sys_engine(network, &o);
    lathe_context *context = NULL;
    SYS_MUST(lathe_context_create(engine, NULL, &context, diag));
    float x[24] = { 1, 2, 3 };
    lathe_tensor t = { .struct_size = sizeof t, .dtype = LATHE_DTYPE_F32, .rank = 3, .dims = { 1, 1, 24 }, .data = x, .bytes = sizeof x };
    SYS_MUST(lathe_context_set_input(context, "x", &t, diag));
    SYS_MUST(lathe_context_run(context, diag));
    lathe_diag *diag = lathe_diag_create(NULL);
    for (int round = 0; round < 2; round++) {
        size_t before = atomic_load(&malloc_calls);
        for (int i = 0; i < 12; i++) {
            assert_int_equal(lathe_context_run(context, diag), LATHE_OK);
        }
        assert_int_equal(lathe_context_cache_truncate(context, NULL, 1, diag), LATHE_OK);
        assert_int_equal(atomic_load(&malloc_calls), before);
    }
    lathe_diag_destroy(diag);
    lathe_context_destroy(context);
    lathe_engine_destroy(engine);
    lathe_network_destroy(network);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(grows),    cmocka_unit_test(all_kinds), cmocka_unit_test(scatters), cmocka_unit_test(attention_with_past), cmocka_unit_test(as_a_whole), cmocka_unit_test(stacked),
                                        cmocka_unit_test(overflow), cmocka_unit_test(other_batch), cmocka_unit_test(given),  cmocka_unit_test(refused),
                                        cmocka_unit_test(retuned),  cmocka_unit_test(no_allocation) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
