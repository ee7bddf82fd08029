/*
 * containers.h - what the tests of sequences, optionals and maps share: tensors of literals, networks from text with an engine and a context, their outputs.
 */
#ifndef LT_TEST_CONTAINERS_H
#define LT_TEST_CONTAINERS_H

#include "graph/graph.h"
#include "support/system.h"
#include <stdlib.h>
#include <string.h>

static inline lathe_tensor tensor(lathe_dtype dtype, int rank, const int64_t *dims, const void *data)
{
    lathe_tensor t = { .struct_size = sizeof t };
    SYS_MUST(lt_tensor_shape(&t, dtype, rank, dims, "test", diag));
    t.struct_size = sizeof t;
    t.data = (void *)data;
    return t;
}

static inline lathe_tensor floats(int64_t count, const float *data)
{
    return tensor(LATHE_DTYPE_F32, 1, &count, data);
}

/* A sequence of vectors, `sizes` ends with -1; element k of item i is 10 i + k. */
static inline lathe_any *vectors(const int64_t *sizes)
{
    lathe_any *any = NULL;
    SYS_MUST(lathe_any_create(NULL, LATHE_KIND_SEQUENCE, &any, diag));
    for (size_t i = 0; sizes[i] >= 0; i++) {
        float data[64];
        for (int64_t k = 0; k < sizes[i]; k++) {
            data[k] = (float)(10 * (int64_t)i + k);
        }
        lathe_tensor t = floats(sizes[i], data);
        SYS_MUST(lathe_any_put(any, i, &t, diag));
    }
    return any;
}
#define VECTORS(...) vectors((const int64_t[]){ __VA_ARGS__, -1 })

static inline void assert_item(const lathe_any *any, size_t index, int64_t count, float first, float step)
{
    lathe_tensor t = { .struct_size = sizeof t };
    SYS_MUST(lathe_any_tensor(lathe_any_at(any, index), &t, diag));
    assert_int_equal(t.dtype, LATHE_DTYPE_F32);
    assert_int_equal(t.rank, 1);
    assert_int_equal(t.dims[0], count);
    assert_int_equal(t.bytes, (size_t)count * sizeof(float));
    for (int64_t k = 0; k < count; k++) {
        assert_true(((const float *)t.data)[k] == first + step * (float)k);
    }
}

static inline lathe_network *from_text(const char *text)
{
    lathe_network *network = NULL;
    SYS_MUST(lathe_network_from_text(text, strlen(text), NULL, &network, diag));
    return network;
}

typedef struct fixture {
    lathe_engine *engine;
    lathe_context *context;
} fixture;

static inline fixture open_text(const char *text, const lathe_build_options *options)
{
    fixture f = { 0 };
    lathe_network *network = from_text(text);
    f.engine = sys_engine(network, options);
    lathe_network_destroy(network);
    SYS_MUST(lathe_context_create(f.engine, NULL, &f.context, diag));
    return f;
}

static inline void close_fixture(fixture *f)
{
    lathe_context_destroy(f->context);
    lathe_engine_destroy(f->engine);
}

static inline const lathe_any *output(fixture *f, const char *name)
{
    const lathe_any *any = NULL;
    SYS_MUST(lathe_context_output_any(f->context, name, &any, diag));
    assert_non_null(any);
    return any;
}

#endif
