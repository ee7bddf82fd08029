/*
 * pb_tree.h - protobuf messages as trees that can be edited: how tests break models on purpose. Used by malformed*.c and by fuzz targets.
 *
 * It must not know what the messages mean. Everything lives in the arena given to pb_parse; memory that runs out ends the test program.
 */
#ifndef LT_TEST_PB_TREE_H
#define LT_TEST_PB_TREE_H

#include "onnx/wire.h"

typedef struct pb_tree pb_tree;

typedef struct pb_item {
    uint32_t number;
    uint32_t type;             /* as in lt_wire_field */
    uint64_t varint;           /* of type 0; the bits of types 1 and 5 */
    const unsigned char *data; /* of type 2 */
    size_t size;
    pb_tree *sub;              /* once it was opened: written instead of data */
} pb_item;

struct pb_tree {
    lt_arena *arena;
    pb_item *items;
    size_t count, capacity;
};

/* NULL when the bytes are no message. */
pb_tree *pb_parse(lt_arena *arena, const void *data, size_t size);
pb_tree *pb_empty(lt_arena *arena);
void pb_write(const pb_tree *tree, lt_buf *out);

/* The nth field of a number; NULL when there are fewer. */
pb_item *pb_get(pb_tree *tree, uint32_t number, size_t nth);
size_t pb_count(const pb_tree *tree, uint32_t number);
/* The same as a message. */
pb_tree *pb_open(pb_tree *tree, uint32_t number, size_t nth);
/* A string field as text, "" when it is not there. */
const char *pb_text(pb_tree *tree, uint32_t number, size_t nth);
int64_t pb_int(pb_tree *tree, uint32_t number, int64_t otherwise);

/* Appends. */
void pb_add_int(pb_tree *tree, uint32_t number, int64_t value);
void pb_add_f32(pb_tree *tree, uint32_t number, float value);
void pb_add_bytes(pb_tree *tree, uint32_t number, const void *data, size_t size);
void pb_add_str(pb_tree *tree, uint32_t number, const char *text);
pb_tree *pb_add_tree(pb_tree *tree, uint32_t number);
/* A copy of another message. */
void pb_add_copy(pb_tree *tree, uint32_t number, const pb_tree *from);

void pb_remove(pb_tree *tree, uint32_t number, size_t nth);
void pb_clear(pb_tree *tree, uint32_t number); /* all of a number */
/* Instead of all of a number. */
void pb_set_int(pb_tree *tree, uint32_t number, int64_t value);
void pb_set_str(pb_tree *tree, uint32_t number, const char *text);
/* Instead of the nth, in its place; appended when there are fewer. */
void pb_put_str(pb_tree *tree, uint32_t number, size_t nth, const char *text);

#endif
