/*
 * os_file.c - files: mapped, read, confined below a folder. Part of base. Writing is in os_write.c.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/diag.h"
#include "base/os_internal.h"
#include "base/size.h"

enum { DATA_ALIGN = 64 };

lathe_status lt_io_error(const char *verb, const char *path, int error, lathe_diag *diag)
{
    char text[128] = "";
    const char *reason = strerror_r(error, text, sizeof text); /* the GNU form: thread-safe, may not use text */
    return LT_FAIL(diag, LATHE_IO, path, NULL, "cannot %s: %s", verb, reason);
}

static int open_read(int folder, const char *name, int flags)
{
    int fd;
    do { /* O_NONBLOCK: a pipe must not hang the open; regular files do not care */
        fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | flags);
    } while (fd < 0 && errno == EINTR);
    return fd;
}

/* Takes over fd. */
static lathe_status map_fd(lt_file *file, int fd, const char *path, lathe_diag *diag)
{
    struct stat info;
    if (fstat(fd, &info) != 0) {
        int error = errno;
        close(fd);
        return lt_io_error("stat", path, error, diag);
    }
    if (!S_ISREG(info.st_mode)) {
        close(fd);
        return LT_FAIL(diag, LATHE_IO, path, NULL, "this is not a regular file");
    }
    if ((uint64_t)info.st_size > PTRDIFF_MAX) {
        close(fd);
        return LT_FAIL(diag, LATHE_OVERFLOW, path, NULL, "the file is too large for this machine");
    }
    if (info.st_size > 0) {
        void *data = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data == MAP_FAILED) {
            int error = errno;
            close(fd);
            return lt_io_error("map", path, error, diag);
        }
        file->data = data;
        file->size = (size_t)info.st_size;
        file->mapped = true;
    }
    close(fd);
    return LATHE_OK;
}

lathe_status lt_file_map(lt_file *file, const char *path, lathe_diag *diag)
{
    *file = (lt_file){ 0 };
    int fd = open_read(AT_FDCWD, path, 0);
    return fd < 0 ? lt_io_error("open", path, errno, diag) : map_fd(file, fd, path, diag);
}

/* Reads to the end; *data holds *size of *capacity bytes. */
static lathe_status read_all(int fd, size_t most, const lathe_allocator *allocator, void **data, size_t *capacity, size_t *size,
                             const char *path, lathe_diag *diag)
{
    for (;;) {
        size_t need;
        if (*size > most) {
            return LT_FAIL(diag, LATHE_OVERFLOW, path, NULL, "the file is larger than %zu bytes", most);
        }
        if (*size == *capacity &&
            (!lt_size_add(*size, (size_t)1 << 16, &need) || !lt_grow(allocator, data, capacity, need, 1))) {
            return LT_FAIL(diag, LATHE_OUT_OF_MEMORY, path, NULL, "out of memory after reading %zu bytes", *size);
        }
        ssize_t got = read(fd, (char *)*data + *size, *capacity - *size);
        if (got == 0) {
            return LATHE_OK;
        }
        if (got < 0 && errno != EINTR) {
            return lt_io_error("read", path, errno, diag);
        }
        *size += got > 0 ? (size_t)got : 0;
    }
}

lathe_status lt_file_read(lt_file *file, const char *path, const lathe_allocator *allocator, lathe_diag *diag)
{
    return lt_file_read_most(file, path, SIZE_MAX, allocator, diag);
}

lathe_status lt_file_read_most(lt_file *file, const char *path, size_t most, const lathe_allocator *allocator, lathe_diag *diag)
{
    *file = (lt_file){ .allocator = allocator };
    bool standard = strcmp(path, "-") == 0;
    int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        return lt_io_error("open", path, errno, diag);
    }
    void *data = NULL;
    size_t capacity = 0, size = 0;
    struct stat info;
    lathe_status status = LATHE_OK;
    if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_size > 0 && (uint64_t)info.st_size < PTRDIFF_MAX &&
        (uint64_t)info.st_size <= most) {
        /* One more byte than the size, so that the end is seen without growing; no room is no error yet: the size
           may be a lie. */
        (void)lt_grow(allocator, &data, &capacity, (size_t)info.st_size + 1, 1);
    }
    status = read_all(fd, most, allocator, &data, &capacity, &size, path, diag);
    if (!standard) {
        close(fd);
    }
    if (status == LATHE_OK && size > 0) {
        unsigned char *exact = lt_alloc(allocator, size, DATA_ALIGN);
        if (exact != NULL) {
            memcpy(exact, data, size);
            file->data = exact;
            file->size = size;
        } else {
            status = LT_OOM(diag);
        }
    }
    lt_release(allocator, data, capacity, LT_VEC_ALIGN);
    return status;
}

void lt_file_close(lt_file *file)
{
    if (file->data != NULL && file->mapped) {
        munmap((void *)file->data, file->size);
    } else if (file->data != NULL) {
        lt_release(file->allocator, (void *)file->data, file->size, DATA_ALIGN);
    }
    *file = (lt_file){ .allocator = file->allocator };
}

static lathe_status refuse(const char *name, const char *why, lathe_diag *diag)
{
    return LT_FAIL(diag, LATHE_BAD_MODEL, name,
                   "keep external data beside the model, and refer to it by a plain relative name",
                   "the name of an external file is refused: %s", why);
}

/* The next component of *rest into out (NAME_MAX and the NUL fit); *rest moves behind it and its slashes. */
static bool next_component(const char **rest, char out[256])
{
    size_t length = strcspn(*rest, "/");
    if (length > 255) {
        return false;
    }
    memcpy(out, *rest, length);
    out[length] = '\0';
    *rest += length;
    *rest += strspn(*rest, "/");
    return true;
}

/* Opens each component in turn without following links. */
static lathe_status open_below(int folder, const char *name, int *out, lathe_diag *diag)
{
    const char *rest = name;
    char part[256];
    int at = folder;
    while (*rest != '\0') {
        if (!next_component(&rest, part) || strcmp(part, "..") == 0) {
            if (at != folder) {
                close(at);
            }
            return refuse(name, strcmp(part, "..") == 0 ? "it contains '..'" : "a part of it is too long", diag);
        }
        int fd = open_read(at, part, O_NOFOLLOW | (*rest != '\0' ? O_DIRECTORY : 0));
        int error = errno;
        struct stat info;
        bool link = fd < 0 && fstatat(at, part, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(info.st_mode);
        if (at != folder) {
            close(at);
        }
        if (link) {
            return refuse(name, "it goes through a symbolic link", diag);
        }
        if (fd < 0) {
            return lt_io_error("open the external file", name, error, diag);
        }
        at = fd;
    }
    *out = at;
    return LATHE_OK;
}

lathe_status lt_file_map_below(lt_file *file, const char *folder, const char *name, lathe_diag *diag)
{
    *file = (lt_file){ 0 };
    if (name[0] == '\0' || name[0] == '/') {
        return refuse(name, name[0] == '/' ? "it is absolute" : "it is empty", diag);
    }
    int root = open_read(AT_FDCWD, folder[0] == '\0' ? "." : folder, O_DIRECTORY);
    if (root < 0) {
        return lt_io_error("open the folder", folder, errno, diag);
    }
    int fd = -1;
    lathe_status status = open_below(root, name, &fd, diag);
    close(root);
    return status == LATHE_OK ? map_fd(file, fd, name, diag) : status;
}
