/*
 * thread_pool.c - the thread pool: gangs of workers for one parallel region at a time each. Used by rt; knows nothing of steps.
 *
 * A worker is idle, claimed, or at work. A run claims idle workers one by one, so that two runs at once share the workers without waiting for each
 * other. Whoever waits spins for 50 µs (a wake-up costs about 20 µs, a barrier between spinning threads a few hundred ns), then sleeps on a futex. Whoever
 * is waited for asks the kernel to wake only those that have said that they sleep: a run of short steps makes no system calls. Threads that the kernel
 * has put on one processor do not spin against each other: whoever must wait there gives way at once.
 */
#define _GNU_SOURCE
#include "backend/backend.h"
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { SPIN_NS = 50000, MAX_THREADS = 1024 };

/* A word that threads wait on, in a cache line of its own. `asleep` is raised before a thread sleeps and lowered after it. */
typedef struct gate {
    _Alignas(64) _Atomic uint32_t word; /* a futex word */
    _Atomic uint32_t asleep;
} gate;

typedef struct job {
    void (*fn)(void *user, const lathe_gang *gang);
    void *user;
    int count;
    _Alignas(64) _Atomic uint32_t arrived; /* at the barrier */
    gate generation;                       /* of the barrier */
    _Alignas(64) _Atomic uint32_t running; /* workers not finished, and SLEEPS when the caller sleeps: a futex word */
    _Atomic int *processors;               /* of each thread, when it was last at a barrier */
} job;

enum { SLEEPS = 1 << 30 };

typedef enum worker_state { IDLE, CLAIMED, READY, QUIT } worker_state;

typedef struct worker {
    gate state; /* worker_state */
    pthread_t thread;
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

/* Spins until *word is no longer `value`; false when that takes longer than a thread may spin. */
static bool spin(_Atomic uint32_t *word, uint32_t value)
{
    int64_t until = 0;
    for (unsigned i = 1; atomic_load_explicit(word, memory_order_acquire) == value; i++) {
        relax();
        if (i % 64 != 0) {
            continue;
        }
        int64_t now = lt_now_ns();
        until = until ? until : now + SPIN_NS;
        if (now > until) {
            return false;
        }
    }
    return true;
}

static void sleep_on(_Atomic uint32_t *word, uint32_t value)
{
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void wake(_Atomic uint32_t *word, int how_many)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, how_many, NULL, NULL, 0);
}

/* Waits until the gate's word is no longer `value`. */
static void gate_wait(gate *g, uint32_t value, bool may_spin)
{
    if (may_spin && spin(&g->word, value)) {
        return;
    }
    atomic_fetch_add(&g->asleep, 1); /* in one order with the load of whoever opens: it sees this, or the kernel sees the new word */
    while (atomic_load(&g->word) == value) {
        sleep_on(&g->word, value);
    }
    atomic_fetch_sub(&g->asleep, 1);
}

static void gate_set(gate *g, uint32_t value)
{
    atomic_store(&g->word, value);
    if (atomic_load(&g->asleep) > 0) {
        wake(&g->word, MAX_THREADS);
    }
}

/* Notes where this thread runs; is another one of the gang on the same processor? */
static bool crowded(job *j, int index)
{
    int here = sched_getcpu(), before = atomic_load_explicit(&j->processors[index], memory_order_relaxed);
    bool found = false;
    if (here != before) {
        atomic_store_explicit(&j->processors[index], here, memory_order_relaxed);
    }
    for (int i = 0; i < j->count && !found && here >= 0; i++) {
        found = i != index && atomic_load_explicit(&j->processors[i], memory_order_relaxed) == here;
    }
    return found;
}

static void barrier(const lathe_gang *gang)
{
    job *j = gang->pool;
    if (j->count == 1) {
        return;
    }
    bool crowd = crowded(j, gang->index);
    uint32_t generation = atomic_load_explicit(&j->generation.word, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&j->arrived, 1, memory_order_acq_rel) + 1 == (uint32_t)j->count) {
        atomic_store_explicit(&j->arrived, 0, memory_order_relaxed);
        gate_set(&j->generation, generation + 1);
    } else {
        gate_wait(&j->generation, generation, !crowd);
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
        uint32_t state = atomic_load_explicit(&w->state.word, memory_order_acquire);
        if (state == QUIT) {
            return NULL;
        }
        if (state != READY) {
            gate_wait(&w->state, state, true);
            continue;
        }
        job *j = w->job;
        work(j, w->index);
        atomic_store_explicit(&w->state.word, IDLE, memory_order_release);
        if (atomic_fetch_sub_explicit(&j->running, 1, memory_order_acq_rel) == (SLEEPS | 1)) {
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
        gate_set(&pool->workers[i].state, QUIT);
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
        if (atomic_compare_exchange_strong_explicit(&pool->workers[i].state.word, &idle, CLAIMED, memory_order_acq_rel, memory_order_relaxed)) {
            claimed[n++] = (uint16_t)i;
        }
    }
    return n;
}

/* The last worker looks at nothing of the job after it has counted itself out, but at what its count said. */
static void wait_for_workers(job *j)
{
    for (uint32_t left; ((left = atomic_load_explicit(&j->running, memory_order_acquire)) & ~(uint32_t)SLEEPS) > 0;) {
        if (spin(&j->running, left)) {
            continue;
        }
        left = (left & SLEEPS) ? left : (atomic_fetch_or(&j->running, SLEEPS) | SLEEPS);
        if ((left & ~(uint32_t)SLEEPS) > 0) {
            sleep_on(&j->running, left);
        }
    }
}

void lt_pool_run(lt_pool *pool, int wanted, void (*fn)(void *user, const lathe_gang *gang), void *user)
{
    uint16_t claimed[MAX_THREADS];
    _Atomic int processors[MAX_THREADS];
    int extra = pool && wanted > 1 ? claim(pool, wanted - 1, claimed) : 0;
    job j = {.fn = fn, .user = user, .count = extra + 1, .processors = processors};
    for (int i = 0; i <= extra; i++) {
        atomic_init(&processors[i], -1);
    }
    atomic_init(&j.running, (uint32_t)extra);
    for (int i = 0; i < extra; i++) {
        worker *w = &pool->workers[claimed[i]];
        w->job = &j;
        w->index = i + 1;
        gate_set(&w->state, READY);
    }
    work(&j, 0);
    wait_for_workers(&j);
}
