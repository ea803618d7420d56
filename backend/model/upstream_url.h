/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Addresses of a Realtime server, made from the one of the configuration.
 * Pure, any thread; owns nothing.
 */

#ifndef VOICE_UPSTREAM_URL_H
#define VOICE_UPSTREAM_URL_H

#include <stdbool.h>
#include <stddef.h>

/* What a WebSocket is opened for: call_id, else intent, else model. */
struct upstream_target {
    const char *model;
    const char *call_id; /* NULL: none */
    const char *intent;  /* "transcription"; NULL: a conversation */
};

/* ws or wss with a host, without user, fragment, spaces and controls. */
bool upstream_url_is_sound(const char *url);

/* Its "host[:port]"; malloc'ed, given; NULL: no memory. */
char *upstream_url_host(const char *url);

/*
 * Where a WebSocket goes. `{model}` is replaced by the model's name, percent-
 * encoded; when the query names no model, `model=` is added. For a call or an
 * intent `call_id=` or `intent=` stands in that parameter's place. malloc'ed,
 * given; NULL: no memory, or longer than any server takes.
 */
char *upstream_url_open(const char *url, const struct upstream_target *target);

/*
 * Where an HTTP request goes: http for ws and https for wss, `tail` behind
 * the path, the query without the model. As upstream_url_open.
 */
char *upstream_url_http(const char *url, const char *tail);

#endif
