/*
 * pass_manager.c - runs passes: one, or the pipeline above or below the border; verifies, dumps and compacts between them. Called by api,
 * study and lathe-opt. It knows no pass by name.
 */
#include "passes/passes_internal.h"

#include <stdio.h>
#include <string.h>

static const lt_pipeline_options defaults;

const lt_pass *lt_pass_find(const char *name)
{
    for (size_t i = 0; lt_pass_table[i] != NULL; i++) {
        if (lt_streq(lt_pass_table[i]->name, name)) {
            return lt_pass_table[i];
        }
    }
    return NULL;
}

/* ---- Verification ---- */

typedef struct blob_list {
    const lt_graph *graph;
} blob_list;

static lt_blob *find_blob(void *user, uint64_t hash)
{
    const lt_graph *graph = ((const blob_list *)user)->graph;
    const lt_region *init = lt_region_get(graph, LT_INIT);
    for (uint32_t i = 0; init != NULL && i < init->n_inputs; i++) {
        const lt_value *value = lt_value_get(graph, init->inputs[i]);
        if (value != NULL && value->blob != NULL && lt_blob_hash(value->blob) == hash) {
            return lt_blob_retain(value->blob);
        }
    }
    return NULL;
}

/* Print, parse and print again must give the same text. */
static lathe_status check_text(const lt_graph *graph, const char *pass, lathe_diag *diag)
{
    const lathe_allocator *allocator = lt_graph_allocator(graph);
    blob_list blobs = { graph };
    lt_buf first, second;
    lt_graph *again = NULL;
    lt_buf_init(&first, allocator);
    lt_buf_init(&second, allocator);
    lathe_status status = lt_graph_print(graph, &lt_text_canonical, &first, diag);
    if (status == LATHE_OK) {
        status = lt_graph_parse(lt_buf_str(&first), first.length, pass, allocator, find_blob, &blobs, &again, diag);
    }
    if (status == LATHE_OK) {
        status = lt_graph_print(again, &lt_text_canonical, &second, diag);
    }
    if (status == LATHE_OK && (first.failed || second.failed)) {
        status = LT_OOM(diag);
    }
    if (status == LATHE_OK && (first.length != second.length || memcmp(lt_buf_str(&first), lt_buf_str(&second), first.length) != 0)) {
        status = LT_FAIL(diag, LATHE_INTERNAL, pass, "this is a bug in Lathe: please report it", "the graph's text does not read back as itself");
    }
    lt_graph_destroy(again);
    lt_buf_free(&first);
    lt_buf_free(&second);
    return status;
}

static lathe_status verify_after(const lt_graph *graph, const lt_pass *pass, const lt_pipeline_options *options, lathe_diag *diag)
{
#ifdef NDEBUG
    if (!options->verify) {
        return LATHE_OK;
    }
#else
    (void)options;
#endif
    LT_TRY(lt_graph_verify(graph, diag));
    return check_text(graph, pass->name, diag);
}

/* ---- One pass ---- */

static lathe_status visit_all(lt_pass_call *call)
{
    lt_node_id *list;
    size_t count;
    LT_TRY(lt_walk_list(call, &list, &count));
    for (size_t i = 0; i < count; i++) {
        const lt_node *node = lt_node_get(call->graph, list[i]);
        if (node != NULL) {
            LT_TRY(call->pass->visit(call, node));
        }
    }
    return LATHE_OK;
}

lathe_status lt_pass_run(const lt_pass *pass, lt_graph *graph, const lt_pipeline_options *options, bool *changed, lathe_diag *diag)
{
    lt_arena scratch;
    options = options != NULL ? options : &defaults;
    lt_arena_init(&scratch, lt_graph_allocator(graph));
    lt_pass_call call = { .graph = graph, .scratch = &scratch, .pass = pass, .allocator = lt_graph_allocator(graph), .device = options->device,
                          .options = options, .diag = diag };
    lathe_status status = LATHE_OK;
    if (pass->rules != NULL) {
        status = lt_rules_run(&call, pass->rules);
    }
    if (status == LATHE_OK && pass->visit != NULL) {
        status = visit_all(&call);
    }
    if (status == LATHE_OK && pass->run != NULL) {
        status = pass->run(&call);
    }
    if (status == LATHE_OK && call.changed) {
        status = verify_after(graph, pass, options, diag);
    }
    if (changed != NULL) {
        *changed = call.changed;
    }
    lt_arena_destroy(&scratch);
    return status;
}

/* ---- The pipeline ---- */

/* Is "-name" or "-all" in the list of what is left out? */
static bool left_out(const char *select, const char *name)
{
    size_t n = strlen(name);
    for (const char *at = select; at != NULL && *at != '\0';) {
        const char *end = strchr(at, ',');
        size_t length = end != NULL ? (size_t)(end - at) : strlen(at);
        if ((length == n + 1 && memcmp(at + 1, name, n) == 0) || (length == 4 && memcmp(at, "-all", 4) == 0)) {
            return true;
        }
        at = end != NULL ? end + 1 : NULL;
    }
    return false;
}

static lathe_status unknown_pass(const char *name, lathe_diag *diag)
{
    char advice[128] = "lathe-opt --list and docs/add-pass.md name the passes";
    for (size_t i = 0; lt_pass_table[i] != NULL; i++) {
        if (lt_edit_distance(name, lt_pass_table[i]->name) <= 3) {
            snprintf(advice, sizeof advice, "did you mean %s?", lt_pass_table[i]->name);
            break;
        }
    }
    return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, NULL, advice, "there is no pass %s", name);
}

/* Every entry must be "-NAME" of a known pass, or "-all". */
static lathe_status check_select(const char *select, lathe_diag *diag)
{
    for (const char *at = select; at != NULL && *at != '\0';) {
        const char *end = strchr(at, ',');
        size_t length = end != NULL ? (size_t)(end - at) : strlen(at);
        char name[64] = "";
        if (length < 2 || length > sizeof name || *at != '-') {
            return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, NULL, "write -NAME,-OTHER or -all", "'%.*s' does not leave out a pass", length < 64 ? (int)length : 64, at);
        }
        memcpy(name, at + 1, length - 1);
        if (!lt_streq(name, "all") && lt_pass_find(name) == NULL) {
            return unknown_pass(name, diag);
        }
        at = end != NULL ? end + 1 : NULL;
    }
    return LATHE_OK;
}

static lathe_status dump(const lt_graph *graph, const lt_pipeline_options *options, size_t number, const char *name, lathe_diag *diag)
{
    lt_buf text, path;
    lt_buf_init(&text, lt_graph_allocator(graph));
    lt_buf_init(&path, lt_graph_allocator(graph));
    lt_buf_printf(&path, "%s/%02zu-%s.lathe", options->dump_dir, number, name);
    lathe_status status = lt_graph_print(graph, &lt_text_canonical, &text, diag);
    if (status == LATHE_OK && (text.failed || path.failed)) {
        status = LT_OOM(diag);
    }
    if (status == LATHE_OK) {
        status = lt_file_write(lt_buf_str(&path), lt_buf_str(&text), text.length, diag);
    }
    lt_buf_free(&text);
    lt_buf_free(&path);
    return status;
}

static void log_pass(const lt_graph *graph, const lt_pipeline_options *options, const char *name, bool changed, int64_t ns)
{
    char line[160];
    if (options->log == NULL || options->debug < 2) {
        return;
    }
    snprintf(line, sizeof line, "passes: %s: %s, %zu nodes, %lld us", name, changed ? "changed" : "nothing to do", lt_graph_node_count(graph, LT_MAIN),
             (long long)(ns / 1000));
    options->log(options->log_user, LATHE_LOG_DEBUG, line);
}

static void log_part(const lt_graph *graph, const lt_pipeline_options *options, bool below, size_t nodes, unsigned changes, int64_t ns)
{
    char line[200];
    if (options->log == NULL || options->debug < 1) {
        return;
    }
    snprintf(line, sizeof line, "passes: %s the border: %zu nodes became %zu, %u passes changed something, %lld us", below ? "below" : "above", nodes,
             lt_graph_node_count(graph, LT_MAIN), changes, (long long)(ns / 1000));
    options->log(options->log_user, LATHE_LOG_DEBUG, line);
}

/* What the arena held when it was last known to be full of live things. */
typedef struct footprint {
    size_t used, things;
} footprint;

/* Nodes, and inputs of regions. */
static footprint measure(const lt_graph *graph)
{
    footprint f = { lt_graph_arena((lt_graph *)graph)->used, 1 };
    for (lt_region_id r = 0; r < lt_graph_regions(graph); r++) {
        const lt_region *region = lt_region_get(graph, r);
        f.things += region != NULL && region->live ? lt_graph_node_count(graph, r) + region->n_inputs : 0;
    }
    return f;
}

/*
 * Arena memory is only given back by copying what is live. What lives now should need as many bytes for each thing as it did then; when the arena
 * holds more than twice that, more than half of it is dead.
 */
static lathe_status compact(lt_graph **graph, footprint *base, lathe_diag *diag)
{
    enum { SMALL = 1 << 20 };
    lt_graph *copy;
    footprint now = measure(*graph);
    if (now.used < SMALL || (double)now.used / (double)now.things <= 2 * (double)base->used / (double)base->things) {
        return LATHE_OK;
    }
    LT_TRY(lt_graph_clone(*graph, lt_graph_allocator(*graph), &copy, diag));
    lt_graph_destroy(*graph);
    *graph = copy;
    *base = measure(copy);
    return LATHE_OK;
}

static lathe_status run_range(lt_graph **graph, const lt_pipeline_options *options, bool below, lathe_diag *diag)
{
    bool past = false;
    footprint base = measure(*graph);
    size_t nodes = lt_graph_node_count(*graph, LT_MAIN);
    unsigned changes = 0;
    int64_t begin = lt_now_ns();
    options = options != NULL ? options : &defaults;
    LT_TRY(check_select(options->select, diag));
    for (size_t i = 0; lt_pipeline[i] != NULL; i++) {
        const char *name = lt_pipeline[i];
        bool changed = false;
        if (lt_streq(name, LT_BORDER)) {
            past = true;
            continue;
        }
        if (past != below || left_out(options->select, name)) {
            continue;
        }
        const lt_pass *pass = lt_pass_find(name);
        if (pass == NULL) {
            return unknown_pass(name, diag);
        }
        int64_t start = lt_now_ns();
        LT_TRY(lt_pass_run(pass, *graph, options, &changed, diag));
        log_pass(*graph, options, name, changed, lt_now_ns() - start);
        changes += changed;
        if (changed && options->changed != NULL) {
            options->changed(options->changed_user, name);
        }
        if (changed && options->dump_dir != NULL) {
            LT_TRY(dump(*graph, options, i + 1, name, diag));
        }
        LT_TRY(compact(graph, &base, diag));
    }
    log_part(*graph, options, below, nodes, changes, lt_now_ns() - begin);
    return LATHE_OK;
}

lathe_status lt_pipeline_above(lt_graph **graph, const lt_pipeline_options *options, lathe_diag *diag)
{
    return run_range(graph, options, false, diag);
}

lathe_status lt_pipeline_below(lt_graph **graph, const lt_pipeline_options *options, lathe_diag *diag)
{
    return run_range(graph, options, true, diag);
}
