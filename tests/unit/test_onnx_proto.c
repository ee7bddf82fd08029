/*
 * test_onnx_proto.c - two decoders, field by field: ours and protobuf-c's code from Debian's onnx.proto, over every
 * model and tensor file at hand.
 *
 * Both describe messages by tables, so one generic walk compares them. Fields that only one of them knows must be among
 * the other's unknown fields.
 */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "onnx/proto.h"

#ifdef LATHE_HAVE_ONNX_PB
#include <onnx.pb-c.h>

typedef struct comparison {
    const char *file;
    size_t fields; /* compared */
    int problems;
} comparison;

static void differ(comparison *c, const lt_pb_message *message, const char *field, const char *what)
{
    if (c->problems++ < 10) {
        print_message("%s: %s.%s: %s\n", c->file, message->name, field, what);
    }
}

static const lt_pb_field *find(const lt_pb_message *message, uint32_t number)
{
    for (const lt_pb_field *field = message->fields; field->number != 0; field++) {
        if (field->number == number) {
            return field;
        }
    }
    return NULL;
}

static bool is_unknown(const lt_pb_head *head, uint32_t number)
{
    for (size_t i = 0; i < head->n_unknown; i++) {
        if (head->unknown[i].number == number) {
            return true;
        }
    }
    return false;
}

static void compare(comparison *c, const lt_pb_message *message, const void *ours, const ProtobufCMessage *theirs);

static int64_t theirs_int(const ProtobufCFieldDescriptor *field, const void *at)
{
    if (field->type == PROTOBUF_C_TYPE_INT64 || field->type == PROTOBUF_C_TYPE_UINT64) {
        int64_t value;
        memcpy(&value, at, sizeof value);
        return value;
    }
    int32_t value; /* int32 and enums */
    memcpy(&value, at, sizeof value);
    return value;
}

static void compare_bytes(comparison *c, const lt_pb_message *message, const ProtobufCFieldDescriptor *field,
                          lathe_bytes ours, const void *at)
{
    const void *data;
    size_t size;
    if (field->type == PROTOBUF_C_TYPE_STRING) {
        memcpy(&data, at, sizeof data);
        size = data != NULL ? strlen(data) : 0;
    } else {
        ProtobufCBinaryData binary;
        memcpy(&binary, at, sizeof binary);
        data = binary.data;
        size = binary.len;
    }
    if (size != ours.length || (size > 0 && memcmp(data, ours.data, size) != 0)) {
        differ(c, message, field->name, "other bytes");
    }
}

static void compare_repeated(comparison *c, const lt_pb_message *message, const lt_pb_field *mine, const void *ours,
                             const ProtobufCFieldDescriptor *field, const ProtobufCMessage *theirs)
{
    lt_pb_list list;
    size_t count;
    const char *items;
    memcpy(&list, (const char *)ours + mine->offset, sizeof list);
    memcpy(&count, (const char *)theirs + field->quantifier_offset, sizeof count);
    memcpy(&items, (const char *)theirs + field->offset, sizeof items);
    if (list.count != count) {
        differ(c, message, field->name, "another count");
        return;
    }
    for (size_t i = 0; i < count; i++) {
        switch (mine->kind) {
        case LT_PB_INTS: {
            size_t width = field->type == PROTOBUF_C_TYPE_INT32 ? 4 : 8;
            if (((const int64_t *)list.at)[i] != theirs_int(field, items + i * width)) {
                differ(c, message, field->name, "another number");
                return;
            }
            break;
        }
        case LT_PB_FLOATS:
        case LT_PB_DOUBLES: {
            size_t width = mine->kind == LT_PB_FLOATS ? 4 : 8;
            if (memcmp((const char *)list.at + i * width, items + i * width, width) != 0) {
                differ(c, message, field->name, "another number");
                return;
            }
            break;
        }
        case LT_PB_STRINGS: {
            size_t width = field->type == PROTOBUF_C_TYPE_STRING ? sizeof(char *) : sizeof(ProtobufCBinaryData);
            compare_bytes(c, message, field, ((const lathe_bytes *)list.at)[i], items + i * width);
            break;
        }
        default: {
            const ProtobufCMessage *child;
            memcpy(&child, items + i * sizeof child, sizeof child);
            compare(c, mine->sub, (const char *)list.at + i * mine->sub->size, child);
            break;
        }
        }
    }
}

/* The sub-message pointer, and whether a oneof holds it. */
static bool is_there(const ProtobufCFieldDescriptor *field, const ProtobufCMessage *theirs)
{
    if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0) {
        uint32_t which;
        memcpy(&which, (const char *)theirs + field->quantifier_offset, sizeof which);
        return which == field->id;
    }
    if (field->type == PROTOBUF_C_TYPE_MESSAGE || field->type == PROTOBUF_C_TYPE_STRING) {
        const void *pointer;
        memcpy(&pointer, (const char *)theirs + field->offset, sizeof pointer);
        return pointer != NULL && pointer != field->default_value;
    }
    protobuf_c_boolean has;
    memcpy(&has, (const char *)theirs + field->quantifier_offset, sizeof has);
    return has != 0;
}

static void compare_single(comparison *c, const lt_pb_message *message, const lt_pb_field *mine, const void *ours,
                           const ProtobufCFieldDescriptor *field, const ProtobufCMessage *theirs)
{
    const char *at = (const char *)theirs + field->offset, *own = (const char *)ours + mine->offset;
    bool there = is_there(field, theirs);
    if (there != lt_pb_has(ours, mine->number)) {
        differ(c, message, field->name, "there for one, not for the other");
        return;
    }
    if (!there) {
        return;
    }
    switch (mine->kind) {
    case LT_PB_INT: {
        int64_t value;
        memcpy(&value, own, sizeof value);
        if (value != theirs_int(field, at)) {
            differ(c, message, field->name, "another number");
        }
        break;
    }
    case LT_PB_F32:
        if (memcmp(own, at, 4) != 0) {
            differ(c, message, field->name, "another number");
        }
        break;
    case LT_PB_BYTES: {
        lathe_bytes span;
        memcpy(&span, own, sizeof span);
        compare_bytes(c, message, field, span, at);
        break;
    }
    default: {
        const void *child;
        const ProtobufCMessage *other;
        memcpy(&child, own, sizeof child);
        memcpy(&other, at, sizeof other);
        compare(c, mine->sub, child, other);
        break;
    }
    }
}

static void compare(comparison *c, const lt_pb_message *message, const void *ours, const ProtobufCMessage *theirs)
{
    const ProtobufCMessageDescriptor *descriptor = theirs->descriptor;
    for (unsigned i = 0; i < descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &descriptor->fields[i];
        const lt_pb_field *mine = find(message, field->id);
        size_t count = 0;
        c->fields++;
        if (field->label == PROTOBUF_C_LABEL_REPEATED) {
            memcpy(&count, (const char *)theirs + field->quantifier_offset, sizeof count);
        }
        if (mine == NULL) { /* kept as bytes */
            if ((count > 0 || (field->label != PROTOBUF_C_LABEL_REPEATED && is_there(field, theirs))) &&
                !is_unknown(ours, field->id)) {
                differ(c, message, field->name, "lost");
            }
        } else if (field->label == PROTOBUF_C_LABEL_REPEATED) {
            compare_repeated(c, message, mine, ours, field, theirs);
        } else {
            compare_single(c, message, mine, ours, field, theirs);
        }
    }
    for (unsigned i = 0; i < theirs->n_unknown_fields; i++) {
        uint32_t number = theirs->unknown_fields[i].tag;
        if (find(message, number) == NULL && !is_unknown(ours, number)) {
            differ(c, message, "unknown field", "lost");
        }
    }
}

static void compare_file(comparison *c, const char *path, const lt_pb_message *message,
                         const ProtobufCMessageDescriptor *descriptor)
{
    lt_file file;
    lt_arena arena;
    lathe_diag *diag = lathe_diag_create(NULL);
    assert_int_equal(lt_file_map(&file, path, NULL), LATHE_OK);
    lt_arena_init(&arena, NULL);
    void *ours = lt_arena_zero(&arena, 1, message->size, message->align);
    ProtobufCMessage *theirs = protobuf_c_message_unpack(descriptor, NULL, file.size, file.data);
    lathe_status status = lt_pb_decode(message, file.data, file.size, &arena, ours, path, diag);
    c->file = path;
    if (theirs == NULL || status != LATHE_OK) {
        print_message("%s: ours %s, theirs %s\n", path, lathe_status_name(status),
                      theirs != NULL ? "reads it" : "refuses it");
        c->problems++;
    } else {
        compare(c, message, ours, theirs);
    }
    if (theirs != NULL) {
        protobuf_c_message_free_unpacked(theirs, NULL);
    }
    lathe_diag_destroy(diag);
    lt_arena_destroy(&arena);
    lt_file_close(&file);
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

/* All .onnx files below a folder, and the first input of each test. */
static int walk(comparison *c, const char *folder, int depth)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    int count = 0;
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        char path[1024];
        if (entry->d_name[0] == '.' ||
            (size_t)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name) >= sizeof path) {
            continue;
        }
        if (ends_with(path, ".onnx")) {
            compare_file(c, path, &lt_pb_model_message, &onnx__model_proto__descriptor);
            count++;
        } else if (strcmp(entry->d_name, "input_0.pb") == 0 && strstr(path, "sequence") == NULL &&
                   strstr(path, "optional") == NULL && strstr(path, "_seq") == NULL &&
                   (strstr(path, "/map_") == NULL || strstr(path, "_trees") != NULL)) {
            compare_file(c, path, &lt_pb_tensor_message, &onnx__tensor_proto__descriptor);
            count++;
        } else if (depth > 0) {
            count += walk(c, path, depth - 1);
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
    return count;
}

static void decoders_agree(void **state)
{
    comparison c = { 0 };
    const char *shared = getenv("LATHE_SHARED");
    char path[1024];
    (void)state;
    int count = walk(&c, LATHE_SOURCE_DIR "/tests/data/onnx/good", 3) + walk(&c, LATHE_SOURCE_DIR "/tests/fixtures", 0);
    assert_true(count > 190);
    if (shared != NULL) {
        snprintf(path, sizeof path, "%s/models/skeletons", shared);
        count += walk(&c, path, 0);
    }
    count += walk(&c, "/usr/share/libonnx-testdata/data", 4);
    print_message("%d files, %zu fields\n", count, c.fields);
    assert_int_equal(c.problems, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decoders_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
#else
int main(void)
{
    return 77; /* skipped: protobuf-c or onnx.proto is missing */
}
#endif
