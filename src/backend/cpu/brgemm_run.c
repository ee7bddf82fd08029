/*
 * brgemm_run.c - finds a level's kernels, and cuts runs of rows into segments for them. Used by the drivers of products.
 */
#include "backend/cpu/brgemm.h"

const lt_brgemm *lt_brgemm_of(const lt_cpu_isa *isa)
{
#if defined(__x86_64__) && !defined(LT_WITHOUT_AVX512)
    if (isa == &lt_isa_avx512) {
        return &lt_brgemm_avx512;
    }
#endif
#if defined(__x86_64__)
    if (isa == &lt_isa_avx2) {
        return &lt_brgemm_avx2;
    }
#endif
    (void)isa;
    return &lt_brgemm_base;
}

/*
 * The next rows of the call, in one segment (apart 0) or in two of `half` rows whose starts are `apart` rows from each other, and `again` times those behind
 * them; then the call is moved on by `done` rows.
 */
static void block(const lt_brgemm *kernels, lt_brgemm_call *call, int half, int64_t apart, int64_t again, int64_t done)
{
    call->again = again;
    if (apart == 0) {
        kernels->one[half](call);
    } else {
        call->a[1] = call->a[0] + apart * call->lda;
        call->c[1] = call->c[0] + apart * call->ldc;
        call->add[1] = call->add[0] ? call->add[0] + apart * call->ld_add : NULL;
        kernels->two[half](call);
    }
    call->a[0] += done * call->lda;
    call->c[0] += done * call->ldc;
    call->add[0] = call->add[0] ? call->add[0] + done * call->ld_add : NULL;
}

/*
 * An odd row is left to one segment where that comes out even; otherwise the two segments of the last block share a row, which both compute: a
 * kernel reads all of its addends before it stores. The first four blocks bring in a quarter of the next panel each; the others, as far as they are alike,
 * are one call: where the inner extent is short, setting calls up would take a good part of the time.
 */
void lt_brgemm_run(const lt_brgemm *kernels, const lt_brgemm_call *run, int64_t rows)
{
    lt_brgemm_call call = *run;
    int64_t segment = run->cols <= kernels->nr / 2 ? kernels->narrow : kernels->segment,
            quarter = run->next ? run->taps * run->k / 4 * kernels->nr : 0;
    int fetched = 0;
    if (rows <= segment) {
        if (rows > 0) {
            block(kernels, &call, (int)rows, 0, 0, 0);
        }
        return;
    }
    if (rows % 2 && rows % (2 * segment) == segment) {
        block(kernels, &call, (int)segment, 0, 0, segment);
        rows -= segment;
        fetched = 1;
    }
    int64_t pairs = (rows + 1) / 2, blocks = (pairs + segment - 1) / segment, short_one = pairs / blocks,
            long_ones = pairs % blocks;
    for (int64_t i = 0; i < blocks;) {
        int64_t half = short_one + (i < long_ones), alike = (i < long_ones ? long_ones : blocks) - i;
        bool shared = 2 * half > rows;
        call.next = run->next && fetched < 4 ? run->next + fetched++ * quarter : NULL;
        alike = call.next ? 1 : alike > 1 && 2 * half * alike > rows ? alike - 1 : alike;
        block(kernels, &call, (int)half, half - shared, alike - 1, 2 * half * alike);
        rows -= 2 * half * alike;
        i += alike;
    }
}
