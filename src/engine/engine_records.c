/*
 * engine_records.c - the tables of a plan, record by record. One function writes and reads each, so that the two cannot drift apart; docs/engine.md has the
 * same tables in bytes. Whether numbers make sense is the business of engine_check*.c.
 */
#include "engine/engine_internal.h"
#include <string.h>

static void code_dtype(lt_codec *c, lathe_dtype *dtype)
{
    uint8_t byte = (uint8_t)*dtype;
    lt_codec_u8(c, &byte);
    *dtype = (lathe_dtype)byte;
}

static void code_class(lt_codec *c, lt_value_class *cls)
{
    uint8_t byte = (uint8_t)*cls;
    lt_codec_u8(c, &byte);
    *cls = (lt_value_class)byte;
}

static void code_i32(lt_codec *c, int32_t *value)
{
    uint32_t bits = (uint32_t)*value;
    lt_codec_u32(c, &bits);
    memcpy(value, &bits, sizeof bits);
}

static void code_i8(lt_codec *c, int8_t *value)
{
    uint8_t bits = (uint8_t)*value;
    lt_codec_u8(c, &bits);
    memcpy(value, &bits, sizeof bits);
}

/* ---- The plan as a whole ---- */

static void meta_section(lt_codec *c, lt_plan *p, lt_plan_program *program)
{
    (void)program;
    lt_codec_text(c, &p->lathe_version);
    lt_codec_text(c, &p->model_name);
    lt_codec_text(c, &p->options);
    lt_codec_text(c, &p->graph);
    lt_codec_u32(c, &p->n_programs);
    lt_codec_u32(c, &p->init_program);
    lt_codec_u32(c, &p->n_profiles);
    lt_codec_u8(c, &p->retunable);
}

static void io_record(lt_codec *c, void *record)
{
    lt_plan_io *io = record;
    lt_codec_text(c, &io->name);
    code_class(c, &io->cls);
    code_dtype(c, &io->dtype);
    lt_codec_rank(c, &io->rank);
    for (int i = 0; i < io->rank; i++) {
        lt_codec_text(c, &io->dims[i]);
        lt_codec_i64(c, &io->fixed[i]);
    }
    lt_codec_u8(c, &io->host);
}

static void io_section(lt_codec *c, lt_plan *p, lt_plan_program *program)
{
    (void)program;
    enum { LEAST = 12 };
    p->inputs = lt_codec_table(c, p->inputs, &p->n_inputs, sizeof *p->inputs, LEAST, io_record);
    p->outputs = lt_codec_table(c, p->outputs, &p->n_outputs, sizeof *p->outputs, LEAST, io_record);
}

static void kind_record(lt_codec *c, void *record)
{
    lt_plan_kind *k = record;
    lt_codec_u32(c, &k->io);
    lt_codec_u8(c, &k->depth);
    if (k->depth >= LT_PLAN_NESTING) {
        lt_codec_fail(c, "values nest too deeply");
        return;
    }
    for (int i = 0; i < k->depth; i++) {
        code_class(c, &k->cls[i]);
        if (k->cls[i] == LT_MAP) {
            code_dtype(c, &k->key[i]);
        }
    }
    code_dtype(c, &k->dtype);
    lt_codec_rank(c, &k->rank);
    for (int i = 0; i < k->rank; i++) {
        lt_codec_text(c, &k->dims[i]);
        lt_codec_i64(c, &k->fixed[i]);
    }
}

static void kind_section(lt_codec *c, lt_plan *p, lt_plan_program *program)
{
    (void)program;
    p->kinds = lt_codec_table(c, p->kinds, &p->n_kinds, sizeof *p->kinds, 7, kind_record);
}

static void profile_record(lt_codec *c, void *record)
{
    lt_plan_profile_input *input = record;
    for (int i = 0; i < LATHE_MAX_RANK; i++) {
        lt_codec_i64(c, &input->min[i]);
        lt_codec_i64(c, &input->opt[i]);
        lt_codec_i64(c, &input->max[i]);
    }
}

static void profile_section(lt_codec *c, lt_plan *p, lt_plan_program *program)
{
    (void)program;
    uint64_t wanted = (uint64_t)p->n_profiles * p->n_inputs;
    uint32_t n = wanted > UINT32_MAX ? UINT32_MAX : (uint32_t)wanted;
    p->profiles = lt_codec_table(c, p->profiles, &n, sizeof *p->profiles, 24 * LATHE_MAX_RANK, profile_record);
    if (n != wanted) {
        lt_codec_fail(c, "it does not hold one entry for each profile and input");
    }
}

static void blob_record(lt_codec *c, void *record)
{
    lt_plan_blob *b = record;
    lt_codec_u64(c, &b->key);
    lt_codec_text(c, &b->name);
    lt_codec_text(c, &b->pack);
    lt_codec_u32(c, &b->pack_version);
    for (int i = 0; i < 4; i++) {
        lt_codec_i64(c, &b->param[i]);
    }
    code_dtype(c, &b->dtype);
    lt_codec_rank(c, &b->rank);
    for (int i = 0; i < b->rank; i++) {
        lt_codec_i64(c, &b->dims[i]);
    }
    lt_codec_u64(c, &b->offset);
    lt_codec_u64(c, &b->bytes);
    lt_codec_u32(c, &b->flags);
}

static void blob_section(lt_codec *c, lt_plan *p, lt_plan_program *program)
{
    (void)program;
    p->blobs = lt_codec_table(c, p->blobs, &p->n_blobs, sizeof *p->blobs, 82, blob_record);
}

static void init_record(lt_codec *c, void *record)
{
    lt_plan_init *init = record;
    lt_codec_u32(c, &init->value);
    lt_codec_u32(c, &init->blob);
}

static void init_section(lt_codec *c, lt_plan *p, lt_plan_program *program)
{
    (void)program;
    p->init = lt_codec_table(c, p->init, &p->n_init, sizeof *p->init, 8, init_record);
}

static void assumption_record(lt_codec *c, void *record)
{
    lt_plan_assumption *a = record;
    lt_codec_text(c, &a->initializer);
    lt_codec_text(c, &a->pass);
    lt_codec_u8(c, &a->kind);
    lt_codec_f64(c, &a->number);
    lt_codec_u64(c, &a->hash);
}

static void assumption_section(lt_codec *c, lt_plan *p, lt_plan_program *program)
{
    (void)program;
    p->assumptions = lt_codec_table(c, p->assumptions, &p->n_assumptions, sizeof *p->assumptions, 33, assumption_record);
}

static void equal_record(lt_codec *c, void *record)
{
    lt_plan_equal *e = record;
    lt_codec_text(c, &e->text);
    lt_codec_text(c, &e->dim);
    lt_codec_u32(c, &e->input);
    lt_codec_u32(c, &e->axis);
}

static void equal_section(lt_codec *c, lt_plan *p, lt_plan_program *program)
{
    (void)program;
    p->equals = lt_codec_table(c, p->equals, &p->n_equals, sizeof *p->equals, 24, equal_record);
}

static void cache_record(lt_codec *c, void *record)
{
    lt_plan_cache *k = record;
    lt_codec_u32(c, &k->input);
    lt_codec_u32(c, &k->output);
    lt_codec_u32(c, &k->axis);
    lt_codec_i64(c, &k->capacity);
}

static void cache_section(lt_codec *c, lt_plan *p, lt_plan_program *program)
{
    (void)program;
    p->caches = lt_codec_table(c, p->caches, &p->n_caches, sizeof *p->caches, 20, cache_record);
}

static void text_record(lt_codec *c, void *record)
{
    lt_codec_text(c, record);
}

static void variant_record(lt_codec *c, void *record)
{
    lt_plan_variant *v = record;
    lt_codec_text(c, &v->device);
    v->features = lt_codec_table(c, v->features, &v->n_features, sizeof *v->features, 8, text_record);
    lt_codec_u32(c, &v->threads);
    lt_codec_text(c, &v->sources);
    v->programs = lt_codec_list(c, v->programs, &v->n_programs);
}

static void variant_section(lt_codec *c, lt_plan *p, lt_plan_program *program)
{
    (void)program;
    p->variants = lt_codec_table(c, p->variants, &p->n_variants, sizeof *p->variants, 28, variant_record);
}

static void origin_record(lt_codec *c, void *record)
{
    lt_plan_origin *o = record;
    lt_codec_text(c, &o->label);
    lt_codec_text(c, &o->op);
    lt_codec_text(c, &o->domain);
    lt_codec_text(c, &o->path);
    lt_codec_u8(c, &o->fate);
    lt_codec_text(c, &o->pass);
}

static void origin_section(lt_codec *c, lt_plan *p, lt_plan_program *program)
{
    (void)program;
    p->origins = lt_codec_table(c, p->origins, &p->n_origins, sizeof *p->origins, 41, origin_record);
}

static void refusal_record(lt_codec *c, void *record)
{
    lt_plan_refusal *r = record;
    lt_codec_text(c, &r->value);
    lt_codec_text(c, &r->from);
    lt_codec_text(c, &r->to);
    lt_codec_text(c, &r->reason);
}

static void refusal_section(lt_codec *c, lt_plan *p, lt_plan_program *program)
{
    (void)program;
    p->refusals = lt_codec_table(c, p->refusals, &p->n_refusals, sizeof *p->refusals, 32, refusal_record);
}

/* ---- Programs ---- */

static void lane_record(lt_codec *c, void *record)
{
    lt_plan_lane *lane = record;
    uint8_t space = (uint8_t)lane->space;
    lt_codec_u8(c, &space);
    lane->space = (lathe_space)space;
    code_i32(c, &lane->ordinal);
    code_i32(c, &lane->queue);
}

static void range_record(lt_codec *c, void *record)
{
    lt_plan_range *r = record;
    lt_codec_u32(c, &r->expr);
    lt_codec_i64(c, &r->lo);
    lt_codec_i64(c, &r->opt);
    lt_codec_i64(c, &r->hi);
}

static void program_section(lt_codec *c, lt_plan *plan, lt_plan_program *p)
{
    (void)plan;
    lt_codec_u32(c, &p->profile);
    lt_codec_u32(c, &p->bind_exprs);
    lt_codec_u32(c, &p->n_events);
    p->lanes = lt_codec_table(c, p->lanes, &p->n_lanes, sizeof *p->lanes, 9, lane_record);
    p->inputs = lt_codec_list(c, p->inputs, &p->n_inputs);
    p->outputs = lt_codec_list(c, p->outputs, &p->n_outputs);
    p->ranges = lt_codec_table(c, p->ranges, &p->n_ranges, sizeof *p->ranges, 28, range_record);
    for (int i = 0; i < 3; i++) {
        lt_codec_u64(c, &p->arena[i]);
        lt_codec_u64(c, &p->scratch_offset[i]);
        lt_codec_u64(c, &p->scratch_bytes[i]);
    }
    lt_codec_u8(c, &p->async);
    lt_codec_text(c, &p->async_step);
}

/* Operations go by name. */
static void code_dim_op(lt_codec *c, uint8_t *op)
{
    const char *name = c->out ? lt_dim_op_name((lt_dim_op)*op) : NULL;
    lt_codec_text(c, &name);
    if (c->out) {
        return;
    }
    for (int i = LT_DIM_ADD; i <= LT_DIM_BCAST; i++) {
        if (lt_streq(name, lt_dim_op_name((lt_dim_op)i))) {
            *op = (uint8_t)i;
            return;
        }
    }
    lt_codec_fail(c, "an expression has an unknown operation");
}

static void expr_record(lt_codec *c, void *record)
{
    lt_plan_expr *e = record;
    lt_codec_u8(c, &e->kind);
    switch (e->kind) {
    case LT_EXPR_CONST:
        lt_codec_i64(c, &e->k);
        break;
    case LT_EXPR_INPUT_DIM:
    case LT_EXPR_VALUE_DIM:
    case LT_EXPR_VALUE_ELEM:
        lt_codec_u32(c, &e->a);
        lt_codec_u32(c, &e->b);
        break;
    case LT_EXPR_OP:
        code_dim_op(c, &e->op);
        lt_codec_u32(c, &e->a);
        lt_codec_u32(c, &e->b);
        lt_codec_u32(c, &e->c);
        break;
    default:
        lt_codec_fail(c, "an expression is of an unknown kind");
        break;
    }
}

static void expr_section(lt_codec *c, lt_plan *plan, lt_plan_program *p)
{
    (void)plan;
    p->exprs = lt_codec_table(c, p->exprs, &p->n_exprs, sizeof *p->exprs, 9, expr_record);
}

static void code_format(lt_codec *c, lathe_format *f)
{
    uint8_t space = (uint8_t)f->space;
    lt_codec_u8(c, &space);
    f->space = (lathe_space)space;
    code_dtype(c, &f->storage);
    lt_codec_rank(c, &f->rank);
    for (int i = 0; i < f->rank; i++) {
        code_i8(c, &f->order[i]);
    }
    code_i8(c, &f->block_axis);
    code_i32(c, &f->block);
    code_i32(c, &f->pad_to);
    code_i32(c, &f->strided);
}

static void value_record(lt_codec *c, void *record)
{
    lt_plan_value *v = record;
    uint8_t storage = (uint8_t)v->storage;
    lt_codec_text(c, &v->name);
    code_class(c, &v->cls);
    code_dtype(c, &v->dtype);
    lt_codec_rank(c, &v->rank);
    for (int i = 0; i < v->rank; i++) {
        lt_codec_u32(c, &v->dims[i]);
    }
    code_format(c, &v->format);
    lt_codec_u8(c, &storage);
    v->storage = (lt_storage)storage;
    lt_codec_u32(c, &v->index);
    lt_codec_u32(c, &v->first);
    lt_codec_u32(c, &v->last);
    lt_codec_u8(c, &v->bounded);
    for (int i = 0; i < v->rank; i++) {
        if (v->bounded) {
            lt_codec_u32(c, &v->bound[i]);
        } else if (!c->out) {
            v->bound[i] = v->dims[i];
        }
    }
}

static void value_section(lt_codec *c, lt_plan *plan, lt_plan_program *p)
{
    (void)plan;
    p->values = lt_codec_table(c, p->values, &p->n_values, sizeof *p->values, 41, value_record);
}

static void step_record(lt_codec *c, void *record)
{
    lt_plan_step *s = record;
    lt_codec_text(c, &s->name);
    lt_codec_text(c, &s->class_name);
    lt_codec_text(c, &s->tactic);
    lt_codec_u32(c, &s->tactic_version);
    lt_codec_u32(c, &s->config);
    lt_codec_text(c, &s->problem);
    s->in = lt_codec_list(c, s->in, &s->n_in);
    s->out = lt_codec_list(c, s->out, &s->n_out);
    lt_codec_u64(c, &s->scratch);
    lt_codec_u8(c, &s->serial);
    s->origins = lt_codec_list(c, s->origins, &s->n_origins);
    lt_codec_f64(c, &s->cost_ns);
}

static void step_section(lt_codec *c, lt_plan *plan, lt_plan_program *p)
{
    (void)plan;
    p->steps = lt_codec_table(c, p->steps, &p->n_steps, sizeof *p->steps, 69, step_record);
}

static void instr_record(lt_codec *c, void *record)
{
    lt_plan_instr *i = record;
    uint8_t op = (uint8_t)i->op;
    lt_codec_u8(c, &op);
    i->op = (lt_opcode)op;
    lt_codec_u32(c, &i->lane);
    lt_codec_u32(c, &i->a);
    lt_codec_u32(c, &i->b);
    lt_codec_u32(c, &i->c);
}

static void instr_section(lt_codec *c, lt_plan *plan, lt_plan_program *p)
{
    (void)plan;
    p->instrs = lt_codec_table(c, p->instrs, &p->n_instrs, sizeof *p->instrs, 17, instr_record);
}

static void loop_record(lt_codec *c, void *record)
{
    lt_plan_loop *l = record;
    uint32_t n[5] = {l->n_carried, l->n_carried, l->n_carried, l->n_scan, l->n_scan};
    lt_codec_u32(c, &l->trip);
    lt_codec_u32(c, &l->cond);
    lt_codec_u32(c, &l->iteration);
    lt_codec_u32(c, &l->cond_in);
    lt_codec_u32(c, &l->cond_out);
    l->init = lt_codec_list(c, l->init, &l->n_carried);
    l->body_in = lt_codec_list(c, l->body_in, &n[0]);
    l->body_out = lt_codec_list(c, l->body_out, &n[1]);
    l->result = lt_codec_list(c, l->result, &n[2]);
    l->scan_out = lt_codec_list(c, l->scan_out, &l->n_scan);
    l->scan_result = lt_codec_list(c, l->scan_result, &n[3]);
    if (n[0] != l->n_carried || n[1] != l->n_carried || n[2] != l->n_carried || n[3] != l->n_scan) {
        lt_codec_fail(c, "a loop's lists differ in length");
    }
}

static void loop_section(lt_codec *c, lt_plan *plan, lt_plan_program *p)
{
    (void)plan;
    p->loops = lt_codec_table(c, p->loops, &p->n_loops, sizeof *p->loops, 44, loop_record);
}

static void offset_record(lt_codec *c, void *record)
{
    lt_codec_u64(c, record);
}

static void offset_section(lt_codec *c, lt_plan *plan, lt_plan_program *p)
{
    (void)plan;
    uint32_t n = p->n_values;
    p->offsets = lt_codec_table(c, p->offsets, &n, sizeof *p->offsets, 8, offset_record);
    if (n != p->n_values) {
        lt_codec_fail(c, "it does not hold one offset for each value");
    }
}

static void cut_record(lt_codec *c, void *record)
{
    lt_plan_cut *cut = record;
    lt_codec_u32(c, &cut->value);
    lt_codec_u8(c, &cut->kind);
    lt_codec_u8(c, &cut->axis);
    lt_codec_u32(c, &cut->start);
}

static void cut_section(lt_codec *c, lt_plan *plan, lt_plan_program *p)
{
    (void)plan;
    p->cuts = lt_codec_table(c, p->cuts, &p->n_cuts, sizeof *p->cuts, 10, cut_record);
}

static void way_record(lt_codec *c, void *record)
{
    lt_plan_way *w = record;
    lt_codec_u8(c, &w->way);
    lt_codec_text(c, &w->note);
}

static void way_section(lt_codec *c, lt_plan *plan, lt_plan_program *p)
{
    (void)plan;
    p->ways = lt_codec_table(c, p->ways, &p->n_ways, sizeof *p->ways, 9, way_record);
}

const lt_section_kind lt_section_kinds[] = {
    {"META", false, false, meta_section},
    {"IO  ", false, false, io_section},
    {"KIND", false, true, kind_section},
    {"PROF", false, false, profile_section},
    {"BLOB", false, false, blob_section},
    {"INIT", false, false, init_section},
    {"ASSU", false, false, assumption_section},
    {"SAME", false, true, equal_section},
    {"CACH", false, true, cache_section},
    {"VARI", false, false, variant_section},
    {"ORIG", false, false, origin_section},
    {"REFU", false, false, refusal_section},
    {"PROG", true, false, program_section},
    {"EXPR", true, false, expr_section},
    {"VALU", true, false, value_section},
    {"STEP", true, false, step_section},
    {"INST", true, false, instr_section},
    {"LOOP", true, false, loop_section},
    {"OFFS", true, false, offset_section},
    {"PART", true, true, cut_section},
    {"WAYS", true, true, way_section},
    {NULL, false, false, NULL},
};
