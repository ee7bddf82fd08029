/*
 * draw.c - the random numbers of an evaluation. Used by the random operators and by Dropout; knows nothing of runs but
 * the seed and the key that an evaluation is given.
 */
#include "ops/draw.h"

#include <math.h>

/* The seed attribute as 32 bits; false when there is none. */
static bool read_seed(const lt_eval *c, uint32_t *out)
{
    const lathe_attr *attr = lt_attr_find(c->attrs, c->n_attrs, "seed");
    if (attr == NULL) {
        return false;
    }
    if (attr->kind == LATHE_ATTR_INT) {
        *out = (uint32_t)(uint64_t)attr->i;
        return true;
    }
    double whole = fmod(trunc((double)attr->f), 4294967296.0);
    if (attr->kind != LATHE_ATTR_FLOAT || isnan(whole)) {
        return false;
    }
    *out = (uint32_t)(whole < 0 ? whole + 4294967296.0 : whole);
    return true;
}

void lt_draw_open(const lt_eval *c, lt_draw *out)
{
    uint32_t seed;
    out->seeded = read_seed(c, &seed);
    out->key = c->seed;
    out->stream = c->node;
    out->index = 0;
    if (out->seeded) {
        lt_mersenne_seed(&out->twister, seed);
    }
}

double lt_draw_unit(lt_draw *draw)
{
    return draw->seeded ? lt_mersenne_unit(&draw->twister) : lt_random_unit(draw->key, draw->stream, draw->index++);
}

double lt_draw_normal(lt_draw *draw)
{
    return draw->seeded ? lt_mersenne_normal(&draw->twister) : lt_random_normal(draw->key, draw->stream, draw->index++);
}

lathe_status lt_draw_dtype(lt_infer *c, int64_t otherwise, bool (*allowed)(lathe_dtype dtype), lathe_dtype *out)
{
    int64_t dtype = lt_attr_i(c->attrs, c->n_attrs, "dtype", otherwise);
    if (dtype <= 0 || dtype >= LATHE_DTYPE_COUNT || !allowed((lathe_dtype)dtype)) {
        const char *name = dtype > 0 && dtype < LATHE_DTYPE_COUNT ? lathe_dtype_name((lathe_dtype)dtype) : "no type";
        return LT_FAIL(c->diag, LATHE_BAD_MODEL, c->where, "set attribute dtype to a type that the operator makes",
                       "%s cannot make %s; its signature is %s", c->op->name, name, c->op->sig);
    }
    *out = (lathe_dtype)dtype;
    return LATHE_OK;
}
