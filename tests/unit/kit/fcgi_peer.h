/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The other end of a FastCGI connection, by hand: writes requests and STDIN in
 * any slices, collects the records that come back. Blocking, one thread; a
 * read that takes five seconds fails the test. Everything fails through
 * cmocka.
 */

#ifndef VOICE_KIT_FCGI_PEER_H
#define VOICE_KIT_FCGI_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fcgi_bytes {
    uint8_t *data;
    size_t bytes, capacity;
};

void fcgi_put(struct fcgi_bytes *to, const void *data, size_t bytes);
void fcgi_free(struct fcgi_bytes *b);

/* A record of request id 1 with its padding. */
void fcgi_put_record(struct fcgi_bytes *to, unsigned type, const void *content,
                     size_t bytes);
/* BEGIN_REQUEST, PARAMS (name, value, …, NULL), empty PARAMS. */
void fcgi_put_request(struct fcgi_bytes *to, bool keep,
                      const char *const *params);

/* Writes all in slices of `step` bytes (0: at once). */
void fcgi_write(int fd, const struct fcgi_bytes *b, size_t step);

/*
 * Reads records until END_REQUEST, or until STDOUT holds at least `enough`
 * bytes (0: never enough). Appends STDOUT to `out`. true: END_REQUEST came.
 */
bool fcgi_read(int fd, struct fcgi_bytes *out, size_t enough);

/* Whether the peer closes within five seconds; throws away what comes. */
bool fcgi_is_closed(int fd);

/* A listening unix socket in a fresh directory. */
int fcgi_listen(char path[108]);
int fcgi_connect(const char *path);
void fcgi_unlink(const char *path);

/* Waits up to five seconds. */
bool fcgi_eventually(bool (*holds)(void *arg), void *arg);

#endif
