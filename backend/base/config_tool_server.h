/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * One `tool_server NAME { … }` of voiced.conf: a server elsewhere whose tools
 * are offered here. It is one of three kinds: an MCP server reached over HTTP
 * (`mcp`), one started as a child (`command`), or an HTTP tool server
 * (`http`). Made with the table's defaults, checked as a whole, its key and the
 * variables it passes on read out of the environment. The struct owns its
 * texts; freed secrets are wiped. Any thread. Never puts a secret into a text
 * for people.
 */

#ifndef VOICE_CONFIG_TOOL_SERVER_H
#define VOICE_CONFIG_TOOL_SERVER_H

#include "base/config_check.h"

#include <stdbool.h>
#include <stdint.h>

#define CONFIG_TOOL_SERVER_MAX        16
#define CONFIG_TOOL_SERVER_NAME_BYTES 24 /* part of its tools' names */

struct config_tool_server {
    char *name;                     /* [A-Za-z0-9_-] */
    char *mcp;                      /* http(s) address of an MCP server, "" */
    struct config_list command;     /* program and arguments, or none */
    char *http;                     /* http(s) base of HTTP tools, "" */
    char *directory;                /* of the child, "" ours */
    struct config_list environment; /* of the child: "NAME=value"; a NAME alone
                                       is one of ours, until it is read */
    char *key_env;                  /* Authorization: Bearer; "" none */
    char *key_file;                 /* or its first line; "" none */
    char *key;                      /* read from either; NULL none */
    char *ca_file;                  /* "": system's */
    char *proxy;                    /* "" none */
    struct config_list headers;     /* "Name: value" with every request */
    struct config_list tools;       /* the server's names; none: all */
    bool trusted;                   /* what it says of its tools counts */
    uint64_t timeout_ms;            /* one call of a tool */
    uint64_t connect_timeout_ms;    /* until its tools are known */
    uint64_t ttl_ms;                /* a result is kept; 0 never */
    uint64_t max_answer_bytes;      /* one message of it */
};

/* 0, UV_EINVAL (the name), UV_ENOMEM. What was made is to be deinited. */
int config_tool_server_init(struct config_tool_server *ts, const char *name);
void config_tool_server_deinit(struct config_tool_server *ts);

/* All but secrets. 0; or UV_EINVAL with the row at fault ("" none) and why. */
int config_tool_server_check(const struct config_tool_server *ts,
                             const char **row, char why[CONFIG_WHY_BYTES]);

/* Reads ts->key, and the values of variables that are passed on; as above, or
 * UV_ENOMEM. */
int config_tool_server_read_secrets(struct config_tool_server *ts,
                                    const char **row,
                                    char why[CONFIG_WHY_BYTES]);

/* Wipes what was read out of the process's environment. */
void config_tool_server_forget(const struct config_tool_server *ts);

#endif
