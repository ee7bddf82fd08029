/*
 * plan_scan.c - what Scan and SequenceMap need beyond Loop: their length, and the slices or items that each iteration reads, as steps of the reference.
 */
#include "plan/plan_internal.h"
#include <string.h>

static int64_t nth(const lt_node *node, const char *name, uint32_t k)
{
    size_t count;
    const int64_t *ints = lt_attr_ints(node->attrs, node->n_attrs, name, &count);
    return ints && k < count ? ints[k] : 0;
}

bool lt_scan_turns(const lt_node *node, uint32_t stack)
{
    return nth(node, "scan_output_directions", stack) != 0 || nth(node, "scan_output_axes", stack) != 0;
}

/* An operand as the value's type says, its extents within the bucket. */
static lathe_operand operand_of(lt_maker *m, const lt_value *v)
{
    lathe_operand o = {.dtype = v->type.dtype, .rank = v->type.rank};
    if (lt_keep_of(m, v) == LT_KEEP_MANAGED) {
        o.flags = LATHE_OPERAND_MANAGED;
        o.rank = -1;
    }
    if (o.dtype == LATHE_DTYPE_UNDEFINED) { /* containers: as their values have it */
        o.dtype = LATHE_DTYPE_U8;
    }
    for (int i = 0; i < o.rank; i++) {
        lathe_extent *e = &o.dims[i];
        lt_dim_bounds(m->dims, v->type.dims[i], &e->min, &e->max);
        e->min = e->min < 0 ? 0 : e->min;
        e->opt = e->max < INT64_MAX ? e->max : e->min;
        e->multiple = 1;
    }
    o.format = lt_format_plain(o.dtype, o.rank, LATHE_SPACE_HOST);
    return o;
}

static lathe_operand integers(int rank, int64_t count)
{
    lathe_operand o = {.dtype = LATHE_DTYPE_I64, .rank = rank, .dims = {{count, count, count, 1}}};
    o.format = lt_format_plain(o.dtype, rank, LATHE_SPACE_HOST);
    return o;
}

static lathe_status integer_value(lt_maker *m, const char *name, int rank, uint32_t *out)
{
    lt_plan_value v = {.name = name, .dtype = LATHE_DTYPE_I64, .rank = rank, .format = lt_format_plain(LATHE_DTYPE_I64, rank, LATHE_SPACE_HOST),
                       .storage = LT_STORE_ARENA};
    if (rank == 1) {
        LT_TRY(lt_expr_const(m, 1, &v.dims[0]));
        v.bound[0] = v.dims[0];
    }
    LT_TRY(lt_value_new(m, &v, out));
    m->info[*out].upper[0] = 1;
    return LATHE_OK;
}

lathe_status lt_iteration_value(lt_maker *m, uint32_t *out)
{
    return integer_value(m, "iteration", 0, out);
}

/* The axis that input number `input` of the node is cut along; its rank must be known. */
static lathe_status axis_of_input(lt_maker *m, const lt_node *node, uint32_t input, uint32_t axis_of, int64_t *axis)
{
    const lt_value *v = lt_node_in(m->graph, node, input);
    *axis = nth(node, "scan_input_axes", axis_of);
    if (v->type.rank < 1) {
        return LT_FAIL(m->diag, LATHE_UNSUPPORTED, v->name, "give the model's inputs their ranks", "the rank of '%s', which Scan reads, is unknown", v->name);
    }
    *axis += *axis < 0 ? v->type.rank : 0;
    return LATHE_OK;
}

static lathe_status emit(lt_maker *m, const char *name, const char *domain, const char *op, const lathe_attr *attrs, size_t n_attrs, const lathe_operand *in,
                         uint32_t n_in, const lathe_operand *out, const uint32_t *values, uint32_t result)
{
    const lt_op *descriptor = lt_op_find(domain, op);
    uint16_t *root = LT_ARENA_ARRAY(m->arena, uint16_t, n_in + 1u);
    uint32_t *numbers = lt_arena_copy(m->arena, values, n_in * sizeof *values, _Alignof(uint32_t));
    uint32_t *results = lt_arena_copy(m->arena, &result, sizeof result, _Alignof(uint32_t));
    lathe_operand *ins = lt_arena_copy(m->arena, in, n_in * sizeof *in, _Alignof(lathe_operand)), *outs = lt_arena_copy(m->arena, out, sizeof *out, _Alignof(lathe_operand));
    LT_CHECK(m->diag, descriptor != NULL, op);
    if (!root || !numbers || !results || !ins || !outs) {
        return LT_OOM(m->diag);
    }
    for (uint32_t i = 0; i < n_in; i++) {
        root[i] = (uint16_t)i;
    }
    lathe_problem *p = LT_ARENA_NEW(m->arena, lathe_problem);
    if (!p) {
        return LT_OOM(m->diag);
    }
    *p = (lathe_problem){.struct_size = sizeof *p, .op = descriptor->name, .domain = lt_op_domain(descriptor), .version = descriptor->since, .attrs = attrs,
                         .n_attrs = n_attrs, .in = ins, .n_in = n_in, .out = outs, .n_out = 1, .n_root_in = n_in, .n_root_out = 1, .root_in = root};
    return lt_emit_reference(m, name, p, numbers, results);
}

lathe_status lt_scan_length(lt_maker *m, const lt_node *node, uint32_t input, uint32_t axis_of, uint32_t value, uint32_t *out)
{
    int64_t axis;
    LT_TRY(axis_of_input(m, node, input, axis_of, &axis));
    lathe_attr *attrs = LT_ARENA_ARRAY(m->arena, lathe_attr, 2);
    if (!attrs) {
        return LT_OOM(m->diag);
    }
    attrs[0] = (lathe_attr){.name = "start", .kind = LATHE_ATTR_INT, .i = axis};
    attrs[1] = (lathe_attr){.name = "end", .kind = LATHE_ATTR_INT, .i = axis + 1};
    lathe_operand in = operand_of(m, lt_node_in(m->graph, node, input)), result = integers(1, 1);
    LT_TRY(integer_value(m, "length", 1, out));
    return emit(m, "length of scan", "", "Shape", attrs, 2, &in, 1, &result, &value, *out);
}

/* The number of the slice that an iteration reads: of a backward input counted from the end, -1 - iteration. */
static lathe_status slice_number(lt_maker *m, const lt_node *node, uint32_t axis_of, uint32_t iteration, uint32_t *out)
{
    *out = iteration;
    if (nth(node, "scan_input_directions", axis_of) == 0) {
        return LATHE_OK;
    }
    lathe_operand number = integers(0, 0);
    LT_TRY(integer_value(m, "slice", 0, out));
    return emit(m, "slice counted from the end", "", "BitwiseNot", NULL, 0, &number, 1, &number, &iteration, *out);
}

lathe_status lt_scan_slice(lt_maker *m, const lt_node *node, uint32_t input, uint32_t axis_of, uint32_t value, const lt_value *slice, uint32_t iteration)
{
    int64_t axis;
    uint32_t result, number;
    LT_TRY(axis_of_input(m, node, input, axis_of, &axis));
    LT_TRY(slice_number(m, node, axis_of, iteration, &number));
    lathe_attr *attr = LT_ARENA_NEW(m->arena, lathe_attr);
    if (!attr) {
        return LT_OOM(m->diag);
    }
    *attr = (lathe_attr){.name = "axis", .kind = LATHE_ATTR_INT, .i = axis};
    lathe_operand in[2] = {operand_of(m, lt_node_in(m->graph, node, input)), integers(0, 0)}, out = operand_of(m, slice);
    uint32_t values[2] = {value, number};
    LT_TRY(lt_host_define(m, slice->id, &result));
    if (m->values[result].bounded) {
        out.flags |= LATHE_OPERAND_BOUNDED;
    }
    LT_TRY(emit(m, "slice of scan", "", "Gather", attr, 1, in, 2, &out, values, result));
    LT_TRY(lt_value_settle(m, slice, result));
    return lt_flush_shapes(m);
}

lathe_status lt_scan_turn(lt_maker *m, const lt_node *node, uint32_t stack, const lt_value *output, uint32_t collected, uint32_t result)
{
    lathe_attr *attrs = LT_ARENA_ARRAY(m->arena, lathe_attr, 2);
    if (!attrs) {
        return LT_OOM(m->diag);
    }
    attrs[0] = (lathe_attr){.name = "axis", .kind = LATHE_ATTR_INT, .i = nth(node, "scan_output_axes", stack)};
    attrs[1] = (lathe_attr){.name = "reverse", .kind = LATHE_ATTR_INT, .i = nth(node, "scan_output_directions", stack)};
    lathe_operand in = {.dtype = output->type.dtype, .rank = -1, .flags = LATHE_OPERAND_MANAGED}, out = operand_of(m, output);
    in.format = lt_format_plain(in.dtype, -1, LATHE_SPACE_HOST);
    if (m->values[result].bounded) {
        out.flags |= LATHE_OPERAND_BOUNDED;
    }
    return emit(m, "turned scan", "lathe", "ScanTurn", attrs, 2, &in, 1, &out, &collected, result);
}

/* ---- SequenceMap ---- */

lathe_status lt_map_length(lt_maker *m, const lt_node *node, const uint32_t *values, uint32_t *out)
{
    lathe_operand *in = LT_ARENA_ARRAY(m->arena, lathe_operand, node->n_inputs + 1u), result = integers(1, 1);
    if (!in) {
        return LT_OOM(m->diag);
    }
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        in[i] = operand_of(m, lt_node_in(m->graph, node, i));
    }
    LT_TRY(integer_value(m, "length", 1, out));
    return emit(m, "length of sequences", "lathe", "SequenceMapLength", NULL, 0, in, node->n_inputs, &result, values, *out);
}

lathe_status lt_map_input(lt_maker *m, const lt_node *node, uint32_t input, uint32_t value, const lt_value *inside, uint32_t iteration)
{
    const lt_value *outside = lt_node_in(m->graph, node, input);
    uint32_t result;
    if (outside->type.cls != LT_SEQUENCE) {
        return lt_host_share(m, inside->id, value);
    }
    lathe_operand in[2] = {operand_of(m, outside), integers(0, 0)}, out = operand_of(m, inside);
    uint32_t values[2] = {value, iteration};
    LT_TRY(lt_host_define(m, inside->id, &result));
    if (m->values[result].bounded) {
        out.flags |= LATHE_OPERAND_BOUNDED;
    }
    LT_TRY(emit(m, "item of sequence", "", "SequenceAt", NULL, 0, in, 2, &out, values, result));
    LT_TRY(lt_value_settle(m, inside, result));
    return lt_flush_shapes(m);
}
