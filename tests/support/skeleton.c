/*
 * skeleton.c - see skeleton.h. Files are read and written with protobuf-c's code for onnx.proto, not with Lathe's own reader, which refuses initializers
 * without data.
 */
#define _GNU_SOURCE
#include "support/skeleton.h"

#ifdef LATHE_HAVE_ONNX_PB
#include "onnx.pb-c.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FOLDER LATHE_SOURCE_DIR "/tests/data/skeletons/"

static const skeleton skeletons[] = {
    { "resnet18.ts", 4, { 1, 3, 224, 224 }, .limit = 1e-5, .step = 1 },
    { "mobilenet_v2.ts", 4, { 1, 3, 224, 224 }, .limit = 1e-5, .step = 1 },
    { "whisper_tiny_encoder.ts", 3, { 1, 80, 3000 }, .spectrogram = true, .limit = 1e-5, .step = 229 },
    { "lstm_tagger.ts", 2, { 1, 32 }, .tokens = true, .limit = 1e-5, .step = 1 },
    { "ssdlite320.ts",
      4,
      { 1, 3, 320, 320 },
      .outputs = { "/Reshape_output_0", "/Softmax_output_0" },
      .limit = 1e-5,
      .step = 97 },
    { "edsr_x2.ts", 4, { 1, 3, 24, 32 }, .limit = 1e-5, .step = 7 },
    { "resnet18_qat_residual.ts", 4, { 1, 3, 224, 224 }, .limit = 2e-2, .step = 1 },
    { "unet.ts", 4, { 1, 3, 256, 256 }, .limit = 1e-5, .step = 499 },
};

const skeleton *skeleton_at(size_t index)
{
    return index < LT_COUNT(skeletons) ? &skeletons[index] : NULL;
}

/* Normal numbers with the mean, deviation and limits of the metadata entry "fill:NAME"; the seed is the name's CRC. */
static bool fill(Onnx__TensorProto *t, const char *statistics)
{
    double mean, deviation, low, high;
    size_t count = 1;
    if (sscanf(statistics, "[%lf, %lf, %lf, %lf]", &mean, &deviation, &low, &high) != 4 || t->data_type != 1) {
        return false;
    }
    for (size_t d = 0; d < t->n_dims; d++) {
        count *= (size_t)t->dims[d];
    }
    float *data = malloc(count * sizeof *data + 1);
    if (!data) {
        return false;
    }
    uint64_t seed = lt_crc32c(0, t->name, strlen(t->name));
    for (size_t i = 0; i < count; i++) {
        double x = lt_random_normal(seed, 0, i) * deviation + mean;
        data[i] = (float)(x < low ? low : x > high ? high : x);
    }
    t->raw_data.data = (uint8_t *)data;
    t->raw_data.len = count * sizeof *data;
    t->has_raw_data = 1;
    return true;
}

static bool fill_all(Onnx__ModelProto *model)
{
    for (size_t i = 0; i < model->graph->n_initializer; i++) {
        Onnx__TensorProto *t = model->graph->initializer[i];
        for (size_t k = 0; k < model->n_metadata_props; k++) {
            const char *key = model->metadata_props[k]->key;
            if (strncmp(key, "fill:", 5) == 0 && strcmp(key + 5, t->name) == 0 &&
                !fill(t, model->metadata_props[k]->value)) {
                return false;
            }
        }
    }
    return true;
}

/* The model's outputs become `names`, without types. What is replaced is lost to protobuf-c and freed here. */
static bool set_outputs(Onnx__ModelProto *model, const char *const *names)
{
    Onnx__GraphProto *g = model->graph;
    size_t count = 0;
    while (count < SK_OUTPUTS && names[count]) {
        count++;
    }
    if (count == 0) {
        return true;
    }
    for (size_t i = 0; i < g->n_output; i++) {
        onnx__value_info_proto__free_unpacked(g->output[i], NULL);
    }
    g->n_output = 0;
    g->output = realloc(g->output, count * sizeof *g->output);
    for (size_t i = 0; g->output && i < count; i++) {
        g->output[i] = malloc(sizeof **g->output);
        if (!g->output[i]) {
            return false;
        }
        onnx__value_info_proto__init(g->output[i]);
        g->output[i]->name = strdup(names[i]);
        g->n_output++;
    }
    return g->n_output == count;
}

void *skeleton_fill(const skeleton *s, size_t *size)
{
    char path[512];
    lt_file file;
    unsigned char *bytes = NULL;
    snprintf(path, sizeof path, FOLDER "%s.onnx", s->name);
    if (lt_file_map(&file, path, NULL) != LATHE_OK) {
        return NULL;
    }
    Onnx__ModelProto *model = onnx__model_proto__unpack(NULL, file.size, file.data);
    lt_file_close(&file);
    if (!model) {
        return NULL;
    }
    if (fill_all(model) && set_outputs(model, s->outputs)) {
        *size = onnx__model_proto__get_packed_size(model);
        bytes = malloc(*size);
        if (bytes) {
            onnx__model_proto__pack(model, bytes);
        }
    }
    onnx__model_proto__free_unpacked(model, NULL);
    return bytes;
}

lathe_status skeleton_input(const skeleton *s, int set, lt_arena *arena, lathe_tensor *out)
{
    lathe_status status =
        lt_tensor_alloc(arena, out, s->tokens ? LATHE_DTYPE_I64 : LATHE_DTYPE_F32, s->rank, s->dims, s->name, NULL);
    for (int64_t i = 0; status == LATHE_OK && i < lt_tensor_count(out); i++) {
        double u = lt_random_unit(99, (uint64_t)set, (uint64_t)i);
        if (s->tokens) {
            ((int64_t *)out->data)[i] = 1 + (int64_t)(u * 99);
        } else {
            ((float *)out->data)[i] = (float)(s->spectrogram ? lt_random_normal(99, (uint64_t)set, (uint64_t)i) : u);
        }
    }
    return status;
}
#else
const skeleton *skeleton_at(size_t index)
{
    (void)index;
    return NULL;
}

void *skeleton_fill(const skeleton *s, size_t *size)
{
    (void)s, (void)size;
    return NULL;
}

lathe_status skeleton_input(const skeleton *s, int set, lt_arena *arena, lathe_tensor *out)
{
    (void)s, (void)set, (void)arena, (void)out;
    return LATHE_UNSUPPORTED;
}
#endif
