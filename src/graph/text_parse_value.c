/*
 * text_parse_value.c - the reader's lists of values: parameters, results, constants of the text IR. Part of graph.
 */
#include <string.h>

#include "graph/text_internal.h"

lathe_status lt_parse_value(lt_reader *r, lt_dims *dims, lt_written_value *out)
{
    lt_token first, second;
    *out = (lt_written_value){ 0 };
    LT_TRY(lt_peek2(r, &first, &second));
    out->at = first.start;
    if (lt_tok_is(&first, ',') || lt_tok_is(&first, ')')) { /* absent, as "" */
        out->name = "";
        return LATHE_OK;
    }
    if (lt_tok_word(&first, "host") && (second.kind == LT_TOK_NAME || lt_tok_is(&second, '?'))) {
        LT_TRY(lt_lex(r, &first));
        out->host = true;
        LT_TRY(lt_peek2(r, &first, &second));
    }
    out->typed = lt_is_type_start(&first, &second);
    if (out->typed) {
        LT_TRY(lt_parse_type(r, dims, &out->type));
    }
    return lt_expect_name(r, "the name of a value", &out->name);
}

lathe_status lt_push_value(lt_reader *r, lt_written_values *list, const lt_written_value *value)
{
    void *items = list->items;
    if (!lt_arena_grow(&r->arena, &items, &list->capacity, list->count + 1, sizeof(lt_written_value))) {
        return LT_OOM(r->diag);
    }
    list->items = items;
    list->items[list->count++] = *value;
    return LATHE_OK;
}

/* ( value, ... ) */
lathe_status lt_parse_values(lt_reader *r, lt_dims *dims, lt_written_values *out)
{
    bool more;
    *out = (lt_written_values){ 0 };
    LT_TRY(lt_expect(r, '('));
    LT_TRY(lt_accept(r, ')', &more));
    for (more = !more; more;) {
        lt_written_value value;
        LT_TRY(lt_parse_value(r, dims, &value));
        LT_TRY(lt_push_value(r, out, &value));
        LT_TRY(lt_accept(r, ',', &more));
        if (!more) {
            LT_TRY(lt_expect(r, ')'));
        }
    }
    return LATHE_OK;
}

lathe_status lt_check_new_name(lt_reader *r, const char *name, const char *at)
{
    if (name[0] == '\0') {
        return LT_FAIL(r->diag, LATHE_BAD_MODEL, lt_text_place(r, at), NULL, "a value has an empty name");
    }
    if (!lt_value_none(lt_graph_find(r->graph, name))) {
        return LT_FAIL(r->diag, LATHE_BAD_MODEL, lt_text_place(r, at), "names are unique in the whole text",
                       "the name '%s' is taken", name);
    }
    return LATHE_OK;
}

lathe_status lt_find_value(lt_reader *r, const char *name, const char *at, lt_value_id *out)
{
    *out = lt_graph_find(r->graph, name);
    if (lt_value_none(*out)) {
        return LT_FAIL(r->diag, LATHE_BAD_MODEL, lt_text_place(r, at), NULL, "there is no value '%s' before this place",
                       name);
    }
    return LATHE_OK;
}

lathe_status lt_parse_inputs(lt_reader *r, lt_region_id region, const lt_written_values *inputs)
{
    for (size_t i = 0; i < inputs->count; i++) {
        const lt_written_value *value = &inputs->items[i];
        lt_value_id id;
        LT_TRY(lt_check_new_name(r, value->name, value->at));
        lt_type unknown = { .cls = LT_TENSOR, .rank = -1 };
        r->graph->place = lt_text_place(r, value->at);
        if (region == LT_MAIN &&
            (!value->typed || (value->type.cls == LT_TENSOR && value->type.dtype == LATHE_DTYPE_UNDEFINED))) {
            return LT_FAIL(r->diag, LATHE_BAD_MODEL, r->graph->place, "write it as: f32[N,3] name",
                           "the input '%s' has no type", value->name);
        }
        LT_TRY(lt_graph_add_input(r->graph, region, value->name, value->typed ? &value->type : &unknown, &id, r->diag));
        if (value->host) {
            LT_TRY(lt_graph_set_host_input(r->graph, id, true, r->diag));
        }
    }
    return LATHE_OK;
}

lathe_status lt_parse_outputs(lt_reader *r, lt_region_id region, const lt_written_values *outputs)
{
    for (size_t i = 0; i < outputs->count; i++) {
        const lt_written_value *value = &outputs->items[i];
        lt_value_id id;
        LT_TRY(lt_find_value(r, value->name, value->at, &id));
        lathe_status status = lt_graph_add_output(r->graph, region, id, r->diag);
        if (status != LATHE_OK) {
            return LT_FAIL(r->diag, status == LATHE_OUT_OF_MEMORY ? status : LATHE_BAD_MODEL,
                           lt_text_place(r, value->at), NULL, "'%s' cannot be an output here", value->name);
        }
        if (value->typed) {
            LT_TRY(lt_remember_type(r, id, &value->type, value->at));
        }
    }
    return LATHE_OK;
}

/* f32[4] w = rand(1); without '=' it is a hint (ONNX's value_info) and means nothing. */
static lathe_status parse_initializer(lt_reader *r)
{
    lt_written_value value;
    bool there;
    LT_TRY(lt_parse_value(r, r->graph->dims, &value));
    LT_TRY(lt_accept(r, '=', &there));
    if (!there) {
        return LATHE_OK;
    }
    if (!value.typed) {
        return LT_FAIL(r->diag, LATHE_BAD_MODEL, lt_text_place(r, value.at), "write it as: f32[4] name = ...",
                       "the constant '%s' has no type", value.name);
    }
    lt_blob *blob = NULL;
    LT_TRY(lt_check_new_name(r, value.name, value.at));
    LT_TRY(lt_parse_data(r, &value.type, &blob));
    lathe_status status = lt_graph_add_initializer(r->graph, value.name, blob, NULL, r->diag);
    lt_blob_release(blob);
    return status;
}

/* < ... > */
lathe_status lt_parse_initializers(lt_reader *r, char end)
{
    bool done;
    LT_TRY(lt_accept(r, end, &done));
    while (!done) {
        bool comma;
        LT_TRY(parse_initializer(r));
        LT_TRY(lt_accept(r, ',', &comma));
        if (!comma) {
            LT_TRY(lt_expect(r, end));
        }
        done = !comma;
    }
    return LATHE_OK;
}
