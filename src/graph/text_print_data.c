/*
 * text_print_data.c - constants as text: lists, recognised generators, references. Part of graph.
 *
 * What is printed reads back to the same bits: an element that its number does not stand for is printed as its bits.
 */
#include <inttypes.h>
#include <string.h>

#include "graph/text_internal.h"

static uint64_t bits_of(const void *data, size_t size, int64_t index)
{
    uint64_t bits = 0;
    for (size_t i = 0; i < size; i++) {
        bits |= (uint64_t)((const unsigned char *)data)[(size_t)index * size + i] << (8 * i);
    }
    return bits;
}

static void print_bits(const void *data, size_t size, int64_t index, lt_buf *out)
{
    lt_buf_printf(out, "bits(0x%0*" PRIx64 ")", (int)(2 * size), bits_of(data, size, index));
}

static void print_float(lathe_dtype dtype, const void *data, int64_t index, lt_buf *out)
{
    size_t size = lathe_dtype_bits(dtype) / 8;
    char text[LT_FMT_MAX];
    uint64_t back = 0;
    bool read;
    if (dtype == LATHE_DTYPE_F64) {
        double value, again = 0;
        memcpy(&value, (const char *)data + (size_t)index * size, size);
        lt_fmt_f64(value, text);
        read = lt_parse_f64(text, strlen(text), &again);
        memcpy(&back, &again, size);
    } else {
        float value, again = 0;
        if (dtype == LATHE_DTYPE_F32) {
            memcpy(&value, (const char *)data + (size_t)index * size, size);
        } else {
            value = (float)lt_load_f64(dtype, data, index);
        }
        lt_fmt_f32(value, text);
        read = lt_parse_f32(text, strlen(text), &again);
        if (dtype == LATHE_DTYPE_F32) {
            memcpy(&back, &again, size);
        } else {
            lt_store_f64(dtype, &back, 0, (double)again);
        }
    }
    bool same = read && (size == 0 || bits_of(&back, size, 0) == bits_of(data, size, index));
    if (same) {
        lt_buf_puts(out, text);
    } else {
        print_bits(data, size, index, out);
    }
}

static void print_integer(lathe_dtype dtype, const void *data, int64_t index, lt_buf *out)
{
    size_t size = lathe_dtype_bits(dtype) / 8;
    if (dtype == LATHE_DTYPE_U64) {
        lt_buf_printf(out, "%" PRIu64, bits_of(data, size, index));
    } else if (dtype == LATHE_DTYPE_BOOL && bits_of(data, size, index) > 1) {
        print_bits(data, size, index, out);
    } else if (dtype == LATHE_DTYPE_BOOL) {
        lt_buf_puts(out, bits_of(data, size, index) ? "true" : "false");
    } else {
        lt_buf_printf(out, "%" PRId64, lt_load_i64(dtype, data, index));
    }
}

static void print_element(const lt_tensor *tensor, int64_t index, lt_buf *out)
{
    lathe_dtype dtype = tensor->dtype;
    const lt_string *string;
    switch (lt_dtype_get(dtype)->kind) {
    case LT_KIND_FLOAT:
        print_float(dtype, tensor->data, index, out);
        break;
    case LT_KIND_COMPLEX:
        for (int i = 0; i < 2; i++) {
            lt_buf_puts(out, i == 0 ? "(" : ", ");
            print_float(dtype == LATHE_DTYPE_C64 ? LATHE_DTYPE_F32 : LATHE_DTYPE_F64, tensor->data, 2 * index + i, out);
        }
        lt_buf_putc(out, ')');
        break;
    case LT_KIND_STRING:
        string = (const lt_string *)tensor->data + index;
        lt_buf_put_quoted(out, string->data, string->length);
        break;
    default:
        print_integer(dtype, tensor->data, index, out);
        break;
    }
}

void lt_print_elements(const lt_tensor *tensor, lt_buf *out)
{
    int64_t count = lt_tensor_count(tensor);
    lt_buf_putc(out, '{');
    for (int64_t i = 0; i < count && !out->failed; i++) {
        if (i > 0) {
            lt_buf_puts(out, ", ");
        }
        print_element(tensor, i, out);
    }
    lt_buf_putc(out, '}');
}

/* Lists shorter than this are clearer than a generator. */
enum { GENERATOR_MIN = 5 };

static bool is_splat(const lt_tensor *tensor, int64_t count)
{
    size_t size = lathe_dtype_bits(tensor->dtype) / 8;
    if (size > 0) {
        return count >= GENERATOR_MIN &&
               memcmp(tensor->data, (const char *)tensor->data + size, tensor->bytes - size) == 0;
    }
    bool same = count >= GENERATOR_MIN && lathe_dtype_bits(tensor->dtype) > 0;
    int64_t first = same ? lt_load_i64(tensor->dtype, tensor->data, 0) : 0;
    bool floating = lt_dtype_is_float(tensor->dtype);
    double first_f = same && floating ? lt_load_f64(tensor->dtype, tensor->data, 0) : 0;
    for (int64_t i = 1; same && i < count; i++) {
        double f = floating ? lt_load_f64(tensor->dtype, tensor->data, i) : 0;
        same = floating ? memcmp(&f, &first_f, sizeof f) == 0 : lt_load_i64(tensor->dtype, tensor->data, i) == first;
    }
    return same;
}

static bool is_iota(const lt_tensor *tensor, int64_t count)
{
    lt_dtype_kind kind = lt_dtype_get(tensor->dtype)->kind;
    bool floating = kind == LT_KIND_FLOAT;
    bool same = count >= GENERATOR_MIN && (floating || kind == LT_KIND_SIGNED || kind == LT_KIND_UNSIGNED);
    same = same &&
           (floating || (uint64_t)count - 1 <= lt_dtype_max_u64(tensor->dtype)); /* not where it would wrap around */
    uint64_t wanted = 0;
    for (int64_t i = 0; same && i < count; i++) {
        size_t size = lathe_dtype_bits(tensor->dtype) / 8;
        if (floating) {
            lt_store_f64(tensor->dtype, &wanted, 0, (double)i);
        } else {
            lt_store_i64(tensor->dtype, &wanted, 0, i);
        }
        if (size > 0) {
            same = bits_of(&wanted, size, 0) == bits_of(tensor->data, size, i);
        } else {
            same = floating ? lt_load_f64(tensor->dtype, tensor->data, i) == lt_load_f64(tensor->dtype, &wanted, 0)
                            : lt_load_i64(tensor->dtype, tensor->data, i) == lt_load_i64(tensor->dtype, &wanted, 0);
        }
    }
    return same;
}

/* Padding bits of sub-byte tensors are not elements: lists and generators do not keep them. */
void lt_print_data(const lt_blob *blob, const lt_text_options *options, lt_buf *out)
{
    const lt_tensor *tensor = lt_blob_tensor(blob);
    int64_t count = lt_tensor_count(tensor);
    uint64_t seed;
    if (!options->contents && lt_blob_generator(blob, &seed) == LT_GENERATOR_RAND) {
        lt_buf_printf(out, "rand(%" PRIu64 ")", seed);
    } else if (is_splat(tensor, count)) {
        lt_buf_puts(out, "splat(");
        print_element(tensor, 0, out);
        lt_buf_putc(out, ')');
    } else if (is_iota(tensor, count)) {
        lt_buf_puts(out, "iota");
    } else if (tensor->bytes <= options->inline_bytes) {
        lt_print_elements(tensor, out);
    } else {
        lt_buf_printf(out, "blob(0x%016" PRIx64 ")", lt_blob_hash(blob));
    }
}
