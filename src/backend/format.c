/*
 * format.c - how a tensor lies in memory: making, comparing, sizing, printing and reading formats. Part of backend's shared core; used by tune, plan, rt.
 */
#include "backend/problem.h"
#include <string.h>

static const char *const space_names[] = {"cpu", "twin", "cuda"};

const char *lt_space_name(lathe_space space)
{
    return (size_t)space < LT_COUNT(space_names) ? space_names[space] : "unknown";
}

bool lt_space_from_name(const char *name, lathe_space *out)
{
    for (size_t i = 0; i < LT_COUNT(space_names); i++) {
        if (lt_streq(name, space_names[i])) {
            *out = (lathe_space)i;
            return true;
        }
    }
    return false;
}

lathe_format lt_format_plain(lathe_dtype dtype, int rank, lathe_space space)
{
    lathe_format f = {.space = space, .storage = dtype, .rank = rank, .block_axis = -1};
    for (int i = 0; i < LATHE_MAX_RANK; i++) {
        f.order[i] = (int8_t)(i < rank ? i : 0);
    }
    return f;
}

lathe_format lt_format_permuted(lathe_dtype dtype, const int8_t *order, int rank, lathe_space space)
{
    lathe_format f = lt_format_plain(dtype, rank, space);
    for (int i = 0; i < rank; i++) {
        f.order[i] = order[i];
    }
    return f;
}

/* Number of lanes and of padding with "none" spelled in one way. */
static int32_t lanes(int32_t n)
{
    return n > 1 ? n : 1;
}

bool lt_format_same(const lathe_format *a, const lathe_format *b)
{
    if (a->space != b->space || a->storage != b->storage || a->rank != b->rank || lanes(a->block) != lanes(b->block) ||
        lanes(a->pad_to) != lanes(b->pad_to) || a->strided != b->strided) {
        return false;
    }
    if (lanes(a->block) > 1 && a->block_axis != b->block_axis) {
        return false;
    }
    return a->rank <= 0 || memcmp(a->order, b->order, (size_t)a->rank) == 0;
}

bool lt_format_is_plain(const lathe_format *format)
{
    for (int i = 0; i < format->rank; i++) {
        if (format->order[i] != i) {
            return false;
        }
    }
    return lanes(format->block) == 1 && lanes(format->pad_to) == 1 && !format->strided;
}

lathe_status lt_format_verify(const lathe_format *format, lathe_diag *diag)
{
    const char *advice = "the plan or problem is damaged";
    if (format->rank < -1 || format->rank > LATHE_MAX_RANK || (size_t)format->space >= LT_COUNT(space_names) ||
        lt_dtype_get(format->storage)->kind == LT_KIND_NONE) {
        return LT_FAIL(diag, LATHE_BAD_PLAN, NULL, advice, "format has rank %d, space %d, storage %d", format->rank, (int)format->space,
                       (int)format->storage);
    }
    uint32_t seen = 0;
    for (int i = 0; i < format->rank; i++) {
        int axis = format->order[i];
        if (axis < 0 || axis >= format->rank || (seen >> axis & 1)) {
            return LT_FAIL(diag, LATHE_BAD_PLAN, NULL, advice, "format's axis order is no permutation");
        }
        seen |= 1u << axis;
    }
    if (format->block < 0 || format->block > 4096 || format->pad_to < 0 || format->pad_to > 4096 ||
        (lanes(format->block) > 1 && (format->block_axis < 0 || format->block_axis >= format->rank)) ||
        (lanes(format->block) > 1 && lanes(format->pad_to) > 1)) {
        return LT_FAIL(diag, LATHE_BAD_PLAN, NULL, advice, "format has block %d on axis %d and padding to %d", format->block, format->block_axis,
                       format->pad_to);
    }
    bool dense = lanes(format->block) == 1 && lanes(format->pad_to) == 1;
    if (format->strided < 0 || (format->strided > 0 && (format->strided >= format->rank || !dense || lathe_dtype_bits(format->storage) < 8))) {
        return LT_FAIL(diag, LATHE_BAD_PLAN, NULL, advice, "format has rows of %d axes of %d", format->strided, format->rank);
    }
    return LATHE_OK;
}

/* Stored extent of the i-th stored axis, without the lanes of a block. */
static int64_t stored_extent(const lathe_format *format, const int64_t *dims, int i)
{
    int axis = format->order[i];
    int64_t d = dims[axis];
    if (lanes(format->block) > 1 && axis == format->block_axis) {
        return lt_ceil_div(d, format->block);
    }
    if (i == format->rank - 1 && lanes(format->pad_to) > 1) {
        return lt_ceil_div(d, format->pad_to) * format->pad_to;
    }
    return d;
}

bool lt_format_bytes(const lathe_format *format, int rank, const int64_t *dims, size_t *bytes)
{
    if (rank != format->rank || rank < 0) {
        return false;
    }
    int64_t count = lanes(format->block);
    for (int i = 0; i < rank; i++) {
        if (dims[i] < 0 || dims[i] > INT64_MAX - 4096 || !lt_i64_mul(count, stored_extent(format, dims, i), &count)) {
            return false;
        }
    }
    return lt_dtype_bytes(format->storage, count, bytes);
}

void lt_format_rows(const lathe_format *format, const int64_t *dims, int64_t *rows, int64_t *elements)
{
    *rows = *elements = 1;
    for (int i = 0; i < format->rank; i++) {
        *(i < format->strided ? rows : elements) *= dims[format->order[i]];
    }
}

int64_t lt_format_offset(const lathe_format *format, const int64_t *dims, const int64_t *coords)
{
    return lt_format_offset_in(format, dims, 0, coords);
}

int64_t lt_format_offset_in(const lathe_format *format, const int64_t *dims, int64_t row, const int64_t *coords)
{
    int64_t offset = 0, before = 0;
    bool blocked = lanes(format->block) > 1;
    for (int i = 0; i < format->rank; i++) {
        int axis = format->order[i];
        int64_t c = coords[axis];
        if (row > 0 && i > 0 && i == format->strided) {
            before = offset * row;
            offset = 0;
        }
        offset = offset * stored_extent(format, dims, i) + (blocked && axis == format->block_axis ? c / format->block : c);
    }
    offset += before;
    return blocked ? offset * format->block + coords[format->block_axis] % format->block : offset;
}

void lt_format_print(const lathe_format *format, lathe_dtype dtype, lt_buf *out)
{
    if (lt_format_is_plain(format)) {
        lt_buf_puts(out, "plain");
    } else {
        lt_buf_puts(out, "order(");
        for (int i = 0; i < format->rank; i++) {
            lt_buf_printf(out, "%s%d", i ? "," : "", format->order[i]);
        }
        lt_buf_putc(out, ')');
        if (lanes(format->block) > 1) {
            lt_buf_printf(out, " block(%d,%d)", format->block_axis, format->block);
        }
        if (lanes(format->pad_to) > 1) {
            lt_buf_printf(out, " pad(%d)", format->pad_to);
        }
        if (format->strided) {
            lt_buf_printf(out, " strided(%d)", format->strided);
        }
    }
    if (format->storage != dtype) {
        lt_buf_printf(out, ":%s", lt_dtype_get(format->storage)->name);
    }
    if (format->space != LATHE_SPACE_HOST) {
        lt_buf_printf(out, "@%s", lt_space_name(format->space));
    }
}

/* Skips one blank and takes the word when it is next. */
static bool take(const char **cursor, const char *end, const char *word)
{
    const char *at = *cursor;
    size_t n = strlen(word);
    if ((size_t)(end - at) < n || memcmp(at, word, n) != 0) {
        return false;
    }
    *cursor = at + n;
    return true;
}

static bool take_number(const char **cursor, const char *end, int64_t *out)
{
    const char *at = *cursor;
    while (at < end && (at == *cursor ? *at == '-' || (*at >= '0' && *at <= '9') : *at >= '0' && *at <= '9')) {
        at++;
    }
    if (!lt_parse_i64(*cursor, (size_t)(at - *cursor), out)) {
        return false;
    }
    *cursor = at;
    return true;
}

/* "(1,2,3)": up to max numbers. */
static bool take_list(const char **cursor, const char *end, int64_t *out, int max, int *count)
{
    *count = 0;
    if (!take(cursor, end, "(")) {
        return false;
    }
    while (!take(cursor, end, ")")) {
        if ((*count > 0 && !take(cursor, end, ",")) || *count >= max || !take_number(cursor, end, &out[*count])) {
            return false;
        }
        (*count)++;
    }
    return true;
}

static bool in_i32(int64_t n)
{
    return n >= 0 && n <= 4096;
}

static bool read_layout(const char **cursor, const char *end, int rank, lathe_format *f)
{
    int64_t list[LATHE_MAX_RANK];
    int count;
    if (take(cursor, end, "plain")) {
        return true;
    }
    if (!take(cursor, end, "order") || !take_list(cursor, end, list, LATHE_MAX_RANK, &count) || count != rank) {
        return false;
    }
    for (int i = 0; i < count; i++) {
        if (list[i] < 0 || list[i] >= rank) {
            return false;
        }
        f->order[i] = (int8_t)list[i];
    }
    if (take(cursor, end, " block")) {
        if (!take_list(cursor, end, list, 2, &count) || count != 2 || list[0] < 0 || list[0] >= rank || !in_i32(list[1])) {
            return false;
        }
        f->block_axis = (int8_t)list[0];
        f->block = (int32_t)list[1];
    }
    if (take(cursor, end, " pad")) {
        if (!take_list(cursor, end, list, 1, &count) || count != 1 || !in_i32(list[0])) {
            return false;
        }
        f->pad_to = (int32_t)list[0];
    }
    if (take(cursor, end, " strided")) {
        if (!take_list(cursor, end, list, 1, &count) || count != 1 || list[0] < 1 || list[0] >= rank) {
            return false;
        }
        f->strided = (int32_t)list[0];
    }
    return true;
}

/* A name of letters and digits after a mark, copied to out. */
static bool read_word(const char **cursor, const char *end, char *out, size_t size)
{
    size_t n = 0;
    while (*cursor < end && n + 1 < size && ((**cursor >= 'a' && **cursor <= 'z') || (**cursor >= '0' && **cursor <= '9'))) {
        out[n++] = *(*cursor)++;
    }
    out[n] = '\0';
    return n > 0;
}

lathe_status lt_format_parse(const char **cursor, const char *end, lathe_dtype dtype, int rank, lathe_format *out, lathe_diag *diag)
{
    char word[24];
    *out = lt_format_plain(dtype, rank, LATHE_SPACE_HOST);
    bool good = read_layout(cursor, end, rank, out);
    if (good && take(cursor, end, ":")) {
        good = read_word(cursor, end, word, sizeof word) && (out->storage = lathe_dtype_from_name(word)) != LATHE_DTYPE_UNDEFINED;
    }
    if (good && take(cursor, end, "@")) {
        good = read_word(cursor, end, word, sizeof word) && lt_space_from_name(word, &out->space);
    }
    if (!good) {
        return LT_FAIL(diag, LATHE_BAD_PLAN, NULL, "see the grammar of problems in docs/engine.md", "format cannot be read at \"%.*s\"",
                       end - *cursor > 20 ? 20 : (int)(end - *cursor), *cursor);
    }
    return lt_format_verify(out, diag);
}
