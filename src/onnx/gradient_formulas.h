/*
 * gradient_formulas.h - short names, so that derivatives read as formulas. Private to the gradient_*.c files.
 */
#ifndef LT_GRADIENT_FORMULAS_H
#define LT_GRADIENT_FORMULAS_H

#include "onnx/import_expand.h"

static inline lt_value_id add(lt_backward *b, lt_value_id p, lt_value_id q)
{
    return lt_expand_2(b->x, "Add", p, q);
}

static inline lt_value_id sub(lt_backward *b, lt_value_id p, lt_value_id q)
{
    return lt_expand_2(b->x, "Sub", p, q);
}

static inline lt_value_id mul(lt_backward *b, lt_value_id p, lt_value_id q)
{
    return lt_expand_2(b->x, "Mul", p, q);
}

static inline lt_value_id over(lt_backward *b, lt_value_id p, lt_value_id q)
{
    return lt_expand_2(b->x, "Div", p, q);
}

#endif
