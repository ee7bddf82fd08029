/*
 * main.c - the command: parses, opens the runtime, calls a verb, returns its exit code.
 */
#define _GNU_SOURCE
#include "tool.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool start(tool *t)
{
    const char *seed = args_text(t->args, OPT_SEED), *from_environment = lt_env("LATHE_SEED");
    seed = seed ? seed : from_environment;
    t->seed = 1;
    if (seed && !lt_parse_u64(seed, strlen(seed), &t->seed)) {
        tool_usage(t, "the seed '%s' is no number", seed);
        return false;
    }
    t->json = args_has(t->args, OPT_JSON);
    t->quiet = args_has(t->args, OPT_QUIET);
    t->bars = isatty(STDERR_FILENO) && !t->quiet;
    t->diag = lathe_diag_create(NULL);
    lt_arena_init(&t->arena, NULL);
    return t->diag && tool_start_runtime(t);
}

static int run(const args *a)
{
    tool t = { .args = a };
    if (args_has(a, OPT_HELP)) {
        print_verb_help(stdout, a->verb);
        return EXIT_FINE;
    }
    int code = start(&t) ? verb_get(a->verb)->run(&t) : EXIT_USAGE;
    tool_progress_clear(&t);
    lathe_runtime_destroy(t.runtime);
    lathe_diag_destroy(t.diag);
    lt_arena_destroy(&t.arena);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "lathe: cannot write to the standard output\n");
        return code == EXIT_FINE ? EXIT_FILES : code;
    }
    return code;
}

int main(int argc, char **argv)
{
    args a = { .items = calloc((size_t)argc + 1, sizeof(arg)), .operands = calloc((size_t)argc + 1, sizeof(char *)) };
    int code = EXIT_BUG;
    if (a.items && a.operands) {
        code = args_parse(&a, argc, argv) ? run(&a) : EXIT_USAGE;
    }
    free(a.items);
    free((void *)a.operands);
    return code;
}

int verb_version(tool *t)
{
    (void)t;
    printf("lathe %s\n", lathe_version());
    return EXIT_FINE;
}

int verb_help(tool *t)
{
    if (t->args->n_operands == 0) {
        print_usage(stdout);
        return EXIT_FINE;
    }
    char name[64];
    const char *const *words = t->args->operands;
    snprintf(name, sizeof name, "%s%s%s", words[0], t->args->n_operands > 1 ? " " : "",
             t->args->n_operands > 1 ? words[1] : "");
    if (strcmp(name, "environment") == 0) {
        lt_env_print(stdout);
        return EXIT_FINE;
    }
    if (strcmp(name, "manual") == 0) {
        print_manual(stdout);
        return EXIT_FINE;
    }
    if (strcmp(words[0], "completion") == 0 && t->args->n_operands == 2 && print_completion(stdout, words[1])) {
        return EXIT_FINE;
    }
    for (int v = 0; v < VERB_COUNT; v++) {
        if (strcmp(verb_get((verb_id)v)->name, strcmp(name, "debug") == 0 ? "debug reduce" : name) == 0) {
            print_verb_help(stdout, (verb_id)v);
            return EXIT_FINE;
        }
    }
    return tool_usage(t, "there is no verb '%s'", name);
}
