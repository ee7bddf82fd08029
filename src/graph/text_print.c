/*
 * text_print.c - the canonical text of a graph. Part of graph; what it prints, the reader reads back to the same text.
 *
 * Unknown dims are numbered in the order in which they are printed: the dims of each type go through a table of the
 * printer's own.
 */
#include <inttypes.h>
#include <string.h>

#include "graph/text_internal.h"

const lt_text_options lt_text_canonical = { .types = true, .labels = true, .origins = false, .inline_bytes = 64 };

typedef struct printer {
    const lt_graph *graph;
    lt_text_options options;
    lt_buf *out;
    lt_dims *dims; /* types are printed in terms of this table */
    lt_imap fresh; /* of the graph's table -> of this one */
    lathe_status status;
    lathe_diag *diag;
} printer;

/* ---- Types ---- */

static void import_dims(printer *p, const lt_type *from, lt_type *to)
{
    for (int i = 0; from->cls == LT_TENSOR && i < from->rank && p->status == LATHE_OK; i++) {
        p->status = lt_dim_import_mapped(p->dims, p->graph->dims, from->dims[i], &p->fresh, &to->dims[i], p->diag);
    }
}

static void print_type(printer *p, const lt_type *type)
{
    enum { LEVELS = 8 };
    lt_type
        chain[LEVELS]; /* deeper ones are printed as they are: containers of containers hold no symbols in practice */
    const lt_type *at = type;
    int n = 0;
    for (; at != NULL && n < LEVELS && p->status == LATHE_OK; at = at->elem, n++) {
        chain[n] = *at;
        import_dims(p, at, &chain[n]);
        if (n > 0) {
            chain[n - 1].elem = &chain[n];
        }
    }
    if (p->status == LATHE_OK) {
        lt_type_print(at == NULL ? p->dims : p->graph->dims, at == NULL ? &chain[0] : type, p->out);
    }
}

/* ---- Names ---- */

static void print_value(printer *p, const lt_value *value, bool typed)
{
    if (value == NULL) {
        lt_buf_puts(p->out, "\"\"");
        return;
    }
    if (typed) {
        print_type(p, &value->type);
        lt_buf_putc(p->out, ' ');
    }
    lt_buf_put_name(p->out, value->name);
}

static void print_values(printer *p, const lt_value_id *ids, uint32_t count, bool typed)
{
    lt_buf_putc(p->out, '(');
    for (uint32_t i = 0; i < count; i++) {
        const lt_value *value = lt_value_get(p->graph, ids[i]);
        lt_buf_puts(p->out, i > 0 ? ", " : "");
        lt_buf_puts(p->out, typed && value != NULL && value->host_input ? "host " : "");
        print_value(p, value, typed);
    }
    lt_buf_putc(p->out, ')');
}

static void print_qualified(lt_buf *out, const char *domain, const char *name)
{
    if (domain[0] == '\0') {
        lt_buf_put_name(out, name);
        return;
    }
    if (lt_is_identifier(domain) && lt_is_identifier(name)) {
        lt_buf_printf(out, "%s.%s", domain, name);
        return;
    }
    lt_buf whole;
    lt_buf_init(&whole, out->allocator);
    lt_buf_printf(&whole, "%s.%s", domain, name);
    lt_buf_put_name(out, lt_buf_str(&whole));
    out->failed = out->failed || whole.failed;
    lt_buf_free(&whole);
}

static void indent(printer *p, int depth)
{
    for (int i = 0; i < depth; i++) {
        lt_buf_puts(p->out, "  ");
    }
}

/* ---- Attributes ---- */

static void print_body(printer *p, lt_region_id region, int depth);

static void print_tensor(printer *p, const lathe_tensor *tensor)
{
    lt_type type;
    lt_type_of_tensor(tensor, &type);
    lt_type_print(p->graph->dims, &type, p->out);
    lt_buf_putc(p->out, ' ');
    lt_print_elements(tensor, p->out);
}

static void print_list(printer *p, const lathe_attr *attr, int depth)
{
    lt_buf *out = p->out;
    lt_buf_putc(out, '[');
    for (size_t i = 0; i < attr->count; i++) {
        lt_buf_puts(out, i > 0 ? ", " : "");
        switch (attr->kind) {
        case LATHE_ATTR_FLOATS:
            lt_buf_put_f32(out, attr->floats[i]);
            break;
        case LATHE_ATTR_INTS:
            lt_buf_printf(out, "%" PRId64, attr->ints[i]);
            break;
        case LATHE_ATTR_STRINGS:
            lt_buf_put_quoted(out, attr->strings[i].data, attr->strings[i].length);
            break;
        case LATHE_ATTR_TENSORS:
            print_tensor(p, &attr->tensors[i]);
            break;
        default:
            print_body(p, attr->graphs[i], depth);
            break;
        }
    }
    lt_buf_putc(out, ']');
}

/* Empty lists do not show their kind. */
static const char *kind_mark(const lathe_attr *attr)
{
    switch (attr->count > 0 ? LATHE_ATTR_NONE : attr->kind) {
    case LATHE_ATTR_FLOATS:
        return " : floats";
    case LATHE_ATTR_INTS:
        return " : ints";
    case LATHE_ATTR_STRINGS:
        return " : strings";
    case LATHE_ATTR_TENSORS:
        return " : tensors";
    case LATHE_ATTR_GRAPHS:
        return " : graphs";
    default:
        return "";
    }
}

static void print_attr(printer *p, const lathe_attr *attr, int depth)
{
    lt_buf *out = p->out;
    size_t length = strlen(attr->name);
    if (length > 0 && attr->name[length - 1] == ':') { /* the reader takes a bare one for the mark of a kind */
        lt_buf_put_quoted(out, attr->name, length);
    } else {
        lt_buf_put_name(out, attr->name);
    }
    lt_buf_printf(out, "%s = ", kind_mark(attr));
    switch (attr->kind) {
    case LATHE_ATTR_FLOAT:
        lt_buf_put_f32(out, attr->f);
        break;
    case LATHE_ATTR_INT:
        lt_buf_printf(out, "%" PRId64, attr->i);
        break;
    case LATHE_ATTR_STRING:
        lt_buf_put_quoted(out, attr->s.data, attr->s.length);
        break;
    case LATHE_ATTR_TENSOR:
        print_tensor(p, attr->tensors);
        break;
    case LATHE_ATTR_TYPE:
        print_type(p, attr->type);
        break;
    case LATHE_ATTR_GRAPH:
        print_body(p, attr->graph, depth);
        break;
    default:
        print_list(p, attr, depth);
        break;
    }
}

/* ---- Nodes ---- */

static void print_marks(printer *p, const lt_node *node)
{
    static const char *const devices[] = { "host", "twin", "cuda" };
    lt_buf *out = p->out;
    if (node->group != 0) {
        lt_buf_printf(out, " @g%" PRIu32, node->group);
    }
    if (node->device != LATHE_SPACE_HOST && (size_t)node->device < LT_COUNT(devices)) {
        lt_buf_printf(out, " on %s", devices[node->device]);
    }
    if (!p->options.origins) {
        return;
    }
    for (uint32_t i = 0; i < node->n_origins; i++) {
        lt_buf_printf(out, "%s%" PRIu32, i == 0 ? " #" : ",", node->origins[i]);
    }
    const char *folder = lt_node_slot_of(node)->folder;
    if (node->region == LT_INIT && folder != NULL && folder[0] != '\0') {
        lt_buf_puts(out, " by ");
        lt_buf_put_name(out, folder);
    }
}

static void print_node(printer *p, const lt_node *node, int depth)
{
    lt_buf *out = p->out;
    indent(p, depth);
    if (p->options.labels && node->label != NULL && node->label[0] != '\0') {
        lt_buf_putc(out, '[');
        lt_buf_put_name(out, node->label);
        lt_buf_puts(out, "] ");
    }
    for (uint32_t i = 0; i < node->n_outputs; i++) {
        lt_buf_puts(out, i > 0 ? ", " : "");
        print_value(p, lt_node_out(p->graph, node, i), p->options.types);
    }
    lt_buf_puts(out, " = ");
    print_qualified(out, lt_op_domain(node->op), node->op->name);
    if (node->n_attrs > 0) {
        lt_buf_puts(out, " <");
        for (uint32_t i = 0; i < node->n_attrs; i++) {
            lt_buf_puts(out, i > 0 ? ", " : "");
            print_attr(p, &node->attrs[i], depth);
        }
        lt_buf_putc(out, '>');
    }
    lt_buf_putc(out, ' ');
    print_values(p, node->inputs, node->n_inputs, false);
    print_marks(p, node);
    lt_buf_putc(out, '\n');
}

static void print_nodes(printer *p, lt_region_id region, int depth)
{
    lt_buf_puts(p->out, "{\n");
    for (lt_node *node = lt_region_first(p->graph, region); node != NULL && p->status == LATHE_OK && !p->out->failed;
         node = lt_node_next(p->graph, node)) {
        print_node(p, node, depth + 1);
    }
    indent(p, depth);
    lt_buf_putc(p->out, '}');
}

/* ---- Bodies ---- */

typedef struct capture_list {
    printer *printer;
    lt_region_id body;
    lt_imap seen;
    size_t count;
} capture_list;

static void add_capture(capture_list *c, const lt_value *value)
{
    printer *p = c->printer;
    uint64_t ignored;
    if (value == NULL || value->region == LT_INIT || lt_region_within(p->graph, value->region, c->body) ||
        lt_imap_get(&c->seen, value->id.index, &ignored)) {
        return;
    }
    if (!lt_imap_put(&c->seen, value->id.index, 1)) {
        p->status = LT_OOM(p->diag);
        return;
    }
    lt_buf_puts(p->out, c->count++ == 0 ? " captures (" : ", ");
    lt_buf_put_name(p->out, value->name);
}

static lathe_status add_node_captures(void *user, lt_node *node)
{
    capture_list *c = user;
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        add_capture(c, lt_node_in(c->printer->graph, node, i));
    }
    lt_region_id body;
    for (size_t i = 0; lt_node_region(node->attrs, node->n_attrs, i, &body); i++) {
        const lt_region *inner = lt_region_get(c->printer->graph, body);
        for (uint32_t k = 0; k < inner->n_outputs; k++) {
            add_capture(c, lt_value_get(c->printer->graph, inner->outputs[k]));
        }
    }
    return c->printer->status;
}

/* What the body reads from outside, in the order of its nodes. */
static void print_captures(printer *p, const lt_region *body)
{
    capture_list list = { .printer = p, .body = body->id };
    lt_imap_init(&list.seen, p->graph->allocator);
    (void)lt_region_walk(p->graph, body->id, add_node_captures, &list); /* failures stay in p->status */
    for (uint32_t i = 0; i < body->n_outputs; i++) {
        add_capture(&list, lt_value_get(p->graph, body->outputs[i]));
    }
    lt_buf_puts(p->out, list.count > 0 ? ")" : "");
    lt_imap_free(&list.seen);
}

static void print_body(printer *p, lt_region_id region, int depth)
{
    const lt_region *body = lt_region_get(p->graph, region);
    lt_buf_puts(p->out, "graph ");
    print_values(p, body->inputs, body->n_inputs, true);
    lt_buf_puts(p->out, " => ");
    print_values(p, body->outputs, body->n_outputs, true);
    print_captures(p, body);
    lt_buf_putc(p->out, ' ');
    print_nodes(p, region, depth + 1);
}

/* ---- The header ---- */

static void print_ranges(printer *p)
{
    const char *mark = "dims <";
    for (uint32_t e = 1; e < lt_dims_size(p->graph->dims); e++) {
        lt_dim_node node = lt_dim_get(p->graph->dims, (lt_dim){ .e = e });
        if (node.op != LT_DIM_SYMBOL || (lt_dim_is(node.lo, 0) && lt_dim_is(node.hi, INT64_MAX))) {
            continue;
        }
        lt_buf_puts(p->out, mark);
        lt_buf_put_name(p->out, node.name);
        lt_buf_printf(p->out, " = %" PRId64 ":", node.lo.k);
        if (node.hi.k != INT64_MAX) {
            lt_buf_printf(p->out, "%" PRId64, node.hi.k);
        }
        mark = ", ";
    }
    lt_buf_puts(p->out, mark[0] == ',' ? ">\n" : "");
}

static void print_initializers(printer *p)
{
    const lt_region *init = lt_region_get(p->graph, LT_INIT);
    for (uint32_t i = 0; i < init->n_inputs && p->status == LATHE_OK; i++) {
        const lt_value *value = lt_value_get(p->graph, init->inputs[i]);
        lt_buf_puts(p->out, i == 0 ? "<\n  " : ",\n  ");
        print_value(p, value, true);
        lt_buf_puts(p->out, " = ");
        lt_print_data(value->blob, &p->options, p->out);
    }
    lt_buf_puts(p->out, init->n_inputs > 0 ? "\n>\n" : "");
}

static void print_origin(printer *p, uint32_t number, lt_fate fate, const char *pass)
{
    const lt_origin *origin = &p->graph->origins[number];
    lt_buf_printf(p->out, "  #%" PRIu32, number);
    if (origin->label[0] != '\0') {
        lt_buf_puts(p->out, " [");
        lt_buf_put_name(p->out, origin->label);
        lt_buf_putc(p->out, ']');
    }
    lt_buf_putc(p->out, ' ');
    print_qualified(p->out, origin->domain, origin->op);
    if (origin->path[0] != '\0') {
        lt_buf_puts(p->out, " in ");
        lt_buf_put_name(p->out, origin->path);
    }
    if (fate == LT_FATE_REMOVED) {
        lt_buf_puts(p->out, " removed by ");
        lt_buf_put_name(p->out, pass);
    }
    lt_buf_putc(p->out, '\n');
}

static void print_origins(printer *p)
{
    const lt_graph *graph = p->graph;
    size_t n = graph->n_origins;
    if (!p->options.origins || n == 0 || p->status != LATHE_OK) {
        return;
    }
    lt_fate *fates = lt_alloc_array(graph->allocator, n, sizeof *fates, _Alignof(lt_fate));
    const char **passes = lt_alloc_array(graph->allocator, n, sizeof *passes, _Alignof(const char *));
    p->status = fates == NULL || passes == NULL ? LT_OOM(p->diag) : lt_graph_fates(graph, fates, passes, p->diag);
    if (p->status == LATHE_OK) {
        lt_buf_puts(p->out, "origins {\n");
        for (size_t i = 0; i < n; i++) {
            print_origin(p, (uint32_t)i, fates[i], passes[i]);
        }
        lt_buf_puts(p->out, "}\n");
    }
    lt_release(graph->allocator, fates, n * sizeof *fates, _Alignof(lt_fate));
    lt_release(graph->allocator, passes, n * sizeof *passes, _Alignof(const char *));
}

static void print_assumptions(printer *p)
{
    for (size_t i = 0; i < p->graph->n_assumptions; i++) {
        const lt_assumption *a = &p->graph->assumptions[i];
        lt_buf_puts(p->out, "assume ");
        lt_buf_put_name(p->out, a->initializer);
        if (a->kind == LT_ASSUME_BYTES) {
            lt_buf_printf(p->out, " bytes 0x%016" PRIx64, a->hash);
        } else {
            lt_buf_puts(p->out, a->kind == LT_ASSUME_SPLAT ? " splat " : " sign ");
            lt_buf_put_f64(p->out, a->number);
        }
        if (a->pass[0] != '\0') {
            lt_buf_puts(p->out, " by ");
            lt_buf_put_name(p->out, a->pass);
        }
        lt_buf_putc(p->out, '\n');
    }
}

static void print_graph(printer *p)
{
    const lt_region *net = lt_region_get(p->graph, LT_MAIN);
    print_ranges(p);
    lt_buf_put_name(p->out, p->graph->name);
    lt_buf_putc(p->out, ' ');
    print_values(p, net->inputs, net->n_inputs, true);
    lt_buf_puts(p->out, " => ");
    print_values(p, net->outputs, net->n_outputs, true);
    lt_buf_putc(p->out, '\n');
    print_initializers(p);
    print_origins(p);
    if (lt_graph_node_count(p->graph, LT_INIT) > 0) {
        lt_buf_puts(p->out, "init ");
        print_nodes(p, LT_INIT, 0);
        lt_buf_putc(p->out, '\n');
    }
    print_assumptions(p);
    print_nodes(p, LT_MAIN, 0);
    lt_buf_putc(p->out, '\n');
}

lathe_status lt_graph_print(const lt_graph *graph, const lt_text_options *options, lt_buf *out, lathe_diag *diag)
{
    printer p = { .graph = graph, .options = options == NULL ? lt_text_canonical : *options, .out = out, .diag = diag };
    p.dims = lt_dims_create(graph->allocator);
    if (p.dims == NULL) {
        return LT_OOM(diag);
    }
    lt_imap_init(&p.fresh, graph->allocator);
    print_graph(&p);
    lt_imap_free(&p.fresh);
    lt_dims_destroy(p.dims);
    if (p.status == LATHE_OK && out->failed) {
        p.status = LT_OOM(diag);
    }
    return p.status;
}

lathe_status lt_graph_hash(const lt_graph *graph, uint64_t *out, lathe_diag *diag)
{
    lt_buf text;
    lt_buf_init(&text, graph->allocator);
    lathe_status status = lt_graph_print(graph, &lt_text_canonical, &text, diag);
    if (status == LATHE_OK) {
        *out = lt_hash64(lt_buf_str(&text), text.length, 0);
    }
    lt_buf_free(&text);
    return status;
}
