/*
 * bitcast.c - BitCast: the same bits under another element type of the same width.
 */
#include "ops/move.h"

static lathe_status infer_bitcast(lt_infer *c)
{
    int64_t to = lt_attr_i(c->attrs, c->n_attrs, "to", 0);
    lathe_dtype from = c->in[0]->dtype;
    unsigned bits = to > 0 && to < LATHE_DTYPE_COUNT ? lathe_dtype_bits((lathe_dtype)to) : 0;
    if (bits == 0 || bits != lathe_dtype_bits(from)) {
        return lt_infer_fail(c, "element type %lld has not as many bits as %s", (long long)to, lathe_dtype_name(from));
    }
    return lt_infer_out(c, 0, (lathe_dtype)to, c->in[0]->rank, c->in[0]->dims);
}

static lathe_status eval_bitcast(lt_eval *c)
{
    lt_tensor *y = lt_out(c, 0);
    if (y != NULL) {
        LT_CHECK(c->diag, y->bytes == lt_in(c, 0)->bytes, c->where);
        lt_copy_bytes(y->data, lt_in(c, 0)->data, y->bytes);
    }
    return LATHE_OK;
}

static const lt_attr_spec attrs_bitcast[] = { { "to", LATHE_ATTR_INT, true }, { 0 } };

static const char *const samples_bitcast[] = {
    "f32[2,3] x = rand(1) | y = BitCast <to = 6> (x)",
    "i64[5] x = iota | y = BitCast <to = 11> (x)",
    "u16[3] x = {0, 65535, 32768} | y = BitCast <to = 5> (x)",
    NULL,
};

LT_OPS(bitcast) = {
    {
        .name = "BitCast",
        .since = 26,
        .sig = "(T1 input) -> (T2 output); T1: numeric bool c64 c128 f8 u4 i4 u2 i2 f4e2m1, T2: numeric bool c64 c128 "
               "f8 u4 i4 u2 i2 f4e2m1",
        .attrs = attrs_bitcast,
        .infer = infer_bitcast,
        .eval = eval_bitcast,
        .samples = samples_bitcast,
    },
    { 0 },
};
