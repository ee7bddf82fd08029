/*
 * inspect.h - the two halves of `lathe inspect`: models and data (cmd_inspect.c), plans (inspect_plan.c).
 */
#ifndef LATHE_TOOLS_INSPECT_H
#define LATHE_TOOLS_INSPECT_H

#include "tool.h"

int inspect_plan(tool *t, const char *path);

#endif
