/*
 * graph_text.h - graphs from text and back, for tests: failures end the test with the diagnostics. Header only; include
 * it behind cmocka.h.
 */
#ifndef LT_TEST_GRAPH_TEXT_H
#define LT_TEST_GRAPH_TEXT_H

#include <stdlib.h>
#include <string.h>

#include "graph/graph.h"

static inline void show_diag(const lathe_diag *diag)
{
    lathe_diag_print(diag, stderr);
}

/* Fails the test when the call did; prints why. */
#define MUST(call)                                                                                                     \
    do {                                                                                                               \
        lathe_diag *diag = lathe_diag_create(NULL);                                                                    \
        lathe_status must_ = (call);                                                                                   \
        if (must_ != LATHE_OK) {                                                                                       \
            show_diag(diag);                                                                                           \
        }                                                                                                              \
        lathe_diag_destroy(diag);                                                                                      \
        assert_int_equal(must_, LATHE_OK);                                                                             \
    } while (0)

static inline lt_graph *parse_text(const char *text)
{
    lt_graph *graph = NULL;
    MUST(lt_graph_parse(text, strlen(text), "t", NULL, NULL, NULL, &graph, diag));
    MUST(lt_graph_verify(graph, diag));
    return graph;
}

/* malloc'd */
static inline char *print_with(const lt_graph *graph, const lt_text_options *options)
{
    lt_buf out;
    lt_buf_init(&out, NULL);
    MUST(lt_graph_print(graph, options, &out, diag));
    char *text = strdup(lt_buf_str(&out));
    lt_buf_free(&out);
    assert_non_null(text);
    return text;
}

static inline char *print_text(const lt_graph *graph)
{
    return print_with(graph, &lt_text_canonical);
}

static inline void assert_prints(const lt_graph *graph, const char *expected)
{
    char *text = print_text(graph);
    assert_string_equal(text, expected);
    free(text);
}

static inline lt_value *value_named(const lt_graph *graph, const char *name)
{
    lt_value *value = lt_value_get(graph, lt_graph_find(graph, name));
    assert_non_null(value);
    return value;
}

static inline lt_node *node_of(const lt_graph *graph, const char *output)
{
    lt_node *node = lt_node_get(graph, value_named(graph, output)->def);
    assert_non_null(node);
    return node;
}

#endif
