/*
 * manual.c - the option table as a manual page (roff) and as completion scripts for bash, zsh and fish. `lathe help` prints them; the build installs them.
 */
#include "options.h"
#include "study/study.h"
#include <string.h>

/* ---- The manual page ---- */

/* Text as roff: hyphens and backslashes escaped, no line begins with a control character. */
static void roff(FILE *stream, const char *text)
{
    for (const char *c = text; *c; c++) {
        if (*c == '-' || *c == '\\') {
            fputc('\\', stream);
        } else if ((*c == '.' || *c == '\'') && (c == text || c[-1] == '\n')) {
            fputs("\\&", stream);
        }
        fputc(*c, stream);
    }
}

static void roff_line(FILE *stream, const char *before, const char *text, const char *after)
{
    fputs(before, stream);
    roff(stream, text);
    fputs(after, stream);
}

static void manual_verb(FILE *stream, verb_id id)
{
    const verb *v = verb_get(id);
    roff_line(stream, ".SS lathe ", v->name, " [OPTIONS] ");
    roff_line(stream, "", v->operands, "\n");
    roff_line(stream, "", v->summary, ".\n");
    for (int i = 0; i < OPT_COUNT; i++) {
        if (option_belongs((option_id)i, id)) {
            char head[96];
            print_option_head(head, sizeof head, (option_id)i);
            roff_line(stream, ".TP\n.B ", head, "\n");
            roff_line(stream, "", option_get((option_id)i)->help, "\n");
        }
    }
}

void print_manual(FILE *stream)
{
    fprintf(stream, ".TH LATHE 1 \"\" \"lathe %s\" \"Lathe\"\n", lathe_version());
    fputs(".SH NAME\nlathe \\- turn ONNX models into fast engines\n.SH SYNOPSIS\n.B lathe\n.I VERB\n[OPTIONS] ...\n.SH "
          "DESCRIPTION\n",
          stream);
    fputs("Imports a model, optimizes its graph, chooses how to run every step on this machine, writes a plan, runs "
          "it, and explains every decision.\n"
          "Results go to the standard output, progress and notices to the standard error.\n.SH VERBS\n",
          stream);
    for (int v = 0; v < VERB_COUNT; v++) {
        manual_verb(stream, (verb_id)v);
    }
    fputs(".SH EXIT STATUS\n0 fine, 1 the answer is no, 2 usage, 3 bad or unsupported model or plan, 4 input/output, 5 "
          "internal.\n.SH ENVIRONMENT\n",
          stream);
    const char *name, *what;
    for (size_t i = 0; lt_env_at(i, &name, &what); i++) {
        roff_line(stream, ".TP\n.B ", name, "\n");
        roff_line(stream, "", what, "\n");
    }
}

/* ---- Completion ---- */

static void bash_verb(FILE *stream, verb_id id)
{
    fprintf(stream, "    '%s') options='", verb_get(id)->name);
    for (int i = 0, n = 0; i < OPT_COUNT; i++) {
        if (option_belongs((option_id)i, id)) {
            fprintf(stream, "%s--%s", n++ ? " " : "", option_get((option_id)i)->name);
        }
    }
    fputs("' ;;\n", stream);
}

static void bash(FILE *stream)
{
    fputs("# completion of lathe for bash, printed by `lathe help completion bash`\n_lathe()\n{\n"
          "    local word=${COMP_WORDS[COMP_CWORD]} verb=${COMP_WORDS[1]-} options= before=\n"
          "    [ \"$COMP_CWORD\" -lt 1 ] || before=${COMP_WORDS[COMP_CWORD-1]}\n"
          "    [ \"$verb\" = debug ] && [ \"$COMP_CWORD\" -gt 2 ] && verb=\"debug ${COMP_WORDS[2]}\"\n"
          "    if [ \"$COMP_CWORD\" -le 1 ]; then\n        COMPREPLY=($(compgen -W '",
          stream);
    for (int v = 0, n = 0; v < VERB_COUNT; v++) {
        const char *name = verb_get((verb_id)v)->name;
        fprintf(stream, "%s%.*s", n++ ? " " : "", (int)strcspn(name, " "), name);
    }
    fputs("' -- \"$word\"))\n        return\n    fi\n    case $before in\n    ", stream);
    for (int i = 0, n = 0; i < OPT_COUNT; i++) {
        if (option_takes_value((option_id)i)) {
            fprintf(stream, "%s--%s", n++ ? "|" : "", option_get((option_id)i)->name);
        }
    }
    fputs(")\n        COMPREPLY=($(compgen -f -- \"$word\"))\n        return ;;\n    esac\n    case $verb in\n    "
          "debug) options=reduce ;;\n",
          stream);
    for (int v = 0; v < VERB_COUNT; v++) {
        bash_verb(stream, (verb_id)v);
    }
    fputs("    esac\n    case $word in\n    -*) COMPREPLY=($(compgen -W \"$options\" -- \"$word\")) ;;\n"
          "    *) COMPREPLY=($(compgen -f -- \"$word\"))\n"
          "       [ \"$options\" != reduce ] || COMPREPLY=(reduce) ;;\n    esac\n}\ncomplete -o filenames -F _lathe "
          "lathe\n",
          stream);
}

/* Text inside single quotes of a shell; what in brackets and after colons has meaning for zsh is left out. */
static void quoted(FILE *stream, const char *text, const char *drop)
{
    fputc('\'', stream);
    for (const char *c = text; *c; c++) {
        if (*c == '\'') {
            fputs("'\\''", stream);
        } else if (!strchr(drop, *c)) {
            fputc(*c, stream);
        }
    }
    fputc('\'', stream);
}

static void zsh(FILE *stream)
{
    fputs("#compdef lathe\n# completion of lathe for zsh, printed by `lathe help completion zsh`\n"
          "local verb=${words[2]}\n[[ $verb == debug ]] && (( CURRENT > 3 )) && verb=\"debug ${words[3]}\"\n"
          "if (( CURRENT == 2 )); then\n    local -a verbs=(\n",
          stream);
    for (int v = 0; v < VERB_COUNT; v++) {
        char row[256];
        const verb *one = verb_get((verb_id)v);
        snprintf(row, sizeof row, "%.*s:%s", (int)strcspn(one->name, " "), one->name, one->summary);
        fputs("        ", stream);
        quoted(stream, row, "");
        fputc('\n', stream);
    }
    fputs("    )\n    _describe verb verbs\n    return\nfi\ncase $verb in\ndebug) _values subverb reduce ;;\n", stream);
    for (int v = 0; v < VERB_COUNT; v++) {
        fprintf(stream, "'%s') _arguments", verb_get((verb_id)v)->name);
        for (int i = 0; i < OPT_COUNT; i++) {
            const option *o = option_get((option_id)i);
            if (option_belongs((option_id)i, (verb_id)v)) {
                char row[512];
                snprintf(row, sizeof row, "*--%s%s(%.300s)%s", o->name, option_takes_value((option_id)i) ? "=" : "",
                         o->help, option_takes_value((option_id)i) ? ":value:_files" : "");
                char *open = strchr(row, '('), *close = strrchr(row, ')');
                for (char *c = open; c && c <= close; c++) {
                    *c = *c == '[' || *c == ']' || *c == ':' ? ' ' : *c;
                }
                *open = '[', *close = ']';
                fputs(" \\\n    ", stream);
                quoted(stream, row, "");
            }
        }
        fputs(" \\\n    '*:file:_files' ;;\n", stream);
    }
    fputs("esac\n", stream);
}

static void fish(FILE *stream)
{
    fputs("# completion of lathe for fish, printed by `lathe help completion fish`\n", stream);
    for (int v = 0; v < VERB_COUNT; v++) {
        const verb *one = verb_get((verb_id)v);
        int length = (int)strcspn(one->name, " ");
        fprintf(stream, "complete -c lathe -n __fish_use_subcommand -a %.*s -d ", length, one->name);
        quoted(stream, one->summary, "");
        fputc('\n', stream);
        for (int i = 0; i < OPT_COUNT; i++) {
            const option *o = option_get((option_id)i);
            if (!option_belongs((option_id)i, (verb_id)v)) {
                continue;
            }
            fprintf(stream, "complete -c lathe -n '__fish_seen_subcommand_from %.*s' -l %s%s -d ", length, one->name,
                    o->name, option_takes_value((option_id)i) ? " -r" : "");
            quoted(stream, o->help, "");
            fputc('\n', stream);
        }
    }
}

bool print_completion(FILE *stream, const char *shell)
{
    if (strcmp(shell, "bash") == 0) {
        bash(stream);
    } else if (strcmp(shell, "zsh") == 0) {
        zsh(stream);
    } else if (strcmp(shell, "fish") == 0) {
        fish(stream);
    } else {
        return false;
    }
    return true;
}
