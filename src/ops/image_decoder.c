/*
 * image_decoder.c - ImageDecoder: the pixels of a picture in a file, rows of red, green, blue, the reverse, or grey. Which format it is say its first bytes.
 */
#include "ops/image.h"
#include "ops/move.h"

typedef enum order { RGB, BGR, GREY, ORDERS } order;

static order read_order(const lathe_attr *attrs, size_t n)
{
    static const char *const names[] = { "RGB", "BGR", "Grayscale" };
    int i = 0;
    while (i < ORDERS && !lt_attr_is(attrs, n, "pixel_format", names[i], "RGB")) {
        i++;
    }
    return (order)i;
}

static lathe_status infer_decoder(lt_infer *c)
{
    order as = read_order(c->attrs, c->n_attrs);
    lt_dim dims[3] = { LT_UNKNOWN_DIM, LT_UNKNOWN_DIM, lt_dim_const(as == GREY ? 1 : 3) };
    if (as == ORDERS) {
        return lt_infer_fail(c, "pixel_format is none of RGB, BGR, Grayscale");
    }
    if (c->in[0]->rank >= 0 && c->in[0]->rank != 1) {
        return lt_infer_fail(c, "input 0 has rank %d; the bytes of a file are a vector", c->in[0]->rank);
    }
    return lt_move_out(c, 0, LATHE_DTYPE_U8, 3, dims);
}

lathe_status lt_image_make(lt_eval *c, int64_t width, int64_t height, lt_image *out)
{
    int64_t count;
    *out = (lt_image){ 0 };
    if (width <= 0 || height <= 0 || !lt_i64_mul(width, height, &count) || count > LT_IMAGE_MOST_PIXELS) {
        return LATHE_OK;
    }
    out->pixels = lt_eval_scratch(c, count, 3);
    if (out->pixels == NULL) {
        return LATHE_OUT_OF_MEMORY;
    }
    out->width = width;
    out->height = height;
    return LATHE_OK;
}

static lathe_status decode(lt_eval *c, const lt_image_file *file, lt_image *out)
{
    bool known;
    *out = (lt_image){ 0 };
    if (lt_image_is_pnm(file)) {
        return lt_image_read_pnm(c, file, out);
    }
    if (lt_image_is_bmp(file)) {
        return lt_image_read_bmp(c, file, out);
    }
    return lt_image_read_by_library(c, file, &known, out);
}

/* Luma of ITU-R 601, in 16 bits behind the point. */
static unsigned char grey_of(const unsigned char *p)
{
    return (unsigned char)((19595u * p[0] + 38470u * p[1] + 7471u * p[2] + 0x8000u) >> 16);
}

static lathe_status eval_decoder(lt_eval *c)
{
    const lt_tensor *x = lt_in(c, 0);
    lt_image_file file = { .bytes = x->data, .size = (size_t)lt_tensor_count(x) };
    order as = read_order(c->attrs, c->n_attrs);
    lt_image image;
    if (lt_out(c, 0) == NULL) {
        return LATHE_OK;
    }
    LT_TRY(decode(c, &file, &image));
    int64_t dims[3] = { image.height, image.width, as == GREY ? 1 : 3 };
    if (image.width == 0) {
        dims[0] = 0; /* an empty matrix stands for what cannot be decoded */
    }
    LT_TRY(c->make(c, 0, LATHE_DTYPE_U8, 3, dims));
    unsigned char *y = lt_out(c, 0)->data;
    for (int64_t i = 0; i < dims[0] * dims[1]; i++) {
        const unsigned char *p = image.pixels + 3 * i;
        if (as == GREY) {
            y[i] = grey_of(p);
            continue;
        }
        for (int k = 0; k < 3; k++) {
            y[3 * i + k] = p[as == BGR ? 2 - k : k];
        }
    }
    return LATHE_OK;
}

static const lt_attr_spec attrs_decoder[] = { { "pixel_format", LATHE_ATTR_STRING, false }, { 0 } };

/* P6, 2 by 1; P5 with a comment; P1; P3 with another maximum; a BMP of 2 by 2 pixels; something else; nothing. */
static const char *const samples_decoder[] = {
    "u8[17] x = {80, 54, 10, 50, 32, 49, 10, 50, 53, 53, 10, 1, 2, 3, 250, 128, 64} | y = ImageDecoder (x)",
    "u8[17] x = {80, 54, 10, 50, 32, 49, 10, 50, 53, 53, 10, 1, 2, 3, 250, 128, 64} | y = ImageDecoder <pixel_format = "
    "\"BGR\"> (x)",
    "u8[17] x = {80, 54, 10, 50, 32, 49, 10, 50, 53, 53, 10, 1, 2, 3, 250, 128, 64} | y = ImageDecoder <pixel_format = "
    "\"Grayscale\"> (x)",
    "u8[16] x = {80, 53, 32, 35, 97, 10, 49, 32, 50, 32, 50, 53, 53, 10, 7, 200} | y = ImageDecoder <pixel_format = "
    "\"Grayscale\"> (x)",
    "u8[13] x = {80, 49, 10, 51, 32, 49, 10, 49, 32, 48, 32, 49, 10} | y = ImageDecoder <pixel_format = \"Grayscale\"> "
    "(x)",
    "u8[21] x = {80, 51, 10, 49, 32, 49, 10, 49, 53, 32, 48, 32, 49, 53, 32, 32, 32, 32, 32, 53, 10} | y = "
    "ImageDecoder (x)",
    "u8[70] x = {66, 77, 70, 0, 0, 0, 0, 0, 0, 0, 54, 0, 0, 0, 40, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 1, 0, 24, 0, 0, 0, "
    "0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, "
    "0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 0, 0, 7, 8, 9, 10, 11, 12, 0, 0} | y = ImageDecoder (x)",
    "u8[4] x = {1, 2, 3, 4} | y = ImageDecoder (x)",
    "u8[0] x = {} | y = ImageDecoder <pixel_format = \"Grayscale\"> (x)",
    NULL,
};

LT_OPS(image_decoder) = {
    {
        .name = "ImageDecoder",
        .since = 20,
        .traits = LT_OP_DYNAMIC,
        .sig = "(u8 encoded_stream) -> (u8 image)",
        .attrs = attrs_decoder,
        .infer = infer_decoder,
        .eval = eval_decoder,
        .samples = samples_decoder,
    },
    { 0 },
};
