/*
 * cmd_run.c - lathe run: one run on given inputs; outputs go to files, or their numbers to the standard output.
 */
#include "data.h"
#include "tool.h"
#include <string.h>

/* What --output says about this output; NULL when nothing. */
static const char *target_of(const tool *t, const char *name, size_t n_outputs)
{
    size_t cursor = 0, length = strlen(name);
    const char *text, *found = NULL;
    while (args_next(t->args, OPT_OUTPUT, &cursor, &text)) {
        if (strncmp(text, name, length) == 0 && text[length] == '=') {
            found = text + length + 1;
        } else if (!strchr(text, '=') && (n_outputs == 1 || data_is_npz(text))) {
            found = text;
        }
    }
    return found;
}

static lathe_io output_at(const lathe_engine *engine, size_t i)
{
    lathe_io io = { .struct_size = sizeof io };
    (void)lathe_engine_io(engine, lathe_engine_inputs(engine) + i, &io, NULL);
    return io;
}

static int check_targets(tool *t, const lathe_engine *engine)
{
    size_t cursor = 0, n = lathe_engine_outputs(engine);
    const char *text;
    while (args_next(t->args, OPT_OUTPUT, &cursor, &text)) {
        const char *equals = strchr(text, '='), *path = equals ? equals + 1 : text;
        bool known = !equals && (n == 1 || data_is_npz(text));
        for (size_t i = 0; i < n && !known; i++) {
            const char *name = output_at(engine, i).name;
            known = strncmp(text, name, strlen(name)) == 0 && text[strlen(name)] == '=';
        }
        if (!known) {
            return tool_usage(t, "--output %s fits no output: lathe inspect lists them", text);
        }
        if (!data_name_known(path)) {
            return tool_usage(t, "--output %s: known endings are .npy .npz .pb .png", text);
        }
    }
    return EXIT_FINE;
}

/* One file each; outputs with the same .npz go there together. */
static lathe_status write_outputs(tool *t, const data_item *items, size_t count, lathe_diag *diag)
{
    data_item *group = LT_ARENA_ARRAY(&t->arena, data_item, count + 1);
    for (size_t i = 0; group && i < count; i++) {
        const char *path = target_of(t, items[i].name, count);
        size_t n = 0;
        bool done = !path;
        for (size_t k = 0; k < count && path; k++) {
            const char *other = target_of(t, items[k].name, count);
            if (other && strcmp(other, path) == 0 && (k == i || data_is_npz(path))) {
                done |= k < i;
                group[n++] = items[k];
            }
        }
        if (!done) {
            LT_TRY(data_write(path, group, n, diag));
        }
    }
    return group ? LATHE_OK : LT_OOM(diag);
}

static void print_tensor(const char *name, const lathe_tensor *tensor)
{
    char shape[200];
    tensor_stats s;
    tensor_measure(tensor, &s);
    printf("%s: %s %s checksum %016llx", name, lathe_dtype_name(tensor->dtype),
           shape_text(tensor, shape, sizeof shape), (unsigned long long)s.hash);
    if (tensor->dtype != LATHE_DTYPE_STRING && s.count > 0) {
        printf(" min %.6g mean %.6g max %.6g", s.min, s.mean, s.max);
    }
    printf(s.nans ? " nan %lld\n" : "\n", (long long)s.nans);
}

/* ---- Maps ---- */

/* The values are numbers or texts, one for each key. */
static bool plain_map(const lathe_any *any)
{
    return any->cls == LT_MAP && any->count == 2 && any->items[1].tensor.rank == 1 &&
           any->items[1].tensor.dims[0] == any->items[0].tensor.dims[0];
}

/* An element as it would stand in a JSON text; complex numbers are no elements of maps. */
static void put_element(lt_json *j, const lathe_tensor *t, int64_t i)
{
    const lt_dtype_info *info = lt_dtype_get(t->dtype);
    if (t->dtype == LATHE_DTYPE_STRING) {
        char text[400];
        const lt_string *s = (const lt_string *)t->data + i;
        snprintf(text, sizeof text, "%.*s", (int)(s->length < 390 ? s->length : 390), s->length ? s->data : "");
        lt_json_string(j, text);
    } else if (t->dtype == LATHE_DTYPE_F32) {
        lt_json_f32(j, ((const float *)t->data)[i]);
    } else if (info->kind == LT_KIND_FLOAT) {
        lt_json_f64(j, lt_load_f64(t->dtype, t->data, i));
    } else if (info->kind == LT_KIND_BOOL) {
        lt_json_bool(j, lt_load_i64(t->dtype, t->data, i) != 0);
    } else {
        lt_json_i64(j, lt_load_i64(t->dtype, t->data, i));
    }
}

/* "y: map of 2: {"no": 0.25, "yes": 0.75}"; of a large map the first entries. */
static void print_map(const char *name, const lathe_any *any)
{
    enum { SHOWN = 16 };
    const lathe_tensor *keys = &any->items[0].tensor, *values = &any->items[1].tensor;
    printf("%s: map of %lld: {", name, (long long)keys->dims[0]);
    for (int64_t i = 0; i < keys->dims[0] && i < SHOWN; i++) {
        lt_buf text;
        lt_json j;
        lt_buf_init(&text, NULL);
        lt_json_init(&j, &text, false);
        put_element(&j, keys, i);
        lt_buf_puts(&text, ": ");
        lt_json_init(&j, &text, false);
        put_element(&j, values, i);
        printf("%s%s", i ? ", " : "", lt_buf_str(&text));
        lt_buf_free(&text);
    }
    printf(keys->dims[0] > SHOWN ? ", ...}\n" : "}\n");
}

/* Pairs, so that keys keep their type and their order. */
static void json_map(lt_json *j, const lathe_any *any)
{
    lt_json_key(j, "entries");
    lt_json_begin_array(j);
    for (int64_t i = 0; i < any->items[0].tensor.dims[0]; i++) {
        lt_json_begin_array(j);
        put_element(j, &any->items[0].tensor, i);
        put_element(j, &any->items[1].tensor, i);
        lt_json_end_array(j);
    }
    lt_json_end_array(j);
}

static const char *const kind_words[] = { "tensor", "sequence", "optional", "map" };

/* "y: sequence of 2", then y[0] and y[1]. Trees are at most LATHE_MAX_NESTING deep. */
static void print_any(const char *name, const lathe_any *any)
{
    if (any->cls == LT_TENSOR) {
        print_tensor(name, &any->tensor);
        return;
    }
    if (plain_map(any)) {
        print_map(name, any);
        return;
    }
    if (any->cls == LT_OPTIONAL) {
        printf("%s: optional %s a value\n", name, any->count > 0 ? "with" : "without");
    } else {
        printf("%s: %s of %zu\n", name, kind_words[any->cls], any->count);
    }
    for (size_t i = 0; i < any->count; i++) {
        char inner[300];
        snprintf(inner, sizeof inner, "%.250s[%zu]", name, i);
        print_any(inner, &any->items[i]);
    }
}

static void print_text(const data_item *items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (items[i].any) {
            print_any(items[i].name, items[i].any);
        } else {
            print_tensor(items[i].name, &items[i].tensor);
        }
    }
}

static void json_any(lt_json *j, const char *name, const lathe_any *any)
{
    if (any->cls == LT_TENSOR) {
        json_tensor(j, name, &any->tensor);
        return;
    }
    lt_json_begin_object(j);
    lt_json_key(j, "name");
    lt_json_string(j, name);
    lt_json_key(j, "kind");
    lt_json_string(j, kind_words[any->cls]);
    if (plain_map(any)) {
        json_map(j, any);
        lt_json_end_object(j);
        return;
    }
    lt_json_key(j, "items");
    lt_json_begin_array(j);
    for (size_t i = 0; i < any->count; i++) {
        char inner[300];
        snprintf(inner, sizeof inner, "%.250s[%zu]", name, i);
        json_any(j, inner, &any->items[i]);
    }
    lt_json_end_array(j);
    lt_json_end_object(j);
}

static int print_json(tool *t, const opened *o, const data_item *items, size_t count, double run_ms)
{
    lt_buf out;
    lt_json j;
    lt_buf_init(&out, NULL);
    lt_json_init(&j, &out, true);
    lt_json_begin_object(&j);
    lt_json_key(&j, "build_ms");
    lt_json_f64(&j, o->build_ms);
    lt_json_key(&j, "load_ms");
    lt_json_f64(&j, o->load_ms);
    lt_json_key(&j, "run_ms");
    lt_json_f64(&j, run_ms);
    lt_json_key(&j, "outputs");
    lt_json_begin_array(&j);
    for (size_t i = 0; i < count; i++) {
        if (items[i].any) {
            json_any(&j, items[i].name, items[i].any);
        } else {
            json_tensor(&j, items[i].name, &items[i].tensor);
        }
    }
    lt_json_end_array(&j);
    lt_json_end_object(&j);
    return tool_print_buf(t, &out);
}

static lathe_status collect(tool *t, const lathe_engine *engine, lathe_context *context, data_set *out,
                            lathe_diag *diag)
{
    for (size_t i = 0; i < lathe_engine_outputs(engine); i++) {
        lathe_io io = output_at(engine, i);
        const lathe_any *any;
        LT_TRY(lathe_context_output_any(context, io.name, &any, diag));
        LT_TRY(data_add_any(out, &t->arena, io.name, any, diag));
    }
    return LATHE_OK;
}

static int run_once(tool *t, const opened *o)
{
    feed *feeds;
    input_list inputs;
    int64_t threads;
    lathe_status status = inputs_of_engine(t, o->engine, &inputs);
    if (status != LATHE_OK) {
        return tool_fail(t, status);
    }
    int code = check_targets(t, o->engine);
    code = code == EXIT_FINE ? feeds_make(t, &inputs, false, &feeds) : code;
    if (code != EXIT_FINE) {
        return code;
    }
    if (!args_int(t->args, OPT_THREADS, 0, 1024, 0, &threads)) {
        return EXIT_USAGE;
    }
    lathe_context *context = NULL;
    lathe_context_options options = { .struct_size = sizeof options, .threads = (int)threads, .seed = t->seed };
    data_set outputs = { 0 };
    status = lathe_context_create(o->engine, &options, &context, t->diag);
    status = status == LATHE_OK ? feeds_bind(feeds, inputs.count, context, t->diag) : status;
    double start = now_ms();
    status = status == LATHE_OK ? lathe_context_run(context, t->diag) : status;
    double run_ms = now_ms() - start;
    status = status == LATHE_OK ? collect(t, o->engine, context, &outputs, t->diag) : status;
    status = status == LATHE_OK ? write_outputs(t, outputs.items, outputs.count, t->diag) : status;
    if (status != LATHE_OK) {
        code = tool_fail(t, status);
    } else if (t->json) {
        code = print_json(t, o, outputs.items, outputs.count, run_ms);
    } else if (!args_has(t->args, OPT_OUTPUT)) {
        print_text(outputs.items, outputs.count);
    }
    lathe_context_destroy(context);
    return code;
}

int verb_run(tool *t)
{
    lathe_build_options options;
    opened o;
    if (!tool_operands(t, 1, 1)) {
        return EXIT_USAGE;
    }
    int code = build_options(t, &options);
    if (code != EXIT_FINE) {
        return code;
    }
    lathe_status status = engine_open(t, t->args->operands[0], &options, &o, t->diag);
    code = status == LATHE_OK ? run_once(t, &o) : tool_fail(t, status);
    engine_close(&o);
    return code;
}
