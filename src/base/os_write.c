/*
 * os_write.c - files that appear whole or not at all. Part of base.
 *
 * Data go to a temporary name in the same folder, which is renamed at the end. Pipes and devices (/dev/null) are
 * written to directly: a rename would
 * replace them. Links are followed once, at the start, so that they stay links.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/diag.h"
#include "base/os_internal.h"

enum { BUFFER = 1 << 16 };

struct lt_writer {
    const lathe_allocator *allocator;
    int fd;
    bool direct; /* no temporary name, no rename */
    bool failed;
    size_t fill;
    char path[PATH_MAX];
    char temporary[PATH_MAX + 64];
    unsigned char buffer[BUFFER];
};

/* The path with links resolved when it exists; false when it is too long. */
static bool resolve(const char *path, char out[PATH_MAX])
{
    if (realpath(path, out) != NULL) {
        return true;
    }
    size_t length = strlen(path);
    if (length >= PATH_MAX) {
        return false;
    }
    memcpy(out, path, length + 1);
    return true;
}

static lathe_status open_temporary(lt_writer *w, mode_t mode, lathe_diag *diag)
{
    int error = EEXIST;
    for (unsigned attempt = 0; attempt < 100 && error == EEXIST; attempt++) {
        unsigned long long tag = (unsigned long long)lt_now_ns() + attempt;
        snprintf(w->temporary, sizeof w->temporary, "%s.%ld-%llx.tmp", w->path, (long)getpid(), tag);
        w->fd = open(w->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, mode);
        error = w->fd < 0 ? errno : 0;
    }
    return w->fd < 0 ? lt_io_error("create a file beside", w->path, error, diag) : LATHE_OK;
}

static lathe_status open_target(lt_writer *w, const char *path, lathe_diag *diag)
{
    struct stat info;
    if (!resolve(path, w->path)) {
        return lt_io_error("create", path, ENAMETOOLONG, diag);
    }
    bool exists = stat(w->path, &info) == 0;
    if (exists && S_ISDIR(info.st_mode)) {
        return lt_io_error("write", path, EISDIR, diag);
    }
    if (exists && !S_ISREG(info.st_mode)) {
        w->direct = true;
        w->fd = open(w->path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
        return w->fd < 0 ? lt_io_error("open", path, errno, diag) : LATHE_OK;
    }
    LT_TRY(open_temporary(w, 0666, diag));
    if (exists && fchmod(w->fd, info.st_mode & 0777) != 0) {
        /* Someone else's file: the new one has this user's default mode. */
    }
    return LATHE_OK;
}

lathe_status lt_writer_open(lt_writer **out, const char *path, const lathe_allocator *allocator, lathe_diag *diag)
{
    *out = NULL;
    lt_writer *w = LT_NEW(allocator, lt_writer);
    if (w == NULL) {
        return LT_OOM(diag);
    }
    w->allocator = allocator;
    w->fd = -1;
    lathe_status status = open_target(w, path, diag);
    if (status != LATHE_OK) {
        LT_DELETE(allocator, w);
        return status;
    }
    *out = w;
    return LATHE_OK;
}

lathe_status lt_write_all(int fd, const char *path, const void *data, size_t size, lathe_diag *diag)
{
    const unsigned char *at = data;
    while (size > 0) {
        ssize_t n = write(fd, at, size < SSIZE_MAX / 2 ? size : SSIZE_MAX / 2);
        if (n < 0 && errno != EINTR) {
            return lt_io_error("write", path, errno, diag);
        }
        at += n > 0 ? n : 0;
        size -= n > 0 ? (size_t)n : 0;
    }
    return LATHE_OK;
}

static lathe_status put(lt_writer *w, const void *data, size_t size, lathe_diag *diag)
{
    lathe_status status = lt_write_all(w->fd, w->path, data, size, diag);
    w->failed |= status != LATHE_OK;
    return status;
}

lathe_status lt_writer_write(lt_writer *w, const void *data, size_t size, lathe_diag *diag)
{
    if (w->failed) {
        return LT_FAIL(diag, LATHE_IO, w->path, NULL, "an earlier write to this file failed");
    }
    if (size == 0) {
        return LATHE_OK;
    }
    if (size > BUFFER - w->fill) {
        size_t fill = w->fill;
        w->fill = 0;
        LT_TRY(put(w, w->buffer, fill, diag));
    }
    if (size > BUFFER) {
        return put(w, data, size, diag);
    }
    memcpy(w->buffer + w->fill, data, size);
    w->fill += size;
    return LATHE_OK;
}

static lathe_status finish(lt_writer *w, lathe_diag *diag)
{
    if (w->failed) {
        return LT_FAIL(diag, LATHE_IO, w->path, NULL, "an earlier write to this file failed");
    }
    LT_TRY(put(w, w->buffer, w->fill, diag));
    if (!w->direct && fsync(w->fd) != 0 && errno != EINVAL && errno != ENOTSUP) {
        return lt_io_error("flush", w->path, errno, diag);
    }
    int fd = w->fd;
    w->fd = -1;
    if (close(fd) != 0 && errno != EINTR) {
        return lt_io_error("close", w->path, errno, diag);
    }
    if (!w->direct && rename(w->temporary, w->path) != 0) {
        return lt_io_error("rename the finished file to", w->path, errno, diag);
    }
    w->temporary[0] = '\0';
    return LATHE_OK;
}

lathe_status lt_writer_commit(lt_writer *w, lathe_diag *diag)
{
    lathe_status status = finish(w, diag);
    lt_writer_abort(w);
    return status;
}

void lt_writer_abort(lt_writer *w)
{
    if (w == NULL) {
        return;
    }
    if (w->fd >= 0) {
        close(w->fd);
    }
    if (!w->direct && w->temporary[0] != '\0') {
        unlink(w->temporary);
    }
    LT_DELETE(w->allocator, w);
}

lathe_status lt_file_write(const char *path, const void *data, size_t size, lathe_diag *diag)
{
    lt_writer *w;
    LT_TRY(lt_writer_open(&w, path, NULL, diag));
    lathe_status status = lt_writer_write(w, data, size, diag);
    if (status != LATHE_OK) {
        lt_writer_abort(w);
        return status;
    }
    return lt_writer_commit(w, diag);
}
