/*
 * sequence.c - sequences of tensors: SequenceConstruct, SequenceEmpty, SequenceAt, SequenceInsert, SequenceErase,
 * SequenceLength. Items are copied: a value never shares storage with another one. SequenceMap, SplitToSequence and
 * ConcatFromSequence are in sequence_tensor.c.
 */
#include "ops/container.h"

static const lt_type *elem_of(const lt_infer *c, int i)
{
    return c->in[i]->elem;
}

/* Position `input` of a sequence of n items; `end` also allows the place behind the last one, which is the default. */
static lathe_status read_position(lt_eval *c, int input, size_t n, bool end, size_t *out)
{
    const lt_tensor *position = lt_in(c, input);
    int64_t extent = (int64_t)n, at;
    if (position == NULL) {
        if (n == 0 && !end) {
            return lt_eval_fail(c, "the sequence is empty");
        }
        *out = end ? n : n - 1;
        return LATHE_OK;
    }
    at = lt_load_i64(position->dtype, position->data, 0);
    if (at < -extent || at > (end ? extent : extent - 1)) {
        return lt_eval_fail(c, "position %lld is out of range for %lld items", (long long)at, (long long)extent);
    }
    *out = (size_t)(at < 0 ? at + extent : at);
    return LATHE_OK;
}

static lathe_status check_position(lt_infer *c, int input)
{
    int64_t length;
    LT_TRY(lt_move_length(c, input, &length));
    if (length >= 0 && length != 1) {
        return lt_infer_fail(c, "the position has %lld elements instead of 1", (long long)length);
    }
    return LATHE_OK;
}

/* ---- SequenceConstruct, SequenceEmpty ---- */

static lathe_status infer_construct(lt_infer *c)
{
    const lt_type *elem = c->in[0];
    for (int i = 1; i < c->n_in; i++) {
        LT_TRY(lt_join_elem(c, elem, c->in[i], false, &elem));
    }
    return lt_infer_container(c, 0, LT_SEQUENCE, elem);
}

static lathe_status eval_construct(lt_eval *c)
{
    lt_any *items;
    LT_TRY(lt_make_items(c, 0, LT_SEQUENCE, lt_in(c, 0)->dtype, (size_t)c->n_in, &items));
    for (int i = 0; items != NULL && i < c->n_in; i++) {
        LT_TRY(lt_keep_value(c, c->in[i], &items[i]));
    }
    return LATHE_OK;
}

static lathe_dtype empty_dtype(const lathe_attr *attrs, size_t n_attrs)
{
    int64_t dtype = lt_attr_i(attrs, n_attrs, "dtype", LATHE_DTYPE_F32);
    return dtype > 0 && dtype < LATHE_DTYPE_COUNT ? (lathe_dtype)dtype : LATHE_DTYPE_UNDEFINED;
}

static lathe_status infer_empty(lt_infer *c)
{
    lathe_dtype dtype = empty_dtype(c->attrs, c->n_attrs);
    if (dtype == LATHE_DTYPE_UNDEFINED) {
        return lt_infer_fail(c, "dtype is no element type");
    }
    return lt_infer_container(c, 0, LT_SEQUENCE, lt_any_tensor(dtype));
}

static lathe_status eval_empty(lt_eval *c)
{
    lt_any *items;
    return lt_make_items(c, 0, LT_SEQUENCE, empty_dtype(c->attrs, c->n_attrs), 0, &items);
}

/* ---- SequenceAt, SequenceLength ---- */

static lathe_status infer_at(lt_infer *c)
{
    LT_TRY(check_position(c, 1));
    const lt_type *elem = elem_of(c, 0);
    return elem != NULL && c->n_out > 0 ? lt_item_type(c, elem, &c->out[0]) : LATHE_OK;
}

static lathe_status eval_at(lt_eval *c)
{
    size_t at = 0;
    LT_TRY(read_position(c, 1, c->in[0]->count, false, &at));
    return lt_copy_value(c, 0, &c->in[0]->items[at]);
}

static lathe_status infer_length(lt_infer *c)
{
    return lt_infer_out(c, 0, LATHE_DTYPE_I64, 0, NULL);
}

static lathe_status eval_length(lt_eval *c)
{
    if (lt_out(c, 0) != NULL) {
        lt_store_i64(LATHE_DTYPE_I64, lt_out(c, 0)->data, 0, (int64_t)c->in[0]->count);
    }
    return LATHE_OK;
}

/* ---- SequenceInsert, SequenceErase ---- */

static lathe_status infer_insert(lt_infer *c)
{
    const lt_type *elem;
    LT_TRY(check_position(c, 2));
    LT_TRY(lt_join_elem(c, elem_of(c, 0), c->in[1], false, &elem));
    return lt_infer_container(c, 0, LT_SEQUENCE, elem);
}

static lathe_status eval_insert(lt_eval *c)
{
    const lt_any *from = c->in[0];
    size_t at = 0;
    lt_any *items;
    LT_TRY(read_position(c, 2, from->count, true, &at));
    LT_TRY(lt_make_items(c, 0, LT_SEQUENCE, lt_in(c, 1)->dtype, from->count + 1, &items));
    for (size_t k = 0; items != NULL && k <= from->count; k++) {
        const lt_any *item = k == at ? c->in[1] : &from->items[k < at ? k : k - 1];
        LT_TRY(lt_keep_value(c, item, &items[k]));
    }
    return LATHE_OK;
}

static lathe_status infer_erase(lt_infer *c)
{
    LT_TRY(check_position(c, 1));
    return lt_infer_container(c, 0, LT_SEQUENCE, elem_of(c, 0));
}

static lathe_status eval_erase(lt_eval *c)
{
    const lt_any *from = c->in[0];
    size_t at = 0;
    lt_any *items;
    LT_TRY(read_position(c, 1, from->count, false, &at));
    LT_TRY(lt_make_items(c, 0, LT_SEQUENCE, lt_container_dtype(from), from->count - 1, &items));
    for (size_t k = 0; items != NULL && k + 1 < from->count; k++) {
        LT_TRY(lt_keep_value(c, &from->items[k < at ? k : k + 1], &items[k]));
    }
    return LATHE_OK;
}

static const lt_attr_spec attrs_empty[] = { { "dtype", LATHE_ATTR_INT, false }, { 0 } };

static const char *const samples_construct[] = {
    "f32[2,3] a = rand(1), f32[1] b = rand(2), f32[] d = {3.0} | y = SequenceConstruct (a, b, d)",
    "i64[3] a = iota | y = SequenceConstruct (a)",
    NULL,
};
static const char *const samples_empty[] = { "| y = SequenceEmpty ()", "| y = SequenceEmpty <dtype = 7> ()", NULL };

static const char *const samples_at[] = {
    "f32[2,3] a = rand(1), f32[1] b = rand(2), i64[] p = {-1} | s = SequenceConstruct (a, b); y = SequenceAt (s, p)",
    "f32[2] a = rand(1), f32[2] b = rand(2), i32[] p = {0} | s = SequenceConstruct (a, b); y = SequenceAt (s, p)",
    NULL,
};
static const char *const samples_insert[] = {
    "f32[2] a = rand(1), f32[3] b = rand(2), i64[] p = {-1} | s = SequenceConstruct (a, a); y = SequenceInsert (s, b, "
    "p)",
    "f32[2] a = rand(1) | s = SequenceEmpty (); y = SequenceInsert (s, a)",
    NULL,
};
static const char *const samples_erase[] = {
    "f32[2] a = rand(1), f32[3] b = rand(2), i64[] p = {0} | s = SequenceConstruct (a, b, b); y = SequenceErase (s, p)",
    "i64[2] a = iota | s = SequenceConstruct (a); y = SequenceErase (s)",
    NULL,
};
static const char *const samples_length[] = {
    "f32[2] a = rand(1), f32[3] b = rand(2) | s = SequenceConstruct (a, b, b); y = SequenceLength (s)",
    "| s = SequenceEmpty (); y = SequenceLength (s)",
    NULL,
};

LT_OPS(sequence) = {
    {
        .name = "SequenceConstruct",
        .since = 11,
        .sig = "(T... inputs) -> (seq output_sequence); T: all",
        .infer = infer_construct,
        .eval = eval_construct,
        .samples = samples_construct,
    },
    {
        .name = "SequenceEmpty",
        .since = 11,
        .sig = "() -> (seq output)",
        .attrs = attrs_empty,
        .infer = infer_empty,
        .eval = eval_empty,
        .samples = samples_empty,
    },
    {
        .name = "SequenceAt",
        .since = 11,
        .host_inputs = 1u << 1,
        .sig = "(seq input_sequence, I position) -> (all tensor); I: i32 i64",
        .infer = infer_at,
        .eval = eval_at,
        .samples = samples_at,
    },
    {
        .name = "SequenceInsert",
        .since = 11,
        .host_inputs = 1u << 2,
        .sig = "(seq input_sequence, T tensor, I? position) -> (seq output_sequence); T: all, I: i32 i64",
        .infer = infer_insert,
        .eval = eval_insert,
        .samples = samples_insert,
    },
    {
        .name = "SequenceErase",
        .since = 11,
        .host_inputs = 1u << 1,
        .sig = "(seq input_sequence, I? position) -> (seq output_sequence); I: i32 i64",
        .infer = infer_erase,
        .eval = eval_erase,
        .samples = samples_erase,
    },
    {
        .name = "SequenceLength",
        .since = 11,
        .sig = "(seq input_sequence) -> (i64 length)",
        .infer = infer_length,
        .eval = eval_length,
        .samples = samples_length,
    },
    { 0 },
};
