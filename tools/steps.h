/*
 * steps.h - tables of steps and of their classes, sorted by time. For bench, demo and inspect.
 */
#ifndef LATHE_TOOLS_STEPS_H
#define LATHE_TOOLS_STEPS_H

#include "tool.h"

typedef struct step_row {
    const char *name, *class_name, *tactic;
    double ms;      /* per run */
    uint32_t count; /* steps summed up in this row */
} step_row;

typedef struct step_table {
    step_row *rows;
    size_t count;
    double total_ms;
} step_table;

/* From a context that was profiled. */
lathe_status steps_of_context(tool *t, const lathe_context *context, step_table *out);
lathe_status steps_by_class(tool *t, const step_table *steps, step_table *out);
void steps_sort(step_table *steps); /* most costly first */
void steps_print(const step_table *steps, size_t top, const char *unit, FILE *stream);
void steps_json(lt_json *json, const char *key, const step_table *steps, const char *number);

#endif
