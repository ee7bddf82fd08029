/*
 * run.c - the reference executor: every node by its operator's eval. The oracle of tests and the evaluator of
 * constants. Part of graph.
 *
 * Each evaluation of a node gets a store that holds the memory of all its results; a result keeps its store alive until
 * its last use. Results of a body live until the node that ran it has run the next one or is done: operators copy what
 * they pass on or carry along.
 */
#include <stdatomic.h>
#include <string.h>

#include "graph/graph_internal.h"

typedef struct store {
    const lathe_allocator *allocator;
    atomic_uint_least64_t refs; /* constants made from one store may be released on several threads */
    lt_arena arena;
} store;

typedef struct cell { /* one for each value slot */
    lt_any any;
    store *owner; /* NULL: data of somebody else (inputs, constants) */
    bool set;
} cell;

typedef struct runner {
    lt_graph *graph; /* changed in nothing but its budget */
    const lathe_allocator *allocator;
    lt_run_options options;
    cell **cells; /* chunks, made when one of their values is set: constants are evaluated one by one in large graphs */
    size_t n_chunks;
    uint32_t *dying; /* for each node slot: first value (index + 1) that dies after it, chained by `chain` */
    uint32_t *chain; /* for each value slot */
    lt_arena scratch[LT_MAX_DEPTH + 2];
    int depth;
    uint64_t body_runs;
    lt_imap draws; /* node slot -> evaluations of a random node so far */
    lathe_diag *diag;
} runner;

/* Evaluation on behalf of a reader of untrusted text ends after this many runs of bodies. */
enum { BODY_RUNS_MAX = 100000 };

struct lt_run {
    const lathe_allocator *allocator;
    lt_arena arena;
    lt_any *outputs;
    size_t n_outputs;
    cell **cells; /* with keep_all: they stay */
    size_t n_chunks;
    lt_value_id *ids;
};

typedef struct evaluation { /* lt_eval.user */
    runner *runner;
    store *store;
    store **kept; /* of the body that ran last; from the allocator */
    size_t n_kept, cap_kept;
} evaluation;

/* ---- Stores and cells ---- */

static store *make_store(const lathe_allocator *allocator)
{
    store *s = LT_NEW(allocator, store);
    if (s != NULL) {
        s->allocator = allocator;
        atomic_init(&s->refs, 1);
        lt_arena_init(&s->arena, allocator);
    }
    return s;
}

static void hold_store(store *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
}

static void drop_store(void *owner)
{
    store *s = owner;
    if (s != NULL && atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) == 1) {
        lt_arena_destroy(&s->arena);
        LT_DELETE(s->allocator, s);
    }
}

enum { CELL_CHUNK = 32 };

/* NULL: nothing was set there. */
static cell *cell_at(cell *const *chunks, size_t n_chunks, uint32_t index)
{
    return index / CELL_CHUNK < n_chunks && chunks[index / CELL_CHUNK] != NULL
               ? &chunks[index / CELL_CHUNK][index % CELL_CHUNK]
               : NULL;
}

static void empty_cell(cell *c)
{
    drop_store(c->owner);
    *c = (cell){ 0 };
}

static void clear_cell(runner *r, uint32_t index)
{
    cell *c = cell_at(r->cells, r->n_chunks, index);
    if (c != NULL) {
        empty_cell(c);
    }
}

static lathe_status set_cell(runner *r, uint32_t index, const lt_any *any, store *owner)
{
    cell **chunk = &r->cells[index / CELL_CHUNK];
    if (*chunk == NULL) {
        *chunk = lt_alloc_array(r->allocator, CELL_CHUNK, sizeof(cell), _Alignof(cell));
    }
    if (*chunk == NULL) {
        return LT_OOM(r->diag);
    }
    cell *c = &(*chunk)[index % CELL_CHUNK];
    empty_cell(c);
    *c = (cell){ .any = *any, .owner = owner, .set = true };
    if (owner != NULL) {
        hold_store(owner);
    }
    return LATHE_OK;
}

/* The data of a value; constants come from their blobs. */
static lathe_status data_of(runner *r, const lt_value *value, const lt_any **out)
{
    cell *c = cell_at(r->cells, r->n_chunks, value->id.index);
    if ((c == NULL || !c->set) && value->blob != NULL) {
        LT_TRY(
            set_cell(r, value->id.index, &(lt_any){ .cls = LT_TENSOR, .tensor = *lt_blob_tensor(value->blob) }, NULL));
        c = cell_at(r->cells, r->n_chunks, value->id.index);
    }
    LT_CHECK(r->diag, c != NULL && c->set, value->name);
    *out = &c->any;
    return LATHE_OK;
}

/* ---- What evaluation asks for ---- */

static lathe_status spend(runner *r, uint64_t bytes, const char *where)
{
    if (bytes > r->graph->budget) {
        return LT_FAIL(r->diag, LATHE_UNSUPPORTED, where, "make it smaller, or give its data as an initializer",
                       "the text makes more than 1 GiB of constants");
    }
    if (r->graph->budget != UINT64_MAX) {
        r->graph->budget -= bytes;
    }
    return LATHE_OK;
}

static lathe_status make_output(lt_eval *c, int i, lathe_dtype dtype, int rank, const int64_t *dims)
{
    evaluation *e = c->user;
    lt_tensor shape = { .struct_size = sizeof(lt_tensor) };
    LT_CHECK(c->diag, i >= 0 && i < c->n_out && c->out[i] != NULL, c->where);
    LT_TRY(lt_tensor_shape(&shape, dtype, rank, dims, c->where, c->diag));
    LT_TRY(spend(e->runner, shape.bytes, c->where));
    c->out[i]->cls = LT_TENSOR;
    LT_TRY(lt_tensor_alloc(&e->store->arena, &c->out[i]->tensor, dtype, rank, dims, c->where, c->diag));
    c->out[i]->tensor.struct_size = sizeof(lt_tensor);
    return LATHE_OK;
}

static void *keep(lt_eval *c, size_t size, size_t align)
{
    evaluation *e = c->user;
    return spend(e->runner, size, c->where) == LATHE_OK ? lt_arena_alloc(&e->store->arena, size, align) : NULL;
}

static lathe_status eval_node(runner *r, const lt_node *node, lt_any *results, store *s);
static lathe_status run_nodes(runner *r, lt_region_id region);

static void drop_kept(evaluation *e)
{
    for (size_t i = 0; i < e->n_kept; i++) {
        drop_store(e->kept[i]);
    }
    lt_release(e->runner->allocator, e->kept, e->cap_kept * sizeof *e->kept, _Alignof(store *));
    e->kept = NULL;
    e->n_kept = e->cap_kept = 0;
}

/*
 * The caller's evaluation holds the stores of a body's results; those of the run before may go, now that their readers
 * ran.
 */
static lathe_status keep_results(lt_eval *c, const lt_region *body, lt_any *out)
{
    evaluation *e = c->user, next = { .runner = e->runner, .cap_kept = body->n_outputs };
    next.kept = lt_alloc_array(e->runner->allocator, body->n_outputs, sizeof *next.kept, _Alignof(store *));
    if (next.kept == NULL) {
        return LT_OOM(c->diag);
    }
    lathe_status status = LATHE_OK;
    for (uint32_t i = 0; i < body->n_outputs && status == LATHE_OK; i++) {
        const lt_value *value = lt_value_get(e->runner->graph, body->outputs[i]);
        const lt_any *data;
        status = data_of(e->runner, value, &data);
        if (status != LATHE_OK) {
            break;
        }
        out[i] = *data;
        store *owner = cell_at(e->runner->cells, e->runner->n_chunks, value->id.index)->owner;
        if (owner != NULL) {
            next.kept[next.n_kept++] = owner;
            hold_store(owner);
        }
    }
    if (status != LATHE_OK) {
        drop_kept(&next);
        return status;
    }
    drop_kept(e);
    e->kept = next.kept;
    e->n_kept = next.n_kept;
    e->cap_kept = next.cap_kept;
    return LATHE_OK;
}

static void clear_region(runner *r, const lt_region *region)
{
    for (uint32_t i = 0; i < region->n_inputs; i++) {
        clear_cell(r, region->inputs[i].index);
    }
    for (lt_node *node = lt_region_first(r->graph, region->id); node != NULL; node = lt_node_next(r->graph, node)) {
        for (uint32_t i = 0; i < node->n_outputs; i++) {
            const lt_value *value = lt_node_out(r->graph, node, i);
            if (value != NULL) {
                clear_cell(r, value->id.index);
            }
        }
    }
}

static lathe_status run_region(lt_eval *c, const lathe_attr *attr, const lt_any *const *in, int n_in, lt_any *out,
                               int n_out)
{
    evaluation *e = c->user;
    runner *r = e->runner;
    const lt_region_slot *slot =
        attr != NULL && attr->kind == LATHE_ATTR_GRAPH ? lt_region_slot_of(r->graph, attr->graph) : NULL;
    LT_CHECK(c->diag, slot != NULL && n_in >= 0 && n_out >= 0, c->where);
    const lt_region *body = &slot->region;
    if ((uint32_t)n_in != body->n_inputs || (uint32_t)n_out != body->n_outputs) {
        return LT_FAIL(c->diag, LATHE_BAD_MODEL, c->where, NULL,
                       "body '%s' has %u inputs and %u outputs; %d and %d are needed", attr->name, body->n_inputs,
                       body->n_outputs, n_in, n_out);
    }
    if (r->graph->budget != UINT64_MAX && ++r->body_runs > BODY_RUNS_MAX) {
        return LT_FAIL(c->diag, LATHE_UNSUPPORTED, c->where, NULL,
                       "the recipe of a constant runs bodies more than %d times", BODY_RUNS_MAX);
    }
    for (int i = 0; i < n_in; i++) {
        LT_CHECK(c->diag, in[i] != NULL, c->where);
        LT_TRY(set_cell(r, body->inputs[i].index, in[i], NULL));
    }
    r->depth++;
    lathe_status status = run_nodes(r, body->id);
    r->depth--;
    if (status == LATHE_OK) {
        status = keep_results(c, body, out);
    }
    clear_region(r, body);
    return status;
}

/* ---- Nodes ---- */

uint64_t lt_node_random_key(const lt_graph *graph, const lt_node *node, uint64_t count)
{
    for (uint32_t i = 0; i < node->n_outputs; i++) {
        const lt_value *value = lt_node_out(graph, node, i);
        if (value != NULL && value->name != NULL) {
            return lt_random_key(value->name, count);
        }
    }
    return count;
}

/* How often a random node was evaluated before in this run: bodies of loops draw anew each time. */
static lathe_status next_key(runner *r, const lt_node *node, uint64_t *out)
{
    uint64_t count = 0;
    *out = 0;
    if ((node->op->traits & LT_OP_RANDOM) == 0) {
        return LATHE_OK;
    }
    lt_imap_get(&r->draws, node->id.index, &count);
    *out = lt_node_random_key(r->graph, node, count);
    return lt_imap_put(&r->draws, node->id.index, count + 1) ? LATHE_OK : LT_OOM(r->diag);
}

static lathe_status check_result(const lt_any *any, const char *where, uint32_t index, lathe_diag *diag)
{
    if (any->cls == LT_TENSOR &&
        (any->tensor.dtype == LATHE_DTYPE_UNDEFINED || (any->tensor.data == NULL && any->tensor.bytes > 0))) {
        return LT_FAIL(diag, LATHE_INTERNAL, where, "this is a bug in Lathe: please report it",
                       "output %u was not computed", index);
    }
    return LATHE_OK;
}

/* Loops that run no iteration ask the output for its type: what inference says, unknown extents as -1. */
static void preset_type(const lt_value *value, lt_any *result)
{
    const lt_type *type = &value->type;
    result->cls = type->cls;
    if (type->cls != LT_TENSOR || type->rank < 0) {
        return;
    }
    result->tensor = (lt_tensor){ .struct_size = sizeof(lt_tensor), .dtype = type->dtype, .rank = type->rank };
    for (int k = 0; k < type->rank; k++) {
        result->tensor.dims[k] = lt_dim_is_const(type->dims[k]) ? type->dims[k].k : -1;
    }
}

static lathe_status call_eval(runner *r, const lt_node *node, lt_any *results, evaluation *e, const char *where)
{
    lt_arena *scratch = &r->scratch[r->depth];
    const lt_any **in = LT_ARENA_ARRAY(scratch, const lt_any *, node->n_inputs);
    lt_any **out = LT_ARENA_ARRAY(scratch, lt_any *, node->n_outputs);
    if (in == NULL || out == NULL) {
        return LT_OOM(r->diag);
    }
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        const lt_value *value = lt_node_in(r->graph, node, i);
        if (value != NULL) {
            LT_TRY(data_of(r, value, &in[i]));
        }
    }
    for (uint32_t i = 0; i < node->n_outputs; i++) {
        out[i] = lt_value_none(node->outputs[i]) ? NULL : &results[i];
        if (out[i] != NULL && (node->op->traits & LT_OP_REGIONS) != 0) {
            preset_type(lt_node_out(r->graph, node, i), out[i]);
        }
    }
    uint64_t key;
    LT_TRY(next_key(r, node, &key));
    lt_eval call = {
        .op = node->op,
        .attrs = node->attrs,
        .n_attrs = node->n_attrs,
        .where = where,
        .n_in = (int)node->n_inputs,
        .in = in,
        .n_out = (int)node->n_outputs,
        .out = out,
        .scratch = scratch,
        .make = make_output,
        .keep = keep,
        .run_region = run_region,
        .user = e,
        .seed = r->options.seed,
        .node = key,
        .diag = r->diag,
    };
    LT_TRY(lt_op_eval(&call));
    for (uint32_t i = 0; i < node->n_outputs; i++) {
        LT_TRY(out[i] == NULL ? LATHE_OK : check_result(out[i], where, i, r->diag));
    }
    return LATHE_OK;
}

/* results: zeroed, one for each output. */
static lathe_status eval_node(runner *r, const lt_node *node, lt_any *results, store *s)
{
    char where[LT_WHERE_MAX];
    evaluation e = { .runner = r, .store = s };
    LT_CHECK(r->diag, r->depth <= LT_MAX_DEPTH, NULL);
    lathe_status status = call_eval(r, node, results, &e, lt_where(r->graph, node, where, sizeof where));
    drop_kept(&e);
    lt_arena_reset(&r->scratch[r->depth]);
    return status;
}

static void free_dead(runner *r, const lt_node *node)
{
    if (r->dying == NULL) {
        return;
    }
    for (uint32_t v = r->dying[node->id.index]; v != 0; v = r->chain[v - 1]) {
        clear_cell(r, v - 1);
    }
}

static lathe_status publish(runner *r, const lt_node *node, const lt_any *results, store *s)
{
    for (uint32_t i = 0; i < node->n_outputs; i++) {
        const lt_value *value = lt_node_out(r->graph, node, i);
        if (value == NULL) {
            continue;
        }
        LT_TRY(set_cell(r, value->id.index, &results[i], s));
        if (node->region == LT_MAIN && r->options.visit != NULL) {
            LT_TRY(r->options.visit(r->options.user, r->graph, value->id, &results[i], r->diag));
        }
    }
    return LATHE_OK;
}

static lathe_status run_node(runner *r, const lt_node *node)
{
    store *s = make_store(r->allocator);
    lt_any *results = s == NULL ? NULL : LT_ARENA_ARRAY(&s->arena, lt_any, node->n_outputs);
    if (results == NULL) {
        drop_store(s);
        return LT_OOM(r->diag);
    }
    lathe_status status = eval_node(r, node, results, s);
    if (status == LATHE_OK) {
        status = publish(r, node, results, s);
    }
    drop_store(s);
    free_dead(r, node);
    return status;
}

static lathe_status run_nodes(runner *r, lt_region_id region)
{
    for (lt_node *node = lt_region_first(r->graph, region); node != NULL; node = lt_node_next(r->graph, node)) {
        LT_TRY(run_node(r, node));
    }
    return LATHE_OK;
}

/* ---- Lives of values ---- */

/* The node of the value's own region after which nobody reads it; NULL: it lives until the region ends. */
static const lt_node *last_reader(const lt_graph *graph, const lt_value *value)
{
    if (value->n_region_outputs > 0) {
        return NULL;
    }
    const lt_node *last = lt_node_get(graph, value->def);
    for (uint32_t i = 0; i < value->n_uses; i++) {
        const lt_node *reader = lt_node_ancestor(graph, lt_node_get(graph, value->uses[i].node), value->region);
        if (reader != NULL && (last == NULL || lt_node_slot_of(reader)->order > lt_node_slot_of(last)->order)) {
            last = reader;
        }
    }
    return last;
}

static lathe_status plan_lives(runner *r)
{
    const lt_graph *graph = r->graph;
    r->dying = lt_alloc_array(r->allocator, graph->n_nodes, sizeof(uint32_t), _Alignof(uint32_t));
    r->chain = lt_alloc_array(r->allocator, graph->n_values, sizeof(uint32_t), _Alignof(uint32_t));
    if (r->dying == NULL || r->chain == NULL) {
        return LT_OOM(r->diag);
    }
    for (uint32_t i = 0; i < graph->n_values; i++) {
        const lt_value_slot *slot = lt_value_at(graph, i);
        if (!slot->live || slot->value.region == LT_INIT || slot->value.kind == LT_VALUE_INPUT) {
            continue;
        }
        const lt_node *last = last_reader(graph, &slot->value);
        if (last != NULL) {
            r->chain[i] = r->dying[last->id.index];
            r->dying[last->id.index] = i + 1;
        }
    }
    return LATHE_OK;
}

static lathe_status start_runner(runner *r, const lt_graph *graph, lathe_diag *diag)
{
    *r = (runner){ .graph = (lt_graph *)graph, .allocator = graph->allocator, .diag = diag };
    for (size_t i = 0; i < LT_COUNT(r->scratch); i++) {
        lt_arena_init(&r->scratch[i], r->allocator);
    }
    lt_imap_init(&r->draws, r->allocator);
    r->n_chunks = graph->n_values / CELL_CHUNK + 1;
    r->cells = lt_alloc_array(r->allocator, r->n_chunks, sizeof *r->cells, _Alignof(cell *));
    return r->cells == NULL ? LT_OOM(diag) : LATHE_OK;
}

static void release_cells(const lathe_allocator *allocator, cell **chunks, size_t n_chunks)
{
    for (size_t i = 0; chunks != NULL && i < n_chunks; i++) {
        for (size_t k = 0; chunks[i] != NULL && k < CELL_CHUNK; k++) {
            empty_cell(&chunks[i][k]);
        }
        lt_release(allocator, chunks[i], CELL_CHUNK * sizeof(cell), _Alignof(cell));
    }
    lt_release(allocator, chunks, n_chunks * sizeof *chunks, _Alignof(cell *));
}

static void stop_runner(runner *r)
{
    release_cells(r->allocator, r->cells, r->n_chunks);
    lt_imap_free(&r->draws);
    lt_release(r->allocator, r->dying, r->graph->n_nodes * sizeof(uint32_t), _Alignof(uint32_t));
    lt_release(r->allocator, r->chain, r->graph->n_values * sizeof(uint32_t), _Alignof(uint32_t));
    for (size_t i = 0; i < LT_COUNT(r->scratch); i++) {
        lt_arena_destroy(&r->scratch[i]);
    }
}

/* ---- Results that outlive the run ---- */

static lathe_status collect(runner *r, lt_run *run)
{
    const lt_region *net = lt_region_get(r->graph, LT_MAIN);
    run->outputs = LT_ARENA_ARRAY(&run->arena, lt_any, net->n_outputs);
    if (run->outputs == NULL) {
        return LT_OOM(r->diag);
    }
    for (uint32_t i = 0; i < net->n_outputs; i++) {
        const lt_any *data;
        LT_TRY(data_of(r, lt_value_get(r->graph, net->outputs[i]), &data));
        LT_TRY(lt_any_copy(&run->arena, data, &run->outputs[i], r->diag));
    }
    run->n_outputs = net->n_outputs;
    if (!r->options.keep_all) {
        return LATHE_OK;
    }
    run->ids = LT_ARENA_ARRAY(&run->arena, lt_value_id, r->graph->n_values);
    if (run->ids == NULL) {
        return LT_OOM(r->diag);
    }
    for (uint32_t i = 0; i < r->graph->n_values; i++) {
        run->ids[i] = lt_value_at(r->graph, i)->value.id;
    }
    run->n_chunks = r->n_chunks;
    run->cells = r->cells;
    r->cells = NULL;
    return LATHE_OK;
}

static lathe_status bind_inputs(runner *r, const lt_any *const *inputs, size_t n_inputs)
{
    const lt_region *net = lt_region_get(r->graph, LT_MAIN);
    LT_TRY(lt_run_check_inputs(r->graph, inputs, n_inputs, r->diag));
    for (uint32_t i = 0; i < net->n_inputs; i++) {
        lt_any any = *inputs[i];
        const lt_type *elem = lt_value_get(r->graph, net->inputs[i])->type.elem;
        if (any.cls != LT_TENSOR && any.count == 0 && elem != NULL && elem->cls == LT_TENSOR) {
            any.tensor.dtype = elem->dtype; /* without items nothing else tells */
        }
        LT_TRY(set_cell(r, net->inputs[i].index, &any, NULL));
    }
    return LATHE_OK;
}

/* ---- Entry points ---- */

lathe_status lt_graph_run(const lt_graph *graph, const lt_any *const *inputs, size_t n_inputs,
                          const lt_run_options *options, lt_run **out, lathe_diag *diag)
{
    runner r;
    *out = NULL;
    lt_run *run = LT_NEW(graph->allocator, lt_run);
    if (run == NULL) {
        return LT_OOM(diag);
    }
    run->allocator = graph->allocator;
    lt_arena_init(&run->arena, graph->allocator);
    lathe_status status = start_runner(&r, graph, diag);
    if (options != NULL) {
        r.options = *options;
    }
    status = status == LATHE_OK ? bind_inputs(&r, inputs, n_inputs) : status;
    if (status == LATHE_OK && !r.options.keep_all) {
        status = plan_lives(&r);
    }
    status = status == LATHE_OK ? run_nodes(&r, LT_MAIN) : status;
    status = status == LATHE_OK ? collect(&r, run) : status;
    stop_runner(&r);
    if (status != LATHE_OK) {
        lt_run_destroy(run);
        return status;
    }
    *out = run;
    return LATHE_OK;
}

const lt_any *lt_run_output(const lt_run *run, size_t index)
{
    return index < run->n_outputs ? &run->outputs[index] : NULL;
}

const lt_any *lt_run_value(const lt_run *run, lt_value_id id)
{
    const cell *c = cell_at(run->cells, run->cells == NULL ? 0 : run->n_chunks, id.index);
    return c != NULL && c->set && lt_value_same(run->ids[id.index], id) ? &c->any : NULL;
}

void lt_run_destroy(lt_run *run)
{
    if (run != NULL) {
        release_cells(run->allocator, run->cells, run->n_chunks);
        lt_arena_destroy(&run->arena);
        LT_DELETE(run->allocator, run);
    }
}

/* Large results become blobs as they lie; small ones are copied, because a store takes a few KiB. */
static lathe_status blob_of(runner *r, store *s, const lt_any *any, const char *where, lt_blob **out)
{
    enum { SMALL = 4096 };
    if (any->cls != LT_TENSOR) {
        return LT_FAIL(r->diag, LATHE_UNSUPPORTED, where, NULL, "only tensors can be constants");
    }
    if (any->tensor.bytes <= SMALL || any->tensor.dtype == LATHE_DTYPE_STRING) {
        return lt_blob_copy(r->allocator, &any->tensor, out, r->diag);
    }
    lathe_status status = lt_blob_wrap(r->allocator, &any->tensor, s, drop_store, out, r->diag);
    if (status == LATHE_OK) {
        hold_store(s);
    }
    return status;
}

static lathe_status run_constant(runner *r, const lt_node *node, lt_any *results, store *s, lt_blob **blobs)
{
    char where[LT_WHERE_MAX];
    LT_TRY(eval_node(r, node, results, s));
    lathe_status status = LATHE_OK;
    for (uint32_t i = 0; i < node->n_outputs && status == LATHE_OK; i++) {
        if (!lt_value_none(node->outputs[i])) {
            status = blob_of(r, s, &results[i], lt_where(r->graph, node, where, sizeof where), &blobs[i]);
        }
    }
    for (uint32_t i = 0; i < node->n_outputs && status != LATHE_OK; i++) {
        lt_blob_release(blobs[i]);
        blobs[i] = NULL;
    }
    return status;
}

lathe_status lt_run_constant(lt_graph *graph, const lt_node *node, lt_blob **blobs, lathe_diag *diag)
{
    runner r;
    lathe_status status = start_runner(&r, graph, diag);
    store *s = make_store(graph->allocator);
    lt_any *results = s == NULL ? NULL : LT_ARENA_ARRAY(&s->arena, lt_any, node->n_outputs);
    if (results == NULL) {
        status = LT_OOM(diag);
    }
    for (uint32_t i = 0; i < node->n_outputs; i++) {
        blobs[i] = NULL;
    }
    if (status == LATHE_OK) {
        status = run_constant(&r, node, results, s, blobs);
    }
    drop_store(s);
    stop_runner(&r);
    return status;
}
