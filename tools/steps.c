/*
 * steps.c - tables of steps and of their classes. For bench, demo and inspect.
 */
#include "steps.h"
#include <stdlib.h>
#include <string.h>

lathe_status steps_of_context(tool *t, const lathe_context *context, step_table *out)
{
    size_t n = lathe_context_steps(context);
    *out = (step_table){ .rows = LT_ARENA_ARRAY(&t->arena, step_row, n + 1) };
    if (!out->rows) {
        return LT_OOM(t->diag);
    }
    for (size_t i = 0; i < n; i++) {
        lathe_step_profile p = { .struct_size = sizeof p };
        LT_TRY(lathe_context_step(context, i, &p, t->diag));
        double ms = p.calls > 0 ? p.total_ms / (double)p.calls : 0;
        out->rows[out->count++] = (step_row){ p.name, p.class_name, p.tactic, ms, 1 };
        out->total_ms += ms;
    }
    return LATHE_OK;
}

lathe_status steps_by_class(tool *t, const step_table *steps, step_table *out)
{
    *out = (step_table){ .rows = LT_ARENA_ARRAY(&t->arena, step_row, steps->count + 1), .total_ms = steps->total_ms };
    if (!out->rows) {
        return LT_OOM(t->diag);
    }
    for (size_t i = 0; i < steps->count; i++) {
        size_t k = 0;
        while (k < out->count && strcmp(out->rows[k].class_name, steps->rows[i].class_name) != 0) {
            k++;
        }
        step_row *row = &out->rows[k];
        if (k == out->count) {
            *row =
                (step_row){ .name = steps->rows[i].class_name, .class_name = steps->rows[i].class_name, .tactic = "" };
            out->count++;
        }
        row->ms += steps->rows[i].ms;
        row->count += steps->rows[i].count;
    }
    steps_sort(out);
    return LATHE_OK;
}

static int by_cost(const void *a, const void *b)
{
    const step_row *x = a, *y = b;
    return x->ms != y->ms ? (x->ms < y->ms ? 1 : -1) : strcmp(x->name, y->name);
}

void steps_sort(step_table *steps)
{
    if (steps->count > 1) {
        qsort(steps->rows, steps->count, sizeof *steps->rows, by_cost);
    }
}

void steps_print(const step_table *steps, size_t top, const char *unit, FILE *stream)
{
    size_t n = top && top < steps->count ? top : steps->count;
    for (size_t i = 0; i < n; i++) {
        const step_row *r = &steps->rows[i];
        double share = steps->total_ms > 0 ? 100 * r->ms / steps->total_ms : 0;
        if (r->tactic[0]) {
            fprintf(stream, "%10.4f %s %5.1f %%  %-14s %-30s %s\n", r->ms, unit, share, r->class_name, r->tactic,
                    r->name);
        } else {
            fprintf(stream, "%10.4f %s %5.1f %%  %-14s %u %s\n", r->ms, unit, share, r->name, r->count,
                    r->count == 1 ? "step" : "steps");
        }
    }
    if (n < steps->count) {
        fprintf(stream, "           ... and %zu more\n", steps->count - n);
    }
}

void steps_json(lt_json *json, const char *key, const step_table *steps, const char *number)
{
    lt_json_key(json, key);
    lt_json_begin_array(json);
    for (size_t i = 0; i < steps->count; i++) {
        const step_row *r = &steps->rows[i];
        lt_json_begin_object(json);
        lt_json_key(json, "name");
        lt_json_string(json, r->name);
        if (r->tactic[0]) {
            lt_json_key(json, "class");
            lt_json_string(json, r->class_name);
            lt_json_key(json, "tactic");
            lt_json_string(json, r->tactic);
        } else {
            lt_json_key(json, "steps");
            lt_json_u64(json, r->count);
        }
        lt_json_key(json, number);
        lt_json_f64(json, r->ms);
        lt_json_end_object(json);
    }
    lt_json_end_array(json);
}
