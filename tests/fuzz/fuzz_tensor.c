/*
 * fuzz_tensor.c - any bytes as the .pb files of ONNX's backend tests: a tensor, a sequence, an optional, a map. The first byte says which is asked for. What
 * reads as a tensor is written and read again, and must be the same.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "onnx/onnx.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int condition, const char *what)
{
    if (!condition) {
        fprintf(stderr, "fuzz_tensor: %s\n", what);
        abort();
    }
}

static void check_tensor(const lt_tensor *tensor, lt_arena *arena)
{
    lt_type type = { .cls = LT_TENSOR, .dtype = tensor->dtype, .rank = -1 };
    lt_any again;
    lt_buf buf;
    lt_buf_init(&buf, NULL);
    if (lt_onnx_write_tensor(tensor, "t", &buf, NULL) == LATHE_OK) {
        require(lt_onnx_read_value(buf.data, buf.length, &type, arena, &again, "again", NULL) == LATHE_OK, "what was written does not read back");
        require(lt_tensor_equal(tensor, &again.tensor), "it reads back as something else");
    }
    lt_buf_free(&buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lt_type tensor = { .cls = LT_TENSOR, .dtype = LATHE_DTYPE_UNDEFINED, .rank = -1 };
    lt_type sequence = { .cls = LT_SEQUENCE, .elem = &tensor }, types[] = { tensor, sequence, { .cls = LT_OPTIONAL, .elem = &tensor }, { .cls = LT_OPTIONAL, .elem = &sequence },
                                                                           { .cls = LT_SEQUENCE, .elem = &sequence }, { .cls = LT_MAP, .dtype = LATHE_DTYPE_I64, .elem = &tensor } };
    lathe_diag *diag = lathe_diag_create(NULL);
    lt_arena arena;
    lt_any value;
    lt_arena_init(&arena, NULL);
    if (size > 0) {
        lathe_status status = lt_onnx_read_value(data + 1, size - 1, &types[data[0] % LT_COUNT(types)], &arena, &value, "fuzz", diag);
        require(status != LATHE_INTERNAL, "a broken promise");
        require(status == LATHE_OK || lathe_diag_total(diag) > 0, "a refusal without a reason");
        if (status == LATHE_OK && value.cls == LT_TENSOR) {
            check_tensor(&value.tensor, &arena);
        }
    }
    lt_arena_destroy(&arena);
    lathe_diag_destroy(diag);
    return 0;
}
