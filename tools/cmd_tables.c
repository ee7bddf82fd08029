/*
 * cmd_tables.c - lathe ops and lathe tactics: what this build knows.
 */
#include "operator_page.h"
#include <lathe/tactic.h>
#include <string.h>

/* ---- ops ---- */

static bool wanted(const tool *t, const lt_op *op)
{
    bool any = t->args->n_operands == 0;
    for (size_t i = 0; i < t->args->n_operands && !any; i++) {
        any = lt_glob(t->args->operands[i], op->name);
    }
    return any;
}

static const char *domain_of(const lt_op *op)
{
    return op->domain && op->domain[0] ? op->domain : "ai.onnx";
}

static void print_op(const lt_op *op, const lt_study_operator *kernels, bool detail)
{
    lt_buf opsets, types, families;
    lt_buf_init(&opsets, NULL);
    lt_buf_init(&types, NULL);
    lt_buf_init(&families, NULL);
    put_opsets(&opsets, op);
    put_types(&types, kernels->fast);
    put_families(&families, op, kernels);
    printf("%-28s %-14s %s\n", op->name, domain_of(op), op->sig);
    printf("    opsets %s; kernels for: %s\n", lt_buf_str(&opsets), kernels->fast ? lt_buf_str(&types) : "none, the reference");
    if (detail && families.length > 0) {
        printf("    by: %s\n", lt_buf_str(&families));
    }
    for (const lt_attr_spec *a = op->attrs; detail && a && a->name; a++) {
        printf("    %s: %s%s\n", a->name, lt_attr_kind_name(a->kind), a->required ? ", required" : "");
    }
    for (size_t i = 0; detail && op->samples && op->samples[i]; i++) {
        printf("    sample: %s\n", op->samples[i]);
    }
    lt_buf_free(&opsets);
    lt_buf_free(&types);
    lt_buf_free(&families);
}

static void json_types(lt_json *j, const char *key, uint64_t types)
{
    lt_json_key(j, key);
    lt_json_begin_array(j);
    for (int d = 0; d < LATHE_DTYPE_COUNT; d++) {
        if (types >> d & 1) {
            lt_json_string(j, lathe_dtype_name((lathe_dtype)d));
        }
    }
    lt_json_end_array(j);
}

static void json_opsets(lt_json *j, const lt_op *op)
{
    int versions[LT_ONNX_VERSIONS];
    size_t n = lt_onnx_versions(op->name, op->domain ? op->domain : "", op->since, versions);
    lt_json_key(j, "opsets");
    lt_json_begin_array(j);
    for (size_t i = 0; i < n; i++) {
        lt_json_i64(j, versions[i]);
    }
    lt_json_end_array(j);
}

static void json_attributes(lt_json *j, const lt_op *op)
{
    lt_json_key(j, "attributes");
    lt_json_begin_array(j);
    for (const lt_attr_spec *a = op->attrs; a && a->name; a++) {
        lt_json_begin_object(j);
        lt_json_key(j, "name");
        lt_json_string(j, a->name);
        lt_json_key(j, "kind");
        lt_json_string(j, lt_attr_kind_name(a->kind));
        lt_json_key(j, "required");
        lt_json_bool(j, a->required);
        lt_json_end_object(j);
    }
    lt_json_end_array(j);
}

static void json_op(lt_json *j, const lt_op *op, const lt_study_operator *kernels)
{
    lt_json_begin_object(j);
    const struct {
        const char *key;
        const char *text;
    } texts[] = { { "name", op->name }, { "domain", domain_of(op) }, { "signature", op->sig } };
    for (size_t i = 0; i < LT_COUNT(texts); i++) {
        lt_json_key(j, texts[i].key);
        lt_json_string(j, texts[i].text);
    }
    lt_json_key(j, "since");
    lt_json_i64(j, op->since);
    json_opsets(j, op);
    json_types(j, "kernels", kernels->fast);
    json_attributes(j, op);
    lt_json_end_object(j);
}

int verb_ops(tool *t)
{
    lt_buf out;
    lt_json j;
    size_t shown = 0;
    bool detail = t->args->n_operands > 0;
    if (args_has(t->args, OPT_MARKDOWN)) {
        return print_operator_page(t);
    }
    lt_buf_init(&out, NULL);
    lt_json_init(&j, &out, true);
    lt_json_begin_array(&j);
    for (size_t i = 0; lt_op_at(i); i++) {
        const lt_op *op = lt_op_at(i);
        if (!wanted(t, op)) {
            continue;
        }
        lt_study_operator kernels;
        lathe_status status = lt_study_operator_of(op, &t->arena, &kernels, t->diag);
        if (status != LATHE_OK) {
            lt_buf_free(&out);
            return tool_fail(t, status);
        }
        shown++;
        if (t->json) {
            json_op(&j, op, &kernels);
        } else {
            print_op(op, &kernels, detail);
        }
    }
    lt_json_end_array(&j);
    if (shown == 0) {
        lt_buf_free(&out);
        const char *near = lt_op_suggest("", t->args->operands[0]);
        fprintf(stderr, "lathe ops: there is no operator '%s'%s%s\n", t->args->operands[0],
                near[0] ? "; near names: " : "", near);
        return EXIT_NO;
    }
    if (t->json) {
        return tool_print_buf(t, &out);
    }
    lt_buf_free(&out);
    if (!detail) {
        printf("%zu operators\n", shown);
    }
    return EXIT_FINE;
}

/* ---- tactics ---- */

static const char *device_name(lathe_space space)
{
    return space == LATHE_SPACE_HOST ? "cpu" : space == LATHE_SPACE_TWIN ? "twin" : "cuda";
}

static const char *source_name(const lathe_tactic *x)
{
    return x->source ? x->source : "lathe";
}

/* Below the table: what is behind the names in its column of sources. */
static void print_sources(void)
{
    lathe_source s = { .struct_size = sizeof s };
    for (size_t i = 0; lathe_source_at(i, &s); i++) {
        printf("source %-8s %s; %s%s\n", s.name, s.summary, s.there ? "version " : "not here: ", s.there ? s.version : s.why);
    }
}

static void json_tactic(lt_json *j, const lathe_tactic *x)
{
    const struct {
        const char *key;
        const char *text;
    } texts[] = {
        { "name", x->name }, { "source", source_name(x) }, { "device", device_name(x->device) }, { "ops", x->ops }, { "summary", x->summary }
    };
    lt_json_begin_object(j);
    for (size_t i = 0; i < LT_COUNT(texts); i++) {
        lt_json_key(j, texts[i].key);
        lt_json_string(j, texts[i].text);
    }
    lt_json_key(j, "version");
    lt_json_u64(j, x->version);
    lt_json_key(j, "cpu_features");
    lt_json_begin_array(j);
    for (int f = 0; f < LT_CPU_FEATURES; f++) {
        if (x->cpu_features >> f & 1) {
            lt_json_string(j, lt_cpu_feature_name((lt_cpu_feature)f));
        }
    }
    lt_json_end_array(j);
    lt_json_end_object(j);
}

static int list_tactics(tool *t)
{
    lt_buf out;
    lt_json j;
    size_t n = 0;
    lt_buf_init(&out, NULL);
    lt_json_init(&j, &out, true);
    lt_json_begin_array(&j);
    for (; lathe_tactic_at(n); n++) {
        const lathe_tactic *x = lathe_tactic_at(n);
        if (t->json) {
            json_tactic(&j, x);
        } else {
            printf("%-34s v%-2u %-7s %-5s %-30s %s\n", x->name, x->version, source_name(x), device_name(x->device), x->ops, x->summary);
        }
    }
    lt_json_end_array(&j);
    if (t->json) {
        return tool_print_buf(t, &out);
    }
    lt_buf_free(&out);
    print_sources();
    printf("%zu tactics\n", n);
    return EXIT_FINE;
}

int verb_tactics(tool *t)
{
    const char *path = args_text(t->args, OPT_FOR);
    lathe_build_options options;
    lathe_network *network = NULL;
    lathe_plan *plan = NULL;
    if (!tool_operands(t, 0, 0)) {
        return EXIT_USAGE;
    }
    if (!path) {
        return list_tactics(t);
    }
    int code = build_options(t, &options);
    if (code != EXIT_FINE) {
        return code;
    }
    lathe_status status = network_open(t, path, &network, t->diag);
    status = status == LATHE_OK ? lathe_build(network, &options, &plan, t->diag) : status;
    tool_progress_clear(t);
    if (status != LATHE_OK) {
        code = tool_fail(t, status);
    } else if (t->json) {
        lt_buf out;
        lt_json j;
        lt_buf_init(&out, NULL);
        lt_json_init(&j, &out, true);
        lt_json_begin_object(&j);
        lt_json_key(&j, "model");
        lt_json_string(&j, path);
        lt_json_key(&j, "explanation");
        lt_json_string(&j, lathe_plan_explanation(plan));
        lt_json_end_object(&j);
        code = tool_print_buf(t, &out);
    } else {
        fputs(lathe_plan_explanation(plan), stdout);
    }
    lathe_plan_destroy(plan);
    lathe_network_destroy(network);
    return code;
}
