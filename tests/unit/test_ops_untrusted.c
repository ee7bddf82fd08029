/*
 * test_ops_untrusted.c - operators whose input is a language of its own: pictures (ImageDecoder) and regular expressions (RegexFullMatch). Each format gives
 * the pixels that were put in; damaged files of all formats are answers, never crashes; patterns without meaning are refused with the reason; no pattern takes
 * more than linear time.
 *
 * The pictures were written by Pillow 13.0.0 from the pixels below. A format whose library is not installed says so and is left out.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "graph/graph.h"
#include "ops/regex.h"

/* ---- Pictures ---- */

static const unsigned char png[] = {
    137, 80,  78,  71,  13,  10,  26,  10,  0,   0,   0,   13, 73, 72,  68,  82, 0,  0,   0,  3,  0,
    0,   0,   2,   8,   2,   0,   0,   0,   18,  22,  241, 77, 0,  0,   0,   24, 73, 68,  65, 84, 120,
    156, 99,  248, 207, 192, 192, 240, 159, 129, 129, 225, 63, 35, 151, 136, 28, 4,  0,   0,  49, 51,
    3,   239, 158, 211, 168, 35,  0,   0,   0,   0,   73,  69, 78, 68,  174, 66, 96, 130,
};
static const unsigned char png_alpha[] = {
    137, 80,  78, 71,  13,  10,  26,  10,  0,   0,   0,   13,  73, 72,  68,  82,  0,   0,  0,   3,   0,  0,   0,
    2,   8,   6,  0,   0,   0,   157, 116, 102, 26,  0,   0,   0,  32,  73,  68,  65,  84, 120, 156, 5,  193, 161,
    1,   0,   0,  8,   195, 176, 206, 162, 209, 189, 149, 207, 71, 146, 194, 165, 64,  74, 102, 61,  21, 149, 7,
    81,  174, 4,  242, 3,   249, 194, 122, 0,   0,   0,   0,   73, 69,  78,  68,  174, 66, 96,  130,
};
static const unsigned char png_palette[] = {
    137, 80,  78, 71,  13, 10,  26,  10,  0,   0,  0,   13, 73, 72, 68, 82, 0,   0,  0,  3,   0,   0,  0,   2,  4,  3,
    0,   0,   0,  111, 90, 123, 41,  0,   0,   0,  18,  80, 76, 84, 69, 0,  255, 0,  70, 80,  90,  40, 50,  60, 10, 20,
    30,  255, 0,  0,   0,  0,   255, 139, 66,  49, 89,  0,  0,  0,  14, 73, 68,  65, 84, 120, 156, 99, 116, 16, 96, 249,
    116, 1,   0,  4,   76, 2,   24,  86,  212, 58, 154, 0,  0,  0,  0,  73, 69,  78, 68, 174, 66,  96, 130,
};
static const unsigned char webp[] = {
    82, 73,  70,  70,  66,  0,   0,   0,   87,  69,  66,  80,  86,  80,  56,  76,  53,  0,   0,
    0,  47,  2,   64,  0,   0,   47,  64,  152, 109, 180, 57,  220, 123, 254, 150, 167, 33,  36,
    32, 116, 31,  252, 127, 137, 32,  219, 102, 23,  169, 191, 229, 231, 63,  224, 207, 120, 38,
    69, 1,   133, 108, 35,  192, 161, 123, 5,   78,  233, 34,  250, 31,  195, 11,  0,
};
static const unsigned char tiff[] = {
    73, 73, 42, 0, 8, 0,   0,  0, 10, 0,   0,  1, 4, 0,   1,  0,   0,  0,  3,  0,  0,  0,  1,  1, 4,   0,  1,
    0,  0,  0,  2, 0, 0,   0,  2, 1,  3,   0,  3, 0, 0,   0,  134, 0,  0,  0,  3,  1,  3,  0,  1, 0,   0,  0,
    1,  0,  0,  0, 6, 1,   3,  0, 1,  0,   0,  0, 2, 0,   0,  0,   17, 1,  4,  0,  1,  0,  0,  0, 140, 0,  0,
    0,  21, 1,  3, 0, 1,   0,  0, 0,  3,   0,  0, 0, 22,  1,  4,   0,  1,  0,  0,  0,  2,  0,  0, 0,   23, 1,
    4,  0,  1,  0, 0, 0,   18, 0, 0,  0,   28, 1, 3, 0,   1,  0,   0,  0,  1,  0,  0,  0,  0,  0, 0,   0,  8,
    0,  8,  0,  8, 0, 255, 0,  0, 0,  255, 0,  0, 0, 255, 10, 20,  30, 40, 50, 60, 70, 80, 90,
};
static const unsigned char tiff_lzw[] = {
    73, 73, 42, 0, 26, 0, 0,   0,  128, 63, 192, 16, 56, 20, 16, 20, 20, 15, 10, 6,  67, 194, 49, 64, 181, 1, 10,
    0,  0,  1,  3, 0,  1, 0,   0,  0,   3,  0,   0,  0,  1,  1,  3,  0,  1,  0,  0,  0,  2,   0,  0,  0,   2, 1,
    3,  0,  3,  0, 0,  0, 152, 0,  0,   0,  3,   1,  3,  0,  1,  0,  0,  0,  5,  0,  0,  0,   6,  1,  3,   0, 1,
    0,  0,  0,  2, 0,  0, 0,   17, 1,   4,  0,   1,  0,  0,  0,  8,  0,  0,  0,  21, 1,  3,   0,  1,  0,   0, 0,
    3,  0,  0,  0, 22, 1, 3,   0,  1,   0,  0,   0,  2,  0,  0,  0,  23, 1,  4,  0,  1,  0,   0,  0,  18,  0, 0,
    0,  28, 1,  3, 0,  1, 0,   0,  0,   1,  0,   0,  0,  0,  0,  0,  0,  8,  0,  8,  0,  8,   0,
};
static const unsigned char j2k[] = {
    0,   0,   0,   12,  106, 80,  32,  32,  13,  10,  135, 10,  0,   0,   0,   20,  102, 116, 121, 112, 106, 112, 50,
    32,  0,   0,   0,   0,   106, 112, 50,  32,  0,   0,   0,   45,  106, 112, 50,  104, 0,   0,   0,   22,  105, 104,
    100, 114, 0,   0,   0,   2,   0,   0,   0,   3,   0,   3,   7,   7,   0,   0,   0,   0,   0,   15,  99,  111, 108,
    114, 1,   0,   0,   0,   0,   0,   16,  0,   0,   0,   167, 106, 112, 50,  99,  255, 79,  255, 81,  0,   47,  0,
    0,   0,   0,   0,   3,   0,   0,   0,   2,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   3,   0,   0,
    0,   2,   0,   0,   0,   0,   0,   0,   0,   0,   0,   3,   7,   1,   1,   7,   1,   1,   7,   1,   1,   255, 82,
    0,   12,  0,   0,   0,   1,   0,   0,   4,   4,   0,   1,   255, 92,  0,   4,   64,  64,  255, 100, 0,   37,  0,
    1,   67,  114, 101, 97,  116, 101, 100, 32,  98,  121, 32,  79,  112, 101, 110, 74,  80,  69,  71,  32,  118, 101,
    114, 115, 105, 111, 110, 32,  50,  46,  53,  46,  52,  255, 144, 0,   10,  0,   0,   0,   0,   0,   47,  0,   1,
    255, 147, 223, 128, 64,  14,  48,  82,  220, 158, 214, 99,  1,   223, 128, 64,  7,   110, 51,  9,   129, 173, 159,
    88,  223, 128, 64,  6,   75,  171, 165, 39,  148, 71,  247, 255, 217,
};
static const unsigned char jpeg[] = {
    255, 216, 255, 224, 0,   16,  74,  70,  73,  70,  0,   1,   1,   0,   0,   1,   0,   1,   0,   0,   255, 219, 0,
    67,  0,   2,   1,   1,   1,   1,   1,   2,   1,   1,   1,   2,   2,   2,   2,   2,   4,   3,   2,   2,   2,   2,
    5,   4,   4,   3,   4,   6,   5,   6,   6,   6,   5,   6,   6,   6,   7,   9,   8,   6,   7,   9,   7,   6,   6,
    8,   11,  8,   9,   10,  10,  10,  10,  10,  6,   8,   11,  12,  11,  10,  12,  9,   10,  10,  10,  255, 219, 0,
    67,  1,   2,   2,   2,   2,   2,   2,   5,   3,   3,   5,   10,  7,   6,   7,   10,  10,  10,  10,  10,  10,  10,
    10,  10,  10,  10,  10,  10,  10,  10,  10,  10,  10,  10,  10,  10,  10,  10,  10,  10,  10,  10,  10,  10,  10,
    10,  10,  10,  10,  10,  10,  10,  10,  10,  10,  10,  10,  10,  10,  10,  10,  10,  10,  10,  10,  255, 192, 0,
    17,  8,   0,   8,   0,   8,   3,   1,   34,  0,   2,   17,  1,   3,   17,  1,   255, 196, 0,   31,  0,   0,   1,
    5,   1,   1,   1,   1,   1,   1,   0,   0,   0,   0,   0,   0,   0,   0,   1,   2,   3,   4,   5,   6,   7,   8,
    9,   10,  11,  255, 196, 0,   181, 16,  0,   2,   1,   3,   3,   2,   4,   3,   5,   5,   4,   4,   0,   0,   1,
    125, 1,   2,   3,   0,   4,   17,  5,   18,  33,  49,  65,  6,   19,  81,  97,  7,   34,  113, 20,  50,  129, 145,
    161, 8,   35,  66,  177, 193, 21,  82,  209, 240, 36,  51,  98,  114, 130, 9,   10,  22,  23,  24,  25,  26,  37,
    38,  39,  40,  41,  42,  52,  53,  54,  55,  56,  57,  58,  67,  68,  69,  70,  71,  72,  73,  74,  83,  84,  85,
    86,  87,  88,  89,  90,  99,  100, 101, 102, 103, 104, 105, 106, 115, 116, 117, 118, 119, 120, 121, 122, 131, 132,
    133, 134, 135, 136, 137, 138, 146, 147, 148, 149, 150, 151, 152, 153, 154, 162, 163, 164, 165, 166, 167, 168, 169,
    170, 178, 179, 180, 181, 182, 183, 184, 185, 186, 194, 195, 196, 197, 198, 199, 200, 201, 202, 210, 211, 212, 213,
    214, 215, 216, 217, 218, 225, 226, 227, 228, 229, 230, 231, 232, 233, 234, 241, 242, 243, 244, 245, 246, 247, 248,
    249, 250, 255, 196, 0,   31,  1,   0,   3,   1,   1,   1,   1,   1,   1,   1,   1,   1,   0,   0,   0,   0,   0,
    0,   1,   2,   3,   4,   5,   6,   7,   8,   9,   10,  11,  255, 196, 0,   181, 17,  0,   2,   1,   2,   4,   4,
    3,   4,   7,   5,   4,   4,   0,   1,   2,   119, 0,   1,   2,   3,   17,  4,   5,   33,  49,  6,   18,  65,  81,
    7,   97,  113, 19,  34,  50,  129, 8,   20,  66,  145, 161, 177, 193, 9,   35,  51,  82,  240, 21,  98,  114, 209,
    10,  22,  36,  52,  225, 37,  241, 23,  24,  25,  26,  38,  39,  40,  41,  42,  53,  54,  55,  56,  57,  58,  67,
    68,  69,  70,  71,  72,  73,  74,  83,  84,  85,  86,  87,  88,  89,  90,  99,  100, 101, 102, 103, 104, 105, 106,
    115, 116, 117, 118, 119, 120, 121, 122, 130, 131, 132, 133, 134, 135, 136, 137, 138, 146, 147, 148, 149, 150, 151,
    152, 153, 154, 162, 163, 164, 165, 166, 167, 168, 169, 170, 178, 179, 180, 181, 182, 183, 184, 185, 186, 194, 195,
    196, 197, 198, 199, 200, 201, 202, 210, 211, 212, 213, 214, 215, 216, 217, 218, 226, 227, 228, 229, 230, 231, 232,
    233, 234, 242, 243, 244, 245, 246, 247, 248, 249, 250, 255, 218, 0,   12,  3,   1,   0,   2,   17,  3,   17,  0,
    63,  0,   207, 162, 138, 43,  249, 92,  254, 216, 63,  255, 217,
};
static const unsigned char bmp[] = {
    66, 77, 78, 0,  0,  0,  0,  0,  0,  0,  54, 0, 0,   0,  40, 0, 0,   0,  3,   0, 0,   0, 2, 0, 0, 0,
    1,  0,  24, 0,  0,  0,  0,  0,  24, 0,  0,  0, 196, 14, 0,  0, 196, 14, 0,   0, 0,   0, 0, 0, 0, 0,
    0,  0,  30, 20, 10, 60, 50, 40, 90, 80, 70, 0, 0,   0,  0,  0, 255, 0,  255, 0, 255, 0, 0, 0, 0, 0,
};
static const unsigned char bmp_palette[] = {
    66, 77, 86, 0, 0,  0,  0,  0, 0,  0,   78, 0, 0, 0,   40,  0, 0,   0, 3, 0, 0, 0, 2, 0, 0, 0, 1,   0, 8,
    0,  0,  0,  0, 0,  8,  0,  0, 0,  196, 14, 0, 0, 196, 14,  0, 0,   6, 0, 0, 0, 6, 0, 0, 0, 0, 255, 0, 0,
    90, 80, 70, 0, 60, 50, 40, 0, 30, 20,  10, 0, 0, 0,   255, 0, 255, 0, 0, 0, 3, 2, 1, 0, 4, 0, 5,   0,
};
static const unsigned char ppm[] = {
    80, 54, 10, 51, 32, 50, 10, 50, 53, 53, 10, 255, 0, 0, 0, 255, 0, 0, 0, 255, 10, 20, 30, 40, 50, 60, 70, 80, 90,
};

static const unsigned char pixels[] = { 255, 0, 0, 0, 255, 0, 0, 0, 255, 10, 20, 30, 40, 50, 60, 70, 80, 90 };

typedef struct picture {
    const char *name;
    const unsigned char *bytes;
    size_t size;
    bool flat; /* 8 by 8 pixels of one colour, not quite exactly */
} picture;

#define PICTURE(array, flat)                                                                                           \
    {                                                                                                                  \
#array, array, sizeof array, flat                                                                              \
    }
static const picture pictures[] = {
    PICTURE(png, false),  PICTURE(png_alpha, false),   PICTURE(png_palette, false), PICTURE(webp, false),
    PICTURE(tiff, false), PICTURE(tiff_lzw, false),    PICTURE(j2k, false),         PICTURE(jpeg, true),
    PICTURE(bmp, false),  PICTURE(bmp_palette, false), PICTURE(ppm, false),
};

/* Decodes; *run is NULL when the library is missing. Any other failure is one of the test. */
static void decode(const unsigned char *bytes, size_t size, lt_graph **graph, lt_run **run)
{
    lathe_diag *diag = lathe_diag_create(NULL);
    lt_buf text;
    lt_buf_init(&text, NULL);
    lt_buf_printf(&text, "u8[%zu] x = {", size);
    for (size_t i = 0; i < size; i++) {
        lt_buf_printf(&text, "%s%u", i > 0 ? ", " : "", bytes[i]);
    }
    lt_buf_puts(&text, "} | y = ImageDecoder (x)");
    assert_int_equal(lt_graph_parse_sample(lt_buf_str(&text), "picture", NULL, graph, diag), LATHE_OK);
    lathe_status status = lt_graph_run(*graph, NULL, 0, NULL, run, diag);
    if (status != LATHE_OK) {
        assert_int_equal(status, LATHE_UNSUPPORTED);
        *run = NULL;
    }
    lt_buf_free(&text);
    lathe_diag_destroy(diag);
}

static void close_run(lt_graph *graph, lt_run *run)
{
    lt_run_destroy(run);
    lt_graph_destroy(graph);
}

static void pixels_come_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < LT_COUNT(pictures); i++) {
        const picture *p = &pictures[i];
        lt_graph *graph;
        lt_run *run;
        decode(p->bytes, p->size, &graph, &run);
        if (run == NULL) {
            print_message("%s: its library is not installed\n", p->name);
            close_run(graph, run);
            continue;
        }
        const lt_tensor *y = &lt_run_output(run, 0)->tensor;
        const unsigned char *got = y->data;
        print_message("%s: %zu bytes\n", p->name, y->bytes);
        assert_int_equal(y->bytes, p->flat ? 8 * 8 * 3 : sizeof pixels);
        for (size_t k = 0; k < y->bytes; k++) {
            int want = p->flat ? (int[]){ 200, 100, 50 }[k % 3] : pixels[k];
            assert_true(abs(got[k] - want) <= (p->flat ? 3 : 0));
        }
        close_run(graph, run);
    }
}

/* Cut off everywhere, and every byte changed: whatever comes, it is a matrix. */
static void damage_is_an_answer(void **state)
{
    (void)state;
    for (size_t i = 0; i < LT_COUNT(pictures); i++) {
        const picture *p = &pictures[i];
        unsigned char *copy = malloc(p->size);
        assert_non_null(copy);
        for (size_t k = 0; k < 2 * p->size; k++) {
            lt_graph *graph;
            lt_run *run;
            memcpy(copy, p->bytes, p->size);
            size_t size = k < p->size ? k : p->size;
            copy[k % p->size] ^= k < p->size ? 0 : (unsigned char)(1 + k * 37 % 255);
            decode(copy, size, &graph, &run);
            if (run != NULL) {
                const lt_tensor *y = &lt_run_output(run, 0)->tensor;
                assert_int_equal(y->rank, 3);
                assert_int_equal(y->bytes, y->dims[0] * y->dims[1] * y->dims[2]);
            }
            close_run(graph, run);
        }
        free(copy);
    }
}

/* ---- Regular expressions ---- */

static lathe_status compile(lt_arena *arena, const char *pattern, lt_regex *out, char *why, size_t size)
{
    lathe_diag *diag = lathe_diag_create(NULL);
    lathe_status status = lt_regex_compile(arena, pattern, strlen(pattern), "node", out, diag);
    lathe_diag_record first = { .struct_size = sizeof first };
    bool said = status != LATHE_OK && lathe_diag_at(diag, 0, &first) == LATHE_OK;
    snprintf(why, size, "%s", said && first.text != NULL ? first.text : "");
    lathe_diag_destroy(diag);
    return status;
}

static void bad_patterns_are_refused(void **state)
{
    static const struct {
        const char *pattern, *why;
        lathe_status status;
    } cases[] = {
        { "(a", "not closed", LATHE_BAD_MODEL },
        { "a)", "closes nothing", LATHE_BAD_MODEL },
        { "*a", "nothing to repeat", LATHE_BAD_MODEL },
        { "(|*)", "nothing to repeat", LATHE_BAD_MODEL },
        { "a**", "two repetitions", LATHE_BAD_MODEL },
        { "a{2}{3}", "two repetitions", LATHE_BAD_MODEL },
        { "a{3,2}", "counts of a repetition", LATHE_BAD_MODEL },
        { "a{1001}", "counts of a repetition", LATHE_BAD_MODEL },
        { "a{99999999999999}", "counts of a repetition", LATHE_BAD_MODEL },
        { "[b-a]", "backwards", LATHE_BAD_MODEL },
        { "[a", "ends too early", LATHE_BAD_MODEL },
        { "[[:nothing:]]", "no such set", LATHE_BAD_MODEL },
        { "\\1", "references", LATHE_BAD_MODEL },
        { "\\y", "no such escape", LATHE_BAD_MODEL },
        { "a\\", "ends too early", LATHE_BAD_MODEL },
        { "\\x{110000}", "hexadecimal", LATHE_BAD_MODEL },
        { "(?=a)", "looking ahead", LATHE_BAD_MODEL },
        { "(?P<>a)", "is empty", LATHE_BAD_MODEL },
        { "\xff", "not UTF-8", LATHE_BAD_MODEL },
        { "\\C", "single bytes", LATHE_UNSUPPORTED },
        { "\\p{Greek}", "scripts of Unicode", LATHE_UNSUPPORTED },
        { "((a{100}){100}){100}", "instructions", LATHE_UNSUPPORTED },
    };
    (void)state;
    for (size_t i = 0; i < LT_COUNT(cases); i++) {
        lt_arena arena;
        lt_regex regex;
        char why[512];
        lt_arena_init(&arena, NULL);
        print_message("%s\n", cases[i].pattern);
        assert_int_equal(compile(&arena, cases[i].pattern, &regex, why, sizeof why), cases[i].status);
        assert_non_null(strstr(why, cases[i].why));
        lt_arena_destroy(&arena);
    }
}

static bool matches(const char *pattern, const char *text, size_t length)
{
    lt_arena arena;
    lt_regex regex;
    lt_regex_work work;
    char why[512];
    lt_arena_init(&arena, NULL);
    assert_int_equal(compile(&arena, pattern, &regex, why, sizeof why), LATHE_OK);
    assert_int_equal(lt_regex_prepare(&arena, &regex, &work, NULL), LATHE_OK);
    bool found = lt_regex_full_match(&regex, &work, text, length);
    lt_arena_destroy(&arena);
    return found;
}

/* Tries of one way after the other would take longer than the universe is old. */
static void time_is_linear(void **state)
{
    enum { LENGTH = 20000 };
    char *text = malloc(LENGTH);
    (void)state;
    assert_non_null(text);
    memset(text, 'a', LENGTH);
    assert_false(matches("(a*)*b", text, LENGTH));
    assert_false(matches("(a|aa|aaa)*(a?){100}b", text, LENGTH));
    assert_true(matches("(?:(?:(?:a*)*)*)*", text, LENGTH));
    assert_true(matches("(((a?){10}){10}){10}a*", text, LENGTH));
    free(text);
}

/* What is no UTF-8 matches nothing; what has no other case keeps its own. */
static void texts_are_utf8(void **state)
{
    (void)state;
    assert_false(matches(".", "\xff", 1));
    assert_false(matches("[^a]", "\xc3", 1));
    assert_true(matches(".", "\xf0\x9f\x98\x80", 4));
    assert_false(matches(".", "\xed\xa0\x80", 3));
    assert_true(matches("(?i)k", "\xe2\x84\xaa", 3));
    assert_false(matches("(?i)i", "\xc4\xb1", 2));
    assert_true(matches("\\p{Lu}\\pN[\\p{Ll}]", "\xc3\x84\xc2\xb2\xc3\xa9", 6));
    assert_true(matches("a\\z", "a", 1));
    assert_true(matches("", NULL, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pixels_come_back),         cmocka_unit_test(damage_is_an_answer),
        cmocka_unit_test(bad_patterns_are_refused), cmocka_unit_test(time_is_linear),
        cmocka_unit_test(texts_are_utf8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
