/*
 * loop_internal.h - what Loop and Scan share: types of values that go round, and collecting the elements that
 * iterations give. Private to src/ops.
 */
#ifndef LT_LOOP_INTERNAL_H
#define LT_LOOP_INTERNAL_H

#include "ops/container.h"

/*
 * Types of a body whose inputs in[first_in..+n] come from its outputs out[first_out..+n]: what changes from one
 * iteration to the next becomes unknown in `in`, and the body is inferred until nothing changes. Arrays belong to the
 * caller.
 */
typedef struct lt_body_types {
    const lathe_attr *body;
    lt_type *in, *out;
    int n_in, n_out, first_in, first_out, n;
} lt_body_types;
lathe_status lt_body_infer(lt_infer *c, lt_body_types *b);
/*
 * The type of carried value k after the last iteration; also right when there was none. An optional whose place a plain
 * value takes in the iterations is that value in the end: one without a value must not stay so.
 */
lathe_status lt_body_carried(lt_infer *c, const lt_body_types *b, int k, lt_type *out);
/* Output i stacks values of this type: a new axis `axis` (of the output) of extent d. */
lathe_status lt_body_stacked(lt_infer *c, int i, const lt_type *each, int64_t axis, lt_dim d);

/*
 * Collects one output of the body over iterations whose number need not be known. Elements below a byte are kept
 * spread.
 */
typedef struct lt_stack {
    lt_tensor each; /* dtype and shape of one iteration; dtype undefined before the first */
    size_t elem;
    char *data;
    size_t capacity; /* bytes of data, of the allocator of c->scratch */
    int64_t count;   /* iterations */
} lt_stack;
lathe_status lt_stack_push(lt_eval *c, lt_stack *stack, int i, const lt_any *value);
/* Makes output i: elements along `axis` of the output, in reverse order if asked. */
lathe_status lt_stack_finish(lt_eval *c, lt_stack *stack, int i, int64_t axis, bool reverse);
void lt_stack_free(lt_eval *c, lt_stack *stack);

/* Two arenas by turns: values of this iteration and of the one before. */
typedef struct lt_carry {
    lt_arena arenas[2];
    int now;
    lt_any *values;
    int n;
} lt_carry;
lathe_status lt_carry_init(lt_eval *c, lt_carry *carry, int n); /* values are zeroed; free it even after a failure */
lathe_status lt_carry_update(lt_eval *c, lt_carry *carry, const lt_any *results);
void lt_carry_free(lt_carry *carry);

#endif
