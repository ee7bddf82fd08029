/*
 * backend_internal.h - what the backends' files share among themselves: the table's rows. Not for other folders.
 */
#ifndef LT_BACKEND_INTERNAL_H
#define LT_BACKEND_INTERNAL_H

#include "backend/backend.h"

extern const lt_backend lt_backend_cpu;
extern const lt_backend lt_backend_twin;

#endif
