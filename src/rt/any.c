/*
 * any.c - lathe_any: values that are no tensors, as callers make and read them. Knows no engine; binding is the business of context.c.
 *
 * What lathe_any_create makes is an lt_any with its allocator behind it, and owns every block below: arrays of items, whose capacity follows from the
 * count, elements of tensors, bytes of strings behind the elements that show them.
 */
#include "rt/rt_internal.h"
#include <string.h>

_Static_assert((int)LT_TENSOR == (int)LATHE_KIND_TENSOR && (int)LT_SEQUENCE == (int)LATHE_KIND_SEQUENCE && (int)LT_OPTIONAL == (int)LATHE_KIND_OPTIONAL &&
                   (int)LT_MAP == (int)LATHE_KIND_MAP,
               "kinds have the numbers of the inside");

typedef struct owned_any {
    lt_any any; /* first: what the caller holds */
    const lathe_allocator *allocator;
} owned_any;

static const lathe_allocator *allocator_of(const lathe_any *any)
{
    return ((const owned_any *)(const void *)any)->allocator;
}

/* Room for that many items: none, 4, 8, 16, ... */
static size_t capacity_for(size_t count)
{
    size_t capacity = count > 0 ? 4 : 0;
    while (capacity < count && capacity <= SIZE_MAX / 2) {
        capacity *= 2;
    }
    return capacity;
}

/* ---- Releasing ---- */

/* Elements, and behind them the bytes of strings. */
static size_t block_of(const lt_tensor *t)
{
    size_t bytes = t->bytes;
    const lt_string *strings = t->dtype == LATHE_DTYPE_STRING ? t->data : NULL;
    for (size_t i = 0; strings && i < t->bytes / sizeof *strings; i++) {
        bytes += strings[i].length;
    }
    return bytes;
}

static void drop_items(const lathe_allocator *allocator, lt_any *any);

/* Nesting is bounded where items come in. */
static void drop(const lathe_allocator *allocator, lt_any *any)
{
    if (any->cls != LT_TENSOR) {
        drop_items(allocator, any);
    } else if (any->tensor.data) {
        lt_release(allocator, any->tensor.data, block_of(&any->tensor), 64);
    }
}

static void drop_items(const lathe_allocator *allocator, lt_any *any)
{
    for (size_t i = 0; i < any->count; i++) {
        drop(allocator, &any->items[i]);
    }
    lt_release(allocator, any->items, capacity_for(any->count) * sizeof *any->items, _Alignof(lt_any));
    any->items = NULL;
    any->count = 0;
}

/* ---- Copying ---- */

static lathe_status check_tensor(const lathe_tensor *t, lathe_diag *diag)
{
    lathe_tensor shape;
    if (!t || t->struct_size != sizeof *t) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, NULL, "set struct_size to sizeof(lathe_tensor)", "bad tensor for a sequence, optional or map");
    }
    if ((unsigned)t->dtype >= LATHE_DTYPE_COUNT || lt_dtype_get(t->dtype)->kind == LT_KIND_NONE) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, NULL, NULL, "%d is no element type", (int)t->dtype);
    }
    LT_TRY(lt_tensor_shape(&shape, t->dtype, t->rank, t->dims, "item", diag));
    if (t->bytes != shape.bytes || (!t->data && shape.bytes > 0)) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, NULL, "bytes must be what dtype and dims make", "the item needs %zu bytes, the tensor has %zu", shape.bytes,
                       t->data ? t->bytes : 0);
    }
    return LATHE_OK;
}

static lathe_status copy_tensor(const lathe_allocator *allocator, const lt_tensor *from, lt_tensor *to, lathe_diag *diag)
{
    size_t block = from->bytes, at = from->bytes;
    const lt_string *strings = from->dtype == LATHE_DTYPE_STRING ? from->data : NULL;
    size_t count = strings ? from->bytes / sizeof *strings : 0;
    for (size_t i = 0; i < count; i++) {
        if (!lt_size_add(block, strings[i].length, &block)) {
            return LT_FAIL(diag, LATHE_OVERFLOW, NULL, NULL, "the strings of an item are too long");
        }
    }
    char *data = lt_alloc(allocator, block, 64);
    if (!data) {
        return LT_OOM(diag);
    }
    *to = *from;
    to->struct_size = sizeof *to;
    to->data = data;
    if (from->bytes > 0) {
        memcpy(data, from->data, from->bytes);
    }
    for (size_t i = 0; i < count; i++) {
        if (strings[i].length > 0) {
            memcpy(data + at, strings[i].data, strings[i].length);
        }
        ((lt_string *)to->data)[i].data = data + at;
        at += strings[i].length;
    }
    return LATHE_OK;
}

/* After a failure there is nothing to release. */
static lathe_status copy(const lathe_allocator *allocator, const lt_any *from, lt_any *to, int depth, lathe_diag *diag)
{
    if (depth >= LATHE_MAX_NESTING) {
        return LT_FAIL(diag, LATHE_UNSUPPORTED, NULL, NULL, "values nest deeper than %d", LATHE_MAX_NESTING - 1);
    }
    if (from->cls == LT_TENSOR) {
        *to = (lt_any){.cls = LT_TENSOR};
        return copy_tensor(allocator, &from->tensor, &to->tensor, diag);
    }
    lt_any made = {.cls = from->cls, .tensor = {.struct_size = sizeof(lt_tensor), .dtype = from->tensor.dtype}};
    if (from->count > 0) {
        made.items = lt_alloc_array(allocator, capacity_for(from->count), sizeof *made.items, _Alignof(lt_any));
        if (!made.items) {
            return LT_OOM(diag);
        }
    }
    made.count = from->count; /* items that are still zero are tensors without a block */
    for (size_t i = 0; i < from->count; i++) {
        lathe_status status = copy(allocator, &from->items[i], &made.items[i], depth + 1, diag);
        if (status != LATHE_OK) {
            drop_items(allocator, &made);
            return status;
        }
    }
    *to = made;
    return LATHE_OK;
}

/* ---- Making and changing ---- */

lathe_status lathe_any_create(const lathe_allocator *allocator, lathe_kind kind, lathe_any **out, lathe_diag *diag)
{
    if (!out || (unsigned)kind > LATHE_KIND_MAP || kind == LATHE_KIND_TENSOR) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, NULL, "ask for a sequence, an optional or a map", "bad arguments to lathe_any_create");
    }
    *out = NULL;
    owned_any *made = LT_NEW(allocator, owned_any);
    if (!made) {
        return LT_OOM(diag);
    }
    made->any.cls = (lt_value_class)kind;
    made->any.tensor.struct_size = sizeof(lt_tensor);
    made->allocator = allocator;
    *out = &made->any;
    return LATHE_OK;
}

void lathe_any_destroy(lathe_any *any)
{
    if (any) {
        owned_any *made = (owned_any *)(void *)any;
        drop_items(made->allocator, any);
        LT_DELETE(made->allocator, made);
    }
}

void lathe_any_clear(lathe_any *any)
{
    if (any) {
        drop_items(allocator_of(any), any);
    }
}

static lathe_status check_place(const lathe_any *any, size_t index, lathe_diag *diag)
{
    if (!any || any->cls == LT_TENSOR) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, NULL, NULL, "only sequences, optionals and maps have items");
    }
    if (any->cls == LT_MAP && index > 1) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, NULL, "item 0 of a map is its keys, item 1 its values", "a map has no item %zu", index);
    }
    if (index > any->count || (any->cls == LT_OPTIONAL && index > 0)) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, NULL, "index is at most the number of items", "there is no item %zu among %zu", index, any->count);
    }
    return LATHE_OK;
}

/* The new item takes the place of the old one, or comes behind the last. It is the caller's to release after a failure. */
static lathe_status set_item(lathe_any *any, size_t index, const lt_any *item, lathe_diag *diag)
{
    const lathe_allocator *allocator = allocator_of(any);
    if (index < any->count) {
        drop(allocator, &any->items[index]);
        any->items[index] = *item;
        return LATHE_OK;
    }
    size_t have = capacity_for(any->count), need = capacity_for(any->count + 1);
    if (need > have) {
        lt_any *grown = lt_alloc_array(allocator, need, sizeof *grown, _Alignof(lt_any));
        if (!grown) {
            return LT_OOM(diag);
        }
        if (any->count > 0) {
            memcpy(grown, any->items, any->count * sizeof *grown);
        }
        lt_release(allocator, any->items, have * sizeof *grown, _Alignof(lt_any));
        any->items = grown;
    }
    any->items[any->count++] = *item;
    return LATHE_OK;
}

lathe_status lathe_any_put_any(lathe_any *any, size_t index, const lathe_any *item, lathe_diag *diag)
{
    lt_any made;
    LT_TRY(check_place(any, index, diag));
    if (!item || (any->cls == LT_MAP && item->cls != LT_TENSOR)) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, NULL, NULL, item ? "the keys and the values of a map are tensors" : "there is no item to put");
    }
    LT_TRY(copy(allocator_of(any), item, &made, 1, diag));
    lathe_status status = set_item(any, index, &made, diag);
    if (status != LATHE_OK) {
        drop(allocator_of(any), &made);
    }
    return status;
}

lathe_status lathe_any_put(lathe_any *any, size_t index, const lathe_tensor *tensor, lathe_diag *diag)
{
    LT_TRY(check_place(any, index, diag));
    LT_TRY(check_tensor(tensor, diag));
    lt_any *old = index < any->count ? &any->items[index] : NULL;
    if (old && old->cls == LT_TENSOR && old->tensor.dtype == tensor->dtype && tensor->dtype != LATHE_DTYPE_STRING && old->tensor.bytes == tensor->bytes) {
        void *data = old->tensor.data;
        if (tensor->bytes > 0) {
            memmove(data, tensor->data, tensor->bytes); /* it may be a view of this very item */
        }
        old->tensor = *tensor;
        old->tensor.data = data;
        return LATHE_OK;
    }
    lt_any view = {.cls = LT_TENSOR, .tensor = *tensor};
    return lathe_any_put_any(any, index, &view, diag);
}

/* ---- Reading ---- */

lathe_kind lathe_any_kind(const lathe_any *any)
{
    return any ? (lathe_kind)any->cls : LATHE_KIND_TENSOR;
}

size_t lathe_any_count(const lathe_any *any)
{
    return any && any->cls != LT_TENSOR ? any->count : 0;
}

const lathe_any *lathe_any_at(const lathe_any *any, size_t index)
{
    return index < lathe_any_count(any) ? &any->items[index] : NULL;
}

lathe_status lathe_any_tensor(const lathe_any *any, lathe_tensor *tensor, lathe_diag *diag)
{
    if (!any || any->cls != LT_TENSOR || !tensor) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, NULL, "lathe_any_kind tells what it is", "there is no such tensor");
    }
    *tensor = any->tensor;
    tensor->struct_size = sizeof *tensor;
    return LATHE_OK;
}

/* ---- What suits an input ---- */

static const char *const names[] = {"a tensor", "a sequence", "an optional", "a map"};

static lathe_status check_leaf(const lt_plan_kind *kind, const char *name, const lt_tensor *t, lathe_diag *diag)
{
    if (kind->dtype != LATHE_DTYPE_UNDEFINED && t->dtype != kind->dtype) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, name, "convert the data", "input '%s' holds tensors of %s, an item is %s", name,
                       lt_dtype_get(kind->dtype)->name, lt_dtype_get(t->dtype)->name);
    }
    if (kind->rank >= 0 && t->rank != kind->rank) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, name, "reshape the data", "input '%s' holds tensors of rank %d, an item has rank %d", name, kind->rank, t->rank);
    }
    for (int i = 0; i < kind->rank; i++) {
        if (kind->fixed[i] >= 0 && kind->fixed[i] != t->dims[i]) {
            return LT_FAIL(diag, LATHE_BAD_SHAPE, name, "give the extent that the model fixes", "input '%s' holds tensors of extent %lld on axis %d, an item has %lld",
                           name, (long long)kind->fixed[i], i, (long long)t->dims[i]);
        }
    }
    return LATHE_OK;
}

/* Each row of the values is what the model calls a value; a vector also serves where that has one element. */
static lathe_status check_values(const lt_plan_kind *kind, const char *name, const lt_tensor *values, int64_t count, lathe_diag *diag)
{
    bool single = true;
    for (int i = 0; i < kind->rank; i++) {
        single = single && (kind->fixed[i] < 0 || kind->fixed[i] == 1);
    }
    if (values->rank < 1 || values->dims[0] != count) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, name, "give a row for each key", "a map for input '%s' has %lld keys and %lld values", name, (long long)count,
                       (long long)(values->rank > 0 ? values->dims[0] : 1));
    }
    lt_tensor row = {.dtype = values->dtype, .rank = values->rank - 1};
    memcpy(row.dims, values->dims + 1, (size_t)row.rank * sizeof *row.dims);
    if (single && kind->rank > 0 && row.rank == 0) {
        row.rank = kind->rank;
        for (int i = 0; i < row.rank; i++) {
            row.dims[i] = 1;
        }
    }
    return check_leaf(kind, name, &row, diag);
}

static lathe_status check_map(const lt_plan_kind *kind, const char *name, const lt_any *any, int depth, lathe_diag *diag)
{
    if (kind->cls[depth + 1] != LT_TENSOR) {
        return LT_FAIL(diag, LATHE_UNSUPPORTED, name, NULL, "input '%s' is a map of values that are no tensors", name);
    }
    if (any->count == 0) {
        return LATHE_OK;
    }
    if (any->count != 2 || any->items[0].cls != LT_TENSOR || any->items[1].cls != LT_TENSOR) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, name, "put a tensor of values as item 1", "a map for input '%s' has keys and no values", name);
    }
    const lt_tensor *keys = &any->items[0].tensor;
    if (keys->dtype != kind->key[depth] && kind->key[depth] != LATHE_DTYPE_UNDEFINED) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, name, "lathe_engine_io tells the type of the keys", "input '%s' wants keys of type %s, they are %s", name,
                       lt_dtype_get(kind->key[depth])->name, lt_dtype_get(keys->dtype)->name);
    }
    if (keys->rank != 1) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, name, "give the keys as a vector", "the keys of a map for input '%s' have rank %d", name, keys->rank);
    }
    return check_values(kind, name, &any->items[1].tensor, keys->dims[0], diag);
}

static lathe_status check_at(const lt_plan_kind *kind, const char *name, const lt_any *any, int depth, lathe_diag *diag)
{
    lt_value_class want = kind->cls[depth];
    if (any->cls != want) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, name, "lathe_engine_io tells the kinds of an input and of its items",
                       depth > 0 ? "input '%s' wants %s as an item, it is given %s" : "input '%s' is %s, it is given %s", name, names[want], names[any->cls]);
    }
    if (want == LT_MAP) {
        return check_map(kind, name, any, depth, diag);
    }
    if (want == LT_TENSOR) {
        return check_leaf(kind, name, &any->tensor, diag);
    }
    for (size_t i = 0; i < any->count; i++) { /* kinds end with tensors */
        LT_TRY(check_at(kind, name, &any->items[i], depth + 1, diag));
    }
    return LATHE_OK;
}

lathe_status lt_any_check(const lt_plan_kind *kind, const char *name, const lt_any *any, lathe_diag *diag)
{
    return check_at(kind, name, any, 0, diag);
}
