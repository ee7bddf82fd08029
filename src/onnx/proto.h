/*
 * proto.h - ONNX's protobuf messages as structs in an arena, and the table-driven decoder that makes them. Part of
 * onnx.
 *
 * Strings and bytes are spans of the file: they live as long as its bytes. Fields that this page does not list are kept
 * as byte spans. It must not know graphs or operators.
 */
#ifndef LT_PROTO_H
#define LT_PROTO_H

#include "onnx/wire.h"

typedef enum lt_pb_kind {
    LT_PB_INT,     /* int64_t: every varint type */
    LT_PB_F32,     /* float */
    LT_PB_BYTES,   /* lathe_bytes: string and bytes */
    LT_PB_MSG,     /* pointer to a message */
    LT_PB_INTS,    /* lt_pb_ints: repeated varints, packed or not */
    LT_PB_FLOATS,  /* lt_pb_fixed of 4 bytes each */
    LT_PB_DOUBLES, /* lt_pb_fixed of 8 bytes each */
    LT_PB_STRINGS, /* lt_pb_strings */
    LT_PB_MSGS     /* lt_pb_list: an array of messages */
} lt_pb_kind;

typedef struct lt_pb_message lt_pb_message; /* the description of a message */
typedef struct lt_pb_field {
    uint8_t number; /* 0 ends a table; below 64 */
    uint8_t kind;
    uint16_t offset;
    const char *name;
    const lt_pb_message *sub;
} lt_pb_field;
struct lt_pb_message {
    const char *name;
    size_t size, align;
    const lt_pb_field *fields;
};

typedef struct lt_pb_unknown {
    uint32_t number;
    const unsigned char *data; /* key and payload */
    size_t size;
} lt_pb_unknown;

/* Every message begins with this. */
typedef struct lt_pb_head {
    uint64_t has; /* bit n: field number n was there */
    const lt_pb_unknown *unknown;
    size_t n_unknown;
} lt_pb_head;

typedef struct lt_pb_ints {
    const int64_t *at;
    size_t count;
} lt_pb_ints;
typedef struct lt_pb_fixed { /* little-endian, any alignment; a span of the file where it was one packed run */
    const unsigned char *at;
    size_t count;
} lt_pb_fixed;
typedef struct lt_pb_strings {
    const lathe_bytes *at;
    size_t count;
} lt_pb_strings;
typedef struct lt_pb_list {
    void *at;
    size_t count;
} lt_pb_list;
#define LT_PB_LIST(type)                                                                                               \
    struct {                                                                                                           \
        const type *at;                                                                                                \
        size_t count;                                                                                                  \
    }

/* Was field `number` there? */
static inline bool lt_pb_has(const lt_pb_head *head, unsigned number)
{
    return (head->has >> number & 1) != 0;
}

typedef struct lt_pb_type lt_pb_type;
typedef struct lt_pb_graph lt_pb_graph;
typedef struct lt_pb_sequence lt_pb_sequence;
typedef struct lt_pb_optional lt_pb_optional;

typedef struct lt_pb_entry {
    lt_pb_head pb;
    lathe_bytes key, value;
} lt_pb_entry;

typedef struct lt_pb_opset {
    lt_pb_head pb;
    lathe_bytes domain;
    int64_t version;
} lt_pb_opset;

typedef struct lt_pb_segment {
    lt_pb_head pb;
    int64_t begin, end;
} lt_pb_segment;

typedef struct lt_pb_tensor {
    lt_pb_head pb;
    lt_pb_ints dims;
    int64_t data_type;
    const lt_pb_segment *segment;
    lt_pb_fixed float_data, double_data;
    lt_pb_ints int32_data, int64_data, uint64_data;
    lt_pb_strings string_data;
    lathe_bytes name, doc_string, raw_data;
    LT_PB_LIST(lt_pb_entry) external_data;
    int64_t data_location;
} lt_pb_tensor;
enum { LT_PB_TENSOR_RAW = 9 };

typedef struct lt_pb_sparse {
    lt_pb_head pb;
    const lt_pb_tensor *values, *indices;
    lt_pb_ints dims;
} lt_pb_sparse;

typedef struct lt_pb_dim {
    lt_pb_head pb;
    int64_t dim_value;
    lathe_bytes dim_param, denotation;
} lt_pb_dim;
enum { LT_PB_DIM_VALUE = 1, LT_PB_DIM_PARAM = 2 };

typedef struct lt_pb_shape {
    lt_pb_head pb;
    LT_PB_LIST(lt_pb_dim) dim;
} lt_pb_shape;

typedef struct lt_pb_tensor_type {
    lt_pb_head pb;
    int64_t elem_type;
    const lt_pb_shape *shape;
} lt_pb_tensor_type;

typedef struct lt_pb_elem_type { /* of sequences and optionals */
    lt_pb_head pb;
    const lt_pb_type *elem_type;
} lt_pb_elem_type;

typedef struct lt_pb_map_type {
    lt_pb_head pb;
    int64_t key_type;
    const lt_pb_type *value_type;
} lt_pb_map_type;

struct lt_pb_type {
    lt_pb_head pb;
    const lt_pb_tensor_type *tensor_type, *sparse_tensor_type;
    const lt_pb_elem_type *sequence_type, *optional_type;
    const lt_pb_map_type *map_type;
    lathe_bytes denotation;
};

typedef struct lt_pb_value_info {
    lt_pb_head pb;
    lathe_bytes name, doc_string;
    const lt_pb_type *type;
} lt_pb_value_info;

typedef struct lt_pb_attribute {
    lt_pb_head pb;
    lathe_bytes name, ref_attr_name, doc_string, s;
    int64_t type, i;
    float f;
    const lt_pb_tensor *t;
    const lt_pb_graph *g;
    const lt_pb_sparse *sparse_tensor;
    const lt_pb_type *tp;
    lt_pb_fixed floats;
    lt_pb_ints ints;
    lt_pb_strings strings;
    LT_PB_LIST(lt_pb_tensor) tensors;
    lt_pb_list graphs; /* of lt_pb_graph, which is declared below */
    LT_PB_LIST(lt_pb_sparse) sparse_tensors;
    LT_PB_LIST(lt_pb_type) type_protos;
} lt_pb_attribute;
/* Field numbers of AttributeProto, for "which one was given". */
enum {
    LT_PB_ATTR_F = 2,
    LT_PB_ATTR_I = 3,
    LT_PB_ATTR_S = 4,
    LT_PB_ATTR_T = 5,
    LT_PB_ATTR_G = 6,
    LT_PB_ATTR_FLOATS = 7,
    LT_PB_ATTR_INTS = 8,
    LT_PB_ATTR_STRINGS = 9,
    LT_PB_ATTR_TENSORS = 10,
    LT_PB_ATTR_GRAPHS = 11,
    LT_PB_ATTR_TP = 14,
    LT_PB_ATTR_TYPE_PROTOS = 15,
    LT_PB_ATTR_SPARSE = 22,
    LT_PB_ATTR_SPARSES = 23
};

typedef struct lt_pb_node {
    lt_pb_head pb;
    lt_pb_strings input, output;
    lathe_bytes name, op_type, domain, overload, doc_string;
    LT_PB_LIST(lt_pb_attribute) attribute;
} lt_pb_node;

struct lt_pb_graph {
    lt_pb_head pb;
    LT_PB_LIST(lt_pb_node) node;
    lathe_bytes name, doc_string;
    LT_PB_LIST(lt_pb_tensor) initializer;
    LT_PB_LIST(lt_pb_sparse) sparse_initializer;
    LT_PB_LIST(lt_pb_value_info) input;
    LT_PB_LIST(lt_pb_value_info) output;
    LT_PB_LIST(lt_pb_value_info) value_info;
};

typedef struct lt_pb_function {
    lt_pb_head pb;
    lathe_bytes name, doc_string, domain, overload;
    lt_pb_strings input, output, attribute;
    LT_PB_LIST(lt_pb_attribute) attribute_proto;
    LT_PB_LIST(lt_pb_node) node;
    LT_PB_LIST(lt_pb_opset) opset_import;
} lt_pb_function;

typedef struct lt_pb_model {
    lt_pb_head pb;
    int64_t ir_version, model_version;
    LT_PB_LIST(lt_pb_opset) opset_import;
    lathe_bytes producer_name, producer_version, domain, doc_string;
    const lt_pb_graph *graph;
    LT_PB_LIST(lt_pb_entry) metadata_props;
    LT_PB_LIST(lt_pb_function) functions;
} lt_pb_model;

/* Values in files: SequenceProto, MapProto, OptionalProto (onnx-data.proto). */
typedef struct lt_pb_map {
    lt_pb_head pb;
    lathe_bytes name;
    int64_t key_type;
    lt_pb_ints keys;
    lt_pb_strings string_keys;
    const lt_pb_sequence *values;
} lt_pb_map;

struct lt_pb_sequence {
    lt_pb_head pb;
    lathe_bytes name;
    int64_t elem_type; /* 1 tensor, 2 sparse, 3 sequence, 4 map, 5 optional */
    LT_PB_LIST(lt_pb_tensor) tensor_values;
    LT_PB_LIST(lt_pb_sparse) sparse_tensor_values;
    LT_PB_LIST(lt_pb_sequence) sequence_values;
    LT_PB_LIST(lt_pb_map) map_values;
    lt_pb_list optional_values;
};

struct lt_pb_optional {
    lt_pb_head pb;
    lathe_bytes name;
    int64_t elem_type;
    const lt_pb_tensor *tensor_value;
    const lt_pb_sparse *sparse_tensor_value;
    const lt_pb_sequence *sequence_value;
    const lt_pb_map *map_value;
    const lt_pb_optional *optional_value;
};

extern const lt_pb_message lt_pb_model_message, lt_pb_graph_message, lt_pb_node_message, lt_pb_attribute_message,
    lt_pb_tensor_message, lt_pb_value_info_message, lt_pb_type_message, lt_pb_function_message, lt_pb_sequence_message,
    lt_pb_optional_message, lt_pb_map_message;

/*
 * Decodes one message. Everything is allocated from the arena, exact in size, after the fields were counted. where: the
 * file's name, for messages. Refuses by name (LATHE_BAD_MODEL): malformed bytes, a known field of another wire type, a
 * singular message given twice, nesting over LT_MAX_DEPTH.
 */
lathe_status lt_pb_decode(const lt_pb_message *message, const void *data, size_t size, lt_arena *arena, void *out,
                          const char *where, lathe_diag *diag);

/* Text of spans. */
bool lt_pb_is(lathe_bytes span, const char *text);
bool lt_pb_same(lathe_bytes a, lathe_bytes b);
/* A NUL-terminated copy; NULL when out of memory or when the span holds a NUL byte (*bad is then true). */
const char *lt_pb_str(lt_arena *arena, lathe_bytes span, bool *bad);

#endif
