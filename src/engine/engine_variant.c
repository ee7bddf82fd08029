/*
 * engine_variant.c - which of a plan's variants a machine takes. Used by rt when a plan is loaded, by api when one is re-tuned, and by whoever looks into a plan.
 *
 * The rule (docs/engine.md): of the variants for the device whose features the machine has, those with the most features; among these the one with the most
 * threads that are not above those given, else the one with the fewest; then the first in the table.
 */
#include "engine/engine.h"
#include <string.h>

/* The features of a level come together: what one tactic needs of them says nothing about how much a variant was made for. */
static uint64_t whole_level(uint64_t features)
{
    uint64_t avx2 = lt_cpu_level("avx2") & (((uint64_t)1 << LT_CPU_FEATURES) - 1);
    return features & avx2 ? features | avx2 : features;
}

static int count_bits(uint64_t x)
{
    int n = 0;
    for (; x; x &= x - 1) {
        n++;
    }
    return n;
}

bool lt_plan_variant_features(const lt_plan_variant *v, uint64_t *features)
{
    *features = 0;
    for (uint32_t i = 0; i < v->n_features; i++) {
        int f = 0;
        while (f < LT_CPU_FEATURES && !lt_streq(v->features[i], lt_cpu_feature_name((lt_cpu_feature)f))) {
            f++;
        }
        if (f == LT_CPU_FEATURES) {
            return false;
        }
        *features |= (uint64_t)1 << f;
    }
    return true;
}

const char *lt_plan_variant_lacks(const lt_plan_variant *v, uint64_t features)
{
    for (uint32_t i = 0; i < v->n_features; i++) {
        bool found = false;
        for (int f = 0; f < LT_CPU_FEATURES && !found; f++) {
            found = (features >> f & 1) && lt_streq(v->features[i], lt_cpu_feature_name((lt_cpu_feature)f));
        }
        if (!found) {
            return v->features[i];
        }
    }
    return NULL;
}

bool lt_plan_variants_alike(const lt_plan_variant *a, const lt_plan_variant *b)
{
    uint64_t x, y;
    return lt_streq(a->device, b->device) && a->threads == b->threads && lt_plan_variant_features(a, &x) && lt_plan_variant_features(b, &y) &&
           whole_level(x) == whole_level(y);
}

static bool better(const lt_plan_variant *a, const lt_plan_variant *b, uint32_t threads)
{
    uint64_t x, y;
    (void)lt_plan_variant_features(a, &x);
    (void)lt_plan_variant_features(b, &y);
    int more = count_bits(whole_level(x)) - count_bits(whole_level(y));
    bool a_above = a->threads > threads, b_above = b->threads > threads;
    if (more != 0 || a_above != b_above) {
        return more != 0 ? more > 0 : b_above;
    }
    return a_above ? a->threads < b->threads : a->threads > b->threads;
}

uint32_t lt_plan_pick(const lt_plan *plan, const char *device, uint64_t features, int threads, const bool *barred)
{
    uint32_t best = LT_PLAN_NONE;
    for (uint32_t i = 0; i < plan->n_variants; i++) {
        const lt_plan_variant *v = &plan->variants[i];
        if ((device && !lt_streq(device, v->device)) || (barred && barred[i]) || lt_plan_variant_lacks(v, features)) {
            continue;
        }
        const lt_plan_variant *b = best == LT_PLAN_NONE ? NULL : &plan->variants[best];
        if (!b || (lt_streq(v->device, b->device) && better(v, b, threads > 0 ? (uint32_t)threads : 1))) { /* no device: that of the first that fits */
            best = i;
        }
    }
    return best;
}
