/*
 * pb_tree.c - protobuf messages as trees that can be edited (pb_tree.h).
 */
#include "support/pb_tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *take(lt_arena *arena, size_t size)
{
    void *block = lt_arena_alloc(arena, size > 0 ? size : 1, 16);
    if (block == NULL) {
        fprintf(stderr, "pb_tree: out of memory\n");
        exit(3);
    }
    return block;
}

pb_tree *pb_empty(lt_arena *arena)
{
    pb_tree *tree = take(arena, sizeof *tree);
    *tree = (pb_tree){ .arena = arena };
    return tree;
}

static pb_item *append(pb_tree *tree, uint32_t number, uint32_t type)
{
    if (tree->count == tree->capacity) {
        size_t capacity = tree->capacity > 0 ? 2 * tree->capacity : 8;
        pb_item *items = take(tree->arena, capacity * sizeof *items);
        if (tree->count > 0) {
            memcpy(items, tree->items, tree->count * sizeof *items);
        }
        tree->items = items;
        tree->capacity = capacity;
    }
    pb_item *item = &tree->items[tree->count++];
    *item = (pb_item){ .number = number, .type = type };
    return item;
}

pb_tree *pb_parse(lt_arena *arena, const void *data, size_t size)
{
    pb_tree *tree = pb_empty(arena);
    lt_wire wire = { data, (const unsigned char *)data + size };
    lt_wire_field field;
    bool more;
    while (lt_wire_read(&wire, &field, &more) == NULL) {
        if (!more) {
            return tree;
        }
        pb_item *item = append(tree, field.number, field.type);
        item->varint = field.varint;
        item->data = field.data;
        item->size = field.size;
    }
    return NULL;
}

static void put_varint(lt_buf *out, uint64_t value)
{
    unsigned char bytes[10];
    size_t n = 0;
    for (; value >= 0x80; value >>= 7) {
        bytes[n++] = (unsigned char)(value | 0x80);
    }
    bytes[n++] = (unsigned char)value;
    lt_buf_put(out, bytes, n);
}

static void put_fixed(lt_buf *out, uint64_t bits, size_t size)
{
    unsigned char bytes[8];
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (unsigned char)(bits >> (8 * i));
    }
    lt_buf_put(out, bytes, size);
}

void pb_write(const pb_tree *tree, lt_buf *out)
{
    for (size_t i = 0; i < tree->count; i++) {
        const pb_item *item = &tree->items[i];
        if (item->sub != NULL) {
            size_t mark = lt_wire_begin(out, item->number);
            pb_write(item->sub, out);
            lt_wire_end(out, mark);
        } else if (item->type == LT_WIRE_BYTES) {
            lt_wire_put_bytes(out, item->number, item->data, item->size);
        } else {
            put_varint(out, (uint64_t)item->number << 3 | item->type);
            if (item->type == LT_WIRE_VARINT) {
                put_varint(out, item->varint);
            } else {
                put_fixed(out, item->varint, item->type == LT_WIRE_FIXED32 ? 4 : 8);
            }
        }
    }
}

/* ---- Looking ---- */

pb_item *pb_get(pb_tree *tree, uint32_t number, size_t nth)
{
    for (size_t i = 0; tree != NULL && i < tree->count; i++) {
        if (tree->items[i].number == number && nth-- == 0) {
            return &tree->items[i];
        }
    }
    return NULL;
}

size_t pb_count(const pb_tree *tree, uint32_t number)
{
    size_t count = 0;
    for (size_t i = 0; tree != NULL && i < tree->count; i++) {
        count += tree->items[i].number == number;
    }
    return count;
}

pb_tree *pb_open(pb_tree *tree, uint32_t number, size_t nth)
{
    pb_item *item = pb_get(tree, number, nth);
    if (item == NULL || item->type != LT_WIRE_BYTES) {
        return NULL;
    }
    if (item->sub == NULL) {
        item->sub = pb_parse(tree->arena, item->data, item->size);
    }
    return item->sub;
}

const char *pb_text(pb_tree *tree, uint32_t number, size_t nth)
{
    const pb_item *item = pb_get(tree, number, nth);
    if (item == NULL || item->type != LT_WIRE_BYTES) {
        return "";
    }
    char *text = take(tree->arena, item->size + 1);
    memcpy(text, item->data, item->size);
    text[item->size] = '\0';
    return text;
}

int64_t pb_int(pb_tree *tree, uint32_t number, int64_t otherwise)
{
    const pb_item *item = pb_get(tree, number, 0);
    return item != NULL && item->type == LT_WIRE_VARINT ? (int64_t)item->varint : otherwise;
}

/* ---- Editing ---- */

void pb_add_int(pb_tree *tree, uint32_t number, int64_t value)
{
    append(tree, number, LT_WIRE_VARINT)->varint = (uint64_t)value;
}

void pb_add_f32(pb_tree *tree, uint32_t number, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    append(tree, number, LT_WIRE_FIXED32)->varint = bits;
}

void pb_add_bytes(pb_tree *tree, uint32_t number, const void *data, size_t size)
{
    unsigned char *copy = take(tree->arena, size);
    if (size > 0) {
        memcpy(copy, data, size);
    }
    pb_item *item = append(tree, number, LT_WIRE_BYTES);
    item->data = copy;
    item->size = size;
}

void pb_add_str(pb_tree *tree, uint32_t number, const char *text)
{
    pb_add_bytes(tree, number, text, strlen(text));
}

pb_tree *pb_add_tree(pb_tree *tree, uint32_t number)
{
    pb_tree *sub = pb_empty(tree->arena);
    append(tree, number, LT_WIRE_BYTES)->sub = sub;
    return sub;
}

void pb_add_copy(pb_tree *tree, uint32_t number, const pb_tree *from)
{
    lt_buf buf;
    lt_buf_init(&buf, NULL);
    pb_write(from, &buf);
    pb_add_bytes(tree, number, buf.data, buf.length);
    lt_buf_free(&buf);
}

void pb_remove(pb_tree *tree, uint32_t number, size_t nth)
{
    pb_item *item = pb_get(tree, number, nth);
    if (item != NULL) {
        size_t at = (size_t)(item - tree->items);
        memmove(item, item + 1, (tree->count - at - 1) * sizeof *item);
        tree->count--;
    }
}

void pb_clear(pb_tree *tree, uint32_t number)
{
    while (pb_get(tree, number, 0) != NULL) {
        pb_remove(tree, number, 0);
    }
}

void pb_set_int(pb_tree *tree, uint32_t number, int64_t value)
{
    pb_clear(tree, number);
    pb_add_int(tree, number, value);
}

void pb_set_str(pb_tree *tree, uint32_t number, const char *text)
{
    pb_clear(tree, number);
    pb_add_str(tree, number, text);
}

void pb_put_str(pb_tree *tree, uint32_t number, size_t nth, const char *text)
{
    pb_item *item = pb_get(tree, number, nth);
    pb_add_str(tree, number, text);
    if (item != NULL) {
        item = pb_get(tree, number, nth); /* adding may have moved it */
        pb_item added = tree->items[--tree->count];
        *item = added;
    }
}
