/*
 * test_faults.c - every allocation and every I/O call may fail: for each small network the n-th call fails, for all n, over parse, build, save, load and
 * run. Each time: a clean error or success, no leak, nothing half-written.
 *
 * The linker wraps the functions (--wrap), so that no hook is needed in the product. test_faults NET.lathe... ; FAULT_STEP=k tries every k-th n only.
 */
#include <lathe/builder.h>

#include "base/base.h"
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- The wrapped calls ---- */

static struct {
    _Atomic long calls; /* since the last reset */
    long fail_at;       /* 0: never */
    _Atomic long live;  /* allocations and mappings not given back */
} faults;

static bool fails(void)
{
    long n = atomic_fetch_add(&faults.calls, 1) + 1;
    return faults.fail_at > 0 && n == faults.fail_at;
}

static void *counted(void *p)
{
    if (p) {
        atomic_fetch_add(&faults.live, 1);
    }
    return p;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *p, size_t size);
void *__real_aligned_alloc(size_t align, size_t size);
int __real_posix_memalign(void **out, size_t align, size_t size);
void __real_free(void *p);
int __real_open(const char *path, int flags, mode_t mode);
int __real_openat(int folder, const char *path, int flags, mode_t mode);
ssize_t __real_read(int fd, void *data, size_t size);
ssize_t __real_write(int fd, const void *data, size_t size);
void *__real_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset);
int __real_fstat(int fd, struct stat *out);
int __real_fsync(int fd);
int __real_rename(const char *from, const char *to);

void *__wrap_malloc(size_t size) { return fails() ? NULL : counted(__real_malloc(size)); }
void *__wrap_calloc(size_t count, size_t size) { return fails() ? NULL : counted(__real_calloc(count, size)); }
void *__wrap_aligned_alloc(size_t align, size_t size) { return fails() ? NULL : counted(__real_aligned_alloc(align, size)); }

void *__wrap_realloc(void *p, size_t size)
{
    if (fails()) {
        return NULL;
    }
    void *q = __real_realloc(p, size);
    return p ? q : counted(q);
}

int __wrap_posix_memalign(void **out, size_t align, size_t size)
{
    int error = fails() ? ENOMEM : __real_posix_memalign(out, align, size);
    if (error == 0) {
        counted(*out);
    }
    return error;
}

void __wrap_free(void *p)
{
    if (p) {
        atomic_fetch_sub(&faults.live, 1);
    }
    __real_free(p);
}

static int refused(void)
{
    errno = EIO;
    return -1;
}

int __wrap_open(const char *path, int flags, mode_t mode) { return fails() ? refused() : __real_open(path, flags, mode); }
int __wrap_openat(int folder, const char *path, int flags, mode_t mode) { return fails() ? refused() : __real_openat(folder, path, flags, mode); }
ssize_t __wrap_read(int fd, void *data, size_t size) { return fails() ? refused() : __real_read(fd, data, size); }
ssize_t __wrap_write(int fd, const void *data, size_t size) { return fails() ? refused() : __real_write(fd, data, size); }
int __wrap_fstat(int fd, struct stat *out) { return fails() ? refused() : __real_fstat(fd, out); }
int __wrap_fsync(int fd) { return fails() ? refused() : __real_fsync(fd); }
int __wrap_rename(const char *from, const char *to) { return fails() ? refused() : __real_rename(from, to); }

void *__wrap_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
    if (fails()) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    return __real_mmap(at, size, protection, flags, fd, offset);
}

/* ---- One journey of a network ---- */

enum { MAX_INPUTS = 4, MAX_BYTES = 1 << 16 };

typedef struct journey {
    const char *text;
    size_t length;
    char plan_path[256];
    lathe_diag *diag;
} journey;

/* Symbolic extents become 3 everywhere. */
static lathe_status bind_inputs(lathe_engine *engine, lathe_context *context, unsigned char data[][MAX_BYTES], lathe_diag *diag)
{
    for (size_t i = 0; i < lathe_engine_inputs(engine); i++) {
        lathe_io io = {.struct_size = sizeof io};
        LT_TRY(lathe_engine_io(engine, i, &io, diag));
        lathe_tensor t = {.struct_size = sizeof t};
        int64_t dims[LATHE_MAX_RANK];
        for (int d = 0; d < io.rank; d++) {
            dims[d] = io.dims[d] < 0 ? 3 : io.dims[d];
        }
        LT_TRY(lt_tensor_shape(&t, io.dtype, io.rank, dims, io.name, diag));
        if (i >= MAX_INPUTS || t.bytes > MAX_BYTES) {
            return LATHE_INTERNAL;
        }
        t.data = data[i];
        if (io.dtype == LATHE_DTYPE_I64) {
            lt_store_i64(io.dtype, t.data, 0, 2); /* loop counts */
        } else {
            LT_TRY(lt_random_fill(&t, i + 1, diag));
        }
        LT_TRY(lathe_context_set_input(context, io.name, &t, diag));
    }
    return LATHE_OK;
}

static lathe_status load_and_run(journey *j, lathe_runtime *runtime)
{
    static unsigned char data[MAX_INPUTS][MAX_BYTES];
    lathe_engine *engine = NULL;
    lathe_context *context = NULL;
    lathe_status status = lathe_engine_load(runtime, j->plan_path, NULL, &engine, j->diag);
    if (status == LATHE_OK) {
        status = lathe_context_create(engine, NULL, &context, j->diag);
    }
    if (status == LATHE_OK) {
        status = bind_inputs(engine, context, data, j->diag);
    }
    if (status == LATHE_OK) {
        status = lathe_context_run(context, j->diag);
    }
    lathe_context_destroy(context);
    lathe_engine_destroy(engine);
    return status;
}

static lathe_status travel(journey *j)
{
    lathe_network *network = NULL;
    lathe_plan *plan = NULL;
    lathe_runtime *runtime = NULL;
    lathe_runtime_options options = {.struct_size = sizeof options, .threads = 1};
    unlink(j->plan_path);
    lathe_status status = lathe_runtime_create(&options, &runtime, j->diag);
    if (status == LATHE_OK) {
        status = lathe_network_from_text(j->text, j->length, NULL, &network, j->diag);
    }
    if (status == LATHE_OK) {
        status = lathe_build(network, NULL, &plan, j->diag);
    }
    if (status == LATHE_OK) {
        status = lathe_plan_save(plan, j->plan_path, j->diag);
    }
    lathe_plan_destroy(plan);
    lathe_network_destroy(network);
    if (status == LATHE_OK) {
        status = load_and_run(j, runtime);
    }
    lathe_runtime_destroy(runtime);
    return status;
}

/* Whatever stands under the plan's name is a whole plan. */
static bool nothing_half_written(const journey *j)
{
    lathe_engine *engine = NULL;
    lathe_load_options options = {.struct_size = sizeof options, .verify_full = 1};
    if (access(j->plan_path, F_OK) != 0) {
        return true;
    }
    bool whole = lathe_engine_load(NULL, j->plan_path, &options, &engine, NULL) == LATHE_OK;
    lathe_engine_destroy(engine);
    return whole;
}

static int complain(const char *net, long n, const char *what, const journey *j)
{
    fprintf(stderr, "%s: call %ld fails: %s\n", net, n, what);
    if (j->diag) {
        lathe_diag_print(j->diag, stderr);
    }
    return 1;
}

static int try_one(const char *net, journey *j, long n)
{
    long before = atomic_load(&faults.live);
    j->diag = lathe_diag_create(NULL);
    atomic_store(&faults.calls, 0);
    faults.fail_at = n;
    lathe_status status = travel(j);
    faults.fail_at = 0;
    int bad = 0;
    if (status != LATHE_OK && status != LATHE_OUT_OF_MEMORY && status != LATHE_IO) {
        bad = complain(net, n, lathe_status_name(status), j);
    } else if (!nothing_half_written(j)) {
        bad = complain(net, n, "something half-written is left", j);
    }
    lathe_diag_destroy(j->diag);
    j->diag = NULL;
    return atomic_load(&faults.live) == before ? bad : complain(net, n, "memory leaks", j);
}

static int try_net(const char *path)
{
    lt_file file;
    journey j = {.diag = lathe_diag_create(NULL)};
    const char *step_text = getenv("FAULT_STEP");
    long step = step_text ? atol(step_text) : 1, bad = 0, tried = 0;
    if (!j.diag || lt_file_read(&file, path, NULL, j.diag) != LATHE_OK) {
        return complain(path, 0, "cannot be read", &j);
    }
    j.text = (const char *)file.data;
    j.length = file.size;
    snprintf(j.plan_path, sizeof j.plan_path, "faults-%d.plan", (int)getpid());
    nothing_half_written(&j); /* makes the process's default runtime */
    atomic_store(&faults.calls, 0);
    if (travel(&j) != LATHE_OK) {
        return complain(path, 0, "does not work without faults", &j);
    }
    nothing_half_written(&j);
    long calls = atomic_load(&faults.calls);
    lathe_diag_destroy(j.diag);
    j.diag = NULL;
    for (long n = 1; n <= calls && bad < 5; n += step, tried++) {
        bad += try_one(path, &j, n);
    }
    unlink(j.plan_path);
    lt_file_close(&file);
    printf("%s: %ld of %ld calls failed in turn, %ld findings\n", path, tried, calls, bad);
    return bad > 0;
}

int main(int argc, char **argv)
{
    int bad = 0;
    for (int i = 1; i < argc; i++) {
        bad += try_net(argv[i]);
    }
    return bad > 0 || argc < 2;
}
