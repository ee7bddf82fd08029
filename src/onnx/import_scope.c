/*
 * import_scope.c - names and places of the importer: which value a name means here, what new values are called, what
 * cannot be handled.
 */
#include <string.h>

#include "onnx/onnx_internal.h"

static const uint64_t DEAD = UINT64_MAX;

static uint64_t pack(lt_named value)
{
    return value.dead ? DEAD : (uint64_t)value.value.index << 32 | value.value.generation;
}

static lt_named unpack(uint64_t packed)
{
    lt_named named = { .found = true, .dead = packed == DEAD };
    if (!named.dead) {
        named.value = (lt_value_id){ (uint32_t)(packed >> 32), (uint32_t)packed };
    }
    return named;
}

lathe_status lt_scope_open(lt_import *in, lt_scope *scope)
{
    lt_map_init(&scope->names, in->allocator);
    scope->import = in;
    in->depth++;
    if (in->depth > LT_MAX_DEPTH) {
        return LT_FAIL(in->diag, LATHE_BAD_MODEL, in->name, "a loop or a flat function says the same",
                       "subgraphs and functions are nested deeper than %d", LT_MAX_DEPTH);
    }
    return LATHE_OK;
}

void lt_scope_close(lt_scope *scope)
{
    lt_map_free(&scope->names);
    scope->import->depth--;
}

static int shown(lathe_bytes span)
{
    return (int)(span.length < 200 ? span.length : 200);
}

lathe_status lt_scope_bind(lt_import *in, lt_scope *scope, lathe_bytes name, lt_named value, const char *where)
{
    if (lt_map_get_bytes(&scope->names, name.data, name.length, NULL)) {
        return LT_FAIL(in->diag, LATHE_BAD_MODEL, where, "every value of a graph needs a name of its own",
                       "the name '%.*s' is given twice", shown(name), name.data);
    }
    return lt_map_put_bytes(&scope->names, name.data, name.length, pack(value)) ? LATHE_OK : LT_OOM(in->diag);
}

lt_named lt_scope_find(const lt_scope *scope, lathe_bytes name)
{
    uint64_t packed;
    for (; scope != NULL; scope = scope->outer) {
        if (lt_map_get_bytes(&scope->names, name.data, name.length, &packed)) {
            return unpack(packed);
        }
    }
    return (lt_named){ .found = false };
}

/* The node of this scope or one around it that gives the name; NULL: none. Only asked when the name was not found. */
static const lt_pb_node *find_giver(const lt_scope *scope, lathe_bytes name)
{
    for (; scope != NULL; scope = scope->outer) {
        for (size_t i = 0; i < scope->n_nodes; i++) {
            for (size_t k = 0; k < scope->nodes[i].output.count; k++) {
                if (lt_pb_same(scope->nodes[i].output.at[k], name)) {
                    return &scope->nodes[i];
                }
            }
        }
    }
    return NULL;
}

lathe_status lt_scope_input(lt_import *in, const lt_scope *scope, lathe_bytes name, const char *where, lt_named *out)
{
    *out = (lt_named){ .found = true };
    if (name.length == 0) {
        return LATHE_OK;
    }
    *out = lt_scope_find(scope, name);
    if (out->found) {
        return LATHE_OK;
    }
    const lt_pb_node *giver = find_giver(scope, name);
    if (giver != NULL) {
        return LT_FAIL(in->diag, LATHE_BAD_MODEL, where, "a subgraph sees what the graph around it made before",
                       "reads '%.*s', which is made later, by %s", shown(name), name.data,
                       lt_import_where(in, NULL, giver));
    }
    return LT_FAIL(in->diag, LATHE_BAD_MODEL, where,
                   "correct the name, or make it an input of the graph; a tool that cut nodes out left this one behind",
                   "reads '%.*s', which no input, initializer or node gives",
                   shown(name), name.data);
}

lathe_status lt_import_str(lt_import *in, lathe_bytes span, const char *where, const char **out)
{
    bool bad = false;
    *out = NULL;
    if (span.length > LT_IMPORT_MAX_NAME) {
        return LT_FAIL(in->diag, LATHE_BAD_MODEL, where, LT_EXPORT_ANEW,
                       "a name has %zu bytes: '%.*s...'", span.length,
                       shown(span), span.data);
    }
    *out = lt_pb_str(&in->arena, span, &bad);
    if (bad) {
        return LT_FAIL(in->diag, LATHE_BAD_MODEL, where, LT_EXPORT_ANEW,
                       "a name holds a NUL byte: '%.*s'", shown(span),
                       span.data);
    }
    return *out != NULL ? LATHE_OK : LT_OOM(in->diag);
}

lathe_status lt_import_take_name(lt_import *in, const char *name)
{
    return lt_map_put(&in->taken, name, 1) ? LATHE_OK : LT_OOM(in->diag);
}

lathe_status lt_import_value_name(lt_import *in, const lt_scope *scope, lathe_bytes name, const char **out)
{
    const char *plain;
    LT_TRY(lt_import_str(in, name, in->name, &plain));
    if (scope->prefix == NULL) { /* the model's graph: taken from the start */
        *out = plain;
        return LATHE_OK;
    }
    for (size_t i = 0; scope->outputs != NULL && i < scope->outputs->count; i++) {
        if (scope->output_names[i] != NULL && lt_pb_same(scope->outputs->at[i], name)) {
            *out = scope->output_names[i];
            return LATHE_OK;
        }
    }
    *out = plain;
    if (scope->function || lt_map_get(&in->taken, plain, NULL)) {
        *out = lt_arena_printf(&in->arena, "%s/%s", scope->prefix, plain);
        while (*out != NULL && lt_map_get(&in->taken, *out, NULL)) {
            *out = lt_arena_printf(&in->arena, "%s/%s.%llu", scope->prefix, plain, (unsigned long long)++in->suffix);
        }
    }
    return *out != NULL ? lt_import_take_name(in, *out) : LT_OOM(in->diag);
}

const char *lt_import_path(lt_import *in, const lt_scope *outer, const char *label, const char *what)
{
    const char *path = outer->path;
    size_t length = strlen(path);
    if (length > 512) { /* functions may multiply it */
        return strcmp(path + length - 3, "...") == 0 ? path : lt_arena_printf(&in->arena, "%s/...", path);
    }
    return lt_arena_printf(&in->arena, "%s%s%.120s/%.120s", path, length > 0 ? "/" : "", label, what);
}

lathe_bytes lt_import_label(const lt_pb_node *node)
{
    for (size_t i = 0; i < node->output.count && node->name.length == 0; i++) {
        if (node->output.at[i].length > 0) {
            return node->output.at[i];
        }
    }
    return (lathe_bytes){ node->name.length > 0 ? node->name.data : "", node->name.length };
}

const char *lt_import_where(lt_import *in, const lt_scope *scope, const lt_pb_node *node)
{
    const char *path = scope != NULL ? scope->path : "";
    lathe_bytes label = lt_import_label(node);
    const char *text = lt_arena_printf(&in->arena, "%s: %s%snode '%.*s' (%.*s)", in->name, path,
                                       path[0] != '\0' ? ": " : "", shown(label), label.data, shown(node->op_type),
                                       node->op_type.length > 0 ? node->op_type.data : "");
    return text != NULL ? text : in->name;
}

static const char *keep(lt_arena *arena, lathe_bytes span)
{
    return lt_arena_strn(arena, span.length > 0 ? span.data : "", span.length);
}

lathe_status lt_import_refuse(lt_import *in, const lt_scope *scope, const lt_pb_node *node, int64_t version,
                              const char *reason, const char *advice)
{
    lt_arena *arena = in->report_arena;
    void *items = in->unsupported;
    if (!lt_arena_grow(arena, &items, &in->cap_unsupported, in->n_unsupported + 1, sizeof(lt_unsupported))) {
        return LT_OOM(in->diag);
    }
    in->unsupported = items;
    lt_unsupported item = {
        .node = keep(arena, lt_import_label(node)),
        .op = keep(arena, node->op_type),
        .domain = keep(arena, node->domain),
        .path = lt_arena_str(arena, scope != NULL ? scope->path : ""),
        .version = version,
        .reason = lt_arena_str(arena, reason),
        .advice = lt_arena_str(arena, advice != NULL ? advice : ""),
    };
    if (item.node == NULL || item.op == NULL || item.domain == NULL || item.path == NULL || item.reason == NULL ||
        item.advice == NULL) {
        return LT_OOM(in->diag);
    }
    in->unsupported[in->n_unsupported++] = item;
    return LATHE_OK;
}

lathe_status lt_import_refused(lt_import *in, const lt_scope *scope, const lt_pb_node *node, int64_t version,
                               lathe_status status)
{
    if (status != LATHE_UNSUPPORTED) {
        return status;
    }
    lathe_diag_record record = { .struct_size = sizeof record };
    size_t count = lathe_diag_count(in->diag);
    bool told = count > 0 && lathe_diag_at(in->diag, count - 1, &record) == LATHE_OK;
    status = lt_import_refuse(in, scope, node, version, told ? record.text : "unsupported", told ? record.advice : NULL);
    if (status == LATHE_OK) {
        lathe_diag_clear(in->diag);
    }
    return status;
}

bool lt_import_is_onnx(lathe_bytes domain)
{
    return domain.length == 0 || lt_pb_is(domain, "ai.onnx");
}

int64_t lt_import_version(const lt_opsets *opsets, lathe_bytes domain)
{
    bool onnx = lt_import_is_onnx(domain);
    for (size_t i = 0; i < opsets->count; i++) {
        const lt_pb_opset *opset = &opsets->at[i];
        if (onnx ? lt_import_is_onnx(opset->domain) : lt_pb_same(opset->domain, domain)) {
            return opset->version;
        }
    }
    return 0;
}
