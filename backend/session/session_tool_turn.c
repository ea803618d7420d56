/* SPDX-License-Identifier: BSD-2-Clause */

#include "session/session_tool_turn.h"

#include <stdio.h>
#include <string.h>

/* Out of the conversation is what was asked to be, and says so by a
 * conversation_id of null, or says nothing while none of ours is awaited. */
static bool
is_created_beside(const struct session_tool_turn *turn, const json_t *response)
{
    const json_t *conversation = json_object_get(response, "conversation_id");

    if (turn->beside_asked == 0)
        return false;
    return conversation ? json_is_null(conversation) : turn->asked_ms == 0;
}

static void
on_created(struct session_tool_turn *turn, const json_t *response)
{
    const char *id = json_string_value(json_object_get(response, "id"));
    bool beside = is_created_beside(turn, response);

    if (beside) {
        turn->beside_asked--;
    } else {
        turn->asked_ms = 0;
        turn->taken_ms = 0;
    }
    for (size_t i = 0; id && i < SESSION_TOOL_TURN_IDS; i++) {
        if (turn->responses[i].id[0]
            || strlen(id) >= SESSION_TOOL_TURN_ID_BYTES)
            continue;
        snprintf(turn->responses[i].id, SESSION_TOOL_TURN_ID_BYTES, "%s", id);
        turn->responses[i].beside = beside;
        return;
    }
}

static void
on_done(struct session_tool_turn *turn, const json_t *response)
{
    const char *id = json_string_value(json_object_get(response, "id"));

    for (size_t i = 0; id && i < SESSION_TOOL_TURN_IDS; i++)
        if (strcmp(turn->responses[i].id, id) == 0)
            turn->responses[i].id[0] = 0;
}

static void
taken(struct session_tool_turn *turn, uint64_t now_ms)
{
    turn->speech_ms = 0;
    turn->taken_ms = now_ms;
    turn->chain = 0;
}

void
session_tool_turn_down(struct session_tool_turn *turn, struct session_event *e,
                       uint64_t now_ms)
{
    if (e->peek.value[REALTIME_KEY_RESPONSE_ID].text)
        turn->heard_ms = now_ms;
    switch (e->type) {
    case REALTIME_RESPONSE_CREATED:
        turn->heard_ms = now_ms;
        on_created(turn, json_object_get(session_event_tree(e), "response"));
        break;
    case REALTIME_RESPONSE_DONE:
        on_done(turn, json_object_get(session_event_tree(e), "response"));
        break;
    case REALTIME_SPEECH_STARTED:
        turn->speech_ms = now_ms;
        turn->chain = 0;
        break;
    case REALTIME_SPEECH_STOPPED:
    case REALTIME_AUDIO_COMMITTED:
        taken(turn, now_ms);
        break;
    case REALTIME_AUDIO_CLEARED:
    case REALTIME_AUDIO_TIMEOUT:
        turn->speech_ms = 0;
        break;
    default:
        break;
    }
}

static bool
asks_beside(struct realtime_span response)
{
    json_t *tree;
    const char *conversation;
    bool beside;

    if (!response.text)
        return false;
    tree = json_loadb(response.text, response.bytes,
                      JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    conversation = json_string_value(json_object_get(tree, "conversation"));
    beside = conversation && strcmp(conversation, "none") == 0;
    json_decref(tree);
    return beside;
}

/* Whoever puts a message of the user's there means to have it answered. */
static bool
is_user_message(struct realtime_span item)
{
    json_t *tree;
    const char *role;
    bool user;

    if (!item.text)
        return false;
    tree = json_loadb(item.text, item.bytes, JSON_DECODE_ANY | JSON_ALLOW_NUL,
                      NULL);
    role = json_string_value(json_object_get(tree, "role"));
    user = role && strcmp(role, "user") == 0;
    json_decref(tree);
    return user;
}

void
session_tool_turn_up(struct session_tool_turn *turn,
                     const struct realtime_peek *peek, uint64_t now_ms)
{
    if (peek->type == REALTIME_RESPONSE_CREATE) {
        if (asks_beside(peek->value[REALTIME_KEY_RESPONSE]))
            turn->beside_asked++;
        else
            turn->chain = 0;
    } else if (peek->type == REALTIME_ITEM_CREATE
               && is_user_message(peek->value[REALTIME_KEY_ITEM])) {
        taken(turn, now_ms);
    }
}

void
session_tool_turn_asked(struct session_tool_turn *turn, bool chained,
                        uint64_t now_ms)
{
    turn->asked_ms = now_ms;
    turn->chain += chained;
}

void
session_tool_turn_refused(struct session_tool_turn *turn)
{
    turn->asked_ms = 0;
}

bool
session_tool_turn_is_beside(const struct session_tool_turn *turn,
                            const char *id)
{
    for (size_t i = 0; i < SESSION_TOOL_TURN_IDS; i++)
        if (turn->responses[i].id[0] && strcmp(turn->responses[i].id, id) == 0)
            return turn->responses[i].beside;
    return false;
}

bool
session_tool_turn_is_running(const struct session_tool_turn *turn)
{
    for (size_t i = 0; i < SESSION_TOOL_TURN_IDS; i++)
        if (turn->responses[i].id[0] && !turn->responses[i].beside)
            return true;
    return false;
}

/* What is left of it, 0: it is over (or has not begun). */
static uint64_t
left_ms(uint64_t since_ms, uint64_t limit_ms, uint64_t now_ms)
{
    uint64_t past_ms = now_ms - since_ms;

    return since_ms && past_ms < limit_ms ? limit_ms - past_ms : 0;
}

bool
session_tool_turn_is_free(const struct session_tool_turn *turn, uint64_t now_ms,
                          uint64_t *wait_ms)
{
    uint64_t left[4] = {
        left_ms(turn->taken_ms, SESSION_TOOL_TURN_ANSWER_MS, now_ms),
        left_ms(turn->asked_ms, SESSION_TOOL_TURN_ASKED_MS, now_ms),
        left_ms(turn->speech_ms, SESSION_TOOL_TURN_SPEECH_MS, now_ms),
    };

    if (session_tool_turn_is_running(turn))
        left[3] = left_ms(turn->heard_ms, SESSION_TOOL_TURN_STALE_MS, now_ms);
    *wait_ms = 0;
    for (size_t i = 0; i < sizeof(left) / sizeof(left[0]); i++)
        if (left[i] > *wait_ms)
            *wait_ms = left[i];
    return *wait_ms == 0;
}
