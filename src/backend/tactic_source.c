/*
 * tactic_source.c - the sources of tactics: the table, which of them take part, and what plans say about them. Used by tune, plan, rt and api.
 *
 * A source that is somebody else's library is a row with `find`, which opens it when first asked.
 */
#include "backend/backend.h"
#include "backend/backend_internal.h"
#include <string.h>

typedef struct row {
    const char *name, *summary;
    bool (*find)(char *version, size_t version_size, char *why, size_t why_size); /* NULL: always there */
    void (*use)(const char *path);                                                /* the library's file, before find */
    const char *variable, *advice;
} row;

static const row rows[] = {
    {"lathe", "Lathe's own kernels and the reference", NULL, NULL, NULL, NULL},
    {"onednn", "oneDNN: convolutions and matrix products by libdnnl.so", lt_onednn_find, lt_onednn_use, "LATHE_ONEDNN",
     "install libdnnl (Debian: libdnnl2), name its file with LATHE_ONEDNN, or leave +onednn out"},
};

int lathe_source_at(size_t index, lathe_source *out)
{
    if (index >= LT_COUNT(rows) || !out || out->struct_size != sizeof *out) {
        return 0;
    }
    const row *r = &rows[index];
    *out = (lathe_source){.struct_size = sizeof *out, .name = r->name, .summary = r->summary, .external = r->find != NULL, .there = 1};
    if (r->find) {
        out->there = r->find(out->version, sizeof out->version, out->why, sizeof out->why);
    } else {
        snprintf(out->version, sizeof out->version, "%s", LATHE_VERSION_STRING);
    }
    return 1;
}

void lt_sources_environment(void)
{
    for (size_t i = 0; i < LT_COUNT(rows); i++) {
        const char *path = rows[i].variable ? lt_env(rows[i].variable) : NULL;
        if (path) {
            rows[i].use(path);
        }
    }
}

/* ---- Sets ---- */

static uint32_t bit_of(const char *name, size_t length)
{
    for (size_t i = 0; i < LT_COUNT(rows); i++) {
        if (strlen(rows[i].name) == length && memcmp(rows[i].name, name, length) == 0) {
            return 1u << i;
        }
    }
    return 0;
}

const char *lt_tactic_source(const lathe_tactic *tactic)
{
    return tactic->source ? tactic->source : rows[0].name;
}

uint32_t lt_source_bit(const lathe_tactic *tactic)
{
    const char *name = lt_tactic_source(tactic);
    return bit_of(name, strlen(name));
}

bool lt_source_on(uint32_t sources, const lathe_tactic *tactic)
{
    return ((sources | 1u) & lt_source_bit(tactic)) != 0;
}

static bool is_there(size_t index, lathe_source *s)
{
    *s = (lathe_source){.struct_size = sizeof *s};
    return lathe_source_at(index, s) && s->there;
}

static lathe_status unknown(const char *name, size_t length, lathe_diag *diag)
{
    char list[256] = "the sources are";
    for (size_t i = 0; i < LT_COUNT(rows); i++) {
        size_t at = strlen(list);
        snprintf(list + at, sizeof list - at, "%s %s", i ? "," : "", rows[i].name);
    }
    return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, NULL, list, "there is no source of tactics '%.*s'", (int)length, name);
}

static lathe_status apply(const char *word, size_t length, uint32_t *set, lathe_diag *diag)
{
    char sign = word[0] == '+' || word[0] == '-' ? word[0] : '+';
    const char *name = word + (word[0] == '+' || word[0] == '-');
    length -= (size_t)(name - word);
    uint32_t bit = bit_of(name, length);
    lathe_source s;
    if (!bit) {
        return unknown(name, length, diag);
    }
    if (sign == '-') {
        *set &= ~bit;
        return bit != 1 ? LATHE_OK : LT_FAIL(diag, LATHE_INVALID_ARGUMENT, NULL, "leave -lathe out", "Lathe's own kernels cannot be switched off: "
                                             "the reference is among them");
    }
    for (size_t i = 1; i < LT_COUNT(rows); i++) {
        if (bit == 1u << i && !is_there(i, &s)) {
            return LT_FAIL(diag, LATHE_UNSUPPORTED, NULL, rows[i].advice, "source %s is not here: %s", s.name, s.why);
        }
    }
    *set |= bit;
    return LATHE_OK;
}

lathe_status lt_sources_read(const char *text, uint32_t *out, lathe_diag *diag)
{
    text = text ? text : "";
    *out = 1; /* the rule: a plan that needs a library where it runs is made for those only who ask for it */
    for (const char *at = text; *at;) {
        size_t length = strcspn(at, ",");
        if (length > 0) {
            LT_TRY(apply(at, length, out, diag));
        }
        at += length + (at[length] == ',');
    }
    return LATHE_OK;
}

/* ---- What plans say ---- */

lathe_status lt_sources_print(uint32_t sources, lt_buf *out, lathe_diag *diag)
{
    for (size_t i = 0; i < LT_COUNT(rows); i++) {
        lathe_source s = {.struct_size = sizeof s};
        if (((sources | 1u) >> i & 1) && lathe_source_at(i, &s)) {
            lt_buf_printf(out, "%s%s %s", i ? ", " : "", s.name, s.there ? s.version : "?");
        }
    }
    return out->failed ? LT_OOM(diag) : LATHE_OK;
}

/* One "name version" of the list. */
static bool entry_here(const char *text, size_t length, char *why, size_t size)
{
    size_t n = 0;
    while (n < length && text[n] != ' ') {
        n++;
    }
    uint32_t bit = bit_of(text, n);
    const char *version = text + n + (n < length);
    size_t digits = length - (size_t)(version - text);
    if (bit == 1) {
        return true;
    }
    for (size_t i = 1; i < LT_COUNT(rows); i++) {
        lathe_source s;
        if (bit != 1u << i) {
            continue;
        }
        if (!is_there(i, &s)) {
            snprintf(why, size, "the plan needs %.*s, which is not here: %s", (int)length, text, s.why);
            return false;
        }
        if (strlen(s.version) != digits || memcmp(s.version, version, digits) != 0) {
            snprintf(why, size, "the plan needs %.*s, here is version %s", (int)length, text, s.version);
            return false;
        }
        return true;
    }
    snprintf(why, size, "the plan needs %.*s, which this build of Lathe does not know", (int)length, text);
    return false;
}

bool lt_sources_here(const char *text, char *why, size_t size)
{
    for (const char *at = text; *at;) {
        size_t length = strcspn(at, ",");
        if (length > 0 && !entry_here(at, length, why, size)) {
            return false;
        }
        at += length + (at[length] == ',');
        at += strspn(at, " ");
    }
    return true;
}
