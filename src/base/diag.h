/*
 * diag.h - how code inside Lathe reports failure. Part of base.
 */
#ifndef LT_DIAG_H
#define LT_DIAG_H

#include <assert.h>
#include <lathe/base.h>
#include <stdarg.h>

/*
 * Records one failure and returns `status`, so that `return LT_FAIL(diag, LATHE_BAD_MODEL, where, advice, "...", ...)` reads as one
 * thought. where: place in the model or NULL. advice: what the user should do, or NULL. diag may be NULL.
 */
#define LT_FAIL(diag, status, where, advice, ...) \
    lt_failed(lt_diag_fail((diag), (status), __FILE__, __LINE__, (where), (advice), __VA_ARGS__), (status))

#define LT_OOM(diag)                                                                                             \
    lt_failed(lt_diag_fail((diag), LATHE_OUT_OF_MEMORY, __FILE__, __LINE__, NULL, NULL, "out of memory"), \
              LATHE_OUT_OF_MEMORY)

/* Shows the compiler which status a failure has, so that it does not take LT_FAIL for a success. */
static inline lathe_status lt_failed(lathe_status recorded, lathe_status status)
{
    (void)recorded;
    return status;
}

lathe_status lt_diag_fail(lathe_diag *diag, lathe_status status, const char *file, int line, const char *where,
                          const char *advice, const char *format, ...) __attribute__((format(printf, 7, 8)));

/* Returns early with the status of a call that failed. */
#define LT_TRY(call)                     \
    do {                                 \
        lathe_status lt_try_ = (call);   \
        if (lt_try_ != LATHE_OK) {       \
            return lt_try_;              \
        }                                \
    } while (0)

/* Programming errors: LT_ASSERT in debug builds only; LT_CHECK at stage borders, always on, as LATHE_INTERNAL. */
#define LT_ASSERT(cond) assert(cond)
#define LT_CHECK(diag, cond, where)                                                                                 \
    do {                                                                                                            \
        if (!(cond)) {                                                                                              \
            return LT_FAIL((diag), LATHE_INTERNAL, (where), "this is a bug in Lathe: please report it", "check failed: %s", \
                           #cond);                                                                                  \
        }                                                                                                           \
    } while (0)

#define LT_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Depth of anything nested in input data (subgraphs, types, protobuf messages, text); deeper is refused by name. */
#define LT_MAX_DEPTH 64

#endif
