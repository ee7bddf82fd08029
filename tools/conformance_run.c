/*
 * conformance_run.c - one case: build, load, run on every data set, compare with what is expected.
 */
#include "conformance.h"
#include <string.h>

typedef struct runner {
    tool *t;
    const case_list *list;
    const test_case *c;
    lt_arena arena; /* values of one case */
    lt_study_form form;
    const char **names;       /* of the model's inputs, which the numbers of data files go by */
    size_t n_names;
    lathe_engine *engine;
    lathe_context *context;
    char *reason;
} runner;

static bool no(runner *r, const char *what, const char *why)
{
    snprintf(r->reason, REASON_MAX, "%s%s%s", what, what[0] && why[0] ? ": " : "", why);
    return false;
}

/* The first record of the diag as the reason. */
static bool failed(runner *r, const char *what, lathe_status status)
{
    lathe_diag_record record = { .struct_size = sizeof record };
    char why[REASON_MAX];
    snprintf(why, sizeof why, "%s", lathe_status_name(status));
    if (lathe_diag_at(r->t->diag, 0, &record) == LATHE_OK) {
        snprintf(why, sizeof why, "%s%s%s [%s]", record.where, record.where[0] ? ": " : "", record.text,
                 lathe_status_name(status));
    }
    lathe_diag_clear(r->t->diag);
    return no(r, what, why);
}

/* ---- Files ---- */

static void close_file(const runner *r, const char *path, lt_file *file)
{
    uint64_t index;
    if (lt_map_get(&r->list->by_path, path, &index) && !r->list->files[index].data) {
        lt_file_close(file);
    }
}

/* false with an empty reason: there is no such file. */
static bool read_pb(runner *r, const char *path, lathe_kind kind, lt_any *out)
{
    lt_file file;
    lathe_status status;
    lt_type type = { .cls = (lt_value_class)kind }; /* the bytes do not say */
    r->reason[0] = '\0';
    if (!case_file_open(r->list, path, &file, r->t->diag, &status)) {
        return status == LATHE_OK ? false : failed(r, "data", status);
    }
    status = lt_onnx_read_value(file.data, file.size, &type, &r->arena, out, path, r->t->diag);
    close_file(r, path, &file);
    if (status != LATHE_OK) {
        return failed(r, "data", status);
    }
    out->tensor.struct_size = sizeof out->tensor;
    return true;
}

/* ---- Building ---- */

static lathe_status read_names(runner *r, const lathe_network *network)
{
    r->n_names = lathe_network_inputs(network);
    r->names = lt_arena_zero(&r->arena, r->n_names + 1, sizeof *r->names, _Alignof(char *));
    for (size_t i = 0; r->names && i < r->n_names; i++) {
        lathe_io io = { .struct_size = sizeof io };
        LT_TRY(lathe_network_io(network, i, &io, r->t->diag));
        r->names[i] = lt_arena_str(&r->arena, io.name);
    }
    return r->names ? LATHE_OK : LT_OOM(r->t->diag);
}

static lt_any *read_input(runner *r, int number, size_t i, lathe_kind kind)
{
    const char *path = lt_arena_printf(&r->arena, "%s/test_data_set_%d/input_%zu.pb", r->c->folder, number, i);
    lt_any *input = LT_ARENA_NEW(&r->arena, lt_any);
    return path && input && read_pb(r, path, kind, input) ? input : NULL;
}

/* The model in the wanted form. Constants are those of data set 0; what cannot be read stays an input, and is missed when it is to be bound. */
static lathe_status change_form(runner *r, const lt_file *file, const char *folder, lathe_network **network)
{
    const lt_any **inputs = lt_arena_zero(&r->arena, r->n_names + 1, sizeof *inputs, _Alignof(lt_any *));
    lt_buf text;
    if (!inputs) {
        return LT_OOM(r->t->diag);
    }
    for (size_t i = 0; r->form == LT_STUDY_CONSTANT && i < r->n_names; i++) {
        lathe_io io = { .struct_size = sizeof io };
        LT_TRY(lathe_network_io(*network, i, &io, r->t->diag));
        inputs[i] = read_input(r, 0, i, io.kinds[0]);
    }
    lt_buf_init(&text, NULL);
    lathe_status status = lt_study_form_of(file->data, file->size, folder, r->form, inputs, r->n_names, &text, r->t->diag);
    lathe_network_destroy(*network);
    *network = NULL;
    status = status == LATHE_OK ? lathe_network_from_text(lt_buf_str(&text), text.length, NULL, network, r->t->diag) : status;
    lt_buf_free(&text);
    return status;
}

static lathe_status open_network(runner *r, lathe_network **network)
{
    lt_file file;
    lathe_status status;
    uint64_t index;
    if (!lt_map_get(&r->list->by_path, r->c->model, &index)) {
        return LT_FAIL(r->t->diag, LATHE_IO, r->c->model, NULL, "there is no such model");
    }
    if (!case_file_open(r->list, r->c->model, &file, r->t->diag, &status)) {
        return status;
    }
    const char *folder = r->list->files[index].data ? NULL : r->c->folder;
    status = lathe_network_from_onnx(file.data, file.size, folder, NULL, network, r->t->diag);
    status = status == LATHE_OK ? read_names(r, *network) : status;
    status = status == LATHE_OK && r->form != LT_STUDY_AS_IT_IS ? change_form(r, &file, folder, network) : status;
    close_file(r, r->c->model, &file);
    return status;
}

static lathe_status build_plan(runner *r, const lathe_build_options *options, lathe_plan **plan)
{
    lathe_network *network = NULL;
    lathe_status status = open_network(r, &network);
    status = status == LATHE_OK ? lathe_build(network, options, plan, r->t->diag) : status;
    lathe_network_destroy(network);
    return status;
}

static lathe_status load_plan(runner *r, const lathe_plan *plan, const char *plan_path)
{
    lathe_load_options load = { .struct_size = sizeof load };
    size_t size;
    const void *data = lathe_plan_data(plan, &size);
    if (!plan_path) {
        return lathe_engine_load_memory(r->t->runtime, data, size, &load, &r->engine, r->t->diag);
    }
    LT_TRY(lathe_plan_save(plan, plan_path, r->t->diag));
    return lathe_engine_load(r->t->runtime, plan_path, &load, &r->engine, r->t->diag);
}

/* ---- Running ---- */

static bool bind(runner *r, const lathe_io *io, const lt_any *value)
{
    lathe_status status = lathe_context_set_input_any(r->context, io->name, value, r->t->diag);
    return status == LATHE_OK ? true : failed(r, "input", status);
}

/* Item by item; trees from files are at most LT_MAX_DEPTH deep. */
static bool same_value(runner *r, const lathe_any *got, const lt_any *expected, char *why, size_t size)
{
    if (lathe_any_kind(got) != (lathe_kind)expected->cls || lathe_any_count(got) != expected->count) {
        snprintf(why, size, "another kind or number of items: %zu, expected %zu", lathe_any_count(got),
                 expected->count);
        return false;
    }
    if (expected->cls == LT_TENSOR) {
        lathe_tensor tensor = { .struct_size = sizeof tensor };
        (void)lathe_any_tensor(got, &tensor, NULL);
        return lt_study_allclose(&tensor, &expected->tensor, r->c->rtol, r->c->atol, why, size);
    }
    lt_any a = *got, b = *expected;
    if (expected->cls == LT_MAP && (lt_study_sorted(got, &r->arena, &a, NULL) != LATHE_OK ||
                                    lt_study_sorted(expected, &r->arena, &b, NULL) != LATHE_OK)) {
        snprintf(why, size, "no memory to sort a map");
        return false;
    }
    for (size_t i = 0; i < b.count; i++) {
        char inner[160];
        if (!same_value(r, &a.items[i], &b.items[i], inner, sizeof inner)) {
            snprintf(why, size, "item %zu: %.150s", i, inner);
            return false;
        }
    }
    return true;
}

static bool compare_output(runner *r, size_t index, const lt_any *expected)
{
    lathe_io io = { .struct_size = sizeof io };
    const lathe_any *got;
    char why[200];
    if (index >= lathe_engine_outputs(r->engine)) {
        return no(r, "the model has too few outputs", "");
    }
    (void)lathe_engine_io(r->engine, lathe_engine_inputs(r->engine) + index, &io, NULL);
    lathe_status status = lathe_context_output_any(r->context, io.name, &got, r->t->diag);
    if (status != LATHE_OK) {
        return failed(r, "output", status);
    }
    if (!same_value(r, got, expected, why, sizeof why)) {
        char what[120];
        snprintf(what, sizeof what, "output '%.80s'", io.name);
        return no(r, what, why);
    }
    return true;
}

static bool run_context(runner *r)
{
    lathe_status status = lathe_context_run(r->context, r->t->diag);
    return status == LATHE_OK ? true : failed(r, "run", status);
}

/* One test_data_set_N. */
static bool run_set(runner *r, int number)
{
    size_t n_inputs = lathe_engine_inputs(r->engine), n_outputs = lathe_engine_outputs(r->engine);
    lt_any value;
    for (size_t i = 0; i < r->n_names; i++) {
        lathe_io io = { .struct_size = sizeof io };
        if (lathe_engine_io_find(r->engine, r->names[i], &io, NULL) != LATHE_OK) {
            continue; /* a constant now */
        }
        const lt_any *input = read_input(r, number, i, io.kinds[0]);
        if (!input) {
            return r->reason[0] ? false : no(r, "data", "an input file is missing");
        }
        if (!bind(r, &io, input)) {
            return false;
        }
    }
    if (!run_context(r)) {
        return false;
    }
    for (size_t i = 0; i < n_outputs; i++) {
        const char *path = lt_arena_printf(&r->arena, "%s/test_data_set_%d/output_%zu.pb", r->c->folder, number, i);
        lathe_io io = { .struct_size = sizeof io };
        (void)lathe_engine_io(r->engine, n_inputs + i, &io, NULL);
        if (!path || !read_pb(r, path, io.kinds[0], &value)) {
            return r->reason[0] ? false : no(r, "data", "an output file is missing");
        }
        if (!compare_output(r, i, &value)) {
            return false;
        }
    }
    return true;
}

/* Stubs: the input is arange(n) / n. */
static bool run_stub(runner *r)
{
    lathe_io io = { .struct_size = sizeof io };
    lt_any input = { .cls = LT_TENSOR }, expected;
    if (lathe_engine_inputs(r->engine) != 1 || lathe_engine_io(r->engine, 0, &io, NULL) != LATHE_OK ||
        io.dtype != LATHE_DTYPE_F32) {
        return no(r, "the light model should have one f32 input", "");
    }
    for (int i = 0; i < io.rank; i++) {
        io.dims[i] = io.dims[i] < 0 ? 1 : io.dims[i];
    }
    lathe_status status = lt_tensor_alloc(&r->arena, &input.tensor, io.dtype, io.rank, io.dims, io.name, r->t->diag);
    if (status != LATHE_OK) {
        return failed(r, "input", status);
    }
    int64_t n = lt_tensor_count(&input.tensor);
    for (int64_t i = 0; i < n; i++) {
        lt_store_f64(LATHE_DTYPE_F32, input.tensor.data, i, (double)((float)i / (float)n));
    }
    if (!read_pb(r, r->c->expected, LATHE_KIND_TENSOR, &expected)) {
        return r->reason[0] ? false : no(r, "data", "the expected output is missing");
    }
    return bind(r, &io, &input) && run_context(r) && compare_output(r, 0, &expected);
}

static bool has_set(const runner *r, int number)
{
    char path[4096];
    static const char *const files[] = { "input_0.pb", "output_0.pb" };
    for (size_t i = 0; i < LT_COUNT(files); i++) {
        snprintf(path, sizeof path, "%s/test_data_set_%d/%s", r->c->folder, number, files[i]);
        if (lt_map_get(&r->list->by_path, path, NULL)) {
            return true;
        }
    }
    return false;
}

static bool run_case(runner *r, const lathe_build_options *options, const char *plan_path)
{
    lathe_plan *plan = NULL;
    lathe_status status = build_plan(r, options, &plan);
    bool passed = status == LATHE_OK ? true : failed(r, "build", status);
    if (passed && (status = load_plan(r, plan, plan_path)) != LATHE_OK) {
        passed = failed(r, "load", status);
    }
    if (passed && (status = lathe_context_create(r->engine, NULL, &r->context, r->t->diag)) != LATHE_OK) {
        passed = failed(r, "context", status);
    }
    if (passed && r->c->expected) {
        passed = run_stub(r);
    } else if (passed) {
        passed = has_set(r, 0) ? true : no(r, "there is no test data", "");
        for (int i = 0; passed && has_set(r, i) && (i == 0 || r->form != LT_STUDY_CONSTANT); i++) {
            passed = run_set(r, i);
        }
    }
    lathe_context_destroy(r->context);
    lathe_engine_destroy(r->engine);
    lathe_plan_destroy(plan);
    return passed;
}

void case_run(tool *t, const case_list *list, const test_case *c, const lathe_build_options *options,
              const char *plan_path, case_result *result)
{
    const char *form = args_text(t->args, OPT_FORM);
    runner r = { .t = t, .list = list, .c = c, .reason = result->reason };
    r.form = !form || c->expected ? LT_STUDY_AS_IT_IS : form[0] == 's' ? LT_STUDY_SYMBOLIC : LT_STUDY_CONSTANT;
    lt_arena_init(&r.arena, NULL);
    result->reason[0] = '\0';
    result->passed = run_case(&r, options, plan_path);
    result->done = true;
    lathe_diag_clear(t->diag);
    lt_arena_destroy(&r.arena);
}
