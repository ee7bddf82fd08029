/*
 * backend_internal.h - what the backends' files share among themselves: the table's rows. Not for other folders.
 */
#ifndef LT_BACKEND_INTERNAL_H
#define LT_BACKEND_INTERNAL_H

#include "backend/backend.h"

extern const lt_backend lt_backend_cpu;
extern const lt_backend lt_backend_twin;

/* oneDNN as a source (cpu/onednn_library.c). find: is it here, in which version or why not; use: its file, heeded before the first find. */
bool lt_onednn_find(char *version, size_t version_size, char *why, size_t why_size);
void lt_onednn_use(const char *path);

#endif
