/*
 * test_system_skeletons.c - eight real architectures (convolution, depthwise, transformer, recurrent, detection, super-resolution, quantized, segmentation)
 * through saved plans on one and two threads: what ONNX Runtime gives for them is stored beside them (tests/peers/skeleton_outputs.py). The same
 * bits on both thread counts; other inputs give other outputs; the same class first for classifiers.
 *
 * ctest: TIMEOUT 900 COST 50
 *
 * Under sanitizers only the first set of inputs runs on one thread too.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/skeleton.h"
#include "support/system.h"

typedef struct outputs { /* of one run */
    lt_arena arena;
    lathe_tensor tensors[SK_OUTPUTS];
    size_t count;
} outputs;

static void run(const skeleton *s, const lathe_engine *engine, int threads, int set, outputs *out)
{
    lathe_context_options options = { .struct_size = sizeof options, .threads = threads };
    lathe_context *context = NULL;
    lathe_io io = { .struct_size = sizeof io };
    lathe_tensor input;
    lt_arena_init(&out->arena, NULL);
    assert_int_equal(skeleton_input(s, set, &out->arena, &input), LATHE_OK);
    SYS_MUST(lathe_context_create(engine, &options, &context, diag));
    SYS_MUST(lathe_engine_io(engine, 0, &io, diag));
    SYS_MUST(lathe_context_set_input(context, io.name, &input, diag));
    SYS_MUST(lathe_context_run(context, diag));
    out->count = lathe_engine_outputs(engine);
    assert_true(out->count <= SK_OUTPUTS);
    for (size_t i = 0; i < out->count; i++) {
        lathe_tensor t = { .struct_size = sizeof t };
        SYS_MUST(lathe_engine_io(engine, lathe_engine_inputs(engine) + i, &io, diag));
        SYS_MUST(lathe_context_output(context, io.name, &t, diag));
        assert_int_equal(t.dtype, LATHE_DTYPE_F32);
        assert_int_equal(lt_tensor_alloc(&out->arena, &out->tensors[i], t.dtype, t.rank, t.dims, "output", NULL),
                         LATHE_OK);
        memcpy(out->tensors[i].data, t.data, t.bytes);
    }
    lathe_context_destroy(context);
}

/* sum|a-b| / sum|b| of two runs. */
static double apart(const outputs *a, const outputs *b)
{
    double top = 0, bottom = 0;
    for (size_t i = 0; i < a->count; i++) {
        const float *x = a->tensors[i].data, *y = b->tensors[i].data;
        for (int64_t k = 0; k < lt_tensor_count(&a->tensors[i]); k++) {
            top += fabs((double)x[k] - y[k]);
            bottom += fabs((double)y[k]);
        }
    }
    return top / bottom;
}

static int64_t first_class(const float *x, int64_t count)
{
    int64_t best = 0;
    for (int64_t i = 1; i < count; i++) {
        best = x[i] > x[best] ? i : best;
    }
    return best;
}

/* One output against its stored block; adds to the sums of the metric. Returns the block's end. */
static const unsigned char *compare(const skeleton *s, const lathe_tensor *t, const unsigned char *at,
                                    const unsigned char *end, double *top, double *bottom)
{
    int64_t count;
    double total, magnitudes = 0;
    assert_true(end - at >= 16);
    memcpy(&count, at, sizeof count);
    memcpy(&total, at + 8, sizeof total);
    assert_int_equal(count, lt_tensor_count(t));
    int64_t stored = (count + s->step - 1) / s->step;
    assert_true(end - at >= 16 + 4 * stored);
    const float *got = t->data;
    float *want = malloc((size_t)stored * sizeof *want);
    assert_non_null(want);
    memcpy(want, at + 16, (size_t)stored * sizeof *want);
    for (int64_t i = 0; i < stored; i++) {
        *top += fabs((double)got[i * s->step] - want[i]);
        *bottom += fabs((double)want[i]);
    }
    for (int64_t i = 0; i < count; i++) {
        magnitudes += fabs((double)got[i]);
    }
    assert_true(fabs(magnitudes - total) <=
                s->limit * total); /* of the elements that are not stored, at least their sum */
    if (count == 1000 && s->step == 1) {
        assert_int_equal(first_class(got, count), first_class(want, count));
    }
    free(want);
    return at + 16 + 4 * stored;
}

static void check(const skeleton *s)
{
    char path[512];
    size_t size;
    lathe_network *network = NULL;
    lt_file file;
    outputs one[SK_SETS], two;
    lathe_shape_range range = { .rank = s->rank };
    lathe_build_options options = { .struct_size = sizeof options, .threads = 2 };
    void *bytes = skeleton_fill(s, &size);
    assert_non_null(bytes);
    SYS_MUST(lathe_network_from_onnx(bytes, size, NULL, NULL, &network, diag));
    lathe_io io = { .struct_size = sizeof io };
    SYS_MUST(lathe_network_io(network, 0, &io, diag));
    range.input = io.name;
    for (int d = 0; d < s->rank; d++) {
        range.min[d] = range.opt[d] = range.max[d] = s->dims[d];
    }
    lathe_profile profile = { .ranges = &range, .count = 1 };
    options.profiles = &profile;
    options.n_profiles = 1;
    lathe_engine *engine = sys_engine(network, &options);
    lathe_network_destroy(network);
    free(bytes);
    snprintf(path, sizeof path, "%s/tests/data/skeletons/%s.expected", LATHE_SOURCE_DIR, s->name);
    assert_int_equal(lt_file_map(&file, path, NULL), LATHE_OK);
    const unsigned char *at = file.data;
    double worst = 0;
    for (int set = 0; set < SK_SETS; set++) {
        double top = 0, bottom = 0;
        bool both = set == 0 || !LATHE_SANITIZED;
        run(s, engine, 2, set, &one[set]);
        two = one[set];
        if (both) {
            run(s, engine, 1, set, &two);
        }
        for (size_t i = 0; i < two.count; i++) {
            assert_memory_equal(one[set].tensors[i].data, two.tensors[i].data, two.tensors[i].bytes);
            at = compare(s, &one[set].tensors[i], at, file.data + file.size, &top, &bottom);
        }
        if (both) {
            lt_arena_destroy(&two.arena);
        }
        worst = top / bottom > worst ? top / bottom : worst;
    }
    double moved = apart(&one[0], &one[1]);
    print_message("%-24s mean_rel %.1e (limit %.0e), inputs move outputs by %.1e\n", s->name, worst, s->limit, moved);
    assert_true(worst <= s->limit);
    assert_true(moved > 3 * worst);
    assert_ptr_equal(at, file.data + file.size);
    lt_file_close(&file);
    lathe_engine_destroy(engine);
    for (int set = 0; set < SK_SETS; set++) {
        lt_arena_destroy(&one[set].arena);
    }
}

static void skeletons(void **state)
{
    (void)state;
    const skeleton *s;
    if (!skeleton_at(0)) {
        print_message("protobuf-c or onnx.proto is missing: nothing can fill the skeletons\n");
        skip();
    }
    for (size_t i = 0; (s = skeleton_at(i)) != NULL; i += LATHE_SANITIZED ? 2 : 1) {
        check(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(skeletons) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
