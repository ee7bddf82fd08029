/*
 * sampling.c - timing by turns with successive halving. Used by jobs.c; knows trials, not drafts or caches.
 *
 * All entries take turns, so that a change of the machine's clock or load meets them alike. A short piece of work of known length before and after each
 * shot tells windows in which the processor did something else: such shots are taken again, three times at most.
 */
#include "tune/sampling.h"
#include <math.h>
#include <stdlib.h>

const lt_effort *lt_effort_of(int level)
{
    static const lt_effort efforts[] = {
        {.reach = 1.3, .candidates = 2, .shots = {3, 0, 0}, .keep = {1, 1, 1}, .round_ns = 20e6},
        {.reach = 2, .candidates = 4, .shots = {3, 4, 0}, .keep = {1.3, 1, 1}, .round_ns = 50e6},
        {.reach = 4, .candidates = 8, .shots = {3, 5, 9}, .keep = {1.5, 1.15, 1}, .round_ns = 100e6},
        {.reach = 12, .candidates = 24, .shots = {4, 8, 16}, .keep = {2, 1.25, 1}, .round_ns = 300e6},
        {.reach = 1e9, .candidates = UINT32_MAX, .shots = {5, 10, 25}, .keep = {3, 1.5, 1}, .round_ns = 1000e6},
    };
    return &efforts[level < 1 ? 0 : level > 5 ? 4 : level - 1];
}

/* About three microseconds of multiply-adds that wait for one another. */
static double probe_once(void)
{
    volatile double sink;
    double x = 1;
    int64_t start = lt_now_ns();
    for (int i = 0; i < 1500; i++) {
        x = x * 0.999 + 0.001;
    }
    sink = x;
    (void)sink;
    return (double)(lt_now_ns() - start);
}

#define NOISY 1.3 /* times the probe's best */

static double quiet_shot(lt_trial *trial, uint32_t entry, bool cold, lt_probe *probe)
{
    double took = 0;
    for (int attempt = 0; attempt < 3; attempt++) {
        double before = probe_once();
        took = lt_trial_shot(trial, entry, cold);
        double after = probe_once(), worst = before > after ? before : after, least = before < after ? before : after;
        probe->best = probe->best <= 0 || least < probe->best ? least : probe->best;
        if (took < 0 || worst <= NOISY * probe->best) {
            return took;
        }
        probe->noisy++;
    }
    probe->best *= 1.02; /* the clock may have gone down for good */
    return took;
}

static double least_of(const lt_samples *s)
{
    double least = s->n ? s->ns[0] : LT_PBQP_INF;
    for (uint32_t i = 1; i < s->n; i++) {
        least = s->ns[i] < least ? s->ns[i] : least;
    }
    return least;
}

static void drop_slow(const lt_trial *trial, double keep, lt_samples *samples)
{
    double best = LT_PBQP_INF;
    for (uint32_t i = 0; i < trial->n_entries; i++) {
        double least = least_of(&samples[i]);
        best = least < best ? least : best;
    }
    for (uint32_t i = 0; i < trial->n_entries; i++) {
        samples[i].dropped |= least_of(&samples[i]) > keep * best;
    }
}

static bool racing(const lt_trial *trial, const lt_samples *samples, uint32_t i)
{
    return trial->entries[i].ready && !trial->entries[i].why[0] && !samples[i].dropped && samples[i].n < LT_SAMPLES_MAX;
}

static void round_of(lt_trial *trial, uint32_t shots, double round_ns, bool cold, lt_probe *probe, lt_samples *samples)
{
    int64_t end = lt_now_ns() + (int64_t)round_ns;
    for (uint32_t k = 0; k < shots && (k < 1 || lt_now_ns() < end); k++) {
        for (uint32_t i = 0; i < trial->n_entries; i++) {
            uint32_t entry = (i + k) % trial->n_entries; /* nobody always follows the same neighbour */
            if (racing(trial, samples, entry)) {
                double took = quiet_shot(trial, entry, cold, probe);
                if (took >= 0) {
                    samples[entry].ns[samples[entry].n++] = took;
                }
            }
        }
    }
}

lathe_status lt_sample(lt_trial *trial, const lt_effort *effort, bool cold, lt_probe *probe, lt_samples *samples)
{
    for (uint32_t i = 0; i < trial->n_entries; i++) {
        (void)lt_trial_shot(trial, i, false);
    }
    LT_TRY(lt_trial_compare(trial));
    for (int r = 0; r < 3; r++) {
        round_of(trial, effort->shots[r], effort->round_ns, cold, probe, samples);
        drop_slow(trial, effort->keep[r] > 1 ? effort->keep[r] : 1e9, samples);
    }
    return LATHE_OK;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

lathe_timing lt_samples_time(lt_samples *s)
{
    qsort(s->ns, s->n, sizeof *s->ns, by_size);
    uint32_t n = s->n;
    if (n == 0) {
        return (lathe_timing){0};
    }
    double root = sqrt(n);
    int low = (int)(n / 2.0 - 0.98 * root), high = (int)(n / 2.0 + 0.98 * root + 1); /* ranks of the binomial's 95 % */
    return (lathe_timing){.median = (s->ns[(n - 1) / 2] + s->ns[n / 2]) / 2, .low = s->ns[low < 0 ? 0 : low], .high = s->ns[high >= (int)n ? (int)n - 1 : high],
                          .samples = n};
}
