/*
 * study_sorted.c - maps in the order of their keys: a map is what it is in any order. For comparing, in `lathe compare` and `lathe conformance`.
 */
#include "study/study.h"
#include <stdlib.h>
#include <string.h>

typedef struct entry {
    int64_t number;
    lt_string text; /* of keys that are texts */
    int64_t place;
} entry;

static int by_key(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    size_t least = x->text.length < y->text.length ? x->text.length : y->text.length;
    int order = least > 0 ? memcmp(x->text.data, y->text.data, least) : 0;
    if (order != 0) {
        return order;
    }
    if (x->text.length != y->text.length) {
        return x->text.length < y->text.length ? -1 : 1;
    }
    return x->number != y->number ? (x->number < y->number ? -1 : 1) : x->place < y->place ? -1 : x->place > y->place;
}

static entry *sort(const lt_tensor *keys, lt_arena *arena)
{
    int64_t count = lt_tensor_count(keys);
    entry *list = LT_ARENA_ARRAY(arena, entry, (size_t)count + 1);
    for (int64_t i = 0; list && i < count; i++) {
        list[i] = (entry){ .place = i };
        if (keys->dtype == LATHE_DTYPE_STRING) {
            list[i].text = ((const lt_string *)keys->data)[i];
        } else {
            list[i].number = lt_load_i64(keys->dtype, keys->data, i);
        }
    }
    if (list && count > 1) {
        qsort(list, (size_t)count, sizeof *list, by_key);
    }
    return list;
}

static lathe_status gather(const lt_tensor *from, const entry *order, int64_t count, lt_arena *arena, lt_tensor *to, lathe_diag *diag)
{
    size_t row = count > 0 ? from->bytes / (size_t)count : 0;
    LT_TRY(lt_tensor_alloc(arena, to, from->dtype, from->rank, from->dims, "a map", diag));
    to->struct_size = sizeof *to;
    for (int64_t i = 0; row > 0 && i < count; i++) {
        memcpy((char *)to->data + (size_t)i * row, (const char *)from->data + (size_t)order[i].place * row, row);
    }
    return LATHE_OK;
}

/* Keys in a vector, a whole number of bytes of values for each; others cannot be told apart. */
static bool sortable(const lt_any *any)
{
    if (any->cls != LT_MAP || any->count != 2 || any->items[0].cls != LT_TENSOR || any->items[1].cls != LT_TENSOR) {
        return false;
    }
    const lt_tensor *keys = &any->items[0].tensor, *values = &any->items[1].tensor;
    return keys->rank == 1 && values->rank > 0 && values->dims[0] == keys->dims[0] && lathe_dtype_bits(values->dtype) % 8 == 0 &&
           (keys->dtype == LATHE_DTYPE_STRING || lt_dtype_is_integer(keys->dtype));
}

lathe_status lt_study_sorted(const lt_any *any, lt_arena *arena, lt_any *out, lathe_diag *diag)
{
    *out = *any;
    if (!sortable(any)) {
        return LATHE_OK;
    }
    int64_t count = any->items[0].tensor.dims[0];
    const entry *order = sort(&any->items[0].tensor, arena);
    out->items = LT_ARENA_ARRAY(arena, lt_any, 2);
    if (!order || !out->items) {
        return LT_OOM(diag);
    }
    for (int i = 0; i < 2; i++) {
        out->items[i] = (lt_any){ .cls = LT_TENSOR };
        LT_TRY(gather(&any->items[i].tensor, order, count, arena, &out->items[i].tensor, diag));
    }
    return LATHE_OK;
}
