/*
 * gemm_q8.c - driver of gemm.q8: quantized MatMul and Gemm, and MatMulInteger. Rows of the left matrix are widened with their zero point taken off; the right matrix stays as
 * it is stored (packed in pairs, "gemm.b.i8", when it is constant), and its zero points are taken off the sums.
 */
#include "backend/cpu/drivers.h"
#include "backend/cpu/matmul_shape.h"
#include "backend/cpu/q8.h"
#include <string.h>

typedef struct operands {
    lt_matmul s;
    lt_q8_finish f;
    const uint8_t *a, *b;
    bool packed, a_signed, b_signed;
    int64_t a_zeros, b_zeros; /* zero points, one for each row or column of a matrix or of all of them in turn */
} operands;

static const float *rows(const lt_product *p, int64_t batch, int64_t first, int count, float *buffer, int64_t *lda)
{
    const operands *o = p->user;
    int64_t at, unused;
    lt_matmul_at(&o->s, batch, &at, &unused);
    const uint8_t *a = o->a + (at * p->m + first) * o->s.k;
    const lt_q8_slot *x = &o->f.q.x;
    *lda = p->k + p->row_extra;
    for (int i = 0; i < count; i++) {
        int16_t *dst = (int16_t *)(buffer + i * *lda);
        if (p->k > 0) {
            dst[2 * p->k - 1] = 0;
        }
        int32_t zero = lt_q8_zero(&x->zero, x->dtype, o->f.in, (at * p->m + first + i) % o->a_zeros);
        p->isa->widen8(dst, a + i * o->s.k, o->a_signed, zero, o->s.k);
        uint32_t sum = 0;
        for (int64_t k = 0; k < o->s.k; k++) {
            sum += (uint32_t)dst[k];
        }
        memcpy(buffer + i * *lda + p->k, &sum, sizeof sum); /* for the zero points of b */
    }
    return buffer;
}

/* Panels of pairs: element (2p, j) in the low half of [p][j], (2p + 1, j) in the high one. row and col: strides of b. */
static void pack_pairs(int32_t *dst, const uint8_t *b, bool is_signed, int64_t row, int64_t col, int64_t k, int64_t n,
                       int nr, int64_t first, int64_t count)
{
    for (int64_t j0 = first * nr; j0 < (first + count) * nr; j0 += nr) {
        for (int64_t p = 0; p < k; p += 2, dst += nr) {
            for (int j = 0; j < nr; j++) {
                uint32_t pair[2] = { 0, 0 };
                for (int h = 0; h < 2 && p + h < k && j0 + j < n; h++) {
                    uint8_t v = b[(p + h) * row + (j0 + j) * col];
                    pair[h] = (uint32_t)(is_signed ? (int8_t)v : v);
                }
                dst[j] = (int32_t)((pair[0] & 0xffff) | pair[1] << 16);
            }
        }
    }
}

static const float *panels(const lt_product *p, int64_t batch, int64_t first, int64_t count, float *buffer)
{
    const operands *o = p->user;
    int64_t unused, at, nr = p->isa->nr;
    lt_matmul_at(&o->s, batch, &unused, &at);
    if (o->packed) {
        return (const float *)(const void *)o->b + (at * ((p->n + nr - 1) / nr) + first) * p->k * nr;
    }
    pack_pairs((int32_t *)buffer, o->b + at * o->s.k * p->n, o->b_signed, o->s.b_row, o->s.b_col, o->s.k, p->n, (int)nr,
               first, count);
    return buffer;
}

/* The zero points of columns; false: all are 0. */
static bool column_zeros(const operands *o, int64_t batch, int64_t col, int cols, uint32_t *zeros)
{
    uint32_t any = 0;
    int64_t unused, at;
    lt_matmul_at(&o->s, batch, &unused, &at);
    for (int j = 0; j < cols; j++) {
        zeros[j] = (uint32_t)lt_q8_zero(&o->f.q.w.zero, o->f.q.w.dtype, o->f.in, (at * o->s.n + col + j) % o->b_zeros);
        any |= zeros[j];
    }
    return any != 0;
}

/* Sums that are results themselves: just the zero points of columns are taken off. */
static void finish_sums(const operands *o, uint32_t *tile, const uint32_t *zeros, int rows_of, int cols, int nr,
                        const float *a, int64_t lda)
{
    for (int i = 0; i < rows_of; i++, tile += nr, a += lda) {
        uint32_t sum;
        memcpy(&sum, a + (o->s.k + 1) / 2, sizeof sum);
        for (int j = 0; j < cols; j++) {
            tile[j] -= zeros[j] * sum;
        }
    }
}

static void finish(const lt_product *p, void *tile, int64_t batch, int64_t row, int64_t col, int rows_of, int cols,
                   const float *a, int64_t lda)
{
    const operands *o = p->user;
    _Alignas(64) int32_t offset[LT_GEMM_NR] = { 0 }, here[LT_GEMM_NR] = { 0 };
    _Alignas(64) float scale[LT_GEMM_NR] = { 0 }, bias[LT_GEMM_NR] = { 0 };
    uint32_t zeros[LT_GEMM_NR];
    int nr = p->isa->nr;
    bool any = column_zeros(o, batch, col, cols, zeros);
    if (o->f.q.sums) {
        finish_sums(o, tile, zeros, any ? rows_of : 0, cols, nr, a, lda);
        return;
    }
    for (int i = 0; i < rows_of; i++) {
        float *line = (float *)tile + i * nr;
        uint32_t sum;
        if (i == 0 || o->f.bias_row != 0) {
            lt_q8_line(&o->f, batch, row + i, col, cols, offset, scale, bias);
        }
        memcpy(&sum, a + i * lda + p->k, sizeof sum);
        for (int j = 0; any && j < cols; j++) {
            here[j] = (int32_t)((uint32_t)offset[j] - zeros[j] * sum);
        }
        p->isa->rescale(line, (const int32_t *)line, any ? here : offset, scale, bias, nr);
    }
}

static void prepared(const lt_product *p, lt_tile_program *program)
{
    lt_q8_prepared(&((const operands *)p->user)->f, program);
}

/* ---- The pack. param: nr, transposed ---- */

static bool pack_shape(const lathe_tensor *t, const int64_t param[4], int64_t *matrices, int64_t *k, int64_t *n)
{
    if ((t->dtype != LATHE_DTYPE_U8 && t->dtype != LATHE_DTYPE_I8) || t->rank < 1 || param[0] < 1 ||
        param[0] > LT_GEMM_NR || (param[1] && t->rank != 2)) {
        return false;
    }
    int64_t last = t->rank > 1 ? t->dims[t->rank - 1] : 1, before = t->rank > 1 ? t->dims[t->rank - 2] : t->dims[0];
    *k = param[1] ? last : before;
    *n = param[1] ? before : last;
    return lt_dims_count(t->dims, t->rank > 2 ? t->rank - 2 : 0, matrices) && *k > 0 && *n > 0;
}

static size_t pack_bytes(const lathe_tensor *t, const int64_t param[4])
{
    int64_t matrices, k, n, count;
    size_t size;
    if (!pack_shape(t, param, &matrices, &k, &n) ||
        !lt_i64_mul(matrices, (n + param[0] - 1) / param[0] * param[0], &count) ||
        !lt_i64_mul(count, (k + 1) / 2, &count) || !lt_size_mul((size_t)count, sizeof(int32_t), &size)) {
        return 0;
    }
    return size;
}

static void pack(void *dst, const lathe_tensor *t, const int64_t param[4])
{
    int64_t matrices, k, n, nr = param[0];
    if (!pack_shape(t, param, &matrices, &k, &n)) {
        return;
    }
    int64_t all = (n + nr - 1) / nr, row = param[1] ? 1 : n, col = param[1] ? k : 1;
    for (int64_t i = 0; i < matrices; i++) {
        pack_pairs((int32_t *)dst + i * all * nr * ((k + 1) / 2), (const uint8_t *)t->data + i * k * n,
                   t->dtype == LATHE_DTYPE_I8, row, col, k, n, (int)nr, 0, all);
    }
}

static void unpack(lathe_tensor *dst, const void *packed, const int64_t param[4])
{
    int64_t matrices, k, n, nr = param[0];
    if (!pack_shape(dst, param, &matrices, &k, &n)) {
        return;
    }
    int64_t all = (n + nr - 1) / nr, pairs = (k + 1) / 2, row = param[1] ? 1 : n, col = param[1] ? k : 1;
    for (int64_t i = 0; i < matrices; i++) {
        uint8_t *to = (uint8_t *)dst->data + i * k * n;
        const uint32_t *from = (const uint32_t *)packed + i * all * nr * pairs;
        for (int64_t p = 0; p < k; p++) {
            for (int64_t j = 0; j < n; j++) {
                to[p * row + j * col] = (uint8_t)(from[(j / nr * pairs + p / 2) * nr + j % nr] >> (p % 2 * 16));
            }
        }
    }
}

LT_PACKS(gemm_q8) = {
    { .name = "gemm.b.i8",
      .version = 1,
      .summary =
          "8-bit right matrices as pairs of 16-bit numbers in panels of param[0] columns; param[1]: stored transposed",
      .bytes = pack_bytes,
      .pack = pack,
      .unpack = unpack },
    { .name = NULL },
};

/* ---- The driver ---- */

/* The constant right matrix is loaded by its prologue alone. */
static bool packable(const lathe_problem *p, const lt_q8 *q)
{
    const lathe_operand *b = &p->in[q->w.operand];
    int loads = 0;
    for (size_t i = 0; i < p->n_instrs; i++) {
        loads += p->instrs[i].op == LATHE_PW_LOAD && p->instrs[i].operand == q->w.operand;
    }
    for (size_t i = 0; i < p->n_root_in; i++) {
        loads += p->root_in[i] == q->w.operand;
    }
    for (int d = 0; d < b->rank; d++) {
        loads += b->dims[d].min != b->dims[d].max || b->dims[d].min < 1;
    }
    return loads == 1 && (b->flags & LATHE_OPERAND_CONSTANT) && !(b->flags & LATHE_OPERAND_HOST);
}

static int w_axis(const lathe_problem *p, const lt_q8 *q)
{
    return lt_gemm_flag(p, "transB") ? 0 : p->in[q->w.operand].rank - 1;
}

int lt_gemm_q8_fits(const lt_cpu_isa *isa, const lathe_problem *problem, uint32_t config, lathe_fit *fit)
{
    lt_q8 q;
    (void)config;
    if (!lt_q8_read(problem, fit, &q)) {
        return 0;
    }
    const lathe_operand *a = &problem->in[q.x.operand], *b = &problem->in[q.w.operand];
    const lathe_operand *c = q.bias.operand != 0xffff ? &problem->in[q.bias.operand] : NULL;
    int inner = a->rank > 0 ? a->rank - 1 : 0;
    if (!lt_q8_fits(&q, w_axis(problem, &q), c ? c->rank - 1 : -1, a->rank > 0 ? (double)a->dims[inner].max : 1, fit)) {
        return 0;
    }
    if (lt_gemm_flag(problem, "transA") || a->rank < 1 || b->rank < 1 ||
        (b->rank == 1 && (q.w.scale.axis >= 0 || q.w.zero.axis >= 0))) {
        return lt_no(fit, "the left matrix is transposed, or a vector has scales of its own");
    }
    if ((lt_is_gemm(problem) && (a->rank != 2 || b->rank != 2)) || (c && (!lt_is_gemm(problem) || c->rank > 2))) {
        return lt_no(fit, "ranks %d and %d", a->rank, b->rank);
    }
    double m, n, k;
    lt_matmul_opt(problem, a, b, &m, &n, &k);
    bool packed = packable(problem, &q);
    if (packed) {
        fit->pack[q.w.operand] = "gemm.b.i8";
        fit->pack_param[q.w.operand][0] = isa->nr;
        fit->pack_param[q.w.operand][1] = lt_gemm_flag(problem, "transB");
    }
    lt_tile_formats(problem, NULL, fit);
    fit->cost = lt_product_cost(isa, problem, m, n, k, (packed ? 0 : 4 * n * k) + m * k) + m * n * 0.1;
    return 1;
}

static lathe_status describe(const lt_cpu_isa *isa, const lathe_problem *problem, const lathe_buffer *in, operands *o,
                             lt_product *p, lathe_diag *diag)
{
    lathe_fit fit = { .struct_size = sizeof fit };
    lt_q8 q;
    LT_CHECK(diag, lt_q8_read(problem, &fit, &q), problem->op);
    const lathe_buffer *a = &in[q.x.operand], *b = &in[q.w.operand];
    *o = (operands){ .packed = packable(problem, &q),
                     .a_signed = q.x.dtype == LATHE_DTYPE_I8,
                     .b_signed = q.w.dtype == LATHE_DTYPE_I8 };
    if (!lt_matmul_read(problem, a->rank, a->dims, b->rank, b->dims, &o->s)) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, problem->op, NULL, "the matrices do not go together");
    }
    o->f.q = q;
    *p = (lt_product){ .isa = isa,
                       .batch = o->s.batches,
                       .m = o->s.m,
                       .n = o->s.n,
                       .k = (o->s.k + 1) / 2,
                       .rows = rows,
                       .panels = panels,
                       .rows_built = true,
                       .panels_built = !o->packed,
                       .row_extra = 1,
                       .user = o,
                       .alpha = 1,
                       .beta = 1,
                       .addend_period = 1,
                       .kernels = isa->gemm16,
                       .finish = finish,
                       .prepared = prepared };
    return LATHE_OK;
}

size_t lt_gemm_q8_scratch(const lt_cpu_isa *isa, const lathe_problem *problem, uint32_t config, const lathe_buffer *in,
                          const lathe_buffer *out, int threads)
{
    operands o;
    lt_product p;
    (void)config, (void)out;
    return describe(isa, problem, in, &o, &p, NULL) == LATHE_OK ? lt_product_scratch(&p, problem, threads) : 0;
}

/* One zero point for each row or column of one matrix, or of every matrix of the operand. */
static bool zeros_good(const lt_q8 *q, const lathe_buffer *in, operands *o)
{
    const lathe_buffer *a = &in[q->x.operand];
    int64_t rows = a->rank > 1 ? a->dims[a->rank - 2] : 1, all_rows = rows;
    for (int i = 0; i + 2 < a->rank; i++) {
        all_rows *= a->dims[i];
    }
    o->a_zeros = q->x.zero.axis < 0 ? 1 : lt_q8_count(&q->x.zero, in);
    o->b_zeros = q->w.zero.axis < 0 ? 1 : lt_q8_count(&q->w.zero, in);
    return (o->a_zeros == 1 || o->a_zeros == rows || o->a_zeros == all_rows) &&
           (o->b_zeros == 1 || o->b_zeros == o->s.n || o->b_zeros == o->s.n * o->s.b_matrices);
}

lathe_status lt_gemm_q8_run(const lt_cpu_isa *isa, const lathe_gang *gang, const lathe_call *call, lathe_diag *diag)
{
    operands o;
    lt_product p;
    const lathe_buffer *in = call->in;
    const lathe_problem *problem = call->problem;
    LT_TRY(describe(isa, problem, in, &o, &p, diag));
    const lt_q8 *q = &o.f.q;
    bool good = lt_q8_covers(&q->w.scale, in, p.n) && zeros_good(q, in, &o);
    lt_q8_finish_make(problem, in, &o.f);
    if (lt_is_gemm(problem)) {
        o.f.alpha = lt_attr_f(problem->attrs, problem->n_attrs, "alpha", 1.0f);
        o.f.beta = lt_attr_f(problem->attrs, problem->n_attrs, "beta", 1.0f);
    }
    if (q->bias.operand != 0xffff) {
        const lathe_buffer *c = &in[q->bias.operand];
        int64_t cols = c->rank > 0 ? c->dims[c->rank - 1] : 1;
        good = good && lt_gemm_addend(c, p.m, p.n, &o.f.bias_row, &o.f.bias_col) && lt_q8_covers(&q->bias.scale, in, cols) &&
               lt_q8_covers(&q->bias.zero, in, cols);
        good = good && (cols == p.n || (q->bias.scale.axis < 0 && q->bias.zero.axis < 0));
    }
    if (!good) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, problem->op, NULL, "scales, zero points or C do not go with the product");
    }
    o.a = in[q->x.operand].data;
    o.b = in[q->w.operand].data;
    return lt_product_run(&p, gang, call, diag);
}
