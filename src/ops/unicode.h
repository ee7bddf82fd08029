/*
 * unicode.h - UTF-8 and facts about code points, for the operators on strings. Private to src/ops.
 */
#ifndef LT_UNICODE_H
#define LT_UNICODE_H

#include "ops/ops.h"

enum { LT_UNI_LAST = 0x10ffff };

/*
 * The code point at text, and the number of bytes that it has. A byte that begins no well-formed sequence is one of its own: -1,
 * *bytes 1. length > 0.
 */
int32_t lt_utf8_read(const char *text, size_t length, size_t *bytes);
/* Writes a code point; the number of bytes, at most 4. */
size_t lt_utf8_write(uint32_t c, char out[4]);

/* The tables (unicode_case.c): simple mappings, locale does not matter. */
uint32_t lt_uni_lower(uint32_t c);
uint32_t lt_uni_upper(uint32_t c);
/* The next code point that is the same but for case; again and again it comes back to c. */
uint32_t lt_uni_next_case(uint32_t c);
/* The first code point from c on that has other cases; one above LT_UNI_LAST when there is none. */
uint32_t lt_uni_cased_from(uint32_t c);
int lt_uni_category(uint32_t c);
/* The set (bit i: category i) that a name like "Lu" or "L" means; 0: there is none. Unassigned code points (Cn, number 0) are in none. */
uint32_t lt_uni_categories(const char *name, size_t length);
/* White_Space, and the four separators U+001C..U+001F. */
bool lt_uni_is_space(int32_t c);

#endif
