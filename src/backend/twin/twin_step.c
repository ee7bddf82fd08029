/*
 * twin_step.c - steps of the test device: a call is copied when it is queued, and its addresses are translated when it runs. Used by twin_backend.c.
 *
 * Every operand must lie inside one live allocation. Scratch is poisoned before each step, so that nothing can be carried from one to the next.
 */
#include "backend/twin/twin_internal.h"
#include <string.h>

/* Bytes of an operand as it lies in memory; false when its extents have no size. */
static bool operand_bytes(const lathe_operand *o, const lathe_buffer *b, size_t *bytes)
{
    *bytes = 0;
    return o->flags & LATHE_OPERAND_ABSENT || lt_format_bytes(&o->format, b->rank, b->dims, bytes);
}

static lathe_status check_operands(const lathe_problem *p, const lathe_buffer *in, const lathe_buffer *out,
                                   size_t *host_bytes, lathe_diag *diag)
{
    *host_bytes = 0;
    for (size_t i = 0; i < p->n_in + p->n_out; i++) {
        bool output = i >= p->n_in;
        const lathe_operand *o = output ? &p->out[i - p->n_in] : &p->in[i];
        const lathe_buffer *b = output ? &out[i - p->n_in] : &in[i];
        size_t bytes, room;
        if (o->flags & LATHE_OPERAND_ABSENT) {
            continue;
        }
        if (o->flags & (LATHE_OPERAND_MANAGED | LATHE_OPERAND_BOUNDED) || b->handle ||
            (output && o->flags & LATHE_OPERAND_HOST)) {
            return LT_FAIL(diag, LATHE_UNSUPPORTED, p->op, "run this step on the cpu",
                           "the test device cannot take operand %zu: it is a host value", i);
        }
        if (!operand_bytes(o, b, &bytes)) {
            return LT_FAIL(diag, LATHE_BAD_SHAPE, p->op, NULL, "operand %zu has extents without a size", i);
        }
        if (o->flags & LATHE_OPERAND_HOST &&
            (!lt_size_align(bytes, 64, &room) || !lt_size_add(*host_bytes, room, host_bytes))) {
            return LT_FAIL(diag, LATHE_OVERFLOW, p->op, NULL, "operand %zu is too large", i);
        }
    }
    return LATHE_OK;
}

/* Buffers with extents of their own; `dims` moves on. */
static void copy_buffers(lathe_buffer *to, const lathe_buffer *from, size_t count, int64_t **dims)
{
    for (size_t i = 0; i < count; i++) {
        to[i] = from[i];
        to[i].dims = *dims;
        for (int d = 0; d < from[i].rank; d++) {
            (*dims)[d] = from[i].dims[d];
        }
        *dims += LATHE_MAX_RANK;
    }
}

static void read_host_operands(lt_twin_step *step, const lathe_problem *p)
{
    unsigned char *at = step->host_bytes;
    for (size_t i = 0; i < p->n_in; i++) {
        size_t bytes, room;
        if (!(p->in[i].flags & LATHE_OPERAND_HOST) || !operand_bytes(&p->in[i], &step->in[i], &bytes) ||
            !lt_size_align(bytes, 64, &room)) {
            continue;
        }
        if (bytes > 0) {
            memcpy(at, step->in[i].data, bytes);
        }
        step->in[i].data = at;
        at += room;
    }
}

lathe_status lt_twin_step_make(const lathe_allocator *allocator, const lathe_tactic *tactic, const lathe_call *call,
                               lt_twin_step **out, lathe_diag *diag)
{
    const lathe_problem *p = call->problem;
    size_t host_bytes, n = p->n_in + p->n_out, bytes;
    LT_TRY(check_operands(p, call->in, call->out, &host_bytes, diag));
    size_t head = (sizeof(lt_twin_step) + 63) / 64 * 64, each = sizeof(lathe_buffer) + LATHE_MAX_RANK * sizeof(int64_t);
    if (!lt_size_mul(n, each, &bytes) || !lt_size_align(bytes, 64, &bytes) || !lt_size_add(bytes, head, &bytes) ||
        !lt_size_add(bytes, host_bytes, &bytes)) {
        return LT_FAIL(diag, LATHE_OVERFLOW, p->op, NULL, "the step has too many operands");
    }
    unsigned char *block = lt_alloc_zero(allocator, bytes, 64);
    if (!block) {
        return LT_OOM(diag);
    }
    lt_twin_step *s = (lt_twin_step *)block;
    lathe_buffer *buffers = (lathe_buffer *)(block + head);
    int64_t *dims = (int64_t *)(buffers + n);
    *s = (lt_twin_step){ .tactic = tactic,
                         .call = *call,
                         .in = buffers,
                         .out = buffers + p->n_in,
                         .host_bytes = block + bytes - host_bytes,
                         .bytes = bytes };
    copy_buffers(s->in, call->in, p->n_in, &dims);
    copy_buffers(s->out, call->out, p->n_out, &dims);
    read_host_operands(s, p);
    *out = s;
    return LATHE_OK;
}

void lt_twin_step_free(const lathe_allocator *allocator, lt_twin_step *step)
{
    if (step) {
        lt_release(allocator, step, step->bytes, 64);
    }
}

static lathe_status translate_operands(const lt_twin_memory *memory, const lt_twin_step *step, lathe_diag *diag)
{
    const lathe_problem *p = step->call.problem;
    for (size_t i = 0; i < p->n_in + p->n_out; i++) {
        bool output = i >= p->n_in;
        const lathe_operand *o = output ? &p->out[i - p->n_in] : &p->in[i];
        lathe_buffer *b = output ? &step->out[i - p->n_in] : &step->in[i];
        size_t bytes;
        if (o->flags & (LATHE_OPERAND_HOST | LATHE_OPERAND_ABSENT) || !operand_bytes(o, b, &bytes)) {
            continue;
        }
        LT_TRY(lt_twin_translate(memory, (lt_devptr)(uintptr_t)b->data, bytes, step->tactic->name, &b->data, diag));
    }
    return LATHE_OK;
}

static void no_barrier(const lathe_gang *gang)
{
    (void)gang;
}

lathe_status lt_twin_step_run(const lt_twin_memory *memory, lt_twin_step *step, lathe_diag *diag)
{
    const lathe_tactic *t = step->tactic;
    lathe_call call = step->call;
    lathe_gang alone = { .index = 0, .count = 1, .barrier = no_barrier };
    size_t scratch = t->scratch_bytes ? t->scratch_bytes(call.problem, call.config, step->in, step->out, 1) : 0;
    LT_TRY(translate_operands(memory, step, diag));
    LT_TRY(lt_twin_translate(memory, (lt_devptr)(uintptr_t)step->call.scratch, scratch, t->name, &call.scratch, diag));
    lt_twin_poison(call.scratch, scratch);
    call.in = step->in;
    call.out = step->out;
    call.stream = NULL;
    call.host = NULL;
    return t->run(&alone, &call, diag);
}
