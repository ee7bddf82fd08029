/*
 * test_tune_pbqp.c - the PBQP solver against brute force: equal where only exact reductions were needed, close elsewhere.
 */
#include "tune/tune.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <string.h>

enum { MAX_NODES = 7, MAX_STATES = 3 };

typedef struct instance {
    uint32_t n, n_edges;
    uint32_t states[MAX_NODES];
    double cost[MAX_NODES][MAX_STATES];
    uint32_t a[32], b[32];
    double matrix[32][MAX_STATES * MAX_STATES];
} instance;

static uint32_t draw(uint64_t *state, uint32_t below)
{
    uint32_t out[4];
    lt_philox(7, 0, (*state)++, out);
    return out[0] % below;
}

/* A random graph; density in percent. Some transitions are forbidden, never all of a matrix. */
static void make(instance *p, uint64_t *rng, uint32_t density)
{
    p->n = 2 + draw(rng, MAX_NODES - 1);
    p->n_edges = 0;
    for (uint32_t i = 0; i < p->n; i++) {
        p->states[i] = 1 + draw(rng, MAX_STATES);
        for (uint32_t s = 0; s < p->states[i]; s++) {
            p->cost[i][s] = draw(rng, 1000);
        }
    }
    for (uint32_t i = 0; i < p->n; i++) {
        for (uint32_t j = i + 1; j < p->n; j++) {
            if (draw(rng, 100) >= density) {
                continue;
            }
            uint32_t e = p->n_edges++;
            bool flip = draw(rng, 2);
            p->a[e] = flip ? j : i;
            p->b[e] = flip ? i : j;
            for (uint32_t k = 0; k < p->states[i] * p->states[j]; k++) {
                p->matrix[e][k] = k > 0 && draw(rng, 12) == 0 ? LT_PBQP_INF : draw(rng, 500);
            }
        }
    }
}

static double cost_of(const instance *p, const uint32_t *chosen)
{
    double total = 0;
    for (uint32_t i = 0; i < p->n; i++) {
        total += p->cost[i][chosen[i]];
    }
    for (uint32_t e = 0; e < p->n_edges; e++) {
        total += p->matrix[e][chosen[p->a[e]] * p->states[p->b[e]] + chosen[p->b[e]]];
    }
    return total;
}

static double brute_force(const instance *p)
{
    uint32_t chosen[MAX_NODES] = {0};
    double best = 1e308;
    for (;;) {
        double c = cost_of(p, chosen);
        best = c < best ? c : best;
        uint32_t i = 0;
        while (i < p->n && ++chosen[i] == p->states[i]) {
            chosen[i++] = 0;
        }
        if (i == p->n) {
            return best;
        }
    }
}

static double solve(const instance *p, bool *exact)
{
    lt_arena arena;
    lt_arena_init(&arena, NULL);
    lt_pbqp *q = lt_pbqp_create(&arena);
    assert_non_null(q);
    for (uint32_t i = 0; i < p->n; i++) {
        uint32_t number;
        assert_int_equal(lt_pbqp_node(q, p->states[i], p->cost[i], &number, NULL), LATHE_OK);
        assert_int_equal(number, i);
    }
    for (uint32_t e = 0; e < p->n_edges; e++) {
        assert_int_equal(lt_pbqp_edge(q, p->a[e], p->b[e], p->matrix[e], NULL), LATHE_OK);
    }
    uint32_t chosen[MAX_NODES];
    double cost;
    assert_int_equal(lt_pbqp_solve(q, chosen, &cost, exact, NULL), LATHE_OK);
    double summed = cost_of(p, chosen);
    assert_true(summed == cost || summed >= LT_PBQP_INF);
    lt_arena_destroy(&arena);
    return summed;
}

static void test_exact_graphs_equal_brute_force(void **state)
{
    (void)state;
    uint64_t rng = 1;
    uint32_t exact_seen = 0;
    for (uint32_t i = 0; exact_seen < 10000 && i < 40000; i++) {
        instance p;
        make(&p, &rng, 35);
        bool exact = false;
        double got = solve(&p, &exact);
        if (!exact) {
            continue;
        }
        exact_seen++;
        double best = brute_force(&p);
        assert_true(got == best || (got >= LT_PBQP_INF && best >= LT_PBQP_INF));
    }
    assert_int_equal(exact_seen, 10000);
}

static void test_dense_graphs_are_close(void **state)
{
    (void)state;
    uint64_t rng = 1u << 30;
    uint32_t beyond = 0;
    double worst = 1;
    for (uint32_t i = 0; i < 10000; i++) {
        instance p;
        make(&p, &rng, 80);
        bool exact;
        double got = solve(&p, &exact), best = brute_force(&p);
        if (best > 0 && best < LT_PBQP_INF) {
            double ratio = got / best;
            worst = ratio > worst ? ratio : worst;
            beyond += ratio > 1.02;
        }
    }
    print_message("dense: %u of 10000 more than 2 %% above the optimum, worst %.3f\n", beyond, worst);
    assert_int_equal(beyond, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exact_graphs_equal_brute_force),
        cmocka_unit_test(test_dense_graphs_are_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
