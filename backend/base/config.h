/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * voiced.conf: one table of keys is the parser, the bounds, the defaults, the
 * printed configuration, the example file and the reference page. libConfuse
 * reads the file; this is the only module that includes it. A configuration
 * owns its texts and is never changed once read; modules are given values out
 * of it. Reading is for one thread at a time (start-up). Refuses a key that
 * is unknown, given twice or out of bounds, with `file:line: message`.
 */

#ifndef VOICE_CONFIG_H
#define VOICE_CONFIG_H

#include "base/log.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum auth_mode {
    AUTH_KEYS,  /* a gateway key in every request */
    AUTH_NGINX, /* NGINX decided; VOICE_TENANT says who */
    AUTH_NONE   /* everybody */
};

struct config_list {
    char **items;
    size_t count;
};

struct server_config {
    char *pid_file; /* "" none; the supervisor writes it */
    char *control;  /* control socket's path, "" none */
    uint64_t loops; /* never 0 once read */
    uint64_t loop_rest_us;
    uint64_t request_threads;
    uint64_t max_sessions;
    uint64_t max_parked;
    uint64_t max_message_bytes; /* one message of a client */
    uint64_t max_body_bytes;    /* one request body */
    uint64_t read_timeout_ms;   /* a half-sent request */
    uint64_t memory_bytes;      /* messages being assembled, process-wide */

    struct {
        char *unix_path;   /* "" none */
        uint64_t mode;     /* of the unix socket */
        char *tcp;         /* "host:port", "" none */
        char *secret_file; /* demanded with tcp */
        char *secret;      /* its first line, NULL when there is none */
        uint64_t backlog;
    } listen;
    struct {
        uint64_t level;  /* enum log_level */
        uint64_t format; /* enum log_format */
        uint64_t target; /* enum log_target */
        char *path;
    } log;
    struct {
        uint64_t mode; /* enum auth_mode */
        char *keys_file;
        struct config_list cors_origins; /* "https://host[:port]" or "*" */
    } auth;
    struct {
        char *plugin; /* "" : beside the program, then the installed place */
        uint64_t threads;
        uint64_t max_jobs;
        uint64_t max_session_ms;
    } offline;
    struct {
        bool echo; /* every session sends back what it gets */
    } bench;
};

/* Room for one message of config_read. */
#define CONFIG_ERROR_BYTES 512

/*
 * Reads a file (NULL: defaults alone) and the secret file it names. 0 and
 * *cfgp is given; or UV_EINVAL / UV_ENOENT / UV_ENOMEM and `error` holds
 * "file:line: message".
 */
int config_read(struct server_config **cfgp, const char *path,
                char error[CONFIG_ERROR_BYTES]);
void config_free(struct server_config **cfgp);

/* The effective values in the file's own syntax; never a secret. */
void config_print(const struct server_config *cfg, FILE *out);

/* The example file: every key with its default, commented out. */
void config_print_example(FILE *out);

/* The reference page, Markdown. */
void config_print_reference(FILE *out);

/* What the supervisor asks for: "unix MODE BACKLOG PATH", "tcp BACKLOG
 * HOST:PORT", "pid PATH", a line each. */
void config_print_listen(const struct server_config *cfg, FILE *out);

/* What log_open wants; borrows from cfg. */
struct log_config config_log(const struct server_config *cfg);

#endif
