/*
 * col2im.c - Col2Im: columns of blocks added up at their places in an image; what a convolution's gradient does.
 */
#include "ops/move.h"

/* Attributes with their defaults, for n spatial axes. */
typedef struct places {
    int n;
    int64_t stride[LATHE_MAX_RANK], dilation[LATHE_MAX_RANK], begin[LATHE_MAX_RANK], end[LATHE_MAX_RANK];
} places;

/* NULL, or the name of the attribute that is wrong. */
static const char *read_places(const lathe_attr *attrs, size_t n_attrs, int n, places *p)
{
    size_t n_strides, n_dilations, n_pads;
    const int64_t *strides = lt_attr_ints(attrs, n_attrs, "strides", &n_strides);
    const int64_t *dilations = lt_attr_ints(attrs, n_attrs, "dilations", &n_dilations);
    const int64_t *pads = lt_attr_ints(attrs, n_attrs, "pads", &n_pads);
    const int64_t most = INT32_MAX;
    p->n = n;
    if ((strides != NULL && n_strides != (size_t)n) || (dilations != NULL && n_dilations != (size_t)n) ||
        (pads != NULL && n_pads != 2 * (size_t)n)) {
        return strides != NULL && n_strides != (size_t)n ? "strides"
               : pads != NULL && n_pads != 2 * (size_t)n ? "pads"
                                                         : "dilations";
    }
    for (int k = 0; k < n; k++) {
        p->stride[k] = strides != NULL ? strides[k] : 1;
        p->dilation[k] = dilations != NULL ? dilations[k] : 1;
        p->begin[k] = pads != NULL ? pads[k] : 0;
        p->end[k] = pads != NULL ? pads[k + n] : 0;
        if (p->stride[k] < 1 || p->stride[k] > most || p->dilation[k] < 1 || p->dilation[k] > most) {
            return p->stride[k] < 1 || p->stride[k] > most ? "strides" : "dilations";
        }
        if (p->begin[k] < 0 || p->begin[k] > most || p->end[k] < 0 || p->end[k] > most) {
            return "pads";
        }
    }
    return NULL;
}

/* Positions of a block along axis k of the image. */
static int64_t steps(const places *p, int k, int64_t image, int64_t block)
{
    int64_t reach = (block - 1) * p->dilation[k] + 1, room = image + p->begin[k] + p->end[k];
    return room < reach ? 0 : (room - reach) / p->stride[k] + 1;
}

/* The columns must be as many as there are positions. */
static lathe_status check_columns(lt_infer *c, const places *p, const lt_dim *image, const lt_dim *block,
                                  lt_dim columns)
{
    int64_t total = 1;
    for (int k = 0; k < p->n; k++) {
        if (!lt_dim_is_const(image[k]) || !lt_dim_is_const(block[k])) {
            return LATHE_OK;
        }
        if (image[k].k < 0 || block[k].k < 1 || image[k].k > INT32_MAX || block[k].k > INT32_MAX) {
            return lt_infer_fail(c, "image_shape or block_shape is out of range");
        }
        if (!lt_i64_mul(total, steps(p, k, image[k].k, block[k].k), &total)) {
            return lt_infer_fail(c, "the number of blocks is out of range");
        }
    }
    if (lt_dim_is_const(columns) && columns.k != total) {
        return lt_infer_fail(c, "the input has %lld columns, the image has room for %lld blocks", (long long)columns.k,
                             (long long)total);
    }
    return LATHE_OK;
}

static lathe_status infer_col2im(lt_infer *c)
{
    const lt_type *x = c->in[0];
    lt_dim image[LT_CONTENTS_MAX], block[LT_CONTENTS_MAX], dims[LATHE_MAX_RANK], size;
    int64_t n_image, n_block, length, length_block;
    places p;
    LT_TRY(lt_move_length(c, 1, &length));
    LT_TRY(lt_move_length(c, 2, &length_block));
    length = length >= 0 ? length : length_block;
    if (x->rank >= 0 && x->rank != 3) {
        return lt_infer_fail(c, "the input has rank %d instead of 3", x->rank);
    }
    if (length < 0 || x->rank < 0) {
        return lt_infer_out(c, 0, x->dtype, -1, NULL);
    }
    if (length > LATHE_MAX_RANK - 2 || (length_block >= 0 && length_block != length)) {
        return lt_infer_fail(c, "image_shape and block_shape have %lld and %lld elements", (long long)length,
                             (long long)length_block);
    }
    const char *wrong = read_places(c->attrs, c->n_attrs, (int)length, &p);
    if (wrong != NULL) {
        return lt_infer_fail(c, "attribute %s is wrong for an image of %lld axes", wrong, (long long)length);
    }
    LT_TRY(lt_infer_ints(c, 1, image, &n_image));
    LT_TRY(lt_infer_ints(c, 2, block, &n_block));
    dims[0] = x->dims[0];
    dims[1] = LT_UNKNOWN_DIM;
    if (n_block >= 0) {
        LT_TRY(lt_dims_product(c, block, 0, (int)length, &size));
        if (lt_dim_is_const(size) && (size.k < 1 || (lt_dim_is_const(x->dims[1]) && x->dims[1].k % size.k != 0))) {
            return lt_infer_fail(c, "blocks of %lld elements do not divide the second axis", (long long)size.k);
        }
        LT_TRY(lt_dim_make(c->dims, LT_DIM_FLOORDIV, x->dims[1], size, &dims[1], c->diag));
    }
    for (int k = 0; k < (int)length; k++) {
        dims[k + 2] = n_image >= 0 ? image[k] : LT_UNKNOWN_DIM;
    }
    if (n_image >= 0 && n_block >= 0) {
        LT_TRY(check_columns(c, &p, image, block, x->dims[2]));
    }
    return lt_move_out(c, 0, x->dtype, (int)length + 2, dims);
}

/*
 * One channel: `columns` holds a row of positions for every element of the block. Sums in f64, or modulo 2^64 for
 * integers.
 */
typedef struct image {
    const places *p;
    const int64_t *block, *dims;
    int64_t grid[LATHE_MAX_RANK];
    double *sum;
    uint64_t *whole;
} image;

static void add_row(const image *im, const lt_tensor *x, int64_t first, const int64_t *offset)
{
    int64_t at[LATHE_MAX_RANK] = { 0 };
    int n = im->p->n;
    do {
        int64_t to = 0;
        bool inside = true;
        for (int k = 0; k < n; k++) {
            int64_t place = at[k] * im->p->stride[k] - im->p->begin[k] + offset[k] * im->p->dilation[k];
            inside = inside && place >= 0 && place < im->dims[k];
            to = inside ? to * im->dims[k] + place : 0;
        }
        if (inside && im->sum != NULL) {
            im->sum[to] += lt_load_f64(x->dtype, x->data, first);
        } else if (inside) {
            im->whole[to] += (uint64_t)lt_load_i64(x->dtype, x->data, first);
        }
        first++;
    } while (lt_next_coords(n, im->grid, at));
}

static lathe_status eval_col2im(lt_eval *c)
{
    const lt_tensor *x = lt_in(c, 0);
    lt_tensor *y = lt_out(c, 0);
    places p;
    image im = { .p = &p };
    int64_t n, size = 1, pixels = 1, columns = x->dims[2];
    if (y == NULL || lt_tensor_count(y) == 0) {
        return LATHE_OK;
    }
    LT_TRY(lt_eval_ints(c, 2, &im.block, &n));
    LT_CHECK(c->diag, read_places(c->attrs, c->n_attrs, (int)n, &p) == NULL, c->where);
    im.dims = y->dims + 2;
    for (int k = 0; k < (int)n; k++) {
        im.grid[k] = steps(&p, k, im.dims[k], im.block[k]);
        size *= im.block[k];
        pixels *= im.dims[k];
    }
    void *sums = lt_eval_scratch(c, pixels, sizeof(double));
    if (sums == NULL) {
        return LATHE_OUT_OF_MEMORY;
    }
    bool real = lt_dtype_is_float(x->dtype);
    im.sum = real ? sums : NULL;
    im.whole = real ? NULL : sums;
    for (int64_t channel = 0; channel < y->dims[0] * y->dims[1]; channel++) {
        int64_t offset[LATHE_MAX_RANK] = { 0 };
        for (int64_t i = 0; i < pixels; i++) {
            lt_store_i64(real ? LATHE_DTYPE_F64 : LATHE_DTYPE_I64, sums, i, 0);
        }
        for (int64_t e = 0; e < size && columns > 0; e++) {
            add_row(&im, x, (channel * size + e) * columns, offset);
            (void)lt_next_coords((int)n, im.block, offset);
        }
        for (int64_t i = 0; i < pixels; i++) {
            if (real) {
                lt_store_f64(y->dtype, y->data, channel * pixels + i, im.sum[i]);
            } else {
                lt_store_i64(y->dtype, y->data, channel * pixels + i, (int64_t)im.whole[i]);
            }
        }
    }
    return LATHE_OK;
}

static const lt_attr_spec attrs_col2im[] = { { "dilations", LATHE_ATTR_INTS, false },
                                             { "pads", LATHE_ATTR_INTS, false },
                                             { "strides", LATHE_ATTR_INTS, false },
                                             { 0 } };

static const char *const samples_col2im[] = {
    "f32[1,5,5] x = rand(1), i64[2] i = {5, 5}, i64[2] b = {1, 5} | y = Col2Im (x, i, b)",
    "f32[2,8,4] x = rand(1), i64[2] i = {3, 3}, i64[2] b = {2, 2} | y = Col2Im (x, i, b)",
    "f32[1,6,6] x = rand(1), i64[2] i = {5, 4}, i64[2] b = {2, 3} | y = Col2Im <strides = [2, 2], pads = [1, 1, 0, 1], "
    "dilations = [1, 1]> (x, i, b)",
    NULL,
};

LT_OPS(col2im) = {
    {
        .name = "Col2Im",
        .since = 18,
        .host_inputs = 1u << 1 | 1u << 2,
        .sig = "(T input, i64 image_shape, i64 block_shape) -> (T output); T: numeric",
        .attrs = attrs_col2im,
        .infer = infer_col2im,
        .eval = eval_col2im,
        .samples = samples_col2im,
    },
    { 0 },
};
