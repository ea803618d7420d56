/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   text ─► member ─► member ─► … ─► '}' ─► end of text
 *             │ key: plain string, looked up
 *             └ value: string, number, literal, or a nest of them, skipped
 */

#include "codec/realtime_event.h"

#include "codec/json_scan.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct member {
    struct realtime_span key; /* without quotes */
    bool key_escaped;
    struct realtime_span value; /* raw */
    bool value_escaped;         /* of a string value */
};

struct known {
    const char *text;
    uint8_t bytes;
};

static const struct known types[REALTIME_TYPE_COUNT] = {
#define X(id, text) [id] = {text, sizeof(text) - 1},
    REALTIME_CLIENT_TYPES(X) REALTIME_SERVER_TYPES(X)
#undef X
};

static const struct known keys[REALTIME_KEY_COUNT] = {
#define X(id, text) [id] = {text, sizeof(text) - 1},
    REALTIME_KEYS(X)
#undef X
};

static const char *const defects[REALTIME_DEFECT_COUNT] = {
#define X(id, text) [id] = text,
    REALTIME_DEFECTS(X)
#undef X
};

/* Index of the text, or `count`. */
static unsigned
known_find(const struct known *table, unsigned count, struct realtime_span text)
{
    for (unsigned i = 0; i < count; i++)
        if (table[i].bytes == text.bytes && table[i].text
            && memcmp(table[i].text, text.text, text.bytes) == 0)
            return i;
    return count;
}

static enum realtime_defect
value_read(struct json_scan *s, bool *escaped)
{
    static const enum realtime_defect as_defect[] = {
        [JSON_SCAN_SOUND] = REALTIME_SOUND,
        [JSON_SCAN_BAD] = REALTIME_NOT_JSON,
        [JSON_SCAN_TOO_DEEP] = REALTIME_TOO_DEEP,
    };

    return as_defect[json_scan_value(s, escaped)];
}

/* At a key. */
static enum realtime_defect
member_read(struct json_scan *s, struct member *m)
{
    if (json_scan_next(s) != '"')
        return REALTIME_NOT_JSON;
    m->key.text = (const char *) s->at + 1;
    if (!json_scan_string(s, &m->key_escaped))
        return REALTIME_NOT_JSON;
    m->key.bytes = (size_t) ((const char *) s->at - m->key.text) - 1;
    if (!json_scan_take(s, ':'))
        return REALTIME_NOT_JSON;
    json_scan_space(s);
    m->value.text = (const char *) s->at;
    enum realtime_defect defect = value_read(s, &m->value_escaped);
    m->value.bytes = (size_t) ((const char *) s->at - m->value.text);
    return defect;
}

/* The first defect that is not of the grammar; the scan goes on, so that a
 * text that is no JSON at all is called so. */
static enum realtime_defect
member_note(const struct member *m, struct realtime_peek *peek)
{
    if (m->key_escaped)
        return REALTIME_KEY_ESCAPED;
    unsigned key = known_find(keys, REALTIME_KEY_COUNT, m->key);
    if (key == REALTIME_KEY_COUNT) {
        peek->known_keys = false;
        return REALTIME_SOUND;
    }
    if (peek->value[key].text)
        return REALTIME_KEY_TWICE;
    peek->value[key] = m->value;
    if (key != REALTIME_KEY_TYPE)
        return REALTIME_SOUND;
    if (m->value.text[0] != '"' || m->value_escaped)
        return REALTIME_TYPE_INVALID;
    peek->name.text = m->value.text + 1;
    peek->name.bytes = m->value.bytes - 2;
    return REALTIME_SOUND;
}

static enum realtime_type
type_find(struct realtime_span name)
{
    unsigned type = known_find(types, REALTIME_TYPE_COUNT, name);
    return type == REALTIME_TYPE_COUNT ? REALTIME_OTHER
                                       : (enum realtime_type) type;
}

static enum realtime_defect
members_read(struct json_scan *s, struct realtime_peek *peek)
{
    enum realtime_defect first = REALTIME_SOUND;

    if (json_scan_take(s, '}'))
        return first;
    do {
        struct member m;
        enum realtime_defect defect = member_read(s, &m);
        if (defect)
            return defect;
        defect = member_note(&m, peek);
        if (!first)
            first = defect;
    } while (json_scan_take(s, ','));
    return json_scan_take(s, '}') ? first : REALTIME_NOT_JSON;
}

enum realtime_defect
realtime_peek(const char *text, size_t bytes, struct realtime_peek *peek)
{
    struct json_scan s = {(const uint8_t *) text,
                          (const uint8_t *) text + bytes};
    bool escaped;

    memset(peek, 0, sizeof(*peek));
    peek->known_keys = true;
    bool object = json_scan_take(&s, '{');
    enum realtime_defect defect =
        object ? members_read(&s, peek) : value_read(&s, &escaped);
    json_scan_space(&s);
    if (s.at != s.end && defect != REALTIME_TOO_DEEP)
        return REALTIME_NOT_JSON;
    if (defect)
        return defect;
    if (!object)
        return REALTIME_NOT_OBJECT;
    if (!peek->name.text)
        return REALTIME_TYPE_MISSING;
    peek->type = type_find(peek->name);
    return REALTIME_SOUND;
}

enum realtime_type
realtime_type_of(const char *text, size_t bytes)
{
    struct json_scan s = {(const uint8_t *) text,
                          (const uint8_t *) text + bytes};
    struct member m;

    if (!json_scan_take(&s, '{'))
        return REALTIME_OTHER;
    do {
        if (member_read(&s, &m))
            return REALTIME_OTHER;
        if (m.key.bytes == 4 && memcmp(m.key.text, "type", 4) == 0) {
            if (m.value.text[0] != '"')
                return REALTIME_OTHER;
            m.value.text++;
            m.value.bytes -= 2;
            return type_find(m.value);
        }
    } while (json_scan_take(&s, ','));
    return REALTIME_OTHER;
}

const char *
realtime_type_name(enum realtime_type type)
{
    return types[type].text ? types[type].text : "";
}

const char *
realtime_defect_text(enum realtime_defect defect)
{
    return defects[defect];
}

bool
realtime_span_equals(struct realtime_span span, const char *plain)
{
    size_t bytes = strlen(plain);

    return span.text && span.bytes == bytes + 2 && span.text[0] == '"'
           && memcmp(span.text + 1, plain, bytes) == 0;
}

struct writer {
    char *at;
    char *end; /* room for the NUL is behind it */
};

static void
text_write(struct writer *w, const char *text, size_t bytes)
{
    if ((size_t) (w->end - w->at) < bytes)
        bytes = (size_t) (w->end - w->at);
    memcpy(w->at, text, bytes);
    w->at += bytes;
}

/* One character of the text, taken, as it stands in a JSON string. */
static size_t
piece_take(struct json_scan *s, char piece[8])
{
    const uint8_t *from = s->at;
    size_t bytes = 1;

    piece[0] = '?';
    if (*from < 0x20 || *from == '"' || *from == '\\') {
        s->at++;
        return (size_t) snprintf(piece, 8, "\\u%04x", *from);
    }
    if (*from < 0x80 || !json_scan_utf8(s))
        s->at++;
    if (*from < 0x80 || s->at - from > 1) {
        bytes = (size_t) (s->at - from);
        memcpy(piece, from, bytes);
    }
    return bytes;
}

/* A JSON string of the text, of at most `room` bytes, cut at a character;
 * null for NULL. */
static void
string_write(struct writer *w, const char *text, size_t room)
{
    if (!text) {
        text_write(w, "null", 4);
        return;
    }
    const uint8_t *from = (const uint8_t *) text;
    struct json_scan s = {from, from + strlen(text)};
    text_write(w, "\"", 1);
    for (room -= 2; s.at < s.end;) {
        char piece[8];
        size_t bytes = piece_take(&s, piece);
        if (bytes > room)
            break;
        room -= bytes;
        text_write(w, piece, bytes);
    }
    text_write(w, "\"", 1);
}

#define LITERAL_WRITE(w, text) text_write(w, text, sizeof(text) - 1)

size_t
realtime_error_write(char out[REALTIME_ERROR_BYTES], const char *event_id,
                     const struct realtime_error *error)
{
    struct writer w = {out, out + REALTIME_ERROR_BYTES - 1};
    struct realtime_span id = error->event_id;

    LITERAL_WRITE(&w, "{\"type\":\"error\",\"event_id\":");
    string_write(&w, event_id, 128);
    LITERAL_WRITE(&w, ",\"error\":{\"type\":");
    string_write(&w, error->type ? error->type : "invalid_request_error", 128);
    LITERAL_WRITE(&w, ",\"code\":");
    string_write(&w, error->code, 128);
    LITERAL_WRITE(&w, ",\"message\":");
    string_write(&w, error->message ? error->message : "", 1024);
    LITERAL_WRITE(&w, ",\"param\":");
    string_write(&w, error->param, 128);
    LITERAL_WRITE(&w, ",\"event_id\":");
    if (id.text && id.text[0] == '"' && id.bytes <= REALTIME_ID_MAX)
        text_write(&w, id.text, id.bytes);
    else
        LITERAL_WRITE(&w, "null");
    LITERAL_WRITE(&w, "}}");
    *w.at = 0;
    return (size_t) (w.at - out);
}

char *
realtime_created_build(const char *event_id, struct realtime_span session,
                       size_t *bytes)
{
    size_t room = session.bytes + 256;
    char *out = malloc(room);

    if (!out)
        return NULL;
    struct writer w = {out, out + room - 1};
    LITERAL_WRITE(&w, "{\"type\":\"session.created\",\"event_id\":");
    string_write(&w, event_id, 128);
    LITERAL_WRITE(&w, ",\"session\":");
    text_write(&w, session.text, session.bytes);
    LITERAL_WRITE(&w, "}");
    *w.at = 0;
    *bytes = (size_t) (w.at - out);
    return out;
}
