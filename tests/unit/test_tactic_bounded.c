/*
 * test_tactic_bounded.c - operators whose outputs have extents that only a run can tell, and those that read such values: random problems through every
 * tactic for them, outputs bounded and planned, against the reference to the bit. What a call must refuse is refused.
 *
 * ctest: TIMEOUT 600
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "support/tactic_check.h"
#include <math.h>
#include <string.h>

enum { SEEDS = 60 };

static const lathe_dtype types[] = { LATHE_DTYPE_F32, LATHE_DTYPE_I64, LATHE_DTYPE_U8,  LATHE_DTYPE_F16, LATHE_DTYPE_BOOL,
                                     LATHE_DTYPE_F64, LATHE_DTYPE_I32, LATHE_DTYPE_U16, LATHE_DTYPE_BF16 };

static lathe_dtype some_type(tc_random *r)
{
    return types[tc_draw(r, LT_COUNT(types))];
}

static void choose_dims(tc_random *r, int rank, int64_t *dims)
{
    int64_t budget = 4000;
    for (int d = 0; d < rank; d++) {
        dims[d] = tc_range(r, tc_chance(r, 25) ? 0 : 1, budget > 60 ? (tc_chance(r, 4) ? 60 : 9) : budget > 1 ? 3 : 1);
        budget /= dims[d] > 0 ? dims[d] : 1;
    }
}

/* An input whose extents may be anything up to its own, as those of values that a step before this one found. */
static uint16_t found(tc_case *c, lathe_dtype dtype, int rank, const int64_t *dims)
{
    uint16_t n = tc_input(c, dtype, rank, dims, 0);
    for (int d = 0; d < rank && tc_chance(&c->random, 2); d++) {
        c->in[n].dims[d] = (lathe_extent){ .min = 0, .opt = dims[d], .max = dims[d] + 3, .multiple = 1 };
    }
    tc_root(c, n);
    return n;
}

/* Whole numbers on the host; known: when the plan is built. */
static uint16_t host(tc_case *c, int64_t count, const int64_t *values, bool known)
{
    uint16_t n = tc_input(c, LATHE_DTYPE_I64, 1, &count, LATHE_OPERAND_HOST | LATHE_OPERAND_CONSTANT);
    for (int64_t i = 0; i < count; i++) {
        ((int64_t *)c->in_data[n].data)[i] = values[i];
    }
    c->in[n].flags &= known ? ~0u : ~(uint32_t)LATHE_OPERAND_CONSTANT;
    c->in[n].value = known ? &c->in_data[n] : NULL;
    tc_root(c, n);
    return n;
}

/* Outputs as the reference makes them, bounded (now and then with no room to spare) or planned; then every tactic. */
static void check(tc_case *c, int n_out, bool bounded)
{
    lathe_tensor out[2];
    c->problem.n_root_out = (size_t)n_out;
    assert_true(tc_reference(c, out, n_out));
    for (int o = 0; o < n_out; o++) {
        int64_t most[LATHE_MAX_RANK];
        uint16_t n = tc_output(c, out[o].dtype, out[o].rank, out[o].dims);
        for (int d = 0; d < out[o].rank; d++) {
            most[d] = out[o].dims[d] + (tc_chance(&c->random, 3) ? 0 : tc_range(&c->random, 0, 20));
        }
        if (bounded) {
            tc_bound(c, n, most);
        }
    }
    tc_check_all(c);
    tc_end(c);
}

static void all(const char *op, void (*one)(tc_case *c))
{
    tc_reset();
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        static tc_case c;
        tc_begin(&c, seed, op, "");
        one(&c);
    }
    tc_all_fitted(op, "");
}

/* ---- NonZero ---- */

static void one_nonzero(tc_case *c)
{
    tc_random *r = &c->random;
    int64_t dims[LATHE_MAX_RANK];
    int rank = (int)tc_range(r, tc_chance(r, 10) ? 0 : 1, 4);
    choose_dims(r, rank, dims);
    lathe_dtype dtype = some_type(r);
    uint16_t x = found(c, dtype, rank, dims);
    for (int64_t i = 0; i < lt_tensor_count(&c->in_data[x]); i++) {
        bool real = lt_dtype_is_float(dtype);
        uint32_t what = tc_draw(r, r->key % 4 ? 3 : 40);
        if (what == 0) {
            lt_store_f64(dtype, c->in_data[x].data, i, 0);
        } else if (what == 1 && real) {
            lt_store_f64(dtype, c->in_data[x].data, i, tc_chance(r, 2) ? -0.0 : (double)NAN);
        }
    }
    check(c, 1, true);
}

static void nonzero(void **state)
{
    (void)state;
    all("NonZero", one_nonzero);
}

/* ---- GatherND, GatherElements ---- */

static void set_index(tc_case *c, uint16_t n, int64_t at, int64_t extent)
{
    int64_t low = tc_chance(&c->random, 3) ? -extent : 0;
    lt_store_i64(c->in_data[n].dtype, c->in_data[n].data, at, tc_range(&c->random, low, extent - 1));
}

static void one_gather_nd(tc_case *c)
{
    tc_random *r = &c->random;
    int64_t dims[LATHE_MAX_RANK], index[LATHE_MAX_RANK];
    int rank = (int)tc_range(r, 1, 4), batch = (int)tc_range(r, 0, rank - 1), n = 0;
    int64_t depth = tc_range(r, 1, rank - batch);
    choose_dims(r, rank, dims);
    for (int i = 0; i < batch; i++) {
        index[n++] = dims[i];
    }
    for (int64_t i = tc_range(r, 0, 2); i > 0; i--) {
        index[n++] = tc_range(r, 0, 12);
    }
    index[n++] = depth;
    for (int i = batch; i < rank; i++) { /* nothing to take from an axis without elements */
        dims[i] = dims[i] > 0 ? dims[i] : 1;
    }
    if (batch > 0) {
        tc_int(c, "batch_dims", batch);
    }
    (void)found(c, some_type(r), rank, dims);
    uint16_t at = tc_input(c, LATHE_DTYPE_I64, n, index, 0);
    c->in[at].dims[n - 1] = (lathe_extent){ depth, depth, depth, 1 };
    tc_root(c, at);
    for (int64_t i = 0; i < lt_tensor_count(&c->in_data[at]); i++) {
        set_index(c, at, i, dims[batch + i % depth]);
    }
    check(c, 1, false);
}

static void one_gather_elements(tc_case *c)
{
    tc_random *r = &c->random;
    int64_t dims[LATHE_MAX_RANK], index[LATHE_MAX_RANK];
    int rank = (int)tc_range(r, 1, 4), axis = (int)tc_range(r, 0, rank - 1);
    choose_dims(r, rank, dims);
    for (int i = 0; i < rank; i++) {
        index[i] = i == axis ? tc_range(r, 0, 20) : tc_range(r, tc_chance(r, 9) ? 0 : 1, dims[i] > 0 ? dims[i] : 1);
        dims[i] = dims[i] > 0 ? dims[i] : 1;
    }
    tc_int(c, "axis", tc_chance(r, 2) ? axis : axis - rank);
    (void)found(c, some_type(r), rank, dims);
    uint16_t at = found(c, tc_chance(r, 2) ? LATHE_DTYPE_I64 : LATHE_DTYPE_I32, rank, index);
    for (int64_t i = 0; i < lt_tensor_count(&c->in_data[at]); i++) {
        set_index(c, at, i, dims[axis]);
    }
    check(c, 1, false);
}

static void gathers(void **state)
{
    (void)state;
    all("GatherND", one_gather_nd);
    all("GatherElements", one_gather_elements);
}

/* ---- TopK ---- */

static void one_topk(tc_case *c)
{
    static const lathe_dtype ordered[] = { LATHE_DTYPE_F32, LATHE_DTYPE_F32, LATHE_DTYPE_F16, LATHE_DTYPE_BF16, LATHE_DTYPE_I32,
                                           LATHE_DTYPE_U32, LATHE_DTYPE_I16, LATHE_DTYPE_U16, LATHE_DTYPE_I8,  LATHE_DTYPE_U8,
                                           LATHE_DTYPE_I64, LATHE_DTYPE_F64 };
    tc_random *r = &c->random;
    int64_t dims[LATHE_MAX_RANK];
    int rank = (int)tc_range(r, 1, 3), axis = (int)tc_range(r, 0, rank - 1);
    for (int i = 0; i < rank; i++) {
        dims[i] = i == axis ? tc_range(r, 0, tc_chance(r, 3) ? 400 : 40) : tc_range(r, 1, 5);
    }
    tc_int(c, "axis", axis);
    tc_int(c, "largest", tc_draw(r, 2));
    lathe_dtype dtype = ordered[tc_draw(r, LT_COUNT(ordered))];
    uint16_t x = found(c, dtype, rank, dims);
    for (int64_t i = 0; i < lt_tensor_count(&c->in_data[x]); i++) {
        if (tc_chance(r, 6)) { /* ties, ends of the range */
            bool real = lt_dtype_is_float(dtype);
            static const double special[] = { 0.0, -0.0, INFINITY, -INFINITY, NAN, 1.0 };
            static const int64_t whole[] = { 0, 1, -1, INT64_MAX, INT64_MIN, 127 };
            uint32_t which = tc_draw(r, 6);
            if (real) {
                lt_store_f64(dtype, c->in_data[x].data, i, special[which]);
            } else {
                lt_store_i64(dtype, c->in_data[x].data, i, whole[which]);
            }
        }
    }
    int64_t k = tc_range(r, 0, dims[axis]);
    (void)host(c, 1, &k, false);
    check(c, 2, !tc_chance(r, 3));
}

static void topk(void **state)
{
    (void)state;
    all("TopK", one_topk);
}

/* ---- NonMaxSuppression ---- */

static float limit(tc_case *c, double value)
{
    static const int64_t one = 1;
    int rank = (int)tc_draw(&c->random, 2);
    uint16_t n = tc_input(c, LATHE_DTYPE_F32, rank, &one, LATHE_OPERAND_HOST | LATHE_OPERAND_CONSTANT);
    *(float *)c->in_data[n].data = (float)value;
    tc_root(c, n);
    return (float)value;
}

static void one_nms(tc_case *c)
{
    static const double strange[] = { INFINITY, -INFINITY, NAN, 1e30, -1e30, 0.0 };
    tc_random *r = &c->random;
    int64_t n = tc_range(r, tc_chance(r, 20) ? 0 : 1, tc_chance(r, 4) ? 1500 : 120), batches = tc_range(r, 1, 2);
    int64_t classes = tc_range(r, 1, 3), room = tc_range(r, 0, 3);
    uint16_t boxes = found(c, LATHE_DTYPE_F32, 3, (int64_t[]){ batches, n, 4 });
    c->in[boxes].dims[2] = (lathe_extent){ 4, 4, 4, 1 };
    uint16_t scores = found(c, LATHE_DTYPE_F32, 3, (int64_t[]){ batches, classes, n });
    float *b = c->in_data[boxes].data, *s = c->in_data[scores].data;
    double size = tc_chance(r, 2) ? 30 : 3;
    for (int64_t i = 0; i < batches * n; i++) {
        float y = (float)(fabs(tc_real(r)) * size), x = (float)(tc_real(r) * size * 3);
        float corners[4] = { y, x, y + (float)(tc_real(r) * 4), x + (float)(tc_real(r) * 4) };
        memcpy(b + 4 * i, i > 0 && tc_chance(r, 8) ? b + 4 * (i - 1) : corners, sizeof corners);
        if (tc_chance(r, 60)) {
            b[4 * i + tc_draw(r, 4)] = (float)strange[tc_draw(r, LT_COUNT(strange))];
        }
    }
    for (int64_t i = 0; i < batches * classes * n; i++) {
        s[i] = tc_chance(r, 3) ? roundf(s[i] * 4) / 4 : s[i];
        s[i] = tc_chance(r, 30) ? (float)strange[tc_draw(r, LT_COUNT(strange))] : tc_chance(r, 30) ? -0.0f : s[i];
    }
    tc_int(c, "center_point_box", tc_draw(r, 2));
    if (room > 0) {
        static const int64_t counts[] = { 3, 40, INT64_MAX, 0 };
        (void)host(c, 1, &counts[tc_draw(r, LT_COUNT(counts))], tc_chance(r, 2));
        if (room > 1) {
            (void)limit(c, tc_chance(r, 5) ? 0 : tc_chance(r, 8) ? 1 : 0.2 + tc_draw(r, 50) * 0.01);
        }
        if (room > 2) {
            (void)limit(c, tc_chance(r, 5) ? -INFINITY : 0.25 * tc_draw(r, 5) - 0.5);
        }
    }
    check(c, 1, true);
}

static void nms(void **state)
{
    (void)state;
    all("NonMaxSuppression", one_nms);
}

/* ---- ConstantOfShape, Range ---- */

static void one_fill(tc_case *c)
{
    tc_random *r = &c->random;
    int64_t dims[LATHE_MAX_RANK], one = 1;
    int rank = (int)tc_range(r, 0, 4);
    lathe_tensor value;
    choose_dims(r, rank, dims);
    if (tc_chance(r, 10) && rank == 1) {
        dims[0] = 30000;
    }
    if (!tc_chance(r, 5)) {
        lathe_dtype dtype = some_type(r);
        assert_int_equal(lt_tensor_alloc(&c->arena, &value, dtype, 1, &one, "value", NULL), LATHE_OK);
        lt_store_f64(dtype, value.data, 0, tc_chance(r, 3) ? 0 : 1);
        c->attrs[c->problem.n_attrs++] = (lathe_attr){ .name = "value", .kind = LATHE_ATTR_TENSOR, .count = 1, .tensors = &value };
    }
    (void)host(c, rank, dims, false);
    check(c, 1, !tc_chance(r, 4));
}

static void one_range(tc_case *c)
{
    static const lathe_dtype numbers[] = { LATHE_DTYPE_F32, LATHE_DTYPE_I64, LATHE_DTYPE_I32 };
    tc_random *r = &c->random;
    lathe_dtype dtype = numbers[tc_draw(r, 3)];
    double step = dtype == LATHE_DTYPE_F32 ? tc_real(r) : (double)tc_range(r, 1, 5) * (tc_chance(r, 2) ? 1 : -1);
    double start = dtype == LATHE_DTYPE_F32 ? tc_real(r) * 5 : (double)tc_range(r, -50, 50);
    double values[3] = { start, start + step * (double)tc_range(r, -3, 700), step };
    for (int i = 0; i < 3; i++) {
        uint16_t n = tc_input(c, dtype, 0, NULL, LATHE_OPERAND_HOST);
        lt_store_f64(dtype, c->in_data[n].data, 0, values[i]);
        tc_root(c, n);
    }
    check(c, 1, !tc_chance(r, 4));
}

static void values(void **state)
{
    (void)state;
    all("ConstantOfShape", one_fill);
    all("Range", one_range);
}

/* ---- Movement ---- */

static void one_concat(tc_case *c)
{
    tc_random *r = &c->random;
    int64_t dims[LATHE_MAX_RANK];
    int rank = (int)tc_range(r, 1, 4), axis = (int)tc_range(r, 0, rank - 1);
    lathe_dtype dtype = some_type(r);
    choose_dims(r, rank, dims);
    tc_int(c, "axis", tc_chance(r, 2) ? axis : axis - rank);
    for (int64_t n = tc_range(r, 1, 5); n > 0; n--) {
        dims[axis] = tc_range(r, 0, 9);
        (void)found(c, dtype, rank, dims);
    }
    check(c, 1, true);
}

static void one_slice(tc_case *c)
{
    tc_random *r = &c->random;
    int64_t dims[LATHE_MAX_RANK], from[LATHE_MAX_RANK], to[LATHE_MAX_RANK], axes[LATHE_MAX_RANK], steps[LATHE_MAX_RANK], n = 0;
    int rank = (int)tc_range(r, 1, 4);
    choose_dims(r, rank, dims);
    for (int d = 0; d < rank; d++) {
        if (tc_chance(r, 2)) {
            from[n] = tc_chance(r, 9) ? INT64_MIN : tc_range(r, -dims[d] - 1, dims[d] + 1);
            to[n] = tc_chance(r, 5) ? INT64_MAX : tc_chance(r, 5) ? INT64_MIN : tc_range(r, -dims[d] - 1, dims[d] + 1);
            steps[n] = tc_chance(r, 9) ? INT64_MIN : tc_chance(r, 2) ? 1 : tc_range(r, 1, 4) * (tc_chance(r, 2) ? 1 : -1);
            axes[n++] = tc_chance(r, 2) ? d : d - rank;
        }
    }
    (void)found(c, some_type(r), rank, dims);
    (void)host(c, n, from, true);
    (void)host(c, n, to, true);
    (void)host(c, n, axes, true);
    if (!tc_chance(r, 3)) {
        (void)host(c, n, steps, true);
    }
    check(c, 1, true);
}

static void one_pad(tc_case *c)
{
    tc_random *r = &c->random;
    int64_t dims[LATHE_MAX_RANK], pads[2 * LATHE_MAX_RANK];
    int rank = (int)tc_range(r, 1, 3);
    choose_dims(r, rank, dims);
    for (int i = 0; i < 2 * rank; i++) {
        int64_t d = dims[i % rank];
        pads[i] = tc_range(r, d > 6 ? -3 : 0, 3);
    }
    (void)found(c, some_type(r), rank, dims);
    (void)host(c, 2 * rank, pads, tc_chance(r, 2));
    check(c, 1, true);
}

static void one_expand(tc_case *c)
{
    tc_random *r = &c->random;
    int64_t dims[LATHE_MAX_RANK], shape[LATHE_MAX_RANK];
    int rank = (int)tc_range(r, 0, 3), more = (int)tc_range(r, -1, 2), n = rank + more < 0 ? 0 : rank + more;
    choose_dims(r, rank, dims);
    for (int d = 0; d < rank; d++) {
        dims[d] = tc_chance(r, 2) ? 1 : dims[d];
    }
    for (int i = 0; i < n; i++) {
        int at = i - (n - rank);
        shape[i] = at < 0 || dims[at] == 1 ? tc_range(r, tc_chance(r, 9) ? 0 : 1, 5) : tc_chance(r, 2) ? 1 : dims[at];
    }
    (void)found(c, some_type(r), rank, dims);
    (void)host(c, n, shape, tc_chance(r, 2));
    check(c, 1, true);
}

static void one_tile(tc_case *c)
{
    tc_random *r = &c->random;
    int64_t dims[LATHE_MAX_RANK], times[LATHE_MAX_RANK];
    int rank = (int)tc_range(r, 1, 3);
    choose_dims(r, rank, dims);
    for (int i = 0; i < rank; i++) {
        times[i] = tc_range(r, 0, 3);
    }
    (void)found(c, some_type(r), rank, dims);
    (void)host(c, rank, times, tc_chance(r, 2));
    check(c, 1, true);
}

static void fitted(const char *op, void (*one)(tc_case *c)) /* channels-last tensors are never bounded: configuration 1 may fit nothing */
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        static tc_case c;
        tc_begin(&c, seed, op, "");
        one(&c);
    }
}

static void movements(void **state)
{
    (void)state;
    tc_reset();
    fitted("Concat", one_concat);
    fitted("Slice", one_slice);
    fitted("Pad", one_pad);
    fitted("Expand", one_expand);
    fitted("Tile", one_tile);
    tc_must_have_fitted(lt_tactic_find("move.copy"));
}

/* ---- The same elements ---- */

static void one_reshape(tc_case *c)
{
    tc_random *r = &c->random;
    int64_t dims[LATHE_MAX_RANK], shape[LATHE_MAX_RANK];
    int rank = (int)tc_range(r, 1, 4);
    choose_dims(r, rank, dims);
    for (int i = 0; i < rank; i++) { /* the same product, turned round; one of them to be worked out */
        dims[i] = dims[i] > 0 ? dims[i] : 1;
    }
    for (int i = 0; i < rank; i++) {
        shape[i] = dims[rank - 1 - i] == dims[i] && tc_chance(r, 2) ? 0 : dims[rank - 1 - i];
    }
    shape[tc_draw(r, (uint32_t)rank)] = -1;
    (void)found(c, some_type(r), rank, dims);
    (void)host(c, rank, shape, tc_chance(r, 2));
    check(c, 1, !tc_chance(r, 4));
}

static void one_flatten(tc_case *c)
{
    tc_random *r = &c->random;
    int64_t dims[LATHE_MAX_RANK];
    int rank = (int)tc_range(r, 0, 4);
    choose_dims(r, rank, dims);
    tc_int(c, "axis", tc_range(r, -rank, rank));
    (void)found(c, some_type(r), rank, dims);
    check(c, 1, !tc_chance(r, 4));
}

static void axes_with_ones(tc_case *c, bool squeeze)
{
    tc_random *r = &c->random;
    int64_t dims[LATHE_MAX_RANK], axes[LATHE_MAX_RANK], n = 0;
    int rank = (int)tc_range(r, 0, 5), of = 0;
    choose_dims(r, rank, dims);
    for (int d = 0; d < rank; d++) { /* `dims` with ones among them, or of what is left without those */
        bool one = tc_chance(r, 2);
        if (one) {
            axes[n++] = tc_chance(r, 2) ? d : d - rank;
        }
        dims[squeeze ? d : of] = squeeze && one ? 1 : dims[d];
        of += squeeze || !one;
    }
    (void)found(c, some_type(r), squeeze ? rank : of, dims);
    if (!squeeze || tc_chance(r, 2)) {
        (void)host(c, n, axes, tc_chance(r, 2));
    }
    check(c, 1, !tc_chance(r, 4));
}

static void one_squeeze(tc_case *c)
{
    axes_with_ones(c, true);
}

static void one_unsqueeze(tc_case *c)
{
    axes_with_ones(c, false);
}

static void one_identity(tc_case *c)
{
    int64_t dims[LATHE_MAX_RANK];
    int rank = (int)tc_range(&c->random, 0, 4);
    choose_dims(&c->random, rank, dims);
    (void)found(c, some_type(&c->random), rank, dims);
    check(c, 1, !tc_chance(&c->random, 4));
}

static void same_elements(void **state)
{
    (void)state;
    all("Reshape", one_reshape);
    all("Flatten", one_flatten);
    all("Squeeze", one_squeeze);
    all("Unsqueeze", one_unsqueeze);
    all("Identity", one_identity);
}

/* ---- What a call must refuse ---- */

static void no_barrier(const lathe_gang *gang)
{
    (void)gang;
}

/* Runs a tactic on the case as it stands; outputs begin at out_dims. */
static lathe_status run_as_is(tc_case *c, const char *name, void *const *results)
{
    static char scratch[1 << 16] __attribute__((aligned(64)));
    const lathe_tactic *t = lt_tactic_find(name);
    lathe_gang gang = { .index = 0, .count = 1, .barrier = no_barrier };
    lathe_buffer in[TC_OPERANDS], out[TC_OPERANDS];
    lathe_fit fit;
    assert_non_null(t);
    assert_true(lt_tactic_ask(t, 0, &c->problem, lt_cpu_features(), &c->arena, &fit));
    for (size_t i = 0; i < c->problem.n_in; i++) {
        in[i] = (lathe_buffer){ .data = c->in_data[i].data, .rank = c->in_data[i].rank, .dims = c->in_data[i].dims };
    }
    for (size_t o = 0; o < c->problem.n_out; o++) {
        out[o] = (lathe_buffer){ .data = results[o], .rank = c->out[o].rank, .dims = c->out_dims[o] };
    }
    lathe_call call = { .struct_size = sizeof call, .problem = &c->problem, .in = in, .out = out, .scratch = scratch };
    return t->run(&gang, &call, NULL);
}

static void refusals(void **state)
{
    static tc_case c;
    static int64_t first[64], second[64];
    void *const results[] = { first, second };
    const int64_t six = 6, three = 3, two[2] = { 1, 3 };
    (void)state;
    tc_begin(&c, 1, "NonZero", ""); /* more elements than there is room for */
    uint16_t x = found(&c, LATHE_DTYPE_I32, 1, &six);
    memset(c.in_data[x].data, 1, 24);
    tc_bound(&c, tc_output(&c, LATHE_DTYPE_I64, 2, two), two);
    assert_int_equal(run_as_is(&c, "nonzero.scan", results), LATHE_BAD_SHAPE);
    assert_int_equal(c.out_dims[0][1], 3);
    memset((char *)c.in_data[x].data + 12, 0, 12);
    assert_int_equal(run_as_is(&c, "nonzero.scan", results), LATHE_OK);
    tc_end(&c);

    tc_begin(&c, 1, "GatherElements", ""); /* indices beyond either end */
    (void)found(&c, LATHE_DTYPE_F32, 1, &six);
    uint16_t at = found(&c, LATHE_DTYPE_I64, 1, &three);
    int64_t *index = c.in_data[at].data;
    (void)tc_output(&c, LATHE_DTYPE_F32, 1, &three);
    memcpy(index, (int64_t[]){ 5, -6, 0 }, 24);
    assert_int_equal(run_as_is(&c, "gather.nd", results), LATHE_OK);
    index[2] = 6;
    assert_int_equal(run_as_is(&c, "gather.nd", results), LATHE_BAD_SHAPE);
    index[2] = -7;
    assert_int_equal(run_as_is(&c, "gather.nd", results), LATHE_BAD_SHAPE);
    tc_end(&c);

    tc_begin(&c, 1, "TopK", ""); /* more than there are, less than none, more than there is room for */
    (void)found(&c, LATHE_DTYPE_F32, 1, &six);
    uint16_t k = host(&c, 1, &three, false);
    c.problem.n_root_out = 2;
    tc_bound(&c, tc_output(&c, LATHE_DTYPE_F32, 1, &three), &three);
    tc_bound(&c, tc_output(&c, LATHE_DTYPE_I64, 1, &three), &three);
    for (int64_t n = -1; n <= 7; n++) {
        c.out_dims[0][0] = c.out_dims[1][0] = 3;
        *(int64_t *)c.in_data[k].data = n;
        assert_int_equal(run_as_is(&c, "topk.rows", results), n >= 0 && n <= 3 ? LATHE_OK : LATHE_BAD_SHAPE);
        assert_int_equal(c.out_dims[1][0], n >= 0 && n <= 3 ? n : 3);
    }
    tc_end(&c);

    tc_begin(&c, 1, "ConstantOfShape", "");
    uint16_t shape = host(&c, 1, &three, false);
    tc_bound(&c, tc_output(&c, LATHE_DTYPE_F32, 1, &six), &six);
    for (int64_t n = -2; n <= 8; n += 5) { /* -2, 3, 8 */
        c.out_dims[0][0] = 6;
        *(int64_t *)c.in_data[shape].data = n;
        assert_int_equal(run_as_is(&c, "make.values", results), n == 3 ? LATHE_OK : LATHE_BAD_SHAPE);
    }
    tc_end(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nonzero), cmocka_unit_test(gathers),   cmocka_unit_test(topk),          cmocka_unit_test(nms),
        cmocka_unit_test(values),  cmocka_unit_test(movements), cmocka_unit_test(same_elements), cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
