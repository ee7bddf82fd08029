/*
 * os_lock.c - changing a file that other processes change too: one at a time, and each sees the last one's result. Part of base.
 *
 * PATH.lock is both the lock (flock: the kernel lets go of it when its owner dies) and the place where the new contents grow; the rename that publishes
 * them also ends the lock. Who waited on the old file notices that the name is another file's by now, and starts again.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/diag.h"
#include "base/os_internal.h"

#define PATIENCE_NS ((int64_t)60 * 1000000000)
enum { PAUSE_FIRST_NS = 200000, PAUSE_LAST_NS = 20000000 };

struct lt_update {
    const lathe_allocator *allocator;
    int fd;       /* of the lock file; -1 when the target is no regular file, and once it is published */
    bool found;
    mode_t mode;  /* of the file that was there */
    char path[PATH_MAX];
    char lock[PATH_MAX + 8];
};

/* The name may have gone to another file, or be gone, since it was opened. */
static bool still_there(const lt_update *u)
{
    struct stat ours, named;
    return fstat(u->fd, &ours) == 0 && stat(u->lock, &named) == 0 && ours.st_dev == named.st_dev && ours.st_ino == named.st_ino;
}

static lathe_status acquire(lt_update *u, lathe_diag *diag)
{
    int64_t start = lt_now_ns();
    for (long pause = PAUSE_FIRST_NS;; pause = pause < PAUSE_LAST_NS ? 2 * pause : pause) {
        u->fd = open(u->lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW, 0666);
        if (u->fd < 0) {
            return lt_io_error("open the lock file", u->lock, errno, diag);
        }
        int error = flock(u->fd, LOCK_EX | LOCK_NB) == 0 ? 0 : errno;
        if (error == 0 && still_there(u)) {
            return LATHE_OK;
        }
        close(u->fd);
        u->fd = -1;
        if (error != 0 && error != EWOULDBLOCK && error != EINTR) {
            return lt_io_error("lock", u->lock, error, diag);
        }
        if (lt_now_ns() - start > PATIENCE_NS) {
            return LT_FAIL(diag, LATHE_IO, u->lock, "look which process holds this file (lsof), and end it if it hangs",
                           "another process has kept '%s' locked for a minute", u->path);
        }
        nanosleep(&(struct timespec){.tv_nsec = pause}, NULL);
    }
}

static lathe_status open_update(lt_update *u, const char *path, lathe_diag *diag)
{
    struct stat info;
    if (realpath(path, u->path) == NULL) { /* not there yet */
        if (strlen(path) >= PATH_MAX) {
            return lt_io_error("create", path, ENAMETOOLONG, diag);
        }
        memcpy(u->path, path, strlen(path) + 1);
    }
    if (stat(u->path, &info) == 0 && !S_ISREG(info.st_mode)) {
        return S_ISDIR(info.st_mode) ? lt_io_error("write", path, EISDIR, diag) : LATHE_OK;
    }
    snprintf(u->lock, sizeof u->lock, "%s.lock", u->path);
    LT_TRY(acquire(u, diag));
    if (stat(u->path, &info) == 0) {
        u->found = true;
        u->mode = info.st_mode & 0777;
    } else if (errno != ENOENT) {
        return lt_io_error("look at", u->path, errno, diag);
    }
    return LATHE_OK;
}

lathe_status lt_update_open(lt_update **out, const char *path, const lathe_allocator *allocator, lathe_diag *diag)
{
    *out = NULL;
    lt_update *u = LT_NEW(allocator, lt_update);
    if (u == NULL) {
        return LT_OOM(diag);
    }
    u->allocator = allocator;
    u->fd = -1;
    lathe_status status = open_update(u, path, diag);
    if (status != LATHE_OK) {
        lt_update_abort(u);
        return status;
    }
    *out = u;
    return LATHE_OK;
}

bool lt_update_found(const lt_update *update)
{
    return update->found;
}

static lathe_status publish(lt_update *u, const void *data, size_t size, lathe_diag *diag)
{
    if (ftruncate(u->fd, 0) != 0) { /* what a writer that died left behind */
        return lt_io_error("clear", u->lock, errno, diag);
    }
    LT_TRY(lt_write_all(u->fd, u->lock, data, size, diag));
    if (u->found && fchmod(u->fd, u->mode) != 0) {
        /* Someone else's file: the new one has this user's default mode. */
    }
    if (fsync(u->fd) != 0 && errno != EINVAL && errno != ENOTSUP) {
        return lt_io_error("flush", u->lock, errno, diag);
    }
    if (rename(u->lock, u->path) != 0) {
        return lt_io_error("rename the finished file to", u->path, errno, diag);
    }
    close(u->fd); /* only now: the lock goes with it */
    u->fd = -1;
    return LATHE_OK;
}

/* Into a pipe or a device: a rename would replace it. */
static lathe_status write_through(const lt_update *u, const void *data, size_t size, lathe_diag *diag)
{
    int fd = open(u->path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        return lt_io_error("open", u->path, errno, diag);
    }
    lathe_status status = lt_write_all(fd, u->path, data, size, diag);
    close(fd);
    return status;
}

lathe_status lt_update_commit(lt_update *u, const void *data, size_t size, lathe_diag *diag)
{
    lathe_status status = u->fd >= 0 ? publish(u, data, size, diag) : write_through(u, data, size, diag);
    lt_update_abort(u);
    return status;
}

void lt_update_abort(lt_update *u)
{
    if (u == NULL) {
        return;
    }
    if (u->fd >= 0) {
        unlink(u->lock); /* ours as long as we hold it */
        close(u->fd);
    }
    LT_DELETE(u->allocator, u);
}
