/*
 * test_backend_suite.c - what every backend must do, checked on each one of the table: memory, copies, order within a lane, events across lanes, steps,
 * errors. A new backend passes when this passes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "backend/backend.h"
#include "support/counting_allocator.h"
#include <string.h>

/* ---- A step: out[i] = a[i] * 3 + b[i] + h[0], by way of scratch. h is read on the host. ---- */

static int fits_any(const lathe_problem *problem, uint32_t config, lathe_fit *fit)
{
    (void)problem, (void)config, (void)fit;
    return 1;
}

static size_t scratch_mix(const lathe_problem *problem, uint32_t config, const lathe_buffer *in,
                          const lathe_buffer *out, int threads)
{
    (void)problem, (void)config, (void)out, (void)threads;
    return (size_t)in[0].dims[0] * sizeof(uint32_t);
}

static lathe_status run_mix(const lathe_gang *gang, const lathe_call *call, lathe_diag *diag)
{
    const uint32_t *a = call->in[0].data, *b = call->in[1].data, *h = call->in[2].data;
    uint32_t *out = call->out[0].data, *scratch = call->scratch;
    (void)gang;
    if (h[0] == 0xdead) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, "mix", NULL, "this step was told to fail");
    }
    for (int64_t i = 0; i < call->in[0].dims[0]; i++) {
        scratch[i] = a[i] * 3;
    }
    for (int64_t i = 0; i < call->in[0].dims[0]; i++) {
        out[i] = scratch[i] + b[i] + h[0];
    }
    return LATHE_OK;
}

static const lathe_tactic mix = { .struct_size = sizeof(lathe_tactic),
                                  .name = "test.mix",
                                  .version = 1,
                                  .ops = "test.Mix",
                                  .configs = 1,
                                  .fits = fits_any,
                                  .scratch_bytes = scratch_mix,
                                  .run = run_mix };

enum { N = 300 };

/* ---- A device under test ---- */

typedef struct rig {
    const lt_backend *backend;
    lt_device *device;
    lathe_operand in[3], out[1];
    lathe_problem problem;            /* as an engine holds it: longer than any call */
    lt_devptr a, b, c, d, scratch[4]; /* N numbers each; scratch for each lane */
    uint32_t host_a[N], host_b[N], host_c[N];
} rig;

static lt_devptr *memory_of(rig *r, size_t i)
{
    lt_devptr *all[] = { &r->a, &r->b, &r->c, &r->d, &r->scratch[0], &r->scratch[1], &r->scratch[2], &r->scratch[3] };
    return i < LT_COUNT(all) ? all[i] : NULL;
}

static void make_problem(rig *r)
{
    for (int i = 0; i < 4; i++) {
        lathe_operand *o = i < 3 ? &r->in[i] : &r->out[0];
        *o = (lathe_operand){ .dtype = LATHE_DTYPE_U32, .rank = 1 };
        o->format = lt_format_plain(LATHE_DTYPE_U32, 1, i == 2 ? LATHE_SPACE_HOST : r->backend->space);
    }
    r->in[2].flags = LATHE_OPERAND_HOST;
    r->problem = (lathe_problem){ .struct_size = sizeof r->problem,
                                  .op = "Mix",
                                  .domain = "test",
                                  .in = r->in,
                                  .n_in = 3,
                                  .out = r->out,
                                  .n_out = 1 };
}

static void open_rig(rig *r, const lt_backend *backend)
{
    memset(r, 0, sizeof *r);
    r->backend = backend;
    assert_int_equal(backend->open(backend, 0, NULL, &r->device, NULL), LATHE_OK);
    for (size_t i = 0; memory_of(r, i); i++) {
        assert_int_equal(backend->alloc(r->device, sizeof r->host_a, memory_of(r, i), NULL), LATHE_OK);
    }
    for (uint32_t i = 0; i < N; i++) {
        r->host_a[i] = i * 7 + 1;
        r->host_b[i] = i ^ 0x55;
    }
    make_problem(r);
}

static void close_rig(rig *r)
{
    assert_int_equal(r->backend->sync(r->device, -1, NULL), LATHE_OK);
    for (size_t i = 0; memory_of(r, i); i++) {
        r->backend->release(r->device, *memory_of(r, i), sizeof r->host_a);
    }
    r->backend->close(r->device);
}

/* Buffers, extents and the host operand are gone when this returns. */
static lathe_status enqueue(const rig *r, int lane, lt_devptr a, lt_devptr b, lt_devptr out, uint32_t extra)
{
    int64_t dims[4] = { N, N, 1, N };
    lathe_buffer in[3] = { { .data = (void *)(uintptr_t)a, .rank = 1, .dims = &dims[0] },
                           { .data = (void *)(uintptr_t)b, .rank = 1, .dims = &dims[1] },
                           { .data = &extra, .rank = 1, .dims = &dims[2] } };
    lathe_buffer results[1] = { { .data = (void *)(uintptr_t)out, .rank = 1, .dims = &dims[3] } };
    lathe_call call = { .struct_size = sizeof call,
                        .problem = &r->problem,
                        .in = in,
                        .out = results,
                        .scratch = (void *)(uintptr_t)r->scratch[lane] };
    lathe_status status = r->backend->step(r->device, lane, &mix, &call, NULL);
    memset(in, 0xee, sizeof in);
    memset(results, 0xee, sizeof results);
    memset(dims, 0xee, sizeof dims);
    return status;
}

#define CALL(r, name, ...) assert_int_equal((r)->backend->name((r)->device, __VA_ARGS__, NULL), LATHE_OK)

static void expect_mix(const rig *r, uint32_t extra)
{
    for (uint32_t i = 0; i < N; i++) {
        assert_int_equal(r->host_c[i], r->host_a[i] * 3 + r->host_b[i] + extra);
    }
}

static void on_each(void (*check)(const lt_backend *backend))
{
    const lt_backend *backend;
    size_t n = 0;
    for (; (backend = lt_backend_at(n)); n++) {
        assert_ptr_equal(lt_backend_find(backend->name), backend);
        assert_ptr_equal(lt_backend_of(backend->space), backend);
        check(backend);
    }
    assert_true(n >= 2);
}

static bool separate(const lt_backend *backend)
{
    return backend->space != LATHE_SPACE_HOST;
}

/* ---- Checks ---- */

static void check_memory(const lt_backend *backend)
{
    enum { MANY = 400 };
    static lt_devptr at[MANY];
    static unsigned char out[4096];
    lt_device *d, *none = NULL;
    assert_int_equal(backend->open(backend, 0, NULL, &d, NULL), LATHE_OK);
    assert_int_equal(backend->open(backend, 77, NULL, &none, NULL), LATHE_INVALID_ARGUMENT);
    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(backend->alloc(d, i * 5, &at[i], NULL), LATHE_OK);
        assert_int_equal(at[i] % 64, 0);
    }
    for (size_t i = 0; i < MANY; i++) { /* each is its own */
        memset(out, (int)(i & 0x7f), sizeof out);
        assert_int_equal(backend->copy_in(d, 0, at[i], out, i * 5, NULL), LATHE_OK);
        assert_int_equal(backend->sync(d, 0, NULL), LATHE_OK);
    }
    for (size_t i = 0; i < MANY; i++) {
        memset(out, 0xee, sizeof out);
        assert_int_equal(backend->copy_out(d, 0, out, at[i], i * 5, NULL), LATHE_OK);
        assert_int_equal(backend->sync(d, 0, NULL), LATHE_OK);
        for (size_t k = 0; k < i * 5; k++) {
            assert_int_equal(out[k], i & 0x7f);
        }
        assert_int_equal(out[i * 5], 0xee);
    }
    for (size_t i = 0; i < MANY; i++) {
        size_t k = (i * 37) % MANY;
        backend->release(d, at[k], k * 5);
    }
    backend->close(d);
}

static void memory(void **state)
{
    (void)state;
    on_each(check_memory);
}

static void check_copies(const lt_backend *backend)
{
    static const size_t sizes[] = { 0, 1, 2, 63, 64, 65, 4095, 4096, 4097, 100001 };
    static unsigned char in[100001 + 8], out[100001 + 8];
    lt_device *d;
    assert_int_equal(backend->open(backend, 0, NULL, &d, NULL), LATHE_OK);
    for (size_t i = 0; i < sizeof in; i++) {
        in[i] = (unsigned char)(i * 31 + 7);
    }
    for (size_t i = 0; i < LT_COUNT(sizes); i++) {
        lt_devptr a, b;
        assert_int_equal(backend->alloc(d, sizes[i] + 3, &a, NULL), LATHE_OK);
        assert_int_equal(backend->alloc(d, sizes[i] + 3, &b, NULL), LATHE_OK);
        memset(out, 0, sizeof out);
        assert_int_equal(backend->copy_in(d, 0, a + 1, in + 3, sizes[i], NULL), LATHE_OK); /* any alignment */
        assert_int_equal(backend->copy(d, 0, b + 2, a + 1, sizes[i], NULL), LATHE_OK);
        assert_int_equal(backend->copy_out(d, 0, out + 1, b + 2, sizes[i], NULL), LATHE_OK);
        assert_int_equal(backend->sync(d, 0, NULL), LATHE_OK);
        assert_int_equal(memcmp(out + 1, in + 3, sizes[i]), 0);
        assert_int_equal(out[sizes[i] + 1], 0);
        backend->release(d, a, sizes[i] + 3);
        backend->release(d, b, sizes[i] + 3);
    }
    backend->close(d);
}

static void copies(void **state)
{
    (void)state;
    on_each(check_copies);
}

/* A chain on one lane needs no events: c = mix(a, b); c = mix(c, b) ... */
static void check_order(const lt_backend *backend)
{
    rig r;
    open_rig(&r, backend);
    for (int lane = 0; lane < backend->lanes; lane++) {
        CALL(&r, copy_in, lane, r.a, r.host_a, sizeof r.host_a);
        CALL(&r, copy_in, lane, r.b, r.host_b, sizeof r.host_b);
        assert_int_equal(enqueue(&r, lane, r.a, r.b, r.c, 1), LATHE_OK);
        for (uint32_t i = 0; i < 20; i++) {
            assert_int_equal(enqueue(&r, lane, r.c, r.b, r.c, i), LATHE_OK);
        }
        CALL(&r, copy_out, lane, r.host_c, r.c, sizeof r.host_c);
        CALL(&r, sync, lane);
        for (uint32_t k = 0; k < N; k++) {
            uint32_t want = r.host_a[k] * 3 + r.host_b[k] + 1;
            for (uint32_t i = 0; i < 20; i++) {
                want = want * 3 + r.host_b[k] + i;
            }
            assert_int_equal(r.host_c[k], want);
        }
    }
    close_rig(&r);
}

static void order_within_a_lane(void **state)
{
    (void)state;
    on_each(check_order);
}

/* Copies on their own lanes, steps on the last compute lane, joined by events that are used again and again. */
static void check_events(const lt_backend *backend)
{
    rig r;
    open_rig(&r, backend);
    bool lanes = separate(backend);
    int in = lanes ? -1 : 0, out = lanes ? -2 : 0, work = backend->lanes - 1;
    CALL(&r, wait, work, 9u); /* never recorded: nothing to wait for */
    for (uint32_t round = 0; round < 60; round++) {
        r.host_a[0] = round;
        CALL(&r, copy_in, in, r.a, r.host_a, sizeof r.host_a);
        CALL(&r, copy_in, in, r.b, r.host_b, sizeof r.host_b);
        CALL(&r, record, in, 0u);
        CALL(&r, wait, work, 0u);
        assert_int_equal(enqueue(&r, work, r.a, r.b, r.c, round), LATHE_OK);
        CALL(&r, record, work, 1u);
        CALL(&r, wait, out, 1u);
        CALL(&r, copy_out, out, r.host_c, r.c, sizeof r.host_c);
        CALL(&r, sync, out);
        expect_mix(&r, round);
        CALL(&r, sync, -1);
    }
    close_rig(&r);
}

static void events_across_lanes(void **state)
{
    (void)state;
    on_each(check_events);
}

/* Where lanes are separate, a missing event must be able to show: the reader overtakes the writer at least once. */
static void check_freedom(const lt_backend *backend)
{
    rig r;
    int wrong = 0;
    if (!separate(backend) || backend->lanes < 2) {
        return;
    }
    open_rig(&r, backend);
    for (uint32_t round = 0; round < 40; round++) {
        uint32_t seen[N];
        CALL(&r, copy_in, 0, r.a, r.host_a, sizeof r.host_a);
        CALL(&r, copy_in, 0, r.b, r.host_b, sizeof r.host_b);
        CALL(&r, sync, -1);
        assert_int_equal(enqueue(&r, 0, r.a, r.b, r.c, round), LATHE_OK);
        CALL(&r, copy_out, 1, seen, r.c, sizeof seen);
        CALL(&r, sync, -1);
        wrong += seen[1] != r.host_a[1] * 3 + r.host_b[1] + round;
    }
    assert_true(wrong > 0);
    close_rig(&r);
}

static void missing_events_show(void **state)
{
    (void)state;
    on_each(check_freedom);
}

/* A failing step is reported once, by the sync (or, where steps run at once, by the call); the device works on. */
static void check_failing_step(const lt_backend *backend)
{
    rig r;
    open_rig(&r, backend);
    CALL(&r, copy_in, 0, r.a, r.host_a, sizeof r.host_a);
    CALL(&r, copy_in, 0, r.b, r.host_b, sizeof r.host_b);
    lathe_status queued = enqueue(&r, 0, r.a, r.b, r.c, 0xdead), synced = backend->sync(r.device, -1, NULL);
    assert_int_equal(separate(backend) ? queued : synced, LATHE_OK);
    assert_int_equal(separate(backend) ? synced : queued, LATHE_BAD_SHAPE);
    CALL(&r, copy_in, 0, r.a, r.host_a, sizeof r.host_a);
    CALL(&r, copy_in, 0, r.b, r.host_b, sizeof r.host_b);
    assert_int_equal(enqueue(&r, 0, r.a, r.b, r.c, 5), LATHE_OK);
    CALL(&r, copy_out, 0, r.host_c, r.c, sizeof r.host_c);
    CALL(&r, sync, -1);
    expect_mix(&r, 5);
    close_rig(&r);
}

static void failing_steps(void **state)
{
    (void)state;
    on_each(check_failing_step);
}

/* ---- Only where memory is separate ---- */

static void expect_refused(rig *r, const char *words)
{
    lathe_diag *diag = lathe_diag_create(NULL);
    lathe_diag_record record = { .struct_size = sizeof record };
    assert_int_equal(r->backend->sync(r->device, -1, diag), LATHE_INTERNAL);
    assert_int_equal(lathe_diag_at(diag, 0, &record), LATHE_OK);
    assert_non_null(strstr(record.text, words));
    lathe_diag_destroy(diag);
    CALL(r, sync, -1); /* what was queued behind it is gone */
}

static void check_bounds(const lt_backend *backend)
{
    rig r;
    lt_devptr gone;
    if (!separate(backend)) {
        return;
    }
    open_rig(&r, backend);
    const char *words = "not inside one live allocation";
    CALL(&r, copy_in, 0, r.a + 4, r.host_a, sizeof r.host_a); /* past the end */
    expect_refused(&r, words);
    CALL(&r, copy_out, 0, r.host_c, (lt_devptr)(uintptr_t)r.host_a, sizeof r.host_a); /* a host pointer */
    expect_refused(&r, words);
    assert_int_equal(enqueue(&r, 0, r.a, r.b + 64, r.c, 0), LATHE_OK);
    expect_refused(&r, words);
    assert_int_equal(backend->alloc(r.device, sizeof r.host_a, &gone, NULL), LATHE_OK);
    assert_int_equal(enqueue(&r, 0, gone, r.b, r.c, 0), LATHE_OK);
    backend->release(r.device, gone, sizeof r.host_a); /* too early */
    expect_refused(&r, words);
    r.scratch[1] = 0;
    assert_int_equal(enqueue(&r, 1, r.a, r.b, r.c, 0), LATHE_OK);
    expect_refused(&r, words);
    assert_int_equal(backend->copy_in(r.device, 99, r.a, r.host_a, 4, NULL), LATHE_INVALID_ARGUMENT);
    close_rig(&r);
}

static void ranges_are_checked(void **state)
{
    (void)state;
    on_each(check_bounds);
}

static void twin_poisons(void **state)
{
    rig r;
    (void)state;
    open_rig(&r, lt_backend_find("twin"));
    CALL(&r, copy_out, 0, r.host_c, r.c, sizeof r.host_c);
    CALL(&r, sync, -1);
    for (uint32_t i = 0; i < N; i++) {
        assert_int_equal(r.host_c[i], 0xcbcbcbcb);
    }
    assert_true(r.c >> 47 != 0 && r.c >> 47 != 0x1ffff); /* no processor follows it */
    CALL(&r, copy_in, 0, r.a, r.host_a, sizeof r.host_a);
    memset(r.host_a, 0x11, sizeof r.host_a); /* too early: the copy reads it late, and shows it */
    CALL(&r, copy_out, 0, r.host_c, r.a, sizeof r.host_c);
    CALL(&r, sync, -1);
    assert_int_equal(r.host_c[0], 0x11111111);
    close_rig(&r);
}

/* ---- Every allocation may fail ---- */

static lathe_status short_life(const lt_backend *backend, const lathe_allocator *allocator)
{
    rig r;
    memset(&r, 0, sizeof r);
    r.backend = backend;
    make_problem(&r);
    LT_TRY(backend->open(backend, 0, allocator, &r.device, NULL));
    lathe_status status = LATHE_OK;
    size_t have = 0;
    for (; status == LATHE_OK && memory_of(&r, have); have++) {
        status = backend->alloc(r.device, sizeof r.host_a, memory_of(&r, have), NULL);
    }
    have -= status != LATHE_OK;
    status = status != LATHE_OK ? status : backend->copy_in(r.device, 0, r.a, r.host_a, sizeof r.host_a, NULL);
    status = status != LATHE_OK ? status : backend->copy_in(r.device, 0, r.b, r.host_b, sizeof r.host_b, NULL);
    status = status != LATHE_OK ? status : enqueue(&r, 0, r.a, r.b, r.c, 3);
    status = status != LATHE_OK ? status : backend->record(r.device, 0, 40, NULL);
    status = status != LATHE_OK ? status : backend->wait(r.device, backend->lanes - 1, 40, NULL);
    lathe_status synced = backend->sync(r.device, -1, NULL);
    for (size_t i = 0; i < have; i++) {
        backend->release(r.device, *memory_of(&r, i), sizeof r.host_a);
    }
    backend->close(r.device);
    return status != LATHE_OK ? status : synced;
}

static void check_allocations(const lt_backend *backend)
{
    counting_allocator a;
    counting_init(&a);
    assert_int_equal(short_life(backend, &a.api), LATHE_OK);
    assert_int_equal(a.live, 0);
    size_t calls = a.calls;
    for (size_t i = 1; i <= calls; i++) {
        counting_init(&a);
        a.fail_at = i;
        assert_int_equal(short_life(backend, &a.api), LATHE_OUT_OF_MEMORY);
        assert_int_equal(a.live, 0);
        assert_int_equal(a.mistakes, 0);
    }
}

static void failed_allocations(void **state)
{
    (void)state;
    on_each(check_allocations);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory),
        cmocka_unit_test(copies),
        cmocka_unit_test(order_within_a_lane),
        cmocka_unit_test(events_across_lanes),
        cmocka_unit_test(missing_events_show),
        cmocka_unit_test(failing_steps),
        cmocka_unit_test(ranges_are_checked),
        cmocka_unit_test(twin_poisons),
        cmocka_unit_test(failed_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
