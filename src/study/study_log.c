/*
 * study_log.c - reads the log that a build leaves beside its plan (docs/tuner.md has the lines): which plan it belongs to, its steps, its nodes. For explain.
 *
 * Lines that it does not know are kept and skipped, so that a log with more to say still reads. Numbers in it are checked against nothing here: whoever
 * looks a node up asks by number.
 */
#include "study/study.h"
#include <string.h>

#define HEAD "lathe-log 1 plan "

/* ---- Pieces of lines ---- */

static bool starts(const char *line, const char *with)
{
    return strncmp(line, with, strlen(with)) == 0;
}

static int hex(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A name as lt_buf_put_name writes it; returns what follows it, NULL when memory ran out. */
static const char *read_name(lt_arena *arena, const char *at, const char **out)
{
    if (*at != '"') {
        size_t n = strcspn(at, " ,");
        *out = lt_arena_strn(arena, at, n);
        return *out ? at + n : NULL;
    }
    char *name = lt_arena_str(arena, ++at), *to = name;
    for (; name && *at && *at != '"'; at++) {
        if (*at == '\\' && at[1] == 'x' && hex(at[2]) >= 0 && hex(at[3]) >= 0) {
            *to++ = (char)(hex(at[2]) * 16 + hex(at[3]));
            at += 3;
        } else {
            at += *at == '\\' && at[1] != '\0';
            *to++ = *at;
        }
    }
    if (!name) {
        return NULL;
    }
    *to = '\0';
    *out = name;
    return *at == '"' ? at + 1 : at;
}

/* A number; 0 when there is none. Returns what follows. */
static const char *read_number(const char *at, uint32_t *out)
{
    uint64_t number = 0;
    size_t n = strspn(at, "0123456789");
    if (n > 0 && n < 10) {
        (void)lt_parse_u64(at, n, &number);
    }
    *out = (uint32_t)number;
    return at + n;
}

/* ---- Steps and nodes ---- */

typedef struct reader {
    lt_study_log *log;
    lt_arena *arena;
    size_t cap_lines, cap_steps, cap_nodes;
    uint32_t part;
    size_t *end; /* of the step or node whose lines go on */
} reader;

static bool begin_step(reader *r, const char *line, size_t at)
{
    static const char *const kinds[] = { "step ", "view ", "control ", "reformat " };
    lt_study_log_step s = { .part = r->part, .begin = at, .end = at + 1, .class_name = "" };
    size_t k = 0;
    while (k < LT_COUNT(kinds) && !starts(line, kinds[k])) {
        k++;
    }
    if (k == LT_COUNT(kinds)) {
        return true;
    }
    const char *rest = read_number(line + strlen(kinds[k]), &s.number);
    if (!starts(rest, ": ")) {
        return true;
    }
    s.kind = lt_arena_strn(r->arena, kinds[k], strlen(kinds[k]) - 1);
    rest = read_name(r->arena, rest + 2, &s.name);
    const char *class_name = rest ? strchr(rest, '[') : NULL;
    if (class_name) {
        s.class_name = lt_arena_strn(r->arena, class_name + 1, strcspn(class_name + 1, "]"));
    }
    if (!rest || !s.kind || !s.class_name ||
        !lt_arena_grow(r->arena, (void **)&r->log->steps, &r->cap_steps, r->log->n_steps + 1, sizeof s)) {
        return false;
    }
    r->log->steps[r->log->n_steps] = s;
    r->end = &r->log->steps[r->log->n_steps++].end;
    return true;
}

static bool begin_node(reader *r, const char *line, size_t at)
{
    lt_study_log_node n = { .begin = at, .end = at + 1 };
    (void)read_number(line + 5, &n.number);
    if (!lt_arena_grow(r->arena, (void **)&r->log->nodes, &r->cap_nodes, r->log->n_nodes + 1, sizeof n)) {
        return false;
    }
    r->log->nodes[r->log->n_nodes] = n;
    r->end = &r->log->nodes[r->log->n_nodes++].end;
    return true;
}

static bool read_nodes(reader *r, const char *line)
{
    lt_study_log_step *s = r->log->n_steps ? &r->log->steps[r->log->n_steps - 1] : NULL;
    size_t n = 0;
    if (!s || s->nodes) {
        return true;
    }
    s->nodes = LT_ARENA_ARRAY(r->arena, uint32_t, strlen(line) + 1);
    for (const char *at = line + 7; s->nodes && *at == ' ';) {
        at = read_number(at + 1, (uint32_t *)&s->nodes[n++]);
    }
    s->n_nodes = (uint32_t)n;
    return s->nodes != NULL;
}

static bool read_line(reader *r, const char *line, size_t at)
{
    if (line[0] == ' ') {
        if (r->end) {
            *r->end = at + 1;
        }
        return starts(line, "  nodes ") ? read_nodes(r, line) : true;
    }
    r->end = NULL;
    if (starts(line, "part ")) {
        (void)read_number(line + 5, &r->part);
    } else if (starts(line, "node ")) {
        return begin_node(r, line, at);
    } else {
        return begin_step(r, line, at);
    }
    return true;
}

/* "variant 3: ...": does it begin the part of the log that is wanted? Lines in front of the first one belong to all variants. */
static bool is_variant(const char *line, uint32_t wanted)
{
    uint32_t number;
    return *read_number(line + strlen("variant "), &number) == ':' && number == wanted;
}

lathe_status lt_study_log_parse(const char *text, size_t length, uint32_t variant, lt_arena *arena, lt_study_log *out, lathe_diag *diag)
{
    bool meant = true;
    reader r = { .log = out, .arena = arena };
    char *copy = lt_arena_strn(arena, text, length), *rest = NULL;
    *out = (lt_study_log){ .plan = "" };
    for (char *line = copy; line && *line; line = rest) {
        rest = strchr(line, '\n');
        if (rest) {
            *rest++ = '\0';
        }
        if (out->n_lines == 0 && starts(line, "lathe-log ") && !starts(line, HEAD)) {
            return LT_FAIL(diag, LATHE_UNSUPPORTED, NULL, "build the plan again", "the log is of another version: %.60s", line);
        }
        if (out->n_lines == 0 && starts(line, HEAD)) {
            out->plan = line + strlen(HEAD);
        }
        meant = starts(line, "variant ") ? is_variant(line, variant) : meant;
        if (!meant) {
            continue;
        }
        if (!lt_arena_grow(arena, (void **)&out->lines, &r.cap_lines, out->n_lines + 1, sizeof *out->lines)) {
            return LT_OOM(diag);
        }
        out->lines[out->n_lines++] = line;
        if (!read_line(&r, line, out->n_lines - 1)) {
            return LT_OOM(diag);
        }
        if (!rest) {
            break;
        }
    }
    return copy ? LATHE_OK : LT_OOM(diag);
}

bool lt_study_log_of(const lt_study_log *log, const void *data, size_t size)
{
    unsigned char print[32];
    char text[65];
    if (!lt_plan_fingerprint(data, size, print)) {
        return false;
    }
    for (size_t i = 0; i < sizeof print; i++) {
        snprintf(text + 2 * i, 3, "%02x", print[i]);
    }
    return lt_streq(log->plan, text);
}

/* ---- Questions ---- */

const char *lt_study_log_text(const lt_study_log *log, size_t begin, size_t end, const char *word)
{
    for (size_t i = begin; i < end; i++) {
        if (starts(log->lines[i], "  ") && starts(log->lines[i] + 2, word)) {
            return log->lines[i] + 2 + strlen(word);
        }
    }
    return NULL;
}

bool lt_study_log_step_has(const lt_study_log_step *step, uint32_t node)
{
    for (uint32_t i = 0; i < step->n_nodes; i++) {
        if (step->nodes[i] == node) {
            return true;
        }
    }
    return false;
}

const lt_study_log_node *lt_study_log_node_at(const lt_study_log *log, uint32_t number)
{
    if (number < log->n_nodes && log->nodes[number].number == number) { /* as it is written */
        return &log->nodes[number];
    }
    return NULL;
}

bool lt_study_log_makes(const lt_study_log *log, uint32_t number, const char *pattern)
{
    const lt_study_log_node *n = lt_study_log_node_at(log, number);
    const char *at = n ? lt_study_log_text(log, n->begin, n->end, "makes ") : NULL, *name;
    lt_arena arena;
    bool found = false;
    lt_arena_init(&arena, NULL);
    while (at && *at && !found) {
        at = read_name(&arena, at, &name);
        found = at && lt_glob(pattern, name);
        at = at && starts(at, ", ") ? at + 2 : NULL;
    }
    lt_arena_destroy(&arena);
    return found;
}
