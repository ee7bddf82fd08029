/*
 * matmul_blocks.c - lathe.MatMulBlocks: A times a matrix that is stored in few bits, with a scale for each block along the inner extent:
 * MatMul (A, DequantizeLinear (B, scale, zero_point)), without the second matrix ever being there in real numbers. Pass fuse-block-weights writes it.
 *
 *   B            [K, N], blocks of `block_size` rows; transB: [N, K], blocks of as many columns
 *   scale        [ceil(K / block_size), N]; transB: [N, ceil(K / block_size)]
 *   zero_point   as scale; absent: 0
 */
#include "ops/nn.h"

static int64_t block_of(const lathe_attr *attrs, size_t n)
{
    return lt_attr_i(attrs, n, "block_size", 0);
}

static int turned(const lathe_attr *attrs, size_t n)
{
    return lt_attr_i(attrs, n, "transB", 0) != 0;
}

/* ---- Inference ---- */

static lathe_status same(lt_infer *c, lt_dim a, lt_dim b, const char *what)
{
    return lt_dim_is_const(a) && lt_dim_is_const(b) && a.k != b.k
               ? lt_infer_fail(c, "%s: %lld where %lld is needed", what, (long long)b.k, (long long)a.k)
               : LATHE_OK;
}

/* Scale or zero point: one for each block of each column. */
static lathe_status check_blocks(lt_infer *c, int i, const char *what)
{
    int t = turned(c->attrs, c->n_attrs);
    lt_dim blocks;
    if (!lt_infer_known_rank(c, i)) {
        return LATHE_OK;
    }
    const lt_type *b = c->in[1], *type = c->in[i];
    if (type->rank != 2) {
        return lt_infer_fail(c, "the %s has rank %d; it must be a matrix", what, type->rank);
    }
    if (b->rank < 0) {
        return LATHE_OK;
    }
    LT_TRY(lt_dim_make(c->dims, LT_DIM_CEILDIV, b->dims[t], lt_dim_const(block_of(c->attrs, c->n_attrs)), &blocks,
                       c->diag));
    LT_TRY(same(c, blocks, type->dims[t], "blocks"));
    return same(c, b->dims[1 - t], type->dims[1 - t], "columns of scales or zero points");
}

static lathe_status infer_blocks(lt_infer *c)
{
    const lt_type *a = c->in[0], *b = c->in[1];
    int t = turned(c->attrs, c->n_attrs);
    lt_dim dims[LATHE_MAX_RANK];
    if (block_of(c->attrs, c->n_attrs) < 1) {
        return lt_infer_fail(c, "attribute 'block_size' is %lld", (long long)block_of(c->attrs, c->n_attrs));
    }
    if (a->rank == 0 || (b->rank >= 0 && b->rank != 2)) {
        return lt_infer_fail(c, "A has rank %d and B rank %d; B must be a matrix, A one or more rows", a->rank,
                             b->rank);
    }
    LT_TRY(check_blocks(c, 2, "scale"));
    LT_TRY(check_blocks(c, 3, "zero point"));
    if (a->rank < 0 || b->rank < 0) {
        return lt_infer_out(c, 0, a->dtype, -1, NULL);
    }
    LT_TRY(same(c, a->dims[a->rank - 1], b->dims[t], "rows of B"));
    lt_infer_meet(c, a->dims[a->rank - 1], b->dims[t]);
    for (int i = 0; i + 1 < a->rank; i++) {
        dims[i] = a->dims[i];
    }
    dims[a->rank - 1] = b->dims[1 - t];
    return lt_infer_out(c, 0, a->dtype, a->rank, dims);
}

/* ---- Evaluation ---- */

typedef struct product {
    const lt_tensor *q, *scale, *zero; /* zero: NULL */
    int64_t m, n, k, block, blocks;
    bool turned;
    lt_nn_matrix a, b; /* b: of `weights` */
} product;

static void read_product(const lt_eval *c, product *p)
{
    const lt_tensor *a = lt_in(c, 0);
    int t = turned(c->attrs, c->n_attrs);
    *p = (product){ .q = lt_in(c, 1), .scale = lt_in(c, 2), .zero = lt_in(c, 3), .m = 1, .turned = t != 0 };
    p->k = p->q->dims[t];
    p->n = p->q->dims[1 - t];
    for (int i = 0; i + 1 < a->rank; i++) {
        p->m *= a->dims[i];
    }
    p->block = block_of(c->attrs, c->n_attrs);
    p->blocks = lt_ceil_div(p->k, p->block);
    p->a = (lt_nn_matrix){ .tensor = a, .row = p->k, .col = 1 };
}

/* One weight, as DequantizeLinear computes it: the difference is rounded to f32, the product to the type of the scale. */
static double weight(const product *p, int64_t k, int64_t n)
{
    int64_t at = p->turned ? n * p->k + k : k * p->n + n,
            param = p->turned ? n * p->blocks + k / p->block : k / p->block * p->n + n;
    double level = lt_load_f64(p->q->dtype, p->q->data, at);
    double zero = p->zero != NULL ? lt_load_f64(p->zero->dtype, p->zero->data, param) : 0.0;
    return lt_nn_round(p->scale->dtype,
                       (double)(float)(level - zero) * lt_load_f64(p->scale->dtype, p->scale->data, param));
}

/* Weights of `count` columns from `first` on, as a matrix of doubles with a column in each row. */
static lathe_status weights(lt_eval *c, product *p, int64_t first, int64_t count, lt_tensor *out)
{
    int64_t dims[2] = { count, p->k };
    LT_TRY(lt_tensor_alloc(c->scratch, out, LATHE_DTYPE_F64, 2, dims, "weights", c->diag));
    for (int64_t j = 0; j < count; j++) {
        for (int64_t k = 0; k < p->k; k++) {
            ((double *)out->data)[j * p->k + k] = weight(p, k, first + j);
        }
    }
    p->b = (lt_nn_matrix){ .tensor = out, .row = 1, .col = p->k };
    return LATHE_OK;
}

static void store(void *user, int64_t row, int64_t col, int64_t count, const double *acc)
{
    lt_tensor *y = user;
    lt_nn_write(y, row * y->dims[y->rank - 1] + col, count, acc);
}

static lathe_status eval_blocks(lt_eval *c)
{
    product p;
    lt_nn_panel work;
    lt_tensor matrix = { .struct_size = sizeof matrix };
    if (lt_tensor_count(lt_out(c, 0)) == 0) {
        return LATHE_OK;
    }
    read_product(c, &p);
    LT_TRY(lt_nn_panel_make(c, p.k, &work));
    LT_TRY(weights(c, &p, 0, p.n, &matrix));
    lt_nn_gemm(&work, p.m, p.n, &p.a, &p.b, store, lt_out(c, 0));
    return LATHE_OK;
}

static lathe_status eval_blocks_at(lt_eval *c, const int64_t *coords, void *out)
{
    product p;
    const lt_tensor *a = lt_in(c, 0);
    int64_t row = 0;
    double sum = 0.0;
    read_product(c, &p);
    for (int i = 0; i + 1 < a->rank; i++) {
        row = row * a->dims[i] + coords[i];
    }
    for (int64_t k = 0; k < p.k; k++) {
        sum += lt_load_f64(a->dtype, a->data, row * p.k + k) * weight(&p, k, coords[a->rank - 1]);
    }
    lt_store_f64(lt_out(c, 0)->dtype, out, 0, sum);
    return LATHE_OK;
}

static const lt_attr_spec attrs_blocks[] = {
    { "block_size", LATHE_ATTR_INT, true },
    { "transB", LATHE_ATTR_INT, false },
    { 0 },
};

static const char *const samples_blocks[] = {
    "f32[3,32] a = rand(1), u4[32,5] b = rand(2), f32[2,5] s = rand(3), u4[2,5] z = rand(4) | y = lathe.MatMulBlocks <block_size = 16> (a, b, s, z)",
    "f32[2,1,20] a = rand(1), i4[6,20] b = rand(2), f32[6,3] s = rand(3) | y = lathe.MatMulBlocks <block_size = 8, transB = 1> (a, b, s)",
    "f32[7] a = rand(1), u8[7,4] b = rand(2), f32[1,4] s = rand(3), u8[1,4] z = splat(128) | y = lathe.MatMulBlocks <block_size = 7> (a, b, s, z)",
    "f32[5,24] a = rand(1), i8[3,24] b = rand(2), f32[3,5] s = rand(3), i8[3,5] z = rand(4) | y = lathe.MatMulBlocks <block_size = 5, transB = 1> (a, b, s, z)",
    "f32[2,33] a = rand(1), u2[33,6] b = rand(2), f32[3,6] s = rand(3), u2[3,6] z = rand(4) | y = lathe.MatMulBlocks <block_size = 16> (a, b, s, z)",
    "f32[2,16] a = rand(1), i2[4,16] b = rand(2), f32[4,1] s = rand(3) | y = lathe.MatMulBlocks <block_size = 16, transB = 1> (a, b, s)",
    "f16[2,16] a = rand(1), i4[4,16] b = rand(2), f16[4,1] s = rand(3) | y = lathe.MatMulBlocks <block_size = 16, transB = 1> (a, b, s)",
    "bf16[2,16] a = rand(1), u4[16,4] b = rand(2), bf16[2,4] s = rand(3) | y = lathe.MatMulBlocks <block_size = 8> (a, b, s)",
    "f64[2,16] a = rand(1), u4[16,4] b = rand(2), f64[2,4] s = rand(3) | y = lathe.MatMulBlocks <block_size = 8> (a, b, s)",
    "f32[0,16] a = rand(1), u4[16,4] b = rand(2), f32[2,4] s = rand(3) | y = lathe.MatMulBlocks <block_size = 8> (a, b, s)",
    "f32[2,0] a = rand(1), u4[0,4] b = rand(2), f32[0,4] s = rand(3) | y = lathe.MatMulBlocks <block_size = 8> (a, b, s)",
    NULL,
};

LT_OPS(matmul_blocks) = {
    { .name = "MatMulBlocks",
      .domain = "lathe",
      .since = 1,
      .traits = LT_OP_ROOT,
      .sig = "(T A, Q B, T scale, Q? zero_point) -> (T Y); T: float, Q: u8 i8 u4 i4 u2 i2",
      .attrs = attrs_blocks,
      .infer = infer_blocks,
      .eval = eval_blocks,
      .eval_at = eval_blocks_at,
      .samples = samples_blocks },
    { 0 },
};
