/*
 * operator_page.c - docs/operators.md, made from the tables of operators and tactics: lathe ops --markdown. A test compares the page with what this prints.
 */
#include "tool.h"
#include <lathe/tactic.h>
#include <stdlib.h>
#include <string.h>

static const char *domain_of(const lt_op *op)
{
    return op->domain && op->domain[0] ? op->domain : "ai.onnx";
}

/* ai.onnx first, then domains and names in order. */
static int by_domain_and_name(const void *a, const void *b)
{
    const lt_op *x = *(const lt_op *const *)a, *y = *(const lt_op *const *)b;
    bool x_own = x->domain && x->domain[0], y_own = y->domain && y->domain[0];
    int order = x_own != y_own ? x_own - y_own : strcmp(domain_of(x), domain_of(y));
    return order ? order : strcmp(x->name, y->name);
}

/* In a table's cell, '|' would end it. */
static void put_cell(lt_buf *out, const char *text)
{
    for (; *text; text++) {
        lt_buf_puts(out, *text == '|' ? "\\" : "");
        lt_buf_putc(out, *text);
    }
}

static bool names_word(const char *list, const char *word)
{
    size_t n = strlen(word);
    for (const char *at = list; (at = strstr(at, word)); at += n) {
        if ((at == list || at[-1] == ' ') && (at[n] == ' ' || at[n] == '\0')) {
            return true;
        }
    }
    return false;
}

/* "conv.f32.nhwc.avx2" -> "conv.f32.nhwc": one family, whatever instructions it uses. */
static size_t family_length(const char *name)
{
    static const char *const levels[] = { ".base", ".avx2", ".avx512", ".vnni", ".avxvnni" };
    size_t length = strlen(name);
    for (size_t i = 0; i < LT_COUNT(levels); i++) {
        const char *at = strstr(name, levels[i]);
        size_t n = strlen(levels[i]);
        if (at && (at[n] == '\0' || at[n] == '.')) {
            length = (size_t)(at - name) < length ? (size_t)(at - name) : length;
        }
    }
    return length;
}

/* Families of own CPU tactics for the operator, the reference apart, each once. */
static void put_kernels(lt_buf *out, const lt_op *op)
{
    const lathe_tactic *x;
    size_t shown = 0;
    char name[160]; /* as tactics list it */
    snprintf(name, sizeof name, "%s%s%s", op->domain ? op->domain : "", op->domain && op->domain[0] ? "." : "", op->name);
    for (size_t i = 0; (x = lathe_tactic_at(i)); i++) {
        size_t length = family_length(x->name);
        bool before = x->source || x->device != LATHE_SPACE_HOST || strcmp(x->ops, "*") == 0 || !names_word(x->ops, name);
        for (size_t k = 0; k < i && !before; k++) {
            const lathe_tactic *earlier = lathe_tactic_at(k);
            before = !earlier->source && earlier->device == LATHE_SPACE_HOST && names_word(earlier->ops, name) &&
                     family_length(earlier->name) == length && strncmp(earlier->name, x->name, length) == 0;
        }
        if (!before) {
            lt_buf_puts(out, shown++ ? ", " : "");
            lt_buf_printf(out, "%.*s", (int)length, x->name);
        }
    }
    if (op->traits & LT_OP_POINTWISE) {
        lt_buf_puts(out, shown++ ? ", programs" : "programs");
    }
    lt_buf_puts(out, shown ? "" : "reference");
}

int print_operator_page(tool *t)
{
    size_t n = 0;
    lt_buf out;
    while (lt_op_at(n)) {
        n++;
    }
    const lt_op **list = lt_arena_zero(&t->arena, n + 1, sizeof *list, _Alignof(lt_op *));
    if (!list) {
        return tool_fail(t, LT_OOM(t->diag));
    }
    for (size_t i = 0; i < n; i++) {
        list[i] = lt_op_at(i);
    }
    qsort(list, n, sizeof *list, by_domain_and_name);
    lt_buf_init(&out, NULL);
    lt_buf_printf(&out, "# Operators\n\nMade by `lathe ops --markdown`; `make bless` renews the page and a test holds it against the command.\n\n"
                        "%zu operators. *Opset* is the version that graphs hold: models of older opsets are upgraded when they are read, functions and operators that\n"
                        "are expanded into others (docs/onnx.md has the lists) have no row. *CPU kernels* are the families of tactics beside the reference, which computes\n"
                        "every operator in all its types on every device; *programs* means that the operator is fused with its neighbours into one pass over the elements.\n"
                        "Passes run before tactics are asked, and turn some operators into others that have kernels: BatchNormalization goes into weights, attention is gathered.\n"
                        "`lathe ops NAME` prints attributes and samples, `lathe tactics` every tactic.\n", n);
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || strcmp(domain_of(list[i - 1]), domain_of(list[i])) != 0) {
            lt_buf_printf(&out, "\n## %s\n\n| operator | opset | types | CPU kernels |\n|---|---|---|---|\n", domain_of(list[i]));
        }
        lt_buf_printf(&out, "| %s | %d | ", list[i]->name, list[i]->since);
        put_cell(&out, list[i]->sig);
        lt_buf_puts(&out, " | ");
        put_kernels(&out, list[i]);
        lt_buf_puts(&out, " |\n");
    }
    return tool_print_buf(t, &out);
}
