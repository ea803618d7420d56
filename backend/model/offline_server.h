/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * One session of the offline model: takes the client's events, checks them
 * against a table, and joins turn, conversation, ears and responses. Owns all
 * of them. Runs on the session's loop. Never fails a session for what a client
 * sends: a bad event is answered with an `error` event.
 *
 *   event ─► table ─► settings | turn | conversation | response ─► sink
 *                                └─ committed ─► hearing ─► response
 */

#ifndef VOICE_OFFLINE_SERVER_H
#define VOICE_OFFLINE_SERVER_H

#include "gate/speech.h"
#include "model/offline_event.h"

#include <stdbool.h>
#include <stdint.h>

struct offline_server;

struct offline_server_config {
    struct offline_sink sink; /* never called inside create */
    struct loop *loop;
    struct speech *speech;  /* shared; may be NULL */
    const char *session_id; /* copied */
    const char *model;      /* copied */
    int64_t expires_at_s;
    bool transcription;
    unsigned audio_pace;
    size_t max_append_bytes, max_input_bytes;
    size_t max_conversation_bytes, max_items;
};

int offline_server_create(struct offline_server **sp,
                          const struct offline_server_config *cfg);
/* Stops every job; no event follows. */
void offline_server_destroy(struct offline_server **sp);

/* Emits session.created. */
void offline_server_greet(struct offline_server *s);

/* One client event, borrowed; answers go to the sink inside the call. */
void offline_server_take(struct offline_server *s, const char *text,
                         size_t bytes);

/* No deltas until resumed. */
void offline_server_pause(struct offline_server *s, bool paused);

#endif
