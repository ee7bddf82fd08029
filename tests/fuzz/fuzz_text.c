/*
 * fuzz_text.c - fuzz target for the text IR. What can be read must verify, print, read back and print the same; nothing
 * else may happen than a named error. Memory comes from a small purse, so that a text that asks for a gigabyte ends
 * soon. A mutator of its own changes words, not bytes, most of the time: blind bytes seldom give another graph.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "graph/graph.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);

typedef struct purse {
    lathe_allocator api;
    size_t used;
} purse;

enum { BLOCK_MAX = 1 << 19, TOTAL_MAX = 1 << 24 };

static void *purse_alloc(void *user, size_t size, size_t align)
{
    purse *p = user;
    if (size > BLOCK_MAX || p->used + size > TOTAL_MAX) {
        return NULL;
    }
    void *block = aligned_alloc(align < 16 ? 16 : align, (size + 63) / 64 * 64);
    p->used += block == NULL ? 0 : size;
    return block;
}

static void purse_release(void *user, void *block, size_t size, size_t align)
{
    (void)align;
    ((purse *)user)->used -= size;
    free(block);
}

static lt_blob *find_blob(void *user, uint64_t hash)
{
    const lt_graph *graph = user;
    const lt_region *init = lt_region_get(graph, LT_INIT);
    for (uint32_t i = 0; i < init->n_inputs; i++) {
        lt_blob *blob = lt_value_get(graph, init->inputs[i])->blob;
        if (lt_blob_hash(blob) == hash) {
            return lt_blob_retain(blob);
        }
    }
    return NULL;
}

static void require(int condition, const char *what, const lt_buf *text)
{
    if (!condition) {
        fprintf(stderr, "fuzz_text: %s\n%s\n", what, lt_buf_str(text));
        abort();
    }
}

static void round_trip(const lt_graph *graph, const lathe_allocator *allocator)
{
    lt_text_options options = { .types = true, .labels = true, .origins = true, .inline_bytes = 64 };
    lt_buf first, second;
    lt_graph *again = NULL;
    lt_buf_init(&first, allocator);
    lt_buf_init(&second, allocator);
    lathe_status status = lt_graph_verify(graph, NULL);
    require(status == LATHE_OK || status == LATHE_OUT_OF_MEMORY, "a graph that was read does not verify", &first);
    status = lt_graph_print(graph, &options, &first, NULL);
    require(status == LATHE_OK || status == LATHE_OUT_OF_MEMORY, "it does not print", &first);
    if (status == LATHE_OK) {
        lathe_diag *diag = lathe_diag_create(NULL);
        status = lt_graph_parse(lt_buf_str(&first), first.length, "again", allocator, find_blob, (void *)graph, &again,
                                diag);
        if (status != LATHE_OK && status != LATHE_OUT_OF_MEMORY) {
            lathe_diag_print(diag, stderr);
        }
        lathe_diag_destroy(diag);
        require(status == LATHE_OK || status == LATHE_OUT_OF_MEMORY, "its print does not read back", &first);
    }
    if (status == LATHE_OK && lt_graph_print(again, &options, &second, NULL) == LATHE_OK) {
        require(strcmp(lt_buf_str(&first), lt_buf_str(&second)) == 0, "the second print differs from this one", &first);
        status = lt_graph_verify(again, NULL);
        require(status == LATHE_OK || status == LATHE_OUT_OF_MEMORY,
                "its print reads back as a graph that does not verify", &first);
    }
    lt_graph_destroy(again);
    lt_buf_free(&first);
    lt_buf_free(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    purse p = { .api = { .struct_size = sizeof(lathe_allocator), .alloc = purse_alloc, .release = purse_release } };
    lt_graph *graph = NULL;
    lathe_diag *diag = lathe_diag_create(NULL);
    p.api.user = &p;
    if (lt_graph_parse((const char *)data, size, "fuzz", &p.api, NULL, NULL, &graph, diag) == LATHE_OK) {
        round_trip(graph, &p.api);
        lt_graph_destroy(graph);
    } else if (lathe_diag_total(diag) == 0) {
        abort(); /* a refusal without a reason */
    }
    lathe_diag_destroy(diag);
    if (p.used != 0) {
        abort(); /* a leak */
    }
    return 0;
}

/* ---- Mutation by words ---- */

static const char *const words[] = {
    "f32",
    "i64",
    "bool",
    "string",
    "f16",
    "i4",
    "u8",
    "c64",
    "[N]",
    "[2,3]",
    "[?,2]",
    "[?0]",
    "[N*2+1]",
    "[]",
    "seq(",
    "opt(",
    "map(",
    "host ",
    "captures",
    "init",
    "assume",
    "on ",
    "@g2",
    "#0",
    "dims",
    "opset",
    "origins",
    "by ",
    "{",
    "}",
    "(",
    ")",
    "<",
    ">",
    "[",
    "]",
    ",",
    "=",
    "=>",
    "\"\"",
    "graph",
    "removed",
    "rand(",
    "iota",
    "splat",
    "blob(",
    "bits(",
    "0",
    "1",
    "-1",
    "2",
    "0.5",
    "nan",
    "inf",
    "0x10",
    "1e300",
    "axis",
    "perm",
    "axes",
    "value",
    "to",
    "body",
    ": ints",
    ": floats",
    "then_branch",
    "else_branch",
    "splat 1.0",
    "sign 0",
    "bytes 0x1",
    "9223372036854775807",
    "min(N,3)",
    "floordiv(N,2)",
    "mod(M,3)",
    "bcast(N,M)",
    "select(lt(N,3),N,M)",
    "true",
    "x",
    "y",
    "a",
    "w",
};

static uint32_t draw(uint64_t *random, size_t below)
{
    *random = *random * 6364136223846793005u + 1442695040888963407u;
    return below == 0 ? 0 : (uint32_t)((*random >> 33) % below);
}

static int kind_of(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
                   c == '/'
               ? 1
           : c <= ' ' ? 2
                      : 0;
}

/* Start and length of a word near a random place. */
static size_t pick_word(const uint8_t *data, size_t size, uint64_t *random, size_t *length)
{
    size_t at = draw(random, size), end;
    while (at > 0 && kind_of(data[at]) == 1 && kind_of(data[at - 1]) == 1) {
        at--;
    }
    for (end = at + 1; end < size && kind_of(data[at]) == 1 && kind_of(data[end]) == 1; end++) {
    }
    *length = size == 0 ? 0 : end - at;
    return at;
}

/* data[at, at + gone) becomes the `length` bytes of `text`; unchanged when they do not fit. */
static size_t splice(uint8_t *data, size_t size, size_t max_size, size_t at, size_t gone, const uint8_t *text,
                     size_t length)
{
    if (size - gone + length > max_size) {
        return size;
    }
    memmove(data + at + length, data + at + gone, size - at - gone);
    memcpy(data + at, text, length);
    return size - gone + length;
}

static size_t put_word(uint8_t *data, size_t size, size_t max_size, size_t at, size_t gone, uint64_t *random)
{
    char text[96];
    size_t ops = 0;
    while (lt_op_at(ops) != NULL) {
        ops++;
    }
    const char *word =
        draw(random, 4) == 0 && ops > 0 ? lt_op_at(draw(random, ops))->name : words[draw(random, LT_COUNT(words))];
    int length = snprintf(text, sizeof text, " %s ", word);
    return splice(data, size, max_size, at, gone, (const uint8_t *)text, (size_t)length);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
    uint64_t random = seed * 2654435761u + 1;
    if (draw(&random, 8) == 0 || size == 0) {
        return LLVMFuzzerMutate(data, size, max_size);
    }
    for (uint32_t n = 1 + draw(&random, 4); n > 0 && size > 0; n--) {
        size_t length, other_length;
        size_t at = pick_word(data, size, &random, &length), other = pick_word(data, size, &random, &other_length);
        uint8_t copy[256];
        switch (draw(&random, 5)) {
        case 0: /* replace by a known word */
            size = put_word(data, size, max_size, at, length, &random);
            break;
        case 1: /* insert one */
            size = put_word(data, size, max_size, at, 0, &random);
            break;
        case 2: /* drop */
            size = splice(data, size, max_size, at, length, copy, 0);
            break;
        case 3: /* replace by another word of the text */
            other_length = other_length > sizeof copy ? sizeof copy : other_length;
            memcpy(copy, data + other, other_length);
            size = splice(data, size, max_size, at, length, copy, other_length);
            break;
        default: /* repeat a stretch elsewhere */
            other_length = 1 + draw(&random, sizeof copy);
            other_length = other_length > size - other ? size - other : other_length;
            memcpy(copy, data + other, other_length);
            size = splice(data, size, max_size, at, 0, copy, other_length);
            break;
        }
    }
    return size;
}
