/*
 * engine_dump.c - lt_plan_dump: a readable page of a decoded plan, everything but the weights' bytes. For `lathe inspect`, tests and bug reports.
 */
#include "engine/engine_internal.h"
#include <string.h>

static const char *const class_names[] = {"tensor", "sequence", "optional", "map"};
static const char *const space_names[] = {"cpu", "twin", "cuda"};
static const char *const storage_names[] = {"arena", "input", "output", "blob", "alias", "managed"};
static const char *const opcode_names[] = {"step", "copy", "shape", "if", "loop", "call", "record", "wait", "hostsync"};
static const char *const fate_names[] = {"step", "folded", "removed"};

static const char *word(const char *const *names, size_t count, unsigned number)
{
    return number < count ? names[number] : "?";
}
#define WORD(names, number) word((names), LT_COUNT(names), (unsigned)(number))

static void put_number(lt_buf *out, const char *prefix, uint32_t number)
{
    if (number == LT_PLAN_NONE) {
        lt_buf_puts(out, "-");
    } else {
        lt_buf_printf(out, "%s%u", prefix, number);
    }
}

static void put_list(lt_buf *out, const char *prefix, const uint32_t *list, uint32_t n)
{
    lt_buf_putc(out, '(');
    for (uint32_t i = 0; i < n; i++) {
        lt_buf_puts(out, i ? ", " : "");
        put_number(out, prefix, list[i]);
    }
    lt_buf_putc(out, ')');
}

void lt_plan_kind_print(const lt_plan_kind *kind, lt_buf *out)
{
    static const char *const words[] = {"", "seq(", "opt(", "map("};
    for (int i = 0; i < kind->depth; i++) {
        lt_buf_puts(out, WORD(words, kind->cls[i]));
        if (kind->cls[i] == LT_MAP) {
            lt_buf_printf(out, "%s,", kind->key[i] == LATHE_DTYPE_UNDEFINED ? "?" : lt_dtype_get(kind->key[i])->name);
        }
    }
    lt_buf_puts(out, kind->dtype == LATHE_DTYPE_UNDEFINED ? "?" : lt_dtype_get(kind->dtype)->name);
    lt_buf_puts(out, kind->rank < 0 ? "" : "[");
    for (int i = 0; i < kind->rank; i++) {
        lt_buf_printf(out, "%s%s", i ? "," : "", kind->dims[i]);
    }
    lt_buf_puts(out, kind->rank < 0 ? "" : "]");
    for (int i = 0; i < kind->depth; i++) {
        lt_buf_putc(out, ')');
    }
}

static void put_io(lt_buf *out, const char *what, const lt_plan_io *io, const lt_plan_kind *kind)
{
    lt_buf_printf(out, "%s ", what);
    lt_buf_put_name(out, io->name);
    if (kind) {
        lt_buf_puts(out, ": ");
        lt_plan_kind_print(kind, out);
        lt_buf_putc(out, '\n');
        return;
    }
    lt_buf_printf(out, ": %s %s", WORD(class_names, io->cls), lt_dtype_get(io->dtype)->name);
    lt_buf_puts(out, io->rank < 0 ? "[?" : "[");
    for (int i = 0; i < io->rank; i++) {
        lt_buf_printf(out, "%s%s", i ? "," : "", io->dims[i]);
    }
    lt_buf_printf(out, "]%s\n", io->host ? " host" : "");
}

static void put_profiles(lt_buf *out, const lt_plan *plan)
{
    for (uint32_t i = 0; i < plan->n_profiles * plan->n_inputs; i++) {
        const lt_plan_profile_input *p = &plan->profiles[i];
        const lt_plan_io *io = &plan->inputs[i % plan->n_inputs];
        lt_buf_printf(out, "profile %u ", i / plan->n_inputs);
        lt_buf_put_name(out, io->name);
        for (int k = 0; k < (io->rank < 0 ? 0 : io->rank); k++) {
            lt_buf_printf(out, "%s%lld:%lld:%lld", k ? "," : ": ", (long long)p->min[k], (long long)p->opt[k], (long long)p->max[k]);
        }
        lt_buf_putc(out, '\n');
    }
}

static void put_blob(lt_buf *out, uint32_t number, const lt_plan_blob *b)
{
    lt_buf_printf(out, "blob %u ", number);
    lt_buf_put_name(out, b->name);
    lt_buf_printf(out, ": %s[", lt_dtype_get(b->dtype)->name);
    for (int i = 0; i < b->rank; i++) {
        lt_buf_printf(out, "%s%lld", i ? "," : "", (long long)b->dims[i]);
    }
    lt_buf_printf(out, "] key 0x%016llx at %llu, %llu bytes", (unsigned long long)b->key, (unsigned long long)b->offset, (unsigned long long)b->bytes);
    if (b->pack[0]) {
        lt_buf_printf(out, ", pack %s.%u(%lld,%lld,%lld,%lld)", b->pack, b->pack_version, (long long)b->param[0], (long long)b->param[1],
                      (long long)b->param[2], (long long)b->param[3]);
    }
    lt_buf_printf(out, "%s%s\n", b->flags & LT_BLOB_INITIALIZER ? ", initializer" : "", b->flags & LT_BLOB_STRINGS ? ", strings" : "");
}

static void put_expr(lt_buf *out, uint32_t number, const lt_plan_expr *e)
{
    lt_buf_printf(out, "  e%u = ", number);
    switch (e->kind) {
    case LT_EXPR_CONST:
        lt_buf_printf(out, "%lld\n", (long long)e->k);
        break;
    case LT_EXPR_INPUT_DIM:
        lt_buf_printf(out, "input %u dim %u\n", e->b, e->a);
        break;
    case LT_EXPR_VALUE_DIM:
        lt_buf_printf(out, "v%u dim %u\n", e->b, e->a);
        break;
    case LT_EXPR_VALUE_ELEM:
        lt_buf_printf(out, "v%u element %u\n", e->b, e->a);
        break;
    default:
        lt_buf_printf(out, "%s(e%u, e%u", lt_dim_op_name((lt_dim_op)e->op), e->a, e->b);
        if (e->c != LT_PLAN_NONE) {
            lt_buf_printf(out, ", e%u", e->c);
        }
        lt_buf_puts(out, ")\n");
        break;
    }
}

static void put_format(lt_buf *out, const lathe_format *f, lathe_dtype dtype)
{
    bool plain = f->block <= 1 && f->pad_to <= 1 && !f->strided;
    for (int i = 0; i < f->rank; i++) {
        plain = plain && f->order[i] == i;
    }
    lt_buf_puts(out, plain ? " plain" : " order(");
    for (int i = 0; !plain && i < f->rank; i++) {
        lt_buf_printf(out, "%s%d", i ? "," : "", f->order[i]);
    }
    lt_buf_puts(out, plain ? "" : ")");
    if (f->block > 1) {
        lt_buf_printf(out, " block(%d,%d)", f->block_axis, f->block);
    }
    if (f->pad_to > 1) {
        lt_buf_printf(out, " pad(%d)", f->pad_to);
    }
    if (f->strided) {
        lt_buf_printf(out, " strided(%d)", f->strided);
    }
    if (f->storage != dtype) {
        lt_buf_printf(out, ":%s", lt_dtype_get(f->storage)->name);
    }
    lt_buf_printf(out, "@%s", WORD(space_names, f->space));
}

static void put_value(lt_buf *out, const lt_plan_program *p, uint32_t number)
{
    const lt_plan_value *v = &p->values[number];
    lt_buf_printf(out, "  v%u ", number);
    lt_buf_put_name(out, v->name);
    lt_buf_printf(out, ": %s %s[%s", WORD(class_names, v->cls), lt_dtype_get(v->dtype)->name, v->rank < 0 ? "?" : "");
    for (int i = 0; i < v->rank; i++) {
        lt_buf_printf(out, "%se%u", i ? "," : "", v->dims[i]);
        if (v->bounded) {
            lt_buf_printf(out, "<=e%u", v->bound[i]);
        }
    }
    lt_buf_putc(out, ']');
    put_format(out, &v->format, v->dtype);
    lt_buf_printf(out, " %s", WORD(storage_names, v->storage));
    if (v->storage == LT_STORE_ARENA) {
        if (p->offsets[number] == UINT64_MAX) {
            lt_buf_puts(out, " unplanned");
        } else {
            lt_buf_printf(out, " at %llu", (unsigned long long)p->offsets[number]);
        }
        lt_buf_printf(out, " live %u..%u", v->first, v->last);
    } else if (v->storage != LT_STORE_MANAGED) {
        lt_buf_printf(out, " %u", v->index);
    }
    for (uint32_t i = 0; i < p->n_cuts; i++) {
        if (p->cuts[i].value == number) {
            lt_buf_printf(out, " %s at e%u along stored axis %u", p->cuts[i].kind == LT_CUT_MADE ? "written" : p->cuts[i].kind == LT_CUT_GROWN ? "appended" : "read", p->cuts[i].start, p->cuts[i].axis);
        }
    }
    lt_buf_putc(out, '\n');
}

static void put_step(lt_buf *out, uint32_t number, const lt_plan_step *s)
{
    lt_buf_printf(out, "  s%u ", number);
    lt_buf_put_quoted(out, s->name, strlen(s->name));
    lt_buf_printf(out, " %s %s.%u config %u ", s->class_name, s->tactic, s->tactic_version, s->config);
    put_list(out, "v", s->in, s->n_in);
    lt_buf_puts(out, " -> ");
    put_list(out, "v", s->out, s->n_out);
    lt_buf_printf(out, " scratch %llu%s cost ", (unsigned long long)s->scratch, s->serial ? " serial" : "");
    lt_buf_put_f64(out, s->cost_ns);
    lt_buf_puts(out, " from ");
    put_list(out, "#", s->origins, s->n_origins);
    lt_buf_printf(out, "\n     %s\n", s->problem);
}

static void put_loop(lt_buf *out, uint32_t number, const lt_plan_loop *l)
{
    const uint32_t scalars[] = {l->trip, l->cond, l->iteration, l->cond_in, l->cond_out};
    lt_buf_printf(out, "  loop %u trip, cond, iteration, cond_in, cond_out ", number);
    put_list(out, "v", scalars, LT_COUNT(scalars));
    lt_buf_puts(out, " init ");
    put_list(out, "v", l->init, l->n_carried);
    lt_buf_puts(out, " in ");
    put_list(out, "v", l->body_in, l->n_carried);
    lt_buf_puts(out, " out ");
    put_list(out, "v", l->body_out, l->n_carried);
    lt_buf_puts(out, " result ");
    put_list(out, "v", l->result, l->n_carried);
    lt_buf_puts(out, " scan ");
    put_list(out, "v", l->scan_out, l->n_scan);
    lt_buf_puts(out, " into ");
    put_list(out, "v", l->scan_result, l->n_scan);
    lt_buf_putc(out, '\n');
}

static void put_instr(lt_buf *out, uint32_t number, const lt_plan_instr *i)
{
    lt_buf_printf(out, "  %u: lane %u %s", number, i->lane, WORD(opcode_names, i->op));
    switch (i->op) {
    case LT_I_STEP:
        lt_buf_printf(out, " s%u\n", i->a);
        break;
    case LT_I_COPY:
        lt_buf_printf(out, " v%u -> v%u\n", i->a, i->b);
        break;
    case LT_I_SHAPE:
        lt_buf_printf(out, " e%u, %u expressions\n", i->a, i->b);
        break;
    case LT_I_IF:
        lt_buf_printf(out, " v%u then %u else %u\n", i->a, i->b, i->c);
        break;
    case LT_I_LOOP:
        lt_buf_printf(out, " loop %u body %u\n", i->a, i->b);
        break;
    case LT_I_HOSTSYNC:
        lt_buf_putc(out, '\n');
        break;
    default:
        lt_buf_printf(out, " %u\n", i->a);
        break;
    }
}

static void put_program_head(lt_buf *out, const lt_plan *plan, uint32_t number)
{
    const lt_plan_program *p = &plan->programs[number];
    lt_buf_printf(out, "program %u%s profile ", number, number == plan->init_program ? " (init)" : "");
    put_number(out, "", p->profile);
    lt_buf_printf(out, " arena %llu/%llu/%llu scratch %llu/%llu/%llu events %u", (unsigned long long)p->arena[0], (unsigned long long)p->arena[1],
                  (unsigned long long)p->arena[2], (unsigned long long)p->scratch_bytes[0], (unsigned long long)p->scratch_bytes[1],
                  (unsigned long long)p->scratch_bytes[2], p->n_events);
    lt_buf_printf(out, " %s%s\n", p->async ? "async" : "waits on the host for ", p->async ? "" : p->async_step[0] ? p->async_step : "nothing");
    for (uint32_t i = 0; i < p->n_lanes; i++) {
        lt_buf_printf(out, "  lane %u %s %d queue %d\n", i, WORD(space_names, p->lanes[i].space), p->lanes[i].ordinal, p->lanes[i].queue);
    }
    for (uint32_t i = 0; i < p->n_ranges; i++) {
        const lt_plan_range *r = &p->ranges[i];
        lt_buf_printf(out, "  range e%u %lld:%lld:%lld\n", r->expr, (long long)r->lo, (long long)r->opt, (long long)r->hi);
    }
    lt_buf_puts(out, "  inputs ");
    put_list(out, "v", p->inputs, p->n_inputs);
    lt_buf_puts(out, " outputs ");
    put_list(out, "v", p->outputs, p->n_outputs);
    lt_buf_printf(out, " expressions at bind %u\n", p->bind_exprs);
    for (uint32_t i = 0; i < p->n_ways; i++) {
        static const char *const ways[] = {"?", "grown", "updated", "swapped"};
        lt_buf_printf(out, "  cache %u %s%s%s\n", i, WORD(ways, p->ways[i].way), p->ways[i].note[0] ? ": " : "", p->ways[i].note);
    }
}

static void put_program(lt_buf *out, const lt_plan *plan, uint32_t number)
{
    const lt_plan_program *p = &plan->programs[number];
    put_program_head(out, plan, number);
    for (uint32_t i = 0; i < p->n_exprs; i++) {
        put_expr(out, i, &p->exprs[i]);
    }
    for (uint32_t i = 0; i < p->n_values; i++) {
        put_value(out, p, i);
    }
    for (uint32_t i = 0; i < p->n_steps; i++) {
        put_step(out, i, &p->steps[i]);
    }
    for (uint32_t i = 0; i < p->n_loops; i++) {
        put_loop(out, i, &p->loops[i]);
    }
    for (uint32_t i = 0; i < p->n_instrs; i++) {
        put_instr(out, i, &p->instrs[i]);
    }
}

static void put_variant(lt_buf *out, uint32_t number, const lt_plan_variant *v)
{
    lt_buf_printf(out, "variant %u %s threads %u features", number, v->device, v->threads);
    for (uint32_t i = 0; i < v->n_features; i++) {
        lt_buf_printf(out, " %s", v->features[i]);
    }
    lt_buf_printf(out, "%s sources %s programs ", v->n_features ? "" : " none", v->sources);
    put_list(out, "", v->programs, v->n_programs);
    lt_buf_putc(out, '\n');
}

static void put_history(lt_buf *out, const lt_plan *plan)
{
    static const char *const kinds[] = {"bytes", "splat", "sign"};
    for (uint32_t i = 0; i < plan->n_assumptions; i++) {
        const lt_plan_assumption *a = &plan->assumptions[i];
        lt_buf_printf(out, "assumption of %s: %s of ", a->pass, WORD(kinds, a->kind));
        lt_buf_put_name(out, a->initializer);
        lt_buf_puts(out, " = ");
        lt_buf_put_f64(out, a->number);
        lt_buf_printf(out, " 0x%016llx\n", (unsigned long long)a->hash);
    }
    for (uint32_t i = 0; i < plan->n_equals; i++) {
        const lt_plan_equal *e = &plan->equals[i];
        lt_buf_printf(out, "assumed %s: axis %u of input %u, %s in the model\n", e->text, e->axis, e->input, e->dim);
    }
    for (uint32_t i = 0; i < plan->n_caches; i++) {
        const lt_plan_cache *k = &plan->caches[i];
        lt_buf_printf(out, "cache: input %u is output %u of the run before, capacity %lld on axis %u\n", k->input, k->output, (long long)k->capacity, k->axis);
    }
    for (uint32_t i = 0; i < plan->n_origins; i++) {
        const lt_plan_origin *o = &plan->origins[i];
        lt_buf_printf(out, "node #%u ", i);
        lt_buf_put_name(out, o->label);
        lt_buf_printf(out, " %s%s%s %s%s: %s%s%s\n", o->domain, o->domain[0] ? ":" : "", o->op, o->path[0] ? "in " : "", o->path,
                      WORD(fate_names, o->fate), o->pass[0] ? " by " : "", o->pass);
    }
    for (uint32_t i = 0; i < plan->n_refusals; i++) {
        const lt_plan_refusal *r = &plan->refusals[i];
        lt_buf_printf(out, "not fused: %s from %s into %s: %s\n", r->value, r->from, r->to, r->reason);
    }
}

void lt_plan_dump(const lt_plan *plan, lt_buf *out)
{
    lt_buf_printf(out, "plan version %u by Lathe %s: %s\n", plan->version, plan->lathe_version, plan->model_name);
    lt_buf_printf(out, "options %s\n%s, %u blobs, %llu weight bytes\n", plan->options, plan->retunable ? "retunable" : "not retunable", plan->n_blobs,
                  (unsigned long long)plan->weight_bytes);
    for (uint32_t i = 0; i < plan->n_inputs; i++) {
        put_io(out, "input", &plan->inputs[i], lt_plan_kind_of(plan, i));
    }
    for (uint32_t i = 0; i < plan->n_outputs; i++) {
        put_io(out, "output", &plan->outputs[i], lt_plan_kind_of(plan, plan->n_inputs + i));
    }
    put_profiles(out, plan);
    for (uint32_t i = 0; i < plan->n_blobs; i++) {
        put_blob(out, i, &plan->blobs[i]);
    }
    for (uint32_t i = 0; i < plan->n_variants; i++) {
        put_variant(out, i, &plan->variants[i]);
    }
    for (uint32_t i = 0; i < plan->n_programs; i++) {
        put_program(out, plan, i);
    }
    for (uint32_t i = 0; i < plan->n_init; i++) {
        lt_buf_printf(out, "init v%u -> blob %u\n", plan->init[i].value, plan->init[i].blob);
    }
    put_history(out, plan);
    lt_buf_printf(out, "graph\n%s\n", plan->graph);
}
