/*
 * proto_tables.c - what the messages of onnx.proto and onnx-data.proto look like, as tables for the decoder. Data only.
 */
#include "onnx/proto.h"

#define FIELD(type, number, kind, member)                                                                              \
    {                                                                                                                  \
        number, kind, (uint16_t)offsetof(type, member), #member, NULL                                                  \
    }
#define NESTED(type, number, kind, member, message)                                                                    \
    {                                                                                                                  \
        number, kind, (uint16_t)offsetof(type, member), #member, &message                                              \
    }
#define END                                                                                                            \
    {                                                                                                                  \
        0, 0, 0, NULL, NULL                                                                                            \
    }
#define MESSAGE(type, text, table)                                                                                     \
    {                                                                                                                  \
        text, sizeof(type), _Alignof(type), table                                                                      \
    }

static const lt_pb_message tensor_type_message, shape_message, dim_message, elem_type_message, map_type_message,
    entry_message, opset_message, segment_message, sparse_message;

static const lt_pb_field entry_fields[] = {
    FIELD(lt_pb_entry, 1, LT_PB_BYTES, key),
    FIELD(lt_pb_entry, 2, LT_PB_BYTES, value),
    END,
};
static const lt_pb_message entry_message = MESSAGE(lt_pb_entry, "StringStringEntryProto", entry_fields);

static const lt_pb_field opset_fields[] = {
    FIELD(lt_pb_opset, 1, LT_PB_BYTES, domain),
    FIELD(lt_pb_opset, 2, LT_PB_INT, version),
    END,
};
static const lt_pb_message opset_message = MESSAGE(lt_pb_opset, "OperatorSetIdProto", opset_fields);

static const lt_pb_field segment_fields[] = {
    FIELD(lt_pb_segment, 1, LT_PB_INT, begin),
    FIELD(lt_pb_segment, 2, LT_PB_INT, end),
    END,
};
static const lt_pb_message segment_message = MESSAGE(lt_pb_segment, "Segment", segment_fields);

static const lt_pb_field tensor_fields[] = {
    FIELD(lt_pb_tensor, 1, LT_PB_INTS, dims),
    FIELD(lt_pb_tensor, 2, LT_PB_INT, data_type),
    NESTED(lt_pb_tensor, 3, LT_PB_MSG, segment, segment_message),
    FIELD(lt_pb_tensor, 4, LT_PB_FLOATS, float_data),
    FIELD(lt_pb_tensor, 5, LT_PB_INTS, int32_data),
    FIELD(lt_pb_tensor, 6, LT_PB_STRINGS, string_data),
    FIELD(lt_pb_tensor, 7, LT_PB_INTS, int64_data),
    FIELD(lt_pb_tensor, 8, LT_PB_BYTES, name),
    FIELD(lt_pb_tensor, LT_PB_TENSOR_RAW, LT_PB_BYTES, raw_data),
    FIELD(lt_pb_tensor, 10, LT_PB_DOUBLES, double_data),
    FIELD(lt_pb_tensor, 11, LT_PB_INTS, uint64_data),
    FIELD(lt_pb_tensor, 12, LT_PB_BYTES, doc_string),
    NESTED(lt_pb_tensor, 13, LT_PB_MSGS, external_data, entry_message),
    FIELD(lt_pb_tensor, 14, LT_PB_INT, data_location),
    END,
};
const lt_pb_message lt_pb_tensor_message = MESSAGE(lt_pb_tensor, "TensorProto", tensor_fields);

static const lt_pb_field sparse_fields[] = {
    NESTED(lt_pb_sparse, 1, LT_PB_MSG, values, lt_pb_tensor_message),
    NESTED(lt_pb_sparse, 2, LT_PB_MSG, indices, lt_pb_tensor_message),
    FIELD(lt_pb_sparse, 3, LT_PB_INTS, dims),
    END,
};
static const lt_pb_message sparse_message = MESSAGE(lt_pb_sparse, "SparseTensorProto", sparse_fields);

static const lt_pb_field dim_fields[] = {
    FIELD(lt_pb_dim, LT_PB_DIM_VALUE, LT_PB_INT, dim_value),
    FIELD(lt_pb_dim, LT_PB_DIM_PARAM, LT_PB_BYTES, dim_param),
    FIELD(lt_pb_dim, 3, LT_PB_BYTES, denotation),
    END,
};
static const lt_pb_message dim_message = MESSAGE(lt_pb_dim, "Dimension", dim_fields);

static const lt_pb_field shape_fields[] = {
    NESTED(lt_pb_shape, 1, LT_PB_MSGS, dim, dim_message),
    END,
};
static const lt_pb_message shape_message = MESSAGE(lt_pb_shape, "TensorShapeProto", shape_fields);

static const lt_pb_field tensor_type_fields[] = {
    FIELD(lt_pb_tensor_type, 1, LT_PB_INT, elem_type),
    NESTED(lt_pb_tensor_type, 2, LT_PB_MSG, shape, shape_message),
    END,
};
static const lt_pb_message tensor_type_message = MESSAGE(lt_pb_tensor_type, "TypeProto.Tensor", tensor_type_fields);

static const lt_pb_field elem_type_fields[] = {
    NESTED(lt_pb_elem_type, 1, LT_PB_MSG, elem_type, lt_pb_type_message),
    END,
};
static const lt_pb_message elem_type_message = MESSAGE(lt_pb_elem_type, "TypeProto.Sequence", elem_type_fields);

static const lt_pb_field map_type_fields[] = {
    FIELD(lt_pb_map_type, 1, LT_PB_INT, key_type),
    NESTED(lt_pb_map_type, 2, LT_PB_MSG, value_type, lt_pb_type_message),
    END,
};
static const lt_pb_message map_type_message = MESSAGE(lt_pb_map_type, "TypeProto.Map", map_type_fields);

static const lt_pb_field type_fields[] = {
    NESTED(lt_pb_type, 1, LT_PB_MSG, tensor_type, tensor_type_message),
    NESTED(lt_pb_type, 4, LT_PB_MSG, sequence_type, elem_type_message),
    NESTED(lt_pb_type, 5, LT_PB_MSG, map_type, map_type_message),
    FIELD(lt_pb_type, 6, LT_PB_BYTES, denotation),
    NESTED(lt_pb_type, 8, LT_PB_MSG, sparse_tensor_type, tensor_type_message),
    NESTED(lt_pb_type, 9, LT_PB_MSG, optional_type, elem_type_message),
    END,
};
const lt_pb_message lt_pb_type_message = MESSAGE(lt_pb_type, "TypeProto", type_fields);

static const lt_pb_field value_info_fields[] = {
    FIELD(lt_pb_value_info, 1, LT_PB_BYTES, name),
    NESTED(lt_pb_value_info, 2, LT_PB_MSG, type, lt_pb_type_message),
    FIELD(lt_pb_value_info, 3, LT_PB_BYTES, doc_string),
    END,
};
const lt_pb_message lt_pb_value_info_message = MESSAGE(lt_pb_value_info, "ValueInfoProto", value_info_fields);

static const lt_pb_field attribute_fields[] = {
    FIELD(lt_pb_attribute, 1, LT_PB_BYTES, name),
    FIELD(lt_pb_attribute, LT_PB_ATTR_F, LT_PB_F32, f),
    FIELD(lt_pb_attribute, LT_PB_ATTR_I, LT_PB_INT, i),
    FIELD(lt_pb_attribute, LT_PB_ATTR_S, LT_PB_BYTES, s),
    NESTED(lt_pb_attribute, LT_PB_ATTR_T, LT_PB_MSG, t, lt_pb_tensor_message),
    NESTED(lt_pb_attribute, LT_PB_ATTR_G, LT_PB_MSG, g, lt_pb_graph_message),
    FIELD(lt_pb_attribute, LT_PB_ATTR_FLOATS, LT_PB_FLOATS, floats),
    FIELD(lt_pb_attribute, LT_PB_ATTR_INTS, LT_PB_INTS, ints),
    FIELD(lt_pb_attribute, LT_PB_ATTR_STRINGS, LT_PB_STRINGS, strings),
    NESTED(lt_pb_attribute, LT_PB_ATTR_TENSORS, LT_PB_MSGS, tensors, lt_pb_tensor_message),
    NESTED(lt_pb_attribute, LT_PB_ATTR_GRAPHS, LT_PB_MSGS, graphs, lt_pb_graph_message),
    FIELD(lt_pb_attribute, 13, LT_PB_BYTES, doc_string),
    NESTED(lt_pb_attribute, LT_PB_ATTR_TP, LT_PB_MSG, tp, lt_pb_type_message),
    NESTED(lt_pb_attribute, LT_PB_ATTR_TYPE_PROTOS, LT_PB_MSGS, type_protos, lt_pb_type_message),
    FIELD(lt_pb_attribute, 20, LT_PB_INT, type),
    FIELD(lt_pb_attribute, 21, LT_PB_BYTES, ref_attr_name),
    NESTED(lt_pb_attribute, LT_PB_ATTR_SPARSE, LT_PB_MSG, sparse_tensor, sparse_message),
    NESTED(lt_pb_attribute, LT_PB_ATTR_SPARSES, LT_PB_MSGS, sparse_tensors, sparse_message),
    END,
};
const lt_pb_message lt_pb_attribute_message = MESSAGE(lt_pb_attribute, "AttributeProto", attribute_fields);

static const lt_pb_field node_fields[] = {
    FIELD(lt_pb_node, 1, LT_PB_STRINGS, input),
    FIELD(lt_pb_node, 2, LT_PB_STRINGS, output),
    FIELD(lt_pb_node, 3, LT_PB_BYTES, name),
    FIELD(lt_pb_node, 4, LT_PB_BYTES, op_type),
    NESTED(lt_pb_node, 5, LT_PB_MSGS, attribute, lt_pb_attribute_message),
    FIELD(lt_pb_node, 6, LT_PB_BYTES, doc_string),
    FIELD(lt_pb_node, 7, LT_PB_BYTES, domain),
    FIELD(lt_pb_node, 8, LT_PB_BYTES, overload),
    END,
};
const lt_pb_message lt_pb_node_message = MESSAGE(lt_pb_node, "NodeProto", node_fields);

static const lt_pb_field graph_fields[] = {
    NESTED(lt_pb_graph, 1, LT_PB_MSGS, node, lt_pb_node_message),
    FIELD(lt_pb_graph, 2, LT_PB_BYTES, name),
    NESTED(lt_pb_graph, 5, LT_PB_MSGS, initializer, lt_pb_tensor_message),
    FIELD(lt_pb_graph, 10, LT_PB_BYTES, doc_string),
    NESTED(lt_pb_graph, 11, LT_PB_MSGS, input, lt_pb_value_info_message),
    NESTED(lt_pb_graph, 12, LT_PB_MSGS, output, lt_pb_value_info_message),
    NESTED(lt_pb_graph, 13, LT_PB_MSGS, value_info, lt_pb_value_info_message),
    NESTED(lt_pb_graph, 15, LT_PB_MSGS, sparse_initializer, sparse_message),
    END,
};
const lt_pb_message lt_pb_graph_message = MESSAGE(lt_pb_graph, "GraphProto", graph_fields);

static const lt_pb_field function_fields[] = {
    FIELD(lt_pb_function, 1, LT_PB_BYTES, name),
    FIELD(lt_pb_function, 4, LT_PB_STRINGS, input),
    FIELD(lt_pb_function, 5, LT_PB_STRINGS, output),
    FIELD(lt_pb_function, 6, LT_PB_STRINGS, attribute),
    NESTED(lt_pb_function, 7, LT_PB_MSGS, node, lt_pb_node_message),
    FIELD(lt_pb_function, 8, LT_PB_BYTES, doc_string),
    NESTED(lt_pb_function, 9, LT_PB_MSGS, opset_import, opset_message),
    FIELD(lt_pb_function, 10, LT_PB_BYTES, domain),
    NESTED(lt_pb_function, 11, LT_PB_MSGS, attribute_proto, lt_pb_attribute_message),
    FIELD(lt_pb_function, 13, LT_PB_BYTES, overload),
    END,
};
const lt_pb_message lt_pb_function_message = MESSAGE(lt_pb_function, "FunctionProto", function_fields);

static const lt_pb_field model_fields[] = {
    FIELD(lt_pb_model, 1, LT_PB_INT, ir_version),
    FIELD(lt_pb_model, 2, LT_PB_BYTES, producer_name),
    FIELD(lt_pb_model, 3, LT_PB_BYTES, producer_version),
    FIELD(lt_pb_model, 4, LT_PB_BYTES, domain),
    FIELD(lt_pb_model, 5, LT_PB_INT, model_version),
    FIELD(lt_pb_model, 6, LT_PB_BYTES, doc_string),
    NESTED(lt_pb_model, 7, LT_PB_MSG, graph, lt_pb_graph_message),
    NESTED(lt_pb_model, 8, LT_PB_MSGS, opset_import, opset_message),
    NESTED(lt_pb_model, 14, LT_PB_MSGS, metadata_props, entry_message),
    NESTED(lt_pb_model, 25, LT_PB_MSGS, functions, lt_pb_function_message),
    END,
};
const lt_pb_message lt_pb_model_message = MESSAGE(lt_pb_model, "ModelProto", model_fields);

static const lt_pb_field map_fields[] = {
    FIELD(lt_pb_map, 1, LT_PB_BYTES, name),
    FIELD(lt_pb_map, 2, LT_PB_INT, key_type),
    FIELD(lt_pb_map, 3, LT_PB_INTS, keys),
    FIELD(lt_pb_map, 4, LT_PB_STRINGS, string_keys),
    NESTED(lt_pb_map, 5, LT_PB_MSG, values, lt_pb_sequence_message),
    END,
};
const lt_pb_message lt_pb_map_message = MESSAGE(lt_pb_map, "MapProto", map_fields);

static const lt_pb_field sequence_fields[] = {
    FIELD(lt_pb_sequence, 1, LT_PB_BYTES, name),
    FIELD(lt_pb_sequence, 2, LT_PB_INT, elem_type),
    NESTED(lt_pb_sequence, 3, LT_PB_MSGS, tensor_values, lt_pb_tensor_message),
    NESTED(lt_pb_sequence, 4, LT_PB_MSGS, sparse_tensor_values, sparse_message),
    NESTED(lt_pb_sequence, 5, LT_PB_MSGS, sequence_values, lt_pb_sequence_message),
    NESTED(lt_pb_sequence, 6, LT_PB_MSGS, map_values, lt_pb_map_message),
    NESTED(lt_pb_sequence, 7, LT_PB_MSGS, optional_values, lt_pb_optional_message),
    END,
};
const lt_pb_message lt_pb_sequence_message = MESSAGE(lt_pb_sequence, "SequenceProto", sequence_fields);

static const lt_pb_field optional_fields[] = {
    FIELD(lt_pb_optional, 1, LT_PB_BYTES, name),
    FIELD(lt_pb_optional, 2, LT_PB_INT, elem_type),
    NESTED(lt_pb_optional, 3, LT_PB_MSG, tensor_value, lt_pb_tensor_message),
    NESTED(lt_pb_optional, 4, LT_PB_MSG, sparse_tensor_value, sparse_message),
    NESTED(lt_pb_optional, 5, LT_PB_MSG, sequence_value, lt_pb_sequence_message),
    NESTED(lt_pb_optional, 6, LT_PB_MSG, map_value, lt_pb_map_message),
    NESTED(lt_pb_optional, 7, LT_PB_MSG, optional_value, lt_pb_optional_message),
    END,
};
const lt_pb_message lt_pb_optional_message = MESSAGE(lt_pb_optional, "OptionalProto", optional_fields);
