/*
 * wire_write.c - appends protobuf fields to a buffer. Called by the exporter and the tensor writer; knows no messages.
 */
#include "onnx/wire.h"

#include <string.h>

static size_t encode_varint(uint64_t value, unsigned char out[10])
{
    size_t n = 0;
    while (value >= 0x80) {
        out[n++] = (unsigned char)(value | 0x80);
        value >>= 7;
    }
    out[n++] = (unsigned char)value;
    return n;
}

static void put_varint(lt_buf *buf, uint64_t value)
{
    unsigned char bytes[10];
    lt_buf_put(buf, bytes, encode_varint(value, bytes));
}

static void put_key(lt_buf *buf, uint32_t number, uint32_t type)
{
    put_varint(buf, (uint64_t)number << 3 | type);
}

static void put_fixed32(lt_buf *buf, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    unsigned char bytes[4];
    for (unsigned i = 0; i < 4; i++) {
        bytes[i] = (unsigned char)(bits >> (8 * i));
    }
    lt_buf_put(buf, bytes, sizeof bytes);
}

void lt_wire_put_int(lt_buf *buf, uint32_t number, int64_t value)
{
    put_key(buf, number, LT_WIRE_VARINT);
    put_varint(buf, (uint64_t)value);
}

void lt_wire_put_f32(lt_buf *buf, uint32_t number, float value)
{
    put_key(buf, number, LT_WIRE_FIXED32);
    put_fixed32(buf, value);
}

void lt_wire_put_bytes(lt_buf *buf, uint32_t number, const void *data, size_t size)
{
    put_key(buf, number, LT_WIRE_BYTES);
    put_varint(buf, size);
    if (size > 0) {
        lt_buf_put(buf, data, size);
    }
}

void lt_wire_put_str(lt_buf *buf, uint32_t number, const char *text)
{
    lt_wire_put_bytes(buf, number, text, strlen(text));
}

void lt_wire_put_ints(lt_buf *buf, uint32_t number, const int64_t *values, size_t count, bool packed)
{
    if (!packed) {
        for (size_t i = 0; i < count; i++) {
            lt_wire_put_int(buf, number, values[i]);
        }
        return;
    }
    size_t mark = lt_wire_begin(buf, number);
    for (size_t i = 0; i < count; i++) {
        put_varint(buf, (uint64_t)values[i]);
    }
    lt_wire_end(buf, mark);
}

void lt_wire_put_floats(lt_buf *buf, uint32_t number, const float *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        lt_wire_put_f32(buf, number, values[i]);
    }
}

size_t lt_wire_begin(lt_buf *buf, uint32_t number)
{
    put_key(buf, number, LT_WIRE_BYTES);
    return buf->length;
}

void lt_wire_end(lt_buf *buf, size_t mark)
{
    if (buf->failed || mark > buf->length) {
        return;
    }
    unsigned char prefix[10];
    size_t body = buf->length - mark;
    size_t n = encode_varint(body, prefix);
    lt_buf_put(buf, prefix, n); /* makes the room */
    if (!buf->failed) {
        memmove(buf->data + mark + n, buf->data + mark, body);
        memcpy(buf->data + mark, prefix, n);
    }
}
