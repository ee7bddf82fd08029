/*
 * nn_gemm.c - matrix products of the reference: panels of columns are converted to double once, rows walk over them.
 * The order of each sum is k = 0, 1, 2, ... so that single elements (eval_at) have the same bits. Used by MatMul,
 * Gemm, their quantized forms and by convolution.
 */
#include "ops/nn.h"

#include <string.h>

/* One row: the columns are the inner loop, of constant length. */
static void dot_row(const double *a, int64_t k_count, const double *panel, double acc[LT_NN_COLS])
{
    for (int64_t k = 0; k < k_count; k++) {
        double x = a[k];
        const double *b = &panel[k * LT_NN_COLS];
        for (int j = 0; j < LT_NN_COLS; j++) {
            acc[j] += x * b[j];
        }
    }
}

/* Four rows share the loads of the panel. */
static void dot_four(const double *a, int64_t k_count, const double *panel, double acc[LT_NN_ROWS][LT_NN_COLS])
{
    for (int64_t k = 0; k < k_count; k++) {
        double x0 = a[k], x1 = a[k_count + k], x2 = a[2 * k_count + k], x3 = a[3 * k_count + k];
        const double *b = &panel[k * LT_NN_COLS];
        for (int j = 0; j < LT_NN_COLS; j++) {
            acc[0][j] += x0 * b[j];
            acc[1][j] += x1 * b[j];
            acc[2][j] += x2 * b[j];
            acc[3][j] += x3 * b[j];
        }
    }
}

void lt_nn_dot(const double *a, int rows, int64_t k_count, const double *panel, double acc[LT_NN_ROWS][LT_NN_COLS])
{
    memset(acc, 0, sizeof(double) * LT_NN_ROWS * LT_NN_COLS);
    if (rows == LT_NN_ROWS) {
        dot_four(a, k_count, panel, acc);
        return;
    }
    for (int r = 0; r < rows; r++) {
        dot_row(&a[r * k_count], k_count, panel, acc[r]);
    }
}

static double element(const lt_nn_matrix *m, int64_t i, int64_t j)
{
    double zero = m->zero != NULL ? m->zero[i * m->zero_row + j * m->zero_col] : 0.0;
    return lt_load_f64(m->tensor->dtype, m->tensor->data, m->first + i * m->row + j * m->col) - zero;
}

/* Row i as doubles. */
static void read_row(const lt_nn_matrix *m, int64_t i, int64_t count, double *out)
{
    lt_nn_read(m->tensor, m->first + i * m->row, m->col, count, out);
    for (int64_t j = 0; j < count && m->zero != NULL; j++) {
        out[j] -= m->zero[i * m->zero_row + j * m->zero_col];
    }
}

/* The same elements with rows and columns exchanged. */
static lt_nn_matrix transpose(const lt_nn_matrix *m)
{
    lt_nn_matrix turned = *m;
    turned.row = m->col;
    turned.col = m->row;
    turned.zero_row = m->zero_col;
    turned.zero_col = m->zero_row;
    return turned;
}

/* Columns col .. col + count of all k rows; what is left of the panel is not read back. line holds k doubles. */
static void read_panel(const lt_nn_matrix *m, int64_t k, int64_t col, int64_t count, double *line, double *panel)
{
    lt_nn_matrix part = *m;
    part.first += col * m->col;
    part.zero = m->zero != NULL ? m->zero + col * m->zero_col : NULL;
    if (m->row != 1 || m->col == 1) {
        for (int64_t i = 0; i < k; i++) {
            read_row(&part, i, count, &panel[i * LT_NN_COLS]);
        }
        return;
    }
    lt_nn_matrix turned = transpose(&part); /* columns are contiguous: read along them */
    for (int64_t j = 0; j < count; j++) {
        read_row(&turned, j, k, line);
        for (int64_t i = 0; i < k; i++) {
            panel[i * LT_NN_COLS + j] = line[i];
        }
    }
}

lathe_status lt_nn_panel_make(lt_eval *c, int64_t k, lt_nn_panel *out)
{
    int64_t size;
    if (!lt_i64_mul(k, LT_NN_COLS, &size)) {
        return LT_FAIL(c->diag, LATHE_OVERFLOW, c->where, NULL, "%s: the inner extent overflows", c->op->name);
    }
    *out = (lt_nn_panel){
        .k = k, .panel = lt_nn_scratch(c, size), .rows = lt_nn_scratch(c, k * LT_NN_ROWS), .line = lt_nn_scratch(c, k)
    };
    return out->panel == NULL || out->rows == NULL || out->line == NULL ? LT_OOM(c->diag) : LATHE_OK;
}

/*
 * Few rows times contiguous columns (a fully connected layer of one image): each column is read once and used at once.
 */
static void multiply_narrow(const lt_nn_panel *work, int64_t m, int64_t n, const lt_nn_matrix *a, const lt_nn_matrix *b,
                            lt_nn_emit emit, void *user)
{
    lt_nn_matrix turned = transpose(b);
    for (int64_t i = 0; i < m; i++) {
        read_row(a, i, work->k, &work->rows[i * work->k]);
    }
    for (int64_t j = 0; j < n; j++) {
        read_row(&turned, j, work->k, work->line);
        for (int64_t i = 0; i < m; i++) {
            double sum = 0.0;
            for (int64_t k = 0; k < work->k; k++) {
                sum += work->rows[i * work->k + k] * work->line[k];
            }
            emit(user, i, j, 1, &sum);
        }
    }
}

void lt_nn_gemm(const lt_nn_panel *work, int64_t m, int64_t n, const lt_nn_matrix *a, const lt_nn_matrix *b,
                lt_nn_emit emit, void *user)
{
    int64_t k = work->k;
    if (m < LT_NN_ROWS && b->row == 1) {
        multiply_narrow(work, m, n, a, b, emit, user);
        return;
    }
    for (int64_t j = 0; j < n; j += LT_NN_COLS) {
        int64_t cols = n - j < LT_NN_COLS ? n - j : LT_NN_COLS;
        read_panel(b, k, j, cols, work->line, work->panel);
        for (int64_t i = 0; i < m; i += LT_NN_ROWS) {
            int count = (int)(m - i < LT_NN_ROWS ? m - i : LT_NN_ROWS);
            double acc[LT_NN_ROWS][LT_NN_COLS];
            for (int r = 0; r < count; r++) {
                read_row(a, i + r, k, &work->rows[r * k]);
            }
            lt_nn_dot(work->rows, count, k, work->panel, acc);
            for (int r = 0; r < count; r++) {
                emit(user, i + r, j, cols, acc[r]);
            }
        }
    }
}

double lt_nn_gemm_at(int64_t i, int64_t j, int64_t k, const lt_nn_matrix *a, const lt_nn_matrix *b)
{
    double sum = 0.0;
    for (int64_t p = 0; p < k; p++) {
        sum += element(a, i, p) * element(b, p, j);
    }
    return sum;
}

int64_t lt_nn_gemm_at_i64(int64_t i, int64_t j, int64_t k, const lt_nn_matrix *a, const lt_nn_matrix *b)
{
    uint64_t sum = 0;
    for (int64_t p = 0; p < k; p++) {
        uint64_t x = (uint64_t)lt_load_i64(a->tensor->dtype, a->tensor->data, a->first + i * a->row + p * a->col);
        sum += x * (uint64_t)lt_load_i64(b->tensor->dtype, b->tensor->data, b->first + p * b->row + j * b->col);
    }
    return (int64_t)sum;
}

/* The type without its last `drop` axes. */
static lt_type without_last(const lt_type *type, int drop)
{
    lt_type out = *type;
    out.rank = type->rank > drop ? type->rank - drop : 0;
    return out;
}

lathe_status lt_nn_matmul_infer(lt_infer *c, int a, int b, lathe_dtype dtype)
{
    if (!lt_infer_known_rank(c, a) || !lt_infer_known_rank(c, b)) {
        return lt_infer_out(c, 0, dtype, -1, NULL);
    }
    const lt_type *x = c->in[a], *y = c->in[b];
    if (x->rank == 0 || y->rank == 0) {
        return lt_infer_fail(c, "an argument is a scalar; both need at least one dimension");
    }
    lt_dim inner = x->dims[x->rank - 1], other = y->dims[y->rank > 1 ? y->rank - 2 : 0];
    if (lt_dim_is_const(inner) && lt_dim_is_const(other) && inner.k != other.k) {
        return lt_infer_fail(c, "the first argument has %lld columns but the second has %lld rows", (long long)inner.k,
                             (long long)other.k);
    }
    lt_infer_meet(c, inner, other);
    lt_type x_batch = without_last(x, 2), y_batch = without_last(y, 2);
    lt_dim dims[LATHE_MAX_RANK + 2];
    int rank = 0;
    LT_TRY(lt_broadcast_dims(c, &x_batch, &y_batch, &rank, dims));
    if (x->rank > 1) {
        dims[rank++] = x->dims[x->rank - 2];
    }
    if (y->rank > 1) {
        dims[rank++] = y->dims[y->rank - 1];
    }
    return lt_infer_out(c, 0, dtype, rank, dims);
}

/* Steps of one argument's batch axes inside the joint ones. */
static void batch_steps(const lt_tensor *tensor, int rank, int64_t *step)
{
    int own = tensor->rank > 2 ? tensor->rank - 2 : 0;
    int64_t pitch = 1;
    for (int i = rank - 1; i >= 0; i--) {
        int at = i - (rank - own);
        step[i] = at >= 0 && tensor->dims[at] != 1 ? pitch : 0;
        pitch *= at >= 0 ? tensor->dims[at] : 1;
    }
}

void lt_nn_batches_make(const lt_tensor *a, const lt_tensor *b, lt_nn_batches *out)
{
    int rank_a = a->rank > 2 ? a->rank - 2 : 0, rank_b = b->rank > 2 ? b->rank - 2 : 0;
    *out = (lt_nn_batches){ .count = 1, .a_vector = a->rank == 1, .b_vector = b->rank == 1 };
    out->m = a->rank > 1 ? a->dims[a->rank - 2] : 1;
    out->k = a->dims[a->rank - 1];
    out->n = b->rank > 1 ? b->dims[b->rank - 1] : 1;
    (void)lt_broadcast(rank_a, a->dims, rank_b, b->dims, &out->rank, out->dims); /* infer has seen that they match */
    batch_steps(a, out->rank, out->a_step);
    batch_steps(b, out->rank, out->b_step);
    for (int i = 0; i < out->rank; i++) {
        out->count *= out->dims[i];
    }
}

void lt_nn_batches_at(const lt_nn_batches *batches, int64_t index, int64_t *a, int64_t *b)
{
    *a = *b = 0;
    for (int i = batches->rank - 1; i >= 0; i--) {
        int64_t at = index % batches->dims[i];
        index /= batches->dims[i];
        *a += at * batches->a_step[i];
        *b += at * batches->b_step[i];
    }
}
