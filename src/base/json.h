/*
 * json.h - a JSON writer that cannot produce bad nesting silently, and a bounded reader. Part of base.
 */
#ifndef LT_JSON_H
#define LT_JSON_H

#include "base/alloc.h"
#include "base/text.h"

typedef struct lt_json {
    lt_buf *out;
    int depth;
    bool pretty;
    uint64_t comma, object; /* one bit a level */
    bool keyed, comma_root; /* a key waits for its value; a document was begun */
} lt_json;

void lt_json_init(lt_json *json, lt_buf *out, bool pretty);
void lt_json_begin_object(lt_json *json);
void lt_json_end_object(lt_json *json);
void lt_json_begin_array(lt_json *json);
void lt_json_end_array(lt_json *json);
void lt_json_key(lt_json *json, const char *key);
void lt_json_string(lt_json *json, const char *text); /* invalid UTF-8 is written as U+FFFD */
void lt_json_i64(lt_json *json, int64_t value);
void lt_json_u64(lt_json *json, uint64_t value);
void lt_json_f64(lt_json *json, double value); /* NaN and infinities become null */
void lt_json_f32(lt_json *json, float value); /* the same with the digits that an f32 needs */
void lt_json_bool(lt_json *json, bool value);
void lt_json_null(lt_json *json);

typedef enum lt_json_kind { LT_JSON_NULL, LT_JSON_BOOL, LT_JSON_NUMBER, LT_JSON_STRING, LT_JSON_ARRAY, LT_JSON_OBJECT } lt_json_kind;
typedef struct lt_json_value {
    lt_json_kind kind;
    bool boolean;
    double number;
    const char *string; /* NUL-terminated copy */
    size_t count;
    const char **keys; /* of objects */
    struct lt_json_value *items;
} lt_json_value;

/* Depth at most LT_MAX_DEPTH. Everything lives in the arena. */
lathe_status lt_json_parse(lt_arena *arena, const char *text, size_t length, lt_json_value **out, lathe_diag *diag);
const lt_json_value *lt_json_member(const lt_json_value *object, const char *key); /* NULL when absent */

#endif
