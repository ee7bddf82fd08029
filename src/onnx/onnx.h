/*
 * onnx.h - ONNX files: wire reader and writer, importer, exporter, tensors in .pb files. The one header of src/onnx.
 *
 * Used by api and study (and by the command through them). It must not know passes, tactics, plans.
 * Limits (docs/onnx.md): nesting LT_MAX_DEPTH; every count and length is checked against the bytes that are there before anything is allocated.
 */
#ifndef LT_ONNX_H
#define LT_ONNX_H

#include "graph/graph.h"

typedef struct lt_import_options {
    const char *model_name;      /* for messages; NULL: the path */
    const char *const *outputs;  /* keep only these (any value's name); NULL: all */
    size_t n_outputs;
    bool inline_functions;       /* default true through lt_import_defaults */
    /*
     * Elements for an initializer whose data were stripped (dims, but no data): tensor has zeroed data to write. stats: the model's metadata
     * entry "fill:NAME", or NULL. Without fill (the default) such a model is refused.
     */
    lathe_status (*fill)(void *user, const char *name, const char *stats, lt_tensor *tensor, lathe_diag *diag);
    void *fill_user;
} lt_import_options;
extern const lt_import_options lt_import_defaults;

/* Everything that cannot be handled, all of it, in model order: also copied into the diag (each one record). */
typedef struct lt_unsupported {
    const char *node, *op, *domain, *path;
    int64_t version;
    const char *reason, *advice; /* advice: "" when there is nothing to do about it */
} lt_unsupported;
typedef struct lt_import_report {
    const lt_unsupported *items; /* in the arena given to the import */
    size_t count;
} lt_import_report;

/* Zero-copy: initializers of the graph point into the mapped file, which stays mapped while a blob refers to it. report may be NULL. */
lathe_status lt_onnx_import_file(const char *path, const lt_import_options *options, const lathe_allocator *allocator, lt_graph **out,
                                 lt_arena *report_arena, lt_import_report *report, lathe_diag *diag);
/* From memory (copied where needed; `data` may go afterwards). folder: where external data may be read, NULL = none. */
lathe_status lt_onnx_import(const void *data, size_t size, const char *folder, const lt_import_options *options, const lathe_allocator *allocator,
                            lt_graph **out, lt_arena *report_arena, lt_import_report *report, lathe_diag *diag);

/* A graph as an ONNX model (newest opsets); LT_INIT's nodes are exported as ordinary nodes unless folded = true (then their results are initializers). */
lathe_status lt_onnx_export(const lt_graph *graph, bool folded, lt_buf *out, lathe_diag *diag);

/* TensorProto, SequenceProto, MapProto, OptionalProto files of the backend tests. type says which class to read; results live in the arena. */
lathe_status lt_onnx_read_value(const void *data, size_t size, const lt_type *type, lt_arena *arena, lt_any *out, const char *what, lathe_diag *diag);
/* The message of the value's class; name may be NULL. LATHE_UNSUPPORTED for maps whose values are of less than a byte. */
lathe_status lt_onnx_write_value(const lt_any *value, const char *name, lt_buf *out, lathe_diag *diag);
lathe_status lt_onnx_write_tensor(const lt_tensor *tensor, const char *name, lt_buf *out, lathe_diag *diag);

/*
 * Upgrades: rows found by the build-time scan (LT_UPGRADES(stem)). A row lifts nodes of `op` whose model opset is < `before` to the next newer
 * definition; rows of one op apply from old to new. upgrade edits *spec in place (attrs, inputs) and may add nodes before it through the context.
 */
typedef struct lt_upgrade_call lt_upgrade_call; /* src/onnx/onnx_internal.h */
typedef struct lt_upgrade {
    const char *op; /* NULL ends a table */
    const char *domain;
    int before;     /* applies when the model's opset is below this */
    const char *summary;
    lathe_status (*upgrade)(lt_upgrade_call *call, lathe_diag *diag); /* NULL: definitions differ only in types */
} lt_upgrade;
#define LT_UPGRADES(stem) const lt_upgrade lt_upgrades_##stem[]
extern const lt_upgrade *const lt_upgrade_tables[];
/* The opsets that changed the operator's definition, from the first one on, that models may import; `newest` is the one that graphs hold. How many. */
enum { LT_ONNX_VERSIONS = 32 };
size_t lt_onnx_versions(const char *op, const char *domain, int newest, int out[LT_ONNX_VERSIONS]);
/* Operators that the importer expands into others: the i-th one's name; NULL past the end. */
const char *lt_onnx_expanded(size_t i, const char **domain);

/* ---- The wire: for the importer, the surgeon and tests that compare with protobuf-c ---- */

typedef struct lt_wire { /* a bounded cursor over bytes */
    const unsigned char *at, *end;
} lt_wire;
typedef struct lt_wire_field {
    uint32_t number;
    uint32_t type;              /* 0 varint, 1 fixed64, 2 bytes, 5 fixed32 */
    uint64_t varint;            /* also fixed32/64 bits */
    const unsigned char *data;  /* of bytes */
    size_t size;
} lt_wire_field;
/* Next field; *more false at the end. LATHE_BAD_MODEL for truncated or malformed bytes, groups, field number 0. */
lathe_status lt_wire_next(lt_wire *wire, lt_wire_field *field, bool *more, lathe_diag *diag);

#endif
