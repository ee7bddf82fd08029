/*
 * test_ops_samples.c - what other implementations say about every sample of every operator: the outputs of ONNX's
 * reference evaluator ("onnx") and of ONNX Runtime ("ort"), stored in tests/data/samples by tests/peers/samples.py,
 * against Lathe's own evaluation.
 *
 * A new operator or sample without stored data fails. Where a peer is known to be wrong, deviations.txt says so: the
 * mark must be needed, and unless the other peer agrees with Lathe, its reason must argue from the specification
 * ("spec: ...").
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "graph/graph.h"

#define FOLDER LATHE_SOURCE_DIR "/tests/data/samples/"
#define COMMAND                                                                                                        \
    "python3 tests/peers/samples.py build/release/lathe-samples (in the virtual environment of make check-peers)"

enum { ONNX, ORT, PEERS };
static const char *const peers[PEERS] = { "onnx", "ort" };

typedef enum verdict { NONE, AGREES, DEVIATES } verdict;

typedef struct tally {
    size_t agree[PEERS], marked, mistakes, samples;
} tally;

static void mistake(tally *t, const char *sample, const char *peer, const char *text)
{
    print_message("%s\n    %s: %s\n", sample, peer, text);
    t->mistakes++;
}

/* ---- Files of blocks ---- */

/* The whole file with a newline at both ends, or NULL. malloc'd. */
static char *read_text(const char *path)
{
    lt_file file;
    if (lt_file_map(&file, path, NULL) != LATHE_OK) {
        return NULL;
    }
    char *text = malloc(file.size + 3);
    assert_non_null(text);
    text[0] = '\n';
    if (file.size > 0) {
        memcpy(text + 1, file.data, file.size);
    }
    text[file.size + 1] = '\n';
    text[file.size + 2] = '\0';
    lt_file_close(&file);
    return text;
}

/* The first line after "sample TEXT", or NULL. */
static const char *find_block(const char *text, const char *sample)
{
    size_t length = strlen(sample);
    for (const char *at = strstr(text, "\nsample "); at != NULL; at = strstr(at + 1, "\nsample ")) {
        const char *name = at + strlen("\nsample ");
        if (strncmp(name, sample, length) == 0 && name[length] == '\n') {
            return name + length + 1;
        }
    }
    return NULL;
}

static size_t count_blocks(const char *text)
{
    size_t count = 0;
    for (const char *at = strstr(text, "\nsample "); at != NULL; at = strstr(at + 1, "\nsample ")) {
        count++;
    }
    return count;
}

/* The next line of a block that begins with the word; NULL at the block's end. *line is malloc'd. */
static const char *next_line(const char *at, const char *word, char **line)
{
    size_t length = strlen(word);
    while (at != NULL && *at != '\n' && *at != '\0' && *at != '#' && strncmp(at, "sample ", 7) != 0) {
        const char *end = strchr(at, '\n');
        if (strncmp(at, word, length) == 0) {
            size_t rest = (size_t)(end - at) - length;
            *line = calloc(1, rest + 1);
            assert_non_null(*line);
            memcpy(*line, at + length, rest);
            return end + 1;
        }
        at = end + 1;
    }
    return NULL;
}

/* ---- Comparing ---- */

/*
 * About two units in the last place of the results' type; f32 and f64 leave room for sums in another order. 0: exact.
 */
static double tolerance_of(lathe_dtype dtype)
{
    switch (dtype) {
    case LATHE_DTYPE_F64:
        return 1e-9;
    case LATHE_DTYPE_F32:
    case LATHE_DTYPE_C64:
        return 1e-5;
    case LATHE_DTYPE_C128:
        return 1e-9;
    case LATHE_DTYPE_F16:
        return 2e-3;
    case LATHE_DTYPE_BF16:
        return 1.6e-2;
    default:
        return 0;
    }
}

static lathe_dtype part_of(lathe_dtype dtype)
{
    return dtype == LATHE_DTYPE_C64 ? LATHE_DTYPE_F32 : dtype == LATHE_DTYPE_C128 ? LATHE_DTYPE_F64 : dtype;
}

static bool is_float(lathe_dtype dtype)
{
    return tolerance_of(dtype) > 0 || (dtype >= LATHE_DTYPE_F8E4M3FN && dtype <= LATHE_DTYPE_F8E5M2FNUZ);
}

/*
 * Numbers within tolerance of each other, or of a tenth of the largest: elements near 0 are differences of larger ones.
 */
static bool compare_floats(const lt_tensor *a, const lt_tensor *b, char *why, size_t size)
{
    lathe_dtype part = part_of(a->dtype);
    int64_t count = lt_tensor_count(a) * (part != a->dtype ? 2 : 1);
    double tolerance = tolerance_of(a->dtype), largest = 0;
    for (int64_t i = 0; i < count; i++) {
        double x = fabs(lt_load_f64(part, b->data, i));
        largest = isfinite(x) && x > largest ? x : largest;
    }
    for (int64_t i = 0; i < count; i++) {
        double x = lt_load_f64(part, a->data, i), y = lt_load_f64(part, b->data, i);
        bool same = x == y || (isnan(x) && isnan(y)) ||
                    (isfinite(x) && isfinite(y) && fabs(x - y) <= tolerance * (fabs(y) + 0.1 * largest));
        if (!same) {
            snprintf(why, size, "element %lld is %.9g, the peer says %.9g", (long long)i, x, y);
            return false;
        }
    }
    return true;
}

static bool compare(const lt_tensor *a, const lt_tensor *b, char *why, size_t size)
{
    char x[200], y[200];
    lt_tensor_describe(a, x, sizeof x);
    lt_tensor_describe(b, y, sizeof y);
    if (strcmp(x, y) != 0) {
        snprintf(why, size, "a %.60s, the peer says %.60s", x, y);
        return false;
    }
    if (is_float(a->dtype)) {
        return compare_floats(a, b, why, size);
    }
    for (int64_t i = 0; a->dtype != LATHE_DTYPE_STRING && i < lt_tensor_count(a); i++) {
        long long p = (long long)lt_load_i64(a->dtype, a->data, i), q = (long long)lt_load_i64(b->dtype, b->data, i);
        if (p != q) {
            snprintf(why, size, "element %lld is %lld, the peer says %lld", (long long)i, p, q);
            return false;
        }
    }
    snprintf(why, size, "elements differ");
    return lt_tensor_equal(a, b);
}

/*
 * The result that a name of the data means: "y", or "y[2]" for an item of a sequence. Contents of optionals stand for
 * them.
 */
static const lt_any *find_result(const lt_graph *graph, const lt_run *run, const char *name)
{
    size_t length = strcspn(name, "[");
    const lt_region *main = lt_region_get(graph, LT_MAIN);
    const lt_any *any = NULL;
    for (uint32_t i = 0; i < main->n_outputs; i++) {
        const char *own = lt_value_get(graph, main->outputs[i])->name;
        if (strlen(own) == length && strncmp(own, name, length) == 0) {
            any = lt_run_output(run, i);
        }
    }
    const char *at = name + length;
    while (any != NULL) {
        if (any->cls == LT_OPTIONAL && any->count == 1) {
            any = any->items;
        } else if (*at == '[') {
            size_t index = (size_t)strtoul(at + 1, NULL, 10);
            any = (any->cls == LT_SEQUENCE || any->cls == LT_MAP) && index < any->count ? &any->items[index] : NULL;
            at = strchr(at, ']') + 1;
        } else {
            return any;
        }
    }
    return NULL;
}

/* "NAME absent", "NAME seq COUNT", "NAME TYPE = {...}". */
static bool compare_line(const lt_graph *graph, const lt_run *run, char *line, char *why, size_t size)
{
    char *rest = strchr(line, ' ');
    assert_non_null(rest);
    *rest++ = '\0';
    const lt_any *any = find_result(graph, run, line);
    if (any == NULL) {
        snprintf(why, size, "there is no %s", line);
        return false;
    }
    if (strcmp(rest, "absent") == 0) {
        snprintf(why, size, "%s is not absent", line);
        return any->cls == LT_OPTIONAL && any->count == 0;
    }
    if (strcmp(rest, "map") == 0) {
        snprintf(why, size, "%s is no map", line);
        return any->cls == LT_MAP;
    }
    if (strncmp(rest, "seq ", 4) == 0) {
        snprintf(why, size, "%s has not %s items", line, rest + 4);
        return any->cls == LT_SEQUENCE && any->count == strtoul(rest + 4, NULL, 10);
    }
    if (any->cls != LT_TENSOR) {
        snprintf(why, size, "%s is no tensor", line);
        return false;
    }
    lt_buf text;
    lt_graph *expected;
    lathe_diag *diag = lathe_diag_create(NULL);
    size_t type = strcspn(rest, " ");
    lt_buf_init(&text, NULL);
    lt_buf_put(&text, rest, type);
    lt_buf_printf(&text, " x%s | y = Identity (x)", rest + type);
    lathe_status status = lt_graph_parse_sample(lt_buf_str(&text), "stored data", NULL, &expected, diag);
    if (status != LATHE_OK) {
        lathe_diag_print(diag, stderr);
    }
    assert_int_equal(status, LATHE_OK);
    bool same = compare(&any->tensor, lt_value_tensor(lt_value_get(expected, lt_graph_find(expected, "x"))), why, size);
    lt_graph_destroy(expected);
    lt_buf_free(&text);
    lathe_diag_destroy(diag);
    return same;
}

/* ---- One sample ---- */

static verdict judge(const lt_graph *graph, const lt_run *run, const char *block, const char *peer, char *why,
                     size_t size)
{
    char word[16], *line = NULL;
    verdict found = NONE;
    snprintf(word, sizeof word, "%s ", peer);
    for (const char *at = next_line(block, word, &line); at != NULL && found != DEVIATES;
         at = next_line(at, word, &line)) {
        if (strncmp(line, "none: ", 6) != 0) {
            found = compare_line(graph, run, line, why, size) ? AGREES : DEVIATES;
        }
        free(line);
        line = NULL;
    }
    free(line); /* of the one behind a deviation */
    return found;
}

static void weigh(const char *sample, const char *marks, const verdict found[PEERS], char why[PEERS][256], tally *t)
{
    for (int p = 0; p < PEERS; p++) {
        char word[16], *reason = NULL;
        snprintf(word, sizeof word, "%s: ", peers[p]);
        bool marked = marks != NULL && next_line(marks, word, &reason) != NULL;
        t->agree[p] += found[p] == AGREES;
        t->marked += marked;
        if (found[p] == DEVIATES && !marked) {
            mistake(t, sample, peers[p], why[p]);
        } else if (found[p] != DEVIATES && marked) {
            mistake(t, sample, peers[p], "marked in deviations.txt, but it does not deviate: take the mark away");
        } else if (marked && found[1 - p] != AGREES && strncmp(reason, "spec: ", 6) != 0) {
            mistake(t, sample, peers[p],
                    "marked, but no other peer agrees with Lathe: the reason must argue \"spec: ...\"");
        }
        free(reason);
    }
}

/* 1 when some peer has an opinion. */
static int check_sample(const char *sample, const char *stored, const char *deviations, tally *t)
{
    const char *block = find_block(stored, sample);
    verdict found[PEERS];
    char why[PEERS][256];
    lt_graph *graph;
    lt_run *run;
    lathe_diag *diag = lathe_diag_create(NULL);
    t->samples++;
    if (block == NULL) {
        mistake(t, sample, "no stored outputs", "write them with " COMMAND);
        lathe_diag_destroy(diag);
        return 1;
    }
    assert_int_equal(lt_graph_parse_sample(sample, sample, NULL, &graph, diag), LATHE_OK);
    if (lt_graph_run(graph, NULL, 0, NULL, &run, diag) != LATHE_OK) {
        lathe_diag_print(diag, stdout);
        mistake(t, sample, "Lathe", "it does not run");
        run = NULL;
    }
    for (int p = 0; p < PEERS && run != NULL; p++) {
        found[p] = judge(graph, run, block, peers[p], why[p], sizeof why[p]);
    }
    if (run != NULL) {
        weigh(sample, find_block(deviations, sample), found, why, t);
    }
    lt_run_destroy(run);
    lt_graph_destroy(graph);
    lathe_diag_destroy(diag);
    return run == NULL || found[ONNX] != NONE || found[ORT] != NONE;
}

/* ---- All of them ---- */

static void check_op(const lt_op *op, const char *deviations, tally *t)
{
    char path[1024];
    const char *domain = lt_op_domain(op);
    size_t count = 0, judged = 0;
    snprintf(path, sizeof path, FOLDER "%s%s%s.txt", domain, domain[0] ? "." : "", op->name);
    char *stored = read_text(path);
    if (op->samples == NULL || op->samples[0] == NULL) {
        mistake(t, op->name, "samples", "an operator needs samples");
    } else if (stored == NULL) {
        mistake(t, op->name, "no stored outputs", "write them with " COMMAND);
    } else {
        for (; op->samples[count] != NULL; count++) {
            judged += (size_t)check_sample(op->samples[count], stored, deviations, t);
        }
        if (count_blocks(stored) != count) {
            mistake(t, op->name, "outputs of samples that are no more", "write them again with " COMMAND);
        }
        if (judged == 0 && strcmp(domain, "lathe") != 0) { /* nobody else has our own operators */
            mistake(t, op->name, "no peer", "at least one sample must be one that another implementation can compute");
        }
    }
    free(stored);
}

static void peers_agree(void **state)
{
    (void)state;
    tally t = { 0 };
    char *deviations = read_text(FOLDER "deviations.txt");
    assert_non_null(deviations);
    const lt_op *op;
    for (size_t i = 0; (op = lt_op_at(i)) != NULL; i++) {
        check_op(op, deviations, &t);
    }
    print_message("%zu samples: %zu agree with ONNX's reference, %zu with ONNX Runtime, %zu marked deviations\n",
                  t.samples, t.agree[ONNX], t.agree[ORT], t.marked);
    free(deviations);
    assert_int_equal(t.mistakes, 0);
}

/* Every mark speaks of a sample that is there. */
static void marks_have_samples(void **state)
{
    (void)state;
    size_t found = 0, mistakes = 0;
    char *deviations = read_text(FOLDER "deviations.txt");
    assert_non_null(deviations);
    const lt_op *op;
    for (size_t i = 0; (op = lt_op_at(i)) != NULL; i++) {
        for (size_t k = 0; op->samples != NULL && op->samples[k] != NULL; k++) {
            const char *block = find_block(deviations, op->samples[k]);
            char *line = NULL;
            found += block != NULL;
            mistakes += block != NULL && next_line(block, "", &line) == NULL;
            free(line);
        }
    }
    mistakes += found != count_blocks(deviations);
    free(deviations);
    assert_int_equal(mistakes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(peers_agree), cmocka_unit_test(marks_have_samples) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
