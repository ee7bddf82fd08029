/*
 * os_internal.h - shared by the files of src/base that talk to libc about files.
 */
#ifndef LT_OS_INTERNAL_H
#define LT_OS_INTERNAL_H

#include "base/os.h"

/* "cannot VERB: REASON", with the path as the place. */
lathe_status lt_io_error(const char *verb, const char *path, int error, lathe_diag *diag);
/* All of it, however many calls that takes. */
lathe_status lt_write_all(int fd, const char *path, const void *data, size_t size, lathe_diag *diag);

#endif
