/*
 * conformance_cases.c - finds test cases in folders and archives: every model.onnx with its data sets, and the stubs real/X/data.json that stand for
 * light/light_X.onnx.
 */
#define _GNU_SOURCE
#include "conformance.h"
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_FOLDERS_DEEP = 16 };

static lathe_status add_file(tool *t, case_list *list, const char *path, const unsigned char *data, size_t size)
{
    if (!path ||
        !lt_arena_grow(&t->arena, (void **)&list->files, &list->cap_files, list->n_files + 1, sizeof *list->files)) {
        return LT_OOM(t->diag);
    }
    list->files[list->n_files++] = (case_file){ path, data, size };
    return LATHE_OK;
}

static lathe_status add_folder(tool *t, case_list *list, const char *path, int depth)
{
    DIR *folder = depth < MAX_FOLDERS_DEEP ? opendir(path) : NULL;
    if (!folder) {
        return LT_FAIL(t->diag, LATHE_IO, path, NULL, "the folder cannot be read");
    }
    lathe_status status = LATHE_OK;
    const struct dirent *entry;
    while (status == LATHE_OK && (entry = readdir(folder)) != NULL) {
        struct stat info;
        if (entry->d_name[0] == '.') {
            continue;
        }
        char *inner = lt_arena_printf(&t->arena, "%s/%s", path, entry->d_name);
        if (!inner) {
            status = LT_OOM(t->diag);
        } else if (stat(inner, &info) == 0) {
            status = S_ISDIR(info.st_mode)   ? add_folder(t, list, inner, depth + 1)
                     : S_ISREG(info.st_mode) ? add_file(t, list, inner, NULL, (size_t)info.st_size)
                                             : LATHE_OK;
        }
    }
    closedir(folder);
    return status;
}

static lathe_status add_archive(tool *t, case_list *list, const char *path)
{
    lt_file file;
    size_t length = strlen(path), size, count;
    unsigned char *data;
    tar_entry *entries;
    LT_TRY(lt_file_read(&file, path, NULL, t->diag));
    lathe_status status = LATHE_OK;
    if (length > 4 && strcmp(path + length - 4, ".zst") == 0) {
        status = zstd_read(file.data, file.size, path, &t->arena, &data, &size, t->diag);
    } else {
        size = file.size;
        data = lt_arena_copy(&t->arena, file.data, file.size, 64);
        status = data ? LATHE_OK : LT_OOM(t->diag);
    }
    lt_file_close(&file);
    LT_TRY(status);
    LT_TRY(tar_read(data, size, path, &t->arena, &entries, &count, t->diag));
    for (size_t i = 0; i < count; i++) {
        LT_TRY(add_file(t, list, entries[i].path, entries[i].data, entries[i].size));
    }
    return LATHE_OK;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const case_file *)a)->path, ((const case_file *)b)->path);
}

/* ---- Cases ---- */

static const char *last_slash(const char *text, size_t length)
{
    while (length > 0 && text[length - 1] != '/') {
        length--;
    }
    return text + length; /* behind the slash, or the start */
}

static lathe_status add_case(tool *t, case_list *list, const test_case *c)
{
    if (!lt_arena_grow(&t->arena, (void **)&list->cases, &list->capacity, list->count + 1, sizeof *list->cases)) {
        return LT_OOM(t->diag);
    }
    list->cases[list->count++] = *c;
    return LATHE_OK;
}

/* "…/real/test_X" -> "…/light/light_Y.onnx", Y from the stub; nothing when there are no light models. */
static lathe_status add_stub(tool *t, case_list *list, const case_file *stub, test_case *c)
{
    const char *text = c->folder, *real = last_slash(text, (size_t)(last_slash(text, strlen(text)) - text) - 1);
    lt_json_value *json;
    lt_file file;
    lathe_status status;
    if (!case_file_open(list, stub->path, &file, t->diag, &status)) {
        return status;
    }
    status = lt_json_parse(&t->arena, (const char *)file.data, file.size, &json, t->diag);
    if (!stub->data) {
        lt_file_close(&file);
    }
    LT_TRY(status);
    const lt_json_value *name = lt_json_member(json, "model_name"), *rtol = lt_json_member(json, "rtol"),
                        *atol = lt_json_member(json, "atol");
    if (!name || name->kind != LT_JSON_STRING) {
        return LATHE_OK;
    }
    c->model = lt_arena_printf(&t->arena, "%.*slight/light_%s.onnx", (int)(real - text), text, name->string);
    c->expected = lt_arena_printf(&t->arena, "%.*slight/light_%s_output_0.pb", (int)(real - text), text, name->string);
    c->rtol = rtol && rtol->kind == LT_JSON_NUMBER ? rtol->number : c->rtol;
    c->atol = atol && atol->kind == LT_JSON_NUMBER ? atol->number : c->atol;
    if (!c->model || !c->expected) {
        return LT_OOM(t->diag);
    }
    return lt_map_get(&list->by_path, c->model, NULL) ? add_case(t, list, c) : LATHE_OK;
}

static lathe_status find_cases(tool *t, case_list *list, size_t first)
{
    qsort(list->files + first, list->n_files - first, sizeof *list->files, by_path);
    for (size_t i = first; i < list->n_files; i++) {
        if (!lt_map_put(&list->by_path, list->files[i].path, i)) {
            return LT_OOM(t->diag);
        }
    }
    for (size_t i = first; i < list->n_files; i++) {
        const char *path = list->files[i].path, *base = last_slash(path, strlen(path));
        if (base == path || (strcmp(base, "model.onnx") != 0 && strcmp(base, "data.json") != 0)) {
            continue;
        }
        test_case c = { .folder = lt_arena_strn(&t->arena, path, (size_t)(base - path) - 1),
                        .model = path,
                        .rtol = 1e-3,
                        .atol = 1e-7 };
        if (!c.folder) {
            return LT_OOM(t->diag);
        }
        const char *own = last_slash(c.folder, strlen(c.folder));
        c.name = own == c.folder ? own : last_slash(c.folder, (size_t)(own - c.folder) - 1);
        LT_TRY(strcmp(base, "model.onnx") == 0 ? add_case(t, list, &c) : add_stub(t, list, &list->files[i], &c));
    }
    return LATHE_OK;
}

lathe_status cases_add(tool *t, case_list *list, const char *path)
{
    struct stat info;
    size_t first = list->n_files, length = strlen(path);
    if (stat(path, &info) != 0) {
        return LT_FAIL(t->diag, LATHE_IO, path, NULL, "there is no such file or folder");
    }
    while (length > 1 && path[length - 1] == '/') {
        length--;
    }
    char *clean = lt_arena_strn(&t->arena, path, length);
    if (!clean) {
        return LT_OOM(t->diag);
    }
    if (S_ISDIR(info.st_mode)) { /* absolute, so that names of cases do not depend on where one stands */
        char *full = realpath(clean, NULL);
        char *kept = full ? lt_arena_str(&t->arena, full) : clean;
        free(full);
        LT_TRY(kept ? add_folder(t, list, kept, 0) : LT_OOM(t->diag));
    } else {
        LT_TRY(add_archive(t, list, clean));
    }
    return find_cases(t, list, first);
}

bool case_file_open(const case_list *list, const char *path, lt_file *out, lathe_diag *diag, lathe_status *status)
{
    uint64_t index;
    *status = LATHE_OK;
    if (!lt_map_get(&list->by_path, path, &index)) {
        return false;
    }
    const case_file *f = &list->files[index];
    if (f->data || f->size == 0) {
        *out = (lt_file){ .data = f->size ? f->data : NULL, .size = f->size, .mapped = true };
        return true;
    }
    *status = lt_file_read(out, path, NULL, diag);
    return *status == LATHE_OK;
}
