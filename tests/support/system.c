/*
 * system.c - see system.h. Empty where there is no cmocka.
 */
#if __has_include(<cmocka.h>)

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "onnx/onnx.h"
#include "support/system.h"

/* ---- Statuses ---- */

void sys_check(lathe_status status, lathe_diag *diag, const char *file, int line)
{
    if (status != LATHE_OK) {
        print_message("%s:%d: %s\n", file, line, lathe_status_name(status));
        lathe_diag_print(diag, stderr);
        fail();
    }
}

void sys_refused(lathe_status status, lathe_status want, const char *mention, const lathe_diag *diag, const char *file,
                 int line)
{
    bool found = mention == NULL;
    lathe_diag_record r = { .struct_size = sizeof r };
    for (size_t i = 0; lathe_diag_at(diag, i, &r) == LATHE_OK; i++) {
        found = found || strstr(r.text, mention) != NULL || strstr(r.where, mention) != NULL ||
                strstr(r.advice, mention) != NULL;
    }
    if (status != want || !found) {
        print_message("%s:%d: %s, expected %s with '%s'\n", file, line, lathe_status_name(status),
                      lathe_status_name(want), mention ? mention : "");
        lathe_diag_print(diag, stderr);
        fail();
    }
}

/* ---- Networks and plans ---- */

static const char *const nets[] = { "branch",  "convolution", "detection", "devices", "loop",   "narrow", "perceptron",
                                    "parts",   "picture",   "quantized", "recurrent", "sequences", "shapes",
                                    "spellings", "transposes", "unknown" };

const char *sys_net_name(size_t index)
{
    return index < LT_COUNT(nets) ? nets[index] : NULL;
}

char *sys_text(const char *path, size_t *length)
{
    lt_file file;
    if (lt_file_map(&file, path, NULL) != LATHE_OK) {
        return NULL;
    }
    char *text = malloc(file.size + 1);
    assert_non_null(text);
    memcpy(text, file.data, file.size);
    text[file.size] = '\0';
    *length = file.size;
    lt_file_close(&file);
    return text;
}

lathe_network *sys_network(const char *name)
{
    char path[1024];
    size_t length;
    lathe_network *network = NULL;
    snprintf(path, sizeof path, "%s/tests/data/nets/%s.lathe", LATHE_SOURCE_DIR, name);
    char *text = sys_text(path, &length);
    if (text != NULL) {
        SYS_MUST(lathe_network_from_text(text, length, NULL, &network, diag));
        free(text);
        return network;
    }
    snprintf(path, sizeof path, "%s/tests/fixtures/%s.onnx", LATHE_SOURCE_DIR, name);
    SYS_MUST(lathe_network_from_onnx_file(path, NULL, &network, diag));
    return network;
}

lathe_plan *sys_build(const lathe_network *network, const lathe_build_options *options)
{
    lathe_plan *plan = NULL;
    SYS_MUST(lathe_build(network, options, &plan, diag));
    return plan;
}

const char *sys_path(const char *tag, char *out, size_t size)
{
    snprintf(out, size, "%s/tests/%s.%ld", LATHE_BUILD_DIR, tag, (long)getpid());
    return out;
}

lathe_engine *sys_load(lathe_runtime *runtime, const lathe_plan *plan, const lathe_load_options *options)
{
    char path[1024];
    lathe_engine *engine = NULL;
    sys_path("system.plan", path, sizeof path);
    SYS_MUST(lathe_plan_save(plan, path, diag));
    SYS_MUST(lathe_engine_load(runtime, path, options, &engine, diag));
    unlink(path); /* a mapped file stays */
    return engine;
}

lathe_engine *sys_engine(const lathe_network *network, const lathe_build_options *options)
{
    lathe_plan *plan = sys_build(network, options);
    lathe_engine *engine = sys_load(NULL, plan, NULL);
    lathe_plan_destroy(plan);
    return engine;
}

/* ---- Inputs ---- */

typedef struct sizes {
    const lt_dims *dims;
    const char *text;
} sizes;

/* "N=3 H=5 *=2" */
static bool size_of(void *user, lt_dim leaf, int64_t *value)
{
    const sizes *s = user;
    lt_dim_node node = lt_dim_get(s->dims, leaf);
    for (const char *at = s->text; node.op == LT_DIM_SYMBOL && *at != '\0'; at += strcspn(at, " "), at += *at == ' ') {
        size_t length = strcspn(at, "=");
        if ((length == 1 && at[0] == '*') || (strlen(node.name) == length && memcmp(node.name, at, length) == 0)) {
            *value = strtoll(at + length + 1, NULL, 10);
            return true;
        }
    }
    return false;
}

void sys_inputs_make(sys_inputs *inputs, const lathe_network *network, const char *text, uint64_t seed)
{
    const lt_graph *graph = lt_network_graph(network);
    const lt_region *main = lt_region_get(graph, LT_MAIN);
    sizes s = { lt_graph_dims(graph), text };
    lt_arena_init(&inputs->arena, NULL);
    inputs->count = main->n_inputs;
    inputs->values = LT_ARENA_ARRAY(&inputs->arena, lt_any, (size_t)main->n_inputs + 1);
    inputs->list = LT_ARENA_ARRAY(&inputs->arena, const lt_any *, (size_t)main->n_inputs + 1);
    inputs->names = LT_ARENA_ARRAY(&inputs->arena, const char *, (size_t)main->n_inputs + 1);
    for (uint32_t i = 0; i < main->n_inputs; i++) {
        const lt_value *input = lt_value_get(graph, main->inputs[i]);
        int64_t dims[LATHE_MAX_RANK];
        for (int k = 0; k < input->type.rank; k++) {
            SYS_MUST(lt_dim_eval(s.dims, input->type.dims[k], size_of, &s, &dims[k], diag));
        }
        SYS_MUST(lt_tensor_alloc(&inputs->arena, &inputs->values[i].tensor, input->type.dtype, input->type.rank, dims,
                                 input->name, diag));
        SYS_MUST(lt_random_fill(&inputs->values[i].tensor, seed + i, diag));
        inputs->values[i].tensor.struct_size = sizeof(lathe_tensor);
        inputs->list[i] = &inputs->values[i];
        inputs->names[i] = lt_arena_str(&inputs->arena, input->name);
    }
}

void sys_inputs_free(sys_inputs *inputs)
{
    lt_arena_destroy(&inputs->arena);
}

/* ---- Runs ---- */

static void results_make(sys_results *results, uint32_t count)
{
    lt_arena_init(&results->arena, NULL);
    results->count = count;
    results->tensors = LT_ARENA_ARRAY(&results->arena, lathe_tensor, (size_t)count + 1);
    results->names = LT_ARENA_ARRAY(&results->arena, const char *, (size_t)count + 1);
}

static void results_set(sys_results *results, uint32_t index, const char *name, const lathe_tensor *tensor)
{
    lathe_tensor *to = &results->tensors[index];
    *to = *tensor;
    to->data = lt_arena_copy(&results->arena, tensor->data, tensor->bytes, 64);
    results->names[index] = lt_arena_str(&results->arena, name);
}

void sys_results_free(sys_results *results)
{
    lt_arena_destroy(&results->arena);
}

void sys_reference(sys_results *results, const lathe_network *network, const sys_inputs *inputs)
{
    const lt_graph *graph = lt_network_graph(network);
    const lt_region *main = lt_region_get(graph, LT_MAIN);
    lt_run *run = NULL;
    SYS_MUST(lt_graph_run(graph, inputs->list, inputs->count, NULL, &run, diag));
    results_make(results, main->n_outputs);
    for (uint32_t i = 0; i < main->n_outputs; i++) {
        results_set(results, i, lt_value_get(graph, main->outputs[i])->name, &lt_run_output(run, i)->tensor);
    }
    lt_run_destroy(run);
}

void sys_bind(lathe_context *context, const sys_inputs *inputs)
{
    for (uint32_t i = 0; i < inputs->count; i++) {
        SYS_MUST(lathe_context_set_input(context, inputs->names[i], &inputs->values[i].tensor, diag));
    }
}

void sys_outputs(sys_results *results, const lathe_engine *engine, lathe_context *context)
{
    size_t n = lathe_engine_outputs(engine);
    results_make(results, (uint32_t)n);
    for (size_t i = 0; i < n; i++) {
        lathe_io io = { .struct_size = sizeof io };
        lathe_tensor tensor = { .struct_size = sizeof tensor };
        SYS_MUST(lathe_engine_io(engine, lathe_engine_inputs(engine) + i, &io, diag));
        SYS_MUST(lathe_context_output(context, io.name, &tensor, diag));
        results_set(results, (uint32_t)i, io.name, &tensor);
    }
}

void sys_run(sys_results *results, const lathe_engine *engine, lathe_context *context, const sys_inputs *inputs)
{
    sys_bind(context, inputs);
    SYS_MUST(lathe_context_run(context, diag));
    sys_outputs(results, engine, context);
}

void sys_run_once(sys_results *results, const lathe_engine *engine, const sys_inputs *inputs)
{
    lathe_context *context = NULL;
    SYS_MUST(lathe_context_create(engine, NULL, &context, diag));
    sys_run(results, engine, context, inputs);
    lathe_context_destroy(context);
}

/* ---- Comparing ---- */

static bool is_float(lathe_dtype dtype)
{
    return dtype == LATHE_DTYPE_F32 || dtype == LATHE_DTYPE_F64 || dtype == LATHE_DTYPE_F16 ||
           dtype == LATHE_DTYPE_BF16;
}

static bool same_floats(const lathe_tensor *a, const lathe_tensor *b, double tolerance, char *why, size_t size)
{
    double largest = 0, worst = 0;
    for (int64_t i = 0; i < lt_tensor_count(b); i++) {
        double x = lt_load_f64(a->dtype, a->data, i), y = lt_load_f64(b->dtype, b->data, i);
        double magnitude = isfinite(y) ? fabs(y) : 0;
        double off = x == y || (isnan(x) && isnan(y)) ? 0 : isfinite(x) && isfinite(y) ? fabs(x - y) : (double)INFINITY;
        largest = magnitude > largest ? magnitude : largest;
        worst = off > worst ? off : worst;
    }
    snprintf(why, size, "off by %g, the largest is %g", worst, largest);
    return worst <= tolerance * largest;
}

static bool same_tensor(const lathe_tensor *a, const lathe_tensor *b, double tolerance, char *why, size_t size)
{
    char x[160], y[160];
    lt_tensor_describe(a, x, sizeof x);
    lt_tensor_describe(b, y, sizeof y);
    snprintf(why, size, "%.80s instead of %.80s", x, y);
    if (strcmp(x, y) != 0) {
        return false;
    }
    if (tolerance > 0 && is_float(a->dtype)) {
        return same_floats(a, b, tolerance, why, size);
    }
    snprintf(why, size, "elements differ");
    return lt_tensor_equal(a, b);
}

void sys_same(const sys_results *got, const sys_results *want, double tolerance, const char *what)
{
    char why[256];
    assert_int_equal(got->count, want->count);
    for (uint32_t i = 0; i < got->count; i++) {
        assert_string_equal(got->names[i], want->names[i]);
        if (!same_tensor(&got->tensors[i], &want->tensors[i], tolerance, why, sizeof why)) {
            print_message("%s: output '%s': %s\n", what, got->names[i], why);
            fail();
        }
    }
}

/* super_resolution clips numbers of hundreds to 0..1: any two orders of its sums differ by ten times what others do. */
double sys_tolerance(const char *network)
{
    double amplified = strstr(network, "super_resolution") != NULL ? 10 : 1;
    if (strstr(network, ".int8") != NULL || strcmp(network, "quantized") == 0) {
        return 0.02; /* one step */
    }
    return amplified * (strstr(network, ".fp16") != NULL ? 2e-3 : 2e-5);
}

#endif
