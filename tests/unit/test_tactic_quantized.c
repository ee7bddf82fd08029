/*
 * test_tactic_quantized.c - quantized MatMul, Gemm and Conv: operands behind DequantizeLinear, any epilogue, against real arithmetic; and against the integer
 * operators to the bit, where a problem promises that. MatMulInteger and ConvInteger, whose sums are exact whatever the bytes are.
 *
 * ctest: COST 22
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "support/tactic_check.h"
#include <math.h>
#include <string.h>

static lathe_dtype grid(tc_random *r)
{
    return tc_chance(r, 2) ? LATHE_DTYPE_U8 : LATHE_DTYPE_I8;
}

/* Scales are positive and of moderate size. */
static uint16_t scales(tc_case *c, int64_t count, bool vector)
{
    uint16_t n = tc_input(c, LATHE_DTYPE_F32, vector ? 1 : 0, &count, LATHE_OPERAND_CONSTANT);
    for (int64_t i = 0; i < lt_tensor_count(&c->in_data[n]); i++) {
        ((float *)c->in_data[n].data)[i] = 0.004f + 0.002f * (float)fabs(tc_real(&c->random));
    }
    return n;
}

/* DequantizeLinear of an operand in a slot; axis of its scales, or -1 for one scale. */
static void dequantize(tc_case *c, int slot, uint16_t x, int axis)
{
    const lathe_tensor *t = &c->in_data[x];
    tc_random *r = &c->random;
    bool vector = axis >= 0 && tc_chance(r, 2);
    int64_t count = axis >= 0 ? t->dims[axis] : 1;
    uint16_t args[3] = { tc_load(c, slot, x, t->rank, t->dims), 0, 0 };
    args[1] = tc_load_axis(c, slot, scales(c, count, vector), axis);
    if (t->dtype == LATHE_DTYPE_I32 || tc_chance(r, 2)) {
        args[2] = tc_instr(c, slot, LATHE_PW_CONST, t->dtype, 0, NULL, t->dtype == LATHE_DTYPE_U8 ? 119 : 0, 0);
    } else {
        args[2] = tc_load_axis(c, slot, tc_input(c, t->dtype, vector ? 1 : 0, &count, LATHE_OPERAND_CONSTANT), axis);
    }
    (void)tc_instr(c, slot, LATHE_PW_DEQUANT, LATHE_DTYPE_F32, 3, args, 0, 0);
    tc_root(c, 0xffff);
}

static void bias(tc_case *c, int slot, int rank, const int64_t *dims)
{
    if (tc_chance(&c->random, 2)) {
        tc_root(c, tc_input(c, LATHE_DTYPE_F32, rank, dims, LATHE_OPERAND_CONSTANT));
    } else {
        dequantize(c, slot, tc_input(c, LATHE_DTYPE_I32, rank, dims, LATHE_OPERAND_CONSTANT), rank - 1);
    }
}

static void finish(tc_case *c, int rank, const int64_t *dims, int channel)
{
    c->root_tolerance = 3e-6;
    c->root_absolute = true;
    tc_space(c, rank, dims);
    tc_epilogue(c, tc_instr(c, -1, LATHE_PW_ROOT, LATHE_DTYPE_F32, 0, NULL, 0, 0), rank, dims, channel);
    tc_check_all(c);
    tc_end(c);
}

static uint32_t weights(tc_random *r)
{
    return tc_chance(r, 4) ? 0 : LATHE_OPERAND_CONSTANT;
}

static void one_matmul(uint64_t seed)
{
    static tc_case c;
    tc_begin(&c, seed, "MatMul", "");
    tc_random *r = &c.random;
    int64_t m = tc_range(r, 1, 30), n = tc_range(r, 1, 50), k = tc_range(r, 1, 60), batch = tc_range(r, 1, 3);
    int rank = tc_chance(r, 2) ? 3 : 2;
    int64_t a[3] = { batch, m, k }, b[3] = { batch, k, n }, y[3] = { batch, m, n };
    bool shared = tc_chance(r, 2);
    int skip = 3 - rank;
    dequantize(&c, 0, tc_input(&c, grid(r), rank, a + skip, 0), -1);
    dequantize(&c, 1, tc_input(&c, grid(r), shared ? 2 : rank, shared ? b + 1 : b + skip, weights(r)),
               shared ? 1 : rank - 1);
    finish(&c, rank, y + skip, rank - 1);
}

static void one_gemm(uint64_t seed)
{
    static tc_case c;
    tc_begin(&c, seed, "Gemm", "");
    tc_random *r = &c.random;
    int64_t m = tc_range(r, 1, 30), n = tc_range(r, 1, 50), k = tc_range(r, 1, 60);
    bool tb = tc_chance(r, 2);
    int64_t a[2] = { m, k }, b[2] = { tb ? n : k, tb ? k : n }, y[2] = { m, n };
    tc_int(&c, "transB", tb);
    if (tc_chance(r, 3)) {
        tc_float(&c, "alpha", 0.5f);
        tc_float(&c, "beta", 2.0f);
    }
    dequantize(&c, 0, tc_input(&c, grid(r), 2, a, 0), -1);
    dequantize(&c, 1, tc_input(&c, grid(r), 2, b, weights(r)), tb ? 0 : 1);
    if (tc_chance(r, 2)) {
        bool whole = tc_chance(r, 4);
        bias(&c, 2, whole ? 2 : 1, whole ? y : y + 1);
    }
    finish(&c, 2, y, 1);
}

static void conv_shape(tc_random *r, int *rank, int64_t *groups, int64_t *x, int64_t *w, int64_t *y, int64_t *pads,
                       int64_t *strides)
{
    *rank = tc_chance(r, 4) ? 3 : 4;
    *groups = tc_chance(r, 3) ? tc_range(r, 2, 4) : 1;
    x[0] = y[0] = tc_range(r, 1, 2);
    w[1] = tc_chance(r, 3) ? 1 : tc_range(r, 1, 9);
    x[1] = *groups * w[1];
    w[0] = y[1] = *groups * tc_range(r, 1, 17);
    for (int i = 2; i < *rank; i++) {
        int n = *rank - 2;
        w[i] = tc_range(r, 1, 3);
        strides[i - 2] = tc_range(r, 1, 2);
        pads[i - 2] = tc_range(r, 0, 2);
        pads[n + i - 2] = tc_range(r, 0, 2);
        x[i] = tc_range(r, w[i], w[i] + 9);
        y[i] = (x[i] + pads[i - 2] + pads[n + i - 2] - w[i]) / strides[i - 2] + 1;
    }
}

static void conv_attributes(tc_case *c, int rank, int64_t groups, const int64_t *pads, const int64_t *strides)
{
    tc_int(c, "group", groups);
    tc_ints(c, "pads", (size_t)(2 * (rank - 2)), pads);
    tc_ints(c, "strides", (size_t)(rank - 2), strides);
}

static void one_conv(uint64_t seed)
{
    static tc_case c;
    int64_t x[4], w[4], y[4], pads[4], strides[2], groups;
    int rank;
    tc_begin(&c, seed, "Conv", "");
    tc_random *r = &c.random;
    conv_shape(r, &rank, &groups, x, w, y, pads, strides);
    conv_attributes(&c, rank, groups, pads, strides);
    dequantize(&c, 0, tc_input(&c, grid(r), rank, x, 0), -1);
    dequantize(&c, 1, tc_input(&c, grid(r), rank, w, weights(r)), 0);
    if (tc_chance(r, 2)) {
        bias(&c, 2, 1, w);
    }
    finish(&c, rank, y, 1);
}

/* ---- What stands behind quantized products in models ---- */

static uint16_t one_scale(tc_case *c)
{
    return tc_load_axis(c, -1, scales(c, 1, false), -1);
}

static uint16_t one_zero(tc_case *c, lathe_dtype type)
{
    int64_t one = 1;
    return tc_chance(&c->random, 2)
               ? tc_instr(c, -1, LATHE_PW_CONST, type, 0, NULL, type == LATHE_DTYPE_U8 ? 101 : 0, 0)
               : tc_load_axis(c, -1, tc_input(c, type, 0, &one, LATHE_OPERAND_CONSTANT), -1);
}

static uint16_t through(tc_case *c, lathe_pw_op op, lathe_dtype type, lathe_dtype grid_type, uint16_t x)
{
    uint16_t args[3] = { x, 0, 0 };
    args[1] = one_scale(c);
    args[2] = one_zero(c, grid_type);
    return tc_instr(c, -1, op, type, 3, args, 0, 0);
}

static uint16_t limited(tc_case *c, uint16_t x)
{
    if (tc_chance(&c->random, 2)) {
        return tc_instr(c, -1, LATHE_PW_RELU, LATHE_DTYPE_F32, 1, &x, 0, 0);
    }
    uint16_t args[3] = { x, tc_instr(c, -1, LATHE_PW_CONST, LATHE_DTYPE_F32, 0, NULL, -0.25, 0),
                         tc_instr(c, -1, LATHE_PW_CONST, LATHE_DTYPE_F32, 0, NULL, 0.5, 0) };
    return tc_instr(c, -1, LATHE_PW_CLIP, LATHE_DTYPE_F32, 3, args, 0, 0);
}

/* [limits, rounding in between,] [addend,] [limits,] [quantization]: what is finished in registers. */
static void usual_epilogue(tc_case *c, int rank, const int64_t *dims)
{
    tc_random *r = &c->random;
    tc_space(c, rank, dims);
    uint16_t v = tc_instr(c, -1, LATHE_PW_ROOT, LATHE_DTYPE_F32, 0, NULL, 0, 0);
    lathe_dtype type = grid(r);
    if (tc_chance(r, 3)) { /* a number for each column */
        int64_t shape[4] = { 1, dims[1], 1, 1 };
        int tall = rank == 4 ? (int)tc_range(r, 3, 4) : (int)tc_range(r, 1, 2);
        uint16_t n =
            tc_input(c, LATHE_DTYPE_F32, tall, tall == 3 || tall == 1 ? shape + 1 : shape, LATHE_OPERAND_CONSTANT);
        uint16_t args[2] = { v, tc_load(c, -1, n, rank, dims) };
        v = tc_instr(c, -1, LATHE_PW_ADD, LATHE_DTYPE_F32, 2, args, 0, 0);
    }
    if (tc_chance(r, 3)) {
        v = tc_chance(r, 2) ? limited(c, v) : v;
        v = through(c, LATHE_PW_QUANT, type, type, v);
        v = through(c, LATHE_PW_DEQUANT, LATHE_DTYPE_F32, type, v);
    }
    if (tc_chance(r, 2)) {
        lathe_dtype from = tc_chance(r, 3) ? LATHE_DTYPE_F32 : grid(r);
        uint16_t x = tc_load(c, -1, tc_input(c, from, rank, dims, 0), rank, dims);
        x = from == LATHE_DTYPE_F32 ? x : through(c, LATHE_PW_DEQUANT, LATHE_DTYPE_F32, from, x);
        uint16_t args[2] = { v, x }, turned[2] = { x, v };
        v = tc_instr(c, -1, LATHE_PW_ADD, LATHE_DTYPE_F32, 2, tc_chance(r, 2) ? args : turned, 0, 0);
    }
    v = tc_chance(r, 2) ? limited(c, v) : v;
    type = tc_chance(r, 4) ? LATHE_DTYPE_F32 : grid(r);
    v = type == LATHE_DTYPE_F32 ? v : through(c, LATHE_PW_QUANT, type, type, v);
    uint16_t store = tc_instr(c, -1, LATHE_PW_STORE, type, 1, &v, 0, 0);
    c->instrs[store].operand = tc_output(c, type, rank, dims);
    c->root_tolerance = 3e-6;
    c->root_absolute = true;
    tc_check_all(c);
    tc_end(c);
}

static void usual_matmul(uint64_t seed)
{
    static tc_case c;
    tc_begin(&c, seed, "MatMul", "");
    tc_random *r = &c.random;
    int64_t m = tc_range(r, 1, 40), n = tc_range(r, 1, 100), k = tc_range(r, 1, 70), a[2] = { m, k }, b[2] = { k, n },
            y[2] = { m, n };
    dequantize(&c, 0, tc_input(&c, grid(r), 2, a, 0), -1);
    dequantize(&c, 1, tc_input(&c, grid(r), 2, b, LATHE_OPERAND_CONSTANT), 1);
    usual_epilogue(&c, 2, y);
}

/* More channels and filters, narrow and wide images, dilations. */
static void usual_conv(uint64_t seed)
{
    static tc_case c;
    tc_begin(&c, seed, "Conv", "");
    tc_random *r = &c.random;
    bool grouped = tc_chance(r, 5), depthwise = tc_chance(r, 4);
    int64_t groups = depthwise ? tc_range(r, 2, 80)
                     : grouped ? 2
                               : 1,
            x[4] = { tc_range(r, 1, 2) }, w[4], y[4], pads[4], strides[2], dilations[2];
    groups = depthwise && tc_chance(r, 3) ? 64 : groups;
    w[1] = depthwise ? 1 : tc_range(r, 1, 24);
    x[1] = groups * w[1];
    w[0] = y[1] = groups * (depthwise ? 1 : tc_range(r, 1, 70));
    y[0] = x[0];
    for (int i = 0; i < 2; i++) {
        w[i + 2] = tc_chance(r, 3) ? 1 : tc_range(r, 1, 4);
        strides[i] = tc_range(r, 1, 3);
        dilations[i] = tc_chance(r, 4) ? tc_range(r, 2, 3) : 1;
        pads[i] = tc_range(r, 0, 2);
        pads[i + 2] = tc_range(r, 0, 2);
        int64_t window = (w[i + 2] - 1) * dilations[i] + 1;
        x[i + 2] = tc_range(r, window, window + (tc_chance(r, 4) ? 40 : 12));
        y[i + 2] = (x[i + 2] + pads[i] + pads[i + 2] - window) / strides[i] + 1;
    }
    conv_attributes(&c, 4, groups, pads, strides);
    tc_ints(&c, "dilations", 2, dilations);
    dequantize(&c, 0, tc_input(&c, grid(r), 4, x, 0), -1);
    dequantize(&c, 1, tc_input(&c, grid(r), 4, w, LATHE_OPERAND_CONSTANT), 0);
    if (tc_chance(r, 2)) {
        bias(&c, 2, 1, w);
    }
    usual_epilogue(&c, 4, y);
}

static void usual_epilogues(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= TC_SEEDS(60); seed++) {
        usual_matmul(seed);
        usual_conv(seed);
    }
}

static void random_products(void **state)
{
    (void)state;
    tc_reset();
    for (uint64_t seed = 1; seed <= TC_SEEDS(60); seed++) {
        one_matmul(seed);
        one_gemm(seed);
        one_conv(seed);
    }
    for (size_t i = 0; lt_tactic_at(i); i++) { /* these take nothing else */
        const lathe_tactic *t = lt_tactic_at(i);
        if (strstr(t->name, ".q8.") && !lt_tactic_lists(t, "MaxPool", "") && !lt_tactic_lists(t, "GlobalAveragePool", "")) {
            tc_must_have_fitted(t);
        }
    }
}

/* ---- The bits of the integer operators ---- */

static lathe_status make(lt_eval *e, int i, lathe_dtype dtype, int rank, const int64_t *dims)
{
    e->out[i]->cls = LT_TENSOR;
    return lt_tensor_alloc(e->user, &e->out[i]->tensor, dtype, rank, dims, "expected", NULL);
}

/* Result of an operator on operands of the case; 0xffff is absent. */
static void expect_operator(tc_case *c, const char *op, size_t n, const uint16_t *operands, lathe_tensor *result)
{
    lt_any in[9], out;
    const lt_any *ins[9];
    lt_any *outs[1] = { &out };
    for (size_t i = 0; i < n; i++) {
        in[i] = (lt_any){ .cls = LT_TENSOR };
        ins[i] = operands[i] == 0xffff ? NULL : &in[i];
        if (ins[i]) {
            in[i].tensor = c->in_data[operands[i]];
        }
    }
    lt_eval e = { .op = lt_op_find("", op),
                  .attrs = c->attrs,
                  .n_attrs = c->problem.n_attrs,
                  .where = op,
                  .n_in = (int)n,
                  .in = ins,
                  .n_out = 1,
                  .out = outs,
                  .scratch = &c->arena,
                  .make = make,
                  .user = &c->arena };
    assert_int_equal(lt_op_eval(&e), LATHE_OK);
    *result = out.tensor;
    c->expected = result;
}

static uint16_t exact_slot(tc_case *c, int slot, uint16_t x, uint16_t scale, uint16_t zero, int axis)
{
    const lathe_tensor *t = &c->in_data[x];
    uint16_t args[3] = { tc_load(c, slot, x, t->rank, t->dims), tc_load_axis(c, slot, scale, axis), 0 };
    args[2] =
        zero == 0xffff ? tc_instr(c, slot, LATHE_PW_CONST, t->dtype, 0, NULL, 0, 0) : tc_load_axis(c, slot, zero, axis);
    tc_root(c, 0xffff);
    return tc_instr(c, slot, LATHE_PW_DEQUANT, LATHE_DTYPE_F32, 3, args, 0, 0);
}

static void exact_finish(tc_case *c, uint16_t scale, uint16_t zero, int rank, const int64_t *dims)
{
    lathe_dtype dtype = c->in_data[zero].dtype;
    tc_space(c, rank, dims);
    uint16_t args[3] = { tc_instr(c, -1, LATHE_PW_ROOT, LATHE_DTYPE_F32, 0, NULL, 0, 0), tc_load_axis(c, -1, scale, -1),
                         tc_load_axis(c, -1, zero, -1) };
    uint16_t q = tc_instr(c, -1, LATHE_PW_QUANT, dtype, 3, args, 0, 0),
             store = tc_instr(c, -1, LATHE_PW_STORE, dtype, 1, &q, 0, 0);
    c->instrs[store].operand = tc_output(c, dtype, rank, dims);
    c->problem.flags |= LATHE_PROBLEM_EXACT_INT;
    tc_check_all(c);
    tc_end(c);
}

static uint16_t number(tc_case *c, lathe_dtype dtype)
{
    int64_t one = 1;
    return tc_input(c, dtype, 0, &one, LATHE_OPERAND_CONSTANT);
}

static void exact_conv(uint64_t seed)
{
    static tc_case c;
    int64_t x[4], w[4], y[4], pads[4], strides[2], groups;
    int rank;
    lathe_tensor expected;
    tc_begin(&c, seed, "Conv", "");
    tc_random *r = &c.random;
    conv_shape(r, &rank, &groups, x, w, y, pads, strides);
    conv_attributes(&c, rank, groups, pads, strides);
    lathe_dtype xt = grid(r), wt = grid(r);
    bool vector = tc_chance(r, 2);
    uint16_t nx = tc_input(&c, xt, rank, x, 0), xs = scales(&c, 1, false), xz = number(&c, xt),
             nw = tc_input(&c, wt, rank, w, LATHE_OPERAND_CONSTANT), ws = scales(&c, w[0], vector),
             wz = tc_input(&c, wt, vector ? 1 : 0, w, LATHE_OPERAND_CONSTANT), ys = scales(&c, 1, false),
             yz = number(&c, xt),
             nb = tc_chance(r, 2) ? tc_input(&c, LATHE_DTYPE_I32, 1, w, LATHE_OPERAND_CONSTANT) : 0xffff;
    ((float *)c.in_data[ys].data)[0] *= 4;
    uint16_t operands[9] = { nx, xs, xz, nw, ws, wz, ys, yz, nb };
    expect_operator(&c, "QLinearConv", 9, operands, &expected);
    (void)exact_slot(&c, 0, nx, xs, xz, -1);
    (void)exact_slot(&c, 1, nw, ws, wz, 0);
    if (nb != 0xffff) {
        uint16_t bs = scales(&c, w[0], true);
        for (int64_t i = 0; i < w[0]; i++) {
            ((float *)c.in_data[bs].data)[i] =
                ((float *)c.in_data[xs].data)[0] * ((float *)c.in_data[ws].data)[vector ? i : 0];
        }
        (void)exact_slot(&c, 2, nb, bs, 0xffff, 0);
    }
    exact_finish(&c, ys, yz, rank, y);
}

static void exact_matmul(uint64_t seed)
{
    static tc_case c;
    lathe_tensor expected;
    tc_begin(&c, seed, "MatMul", "");
    tc_random *r = &c.random;
    int64_t m = tc_range(r, 1, 30), n = tc_range(r, 1, 50), k = tc_range(r, 1, 60), a[2] = { m, k }, b[2] = { k, n },
            y[2] = { m, n };
    lathe_dtype at = grid(r), bt = grid(r);
    uint16_t na = tc_input(&c, at, 2, a, 0), as = scales(&c, 1, false), az = number(&c, at),
             nb = tc_input(&c, bt, 2, b, LATHE_OPERAND_CONSTANT), bs = scales(&c, 1, false), bz = number(&c, bt),
             ys = scales(&c, 1, false), yz = number(&c, at);
    ((float *)c.in_data[ys].data)[0] *= 4;
    uint16_t operands[8] = { na, as, az, nb, bs, bz, ys, yz };
    expect_operator(&c, "QLinearMatMul", 8, operands, &expected);
    (void)exact_slot(&c, 0, na, as, az, -1);
    (void)exact_slot(&c, 1, nb, bs, bz, 1);
    exact_finish(&c, ys, yz, 2, y);
}

static void integer_operators(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= TC_SEEDS(60); seed++) {
        exact_conv(seed);
        exact_matmul(seed);
    }
}

/* ---- Sums that are results: MatMulInteger, ConvInteger ---- */

/* Now and then all bytes are the same extreme, or one of both, so that sums of 16 bits would saturate. */
static uint16_t bytes(tc_case *c, lathe_dtype dtype, int rank, const int64_t *dims, uint32_t flags)
{
    tc_random *r = &c->random;
    uint16_t n = tc_input(c, dtype, rank, dims, flags);
    uint8_t *data = c->in_data[n].data, low = dtype == LATHE_DTYPE_U8 ? 0 : 0x80, high = dtype == LATHE_DTYPE_U8 ? 0xff : 0x7f;
    uint32_t how = tc_draw(r, 6);
    for (int64_t i = 0; how < 3 && i < lt_tensor_count(&c->in_data[n]); i++) {
        data[i] = how == 0 ? high : how == 1 ? low : tc_chance(r, 2) ? low : high;
    }
    return n;
}

/* A zero point: absent, one number of rank 0 or 1, or a tensor of these extents. Extents are known, contents come in the run or before. */
static uint16_t zero_point(tc_case *c, lathe_dtype dtype, int rank, const int64_t *dims)
{
    tc_random *r = &c->random;
    static const int64_t one = 1;
    uint32_t how = tc_draw(r, 4), flags = tc_chance(r, 2) ? LATHE_OPERAND_CONSTANT : 0;
    if (how == 0) {
        return 0xffff;
    }
    bool single = how == 1 || rank == 0;
    uint16_t n = bytes(c, dtype, single ? (int)tc_draw(r, 2) : rank, single ? &one : dims, flags);
    for (int d = 0; d < c->in[n].rank; d++) {
        c->in[n].dims[d].min = c->in[n].dims[d].opt = c->in[n].dims[d].max;
    }
    return n;
}

static void sums_finish(tc_case *c, int rank, const int64_t *dims, int channel)
{
    if (tc_chance(&c->random, 2)) {
        (void)tc_output(c, LATHE_DTYPE_I32, rank, dims);
    } else {
        tc_space(c, rank, dims);
        tc_epilogue(c, tc_root_value(c, LATHE_DTYPE_I32), rank, dims, channel);
    }
    tc_check_all(c);
    tc_end(c);
}

static void sums_matmul(uint64_t seed)
{
    static tc_case c;
    tc_begin(&c, seed, "MatMulInteger", "");
    tc_random *r = &c.random;
    int64_t m = tc_range(r, 1, 40), n = tc_range(r, 1, 70), k = tc_range(r, 1, seed % 8 == 0 ? 900 : 60), batch = tc_range(r, 1, 3);
    int ra = (int)tc_range(r, 1, 3), rb = tc_chance(r, 2) ? 2 : (int)tc_range(r, 1, 3), ry = 0;
    int64_t a[3] = { batch, m, k }, b[3] = { tc_chance(r, 2) ? batch : 1, k, n }, y[3], az[3] = { batch, m, 1 }, bz[3] = { b[0], 1, n };
    lathe_dtype at = grid(r), bt = grid(r);
    if (ra == 3 || rb == 3) {
        y[ry++] = ra == 3 ? batch : b[0];
    }
    if (ra > 1) {
        y[ry++] = m;
    }
    if (rb > 1) {
        y[ry++] = n;
    }
    tc_root(&c, bytes(&c, at, ra, a + 3 - ra, 0));
    tc_root(&c, rb == 1 ? bytes(&c, bt, 1, &k, weights(r)) : bytes(&c, bt, rb, b + 3 - rb, weights(r)));
    bool whole = tc_chance(r, 3);
    tc_root(&c, zero_point(&c, at, ra < 2 ? 0 : whole ? ra : 1, whole ? az + 3 - ra : &m));
    whole = tc_chance(r, 3);
    tc_root(&c, zero_point(&c, bt, rb < 2 ? 0 : whole ? rb : 1, whole ? bz + 3 - rb : &n));
    sums_finish(&c, ry, y, ry - 1);
}

static void sums_conv(uint64_t seed)
{
    static tc_case c;
    int64_t x[4], w[4], y[4], pads[4], strides[2], groups;
    int rank;
    tc_begin(&c, seed, "ConvInteger", "");
    tc_random *r = &c.random;
    conv_shape(r, &rank, &groups, x, w, y, pads, strides);
    conv_attributes(&c, rank, groups, pads, strides);
    lathe_dtype xt = grid(r), wt = grid(r);
    tc_root(&c, bytes(&c, xt, rank, x, 0));
    tc_root(&c, bytes(&c, wt, rank, w, weights(r)));
    tc_root(&c, zero_point(&c, xt, 0, NULL));
    tc_root(&c, zero_point(&c, wt, 1, w));
    sums_finish(&c, rank, y, 1);
}

/* Longer sums than 32 bits hold: they wrap. */
static void sums_wrap(void)
{
    static tc_case c;
    int64_t a[2] = { 3, 70001 }, b[2] = { 70001, 5 }, y[2] = { 3, 5 };
    tc_begin(&c, 1, "MatMulInteger", "");
    uint16_t na = tc_input(&c, LATHE_DTYPE_U8, 2, a, 0), nb = tc_input(&c, LATHE_DTYPE_U8, 2, b, LATHE_OPERAND_CONSTANT);
    memset(c.in_data[na].data, 0xff, (size_t)(a[0] * a[1]));
    memset(c.in_data[nb].data, 0xff, (size_t)(b[0] * b[1]));
    tc_root(&c, na);
    tc_root(&c, nb);
    (void)tc_output(&c, LATHE_DTYPE_I32, 2, y);
    tc_check_all(&c);
    tc_end(&c);
}

static void sums(void **state)
{
    (void)state;
    tc_reset();
    for (uint64_t seed = 1; seed <= TC_SEEDS(100); seed++) {
        sums_matmul(seed);
        sums_conv(seed);
    }
    sums_wrap();
    for (size_t i = 0; lt_tactic_at(i); i++) {
        const lathe_tactic *t = lt_tactic_at(i);
        bool lists = lt_tactic_lists(t, "MatMulInteger", "") || lt_tactic_lists(t, "ConvInteger", "");
        if (lists && strcmp(t->ops, "*") != 0) {
            tc_must_have_fitted(t);
        }
    }
}

static void dynamic(void **state)
{
    (void)state;
    tc_reset();
    for (uint64_t seed = 1; seed <= TC_SEEDS(40); seed++) {
        static tc_case c;
        tc_begin(&c, seed, "DynamicQuantizeLinear", "");
        tc_random *r = &c.random;
        int rank = (int)tc_range(r, 0, 4);
        int64_t dims[4], none = 1;
        for (int i = 0; i < rank; i++) {
            dims[i] = tc_range(r, 1, 9);
        }
        tc_root(&c, tc_input(&c, LATHE_DTYPE_F32, rank, dims, 0));
        float *x = c.in_data[0].data;
        for (int64_t i = 0; seed % 7 == 0 && i < lt_tensor_count(&c.in_data[0]); i++) {
            x[i] = seed % 2 ? 0.0f : (float)fabs((double)x[i]);
        }
        if (seed % 9 == 0) {
            x[0] = NAN;
        }
        (void)tc_output(&c, LATHE_DTYPE_U8, rank, dims);
        (void)tc_output(&c, LATHE_DTYPE_F32, 0, &none);
        (void)tc_output(&c, LATHE_DTYPE_U8, 0, &none);
        c.problem.n_root_out = 3;
        tc_check_all(&c);
        tc_end(&c);
    }
    tc_all_fitted("DynamicQuantizeLinear", "");
}

/* Means of images and of any axes that lie together, in bytes or with any epilogue. */
static void one_mean(uint64_t seed)
{
    static tc_case c;
    bool pool = seed % 2 == 0;
    tc_begin(&c, seed, pool ? "GlobalAveragePool" : "ReduceMean", "");
    tc_random *r = &c.random;
    int rank = tc_chance(r, 2) ? 4 : (int)tc_range(r, pool ? 3 : 1, 5), n = 0;
    int first = pool ? 2 : (int)tc_draw(r, (uint32_t)rank), end = pool ? rank : (int)tc_range(r, first + 1, rank), y_rank = 0;
    bool keep = pool || tc_chance(r, 2);
    int64_t x[5], y[5], axes[5];
    for (int i = 0; i < rank; i++) {
        bool over = i >= first && i < end;
        x[i] = tc_range(r, 1, i == 1 && tc_chance(r, 3) ? 600 : over ? 9 : 40 / rank);
        if (over) {
            axes[n++] = i;
        }
        if (!over || keep) {
            y[y_rank++] = over ? 1 : x[i];
        }
    }
    if (!pool) {
        tc_int(&c, "keepdims", keep);
    }
    dequantize(&c, 0, tc_input(&c, grid(r), rank, x, 0), -1);
    if (!pool) {
        int64_t count = n;
        uint16_t o = tc_input(&c, LATHE_DTYPE_I64, 1, &count, LATHE_OPERAND_HOST | LATHE_OPERAND_CONSTANT);
        memcpy(c.in_data[o].data, axes, (size_t)n * sizeof *axes);
        c.in[o].value = &c.in_data[o];
        tc_root(&c, o);
    }
    finish(&c, y_rank, y, y_rank > 1 ? 1 : 0);
}

static void means(void **state)
{
    (void)state;
    tc_reset();
    for (uint64_t seed = 1; seed <= TC_SEEDS(100); seed++) {
        one_mean(seed);
    }
    for (uint32_t k = 0; k < 3; k++) {
        static const char *const names[] = { "mean.q8.base", "mean.q8.avx2", "mean.q8.avx512" };
        if (lt_tactic_find(names[k])) {
            tc_must_have_fitted(lt_tactic_find(names[k]));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_products),
        cmocka_unit_test(usual_epilogues),
        cmocka_unit_test(integer_operators),
        cmocka_unit_test(sums),
        cmocka_unit_test(dynamic),
        cmocka_unit_test(means),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
