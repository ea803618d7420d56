/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The Realtime servers of the configuration by name: where they are, what
 * their requests say, how many connections go there and whether they answer.
 * Process-wide; every function may be called from any thread. Borrows the
 * configuration for life. A key is in the configuration and in the lists of
 * headers made here, and nowhere else: not in a URL, not in a log line.
 */

#ifndef VOICE_UPSTREAM_H
#define VOICE_UPSTREAM_H

#include "base/config.h"
#include "model/upstream_url.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UPSTREAM_MAX            16 /* of one configuration */
#define UPSTREAM_NAME_BYTES     64
#define UPSTREAM_BACKOFF_MS     1000 /* after a first failure, doubling */
#define UPSTREAM_BACKOFF_MAX_MS 30000
#define UPSTREAM_SAFETY_ID_MAX  256

struct upstream;
struct upstream_set;

/* Some of a set, in the order they are to be tried. */
struct upstream_order {
    struct upstream *items[UPSTREAM_MAX];
    size_t count;
};

/* Makes the set. 0; UV_EINVAL: a name or URL that can't be used (logged),
 * UV_E2BIG: too many, UV_ENOMEM. */
int upstream_set_create(struct upstream_set **sp,
                        const struct config_upstream *list, size_t count);
/* When nothing of it is used any more. */
void upstream_set_destroy(struct upstream_set **sp);

/* NULL: there is none of that name. */
struct upstream *upstream_find(struct upstream_set *set, const char *name);
/* The configuration's i-th, in its order; NULL behind the last. */
struct upstream *upstream_at(struct upstream_set *set, size_t i);

/*
 * Those with these names (count 0: all, as configured), with the ones that
 * failed of late behind the others. 0; UV_ENOENT: a name is not known.
 */
int upstream_order(struct upstream_set *set, const char *const *names,
                   size_t count, uint64_t now_ms, struct upstream_order *order);
/* Whether every name is known. */
bool upstream_knows(const struct upstream_set *set, const char *const *names,
                    size_t count);

const char *upstream_name(const struct upstream *u);
const char *upstream_host(const struct upstream *u); /* "host[:port]" */
const struct config_upstream *upstream_config(const struct upstream *u);

/* Where a WebSocket for this goes (upstream_url_open). malloc'ed, given; NULL:
 * no memory. */
char *upstream_url(const struct upstream *u,
                   const struct upstream_target *target);

/*
 * The URLs of its HTTP API, https for wss: calls_url of the configuration or
 * `…/realtime/calls`; `tail` is added behind it ("", "/rtc_x/hangup"). And
 * `…/realtime/client_secrets`. malloc'ed, given; NULL: no memory.
 */
char *upstream_calls_url(const struct upstream *u, const char *tail);
char *upstream_secrets_url(const struct upstream *u);

/*
 * What every request to it says, "Name: value", NULL behind the last: its
 * key, what is configured, and the end user's safety identifier (NULL: none).
 * 0 and *headers is given, to upstream_headers_free, which wipes it;
 * UV_EINVAL (safety_id can't stand in a header), UV_ENOMEM.
 */
int upstream_headers(const struct upstream *u, const char *safety_id,
                     char ***headers);
void upstream_headers_free(char ***headers);
/* Printable ASCII, 1 to UPSTREAM_SAFETY_ID_MAX bytes. */
bool upstream_safety_id_is_sound(const char *id);

/* Whether the text holds its key, plain or as a JSON string has it. */
bool upstream_key_is_in(const struct upstream *u, const char *text);
/* Puts asterisks in its place wherever it stands. */
void upstream_key_hide(const struct upstream *u, char *text);

/* One connection more (UV_EBUSY: max_connections are there), one less. */
int upstream_enter(struct upstream *u);
void upstream_leave(struct upstream *u);
/* Connections to all of them. */
size_t upstream_connections(struct upstream_set *set);

/* It answered as it should; it did not. A failed one is down for a while,
 * longer each time; true: it was not down before, which is worth a line in
 * the log. now_ms: clock_now_ms. */
void upstream_succeeded(struct upstream *u);
bool upstream_failed(struct upstream *u, uint64_t now_ms);
bool upstream_is_down(struct upstream *u, uint64_t now_ms);
/* How long after so many failures in a row (>= 1), with jitter. */
uint64_t upstream_backoff_ms(unsigned failures);

#endif
