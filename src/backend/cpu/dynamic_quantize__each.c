/*
 * dynamic_quantize__each.c - tactic quantize.dynamic: DynamicQuantizeLinear of f32, plain (configuration 0) or channels last (1). Every thread looks for the
 * range itself: that is cheaper than waiting for each other, and the numbers do not depend on who looked.
 */
#include "backend/cpu/vectors.inc"
#include <math.h>

#include "backend/cpu/vector_math.inc"

typedef vf vf_any __attribute__((aligned(4)));
typedef uint8_t vbytes __attribute__((vector_size(LT_VECTOR_BYTES / 4), may_alias, aligned(1)));

enum { CHAINS = 4 }; /* vectors that are compared side by side: one alone would wait for itself */

/* The range of x, widened to hold 0; NaN is passed over. */
static void range(const float *x, int64_t n, float *low, float *high)
{
    vf least[CHAINS] = { { 0 } }, most[CHAINS] = { { 0 } };
    int64_t i = 0;
    for (; i + CHAINS * VL <= n; i += CHAINS * VL) {
        for (int c = 0; c < CHAINS; c++) {
            vf v = *(const vf_any *)(x + i + c * VL);
            least[c] = choose(v < least[c], v, least[c]);
            most[c] = choose(v > most[c], v, most[c]);
        }
    }
    *low = *high = 0;
    for (int k = 0; k < CHAINS * VL; k++) {
        float a = least[k / VL][k % VL], b = most[k / VL][k % VL];
        *low = a < *low ? a : *low;
        *high = b > *high ? b : *high;
    }
    for (; i < n; i++) {
        *low = x[i] < *low ? x[i] : *low;
        *high = x[i] > *high ? x[i] : *high;
    }
}

static uint8_t saturate(float x, float zero)
{
    float q = rintf(x) + zero;
    return !(q > 0) ? 0 : q < 255 ? (uint8_t)q : 255;
}

static void quantize(uint8_t *dst, const float *x, int64_t n, float scale, float zero)
{
    int64_t i = 0;
    vf bottom = { 0 }, top = splat(255.0f);
    for (; i + VL <= n; i += VL) {
        vf q = vrint(*(const vf_any *)(x + i) / scale) + zero;
        q = choose(q > bottom, q, bottom);
        q = choose(q < top, q, top);
        *(vbytes *)(dst + i) = __builtin_convertvector(__builtin_convertvector(q, vi), vbytes);
    }
    for (; i < n; i++) {
        dst[i] = saturate(x[i] / scale, zero);
    }
}

ASKED static int fits(const lathe_problem *problem, uint32_t config, lathe_fit *fit)
{
    static const int8_t last3[] = { 0, 2, 1 }, last4[] = { 0, 2, 3, 1 };
    const lathe_operand *x = &problem->in[0];
    if (problem->n_instrs > 0 || problem->n_in != 1 || problem->n_out < 1) {
        return lt_no(fit, "has an epilogue");
    }
    if (x->dtype != LATHE_DTYPE_F32 || x->rank < 0 || (x->flags & LATHE_OPERAND_MANAGED)) {
        return lt_no(fit, "input 0 is %s", lathe_dtype_name(x->dtype));
    }
    if (config == 1 && x->rank != 3 && x->rank != 4) {
        return lt_no(fit, "rank %d has no channels last", x->rank);
    }
    if (problem->out[0].flags & (LATHE_OPERAND_MANAGED | LATHE_OPERAND_BOUNDED)) {
        return lt_no(fit, "output 0 has no planned extents");
    }
    if (config == 1) {
        const int8_t *order = x->rank == 3 ? last3 : last4;
        fit->in[0] = lt_format_permuted(x->dtype, order, x->rank, fit->in[0].space);
        fit->out[0] = lt_format_permuted(LATHE_DTYPE_U8, order, x->rank, fit->out[0].space);
    }
    fit->cost = 300 + lt_problem_bytes(problem) * (0.06 + 0.4 / VL);
    return 1;
}

static lathe_status run(const lathe_gang *gang, const lathe_call *call, lathe_diag *diag)
{
    const lathe_problem *p = call->problem;
    const lathe_buffer *x = &call->in[0];
    int64_t count = 1, begin, end;
    if (!lt_extents_sane(x->rank, x->dims)) {
        return LT_FAIL(diag, LATHE_OVERFLOW, p->op, NULL, "extents whose product overflows");
    }
    for (int i = 0; i < x->rank; i++) {
        count *= x->dims[i];
    }
    float low, high;
    range(x->data, count, &low, &high);
    float width = high - low, scale = (width == 0.0f ? 1.0f : width) / 255.0f;
    uint8_t zero = saturate(-low / scale, 0);
    lathe_gang_split(gang, count, 64, &begin, &end);
    if (!(p->out[0].flags & LATHE_OPERAND_ABSENT) && end > begin) {
        quantize((uint8_t *)call->out[0].data + begin, (const float *)x->data + begin, end - begin, scale, zero);
    }
    if (gang->index == 0 && p->n_out > 1 && !(p->out[1].flags & LATHE_OPERAND_ABSENT)) {
        *(float *)call->out[1].data = scale;
    }
    if (gang->index == 0 && p->n_out > 2 && !(p->out[2].flags & LATHE_OPERAND_ABSENT)) {
        *(uint8_t *)call->out[2].data = zero;
    }
    return LATHE_OK;
}

LT_TACTICS(LT_EACH(dynamic_quantize)) = {
    { .struct_size = sizeof(lathe_tactic),
      .name = "quantize.dynamic." ISA_NAME,
      .version = 1,
      .summary = "DynamicQuantizeLinear in two passes, plain or channels last",
      .ops = "DynamicQuantizeLinear",
      .device = LATHE_SPACE_HOST,
      .cpu_features = ISA_FEATURES,
      .configs = 2,
      .fits = fits,
      .run = run },
    { .name = NULL },
};
