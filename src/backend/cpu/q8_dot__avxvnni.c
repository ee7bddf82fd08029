/*
 * q8_dot__avxvnni.c - quantized products with AVX-VNNI (q8_dot.inc).
 */
#define LT_LEVEL avxvnni
#include "backend/cpu/q8_dot.inc"

LT_TACTICS(q8_dot_avxvnni) = {
    Q8_TACTICS{ .name = NULL },
};
