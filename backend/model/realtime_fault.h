/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Why an upstream could not be opened, in three languages: what the upstream
 * said, what is counted and logged, and what a client is told. A client never
 * hears of the gateway's own trouble with keys more than that there is some,
 * and never a text that holds a key. Pure but for ids; any thread; owns
 * nothing.
 */

#ifndef VOICE_REALTIME_FAULT_H
#define VOICE_REALTIME_FAULT_H

#include "codec/realtime_event.h"
#include "gate/ws_client.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * X(enum, result in metrics and logs), the less there is to hope for from
 * another try the earlier: of several upstreams' faults the last kind is told.
 */
#define REALTIME_FAULTS(X)                                                     \
    X(REALTIME_FAULT_NONE, "ok")                                               \
    X(REALTIME_FAULT_NOT_FOUND, "not_found")       /* model or call */         \
    X(REALTIME_FAULT_REFUSED, "refused")           /* error event, HTTP 4xx */ \
    X(REALTIME_FAULT_UNAUTHORIZED, "unauthorized") /* our key */               \
    X(REALTIME_FAULT_UNAVAILABLE, "unavailable") /* network, TLS, HTTP 5xx */  \
    X(REALTIME_FAULT_TIMEOUT, "timeout")                                       \
    X(REALTIME_FAULT_BUSY, "busy") /* HTTP 429, max_connections */

enum realtime_fault_kind {
#define X(id, text) id,
    REALTIME_FAULTS(X)
#undef X
        REALTIME_FAULT_COUNT
};

struct realtime_fault {
    enum realtime_fault_kind kind;
    uint16_t close_code; /* for the client */
    char type[64];       /* of the error event */
    char code[64];
    char param[32]; /* "" null */
    char message[256];
    char close_reason[128];
};

/* How a connection that was to be opened ended. */
struct realtime_end {
    enum ws_client_fault fault;
    unsigned status;     /* HTTP; 0: none came */
    const char *refusal; /* body of that answer */
    uint16_t code;       /* of the WebSocket */
    const char *reason;
    bool call; /* it was to be attached to a call */
};

/* In a few words, for the log: never the peer's. */
const char *realtime_end_text(const struct realtime_end *end);

/* A connection that ended before the model's first event. */
void realtime_fault_of_end(struct realtime_fault *fault,
                           const struct realtime_end *end);
/* The model's first event was this `error`; its close code may follow
 * (realtime_fault_closed). */
void realtime_fault_of_event(struct realtime_fault *fault, const char *json,
                             size_t bytes);
void realtime_fault_closed(struct realtime_fault *fault, uint16_t code,
                           const char *reason);
/* The model's first event did not come; all its connections are in use. */
void realtime_fault_of_silence(struct realtime_fault *fault);
void realtime_fault_of_limit(struct realtime_fault *fault);

/* Its texts hold something that is nobody's business: ours stand instead. */
void realtime_fault_blank(struct realtime_fault *fault);

/* Whether the upstream itself is to be left alone for a while: not for what
 * one client asked for. */
bool realtime_fault_is_upstreams(const struct realtime_fault *fault);

/* Keeps in *best the one with more hope. */
void realtime_fault_keep(struct realtime_fault *best,
                         const struct realtime_fault *fault);

/* The error event, with a NUL; its length. */
size_t realtime_fault_write(const struct realtime_fault *fault,
                            char out[REALTIME_ERROR_BYTES]);

const char *realtime_fault_name(enum realtime_fault_kind kind);

#endif
