/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * One `upstream NAME { … }` of voiced.conf: made with the table's defaults,
 * checked as a whole, its key read out of the environment or a file. The
 * struct owns its texts; a freed key is wiped. Pure but for reading the key;
 * any thread. Never puts a key into a text for people.
 */

#ifndef VOICE_CONFIG_UPSTREAM_H
#define VOICE_CONFIG_UPSTREAM_H

#include "base/config_check.h"

#include <stddef.h>
#include <stdint.h>

#define CONFIG_UPSTREAM_MAX 16

/* How an upstream is told the key. */
enum upstream_auth { UPSTREAM_BEARER, UPSTREAM_API_KEY };

/* One `upstream NAME { … }`: a Realtime server and its key. */
struct config_upstream {
    char *name;
    char *url;        /* wss://host[:port]/path[?query]; see config reference */
    char *calls_url;  /* https://…/realtime/calls; "": made from url */
    char *key_env;    /* environment variable that holds the key, "" none */
    char *key_file;   /* file whose first line is the key, "" none */
    char *key;        /* read from either; never printed, never logged */
    char *ca_file;    /* PEM of who may sign its certificate; "": system's */
    char *proxy;      /* http://[user:password@]host:port, "" none */
    uint64_t auth;    /* enum upstream_auth */
    uint64_t dialect; /* enum dialect_kind, same order */
    struct config_list headers;  /* "Name: value", sent with every request */
    uint64_t connect_timeout_ms; /* connect, handshake, session.created */
    uint64_t read_timeout_ms;    /* silence, pongs included: it is dead */
    uint64_t ping_interval_ms;   /* 0 never */
    uint64_t max_connections;    /* WebSockets at once; 0 no limit */
    uint64_t max_session_ms;     /* its own cap on a session; 0 none */
};

/* What is allowed and unwise, a text for people a call. */
typedef void config_warning_h(void *arg, const char *text);

/* 0, UV_EINVAL (the name), UV_ENOMEM. What was made is to be deinited. */
int config_upstream_init(struct config_upstream *up, const char *name);
void config_upstream_deinit(struct config_upstream *up);

/* All but the key. 0; or UV_EINVAL with the row at fault ("" none) and why,
 * for people; or UV_ENOMEM. */
int config_upstream_check(const struct config_upstream *up, const char **row,
                          char why[CONFIG_WHY_BYTES]);

/* Reads up->key; as above. */
int config_upstream_read_key(struct config_upstream *up, const char **row,
                             char why[CONFIG_WHY_BYTES]);

/* What is allowed and unwise: 0 … 2 calls. */
void config_upstream_warn(const struct config_upstream *up,
                          config_warning_h *handler, void *arg);

#endif
