/*
 * demo_text.c - the demo's third part: 200 characters of Python, one at a time, with keys and values of the past kept from step to step.
 */
#include "demo.h"
#include <math.h>
#include <string.h>

enum { LAYERS = 4, HEADS = 4, WIDTH = 32, ROWS = 256, SYMBOLS = 128, LENGTH = 200 };

/* Takes one character, gives the logits behind it. `past` and `present` take turns as the memory of the cache. */
typedef struct writer {
    const demo *d;
    demo_model *m;
    void *cache[2];
    size_t cache_bytes;
    int64_t length;
    int64_t character; /* bound as ids */
} writer;

static lathe_status step(writer *w, int64_t character, lathe_tensor *logits)
{
    w->character = character;
    tool *t = w->d->t;
    lathe_context *c = w->m->context;
    size_t bytes = (size_t)(LAYERS * 2 * HEADS * WIDTH) * (size_t)w->length * sizeof(float);
    lathe_tensor ids = { .struct_size = sizeof ids,
                         .dtype = LATHE_DTYPE_I64,
                         .rank = 2,
                         .dims = { 1, 1 },
                         .data = &w->character,
                         .bytes = sizeof w->character };
    lathe_tensor past = { .struct_size = sizeof past,
                          .dtype = LATHE_DTYPE_F32,
                          .rank = 6,
                          .dims = { LAYERS, 2, 1, HEADS, w->length, WIDTH },
                          .data = w->cache[w->length % 2],
                          .bytes = bytes };
    LT_TRY(lathe_context_set_input(c, "ids", &ids, t->diag));
    LT_TRY(lathe_context_set_input(c, "past", &past, t->diag));
    LT_TRY(lathe_context_set_output(c, "present", w->cache[(w->length + 1) % 2], w->cache_bytes, t->diag));
    LT_TRY(lathe_context_run(c, t->diag));
    LT_TRY(lathe_context_output(c, "logits", logits, t->diag));
    w->length++;
    return LATHE_OK;
}

/* A symbol by the softmax of the logits at temperature 0.7; the number in [0, 1) decides. */
static int64_t sample(const lathe_tensor *logits, double number)
{
    double weights[SYMBOLS], total = 0, most = -INFINITY;
    for (int i = 0; i < SYMBOLS; i++) {
        double x = lt_load_f64(logits->dtype, logits->data, i);
        most = x > most ? x : most;
    }
    for (int i = 0; i < SYMBOLS; i++) {
        weights[i] = exp((lt_load_f64(logits->dtype, logits->data, i) - most) / 0.7);
        total += weights[i];
    }
    number *= total;
    for (int i = 0; i < SYMBOLS; i++) {
        number -= weights[i];
        if (number < 0) {
            return i;
        }
    }
    return '\n';
}

static lathe_status write_text(writer *w)
{
    static const char prompt[] = "def ";
    tool *t = w->d->t;
    lathe_tensor logits = { .struct_size = sizeof logits };
    printf("\n%s", prompt);
    for (const char *p = prompt; *p; p++) {
        LT_TRY(step(w, *p, &logits));
    }
    for (uint64_t i = 0; i < LENGTH; i++) {
        int64_t next = sample(&logits, lt_random_unit(t->seed, 0, i));
        putchar((int)next);
        LT_TRY(step(w, next, &logits));
    }
    printf("\n(char_gpt_step, %d characters after \"%s\", seed %llu)\n", LENGTH, prompt, (unsigned long long)t->seed);
    return LATHE_OK;
}

lathe_status demo_text(const demo *d, demo_model *m)
{
    static const char *const shapes[] = { "ids=1x1", "past=4x2x1x4x0x32:4x2x1x4x128x32:4x2x1x4x255x32", NULL, NULL };
    writer w = { .d = d, .m = m, .cache_bytes = (size_t)(LAYERS * 2 * HEADS * WIDTH * ROWS) * sizeof(float) };
    LT_TRY(demo_open(d, "char_gpt_step", shapes, m));
    w.cache[0] = lt_arena_alloc(&d->t->arena, w.cache_bytes, 64);
    w.cache[1] = lt_arena_alloc(&d->t->arena, w.cache_bytes, 64);
    if (!w.cache[0] || !w.cache[1]) {
        return LT_OOM(d->t->diag);
    }
    LT_TRY(write_text(&w));
    /* The last step again, with all of its past. */
    w.length--;
    lathe_tensor logits = { .struct_size = sizeof logits };
    LT_TRY(step(&w, '\n', &logits));
    LT_TRY(demo_time(d, m, "one character after 203"));
    return lathe_context_set_output(m->context, "present", NULL, 0, d->t->diag);
}
