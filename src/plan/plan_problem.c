/*
 * plan_problem.c - a single operator over constants as a problem without instructions: how the init function's steps are written down.
 */
#include "plan/plan_internal.h"

uint32_t lt_numbering_get(const lt_numbering *n, size_t index)
{
    return index < n->capacity && n->items[index] ? n->items[index] - 1 : LT_PLAN_NONE;
}

lathe_status lt_numbering_put(lt_numbering *n, lt_arena *arena, size_t index, uint32_t number, lathe_diag *diag)
{
    if (number == LT_PLAN_NONE && index >= n->capacity) {
        return LATHE_OK;
    }
    void *items = n->items;
    if (!lt_arena_grow(arena, &items, &n->capacity, index + 1, sizeof *n->items)) {
        return LT_OOM(diag);
    }
    n->items = items;
    n->items[index] = number == LT_PLAN_NONE ? 0 : number + 1;
    return LATHE_OK;
}

static lathe_operand operand_of(const lt_value *v)
{
    lathe_operand o = {.flags = LATHE_OPERAND_ABSENT};
    if (!v) {
        return o;
    }
    o = (lathe_operand){.dtype = v->type.dtype, .rank = v->type.rank, .flags = LATHE_OPERAND_CONSTANT};
    for (int i = 0; i < o.rank; i++) {
        o.dims[i] = (lathe_extent){v->type.dims[i].k, v->type.dims[i].k, v->type.dims[i].k, 1};
    }
    if (o.dtype == LATHE_DTYPE_STRING) {
        o.flags |= LATHE_OPERAND_MANAGED;
    }
    o.format = lt_format_plain(o.dtype, o.rank, LATHE_SPACE_HOST);
    return o;
}

/* Graphs and types never belong to problems. */
static const lathe_attr *plain_attrs(const lt_node *node, lt_arena *arena, size_t *n)
{
    lathe_attr *attrs = LT_ARENA_ARRAY(arena, lathe_attr, node->n_attrs + 1u);
    *n = 0;
    for (uint32_t i = 0; attrs && i < node->n_attrs; i++) {
        lathe_attr_kind k = node->attrs[i].kind;
        if (k != LATHE_ATTR_GRAPH && k != LATHE_ATTR_GRAPHS) {
            attrs[(*n)++] = node->attrs[i];
        }
    }
    return attrs;
}

lathe_status lt_problem_of_node(const lt_graph *graph, const lt_node *node, lt_arena *arena, lathe_problem **out, lathe_diag *diag)
{
    lathe_problem *p = LT_ARENA_NEW(arena, lathe_problem);
    lathe_operand *in = LT_ARENA_ARRAY(arena, lathe_operand, node->n_inputs + 1u), *outs = LT_ARENA_ARRAY(arena, lathe_operand, node->n_outputs + 1u);
    uint16_t *root = LT_ARENA_ARRAY(arena, uint16_t, node->n_inputs + 1u);
    if (!p || !in || !outs || !root) {
        return LT_OOM(diag);
    }
    *p = (lathe_problem){.struct_size = sizeof *p, .op = node->op->name, .domain = lt_op_domain(node->op), .version = node->op->since, .in = in,
                         .n_in = node->n_inputs, .out = outs, .n_out = node->n_outputs, .n_root_in = node->n_inputs, .n_root_out = node->n_outputs,
                         .root_in = root};
    p->attrs = plain_attrs(node, arena, &p->n_attrs);
    if (!p->attrs) {
        return LT_OOM(diag);
    }
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        in[i] = operand_of(lt_node_in(graph, node, i));
        root[i] = (uint16_t)i;
    }
    for (uint32_t i = 0; i < node->n_outputs; i++) {
        outs[i] = operand_of(lt_node_out(graph, node, i));
        outs[i].flags &= ~LATHE_OPERAND_CONSTANT;
    }
    *out = p;
    return LATHE_OK;
}

lathe_status lt_problem_text(const lathe_problem *problem, lt_arena *arena, const char **out, lathe_diag *diag)
{
    lt_buf text;
    lt_buf_init(&text, arena->allocator);
    lathe_status status = lt_problem_print(problem, &text, diag);
    *out = status == LATHE_OK ? lt_arena_strn(arena, lt_buf_str(&text), text.length) : NULL;
    lt_buf_free(&text);
    return status != LATHE_OK ? status : *out ? LATHE_OK : LT_OOM(diag);
}
