/*
 * onednn_op.c - one operation of oneDNN: described, asked about, made, run. Used by the tactics onednn_*.c; the only file that knows how versions 2 and 3 of
 * the library differ.
 *
 * An object belongs to one step of one context. It has its own scratchpad, so that a run allocates nothing here and contexts do not meet in the library.
 *
 * The library runs on the calling thread alone. An object is cut for a number of threads and gives wrong numbers on fewer, without a word; and fewer is what
 * OpenMP gives inside somebody's parallel region or under OMP_THREAD_LIMIT. One it always gives.
 */
#include "backend/cpu/onednn.h"
#include "backend/cpu/ending.h"
#include "backend/cpu/product.h"
#include <math.h>
#include <string.h>

/* Numbers of the library's interface. */
enum {
    TYPE_F32 = 3,
    FORWARD_INFERENCE = 96,
    CONVOLUTION_DIRECT = 1,
    RELU_2 = 0x1f,
    CLIP_2 = 0xff,
    RELU_3 = 0x20,
    CLIP_3 = 0x2e,
    ARG_SRC = 1,
    ARG_DST = 17,
    ARG_WEIGHTS = 33,
    ARG_BIAS = 41,
    ARG_SCRATCHPAD = 80,
    QUERY_IMPLEMENTATION = 8,
    QUERY_SCRATCHPAD = 136,
    SCRATCHPAD_OF_USER = 1,
    STREAM_DEFAULT = 1
};
enum { THREADS = 1 };
enum { DESC_BYTES = 1024, OP_BYTES = 16384, OPERANDS = 5 }; /* version 2 has 696 and 5976 */

typedef struct argument {
    int number;
    void *memory;
} argument;

typedef struct state {
    lt_onednn_op op;
    void *primitive, *stream, *scratch;
    size_t scratch_bytes;
    argument arguments[OPERANDS]; /* x, w, bias, y, scratchpad; memory NULL: has none */
} state;

/* A description of a tensor, in either version's way. */
typedef struct desc {
    _Alignas(16) char own[DESC_BYTES];
    void *theirs;
} desc;

static const void *desc_of(const lt_onednn *l, const desc *d, const lt_onednn_tensor *t)
{
    return t->rank == 0 ? NULL : l->major == 2 ? d->own : d->theirs;
}

static bool describe(const lt_onednn *l, const lt_onednn_tensor *t, desc *d)
{
    int status = 0, rank = (int)t->rank;
    d->theirs = NULL;
    if (rank == 0) {
        return true;
    }
    if (l->major == 2) {
        status = t->tag ? l->desc2_tag(d->own, rank, t->dims, TYPE_F32, l->tags[t->tag]) : l->desc2_strides(d->own, rank, t->dims, TYPE_F32, t->strides);
    } else {
        status = t->tag ? l->desc3_tag(&d->theirs, rank, t->dims, TYPE_F32, l->tags[t->tag]) : l->desc3_strides(&d->theirs, rank, t->dims, TYPE_F32, t->strides);
    }
    return status == 0;
}

/* ---- The descriptor of a primitive ---- */

static bool append_limits(const lt_onednn *l, const lt_onednn_op *op, void *ops)
{
    float low = op->relu ? 0 : op->low, high = op->relu ? 0 : op->high;
    if (!op->relu && !op->clip) {
        return true;
    }
    return l->major == 2 ? l->eltwise2(ops, 1, op->relu ? RELU_2 : CLIP_2, low, high) == 0 : l->eltwise3(ops, op->relu ? RELU_3 : CLIP_3, low, high) == 0;
}

static bool fill_attributes(const lt_onednn *l, const lt_onednn_op *op, void *attr)
{
    void *ops;
    if (l->attr_scratchpad(attr, SCRATCHPAD_OF_USER) != 0 || l->ops_create(&ops) != 0) {
        return false;
    }
    bool good = !op->sum || (l->major == 2 ? l->sum2(ops, 1) : l->sum3(ops, 1, 0, TYPE_F32)) == 0;
    good = good && append_limits(l, op, ops) && l->attr_post_ops(attr, ops) == 0;
    l->ops_destroy(ops);
    return good;
}

static bool make_pd2(const lt_onednn *l, const lt_onednn_op *op, const void *const d[4], const void *attr, void **pd)
{
    _Alignas(16) char description[OP_BYTES];
    int status = op->convolution ? l->conv2(description, FORWARD_INFERENCE, CONVOLUTION_DIRECT, d[0], d[1], d[2], d[3], op->stride, op->dilation, op->begin, op->end)
                                 : l->matmul2(description, d[0], d[1], d[2], d[3]);
    return status == 0 && l->pd2(pd, description, attr, l->engine, NULL) == 0;
}

static bool make_pd3(const lt_onednn *l, const lt_onednn_op *op, const void *const d[4], const void *attr, void **pd)
{
    return (op->convolution ? l->conv3(pd, l->engine, FORWARD_INFERENCE, CONVOLUTION_DIRECT, d[0], d[1], d[2], d[3], op->stride, op->dilation, op->begin, op->end, attr)
                            : l->matmul3(pd, l->engine, d[0], d[1], d[2], d[3], attr)) == 0;
}

/* The descriptor of the operation and, with memory, an object for each operand; whatever comes out is the caller's also after a failure. */
static bool make_pd(const lt_onednn *l, const lt_onednn_op *op, void **pd, argument *arguments)
{
    const lt_onednn_tensor *tensors[4] = {&op->x, &op->w, &op->bias, &op->y};
    desc descs[4];
    const void *d[4];
    void *attr = NULL;
    bool good = true;
    *pd = NULL;
    for (int i = 0; i < 4; i++) {
        good = describe(l, tensors[i], &descs[i]) && good;
        d[i] = desc_of(l, &descs[i], tensors[i]);
    }
    good = good && l->attr_create(&attr) == 0 && fill_attributes(l, op, attr);
    good = good && (l->major == 2 ? make_pd2(l, op, d, attr, pd) : make_pd3(l, op, d, attr, pd));
    for (int i = 0; arguments && good && i < 4; i++) {
        good = !d[i] || l->memory_create(&arguments[i].memory, d[i], l->engine, NULL) == 0;
    }
    if (attr) {
        l->attr_destroy(attr);
    }
    for (int i = 0; i < 4; i++) {
        if (l->major != 2 && descs[i].theirs) {
            l->desc3_destroy(descs[i].theirs);
        }
    }
    return good;
}

/* ---- Threads ---- */

static int enter_threads(const lt_onednn *l)
{
    int before = l->set_threads ? l->get_threads() : THREADS;
    if (before != THREADS) {
        l->set_threads(THREADS); /* of the calling thread's regions; other threads keep theirs */
    }
    return before;
}

static void leave_threads(const lt_onednn *l, int before)
{
    if (before != THREADS) {
        l->set_threads(before);
    }
}

/* ---- Questions ---- */

static bool empty(const lt_onednn_op *op)
{
    for (int64_t i = 0; i < op->y.rank; i++) {
        if (op->y.dims[i] == 0) {
            return true;
        }
    }
    return false;
}

int lt_onednn_suits(const lt_onednn_op *op, lathe_fit *fit)
{
    const char *why, *implementation = "";
    const lt_onednn *l = lt_onednn_library(&why);
    void *pd;
    if (!l) {
        return lt_no(fit, "oneDNN is not here: %s", why);
    }
    if (empty(op)) {
        return 1;
    }
    bool good = make_pd(l, op, &pd, NULL) && l->pd_query(pd, QUERY_IMPLEMENTATION, 0, &implementation) == 0;
    int answer = !good ? lt_no(fit, "oneDNN refuses the operation")
                 : strncmp(implementation, "ref", 3) == 0 ? lt_no(fit, "oneDNN has nothing better than its reference (%s) for these shapes", implementation) : 1;
    if (pd) {
        l->pd_destroy(pd);
    }
    return answer;
}

/* ---- Objects ---- */

void lt_onednn_forget(void *object)
{
    state *s = object;
    const lt_onednn *l = lt_onednn_library(NULL);
    if (!s || !l) {
        return;
    }
    for (int i = 0; i < OPERANDS; i++) {
        if (s->arguments[i].memory) {
            l->memory_destroy(s->arguments[i].memory);
        }
    }
    if (s->primitive) {
        l->primitive_destroy(s->primitive);
    }
    if (s->stream) {
        l->stream_destroy(s->stream);
    }
    if (s->scratch) {
        lt_release(NULL, s->scratch, s->scratch_bytes, 64);
    }
    LT_DELETE(NULL, s);
}

static bool make_scratchpad(const lt_onednn *l, const void *pd, state *s)
{
    const void *d = l->pd_desc(pd, QUERY_SCRATCHPAD, 0);
    s->scratch_bytes = d ? l->memory_bytes(d) : 0;
    if (s->scratch_bytes == 0) {
        return true;
    }
    s->scratch = lt_alloc(NULL, s->scratch_bytes, 64);
    return s->scratch && l->memory_create(&s->arguments[4].memory, d, l->engine, s->scratch) == 0;
}

static bool make_object(const lt_onednn *l, state *s)
{
    static const int numbers[OPERANDS] = {ARG_SRC, ARG_WEIGHTS, ARG_BIAS, ARG_DST, ARG_SCRATCHPAD};
    void *pd;
    for (int i = 0; i < OPERANDS; i++) {
        s->arguments[i].number = numbers[i];
    }
    int before = enter_threads(l); /* the object is cut for the threads at hand now */
    bool good = make_pd(l, &s->op, &pd, s->arguments) && make_scratchpad(l, pd, s) && l->primitive_create(&s->primitive, pd) == 0 &&
                l->stream_create(&s->stream, l->engine, STREAM_DEFAULT) == 0;
    leave_threads(l, before);
    if (pd) {
        l->pd_destroy(pd);
    }
    return good;
}

lathe_status lt_onednn_prepare(const lt_onednn_op *op, void **object, lathe_diag *diag)
{
    const char *why;
    const lt_onednn *l = lt_onednn_library(&why);
    state *s = *object;
    if (!l) {
        return LT_FAIL(diag, LATHE_NEEDS_RETUNE, NULL, "re-tune the plan here: lathe retune", "oneDNN is not here: %s", why);
    }
    if (s && memcmp(&s->op, op, sizeof *op) == 0) {
        return LATHE_OK;
    }
    lt_onednn_forget(s);
    *object = s = LT_NEW(NULL, state);
    if (!s) {
        return LT_OOM(diag);
    }
    s->op = *op;
    if (!empty(op) && !make_object(l, s)) {
        lt_onednn_forget(s);
        *object = NULL;
        return LT_FAIL(diag, LATHE_UNSUPPORTED, NULL, "build without it: --sources -onednn", "oneDNN cannot make its object for these extents");
    }
    return LATHE_OK;
}

lathe_status lt_onednn_run(const lathe_call *call, const lt_onednn_op *op, const void *x, const void *w, const void *bias, void *y, lathe_diag *diag)
{
    state *s = call->state;
    const lt_onednn *l = lt_onednn_library(NULL);
    const void *data[4] = {x, w, bias, y};
    argument arguments[OPERANDS];
    int n = 0;
    if (!l || !s || memcmp(&s->op, op, sizeof *op) != 0) {
        return LT_FAIL(diag, LATHE_INTERNAL, call->problem->op, "this is a bug in Lathe: please report it", "the step was not prepared for these extents");
    }
    if (empty(op)) {
        return LATHE_OK;
    }
    for (int i = 0; i < OPERANDS; i++) {
        if (!s->arguments[i].memory) {
            continue;
        }
        arguments[n++] = s->arguments[i];
        if (i < 4 && l->memory_set(s->arguments[i].memory, (void *)data[i]) != 0) {
            return LT_FAIL(diag, LATHE_INTERNAL, call->problem->op, NULL, "oneDNN refuses an operand");
        }
    }
    int before = enter_threads(l);
    bool good = l->primitive_execute(s->primitive, s->stream, n, arguments) == 0 && l->stream_wait(s->stream) == 0;
    leave_threads(l, before);
    return good ? LATHE_OK : LT_FAIL(diag, LATHE_INTERNAL, call->problem->op, NULL, "oneDNN failed to run the operation");
}

/* ---- What the tactics share ---- */

int lt_onednn_fits(const lathe_problem *p, int column, lathe_fit *fit)
{
    const lathe_operand *third = lt_root_operand(p, 2, NULL);
    lt_ending e = lt_ending_read(p, column);
    if (!e.simple || e.scale != 1.0f || e.scale_at >= 0 || e.low_at >= 0 || e.high_at >= 0) {
        return lt_no(fit, "the epilogue is more than a bias, a sum and limits");
    }
    if (third && e.bias >= 0) {
        return lt_no(fit, "there are two biases");
    }
    for (size_t slot = 0; slot < p->n_root_in; slot++) {
        const lathe_operand *o = lt_root_operand(p, slot, NULL);
        if (o ? o->dtype != LATHE_DTYPE_F32 || (o->flags & (LATHE_OPERAND_MANAGED | LATHE_OPERAND_HOST)) : slot < 2) {
            return lt_no(fit, "input %zu is %s", slot, o ? lathe_dtype_name(o->dtype) : "absent");
        }
    }
    if (p->out[0].flags & (LATHE_OPERAND_MANAGED | LATHE_OPERAND_BOUNDED | LATHE_OPERAND_ABSENT)) {
        return lt_no(fit, "the output has no planned extents");
    }
    return 1;
}

void lt_onednn_ending(const lathe_problem *p, int column, lt_onednn_op *op, int *bias, int *add)
{
    uint16_t number;
    lt_ending e = lt_ending_read(p, column);
    *bias = lt_root_operand(p, 2, &number) ? (int)number : e.bias;
    *add = e.add;
    op->sum = e.add >= 0;
    op->relu = e.low == 0 && e.high == INFINITY;
    op->clip = !op->relu && (e.low != -INFINITY || e.high != INFINITY);
    op->low = op->clip ? e.low : 0;
    op->high = op->clip ? e.high : 0;
}

/* An extent that may be 1 may have become a repeated one: element by element. */
static void repeat_addend(const lathe_call *call, int add)
{
    const lathe_buffer *from = &call->in[add], *to = &call->out[0];
    const lathe_format *a = &call->problem->in[add].format, *b = &call->problem->out[0].format;
    int64_t coords[LATHE_MAX_RANK] = {0}, at[LATHE_MAX_RANK];
    do {
        for (int i = 0; i < to->rank; i++) {
            at[i] = from->dims[i] == 1 ? 0 : coords[i];
        }
        ((float *)to->data)[lt_format_offset(b, to->dims, coords)] = ((const float *)from->data)[lt_format_offset(a, from->dims, at)];
    } while (lt_next_coords(to->rank, to->dims, coords));
}

lathe_status lt_onednn_addend(const lathe_call *call, int add, lathe_diag *diag)
{
    size_t bytes;
    const lathe_buffer *from = add >= 0 ? &call->in[add] : NULL, *to = &call->out[0];
    bool same = true;
    if (!from || !lt_format_bytes(&call->problem->out[0].format, to->rank, to->dims, &bytes) || bytes == 0) {
        return LATHE_OK;
    }
    for (int i = 0; i < to->rank; i++) {
        same = same && from->dims[i] == to->dims[i];
        if (from->rank != to->rank || (from->dims[i] != to->dims[i] && from->dims[i] != 1)) {
            return LT_FAIL(diag, LATHE_BAD_SHAPE, call->problem->op, NULL, "the addend does not broadcast to the output");
        }
    }
    if (!same) {
        repeat_addend(call, add);
    } else if (from->data != to->data) {
        memcpy(to->data, from->data, bytes);
    }
    return LATHE_OK;
}

double lt_onednn_cost(const lathe_problem *problem, double flops_per_ns)
{
    return 2000 + lt_problem_flops(problem) / flops_per_ns + 0.03 * lt_problem_bytes(problem);
}
