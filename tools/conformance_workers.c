/*
 * conformance_workers.c - runs cases in child processes. A child that crashes or hangs costs the case it was at; another child goes on behind it.
 * Used by cmd_conformance.c; it knows nothing of cases but their number.
 */
#define _GNU_SOURCE
#include "conformance.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_JOBS = 64, LIMIT_MS = 300000 };

typedef struct record {
    uint64_t index;
    case_result result;
} record;

typedef struct worker {
    pid_t pid;
    int fd;
    size_t next; /* case that it is at */
    size_t filled;
    int64_t since;
    record partial;
} worker;

typedef struct crew {
    tool *t;
    const case_list *list;
    const lathe_build_options *options;
    const bool *selected;
    case_result *results;
    int jobs;
    bool bad_end;
    const char *temp; /* for plans; NULL: plans stay in memory */
    void (*done)(void *user, size_t index);
    void *user;
} crew;

/* The first case of worker w at or behind `from`. */
static size_t next_case(const crew *c, int w, size_t from)
{
    size_t jobs = (size_t)c->jobs,
           first = from % jobs <= (size_t)w ? from - from % jobs + (size_t)w : from - from % jobs + jobs + (size_t)w;
    while (first < c->list->count && !c->selected[first]) {
        first += jobs;
    }
    return first;
}

static bool write_all(int fd, const void *data, size_t size)
{
    const char *at = data;
    while (size > 0) {
        ssize_t n = write(fd, at, size);
        if (n < 0 && errno != EINTR) {
            return false;
        }
        at += n > 0 ? n : 0;
        size -= n > 0 ? (size_t)n : 0;
    }
    return true;
}

/* The child: its exit code tells whether it ended well (a leak checker may change it). */
static void work(crew *c, int w, size_t from, int fd)
{
    const char *plan_path = c->temp ? lt_arena_printf(&c->t->arena, "%s/%d.plan", c->temp, w) : NULL;
    int code = EXIT_FINE;
    if (!tool_start_runtime(c->t)) {
        exit(EXIT_BUG);
    }
    for (size_t i = next_case(c, w, from); i < c->list->count && code == EXIT_FINE; i = next_case(c, w, i + 1)) {
        record r;
        memset(&r, 0, sizeof r);
        r.index = i;
        case_run(c->t, c->list, &c->list->cases[i], c->options, plan_path, &r.result);
        code = write_all(fd, &r, sizeof r) ? EXIT_FINE : EXIT_FILES;
    }
    lathe_runtime_destroy(c->t->runtime);
    c->t->runtime = NULL;
    exit(code);
}

static bool hire(crew *c, worker *crew_of, int w, size_t from)
{
    worker *me = &crew_of[w];
    int ends[2];
    me->next = next_case(c, w, from);
    me->filled = 0;
    me->fd = -1;
    me->pid = 0;
    if (me->next >= c->list->count) {
        return true;
    }
    if (pipe(ends) != 0) {
        return false;
    }
    fflush(stdout);
    me->pid = fork();
    if (me->pid == 0) {
        close(ends[0]);
        for (int i = 0; i < c->jobs; i++) {
            if (i != w && crew_of[i].fd >= 0) {
                close(crew_of[i].fd);
            }
        }
        work(c, w, from, ends[1]);
    }
    close(ends[1]);
    me->fd = ends[0];
    me->since = lt_now_ns();
    if (me->pid < 0) {
        close(me->fd);
        me->fd = -1;
        return false;
    }
    return true;
}

static void settle(crew *c, worker *me, int w, const case_result *result)
{
    c->results[me->next] = *result;
    c->done(c->user, me->next);
    me->next = next_case(c, w, me->next + 1);
    me->since = lt_now_ns();
}

/* The child is gone: if it was at a case, that case is what ended it. */
static bool bury(crew *c, worker *crew_of, int w, bool hung)
{
    worker *me = &crew_of[w];
    int how = 0;
    close(me->fd);
    me->fd = -1;
    if (hung) {
        kill(me->pid, SIGKILL);
    }
    while (waitpid(me->pid, &how, 0) < 0 && errno == EINTR) {
    }
    me->pid = 0;
    if (me->next >= c->list->count) {
        c->bad_end |= !WIFEXITED(how) || WEXITSTATUS(how) != 0;
        return true;
    }
    case_result r = { .done = true };
    if (hung) {
        snprintf(r.reason, sizeof r.reason, "it ran for more than %d s", LIMIT_MS / 1000);
    } else if (WIFSIGNALED(how)) {
        snprintf(r.reason, sizeof r.reason, "crashed: %s", strsignal(WTERMSIG(how)));
    } else {
        snprintf(r.reason, sizeof r.reason, "the process ended with code %d", WEXITSTATUS(how));
    }
    settle(c, me, w, &r);
    return hire(c, crew_of, w, me->next);
}

/* Takes in what a child wrote; false when it is gone. */
static bool hear(crew *c, worker *me, int w)
{
    ssize_t n = read(me->fd, (char *)&me->partial + me->filled, sizeof me->partial - me->filled);
    if (n <= 0) {
        return n < 0 && errno == EINTR;
    }
    me->filled += (size_t)n;
    if (me->filled == sizeof me->partial) {
        me->filled = 0;
        settle(c, me, w, &me->partial.result);
    }
    return true;
}

static bool supervise(crew *c)
{
    worker workers[MAX_JOBS];
    bool fine = true;
    for (int w = 0; w < c->jobs; w++) {
        workers[w].fd = -1;
    }
    for (int w = 0; w < c->jobs && fine; w++) {
        fine = hire(c, workers, w, 0);
    }
    while (fine) {
        struct pollfd fds[MAX_JOBS];
        int busy = 0;
        for (int w = 0; w < c->jobs; w++) {
            fds[w] = (struct pollfd){ .fd = workers[w].fd, .events = POLLIN };
            busy += workers[w].fd >= 0;
        }
        if (busy == 0) {
            break;
        }
        if (poll(fds, (nfds_t)c->jobs, 1000) < 0 && errno != EINTR) {
            fine = false;
        }
        for (int w = 0; w < c->jobs && fine; w++) {
            bool ready = workers[w].fd >= 0 && (fds[w].revents & (POLLIN | POLLHUP)) != 0;
            bool hung = workers[w].fd >= 0 && !ready && lt_now_ns() - workers[w].since > (int64_t)LIMIT_MS * 1000000;
            if (hung || (ready && !hear(c, &workers[w], w))) {
                fine = bury(c, workers, w, hung);
            }
        }
    }
    return fine;
}

lathe_status cases_run(tool *t, const case_list *list, const lathe_build_options *options, int jobs,
                       const bool *selected, case_result *results, void (*done)(void *user, size_t index), void *user)
{
    crew c = { .t = t,
               .list = list,
               .options = options,
               .selected = selected,
               .results = results,
               .jobs = jobs > MAX_JOBS ? MAX_JOBS : jobs,
               .done = done,
               .user = user };
    if (args_has(t->args, OPT_VIA_PLAN) && !(c.temp = temp_make(t))) {
        return LATHE_IO;
    }
    lathe_runtime_destroy(t->runtime); /* threads do not survive a fork: each child makes its own */
    t->runtime = NULL;
    bool fine = supervise(&c);
    temp_remove(c.temp);
    if (!fine) {
        return LT_FAIL(t->diag, LATHE_IO, NULL, NULL, "cannot start a worker process");
    }
    return c.bad_end ? LT_FAIL(t->diag, LATHE_INTERNAL, NULL, "look above for what it printed",
                               "a worker process did not end well after its last case")
                     : LATHE_OK;
}
