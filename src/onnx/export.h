/*
 * export.h - the exporter's two halves: export.c walks graphs, export_value.c writes tensors, types and attributes.
 * Part of onnx.
 */
#ifndef LT_EXPORT_H
#define LT_EXPORT_H

#include "onnx/wire.h"

/* Fields of a TensorProto, into the message that is open. name NULL: none. */
void lt_put_tensor(lt_buf *out, const lt_tensor *tensor, const char *name);
/* Fields of a TypeProto. Dims that are neither numbers nor names stay open. */
void lt_put_type(lt_buf *out, const lt_dims *dims, const lt_type *type);
/* A whole AttributeProto as field `number`; graphs are written by put_graph. */
typedef lathe_status (*lt_put_graph)(void *user, lt_region_id region, lt_buf *out);
lathe_status lt_put_attr(lt_buf *out, uint32_t number, const lt_dims *dims, const lathe_attr *attr,
                         lt_put_graph put_graph, void *user);

#endif
