/*
 * session.c - timing for the length of one build: the threads that candidates run on, the cache and its file, progress. Used by build.c.
 *
 * The cache's file is written every few seconds while timing goes on, and at the end whatever the build came to: a build that is cancelled, fails or is
 * killed leaves what it learned to the next one.
 */
#include "api/api_internal.h"

enum { SAVE_EVERY_NS = 2000000000 };

static lathe_status name_machine(lt_session *s, const lt_target *target, uint64_t features, lathe_diag *diag)
{
    if (!target || !target->machine) {
        return lathe_timing_machine(s->threads, features, s->machine, sizeof s->machine, diag);
    }
    int n = snprintf(s->machine, sizeof s->machine, "%s", target->machine);
    return n < (int)sizeof s->machine ? LATHE_OK : LT_FAIL(diag, LATHE_OVERFLOW, NULL, NULL, "the machine's name is too long: '%.100s...'", target->machine);
}

static lathe_status open_cache(lt_session *s, const lt_target *target, uint64_t features, lathe_diag *diag)
{
    const char *path = s->options->timing_cache;
    if (s->absent && !target->machine) {
        return LATHE_OK; /* nobody knows anything of that machine */
    }
    LT_TRY(name_machine(s, target, features, diag));
    LT_TRY(lathe_timing_cache_create(s->allocator, &s->cache, diag));
    lathe_status status = path ? lathe_timing_cache_load(s->cache, path, 0, NULL) : LATHE_OK;
    if (status == LATHE_IO) {
        return LATHE_OK; /* none there yet; one that cannot be written is reported when it is */
    }
    return status == LATHE_OK ? LATHE_OK : lathe_timing_cache_load(s->cache, path, 0, diag);
}

static lathe_status read_rules(lt_session *s, lathe_diag *diag)
{
    lt_file file;
    if (!s->options->rules) {
        return LATHE_OK;
    }
    LT_TRY(lt_file_read(&file, s->options->rules, s->allocator, diag));
    lathe_status status = lt_tactic_rules_parse((const char *)file.data, file.size, s->options->rules, &s->arena, &s->rules, diag);
    lt_file_close(&file);
    return status;
}

/* A record that is not there will be written. */
static lathe_status read_record(lt_session *s, lathe_diag *diag)
{
    lt_file file;
    if (!s->options->record || lt_file_read(&file, s->options->record, s->allocator, NULL) != LATHE_OK) {
        return LATHE_OK;
    }
    s->replays = true;
    lathe_status status = lt_record_parse((const char *)file.data, file.size, s->options->record, &s->arena, &s->record, diag);
    lt_file_close(&file);
    return status;
}

lathe_status lt_session_record(lt_session *s, const lt_buf *text, lathe_diag *diag)
{
    return s->options->record && !s->replays ? lt_file_write(s->options->record, text->data, text->length, diag) : LATHE_OK;
}

lathe_status lt_session_open(lt_session *s, const lathe_build_options *options, const lt_target *target, const lathe_allocator *allocator, int threads,
                             uint64_t features, lathe_diag *diag)
{
    lt_counted_memory *memory = s->memory;
    *s = (lt_session){.memory = memory, .options = options, .allocator = allocator, .threads = threads, .start = lt_now_ns(), .absent = target && target->absent};
    lt_arena_init(&s->arena, allocator);
    LT_TRY(read_rules(s, diag));
    LT_TRY(read_record(s, diag));
    if (options->level == 0 || s->replays) {
        return LATHE_OK;
    }
    s->saved = s->start;
    s->deadline = options->time_budget > 0 && options->time_budget < 1e9 ? s->start + (int64_t)(options->time_budget * 1e9) : 0; /* 30 years are no limit */
    LT_TRY(s->absent ? LATHE_OK : lt_pool_create(threads, allocator, &s->pool, diag));
    return open_cache(s, target, features, diag);
}

static lathe_status save(lt_session *s, lathe_diag *diag)
{
    s->saved = lt_now_ns();
    return s->cache && s->options->timing_cache && s->counts.timed > 0 ? lathe_timing_cache_save(s->cache, s->options->timing_cache, diag) : LATHE_OK;
}

lathe_status lt_session_close(lt_session *s, lathe_status status, lathe_diag *diag)
{
    lathe_status saved = save(s, status == LATHE_OK ? diag : NULL);
    lathe_timing_cache_destroy(s->cache);
    lt_pool_destroy(s->pool);
    lt_arena_destroy(&s->arena);
    s->cache = NULL;
    s->pool = NULL;
    return status == LATHE_OK ? saved : status;
}

/* Plans are written at about this rate: constants are packed, hashed, copied; and engines to be compared are loaded, too. */
#define WRITE_SECONDS_PER_BYTE 2e-9
#define LOAD_SECONDS_PER_BYTE  2e-9

/*
 * What follows the timing: two engines built and run against each other, and the plan itself. There will be two once a measured time has overturned an
 * estimate; until then it may come to that or not, through what reformats turn out to cost.
 */
static double seconds_after(const lt_session *s, const lt_tune_progress *at)
{
    double write = at->weight_bytes * WRITE_SECONDS_PER_BYTE, runs = LT_VERDICT_SECONDS / 2 / (at->engine_seconds > 1e-6 ? at->engine_seconds : 1e-6);
    double likely = s->options->level < 2 || !s->compare ? 0 : at->overturned ? 1 : 0.5;
    runs = runs < LT_VERDICT_LEAST ? LT_VERDICT_LEAST : runs > LT_VERDICT_ROUNDS ? LT_VERDICT_ROUNDS : runs;
    double engines = 2 * (write + at->weight_bytes * LOAD_SECONDS_PER_BYTE) + 2 * (runs + 1) * at->engine_seconds;
    return write + likely * engines;
}

static lathe_status on_progress(void *user, const lt_tune_progress *at, lathe_diag *diag)
{
    lt_session *s = user;
    const lathe_build_options *o = s->options;
    double so_far = (double)(lt_now_ns() - s->start) * 1e-9;
    lathe_progress p = {.struct_size = sizeof p, .phase = "tune", .what = at->what, .done = at->done, .total = at->total, .seconds = so_far,
                        .seconds_total = so_far + at->left + seconds_after(s, at)};
    if (lt_now_ns() - s->saved > SAVE_EVERY_NS) {
        LT_TRY(save(s, diag));
    }
    if (o->progress && o->progress(o->progress_user, &p) != 0) {
        return LT_FAIL(diag, LATHE_CANCELLED, NULL, "what was timed so far is in the timing cache, if the build was given one", "cancelled while timing '%s'",
                       at->what);
    }
    return LATHE_OK;
}

/* ---- Memory ---- */

/* A plan's bytes from those of its constants; tables, text and what reading it takes. */
static uint64_t plan_bytes(uint64_t weights)
{
    return weights + weights / 16 + (2 << 20);
}

static lathe_status impossible(const lt_session *s, uint64_t least, lathe_diag *diag)
{
    char advice[200];
    snprintf(advice, sizeof advice, "allow at least %llu bytes (%llu MiB: --memory-budget, memory_budget in lathe_build_options), or build on a larger machine",
             (unsigned long long)least, (unsigned long long)(least >> 20) + 1);
    return LT_FAIL(diag, LATHE_UNSUPPORTED, NULL, advice, "the memory budget of %llu bytes is too small: the build needs %llu even when it times nothing",
                   (unsigned long long)s->options->memory_budget, (unsigned long long)least);
}

/*
 * What is held now stays; on top of it come, one after the other, trials, two whole engines with their plans (and the drafts of the static choice), and
 * the plan (with the parts that are still to come, which are about as large as this one; what a choice is written down in takes half a part). Over the
 * budget, the comparison of engines is given up first, then trials that are too large, and then there is nothing left to give up.
 */
static lathe_status on_needs(void *user, const lt_tune_needs *needs, uint64_t *trial_limit, lathe_diag *diag)
{
    lt_session *s = user;
    uint64_t budget = s->options->memory_budget, held = s->memory->held, plan = plan_bytes(needs->weight_bytes);
    uint64_t part = held > s->held_before ? held - s->held_before : 0;
    uint64_t least = held + part / 2 + (part * 5 / 2 + (1 << 20)) * s->parts_left + plan;
    uint64_t engines = held + 2 * part + 3 * plan + 2 * (needs->live_bytes + needs->live_bytes / 2); /* one more plan: what the second grows out of */
    s->compare = s->options->level >= 2 && needs->timed;
    if (budget > 0 && least > budget) {
        return impossible(s, least, diag);
    }
    if (s->compare && budget > 0 && engines > budget) {
        s->compare = false;
        s->not_compared++;
    }
    if (budget > 0 && needs->largest_trial > budget - held) {
        *trial_limit = (budget - held) / 8 * 7; /* choosing goes on allocating a little */
    }
    uint64_t trial = held + (needs->largest_trial < *trial_limit ? needs->largest_trial : *trial_limit);
    uint64_t most = s->compare && engines > least ? engines : least;
    most = trial > most ? trial : most;
    s->predicted = most > s->predicted ? most : s->predicted;
    return LATHE_OK;
}

void lt_session_fill(lt_session *s, lt_tune_options *out)
{
    out->workspace = s->options->workspace;
    out->foresee = on_needs;
    out->foresee_user = s;
    out->pool = s->pool;
    out->cache = s->cache;
    out->machine = s->machine;
    out->cached_only = s->options->cached_only != 0;
    out->absent = s->absent;
    out->deadline = s->deadline;
    out->progress = on_progress;
    out->progress_user = s;
    out->counts = &s->counts;
    out->rules = s->rules.count ? &s->rules : NULL;
    out->record = s->replays ? &s->record : NULL;
    out->select = s->options->select;
    out->select_user = s->options->select_user;
}
