/*
 * type_print.c - types as text and their comparison. Used by the text IR's printer, messages and inspect.
 */
#include "ops/ops.h"

static void print_tensor(const lt_dims *dims, const lt_type *type, lt_buf *out)
{
    const char *name = lathe_dtype_name(type->dtype);
    lt_buf_puts(out, name != NULL ? name : "?");
    if (type->rank < 0) {
        return;
    }
    lt_buf_putc(out, '[');
    for (int i = 0; i < type->rank; i++) {
        if (i > 0) {
            lt_buf_putc(out, ',');
        }
        lt_dim_print(dims, type->dims[i], out);
    }
    lt_buf_putc(out, ']');
}

void lt_type_print(const lt_dims *dims, const lt_type *type, lt_buf *out)
{
    int depth = 0;
    while (type != NULL && type->cls != LT_TENSOR && depth < LT_MAX_DEPTH) {
        if (type->cls == LT_MAP) {
            const char *key = lathe_dtype_name(type->dtype);
            lt_buf_puts(out, "map(");
            lt_buf_puts(out, key != NULL ? key : "?");
            lt_buf_putc(out, ',');
        } else {
            lt_buf_puts(out, type->cls == LT_SEQUENCE ? "seq(" : "opt(");
        }
        type = type->elem;
        depth++;
    }
    if (type == NULL || type->cls != LT_TENSOR) {
        lt_buf_putc(out, '?');
    } else {
        print_tensor(dims, type, out);
    }
    while (depth-- > 0) {
        lt_buf_putc(out, ')');
    }
}

bool lt_type_same(const lt_type *a, const lt_type *b)
{
    for (int depth = 0; depth < LT_MAX_DEPTH; depth++) {
        if (a == NULL || b == NULL) {
            return a == b;
        }
        if (a->cls != b->cls) {
            return false;
        }
        if (a->cls == LT_TENSOR) {
            if (a->dtype != b->dtype || a->rank != b->rank) {
                return false;
            }
            for (int i = 0; i < a->rank; i++) {
                if (!lt_dim_same(a->dims[i], b->dims[i])) {
                    return false;
                }
            }
            return true;
        }
        if (a->cls == LT_MAP && a->dtype != b->dtype) {
            return false;
        }
        a = a->elem;
        b = b->elem;
    }
    return false;
}
