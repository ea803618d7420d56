/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Events of the Realtime API (GA) as JSON text: a peek that checks the whole
 * text against RFC 8259 in one pass, without a tree and without a copy, and
 * builders for the few events the gateway makes itself. Pure, any thread, owns
 * nothing; spans point into the caller's text. Servers differ on which of two
 * equal keys wins, so a text that two parsers could read differently is
 * refused: no known key twice at the top, no escape in a top-level key or in
 * the type. Looks into no value but `type`; nested duplicates are the affair
 * of whoever parses the value.
 */

#ifndef VOICE_REALTIME_EVENT_H
#define VOICE_REALTIME_EVENT_H

#include "codec/realtime_types.h"

#include <stdbool.h>
#include <stddef.h>

#define REALTIME_ID_MAX      256  /* bytes of a client's event_id, as JSON */
#define REALTIME_ERROR_BYTES 2048 /* room for any error event */

/* Top-level keys that are found by the peek and may not come twice. */
#define REALTIME_KEYS(X)                                                       \
    X(REALTIME_KEY_TYPE, "type")                                               \
    X(REALTIME_KEY_EVENT_ID, "event_id")                                       \
    X(REALTIME_KEY_AUDIO, "audio")                                             \
    X(REALTIME_KEY_SESSION, "session")                                         \
    X(REALTIME_KEY_RESPONSE, "response")                                       \
    X(REALTIME_KEY_RESPONSE_ID, "response_id")                                 \
    X(REALTIME_KEY_ITEM, "item")                                               \
    X(REALTIME_KEY_ITEM_ID, "item_id")                                         \
    X(REALTIME_KEY_PREVIOUS_ITEM_ID, "previous_item_id")                       \
    X(REALTIME_KEY_CONTENT_INDEX, "content_index")                             \
    X(REALTIME_KEY_AUDIO_END_MS, "audio_end_ms")                               \
    X(REALTIME_KEY_DELTA, "delta")                                             \
    X(REALTIME_KEY_ERROR, "error")

enum realtime_key {
#define X(id, text) id,
    REALTIME_KEYS(X)
#undef X
        REALTIME_KEY_COUNT
};

/* X(enum, what the client is told) */
#define REALTIME_DEFECTS(X)                                                    \
    X(REALTIME_SOUND, "")                                                      \
    X(REALTIME_NOT_JSON, "The event is not valid JSON.")                       \
    X(REALTIME_TOO_DEEP, "The event is nested too deeply.")                    \
    X(REALTIME_NOT_OBJECT, "The event is not a JSON object.")                  \
    X(REALTIME_TYPE_MISSING, "The event has no 'type'.")                       \
    X(REALTIME_TYPE_INVALID, "The event's 'type' is not a plain string.")      \
    X(REALTIME_KEY_ESCAPED, "A top-level key of the event has an escape.")     \
    X(REALTIME_KEY_TWICE, "A top-level key of the event comes twice.")

enum realtime_defect {
#define X(id, text) id,
    REALTIME_DEFECTS(X)
#undef X
        REALTIME_DEFECT_COUNT
};

/* A part of the peeked text; text is NULL when there is none. */
struct realtime_span {
    const char *text;
    size_t bytes;
};

struct realtime_peek {
    enum realtime_type type;
    bool known_keys;           /* no top-level key but those of REALTIME_KEYS */
    struct realtime_span name; /* of the type, without quotes */
    struct realtime_span value[REALTIME_KEY_COUNT]; /* raw JSON, with quotes */
};

struct realtime_error {
    const char *type;              /* NULL: "invalid_request_error" */
    const char *code;              /* NULL: null */
    const char *message;           /* plain text; a long one is cut */
    const char *param;             /* NULL: null */
    struct realtime_span event_id; /* the client's, as JSON; none: null */
};

/*
 * Checks all of the text and finds type and known keys. When it is not
 * REALTIME_SOUND, event_id still stands if it was found before the defect, and
 * nothing else means anything.
 */
enum realtime_defect realtime_peek(const char *text, size_t bytes,
                                   struct realtime_peek *peek);

/* The type of an event of the model, read no further than its `type`; for
 * observers, never for deciding what a client may do. */
enum realtime_type realtime_type_of(const char *text, size_t bytes);

const char *realtime_type_name(enum realtime_type type); /* "" for OTHER */
const char *realtime_defect_text(enum realtime_defect defect);

/* Whether the span is the JSON string of this plain text (no escapes). */
bool realtime_span_equals(struct realtime_span span, const char *plain);

/* Writes an error event with this event_id of ours and a NUL; its length. */
size_t realtime_error_write(char out[REALTIME_ERROR_BYTES],
                            const char *event_id,
                            const struct realtime_error *error);

/* A session.created with this session; malloc'ed, given, NULL: no memory. */
char *realtime_created_build(const char *event_id, struct realtime_span session,
                             size_t *bytes);

#endif
