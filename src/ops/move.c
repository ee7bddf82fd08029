/*
 * move.c - evaluation helpers of the operators that move elements: strided copies, ownership of strings, storage
 * below a byte, axes. The inference half is move_infer.c. Knows no operator.
 */
#include "ops/move.h"

#include <string.h>

size_t lt_elem_bytes(lathe_dtype dtype)
{
    return dtype == LATHE_DTYPE_STRING ? sizeof(lt_string) : lathe_dtype_bits(dtype) / 8;
}

void lt_copy_bytes(void *dst, const void *src, size_t bytes)
{
    if (bytes > 0) {
        memcpy(dst, src, bytes);
    }
}

void *lt_eval_scratch(lt_eval *c, int64_t count, size_t size)
{
    size_t bytes;
    void *data = NULL;
    if (count >= 0 && lt_size_mul((size_t)count, size, &bytes)) {
        data = lt_arena_alloc(c->scratch, bytes > 0 ? bytes : 1, 64);
    }
    if (data == NULL) {
        LT_OOM(c->diag);
    }
    return data;
}

lathe_status lt_own_strings(lt_eval *c, lt_tensor *tensor)
{
    if (tensor->dtype != LATHE_DTYPE_STRING) {
        return LATHE_OK;
    }
    lt_string *strings = tensor->data;
    int64_t count = lt_tensor_count(tensor);
    for (int64_t i = 0; i < count; i++) {
        LT_TRY(lt_eval_string(c, strings[i].data, strings[i].length, &strings[i]));
    }
    return LATHE_OK;
}

lathe_status lt_copy_elements(lt_eval *c, int i, const lt_tensor *from)
{
    lt_tensor *to = lt_out(c, i);
    if (to == NULL) {
        return LATHE_OK;
    }
    LT_CHECK(c->diag, to->bytes == from->bytes, c->where);
    lt_copy_bytes(to->data, from->data, from->bytes);
    return lt_own_strings(c, to);
}

lathe_status lt_eval_view(lt_eval *c)
{
    return lt_copy_elements(c, 0, lt_in(c, 0));
}

/* ---- Deep copies ---- */

/* Where a copy's memory comes from: c->keep, or an arena. */
typedef struct source {
    lt_eval *c;
    lt_arena *arena; /* NULL: c->keep */
} source;

static void *take(const source *from, size_t size, size_t align)
{
    size = size > 0 ? size : 1;
    return from->arena != NULL ? lt_arena_alloc(from->arena, size, align) : from->c->keep(from->c, size, align);
}

static lathe_status clone_tensor(const source *memory, const lt_tensor *from, lt_tensor *to)
{
    *to = *from;
    to->data = take(memory, from->bytes, 64);
    if (to->data == NULL) {
        return LT_OOM(memory->c->diag);
    }
    lt_copy_bytes(to->data, from->data, from->bytes);
    int64_t count = from->dtype == LATHE_DTYPE_STRING ? lt_tensor_count(from) : 0;
    lt_string *strings = to->data;
    for (int64_t i = 0; i < count; i++) {
        char *bytes = take(memory, strings[i].length, 1);
        if (bytes == NULL) {
            return LT_OOM(memory->c->diag);
        }
        lt_copy_bytes(bytes, strings[i].data, strings[i].length);
        strings[i].data = bytes;
    }
    return LATHE_OK;
}

/* Containers nest at most a few levels; depth guards against a broken value. */
static lathe_status clone_any(const source *memory, const lt_any *from, lt_any *to, int depth)
{
    *to = (lt_any){ .cls = from->cls };
    if (from->cls == LT_TENSOR) {
        return clone_tensor(memory, &from->tensor, &to->tensor);
    }
    if (depth > LT_MAX_DEPTH) {
        return lt_eval_fail(memory->c, "containers are nested deeper than %d", LT_MAX_DEPTH);
    }
    to->tensor = from->tensor; /* the element type of an empty container, never data */
    to->tensor.data = NULL;
    to->items = lt_take_items(memory->c, memory->arena, from->count);
    if (to->items == NULL) {
        return LATHE_OUT_OF_MEMORY;
    }
    to->count = from->count;
    for (size_t k = 0; k < from->count; k++) {
        LT_TRY(clone_any(memory, &from->items[k], &to->items[k], depth + 1));
    }
    return LATHE_OK;
}

lt_any *lt_take_items(lt_eval *c, lt_arena *arena, size_t count)
{
    size_t bytes;
    void *items = NULL;
    if (lt_size_mul(count, sizeof(lt_any), &bytes)) {
        items = take(&(source){ c, arena }, bytes, _Alignof(lt_any));
    }
    if (items == NULL) {
        LT_OOM(c->diag);
    }
    return items;
}

lathe_status lt_keep_value(lt_eval *c, const lt_any *from, lt_any *to)
{
    return clone_any(&(source){ .c = c }, from, to, 0);
}

lathe_status lt_clone_value(lt_eval *c, lt_arena *arena, const lt_any *from, lt_any *to)
{
    return clone_any(&(source){ .c = c, .arena = arena }, from, to, 0);
}

lathe_status lt_copy_value(lt_eval *c, int i, const lt_any *from)
{
    if (i >= c->n_out || c->out[i] == NULL) {
        return LATHE_OK;
    }
    if (from->cls != LT_TENSOR) {
        return lt_keep_value(c, from, c->out[i]);
    }
    LT_TRY(c->make(c, i, from->tensor.dtype, from->tensor.rank, from->tensor.dims));
    return lt_copy_elements(c, i, &from->tensor);
}

/* ---- Elements below a byte ---- */

lathe_status lt_raw_in(lt_eval *c, const lt_tensor *tensor, lt_raw *raw)
{
    raw->elem = lt_elem_bytes(tensor->dtype);
    raw->data = tensor->data;
    if (raw->elem > 0) {
        return LATHE_OK;
    }
    int64_t count = lt_tensor_count(tensor);
    unsigned bits = lathe_dtype_bits(tensor->dtype), per = 8 / bits;
    unsigned char *spread = lt_eval_scratch(c, count, 1);
    if (spread == NULL) {
        return LATHE_OUT_OF_MEMORY;
    }
    const unsigned char *packed = tensor->data;
    for (int64_t i = 0; i < count; i++) {
        spread[i] = (unsigned char)((packed[i / per] >> (bits * (unsigned)(i % per))) & ((1u << bits) - 1));
    }
    raw->elem = 1;
    raw->data = (char *)spread;
    return LATHE_OK;
}

lathe_status lt_raw_out(lt_eval *c, lt_tensor *tensor, lt_raw *raw)
{
    raw->elem = lt_elem_bytes(tensor->dtype);
    raw->data = tensor->data;
    if (raw->elem == 0) {
        raw->elem = 1;
        raw->data = lt_eval_scratch(c, lt_tensor_count(tensor), 1);
        return raw->data != NULL ? LATHE_OK : LATHE_OUT_OF_MEMORY;
    }
    return LATHE_OK;
}

lathe_status lt_raw_done(lt_eval *c, lt_tensor *tensor, const lt_raw *raw)
{
    if (lt_elem_bytes(tensor->dtype) > 0) {
        return lt_own_strings(c, tensor);
    }
    int64_t count = lt_tensor_count(tensor);
    unsigned bits = lathe_dtype_bits(tensor->dtype), per = 8 / bits;
    unsigned char *packed = tensor->data;
    if (tensor->bytes > 0) {
        memset(packed, 0, tensor->bytes);
    }
    for (int64_t i = 0; i < count; i++) {
        packed[i / per] |= (unsigned char)((unsigned char)raw->data[i] << (bits * (unsigned)(i % per)));
    }
    return LATHE_OK;
}

/* ---- Boxes ---- */

void lt_box_axis(lt_box *box, int64_t dim, int64_t src, int64_t dst)
{
    if (dim == 1) {
        return;
    }
    /* An axis that continues the one outside it becomes part of it. */
    if (box->rank > 0) {
        int last = box->rank - 1;
        int64_t step_src, step_dst, joined;
        if (lt_i64_mul(src, dim, &step_src) && lt_i64_mul(dst, dim, &step_dst) &&
            lt_i64_mul(box->dims[last], dim, &joined) && box->src[last] == step_src && box->dst[last] == step_dst) {
            box->dims[last] = joined;
            box->src[last] = src;
            box->dst[last] = dst;
            return;
        }
    }
    box->dims[box->rank] = dim;
    box->src[box->rank] = src;
    box->dst[box->rank] = dst;
    box->rank++;
}

static void copy_strided(size_t elem, int64_t n, const char *src, int64_t src_step, char *dst, int64_t dst_step)
{
    for (int64_t i = 0; i < n; i++) {
        lt_copy_element(dst, src, elem);
        if (i + 1 < n) {
            src += src_step;
            dst += dst_step;
        }
    }
}

void lt_box_copy(const lt_box *box, size_t elem, const char *src, char *dst)
{
    int64_t size = (int64_t)elem, coords[LT_BOX_RANK] = { 0 };
    for (int k = 0; k < box->rank; k++) {
        if (box->dims[k] == 0) {
            return;
        }
    }
    if (box->rank == 0) {
        memcpy(dst, src, elem);
        return;
    }
    int last = box->rank - 1;
    bool run = box->src[last] == 1 && box->dst[last] == 1;
    for (;;) {
        if (run) {
            memcpy(dst, src, (size_t)box->dims[last] * elem);
        } else {
            copy_strided(elem, box->dims[last], src, box->src[last] * size, dst, box->dst[last] * size);
        }
        int k = last - 1;
        for (; k >= 0; k--) {
            if (++coords[k] < box->dims[k]) {
                src += box->src[k] * size;
                dst += box->dst[k] * size;
                break;
            }
            coords[k] = 0;
            src -= box->src[k] * (box->dims[k] - 1) * size;
            dst -= box->dst[k] * (box->dims[k] - 1) * size;
        }
        if (k < 0) {
            return;
        }
    }
}

/* ---- Maps ---- */

/* One row of the last axis: runs of neighbours are copied at once. src NULL: the whole row is filled. */
static void map_row(char *dst, const char *src, const int64_t *map, int64_t n, const char *fill, size_t elem)
{
    for (int64_t k = 0; k < n;) {
        int64_t run = 1;
        if (src == NULL || map[k] < 0) {
            memcpy(dst + (size_t)k * elem, fill, elem);
        } else {
            while (k + run < n && map[k + run] == map[k] + run) {
                run++;
            }
            memcpy(dst + (size_t)k * elem, src + (size_t)map[k] * elem, (size_t)run * elem);
        }
        k += run;
    }
}

void lt_map_copy(int rank, const int64_t *src_dims, const int64_t *dst_dims, int64_t *const *maps, size_t elem,
                 const char *src, char *dst, const char *fill)
{
    int64_t strides[LATHE_MAX_RANK], coords[LATHE_MAX_RANK] = { 0 };
    int last = rank - 1;
    if (rank == 0) {
        memcpy(dst, src, elem);
        return;
    }
    lt_tensor_strides(rank, src_dims, strides);
    do {
        int64_t at = 0;
        bool inside = src != NULL;
        for (int k = 0; k < last && inside; k++) {
            int64_t from = maps[k][coords[k]];
            inside = from >= 0;
            at += inside ? from * strides[k] : 0;
        }
        map_row(dst, inside ? src + (size_t)at * elem : NULL, maps[last], dst_dims[last], fill, elem);
        dst += (size_t)dst_dims[last] * elem;
    } while (lt_next_coords(last, dst_dims, coords));
}

/* ---- Axes, indices, keys ---- */

/* A product that stops growing instead of overflowing: such tensors have no elements, and nobody walks them. */
static int64_t capped_product(const int64_t *dims, int begin, int end)
{
    int64_t product = 1;
    for (int k = begin; k < end; k++) {
        if (dims[k] == 0) {
            return 0;
        }
    }
    for (int k = begin; k < end; k++) {
        if (!lt_i64_mul(product, dims[k], &product)) {
            return 0;
        }
    }
    return product;
}

lt_axis_span lt_span(int rank, const int64_t *dims, int axis)
{
    return (lt_axis_span){
        .outer = capped_product(dims, 0, axis),
        .extent = axis < rank ? dims[axis] : 1,
        .inner = capped_product(dims, axis + 1, rank),
    };
}

int lt_eval_axis(const lt_eval *c, const char *name, int64_t otherwise, int rank)
{
    int64_t axis = lt_attr_i(c->attrs, c->n_attrs, name, otherwise);
    return (int)(axis < 0 ? axis + rank : axis);
}

bool lt_wrap_index(int64_t index, int64_t extent, int64_t *out)
{
    if (index < 0) {
        index += extent;
    }
    if (index < 0 || index >= extent) {
        return false;
    }
    *out = index;
    return true;
}

int64_t lt_sort_key(lathe_dtype dtype, const void *data, int64_t index)
{
    if (!lt_dtype_is_float(dtype)) {
        int64_t value = lt_load_i64(dtype, data, index);
        return dtype == LATHE_DTYPE_U64 ? (int64_t)((uint64_t)value ^ (UINT64_C(1) << 63)) : value;
    }
    double value = lt_load_f64(dtype, data, index);
    if (value != value) {
        return INT64_MAX;
    }
    int64_t bits;
    value += 0.0; /* -0 becomes 0 */
    memcpy(&bits, &value, sizeof bits);
    return bits >= 0 ? bits : INT64_MIN - bits;
}
