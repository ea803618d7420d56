/* SPDX-License-Identifier: BSD-2-Clause */

#include "session/session_scrub.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

/* A quotation is found when it is this long at least twice over. */
#define QUOTE_BYTES 24

/* A longer text is not looked through: that takes the product of both. */
#define QUOTE_TEXT_MAX 8192

int
session_scrub_open(struct session_scrub *s, const json_t *settings)
{
    const json_t *said = json_object_get(settings, "instructions");
    const char *text = json_string_value(said);

    if (!text || !*text)
        return 0;
    if (s->policy->client_update != POLICY_UPDATE_DENY) {
        /* Not the policy's: a bound session has put its own there. */
        s->client_has_said = !s->policy->instructions
                             || strstr(text, s->policy->instructions) == NULL;
        return 0;
    }
    s->bound = strdup(text);
    return s->bound ? 0 : UV_ENOMEM;
}

void
session_scrub_deinit(struct session_scrub *s)
{
    free(s->bound);
    s->bound = NULL;
    session_hidden_destroy(&s->hidden);
}

/* The text to hide, NULL none. */
static const char *
own_text(const struct session_scrub *s)
{
    return s->bound ? s->bound : s->policy->instructions;
}

void
session_scrub_said(struct session_scrub *s, const struct realtime_peek *update)
{
    struct realtime_span session = update->value[REALTIME_KEY_SESSION];

    if (s->client_has_said || !session.text || !own_text(s))
        return;
    json_t *tree =
        json_loadb(session.text, session.bytes, JSON_ALLOW_NUL, NULL);
    if (json_is_string(json_object_get(tree, "instructions")))
        s->client_has_said = true;
    json_decref(tree);
}

/* --- texts */

/* Without the white space at its ends, which a server may have taken away. */
static struct realtime_span
trimmed(const char *text)
{
    struct realtime_span span = {text, strlen(text)};

    while (span.bytes && isspace((unsigned char) span.text[0])) {
        span.text++;
        span.bytes--;
    }
    while (span.bytes && isspace((unsigned char) span.text[span.bytes - 1]))
        span.bytes--;
    return span;
}

/* What of the instructions is the client's own. */
static const char *
instructions_of_client(const struct session_scrub *s, const char *text)
{
    struct realtime_span own = trimmed(own_text(s));
    struct realtime_span all = trimmed(text);

    switch (s->policy->client_update) {
    case POLICY_UPDATE_MERGE:
        if (all.bytes < own.bytes || memcmp(all.text, own.text, own.bytes) != 0)
            return "";
        return all.text + own.bytes + strspn(all.text + own.bytes, " \t\r\n");
    case POLICY_UPDATE_ALLOW:
        if (!s->client_has_said
            || memmem(all.text, all.bytes, own.text, own.bytes))
            return "";
        return text;
    default:
        return "";
    }
}

/* Whether the text quotes the hidden one, as a whole or a longer piece, or may
 * for all that can be known in time. */
static bool
is_quoting(const struct session_scrub *s, const char *text)
{
    const char *hidden = own_text(s);

    if (!hidden || !text)
        return false;
    struct realtime_span own = trimmed(hidden);
    size_t bytes = strlen(text);
    if (own.bytes && bytes > QUOTE_TEXT_MAX)
        return true;
    if (own.bytes && memmem(text, bytes, own.text, own.bytes))
        return true;
    for (size_t at = 0; at + QUOTE_BYTES <= bytes; at += QUOTE_BYTES)
        if (memmem(own.text, own.bytes, text + at, QUOTE_BYTES))
            return true;
    return false;
}

/* --- objects; each true when it changed something */

static bool
member_put(json_t *object, const char *key, json_t *value)
{
    if (json_equal(json_object_get(object, key), value)) {
        json_decref(value);
        return false;
    }
    return json_object_set_new(object, key, value) == 0;
}

static bool
instructions_scrub(const struct session_scrub *s, json_t *shown)
{
    const json_t *value = json_object_get(shown, "instructions");

    if (!own_text(s) || !value)
        return false;
    if (!json_is_string(value))
        return member_put(shown, "instructions", json_string(""));
    return member_put(
        shown, "instructions",
        json_string(instructions_of_client(s, json_string_value(value))));
}

/* A client that may set none has none of its own. */
static bool
tools_scrub(const struct session_scrub *s, json_t *shown)
{
    bool changed = false;

    if (s->policy->client_update != POLICY_UPDATE_DENY)
        return false;
    if (json_object_get(shown, "tools"))
        changed |= member_put(shown, "tools", json_array());
    if (json_is_object(json_object_get(shown, "tool_choice")))
        changed |= member_put(shown, "tool_choice", json_string("auto"));
    if (json_object_get(shown, "prompt"))
        changed |= member_put(shown, "prompt", json_null());
    return changed;
}

static bool
session_scrub(const struct session_scrub *s, json_t *event)
{
    json_t *session = json_object_get(event, "session");
    bool changed = false;

    if (!json_is_object(session)) {
        json_object_set_new(event, "session", json_object());
        session = json_object_get(event, "session");
    }
    changed |= instructions_scrub(s, session);
    changed |= tools_scrub(s, session);
    changed |= member_put(session, "id", json_string(s->id));
    return changed;
}

static bool
message_scrub(const struct session_scrub *s, json_t *error)
{
    const char *text = json_string_value(json_object_get(error, "message"));

    return is_quoting(s, text)
           && member_put(error, "message",
                         json_string("The model refuses this."));
}

static bool
response_scrub(const struct session_scrub *s, json_t *event)
{
    json_t *response = json_object_get(event, "response");
    json_t *details = json_object_get(response, "status_details");
    bool changed = false;

    if (!json_is_object(response))
        return false;
    changed |= instructions_scrub(s, response);
    changed |= tools_scrub(s, response);
    changed |= message_scrub(s, json_object_get(details, "error"));
    return changed;
}

/* --- items */

static bool
is_own_item(const struct session_scrub *s, const char *id)
{
    return id
           && (strncmp(id, SESSION_SCRUB_ITEM, sizeof(SESSION_SCRUB_ITEM) - 1)
                   == 0
               || session_hidden_has(s->hidden, id));
}

/* Most ids are plain, and no longer than one that could be noted. */
static bool
is_own_span(const struct session_scrub *s, struct realtime_span span)
{
    char id[SESSION_HIDDEN_ID_BYTES];

    if (!span.text || span.bytes < 2)
        return false;
    if (span.bytes - 2 < sizeof(id) && !memchr(span.text, '\\', span.bytes)) {
        memcpy(id, span.text + 1, span.bytes - 2);
        id[span.bytes - 2] = 0;
        return is_own_item(s, id);
    }
    json_t *text = json_loadb(span.text, span.bytes, JSON_DECODE_ANY, NULL);
    bool own = is_own_item(s, json_string_value(text));
    json_decref(text);
    return own;
}

void
session_scrub_item(struct session_scrub *s, const char *item_id)
{
    session_hidden_add(&s->hidden, item_id); /* shown, if it can't be */
}

bool
session_scrub_is_hidden(const struct session_scrub *s,
                        const struct realtime_peek *peek)
{
    return is_own_span(s, peek->value[REALTIME_KEY_ITEM_ID]);
}

static void
last_item_note(struct session_scrub *s, const char *id)
{
    if (id && strlen(id) < sizeof(s->last_item))
        snprintf(s->last_item, sizeof(s->last_item), "%s", id);
}

/* An item after one that the client doesn't know is after the last it knows. */
static enum session_scrub_verdict
item_scrub(struct session_scrub *s, struct session_event *e)
{
    json_t *event = session_event_tree(e);
    const json_t *item = json_object_get(event, "item");
    const char *id = json_string_value(json_object_get(item, "id"));
    bool changed = false;

    if (!event)
        return SCRUB_FAILED;
    if (is_own_item(s, id))
        return SCRUB_HIDE;
    if (is_own_span(s, e->peek.value[REALTIME_KEY_PREVIOUS_ITEM_ID]))
        changed = member_put(event, "previous_item_id",
                             s->last_item[0] ? json_string(s->last_item)
                                             : json_null());
    if (e->type == REALTIME_ITEM_ADDED)
        last_item_note(s, id);
    if (changed)
        session_event_touch(e);
    return changed ? SCRUB_CHANGED : SCRUB_SHOW;
}

static bool
event_scrub(const struct session_scrub *s, enum realtime_type type,
            json_t *event)
{
    switch (type) {
    case REALTIME_SESSION_CREATED:
    case REALTIME_SESSION_UPDATED:
        return session_scrub(s, event);
    case REALTIME_RESPONSE_CREATED:
    case REALTIME_RESPONSE_DONE:
        return response_scrub(s, event);
    case REALTIME_ERROR:
        return message_scrub(s, json_object_get(event, "error"));
    default:
        return false;
    }
}

enum session_scrub_verdict
session_scrub_look(struct session_scrub *s, struct session_event *e)
{
    switch (e->type) {
    case REALTIME_ITEM_ADDED:
    case REALTIME_ITEM_DONE:
    case REALTIME_ITEM_RETRIEVED:
    case REALTIME_AUDIO_COMMITTED:
        return item_scrub(s, e);
    case REALTIME_ITEM_DELETED:
    case REALTIME_ITEM_TRUNCATED:
        return session_scrub_is_hidden(s, &e->peek) ? SCRUB_HIDE : SCRUB_SHOW;
    case REALTIME_SESSION_CREATED:
    case REALTIME_SESSION_UPDATED:
    case REALTIME_RESPONSE_CREATED:
    case REALTIME_RESPONSE_DONE:
    case REALTIME_ERROR:
        break;
    default:
        return SCRUB_SHOW;
    }
    json_t *event = session_event_tree(e);
    if (!event)
        return SCRUB_FAILED;
    if (!event_scrub(s, e->type, event))
        return SCRUB_SHOW;
    session_event_touch(e);
    return SCRUB_CHANGED;
}
