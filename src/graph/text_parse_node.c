/*
 * text_parse_node.c - the nodes of the text IR: labels, results, operators, inputs, marks. Part of graph.
 */
#include <string.h>

#include "graph/text_internal.h"

typedef struct written_node {
    const char *label, *at, *op_at;
    const lt_op *op;
    lt_written_values results;
    lathe_attr *attrs;
    size_t n_attrs;
    lt_written_values inputs;
    int64_t group;
    lathe_space device;
    lt_numbers origins;
    const char *folder;
} written_node;

static lathe_status parse_label(lt_reader *r, written_node *node)
{
    bool there;
    LT_TRY(lt_accept(r, '[', &there));
    if (there) {
        LT_TRY(lt_expect_name(r, "a node's name", &node->label));
        LT_TRY(lt_expect(r, ']'));
    }
    return LATHE_OK;
}

/* com.microsoft.QGemm: the domain is what stands before the last dot. */
static lathe_status parse_op(lt_reader *r, written_node *node)
{
    const char *name;
    lt_token token;
    LT_TRY(lt_peek(r, &token));
    node->op_at = token.start;
    LT_TRY(lt_expect_name(r, "an operator", &name));
    const char *dot = strrchr(name, '.');
    const char *domain = dot == NULL ? "" : lt_arena_strn(&r->arena, name, (size_t)(dot - name));
    if (domain == NULL) {
        return LT_OOM(r->diag);
    }
    const char *op = dot == NULL ? name : dot + 1;
    node->op = lt_op_find(domain, op);
    if (node->op == NULL) {
        const char *near = lt_op_suggest(domain, op);
        char advice[128] = "";
        if (near[0] != '\0') {
            snprintf(advice, sizeof advice, "did you mean '%s'?", near);
        }
        return LT_FAIL(r->diag, LATHE_BAD_MODEL, lt_text_place(r, node->op_at), advice, "there is no operator '%s'",
                       name);
    }
    return LATHE_OK;
}

static lathe_status parse_device(lt_reader *r, lathe_space *out)
{
    lt_token token;
    LT_TRY(lt_lex(r, &token));
    if (lt_tok_word(&token, "host")) {
        *out = LATHE_SPACE_HOST;
    } else if (lt_tok_word(&token, "twin")) {
        *out = LATHE_SPACE_TWIN;
    } else if (lt_tok_word(&token, "cuda")) {
        *out = LATHE_SPACE_CUDA;
    } else {
        return lt_unexpected(r, &token, "a device: host, twin or cuda");
    }
    return LATHE_OK;
}

static lathe_status parse_group(lt_reader *r, int64_t *out)
{
    lt_token token;
    LT_TRY(lt_expect(r, '@'));
    LT_TRY(lt_lex(r, &token));
    bool fine =
        token.kind == LT_TOK_NAME && token.text[0] == 'g' && lt_parse_i64(token.text + 1, token.length - 1, out);
    return fine && *out > 0 && *out <= UINT32_MAX ? LATHE_OK : lt_unexpected(r, &token, "a group such as g3");
}

static lathe_status parse_origins(lt_reader *r, lt_numbers *out)
{
    bool comma = true;
    lt_token token;
    LT_TRY(lt_lex(r, &token)); /* the # */
    while (comma) {
        uint64_t number;
        LT_TRY(lt_expect_u64(r, &number));
        uint32_t origin = number >= r->graph->n_origins ? UINT32_MAX : (uint32_t)number;
        if (origin == UINT32_MAX) {
            return LT_FAIL(r->diag, LATHE_BAD_MODEL, lt_text_place(r, token.start), NULL, "there is no origin %llu",
                           (unsigned long long)number);
        }
        if (!lt_numbers_add(&r->arena, out, &origin, 1)) {
            return LT_OOM(r->diag);
        }
        LT_TRY(lt_accept(r, ',', &comma));
    }
    return LATHE_OK;
}

/* @g3, on twin, #1,2, by pass: each at most once, in this order. */
static lathe_status parse_marks(lt_reader *r, written_node *node)
{
    lt_token first, second;
    LT_TRY(lt_peek2(r, &first, &second));
    if (lt_tok_is(&first, '@')) {
        LT_TRY(parse_group(r, &node->group));
        LT_TRY(lt_peek2(r, &first, &second));
    }
    if (lt_tok_word(&first, "on") && second.kind == LT_TOK_NAME) {
        LT_TRY(lt_lex(r, &first));
        LT_TRY(parse_device(r, &node->device));
        LT_TRY(lt_peek2(r, &first, &second));
    }
    if (first.kind == LT_TOK_ORIGIN) {
        LT_TRY(parse_origins(r, &node->origins));
        LT_TRY(lt_peek2(r, &first, &second));
    }
    if (lt_tok_word(&first, "by") && (second.kind == LT_TOK_NAME || second.kind == LT_TOK_STRING)) {
        LT_TRY(lt_lex(r, &first));
        LT_TRY(lt_expect_name(r, "a pass", &node->folder));
    }
    return LATHE_OK;
}

static lathe_status parse_results(lt_reader *r, lt_written_values *out)
{
    bool more = true;
    while (more) {
        lt_written_value value;
        LT_TRY(lt_parse_value(r, r->written_dims, &value));
        LT_TRY(lt_push_value(r, out, &value));
        LT_TRY(lt_accept(r, ',', &more));
    }
    return lt_expect(r, '=');
}

/* [label] results = Op <attributes> (inputs) marks; ONNX also allows the attributes behind the inputs. */
static lathe_status parse_node(lt_reader *r, written_node *node)
{
    lt_token token;
    *node = (written_node){ 0 };
    LT_TRY(lt_peek(r, &token));
    node->at = token.start;
    LT_TRY(parse_label(r, node));
    LT_TRY(parse_results(r, &node->results));
    LT_TRY(parse_op(r, node));
    LT_TRY(lt_peek(r, &token));
    bool before = lt_tok_is(&token, '<');
    if (before) {
        LT_TRY(lt_parse_attrs(r, node->op, &node->attrs, &node->n_attrs));
    }
    LT_TRY(lt_parse_values(r, r->written_dims, &node->inputs));
    LT_TRY(lt_peek(r, &token));
    if (!before && lt_tok_is(&token, '<')) {
        LT_TRY(lt_parse_attrs(r, node->op, &node->attrs, &node->n_attrs));
    }
    return parse_marks(r, node);
}

/* Handles and names as the specification of a node wants them. */
static lathe_status resolve(lt_reader *r, const written_node *node, lt_value_id **inputs, const char ***names)
{
    *inputs = LT_ARENA_ARRAY(&r->arena, lt_value_id, node->inputs.count);
    *names = LT_ARENA_ARRAY(&r->arena, const char *, node->results.count);
    if (*inputs == NULL || *names == NULL) {
        return LT_OOM(r->diag);
    }
    for (size_t i = 0; i < node->inputs.count; i++) {
        const lt_written_value *value = &node->inputs.items[i];
        if (value->name[0] != '\0') {
            LT_TRY(lt_find_value(r, value->name, value->at, &(*inputs)[i]));
        }
    }
    for (size_t i = 0; i < node->results.count; i++) {
        const lt_written_value *value = &node->results.items[i];
        (*names)[i] = value->name;
        if (value->name[0] == '\0') {
            continue;
        }
        LT_TRY(lt_check_new_name(r, value->name, value->at));
        for (size_t k = 0; k < i; k++) {
            if (strcmp((*names)[k], value->name) == 0) {
                return LT_FAIL(r->diag, LATHE_BAD_MODEL, lt_text_place(r, value->at), NULL, "the name '%s' is taken",
                               value->name);
            }
        }
    }
    return LATHE_OK;
}

static lathe_status add_node(lt_reader *r, lt_region_id region, const written_node *node)
{
    lt_value_id *inputs;
    const char **names;
    lt_node_id id;
    LT_TRY(resolve(r, node, &inputs, &names));
    lt_node_spec spec = {
        .descriptor = node->op,
        .label = node->label,
        .attrs = node->attrs,
        .n_attrs = node->n_attrs,
        .inputs = inputs,
        .n_inputs = node->inputs.count,
        .n_outputs = node->results.count,
        .output_names = names,
        .origins = node->origins.items,
        .n_origins = node->origins.count,
        .device = node->device,
    };
    r->graph->place = lt_text_place(r, node->at);
    LT_TRY(lt_graph_add_node(r->graph, region, &spec, &id, NULL, r->diag));
    lt_node *added = lt_node_get(r->graph, id);
    added->group = (uint32_t)node->group;
    if (node->folder != NULL && region == LT_INIT) {
        lt_node_slot_of(added)->folder = lt_arena_str(&r->graph->arena, node->folder);
        if (lt_node_slot_of(added)->folder == NULL) {
            return LT_OOM(r->diag);
        }
    }
    for (size_t i = 0; i < node->results.count; i++) {
        const lt_written_value *value = &node->results.items[i];
        if (value->typed && value->name[0] != '\0') {
            LT_TRY(lt_remember_type(r, added->outputs[i], &value->type, value->at));
        }
    }
    return LATHE_OK;
}

lathe_status lt_parse_node(lt_reader *r, lt_region_id region)
{
    written_node node;
    LT_TRY(parse_node(r, &node));
    return add_node(r, region, &node);
}

/* Nodes up to the closing brace; ONNX's optional commas and semicolons between them are not taken. */
lathe_status lt_parse_nodes(lt_reader *r, lt_region_id region)
{
    bool end;
    LT_TRY(lt_expect(r, '{'));
    LT_TRY(lt_accept(r, '}', &end));
    while (!end) {
        LT_TRY(lt_parse_node(r, region));
        LT_TRY(lt_accept(r, '}', &end));
    }
    return LATHE_OK;
}
