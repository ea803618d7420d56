/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The base64 of an audio delta as it stands in the event: a JSON string with
 * its quotes, in which a writer may have escaped what needs no escape ("\/" or
 * "\u002B"). Pure; owns a copy only where there was an escape.
 */

#ifndef VOICE_SESSION_VOICE_TEXT_H
#define VOICE_SESSION_VOICE_TEXT_H

#include "codec/realtime_event.h"

struct session_voice_text {
    const char *text; /* borrowed from the span, or `copy` */
    size_t chars;
    char *copy;
};

/* 0, then close it; UV_EINVAL: no string, or an escape that no base64 has;
 * UV_ENOMEM. */
int session_voice_text_open(struct session_voice_text *t,
                            struct realtime_span span);
void session_voice_text_close(struct session_voice_text *t);

#endif
