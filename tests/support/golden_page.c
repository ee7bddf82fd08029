/*
 * golden_page.c - reads, runs, compares and rewrites golden pages.
 */
#include "support/golden_page.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct span {
    const char *text;
    size_t length;
} span;

enum { SECTIONS = 4 };
static const char *const section_names[SECTIONS] = { "refusals", "assumptions", "notes", "fates" };

typedef struct page_case {
    span head;              /* everything up to "# ----": kept as it is */
    span run, same, sizes;  /* directives, without the "# name:" */
    span expected;
    span sections[SECTIONS];
    bool has_section[SECTIONS];
} page_case;

/* ---- Reading ---- */

static span next_line(const char **at, const char *end)
{
    const char *stop = memchr(*at, '\n', (size_t)(end - *at));
    span line = { *at, (size_t)((stop != NULL ? stop : end) - *at) };
    *at = stop != NULL ? stop + 1 : end;
    return line;
}

static bool starts(span line, const char *text)
{
    size_t n = strlen(text);
    return line.length >= n && memcmp(line.text, text, n) == 0;
}

static void directive(span line, const char *name, span *out)
{
    if (starts(line, name)) {
        size_t n = strlen(name);
        *out = (span){ line.text + n, line.length - n };
    }
}

/* One case from *at on; false at the end of the page. */
static bool read_case(const char **at, const char *end, page_case *c)
{
    const char *start = *at;
    bool behind = false;
    int section = -1;
    *c = (page_case){ .head = { start, 0 } };
    if (start == end) {
        return false;
    }
    while (*at < end) {
        const char *here = *at;
        span line = next_line(at, end);
        if (here != start && starts(line, "# ====")) {
            *at = here;
            break;
        }
        if (!behind) {
            directive(line, "# run:", &c->run);
            directive(line, "# same:", &c->same);
            directive(line, "# sizes:", &c->sizes);
            c->head.length = (size_t)(*at - start);
            if (starts(line, "# ----")) {
                behind = true;
                c->head.length = (size_t)(here - start);
                c->expected = (span){ *at, 0 };
            }
            continue;
        }
        int which = -1;
        for (int i = 0; i < SECTIONS; i++) {
            if (starts(line, "# ") && line.length == 2 + strlen(section_names[i]) && memcmp(line.text + 2, section_names[i], line.length - 2) == 0) {
                which = i;
            }
        }
        if (which >= 0) {
            section = which;
            c->has_section[which] = true;
            c->sections[which] = (span){ *at, 0 };
        } else if (section >= 0) {
            c->sections[section].length = (size_t)(*at - c->sections[section].text);
        } else {
            c->expected.length = (size_t)(*at - c->expected.text);
        }
    }
    return true;
}

/* The value of "name=" in a directive; false when it is not there. */
static bool option(span text, const char *name, double *out)
{
    size_t n = strlen(name);
    for (size_t i = 0; i + n < text.length; i++) {
        bool word = i == 0 || text.text[i - 1] == ' ' || text.text[i - 1] == ',';
        if (word && memcmp(text.text + i, name, n) == 0 && text.text[i + n] == '=') {
            size_t from = i + n + 1, to = from;
            while (to < text.length && text.text[to] != ' ' && text.text[to] != ',') {
                to++;
            }
            int64_t whole;
            if (lt_parse_i64(text.text + from, to - from, &whole)) {
                *out = (double)whole;
                return true;
            }
            return lt_parse_f64(text.text + from, to - from, out);
        }
    }
    return false;
}

/* ---- Running ---- */

lathe_status golden_run_passes(const char *names, lt_graph **graph, const lt_pipeline_options *options, lathe_diag *diag)
{
    for (const char *at = names; at != NULL && *at != '\0';) {
        char name[64];
        while (*at == ' ') {
            at++;
        }
        size_t n = strcspn(at, ", ");
        snprintf(name, sizeof name, "%.*s", n < sizeof name ? (int)n : (int)sizeof name - 1, at);
        at += n;
        at += strspn(at, ", ");
        bool above = lt_streq(name, "above"), below = lt_streq(name, "below"), all = lt_streq(name, "all");
        if (above || all) {
            LT_TRY(lt_pipeline_above(graph, options, diag));
        }
        if (below || all) {
            LT_TRY(lt_pipeline_below(graph, options, diag));
        }
        if (above || below || all || name[0] == '\0') {
            continue;
        }
        const lt_pass *pass = lt_pass_find(name);
        if (pass == NULL) {
            return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, NULL, "lathe-opt --list", "there is no pass %s", name);
        }
        LT_TRY(lt_pass_run(pass, *graph, options, NULL, diag));
    }
    return LATHE_OK;
}

static const char *node_name(const lt_graph *graph, lt_node_id id)
{
    const lt_node *node = lt_node_get(graph, id);
    const lt_value *out = node != NULL ? lt_node_out(graph, node, 0) : NULL;
    return out != NULL ? out->name : "?";
}

void golden_put_refusals(const lt_graph *graph, const char *prefix, lt_buf *out)
{
    const lt_refusal *refusals;
    size_t n = lt_graph_refusals(graph, &refusals);
    for (size_t i = 0; i < n; i++) {
        const lt_value *value = lt_value_get(graph, refusals[i].value);
        const lt_node *to = lt_node_get(graph, refusals[i].to);
        lt_buf_printf(out, "%s%s -> %s (%s): %s\n", prefix, value != NULL ? value->name : "?", node_name(graph, refusals[i].to),
                      to != NULL ? to->op->name : "?", refusals[i].reason);
    }
}

void golden_put_assumptions(const lt_graph *graph, const char *prefix, lt_buf *out)
{
    static const char *const kinds[] = { "bytes", "splat", "sign" };
    const lt_assumption *assumptions;
    size_t n = lt_graph_assumptions(graph, &assumptions);
    for (size_t i = 0; i < n; i++) {
        lt_buf_printf(out, "%s%s: %s", prefix, assumptions[i].initializer, kinds[assumptions[i].kind]);
        if (assumptions[i].kind != LT_ASSUME_BYTES) {
            lt_buf_putc(out, ' ');
            lt_buf_put_f64(out, assumptions[i].number);
        }
        lt_buf_printf(out, " (%s)\n", assumptions[i].pass);
    }
}

static void put_fates(const lt_graph *graph, lt_buf *out)
{
    const lt_origin *origins;
    size_t n = lt_graph_origins(graph, &origins);
    for (size_t i = 0; i < n; i++) {
        static const char *const names[] = { "step", "folded", "removed" };
        lt_fate fate;
        const char *pass;
        if (lt_graph_fate(graph, (uint32_t)i, &fate, &pass, NULL) == LATHE_OK) {
            lt_buf_printf(out, "# %zu %s: %s%s%s\n", i, origins[i].op, names[fate], fate == LT_FATE_STEP ? "" : " by ", fate == LT_FATE_STEP ? "" : pass);
        }
    }
}

static void note(void *user, lathe_log_level level, const char *message)
{
    (void)level;
    if (strncmp(message, "pass ", 5) != 0) {
        lt_buf_printf(user, "# %s\n", message);
    }
}

/* ---- Same results ---- */

typedef struct sizes {
    const lt_dims *dims;
    span given;
    int64_t seed;
} sizes;

static bool size_of(void *user, lt_dim leaf, int64_t *value)
{
    const sizes *s = user;
    double number;
    lt_dim_node node = lt_dim_get(s->dims, leaf);
    if (node.name == NULL) {
        return false;
    }
    *value = 2 + (int64_t)((leaf.e + (uint32_t)s->seed) % 3);
    if (option(s->given, node.name, &number)) {
        *value = (int64_t)number;
    }
    return true;
}

static lathe_status make_input(const lt_graph *graph, const lt_value *value, const page_case *c, int64_t seed, int number, lt_arena *arena, lt_any *out,
                               lathe_diag *diag)
{
    int64_t dims[LATHE_MAX_RANK];
    double below;
    sizes s = { lt_graph_dims(graph), c->sizes, seed };
    *out = (lt_any){ .cls = LT_TENSOR };
    if (value->type.cls != LT_TENSOR || value->type.rank < 0) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, value->name, NULL, "same: inputs must be tensors of known rank");
    }
    for (int i = 0; i < value->type.rank; i++) {
        LT_TRY(lt_dim_eval(s.dims, value->type.dims[i], size_of, &s, &dims[i], diag));
    }
    LT_TRY(lt_tensor_alloc(arena, &out->tensor, value->type.dtype, value->type.rank, dims, value->name, diag));
    LT_TRY(lt_random_fill(&out->tensor, (uint64_t)(seed * 1000 + number), diag));
    if (lt_dtype_is_integer(out->tensor.dtype) && option(c->same, "ints", &below)) {
        for (int64_t i = 0; i < lt_tensor_count(&out->tensor); i++) {
            lt_store_i64(out->tensor.dtype, out->tensor.data, i, lt_load_i64(out->tensor.dtype, out->tensor.data, i) % (int64_t)below);
        }
    }
    return LATHE_OK;
}

static lathe_status differ(const char *name, int64_t at, double a, double b, lathe_diag *diag)
{
    char left[LT_FMT_MAX], right[LT_FMT_MAX];
    lt_fmt_f64(a, left);
    lt_fmt_f64(b, right);
    return LT_FAIL(diag, LATHE_INTERNAL, name, NULL, "same: element %lld was %s and is %s", (long long)at, left, right);
}

static lathe_status compare(const lt_tensor *a, const lt_tensor *b, const page_case *c, const char *name, lathe_diag *diag)
{
    double tol = 0, step = 0, largest = 0;
    option(c->same, "tol", &tol);
    option(c->same, "step", &step);
    bool shape = a->dtype == b->dtype && a->rank == b->rank;
    for (int i = 0; shape && i < a->rank; i++) {
        shape = a->dims[i] == b->dims[i];
    }
    if (!shape) {
        char left[96], right[96];
        lt_tensor_describe(a, left, sizeof left);
        lt_tensor_describe(b, right, sizeof right);
        return LT_FAIL(diag, LATHE_INTERNAL, name, NULL, "same: the output was %s and is %s", left, right);
    }
    if (lt_tensor_equal(a, b) || a->dtype == LATHE_DTYPE_STRING) {
        return lt_tensor_equal(a, b) ? LATHE_OK : LT_FAIL(diag, LATHE_INTERNAL, name, NULL, "same: strings differ");
    }
    int64_t count = lt_tensor_count(a);
    for (int64_t i = 0; i < count; i++) {
        double x = fabs(lt_load_f64(a->dtype, a->data, i));
        largest = x > largest ? x : largest;
    }
    double room = lt_dtype_is_float(a->dtype) ? tol * largest : step;
    for (int64_t i = 0; i < count; i++) {
        double x = lt_load_f64(a->dtype, a->data, i), y = lt_load_f64(b->dtype, b->data, i);
        bool bits = x == y ? signbit(x) == signbit(y) || tol > 0 : isnan(x) && isnan(y);
        if (!bits && !(fabs(x - y) <= room && room > 0)) {
            return differ(name, i, x, y, diag);
        }
    }
    return LATHE_OK;
}

static lathe_status run_pair(const lt_graph *before, const lt_graph *after, const page_case *c, int64_t seed, lt_arena *arena, lt_run *runs[2],
                             lathe_diag *diag)
{
    const lt_region *in = lt_region_get(before, LT_MAIN);
    lt_any *values = LT_ARENA_ARRAY(arena, lt_any, (size_t)in->n_inputs + 1);
    const lt_any **inputs = LT_ARENA_ARRAY(arena, const lt_any *, (size_t)in->n_inputs + 1);
    for (uint32_t i = 0; i < in->n_inputs; i++) {
        LT_TRY(make_input(before, lt_value_get(before, in->inputs[i]), c, seed, (int)i, arena, &values[i], diag));
        inputs[i] = &values[i];
    }
    LT_TRY(lt_graph_run(before, inputs, in->n_inputs, NULL, &runs[0], diag));
    LT_TRY(lt_graph_run(after, inputs, in->n_inputs, NULL, &runs[1], diag));
    for (uint32_t i = 0; i < in->n_outputs; i++) {
        LT_TRY(compare(&lt_run_output(runs[0], i)->tensor, &lt_run_output(runs[1], i)->tensor, c, lt_value_get(before, in->outputs[i])->name, diag));
    }
    return LATHE_OK;
}

static lathe_status check_same(const lt_graph *before, const lt_graph *after, const page_case *c, lathe_diag *diag)
{
    double seeds = 1;
    option(c->same, "seeds", &seeds);
    for (int64_t seed = 1; seed <= (int64_t)seeds; seed++) {
        lt_arena arena;
        lt_run *runs[2] = { NULL, NULL };
        lt_arena_init(&arena, NULL);
        lathe_status status = run_pair(before, after, c, seed, &arena, runs, diag);
        lt_run_destroy(runs[0]);
        lt_run_destroy(runs[1]);
        lt_arena_destroy(&arena);
        LT_TRY(status);
    }
    return LATHE_OK;
}

/* ---- One case ---- */

typedef struct result {
    lt_buf text;
    lt_buf sections[SECTIONS];
} result;

static lathe_status run_case(const page_case *c, const char *path, result *out, lathe_diag *diag)
{
    lt_graph *before = NULL, *after = NULL;
    char names[256];
    lt_pipeline_options options = { .verify = true, .debug = 3, .log = note, .log_user = &out->sections[2] };
    snprintf(names, sizeof names, "%.*s", (int)c->run.length, c->run.length > 0 ? c->run.text : "");
    lathe_status status = lt_graph_parse(c->head.text, c->head.length, path, NULL, NULL, NULL, &before, diag);
    if (status == LATHE_OK) {
        status = lt_graph_parse(c->head.text, c->head.length, path, NULL, NULL, NULL, &after, diag);
    }
    if (status == LATHE_OK) {
        status = lt_graph_number_origins(after, diag);
    }
    if (status == LATHE_OK) {
        status = golden_run_passes(names, &after, &options, diag);
    }
    if (status == LATHE_OK) {
        status = lt_graph_print(after, &lt_text_canonical, &out->text, diag);
    }
    if (status == LATHE_OK) {
        golden_put_refusals(after, "# ", &out->sections[0]);
        golden_put_assumptions(after, "# ", &out->sections[1]);
        put_fates(after, &out->sections[3]);
    }
    if (status == LATHE_OK && c->same.text != NULL) {
        status = check_same(before, after, c, diag);
    }
    lt_graph_destroy(before);
    lt_graph_destroy(after);
    return status;
}

static span trimmed(span text)
{
    while (text.length > 0 && (text.text[text.length - 1] == '\n' || text.text[text.length - 1] == ' ')) {
        text.length--;
    }
    return text;
}

static bool same_text(span a, span b)
{
    a = trimmed(a);
    b = trimmed(b);
    return a.length == b.length && (a.length == 0 || memcmp(a.text, b.text, a.length) == 0);
}

static span of_buf(const lt_buf *buf)
{
    return (span){ lt_buf_str(buf), buf->length };
}

static void complain(const char *path, const page_case *c, const char *what, span expected, span actual)
{
    span title = { c->head.text, strcspn(c->head.text, "\n") };
    fprintf(stderr, "%s: %.*s: %s differs\n--- expected\n%.*s\n--- actual\n%.*s\n", path, (int)title.length, title.text, what,
            (int)trimmed(expected).length, expected.length > 0 ? expected.text : "", (int)trimmed(actual).length, actual.text);
}

static bool check_case(const char *path, const page_case *c, const result *r)
{
    bool ok = same_text(c->expected, of_buf(&r->text));
    if (!ok) {
        complain(path, c, "the graph", c->expected, of_buf(&r->text));
    }
    for (int i = 0; i < SECTIONS; i++) {
        if (c->has_section[i] && !same_text(c->sections[i], of_buf(&r->sections[i]))) {
            complain(path, c, section_names[i], c->sections[i], of_buf(&r->sections[i]));
            ok = false;
        }
    }
    return ok;
}

static void put_case(const page_case *c, const result *r, lt_buf *page)
{
    span text = trimmed(of_buf(&r->text));
    lt_buf_put(page, c->head.text, c->head.length);
    lt_buf_puts(page, "# ----\n");
    lt_buf_put(page, text.text, text.length);
    lt_buf_puts(page, "\n");
    for (int i = 0; i < SECTIONS; i++) {
        if (c->has_section[i]) {
            lt_buf_printf(page, "# %s\n%s", section_names[i], lt_buf_str(&r->sections[i]));
        }
    }
}

static bool do_case(const char *path, const page_case *c, bool bless, lt_buf *page)
{
    result r;
    lathe_diag *diag = lathe_diag_create(NULL);
    lt_buf_init(&r.text, NULL);
    for (int i = 0; i < SECTIONS; i++) {
        lt_buf_init(&r.sections[i], NULL);
    }
    bool ok = run_case(c, path, &r, diag) == LATHE_OK;
    if (!ok) {
        fprintf(stderr, "%s: %.*s\n", path, (int)strcspn(c->head.text, "\n"), c->head.text);
        lathe_diag_print(diag, stderr);
    } else if (bless) {
        put_case(c, &r, page);
    } else {
        ok = check_case(path, c, &r);
    }
    lt_buf_free(&r.text);
    for (int i = 0; i < SECTIONS; i++) {
        lt_buf_free(&r.sections[i]);
    }
    lathe_diag_destroy(diag);
    return ok;
}

int golden_page(const char *path, bool bless)
{
    lt_file file;
    lt_buf page;
    page_case c;
    int failed = 0, cases = 0;
    if (lt_file_read(&file, path, NULL, NULL) != LATHE_OK) {
        fprintf(stderr, "%s: cannot be read\n", path);
        return 1;
    }
    /* The text is followed by a NUL, so that titles can be printed. */
    char *text = calloc(file.size + 1, 1);
    if (text == NULL) {
        lt_file_close(&file);
        return 1;
    }
    memcpy(text, file.data, file.size);
    lt_buf_init(&page, NULL);
    const char *at = text, *end = text + file.size;
    while (read_case(&at, end, &c)) {
        cases++;
        failed += !do_case(path, &c, bless, &page);
        if (bless && at < end) {
            lt_buf_puts(&page, "\n");
        }
    }
    if (bless && failed == 0 && (page.length != file.size || memcmp(page.data, text, page.length) != 0) &&
        lt_file_write(path, lt_buf_str(&page), page.length, NULL) != LATHE_OK) {
        fprintf(stderr, "%s: cannot be written\n", path);
        failed++;
    }
    if (failed > 0) {
        fprintf(stderr, "%s: %d of %d cases failed\n", path, failed, cases);
    }
    lt_buf_free(&page);
    free(text);
    lt_file_close(&file);
    return failed;
}
