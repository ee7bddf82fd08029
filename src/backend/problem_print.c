/*
 * problem_print.c - the canonical text of a problem. The same problem always gives the same bytes. Grammar: docs/engine.md.
 *
 * Called by tune (cache keys), plan (the record of a step), `lathe tactics`. Its mirror is problem_parse.c.
 */
#include "backend/problem.h"
#include <string.h>

/* Takes arguments, writes no value: STORE has one argument; constants and loads have none. */
int lt_problem_epilogue(const lathe_problem *problem, const lathe_pw_instr **first)
{
    int count = 0;
    *first = NULL;
    for (size_t i = 0; i < problem->n_instrs; i++) {
        if (problem->instrs[i].slot < 0) {
            *first = *first ? *first : &problem->instrs[i];
            count++;
        }
    }
    return count;
}

static void put_extent(lt_buf *out, const lathe_extent *e)
{
    lt_buf_printf(out, "%lld", (long long)e->min);
    if (!lt_extent_fixed(e)) {
        lt_buf_printf(out, ":%lld:", (long long)e->opt);
        if (e->max == INT64_MAX) {
            lt_buf_putc(out, '*');
        } else {
            lt_buf_printf(out, "%lld", (long long)e->max);
        }
        if (e->multiple > 1) {
            lt_buf_printf(out, "/%lld", (long long)e->multiple);
        }
    }
}

static void put_extents(lt_buf *out, int rank, const lathe_extent *dims)
{
    if (rank < 0) {
        lt_buf_puts(out, "[?]");
        return;
    }
    lt_buf_putc(out, '[');
    for (int i = 0; i < rank; i++) {
        lt_buf_puts(out, i ? "," : "");
        put_extent(out, &dims[i]);
    }
    lt_buf_putc(out, ']');
}

static void put_hex(lt_buf *out, const void *data, size_t size)
{
    const unsigned char *bytes = data;
    lt_buf_puts(out, "0x");
    for (size_t i = 0; i < size; i++) {
        lt_buf_printf(out, "%02x", bytes[i]);
    }
}

/* Elements of a tensor: raw little-endian bytes in hex; strings quoted. */
static void put_elements(lt_buf *out, const lathe_tensor *t)
{
    if (t->dtype != LATHE_DTYPE_STRING) {
        put_hex(out, t->data, t->bytes);
        return;
    }
    const lathe_bytes *s = t->data;
    lt_buf_putc(out, '(');
    for (int64_t i = 0; i < lt_tensor_count(t); i++) {
        lt_buf_puts(out, i ? "," : "");
        lt_buf_put_quoted(out, s[i].data, s[i].length);
    }
    lt_buf_putc(out, ')');
}

static void put_tensor(lt_buf *out, const lathe_tensor *t)
{
    lt_buf_printf(out, "%s[", lt_dtype_get(t->dtype)->name);
    for (int i = 0; i < t->rank; i++) {
        lt_buf_printf(out, "%s%lld", i ? "," : "", (long long)t->dims[i]);
    }
    lt_buf_puts(out, "]=");
    put_elements(out, t);
}

/* Kinds and the element type: extents would be symbols of a graph. */
static void put_type(lt_buf *out, const lt_type *type)
{
    int depth = 0;
    for (; type->cls != LT_TENSOR && type->elem && depth < LT_MAX_DEPTH; type = type->elem) {
        lt_buf_puts(out, type->cls == LT_SEQUENCE ? "seq(" : type->cls == LT_OPTIONAL ? "opt(" : "map(");
        if (type->cls == LT_MAP) {
            lt_buf_printf(out, "%s,", lt_dtype_get(type->dtype)->name);
        }
        depth++;
    }
    lt_buf_puts(out, type->dtype == LATHE_DTYPE_UNDEFINED ? "?" : lt_dtype_get(type->dtype)->name);
    while (depth-- > 0) {
        lt_buf_putc(out, ')');
    }
}

static void put_attr(lt_buf *out, const lathe_attr *a)
{
    lt_buf_put_quoted(out, a->name, strlen(a->name));
    lt_buf_putc(out, '=');
    switch (a->kind) {
    case LATHE_ATTR_INT:
        lt_buf_printf(out, "i %lld", (long long)a->i);
        break;
    case LATHE_ATTR_FLOAT:
        lt_buf_puts(out, "f ");
        lt_buf_put_f32(out, a->f);
        break;
    case LATHE_ATTR_STRING:
        lt_buf_puts(out, "s ");
        lt_buf_put_quoted(out, a->s.data, a->s.length);
        break;
    case LATHE_ATTR_TENSOR:
        lt_buf_puts(out, "t ");
        put_tensor(out, a->tensors);
        break;
    case LATHE_ATTR_INTS:
        lt_buf_puts(out, "is(");
        for (size_t i = 0; i < a->count; i++) {
            lt_buf_printf(out, "%s%lld", i ? "," : "", (long long)a->ints[i]);
        }
        lt_buf_putc(out, ')');
        break;
    case LATHE_ATTR_FLOATS:
        lt_buf_puts(out, "fs(");
        for (size_t i = 0; i < a->count; i++) {
            lt_buf_puts(out, i ? "," : "");
            lt_buf_put_f32(out, a->floats[i]);
        }
        lt_buf_putc(out, ')');
        break;
    case LATHE_ATTR_STRINGS:
        lt_buf_puts(out, "ss(");
        for (size_t i = 0; i < a->count; i++) {
            lt_buf_puts(out, i ? "," : "");
            lt_buf_put_quoted(out, a->strings[i].data, a->strings[i].length);
        }
        lt_buf_putc(out, ')');
        break;
    case LATHE_ATTR_TENSORS:
        lt_buf_puts(out, "ts(");
        for (size_t i = 0; i < a->count; i++) {
            lt_buf_puts(out, i ? "," : "");
            put_tensor(out, &a->tensors[i]);
        }
        lt_buf_putc(out, ')');
        break;
    case LATHE_ATTR_TYPE:
        lt_buf_puts(out, "ty ");
        put_type(out, a->type);
        break;
    default:
        lt_buf_puts(out, "none"); /* graphs never belong to problems */
        break;
    }
}

/* Attributes in the order of their names, so that two spellings of one node give one text. */
static void put_attrs(lt_buf *out, const lathe_problem *p)
{
    const char *last = "";
    lt_buf_puts(out, " <");
    for (size_t done = 0; done < p->n_attrs; done++) {
        const lathe_attr *next = NULL;
        for (size_t i = 0; i < p->n_attrs; i++) {
            const lathe_attr *a = &p->attrs[i];
            if (strcmp(a->name, last) > 0 && (!next || strcmp(a->name, next->name) < 0)) {
                next = a;
            }
        }
        if (!next) {
            break; /* a repeated name counts once */
        }
        lt_buf_puts(out, done ? "," : "");
        put_attr(out, next);
        last = next->name;
    }
    lt_buf_putc(out, '>');
}

static void put_operand(lt_buf *out, const char *word, const lathe_operand *o)
{
    lt_buf_printf(out, "; %s ", word);
    if (o->flags & LATHE_OPERAND_ABSENT) {
        lt_buf_puts(out, "absent");
        return;
    }
    lt_buf_puts(out, lt_dtype_get(o->dtype)->name);
    put_extents(out, o->rank, o->dims);
    lt_buf_putc(out, ' ');
    lt_format_print(&o->format, o->dtype, out);
    lt_buf_puts(out, o->flags & LATHE_OPERAND_CONSTANT ? " const" : "");
    lt_buf_puts(out, o->flags & LATHE_OPERAND_HOST ? " host" : "");
    lt_buf_puts(out, o->flags & LATHE_OPERAND_MANAGED ? " managed" : "");
    lt_buf_puts(out, o->flags & LATHE_OPERAND_BOUNDED ? " bounded" : "");
    if (o->value) {
        lt_buf_puts(out, " =");
        put_elements(out, o->value);
    }
}

static void put_instr(lt_buf *out, const lathe_problem *p, size_t index)
{
    const lathe_pw_instr *s = &p->instrs[index];
    lt_buf_printf(out, "; %%%zu ", index);
    if (s->slot >= 0) {
        lt_buf_printf(out, "@%d ", s->slot);
    }
    lt_buf_printf(out, "%s:%s", lathe_pw_name(s->op), lt_dtype_get(s->dtype)->name);
    if (s->op == LATHE_PW_LOAD || s->op == LATHE_PW_ROOT || s->op == LATHE_PW_STORE) {
        lt_buf_printf(out, " #%u", s->operand);
    }
    if (s->op == LATHE_PW_LOAD) {
        int rank = p->in[s->operand].rank;
        lt_buf_puts(out, " map(");
        for (int i = 0; i < rank; i++) {
            lt_buf_printf(out, "%s%d", i ? "," : "", s->map[i]);
        }
        lt_buf_putc(out, ')');
    }
    for (int i = 0; i < lt_pw_arity(s->op); i++) {
        lt_buf_printf(out, " %%%u", s->args[i]);
    }
    static const double none[2];
    if (memcmp(s->imm, none, sizeof none) != 0) { /* by bits: -0.0 counts */
        lt_buf_puts(out, " {");
        lt_buf_put_f64(out, s->imm[0]);
        lt_buf_putc(out, ',');
        lt_buf_put_f64(out, s->imm[1]);
        lt_buf_putc(out, '}');
    }
}

lathe_status lt_problem_print(const lathe_problem *problem, lt_buf *out, lathe_diag *diag)
{
    if (problem->op[0]) {
        lt_buf_put_quoted(out, problem->op, strlen(problem->op));
        lt_buf_putc(out, ' ');
        lt_buf_put_quoted(out, problem->domain, strlen(problem->domain));
        lt_buf_printf(out, " %d", problem->version);
    } else {
        lt_buf_putc(out, '-');
    }
    put_attrs(out, problem);
    for (size_t i = 0; i < problem->n_in; i++) {
        put_operand(out, "in", &problem->in[i]);
    }
    for (size_t i = 0; i < problem->n_out; i++) {
        put_operand(out, "out", &problem->out[i]);
    }
    lt_buf_puts(out, "; root(");
    for (size_t i = 0; i < problem->n_root_in; i++) {
        lt_buf_puts(out, i ? "," : "");
        if (problem->root_in[i] == 0xffff) {
            lt_buf_putc(out, '-');
        } else {
            lt_buf_printf(out, "%u", problem->root_in[i]);
        }
    }
    lt_buf_printf(out, ")->%zu", problem->n_root_out);
    for (size_t i = 0; i < problem->n_instrs; i++) {
        put_instr(out, problem, i);
    }
    lt_buf_puts(out, "; space");
    put_extents(out, problem->space_rank, problem->space);
    lt_buf_puts(out, problem->flags & LATHE_PROBLEM_EXACT_INT ? " exact-int" : "");
    return out->failed ? LT_OOM(diag) : LATHE_OK;
}

uint64_t lt_problem_hash(const lathe_problem *problem)
{
    lt_buf text;
    lt_buf_init(&text, NULL);
    uint64_t hash = 0;
    if (lt_problem_print(problem, &text, NULL) == LATHE_OK) {
        hash = lt_hash64(text.data, text.length, 0);
    }
    lt_buf_free(&text);
    return hash;
}
