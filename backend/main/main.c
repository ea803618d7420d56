/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Program voiced-server: one generation of the server, started by voiced with
 * the listening sockets. Answers questions about the configuration too. The
 * main thread does nothing but wait for signals: all are blocked before the
 * first thread starts, so that no call of any library is interrupted and none
 * takes a signal for itself.
 */

#include "config.h"
#include "base/config.h"
#include "base/config_print.h"
#include "base/log.h"
#include "main/server.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#define STOP_SESSIONS_MS 6000 /* of the 10 s that the supervisor gives */
#define IDLE_LOOK_MS     100
#define DEFAULT_CONFIG   "/etc/ngx-voice/voiced.conf"

static const char usage[] =
    "usage: voiced [-c FILE] [what]\n"
    "  -c FILE             the configuration; /etc/ngx-voice/voiced.conf when\n"
    "                      it is there, else the defaults\n"
    "  -t                  check the configuration and say so\n"
    "  --print-config      print the configuration in effect\n"
    "  --example-config    print an example file\n"
    "  --config-reference  print every key as a Markdown table\n"
    "  --print-listen      print what the supervisor must open\n"
    "  --version\n";

enum what {
    WHAT_SERVE,
    WHAT_CHECK,
    WHAT_PRINT,
    WHAT_LISTEN,
    WHAT_EXAMPLE,
    WHAT_REFERENCE,
    WHAT_VERSION,
    WHAT_HELP
};

struct arguments {
    enum what what;
    const char *config; /* NULL: defaults */
};

static int
arguments_read(struct arguments *args, int argc, char **argv)
{
    static const struct {
        const char *word;
        enum what what;
    } words[] = {
        {"-t", WHAT_CHECK},
        {"--print-config", WHAT_PRINT},
        {"--print-listen", WHAT_LISTEN},
        {"--example-config", WHAT_EXAMPLE},
        {"--config-reference", WHAT_REFERENCE},
        {"--version", WHAT_VERSION},
        {"--help", WHAT_HELP},
        {"-h", WHAT_HELP},
    };
    size_t count = sizeof(words) / sizeof(words[0]);

    if (access(DEFAULT_CONFIG, F_OK) == 0)
        args->config = DEFAULT_CONFIG;
    for (int i = 1; i < argc; i++) {
        size_t w = 0;
        if (strcmp(argv[i], "-c") == 0 && i + 1 < argc) {
            args->config = argv[++i];
            continue;
        }
        while (w < count && strcmp(argv[i], words[w].word) != 0)
            w++;
        if (w == count) {
            fprintf(stderr, "voiced: unknown argument %s\n%s", argv[i], usage);
            return UV_EINVAL;
        }
        args->what = words[w].what;
    }
    return 0;
}

/* --- serving */

static void
signals_block(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGQUIT);
    sigaddset(set, SIGHUP);
    sigaddset(set, SIGUSR1);
    sigaddset(set, SIGUSR2);
    sigaddset(set, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, set, NULL);
    sigdelset(set, SIGPIPE); /* blocked for good, never waited for */
}

/* A session is a descriptor: the soft limit of 1024 is for select(2). */
static void
descriptors_raise(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static unsigned
number_take(const char *name, unsigned otherwise)
{
    const char *text = getenv(name);
    unsigned value = text ? (unsigned) strtoul(text, NULL, 10) : otherwise;
    unsetenv(name);
    return value;
}

/* The descriptors that the supervisor left open for us. */
static int
listen_take(struct server_start *start)
{
    const char *text = getenv("VOICED_LISTEN_FDS");
    char *end;

    while (text && *text && start->listen_count < SERVER_LISTEN_MAX) {
        long fd = strtol(text, &end, 10);
        if (end == text || fcntl((int) fd, F_SETFD, FD_CLOEXEC) != 0)
            return UV_EBADF;
        start->listen_fds[start->listen_count++] = (int) fd;
        text = *end == ',' ? end + 1 : end;
    }
    unsetenv("VOICED_LISTEN_FDS");
    if (start->listen_count)
        return 0;
    fprintf(stderr, "voiced-server is started by voiced, which opens its "
                    "listening sockets\n");
    return UV_EINVAL;
}

static void
ready_tell(unsigned fd)
{
    if (fd == 0)
        return;
    if (write((int) fd, "R", 1) != 1)
        LOG(ERROR, "server", "the supervisor does not listen: %s",
            strerror(errno));
    close((int) fd);
}

static void
log_reopen(const struct server_config *config)
{
    struct log_config log = config_log(config);
    int result = log_open(&log);
    if (result)
        LOG(ERROR, "server", "log error=\"%s\"", uv_strerror(result));
    else
        LOG(NOTICE, "server", "log=reopened");
}

/* Until it is time to go. */
static void
signals_serve(struct server *server, const struct server_config *config,
              const sigset_t *set)
{
    const struct timespec look = {.tv_nsec = IDLE_LOOK_MS * 1000000L};
    bool draining = false;

    for (;;) {
        int number =
            draining ? sigtimedwait(set, NULL, &look) : sigwaitinfo(set, NULL);
        if (number == SIGTERM || number == SIGINT)
            break;
        if (number == SIGUSR1)
            log_reopen(config);
        if (number == SIGQUIT) {
            server_drain(server);
            draining = true;
        }
        if (draining && server_is_idle(server))
            break;
    }
}

static void
on_warning_log(void *arg, const char *text)
{
    (void) arg;
    LOG(WARN, "config", "warning=\"%s\"", text);
}

static void
on_warning_print(void *arg, const char *text)
{
    (void) arg;
    fprintf(stderr, "voiced: warning: %s\n", text);
}

static int
serve(const struct server_config *config)
{
    struct server_start start = {.config = config};
    struct log_config log = config_log(config);
    struct server *server = NULL;
    sigset_t set;

    int result = listen_take(&start);
    if (result)
        return 64;
    unsigned ready_fd = number_take("VOICED_READY_FD", 0);
    start.generation = number_take("VOICED_GENERATION", 1);
    if (ready_fd)
        fcntl((int) ready_fd, F_SETFD, FD_CLOEXEC);
    signals_block(&set);
    descriptors_raise();
    config_forget_environment(config);
    result = log_open(&log);
    if (result) {
        fprintf(stderr, "voiced: log: %s\n", uv_strerror(result));
        return 73;
    }
    config_warn(config, on_warning_log, NULL);
    result = server_create(&server, &start);
    if (!result) {
        ready_tell(ready_fd);
        signals_serve(server, config, &set);
        server_end_sessions(server, STOP_SESSIONS_MS);
        server_destroy(&server);
        LOG(NOTICE, "server", "state=ended generation=%u", start.generation);
    }
    log_close();
    return result ? 69 : 0;
}

/* --- questions */

static int
answer(enum what what, const struct server_config *config, const char *path)
{
    switch (what) {
    case WHAT_CHECK:
        config_warn(config, on_warning_print, NULL);
        printf("voiced: configuration %s is valid\n", path ? path : "(none)");
        break;
    case WHAT_PRINT:
        config_print(config, stdout);
        break;
    case WHAT_LISTEN:
        config_print_listen(config, stdout);
        break;
    default:
        return serve(config);
    }
    return 0;
}

int
main(int argc, char **argv)
{
    struct arguments args = {.what = WHAT_SERVE};
    struct server_config *config = NULL;
    char error[CONFIG_ERROR_BYTES];

    if (arguments_read(&args, argc, argv) != 0)
        return 2;
    switch (args.what) {
    case WHAT_VERSION:
        puts("voiced " VOICE_VERSION);
        return 0;
    case WHAT_HELP:
        fputs(usage, stdout);
        return 0;
    case WHAT_EXAMPLE:
        config_print_example(stdout);
        return 0;
    case WHAT_REFERENCE:
        config_print_reference(stdout);
        return 0;
    default:
        break;
    }
    if ((args.what == WHAT_PRINT
             ? config_read_keyless(&config, args.config, error)
             : config_read(&config, args.config, error))
        != 0) {
        fprintf(stderr, "voiced: %s\n", error);
        return 78;
    }
    int status = answer(args.what, config, args.config);
    config_free(&config);
    return status;
}
