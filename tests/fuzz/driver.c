/*
 * driver.c - runs a fuzz target without libFuzzer: replays files and folders, and mutates them blindly for some seconds.
 *
 *   fuzz_X [-seconds=N] [-seed=N] [-max=BYTES] FILE|FOLDER...
 *
 * The test suite replays the seeds with it under every compiler and sanitizer. `make fuzz` links libFuzzer instead, which sees
 * coverage. An input that ends the program - by a sanitizer, an abort, a fault, or taking until the caller's SIGTERM - is left in the file
 * named by LATHE_FUZZ_LAST, if set. It must know nothing of what is fuzzed.
 */
#define _POSIX_C_SOURCE 200809L
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed) __attribute__((weak));
/* libFuzzer offers this to custom mutators; so does the driver. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

typedef struct seed_file {
    uint8_t *data;
    size_t size;
} seed_file;

typedef struct corpus {
    seed_file *items;
    size_t count;
    size_t capacity;
} corpus;

typedef struct mutation_state {
    uint64_t random;
} mutation_state;

/* LLVMFuzzerMutate has no context argument, so the generator's state is the program's. */
static mutation_state state = { 1 };

static uint32_t draw(uint32_t below)
{
    state.random ^= state.random << 13;
    state.random ^= state.random >> 7;
    state.random ^= state.random << 17;
    return below ? (uint32_t)((state.random >> 16) % below) : 0;
}

static void flip(uint8_t *data, size_t size)
{
    static const uint8_t odd[] = { 0, 1, 0x7f, 0x80, 0xff, 0xfe, '(', '[', '"' };
    size_t at = draw((uint32_t)size);
    switch (draw(4)) {
    case 0:
        data[at] ^= (uint8_t)(1u << draw(8));
        break;
    case 1:
        data[at] = (uint8_t)draw(256);
        break;
    case 2:
        data[at] = odd[draw(sizeof odd)];
        break;
    default:
        for (size_t i = at; i < size && i < at + 8; i++)
            data[i] = odd[3 + draw(2)];
        break;
    }
}

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size)
{
    uint32_t rounds = 1 + draw(6);
    if (size == 0) {
        if (max_size == 0)
            return 0;
        data[0] = (uint8_t)draw(256);
        return 1;
    }
    for (uint32_t r = 0; r < rounds; r++) {
        size_t at = draw((uint32_t)size);
        size_t n = 1 + draw(64);
        uint32_t kind = draw(8);
        if (kind == 0 && size > 1) { /* cut a piece out */
            n = n < size - at ? n : size - at;
            n = n < size ? n : size - 1;
            memmove(data + at, data + at + n, size - at - n);
            size -= n;
        } else if (kind == 1 && size < max_size) { /* repeat a piece */
            n = n < max_size - size ? n : max_size - size;
            n = n < size - at ? n : size - at;
            memmove(data + at + n, data + at, size - at);
            size += n;
        } else if (kind == 2) { /* end early */
            size = 1 + draw((uint32_t)size);
        } else {
            flip(data, size);
        }
    }
    return size;
}

static int add_file(corpus *all, const char *path)
{
    FILE *file = fopen(path, "rb");
    long size;
    seed_file item = { NULL, 0 };
    if (!file || fseek(file, 0, SEEK_END) != 0 || (size = ftell(file)) < 0 || fseek(file, 0, SEEK_SET) != 0) {
        fprintf(stderr, "cannot read %s\n", path);
        if (file)
            fclose(file);
        return 0;
    }
    item.size = (size_t)size;
    item.data = malloc(item.size + 1);
    if (item.data)
        item.size = fread(item.data, 1, item.size, file);
    fclose(file);
    if (all->count == all->capacity) {
        size_t capacity = all->capacity ? 2 * all->capacity : 64;
        seed_file *items = realloc(all->items, capacity * sizeof *items);
        if (!items) {
            free(item.data);
            return 0;
        }
        all->items = items;
        all->capacity = capacity;
    }
    if (!item.data)
        return 0;
    all->items[all->count++] = item;
    return 1;
}

static int add_path(corpus *all, const char *path)
{
    struct stat st;
    struct dirent *entry;
    DIR *dir;
    int fine = 1;
    if (stat(path, &st) != 0) {
        fprintf(stderr, "no such file: %s\n", path);
        return 0;
    }
    if (!S_ISDIR(st.st_mode))
        return add_file(all, path);
    dir = opendir(path);
    if (!dir)
        return 0;
    while ((entry = readdir(dir)) != NULL) {
        char inner[4096];
        if (entry->d_name[0] == '.')
            continue;
        if ((size_t)snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name) < sizeof inner)
            fine &= add_file(all, inner);
    }
    closedir(dir);
    return fine;
}

/* ---- What is being run, for the end of the program ---- */

static struct {
    const uint8_t *data;
    size_t size;
    const char *path;
} last;

static void leave_last(void)
{
    int file = last.data && last.path ? open(last.path, O_WRONLY | O_CREAT | O_TRUNC, 0666) : -1;
    for (size_t done = 0; file >= 0 && done < last.size;) {
        ssize_t n = write(file, last.data + done, last.size - done);
        done = n > 0 ? done + (size_t)n : last.size;
    }
    last.data = NULL;
}

static void at_signal(int number)
{
    leave_last();
    signal(number, SIG_DFL);
    raise(number);
}

/* A sanitizer ends the program itself, and asks this first. */
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

static void watch_end(const char *path)
{
    static const int signals[] = { SIGABRT, SIGTERM, SIGBUS, SIGFPE, SIGILL, SIGSEGV };
    last.path = path;
    if (__sanitizer_set_death_callback)
        __sanitizer_set_death_callback(leave_last);
    for (size_t i = 0; i < (__sanitizer_set_death_callback ? 2 : sizeof signals / sizeof *signals); i++)
        signal(signals[i], at_signal);
}

static void run(const uint8_t *data, size_t size)
{
    /* An exact copy on the heap, so that one byte too far is seen. */
    uint8_t *copy = malloc(size ? size : 1);
    if (!copy)
        return;
    if (size)
        memcpy(copy, data, size);
    last.data = data;
    last.size = size;
    LLVMFuzzerTestOneInput(copy, size);
    last.data = NULL;
    free(copy);
}

static unsigned long mutate_for(const corpus *all, double seconds, size_t max)
{
    struct timespec start, now;
    unsigned long runs = 0;
    uint8_t *data = malloc(max);
    if (!data || all->count == 0) {
        free(data);
        return 0;
    }
    clock_gettime(CLOCK_MONOTONIC, &start);
    do {
        const seed_file *item = &all->items[draw((uint32_t)all->count)];
        size_t size = item->size < max ? item->size : max;
        memcpy(data, item->data, size);
        if (LLVMFuzzerCustomMutator)
            size = LLVMFuzzerCustomMutator(data, size, max, (unsigned)draw(0xffffffffu));
        else
            size = LLVMFuzzerMutate(data, size, max);
        run(data, size);
        runs++;
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while ((double)(now.tv_sec - start.tv_sec) + 1e-9 * (double)(now.tv_nsec - start.tv_nsec) < seconds);
    free(data);
    return runs;
}

int main(int argc, char **argv)
{
    corpus all = { NULL, 0, 0 };
    double seconds = 0;
    size_t max = (size_t)1 << 20;
    unsigned long runs = 0;
    int fine = 1;
    watch_end(getenv("LATHE_FUZZ_LAST"));
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "-seconds=", 9) == 0)
            seconds = atof(argv[i] + 9);
        else if (strncmp(argv[i], "-seed=", 6) == 0)
            state.random = strtoull(argv[i] + 6, NULL, 10) * 2 + 1;
        else if (strncmp(argv[i], "-max=", 5) == 0)
            max = (size_t)strtoull(argv[i] + 5, NULL, 10);
        else
            fine &= add_path(&all, argv[i]);
    }
    for (size_t i = 0; i < all.count; i++)
        run(all.items[i].data, all.items[i].size);
    if (fine && seconds > 0 && max > 0)
        runs = mutate_for(&all, seconds, max);
    printf("%zu seeds, %lu mutations\n", all.count, runs);
    fine = fine && all.count > 0;
    for (size_t i = 0; i < all.count; i++)
        free(all.items[i].data);
    free(all.items);
    return fine ? 0 : 1;
}
