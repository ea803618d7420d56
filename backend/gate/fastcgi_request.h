/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * One FastCGI request at a time on one blocking connection, through libfcgi:
 * parameters, body, answer. The only module that includes <fcgiapp.h>. Owns
 * what belongs to the request; the descriptor is its caller's, but for the
 * one case that fastcgi_request_begin names. Used by one thread at a time.
 * Knows no threads, no epoll and no parking.
 */

#ifndef VOICE_FASTCGI_REQUEST_H
#define VOICE_FASTCGI_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

struct fastcgi_request;
struct gate_answer;

/* Once per process, before the first thread; again is harmless. Leaves the
 * signals as they were, but SIGPIPE ignored. 0 or UV_E*. */
int fastcgi_init(void);

int fastcgi_request_create(struct fastcgi_request **rp);
void fastcgi_request_destroy(struct fastcgi_request **rp);

/*
 * Reads BEGIN_REQUEST and PARAMS, blocking (SO_RCVTIMEO bounds it). 0; or
 * UV_EPROTO: end of file, time out or nonsense, and fd is closed already.
 */
int fastcgi_request_begin(struct fastcgi_request *r, int fd);

const char *fastcgi_request_param(struct fastcgi_request *r, const char *name);
/* VOICE_REQUEST_ID or REQUEST_ID when fit for a header, else made here. */
const char *fastcgi_request_id(struct fastcgi_request *r);
bool fastcgi_request_is_responder(const struct fastcgi_request *r);
bool fastcgi_request_is_stream(const struct fastcgi_request *r);
/* FCGI_KEEP_CONN, and no stream, which has no end that could be told. */
bool fastcgi_request_is_kept(const struct fastcgi_request *r);
void *fastcgi_request_local(struct fastcgi_request *r);

/* As gate_add_header, gate_body. */
int fastcgi_request_add_header(struct fastcgi_request *r, const char *name,
                               const char *value);
int fastcgi_request_body(struct fastcgi_request *r, size_t max_bytes,
                         const char **body, size_t *bytes);

/* Writes the whole answer and ends the request: true when the connection may
 * serve another one. */
bool fastcgi_request_answer(struct fastcgi_request *r,
                            const struct gate_answer *answer);

/* Writes `head` behind the headers added and flushes; the request is over for
 * libfcgi and its connection carries nothing unread. 0 or UV_EPIPE. */
int fastcgi_request_take(struct fastcgi_request *r, const char *head);

/* Ends it without a byte. */
void fastcgi_request_abandon(struct fastcgi_request *r);

#endif
