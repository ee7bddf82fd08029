/*
 * tactic_case.c - makes random problems for the tests of tactics: operands with contents, attributes, instructions, epilogues. See tactic_check.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "support/tactic_check.h"
#include <math.h>
#include <string.h>

/* ---- Numbers ---- */

uint32_t tc_draw(tc_random *r, uint32_t below)
{
    uint32_t words[4];
    lt_philox(r->key, 0, r->counter++, words);
    return words[0] % below;
}

int64_t tc_range(tc_random *r, int64_t low, int64_t high)
{
    return low + (int64_t)tc_draw(r, (uint32_t)(high - low + 1));
}

double tc_real(tc_random *r)
{
    return lt_random_normal(r->key, 1, r->counter++);
}

bool tc_chance(tc_random *r, uint32_t one_in)
{
    return tc_draw(r, one_in) == 0;
}

/* ---- Cases ---- */

void tc_begin(tc_case *c, uint64_t seed, const char *op, const char *domain)
{
    memset(c, 0, sizeof *c);
    lt_arena_init(&c->arena, NULL);
    c->random = (tc_random){ .key = seed };
    c->problem = (lathe_problem){ .struct_size = sizeof c->problem,
                                  .op = op,
                                  .domain = domain,
                                  .version = op[0] ? 1 : 0,
                                  .attrs = c->attrs,
                                  .in = c->in,
                                  .out = c->out,
                                  .root_in = c->root_in,
                                  .instrs = c->instrs,
                                  .n_root_out = op[0] ? 1 : 0 };
}

void tc_end(tc_case *c)
{
    lt_arena_destroy(&c->arena);
}

/* Extents as a problem states them: sometimes a range around the real one. */
static void extents(tc_case *c, lathe_operand *o, const int64_t *dims, uint32_t flags)
{
    bool vary = !(flags & LATHE_OPERAND_CONSTANT) && c->random.key % 3 == 0;
    for (int d = 0; d < o->rank; d++) {
        o->dims[d] = (lathe_extent){ .min = dims[d], .opt = dims[d], .max = dims[d], .multiple = 1 };
        if (vary && d == 0 && dims[d] > 1) {
            o->dims[d].min = 1;
            o->dims[d].max = dims[d] + 5;
        }
    }
}

static double contents(tc_random *r, lathe_dtype dtype)
{
    const lt_dtype_info *info = lt_dtype_get(dtype);
    if (info->kind == LT_KIND_FLOAT) {
        return tc_real(r);
    }
    if (info->kind == LT_KIND_BOOL) {
        return tc_draw(r, 2);
    }
    bool small = tc_chance(r, 2);
    int64_t most = info->bits <= 8 ? 127 : small ? 50 : 30000, low = info->kind == LT_KIND_SIGNED ? -most : 0;
    return (double)tc_range(r, low, info->bits == 8 && low == 0 ? 255 : most);
}

uint16_t tc_input(tc_case *c, lathe_dtype dtype, int rank, const int64_t *dims, uint32_t flags)
{
    size_t n = c->problem.n_in++;
    assert_true(n < TC_OPERANDS);
    c->in[n] = (lathe_operand){
        .dtype = dtype, .rank = rank, .flags = flags, .format = lt_format_plain(dtype, rank, LATHE_SPACE_HOST)
    };
    extents(c, &c->in[n], dims, flags);
    assert_int_equal(lt_tensor_alloc(&c->arena, &c->in_data[n], dtype, rank, dims, "input", NULL), LATHE_OK);
    for (int64_t i = 0; i < lt_tensor_count(&c->in_data[n]); i++) {
        lt_store_f64(dtype, c->in_data[n].data, i, contents(&c->random, dtype));
    }
    return (uint16_t)n;
}

uint16_t tc_output(tc_case *c, lathe_dtype dtype, int rank, const int64_t *dims)
{
    size_t n = c->problem.n_out++;
    assert_true(n < TC_OPERANDS);
    c->out[n] =
        (lathe_operand){ .dtype = dtype, .rank = rank, .format = lt_format_plain(dtype, rank, LATHE_SPACE_HOST) };
    extents(c, &c->out[n], dims, 0);
    memcpy(c->out_dims[n], dims, (size_t)rank * sizeof *dims);
    return (uint16_t)n;
}

void tc_bound(tc_case *c, uint16_t output, const int64_t *most)
{
    lathe_operand *o = &c->out[output];
    o->flags |= LATHE_OPERAND_BOUNDED;
    for (int d = 0; d < o->rank; d++) {
        assert_true(most[d] >= c->out_dims[output][d]);
        bool fixed = most[d] == c->out_dims[output][d];
        o->dims[d] = (lathe_extent){ .min = fixed ? most[d] : 0, .opt = most[d], .max = most[d], .multiple = 1 };
    }
}

void tc_root(tc_case *c, uint16_t operand)
{
    c->root_in[c->problem.n_root_in++] = operand;
}

void tc_space(tc_case *c, int rank, const int64_t *dims)
{
    c->problem.space_rank = rank;
    for (int d = 0; d < rank; d++) {
        c->problem.space[d] = (lathe_extent){ .min = dims[d], .opt = dims[d], .max = dims[d], .multiple = 1 };
    }
}

/* ---- Attributes ---- */

static lathe_attr *attribute(tc_case *c, const char *name, lathe_attr_kind kind)
{
    lathe_attr *a = &c->attrs[c->problem.n_attrs++];
    assert_true(c->problem.n_attrs <= TC_ATTRS);
    *a = (lathe_attr){ .name = name, .kind = kind };
    return a;
}

void tc_ints(tc_case *c, const char *name, size_t count, const int64_t *values)
{
    lathe_attr *a = attribute(c, name, LATHE_ATTR_INTS);
    a->count = count;
    a->ints = lt_arena_copy(&c->arena, values, count * sizeof *values, _Alignof(int64_t));
    assert_non_null(a->ints);
}

void tc_int(tc_case *c, const char *name, int64_t value)
{
    attribute(c, name, LATHE_ATTR_INT)->i = value;
}

void tc_float(tc_case *c, const char *name, float value)
{
    attribute(c, name, LATHE_ATTR_FLOAT)->f = value;
}

/* ---- Instructions ---- */

uint16_t tc_instr(tc_case *c, int slot, lathe_pw_op op, lathe_dtype dtype, int n_args, const uint16_t *args,
                  double imm0, double imm1)
{
    size_t n = c->problem.n_instrs++;
    assert_true(n < TC_INSTRS);
    c->instrs[n] = (lathe_pw_instr){ .op = op, .dtype = dtype, .slot = (int16_t)slot, .imm = { imm0, imm1 } };
    for (int k = 0; k < n_args; k++) {
        c->instrs[n].args[k] = args[k];
    }
    return (uint16_t)n;
}

uint16_t tc_load(tc_case *c, int slot, uint16_t operand, int rank, const int64_t *space)
{
    const lathe_tensor *t = &c->in_data[operand];
    uint16_t n = tc_instr(c, slot, LATHE_PW_LOAD, t->dtype, 0, NULL, 0, 0);
    c->instrs[n].operand = operand;
    for (int d = 0; d < t->rank; d++) {
        int axis = rank - t->rank + d;
        c->instrs[n].map[d] = (int8_t)(t->dims[d] == 1 && space[axis] != 1 ? -1 : axis);
    }
    return n;
}

uint16_t tc_load_axis(tc_case *c, int slot, uint16_t operand, int axis)
{
    uint16_t n = tc_instr(c, slot, LATHE_PW_LOAD, c->in_data[operand].dtype, 0, NULL, 0, 0);
    c->instrs[n].operand = operand;
    c->instrs[n].map[0] = (int8_t)(c->in_data[operand].rank == 1 && c->in_data[operand].dims[0] != 1 ? axis : -1);
    return n;
}

lathe_dtype tc_real_type(tc_random *r)
{
    return !tc_chance(r, 4) ? LATHE_DTYPE_F32 : tc_chance(r, 3) ? LATHE_DTYPE_BF16 : LATHE_DTYPE_F16;
}

uint16_t tc_root_value(tc_case *c, lathe_dtype dtype)
{
    uint16_t value = tc_instr(c, -1, LATHE_PW_ROOT, dtype, 0, NULL, 0, 0);
    return dtype == LATHE_DTYPE_F32 ? value : tc_instr(c, -1, LATHE_PW_CAST, LATHE_DTYPE_F32, 1, &value, 0, 0);
}

/* ---- Epilogues ---- */

typedef struct epilogue {
    tc_case *c;
    int rank, channel_axis;
    const int64_t *dims;
    uint16_t value;
} epilogue;

static void unary(epilogue *e, lathe_pw_op op, double imm0, double imm1)
{
    e->value = tc_instr(e->c, -1, op, LATHE_DTYPE_F32, 1, &e->value, imm0, imm1);
}

/* value op operand, either way round. */
static void binary(epilogue *e, lathe_pw_op op, uint16_t other)
{
    uint16_t args[2] = { e->value, other }, turned[2] = { other, e->value };
    e->value = tc_instr(e->c, -1, op, LATHE_DTYPE_F32, 2, tc_chance(&e->c->random, 3) ? turned : args, 0, 0);
}

static uint16_t residual(epilogue *e, uint32_t flags)
{
    return tc_load(e->c, -1, tc_input(e->c, LATHE_DTYPE_F32, e->rank, e->dims, flags), e->rank, e->dims);
}

/* One number for each channel, shaped so that it broadcasts. */
static uint16_t by_channel(epilogue *e)
{
    int64_t dims[LATHE_MAX_RANK];
    int rank = e->rank - e->channel_axis;
    for (int d = 0; d < rank; d++) {
        dims[d] = d == 0 ? e->dims[e->channel_axis] : 1;
    }
    return tc_load(e->c, -1, tc_input(e->c, LATHE_DTYPE_F32, rank, dims, LATHE_OPERAND_CONSTANT), e->rank, e->dims);
}

static uint16_t scalar(epilogue *e, lathe_dtype dtype, double value)
{
    return tc_instr(e->c, -1, LATHE_PW_CONST, dtype, 0, NULL, value, 0);
}

static void one_instruction(epilogue *e)
{
    static const lathe_pw_op functions[] = { LATHE_PW_RELU, LATHE_PW_SIGMOID, LATHE_PW_TANH,       LATHE_PW_GELU,
                                             LATHE_PW_ABS,  LATHE_PW_NEG,     LATHE_PW_HARD_SWISH, LATHE_PW_SOFTPLUS,
                                             LATHE_PW_ERF,  LATHE_PW_RELU,    LATHE_PW_RELU };
    tc_random *r = &e->c->random;
    switch (tc_draw(r, 8)) {
    case 0:
        binary(e, LATHE_PW_ADD, residual(e, 0));
        break;
    case 1:
        binary(e, tc_chance(r, 2) ? LATHE_PW_ADD : LATHE_PW_MUL, by_channel(e));
        break;
    case 2:
        unary(e, LATHE_PW_LEAKY_RELU, (double)0.1f, 0);
        break;
    case 3:
        unary(e, LATHE_PW_HARD_SIGMOID, (double)0.2f, 0.5);
        break;
    case 4: {
        uint16_t args[3] = { e->value, scalar(e, LATHE_DTYPE_F32, 0), scalar(e, LATHE_DTYPE_F32, 6) };
        e->value = tc_instr(e->c, -1, LATHE_PW_CLIP, LATHE_DTYPE_F32, 3, args, 0, 0);
        break;
    }
    case 5: { /* x * sigmoid(x) */
        uint16_t x = e->value;
        unary(e, LATHE_PW_SIGMOID, 0, 0);
        binary(e, LATHE_PW_MUL, x);
        break;
    }
    default:
        unary(e, functions[tc_draw(r, LT_COUNT(functions))], 0, 0);
        break;
    }
}

static lathe_dtype finish(epilogue *e)
{
    tc_random *r = &e->c->random;
    lathe_dtype dtype = tc_chance(r, 2) ? LATHE_DTYPE_U8 : LATHE_DTYPE_I8;
    if (!tc_chance(r, 4)) {
        return LATHE_DTYPE_F32;
    }
    if (tc_chance(r, 3)) {
        dtype = LATHE_DTYPE_F16;
        e->value = tc_instr(e->c, -1, LATHE_PW_CAST, dtype, 1, &e->value, 0, 0);
        return dtype;
    }
    uint16_t args[3] = { e->value, scalar(e, LATHE_DTYPE_F32, (double)0.05f),
                         scalar(e, dtype, dtype == LATHE_DTYPE_U8 ? 110 : -3) };
    e->value = tc_instr(e->c, -1, LATHE_PW_QUANT, dtype, 3, args, 0, 0);
    return dtype;
}

void tc_epilogue(tc_case *c, uint16_t value, int rank, const int64_t *dims, int channel_axis)
{
    epilogue e = { .c = c, .rank = rank, .channel_axis = channel_axis, .dims = dims, .value = value };
    for (int64_t n = tc_range(&c->random, 0, 4); n > 0; n--) {
        one_instruction(&e);
    }
    lathe_dtype dtype = finish(&e);
    uint16_t store = tc_instr(c, -1, LATHE_PW_STORE, dtype, 1, &e.value, 0, 0);
    c->instrs[store].operand = tc_output(c, dtype, rank, dims);
}
