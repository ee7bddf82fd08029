/*
 * tile_run.c - runs tile programs that tile_program.c has prepared: loads, loops, stores of one tile after another. Called by the tactics of this folder.
 */
#include "backend/cpu/cpu_isa.h"
#include "backend/cpu/tile.h"
#include <string.h>

static bool is_half(lathe_dtype dtype)
{
    return dtype == LATHE_DTYPE_F16 || dtype == LATHE_DTYPE_BF16;
}

/* Coordinates of a point in the collapsed space. */
static void coordinates(const lt_tile_program *t, int64_t point, int64_t *c)
{
    for (int i = t->rank; i-- > 0;) {
        if (i == 0) {
            c[0] = point;
        } else {
            c[i] = point % t->extent[i];
            point /= t->extent[i];
        }
    }
}

/* n elements from `index` on, into or out of the register. */
static void move_run(const lt_tile_program *t, const lt_tile_ref *ref, int64_t index, int64_t step, int at, int n,
                     bool store)
{
    bool half = step == 1 && is_half(ref->dtype);
    if (step == 1 && ref->dtype == LATHE_DTYPE_F32) {
        char *memory = ref->data + index * (int64_t)sizeof(float),
             *reg = (char *)ref->reg + at * (int64_t)sizeof(float);
        memcpy(store ? memory : reg, store ? reg : memory, (size_t)n * sizeof(float));
    } else if (half && store) {
        t->isa->narrow16((uint16_t *)(void *)ref->data + index, (const float *)ref->reg + at, ref->dtype, n);
    } else if (half) {
        t->isa->widen16((float *)ref->reg + at, (const uint16_t *)(const void *)ref->data + index, ref->dtype, n);
    } else if (store) {
        lt_tile_put(ref->dtype, ref->data, index, step, ref->reg, at, n);
    } else {
        lt_tile_fetch(ref->dtype, ref->reg, at, ref->data, index, step, n);
    }
}

static int64_t index_of(const lt_tile_program *t, const lt_tile_ref *ref, const int64_t *c)
{
    int64_t index = 0;
    for (int i = 0; i < t->rank; i++) {
        index += c[i] * ref->step[i];
    }
    return index;
}

/* Moves on by `by` along axis `axis`. */
static void advance(const lt_tile_program *t, int64_t *c, int axis, int64_t by)
{
    for (int i = axis; i >= 0; i--) {
        c[i] += by;
        if (i == 0 || c[i] < t->extent[i]) {
            return;
        }
        by = c[i] / t->extent[i];
        c[i] %= t->extent[i];
    }
}

/* `count` points from the coordinates c on: runs along the last axis. c is not kept. */
static void walk_runs(const lt_tile_program *t, const lt_tile_ref *ref, int64_t *c, int at, int count, bool store)
{
    int64_t index = index_of(t, ref, c);
    int last = t->rank - 1;
    while (count > 0) {
        int64_t left = t->extent[last] - c[last];
        int n = left < count ? (int)left : count;
        move_run(t, ref, index, ref->step[last], at, n, store);
        at += n;
        count -= n;
        index -= c[last] * ref->step[last];
        c[last] = 0;
        for (int i = last - 1; i >= 0 && count > 0; i--) {
            index += ref->step[i];
            if (++c[i] < t->extent[i]) {
                break;
            }
            index -= c[i] * ref->step[i];
            c[i] = 0;
        }
    }
}

/* Columns of rows, `step` apart in memory, at once. */
static void move_rows(const lt_tile_program *t, const lt_tile_ref *ref, const lt_tile_block *block, int64_t index,
                      int64_t step, bool store)
{
    float *memory = (float *)(void *)ref->data + index;
    if (store) {
        t->isa->copy_rows(memory, step, ref->reg, block->pitch, block->rows, block->cols);
    } else {
        t->isa->copy_rows(ref->reg, block->pitch, memory, step, block->rows, block->cols);
    }
}

static void walk(const lt_tile_program *t, const lt_tile_ref *ref, const lt_tile_block *block, bool store)
{
    int64_t c[LATHE_MAX_RANK];
    int last = t->rank - 1;
    bool floats = block->rows > 1 && ref->dtype == LATHE_DTYPE_F32;
    if (ref->linear && floats) {
        move_rows(t, ref, block, block->start, block->row_step, store);
        return;
    }
    if (ref->linear) {
        for (int r = 0; r < block->rows; r++) {
            move_run(t, ref, block->start + r * block->row_step, 1, r * block->pitch, block->cols, store);
        }
        return;
    }
    coordinates(t, block->start, c);
    if (block->rows > 1 && last > 0 && c[last] + block->cols <= t->extent[last] &&
        block->row_step % t->extent[last] == 0) { /* columns of a matrix: each row is one run */
        int64_t by = block->row_step / t->extent[last];
        if (floats && ref->step[last] == 1 && (ref->periodic || last == 1)) {
            move_rows(t, ref, block, index_of(t, ref, c), ref->periodic ? 0 : by * ref->step[0], store);
            return;
        }
        for (int r = 0; r < block->rows; r++) {
            move_run(t, ref, index_of(t, ref, c), ref->step[last], r * block->pitch, block->cols, store);
            advance(t, c, last - 1, by);
        }
        return;
    }
    for (int r = 0; r < block->rows; r++) {
        coordinates(t, block->start + r * block->row_step, c);
        walk_runs(t, ref, c, r * block->pitch, block->cols, store);
    }
}

/* An operand's elements from point `start` on, where they lie. */
static char *place(const lt_tile_ref *ref, int64_t start)
{
    return ref->data + start * (int64_t)(lathe_dtype_bits(ref->dtype) / 8);
}

/* The step with operands that need no registers taken from memory and put there. */
static void run_direct(const lt_tile_program *t, const lt_tile_step *step, int64_t start, int n, bool last)
{
    lt_tile_step s = *step;
    const void **args[3] = { &s.x, &s.y, &s.z };
    for (int k = 0; k < 3; k++) {
        if (s.loads[k] >= 0 && t->loads[s.loads[k]].direct) {
            *args[k] = place(&t->loads[s.loads[k]], start);
        }
    }
    if (last && s.store >= 0) {
        s.dst = place(&t->stores[s.store], start);
    }
    s.fn(&s, n);
}

/* again: registers of periodic loads still hold what this tile needs. */
static void run_tile(const lt_tile_program *t, const lt_tile_block *block, bool again)
{
    int n = ((block->rows - 1) * block->pitch + block->cols + LT_TILE_LANES - 1) / LT_TILE_LANES * LT_TILE_LANES,
        done = -1;
    bool direct = block->rows == 1 && block->cols == n;
    for (int i = 0; i < t->n_items; i++) {
        bool last = i == t->n_items - 1;
        if (t->items[i] < 0) {
            const lt_tile_ref *ref = &t->loads[~t->items[i]];
            if (!(direct && ref->direct) && !(again && ref->periodic)) {
                walk(t, ref, block, false);
            }
            continue;
        }
        const lt_tile_step *step = &t->steps[t->items[i]];
        if (direct) {
            run_direct(t, step, block->start, n, last);
            done = last ? step->store : -1;
        } else {
            step->fn(step, n);
        }
        if (step->round) {
            t->isa->round16(step->dst, step->dtype, n);
        }
    }
    for (int i = 0; i < t->n_stores; i++) { /* last, so that an input may be overwritten */
        if (i != done) {
            walk(t, &t->stores[i], block, true);
        }
    }
}

void lt_tile_run(const lt_tile_program *t, const lt_tile_block *block)
{
    run_tile(t, block, false);
}

void lt_tile_run_range(const lt_tile_program *t, int64_t begin, int64_t end)
{
    bool keeps = t->rank > 0 && t->tile % t->extent[t->rank - 1] == 0;
    for (int64_t at = begin; at < end; at += t->tile) {
        int n = end - at < t->tile ? (int)(end - at) : t->tile;
        lt_tile_block block = { .start = at, .rows = 1, .cols = n, .pitch = LT_TILE };
        run_tile(t, &block, keeps && at > begin);
    }
}
