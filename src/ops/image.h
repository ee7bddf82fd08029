/*
 * image.h - pictures in files of several formats, for ImageDecoder. Private to src/ops.
 *
 * Everything comes from untrusted bytes. What cannot be decoded is no error but an answer, as the specification of the operator wants it; a library that is
 * not installed is an error that names it.
 */
#ifndef LT_IMAGE_H
#define LT_IMAGE_H

#include "ops/ops.h"

/* Larger pictures are refused before memory is asked for. */
#define LT_IMAGE_MOST_PIXELS ((int64_t)1 << 28)

/* Rows of red, green, blue from the top; pixels in scratch memory. width 0: it could not be decoded. */
typedef struct lt_image {
    int64_t width, height;
    unsigned char *pixels;
} lt_image;

typedef struct lt_image_file {
    const unsigned char *bytes;
    size_t size;
} lt_image_file;

/* Room for width * height pixels, not cleared; *out stays undecoded where that is no sensible picture. LATHE_OUT_OF_MEMORY is the only error. */
lathe_status lt_image_make(lt_eval *c, int64_t width, int64_t height, lt_image *out);

/* Own code: Portable anymaps (P1..P7) and BMP. */
bool lt_image_is_pnm(const lt_image_file *file);
bool lt_image_is_bmp(const lt_image_file *file);
lathe_status lt_image_read_pnm(lt_eval *c, const lt_image_file *file, lt_image *out);
lathe_status lt_image_read_bmp(lt_eval *c, const lt_image_file *file, lt_image *out);

/* The others, by libraries (image_libraries.c, image_openjpeg.c): *known says whether the bytes begin like one of their formats. */
lathe_status lt_image_read_by_library(lt_eval *c, const lt_image_file *file, bool *known, lt_image *out);

/* A library that is open while a picture is decoded. */
typedef struct lt_image_library {
    void *handle;
} lt_image_library;
typedef struct lt_image_symbol {
    const char *name;
    void *place; /* of the pointer to the function */
} lt_image_symbol;
/* Opens the first of the names (NULL ends both lists). LATHE_UNSUPPORTED names the library, the package and the function that is missing. */
lathe_status lt_image_open(lt_eval *c, const char *format, const char *package, const char *const *names,
                           const lt_image_symbol *symbols, lt_image_library *out);
void lt_image_close(lt_image_library *library);

lathe_status lt_image_read_openjpeg(lt_eval *c, const lt_image_file *file, lt_image *out);

#endif
