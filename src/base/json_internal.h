/*
 * json_internal.h - shared by the two JSON files. Private to base.
 */
#ifndef LT_JSON_INTERNAL_H
#define LT_JSON_INTERNAL_H

#include <stddef.h>

/* Bytes of the UTF-8 character at p; 0 when it is not one, *bad then counts the bytes to replace (its longest
   valid beginning). */
int lt_utf8_length(const unsigned char *p, size_t left, int *bad);

#endif
