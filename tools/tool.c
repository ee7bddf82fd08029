/*
 * tool.c - what the verbs share: failures and exit codes, notices, progress, numbers about tensors.
 */
#define _GNU_SOURCE
#include "tool.h"
#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int tool_exit_code(lathe_status status)
{
    switch (status) {
    case LATHE_OK:
        return EXIT_FINE;
    case LATHE_INVALID_ARGUMENT:
    case LATHE_NOT_READY:
        return EXIT_USAGE;
    case LATHE_IO:
        return EXIT_FILES;
    case LATHE_OUT_OF_MEMORY:
    case LATHE_INTERNAL:
        return EXIT_BUG;
    case LATHE_CANCELLED:
        return EXIT_NO;
    default:
        return EXIT_MODEL;
    }
}

int tool_fail(tool *t, lathe_status status)
{
    tool_progress_clear(t);
    if (lathe_diag_count(t->diag) > 0) {
        lathe_diag_print(t->diag, stderr);
    } else {
        fprintf(stderr, "error[%s]\n", lathe_status_name(status));
    }
    lathe_diag_clear(t->diag);
    return tool_exit_code(status);
}

int tool_usage(const tool *t, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    fprintf(stderr, "lathe %s: ", verb_get(t->args->verb)->name);
    vfprintf(stderr, format, list);
    fputc('\n', stderr);
    va_end(list);
    return EXIT_USAGE;
}

void tool_notice(tool *t, const char *format, ...)
{
    if (t->quiet) {
        return;
    }
    tool_progress_clear(t);
    va_list list;
    va_start(list, format);
    vfprintf(stderr, format, list);
    fputc('\n', stderr);
    va_end(list);
}

bool tool_operands(const tool *t, size_t min, size_t max)
{
    size_t n = t->args->n_operands;
    const verb *v = verb_get(t->args->verb);
    if (n < min) {
        tool_usage(t, "%s missing: lathe %s [OPTIONS] %s", n == 0 ? "what to work on is" : "an operand is", v->name,
                   v->operands);
    } else if (n > max) {
        tool_usage(t, "what shall '%s' be? usage: lathe %s [OPTIONS] %s", t->args->operands[max], v->name, v->operands);
    }
    return n >= min && n <= max;
}

/* What is done begins when the next thing does: that is an event of the trace. */
static void end_piece(tool *t, double now)
{
    if (t->what_ms > 0) {
        lathe_runtime_trace(t->runtime, t->phase, t->what, (int64_t)(t->what_ms * 1e6), (int64_t)(now * 1e6));
    }
    t->what_ms = 0;
}

/* "pack 40/108, 3 s left, conv1.weight": from how long the pieces of this phase took so far. */
static void draw_bar(tool *t, const lathe_progress *p, double now)
{
    unsigned long long total = p->total ? p->total : 1, done = p->done;
    double elapsed = now - t->phase_ms, left = done > 0 && total > done ? elapsed / (double)done * (double)(total - done) : 0;
    if (p->seconds_total > 0) {
        left = (p->seconds_total - p->seconds) * 1000;
        elapsed = 1000;
    }
    fprintf(stderr, "\r\033[K%s %llu/%llu", p->phase, done, total);
    if (elapsed > 200 && left > 0) {
        fprintf(stderr, ", %.0f s left", left / 1000 < 1 ? 1 : left / 1000);
    }
    fprintf(stderr, ", %.60s", p->what);
    t->bar_drawn = true;
    t->bar_ms = now;
}

int tool_progress(void *user, const lathe_progress *progress)
{
    tool *t = user;
    double now = now_ms();
    end_piece(t, now);
    if (strcmp(t->phase, progress->phase) != 0) {
        t->phase_ms = now;
    }
    snprintf(t->phase, sizeof t->phase, "%s", progress->phase);
    snprintf(t->what, sizeof t->what, "%s", progress->what ? progress->what : "");
    t->what_ms = now;
    if (t->bars && now - t->bar_ms > 50) {
        draw_bar(t, progress, now);
    }
    return tuning_interrupted();
}

void tool_progress_clear(tool *t)
{
    end_piece(t, now_ms());
    if (t->bar_drawn) {
        fputs("\r\033[K", stderr);
        t->bar_drawn = false;
    }
}

int tool_print_buf(tool *t, lt_buf *buf)
{
    int code = EXIT_FINE;
    if (buf->failed) {
        code = tool_fail(t, LATHE_OUT_OF_MEMORY);
    } else if (buf->length > 0) {
        fwrite(buf->data, 1, buf->length, stdout);
        if (buf->data[buf->length - 1] != '\n') {
            putchar('\n');
        }
    }
    lt_buf_free(buf);
    return code;
}

void tool_log(void *user, lathe_log_level level, const char *message)
{
    static const char *const names[] = { "error", "warning", "note" };
    tool *t = user;
    bool again = level == LATHE_LOG_WARNING && strncmp(t->warned, message, sizeof t->warned - 1) == 0; /* builder and runtime both read LATHE_DEBUG */
    if ((level <= LATHE_LOG_INFO && t->quiet) || again) {
        return;
    }
    tool_progress_clear(t);
    if (level == LATHE_LOG_WARNING) {
        snprintf(t->warned, sizeof t->warned, "%s", message);
    }
    if (level >= LATHE_LOG_DEBUG) { /* asked for: its topic stands before it */
        fprintf(stderr, "%s\n", message);
        return;
    }
    fprintf(stderr, "%s: %s\n", names[level], message);
}

bool tool_start_runtime(tool *t)
{
    int64_t threads = 0;
    const char *text = args_text(t->args, OPT_THREADS);
    bool several = text && strchr(text, ',') && (t->args->verb == VERB_BUILD || t->args->verb == VERB_RETUNE); /* read by build_options */
    if (!several && !args_int(t->args, OPT_THREADS, 0, 1024, 0, &threads)) {
        return false;
    }
    lathe_runtime_options options = {
        .struct_size = sizeof options, .threads = (int)threads, .log = tool_log, .log_user = t, .read_environment = 1
    };
    lathe_status status = lathe_runtime_create(&options, &t->runtime, t->diag);
    if (status != LATHE_OK) {
        tool_fail(t, status);
    }
    return status == LATHE_OK;
}

double now_ms(void)
{
    return (double)lt_now_ns() / 1e6;
}

/* ---- A folder for things that shall not stay ---- */

const char *temp_make(tool *t)
{
    const char *base = getenv("TMPDIR");
    char *folder = lt_arena_printf(&t->arena, "%s/lathe-XXXXXX", base && base[0] ? base : "/tmp");
    if (!folder || !mkdtemp(folder)) {
        (void)LT_FAIL(t->diag, LATHE_IO, folder, "TMPDIR names the folder for temporary files",
                      "cannot make a temporary folder: %s", strerror(errno));
        return NULL;
    }
    return folder;
}

void temp_remove(const char *folder)
{
    DIR *d = folder ? opendir(folder) : NULL;
    const struct dirent *entry;
    char path[4096];
    while (d && (entry = readdir(d)) != NULL) {
        if (snprintf(path, sizeof path, "%s/%s", folder, entry->d_name) < (int)sizeof path) {
            unlink(path); /* fails for "." and ".." */
        }
    }
    if (d) {
        closedir(d);
        rmdir(folder);
    }
}

/* ---- Tensors ---- */

void tensor_measure(const lathe_tensor *tensor, tensor_stats *out)
{
    *out = (tensor_stats){ .count = lt_tensor_count(tensor), .hash = lt_tensor_hash(tensor) };
    lt_dtype_kind kind = lt_dtype_get(tensor->dtype)->kind;
    if (kind == LT_KIND_STRING || kind == LT_KIND_COMPLEX || kind == LT_KIND_NONE) {
        return;
    }
    double sum = 0;
    bool first = true;
    for (int64_t i = 0; i < out->count; i++) {
        double x = kind == LT_KIND_FLOAT ? lt_load_f64(tensor->dtype, tensor->data, i)
                                         : (double)lt_load_i64(tensor->dtype, tensor->data, i);
        if (x != x) {
            out->nans++;
            continue;
        }
        out->min = first || x < out->min ? x : out->min;
        out->max = first || x > out->max ? x : out->max;
        first = false;
        sum += x;
    }
    int64_t real = out->count - out->nans;
    out->mean = real > 0 ? sum / (double)real : 0;
}

const char *shape_text(const lathe_tensor *tensor, char *out, size_t size)
{
    size_t at = 0;
    snprintf(out, size, "scalar");
    for (int i = 0; i < tensor->rank && at < size; i++) {
        int wrote = snprintf(out + at, size - at, "%s%lld", i ? "x" : "", (long long)tensor->dims[i]);
        at += wrote > 0 ? (size_t)wrote : 0;
    }
    return out;
}

void json_tensor(lt_json *json, const char *name, const lathe_tensor *tensor)
{
    tensor_stats s;
    char hash[24];
    tensor_measure(tensor, &s);
    snprintf(hash, sizeof hash, "%016llx", (unsigned long long)s.hash);
    lt_json_begin_object(json);
    lt_json_key(json, "name");
    lt_json_string(json, name);
    lt_json_key(json, "type");
    lt_json_string(json, lathe_dtype_name(tensor->dtype));
    lt_json_key(json, "shape");
    lt_json_begin_array(json);
    for (int i = 0; i < tensor->rank; i++) {
        lt_json_i64(json, tensor->dims[i]);
    }
    lt_json_end_array(json);
    lt_json_key(json, "checksum");
    lt_json_string(json, hash);
    if (tensor->dtype != LATHE_DTYPE_STRING) {
        lt_json_key(json, "min");
        lt_json_f64(json, s.min);
        lt_json_key(json, "mean");
        lt_json_f64(json, s.mean);
        lt_json_key(json, "max");
        lt_json_f64(json, s.max);
        lt_json_key(json, "nans");
        lt_json_i64(json, s.nans);
    }
    lt_json_end_object(json);
}
