/*
 * import_needed.c - which nodes of the model's graph matter when only some outputs are kept.
 */
#include <string.h>

#include "onnx/onnx_internal.h"

static lathe_status add_name(lt_import *in, lt_map *names, lathe_bytes name)
{
    return name.length == 0 || lt_map_put_bytes(names, name.data, name.length, 1) ? LATHE_OK : LT_OOM(in->diag);
}

/* Every name that the node's subgraphs read, their own values included: too many never hurts. Depth was bounded by the decoder. */
static lathe_status add_captures(lt_import *in, lt_map *names, const lt_pb_node *node);

static lathe_status add_graph(lt_import *in, lt_map *names, const lt_pb_graph *graph)
{
    for (size_t i = 0; i < graph->node.count; i++) {
        const lt_pb_node *node = &graph->node.at[i];
        for (size_t k = 0; k < node->input.count; k++) {
            LT_TRY(add_name(in, names, node->input.at[k]));
        }
        LT_TRY(add_captures(in, names, node));
    }
    for (size_t i = 0; i < graph->output.count; i++) {
        LT_TRY(add_name(in, names, graph->output.at[i].name));
    }
    return LATHE_OK;
}

static lathe_status add_captures(lt_import *in, lt_map *names, const lt_pb_node *node)
{
    for (size_t i = 0; i < node->attribute.count; i++) {
        const lt_pb_attribute *attr = &node->attribute.at[i];
        const lt_pb_graph *graphs = attr->graphs.at;
        if (attr->g != NULL) {
            LT_TRY(add_graph(in, names, attr->g));
        }
        for (size_t k = 0; k < attr->graphs.count; k++) {
            LT_TRY(add_graph(in, names, &graphs[k]));
        }
    }
    return LATHE_OK;
}

lathe_status lt_import_needed(lt_import *in, const lt_pb_graph *graph, lt_map *names, bool *nodes)
{
    for (size_t i = 0; i < in->options->n_outputs; i++) {
        lathe_bytes name = { in->options->outputs[i], strlen(in->options->outputs[i]) };
        LT_TRY(add_name(in, names, name));
    }
    for (size_t i = graph->node.count; i-- > 0;) { /* nodes are sorted, or the import refuses them */
        const lt_pb_node *node = &graph->node.at[i];
        for (size_t k = 0; k < node->output.count && !nodes[i]; k++) {
            lathe_bytes name = node->output.at[k];
            nodes[i] = name.length > 0 && lt_map_get_bytes(names, name.data, name.length, NULL);
        }
        for (size_t k = 0; nodes[i] && k < node->input.count; k++) {
            LT_TRY(add_name(in, names, node->input.at[k]));
        }
        if (nodes[i]) {
            LT_TRY(add_captures(in, names, node));
        }
    }
    return LATHE_OK;
}
