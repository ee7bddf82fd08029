/*
 * image_libraries.c - pictures by shared libraries: PNG (libpng), JPEG (TurboJPEG), WebP (libwebp), TIFF (libtiff); and how such a library is opened. Used by
 * ImageDecoder.
 *
 * A library is opened for one picture and closed behind it: nothing of it stays in the process. Prototypes are written from the libraries' public C
 * interfaces; nothing of them is needed to build Lathe.
 */
#include <dlfcn.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "ops/image.h"
#include "ops/move.h"

/* ---- Opening ---- */

void lt_image_close(lt_image_library *library)
{
    if (library->handle != NULL) {
        (void)dlclose(library->handle);
        library->handle = NULL;
    }
}

lathe_status lt_image_open(lt_eval *c, const char *format, const char *package, const char *const *names,
                           const lt_image_symbol *symbols, lt_image_library *out)
{
    char advice[160];
    snprintf(advice, sizeof advice,
             "install the library (Debian: %s), or decode the picture before it goes into the model", package);
    out->handle = NULL;
    for (const char *const *name = names; *name != NULL && out->handle == NULL; name++) {
        out->handle = dlopen(*name, RTLD_NOW | RTLD_LOCAL);
    }
    if (out->handle == NULL) {
        return LT_FAIL(c->diag, LATHE_UNSUPPORTED, c->where, advice,
                       "ImageDecoder: the picture is %s, and %s cannot be opened", format, names[0]);
    }
    for (const lt_image_symbol *s = symbols; s->name != NULL; s++) {
        void *found = dlsym(out->handle, s->name);
        memcpy(s->place, &found, sizeof found); /* a pointer to a function, without a cast that C forbids */
        if (found == NULL) {
            lt_image_close(out);
            return LT_FAIL(c->diag, LATHE_UNSUPPORTED, c->where, advice,
                           "ImageDecoder: the picture is %s, and the library has no function %s", format, s->name);
        }
    }
    return LATHE_OK;
}

static bool begins(const lt_image_file *file, size_t at, const char *bytes, size_t count)
{
    return file->size >= at + count && memcmp(file->bytes + at, bytes, count) == 0;
}

/* Four bytes a pixel become three. */
static void drop_fourth(const unsigned char *from, const lt_image *image)
{
    for (int64_t i = 0; i < image->width * image->height; i++) {
        memcpy(image->pixels + 3 * i, from + 4 * i, 3);
    }
}

/* ---- PNG ---- */

typedef struct png_image {
    void *opaque;
    uint32_t version, width, height, format, flags, colours, warning_or_error;
    char message[64];
} png_image;

/* One byte of a file makes 1,032 at most, of eight pixels each. */
enum { PNG_VERSION = 1, PNG_RGBA = 3, PNG_16BIT_SRGB = 4, PNG_MOST_PIXELS = 8256 };

typedef struct png_calls {
    int (*begin)(png_image *image, const void *bytes, size_t size);
    int (*finish)(png_image *image, const void *background, void *pixels, int32_t stride, void *colours);
    void (*free)(png_image *image);
} png_calls;

static lathe_status fill_png(lt_eval *c, const png_calls *png, const lt_image_file *file, png_image *image,
                             lt_image *out)
{
    image->format = PNG_RGBA;
    image->flags |= PNG_16BIT_SRGB;
    if ((uint64_t)image->width * image->height / PNG_MOST_PIXELS > file->size) {
        return LATHE_OK;
    }
    LT_TRY(lt_image_make(c, image->width, image->height, out));
    if (out->width == 0) {
        return LATHE_OK;
    }
    unsigned char *pixels = lt_eval_scratch(c, out->width * out->height, 4);
    if (pixels == NULL) {
        return LATHE_OUT_OF_MEMORY;
    }
    if (!png->finish(image, NULL, pixels, 0, NULL)) {
        *out = (lt_image){ 0 };
        return LATHE_OK;
    }
    drop_fourth(pixels, out);
    return LATHE_OK;
}

static lathe_status read_png(lt_eval *c, const lt_image_file *file, lt_image *out)
{
    static const char *const names[] = { "libpng16.so.16", NULL };
    png_calls png;
    const lt_image_symbol symbols[] = {
        { "png_image_begin_read_from_memory", &png.begin },
        { "png_image_finish_read", &png.finish },
        { "png_image_free", &png.free },
        { NULL, NULL },
    };
    png_image image = { .version = PNG_VERSION };
    lt_image_library library;
    LT_TRY(lt_image_open(c, "a PNG", "libpng16-16", names, symbols, &library));
    lathe_status status = png.begin(&image, file->bytes, file->size) ? fill_png(c, &png, file, &image, out) : LATHE_OK;
    png.free(&image);
    lt_image_close(&library);
    return status;
}

/* ---- JPEG ---- */

enum { TURBO_RGB = 0, TURBO_CMYK = 11, TURBO_IS_CMYK = 3, TURBO_IS_YCCK = 4, TURBO_WARNING = 0 };

typedef struct turbo_calls {
    void *(*init)(void);
    int (*header)(void *handle, const unsigned char *bytes, unsigned long size, int *width, int *height, int *sampling,
                  int *colours);
    int (*decompress)(void *handle, const unsigned char *bytes, unsigned long size, unsigned char *pixels, int width,
                      int pitch, int height, int format, int flags);
    int (*code)(void *handle);
    char *(*text)(void *handle);
    int (*destroy)(void *handle);
} turbo_calls;

/* A file that ends too early is not decoded; other warnings are about bytes that do not matter. */
static bool turbo_failed(const turbo_calls *turbo, void *handle, int result)
{
    return result != 0 && (turbo->code(handle) != TURBO_WARNING || strstr(turbo->text(handle), "remature") != NULL);
}

static lathe_status fill_jpeg(lt_eval *c, const turbo_calls *turbo, void *handle, const lt_image_file *file,
                              lt_image *out)
{
    int width, height, sampling, colours;
    *out = (lt_image){ 0 };
    if (turbo_failed(turbo, handle,
                     turbo->header(handle, file->bytes, file->size, &width, &height, &sampling, &colours))) {
        return LATHE_OK;
    }
    bool inks = colours == TURBO_IS_CMYK || colours == TURBO_IS_YCCK;
    LT_TRY(lt_image_make(c, width, height, out));
    unsigned char *pixels = out->pixels;
    if (out->width > 0 && inks && (pixels = lt_eval_scratch(c, out->width * out->height, 4)) == NULL) {
        return LATHE_OUT_OF_MEMORY;
    }
    if (out->width > 0 && turbo_failed(turbo, handle,
                                       turbo->decompress(handle, file->bytes, file->size, pixels, width, 0, height,
                                                         inks ? TURBO_CMYK : TURBO_RGB, 0))) {
        *out = (lt_image){ 0 };
    }
    /* Inks in JPEG files count what is left of the light. */
    for (int64_t i = 0; inks && i < out->width * out->height; i++) {
        for (int k = 0; k < 3; k++) {
            out->pixels[3 * i + k] = (unsigned char)((pixels[4 * i + k] * pixels[4 * i + 3] + 127) / 255);
        }
    }
    return LATHE_OK;
}

static lathe_status read_jpeg(lt_eval *c, const lt_image_file *file, lt_image *out)
{
    static const char *const names[] = { "libturbojpeg.so.0", NULL };
    turbo_calls turbo;
    const lt_image_symbol symbols[] = {
        { "tjInitDecompress", &turbo.init },
        { "tjDecompressHeader3", &turbo.header },
        { "tjDecompress2", &turbo.decompress },
        { "tjGetErrorCode", &turbo.code },
        { "tjGetErrorStr2", &turbo.text },
        { "tjDestroy", &turbo.destroy },
        { NULL, NULL },
    };
    lt_image_library library;
    LT_TRY(lt_image_open(c, "a JPEG", "libturbojpeg0", names, symbols, &library));
    void *handle = turbo.init();
    lathe_status status = handle != NULL ? fill_jpeg(c, &turbo, handle, file, out) : LT_OOM(c->diag);
    if (handle != NULL) {
        turbo.destroy(handle);
    }
    lt_image_close(&library);
    return status;
}

/* ---- WebP ---- */

static lathe_status read_webp(lt_eval *c, const lt_image_file *file, lt_image *out)
{
    static const char *const names[] = { "libwebp.so.7", NULL };
    int (*info)(const uint8_t *bytes, size_t size, int *width, int *height);
    uint8_t *(*into)(const uint8_t *bytes, size_t size, uint8_t *pixels, size_t room, int stride);
    const lt_image_symbol symbols[] = { { "WebPGetInfo", &info }, { "WebPDecodeRGBInto", &into }, { NULL, NULL } };
    lt_image_library library;
    int width = 0, height = 0;
    LT_TRY(lt_image_open(c, "a WebP", "libwebp7", names, symbols, &library));
    lathe_status status = LATHE_OK;
    if (info(file->bytes, file->size, &width, &height)) {
        status = lt_image_make(c, width, height, out);
    }
    if (out->width > 0 &&
        into(file->bytes, file->size, out->pixels, (size_t)(out->width * out->height) * 3, width * 3) == NULL) {
        *out = (lt_image){ 0 };
    }
    lt_image_close(&library);
    return status;
}

/* ---- TIFF ---- */

enum { TIFF_WIDTH = 256, TIFF_HEIGHT = 257, TIFF_FROM_TOP_LEFT = 1 };
/* Room that the library may take in one piece. */
#define TIFF_MOST_BYTES ((ptrdiff_t)1 << 31)

typedef struct tiff_file {
    const lt_image_file *file;
    uint64_t at;
} tiff_file;

static ptrdiff_t tiff_read(void *user, void *to, ptrdiff_t count)
{
    tiff_file *f = user;
    uint64_t left = f->at < f->file->size ? f->file->size - f->at : 0, n = count > 0 ? (uint64_t)count : 0;
    n = n < left ? n : left;
    if (n > 0) {
        memcpy(to, f->file->bytes + f->at, (size_t)n);
    }
    f->at += n;
    return (ptrdiff_t)n;
}

static ptrdiff_t tiff_write(void *user, void *from, ptrdiff_t count)
{
    (void)user;
    (void)from;
    (void)count;
    return 0;
}

static uint64_t tiff_seek(void *user, uint64_t offset, int whence)
{
    tiff_file *f = user;
    f->at = offset + (whence == SEEK_CUR ? f->at : whence == SEEK_END ? f->file->size : 0);
    return f->at;
}

static int tiff_close(void *user)
{
    (void)user;
    return 0;
}

static uint64_t tiff_size(void *user)
{
    return ((tiff_file *)user)->file->size;
}

/* The library would print. */
static int tiff_silent(void *tiff, void *user, const char *module, const char *format, va_list list)
{
    (void)tiff;
    (void)user;
    (void)module;
    (void)format;
    (void)list;
    return 1;
}

typedef int (*tiff_handler)(void *tiff, void *user, const char *module, const char *format, va_list list);

typedef struct tiff_calls {
    void *(*options)(void);
    void (*options_free)(void *options);
    void (*most)(void *options, ptrdiff_t bytes);
    void (*on_error)(void *options, tiff_handler handler, void *user);
    void (*on_warning)(void *options, tiff_handler handler, void *user);
    void *(*open)(const char *name, const char *mode, void *user, ptrdiff_t (*read)(void *, void *, ptrdiff_t),
                  ptrdiff_t (*write)(void *, void *, ptrdiff_t), uint64_t (*seek)(void *, uint64_t, int),
                  int (*close)(void *), uint64_t (*size)(void *), void *map, void *unmap, void *options);
    int (*field)(void *tiff, uint32_t tag, ...);
    int (*read)(void *tiff, uint32_t width, uint32_t height, uint32_t *pixels, int orientation, int stop);
    void (*close)(void *tiff);
} tiff_calls;

static lathe_status fill_tiff(lt_eval *c, const tiff_calls *tiff, void *handle, lt_image *out)
{
    uint32_t width = 0, height = 0;
    *out = (lt_image){ 0 };
    if (!tiff->field(handle, TIFF_WIDTH, &width) || !tiff->field(handle, TIFF_HEIGHT, &height)) {
        return LATHE_OK;
    }
    LT_TRY(lt_image_make(c, width, height, out));
    if (out->width == 0) {
        return LATHE_OK;
    }
    uint32_t *pixels = lt_eval_scratch(c, out->width * out->height, sizeof *pixels);
    if (pixels == NULL) {
        return LATHE_OUT_OF_MEMORY;
    }
    if (!tiff->read(handle, width, height, pixels, TIFF_FROM_TOP_LEFT, 1)) {
        *out = (lt_image){ 0 };
    }
    for (int64_t i = 0; i < out->width * out->height; i++) {
        for (unsigned k = 0; k < 3; k++) {
            out->pixels[3 * i + k] = (unsigned char)(pixels[i] >> (8 * k));
        }
    }
    return LATHE_OK;
}

static lathe_status open_tiff(lt_eval *c, const tiff_calls *tiff, const lt_image_file *file, lt_image *out)
{
    tiff_file stream = { .file = file };
    void *options = tiff->options();
    if (options == NULL) {
        return LT_OOM(c->diag);
    }
    tiff->most(options, TIFF_MOST_BYTES);
    tiff->on_error(options, tiff_silent, NULL);
    tiff->on_warning(options, tiff_silent, NULL);
    void *handle = tiff->open("picture", "rm", &stream, tiff_read, tiff_write, tiff_seek, tiff_close, tiff_size, NULL,
                              NULL, options);
    tiff->options_free(options);
    if (handle == NULL) {
        return LATHE_OK;
    }
    lathe_status status = fill_tiff(c, tiff, handle, out);
    tiff->close(handle);
    return status;
}

static lathe_status read_tiff(lt_eval *c, const lt_image_file *file, lt_image *out)
{
    static const char *const names[] = { "libtiff.so.6", NULL };
    tiff_calls tiff;
    const lt_image_symbol symbols[] = {
        { "TIFFOpenOptionsAlloc", &tiff.options },
        { "TIFFOpenOptionsFree", &tiff.options_free },
        { "TIFFOpenOptionsSetMaxSingleMemAlloc", &tiff.most },
        { "TIFFOpenOptionsSetErrorHandlerExtR", &tiff.on_error },
        { "TIFFOpenOptionsSetWarningHandlerExtR", &tiff.on_warning },
        { "TIFFClientOpenExt", &tiff.open },
        { "TIFFGetField", &tiff.field },
        { "TIFFReadRGBAImageOriented", &tiff.read },
        { "TIFFClose", &tiff.close },
        { NULL, NULL },
    };
    lt_image_library library;
    LT_TRY(lt_image_open(c, "a TIFF", "libtiff6", names, symbols, &library));
    lathe_status status = open_tiff(c, &tiff, file, out);
    lt_image_close(&library);
    return status;
}

/* ---- Which one ---- */

lathe_status lt_image_read_by_library(lt_eval *c, const lt_image_file *file, bool *known, lt_image *out)
{
    *out = (lt_image){ 0 };
    *known = true;
    if (begins(file, 0, "\x89PNG\r\n\x1a\n", 8)) {
        return read_png(c, file, out);
    }
    if (begins(file, 0, "\xff\xd8\xff", 3)) {
        return read_jpeg(c, file, out);
    }
    if (begins(file, 0, "RIFF", 4) && begins(file, 8, "WEBP", 4)) {
        return read_webp(c, file, out);
    }
    if (begins(file, 0, "II*\0", 4) || begins(file, 0, "MM\0*", 4) || begins(file, 0, "II+\0", 4) ||
        begins(file, 0, "MM\0+", 4)) {
        return read_tiff(c, file, out);
    }
    if (begins(file, 0, "\xff\x4f\xff\x51", 4) || begins(file, 0, "\0\0\0\x0cjP  \r\n\x87\n", 12)) {
        return lt_image_read_openjpeg(c, file, out);
    }
    *known = false;
    return LATHE_OK;
}
