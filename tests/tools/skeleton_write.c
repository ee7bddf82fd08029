/*
 * skeleton_write.c - skeleton-write FOLDER: each of the eight skeletons, filled, as FOLDER/NAME.onnx, its inputs as raw numbers in FOLDER/NAME.in0 and in1, and
 * a line "NAME<tab>STEP<tab>DTYPE<tab>DIMS" for each. tests/peers/skeleton_outputs.py runs ONNX Runtime on them and stores what it gives.
 */
#include "support/skeleton.h"
#include <stdio.h>
#include <stdlib.h>

static lathe_status write_inputs(const skeleton *s, const char *folder)
{
    for (int set = 0; set < SK_SETS; set++) {
        char path[4096];
        lt_arena arena;
        lathe_tensor t;
        lt_arena_init(&arena, NULL);
        snprintf(path, sizeof path, "%s/%s.in%d", folder, s->name, set);
        lathe_status status = skeleton_input(s, set, &arena, &t);
        status = status ? status : lt_file_write(path, t.data, t.bytes, NULL);
        lt_arena_destroy(&arena);
        LT_TRY(status);
    }
    return LATHE_OK;
}

static lathe_status write_model(const skeleton *s, const char *folder)
{
    char path[4096];
    size_t size;
    void *bytes = skeleton_fill(s, &size);
    if (!bytes) {
        return LATHE_BAD_MODEL;
    }
    snprintf(path, sizeof path, "%s/%s.onnx", folder, s->name);
    lathe_status status = lt_file_write(path, bytes, size, NULL);
    free(bytes);
    return status;
}

int main(int argc, char **argv)
{
    const skeleton *s;
    if (argc != 2) {
        fprintf(stderr, "usage: skeleton-write FOLDER\n");
        return 2;
    }
    for (size_t i = 0; (s = skeleton_at(i)) != NULL; i++) {
        lathe_status status = write_model(s, argv[1]);
        status = status ? status : write_inputs(s, argv[1]);
        if (status != LATHE_OK) {
            fprintf(stderr, "skeleton-write: %s: %s\n", s->name, lathe_status_name(status));
            return 4;
        }
        printf("%s\t%lld\t%s\t", s->name, (long long)s->step, s->tokens ? "int64" : "float32");
        for (int d = 0; d < s->rank; d++) {
            printf("%s%lld", d ? "," : "", (long long)s->dims[d]);
        }
        printf("\n");
    }
    return 0;
}
