/*
 * reverse_sequence.c - ReverseSequence: the first elements of each sequence of a batch in reverse order.
 */
#include "ops/move.h"

static lathe_status infer_reverse(lt_infer *c)
{
    int64_t batch = lt_attr_i(c->attrs, c->n_attrs, "batch_axis", 1),
            time = lt_attr_i(c->attrs, c->n_attrs, "time_axis", 0);
    lt_dim ignored;
    if (batch < 0 || batch > 1 || time < 0 || time > 1 || batch == time) {
        return lt_infer_fail(c, "batch_axis and time_axis must be 0 and 1 in some order");
    }
    if (c->in[0]->rank >= 0 && c->in[0]->rank < 2) {
        return lt_infer_fail(c, "the input has rank %d; at least 2 is needed", c->in[0]->rank);
    }
    if (c->in[1]->rank >= 0 && c->in[1]->rank != 1) {
        return lt_infer_fail(c, "sequence_lens has rank %d instead of 1", c->in[1]->rank);
    }
    if (c->in[0]->rank >= 0 && c->in[1]->rank >= 0) {
        LT_TRY(lt_move_equal(c, c->in[0]->dims[batch], c->in[1]->dims[0], "the batch and the number of lengths",
                             &ignored));
    }
    return lt_infer_same(c, 0, 0);
}

static lathe_status eval_reverse(lt_eval *c)
{
    const lt_tensor *x = lt_in(c, 0);
    lt_tensor *y = lt_out(c, 0);
    bool batch_first = lt_attr_i(c->attrs, c->n_attrs, "batch_axis", 1) == 0;
    const int64_t *lengths;
    int64_t count, rows = x->dims[0], columns = x->dims[1];
    if (y == NULL || lt_tensor_count(y) == 0) {
        return LATHE_OK;
    }
    LT_TRY(lt_eval_ints(c, 1, &lengths, &count));
    int64_t steps = batch_first ? columns : rows;
    size_t block = x->bytes / (size_t)(rows * columns);
    for (int64_t b = 0; b < count; b++) {
        if (lengths[b] < 0 || lengths[b] > steps) {
            return lt_eval_fail(c, "length %lld of sequence %lld is outside [0, %lld]", (long long)lengths[b],
                                (long long)b, (long long)steps);
        }
        for (int64_t t = 0; t < steps; t++) {
            int64_t from = t < lengths[b] ? lengths[b] - 1 - t : t;
            size_t to_at = (size_t)(batch_first ? b * columns + t : t * columns + b);
            size_t from_at = (size_t)(batch_first ? b * columns + from : from * columns + b);
            lt_copy_bytes((char *)y->data + to_at * block, (const char *)x->data + from_at * block, block);
        }
    }
    return lt_own_strings(c, y);
}

static const lt_attr_spec attrs_reverse[] = { { "batch_axis", LATHE_ATTR_INT, false },
                                              { "time_axis", LATHE_ATTR_INT, false },
                                              { 0 } };

static const char *const samples_reverse[] = {
    "f32[4,3] x = rand(1), i64[3] l = {4, 1, 3} | y = ReverseSequence (x, l)",
    "f32[3,4,2] x = rand(1), i64[3] l = {0, 2, 4} | y = ReverseSequence <batch_axis = 0, time_axis = 1> (x, l)",
    NULL,
};

LT_OPS(reverse_sequence) = {
    {
        .name = "ReverseSequence",
        .since = 10,
        .sig = "(T input, i64 sequence_lens) -> (T Y); T: " LT_PLAIN,
        .attrs = attrs_reverse,
        .infer = infer_reverse,
        .eval = eval_reverse,
        .samples = samples_reverse,
    },
    { 0 },
};
