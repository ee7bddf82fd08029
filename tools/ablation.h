/*
 * ablation.h - what each pass is worth: the model built without it, run beside the full build. Used by cmd_explain.c.
 */
#ifndef LATHE_TOOLS_ABLATION_H
#define LATHE_TOOLS_ABLATION_H

#include "tool.h"

/* Prints the table; the result is an exit code. */
int ablation_run(tool *t, const lathe_network *network, const lathe_build_options *options);

#endif
