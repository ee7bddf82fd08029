/*
 * tactic_check.c - see tactic_check.h.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "support/tactic_oracle.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- Guarded memory ---- */

typedef enum placement { AT_END, AT_START, SHIFTED, PLACEMENTS } placement;

typedef struct guarded {
    char *map, *data;
    size_t map_bytes;
} guarded;

/* `bytes` between two pages that cannot be touched. align: of the data; SHIFTED moves by one such. */
static guarded guard(size_t bytes, size_t align, placement where, int poison)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), room = (bytes + align + page - 1) / page * page;
    guarded g = { .map_bytes = room + 2 * page };
    g.map = mmap(NULL, g.map_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(g.map != MAP_FAILED);
    memset(g.map, poison, g.map_bytes);
    assert_int_equal(mprotect(g.map, page, PROT_NONE), 0);
    assert_int_equal(mprotect(g.map + page + room, page, PROT_NONE), 0);
    g.data =
        where == AT_END ? g.map + page + (room - bytes) / align * align : g.map + page + (where == SHIFTED ? align : 0);
    return g;
}

static void unguard(guarded *g)
{
    if (g->map) {
        munmap(g->map, g->map_bytes);
        g->map = NULL;
    }
}

/* ---- Tallies ---- */

enum { TALLIES = 256, MAX_CONFIGS = 4 };
static struct {
    const lathe_tactic *tactic;
    int fitted[MAX_CONFIGS], rows; /* rows: runs with rows apart */
    char why[MAX_CONFIGS][LATHE_WHY_MAX];
} tallies[TALLIES];

static size_t tally_of(const lathe_tactic *tactic)
{
    for (size_t i = 0; i < TALLIES; i++) {
        if (!tallies[i].tactic || tallies[i].tactic == tactic) {
            tallies[i].tactic = tactic;
            return i;
        }
    }
    fail_msg("too many tactics");
    return 0;
}

void tc_reset(void)
{
    memset(tallies, 0, sizeof tallies);
}

static uint64_t features(void)
{
    return lt_cpu_features();
}

/* Libraries may be missing; the run says so, once for each. */
static bool source_is_here(const lathe_tactic *t)
{
    static uint32_t told;
    lathe_source s = { .struct_size = sizeof s };
    for (size_t i = 0; lathe_source_at(i, &s); i++) {
        if (strcmp(s.name, lt_tactic_source(t)) == 0) {
            if (!s.there && !(told >> i & 1)) {
                print_message("tactics of %s are left out: %s\n", s.name, s.why);
                told |= 1u << i;
            }
            return s.there;
        }
    }
    fail_msg("%s has an unknown source", t->name);
    return false;
}

static bool is_external(const lathe_tactic *t)
{
    return strcmp(lt_tactic_source(t), "lathe") != 0;
}

static bool can_run(const lathe_tactic *t)
{
    return t->device == LATHE_SPACE_HOST && (t->cpu_features & ~features()) == 0 && source_is_here(t);
}

static uint64_t share(void)
{
    const char *asked = getenv("LATHE_TEST_SHARE");
    return asked && atoi(asked) > 1 ? (uint64_t)atoi(asked) : 1;
}

uint64_t tc_seeds(uint64_t count)
{
    return (count + share() - 1) / share();
}

/* With a share of the problems neither this nor the next can be told. */
void tc_must_have_fitted(const lathe_tactic *t)
{
    size_t at = tally_of(t);
    for (uint32_t config = 0; share() == 1 && can_run(t) && config < t->configs && config < MAX_CONFIGS; config++) {
        if (tallies[at].fitted[config] == 0) {
            fail_msg("%s (configuration %u) fits nothing; last refusal: %s", t->name, config, tallies[at].why[config]);
        }
    }
}

void tc_must_take_rows(const char *pattern)
{
    int runs = 0, there = 0;
    for (size_t i = 0; i < TALLIES && tallies[i].tactic; i++) {
        if (lt_glob(pattern, tallies[i].tactic->name)) {
            there += can_run(tallies[i].tactic);
            runs += tallies[i].rows;
        }
    }
    if (share() == 1 && there > 0 && runs == 0) {
        fail_msg("%s never ran with rows apart", pattern);
    }
}

void tc_all_fitted(const char *op, const char *domain)
{
    const lathe_tactic *t;
    for (size_t i = 0; (t = lt_tactic_at(i)); i++) {
        bool quantized = strstr(t->name, ".q8.") != NULL; /* these want prologues, which have a test of their own */
        if (!quantized && !is_external(t) && strcmp(t->ops, "*") != 0 && lt_tactic_lists(t, op, domain)) {
            tc_must_have_fitted(t);
        }
    }
}

/* ---- One run ---- */

typedef struct bench {
    tc_case *c;
    const lathe_tactic *tactic;
    uint32_t config;
    lathe_fit fit;
    lathe_operand in[TC_OPERANDS], out[TC_OPERANDS];
    lathe_problem problem; /* with the formats that the tactic wants */
    guarded in_memory[TC_OPERANDS], out_memory[TC_OPERANDS], scratch;
    lathe_buffer in_buffers[TC_OPERANDS], out_buffers[TC_OPERANDS];
    int64_t in_dims[TC_OPERANDS][LATHE_MAX_RANK], out_dims[TC_OPERANDS][LATHE_MAX_RANK];
    size_t out_bytes[TC_OPERANDS]; /* without what lies between rows */
    int64_t gap[2][TC_OPERANDS];   /* bytes between rows of inputs and outputs whose formats are strided */
    lathe_status status;
    void *state; /* of tactics that prepare */
} bench;

static void explain(const bench *b, const char *what)
{
    lt_buf text;
    lt_buf_init(&text, NULL);
    (void)lt_problem_print(&b->problem, &text, NULL);
    print_error("%s, configuration %u: %s\nproblem:\n%s\n", b->tactic->name, b->config, what, lt_buf_str(&text));
    for (size_t i = 0; i < b->problem.n_in; i++) {
        print_error("input %zu:", i);
        for (int d = 0; d < b->c->in_data[i].rank; d++) {
            print_error(" %lld", (long long)b->c->in_data[i].dims[d]);
        }
        print_error("%s", b->fit.pack[i] ? " (packed)\n" : "\n");
    }
    lt_buf_free(&text);
    fail_msg("%s: %s", b->tactic->name, what);
}

static size_t element_size(lathe_dtype dtype)
{
    return lathe_dtype_bits(dtype) / 8;
}

/* How the rows of an operand lie. */
typedef struct rows {
    int64_t count, bytes, pitch; /* pitch 0: dense */
    size_t span;                 /* from the first byte to the last */
} rows;

static rows rows_of(const lathe_format *f, const int64_t *dims, int64_t gap)
{
    rows r = { 0 };
    assert_true(lt_format_bytes(f, f->rank, dims, &r.span));
    if (f->strided == 0) {
        r.count = 1;
        r.bytes = (int64_t)r.span;
        return r;
    }
    lt_format_rows(f, dims, &r.count, &r.bytes);
    r.bytes *= (int64_t)element_size(f->storage);
    r.pitch = r.bytes + gap;
    r.span = r.count > 0 && r.bytes > 0 ? (size_t)((r.count - 1) * r.pitch + r.bytes) : 0;
    return r;
}

/* Plain contents into a format; between rows lies what must not be taken for anything. */
static void lay_out(const lathe_tensor *from, const lathe_format *f, const rows *r, char *to)
{
    int64_t coords[LATHE_MAX_RANK] = { 0 }, at = 0;
    size_t size = element_size(from->dtype);
    memset(to, r->pitch ? 0xff : 0, r->span);
    for (bool more = lt_tensor_count(from) > 0; more; more = lt_next_coords(from->rank, from->dims, coords)) {
        memcpy(to + (size_t)lt_format_offset_in(f, from->dims, r->pitch / (int64_t)size, coords) * size,
               (const char *)from->data + (size_t)at++ * size, size);
    }
}

static void place_pack(bench *b, size_t i)
{
    const lathe_pack *pack = lt_pack_find(b->fit.pack[i]);
    const lathe_tensor *t = &b->c->in_data[i];
    if (!pack) {
        explain(b, "asks for a pack that is not there");
        return;
    }
    size_t bytes = pack->bytes(t, b->fit.pack_param[i]);
    if (bytes == 0) {
        explain(b, "asks for a pack that does not suit");
    }
    b->in_memory[i] = guard(bytes, 64, AT_END, 0);
    pack->pack(b->in_memory[i].data, t, b->fit.pack_param[i]);
    if (pack->unpack) {
        lathe_tensor back;
        assert_int_equal(lt_tensor_alloc(&b->c->arena, &back, t->dtype, t->rank, t->dims, "unpacked", NULL), LATHE_OK);
        pack->unpack(&back, b->in_memory[i].data, b->fit.pack_param[i]);
        if (!lt_tensor_equal(&back, t)) {
            explain(b, "unpacking does not give the original");
        }
    }
}

static void place_inputs(bench *b, placement where)
{
    for (size_t i = 0; i < b->problem.n_in; i++) {
        const lathe_tensor *t = &b->c->in_data[i];
        memcpy(b->in_dims[i], t->dims, sizeof t->dims);
        b->in_buffers[i] = (lathe_buffer){ .rank = t->rank, .dims = b->in_dims[i] };
        if (b->in[i].flags & LATHE_OPERAND_ABSENT) {
            continue;
        }
        if (b->fit.pack[i]) {
            place_pack(b, i);
        } else if (lathe_dtype_bits(t->dtype) < 8) { /* several to a byte: as they lie, whatever the format */
            size_t bytes;
            assert_true(lt_dtype_bytes(t->dtype, lt_tensor_count(t), &bytes));
            b->in_memory[i] = guard(bytes, 1, where, 0);
            memcpy(b->in_memory[i].data, t->data, bytes);
        } else {
            rows r = rows_of(&b->fit.in[i], t->dims, b->gap[0][i]);
            b->in_memory[i] = guard(r.span, element_size(t->dtype), where, 0);
            b->in_buffers[i].pitch = r.pitch;
            lay_out(t, &b->fit.in[i], &r, b->in_memory[i].data);
        }
        b->in_buffers[i].data = b->in_memory[i].data;
    }
}

/* in_place: output 0 takes over the memory of an input. */
static void place_outputs(bench *b, placement where, bool in_place)
{
    for (size_t o = 0; o < b->problem.n_out; o++) {
        memcpy(b->out_dims[o], b->c->out_dims[o], sizeof b->out_dims[o]);
        for (int d = 0; d < b->out[o].rank && (b->out[o].flags & LATHE_OPERAND_BOUNDED); d++) {
            b->out_dims[o][d] = b->out[o].dims[d].max; /* the step finds the real ones */
        }
        assert_true(lt_format_bytes(&b->fit.out[o], b->out[o].rank, b->out_dims[o], &b->out_bytes[o]));
        b->out_buffers[o] = (lathe_buffer){ .rank = b->out[o].rank, .dims = b->out_dims[o] };
        if (o == 0 && in_place) {
            b->out_buffers[0].data = b->in_buffers[b->fit.in_place[0]].data;
            continue;
        }
        rows r = rows_of(&b->fit.out[o], b->out_dims[o], b->gap[1][o]);
        b->out_memory[o] = guard(r.span, element_size(b->out[o].dtype), where, 0xff);
        b->out_buffers[o].data = b->out_memory[o].data;
        b->out_buffers[o].pitch = r.pitch;
    }
}

static void run_gang(void *user, const lathe_gang *gang)
{
    bench *b = user;
    lathe_call call = { .struct_size = sizeof call,
                        .problem = &b->problem,
                        .config = b->config,
                        .in = b->in_buffers,
                        .out = b->out_buffers,
                        .scratch = b->scratch.data,
                        .state = b->state };
    lathe_status status = b->tactic->run(gang, &call, NULL);
    if (status != LATHE_OK) {
        b->status = status;
    }
}

static void run_once(bench *b, lt_pool *pool, int threads)
{
    lathe_buffer in[TC_OPERANDS], out[TC_OPERANDS]; /* scratch is sized before any operand has memory */
    memcpy(in, b->in_buffers, sizeof in);
    memcpy(out, b->out_buffers, sizeof out);
    for (size_t i = 0; i < TC_OPERANDS; i++) {
        in[i].data = out[i].data = NULL;
    }
    size_t bytes = b->tactic->scratch_bytes ? b->tactic->scratch_bytes(&b->problem, b->config, in, out, threads) : 0;
    b->scratch = guard((bytes + 63) / 64 * 64, 64, AT_END, 0xff);
    b->status = b->tactic->prepare ?
                    b->tactic->prepare(&b->problem, b->config, in, out, threads, &b->state, NULL) :
                    LATHE_OK;
    if (b->status != LATHE_OK) {
        explain(b, "cannot be prepared");
    }
    lt_pool_run(pool, threads, run_gang, b);
    unguard(&b->scratch);
    if (b->status != LATHE_OK) {
        explain(b, lathe_status_name(b->status));
    }
    for (size_t o = 0; o < b->problem.n_out; o++) {
        if (memcmp(b->out_dims[o], b->c->out_dims[o], (size_t)b->out[o].rank * sizeof b->out_dims[o][0]) != 0) {
            explain(b, "an output has other extents than the reference");
        }
        assert_true(lt_format_bytes(&b->fit.out[o], b->out[o].rank, b->out_dims[o], &b->out_bytes[o]));
    }
}

static void compare(bench *b, tc_value *const *want)
{
    char text[256];
    for (size_t o = 0; o < b->problem.n_out; o++) {
        int64_t coords[LATHE_MAX_RANK] = { 0 }, at = 0, count = 1;
        (void)lt_dims_count(b->out_dims[o], b->out[o].rank, &count);
        for (bool more = count > 0; more; more = lt_next_coords(b->out[o].rank, b->out_dims[o], coords), at++) {
            int64_t index = lt_format_offset(&b->fit.out[o], b->out_dims[o], coords);
            if (!tc_meets(b->out[o].dtype, b->out_buffers[o].data, index, &want[o][at])) {
                snprintf(text, sizeof text, "output %zu, element %lld: %.9g, not %.9g (within %.3g)", o, (long long)at,
                         lt_load_f64(b->out[o].dtype, b->out_buffers[o].data, index), want[o][at].f, want[o][at].err);
                explain(b, text);
            }
        }
    }
}

static void release(bench *b)
{
    for (size_t i = 0; i < TC_OPERANDS; i++) {
        unguard(&b->in_memory[i]);
        unguard(&b->out_memory[i]);
    }
}

/* The first run's outputs, for the others to be equal to. */
static void remember(bench *b, char **first)
{
    for (size_t o = 0; o < b->problem.n_out; o++) {
        first[o] = lt_arena_alloc(&b->c->arena, b->out_bytes[o] + 1, 64);
        assert_non_null(first[o]);
        memcpy(first[o], b->out_buffers[o].data, b->out_bytes[o]);
    }
}

static void same_bits(bench *b, char *const *first, const char *what)
{
    for (size_t o = 0; o < b->problem.n_out; o++) {
        rows r = rows_of(&b->fit.out[o], b->out_dims[o], b->gap[1][o]);
        const unsigned char *got = b->out_buffers[o].data;
        for (int64_t i = 0; r.span > 0 && i < r.count; i++, got += r.pitch) {
            if (memcmp(first[o] + i * r.bytes, got, (size_t)r.bytes) != 0) {
                explain(b, what);
            }
            for (int64_t k = r.bytes; k < r.pitch && i + 1 < r.count; k++) {
                if (got[k] != 0xff) {
                    explain(b, "writes between rows");
                }
            }
        }
    }
}

static void settle(bench *b)
{
    tc_case *c = b->c;
    b->problem = c->problem;
    memcpy(b->in, c->in, sizeof b->in);
    memcpy(b->out, c->out, sizeof b->out);
    for (size_t i = 0; i < c->problem.n_in; i++) {
        if (!b->fit.pack[i] && !(b->in[i].flags & LATHE_OPERAND_ABSENT)) {
            b->in[i].format = b->fit.in[i];
        }
    }
    for (size_t i = 0; i < c->problem.n_out; i++) {
        b->out[i].format = b->fit.out[i];
    }
    b->problem.in = b->in;
    b->problem.out = b->out;
}

/* Printing and parsing the settled problem must give a problem that the tactic still takes. */
static void survives_text(bench *b)
{
    lt_buf text;
    lathe_problem *parsed;
    lathe_fit fit;
    lt_buf_init(&text, NULL);
    if (lt_problem_verify(&b->problem, NULL) != LATHE_OK) {
        explain(b, "the problem is broken");
    }
    assert_int_equal(lt_problem_print(&b->problem, &text, NULL), LATHE_OK);
    if (lt_problem_parse(&b->c->arena, lt_buf_str(&text), text.length, &parsed, NULL) != LATHE_OK) {
        explain(b, "the problem's text cannot be read");
    } else if (!lt_tactic_ask(b->tactic, b->config, parsed, features(), &b->c->arena, &fit)) {
        explain(b, "fits before the choice, but not after");
    }
    lt_buf_free(&text);
}

/* Draws operands whose rows lie apart from those that the tactic offers; false when it offers none. */
static bool draw_rows(bench *b, const lathe_fit *offered)
{
    tc_random *r = &b->c->random;
    bool any = false;
    for (size_t i = 0; i < b->problem.n_in + b->problem.n_out; i++) {
        bool output = i >= b->problem.n_in;
        size_t k = output ? i - b->problem.n_in : i;
        lathe_operand *o = output ? &b->out[k] : &b->in[k];
        int cut = offered->any_cut && o->rank > 2 ? (int)tc_range(r, 1, o->rank - 1) : o->rank - 1;
        b->gap[output][k] = 0;
        o->format.strided = 0;
        if (!(o->flags & LATHE_OPERAND_ABSENT) && o->rank > 1 && lt_fit_takes_rows(offered, output, k, o->rank, cut) && !tc_chance(r, 3)) {
            o->format.strided = cut;
            b->gap[output][k] = tc_range(r, 0, 5) * (int64_t)element_size(o->dtype);
            any = true;
        }
    }
    return any;
}

/* The same bits with rows apart, and nothing between them touched. */
static void check_rows(bench *b, lt_pool *pool, char *const *first)
{
    lathe_fit offered = b->fit;
    for (int run = 0; run < 4; run++) {
        if (!draw_rows(b, &offered)) {
            continue;
        }
        tallies[tally_of(b->tactic)].rows++;
        survives_text(b);
        if (!lt_tactic_ask(b->tactic, b->config, &b->problem, features(), &b->c->arena, &b->fit)) {
            explain(b, "offers rows apart and then refuses them");
        }
        for (size_t i = 0; i < b->problem.n_in + b->problem.n_out; i++) {
            bool output = i >= b->problem.n_in;
            size_t k = output ? i - b->problem.n_in : i;
            const lathe_operand *o = output ? &b->out[k] : &b->in[k];
            bool packed = !output && b->fit.pack[k];
            if (!packed && !(o->flags & LATHE_OPERAND_ABSENT) && !lt_format_same(&o->format, output ? &b->fit.out[k] : &b->fit.in[k])) {
                explain(b, "wants other formats when asked again");
            }
        }
        place_inputs(b, (placement)(run % PLACEMENTS));
        place_outputs(b, (placement)(run % PLACEMENTS), false);
        run_once(b, pool, run % 2 == 0 ? 1 : 3);
        same_bits(b, first, "other bits with rows apart");
        release(b);
    }
}

void tc_check_tactic(tc_case *c, const lathe_tactic *tactic, uint32_t config)
{
    bench *b = calloc(1, sizeof *b);
    tc_value *want[TC_OPERANDS];
    char *first[TC_OPERANDS];
    lt_pool *pool;
    assert_non_null(b);
    b->c = c;
    b->tactic = tactic;
    b->config = config;
    size_t tally = tally_of(tactic);
    if (!lt_tactic_ask(tactic, config, &c->problem, features(), &c->arena, &b->fit)) {
        assert_true(b->fit.why[0] != '\0');
        memcpy(tallies[tally].why[config], b->fit.why, LATHE_WHY_MAX);
        free(b);
        return;
    }
    tallies[tally].fitted[config]++;
    settle(b);
    survives_text(b);
    if (!(b->fit.cost > 0 && b->fit.cost < 1e15)) {
        explain(b, "has no cost");
    }
    assert_true(tc_oracle(c, want));
    assert_int_equal(lt_pool_create(3, NULL, &pool, NULL), LATHE_OK);
    for (int run = 0; run < 2 * PLACEMENTS + 1; run++) {
        bool in_place = run == 2 * PLACEMENTS;
        placement where = in_place ? AT_END : (placement)(run / 2);
        if (in_place && b->fit.in_place[0] < 0) {
            break;
        }
        place_inputs(b, where);
        place_outputs(b, where, in_place);
        run_once(b, pool, run % 2 == 0 ? 1 : 3);
        if (run == 0 || is_external(tactic)) { /* bits of a library may depend on addresses */
            compare(b, want);
            remember(b, first);
        } else {
            same_bits(b, first,
                      in_place  ? "other bits when an input is taken over"
                      : run % 2 ? "other bits on three threads"
                                : "other bits at another place");
        }
        release(b);
    }
    check_rows(b, pool, first);
    lt_pool_destroy(pool);
    if (tactic->forget) {
        tactic->forget(b->state);
    }
    free(b);
}

void tc_check_all(tc_case *c)
{
    const lathe_tactic *t;
    for (size_t i = 0; (t = lt_tactic_at(i)); i++) {
        for (uint32_t config = 0; can_run(t) && strcmp(t->ops, "*") != 0 &&
                                  lt_tactic_lists(t, c->problem.op, c->problem.domain) && config < t->configs;
             config++) {
            tc_check_tactic(c, t, config);
        }
    }
}
