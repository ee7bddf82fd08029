/*
 * tuning.c - what the command adds to the tuner: where times are kept, and Ctrl-C. Used by opening.c and the verbs that build.
 *
 * The default file of times makes the second build of a model quick and equal to the first. It belongs to the user, not to the model: times are keyed by
 * machine and problem.
 */
#define _XOPEN_SOURCE 700
#include "tool.h"
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* $XDG_CACHE_HOME/lathe/timings or ~/.cache/lathe/timings, its folder made; NULL when there is no place. */
static const char *default_cache(tool *t)
{
    const char *base = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    const char *top = base && base[0] == '/' ? lt_arena_str(&t->arena, base) : home && home[0] == '/' ? lt_arena_printf(&t->arena, "%s/.cache", home) : NULL;
    const char *folder = top ? lt_arena_printf(&t->arena, "%s/lathe", top) : NULL;
    if (!folder || (mkdir(top, 0777) != 0 && errno != EEXIST) || (mkdir(folder, 0777) != 0 && errno != EEXIST)) {
        return NULL;
    }
    return lt_arena_printf(&t->arena, "%s/timings", folder);
}

static int default_level(const tool *t)
{
    verb_id v = t->args->verb;
    return v == VERB_BUILD || v == VERB_BENCH || v == VERB_RETUNE ? 3 : 0;
}

int tuning_options(tool *t, lathe_build_options *out)
{
    const args *a = t->args;
    int64_t level;
    const char *file = args_text(a, OPT_TIMING_CACHE), *named = lt_env("LATHE_TIMING_CACHE");
    if (!args_int(a, OPT_LEVEL, 0, 5, default_level(t), &level) || !args_real(a, OPT_TIME_BUDGET, 0, 0, &out->time_budget) ||
        !args_size(a, OPT_MEMORY_BUDGET, &out->memory_budget) || !args_size(a, OPT_WORKSPACE, &out->workspace)) {
        return EXIT_USAGE;
    }
    if (file && args_has(a, OPT_NO_TIMING_CACHE)) {
        return tool_usage(t, "--timing-cache and --no-timing-cache contradict each other");
    }
    if (args_has(a, OPT_CACHE_MISS) && args_has(a, OPT_NO_TIMING_CACHE)) {
        return tool_usage(t, "--error-on-cache-miss needs a timing cache");
    }
    out->level = (int)level;
    out->record = args_text(a, OPT_RECORD);
    out->rules = args_text(a, OPT_RULES);
    out->cached_only = args_has(a, OPT_CACHE_MISS);
    if (level > 0 && !args_has(a, OPT_NO_TIMING_CACHE)) {
        out->timing_cache = file ? file : named && named[0] ? named : named ? NULL : default_cache(t);
    }
    return EXIT_FINE;
}

/* ---- Ctrl-C ---- */

static volatile sig_atomic_t interrupted;
static const int signals[] = { SIGINT, SIGTERM };
static struct sigaction before[LT_COUNT(signals)]; /* what the process had there */

static void on_interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

/* The first Ctrl-C of a build asks it to stop, a second one ends the process as usual. Signals that the caller ignores (nohup) stay ignored. */
void tuning_begin(void)
{
    struct sigaction act = { .sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND };
    interrupted = 0;
    for (size_t i = 0; i < LT_COUNT(signals); i++) {
        if (sigaction(signals[i], NULL, &before[i]) == 0 && before[i].sa_handler != SIG_IGN) {
            (void)sigaction(signals[i], &act, NULL);
        }
    }
}

void tuning_end(void)
{
    for (size_t i = 0; i < LT_COUNT(signals); i++) {
        (void)sigaction(signals[i], &before[i], NULL);
    }
}

bool tuning_interrupted(void)
{
    return interrupted != 0;
}
