/*
 * refit.c - new values for named initializers of a loaded plan: re-runs the touched slice of the init function, packs anew, gives a new engine.
 *
 * The init program's values are raw initializer blobs and results of reference steps; the plan's init table says which value becomes which blob (packs
 * of raw initializers included). Everything else is shared with the old engine.
 */
#include "rt/rt_internal.h"
#include <string.h>

typedef struct refit {
    lathe_engine *child;
    const lt_plan *plan;
    const lt_plan_program *program; /* of the init function; NULL when nothing is computed from weights */
    lt_arena scratch;
    bool *blob_touched;
    bool *value_touched, *value_needed;
    lt_any *values;                 /* computed ones */
    bool *computed;
    lathe_diag *diag;
} refit;

const char *lathe_engine_refit_name(const lathe_engine *engine, size_t index)
{
    for (uint32_t i = 0; i < engine->plan->n_blobs; i++) {
        const lt_plan_blob *b = &engine->plan->blobs[i];
        if ((b->flags & LT_BLOB_INITIALIZER) && index-- == 0) {
            return b->name;
        }
    }
    return NULL;
}

/* ---- Checks ---- */

static lathe_status find_blob(const lt_plan *plan, const char *name, uint32_t *out, lathe_diag *diag)
{
    for (uint32_t i = 0; i < plan->n_blobs; i++) {
        if ((plan->blobs[i].flags & LT_BLOB_INITIALIZER) && lt_streq(plan->blobs[i].name, name)) {
            *out = i;
            return LATHE_OK;
        }
    }
    return LT_FAIL(diag, LATHE_UNSUPPORTED, name, "build the plan with --refit, or --refit=NAME", "initializer '%s' was not kept for refit", name);
}

static bool holds(const lt_plan_assumption *a, const lathe_tensor *t)
{
    if (a->kind == 0) { /* these very bytes */
        return lt_tensor_hash(t) == a->hash;
    }
    for (int64_t i = 0; i < lt_tensor_count(t); i++) {
        double x = lt_load_f64(t->dtype, t->data, i);
        if (a->kind == 1 ? x != a->number : a->number > 0 ? !(x > 0) : !(x >= 0)) {
            return false;
        }
    }
    return true;
}

static lathe_status check_assumptions(const lt_plan *plan, const char *name, const lathe_tensor *t, lathe_diag *diag)
{
    for (uint32_t i = 0; i < plan->n_assumptions; i++) {
        const lt_plan_assumption *a = &plan->assumptions[i];
        if (lt_streq(a->initializer, name) && !holds(a, t)) {
            return LT_FAIL(diag, LATHE_UNSUPPORTED, name, "build the plan anew with these values", "pass %s relied on the old values of '%s'", a->pass, name);
        }
    }
    return LATHE_OK;
}

static lathe_status check_tensor(const lt_plan_blob *b, const lathe_tensor *t, lathe_diag *diag)
{
    bool same = t->struct_size == sizeof *t && t->dtype == b->dtype && t->rank == b->rank;
    for (int i = 0; same && i < b->rank; i++) {
        same = t->dims[i] == b->dims[i];
    }
    size_t bytes = 0;
    same = same && t->dtype != LATHE_DTYPE_STRING && lt_dtype_bytes(t->dtype, lt_tensor_count(t), &bytes) && bytes == t->bytes;
    return same ? LATHE_OK
                : LT_FAIL(diag, LATHE_INVALID_ARGUMENT, b->name, "give a tensor of the initializer's type and shape", "'%s' has another type, shape or size",
                          b->name);
}

/* ---- The slice ---- */

static lathe_status blob_tensor(refit *r, uint32_t blob, lt_any *out)
{
    const lt_plan_blob *b = &r->plan->blobs[blob];
    const lt_weight *w = &r->child->weights[blob];
    *out = (lt_any){.cls = LT_TENSOR};
    if (b->flags & LT_BLOB_STRINGS) {
        *out = w->any;
        return LATHE_OK;
    }
    if (b->pack[0] == '\0') {
        LT_TRY(lt_tensor_shape(&out->tensor, b->dtype, b->rank, b->dims, b->name, r->diag));
        out->tensor.data = (void *)w->data;
        return LATHE_OK;
    }
    const lathe_pack *pack = lt_pack_find(b->pack);
    if (!pack || !pack->unpack) {
        return LT_FAIL(r->diag, LATHE_UNSUPPORTED, b->name, "build the plan with --refit", "'%s' is packed as %s, which cannot be undone", b->name, b->pack);
    }
    LT_TRY(lt_tensor_alloc(&r->scratch, &out->tensor, b->dtype, b->rank, b->dims, b->name, r->diag));
    pack->unpack(&out->tensor, w->data, b->param);
    return LATHE_OK;
}

static lathe_status value_any(refit *r, uint32_t value, lt_any *out)
{
    const lt_plan_value *v = &r->program->values[value];
    if (r->computed[value]) {
        *out = r->values[value];
        return LATHE_OK;
    }
    if (v->storage == LT_STORE_BLOB) {
        return blob_tensor(r, v->index, out);
    }
    return LT_FAIL(r->diag, LATHE_UNSUPPORTED, v->name, "build the plan with --refit", "'%s' was not kept in the plan", v->name);
}

static lathe_status make(lt_eval *c, int i, lathe_dtype dtype, int rank, const int64_t *dims)
{
    c->out[i]->cls = LT_TENSOR;
    return lt_tensor_alloc(c->scratch, &c->out[i]->tensor, dtype, rank, dims, c->where, c->diag);
}

static void *keep(lt_eval *c, size_t size, size_t align)
{
    return lt_arena_alloc(c->scratch, size, align);
}

static lathe_status run_step(refit *r, const lt_plan_step *s)
{
    lathe_problem *q;
    LT_TRY(lt_problem_parse(&r->scratch, s->problem, strlen(s->problem), &q, r->diag));
    const lt_op *op = lt_op_find(q->domain, q->op);
    if (!op || q->n_instrs > 0 || q->n_in != s->n_in || q->n_out != s->n_out) {
        return LT_FAIL(r->diag, LATHE_BAD_PLAN, s->name, "build the plan again", "the init function has a step that is no plain operator");
    }
    lt_any *in = LT_ARENA_ARRAY(&r->scratch, lt_any, q->n_root_in + 1);
    const lt_any **ins = lt_arena_zero(&r->scratch, q->n_root_in + 1, sizeof *ins, _Alignof(lt_any *));
    lt_any **outs = lt_arena_zero(&r->scratch, s->n_out + 1u, sizeof *outs, _Alignof(lt_any *));
    if (!in || !ins || !outs) {
        return LT_OOM(r->diag);
    }
    for (size_t i = 0; i < q->n_root_in; i++) {
        if (q->root_in[i] != 0xffff && s->in[q->root_in[i]] != LT_PLAN_NONE) {
            LT_TRY(value_any(r, s->in[q->root_in[i]], &in[i]));
            ins[i] = &in[i];
        }
    }
    for (uint32_t i = 0; i < s->n_out; i++) {
        outs[i] = s->out[i] == LT_PLAN_NONE ? NULL : &r->values[s->out[i]];
    }
    lt_eval c = {.op = op, .attrs = q->attrs, .n_attrs = q->n_attrs, .where = s->name, .n_in = (int)q->n_root_in, .in = ins, .n_out = (int)s->n_out, .out = outs,
                 .scratch = &r->scratch, .make = make, .keep = keep, .diag = r->diag};
    LT_TRY(lt_op_eval(&c));
    for (uint32_t i = 0; i < s->n_out; i++) {
        if (s->out[i] != LT_PLAN_NONE) {
            r->computed[s->out[i]] = true;
        }
    }
    return LATHE_OK;
}

static bool any_flag(const uint32_t *values, uint32_t n, const bool *flags)
{
    for (uint32_t i = 0; i < n; i++) {
        if (values[i] != LT_PLAN_NONE && flags[values[i]]) {
            return true;
        }
    }
    return false;
}

static void set_flags(const uint32_t *values, uint32_t n, bool *flags)
{
    for (uint32_t i = 0; i < n; i++) {
        if (values[i] != LT_PLAN_NONE) {
            flags[values[i]] = true;
        }
    }
}

/* Values that change (forwards), values that they need (backwards), then the steps in order. */
static lathe_status run_slice(refit *r)
{
    const lt_plan_program *p = r->program;
    for (uint32_t i = 0; i < p->n_values; i++) {
        r->value_touched[i] = p->values[i].storage == LT_STORE_BLOB && r->blob_touched[p->values[i].index];
    }
    for (uint32_t i = 0; i < p->n_steps; i++) {
        if (any_flag(p->steps[i].in, p->steps[i].n_in, r->value_touched)) {
            set_flags(p->steps[i].out, p->steps[i].n_out, r->value_touched);
        }
    }
    for (uint32_t i = 0; i < r->plan->n_init; i++) {
        r->value_needed[r->plan->init[i].value] |= r->value_touched[r->plan->init[i].value];
    }
    for (uint32_t i = p->n_steps; i-- > 0;) {
        if (any_flag(p->steps[i].out, p->steps[i].n_out, r->value_needed)) {
            set_flags(p->steps[i].in, p->steps[i].n_in, r->value_needed);
        }
    }
    for (uint32_t i = 0; i < p->n_steps; i++) {
        if (any_flag(p->steps[i].out, p->steps[i].n_out, r->value_needed)) {
            LT_TRY(run_step(r, &p->steps[i]));
        }
    }
    return LATHE_OK;
}

/* ---- New weights ---- */

static lathe_status store_blob(refit *r, uint32_t blob, const lathe_tensor *t)
{
    const lt_plan_blob *b = &r->plan->blobs[blob];
    bool same = t->dtype == b->dtype && t->rank == b->rank && memcmp(t->dims, b->dims, (size_t)b->rank * sizeof *b->dims) == 0;
    size_t bytes = t->bytes;
    const lathe_pack *pack = b->pack[0] ? lt_pack_find(b->pack) : NULL;
    if (b->pack[0]) {
        same = same && pack && pack->version == b->pack_version && (bytes = pack->bytes(t, b->param)) == b->bytes;
    }
    if (!same) {
        return LT_FAIL(r->diag, LATHE_UNSUPPORTED, b->name, "build the plan anew", "the new '%s' has another shape, type or pack", b->name);
    }
    void *data = lt_arena_zero(&r->child->arena, bytes, 1, 64);
    if (!data) {
        return LT_OOM(r->diag);
    }
    if (pack) {
        pack->pack(data, t, b->param);
    } else if (bytes > 0) {
        memcpy(data, t->data, bytes);
    }
    r->child->weights[blob].data = data;
    return LATHE_OK;
}

static lathe_status replace_derived(refit *r)
{
    if (!r->program) {
        return LATHE_OK;
    }
    LT_TRY(run_slice(r));
    for (uint32_t i = 0; i < r->plan->n_init; i++) {
        const lt_plan_init *init = &r->plan->init[i];
        lt_any any;
        if (r->value_touched[init->value]) {
            LT_TRY(value_any(r, init->value, &any));
            LT_TRY(store_blob(r, init->blob, &any.tensor));
        }
    }
    return LATHE_OK;
}

static lathe_status replace(refit *r, const char *const *names, const lathe_tensor *tensors, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t blob;
        LT_TRY(find_blob(r->plan, names[i], &blob, r->diag));
        LT_TRY(check_tensor(&r->plan->blobs[blob], &tensors[i], r->diag));
        LT_TRY(check_assumptions(r->plan, names[i], &tensors[i], r->diag));
        LT_TRY(store_blob(r, blob, &tensors[i]));
        r->blob_touched[blob] = true;
    }
    return replace_derived(r);
}

/* ---- The child ---- */

static lathe_status make_child(lathe_engine *parent, lathe_engine **out, lathe_diag *diag)
{
    lathe_engine *child = LT_NEW(parent->allocator, lathe_engine);
    if (!child) {
        return LT_OOM(diag);
    }
    child->runtime = parent->runtime;
    child->allocator = parent->allocator;
    child->parent = parent;
    child->plan_bytes = parent->plan_bytes;
    child->plan = parent->plan;
    child->variant = parent->variant;
    child->programs = parent->programs;
    atomic_init(&child->references, 1);
    lt_arena_init(&child->arena, parent->allocator);
    lt_engine_retain(parent);
    *out = child;
    child->weights = lt_arena_copy(&child->arena, parent->weights, ((size_t)parent->plan->n_blobs + 1) * sizeof(lt_weight), _Alignof(lt_weight));
    return child->weights ? LATHE_OK : LT_OOM(diag);
}

static lathe_status make_tables(refit *r)
{
    size_t n = (r->program ? r->program->n_values : 0) + 1u;
    r->blob_touched = LT_ARENA_ARRAY(&r->scratch, bool, r->plan->n_blobs + 1u);
    r->value_touched = LT_ARENA_ARRAY(&r->scratch, bool, n);
    r->value_needed = LT_ARENA_ARRAY(&r->scratch, bool, n);
    r->computed = LT_ARENA_ARRAY(&r->scratch, bool, n);
    r->values = LT_ARENA_ARRAY(&r->scratch, lt_any, n);
    return r->blob_touched && r->value_touched && r->value_needed && r->computed && r->values ? LATHE_OK : LT_OOM(r->diag);
}

lathe_status lathe_engine_refit(const lathe_engine *engine, const char *const *names, const lathe_tensor *tensors, size_t count, lathe_engine **out,
                                lathe_diag *diag)
{
    if (!engine || !out || (count > 0 && (!names || !tensors))) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, NULL, NULL, "bad arguments to lathe_engine_refit");
    }
    refit r = {.plan = engine->plan, .diag = diag};
    r.program = r.plan->init_program == LT_PLAN_NONE ? NULL : &r.plan->programs[r.plan->init_program];
    *out = NULL;
    lt_arena_init(&r.scratch, engine->allocator);
    lathe_status status = make_child((lathe_engine *)engine, &r.child, diag);
    if (status == LATHE_OK) {
        status = make_tables(&r);
    }
    if (status == LATHE_OK) {
        uint32_t mode = lt_float_mode_enter();
        status = replace(&r, names, tensors, count);
        lt_float_mode_leave(mode);
    }
    lt_arena_destroy(&r.scratch);
    if (status != LATHE_OK) {
        lathe_engine_destroy(r.child);
        return status;
    }
    *out = r.child;
    return LATHE_OK;
}
