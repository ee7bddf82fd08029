/*
 * debug.c - the one reader of "passes,tune=2,filter=conv*". Called by api, rt and what they hand an lt_debug to; reads no environment itself.
 */
#include "base/debug.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

static const char *const topics[LT_TOPICS] = {"import", "passes", "tune", "plan", "rt"};

static bool same_word(const char *text, size_t length, const char *word)
{
    return strlen(word) == length && memcmp(text, word, length) == 0;
}

static void unknown(const lt_debug *debug, const char *text, size_t length)
{
    char line[200];
    snprintf(line, sizeof line, "debug: no topic '%.*s': there are import, passes, tune, plan, rt, each with =1 to =4, and filter=NAME*",
             (int)(length < 60 ? length : 60), text);
    debug->log(debug->log_user, LATHE_LOG_WARNING, line);
}

/* One word between commas: NAME, NAME=LEVEL or filter=PATTERN. */
static void read_word(lt_debug *debug, const char *text, size_t length)
{
    const char *equals = memchr(text, '=', length);
    size_t name = equals ? (size_t)(equals - text) : length, rest = equals ? length - name - 1 : 0;
    if (equals && same_word(text, name, "filter") && rest < sizeof debug->filter) {
        memcpy(debug->filter, equals + 1, rest);
        debug->filter[rest] = 0;
        return;
    }
    for (int t = 0; t < LT_TOPICS; t++) {
        if (same_word(text, name, topics[t]) && (!equals || (rest == 1 && equals[1] >= '0' && equals[1] <= '4'))) {
            debug->level[t] = equals ? equals[1] - '0' : 1;
            return;
        }
    }
    unknown(debug, text, length);
}

void lt_debug_read(lt_debug *debug, const char *text, lathe_log_fn log, void *log_user)
{
    *debug = (lt_debug){.log = log, .log_user = log_user};
    while (log && text && *text) {
        size_t length = strcspn(text, ",");
        if (length > 0) {
            read_word(debug, text, length);
        }
        text += length + (text[length] == ',');
    }
}

bool lt_debug_on(const lt_debug *debug, lt_topic topic, int level, const char *name)
{
    if (!debug || debug->level[topic] < level) {
        return false;
    }
    return level < 2 || !name || !debug->filter[0] || lt_glob(debug->filter, name);
}

void lt_debug_say(const lt_debug *debug, lt_topic topic, int level, const char *name, const char *format, ...)
{
    char line[1024];
    if (!lt_debug_on(debug, topic, level, name)) {
        return;
    }
    int used = snprintf(line, sizeof line, "%s: ", topics[topic]);
    va_list args;
    va_start(args, format);
    vsnprintf(line + used, sizeof line - (size_t)used, format, args);
    va_end(args);
    debug->log(debug->log_user, LATHE_LOG_DEBUG, line);
}
