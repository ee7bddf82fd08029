/*
 * fuzz_cache.c - fuzz target for the reader of timing caches: a named error, or contents that print to a text which reads back and prints the same.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tune/timing_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int condition, const char *what)
{
    if (!condition) {
        fprintf(stderr, "fuzz_cache: %s\n", what);
        abort();
    }
}

/* The contents as text; false: refused. */
static int print_again(const char *data, size_t size, lt_buf *out)
{
    lathe_timing_cache *cache;
    lathe_diag *diag = lathe_diag_create(NULL);
    require(lathe_timing_cache_create(NULL, &cache, NULL) == LATHE_OK, "no memory");
    lathe_status status = lt_timing_parse(cache, "F", data, size, diag);
    require(status == LATHE_OK || status == LATHE_BAD_PLAN || status == LATHE_OVERFLOW, "reading failed in another way than by refusal");
    require((status == LATHE_OK) == (lathe_diag_total(diag) == 0), "a refusal says why, and nothing else does");
    if (status == LATHE_OK) {
        require(lt_timing_print(cache, out, NULL) == LATHE_OK, "what was read cannot be printed");
        for (size_t i = 0; i < lathe_timing_cache_count(cache); i++) {
            lathe_timing_entry e = {.struct_size = sizeof e}, found = {.struct_size = sizeof found};
            require(lathe_timing_cache_at(cache, i, &e) && lathe_timing_cache_find(cache, &e, &found), "an entry is not found");
        }
    }
    lathe_timing_cache_destroy(cache);
    lathe_diag_destroy(diag);
    return status == LATHE_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lt_buf once, twice;
    lt_buf_init(&once, NULL);
    lt_buf_init(&twice, NULL);
    if (print_again((const char *)data, size, &once)) {
        require(print_again(once.data, once.length, &twice), "what was printed is refused");
        require(once.length == twice.length && memcmp(once.data, twice.data, once.length) == 0, "printed again it reads otherwise");
    }
    lt_buf_free(&once);
    lt_buf_free(&twice);
    return 0;
}
