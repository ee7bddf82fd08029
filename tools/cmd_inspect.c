/*
 * cmd_inspect.c - lathe inspect: what is in a model or a data file. Plans are inspect_plan.c's, timing caches cmd_cache.c's.
 */
#include "data.h"
#include "inspect.h"
#include <stdlib.h>
#include <string.h>

/* ---- Models ---- */

typedef struct op_count {
    const lt_op *op;
    size_t count;
} op_count;

static int by_count(const void *a, const void *b)
{
    const op_count *x = a, *y = b;
    return x->count != y->count ? (x->count < y->count ? 1 : -1) : strcmp(x->op->name, y->op->name);
}

/* Nodes by operator over all regions but the init function. */
static size_t count_ops(tool *t, const lt_graph *graph, op_count **out)
{
    size_t n = 0, capacity = 0;
    *out = NULL;
    for (uint32_t r = 0; r < lt_graph_regions(graph); r++) {
        const lt_region *region = lt_region_get(graph, r);
        if (r == LT_INIT || !region || !region->live) {
            continue;
        }
        for (const lt_node *node = lt_region_first(graph, r); node; node = lt_node_next(graph, node)) {
            size_t k = 0;
            while (k < n && (*out)[k].op != node->op) {
                k++;
            }
            if (k == n) {
                if (!lt_arena_grow(&t->arena, (void **)out, &capacity, n + 1, sizeof **out)) {
                    return 0;
                }
                (*out)[n++] = (op_count){ .op = node->op };
            }
            (*out)[k].count++;
        }
    }
    if (n > 1) {
        qsort(*out, n, sizeof **out, by_count);
    }
    return n;
}

typedef struct model_facts {
    op_count *ops;
    size_t n_ops, nodes, initializers;
    int64_t parameters;
    uint64_t bytes;
} model_facts;

static void gather(tool *t, const lt_graph *graph, model_facts *f)
{
    const lt_region *init = lt_region_get(graph, LT_INIT);
    *f = (model_facts){ 0 };
    f->n_ops = count_ops(t, graph, &f->ops);
    for (size_t i = 0; i < f->n_ops; i++) {
        f->nodes += f->ops[i].count;
    }
    for (uint32_t i = 0; i < init->n_inputs; i++) {
        const lt_value *v = lt_value_get(graph, init->inputs[i]);
        if (v->blob) {
            f->initializers++;
            f->parameters += lt_tensor_count(lt_blob_tensor(v->blob));
            f->bytes += lt_blob_tensor(v->blob)->bytes;
        }
    }
}

static void put_values(lt_buf *out, const lt_graph *graph, const lt_value_id *ids, uint32_t n, const char *word)
{
    for (uint32_t i = 0; i < n; i++) {
        const lt_value *v = lt_value_get(graph, ids[i]);
        lt_buf_printf(out, "%s ", word);
        lt_buf_put_name(out, v->name);
        lt_buf_puts(out, ": ");
        lt_type_print(lt_graph_dims(graph), &v->type, out);
        lt_buf_puts(out, v->host_input ? " (used as a shape)\n" : "\n");
    }
}

static void json_values(lt_json *j, const lt_graph *graph, const lt_value_id *ids, uint32_t n, const char *key)
{
    lt_json_key(j, key);
    lt_json_begin_array(j);
    for (uint32_t i = 0; i < n; i++) {
        const lt_value *v = lt_value_get(graph, ids[i]);
        lt_buf type;
        lt_buf_init(&type, NULL);
        lt_type_print(lt_graph_dims(graph), &v->type, &type);
        lt_json_begin_object(j);
        lt_json_key(j, "name");
        lt_json_string(j, v->name);
        lt_json_key(j, "type");
        lt_json_string(j, lt_buf_str(&type));
        lt_json_end_object(j);
        lt_buf_free(&type);
    }
    lt_json_end_array(j);
}

void json_of_file(lt_json *j, const char *path, const char *kind)
{
    lt_json_key(j, "file");
    lt_json_string(j, path);
    lt_json_key(j, "kind");
    lt_json_string(j, kind);
}

static int json_model(tool *t, const char *path, const lt_graph *graph, const model_facts *f)
{
    const lt_region *main = lt_region_get(graph, LT_MAIN);
    lt_buf out;
    lt_json j;
    lt_buf_init(&out, NULL);
    lt_json_init(&j, &out, true);
    lt_json_begin_object(&j);
    json_of_file(&j, path, "model");
    lt_json_key(&j, "name");
    lt_json_string(&j, lt_graph_name(graph));
    json_values(&j, graph, main->inputs, main->n_inputs, "inputs");
    json_values(&j, graph, main->outputs, main->n_outputs, "outputs");
    const struct {
        const char *key;
        uint64_t n;
    } numbers[] = { { "nodes", f->nodes },
                    { "initializers", f->initializers },
                    { "parameters", (uint64_t)f->parameters },
                    { "initializer_bytes", f->bytes } };
    for (size_t i = 0; i < LT_COUNT(numbers); i++) {
        lt_json_key(&j, numbers[i].key);
        lt_json_u64(&j, numbers[i].n);
    }
    lt_json_key(&j, "operators");
    lt_json_begin_object(&j);
    for (size_t i = 0; i < f->n_ops; i++) {
        lt_json_key(&j, f->ops[i].op->name);
        lt_json_u64(&j, f->ops[i].count);
    }
    lt_json_end_object(&j);
    lt_json_end_object(&j);
    return tool_print_buf(t, &out);
}

static int text_of(tool *t, const lt_graph *graph)
{
    lt_buf out;
    lt_buf_init(&out, NULL);
    lathe_status status = lt_graph_print(graph, &lt_text_canonical, &out, t->diag);
    if (status != LATHE_OK) {
        lt_buf_free(&out);
        return tool_fail(t, status);
    }
    return tool_print_buf(t, &out);
}

static int inspect_model(tool *t, const char *path)
{
    lt_graph *graph = NULL;
    model_facts f;
    lathe_status status = lt_study_open(path, NULL, &graph, t->diag);
    if (status != LATHE_OK) {
        return tool_fail(t, status);
    }
    int code;
    gather(t, graph, &f);
    if (args_has(t->args, OPT_TEXT)) {
        code = text_of(t, graph);
    } else if (t->json) {
        code = json_model(t, path, graph, &f);
    } else {
        const lt_region *main = lt_region_get(graph, LT_MAIN);
        lt_buf out;
        lt_buf_init(&out, NULL);
        lt_buf_printf(&out, "%s: model %s, %zu nodes, %lld parameters in %zu initializers (%llu bytes)\n", path,
                      lt_graph_name(graph), f.nodes, (long long)f.parameters, f.initializers,
                      (unsigned long long)f.bytes);
        put_values(&out, graph, main->inputs, main->n_inputs, "input");
        put_values(&out, graph, main->outputs, main->n_outputs, "output");
        lt_buf_puts(&out, "operators:");
        for (size_t i = 0; i < f.n_ops; i++) {
            const lt_op *op = f.ops[i].op;
            bool own = op->domain && op->domain[0];
            lt_buf_printf(&out, "%s %zu %s%s%s", i ? "," : "", f.ops[i].count, own ? op->domain : "", own ? ":" : "",
                          op->name);
        }
        lt_buf_putc(&out, '\n');
        code = tool_print_buf(t, &out);
    }
    lt_graph_destroy(graph);
    return code;
}

/* ---- Data ---- */

static int inspect_data(tool *t, const char *path)
{
    data_set set;
    lathe_status status = data_read(path, NULL, &t->arena, &set, t->diag);
    if (status != LATHE_OK) {
        return tool_fail(t, status);
    }
    if (t->json) {
        lt_buf out;
        lt_json j;
        lt_buf_init(&out, NULL);
        lt_json_init(&j, &out, true);
        lt_json_begin_object(&j);
        json_of_file(&j, path, "data");
        lt_json_key(&j, "tensors");
        lt_json_begin_array(&j);
        for (size_t i = 0; i < set.count; i++) {
            json_tensor(&j, set.items[i].name, &set.items[i].tensor);
        }
        lt_json_end_array(&j);
        lt_json_end_object(&j);
        return tool_print_buf(t, &out);
    }
    printf("%s: %zu %s\n", path, set.count, set.count == 1 ? "tensor" : "tensors");
    for (size_t i = 0; i < set.count; i++) {
        const lathe_tensor *x = &set.items[i].tensor;
        char shape[200];
        tensor_stats s;
        tensor_measure(x, &s);
        printf("  %s%s%s %s", set.items[i].name, set.items[i].name[0] ? ": " : "", lathe_dtype_name(x->dtype),
               shape_text(x, shape, sizeof shape));
        printf(x->dtype == LATHE_DTYPE_STRING || s.count == 0 ? "\n" : ", min %.6g, mean %.6g, max %.6g\n", s.min,
               s.mean, s.max);
    }
    return EXIT_FINE;
}

int verb_inspect(tool *t)
{
    if (!tool_operands(t, 1, t->json ? 1 : SIZE_MAX)) {
        return EXIT_USAGE;
    }
    int worst = EXIT_FINE;
    for (size_t i = 0; i < t->args->n_operands; i++) {
        const char *path = t->args->operands[i];
        int code = path_is_plan(path)                               ? inspect_plan(t, path)
                   : path_is_cache(path)                            ? inspect_cache(t, path)
                   : data_name_known(path) || strstr(path, ".npz:") ? inspect_data(t, path)
                                                                    : inspect_model(t, path);
        worst = code > worst ? code : worst;
    }
    return worst;
}
