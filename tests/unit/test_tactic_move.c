/*
 * test_tactic_move.c - reformats between random formats, transposes and the other operators that only move elements, of all types.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "support/tactic_check.h"
#include <string.h>

static const lathe_dtype types[] = { LATHE_DTYPE_F32,  LATHE_DTYPE_U8,  LATHE_DTYPE_F16, LATHE_DTYPE_I64,
                                     LATHE_DTYPE_BOOL, LATHE_DTYPE_F64, LATHE_DTYPE_BF16 };

static void choose_dims(tc_random *r, int rank, int64_t *dims)
{
    int64_t budget = 6000;
    for (int d = 0; d < rank; d++) {
        dims[d] = tc_range(r, tc_chance(r, 40) ? 0 : 1, budget > 60 ? (tc_chance(r, 5) ? 60 : 9) : budget > 1 ? 3 : 1);
        budget /= dims[d] > 0 ? dims[d] : 1;
    }
}

static void permutation(tc_random *r, int rank, int8_t *order)
{
    for (int i = 0; i < rank; i++) {
        order[i] = (int8_t)i;
    }
    for (int i = rank; i-- > 1;) {
        uint32_t k = tc_draw(r, (uint32_t)i + 1);
        int8_t t = order[i];
        order[i] = order[k];
        order[k] = t;
    }
}

static lathe_format random_format(tc_random *r, lathe_dtype dtype, int rank)
{
    int8_t order[LATHE_MAX_RANK];
    permutation(r, rank, order);
    lathe_format f = tc_chance(r, 3) ? lt_format_plain(dtype, rank, LATHE_SPACE_HOST)
                                     : lt_format_permuted(dtype, order, rank, LATHE_SPACE_HOST);
    if (rank > 0 && tc_chance(r, 4)) {
        f.block_axis = (int8_t)tc_draw(r, (uint32_t)rank);
        f.block = tc_chance(r, 2) ? 8 : 16;
    } else if (rank > 0 && tc_chance(r, 4)) {
        f.pad_to = 4;
    }
    return f;
}

static void one_transpose(uint64_t seed)
{
    static tc_case c;
    int64_t dims[LATHE_MAX_RANK], out[LATHE_MAX_RANK], perm[LATHE_MAX_RANK];
    int8_t order[LATHE_MAX_RANK];
    tc_begin(&c, seed, "Transpose", "");
    int rank = (int)tc_range(&c.random, 0, 6);
    choose_dims(&c.random, rank, dims);
    permutation(&c.random, rank, order);
    bool given = rank > 0 && !tc_chance(&c.random, 4);
    for (int i = 0; i < rank; i++) {
        perm[i] = given ? order[i] : rank - 1 - i;
        out[i] = dims[perm[i]];
    }
    if (given) {
        tc_ints(&c, "perm", (size_t)rank, perm);
    }
    lathe_dtype dtype = types[tc_draw(&c.random, LT_COUNT(types))];
    tc_root(&c, tc_input(&c, dtype, rank, dims, 0));
    (void)tc_output(&c, dtype, rank, out);
    tc_check_all(&c);
    tc_end(&c);
}

/* Planes become pixels, of few channels: long lines, whose ends are no whole vectors. */
static void one_picture(uint64_t seed)
{
    static tc_case c;
    static const lathe_dtype some[] = { LATHE_DTYPE_F32, LATHE_DTYPE_U8, LATHE_DTYPE_F16 };
    const int64_t perm[4] = { 0, 2, 3, 1 };
    tc_begin(&c, seed, "Transpose", "");
    tc_random *r = &c.random;
    int64_t dims[4] = { tc_range(r, 1, 2), tc_range(r, 2, 4), tc_range(r, 1, 3), tc_range(r, 1, 800) };
    const int64_t out[4] = { dims[0], dims[2], dims[3], dims[1] };
    lathe_dtype dtype = some[tc_draw(r, LT_COUNT(some))];
    tc_ints(&c, "perm", 4, perm);
    tc_root(&c, tc_input(&c, dtype, 4, dims, 0));
    (void)tc_output(&c, dtype, 4, out);
    tc_check_all(&c);
    tc_end(&c);
}

static void pictures(void **state)
{
    (void)state;
    tc_reset();
    for (uint64_t seed = 1; seed <= TC_SEEDS(40); seed++) {
        one_picture(seed);
    }
    tc_all_fitted("Transpose", "");
}

static void transposes(void **state)
{
    (void)state;
    tc_reset();
    for (uint64_t seed = 1; seed <= TC_SEEDS(150); seed++) {
        one_transpose(seed);
    }
    tc_all_fitted("Transpose", "");
    tc_must_take_rows("transpose.copy");
}

static void no_barrier(const lathe_gang *gang)
{
    (void)gang;
}

/* Runs a reformat with a gang of `threads`, one after the other: they share nothing but the work. */
static void reformat(const lathe_tactic *t, tc_case *c, const lathe_format *a, const lathe_format *b, const void *from,
                     void *to, int threads)
{
    lathe_fit fit;
    c->in[0].format = *a;
    c->out[0].format = *b;
    assert_true(lt_tactic_ask(t, 0, &c->problem, lt_cpu_features(), &c->arena, &fit));
    assert_true(lt_format_same(&fit.in[0], a) && lt_format_same(&fit.out[0], b) && fit.cost > 0);
    lathe_buffer in = { .data = (void *)(uintptr_t)from, .rank = c->in_data[0].rank, .dims = c->in_data[0].dims },
                 out = in;
    out.data = to;
    lathe_call call = { .struct_size = sizeof call, .problem = &c->problem, .in = &in, .out = &out };
    for (int i = 0; i < threads; i++) {
        lathe_gang gang = { .index = i, .count = threads, .barrier = no_barrier };
        assert_int_equal(t->run(&gang, &call, NULL), LATHE_OK);
    }
}

/* Plain to a to b to plain gives the original; the element's place in a is where the format says; pads are 0. */
static void one_reformat(const lathe_tactic *t, uint64_t seed)
{
    static tc_case c;
    int64_t dims[LATHE_MAX_RANK], coords[LATHE_MAX_RANK] = { 0 }, at = 0;
    tc_begin(&c, seed, "Reformat", "lathe");
    int rank = (int)tc_range(&c.random, 0, 5);
    choose_dims(&c.random, rank, dims);
    lathe_dtype dtype = types[tc_draw(&c.random, LT_COUNT(types))];
    tc_root(&c, tc_input(&c, dtype, rank, dims, 0));
    (void)tc_output(&c, dtype, rank, dims);
    lathe_format plain = lt_format_plain(dtype, rank, LATHE_SPACE_HOST), a = random_format(&c.random, dtype, rank),
                 b = random_format(&c.random, dtype, rank);
    size_t size = lathe_dtype_bits(dtype) / 8, bytes[3];
    assert_true(lt_format_bytes(&plain, rank, dims, &bytes[0]) && lt_format_bytes(&a, rank, dims, &bytes[1]) &&
                lt_format_bytes(&b, rank, dims, &bytes[2]));
    char *data[3];
    for (int i = 0; i < 3; i++) {
        data[i] = lt_arena_alloc(&c.arena, bytes[i] + 64, 64);
        assert_non_null(data[i]);
        memset(data[i], 0x77, bytes[i] + 64);
    }
    const lathe_tensor *source = &c.in_data[0];
    reformat(t, &c, &plain, &a, source->data, data[1], 1);
    assert_int_equal(data[1][bytes[1]], 0x77);
    char *want = lt_arena_zero(&c.arena, bytes[1] + 1, 1, 64);
    for (bool more = lt_tensor_count(source) > 0; more; more = lt_next_coords(rank, dims, coords)) {
        memcpy(want + (size_t)lt_format_offset(&a, dims, coords) * size,
               (const char *)source->data + (size_t)at++ * size, size);
    }
    assert_int_equal(memcmp(want, data[1], bytes[1]), 0);
    reformat(t, &c, &a, &b, data[1], data[2], 3);
    reformat(t, &c, &b, &plain, data[2], data[0], 2);
    assert_int_equal(memcmp(data[0], source->data, bytes[0]), 0);
    tc_end(&c);
}

static void reformats(void **state)
{
    (void)state;
    const lathe_tactic *t;
    int found = 0;
    for (size_t i = 0; (t = lt_tactic_at(i)); i++) {
        if (t->device != LATHE_SPACE_HOST || strcmp(t->ops, "*") == 0 || !lt_tactic_lists(t, "Reformat", "lathe")) {
            continue;
        }
        found++;
        for (uint64_t seed = 1; seed <= TC_SEEDS(300); seed++) {
            one_reformat(t, seed);
        }
    }
    assert_true(found > 0);
}

/* ---- Operators with parameters ---- */

static uint16_t parameter(tc_case *c, int64_t n, const int64_t *values)
{
    uint16_t o = tc_input(c, LATHE_DTYPE_I64, 1, &n, LATHE_OPERAND_HOST);
    memcpy(c->in_data[o].data, values, (size_t)n * sizeof *values);
    tc_root(c, o);
    return o;
}

/* Rank and extents, often those of images. */
static int choose_shape(tc_random *r, int64_t *dims)
{
    int rank = tc_chance(r, 2) ? 4 : (int)tc_range(r, 1, 5);
    choose_dims(r, rank, dims);
    return rank;
}

static void concat_or_split(tc_case *c, lathe_dtype dtype, bool split)
{
    tc_random *r = &c->random;
    int64_t dims[LATHE_MAX_RANK], whole[LATHE_MAX_RANK];
    int rank = choose_shape(r, dims), axis = (int)tc_draw(r, (uint32_t)rank), parts = (int)tc_range(r, 1, 4);
    int64_t extents[4];
    memcpy(whole, dims, sizeof whole);
    whole[axis] = 0;
    for (int i = 0; i < parts; i++) {
        extents[i] = tc_range(r, tc_chance(r, 10) ? 0 : 1, 9);
        whole[axis] += extents[i];
    }
    tc_int(c, "axis", tc_chance(r, 2) ? axis : axis - rank);
    if (split) {
        tc_root(c, tc_input(c, dtype, rank, whole, 0));
        (void)parameter(c, parts, extents);
    }
    for (int i = 0; i < parts; i++) {
        dims[axis] = extents[i];
        if (split) {
            (void)tc_output(c, dtype, rank, dims);
        } else {
            tc_root(c, tc_input(c, dtype, rank, dims, 0));
        }
    }
    c->problem.n_root_out = split ? (size_t)parts : 1;
    if (!split) {
        (void)tc_output(c, dtype, rank, whole);
    }
}

static void slices(tc_case *c, lathe_dtype dtype)
{
    tc_random *r = &c->random;
    int64_t dims[LATHE_MAX_RANK], out[LATHE_MAX_RANK], starts[5], ends[5], axes[5], steps[5];
    int rank = choose_shape(r, dims), n = 0;
    bool stepped = tc_chance(r, 2);
    memcpy(out, dims, sizeof out);
    for (int i = 0; i < rank; i++) {
        if (tc_chance(r, 2) || dims[i] == 0) {
            continue;
        }
        int64_t step = stepped ? tc_range(r, 1, 3) * (tc_chance(r, 2) ? -1 : 1) : 1, a = tc_range(r, 0, dims[i] - 1),
                count = tc_range(r, 1, (step > 0 ? dims[i] - 1 - a : a) / (step > 0 ? step : -step) + 1);
        int64_t end = a + (count - 1) * step + (step > 0 ? 1 : -1);
        axes[n] = tc_chance(r, 2) ? i : i - rank;
        starts[n] = tc_chance(r, 2) ? a : a - dims[i];
        ends[n] = end < 0 ? INT64_MIN : end >= dims[i] && tc_chance(r, 2) ? INT64_MAX : end;
        steps[n++] = step;
        out[i] = count;
    }
    tc_root(c, tc_input(c, dtype, rank, dims, 0));
    (void)parameter(c, n, starts);
    (void)parameter(c, n, ends);
    (void)parameter(c, n, axes);
    if (stepped) {
        (void)parameter(c, n, steps);
    }
    (void)tc_output(c, dtype, rank, out);
}

static void pads(tc_case *c, lathe_dtype dtype)
{
    tc_random *r = &c->random;
    int64_t dims[LATHE_MAX_RANK], out[LATHE_MAX_RANK], amounts[10];
    int rank = choose_shape(r, dims);
    for (int i = 0; i < rank; i++) {
        bool crop = tc_chance(r, 4) && dims[i] > 2;
        amounts[i] = crop ? -1 : tc_range(r, 0, 3);
        amounts[rank + i] = crop && tc_chance(r, 2) ? -1 : tc_range(r, 0, 3);
        out[i] = dims[i] + amounts[i] + amounts[rank + i];
    }
    static const char *const modes[] = { "constant", "constant", "edge", "reflect", "wrap" };
    const char *mode = modes[tc_draw(r, LT_COUNT(modes))];
    for (int i = 0; i < rank && strcmp(mode, "constant") != 0; i++) { /* these need something to repeat */
        if (dims[i] + (amounts[i] < 0) * amounts[i] + (amounts[rank + i] < 0) * amounts[rank + i] < 1) {
            mode = "constant";
        }
    }
    c->attrs[c->problem.n_attrs++] =
        (lathe_attr){ .name = "mode", .kind = LATHE_ATTR_STRING, .s = { mode, strlen(mode) } };
    tc_root(c, tc_input(c, dtype, rank, dims, 0));
    (void)parameter(c, 2 * rank, amounts);
    if (tc_chance(r, 2)) {
        tc_root(c, tc_input(c, dtype, 0, NULL, 0));
    }
    (void)tc_output(c, dtype, rank, out);
}

static void repeats(tc_case *c, lathe_dtype dtype, bool expand)
{
    tc_random *r = &c->random;
    int64_t dims[LATHE_MAX_RANK], out[LATHE_MAX_RANK], factors[LATHE_MAX_RANK];
    int rank = choose_shape(r, dims), more = expand && rank < 4 ? (int)tc_range(r, 0, 1) : 0;
    out[0] = tc_range(r, 1, 3);
    for (int i = 0; i < rank; i++) {
        dims[i] = expand && tc_chance(r, 2) ? 1 : dims[i];
        int64_t times = expand && dims[i] != 1 ? 1 : tc_range(r, 1, 3);
        out[i + more] = dims[i] * times;
        factors[i] = times;
    }
    tc_root(c, tc_input(c, dtype, rank, dims, 0));
    (void)parameter(c, rank + more, expand ? out : factors);
    (void)tc_output(c, dtype, rank + more, out);
}

static void blocks(tc_case *c, lathe_dtype dtype, bool to_space)
{
    tc_random *r = &c->random;
    int64_t b = tc_range(r, 1, 3), n = tc_range(r, 1, 2), ch = tc_range(r, 1, 20), h = tc_range(r, 1, 6),
            w = tc_range(r, 1, 6);
    const int64_t deep[4] = { n, ch * b * b, h, w }, wide[4] = { n, ch, h * b, w * b };
    tc_int(c, "blocksize", b);
    if (to_space) {
        const char *mode = tc_chance(r, 2) ? "CRD" : "DCR";
        c->attrs[c->problem.n_attrs++] = (lathe_attr){ .name = "mode", .kind = LATHE_ATTR_STRING, .s = { mode, 3 } };
    }
    tc_root(c, tc_input(c, dtype, 4, to_space ? deep : wide, 0));
    (void)tc_output(c, dtype, 4, to_space ? wide : deep);
}

static void gathers(tc_case *c, lathe_dtype dtype)
{
    tc_random *r = &c->random;
    int64_t dims[LATHE_MAX_RANK], places[3], out[LATHE_MAX_RANK];
    int rank = choose_shape(r, dims), axis = (int)tc_draw(r, (uint32_t)rank), n = (int)tc_range(r, 0, 2), k = 0;
    dims[axis] += dims[axis] == 0;
    for (int i = 0; i < n; i++) {
        places[i] = tc_range(r, tc_chance(r, 10) ? 0 : 1, 7);
    }
    for (int i = 0; i < rank; i++) {
        for (int j = 0; i == axis && j < n; j++) {
            out[k++] = places[j];
        }
        if (i != axis) {
            out[k++] = dims[i];
        }
    }
    tc_int(c, "axis", tc_chance(r, 2) ? axis : axis - rank);
    tc_root(c, tc_input(c, dtype, rank, dims, 0));
    lathe_dtype type = tc_chance(r, 2) ? LATHE_DTYPE_I32 : LATHE_DTYPE_I64;
    uint16_t index = tc_input(c, type, n, places, 0);
    for (int64_t i = 0; i < lt_tensor_count(&c->in_data[index]); i++) {
        lt_store_i64(type, c->in_data[index].data, i, tc_range(r, -dims[axis], dims[axis] - 1));
    }
    tc_root(c, index);
    (void)tc_output(c, dtype, k, out);
}

/* A list of places along one axis: shuffles, neighbours, parts of both, and any. */
static void lists(tc_case *c, lathe_dtype dtype)
{
    tc_random *r = &c->random;
    int rank = (int)tc_range(r, 2, 4), axis = (int)tc_draw(r, (uint32_t)rank), kind = (int)tc_draw(r, 4);
    int64_t dims[4] = { tc_range(r, 1, 3), tc_range(r, 1, 5), tc_range(r, 1, 4), tc_range(r, 1, 7) }, out[4], groups = tc_range(r, 1, 3), each = tc_range(r, 1, 21);
    dims[axis] = groups * each;
    int64_t first = tc_range(r, 0, dims[axis] - 1), n = tc_chance(r, 3) ? tc_range(r, 1, dims[axis] - first) : dims[axis] - first;
    memcpy(out, dims, sizeof out);
    out[axis] = n;
    tc_int(c, "axis", tc_chance(r, 2) ? axis : axis - rank);
    tc_root(c, tc_input(c, dtype, rank, dims, 0));
    lathe_dtype type = tc_chance(r, 2) ? LATHE_DTYPE_I32 : LATHE_DTYPE_I64;
    uint16_t index = tc_input(c, type, 1, &n, 0);
    for (int64_t i = 0; i < n; i++) {
        int64_t at = first + i, place = kind == 0 ? at : kind == 1 ? tc_range(r, 0, dims[axis] - 1) : at % groups * each + at / groups;
        lt_store_i64(type, c->in_data[index].data, i, tc_chance(r, 4) ? place - dims[axis] : place);
    }
    tc_root(c, index);
    (void)tc_output(c, dtype, rank, out);
}

/* New entries over a cache, at places of their own, or all at the beginning. */
static void one_scatter(uint64_t seed)
{
    static tc_case c;
    tc_begin(&c, seed, "TensorScatter", "");
    tc_random *r = &c.random;
    lathe_dtype dtype = types[tc_draw(r, LT_COUNT(types))];
    int rank = (int)tc_range(r, 2, 4), axis = (int)tc_range(r, 1, rank - 1);
    int64_t dims[4] = { tc_range(r, 1, 3), tc_range(r, 1, 5), tc_range(r, 1, 4), tc_range(r, 1, 7) }, more[4], extent = tc_range(r, 1, 20), steps = tc_range(r, 0, extent);
    bool circular = tc_chance(r, 2);
    dims[axis] = extent;
    memcpy(more, dims, sizeof more);
    more[axis] = steps;
    if (axis != rank - 2 || tc_chance(r, 2)) {
        tc_int(&c, "axis", tc_chance(r, 2) ? axis : axis - rank);
    }
    if (circular) {
        c.attrs[c.problem.n_attrs++] = (lathe_attr){ .name = "mode", .kind = LATHE_ATTR_STRING, .s = { "circular", 8 } };
    }
    tc_root(&c, tc_input(&c, dtype, rank, dims, 0));
    tc_root(&c, tc_input(&c, dtype, rank, more, 0));
    if (!tc_chance(r, 4)) {
        uint16_t places = tc_input(&c, LATHE_DTYPE_I64, 1, dims, 0);
        for (int64_t i = 0; i < dims[0]; i++) {
            lt_store_i64(LATHE_DTYPE_I64, c.in_data[places].data, i, tc_range(r, 0, circular ? extent - 1 : extent - steps));
        }
        tc_root(&c, places);
    }
    (void)tc_output(&c, dtype, rank, dims);
    tc_check_all(&c);
    tc_end(&c);
}

static void scatters(void **state)
{
    (void)state;
    tc_reset();
    for (uint64_t seed = 1; seed <= TC_SEEDS(150); seed++) {
        one_scatter(seed);
    }
    tc_all_fitted("TensorScatter", "");
}

static void one_list(uint64_t seed)
{
    static tc_case c;
    tc_begin(&c, seed, "Gather", "");
    lists(&c, types[tc_draw(&c.random, LT_COUNT(types))]);
    tc_check_all(&c);
    tc_end(&c);
}

static void gathered_lists(void **state)
{
    (void)state;
    tc_reset();
    for (uint64_t seed = 1; seed <= TC_SEEDS(150); seed++) {
        one_list(seed);
    }
    tc_all_fitted("Gather", "");
    tc_must_take_rows("gather.last");
}

static void one_movement(const char *op, uint64_t seed)
{
    static tc_case c;
    tc_begin(&c, seed, op, "");
    lathe_dtype dtype = types[tc_draw(&c.random, LT_COUNT(types))];
    if (strcmp(op, "Concat") == 0 || strcmp(op, "Split") == 0) {
        concat_or_split(&c, dtype, op[0] == 'S');
    } else if (strcmp(op, "Gather") == 0) {
        gathers(&c, dtype);
    } else if (strcmp(op, "Slice") == 0) {
        slices(&c, dtype);
    } else if (strcmp(op, "Pad") == 0) {
        pads(&c, dtype);
    } else if (strcmp(op, "Expand") == 0 || strcmp(op, "Tile") == 0) {
        repeats(&c, dtype, op[0] == 'E');
    } else {
        blocks(&c, dtype, op[0] == 'D');
    }
    tc_check_all(&c);
    tc_end(&c);
}

static void movements(void **state)
{
    static const char *const ops[] = { "Concat", "Split",        "Slice",        "Pad",   "Expand",
                                       "Tile",   "DepthToSpace", "SpaceToDepth", "Gather" };
    (void)state;
    for (size_t i = 0; i < LT_COUNT(ops); i++) {
        tc_reset();
        for (uint64_t seed = 1; seed <= TC_SEEDS(60); seed++) {
            one_movement(ops[i], seed);
        }
        tc_all_fitted(ops[i], "");
        if (i != LT_COUNT(ops) - 1) { /* Gather */
            tc_must_take_rows("move.copy");
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(transposes),
        cmocka_unit_test(pictures),
        cmocka_unit_test(reformats),
        cmocka_unit_test(movements),
        cmocka_unit_test(gathered_lists),
        cmocka_unit_test(scatters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
