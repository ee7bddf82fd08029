/*
 * loop_run.c - evaluation shared by Loop and Scan: values carried from iteration to iteration, and outputs stacked
 * over iterations.
 */
#include "ops/loop_internal.h"

#include <string.h>

lathe_status lt_carry_init(lt_eval *c, lt_carry *carry, int n)
{
    *carry = (lt_carry){ .n = n };
    lt_arena_init(&carry->arenas[0], c->scratch->allocator);
    lt_arena_init(&carry->arenas[1], c->scratch->allocator);
    carry->values = LT_ARENA_ARRAY(c->scratch, lt_any, (size_t)n + 1);
    return carry->values != NULL ? LATHE_OK : LT_OOM(c->diag);
}

lathe_status lt_carry_update(lt_eval *c, lt_carry *carry, const lt_any *results)
{
    /* The results may still point into the values of the iteration that ends. */
    carry->now = 1 - carry->now;
    lt_arena *arena = &carry->arenas[carry->now];
    lt_arena_reset(arena);
    for (int k = 0; k < carry->n; k++) {
        LT_TRY(lt_clone_value(c, arena, &results[k], &carry->values[k]));
    }
    return LATHE_OK;
}

void lt_carry_free(lt_carry *carry)
{
    lt_arena_destroy(&carry->arenas[0]);
    lt_arena_destroy(&carry->arenas[1]);
}

/* The first iteration fixes type and shape. */
static lathe_status match_shape(lt_eval *c, lt_stack *stack, int i, const lt_any *value)
{
    const lt_tensor *each = &stack->each, *now = &value->tensor;
    if (value->cls != LT_TENSOR || now->rank >= LATHE_MAX_RANK) {
        return lt_eval_fail(c, "output %d stacks tensors of rank below %d only", i, LATHE_MAX_RANK);
    }
    if (stack->count == 0) {
        stack->each = *now;
        return LATHE_OK;
    }
    if (now->dtype != each->dtype || now->rank != each->rank ||
        (now->rank > 0 && memcmp(now->dims, each->dims, (size_t)now->rank * sizeof now->dims[0]) != 0)) {
        return lt_eval_fail(c, "iteration %lld gives output %d another shape than the ones before",
                            (long long)stack->count, i);
    }
    return LATHE_OK;
}

lathe_status lt_stack_push(lt_eval *c, lt_stack *stack, int i, const lt_any *value)
{
    lt_raw raw;
    size_t block, used, need;
    LT_TRY(match_shape(c, stack, i, value));
    LT_TRY(lt_raw_in(c, &value->tensor, &raw));
    stack->elem = raw.elem;
    bool fits = lt_size_mul((size_t)lt_tensor_count(&value->tensor), raw.elem, &block) &&
                lt_size_mul(block, (size_t)stack->count, &used) && lt_size_add(used, block, &need);
    void *data = stack->data;
    if (!fits || !lt_grow(c->scratch->allocator, &data, &stack->capacity, need, 1)) {
        return LT_OOM(c->diag);
    }
    stack->data = data;
    if (block > 0) {
        memcpy(stack->data + used, raw.data, block);
    }
    stack->count++;
    if (value->tensor.dtype != LATHE_DTYPE_STRING) {
        return LATHE_OK;
    }
    /* The bytes of strings must outlive the iteration. */
    lt_tensor part = value->tensor;
    part.data = stack->data + used;
    return lt_own_strings(c, &part);
}

/* The type of an output that no iteration gave: what the caller knows of it, unknown extents as 0. */
static lathe_status empty_output(lt_eval *c, int i, int64_t axis)
{
    lt_tensor *out = lt_out(c, i);
    int64_t dims[LATHE_MAX_RANK] = { 0 };
    if (out->dtype == LATHE_DTYPE_UNDEFINED || out->rank < 1 || out->rank > LATHE_MAX_RANK) {
        return LT_FAIL(c->diag, LATHE_UNSUPPORTED, c->where, "give the body's output a type with its rank",
                       "%s: no iteration ran, and the type of output %d is unknown", c->op->name, i);
    }
    int64_t at = axis < 0 ? axis + out->rank : axis;
    for (int k = 0; k < out->rank; k++) {
        dims[k] = k == at || out->dims[k] < 0 ? 0 : out->dims[k];
    }
    return c->make(c, i, out->dtype, out->rank, dims);
}

lathe_status lt_stack_finish(lt_eval *c, lt_stack *stack, int i, int64_t axis, bool reverse)
{
    const lt_tensor *each = &stack->each;
    int64_t dims[LATHE_MAX_RANK], at;
    lt_raw raw;
    if (i >= c->n_out || c->out[i] == NULL) {
        return LATHE_OK;
    }
    if (stack->count == 0) {
        return empty_output(c, i, axis);
    }
    if (!lt_wrap_index(axis, each->rank + 1, &at)) {
        return lt_eval_fail(c, "axis %lld of output %d is out of range", (long long)axis, i);
    }
    for (int k = 0; k <= each->rank; k++) {
        dims[k] = k == at ? stack->count : each->dims[k < at ? k : k - 1];
    }
    LT_TRY(c->make(c, i, each->dtype, each->rank + 1, dims));
    lt_tensor *y = lt_out(c, i);
    lt_axis_span span = lt_span(y->rank, y->dims, (int)at);
    LT_TRY(lt_raw_out(c, y, &raw));
    size_t row = (size_t)span.inner * stack->elem;
    for (int64_t t = 0; t < stack->count && row > 0; t++) {
        const char *src = stack->data + (size_t)(t * span.outer) * row;
        int64_t to = reverse ? stack->count - 1 - t : t;
        for (int64_t o = 0; o < span.outer; o++) {
            memcpy(raw.data + (size_t)(o * stack->count + to) * row, src + (size_t)o * row, row);
        }
    }
    return lt_raw_done(c, y, &raw);
}

void lt_stack_free(lt_eval *c, lt_stack *stack)
{
    if (stack->data != NULL) {
        lt_release(c->scratch->allocator, stack->data, stack->capacity, LT_VEC_ALIGN);
    }
}
