/*
 * thread_pool.c - the thread pool: gangs of workers for one parallel region at a time each. Used by rt; knows nothing of steps.
 *
 * A worker is idle, claimed, or at work. A run claims idle workers one by one, so that two runs at once share the workers without waiting for each
 * other. Whoever waits spins for 50 µs (a wake-up costs about 20 µs, a barrier between spinning threads well below 1 µs), then sleeps on a futex.
 */
#define _GNU_SOURCE
#include "backend/backend.h"
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { SPIN_NS = 50000, MAX_THREADS = 1024 };

typedef struct job {
    void (*fn)(void *user, const lathe_gang *gang);
    void *user;
    int count;
    _Atomic uint32_t arrived;    /* at the barrier */
    _Atomic uint32_t generation; /* of the barrier: a futex word */
    _Atomic uint32_t running;    /* workers not finished: a futex word */
} job;

typedef enum worker_state { IDLE, CLAIMED, READY, QUIT } worker_state;

typedef struct worker {
    pthread_t thread;
    _Atomic uint32_t state; /* worker_state: a futex word */
    job *job;
    int index; /* in the gang */
} worker;

struct lt_pool {
    const lathe_allocator *allocator;
    int threads; /* callers included */
    int started;
    worker *workers;
};

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

/* Waits until *word is no longer `value`. */
static void wait_change(_Atomic uint32_t *word, uint32_t value)
{
    int64_t until = 0;
    for (unsigned i = 0; atomic_load_explicit(word, memory_order_acquire) == value; i++) {
        relax();
        if ((i & 63) != 63) {
            continue;
        }
        int64_t now = lt_now_ns();
        until = until ? until : now + SPIN_NS;
        if (now > until) {
            syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
        }
    }
}

static void wake(_Atomic uint32_t *word, int how_many)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, how_many, NULL, NULL, 0);
}

static void barrier(const lathe_gang *gang)
{
    job *j = gang->pool;
    if (j->count == 1) {
        return;
    }
    uint32_t generation = atomic_load_explicit(&j->generation, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&j->arrived, 1, memory_order_acq_rel) + 1 == (uint32_t)j->count) {
        atomic_store_explicit(&j->arrived, 0, memory_order_relaxed);
        atomic_store_explicit(&j->generation, generation + 1, memory_order_release);
        wake(&j->generation, MAX_THREADS);
    } else {
        wait_change(&j->generation, generation);
    }
}

static void work(job *j, int index)
{
    lathe_gang gang = {.index = index, .count = j->count, .barrier = barrier, .pool = j};
    j->fn(j->user, &gang);
}

static void *worker_main(void *arg)
{
    worker *w = arg;
    (void)lt_float_mode_enter(); /* threads begin with the mode of whoever made them */
    for (;;) {
        uint32_t state = atomic_load_explicit(&w->state, memory_order_acquire);
        if (state == QUIT) {
            return NULL;
        }
        if (state != READY) {
            wait_change(&w->state, state);
            continue;
        }
        job *j = w->job;
        work(j, w->index);
        atomic_store_explicit(&w->state, IDLE, memory_order_release);
        if (atomic_fetch_sub_explicit(&j->running, 1, memory_order_acq_rel) == 1) {
            wake(&j->running, 1); /* the address alone is used: j may be gone, which a futex wake tolerates */
        }
    }
}

lathe_status lt_pool_create(int threads, const lathe_allocator *allocator, lt_pool **out, lathe_diag *diag)
{
    threads = threads < 1 ? 1 : threads > MAX_THREADS ? MAX_THREADS : threads;
    lt_pool *pool = LT_NEW(allocator, lt_pool);
    worker *workers = lt_alloc_array(allocator, (size_t)threads, sizeof *workers, _Alignof(worker));
    if (!pool || !workers) {
        lt_release(allocator, pool, sizeof *pool, _Alignof(lt_pool));
        lt_release(allocator, workers, (size_t)threads * sizeof *workers, _Alignof(worker));
        return LT_OOM(diag);
    }
    *pool = (lt_pool){.allocator = allocator, .threads = threads, .workers = workers};
    for (int i = 0; i < threads - 1; i++) {
        if (pthread_create(&workers[i].thread, NULL, worker_main, &workers[i]) != 0) {
            lt_pool_destroy(pool);
            return LT_FAIL(diag, LATHE_IO, NULL, "lower the number of threads", "cannot start thread %d of %d", i + 2, threads);
        }
        pool->started++;
    }
    *out = pool;
    return LATHE_OK;
}

void lt_pool_destroy(lt_pool *pool)
{
    if (!pool) {
        return;
    }
    for (int i = 0; i < pool->started; i++) {
        atomic_store_explicit(&pool->workers[i].state, QUIT, memory_order_release);
        wake(&pool->workers[i].state, 1);
    }
    for (int i = 0; i < pool->started; i++) {
        pthread_join(pool->workers[i].thread, NULL);
    }
    const lathe_allocator *allocator = pool->allocator;
    lt_release(allocator, pool->workers, (size_t)pool->threads * sizeof(worker), _Alignof(worker));
    lt_release(allocator, pool, sizeof *pool, _Alignof(lt_pool));
}

int lt_pool_threads(const lt_pool *pool)
{
    return pool ? pool->threads : 1;
}

/* Claims up to `wanted` idle workers; their numbers go to `claimed`. */
static int claim(lt_pool *pool, int wanted, uint16_t *claimed)
{
    int n = 0;
    for (int i = 0; i < pool->started && n < wanted; i++) {
        uint32_t idle = IDLE;
        if (atomic_compare_exchange_strong_explicit(&pool->workers[i].state, &idle, CLAIMED, memory_order_acq_rel, memory_order_relaxed)) {
            claimed[n++] = (uint16_t)i;
        }
    }
    return n;
}

void lt_pool_run(lt_pool *pool, int wanted, void (*fn)(void *user, const lathe_gang *gang), void *user)
{
    uint16_t claimed[MAX_THREADS];
    int extra = pool && wanted > 1 ? claim(pool, wanted - 1, claimed) : 0;
    job j = {.fn = fn, .user = user, .count = extra + 1};
    atomic_init(&j.running, (uint32_t)extra);
    for (int i = 0; i < extra; i++) {
        worker *w = &pool->workers[claimed[i]];
        w->job = &j;
        w->index = i + 1;
        atomic_store_explicit(&w->state, READY, memory_order_release);
        wake(&w->state, 1);
    }
    work(&j, 0);
    for (uint32_t left; (left = atomic_load_explicit(&j.running, memory_order_acquire)) > 0;) {
        wait_change(&j.running, left);
    }
}
