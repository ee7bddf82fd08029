/*
 * demo.h - the parts of `lathe demo`: models through saved plans, pictures, digits, text.
 */
#ifndef LATHE_TOOLS_DEMO_H
#define LATHE_TOOLS_DEMO_H

#include "data.h"
#include "steps.h"
#include "tool.h"

typedef struct demo_model {
    const char *name;
    lathe_engine *engine;
    lathe_context *context;
    double build_ms, latency_ms;
    const char *what; /* of the latency: "1x3x150x225" */
    lathe_engine_info info;
    step_table classes;
} demo_model;

typedef struct demo {
    tool *t;
    const char *data, *folder; /* where models come from, where plans and pictures go */
} demo;

/* Builds NAME.onnx with these --shape texts (a NULL ends a profile, two end the list), saves, and loads the plan from its file. */
lathe_status demo_open(const demo *d, const char *name, const char *const *shapes, demo_model *m);
void demo_close(demo_model *m);
/* Median over some runs with what is bound, and the steps by class. */
lathe_status demo_time(const demo *d, demo_model *m, const char *what);
const char *demo_path(const demo *d, const char *folder, const char *name,
                      const char *ending); /* NULL: out of memory */

lathe_status demo_pictures(const demo *d, demo_model *m);
lathe_status demo_digits(const demo *d, demo_model *m);
lathe_status demo_text(const demo *d, demo_model *m);

/* Twice the size by Catmull-Rom's cubic (a = -0.5), weights at the border normalised; planes of floats in 0..1. */
lathe_status bicubic_x2(lt_arena *arena, const lathe_tensor *low, lathe_tensor *out, lathe_diag *diag);
/* 10 log10(1 / mean squared difference). */
double psnr_of(const lathe_tensor *a, const lathe_tensor *truth);

#endif
