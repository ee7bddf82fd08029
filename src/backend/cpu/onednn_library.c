/*
 * onednn_library.c - opens oneDNN and looks its functions up. Used by tactic_source.c and onednn_op.c; the only file that sees the shared library.
 *
 * Prototypes are written from the library's public C interface; nothing of it is needed to build Lathe. The library is opened once for the process and
 * stays open: its kernels are code that contexts of any engine may be running.
 */
#include "backend/backend_internal.h"
#include "backend/cpu/onednn.h"
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

typedef enum opened { NOT_YET, HERE, NOT_HERE } opened;

/* Everything but `opened` is written under the lock, before `opened` says so. */
static struct {
    pthread_mutex_t lock;
    _Atomic int opened;
    char path[1024], why[LATHE_WHY_MAX], version[32];
    lt_onednn functions;
} lt_onednn_state = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* What dnnl_version() points to. */
typedef struct version {
    int major, minor, patch;
    const char *hash;
    unsigned cpu_runtime, gpu_runtime;
} version;

enum { RUNTIME_SEQUENTIAL = 1, RUNTIME_OPENMP = 2 };
enum { ENGINE_CPU = 1, OLDEST_MINOR_OF_2 = 6 };

typedef struct symbol {
    const char *name;
    size_t place; /* of the pointer in lt_onednn */
    int major;    /* that has it; 0: all */
} symbol;

#define SYMBOL(member, name, major) { name, offsetof(lt_onednn, member), major }
static const symbol symbols[] = {
    SYMBOL(engine_create, "dnnl_engine_create", 0),
    SYMBOL(stream_create, "dnnl_stream_create", 0),
    SYMBOL(stream_destroy, "dnnl_stream_destroy", 0),
    SYMBOL(stream_wait, "dnnl_stream_wait", 0),
    SYMBOL(memory_create, "dnnl_memory_create", 0),
    SYMBOL(memory_destroy, "dnnl_memory_destroy", 0),
    SYMBOL(memory_set, "dnnl_memory_set_data_handle", 0),
    SYMBOL(memory_bytes, "dnnl_memory_desc_get_size", 0),
    SYMBOL(primitive_create, "dnnl_primitive_create", 0),
    SYMBOL(primitive_destroy, "dnnl_primitive_destroy", 0),
    SYMBOL(primitive_execute, "dnnl_primitive_execute", 0),
    SYMBOL(pd_destroy, "dnnl_primitive_desc_destroy", 0),
    SYMBOL(pd_query, "dnnl_primitive_desc_query", 0),
    SYMBOL(pd_desc, "dnnl_primitive_desc_query_md", 0),
    SYMBOL(attr_create, "dnnl_primitive_attr_create", 0),
    SYMBOL(attr_destroy, "dnnl_primitive_attr_destroy", 0),
    SYMBOL(attr_post_ops, "dnnl_primitive_attr_set_post_ops", 0),
    SYMBOL(attr_scratchpad, "dnnl_primitive_attr_set_scratchpad_mode", 0),
    SYMBOL(ops_create, "dnnl_post_ops_create", 0),
    SYMBOL(ops_destroy, "dnnl_post_ops_destroy", 0),
    SYMBOL(desc2_strides, "dnnl_memory_desc_init_by_strides", 2),
    SYMBOL(desc2_tag, "dnnl_memory_desc_init_by_tag", 2),
    SYMBOL(conv2, "dnnl_dilated_convolution_forward_desc_init", 2),
    SYMBOL(matmul2, "dnnl_matmul_desc_init", 2),
    SYMBOL(pd2, "dnnl_primitive_desc_create", 2),
    SYMBOL(sum2, "dnnl_post_ops_append_sum", 2),
    SYMBOL(eltwise2, "dnnl_post_ops_append_eltwise", 2),
    SYMBOL(desc3_strides, "dnnl_memory_desc_create_with_strides", 3),
    SYMBOL(desc3_tag, "dnnl_memory_desc_create_with_tag", 3),
    SYMBOL(desc3_destroy, "dnnl_memory_desc_destroy", 3),
    SYMBOL(conv3, "dnnl_convolution_forward_primitive_desc_create", 3),
    SYMBOL(matmul3, "dnnl_matmul_primitive_desc_create", 3),
    SYMBOL(sum3, "dnnl_post_ops_append_sum", 3),
    SYMBOL(eltwise3, "dnnl_post_ops_append_eltwise", 3),
};

/* Names of layouts: a capital letter is an axis in blocks, a number before a small letter the block. */
static const char *const tag_names[LT_ONEDNN_TAGS] = {
    [LT_ONEDNN_NCHW8C] = "aBcd8b",         [LT_ONEDNN_NCHW16C] = "aBcd16b",          [LT_ONEDNN_OIHW8I8O] = "ABcd8b8a",   [LT_ONEDNN_OIHW16I16O] = "ABcd16b16a",
    [LT_ONEDNN_OHWI8O] = "Acdb8a",         [LT_ONEDNN_OHWI16O] = "Acdb16a",          [LT_ONEDNN_GOIHW8I8O] = "aBCde8c8b", [LT_ONEDNN_GOIHW16I16O] = "aBCde16c16b",
    [LT_ONEDNN_GOIHW8G] = "Abcde8a",       [LT_ONEDNN_GOIHW16G] = "Abcde16a",
};
enum { MOST_TAGS = 4096 };

static bool refuse(const char *format, ...) __attribute__((format(printf, 1, 2)));
static bool refuse(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    vsnprintf(lt_onednn_state.why, sizeof lt_onednn_state.why, format, list);
    va_end(list);
    return false;
}

/* A pointer to data and one to a function are the same here; copying the bytes says so without a cast that C forbids. */
static bool look_up(void *handle, const char *name, void *place)
{
    void *found = dlsym(handle, name);
    memcpy(place, &found, sizeof found);
    return found != NULL;
}

static bool suitable(const version *v)
{
    if (v->major < 2 || v->major > 3 || (v->major == 2 && v->minor < OLDEST_MINOR_OF_2)) {
        return refuse("it is version %d.%d.%d; 2.6 and later, and 3, are known", v->major, v->minor, v->patch);
    }
    if (v->cpu_runtime != RUNTIME_SEQUENTIAL && v->cpu_runtime != RUNTIME_OPENMP) {
        return refuse("version %d.%d.%d was built for another thread library than OpenMP", v->major, v->minor, v->patch);
    }
    return true;
}

/* Finds the numbers of the layouts by their names. */
static bool find_tags(void *handle, lt_onednn *l)
{
    const char *(*name_of)(int tag);
    if (!look_up(handle, "dnnl_fmt_tag2str", &name_of)) {
        return refuse("it has no function dnnl_fmt_tag2str");
    }
    for (int tag = 1; tag < MOST_TAGS; tag++) {
        const char *name = name_of(tag);
        for (int i = 1; name && i < LT_ONEDNN_TAGS; i++) {
            l->tags[i] = l->tags[i] == 0 && strcmp(name, tag_names[i]) == 0 ? tag : l->tags[i];
        }
    }
    for (int i = 1; i < LT_ONEDNN_TAGS; i++) {
        if (l->tags[i] == 0) {
            return refuse("it has no layout %s", tag_names[i]);
        }
    }
    return true;
}

static bool fill(void *handle)
{
    const version *(*version_of)(void);
    lt_onednn *l = &lt_onednn_state.functions;
    if (!look_up(handle, "dnnl_version", &version_of)) {
        return refuse("the file has no function dnnl_version");
    }
    const version *v = version_of();
    if (!suitable(v)) {
        return false;
    }
    l->major = v->major;
    for (size_t i = 0; i < LT_COUNT(symbols); i++) {
        const symbol *s = &symbols[i];
        if ((s->major == 0 || s->major == v->major) && !look_up(handle, s->name, (char *)l + s->place)) {
            return refuse("version %d.%d.%d has no function %s", v->major, v->minor, v->patch, s->name);
        }
    }
    if (v->cpu_runtime == RUNTIME_OPENMP && (!look_up(handle, "omp_set_num_threads", &l->set_threads) ||
                                             !look_up(handle, "omp_get_max_threads", &l->get_threads))) {
        return refuse("its OpenMP has no function that sets the number of threads");
    }
    if (!find_tags(handle, l)) {
        return false;
    }
    if (l->engine_create(&l->engine, ENGINE_CPU, 0) != 0) {
        return refuse("it cannot make an engine for the processor");
    }
    snprintf(lt_onednn_state.version, sizeof lt_onednn_state.version, "%d.%d.%d", v->major, v->minor, v->patch);
    return true;
}

static bool open_library(void)
{
    static const char *const names[] = {"libdnnl.so.3", "libdnnl.so.2"};
    const char *path = lt_onednn_state.path;
#if defined(__SANITIZE_ADDRESS__)
    return refuse("AddressSanitizer's search for leaks dies on the threads of a library that was opened late");
#endif
    void *handle = path[0] ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
    if (path[0] && !handle) {
        const char *error = dlerror();
        return refuse("%s", error ? error : "it cannot be opened");
    }
    for (size_t i = 0; i < LT_COUNT(names); i++) {
        handle = path[0] ? handle : dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
        if (!handle) {
            continue;
        }
        if (fill(handle)) {
            return true;
        }
        memset(&lt_onednn_state.functions, 0, sizeof lt_onednn_state.functions);
        (void)dlclose(handle);
        handle = NULL;
        if (path[0]) {
            return false;
        }
    }
    return lt_onednn_state.why[0] ? false : refuse("libdnnl.so.3 and libdnnl.so.2 are not installed");
}

const lt_onednn *lt_onednn_library(const char **why)
{
    if (atomic_load_explicit(&lt_onednn_state.opened, memory_order_acquire) == NOT_YET) {
        pthread_mutex_lock(&lt_onednn_state.lock);
        if (atomic_load_explicit(&lt_onednn_state.opened, memory_order_relaxed) == NOT_YET) {
            uint32_t mode = lt_float_mode_enter(); /* what the library's start-up code does to it stays there */
            bool here = open_library();
            lt_float_mode_leave(mode);
            atomic_store_explicit(&lt_onednn_state.opened, here ? HERE : NOT_HERE, memory_order_release);
        }
        pthread_mutex_unlock(&lt_onednn_state.lock);
    }
    bool here = atomic_load_explicit(&lt_onednn_state.opened, memory_order_acquire) == HERE;
    if (why) {
        *why = here ? "" : lt_onednn_state.why;
    }
    return here ? &lt_onednn_state.functions : NULL;
}

bool lt_onednn_find(char *text, size_t text_size, char *why, size_t why_size)
{
    const char *reason;
    bool here = lt_onednn_library(&reason) != NULL;
    snprintf(why, why_size, "%s", reason);
    snprintf(text, text_size, "%s", here ? lt_onednn_state.version : "");
    return here;
}

void lt_onednn_use(const char *path)
{
    pthread_mutex_lock(&lt_onednn_state.lock);
    if (atomic_load_explicit(&lt_onednn_state.opened, memory_order_relaxed) == NOT_YET) {
        snprintf(lt_onednn_state.path, sizeof lt_onednn_state.path, "%s", path);
    }
    pthread_mutex_unlock(&lt_onednn_state.lock);
}
