/*
 * cmd_compare.c - lathe compare A B: the same inputs through two sources of outputs. B is what A is measured against. Where both can show their values on
 * the way, the first one that differs is named.
 */
#include "data.h"
#include "tool.h"
#include <string.h>

typedef enum source_kind { SOURCE_ENGINE, SOURCE_REFERENCE, SOURCE_SAVED } source_kind;

typedef struct source {
    const char *text, *path;
    source_kind kind;
    opened o;
    lathe_context *context;
    lt_graph *graph;        /* of ref: */
    lathe_network *network; /* of ref:, for its list of inputs */
    lt_named_set outputs, values;
} source;

typedef struct comparison {
    tool *t;
    source a, b;
    double rtol, atol;
    feed *feeds;
    size_t n_feeds;
    size_t walked;   /* values that both showed */
    char first[256]; /* the first that differs; "" none */
    lt_difference first_difference;
} comparison;

/* ---- Opening ---- */

static lathe_status open_saved(tool *t, source *s)
{
    data_set set;
    LT_TRY(data_read(s->path, NULL, &t->arena, &set, t->diag));
    for (size_t i = 0; i < set.count; i++) {
        LT_TRY(lt_study_add(&s->outputs, &t->arena, set.items[i].name, &set.items[i].tensor, t->diag));
    }
    return LATHE_OK;
}

static lathe_status open_source(tool *t, const lathe_build_options *options, const char *text, source *s)
{
    s->text = s->path = text;
    if (strncmp(text, "ref:", 4) == 0) {
        s->kind = SOURCE_REFERENCE;
        s->path = text + 4;
        LT_TRY(lt_study_open(s->path, NULL, &s->graph, t->diag));
        return network_open(t, s->path, &s->network, t->diag);
    }
    if (strncmp(text, "ort:", 4) == 0) {
        return LT_FAIL(t->diag, LATHE_UNSUPPORTED, text, "save its outputs as .npz and compare with that file",
                       "this build does not run ONNX Runtime");
    }
    if (data_name_known(text) && !path_is_plan(text)) {
        s->kind = SOURCE_SAVED;
        return open_saved(t, s);
    }
    s->kind = SOURCE_ENGINE;
    LT_TRY(engine_open(t, s->path, options, &s->o, t->diag));
    lathe_context_options how = { .struct_size = sizeof how, .seed = t->seed };
    return lathe_context_create(s->o.engine, &how, &s->context, t->diag);
}

static void close_source(source *s)
{
    lathe_context_destroy(s->context);
    engine_close(&s->o);
    lt_graph_destroy(s->graph);
    lathe_network_destroy(s->network);
}

static int make_feeds(comparison *c)
{
    tool *t = c->t;
    const source *s = c->b.kind == SOURCE_ENGINE      ? &c->b
                      : c->a.kind == SOURCE_ENGINE    ? &c->a
                      : c->b.kind == SOURCE_REFERENCE ? &c->b
                                                      : &c->a;
    input_list inputs = { 0 };
    if (s->kind == SOURCE_SAVED) {
        return EXIT_FINE;
    }
    lathe_status status = s->kind == SOURCE_ENGINE ? inputs_of_engine(t, s->o.engine, &inputs)
                                                   : inputs_of_network(t, s->network, &inputs);
    if (status != LATHE_OK) {
        return tool_fail(t, status);
    }
    c->n_feeds = inputs.count;
    return feeds_make(t, &inputs, true, &c->feeds);
}

/* ---- Running ---- */

static lathe_status keep(void *user, const char *name, const lt_tensor *tensor, lathe_diag *diag)
{
    comparison *c = user;
    return lt_study_find(&c->b.values, name) ? LATHE_OK : lt_study_add(&c->b.values, &c->t->arena, name, tensor, diag);
}

/* A's value at hand against B's of that name. */
static lathe_status check(void *user, const char *name, const lt_tensor *tensor, lathe_diag *diag)
{
    comparison *c = user;
    const lt_named *other = lt_study_find(&c->b.values, name);
    lt_difference d;
    (void)diag;
    if (!other || c->first[0]) {
        return LATHE_OK;
    }
    lt_study_measure(tensor, &other->tensor, &d);
    c->walked++;
    if (!lt_study_within(&d, c->rtol, c->atol)) {
        snprintf(c->first, sizeof c->first, "%s", name);
        c->first_difference = d;
    }
    return LATHE_OK;
}

static lathe_status run_engine(comparison *c, source *s, lathe_visit_fn visit)
{
    tool *t = c->t;
    LT_TRY(feeds_bind(c->feeds, c->n_feeds, s->context, t->diag));
    LT_TRY(lathe_context_run_visit(s->context, visit, c, t->diag));
    size_t inputs = lathe_engine_inputs(s->o.engine);
    for (size_t i = 0; i < lathe_engine_outputs(s->o.engine); i++) {
        lathe_io io = { .struct_size = sizeof io };
        const lathe_any *any;
        LT_TRY(lathe_engine_io(s->o.engine, inputs + i, &io, t->diag));
        LT_TRY(lathe_context_output_any(s->context, io.name, &any, t->diag));
        LT_TRY(lt_study_add_any(&s->outputs, &t->arena, io.name, any, t->diag));
    }
    return LATHE_OK;
}

static lathe_status run_source(comparison *c, source *s, lt_study_visit visit)
{
    tool *t = c->t;
    if (s->kind == SOURCE_SAVED) {
        return LATHE_OK;
    }
    if (s->kind == SOURCE_ENGINE) {
        return run_engine(c, s, visit);
    }
    lt_named *inputs = LT_ARENA_ARRAY(&t->arena, lt_named, c->n_feeds + 1);
    for (size_t i = 0; inputs && i < c->n_feeds; i++) {
        inputs[i] = (lt_named){ c->feeds[i].name, c->feeds[i].tensor, c->feeds[i].any };
    }
    return inputs ? lt_study_reference(s->graph, inputs, c->n_feeds, t->seed, visit, c, &t->arena, &s->outputs, t->diag)
                  : LT_OOM(t->diag);
}

/* ---- Reporting ---- */

static void print_difference(const char *name, const lt_difference *d, const char *verdict)
{
    if (!d->comparable) {
        printf("%s: %s: %s\n", name, verdict, d->why);
        return;
    }
    printf("%s: %s: mean_rel %.3g, max_rel %.3g, max_abs %.3g", name, verdict, d->mean_rel, d->max_rel, d->max_abs);
    if (d->worst >= 0) {
        printf(" at [%lld] (%.7g, %.7g)", (long long)d->worst, d->worst_a, d->worst_b);
    }
    printf(d->nans_apart ? ", %lld NaNs in one only\n" : "\n", (long long)d->nans_apart);
}

static void json_difference(lt_json *j, const char *name, const lt_difference *d, bool fine)
{
    lt_json_begin_object(j);
    lt_json_key(j, "name");
    lt_json_string(j, name);
    lt_json_key(j, "within");
    lt_json_bool(j, fine);
    if (!d->comparable) {
        lt_json_key(j, "reason");
        lt_json_string(j, d->why);
    } else {
        const struct {
            const char *key;
            double value;
        } numbers[] = { { "mean_rel", d->mean_rel },
                        { "max_rel", d->max_rel },
                        { "mean_abs", d->mean_abs },
                        { "max_abs", d->max_abs } };
        for (size_t i = 0; i < LT_COUNT(numbers); i++) {
            lt_json_key(j, numbers[i].key);
            lt_json_f64(j, numbers[i].value);
        }
        lt_json_key(j, "nans_apart");
        lt_json_i64(j, d->nans_apart);
    }
    lt_json_end_object(j);
}

/* The output of B that belongs to output i of A: by name, or by place when the counts agree. */
static const lt_named *partner(const comparison *c, size_t i)
{
    const lt_named *found = lt_study_find(&c->b.outputs, c->a.outputs.items[i].name);
    return found ? found : c->a.outputs.count == c->b.outputs.count ? &c->b.outputs.items[i] : NULL;
}

static int report(comparison *c)
{
    lt_buf out;
    lt_json j;
    size_t wrong = 0;
    lt_buf_init(&out, NULL);
    lt_json_init(&j, &out, true);
    lt_json_begin_object(&j);
    lt_json_key(&j, "outputs");
    lt_json_begin_array(&j);
    for (size_t i = 0; i < c->a.outputs.count; i++) {
        const lt_named *a = &c->a.outputs.items[i], *b = partner(c, i);
        lt_difference d = { .why = "there is no such output on the other side" };
        if (b) {
            lt_study_measure(&a->tensor, &b->tensor, &d);
        }
        bool fine = lt_study_within(&d, c->rtol, c->atol);
        wrong += !fine;
        json_difference(&j, a->name, &d, fine);
        if (!c->t->json) {
            print_difference(a->name, &d, fine ? (d.equal ? "equal" : "within tolerance") : "DIFFERS");
        }
    }
    lt_json_end_array(&j);
    wrong += c->a.outputs.count == 0 && c->b.outputs.count > 0;
    lt_json_key(&j, "values_compared");
    lt_json_u64(&j, c->walked);
    if (c->first[0]) {
        lt_json_key(&j, "first_difference");
        json_difference(&j, c->first, &c->first_difference, false);
    }
    lt_json_key(&j, "within");
    lt_json_bool(&j, wrong == 0);
    lt_json_end_object(&j);
    if (c->t->json) {
        tool_print_buf(c->t, &out);
        return wrong ? EXIT_NO : EXIT_FINE;
    }
    lt_buf_free(&out);
    if (c->first[0]) {
        print_difference(c->first, &c->first_difference, "first value that differs on the way");
    } else if (c->walked) {
        printf("%zu values on the way agree\n", c->walked);
    }
    return wrong ? EXIT_NO : EXIT_FINE;
}

int verb_compare(tool *t)
{
    lathe_build_options options;
    comparison c = { .t = t };
    if (!tool_operands(t, 2, 2) || !args_real(t->args, OPT_RTOL, 0, 1e-4, &c.rtol) ||
        !args_real(t->args, OPT_ATOL, 0, 1e-6, &c.atol)) {
        return EXIT_USAGE;
    }
    int code = build_options(t, &options);
    if (code != EXIT_FINE) {
        return code;
    }
    lathe_status status = open_source(t, &options, t->args->operands[0], &c.a);
    status = status == LATHE_OK ? open_source(t, &options, t->args->operands[1], &c.b) : status;
    code = status == LATHE_OK ? make_feeds(&c) : tool_fail(t, status);
    if (code == EXIT_FINE) {
        status = run_source(&c, &c.b, keep);
        status = status == LATHE_OK ? run_source(&c, &c.a, check) : status;
        code = status == LATHE_OK ? report(&c) : tool_fail(t, status);
    }
    close_source(&c.a);
    close_source(&c.b);
    return code;
}
