/*
 * wire.h - the protobuf wire format below the messages: what a cursor read, and the little encoder. Part of onnx.
 *
 * It must not know what the messages of ONNX look like.
 */
#ifndef LT_WIRE_H
#define LT_WIRE_H

#include "onnx/onnx.h"

enum { LT_WIRE_VARINT = 0, LT_WIRE_FIXED64 = 1, LT_WIRE_BYTES = 2, LT_WIRE_FIXED32 = 5 };

/*
 * As lt_wire_next, without a diag: NULL when fine, else what is wrong (a literal). The cursor then stays where the bad
 * field begins.
 */
const char *lt_wire_read(lt_wire *wire, lt_wire_field *field, bool *more);
/* One varint; NULL when fine. */
const char *lt_wire_varint(lt_wire *wire, uint64_t *value);

/* ---- Writing: appends to a buffer; a failed allocation shows in buf->failed ---- */

void lt_wire_put_int(lt_buf *buf, uint32_t number, int64_t value);
void lt_wire_put_f32(lt_buf *buf, uint32_t number, float value);
void lt_wire_put_bytes(lt_buf *buf, uint32_t number, const void *data, size_t size);
void lt_wire_put_str(lt_buf *buf, uint32_t number, const char *text);
void lt_wire_put_ints(lt_buf *buf, uint32_t number, const int64_t *values, size_t count, bool packed);
void lt_wire_put_floats(lt_buf *buf, uint32_t number, const float *values, size_t count);
/*
 * A nested message: everything that is written between begin and end. end moves the body by the bytes of its length
 * prefix.
 */
size_t lt_wire_begin(lt_buf *buf, uint32_t number);
void lt_wire_end(lt_buf *buf, size_t mark);

#endif
