/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What the history learns from the model's events. Defines the history
 * itself, which session_history.c owns. Private to the history.
 */

#ifndef VOICE_SESSION_HISTORY_WATCH_H
#define VOICE_SESSION_HISTORY_WATCH_H

#include "codec/realtime_event.h"
#include "session/session_history_items.h"
#include "session/session_history_owed.h"
#include "session/session_history_response.h"
#include "session/session_history_settings.h"
#include "session/session_microphone.h"

struct session_history {
    struct history_items items;
    struct history_owed_list owed;
    struct history_responses responses;
    struct history_settings settings;
    struct session_microphone microphone;
    unsigned beside_sent; /* response.create out of band, without answer */
    unsigned refused;
    bool speech;     /* from speech_started to the turn's commit */
    bool turn_waits; /* a turn was taken that makes a response by itself */
    char turn_id[SESSION_MICROPHONE_ID]; /* the last turn taken */
};

/* False: it answers a replay. */
bool history_watch_down(struct session_history *h, enum realtime_type type,
                        const char *json, size_t bytes);

#endif
