/*
 * wire.c - a bounded cursor over protobuf bytes: one field at a time, nothing allocated, nothing recursive.
 *
 * Called by the message decoder, by tests that compare it with protobuf-c and by the surgeon. It must not know
 * messages.
 */
#include "onnx/wire.h"

#include <string.h>

const char *lt_wire_varint(lt_wire *wire, uint64_t *value)
{
    uint64_t result = 0;
    const unsigned char *at = wire->at;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        if (at == wire->end) {
            return "the bytes end inside a number";
        }
        unsigned char byte = *at++;
        if (shift == 63 && byte > 1) {
            return "a number does not fit 64 bits";
        }
        result |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            wire->at = at;
            *value = result;
            return NULL;
        }
    }
    return "a number does not fit 64 bits";
}

/* Little-endian, whatever the machine and the alignment. */
static uint64_t load_fixed(const unsigned char *data, unsigned bytes)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; i++) {
        value |= (uint64_t)data[i] << (8 * i);
    }
    return value;
}

static const char *read_fixed(lt_wire *wire, lt_wire_field *field, unsigned bytes)
{
    if ((size_t)(wire->end - wire->at) < bytes) {
        return "the bytes end inside a fixed-size number";
    }
    field->data = wire->at;
    field->size = bytes;
    field->varint = load_fixed(wire->at, bytes);
    wire->at += bytes;
    return NULL;
}

static const char *read_payload(lt_wire *wire, lt_wire_field *field)
{
    uint64_t size;
    const char *problem;
    switch (field->type) {
    case LT_WIRE_VARINT:
        return lt_wire_varint(wire, &field->varint);
    case LT_WIRE_FIXED64:
        return read_fixed(wire, field, 8);
    case LT_WIRE_FIXED32:
        return read_fixed(wire, field, 4);
    case LT_WIRE_BYTES:
        problem = lt_wire_varint(wire, &size);
        if (problem != NULL) {
            return problem;
        }
        if (size > (uint64_t)(wire->end - wire->at)) {
            return "a length reaches beyond the end of the bytes";
        }
        field->data = wire->at;
        field->size = (size_t)size;
        wire->at += size;
        return NULL;
    case 3:
    case 4:
        return "groups are not part of ONNX";
    default:
        return "a field has an unknown wire type";
    }
}

const char *lt_wire_read(lt_wire *wire, lt_wire_field *field, bool *more)
{
    const unsigned char *start = wire->at;
    uint64_t key;
    memset(field, 0, sizeof *field);
    *more = wire->at != wire->end;
    if (!*more) {
        return NULL;
    }
    const char *problem = lt_wire_varint(wire, &key);
    if (problem == NULL) {
        field->type = (uint32_t)(key & 7);
        if (key >> 3 == 0) {
            problem = "a field has number 0";
        } else if (key >> 3 > 0x1fffffff) {
            problem = "a field number is out of range";
        } else {
            field->number = (uint32_t)(key >> 3);
            problem = read_payload(wire, field);
        }
    }
    if (problem != NULL) {
        wire->at = start;
        *more = false;
    }
    return problem;
}

lathe_status lt_wire_next(lt_wire *wire, lt_wire_field *field, bool *more, lathe_diag *diag)
{
    const char *problem = lt_wire_read(wire, field, more);
    if (problem != NULL) {
        return LT_FAIL(diag, LATHE_BAD_MODEL, NULL, "the file is damaged, cut short or no ONNX file", "%s", problem);
    }
    return LATHE_OK;
}
