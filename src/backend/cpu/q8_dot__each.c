/*
 * q8_dot__each.c - quantized products at every level that all files have (q8_dot.inc).
 */
#include "backend/cpu/q8_dot.inc"

LT_TACTICS(LT_EACH(q8_dot)) = {
    Q8_TACTICS{ .name = NULL },
};
