/*
 * test_system_half.c - operators on f16 and bf16 keep their sums, squares and exponentials in f32: 4096 ones are 4096 (in f16 a sum of ones stops at 2048, in bf16
 * at 256), the mean of large numbers is their mean, softmax of large numbers has no NaN. By the kernels of every instruction set, with the passes and without.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "base/dtype.h"
#include "support/containers.h"

typedef struct half_case {
    const char *text;  /* @ is the type; x the input, y the output */
    double value;      /* of x; every other one is `other` */
    double other;
    double want;       /* of each element of y; every other one is `want_other` */
    double want_other;
} half_case;

#define EVEN(value) value, value

static const half_case cases[] = {
    /* Sums of 4096 ones, and as many with three by three windows. */
    { "m (@[4096] x) => (y)\n{\n y = ReduceSum <keepdims = 0> (x)\n}\n", EVEN(1), EVEN(4096) },
    { "m (@[4096,3] x) => (y)\n<i64[1] a = {0}>\n{\n y = ReduceSum <keepdims = 0> (x, a)\n}\n", EVEN(1), EVEN(4096) },
    { "m (@[3,4096] x) => (y)\n<i64[1] a = {1}>\n{\n y = ReduceL1 <keepdims = 0> (x, a)\n}\n", EVEN(-1), EVEN(4096) },
    { "m (@[1,4096] x) => (y)\n<@[4096,8] w = splat(1.0)>\n{\n y = MatMul (x, w)\n}\n", EVEN(1), EVEN(4096) },
    { "m (@[40,4096] x) => (y)\n<@[4096,33] w = splat(1.0)>\n{\n y = MatMul (x, w)\n}\n", EVEN(1), EVEN(4096) },
    { "m (@[4096,5] x) => (y)\n<@[7,4096] w = splat(1.0), @[7] c = splat(0.0)>\n{\n y = Gemm <transA = 1, transB = 1> (x, w, c)\n}\n", EVEN(1), EVEN(4096) },
    { "m (@[3,4096] x) => (y)\n{\n y = Einsum <equation = \"ij,kj->ik\"> (x, x)\n}\n", EVEN(1), EVEN(4096) },
    { "m (@[1,4096,5,5] x) => (y)\n<@[8,4096,1,1] w = splat(1.0)>\n{\n y = Conv (x, w)\n}\n", EVEN(1), EVEN(4096) },
    { "m (@[1,512,7,7] x) => (y)\n<@[8,512,3,3] w = splat(1.0)>\n{\n y = Conv (x, w)\n}\n", EVEN(1), EVEN(4608) },
    { "m (@[1,3,70,70] x) => (y)\n<@[3,1,64,64] w = splat(1.0)>\n{\n y = Conv <group = 3> (x, w)\n}\n", EVEN(1), EVEN(4096) },
    { "m (@[1,4096,3,3] x) => (y)\n<@[4096,4,1,1] w = splat(1.0)>\n{\n y = ConvTranspose (x, w)\n}\n", EVEN(1), EVEN(4096) },
    { "m (@[4096] x) => (y)\n<i64 a = {0}, i64[1] last = {4095}>\n{\n s = CumSum (x, a)\n y = Gather (s, last)\n}\n", EVEN(1), EVEN(4096) },
    { "m (@[4096,3] x) => (y)\n<i64 a = {0}, i64[1] last = {4095}>\n{\n s = CumSum (x, a)\n y = Gather (s, last)\n}\n", EVEN(1), EVEN(4096) },

    /* Means and lengths whose sums, or sums of squares, no f16 holds. 49152 and 1200 are numbers of both types. */
    { "m (@[2,4096] x) => (y)\n<i64[1] a = {1}>\n{\n y = ReduceMean (x, a)\n}\n", EVEN(49152), EVEN(49152) },
    { "m (@[1,3,64,64] x) => (y)\n{\n y = GlobalAveragePool (x)\n}\n", EVEN(49152), EVEN(49152) },
    { "m (@[1,3,20,20] x) => (y)\n{\n y = AveragePool <kernel_shape = [16,16]> (x)\n}\n", EVEN(49152), EVEN(49152) },
    { "m (@[3,16] x) => (y)\n<i64[1] a = {1}>\n{\n y = ReduceL2 (x, a)\n}\n", 300, -300, EVEN(1200) },
    { "m (@[1,3,6,6] x) => (y)\n{\n y = LpPool <kernel_shape = [4,4], p = 2> (x)\n}\n", 300, -300, EVEN(1200) },

    /* Norms of squares that no f16 holds. */
    { "m (@[3,64] x) => (y)\n<@[64] g = splat(1.0)>\n{\n y = LayerNormalization <axis = -1> (x, g)\n}\n", 300, -300, 1, -1 },
    { "m (@[3,64] x) => (y)\n<@[64] g = splat(1.0)>\n{\n y = RMSNormalization <axis = -1> (x, g)\n}\n", 300, -300, 1, -1 },
    { "m (@[1,3,8,8] x) => (y)\n<@[3] g = splat(1.0), @[3] b = splat(0.0)>\n{\n y = InstanceNormalization (x, g, b)\n}\n", 300, -300, 1, -1 },
    { "m (@[1,4,8,8] x) => (y)\n<@[4] g = splat(1.0), @[4] b = splat(0.0)>\n{\n y = GroupNormalization <num_groups = 2> (x, g, b)\n}\n", 300, -300, 1, -1 },
    { "m (@[1,4,8,8] x) => (y)\n{\n y = MeanVarianceNormalization (x)\n}\n", 300, -300, 1, -1 },
    { "m (@[3,64] x) => (y)\n{\n y = LpNormalization <axis = -1, p = 2> (x)\n}\n", 4800, -4800, 0.125, -0.125 },

    /* Exponentials of large numbers, sums of 4096 of them. */
    { "m (@[2,4096] x) => (y)\n{\n y = Softmax <axis = -1> (x)\n}\n", EVEN(49152), EVEN(1.0 / 4096) },
    { "m (@[4096,2] x) => (y)\n{\n y = Softmax <axis = 0> (x)\n}\n", EVEN(-49152), EVEN(1.0 / 4096) },
    { "m (@[2,2] x) => (y)\n{\n y = Softmax <axis = -1> (x)\n}\n", 49152, -49152, 1, 0 },
    { "m (@[2,4096] x) => (y)\n{\n y = LogSoftmax <axis = -1> (x)\n}\n", EVEN(49152), EVEN(-8.317766) },
    { "m (@[2,2] x) => (y)\n{\n y = LogSoftmax <axis = -1> (x)\n}\n", 24576, -24576, 0, -49152 },
    { "m (@[2,8] x) => (y)\n<i64[1] a = {1}>\n{\n y = ReduceLogSumExp (x, a)\n}\n", EVEN(49152), EVEN(49152) },
    { "m (@[2,4096] x) => (y)\n<i64[1] a = {1}>\n{\n y = ReduceLogSumExp (x, a)\n}\n", EVEN(0), EVEN(8.317766) },

    /* Attention: products of queries and keys are 230400 before they are scaled; all are equal, so that the result is the value. */
    { "m (@[1,2,16,64] x) => (y)\n{\n y = Attention (x, x, x)\n}\n", EVEN(60), EVEN(60) },
    { "m (@[1,2,16,64] x) => (y)\n<@ s = splat(0.125)>\n{\n t = Transpose <perm = [0,1,3,2]> (x)\n z = Mul (x, s)\n d = MatMul (z, t)\n p = Softmax <axis = -1> (d)\n"
      " y = MatMul (p, x)\n}\n", EVEN(60), EVEN(60) },
};

typedef struct half_type {
    lathe_dtype dtype;
    const char *name;
    uint16_t (*pack)(float);
    float (*unpack)(uint16_t);
    double step; /* the largest step between neighbours, relative */
} half_type;

static char *text_of(const half_case *c, const half_type *type)
{
    char *text = calloc(strlen(c->text) * 2 + 64, 1), *out = text;
    assert_non_null(text);
    for (const char *p = c->text; *p; p++) {
        if (*p == '@') {
            out += sprintf(out, "%s", type->name);
        } else {
            *out++ = *p;
        }
    }
    return text;
}

static void check(const half_case *c, const half_type *type, const char *isa, const char *passes)
{
    lathe_build_options options = { .struct_size = sizeof options, .max_isa = isa, .passes = passes };
    char *text = text_of(c, type);
    fixture f = open_text(text, &options);
    lathe_io io = { .struct_size = sizeof io };
    lathe_tensor y = { .struct_size = sizeof y };
    SYS_MUST(lathe_engine_io(f.engine, 0, &io, diag));
    size_t count = 1;
    for (int i = 0; i < io.rank; i++) {
        count *= (size_t)io.dims[i];
    }
    uint16_t *data = malloc(count * sizeof *data);
    assert_non_null(data);
    for (size_t i = 0; i < count; i++) {
        data[i] = type->pack((float)(i % 2 ? c->other : c->value));
    }
    lathe_tensor x = tensor(type->dtype, io.rank, io.dims, data);
    SYS_MUST(lathe_context_set_input(f.context, "x", &x, diag));
    SYS_MUST(lathe_context_run(f.context, diag));
    SYS_MUST(lathe_context_output(f.context, "y", &y, diag));
    assert_int_equal(y.dtype, type->dtype);
    assert_true(y.bytes >= sizeof(uint16_t));
    for (size_t i = 0; i < y.bytes / sizeof(uint16_t); i++) {
        double got = type->unpack(((const uint16_t *)y.data)[i]), want = i % 2 ? c->want_other : c->want;
        if (!(fabs(got - want) <= type->step * fabs(want))) {
            fail_msg("%s, passes %s: y[%zu] is %g, not %g:\n%s", isa, passes ? passes : "on", i, got, want, text);
        }
    }
    close_fixture(&f);
    free(data);
    free(text);
}

static void sums_are_wide(const half_type *type)
{
    static const char *const levels[] = { "base", "avx2", "avx512" };
    for (size_t i = 0; i < LT_COUNT(cases); i++) {
        for (size_t k = 0; k < LT_COUNT(levels); k++) {
            check(&cases[i], type, levels[k], NULL);
            check(&cases[i], type, levels[k], "-all");
        }
    }
}

static void sums_of_f16_are_wide(void **state)
{
    (void)state;
    sums_are_wide(&(half_type){ LATHE_DTYPE_F16, "f16", lt_f32_to_f16, lt_f16_to_f32, 0x1p-10 });
}

static void sums_of_bf16_are_wide(void **state)
{
    (void)state;
    sums_are_wide(&(half_type){ LATHE_DTYPE_BF16, "bf16", lt_f32_to_bf16, lt_bf16_to_f32, 0x1p-7 });
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(sums_of_f16_are_wide), cmocka_unit_test(sums_of_bf16_are_wide) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
