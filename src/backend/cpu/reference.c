/*
 * reference.c - the fallback tactic: any operator by its clear reference evaluation, on plain tensors. One row for the CPU, one for the twin.
 *
 * It is always there, so that with everything else switched off every group still has a tactic; it is slow and says so in its cost. Managed and bounded
 * outputs are its job alone. It runs on one thread.
 */
#include "backend/backend.h"
#include <string.h>

enum { MAX_OPERANDS = 1024 };

/*
 * Nanoseconds for one of lt_problem_flops. Measured: products and layers over time 0.1 to 0.4, walks over elements 3 to 20, Einsum 5 to 9. Products are said to
 * be slower than they are: a tactic that is a little wrong about itself at a small size shall still be in front.
 */
static double slowness(const lathe_problem *p)
{
    static const char *const products[] = { "Conv", "MatMul", "Gemm", "Attention", "LSTM", "GRU", "RNN" };
    for (size_t i = 0; i < LT_COUNT(products); i++) {
        if (strstr(p->op, products[i])) {
            return 2;
        }
    }
    return 10;
}

static int fits_reference(const lathe_problem *p, uint32_t config, lathe_fit *fit)
{
    (void)config;
    const lathe_pw_instr *first;
    if (!lt_op_find(p->domain, p->op)) {
        return lt_no(fit, "no reference for %s", p->op);
    }
    if (p->n_instrs > (size_t)lt_problem_epilogue(p, &first)) {
        return lt_no(fit, "has a prologue");
    }
    if (p->n_root_in > MAX_OPERANDS || p->n_out > MAX_OPERANDS) {
        return lt_no(fit, "more than %d operands", MAX_OPERANDS);
    }
    fit->absorbed = 0;
    if (p->n_instrs > 0) {
        return lt_no(fit, "has an epilogue");
    }
    fit->serial = 1;
    fit->cost = 2000 + slowness(p) * lt_problem_flops(p) + 0.5 * lt_problem_bytes(p);
    return 1;
}

static int fits_twin(const lathe_problem *p, uint32_t config, lathe_fit *fit)
{
    const lt_op *op = lt_op_find(p->domain, p->op);
    if (op && (op->traits & LT_OP_RANDOM)) {
        return lt_no(fit, "random numbers are drawn on the host");
    }
    for (size_t i = 0; i < p->n_out; i++) {
        if (p->out[i].flags & (LATHE_OPERAND_BOUNDED | LATHE_OPERAND_MANAGED)) {
            return lt_no(fit, "output %zu has no extents before the run", i);
        }
    }
    for (size_t i = 0; i < p->n_in; i++) {
        if (p->in[i].flags & LATHE_OPERAND_MANAGED) {
            return lt_no(fit, "input %zu is a host handle", i);
        }
    }
    return fits_reference(p, config, fit);
}

typedef struct bound { /* what make() needs to know about the call */
    const lathe_call *call;
    lt_host *host;
} bound;

static void *keep(lt_eval *c, size_t size, size_t align)
{
    const bound *b = c->user;
    return b->host ? lt_arena_alloc(b->host->keep, size, align) : NULL;
}

/* Planned outputs must have just the extents that the plan worked out; bounded ones at most those; managed ones are made on the heap. */
static lathe_status make(lt_eval *c, int i, lathe_dtype dtype, int rank, const int64_t *dims)
{
    const bound *b = c->user;
    const lathe_operand *o = &b->call->problem->out[i];
    lathe_buffer *to = &b->call->out[i];
    lt_tensor *t = &c->out[i]->tensor;
    c->out[i]->cls = LT_TENSOR;
    if (to->handle) {
        LT_TRY(lt_tensor_alloc(b->host->keep, t, dtype, rank, dims, c->where, c->diag));
        return LATHE_OK;
    }
    LT_TRY(lt_tensor_shape(t, dtype, rank, dims, c->where, c->diag));
    if (dtype != o->dtype || rank != to->rank) {
        return lt_eval_fail(c, "output %d has type %s and rank %d, planned were %s and %d", i,
                            lt_dtype_get(dtype)->name, rank, lt_dtype_get(o->dtype)->name, to->rank);
    }
    bool bounded = o->flags & LATHE_OPERAND_BOUNDED;
    for (int d = 0; d < rank; d++) {
        if (bounded ? dims[d] > to->dims[d] : dims[d] != to->dims[d]) {
            return lt_eval_fail(c, "output %d has extent %lld on axis %d, planned was %s%lld", i, (long long)dims[d], d,
                                bounded ? "at most " : "", (long long)to->dims[d]);
        }
    }
    if (bounded) {
        memcpy(to->dims, dims, (size_t)rank * sizeof *dims);
    }
    t->data = to->data;
    return LATHE_OK;
}

/* A tensor or container as the reference wants it, from a buffer of the call. */
static lathe_status view(const lathe_operand *o, const lathe_buffer *from, lt_any *any, lathe_diag *diag)
{
    if (from->handle) {
        *any = *(const lt_any *)from->handle;
        return LATHE_OK;
    }
    *any = (lt_any){ .cls = LT_TENSOR };
    LT_TRY(lt_tensor_shape(&any->tensor, o->dtype, from->rank, from->dims, "operand", diag));
    any->tensor.data = from->data;
    return LATHE_OK;
}

static lathe_status inputs_of(const lathe_call *call, lt_arena *scratch, const lt_any ***out, lathe_diag *diag)
{
    const lathe_problem *p = call->problem;
    lt_any *any = LT_ARENA_ARRAY(scratch, lt_any, p->n_root_in + 1);
    const lt_any **list = lt_arena_zero(scratch, p->n_root_in + 1, sizeof *list, _Alignof(lt_any *));
    if (!any || !list) {
        return LT_OOM(diag);
    }
    for (size_t i = 0; i < p->n_root_in; i++) {
        uint16_t number = p->root_in[i];
        if (number != 0xffff && !(p->in[number].flags & LATHE_OPERAND_ABSENT)) {
            LT_TRY(view(&p->in[number], &call->in[number], &any[i], diag));
            list[i] = &any[i];
        }
    }
    *out = list;
    return LATHE_OK;
}

static lathe_status evaluate(const lathe_call *call, lt_host *host, lathe_diag *diag)
{
    const lathe_problem *p = call->problem;
    const lt_op *op = lt_op_find(p->domain, p->op);
    LT_CHECK(diag, op != NULL, p->op);
    const lt_any **in = NULL;
    LT_TRY(inputs_of(call, host->scratch, &in, diag));
    lt_any *any = LT_ARENA_ARRAY(host->scratch, lt_any, p->n_out + 1);
    lt_any **out = lt_arena_zero(host->scratch, p->n_out + 1, sizeof *out, _Alignof(lt_any *));
    if (!any || !out) {
        return LT_OOM(diag);
    }
    for (size_t i = 0; i < p->n_out; i++) {
        out[i] = p->out[i].flags & LATHE_OPERAND_ABSENT ? NULL : &any[i];
    }
    bound b = { call, host };
    lt_eval c = { .op = op,
                  .attrs = p->attrs,
                  .n_attrs = p->n_attrs,
                  .where = p->op,
                  .n_in = (int)p->n_root_in,
                  .in = in,
                  .n_out = (int)p->n_out,
                  .out = out,
                  .scratch = host->scratch,
                  .make = make,
                  .keep = keep,
                  .user = &b,
                  .seed = host->seed,
                  .node = host->node,
                  .diag = diag };
    LT_TRY(lt_op_eval(&c));
    for (size_t i = 0; i < p->n_out; i++) {
        lathe_buffer *to = &call->out[i];
        if (out[i] && to->handle) {
            *(lt_any *)to->handle = any[i];
        }
    }
    return LATHE_OK;
}

static lathe_status run_reference(const lathe_gang *gang, const lathe_call *call, lathe_diag *diag)
{
    if (gang->index != 0) {
        return LATHE_OK;
    }
    if (call->host) {
        return evaluate(call, call->host, diag);
    }
    lt_arena scratch; /* devices give no host services: their reference steps allocate */
    lt_arena_init(&scratch, NULL);
    lt_host host = { .scratch = &scratch, .keep = &scratch };
    lathe_status status = evaluate(call, &host, diag);
    lt_arena_destroy(&scratch);
    return status;
}

LT_TACTICS(reference) = {
    { .struct_size = sizeof(lathe_tactic),
      .name = "reference.eval",
      .version = 1,
      .summary = "any operator by its clear reference, one thread",
      .ops = "*",
      .device = LATHE_SPACE_HOST,
      .configs = 1,
      .fits = fits_reference,
      .run = run_reference },
    { .struct_size = sizeof(lathe_tactic),
      .name = "reference.twin",
      .version = 1,
      .summary = "any operator by its clear reference, on the test device",
      .ops = "*",
      .device = LATHE_SPACE_TWIN,
      .configs = 1,
      .fits = fits_twin,
      .run = run_reference },
    { .name = NULL },
};
