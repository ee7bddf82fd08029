/*
 * image_openjpeg.c - JPEG 2000 by OpenJPEG, opened as image_libraries.c does it. Used by ImageDecoder.
 */
#include <stdint.h>
#include <string.h>

#include "ops/image.h"

enum { CODEC_STREAM = 0, CODEC_FILE = 2, SPACE_YCC = 3, MOST_COMPONENTS = 16, BUFFER = 1 << 16 };

typedef struct component {
    uint32_t dx, dy, width, height, x0, y0, precision, bits, is_signed, decoded, factor;
    int32_t *data;
    uint16_t alpha;
} component;

typedef struct picture {
    uint32_t x0, y0, x1, y1, n_components;
    int space;
    component *components;
    uint8_t *profile;
    uint32_t profile_size;
} picture;

typedef struct calls {
    void *(*create)(int kind);
    void (*defaults)(void *parameters);
    int (*setup)(void *codec, void *parameters);
    void *(*stream)(size_t buffer, int is_input);
    void (*on_read)(void *stream, size_t (*read)(void *to, size_t count, void *user));
    void (*on_skip)(void *stream, int64_t (*skip)(int64_t count, void *user));
    void (*on_seek)(void *stream, int (*seek)(int64_t place, void *user));
    void (*user)(void *stream, void *user, void (*free)(void *user));
    void (*length)(void *stream, uint64_t length);
    int (*header)(void *stream, void *codec, picture **out);
    int (*decode)(void *codec, void *stream, picture *image);
    void (*free_picture)(picture *image);
    void (*free_stream)(void *stream);
    void (*free_codec)(void *codec);
} calls;

typedef struct source {
    const lt_image_file *file;
    size_t at;
} source;

static size_t read_bytes(void *to, size_t count, void *user)
{
    source *s = user;
    size_t left = s->file->size - s->at, n = count < left ? count : left;
    if (n == 0) {
        return SIZE_MAX;
    }
    memcpy(to, s->file->bytes + s->at, n);
    s->at += n;
    return n;
}

static int seek_bytes(int64_t place, void *user)
{
    source *s = user;
    if (place < 0 || (uint64_t)place > s->file->size) {
        return 0;
    }
    s->at = (size_t)place;
    return 1;
}

static int64_t skip_bytes(int64_t count, void *user)
{
    source *s = user;
    int64_t left = (int64_t)(s->file->size - s->at), n = count < left ? count : left;
    if (n < 0 && -n > (int64_t)s->at) {
        return -1;
    }
    s->at = (size_t)((int64_t)s->at + n);
    return n > 0 || count == 0 ? n : -1;
}

/* Element (x, y) of the picture in a component, which may be coarser, as a byte. */
static unsigned char sample(const component *k, int64_t x, int64_t y)
{
    int64_t cx = x / k->dx, cy = y / k->dy, most = ((int64_t)1 << k->precision) - 1;
    cx = cx < k->width ? cx : (int64_t)k->width - 1;
    cy = cy < k->height ? cy : (int64_t)k->height - 1;
    int64_t v = (int64_t)k->data[cy * k->width + cx] + (k->is_signed ? (int64_t)1 << (k->precision - 1) : 0);
    v = v < 0 ? 0 : v > most ? most : v;
    return (unsigned char)((v * 255 + most / 2) / most);
}

static unsigned char clamp(double v)
{
    return v <= 0 ? 0 : v >= 255 ? 255 : (unsigned char)(v + 0.5);
}

static bool sensible(const picture *p, bool decoded)
{
    bool good = p->x1 > p->x0 && p->y1 > p->y0 && p->n_components >= 1 && p->n_components <= MOST_COMPONENTS &&
                p->components != NULL;
    for (uint32_t i = 0; good && i < p->n_components; i++) {
        const component *k = &p->components[i];
        good = k->dx > 0 && k->dy > 0 && k->precision >= 1 && k->precision <= 31 &&
               (!decoded || (k->data != NULL && k->width > 0 && k->height > 0));
    }
    return good;
}

static void fill(const picture *p, const lt_image *out)
{
    bool colours = p->n_components >= 3;
    for (int64_t y = 0; y < out->height; y++) {
        for (int64_t x = 0; x < out->width; x++) {
            unsigned char *to = out->pixels + 3 * (y * out->width + x);
            for (uint32_t k = 0; k < 3; k++) {
                to[k] = sample(&p->components[colours ? k : 0], x, y);
            }
            if (colours && p->space == SPACE_YCC) {
                double luma = to[0], blue = to[1] - 128.0, red = to[2] - 128.0;
                to[0] = clamp(luma + 1.402 * red);
                to[1] = clamp(luma - 0.344136 * blue - 0.714136 * red);
                to[2] = clamp(luma + 1.772 * blue);
            }
        }
    }
}

/* The sizes of the header are looked at before anything is decoded. */
static lathe_status decode(lt_eval *c, const calls *o, void *codec, void *stream, picture **image, lt_image *out)
{
    *out = (lt_image){ 0 };
    if (!o->header(stream, codec, image) || *image == NULL || !sensible(*image, false)) {
        return LATHE_OK;
    }
    LT_TRY(lt_image_make(c, (int64_t)(*image)->x1 - (*image)->x0, (int64_t)(*image)->y1 - (*image)->y0, out));
    if (out->width == 0) {
        return LATHE_OK;
    }
    if (!o->decode(codec, stream, *image) || !sensible(*image, true)) {
        *out = (lt_image){ 0 };
        return LATHE_OK;
    }
    fill(*image, out);
    return LATHE_OK;
}

static lathe_status run(lt_eval *c, const calls *o, const lt_image_file *file, lt_image *out)
{
    source from = { .file = file };
    _Alignas(16) unsigned char parameters[1 << 14] = { 0 }; /* a structure of about 8 KiB */
    void *codec = o->create(file->bytes[0] == 0xff ? CODEC_STREAM : CODEC_FILE), *stream = o->stream(BUFFER, 1);
    picture *image = NULL;
    lathe_status status = codec != NULL && stream != NULL ? LATHE_OK : LT_OOM(c->diag);
    if (status == LATHE_OK) {
        o->defaults(parameters);
        o->on_read(stream, read_bytes);
        o->on_skip(stream, skip_bytes);
        o->on_seek(stream, seek_bytes);
        o->user(stream, &from, NULL);
        o->length(stream, file->size);
        status = o->setup(codec, parameters) ? decode(c, o, codec, stream, &image, out) : LATHE_OK;
    }
    if (image != NULL) {
        o->free_picture(image);
    }
    if (stream != NULL) {
        o->free_stream(stream);
    }
    if (codec != NULL) {
        o->free_codec(codec);
    }
    return status;
}

lathe_status lt_image_read_openjpeg(lt_eval *c, const lt_image_file *file, lt_image *out)
{
    static const char *const names[] = { "libopenjp2.so.7", NULL };
    calls o;
    const lt_image_symbol symbols[] = {
        { "opj_create_decompress", &o.create },
        { "opj_set_default_decoder_parameters", &o.defaults },
        { "opj_setup_decoder", &o.setup },
        { "opj_stream_create", &o.stream },
        { "opj_stream_set_read_function", &o.on_read },
        { "opj_stream_set_skip_function", &o.on_skip },
        { "opj_stream_set_seek_function", &o.on_seek },
        { "opj_stream_set_user_data", &o.user },
        { "opj_stream_set_user_data_length", &o.length },
        { "opj_read_header", &o.header },
        { "opj_decode", &o.decode },
        { "opj_image_destroy", &o.free_picture },
        { "opj_stream_destroy", &o.free_stream },
        { "opj_destroy_codec", &o.free_codec },
        { NULL, NULL },
    };
    lt_image_library library;
    *out = (lt_image){ 0 };
    LT_TRY(lt_image_open(c, "a JPEG 2000", "libopenjp2-7", names, symbols, &library));
    lathe_status status = run(c, &o, file, out);
    lt_image_close(&library);
    return status;
}
