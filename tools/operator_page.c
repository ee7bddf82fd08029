/*
 * operator_page.c - docs/operators.md, made from the tables of operators and from what a build offers for their samples: lathe ops --markdown. A test compares
 * the page with what this prints. Its columns of opsets and kernels are those of `lathe ops`, too.
 */
#include "operator_page.h"
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

void put_opsets(lt_buf *out, const lt_op *op)
{
    int versions[LT_ONNX_VERSIONS];
    size_t n = lt_onnx_versions(op->name, op->domain ? op->domain : "", op->since, versions);
    for (size_t i = 0; i < n; i++) {
        lt_buf_printf(out, "%s%d", i ? " " : "", versions[i]);
    }
}

void put_types(lt_buf *out, uint64_t types)
{
    const char *between = "";
    for (int d = 0; d < LATHE_DTYPE_COUNT; d++) {
        if (types >> d & 1) {
            lt_buf_printf(out, "%s%s", between, lathe_dtype_name((lathe_dtype)d));
            between = " ";
        }
    }
}

/* Is it for the operator, by its own word or because it was offered for what passes made of a sample? */
static bool serves(const lathe_tactic *x, bool offered, const char *name)
{
    return offered || (!x->source && x->device == LATHE_SPACE_HOST && strcmp(x->ops, "*") != 0 && names_word(x->ops, name));
}

void put_families(lt_buf *out, const lt_op *op, const lt_study_operator *s)
{
    const lathe_tactic *x;
    const char *between = "";
    char name[160]; /* as tactics list it */
    snprintf(name, sizeof name, "%s%s%s", op->domain ? op->domain : "", op->domain && op->domain[0] ? "." : "", op->name);
    for (size_t i = 0; (x = lathe_tactic_at(i)); i++) {
        size_t length = family_length(x->name);
        bool shown = !serves(x, s->offered[i], name);
        for (size_t k = 0; k < i && !shown; k++) {
            const lathe_tactic *earlier = lathe_tactic_at(k);
            shown = serves(earlier, s->offered[k], name) && family_length(earlier->name) == length && strncmp(earlier->name, x->name, length) == 0;
        }
        if (!shown) {
            lt_buf_printf(out, "%s%.*s", between, (int)length, x->name);
            between = ", ";
        }
    }
}

/* ---- The page ---- */

static void put_head(lt_buf *out, size_t n)
{
    lt_buf_printf(out, "# Operators\n\nMade by `lathe ops --markdown`; `make bless` renews the page and a test holds it against the command.\n\n"
                       "%zu operators, and below those that are expanded into others. *Opsets* are the versions of the definition: models may import any of them, graphs hold\n"
                       "the last one. *Kernels for* are the element types in which at least one of the operator's samples can be left to kernels alone on a processor with AVX2,\n"
                       "or costs nothing (a view, or gone after the passes); *by* are the families of tactics for it or for what passes make of it. The reference computes every\n"
                       "operator in all its types on every device (CPU and twin). A type stands for all operands that share it; the samples have operands as inputs and as weights.\n"
                       "`lathe ops NAME` prints attributes and samples, `lathe tactics` every tactic.\n", n);
}

static lathe_status put_row(tool *t, lt_buf *out, const lt_op *op)
{
    lt_study_operator s;
    LT_TRY(lt_study_operator_of(op, &t->arena, &s, t->diag));
    lt_buf_printf(out, "| %s | ", op->name);
    put_opsets(out, op);
    lt_buf_puts(out, " | ");
    put_cell(out, op->sig);
    lt_buf_puts(out, " | ");
    put_types(out, s.fast);
    lt_buf_puts(out, " | ");
    put_families(out, op, &s);
    lt_buf_puts(out, " |\n");
    return LATHE_OK;
}

static void put_expanded(lt_buf *out)
{
    const char *domain, *last = "", *name;
    lt_buf_puts(out, "\n## Expanded into others\n\nEach type that what they become has; docs/onnx.md says what that is and which forms are refused.\n");
    for (size_t i = 0; (name = lt_onnx_expanded(i, &domain)); i++) {
        bool same = strcmp(domain, last) == 0;
        if (same) {
            lt_buf_printf(out, ", %s", name);
        } else {
            lt_buf_printf(out, "%s* %s: %s", i ? ".\n" : "\n", domain, name);
        }
        last = domain;
    }
    lt_buf_puts(out, ".\n");
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
    put_head(&out, n);
    lathe_status status = LATHE_OK;
    for (size_t i = 0; i < n && status == LATHE_OK; i++) {
        if (i == 0 || strcmp(domain_of(list[i - 1]), domain_of(list[i])) != 0) {
            lt_buf_printf(&out, "\n## %s\n\n| operator | opsets | types | kernels for | by |\n|---|---|---|---|---|\n", domain_of(list[i]));
        }
        status = put_row(t, &out, list[i]);
    }
    if (status != LATHE_OK) {
        lt_buf_free(&out);
        return tool_fail(t, status);
    }
    put_expanded(&out);
    return tool_print_buf(t, &out);
}
