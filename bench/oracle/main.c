/*
 * main.c - oracle: every distinct convolution and matrix product of models, by Lathe's own best tactic against the best of the other sources, in turn on one thread.
 * It says where own kernels are behind on this machine; nothing is asserted.
 *
 *     oracle MODEL.onnx... [--rounds N]
 *
 * Extents are those that plans are tuned for. Where the other source does not take a step's epilogue, both sides do the root alone ("root only").
 */
#include "backend/backend.h"
#include "engine/engine.h"
#include <lathe/builder.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_OPERANDS = 32 };

/* One tactic on one problem, with memory. */
typedef struct job {
    const lathe_tactic *tactic;
    uint32_t config;
    lathe_fit fit;
    lathe_problem problem;
    lathe_operand in[MOST_OPERANDS], out[MOST_OPERANDS];
    lathe_buffer bi[MOST_OPERANDS], bo[MOST_OPERANDS];
    int64_t di[MOST_OPERANDS][LATHE_MAX_RANK], dout[MOST_OPERANDS][LATHE_MAX_RANK];
    void *owned[2 * MOST_OPERANDS + 1];
    int n_owned;
    void *scratch, *state;
    double best; /* milliseconds of one run */
} job;

typedef struct tally {
    int shapes, behind, root_only;
    double log_ratio, own_ms, their_ms;
} tally;

static void alone(const lathe_gang *gang)
{
    (void)gang;
}

static void *numbers(job *j, size_t bytes)
{
    size_t room = (bytes + 4096 + 63) / 64 * 64;
    float *x = aligned_alloc(64, room);
    for (size_t i = 0; x && i < room / sizeof *x; i++) {
        x[i] = (float)(i * 37 % 101) / 101.0f - 0.5f;
    }
    if (x) {
        j->owned[j->n_owned++] = x;
    }
    return x;
}

static void drop(job *j)
{
    if (j->tactic && j->tactic->forget) {
        j->tactic->forget(j->state);
    }
    for (int i = 0; i < j->n_owned; i++) {
        free(j->owned[i]);
    }
    free(j);
}

static void extents(const lathe_operand *o, int64_t *dims)
{
    for (int i = 0; i < o->rank; i++) {
        dims[i] = o->dims[i].opt;
    }
}

static bool place_input(job *j, size_t i)
{
    const lathe_operand *o = &j->in[i];
    lathe_tensor t = { .struct_size = sizeof t, .dtype = o->dtype, .rank = o->rank };
    size_t bytes;
    extents(o, j->di[i]);
    j->bi[i] = (lathe_buffer){ .rank = o->rank, .dims = j->di[i] };
    if (o->flags & LATHE_OPERAND_ABSENT) {
        return true;
    }
    memcpy(t.dims, j->di[i], sizeof t.dims);
    if (!lt_format_bytes(&o->format, o->rank, j->di[i], &bytes) || !(j->bi[i].data = numbers(j, bytes))) {
        return false;
    }
    if (j->fit.pack[i]) {
        t.data = j->bi[i].data;
        if (!lt_pack_bytes(j->fit.pack[i], &t, j->fit.pack_param[i], &bytes) || !(j->bi[i].data = numbers(j, bytes))) {
            return false;
        }
        lt_pack_find(j->fit.pack[i])->pack(j->bi[i].data, &t, j->fit.pack_param[i]);
    }
    return true;
}

static bool place(job *j)
{
    size_t bytes;
    for (size_t i = 0; i < j->problem.n_in; i++) {
        if (!place_input(j, i)) {
            return false;
        }
    }
    for (size_t i = 0; i < j->problem.n_out; i++) {
        extents(&j->out[i], j->dout[i]);
        j->bo[i] = (lathe_buffer){ .rank = j->out[i].rank, .dims = j->dout[i] };
        int over = i == 0 ? j->fit.in_place[0] : -1; /* as a plan would */
        if (!lt_format_bytes(&j->out[i].format, j->out[i].rank, j->dout[i], &bytes)) {
            return false;
        }
        j->bo[i].data = over >= 0 ? j->bi[over].data : numbers(j, bytes);
    }
    size_t scratch =
        j->tactic->scratch_bytes ? j->tactic->scratch_bytes(&j->problem, j->config, j->bi, j->bo, 1) : 0;
    j->scratch = numbers(j, scratch + 64);
    return j->scratch && (!j->tactic->prepare || j->tactic->prepare(&j->problem, j->config, j->bi, j->bo, 1, &j->state,
                                                                    NULL) == LATHE_OK);
}

/* NULL: does not fit. */
static job *make(lt_arena *arena, const lathe_tactic *tactic, uint32_t config, const lathe_problem *p)
{
    job *j = calloc(1, sizeof *j);
    if (!j || p->n_in > MOST_OPERANDS || p->n_out > MOST_OPERANDS ||
        !lt_tactic_ask(tactic, config, p, lt_cpu_features(), arena, &j->fit)) {
        free(j);
        return NULL;
    }
    j->tactic = tactic;
    j->config = config;
    j->problem = *p;
    memcpy(j->in, p->in, p->n_in * sizeof *p->in);
    memcpy(j->out, p->out, p->n_out * sizeof *p->out);
    j->problem.in = j->in;
    j->problem.out = j->out;
    for (size_t i = 0; i < p->n_in; i++) {
        j->in[i].format = j->fit.pack[i] ? j->in[i].format : j->fit.in[i];
    }
    for (size_t i = 0; i < p->n_out; i++) {
        j->out[i].format = j->fit.out[i];
    }
    j->best = 1e30;
    if (!place(j)) {
        drop(j);
        return NULL;
    }
    return j;
}

/* Runs for about a millisecond or twice, whatever is longer; keeps the best time of one run. */
static void time_once(job *j)
{
    const lathe_gang gang = { .index = 0, .count = 1, .barrier = alone };
    lathe_call call = { .struct_size = sizeof call, .problem = &j->problem, .config = j->config, .in = j->bi, .out = j->bo, .scratch = j->scratch, .state = j->state };
    int64_t begin = lt_now_ns();
    for (int i = 0; i < 2 || (lt_now_ns() - begin < 1000000 && i < 1000); i++) {
        int64_t start = lt_now_ns();
        if (j->tactic->run(&gang, &call, NULL) != LATHE_OK) {
            j->best = 1e30;
            return;
        }
        double took = (double)(lt_now_ns() - start) / 1e6;
        j->best = took < j->best ? took : j->best;
    }
}

/* The best of a side after a first look. */
static job *best_of(lt_arena *arena, const lathe_problem *p, bool external)
{
    const lathe_tactic *t;
    job *best = NULL;
    for (size_t i = 0; (t = lt_tactic_at(i)); i++) {
        if (t->device != LATHE_SPACE_HOST || strcmp(t->ops, "*") == 0 || (strcmp(lt_tactic_source(t), "lathe") != 0) != external) {
            continue;
        }
        for (uint32_t config = 0; config < t->configs; config++) {
            job *j = make(arena, t, config, p);
            for (int round = 0; j && round < 6; round++) {
                time_once(j);
            }
            job *loser = j && (!best || j->best < best->best) ? best : j;
            best = loser == j ? best : j;
            if (loser) {
                drop(loser);
            }
        }
    }
    return best;
}

/* The root by itself, plain operands in the root's order. */
static bool strip(lt_arena *arena, lathe_problem *p)
{
    lathe_operand *in = LT_ARENA_ARRAY(arena, lathe_operand, p->n_root_in + 1);
    uint16_t *root = LT_ARENA_ARRAY(arena, uint16_t, p->n_root_in + 1);
    for (size_t i = 0; in && root && i < p->n_root_in; i++) {
        if (p->root_in[i] == 0xffff) {
            return false;
        }
        in[i] = p->in[p->root_in[i]];
        root[i] = (uint16_t)i;
    }
    p->in = in;
    p->root_in = root;
    p->n_in = p->n_root_in;
    p->instrs = NULL;
    p->n_instrs = 0;
    p->space_rank = 0;
    return in && root && p->n_out == 1;
}

/* Fixed extents and plain formats, as tactics are asked before the choice. */
static void settle(lathe_operand *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        for (int d = 0; d < list[i].rank; d++) {
            int64_t opt = list[i].dims[d].opt;
            list[i].dims[d] = (lathe_extent){ .min = opt, .opt = opt, .max = opt, .multiple = 1 };
        }
        list[i].format = lt_format_plain(list[i].dtype, list[i].rank, LATHE_SPACE_HOST);
    }
}

static void print_shape(const lathe_problem *p)
{
    char text[128] = "";
    for (size_t i = 0; i < 2 && i < p->n_root_in; i++) {
        const lathe_operand *o = &p->in[p->root_in[i]];
        for (int d = 0; d < o->rank; d++) {
            size_t at = strlen(text);
            (void)snprintf(text + at, sizeof text - at, "%s%lld", d ? "x" : i ? " * " : "", (long long)o->dims[d].opt);
        }
    }
    const lathe_attr *strides = lt_attr_find(p->attrs, p->n_attrs, "strides");
    if (strides && strides->count > 0 && strides->ints[0] != 1) {
        size_t at = strlen(text);
        (void)snprintf(text + at, sizeof text - at, " /%lld", (long long)strides->ints[0]);
    }
    printf("%-6s %-36s", p->op, text);
}

static void compare(lathe_problem *p, int rounds, tally *sum)
{
    lt_arena arena;
    lt_arena_init(&arena, NULL);
    settle((lathe_operand *)p->in, p->n_in);
    settle((lathe_operand *)p->out, p->n_out);
    for (int i = 0; i < p->space_rank; i++) {
        p->space[i].min = p->space[i].max = p->space[i].opt;
        p->space[i].multiple = 1;
    }
    bool stripped = false;
    job *theirs = best_of(&arena, p, true);
    if (!theirs && p->n_instrs > 0 && strip(&arena, p)) {
        stripped = true;
        theirs = best_of(&arena, p, true);
    }
    job *own = theirs ? best_of(&arena, p, false) : NULL;
    for (int round = 0; own && round < rounds; round++) {
        time_once(round % 2 ? own : theirs);
        time_once(round % 2 ? theirs : own);
    }
    if (own) {
        double ratio = own->best / theirs->best;
        print_shape(p);
        printf(" %9.4f %9.4f  %5.2f%s  %s/%u, %s/%u%s\n", own->best, theirs->best, ratio, ratio > 1.1 ? " behind" : "       ", own->tactic->name, own->config,
               theirs->tactic->name, theirs->config, stripped ? ", root only" : "");
        sum->shapes++;
        sum->behind += ratio > 1.1;
        sum->root_only += stripped;
        sum->log_ratio += log(ratio);
        sum->own_ms += own->best;
        sum->their_ms += theirs->best;
        drop(own);
    }
    if (theirs) {
        drop(theirs);
    }
    (void)fflush(stdout);
    lt_arena_destroy(&arena);
}

static bool seen_before(const lt_plan *plan, uint32_t step)
{
    for (uint32_t i = 0; i < step; i++) {
        if (strcmp(plan->programs[0].steps[i].problem, plan->programs[0].steps[step].problem) == 0) {
            return true;
        }
    }
    return false;
}

static lathe_status one_model(const char *path, int rounds, tally *sum, lathe_diag *diag)
{
    lathe_network *net;
    lathe_plan *built;
    lt_plan *plan;
    lt_arena arena;
    size_t size;
    lathe_build_options options = { .struct_size = sizeof options, .threads = 1 };
    LT_TRY(lathe_network_from_onnx_file(path, NULL, &net, diag));
    lathe_status status = lathe_build(net, &options, &built, diag);
    lathe_network_destroy(net);
    LT_TRY(status);
    const void *data = lathe_plan_data(built, &size);
    lt_arena_init(&arena, NULL);
    status = lt_plan_decode(data, size, 0, NULL, NULL, &arena, &plan, diag);
    printf("%s\n%-6s %-36s %9s %9s  ratio\n", path, "op", "operands", "own ms", "theirs");
    for (uint32_t i = 0; status == LATHE_OK && i < plan->programs[0].n_steps; i++) {
        const char *text = plan->programs[0].steps[i].problem;
        lathe_problem *p;
        bool wanted = strncmp(text, "\"Conv\"", 6) == 0 || strncmp(text, "\"MatMul\"", 8) == 0 || strncmp(text, "\"Gemm\"", 6) == 0;
        if (wanted && !seen_before(plan, i)) {
            status = lt_problem_parse(&arena, text, strlen(text), &p, diag);
            if (status == LATHE_OK) {
                compare(p, rounds, sum);
            }
        }
    }
    lt_arena_destroy(&arena);
    lathe_plan_destroy(built);
    return status;
}

int main(int argc, char **argv)
{
    int rounds = 10;
    tally sum = { 0 };
    lt_sources_environment();
    lathe_diag *diag = lathe_diag_create(NULL);
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--rounds") == 0 && i + 1 < argc) {
            rounds = atoi(argv[++i]);
        } else if (one_model(argv[i], rounds, &sum, diag) != LATHE_OK) {
            lathe_diag_print(diag, stderr);
            return 3;
        }
    }
    lathe_diag_destroy(diag);
    printf("%d shapes, %d of them root only; own kernels more than 10 %% behind at %d; geometric mean of own / theirs %.3f; sums %.3f and %.3f ms\n", sum.shapes,
           sum.root_only, sum.behind, sum.shapes ? exp(sum.log_ratio / sum.shapes) : 1, sum.own_ms, sum.their_ms);
    return 0;
}
