/*
 * gemm_tactics.c - driver of gemm.f32: MatMul with broadcast batches and Gemm with its transpositions and factors, f32, any epilogue. A constant right matrix
 * comes packed in panels ("gemm.b.f32"); others are packed as they are reached.
 */
#include "backend/cpu/drivers.h"
#include "backend/cpu/matmul_shape.h"
#include "backend/cpu/product.h"
#include <string.h>

typedef struct operands {
    lt_matmul s;
    const char *a, *b;
    lathe_dtype type;
    size_t size; /* bytes of an element */
    bool packed;
} operands;

/* ---- Shapes ---- */

bool lt_is_gemm(const lathe_problem *p)
{
    return strcmp(p->op, "Gemm") == 0;
}

bool lt_gemm_flag(const lathe_problem *p, const char *name)
{
    return lt_is_gemm(p) && lt_attr_i(p->attrs, p->n_attrs, name, 0) != 0;
}

/* Batch axes of a and b broadcast; false when they do not match. */
static bool read_batches(int ra, const int64_t *a, int rb, const int64_t *b, lt_matmul *s)
{
    int64_t na = 1, nb = 1;
    s->rank = ra > rb ? ra : rb;
    s->batches = 1;
    for (int i = s->rank; i-- > 0;) {
        int64_t da = i - (s->rank - ra) >= 0 ? a[i - (s->rank - ra)] : 1,
                db = i - (s->rank - rb) >= 0 ? b[i - (s->rank - rb)] : 1;
        if (da != db && da != 1 && db != 1) {
            return false;
        }
        s->batch[i] = da == 1 ? db : da;
        s->a_step[i] = da == 1 ? 0 : na;
        s->b_step[i] = db == 1 ? 0 : nb;
        na *= da;
        nb *= db;
        s->batches *= s->batch[i];
    }
    s->b_matrices = nb;
    return true;
}

/* false: the extents do not go together. */
bool lt_matmul_read(const lathe_problem *p, int ra, const int64_t *a, int rb, const int64_t *b, lt_matmul *s)
{
    bool ta = lt_gemm_flag(p, "transA"), tb = lt_gemm_flag(p, "transB");
    if (!lt_extents_sane(ra, a) || !lt_extents_sane(rb, b)) {
        return false;
    }
    if (ra < 1 || rb < 1 || (lt_is_gemm(p) && (ra != 2 || rb != 2))) {
        return false;
    }
    int64_t a_rows = ra > 1 ? a[ra - 2] : 1, a_cols = a[ra - 1], b_rows = rb > 1 ? b[rb - 2] : b[0],
            b_cols = rb > 1 ? b[rb - 1] : 1;
    s->m = ta ? a_cols : a_rows;
    s->k = ta ? a_rows : a_cols;
    s->n = tb ? b_rows : b_cols;
    s->a_row = ta ? 1 : a_cols;
    s->a_col = ta ? a_cols : 1;
    s->b_row = tb ? 1 : b_cols;
    s->b_col = tb ? b_cols : 1;
    if ((tb ? b_cols : b_rows) != s->k || !read_batches(ra > 2 ? ra - 2 : 0, a, rb > 2 ? rb - 2 : 0, b, s)) {
        return false;
    }
    if (s->b_matrices == 1 && s->a_col == 1 && s->batches > 1) { /* one right matrix: all rows in one product */
        int64_t na = 1;
        for (int i = 0; i < s->rank; i++) {
            na *= s->a_step[i] ? s->batch[i] : 1;
        }
        if (na == s->batches) {
            s->m *= na;
            s->batches = 1;
            s->rank = 0;
        }
    }
    return true;
}

void lt_matmul_at(const lt_matmul *s, int64_t batch, int64_t *a, int64_t *b)
{
    *a = *b = 0;
    for (int i = s->rank; i-- > 0;) {
        int64_t c = batch % s->batch[i];
        batch /= s->batch[i];
        *a += c * s->a_step[i];
        *b += c * s->b_step[i];
    }
}

static double opt_of(const lathe_operand *o, int axis)
{
    return axis >= 0 && axis < o->rank ? (double)o->dims[axis].opt : 1;
}

void lt_matmul_opt(const lathe_problem *problem, const lathe_operand *a, const lathe_operand *b, double *m, double *n,
                   double *k)
{
    bool ta = lt_gemm_flag(problem, "transA"), tb = lt_gemm_flag(problem, "transB");
    *k = ta ? opt_of(a, 0) : opt_of(a, a->rank - 1);
    *n = b->rank == 1 ? 1 : tb ? opt_of(b, 0) : opt_of(b, b->rank - 1);
    *m = *n > 0 ? lt_operand_elements(&problem->out[0]) / *n : 0;
}

bool lt_gemm_addend(const lathe_buffer *c, int64_t m, int64_t n, int64_t *row, int64_t *col)
{
    int64_t cols = c->rank > 0 ? c->dims[c->rank - 1] : 1, rows_of = c->rank > 1 ? c->dims[0] : 1;
    *col = cols != 1;
    *row = rows_of != 1 ? cols : 0;
    return c->rank <= 2 && (cols == 1 || cols == n) && (rows_of == 1 || rows_of == m);
}

/* ---- Rows and panels ---- */

static const float *rows(const lt_product *p, int64_t batch, int64_t first, int count, float *buffer, int64_t *lda)
{
    const operands *o = p->user;
    int64_t at, unused;
    lt_matmul_at(&o->s, batch, &at, &unused);
    int64_t matrix = o->s.a_col == 1 ? p->m * o->s.a_row : p->m * p->k, start = at * matrix + first * o->s.a_row;
    if (!p->rows_built) {
        *lda = o->s.a_row;
        return (const float *)(const void *)o->a + start;
    }
    *lda = p->k;
    for (int64_t i = 0; i < count; i++, start += o->s.a_row) { /* transposed, or widened */
        if (o->s.a_col == 1) {
            p->isa->widen16(buffer + i * p->k, (const uint16_t *)(const void *)o->a + start, o->type, p->k);
        } else {
            for (int64_t k = 0; k < p->k; k += LT_TILE) {
                int n = p->k - k < LT_TILE ? (int)(p->k - k) : LT_TILE;
                lt_tile_fetch(o->type, buffer + i * p->k + k, 0, o->a, start + k * o->s.a_col, o->s.a_col, n);
            }
        }
    }
    return buffer;
}

static const float *panels(const lt_product *p, int64_t batch, int64_t first, int64_t count, float *buffer)
{
    const operands *o = p->user;
    int64_t unused, at, nr = p->isa->nr;
    lt_matmul_at(&o->s, batch, &unused, &at);
    if (o->packed) {
        return (const float *)(const void *)o->b + (at * ((p->n + nr - 1) / nr) + first) * p->k * nr;
    }
    lt_pack_panels(buffer, o->type, o->b + (size_t)(at * p->k * p->n) * o->size, o->s.b_row, o->s.b_col, p->k, p->n,
                   (int)nr, first, count);
    return buffer;
}

/* ---- The pack: panels of nr columns, matrix after matrix. param: nr, transposed ---- */

static bool pack_shape(const lathe_tensor *t, const int64_t param[4], int64_t *matrices, int64_t *k, int64_t *n)
{
    if (lt_lane_of(t->dtype) != LT_LANE_F32 || t->rank < 1 || param[0] < 1 || param[0] > LT_GEMM_NR ||
        (param[1] && t->rank != 2)) {
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
    size_t bytes;
    if (!pack_shape(t, param, &matrices, &k, &n) ||
        !lt_i64_mul(matrices, (n + param[0] - 1) / param[0] * param[0], &count) || !lt_i64_mul(count, k, &count) ||
        !lt_size_mul((size_t)count, sizeof(float), &bytes)) {
        return 0;
    }
    return bytes;
}

static void pack(void *dst, const lathe_tensor *t, const int64_t param[4])
{
    int64_t matrices, k, n, nr = param[0];
    if (!pack_shape(t, param, &matrices, &k, &n)) {
        return;
    }
    int64_t all = (n + nr - 1) / nr;
    for (int64_t i = 0; i < matrices; i++) {
        const char *from = (const char *)t->data + (size_t)(i * k * n) * (lathe_dtype_bits(t->dtype) / 8);
        lt_pack_panels((float *)dst + i * all * nr * k, t->dtype, from, param[1] ? 1 : n, param[1] ? k : 1, k, n,
                       (int)nr, 0, all);
    }
}

static void unpack(lathe_tensor *dst, const void *packed, const int64_t param[4])
{
    int64_t matrices, k, n, nr = param[0];
    if (!pack_shape(dst, param, &matrices, &k, &n)) {
        return;
    }
    int64_t all = (n + nr - 1) / nr, row = param[1] ? 1 : n, col = param[1] ? k : 1;
    for (int64_t i = 0; i < matrices; i++) {
        const float *from = (const float *)packed + i * all * nr * k;
        for (int64_t p = 0; p < k; p++) {
            for (int64_t j = 0; j < n; j++) {
                lt_tile_put(dst->dtype, dst->data, i * k * n + p * row + j * col, 1,
                            from + (j / nr * k + p) * nr + j % nr, 0, 1);
            }
        }
    }
}

LT_PACKS(gemm) = {
    { .name = "gemm.b.f32",
      .version = 1,
      .summary = "right matrices in panels of param[0] columns; param[1]: stored transposed",
      .bytes = pack_bytes,
      .pack = pack,
      .unpack = unpack },
    { .name = NULL },
};

/* ---- The driver ---- */

/* Addend of a Gemm: f32 of rank 0 to 2. */
static bool addend_ok(const lathe_problem *p)
{
    const lathe_operand *c = lt_root_operand(p, 2, NULL);
    return !c || (lt_is_gemm(p) && c->rank <= 2);
}

int lt_gemm_fits(const lt_cpu_isa *isa, const lathe_problem *problem, uint32_t config, lathe_fit *fit)
{
    uint16_t a_number, b_number;
    (void)config;
    if (!lt_root_fits(problem, true, fit)) {
        return 0;
    }
    const lathe_operand *a = lt_root_operand(problem, 0, &a_number), *b = lt_root_operand(problem, 1, &b_number);
    if (a->rank < 1 || b->rank < 1 || (lt_is_gemm(problem) && (a->rank != 2 || b->rank != 2)) || !addend_ok(problem)) {
        return lt_no(fit, "ranks %d and %d", a->rank, b->rank);
    }
    bool ta = lt_gemm_flag(problem, "transA"), tb = lt_gemm_flag(problem, "transB"),
         packed = lt_root_packable(problem, 1);
    double m, n, k;
    lt_matmul_opt(problem, a, b, &m, &n, &k);
    if (packed) {
        fit->pack[b_number] = "gemm.b.f32";
        fit->pack_param[b_number][0] = isa->nr;
        fit->pack_param[b_number][1] = tb;
    }
    lt_tile_formats(problem, NULL, fit);
    if (a->rank > 1 && b->rank > 1) { /* rows of the result are rows of the product */
        lt_tile_rows_apart(problem, fit);
        fit->pitched_in |= !ta && a_number != b_number && a_number < 64 ? (uint64_t)1 << a_number : 0;
    }
    double panels_built = 1;
    for (int i = 0; i < b->rank; i++) {
        panels_built *= opt_of(b, i);
    }
    fit->cost = lt_product_cost_along(isa, problem, problem->out[0].rank - 1, m, n, k,
                                      (packed ? 0 : panels_built * (tb ? 2 : 1)) + (ta ? 2 * m * k : 0) +
                                          (a->dtype != LATHE_DTYPE_F32 ? m * k : 0));
    return 1;
}

static lathe_status describe(const lt_cpu_isa *isa, const lathe_problem *problem, const lathe_buffer *in, operands *o,
                             lt_product *p, lathe_diag *diag)
{
    uint16_t na, nb;
    (void)lt_root_operand(problem, 0, &na);
    (void)lt_root_operand(problem, 1, &nb);
    if (!lt_matmul_read(problem, in[na].rank, in[na].dims, in[nb].rank, in[nb].dims, &o->s)) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, problem->op, NULL, "the matrices do not go together");
    }
    o->a = in[na].data;
    o->b = in[nb].data;
    o->packed = lt_root_packable(problem, 1);
    o->type = lt_root_type(problem);
    o->size = lathe_dtype_bits(o->type) / 8;
    o->s.a_row = o->s.a_col == 1 ? lt_row_step(&in[na], o->s.a_row, o->size) : o->s.a_row;
    *p = (lt_product){ .isa = isa,
                       .batch = o->s.batches,
                       .m = o->s.m,
                       .n = o->s.n,
                       .k = o->s.k,
                       .rows = rows,
                       .panels = panels,
                       .user = o,
                       .type = o->type,
                       .rows_built = o->s.a_col != 1 || o->type != LATHE_DTYPE_F32,
                       .panels_built = !o->packed,
                       .alpha = 1,
                       .beta = 1,
                       .addend_period = 1 };
    return LATHE_OK;
}

size_t lt_gemm_scratch(const lt_cpu_isa *isa, const lathe_problem *problem, uint32_t config, const lathe_buffer *in,
                       const lathe_buffer *out, int threads)
{
    operands o;
    lt_product p;
    (void)config, (void)out;
    return describe(isa, problem, in, &o, &p, NULL) == LATHE_OK ? lt_product_scratch(&p, problem, threads) : 0;
}

static lathe_status describe_addend(const lathe_call *call, lt_product *p, lathe_diag *diag)
{
    const lathe_problem *problem = call->problem;
    uint16_t number;
    if (!lt_is_gemm(problem)) {
        return LATHE_OK;
    }
    p->alpha = lt_attr_f(problem->attrs, problem->n_attrs, "alpha", 1.0f);
    p->beta = lt_attr_f(problem->attrs, problem->n_attrs, "beta", 1.0f);
    if (!lt_root_operand(problem, 2, &number) || p->beta == 0.0f) {
        return LATHE_OK;
    }
    const lathe_buffer *c = &call->in[number];
    if (!lt_gemm_addend(c, p->m, p->n, &p->addend_row, &p->addend_col)) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, "Gemm", NULL, "C does not broadcast to the product");
    }
    p->addend = c->data;
    return LATHE_OK;
}

lathe_status lt_gemm_run(const lt_cpu_isa *isa, const lathe_gang *gang, const lathe_call *call, lathe_diag *diag)
{
    operands o;
    lt_product p;
    LT_TRY(describe(isa, call->problem, call->in, &o, &p, diag));
    LT_TRY(describe_addend(call, &p, diag));
    return lt_product_run(&p, gang, call, diag);
}
