/* SPDX-License-Identifier: BSD-2-Clause */

#include "gate/child_spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define STACK_BYTES   (128 * 1024)
#define FD_FIRST      (3 + CHILD_FDS_MAX) /* free of what is put in place */
#define FD_SOFT_LIMIT 1024 /* programs that use select(2), or close all */
#define ENV_INHERITED                                                          \
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "TZ", "TMPDIR"

#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x00001000
#endif

/*
 * ThreadSanitizer takes clone(2) for fork: in the new process it writes off
 * all other threads, and watches no more. Memory being shared, that would be
 * the server's threads. glibc's other name for it is not the sanitizer's.
 */
#ifdef __SANITIZE_THREAD__
#define BIRTH_BLIND 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define BIRTH_BLIND 1
#endif
#endif
#ifdef BIRTH_BLIND
int __clone(int (*fn)(void *), void *stack, int flags, void *arg, ...);
#define process_clone __clone
#else
#define process_clone clone
#endif

/* All that the new process needs; it writes nothing but `error`. */
struct birth {
    const struct child_config *cfg;
    const int *stdio;
    const char *path;
    char *const *argv;
    char *const *env;
    pid_t parent;
    int error; /* errno of what failed in it */
};

/*
 * --- in the new process. Its memory is the parent's: system calls and
 * automatic variables alone, and by number what a sanitizer would keep books
 * of. Nothing else of a sanitizer's either: it knows no such stack.
 */
#define IN_CHILD __attribute__((no_sanitize("address", "undefined", "thread")))

/* libc's own functions for identities tell all threads of the process to
 * change theirs: the server's. */
IN_CHILD static int
birth_user(const struct child_user *user)
{
    if (syscall(SYS_setgroups, 0, NULL) != 0)
        return -1;
    if (syscall(SYS_setresgid, user->gid, user->gid, user->gid) != 0)
        return -1;
    return (int) syscall(SYS_setresuid, user->uid, user->uid, user->uid);
}

/* Moves all out of the way first: none may be where another is to be. */
IN_CHILD static int
birth_descriptors(const struct birth *b)
{
    int moved[FD_FIRST];
    int count = 3 + (int) b->cfg->fd_count;

    for (int i = 0; i < count; i++) {
        int fd = i < 3 ? b->stdio[i] : b->cfg->fds[i - 3];
        moved[i] = (int) syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, FD_FIRST);
        if (moved[i] < 0)
            return -1;
    }
    for (int i = 0; i < count; i++) {
        if (syscall(SYS_dup3, moved[i], i, 0) < 0)
            return -1;
    }
    if (syscall(SYS_close_range, (unsigned) count, ~0u, 0) == 0)
        return 0;
    if (errno != ENOSYS && errno != EPERM)
        return -1;
    for (int fd = count; fd < 65536; fd++)
        syscall(SYS_close, fd);
    return 0;
}

IN_CHILD static void
birth_tell(const char *path, const char *text, size_t bytes)
{
    long fd = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    syscall(SYS_write, fd, text, bytes); /* as good as it can be had */
    syscall(SYS_close, fd);
}

/* Sessions are scheduled against each other before tasks are: `nice` alone
 * would leave half of the machine to one child. */
IN_CHILD static void
birth_priority(const struct child_config *cfg)
{
    char text[2] = {(char) ('0' + cfg->nice % 10), 0};

    if (cfg->expendable)
        birth_tell("/proc/self/oom_score_adj", "1000", 4);
    if (cfg->nice == 0)
        return;
    syscall(SYS_setpriority, PRIO_PROCESS, 0, cfg->nice);
    if (cfg->nice >= 10) {
        text[1] = text[0];
        text[0] = '1';
    }
    birth_tell("/proc/self/autogroup", text, cfg->nice >= 10 ? 2 : 1);
}

IN_CHILD static int
birth_limits(const struct child_config *cfg)
{
    struct rlimit l;

    if (getrlimit(RLIMIT_NOFILE, &l) == 0 && l.rlim_cur > FD_SOFT_LIMIT) {
        l.rlim_cur = FD_SOFT_LIMIT;
        setrlimit(RLIMIT_NOFILE, &l);
    }
    for (size_t i = 0; i < cfg->limit_count; i++) {
        l.rlim_cur = l.rlim_max = cfg->limits[i].value;
        if (syscall(SYS_prlimit64, 0, cfg->limits[i].resource, &l, NULL) != 0)
            return -1;
    }
    return 0;
}

/* Signals are blocked until no handler of the server's can run. The kernel's
 * structures: all 0 is SIG_DFL, and no signal. */
IN_CHILD static void
birth_signals(void)
{
    static const unsigned long zero[8];
    const size_t mask_bytes = 8;

    for (int i = 1; i <= 64; i++)
        syscall(SYS_rt_sigaction, i, zero, NULL, mask_bytes);
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, zero, NULL, mask_bytes);
}

/* After the change of identity, which forgets the first line. */
IN_CHILD static int
birth_bind(const struct birth *b)
{
    if (syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0)
        return -1;
    if (getppid() == b->parent)
        return 0;
    errno = ESRCH;
    return -1;
}

IN_CHILD static int
birth_prepare(const struct birth *b)
{
    const struct child_config *cfg = b->cfg;

    if (setsid() < 0 || birth_descriptors(b) != 0)
        return -1;
    birth_priority(cfg);
    if (birth_limits(cfg) != 0)
        return -1;
    if (cfg->user != NULL && birth_user(cfg->user) != 0)
        return -1;
    if (birth_bind(b) != 0)
        return -1;
    return cfg->directory != NULL ? chdir(cfg->directory) : 0;
}

IN_CHILD static int
birth_run(void *arg)
{
    struct birth *b = arg;

    if (birth_prepare(b) == 0) {
        birth_signals();
        execve(b->path, b->argv, b->env);
    }
    b->error = errno;
    /* _exit is known not to return: a sanitizer would look at the stack. */
    syscall(SYS_exit_group, 127);
    return 127;
}

/* --- in the server */

/* The first of the PATH that is a program. */
static int
program_search(const char *name, char out[PATH_MAX])
{
    const char *path = getenv("PATH");
    const char *end;
    struct stat st;

    if (path == NULL || *path == '\0')
        path = "/usr/local/bin:/usr/bin:/bin";
    for (;; path = end + 1) {
        end = strchrnul(path, ':');
        int n =
            snprintf(out, PATH_MAX, "%.*s/%s", (int) (end - path), path, name);
        bool usable = *path == '/' && n > 0 && n < PATH_MAX;
        if (usable && stat(out, &st) == 0 && S_ISREG(st.st_mode)
            && access(out, X_OK) == 0)
            return 0;
        if (*end == '\0')
            return UV_ENOENT;
    }
}

static bool
env_has(char *const *env, size_t count, const char *name)
{
    size_t bytes = strlen(name);

    for (size_t i = 0; i < count; i++) {
        if (strncmp(env[i], name, bytes) == 0 && env[i][bytes] == '=')
            return true;
    }
    return false;
}

/* What the child gives goes before; the texts are borrowed but for those of
 * `own`, which the caller frees. */
struct environment {
    char *texts[CHILD_ENV_MAX + 16];
    size_t count, own_first;
};

static int
environment_inherit(struct environment *e)
{
    static const char *const names[] = {ENV_INHERITED};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const char *value = getenv(names[i]);
        if (value == NULL || env_has(e->texts, e->count, names[i]))
            continue;
        if (asprintf(&e->texts[e->count], "%s=%s", names[i], value) < 0)
            return UV_ENOMEM;
        e->count++;
    }
    e->texts[e->count] = NULL;
    return 0;
}

static int
environment_make(struct environment *e, const struct child_config *cfg)
{
    e->count = 0;
    for (; cfg->env != NULL && cfg->env[e->count] != NULL; e->count++) {
        if (e->count == CHILD_ENV_MAX)
            return UV_EINVAL;
        e->texts[e->count] = (char *) cfg->env[e->count];
    }
    e->own_first = e->count;
    e->texts[e->count] = NULL;
    return cfg->bare ? 0 : environment_inherit(e);
}

static void
environment_free(struct environment *e)
{
    for (size_t i = e->own_first; i < e->count; i++)
        free(e->texts[i]);
}

static int
config_check(const struct child_config *cfg)
{
    size_t args = 0;

    while (cfg->argv != NULL && cfg->argv[args] != NULL)
        args++;
    bool valid = args > 0 && args <= CHILD_ARGS_MAX && cfg->argv[0][0] != '\0'
                 && cfg->fd_count <= CHILD_FDS_MAX
                 && cfg->limit_count <= CHILD_LIMITS_MAX && cfg->nice >= 0
                 && cfg->nice <= 19;
    return valid ? 0 : UV_EINVAL;
}

/* With every signal blocked: the new process has the server's handlers, and
 * its memory, until it has put them away. */
static int
birth_clone(struct birth *b, struct child_born *born)
{
    sigset_t all, before;
    int flags = CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD;
    char *stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);

    if (stack == MAP_FAILED)
        return UV_ENOMEM;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int pidfd = -1;
    pid_t pid = process_clone(birth_run, stack + STACK_BYTES, flags, b, &pidfd);
    int err = pid < 0 ? uv_translate_sys_error(errno) : 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    munmap(stack, STACK_BYTES);
    if (pid >= 0)
        *born = (struct child_born){.pid = pid, .pidfd = pidfd};
    return err;
}

static int
birth_give(struct birth *b, struct child_born *born)
{
    siginfo_t info;
    int err = birth_clone(b, born);

    if (err != 0 || b->error == 0)
        return err;
    while (waitid(P_PID, (id_t) born->pid, &info, WEXITED) != 0
           && errno == EINTR)
        ;
    close(born->pidfd);
    return uv_translate_sys_error(b->error);
}

int
child_spawn(const struct child_config *cfg, const int stdio[3],
            struct child_born *born)
{
    char path[PATH_MAX];
    struct environment environment;
    struct birth b = {.cfg = cfg,
                      .stdio = stdio,
                      .env = environment.texts,
                      .parent = getpid()};
    int err = config_check(cfg);

    if (err != 0)
        return err;
    b.argv = (char *const *) cfg->argv;
    b.path = cfg->argv[0];
    if (strchr(b.path, '/') == NULL) {
        err = program_search(cfg->argv[0], path);
        b.path = path;
    }
    if (err != 0)
        return err;
    err = environment_make(&environment, cfg);
    if (err == 0)
        err = birth_give(&b, born);
    environment_free(&environment);
    return err;
}
