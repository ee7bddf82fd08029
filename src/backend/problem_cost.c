/*
 * problem_cost.c - rough work of a problem at its opt corner: what the static cost model of tactics starts from. Used by tactics' fits functions.
 */
#include "backend/problem.h"
#include <string.h>

double lt_operand_elements(const lathe_operand *operand)
{
    double elements = 1;
    for (int i = 0; i < operand->rank; i++) {
        elements *= (double)operand->dims[i].opt;
    }
    return elements;
}

static double elements(const lathe_operand *o)
{
    return o->flags & LATHE_OPERAND_ABSENT ? 0 : lt_operand_elements(o);
}

double lt_problem_bytes(const lathe_problem *problem)
{
    double bytes = 0;
    for (size_t i = 0; i < problem->n_in; i++) {
        bytes += elements(&problem->in[i]) * lathe_dtype_bits(problem->in[i].dtype) / 8;
    }
    for (size_t i = 0; i < problem->n_out; i++) {
        bytes += elements(&problem->out[i]) * lathe_dtype_bits(problem->out[i].dtype) / 8;
    }
    return bytes;
}

/* Extent of a root input's axis at the opt corner; axis counts from the end when negative. */
static double root_extent(const lathe_problem *p, size_t slot, int axis)
{
    const lathe_operand *o = NULL;
    if (slot < p->n_root_in && p->root_in[slot] != 0xffff) {
        o = &p->in[p->root_in[slot]];
    } else { /* behind a prologue: the operand that the slot's first load reads */
        for (size_t i = 0; i < p->n_instrs && !o; i++) {
            if (p->instrs[i].slot == (int)slot && p->instrs[i].op == LATHE_PW_LOAD) {
                o = &p->in[p->instrs[i].operand];
            }
        }
    }
    if (!o || o->rank <= 0) {
        return 1;
    }
    int at = axis < 0 ? o->rank + axis : axis;
    return at >= 0 && at < o->rank ? (double)o->dims[at].opt : 1;
}

static int root_rank(const lathe_problem *p, size_t slot)
{
    return slot < p->n_root_in && p->root_in[slot] != 0xffff ? p->in[p->root_in[slot]].rank : p->space_rank;
}

/* Keys that each row of attention meets; cached ones are not counted. */
static double attention_keys(const lathe_problem *p)
{
    const lathe_attr *attrs = p->attrs;
    int axis = root_rank(p, 1) == 4 ? 2 : 1;
    axis = lt_attr_is(attrs, p->n_attrs, "k", "sbw", "") ? 0 : lt_attr_is(attrs, p->n_attrs, "k", "bhds", "") ? 3 : axis;
    return root_extent(p, 1, axis);
}

/* Layers over time: each row of the input meets all weights, those of the input and the recurrent ones. */
static double recurrent_flops(const lathe_problem *p)
{
    double weights[2] = { 1, 1 };
    for (size_t slot = 1; slot < 3; slot++) {
        for (int i = 0; i < root_rank(p, slot); i++) {
            weights[slot - 1] *= root_extent(p, slot, i);
        }
    }
    return 2 * root_extent(p, 0, 0) * root_extent(p, 0, 1) * (weights[0] + weights[1]);
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Is the letter summed over: not in the result, or without a result in the equation, there more than once? */
static bool summed(const char *inputs, size_t n_inputs, const char *result, size_t n_result, char letter)
{
    int times = 0;
    for (size_t i = 0; i < n_inputs; i++) {
        times += inputs[i] == letter;
    }
    return result ? memchr(result, letter, n_result) == NULL : times > 1;
}

/* Extent of the letter at equation[at], which is in the term of input `slot`: what stands behind an ellipsis counts from the end. */
static double letter_extent(const lathe_problem *p, const char *equation, size_t n, size_t at, size_t slot)
{
    int before = 0, behind = 0;
    bool dots = false;
    for (size_t i = at; i-- > 0 && equation[i] != ',';) {
        before += is_letter(equation[i]);
        dots = dots || equation[i] == '.';
    }
    for (size_t i = at + 1; i < n && equation[i] != ','; i++) {
        behind += is_letter(equation[i]);
    }
    return root_extent(p, slot, dots ? -1 - behind : before);
}

/* What one element of an Einsum's result sums up: the extents of all letters that are not in it. */
static double einsum_sums(const lathe_problem *p)
{
    const lathe_attr *attr = lt_attr_find(p->attrs, p->n_attrs, "equation");
    if (!attr || attr->kind != LATHE_ATTR_STRING) {
        return 1;
    }
    const char *text = attr->s.data, *arrow = memchr(text, '-', attr->s.length);
    size_t n = arrow ? (size_t)(arrow - text) : attr->s.length, slot = 0;
    double sums = 1;
    for (size_t i = 0; i < n; i++) {
        slot += text[i] == ',';
        if (is_letter(text[i]) && memchr(text, text[i], i) == NULL && summed(text, n, arrow, attr->s.length - n, text[i])) {
            sums *= letter_extent(p, text, n, i, slot);
        }
    }
    return sums;
}

static bool is_recurrent(const lathe_problem *p)
{
    return strcmp(p->op, "LSTM") == 0 || strcmp(p->op, "GRU") == 0 || strcmp(p->op, "RNN") == 0;
}

double lt_problem_flops(const lathe_problem *problem)
{
    if (is_recurrent(problem)) {
        return recurrent_flops(problem);
    }
    double out = problem->n_out ? elements(&problem->out[0]) : 0, per = 1;
    if (strstr(problem->op, "ConvTranspose")) {
        out = 1;
        for (int i = 0; i < root_rank(problem, 0); i++) {
            out *= root_extent(problem, 0, i);
        }
        per = 2 * root_extent(problem, 1, 1);
        for (int i = 2; i < root_rank(problem, 1); i++) {
            per *= root_extent(problem, 1, i);
        }
    } else if (strstr(problem->op, "Conv")) {
        per = 2;
        for (int i = 1; i < root_rank(problem, 1); i++) {
            per *= root_extent(problem, 1, i);
        }
    } else if (strstr(problem->op, "MatMul") || strstr(problem->op, "Gemm")) {
        bool transposed = lt_attr_i(problem->attrs, problem->n_attrs, "transA", 0) != 0;
        per = 2 * root_extent(problem, 0, transposed ? 0 : -1);
    } else if (strstr(problem->op, "Attention")) {
        per = 4 * attention_keys(problem);
    } else if (strcmp(problem->op, "Einsum") == 0) {
        per = 2 * einsum_sums(problem);
    } else if (problem->op[0]) { /* reductions and others walk their inputs */
        double in = problem->n_in ? elements(&problem->in[0]) : 0;
        out = in > out ? in : out;
    }
    return out * per + (double)problem->n_instrs * (problem->n_out ? elements(&problem->out[0]) : 0);
}
