/*
 * permute.c - copies between strided views: whole rows where the innermost axis stays, small squares where two axes change places, else element by
 * element. Used by the tactics that only move elements or make them.
 */
#include "backend/cpu/permute.h"
#include <string.h>

enum { SQUARE = 32, CHUNK = 512, LONG = 1024 }; /* elements of a strip of one axis and of the other in a unit of squares; of a strip of three planes */

typedef struct plan {
    lt_copy c; /* axes in the order of the destination, outermost first */
    size_t size;
    const char *src;
    char *dst;
} plan;

/* Sorts axes by their steps in the destination, drops those of extent 1, joins neighbours that are walked in one go on both sides. */
static void simplify(plan *p, const lt_copy *copy)
{
    lt_copy *c = &p->c;
    int order[LT_COPY_AXES], n = 0;
    for (int i = 0; i < copy->rank; i++) {
        int at = n;
        if (copy->e[i] == 1) {
            continue;
        }
        for (; at > 0 && copy->to[order[at - 1]] < copy->to[i]; at--) {
            order[at] = order[at - 1];
        }
        order[at] = i;
        n++;
    }
    c->rank = 0;
    for (int k = 0; k < n; k++) {
        int i = order[k], last = c->rank - 1;
        if (last >= 0 && c->from[last] == copy->from[i] * copy->e[i] && c->to[last] == copy->to[i] * copy->e[i]) {
            c->e[last] *= copy->e[i];
            c->from[last] = copy->from[i];
            c->to[last] = copy->to[i];
        } else {
            lt_copy_axis(c, copy->e[i], copy->from[i], copy->to[i]);
        }
    }
}

/* n bytes, mostly few. */
static inline void copy_bytes(char *dst, const char *src, size_t n)
{
    if (n > 128) {
        memcpy(dst, src, n);
        return;
    }
    for (; n >= 16; n -= 16, dst += 16, src += 16) {
        memcpy(dst, src, 16);
    }
    if (n & 8) {
        memcpy(dst, src, 8);
        dst += 8, src += 8;
    }
    if (n & 4) {
        memcpy(dst, src, 4);
        dst += 4, src += 4;
    }
    for (n &= 3; n > 0; n--) {
        *dst++ = *src++;
    }
}

typedef uint32_t four __attribute__((vector_size(16)));

/* Every other element of 4 bytes: n of them. Behind the last one nothing is read. */
static void copy_every_other(char *to, const char *from, int64_t n)
{
    int64_t i = 0;
    for (; i + 4 < n; i += 4) {
        four a, b;
        memcpy(&a, from + i * 8, sizeof a);
        memcpy(&b, from + i * 8 + 16, sizeof b);
        a = __builtin_shufflevector(a, b, 0, 2, 4, 6);
        memcpy(to + i * 4, &a, sizeof a);
    }
    for (; i < n; i++) {
        memcpy(to + i * 4, from + i * 8, 4);
    }
}

/* n elements, steps in bytes. */
static void copy_strided(size_t size, char *to, const char *from, int64_t a, int64_t b, int64_t n)
{
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
        if (a == 4 && b == 8) {
            copy_every_other(to, from, n);
            break;
        }
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

/* Walks the axes other than two: offsets in elements of the present place. */
typedef struct walk {
    const lt_copy *c;
    int skip[2];
    int64_t at[LT_COPY_AXES], from, to;
} walk;

static void walk_start(walk *w, const lt_copy *c, int skip, int last, int64_t number)
{
    *w = (walk){ .c = c, .skip = { skip, last } };
    for (int i = c->rank; i-- > 0;) {
        if (i != skip && i != last) {
            w->at[i] = number % c->e[i];
            number /= c->e[i];
            w->from += w->at[i] * c->from[i];
            w->to += w->at[i] * c->to[i];
        }
    }
}

static void walk_next(walk *w)
{
    const lt_copy *c = w->c;
    for (int i = c->rank; i-- > 0;) {
        if (i == w->skip[0] || i == w->skip[1]) {
            continue;
        }
        w->from += c->from[i];
        w->to += c->to[i];
        if (++w->at[i] < c->e[i]) {
            return;
        }
        w->from -= c->e[i] * c->from[i];
        w->to -= c->e[i] * c->to[i];
        w->at[i] = 0;
    }
}

/* Rows along the last axis. */
static void copy_rows(const plan *p, const lathe_gang *gang)
{
    const lt_copy *c = &p->c;
    int last = c->rank - 1;
    int64_t rows = 1, begin, end, size = (int64_t)p->size, a = c->to[last] * size, b = c->from[last] * size;
    bool whole = a == size && b == size;
    for (int i = 0; i < last; i++) {
        rows *= c->e[i];
    }
    if (rows == 1) { /* one long row: cut it */
        lathe_gang_split(gang, c->e[last], 4096, &begin, &end);
        if (begin < end && whole) {
            memcpy(p->dst + begin * a, p->src + begin * b, (size_t)((end - begin) * size));
        } else if (begin < end) {
            copy_strided(p->size, p->dst + begin * a, p->src + begin * b, a, b, end - begin);
        }
        return;
    }
    lathe_gang_split(gang, rows, 1, &begin, &end);
    walk w;
    walk_start(&w, c, -1, last, begin);
    for (int64_t r = begin; r < end; r++, walk_next(&w)) {
        if (whole) {
            copy_bytes(p->dst + w.to * size, p->src + w.from * size, (size_t)(c->e[last] * size));
        } else {
            copy_strided(p->size, p->dst + w.to * size, p->src + w.from * size, a, b, c->e[last]);
        }
    }
}

/* m x n elements of 4 bytes: element (i, j) from `from + i * 4 + j * b` to `to + i * a + j * 4`. */
static void square_4(char *to, int64_t a, const char *from, int64_t b, int64_t m, int64_t n)
{
    int64_t i = 0;
    for (; i + 4 <= m; i += 4) {
        int64_t j = 0;
        for (; j + 4 <= n; j += 4) {
            four r[4], s[4];
            for (int k = 0; k < 4; k++) {
                memcpy(&r[k], from + i * 4 + (j + k) * b, 16);
            }
            s[0] = __builtin_shufflevector(r[0], r[1], 0, 4, 1, 5);
            s[1] = __builtin_shufflevector(r[2], r[3], 0, 4, 1, 5);
            s[2] = __builtin_shufflevector(r[0], r[1], 2, 6, 3, 7);
            s[3] = __builtin_shufflevector(r[2], r[3], 2, 6, 3, 7);
            r[0] = __builtin_shufflevector(s[0], s[1], 0, 1, 4, 5);
            r[1] = __builtin_shufflevector(s[0], s[1], 2, 3, 6, 7);
            r[2] = __builtin_shufflevector(s[2], s[3], 0, 1, 4, 5);
            r[3] = __builtin_shufflevector(s[2], s[3], 2, 3, 6, 7);
            for (int k = 0; k < 4; k++) {
                memcpy(to + (i + k) * a + j * 4, &r[k], 16);
            }
        }
        for (; j < n; j++) {
            for (int k = 0; k < 4; k++) {
                memcpy(to + (i + k) * a + j * 4, from + (i + k) * 4 + j * b, 4);
            }
        }
    }
    for (; i < m; i++) {
        copy_strided(4, to + i * a, from + i * 4, 4, b, n);
    }
}

/*
 * Squares of narrower elements as one transposition of N vectors of N elements: put between each other, vector k and vector k + N / 2, log2(N) times.
 */
typedef uint16_t eight __attribute__((vector_size(16)));
typedef uint8_t sixteen __attribute__((vector_size(16)));

static inline void mix_8(const eight *r, eight *s)
{
    for (int k = 0; k < 4; k++) {
        s[2 * k] = __builtin_shufflevector(r[k], r[k + 4], 0, 8, 1, 9, 2, 10, 3, 11);
        s[2 * k + 1] = __builtin_shufflevector(r[k], r[k + 4], 4, 12, 5, 13, 6, 14, 7, 15);
    }
}

static inline void mix_16(const sixteen *r, sixteen *s)
{
    for (int k = 0; k < 8; k++) {
        s[2 * k] = __builtin_shufflevector(r[k], r[k + 8], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
        s[2 * k + 1] =
            __builtin_shufflevector(r[k], r[k + 8], 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    }
}

static void block_2(char *to, int64_t a, const char *from, int64_t b)
{
    eight r[8], s[8];
    for (int k = 0; k < 8; k++) {
        memcpy(&r[k], from + k * b, 16);
    }
    mix_8(r, s);
    mix_8(s, r);
    mix_8(r, s);
    for (int k = 0; k < 8; k++) {
        memcpy(to + k * a, &s[k], 16);
    }
}

static void block_1(char *to, int64_t a, const char *from, int64_t b)
{
    sixteen r[16], s[16];
    for (int k = 0; k < 16; k++) {
        memcpy(&r[k], from + k * b, 16);
    }
    mix_16(r, s);
    mix_16(s, r);
    mix_16(r, s);
    mix_16(s, r);
    for (int k = 0; k < 16; k++) {
        memcpy(to + k * a, &r[k], 16);
    }
}

/* m x n elements of 1 or 2 bytes, in blocks of 16 or 8. */
static void square_narrow(size_t size, char *to, int64_t a, const char *from, int64_t b, int64_t m, int64_t n)
{
    int64_t side = 16 / (int64_t)size, bytes = (int64_t)size, i = 0;
    for (; i + side <= m; i += side) {
        int64_t j = 0;
        for (; j + side <= n; j += side) {
            (size == 1 ? block_1 : block_2)(to + i * a + j * bytes, a, from + i * bytes + j * b, b);
        }
        for (int64_t k = 0; k < side; k++) {
            copy_strided(size, to + (i + k) * a + j * bytes, from + (i + k) * bytes + j * b, bytes, b, n - j);
        }
    }
    for (; i < m; i++) {
        copy_strided(size, to + i * a, from + i * bytes, bytes, b, n);
    }
}

/* Three planes become pixels: elements i of the lines at from, from + b, from + 2 b lie side by side. */
static void three_planes_4(char *to, const char *from, int64_t b, int64_t m)
{
    int64_t i = 0;
    for (; i + 4 <= m; i += 4, to += 48) {
        four p, q, r;
        memcpy(&p, from + i * 4, 16);
        memcpy(&q, from + i * 4 + b, 16);
        memcpy(&r, from + i * 4 + 2 * b, 16);
        four s = __builtin_shufflevector(p, q, 0, 4, 1, 5), t = __builtin_shufflevector(q, r, 1, 5, 2, 6),
             u = __builtin_shufflevector(p, q, 2, 6, 3, 7);
        s = __builtin_shufflevector(s, r, 0, 1, 4, 2);
        t = __builtin_shufflevector(t, p, 0, 1, 6, 2);
        u = __builtin_shufflevector(r, u, 2, 6, 7, 3);
        memcpy(to, &s, 16);
        memcpy(to + 16, &t, 16);
        memcpy(to + 32, &u, 16);
    }
    for (; i < m; i++, to += 12) {
        for (int k = 0; k < 3; k++) {
            memcpy(to + 4 * k, from + i * 4 + k * b, 4);
        }
    }
}

static void three_planes_1(char *restrict to, const char *restrict from, int64_t b, int64_t m)
{
    for (int64_t i = 0; i < m; i++) {
        to[3 * i] = from[i];
        to[3 * i + 1] = from[i + b];
        to[3 * i + 2] = from[i + 2 * b];
    }
}

static bool is_three_planes(size_t size, int64_t a, int64_t n)
{
    return n == 3 && (size == 4 || size == 1) && a == 3 * (int64_t)size;
}

/* The same for other sizes. */
static void square(size_t size, char *to, int64_t a, const char *from, int64_t b, int64_t m, int64_t n)
{
    if (is_three_planes(size, a, n)) {
        (size == 4 ? three_planes_4 : three_planes_1)(to, from, b, m);
        return;
    }
    if (size == 4) {
        square_4(to, a, from, b, m, n);
        return;
    }
    if (size <= 2) {
        square_narrow(size, to, a, from, b, m, n);
        return;
    }
    for (int64_t i = 0; i < m; i++) {
        copy_strided(size, to + i * a, from + i * (int64_t)size, (int64_t)size, b, n);
    }
}

/* Axis `k` is contiguous in the source, the last axis in the destination: squares of both stay in the cache. */
static void copy_squares(const plan *p, const lathe_gang *gang, int k)
{
    const lt_copy *c = &p->c;
    int last = c->rank - 1;
    int64_t size = (int64_t)p->size, a = c->to[k] * size, b = c->from[last] * size, strip = is_three_planes(p->size, a, c->e[last]) ? LONG : SQUARE,
            piece = c->e[k] < 4 ? CHUNK : SQUARE; /* of a few elements there are no squares */
    int64_t strips = (c->e[k] + strip - 1) / strip, chunks = (c->e[last] + CHUNK - 1) / CHUNK, places = 1, begin, end;
    for (int i = 0; i < last; i++) {
        places *= i == k ? 1 : c->e[i];
    }
    lathe_gang_split(gang, places * chunks * strips, 1, &begin, &end);
    walk w;
    walk_start(&w, c, k, last, begin / strips / chunks);
    for (int64_t u = begin; u < end; u++) {
        int64_t i = u % strips * strip, m = c->e[k] - i < strip ? c->e[k] - i : strip,
                j = u / strips % chunks * CHUNK, stop = j + CHUNK < c->e[last] ? j + CHUNK : c->e[last];
        for (; j < stop; j += piece) {
            square(p->size, p->dst + (w.to + j) * size + i * a, a, p->src + (w.from + i) * size + j * b, b, m,
                   stop - j < piece ? stop - j : piece);
        }
        if ((u + 1) % (strips * chunks) == 0) {
            walk_next(&w);
        }
    }
}

void lt_copy_run(const lathe_gang *gang, size_t size, const lt_copy *copy, const void *src, void *dst)
{
    plan p = { .size = size, .src = src, .dst = dst };
    for (int i = 0; i < copy->rank; i++) {
        if (copy->e[i] <= 0) {
            return;
        }
    }
    simplify(&p, copy);
    int last = p.c.rank - 1;
    if (last < 0) {
        if (gang->index == 0) {
            memcpy(dst, src, size);
        }
        return;
    }
    for (int k = 0; k < last; k++) {
        if (p.c.from[k] == 1 && p.c.from[last] != 1 && p.c.to[last] == 1) {
            copy_squares(&p, gang, k);
            return;
        }
    }
    copy_rows(&p, gang);
}

void lt_fill_elements(void *dst, int64_t count, const void *element, size_t size)
{
    const char *bytes = element;
    char block[1024], *to = dst;
    size_t left = count > 0 ? (size_t)count * size : 0;
    bool same = left > 0;
    for (size_t i = 1; i < size; i++) {
        same = same && bytes[i] == bytes[0];
    }
    if (same) {
        memset(to, bytes[0], left);
        return;
    }
    for (size_t at = 0; at < sizeof block; at += size) {
        memcpy(block + at, element, size);
    }
    for (size_t n; left > 0; to += n, left -= n) {
        n = left < sizeof block ? left : sizeof block;
        memcpy(to, block, n);
    }
}

double lt_copy_cost(size_t size, double elements, double run, bool narrow)
{
    double bytes = 2 * elements * (double)size, far = bytes > 1e6 ? (bytes - 1e6) * 0.03 : 0;
    double each = run > 1 ? 2 / run : size <= 4 && !narrow ? 0.05 : 0.45;
    return 250 + bytes * 0.012 + far + elements * each;
}
