/*
 * options.c - parses the command line and prints help, both from the table in options.def. It knows no verb's work.
 */
#include "options.h"
#include "study/study.h"
#include "tool.h"
#include <string.h>

enum {
#define LATHE_VERB(id, name, operands, function, summary) V_##id = 1u << VERB_##id,
#include "options.def"
#undef LATHE_VERB
    V_ALL = (1u << VERB_COUNT) - 1,
    V_PLANS = V_BUILD | V_RUN | V_BENCH | V_EXPLAIN | V_COMPARE | V_TACTICS | V_CONFORMANCE | V_RETUNE | V_REDUCE,
    V_SHAPES = V_BUILD | V_RUN | V_BENCH | V_EXPLAIN | V_COMPARE | V_TACTICS | V_RETUNE | V_REDUCE
};

static const verb verbs[VERB_COUNT] = {
#define LATHE_VERB(id, name, operands, function, summary) { name, operands, summary, function },
#include "options.def"
#undef LATHE_VERB
};

static const option options[OPT_COUNT] = {
#define LATHE_OPTION(id, name, letter, argument, verbs, help) { name, letter, argument, help, (uint32_t)(verbs) },
#include "options.def"
#undef LATHE_OPTION
};

const verb *verb_get(verb_id id)
{
    return &verbs[id];
}

const option *option_get(option_id id)
{
    return &options[id];
}

/* ---- Parsing ---- */

static bool has_bit(option_id id, verb_id v)
{
    return (options[id].verbs >> v & 1u) != 0;
}

/* The verb in argv[1]; *used words of it. "debug reduce" is two words; "debug --help" is about it too. */
static bool find_verb(int argc, char **argv, verb_id *out, int *used)
{
    for (int v = 0; v < VERB_COUNT; v++) {
        const char *space = strchr(verbs[v].name, ' ');
        size_t first = space ? (size_t)(space - verbs[v].name) : strlen(verbs[v].name);
        if (strlen(argv[1]) != first || strncmp(argv[1], verbs[v].name, first) != 0) {
            continue;
        }
        bool whole = !space || (argc > 2 && strcmp(argv[2], space + 1) == 0);
        if (whole || (argc > 2 && (strcmp(argv[2], "--help") == 0 || strcmp(argv[2], "-h") == 0))) {
            *out = (verb_id)v;
            *used = space && whole ? 2 : 1;
            return true;
        }
    }
    return false;
}

static void no_such_verb(int argc, char **argv)
{
    const char *best = NULL;
    int distance = 3;
    for (int v = 0; v < VERB_COUNT; v++) {
        int d = lt_edit_distance(argv[1], verbs[v].name);
        if (d < distance) {
            distance = d;
            best = verbs[v].name;
        }
    }
    if (strcmp(argv[1], "debug") == 0) {
        fprintf(stderr, "lathe: debug needs the name of a tool: reduce%s%s\n", argc > 2 ? ", not " : "",
                argc > 2 ? argv[2] : "");
    } else if (best) {
        fprintf(stderr, "lathe: there is no verb '%s': did you mean '%s'?\n", argv[1], best);
    } else {
        fprintf(stderr, "lathe: there is no verb '%s': `lathe help` lists them\n", argv[1]);
    }
}

static bool no_such_option(verb_id v, const char *text, size_t length)
{
    const char *best = NULL;
    int distance = 4;
    char given[64];
    snprintf(given, sizeof given, "%.*s", (int)(length < sizeof given ? length : sizeof given - 1), text);
    for (int i = 0; i < OPT_COUNT; i++) {
        if (!has_bit((option_id)i, v)) {
            if (strcmp(options[i].name, given) == 0) {
                fprintf(stderr, "lathe %s: --%s belongs to other verbs; `lathe help %s` lists the options\n",
                        verbs[v].name, given, verbs[v].name);
                return false;
            }
            continue;
        }
        int d = lt_edit_distance(given, options[i].name);
        if (d < distance) {
            distance = d;
            best = options[i].name;
        }
    }
    if (best) {
        fprintf(stderr, "lathe %s: there is no option '--%s': did you mean '--%s'?\n", verbs[v].name, given, best);
    } else {
        fprintf(stderr, "lathe %s: there is no option '--%s'; `lathe help %s` lists the options\n", verbs[v].name,
                given, verbs[v].name);
    }
    return false;
}

static bool optional_argument(const option *o)
{
    return o->argument && o->argument[0] == '[';
}

static bool find_option(verb_id v, const char *text, size_t length, option_id *out)
{
    for (int i = 0; i < OPT_COUNT; i++) {
        if (has_bit((option_id)i, v) && strlen(options[i].name) == length &&
            strncmp(options[i].name, text, length) == 0) {
            *out = (option_id)i;
            return true;
        }
    }
    return false;
}

/* --name, --name=value, --name value; *at moves over a value taken from the next word. */
static bool parse_long(args *out, int argc, char **argv, int *at)
{
    const char *text = argv[*at] + 2, *equals = strchr(text, '=');
    size_t length = equals ? (size_t)(equals - text) : strlen(text);
    option_id id;
    if (!find_option(out->verb, text, length, &id)) {
        return no_such_option(out->verb, text, length);
    }
    const option *o = &options[id];
    const char *value = equals ? equals + 1 : NULL;
    if (!o->argument && value) {
        fprintf(stderr, "lathe %s: --%s takes no value\n", verbs[out->verb].name, o->name);
        return false;
    }
    if (o->argument && !value && !optional_argument(o)) {
        if (*at + 1 >= argc) {
            fprintf(stderr, "lathe %s: --%s needs a value: %s\n", verbs[out->verb].name, o->name, o->argument);
            return false;
        }
        value = argv[++*at];
    }
    out->items[out->count++] = (arg){ id, value };
    return true;
}

/* -x, -x value, -xvalue. */
static bool parse_short(args *out, int argc, char **argv, int *at)
{
    const char *text = argv[*at] + 1;
    for (int i = 0; i < OPT_COUNT; i++) {
        const option *o = &options[i];
        if (!has_bit((option_id)i, out->verb) || o->letter != text[0]) {
            continue;
        }
        if (!o->argument && text[1]) {
            break;
        }
        const char *value = o->argument && text[1] ? text + 1 : NULL;
        if (o->argument && !value) {
            if (*at + 1 >= argc) {
                fprintf(stderr, "lathe %s: -%c needs a value: %s\n", verbs[out->verb].name, o->letter, o->argument);
                return false;
            }
            value = argv[++*at];
        }
        out->items[out->count++] = (arg){ (option_id)i, value };
        return true;
    }
    fprintf(stderr, "lathe %s: there is no option '-%s'; `lathe help %s` lists the options\n", verbs[out->verb].name,
            text, verbs[out->verb].name);
    return false;
}

bool args_parse(args *out, int argc, char **argv)
{
    int at = 1, used;
    out->count = out->n_operands = 0;
    if (argc < 2) {
        print_usage(stderr);
        return false;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "--version") == 0) {
        out->verb = strcmp(argv[1], "--version") == 0 ? VERB_VERSION : VERB_HELP;
        return true;
    }
    if (!find_verb(argc, argv, &out->verb, &used)) {
        no_such_verb(argc, argv);
        return false;
    }
    bool only_operands = false;
    for (at += used; at < argc; at++) {
        const char *word = argv[at];
        if (only_operands || word[0] != '-' || word[1] == '\0') {
            out->operands[out->n_operands++] = word;
        } else if (strcmp(word, "--") == 0) {
            only_operands = true;
        } else if (word[1] == '-' ? !parse_long(out, argc, argv, &at) : !parse_short(out, argc, argv, &at)) {
            return false;
        }
    }
    return true;
}

/* ---- Reading ---- */

bool args_next(const args *a, option_id id, size_t *cursor, const char **value)
{
    while (*cursor < a->count) {
        const arg *item = &a->items[(*cursor)++];
        if (item->id == id) {
            *value = item->value;
            return true;
        }
    }
    return false;
}

bool args_has(const args *a, option_id id)
{
    size_t cursor = 0;
    const char *value;
    return args_next(a, id, &cursor, &value);
}

const char *args_text(const args *a, option_id id)
{
    size_t cursor = 0;
    const char *value = NULL;
    while (args_next(a, id, &cursor, &value)) {
    }
    return value;
}

static bool bad_number(const args *a, option_id id, const char *text, const char *want)
{
    fprintf(stderr, "lathe %s: --%s %s is no %s\n", verbs[a->verb].name, options[id].name, text, want);
    return false;
}

bool args_int(const args *a, option_id id, int64_t min, int64_t max, int64_t otherwise, int64_t *out)
{
    const char *text = args_text(a, id);
    *out = otherwise;
    if (text && (!lt_parse_i64(text, strlen(text), out) || *out < min || *out > max)) {
        char want[96];
        snprintf(want, sizeof want, "whole number from %lld to %lld", (long long)min, (long long)max);
        return bad_number(a, id, text, want);
    }
    return true;
}

bool args_ints(const args *a, option_id id, int64_t min, int64_t max, int *out, size_t room, size_t *count)
{
    *count = 0;
    for (const char *at = args_text(a, id); at; at++) {
        size_t length = strcspn(at, ",");
        int64_t number;
        if (*count == room || !lt_parse_i64(at, length, &number) || number < min || number > max) {
            char want[96];
            snprintf(want, sizeof want, "list of at most %zu whole numbers from %lld to %lld", room, (long long)min, (long long)max);
            return bad_number(a, id, args_text(a, id), want);
        }
        out[(*count)++] = (int)number;
        at += length;
        if (!*at) {
            break;
        }
    }
    return true;
}

bool args_size(const args *a, option_id id, uint64_t *out)
{
    static const char units[] = "KMG";
    const char *text = args_text(a, id);
    *out = 0;
    if (!text) {
        return true;
    }
    size_t n = strspn(text, "0123456789");
    const char *unit = text[n] ? strchr(units, text[n]) : NULL;
    unsigned shift = unit ? 10 * (unsigned)(unit - units + 1) : 0;
    bool fine = n > 0 && lt_parse_u64(text, n, out) && *out > 0 && *out <= UINT64_MAX >> shift && (text[n] == '\0' || (unit && text[n + 1] == '\0'));
    *out = fine ? *out << shift : 0;
    return fine || bad_number(a, id, text, "size such as 4096, 512K, 512M or 2G");
}

bool args_real(const args *a, option_id id, double min, double otherwise, double *out)
{
    const char *text = args_text(a, id);
    *out = otherwise;
    if (text && (!lt_parse_f64(text, strlen(text), out) || !(*out >= min))) {
        return bad_number(a, id, text, "number in range");
    }
    return true;
}

/* ---- Help ---- */

void print_usage(FILE *stream)
{
    fprintf(stream, "usage: lathe VERB [OPTIONS] ...\n\n");
    for (int v = 0; v < VERB_COUNT; v++) {
        fprintf(stream, "  %-13s %s\n", verbs[v].name, verbs[v].summary);
    }
    fprintf(stream,
            "\n`lathe help VERB` lists the options of a verb, `lathe help environment` the environment variables.\n"
            "Exit codes: 0 fine, 1 the answer is no, 2 usage, 3 bad or unsupported model or plan, 4 input/output, 5 "
            "internal.\n");
}

/* Words of `text` from column `indent` on, no line beyond 100. */
static void print_wrapped(FILE *stream, const char *text, int indent)
{
    int column = indent;
    while (*text) {
        int length = (int)strcspn(text, " ");
        if (column > indent && column + 1 + length > 100) {
            fprintf(stream, "\n%*s", indent, "");
            column = indent;
        } else if (column > indent) {
            fputc(' ', stream);
            column++;
        }
        fprintf(stream, "%.*s", length, text);
        column += length;
        text += length;
        text += strspn(text, " ");
    }
    fputc('\n', stream);
}

void print_option_head(char *out, size_t size, option_id id)
{
    const option *o = &options[id];
    char letter[8] = "";
    if (o->letter) {
        snprintf(letter, sizeof letter, "-%c, ", o->letter);
    }
    snprintf(out, size, "%s--%s%s%s", letter, o->name, o->argument && !optional_argument(o) ? " " : "",
             o->argument ? o->argument : "");
}

bool option_belongs(option_id id, verb_id of)
{
    return has_bit(id, of);
}

bool option_takes_value(option_id id)
{
    return options[id].argument && !optional_argument(&options[id]);
}

void print_verb_help(FILE *stream, verb_id id)
{
    fprintf(stream, "usage: lathe %s [OPTIONS]%s%s\n\n%s\n\noptions:\n", verbs[id].name,
            verbs[id].operands[0] ? " " : "", verbs[id].operands, verbs[id].summary);
    for (int i = 0; i < OPT_COUNT; i++) {
        const option *o = &options[i];
        if (!has_bit((option_id)i, id)) {
            continue;
        }
        char head[96];
        print_option_head(head, sizeof head, (option_id)i);
        fprintf(stream, "  %-34s", head);
        if (strlen(head) > 33) {
            fprintf(stream, "\n%36s", "");
        }
        print_wrapped(stream, o->help, 36);
    }
}
