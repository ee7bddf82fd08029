/*
 * record.c - the tactic record: what a build chose, as text, so that another build of the same network chooses the same without timing anything. Written by
 * api from a finished choice, read back before one; docs/tuner.md shows a page.
 *
 * A line names the problem by its hash and the ordinal among the steps with that problem, the tactic, its version and configuration, and the time that the
 * plan records. One line edited changes one choice. Lines of reformats keep their times only.
 */
#define _GNU_SOURCE
#include "tune/tune_internal.h"
#include <string.h>

#define HEAD "lathe-record 1"

/* ---- Writing ---- */

void lt_record_begin(lt_buf *out)
{
    lt_buf_puts(out, HEAD "\n# problem ordinal tactic version config ns; one line edited changes one choice\n");
}

static uint32_t earlier(const lt_choice *choice, uint32_t unit)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < unit; i++) {
        n += choice->units[i].asked == choice->units[unit].asked;
    }
    return n;
}

void lt_record_put(lt_buf *out, const lt_choice *choice, uint32_t part)
{
    lt_buf_printf(out, "part %u\n", part);
    for (uint32_t i = 0; i < choice->n_units; i++) {
        const lt_unit *u = &choice->units[i];
        uint64_t problem = u->asked ? u->asked : u->kind == LT_UNIT_REFORMAT && u->tactic ? lt_problem_hash(u->problem) : 0;
        if (!problem) {
            continue;
        }
        char ns[LT_FMT_MAX];
        lt_fmt_f64(u->cost_ns, ns);
        lt_buf_puts(out, "# ");
        lt_buf_puts(out, u->name);
        lt_buf_printf(out, "\n%016llx %u %s %u %u %s\n", (unsigned long long)problem, u->asked ? earlier(choice, i) : 0, u->tactic ? u->tactic->name : "view",
                      u->tactic ? u->tactic->version : 1, u->tactic ? u->config : u->view_state, ns);
    }
}

/* ---- Reading ---- */

static lathe_status damaged(const lt_record *r, uint32_t line, const char *text, lathe_diag *diag)
{
    char where[200];
    snprintf(where, sizeof where, "%s:%u", r->file, line);
    return LT_FAIL(diag, LATHE_BAD_PLAN, where, "repair the line, or delete the file to have it made again", "not a line of a tactic record: '%.80s'", text);
}

/* The six words of a line, taken apart in place. */
static bool read_entry(char *line, lt_record_entry *e)
{
    char *rest = NULL, *word[7];
    for (int i = 0; i < 7; i++) {
        word[i] = strtok_r(i ? NULL : line, " \t\r", &rest);
    }
    uint64_t ordinal = 0, version = 0, config = 0;
    char hex[24];
    if (!word[5] || word[6] || strlen(word[0]) != 16) {
        return false;
    }
    snprintf(hex, sizeof hex, "0x%s", word[0]);
    bool good = lt_parse_u64(hex, 18, &e->problem) && lt_parse_u64(word[1], strlen(word[1]), &ordinal) && lt_parse_u64(word[3], strlen(word[3]), &version) &&
                lt_parse_u64(word[4], strlen(word[4]), &config) && lt_parse_f64(word[5], strlen(word[5]), &e->ns);
    e->tactic = word[2];
    e->ordinal = (uint32_t)ordinal;
    e->version = (uint32_t)version;
    e->config = (uint32_t)config;
    return good && (ordinal | version | config) <= UINT32_MAX && e->ns >= 0;
}

static bool read_part(const char *line, uint32_t *part)
{
    uint64_t n;
    size_t length = strcspn(line, "\r");
    if (strncmp(line, "part ", 5) != 0 || !lt_parse_u64(line + 5, length - 5, &n) || n > UINT32_MAX) {
        return false;
    }
    *part = (uint32_t)n;
    return true;
}

lathe_status lt_record_parse(const char *text, size_t length, const char *file, lt_arena *arena, lt_record *out, lathe_diag *diag)
{
    char *copy = lt_arena_strn(arena, text, length), *rest = NULL;
    uint32_t number = 0, part = 0;
    size_t capacity = 0;
    *out = (lt_record){.file = file};
    if (!copy) {
        return LT_OOM(diag);
    }
    for (char *line = copy; line; line = rest) {
        rest = strchr(line, '\n');
        if (rest) {
            *rest++ = '\0';
        }
        if (++number == 1 && strncmp(line, HEAD, strlen(HEAD)) != 0) {
            return LT_FAIL(diag, LATHE_BAD_PLAN, file, "name a file that a build with --record has written", "not a tactic record of this version");
        }
        if (number == 1 || line[0] == '#' || line[strspn(line, " \t\r")] == '\0' || read_part(line, &part)) {
            continue;
        }
        lt_record_entry e = {.part = part, .line = number};
        char *shown = lt_arena_str(arena, line);
        if (!shown || !lt_arena_grow(arena, (void **)&out->items, &capacity, out->count + 1, sizeof e)) {
            return LT_OOM(diag);
        }
        if (!read_entry(line, &e)) {
            return damaged(out, number, shown, diag);
        }
        out->items[out->count++] = e;
    }
    return LATHE_OK;
}

const lt_record_entry *lt_record_find(const lt_record *record, uint32_t part, uint64_t problem, uint32_t ordinal)
{
    for (size_t i = 0; i < record->count; i++) {
        const lt_record_entry *e = &record->items[i];
        if (e->part == part && e->problem == problem && e->ordinal == ordinal) {
            return e;
        }
    }
    return NULL;
}

/* ---- Replaying ---- */

static bool is_entry(const lt_candidate *c, const lt_record_entry *e, uint32_t state)
{
    if (!c->tactic) {
        return strcmp(e->tactic, "view") == 0 && e->config == state;
    }
    return strcmp(c->tactic->name, e->tactic) == 0 && c->tactic->version == e->version && c->config == e->config;
}

/* The one state that the record names; all others cost too much to be taken. */
static lathe_status replay_draft(lt_tuner *t, lt_draft *d, const lt_record_entry *e)
{
    bool found = false;
    for (uint32_t s = 0; s < d->n_states; s++) {
        bool it = is_entry(d->states[s], e, s);
        d->fits[s].cost = it ? e->ns : LT_PBQP_INF;
        if (it && d->states[s]->tactic) { /* views share one candidate, which nobody writes to */
            ((lt_candidate *)d->states[s])->cost_ns = e->ns;
        }
        found |= it;
    }
    if (!found) {
        return LT_FAIL(t->diag, LATHE_UNSUPPORTED, lt_draft_label(t, d), "lathe tactics --for shows what there is; delete the record to have it made again",
                       "line %u of %s wants %s (version %u, config %u), which cannot compute this step here", e->line, t->options->record->file, e->tactic,
                       e->version, e->config);
    }
    return LATHE_OK;
}

lathe_status lt_record_replay(lt_tuner *t)
{
    const lt_record *record = t->options->record;
    lt_imap seen;
    lathe_status status = LATHE_OK;
    lt_imap_init(&seen, t->arena->allocator);
    for (size_t i = 0; i < t->drafts.count && status == LATHE_OK; i++) {
        lt_draft *d = &t->drafts.items[i];
        uint64_t hash = d->kind == LT_UNIT_STEP ? lt_problem_hash(d->problem) : 0, ordinal = 0;
        if (!hash) {
            continue;
        }
        (void)lt_imap_get(&seen, hash, &ordinal);
        const lt_record_entry *e = lt_record_find(record, t->options->part, hash, (uint32_t)ordinal);
        if (!e) {
            status = LT_FAIL(t->diag, LATHE_UNSUPPORTED, lt_draft_label(t, d), "delete the record to have it made again",
                             "%s has no line for this step (problem %016llx, ordinal %llu): it was made for another network, other shapes or options", record->file,
                             (unsigned long long)hash, (unsigned long long)ordinal);
        } else {
            status = replay_draft(t, d, e);
        }
        status = status == LATHE_OK && !lt_imap_put(&seen, hash, ordinal + 1) ? LT_OOM(t->diag) : status;
    }
    lt_imap_free(&seen);
    return status;
}
