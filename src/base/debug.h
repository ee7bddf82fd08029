/*
 * debug.h - what to log: topics with levels, as LATHE_DEBUG and the builder's and runtime's options give them. Part of base.
 */
#ifndef LT_DEBUG_H
#define LT_DEBUG_H

#include <lathe/base.h>
#include <stdbool.h>

typedef enum lt_topic { LT_TOPIC_IMPORT, LT_TOPIC_PASSES, LT_TOPIC_TUNE, LT_TOPIC_PLAN, LT_TOPIC_RT, LT_TOPICS } lt_topic;

/* Zeroed: nothing is logged. */
typedef struct lt_debug {
    int level[LT_TOPICS]; /* 1: a line for a build or run, 2: a pass, step or program, 3: a node or value, 4: a candidate */
    char filter[96];      /* names to speak of from level 2 on; "": all */
    lathe_log_fn log;
    void *log_user;
} lt_debug;

/*
 * "passes,tune=2,filter=conv*": a topic by itself has level 1. text may be NULL. A word that is no topic is left out with a notice that lists them;
 * without a log nothing is on.
 */
void lt_debug_read(lt_debug *debug, const char *text, lathe_log_fn log, void *log_user);
/* Whether somebody wants to hear of this; debug and name may be NULL. The filter is for levels 2 and up. */
bool lt_debug_on(const lt_debug *debug, lt_topic topic, int level, const char *name);
/* Logs "TOPIC: text", when it is on. */
void lt_debug_say(const lt_debug *debug, lt_topic topic, int level, const char *name, const char *format, ...) __attribute__((format(printf, 5, 6)));

#endif
