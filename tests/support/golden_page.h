/*
 * golden_page.h - pages that show what passes do: an input, the passes to run, the exact output. Used by the test tool lathe-opt (--page).
 *
 *   # ==== title                 starts a case; a page has one or more
 *   net (...) => (...) { ... }   the input
 *   # run: pass[,pass]           passes, or above, below, all for parts of the pipeline
 *   # same: seeds=3 [tol=1e-6] [step=1] [ints=8]
 *                                both graphs, run on random inputs, give the same outputs: bit by bit, or |a-b| <= tol * max|b| for floats and
 *                                |a-b| <= step for integers; integer inputs are below ints
 *   # sizes: N=4, M=3            numbers for symbols in input shapes, else 2, 3, ...
 *   # ----
 *   the output
 *   # refusals | assumptions | notes | fates      optional sections, each line behind "# "
 */
#ifndef LT_GOLDEN_PAGE_H
#define LT_GOLDEN_PAGE_H

#include "passes/passes.h"

/* Runs "a,b" on *graph; names are passes or above, below, all. */
lathe_status golden_run_passes(const char *names, lt_graph **graph, const lt_pipeline_options *options, lathe_diag *diag);
/* One line for each: "value: from -> to: reason" and "initializer: what (pass)". */
void golden_put_refusals(const lt_graph *graph, const char *prefix, lt_buf *out);
void golden_put_assumptions(const lt_graph *graph, const char *prefix, lt_buf *out);

/* Runs a page; bless: rewrites it instead of comparing. The number of cases that failed; messages go to stderr. */
int golden_page(const char *path, bool bless);

#endif
