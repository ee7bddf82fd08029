/*
 * sequence_tensor.c - between tensors and sequences: SplitToSequence, ConcatFromSequence, and SequenceMap, which runs
 * a body over items.
 */
#include "ops/container.h"

/* ---- SplitToSequence ---- */

static lathe_status infer_split_to_sequence(lt_infer *c)
{
    const lt_type *x = c->in[0];
    const lt_type *elem = lt_any_tensor(x->dtype);
    bool given = c->n_in > 1 && c->in[1] != NULL;
    int axis;
    if (given && c->in[1]->rank > 1) {
        return lt_infer_fail(c, "split must be a scalar or a vector");
    }
    if (x->rank >= 0) {
        LT_TRY(lt_infer_axis(c, lt_attr_i(c->attrs, c->n_attrs, "axis", 0), x->rank, &axis));
    }
    if (x->rank >= 0 && c->arena != NULL && !given) {
        bool keep = lt_attr_i(c->attrs, c->n_attrs, "keepdims", 1) != 0;
        lt_type *slice = LT_ARENA_NEW(c->arena, lt_type);
        if (slice == NULL) {
            return LT_OOM(c->diag);
        }
        *slice = (lt_type){ .cls = LT_TENSOR, .dtype = x->dtype };
        for (int k = 0; k < x->rank; k++) {
            if (k != axis || keep) {
                slice->dims[slice->rank++] = k == axis ? lt_dim_const(1) : x->dims[k];
            }
        }
        elem = slice;
    }
    return lt_infer_container(c, 0, LT_SEQUENCE, elem);
}

/* Extents of the pieces along the axis, all positive or 0, with the sum `extent`. */
static lathe_status piece_sizes(lt_eval *c, int64_t extent, const int64_t **sizes, int64_t *count)
{
    const int64_t *given;
    const lt_tensor *split = lt_in(c, 1);
    LT_TRY(lt_eval_ints(c, 1, &given, count));
    if (split != NULL && split->rank == 1) {
        int64_t sum = 0;
        for (int64_t k = 0; k < *count; k++) {
            if (given[k] < 0 || !lt_i64_add(sum, given[k], &sum)) {
                return lt_eval_fail(c, "split holds %lld", (long long)given[k]);
            }
        }
        *sizes = given;
        return sum == extent ? LATHE_OK
                             : lt_eval_fail(c, "split sums up to %lld, not %lld", (long long)sum, (long long)extent);
    }
    int64_t size = split != NULL ? given[0] : 1;
    if (size < 1) {
        return lt_eval_fail(c, "split is %lld", (long long)size);
    }
    *count = extent / size + (extent % size != 0);
    int64_t *equal = lt_eval_scratch(c, *count, sizeof *equal);
    if (equal == NULL) {
        return LATHE_OUT_OF_MEMORY;
    }
    for (int64_t k = 0; k < *count; k++) {
        equal[k] = extent - k * size < size ? extent - k * size : size;
    }
    *sizes = equal;
    return LATHE_OK;
}

/* Elements [at, at + size) along the axis of x as a tensor of its own; the axis is dropped unless kept. */
static lathe_status cut(lt_eval *c, const lt_tensor *x, int axis, int64_t at, int64_t size, bool keep, lt_any *item)
{
    int64_t dims[LATHE_MAX_RANK];
    int rank = 0;
    lt_axis_span span = lt_span(x->rank, x->dims, axis);
    for (int k = 0; k < x->rank; k++) {
        if (k != axis || keep) {
            dims[rank++] = k == axis ? size : x->dims[k];
        }
    }
    LT_TRY(lt_keep_tensor(c, item, x->dtype, rank, dims));
    size_t row = (size_t)span.inner * lt_elem_bytes(x->dtype), block = (size_t)size * row;
    for (int64_t o = 0; block > 0 && o < span.outer; o++) {
        const char *src = (const char *)x->data + (size_t)(o * span.extent + at) * row;
        lt_copy_bytes((char *)item->tensor.data + (size_t)o * block, src, block);
    }
    return lt_own_strings(c, &item->tensor);
}

static lathe_status eval_split_to_sequence(lt_eval *c)
{
    const lt_tensor *x = lt_in(c, 0);
    int axis = lt_eval_axis(c, "axis", 0, x->rank);
    bool keep = lt_in(c, 1) != NULL || lt_attr_i(c->attrs, c->n_attrs, "keepdims", 1) != 0;
    const int64_t *sizes = NULL;
    int64_t count, at = 0;
    lt_any *items;
    LT_TRY(piece_sizes(c, x->dims[axis], &sizes, &count));
    LT_TRY(lt_make_items(c, 0, LT_SEQUENCE, x->dtype, (size_t)count, &items));
    for (int64_t k = 0; items != NULL && k < count; k++) {
        LT_TRY(cut(c, x, axis, at, sizes[k], keep, &items[k]));
        at += sizes[k];
    }
    return LATHE_OK;
}

/* ---- ConcatFromSequence ---- */

static lathe_status infer_concat_from_sequence(lt_infer *c)
{
    const lt_type *elem = c->in[0]->elem;
    bool stack = lt_attr_i(c->attrs, c->n_attrs, "new_axis", 0) != 0;
    lt_dim dims[LATHE_MAX_RANK];
    lt_type item;
    int axis;
    if (elem == NULL || elem->cls != LT_TENSOR) {
        return LATHE_OK;
    }
    LT_TRY(lt_item_type(c, elem, &item));
    elem = &item;
    int rank = elem->rank < 0 ? -1 : elem->rank + stack;
    if (rank < 0 || rank > LATHE_MAX_RANK) {
        return lt_infer_out(c, 0, elem->dtype, rank, NULL);
    }
    LT_TRY(lt_infer_axis(c, lt_attr_i(c->attrs, c->n_attrs, "axis", 0), rank, &axis));
    for (int k = 0; k < rank; k++) {
        dims[k] = k == axis ? LT_UNKNOWN_DIM : elem->dims[stack && k > axis ? k - 1 : k];
    }
    return lt_move_out(c, 0, elem->dtype, rank, dims);
}

/* Shape of the result; every item must fit the first one outside the axis. */
static lathe_status joined_shape(lt_eval *c, const lt_any *seq, bool stack, int64_t *dims, int *rank, int *axis)
{
    const lt_tensor *first = &seq->items[0].tensor;
    int64_t at;
    *rank = first->rank + stack;
    if (*rank > LATHE_MAX_RANK || !lt_wrap_index(lt_attr_i(c->attrs, c->n_attrs, "axis", 0), *rank, &at)) {
        return lt_eval_fail(c, "the axis is out of range for items of rank %d", first->rank);
    }
    *axis = (int)at;
    for (int k = 0; k < *rank; k++) {
        dims[k] = k == *axis ? 0 : first->dims[stack && k > *axis ? k - 1 : k];
    }
    for (size_t i = 0; i < seq->count; i++) {
        const lt_tensor *item = &seq->items[i].tensor;
        bool fits = item->rank == first->rank && item->dtype == first->dtype;
        for (int k = 0; k < first->rank && fits; k++) {
            fits = (!stack && k == *axis) || item->dims[k] == first->dims[k];
        }
        if (!fits || !lt_i64_add(dims[*axis], stack ? 1 : item->dims[*axis], &dims[*axis])) {
            return lt_eval_fail(c, "item %zu does not fit the first one", i);
        }
    }
    return LATHE_OK;
}

static lathe_status eval_concat_from_sequence(lt_eval *c)
{
    const lt_any *seq = c->in[0];
    bool stack = lt_attr_i(c->attrs, c->n_attrs, "new_axis", 0) != 0;
    int64_t dims[LATHE_MAX_RANK];
    int rank, axis = 0;
    if (seq->count == 0) {
        return lt_eval_fail(c, "the sequence is empty");
    }
    if (c->out[0] == NULL) {
        return LATHE_OK;
    }
    LT_TRY(joined_shape(c, seq, stack, dims, &rank, &axis));
    LT_TRY(c->make(c, 0, seq->items[0].tensor.dtype, rank, dims));
    lt_tensor *y = lt_out(c, 0);
    lt_axis_span span = lt_span(rank, dims, axis);
    size_t elem = lt_elem_bytes(y->dtype), row = (size_t)(span.extent * span.inner) * elem, at = 0;
    for (size_t i = 0; i < seq->count; i++) {
        const lt_tensor *item = &seq->items[i].tensor;
        size_t block = (size_t)((stack ? 1 : item->dims[axis]) * span.inner) * elem;
        for (int64_t o = 0; block > 0 && o < span.outer; o++) {
            lt_copy_bytes((char *)y->data + (size_t)o * row + at, (const char *)item->data + (size_t)o * block, block);
        }
        at += block;
    }
    return lt_own_strings(c, y);
}

/* ---- SequenceMap ---- */

static lathe_status infer_map(lt_infer *c)
{
    if (c->region == NULL) {
        for (int i = 0; i < c->n_out; i++) {
            LT_TRY(lt_infer_container(c, i, LT_SEQUENCE, NULL));
        }
        return LATHE_OK;
    }
    LT_CHECK(c->diag, c->arena != NULL, c->where);
    const lt_type **in = LT_ARENA_ARRAY(c->arena, const lt_type *, (size_t)c->n_in);
    lt_type *out = LT_ARENA_ARRAY(c->arena, lt_type, (size_t)c->n_out + 1);
    lt_type *items = LT_ARENA_ARRAY(c->arena, lt_type, (size_t)c->n_in);
    if (in == NULL || out == NULL || items == NULL) {
        return LT_OOM(c->diag);
    }
    for (int i = 0; i < c->n_in; i++) {
        in[i] = c->in[i];
        if (c->in[i] != NULL && c->in[i]->cls == LT_SEQUENCE && c->in[i]->elem != NULL) {
            LT_TRY(lt_item_type(c, c->in[i]->elem, &items[i]));
            in[i] = &items[i];
        }
    }
    LT_TRY(c->region(c, lt_attr_find(c->attrs, c->n_attrs, "body"), in, c->n_in, out, c->n_out));
    for (int i = 0; i < c->n_out; i++) { /* unknowns of the body stay in it: they are others with each inference */
        LT_TRY(lt_item_type(c, &out[i], &out[i]));
        LT_TRY(lt_infer_container(c, i, LT_SEQUENCE, &out[i]));
    }
    return LATHE_OK;
}

/* All sequences among the inputs have as many items as the first one. */
static lathe_status check_counts(lt_eval *c)
{
    for (int i = 0; i < c->n_in; i++) {
        if (c->in[i] == NULL || (c->in[i]->cls == LT_SEQUENCE && c->in[i]->count != c->in[0]->count)) {
            return lt_eval_fail(c, "input %d is absent or has another number of items than the first one", i);
        }
    }
    return LATHE_OK;
}

static lathe_status eval_map(lt_eval *c)
{
    const lathe_attr *body = lt_attr_find(c->attrs, c->n_attrs, "body");
    size_t n = c->in[0]->count;
    const lt_any **args = LT_ARENA_ARRAY(c->scratch, const lt_any *, (size_t)c->n_in);
    lt_any *results = LT_ARENA_ARRAY(c->scratch, lt_any, (size_t)c->n_out + 1);
    lt_any **items = LT_ARENA_ARRAY(c->scratch, lt_any *, (size_t)c->n_out + 1);
    if (args == NULL || results == NULL || items == NULL) {
        return LT_OOM(c->diag);
    }
    LT_CHECK(c->diag, c->run_region != NULL, c->where);
    LT_TRY(check_counts(c));
    for (int i = 0; i < c->n_out; i++) {
        LT_TRY(lt_make_items(c, i, LT_SEQUENCE, LATHE_DTYPE_UNDEFINED, n, &items[i]));
    }
    for (size_t k = 0; k < n; k++) {
        for (int i = 0; i < c->n_in; i++) {
            args[i] = c->in[i]->cls == LT_SEQUENCE ? &c->in[i]->items[k] : c->in[i];
        }
        LT_TRY(c->run_region(c, body, args, c->n_in, results, c->n_out));
        for (int i = 0; i < c->n_out; i++) {
            if (items[i] != NULL) {
                LT_TRY(lt_keep_value(c, &results[i], &items[i][k]));
                c->out[i]->tensor.dtype = lt_container_dtype(&results[i]);
            }
        }
    }
    return LATHE_OK;
}

/* How often a plan runs the body: SequenceMap's steps are taken apart there. */
static lathe_status infer_map_length(lt_infer *c)
{
    lt_dim one = lt_dim_const(1);
    return lt_infer_out(c, 0, LATHE_DTYPE_I64, 1, &one);
}

static lathe_status eval_map_length(lt_eval *c)
{
    LT_TRY(check_counts(c));
    if (lt_out(c, 0) != NULL) {
        lt_store_i64(LATHE_DTYPE_I64, lt_out(c, 0)->data, 0, (int64_t)c->in[0]->count);
    }
    return LATHE_OK;
}

static const lt_attr_spec attrs_split[] = { { "axis", LATHE_ATTR_INT, false },
                                            { "keepdims", LATHE_ATTR_INT, false },
                                            { 0 } };
static const lt_attr_spec attrs_concat[] = { { "axis", LATHE_ATTR_INT, true },
                                             { "new_axis", LATHE_ATTR_INT, false },
                                             { 0 } };
static const lt_attr_spec attrs_map[] = { { "body", LATHE_ATTR_GRAPH, true }, { 0 } };

static const char *const samples_split[] = {
    "f32[5,2] x = rand(1), i64[] s = {2} | y = SplitToSequence (x, s)",
    "f32[2,5] x = rand(1), i32[3] s = {1, 0, 4} | y = SplitToSequence <axis = -1> (x, s)",
    "i32[2,3] x = iota | y = SplitToSequence <axis = 1, keepdims = 0> (x)",
    NULL,
};

static const char *const samples_concat[] = {
    "f32[2,3] a = rand(1), f32[2,1] b = rand(2) | s = SequenceConstruct (a, b, a); y = ConcatFromSequence <axis = -1> "
    "(s)",
    "f32[2,3] a = rand(1), f32[2,3] b = rand(2) | s = SequenceConstruct (a, b); "
    "y = ConcatFromSequence <axis = 1, new_axis = 1> (s)",
    NULL,
};
static const char *const samples_map[] = {
    "f32[2,3] a = rand(1), f32[1] b = rand(2), f32[1] x = rand(3) | s = SequenceConstruct (a, b); "
    "y = SequenceMap <body = graph (f32 e, f32[1] f) => (f32 g) { g = Add (e, f) }> (s, x)",
    NULL,
};

static const char *const samples_map_length[] = {
    "f32[2,3] a = rand(1), f32[1] b = rand(2) | s = SequenceConstruct (a, b); y = lathe.SequenceMapLength (s, a, s)",
    NULL,
};

LT_OPS(sequence_tensor) = {
    {
        .name = "SplitToSequence",
        .since = 24,
        .host_inputs = 1u << 1,
        .sig = "(T input, I? split) -> (seq output_sequence); T: " LT_PLAIN ", I: i32 i64",
        .attrs = attrs_split,
        .infer = infer_split_to_sequence,
        .eval = eval_split_to_sequence,
        .samples = samples_split,
    },
    {
        .name = "ConcatFromSequence",
        .since = 11,
        .traits = LT_OP_DYNAMIC,
        .sig = "(seq input_sequence) -> (all concat_result)",
        .attrs = attrs_concat,
        .infer = infer_concat_from_sequence,
        .eval = eval_concat_from_sequence,
        .samples = samples_concat,
    },
    {
        .name = "SequenceMap",
        .since = 17,
        .traits = LT_OP_REGIONS,
        .sig = "(seq input_sequence, any... additional_inputs) -> (seq... out_sequence)",
        .attrs = attrs_map,
        .infer = infer_map,
        .eval = eval_map,
        .samples = samples_map,
    },
    {
        .name = "SequenceMapLength",
        .domain = "lathe",
        .since = 1,
        .sig = "(seq input_sequence, any... additional_inputs) -> (i64 length)",
        .infer = infer_map_length,
        .eval = eval_map_length,
        .samples = samples_map_length,
    },
    { 0 },
};
