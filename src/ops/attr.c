/*
 * attr.c - reading attributes of a node with their defaults. Used by inference, evaluation and passes. lt_op_check has
 * already seen that names and kinds are right; an attribute of another kind counts as absent here.
 */
#include "ops/ops.h"

#include <string.h>

const lathe_attr *lt_attr_find(const lathe_attr *attrs, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (lt_streq(attrs[i].name, name)) {
            return &attrs[i];
        }
    }
    return NULL;
}

const char *lt_attr_kind_name(lathe_attr_kind kind)
{
    static const char *const names[] = { "none", "float",   "int",     "string", "tensor", "graph", "floats",
                                         "ints", "strings", "tensors", "graphs", "?",      "?",     "type" };
    return (size_t)kind < LT_COUNT(names) ? names[kind] : "?";
}

static const lathe_attr *find_kind(const lathe_attr *attrs, size_t n, const char *name, lathe_attr_kind kind)
{
    const lathe_attr *attr = lt_attr_find(attrs, n, name);
    return attr != NULL && attr->kind == kind ? attr : NULL;
}

int64_t lt_attr_i(const lathe_attr *attrs, size_t n, const char *name, int64_t otherwise)
{
    const lathe_attr *attr = find_kind(attrs, n, name, LATHE_ATTR_INT);
    return attr != NULL ? attr->i : otherwise;
}

float lt_attr_f(const lathe_attr *attrs, size_t n, const char *name, float otherwise)
{
    const lathe_attr *attr = find_kind(attrs, n, name, LATHE_ATTR_FLOAT);
    return attr != NULL ? attr->f : otherwise;
}

bool lt_attr_is(const lathe_attr *attrs, size_t n, const char *name, const char *text, const char *otherwise)
{
    const lathe_attr *attr = find_kind(attrs, n, name, LATHE_ATTR_STRING);
    if (attr == NULL) {
        return lt_streq(text, otherwise);
    }
    size_t length = strlen(text);
    return attr->s.length == length && (length == 0 || memcmp(attr->s.data, text, length) == 0);
}

const int64_t *lt_attr_ints(const lathe_attr *attrs, size_t n, const char *name, size_t *count)
{
    const lathe_attr *attr = find_kind(attrs, n, name, LATHE_ATTR_INTS);
    *count = attr != NULL ? attr->count : 0;
    return attr != NULL ? attr->ints : NULL;
}

const float *lt_attr_floats(const lathe_attr *attrs, size_t n, const char *name, size_t *count)
{
    const lathe_attr *attr = find_kind(attrs, n, name, LATHE_ATTR_FLOATS);
    *count = attr != NULL ? attr->count : 0;
    return attr != NULL ? attr->floats : NULL;
}
