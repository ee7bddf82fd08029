/*
 * q8_dot__vnni.c - quantized products with AVX-512 VNNI (q8_dot.inc).
 */
#define LT_LEVEL vnni
#include "backend/cpu/q8_dot.inc"

LT_TACTICS(q8_dot_vnni) = {
    Q8_TACTICS{ .name = NULL },
};
