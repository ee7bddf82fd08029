/*
 * radix_order.h - numbers in order by their bits. Private to src/backend/cpu.
 */
#ifndef LT_RADIX_ORDER_H
#define LT_RADIX_ORDER_H

#include <stdint.h>

/*
 * Ascending by the upper 32 bits, what is equal there in its old order. Uses both arrays, n numbers each; the result is the one that is returned.
 */
uint64_t *lt_radix_order(uint64_t *keys, uint64_t *other, int64_t n);

#endif
