/*
 * optional.c - Optional, OptionalHasElement, OptionalGetElement: a value that may be absent.
 */
#include "ops/container.h"

static lathe_status infer_optional(lt_infer *c)
{
    const lathe_attr *type = lt_attr_find(c->attrs, c->n_attrs, "type");
    bool given = c->n_in > 0 && c->in[0] != NULL;
    if (!given && type == NULL) {
        return lt_infer_fail(c, "neither an input nor a type is given");
    }
    return lt_infer_container(c, 0, LT_OPTIONAL, given ? c->in[0] : type->type);
}

static lathe_status eval_optional(lt_eval *c)
{
    const lt_any *value = c->n_in > 0 ? c->in[0] : NULL;
    lathe_dtype dtype = c->out[0] != NULL ? c->out[0]->tensor.dtype : LATHE_DTYPE_UNDEFINED;
    lt_any *items;
    if (value != NULL) {
        dtype = lt_container_dtype(value);
    }
    LT_TRY(lt_make_items(c, 0, LT_OPTIONAL, dtype, value != NULL, &items));
    return items != NULL && value != NULL ? lt_keep_value(c, value, &items[0]) : LATHE_OK;
}

static lathe_status infer_has_element(lt_infer *c)
{
    LT_TRY(lt_infer_out(c, 0, LATHE_DTYPE_BOOL, 0, NULL));
    if (c->n_in > 0 && c->in[0] != NULL && c->in[0]->cls == LT_OPTIONAL) {
        return LATHE_OK;
    }
    lt_dim has = lt_dim_const(c->n_in > 0 && c->in[0] != NULL);
    return lt_infer_set_contents(c, 0, &has, 1);
}

static lathe_status eval_has_element(lt_eval *c)
{
    const lt_any *value = c->n_in > 0 ? c->in[0] : NULL;
    if (lt_out(c, 0) != NULL) {
        bool has = value != NULL && (value->cls != LT_OPTIONAL || value->count > 0);
        lt_store_i64(LATHE_DTYPE_BOOL, lt_out(c, 0)->data, 0, has);
    }
    return LATHE_OK;
}

static lathe_status infer_get_element(lt_infer *c)
{
    const lt_type *x = c->in[0];
    if (x->cls != LT_OPTIONAL) {
        return lt_infer_same(c, 0, 0);
    }
    if (x->elem != NULL && c->n_out > 0) {
        c->out[0] = *x->elem;
    }
    return LATHE_OK;
}

static lathe_status eval_get_element(lt_eval *c)
{
    const lt_any *value = c->in[0];
    if (value->cls != LT_OPTIONAL) {
        return lt_copy_value(c, 0, value);
    }
    return value->count > 0 ? lt_copy_value(c, 0, &value->items[0]) : lt_eval_fail(c, "the optional is empty");
}

static const lt_attr_spec attrs_optional[] = { { "type", LATHE_ATTR_TYPE, false }, { 0 } };

static const char *const samples_optional[] = { "f32[2,3] x = rand(1) | y = Optional (x)", NULL };
static const char *const samples_has_element[] = {
    "f32[2,3] x = rand(1) | y = OptionalHasElement (x)",
    "| y = OptionalHasElement ()",
    NULL,
};
static const char *const samples_get_element[] = { "f32[2,3] x = rand(1) | y = OptionalGetElement (x)", NULL };

LT_OPS(optional) = {
    {
        .name = "Optional",
        .since = 15,
        .sig = "(any? input) -> (opt output)",
        .attrs = attrs_optional,
        .infer = infer_optional,
        .eval = eval_optional,
        .samples = samples_optional,
    },
    {
        .name = "OptionalHasElement",
        .since = 18,
        .sig = "(any? input) -> (bool output)",
        .infer = infer_has_element,
        .eval = eval_has_element,
        .samples = samples_has_element,
    },
    {
        .name = "OptionalGetElement",
        .since = 18,
        .sig = "(any input) -> (any output)",
        .infer = infer_get_element,
        .eval = eval_get_element,
        .samples = samples_get_element,
    },
    { 0 },
};
