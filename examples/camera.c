/*
 * camera.c - a camera-like loop: while one context works on a frame, the next frame is made ready in the other. Both share one engine, so the weights are
 * there once. Without a model it makes a small one.
 *
 *     camera [MODEL.onnx|PLAN [FRAMES]]        the first input is the picture: float, free extents count as 1, rows and columns as 64
 */
#define _POSIX_C_SOURCE 200809L /* clock_gettime */
#include <lathe/builder.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char small_net[] = "blur (f32[1,3,64,64] frame) => (f32[1,8,64,64] y)\n<f32[8,3,3,3] w = rand(1)>\n{\n"
                                "  c = Conv <pads = [1,1,1,1]> (frame, w)\n  y = Relu(c)\n}\n";

typedef struct slot { /* one frame on its way */
    lathe_context *context;
    lathe_tensor frame;
    const char *input, *output;
    lathe_status status;
} slot;

static void fail(lathe_diag *diag)
{
    lathe_diag_print(diag, stderr);
    exit(1);
}

static void check(lathe_status status, lathe_diag *diag)
{
    if (status != LATHE_OK) {
        fail(diag);
    }
}

/* A plan is loaded; a model is built in memory first, and its plan must outlive the engine. */
static lathe_engine *open_engine(const char *path, lathe_plan **plan, lathe_diag *diag)
{
    lathe_engine *engine = NULL;
    lathe_network *net;
    size_t size;
    if (path && (strlen(path) < 5 || strcmp(path + strlen(path) - 5, ".onnx") != 0)) {
        check(lathe_engine_load(NULL, path, NULL, &engine, diag), diag);
        return engine;
    }
    check(path ? lathe_network_from_onnx_file(path, NULL, &net, diag)
               : lathe_network_from_text(small_net, strlen(small_net), NULL, &net, diag),
          diag);
    check(lathe_build(net, NULL, plan, diag), diag);
    lathe_network_destroy(net);
    const void *data = lathe_plan_data(*plan, &size);
    check(lathe_engine_load_memory(NULL, data, size, NULL, &engine, diag), diag);
    return engine;
}

/* "Captures" frame number n: a bright bar that moves. */
static void capture(slot *s, int n)
{
    float *pixels = s->frame.data;
    size_t count = s->frame.bytes / sizeof *pixels, width = (size_t)s->frame.dims[s->frame.rank - 1];
    for (size_t i = 0; i < count; i++) {
        pixels[i] = (i % width) == (size_t)n % width ? 1.0f : 0.1f;
    }
}

static void *infer(void *user) /* a thread of its own: diagnostics belong to one thread, so there are none here */
{
    slot *s = user;
    s->status = lathe_context_run(s->context, NULL);
    return NULL;
}

static void prepare(slot *s, const lathe_engine *engine, lathe_diag *diag)
{
    lathe_io in = { .struct_size = sizeof in }, out = { .struct_size = sizeof out };
    check(lathe_engine_io(engine, 0, &in, diag), diag);
    check(lathe_engine_io(engine, lathe_engine_inputs(engine), &out, diag), diag);
    s->input = in.name, s->output = out.name;
    s->frame =
        (lathe_tensor){ .struct_size = sizeof s->frame, .dtype = in.dtype, .rank = in.rank, .bytes = sizeof(float) };
    for (int i = 0; i < in.rank; i++) {
        s->frame.dims[i] = in.dims[i] > 0 ? in.dims[i] : i + 2 < in.rank ? 1 : 64;
        s->frame.bytes *= (size_t)s->frame.dims[i];
    }
    if (in.dtype != LATHE_DTYPE_F32 || in.rank < 1 || !(s->frame.data = malloc(s->frame.bytes))) {
        fprintf(stderr, "camera: the first input is no float picture\n");
        exit(1);
    }
    check(lathe_context_create(engine, NULL, &s->context, diag), diag);
    check(lathe_context_set_input(s->context, s->input, &s->frame, diag), diag);
}

int main(int argc, char **argv)
{
    int frames = argc > 2 ? atoi(argv[2]) : 100;
    lathe_diag *diag = lathe_diag_create(NULL);
    lathe_plan *plan = NULL;
    lathe_engine *engine = open_engine(argc > 1 ? argv[1] : NULL, &plan, diag);
    slot slots[2] = { 0 };
    struct timespec start, end;
    double sum = 0;

    prepare(&slots[0], engine, diag);
    prepare(&slots[1], engine, diag);
    clock_gettime(CLOCK_MONOTONIC, &start);
    capture(&slots[0], 0);
    for (int n = 0; n < frames; n++) {
        slot *now = &slots[n % 2], *next = &slots[(n + 1) % 2];
        pthread_t thread;
        lathe_tensor y = { .struct_size = sizeof y };
        if (pthread_create(&thread, NULL, infer, now) != 0) {
            return 1;
        }
        capture(next, n + 1); /* while `now` is worked on */
        pthread_join(thread, NULL);
        check(now->status, diag);
        check(lathe_context_output(now->context, now->output, &y, diag), diag);
        sum += y.dtype == LATHE_DTYPE_F32 && y.bytes ? *(const float *)y.data : 0;
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    double seconds = (double)(end.tv_sec - start.tv_sec) + 1e-9 * (double)(end.tv_nsec - start.tv_nsec);
    printf("%d frames, %.1f a second; the first numbers of all results sum to %g\n", frames, frames / seconds, sum);
    for (int i = 0; i < 2; i++) {
        lathe_context_destroy(slots[i].context);
        free(slots[i].frame.data);
    }
    lathe_engine_destroy(engine), lathe_plan_destroy(plan), lathe_diag_destroy(diag);
    return 0;
}
