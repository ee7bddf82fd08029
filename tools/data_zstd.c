/*
 * data_zstd.c - unpacking .zst, by libzstd where the build has it. The only file that sees libzstd.
 */
#include "data.h"

#ifdef LATHE_HAVE_ZSTD
#include <zstd.h>

lathe_status zstd_read(const void *src, size_t size, const char *what, lt_arena *arena, unsigned char **out,
                       size_t *out_size, lathe_diag *diag)
{
    ZSTD_DStream *stream = ZSTD_createDStream();
    ZSTD_inBuffer in = { src, size, 0 };
    size_t capacity = 0, more = 1;
    lathe_status status = stream ? LATHE_OK : LT_OOM(diag);
    *out = NULL;
    *out_size = 0;
    while (status == LATHE_OK && more != 0) {
        if (*out_size + 65536 > capacity && !lt_arena_grow(arena, (void **)out, &capacity, *out_size + (1u << 20), 1)) {
            status = LT_OOM(diag);
            break;
        }
        ZSTD_outBuffer to = { *out + *out_size, capacity - *out_size, 0 };
        more = ZSTD_decompressStream(stream, &to, &in);
        *out_size += to.pos;
        if (ZSTD_isError(more)) {
            status =
                LT_FAIL(diag, LATHE_BAD_MODEL, what, NULL, "the packed data are damaged: %s", ZSTD_getErrorName(more));
        } else if (more != 0 && in.pos == in.size && to.pos == 0) {
            status = LT_FAIL(diag, LATHE_BAD_MODEL, what, NULL, "the packed data are cut off");
        }
    }
    ZSTD_freeDStream(stream);
    return status;
}
#else
lathe_status zstd_read(const void *src, size_t size, const char *what, lt_arena *arena, unsigned char **out,
                       size_t *out_size, lathe_diag *diag)
{
    (void)src, (void)size, (void)arena, (void)out, (void)out_size;
    return LT_FAIL(diag, LATHE_UNSUPPORTED, what, "unpack it first, or build Lathe with libzstd",
                   ".zst needs libzstd, which this build lacks");
}
#endif

const data_library library_zstd = {
    "libzstd",
#ifdef LATHE_HAVE_ZSTD
    true,
#else
    false,
#endif
    "built without libzstd: .zst archives cannot be read; install libzstd-dev and build again",
};
