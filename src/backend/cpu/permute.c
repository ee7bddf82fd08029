/*
 * permute.c - copies with permuted axes: whole rows where the innermost axis stays, small square tiles where two axes change places. Used by
 * reformat_generic.c and transpose_copy.c.
 */
#include "backend/cpu/permute.h"
#include <string.h>

enum { SQUARE = 32 };

typedef struct plan {
    int rank;
    int64_t e[LATHE_MAX_RANK], step[LATHE_MAX_RANK], dense[LATHE_MAX_RANK]; /* extents, source and destination steps */
    size_t size;
    const char *src;
    char *dst;
} plan;

/* Drops axes of extent 1 and joins neighbours that are walked in one go on both sides. */
static void simplify(plan *p, int rank, const int64_t *e, const int64_t *step)
{
    int n = 0;
    for (int i = 0; i < rank; i++) {
        if (e[i] == 1) {
            continue;
        }
        if (n > 0 && p->step[n - 1] == step[i] * e[i]) {
            p->e[n - 1] *= e[i];
            p->step[n - 1] = step[i];
        } else {
            p->e[n] = e[i];
            p->step[n++] = step[i];
        }
    }
    p->rank = n;
    for (int64_t i = n, dense = 1; i-- > 0; dense *= p->e[i]) {
        p->dense[i] = dense;
    }
}

static void copy_strided(const plan *p, char *to, const char *from, int64_t to_step, int64_t from_step, int64_t n)
{
    size_t size = p->size;
    int64_t a = to_step * (int64_t)size, b = from_step * (int64_t)size;
    switch (size) { /* memcpy of a constant size is one move */
    case 1:
        for (int64_t i = 0; i < n; i++) {
            to[i * a] = from[i * b];
        }
        break;
    case 2:
        for (int64_t i = 0; i < n; i++) {
            memcpy(to + i * a, from + i * b, 2);
        }
        break;
    case 4:
        for (int64_t i = 0; i < n; i++) {
            memcpy(to + i * a, from + i * b, 4);
        }
        break;
    case 8:
        for (int64_t i = 0; i < n; i++) {
            memcpy(to + i * a, from + i * b, 8);
        }
        break;
    default:
        for (int64_t i = 0; i < n; i++) {
            memcpy(to + i * a, from + i * b, size);
        }
        break;
    }
}

/* The place of unit `number` among the axes other than `skip` and the last one. */
static void place_unit(const plan *p, int64_t number, int skip, int64_t *from, int64_t *to)
{
    *from = *to = 0;
    for (int i = p->rank - 1; i-- > 0;) {
        if (i == skip) {
            continue;
        }
        int64_t c = number % p->e[i];
        number /= p->e[i];
        *from += c * p->step[i];
        *to += c * p->dense[i];
    }
}

/* Rows along the last axis. */
static void copy_rows(const plan *p, const lathe_gang *gang)
{
    int last = p->rank - 1;
    int64_t rows = 1, begin, end, from, to;
    for (int i = 0; i < last; i++) {
        rows *= p->e[i];
    }
    if (rows == 1) { /* one long row: cut it */
        lathe_gang_split(gang, p->e[last], 4096, &begin, &end);
        if (begin < end) {
            memcpy(p->dst + (size_t)begin * p->size, p->src + (size_t)begin * p->size, (size_t)(end - begin) * p->size);
        }
        return;
    }
    lathe_gang_split(gang, rows, 1, &begin, &end);
    for (int64_t r = begin; r < end; r++) {
        place_unit(p, r, -1, &from, &to);
        char *dst = p->dst + to * (int64_t)p->size;
        const char *src = p->src + from * (int64_t)p->size;
        if (p->step[last] == 1) {
            memcpy(dst, src, (size_t)p->e[last] * p->size);
        } else {
            copy_strided(p, dst, src, 1, p->step[last], p->e[last]);
        }
    }
}

/* Axis `a` is contiguous in the source, the last axis in the destination: squares of both stay in the cache. */
static void copy_squares(const plan *p, const lathe_gang *gang, int a)
{
    int last = p->rank - 1;
    int64_t units = (p->e[a] + SQUARE - 1) / SQUARE, strips = units, begin, end, from, to, size = (int64_t)p->size;
    for (int i = 0; i < last; i++) {
        units *= i == a ? 1 : p->e[i];
    }
    lathe_gang_split(gang, units, 1, &begin, &end);
    for (int64_t u = begin; u < end; u++) {
        int64_t first = u % strips * SQUARE, count = p->e[a] - first < SQUARE ? p->e[a] - first : SQUARE;
        place_unit(p, u / strips, a, &from, &to);
        for (int64_t j = 0; j < p->e[last]; j += SQUARE) {
            int64_t n = p->e[last] - j < SQUARE ? p->e[last] - j : SQUARE;
            for (int64_t i = first; i < first + count; i++) {
                copy_strided(p, p->dst + (to + i * p->dense[a] + j) * size,
                             p->src + (from + i * p->step[a] + j * p->step[last]) * size, 1, p->step[last], n);
            }
        }
    }
}

void lt_permute_copy(const lathe_gang *gang, size_t size, int rank, const int64_t *e, const int64_t *step,
                     const void *src, void *dst)
{
    plan p = { .size = size, .src = src, .dst = dst };
    for (int i = 0; i < rank; i++) {
        if (e[i] == 0) {
            return;
        }
    }
    simplify(&p, rank, e, step);
    if (p.rank == 0) {
        if (gang->index == 0) {
            memcpy(dst, src, size);
        }
        return;
    }
    for (int a = 0; a < p.rank - 1; a++) {
        if (p.step[a] == 1 && p.step[p.rank - 1] != 1) {
            copy_squares(&p, gang, a);
            return;
        }
    }
    copy_rows(&p, gang);
}
