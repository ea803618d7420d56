/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   create ─► idle? ─yes─► model          (asked: kept till its fate is known)
 *               └─no──► held ─► response.done ─► model
 *   refusal "has an active response" ─► asked goes back to the head of held
 */

#include "session/session_responses.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct session_create {
    struct session_create *next;
    size_t bytes;   /* 0: it was too large to keep */
    char *event_id; /* JSON, NULL none */
    bool retried;
    char text[];
};

static void
create_free(struct session_create **cp)
{
    if (*cp)
        free((*cp)->event_id);
    free(*cp);
    *cp = NULL;
}

static struct session_create *
create_make(const struct realtime_peek *peek, struct realtime_span text)
{
    struct realtime_span id = peek->value[REALTIME_KEY_EVENT_ID];
    struct session_create *create = malloc(sizeof(*create) + text.bytes + 1);

    if (!create)
        return NULL;
    memset(create, 0, sizeof(*create));
    create->bytes = text.bytes;
    memcpy(create->text, text.text, text.bytes);
    create->text[text.bytes] = 0;
    if (id.text)
        create->event_id = strndup(id.text, id.bytes);
    if (id.text && !create->event_id)
        create_free(&create);
    return create;
}

static void
held_push(struct session_responses *r, struct session_create *create)
{
    struct session_create **at = &r->first;

    while (*at)
        at = &(*at)->next;
    *at = create;
    r->held++;
    r->held_bytes += create->bytes;
}

static struct session_create *
held_pop(struct session_responses *r)
{
    struct session_create *create = r->first;

    if (!create)
        return NULL;
    r->first = create->next;
    create->next = NULL;
    r->held--;
    r->held_bytes -= create->bytes;
    return create;
}

void
session_responses_deinit(struct session_responses *r)
{
    struct session_create *create;

    while ((create = held_pop(r)) != NULL)
        create_free(&create);
    create_free(&r->asked);
}

/* --- up */

/* Whether it asks for a response out of band. */
static bool
is_beside(const struct realtime_peek *peek)
{
    struct realtime_span response = peek->value[REALTIME_KEY_RESPONSE];

    if (!response.text)
        return false;
    json_t *tree = json_loadb(response.text, response.bytes,
                              JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    const char *conversation =
        json_string_value(json_object_get(tree, "conversation"));
    bool beside = conversation && strcmp(conversation, "none") == 0;
    json_decref(tree);
    return beside;
}

static bool
is_stale(const struct session_responses *r, uint64_t now_ms)
{
    return now_ms - r->heard_ms >= SESSION_RESPONSES_STALE_MS;
}

/* Takes the create: it is on its way. */
static void
asked_enter(struct session_responses *r, struct session_create *create,
            uint64_t now_ms)
{
    create_free(&r->asked);
    r->asked = create;
    r->phase = RESPONSES_ASKED;
    r->heard_ms = now_ms;
    r->id[0] = 0;
}

enum session_responses_verdict
session_responses_create(struct session_responses *r,
                         const struct realtime_peek *peek,
                         struct realtime_span text, uint64_t now_ms)
{
    bool waits =
        r->blocked || (r->phase != RESPONSES_IDLE && !is_stale(r, now_ms));
    struct session_create *create;

    if (is_beside(peek)) {
        r->beside_asked++;
        return RESPONSES_SEND;
    }
    if (waits
        && (r->held >= SESSION_RESPONSES_HELD
            || text.bytes > SESSION_RESPONSES_HELD_BYTES - r->held_bytes))
        return RESPONSES_FULL;
    if (!waits && text.bytes > SESSION_RESPONSES_KEPT_BYTES)
        text.bytes = 0;
    create = create_make(peek, text);
    if (waits && !create)
        return RESPONSES_FULL;
    if (waits) {
        held_push(r, create);
        return RESPONSES_HELD;
    }
    asked_enter(r, create, now_ms);
    return RESPONSES_SEND;
}

void
session_responses_asked(struct session_responses *r,
                        const struct realtime_peek *peek, uint64_t now_ms)
{
    const struct realtime_span nothing = {"", 0};

    asked_enter(r, create_make(peek, nothing), now_ms);
}

bool
session_responses_is_idle(const struct session_responses *r, uint64_t now_ms)
{
    return !r->first && (r->phase == RESPONSES_IDLE || is_stale(r, now_ms));
}

enum session_responses_verdict
session_responses_cancel(struct session_responses *r,
                         const struct realtime_peek *peek, bool *drops)
{
    struct realtime_span id = peek->value[REALTIME_KEY_RESPONSE_ID];

    *drops = !id.text || realtime_span_equals(id, r->id);
    if (r->phase == RESPONSES_IDLE && r->beside == 0 && r->beside_asked == 0)
        return RESPONSES_SWALLOW;
    return RESPONSES_SEND;
}

bool
session_responses_drop(struct session_responses *r, char **event_id)
{
    struct session_create *create = held_pop(r);

    if (!create)
        return false;
    *event_id = create->event_id;
    create->event_id = NULL;
    create_free(&create);
    return true;
}

/* --- down */

/* OpenAI marks a response out of band by a conversation_id of null; servers
 * that never give one have only what was asked for to go by. */
static bool
is_created_beside(const struct session_responses *r, const json_t *response)
{
    const json_t *conversation = json_object_get(response, "conversation_id");

    if (r->beside_asked == 0)
        return false;
    return conversation ? json_is_null(conversation)
                        : r->phase != RESPONSES_ASKED;
}

static void
on_created(struct session_responses *r, const json_t *response)
{
    const char *id = json_string_value(json_object_get(response, "id"));

    if (is_created_beside(r, response)) {
        r->beside_asked--;
        r->beside++;
        return;
    }
    r->phase = RESPONSES_RUNNING;
    snprintf(r->id, sizeof(r->id), "%s",
             id && strlen(id) < sizeof(r->id) ? id : "");
}

static void
on_done(struct session_responses *r, const json_t *response)
{
    const char *id = json_string_value(json_object_get(response, "id"));
    bool other = r->id[0] && id && strcmp(id, r->id) != 0;

    if (r->beside > 0 && (other || r->phase != RESPONSES_RUNNING)) {
        r->beside--;
        return;
    }
    if (r->phase == RESPONSES_ASKED)
        return; /* one from before; the asked one is still to come */
    r->phase = RESPONSES_IDLE;
    r->id[0] = 0;
    create_free(&r->asked);
}

/* Whether the error is of the create that was sent: by its event_id, or by
 * neither having one. */
static bool
is_of_asked(const struct session_responses *r, const json_t *error)
{
    const json_t *id = json_object_get(error, "event_id");
    bool same = false;

    if (!r->asked)
        return false;
    if (!r->asked->event_id)
        return !id || json_is_null(id);
    json_t *own = json_loads(r->asked->event_id, JSON_DECODE_ANY, NULL);
    same = own && json_equal(own, (json_t *) (uintptr_t) id);
    json_decref(own);
    return same;
}

/* The refused one is the first to go when the other response is done; it may
 * be one more than wait else. */
static bool
asked_again(struct session_responses *r)
{
    struct session_create *create = r->asked;

    if (create->retried || create->bytes == 0
        || r->held > SESSION_RESPONSES_HELD
        || create->bytes > SESSION_RESPONSES_HELD_BYTES - r->held_bytes)
        return false;
    create->retried = true;
    create->next = r->first;
    r->first = create;
    r->held++;
    r->held_bytes += create->bytes;
    r->asked = NULL;
    r->phase = RESPONSES_RUNNING;
    return true;
}

static bool
on_error(struct session_responses *r, const json_t *error)
{
    const char *code = json_string_value(json_object_get(error, "code"));

    if (!is_of_asked(r, error)) {
        if (r->phase != RESPONSES_ASKED && r->beside_asked > 0)
            r->beside_asked--; /* the response it may mean never begins */
        return true;
    }
    if (code && strcmp(code, "conversation_already_has_active_response") == 0
        && asked_again(r))
        return false;
    if (r->phase == RESPONSES_ASKED)
        r->phase = RESPONSES_IDLE;
    create_free(&r->asked);
    return true;
}

bool
session_responses_look(struct session_responses *r, struct session_event *e,
                       uint64_t now_ms)
{
    const json_t *tree;

    if (e->peek.value[REALTIME_KEY_RESPONSE_ID].text)
        r->heard_ms = now_ms;
    if (e->type != REALTIME_RESPONSE_CREATED
        && e->type != REALTIME_RESPONSE_DONE && e->type != REALTIME_ERROR)
        return true;
    r->heard_ms = now_ms;
    tree = session_event_tree(e);
    if (e->type == REALTIME_RESPONSE_CREATED)
        on_created(r, json_object_get(tree, "response"));
    else if (e->type == REALTIME_RESPONSE_DONE)
        on_done(r, json_object_get(tree, "response"));
    else
        return on_error(r, json_object_get(tree, "error"));
    return true;
}

const char *
session_responses_next(struct session_responses *r, size_t *bytes,
                       uint64_t now_ms)
{
    if (r->blocked || r->phase != RESPONSES_IDLE || !r->first)
        return NULL;
    struct session_create *create = held_pop(r);
    asked_enter(r, create, now_ms);
    *bytes = create->bytes;
    return create->text;
}
