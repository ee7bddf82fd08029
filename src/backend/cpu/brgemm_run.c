/*
 * brgemm_run.c - finds a level's kernels, and cuts runs of rows into segments for them. Used by the drivers of products.
 */
#include "backend/cpu/brgemm.h"

const lt_brgemm *lt_brgemm_of(const lt_cpu_isa *isa)
{
#if defined(__x86_64__)
    if (isa == &lt_isa_avx512) {
        return &lt_brgemm_avx512;
    }
    if (isa == &lt_isa_avx2) {
        return &lt_brgemm_avx2;
    }
#endif
    (void)isa;
    return &lt_brgemm_base;
}

/* The call's rows from `row` on, in one segment or two of `half` rows whose starts are `apart` rows from each other. */
static void block(const lt_brgemm *kernels, const lt_brgemm_call *run, int number, int64_t row, int half,
                  int64_t apart)
{
    lt_brgemm_call call = *run;
    if (call.next) { /* the first four blocks bring in a quarter each */
        call.next = number < 4 ? call.next + number * (call.taps * call.k / 4) * kernels->nr : NULL;
    }
    call.a[0] += row * call.lda;
    call.c[0] += row * call.ldc;
    call.add[0] = run->add[0] ? run->add[0] + row * call.ld_add : NULL;
    if (apart == 0) {
        kernels->one[half](&call);
        return;
    }
    call.a[1] = call.a[0] + apart * call.lda;
    call.c[1] = call.c[0] + apart * call.ldc;
    call.add[1] = run->add[0] ? call.add[0] + apart * call.ld_add : NULL;
    kernels->two[half](&call);
}

/*
 * An odd row is left to one segment where that comes out even; otherwise the two segments of the last block share a row, which both compute: a
 * kernel reads all of its addends before it stores.
 */
void lt_brgemm_run(const lt_brgemm *kernels, const lt_brgemm_call *call, int64_t rows)
{
    int64_t segment = kernels->segment, row = 0;
    if (rows <= segment) {
        if (rows > 0) {
            block(kernels, call, 0, 0, (int)rows, 0);
        }
        return;
    }
    if (rows % 2 && rows % (2 * segment) == segment) {
        block(kernels, call, 0, 0, (int)segment, 0);
        row = segment;
    }
    int64_t row0 = row, pairs = (rows - row + 1) / 2, blocks = (pairs + segment - 1) / segment;
    for (int64_t i = 0; i < blocks; i++) {
        int64_t half = pairs * (i + 1) / blocks - pairs * i / blocks;
        bool shared = row + 2 * half > rows;
        block(kernels, call, (int)(i < 4 ? i : 4) + (row0 > 0), row, (int)half, half - shared);
        row += 2 * half - shared;
    }
}
