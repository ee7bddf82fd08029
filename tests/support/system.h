/*
 * system.h - the whole road in few lines, for tests: networks of the repository, builds, inputs by symbol, runs through
 * the public API, the reference. Failures end the test with the diagnostics. Include it behind cmocka.h.
 */
#ifndef LT_TEST_SYSTEM_H
#define LT_TEST_SYSTEM_H

#include "api/api.h"
#include <lathe/builder.h>

/* ---- Statuses ---- */

/* Fails the test with the file and line given when status is not LATHE_OK, and prints the diag. */
void sys_check(lathe_status status, lathe_diag *diag, const char *file, int line);
/* Calls with a `diag` of their own: SYS_MUST(lathe_build(net, NULL, &plan, diag)). */
#define SYS_MUST(call)                                                                                                 \
    do {                                                                                                               \
        lathe_diag *diag = lathe_diag_create(NULL);                                                                    \
        lathe_status sys_status = (call);                                                                              \
        sys_check(sys_status, diag, __FILE__, __LINE__);                                                               \
        lathe_diag_destroy(diag);                                                                                      \
    } while (0)
/* The call answers exactly this, and one of its records mentions the text (NULL: any). */
#define SYS_REFUSED(want, mention, call)                                                                               \
    do {                                                                                                               \
        lathe_diag *diag = lathe_diag_create(NULL);                                                                    \
        lathe_status sys_status = (call);                                                                              \
        sys_refused(sys_status, want, mention, diag, __FILE__, __LINE__);                                              \
        lathe_diag_destroy(diag);                                                                                      \
    } while (0)
void sys_refused(lathe_status status, lathe_status want, const char *mention, const lathe_diag *diag, const char *file,
                 int line);

/* ---- Networks and plans ---- */

/* The small nets of tests/data/nets, by name; NULL past the end. */
const char *sys_net_name(size_t index);
/* tests/data/nets/NAME.lathe, else tests/fixtures/NAME.onnx. */
lathe_network *sys_network(const char *name);
/* A file of the repository, as text. malloc'd */
char *sys_text(const char *path, size_t *length);
lathe_plan *sys_build(const lathe_network *network, const lathe_build_options *options);
/* Saves under a name of its own in the build folder, loads, removes the file. runtime may be NULL. */
lathe_engine *sys_load(lathe_runtime *runtime, const lathe_plan *plan, const lathe_load_options *options);
/* Build, save, load. */
lathe_engine *sys_engine(const lathe_network *network, const lathe_build_options *options);
/* A name in the build folder that no other test uses, the same for each call with one tag. */
const char *sys_path(const char *tag, char *out, size_t size);

/* ---- Inputs and runs ---- */

/* Random inputs for a network. sizes: "N=3 H=5 *=2": the extents of symbols, and of all others. */
typedef struct sys_inputs {
    lt_arena arena;
    uint32_t count;
    lt_any *values;
    const lt_any **list;
    const char **names;
} sys_inputs;
void sys_inputs_make(sys_inputs *inputs, const lathe_network *network, const char *sizes, uint64_t seed);
void sys_inputs_free(sys_inputs *inputs);

/* What a run gave: host tensors in the order of the outputs. */
typedef struct sys_results {
    lt_arena arena;
    uint32_t count;
    lathe_tensor *tensors;
    const char **names;
} sys_results;
void sys_reference(sys_results *results, const lathe_network *network, const sys_inputs *inputs);
void sys_bind(lathe_context *context, const sys_inputs *inputs);
void sys_outputs(sys_results *results, const lathe_engine *engine,
                 lathe_context *context); /* copies of what the last run gave */
void sys_run(sys_results *results, const lathe_engine *engine, lathe_context *context, const sys_inputs *inputs);
/* The same with a context made for the one run. */
void sys_run_once(sys_results *results, const lathe_engine *engine, const sys_inputs *inputs);
void sys_results_free(sys_results *results);

/*
 * Same types and shapes; floats within tolerance * largest magnitude (0: equal bits), everything else equal. NaNs at
 * the same places.
 */
void sys_same(const sys_results *got, const sys_results *want, double tolerance, const char *what);
double sys_tolerance(const char *network); /* of a plan against the reference, as sys_same takes it */

#endif
