/*
 * trial.c - makes a problem's operands, runs candidates on them, compares their results. Used by jobs.c; it must not know caches, levels or choices.
 */
#include "tune/trial.h"
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

/* ---- Is it possible? ---- */

bool lt_trial_possible(const lt_tuner *t, const lt_draft *d, const char **why)
{
    const lathe_problem *p = d->problem;
    for (uint32_t i = 0; i < d->n_in; i++) {
        const lt_value *v = lt_value_get(t->graph, d->in[i]);
        const lathe_operand *o = &p->in[i];
        if (o->flags & LATHE_OPERAND_ABSENT) {
            continue;
        }
        if (o->flags & (LATHE_OPERAND_MANAGED | LATHE_OPERAND_BOUNDED)) {
            *why = "an input has no extents before the run";
            return false;
        }
        if (!v || (lt_value_is_constant(v) && !v->blob)) {
            *why = "a constant has no contents yet";
            return false;
        }
        if ((o->flags & LATHE_OPERAND_HOST) && !v->blob) {
            *why = "the contents of an input decide what is done";
            return false;
        }
        if (lathe_dtype_bits(o->dtype) < 8 || o->dtype == LATHE_DTYPE_STRING) {
            *why = "an input holds strings or parts of bytes";
            return false;
        }
    }
    for (uint32_t i = 0; i < d->n_out; i++) {
        if (p->out[i].flags & (LATHE_OPERAND_MANAGED | LATHE_OPERAND_BOUNDED)) {
            *why = "an output has no extents before the run";
            return false;
        }
    }
    return true;
}

/* ---- Inputs ---- */

static bool present(const lathe_operand *o)
{
    return !(o->flags & LATHE_OPERAND_ABSENT);
}

/* Random floats, bytes and truth values by repeating a short stretch; wider integers are 0. */
static lathe_status fill(lathe_tensor *t, uint64_t seed, lathe_diag *diag)
{
    enum { STRETCH = 8192 };
    int64_t count = lt_tensor_count(t);
    bool wide = lt_dtype_is_integer(t->dtype) && lathe_dtype_bits(t->dtype) > 8;
    if (wide || count == 0) {
        memset(t->data, 0, t->bytes);
        return LATHE_OK;
    }
    lt_tensor head = *t;
    size_t size = lathe_dtype_bits(t->dtype) / 8, done;
    head.rank = 1;
    head.dims[0] = count < STRETCH ? count : STRETCH;
    head.bytes = (size_t)head.dims[0] * size;
    LT_TRY(lt_random_fill(&head, seed, diag));
    for (done = head.bytes; done < t->bytes; done += head.bytes) {
        memcpy((char *)t->data + done, t->data, t->bytes - done < head.bytes ? t->bytes - done : head.bytes);
    }
    return LATHE_OK;
}

static lathe_status plain_input(lt_trial *trial, const lt_draft *d, uint32_t i)
{
    const lathe_operand *o = &trial->problem->in[i];
    lathe_diag *diag = trial->t->diag;
    const lt_value *v = lt_value_get(trial->t->graph, d->in[i]);
    if (v->blob) {
        trial->plain[i] = *lt_blob_tensor(v->blob);
        return LATHE_OK;
    }
    LT_TRY(lt_tensor_shape(&trial->plain[i], o->dtype, o->rank, trial->dims[i], v->name, diag));
    trial->plain[i].data = lt_arena_alloc(&trial->memory, trial->plain[i].bytes + 1, 64);
    return trial->plain[i].data ? fill(&trial->plain[i], i + 1, diag) : LT_OOM(diag);
}

lathe_status lt_trial_open(lt_trial *trial, const lt_tuner *t, const lt_draft *d, uint32_t n)
{
    const lathe_problem *p = d->problem;
    *trial = (lt_trial){.t = t, .problem = p};
    lt_arena_init(&trial->memory, t->arena->allocator);
    lt_arena_init(&trial->host_scratch, t->arena->allocator);
    lt_arena_init(&trial->host_keep, t->arena->allocator);
    trial->host = (lt_host){.scratch = &trial->host_scratch, .keep = &trial->host_keep, .seed = 1};
    trial->plain = LT_ARENA_ARRAY(&trial->memory, lathe_tensor, p->n_in + 1);
    trial->dims = lt_arena_zero(&trial->memory, p->n_in + p->n_out + 1, sizeof *trial->dims, _Alignof(int64_t));
    trial->entries = LT_ARENA_ARRAY(&trial->memory, lt_trial_entry, n + 1u);
    if (!trial->plain || !trial->dims || !trial->entries) {
        return LT_OOM(t->diag);
    }
    trial->n_entries = n;
    for (size_t i = 0; i < p->n_in + p->n_out; i++) {
        const lathe_operand *o = i < p->n_in ? &p->in[i] : &p->out[i - p->n_in];
        for (int k = 0; k < o->rank; k++) {
            trial->dims[i][k] = o->dims[k].opt;
        }
    }
    for (uint32_t i = 0; i < p->n_in; i++) {
        LT_TRY(present(&p->in[i]) ? plain_input(trial, d, i) : LATHE_OK);
    }
    return LATHE_OK;
}

void lt_trial_close(lt_trial *trial)
{
    for (uint32_t i = 0; trial->entries && i < trial->n_entries; i++) {
        if (trial->entries[i].call.state) {
            trial->entries[i].tactic->forget(trial->entries[i].call.state);
        }
    }
    lt_arena_destroy(&trial->host_keep);
    lt_arena_destroy(&trial->host_scratch);
    lt_arena_destroy(&trial->memory);
}

/* ---- Candidates ---- */

/* Plain memory from or to another format, by the tactic that can do it all. */
static lathe_status reformat(lt_trial *trial, const lathe_operand *like, int64_t *dims, const lathe_format *from, const void *src, const lathe_format *to,
                             void *dst)
{
    lathe_diag *diag = trial->t->diag;
    lt_reformat_problem r;
    const lathe_tactic *tactic = lt_tactic_find("reformat.generic");
    lathe_gang alone = {.index = 0, .count = 1};
    lathe_fit fit;
    lt_reformat_ask(&r, like, from, to);
    LT_CHECK(diag, tactic && lt_tactic_ask(tactic, 0, &r.problem, trial->t->options->features, &trial->memory, &fit), "reformat.generic");
    lathe_buffer in = {.data = (void *)src, .rank = like->rank, .dims = dims}, out = {.data = dst, .rank = like->rank, .dims = dims};
    lathe_call call = {.struct_size = sizeof call, .problem = &r.problem, .in = &in, .out = &out};
    return tactic->run(&alone, &call, diag);
}

static lathe_status packed_input(lt_trial *trial, lt_trial_operand *to, const lathe_fit *fit, uint32_t i)
{
    const lathe_pack *pack = lt_pack_find(fit->pack[i]);
    const lathe_tensor *source = &trial->plain[i];
    if (!pack || !lt_pack_bytes(fit->pack[i], source, fit->pack_param[i], &to->bytes)) {
        return LT_FAIL(trial->t->diag, LATHE_INTERNAL, NULL, "this is a bug in Lathe: please report it", "a constant cannot be packed as %s", fit->pack[i]);
    }
    to->data = lt_arena_zero(&trial->memory, to->bytes + 64, 1, 64);
    if (!to->data) {
        return LT_OOM(trial->t->diag);
    }
    pack->pack(to->data, source, fit->pack_param[i]);
    return LATHE_OK;
}

static lathe_status room(lt_trial *trial, const lathe_operand *o, const lathe_format *f, const int64_t *dims, lt_trial_operand *to)
{
    if (!lt_format_bytes(f, o->rank, dims, &to->bytes)) {
        return LT_FAIL(trial->t->diag, LATHE_OVERFLOW, NULL, NULL, "an operand is too large to be tried");
    }
    to->data = lt_arena_alloc(&trial->memory, to->bytes + 64, 64);
    return to->data ? LATHE_OK : LT_OOM(trial->t->diag);
}

static lathe_status input_of(lt_trial *trial, lt_trial_entry *e, uint32_t i)
{
    const lathe_operand *o = &trial->problem->in[i];
    lt_trial_operand *to = &e->operands[i];
    lathe_format plain = lt_format_plain(o->dtype, o->rank, LATHE_SPACE_HOST);
    to->weight = (o->flags & LATHE_OPERAND_CONSTANT) != 0;
    if (e->fit->pack[i]) {
        return packed_input(trial, to, e->fit, i);
    }
    LT_TRY(room(trial, o, &e->fit->in[i], trial->dims[i], to));
    LT_TRY(reformat(trial, o, trial->dims[i], &plain, trial->plain[i].data, &e->fit->in[i], to->data));
    if (!to->weight) {
        to->fresh = lt_arena_copy(&trial->memory, to->data, to->bytes, 64);
        return to->fresh ? LATHE_OK : LT_OOM(trial->t->diag);
    }
    return LATHE_OK;
}

static lathe_status buffers_of(lt_trial *trial, lt_trial_entry *e)
{
    const lathe_problem *p = e->problem;
    lathe_buffer *row = LT_ARENA_ARRAY(&trial->memory, lathe_buffer, p->n_in + p->n_out + 1);
    if (!row) {
        return LT_OOM(trial->t->diag);
    }
    for (size_t i = 0; i < p->n_in + p->n_out; i++) {
        const lathe_operand *o = i < p->n_in ? &p->in[i] : &p->out[i - p->n_in];
        if (present(o)) {
            row[i] = (lathe_buffer){.data = e->operands[i].data, .rank = o->rank, .dims = trial->dims[i]};
        }
    }
    e->call.in = row;
    e->call.out = row + p->n_in;
    size_t bytes = e->tactic->scratch_bytes ? e->tactic->scratch_bytes(p, e->call.config, row, row + p->n_in, lt_tuner_threads(trial->t)) : 0;
    e->call.scratch = lt_arena_alloc(&trial->memory, bytes + 64, 64);
    return e->call.scratch ? LATHE_OK : LT_OOM(trial->t->diag);
}

lathe_status lt_trial_prepare(lt_trial *trial, uint32_t i, const lt_draft *d, uint32_t state)
{
    lt_trial_entry *e = &trial->entries[i];
    const lathe_problem *p = trial->problem;
    e->tactic = d->states[state]->tactic;
    e->fit = &d->fits[state];
    e->problem = lt_settle_problem(&trial->memory, p, e->fit);
    e->operands = LT_ARENA_ARRAY(&trial->memory, lt_trial_operand, p->n_in + p->n_out + 1);
    if (!e->problem || !e->operands) {
        return LT_OOM(trial->t->diag);
    }
    e->call = (lathe_call){.struct_size = sizeof e->call, .problem = e->problem, .config = d->states[state]->config, .host = &trial->host};
    for (uint32_t k = 0; k < p->n_in; k++) {
        LT_TRY(present(&p->in[k]) ? input_of(trial, e, k) : LATHE_OK);
    }
    for (uint32_t k = 0; k < p->n_out; k++) {
        LT_TRY(present(&p->out[k]) ? room(trial, &p->out[k], &e->fit->out[k], trial->dims[p->n_in + k], &e->operands[p->n_in + k]) : LATHE_OK);
    }
    LT_TRY(buffers_of(trial, e));
    if (e->tactic->prepare) {
        LT_TRY(e->tactic->prepare(e->problem, e->call.config, e->call.in, e->call.out, lt_tuner_threads(trial->t), &e->call.state, trial->t->diag));
    }
    e->ready = true;
    return LATHE_OK;
}

/* ---- Running ---- */

typedef struct shot {
    const lt_trial_entry *e;
    _Atomic int failed;
    int64_t took;
    bool alone;
} shot;

static void no_barrier(const lathe_gang *gang)
{
    (void)gang;
}

/* As a run of a plan does it: everybody meets, the step runs, everybody meets. */
static void fire(void *user, const lathe_gang *gang)
{
    shot *s = user;
    lathe_gang one = {.index = 0, .count = 1, .barrier = no_barrier};
    bool together = gang->count > 1 && !s->alone;
    if (gang->index > 0 && !together) {
        return;
    }
    if (together) {
        gang->barrier(gang);
    }
    int64_t start = gang->index == 0 ? lt_now_ns() : 0;
    lathe_status status = s->e->tactic->run(together ? gang : &one, &s->e->call, NULL);
    if (status != LATHE_OK) {
        atomic_store_explicit(&s->failed, (int)status, memory_order_relaxed);
    }
    if (together) {
        gang->barrier(gang);
    }
    if (gang->index == 0) {
        s->took = lt_now_ns() - start;
    }
}

/* Inputs as if a step had just written them; weights as a run finds them that has been elsewhere since. */
static void set_the_scene(const lt_trial *trial, const lt_trial_entry *e, bool cold)
{
    for (size_t i = 0; i < trial->problem->n_in; i++) {
        lt_trial_operand *o = &e->operands[i];
        if (o->fresh) {
            memcpy(o->data, o->fresh, o->bytes);
        } else if (o->weight && cold && o->data) {
            lt_cache_evict(o->data, o->bytes);
        }
    }
}

double lt_trial_shot(lt_trial *trial, uint32_t i, bool cold)
{
    lt_trial_entry *e = &trial->entries[i];
    shot s = {.e = e, .alone = e->fit->serial || e->fit->cost < LT_SHORT_STEP_NS};
    set_the_scene(trial, e, cold);
    lt_arena_reset_whole(trial->host.scratch);
    lt_arena_reset_whole(trial->host.keep);
    lt_pool_run(trial->t->options->pool, lt_tuner_threads(trial->t), fire, &s);
    if (atomic_load_explicit(&s.failed, memory_order_relaxed)) {
        snprintf(e->why, sizeof e->why, "it failed when it was tried");
        return -1;
    }
    return (double)s.took;
}

/* ---- Comparing ---- */

typedef struct tally {
    double apart, size, most; /* sum|a-b|, sum|b|, the largest |a-b| */
    bool broken;              /* NaN or infinities stand in other places */
} tally;

static inline void count_pair(tally *t, double a, double b)
{
    double d = fabs(a - b);
    if (a == b || (a != a && b != b)) {
        t->size += isfinite(b) ? fabs(b) : 0;
    } else if (!isfinite(d)) {
        t->broken = true;
    } else {
        t->apart += d;
        t->size += fabs(b);
        t->most = d > t->most ? d : t->most;
    }
}

/* Rounding differs from one order of summation to the next; quantized results by one step. */
static bool near_enough(const tally *t, lathe_dtype dtype)
{
    double limit = dtype == LATHE_DTYPE_F64 ? 1e-9 : dtype == LATHE_DTYPE_F32 ? 1e-3 : lt_dtype_is_float(dtype) ? 2e-2 : dtype == LATHE_DTYPE_BOOL ? 0 : 1;
    return !t->broken && (lt_dtype_is_float(dtype) ? t->apart <= limit * t->size + 1e-30 : t->most <= limit);
}

static bool same_results(lathe_dtype dtype, const void *a, const void *b, int64_t n)
{
    tally t = {0};
    if (memcmp(a, b, (size_t)n * lathe_dtype_bits(dtype) / 8) == 0) {
        return true;
    }
    for (int64_t i = 0; dtype == LATHE_DTYPE_F32 && i < n; i++) { /* most are */
        count_pair(&t, ((const float *)a)[i], ((const float *)b)[i]);
    }
    for (int64_t i = 0; dtype != LATHE_DTYPE_F32 && i < n; i++) {
        count_pair(&t, lt_load_f64(dtype, a, i), lt_load_f64(dtype, b, i));
    }
    return near_enough(&t, dtype);
}

static lathe_status plain_results(lt_trial *trial, const lt_trial_entry *e, uint32_t o, const void **out)
{
    const lathe_problem *p = trial->problem;
    const lathe_operand *like = &p->out[o];
    lathe_format plain = lt_format_plain(like->dtype, like->rank, LATHE_SPACE_HOST);
    lt_trial_operand to;
    int64_t *dims = trial->dims[p->n_in + o];
    if (lt_format_same(&plain, &e->fit->out[o])) {
        *out = e->operands[p->n_in + o].data;
        return LATHE_OK;
    }
    LT_TRY(room(trial, like, &plain, dims, &to));
    *out = to.data;
    return reformat(trial, like, dims, &e->fit->out[o], e->operands[p->n_in + o].data, &plain, to.data);
}

/* results[o * n + i]: output o of entry i in plain form; NULL when there is none. */
static lathe_status collect_results(lt_trial *trial, const void **results)
{
    uint32_t n = trial->n_entries;
    for (uint32_t o = 0; o < trial->problem->n_out; o++) {
        for (uint32_t i = 0; i < n && present(&trial->problem->out[o]); i++) {
            if (trial->entries[i].ready && !trial->entries[i].why[0]) {
                LT_TRY(plain_results(trial, &trial->entries[i], o, &results[o * n + i]));
            }
        }
    }
    return LATHE_OK;
}

static bool agree(const lt_trial *trial, const void *const *results, uint32_t i, uint32_t k)
{
    const lathe_problem *p = trial->problem;
    uint32_t n = trial->n_entries;
    for (uint32_t o = 0; o < p->n_out; o++) {
        int64_t count = 1;
        for (int d = 0; d < p->out[o].rank; d++) {
            count *= trial->dims[p->n_in + o][d];
        }
        if (results[o * n + i] && results[o * n + k] && !same_results(p->out[o].dtype, results[o * n + i], results[o * n + k], count)) {
            return false;
        }
    }
    return true;
}

/* Does a camp's first result agree with the reference on the samples? */
static bool meets(const lt_trial *trial, const lt_oracle_points *points, const void *result)
{
    lathe_dtype dtype = trial->problem->out[0].dtype;
    tally t = {0};
    for (uint32_t i = 0; i < points->n; i++) {
        count_pair(&t, lt_load_f64(dtype, result, points->index[i]), points->value[i]);
    }
    return near_enough(&t, dtype);
}

typedef struct camps {
    uint32_t *leader, *size; /* of each entry; of each leader */
    bool *wrong;             /* of each leader: the reference says otherwise */
} camps;

static lathe_status form_camps(lt_trial *trial, const void *const *results, camps *c)
{
    uint32_t n = trial->n_entries;
    c->leader = LT_ARENA_ARRAY(&trial->memory, uint32_t, n + 1u);
    c->size = LT_ARENA_ARRAY(&trial->memory, uint32_t, n + 1u);
    c->wrong = LT_ARENA_ARRAY(&trial->memory, bool, n + 1u);
    if (!c->leader || !c->size || !c->wrong) {
        return LT_OOM(trial->t->diag);
    }
    for (uint32_t i = 0; i < n; i++) {
        c->leader[i] = i;
        for (uint32_t k = 0; trial->entries[i].ready && !trial->entries[i].why[0] && k <= i; k++) {
            if (k == i || (c->size[k] > 0 && agree(trial, results, i, k))) {
                c->leader[i] = k;
                c->size[k]++;
                break;
            }
        }
    }
    return LATHE_OK;
}

/* The largest camp that the reference does not contradict; when it contradicts all, the largest. */
static uint32_t best_camp(const lt_trial *trial, const camps *c)
{
    uint32_t best = UINT32_MAX;
    for (int strict = 1; strict >= 0 && best == UINT32_MAX; strict--) {
        for (uint32_t i = 0; i < trial->n_entries; i++) {
            if (c->size[i] > 0 && !(strict && c->wrong[i]) && (best == UINT32_MAX || c->size[i] > c->size[best])) {
                best = i;
            }
        }
    }
    return best;
}

lathe_status lt_trial_compare(lt_trial *trial)
{
    uint32_t n = trial->n_entries;
    camps c;
    const void **results = lt_arena_zero(&trial->memory, (size_t)n * trial->problem->n_out + 1, sizeof *results, _Alignof(void *));
    lt_oracle_points *points = LT_ARENA_NEW(&trial->memory, lt_oracle_points);
    if (!results || !points) {
        return LT_OOM(trial->t->diag);
    }
    LT_TRY(collect_results(trial, results));
    LT_TRY(form_camps(trial, results, &c));
    bool judged = lt_oracle_sample(trial, points);
    for (uint32_t i = 0; i < n && judged; i++) {
        c.wrong[i] = c.size[i] > 0 && results[i] && !meets(trial, points, results[i]);
    }
    uint32_t best = best_camp(trial, &c);
    for (uint32_t i = 0; i < n && best != UINT32_MAX; i++) {
        lt_trial_entry *e = &trial->entries[i];
        uint32_t camp = c.leader[i];
        if (e->ready && !e->why[0] && camp != best && (!judged || c.wrong[camp])) {
            snprintf(e->why, sizeof e->why, judged ? "its numbers differ from the reference's" : "its numbers differ from those of %u other candidates", c.size[best]);
        }
    }
    return LATHE_OK;
}
