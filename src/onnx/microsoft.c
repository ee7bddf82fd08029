/*
 * microsoft.c - expands nodes of com.microsoft by the rows of the microsoft_*.c tables; what these have in common.
 * Called through import_expand.c. Knows no operator's meaning.
 */
#include "onnx/microsoft.h"

#include <stdarg.h>
#include <string.h>

static const lt_value_id none = { 0, 0 };
static const lt_ms_op *const tables[] = { lt_ms_pointwise, lt_ms_norms,     lt_ms_products, lt_ms_quantized,
                                          lt_ms_qlinear,   lt_ms_attention, lt_ms_grouped,  lt_ms_moves };

const char *lt_ms_name(size_t i)
{
    for (size_t t = 0; t < LT_COUNT(tables); t++) {
        for (const lt_ms_op *row = tables[t]; row->op != NULL; row++) {
            if (i-- == 0) {
                return row->op;
            }
        }
    }
    return NULL;
}

const lt_ms_op *lt_ms_find(const lt_pb_node *node)
{
    /* ONNX Runtime has it in ONNX's own domain; exporters write it there. */
    bool ours = lt_pb_is(node->domain, "com.microsoft") ||
                (lt_import_is_onnx(node->domain) && lt_pb_is(node->op_type, "SimplifiedLayerNormalization"));
    for (size_t t = 0; ours && t < LT_COUNT(tables); t++) {
        for (const lt_ms_op *row = tables[t]; row->op != NULL; row++) {
            if (lt_pb_is(node->op_type, row->op)) {
                return row;
            }
        }
    }
    return NULL;
}

/* ---- Reading the node ---- */

/* The kind that the row's text gives an attribute; LATHE_ATTR_UNDEFINED: not listed. */
static lathe_attr_kind listed(const char *text, const char *name)
{
    static const struct {
        char letter;
        lathe_attr_kind kind;
    } kinds[] = { { 'i', LATHE_ATTR_INT },  { 'f', LATHE_ATTR_FLOAT },  { 's', LATHE_ATTR_STRING },
                  { 'I', LATHE_ATTR_INTS }, { 'F', LATHE_ATTR_FLOATS }, { 'S', LATHE_ATTR_STRINGS } };
    size_t length = strlen(name);
    for (const char *at = text; at != NULL && *at != '\0'; at = strchr(at, ' ') != NULL ? strchr(at, ' ') + 1 : NULL) {
        if (strncmp(at, name, length) == 0 && at[length] == ':') {
            for (size_t i = 0; i < LT_COUNT(kinds); i++) {
                if (at[length + 1] == kinds[i].letter) {
                    return kinds[i].kind;
                }
            }
        }
    }
    return (lathe_attr_kind)0;
}

static void read_attrs(lt_ms *m, lt_scope *scope, const lt_pb_node *node, const lt_ms_op *row)
{
    lt_expand *x = m->x;
    const char *reason = NULL;
    lathe_attr *attrs = NULL;
    lt_body_call call = { .node = node, .inputs = m->in, .n_inputs = m->n_in, .version = 1, .where = x->where };
    for (size_t i = 0; i < node->attribute.count; i++) { /* subgraphs would become regions without an owner */
        if (node->attribute.at[i].g != NULL || node->attribute.at[i].graphs.count > 0) {
            lt_ms_fail(m, "an attribute holds a graph that the operator does not take");
            return;
        }
    }
    x->status = lt_import_attrs(x->import, scope, &call, &attrs, &m->n_attrs, &reason);
    m->attrs = attrs;
    if (reason != NULL) {
        lt_ms_refuse(m, "%s", reason);
    }
    for (size_t i = 0; lt_expand_ok(x) && i < m->n_attrs; i++) {
        lathe_attr_kind kind = listed(row->attrs, attrs[i].name);
        if (kind == (lathe_attr_kind)0) {
            lt_ms_refuse(m, "this build does not know the attribute '%.100s'", attrs[i].name);
        } else if (kind != attrs[i].kind) {
            lt_ms_fail(m, "attribute '%.100s' is of another kind", attrs[i].name);
        }
    }
}

static void read_inputs(lt_ms *m, lt_scope *scope, const lt_pb_node *node, const lt_ms_op *row)
{
    size_t room = node->input.count > LT_MS_INPUTS ? node->input.count : LT_MS_INPUTS;
    lt_value_id *in = LT_ARENA_ARRAY(&m->x->import->arena, lt_value_id, room + 1);
    if (in == NULL) {
        m->x->status = LT_OOM(m->x->import->diag);
        return;
    }
    m->in = in;
    m->n_in = node->input.count;
    for (size_t i = 0; i <= room; i++) {
        in[i] = i < m->n_in ? lt_scope_find(scope, node->input.at[i]).value : none;
    }
    if (m->n_in > (size_t)row->most) {
        lt_ms_fail(m, "%zu inputs; there may be %d", m->n_in, row->most);
    }
    for (int i = 0; i < LT_MS_INPUTS; i++) {
        if ((row->needed >> i & 1u) != 0 && lt_value_none(in[i])) {
            lt_ms_fail(m, "input %d is missing", i);
        }
    }
}

void lt_ms_expand(lt_expand *x, lt_scope *scope, const lt_pb_node *node, const lt_ms_op *row, lt_value_id *out)
{
    lt_ms m = { .x = x, .op = row->op };
    size_t room = (size_t)row->outputs;
    bool *wanted = LT_ARENA_ARRAY(&x->import->arena, bool, room);
    lt_value_id *made = LT_ARENA_ARRAY(&x->import->arena, lt_value_id, room);
    if (wanted == NULL || made == NULL) {
        x->status = LT_OOM(x->import->diag);
        return;
    }
    for (size_t i = 0; i < room; i++) {
        wanted[i] = i < node->output.count && node->output.at[i].length > 0;
        made[i] = none;
    }
    m.wanted = wanted;
    m.out = made;
    read_inputs(&m, scope, node, row);
    if (lt_expand_ok(x)) {
        read_attrs(&m, scope, node, row);
    }
    if (lt_expand_ok(x)) {
        row->expand(&m);
    }
    for (size_t i = 0; i < room && i < node->output.count; i++) {
        if (lt_expand_ok(x) && wanted[i] && lt_value_none(made[i])) {
            lt_ms_refuse(&m, "this build does not compute output %zu", i);
        }
        out[i] = made[i];
    }
}

/* ---- For rows ---- */

static void fail(lt_ms *m, lathe_status status, const char *format, va_list args)
{
    char text[400];
    vsnprintf(text, sizeof text, format, args);
    lt_expand_fail(m->x, status, NULL, "%s: %s", m->op, text);
}

void lt_ms_refuse(lt_ms *m, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fail(m, LATHE_UNSUPPORTED, format, args);
    va_end(args);
}

void lt_ms_fail(lt_ms *m, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fail(m, LATHE_BAD_MODEL, format, args);
    va_end(args);
}

bool lt_ms_has(const lt_ms *m, int i)
{
    return (size_t)i < m->n_in && !lt_value_none(m->in[i]);
}

int64_t lt_ms_i(const lt_ms *m, const char *name, int64_t otherwise)
{
    return lt_attr_i(m->attrs, m->n_attrs, name, otherwise);
}

float lt_ms_f(const lt_ms *m, const char *name, float otherwise)
{
    return lt_attr_f(m->attrs, m->n_attrs, name, otherwise);
}

int lt_ms_rank(lt_ms *m, int i)
{
    const lt_type *type = lt_expand_type(m->x, m->in[i], true);
    return type != NULL ? type->rank : -1;
}

lathe_dtype lt_ms_dtype(lt_ms *m, lt_value_id a)
{
    const lt_type *type = lt_expand_type(m->x, a, false);
    return type != NULL ? type->dtype : LATHE_DTYPE_UNDEFINED;
}

int64_t lt_ms_extent(lt_ms *m, lt_value_id a, int axis)
{
    const lt_value *value = lt_expand_ok(m->x) ? lt_value_get(m->x->graph, a) : NULL;
    if (value == NULL || value->type.cls != LT_TENSOR || axis < 0 || axis >= value->type.rank) {
        return -1;
    }
    return lt_dim_is_const(value->type.dims[axis]) ? value->type.dims[axis].k : -1;
}

size_t lt_ms_pick(const lt_ms *m, const char *names, lathe_attr *to)
{
    size_t n = 0;
    for (size_t i = 0; i < m->n_attrs; i++) {
        size_t length = strlen(m->attrs[i].name);
        for (const char *at = names; at != NULL; at = strchr(at, ' ') != NULL ? strchr(at, ' ') + 1 : NULL) {
            if (strncmp(at, m->attrs[i].name, length) == 0 && (at[length] == ' ' || at[length] == '\0')) {
                to[n++] = m->attrs[i];
                break;
            }
        }
    }
    return n;
}

lt_value_id lt_ms_add(lt_ms *m, lt_value_id a, lt_value_id b)
{
    return lt_value_none(b) ? a : lt_expand_2(m->x, "Add", a, b);
}

lt_value_id lt_ms_scaled(lt_ms *m, lt_value_id a, double factor)
{
    return factor == 1 ? a : lt_expand_2(m->x, "Mul", a, lt_expand_scalar(m->x, a, factor));
}

lt_value_id lt_ms_extents(lt_ms *m, lt_value_id a, int64_t axis, int64_t end)
{
    lathe_attr attrs[2] = {
        { .name = "start", .kind = LATHE_ATTR_INT, .i = axis },
        { .name = "end", .kind = LATHE_ATTR_INT, .i = end },
    };
    return lt_expand_node(m->x, "Shape", attrs, 2, &a, 1);
}

lt_value_id lt_ms_concat(lt_ms *m, int64_t axis, const lt_value_id *parts, size_t count)
{
    lathe_attr attr = { .name = "axis", .kind = LATHE_ATTR_INT, .i = axis };
    return lt_expand_node(m->x, "Concat", &attr, 1, parts, count);
}

lt_value_id lt_ms_int(lt_ms *m, int64_t value)
{
    return lt_expand_ints(m->x, &value, 1);
}

lt_value_id lt_ms_reshape(lt_ms *m, lt_value_id a, const int64_t *dims, size_t count)
{
    return lt_expand_2(m->x, "Reshape", a, lt_expand_ints(m->x, dims, count));
}

lt_value_id lt_ms_slice(lt_ms *m, lt_value_id a, int64_t axis, lt_value_id from, lt_value_id to)
{
    lt_value_id inputs[4] = { a, from, to, lt_ms_int(m, axis) };
    return lt_expand_node(m->x, "Slice", NULL, 0, inputs, 4);
}

lt_value_id lt_ms_unsqueeze(lt_ms *m, lt_value_id a, int64_t axis)
{
    return lt_expand_2(m->x, "Unsqueeze", a, lt_ms_int(m, axis));
}

lt_value_id lt_ms_transpose(lt_ms *m, lt_value_id a, int rank, bool channels_last)
{
    int64_t perm[LATHE_MAX_RANK] = { 0 };
    for (int i = 1; i < rank; i++) {
        perm[i] = channels_last ? (i < rank - 1 ? i + 1 : 1) : (i > 1 ? i - 1 : rank - 1);
    }
    return rank < 3 ? a : lt_expand_transpose(m->x, a, perm, rank);
}

static lt_value_id two_floats(lt_ms *m, const char *op, lt_value_id a, const char *const names[2], const float *values,
                              size_t count)
{
    lathe_attr attrs[2];
    for (size_t i = 0; i < count; i++) {
        attrs[i] = (lathe_attr){ .name = names[i], .kind = LATHE_ATTR_FLOAT, .f = values[i] };
    }
    return lt_expand_node(m->x, op, attrs, count, &a, 1);
}

lt_value_id lt_ms_activate(lt_ms *m, lt_value_id a, const char *attr, const float *params, size_t count)
{
    static const char *const alpha_beta[2] = { "alpha", "beta" };
    static const char *const plain[] = { "Relu", "Sigmoid", "Tanh", "HardSwish", "Softplus", "Softsign" };
    const lathe_attr *name = lt_attr_find(m->attrs, m->n_attrs, attr);
    if (name == NULL || name->s.length == 0) {
        return a;
    }
    for (size_t i = 0; i < LT_COUNT(plain); i++) {
        if (lt_attr_is(m->attrs, m->n_attrs, attr, plain[i], "")) {
            return lt_expand_1(m->x, plain[i], a);
        }
    }
    if (lt_attr_is(m->attrs, m->n_attrs, attr, "LeakyRelu", "") || lt_attr_is(m->attrs, m->n_attrs, attr, "Elu", "") ||
        lt_attr_is(m->attrs, m->n_attrs, attr, "ThresholdedRelu", "")) {
        const char *op = name->s.data[0] == 'L' ? "LeakyRelu" : name->s.data[0] == 'E' ? "Elu" : "ThresholdedRelu";
        return two_floats(m, op, a, alpha_beta, params, count < 1 ? count : 1);
    }
    if (lt_attr_is(m->attrs, m->n_attrs, attr, "HardSigmoid", "")) {
        return two_floats(m, "HardSigmoid", a, alpha_beta, params, count < 2 ? count : 2);
    }
    if (lt_attr_is(m->attrs, m->n_attrs, attr, "Clip", "") && count >= 2) {
        return lt_expand_3(m->x, "Clip", a, lt_expand_scalar(m->x, a, params[0]), lt_expand_scalar(m->x, a, params[1]));
    }
    lt_ms_refuse(m, "the activation '%.*s' with %zu parameters is not known",
                 (int)(name->s.length < 60 ? name->s.length : 60), (const char *)name->s.data, count);
    return none;
}

lt_value_id lt_ms_quantize(lt_ms *m, lt_value_id a, lt_value_id scale, lt_value_id zero, lathe_dtype dtype)
{
    lathe_attr attr = { .name = "output_dtype", .kind = LATHE_ATTR_INT, .i = dtype };
    lt_value_id inputs[3] = { a, scale, zero };
    bool given = !lt_value_none(zero);
    return lt_expand_node(m->x, "QuantizeLinear", &attr, given ? 0 : 1, inputs, given ? 3 : 2);
}

lt_value_id lt_ms_dequantize(lt_ms *m, lt_value_id a, lt_value_id scale, lt_value_id zero)
{
    lt_value_id inputs[3] = { a, scale, zero };
    return lt_expand_node(m->x, "DequantizeLinear", NULL, 0, inputs, lt_value_none(zero) ? 2 : 3);
}

lt_value_id lt_ms_integer_product(lt_ms *m, const lt_value_id a[3], const lt_value_id b[3], lt_value_id bias)
{
    lt_value_id inputs[4] = { a[0], b[0], a[2], b[2] };
    size_t count = !lt_value_none(b[2]) ? 4 : !lt_value_none(a[2]) ? 3 : 2;
    lt_value_id sum = lt_expand_node(m->x, "MatMulInteger", NULL, 0, inputs, count);
    lt_value_id scale = lt_expand_2(m->x, "Mul", a[1], b[1]);
    lathe_dtype real = lt_ms_dtype(m, a[1]);
    return lt_ms_add(m, lt_expand_2(m->x, "Mul", lt_expand_cast(m->x, sum, real), scale), bias);
}
