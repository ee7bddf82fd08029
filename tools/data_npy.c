/*
 * data_npy.c - NumPy's npy format, versions 1 to 3: little-endian numbers in C or Fortran order. Used by data.c.
 */
#include "data.h"
#include <string.h>

typedef struct descriptor {
    const char *text; /* without the byte order */
    lathe_dtype dtype;
} descriptor;

static const descriptor descriptors[] = {
    { "f4", LATHE_DTYPE_F32 }, { "f8", LATHE_DTYPE_F64 },   { "f2", LATHE_DTYPE_F16 }, { "i1", LATHE_DTYPE_I8 },
    { "i2", LATHE_DTYPE_I16 }, { "i4", LATHE_DTYPE_I32 },   { "i8", LATHE_DTYPE_I64 }, { "u1", LATHE_DTYPE_U8 },
    { "u2", LATHE_DTYPE_U16 }, { "u4", LATHE_DTYPE_U32 },   { "u8", LATHE_DTYPE_U64 }, { "b1", LATHE_DTYPE_BOOL },
    { "c8", LATHE_DTYPE_C64 }, { "c16", LATHE_DTYPE_C128 },
};

static lathe_status bad(const char *what, const char *why, lathe_diag *diag)
{
    return LT_FAIL(diag, LATHE_BAD_MODEL, what, NULL, "no sound npy data: %s", why);
}

/* The text after 'key': in the header's dictionary. */
static const char *find_key(const char *header, const char *key)
{
    char quoted[40];
    snprintf(quoted, sizeof quoted, "'%s':", key);
    const char *at = strstr(header, quoted);
    if (!at) {
        return NULL;
    }
    at += strlen(quoted);
    return at + strspn(at, " ");
}

static lathe_status read_type(const char *header, const char *what, lathe_dtype *out, lathe_diag *diag)
{
    const char *at = find_key(header, "descr");
    if (!at || at[0] != '\'' || (at[1] != '<' && at[1] != '|' && at[1] != '=')) {
        return at && at[1] == '>'
                   ? LT_FAIL(diag, LATHE_UNSUPPORTED, what, "save it little-endian", "the data are big-endian")
                   : bad(what, "no plain element type in the header", diag);
    }
    at += 2;
    size_t length = strcspn(at, "'");
    for (size_t i = 0; i < LT_COUNT(descriptors); i++) {
        if (strlen(descriptors[i].text) == length && strncmp(at, descriptors[i].text, length) == 0) {
            *out = descriptors[i].dtype;
            return LATHE_OK;
        }
    }
    return LT_FAIL(diag, LATHE_UNSUPPORTED, what, "numbers and bools are read",
                   "element type '%.*s' has no tensor type", (int)(length < 16 ? length : 16), at);
}

static lathe_status read_shape(const char *header, const char *what, int64_t *dims, int *rank, lathe_diag *diag)
{
    const char *at = find_key(header, "shape");
    *rank = 0;
    if (!at || *at++ != '(') {
        return bad(what, "no shape in the header", diag);
    }
    for (;;) {
        at += strspn(at, " ,");
        size_t length = strspn(at, "0123456789");
        if (*at == ')') {
            return LATHE_OK;
        }
        if (length == 0 || *rank == LATHE_MAX_RANK || !lt_parse_i64(at, length, &dims[*rank])) {
            return bad(what, "the shape is not a list of at most 16 extents", diag);
        }
        ++*rank;
        at += length;
    }
}

/* Column-major source to row-major tensor. */
static void turn_order(lathe_tensor *out, const unsigned char *src, size_t element)
{
    int64_t coords[LATHE_MAX_RANK] = { 0 }, n = lt_tensor_count(out), at = 0;
    for (int64_t i = 0; i < n; i++) {
        memcpy((unsigned char *)out->data + (size_t)i * element, src + (size_t)at * element, element);
        int64_t step = 1;
        lt_next_coords(out->rank, out->dims, coords);
        at = 0;
        for (int d = 0; d < out->rank; d++) {
            at += coords[d] * step;
            step *= out->dims[d];
        }
    }
}

lathe_status npy_read(const void *data, size_t size, const char *what, lt_arena *arena, lathe_tensor *out,
                      lathe_diag *diag)
{
    const unsigned char *b = data;
    if (size < 12 || memcmp(b, "\x93NUMPY", 6) != 0 || b[6] < 1 || b[6] > 3) {
        return bad(what, "the magic is missing", diag);
    }
    size_t begin = b[6] == 1 ? 10 : 12;
    size_t length = (size_t)b[8] | (size_t)b[9] << 8 | (b[6] == 1 ? 0 : (size_t)b[10] << 16 | (size_t)b[11] << 24);
    if (length > size - begin) {
        return bad(what, "the header is cut off", diag);
    }
    char *header = lt_arena_strn(arena, (const char *)b + begin, length);
    if (!header) {
        return LT_OOM(diag);
    }
    lathe_dtype dtype;
    int64_t dims[LATHE_MAX_RANK];
    int rank;
    LT_TRY(read_type(header, what, &dtype, diag));
    LT_TRY(read_shape(header, what, dims, &rank, diag));
    LT_TRY(lt_tensor_shape(out, dtype, rank, dims, what, diag));
    if (out->bytes > size - begin - length) {
        return bad(what, "the elements are cut off", diag);
    }
    LT_TRY(lt_tensor_alloc(arena, out, dtype, rank, dims, what, diag));
    const char *order = find_key(header, "fortran_order");
    if (order && strncmp(order, "True", 4) == 0 && rank > 1) {
        turn_order(out, b + begin + length, lathe_dtype_bits(dtype) / 8);
    } else if (out->bytes > 0) {
        memcpy(out->data, b + begin + length, out->bytes);
    }
    return LATHE_OK;
}

lathe_status npy_write(const lathe_tensor *tensor, lt_buf *out, const char *what, lathe_diag *diag)
{
    const char *text = NULL;
    for (size_t i = 0; i < LT_COUNT(descriptors); i++) {
        if (descriptors[i].dtype == tensor->dtype) {
            text = descriptors[i].text;
        }
    }
    if (!text) {
        return LT_FAIL(diag, LATHE_UNSUPPORTED, what, "write .pb instead", "npy has no element type for %s",
                       lathe_dtype_name(tensor->dtype));
    }
    lt_buf header;
    lt_buf_init(&header, NULL);
    bool byte = text[1] == '1' && text[2] == '\0';
    lt_buf_printf(&header, "{'descr': '%s%s', 'fortran_order': False, 'shape': (", byte ? "|" : "<", text);
    for (int i = 0; i < tensor->rank; i++) {
        lt_buf_printf(&header, "%s%lld", i ? ", " : "", (long long)tensor->dims[i]);
    }
    lt_buf_puts(&header, tensor->rank == 1 ? ",), }" : "), }");
    while ((10 + header.length + 1) % 64 != 0) {
        lt_buf_putc(&header, ' ');
    }
    lt_buf_putc(&header, '\n');
    const unsigned char head[4] = { 1, 0, (unsigned char)(header.length & 255), (unsigned char)(header.length >> 8) };
    lt_buf_put(out, "\x93NUMPY", 6);
    lt_buf_put(out, head, 4);
    lt_buf_put(out, lt_buf_str(&header), header.length);
    if (tensor->bytes > 0) {
        lt_buf_put(out, tensor->data, tensor->bytes);
    }
    bool failed = header.failed || out->failed;
    lt_buf_free(&header);
    return failed ? LT_OOM(diag) : LATHE_OK;
}
