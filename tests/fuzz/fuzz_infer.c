/*
 * fuzz_infer.c - any bytes as an ONNX model that is imported, built and, where it has no inputs, run: nothing else may happen than a named error. Memory comes
 * from a small purse, so that bombs end soon; models with loops are not run, since a loop may go on for as long as it says.
 *
 * The mutator works on the tree of messages, most of the time: fields are dropped, repeated, exchanged, and numbers become odd ones.
 */
#include "support/pb_tree.h"

#include <lathe/builder.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);

enum { PURSE = 8 << 20, MODEL_GRAPH = 7 };

typedef struct purse {
    lathe_allocator api;
    size_t used;
} purse;

static void *purse_alloc(void *user, size_t size, size_t align)
{
    purse *p = user;
    if (size > PURSE - p->used) {
        return NULL;
    }
    align = align < 16 ? 16 : align;
    size_t room = (size + align - 1) / align * align;
    void *block = aligned_alloc(align, room > 0 ? room : align);
    p->used += block != NULL ? size : 0;
    return block;
}

static void purse_release(void *user, void *block, size_t size, size_t align)
{
    (void)align;
    ((purse *)user)->used -= block != NULL ? size : 0;
    free(block);
}

static void require(int condition, const char *what, const lathe_diag *diag)
{
    if (!condition) {
        fprintf(stderr, "fuzz_infer: %s\n", what);
        lathe_diag_print(diag, stderr);
        abort();
    }
}

/* Does the text of the network hold a body that repeats? */
static int repeats(const lathe_network *network)
{
    char *text = NULL;
    size_t length;
    int found = lathe_network_text(network, &text, &length, NULL) != LATHE_OK || strstr(text, "Loop") != NULL || strstr(text, "Scan") != NULL ||
                strstr(text, "SequenceMap") != NULL;
    lathe_text_free(network, text);
    return found;
}

static lathe_status run(purse *p, const lathe_plan *plan, lathe_diag *diag)
{
    lathe_runtime_options options = { .struct_size = sizeof options, .allocator = &p->api, .threads = 1 };
    lathe_runtime *runtime = NULL;
    lathe_engine *engine = NULL;
    lathe_context *context = NULL;
    size_t size;
    const void *data = lathe_plan_data(plan, &size);
    lathe_status status = lathe_runtime_create(&options, &runtime, diag);
    status = status == LATHE_OK ? lathe_engine_load_memory(runtime, data, size, NULL, &engine, diag) : status;
    require(status != LATHE_BAD_PLAN, "what was built does not load", diag);
    status = status == LATHE_OK ? lathe_context_create(engine, NULL, &context, diag) : status;
    status = status == LATHE_OK ? lathe_context_run(context, diag) : status;
    lathe_context_destroy(context);
    lathe_engine_destroy(engine);
    lathe_runtime_destroy(runtime);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    purse p = { .api = { .struct_size = sizeof(lathe_allocator), .alloc = purse_alloc, .release = purse_release } };
    lathe_build_options options = { .struct_size = sizeof options, .threads = 1, .allocator = &p.api };
    lathe_diag *diag = lathe_diag_create(NULL);
    lathe_network *network = NULL;
    lathe_plan *plan = NULL;
    p.api.user = &p;
    lathe_status status = lathe_network_from_onnx(data, size, NULL, &p.api, &network, diag);
    if (status == LATHE_OK) {
        status = lathe_build(network, &options, &plan, diag);
    }
    if (status == LATHE_OK && !repeats(network)) {
        status = run(&p, plan, diag);
    }
    require(status != LATHE_INTERNAL, "a broken promise", diag);
    require(status == LATHE_OK || lathe_diag_total(diag) > 0, "a refusal without a reason", diag);
    lathe_plan_destroy(plan);
    lathe_network_destroy(network);
    require(p.used == 0, "memory was lost", diag);
    lathe_diag_destroy(diag);
    return 0;
}

/* ---- The mutator ---- */

static uint32_t draw(uint64_t *random, size_t below)
{
    *random = *random * 6364136223846793005u + 1442695040888963407u;
    return below == 0 ? 0 : (uint32_t)((*random >> 33) % below);
}

static void change_number(pb_item *item, uint64_t *random)
{
    static const uint64_t odd[] = { 0, 1, 2, 3, 7, 16, 17, 255, 65536, UINT64_MAX, (uint64_t)1 << 31, (uint64_t)1 << 40, (uint64_t)1 << 62, INT64_MAX, (uint64_t)INT64_MIN };
    item->varint = draw(random, 3) == 0 ? item->varint + draw(random, 7) - 3 : odd[draw(random, LT_COUNT(odd))];
}

/* Breaks one thing in a message, or goes into one of its messages. */
static void change(pb_tree *tree, uint64_t *random, int depth)
{
    if (tree->count == 0) {
        return;
    }
    pb_item *item = &tree->items[draw(random, tree->count)], *other = &tree->items[draw(random, tree->count)];
    if (item->type == LT_WIRE_BYTES && item->sub == NULL && item->size > 1 && draw(random, 8) != 0) {
        item->sub = pb_parse(tree->arena, item->data, item->size);
    }
    if (item->sub != NULL && item->sub->count > 0 && depth < 12 && draw(random, 10) != 0) {
        change(item->sub, random, depth + 1);
        return;
    }
    switch (draw(random, 5)) {
    case 0:
        memmove(item, item + 1, (size_t)(tree->items + tree->count - item - 1) * sizeof *item);
        tree->count--;
        break;
    case 1: { /* repeat */
        pb_item copy = *item;
        pb_add_int(tree, copy.number, 0);
        tree->items[tree->count - 1] = copy;
        break;
    }
    case 2: { /* what stands in another field */
        uint32_t number = item->number;
        *item = *other;
        item->number = draw(random, 2) == 0 ? number : item->number;
        break;
    }
    default:
        if (item->type == LT_WIRE_BYTES && item->sub == NULL && item->size > 0) {
            unsigned char *copy = lt_arena_copy(tree->arena, item->data, item->size, 1);
            copy[draw(random, item->size)] = (unsigned char)draw(random, 256);
            item->data = copy;
        } else {
            change_number(item, random);
        }
        break;
    }
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
    uint64_t random = seed * 2654435761u + 1;
    lt_arena arena;
    lt_arena_init(&arena, NULL);
    pb_tree *tree = draw(&random, 16) == 0 ? NULL : pb_parse(&arena, data, size);
    if (tree == NULL) {
        size = LLVMFuzzerMutate(data, size, max_size);
    } else {
        lt_buf buf;
        lt_buf_init(&buf, NULL);
        for (uint32_t n = 1 + draw(&random, 3); n > 0; n--) {
            change(tree, &random, 0);
        }
        pb_write(tree, &buf);
        if (!buf.failed && buf.length > 0 && buf.length <= max_size) {
            memcpy(data, buf.data, buf.length);
            size = buf.length;
        }
        lt_buf_free(&buf);
    }
    lt_arena_destroy(&arena);
    return size;
}
