/*
 * study_metrics.c - how far two tensors are apart. Called by compare, conformance, debug and the tests.
 */
#include "study/study.h"
#include <math.h>
#include <string.h>

static bool comparable(const lt_tensor *a, const lt_tensor *b, char *why, size_t size)
{
    if (a->dtype != b->dtype) {
        snprintf(why, size, "type %s, expected %s", lt_dtype_get(a->dtype)->name, lt_dtype_get(b->dtype)->name);
        return false;
    }
    bool same = a->rank == b->rank;
    for (int i = 0; same && i < a->rank; i++) {
        same = a->dims[i] == b->dims[i];
    }
    if (!same) {
        char left[100], right[100];
        lt_tensor_describe(a, left, sizeof left);
        lt_tensor_describe(b, right, sizeof right);
        snprintf(why, size, "shape %.60s, expected %.60s", left, right);
    }
    return same;
}

static bool strings_differ(const lt_tensor *a, const lt_tensor *b, int64_t i)
{
    lt_string x, y;
    memcpy(&x, (const char *)a->data + (size_t)i * sizeof x, sizeof x);
    memcpy(&y, (const char *)b->data + (size_t)i * sizeof y, sizeof y);
    return x.length != y.length || (x.length > 0 && memcmp(x.data, y.data, x.length) != 0);
}

static bool close_enough(double x, double y, double rtol, double atol)
{
    if (isnan(x) || isnan(y)) {
        return isnan(x) && isnan(y);
    }
    return x == y || (!isinf(x) && !isinf(y) && fabs(x - y) <= atol + rtol * fabs(y));
}

/* Real and imaginary part; the latter 0 for plain floats. */
static void load_parts(const lt_tensor *t, int64_t i, double parts[2])
{
    parts[1] = 0;
    if (lt_dtype_get(t->dtype)->kind == LT_KIND_COMPLEX) {
        lt_load_complex(t->dtype, t->data, i, parts);
    } else {
        parts[0] = lt_load_f64(t->dtype, t->data, i);
    }
}

bool lt_study_allclose(const lt_tensor *a, const lt_tensor *b, double rtol, double atol, char *why, size_t why_size)
{
    if (!comparable(a, b, why, why_size)) {
        return false;
    }
    lt_dtype_kind kind = lt_dtype_get(a->dtype)->kind;
    int64_t n = lt_tensor_count(a), wrong = 0, first = -1;
    double x[2] = { 0 }, y[2] = { 0 };
    for (int64_t i = 0; i < n; i++) {
        bool differ;
        if (kind == LT_KIND_STRING) {
            differ = strings_differ(a, b, i);
        } else if (kind == LT_KIND_FLOAT || kind == LT_KIND_COMPLEX) {
            double p[2], q[2];
            load_parts(a, i, p);
            load_parts(b, i, q);
            differ = !close_enough(p[0], q[0], rtol, atol) || !close_enough(p[1], q[1], rtol, atol);
        } else {
            differ = lt_load_i64(a->dtype, a->data, i) != lt_load_i64(b->dtype, b->data, i);
        }
        wrong += differ;
        first = differ && first < 0 ? i : first;
    }
    if (wrong == 0) {
        return true;
    }
    if (kind == LT_KIND_STRING) {
        snprintf(why, why_size, "%lld of %lld strings differ, first [%lld]", (long long)wrong, (long long)n,
                 (long long)first);
    } else if (kind == LT_KIND_FLOAT || kind == LT_KIND_COMPLEX) {
        load_parts(a, first, x);
        load_parts(b, first, y);
        snprintf(why, why_size, "%lld of %lld elements differ, first [%lld]: %.9g, expected %.9g", (long long)wrong,
                 (long long)n, (long long)first, x[0], y[0]);
    } else {
        snprintf(why, why_size, "%lld of %lld elements differ, first [%lld]: %lld, expected %lld", (long long)wrong,
                 (long long)n, (long long)first, (long long)lt_load_i64(a->dtype, a->data, first),
                 (long long)lt_load_i64(b->dtype, b->data, first));
    }
    return false;
}

/* Running sums of lt_study_measure. */
typedef struct sums {
    double difference, reference, largest, largest_reference;
} sums;

static void measure_element(double x, double y, int64_t i, sums *s, lt_difference *out)
{
    if (isnan(x) || isnan(y)) {
        out->nans_apart += !isnan(x) || !isnan(y);
        return;
    }
    double d = x == y ? 0 : fabs(x - y), size = fabs(y);
    s->difference += d;
    s->reference += size;
    s->largest_reference = size > s->largest_reference ? size : s->largest_reference;
    if (d > s->largest || (d > 0 && out->worst < 0)) {
        s->largest = d;
        out->worst = i;
        out->worst_a = x;
        out->worst_b = y;
    }
}

void lt_study_measure(const lt_tensor *a, const lt_tensor *b, lt_difference *out)
{
    *out = (lt_difference){ .worst = -1 };
    out->comparable = comparable(a, b, out->why, sizeof out->why);
    if (!out->comparable) {
        return;
    }
    lt_dtype_kind kind = lt_dtype_get(a->dtype)->kind;
    sums s = { 0 };
    out->count = lt_tensor_count(a);
    for (int64_t i = 0; i < out->count; i++) {
        if (kind == LT_KIND_STRING) {
            measure_element(strings_differ(a, b, i) ? 0 : 1, 1, i, &s,
                            out); /* as if a right string were 1 and a wrong one 0 */
        } else if (kind == LT_KIND_COMPLEX) {
            double p[2], q[2];
            load_parts(a, i, p);
            load_parts(b, i, q);
            measure_element(p[0], q[0], i, &s, out);
            measure_element(p[1], q[1], i, &s, out);
        } else if (kind == LT_KIND_FLOAT) {
            measure_element(lt_load_f64(a->dtype, a->data, i), lt_load_f64(b->dtype, b->data, i), i, &s, out);
        } else {
            measure_element((double)lt_load_i64(a->dtype, a->data, i), (double)lt_load_i64(b->dtype, b->data, i), i, &s,
                            out);
        }
    }
    out->max_abs = s.largest;
    out->mean_abs = out->count > 0 ? s.difference / (double)out->count : 0;
    out->mean_rel = s.difference == 0 ? 0 : s.reference > 0 ? s.difference / s.reference : INFINITY;
    out->max_rel = s.largest == 0 ? 0 : s.largest_reference > 0 ? s.largest / s.largest_reference : INFINITY;
    out->equal = out->nans_apart == 0 && s.difference == 0;
}

bool lt_study_within(const lt_difference *difference, double rtol, double atol)
{
    return difference->comparable && difference->nans_apart == 0 &&
           (difference->mean_rel <= rtol || difference->mean_abs <= atol);
}
