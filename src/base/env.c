/*
 * env.c - the environment, through the one table in env.def. Part of base; the only file that calls getenv.
 */
#include <stdlib.h>
#include <string.h>

#include "base/diag.h"
#include "base/os.h"

typedef struct variable {
    const char *name, *what;
} variable;

#define LT_ENV(name, what) { #name, what },
static const variable variables[] = {
#include "base/env.def"
};
#undef LT_ENV

const char *lt_env(const char *name)
{
    for (size_t i = 0; i < LT_COUNT(variables); i++) {
        if (strcmp(variables[i].name, name) == 0) {
            return getenv(name);
        }
    }
    return NULL;
}

void lt_env_print(FILE *stream)
{
    for (size_t i = 0; i < LT_COUNT(variables); i++) {
        fprintf(stream, "%-14s %s\n", variables[i].name, variables[i].what);
    }
}

bool lt_env_at(size_t index, const char **name, const char **what)
{
    if (index >= LT_COUNT(variables)) {
        return false;
    }
    *name = variables[index].name;
    *what = variables[index].what;
    return true;
}
