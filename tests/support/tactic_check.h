/*
 * tactic_check.h - runs a tactic on a problem as hard as it can be run and compares it with the clear reference. Used by the tests of tactics.
 *
 * Operands lie against pages that cannot be touched, at either end and shifted by one element; outputs and scratch are poisoned; the same bits must
 * come from one thread and from three, from every placement, when an input's storage is taken over, and when rows of operands lie apart, as far as the
 * tactic offers that; what lies between them must stay.
 */
#ifndef TACTIC_CHECK_H
#define TACTIC_CHECK_H

#include "backend/backend.h"

/*
 * How many random problems of `count`: all of them in the release suite, every other number under sanitizers, where each takes ten times as long, and a
 * twelfth with LATHE_TEST_SHARE=12 (tests/emulate.sh).
 */
#define TC_SEEDS(count) tc_seeds(LATHE_SANITIZED ? (count) / 2 : (count))
uint64_t tc_seeds(uint64_t count);

/* ---- Random numbers: the same on every run ---- */

typedef struct tc_random {
    uint64_t key, counter;
} tc_random;

uint32_t tc_draw(tc_random *r, uint32_t below);            /* 0 .. below - 1 */
int64_t tc_range(tc_random *r, int64_t low, int64_t high); /* both ends included */
double tc_real(tc_random *r);                              /* normal */
bool tc_chance(tc_random *r, uint32_t one_in);

/* ---- Problems under construction ---- */

enum { TC_OPERANDS = 24, TC_INSTRS = 64, TC_ATTRS = 16 };

typedef struct tc_case {
    lt_arena arena;
    tc_random random;
    lathe_problem problem;
    lathe_operand in[TC_OPERANDS], out[TC_OPERANDS];
    lathe_tensor in_data[TC_OPERANDS]; /* plain contents */
    int64_t out_dims[TC_OPERANDS][LATHE_MAX_RANK];
    lathe_pw_instr instrs[TC_INSTRS];
    uint16_t root_in[TC_OPERANDS];
    lathe_attr attrs[TC_ATTRS];
    double
        root_tolerance; /* relative to the root's result on absolute values (products) or to the largest result; 0: exact */
    bool root_absolute;           /* the former */
    const lathe_tensor *expected; /* output 0 by other means, to the bit; NULL: the oracle works it out */
} tc_case;

void tc_begin(tc_case *c, uint64_t seed, const char *op, const char *domain);
void tc_end(tc_case *c);
/* Adds an operand with random contents (floats normal, integers over much of their range); returns its number. dynamic: its extents vary from 1 up. */
uint16_t tc_input(tc_case *c, lathe_dtype dtype, int rank, const int64_t *dims, uint32_t flags);
uint16_t tc_output(tc_case *c, lathe_dtype dtype, int rank, const int64_t *dims);
/* The output's extents are for the step to find; it comes with these upper bounds. */
void tc_bound(tc_case *c, uint16_t output, const int64_t *most);
void tc_root(tc_case *c, uint16_t operand); /* next input of the root; 0xffff: behind a prologue, or absent */
void tc_space(tc_case *c, int rank, const int64_t *dims);
void tc_ints(tc_case *c, const char *name, size_t count, const int64_t *values);
void tc_int(tc_case *c, const char *name, int64_t value);
void tc_float(tc_case *c, const char *name, float value);
/* Instructions: each returns its number. load: map of axis i of the operand, aligned at the right of the space; extents of 1 repeat. */
uint16_t tc_load(tc_case *c, int slot, uint16_t operand, int rank, const int64_t *space);
uint16_t tc_load_axis(tc_case *c, int slot, uint16_t operand, int axis); /* a vector along one axis, or a scalar */
uint16_t tc_instr(tc_case *c, int slot, lathe_pw_op op, lathe_dtype dtype, int n_args, const uint16_t *args,
                  double imm0, double imm1);
/* The type of a real root: f32, sometimes f16 or bf16. */
lathe_dtype tc_real_type(tc_random *r);
/* The root's result as f32, whatever its type: an instruction for tc_epilogue. */
uint16_t tc_root_value(tc_case *c, lathe_dtype dtype);
/* A random epilogue over the root's f32 result `value` (instruction number), ending in a store to a new output: bias, residuals, activations, quantization. */
void tc_epilogue(tc_case *c, uint16_t value, int rank, const int64_t *dims, int channel_axis);

/* Outputs of the root by the reference, in the case's arena: for extents that nothing else tells. false: it refuses the problem. */
bool tc_reference(tc_case *c, lathe_tensor *out, int n_out);

/* ---- Checking ---- */

/* Asks every tactic that lists the problem's operator; runs those that fit. Fails the test with the problem's text on any difference. */
void tc_check_all(tc_case *c);
void tc_check_tactic(tc_case *c, const lathe_tactic *tactic, uint32_t config);
/* After many problems: each tactic for this operator that the machine can run was fitted at least once in each configuration. */
void tc_all_fitted(const char *op, const char *domain);
void tc_must_have_fitted(const lathe_tactic *tactic); /* since tc_reset, unless this machine cannot run it */
/* Some tactic of that name has run with rows of operands apart, since tc_reset. */
void tc_must_take_rows(const char *pattern);
void tc_reset(void);

#endif
