/* SPDX-License-Identifier: BSD-2-Clause */

#include "main/supervisor.h"

#include "config.h"
#include "main/supervisor_log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define STABLE_MS      5000  /* a server that lived so long starts afresh */
#define BACKOFF_MS     100   /* doubled with every death in a row */
#define READY_DEATH_MS 500   /* longest wait for one that had been ready */
#define BACKOFF_MAX_MS 30000 /* and for one that never was */
#define START_LIMIT_MS 60000 /* to become ready */
#define STOP_LIMIT_MS  10000 /* from SIGTERM to SIGKILL */
#define ANSWER_BYTES   8192

static const int signals[] = {SIGCHLD, SIGHUP,  SIGUSR1, SIGUSR2,
                              SIGQUIT, SIGTERM, SIGINT};

/* --- generations */

static struct child_start
start_of(const struct supervisor *s)
{
    return (struct child_start){
        .server = s->server, .config = s->config, .generation = s->generation};
}

static int
child_slot(struct supervisor *s)
{
    for (int i = 0; i < SUPERVISOR_CHILDREN; i++) {
        if (s->children[i].state == CHILD_NONE)
            return i;
    }
    return -1;
}

/* Index of the child, or -1 and it is logged. */
static int
generation_start(struct supervisor *s)
{
    char fds[64];
    int slot = child_slot(s);

    if (slot < 0) {
        supervisor_log("error", "error=\"%d generations are still alive\"",
                       SUPERVISOR_CHILDREN);
        return -1;
    }
    s->generation++;
    struct child_start how = start_of(s);
    listeners_fds(&s->listeners, fds, sizeof(fds));
    how.listen_fds = fds;
    listeners_inherit(&s->listeners, true);
    int result = child_start(&s->children[slot], &how);
    listeners_inherit(&s->listeners, false);
    return result == 0 ? slot : -1;
}

static void
start_schedule(struct supervisor *s, int64_t delay_ms)
{
    s->start_at_ms = supervisor_now_ms() + delay_ms;
    if (delay_ms)
        supervisor_log("notice", "state=waiting restart_in_ms=%lld",
                       (long long) delay_ms);
}

static void
current_start(struct supervisor *s)
{
    s->start_at_ms = 0;
    s->current = generation_start(s);
    if (s->current < 0)
        start_schedule(s, 1000);
}

/* The one that served is gone and nobody asked it to go. */
static void
current_lost(struct supervisor *s, bool was_ready, int64_t lived)
{
    s->current = -1;
    if (s->next >= 0) { /* a new generation is coming up anyway */
        s->current = s->next;
        s->next = -1;
        listeners_close_others(&s->before, &s->listeners);
        return;
    }
    if (lived > STABLE_MS)
        s->failures = 0;
    else if (!was_ready && s->failures == 0)
        s->failures = 1;
    int64_t limit = was_ready ? READY_DEATH_MS : BACKOFF_MAX_MS;
    int64_t delay = 0;
    if (s->failures)
        delay = (int64_t) BACKOFF_MS
                << (s->failures < 12 ? s->failures - 1 : 11);
    s->failures++;
    start_schedule(s, delay < limit ? delay : limit);
}

/* --- configuration */

static void
first_line(char *text)
{
    text[strcspn(text, "\n")] = '\0';
}

static const char *
line_value(const char *text, const char *name)
{
    size_t n = strlen(name);
    for (; *text; text += strcspn(text, "\n"), text += *text == '\n') {
        if (strncmp(text, name, n) == 0)
            return text + n;
    }
    return NULL;
}

/* Asks the server what the configuration says, which also checks it. */
static int
configuration_ask(struct supervisor *s, char *answer)
{
    struct child_start how = start_of(s);
    int status = child_ask(&how, "--print-listen", answer, ANSWER_BYTES);
    if (status == 0)
        return 0;
    first_line(answer);
    supervisor_log("error", "configuration=refused status=%d error=\"%s\"",
                   status, answer);
    return -1;
}

/* The address list of the generation that goes on. */
static void
next_lost(struct supervisor *s)
{
    struct listeners failed = s->listeners;

    s->next = -1;
    s->listeners = s->before;
    s->before.count = 0;
    listeners_close_others(&failed, &s->listeners);
    supervisor_log("error", "reload=failed, generation=%u goes on",
                   s->current >= 0 ? s->children[s->current].generation : 0);
}

static void
reload(struct supervisor *s)
{
    char answer[ANSWER_BYTES];

    if (s->state != SUPERVISOR_RUNNING)
        return;
    if (s->next >= 0) {
        s->reload_wanted = true;
        return;
    }
    s->reload_wanted = false;
    if (configuration_ask(s, answer) != 0)
        return;
    s->before = s->listeners;
    if (listeners_update(&s->listeners, answer) != 0) {
        s->before.count = 0;
        supervisor_log("error", "reload=refused, listening as before");
        return;
    }
    s->failures = 0;
    if (s->current < 0) { /* between two tries: this one is due now */
        listeners_close_others(&s->before, &s->listeners);
        current_start(s);
        return;
    }
    s->next = generation_start(s);
    if (s->next < 0)
        next_lost(s);
}

static void
next_ready(struct supervisor *s)
{
    int old = s->current;
    s->current = s->next;
    s->next = -1;
    listeners_close_others(&s->before, &s->listeners);
    if (old >= 0)
        child_drain(&s->children[old]);
}

/* --- another binary */

/* Becomes the installed binary; comes back only when that can't be. */
static void
binary_replace(struct supervisor *s)
{
    char answer[ANSWER_BYTES];
    struct child_start probe = {.server = s->self};

    if (s->state != SUPERVISOR_RUNNING)
        return;
    if (s->next >= 0) {
        s->replace_wanted = true;
        return;
    }
    s->replace_wanted = false;
    if (child_ask(&probe, "--version", answer, sizeof(answer)) != 0) {
        first_line(answer);
        supervisor_log("error", "binary=%s refused error=\"%s\"", s->self,
                       answer);
        return;
    }
    if (supervisor_state_save(s) != 0) {
        supervisor_log("error", "binary=%s error=\"state too large\"", s->self);
        return;
    }
    supervisor_log("notice", "binary=%s state=replacing", s->self);
    execv(s->self, s->argv);
    supervisor_log("error", "binary=%s error=\"%s\"", s->self, strerror(errno));
    supervisor_state_forget(s);
}

/* --- ends */

static bool
children_none(const struct supervisor *s)
{
    for (int i = 0; i < SUPERVISOR_CHILDREN; i++) {
        if (s->children[i].state != CHILD_NONE)
            return false;
    }
    return true;
}

static void
children_each(struct supervisor *s, void (*verb)(struct child *))
{
    for (int i = 0; i < SUPERVISOR_CHILDREN; i++)
        verb(&s->children[i]);
}

static void
supervisor_end(struct supervisor *s, enum supervisor_state how)
{
    if (how <= s->state)
        return;
    s->state = how;
    s->start_at_ms = 0;
    supervisor_log("notice", "state=%s",
                   how == SUPERVISOR_STOPPING ? "stopping" : "draining");
    listeners_close_others(&s->before, &s->listeners);
    listeners_close(&s->listeners);
    if (how == SUPERVISOR_DRAINING) {
        children_each(s, child_drain);
        return;
    }
    children_each(s, child_stop);
    s->kill_at_ms = supervisor_now_ms() + STOP_LIMIT_MS;
}

static void
on_child_end(struct supervisor *s, int i, int status)
{
    struct child was = s->children[i];
    bool expected =
        s->state != SUPERVISOR_RUNNING || was.state >= CHILD_DRAINING;
    int64_t lived = supervisor_now_ms() - was.started_ms;

    child_ended(&s->children[i], status, expected);
    if (s->state != SUPERVISOR_RUNNING)
        return;
    if (i == s->current)
        current_lost(s, was.state == CHILD_READY, lived);
    else if (i == s->next)
        next_lost(s);
}

static void
children_reap(struct supervisor *s)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        for (int i = 0; i < SUPERVISOR_CHILDREN; i++) {
            if (s->children[i].state != CHILD_NONE && s->children[i].pid == pid)
                on_child_end(s, i, status);
        }
    }
}

static void
children_reopen_logs(struct supervisor *s)
{
    for (int i = 0; i < SUPERVISOR_CHILDREN; i++) {
        if (s->children[i].state >= CHILD_READY)
            kill(s->children[i].pid, SIGUSR1);
    }
}

/* --- the loop */

static void
on_signal(struct supervisor *s, int number)
{
    switch (number) {
    case SIGCHLD:
        children_reap(s);
        break;
    case SIGHUP:
        supervisor_log("notice", "signal=HUP");
        reload(s);
        break;
    case SIGUSR1:
        children_reopen_logs(s);
        break;
    case SIGUSR2:
        supervisor_log("notice", "signal=USR2");
        binary_replace(s);
        break;
    case SIGQUIT:
        supervisor_end(s, SUPERVISOR_DRAINING);
        break;
    default:
        supervisor_end(s, SUPERVISOR_STOPPING);
    }
}

static void
timers_run(struct supervisor *s)
{
    int64_t now = supervisor_now_ms();

    if (s->start_at_ms && now >= s->start_at_ms)
        current_start(s);
    if (s->kill_at_ms && now >= s->kill_at_ms) {
        s->kill_at_ms = 0;
        supervisor_log("alert", "state=stopping error=\"killed after %d ms\"",
                       STOP_LIMIT_MS);
        children_each(s, child_kill);
    }
    for (int i = 0; i < SUPERVISOR_CHILDREN; i++) {
        struct child *c = &s->children[i];
        if (c->state != CHILD_STARTING || now - c->started_ms < START_LIMIT_MS)
            continue;
        supervisor_log("error", "generation=%u error=\"not ready in %d ms\"",
                       c->generation, START_LIMIT_MS);
        kill(c->pid, SIGKILL);
        c->started_ms = now; /* its end arrives as any other */
    }
}

/* Until the next timer, -1: none. */
static int
timers_wait_ms(const struct supervisor *s)
{
    int64_t now = supervisor_now_ms(), at = INT64_MAX;

    if (s->start_at_ms)
        at = s->start_at_ms;
    if (s->kill_at_ms && s->kill_at_ms < at)
        at = s->kill_at_ms;
    for (int i = 0; i < SUPERVISOR_CHILDREN; i++) {
        int64_t limit = s->children[i].started_ms + START_LIMIT_MS;
        if (s->children[i].state == CHILD_STARTING && limit < at)
            at = limit;
    }
    if (at == INT64_MAX)
        return -1;
    return at > now ? (int) (at - now) : 0;
}

static void
on_ready_pipe(struct supervisor *s, int fd)
{
    for (int i = 0; i < SUPERVISOR_CHILDREN; i++) {
        struct child *c = &s->children[i];
        if (c->state == CHILD_NONE || c->ready_fd != fd)
            continue;
        if (child_read_ready(c) && i == s->next)
            next_ready(s);
        return;
    }
}

static void
loop_turn(struct supervisor *s)
{
    struct pollfd fds[1 + SUPERVISOR_CHILDREN];
    nfds_t n = 0;

    fds[n++] = (struct pollfd){.fd = s->signal_fd, .events = POLLIN};
    for (int i = 0; i < SUPERVISOR_CHILDREN; i++) {
        if (s->children[i].state != CHILD_NONE && s->children[i].ready_fd >= 0)
            fds[n++] = (struct pollfd){.fd = s->children[i].ready_fd,
                                       .events = POLLIN};
    }
    if (poll(fds, n, timers_wait_ms(s)) > 0) {
        struct signalfd_siginfo info;
        for (nfds_t i = 1; i < n; i++) {
            if (fds[i].revents)
                on_ready_pipe(s, fds[i].fd);
        }
        if (fds[0].revents
            && read(s->signal_fd, &info, sizeof(info)) == sizeof(info))
            on_signal(s, (int) info.ssi_signo);
    }
    timers_run(s);
    if (s->next < 0 && s->replace_wanted)
        binary_replace(s);
    if (s->next < 0 && s->reload_wanted)
        reload(s);
}

/* --- start */

static void
pid_file_write(struct supervisor *s, const char *path)
{
    snprintf(s->pid_file, sizeof(s->pid_file), "%.*s",
             (int) strcspn(path, "\n"), path);
    FILE *file = fopen(s->pid_file, "we");
    if (!file || fprintf(file, "%d\n", (int) getpid()) < 0)
        supervisor_log("error", "pid_file=%s error=\"%s\"", s->pid_file,
                       strerror(errno));
    if (file)
        fclose(file);
    else
        s->pid_file[0] = '\0';
}

/* Only when it still names this process. */
static void
pid_file_remove(const struct supervisor *s)
{
    int pid = 0;
    FILE *file = s->pid_file[0] ? fopen(s->pid_file, "re") : NULL;
    if (!file)
        return;
    if (fscanf(file, "%d", &pid) == 1 && pid == (int) getpid())
        unlink(s->pid_file);
    fclose(file);
}

static void
signals_block(struct supervisor *s)
{
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        sigaddset(&set, signals[i]);
    sigprocmask(SIG_SETMASK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Where this binary is now, or was when it has been replaced since. */
static void
self_find(struct supervisor *s)
{
    ssize_t n = readlink("/proc/self/exe", s->self, sizeof(s->self) - 1);
    s->self[n > 0 ? n : 0] = '\0';
    const char *server = getenv("VOICED_SERVER");
    const char *slash = strrchr(s->self, '/');
    if (server && server[0])
        snprintf(s->server, sizeof(s->server), "%s", server);
    else
        snprintf(s->server, sizeof(s->server), "%.*svoiced-server",
                 slash ? (int) (slash - s->self + 1) : 0, s->self);
}

static int
first_start(struct supervisor *s)
{
    char answer[ANSWER_BYTES];

    if (configuration_ask(s, answer) != 0)
        return -1;
    listeners_take_systemd(&s->listeners);
    if (listeners_update(&s->listeners, answer) != 0)
        return -1;
    const char *pid_file = line_value(answer, "pid ");
    if (pid_file)
        pid_file_write(s, pid_file);
    current_start(s);
    return 0;
}

static int
supervise(struct supervisor *s)
{
    signals_block(s);
    supervisor_log("notice", "version=%s pid=%d server=%s", VOICE_VERSION,
                   (int) getpid(), s->server);
    if (supervisor_state_restore(s)) {
        children_reap(s);
        reload(s);
    } else if (first_start(s) != 0) {
        return 1;
    }
    while (s->state == SUPERVISOR_RUNNING || !children_none(s))
        loop_turn(s);
    listeners_close(&s->listeners);
    pid_file_remove(s);
    supervisor_log("notice", "state=ended");
    return 0;
}

/* Words that the server answers itself. */
static bool
passes_through(const char *argument)
{
    static const char *const words[] = {
        "-t", "--print-config",   "--print-listen",     "--version",
        "-h", "--example-config", "--config-reference", "--help",
    };
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(argument, words[i]) == 0)
            return true;
    }
    return false;
}

int
main(int argc, char **argv)
{
    static struct supervisor s = {.current = -1, .next = -1};

    s.argv = argv;
    self_find(&s);
    for (int i = 0; i < SUPERVISOR_CHILDREN; i++)
        s.children[i].ready_fd = -1;
    for (int i = 1; i < argc; i++) {
        if (passes_through(argv[i])) {
            argv[0] = s.server;
            execv(s.server, argv);
            fprintf(stderr, "voiced: %s: %s\n", s.server, strerror(errno));
            return 72;
        }
        if (strcmp(argv[i], "-c") == 0 && i + 1 < argc) {
            s.config = argv[++i];
            continue;
        }
        fprintf(stderr, "voiced: unknown argument %s; --help says more\n",
                argv[i]);
        return 2;
    }
    return supervise(&s);
}
