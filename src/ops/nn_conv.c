/*
 * nn_conv.c - the sums of convolutions, plain and transposed: for each block of output points a panel (input channels
 * x taps, points) is gathered and multiplied with the filters. Used by Conv, ConvTranspose, ConvInteger, QLinearConv.
 */
#include "ops/nn.h"

lathe_status lt_nn_conv_infer(lt_infer *c, int x, int w, int bias, lathe_dtype dtype)
{
    int64_t groups = lt_attr_i(c->attrs, c->n_attrs, "group", 1);
    if (groups < 1) {
        return lt_infer_fail(c, "attribute 'group' is %lld", (long long)groups);
    }
    if (!lt_infer_known_rank(c, x) || !lt_infer_known_rank(c, w)) {
        return lt_infer_out(c, 0, dtype, -1, NULL);
    }
    const lt_type *data = c->in[x], *weight = c->in[w];
    if (data->rank != weight->rank) {
        return lt_infer_fail(c, "the input has rank %d but the weight has rank %d", data->rank, weight->rank);
    }
    lt_dim dims[LATHE_MAX_RANK];
    LT_TRY(lt_nn_window_infer(c, data, &weight->dims[2], false, &dims[2]));
    lt_dim channels = data->dims[1], part = weight->dims[1], filters = weight->dims[0];
    if (lt_dim_is_const(channels) && lt_dim_is_const(part) &&
        (channels.k % groups != 0 || channels.k / groups != part.k)) {
        return lt_infer_fail(c, "%lld input channels in %lld groups do not fit a weight for %lld channels per group",
                             (long long)channels.k, (long long)groups, (long long)part.k);
    }
    if (lt_dim_is_const(filters) && filters.k % groups != 0) {
        return lt_infer_fail(c, "%lld filters do not divide into %lld groups", (long long)filters.k, (long long)groups);
    }
    LT_TRY(lt_nn_infer_vector(c, bias, filters, "the number of filters"));
    dims[0] = data->dims[0];
    dims[1] = filters;
    return lt_infer_out(c, 0, dtype, data->rank, dims);
}

lathe_status lt_nn_conv_make(lt_eval *c, const lt_tensor *x, const lt_tensor *w, const lt_tensor *y, lt_nn_conv *out)
{
    *out = (lt_nn_conv){ .batch = x->dims[0], .channels = x->dims[1], .filters = y->dims[1], .x = x, .w = w };
    out->groups = lt_attr_i(c->attrs, c->n_attrs, "group", 1);
    return lt_nn_grid_make(c, x, y, &w->dims[2], &out->grid);
}

/* Index of the first weight that filter `filter` applies to channel `channel` of its group; taps follow. */
static int64_t weight_at(const lt_nn_conv *conv, int64_t filter, int64_t channel)
{
    int64_t part = conv->channels / conv->groups, per_group = conv->filters / conv->groups;
    if (!conv->grid.transposed) {
        return (filter * part + channel) * conv->grid.taps;
    }
    int64_t group = filter / per_group;
    return ((group * part + channel) * per_group + filter % per_group) * conv->grid.taps;
}

/* The weights of one filter, input channels outermost, zero point subtracted. */
static void read_filter(const lt_nn_conv *conv, int64_t filter, double *out)
{
    int64_t part = conv->channels / conv->groups, taps = conv->grid.taps;
    for (int64_t i = 0; i < part; i++) {
        lt_nn_read(conv->w, weight_at(conv, filter, i), 1, taps, &out[i * taps]);
    }
    for (int64_t i = 0; i < part * taps && conv->w_zero != NULL; i++) {
        out[i] -= conv->w_zero[filter];
    }
}

/* Scratch of one run. */
typedef struct workspace {
    int64_t k;        /* products in one sum */
    double *image;    /* one image, zero point subtracted */
    double *panel;    /* k x LT_NN_COLS */
    double *rows;     /* LT_NN_ROWS filters of k weights */
    int64_t *offsets; /* taps x LT_NN_COLS */
} workspace;

static void gather(const lt_nn_conv *conv, const workspace *ws, int64_t group, int64_t cols)
{
    int64_t part = conv->channels / conv->groups, taps = conv->grid.taps;
    for (int64_t i = 0; i < part; i++) {
        const double *plane = &ws->image[(group * part + i) * conv->grid.plane];
        for (int64_t t = 0; t < taps; t++) {
            double *row = &ws->panel[(i * taps + t) * LT_NN_COLS];
            const int64_t *offset = &ws->offsets[t * LT_NN_COLS];
            for (int64_t j = 0; j < cols; j++) {
                row[j] = offset[j] < 0 ? 0.0 : plane[offset[j]];
            }
        }
    }
}

static void multiply(const lt_nn_conv *conv, const workspace *ws, int64_t image, int64_t group, int64_t point,
                     int64_t cols, lt_nn_emit emit, void *user)
{
    int64_t per_group = conv->filters / conv->groups;
    for (int64_t m = 0; m < per_group; m += LT_NN_ROWS) {
        int count = (int)(per_group - m < LT_NN_ROWS ? per_group - m : LT_NN_ROWS);
        int64_t filter = group * per_group + m;
        double acc[LT_NN_ROWS][LT_NN_COLS];
        for (int r = 0; r < count; r++) {
            read_filter(conv, filter + r, &ws->rows[r * ws->k]);
        }
        lt_nn_dot(ws->rows, count, ws->k, ws->panel, acc);
        for (int r = 0; r < count; r++) {
            emit(user, image * conv->filters + filter + r, point, cols, acc[r]);
        }
    }
}

static lathe_status make_workspace(lt_eval *c, const lt_nn_conv *conv, workspace *ws)
{
    int64_t cells, image;
    if (!lt_i64_mul(conv->channels / conv->groups, conv->grid.taps, &ws->k) || !lt_i64_mul(ws->k, LT_NN_COLS, &cells) ||
        !lt_i64_mul(conv->channels, conv->grid.plane, &image)) {
        return LT_FAIL(c->diag, LATHE_OVERFLOW, c->where, NULL, "%s: the size of one sum overflows", c->op->name);
    }
    ws->image = lt_nn_scratch(c, image);
    ws->panel = lt_nn_scratch(c, cells);
    ws->rows = lt_nn_scratch(c, ws->k * LT_NN_ROWS);
    ws->offsets = LT_ARENA_ARRAY(c->scratch, int64_t, (size_t)(conv->grid.taps * LT_NN_COLS));
    return ws->image == NULL || ws->panel == NULL || ws->rows == NULL || ws->offsets == NULL ? LT_OOM(c->diag)
                                                                                             : LATHE_OK;
}

lathe_status lt_nn_conv_run(lt_eval *c, const lt_nn_conv *conv, lt_nn_emit emit, void *user)
{
    workspace ws = { 0 };
    LT_TRY(make_workspace(c, conv, &ws));
    int64_t size = conv->channels * conv->grid.plane;
    for (int64_t n = 0; n < conv->batch; n++) {
        lt_nn_read(conv->x, n * size, 1, size, ws.image);
        for (int64_t i = 0; i < size && conv->x_zero != 0.0; i++) {
            ws.image[i] -= conv->x_zero;
        }
        for (int64_t point = 0; point < conv->grid.points; point += LT_NN_COLS) {
            int64_t rest = conv->grid.points - point, cols = rest < LT_NN_COLS ? rest : LT_NN_COLS;
            lt_nn_grid_offsets(&conv->grid, point, cols, ws.offsets);
            for (int64_t group = 0; group < conv->groups; group++) {
                gather(conv, &ws, group, cols);
                multiply(conv, &ws, n, group, point, cols, emit, user);
            }
        }
    }
    return LATHE_OK;
}

lathe_status lt_nn_conv_at(lt_eval *c, const lt_nn_conv *conv, const int64_t *coords, double *out)
{
    int64_t part = conv->channels / conv->groups, taps = conv->grid.taps, filter = coords[1], point = 0;
    int64_t group = filter / (conv->filters / conv->groups);
    int64_t *offsets = LT_ARENA_ARRAY(c->scratch, int64_t, (size_t)(taps * LT_NN_COLS));
    if (offsets == NULL) {
        return LT_OOM(c->diag);
    }
    for (int i = 0; i < conv->grid.win.n; i++) {
        point = point * conv->grid.out[i] + coords[i + 2];
    }
    lt_nn_grid_offsets(&conv->grid, point, 1, offsets);
    double sum = 0.0, w_zero = conv->w_zero != NULL ? conv->w_zero[filter] : 0.0;
    for (int64_t i = 0; i < part; i++) {
        int64_t plane = (coords[0] * conv->channels + group * part + i) * conv->grid.plane,
                weights = weight_at(conv, filter, i);
        for (int64_t t = 0; t < taps; t++) {
            int64_t offset = offsets[t * LT_NN_COLS];
            double x = offset < 0 ? 0.0 : lt_load_f64(conv->x->dtype, conv->x->data, plane + offset) - conv->x_zero;
            sum += (lt_load_f64(conv->w->dtype, conv->w->data, weights + t) - w_zero) * x;
        }
    }
    *out = sum;
    return LATHE_OK;
}

typedef struct sink {
    lt_tensor *y;
    const double *bias; /* NULL: none */
    int64_t filters, points;
} sink;

static void store(void *user, int64_t row, int64_t col, int64_t count, const double *acc)
{
    const sink *s = user;
    double line[LT_NN_COLS], bias = s->bias != NULL ? s->bias[row % s->filters] : 0.0;
    for (int64_t j = 0; j < count; j++) {
        line[j] = acc[j] + bias;
    }
    lt_nn_write(s->y, row * s->points + col, count, line);
}

lathe_status lt_nn_conv_real(lt_eval *c, const lt_nn_conv *conv)
{
    bool ok;
    sink s = { lt_out(c, 0), lt_nn_doubles(c, lt_in(c, 2), &ok), conv->filters, conv->grid.points };
    if (!ok) {
        return LT_OOM(c->diag);
    }
    return lt_nn_conv_run(c, conv, store, &s);
}

lathe_status lt_nn_conv_real_at(lt_eval *c, const lt_nn_conv *conv, const int64_t *coords, void *out)
{
    double sum;
    const lt_tensor *bias = lt_in(c, 2);
    LT_TRY(lt_nn_conv_at(c, conv, coords, &sum));
    if (bias != NULL) {
        sum += lt_load_f64(bias->dtype, bias->data, coords[1]);
    }
    lt_store_f64(lt_out(c, 0)->dtype, out, 0, sum);
    return LATHE_OK;
}
