/*
 * api.h - thin glue behind <lathe/builder.h>: what study and the command need of it from inside. The one header of src/api.
 */
#ifndef LT_API_H
#define LT_API_H

#include "graph/graph.h"
#include <lathe/builder.h>

const lt_graph *lt_network_graph(const lathe_network *network);
/* Takes the graph over. */
lathe_status lt_network_wrap(lt_graph *graph, const lathe_allocator *allocator, lathe_network **out, lathe_diag *diag);

#endif
