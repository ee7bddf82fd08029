/*
 * study_random.c - random values of every kind: tensors, sequences, optionals, maps, texts. For `lathe bench`, `run`, `compare` and `debug reduce`.
 *
 * The rule (docs/onnx.md): numbers as lt_random_fill makes them, texts the decimal digits of such integers; a sequence has three items, an optional has
 * its value, a map has four entries under the keys 0 to 3 (as texts where keys are texts). Items have the extents that the type fixes, 1 where it is
 * open, and rank 1 where even that is unknown.
 */
#include "study/study.h"

enum { ITEMS = 3, ENTRIES = 4 };

/* Numbers below 100 as text, which every operator on texts can take. */
static void fill_texts(lt_tensor *t, uint64_t seed)
{
    static const char digits[] = "0\0001\0002\0003\0004\0005\0006\0007\0008\0009";
    static const char tens[] = "10111213141516171819202122232425262728293031323334353637383940414243444546474849"
                               "50515253545556575859606162636465666768697071727374757677787980818283848586878889"
                               "90919293949596979899";
    int64_t count = lt_tensor_count(t);
    for (int64_t i = 0; i < count; i++) {
        uint32_t n = (uint32_t)(lt_random_unit(seed, 0, (uint64_t)i) * 100);
        ((lt_string *)t->data)[i] = n < 10 ? (lt_string){ digits + 2 * n, 1 } : (lt_string){ tens + 2 * (n - 10), 2 };
    }
}

lathe_status lt_study_random_tensor(const lathe_io *io, int rank, const int64_t *dims, uint64_t seed, lt_arena *arena, lt_tensor *out,
                                    lathe_diag *diag)
{
    LT_TRY(lt_tensor_alloc(arena, out, io->dtype, rank, dims, io->name, diag));
    out->struct_size = sizeof *out;
    if (io->dtype != LATHE_DTYPE_STRING) {
        return lt_random_fill(out, seed, diag);
    }
    fill_texts(out, seed);
    return LATHE_OK;
}

/* rows: how many values to stack, -1: just one. Extents of a stack are behind the number of rows. */
static lathe_status make_leaf(const lathe_io *io, int64_t rows, uint64_t seed, lt_arena *arena, lt_any *out, lathe_diag *diag)
{
    lathe_io leaf = *io;
    int64_t dims[LATHE_MAX_RANK] = { rows };
    int at = rows >= 0, rank = io->rank >= 0 ? io->rank : rows < 0;
    if (at + rank > LATHE_MAX_RANK) {
        return LT_FAIL(diag, LATHE_UNSUPPORTED, io->name, NULL, "the values of a map have %d dimensions", rank);
    }
    for (int i = 0; i < rank; i++) {
        dims[at + i] = i < io->rank && io->dims[i] >= 0 ? io->dims[i] : 1;
    }
    leaf.dtype = io->dtype == LATHE_DTYPE_UNDEFINED ? LATHE_DTYPE_F32 : io->dtype;
    *out = (lt_any){ .cls = LT_TENSOR };
    return lt_study_random_tensor(&leaf, at + rank, dims, seed, arena, &out->tensor, diag);
}

static lathe_status make_keys(lathe_dtype dtype, const char *name, lt_arena *arena, lt_tensor *out, lathe_diag *diag)
{
    static const char *const texts[ENTRIES] = { "0", "1", "2", "3" };
    int64_t count = ENTRIES;
    LT_TRY(lt_tensor_alloc(arena, out, dtype, 1, &count, name, diag));
    for (int64_t i = 0; i < count; i++) {
        if (dtype == LATHE_DTYPE_STRING) {
            ((lt_string *)out->data)[i] = (lt_string){ texts[i], 1 };
        } else {
            lt_store_i64(dtype, out->data, i, i);
        }
    }
    return LATHE_OK;
}

static lathe_status make(const lathe_io *io, int depth, uint64_t seed, lt_arena *arena, lt_any *out, lathe_diag *diag)
{
    lathe_kind kind = depth < LATHE_MAX_NESTING ? io->kinds[depth] : LATHE_KIND_TENSOR;
    if (kind == LATHE_KIND_TENSOR) {
        return make_leaf(io, -1, seed, arena, out, diag);
    }
    size_t count = kind == LATHE_KIND_SEQUENCE ? ITEMS : kind == LATHE_KIND_MAP ? 2 : 1;
    *out = (lt_any){ .cls = (lt_value_class)kind, .items = LT_ARENA_ARRAY(arena, lt_any, count), .count = count };
    if (!out->items) {
        return LT_OOM(diag);
    }
    if (kind == LATHE_KIND_MAP) {
        lathe_dtype key = io->keys[depth] == LATHE_DTYPE_UNDEFINED ? LATHE_DTYPE_I64 : io->keys[depth];
        out->items[0] = (lt_any){ .cls = LT_TENSOR };
        LT_TRY(make_keys(key, io->name, arena, &out->items[0].tensor, diag));
        return make_leaf(io, ENTRIES, seed, arena, &out->items[1], diag);
    }
    for (size_t i = 0; i < count; i++) { /* kinds end with tensors */
        LT_TRY(make(io, depth + 1, seed + 1000003 * i, arena, &out->items[i], diag));
    }
    return LATHE_OK;
}

lathe_status lt_study_random_any(const lathe_io *io, uint64_t seed, lt_arena *arena, const lt_any **out, lathe_diag *diag)
{
    lt_any *made = LT_ARENA_NEW(arena, lt_any);
    if (!made) {
        return LT_OOM(diag);
    }
    *out = made;
    return make(io, 0, seed, arena, made, diag);
}
