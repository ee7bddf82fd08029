/*
 * plan_join.c - lt_plans_join: plans of one network, made for different machines, as one plan with all their variants. Called by api.
 *
 * What is the same is stored once: weights with equal contents in equal packs, and the init function's steps. A blob that refitting makes anew is shared only
 * where the same step over the same initializers makes it; an initializer can be replaced in the whole only when each plan can replace it. Of a plan whose
 * variants are not all kept, the programs and weights that nothing else needs go away. The graph's text and the story of the nodes are the first plan's.
 */
#include "plan/plan_internal.h"
#include <string.h>

/* A plan on its way into the whole. */
typedef struct source {
    const lt_plan *plan;
    const bool *dropped;      /* variants; NULL: none */
    const lt_plan_program *init;
    bool *keeps;              /* programs */
    bool *used;               /* blobs */
    bool *needed, *touched;   /* values of the init program: for an entry that is kept; made from an initializer that can be replaced */
    uint32_t *blob_of, *value_of, *program_of; /* here -> in the whole; LT_PLAN_NONE */
    uint32_t *entry_of;       /* blob -> value of the init program that it is made of */
} source;

typedef struct joiner {
    lt_arena *arena;
    lathe_diag *diag;
    source *sources;
    uint32_t n;
    lt_plan plan;
    lt_plan_blob *blobs;
    const unsigned char **bytes;
    uint32_t *entry_of;      /* blob -> value of the whole's init program */
    size_t n_blobs, cap_blobs, cap_bytes, cap_entries;
    lt_plan_program *programs;
    lt_plan_variant *variants;
    lt_plan_assumption *assumptions;
    size_t n_assumptions, cap_assumptions;
    lt_plan_value *values;   /* of the init program */
    lt_plan_expr *exprs;
    lt_plan_step *steps;
    lt_plan_init *init;
    size_t n_values, cap_values, n_exprs, cap_exprs, n_steps, cap_steps, n_init, cap_init;
} joiner;

/* ---- One network ---- */

static bool same_io(const lt_plan_io *a, const lt_plan_io *b, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        bool same = lt_streq(a[i].name, b[i].name) && a[i].cls == b[i].cls && a[i].dtype == b[i].dtype && a[i].rank == b[i].rank && a[i].host == b[i].host;
        for (int k = 0; same && k < a[i].rank; k++) {
            same = lt_streq(a[i].dims[k], b[i].dims[k]);
        }
        if (!same) {
            return false;
        }
    }
    return true;
}

static bool same_nodes(const lt_plan *a, const lt_plan *b)
{
    bool same = a->n_origins == b->n_origins;
    for (uint32_t i = 0; same && i < a->n_origins; i++) {
        same = lt_streq(a->origins[i].label, b->origins[i].label) && lt_streq(a->origins[i].op, b->origins[i].op);
    }
    return same;
}

static bool same_equals(const lt_plan *a, const lt_plan *b)
{
    bool same = a->n_equals == b->n_equals;
    for (uint32_t i = 0; same && i < a->n_equals; i++) {
        same = lt_streq(a->equals[i].text, b->equals[i].text) && a->equals[i].input == b->equals[i].input && a->equals[i].axis == b->equals[i].axis;
    }
    return same;
}

static bool same_caches(const lt_plan *a, const lt_plan *b)
{
    bool same = a->n_caches == b->n_caches;
    for (uint32_t i = 0; same && i < a->n_caches; i++) {
        const lt_plan_cache *x = &a->caches[i], *y = &b->caches[i];
        same = x->input == y->input && x->output == y->output && x->axis == y->axis && x->capacity == y->capacity;
    }
    return same;
}

static lathe_status check_same(const lt_plan *a, const lt_plan *b, lathe_diag *diag)
{
    static const char advice[] = "build them into plans of their own (lathe retune --only)";
    if (a->n_inputs != b->n_inputs || a->n_outputs != b->n_outputs || !same_io(a->inputs, b->inputs, a->n_inputs) ||
        !same_io(a->outputs, b->outputs, a->n_outputs) || !same_nodes(a, b)) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, a->model_name, advice, "variants that compute different networks cannot stand in one plan");
    }
    size_t rows = (size_t)a->n_profiles * a->n_inputs;
    if (a->n_profiles != b->n_profiles || (rows > 0 && memcmp(a->profiles, b->profiles, rows * sizeof *a->profiles) != 0)) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, a->model_name, advice, "variants for different profiles cannot stand in one plan");
    }
    if (!same_equals(a, b)) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, a->model_name, advice, "variants that assume different things of extents cannot stand in one plan");
    }
    if (!same_caches(a, b)) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, a->model_name, advice, "variants that keep different caches cannot stand in one plan");
    }
    return LATHE_OK;
}

/* ---- What is kept of each plan ---- */

/* Can refitting replace this initializer in every plan? */
static bool replaceable(const joiner *j, const lt_plan_blob *blob)
{
    bool everywhere = (blob->flags & LT_BLOB_INITIALIZER) != 0;
    for (uint32_t i = 0; i < j->n && everywhere; i++) {
        const lt_plan *p = j->sources[i].plan;
        bool found = false;
        for (uint32_t k = 0; k < p->n_blobs && !found; k++) {
            found = p->blobs[k].key == blob->key && (p->blobs[k].flags & LT_BLOB_INITIALIZER) && lt_streq(p->blobs[k].name, blob->name);
        }
        everywhere = found;
    }
    return everywhere;
}

/* Programs of the kept variants, those that they call, and the blobs that these read. Programs call later ones only. */
static void keep_programs(source *s)
{
    for (uint32_t v = 0; v < s->plan->n_variants; v++) {
        for (uint32_t i = 0; !(s->dropped && s->dropped[v]) && i < s->plan->variants[v].n_programs; i++) {
            s->keeps[s->plan->variants[v].programs[i]] = true;
        }
    }
    for (uint32_t i = 0; i < s->plan->n_programs; i++) {
        const lt_plan_program *p = &s->plan->programs[i];
        for (uint32_t k = 0; s->keeps[i] && k < p->n_values; k++) {
            if (p->values[k].storage == LT_STORE_BLOB) {
                s->used[p->values[k].index] = true;
            }
        }
        for (uint32_t k = 0; s->keeps[i] && k < p->n_instrs; k++) {
            if (p->instrs[k].op == LT_I_CALL) {
                s->keeps[p->instrs[k].a] = true;
            }
        }
    }
}

/* The constants that the text names: some blob of each that can be read back. */
static void keep_text(source *s)
{
    static const char word[] = "blob(0x";
    for (const char *at = strstr(s->plan->graph, word); at; at = strstr(at + 1, word)) {
        const char *digits = at + strlen(word) - 2;
        uint32_t found = LT_PLAN_NONE;
        uint64_t hash;
        if (!lt_parse_u64(digits, strcspn(digits, ")"), &hash)) {
            continue;
        }
        for (uint32_t i = 0; i < s->plan->n_blobs; i++) {
            const lt_plan_blob *b = &s->plan->blobs[i];
            const lathe_pack *pack = b->key == hash && b->pack[0] ? lt_pack_find(b->pack) : NULL;
            if (b->key == hash && (!b->pack[0] || (pack && pack->unpack)) && (found == LT_PLAN_NONE || s->used[i])) {
                found = i;
            }
        }
        if (found != LT_PLAN_NONE) {
            s->used[found] = true;
        }
    }
}

/* Values of the init program that change with an initializer, forwards; what the entries of used blobs need, backwards. */
static lathe_status keep_init(joiner *j, source *s)
{
    const lt_plan_program *p = s->init;
    for (uint32_t i = 0; p && i < p->n_values; i++) {
        s->touched[i] = p->values[i].storage == LT_STORE_BLOB && replaceable(j, &s->plan->blobs[p->values[i].index]);
    }
    for (uint32_t i = 0; p && i < p->n_instrs; i++) {
        if (p->instrs[i].op != LT_I_STEP) {
            return LT_FAIL(j->diag, LATHE_UNSUPPORTED, s->plan->model_name, "build the plan again from the model", "the init function is more than steps");
        }
        const lt_plan_step *step = &p->steps[p->instrs[i].a];
        bool touched = false;
        for (uint32_t k = 0; k < step->n_in; k++) {
            touched |= step->in[k] != LT_PLAN_NONE && s->touched[step->in[k]];
        }
        for (uint32_t k = 0; touched && k < step->n_out; k++) {
            if (step->out[k] != LT_PLAN_NONE) {
                s->touched[step->out[k]] = true;
            }
        }
    }
    for (uint32_t i = 0; p && i < s->plan->n_init; i++) {
        const lt_plan_init *entry = &s->plan->init[i];
        if (s->used[entry->blob] && s->touched[entry->value]) {
            s->entry_of[entry->blob] = entry->value;
            s->needed[entry->value] = true;
        }
    }
    for (uint32_t i = p ? p->n_instrs : 0; i-- > 0;) {
        const lt_plan_step *step = &p->steps[p->instrs[i].a];
        bool needed = false;
        for (uint32_t k = 0; k < step->n_out; k++) {
            needed |= step->out[k] != LT_PLAN_NONE && s->needed[step->out[k]];
        }
        for (uint32_t k = 0; needed && k < step->n_in; k++) {
            if (step->in[k] != LT_PLAN_NONE) {
                s->needed[step->in[k]] = true;
            }
        }
    }
    return LATHE_OK;
}

static lathe_status open_source(joiner *j, const lt_join_part *part, source *s)
{
    const lt_plan *p = part->plan;
    *s = (source){.plan = p, .dropped = part->dropped, .init = p->init_program == LT_PLAN_NONE ? NULL : &p->programs[p->init_program]};
    size_t n_values = s->init ? s->init->n_values : 0;
    s->keeps = LT_ARENA_ARRAY(j->arena, bool, (size_t)p->n_programs + 1);
    s->used = LT_ARENA_ARRAY(j->arena, bool, (size_t)p->n_blobs + 1);
    s->needed = LT_ARENA_ARRAY(j->arena, bool, n_values + 1);
    s->touched = LT_ARENA_ARRAY(j->arena, bool, n_values + 1);
    s->blob_of = LT_ARENA_ARRAY(j->arena, uint32_t, (size_t)p->n_blobs + 1);
    s->entry_of = LT_ARENA_ARRAY(j->arena, uint32_t, (size_t)p->n_blobs + 1);
    s->value_of = LT_ARENA_ARRAY(j->arena, uint32_t, n_values + 1);
    s->program_of = LT_ARENA_ARRAY(j->arena, uint32_t, (size_t)p->n_programs + 1);
    if (!s->keeps || !s->used || !s->needed || !s->touched || !s->blob_of || !s->entry_of || !s->value_of || !s->program_of) {
        return LT_OOM(j->diag);
    }
    memset(s->blob_of, 0xff, p->n_blobs * sizeof *s->blob_of);
    memset(s->entry_of, 0xff, p->n_blobs * sizeof *s->entry_of);
    memset(s->value_of, 0xff, n_values * sizeof *s->value_of);
    memset(s->program_of, 0xff, p->n_programs * sizeof *s->program_of);
    return LATHE_OK;
}

/* ---- Blobs ---- */

static bool same_contents(const lt_plan_blob *a, const unsigned char *a_bytes, const lt_plan_blob *b, const unsigned char *b_bytes)
{
    return a->key == b->key && a->bytes == b->bytes && a->pack_version == b->pack_version && a->dtype == b->dtype && a->rank == b->rank &&
           lt_streq(a->pack, b->pack) && memcmp(a->param, b->param, sizeof a->param) == 0 && memcmp(a->dims, b->dims, sizeof a->dims) == 0 &&
           (a->bytes == 0 || memcmp(a_bytes, b_bytes, a->bytes) == 0);
}

/* entry: value of the whole's init program that the blob is made of; LT_PLAN_NONE: refitting leaves it as it is. */
static lathe_status put_blob(joiner *j, source *s, uint32_t number, uint32_t entry)
{
    lt_plan_blob b = s->plan->blobs[number];
    const unsigned char *bytes = s->plan->weights + b.offset;
    b.flags = (b.flags & ~(uint32_t)LT_BLOB_INITIALIZER) | (replaceable(j, &b) ? LT_BLOB_INITIALIZER : 0u);
    for (uint32_t i = 0; i < j->n_blobs; i++) {
        const lt_plan_blob *a = &j->blobs[i];
        if (j->entry_of[i] == entry && a->flags == b.flags && (!(b.flags & LT_BLOB_INITIALIZER) || lt_streq(a->name, b.name)) &&
            same_contents(a, j->bytes[i], &b, bytes)) {
            s->blob_of[number] = i;
            return LATHE_OK;
        }
    }
    if (!lt_arena_grow(j->arena, (void **)&j->blobs, &j->cap_blobs, j->n_blobs + 1, sizeof b) ||
        !lt_arena_grow(j->arena, (void **)&j->bytes, &j->cap_bytes, j->n_blobs + 1, sizeof *j->bytes) ||
        !lt_arena_grow(j->arena, (void **)&j->entry_of, &j->cap_entries, j->n_blobs + 1, sizeof *j->entry_of)) {
        return LT_OOM(j->diag);
    }
    j->blobs[j->n_blobs] = b;
    j->bytes[j->n_blobs] = bytes;
    j->entry_of[j->n_blobs] = entry;
    s->blob_of[number] = (uint32_t)j->n_blobs++;
    if (entry == LT_PLAN_NONE) {
        return LATHE_OK;
    }
    if (!lt_arena_grow(j->arena, (void **)&j->init, &j->cap_init, j->n_init + 1, sizeof *j->init)) {
        return LT_OOM(j->diag);
    }
    j->init[j->n_init++] = (lt_plan_init){.value = entry, .blob = s->blob_of[number]};
    return LATHE_OK;
}

/* ---- The init function ---- */

static lathe_status put_expr(joiner *j, const lt_plan_program *p, uint32_t number, uint32_t *out)
{
    lt_plan_expr e = p->exprs[number];
    if (e.kind != LT_EXPR_CONST) {
        return LT_FAIL(j->diag, LATHE_UNSUPPORTED, NULL, "build the plan again from the model", "an extent in the init function is not constant");
    }
    for (*out = 0; *out < j->n_exprs; ++*out) {
        if (j->exprs[*out].k == e.k) {
            return LATHE_OK;
        }
    }
    if (!lt_arena_grow(j->arena, (void **)&j->exprs, &j->cap_exprs, j->n_exprs + 1, sizeof e)) {
        return LT_OOM(j->diag);
    }
    j->exprs[j->n_exprs++] = e;
    return LATHE_OK;
}

/* A value of a source's init program as a new one of the whole's. */
static lathe_status add_value(joiner *j, source *s, uint32_t number)
{
    lt_plan_value v = s->init->values[number];
    if (v.storage == LT_STORE_BLOB) {
        v.index = s->blob_of[v.index];
    }
    for (int i = 0; i < v.rank; i++) {
        LT_TRY(put_expr(j, s->init, v.dims[i], &v.dims[i]));
        v.bound[i] = v.dims[i];
    }
    v.first = v.last = 0;
    if (!lt_arena_grow(j->arena, (void **)&j->values, &j->cap_values, j->n_values + 1, sizeof v)) {
        return LT_OOM(j->diag);
    }
    s->value_of[number] = (uint32_t)j->n_values;
    j->values[j->n_values++] = v;
    return LATHE_OK;
}

static lathe_status put_leaf(joiner *j, source *s, uint32_t number)
{
    uint32_t blob = s->init->values[number].index;
    LT_TRY(put_blob(j, s, blob, LT_PLAN_NONE));
    for (uint32_t i = 0; i < j->n_values; i++) {
        if (j->values[i].storage == LT_STORE_BLOB && j->values[i].index == s->blob_of[blob]) {
            s->value_of[number] = i;
            return LATHE_OK;
        }
    }
    return add_value(j, s, number);
}

static bool same_step(const source *s, const lt_plan_step *a, const lt_plan_step *b)
{
    bool same = a->n_in == b->n_in && a->n_out == b->n_out && a->tactic_version == b->tactic_version && a->config == b->config &&
                lt_streq(a->tactic, b->tactic) && lt_streq(a->problem, b->problem);
    for (uint32_t i = 0; same && i < a->n_in; i++) {
        same = a->in[i] == (b->in[i] == LT_PLAN_NONE ? LT_PLAN_NONE : s->value_of[b->in[i]]);
    }
    return same;
}

static lathe_status add_step(joiner *j, const source *s, const lt_plan_step *from)
{
    lt_plan_step step = *from;
    uint32_t *in = LT_ARENA_ARRAY(j->arena, uint32_t, step.n_in + 1u), *out = LT_ARENA_ARRAY(j->arena, uint32_t, step.n_out + 1u);
    if (!in || !out || !lt_arena_grow(j->arena, (void **)&j->steps, &j->cap_steps, j->n_steps + 1, sizeof step)) {
        return LT_OOM(j->diag);
    }
    for (uint32_t i = 0; i < step.n_in; i++) {
        in[i] = from->in[i] == LT_PLAN_NONE ? LT_PLAN_NONE : s->value_of[from->in[i]];
    }
    memset(out, 0xff, step.n_out * sizeof *out);
    step.in = in;
    step.out = out;
    j->steps[j->n_steps++] = step;
    return LATHE_OK;
}

/* The whole's step that does the same, or a new one; results that only this source needs are asked for in addition. */
static lathe_status put_step(joiner *j, source *s, const lt_plan_step *from)
{
    size_t at = 0;
    bool needed = false;
    for (uint32_t i = 0; i < from->n_out; i++) {
        needed |= from->out[i] != LT_PLAN_NONE && s->needed[from->out[i]];
    }
    if (!needed) {
        return LATHE_OK;
    }
    while (at < j->n_steps && !same_step(s, &j->steps[at], from)) {
        at++;
    }
    LT_TRY(at == j->n_steps ? add_step(j, s, from) : LATHE_OK);
    uint32_t *out = (uint32_t *)j->steps[at].out;
    for (uint32_t i = 0; i < from->n_out; i++) {
        if (from->out[i] == LT_PLAN_NONE || !s->needed[from->out[i]]) {
            continue;
        }
        if (out[i] == LT_PLAN_NONE) {
            LT_TRY(add_value(j, s, from->out[i]));
            out[i] = s->value_of[from->out[i]];
        }
        s->value_of[from->out[i]] = out[i];
    }
    return LATHE_OK;
}

static lathe_status put_init(joiner *j, source *s)
{
    for (uint32_t i = 0; s->init && i < s->init->n_values; i++) {
        LT_TRY(s->needed[i] && s->init->values[i].storage == LT_STORE_BLOB ? put_leaf(j, s, i) : LATHE_OK);
    }
    for (uint32_t i = 0; s->init && i < s->init->n_instrs; i++) {
        LT_TRY(put_step(j, s, &s->init->steps[s->init->instrs[i].a]));
    }
    for (uint32_t i = 0; i < s->plan->n_blobs; i++) {
        if (s->used[i] && s->blob_of[i] == LT_PLAN_NONE) {
            LT_TRY(put_blob(j, s, i, s->entry_of[i] == LT_PLAN_NONE ? LT_PLAN_NONE : s->value_of[s->entry_of[i]]));
        }
    }
    return LATHE_OK;
}

static lathe_status finish_init(joiner *j)
{
    lt_plan_instr *instrs = LT_ARENA_ARRAY(j->arena, lt_plan_instr, j->n_steps + 1);
    lt_plan_lane *lane = LT_ARENA_NEW(j->arena, lt_plan_lane);
    uint64_t *offsets = LT_ARENA_ARRAY(j->arena, uint64_t, j->n_values + 1);
    j->plan.init_program = LT_PLAN_NONE;
    if (!instrs || !lane || !offsets) {
        return LT_OOM(j->diag);
    }
    if (j->n_init == 0) {
        return LATHE_OK;
    }
    for (uint32_t i = 0; i < j->n_steps; i++) {
        instrs[i] = (lt_plan_instr){.op = LT_I_STEP, .a = i};
    }
    j->plan.init_program = j->plan.n_programs++;
    j->programs[j->plan.init_program] = (lt_plan_program){
        .profile = LT_PLAN_NONE, .exprs = j->exprs, .n_exprs = (uint32_t)j->n_exprs, .bind_exprs = (uint32_t)j->n_exprs, .values = j->values,
        .n_values = (uint32_t)j->n_values, .steps = j->steps, .n_steps = (uint32_t)j->n_steps, .instrs = instrs, .n_instrs = (uint32_t)j->n_steps,
        .lanes = lane, .n_lanes = 1, .offsets = offsets, .async = 1, .async_step = ""};
    j->plan.init = j->init;
    j->plan.n_init = (uint32_t)j->n_init;
    return LATHE_OK;
}

/* ---- Programs and variants ---- */

static lathe_status put_program(joiner *j, source *s, const lt_plan_program *from, lt_plan_program *out)
{
    lt_plan_value *values = LT_ARENA_ARRAY(j->arena, lt_plan_value, (size_t)from->n_values + 1);
    lt_plan_instr *instrs = LT_ARENA_ARRAY(j->arena, lt_plan_instr, (size_t)from->n_instrs + 1);
    if (!values || !instrs) {
        return LT_OOM(j->diag);
    }
    for (uint32_t i = 0; i < from->n_values; i++) {
        values[i] = from->values[i];
        values[i].index = values[i].storage == LT_STORE_BLOB ? s->blob_of[values[i].index] : values[i].index;
    }
    for (uint32_t i = 0; i < from->n_instrs; i++) {
        instrs[i] = from->instrs[i];
        instrs[i].a = instrs[i].op == LT_I_CALL ? s->program_of[instrs[i].a] : instrs[i].a;
    }
    *out = *from;
    out->values = values;
    out->instrs = instrs;
    return LATHE_OK;
}

static lathe_status put_programs(joiner *j, source *s)
{
    for (uint32_t i = 0; i < s->plan->n_programs; i++) {
        s->program_of[i] = s->keeps[i] ? j->plan.n_programs++ : LT_PLAN_NONE;
    }
    for (uint32_t i = 0; i < s->plan->n_programs; i++) {
        LT_TRY(s->keeps[i] ? put_program(j, s, &s->plan->programs[i], &j->programs[s->program_of[i]]) : LATHE_OK);
    }
    for (uint32_t v = 0; v < s->plan->n_variants; v++) {
        lt_plan_variant variant = s->plan->variants[v];
        uint32_t *programs = LT_ARENA_ARRAY(j->arena, uint32_t, variant.n_programs + 1u);
        if (!programs) {
            return LT_OOM(j->diag);
        }
        for (uint32_t i = 0; i < variant.n_programs; i++) {
            programs[i] = s->program_of[variant.programs[i]];
        }
        variant.programs = programs;
        if (!s->dropped || !s->dropped[v]) {
            j->variants[j->plan.n_variants++] = variant;
        }
    }
    return LATHE_OK;
}

static bool same_assumption(const lt_plan_assumption *a, const lt_plan_assumption *b)
{
    return a->kind == b->kind && memcmp(&a->number, &b->number, sizeof a->number) == 0 && a->hash == b->hash && lt_streq(a->initializer, b->initializer);
}

static lathe_status put_assumptions(joiner *j, const lt_plan *plan)
{
    for (uint32_t i = 0; i < plan->n_assumptions; i++) {
        size_t k = 0;
        while (k < j->n_assumptions && !same_assumption(&j->assumptions[k], &plan->assumptions[i])) {
            k++;
        }
        if (k < j->n_assumptions) {
            continue;
        }
        if (!lt_arena_grow(j->arena, (void **)&j->assumptions, &j->cap_assumptions, k + 1, sizeof *j->assumptions)) {
            return LT_OOM(j->diag);
        }
        j->assumptions[j->n_assumptions++] = plan->assumptions[i];
    }
    return LATHE_OK;
}

/* ---- All of it ---- */

static lathe_status blob_bytes(void *user, const lt_plan *plan, uint32_t blob, void *dst, lathe_diag *diag)
{
    const joiner *j = user;
    (void)diag;
    if (plan->blobs[blob].bytes > 0) {
        memcpy(dst, j->bytes[blob], plan->blobs[blob].bytes);
    }
    return LATHE_OK;
}

static lathe_status make_room(joiner *j, const lt_join_part *parts)
{
    uint32_t programs = 1, variants = 0;
    j->sources = LT_ARENA_ARRAY(j->arena, source, j->n + 1u);
    for (uint32_t i = 0; i < j->n; i++) {
        programs += parts[i].plan->n_programs;
        variants += parts[i].plan->n_variants;
    }
    j->programs = LT_ARENA_ARRAY(j->arena, lt_plan_program, programs + 1u);
    j->variants = LT_ARENA_ARRAY(j->arena, lt_plan_variant, variants + 1u);
    if (!j->sources || !j->programs || !j->variants) {
        return LT_OOM(j->diag);
    }
    for (uint32_t i = 0; i < j->n; i++) {
        LT_TRY(check_same(parts[0].plan, parts[i].plan, j->diag));
        LT_TRY(open_source(j, &parts[i], &j->sources[i]));
    }
    return LATHE_OK;
}

static lathe_status join(joiner *j, const lt_join_part *parts, lt_buf *out)
{
    LT_TRY(make_room(j, parts));
    j->plan = *parts[0].plan; /* the text, the options, inputs and outputs, profiles, the story */
    j->plan.n_programs = j->plan.n_variants = j->plan.n_init = 0;
    j->plan.init = NULL;
    for (uint32_t i = 0; i < j->n; i++) {
        source *s = &j->sources[i];
        keep_programs(s);
        if (i == 0) {
            keep_text(s);
        }
        LT_TRY(keep_init(j, s));
        LT_TRY(put_init(j, s));
        LT_TRY(put_programs(j, s));
        LT_TRY(put_assumptions(j, s->plan));
    }
    LT_TRY(finish_init(j));
    j->plan.programs = j->programs;
    j->plan.variants = j->variants;
    j->plan.assumptions = j->assumptions;
    j->plan.n_assumptions = (uint32_t)j->n_assumptions;
    j->plan.blobs = j->blobs;
    j->plan.n_blobs = (uint32_t)j->n_blobs;
    j->plan.weights = NULL;
    LT_TRY(lt_plan_layout(&j->plan, j->blobs, j->diag));
    LT_TRY(lt_plan_encode(&j->plan, blob_bytes, j, NULL, NULL, out, j->diag));
    lt_plan *read;
    lathe_status status = lt_plan_decode(out->data, out->length, 0, NULL, NULL, j->arena, &read, j->diag);
    return status != LATHE_BAD_PLAN ? status
                                    : LT_FAIL(j->diag, LATHE_INTERNAL, j->plan.model_name, "this is a bug in Lathe: please report it",
                                              "the joined plan does not pass its own checks");
}

lathe_status lt_plans_join(const lt_join_part *parts, uint32_t n, const lathe_allocator *allocator, lt_buf *out, lathe_diag *diag)
{
    lt_arena arena;
    joiner j = {.arena = &arena, .diag = diag, .n = n};
    LT_CHECK(diag, n > 0, "plan");
    lt_arena_init(&arena, allocator);
    lt_buf_clear(out);
    lathe_status status = join(&j, parts, out);
    lt_arena_destroy(&arena);
    if (status != LATHE_OK) {
        lt_buf_clear(out);
    }
    return status;
}
