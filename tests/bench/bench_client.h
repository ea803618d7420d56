/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What the load client was asked for, and its four modes. Each runs to its
 * end on the calling thread, prints one line of JSON a phase and returns an
 * exit status: 0 when the run could be made (what was lost is in its lines,
 * for the driver to judge), 1 when it could not.
 */

#ifndef BENCH_CLIENT_H
#define BENCH_CLIENT_H

#include "bench_loop.h"

#include <stddef.h>

struct bench_options {
    struct bench_target target;
    const char *path;
    const char *headers; /* whole lines, each with its CRLF, or "" */
    const char *body;    /* http: POST this; NULL: GET */
    unsigned vary;       /* http: numbers in the place of the body's '%'s */
    unsigned connections;
    unsigned parallel; /* handshakes at a time */
    double rate;       /* messages a second and connection; starts a second */
    size_t bytes;      /* payload of one */
    const char *ca;    /* start: TLS; NULL: plain */
    unsigned seed;     /* start: of the gaps */
    double seconds;    /* of load */
    double patience;   /* seconds to wait for handshakes and late echoes */
    const char *until; /* hold: "request", "header" or "answer" */
    bool again;        /* hold: ask again when answered */
    bool fastcgi;      /* hold: speak FastCGI, not HTTP */
    bool deflate;      /* echo: offer compression, send compressed JSON */
    bool first;        /* echo: the set-up ends with the first message */
    bool one_by_one;   /* echo: close each once it is set up */
    bool steps;
};

/* WebSocket connections that send numbered messages and check what returns. */
int bench_echo_run(const struct bench_options *options);

/* Connections that ask for `path` over and over, one request at a time. */
int bench_http_run(const struct bench_options *options);

/* WebSocket sessions that start at random times; how long each took until its
 * session.created. */
int bench_start_run(const struct bench_options *options);

/* Connections that ask once and stay: event streams, long polls, idle ones. */
int bench_hold_run(const struct bench_options *options);

#endif
