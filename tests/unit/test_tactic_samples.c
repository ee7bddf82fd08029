/*
 * test_tactic_samples.c - every sample of every operator as a problem, through every tactic that takes it, with constants as constants (packed where the
 * tactic wants that) and as activations. The placements, poison and thread counts are those of tactic_check.h.
 *
 * ctest: TIMEOUT 600 COST 14
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "graph/graph.h"
#include "support/tactic_check.h"
#include "tune/tune.h"
#include <stdlib.h>
#include <string.h>

static lathe_status extent_of(void *user, lt_dim dim, lathe_extent *out, lathe_diag *diag)
{
    int64_t n;
    lathe_status status = lt_dim_eval(user, dim, NULL, NULL, &n, diag);
    if (status == LATHE_OK) {
        *out = (lathe_extent){ .min = n, .opt = n, .max = n, .multiple = 1 };
    }
    return status;
}

/* Room for what the checker holds on its own: it lays tensors out by elements of whole bytes, and knows planned tensors only. */
static bool plain(const lathe_operand *o)
{
    return !(o->flags & (LATHE_OPERAND_MANAGED | LATHE_OPERAND_BOUNDED)) && o->rank >= 0 &&
           lathe_dtype_bits(o->dtype) % 8 == 0 && o->dtype != LATHE_DTYPE_STRING;
}

static bool suits(const lathe_problem *p)
{
    if (p->n_in > TC_OPERANDS || p->n_out > TC_OPERANDS || p->n_instrs > TC_INSTRS || p->n_attrs > TC_ATTRS ||
        p->n_root_in > TC_OPERANDS) {
        return false;
    }
    for (size_t i = 0; i < p->n_in; i++) {
        if (!(p->in[i].flags & LATHE_OPERAND_ABSENT) && !plain(&p->in[i])) {
            return false;
        }
    }
    for (size_t i = 0; i < p->n_out; i++) {
        if (!plain(&p->out[i])) {
            return false;
        }
    }
    return true;
}

static void fill_case(tc_case *c, const lt_graph *graph, const lathe_problem *p, const lt_value_id *in,
                      bool activations)
{
    c->problem = *p;
    memcpy(c->in, p->in, p->n_in * sizeof *c->in);
    memcpy(c->out, p->out, p->n_out * sizeof *c->out);
    memcpy(c->root_in, p->root_in, p->n_root_in * sizeof *c->root_in);
    if (p->n_instrs) {
        memcpy(c->instrs, p->instrs, p->n_instrs * sizeof *c->instrs);
    }
    if (p->n_attrs) {
        memcpy(c->attrs, p->attrs, p->n_attrs * sizeof *c->attrs);
    }
    c->problem.in = c->in;
    c->problem.out = c->out;
    c->problem.root_in = c->root_in;
    c->problem.instrs = c->instrs;
    c->problem.attrs = c->attrs;
    for (size_t i = 0; i < p->n_in; i++) {
        if (!(c->in[i].flags & LATHE_OPERAND_ABSENT)) {
            c->in_data[i] = *lt_value_tensor(lt_value_get(graph, in[i]));
        }
        if (activations && !(c->in[i].flags & LATHE_OPERAND_HOST)) {
            c->in[i].flags &= ~(uint32_t)LATHE_OPERAND_CONSTANT;
        }
    }
    for (size_t i = 0; i < p->n_out; i++) {
        for (int d = 0; d < p->out[i].rank; d++) {
            c->out_dims[i][d] = p->out[i].dims[d].opt;
        }
    }
    c->root_tolerance = 4e-6;
}

/* false: the sample is no problem for the checker. */
static bool check_sample(const char *text, bool activations)
{
    lt_graph *graph;
    lathe_problem *problem;
    const lt_value_id *in, *out;
    tc_case *c = calloc(1, sizeof *c);
    assert_non_null(c);
    assert_int_equal(lt_graph_parse_sample(text, text, NULL, &graph, NULL), LATHE_OK);
    tc_begin(c, 1, "", "");
    const lt_node *node = lt_region_first(graph, LT_MAIN);
    const lt_tune_options options = {
        .features = lt_cpu_features(), .threads = 1, .extent = extent_of, .user = lt_graph_dims(graph)
    };
    bool done = node &&
                lt_problem_of_group(graph, &node->id, 1, &options, &c->arena, &problem, &in, &out, NULL) == LATHE_OK &&
                suits(problem);
    if (done) {
        fill_case(c, graph, problem, in, activations);
        tc_check_all(c);
    }
    tc_end(c);
    lt_graph_destroy(graph);
    free(c);
    return done;
}

static void samples(void **state)
{
    size_t run = 0, left = 0;
    const lt_op *op;
    (void)state;
    for (size_t i = 0; (op = lt_op_at(i)) != NULL; i++) {
        for (size_t k = 0; op->samples && op->samples[k]; k++) {
            for (int activations = 0; activations < 2; activations++) {
                if (check_sample(op->samples[k], activations != 0)) {
                    run++;
                } else {
                    left++;
                }
            }
        }
    }
    print_message("%zu samples were problems; %zu have extents or values that only a run can tell\n", run, left);
    assert_true(run > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(samples) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
