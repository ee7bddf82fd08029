/*
 * demo_pictures.c - the demo's first part: two photographs at twice the size, by the network and by cubic interpolation.
 */
#include "demo.h"
#include <math.h>
#include <string.h>

/* ---- Cubic interpolation ---- */

/* Catmull-Rom's cubic. */
static double cubic(double x)
{
    x = fabs(x);
    return x < 1 ? (1.5 * x - 2.5) * x * x + 1 : x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
}

/* One line of `n` points, `stride` apart, to 2n points. */
static void stretch(const float *src, int64_t n, int64_t src_stride, float *dst, int64_t dst_stride)
{
    for (int64_t o = 0; o < 2 * n; o++) {
        double at = ((double)o + 0.5) / 2 - 0.5, sum = 0, total = 0;
        int64_t first = (int64_t)floor(at) - 1;
        for (int64_t i = first; i < first + 4; i++) {
            if (i >= 0 && i < n) {
                double w = cubic(at - (double)i);
                total += w;
                sum += w * (double)src[i * src_stride];
            }
        }
        dst[o * dst_stride] = (float)(sum / total);
    }
}

lathe_status bicubic_x2(lt_arena *arena, const lathe_tensor *low, lathe_tensor *out, lathe_diag *diag)
{
    int64_t dims[4] = { 1, low->dims[1], 2 * low->dims[2], 2 * low->dims[3] }, h = low->dims[2], w = low->dims[3];
    LT_TRY(lt_tensor_alloc(arena, out, LATHE_DTYPE_F32, 4, dims, "bicubic", diag));
    out->struct_size = sizeof *out;
    float *rows = LT_ARENA_ARRAY(arena, float, (size_t)(2 * h * w) + 1);
    if (!rows) {
        return LT_OOM(diag);
    }
    for (int64_t c = 0; c < dims[1]; c++) {
        const float *src = (const float *)low->data + c * h * w;
        float *dst = (float *)out->data + c * 4 * h * w;
        for (int64_t x = 0; x < w; x++) {
            stretch(src + x, h, w, rows + x, w);
        }
        for (int64_t y = 0; y < 2 * h; y++) {
            stretch(rows + y * w, w, 1, dst + y * 2 * w, 1);
        }
    }
    return LATHE_OK;
}

double psnr_of(const lathe_tensor *a, const lathe_tensor *truth)
{
    int64_t n = lt_tensor_count(a);
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        double d = lt_load_f64(a->dtype, a->data, i) - lt_load_f64(truth->dtype, truth->data, i);
        sum += d * d;
    }
    return 10 * log10((double)n / sum);
}

/* ---- The part ---- */

/* Left and right half of one picture. */
static lathe_status beside(const demo *d, const char *name, const lathe_tensor *left, const lathe_tensor *right)
{
    tool *t = d->t;
    int64_t h = left->dims[2], w = left->dims[3], dims[4] = { 1, 3, h, 2 * w };
    data_item item = { .name = "" };
    const char *path = demo_path(d, d->folder, name, ".png");
    LT_TRY(lt_tensor_alloc(&t->arena, &item.tensor, LATHE_DTYPE_F32, 4, dims, name, t->diag));
    for (int64_t row = 0; row < 3 * h; row++) {
        memcpy((float *)item.tensor.data + row * 2 * w, (const float *)left->data + row * w, (size_t)w * sizeof(float));
        memcpy((float *)item.tensor.data + row * 2 * w + w, (const float *)right->data + row * w,
               (size_t)w * sizeof(float));
    }
    return path ? data_write(path, &item, 1, t->diag) : LT_OOM(t->diag);
}

static lathe_status read_one(const demo *d, const char *name, const char *ending, lathe_tensor *out)
{
    data_set set;
    const char *path = demo_path(d, d->data, name, ending);
    LT_TRY(path ? data_read(path, NULL, &d->t->arena, &set, d->t->diag) : LT_OOM(d->t->diag));
    *out = set.items[0].tensor;
    return LATHE_OK;
}

static lathe_status enlarge(const demo *d, demo_model *m, const char *name)
{
    tool *t = d->t;
    lathe_tensor low, truth, cubic_result, high = { .struct_size = sizeof high };
    LT_TRY(read_one(d, name, "_low.png", &low));
    LT_TRY(read_one(d, name, "_high.png", &truth));
    LT_TRY(lathe_context_set_input(m->context, "low", &low, t->diag));
    LT_TRY(lathe_context_run(m->context, t->diag));
    LT_TRY(lathe_context_output(m->context, "high", &high, t->diag));
    LT_TRY(bicubic_x2(&t->arena, &low, &cubic_result, t->diag));
    printf("%s, %lldx%lld to %lldx%lld: bicubic %.2f dB, super_resolution_x2 %.2f dB\n", name, (long long)low.dims[3],
           (long long)low.dims[2], (long long)high.dims[3], (long long)high.dims[2], psnr_of(&cubic_result, &truth),
           psnr_of(&high, &truth));
    return beside(d, name, &cubic_result, &high);
}

lathe_status demo_pictures(const demo *d, demo_model *m)
{
    static const char *const shapes[] = { "low=1x3x200x300", NULL, "low=1x3x150x225", NULL, NULL };
    LT_TRY(demo_open(d, "super_resolution_x2", shapes, m));
    LT_TRY(enlarge(d, m, "coffee"));
    LT_TRY(enlarge(d, m, "chelsea"));
    return demo_time(d, m, "a 225x150 picture");
}
