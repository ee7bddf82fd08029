/*
 * data_png.c - pictures, by libpng where the build has it. The only file that sees libpng.
 */
#include "data.h"

#ifdef LATHE_HAVE_PNG
#include <png.h>
#include <string.h>

lathe_status png_read_file(const char *path, int channels, lt_arena *arena, unsigned char **pixels, int64_t *height,
                           int64_t *width, lathe_diag *diag)
{
    png_image image = { .version = PNG_IMAGE_VERSION };
    lt_file file;
    LT_TRY(lt_file_read(&file, path, NULL, diag));
    if (!png_image_begin_read_from_memory(&image, file.data, file.size)) {
        lt_file_close(&file);
        return LT_FAIL(diag, LATHE_BAD_MODEL, path, NULL, "no sound PNG picture: %s", image.message);
    }
    image.format = channels == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB;
    size_t bytes;
    lathe_status status = LATHE_OK;
    *pixels = NULL;
    if (lt_size_mul((size_t)image.width * (size_t)channels, image.height, &bytes) && bytes < (size_t)1 << 31) {
        *pixels = lt_arena_alloc(arena, bytes + 1, 64);
    }
    if (!*pixels) {
        status = LT_OOM(diag);
    } else if (!png_image_finish_read(&image, NULL, *pixels, 0, NULL)) {
        status = LT_FAIL(diag, LATHE_BAD_MODEL, path, NULL, "the picture cannot be read: %s", image.message);
    }
    *height = image.height;
    *width = image.width;
    png_image_free(&image);
    lt_file_close(&file);
    return status;
}

lathe_status png_write_file(const char *path, int channels, const unsigned char *pixels, int64_t height, int64_t width,
                            lathe_diag *diag)
{
    png_image image = { .version = PNG_IMAGE_VERSION };
    image.width = (png_uint_32)width;
    image.height = (png_uint_32)height;
    image.format = channels == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB;
    png_alloc_size_t size = 0;
    if (width <= 0 || height <= 0 || width > 1 << 24 || height > 1 << 24 ||
        !png_image_write_to_memory(&image, NULL, &size, 0, pixels, 0, NULL)) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, path, NULL, "the picture cannot be written: %s", image.message);
    }
    size_t capacity = size;
    void *memory = lt_alloc(NULL, capacity, 64);
    if (!memory) {
        return LT_OOM(diag);
    }
    lathe_status status =
        png_image_write_to_memory(&image, memory, &size, 0, pixels, 0, NULL)
            ? lt_file_write(path, memory, size, diag)
            : LT_FAIL(diag, LATHE_INTERNAL, path, NULL, "the picture cannot be written: %s", image.message);
    lt_release(NULL, memory, capacity, 64);
    return status;
}
#else
static lathe_status without(const char *path, lathe_diag *diag)
{
    return LT_FAIL(diag, LATHE_UNSUPPORTED, path, "use .npy, or build Lathe with libpng",
                   "pictures need libpng, which this build lacks");
}

lathe_status png_read_file(const char *path, int channels, lt_arena *arena, unsigned char **pixels, int64_t *height,
                           int64_t *width, lathe_diag *diag)
{
    (void)channels, (void)arena, (void)pixels, (void)height, (void)width;
    return without(path, diag);
}

lathe_status png_write_file(const char *path, int channels, const unsigned char *pixels, int64_t height, int64_t width,
                            lathe_diag *diag)
{
    (void)channels, (void)pixels, (void)height, (void)width;
    return without(path, diag);
}
#endif

const data_library library_png = {
    "libpng",
#ifdef LATHE_HAVE_PNG
    true,
#else
    false,
#endif
    "built without libpng: pictures cannot be read or written; install libpng-dev and build again",
};
