/*
 * test_engine_file.c - the plan file: what is written is read back, twice the same bytes, damage and bad tables are refused by name, failing allocations are
 * survived.
 */
#include "backend/backend.h"
#include "engine/engine.h"
#include "support/counting_allocator.h"
#include "support/sample_plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

enum { FLOATS = 300 };

static lathe_status decode(const void *data, size_t size, uint32_t flags, lt_arena *arena, lt_plan **plan, char *text, size_t room)
{
    lathe_diag *diag = lathe_diag_create(NULL);
    lathe_status status = lt_plan_decode(data, size, flags, NULL, NULL, arena, plan, diag);
    lathe_diag_record r = {.struct_size = sizeof r};
    text[0] = '\0';
    if (status != LATHE_OK && lathe_diag_at(diag, 0, &r) == LATHE_OK) {
        snprintf(text, room, "%s", r.text);
    }
    lathe_diag_destroy(diag);
    return status;
}

/* Decodes, re-encodes the decoded plan from the bytes it points to, compares. */
static lathe_status from_weights(void *user, const lt_plan *plan, uint32_t blob, void *dst, lathe_diag *diag)
{
    const lt_plan *decoded = user;
    (void)diag;
    memcpy(dst, decoded->weights + plan->blobs[blob].offset, (size_t)plan->blobs[blob].bytes);
    return LATHE_OK;
}

static void round_trip(uint32_t floats)
{
    lt_buf bytes, again, page, page_again;
    lt_arena arena;
    lt_plan *plan;
    char text[256];
    lt_buf_init(&bytes, NULL);
    lt_buf_init(&again, NULL);
    lt_buf_init(&page, NULL);
    lt_buf_init(&page_again, NULL);
    lt_arena_init(&arena, NULL);
    assert_true(sample_plan_encode(floats, &bytes));
    assert_true(lt_plan_sniff(bytes.data, bytes.length));
    lathe_status status = decode(bytes.data, bytes.length, LT_PLAN_VERIFY_FULL, &arena, &plan, text, sizeof text);
    assert_string_equal(text, "");
    assert_int_equal(status, LATHE_OK);
    assert_int_equal(lt_plan_encode(plan, from_weights, plan, NULL, NULL, &again, NULL), LATHE_OK);
    assert_int_equal(bytes.length, again.length);
    assert_memory_equal(bytes.data, again.data, bytes.length);
    lt_plan_dump(plan, &page);
    const lt_plan *made = sample_plan_make(&arena, floats);
    lt_plan_dump(made, &page_again);
    assert_string_equal(lt_buf_str(&page), lt_buf_str(&page_again));
    lt_arena_destroy(&arena);
    lt_buf_free(&bytes);
    lt_buf_free(&again);
    lt_buf_free(&page);
    lt_buf_free(&page_again);
}

static void test_round_trip(void **state)
{
    (void)state;
    round_trip(1);
    round_trip(FLOATS);
    round_trip(300000); /* weights of several chunks, on a 2 MiB border */
}

static void test_weights_alignment(void **state)
{
    (void)state;
    lt_buf bytes;
    lt_arena arena;
    lt_plan *plan;
    char text[256];
    lt_buf_init(&bytes, NULL);
    lt_arena_init(&arena, NULL);
    assert_true(sample_plan_encode(300000, &bytes));
    assert_int_equal(decode(bytes.data, bytes.length, 0, &arena, &plan, text, sizeof text), LATHE_OK);
    assert_int_equal((size_t)(plan->weights - (const unsigned char *)bytes.data) % (2 << 20), 0);
    for (uint32_t i = 0; i < plan->n_blobs; i++) {
        assert_int_equal(plan->blobs[i].offset % 64, 0);
    }
    lt_arena_destroy(&arena);
    lt_buf_free(&bytes);
}

static void spread(void *user, uint32_t n, void (*fn)(void *arg, uint32_t i), void *arg)
{
    *(uint32_t *)user = n;
    for (uint32_t i = n; i-- > 0;) {
        fn(arg, i);
    }
}

static void test_damage(void **state)
{
    (void)state;
    lt_buf bytes;
    lt_arena arena;
    lt_plan *plan;
    char text[256];
    uint32_t spread_over = 0;
    lt_buf_init(&bytes, NULL);
    lt_arena_init(&arena, NULL);
    assert_true(sample_plan_encode(300000, &bytes));
    assert_int_equal(decode("nonsense", 8, 0, &arena, &plan, text, sizeof text), LATHE_BAD_PLAN);
    assert_non_null(strstr(text, "no plan"));
    assert_int_equal(decode(bytes.data, 100, 0, &arena, &plan, text, sizeof text), LATHE_BAD_PLAN);
    assert_non_null(strstr(text, "cut off"));
    assert_int_equal(decode(bytes.data, bytes.length - 1, 0, &arena, &plan, text, sizeof text), LATHE_BAD_PLAN);
    assert_non_null(strstr(text, "its header says"));
    bytes.data[8] = 9;
    assert_int_equal(decode(bytes.data, bytes.length, 0, &arena, &plan, text, sizeof text), LATHE_BAD_PLAN);
    assert_non_null(strstr(text, "format version 9"));
    bytes.data[8] = LT_PLAN_VERSION;
    size_t inside = (2 << 20) + (1 << 20) + 5; /* of the second MiB of the weights */
    bytes.data[inside] ^= 4;
    lathe_diag *diag = lathe_diag_create(NULL);
    lathe_diag_record r = {.struct_size = sizeof r};
    assert_int_equal(lt_plan_decode(bytes.data, bytes.length, 0, spread, &spread_over, &arena, &plan, diag), LATHE_BAD_PLAN);
    assert_int_equal(lathe_diag_at(diag, 0, &r), LATHE_OK);
    assert_non_null(strstr(r.text, "checksum of MiB 1"));
    assert_int_equal(spread_over, 4);
    lathe_diag_destroy(diag);
    assert_int_equal(lt_plan_reseal(bytes.data, bytes.length, NULL), LATHE_OK);
    assert_int_equal(decode(bytes.data, bytes.length, LT_PLAN_VERIFY_FULL, &arena, &plan, text, sizeof text), LATHE_OK);
    bytes.data[bytes.length - 1] ^= 1; /* the file's digest */
    assert_int_equal(decode(bytes.data, bytes.length, 0, &arena, &plan, text, sizeof text), LATHE_OK);
    assert_int_equal(decode(bytes.data, bytes.length, LT_PLAN_VERIFY_FULL, &arena, &plan, text, sizeof text), LATHE_BAD_PLAN);
    lt_arena_destroy(&arena);
    lt_buf_free(&bytes);
}

/* ---- Bad tables: each case spoils one thing of the sample ---- */

typedef struct spoiled { /* writable views of the sample's tables */
    lt_plan *plan;
    lt_plan_program *main;
    lt_plan_value *values;
    lt_plan_step *steps;
    lt_plan_instr *instrs;
    lt_plan_loop *loop;
    lt_plan_expr *exprs;
    lt_plan_blob *blobs;
    lt_plan_lane *lanes;
    uint64_t *offsets;
    lt_plan_cut *cuts;
} spoiled;

static void *copy(lt_arena *arena, const void *items, size_t n, size_t size)
{
    void *out = lt_arena_copy(arena, items, n * size, _Alignof(max_align_t));
    assert_non_null(out);
    return out;
}

static spoiled make(lt_arena *arena)
{
    spoiled s = {.plan = sample_plan_make(arena, FLOATS)};
    assert_non_null(s.plan);
    lt_plan_program *programs = copy(arena, s.plan->programs, s.plan->n_programs, sizeof *programs);
    s.plan->programs = programs;
    s.main = programs;
    s.main->values = s.values = copy(arena, s.main->values, s.main->n_values, sizeof *s.values);
    s.main->steps = s.steps = copy(arena, s.main->steps, s.main->n_steps, sizeof *s.steps);
    s.main->instrs = s.instrs = copy(arena, s.main->instrs, s.main->n_instrs, sizeof *s.instrs);
    s.main->loops = s.loop = copy(arena, s.main->loops, 1, sizeof *s.loop);
    s.main->exprs = s.exprs = copy(arena, s.main->exprs, s.main->n_exprs, sizeof *s.exprs);
    s.main->lanes = s.lanes = copy(arena, s.main->lanes, s.main->n_lanes, sizeof *s.lanes);
    s.main->cuts = s.cuts = copy(arena, s.main->cuts, s.main->n_cuts, sizeof *s.cuts);
    s.main->offsets = s.offsets = copy(arena, s.main->offsets, s.main->n_values, sizeof *s.offsets);
    s.plan->blobs = s.blobs = copy(arena, s.plan->blobs, s.plan->n_blobs, sizeof *s.blobs);
    return s;
}

/* Numbers as in sample_plan.c. */
static void spoil(spoiled *s, int number, lt_arena *arena)
{
    static const uint32_t far_away[] = {1u << 20, 1u << 20};
    switch (number) {
    case 0: s->plan->init_program = 7; break;
    case 1: s->plan->retunable = 2; break;
    case 2: s->main->profile = 3; break;
    case 3: s->main->n_events = 99; break;
    case 4: s->main->bind_exprs = 99; break;
    case 5: s->exprs[2].a = 2; break;                 /* reads itself */
    case 6: s->exprs[0].b = 9; break;                 /* no such input */
    case 7: s->exprs[0].a = 2; break;                 /* no such axis */
    case 8: s->exprs[8].b = 99; break;
    case 9: s->values[5].dims[0] = 99; break;
    case 10: s->values[5].dims[0] = 8; break;         /* known at run time only, without a bound */
    case 11: s->values[8].bound[0] = 8; break;
    case 12: s->values[6].index = 6; break;           /* a view of itself */
    case 13: s->values[2].index = 9; break;           /* no such blob */
    case 14: s->values[2].dims[0] = 1; break;         /* not the blob's extent */
    case 15: s->values[17].index = 1; break;          /* no such output */
    case 16: s->values[18].storage = LT_STORE_ARENA; break; /* strings in the arena */
    case 17: s->values[7].format.space = LATHE_SPACE_CUDA; break; /* no lane for it */
    case 18: s->values[6].format.space = LATHE_SPACE_TWIN; break; /* a view across spaces */
    case 19: s->steps[0].in = far_away; break;
    case 20: s->steps[0].out = lt_arena_copy(arena, (const uint32_t[]){2}, 4, 4); break; /* writes to weights */
    case 21: s->steps[0].out = lt_arena_copy(arena, (const uint32_t[]){0}, 4, 4); break; /* writes to an input */
    case 22: s->steps[0].origins = far_away; break;
    case 23: s->instrs[0].a = 99; break;
    case 24: s->instrs[3].a = 0; break;               /* the same step twice */
    case 25: s->instrs[0].lane = 9; break;
    case 26: s->instrs[1].lane = 0; break;            /* a device copy on the cpu lane */
    case 27: s->instrs[2].a = 1; break;               /* no such event */
    case 28: s->instrs[5].b = 20; break;              /* the If reaches beyond the end */
    case 29: s->instrs[5].c = 12; break;
    case 30: s->instrs[7].b = 15; break;              /* one branch does not write the result */
    case 31: s->instrs[8].a = 1; break;
    case 32: s->instrs[4].b = 9; break;
    case 33: s->instrs[14].a = 0; break;              /* calls itself */
    case 34: s->instrs[15].op = (lt_opcode)42; break;
    case 35: s->loop->trip = 18; s->loop->cond = 99; break;
    case 36: s->loop->body_in = far_away; break;
    case 37: s->loop->iteration = 2; break;           /* the counter in the weights */
    case 38: s->loop->scan_result = lt_arena_copy(arena, (const uint32_t[]){19}, 4, 4); break;
    case 39: s->blobs[0].flags = 8; break;
    case 40: s->blobs[0].bytes += 4; break;
    case 41: s->blobs[3].bytes += 1; break;
    case 42: s->lanes[0].space = LATHE_SPACE_TWIN; break;
    case 43: s->offsets[5] = 1 << 20; break;
    case 44: s->offsets[5] = 32; break;
    case 45: s->values[5].last = 99; break;
    case 46: s->values[0].dtype = LATHE_DTYPE_F64; s->values[0].format.storage = LATHE_DTYPE_F64; break; /* not what the input is */
    case 47: s->values[13].format.space = LATHE_SPACE_TWIN; break; /* the loop copies on the cpu lane */
    case 48: s->steps[3].in = lt_arena_copy(arena, (const uint32_t[]){14, 16}, 8, 4); break; /* reads what lives in the loop's body */
    case 49: s->main->outputs = lt_arena_copy(arena, (const uint32_t[]){7}, 4, 4); s->values[7].dtype = LATHE_DTYPE_I8; break;
    case 50: s->cuts[0].value = 99; break;
    case 51: s->cuts[0].kind = 3; break;
    case 52: s->cuts[1].value = s->cuts[0].value; break; /* twice a part */
    case 53: s->cuts[0].axis = 2; break;
    case 54: s->cuts[0].start = 8; break;             /* known at run time only */
    case 55: s->values[21].index = 0; break;          /* part of an input, written */
    case 56: s->values[20].format.strided = 1; break; /* rows apart, but no part */
    case 57: s->steps[4].n_out = 2; break;            /* one part is missing when the whole is read */
    case 58: s->steps[5].out = lt_arena_copy(arena, (const uint32_t[]){23}, 4, 4); break; /* writes to what is only seen */
    case 59: s->cuts[1].kind = LT_CUT_SEEN; break;
    case 60: s->cuts[1] = s->cuts[2]; s->cuts[2] = (lt_plan_cut){22, LT_CUT_MADE, 1, 1}; break; /* parts that are not side by side */
    case 61: s->values[21].format.storage = LATHE_DTYPE_I32; break;
    case 62: s->steps[4].out = lt_arena_copy(arena, (const uint32_t[]){18, 20, 22}, 12, 4); break; /* writes to the whole */
    case 63: s->values[21].format.strided = 2; break;
    case 64: s->plan->equals = lt_arena_copy(arena, &(lt_plan_equal){"a=b", "a", 2, 0}, sizeof(lt_plan_equal), 8); break; /* no such input */
    case 65: s->plan->equals = lt_arena_copy(arena, &(lt_plan_equal){"a=b", "a", 0, 2}, sizeof(lt_plan_equal), 8); break; /* no such axis */
    default: s->plan = NULL; break;
    }
}

static void test_bad_tables(void **state)
{
    (void)state;
    for (int i = 0;; i++) {
        lt_arena arena;
        lt_buf bytes;
        lt_plan *plan;
        char text[256];
        lt_arena_init(&arena, NULL);
        lt_buf_init(&bytes, NULL);
        spoiled s = make(&arena);
        spoil(&s, i, &arena);
        if (!s.plan) {
            lt_arena_destroy(&arena);
            assert_int_equal(i, 66);
            break;
        }
        assert_int_equal(lt_plan_layout(s.plan, s.blobs, NULL), LATHE_OK);
        assert_int_equal(lt_plan_encode(s.plan, sample_plan_data, NULL, NULL, NULL, &bytes, NULL), LATHE_OK);
        lathe_status status = decode(bytes.data, bytes.length, LT_PLAN_VERIFY_FULL, &arena, &plan, text, sizeof text);
        if (status != LATHE_BAD_PLAN) {
            print_error("case %d was accepted\n", i);
        }
        assert_int_equal(status, LATHE_BAD_PLAN);
        assert_true(text[0]);
        lt_buf_free(&bytes);
        lt_arena_destroy(&arena);
    }
}

/* ---- Weights made elsewhere ---- */

typedef struct share {
    uint32_t n;
    void (*fn)(void *arg, uint32_t i);
    void *arg;
} share;

static void take_share(void *user, const lathe_gang *gang)
{
    const share *s = user;
    for (uint32_t i = s->n; i-- > 0;) { /* from the end, and by turns */
        if (i % (uint32_t)gang->count == (uint32_t)gang->index) {
            s->fn(s->arg, i);
        }
    }
}

static void on_pool(void *pool, uint32_t n, void (*fn)(void *arg, uint32_t i), void *arg)
{
    share s = {n, fn, arg};
    lt_pool_run(pool, 3, take_share, &s);
}

static lathe_status no_data(void *user, const lt_plan *plan, uint32_t blob, void *dst, lathe_diag *diag)
{
    return blob == 1 ? LATHE_CANCELLED : sample_plan_data(user, plan, blob, dst, diag);
}

/* The order and the threads that blobs are made on do not show; one that fails fails the whole. */
static void test_weights_on_threads(void **state)
{
    (void)state;
    lt_arena arena;
    lt_buf bytes, again;
    lt_pool *pool;
    lt_arena_init(&arena, NULL);
    lt_buf_init(&bytes, NULL);
    lt_buf_init(&again, NULL);
    spoiled s = make(&arena);
    assert_int_equal(lt_pool_create(3, NULL, &pool, NULL), LATHE_OK);
    assert_int_equal(lt_plan_layout(s.plan, s.blobs, NULL), LATHE_OK);
    assert_int_equal(lt_plan_encode(s.plan, sample_plan_data, NULL, NULL, NULL, &bytes, NULL), LATHE_OK);
    assert_int_equal(lt_plan_encode(s.plan, sample_plan_data, NULL, on_pool, pool, &again, NULL), LATHE_OK);
    assert_int_equal(again.length, bytes.length);
    assert_memory_equal(again.data, bytes.data, bytes.length);
    lt_buf_clear(&again);
    assert_int_equal(lt_plan_encode(s.plan, no_data, NULL, on_pool, pool, &again, NULL), LATHE_CANCELLED);
    lt_pool_destroy(pool);
    lt_buf_free(&bytes);
    lt_buf_free(&again);
    lt_arena_destroy(&arena);
}

/* ---- Depth ---- */

static void test_deep_nesting(void **state)
{
    (void)state;
    for (uint32_t depth = 40; depth <= 100000; depth = depth < 100 ? depth + 60 : depth * 1000) {
        lt_arena arena;
        lt_buf bytes;
        lt_plan *plan;
        char text[256];
        lt_arena_init(&arena, NULL);
        lt_buf_init(&bytes, NULL);
        spoiled s = make(&arena);
        lt_plan_instr *instrs = LT_ARENA_ARRAY(&arena, lt_plan_instr, s.main->n_instrs + depth);
        assert_non_null(instrs);
        memcpy(instrs, s.instrs, s.main->n_instrs * sizeof *instrs);
        for (uint32_t i = 0; i < depth; i++) {
            instrs[s.main->n_instrs + i] = (lt_plan_instr){LT_I_IF, 0, 9, depth - 1 - i, 0};
        }
        s.main->instrs = instrs;
        s.main->n_instrs += depth;
        assert_int_equal(lt_plan_encode(s.plan, sample_plan_data, NULL, NULL, NULL, &bytes, NULL), LATHE_OK);
        lathe_status status = decode(bytes.data, bytes.length, 0, &arena, &plan, text, sizeof text);
        assert_int_equal(status, depth < LT_MAX_DEPTH ? LATHE_OK : LATHE_BAD_PLAN);
        assert_true(depth < LT_MAX_DEPTH || strstr(text, "nested too deeply"));
        lt_buf_free(&bytes);
        lt_arena_destroy(&arena);
    }
}

/* ---- Failing allocations ---- */

static void test_out_of_memory(void **state)
{
    (void)state;
    lt_buf bytes;
    lt_buf_init(&bytes, NULL);
    assert_true(sample_plan_encode(FLOATS, &bytes));
    for (size_t n = 1;; n++) {
        counting_allocator counter;
        counting_init(&counter);
        counter.fail_at = n;
        lt_buf out;
        lt_arena arena, own;
        lt_plan *plan;
        lt_arena_init(&own, NULL);
        lt_arena_init(&arena, &counter.api);
        lt_buf_init(&out, &counter.api);
        lathe_status written = lt_plan_encode(sample_plan_make(&own, FLOATS), sample_plan_data, NULL, NULL, NULL, &out, NULL);
        lathe_status read = lt_plan_decode(bytes.data, bytes.length, 0, NULL, NULL, &arena, &plan, NULL);
        lt_buf_free(&out);
        lt_arena_destroy(&arena);
        lt_arena_destroy(&own);
        assert_int_equal(counter.live, 0);
        assert_int_equal(counter.mistakes, 0);
        assert_true(written == LATHE_OK || written == LATHE_OUT_OF_MEMORY);
        assert_true(read == LATHE_OK || read == LATHE_OUT_OF_MEMORY);
        if (written == LATHE_OK && read == LATHE_OK) {
            break;
        }
    }
    lt_buf_free(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_weights_alignment), cmocka_unit_test(test_damage),
        cmocka_unit_test(test_bad_tables), cmocka_unit_test(test_weights_on_threads), cmocka_unit_test(test_deep_nesting),      cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
