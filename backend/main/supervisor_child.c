/* SPDX-License-Identifier: BSD-2-Clause */

#include "main/supervisor_child.h"

#include "main/supervisor_log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define ASK_LIMIT_MS 10000

/* In the new process: nothing of the supervisor's signal state, and no life
 * without it. */
static void
child_prepare(pid_t supervisor)
{
    sigset_t none;

    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
        _exit(71);
    if (getppid() != supervisor)
        _exit(0); /* it died before the line above */
    sigemptyset(&none);
    signal(SIGPIPE, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static void
server_exec(const struct child_start *how, const char *argument)
{
    const char *argv[5] = {how->server};
    int n = 1;
    if (argument)
        argv[n++] = argument;
    if (how->config) {
        argv[n++] = "-c";
        argv[n++] = how->config;
    }
    execv(how->server, (char *const *) argv);
    supervisor_log("error", "server=%s error=\"%s\"", how->server,
                   strerror(errno));
    _exit(72);
}

static void
number_export(const char *name, long value)
{
    char text[24];
    snprintf(text, sizeof(text), "%ld", value);
    setenv(name, text, 1);
}

int
child_start(struct child *child, const struct child_start *how)
{
    int ready[2];
    pid_t self = getpid();

    if (pipe2(ready, O_CLOEXEC) != 0) {
        supervisor_log("error", "pipe error=\"%s\"", strerror(errno));
        return -1;
    }
    pid_t pid = fork();
    if (pid == 0) {
        child_prepare(self);
        fcntl(ready[1], F_SETFD, 0);
        setenv("VOICED_LISTEN_FDS", how->listen_fds, 1);
        number_export("VOICED_READY_FD", ready[1]);
        number_export("VOICED_GENERATION", how->generation);
        server_exec(how, NULL);
    }
    close(ready[1]);
    if (pid < 0) {
        supervisor_log("error", "fork error=\"%s\"", strerror(errno));
        close(ready[0]);
        return -1;
    }
    *child = (struct child){.state = CHILD_STARTING,
                            .pid = pid,
                            .generation = how->generation,
                            .ready_fd = ready[0],
                            .started_ms = supervisor_now_ms()};
    supervisor_log("notice", "generation=%u pid=%d state=starting",
                   how->generation, (int) pid);
    return 0;
}

bool
child_read_ready(struct child *child)
{
    char byte;
    ssize_t n = read(child->ready_fd, &byte, 1);

    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return false;
    close(child->ready_fd);
    child->ready_fd = -1;
    if (n != 1)
        return false; /* it is ending: SIGCHLD follows */
    if (child->state == CHILD_STARTING)
        child->state = CHILD_READY;
    supervisor_log("notice", "generation=%u pid=%d state=ready after_ms=%lld",
                   child->generation, (int) child->pid,
                   (long long) (supervisor_now_ms() - child->started_ms));
    return true;
}

static void
child_signal(struct child *child, enum child_state state, int signal_number)
{
    if (child->state == CHILD_NONE)
        return;
    if (child->state < state)
        child->state = state;
    kill(child->pid, signal_number);
}

void
child_drain(struct child *child)
{
    child_signal(child, CHILD_DRAINING, SIGQUIT);
}

void
child_stop(struct child *child)
{
    child_signal(child, CHILD_STOPPING, SIGTERM);
}

void
child_kill(struct child *child)
{
    child_signal(child, CHILD_STOPPING, SIGKILL);
}

void
child_ended(struct child *child, int status, bool expected)
{
    const char *level = expected ? "notice" : "alert";
    long long lived = supervisor_now_ms() - child->started_ms;

    if (WIFSIGNALED(status))
        supervisor_log(level,
                       "generation=%u pid=%d end=signal signal=%d "
                       "lived_ms=%lld",
                       child->generation, (int) child->pid, WTERMSIG(status),
                       lived);
    else
        supervisor_log(level,
                       "generation=%u pid=%d end=exit status=%d "
                       "lived_ms=%lld",
                       child->generation, (int) child->pid, WEXITSTATUS(status),
                       lived);
    if (child->ready_fd >= 0)
        close(child->ready_fd);
    memset(child, 0, sizeof(*child));
    child->ready_fd = -1;
}

/* Until the other end closes (true) or the time is up. */
static bool
ask_read(int fd, char *out, size_t bytes)
{
    int64_t end = supervisor_now_ms() + ASK_LIMIT_MS;
    size_t n = 0;
    char waste[512];

    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int64_t left = end - supervisor_now_ms();
        if (left <= 0)
            break;
        if (poll(&p, 1, (int) left) <= 0)
            continue;
        bool room = n + 1 < bytes;
        ssize_t got = read(fd, room ? out + n : waste,
                           room ? bytes - 1 - n : sizeof(waste));
        if (got == 0) {
            out[n] = '\0';
            return true;
        }
        if (got > 0 && room)
            n += (size_t) got;
    }
    out[n] = '\0';
    return false;
}

int
child_ask(const struct child_start *how, const char *argument, char *out,
          size_t bytes)
{
    int answer[2], status = 0;
    pid_t self = getpid();

    out[0] = '\0';
    if (pipe2(answer, O_CLOEXEC) != 0)
        return -1;
    pid_t pid = fork();
    if (pid == 0) {
        child_prepare(self);
        dup2(answer[1], STDOUT_FILENO);
        dup2(answer[1], STDERR_FILENO);
        server_exec(how, argument);
    }
    close(answer[1]);
    if (pid > 0) {
        if (!ask_read(answer[0], out, bytes))
            kill(pid, SIGKILL);
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            ;
    }
    close(answer[0]);
    return pid > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
