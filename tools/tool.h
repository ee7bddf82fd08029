/*
 * tool.h - what the verbs share: the state of one call of the command, opening models and plans, inputs, printing. The verbs themselves are one
 * file each (cmd_*.c) and see only this, data.h, study and the public headers.
 */
#ifndef LATHE_TOOLS_TOOL_H
#define LATHE_TOOLS_TOOL_H

#include "options.h"
#include "study/study.h"
#include <lathe/builder.h>
#include <lathe/runtime.h>

enum { EXIT_FINE = 0, EXIT_NO = 1, EXIT_USAGE = 2, EXIT_MODEL = 3, EXIT_FILES = 4, EXIT_BUG = 5 };

typedef struct tool {
    const args *args;
    lathe_diag *diag;
    lt_arena arena; /* lives as long as the command */
    lathe_runtime *runtime;
    uint64_t seed;
    bool json, bars, quiet, bar_drawn;
    char warned[240]; /* the last warning of the library, so as not to say it twice */
    double bar_ms;   /* when it was drawn */
    double phase_ms; /* when the phase at hand began */
    char phase[32], what[96];
    double what_ms;  /* when the piece of work at hand began */
} tool;

#define LATHE_VERB(id, name, operands, function, summary) int function(tool *t);
#include "options.def"
#undef LATHE_VERB

/* Makes t->runtime; false: printed. */
bool tool_start_runtime(tool *t);
/* Prints the diag to stderr and says which exit code the status means. */
int tool_fail(tool *t, lathe_status status);
int tool_exit_code(lathe_status status);
/* A usage error on stderr; returns EXIT_USAGE. */
int tool_usage(const tool *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A line on stderr unless --quiet. */
void tool_log(void *tool, lathe_log_level level, const char *message); /* a lathe_log_fn */
void tool_notice(tool *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool tool_operands(const tool *t, size_t min, size_t max); /* false: printed */

/* Progress of a build, on a terminal only. */
int tool_progress(void *user, const lathe_progress *progress);
void tool_progress_clear(tool *t);

/* Prints what a JSON writer made; false when memory ran out. */
int tool_print_buf(tool *t, lt_buf *buf);

/* ---- tuning.c: levels, the file of times, Ctrl-C ---- */

int tuning_options(tool *t, lathe_build_options *out); /* usage errors are printed */
/* Around a build: Ctrl-C makes tool_progress ask it to stop. */
void tuning_begin(void);
void tuning_end(void);
bool tuning_interrupted(void);

/* ---- opening.c: models and plans ---- */

/* Options of lathe_build from the command line. Usage errors are printed: EXIT_USAGE. */
int build_options(tool *t, lathe_build_options *out);
/* ONNX by its bytes, text IR by the ending .lathe or by its text. */
lathe_status network_open(tool *t, const char *path, lathe_network **out, lathe_diag *diag);

typedef struct opened {
    lathe_engine *engine;
    lathe_plan *plan; /* of a model built in memory; the engine reads from it */
    lathe_network *network;
    bool is_plan; /* the path was a plan file */
    double build_ms, load_ms;
} opened;
/* A plan is loaded (re-tuned in memory when it must be), a model is built in memory first. */
lathe_status engine_open(tool *t, const char *path, const lathe_build_options *options, opened *out, lathe_diag *diag);
void engine_close(opened *o);
bool path_is_plan(const char *path);

/* "x=1x3x4:...": name into the arena, extents. false: printed as a usage error. Ranges: min:opt:max or one shape for all three. */
bool parse_shape(tool *t, const char *text, lathe_shape_range *out);

/* ---- feeding.c: inputs of a run ---- */

typedef struct feed {
    const char *name;
    lathe_tensor tensor;
    const lathe_any *any; /* of inputs that are no tensors; NULL for others */
    bool random;
    uint64_t seed;
    lathe_io io; /* of random ones: what to make again */
} feed;
/* What inputs there are, and where free extents may be looked up: of an engine, or of a network without one. */
typedef struct input_list {
    lathe_io *items;
    size_t count;
    const lathe_engine *engine; /* may be NULL */
} input_list;
lathe_status inputs_of_engine(tool *t, const lathe_engine *engine, input_list *out);
lathe_status inputs_of_network(tool *t, const lathe_network *network, input_list *out);

/*
 * One feed for each input, from --input and --shape; what has no --input is random when `fill` is set, an error otherwise. Tensors live in the
 * tool's arena. Errors are printed; the result is an exit code.
 */
int feeds_make(tool *t, const input_list *inputs, bool fill, feed **out);
/* The same for another set of random numbers: random feeds get fresh data under seed + round. */
lathe_status feeds_vary(tool *t, const feed *from, size_t count, uint64_t round, feed **out);
lathe_status feeds_bind(const feed *feeds, size_t count, lathe_context *context, lathe_diag *diag);

/* A fresh folder below TMPDIR or /tmp, in the arena; NULL: reported to t->diag. temp_remove takes it away with the files in it. */
const char *temp_make(tool *t);
void temp_remove(const char *folder);

/* ---- Numbers about a tensor ---- */

typedef struct tensor_stats {
    double min, max, mean;
    int64_t count, nans;
    uint64_t hash;
} tensor_stats;
void tensor_measure(const lathe_tensor *tensor, tensor_stats *out);
void json_tensor(lt_json *json, const char *name, const lathe_tensor *tensor);
/* "1x3x8x8", "scalar" */
const char *shape_text(const lathe_tensor *tensor, char *out, size_t size);

double now_ms(void);

#endif
