/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   sandbox_start ─► bwrap ─► its process 1 ─► bash ─► whatever it runs
 *                      └── a look now and then: memory of all of them
 */

#include "gate/sandbox.h"

#include "base/log.h"
#include "base/loop_timer.h"
#include "gate/child_spawn.h"
#include "gate/sandbox_filter.h"
#include "gate/sandbox_use.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define FILTER_FD "3"       /* of the first descriptor that is passed on */
#define BROKEN    "bwrap: " /* its own complaints begin so */

/* The number of processes is counted in the namespace, so it is the shell in
 * there that sets it; what it becomes then can only make it less. */
#define SHELL "ulimit -SHu \"$0\" && exec /bin/bash --norc -c \"$1\" bash"

static const char *const environment[] = {"PATH=/usr/local/bin:/usr/bin:/bin",
                                          "HOME=/tmp",
                                          "TMPDIR=/tmp",
                                          "LANG=C.UTF-8",
                                          "TERM=dumb",
                                          NULL};

struct sandbox {
    char *words[CHILD_ARGS_MAX]; /* of bwrap, up to the command; owned */
    size_t count;
    int filter_fd;
    uint64_t memory_bytes;
    bool has_user;
    struct child_user user;
    struct child_limit limits[CHILD_LIMITS_MAX];
    size_t limit_count;
};

struct sandbox_command {
    const struct sandbox *sandbox;
    struct child *child;
    struct loop_timer *look;
    struct sandbox_handlers handlers;
    void *arg;
    char first[sizeof(BROKEN) - 1]; /* on stderr */
    size_t first_bytes;
    bool wrote; /* on stdout */
    bool over;  /* by its memory */
};

/* --- what bwrap is told */

static void
words_add(struct sandbox *s, const char *const *words)
{
    for (; *words != NULL; words++) {
        if (s->count < CHILD_ARGS_MAX)
            s->words[s->count] = strdup(*words);
        s->count++;
    }
}

#define ADD(s, ...) words_add(s, (const char *const[]){__VA_ARGS__, NULL})

/* /bin, /lib, …: links into /usr, or directories of their own. */
static void
system_add(struct sandbox *s)
{
    static const char *const places[] = {"/bin",   "/sbin",   "/lib",
                                         "/lib32", "/libx32", "/lib64"};
    static const char *const files[] = {"/etc/alternatives", "/etc/ld.so.cache",
                                        "/etc/localtime"};
    char target[PATH_MAX];

    ADD(s, "--ro-bind", "/usr", "/usr");
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        ssize_t n = readlink(places[i], target, sizeof(target) - 1);
        if (n > 0) {
            target[n] = '\0';
            ADD(s, "--symlink", target, places[i]);
        } else if (access(places[i], F_OK) == 0) {
            ADD(s, "--ro-bind", places[i], places[i]);
        }
    }
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
        ADD(s, "--ro-bind-try", files[i], files[i]);
}

static void
words_make(struct sandbox *s, const struct sandbox_config *cfg)
{
    char processes[24], bytes[24];

    snprintf(processes, sizeof(processes), "%u", cfg->processes);
    snprintf(bytes, sizeof(bytes), "%d", SANDBOX_TMP_BYTES);
    ADD(s, "bwrap", "--unshare-user", "--unshare-pid", "--unshare-net",
        "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try",
        "--die-with-parent", "--new-session", "--hostname", "sandbox");
    system_add(s);
    ADD(s, "--proc", "/proc", "--dev", "/dev");
    ADD(s, "--perms", "1777", "--size", bytes, "--tmpfs", "/dev/shm");
    ADD(s, "--perms", "1777", "--size", bytes, "--tmpfs", "/tmp");
    ADD(s, "--bind", cfg->root, cfg->root);
    /* Of /proc too: what is the first to be killed is to stay it. */
    ADD(s, "--remount-ro", "/dev", "--remount-ro", "/proc", "--remount-ro",
        "/");
    ADD(s, "--chdir", cfg->root, "--seccomp", FILTER_FD, "--");
    ADD(s, "/bin/bash", "--norc", "-c", SHELL, processes);
}

static void
limits_make(struct sandbox *s, const struct sandbox_config *cfg)
{
    const struct child_limit limits[] = {
        {RLIMIT_DATA, cfg->memory_bytes},
        {RLIMIT_FSIZE, cfg->file_bytes},
        {RLIMIT_CPU, cfg->cpu_s},
        {RLIMIT_NOFILE, SANDBOX_DESCRIPTORS},
        {RLIMIT_CORE, 0},
    };

    s->limit_count = sizeof(limits) / sizeof(limits[0]);
    memcpy(s->limits, limits, sizeof(limits));
}

/* --- a command's configuration; *filter_fd is then the caller's */

static int
config_make(const struct sandbox *s, const char *command,
            const char *words[CHILD_ARGS_MAX + 1], int *filter_fd,
            struct child_config *cfg)
{
    char path[40];

    if (strlen(command) > SANDBOX_COMMAND_MAX)
        return UV_E2BIG;
    for (size_t i = 0; i < s->count; i++)
        words[i] = s->words[i];
    words[s->count] = command;
    words[s->count + 1] = NULL;
    /* bwrap reads it to its end: each its own place in it. */
    snprintf(path, sizeof(path), "/proc/self/fd/%d", s->filter_fd);
    *filter_fd = open(path, O_RDONLY | O_CLOEXEC);
    if (*filter_fd < 0)
        return uv_translate_sys_error(errno);
    *cfg = (struct child_config){.name = "sandbox",
                                 .argv = words,
                                 .env = environment,
                                 .bare = true,
                                 .directory = "/",
                                 .no_input = true,
                                 .fds = filter_fd,
                                 .fd_count = 1,
                                 .limits = s->limits,
                                 .limit_count = s->limit_count,
                                 .user = s->has_user ? &s->user : NULL,
                                 .nice = 19,
                                 .expendable = true};
    return 0;
}

/* --- is it able to? */

/* What it says until it ends, or the time is up. */
static void
try_read(int fd, char *text, size_t bytes)
{
    uint64_t end_ms = uv_hrtime() / 1000000 + SANDBOX_TRY_MS;
    size_t at = 0;

    text[0] = '\0';
    while (at + 1 < bytes) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        uint64_t now_ms = uv_hrtime() / 1000000;
        if (now_ms >= end_ms)
            return;
        if (poll(&p, 1, (int) (end_ms - now_ms)) <= 0)
            continue;
        ssize_t n = read(fd, text + at, bytes - 1 - at);
        if (n <= 0)
            return;
        at += (size_t) n;
        text[at] = '\0';
    }
}

/* One command, waited for; what it says is in `text`. Its status, or UV_E*. */
static int
try_run(const struct sandbox *s, char *text, size_t bytes)
{
    const char *words[CHILD_ARGS_MAX + 1];
    struct child_config cfg;
    struct child_born born;
    siginfo_t info = {0};
    int filter_fd = -1, said[2];

    if (pipe2(said, O_CLOEXEC) != 0)
        return uv_translate_sys_error(errno);
    int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int err = config_make(s, "exit 0", words, &filter_fd, &cfg);
    if (err == 0) {
        int stdio[3] = {nothing, said[1], said[1]};
        err = child_spawn(&cfg, stdio, &born);
    }
    close(said[1]);
    if (err == 0) {
        try_read(said[0], text, bytes);
        kill(-born.pid, SIGKILL);
        while (waitid(P_PID, (id_t) born.pid, &info, WEXITED) != 0
               && errno == EINTR)
            ;
        close(born.pidfd);
        err = info.si_code == CLD_EXITED ? info.si_status : 255;
    }
    close(said[0]);
    close(nothing);
    if (filter_fd >= 0)
        close(filter_fd);
    return err;
}

static int
sandbox_try(const struct sandbox *s, char error[SANDBOX_ERROR_BYTES])
{
    char text[SANDBOX_ERROR_BYTES / 2];

    text[0] = '\0';
    int result = try_run(s, text, sizeof(text));
    if (result == 0)
        return 0;
    text[strcspn(text, "\n")] = '\0';
    if (result == UV_ENOENT)
        snprintf(error, SANDBOX_ERROR_BYTES,
                 "bwrap is not installed (package bubblewrap)");
    else if (result < 0)
        snprintf(error, SANDBOX_ERROR_BYTES, "bwrap does not start: %s",
                 uv_strerror(result));
    else
        snprintf(error, SANDBOX_ERROR_BYTES,
                 "the sandbox cannot be made here: %s",
                 text[0] ? text : "bwrap ended without a word");
    return result < 0 ? result : UV_ENOTSUP;
}

/* --- the sandbox */

/* Never root: no limit of processes holds it, and what it may do to files
 * outside is up to bwrap alone. */
static int
sandbox_find_user(struct sandbox *s, const char *root,
                  char error[SANDBOX_ERROR_BYTES])
{
    struct stat st;

    if (geteuid() != 0)
        return 0;
    if (stat(root, &st) != 0) {
        snprintf(error, SANDBOX_ERROR_BYTES, "%s: %s", root, strerror(errno));
        return uv_translate_sys_error(errno);
    }
    if (st.st_uid == 0 || st.st_gid == 0) {
        snprintf(error, SANDBOX_ERROR_BYTES,
                 "commands are not run as root: let voiced run as another "
                 "user, or give %s an owner and a group other than root",
                 root);
        return UV_EPERM;
    }
    s->has_user = true;
    s->user = (struct child_user){st.st_uid, st.st_gid};
    return 0;
}

/* What is mounted over them would be gone, or be the host's. */
static int
root_check(const char *root, char error[SANDBOX_ERROR_BYTES])
{
    static const char *const never[] = {"/proc", "/sys", "/dev", "/usr",
                                        "/etc",  "/bin", "/lib"};
    bool bad = root[0] != '/' || root[1] == '\0' || strcmp(root, "/tmp") == 0;

    for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
        size_t n = strlen(never[i]);
        bad |= strncmp(root, never[i], n) == 0
               && (root[n] == '\0' || root[n] == '/');
    }
    if (!bad)
        return 0;
    snprintf(error, SANDBOX_ERROR_BYTES, "%s is no root for commands", root);
    return UV_EINVAL;
}

int
sandbox_create(struct sandbox **sp, const struct sandbox_config *cfg,
               char error[SANDBOX_ERROR_BYTES])
{
    int err = root_check(cfg->root, error);

    if (err != 0)
        return err;
    struct sandbox *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return UV_ENOMEM;
    s->filter_fd = -1;
    s->memory_bytes = cfg->memory_bytes;
    words_make(s, cfg);
    limits_make(s, cfg);
    err = s->count + 2 <= CHILD_ARGS_MAX ? 0 : UV_E2BIG;
    for (size_t i = 0; err == 0 && i < s->count; i++)
        err = s->words[i] != NULL ? 0 : UV_ENOMEM;
    if (err == 0)
        err = sandbox_filter_make(&s->filter_fd);
    if (err != 0)
        snprintf(error, SANDBOX_ERROR_BYTES, "%s", uv_strerror(err));
    if (err == 0)
        err = sandbox_find_user(s, cfg->root, error);
    if (err == 0)
        err = sandbox_try(s, error);
    if (err != 0)
        sandbox_destroy(&s);
    *sp = err == 0 ? s : *sp;
    return err;
}

void
sandbox_destroy(struct sandbox **sp)
{
    struct sandbox *s = *sp;

    *sp = NULL;
    if (s == NULL)
        return;
    for (size_t i = 0; i < s->count && i < CHILD_ARGS_MAX; i++)
        free(s->words[i]);
    if (s->filter_fd >= 0)
        close(s->filter_fd);
    free(s);
}

/* --- a command */

static void
on_command_output(void *arg, enum child_stream stream, const char *data,
                  size_t bytes)
{
    struct sandbox_command *c = arg;

    if (stream == CHILD_OUTPUT)
        c->wrote = true;
    for (size_t i = 0; stream == CHILD_ERRORS && i < bytes
                       && c->first_bytes < sizeof(c->first);
         i++)
        c->first[c->first_bytes++] = data[i];
    c->handlers.on_output(c->arg, stream, data, bytes);
}

static void
on_command_exit(void *arg, const struct child_exit *end)
{
    struct sandbox_command *c = arg;
    bool broken = end->status == 1 && !c->wrote
                  && c->first_bytes == sizeof(c->first)
                  && memcmp(c->first, BROKEN, sizeof(c->first)) == 0;

    loop_timer_stop(c->look);
    c->handlers.on_exit(c->arg, end,
                        c->over  ? SANDBOX_MEMORY
                        : broken ? SANDBOX_BROKEN
                                 : SANDBOX_ENDED);
}

static void
on_look(void *arg)
{
    struct sandbox_command *c = arg;
    struct sandbox_use use;

    sandbox_use_look(child_pid(c->child), &use);
    if (use.memory_bytes <= c->sandbox->memory_bytes)
        return;
    sandbox_use_look_closely(child_pid(c->child), &use);
    if (use.memory_bytes <= c->sandbox->memory_bytes)
        return;
    LOG(NOTICE, "sandbox", "event=killed why=memory processes=%u bytes=%llu",
        use.processes, (unsigned long long) use.memory_bytes);
    c->over = true;
    child_end(c->child, 0);
    loop_timer_stop(c->look);
}

static int
command_start(struct sandbox_command *c, const struct sandbox_order *order)
{
    static const struct child_handlers handlers = {on_command_output, NULL,
                                                   on_command_exit};
    const char *words[CHILD_ARGS_MAX + 1];
    struct child_config cfg;
    int filter_fd = -1;

    int err = config_make(c->sandbox, order->command, words, &filter_fd, &cfg);
    if (err != 0)
        return err;
    cfg.loop = order->loop;
    err = child_open(&c->child, &cfg, &handlers, c);
    close(filter_fd);
    return err;
}

int
sandbox_start(struct sandbox_command **cp, const struct sandbox *s,
              const struct sandbox_order *order,
              const struct sandbox_handlers *handlers, void *arg)
{
    struct sandbox_command *c = calloc(1, sizeof(*c));

    if (c == NULL)
        return UV_ENOMEM;
    c->sandbox = s;
    c->handlers = *handlers;
    c->arg = arg;
    int err = loop_timer_create(&c->look, order->loop, on_look, c);
    if (err == 0)
        err = command_start(c, order);
    if (err != 0) {
        sandbox_close(&c);
        return err;
    }
    loop_timer_start(c->look, SANDBOX_LOOK_MS, SANDBOX_LOOK_MS);
    *cp = c;
    return 0;
}

void
sandbox_close(struct sandbox_command **cp)
{
    struct sandbox_command *c = *cp;

    *cp = NULL;
    if (c == NULL)
        return;
    loop_timer_destroy(&c->look);
    child_close(&c->child);
    free(c);
}
