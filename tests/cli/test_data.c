/*
 * test_data.c - data files: what is written reads back; damaged files are refused by name and never read out of bounds (under ASan).
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../tools/data.h"

typedef struct place {
    char folder[64];
    lathe_diag *diag;
    lt_arena arena;
} place;

static int set_up(void **state)
{
    place *p = calloc(1, sizeof *p);
    assert_non_null(p);
    snprintf(p->folder, sizeof p->folder, "/tmp/lathe-data-XXXXXX");
    assert_non_null(mkdtemp(p->folder));
    p->diag = lathe_diag_create(NULL);
    lt_arena_init(&p->arena, NULL);
    *state = p;
    return 0;
}

static int tear_down(void **state)
{
    place *p = *state;
    rmdir(p->folder);
    lathe_diag_destroy(p->diag);
    lt_arena_destroy(&p->arena);
    free(p);
    return 0;
}

static const char *path_of(place *p, const char *name)
{
    return lt_arena_printf(&p->arena, "%s/%s", p->folder, name);
}

static lathe_tensor make(place *p, lathe_dtype dtype, int rank, const int64_t *dims)
{
    lathe_tensor t;
    assert_int_equal(lt_tensor_alloc(&p->arena, &t, dtype, rank, dims, "t", p->diag), LATHE_OK);
    assert_int_equal(lt_random_fill(&t, 7, p->diag), LATHE_OK);
    return t;
}

static void there_and_back(void **state)
{
    static const int64_t dims[4] = { 2, 3, 1, 5 }, none[2] = { 0, 4 };
    static const lathe_dtype dtypes[] = { LATHE_DTYPE_F32, LATHE_DTYPE_F64,  LATHE_DTYPE_F16, LATHE_DTYPE_I8,
                                          LATHE_DTYPE_I16, LATHE_DTYPE_I32,  LATHE_DTYPE_I64, LATHE_DTYPE_U8,
                                          LATHE_DTYPE_U16, LATHE_DTYPE_BOOL, LATHE_DTYPE_U32, LATHE_DTYPE_U64,
                                          LATHE_DTYPE_C64 };
    static const char *const names[] = { "t.npy", "t.npz", "t.pb" };
    place *p = *state;
    for (size_t d = 0; d < LT_COUNT(dtypes); d++) {
        for (int rank = 0; rank <= 4; rank++) {
            data_item item = { .name = "t", .tensor = make(p, dtypes[d], rank, dims) };
            if (rank == 2 && d % 2) {
                item.tensor = make(p, dtypes[d], 2, none);
            }
            for (size_t k = 0; k < LT_COUNT(names); k++) {
                data_set set;
                const char *path = path_of(p, names[k]);
                assert_int_equal(data_write(path, &item, 1, p->diag), LATHE_OK);
                assert_int_equal(data_read(path, NULL, &p->arena, &set, p->diag), LATHE_OK);
                assert_int_equal(set.count, 1);
                assert_true(lt_tensor_equal(&set.items[0].tensor, &item.tensor));
                unlink(path);
            }
        }
    }
}

static void several(void **state)
{
    static const int64_t dims[2] = { 3, 4 };
    place *p = *state;
    data_item items[2] = { { .name = "a", .tensor = make(p, LATHE_DTYPE_F32, 2, dims) },
                           { .name = "b/c", .tensor = make(p, LATHE_DTYPE_I64, 1, dims) } };
    data_set set;
    const char *path = path_of(p, "t.npz");
    assert_int_equal(data_write(path, items, 2, p->diag), LATHE_OK);
    assert_int_equal(data_read(path, NULL, &p->arena, &set, p->diag), LATHE_OK);
    assert_int_equal(set.count, 2);
    assert_string_equal(set.items[1].name, "b/c");
    assert_int_equal(data_read(path_of(p, "t.npz:b/c"), NULL, &p->arena, &set, p->diag), LATHE_OK);
    assert_int_equal(set.count, 1);
    assert_true(lt_tensor_equal(&set.items[0].tensor, &items[1].tensor));
    assert_int_equal(data_read(path_of(p, "t.npz:d"), NULL, &p->arena, &set, p->diag), LATHE_INVALID_ARGUMENT);
    unlink(path);
    assert_int_equal(data_write(path_of(p, "t.npy"), items, 2, p->diag), LATHE_INVALID_ARGUMENT);
    assert_int_equal(data_write(path_of(p, "t.txt"), items, 1, p->diag), LATHE_INVALID_ARGUMENT);
}

/* np.array([[1, 2, 3], [4, 5, 6]], order="F") as column-major bytes. */
static void column_major(void **state)
{
    static const char header[] =
        "\x93NUMPY\x01\x00\x46\x00{'descr': '<i2', 'fortran_order': True, 'shape': (2, 3), }           \n";
    static const int16_t columns[6] = { 1, 4, 2, 5, 3, 6 }, rows[6] = { 1, 2, 3, 4, 5, 6 };
    place *p = *state;
    unsigned char bytes[80 + sizeof columns];
    lathe_tensor t;
    assert_int_equal(sizeof header - 1, 80);
    memcpy(bytes, header, 80);
    memcpy(bytes + 80, columns, sizeof columns);
    assert_int_equal(npy_read(bytes, sizeof bytes, "t", &p->arena, &t, p->diag), LATHE_OK);
    assert_int_equal(t.dims[0], 2);
    assert_memory_equal(t.data, rows, sizeof rows);
}

/* ---- Damage ---- */

static void read_file(const char *path, unsigned char **data, size_t *size)
{
    lt_file file;
    assert_int_equal(lt_file_read(&file, path, NULL, NULL), LATHE_OK);
    *data = malloc(file.size + 1);
    assert_non_null(*data);
    memcpy(*data, file.data, file.size);
    *size = file.size;
    lt_file_close(&file);
}

typedef lathe_status (*reader)(const void *data, size_t size, lt_arena *arena, lathe_diag *diag);

static lathe_status as_npy(const void *data, size_t size, lt_arena *arena, lathe_diag *diag)
{
    lathe_tensor t;
    return npy_read(data, size, "t", arena, &t, diag);
}

static lathe_status as_zip(const void *data, size_t size, lt_arena *arena, lathe_diag *diag)
{
    zip_entry *entries;
    size_t count;
    return zip_read(data, size, "t", NULL, arena, &entries, &count, diag);
}

static lathe_status as_tar(const void *data, size_t size, lt_arena *arena, lathe_diag *diag)
{
    tar_entry *entries;
    size_t count;
    return tar_read(data, size, "t", arena, &entries, &count, diag);
}

/* Every truncation (in a block of its own, so that a byte too far is seen), and flips all over. */
static void torture(place *p, reader read, const unsigned char *data, size_t size, size_t step)
{
    for (size_t n = 0; n < size; n += step) {
        unsigned char *cut = malloc(n ? n : 1);
        assert_non_null(cut);
        memcpy(cut, data, n);
        (void)read(cut, n, &p->arena, p->diag);
        lathe_diag_clear(p->diag);
        lt_arena_reset(&p->arena);
        free(cut);
    }
    unsigned char *copy = malloc(size);
    assert_non_null(copy);
    memcpy(copy, data, size);
    for (size_t i = 0; i < size; i += step) {
        for (int bit = 0; bit < 8; bit++) {
            copy[i] ^= (unsigned char)(1 << bit);
            (void)read(copy, size, &p->arena, p->diag);
            lathe_diag_clear(p->diag);
            lt_arena_reset(&p->arena);
            copy[i] ^= (unsigned char)(1 << bit);
        }
    }
    free(copy);
}

static void damaged(void **state)
{
    static const int64_t dims[2] = { 3, 4 };
    place *p = *state;
    data_item item = { .name = "a", .tensor = make(p, LATHE_DTYPE_F32, 2, dims) };
    unsigned char *data, tar[2048] = "some/file";
    size_t size;
    char path[128];
    snprintf(path, sizeof path, "%s/t.npy", p->folder);
    assert_int_equal(data_write(path, &item, 1, p->diag), LATHE_OK);
    read_file(path, &data, &size);
    unlink(path);
    torture(p, as_npy, data, size, 1);
    free(data);
    read_file(LATHE_SOURCE_DIR "/tests/fixtures/char_gpt_data.npz", &data, &size);
    torture(p, as_zip, data, size, 13);
    free(data);
    memcpy(tar + 124, "00000000010", 11);
    memcpy(tar + 257,
           "ustar\0"
           "00",
           8);
    tar[156] = '0';
    assert_int_equal(as_tar(tar, sizeof tar, &p->arena, p->diag), LATHE_OK);
    torture(p, as_tar, tar, sizeof tar, 1);
}

/* Names of all kinds. */
static void archives(void **state)
{
    unsigned char tar[4096] = "././@LongLink";
    place *p = *state;
    tar_entry *entries;
    size_t count;
    memcpy(tar + 124, "00000000011", 11);
    memcpy(tar + 257, "ustar  ", 8);
    tar[156] = 'L';
    memcpy(tar + 512, "long/name", 9);
    memcpy(tar + 1024, "short", 5);
    memcpy(tar + 1024 + 124, "00000000002", 11);
    tar[1024 + 156] = '0';
    memcpy(tar + 1536, "hi", 2);
    assert_int_equal(tar_read(tar, sizeof tar, "t", &p->arena, &entries, &count, p->diag), LATHE_OK);
    assert_int_equal(count, 1);
    assert_string_equal(entries[0].path, "long/name");
    assert_int_equal(entries[0].size, 2);
    assert_memory_equal(entries[0].data, "hi", 2);
    tar[156] = 'x';
    memcpy(tar + 512, "17 path=pax/name\n", 17);
    memcpy(tar + 124, "00000000021", 11);
    assert_int_equal(tar_read(tar, sizeof tar, "t", &p->arena, &entries, &count, p->diag), LATHE_OK);
    assert_string_equal(entries[0].path, "pax/name");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(there_and_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(several, set_up, tear_down),
        cmocka_unit_test_setup_teardown(column_major, set_up, tear_down),
        cmocka_unit_test_setup_teardown(damaged, set_up, tear_down),
        cmocka_unit_test_setup_teardown(archives, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
