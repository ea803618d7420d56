/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * voiced.conf: one table of keys is the parser, the bounds, the defaults, the
 * printed configuration, the example file and the reference page (see
 * config_print). libConfuse reads the file; this is the only module that
 * includes it. A configuration
 * owns its texts and is never changed once read; modules are given values out
 * of it. Reading is for one thread at a time (start-up). Refuses a key that
 * is unknown, given twice or out of bounds, with `file:line: message`.
 */

#ifndef VOICE_CONFIG_H
#define VOICE_CONFIG_H

#include "base/config_agents.h"
#include "base/config_tool_server.h"
#include "base/config_upstream.h"
#include "base/log.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum auth_mode {
    AUTH_KEYS,  /* a gateway key in every request */
    AUTH_NGINX, /* NGINX decided; VOICE_TENANT says who */
    AUTH_NONE   /* everybody */
};

struct server_config {
    char *pid_file; /* "" none; the supervisor writes it */
    char *control;  /* control socket's path, "" none */
    uint64_t loops; /* never 0 once read */
    uint64_t loop_rest_us;
    uint64_t complexity_cut; /* steps at most */
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
    struct config_upstream *upstreams; /* in the file's order; owns */
    size_t upstream_count;
    struct config_tool_server *tool_servers; /* in the file's order; owns */
    size_t tool_server_count;
    struct {
        char *upstream;     /* which one; "" the first */
        char *model;        /* warmed from the start; "" learned alone */
        uint64_t links;     /* open sessions kept a model, 0 none */
        uint64_t secrets;   /* minted upstream secrets kept a model */
        uint64_t ttl_ms;    /* a warm thing is not used beyond it */
        uint64_t refill_ms; /* how often the pool is looked after */
        uint64_t max;       /* warm links in all */
    } warm;
    struct {
        uint64_t keepalive; /* idle connections kept */
        uint64_t max;       /* connections at once */
        uint64_t idle_ms;
        uint64_t connect_ms;
        uint64_t read_ms;
        uint64_t write_ms;
        uint64_t pool_wait_ms; /* for a free connection */
    } http;
    struct {
        char *root;       /* of file tools, "" none: there are none */
        uint64_t threads; /* that file tools run on */
        uint64_t max_running, max_waiting;
        uint64_t cache_entries, cache_bytes; /* 0 entries: nothing is kept */
        uint64_t file_ttl_ms; /* results of read_file, glob and grep */
        bool web, bash;
        struct config_list web_allow; /* ranges of addresses, not public */
        uint64_t web_ttl_ms, web_timeout_ms;
        uint64_t bash_memory_bytes; /* of a command's processes */
        uint64_t bash_processes;
        uint64_t bash_timeout_ms; /* the most that a call may ask for */
    } tools;
    struct config_agents agents; /* the rest of section tools */
    struct {
        char *sqlite; /* path of the database, "" none: nothing is kept */
    } store;
    struct {
        uint64_t sessions;   /* at once, a tenant; 0 no limit, as below */
        uint64_t session_ms; /* length of a session */
        uint64_t idle_ms;    /* without a message of the client or a turn */
        uint64_t requests;   /* HTTP requests and sessions a minute */
        uint64_t tokens;     /* of the model a day (UTC) */
    } limits;
    uint64_t resume_grace_ms; /* a dropped client may come back within */
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

/* The same for a program that serves nobody: keys of upstreams and of tool
 * servers stay unread. */
int config_read_keyless(struct server_config **cfgp, const char *path,
                        char error[CONFIG_ERROR_BYTES]);
void config_free(struct server_config **cfgp);

/* What is allowed and unwise: a call of the handler each. */
void config_warn(const struct server_config *cfg, config_warning_h *handler,
                 void *arg);

/* Wipes those keys out of the process's environment, where programs
 * started by it and /proc would see them. Before threads are started. */
void config_forget_environment(const struct server_config *cfg);

/* What log_open wants; borrows from cfg. */
struct log_config config_log(const struct server_config *cfg);

#endif
