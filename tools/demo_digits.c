/*
 * demo_digits.c - the demo's second part: 597 handwritten digits.
 */
#include "demo.h"
#include <string.h>

static const lathe_tensor *item(const data_set *set, const char *name)
{
    for (size_t i = 0; i < set->count; i++) {
        if (strcmp(set->items[i].name, name) == 0) {
            return &set->items[i].tensor;
        }
    }
    return NULL;
}

/* A few digits as text, so that one sees what was read. */
static void show(const lathe_tensor *images, const int64_t *read, int64_t count)
{
    static const char shades[] = " .:-=+*#%@";
    for (int64_t y = 0; y < 8; y++) {
        for (int64_t i = 0; i < count; i++) {
            for (int64_t x = 0; x < 8; x++) {
                double v = lt_load_f64(images->dtype, images->data, (i * 8 + y) * 8 + x);
                putchar(shades[(int)(v * 9.0 + 0.5)]);
            }
            fputs("   ", stdout);
        }
        putchar('\n');
    }
    for (int64_t i = 0; i < count; i++) {
        printf("   %lld       ", (long long)read[i]);
    }
    putchar('\n');
}

lathe_status demo_digits(const demo *d, demo_model *m)
{
    static const char *const shapes[] = { "image=1x1x8x8:597x1x8x8:597x1x8x8", NULL, NULL };
    tool *t = d->t;
    data_set set;
    lathe_tensor logits = { .struct_size = sizeof logits };
    const char *path = demo_path(d, d->data, "digits_data", ".npz");
    LT_TRY(path ? data_read(path, NULL, &t->arena, &set, t->diag) : LT_OOM(t->diag));
    const lathe_tensor *images = item(&set, "test_images"), *labels = item(&set, "test_labels");
    if (!images || !labels || images->rank != 4 || labels->dims[0] != images->dims[0] ||
        images->dims[2] * images->dims[3] != 64) {
        return LT_FAIL(t->diag, LATHE_BAD_MODEL, path, NULL, "the data of the digits are not as expected");
    }
    LT_TRY(demo_open(d, "digits_resnet", shapes, m));
    LT_TRY(lathe_context_set_input(m->context, "image", images, t->diag));
    LT_TRY(lathe_context_run(m->context, t->diag));
    LT_TRY(lathe_context_output(m->context, "logits", &logits, t->diag));
    int64_t n = images->dims[0], classes = logits.dims[1], right = 0;
    int64_t *read = LT_ARENA_ARRAY(&t->arena, int64_t, (size_t)n + 1);
    if (!read) {
        return LT_OOM(t->diag);
    }
    for (int64_t i = 0; i < n; i++) {
        for (int64_t c = 1; c < classes; c++) {
            bool more = lt_load_f64(logits.dtype, logits.data, i * classes + c) >
                        lt_load_f64(logits.dtype, logits.data, i * classes + read[i]);
            read[i] = more ? c : read[i];
        }
        right += read[i] == lt_load_i64(labels->dtype, labels->data, i);
    }
    putchar('\n');
    show(images, read, n < 8 ? n : 8);
    printf("digits_resnet reads %lld of %lld digits right\n", (long long)right, (long long)n);
    return demo_time(d, m, "597 digits");
}
