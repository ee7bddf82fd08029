/*
 * inspect.h - the parts of `lathe inspect`: models and data (cmd_inspect.c), plans (inspect_plan.c), timing caches (cmd_cache.c).
 */
#ifndef LATHE_TOOLS_INSPECT_H
#define LATHE_TOOLS_INSPECT_H

#include "tool.h"

void json_of_file(lt_json *j, const char *path, const char *kind); /* how each object begins: what it is about */
bool plan_variant(tool *t, const lt_plan *plan, uint32_t *variant); /* --variant, or the one taken here; false: printed. */
int inspect_plan(tool *t, const char *path);
bool path_is_cache(const char *path);
int inspect_cache(tool *t, const char *path);

#endif
