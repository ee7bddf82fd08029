/*
 * status.c - the version and the names of status codes. Part of base; called from everywhere, must know nothing.
 */
#include <lathe/base.h>

#include "base/diag.h"

const char *lathe_version(void)
{
    return LATHE_VERSION_STRING;
}

const char *lathe_status_name(lathe_status status)
{
    static const char *const names[] = {
        [LATHE_OK] = "ok",
        [LATHE_INVALID_ARGUMENT] = "invalid-argument",
        [LATHE_OUT_OF_MEMORY] = "out-of-memory",
        [LATHE_IO] = "io",
        [LATHE_BAD_MODEL] = "bad-model",
        [LATHE_UNSUPPORTED] = "unsupported",
        [LATHE_BAD_PLAN] = "bad-plan",
        [LATHE_BAD_SHAPE] = "bad-shape",
        [LATHE_NOT_READY] = "not-ready",
        [LATHE_NEEDS_RETUNE] = "needs-retune",
        [LATHE_OVERFLOW] = "overflow",
        [LATHE_CANCELLED] = "cancelled",
        [LATHE_INTERNAL] = "internal",
    };
    return (size_t)status < LT_COUNT(names) ? names[status] : "unknown-status";
}
