/*
 * matmul_integer.c - MatMulInteger, QLinearMatMul and com.microsoft QGemm. Sums of (a - zero) * (b - zero) are whole
 * numbers, exact, and wrap to 32 bits; the factors of requantization are computed in f32. QLinearMatMul also knows
 * 8-bit floats, whose sums stay real.
 */
#include "ops/nn.h"

/* A scale or zero point: one number, one for each row (column), or one for each row (column) of each matrix. */
typedef struct param {
    const double *v;
    int64_t step, matrix; /* distance between rows, between matrices; 0 where shared */
} param;

static lathe_status read_param(lt_eval *c, int i, int64_t size, param *out)
{
    bool ok;
    const lt_tensor *tensor = lt_in(c, i);
    int64_t count = tensor != NULL ? lt_tensor_count(tensor) : 1;
    *out = (param){ .v = lt_nn_doubles(c, tensor, &ok),
                    .step = count != 1,
                    .matrix = count == 1 || count == size ? 0 : size };
    if (ok && tensor == NULL) {
        out->v = lt_nn_scratch(c, 1);
        ok = out->v != NULL;
    }
    return ok ? LATHE_OK : LT_OOM(c->diag);
}

/*
 * Checks a scale or zero point `i` of matrix operand `of`: a single number, a vector over the axis `from_end` from the
 * end, or the operand's shape with the other matrix axis 1 and the same batch axes.
 */
static lathe_status check_param(lt_infer *c, int i, int of, int from_end)
{
    if (!lt_infer_known_rank(c, i) || !lt_infer_known_rank(c, of) || c->in[i]->rank == 0) {
        return LATHE_OK;
    }
    const lt_type *type = c->in[i], *operand = c->in[of];
    if (type->rank == 1) {
        lt_dim size = operand->rank >= from_end ? operand->dims[operand->rank - from_end] : lt_dim_const(1);
        if (operand->rank == 1 && from_end == 1 && of != 0) {
            size = lt_dim_const(1); /* a one-dimensional second argument is one column */
        }
        return lt_nn_infer_scalar_or_vector(c, i, size, "the matrix extent");
    }
    char name[32];
    lt_op_formal(c->op, false, i, name, sizeof name);
    if (type->rank != operand->rank) {
        return lt_infer_fail(c, "input '%s' has rank %d but its matrix has rank %d", name, type->rank, operand->rank);
    }
    bool single = true, full = true;
    for (int d = 0; d < type->rank; d++) {
        lt_dim want = d == type->rank - (3 - from_end) ? lt_dim_const(1) : operand->dims[d], own = type->dims[d];
        single = single && (!lt_dim_is_const(own) || own.k == 1);
        full = full && (!lt_dim_is_const(own) || !lt_dim_is_const(want) || own.k == want.k);
    }
    if (!single && !full) {
        return lt_infer_fail(c, "the shape of input '%s' is neither one element, nor one per %s of its matrix", name,
                             from_end == 2 ? "row" : "column");
    }
    return LATHE_OK;
}

static lathe_status infer_matmul_integer(lt_infer *c)
{
    LT_TRY(check_param(c, 2, 0, 2));
    LT_TRY(check_param(c, 3, 1, 1));
    return lt_nn_matmul_infer(c, 0, 1, LATHE_DTYPE_I32);
}

static lathe_status infer_qlinear_matmul(lt_infer *c)
{
    LT_TRY(check_param(c, 1, 0, 2));
    LT_TRY(check_param(c, 2, 0, 2));
    LT_TRY(check_param(c, 4, 3, 1));
    LT_TRY(check_param(c, 5, 3, 1));
    LT_TRY(lt_nn_infer_single(c, 6));
    LT_TRY(lt_nn_infer_single(c, 7));
    return lt_nn_matmul_infer(c, 0, 3, c->in[7]->dtype);
}

static lathe_status check_qgemm_addend(lt_infer *c, const lt_dim dims[2])
{
    const lt_type *addend = c->in[6];
    for (int i = 0; i < addend->rank; i++) {
        lt_dim own = addend->dims[i], all = addend->rank > 2 ? lt_dim_const(-1) : dims[2 - addend->rank + i];
        if (lt_dim_is_const(own) && own.k != 1 && lt_dim_is_const(all) && own.k != all.k) {
            return lt_infer_fail(c, "C has extent %lld on axis %d and does not broadcast to the product",
                                 (long long)own.k, i);
        }
    }
    return LATHE_OK;
}

static bool given(const lt_infer *c, int i)
{
    return i < c->n_in && c->in[i] != NULL;
}

static lathe_status infer_qgemm(lt_infer *c)
{
    const lt_type *a = c->in[0], *b = c->in[3];
    if (given(c, 7) != given(c, 8)) {
        return lt_infer_fail(c, "y_scale and y_zero_point must be given together or not at all");
    }
    lathe_dtype dtype = given(c, 8) ? c->in[8]->dtype : LATHE_DTYPE_F32;
    if ((a->rank >= 0 && a->rank != 2) || (b->rank >= 0 && b->rank != 2)) {
        return lt_infer_fail(c, "A and B have ranks %d and %d; both must be matrices", a->rank, b->rank);
    }
    if (a->rank < 0 || b->rank < 0) {
        return lt_infer_out(c, 0, dtype, -1, NULL);
    }
    int ta = lt_attr_i(c->attrs, c->n_attrs, "transA", 0) != 0, tb = lt_attr_i(c->attrs, c->n_attrs, "transB", 0) != 0;
    lt_dim inner = a->dims[1 - ta], other = b->dims[tb], dims[2] = { a->dims[ta], b->dims[1 - tb] };
    if (lt_dim_is_const(inner) && lt_dim_is_const(other) && inner.k != other.k) {
        return lt_infer_fail(c, "inner extents %lld and %lld of A and B differ", (long long)inner.k,
                             (long long)other.k);
    }
    static const int single[] = { 1, 2, 7, 8 };
    for (size_t i = 0; i < LT_COUNT(single); i++) {
        LT_TRY(lt_nn_infer_single(c, single[i]));
    }
    LT_TRY(lt_nn_infer_scalar_or_vector(c, 4, dims[1], "the number of columns"));
    LT_TRY(lt_nn_infer_scalar_or_vector(c, 5, dims[1], "the number of columns"));
    if (lt_infer_known_rank(c, 6)) {
        LT_TRY(check_qgemm_addend(c, dims));
    }
    return lt_infer_out(c, 0, dtype, 2, dims);
}

/* What is done with the sums of one matrix. */
typedef struct sink {
    lt_tensor *y;
    int64_t first, n;
    bool plain; /* the sums themselves */
    bool real;  /* 8-bit floats went in: the sums are not whole */
    const double *a_scale, *b_scale;
    int64_t a_step, b_step;
    float alpha, y_scale;
    double zero;
    const lt_tensor *addend; /* int32, NULL: none */
    int64_t addend_row, addend_col;
} sink;

static void finish(const sink *s, int64_t row, int64_t col, double sum, void *out, int64_t index)
{
    if (s->addend != NULL) {
        sum += lt_load_f64(s->addend->dtype, s->addend->data, row * s->addend_row + col * s->addend_col);
    }
    if (s->plain) {
        lt_store_i64(s->y->dtype, out, index, lt_nn_wrap_i32(sum));
        return;
    }
    float factor = s->alpha * (float)s->a_scale[row * s->a_step] * (float)s->b_scale[col * s->b_step] / s->y_scale;
    if (s->real && lt_dtype_is_integer(s->y->dtype)) {
        lt_store_i64(s->y->dtype, out, index, lt_nn_saturate(s->y->dtype, sum * (double)factor, (int64_t)s->zero));
    } else if (lt_dtype_is_integer(s->y->dtype)) {
        lt_store_i64(s->y->dtype, out, index, lt_nn_requantize(s->y->dtype, sum, factor, (int64_t)s->zero));
    } else if (s->y->dtype == LATHE_DTYPE_F32) {
        lt_store_f64(s->y->dtype, out, index, (float)lt_nn_wrap_i32(sum) * factor);
    } else {
        ((uint8_t *)out)[index] = lt_f32_to_f8(s->y->dtype, (float)(sum * (double)factor + s->zero), true);
    }
}

static void store(void *user, int64_t row, int64_t col, int64_t count, const double *acc)
{
    const sink *s = user;
    for (int64_t j = 0; j < count; j++) {
        finish(s, row, col + j, acc[j], s->y->data, s->first + row * s->n + col + j);
    }
}

/* MatMulInteger and QLinearMatMul: operands, their parameters, the batches. */
typedef struct product {
    lt_nn_batches batches;
    const lt_tensor *a, *b;
    param a_zero, b_zero, a_scale, b_scale;
    sink s;
} product;

static lathe_status prepare_integer(lt_eval *c, product *p)
{
    *p = (product){ .a = lt_in(c, 0), .b = lt_in(c, 1), .s = { .y = lt_out(c, 0), .plain = true } };
    lt_nn_batches_make(p->a, p->b, &p->batches);
    p->s.n = p->batches.n;
    LT_TRY(read_param(c, 2, p->batches.m, &p->a_zero));
    return read_param(c, 3, p->batches.n, &p->b_zero);
}

static lathe_status prepare_qlinear(lt_eval *c, product *p)
{
    const lt_tensor *scale = lt_in(c, 6), *zero = lt_in(c, 7);
    *p = (product){ .a = lt_in(c, 0), .b = lt_in(c, 3), .s = { .y = lt_out(c, 0), .alpha = 1.0f } };
    lt_nn_batches_make(p->a, p->b, &p->batches);
    p->s.n = p->batches.n;
    p->s.real = lt_dtype_is_float(p->a->dtype) || lt_dtype_is_float(p->b->dtype);
    p->s.y_scale = (float)lt_load_f64(scale->dtype, scale->data, 0);
    p->s.zero = lt_load_f64(zero->dtype, zero->data, 0);
    LT_TRY(read_param(c, 1, p->batches.m, &p->a_scale));
    LT_TRY(read_param(c, 2, p->batches.m, &p->a_zero));
    LT_TRY(read_param(c, 4, p->batches.n, &p->b_scale));
    return read_param(c, 5, p->batches.n, &p->b_zero);
}

/* The matrices of product `index`, and the scales that belong to them. */
static void select_product(product *p, int64_t index, lt_nn_matrix *a, lt_nn_matrix *b)
{
    const lt_nn_batches *bs = &p->batches;
    int64_t i, j;
    lt_nn_batches_at(bs, index, &i, &j);
    *a = (lt_nn_matrix){ .tensor = p->a,
                         .first = i * bs->m * bs->k,
                         .row = bs->k,
                         .col = 1,
                         .zero = p->a_zero.v + i * p->a_zero.matrix,
                         .zero_row = p->a_zero.step };
    *b = (lt_nn_matrix){ .tensor = p->b,
                         .first = j * bs->k * bs->n,
                         .row = bs->n,
                         .col = 1,
                         .zero = p->b_zero.v + j * p->b_zero.matrix,
                         .zero_col = p->b_zero.step };
    p->s.first = index * bs->m * bs->n;
    if (!p->s.plain) {
        p->s.a_scale = p->a_scale.v + i * p->a_scale.matrix;
        p->s.b_scale = p->b_scale.v + j * p->b_scale.matrix;
        p->s.a_step = p->a_scale.step;
        p->s.b_step = p->b_scale.step;
    }
}

static lathe_status run_product(lt_eval *c, product *p)
{
    lt_nn_panel work;
    if (lt_tensor_count(p->s.y) == 0) {
        return LATHE_OK;
    }
    LT_TRY(lt_nn_panel_make(c, p->batches.k, &work));
    for (int64_t i = 0; i < p->batches.count; i++) {
        lt_nn_matrix a, b;
        select_product(p, i, &a, &b);
        lt_nn_gemm(&work, p->batches.m, p->batches.n, &a, &b, store, &p->s);
    }
    return LATHE_OK;
}

static lathe_status run_product_at(product *p, const int64_t *coords, void *out)
{
    int64_t batch = 0;
    int at = p->batches.rank;
    for (int d = 0; d < p->batches.rank; d++) {
        batch = batch * p->batches.dims[d] + coords[d];
    }
    int64_t i = p->batches.a_vector ? 0 : coords[at++], j = p->batches.b_vector ? 0 : coords[at];
    lt_nn_matrix a, b;
    select_product(p, batch, &a, &b);
    finish(&p->s, i, j, lt_nn_gemm_at(i, j, p->batches.k, &a, &b), out, 0);
    return LATHE_OK;
}

static lathe_status eval_matmul_integer(lt_eval *c)
{
    product p;
    LT_TRY(prepare_integer(c, &p));
    return run_product(c, &p);
}

static lathe_status eval_matmul_integer_at(lt_eval *c, const int64_t *coords, void *out)
{
    product p;
    LT_TRY(prepare_integer(c, &p));
    return run_product_at(&p, coords, out);
}

static lathe_status eval_qlinear_matmul(lt_eval *c)
{
    product p;
    LT_TRY(prepare_qlinear(c, &p));
    return run_product(c, &p);
}

static lathe_status eval_qlinear_matmul_at(lt_eval *c, const int64_t *coords, void *out)
{
    product p;
    LT_TRY(prepare_qlinear(c, &p));
    return run_product_at(&p, coords, out);
}

/* QGemm's operands. */
typedef struct qgemm {
    lt_nn_matrix a, b;
    int64_t m, n, k;
    sink s;
} qgemm;

static lathe_status prepare_qgemm(lt_eval *c, qgemm *g)
{
    int ta = lt_attr_i(c->attrs, c->n_attrs, "transA", 0) != 0, tb = lt_attr_i(c->attrs, c->n_attrs, "transB", 0) != 0;
    const lt_tensor *a = lt_in(c, 0), *b = lt_in(c, 3), *addend = lt_in(c, 6), *scale = lt_in(c, 7),
                    *zero = lt_in(c, 8);
    param a_scale, a_zero, b_scale, b_zero;
    *g = (qgemm){ .m = a->dims[ta], .k = a->dims[1 - ta], .n = b->dims[1 - tb] };
    LT_TRY(read_param(c, 1, 1, &a_scale));
    LT_TRY(read_param(c, 2, 1, &a_zero));
    LT_TRY(read_param(c, 4, g->n, &b_scale));
    LT_TRY(read_param(c, 5, g->n, &b_zero));
    g->a = (lt_nn_matrix){ .tensor = a, .row = ta ? 1 : a->dims[1], .col = ta ? a->dims[1] : 1, .zero = a_zero.v };
    g->b = (lt_nn_matrix){
        .tensor = b, .row = tb ? 1 : b->dims[1], .col = tb ? b->dims[1] : 1, .zero = b_zero.v, .zero_col = b_zero.step
    };
    g->s = (sink){ .y = lt_out(c, 0),
                   .n = g->n,
                   .a_scale = a_scale.v,
                   .b_scale = b_scale.v,
                   .b_step = b_scale.step,
                   .addend = addend };
    g->s.alpha = lt_attr_f(c->attrs, c->n_attrs, "alpha", 1.0f);
    g->s.y_scale = scale != NULL ? (float)lt_load_f64(scale->dtype, scale->data, 0) : 1.0f;
    g->s.zero = zero != NULL ? lt_load_f64(zero->dtype, zero->data, 0) : 0.0;
    if (addend != NULL && addend->rank > 0) {
        int64_t cols = addend->dims[addend->rank - 1];
        g->s.addend_col = cols != 1;
        g->s.addend_row = addend->rank == 2 && addend->dims[0] != 1 ? cols : 0;
    }
    return LATHE_OK;
}

static lathe_status eval_qgemm(lt_eval *c)
{
    qgemm g;
    lt_nn_panel work;
    LT_TRY(prepare_qgemm(c, &g));
    LT_TRY(lt_nn_panel_make(c, g.k, &work));
    lt_nn_gemm(&work, g.m, g.n, &g.a, &g.b, store, &g.s);
    return LATHE_OK;
}

static lathe_status eval_qgemm_at(lt_eval *c, const int64_t *coords, void *out)
{
    qgemm g;
    LT_TRY(prepare_qgemm(c, &g));
    finish(&g.s, coords[0], coords[1], lt_nn_gemm_at(coords[0], coords[1], g.k, &g.a, &g.b), out, 0);
    return LATHE_OK;
}

static const char *const integer_samples[] = {
    "u8[4,5] a = rand(1), u8[5,3] b = rand(2) | y = MatMulInteger (a, b)",
    "u8[4,5] a = rand(1), i8[5,3] b = rand(2), u8[] az = splat(12), i8[] bz = splat(-5) | y = MatMulInteger (a, b, az, "
    "bz)",
    "u8[2,4,5] a = rand(1), u8[5,3] b = rand(2), u8[] az = splat(40), u8[3] bz = iota | y = MatMulInteger (a, b, az, "
    "bz)",
    NULL,
};

static const char *const qlinear_samples[] = {
    "u8[4,5] a = rand(1), f32[] as = splat(0.02), u8[] az = splat(30), u8[5,3] b = rand(2), f32[] bs = splat(0.03), u8 "
    "bz = "
    "splat(50), "
    "f32[] ys = splat(0.05), u8[] yz = splat(100) | y = QLinearMatMul (a, as, az, b, bs, bz, ys, yz)",
    "i8[2,4,5] a = rand(1), f32[] as = splat(0.02), i8[] az = splat(3), i8[2,5,3] b = rand(2), f32[] bs = splat(0.01), "
    "i8 bz "
    "= splat(-5), "
    "f32[] ys = splat(0.4), i8[] yz = splat(-50) | y = QLinearMatMul (a, as, az, b, bs, bz, ys, yz)",
    "u8[4,5] a = rand(1), f32[] as = splat(0.02), u8[] az = splat(3), i8[5,3] b = rand(2), f32[3] bs = {0.01, 0.02, "
    "0.04}, "
    "i8[3] bz = splat(0), "
    "f32[] ys = splat(0.2), u8[] yz = splat(0) | y = QLinearMatMul (a, as, az, b, bs, bz, ys, yz)",
    NULL,
};

static const char *const qgemm_samples[] = {
    "u8[4,5] a = rand(1), f32[] as = splat(0.02), u8[] az = splat(30), i8[3,5] b = rand(2), f32[3] bs = {0.01, 0.02, "
    "0.04}, i8[3] bz = splat(0), "
    "i32[3] c = rand(3), f32[] ys = splat(0.05), u8[] yz = splat(100) | y = com.microsoft.QGemm <transB = 1> (a, as, "
    "az, "
    "b, bs, bz, c, ys, yz)",
    "u8[5,4] a = rand(1), f32[] as = splat(0.02), u8[] az = splat(30), u8[5,3] b = rand(2), f32[] bs = splat(0.01), u8 "
    "bz = "
    "splat(40) | "
    "y = com.microsoft.QGemm <transA = 1, alpha = 0.5> (a, as, az, b, bs, bz)",
    NULL,
};

static const lt_attr_spec qgemm_attrs[] = {
    { "alpha", LATHE_ATTR_FLOAT, false },
    { "transA", LATHE_ATTR_INT, false },
    { "transB", LATHE_ATTR_INT, false },
    { 0 },
};

LT_OPS(matmul_integer) = {
    { .name = "MatMulInteger",
      .since = 10,
      .traits = LT_OP_ROOT | LT_OP_INTEGER,
      .sig = "(T1 A, T2 B, T1? a_zero_point, T2? b_zero_point) -> (i32 Y); T1: i8 u8, T2: i8 u8",
      .infer = infer_matmul_integer,
      .eval = eval_matmul_integer,
      .eval_at = eval_matmul_integer_at,
      .samples = integer_samples },
    { .name = "QLinearMatMul",
      .since = 21,
      .traits = LT_OP_ROOT | LT_OP_INTEGER,
      .sig = "(T1 a, TS a_scale, T1 a_zero_point, T2 b, TS b_scale, T2 b_zero_point, TS y_scale, T3 y_zero_point) -> "
             "(T3 y); "
             "TS: f32 f16 bf16, T1: i8 u8 f8e4m3fn f8e4m3fnuz f8e5m2 f8e5m2fnuz, T2: i8 u8 f8e4m3fn f8e4m3fnuz f8e5m2 "
             "f8e5m2fnuz, "
             "T3: i8 u8 f8e4m3fn f8e4m3fnuz f8e5m2 f8e5m2fnuz",
      .infer = infer_qlinear_matmul,
      .eval = eval_qlinear_matmul,
      .eval_at = eval_qlinear_matmul_at,
      .samples = qlinear_samples },
    { .name = "QGemm",
      .domain = "com.microsoft",
      .since = 1,
      .traits = LT_OP_ROOT | LT_OP_INTEGER,
      .sig = "(TA A, f32 a_scale, TA a_zero_point, TB B, f32 b_scale, TB b_zero_point, i32? C, f32? y_scale, TYZ? "
             "y_zero_point) -> (TY Y); "
             "TA: u8 i8, TB: u8 i8, TYZ: u8 i8, TY: f32 u8 i8",
      .attrs = qgemm_attrs,
      .infer = infer_qgemm,
      .eval = eval_qgemm,
      .eval_at = eval_qgemm_at,
      .samples = qgemm_samples },
    { 0 },
};
