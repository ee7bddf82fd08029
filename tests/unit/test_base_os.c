/*
 * test_base_os.c - files mapped, read, confined below a folder, written whole or not at all; processors; environment.
 */
#define _GNU_SOURCE
#include "base/base.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/counting_allocator.h"

static char root[64];

static int set_up(void **state)
{
    (void)state;
    snprintf(root, sizeof root, "/tmp/lathe-os-XXXXXX");
    return mkdtemp(root) != NULL && chdir(root) == 0 ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    return chdir("/") == 0 && system(command) == 0 ? 0 : -1;
}

static void put(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static int entries(const char *path)
{
    DIR *dir = opendir(path);
    assert_non_null(dir);
    int count = 0;
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        count += e->d_name[0] != '.';
    }
    closedir(dir);
    return count;
}

static void expect_file(const char *path, const char *text)
{
    lt_file file;
    assert_int_equal(lt_file_map(&file, path, NULL), LATHE_OK);
    assert_int_equal(file.size, strlen(text));
    assert_true(file.size == 0 || memcmp(file.data, text, file.size) == 0);
    lt_file_close(&file);
}

static void test_map_and_read(void **state)
{
    (void)state;
    counting_allocator a;
    counting_init(&a);
    lathe_diag *diag = lathe_diag_create(NULL);
    lt_file file;
    put("some", "hello");
    put("empty", "");
    expect_file("some", "hello");
    assert_int_equal(lt_file_map(&file, "empty", diag), LATHE_OK);
    assert_null(file.data);
    assert_int_equal(file.size, 0);
    lt_file_close(&file);
    assert_int_equal(lt_file_read(&file, "some", &a.api, diag), LATHE_OK);
    assert_int_equal(file.size, 5);
    assert_memory_equal(file.data, "hello", 5);
    lt_file_close(&file);
    lt_file_close(&file);
    assert_int_equal(lt_file_read(&file, "empty", &a.api, diag), LATHE_OK);
    assert_int_equal(file.size, 0);
    lt_file_close(&file);
    assert_int_equal(lt_file_read(&file, "/proc/self/status", &a.api, diag), LATHE_OK); /* its size says 0 */
    assert_true(file.size > 100);
    lt_file_close(&file);
    assert_int_equal(lathe_diag_total(diag), 0);
    assert_int_equal(lt_file_map(&file, "missing", diag), LATHE_IO);
    assert_int_equal(lt_file_read(&file, "missing", &a.api, diag), LATHE_IO);
    assert_int_equal(lt_file_map(&file, ".", diag), LATHE_IO);
    assert_int_equal(lt_file_read(&file, ".", &a.api, diag), LATHE_IO);
    assert_int_equal(mkfifo("pipe", 0600), 0);
    assert_int_equal(lt_file_map(&file, "pipe", diag), LATHE_IO); /* and does not wait for a writer */
    lathe_diag_record r = { .struct_size = sizeof r };
    assert_int_equal(lathe_diag_at(diag, 0, &r), LATHE_OK);
    assert_string_equal(r.where, "missing");
    assert_non_null(strstr(r.text, "No such file"));
    assert_int_equal(lathe_diag_total(diag), 5);
    assert_int_equal(a.live, 0);
    for (size_t n = 1; n <= 2; n++) {
        a.fail_at = a.calls + n;
        a.fail_rest = 1;
        assert_int_equal(lt_file_read(&file, "some", &a.api, NULL), LATHE_OUT_OF_MEMORY);
        assert_int_equal(a.live, 0);
        a.fail_rest = 0;
    }
    assert_int_equal(a.mistakes, 0);
    lathe_diag_destroy(diag);
    unlink("pipe");
}

static void test_read_standard_input(void **state)
{
    (void)state;
    put("in", "from a file");
    int saved = dup(0), fd = open("in", O_RDONLY);
    assert_true(saved >= 0 && fd >= 0 && dup2(fd, 0) == 0);
    lt_file file;
    assert_int_equal(lt_file_read(&file, "-", NULL, NULL), LATHE_OK);
    assert_int_equal(file.size, 11);
    lt_file_close(&file);
    assert_true(dup2(saved, 0) == 0);
    close(saved);
    close(fd);
}

static void test_below(void **state)
{
    (void)state;
    lt_file file;
    lathe_diag *diag = lathe_diag_create(NULL);
    assert_int_equal(mkdir("outside", 0700) | mkdir("model", 0700) | mkdir("model/sub", 0700), 0);
    put("outside/secret", "secret");
    put("model/w", "weights");
    put("model/sub/w2", "more");
    put("model/..odd", "odd");
    assert_int_equal(symlink("../outside/secret", "model/link"), 0);
    assert_int_equal(symlink("../outside", "model/folder"), 0);
    assert_int_equal(symlink("w", "model/inner"), 0);
    assert_int_equal(symlink("model", "alias"), 0);
    static const char *const good[][2] = { { "w", "weights" },    { "./w", "weights" },     { "sub/w2", "more" },
                                           { "sub//w2", "more" }, { "./sub/./w2", "more" }, { "..odd", "odd" } };
    static const char *const folders[] = { "model", "model/", "./model", "alias" };
    for (size_t f = 0; f < LT_COUNT(folders); f++) { /* the folder itself is the caller's and may be a link */
        for (size_t i = 0; i < LT_COUNT(good); i++) {
            assert_int_equal(lt_file_map_below(&file, folders[f], good[i][0], diag), LATHE_OK);
            assert_int_equal(file.size, strlen(good[i][1]));
            assert_memory_equal(file.data, good[i][1], file.size);
            lt_file_close(&file);
        }
    }
    assert_int_equal(lathe_diag_total(diag), 0);
    char absolute[128], long_name[400];
    snprintf(absolute, sizeof absolute, "%s/outside/secret", root);
    memset(long_name, 'x', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    const char *const refused[] = { "../outside/secret",
                                    "sub/../w",
                                    "sub/../../outside/secret",
                                    "..",
                                    "sub/..",
                                    absolute,
                                    "/etc/passwd",
                                    "link",
                                    "folder/secret",
                                    "inner",
                                    "",
                                    long_name };
    for (size_t i = 0; i < LT_COUNT(refused); i++) {
        if (lt_file_map_below(&file, "model", refused[i], diag) != LATHE_BAD_MODEL) {
            fail_msg("'%s' is not refused", refused[i]);
        }
        assert_null(file.data);
    }
    assert_int_equal(lt_file_map_below(&file, "model", "missing", diag), LATHE_IO);
    assert_int_equal(lt_file_map_below(&file, "model", "w/x", diag), LATHE_IO);
    assert_int_equal(lt_file_map_below(&file, "model", "sub", diag), LATHE_IO);
    assert_int_equal(lt_file_map_below(&file, "model", "sub/", diag), LATHE_IO);
    assert_int_equal(lt_file_map_below(&file, "nowhere", "w", diag), LATHE_IO);
    assert_int_equal(mkfifo("model/pipe", 0600), 0);
    assert_int_equal(lt_file_map_below(&file, "model", "pipe", diag), LATHE_IO);
    assert_int_equal(lathe_diag_total(diag), LT_COUNT(refused) + 6);
    assert_int_equal(chdir("model"), 0);
    assert_int_equal(lt_file_map_below(&file, "", "w", diag), LATHE_OK); /* the current folder */
    lt_file_close(&file);
    assert_int_equal(chdir(".."), 0);
    lathe_diag_destroy(diag);
}

/* No descriptor stays open on any path of the tests above. */
static void test_no_open_files_left(void **state)
{
    (void)state;
    int before = entries("/proc/self/fd");
    for (int i = 0; i < 50; i++) {
        lt_file file;
        (void)lt_file_map_below(&file, "model", "sub/w2", NULL);
        lt_file_close(&file);
        (void)lt_file_map_below(&file, "model", "sub/../w", NULL);
        (void)lt_file_map_below(&file, "model", "sub/missing", NULL);
        (void)lt_file_map_below(&file, "model", "folder/secret", NULL);
        (void)lt_file_map_below(&file, "model", "pipe", NULL);
        (void)lt_file_map(&file, ".", NULL);
        lt_writer *w;
        assert_int_equal(lt_writer_open(&w, "w", NULL, NULL), LATHE_OK);
        lt_writer_abort(w);
        (void)lt_file_write("outside", "x", 1, NULL);
    }
    assert_int_equal(entries("/proc/self/fd"), before);
}

static void test_writer(void **state)
{
    (void)state;
    assert_int_equal(mkdir("out", 0700), 0);
    lathe_diag *diag = lathe_diag_create(NULL);
    lt_writer *w;
    assert_int_equal(lt_writer_open(&w, "out/plan", NULL, diag), LATHE_OK);
    assert_int_equal(entries("out"), 1);
    assert_int_equal(lt_writer_write(w, "abc", 3, diag), LATHE_OK);
    assert_int_equal(lt_writer_write(w, NULL, 0, diag), LATHE_OK);
    assert_int_not_equal(access("out/plan", F_OK), 0); /* not seen before it is whole */
    assert_int_equal(lt_writer_write(w, "def", 3, diag), LATHE_OK);
    assert_int_equal(lt_writer_commit(w, diag), LATHE_OK);
    expect_file("out/plan", "abcdef");
    assert_int_equal(entries("out"), 1);
    assert_int_equal(chmod("out/plan", 0640), 0);
    assert_int_equal(lt_writer_open(&w, "out/plan", NULL, diag), LATHE_OK);
    assert_int_equal(lt_writer_write(w, "xyz", 3, diag), LATHE_OK);
    lt_writer_abort(w);
    lt_writer_abort(NULL);
    expect_file("out/plan", "abcdef");
    assert_int_equal(entries("out"), 1);
    size_t size = 300001;
    char *big = malloc(size + 1);
    for (size_t i = 0; i < size; i++) {
        big[i] = (char)('a' + i % 23);
    }
    big[size] = '\0';
    assert_int_equal(lt_writer_open(&w, "out/plan", NULL, diag), LATHE_OK);
    for (size_t at = 0, step = 1; at < size; at += step, step = step * 3 % 70001 + 1) {
        step = size - at < step ? size - at : step;
        assert_int_equal(lt_writer_write(w, big + at, step, diag), LATHE_OK);
    }
    assert_int_equal(lt_writer_commit(w, diag), LATHE_OK);
    expect_file("out/plan", big);
    free(big);
    struct stat info;
    assert_true(stat("out/plan", &info) == 0 && (info.st_mode & 0777) == 0640);
    assert_int_equal(lt_file_write("out/empty", NULL, 0, diag), LATHE_OK);
    expect_file("out/empty", "");
    assert_int_equal(symlink("plan", "out/link"), 0);
    assert_int_equal(lt_file_write("out/link", "via link", 8, diag), LATHE_OK);
    assert_true(lstat("out/link", &info) == 0 && S_ISLNK(info.st_mode));
    expect_file("out/plan", "via link");
    assert_int_equal(lathe_diag_total(diag), 0);
    lathe_diag_destroy(diag);
}

static void test_writer_failures(void **state)
{
    (void)state;
    counting_allocator a;
    counting_init(&a);
    lathe_diag *diag = lathe_diag_create(NULL);
    lt_writer *w;
    assert_int_equal(lt_writer_open(&w, "nowhere/x", &a.api, diag), LATHE_IO);
    assert_null(w);
    assert_int_equal(mkdir("dir", 0700), 0);
    assert_int_equal(lt_writer_open(&w, "dir", &a.api, diag), LATHE_IO);
    char name[5000];
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    assert_int_equal(lt_writer_open(&w, name, &a.api, diag), LATHE_IO);
    a.fail_at = a.calls + 1;
    assert_int_equal(lt_writer_open(&w, "dir/x", &a.api, diag), LATHE_OUT_OF_MEMORY);
    assert_int_equal(entries("dir"), 0);
    /* A device that is always full, and one that takes everything: both stay devices. */
    struct stat info;
    assert_int_equal(lt_file_write("/dev/null", "x", 1, diag), LATHE_OK);
    assert_true(stat("/dev/null", &info) == 0 && S_ISCHR(info.st_mode));
    size_t before = lathe_diag_total(diag);
    assert_int_equal(lt_file_write("/dev/full", "x", 1, diag), LATHE_IO);
    assert_int_equal(lathe_diag_total(diag), before + 1);
    assert_int_equal(lt_writer_open(&w, "/dev/full", &a.api, diag), LATHE_OK);
    static char big[100000];
    assert_int_equal(lt_writer_write(w, big, sizeof big, diag), LATHE_IO);
    assert_int_equal(lt_writer_write(w, "x", 1, diag), LATHE_IO);
    assert_int_equal(lt_writer_commit(w, diag), LATHE_IO);
    /* The target turns into a folder before the rename. */
    assert_int_equal(lt_writer_open(&w, "dir/y", &a.api, diag), LATHE_OK);
    assert_int_equal(mkdir("dir/y", 0700), 0);
    assert_int_equal(lt_writer_commit(w, diag), LATHE_IO);
    assert_int_equal(entries("dir"), 1);
    assert_int_equal(a.live, 0);
    assert_int_equal(a.mistakes, 0);
    lathe_diag_destroy(diag);
}

static void test_processors(void **state)
{
    (void)state;
    assert_true(lt_cpu_count() >= 1 && lt_cpu_count() <= (int)sysconf(_SC_NPROCESSORS_CONF));
    int64_t start = lt_now_ns();
    assert_true(lt_now_ns() >= start);
    for (int i = 0; i < LT_CPU_FEATURES; i++) {
        assert_non_null(lt_cpu_feature_name((lt_cpu_feature)i));
    }
    assert_null(lt_cpu_feature_name(LT_CPU_FEATURES));
    uint64_t features = lt_cpu_features();
    assert_int_equal(features >> LT_CPU_FEATURES, 0);
#if defined(__x86_64__)
    assert_int_equal(features >> LT_CPU_AVX2 & 1, __builtin_cpu_supports("avx2") != 0);
    assert_int_equal(features >> LT_CPU_FMA & 1, __builtin_cpu_supports("fma") != 0);
    assert_int_equal(features >> LT_CPU_SSE42 & 1, __builtin_cpu_supports("sse4.2") != 0);
    assert_int_equal(features >> LT_CPU_AVX512 & 1,
                     __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"));
    assert_int_equal(features >> LT_CPU_AVX512_VNNI & 1, __builtin_cpu_supports("avx512vnni") != 0);
#endif
    char model[64], tiny[4];
    assert_true(strlen(lt_cpu_model(model, sizeof model)) > 0);
    assert_true(strlen(lt_cpu_model(tiny, sizeof tiny)) < 4);
    assert_true(lt_cpu_level("base") == (uint64_t)1 << 63);
    assert_int_equal(lt_cpu_level("avx2") >> LT_CPU_FMA & 1, 1);
    assert_int_equal(lt_cpu_level("avx2") >> LT_CPU_AVX512 & 1, 0);
    assert_int_equal(lt_cpu_level("vnni") & lt_cpu_level("avx512"), lt_cpu_level("avx512"));
    assert_int_equal(lt_cpu_level("sse9"), 0);
}

static void test_environment(void **state)
{
    (void)state;
    assert_int_equal(setenv("LATHE_SEED", "7", 1), 0);
    assert_string_equal(lt_env("LATHE_SEED"), "7");
    unsetenv("LATHE_SEED");
    assert_null(lt_env("LATHE_SEED"));
    assert_null(lt_env("HOME")); /* not in the table */
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    assert_non_null(stream);
    lt_env_print(stream);
    fclose(stream);
    static const char *const names[] = { "LATHE_DEBUG",  "LATHE_DUMP", "LATHE_TRACE", "LATHE_MAX_ISA",
                                         "LATHE_TACTIC", "LATHE_SEED", "LATHE_VERIFY" };
    for (size_t i = 0; i < LT_COUNT(names); i++) {
        assert_non_null(strstr(text, names[i]));
    }
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_map_and_read), cmocka_unit_test(test_read_standard_input),
        cmocka_unit_test(test_below),        cmocka_unit_test(test_no_open_files_left),
        cmocka_unit_test(test_writer),       cmocka_unit_test(test_writer_failures),
        cmocka_unit_test(test_processors),   cmocka_unit_test(test_environment),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
