/*
 * test_plan_parts.c - values that are parts of others: which Concat, Split and Slice need no step, where their parts lie, and that random networks of them
 * compute what the reference computes, at every level of the instruction set, with one thread and with two.
 *
 * ctest: TIMEOUT 600
 *
 * LATHE_SEED=N runs that one random case; LATHE_CASES=N changes how many are run.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"
#include "support/system.h"

/* ---- What a plan says ---- */

typedef struct plan_of {
    lathe_network *network;
    lathe_plan *plan;
    lt_arena arena;
    lt_plan *decoded;
    const lt_plan_program *p; /* the first */
} plan_of;

/* shape: of the input x, the only one that the plan's first program holds; NULL: any. */
static void make(plan_of *m, const char *text, const lathe_shape_range *shape)
{
    size_t size;
    lathe_profile profile = { shape, 1 };
    lathe_build_options options = { .struct_size = sizeof options, .threads = 1, .verify = 1, .profiles = &profile, .n_profiles = shape != NULL };
    SYS_MUST(lathe_network_from_text(text, strlen(text), NULL, &m->network, diag));
    m->plan = sys_build(m->network, &options);
    const void *data = lathe_plan_data(m->plan, &size);
    lt_arena_init(&m->arena, NULL);
    SYS_MUST(lt_plan_decode(data, size, 0, NULL, NULL, &m->arena, &m->decoded, diag));
    m->p = &m->decoded->programs[0];
}

static void drop(plan_of *m)
{
    lt_arena_destroy(&m->arena);
    lathe_plan_destroy(m->plan);
    lathe_network_destroy(m->network);
}

/* "name of whole +start kind cut" of each part, in the order of the table. A start that only the run knows is "?". */
static void tell(const plan_of *m, lt_buf *out)
{
    for (uint32_t i = 0; i < m->p->n_cuts; i++) {
        const lt_plan_cut *c = &m->p->cuts[i];
        const lt_plan_value *v = &m->p->values[c->value];
        const lt_plan_expr *start = &m->p->exprs[c->start];
        lt_buf_printf(out, "%s of %s ", v->name, m->p->values[v->index].name);
        if (start->kind == LT_EXPR_CONST) {
            lt_buf_printf(out, "+%lld", (long long)start->k);
        } else {
            lt_buf_puts(out, "+?");
        }
        lt_buf_printf(out, " %s axis %u cut %d\n", c->kind == LT_CUT_MADE ? "made" : "seen", c->axis, v->format.strided);
    }
    for (uint32_t i = 0; i < m->p->n_steps; i++) {
        if (strcmp(m->p->steps[i].class_name, "movement") == 0) {
            lt_buf_printf(out, "step %s\n", m->p->steps[i].name);
        }
    }
}

static void expect_at(const char *text, const lathe_shape_range *shape, const char *want)
{
    plan_of m;
    lt_buf got;
    make(&m, text, shape);
    lt_buf_init(&got, NULL);
    tell(&m, &got);
    assert_string_equal(lt_buf_str(&got), want);
    lt_buf_free(&got);
    drop(&m);
}

static void expect(const char *text, const char *want)
{
    expect_at(text, NULL, want);
}

static void channels(void **state)
{
    (void)state;
    /* two convolutions side by side: rows of 24 channels */
    expect("net (f32[N,8,9,7] x) => (f32[N,4,9,7] y)\n"
           "<f32[16,8,3,3] v = rand(1), f32[8,8,1,1] w = rand(2), f32[4,24,1,1] u = rand(3)>\n"
           "{\n a = Conv <pads = [1,1,1,1]> (x, v)\n b = Conv (x, w)\n [cat] c = Concat <axis = 1> (a, b)\n y = Conv (c, u)\n}\n",
           "a of c +0 made axis 3 cut 3\nb of c +16 made axis 3 cut 3\n");
    /* one that another step reads as well, and parts of a part */
    expect("net (f32[N,8,9,7] x) => (f32[N,4,9,7] y)\n"
           "<f32[16,8,3,3] v = rand(1), f32[8,8,1,1] w = rand(2), f32[8,16,3,3] t = rand(4), f32[4,32,1,1] u = rand(3)>\n"
           "{\n a = Conv <pads = [1,1,1,1]> (x, v)\n b = Conv (x, w)\n d = Conv <pads = [1,1,1,1]> (a, t)\n [in] c = Concat <axis = 1> (a, b)\n"
           " [out] e = Concat <axis = 1> (c, d)\n y = Conv (e, u)\n}\n",
           "a of c +0 made axis 3 cut 3\nb of c +16 made axis 3 cut 3\nc of e +0 made axis 3 cut 3\nd of e +24 made axis 3 cut 3\n");
}

/* Everything so far and one more, again and again. */
static void prefixes(void **state)
{
    (void)state;
    expect("net (f32[N,8,9,7] x) => (f32[N,4,9,7] y)\n"
           "<f32[8,8,3,3] k = rand(9), f32[8,8,3,3] v = rand(1), f32[8,16,3,3] w = rand(2), f32[8,24,3,3] u = rand(3), f32[4,32,1,1] t = rand(4)>\n"
           "{\n a = Conv <pads = [1,1,1,1]> (x, k)\n b = Conv <pads = [1,1,1,1]> (a, v)\n [one] p = Concat <axis = 1> (a, b)\n"
           " c = Conv <pads = [1,1,1,1]> (p, w)\n [two] q = Concat <axis = 1> (a, b, c)\n d = Conv <pads = [1,1,1,1]> (q, u)\n"
           " [three] r = Concat <axis = 1> (a, b, c, d)\n y = Conv (r, t)\n}\n",
           "a of p +0 made axis 3 cut 3\nb of p +8 made axis 3 cut 3\np of q +0 made axis 3 cut 3\nc of q +16 made axis 3 cut 3\n"
           "q of r +0 made axis 3 cut 3\nd of r +24 made axis 3 cut 3\n");
}

static void dense_parts(void **state)
{
    (void)state;
    expect("net (f32[1,6,5] x) => (f32[1,12,5] y)\n<i64[] zero = {1}, i64[] one = {2}>\n"
           "{\n a = CumSum (x, zero)\n b = CumSum (x, one)\n [cat] c = Concat <axis = 1> (a, b)\n y = CumSum (c, one)\n}\n",
           "a of c +0 made axis 1 cut 0\nb of c +6 made axis 1 cut 0\n");
}

/* Free batches have rows apart, a bucket of nothing but single images has none. */
static void batches(void **state)
{
    static const char net[] = "net (f32[N,6,5] x) => (f32[N,12,5] y)\n<i64[] one = {1}, i64[] two = {2}>\n"
                              "{\n a = CumSum (x, one)\n b = CumSum (x, two)\n [cat] c = Concat <axis = 1> (a, b)\n y = CumSum (c, two)\n}\n";
    const lathe_shape_range single = { "x", 3, { 1, 6, 5 }, { 1, 6, 5 }, { 1, 6, 5 } };
    (void)state;
    expect(net, "step cat\n"); /* the reference writes dense tensors only */
    expect_at(net, &single, "a of c +0 made axis 1 cut 0\nb of c +6 made axis 1 cut 0\n");
}

static void seen(void **state)
{
    (void)state;
    expect("net (f32[N,5,12] x) => (f32[N,5,8] y)\n<f32[12,12] w = rand(1), f32[8,8] v = rand(2), i64[1] four = {-8}, i64[1] end = {12}, i64[1] last = {2}>\n"
           "{\n a = MatMul (x, w)\n [cut] b = Slice (a, four, end, last)\n y = MatMul (b, v)\n}\n",
           "b of a +4 seen axis 2 cut 2\n");
    expect("net (f32[N,5,12] x) => (f32[N,5,6] y)\n<f32[12,12] w = rand(1), i64[2] sizes = {6, 6}>\n"
           "{\n a = MatMul (x, w)\n [cut] b, c = Split <axis = -1> (a, sizes)\n y = Mul (b, c)\n}\n",
           "b of a +0 seen axis 2 cut 2\nc of a +6 seen axis 2 cut 2\n");
}

/* Copies that stay. */
static void copies(void **state)
{
    (void)state;
    /* an operand twice; a part that the caller gets; the whole that the caller gets; the caller's own memory */
    expect("net (f32[N,4,3] x) => (f32[N,4,6] y)\n{\n a = Exp (x)\n [cat] c = Concat <axis = 2> (a, a)\n y = Sin (c)\n}\n", "step cat\n");
    expect("net (f32[N,4,3] x) => (f32[N,4,6] y, f32[N,4,3] a)\n{\n a = Exp (x)\n b = Neg (x)\n [cat] c = Concat <axis = 2> (a, b)\n y = Sin (c)\n}\n", "step cat\n");
    expect("net (f32[N,4,3] x) => (f32[N,4,6] c)\n{\n a = Exp (x)\n b = Neg (x)\n [cat] c = Concat <axis = 2> (a, b)\n}\n", "step cat\n");
    expect("net (f32[N,4,3] x) => (f32[N,4,6] y)\n{\n b = Neg (x)\n [cat] c = Concat <axis = 2> (x, b)\n y = Sin (c)\n}\n", "step cat\n");
    /* a slice with a step, and one that the caller gets */
    expect("net (f32[N,4,6] x) => (f32[N,4,3] y)\n<i64[1] zero = {0}, i64[1] end = {6}, i64[1] last = {2}, i64[1] two = {2}>\n"
           "{\n a = Exp (x)\n [cut] b = Slice (a, zero, end, last, two)\n y = Sin (b)\n}\n", "step cut\n");
    expect("net (f32[N,4,6] x) => (f32[N,4,3] b)\n<i64[1] zero = {0}, i64[1] three = {3}, i64[1] last = {2}>\n"
           "{\n a = Exp (x)\n [cut] b = Slice (a, zero, three, last)\n}\n", "step cut\n");
}

/* ---- Random networks ---- */

enum { MOST_VALUES = 48, MOST_OUTPUTS = 4 };

typedef struct writer {
    lt_buf text, constants;
    uint64_t seed, draws;
    int next;
    struct { int number, extent; } pool[MOST_VALUES]; /* values "vN" of so many channels or columns */
    int n_pool;
    bool image; /* f32[N,C,H,W], cut along C; else f32[N,T,D], cut along D and T */
} writer;

static int draw(writer *w, int below)
{
    uint32_t random[4];
    lt_philox(w->seed, 91, w->draws++, random);
    return (int)(random[0] % (uint32_t)below);
}

static void add(writer *w, int number, int extent)
{
    if (w->n_pool < MOST_VALUES) {
        w->pool[w->n_pool].number = number;
        w->pool[w->n_pool++].extent = extent;
    }
}

/* New values are picked more often, so that chains become long. */
static int pick(writer *w)
{
    int back = draw(w, 3) ? draw(w, w->n_pool < 4 ? w->n_pool : 4) : draw(w, w->n_pool);
    return w->n_pool - 1 - back;
}

static void product(writer *w)
{
    int from = pick(w), n = w->next++, in = w->pool[from].extent, out = 1 + draw(w, 20), wide = draw(w, 2) ? 3 : 1;
    if (w->image) {
        lt_buf_printf(&w->constants, ", f32[%d,%d,%d,%d] w%d = rand(%d)", out, in, wide, wide, n, n + 1);
        lt_buf_printf(&w->text, "  c%d = Conv <pads = [%d,%d,%d,%d]> (v%d, w%d)\n", n, wide / 2, wide / 2, wide / 2, wide / 2, w->pool[from].number, n);
    } else {
        lt_buf_printf(&w->constants, ", f32[%d,%d] w%d = rand(%d)", in, out, n, n + 1);
        lt_buf_printf(&w->text, "  c%d = MatMul (v%d, w%d)\n", n, w->pool[from].number, n);
    }
    lt_buf_printf(&w->constants, ", f32[1] s%d = {%s}", n, wide == 3 ? "0.06" : "0.2");
    lt_buf_printf(&w->text, "  m%d = Mul (c%d, s%d)\n  v%d = %s (m%d)\n", n, n, n, n, draw(w, 2) ? "Relu" : "Tanh", n);
    add(w, n, out);
}

static void depthwise(writer *w)
{
    int from = pick(w), n = w->next++, c = w->pool[from].extent;
    lt_buf_printf(&w->constants, ", f32[%d,1,3,3] w%d = rand(%d)", c, n, n + 1);
    lt_buf_printf(&w->text, "  c%d = Conv <pads = [1,1,1,1], group = %d> (v%d, w%d)\n  v%d = Tanh (c%d)\n", n, c, w->pool[from].number, n, n, n);
    add(w, n, c);
}

static void pointwise(writer *w)
{
    static const char *const one[] = { "Relu", "Neg", "Abs", "Sigmoid" };
    int from = pick(w), other = draw(w, w->n_pool), n = w->next++;
    if (w->pool[from].extent == w->pool[other].extent && other != from) {
        lt_buf_printf(&w->text, "  v%d = %s (v%d, v%d)\n", n, draw(w, 2) ? "Max" : "Sub", w->pool[from].number, w->pool[other].number);
    } else {
        lt_buf_printf(&w->text, "  v%d = %s (v%d)\n", n, one[draw(w, 4)], w->pool[from].number);
    }
    add(w, n, w->pool[from].extent);
}

static void pool_or_turn(writer *w)
{
    int from = pick(w), n = w->next++;
    if (w->image) {
        lt_buf_printf(&w->text, "  v%d = %s <kernel_shape = [3,3], pads = [1,1,1,1]> (v%d)\n", n, draw(w, 2) ? "MaxPool" : "AveragePool", w->pool[from].number);
    } else {
        lt_buf_printf(&w->text, "  t%d = Transpose <perm = [0,2,1]> (v%d)\n  u%d = Exp (t%d)\n  v%d = Transpose <perm = [0,2,1]> (u%d)\n", n,
                      w->pool[from].number, n, n, n, n);
    }
    add(w, n, w->pool[from].extent);
}

static void concat(writer *w)
{
    int n = w->next++, parts = 2 + draw(w, 3), sum = 0;
    bool prefix = draw(w, 3) == 0; /* the same values from the start again, as far as they go */
    lt_buf_printf(&w->text, "  v%d = Concat <axis = %s> (", n, w->image ? "1" : "-1");
    for (int i = 0; i < parts; i++) {
        int from = prefix && i < w->n_pool ? i : pick(w);
        sum += w->pool[from].extent;
        lt_buf_printf(&w->text, "%sv%d", i ? ", " : "", w->pool[from].number);
    }
    lt_buf_puts(&w->text, ")\n");
    add(w, n, sum);
}

/* Along another axis than the last one stored: rows of tokens, put together and taken apart. */
static void tokens(writer *w)
{
    int from = pick(w), n = w->next++, c = w->pool[from].extent, first = draw(w, 6);
    lt_buf_printf(&w->constants, ", i64[1] b%d = {%d}, i64[1] e%d = {%d}", n, first, n, first + 5);
    lt_buf_printf(&w->text, "  a%d = Neg (v%d)\n  q%d = Concat <axis = 1> (v%d, a%d)\n  v%d = Slice (q%d, b%d, e%d, axis1)\n", n, w->pool[from].number, n,
                  w->pool[from].number, n, n, n, n, n);
    add(w, n, c);
}

static void split(writer *w)
{
    int from = pick(w), n = w->next++, c = w->pool[from].extent;
    if (c < 2) {
        pointwise(w);
        return;
    }
    int at = 1 + draw(w, c - 1), m = w->next++;
    if (draw(w, 2)) {
        lt_buf_printf(&w->constants, ", i64[2] z%d = {%d, %d}", n, at, c - at);
        lt_buf_printf(&w->text, "  v%d, v%d = Split <axis = %d> (v%d, z%d)\n", n, m, w->image ? 1 : 2, w->pool[from].number, n);
        add(w, n, at);
        add(w, m, c - at);
    } else {
        int end = at + 1 + draw(w, c - at);
        lt_buf_printf(&w->constants, ", i64[1] b%d = {%d}, i64[1] e%d = {%d}", n, draw(w, 2) ? at : at - c, n, end);
        lt_buf_printf(&w->text, "  v%d = Slice (v%d, b%d, e%d, %s)\n", n, w->pool[from].number, n, n, w->image ? "axis1" : "axis2");
        add(w, n, end - at);
    }
}

static void write_network(writer *w, lt_buf *out)
{
    int outputs = 1 + draw(w, MOST_OUTPUTS), steps = 4 + draw(w, 14);
    lt_buf_init(&w->text, NULL);
    lt_buf_init(&w->constants, NULL);
    w->image = draw(w, 3) != 0;
    int extent = 1 + draw(w, 12);
    w->next = 1;
    add(w, 0, extent);
    for (int i = 0; i < steps; i++) {
        switch (draw(w, 9)) {
        case 0:
        case 1:
            product(w);
            break;
        case 2:
            pointwise(w);
            break;
        case 3:
            pool_or_turn(w);
            break;
        case 4:
            w->image ? depthwise(w) : tokens(w);
            break;
        case 5:
        case 6:
            split(w);
            break;
        default:
            concat(w);
            break;
        }
    }
    lt_buf_printf(out, w->image ? "random (f32[N,%d,H,W] v0) => (" : "random (f32[N,5,%d] v0) => (", extent);
    for (int i = 0; i < outputs; i++) {
        lt_buf_printf(out, "%sy%d", i ? ", " : "", i);
        bool bare = draw(w, 3) == 0;
        lt_buf_printf(&w->text, "  y%d = %s (v%d)\n", i, bare ? "Identity" : "Neg", w->pool[bare ? pick(w) : w->n_pool - 1 - (i < w->n_pool ? i : 0)].number);
    }
    lt_buf_puts(out, ")\n<i64[1] axis1 = {1}, i64[1] axis2 = {2}");
    lt_buf_put(out, w->constants.data, w->constants.length);
    lt_buf_puts(out, ">\n{\n");
    lt_buf_put(out, w->text.data, w->text.length);
    lt_buf_puts(out, "}\n");
    lt_buf_free(&w->text);
    lt_buf_free(&w->constants);
}

static size_t count_parts(const lathe_plan *plan)
{
    lt_arena arena;
    lt_plan *decoded;
    size_t size;
    const void *data = lathe_plan_data(plan, &size);
    lt_arena_init(&arena, NULL);
    SYS_MUST(lt_plan_decode(data, size, 0, NULL, NULL, &arena, &decoded, diag));
    size_t n = decoded->programs[0].n_cuts;
    lt_arena_destroy(&arena);
    return n;
}

static size_t run_case(uint64_t seed)
{
    static const char *const levels[] = { "base", "avx2", NULL }, *const sizes[] = { "N=2 H=5 W=7", "N=1 H=4 W=3", "N=3 H=1 W=9" };
    writer w = { .seed = seed };
    lt_buf text;
    char what[96];
    size_t parts = 0;
    lathe_network *network = NULL;
    lt_buf_init(&text, NULL);
    write_network(&w, &text);
    SYS_MUST(lathe_network_from_text(lt_buf_str(&text), text.length, NULL, &network, diag));
    sys_inputs inputs[LT_COUNT(sizes)];
    sys_results want[LT_COUNT(sizes)];
    for (size_t s = 0; s < LT_COUNT(sizes); s++) {
        sys_inputs_make(&inputs[s], network, sizes[s], seed + s);
        sys_reference(&want[s], network, &inputs[s]);
    }
    for (int run = 0; run < 4; run++) { /* levels, and the best of them for two threads */
        uint64_t have = lt_cpu_features(), avx2 = UINT64_C(1) << LT_CPU_AVX2;
        if (run == 1 && !(have & avx2)) {
            continue;
        }
        lathe_build_options options = { .struct_size = sizeof options, .threads = run == 3 ? 2 : 1, .max_isa = run < 3 ? levels[run] : NULL };
        lathe_plan *plan = sys_build(network, &options);
        parts += count_parts(plan);
        lathe_engine *engine = sys_load(NULL, plan, NULL);
        lathe_context *context = NULL;
        SYS_MUST(lathe_context_create(engine, NULL, &context, diag));
        for (size_t s = 0; s < LT_COUNT(sizes); s++) {
            sys_results got;
            snprintf(what, sizeof what, "seed %llu, level %s, %s", (unsigned long long)seed, options.max_isa ? options.max_isa : "best", sizes[s]);
            sys_run(&got, engine, context, &inputs[s]);
            sys_same(&got, &want[s], 2e-5, what);
            sys_results_free(&got);
        }
        lathe_context_destroy(context);
        lathe_engine_destroy(engine);
        lathe_plan_destroy(plan);
    }
    for (size_t s = 0; s < LT_COUNT(sizes); s++) {
        sys_results_free(&want[s]);
        sys_inputs_free(&inputs[s]);
    }
    lathe_network_destroy(network);
    lt_buf_free(&text);
    return parts;
}

static void random_networks(void **state)
{
    (void)state;
    const char *one = getenv("LATHE_SEED"), *count = getenv("LATHE_CASES");
    size_t parts = 0;
    if (one) {
        (void)run_case(strtoull(one, NULL, 10));
        return;
    }
    uint64_t cases = count ? strtoull(count, NULL, 10) : 120;
    for (uint64_t seed = 1; seed <= cases; seed++) {
        parts += run_case(seed);
    }
    assert_true(parts > cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(channels), cmocka_unit_test(prefixes), cmocka_unit_test(dense_parts), cmocka_unit_test(batches), cmocka_unit_test(seen), cmocka_unit_test(copies),
                                        cmocka_unit_test(random_networks) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
