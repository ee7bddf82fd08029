/*
 * jobs.c - measured times in place of estimates: which problems leave a choice, which of their candidates are worth timing, what the cache knows already.
 * Called by choose.c above level 0.
 *
 * The same problem in several places is one job. What is timed is decided by the estimates alone, so that a build with a warm cache asks for just the
 * times that the cold one measured.
 */
#include "tune/sampling.h"
#include <string.h>

typedef struct job {
    uint32_t draft;       /* the first that has this problem */
    const char *text;
    uint32_t *states;     /* to be timed, best estimate first */
    uint32_t n;
    uint32_t missing;     /* not in the cache */
    double expected_ns;   /* of the timing, by the estimates */
} job;

struct lt_clock {
    lt_tuner *t;
    const lt_effort *effort;
    lt_probe probe;
    bool cold;
    job *jobs;
    size_t n_jobs, cap_jobs;
    uint32_t *job_of;     /* draft -> job + 1 */
    lt_map of_text;
    int64_t start;
    double expected, done; /* of all jobs; of those that are over */
    double spent;          /* nanoseconds that the jobs which are over took */
    double weight_bytes;   /* of all constants */
    double engine_ns;      /* of the best estimates together */
    bool overturned;       /* of some job, another candidate than the one with the best estimate won */
};

/* ---- Keys ---- */

static const char *setting_of(const struct lt_clock *c)
{
    return c->cold ? "cold" : "warm";
}

static lathe_timing_entry key_of(const struct lt_clock *c, const char *text, const lathe_tactic *tactic, uint32_t config)
{
    return (lathe_timing_entry){.struct_size = sizeof(lathe_timing_entry), .machine = c->t->options->machine, .problem = text, .tactic = tactic->name,
                                .version = tactic->version, .config = config, .setting = setting_of(c)};
}

static bool remembered(const struct lt_clock *c, const char *text, lt_candidate *cand)
{
    lathe_timing_entry key = key_of(c, text, cand->tactic, cand->config), found = {.struct_size = sizeof found};
    const lathe_timing_cache *cache = c->t->options->cache;
    bool known = cache && lathe_timing_cache_find(cache, &key, &found);
    if (!known && cache && c->t->options->absent) { /* how large the caches are there is not known here */
        key.setting = c->cold ? "warm" : "cold";
        known = lathe_timing_cache_find(cache, &key, &found);
    }
    if (!known) {
        return false;
    }
    cand->time = found.time;
    if (found.refused) {
        cand->why = lt_arena_str(c->t->arena, found.refused);
        cand->fits = false;
    }
    return true;
}

static lathe_status remember(const struct lt_clock *c, const char *text, const lt_candidate *cand)
{
    lathe_timing_entry entry = key_of(c, text, cand->tactic, cand->config);
    entry.time = cand->time;
    entry.refused = cand->fits ? NULL : cand->why;
    return c->t->options->cache ? lathe_timing_cache_put(c->t->options->cache, &entry, c->t->diag) : LATHE_OK;
}

/* ---- Jobs ---- */

static double engine_ns(const lt_tuner *t)
{
    double total = 0;
    for (size_t i = 0; i < t->drafts.count; i++) {
        const lt_draft *d = &t->drafts.items[i];
        double best = LT_PBQP_INF;
        for (uint32_t s = 0; d->kind == LT_UNIT_STEP && s < d->n_states; s++) {
            best = d->fits[s].cost < best ? d->fits[s].cost : best;
        }
        total += best < LT_PBQP_INF ? best / lt_tuner_threads(t) : 0;
    }
    return total;
}

/* The same tactic for a lesser instruction set: "gemm.f32.base" where "gemm.f32.avx2" fits too. */
static bool outclassed(const lt_draft *d, uint32_t state)
{
    const lt_candidate *a = d->states[state];
    const char *end = strrchr(a->tactic->name, '.');
    size_t stem = end ? (size_t)(end - a->tactic->name) + 1 : 0;
    for (uint32_t s = 0; s < d->n_states && stem > 0; s++) {
        const lathe_tactic *b = d->states[s]->tactic;
        if (b && b != a->tactic && d->states[s]->config == a->config && strncmp(a->tactic->name, b->name, stem) == 0 && !strchr(b->name + stem, '.') &&
            b->cpu_features != a->tactic->cpu_features && (b->cpu_features & a->tactic->cpu_features) == a->tactic->cpu_features) {
            return true;
        }
    }
    return false;
}

enum { PIECE_CANDIDATES = 2 }; /* of alternatives to a group, which seldom win */

/* States by estimate, ties by table order; the first `reach` are worth timing. Views have no tactic and cost nothing. */
static lathe_status pick_states(struct lt_clock *c, const lt_draft *d, job *j)
{
    j->states = LT_ARENA_ARRAY(c->t->arena, uint32_t, d->n_states + 1u);
    if (!j->states) {
        return LT_OOM(c->t->diag);
    }
    for (uint32_t s = 0; s < d->n_states; s++) {
        uint32_t at = j->n;
        if (!d->states[s]->tactic || (c->t->options->level < 5 && outclassed(d, s))) {
            continue;
        }
        for (; at > 0 && d->states[j->states[at - 1]]->estimate_ns > d->states[s]->estimate_ns; at--) {
            j->states[at] = j->states[at - 1];
        }
        j->states[at] = s;
        j->n++;
    }
    uint32_t most = d->piece && c->effort->candidates > PIECE_CANDIDATES && c->t->options->level < 5 ? PIECE_CANDIDATES : c->effort->candidates;
    double reach = j->n ? d->states[j->states[0]]->estimate_ns * c->effort->reach : 0;
    uint32_t kept = 1;
    while (kept < j->n && kept < most && d->states[j->states[kept]]->estimate_ns <= reach) {
        kept++;
    }
    j->n = j->n < kept ? j->n : kept;
    return LATHE_OK;
}

/*
 * What a job will take: operands are made and packed, results judged, everybody runs once, then the rounds. The sizes of the terms to one another were
 * fitted to builds of three networks; what they all have to be multiplied by here and now shows as the jobs go by.
 */
static double expect(const struct lt_clock *c, const lt_draft *d, const job *j)
{
    double ns = 1e6 + 4 * lt_oracle_work(d->problem), bytes = lt_problem_bytes(d->problem);
    for (uint32_t i = 0; i < j->n; i++) {
        const lt_candidate *cand = d->states[j->states[i]];
        double once = cand->estimate_ns / lt_tuner_threads(c->t) + 0.15 * bytes;
        double shots = 1 + c->effort->shots[0] + (i < 2 ? c->effort->shots[1] + c->effort->shots[2] : 0);
        double most = once * (1 + (i < 2 ? 3.0 : 1.0)) + c->effort->round_ns * (i < 2 ? 3 : 1);
        ns += 3 * bytes + (once * shots < most ? once * shots : most);
    }
    return ns;
}

/* Groups and pieces are timed even where there is one way only: they are compared with each other. */
static bool has_pieces(const lt_tuner *t, uint32_t number)
{
    return t->drafts.items[number].piece || (number + 1 < t->drafts.count && t->drafts.items[number + 1].piece);
}

static lathe_status add_job(struct lt_clock *c, uint32_t number)
{
    lt_tuner *t = c->t;
    const lt_draft *d = &t->drafts.items[number];
    const char *text, *why;
    uint64_t at;
    if (d->kind != LT_UNIT_STEP || (d->n_states < 2 && !has_pieces(t, number)) || d->space != LATHE_SPACE_HOST || !lt_trial_possible(t, d, &why)) {
        return LATHE_OK;
    }
    LT_TRY(lt_problem_line(t, d->problem, &text));
    if (!lt_map_get(&c->of_text, text, &at)) {
        job j = {.draft = number, .text = text};
        LT_TRY(pick_states(c, d, &j));
        for (uint32_t i = 0; i < j.n; i++) {
            lt_candidate *cand = (lt_candidate *)d->states[j.states[i]];
            bool known = remembered(c, text, cand);
            j.missing += !known;
            t->counts->remembered += known;
        }
        j.expected_ns = j.missing ? expect(c, d, &j) : 0;
        if (!lt_arena_grow(t->arena, (void **)&c->jobs, &c->cap_jobs, c->n_jobs + 1, sizeof j) || !lt_map_put(&c->of_text, text, c->n_jobs)) {
            return LT_OOM(t->diag);
        }
        at = c->n_jobs;
        c->jobs[c->n_jobs++] = j;
        c->expected += j.expected_ns;
    }
    c->job_of[number] = (uint32_t)at + 1;
    return LATHE_OK;
}

/* ---- Timing one ---- */

static void take_times(struct lt_clock *c, const lt_trial *trial, const lt_draft *d, const job *j, lt_samples *samples, lathe_status *status)
{
    for (uint32_t i = 0, e = 0; i < j->n && *status == LATHE_OK; i++) {
        lt_candidate *cand = (lt_candidate *)d->states[j->states[i]];
        if (cand->time.samples > 0 || !cand->fits) {
            continue; /* the cache knew */
        }
        cand->time = lt_samples_time(&samples[e]);
        if (trial->entries[e].why[0]) {
            cand->fits = false;
            cand->time = (lathe_timing){0};
            cand->why = lt_arena_str(c->t->arena, trial->entries[e].why);
            c->t->counts->wrong++;
        }
        c->t->counts->timed++;
        e++;
        *status = cand->why ? remember(c, j->text, cand) : LT_OOM(c->t->diag);
    }
}

static lathe_status time_one(struct lt_clock *c, const lt_draft *d, const job *j)
{
    lt_trial trial;
    lt_samples *samples = lt_alloc_array(c->t->arena->allocator, j->missing, sizeof *samples, _Alignof(lt_samples));
    if (!samples) {
        return LT_OOM(c->t->diag);
    }
    lathe_status status = lt_trial_open(&trial, c->t, d, j->missing);
    for (uint32_t i = 0, e = 0; i < j->n && status == LATHE_OK; i++) {
        const lt_candidate *cand = d->states[j->states[i]];
        if (cand->time.samples == 0 && cand->fits) {
            status = lt_trial_prepare(&trial, e++, d, j->states[i]);
        }
    }
    status = status == LATHE_OK ? lt_sample(&trial, c->effort, c->cold, &c->probe, samples) : status;
    if (status == LATHE_OK) {
        take_times(c, &trial, d, j, samples, &status);
    }
    lt_trial_close(&trial);
    lt_release(c->t->arena->allocator, samples, j->missing * sizeof *samples, _Alignof(lt_samples));
    return status;
}

/* The least measured time, and its candidate's estimate. */
static const lt_candidate *best_of(const lt_draft *d, const job *j)
{
    const lt_candidate *best = NULL;
    for (uint32_t i = 0; i < j->n; i++) {
        const lt_candidate *cand = d->states[j->states[i]];
        if (cand->time.samples > 0 && (!best || cand->time.median < best->time.median)) {
            best = cand;
        }
    }
    return best;
}

#define SAME 1.02 /* closer than this, times do not tell candidates apart: the better estimate stands */

#define NEAR 1.2  /* nor do they when their intervals overlap, up to here */

bool lt_indistinct(const lt_candidate *cand, const lt_candidate *best)
{
    const lathe_timing *a = &cand->time, *b = &best->time;
    return a->samples > 0 && (a->median <= SAME * b->median || (a->low < b->high && a->median <= NEAR * b->median));
}

/* The best by estimate of those that times do not tell from the best. */
static const lt_candidate *winner_of(const lt_draft *d, const job *j, const lt_candidate *best)
{
    for (uint32_t i = 0; best && i < j->n; i++) {
        if (lt_indistinct(d->states[j->states[i]], best)) {
            return d->states[j->states[i]];
        }
    }
    return NULL;
}

static bool overturns(const lt_draft *d, const job *j)
{
    const lt_candidate *winner = winner_of(d, j, best_of(d, j));
    return winner && winner != d->states[j->states[0]];
}

/* What is left is predicted from how the expectations have held so far. */
static lathe_status tell(const struct lt_clock *c, const job *j, uint32_t number)
{
    const lt_tune_options *o = c->t->options;
    double ratio = c->done > 0 ? c->spent / c->done : 1;
    lt_tune_progress p = {.what = lt_draft_label(c->t, &c->t->drafts.items[j->draft]), .done = number, .total = (uint32_t)c->n_jobs,
                          .left = (c->expected - c->done) * ratio * 1e-9, .overturned = c->overturned, .engine_seconds = c->engine_ns * ratio * 1e-9, .weight_bytes = c->weight_bytes};
    return o->progress ? o->progress(o->progress_user, &p, c->t->diag) : LATHE_OK;
}

static lathe_status cache_miss(const lt_tuner *t, const char *name, uint32_t missing, uint32_t wanted)
{
    return LT_FAIL(t->diag, LATHE_UNSUPPORTED, name, "build once without --error-on-cache-miss, on the machine that the plan is for and with the same threads and level",
                   "the timing cache does not hold %u of %u times of this step, and nothing may be timed", missing, wanted);
}

static lathe_status time_jobs(struct lt_clock *c)
{
    const lt_tune_options *o = c->t->options;
    for (uint32_t i = 0; i < c->n_jobs; i++) {
        const job *j = &c->jobs[i];
        const lt_draft *d = &c->t->drafts.items[j->draft];
        int64_t start = lt_now_ns();
        if (j->missing == 0) {
            c->overturned |= overturns(d, j);
            continue;
        }
        if (o->cached_only) {
            return cache_miss(c->t, lt_draft_label(c->t, d), j->missing, j->n);
        }
        if (o->absent) {
            c->t->counts->estimated++;
            continue;
        }
        if (o->deadline && start > o->deadline) {
            c->t->counts->cut_short = true;
            break;
        }
        if (lt_trial_needs(c->t, d, j->states, j->n) > c->t->trial_limit) {
            c->t->counts->too_large++;
            c->expected -= j->expected_ns;
            continue;
        }
        LT_TRY(tell(c, j, i));
        LT_TRY(time_one(c, d, j));
        c->overturned |= overturns(d, j);
        c->done += j->expected_ns;
        c->spent += (double)(lt_now_ns() - start);
    }
    return LATHE_OK;
}

/* ---- Costs ---- */

/* Candidates that were not timed because their estimates were far behind stay behind. */
static double cost_of(const lt_candidate *cand, const lt_candidate *best, const lt_candidate *first)
{
    if (cand != first && lt_indistinct(cand, best)) {
        return first->time.median * (1 + 1e-9);
    }
    double behind = cand->estimate_ns / best->estimate_ns;
    return cand->time.samples > 0 ? cand->time.median : best->time.median * (behind > 1.05 ? behind : 1.05);
}

static void set_costs(lt_draft *d, const lt_draft *timed, const job *j)
{
    const lt_candidate *best = best_of(timed, j), *first = winner_of(timed, j, best);
    for (uint32_t s = 0; first && s < d->n_states; s++) {
        lt_candidate *cand = (lt_candidate *)d->states[s];
        const lt_candidate *known = timed->states[s];
        if (!cand->tactic) {
            continue;
        }
        double cost = cost_of(known, best, first), factor = cand->factor;
        *cand = *known;
        cand->factor = factor;
        cand->cost_ns = cost * factor;
        d->fits[s].cost = cand->fits ? cand->cost_ns : LT_PBQP_INF;
    }
}

/* Of those that the cache leaves to be made. */
static uint64_t largest_trial(const struct lt_clock *c)
{
    uint64_t most = 0;
    for (size_t i = 0; i < c->n_jobs; i++) {
        const job *j = &c->jobs[i];
        uint64_t bytes = j->missing && !c->t->options->absent ? lt_trial_needs(c->t, &c->t->drafts.items[j->draft], j->states, j->n) : 0;
        most = bytes > most ? bytes : most;
    }
    return most;
}

static lathe_status run(struct lt_clock *c)
{
    lt_tuner *t = c->t;
    for (uint32_t i = 0; i < t->drafts.count; i++) {
        LT_TRY(add_job(c, i));
    }
    LT_TRY(lt_tell_needs(t, largest_trial(c)));
    LT_TRY(time_jobs(c));
    for (uint32_t i = (uint32_t)t->drafts.count; i-- > 0;) { /* the first of each problem last: the others read it */
        if (c->job_of[i]) {
            const job *j = &c->jobs[c->job_of[i] - 1];
            set_costs(&t->drafts.items[i], &t->drafts.items[j->draft], j);
        }
    }
    t->counts->problems += (uint32_t)c->n_jobs;
    t->counts->noisy += c->probe.noisy;
    t->counts->seconds += (double)(lt_now_ns() - c->start) * 1e-9;
    return LATHE_OK;
}

/* A trial of one: reformats, of which there is one way each. */
lathe_status lt_time_single(lt_tuner *t, lt_draft *d, const char *name, const char *text)
{
    struct lt_clock *c = t->clock;
    uint32_t state = 0;
    lt_candidate *cand = (lt_candidate *)d->states[0];
    job j = {.text = text, .states = &state, .n = 1, .missing = 1};
    bool late = t->options->deadline && lt_now_ns() > t->options->deadline;
    if (remembered(c, text, cand)) {
        t->counts->remembered++;
        return LATHE_OK;
    }
    if (late || (t->options->absent && !t->options->cached_only) || lt_trial_needs(t, d, &state, 1) > t->trial_limit) {
        return LATHE_OK;
    }
    return t->options->cached_only ? cache_miss(t, name, 1, 1) : time_one(c, d, &j);
}

lathe_status lt_time_drafts(lt_tuner *t)
{
    struct lt_clock *c = LT_ARENA_NEW(t->arena, struct lt_clock);
    if (!c) {
        return LT_OOM(t->diag);
    }
    *c = (struct lt_clock){.t = t, .effort = lt_effort_of(t->options->level), .start = lt_now_ns(),
                          .weight_bytes = (double)lt_weight_bytes(t), .engine_ns = engine_ns(t)};
    c->cold = c->weight_bytes > (double)lt_cpu_cache_bytes() / 2; /* what does not stay in the last cache from run to run is read from memory each time */
    c->job_of = LT_ARENA_ARRAY(t->arena, uint32_t, t->drafts.count + 1);
    if (!c->job_of) {
        return LT_OOM(t->diag);
    }
    lt_map_init(&c->of_text, t->arena->allocator);
    lathe_status status = run(c);
    lt_map_free(&c->of_text);
    t->clock = c;
    return status;
}
