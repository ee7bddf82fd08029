/*
 * data_json.c - values written as JSON: arrays for tensors and sequences, objects for maps, null for an optional without a value. What the input is
 * decides what an array means. Used by data.c; the only readable form for maps and strings.
 */
#include "data.h"
#include <math.h>
#include <string.h>

typedef struct reader {
    const data_wish *wish;
    const char *what;
    lt_arena *arena;
    lathe_diag *diag;
} reader;

static lathe_status bad(const reader *r, const char *why)
{
    return LT_FAIL(r->diag, LATHE_INVALID_ARGUMENT, r->what, "lathe inspect shows the type of each input", "this JSON does not fit: %s", why);
}

/* ---- Tensors ---- */

/* The extents that the first item of each level has, and the first element. */
static lathe_status measure(const reader *r, const lt_json_value *v, int *rank, int64_t *dims, const lt_json_value **first)
{
    for (*rank = 0; v && v->kind == LT_JSON_ARRAY; v = v->count > 0 ? v->items : NULL) {
        if (*rank == LATHE_MAX_RANK) {
            return bad(r, "arrays are nested deeper than a tensor can have axes");
        }
        dims[(*rank)++] = (int64_t)v->count;
    }
    *first = v;
    return LATHE_OK;
}

static lathe_status store_number(const reader *r, const lt_json_value *v, lt_tensor *to, int64_t i)
{
    const lt_dtype_info *info = lt_dtype_get(to->dtype);
    if (v->kind == LT_JSON_NULL && info->kind == LT_KIND_FLOAT) {
        lt_store_f64(to->dtype, to->data, i, (double)NAN);
    } else if (v->kind == LT_JSON_BOOL && info->kind == LT_KIND_BOOL) {
        lt_store_i64(to->dtype, to->data, i, v->boolean);
    } else if (v->kind == LT_JSON_NUMBER && info->kind == LT_KIND_FLOAT) {
        lt_store_f64(to->dtype, to->data, i, v->number);
    } else if (v->kind == LT_JSON_NUMBER && lt_dtype_is_integer(to->dtype)) {
        if (!(fabs(v->number) <= 9007199254740992.0) || v->number != floor(v->number)) {
            return bad(r, "integers are whole numbers of at most 2^53");
        }
        lt_store_i64(to->dtype, to->data, i, (int64_t)v->number);
    } else {
        char why[80];
        snprintf(why, sizeof why, "elements of type %s are expected", info->name);
        return bad(r, why);
    }
    return LATHE_OK;
}

static lathe_status fill(const reader *r, const lt_json_value *v, lt_tensor *to, int axis, int64_t *at)
{
    if (axis < to->rank) {
        if (v->kind != LT_JSON_ARRAY || v->count != (size_t)to->dims[axis]) {
            return bad(r, "arrays that make one tensor must have one length on each level");
        }
        for (size_t i = 0; i < v->count; i++) { /* as deep as a tensor has axes */
            LT_TRY(fill(r, &v->items[i], to, axis + 1, at));
        }
        return LATHE_OK;
    }
    if (to->dtype != LATHE_DTYPE_STRING) {
        return store_number(r, v, to, (*at)++);
    }
    if (v->kind != LT_JSON_STRING) {
        return bad(r, "texts are expected");
    }
    ((lt_string *)to->data)[(*at)++] = (lt_string){ v->string, strlen(v->string) };
    return LATHE_OK;
}

static lathe_status read_tensor(const reader *r, const lt_json_value *v, int own_rank, lt_tensor *out)
{
    const lt_json_value *first;
    int64_t dims[LATHE_MAX_RANK], at = 0;
    int rank;
    LT_TRY(measure(r, v, &rank, dims, &first));
    bool empty = !first;
    for (; empty && rank < own_rank; rank++) { /* nothing tells them */
        dims[rank] = 0;
    }
    lathe_dtype dtype = r->wish->dtype != LATHE_DTYPE_UNDEFINED     ? r->wish->dtype
                        : first && first->kind == LT_JSON_STRING ? LATHE_DTYPE_STRING
                        : first && first->kind == LT_JSON_BOOL   ? LATHE_DTYPE_BOOL
                                                                 : LATHE_DTYPE_F32;
    LT_TRY(lt_tensor_alloc(r->arena, out, dtype, rank, dims, r->what, r->diag));
    return empty ? LATHE_OK : fill(r, v, out, 0, &at);
}

/* ---- Containers ---- */

static lathe_status take_items(const reader *r, lt_any *out, lt_value_class cls, size_t count)
{
    *out = (lt_any){ .cls = cls, .items = LT_ARENA_ARRAY(r->arena, lt_any, count + 1), .count = count };
    if (!out->items) {
        return LT_OOM(r->diag);
    }
    for (size_t i = 0; i < count; i++) {
        out->items[i] = (lt_any){ .cls = LT_TENSOR };
    }
    return LATHE_OK;
}

/* {"3": 0.5, "7": 1} or {"yes": 1}: members in their order; the values stacked. */
static lathe_status read_map(const reader *r, const lt_json_value *v, int depth, lt_any *out)
{
    lt_json_value rows = { .kind = LT_JSON_ARRAY, .count = v->count, .items = v->items };
    lathe_dtype key = r->wish->keys[depth];
    int64_t count = (int64_t)v->count;
    if (v->kind != LT_JSON_OBJECT || (key != LATHE_DTYPE_STRING && !lt_dtype_is_integer(key))) {
        return bad(r, v->kind != LT_JSON_OBJECT ? "a map is an object" : "its keys are neither integers nor texts");
    }
    LT_TRY(take_items(r, out, LT_MAP, 2));
    LT_TRY(lt_tensor_alloc(r->arena, &out->items[0].tensor, key, 1, &count, r->what, r->diag));
    for (size_t i = 0; i < v->count; i++) {
        int64_t number = 0;
        if (key == LATHE_DTYPE_STRING) {
            ((lt_string *)out->items[0].tensor.data)[i] = (lt_string){ v->keys[i], strlen(v->keys[i]) };
        } else if (!lt_parse_i64(v->keys[i], strlen(v->keys[i]), &number)) {
            return bad(r, "the keys of this map are integers");
        } else {
            lt_store_i64(key, out->items[0].tensor.data, (int64_t)i, number);
        }
    }
    return read_tensor(r, &rows, 1, &out->items[1].tensor);
}

static lathe_status read_any(const reader *r, const lt_json_value *v, int depth, lt_any *out)
{
    lathe_kind kind = r->wish->kinds && depth < LATHE_MAX_NESTING ? r->wish->kinds[depth] : LATHE_KIND_TENSOR;
    if (kind == LATHE_KIND_TENSOR) {
        *out = (lt_any){ .cls = LT_TENSOR };
        return read_tensor(r, v, depth == 0 ? r->wish->rank : 0, &out->tensor);
    }
    if (kind == LATHE_KIND_MAP) {
        return read_map(r, v, depth, out);
    }
    if (kind == LATHE_KIND_SEQUENCE && v->kind != LT_JSON_ARRAY) {
        return bad(r, "a sequence is an array of its items");
    }
    bool sequence = kind == LATHE_KIND_SEQUENCE;
    LT_TRY(take_items(r, out, (lt_value_class)kind, sequence ? v->count : v->kind != LT_JSON_NULL));
    for (size_t i = 0; i < out->count; i++) { /* kinds end with tensors */
        LT_TRY(read_any(r, sequence ? &v->items[i] : v, depth + 1, &out->items[i]));
    }
    return LATHE_OK;
}

lathe_status json_read(const void *data, size_t size, const char *what, const data_wish *wish, lt_arena *arena, lt_any *out, lathe_diag *diag)
{
    static const data_wish anything = { 0 };
    const reader r = { wish ? wish : &anything, what, arena, diag };
    lt_json_value *value;
    LT_TRY(lt_json_parse(arena, data, size, &value, diag));
    return read_any(&r, value, 0, out);
}
