/*
 * dequantize_blocks__each.c - tactic dequantize.blocks: DequantizeLinear of 8-bit and constant 4-bit integers to f32 by itself, above all with a scale for each
 * block, as weights of language models have them. (x - zero) * scale, rounded once: the bits of the reference.
 */
#include "backend/cpu/product.h"
#include "backend/cpu/vectors.inc"
#include <string.h>

enum { CHUNK = 512 };

/* Elements lie as outer x extent x inner; those of one run share a parameter, or have one each. */
typedef struct layout {
    int64_t outer, extent, inner;
    int64_t block, blocks; /* indices that share parameters, and how many parameters there are along the axis */
    bool blocked;          /* parameters also vary over outer and inner axes */
} layout;

typedef struct job {
    layout l;
    lathe_dtype type;
    const uint8_t *x, *zero; /* zero: NULL when there is none */
    const float *scale;
    float *y;
} job;

/* n numbers from element `first` on. */
static void widen(lathe_dtype type, const uint8_t *x, int64_t first, int n, int32_t *restrict out)
{
    const int8_t *sx = (const int8_t *)x + first;
    if (type == LATHE_DTYPE_U8) {
        for (int i = 0; i < n; i++) {
            out[i] = x[first + i];
        }
        return;
    }
    if (type == LATHE_DTYPE_I8) {
        for (int i = 0; i < n; i++) {
            out[i] = sx[i];
        }
        return;
    }
    int32_t sign = type == LATHE_DTYPE_I4 ? 8 : 0;
    int at = 0;
    if (first & 1 && n > 0) {
        out[at++] = x[first / 2] >> 4;
        first++;
    }
    const uint8_t *pairs = x + first / 2;
    for (int i = 0; i < (n - at) / 2; i++) {
        out[at + 2 * i] = pairs[i] & 15;
        out[at + 2 * i + 1] = pairs[i] >> 4;
    }
    if ((n - at) & 1) {
        out[n - 1] = pairs[(n - at) / 2] & 15;
    }
    for (int i = 0; i < n && sign != 0; i++) {
        out[i] = (out[i] ^ sign) - sign;
    }
}

/* n elements from `first` on by one parameter. */
static void run_of_one(const job *j, int64_t first, int64_t n, int64_t param)
{
    int32_t x[CHUNK], zero = 0;
    float scale = j->scale[param];
    if (j->zero) {
        widen(j->type, j->zero, param, 1, &zero);
    }
    for (int64_t done = 0; done < n; done += CHUNK) {
        int part = n - done < CHUNK ? (int)(n - done) : CHUNK;
        float *restrict y = j->y + first + done;
        widen(j->type, j->x, first + done, part, x);
        for (int i = 0; i < part; i++) {
            y[i] = (float)(x[i] - zero) * scale;
        }
    }
}

/* n elements from `first` on by parameters from `param` on. */
static void run_of_many(const job *j, int64_t first, int64_t n, int64_t param)
{
    int32_t x[CHUNK], zero[CHUNK] = { 0 };
    for (int64_t done = 0; done < n; done += CHUNK) {
        int part = n - done < CHUNK ? (int)(n - done) : CHUNK;
        float *restrict y = j->y + first + done;
        const float *scale = j->scale + param + done;
        widen(j->type, j->x, first + done, part, x);
        if (j->zero) {
            widen(j->type, j->zero, param + done, part, zero);
        }
        for (int i = 0; i < part; i++) {
            y[i] = (float)(x[i] - zero[i]) * scale[i];
        }
    }
}

/* ---- The tactic ---- */

ASKED static bool takes(lathe_dtype type)
{
    return type == LATHE_DTYPE_U8 || type == LATHE_DTYPE_I8 || type == LATHE_DTYPE_U4 || type == LATHE_DTYPE_I4;
}

ASKED static int fits(const lathe_problem *problem, uint32_t config, lathe_fit *fit)
{
    const lathe_operand *x = lt_root_operand(problem, 0, NULL), *scale = lt_root_operand(problem, 1, NULL),
                        *zero = lt_root_operand(problem, 2, NULL), *y = &problem->out[0];
    (void)config;
    if (problem->n_instrs > 0 || problem->n_out != 1 || !x || !scale || x->rank < 0 || scale->rank < 0) {
        return lt_no(fit, "part of a group, or operands of unknown rank");
    }
    bool narrow = lathe_dtype_bits(x->dtype) < 8, constant = x->flags & LATHE_OPERAND_CONSTANT;
    if (!takes(x->dtype) || (narrow && !constant) || scale->dtype != LATHE_DTYPE_F32 || y->dtype != LATHE_DTYPE_F32 ||
        (zero && (zero->dtype != x->dtype || zero->rank != scale->rank || (narrow && !(zero->flags & LATHE_OPERAND_CONSTANT))))) {
        return lt_no(fit, "%s by %s to %s", lathe_dtype_name(x->dtype), lathe_dtype_name(scale->dtype), lathe_dtype_name(y->dtype));
    }
    if ((x->flags | y->flags) & (LATHE_OPERAND_MANAGED | LATHE_OPERAND_BOUNDED | LATHE_OPERAND_ABSENT)) {
        return lt_no(fit, "no planned extents");
    }
    fit->cost = 300 + lt_operand_elements(y) * 0.6;
    return 1;
}

static bool read_layout(const lathe_problem *p, const lathe_buffer *x, const lathe_buffer *scale, layout *l)
{
    int64_t block = lt_attr_i(p->attrs, p->n_attrs, "block_size", 0), axis = lt_attr_i(p->attrs, p->n_attrs, "axis", x->rank > 1),
            params, count;
    if (!lt_extents_sane(x->rank, x->dims) || !lt_dims_count(x->dims, x->rank, &count) || !lt_dims_count(scale->dims, scale->rank, &params)) {
        return false;
    }
    *l = (layout){ .outer = 1, .extent = 1, .inner = count, .block = 1, .blocks = 1 };
    if (scale->rank == 0 || (block == 0 && params == 1)) {
        return params == 1;
    }
    axis += axis < 0 ? x->rank : 0;
    if (axis < 0 || axis >= x->rank || block < 0 || !lt_dims_count(x->dims, (int)axis, &l->outer) ||
        !lt_dims_count(x->dims + axis + 1, x->rank - (int)axis - 1, &l->inner)) {
        return false;
    }
    l->extent = x->dims[axis];
    l->blocked = block > 0;
    l->block = block > 0 ? block : 1;
    l->blocks = l->extent / l->block + (l->extent % l->block > 0);
    return params == (l->blocked ? l->outer * l->blocks * l->inner : l->blocks);
}

static lathe_status run(const lathe_gang *gang, const lathe_call *call, lathe_diag *diag)
{
    const lathe_problem *p = call->problem;
    uint16_t nx, ns, nz;
    int64_t begin, end;
    job j = { .y = call->out[0].data };
    j.type = lt_root_operand(p, 0, &nx)->dtype;
    (void)lt_root_operand(p, 1, &ns);
    const lathe_buffer *x = &call->in[nx], *zero = lt_root_operand(p, 2, &nz) ? &call->in[nz] : NULL, *y = &call->out[0];
    const layout *l = &j.l;
    if (!read_layout(p, x, &call->in[ns], &j.l) || y->rank != x->rank || memcmp(x->dims, y->dims, (size_t)x->rank * sizeof *x->dims) != 0 ||
        (zero && (zero->rank != call->in[ns].rank || memcmp(zero->dims, call->in[ns].dims, (size_t)zero->rank * sizeof *zero->dims) != 0))) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, p->op, NULL, "scales or zero points have not the extents that the blocks need");
    }
    j.x = x->data;
    j.scale = call->in[ns].data;
    j.zero = zero ? zero->data : NULL;
    if (l->outer == 1 && l->extent == 1) { /* one parameter, or the elements of one index */
        lathe_gang_split(gang, l->inner, CHUNK, &begin, &end);
        if (l->blocked) {
            run_of_many(&j, begin, end - begin, begin);
        } else {
            run_of_one(&j, begin, end - begin, 0);
        }
    } else if (l->inner == 1 && l->blocked) {
        lathe_gang_split(gang, l->outer * l->blocks, 8, &begin, &end);
        for (int64_t u = begin; u < end; u++) {
            int64_t from = u % l->blocks * l->block, n = l->extent - from < l->block ? l->extent - from : l->block;
            run_of_one(&j, u / l->blocks * l->extent + from, n, u);
        }
    } else if (l->inner == 1) {
        lathe_gang_split(gang, l->outer, 1, &begin, &end);
        for (int64_t o = begin; o < end; o++) {
            run_of_many(&j, o * l->extent, l->extent, 0);
        }
    } else {
        lathe_gang_split(gang, l->outer * l->extent, 1, &begin, &end);
        for (int64_t u = begin; u < end; u++) {
            int64_t index = u % l->extent / l->block;
            if (l->blocked) {
                run_of_many(&j, u * l->inner, l->inner, (u / l->extent * l->blocks + index) * l->inner);
            } else {
                run_of_one(&j, u * l->inner, l->inner, index);
            }
        }
    }
    return LATHE_OK;
}

LT_TACTICS(LT_EACH(dequantize_blocks)) = {
    { .struct_size = sizeof(lathe_tactic),
      .name = "dequantize.blocks." ISA_NAME,
      .version = 1,
      .summary = "8-bit and 4-bit integers to f32, with a scale for each block too",
      .ops = "DequantizeLinear",
      .device = LATHE_SPACE_HOST,
      .cpu_features = ISA_FEATURES,
      .configs = 1,
      .fits = fits,
      .run = run },
    { .name = NULL },
};
