/*
 * test_tactic_registry.c - the tables of tactics and packs: rows are whole, names are unique, features are asked for, and every operator that a tactic
 * lists has a test with random problems.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "backend/backend.h"
#include <string.h>

/* Operators with generators in test_tactic_*.c. */
static const char tested[] = " - MatMul Gemm Conv ConvTranspose Softmax LogSoftmax LayerNormalization RMSNormalization "
                             "InstanceNormalization ReduceSum ReduceMean ReduceMax ReduceMin "
                             "GlobalAveragePool GlobalMaxPool MaxPool AveragePool Transpose lathe.Reformat "
                             "RNN GRU LSTM DynamicQuantizeLinear lathe.PackedAttention GroupNormalization "
                             "Resize LRN Concat Split Slice Pad Gather Expand Tile DepthToSpace SpaceToDepth "
                             "TopK NonZero GatherND GatherElements NonMaxSuppression ConstantOfShape Range "
                             "Reshape Flatten Squeeze Unsqueeze Identity ArgMax ArgMin CumSum CumProd "
                             "ReduceProd ReduceL1 ReduceL2 ReduceSumSquare ReduceLogSum ReduceLogSumExp "
                             "GridSample RoiAlign Trilu DequantizeLinear TensorScatter ScatterND ScatterElements "
                             "OneHot EyeLike Hardmax Col2Im DeformConv AffineGrid MeanVarianceNormalization "
                             "lathe.MatMulBlocks MatMulInteger ConvInteger ";

static void tactics_are_whole(void **state)
{
    const lathe_tactic *t, *other;
    (void)state;
    for (size_t i = 0; (t = lt_tactic_at(i)); i++) {
        assert_ptr_equal(t, lathe_tactic_at(i));
        assert_ptr_equal(t, lt_tactic_find(t->name));
        assert_int_equal(t->struct_size, sizeof *t);
        assert_true(t->version >= 1 && t->configs >= 1 && t->fits && t->run && t->summary && t->summary[0] &&
                    t->ops[0]);
        assert_non_null(lt_backend_of(t->device));
        for (size_t k = 0; k < i && (other = lt_tactic_at(k)); k++) {
            assert_string_not_equal(t->name, other->name);
        }
    }
}

static void operators_have_tests(void **state)
{
    const lathe_tactic *t;
    (void)state;
    for (size_t i = 0; (t = lt_tactic_at(i)); i++) {
        for (const char *at = t->ops; *at && strcmp(t->ops, "*") != 0;) {
            char word[80];
            size_t n = strcspn(at, " ");
            assert_true(n + 3 < sizeof word);
            word[0] = ' ';
            memcpy(word + 1, at, n);
            memcpy(word + 1 + n, " ", 2);
            if (!strstr(tested, word)) {
                fail_msg("%s lists%sbut no test makes such problems", t->name, word);
            }
            at += n + (at[n] == ' ');
        }
    }
}

static void packs_are_whole(void **state)
{
    const lathe_pack *p;
    static const int64_t none[4];
    static lathe_tensor text = { .struct_size = sizeof text, .dtype = LATHE_DTYPE_STRING, .rank = 1, .dims = { 3 } };
    size_t bytes;
    (void)state;
    for (size_t i = 0; (p = lt_pack_at(i)); i++) {
        assert_ptr_equal(p, lt_pack_find(p->name));
        assert_true(p->version >= 1 && p->summary && p->bytes && p->pack);
        assert_false(lt_pack_bytes(p->name, &text, none, &bytes)); /* strings suit nobody */
    }
    assert_false(lt_pack_bytes("no.such.pack", &text, none, &bytes));
}

/* A tactic for a level is refused, by the feature's name, where the level is missing. */
static void features_are_asked_for(void **state)
{
    const lathe_tactic *t;
    lathe_operand in[1] = { { .dtype = LATHE_DTYPE_F32 } }, out[1] = { { .dtype = LATHE_DTYPE_F32 } };
    lathe_pw_instr instrs[2] = { { .op = LATHE_PW_LOAD, .dtype = LATHE_DTYPE_F32, .slot = -1 },
                                 { .op = LATHE_PW_STORE, .dtype = LATHE_DTYPE_F32, .slot = -1 } };
    lathe_problem p = { .struct_size = sizeof p,
                        .op = "",
                        .domain = "",
                        .in = in,
                        .n_in = 1,
                        .out = out,
                        .n_out = 1,
                        .instrs = instrs,
                        .n_instrs = 2 };
    lt_arena arena;
    int levels = 0;
    (void)state;
    lt_arena_init(&arena, NULL);
    in[0].format = out[0].format = lt_format_plain(LATHE_DTYPE_F32, 0, LATHE_SPACE_HOST);
    for (size_t i = 0; (t = lt_tactic_at(i)); i++) {
        lathe_fit fit;
        if (!lt_tactic_lists(t, "", "") || t->device != LATHE_SPACE_HOST) {
            continue;
        }
        levels++;
        assert_true(lt_tactic_ask(t, 0, &p, UINT64_MAX, &arena, &fit));
        assert_int_equal(lt_tactic_ask(t, 0, &p, 0, &arena, &fit), t->cpu_features == 0);
        if (t->cpu_features != 0) {
            assert_memory_equal(fit.why, "needs ", 6);
        }
        assert_false(lt_tactic_ask(t, t->configs, &p, UINT64_MAX, &arena, &fit));
    }
    assert_true(levels >= 1);
    lt_arena_destroy(&arena);
}

typedef struct work_case {
    const char *op, *equation;
    int rank[3];
    int64_t dims[3][3], out[4];
    int out_rank;
    double flops;
} work_case;

static lathe_operand operand_of(int rank, const int64_t *dims)
{
    lathe_operand o = { .dtype = LATHE_DTYPE_F32, .rank = rank, .format = lt_format_plain(LATHE_DTYPE_F32, rank, LATHE_SPACE_HOST) };
    for (int i = 0; i < rank; i++) {
        o.dims[i] = (lathe_extent){ .min = dims[i], .opt = dims[i], .max = dims[i], .multiple = 1 };
    }
    return o;
}

/* What the static costs start from; and the reference says that it is slower than that. */
static void check_work(const work_case *w)
{
    static const uint16_t slots[] = { 0, 1, 2 };
    lathe_operand in[3], out[1];
    lathe_attr equation = { .name = "equation", .kind = LATHE_ATTR_STRING };
    lathe_problem p = { .struct_size = sizeof p, .op = w->op, .domain = "", .in = in, .out = out, .n_out = 1, .root_in = slots };
    lt_arena arena;
    lathe_fit fit;
    for (p.n_in = 0; p.n_in < 3 && w->rank[p.n_in] > 0; p.n_in++) {
        in[p.n_in] = operand_of(w->rank[p.n_in], w->dims[p.n_in]);
    }
    out[0] = operand_of(w->out_rank, w->out);
    p.n_root_in = p.n_in;
    if (w->equation) {
        equation.s = (lathe_bytes){ w->equation, strlen(w->equation) };
        p.attrs = &equation;
        p.n_attrs = 1;
    }
    assert_true(lt_problem_flops(&p) == w->flops);
    lt_arena_init(&arena, NULL);
    assert_true(lt_tactic_ask(lt_tactic_find("reference.eval"), 0, &p, UINT64_MAX, &arena, &fit));
    assert_true(fit.cost > 2 * w->flops);
    lt_arena_destroy(&arena);
}

static void work_is_counted(void **state)
{
    static const work_case cases[] = {
        { "LSTM", NULL, { 3, 3, 3 }, { { 5, 2, 8 }, { 1, 64, 8 }, { 1, 64, 16 } }, { 5, 1, 2, 16 }, 4, 2.0 * 10 * 64 * (8 + 16) },
        { "GRU", NULL, { 3, 3, 3 }, { { 5, 2, 8 }, { 2, 48, 8 }, { 2, 48, 16 } }, { 5, 2, 2, 16 }, 4, 2.0 * 10 * 96 * (8 + 16) },
        { "Einsum", "bik,bkj->bij", { 3, 3 }, { { 2, 3, 5 }, { 2, 5, 7 } }, { 2, 3, 7 }, 3, 2.0 * 42 * 5 },
        { "Einsum", "ik,kj", { 2, 2 }, { { 3, 5 }, { 5, 7 } }, { 3, 7 }, 2, 2.0 * 21 * 5 },
        { "Einsum", "...ik,...kj->...ij", { 3, 3 }, { { 2, 3, 5 }, { 2, 5, 7 } }, { 2, 3, 7 }, 3, 2.0 * 42 * 5 },
        { "Einsum", "ij->", { 2 }, { { 3, 5 } }, { 0 }, 0, 2.0 * 15 },
    };
    (void)state;
    for (size_t i = 0; i < LT_COUNT(cases); i++) {
        check_work(&cases[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tactics_are_whole),
        cmocka_unit_test(operators_have_tests),
        cmocka_unit_test(packs_are_whole),
        cmocka_unit_test(features_are_asked_for),
        cmocka_unit_test(work_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
