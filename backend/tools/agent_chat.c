/* SPDX-License-Identifier: BSD-2-Clause */

#include "tools/agent_chat.h"

#include "base/buffer.h"

#include <string.h>
#include <uv.h>

#define BUSY_MS     1000
#define BUSY_MAX_MS 10000
#define BUSY_TRIES  3

/* --- what was said */

static json_t *
message_make(const char *role, const char *text, size_t bytes)
{
    return json_pack("{s:s, s:s%}", "role", role, "content", text, bytes);
}

static void
history_trim(json_t *history)
{
    while (json_array_size(history) > 0
           && json_dumpb(history, NULL, 0, JSON_COMPACT)
                  > AGENT_CHAT_HISTORY_BYTES) {
        json_array_remove(history, 0);
        json_array_remove(history, 0);
    }
}

/* Pairs of what was ordered and answered. */
static void
history_add(struct agent_turn *turn, const char *text, size_t bytes)
{
    struct agent_lane *lane = turn->lane;

    if (lane->history == NULL)
        lane->history = json_array();
    if (lane->history == NULL)
        return;
    json_array_append_new(
        lane->history,
        message_make("user", turn->instruction, strlen(turn->instruction)));
    json_array_append_new(lane->history,
                          message_make("assistant", text, bytes));
    history_trim(lane->history);
}

static json_t *
messages_make(const struct agent_turn *turn)
{
    json_t *messages = json_array();
    size_t count = json_array_size(turn->lane->history);
    size_t first = 0;

    if (turn->context == AGENT_CONTEXT_NONE)
        first = count;
    else if (turn->context == AGENT_CONTEXT_RECENT
             && turn->context_turns < count / 2)
        first = count - 2 * (size_t) turn->context_turns;
    if (turn->name[0] != '\0' && strcmp(turn->name, "self") != 0)
        json_array_append_new(
            messages,
            json_pack("{s:s, s:o}", "role", "system", "content",
                      json_sprintf("Act as the agent \"%s\".", turn->name)));
    for (size_t i = first; i < count; i++)
        json_array_append(messages, json_array_get(turn->lane->history, i));
    json_array_append_new(messages, message_make("user", turn->instruction,
                                                 strlen(turn->instruction)));
    return messages;
}

/* --- answers */

static void
part_write(struct buffer *text, const json_t *part)
{
    const json_t *said =
        json_is_string(part) ? part : json_object_get(part, "text");

    if (json_is_string(said))
        (void) buffer_append(text, json_string_value(said),
                             json_string_length(said));
}

/* A text, or a list of parts that have texts. 0 or UV_EPROTO. */
static int
content_read(struct buffer *text, const json_t *body)
{
    const json_t *choice = json_array_get(json_object_get(body, "choices"), 0);
    const json_t *message = json_object_get(choice, "message");
    const json_t *content = json_object_get(message, "content");
    const json_t *part;
    size_t i;

    if (json_is_null(content))
        content = json_object_get(message, "refusal");
    if (!json_is_string(content) && !json_is_array(content))
        return UV_EPROTO;
    part_write(text, content);
    json_array_foreach(content, i, part) part_write(text, part);
    return 0;
}

static void
content_answer(struct agent_turn *turn, const json_t *body)
{
    struct buffer text;

    buffer_init(&text, AGENT_ANSWER_MAX);
    if (content_read(&text, body) != 0 || buffer_text(&text) == NULL) {
        agent_turn_fail(turn, "failed",
                        "The agent's server said what isn't understood.");
    } else {
        history_add(turn, (const char *) text.data, text.bytes);
        agent_turn_answer(turn, (const char *) text.data, text.bytes);
    }
    buffer_deinit(&text);
}

static void
on_completed(struct agent_turn *turn, const struct agent_answer *answer)
{
    bool busy =
        answer->status == 429 || answer->status == 503 || answer->status == 409;

    if (busy && answer->retry_ms <= BUSY_MAX_MS && turn->tries < BUSY_TRIES) {
        turn->tries++;
        agent_turn_later(turn,
                         answer->retry_ms != 0 ? answer->retry_ms : BUSY_MS,
                         agent_chat_begin);
    } else if (answer->status != 200) {
        agent_turn_refuse(turn, answer);
    } else {
        content_answer(turn, answer->body);
    }
}

void
agent_chat_begin(struct agent_turn *turn)
{
    agent_turn_send(turn, "POST", "/chat/completions",
                    json_pack("{s:s, s:o, s:b}", "model", turn->server->model,
                              "messages", messages_make(turn), "stream", 0),
                    on_completed);
}
