/*
 * malformed_internal.h - what the makers of malformed models share. Only malformed*.c include it.
 */
#ifndef LT_TEST_MALFORMED_INTERNAL_H
#define LT_TEST_MALFORMED_INTERNAL_H

#include "support/malformed.h"
#include "support/pb_tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Field numbers of ONNX's messages. */
enum { MODEL_IR = 1, MODEL_GRAPH = 7, MODEL_OPSET = 8, MODEL_FUNCTION = 25, OPSET_DOMAIN = 1, OPSET_VERSION = 2 };
enum { GRAPH_NODE = 1, GRAPH_NAME = 2, GRAPH_INITIALIZER = 5, GRAPH_INPUT = 11, GRAPH_OUTPUT = 12 };
enum { NODE_INPUT = 1, NODE_OUTPUT = 2, NODE_NAME = 3, NODE_OP = 4, NODE_ATTR = 5, NODE_DOMAIN = 7 };
enum { TENSOR_DIM = 1, TENSOR_TYPE = 2, TENSOR_STRING = 6, TENSOR_NAME = 8, TENSOR_RAW = 9, TENSOR_EXTERNAL = 13, TENSOR_LOCATION = 14 };
enum { ATTR_NAME = 1, ATTR_F = 2, ATTR_I = 3, ATTR_S = 4, ATTR_T = 5, ATTR_G = 6, ATTR_FLOATS = 7, ATTR_INTS = 8, ATTR_STRINGS = 9, ATTR_TYPE = 20, ATTR_REF = 21 };

/* The name that the node under test gets. */
#define BROKEN "node.broken"

typedef struct maker {
    const malformed_options *options;
    malformed_visit visit;
    void *user;
    lt_arena arena;       /* emptied after each case */
    uint64_t random;
    /* The base at hand. */
    const lt_op *op;
    unsigned sample;
    const char *text;
    const unsigned char *data;
    size_t size;
    /* The copy under the knife. */
    pb_tree *model, *graph, *node; /* node: the last of the graph */
} maker;

uint32_t malformed_draw(maker *m, uint32_t below);
/* Skips what a share leaves out; opens a fresh copy of the base otherwise. Use: if (malformed_open(m)) { break it; malformed_emit(...) } */
bool malformed_open(maker *m);
/* The same for what is never left out. */
bool malformed_open_always(maker *m);

/* AT_RUN: initializers that a run can bind become inputs of the network, so that only the run knows their elements. */
/* ANYWHERE: the error need not name a node or value. */
enum { CERTAIN = 1, VALID = 2, FOLDER = 4, AT_RUN = 8, ANYWHERE = 16 };
/* Hands out the model as it stands. name: one more name that the error may give, NULL for none. */
void malformed_emit(maker *m, const char *kind, unsigned flags, const char *name, const char *format, ...) __attribute__((format(printf, 5, 6)));
/* The same for bytes that are no tree. */
void malformed_emit_bytes(maker *m, const char *kind, unsigned flags, const void *data, size_t size, const char *what);

/* An empty model of the newest opset as m->model and m->graph. */
void malformed_fresh(maker *m);
pb_tree *malformed_node(maker *m, pb_tree *graph, const char *op, const char *domain, const char *inputs, const char *outputs); /* names separated by spaces */
void malformed_attr_int(pb_tree *node, const char *name, int64_t value);
void malformed_attr_ints(pb_tree *node, const char *name, const int64_t *values, size_t count);
void malformed_initializer(pb_tree *graph, const char *name, lathe_dtype dtype, size_t rank, const int64_t *dims, const void *data, size_t bytes);
void malformed_value(pb_tree *graph, uint32_t field, const char *name, lathe_dtype dtype, int rank, const int64_t *dims); /* rank -1: no shape */

/* The parts: each walks its kinds over the base at hand. */
void malformed_nodes(maker *m);
void malformed_attributes(maker *m);
void malformed_tensors(maker *m);
void malformed_external(maker *m);
void malformed_graphs(maker *m);
void malformed_bytes(maker *m);
void malformed_bodies(maker *m);
/* Without a base. */
void malformed_bombs(maker *m);
void malformed_nests(maker *m);

#endif
