/*
 * options.h - the command line, parsed by the one table in options.def. Used by main.c and every verb.
 */
#ifndef LATHE_TOOLS_OPTIONS_H
#define LATHE_TOOLS_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef enum verb_id {
#define LATHE_VERB(id, name, operands, function, summary) VERB_##id,
#include "options.def"
#undef LATHE_VERB
    VERB_COUNT
} verb_id;

typedef enum option_id {
#define LATHE_OPTION(id, name, letter, argument, verbs, help) OPT_##id,
#include "options.def"
#undef LATHE_OPTION
    OPT_COUNT
} option_id;

struct tool;
typedef struct verb {
    const char *name, *operands, *summary;
    int (*run)(struct tool *tool);
} verb;

typedef struct option {
    const char *name;
    char letter;
    const char *argument, *help;
    uint32_t verbs;
} option;

/* One option as given; value NULL for flags and for optional arguments left out. */
typedef struct arg {
    option_id id;
    const char *value;
} arg;

typedef struct args {
    verb_id verb;
    arg *items;
    size_t count;
    const char **operands;
    size_t n_operands;
} args;

const verb *verb_get(verb_id id);
const option *option_get(option_id id);

/* false: a usage error, already printed to stderr. items and operands have room for argc entries each. */
bool args_parse(args *out, int argc, char **argv);
bool args_has(const args *a, option_id id);
/* Value of the last one given; NULL when absent. */
const char *args_text(const args *a, option_id id);
/* Steps through all of one option in order; start with *cursor 0. */
bool args_next(const args *a, option_id id, size_t *cursor, const char **value);
/* A number within [min, max], `otherwise` when absent; false: printed. */
bool args_int(const args *a, option_id id, int64_t min, int64_t max, int64_t otherwise, int64_t *out);
/* Whole numbers by comma, at most `room` of them. */
bool args_ints(const args *a, option_id id, int64_t min, int64_t max, int *out, size_t room, size_t *count);
/* Bytes: a whole number, with K, M or G for powers of 1024; 0 when absent; false: printed. */
bool args_size(const args *a, option_id id, uint64_t *out);
bool args_real(const args *a, option_id id, double min, double otherwise, double *out);

void print_usage(FILE *stream);
void print_verb_help(FILE *stream, verb_id id);
/* "-o, --output-file FILE" */
void print_option_head(char *out, size_t size, option_id id);
bool option_belongs(option_id id, verb_id of);
bool option_takes_value(option_id id); /* in the next word; those with an optional value take it after = */

/* manual.c: the same table as a manual page and as completion scripts. shell: bash, zsh or fish; false for others. */
void print_manual(FILE *stream);
bool print_completion(FILE *stream, const char *shell);

#endif
