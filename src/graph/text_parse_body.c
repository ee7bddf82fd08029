/*
 * text_parse_body.c - graph-valued attributes of the text IR: graph (inputs) => (outputs) captures (...) { nodes }.
 * Part of graph.
 */
#include "graph/text_internal.h"

typedef struct capture_check {
    lt_reader *r;
    lt_region_id body;
    lt_map listed; /* name -> 1 once used */
    const char *missing;
} capture_check;

static void check_capture(capture_check *c, const lt_value *value)
{
    if (value == NULL || value->region == LT_INIT || lt_region_within(c->r->graph, value->region, c->body)) {
        return;
    }
    if (!lt_map_get(&c->listed, value->name, NULL)) {
        c->missing = value->name;
    } else {
        lt_map_put(&c->listed, value->name, 1); /* the key is there: this cannot fail */
    }
}

static lathe_status check_node_captures(void *user, lt_node *node)
{
    capture_check *c = user;
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        check_capture(c, lt_node_in(c->r->graph, node, i));
    }
    lt_region_id body;
    for (size_t i = 0; lt_node_region(node->attrs, node->n_attrs, i, &body); i++) {
        const lt_region *inner = lt_region_get(c->r->graph, body);
        for (uint32_t k = 0; k < inner->n_outputs; k++) {
            check_capture(c, lt_value_get(c->r->graph, inner->outputs[k]));
        }
    }
    return LATHE_OK;
}

/* A list that is given names exactly what the body reads from outside. */
static lathe_status check_captures(lt_reader *r, lt_region_id body, const lt_written_values *captures, const char *at)
{
    capture_check c = { .r = r, .body = body };
    lathe_status status = LATHE_OK;
    lt_map_init(&c.listed, r->allocator);
    for (size_t i = 0; i < captures->count && status == LATHE_OK; i++) {
        status = lt_map_put(&c.listed, captures->items[i].name, 0) ? LATHE_OK : LT_OOM(r->diag);
    }
    status = status == LATHE_OK ? lt_region_walk(r->graph, body, check_node_captures, &c) : status;
    const lt_region *region = lt_region_get(r->graph, body);
    for (uint32_t i = 0; i < region->n_outputs && status == LATHE_OK; i++) {
        check_capture(&c, lt_value_get(r->graph, region->outputs[i]));
    }
    if (status == LATHE_OK && c.missing != NULL) {
        status = LT_FAIL(r->diag, LATHE_BAD_MODEL, lt_text_place(r, at), "list it in captures(...)",
                         "the body reads '%s', which is not listed", c.missing);
    }
    for (size_t i = 0; i < captures->count && status == LATHE_OK; i++) {
        uint64_t used = 0;
        lt_map_get(&c.listed, captures->items[i].name, &used);
        if (!used) {
            status = LT_FAIL(r->diag, LATHE_BAD_MODEL, lt_text_place(r, captures->items[i].at), NULL,
                             "the body does not read '%s'", captures->items[i].name);
        }
    }
    lt_map_free(&c.listed);
    return status;
}

static lathe_status parse_body(lt_reader *r, lt_region_id region)
{
    lt_written_values inputs, outputs, captures = { 0 };
    lt_token token;
    bool listed, constants;
    LT_TRY(lt_parse_values(r, r->graph->dims, &inputs));
    LT_TRY(lt_lex(r, &token));
    if (token.kind != LT_TOK_ARROW) {
        return lt_unexpected(r, &token, "'=>'");
    }
    LT_TRY(lt_parse_values(r, r->written_dims, &outputs));
    const char *at = r->lexer.at;
    LT_TRY(lt_accept_word(r, "captures", &listed));
    if (listed) {
        LT_TRY(lt_parse_values(r, r->written_dims, &captures));
    }
    LT_TRY(lt_accept(r, '<', &constants));
    if (constants) {
        LT_TRY(lt_parse_initializers(r, '>'));
    }
    LT_TRY(lt_parse_inputs(r, region, &inputs));
    LT_TRY(lt_parse_nodes(r, region));
    LT_TRY(lt_parse_outputs(r, region, &outputs));
    return listed ? check_captures(r, region, &captures, at) : LATHE_OK;
}

lathe_status lt_parse_body(lt_reader *r, lt_region_id *out)
{
    if (r->depth >= LT_MAX_DEPTH - 1) {
        return LT_FAIL(r->diag, LATHE_UNSUPPORTED, lt_text_place(r, r->lexer.at), NULL,
                       "bodies are nested deeper than %d", LT_MAX_DEPTH);
    }
    LT_TRY(lt_graph_add_region(r->graph, out, r->diag));
    r->depth++;
    LT_TRY(parse_body(r, *out));
    r->depth--;
    return LATHE_OK;
}
