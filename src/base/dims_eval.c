/*
 * dims_eval.c - operations on numbers, and evaluation of expressions. Part of base; the runtime's shape program uses
 * lt_dim_apply.
 */
#include <math.h>
#include <string.h>

#include "base/dims_internal.h"

__extension__ typedef __int128 i128;

bool lt_dim_fscale_exact(uint32_t scale_bits, int64_t *mul, int64_t *div)
{
    float scale;
    memcpy(&scale, &scale_bits, sizeof scale);
    *mul = *div = 1;
    if (scale >= 1.0f && scale < 0x1p62f && floorf(scale) == scale) {
        *mul = (int64_t)scale;
        return true;
    }
    if (scale > 0x1p-62f && scale < 1.0f && (scale_bits & 0x7fffff) == 0) {
        *div = (int64_t)(1.0f / scale);
        return true;
    }
    return false;
}

bool lt_dim_fscale_number(int64_t a, uint32_t scale_bits, int64_t *out)
{
    int64_t mul, div;
    float scale;
    if (lt_dim_fscale_exact(scale_bits, &mul, &div)) {
        return div == 1 ? lt_i64_mul(a, mul, out) : (*out = lt_floor_div(a, div), true);
    }
    memcpy(&scale, &scale_bits, sizeof scale);
    float product = floorf((float)a * scale);
    if (!(product >= -0x1p63f && product < 0x1p63f)) {
        return false;
    }
    *out = (int64_t)product;
    return true;
}

static lathe_status overflow(lt_dim_op op, int64_t a, int64_t b, lathe_diag *diag)
{
    return LT_FAIL(diag, LATHE_OVERFLOW, NULL, NULL, "%s(%lld, %lld) of dimensions does not fit 64 bits",
                   lt_dim_op_name(op), (long long)a, (long long)b);
}

static lathe_status divide(lt_dim_op op, int64_t a, int64_t b, int64_t *out, lathe_diag *diag)
{
    if (b == 0) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, NULL, NULL, "%s of dimension %lld by zero", lt_dim_op_name(op),
                       (long long)a);
    }
    if (a == INT64_MIN && b == -1) {
        if (op != LT_DIM_MOD) {
            return overflow(op, a, b, diag);
        }
        *out = 0;
        return LATHE_OK;
    }
    *out = op == LT_DIM_CEILDIV ? lt_ceil_div(a, b) : lt_floor_div(a, b);
    if (op == LT_DIM_MOD) {
        *out = a % b;
        *out += *out != 0 && (*out < 0) != (b < 0) ? b : 0;
    }
    return LATHE_OK;
}

static lathe_status broadcast(int64_t a, int64_t b, int64_t *out, lathe_diag *diag)
{
    if (a != b && a != 1 && b != 1) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, NULL, "broadcast dimensions must be equal, or one of them 1",
                       "dimensions %lld and %lld do not broadcast together", (long long)a, (long long)b);
    }
    *out = a == 1 ? b : a;
    return LATHE_OK;
}

lathe_status lt_dim_apply(lt_dim_op op, int64_t a, int64_t b, int64_t c, int64_t *out, lathe_diag *diag)
{
    switch (op) {
    case LT_DIM_ADD:
        return lt_i64_add(a, b, out) ? LATHE_OK : overflow(op, a, b, diag);
    case LT_DIM_MUL:
        return lt_i64_mul(a, b, out) ? LATHE_OK : overflow(op, a, b, diag);
    case LT_DIM_FLOORDIV:
    case LT_DIM_CEILDIV:
    case LT_DIM_MOD:
        return divide(op, a, b, out, diag);
    case LT_DIM_MIN:
        *out = a < b ? a : b;
        return LATHE_OK;
    case LT_DIM_MAX:
        *out = a > b ? a : b;
        return LATHE_OK;
    case LT_DIM_SELECT:
        *out = a != 0 ? b : c;
        return LATHE_OK;
    case LT_DIM_LT:
        *out = a < b;
        return LATHE_OK;
    case LT_DIM_LE:
        *out = a <= b;
        return LATHE_OK;
    case LT_DIM_EQ:
        *out = a == b;
        return LATHE_OK;
    case LT_DIM_FSCALE:
        return b >= 0 && b <= UINT32_MAX && lt_dim_fscale_number(a, (uint32_t)b, out) ? LATHE_OK
                                                                                      : overflow(op, a, b, diag);
    case LT_DIM_BCAST:
        return broadcast(a, b, out, diag);
    default:
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, NULL, NULL, "operation %d is not one on numbers", (int)op);
    }
}

typedef struct evaluation {
    const lt_dims *dims;
    lt_dim_lookup lookup;
    void *user;
    lathe_diag *diag;
} evaluation;

static lathe_status walk(const evaluation *ev, lt_dim d, int64_t *out);

/* Sums in 128 bits and products with a zero in mind, so that the order of the parts does not matter. */
static lathe_status walk_sum(const evaluation *ev, const lt_dim_entry *entry, int64_t *out)
{
    i128 sum = 0;
    for (uint32_t i = 0; i < entry->count; i++) {
        int64_t part;
        LT_TRY(walk(ev, entry->args[i], &part));
        sum += part;
    }
    if (sum < INT64_MIN || sum > INT64_MAX) {
        return LT_FAIL(ev->diag, LATHE_OVERFLOW, NULL, NULL, "a sum of dimensions does not fit 64 bits");
    }
    *out = (int64_t)sum;
    return LATHE_OK;
}

static lathe_status walk_product(const evaluation *ev, const lt_dim_entry *entry, int64_t *out)
{
    int64_t product = 1;
    bool zero = false, fits = true;
    for (uint32_t i = 0; i < entry->count; i++) {
        int64_t part;
        LT_TRY(walk(ev, entry->args[i], &part));
        zero = zero || part == 0;
        fits = fits && lt_i64_mul(product, part, &product);
    }
    if (!zero && !fits) {
        return LT_FAIL(ev->diag, LATHE_OVERFLOW, NULL, NULL, "a product of dimensions does not fit 64 bits");
    }
    *out = zero ? 0 : product;
    return LATHE_OK;
}

static lathe_status walk_leaf(const evaluation *ev, const lt_dim_entry *entry, lt_dim d, int64_t *out)
{
    if (ev->lookup != NULL && ev->lookup(ev->user, d, out)) {
        return LATHE_OK;
    }
    if (entry->op == LT_DIM_SYMBOL) {
        return LT_FAIL(ev->diag, LATHE_NOT_READY, NULL, NULL, "dimension '%s' has no value yet", entry->name);
    }
    return LT_FAIL(ev->diag, LATHE_NOT_READY, NULL, NULL, "dimension ?%u has no value yet", (unsigned)entry->fresh);
}

/* Depth is bounded by three times LT_MAX_DEPTH, size by LT_DIM_TREE_MAX: both are checked where expressions are
   made. */
static lathe_status walk(const evaluation *ev, lt_dim d, int64_t *out)
{
    if (d.e == 0) {
        *out = d.k;
        return LATHE_OK;
    }
    const lt_dim_entry *entry = lt_dim_entry_of(ev->dims, d);
    switch (entry->op) {
    case LT_DIM_SYMBOL:
    case LT_DIM_FRESH:
        return walk_leaf(ev, entry, d, out);
    case LT_DIM_ADD:
        return walk_sum(ev, entry, out);
    case LT_DIM_MUL:
        return walk_product(ev, entry, out);
    default:
        break;
    }
    int64_t value, next;
    LT_TRY(walk(ev, entry->args[0], &value));
    if (entry->op == LT_DIM_SELECT) { /* the other branch may be undefined */
        return walk(ev, entry->args[value != 0 ? 1 : 2], out);
    }
    for (uint32_t i = 1; i < entry->count; i++) {
        LT_TRY(walk(ev, entry->args[i], &next));
        LT_TRY(lt_dim_apply(entry->op, value, next, 0, &value, ev->diag));
    }
    *out = value;
    return LATHE_OK;
}

lathe_status lt_dim_eval(const lt_dims *dims, lt_dim d, lt_dim_lookup lookup, void *user, int64_t *out,
                         lathe_diag *diag)
{
    evaluation ev = { .dims = dims, .lookup = lookup, .user = user, .diag = diag };
    int64_t value = 0;
    LT_TRY(walk(&ev, d, &value));
    *out = value;
    return LATHE_OK;
}
