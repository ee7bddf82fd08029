/*
 * group_problem.c - makes problems from nodes: a single operator as a root without instructions, or a group as root plus pointwise program.
 *
 * Called by units.c and, for listings, by api. It decides nothing; what cannot be written as a program is said so and becomes single operators.
 */
#include "tune/tune_internal.h"
#include <string.h>

enum { MAX_INSTRS = 256 };

/* ---- Values ---- */

/* An expression contains a fresh unknown (an extent that only the run can tell). */
static bool has_fresh(const lt_dims *dims, lt_dim d, int depth)
{
    if (lt_dim_is_const(d)) {
        return false;
    }
    lt_dim_node n = lt_dim_get(dims, d);
    if (n.op == LT_DIM_FRESH || depth > LT_MAX_DEPTH) {
        return true;
    }
    for (uint32_t i = 0; i < n.count; i++) {
        if (has_fresh(dims, n.args[i], depth + 1)) {
            return true;
        }
    }
    return false;
}

lt_keep lt_value_keep(const lt_graph *graph, const lt_value *value, const lt_tune_options *options)
{
    const lt_type *type = &value->type;
    lt_keep keep = LT_KEEP_PLANNED;
    if (type->cls != LT_TENSOR || type->dtype == LATHE_DTYPE_STRING || type->rank < 0) {
        return LT_KEEP_MANAGED;
    }
    for (int i = 0; i < type->rank; i++) {
        if (!has_fresh(lt_graph_dims(graph), type->dims[i], 0)) {
            continue;
        }
        lathe_extent e;
        if (options->extent(options->user, type->dims[i], &e, NULL) != LATHE_OK || e.max == INT64_MAX) {
            return LT_KEEP_MANAGED;
        }
        keep = LT_KEEP_BOUNDED;
    }
    return keep;
}

lathe_format lt_plain_format(const lt_tuner *t, const lt_value *value, lathe_space space)
{
    if (lt_value_keep(t->graph, value, t->options) != LT_KEEP_MANAGED) {
        return lt_format_plain(value->type.dtype, value->type.rank, space);
    }
    lathe_dtype dtype = value->type.dtype == LATHE_DTYPE_UNDEFINED ? LATHE_DTYPE_U8 : value->type.dtype; /* containers: the type says nothing */
    return lt_format_plain(dtype, -1, LATHE_SPACE_HOST);
}

lathe_status lt_fill_operand(lt_tuner *t, const lt_value *value, lathe_operand *out)
{
    lathe_format plain = lt_plain_format(t, value, LATHE_SPACE_HOST);
    *out = (lathe_operand){.dtype = plain.storage, .rank = plain.rank, .format = plain};
    out->flags |= lt_value_is_constant(value) ? LATHE_OPERAND_CONSTANT : 0;
    out->flags |= lt_value_keep(t->graph, value, t->options) == LT_KEEP_MANAGED ? LATHE_OPERAND_MANAGED : 0;
    for (int i = 0; i < out->rank; i++) {
        LT_TRY(t->options->extent(t->options->user, value->type.dims[i], &out->dims[i], t->diag));
    }
    return LATHE_OK;
}

/* Elements of small constants that tactics may read (shapes, axes); refit refuses to change those it knows of. */
static void show_value(const lt_value *value, lathe_operand *o)
{
    const lt_tensor *data = lt_value_is_constant(value) ? lt_value_tensor(value) : NULL;
    if (data && data->dtype != LATHE_DTYPE_STRING && lt_tensor_count(data) <= LT_CONTENTS_MAX) {
        o->value = data;
    }
}

/* ---- One operator ---- */

static bool is_new_fresh(lt_tuner *t, const lt_node *node, const lt_value *out)
{
    if (node->op->traits & LT_OP_DYNAMIC) {
        return true;
    }
    /* The extent comes from this operator when it is a bare unknown that no input has. */
    for (int i = 0; i < out->type.rank; i++) {
        lt_dim d = out->type.dims[i];
        bool found = lt_dim_is_const(d) || !has_fresh(lt_graph_dims(t->graph), d, 0);
        for (uint32_t k = 0; k < node->n_inputs && !found; k++) {
            const lt_value *in = lt_node_in(t->graph, node, k);
            for (int a = 0; in && a < in->type.rank && !found; a++) {
                found = lt_dim_same(in->type.dims[a], d);
            }
        }
        if (!found) {
            return true;
        }
    }
    return false;
}

/* Attributes of a node that belong into a problem: no graphs. */
static lathe_status copy_attrs(lt_tuner *t, const lt_node *node, lathe_problem *p)
{
    lathe_attr *attrs = LT_ARENA_ARRAY(t->arena, lathe_attr, node->n_attrs + 1u);
    if (!attrs) {
        return LT_OOM(t->diag);
    }
    for (uint32_t i = 0; i < node->n_attrs; i++) {
        lathe_attr_kind k = node->attrs[i].kind;
        if (k != LATHE_ATTR_GRAPH && k != LATHE_ATTR_GRAPHS) {
            attrs[p->n_attrs++] = node->attrs[i];
        }
    }
    p->attrs = attrs;
    return LATHE_OK;
}

static lathe_problem *new_problem(lt_tuner *t, const lt_node *root)
{
    lathe_problem *p = LT_ARENA_NEW(t->arena, lathe_problem);
    if (p) {
        p->struct_size = sizeof *p;
        p->op = root ? root->op->name : "";
        p->domain = root ? lt_op_domain(root->op) : "";
        p->version = root ? root->op->since : 0;
    }
    return p;
}

lathe_status lt_node_problem(lt_tuner *t, const lt_node *node, lathe_problem **out, const lt_value_id **in, const lt_value_id **out_values)
{
    lathe_problem *p = new_problem(t, node);
    lathe_operand *ins = LT_ARENA_ARRAY(t->arena, lathe_operand, node->n_inputs + 1u);
    lathe_operand *outs = LT_ARENA_ARRAY(t->arena, lathe_operand, node->n_outputs + 1u);
    uint16_t *roots = LT_ARENA_ARRAY(t->arena, uint16_t, node->n_inputs + 1u);
    if (!p || !ins || !outs || !roots) {
        return LT_OOM(t->diag);
    }
    LT_TRY(copy_attrs(t, node, p));
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        const lt_value *v = lt_node_in(t->graph, node, i);
        roots[i] = (uint16_t)i;
        ins[i] = (lathe_operand){.flags = LATHE_OPERAND_ABSENT};
        if (v) {
            LT_TRY(lt_fill_operand(t, v, &ins[i]));
            if (i < 64 && (node->op->host_inputs >> i & 1)) {
                ins[i].flags |= LATHE_OPERAND_HOST;
                show_value(v, &ins[i]);
            }
        }
    }
    for (uint32_t i = 0; i < node->n_outputs; i++) {
        const lt_value *v = lt_node_out(t->graph, node, i);
        outs[i] = (lathe_operand){.flags = LATHE_OPERAND_ABSENT};
        if (v) {
            LT_TRY(lt_fill_operand(t, v, &outs[i]));
            if (lt_value_keep(t->graph, v, t->options) == LT_KEEP_BOUNDED && is_new_fresh(t, node, v)) {
                outs[i].flags |= LATHE_OPERAND_BOUNDED;
            }
        }
    }
    p->in = ins;
    p->n_in = p->n_root_in = node->n_inputs;
    p->out = outs;
    p->n_out = p->n_root_out = node->n_outputs;
    p->root_in = roots;
    p->flags = lt_attr_i(node->attrs, node->n_attrs, "exact_int", 0) ? LATHE_PROBLEM_EXACT_INT : 0;
    *out = p;
    *in = node->inputs;
    *out_values = node->outputs;
    return LATHE_OK;
}

/* ---- Programs ---- */

typedef struct maker {
    lt_tuner *t;
    const lt_node_id *nodes;
    uint32_t n_nodes;
    const lt_node *root;
    int space_rank;
    lt_dim space[LATHE_MAX_RANK];
    lathe_pw_instr instrs[MAX_INSTRS];
    size_t n_instrs;
    lt_value_id in[MAX_INSTRS], out[MAX_INSTRS];
    size_t n_in, n_out;
    lt_value_id held[MAX_INSTRS]; /* value that an instruction computes, per slot */
    bool possible;
} maker;

static bool is_member(const maker *m, lt_node_id id)
{
    for (uint32_t i = 0; i < m->n_nodes; i++) {
        if (lt_node_same(m->nodes[i], id)) {
            return true;
        }
    }
    return false;
}

static bool is_name(const lt_node *n, const char *op)
{
    return lt_op_domain(n->op)[0] == '\0' && strcmp(n->op->name, op) == 0;
}

static bool is_pointwise(const lt_node *n)
{
    double imm[2];
    return is_name(n, "QuantizeLinear") || is_name(n, "DequantizeLinear") ||
           ((n->op->traits & LT_OP_POINTWISE) && lt_op_pw(n->op, n->attrs, n->n_attrs, imm) != LATHE_PW_NONE);
}

/* No way to write this as a program: the caller falls back to single operators. */
static lathe_status give_up(maker *m)
{
    m->possible = false;
    return LATHE_OK;
}

static lathe_pw_instr *push(maker *m, lathe_pw_op op, lathe_dtype dtype, int slot, uint16_t *index)
{
    if (m->n_instrs == MAX_INSTRS) {
        m->possible = false;
        m->n_instrs--; /* the result is thrown away */
    }
    lathe_pw_instr *s = &m->instrs[m->n_instrs];
    *s = (lathe_pw_instr){.op = op, .dtype = dtype, .slot = (int16_t)slot};
    m->held[m->n_instrs] = (lt_value_id){0, 0};
    *index = (uint16_t)m->n_instrs++;
    return s;
}

/* Number of an operand, one for each value. */
static uint16_t operand(maker *m, lt_value_id value)
{
    for (size_t i = 0; i < m->n_in; i++) {
        if (lt_value_same(m->in[i], value)) {
            return (uint16_t)i;
        }
    }
    if (m->n_in == MAX_INSTRS) {
        m->possible = false;
        return 0;
    }
    m->in[m->n_in] = value;
    return (uint16_t)m->n_in++;
}

/*
 * Loads a value into a slot's space of the given extents, aligned at the right as NumPy broadcasts. Where nothing tells whether an axis repeats, a pointwise
 * program leaves it to the run: an extent of 1 repeats there too.
 */
static lathe_status load(maker *m, lt_value_id id, int slot, int rank, const lt_dim *space, uint16_t *index)
{
    const lt_value *v = lt_value_get(m->t->graph, id);
    if (!v || v->type.cls != LT_TENSOR || v->type.rank < 0 || v->type.rank > rank) {
        return give_up(m);
    }
    for (size_t i = 0; i < m->n_instrs; i++) {
        if (m->instrs[i].slot == slot && m->instrs[i].op == LATHE_PW_LOAD && lt_value_same(m->held[i], id)) {
            *index = (uint16_t)i;
            return LATHE_OK;
        }
    }
    lathe_pw_instr *s = push(m, LATHE_PW_LOAD, v->type.dtype, slot, index);
    m->held[*index] = id;
    s->operand = operand(m, id);
    for (int i = 0; i < v->type.rank; i++) {
        int axis = rank - v->type.rank + i;
        bool one = lt_dim_is(v->type.dims[i], 1);
        if (!one && m->root && !lt_dim_proves_eq(lt_graph_dims(m->t->graph), v->type.dims[i], space[axis])) {
            return give_up(m);
        }
        s->map[i] = (int8_t)(one ? -1 : axis);
    }
    return LATHE_OK;
}

/* Scale or zero point of a quantization: a scalar, or a vector along one axis of the space. */
static lathe_status load_along(maker *m, lt_value_id id, int slot, int axis, int rank, const lt_dim *space, uint16_t *index)
{
    const lt_value *v = lt_value_get(m->t->graph, id);
    if (!v || v->type.rank > 1 || v->type.rank < 0) {
        return give_up(m);
    }
    lathe_pw_instr *s = push(m, LATHE_PW_LOAD, v->type.dtype, slot, index);
    m->held[*index] = (lt_value_id){0, 0}; /* another axis may load it otherwise: never shared */
    s->operand = operand(m, id);
    if (v->type.rank == 1) {
        bool one = lt_dim_is(v->type.dims[0], 1), along = axis >= 0 && axis < rank && lt_dim_same(v->type.dims[0], space[axis]);
        s->map[0] = (int8_t)(one ? -1 : axis);
        return one || along ? LATHE_OK : give_up(m); /* which of the two it is only the run tells */
    }
    return LATHE_OK;
}

static lathe_status constant(maker *m, lathe_dtype dtype, double value, int slot, uint16_t *index)
{
    push(m, LATHE_PW_CONST, dtype, slot, index)->imm[0] = value;
    return LATHE_OK;
}

/* Argument k of a node in a slot: an instruction of the group, or a load. */
static lathe_status argument(maker *m, const lt_node *node, uint32_t k, int slot, int rank, const lt_dim *space, uint16_t *index)
{
    lt_value_id id = node->inputs[k];
    for (size_t i = m->n_instrs; i-- > 0;) {
        if (m->instrs[i].slot == slot && m->instrs[i].op != LATHE_PW_LOAD && lt_value_same(m->held[i], id)) {
            *index = (uint16_t)i;
            return LATHE_OK;
        }
    }
    const lt_value *v = lt_value_get(m->t->graph, id);
    if (v && v->kind == LT_VALUE_RESULT && is_member(m, v->def)) {
        return give_up(m); /* computed in the group, but not in this slot */
    }
    return load(m, id, slot, rank, space, index);
}

static lathe_status put_quantization(maker *m, const lt_node *node, int slot, int rank, const lt_dim *space, uint16_t x)
{
    const lt_value *out = lt_node_out(m->t->graph, node, 0), *zero = lt_node_in(m->t->graph, node, 2);
    bool quantize = is_name(node, "QuantizeLinear");
    int64_t axis = lt_attr_i(node->attrs, node->n_attrs, "axis", 1);
    const lt_value *scale = lt_node_in(m->t->graph, node, 1);
    int64_t precision = lt_attr_i(node->attrs, node->n_attrs, "precision", 0);
    if (lt_attr_i(node->attrs, node->n_attrs, "block_size", 0) != 0 || !out || !scale || (precision != 0 && precision != (int64_t)scale->type.dtype)) {
        return give_up(m); /* programs divide in the type of the scale */
    }
    axis = axis < 0 ? axis + rank : axis;
    uint16_t s, z, index;
    LT_TRY(load_along(m, node->inputs[1], slot, (int)axis, rank, space, &s));
    if (zero) {
        LT_TRY(load_along(m, node->inputs[2], slot, (int)axis, rank, space, &z));
    } else {
        LT_TRY(constant(m, quantize ? out->type.dtype : m->instrs[x].dtype, 0, slot, &z));
    }
    lathe_pw_instr *q = push(m, quantize ? LATHE_PW_QUANT : LATHE_PW_DEQUANT, out->type.dtype, slot, &index);
    q->args[0] = x;
    q->args[1] = s;
    q->args[2] = z;
    m->held[index] = node->outputs[0];
    return LATHE_OK;
}

/* Smallest and largest number of a type, for the missing bounds of Clip. */
static double lowest(lathe_dtype dtype, bool high)
{
    if (lt_dtype_is_float(dtype)) {
        return high ? __builtin_inf() : -__builtin_inf();
    }
    return high ? (double)lt_dtype_max_u64(dtype) : (double)lt_dtype_min_i64(dtype);
}

static lathe_status put_pointwise(maker *m, const lt_node *node, int slot, int rank, const lt_dim *space)
{
    const lt_value *out = lt_node_out(m->t->graph, node, 0);
    uint16_t args[3] = {0, 0, 0}, index;
    if (!out || node->n_outputs != 1 || node->n_inputs == 0) {
        return give_up(m);
    }
    LT_TRY(argument(m, node, 0, slot, rank, space, &args[0]));
    if (!m->possible) {
        return LATHE_OK;
    }
    if (is_name(node, "QuantizeLinear") || is_name(node, "DequantizeLinear")) {
        return put_quantization(m, node, slot, rank, space, args[0]);
    }
    double imm[2] = {0, 0};
    lathe_pw_op op = lt_op_pw(node->op, node->attrs, node->n_attrs, imm);
    int arity = lt_pw_arity(op);
    if (arity == 2 && node->n_inputs != 2) { /* variadic Max, Min, Sum: a left fold */
        uint16_t left = args[0];
        for (uint32_t k = 1; k < node->n_inputs && m->possible; k++) {
            LT_TRY(argument(m, node, k, slot, rank, space, &args[1]));
            lathe_pw_instr *s = push(m, op, out->type.dtype, slot, &index);
            s->args[0] = left;
            s->args[1] = args[1];
            left = index;
        }
        if (node->n_inputs == 1) {
            return give_up(m);
        }
        m->held[left] = node->outputs[0];
        return LATHE_OK;
    }
    for (int k = 1; k < arity && m->possible; k++) {
        if ((uint32_t)k < node->n_inputs && !lt_value_none(node->inputs[k])) {
            LT_TRY(argument(m, node, (uint32_t)k, slot, rank, space, &args[k]));
        } else {
            LT_TRY(constant(m, out->type.dtype, lowest(out->type.dtype, k == 2), slot, &args[k]));
        }
    }
    lathe_pw_instr *s = push(m, op, out->type.dtype, slot, &index);
    memcpy(s->args, args, sizeof args);
    memcpy(s->imm, imm, sizeof imm);
    m->held[index] = node->outputs[0];
    return LATHE_OK;
}

/* Does a member feed the root (a prologue)? Which slot? -1: it belongs to the epilogue. */
static int slot_of(const maker *m, const lt_node *node)
{
    const lt_value *out = lt_node_out(m->t->graph, node, 0);
    for (uint32_t i = 0; m->root && out && i < m->root->n_inputs; i++) {
        if (lt_value_same(m->root->inputs[i], out->id)) {
            return (int)i;
        }
    }
    return -1;
}

static lathe_status put_prologue(maker *m, const lt_node *node, int slot)
{
    const lt_value *out = lt_node_out(m->t->graph, node, 0);
    if (out->n_uses != 1 || out->n_region_outputs > 0 || out->type.rank < 0) {
        return give_up(m);
    }
    return put_pointwise(m, node, slot, out->type.rank, out->type.dims);
}

static lathe_status put_root(maker *m)
{
    for (uint32_t i = 0; i < m->root->n_outputs; i++) {
        const lt_value *v = lt_node_out(m->t->graph, m->root, i);
        if (!v) {
            continue;
        }
        uint16_t index;
        lathe_pw_instr *s = push(m, LATHE_PW_ROOT, v->type.dtype, -1, &index);
        s->operand = (uint16_t)i;
        m->held[index] = v->id;
        if (i > 0) {
            return give_up(m); /* more results than one have spaces of their own */
        }
    }
    return LATHE_OK;
}

/* Values that somebody outside reads. */
static lathe_status put_stores(maker *m)
{
    size_t n = m->n_instrs;
    for (size_t i = 0; i < n; i++) {
        const lathe_pw_instr *s = &m->instrs[i];
        const lt_value *v = s->slot < 0 && s->op != LATHE_PW_LOAD ? lt_value_get(m->t->graph, m->held[i]) : NULL;
        if (!v) {
            continue;
        }
        bool outside = v->n_region_outputs > 0;
        for (uint32_t k = 0; k < v->n_uses && !outside; k++) {
            outside = !is_member(m, v->uses[k].node);
        }
        if (!outside) {
            continue;
        }
        for (int d = 0; d < m->space_rank; d++) { /* every output covers the whole space */
            if (v->type.rank != m->space_rank || !lt_dim_proves_eq(lt_graph_dims(m->t->graph), v->type.dims[d], m->space[d])) {
                return give_up(m);
            }
        }
        uint16_t index;
        lathe_dtype dtype = s->dtype;
        lathe_pw_instr *store = push(m, LATHE_PW_STORE, dtype, -1, &index);
        store->args[0] = (uint16_t)i;
        store->operand = (uint16_t)m->n_out;
        m->out[m->n_out++] = v->id;
    }
    return m->n_out > 0 ? LATHE_OK : give_up(m);
}

/* The root is the one member that is not pointwise. */
static bool find_root(maker *m)
{
    for (uint32_t i = 0; i < m->n_nodes; i++) {
        const lt_node *n = lt_node_get(m->t->graph, m->nodes[i]);
        if (!is_pointwise(n)) {
            if (m->root) {
                return false;
            }
            m->root = n;
        }
    }
    return true;
}

static bool find_space(maker *m)
{
    const lt_node *last = m->root ? m->root : lt_node_get(m->t->graph, m->nodes[m->n_nodes - 1]);
    const lt_value *v = lt_node_out(m->t->graph, last, 0);
    if (!v || v->type.cls != LT_TENSOR || v->type.rank < 0) {
        return false;
    }
    m->space_rank = v->type.rank;
    memcpy(m->space, v->type.dims, sizeof m->space);
    return true;
}

static lathe_status put_members(maker *m)
{
    bool root_done = m->root == NULL;
    for (int pass = 0; pass < 2; pass++) { /* prologues, then the root and what follows */
        if (pass == 1 && m->root) {
            LT_TRY(put_root(m));
            root_done = true;
        }
        for (uint32_t i = 0; i < m->n_nodes && m->possible; i++) {
            const lt_node *n = lt_node_get(m->t->graph, m->nodes[i]);
            int slot = n == m->root ? -2 : slot_of(m, n);
            if (pass == 0 && slot >= 0) {
                LT_TRY(put_prologue(m, n, slot));
            } else if (pass == 1 && slot == -1 && root_done) {
                LT_TRY(put_pointwise(m, n, -1, m->space_rank, m->space));
            }
        }
    }
    return m->possible ? put_stores(m) : LATHE_OK;
}

static lathe_status finish(maker *m, lathe_problem **out, const lt_value_id **in, const lt_value_id **out_values)
{
    lt_tuner *t = m->t;
    lathe_problem *p = new_problem(t, m->root);
    size_t n_root = m->root ? m->root->n_inputs : 0;
    uint16_t *roots = LT_ARENA_ARRAY(t->arena, uint16_t, n_root + 1);
    if (!p || !roots) {
        return LT_OOM(t->diag);
    }
    for (size_t i = 0; i < n_root; i++) {
        roots[i] = 0xffff;
        const lt_value *v = lt_node_in(t->graph, m->root, (uint32_t)i);
        if (v && !(v->kind == LT_VALUE_RESULT && is_member(m, v->def))) {
            roots[i] = operand(m, v->id);
        }
    }
    lathe_operand *ins = LT_ARENA_ARRAY(t->arena, lathe_operand, m->n_in + 1), *outs = LT_ARENA_ARRAY(t->arena, lathe_operand, m->n_out + 1);
    p->instrs = lt_arena_copy(t->arena, m->instrs, m->n_instrs * sizeof *m->instrs, _Alignof(lathe_pw_instr));
    *in = lt_arena_copy(t->arena, m->in, (m->n_in + 1) * sizeof *m->in, _Alignof(lt_value_id));
    *out_values = lt_arena_copy(t->arena, m->out, (m->n_out + 1) * sizeof *m->out, _Alignof(lt_value_id));
    if (!ins || !outs || !p->instrs || !*in || !*out_values) {
        return LT_OOM(t->diag);
    }
    for (size_t i = 0; i < m->n_in; i++) {
        LT_TRY(lt_fill_operand(t, lt_value_get(t->graph, m->in[i]), &ins[i]));
        m->possible = m->possible && !(ins[i].flags & LATHE_OPERAND_MANAGED);
    }
    for (size_t i = 0; i < n_root; i++) {
        if (roots[i] != 0xffff && i < 64 && (m->root->op->host_inputs >> i & 1)) {
            ins[roots[i]].flags |= LATHE_OPERAND_HOST;
            show_value(lt_node_in(t->graph, m->root, (uint32_t)i), &ins[roots[i]]);
        }
    }
    for (size_t i = 0; i < m->n_out; i++) {
        LT_TRY(lt_fill_operand(t, lt_value_get(t->graph, m->out[i]), &outs[i]));
        m->possible = m->possible && !(outs[i].flags & LATHE_OPERAND_MANAGED);
    }
    if (m->root) {
        LT_TRY(copy_attrs(t, m->root, p));
        p->flags = lt_attr_i(m->root->attrs, m->root->n_attrs, "exact_int", 0) ? LATHE_PROBLEM_EXACT_INT : 0;
    }
    p->in = ins;
    p->n_in = m->n_in;
    p->out = outs;
    p->n_out = m->n_out;
    p->root_in = roots;
    p->n_root_in = n_root;
    p->n_root_out = m->root ? m->root->n_outputs : 0;
    p->n_instrs = m->n_instrs;
    p->space_rank = m->space_rank;
    for (int i = 0; i < m->space_rank; i++) {
        LT_TRY(t->options->extent(t->options->user, m->space[i], &p->space[i], t->diag));
    }
    *out = p;
    return LATHE_OK;
}

static lathe_status make_program(maker *m, lathe_problem **out, const lt_value_id **in, const lt_value_id **out_values, bool *possible)
{
    if (!find_root(m) || !find_space(m) || (m->root && (m->root->op->traits & (LT_OP_DYNAMIC | LT_OP_REGIONS)))) {
        return LATHE_OK;
    }
    LT_TRY(put_members(m));
    if (m->possible) {
        LT_TRY(finish(m, out, in, out_values));
    }
    *possible = m->possible;
    return m->possible ? lt_problem_verify(*out, m->t->diag) : LATHE_OK;
}

lathe_status lt_program_problem(lt_tuner *t, const lt_node_id *nodes, uint32_t n_nodes, lathe_problem **out, const lt_value_id **in,
                                const lt_value_id **out_values, bool *possible)
{
    *possible = false;
    maker *m = LT_NEW(t->arena->allocator, maker);
    if (!m) {
        return LT_OOM(t->diag);
    }
    *m = (maker){.t = t, .nodes = nodes, .n_nodes = n_nodes, .possible = true};
    lathe_status status = make_program(m, out, in, out_values, possible);
    LT_DELETE(t->arena->allocator, m);
    return status;
}

lathe_status lt_problem_of_group(const lt_graph *graph, const lt_node_id *nodes, uint32_t n_nodes, const lt_tune_options *options, lt_arena *arena,
                                 lathe_problem **out, const lt_value_id **in, const lt_value_id **out_values, lathe_diag *diag)
{
    lt_tuner t = {.graph = graph, .options = options, .arena = arena, .diag = diag};
    const lt_node *first = lt_node_get(graph, nodes[0]);
    if (n_nodes == 1 && !is_pointwise(first)) {
        return lt_node_problem(&t, first, out, in, out_values);
    }
    bool possible;
    LT_TRY(lt_program_problem(&t, nodes, n_nodes, out, in, out_values, &possible));
    if (possible) {
        return LATHE_OK;
    }
    return n_nodes == 1 ? lt_node_problem(&t, first, out, in, out_values)
                        : LT_FAIL(diag, LATHE_UNSUPPORTED, first->label, NULL, "the group cannot be written as one program");
}
