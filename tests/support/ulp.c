/*
 * ulp.c - measures functions against the truth (ulp.h).
 */
#include "support/ulp.h"

#include "graph/graph.h"
#include "rt/rt_internal.h"
#include <lathe/builder.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 1 << 16 };

/* ---- The truth ---- */

static double sigmoid_of(double x)
{
    return x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x));
}

static double softplus_of(double x)
{
    return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}

/* x times a factor that goes to 0 where x goes to minus infinity: ONNX's formula gives NaN there. */
static double times(double x, double factor)
{
    return x * factor;
}

#define TRUTH(name, formula)                    \
    static double name(double x, double w)      \
    {                                           \
        (void)w;                                \
        return formula;                         \
    }
TRUTH(t_exp, exp(x))
TRUTH(t_log, log(x))
TRUTH(t_sqrt, sqrt(x))
TRUTH(t_reciprocal, 1 / x)
TRUTH(t_tanh, tanh(x))
TRUTH(t_sigmoid, sigmoid_of(x))
TRUTH(t_erf, erf(x))
TRUTH(t_gelu, times(x, 0.5 * erfc(-x * 0.70710678118654752440)))
TRUTH(t_gelu_tanh, times(x, sigmoid_of(2 * 0.79788456080286535588 * (x + 0.044715 * x * x * x))))
TRUTH(t_sin, sin(x))
TRUTH(t_cos, cos(x))
TRUTH(t_tan, tan(x))
TRUTH(t_asin, asin(x))
TRUTH(t_acos, acos(x))
TRUTH(t_atan, atan(x))
TRUTH(t_sinh, sinh(x))
TRUTH(t_cosh, cosh(x))
TRUTH(t_asinh, asinh(x))
TRUTH(t_acosh, acosh(x))
TRUTH(t_atanh, atanh(x))
TRUTH(t_softplus, softplus_of(x))
TRUTH(t_softsign, isinf(x) ? NAN : x / (1 + fabs(x)))
TRUTH(t_elu, x < 0 ? expm1(x) : x)
TRUTH(t_elu_more, x < 0 ? (double)1.7f * expm1(x) : x)
TRUTH(t_selu, (double)1.05070102214813232421875f * (x < 0 ? (double)1.67326319217681884765625f * expm1(x) : x))
TRUTH(t_celu, x < 0 ? 2 * expm1(x / 2) : x)
TRUTH(t_celu_odd, x < 0 ? (double)1.3f * expm1(x / (double)1.3f) : x)
TRUTH(t_relu, isnan(x) || x >= 0 ? x : 0) /* the larger of x and 0: -0 as it is */
TRUTH(t_leaky_relu, x < 0 ? (double)0.01f * x : x)
TRUTH(t_hard_sigmoid, isnan(x) ? x : fmax(0, fmin(1, (double)0.2f * x + 0.5)))
TRUTH(t_mish, times(x, tanh(softplus_of(x))))
TRUTH(t_hard_swish, x <= -3 ? times(x, 0) : x >= 3 ? x : x * (x + 3) / 6)
TRUTH(t_swish, times(x, sigmoid_of(x)))
TRUTH(t_swish_more, times(x, sigmoid_of((double)1.7f * x)))
TRUTH(t_round, rint(x))
TRUTH(t_floor, floor(x))
TRUTH(t_ceil, ceil(x))
TRUTH(t_sign, isnan(x) ? x : (double)((x > 0) - (x < 0)))
TRUTH(t_abs, fabs(x))
TRUTH(t_neg, -x)
static double t_pow(double x, double w)
{
    return pow(x, w);
}

const ulp_function ulp_functions[] = {
    { "Exp", "Exp (x)", t_exp, false, 2 },
    { "Log", "Log (x)", t_log, false, 2 },
    { "Sqrt", "Sqrt (x)", t_sqrt, false, 0.51 },
    { "Reciprocal", "Reciprocal (x)", t_reciprocal, false, 0.51 },
    { "Tanh", "Tanh (x)", t_tanh, false, 2 },
    { "Sigmoid", "Sigmoid (x)", t_sigmoid, false, 2 },
    { "Erf", "Erf (x)", t_erf, false, 2 },
    { "Gelu", "Gelu (x)", t_gelu, false, 2 },
    { "Gelu tanh", "Gelu <approximate = \"tanh\"> (x)", t_gelu_tanh, false, 2 },
    { "Swish", "Swish (x)", t_swish, false, 2 },
    { "Swish 1.7", "Swish <alpha = 1.7> (x)", t_swish_more, false, 2 },
    { "Mish", "Mish (x)", t_mish, false, 2 },
    { "Softplus", "Softplus (x)", t_softplus, false, 2 },
    { "Softsign", "Softsign (x)", t_softsign, false, 2 },
    { "Elu", "Elu (x)", t_elu, false, 2 },
    { "Elu 1.7", "Elu <alpha = 1.7> (x)", t_elu_more, false, 2 },
    { "Selu", "Selu (x)", t_selu, false, 2 },
    { "Celu 1.3", "Celu <alpha = 1.3> (x)", t_celu_odd, false, 2 },
    { "Celu", "Celu <alpha = 2.0> (x)", t_celu, false, 2 },
    { "Relu", "Relu (x)", t_relu, false, 0 },
    { "LeakyRelu", "LeakyRelu (x)", t_leaky_relu, false, 0.51 },
    { "HardSigmoid", "HardSigmoid (x)", t_hard_sigmoid, false, 2 },
    { "HardSwish", "HardSwish (x)", t_hard_swish, false, 2 },
    { "Sin", "Sin (x)", t_sin, false, 2 },
    { "Cos", "Cos (x)", t_cos, false, 2 },
    { "Tan", "Tan (x)", t_tan, false, 2 },
    { "Asin", "Asin (x)", t_asin, false, 2 },
    { "Acos", "Acos (x)", t_acos, false, 2 },
    { "Atan", "Atan (x)", t_atan, false, 2 },
    { "Sinh", "Sinh (x)", t_sinh, false, 2 },
    { "Cosh", "Cosh (x)", t_cosh, false, 2 },
    { "Asinh", "Asinh (x)", t_asinh, false, 2 },
    { "Acosh", "Acosh (x)", t_acosh, false, 2 },
    { "Atanh", "Atanh (x)", t_atanh, false, 2 },
    { "Round", "Round (x)", t_round, false, 0 },
    { "Floor", "Floor (x)", t_floor, false, 0 },
    { "Ceil", "Ceil (x)", t_ceil, false, 0 },
    { "Sign", "Sign (x)", t_sign, false, 0 },
    { "Abs", "Abs (x)", t_abs, false, 0 },
    { "Neg", "Neg (x)", t_neg, false, 0 },
    { "Pow", "Pow (x, w)", t_pow, true, 4 },
};
const int ulp_function_count = (int)LT_COUNT(ulp_functions);

/* ---- One result ---- */

static void mark_wrong(ulp_result *r, float x, float w, float got)
{
    if (r->wrong++ == 0) {
        r->wrong_at[0] = x;
        r->wrong_at[1] = w;
        r->wrong_got = got;
    }
}

/* Two to the power of the exponent of t's last place, which subnormal numbers share with the least normal ones; inverted. */
static double places(double t)
{
    uint64_t bits;
    memcpy(&bits, &t, sizeof bits);
    int exponent = (int)(bits >> 52 & 2047) - 1023;
    bits = (uint64_t)(23 - (exponent < -126 ? -126 : exponent > 127 ? 127 : exponent) + 1023) << 52;
    memcpy(&t, &bits, sizeof t);
    return t;
}

/* Infinity counts as 2^128, so that a result that just overflows is a little wrong and not infinitely so. */
static void judge(ulp_result *r, float x, float w, double truth, float got)
{
    const double beyond = 340282366920938463463374607431768211456.0;
    if (isnan(truth) || isnan(got)) {
        if (isnan(truth) != isnan(got)) {
            mark_wrong(r, x, w, got);
        }
        return;
    }
    double t = fabs(truth) > beyond ? copysign(beyond, truth) : truth, g = isinf(got) ? copysign(beyond, (double)got) : (double)got;
    if ((truth == 0 && got != 0) || (got == 0 && !signbit(truth) != !signbit(got)) || (isinf(truth) && g != t)) {
        mark_wrong(r, x, w, got);
        return;
    }
    double error = fabs(g - t) * places(t);
    if (error > r->worst) {
        r->worst = error;
        r->at[0] = x;
        r->at[1] = w;
        r->got = got;
    }
}

/* ---- Paths ---- */

typedef struct path {
    lt_graph *graph; /* the reference; or */
    lathe_plan *plan;
    lathe_engine *engine;
    lathe_context *context;
    float x[BLOCK], w[BLOCK], y[BLOCK];
} path;

static void must(lathe_status status, lathe_diag *diag)
{
    if (status != LATHE_OK) {
        fprintf(stderr, "ulp: %s\n", lathe_status_name(status));
        lathe_diag_print(diag, stderr);
        exit(3);
    }
}

static lathe_tensor view(float *data)
{
    return (lathe_tensor){ .struct_size = sizeof(lathe_tensor), .dtype = LATHE_DTYPE_F32, .rank = 1, .dims = { BLOCK }, .data = data, .bytes = BLOCK * sizeof *data };
}

/* false: there is no such path on this machine, or it is the reference. */
static bool open_path(path *p, const ulp_function *f, const char *name, lathe_diag *diag)
{
    char text[300];
    int n = snprintf(text, sizeof text, "f (f32[%d] x%s) => (f32[%d] y) { y = %s }", BLOCK, f->two ? ", f32[65536] w" : "", BLOCK, f->node);
    if (strcmp(name, "reference") == 0) {
        must(lt_graph_parse(text, (size_t)n, "f", NULL, NULL, NULL, &p->graph, diag), diag);
        return true;
    }
    uint64_t needs = lt_cpu_level(name);
    if ((needs & ~lt_cpu_features() & ~((uint64_t)1 << 63)) != 0) {
        return false;
    }
    lathe_network *network;
    lathe_build_options options = { .struct_size = sizeof options, .threads = 1, .max_isa = name };
    lathe_step_profile step = { .struct_size = sizeof step };
    must(lathe_network_from_text(text, (size_t)n, NULL, &network, diag), diag);
    must(lathe_build(network, &options, &p->plan, diag), diag);
    lathe_network_destroy(network);
    size_t size;
    const void *data = lathe_plan_data(p->plan, &size);
    must(lathe_engine_load_memory(NULL, data, size, NULL, &p->engine, diag), diag);
    must(lathe_context_create(p->engine, NULL, &p->context, diag), diag);
    lathe_tensor x = view(p->x), w = view(p->w);
    must(lathe_context_set_input(p->context, "x", &x, diag), diag);
    if (f->two) {
        must(lathe_context_set_input(p->context, "w", &w, diag), diag);
    }
    must(lathe_context_set_output(p->context, "y", p->y, sizeof p->y, diag), diag);
    must(lathe_context_run(p->context, diag), diag);
    must(lathe_context_step(p->context, 0, &step, diag), diag);
    return strncmp(step.tactic, "reference", 9) != 0;
}

static void close_path(path *p)
{
    lt_graph_destroy(p->graph);
    lathe_context_destroy(p->context);
    lathe_engine_destroy(p->engine);
    lathe_plan_destroy(p->plan);
}

static void run_path(path *p, bool two, lathe_diag *diag)
{
    if (p->graph == NULL) {
        must(lathe_context_run(p->context, diag), diag);
        return;
    }
    lt_any in[2] = { { .cls = LT_TENSOR, .tensor = view(p->x) }, { .cls = LT_TENSOR, .tensor = view(p->w) } };
    const lt_any *list[] = { &in[0], &in[1] };
    lt_run_options options = { .seed = 1 };
    lt_run *run;
    must(lt_graph_run(p->graph, list, two ? 2 : 1, &options, &run, diag), diag);
    memcpy(p->y, lt_run_output(run, 0)->tensor.data, sizeof p->y);
    lt_run_destroy(run);
}

/* ---- Points ---- */

static float from_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static uint32_t scramble(uint64_t n)
{
    n = (n ^ n >> 31) * 0x9e3779b97f4a7c15u;
    n = (n ^ n >> 29) * 0xbf58476d1ce4e5b9u;
    return (uint32_t)(n >> 32);
}

/* Point i of so many: one from each stretch of equal length of all f32, the bits counted upwards. Pairs are random; half of them near what gives a number. */
static void choose_points(path *p, uint64_t first, uint64_t points, bool two)
{
    uint64_t stretch = ((uint64_t)1 << 32) / points;
    for (uint64_t k = 0; k < BLOCK; k++) {
        uint64_t i = first + k;
        uint32_t random = scramble(i), other = scramble(~i);
        p->x[k] = from_bits((uint32_t)(i * stretch + (stretch > 1 ? random % stretch : 0)));
        p->w[k] = from_bits(other);
        if (two && (i & 1) != 0) {
            p->x[k] = from_bits((random & 0x03ffffffu) + 0x3e000000u);
            p->w[k] = (float)(int32_t)other * 0x1p-25f;
        }
    }
}

/* Ends of ranges, which a sample would miss: they overwrite the first points. */
static void choose_ends(path *p)
{
    static const uint32_t ends[] = { 0x00000000, 0x00000001, 0x007fffff, 0x00800000, 0x3f000000, 0x3f800000, 0x3f800001, 0x3f7fffff, 0x40000000, 0x40400000,
                                     0x403fffff, 0x42b17217, 0x42b17218, 0x42aeac4f, 0x42aeac50, 0x42d00000, 0x7f7fffff, 0x7f800000, 0x7fc00000, 0x4b000000 };
    for (size_t i = 0; i < 2 * LT_COUNT(ends); i++) {
        p->x[i] = from_bits(ends[i / 2] | (uint32_t)(i & 1) << 31);
    }
}

/* ---- Measuring ---- */

enum { PATHS = 4, THREADS_MAX = 64 };

/* What the threads share. Each has its own plans and results. */
typedef struct measurement {
    const ulp_function *f;
    const char *const *names;
    int n_paths;
    uint64_t points;
    _Atomic uint64_t next;
} measurement;

typedef struct worker {
    measurement *m;
    pthread_t thread;
    ulp_result results[PATHS];
} worker;

/* Most results are ordinary numbers and better than the worst so far. */
static void judge_block(ulp_result *r, const path *p, const double *truth)
{
    for (int k = 0; k < BLOCK; k++) {
        double t = truth[k], size = fabs(t);
        if (!(size >= 0x1p-126 && size < 0x1p127 && fabs((double)p->y[k] - t) * places(t) <= r->worst)) {
            judge(r, p->x[k], p->w[k], t, p->y[k]);
        }
    }
    r->points += BLOCK;
}

static void *work(void *argument)
{
    worker *w = argument;
    measurement *m = w->m;
    lathe_diag *diag = lathe_diag_create(NULL);
    path *paths = calloc((size_t)m->n_paths, sizeof *paths);
    double *truth = malloc(BLOCK * sizeof *truth);
    if (paths == NULL || truth == NULL || diag == NULL) {
        must(LATHE_OUT_OF_MEMORY, diag);
    }
    bool any = false;
    for (int i = 0; i < m->n_paths; i++) {
        w->results[i].measured = open_path(&paths[i], m->f, m->names[i], diag);
        any = any || w->results[i].measured;
    }
    for (uint64_t first; any && (first = atomic_fetch_add(&m->next, BLOCK)) < m->points;) {
        path *points = &paths[0];
        choose_points(points, first, m->points, m->f->two);
        if (first == 0 && m->points < (uint64_t)1 << 32) {
            choose_ends(points);
        }
        for (int k = 0; k < BLOCK; k++) {
            truth[k] = m->f->truth((double)points->x[k], (double)points->w[k]);
        }
        for (int i = 0; i < m->n_paths; i++) {
            if (w->results[i].measured) {
                memmove(paths[i].x, points->x, sizeof points->x);
                memmove(paths[i].w, points->w, sizeof points->w);
                run_path(&paths[i], m->f->two, diag);
                judge_block(&w->results[i], &paths[i], truth);
            }
        }
    }
    for (int i = 0; i < m->n_paths; i++) {
        close_path(&paths[i]);
    }
    free(paths);
    free(truth);
    lathe_diag_destroy(diag);
    return NULL;
}

static void join(ulp_result *all, const ulp_result *one)
{
    ulp_result sum = one->worst > all->worst ? *one : *all;
    sum.points = all->points + one->points;
    sum.wrong = all->wrong + one->wrong;
    const ulp_result *wrong = all->wrong > 0 ? all : one;
    memcpy(sum.wrong_at, wrong->wrong_at, sizeof sum.wrong_at);
    sum.wrong_got = wrong->wrong_got;
    sum.measured = one->measured;
    *all = sum;
}

void ulp_measure(const ulp_function *f, const char *const *names, int n_paths, uint64_t points, ulp_result *out)
{
    measurement m = { .f = f, .names = names, .n_paths = n_paths < PATHS ? n_paths : PATHS, .points = points };
    worker workers[THREADS_MAX];
    int wanted = lt_cpu_count(), started = 0;
    wanted = wanted < 1 ? 1 : wanted > THREADS_MAX ? THREADS_MAX : wanted;
    for (int i = 0; i < wanted; i++) {
        workers[i] = (worker){ .m = &m };
    }
    while (started + 1 < wanted && pthread_create(&workers[started + 1].thread, NULL, work, &workers[started + 1]) == 0) {
        started++;
    }
    work(&workers[0]);
    for (int i = 0; i < n_paths; i++) {
        out[i] = (ulp_result){ .points = 0 };
    }
    for (int k = 0; k <= started; k++) {
        if (k > 0) {
            pthread_join(workers[k].thread, NULL);
        }
        for (int i = 0; i < m.n_paths; i++) {
            join(&out[i], &workers[k].results[i]);
        }
    }
}
