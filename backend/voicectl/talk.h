/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * `voicectl talk`: one conversation with a gateway over WebSocket. Speaks a
 * WAV file or types lines, prints what was heard and answered, keeps the
 * answer's audio. Runs its own libuv loop to the end.
 *
 *   WAV, lines ─► events ─► ws_client ─► gateway
 *   stdout, WAV ◄─ events ◄─ ws_client ◄─┘
 */

#ifndef VOICE_VOICECTL_TALK_H
#define VOICE_VOICECTL_TALK_H

#include <stdbool.h>

struct talk_config {
    const char *url;
    const char *model;   /* appended as ?model= when the url names none */
    const char *ca_file; /* NULL: the system's */
    const char *key;     /* NULL: none */
    const char *wav;     /* speak this file, or */
    const char *text;    /* type this line; both NULL: lines of stdin */
    const char *out;     /* write the answer's audio here; NULL: don't */
    bool fast;           /* not in real time */
    bool json;
    unsigned timeout_s;
};

enum talk_exit {
    TALK_OK = 0,
    TALK_NOT_UNDERSTOOD = 1, /* nothing was heard */
    TALK_USAGE = 2,
    TALK_SILENT = 3, /* no answer, or one without sound */
    TALK_FAILED = 4  /* no connection, an error, a timeout */
};

enum talk_exit talk_run(const struct talk_config *cfg);

#endif
