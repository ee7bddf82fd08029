/*
 * data_deflate.c - unpacking deflate, by zlib where the build has it; the CRC-32 of zip. The only file that sees zlib.
 */
#include "data.h"

#ifdef LATHE_HAVE_ZLIB
#include <zlib.h>

lathe_status deflate_read(const void *src, size_t src_size, void *dst, size_t dst_size, const char *what,
                          lathe_diag *diag)
{
    z_stream z = { 0 };
    unsigned char spare;
    if (src_size > UINT32_MAX / 2 || dst_size > UINT32_MAX / 2) {
        return LT_FAIL(diag, LATHE_UNSUPPORTED, what, NULL, "packed data above 2 GiB");
    }
    if (inflateInit2(&z, -15) != Z_OK) {
        return LT_OOM(diag);
    }
    z.next_in = (unsigned char *)src;
    z.avail_in = (uInt)src_size;
    z.next_out = dst_size > 0 ? dst : &spare;
    z.avail_out = (uInt)dst_size;
    int result = inflate(&z, Z_FINISH);
    bool exact = result == Z_STREAM_END && z.total_out == dst_size;
    inflateEnd(&z);
    return exact ? LATHE_OK : LT_FAIL(diag, LATHE_BAD_MODEL, what, NULL, "the packed data are damaged");
}
#else
lathe_status deflate_read(const void *src, size_t src_size, void *dst, size_t dst_size, const char *what,
                          lathe_diag *diag)
{
    (void)src, (void)src_size, (void)dst, (void)dst_size;
    return LT_FAIL(diag, LATHE_UNSUPPORTED, what, "save it without compression, or build Lathe with zlib",
                   "packed data need zlib, which this build lacks");
}
#endif

uint32_t crc32_of(const void *data, size_t size)
{
    const unsigned char *b = data;
    uint32_t crc = ~(uint32_t)0;
    for (size_t i = 0; i < size; i++) {
        crc ^= b[i];
        for (int k = 0; k < 8; k++) {
            crc = crc >> 1 ^ (0xedb88320u & (0u - (crc & 1u)));
        }
    }
    return ~crc;
}

const data_library library_zlib = {
    "zlib",
#ifdef LATHE_HAVE_ZLIB
    true,
#else
    false,
#endif
    "built without zlib: compressed npz files cannot be read; install zlib1g-dev and build again",
};
