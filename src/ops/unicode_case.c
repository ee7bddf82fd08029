/*
 * unicode_case.c - case and general categories of code points, looked up in generated tables. Used by the operators on strings (unicode.h).
 */
#include "ops/unicode.h"

#include <string.h>

#include "ops/unicode_tables.inc"

/* The first row that ends at c or behind it. */
static size_t row_at(const row *rows, size_t count, uint32_t c)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (rows[middle].last < c) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static uint32_t map_by(const row *rows, size_t count, uint32_t c)
{
    size_t low = row_at(rows, count, c);
    if (low < count && rows[low].first <= c && (c - rows[low].first) % rows[low].step == 0) {
        return (uint32_t)((int64_t)c + rows[low].delta);
    }
    return c;
}

uint32_t lt_uni_lower(uint32_t c)
{
    return map_by(lower, LT_COUNT(lower), c);
}

uint32_t lt_uni_upper(uint32_t c)
{
    return map_by(upper, LT_COUNT(upper), c);
}

uint32_t lt_uni_next_case(uint32_t c)
{
    return map_by(orbit, LT_COUNT(orbit), c);
}

uint32_t lt_uni_cased_from(uint32_t c)
{
    size_t i = row_at(orbit, LT_COUNT(orbit), c);
    if (i == LT_COUNT(orbit)) {
        return LT_UNI_LAST + 1;
    }
    uint32_t first = orbit[i].first, step = orbit[i].step;
    return c <= first ? first : first + (c - first + step - 1) / step * step;
}

int lt_uni_category(uint32_t c)
{
    size_t low = 0, high = LT_COUNT(categories);
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (categories[middle] >> 5 <= c) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return (int)(categories[low] & 31);
}

uint32_t lt_uni_categories(const char *name, size_t length)
{
    uint32_t set = 0;
    for (int i = 1; length > 0 && length <= 2 && i < (int)(sizeof category_names / 2); i++) {
        set |= memcmp(category_names + 2 * i, name, length) == 0 ? 1u << i : 0;
    }
    return set;
}
